#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign verify: the verdict in words and in the exit status.  Every kind of damage to real
# modules is in tests/real.

load common
load kernel

setup_file() { make_fixtures; }

setup() { start_test; }

# made NAME: a module of each verdict below extra/.
made() {
	module "extra/$1.ko"
	case $1 in
	good) sign_by_hand "$tree/extra/good.ko" rsa sha256 ;;
	unknown) sign_by_hand "$tree/extra/unknown.ko" other ;;
	malformed) trailer 100000 >>"$tree/extra/malformed.ko" ;;
	bad)
		sign_by_hand "$tree/extra/bad.ko" rsa sha256
		# In what the ELF header leaves empty: no compiler has anything there.
		printf x | dd of="$tree/extra/bad.ko" bs=1 seek=12 conv=notrunc status=none
		;;
	esac
}

@test "each verdict has its exit status and its words" {
	made good
	made unknown
	made malformed
	made bad
	made unsigned
	ks 0 verify "${here[@]}" --cert "$KEYS/rsa.pem" good
	says "^/lib/modules/$V/extra/good.ko: good, signed by the rsa key, sha256\$"
	ks 2 verify "${here[@]}" --cert "$KEYS/rsa.pem" unknown
	says 'unknown.ko: unknown signer: '
	ks 1 verify "${here[@]}" --cert "$KEYS/rsa.pem" malformed
	says "malformed.ko: malformed: the signature's length reaches past the start"
	ks 1 verify "${here[@]}" --cert "$KEYS/rsa.pem" bad
	says 'bad.ko: bad: the signature \(the rsa key, sha256\) is not one of these bytes$'
	ks 3 verify "${here[@]}" --cert "$KEYS/rsa.pem" unsigned
	says 'unsigned.ko: unsigned$'
}

@test "of several the worst counts: 1, 4, 2, 3, 0" {
	made good
	made unknown
	made bad
	made unsigned
	echo text >"$tree/extra/unreadable.ko"
	local c=(--cert "$KEYS/rsa.pem")
	ks 3 verify "${here[@]}" "${c[@]}" good unsigned
	says '^1 of 2 modules are good$'
	ks 2 verify "${here[@]}" "${c[@]}" good unsigned unknown
	ks 4 verify "${here[@]}" "${c[@]}" good unsigned unknown "/lib/modules/$V/extra/unreadable.ko"
	ks 1 verify "${here[@]}" "${c[@]}"
}

@test "what cannot be checked is 4: no file, no module, no kernel, no certificate, wrong usage" {
	made good
	ks 4 verify --root "$root" -k "$V" /nowhere.ko
	ks 4 verify "${here[@]}" nonsense
	ks 4 verify --root "$root" -k 9.9 good
	ks 4 verify "${here[@]}" good --cert nowhere.pem
	blames nowhere.pem 'No such file'
	ks 4 verify "${here[@]}" good --cert "$KEYS/rsa.key"
	blames rsa.key 'no certificate'
	ks 4 verify --no-such-option
	ks 4 verify "${here[@]}" -d /x good
}

@test "an outcome that cannot be written is 4: nobody has read it" {
	made good
	run --separate-stderr sh -c '"$@" >/dev/full' sh "$KERNEL_SIGN" verify "${here[@]}" good --cert "$KEYS/rsa.pem"
	[ "$status" -eq 4 ]
	warns 'standard output: No space left'
}

@test "certificates: PEM bundle, DER, directory, several options" {
	made good
	mkdir certs
	cat "$KEYS/other.pem" "$KEYS/rsa.pem" >bundle.pem
	cp "$KEYS/rsa.pem" certs/
	echo text >certs/README
	ks 0 verify "${here[@]}" good --cert bundle.pem
	ks 0 verify "${here[@]}" good --cert certs
	openssl x509 -in "$KEYS/rsa.pem" -outform DER -out rsa.crt
	ks 0 verify "${here[@]}" good --cert rsa.crt
	ks 0 verify "${here[@]}" good --cert "$KEYS/other.pem" --cert rsa.crt
	ks 2 verify "${here[@]}" good --cert "$KEYS/other.pem"
	rm certs/rsa.pem
	ks 4 verify "${here[@]}" good --cert certs
}

@test "certificates: a bundle that is broken behind its first is an error, for what follows is not read" {
	made good
	{ cat "$KEYS/other.pem" && sed '3s/.*/damaged/' "$KEYS/rsa.pem" && cat "$KEYS/rsa.pem"; } >bundle.pem
	ks 4 verify "${here[@]}" good --cert bundle.pem
	blames bundle.pem 'what follows certificate 1 in it'
	{ cat "$KEYS/other.pem" "$KEYS/rsa.pem" && printf -- '-----BEGIN X-----\n-----END X-----\n'; } >bundle.pem
	ks 4 verify "${here[@]}" good --cert bundle.pem
	blames bundle.pem 'what follows certificate 2 in it'
	mkdir certs
	mv bundle.pem certs/
	ks 4 verify "${here[@]}" good --cert certs
	blames certs/bundle.pem 'what follows certificate 2 in it'
	{ cat "$KEYS/other.pem" "$KEYS/rsa.key" "$KEYS/rsa.pem" && echo and a text; } >certs/bundle.pem
	ks 0 verify "${here[@]}" good --cert certs
}

@test "without --cert: environment, configuration file, the kernel's and the machine's own" {
	made good
	ks 2 verify "${here[@]}" good
	KERNEL_SIGN_CERT=$KEYS/rsa.pem ks 0 verify "${here[@]}" good -v
	warns 'rsa.pem \(from the environment\)'
	mkdir -p "$root/etc" "$tree/build/certs" "$tree/build/certs-local/current" "$root/var/lib/dkms"
	openssl x509 -in "$KEYS/rsa.pem" -outform DER -out rsa.crt
	cp rsa.crt "$tree/build/certs-local/current/signing_crt.crt"
	ks 0 verify "${here[@]}" good
	mv "$tree/build/certs-local/current/signing_crt.crt" "$tree/build/certs/signing_key.x509"
	ks 0 verify "${here[@]}" good
	mv "$tree/build/certs/signing_key.x509" "$root/var/lib/dkms/mok.pub"
	ks 0 verify "${here[@]}" good
	cp "$KEYS/other.pem" "$root/etc/other.pem"
	echo 'cert = /etc/other.pem' >"$root/etc/kernel-sign.conf"
	ks 2 verify "${here[@]}" good
}

@test "a certificate embedded in the message is not trusted, and what is odd is said" {
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa sha256 -noattr
	ks 2 verify "${here[@]}" a --cert "$KEYS/other.pem"
	says 'certificates embedded, not trusted: 1'
	ks 0 verify "${here[@]}" a --cert "$KEYS/rsa.pem"
}

@test "--quiet gives the exit status alone, --json the same names as status" {
	made good
	made unsigned
	ks 3 verify "${here[@]}" -q --cert "$KEYS/rsa.pem"
	[ -z "$output$stderr" ]
	ks 3 verify "${here[@]}" --json --cert "$KEYS/rsa.pem"
	[ "$(jq -r '[.modules[].verdict] | join(" ")' <<<"$output")" = 'good unsigned' ]
	verified=$(jq .modules <<<"$output")
	ks 0 status "${here[@]}" --json --cert "$KEYS/rsa.pem"
	[ "$(jq .modules <<<"$output")" = "$verified" ]
}

@test "nothing to verify is no failure" {
	ks 0 verify "${here[@]}"
	warns 'no out-of-tree module'
}

# --- what the kernel will do

# The kernel $V of Debian's builder, which trusts rsa and enforces signatures.
strict_kernel() {
	start_kernel
	image "$DEBIAN" rsa
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_MODULE_SIG_FORCE=y
}

@test "with -k what that kernel does is said as well, and changes no exit status" {
	strict_kernel
	local other=(--efivars "$efi" --cert "$KEYS/other.pem")
	made good
	made unknown
	made malformed
	made bad
	made unsigned
	# Good by the certificate that is given, refused by the kernel; and the other way round.
	ks 0 verify "${here[@]}" "${other[@]}" unknown
	says "^/lib/modules/$V/extra/unknown.ko: good, signed by the other key, sha256\$"
	says "^/lib/modules/$V/extra/unknown.ko: kernel $V: refused, \"Loading of module with unavailable key"
	ks 2 verify "${here[@]}" "${other[@]}" good
	says "good.ko: kernel $V: loads: signed by \"the rsa key\", from builtin, in .builtin_trusted_keys\$"
	ks 3 verify "${here[@]}" "${other[@]}" unsigned
	says "unsigned.ko: kernel $V: refused, \"Loading of unsigned module is rejected\".*\(EKEYREJECTED\)\$"
	ks 1 verify "${here[@]}" "${other[@]}" malformed
	says "malformed.ko: kernel $V: refused, enforced or not: .*\(EBADMSG\)\$"
	ks 1 verify "${here[@]}" --efivars "$efi" --cert "$KEYS/rsa.pem" bad
	says "bad.ko: kernel $V: refused, enforced or not: .*\(EKEYREJECTED\)\$"
	ks 1 verify "${here[@]}" "${other[@]}"
	[ "$(grep -c ": kernel $V: " <<<"$output")" = 5 ]
	# Nor does a kernel that takes everything.
	config '# CONFIG_MODULE_SIG is not set'
	ks 1 verify "${here[@]}" --efivars "$efi" --cert "$KEYS/rsa.pem" bad
	says "bad.ko: kernel $V: loads: this kernel checks no signatures\$"
	ks 3 verify "${here[@]}" "${other[@]}" unsigned
}

@test "without -k nothing is predicted" {
	strict_kernel
	made good
	ks 0 verify --root "$root" --cert "$KEYS/rsa.pem" "/lib/modules/$V/extra/good.ko"
	[[ $output != *kernel* ]]
	ks 0 verify --root "$root" --cert "$KEYS/rsa.pem" "/lib/modules/$V/extra/good.ko" --json
	[ "$(jq '.modules[0] | has("load") and .load == null' <<<"$output")" = true ]
}

@test "--json has the prediction that status has" {
	strict_kernel
	made good
	made unsigned
	ks 3 verify "${here[@]}" --efivars "$efi" --cert "$KEYS/rsa.pem" --json
	[ "$(jq -r '[.modules[].load.verdict] | join(", ")' <<<"$output")" = 'loads, refused when enforced' ]
	verified=$(jq .modules <<<"$output")
	ks 0 status "${here[@]}" --efivars "$efi" --cert "$KEYS/rsa.pem" --json
	[ "$(jq .modules <<<"$output")" = "$verified" ]
	ks 3 verify "${here[@]}" --efivars "$efi" --cert "$KEYS/rsa.pem" -q
	[ -z "$output$stderr" ]
}
