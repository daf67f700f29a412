#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign hook, and the files in hooks/ that call it.  That run-parts, kernel-install and pacman do
# call those is seen in tests/dkms/hooks.py.

load common

setup_file() {
	make_fixtures
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout pass:open-sesame -out "$KEYS/locked.key"
	chmod 600 "$KEYS/locked.key"
}

setup() {
	start_test
	# shellcheck disable=SC2034 # for ks()
	alone=1
	hooks=${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/hooks
}

dkms_key() {
	mkdir -p "$root/var/lib/dkms"
	cp "$KEYS/rsa.key" "$root/var/lib/dkms/mok.key"
	cp "$KEYS/rsa.der" "$root/var/lib/dkms/mok.pub"
	chmod 600 "$root/var/lib/dkms/mok.key"
}

configure() {
	mkdir -p "$root/etc"
	printf '%s\n' 'hash = sha256' "$@" >"$root/etc/kernel-sign.conf"
}

@test "signs what is to be signed, and says so in one line" {
	dkms_key
	configure
	module updates/dkms/a.ko
	module extra/b.ko.xz
	ks 0 hook "${here[@]}"
	[ "$output" = "kernel-sign: $V: 2 signed, 0 failed, of 2 modules" ]
	[ -z "$stderr" ]
	is_signed "$tree/updates/dkms/a.ko"
	is_signed "$tree/extra/b.ko.xz"
	local before
	before=$(manifest "$tree")
	ks 0 hook "${here[@]}"
	[ "$output" = "kernel-sign: $V: 2 already signed, 0 failed, of 2 modules" ]
	[ "$(manifest "$tree")" = "$before" ]
}

@test "nothing to sign, no kernel, no key: a line, and no failure" {
	ks 0 hook "${here[@]}"
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns "^kernel-sign: no out-of-tree module below $root/lib/modules/$V$"
	ks 0 hook --root "$root" -k 9.9.9
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns 9.9.9
	module extra/a.ko
	ks 0 hook "${here[@]}"
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns 'no signing key found'
	is_plain "$tree/extra/a.ko"
}

@test "a module that fails is named, the others are signed; kernel-hook = fail makes that a failure" {
	dkms_key
	module extra/a.ko
	echo 'no module' >"$tree/extra/bad.ko"
	configure
	ks 0 hook "${here[@]}"
	[ "$output" = "kernel-sign: $V: 1 signed, 1 failed, of 2 modules" ]
	blames 'bad.ko' .
	is_signed "$tree/extra/a.ko"
	configure 'kernel-hook = warn'
	ks 0 hook "${here[@]}"
	configure 'kernel-hook = fail'
	ks 1 hook "${here[@]}"
	blames 'bad.ko' .
	rm "$tree/extra/bad.ko"
	ks 0 hook "${here[@]}"
	# Nothing to sign is no failure, no key is one.
	rm "$root/var/lib/dkms/mok.key"
	ks 1 hook "${here[@]}"
	rm "$tree/extra/a.ko"
	ks 0 hook "${here[@]}"
}

@test "kernel-hook = off: nothing is signed, nothing said" {
	dkms_key
	module extra/a.ko
	configure 'kernel-hook = off'
	ks 0 hook "${here[@]}"
	[ -z "$output$stderr" ]
	is_plain "$tree/extra/a.ko"
}

@test "a configuration that cannot be read is named, and the kernel's installation goes on" {
	dkms_key
	module extra/a.ko
	configure 'kernel-hook = perhaps'
	ks 0 hook "${here[@]}"
	warns "^kernel-sign: /etc/kernel-sign.conf: line 2: 'kernel-hook' cannot be 'perhaps'$"
	is_plain "$tree/extra/a.ko"
	configure 'nonsense = 1'
	ks 0 hook "${here[@]}"
	warns "line 2: unknown setting 'nonsense'$"
}

@test "a configuration that cannot be read and says kernel-hook = fail: nothing is installed unsigned" {
	dkms_key
	module extra/a.ko
	configure 'nonsense = 1' 'kernel-hook = fail' 'more = 2'
	ks 1 hook "${here[@]}"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns "line 2: unknown setting 'nonsense'$"
	is_plain "$tree/extra/a.ko"
}

@test "nobody is asked for a passphrase, also on a terminal" {
	module extra/a.ko
	mkdir -p "$root/keys"
	cp "$KEYS/locked.key" "$KEYS/rsa.pem" "$root/keys"
	configure 'key = /keys/locked.key' 'cert = /keys/rsa.pem'
	on_terminal "$KERNEL_SIGN" hook "${here[@]}" >screen
	cat screen
	[ "$(wc -l <screen)" = 1 ]
	grep -q 'locked.key: the private key is encrypted; its passphrase or PIN is taken from KBUILD_SIGN_PIN or the credential kernel-sign.pin.*$' screen
	not grep -qE 'terminal|--pin' screen
	is_plain "$tree/extra/a.ko"
	KBUILD_SIGN_PIN=open-sesame ks 0 hook "${here[@]}"
	is_signed "$tree/extra/a.ko"
}

@test "wrongly called: a usage error, whatever the configuration says" {
	ks 2 hook "${here[@]}" extra
	warns "'extra'"
	ks 2 hook --nonsense
}

# --- the files in hooks/

# calls FILE ARGUMENT...: runs the hook hooks/FILE.in with a program that writes down how it was called.
calls() {
	local file=$1
	shift
	mkdir -p bin
	sed -e "s|@bindir@|$PWD/bin|g" -e "s|/usr/lib/modules|$root/usr/lib/modules|g" \
		-e "s|/etc/kernel-sign.conf|$root&|g" "$hooks/$file.in" >hook
	chmod +x hook
	: >called
	run --separate-stderr env -u DEB_MAINT_PARAMS ${params+"DEB_MAINT_PARAMS=$params"} ./hook "$@"
	printf -- '--- %s %s: %s\n%s\n' "$file" "$*" "$status" "$output$stderr"
	[ "$status" = "${answer:-0}" ]
	cat called
}

program() {
	mkdir -p bin
	printf '#!/bin/sh\necho "$*" >>called\nexit %s\n' "${1:-0}" >bin/kernel-sign
	chmod +x bin/kernel-sign
}

@test "kernel-install: when a kernel is added, and not when one is removed" {
	local file=kernel-install/45-kernel-sign.install
	program
	calls "$file" add "$V" /boot/entry /boot/vmlinuz
	[ "$(<called)" = "hook --kernel $V" ]
	calls "$file" remove "$V" /boot/entry
	[ ! -s called ]
}

@test "Debian's scripts: when a package is configured, and not when it is removed" {
	local file more='' params
	for file in postinst.d header_postinst.d; do
		program
		[ "$file" = postinst.d ] || more=' --update-initramfs'
		unset params
		calls "$file/dkms-kernel-sign" "$V" "/boot/vmlinuz-$V"
		[ "$(<called)" = "hook --kernel $V$more" ]
		params="'configure' '6.1.2-3'"
		calls "$file/dkms-kernel-sign" "$V" "/boot/vmlinuz-$V"
		[ "$(<called)" = "hook --kernel $V$more" ]
		for params in "'abort-upgrade' '1'" "'remove'"; do
			calls "$file/dkms-kernel-sign" "$V"
			[ ! -s called ]
		done
		unset params
		calls "$file/dkms-kernel-sign"
		[ ! -s called ]
	done
}

# each_fails STATUS: how Debian's scripts and kernel-install's end with this program.
each_fails() {
	local answer=$1
	calls postinst.d/dkms-kernel-sign "$V"
	calls header_postinst.d/dkms-kernel-sign "$V"
	calls kernel-install/45-kernel-sign.install add "$V" /boot/entry /boot/vmlinuz
}

@test "a program that fails, cannot start, or is killed fails a kernel's installation with kernel-hook = fail alone" {
	local status
	# 127 is a library that is missing, 137 a lack of memory, 139 a crash.
	for status in 1 2 127 137 139; do
		program "$status"
		rm -f "$root/etc/kernel-sign.conf"
		each_fails 0
		configure '# kernel-hook = fail'
		each_fails 0
		configure 'kernel-hook = off'
		each_fails 0
		configure 'kernel-hook = fail' 'kernel-hook = warn'
		each_fails 0
		configure '  kernel-hook=fail ' 'kernel-hook = perhaps'
		each_fails 1
	done
}

@test "a program that did not come to an end of its own is named: modules may be unsigned" {
	local line="^kernel-sign: $PWD/bin/kernel-sign ended with status 127, so modules of $V may be unsigned; when it runs again: kernel-sign sign -k $V\$"
	program 127
	calls postinst.d/dkms-kernel-sign "$V"
	warns "$line"
	calls header_postinst.d/dkms-kernel-sign "$V"
	warns "$line"
	calls kernel-install/45-kernel-sign.install add "$V"
	warns "$line"
	configure 'kernel-hook = off'
	calls postinst.d/dkms-kernel-sign "$V"
	[ -z "$stderr" ]
	# Else it has said itself what is wrong.
	configure
	program 1
	calls postinst.d/dkms-kernel-sign "$V"
	[ -z "$stderr" ]
}

@test "without the program no hook does anything, or fails: a package can be gone before its files" {
	mkdir -p "$root/usr/lib/modules/$V/kernel"
	calls kernel-install/45-kernel-sign.install add "$V"
	calls postinst.d/dkms-kernel-sign "$V"
	calls header_postinst.d/dkms-kernel-sign "$V"
	calls pacman/kernel-sign <<<"usr/lib/modules/$V/vmlinuz"
	[ -z "$stderr" ]
}

# name_of DIRECTORY/PATTERN: the name under which make install lays it.
# shellcheck disable=SC2086 # a pattern
name_of() { basename "$hooks"/$1 .in; }

@test "hooks run behind DKMS's, in front of what makes an initramfs: by name, as all of them do" {
	local dir
	for dir in postinst.d header_postinst.d; do
		printf '%s\n' dkms "$(name_of "$dir/*.in")" dracut initramfs-tools >wanted
		sort wanted | diff wanted -
		[[ $(name_of "$dir/*.in") =~ ^[a-zA-Z0-9_-]+$ ]] # run-parts takes no other
	done
	printf '%s\n' 40-dkms.install "$(name_of 'kernel-install/*.in')" 50-dracut.install >wanted
	sort wanted | diff wanted -
	printf '%s\n' 70-dkms-install.hook "$(name_of 'pacman/*.hook.in')" 90-mkinitcpio-install.hook >wanted
	sort wanted | diff wanted -
}

@test "pacman: the kernels that paths are of, each once; all of them for what DKMS builds" {
	mkdir -p "$root/usr/lib/modules/"{6.1,6.2,gone}
	mkdir "$root/usr/lib/modules/"{6.1,6.2}/kernel
	program
	calls pacman/kernel-sign <<-'END'
		usr/lib/modules/6.1/vmlinuz
		usr/lib/modules/6.1/build/include/
		usr/lib/modules/6.1/updates/a b.ko.zst
		usr/lib/modules/gone/extra/x.ko
	END
	[ "$(<called)" = 'hook --kernel 6.1' ]
	calls pacman/kernel-sign <<<usr/src/v4l2loopback-0.12/dkms.conf
	[ "$(sort called | paste -sd,)" = 'hook --kernel 6.1,hook --kernel 6.2' ]
	program 1
	answer=1
	calls pacman/kernel-sign <<<usr/lib/modules/6.1/vmlinuz
}

@test "pacman's hook file has what alpm-hooks(5) knows, and its targets are relative" {
	local file=$hooks/pacman/75-kernel-sign.hook.in
	python3 - "$file" <<-'END'
		import fnmatch, re, sys
		known = {"Trigger": {"Type", "Operation", "Target"},
		         "Action": {"Description", "When", "Exec", "Depends", "AbortOnFail", "NeedsTargets"}}
		section, seen, targets = None, {}, []
		for line in open(sys.argv[1]):
		    line = line.rstrip("\n")
		    if not line or line.startswith("#"):
		        continue
		    if line.startswith("["):
		        section = line.strip("[]")
		        continue
		    name, _, value = (part.strip() for part in line.partition("="))
		    assert name in known[section], line
		    seen.setdefault((section, name), []).append(value)
		assert seen["Trigger", "Type"] == ["Path"]
		assert set(seen["Trigger", "Operation"]) == {"Install", "Upgrade"}
		assert seen["Action", "When"] == ["PostTransaction"]
		assert seen["Action", "Exec"] == ["@scriptdir@/kernel-sign"]
		assert ("Action", "NeedsTargets") in seen
		targets = seen["Trigger", "Target"]
		assert all(not t.startswith("/") for t in targets)
		for path in ("usr/lib/modules/6.1-arch1/vmlinuz", "usr/lib/modules/6.1/updates/dkms/a.ko.zst",
		             "usr/src/vboxhost-7.0/dkms.conf", "usr/lib/modules/6.1/extramodules/nvidia.ko.zst"):
		    assert any(fnmatch.fnmatchcase(path, t) for t in targets), path
		assert not any(fnmatch.fnmatchcase("usr/lib/modules/6.1/kernel/fs/ext4.ko", t) for t in targets)
	END
}
