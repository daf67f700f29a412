#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign sign: what gets signed, how, and what is left alone.

load common

setup_file() {
	make_fixtures
	compile foreign -UVERMAGIC '-DVERMAGIC="5.10.0-elsewhere"'
}

setup() { start_test; }

@test "signs modules in every container and adds nothing but a signature" {
	local name
	for name in plain.ko gzip.ko.gz xz.ko.xz zstd.ko.zst; do
		module "updates/dkms/$name"
	done
	ks 0 sign "${here[@]}" "${key[@]}"
	for name in plain.ko gzip.ko.gz xz.ko.xz zstd.ko.zst; do
		is_signed "$tree/updates/dkms/$name"
		says "^/lib/modules/$V/updates/dkms/$name: signed\$"
	done
	says '^4 signed, 0 failed, of 4 modules$'
	[ -z "$stderr" ]
	no_litter
}

@test "containers come back as the kernel's build writes them" {
	module extra/a.ko.gz
	module extra/b.ko.xz
	module extra/c.ko.zst
	ks 0 sign "${here[@]}" "${key[@]}"
	# No name, no time.
	[ "$(head -c 8 "$tree/extra/a.ko.gz" | od -An -tx1)" = ' 1f 8b 08 00 00 00 00 00' ]
	xz --robot -lvv "$tree/extra/b.ko.xz" >list
	[ "$(awk '$1 == "file" { print $2, $7 }' list)" = '1 CRC32' ]
	awk '$1 == "block"' list | grep -q 'dict=1MiB'
	zstd -lv "$tree/extra/c.ko.zst" >list 2>&1
	grep -q '^# Zstandard Frames: 1$' list
	grep -q "Decompressed Size: .*($(unpack "$tree/extra/c.ko.zst" | wc -c) B)" list
}

@test "files of several members, streams or frames are read whole" {
	local size
	size=$(stat -c %s "$FIXTURES/plain.ko")
	head -c 1000 "$FIXTURES/plain.ko" >first
	tail -c +1001 "$FIXTURES/plain.ko" | head -c $((size - 1100)) >second
	tail -c 100 "$FIXTURES/plain.ko" >third
	for suffix in gz xz zst; do
		for piece in first second third; do
			pack ".$suffix" <"$piece"
		done >"$tree/extra/pieces.ko.$suffix"
		is_plain "$tree/extra/pieces.ko.$suffix"
	done
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/pieces.ko.gz"
	is_signed "$tree/extra/pieces.ko.xz"
	is_signed "$tree/extra/pieces.ko.zst"
}

@test "debug sections stay" {
	module extra/a.ko
	grep -qa '\.debug_info' "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	grep -qa '\.debug_info' "$tree/extra/a.ko"
}

@test "an RSA signature is the one that openssl makes, byte for byte, with every hash" {
	local hash
	for hash in sha256 sha384 sha512 sha3-512; do
		module extra/a.ko
		ks 0 sign "${here[@]}" "${key[@]}" --hash "$hash"
		reference wanted rsa "$hash"
		cmp wanted "$tree/extra/a.ko"
	done
}

@test "an ECDSA key signs, a certificate in DER does" {
	module extra/a.ko
	ks 0 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.der" --hash sha384
	is_signed "$tree/extra/a.ko" ec sha384
}

@test "in-tree modules are left alone" {
	in_tree kernel/drivers/a.ko kernel/drivers/b.ko.xz
	module extra/c.ko
	before=$(manifest "$tree/kernel")
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(manifest "$tree/kernel")" = "$before" ]
	is_signed "$tree/extra/c.ko"
	says '^1 signed, 0 failed, of 1 modules$'
}

@test "piled-up signatures all go, and one comes" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/a.ko" ec sha384
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" ec
	sign_by_hand "$tree/extra/b.ko" rsa
	zstd -q --rm "$tree/extra/b.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
	is_signed "$tree/extra/b.ko.zst"
	says '^2 signed, 0 failed'
}

@test "what is already signed keeps its inode and its time" {
	module extra/a.ko
	module extra/b.ko.xz
	ks 0 sign "${here[@]}" "${key[@]}"
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(manifest "$root")" = "$before" ]
	says '/extra/a.ko: already signed$'
	says '/extra/b.ko.xz: already signed$'
	says '^2 already signed, 0 failed, of 2 modules$'
}

@test "what another tool signed with this key and hash is already signed, by key id too" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" rsa sha256 -noattr -nocerts -keyid
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(manifest "$root")" = "$before" ]
	says '^2 already signed'
}

@test "another key or another hash signs anew" {
	module extra/a.ko
	module extra/b.ko
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/b.ko" rsa sha512
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
	is_signed "$tree/extra/b.ko"
	says '^2 signed'
}

@test "a signature by this key that does not hold is replaced" {
	module extra/a.ko
	message rsa sha256 "$KEYS/rsa.pem" >of-something-else
	attach "$tree/extra/a.ko" of-something-else
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
	says '^1 signed'
}

@test "--force signs what is already signed" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa
	before=$(identity "$tree/extra/a.ko")
	ks 0 sign "${here[@]}" "${key[@]}" --force
	[ "$(identity "$tree/extra/a.ko")" != "$before" ]
	is_signed "$tree/extra/a.ko"
	says '/extra/a.ko: signed$'
}

@test "a signature of this key that a kernel would not take is replaced" {
	local name
	module extra/attributes.ko
	sign_by_hand "$tree/extra/attributes.ko" rsa sha256 -nocerts
	module extra/certificates.ko
	sign_by_hand "$tree/extra/certificates.ko" rsa sha256 -noattr
	module extra/padded.ko
	message rsa sha256 "$tree/extra/padded.ko" >padded
	printf '\0\0' >>padded
	attach "$tree/extra/padded.ko" padded
	module extra/two-signers.ko
	sign_by_hand "$tree/extra/two-signers.ko" rsa sha256 -noattr -nocerts \
		-signer "$KEYS/ec.pem" -inkey "$KEYS/ec.key"
	ks 0 sign "${here[@]}" "${key[@]}"
	for name in attributes certificates padded two-signers; do
		is_signed "$tree/extra/$name.ko"
	done
	says '^4 signed, 0 failed'
}

@test "an RSA-PSS signature of this key, which no kernel reads, is replaced" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa sha256 -noattr -nocerts -keyopt rsa_padding_mode:pss
	ks 0 sign "${here[@]}" "${key[@]}"
	reference wanted rsa sha256
	cmp wanted "$tree/extra/a.ko"
}

# A vendor's: below kernel/, but modules.order does not name it.
prebuilt() {
	module "kernel/drivers/$1.ko"
	sign_by_hand "$tree/kernel/drivers/$1.ko" other
}

@test "a vendor's signed module below kernel/ is left alone and reported" {
	prebuilt vendor
	module kernel/drivers/unsigned.ko
	before=$(identity "$tree/kernel/drivers/vendor.ko")
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(identity "$tree/kernel/drivers/vendor.ko")" = "$before" ]
	says '/vendor.ko: left alone, signed by the other key; name it or use --force to replace$'
	is_signed "$tree/kernel/drivers/unsigned.ko"
	says '^1 signed, 1 left alone, 0 failed, of 2 modules$'
}

@test "a vendor's signature outside kernel/ is replaced" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
}

@test "a vendor's signed module below kernel/ is signed where it is named" {
	prebuilt by-path
	prebuilt by_name
	ks 0 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/kernel/drivers/by-path.ko" by-name
	is_signed "$tree/kernel/drivers/by-path.ko"
	is_signed "$tree/kernel/drivers/by_name.ko"
}

@test "a vendor's signed module below kernel/ is signed with --force" {
	prebuilt vendor
	ks 0 sign "${here[@]}" "${key[@]}" --force
	is_signed "$tree/kernel/drivers/vendor.ko"
}

@test "--all signs in-tree modules too, in a root without --force" {
	in_tree kernel/drivers/a.ko kernel/drivers/b.ko.zst
	sign_by_hand "$tree/kernel/drivers/a.ko" other
	module extra/c.ko
	prebuilt vendor
	ks 0 sign "${here[@]}" "${key[@]}" --all
	is_signed "$tree/kernel/drivers/a.ko"
	is_signed "$tree/kernel/drivers/b.ko.zst"
	is_signed "$tree/kernel/drivers/vendor.ko"
	is_signed "$tree/extra/c.ko"
	says '^4 signed'
}

@test "--all on the running system asks for --force before it looks at anything" {
	ks 1 sign --all -k no-such-kernel "${key[@]}" </dev/null
	[ -z "$output" ]
	warns '^kernel-sign: --all on the running system .*--force'
	[[ $stderr != *no-such-kernel* ]]
	ks 1 sign --all --root / -k no-such-kernel "${key[@]}" </dev/null
	warns '^kernel-sign: --all on the running system .*--force'
	ks 1 sign --all --force -k no-such-kernel "${key[@]}" </dev/null
	warns 'no kernel no-such-kernel below /lib/modules'
}

@test "--root by another name of / is the running system too" {
	ks 1 sign --all --root /. -k no-such-kernel "${key[@]}" </dev/null
	warns '^kernel-sign: --all on the running system .*--force'
}

@test "--dry-run changes nothing and says what would be done" {
	module extra/new.ko
	module extra/old.ko
	sign_by_hand "$tree/extra/old.ko" other
	module extra/ours.ko.xz
	ks 0 sign "${here[@]}" "${key[@]}" ours
	prebuilt vendor
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}" --dry-run
	[ "$(manifest "$root")" = "$before" ]
	says '/new.ko: would be signed$'
	says '/old.ko: would be signed$'
	says '/ours.ko.xz: already signed$'
	says '/vendor.ko: would be left alone'
}

@test "--dry-run fails where signing would" {
	module extra/good.ko
	echo text >"$tree/extra/bad.ko"
	before=$(manifest "$root")
	ks 1 sign "${here[@]}" "${key[@]}" -n
	blames bad.ko 'no ELF file'
	[ "$(manifest "$root")" = "$before" ]
}

@test "--quiet says nothing but errors" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}" --quiet
	[ -z "$output$stderr" ]
	is_signed "$tree/extra/a.ko"
	echo text >"$tree/extra/bad.ko"
	ks 1 sign "${here[@]}" "${key[@]}" -q
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	blames bad.ko 'no ELF file'
}

@test "--verbose says which key and hash, and why" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns "key $KEYS/rsa.key \(from the command line\), certificate $KEYS/rsa.pem \"the rsa key\""
	warns 'hash sha256 \(from the command line\)'
}

@test "results are sorted by path and the same with one thread and with eight" {
	local i
	for i in 9 10 1 7 3; do
		module "extra/m$i.ko"
		module "updates/dkms/m$i.ko.zst"
	done
	echo text >"$tree/extra/m5.ko"
	cp -a "$root" again
	ks 1 sign "${here[@]}" "${key[@]}" -j 1
	one=$output$stderr
	grep -o '^/[^:]*' <<<"$output" >order
	[ "$(wc -l <order)" = 10 ]
	sort -c order
	ks 1 sign --root again -k "$V" "${key[@]}" -j 8
	[ "$output$stderr" = "$one" ]
}

@test "one bad file does not stop the others" {
	module extra/a.ko
	echo text >"$tree/extra/b.ko"
	module extra/c.ko
	ks 1 sign "${here[@]}" "${key[@]}" -j 1
	is_signed "$tree/extra/a.ko"
	is_signed "$tree/extra/c.ko"
	[ "$(cat "$tree/extra/b.ko")" = text ]
	blames b.ko 'no ELF file'
	says '^2 signed, 1 failed, of 3 modules$'
}

@test "a module made for another kernel is signed, with a warning" {
	module extra/a.ko foreign
	module extra/b.ko
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko" rsa sha256 foreign
	warns "warning: .*/extra/a.ko: made for another kernel \(vermagic '5.10.0-elsewhere "
	[[ $stderr != *b.ko* ]]
}

@test "--dir signs the module files directly in it, and no others" {
	module "$PWD/made/a.ko"
	module "$PWD/made/b.ko.xz"
	module "$PWD/made/deeper/c.ko"
	cp "$FIXTURES/plain.ko" made/d.ko.orig
	module extra/e.ko
	ks 0 sign "${key[@]}" -d made
	is_signed made/a.ko
	is_signed made/b.ko.xz
	is_plain made/deeper/c.ko
	is_plain made/d.ko.orig
	is_plain "$tree/extra/e.ko"
}

@test "a path on the host is taken from the working directory" {
	module "$PWD/a.ko"
	module "$PWD/b.ko"
	module "$PWD/c.ko"
	ks 0 sign "${key[@]}" a.ko ./b.ko
	is_signed a.ko
	is_signed b.ko
	is_plain c.ko
}

@test "the target of a symlink is signed and the link stays" {
	module "$tree/elsewhere/a.ko"
	ln -s ../elsewhere/a.ko "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/extra/a.ko"
	[ "$(readlink "$tree/extra/a.ko")" = ../elsewhere/a.ko ]
	[ ! -L "$tree/elsewhere/a.ko" ]
	is_signed "$tree/elsewhere/a.ko"
}

@test "results that cannot be written are an error, and the modules are signed all the same" {
	module extra/a.ko
	run --separate-stderr sh -c '"$@" >/dev/full' sh "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	warns '^kernel-sign: standard output: No space left'
	is_signed "$tree/extra/a.ko"
}

@test "without a key anywhere nothing is touched" {
	module extra/a.ko
	before=$(manifest "$root")
	ks 1 sign "${here[@]}"
	warns '^kernel-sign: no signing key found: .*--key.*KERNEL_SIGN_KEY.*/etc/kernel-sign.conf'
	[ "$(manifest "$root")" = "$before" ]
}

@test "--max-size bounds what a module may hold" {
	module extra/a.ko
	module extra/b.ko.xz
	before=$(manifest "$tree/extra")
	ks 1 sign "${here[@]}" "${key[@]}" --max-size 2K
	blames a.ko 'more than the limit of 2048'
	blames b.ko.xz 'limit of 2048 bytes \(--max-size\)'
	[ "$(manifest "$tree/extra")" = "$before" ]
	ks 0 sign "${here[@]}" "${key[@]}" --max-size "$(stat -c %s "$tree/extra/a.ko")"
}
