#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Compressed modules that get another end: how each file was written, what is said of that, and
# signatures that stay beneath.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

readonly FORMS='xz zst gz'

# written NAME COMMAND...: what JSON says of how the file was written.
written() {
	"$KERNEL_SIGN" "${@:2}" --json >json
	NAME=$1 python3 -c '
import json, os
it = json.load(open("json"))
print(*(m["written"] for m in it["modules"] if m["path"].endswith("/" + os.environ["NAME"])))'
}

# growth COMMAND...: of the only module, by JSON.
growth() {
	"$KERNEL_SIGN" "$@" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["modules"][0]["growth"])'
}

size() { stat -c %s "$1"; }

# as_built FORM: a module as the kernel's build compresses it, with the size in zstd's header.
as_built() {
	if [ "$1" = zst ]; then
		zstd -qc "$FIXTURES/plain.ko" >"$tree/extra/a.ko.zst"
	else
		module "extra/a.ko.$1"
	fi
}

# xz_as_built: one thread, as newer versions of xz have several, and another form, by default.
xz_as_built() { xz -T1 -c --check=crc32 --lzma2=dict=1MiB; }

# repack FORM COMMAND...: a module that a command compressed in its own way.
repack() {
	local form=$1
	shift
	"$@" <"$FIXTURES/plain.ko" >"$tree/extra/a.ko.$form"
}

@test "signed, signed anew, unsigned: spliced each time, and the old bytes stay" {
	local form before
	for form in $FORMS; do
		as_built "$form"
		cp "$tree/extra/a.ko.$form" "before.$form"
		[ "$(written "a.ko.$form" sign "${here[@]}" "${key[@]}")" = spliced ]
		is_signed "$tree/extra/a.ko.$form"
		[ "$(written "a.ko.$form" sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash sha384)" = spliced ]
		is_signed "$tree/extra/a.ko.$form" ec sha384
		# All but the header and the last block's mark, of the compressed data.
		before=$(size "before.$form")
		cmp <(tail -c +41 "before.$form" | head -c $((before - 140))) \
			<(tail -c +41 "$tree/extra/a.ko.$form" | head -c $((before - 140)))
		[ "$(written "a.ko.$form" unsign "${here[@]}")" = spliced ]
		is_plain "$tree/extra/a.ko.$form"
		rm "$tree/extra/a.ko.$form"
	done
	no_litter
}

@test "unsigned, an xz file is the old one to the byte" {
	module extra/a.ko.xz
	cp "$tree/extra/a.ko.xz" before
	ks 0 sign "${here[@]}" "${key[@]}"
	not cmp -s "$tree/extra/a.ko.xz" before
	ks 0 unsign "${here[@]}"
	cmp "$tree/extra/a.ko.xz" before
}

@test "the growth that is said is the file's" {
	local form before
	for form in $FORMS; do
		as_built "$form"
		before=$(size "$tree/extra/a.ko.$form")
		[ "$(growth sign "${here[@]}" "${key[@]}")" = $(($(size "$tree/extra/a.ko.$form") - before)) ]
		# The signature (of 40 bytes and a message), and little around it.
		take_apart "$tree/extra/a.ko.$form"
		[ $(($(size "$tree/extra/a.ko.$form") - before - $(size apart/message) - 40)) -le 64 ]
		before=$(size "$tree/extra/a.ko.$form")
		[ "$(growth unsign "${here[@]}")" = $(($(size "$tree/extra/a.ko.$form") - before)) ]
		rm "$tree/extra/a.ko.$form"
	done
}

@test "--verbose says how each was written, and the summary counts" {
	module extra/a.ko
	module extra/b.ko.xz
	as_built zst
	mv "$tree/extra/a.ko.zst" "$tree/extra/c.ko.zst"
	xz -c <"$FIXTURES/plain.ko" >"$tree/extra/d.ko.xz"
	{ head -c 1000 "$FIXTURES/plain.ko" | gzip -nc; tail -c +1001 "$FIXTURES/plain.ko" | gzip -nc; } \
		>"$tree/extra/e.ko.gz"
	ks 0 sign -v "${here[@]}" "${key[@]}"
	says 'a.ko: signed; plain, [0-9]+ bytes more$'
	says 'b.ko.xz: signed; spliced, [0-9]+ bytes more$'
	says 'c.ko.zst: signed; spliced, [0-9]+ bytes more$'
	says 'd.ko.xz: signed; mended and spliced \(a CRC64 checksum\), [0-9]+ bytes more$'
	says 'e.ko.gz: signed; recompressed \(a second member\), [0-9]+ bytes (more|less)$'
	says '^5 signed, 0 failed, of 5 modules \(2 spliced, 1 mended, 1 recompressed\)$'
	ks 0 unsign "${here[@]}"
	not says 'spliced, [0-9]+ bytes'
	says '^5 unsigned, 0 failed, of 5 modules \(4 spliced\)$'
}

@test "nothing is said of what was not written" {
	module extra/a.ko.xz
	ks 0 sign -vn "${here[@]}" "${key[@]}"
	says 'a.ko.xz: would be signed$'
	says '^1 would be signed, 0 failed, of 1 modules$'
	[ "$(written a.ko.xz sign -n "${here[@]}" "${key[@]}")" = None ]
}

@test "what kernels or kmod do not take is mended" {
	for case in 'xz xz -c' 'xz xz -c --check=sha256' 'zst zstd -qc --no-content-size'; do
		read -ra words <<<"$case"
		repack "${words[@]}"
		[ "$(written "a.ko.${words[0]}" sign "${here[@]}" "${key[@]}")" = mended ]
		is_signed "$tree/extra/a.ko.${words[0]}"
		"$KERNEL_SIGN" status --json "${here[@]}" | grep -q '"container_objection": *null'
		[ "$(written "a.ko.${words[0]}" unsign "${here[@]}")" = spliced ]
		is_plain "$tree/extra/a.ko.${words[0]}"
		rm "$tree/extra/a.ko.${words[0]}"
	done
}

@test "zstd behind a skippable frame, as pzstd makes it, is refused with what it is and what helps" {
	{
		printf '\x50\x2a\x4d\x18\x04\0\0\0abcd'
		zstd -cq "$FIXTURES/plain.ko"
	} >"$tree/extra/m.ko.zst"
	before=$(manifest "$root")
	ks 1 sign "${here[@]}" "${key[@]}"
	blames m.ko.zst "the content begins with a skippable frame, as pzstd's does, which neither kernels nor kmod read: zstd -d, and zstd again\$"
	[ "$(manifest "$root")" = "$before" ]
	# That helps.
	zstd -dq "$tree/extra/m.ko.zst"
	zstd -q --rm -f "$tree/extra/m.ko"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/m.ko.zst"
}

@test "what cannot be spliced is compressed anew, as the kernel's build does it" {
	repack xz xz -c --check=crc32 --delta --lzma2
	[ "$(written a.ko.xz sign "${here[@]}" "${key[@]}")" = recompressed ]
	is_signed "$tree/extra/a.ko.xz"
	# The signature is a part of its own even so.
	[ "$(written a.ko.xz unsign "${here[@]}")" = spliced ]
	xz_as_built <"$FIXTURES/plain.ko" | cmp - "$tree/extra/a.ko.xz"
}

@test "--recompress" {
	local form
	for form in $FORMS; do
		as_built "$form"
		[ "$(written "a.ko.$form" sign --recompress "${here[@]}" "${key[@]}")" = recompressed ]
		is_signed "$tree/extra/a.ko.$form"
		[ "$(written "a.ko.$form" unsign --recompress "${here[@]}")" = recompressed ]
		# gzip's header says by whom, and zstd's tool has its own way with small files.
		[ "$form" != xz ] || xz_as_built <"$FIXTURES/plain.ko" | cmp - "$tree/extra/a.ko.xz"
		is_plain "$tree/extra/a.ko.$form"
		rm -f "$tree"/extra/*
	done
}

# as_shipped FORM: a module that a distribution signed and then compressed.
as_shipped() {
	cp "$FIXTURES/plain.ko" shipped.ko
	sign_by_hand shipped.ko other
	pack "a.ko.$1" <shipped.ko >"$tree/extra/a.ko.$1"
}

# is_stacked FILE KEY HASH: a signature by KEY over the module and the shipped signature.
is_stacked() {
	take_apart "$1" && cmp apart/image shipped.ko &&
		openssl cms -verify -binary -inform DER -in apart/message -content apart/image -nointern \
			-noverify -certfile "$KEYS/$2.pem" -out /dev/null
}

@test "--stack: what was compressed along with its module stays, and ours comes off" {
	local form
	for form in $FORMS; do
		as_shipped "$form"
		ks 0 sign -v --stack "${here[@]}" "${key[@]}"
		says "a.ko.$form: signed; (mended and )?spliced.*, [0-9]+ bytes more; what signed it before stays beneath$"
		is_stacked "$tree/extra/a.ko.$form" rsa
		# Signed already, by the outermost one; and without --stack it is not.
		ks 0 sign --stack "${here[@]}" "${key[@]}"
		says "a.ko.$form: already signed$"
		ks 0 status --cert "$KEYS/rsa.pem" --root "$root" "/lib/modules/$V/extra/a.ko.$form"
		says 'older signatures beneath, which count for nothing: 1$'
		# A rotation: the outer one is exchanged, nothing piles up.
		cp "$tree/extra/a.ko.$form" first
		ks 0 sign --stack "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash sha256
		is_stacked "$tree/extra/a.ko.$form" ec
		ks 0 sign --stack "${here[@]}" "${key[@]}"
		is_stacked "$tree/extra/a.ko.$form" rsa
		cmp "$tree/extra/a.ko.$form" first
		# All of them come off where nobody asks for less.
		ks 0 sign "${here[@]}" "${key[@]}"
		says "a.ko.$form: signed$"
		is_signed "$tree/extra/a.ko.$form"
		rm "$tree/extra/a.ko.$form"
	done
}

@test "--stack: JSON counts what came off and what stays" {
	as_shipped xz
	check() {
		"$KERNEL_SIGN" sign --stack --json "${here[@]}" "$@" | python3 -c '
import json, sys
m = json.load(sys.stdin)["modules"][0]
print(m["removed"], m["beneath"], m["written"])'
	}
	[ "$(check "${key[@]}")" = '0 1 spliced' ]
	[ "$(check --key "$KEYS/ec.key" --cert "$KEYS/ec.pem")" = '1 1 spliced' ]
	[ "$("$KERNEL_SIGN" unsign --json "${here[@]}" | grep -c '"removed": *2')" = 1 ]
	is_plain "$tree/extra/a.ko.xz"
}

@test "--stack: off an uncompressed module every signature comes" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/a.ko" ec
	ks 0 sign --stack "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/a.ko"
}

@test "--stack and --recompress contradict each other" {
	module extra/a.ko.xz
	before=$(manifest "$root")
	ks 2 sign --stack --recompress "${here[@]}" "${key[@]}"
	warns 'contradict'
	[ "$(manifest "$root")" = "$before" ]
}

@test "a module with a damaged signature beneath is signed with --stack only" {
	as_shipped xz
	cp shipped.ko damaged.ko
	printf '\377' | dd of=damaged.ko bs=1 seek=$(($(size damaged.ko) - 33)) conv=notrunc status=none
	pack a.ko.xz <damaged.ko >"$tree/extra/a.ko.xz"
	before=$(manifest "$tree")
	ks 1 sign "${here[@]}" "${key[@]}"
	warns 'malformed signature, cannot be removed'
	[ "$(manifest "$tree")" = "$before" ]
	ks 0 sign --stack "${here[@]}" "${key[@]}"
	take_apart "$tree/extra/a.ko.xz"
	cmp apart/image damaged.ko
}

@test "sign-file splices, too" {
	local form
	for form in $FORMS; do
		as_built "$form"
		cp "$tree/extra/a.ko.$form" "before.$form"
		ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/a.ko.$form"
		is_signed "$tree/extra/a.ko.$form"
		cmp <(tail -c +41 "before.$form" | head -c $(($(size "before.$form") - 140))) \
			<(tail -c +41 "$tree/extra/a.ko.$form" | head -c $(($(size "before.$form") - 140)))
		rm "$tree/extra/a.ko.$form"
	done
}
