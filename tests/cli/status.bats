#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign status: reads signatures and changes nothing.

load common
load kernel

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

# --- what the kernel will do

# predicted VERDICT CAUSE ERRNO...: of each module in the JSON output, sorted by name; "-" is null.
predicted() {
	local found
	found=$(jq -r '.modules | sort_by(.module)[].load |
		[.verdict, .cause // "-", .errno // "-"] | join(", ")' <<<"$output")
	[ "$found" = "$(printf '%s\n' "$@")" ] || {
		printf 'predicted:\n%s\n' "$found"
		return 1
	}
}

# One of each kind, for a kernel that trusts the key rsa.
modules_of_all_kinds() {
	start_kernel
	image "$DEBIAN" rsa
	module extra/a-good.ko
	sign_by_hand "$tree/extra/a-good.ko" rsa
	module extra/b-unsigned.ko
	module extra/c-unknown.ko
	sign_by_hand "$tree/extra/c-unknown.ko" other
	module extra/d-bad.ko
	sign_by_hand "$tree/extra/d-bad.ko" rsa
	# In what the ELF header leaves empty: no compiler has anything there.
	printf x | dd of="$tree/extra/d-bad.ko" bs=1 seek=12 conv=notrunc status=none
	module extra/e-malformed.ko
	trailer 100000 >>"$tree/extra/e-malformed.ko"
	module extra/f-attributes.ko
	sign_by_hand "$tree/extra/f-attributes.ko" rsa sha256 -nocerts
	look=(status "${here[@]}" --efivars "$efi")
}

@test "the column LOADS, by what is enforced" {
	modules_of_all_kinds
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
	ks 0 "${look[@]}"
	[[ $(row a_good) == 'a_good extra none unknown signer yes the rsa key'* ]]
	[[ $(row b_unsigned) == 'b_unsigned extra none unsigned no'* ]]
	[[ $(row c_unknown) == 'c_unknown extra none unknown signer no the other key'* ]]
	[[ $(row d_bad) == 'd_bad extra none unknown signer no the rsa key'* ]]
	[[ $(row e_malformed) == 'e_malformed extra none malformed no'* ]]
	[[ $(row f_attributes) == 'f_attributes extra none unknown signer no the rsa key'* ]]
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y
	ks 0 "${look[@]}"
	[[ $(row a_good) == *'unknown signer yes the rsa'* ]]
	[[ $(row b_unsigned) == 'b_unsigned extra none unsigned if not enforced'* ]]
	[[ $(row c_unknown) == *'unknown signer if not enforced the other'* ]]
	[[ $(row d_bad) == *'unknown signer no the rsa'* ]]
	[[ $(row e_malformed) == *'malformed no'* ]]
	config '# CONFIG_MODULE_SIG is not set'
	ks 0 "${look[@]}"
	[[ $(row b_unsigned) == 'b_unsigned extra none unsigned yes'* ]]
	[[ $(row d_bad) == *'unknown signer yes the rsa'* ]]
	rm "$tree/build/.config"
	ks 0 "${look[@]}"
	[[ $(row a_good) == *'unknown signer unknown the rsa'* ]]
	[[ $(row b_unsigned) == 'b_unsigned extra none unsigned unknown'* ]]
}

@test "JSON: verdict, cause and errno, by what is enforced" {
	modules_of_all_kinds
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
	ks 0 "${look[@]}" --json
	predicted 'loads, -, -' \
		'refused when enforced, unsigned module, EKEYREJECTED' \
		'refused when enforced, module with unavailable key, EKEYREJECTED' \
		'refused, bad signature, EKEYREJECTED' \
		'refused, malformed signature, EBADMSG' \
		'refused, signed attributes, EKEYREJECTED'
	[ "$(jq -r '[.modules[].load.enforced] | unique | join(" ")' <<<"$output")" = yes ]
	# Secure Boot locks it down.
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	ks 0 "${look[@]}" --json
	predicted 'loads, -, -' \
		'refused when enforced, unsigned module, EPERM' \
		'refused when enforced, module with unavailable key, EPERM' \
		'refused, bad signature, EKEYREJECTED' \
		'refused, malformed signature, EBADMSG' \
		'refused, signed attributes, EKEYREJECTED'
	secure_boot '\0'
	ks 0 "${look[@]}" --json
	predicted 'loads, -, -' \
		'refused when enforced, unsigned module, -' \
		'refused when enforced, module with unavailable key, -' \
		'refused, bad signature, EKEYREJECTED' \
		'refused, malformed signature, EBADMSG' \
		'refused, signed attributes, EKEYREJECTED'
	[ "$(jq -r '[.modules[].load.enforced] | unique | join(" ")' <<<"$output")" = unknown ]
}

@test "JSON: the certificate that decided, where it is from, its keyring" {
	start_kernel
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
	image "$DEBIAN" rsa
	listed ec | variable db "$SECURITY"
	listed other | variable MokListRT "$SHIM"
	for by in ec other rsa; do
		module "extra/$by.ko"
		sign_by_hand "$tree/extra/$by.ko" "$by"
	done
	module extra/unsigned.ko
	ks 0 status "${here[@]}" --efivars "$efi" --json
	[ "$(value rsa '.load | [.from, .keyring] | join(" ")')" = 'builtin .builtin_trusted_keys' ]
	[ "$(value other '.load | [.from, .keyring] | join(" ")')" = 'MOK .machine' ]
	[ "$(value ec '.load | [.from, .keyring] | join(" ")')" = 'db .platform' ]
	[ "$(value ec .load.certificate.subject)" = 'CN=the ec key' ]
	[ "$(value ec .load.certificate.serial)" = "$(serial ec)" ]
	[ "$(value ec .load.certificate.key_id)" = "$(key_id ec)" ]
	[ "$(value unsigned '.load | [.certificate, .from, .keyring] == [null, null, null]')" = true ]
	[ "$(value ec '.load | keys | join(" ")')" = \
		'cause certificate enforced errno from keyring next text verdict why' ]
	[ "$(value ec '.load | [.cause, .errno, .why] == [null, null, null]')" = true ]
	# Nor whether kernels of others take them.
	image somebody@somewhere rsa
	ks 0 status "${here[@]}" --efivars "$efi"
	says '^whether 2 of them load is unknown: whether this kernel accepts the certificate$'
	ks 0 status "${here[@]}" --efivars "$efi" ec
	says "^  kernel +$V: unknown: whether this kernel accepts the certificate: \"the ec key\", from db, in .platform \(rule\)\$"
	image "$DEBIAN" rsa
	# Without the firmware's variables nobody knows of db and MOK; of the compiled-in key they do.
	ks 0 status "${here[@]}" --json
	predicted 'unknown, module with unavailable key, -' 'unknown, module with unavailable key, -' 'loads, -, -' \
		'refused when enforced, unsigned module, EKEYREJECTED'
	[[ $(value ec .load.why) == 'not all of this kernel'*'could be seen' ]]
}

@test "a module that cannot be read has no prediction" {
	modules_of_all_kinds
	echo text >"$tree/extra/g-text.ko"
	ks 1 "${look[@]}" --json
	[ "$(value g_text '.load == null')" = true ]
	[ "$(value a_good '.load != null')" = true ]
}

@test "the long form says what the kernel does, and why" {
	modules_of_all_kinds
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
	kernel() {
		ks 0 "${look[@]}" "$1"
		says "^  kernel +$V: $2"
		ks 0 "${look[@]}" --json "$1"
		[ "$(jq -r '.modules[0].load.text' <<<"$output")" = "$(sed -n "s/^  kernel *$V: //p" < <("$KERNEL_SIGN" "${look[@]}" "$1"))" ]
	}
	kernel a_good 'loads: signed by "the rsa key", from builtin, in .builtin_trusted_keys$'
	kernel b_unsigned 'refused, "Loading of unsigned module is rejected": .*SIG_FORCE is set\) \(EKEYREJECTED\)$'
	kernel c_unknown 'refused, "Loading of module with unavailable key is rejected": .* \(EKEYREJECTED\)$'
	kernel d_bad 'refused, enforced or not: the signature does not belong .*: "the rsa key", from builtin, in .builtin_trusted_keys \(EKEYREJECTED\)$'
	kernel e_malformed 'refused, enforced or not: .*malformed \(EBADMSG\)$'
	kernel f_attributes 'refused, enforced or not: .*signed attributes \(EKEYREJECTED\)$'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y
	kernel b_unsigned 'refused if signatures are enforced, else tainting: it has no signature \(.*command line.*\)$'
	rm "$tree/build/.config"
	kernel a_good 'unknown: no config of this kernel could be read$'
	config '# CONFIG_MODULE_SIG is not set'
	kernel d_bad 'loads: this kernel checks no signatures$'
}

@test "predictions: a whole file and a signer in dbx" {
	modules_of_all_kinds
	rm "$tree"/extra/[b-f]-*.ko
	{
		hashed 1 | head -c 44
		openssl dgst -sha256 -binary "$tree/extra/a-good.ko"
	} | variable dbx "$SECURITY"
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
	ks 0 "${look[@]}" --json
	predicted 'refused, blacklisted, EKEYREJECTED'
	[[ $(value a_good .load.text) == *': the hash of this very file is in dbx or MOKX (EKEYREJECTED)' ]]
	image somebody@somewhere rsa
	ks 0 "${look[@]}" --json
	predicted 'unknown, blacklisted, -'
	listed rsa | variable dbx "$SECURITY"
	ks 0 "${look[@]}" --json
	predicted 'loads, -, -'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_SYSTEM_REVOCATION_LIST=y
	ks 0 "${look[@]}" --json
	predicted 'refused, revoked, EKEYREJECTED'
	[ "$(value a_good '.load | [.from, .keyring == null] | join(" ")')" = 'dbx true' ]
	[[ $(value a_good .load.text) == *"certificate is revoked: \"the rsa key\", from dbx (EKEYREJECTED)" ]]
}

@test "predictions: digests and keys that the kernel has not" {
	start_kernel
	image "$DEBIAN" rsa ec
	module extra/ec.ko
	sign_by_hand "$tree/extra/ec.ko" ec
	module extra/sha512.ko
	sign_by_hand "$tree/extra/sha512.ko" rsa sha512
	look=(status "${here[@]}" --efivars "$efi" --json)
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y CONFIG_CRYPTO_SHA256=y \
		'# CONFIG_CRYPTO_ECDSA is not set' '# CONFIG_CRYPTO_SHA512 is not set' >"$tree/build/.config"
	ks 0 "${look[@]}"
	predicted 'refused when enforced, module with unavailable key, EKEYREJECTED' \
		'refused when enforced, module with unsupported crypto, EKEYREJECTED'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=m
	ks 0 "${look[@]}"
	predicted 'loads, -, -' 'unknown, module with unsupported crypto, -'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_CRYPTO_SHA512=y
	ks 0 "${look[@]}"
	predicted 'loads, -, -' 'loads, -, -'
}

@test "predictions: containers, by kernel and kmod" {
	start_kernel
	image "$DEBIAN" rsa
	cp "$FIXTURES/plain.ko" signed.ko
	sign_by_hand signed.ko rsa
	mkdir -p "$root/usr/lib/x86_64-linux-gnu"
	xz -c --check=crc32 signed.ko >"$tree/extra/a-good.ko.xz"
	xz -c --check=crc64 signed.ko >"$tree/extra/b-crc64.ko.xz"
	zstd -qc --no-check signed.ko >"$tree/extra/c-zstd.ko.zst"
	gzip -c signed.ko >"$tree/extra/d-gzip.ko.gz"
	xz -c --check=crc32 --x86 --lzma2 signed.ko >"$tree/extra/e-x86.ko.xz"
	look=(status "${here[@]}" --efivars "$efi" --json)
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_DECOMPRESS=y CONFIG_MODULE_COMPRESS_XZ=y
	ln -s libkmod.so.2.5.1 "$root/usr/lib/x86_64-linux-gnu/libkmod.so.2"
	: >"$root/usr/lib/x86_64-linux-gnu/libkmod.so.2.5.1"
	ks 0 "${look[@]}"
	[ "$(value a_good .load.verdict)" = loads ]
	[ "$(value b_crc64 '.load | [.verdict, .cause] | join(", ")')" = 'refused, container' ]
	[ "$(value d_gzip '.load | [.verdict, .cause] | join(", ")')" = 'unknown, container' ]
	[ "$(value e_x86 '.load | [.verdict, .cause] | join(", ")')" = 'refused, container' ]
	[[ $(value e_x86 .kernel_reads_container) == 'no (an x86 filter, '* ]]
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_DECOMPRESS=y CONFIG_MODULE_COMPRESS_XZ=y \
		CONFIG_XZ_DEC_X86=y
	ks 0 "${look[@]}"
	[ "$(value e_x86 .load.verdict)" = loads ]
	[ "$(value e_x86 .kernel_reads_container)" = yes ]
	[ "$(value e_x86 .container_objection)" = null ]
	# kmod 30 reads them by itself.
	ln -sf libkmod.so.2.4.0 "$root/usr/lib/x86_64-linux-gnu/libkmod.so.2"
	: >"$root/usr/lib/x86_64-linux-gnu/libkmod.so.2.4.0"
	ks 0 "${look[@]}"
	[ "$(value a_good .load.verdict)" = loads ]
	[ "$(value b_crc64 '.load.verdict != "refused"')" = true ]
	[ "$(value d_gzip .load.verdict)" = unknown ]
}

@test "predictions: modules of another kernel" {
	start_kernel
	image "$DEBIAN" rsa
	sed "s/vermagic=$V /vermagic=5.9.0-test /" "$FIXTURES/plain.ko" >"$FIXTURES/old.ko"
	not cmp -s "$FIXTURES/plain.ko" "$FIXTURES/old.ko"
	module extra/old.ko old
	sign_by_hand "$tree/extra/old.ko" rsa
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y
	ks 0 status "${here[@]}" --efivars "$efi" --json
	predicted 'refused, vermagic, ENOEXEC'
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODVERSIONS=y
	ks 0 status "${here[@]}" --efivars "$efi" --json
	predicted 'unknown, vermagic, -'
}
