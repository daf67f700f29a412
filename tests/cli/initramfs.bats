#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Old copies of modules in an initramfs: who says so, and what makes it anew.

load common

setup_file() {
	make_fixtures
	# What stands for update-initramfs: it runs in the root, where there is no shell.
	cat >"$FIXTURES/update.c" <<-'END'
		#include <signal.h>
		#include <stdio.h>
		int main(int argc, char **argv, char **environment)
		{
			FILE *said = fopen("/said", "a");
			char image[256];
			/* A pipe that nobody reads ends it, as it ends others. */
			if (signal(SIGPIPE, SIG_DFL) == SIG_IGN)
				return 9;
			FILE *input = fopen("/said.input", "w");
			char byte;
			fprintf(input, "read %zu bytes\n", fread(&byte, 1, 1, stdin));
			fclose(input);
			FILE *seen = fopen("/said.environment", "w");
			while (*environment)
				fprintf(seen, "%s\n", *environment++);
			fclose(seen);
			for (int i = 0; i < argc; i++)
				fprintf(said, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
			fclose(said);
			puts("as programs do: a line on standard output");
			snprintf(image, sizeof(image), "/boot/initrd.img-%s", argv[3]);
			rename("/next", image);
			return fopen("/fails", "r") ? 3 : 0;
		}
	END
	"${COMPILER[@]}" -static -w -o "$FIXTURES/update" "$FIXTURES/update.c"
}

setup() {
	start_test
	image=/boot/initrd.img-$V
	mkdir -p "$root/boot" "$root/usr/sbin" "$root/usr/bin" "$root/etc"
	# In a namespace where that is root's only, chroot is ours as well.
	own=()
	[ "$(id -u)" = 0 ] || own=(unshare --user --map-root-user)
}

# ram FILE [PACKER...]: an initramfs in FILE, with the modules in updates/ and extra/ as they are.
ram() {
	local file=$1
	shift
	[ $# -gt 0 ] || set -- cat
	rm -rf ram
	mkdir -p "ram/usr/lib/modules/$V"
	cp -r "$tree/updates" "$tree/extra" "ram/usr/lib/modules/$V"
	mkdir -p "$(dirname "$root$file")"
	(cd ram && find . | sort | cpio -o -H newc --quiet | "$@") >"$root$file"
}

updater() { cp "$FIXTURES/update" "$root/usr/sbin/update-initramfs"; }

# ours STATUS ARGUMENT...: ks, as root, which a build in a chroot is not.
ours() {
	local wanted=$1
	shift
	"${own[@]}" true 2>/dev/null || skip "needs root, or a user namespace"
	run --separate-stderr "${own[@]}" "$KERNEL_SIGN" "$@"
	ended "$wanted"
}

outdated() { jq -c "[.initramfs[] | select(.image == \"$1\") | .outdated[]]" <<<"$output"; }

@test "sign and status say which image has old copies, of which modules" {
	local packer
	updater
	for packer in cat 'gzip -n' 'xz --check=crc32' 'zstd -q' 'lz4 -lq'; do
		if [ "${packer%% *}" = lz4 ]; then
			command -v lz4 >/dev/null || continue
			[ "$("$KERNEL_SIGN" --version | grep -c lz4)" = 1 ] || continue
		fi
		module updates/a.ko.xz
		module extra/b.ko
		module extra/c.ko
		ks 0 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/extra/c.ko"
		# shellcheck disable=SC2086 # words
		ram "$image" $packer
		ks 0 status "${here[@]}"
		not says 'old copies'
		ks 0 sign "${here[@]}" "${key[@]}"
		warns "^kernel-sign: warning: $image: has old copies of modules \(a, b\); \"chroot $root update-initramfs -u -k $V\" makes it anew$"
		ks 0 status "${here[@]}"
		says "^$image: has old copies of modules \(a, b\); "
		ks 0 status "${here[@]}" -d "/lib/modules/$V/extra"
		says "^$image: has old copies of modules \(b\); "
		ks 0 status "${here[@]}" --json
		[ "$(outdated "$image")" = "[\"/lib/modules/$V/extra/b.ko\",\"/lib/modules/$V/updates/a.ko.xz\"]" ]
		[ "$(jq -r '.initramfs[].refresh' <<<"$output")" = "chroot $root update-initramfs -u -k $V" ]
		[ "$(jq -r '.initramfs[].kernel' <<<"$output")" = "$V" ]
		# shellcheck disable=SC2086 # words
		ram "$image" $packer
		ks 0 status "${here[@]}" --json
		[ "$(outdated "$image")" = '[]' ]
		[ "$(jq -r '.initramfs[].refresh' <<<"$output")" = null ]
	done
}

@test "every image of a kernel is looked into, wherever distributions lay them" {
	local path images=("$image" "/boot/initramfs-$V.img" "/boot/initrd-$V" "/lib/modules/$V/initrd"
		"/lib/modules/$V/initramfs.img" /boot/initramfs-linux-x.img /boot/initramfs-linux-x-fallback.img
		{/boot,/efi,/boot/efi}/{0123abcd,debian}"/$V/"{initrd,"initrd.img-$V"})
	echo linux-x >"$tree/pkgbase"
	echo 0123abcd >"$root/etc/machine-id"
	mkdir "$root/etc/kernel"
	echo debian >"$root/etc/kernel/entry-token"
	module updates/a.ko
	ram "$image"
	for path in "${images[@]:1}"; do
		mkdir -p "$(dirname "$root$path")"
		cp "$root$image" "$root$path"
	done
	ks 0 sign "${here[@]}" "${key[@]}" --json
	[ "$(jq '.initramfs | length' <<<"$output")" = ${#images[@]} ]
	for path in "${images[@]}"; do
		[ "$(outdated "$path")" = "[\"/lib/modules/$V/updates/a.ko\"]" ]
	done
	# No program that makes one is known: then nothing is named that is not there.
	[ "$(jq -c '[.initramfs[].refresh] | unique' <<<"$output")" = '[null]' ]
	ks 0 status "${here[@]}"
	says "^$image: has old copies of modules \(a\); it has to be made anew, by what made it$"
	# A name that leads elsewhere is none.
	printf '../../x\n' >"$tree/pkgbase"
	printf '\n' | tee "$root/etc/machine-id" >"$root/etc/kernel/entry-token"
	ks 0 status "${here[@]}" --json
	[ "$(jq '.initramfs | length' <<<"$output")" = 5 ]
}

@test "the command is what makes that image: update-initramfs, mkinitcpio, dracut" {
	local fedora=/boot/initramfs-$V.img arch=/boot/initramfs-linux.img entry=/efi/0123abcd/$V/initrd.img-$V
	echo 0123abcd >"$root/etc/machine-id"
	echo linux >"$tree/pkgbase"
	module updates/a.ko
	ram "$image"
	cp "$root$image" "$root$fedora"
	cp "$root$image" "$root$arch"
	mkdir -p "$root${entry%/*}"
	cp "$root$image" "$root$entry"
	ks 0 sign "${here[@]}" "${key[@]}"
	: >"$root/usr/bin/mkinitcpio"
	updater
	ks 0 status "${here[@]}"
	says "^$image: .*\"chroot $root update-initramfs -u -k $V\" makes it anew$"
	says "^$entry: .*\"chroot $root update-initramfs -u -k $V\" makes it anew$"
	says "^$arch: .*\"chroot $root mkinitcpio -P\" makes it anew$"
	says "^$fedora: .*; it has to be made anew, by what made it$"
	: >"$root/usr/bin/dracut"
	ks 0 status "${here[@]}"
	says "^$fedora: .*\"chroot $root dracut --force $fedora $V\" makes it anew$"
	says "^$arch: .*\"chroot $root mkinitcpio -P\" makes it anew$"
	rm "$root/usr/bin/mkinitcpio" "$root/usr/sbin/update-initramfs"
	ks 0 status "${here[@]}"
	says "^$arch: .*\"chroot $root dracut --force $arch $V\" makes it anew$"
	says "^$image: .*\"chroot $root dracut --force $image $V\" makes it anew$"
}

@test "one file under several names is one image" {
	echo 0123abcd >"$root/etc/machine-id"
	mkdir -p "$root/boot/0123abcd/$V"
	ln -s boot "$root/efi"
	ln -s ../boot "$root/boot/efi"
	module updates/a.ko
	ram "/boot/0123abcd/$V/initrd"
	ln "$root/boot/0123abcd/$V/initrd" "$root/boot/initrd-$V"
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(grep -c 'old copies' <<<"$stderr")" = 1 ]
}

@test "of several copies the last counts; thousands of them cost no more than one" {
	module updates/a.ko
	ram /boot/first
	ks 0 sign "${here[@]}" "${key[@]}"
	ram /boot/second
	cat "$root"/boot/{first,second} >"$root$image"
	ks 0 status "${here[@]}"
	not says 'old copies'
	cat "$root"/boot/{second,first} >"$root$image"
	ks 0 status "${here[@]}"
	says 'old copies of modules \(a\)'
	# Each would be unpacked and compared with a module of 30 MB.
	head -c 30000000 /dev/zero >>"$tree/updates/a.ko"
	python3 - "$root$image" "lib/modules/$V/updates/a.ko" <<-'END'
		import sys
		name = sys.argv[2].encode() + b"\0"
		entry = b"070701" + b"".join(b"%08X" % n for n in [1, 0o100644, 0, 0, 1, 0, 8, 0, 0, 0, 0, len(name), 0]) + name
		entry += bytes(-len(entry) % 4) + b"\x7fELF....\0\0\0\0"[:8]
		with open(sys.argv[1], "wb") as file:
		    file.write(entry * 20000)
	END
	run --separate-stderr timeout 20 "$KERNEL_SIGN" status "${here[@]}"
	ended 0
}

@test "an image that is damaged behind an old copy: both are said" {
	module updates/a.ko
	ram "$image"
	head -c 1000 /dev/urandom >>"$root$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	warns "^kernel-sign: warning: $image: has old copies of modules \(a\), and cannot be read to its end; "
}

@test "a /boot that may not be entered is said" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	module updates/a.ko
	ram "$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	let_nobody_in
	chown 0:0 "$root/boot"
	chmod 700 "$root/boot"
	run --separate-stderr nobody "$KERNEL_SIGN" status "${here[@]}"
	ended 0
	says "^whether it has old copies of modules is not known: $image: .*Permission denied$"
}

@test "a long list of modules is cut between two of them" {
	local i
	for i in {100..130}; do
		module "updates/module_with_quite_a_long_name_$i.ko"
	done
	ram "$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	warns 'modules \(module_with_quite_a_long_name_100, .*, module_with_quite_a_long_name_119 and 11 more\); '
}

@test "only what was changed is looked for, and only in a kernel's own directory" {
	module updates/a.ko
	ram "$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	# Nothing to do: then sign does not read images either.
	ks 0 sign "${here[@]}" "${key[@]}"
	not warns 'old copies'
	ks 0 unsign "${here[@]}"
	not warns 'old copies'
	ks 0 sign "${here[@]}" "${key[@]}" --dry-run
	not warns 'old copies'
	ks 0 status "${here[@]}" -d "/lib/modules/$V/updates"
	not says 'old copies'
	mkdir -p "$root/elsewhere"
	module "$root/elsewhere/a.ko"
	ks 0 sign --root "$root" -k "$V" "${key[@]}" -d /elsewhere
	not warns 'old copies'
}

@test "an image that cannot be read is named, and no failure" {
	updater
	module updates/a.ko
	echo 'no archive' >"$root$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	warns "^kernel-sign: warning: whether it has old copies of modules is not known: $image: "
	ks 0 status "${here[@]}" --json
	[[ $(jq -r '.initramfs[].unread' <<<"$output") == "$image: "* ]]
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs
	[ ! -e "$root/said" ]
}

@test "--update-initramfs makes it anew, once, and only if it has to" {
	updater
	module updates/a.ko.zst
	ram "$image"
	ours 0 sign "${here[@]}" "${key[@]}"
	ram /next
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs
	[ "$(<"$root/said")" = "update-initramfs -u -k $V" ]
	not warns 'old copies'
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs
	[ "$(wc -l <"$root/said")" = 1 ]
	# Back again, by unsign.
	cp "$tree/updates/a.ko.zst" signed
	module updates/a.ko.zst
	ram /next
	cp signed "$tree/updates/a.ko.zst"
	ours 0 unsign "${here[@]}" --update-initramfs
	[ "$(wc -l <"$root/said")" = 2 ]
	ks 0 status "${here[@]}" --json
	[ "$(outdated "$image")" = '[]' ]
}

@test "--update-initramfs: its output is no result" {
	updater
	module updates/a.ko
	ram "$image"
	ours 0 sign "${here[@]}" "${key[@]}"
	ram /next
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs --json
	jq -e .summary <<<"$output"
	warns '^as programs do'
	[ "$(outdated "$image")" = '[]' ]
}

@test "--update-initramfs: what makes it reads nothing from our standard input, and stops nobody in the background" {
	module updates/a.ko
	ram "$image"
	ours 0 sign "${here[@]}" "${key[@]}"
	ram /next
	updater
	cat >steps <<-END
		set -m
		"$KERNEL_SIGN" sign ${here[*]} ${key[*]} --update-initramfs &
		wait %1
		echo "ended with $?"
	END
	on_terminal "${own[@]}" bash steps >screen
	cat screen
	grep -q 'already signed' screen
	not grep -q Stopped screen
	[ "$(wc -l <"$root/said")" = 1 ]
	# The module is another now, and whoever calls us in a loop reads on.
	ours 0 unsign "${here[@]}"
	module updates/a.ko
	ram /next
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs <<<'one line'
	grep -q 'read 0 bytes' "$root/said.input"
}

@test "--update-initramfs: what makes it has our environment, but no PIN that is in there" {
	updater
	seen=$root/said.environment
	# anew: signs, and has the image made anew for what is unsigned again.
	anew() {
		module updates/a.ko
		ram /next
		ks 0 sign "${here[@]}" "${key[@]}"
		ram "$image"
		ours 0 unsign "${here[@]}" --update-initramfs
	}
	export KBUILD_SIGN_PIN=5ecret THIS=stays
	export KERNEL_SIGN_KEY='pkcs11:token=x;object=y?pin-value=5ecret' KERNEL_SIGN_CERT='pkcs11:pin-value=5ecret;token=x'
	anew
	grep -qx THIS=stays "$seen"
	not grep -q 5ecret "$seen"
	# What has none is nobody's secret.
	export KERNEL_SIGN_KEY='pkcs11:token=x;object=y' KERNEL_SIGN_CERT=/a/file
	anew
	grep -qxF "KERNEL_SIGN_KEY=$KERNEL_SIGN_KEY" "$seen"
	grep -qx KERNEL_SIGN_CERT=/a/file "$seen"
}

@test "--update-initramfs: a dry run says what it would run, and runs nothing" {
	updater
	module updates/a.ko
	ram "$image"
	ours 0 sign "${here[@]}" "${key[@]}"
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs --dry-run --force
	says "^$image: \"chroot $root update-initramfs -u -k $V\" would make it anew if its copies are old then$"
	[ ! -e "$root/said" ]
}

@test "an initramfs that is not made anew is a failure, and the module stays signed" {
	module updates/a.ko
	ram "$image"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns "^kernel-sign: $image: no program that makes it anew is known here"
	warns 'old copies of modules \(a\)'
	is_signed "$tree/updates/a.ko"
	# It ends well, and did nothing.
	updater
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: the initramfs was made anew, but has old copies still'
	# It fails.
	: >"$root/fails"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns "^kernel-sign: \"chroot $root update-initramfs -u -k $V\" ended with exit status 3, and the initramfs has old"
	# It cannot be started.
	echo 'no program' >"$root/usr/sbin/update-initramfs"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: /usr/sbin/update-initramfs: cannot be started: '
	is_signed "$tree/updates/a.ko"
}
