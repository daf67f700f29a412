#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# The program as the kernel's scripts/sign-file and as Ubuntu's kmodsign.

load common

setup_file() {
	make_fixtures
	ln -s "$KERNEL_SIGN" "$FIXTURES/sign-file"
	ln -s "$KERNEL_SIGN" "$FIXTURES/kmodsign"
	# The one that the kernel's own package brings, if it is there.
	export PEER
	PEER=$(find /usr/lib -path '/usr/lib/linux-kbuild-*/scripts/sign-file' 2>/dev/null | sort | tail -n 1)
}

setup() {
	start_test
	pair=("$KEYS/rsa.key" "$KEYS/rsa.pem")
	cp "$FIXTURES/plain.ko" a.ko
}

# sign_file STATUS ARGUMENT..., kmodsign STATUS ARGUMENT...: as ks, under these names.
sign_file() { KERNEL_SIGN=$FIXTURES/sign-file ks "$@"; }
kmodsign() { KERNEL_SIGN=$FIXTURES/kmodsign ks "$@"; }

@test "as sign-file it makes what openssl and the kernel's tool make, byte for byte" {
	local hash
	for hash in sha256 sha512; do
		cp "$FIXTURES/plain.ko" a.ko
		sign_file 0 "$hash" "${pair[@]}" a.ko
		[ -z "$output$stderr" ]
		reference wanted rsa "$hash"
		cmp wanted a.ko
		if [ -n "$PEER" ]; then
			cp "$FIXTURES/plain.ko" peer.ko
			"$PEER" "$hash" "${pair[@]}" peer.ko
			cmp peer.ko a.ko
		fi
	done
}

@test "-k names the signer by key id, as openssl and the kernel's tool do" {
	sign_file 0 -k sha384 "${pair[@]}" a.ko
	cp "$FIXTURES/plain.ko" wanted
	sign_by_hand wanted rsa sha384 -noattr -nocerts -keyid
	cmp wanted a.ko
	if [ -n "$PEER" ]; then
		cp "$FIXTURES/plain.ko" peer.ko
		"$PEER" -k sha384 "${pair[@]}" peer.ko
		cmp peer.ko a.ko
	fi
}

@test "kernel-sign sign-file and a certificate in DER do the same" {
	ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.der" a.ko
	reference wanted rsa sha256
	cmp wanted a.ko
}

@test "an ECDSA key signs" {
	sign_file 0 sha384 "$KEYS/ec.key" "$KEYS/ec.pem" a.ko
	is_signed a.ko ec sha384
}

@test "with DEST the module itself stays as it is" {
	before=$(identity a.ko)
	umask 027
	sign_file 0 sha256 "${pair[@]}" a.ko b.ko
	[ "$(identity a.ko)" = "$before" ]
	is_signed b.ko
	[ "$(stat -c %a b.ko)" = 640 ]
}

@test "a DEST that is there keeps its mode" {
	echo old >b.ko
	chmod 604 b.ko
	sign_file 0 sha256 "${pair[@]}" a.ko b.ko
	is_signed b.ko
	[ "$(stat -c %a b.ko)" = 604 ]
}

@test "DEST may be the module itself" {
	chmod 640 a.ko
	sign_file 0 sha256 "${pair[@]}" a.ko ./a.ko
	is_signed a.ko
	[ "$(stat -c %a a.ko)" = 640 ]
}

@test "in place the mode is kept and nothing is left behind" {
	chmod 600 a.ko
	mkdir only
	mv a.ko only
	sign_file 0 sha256 "${pair[@]}" only/a.ko
	[ "$(stat -c %a only/a.ko)" = 600 ]
	[ "$(ls -A only)" = a.ko ]
}

@test "-d writes the message to MODULE.p7s and nothing else" {
	before=$(identity a.ko)
	sign_file 0 -d sha256 "${pair[@]}" a.ko
	[ "$(identity a.ko)" = "$before" ]
	message rsa sha256 a.ko >wanted
	cmp wanted a.ko.p7s
}

@test "-p writes the message to MODULE.p7s too" {
	sign_file 0 -p sha256 "${pair[@]}" a.ko
	is_signed a.ko
	message rsa sha256 "$FIXTURES/plain.ko" >wanted
	cmp wanted a.ko.p7s
}

@test "-s appends a message made elsewhere" {
	message rsa sha256 a.ko >made.p7s
	sign_file 0 -s made.p7s sha256 "$KEYS/rsa.pem" a.ko
	reference wanted rsa sha256
	cmp wanted a.ko
}

@test "-s does with a certificate that is none" {
	message other sha256 a.ko >made.p7s
	sign_file 0 -s made.p7s sha256 no-certificate a.ko b.ko
	is_signed b.ko other
	is_plain a.ko
}

@test "-s refuses the message of another file, where it has the certificate" {
	message rsa sha256 "$KEYS/rsa.pem" >made.p7s
	before=$(identity a.ko)
	sign_file 1 -s made.p7s sha256 "$KEYS/rsa.pem" a.ko
	blames made.p7s 'not a signature of a.ko'
	[ "$(identity a.ko)" = "$before" ]
}

@test "-s refuses what is no message" {
	echo text >made.p7s
	before=$(identity a.ko)
	sign_file 1 -s made.p7s sha256 "$KEYS/rsa.pem" a.ko
	blames made.p7s 'not valid ASN.1'
	[ "$(identity a.ko)" = "$before" ]
}

@test "old signatures are replaced, not piled up" {
	sign_by_hand a.ko other
	sign_by_hand a.ko ec sha384
	sign_file 0 sha256 "${pair[@]}" a.ko
	is_signed a.ko
	sign_file 0 sha256 "${pair[@]}" a.ko
	is_signed a.ko
	message rsa sha512 "$FIXTURES/plain.ko" >made.p7s
	sign_file 0 -s made.p7s sha512 "$KEYS/rsa.pem" a.ko
	is_signed a.ko rsa sha512
}

@test "any uncompressed file is signed as the bytes it is" {
	cp "$(type -P true)" program
	printf 'any\0bytes' >bytes
	for file in program bytes; do
		cp "$file" wanted
		sign_by_hand wanted rsa
		sign_file 0 sha256 "${pair[@]}" "$file"
		cmp wanted "$file"
	done
}

@test "a compressed module is signed inside its container" {
	local suffix
	for suffix in gz xz zst; do
		module "$PWD/c.ko.$suffix"
		sign_file 0 sha256 "${pair[@]}" "c.ko.$suffix"
		is_signed "c.ko.$suffix"
	done
}

@test "a compressed file that holds no module is refused and stays" {
	echo junk | gzip >initrd.gz
	before=$(identity initrd.gz)
	sign_file 1 sha256 "${pair[@]}" initrd.gz
	blames initrd.gz 'no ELF file'
	[ "$(identity initrd.gz)" = "$before" ]
}

@test "KBUILD_SIGN_PIN opens an encrypted key" {
	local -x alone=1
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout pass:secret -out locked.key
	chmod 600 locked.key
	sign_file 1 sha256 locked.key "$KEYS/rsa.pem" a.ko
	blames locked.key 'encrypted.*KBUILD_SIGN_PIN'
	KBUILD_SIGN_PIN=wrong sign_file 1 sha256 locked.key "$KEYS/rsa.pem" a.ko
	blames locked.key 'does not open with the passphrase in KBUILD_SIGN_PIN'
	is_plain a.ko
	KBUILD_SIGN_PIN=secret sign_file 0 sha256 locked.key "$KEYS/rsa.pem" a.ko
	is_signed a.ko
}

@test "what is missing is named, and the status is 1" {
	sign_file 1 sha256 "${pair[@]}" no-module.ko
	blames no-module.ko 'No such file'
	sign_file 1 sha256 no-key "$KEYS/rsa.pem" a.ko
	blames no-key 'No such file'
	sign_file 1 sha256 "$KEYS/rsa.key" no-cert a.ko
	blames no-cert 'No such file'
	sign_file 1 no-hash "${pair[@]}" a.ko
	warns "unknown hash 'no-hash'"
	sign_file 1 sha256 "$KEYS/rsa.key" "$KEYS/ec.pem" a.ko
	warns 'the certificate does not belong to the private key'
	is_plain a.ko
}

@test "a wrong usage ends with 2 and tells the right one" {
	sign_file 2
	warns '^Usage: .*sign-file \[-dpk\] <hash> <key> <x509> <module> \[<dest>\]'
	sign_file 2 sha256 "${pair[@]}"
	sign_file 2 sha256 "${pair[@]}" a.ko b.ko c.ko
	sign_file 2 -x sha256 "${pair[@]}" a.ko
	sign_file 2 -D sha256 "${pair[@]}" a.ko
	sign_file 2 --root / sha256 "${pair[@]}" a.ko
	ks 2 sign-file
	[ -z "$output" ]
	is_plain a.ko
}

@test "as kmodsign it signs in place and knows -d, -p and -k" {
	kmodsign 0 sha512 "${pair[@]}" a.ko
	is_signed a.ko rsa sha512
	kmodsign 0 -dpk sha256 "${pair[@]}" a.ko
	is_signed a.ko rsa sha512
	message rsa sha256 "$FIXTURES/plain.ko" -noattr -nocerts -keyid >wanted
	cmp wanted a.ko.p7s
	kmodsign 2 sha256 "${pair[@]}"
	warns '^Usage: .*kmodsign \[-dpkD\] '
}

@test "kmodsign -D writes the signature that belongs behind the module, and leaves that alone" {
	before=$(identity a.ko)
	kmodsign 0 -D sha256 "${pair[@]}" a.ko
	[ "$(identity a.ko)" = "$before" ]
	reference wanted rsa sha256
	cat a.ko a.ko.p7s | cmp wanted -
	kmodsign 0 -D sha256 "${pair[@]}" a.ko trailer
	cmp trailer a.ko.p7s
}

# --- called by DKMS

# dkms_calls STATUS ARGUMENT...: as sign-file, with what DKMS puts into its signer's environment.
dkms_calls() {
	module=m module_version=1 kernelver=$V arch=x86_64 sign_file "$@"
}

# On the machine that runs, below / and without --root, DKMS's call looks for configuration and keys:
# machine STATUS ARGUMENT...: the same in a mount namespace where those of $root lie over the host's.
machine() {
	local wanted=$1 lonely=(unshare -m)
	shift
	[ "$(id -u)" = 0 ] || lonely=(unshare -Urm)
	mkdir -p "$root/etc" "$root/var/lib"
	# shellcheck disable=SC2016 # for the shell in the namespace
	run --separate-stderr env module=m module_version=1 kernelver="$V" arch=x86_64 \
		"${lonely[@]}" bash -euc '
		for place in etc var/lib lib; do
			mount -t overlay overlay -o "lowerdir=$0/$place:$(realpath "/$place")" "/$place"
		done
		exec "$@"' "$root" "$FIXTURES/sign-file" "$@"
	ended "$wanted"
}

# Keys as they lie about on a machine with DKMS; own is that kernel's.
lay_keys() {
	if ! unshare -m true 2>/dev/null && ! unshare -Urm true 2>/dev/null; then
		skip "no mount namespaces"
	fi
	own=$tree/build/certs-local/current
	mkdir -p "$root/var/lib/dkms" "$own" "$root/etc/dkms/framework.conf.d"
	cp "$KEYS/rsa.key" "$root/var/lib/dkms/mok.key"
	cp "$KEYS/rsa.der" "$root/var/lib/dkms/mok.pub"
	cat "$KEYS/ec.key" "$KEYS/ec.pem" >"$own/signing_key.pem"
	chmod 600 "$own/signing_key.pem"
	cp "$KEYS/ec.der" "$own/signing_crt.crt"
	mok=(/var/lib/dkms/mok.key /var/lib/dkms/mok.pub)
}

config() { printf '%s\n' "$@" >"$root/etc/kernel-sign.conf"; }

@test "called by DKMS it makes what it makes otherwise, without a word" {
	dkms_calls 0 sha512 "${pair[@]}" a.ko
	[ -z "$output$stderr" ]
	reference wanted rsa sha512
	cmp wanted a.ko
	cp "$FIXTURES/plain.ko" a.ko
	dkms_calls 0 sha256 "$KEYS/rsa.key" "$KEYS/rsa.der" a.ko b.ko
	is_plain a.ko
	is_signed b.ko
	KERNEL_SIGN_KEY=$KEYS/ec.key KERNEL_SIGN_CERT=$KEYS/ec.pem dkms_calls 0 sha256 "${pair[@]}" a.ko
	is_signed a.ko
}

@test "called by DKMS it fails where it cannot sign, and leaves the module" {
	before=$(identity a.ko)
	dkms_calls 1 sha256 no.key "$KEYS/rsa.pem" a.ko
	blames no.key 'No such file'
	dkms_calls 1 sha256 "$KEYS/rsa.key" no.pem a.ko
	blames no.pem 'No such file'
	dkms_calls 1 sha256 "$KEYS/rsa.key" "$KEYS/ec.pem" a.ko
	warns 'does not belong to the private key'
	dkms_calls 1 no-hash "${pair[@]}" a.ko
	warns "unknown hash 'no-hash'"
	dkms_calls 2 sha256 "${pair[@]}"
	[ "$(identity a.ko)" = "$before" ]
}

@test "called by DKMS it reads what it wrote: what is no module is not signed well" {
	echo text >a.ko
	dkms_calls 1 sha256 "${pair[@]}" a.ko
	blames a.ko 'not a kernel module .*no ELF file'
	echo text >a.ko
	sign_file 0 sha256 "${pair[@]}" a.ko
}

# Somebody puts another file in the module's place as soon as it is written, which is seldom too late.
@test "called by DKMS it checks what it wrote: what is not signed so in the end is an error" {
	cp "$FIXTURES/plain.ko" unsigned.ko
	python3 - "$FIXTURES/sign-file" sha256 "${pair[@]}" a.ko 3>&- <<-END
		import os, shutil, subprocess, sys

		os.environ.update(module='m', kernelver='$V', arch='x86_64')
		said = set()
		for attempt in range(100):
		    shutil.copy('unsigned.ko', 'a.ko')
		    shutil.copy('unsigned.ko', 'replacement')
		    before = os.stat('a.ko').st_ino
		    program = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
		    while program.poll() is None and os.stat('a.ko').st_ino == before:
		        pass
		    os.rename('replacement', 'a.ko')
		    said.add((program.wait(), program.communicate()[1]))
		    if len(said) > 1 or (0, '') not in said:
		        break
		said.discard((0, ''))
		print(said)
		assert said == {(1, 'kernel-sign: a.ko: signed, but what was written is: unsigned\n')}
	END
}

@test "on a full disk a call by DKMS fails, and the module stays" {
	run --separate-stderr env module=m kernelver="$V" arch=x86_64 \
		bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' bash \
		"$FIXTURES/sign-file" sha256 "${pair[@]}" a.ko
	ended 1
	blames a.ko 'File too large'
	is_plain a.ko
}

@test "DKMS's own key signs, and a line says that the kernel has one of its own" {
	lay_keys
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns "^kernel-sign: signing with DKMS's /var/lib/dkms/mok.key; .*$V/build/certs-local/current/signing_key.pem \(from the kernel's own key\) is used if /etc/kernel-sign.conf says dkms-key = kernel\$"
	config dkms-key=dkms
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "with dkms-key = kernel the kernel's own key signs, and a line says so" {
	lay_keys
	config dkms-key=kernel
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko ec
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns "^kernel-sign: signing with .*$V/build/certs-local/current/signing_key.pem \(from the kernel's own key\) instead of DKMS's /var/lib/dkms/mok.key\$"
	machine 0 sha512 "${mok[@]}" "$PWD/a.ko" "$PWD/b.ko"
	is_signed b.ko ec sha512
}

@test "with dkms-key = kernel the key that the configuration names comes first" {
	lay_keys
	cp "$KEYS/other.key" "$KEYS/other.pem" "$root/etc"
	config dkms-key=kernel key=/etc/other.key cert=/etc/other.pem
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko other
	warns '/etc/other.key \(from the configuration file\) instead of'
}

@test "with dkms-key = kernel and no key of the kernel's, DKMS's signs without a word" {
	lay_keys
	rm -r "$own"
	config dkms-key=kernel
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ -z "$stderr" ]
	# Nor is another machine owner key one of the kernel's, where DKMS keeps its own elsewhere.
	mkdir -p "$root/var/lib/shim-signed/mok"
	cp "$KEYS/ec.key" "$root/var/lib/shim-signed/mok/MOK.priv"
	cp "$KEYS/ec.der" "$root/var/lib/shim-signed/mok/MOK.der"
	mv "$root/var/lib/dkms/mok.key" "$root/var/lib/dkms/mok.pub" .
	machine 0 sha512 "$PWD/mok.key" "$PWD/mok.pub" "$PWD/a.ko"
	is_signed a.ko rsa sha512
	[ -z "$stderr" ]
}

@test "a key that somebody chose for DKMS is never passed over" {
	lay_keys
	config dkms-key=kernel
	machine 0 sha256 "${pair[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ -z "$stderr" ]
	cp "$FIXTURES/plain.ko" a.ko
	echo 'mok_signing_key=/var/lib/dkms/mok.key' >"$root/etc/dkms/framework.conf"
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ -z "$stderr" ]
	cp "$FIXTURES/plain.ko" a.ko
	echo '# mok_signing_key=/var/lib/dkms/mok.key' >"$root/etc/dkms/framework.conf"
	echo 'mok_signing_key="/var/lib/dkms/mok.key"' >"$root/etc/dkms/framework.conf.d/key.conf"
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ -z "$stderr" ]
	rm "$root/etc/dkms/framework.conf.d/key.conf"
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko ec
}

@test "the kernel's own key that is the one DKMS names needs no word" {
	lay_keys
	config key=/var/lib/dkms/mok.key cert=/var/lib/dkms/mok.pub
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
	is_signed a.ko rsa
	[ -z "$stderr" ]
}

@test "a fault in the configuration keeps DKMS's module from being signed by any key" {
	lay_keys
	config dkms-key=whatever
	before=$(identity a.ko)
	machine 1 sha256 "${mok[@]}" "$PWD/a.ko"
	blames /etc/kernel-sign.conf "line 1: 'dkms-key' cannot be 'whatever'"
	[ "$(identity a.ko)" = "$before" ]
	config dkms-key=kernel
	rm "$own/signing_crt.crt"
	machine 1 sha256 "${mok[@]}" "$PWD/a.ko"
	blames signing_crt.crt 'No such file'
	[ "$(identity a.ko)" = "$before" ]
}

@test "who is not DKMS, or wants no module signed, gets the key that he names" {
	lay_keys
	config dkms-key=kernel
	machine 0 -d sha256 "${mok[@]}" "$PWD/a.ko"
	message rsa sha256 a.ko >wanted
	cmp wanted a.ko.p7s
	[ -z "$stderr" ]
	for variable in module kernelver arch; do
		cp "$FIXTURES/plain.ko" a.ko
		machine_without "$variable"
		is_signed a.ko rsa
		[ -z "$stderr" ]
	done
}

# As machine, but that DKMS's environment lacks a variable.
machine_without() {
	local signer=$FIXTURES/sign-file FIXTURES=$PWD/without
	mkdir -p "$FIXTURES"
	printf '#!/bin/sh\nunset %s\nexec "%s" "$@"\n' "$1" "$signer" >"$FIXTURES/sign-file"
	chmod +x "$FIXTURES/sign-file"
	machine 0 sha256 "${mok[@]}" "$PWD/a.ko"
}
