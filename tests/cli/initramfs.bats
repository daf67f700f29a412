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
		int main(int argc, char **argv)
		{
			FILE *said = fopen("/said", "a");
			char image[256];
			/* A pipe that nobody reads ends it, as it ends others. */
			if (signal(SIGPIPE, SIG_DFL) == SIG_IGN)
				return 9;
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
		"/boot/0123abcd/$V/initrd" "/efi/0123abcd/$V/initrd" "/boot/efi/0123abcd/$V/initrd")
	echo linux-x >"$tree/pkgbase"
	echo 0123abcd >"$root/etc/machine-id"
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
	says "^$image: has old copies of modules \(a\); it has to be made anew$"
	# A name that leads elsewhere is none.
	printf '../../x\n' >"$tree/pkgbase"
	printf '\n' >"$root/etc/machine-id"
	ks 0 status "${here[@]}" --json
	[ "$(jq '.initramfs | length' <<<"$output")" = 5 ]
}

@test "the command is the system's own: dracut's, mkinitcpio's" {
	module updates/a.ko
	ram "$image"
	ks 0 sign "${here[@]}" "${key[@]}"
	: >"$root/usr/bin/mkinitcpio"
	ks 0 status "${here[@]}"
	says "\"chroot $root mkinitcpio -P\" makes it anew$"
	: >"$root/usr/bin/dracut"
	ks 0 status "${here[@]}"
	says "\"chroot $root dracut --force --kver $V\" makes it anew$"
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

@test "--update-initramfs runs nothing in a dry run" {
	updater
	module updates/a.ko
	ram "$image"
	ours 0 sign "${here[@]}" "${key[@]}"
	ours 0 sign "${here[@]}" "${key[@]}" --update-initramfs --dry-run --force
	[ ! -e "$root/said" ]
}

@test "an initramfs that is not made anew is a failure, and the module stays signed" {
	module updates/a.ko
	ram "$image"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: no program that makes an initramfs anew is known here$'
	warns 'old copies of modules \(a\)'
	is_signed "$tree/updates/a.ko"
	# It ends well, and did nothing.
	updater
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: /usr/sbin/update-initramfs ended well, but old copies are still there$'
	# It fails.
	: >"$root/fails"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: /usr/sbin/update-initramfs ended with exit status 3$'
	# It cannot be started.
	echo 'no program' >"$root/usr/sbin/update-initramfs"
	ours 1 sign "${here[@]}" "${key[@]}" --update-initramfs
	warns '^kernel-sign: /usr/sbin/update-initramfs: cannot be started: '
	is_signed "$tree/updates/a.ko"
}
