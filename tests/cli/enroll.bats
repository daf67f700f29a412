#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign enroll: each state told apart, and mokutil called where it helps and nowhere else.  Most tests
# have a stand-in for mokutil, which notes what it is asked and answers as the real one (0.6.0) was
# seen to; those at the end have the real one, if it is there, work on variables in files.
# shellcheck disable=SC2016 # what the stand-in does is for its own shell

load common
load kernel

setup_file() {
	make_fixtures
}

setup() {
	start_test
	start_kernel
	started_by_shim
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y
	image "$DEBIAN" other
	enroll=(enroll "${here[@]}" --efivars "$efi")
	real=$(command -v mokutil || true)
	note=$BATS_TEST_TMPDIR/note
	stand_in 'cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM"'
}

# stand_in COMMANDS: a mokutil that notes its arguments and what it is to import, and runs COMMANDS.
stand_in() {
	mkdir -p bin "$note"
	cat >bin/mokutil <<-END
		#!/bin/bash
		note=$note SHIM=$SHIM
		printf '%s\n' "\$@" >\$note/arguments
		printf '%s' "\$EFIVARFS_PATH" >\$note/directory
		cat "\$2" >\$note/imported
		$1
	END
	chmod +x bin/mokutil
	[[ $PATH == "$PWD/bin:"* ]] || PATH=$PWD/bin:$PATH
	{
		printf '\7\0\0\0'
		listed rsa
	} >"$note/MokNew"
}

was_called() { [ -e "$note/arguments" ]; }

fact() { jq -r ".$1" <<<"$output"; }

# state STATUS STATE [ARGUMENT...]: what --json says of the certificate rsa, or of --cert.
state() {
	local wanted=$1 state=$2
	shift 2
	[ $# -gt 0 ] || set -- --cert "$KEYS/rsa.pem"
	ks "$wanted" "${enroll[@]}" --json "$@"
	[ "$(fact state)" = "$state" ]
	[ "$(fact failed)" = "$([ "$wanted" = 0 ] && echo false || echo true)" ]
}

@test "what nobody knows yet is queued, as DER, and what comes then is said" {
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	cmp "$note/imported" "$KEYS/rsa.der"
	[ "$(cat "$note/directory")" = "$efi/" ]
	[ "$(wc -l <"$note/arguments")" = 2 ]
	[ "$(head -n 1 "$note/arguments")" = --import ]
	says "^$KEYS/rsa.pem: it is queued \(MokNew\)"
	says '^  1\. systemctl reboot'
	says "fingerprint $(sha1sum "$KEYS/rsa.der" | head -c 40 | sed 's/../& /g; s/ $//') there"
	says '"Continue" and "Yes", type the password just given, and choose "Reboot"'
	[ -z "$stderr" ]
	ks 0 trust "${here[@]}" --efivars "$efi"
	says 'CN=the rsa key +MokNew +at the next boot'
	no_litter "$BATS_TEST_TMPDIR"
}

@test "what was queued is not queued again" {
	listed ec rsa | variable MokNew "$SHIM"
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.der"
	says 'it is queued already \(MokNew\)'
	says 'type the password given to mokutil'
	not was_called
	state 0 queued
	[ "$(fact action) $(fact list) $(fact keyring)" = 'none MokNew null' ]
	# Another one is, and the password changes for both.
	rm "$efi"/MokNew-*
	listed ec | variable MokNew "$SHIM"
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.der"
	warns 'warning: 1 certificate was in MokNew before'
	was_called
}

@test "JSON says all of it" {
	state 0 'not enrolled'
	[ "$(fact certificate) $(fact from) $(fact subject)" = "$KEYS/rsa.pem the command line CN=the rsa key" ]
	[ "$(fact key_id)" = "$(openssl x509 -in "$KEYS/rsa.pem" -noout -ext subjectKeyIdentifier |
		tail -n 1 | tr -d ' :' | tr A-F a-f)" ]
	[ "$(fact kernel) $(fact counts) $(fact why) $(fact list) $(fact action)" = "$V yes null null queued" ]
	[ "$(fact 'next[0]')" = 'systemctl reboot' ]
	python3 -c 'import json, sys; json.loads(sys.argv[1])' "$output"
	[ -z "$stderr" ]
}

@test "ways to give a password are handed on" {
	echo "\$6\$salt\$hash" >password
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" --hash-file password
	[ "$(sed 1,2d "$note/arguments" | tr '\n' ' ')" = '--hash-file password ' ]
	says 'the password that password has the hash of'
	rm "$efi"/MokNew-*
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" -P
	[ "$(sed 1,2d "$note/arguments" | tr '\n' ' ')" = '--root-pw ' ]
	says 'the password that root has now'
	rm "$efi"/MokNew-* "$note/arguments"
	ks 2 "${enroll[@]}" --cert "$KEYS/rsa.pem" --root-pw --hash-file password
	not was_called
	# And standard input is mokutil's.
	stand_in 'read -r password; echo "$password" >$note/password; cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM"'
	echo sesame >typed
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" <typed
	[ "$(cat "$note/password")" = sesame ]
}

@test "what the kernel trusts needs nothing, wherever it is from" {
	ks 0 "${enroll[@]}" --cert "$KEYS/other.der"
	says "^$KEYS/other.der: $V trusts it already \(builtin, .builtin_trusted_keys\): nothing to do\$"
	listed rsa | variable MokListRT "$SHIM"
	state 0 trusted
	[ "$(fact list) $(fact keyring) $(fact action)" = 'MOK .machine none' ]
	listed ec | variable db "$SECURITY"
	state 0 trusted --cert "$KEYS/ec.pem"
	[ "$(fact list) $(fact keyring)" = 'db .platform' ]
	not was_called
	# Nobody needs UEFI for that.
	ks 0 enroll "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none" --cert "$KEYS/other.der"
	says 'builtin'
}

@test "enrolled, and not counted" {
	listed rsa | variable MokListRT "$SHIM"
	secure_boot '\0'
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	says "enrolled already \(MokListRT\), but does not count for $V \(Secure Boot\)"
	says '^  1\. turn Secure Boot on'
	state 0 enrolled
	[ "$(fact counts)" = no ]
	secure_boot '\1'
	image somebody@somewhere
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	says "enrolled already \(MokListRT\), and nobody knows whether it counts for $V \(built by somebody@somewhere, whose kernels were not read\)"
	says '^  1\. kernel-sign trust'
	printf '\1' | variable MokListTrustedRT "$SHIM"
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	says "counts for $V \(built by .* not read; MokListTrustedRT is there, CONFIG_INTEGRITY_MACHINE_KEYRING is not set\)"
	not was_called
}

@test "what will not count is queued with a warning" {
	secure_boot '\0'
	state 0 'not enrolled'
	[ "$(fact counts) $(fact why)" = 'no Secure Boot' ]
	warns "warning: .*rsa.pem: once enrolled, it will still not count for $V \(Secure Boot\)"
	rm "$efi"/MokNew-*
	secure_boot '\1'
	image somebody@somewhere
	state 0 'not enrolled'
	warns "warning: .*nobody knows whether it will count, once enrolled, for $V \(built by somebody@somewhere, whose kernels were not read\)"
}

@test "what is to be removed is kept" {
	listed rsa | variable MokListRT "$SHIM"
	listed rsa ec | variable MokDel "$SHIM"
	stand_in 'true'
	# As if mokutil had done nothing.
	state 1 'to be removed'
	warns 'it is still to be removed \(MokDel\): mokutil --import \(which says that all went well\); mokutil --list-delete shows what is to be removed$'
	listed ec >"$note/left"
	stand_in '{ printf "\6\0\0\0"; cat "$note/left"; } >"${EFIVARFS_PATH}MokDel-$SHIM"; echo "Removed it from MokDel"'
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" -n
	says 'would take it out of MokDel'
	state 0 'to be removed'
	[ "$(fact action)" = kept ]
	# Not on standard output, which is for results.
	warns '^Removed it from MokDel'
	state 0 trusted
	# One that is trusted in another way can be removed there.
	listed rsa | variable MokDel "$SHIM"
	image "$DEBIAN" rsa
	state 0 trusted
	[ "$(fact list)" = builtin ]
	# The same where it does not count.
	image "$DEBIAN" other
	secure_boot '\0'
	stand_in 'true'
	state 1 'to be removed'
}

@test "what was revoked is refused" {
	listed rsa | variable dbx "$SECURITY"
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns "^kernel-sign: $KEYS/rsa.pem: it was revoked: it is in dbx, and mokutil takes none that is there; sign with"
	[ -z "$output" ]
	state 1 revoked
	listed ec | variable MokListXRT "$SHIM"
	state 1 revoked --cert "$KEYS/ec.pem"
	[ "$(fact list) $(fact action)" = 'MOKX none' ]
	not was_called
	# Debian's kernel does not look there; this one does, and then nothing else helps.
	listed rsa | variable MokListRT "$SHIM"
	state 0 trusted
	config CONFIG_MODULE_SIG=y CONFIG_CRYPTO_SHA256=y CONFIG_SYSTEM_REVOCATION_LIST=y
	state 1 revoked
}

@test "what was revoked by a hash of it is refused" {
	# Of what is signed in it (to be signed: TBS), as EFI_CERT_X509_SHA256.
	{
		printf '\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed'
		little $((28 + 64))
		little 0
		little 64
		head -c 16 /dev/zero
		openssl asn1parse -inform DER -in "$KEYS/rsa.der" -strparse 4 -noout -out tbs
		openssl dgst -sha256 -binary tbs
		head -c 16 /dev/zero
	} | variable dbx "$SECURITY"
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns 'rsa.pem: it was revoked: a hash of it is in dbx, MOKX or '
	state 1 revoked
	[ "$(fact list)" = null ]
	ks 0 "${enroll[@]}" --cert "$KEYS/ec.pem" --dry-run
}

@test "a kernel that checks no signatures is warned of" {
	printf '%s\n' CONFIG_MODULES=y '# CONFIG_MODULE_SIG is not set' >"$tree/build/.config"
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns "warning: $V checks no signatures of modules: it needs no key$"
}

@test "a key of a type that the kernel has not is refused" {
	printf '%s\n' CONFIG_MODULES=y '# CONFIG_CRYPTO_ECDSA is not set' >"$tree/build/.config"
	ks 1 "${enroll[@]}" --cert "$KEYS/ec.pem"
	warns "^kernel-sign: $KEYS/ec.pem: $V cannot use a key of that type; sign with another one"
	state 1 'key type' --cert "$KEYS/ec.pem"
	not was_called
	state 0 'not enrolled'
}

@test "without UEFI, without its variables, without shim" {
	ks 1 enroll "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none" --cert "$KEYS/rsa.pem"
	warns 'rsa.pem: .*/none is not there, as on a machine without UEFI, .*; without UEFI a kernel trusts what it was built with'
	config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y
	ks 1 enroll "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none" --cert "$KEYS/rsa.pem" --json
	[ "$(fact state)" = 'no UEFI' ]
	[[ $(fact 'next[0]') == "the kernel's build demands signatures: build it with"* ]]
	mkdir empty
	ks 1 enroll "${here[@]}" --efivars "$PWD/empty" --cert "$KEYS/rsa.pem"
	warns 'rsa.pem: .*/empty has no variables of the firmware to be seen; mount -t efivarfs'
	# What is left from another boot says nothing of this one.
	rm "$efi"/SbatLevelRT-*
	listed ec | variable MokNew "$SHIM"
	printf '\1' | variable MokListTrusted "$SHIM"
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns 'rsa.pem: UEFI started this system without shim \(there is no MokListRT\).*; let shim start it'
	state 1 'no shim'
	not was_called
	listed ec | variable MokListRT "$SHIM"
	state 0 'not enrolled'
}

@test "in db, which the kernel does not count" {
	listed rsa | variable db "$SECURITY"
	image somebody@somewhere
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns "it is in the firmware's db, and nobody knows whether that counts for $V \(built by somebody@somewhere, whose kernels were not read\), and mokutil takes none"
	state 1 'in db'
	image "$DEBIAN"
	printf '\1' | variable MokIgnoreDB "$SHIM"
	state 1 'in db'
	warns "db, which does not count for $V \(MokIgnoreDB\)"
	not was_called
}

@test "mokutil's failure is handed on, with what helps" {
	stand_in 'echo "Failed to enroll new keys" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns "^kernel-sign: $KEYS/rsa.pem: it is not queued: mokutil --import: Failed to enroll new keys \(exit status 255\)\$"
	[ -z "$output" ]
	stand_in 'echo "Failed to get root password hash" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem" --root-pw
	warns "Failed to get root password hash \(exit status 255\); mokutil takes root's password in the forms"
	stand_in 'printf "Failed to parse the string\nFailed to read hash\n" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem" --hash-file password
	warns ': Failed to parse the string, Failed to read hash \(exit status 255\); password has to be what mokutil'
	stand_in 'printf "password should be 1~256 characters\nAbort\n" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns '^kernel-sign: mokutil: password should be'
	warns ': Abort \(exit status 255\); where nobody can type'
	stand_in 'echo "This system does not support Secure Boot" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns ' \(exit status 255\); the firmware has no variable SecureBoot'
	stand_in 'kill -SEGV $$'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns 'it is not queued: mokutil --import \(signal 11 '
	state 1 'not enrolled'
	[ "$(fact action)" = none ]
}

@test "mokutil says yes, and nothing is queued; or no, and something is" {
	stand_in 'echo "Already in kernel trusted keyring. Skip"'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns 'rsa.pem: it is not queued: mokutil --import \(which says that all went well\); mokutil --list-new shows what is queued$'
	# Somebody else's certificate is not ours.
	listed ec >"$note/other"
	stand_in '{ printf "\6\0\0\0"; cat "$note/other"; } >"${EFIVARFS_PATH}MokNew-$SHIM"'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	stand_in 'cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM"; echo "Failed to write MokAuth" >&2; exit 255'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns 'queued \(MokNew\), but .*: Failed to write MokAuth \(exit status 255\); mokutil --revoke-import, which drops the others that are queued, too, and try again$'
}

@test "what mokutil says beside it is shown, whatever it is" {
	stand_in 'printf "odd \033[31m words\n\n%0600d\nlast" 7 >&2; cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM"'
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	warns '^kernel-sign: mokutil: odd \\x1b\[31m words$'
	warns '^kernel-sign: mokutil: last$'
	[ "$(wc -l <<<"$stderr")" = 3 ]
	# And no more of it than somebody reads.
	stand_in 'yes "a line" | head -n 100000 >&2; cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM"'
	rm "$efi"/MokNew-*
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem"
	[ "$(wc -l <<<"$stderr")" = 16 ]
}

# in_mounts COMMANDS: a shell with mounts of its own, "$@" being how to enrol.
in_mounts() {
	local own=(unshare --mount)
	[ "$(id -u)" = 0 ] || own=(unshare --user --map-root-user --mount)
	"${own[@]}" true 2>/dev/null || skip "no mounts for us"
	run --separate-stderr "${own[@]}" bash -c "$1" bash "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem"
}

@test "the firmware's memory is full" {
	cp -a "$efi" full
	enroll=(enroll "${here[@]}" --efivars "$PWD/full")
	stand_in 'cp "$note/MokNew" "${EFIVARFS_PATH}MokNew-$SHIM" || { rm -f "${EFIVARFS_PATH}MokNew-$SHIM"; echo "Failed to enroll new keys" >&2; exit 255; }'
	in_mounts 'mount -t tmpfs -o size=8k none full && cp efivars/* full && "$@"'
	ended 1
	warns 'Failed to enroll new keys \(exit status 255\); the firmware has 0 bytes left for variables, and about [0-9]+ are wanted: restart'
	in_mounts 'mount -t tmpfs -o size=12k none full && cp efivars/* full && >full/dump-type0-1 && echo >full/dump-type0-2 && "$@"'
	ended 1
	warns ': remove the 2 records of crashed kernels in /sys/fs/pstore'
	# With room enough it was something else.
	stand_in 'echo "Failed to enroll new keys" >&2; exit 255'
	in_mounts 'mount -t tmpfs -o size=80k none full && cp efivars/* full && "$@"'
	ended 1
	warns '\(exit status 255\)$'
}

@test "variables that may not be written are not tried" {
	in_mounts 'mount --bind efivars efivars && mount -o remount,ro,bind efivars && "$@"'
	ended 1
	warns "rsa.pem: $efi is mounted read-only; mount -o remount,rw $efi\$"
	not was_called
	let_nobody_in
	run --separate-stderr nobody "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem"
	if [ "$(id -u)" = 0 ]; then
		ended 1
		warns "rsa.pem: it cannot be queued in $efi: Permission denied; do the same as root\$"
		not was_called
		# To know what there is to know takes nobody in particular.
		run --separate-stderr nobody "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/other.der"
		ended 0
		says 'nothing to do'
		run --separate-stderr nobody "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem" -n
		ended 0
		says 'would queue it'
	fi
}

@test "mokutil is not there: how to get it" {
	local wanted='install the package'
	case " $(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE") " in
	*' debian '* | *' ubuntu '*) wanted='apt install mokutil' ;;
	*' fedora '* | *' rhel '*) wanted='dnf install mokutil' ;;
	*' suse '*) wanted='zypper install mokutil' ;;
	esac
	run --separate-stderr env PATH="$BATS_TEST_TMPDIR" "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem"
	ended 1
	warns "rsa.pem: there is no mokutil, which does the enrolling; $wanted"
	# What is relative on the PATH is nowhere.
	cd bin
	run --separate-stderr env PATH=.::bin "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem"
	ended 1
	not was_called
}

@test "how other distributions get mokutil" {
	local release wanted
	[ -e /etc/os-release ] || skip "no /etc/os-release here"
	while IFS='|' read -r release wanted; do
		printf %b "$release" >release
		in_mounts 'mount --bind release /etc/os-release && PATH=/none "$@"'
		ended 1
		warns "does the enrolling; $wanted"
	done <<-'END'
		NAME=x\nID=linuxmint\nID_LIKE="ubuntu debian"\n|apt install mokutil$
		ID=fedora|dnf install mokutil$
		ID="centos"\nID_LIKE="rhel fedora"|dnf install mokutil$
		ID="opensuse-leap"\nID_LIKE='suse opensuse'\n|zypper install mokutil$
		ID=arch\nNAME=debian\n|install the package
		ID=debianlike\nID_LIKE=notdebian|install the package
		|install the package
	END
	not was_called
}

@test "--dry-run says what would be done, and does nothing" {
	local before
	before=$(manifest "$BATS_TEST_TMPDIR/efivars")
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" --dry-run
	says "^$KEYS/rsa.pem: mokutil --import would queue it \(MokNew\)\$"
	state 0 'not enrolled' --cert "$KEYS/rsa.pem" -n
	[ "$(fact action)" = 'would queue' ]
	not was_called
	[ "$before" = "$(manifest "$BATS_TEST_TMPDIR/efivars")" ]
}

@test "the certificate is the one of the key that signs" {
	mkdir -p "$root/var/lib/dkms" "$root/etc"
	ks 1 "${enroll[@]}"
	warns '^kernel-sign: no certificate found: name one with --cert$'
	cp "$KEYS/rsa.key" "$root/var/lib/dkms/mok.key"
	cp "$KEYS/rsa.der" "$root/var/lib/dkms/mok.pub"
	ks 0 "${enroll[@]}" -v
	says '^/var/lib/dkms/mok.pub: it is queued'
	warns '^kernel-sign: certificate /var/lib/dkms/mok.pub \(from the key of DKMS\)$'
	cmp "$note/imported" "$KEYS/rsa.der"
	mkdir "$root/keys"
	cp "$KEYS/other.pem" "$KEYS/other.key" "$root/keys"
	printf '%s\n' 'key = /keys/other.key' 'cert = /keys/other.pem' >"$root/etc/kernel-sign.conf"
	state 0 trusted -v
	[ "$(fact certificate)" = /keys/other.pem ]
	KERNEL_SIGN_CERT=$KEYS/rsa.pem state 0 queued -v
	# One that is named is a file of the host.
	state 0 queued --cert "$KEYS/rsa.pem"
}

@test "files that are no certificate" {
	local name
	head -c 200 "$KEYS/rsa.der" >short
	head -c 3000000 /dev/zero >large
	: >empty
	mkdir dir
	for name in short empty large dir missing "$KEYS/rsa.key"; do
		ks 1 "${enroll[@]}" --cert "$name" --json
		blames "${name##*/}" .
		[ -z "$output" ]
		[ "$(wc -l <<<"$stderr")" = 1 ]
	done
	name=$'new\nline\033[31m\377.pem'
	cp "$KEYS/rsa.pem" "$name"
	state 0 'not enrolled' --cert "$name"
	[[ $(fact certificate) == *'new\x0aline\x1b[31m\xff.pem' ]]
	ks 0 "${enroll[@]}" --cert "$name"
	says '^new\\x0aline\\x1b\[31m\\xff\.pem: it is queued already'
	cp "$KEYS/rsa.der" ./--import
	rm "$efi"/MokNew-*
	state 0 'not enrolled' --cert --import
}

@test "variables that are damaged are said to be" {
	{
		listed ec
		printf 'rest'
	} | variable MokNew "$SHIM"
	state 0 'not enrolled'
	warns '^kernel-sign: not seen: MokNew: '
	printf 'x' >"$efi/MokListRT-$SHIM"
	rm "$efi"/MokNew-*
	state 0 'not enrolled'
	warns 'not seen: .*MokListRT.*too few for a variable'
}

@test "wrong usage" {
	ks 2 "${enroll[@]}" "$KEYS/rsa.pem"
	warns 'named with --cert'
	ks 2 enroll --root "$root" --efivars "$efi" -k all
	warns 'one kernel at a time'
	ks 1 enroll --root "$root" --efivars "$efi" -k no-such --cert "$KEYS/rsa.pem"
	not was_called
	ks 0 "${enroll[@]}" -q --cert "$KEYS/rsa.pem"
	[ -z "$output$stderr" ]
	was_called
}

@test "an interrupt at the question ends it, and leaves the terminal as it was" {
	stand_in 'stty -echo; printf "input password: "; read -r password'
	run --separate-stderr python3 - "$KERNEL_SIGN" "${enroll[@]}" --cert "$KEYS/rsa.pem" <<-'END'
		import os, pty, signal, sys, termios, time
		signal.alarm(60)
		pid, fd = pty.fork()
		if pid == 0:
		    # Who runs the tests in the background has it ignored.
		    signal.signal(signal.SIGINT, signal.SIG_DFL)
		    os.execvp(sys.argv[1], sys.argv[1:])
		seen = b""
		while b"input password: " not in seen:
		    seen += os.read(fd, 4096)
		time.sleep(0.2)
		os.write(fd, b"\x03")
		try:
		    while new := os.read(fd, 4096):
		        seen += new
		except OSError:
		    pass
		status = os.waitpid(pid, 0)[1]
		print(seen.decode(), "echo", bool(termios.tcgetattr(fd)[3] & termios.ECHO), "status", status)
	END
	ended 0
	says 'it is not queued: mokutil --import \(signal 2 '
	says 'echo True status 256'
}

# --- with the real mokutil, which libefivar lets work on files

start_real() {
	[ -n "$real" ] || skip "no mokutil here"
	rm bin/mokutil
	printf '$6$zWGZa/Ab1j4Udcb$BBCVK4D6Le8MIGAXX1Oxew8GaQ03aornwLT5kd054.NH.pSVM32r4/RLXphZJvpgbqIvysBhVUSxezj.bVeCj1' >password
}

@test "the real mokutil queues it" {
	start_real
	ks 0 "${enroll[@]}" --cert "$KEYS/rsa.pem" --hash-file password
	says 'it is queued \(MokNew\)'
	tail -c +5 "$efi/MokNew-$SHIM" | tail -c +45 | cmp - "$KEYS/rsa.der"
	[ -s "$efi/MokAuth-$SHIM" ]
	state 0 queued
	# And a password that comes by a pipe; the newest stands first, as said.
	printf 'sesame\nsesame\n' >typed
	ks 0 "${enroll[@]}" --cert "$KEYS/ec.pem" <typed
	warns '^input password again:'
	[ "$(jq -c '[.kernels[].certificates[] | select(.from == "MokNew") | .subject]' \
		<<<"$("$KERNEL_SIGN" trust "${here[@]}" --efivars "$efi" --json)")" = '["CN=the ec key","CN=the rsa key"]' ]
}

@test "the real mokutil takes back what is to be removed" {
	start_real
	listed rsa | variable MokListRT "$SHIM"
	# Alone: a file, as opposed to a variable, would keep its end when it is written shorter.
	listed rsa | variable MokDel "$SHIM"
	state 0 'to be removed'
	[ "$(fact action)" = kept ]
	[ ! -e "$efi/MokDel-$SHIM" ]
}

@test "the real mokutil fails" {
	start_real
	echo nonsense >nonsense
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem" --hash-file nonsense
	warns 'it is not queued: mokutil --import: .*Failed to read hash \(exit status 255\); nonsense has to be'
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem" </dev/null
	warns '^kernel-sign: mokutil: password should be'
	warns 'where nobody can type the password'
	rm "$efi"/SecureBoot-*
	ks 1 "${enroll[@]}" --cert "$KEYS/rsa.pem" --hash-file password
	warns 'the firmware has no variable SecureBoot'
	secure_boot '\1'
	cp -a "$efi" full
	enroll=(enroll "${here[@]}" --efivars "$PWD/full" --hash-file password)
	in_mounts 'mount -t tmpfs -o size=8k none full && cp efivars/* full && "$@"'
	ended 1
	warns 'Failed to enroll new keys \(exit status 255\); the firmware has 0 bytes left'
}
