#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign doctor: what it makes of a kernel, a key and modules, and which steps it ends with.

load common
load kernel

setup_file() {
	make_fixtures
}

setup() {
	start_test
	start_kernel
	started_by_shim
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	image "$DEBIAN" ec
	doctor=(doctor "${here[@]}" --efivars "$efi")
}

# dkms_key NAME: the pair NAME as the key of DKMS.
dkms_key() {
	mkdir -p "$root/var/lib/dkms"
	cp "$KEYS/$1.key" "$root/var/lib/dkms/mok.key"
	cp "$KEYS/$1.der" "$root/var/lib/dkms/mok.pub"
}

# Others get "sudo" in front of the steps, and can give no file away.
needs_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

steps() { jq -r '.steps[] | .command // .why' <<<"$output"; }

# One line of steps() each, as patterns.
has_steps() {
	local step
	mapfile -t step < <(steps)
	printf 'step: %s\n' "${step[@]}"
	[ ${#step[@]} -eq $# ] || return
	for line in "${step[@]}"; do
		grep -qE -- "$1" <<<"$line" || return
		shift
	done
}

@test "without a key: make one, sign, enrol" {
	needs_root
	module extra/a.ko
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = 'unsigned module' ]
	[ "$(jq -r '.modules[].load.errno' <<<"$output")" = EPERM ]
	[ "$(jq -r .key.key <<<"$output")" = null ]
	has_steps "^\(umask 077; .*openssl req .*$root/var/lib/dkms/mok.key" \
		"^kernel-sign sign --root $root -k $V\$" "^kernel-sign enroll --root $root -k $V --efivars $efi\$"
	ks 0 "${doctor[@]}"
	says "^kernel +$V: signatures are enforced"
	says '^key +none: '
	says "^module +/lib/modules/$V/extra/a.ko: refused, .Loading of unsigned module is rejected.* \(EPERM\)$"
	says '^modules +0 of 1 will load$'
	says '^  3\. kernel-sign enroll'
}

@test "the first step, as it stands there, makes a key that the next one signs with" {
	needs_root
	module extra/a.ko
	ks 0 "${doctor[@]}" --json
	bash -c "$(steps | head -n 1)" 2>/dev/null
	[ "$(stat -c %a "$root/var/lib/dkms/mok.key")" = 600 ]
	ks 0 "${doctor[@]}" --json
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(steps | head -n 1)"
	openssl x509 -inform DER -in "$root/var/lib/dkms/mok.pub" -out mok.pem
	ks 0 verify --root "$root" --cert mok.pem "/lib/modules/$V/extra/a.ko"
	# As MokManager would have it.
	cp "$root/var/lib/dkms/mok.pub" "$KEYS/mok.der"
	listed mok | variable MokListRT "$SHIM"
	ks 0 "${doctor[@]}"
	says '^modules +1 of 1 will load$'
	says '^There is nothing to do\.$'
}

@test "signed, not enrolled: enrolling is all there is to do" {
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = 'not trusted' ]
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = 'module with unavailable key' ]
	has_steps "^kernel-sign enroll --root $root -k $V --efivars $efi\$"
}

@test "programs that are not there are named in the steps that need them" {
	local own=(unshare --mount) bin=$BATS_TEST_TMPDIR/bin wanting
	[ "$(id -u)" = 0 ] || own=(unshare --user --map-root-user --mount)
	"${own[@]}" true 2>/dev/null || skip "no mounts for us"
	module extra/a.ko
	mkdir "$bin"
	cp "$KERNEL_SIGN" program # which may be in /usr/bin itself
	for wanting in openssl,mokutil mokutil ''; do
		# shellcheck disable=SC2016 # for the shell in the namespace
		output=$("${own[@]}" sh -c 'mount --bind "$1" /usr/bin; shift; exec "$@"' sh "$bin" \
			"$PWD/program" "${doctor[@]}" --json)
		[ "$(jq -r '[.steps[].why | capture("; there is no /usr/bin/(?<it>[a-z]+) yet$").it] | join(",")' \
			<<<"$output")" = "$wanting" ]
		: >"$bin/openssl"
		[ "$wanting" = openssl,mokutil ] || : >"$bin/mokutil"
	done
}

@test "enrolment that waits for MokManager needs a restart, and no second import" {
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	listed rsa | variable MokNew "$SHIM"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = 'waits to be enrolled' ]
	has_steps '^systemctl reboot$'
}

# next_of MODULE: what status names as the first thing to do.
next_of() {
	ks 0 status "${here[@]}" --efivars "$efi" --json "$1" >/dev/null
	jq -r '.modules[].load.next[0]' <<<"$output"
}

@test "enrolled already, on a kernel that nobody has read: it is not enrolled again" {
	local where
	image mockbuild@fedoraproject.org ec
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	for where in "MokListRT $SHIM" "db $SECURITY"; do
		# shellcheck disable=SC2086 # two words
		listed rsa | variable $where
		# That would change nothing, or fail.
		run "$KERNEL_SIGN" enroll "${here[@]}" --efivars "$efi" -n
		[[ $output == *'nobody knows whether'* ]]
		ks 0 "${doctor[@]}" --json
		[ "$(jq -r .key.standing <<<"$output")" = unknown ]
		has_steps "^/var/lib/dkms/mok.pub is enrolled \\(${where%% *}\\), and nobody knows whether that counts for $V \\(built by mock.*: ask as root while it runs, or try modprobe there\$"
		[[ $(next_of a) == "/var/lib/dkms/mok.pub is enrolled (${where%% *}), and nobody knows"* ]]
		rm "$efi/${where/ /-}"
	done
	ks 0 "${doctor[@]}" --json
	has_steps '^kernel-sign enroll '
}

@test "enrolled, where that does not count: it is not enrolled again" {
	config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y
	dkms_key rsa
	listed rsa | variable MokListRT "$SHIM"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	secure_boot '\0'
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = 'not used' ]
	has_steps '^/var/lib/dkms/mok.pub is enrolled \(MokListRT\), which counts under Secure Boot only: turn that on$'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y
	[[ $(next_of a) == *'under Secure Boot only: if the kernel will enforce signatures, turn that on' ]]
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y
	[[ $(next_of a) == *'under Secure Boot only: turn that on, or take module.sig_enforce=1 '* ]]
	rm "$efi/MokListRT-$SHIM"
	secure_boot '\1'
	printf '\1' | variable MokIgnoreDB "$SHIM"
	listed rsa | variable db "$SECURITY"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = 'not used' ]
	has_steps '^/var/lib/dkms/mok.pub is enrolled \(db\), which does not count for .* \(MokIgnoreDB\), .*: sign with another key \(--key, --cert\)$'
}

@test "revoked in a list that the kernel does not heed: mokutil takes it no more" {
	dkms_key rsa
	listed rsa | variable dbx "$SECURITY"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 1 enroll "${here[@]}" --efivars "$efi"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = 'not trusted' ]
	has_steps 'mokutil takes none that is revoked: sign with another key'
}

@test "enrolment that waits does not help without Secure Boot, or without shim" {
	config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	listed rsa | variable MokNew "$SHIM"
	secure_boot '\0'
	ks 0 "${doctor[@]}" --json
	has_steps '^/var/lib/dkms/mok.pub waits to be enrolled \(MokNew\), which counts under Secure Boot only: turn that on$'
	[[ $(next_of a) == *'counts under Secure Boot only'* ]]
	secure_boot '\1'
	[ "$(next_of a)" = 'systemctl reboot' ]
	rm "$efi"/SbatLevelRT-*
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	ks 0 "${doctor[@]}" --json
	has_steps "^shim, which has the machine owner keys, did not start this system: "
	[[ $(next_of a) == 'shim, '* ]]
}

@test "a key that the next boot takes away" {
	dkms_key rsa
	listed rsa | variable MokListRT "$SHIM"
	listed rsa | variable MokDel "$SHIM"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}"
	says '^ +its certificate .*: trusted \(MokDel: to be removed at the next boot\)$'
	says '^modules +1 of 1 will load$'
	not grep -q 'nothing to do' <<<"$output"
	ks 0 "${doctor[@]}" --json
	has_steps "^kernel-sign enroll --root $root -k $V --efivars $efi\$"
	[[ $(jq -r '.steps[].why' <<<"$output") == 'takes back the request to remove it (MokDel)'* ]]
	[[ $(next_of a) == 'kernel-sign enroll '* ]]
	# So where nobody knows what the kernel makes of it.
	image mockbuild@fedoraproject.org ec
	[[ $(next_of a) == 'kernel-sign enroll '* ]]
	image "$DEBIAN" ec
	# A module by another key loses nothing.
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" ec sha256
	[ "$(next_of b)" = null ]
	listed rsa | variable db "$SECURITY"
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
}

@test "the steps, as they stand there, lead to a module that loads" {
	local step
	module extra/a.ko
	mkdir bin
	cat >bin/mokutil <<-END
		#!/bin/bash
		. "$BATS_TEST_DIRNAME/kernel.bash"
		KEYS=$PWD efi=\$EFIVARFS_PATH
		cat "\$2" >mok.der
		listed mok | variable MokNew "\$SHIM"
	END
	chmod +x bin/mokutil
	ks 0 "${doctor[@]}" --json
	mapfile -t step < <(steps)
	[ ${#step[@]} = 3 ]
	step[2]="${step[2]} --efivars $efi"
	for step in "${step[@]}"; do
		PATH=$PWD/bin:$(dirname "$KERNEL_SIGN"):$PATH bash -c "$step" 2>>log
	done
	cmp mok.der "$root/var/lib/dkms/mok.pub"
	ks 0 "${doctor[@]}" --json
	has_steps '^systemctl reboot$'
	mv "$efi/MokNew-$SHIM" "$efi/MokListRT-$SHIM"
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
}

@test "machine owner keys need shim" {
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	rm "$efi"/SbatLevelRT-*
	ks 0 "${doctor[@]}" --json
	has_steps "^shim, which has the machine owner keys, did not start this system: .*, or enrol that in the firmware's db\$"
	# What enroll finds is the same.
	ks 1 enroll "${here[@]}" --efivars "$efi"
	warns 'started this system without shim'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y
	ks 0 doctor "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none" --json
	has_steps '^without UEFI a kernel trusts what it was built with: build it with /var/lib/dkms/mok.pub in CONFIG'
}

@test "a key that is trusted only signs" {
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" other sha256
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.standing <<<"$output")" = trusted ]
	has_steps "^kernel-sign sign --root $root -k $V\$"
	ks 0 "${doctor[@]}" --json "/lib/modules/$V/extra/b.ko"
	has_steps "^kernel-sign sign --root $root -k $V /lib/modules/$V/extra/b.ko\$"
}

@test "a revoked key does not help" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y \
		CONFIG_SYSTEM_REVOCATION_LIST=y
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	listed rsa | variable dbx "$SECURITY"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = revoked ]
	[ "$(jq -r .key.standing <<<"$output")" = refused ]
	has_steps "certificate is revoked: sign with another key"
}

@test "a digest that the kernel has not is not signed with again" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = 'module with unsupported crypto' ]
	has_steps "^kernel-sign sign --root $root -k $V --hash sha256\$"
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(steps)"
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
}

@test "the initramfs has the module as it was" {
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module updates/a.ko.xz
	mkdir -p "ram/lib/modules/$V/updates"
	cp "$tree/updates/a.ko.xz" "ram/lib/modules/$V/updates"
	(cd ram && find . | cpio -o -H newc --quiet | gzip -n) >"$root/boot/initrd.img-$V"
	mkdir -p "$root/usr/sbin"
	: >"$root/usr/sbin/update-initramfs"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -c '[.initramfs[].outdated[]]' <<<"$output")" = '[]' ]
	has_steps '^kernel-sign sign ' "^chroot $root update-initramfs -u -k $V\$"
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.initramfs[].outdated[]' <<<"$output")" = "/lib/modules/$V/updates/a.ko.xz" ]
	has_steps "^chroot $root update-initramfs -u -k $V\$"
	# Another container of the same bytes is no other module.
	xz -dc "$tree/updates/a.ko.xz" >"ram/lib/modules/$V/updates/a.ko"
	rm "ram/lib/modules/$V/updates/a.ko.xz"
	(cd ram && find . | cpio -o -H newc --quiet | gzip -n) >"$root/boot/initrd.img-$V"
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
}

@test "a kernel that enforces nothing needs nothing" {
	config '# CONFIG_MODULE_SIG is not set'
	module extra/a.ko
	ks 0 "${doctor[@]}"
	says 'loads: this kernel checks no signatures|^modules +1 of 1 will load$'
	says '^There is nothing to do\.$'
}

@test "packages that DKMS installs without a look are told" {
	dkms_package some
	mkdir -p "$root/etc/dkms"
	ks 0 dkms install-files "$root"
	module extra/a.ko
	ks 0 "${doctor[@]}" --json
	[ "$(jq -c .dkms_not_gated <<<"$output")" = '["some"]' ]
}

@test "names and paths go into commands as a shell takes them" {
	dkms_key rsa
	mkdir "$root/x y"
	module "$root/x y/it's.ko"
	ks 0 "${doctor[@]}" --json "/x y/it's.ko"
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(steps | head -n 1)"
	ks 0 verify --root "$root" --cert "$KEYS/rsa.pem" "/x y/it's.ko"
}

@test "one kernel at a time, and one that is there" {
	ks 2 doctor --root "$root" -k all
	warns 'one kernel at a time'
	ks 1 doctor --root "$root" -k 9.9
	warns 'no kernel 9\.9'
	ks 1 "${doctor[@]}" --json nowhere
	jq -e .steps <<<"$output"
}

@test "what an ordinary user cannot see is said" {
	needs_root
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa sha256
	let_nobody_in
	chmod -R a+rX "$root" "$efi"
	chmod 600 "$root/boot/vmlinuz-$V"
	chown 0:0 "$root/boot/vmlinuz-$V"
	not nobody cat "$root/boot/vmlinuz-$V"
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r '.modules[].load.verdict' <<<"$output")" = unknown ]
	[[ $(jq -r '.unseen[]' <<<"$output") == *"Permission denied"* ]]
	has_steps 'ask again as root'
}

@test "a key that is there is never written over" {
	needs_root
	module extra/a.ko
	ks 0 "${doctor[@]}" --json
	first=$(steps | head -n 1)
	dkms_key rsa
	before=$(manifest "$root/var/lib/dkms")
	bash -c "$first" 2>/dev/null
	[ "$(manifest "$root/var/lib/dkms")" = "$before" ]
	# Which of the keys is meant, nobody can tell: no other one is made.
	mkdir -p "$root/etc"
	echo 'kye = /keys/rsa.key' >"$root/etc/kernel-sign.conf"
	ks 0 "${doctor[@]}" --json
	has_steps 'key to sign with cannot be found: .*kernel-sign\.conf'
}

@test "a signature that the kernel takes is not replaced" {
	dkms_key rsa
	listed other | variable db "$SECURITY"
	module extra/a.ko
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" other sha256
	ks 0 "${doctor[@]}" --json
	[ "$(jq -c '[.modules[].load.verdict]' <<<"$output")" = '["refused when enforced","loads"]' ]
	has_steps "^kernel-sign sign --root $root -k $V /lib/modules/$V/extra/a.ko\$" '^kernel-sign enroll '
}

@test "modules of a directory are named" {
	dkms_key rsa
	module "$root/built/a.ko"
	module extra/b.ko
	ks 0 "${doctor[@]}" --json --dir /built
	has_steps "^kernel-sign sign --root $root -k $V /built/a.ko\$" '^kernel-sign enroll '
	in_tree kernel/drivers/c.ko
	ks 0 "${doctor[@]}" --json --all
	has_steps "^kernel-sign sign .* /lib/modules/$V/kernel/drivers/c.ko\$" '^kernel-sign enroll '
}

@test "a key of a type that the kernel has not is not enrolled" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y \
		'# CONFIG_CRYPTO_ECDSA is not set'
	dkms_key ec
	module extra/a.ko
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" --json
	has_steps 'cannot use a key of that type'
}

@test "built for another version where symbols decide: nobody knows, and nothing is claimed" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODVERSIONS=y
	compile foreign '-DVERMAGIC="6.0.0-other"'
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko foreign
	ks 0 sign "${here[@]}" --hash sha256
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.modules[].load.verdict' <<<"$output")" = unknown ]
	has_steps
	ks 0 "${doctor[@]}"
	says '^modules +0 of 1 will load, 1 may$'
	says '^What to do about that is not known\.$'
}

@test "more than three steps: the others are not forgotten" {
	needs_root
	module updates/a.ko
	mkdir -p "ram/lib/modules/$V/updates" "$root/usr/sbin"
	cp "$tree/updates/a.ko" "ram/lib/modules/$V/updates"
	(cd ram && find . | cpio -o -H newc --quiet) >"$root/boot/initrd.img-$V"
	: >"$root/usr/sbin/update-initramfs"
	ks 0 "${doctor[@]}" --json
	[ "$(jq '.steps | length' <<<"$output")" -eq 3 ]
	[ "$(jq .more_steps <<<"$output")" = true ]
	ks 0 "${doctor[@]}"
	says '^Then ask again: there is more to do\.$'
}

@test "what of DKMS and the initramfs cannot be read is null, and said" {
	module updates/a.ko
	echo 'no archive' >"$root/boot/initrd.img-$V"
	ks 0 "${doctor[@]}" --json
	[[ $(jq -r '.initramfs[].unread' <<<"$output") == *initrd.img* ]]
}

# The kernel is another one now, and every module here made for the old one.
rename_kernel() {
	mv "$tree" "$root/lib/modules/$1"
	image_of "$1" "$DEBIAN" ec
	doctor=(doctor --root "$root" -k "$1" --efivars "$efi" --json)
}

has_dkms() {
	mkdir -p "$root/usr/sbin"
	: >"$root/usr/sbin/dkms"
}

@test "a filter that the kernel's own reader has not is compressed away" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y \
		CONFIG_MODULE_DECOMPRESS=y CONFIG_MODULE_COMPRESS_XZ=y
	mkdir -p "$root/usr/lib"
	: >"$root/usr/lib/libkmod.so.2.5.0" # kmod 33, which leaves that to the kernel
	ln -s libkmod.so.2.5.0 "$root/usr/lib/libkmod.so.2"
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko
	module extra/b.ko
	xz --check=crc32 --x86 --lzma2 "$tree/extra/a.ko"
	ks 0 "${doctor[@]}" --json a
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = container ]
	has_steps "^kernel-sign sign --root $root -k $V --recompress --force /lib/modules/$V/extra/a.ko.xz\$"
	# What is but to be signed is not compressed anew with it.
	ks 0 "${doctor[@]}" --json
	has_steps "^kernel-sign sign --root $root -k $V /lib/modules/$V/extra/b.ko\$" \
		"^kernel-sign sign --root $root -k $V --recompress --force /lib/modules/$V/extra/a.ko.xz\$"
	# It stays the step for what is signed already.
	ks 0 sign "${here[@]}"
	[ "$(next_of b)" = null ]
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(next_of a)"
	ks 0 "${doctor[@]}"
	says '^modules +2 of 2 will load$'
	says '^There is nothing to do\.$'
}

# spoil FILE WHAT: a signed plain module's signature, so that nobody can tell where it starts, or what it is.
spoil() {
	local size length byte
	size=$(stat -c %s "$1")
	length=0
	for byte in $(tail -c 32 "$1" | head -c 4 | od -An -tu1); do
		length=$((length << 8 | byte))
	done
	case $2 in
	length) printf '\177\377\377\377' | dd of="$1" bs=1 seek=$((size - 32)) conv=notrunc status=none ;;
	algorithm) printf '\1' | dd of="$1" bs=1 seek=$((size - 40)) conv=notrunc status=none ;;
	message) printf '1' | dd of="$1" bs=1 seek=$((size - 40 - length)) conv=notrunc status=none ;;
	esac
}

@test "a signature that cannot be taken off is signed over" {
	local what form
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	for what in length algorithm message; do
		for form in '' .xz; do
			rm -f "$tree"/extra/*
			module extra/a.ko
			sign_by_hand "$tree/extra/a.ko" rsa sha256
			spoil "$tree/extra/a.ko" $what
			[ -z "$form" ] || {
				pack a.ko.xz <"$tree/extra/a.ko" >"$tree/extra/a.ko.xz"
				rm "$tree/extra/a.ko"
			}
			ks 1 sign "${here[@]}"
			blames "a.ko$form" 'malformed signature, cannot be removed: .*; kernel-sign sign --stack signs over it$'
			ks 1 unsign "${here[@]}"
			blames "a.ko$form" 'malformed signature, cannot be removed: .*; install or build the module anew$'
			[ "$(next_of a)" = "kernel-sign sign --root $root -k $V --stack /lib/modules/$V/extra/a.ko$form" ]
			ks 0 "${doctor[@]}" --json
			has_steps "^kernel-sign sign --root $root -k $V --stack /lib/modules/$V/extra/a.ko$form\$"
			PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(steps)"
			ks 0 "${doctor[@]}"
			says '^There is nothing to do\.$'
		done
	done
	# A new key, with the spoilt one still beneath.
	dkms_key other
	listed other | variable db "$SECURITY"
	ks 0 "${doctor[@]}" --json
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(steps)"
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
	# One that is whole, if odd, comes off.
	rm "$tree"/extra/*
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other sha256 -nocerts
	[ "$(next_of a)" = "kernel-sign sign --root $root -k $V /lib/modules/$V/extra/a.ko" ]
	# DKMS's copy goes with it.
	dkms_installs some c.ko
	sign_by_hand "$copies/c.ko" other sha256
	spoil "$copies/c.ko" message
	cp "$copies/c.ko" "$tree/updates/dkms/c.ko"
	PATH=$(dirname "$KERNEL_SIGN"):$PATH bash -c "$(next_of c)"
	cmp "$copies/c.ko" "$tree/updates/dkms/c.ko"
	[ "$(next_of c)" = null ]
	# What nobody knows to be malformed needs nothing that is known.
	rm "$tree"/extra/*
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" ec sha256 -noattr
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y '# CONFIG_CRYPTO_ECDSA is not set'
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.modules[0].load | .verdict + ", " + .cause' <<<"$output")" = 'unknown, malformed signature' ]
	[ "$(next_of a)" = null ]
	# The kernel's package has a better one.
	in_tree kernel/drivers/b.ko
	sign_by_hand "$tree/kernel/drivers/b.ko" ec sha256
	spoil "$tree/kernel/drivers/b.ko" length
	[[ $(next_of b) == 'b: changed since it was signed: '* ]]
}

# As a damaged disk would, or somebody who wants in.
change() { sed -i 's/license=GPL/license=GPX/' "$tree/$1"; }

@test "what was changed since the distribution signed it is not signed as it is" {
	dkms_key rsa
	listed rsa other | variable db "$SECURITY"
	in_tree kernel/drivers/base.ko kernel/drivers/vendor.ko
	module extra/far.ko
	sign_by_hand "$tree/kernel/drivers/base.ko" ec sha256
	sign_by_hand "$tree/kernel/drivers/vendor.ko" other sha256
	sign_by_hand "$tree/extra/far.ko" ec sha256
	change kernel/drivers/base.ko
	change kernel/drivers/vendor.ko
	change extra/far.ko
	ks 0 "${doctor[@]}" base
	says 'base.ko: refused, enforced or not: the signature does not belong to these bytes: '
	says '^  1. base: changed since it was signed: install the package that it came in anew$'
	ks 0 "${doctor[@]}" --json base vendor far
	has_steps '^far, base, vendor: changed since it was signed: install the package'
	[[ $(next_of base) == 'base: changed since'* ]]
}

@test "what was changed since our own key signed it may be signed by who changed it" {
	dkms_key rsa
	in_tree kernel/drivers/a.ko
	module extra/b.ko
	ks 0 sign "${here[@]}" --all
	change kernel/drivers/a.ko
	change extra/b.ko
	listed rsa | variable db "$SECURITY"
	ks 0 "${doctor[@]}" --json a b
	has_steps '^kernel-sign sign .*/extra/b.ko .*/kernel/drivers/a.ko$'
	[[ $(jq -r '.steps[].why' <<<"$output") == *'only if you changed it yourself (strip, say)'* ]]
	# With that key built in, as whoever builds a kernel has it, it is no other one's.
	rm "$efi/db-$SECURITY"
	image "$DEBIAN" rsa
	[[ $(next_of b) == 'kernel-sign sign '* ]]
}

@test "a kernel's name goes into commands as a shell takes it" {
	odd="$V;>pwned"
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	dkms_installs some a.ko
	ks 0 sign "${here[@]}"
	has_dkms
	rename_kernel "$odd"
	ks 0 "${doctor[@]}"
	has_steps "^chroot $root dkms autoinstall -k '$odd'\$"
}

@test "built for another kernel: DKMS builds what is its own, where there is a DKMS" {
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	dkms_installs some a.ko
	module extra/mine.ko
	ks 0 sign "${here[@]}"
	rename_kernel 6.2.0-test
	ks 0 "${doctor[@]}"
	has_steps '^mine, a: to be built for 6.2.0-test, with its headers$'
	has_dkms
	ks 0 "${doctor[@]}"
	has_steps "^chroot $root dkms autoinstall -k 6.2.0-test\$" '^mine: to be built for 6.2.0-test, with its headers$'
	ks 0 "${doctor[@]}" a
	has_steps "^chroot $root dkms autoinstall -k 6.2.0-test\$"
	# That leaves alone what DKMS has installed for this kernel.
	mv "$root/var/lib/dkms/some/1/$V" "$root/var/lib/dkms/some/1/6.2.0-test"
	ln -sfn "1/6.2.0-test/x86_64" "$root/var/lib/dkms/some/kernel-6.2.0-test-x86_64"
	ks 0 "${doctor[@]}" a
	has_steps '^a: to be built for 6.2.0-test, with its headers$'
}

@test "what does not fit in the vermagic is said" {
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	compile options '-DVERMAGIC="6.1.0-test PREEMPT_RT"'
	compile older '-DVERMAGIC="6.0.9"'
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko options
	module extra/b.ko older
	ks 0 sign "${here[@]}"
	ks 0 "${doctor[@]}" b
	says "b.ko: refused, enforced or not: its vermagic \"6.0.9 SMP preempt mod_unload \" is of another version than $V \\(ENOEXEC\\)\$"
	in_tree kernel/drivers/own.ko
	ks 0 "${doctor[@]}" a
	says "a.ko: refused, enforced or not: its vermagic \"$V PREEMPT_RT SMP preempt mod_unload \" is not this kernel's \"$V SMP preempt mod_unload \" \\(ENOEXEC\\)\$"
}

@test "no second key is made because an ordinary user cannot see the first" {
	needs_root
	module extra/a.ko
	mkdir -p "$root/etc/pki/akmods/private" "$root/etc/pki/akmods/certs"
	cp "$KEYS/rsa.key" "$root/etc/pki/akmods/private/private_key.priv"
	cp "$KEYS/rsa.der" "$root/etc/pki/akmods/certs/public_key.der"
	let_nobody_in
	chmod -R a+rX "$root" "$efi"
	chmod 700 "$root/etc/pki/akmods/private"
	chown -R 0:0 "$root/etc/pki/akmods/private"
	not nobody cat "$root/etc/pki/akmods/private/private_key.priv"
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r .key.key <<<"$output")" = null ]
	has_steps '^there may be a key where only root can look: ask again as root$'
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.key <<<"$output")" = /etc/pki/akmods/private/private_key.priv ]
}

@test "a PIN in a key's URI is in nothing that is said" {
	module extra/a.ko
	mkdir -p "$root/etc"
	# Whatever could speak to tokens is not there: what it leaves behind at the end is its own.
	export OPENSSL_ENGINES=$PWD OPENSSL_MODULES=$PWD
	echo 'key = pkcs11:token=nowhere;object=it?pin-value=oh-5ecret&pin-value=oh-5ecret' >"$root/etc/kernel-sign.conf"
	ks 0 "${doctor[@]}"
	says 'pkcs11:token=nowhere;object=it[?]pin-value=[.]{3}&pin-value=[.]{3}'
	[[ $output$stderr != *5ecret* ]]
	ks 0 "${doctor[@]}" --json
	[[ $output$stderr != *5ecret* ]]
}

# spoilt FAULT: what sign says of the key, doctor says too, and advises no step that fails for it.
spoilt() {
	ks 1 sign "${here[@]}"
	warns "$1"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = no ]
	jq -r .key.usable_why <<<"$output" | grep -E -- "$1"
	has_steps "^sign cannot use the key: .*$1.*: mend that, or sign with another one \(--key, --cert\)$"
	ks 0 "${doctor[@]}"
	says "$1"
}

@test "a key that sign cannot use is told, and no step that would fail" {
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko
	ks 0 "${doctor[@]}" --json
	[ "$(jq -c '.key | [.usable, .usable_why]' <<<"$output")" = '["yes",null]' ]
	has_steps '^kernel-sign sign '
	mok=$root/var/lib/dkms
	cp "$KEYS/other.der" "$mok/mok.pub"
	spoilt 'mok.key: /var/lib/dkms/mok.pub: the certificate does not belong to the private key'
	dkms_key rsa
	chmod 666 "$mok/mok.key"
	spoilt 'mok.key: others can write to the private key'
	dkms_key rsa
	chmod 600 "$mok/mok.key"
	echo junk >"$mok/mok.key"
	spoilt 'mok.key: no private key in it'
	openssl genpkey -algorithm ed25519 -out "$mok/mok.key"
	openssl req -new -x509 -key "$mok/mok.key" -subj '/CN=the odd key' -outform DER -out "$mok/mok.pub"
	spoilt 'mok.key: ED25519 keys cannot sign modules'
	dkms_key rsa
	rm "$mok/mok.pub"
	spoilt 'mok.pub: .*No such file'
	[ "$(jq -r .key.why <<<"$("$KERNEL_SIGN" "${doctor[@]}" --json)")" != null ]
	echo junk >"$mok/mok.pub"
	spoilt 'mok.pub: no certificate in it'
}

@test "a key that others can read is one for sign, unless the configuration says otherwise" {
	dkms_key rsa
	module extra/a.ko
	chmod 644 "$root/var/lib/dkms/mok.key"
	ks 0 "${doctor[@]}" --json
	warns 'warning: /var/lib/dkms/mok.key: the private key is open to others'
	[ "$(jq -r .key.usable <<<"$output")" = yes ]
	mkdir -p "$root/etc"
	echo 'key-permissions = strict' >"$root/etc/kernel-sign.conf"
	spoilt 'mok.key: the private key is open to others'
}

@test "what is signed already needs no key that works" {
	dkms_key rsa
	module extra/a.ko
	ks 0 sign "${here[@]}"
	echo junk >"$root/var/lib/dkms/mok.key"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = no ]
	has_steps '^kernel-sign enroll '
}

@test "nobody is asked for a key's passphrase, and the key is not called faulty" {
	dkms_key rsa
	module extra/a.ko
	openssl pkey -in "$KEYS/rsa.key" -aes128 -passout pass:oh-5ecret -out "$root/var/lib/dkms/mok.key"
	# It may not even be tried where it is known.
	export KBUILD_SIGN_PIN=another
	run on_terminal "$KERNEL_SIGN" "${doctor[@]}"
	[ "$status" = 0 ]
	says "not tried: /var/lib/dkms/mok.key: the private key is encrypted; its passphrase is not asked for here"
	[[ $output != *'Passphrase of'* && $output != *another* ]]
	says '^  1\. kernel-sign sign '
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	has_steps '^kernel-sign sign ' '^kernel-sign enroll '
	# Nor for that of a file with key and certificate.
	mkdir -p "$root/etc"
	openssl pkcs12 -export -inkey "$KEYS/rsa.key" -in "$KEYS/rsa.pem" -passout pass:oh-5ecret -out "$root/etc/it.p12"
	echo 'key = /etc/it.p12' >"$root/etc/kernel-sign.conf"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	has_steps '^kernel-sign sign ' 'kernel-sign enroll --cert FILE$'
	chmod 666 "$root/etc/it.p12"
	KBUILD_SIGN_PIN=oh-5ecret spoilt 'it.p12: others can write to the private key'
}

@test "keys on tokens and in TPMs are not tried" {
	module extra/a.ko
	mkdir -p "$root/etc"
	cp "$KEYS/rsa.der" "$root/etc/it.der"
	printf '%s\n' 'key = pkcs11:token=nowhere;object=it?pin-value=oh-5ecret' 'cert = /etc/it.der' \
		>"$root/etc/kernel-sign.conf"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	has_steps '^kernel-sign sign ' '^kernel-sign enroll '
	printf -- '-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n' >"$root/etc/it.tpm"
	chmod 600 "$root/etc/it.tpm"
	printf '%s\n' 'key = /etc/it.tpm' 'cert = /etc/it.der' >"$root/etc/kernel-sign.conf"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	[[ $(jq -r .key.usable_why <<<"$output") == *'in a TPM, which is not tried here' ]]
	has_steps '^kernel-sign sign ' '^kernel-sign enroll '
}

@test "that an ordinary user may not read a key is no fault of it" {
	needs_root
	dkms_key rsa
	module extra/a.ko
	let_nobody_in
	chown 0:0 "$root"/var/lib/dkms/mok.*
	not nobody cat "$root/var/lib/dkms/mok.key"
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	[ "$(jq -r .key.usable_why <<<"$output")" = '/var/lib/dkms/mok.key: open: Permission denied' ]
	has_steps '^kernel-sign sign ' '^kernel-sign enroll '
	chmod 600 "$root/var/lib/dkms/mok.pub"
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r .key.usable <<<"$output")" = unknown ]
	has_steps "^only root may read the key's certificate: ask again as root\$"
}

# core_first FILE COMMAND...: when the file of that name is read, no core dump can be any more.
core_first() {
	local file=$1
	shift
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=prlimit64,setrlimit,openat "$KERNEL_SIGN" "$@" >/dev/null || true
	grep -E "RLIMIT_CORE, .*rlim_max=0|openat\([0-9]+, \"$file\", O_RDONLY" trace
	[[ $(grep -E "RLIMIT_CORE, .*rlim_max=0|openat\([0-9]+, \"$file\", O_RDONLY" trace | head -n 1) == *RLIMIT_CORE* ]]
	grep -qE "openat\([0-9]+, \"$file\", O_RDONLY" trace
}

@test "no core dump once a private key is read, also one that stands with its certificate" {
	module extra/a.ko
	dkms_key rsa
	core_first mok.key "${doctor[@]}"
	mkdir -p "$root/etc"
	cat "$KEYS/rsa.key" "$KEYS/rsa.pem" >"$root/etc/both.pem"
	echo 'key = /etc/both.pem' >"$root/etc/kernel-sign.conf"
	core_first both.pem "${doctor[@]}"
	core_first both.pem status "${here[@]}" a
	core_first both.pem verify "${here[@]}" a
	core_first both.pem enroll "${here[@]}" --efivars "$efi" -n
}

@test "status and verify leave the private key alone" {
	dkms_key rsa
	module extra/a.ko
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=openat "$KERNEL_SIGN" status "${here[@]}" a >/dev/null
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace.2 -e trace=openat "$KERNEL_SIGN" verify "${here[@]}" a >/dev/null || true
	grep -q '"mok.pub", O_RDONLY' trace trace.2
	not grep '"mok.key", O_RDONLY' trace trace.2
}

@test "what was not found or read is not said to need nothing" {
	dkms_key rsa
	listed rsa | variable db "$SECURITY"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	for name in nosuch 'a nosuch' /no/such.ko; do
		# shellcheck disable=SC2086 # two names
		ks 1 "${doctor[@]}" $name
		says '^Not all modules were found or read\.$'
		not says 'nothing to do|not known'
		# shellcheck disable=SC2086
		ks 1 "${doctor[@]}" --json $name
		[ "$(jq -c '[.modules_complete, .steps]' <<<"$output")" = '[false,[]]' ]
	done
	[ "$(jq -r '.modules[0].error' <<<"$output")" = '/no/such.ko: open: No such file or directory' ]
	echo junk >"$tree/extra/b.ko"
	ks 1 "${doctor[@]}"
	says '^Not all modules were found or read\.$'
	ks 0 "${doctor[@]}" --json a
	[ "$(jq -c .modules_complete <<<"$output")" = true ]
	ks 0 "${doctor[@]}" a
	says '^There is nothing to do\.$'
	# None at all is no fault.
	rm "$tree"/extra/*
	ks 0 "${doctor[@]}"
	says '^There is nothing to do\.$'
}

@test "a config that an ordinary user may not read is not called absent" {
	needs_root
	mv "$tree/build/.config" "$root/boot/config-$V"
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa sha256
	let_nobody_in
	chmod -R a+rX "$root" "$efi"
	for hidden in boot "boot/config-$V"; do
		chown 0:0 "$root/$hidden"
		chmod go= "$root/$hidden"
		not nobody cat "$root/boot/config-$V"
		output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
		[ "$(jq -r '.unseen[] | select(startswith("kernel config: "))' <<<"$output")" = \
			"kernel config: /boot/config-$V: open: Permission denied" ]
		[ "$(jq -r '.modules[].load.why' <<<"$output")" = 'no config of this kernel could be read' ]
		has_steps '^ask again as root, who may see what this user cannot$'
		output=$(nobody "$KERNEL_SIGN" status "${here[@]}" --efivars "$efi" a)
		says 'kernel .*: unknown: no config of this kernel could be read$'
		says 'next +ask again as root'
		run --separate-stderr nobody "$KERNEL_SIGN" trust "${here[@]}" --efivars "$efi"
		warns "not seen: kernel config: /boot/config-$V: open: Permission denied"
		chmod go=rX "$root/$hidden"
	done
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r '.unseen | length' <<<"$output")" = 0 ]
	[ "$(jq -r '.modules[].load.cause' <<<"$output")" = 'module with unavailable key' ]
	# Root has nothing to ask again for, and one that is not there is no secret.
	rm "$root/boot/config-$V"
	ks 0 "${doctor[@]}" --json
	[ "$(jq -r '.unseen | length' <<<"$output")" = 0 ]
	has_steps
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r '.unseen | length' <<<"$output")" = 0 ]
	has_steps
}

@test "a config that can be read makes up for one that cannot" {
	needs_root
	module extra/a.ko
	echo CONFIG_MODULES=y >"$root/boot/config-$V"
	let_nobody_in
	chmod -R a+rX "$root" "$efi"
	chown 0:0 "$root/boot/config-$V"
	chmod 600 "$root/boot/config-$V"
	not nobody cat "$root/boot/config-$V"
	output=$(nobody "$KERNEL_SIGN" "${doctor[@]}" --json)
	[ "$(jq -r '.unseen | length' <<<"$output")" = 0 ]
}

@test "a module that an ordinary user may not read is one for root" {
	needs_root
	module extra/a.ko
	let_nobody_in
	chmod -R a+rX "$root" "$efi"
	chown 0:0 "$tree/extra/a.ko"
	chmod 600 "$tree/extra/a.ko"
	not nobody cat "$tree/extra/a.ko"
	run --separate-stderr nobody "$KERNEL_SIGN" "${doctor[@]}" --json
	ended 1
	has_steps '^ask again as root, who may see what this user cannot$'
}
