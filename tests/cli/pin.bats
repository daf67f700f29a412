#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Where the passphrase of an encrypted key comes from, PKCS#12, and where no passphrase may be seen.
# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a subshell of its own
load common

setup_file() {
	make_fixtures
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout pass:open-sesame -out "$KEYS/pkcs8.key"
	openssl rsa -in "$KEYS/rsa.key" -traditional -aes128 -passout pass:open-sesame \
		-out "$KEYS/traditional.key"
	openssl pkcs12 -export -inkey "$KEYS/rsa.key" -in "$KEYS/rsa.pem" -certfile "$KEYS/other.pem" \
		-passout pass:open-sesame -out "$KEYS/rsa.p12"
	chmod 600 "$KEYS"/*
}

setup() {
	start_test
	export alone=1
	module extra/a.ko
	locked=(--key "$KEYS/pkcs8.key" --cert "$KEYS/rsa.pem" --hash sha256)
	printf 'open-sesame\nthe second line is no part of it\n' >pin
	chmod 600 pin
}

# terminal ANSWER COMMAND...: on a terminal of its own, where ANSWER is typed once a passphrase is asked
# for.  $screen is what was to be seen there; the exit status is the command's.
terminal() {
	screen=$(python3 - "$@" <<'END'
import os, pty, select, signal, sys, time
answer, command = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, typed, end = b"", False, time.time() + 20
while time.time() < end:
    if not select.select([fd], [], [], 0.1)[0]:
        continue
    try:
        new = os.read(fd, 4096)
    except OSError:
        break
    seen += new
    if not typed and b"assphrase of " in seen:
        typed = True
        time.sleep(0.2)
        os.write(fd, b"\x03" if answer == "interrupt" else answer.encode() + b"\n")
if time.time() >= end:
    os.kill(pid, signal.SIGKILL)
print(seen.decode().replace("\r", ""))
status = os.waitpid(pid, 0)[1]
sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
END
	)
}

@test "--pin-file: the first line of a file" {
	local key
	for key in pkcs8 traditional; do
		ks 0 sign "${here[@]}" --key "$KEYS/$key.key" --cert "$KEYS/rsa.pem" --hash sha256 \
			--pin-file pin --force
		is_signed "$tree/extra/a.ko"
		[ -z "$stderr" ]
	done
	printf 'open-sesame' >pin
	ks 0 sign "${here[@]}" "${locked[@]}" --pin-file pin --force
}

@test "--pin-file: one that is missing, too large, a directory, open to others" {
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file missing
	blames pkcs8.key 'the private key is encrypted; missing: .*No such file'
	head -c 5000 /dev/zero | tr '\0' x >large
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file large
	blames pkcs8.key 'encrypted; large: '
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file .
	printf 'open\0sesame' >pin
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file pin
	blames pkcs8.key 'encrypted; pin: a NUL byte'
	is_plain "$tree/extra/a.ko"
	echo open-sesame >pin
	chmod 644 pin
	ks 0 sign "${here[@]}" "${locked[@]}" --pin-file pin
	blames 'warning: pin' 'open to others \(mode 0644; chmod 600 it\)'
	is_signed "$tree/extra/a.ko"
}

@test "--pin-fd: an open file descriptor, standard input too" {
	ks 0 sign "${here[@]}" "${locked[@]}" --pin-fd 7 7<pin
	is_signed "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" "${locked[@]}" --force --pin-fd 0 < <(echo open-sesame)
	ks 0 sign "${here[@]}" "${locked[@]}" --force --pin-fd 0 < <(printf open-; sleep 0.2; printf sesame)
}

@test "--pin-fd: a pipe that stays open after the line" {
	mkfifo pipe
	exec 8<>pipe
	echo open-sesame >&8
	timeout 20 "$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" --pin-fd 8
	is_signed "$tree/extra/a.ko"
}

@test "a pipe where a file is wanted is called that, and what takes one" {
	local stdin
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file <(cat pin)
	blames pkcs8.key 'encrypted; /dev/fd/[0-9]+: a pipe, which --pin-fd takes$'
	stdin=$(echo open-sesame | "$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" --pin-file /dev/stdin 2>&1) && return 1
	grep -q 'encrypted; /dev/stdin: a pipe, which --pin-fd takes$' <<<"$stdin"
	mkfifo -m 600 fifo
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file fifo
	blames pkcs8.key 'encrypted; fifo: a pipe, which --pin-fd takes$'
	ks 1 sign "${here[@]}" --key <(cat "$KEYS/rsa.key") --cert "$KEYS/rsa.pem"
	warns '^kernel-sign: /dev/fd/[0-9]+: a pipe, not a regular file$'
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file pipe:[1]
	blames pkcs8.key 'No such file'
	ks 0 sign "${here[@]}" "${locked[@]}" --pin-file /dev/stdin <pin
}

@test "nothing at all is no empty passphrase; a line of nothing is one" {
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-fd 0 </dev/null
	blames pkcs8.key 'the private key is encrypted; --pin-fd: empty$'
	# Whoever closed it has /dev/null there.
	# shellcheck disable=SC2016 # the inner shell expands it
	run --separate-stderr sh -c 'exec "$@" <&-' - "$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" --pin-fd 0
	ended 1
	blames pkcs8.key 'the private key is encrypted; --pin-fd: empty$'
	: >nothing
	chmod 600 nothing
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-file nothing
	blames pkcs8.key 'the private key is encrypted; nothing: empty$'
	ks 1 sign "${here[@]}" "${locked[@]}" --pin-fd 0 <<<''
	blames pkcs8.key 'does not open with the passphrase in --pin-fd$'
}

@test "--pin-fd: what is no open file descriptor is a wrong usage" {
	local fd
	for fd in 77 -1 x '' 9999999999; do
		ks 2 sign "${here[@]}" "${locked[@]}" --pin-fd "$fd"
		warns "^kernel-sign: --pin-fd: '$fd' is no open file descriptor"
	done
	ks 2 sign "${here[@]}" "${locked[@]}" --pin-fd 7 --pin-file other 7<pin
	warns 'cannot be combined'
	is_plain "$tree/extra/a.ko"
}

@test "a credential of systemd" {
	mkdir credentials
	cp pin credentials/kernel-sign.pin
	export CREDENTIALS_DIRECTORY=$PWD/credentials
	ks 0 sign "${here[@]}" "${locked[@]}"
	is_signed "$tree/extra/a.ko"
	cp "$FIXTURES/plain.ko" b.ko
	ks 0 sign-file sha256 "$KEYS/pkcs8.key" "$KEYS/rsa.pem" b.ko
	is_signed b.ko
	rm credentials/kernel-sign.pin
	ks 1 sign "${here[@]}" "${locked[@]}" --force
	blames pkcs8.key 'encrypted; .*the credential kernel-sign.pin'
}

@test "the first source that there is counts, also where it is wrong" {
	mkdir credentials
	echo wrong-credential >credentials/kernel-sign.pin
	chmod 600 credentials/kernel-sign.pin
	export CREDENTIALS_DIRECTORY=$PWD/credentials
	ks 1 sign "${here[@]}" "${locked[@]}"
	blames pkcs8.key "does not open with the passphrase in $PWD/credentials/kernel-sign.pin"
	KBUILD_SIGN_PIN=open-sesame ks 0 sign "${here[@]}" "${locked[@]}"
	KBUILD_SIGN_PIN=wrong ks 1 sign "${here[@]}" "${locked[@]}" --force
	blames pkcs8.key 'does not open with the passphrase in KBUILD_SIGN_PIN'
	KBUILD_SIGN_PIN=wrong ks 0 sign "${here[@]}" "${locked[@]}" --force --pin-file pin
	echo wrong >pin
	KBUILD_SIGN_PIN=open-sesame ks 1 sign "${here[@]}" "${locked[@]}" --force --pin-file pin
	blames pkcs8.key 'does not open with the passphrase in pin'
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "a key that is not encrypted: nobody is asked" {
	ks 0 sign "${here[@]}" "${key[@]}" --pin-file missing
	terminal never "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --force
	not grep -q assphrase <<<"$screen"
}

@test "a terminal: asked once, and what is typed is not shown" {
	local status=0
	module extra/b.ko
	openssl pkcs8 -topk8 -in "$KEYS/ec.key" -passout pass:open-sesame -out ec8.key
	chmod 600 ec8.key
	mkdir -p "$root/lib/modules/6.2.0-test/extra"
	: >"$root/lib/modules/6.2.0-test/modules.order"
	cp "$tree/extra/a.ko" "$root/lib/modules/6.2.0-test/extra/"
	terminal open-sesame "$KERNEL_SIGN" sign --root "$root" -k all --hash sha256 --key "$KEYS/pkcs8.key" \
		--cert "$KEYS/rsa.pem" --key ec8.key --cert "$KEYS/ec.pem"
	grep -q '3 signed, 0 failed' <<<"$screen"
	[ "$(grep -c 'assphrase of ' <<<"$screen")" = 1 ]
	not grep -q sesame <<<"$screen"
	grep -aq "$MARKER" "$root/lib/modules/6.2.0-test/extra/a.ko"
	terminal wrong "$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" --force || status=$?
	[ "$status" = 1 ]
	grep -q 'does not open with the passphrase in the terminal' <<<"$screen"
}

@test "a terminal: sign-file asks too, and Ctrl-C ends it with the terminal as it was" {
	local status=0
	cp "$FIXTURES/plain.ko" b.ko
	terminal open-sesame "$KERNEL_SIGN" sign-file sha256 "$KEYS/pkcs8.key" "$KEYS/rsa.pem" b.ko
	is_signed b.ko
	# shellcheck disable=SC2016 # for the shell on the terminal
	terminal interrupt sh -c 'trap "echo shell goes on" INT; "$@"; echo "status $?"; stty -a' sh \
		"$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" || status=$?
	grep -q 'status 130' <<<"$screen"
	grep -qE '(^| )echo ' <<<"$screen"
	is_plain "$tree/extra/a.ko"
}

@test "no terminal: nobody is asked, and the error says where a passphrase comes from" {
	ks 1 sign "${here[@]}" "${locked[@]}"
	blames pkcs8.key 'encrypted; its passphrase or PIN is taken from --pin-file, --pin-fd, KBUILD_SIGN_PIN, the credential kernel-sign.pin or a terminal'
	ks 1 sign-file sha256 "$KEYS/pkcs8.key" "$KEYS/rsa.pem" "$tree/extra/a.ko"
	blames pkcs8.key 'encrypted; its passphrase or PIN is taken from KBUILD_SIGN_PIN, the credential'
	is_plain "$tree/extra/a.ko"
}

@test "PKCS#12: key and certificate in one file" {
	ks 0 sign "${here[@]}" --key "$KEYS/rsa.p12" --hash sha256 --pin-file pin
	is_signed "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" --key "$KEYS/rsa.p12" --cert "$KEYS/rsa.pem" --hash sha256 --pin-file pin --force
	is_signed "$tree/extra/a.ko"
	echo wrong >pin
	ks 1 sign "${here[@]}" --key "$KEYS/rsa.p12" --hash sha256 --pin-file pin --force
	blames rsa.p12 'does not open with the passphrase in pin'
	chmod 666 "$KEYS/rsa.p12"
	ks 1 sign "${here[@]}" --key "$KEYS/rsa.p12" --hash sha256 --pin-file pin --force
	blames rsa.p12 'others can write to the private key'
	chmod 600 "$KEYS/rsa.p12"
}

@test "a cipher that OpenSSL keeps in its legacy provider is no wrong passphrase, and what helps does" {
	local old=(-provider legacy -provider default) again name
	openssl list -provider legacy -cipher-algorithms >/dev/null 2>&1 || skip "OpenSSL has no legacy provider here"
	openssl pkcs12 -export -legacy -certpbe PBE-SHA1-RC2-40 -inkey "$KEYS/rsa.key" -in "$KEYS/rsa.pem" \
		-passout pass:open-sesame -out RC2-40-CBC
	openssl rsa -in "$KEYS/rsa.key" -traditional -des "${old[@]}" -passout pass:open-sesame -out DES-CBC
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -v1 PBE-MD5-DES "${old[@]}" -passout pass:open-sesame -out PBKDF1
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -v1 PBE-SHA1-RC4-128 "${old[@]}" -passout pass:open-sesame -out RC4
	chmod 600 RC2-40-CBC DES-CBC PBKDF1 RC4
	for name in RC2-40-CBC DES-CBC PBKDF1 RC4; do
		again="openssl pkcs8 -topk8 -provider legacy -provider default"
		[ "$name" != RC2-40-CBC ] || again="openssl pkcs12 -legacy"
		ks 1 sign "${here[@]}" --key "$name" --cert "$KEYS/rsa.pem" --hash sha256 --pin-file pin
		warns "^kernel-sign: $name: the private key is encrypted with $name, which OpenSSL does not offer here: if its legacy provider does, $again -in FILE -out NEW\$"
		[ "$(wc -l <<<"$stderr")" = 1 ]
		(
			umask 077
			$again -in "$name" -passin pass:open-sesame -passout pass:open-sesame -out new
		)
		ks 0 sign "${here[@]}" --key new --cert "$KEYS/rsa.pem" --hash sha256 --pin-file pin --force
		is_signed "$tree/extra/a.ko"
	done
	# That of PKCS#12 is checked before: there it is known to be wrong.
	echo wrong >pin
	ks 1 sign "${here[@]}" --key RC2-40-CBC --hash sha256 --pin-file pin
	blames RC2-40-CBC 'does not open with the passphrase in pin'
}

@test "PKCS#12 without a certificate, with another one, without a passphrase" {
	openssl pkcs12 -export -inkey "$KEYS/rsa.key" -nocerts -passout pass: -out bare.p12
	openssl pkcs12 -export -inkey "$KEYS/rsa.key" -in "$KEYS/rsa.pem" -passout pass: -out open.p12
	chmod 600 bare.p12 open.p12
	ks 1 sign "${here[@]}" --key bare.p12 --hash sha256
	blames bare.p12 'no certificate'
	ks 1 sign "${here[@]}" --key bare.p12 --cert "$KEYS/other.pem" --hash sha256
	blames bare.p12 '.*does not belong'
	ks 0 sign "${here[@]}" --key bare.p12 --cert "$KEYS/rsa.pem" --hash sha256
	ks 0 sign "${here[@]}" --key open.p12 --hash sha256 --force </dev/null
	is_signed "$tree/extra/a.ko"
}

@test "a passphrase shows nowhere: not in arguments, children, output or memory images" {
	ks 0 sign "${here[@]}" "${locked[@]}" --pin-file pin -v --json
	not grep -q sesame <<<"$output$stderr"
	KBUILD_SIGN_PIN=open-sesame ks 0 sign "${here[@]}" "${locked[@]}" -v --force
	not grep -q sesame <<<"$output$stderr"
	mkfifo pipe
	KBUILD_SIGN_PIN=open-sesame "$KERNEL_SIGN" sign "${here[@]}" "${locked[@]}" --pin-fd 8 --force 8<>pipe &
	for _ in $(seq 50); do
		[ "$(cat "/proc/$!/comm")" = "$(basename "$KERNEL_SIGN" | cut -c1-15)" ] && break
		sleep 0.1
	done
	sleep 0.3
	not grep -aq sesame "/proc/$!/cmdline" "/proc/$!/environ"
	echo open-sesame >pipe
	wait $!
}

@test "a URI of a token with nothing that speaks to it: the cause and what to install" {
	mkdir modules
	export OPENSSL_MODULES=$PWD/modules OPENSSL_ENGINES=$PWD/modules
	ks 1 sign "${here[@]}" --key 'pkcs11:token=x;object=y;pin-value=open-sesame'
	blames 'pkcs11:token=x;object=y;pin-value=\.\.\.' \
		'nothing here speaks to PKCS#11 tokens: install libengine-pkcs11-openssl or pkcs11-provider'
	ks 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert 'pkcs11:token=x;object=y?pin-value=open-sesame&a=b'
	blames 'pkcs11:token=x;object=y\?pin-value=\.\.\.&a=b' 'nothing here speaks'
	ks 1 sign "${here[@]}" --key handle:0x81000001 --cert "$KEYS/rsa.pem"
	blames handle:0x81000001 'nothing here speaks to TPMs: install tpm2-openssl'
	printf -- '-----BEGIN TSS2 PRIVATE KEY-----\n' >tpm.pem
	chmod 600 tpm.pem
	ks 1 sign "${here[@]}" --key tpm.pem --cert "$KEYS/rsa.pem"
	blames tpm.pem 'nothing here speaks to TPMs: install tpm2-openssl'
	is_plain "$tree/extra/a.ko"
}

@test "a file whose name begins as a URI does" {
	cp "$KEYS/rsa.key" 'pkcs11:x'
	ks 0 sign "${here[@]}" --key './pkcs11:x' --cert "$KEYS/rsa.pem" --hash sha256
	is_signed "$tree/extra/a.ko"
}

@test "-v: threads are confined, for keys in files" {
	ks 0 sign "${here[@]}" "${key[@]}" -v
	not warns 'on a token or in a TPM'
}
