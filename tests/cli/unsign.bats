#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign unsign: the signatures go, all of them, and nothing else does.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

@test "a plain module signed and unsigned is the old file, byte for byte" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
	ks 0 unsign "${here[@]}"
	cmp "$FIXTURES/plain.ko" "$tree/extra/a.ko"
	says "^/lib/modules/$V/extra/a.ko: unsigned\$"
	says '^1 unsigned, 0 failed, of 1 modules$'
	no_litter
}

@test "a compressed module signed and unsigned has the old content in the same container" {
	local suffix
	for suffix in gz xz zst; do
		module "extra/a.ko.$suffix"
	done
	ks 0 sign "${here[@]}" "${key[@]}"
	ks 0 unsign "${here[@]}"
	for suffix in gz xz zst; do
		is_plain "$tree/extra/a.ko.$suffix"
	done
}

@test "signatures piled up by others all go" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/a.ko" ec sha384
	sign_by_hand "$tree/extra/a.ko" rsa sha512 -keyid
	ks 0 unsign "${here[@]}" --json
	is_plain "$tree/extra/a.ko"
	says '"removed": ?3,'
}

@test "what is not signed keeps its inode and its time" {
	module extra/a.ko
	module extra/b.ko.xz
	before=$(manifest "$root")
	ks 0 unsign "${here[@]}"
	[ "$(manifest "$root")" = "$before" ]
	says '/extra/a.ko: was not signed$'
	says '^2 was not signed, 0 failed, of 2 modules$'
}

@test "unsigning leaves in-tree modules alone, --all does not" {
	in_tree kernel/drivers/a.ko
	sign_by_hand "$tree/kernel/drivers/a.ko" other
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" other
	before=$(identity "$tree/kernel/drivers/a.ko")
	ks 0 unsign "${here[@]}"
	[ "$(identity "$tree/kernel/drivers/a.ko")" = "$before" ]
	is_plain "$tree/extra/b.ko"
	ks 0 unsign "${here[@]}" --all
	is_plain "$tree/kernel/drivers/a.ko"
}

@test "a vendor's signature below kernel/ goes only where it is named or with --force" {
	local name
	for name in left named; do
		module "kernel/drivers/$name.ko"
		sign_by_hand "$tree/kernel/drivers/$name.ko" other
	done
	before=$(identity "$tree/kernel/drivers/left.ko")
	ks 0 unsign "${here[@]}"
	says '/left.ko: left alone, signed by the other key; name it or use --force to remove that$'
	ks 0 unsign "${here[@]}" named
	is_plain "$tree/kernel/drivers/named.ko"
	[ "$(identity "$tree/kernel/drivers/left.ko")" = "$before" ]
	ks 0 unsign "${here[@]}" --force
	is_plain "$tree/kernel/drivers/left.ko"
}

@test "--all on the running system asks for --force" {
	ks 1 unsign --all -k no-such-kernel </dev/null
	warns '^kernel-sign: --all on the running system .*--force'
	[[ $stderr != *no-such-kernel* ]]
}

@test "--dry-run changes nothing" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other
	module extra/b.ko
	before=$(manifest "$root")
	ks 0 unsign "${here[@]}" -n
	[ "$(manifest "$root")" = "$before" ]
	says '/a.ko: would be unsigned$'
	says '/b.ko: is not signed$'
}

@test "a signature that cannot be told from the module stays, and the others go" {
	module extra/a.ko
	trailer 100000 >>"$tree/extra/a.ko"
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" other
	before=$(identity "$tree/extra/a.ko")
	ks 1 unsign "${here[@]}"
	blames a.ko 'malformed signature, cannot be removed: .*past the start of the file'
	[ "$(identity "$tree/extra/a.ko")" = "$before" ]
	is_plain "$tree/extra/b.ko"
}

@test "unsigning by --dir and by path" {
	module "$PWD/made/a.ko"
	sign_by_hand made/a.ko other
	module "$PWD/b.ko"
	sign_by_hand b.ko other
	ks 0 unsign -d made
	is_plain made/a.ko
	ks 0 unsign b.ko
	is_plain b.ko
}

@test "DKMS's copy loses what the module loses" {
	dkms_installs m a.ko
	dkms_installs m b.ko.xz
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$copies/a.ko"
	ks 0 unsign "${here[@]}" -n
	says "^${copies#"$root"}/a.ko: DKMS's copy, would be made the same$"
	is_signed "$copies/a.ko"
	ks 0 unsign "${here[@]}"
	says "^${copies#"$root"}/a.ko: DKMS's copy, was made the same$"
	cmp "$FIXTURES/plain.ko" "$copies/a.ko"
	is_plain "$copies/b.ko.xz"
	cmp "$copies/b.ko.xz" "$tree/updates/dkms/b.ko.xz"
	before=$(manifest "$root")
	ks 0 unsign "${here[@]}"
	[ "$(manifest "$root")" = "$before" ]
}

@test "a copy of DKMS's that alone is signed is unsigned too, but not with --no-dkms" {
	dkms_installs m a.ko
	sign_by_hand "$copies/a.ko" other
	before=$(identity "$copies/a.ko")
	ks 0 unsign "${here[@]}" --no-dkms
	[ "$(identity "$copies/a.ko")" = "$before" ]
	ks 0 unsign "${here[@]}" --json
	[ "$(jq -r '.modules[] | .result + " " + .dkms_result' <<<"$output")" = 'not-signed renewed' ]
	is_plain "$copies/a.ko"
}
