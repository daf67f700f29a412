#!/bin/sh
# SPDX-License-Identifier: MIT
# Each header compiles by itself, and twice; its guard is named after its path.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need pkg-config
flags=$(pkg-config --cflags libkmod libcrypto libzstd libxxhash liblzma zlib smartcols json-c) || exit 1

broken=
unguarded=
for header in $(find src -name '*.h' | sort); do
	name=${header#src/}
	# shellcheck disable=SC2086 # a compiler and its flags, lists of words
	complaint=$(printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
		$CC -std=gnu17 -Wall -Wextra -Werror -D_GNU_SOURCE -fsyntax-only \
			-Isrc -I"$abs_top_builddir" $flags -x c - 2>&1) ||
		broken="$broken$complaint
"
	guard=KS_$(printf %s "$name" | tr 'a-z/.-' 'A-Z___')
	[ "$(awk -f tests/lint/code.awk "$header" | head -n 2 | cut -d: -f3-)" = "#ifndef $guard
#define $guard" ] || unguarded="$unguarded$header does not begin with the guard $guard
"
done
verdict "each header compiles alone and twice" "$broken"
verdict "each header's guard is named after its path" "$unguarded"
finish
