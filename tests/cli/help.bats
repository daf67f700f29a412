#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Help, version, and wrong usage, which ends with 2, says so on stderr, and does nothing.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

@test "--help lists the commands" {
	local option command
	for option in --help -h; do
		ks 0 "$option"
		says '^Usage: kernel-sign COMMAND'
		for command in sign unsign status sign-file; do
			says "^  $command +[a-z]"
		done
		[ -z "$stderr" ]
	done
}

# of PACKAGE: the version that its pkg-config file has, which is the library's on the machine that built.
of() { pkg-config --modversion "$1"; }

@test "--version tells the program's and the libraries'" {
	local option kmod
	# libkmod cannot be asked, but the linker knows which file it is.
	kmod=$(ldd "$KERNEL_SIGN" | awk '$1 ~ /^libkmod[.]so/ { print $3 }')
	kmod=$(readlink -f "$kmod")
	for option in --version -V; do
		ks 0 "$option"
		says '^kernel-sign [0-9]+\.[0-9]+'
		says "^OpenSSL $(of libcrypto)[^0-9]"
		says "^zstd $(of libzstd), xz $(of liblzma), zlib $(of zlib), lz4 ($(of liblz4)|left out when built), xxhash $(of libxxhash)\$"
		says "^json-c $(of json-c), libsmartcols $(of smartcols), (keyutils-$(of libkeyutils)|keyutils left out when built), ${kmod##*/}\$"
		[ "$(wc -l <<<"$output")" = 4 ]
		[ -z "$stderr" ]
	done
}

@test "the newest release that README has news of is this one" {
	local news
	news=$(sed -n '/^News$/,$ s/^\([0-9.]*\), against .*/\1/p' "${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/README")
	ks 0 --version
	[ "${output%%$'\n'*}" = "kernel-sign ${news%%$'\n'*}" ]
}

@test "every command has its help, with every common option" {
	local command option
	for command in sign unsign status; do
		ks 0 "$command" --help
		says "^Usage: kernel-sign $command \[OPTIONS\] \[MODULE...\]"
		for option in kernel root dir all jobs max-size json quiet verbose help; do
			says "^  (-.,|   ) --$option( |\$)"
		done
		[ -z "$stderr" ]
		ks 0 "$command" -h
	done
	ks 0 sign --help
	for option in key cert keys hash force dry-run; do
		says "^  (-.,|   ) --$option( |\$)"
	done
}

@test "no line of help is wider than a terminal" {
	local command
	for command in '' sign unsign status; do
		# shellcheck disable=SC2086 # no word is no argument
		ks 0 $command --help
		not grep -qE '.{101}' <<<"$output"
	done
}

# wrong ARGUMENT...: it is wrong usage, and nothing happens.
wrong() {
	before=$(manifest "$root")
	ks 2 "$@"
	[ -z "$output" ]
	[ -n "$stderr" ]
	[ "$(manifest "$root")" = "$before" ]
}

@test "no command, and one there is not" {
	wrong
	warns '^Usage: kernel-sign COMMAND'
	wrong ''
	wrong nonsense
	warns "^kernel-sign: no command 'nonsense'"
	wrong --nonsense
	wrong Sign
}

@test "options there are not" {
	local command
	module extra/a.ko
	for command in sign unsign status; do
		wrong "$command" --nonsense "${here[@]}"
		warns "^kernel-sign $command: .*nonsense"
		warns "kernel-sign $command --help"
		wrong "$command" -x "${here[@]}"
	done
	wrong unsign "${here[@]}" --key "$KEYS/rsa.key"
	wrong status "${here[@]}" --force
	wrong status "${here[@]}" --dry-run
}

@test "options without their argument, and with one too many" {
	module extra/a.ko
	wrong sign "${here[@]}" "${key[@]}" --dir
	wrong sign "${here[@]}" "${key[@]}" -k
	wrong sign "${here[@]}" "${key[@]}" --max-size
	wrong sign "${here[@]}" "${key[@]}" --force=yes
}

@test "numbers that are none" {
	local value
	module extra/a.ko
	for value in 0 -1 x 1x '' 4097 99999999999999999999 1.5; do
		wrong sign "${here[@]}" "${key[@]}" "--jobs=$value"
		warns "'$value' is no valid N"
	done
	for value in 0 -1 x 1T 1KK K '' 9999999999999999999G 99999999999999999999; do
		wrong sign "${here[@]}" "${key[@]}" "--max-size=$value"
		warns "'$value' is no valid SIZE"
	done
}

@test "options may stand behind operands, and -- ends them" {
	module "$PWD/-x.ko"
	module "$PWD/a.ko"
	ks 0 sign a.ko "${key[@]}"
	is_signed a.ko
	ks 0 sign "${key[@]}" -- -x.ko
	is_signed "$PWD/-x.ko"
	[ "$(grep -c . <<<"$output")" = 2 ]
}

@test "sizes have units" {
	local size
	module extra/a.ko
	for size in 100000 98K 1M 1G 2147483647; do
		ks 0 status "${here[@]}" --max-size "$size"
	done
}
