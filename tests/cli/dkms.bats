#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign dkms: our files in /etc/dkms, DKMS's hooks as DKMS runs them, and the gate.

load common

setup_file() {
	make_fixtures
	compile second -DINTREE
}

setup() {
	start_test
	conf=$root/etc/dkms
	mkdir -p "$conf"
}

# dkms STATUS ARGUMENT...: the command, in the root.
dkms() {
	local wanted=$1
	shift
	ks "$wanted" dkms "$@" --root "$root"
}

# --- our files

# sealed FILE: whether its last line has the digest of those above it.
sealed() {
	local digest
	digest=$(head -n -1 "$1" | sha256sum | cut -d ' ' -f 1)
	[ "$(tail -n 1 "$1")" = "# Written by kernel-sign, sha256 of the lines above: $digest" ]
}

# seal FILE: makes the text file one that another version of kernel-sign has written.
seal() {
	printf '# Written by kernel-sign, sha256 of the lines above: %s\n' \
		"$(sha256sum <"$1" | cut -d ' ' -f 1)" >>"$1"
}

# All in the root, with the times of all but directories.
names_and_files() {
	(cd "$root" && find . -type d -printf '%p %y %i\n' -o -printf '%p %y %i %T@ %C@ %l\n' | sort)
}

@test "enable writes the drop-in and the hook, and says so" {
	dkms 0 enable
	[ "$(cd "$conf" && find . | sort | xargs)" = \
		'. ./framework.conf.d ./framework.conf.d/kernel-sign.conf ./kernel-sign.conf ./kernel-sign.sh' ]
	[ "$(wc -l <<<"$output")" = 3 ]
	says '^/etc/dkms/framework.conf.d/kernel-sign.conf: written$'
	says '^/etc/dkms/kernel-sign.conf: written$'
	says '^/etc/dkms/kernel-sign.sh: written$'
	[ -z "$stderr" ]
	sealed "$conf/framework.conf.d/kernel-sign.conf"
	sealed "$conf/kernel-sign.conf"
	sealed "$conf/kernel-sign.sh"
	[ "$(stat -c %a "$conf/kernel-sign.conf" "$conf/kernel-sign.sh" | xargs)" = '644 755' ]
	sh -n "$conf/kernel-sign.sh"
	bash -n "$conf/kernel-sign.conf"
}

@test "enable a second time changes nothing, neither inode nor time" {
	dkms_package m
	dkms 0 enable m
	before=$(manifest "$root")
	dkms 0 enable m
	[ -z "$output$stderr" ]
	[ "$(manifest "$root")" = "$before" ]
	dkms 0 enable m -v
	[ "$(grep -c ': is there already$' <<<"$output")" = 4 ]
	[ "$(manifest "$root")" = "$before" ]
}

@test "disable takes away what enable wrote, and nothing else" {
	dkms_package m
	dkms_package n
	echo 'sign_tool=x' >"$conf/framework.conf"
	mkdir "$conf/framework.conf.d"
	ln -s nowhere "$conf/other.conf"
	echo '. /etc/dkms/kernel-sign.conf' >"$conf/sourced.conf"
	echo mine >"$conf/mine.conf"
	before=$(names_and_files)
	dkms 0 enable --all
	[ "$(readlink "$conf/m.conf")" = kernel-sign.conf ]
	[ "$(readlink "$conf/n.conf")" = kernel-sign.conf ]
	dkms 0 disable
	[ "$(grep -c ': removed$' <<<"$output")" = 5 ]
	[ "$(names_and_files)" = "$before" ]
	dkms 0 disable
	[ -z "$output$stderr" ]
	dkms 0 disable -v
	says '^/etc/dkms/kernel-sign.sh: is not there$'
}

@test "disable of packages, or of all, leaves the files" {
	dkms 0 enable m n o
	dkms 0 disable m
	[ ! -L "$conf/m.conf" ] && [ -L "$conf/n.conf" ]
	dkms 0 disable --all
	[ ! -L "$conf/n.conf" ] && [ ! -L "$conf/o.conf" ]
	[ -e "$conf/kernel-sign.sh" ] && [ -e "$conf/framework.conf.d/kernel-sign.conf" ]
}

@test "what is not registered with DKMS gets its link, with a warning" {
	dkms_package known
	dkms 0 enable known later
	[ -L "$conf/known.conf" ] && [ -L "$conf/later.conf" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns '^kernel-sign: warning: later: not registered with DKMS'
}

@test "--dry-run changes nothing and says what would be done" {
	dkms_package m
	before=$(manifest "$root")
	dkms 0 enable --all -n
	[ "$(manifest "$root")" = "$before" ]
	[ "$(grep -c ': would be written$' <<<"$output")" = 4 ]
	dkms 0 enable --all
	before=$(manifest "$root")
	dkms 0 disable -n
	[ "$(manifest "$root")" = "$before" ]
	[ "$(grep -c ': would be removed$' <<<"$output")" = 4 ]
	echo x >>"$conf/kernel-sign.sh"
	dkms 1 enable -n
	blames kernel-sign.sh 'changed since'
}

@test "files of another version are renewed" {
	dkms 0 enable
	cp -r "$conf" wanted
	printf '#!/bin/sh\n# older\n' >"$conf/kernel-sign.sh"
	seal "$conf/kernel-sign.sh"
	dkms 0 status
	says '^/etc/dkms/kernel-sign.sh: of another version'
	dkms 0 enable -n
	[ "$output" = '/etc/dkms/kernel-sign.sh: would be renewed' ]
	dkms 0 enable
	[ "$output" = '/etc/dkms/kernel-sign.sh: renewed' ]
	diff -r wanted "$conf"
	printf 'older\n' >"$conf/kernel-sign.conf"
	seal "$conf/kernel-sign.conf"
	dkms 0 disable
	[ "$(find "$conf" -type f)" = '' ]
}

# elsewhere FILE: as a version wrote it whose program was in another directory.
elsewhere() {
	sed -i -e '$d' -e "s|^program=.*|program=$PWD/gone/kernel-sign|" "$1"
	seal "$1"
}

@test "renew brings files of another version up to date, and makes none, nor a link" {
	dkms_package m
	dkms 0 renew
	[ -z "$output$stderr" ]
	[ -z "$(ls "$conf")" ]
	dkms 0 enable
	cp -r "$conf" wanted
	dkms 0 renew
	[ -z "$output$stderr" ]
	elsewhere "$conf/kernel-sign.sh"
	printf 'older\n' >"$conf/kernel-sign.conf"
	seal "$conf/kernel-sign.conf"
	dkms 0 renew -n
	[ "$output" = "/etc/dkms/kernel-sign.conf: would be renewed
/etc/dkms/kernel-sign.sh: would be renewed" ]
	rm "$conf/framework.conf.d/kernel-sign.conf" wanted/framework.conf.d/kernel-sign.conf
	dkms 0 renew
	[ "$output" = "/etc/dkms/kernel-sign.conf: renewed
/etc/dkms/kernel-sign.sh: renewed" ]
	diff -r wanted "$conf"
}

@test "renew leaves what somebody has changed or emptied, and says nothing; without DKMS too" {
	dkms 0 enable
	: >"$conf/framework.conf.d/kernel-sign.conf"
	sed -i 's/^status=0$/status=1/' "$conf/kernel-sign.sh"
	cp -r "$conf" wanted
	dkms 0 renew
	[ -z "$output$stderr" ]
	diff -r wanted "$conf"
	rm -r "$conf"
	dkms 0 renew
	[ -z "$output$stderr" ]
	[ ! -e "$conf" ]
	dkms 2 renew m
	warns 'dkms renew takes no operand'
	dkms 2 renew --all
}

@test "status does not say of a hook of another version that it signs" {
	dkms_package m
	dkms 0 enable --all
	elsewhere "$conf/kernel-sign.sh"
	dkms 0 status
	says "^/etc/dkms/kernel-sign.sh: of another version; 'kernel-sign dkms renew' renews it\$"
	says '^m: gated, by a hook of another version$'
	dkms 0 renew
	dkms 0 status
	says '^m: signed and gated$'
}

@test "somebody else's files stay, the others are written, no link is made" {
	dkms_package m
	echo '# of kernel-sign 3.0' >"$conf/kernel-sign.conf"
	before=$(identity "$conf/kernel-sign.conf")
	dkms 1 enable m
	blames /etc/dkms/kernel-sign.conf 'not written by kernel-sign, or changed since: left alone'
	[ "$(identity "$conf/kernel-sign.conf")" = "$before" ]
	sealed "$conf/kernel-sign.sh"
	[ ! -L "$conf/m.conf" ]
	dkms 1 disable
	[ "$(identity "$conf/kernel-sign.conf")" = "$before" ]
	[ ! -e "$conf/kernel-sign.sh" ]
}

@test "an edited file of ours is somebody else's" {
	dkms 0 enable
	sed -i 's/^status=0$/status=1/' "$conf/kernel-sign.sh"
	before=$(manifest "$conf")
	dkms 1 enable
	blames /etc/dkms/kernel-sign.sh 'changed since: left alone'
	[ "$(manifest "$conf")" = "$before" ]
	dkms 1 disable
	blames /etc/dkms/kernel-sign.sh 'changed since: left alone'
	[ -e "$conf/kernel-sign.sh" ] && [ ! -e "$conf/kernel-sign.conf" ]
}

@test "links and directories at our names are never followed or removed" {
	echo precious >"$root/precious"
	ln -s ../../precious "$conf/kernel-sign.conf"
	mkdir "$conf/kernel-sign.sh" "$conf/m.conf"
	ln -s ../../precious "$conf/n.conf"
	before=$(names_and_files)
	dkms 1 enable
	blames /etc/dkms/kernel-sign.conf 'not written by kernel-sign'
	blames /etc/dkms/kernel-sign.sh 'not written by kernel-sign'
	rm "$conf/framework.conf.d/kernel-sign.conf"
	dkms 1 disable m n
	blames /etc/dkms/m.conf 'not written by kernel-sign'
	blames /etc/dkms/n.conf 'not written by kernel-sign'
	rmdir "$conf/framework.conf.d"
	[ "$(names_and_files)" = "$before" ]
	[ "$(cat "$root/precious")" = precious ]
}

@test "a package's own file in /etc/dkms stays, and is told what to add" {
	dkms_package m
	echo 'AUTOINSTALL=no' >"$conf/m.conf"
	before=$(identity "$conf/m.conf")
	dkms 1 enable m
	blames /etc/dkms/m.conf "left alone; a line '\. /etc/dkms/kernel-sign.conf' in it does it"
	[ "$(identity "$conf/m.conf")" = "$before" ]
	dkms 0 status
	says "^m: not gated \\(its /etc/dkms/\\*.conf is somebody else's\\)\$"
	echo '. /etc/dkms/kernel-sign.conf' >>"$conf/m.conf"
	dkms 0 enable m
	dkms 0 status
	says '^m: signed and gated$'
	dkms 1 disable m
	[ -f "$conf/m.conf" ]
}

@test "one package that cannot have a link does not keep the others from theirs" {
	dkms 1 enable a ../b .c kernel-sign framework '' d
	[ "$(grep -c 'is no name of a DKMS package$' <<<"$stderr")" = 5 ]
	[ "$(cd "$conf" && find . -type l | sort | xargs)" = './a.conf ./d.conf' ]
	[ ! -e "$root/etc/b.conf" ]
	dkms 1 enable ../b z
	[ -L "$conf/z.conf" ]
	dkms 1 disable ../b z
	[ ! -L "$conf/z.conf" ]
}

@test "--quiet says nothing but errors" {
	dkms_package m
	dkms 0 enable --all -q
	[ -z "$output$stderr" ]
	[ -L "$conf/m.conf" ]
	echo x >>"$conf/kernel-sign.sh"
	dkms 1 disable -q
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	blames kernel-sign.sh 'changed since'
}

@test "without DKMS nothing is written, and a dry run says so too" {
	rmdir "$conf"
	before=$(manifest "$root")
	dkms 1 enable m
	[ "$stderr" = 'kernel-sign: /etc/dkms: no such directory: DKMS is not installed' ]
	[ -z "$output" ]
	dkms 1 enable -n
	[ "$stderr" = 'kernel-sign: /etc/dkms: no such directory: DKMS is not installed' ]
	[ -z "$output" ]
	dkms 0 disable
	dkms 0 status
	[ "$(grep -c ': not there$' <<<"$output")" = 3 ]
	says '^0 packages of DKMS, 0 not gated$'
	[ "$(manifest "$root")" = "$before" ]
}

@test "absolute links lead to places inside the root" {
	mkdir -p "$root/srv/dkms" "$root/srv/tree/m/1/source" outside
	rmdir "$conf"
	ln -s /srv/dkms "$conf"
	ln -s "$PWD/outside" "$root/srv/dkms/framework.conf.d"
	mkdir -p "$root/var/lib"
	ln -s /srv/tree "$root/var/lib/dkms"
	run --separate-stderr "$KERNEL_SIGN" dkms enable --all --root "$root"
	ended 1
	blames /etc/dkms/framework.conf.d 'No such file'
	[ -f "$root/srv/dkms/kernel-sign.sh" ]
	rm "$root/srv/dkms/framework.conf.d"
	dkms 0 enable --all
	[ -L "$root/srv/dkms/m.conf" ]
	[ -z "$(ls -A outside)" ]
}

@test "a directory that may not be written: an error each, and nothing half done" {
	dkms 0 enable m
	rm "$conf/kernel-sign.sh"
	let_nobody_in
	chmod 555 "$conf" "$conf/framework.conf.d"
	not nobody touch "$conf/x"
	before=$(manifest "$root")
	run --separate-stderr nobody "$KERNEL_SIGN" dkms enable m --root "$root"
	ended 1
	blames /etc/dkms/kernel-sign.sh 'Permission denied'
	run --separate-stderr nobody "$KERNEL_SIGN" dkms disable --root "$root"
	ended 1
	blames /etc/dkms/m.conf 'Permission denied'
	run --separate-stderr nobody "$KERNEL_SIGN" dkms status --root "$root"
	ended 0
	says '^/etc/dkms/kernel-sign.sh: not there$'
	[ "$(manifest "$root")" = "$before" ]
	chmod 755 "$conf" "$conf/framework.conf.d"
}

@test "a file that may not be read is no ground for an answer" {
	dkms 0 enable
	let_nobody_in
	chmod 0 "$conf/kernel-sign.conf"
	not nobody cat "$conf/kernel-sign.conf"
	run --separate-stderr nobody "$KERNEL_SIGN" dkms status --root "$root"
	ended 1
	[ -z "$output" ]
	blames /etc/dkms/kernel-sign.conf 'Permission denied'
}

@test "a file that cannot be written whole is not there, an old one stays" {
	printf 'older\n' >"$conf/kernel-sign.sh"
	chmod 755 "$conf/kernel-sign.sh"
	seal "$conf/kernel-sign.sh"
	before=$(identity "$conf/kernel-sign.sh")
	# Nothing else may have that limit: what it says goes into a file.
	# shellcheck disable=SC2016 # for the other shell
	run --separate-stderr bash -c '(trap "" XFSZ; ulimit -f 0; exec "$@" 2>&1) | cat >&2
		exit "${PIPESTATUS[0]}"' bash "$KERNEL_SIGN" dkms enable m --root "$root"
	ended 1
	blames /etc/dkms/kernel-sign.conf 'File too large'
	blames /etc/dkms/kernel-sign.sh 'File too large'
	[ "$(identity "$conf/kernel-sign.sh")" = "$before" ]
	[ "$(find "$conf" ! -type d)" = "$conf/kernel-sign.sh" ]
}

@test "install-files puts the hook into a package's directory, made where it is missing" {
	umask 077
	ks 0 dkms install-files pkg/dest
	[ "$(cd pkg/dest && find . | sort | xargs)" = \
		'. ./etc ./etc/dkms ./etc/dkms/kernel-sign.conf ./etc/dkms/kernel-sign.sh' ]
	[ "$(stat -c %a pkg/dest/etc/dkms/*)" = $'644\n755' ]
	sealed pkg/dest/etc/dkms/kernel-sign.conf
	sealed pkg/dest/etc/dkms/kernel-sign.sh
	before=$(manifest pkg)
	ks 0 dkms install-files "$PWD/pkg/dest"
	[ "$(manifest pkg)" = "$before" ]
	dkms 0 enable
	cmp "$conf/kernel-sign.sh" pkg/dest/etc/dkms/kernel-sign.sh
	ks 0 dkms install-files -n nowhere
	[ ! -e nowhere ]
	[ "$(grep -c ': would be written$' <<<"$output")" = 2 ]
}

@test "install-files leaves what is not ours, and wants a directory" {
	mkdir -p pkg/etc/dkms
	echo x >pkg/etc/dkms/kernel-sign.sh
	ks 1 dkms install-files pkg
	blames /etc/dkms/kernel-sign.sh 'left alone'
	[ "$(cat pkg/etc/dkms/kernel-sign.sh)" = x ]
	echo x >file
	ks 1 dkms install-files file
	blames file 'Not a directory'
	ks 2 dkms install-files
	ks 2 dkms install-files pkg pkg
	ks 2 dkms install-files ''
	ks 2 dkms install-files pkg --all
}

@test "wrong usage ends with 2 and changes nothing" {
	before=$(manifest "$root")
	dkms 2
	dkms 2 nonsense
	dkms 2 enable --all m
	dkms 2 disable --all m
	dkms 2 status m
	dkms 2 status --all
	dkms 2 gate
	dkms 2 gate /lib
	dkms 2 gate -k "$V"
	dkms 2 gate -k "$V" /lib /usr
	dkms 2 gate -k "$V" /lib --all
	dkms 2 enable --nonsense
	[ -z "$output" ]
	[ "$(manifest "$root")" = "$before" ]
}

# --- status

@test "status says which files are there and which packages are gated" {
	dkms_package a
	dkms_package b
	dkms 0 status
	says '^/etc/dkms/framework.conf.d/kernel-sign.conf: not there$'
	says '^a: not gated$'
	says "^2 packages of DKMS, 2 not gated; 'kernel-sign dkms enable --all' gates all\$"
	# A link alone holds nothing.
	ln -s kernel-sign.conf "$conf/a.conf"
	dkms 0 status
	says '^a: not gated$'
	dkms 0 enable
	dkms 0 status
	says '^/etc/dkms/kernel-sign.sh: there$'
	says '^a: signed and gated$'
	says '^b: not gated$'
	says '^2 packages of DKMS, 1 not gated;'
	dkms 0 enable --all
	dkms 0 status
	says '^2 packages of DKMS, 0 not gated$'
	dkms 0 status -q
	[ -z "$output$stderr" ]
}

@test "a script that nobody can run gates nothing" {
	dkms_package m
	dkms 0 enable --all
	chmod 644 "$conf/kernel-sign.sh"
	dkms 0 status
	says '^/etc/dkms/kernel-sign.sh: not written by kernel-sign, or changed since$'
	says '^m: not gated$'
	dkms 1 enable
	blames /etc/dkms/kernel-sign.sh 'changed since'
}

@test "status as JSON" {
	local name
	for name in bare linked sourced taken; do
		dkms_package "$name"
	done
	dkms 0 enable linked
	echo '. /etc/dkms/kernel-sign.conf' >"$conf/sourced.conf"
	echo x >"$conf/taken.conf"
	printf 'older\n' >"$conf/kernel-sign.conf"
	seal "$conf/kernel-sign.conf"
	rm "$conf/framework.conf.d/kernel-sign.conf"
	dkms 0 status --json
	[ "$(jq -r '.files[] | .path + " " + .state' <<<"$output")" = \
		"/etc/dkms/framework.conf.d/kernel-sign.conf no
/etc/dkms/kernel-sign.conf older
/etc/dkms/kernel-sign.sh yes" ]
	[ "$(jq -r '.packages[] | [.package, .link, .gated | tostring] | join(" ")' <<<"$output")" = \
		"bare no false
linked yes true
sourced sourced true
taken foreign false" ]
	[ -z "$stderr" ]
	echo x >>"$conf/kernel-sign.conf"
	dkms 0 status --json
	[ "$(jq -r '.files[1].state' <<<"$output")" = foreign ]
	[ "$(jq -r '[.packages[].gated] | any' <<<"$output")" = false ]
}

# A package for every byte that a name can have.
every_package() {
	local i byte
	for ((i = 1; i < 256; i++)); do
		((i != 47)) || continue
		printf -v byte '\\x%02x' "$i"
		printf -v byte '%b.' "$byte"
		mkdir -p "$root/var/lib/dkms/m${byte%.}m/1/source"
	done
}

@test "every byte in a package's name: links, JSON, and lines" {
	every_package
	"$KERNEL_SIGN" dkms enable --all --root "$root" >lines 2>&1
	[ "$(wc -l <lines)" = 257 ]
	[ "$(find "$conf" -lname kernel-sign.conf -printf x | wc -c)" = 254 ]
	"$KERNEL_SIGN" dkms status --root "$root" >>lines 2>&1
	[ "$(wc -l <lines)" = 515 ]
	not grep -qaP '[\x00-\x08\x0b-\x1f\x7f-\xff]' lines
	"$KERNEL_SIGN" dkms status --json --root "$root" >out
	"$KERNEL_SIGN" status --json "${here[@]}" >none 2>/dev/null
	"$KERNEL_SIGN" dkms disable --all --root "$root" >/dev/null
	"$KERNEL_SIGN" status --json "${here[@]}" >ungated 2>/dev/null
	python3 - <<-'END'
		import json, re

		def raw(text):
		    parts = re.findall(rb'\\x[0-9a-f]{2}|\\\\|[^\\]', text.encode(), re.DOTALL)
		    return b''.join(p if p[:1] != b'\\' else b'\\' if p == b'\\\\'
		                    else bytes([int(p[2:], 16)]) for p in parts)

		def load(name):
		    return json.loads(open(name, 'rb').read().decode('utf-8'))

		want = {b'm' + bytes([b]) + b'm' for b in range(1, 256) if b != 47}
		packages = load('out')['packages']
		assert {raw(p['package']) for p in packages} == want
		assert len(packages) == 254 and all(p['gated'] for p in packages)
		assert load('none')['dkms_not_gated'] == []
		assert {raw(p) for p in load('ungated')['dkms_not_gated']} == want
	END
	[ "$(find "$conf" -type l)" = '' ]
}

# --- the hooks, as DKMS runs them

# The few lines of /usr/sbin/dkms, 3.0.10, that read a package's configuration and start its hooks.
# /etc/dkms is the root's, to which the paths in our two files are bent for that.
prepare_hooks() {
	dkms_tree=${1:-$root/var/lib/dkms}
	dkms_package m
	if [ "$dkms_tree" != "$root/var/lib/dkms" ]; then
		mkdir -p "$dkms_tree"
		cp -r "$root/var/lib/dkms/m" "$dkms_tree"
		ln -srfn "$root/usr/src/m-1" "$dkms_tree/m/1/source"
	fi
	copies=$dkms_tree/m/1/$V/x86_64/module
	mkdir -p "$copies" "$root/etc" "$tree/build"
	cp "$KEYS/rsa.key" "$KEYS/rsa.pem" "$root/etc"
	printf '%s\n' key=/etc/rsa.key cert=/etc/rsa.pem hash=sha256 >"$root/etc/kernel-sign.conf"
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y >"$tree/build/.config"
	: >"$root/usr/src/m-1/dkms.conf"
	dkms 0 enable m
	sed -i "s|/etc/dkms/kernel-sign.sh|$root&|" "$conf/kernel-sign.conf"
	sed -i "s|^program=.*|program=$PWD/program|" "$conf/kernel-sign.sh"
	cat >program <<-END
		#!/bin/bash
		echo "\$@" >>"$PWD/calls"
		dir=\$(cd "\${!#}" && pwd -P) || exit 9
		exec "$KERNEL_SIGN" "\${@:1:\$#-1}" "\${dir#"$root"}" --root "$root"
	END
	cat >dkms-hook <<-'END'
		kind=$1 dkms_tree=$2
		export module=m module_version=1 kernelver=$3 arch=x86_64
		. "$dkms_tree/m/1/source/dkms.conf"
		[ ! -e "$4/m.conf" ] || . "$4/m.conf"
		case $kind in
		post_build) where=build script=$POST_BUILD ;;
		pre_install) where=source script=$PRE_INSTALL ;;
		esac
		[[ $script ]] || exit 0
		run=$dkms_tree/m/1/$where/$script
		if [[ -x ${run%% *} ]]; then
			cd "$dkms_tree/m/1/$where/"
			exec $run
		fi
		echo "Warning: The $kind script is not executable."
	END
	chmod +x program
}

# hook STATUS post_build|pre_install
hook() {
	run --separate-stderr bash dkms-hook "$2" "$dkms_tree" "$V" "$conf"
	ended "$1"
}

# own post_build|pre_install STATUS: a script of the package's own that leaves a trace.
own() {
	local where=build
	[ "$1" = post_build ] || where=source
	# shellcheck disable=SC2016 # for the shell that runs it
	printf '#!/bin/sh\necho "$PWD|$*|$module $kernelver" >>"%s"\nexit %s\n' "$PWD/own" "$2" \
		>"$dkms_tree/m/1/$where/hook.sh"
	chmod +x "$dkms_tree/m/1/$where/hook.sh"
	echo "${1^^}='hook.sh one \$two'" >>"$root/usr/src/m-1/dkms.conf"
}

@test "post-build signs all modules of the build" {
	prepare_hooks
	module "$copies/a.ko"
	module "$copies/b.ko.xz"
	hook 0 post_build
	is_signed "$copies/a.ko"
	is_signed "$copies/b.ko.xz"
	[ "$(cat calls)" = "sign -k $V -d ../$V/x86_64/module/" ]
	hook 0 pre_install
	[ "$(tail -n 1 calls)" = "dkms gate -k $V $copies" ]
	[ -z "$output$stderr" ]
}

@test "post-build writes anew what DKMS compressed with CRC64" {
	prepare_hooks
	module "$copies/a.ko"
	sign_by_hand "$copies/a.ko" rsa
	xz --check=crc64 "$copies/a.ko"
	printf '%s\n' CONFIG_MODULE_COMPRESS_XZ=y CONFIG_MODULE_DECOMPRESS=y >>"$tree/build/.config"
	hook 1 pre_install
	hook 0 post_build
	is_signed "$copies/a.ko.xz"
	[ "$(xz --robot -l "$copies/a.ko.xz" | awk '$1 == "file" { print $7 }')" = CRC32 ]
	hook 0 pre_install
}

@test "pre-install keeps an unsigned module from being installed" {
	prepare_hooks
	module "$copies/a.ko"
	hook 1 pre_install
	warns "^kernel-sign: not to be installed: .*/a.ko: it is not signed; 'kernel-sign sign -k $V -d .*' signs it\$"
	is_plain "$copies/a.ko"
}

@test "a build that cannot be signed fails, and is not installed" {
	prepare_hooks
	module "$copies/a.ko"
	rm "$root/etc/rsa.key"
	hook 1 post_build
	blames rsa.key 'No such file'
	hook 1 pre_install
	rm "$copies/a.ko"
	hook 1 post_build
	hook 1 pre_install
}

@test "a tree at any depth will do" {
	prepare_hooks "$root/srv/a/b/c/dkms"
	module "$copies/a.ko"
	hook 0 post_build
	is_signed "$copies/a.ko"
	hook 0 pre_install
	[ "$(tail -n 1 calls)" = "dkms gate -k $V $copies" ]
}

@test "hooks of the package's own run first, with their arguments, where they expect to" {
	prepare_hooks
	module "$copies/a.ko"
	own post_build 0
	own pre_install 0
	hook 0 post_build
	is_signed "$copies/a.ko"
	hook 0 pre_install
	[ "$(cat own)" = "$dkms_tree/m/1/build|one \$two|m $V
$dkms_tree/m/1/source|one \$two|m $V" ]
}

@test "a hook of the package's own that fails: its status is handed on" {
	prepare_hooks
	module "$copies/a.ko"
	own post_build 7
	own pre_install 8
	hook 7 post_build
	is_signed "$copies/a.ko"
	hook 8 pre_install
	not grep -q gate calls
}

@test "a hook of the package's own that DKMS would not run is not run" {
	prepare_hooks
	module "$copies/a.ko"
	# DKMS takes it for a path below the build, where there is none.
	echo "POST_BUILD=$(type -P false)" >"$root/usr/src/m-1/dkms.conf"
	hook 0 post_build
	warns '^m: post-build: .*/false is not executable$'
	is_signed "$copies/a.ko"
	echo 'PRE_INSTALL=not-there' >"$root/usr/src/m-1/dkms.conf"
	hook 0 pre_install
	warns '^m: pre-install: not-there is not executable$'
}

@test "a file of the package's own that reads ours does it, once" {
	prepare_hooks
	module "$copies/a.ko"
	own post_build 0
	rm "$conf/m.conf"
	printf '. %s/kernel-sign.conf\n. %s/kernel-sign.conf\n' "$conf" "$conf" >"$conf/m.conf"
	hook 0 post_build
	is_signed "$copies/a.ko"
	[ "$(wc -l <own)" = 1 ]
	[ "$(wc -l <calls)" = 1 ]
}

@test "links of kernel-sign 3.0, with its way to call the script, go on working" {
	prepare_hooks
	module "$copies/a.ko"
	rm "$conf/m.conf"
	# From wherever the scratch directory is.
	printf 'POST_BUILD=%s%s\n' "$(printf '../%.0s' {1..40})" "${conf#/}/kernel-sign.sh" >"$conf/m.conf"
	hook 0 post_build
	is_signed "$copies/a.ko"
	[ "$(cat calls)" = "sign -k $V -d ../$V/x86_64/module/" ]
}

@test "where kernel-sign is gone the hooks refuse, and say what to do" {
	prepare_hooks
	module "$copies/a.ko"
	rm program
	hook 1 post_build
	warns "^m: .*/program is not there.*install kernel-sign, or where it is somewhere else now: kernel-sign dkms renew, or remove the link /etc/dkms/m.conf\$"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	hook 1 pre_install
	[ "$(wc -l <<<"$stderr")" = 1 ]
	is_plain "$copies/a.ko"
}

@test "the script wants to be called by DKMS" {
	prepare_hooks
	for variable in module module_version kernelver arch; do
		run --separate-stderr env module=m module_version=1 kernelver="$V" arch=x86_64 \
			env -u "$variable" sh "$conf/kernel-sign.sh" pre-install "$dkms_tree"
		[ "$status" != 0 ]
		warns "$variable: is set by DKMS"
	done
	[ ! -e calls ]
}

# --- the gate

# What the gate accepts is signed with the rsa key, whose certificate the configuration names.
prepare_gate() {
	mkdir -p "$root/etc" "$tree/build"
	cp "$KEYS/rsa.pem" "$root/etc"
	echo cert=/etc/rsa.pem >"$root/etc/kernel-sign.conf"
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y "$@" >"$tree/build/.config"
	made=$root/made
}

# made NAME [HASH [OPTION...]]: the module NAME, signed by the rsa key.
made() {
	local name=$1
	shift
	module "$made/$name.ko"
	sign_by_hand "$made/$name.ko" rsa "${@:-sha256}"
}

gate() {
	local wanted=$1
	shift
	dkms "$wanted" gate -k "$V" /made "$@"
	[ -z "$output" ]
}

# refuses NAME WHY: the gate does, in one line that names file and reason, and changes nothing.
refuses() {
	local before
	before=$(manifest "$root")
	gate 1
	warns "^kernel-sign: not to be installed: /made/$1: $2"
	[ "$(grep -c 'not to be installed' <<<"$stderr")" = 1 ]
	[ "$(manifest "$root")" = "$before" ]
	rm "$made/$1"
}

@test "the gate: what is well signed passes without a word" {
	prepare_gate
	made a
	made b sha512
	made by-key-id sha256 -noattr -nocerts -keyid
	made compressed
	zstd -q --rm "$made/compressed.ko"
	gate 0
	[ -z "$stderr" ]
}

@test "the gate: unsigned, unknown, bad and malformed ones do not" {
	prepare_gate
	made good
	module "$made/unsigned.ko"
	refuses unsigned.ko "it is not signed; 'kernel-sign sign -k $V -d /made' signs it\$"
	module "$made/unknown.ko"
	sign_by_hand "$made/unknown.ko" other
	refuses unknown.ko 'it is signed by the other key, whose certificate is not among those accepted here; set cert in /etc/kernel-sign.conf'
	module "$made/bad.ko"
	message rsa sha256 "$KEYS/rsa.pem" >of-something-else
	attach "$made/bad.ko" of-something-else
	refuses bad.ko "bad signature.*; 'kernel-sign sign "
	module "$made/malformed.ko"
	trailer 100000 >>"$made/malformed.ko"
	refuses malformed.ko 'malformed signature: .*past the start of the file'
	gate 0
}

@test "disable says which files of somebody's go on reading ours" {
	dkms_package p
	dkms 0 enable
	echo '. /etc/dkms/kernel-sign.conf' >"$conf/p.conf"
	dkms 0 disable --all
	[ -z "$stderr" ]
	dkms 0 disable
	warns '^kernel-sign: warning: /etc/dkms/p.conf reads /etc/dkms/kernel-sign.conf, which is gone'
	[ -e "$conf/p.conf" ]
}

@test "a package whose name can have no link is not gated, and ends nothing" {
	dkms_package framework 1
	dkms_package a 1
	ks 0 dkms enable --root "$root" a
	ks 0 dkms status --root "$root"
	says '^framework: not gated'
	says '^a: signed and gated'
}

@test "the gate: good signatures that kernels refuse do not" {
	prepare_gate
	made attributes sha256 -nocerts
	refuses attributes.ko 'it has signed attributes, which kernels refuse'
	made pss sha256 -noattr -nocerts -keyopt rsa_padding_mode:pss
	refuses pss.ko 'it is RSA-PSS, which no kernel can check'
	made truncated sha512-256 -noattr -nocerts
	refuses truncated.ko 'its digest is one that no kernel can check'
}

# The last byte of the message is of the longer signature, which is the one by RSA.
@test "the gate: another signer's bad signature does not" {
	prepare_gate
	rm "$root/etc/kernel-sign.conf"
	mkdir -p "$tree/build/certs" "$root/var/lib/dkms"
	cp "$KEYS/rsa.der" "$tree/build/certs/signing_key.x509"
	cp "$KEYS/ec.der" "$root/var/lib/dkms/mok.pub"
	module "$made/a.ko"
	message ec sha256 "$made/a.ko" -noattr -nocerts -signer "$KEYS/rsa.pem" -inkey "$KEYS/rsa.key" >two
	cp "$made/a.ko" keep
	attach "$made/a.ko" two
	gate 0
	python3 -c 'd = bytearray(open("two", "rb").read()); d[-1] ^= 1; open("two", "wb").write(d)'
	mv keep "$made/a.ko"
	attach "$made/a.ko" two
	refuses a.ko "another signer's signature in it is bad"
}

@test "the gate: a container that the kernel's own reader cannot read does not" {
	prepare_gate CONFIG_MODULE_COMPRESS_XZ=y CONFIG_MODULE_DECOMPRESS=y
	made a
	cp "$made/a.ko" a.ko
	xz --check=crc32 "$made/a.ko"
	gate 0
	rm "$made/a.ko.xz"
	xz -c --check=crc64 a.ko >"$made/a.ko.xz"
	refuses a.ko.xz 'its kernel cannot read the file: .*CRC64'
	# The others go through kmod, which reads them.
	xz -c --check=crc64 a.ko >"$made/a.ko.xz"
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y >"$tree/build/.config"
	gate 0
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y CONFIG_MODULE_COMPRESS_ZSTD=y \
		CONFIG_MODULE_DECOMPRESS=y >"$tree/build/.config"
	gate 0
	# Without its size in the header: kmod 34 does not read it, kernels do.
	zstd -q --no-content-size -c <a.ko >"$made/b.ko.zst"
	gate 0
}

@test "the gate: every module that is not to be installed is named, the others are not" {
	prepare_gate
	made good
	module "$made/one.ko"
	module "$made/two.ko"
	echo text >"$made/three.ko"
	gate 1
	warns '/made/one.ko: it is not signed'
	warns '/made/two.ko: it is not signed'
	blames /made/three.ko 'no ELF file'
	[[ $stderr != *good.ko* ]]
}

@test "the gate: names cannot write to the terminal" {
	prepare_gate
	module "$made/"$'evil\e]0;owned\a.ko'
	gate 1
	warns 'evil.x1b\]0;owned.x07.ko: it is not signed'
	not grep -q '[[:cntrl:]]' <<<"$stderr"
}

@test "the gate: a kernel without module signatures takes anything" {
	prepare_gate
	module "$made/a.ko"
	printf '%s\n' CONFIG_MODULES=y '# CONFIG_MODULE_SIG is not set' >"$tree/build/.config"
	gate 0
	[ -z "$stderr" ]
	gate 0 -v
	warns "kernel $V was built without module signatures"
	echo CONFIG_MODULES=y >"$tree/build/.config"
	gate 0
	# Where no config says so, it may want them.
	rm "$tree/build/.config"
	gate 1
	warns '/made/a.ko: it is not signed'
}

@test "the gate: dkms-gate = warn says the same and lets it pass, off says nothing" {
	prepare_gate
	module "$made/a.ko"
	echo dkms-gate=warn >>"$root/etc/kernel-sign.conf"
	gate 0
	warns '^kernel-sign: warning: /made/a.ko: it is not signed'
	[[ $stderr != *'not to be installed'* ]]
	sed -i 's/dkms-gate=.*/dkms-gate = off/' "$root/etc/kernel-sign.conf"
	gate 0
	[ -z "$stderr" ]
	sed -i 's/dkms-gate.*/dkms-gate = refuse/' "$root/etc/kernel-sign.conf"
	gate 1
	sed -i 's/dkms-gate.*/dkms-gate = offf/' "$root/etc/kernel-sign.conf"
	gate 1
	blames /etc/kernel-sign.conf "line 2: 'dkms-gate' cannot be 'offf'"
}

@test "the gate: where it cannot look it refuses" {
	prepare_gate
	mkdir "$made"
	gate 1
	warns 'no module file .* in .*/made$'
	made a
	dkms 1 gate -k no-such-kernel /made
	dkms 1 gate -k "$V" /nowhere
	echo cert=/etc/none.pem >"$root/etc/kernel-sign.conf"
	gate 1
	blames none.pem 'No such file'
	[[ $stderr != *'not to be installed'* ]]
	rm "$root/etc/kernel-sign.conf"
	gate 1
	warns 'is not among those accepted here'
}

@test "the gate: a module that may not be read does not pass" {
	prepare_gate
	made a
	let_nobody_in
	chmod 0 "$made/a.ko"
	not nobody cat "$made/a.ko"
	run --separate-stderr nobody "$KERNEL_SIGN" dkms gate -k "$V" /made --root "$root"
	ended 1
	blames /made/a.ko 'Permission denied'
}

@test "the gate: a link out of the root is no module" {
	prepare_gate
	mkdir "$made"
	reference "$PWD/outside.ko" rsa sha256
	ln -s "$PWD/outside.ko" "$made/a.ko"
	gate 1
	blames /made/a.ko 'No such file'
}
