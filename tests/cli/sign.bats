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
	says '^4 signed, 0 failed, of 4 modules \(2 spliced, 1 mended\)$'
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

# --- a container that kernels cannot read

@test "a signed module in a container that kernels cannot read is written anew" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa
	cp "$tree/extra/a.ko" plain
	xz --check=crc64 "$tree/extra/a.ko"
	xz -c --check=sha256 plain >"$tree/extra/b.ko.xz"
	xz -c --check=crc32 plain >"$tree/extra/c.ko.xz"
	before=$(identity "$tree/extra/c.ko.xz")
	ks 0 sign "${here[@]}" "${key[@]}" -n
	says '/a.ko.xz: would be signed$'
	says '/b.ko.xz: would be signed$'
	says '/c.ko.xz: already signed$'
	ks 0 sign "${here[@]}" "${key[@]}"
	says '/a.ko.xz: signed$'
	for name in a b; do
		is_signed "$tree/extra/$name.ko.xz"
		[ "$(xz --robot -l "$tree/extra/$name.ko.xz" | awk '$1 == "file" { print $7 }')" = CRC32 ]
	done
	[ "$(identity "$tree/extra/c.ko.xz")" = "$before" ]
	ks 0 sign "${here[@]}" "${key[@]}"
	says '^3 already signed, 0 failed, of 3 modules$'
}

# --- DKMS's copies of what it has installed

# same NAME: whether the module and DKMS's copy, in $copies, are byte for byte the same.
same() { cmp "$tree/updates/dkms/$1" "$copies/$1"; }

@test "DKMS's copy gets what the module gets, in every container" {
	local name
	for name in a.ko b.ko.gz c.ko.xz d.ko.zst; do
		dkms_installs m "$name"
	done
	ks 0 sign "${here[@]}" "${key[@]}"
	for name in a.ko b.ko.gz c.ko.xz d.ko.zst; do
		is_signed "$tree/updates/dkms/$name"
		same "$name"
		says "^/var/lib/dkms/m/1/$V/x86_64/module/$name: DKMS's copy, was made the same\$"
	done
	says '^4 signed, 0 failed, of 4 modules \(2 spliced, 1 mended\)$'
	[ -z "$stderr" ]
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}"
	[ "$(manifest "$root")" = "$before" ]
	[[ $output != *copy* ]]
	no_litter
}

@test "DKMS's copy follows a module that is signed already" {
	dkms_installs m a.ko
	sign_by_hand "$tree/updates/dkms/a.ko" rsa
	sign_by_hand "$copies/a.ko" other
	before=$(identity "$tree/updates/dkms/a.ko")
	ks 0 sign "${here[@]}" "${key[@]}"
	says '/a.ko: already signed$'
	says "/a.ko: DKMS's copy, was made the same$"
	[ "$(identity "$tree/updates/dkms/a.ko")" = "$before" ]
	same a.ko
}

@test "DKMS's copy: JSON names it and says what became of it" {
	local name
	for name in differs same signed; do
		dkms_installs m "$name.ko"
	done
	cp "$FIXTURES/foreign.ko" "$copies/differs.ko"
	reference "$copies/same.ko" rsa sha256
	cp "$copies/same.ko" "$tree/updates/dkms/"
	module extra/none.ko
	ks 0 sign "${here[@]}" "${key[@]}" --json
	[ "$(jq -r '.modules[] | [.dkms_copy, .dkms_result] | map(. // "-") | join(" ")' <<<"$output")" = \
		"- -
/var/lib/dkms/m/1/$V/x86_64/module/differs.ko differs
/var/lib/dkms/m/1/$V/x86_64/module/same.ko same
/var/lib/dkms/m/1/$V/x86_64/module/signed.ko renewed" ]
}

@test "the kernel package's module of the same name is no other build of DKMS's" {
	dkms_installs m a.ko
	module kernel/drivers/a.ko foreign
	echo kernel/drivers/a.ko >>"$tree/modules.order"
	ks 0 sign "${here[@]}" "${key[@]}" --all
	says "/kernel/drivers/a.ko: signed"
	not warns 'another build'
	cmp "$copies/a.ko" "$tree/updates/dkms/a.ko"
}

@test "DKMS's copy is left alone where it is another build, with a warning" {
	dkms_installs m a.ko
	cp "$FIXTURES/foreign.ko" "$copies/a.ko"
	before=$(identity "$copies/a.ko")
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/updates/dkms/a.ko"
	[ "$(identity "$copies/a.ko")" = "$before" ]
	warns "warning: .*/updates/dkms/a.ko: DKMS's copy .*/module/a.ko is another build of it: left alone"
}

@test "--no-dkms leaves DKMS's copies alone" {
	dkms_installs m a.ko
	before=$(manifest "$root/var")
	ks 0 sign "${here[@]}" "${key[@]}" --no-dkms --json
	is_signed "$tree/updates/dkms/a.ko"
	[ "$(manifest "$root/var")" = "$before" ]
	[ "$(jq -c '.modules[] | [.dkms_copy, .dkms_result]' <<<"$output")" = '[null,null]' ]
}

@test "--dry-run says what would become of DKMS's copy, and changes nothing" {
	dkms_installs m a.ko
	dkms_installs m b.ko
	reference "$tree/updates/dkms/b.ko" rsa sha256
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}" -n
	says "/module/a.ko: DKMS's copy, would be made the same$"
	says "/module/b.ko: DKMS's copy, would be made the same$"
	[ "$(manifest "$root")" = "$before" ]
	ks 0 sign "${here[@]}" "${key[@]}"
	ks 0 sign "${here[@]}" "${key[@]}" -n
	[[ $output != *copy* ]]
}

@test "copies for other kernels stay, also where a kernel's name begins alike" {
	dkms_installs m a.ko
	local other
	for other in "$V-rc" "${V%t}" 5.10; do
		mkdir -p "$root/var/lib/dkms/m/1/$other/x86_64/module"
		cp "$copies/a.ko" "$root/var/lib/dkms/m/1/$other/x86_64/module/"
		ln -s "1/$other/x86_64" "$root/var/lib/dkms/m/kernel-$other-x86_64"
	done
	ks 0 sign "${here[@]}" "${key[@]}"
	same a.ko
	for other in "$V-rc" "${V%t}" 5.10; do
		is_plain "$root/var/lib/dkms/m/1/$other/x86_64/module/a.ko"
	done
}

@test "what DKMS has built and not installed stays, as does a link that leads nowhere" {
	dkms_installs m a.ko
	rm "$root/var/lib/dkms/m/kernel-$V-x86_64"
	dkms_package n
	ln -s "9/$V/x86_64" "$root/var/lib/dkms/n/kernel-$V-x86_64"
	before=$(manifest "$root/var")
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/updates/dkms/a.ko"
	[ "$(manifest "$root/var")" = "$before" ]
}

@test "of two packages with a module of one name the right one's copy follows" {
	dkms_installs b a.ko foreign
	dkms_installs c a.ko
	dkms_installs d a.ko foreign
	cp "$FIXTURES/plain.ko" "$tree/updates/dkms/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$root/var/lib/dkms/c/1/$V/x86_64/module/a.ko"
	is_plain "$root/var/lib/dkms/b/1/$V/x86_64/module/a.ko" foreign
	is_plain "$root/var/lib/dkms/d/1/$V/x86_64/module/a.ko" foreign
	[ -z "$stderr" ]
}

@test "with symlink_modules the copy is the module" {
	dkms_installs m a.ko
	ln -sf "/var/lib/dkms/m/1/$V/x86_64/module/a.ko" "$tree/updates/dkms/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}" --json
	[ -L "$tree/updates/dkms/a.ko" ]
	is_signed "$copies/a.ko"
	[ "$(jq -r '.modules[] | [.path, .dkms_copy, .dkms_result] | join(" ")' <<<"$output")" = \
		"${copies#"$root"}/a.ko ${copies#"$root"}/a.ko same" ]
	ks 0 sign "${here[@]}" "${key[@]}" --force -n
	[[ $output != *"DKMS's copy"* ]]
}

@test "a copy that is a hard link of the module becomes a file of its own, and the same" {
	dkms_installs m a.ko
	ln -f "$copies/a.ko" "$tree/updates/dkms/a.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/updates/dkms/a.ko"
	same a.ko
}

@test "a file of the same name elsewhere is not what DKMS installed" {
	dkms_installs m a.ko
	module "$root/home/a.ko"
	module "$tree-rc/updates/dkms/a.ko"
	before=$(manifest "$root/var")
	ks 0 sign "${here[@]}" "${key[@]}" /home/a.ko "/lib/modules/$V-rc/updates/dkms/a.ko"
	is_signed "$root/home/a.ko"
	is_signed "$tree-rc/updates/dkms/a.ko"
	[ "$(manifest "$root/var")" = "$before" ]
	ks 0 sign "${key[@]}" --root "$root" -k "$V" -d /home --force
	[ "$(manifest "$root/var")" = "$before" ]
	ks 0 sign "${here[@]}" "${key[@]}" a
	same a.ko
	is_signed "$copies/a.ko"
}

@test "a copy that cannot follow is a failure of its module, and of no other" {
	dkms_installs m a.ko
	dkms_installs m b.ko
	echo text >"$copies/a.ko"
	ks 1 sign "${here[@]}" "${key[@]}"
	blames a.ko "its copy in DKMS's tree stays different: /var/lib/dkms/.*/a.ko: .*no ELF file"
	is_signed "$tree/updates/dkms/a.ko"
	[ "$(cat "$copies/a.ko")" = text ]
	is_signed "$copies/b.ko"
	says '^1 signed, 1 failed, of 2 modules$'
	ks 1 sign "${here[@]}" "${key[@]}" --json
	[ "$(jq -r '.modules[0] | [.result, .dkms_copy, .dkms_result] | map(. // "-") | join(" ")' \
		<<<"$output")" = 'failed - -' ]
}

@test "a tree of DKMS's that may not be written is a failure, and the copy stays" {
	dkms_installs m a.ko
	let_nobody_in
	chmod 555 "$copies"
	not nobody touch "$copies/x"
	before=$(manifest "$root/var")
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	blames a.ko "its copy in DKMS's tree stays different: .*Permission denied"
	[ "$(manifest "$root/var")" = "$before" ]
	chmod 755 "$copies"
}

@test "a copy for which the disk has no room stays as it is" {
	dkms_installs m a.ko
	sign_by_hand "$tree/updates/dkms/a.ko" rsa
	before=$(manifest "$root")
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' bash \
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	blames a.ko "its copy in DKMS's tree stays different: .*File too large"
	[ "$(manifest "$root")" = "$before" ]
	no_litter
}

@test "DKMS's tree is where its configuration says, inside the root" {
	dkms_installs m a.ko
	mkdir -p "$root/srv" "$root/etc/dkms/framework.conf.d" outside
	mv "$root/var/lib/dkms" "$root/srv/dkms tree"
	cp -a "$root/srv/dkms tree/m" outside
	ln -s "$PWD/outside" "$root/var/lib/dkms"
	copies="$root/srv/dkms tree/m/1/$V/x86_64/module"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_plain "$copies/a.ko"
	echo 'dkms_tree="/srv/dkms tree"' >"$root/etc/dkms/framework.conf.d/tree.conf"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$copies/a.ko"
	same a.ko
	is_plain "outside/m/1/$V/x86_64/module/a.ko"
}

@test "a vendor's module that is left alone has its copy left alone" {
	dkms_installs m vendor.ko
	prebuilt vendor
	rm "$tree/updates/dkms/vendor.ko"
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${key[@]}"
	says '/vendor.ko: left alone'
	[ "$(manifest "$root")" = "$before" ]
}

@test "with -k all every kernel's copies follow" {
	local other=$root/var/lib/dkms/m/1/5.0/x86_64/module
	dkms_installs m a.ko
	module "$root/lib/modules/5.0/updates/dkms/a.ko"
	module "$other/a.ko"
	ln -s 1/5.0/x86_64 "$root/var/lib/dkms/m/kernel-5.0-x86_64"
	ks 0 sign --root "$root" -k all "${key[@]}"
	is_signed "$copies/a.ko"
	same a.ko
	is_signed "$other/a.ko"
	cmp "$other/a.ko" "$root/lib/modules/5.0/updates/dkms/a.ko"
}

# --- what the threads that read modules may open

has_landlock() { "$KERNEL_SIGN" sign -v "${here[@]}" "${key[@]}" -n 2>&1 | grep -q 'Landlock, version'; }

# confined COMMAND...: how often a thread confines itself while the program runs.
confined() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=landlock_restrict_self "$KERNEL_SIGN" "$@" >/dev/null
	grep -c 'landlock_restrict_self.*= 0' trace || true
}

@test "modules are read by confined threads" {
	for i in 1 2 3 4 5 6; do module "extra/$i.ko.xz"; done
	has_landlock || skip "this kernel has no Landlock"
	[ "$(confined sign -j3 "${here[@]}" "${key[@]}")" = 3 ]
	[ "$(confined sign -j1 "${here[@]}" "${key[@]}" --force)" = 1 ]
	[ "$(confined verify -j2 "${here[@]}" --cert "$KEYS/rsa.pem")" = 2 ]
	[ "$(confined status -j2 "${here[@]}")" = 2 ]
	[ "$(confined unsign -j2 "${here[@]}" --no-confine)" = 0 ]
}

@test "a confined thread reaches modules by links, and DKMS's copies, and nothing that is not its own" {
	module weak/real.ko.xz
	mkdir -p "$tree/extra" elsewhere
	mv "$tree/weak" "$root/opt"
	ln -s /opt/real.ko.xz "$tree/extra/linked.ko.xz"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$root/opt/real.ko.xz"
	[ -L "$tree/extra/linked.ko.xz" ]
	ks 1 sign --root "$root" /nowhere/at/all.ko "${key[@]}"
	warns '/nowhere/at/all.ko: .*No such file'
}
