#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Many threads give what one gives, byte for byte and line for line.  Under ThreadSanitizer this is
# what makes them meet.

load common

setup_file() { make_fixtures; }

setup() {
	start_test
	local i suffix
	for i in {1..40}; do
		for suffix in '' .gz .xz .zst; do
			module "extra/d$((i % 7))/m$i.ko$suffix"
		done
	done
	: >"$tree/extra/d1/empty.ko"
	echo text >"$tree/extra/d2/text.ko"
	head -c 500 "$FIXTURES/plain.ko" >"$tree/extra/d3/cut.ko"
	ln -s nowhere.ko "$tree/extra/d4/dangling.ko"
	ln "$tree/extra/d5/m5.ko" "$tree/extra/d5/other.ko"
}

# told OPTION...: what a command says with one thread and with eight is the same.
told() {
	local wanted=$1
	shift
	ks "$wanted" "$@" -j 1
	cp -a "$root" one
	printf '%s\n' "$output" >one.out
	printf '%s\n' "$stderr" >one.err
	rm -rf "$root"
	mv before "$root"
	ks "$wanted" "$@" -j 8
	diff one.out - <<<"$output"
	# Which of two names of one file is the last depends on who comes first.
	diff <(grep -v 'other hard links' one.err || :) <(grep -v 'other hard links' <<<"$stderr" || :)
	diff -r --no-dereference one "$root"
	rm -rf one
	cp -a "$root" before
}

@test "sign, status, verify and unsign with 8 threads do what they do with one" {
	cp -a "$root" before
	# RSA gives the same every time.
	told 1 sign "${here[@]}" "${key[@]}"
	says '^161 signed, 4 failed, of 165 modules'
	told 1 status "${here[@]}"
	told 4 verify "${here[@]}" --cert "$KEYS/rsa.pem" -d "/lib/modules/$V/extra/d1"
	told 1 sign "${here[@]}" "${key[@]}" --force
	told 1 unsign "${here[@]}"
	says '^161 '
}

@test "the same many times over, with as many threads as modules" {
	local i
	for i in 1 2 3; do
		ks 1 sign "${here[@]}" "${key[@]}" -j 200
		says '^161 signed, 4 failed'
		ks 1 status "${here[@]}" -j 200 --json
		ks 1 unsign "${here[@]}" -j 200
	done
	no_litter
}
