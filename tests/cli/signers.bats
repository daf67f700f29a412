#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Several keys at once, and signatures that are the same every time.

load common

setup_file() {
	make_fixtures
}

setup() {
	start_test
	two=(--key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --key "$KEYS/ec.key" --cert "$KEYS/ec.der" --hash sha256)
}

# signers FILE: how many SignerInfos its message has.
signers() {
	take_apart "$1"
	openssl cms -cmsout -print -inform DER -in "$BATS_TEST_TMPDIR/apart/message" |
		grep -c 'signatureAlgorithm: *$'
}

# holds FILE KEY: exactly one of its signatures is good by that key, openssl says.
holds() {
	take_apart "$1"
	PYTHONPATH=$BATS_TEST_DIRNAME/../lib python3 -B - "$BATS_TEST_TMPDIR/apart" "$KEYS/$2.pem" <<-'END'
		import subprocess, sys
		import forge
		folder, cert = sys.argv[1:]
		public = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], check=True, capture_output=True)
		def verifies(value):
		    for name, data in (("value", value), ("public", public.stdout)):
		        open(f"{folder}/{name}", "wb").write(data)
		    command = ["openssl", "dgst", "-sha256", "-verify", folder + "/public", "-signature", folder + "/value"]
		    return subprocess.run([*command, folder + "/image"], capture_output=True).returncode == 0
		signers = forge.Message(open(folder + "/message", "rb").read()).signers
		good = [signer for signer in signers if verifies(forge.signature_value(signer).content)]
		sys.exit(len(good) != 1)
	END
}

@test "two keys make one message with a signature by each" {
	module extra/a.ko
	module extra/b.ko.xz
	ks 0 sign "${here[@]}" "${two[@]}"
	for file in a.ko b.ko.xz; do
		[ "$(signers "$tree/extra/$file")" = 2 ]
		holds "$tree/extra/$file" rsa
		holds "$tree/extra/$file" ec
		not holds "$tree/extra/$file" other
		openssl cms -verify -binary -inform DER -in apart/message -content apart/image -nointern -noverify \
			-certfile <(cat "$KEYS/rsa.pem" "$KEYS/ec.pem") -out /dev/null
		cmp apart/image "$FIXTURES/plain.ko"
	done
	ks 0 status "${here[@]}" --cert "$KEYS/rsa.pem" --json
	[ "$(jq -r '.modules[0].signers | map(.name) | sort | join(", ")' <<<"$output")" = 'the ec key, the rsa key' ]
}

@test "what exactly these keys signed is already signed, in any order" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${two[@]}"
	before=$(manifest "$root")
	ks 0 sign "${here[@]}" "${two[@]}"
	says '^1 already signed, 0 failed'
	ks 0 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.der" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" \
		--hash sha256
	says '^1 already signed, 0 failed'
	[ "$(manifest "$root")" = "$before" ]
}

@test "fewer, more and other keys sign anew" {
	local set other=(--key "$KEYS/other.key" --cert "$KEYS/other.pem")
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}"
	for set in two key three two others two; do
		case $set in
		two) set -- "${two[@]}" ;;
		key) set -- "${key[@]}" ;;
		three) set -- "${two[@]}" "${other[@]}" ;;
		others) set -- "${two[@]:0:4}" "${other[@]}" --hash sha256 ;;
		esac
		ks 0 sign "${here[@]}" "$@"
		says '^1 signed, 0 failed'
		case $set in
		key) is_signed "$tree/extra/a.ko" ;;
		two) holds "$tree/extra/a.ko" rsa && holds "$tree/extra/a.ko" ec && not holds "$tree/extra/a.ko" other ;;
		three) [ "$(signers "$tree/extra/a.ko")" = 3 ] && holds "$tree/extra/a.ko" other ;;
		others) holds "$tree/extra/a.ko" other && not holds "$tree/extra/a.ko" ec ;;
		esac
	done
}

@test "one key's signature twice is not two keys'" {
	module extra/a.ko
	message rsa sha256 "$FIXTURES/plain.ko" -noattr -nocerts -signer "$KEYS/rsa.pem" -inkey "$KEYS/rsa.key" >twice
	attach "$tree/extra/a.ko" twice
	[ "$(signers "$tree/extra/a.ko")" = 2 ]
	ks 0 sign "${here[@]}" "${two[@]}"
	says '^1 signed, 0 failed'
	holds "$tree/extra/a.ko" ec
}

@test "a damaged signature of one of two keys is made anew" {
	local at
	module extra/a.ko
	ks 0 sign "${here[@]}" "${two[@]}"
	at=$(($(stat -c %s "$tree/extra/a.ko") - 60))
	printf 'x' | dd of="$tree/extra/a.ko" bs=1 seek="$at" conv=notrunc status=none
	ks 0 sign "${here[@]}" "${two[@]}"
	says '^1 signed, 0 failed'
	holds "$tree/extra/a.ko" rsa
	holds "$tree/extra/a.ko" ec
}

@test "certificates in the keys' own files" {
	local name
	for name in rsa ec; do
		cat "$KEYS/$name.key" "$KEYS/$name.pem" >"$name.both"
		chmod 600 "$name.both"
	done
	module extra/a.ko
	ks 0 sign "${here[@]}" --key rsa.both --key ec.both --hash sha256
	holds "$tree/extra/a.ko" rsa
	holds "$tree/extra/a.ko" ec
}

@test "up to eight keys, and not nine" {
	local number all=()
	for number in 1 2 3 4 5 6 7 8 9; do
		certify "k$number" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
		all+=(--key "$KEYS/k$number.key" --cert "$KEYS/k$number.pem")
	done
	module extra/a.ko
	ks 0 sign "${here[@]}" "${all[@]:0:32}" --hash sha256
	[ "$(signers "$tree/extra/a.ko")" = 8 ]
	before=$(manifest "$root")
	ks 2 sign "${here[@]}" "${all[@]}" --hash sha256
	warns '^kernel-sign: more than 8 keys$'
	[ "$(manifest "$root")" = "$before" ]
}

@test "keys and certificates that do not go together touch nothing" {
	module extra/a.ko
	before=$(manifest "$root")
	ks 2 sign "${here[@]}" --key "$KEYS/rsa.key" --key "$KEYS/ec.key" --cert "$KEYS/rsa.pem"
	warns '2 --key and 1 --cert: each key wants its own'
	ks 2 sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --cert "$KEYS/ec.pem"
	warns '1 --key and 2 --cert'
	ks 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/ec.pem" --key "$KEYS/ec.key" --cert "$KEYS/rsa.pem"
	blames rsa.key 'ec.pem: the certificate does not belong to the private key'
	ks 1 sign "${here[@]}" "${key[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem"
	blames rsa.pem 'the same certificate twice'
	ks 2 sign "${here[@]}" "${two[@]}" --keys "$root"
	warns '--keys goes with one --key at most'
	ks 1 sign "${here[@]}" "${key[@]}" --key "$KEYS/ec.key" --cert "$KEYS/missing.pem"
	blames missing.pem 'No such file'
	[ "$(manifest "$root")" = "$before" ]
}

@test "--verbose names every key" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${two[@]}" -v
	warns "^kernel-sign: key $KEYS/rsa.key \(from the command line\), certificate $KEYS/rsa.pem \"the rsa key\"\$"
	warns "^kernel-sign: key $KEYS/ec.key \(from the command line\), certificate $KEYS/ec.der \"the ec key\"\$"
}

# --- the same bytes every time

# twice_the_same KEY HASH: two runs with --deterministic.
twice_the_same() {
	local run
	for run in 1 2; do
		module extra/a.ko
		ks 0 sign "${here[@]}" --key "$KEYS/$1.key" --cert "$KEYS/$1.pem" --hash "$2" --deterministic
		is_signed "$tree/extra/a.ko" "$1" "$2"
		cp "$tree/extra/a.ko" "run$run"
	done
	cmp run1 run2
}

@test "--deterministic: RSA is always so" {
	twice_the_same rsa sha256
	reference wanted rsa sha256
	cmp wanted run1
}

@test "--deterministic: ECDSA by RFC 6979, or an error where OpenSSL cannot" {
	local pair by hash
	module extra/a.ko
	before=$(manifest "$root")
	if openssl version | grep -qE '^OpenSSL 3\.[01]\.'; then
		ks 1 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --deterministic
		blames ec.key 'cannot sign deterministically here .ECDSA does from OpenSSL 3.2 on'
		[ "$(manifest "$root")" = "$before" ]
	else
		for pair in 'ec sha384' 'other sha256' 'ec sha512' 'other sha384'; do
			read -r by hash <<<"$pair"
			twice_the_same "$by" "$hash"
			python3 -B "$BATS_TEST_DIRNAME/../lib/rfc6979.py" "$KEYS/$by.key" "$hash" "$FIXTURES/plain.ko" >wanted
			values "$tree/extra/a.ko"
			cmp wanted apart/value
		done
	fi
}

@test "without --deterministic ECDSA differs from run to run" {
	module extra/a.ko
	ks 0 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash sha384
	cp "$tree/extra/a.ko" first
	ks 0 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash sha384 --force
	not cmp -s first "$tree/extra/a.ko"
}

# --- sha3

@test "sha3: RSA everywhere, ECDSA where OpenSSL can, else an error before any file is touched" {
	local hash
	for hash in sha3-256 sha3-384 sha3-512; do
		module extra/a.ko
		ks 0 sign "${here[@]}" "${key[@]}" --hash "$hash"
		is_signed "$tree/extra/a.ko" rsa "$hash"
		module extra/a.ko
		before=$(manifest "$root")
		if openssl version | grep -qE '^OpenSSL 3\.[01]\.'; then
			ks 1 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash "$hash"
			blames ec.key "ECDSA with $hash needs OpenSSL 3.2 or later, this is 3"
			ks 1 sign "${here[@]}" --export requests --cert "$KEYS/ec.pem" --hash "$hash"
			blames ec.pem "ECDSA with $hash needs OpenSSL 3.2 or later, this is 3"
			[ "$(manifest "$root")" = "$before" ]
		else
			ks 0 sign "${here[@]}" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --hash "$hash"
			is_signed "$tree/extra/a.ko" ec "$hash"
		fi
	done
}

# --- ML-DSA

has_mldsa() { openssl list -public-key-algorithms | grep -q ML-DSA-65; }

# values FILE: leaves the signature of its one signer, who has no attributes, in apart/value.
values() {
	take_apart "$1"
	PYTHONPATH=$BATS_TEST_DIRNAME/../lib python3 -B - "$BATS_TEST_TMPDIR/apart" <<-'END'
		import sys
		import forge
		folder = sys.argv[1]
		signer, = forge.Message(open(folder + "/message", "rb").read()).signers
		assert not [node for node in signer.content if node.tag == forge.CONTEXT]
		open(folder + "/value", "wb").write(forge.signature_value(signer).content)
	END
}

# mldsa_holds FILE KEY: its one signature, without attributes, is over the module itself, openssl says.
mldsa_holds() {
	values "$1"
	openssl x509 -in "$KEYS/$2.pem" -noout -pubkey >public.pem
	openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in apart/image -sigfile apart/value
}

@test "ML-DSA signs the module itself, without signed attributes, with any hash" {
	local size hash
	if ! has_mldsa; then
		# The same key would open with OpenSSL 3.5: a seed of zeros.
		{
			echo '-----BEGIN PRIVATE KEY-----'
			{
				printf '\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20'
				head -c 32 /dev/zero
			} | base64
			echo '-----END PRIVATE KEY-----'
		} >mldsa.key
		chmod 600 mldsa.key
		module extra/a.ko
		before=$(manifest "$root")
		ks 1 sign "${here[@]}" --key mldsa.key --cert "$KEYS/rsa.pem"
		blames mldsa.key 'OpenSSL'
		[ "$(manifest "$root")" = "$before" ]
		return
	fi
	for size in 44 65 87; do
		certify "mldsa$size" -newkey "ML-DSA-$size"
		for hash in sha256 sha512; do
			module extra/a.ko.xz
			ks 0 sign "${here[@]}" --key "$KEYS/mldsa$size.key" --cert "$KEYS/mldsa$size.pem" --hash "$hash"
			mldsa_holds "$tree/extra/a.ko.xz" "mldsa$size"
			ks 0 verify --cert "$KEYS/mldsa$size.pem" "$tree/extra/a.ko.xz"
			ks 2 verify --cert "$KEYS/rsa.pem" "$tree/extra/a.ko.xz"
			ks 0 sign "${here[@]}" --key "$KEYS/mldsa$size.key" --cert "$KEYS/mldsa$size.pem" --hash "$hash"
			says '^1 already signed'
		done
	done
}

@test "--deterministic: ML-DSA as openssl does it" {
	local size
	has_mldsa || return 0
	for size in 44 65 87; do
		certify "mldsa$size" -newkey "ML-DSA-$size"
		module extra/a.ko
		ks 0 sign "${here[@]}" --key "$KEYS/mldsa$size.key" --cert "$KEYS/mldsa$size.pem" --deterministic
		mldsa_holds "$tree/extra/a.ko" "mldsa$size"
		openssl pkeyutl -sign -rawin -inkey "$KEYS/mldsa$size.key" -in "$FIXTURES/plain.ko" -pkeyopt deterministic:1 \
			-out wanted
		cmp wanted apart/value
	done
}

@test "ML-DSA beside RSA in one message; deterministic or not" {
	local run
	has_mldsa || return 0
	certify mldsa -newkey ML-DSA-65
	for run in 1 2 3 4; do
		module extra/a.ko
		[ "$run" -le 2 ] || set -- --deterministic
		ks 0 sign "${here[@]}" "${key[@]}" --key "$KEYS/mldsa.key" --cert "$KEYS/mldsa.pem" "$@"
		[ "$(signers "$tree/extra/a.ko")" = 2 ]
		ks 0 verify --cert "$KEYS/mldsa.pem" "$tree/extra/a.ko"
		ks 0 verify --cert "$KEYS/rsa.pem" "$tree/extra/a.ko"
		cp "$tree/extra/a.ko" "run$run"
	done
	not cmp -s run1 run2
	cmp run3 run4
}
