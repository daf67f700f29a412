#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Which modules a request means.

load common

setup_file() {
	make_fixtures
	compile intree -DINTREE
}

setup() { start_test; }

# found: the paths of the last results, in their order, without the kernel's directory.
found() { sed -n "s|^\(/usr\)\?/lib/modules/$V/||; s|: [a-z ]*signed\$||p" <<<"$output"; }

# list OPTION...: what signing would touch.
list() { ks 0 sign "${key[@]}" -n "$@"; }

@test "out of tree is what modules.order does not name" {
	in_tree kernel/drivers/a.ko kernel/fs/b.ko
	module kernel/drivers/new.ko
	module updates/dkms/c.ko
	module extra/d.ko
	module misc/e.ko
	module weak-updates/f/g.ko
	list "${here[@]}"
	[ "$(found | xargs)" = 'extra/d.ko kernel/drivers/new.ko misc/e.ko updates/dkms/c.ko weak-updates/f/g.ko' ]
}

@test "modules.order is compared without the compression" {
	in_tree kernel/a.ko.xz
	module kernel/b.ko.zst
	echo kernel/b.ko.xz >>"$tree/modules.order"
	module kernel/c.ko
	printf kernel/c.ko.gz >>"$tree/modules.order"
	module kernel/cc.ko
	module extra/a.ko
	list "${here[@]}"
	[ "$(found | xargs)" = 'extra/a.ko kernel/cc.ko' ]
}

@test "a module in updates/ that overrides an in-tree one is out of tree" {
	in_tree kernel/drivers/a.ko
	module updates/a.ko intree
	list "${here[@]}"
	[ "$(found)" = updates/a.ko ]
	rm "$tree/modules.order"
	list "${here[@]}"
	[ "$(found | xargs)" = 'kernel/drivers/a.ko updates/a.ko' ]
}

@test "without modules.order intree: Y decides, in every container" {
	rm "$tree/modules.order"
	module kernel/a.ko intree
	module kernel/b.ko.gz intree
	module kernel/c.ko.xz intree
	module kernel/d.ko.zst intree
	module extra/e.ko intree
	module kernel/f.ko
	module extra/g.ko.xz
	list "${here[@]}"
	[ "$(found | xargs)" = 'extra/g.ko.xz kernel/f.ko' ]
}

@test "without modules.order what cannot be read is reported, not passed over" {
	rm "$tree/modules.order"
	module kernel/a.ko intree
	echo text >"$tree/kernel/b.ko"
	ks 1 sign "${here[@]}" "${key[@]}"
	blames b.ko 'no ELF file'
	[[ $stderr != *a.ko* ]]
}

@test "only .ko, .ko.gz, .ko.xz and .ko.zst are module files" {
	local name
	for name in a.ko.bak a.kox ako a.ko.lz4 a.ko.xz.tmp a.o modules.dep; do
		cp "$FIXTURES/plain.ko" "$tree/extra/$name"
	done
	list "${here[@]}"
	[ -z "$output" ]
	warns 'no out-of-tree module below'
}

@test "a root with lib -> usr/lib, one with usr/lib only, one with both" {
	module extra/a.ko
	mkdir "$root/usr"
	mv "$root/lib" "$root/usr/lib"
	list "${here[@]}"
	says "^/usr/lib/modules/$V/extra/a.ko: would be signed\$"
	ln -s usr/lib "$root/lib"
	list "${here[@]}"
	says "^/usr/lib/modules/$V/extra/a.ko: would be signed\$"
	says '^1 would be signed'
	rm "$root/lib"
	ln -s /usr/lib "$root/lib"
	list "${here[@]}"
	says '^1 would be signed'
	rm "$root/lib"
	module "$root/lib/modules/2.0/extra/b.ko"
	list --root "$root" -k all
	says "^/usr/lib/modules/$V/extra/a.ko: would be signed\$"
	says '^/lib/modules/2.0/extra/b.ko: would be signed$'
	says '^2 would be signed'
}

@test "a weak-updates link to another kernel's module: its target is signed, the link stays" {
	module "$root/lib/modules/5.0/extra/weak.ko"
	mkdir "$tree/weak-updates"
	ln -s ../../5.0/extra/weak.ko "$tree/weak-updates/weak.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$root/lib/modules/5.0/extra/weak.ko"
	[ ! -L "$root/lib/modules/5.0/extra/weak.ko" ]
	[ "$(readlink "$tree/weak-updates/weak.ko")" = ../../5.0/extra/weak.ko ]
	says '^/lib/modules/5.0/extra/weak.ko: signed$'
}

@test "a file that several links lead to is handled once" {
	module extra/a.ko
	ln -s a.ko "$tree/extra/b.ko"
	ln -s "/lib/modules/$V/extra/b.ko" "$tree/updates/c.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	says '^1 signed, 0 failed, of 1 modules$'
	is_signed "$tree/extra/a.ko"
	[ -L "$tree/extra/b.ko" ]
	[ -L "$tree/updates/c.ko" ]
	ks 0 sign "${here[@]}" "${key[@]}" --force "/lib/modules/$V/extra/a.ko" \
		"/lib/modules/$V/updates/../extra/b.ko" a "/lib/modules/$V/extra/a.ko"
	says '^1 signed, 0 failed, of 1 modules$'
}

@test "under --root an absolute link is resolved inside the root" {
	module "$PWD/outside/a.ko"
	module "$root$PWD/outside/a.ko"
	ln -s "$PWD/outside/a.ko" "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$root$PWD/outside/a.ko"
	is_plain outside/a.ko
	says "^$PWD/outside/a.ko: signed\$"
}

@test "under --root no link and no .. leads out" {
	module "$PWD/outside/a.ko"
	before=$(manifest outside)
	ln -s "$PWD/outside/a.ko" "$tree/extra/absolute.ko"
	ln -s ../../../../../outside/a.ko "$tree/extra/relative.ko"
	ln -s ../../../../../outside "$tree/extra/directory"
	ks 1 sign "${here[@]}" "${key[@]}"
	blames extra/absolute.ko 'No such file'
	blames extra/relative.ko 'No such file'
	says '^2 failed, of 2 modules$' || says '^0 signed, 2 failed'
	ks 1 sign "${here[@]}" "${key[@]}" ../outside/a.ko
	ks 1 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/extra/directory/a.ko"
	ks 1 sign "${here[@]}" "${key[@]}" -d ../outside
	[ "$(manifest outside)" = "$before" ]
}

@test "symlinked directories are followed, loops end, each file comes once" {
	module "$root/var/modules/a.ko"
	module extra/b.ko
	ln -s /var/modules "$tree/updates/linked"
	ln -s .. "$tree/updates/loop"
	ln -s "/lib/modules/$V" "$tree/extra/again"
	ln -s self "$tree/extra/self"
	ln -s linked "$tree/updates/twice"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$root/var/modules/a.ko"
	is_signed "$tree/extra/b.ko"
	says '^2 signed, 0 failed, of 2 modules$'
}

@test "build and source, the kernel's headers, are not entered" {
	module "$root/usr/src/headers/a.ko"
	ln -s /usr/src/headers "$tree/build"
	module source/b.ko
	module extra/c.ko
	list "${here[@]}"
	[ "$(found)" = extra/c.ko ]
}

@test "a name is a file's up to the first dot, with - and _ alike" {
	module extra/one-two_three.ko.xz
	module extra/one.ko
	list "${here[@]}" one_two-three
	[ "$(found)" = extra/one-two_three.ko.xz ]
	list "${here[@]}" one
	[ "$(found)" = extra/one.ko ]
}

@test "a name stands for the file that modules.dep gives it" {
	module kernel/drivers/a-b.ko
	module updates/a-b.ko
	depmod -b "$root" "$V"
	list "${here[@]}" a_b
	[ "$(found)" = updates/a-b.ko ]
}

@test "a name in modules.dep, below a root that is given relative or with slashes too many" {
	module updates/a-b.ko
	depmod -b "$root" "$V"
	list --root root -k "$V" a_b
	[ "$(found)" = updates/a-b.ko ]
	list --root "$root//" -k "$V" a_b
	[ "$(found)" = updates/a-b.ko ]
	list --root ./root/. -k "$V" a_b
	[ "$(found)" = updates/a-b.ko ]
}

@test "a module that does not exist: the error says what there is" {
	in_tree kernel/in.ko
	module extra/one.ko
	module extra/two-three.ko.xz
	ks 1 sign "${here[@]}" "${key[@]}" nonsense
	warns "^kernel-sign: no module nonsense below $tree; out of tree there is one, two-three\$"
	rm -r "$tree/extra"
	ks 1 sign "${here[@]}" "${key[@]}" nonsense
	warns "^kernel-sign: no module nonsense below $tree; out of tree there is none\$"
}

@test "a kernel that does not exist: the error says which there are" {
	mkdir -p "$root/lib/modules/5.0"
	ks 1 sign --root "$root" -k 4.0 "${key[@]}"
	warns "^kernel-sign: no kernel 4.0 below $root/lib/modules; there is 5.0, $V\$"
	ks 1 status --root "$root" -k 4.0 nonsense
	warns 'no kernel 4.0 below'
	ks 1 unsign --root "$PWD/nowhere" -k 4.0
	warns 'no kernel 4.0 below .*/nowhere/lib/modules; there is none'
}

@test "a kernel is a name, not a path" {
	module extra/a.ko
	for version in . .. "../modules/$V" "$V/extra" ''; do
		ks 1 status --root "$root" -k "$version"
		warns '^kernel-sign: no kernel .* below'
	done
}

@test "-k all is every kernel, one without out-of-tree modules among them" {
	module extra/a.ko
	module "$root/lib/modules/5.0/extra/b.ko"
	mkdir -p "$root/lib/modules/4.0/kernel"
	: >"$root/lib/modules/file"
	ks 0 sign --root "$root" -k all "${key[@]}"
	is_signed "$tree/extra/a.ko"
	is_signed "$root/lib/modules/5.0/extra/b.ko"
	says '^2 signed, 0 failed, of 2 modules$'
	warns 'no out-of-tree module below .*/lib/modules/4.0$'
}

@test "-k all goes on with the other kernels where one fails" {
	echo text >"$tree/extra/a.ko"
	module "$root/lib/modules/4.0/extra/b.ko"
	module "$root/lib/modules/7.0/extra/b.ko"
	ks 1 sign --root "$root" -k all "${key[@]}"
	is_signed "$root/lib/modules/4.0/extra/b.ko"
	is_signed "$root/lib/modules/7.0/extra/b.ko"
	says '^2 signed, 1 failed, of 3 modules$'
}

@test "-k all below an empty root is an error" {
	mkdir empty
	ks 1 sign --root empty -k all "${key[@]}"
	warns '^kernel-sign: no kernel below empty/lib/modules$'
}

@test "-k all takes a kernel that is a link, resolved inside the root" {
	module "$root/opt/7.0/extra/a.ko"
	ln -s /opt/7.0 "$root/lib/modules/7.0"
	mkdir -p outside/extra
	ln -s "$PWD/outside" "$root/lib/modules/8.0"
	ks 0 sign --root "$root" -k all "${key[@]}"
	is_signed "$root/opt/7.0/extra/a.ko"
}

@test "without out-of-tree modules all is done" {
	in_tree kernel/a.ko
	ks 0 sign "${here[@]}" "${key[@]}"
	[ -z "$output" ]
	warns "^kernel-sign: no out-of-tree module below $tree\$"
	ks 0 sign "${here[@]}" "${key[@]}" -q
	[ -z "$output$stderr" ]
	# That needs no key either.
	ks 0 sign "${here[@]}"
}

@test "a kernel without any module is an error with --all" {
	ks 1 sign "${here[@]}" "${key[@]}" --all
	warns "^kernel-sign: no module below $tree\$"
}

@test "a directory without modules, and none, are errors" {
	mkdir empty
	mkdir empty/a.ko
	ks 1 sign "${key[@]}" -d empty
	warns '^kernel-sign: no module file \(.ko, .ko.gz, .ko.xz, .ko.zst\) in empty$'
	ks 1 sign "${key[@]}" -d nowhere
	blames nowhere 'No such file'
	module "$PWD/a.ko"
	ks 1 sign "${key[@]}" -d a.ko
	blames a.ko 'Not a directory'
}

@test "--dir together with MODULE, --all with either: wrong usage" {
	ks 2 sign "${here[@]}" "${key[@]}" -d /lib a.ko
	warns 'cannot be combined'
	ks 2 sign "${here[@]}" "${key[@]}" --all a.ko
	warns 'cannot be combined'
	ks 2 unsign "${here[@]}" --all -d /lib
	warns 'cannot be combined'
}

@test "an operand that leads nowhere does not stop the others" {
	module extra/a.ko
	module extra/b.ko
	ks 1 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/extra/a.ko" "/lib/modules/$V/extra/gone.ko"
	blames gone.ko 'No such file'
	is_signed "$tree/extra/a.ko"
	ks 1 sign "${here[@]}" "${key[@]}" /no/such/directory/gone.ko "/lib/modules/$V/extra/b.ko"
	blames gone.ko 'No such file'
	is_signed "$tree/extra/b.ko"
}

@test "a name that stands for no module does not stop the others" {
	module extra/a.ko
	ks 1 sign "${here[@]}" "${key[@]}" nonsense a
	warns 'no module nonsense below'
	is_signed "$tree/extra/a.ko"
}

@test "operands are handled in the order of their paths" {
	module extra/a.ko
	module extra/b.ko
	module updates/c.ko
	list "${here[@]}" c "/lib/modules/$V/extra/b.ko" a
	[ "$(found | xargs)" = 'extra/a.ko extra/b.ko updates/c.ko' ]
}

@test "a directory that cannot be entered is reported and does not stop the others" {
	module extra/a.ko
	module updates/closed/b.ko
	let_nobody_in
	chmod 0 "$tree/updates/closed"
	not nobody ls "$tree/updates/closed"
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	chmod 755 "$tree/updates/closed"
	ended 1
	blames updates/closed 'Permission denied'
	is_signed "$tree/extra/a.ko"
	is_plain "$tree/updates/closed/b.ko"
}
