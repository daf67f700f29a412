#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign status: reads signatures and changes nothing.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

# row MODULE: the table's line for it, single blanks.
row() { grep -E "^$1 " <<<"$output" | tr -s ' '; }

# One value of a module in the JSON output.
value() { jq -er ".modules[] | select(.module == \"$1\") | $2" <<<"$output"; }

serial() { openssl x509 -in "$KEYS/$1.pem" -noout -serial | sed 's/serial=//' | tr A-F a-f; }

key_id() {
	openssl x509 -in "$KEYS/$1.pem" -noout -ext subjectKeyIdentifier | sed -n 's/[ :]//g; 2p' |
		tr A-F a-f
}

@test "a table of the out-of-tree modules, with container, signer and hash" {
	in_tree kernel/drivers/hidden.ko
	module extra/unsigned.ko
	module updates/dkms/a-signed.ko
	sign_by_hand "$tree/updates/dkms/a-signed.ko" rsa sha256
	xz --check=crc32 "$tree/updates/dkms/a-signed.ko"
	before=$(manifest "$root")
	ks 0 status "${here[@]}" --cert "$KEYS/rsa.pem"
	[ "$(head -n 1 <<<"$output" | tr -s ' ')" = 'MODULE WHERE CONTAINER VERDICT LOADS SIGNER KEY HASH' ]
	[ "$(row a_signed)" = "a_signed updates/dkms xz good unknown the rsa key serial $(serial rsa) sha256" ]
	[[ "$(row unsigned)" == 'unsigned extra none unsigned'* ]]
	says '^2 modules, 1 unsigned, 1 good$'
	[[ $output != *hidden* ]]
	[ -z "$stderr" ]
	[ "$(manifest "$root")" = "$before" ]
}

@test "--all shows in-tree modules too" {
	in_tree kernel/drivers/a.ko.gz
	module extra/b.ko
	ks 0 status "${here[@]}" --all
	[[ "$(row a)" == 'a kernel/drivers gzip unsigned'* ]]
	[[ "$(row b)" == 'b extra none unsigned'* ]]
}

@test "a key-id signer is shown by its key id" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" ec sha384 -noattr -nocerts -keyid
	ks 0 status "${here[@]}"
	[ "$(row a)" = "a extra none unknown signer unknown key $(key_id ec) $(key_id ec) sha384" ]
	ks 0 status "${here[@]}" --cert "$KEYS/ec.pem"
	[ "$(row a)" = "a extra none good unknown the ec key $(key_id ec) sha384" ]
}

@test "several signers have a line each" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa sha256 -noattr -nocerts -signer "$KEYS/ec.pem" \
		-inkey "$KEYS/ec.key"
	ks 0 status "${here[@]}"
	[ "$(grep -cE 'the (rsa|ec) key' <<<"$output")" = 2 ]
	says '^1 module, 1 unknown signer$'
}

@test "JSON says the same and more" {
	module extra/a-b.ko.zst
	module extra/s.ko
	sign_by_hand "$tree/extra/s.ko" ec sha384
	module extra/k.ko
	sign_by_hand "$tree/extra/k.ko" rsa sha512 -noattr -nocerts -keyid
	ks 0 status "${here[@]}" --json
	[ "$(jq '.modules | length' <<<"$output")" = 3 ]
	[ "$(value a_b .path)" = "/lib/modules/$V/extra/a-b.ko.zst" ]
	[ "$(value a_b .kernel)" = "$V" ]
	[ "$(value a_b .where)" = extra ]
	[ "$(value a_b .container)" = zstd ]
	[ "$(value a_b .verdict)" = unsigned ]
	[ "$(value a_b '.signers | length')" = 0 ]
	[ "$(value s .verdict)" = 'unknown signer' ]
	[ "$(value s '.signers[0].name')" = 'the ec key' ]
	[ "$(value s '.signers[0].issuer')" = 'CN=the ec key' ]
	[ "$(value s '.signers[0].serial')" = "$(serial ec)" ]
	[ "$(value s '.signers[0].hash')" = sha384 ]
	[ "$(value s '.signers[0].algorithm')" = ecdsa-with-SHA384 ]
	[ "$(value s '.signers[0] | .key_id == null')" = true ]
	[ "$(value k '.signers[0].key_id')" = "$(key_id rsa)" ]
	[ "$(value k '.signers[0].algorithm')" = rsaEncryption ]
	[ "$(value k '.signers[0] | .name == null and .serial == null')" = true ]
}

@test "the outermost of several signatures is the one shown" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/a.ko" rsa
	ks 0 status "${here[@]}" --json
	[ "$(value a '.signers | length')" = 1 ]
	[ "$(value a '.signers[0].name')" = 'the rsa key' ]
}

@test "a malformed signature is shown as such, and that is an answer" {
	module extra/a.ko
	trailer 100000 >>"$tree/extra/a.ko"
	module extra/b.ko
	echo no message >junk
	attach "$tree/extra/b.ko" junk
	ks 0 status "${here[@]}"
	[[ "$(row a)" == 'a extra none malformed'* ]]
	[[ "$(row b)" == 'b extra none malformed'* ]]
	blames a.ko 'malformed signature: .*past the start of the file'
	blames b.ko 'malformed signature: .*not valid ASN.1'
	ks 0 status "${here[@]}" --json
	[ "$(value a .verdict)" = malformed ]
	value b .fault | grep -q 'not valid ASN.1'
}

@test "an unreadable module is reported, the others are shown, the status is 1" {
	echo text >"$tree/extra/bad.ko"
	module extra/good.ko
	ks 1 status "${here[@]}"
	blames bad.ko 'no ELF file'
	row good
	says '^2 modules, 1 unsigned, 1 unreadable$'
	ks 1 status "${here[@]}" --json
	[ "$(value good '.error == null')" = true ]
	value bad .error | grep -q 'no ELF file'
}

@test "--quiet shows nothing" {
	module extra/a.ko
	ks 0 status "${here[@]}" --quiet
	[ -z "$output$stderr" ]
}

@test "nothing to show is said and is no failure" {
	ks 0 status "${here[@]}"
	[ -z "$output" ]
	warns "^kernel-sign: no out-of-tree module below $tree\$"
}

@test "modules by name, by path and in a directory" {
	in_tree kernel/drivers/in-tree.ko
	module "$root/made/b.ko"
	ks 0 status "${here[@]}" in_tree /made/b.ko
	[[ "$(row in_tree)" == 'in_tree kernel/drivers none unsigned'* ]]
	[[ "$(row b)" == 'b /made none unsigned'* ]]
	ks 0 status --root "$root" -d /made
	says '^1 module, 1 unsigned$'
}

@test "a signer's name cannot write to the terminal" {
	CN=$'evil\e]0;owned\a' openssl req -new -x509 -nodes -utf8 -batch -config "$KEYS/extensions" \
		-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout "$KEYS/evil.key" \
		-out "$KEYS/evil.pem" 2>/dev/null
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" evil
	ks 0 status "${here[@]}"
	says 'evil.*x1b'
	not grep -q "[[:cntrl:]]" <<<"$output"
	ks 0 status "${here[@]}" --json
	[ "$(value a '.signers[0].name')" = 'evil\x1b]0;owned\x07' ]
}

@test "a single module, or --verbose, gives the long form" {
	module extra/a.ko.zst
	module extra/b.ko
	sign_by_hand "$tree/extra/b.ko" rsa sha256
	sign_by_hand "$tree/extra/b.ko" ec sha384
	ks 0 status "${here[@]}" b --cert "$KEYS/ec.pem"
	says '^  verdict +good$'
	says 'note +older signatures beneath.*: 1$'
	says 'signer 1 of 1 +the ec key: good$'
	says "^    serial +$(serial ec)\$"
	says 'algorithm +ecdsa-with-SHA384$'
	says 'valid +2.*Z to 2.*Z$'
	says "key id +$(key_id ec)\$"
	says 'modinfo shows +PKCS#7, signer the ec key'
	[[ $output != *VERDICT* ]]
	ks 0 status "${here[@]}" -v
	says '^  verdict +unsigned$'
	says 'modinfo shows +no signature$'
	says '^2 modules'
}

@test "filters: --unsigned, --bad, --signer, --in-tree" {
	in_tree kernel/drivers/t.ko
	module extra/u.ko
	module extra/s.ko
	sign_by_hand "$tree/extra/s.ko" rsa
	module extra/m.ko
	trailer 100000 >>"$tree/extra/m.ko"
	names() { jq -r '[.modules[].module] | sort | join(" ")' <<<"$output"; }
	ks 0 status "${here[@]}" --json --unsigned
	[ "$(names)" = u ]
	ks 0 status "${here[@]}" --json --bad
	[ "$(names)" = m ]
	ks 0 status "${here[@]}" --json --bad --unsigned
	[ "$(names)" = 'm u' ]
	ks 0 status "${here[@]}" --json --signer 'RSA KEY'
	[ "$(names)" = s ]
	ks 0 status "${here[@]}" --json --in-tree
	[ "$(names)" = t ]
	ks 0 status "${here[@]}" --json --out-of-tree
	[ "$(names)" = 'm s u' ]
	ks 2 status "${here[@]}" --in-tree --out-of-tree
	ks 0 status "${here[@]}" --unsigned --all
	says '^2 modules, 2 unsigned$'
}

# --- what DKMS installs without anybody's looking

@test "packages of DKMS that are not gated are named, where the hook is installed" {
	module extra/a.ko
	mkdir -p "$root/etc/dkms"
	dkms_package b
	dkms_package a
	dkms_package linked
	ks 0 status "${here[@]}"
	[[ $output != *DKMS* ]]
	ks 0 status "${here[@]}" --json
	[ "$(jq -c .dkms_not_gated <<<"$output")" = '[]' ]
	ks 0 dkms enable linked --root "$root"
	ks 0 status "${here[@]}"
	[ "$(tail -n 1 <<<"$output")" = \
		"not gated in DKMS: a, b; 'kernel-sign dkms enable --all' gates all" ]
	ks 0 status "${here[@]}" --json
	[ "$(jq -c .dkms_not_gated <<<"$output")" = '["a","b"]' ]
	ks 0 status "${here[@]}" -q
	[ -z "$output$stderr" ]
	ks 0 dkms enable --all --root "$root"
	ks 0 status "${here[@]}"
	[[ $output != *'not gated'* ]]
}

@test "packages that are not gated are no concern of files named, or of a directory" {
	module extra/a.ko
	module "$root/made/b.ko"
	mkdir -p "$root/etc/dkms"
	dkms_package p
	ks 0 dkms enable --root "$root"
	ks 0 status "${here[@]}" a
	[[ $output != *'not gated'* ]]
	ks 0 status --root "$root" -d /made
	[[ $output != *'not gated'* ]]
	ks 0 status --root "$root" -d /made --json
	[ "$(jq -c .dkms_not_gated <<<"$output")" = '[]' ]
	# With no module at all there is still a gate to miss.
	rm "$tree/extra/a.ko"
	ks 0 status "${here[@]}"
	says '^not gated in DKMS: p;'
}

@test "packages that are not gated: many of them, and of any name, on one line" {
	local i
	module extra/a.ko
	mkdir -p "$root/etc/dkms"
	dkms_package $'evil\e]0;owned\a\n'
	for ((i = 0; i < 200; i++)); do
		dkms_package "package-$i"
	done
	ks 0 dkms enable --root "$root"
	ks 0 status "${here[@]}"
	[ "$(grep -c 'not gated in DKMS' <<<"$output")" = 1 ]
	says "^not gated in DKMS: evil.x1b\]0;owned.x07.x0a, package-0, .*'kernel-sign dkms enable --all' gates all\$"
	not grep -q '[[:cntrl:]]' <<<"$output"
	ks 0 status "${here[@]}" --json
	[ "$(jq '.dkms_not_gated | length' <<<"$output")" = 201 ]
}

@test "a link that may not be read is no ground for an answer" {
	module extra/a.ko
	mkdir -p "$root/etc/dkms"
	dkms_package p
	ks 0 dkms enable --root "$root"
	echo '. /etc/dkms/kernel-sign.conf' >"$root/etc/dkms/p.conf"
	let_nobody_in
	chmod 0 "$root/etc/dkms/p.conf"
	not nobody cat "$root/etc/dkms/p.conf"
	run --separate-stderr nobody "$KERNEL_SIGN" status "${here[@]}"
	ended 1
	blames /etc/dkms/p.conf 'Permission denied'
	row a
	[[ $output != *'not gated'* ]]
	run --separate-stderr nobody "$KERNEL_SIGN" status "${here[@]}" --json
	ended 1
	[ "$(jq -c '.dkms_not_gated, (.modules | length)' <<<"$output" | xargs)" = 'null 1' ]
}
