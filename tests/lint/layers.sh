#!/bin/sh
# SPDX-License-Identifier: MIT
# Three layers: base knows libc, core knows base and the libraries, cli knows all.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

libc='(assert|ctype|dirent|elf|endian|err|errno|fcntl|fnmatch|ftw|glob|grp|inttypes|langinfo'
libc="$libc|libgen|limits|locale|malloc|math|poll|pthread|pwd|regex|sched|setjmp|signal|spawn|stdalign"
libc="$libc|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|syslog"
libc="$libc|termios|time|threads|uchar|unistd|wchar|wctype|((sys|linux|asm|arpa|net|netinet)/.*))\.h"
libraries='(openssl/.*|libkmod|zstd|zstd_errors|lzma|zlib|xxhash|keyutils|lz4[a-z]*)\.h'

# foreign LAYER ALLOWED: the includes in that layer that are none of the allowed.
foreign() {
	find "src/$1" -name '*.[ch]' -exec grep -HnE '^[ 	]*#[ 	]*include' {} + |
		grep -vE ":[ 	]*#[ 	]*include[ 	]+($2)([ 	]|\$)"
}
own() { printf '"(%s)/[a-z0-9_]+\\.(h|inc)"|"config\\.h"|<config\\.h>' "$1"; }

verdict "base includes base and libc only" "$(foreign base "$(own base)|<$libc>")"
verdict "core includes base, core, libc and its libraries only" \
	"$(foreign core "$(own 'base|core')|<$libc>|<$libraries>")"
verdict "cli names the layer of what it includes of ours" \
	"$(foreign cli "$(own 'base|core|cli')|<.*>")"

# Pairs "file included", for tsort: it can order them unless there is a circle.
circles=$(find src -name '*.h' | while read -r header; do
	sed -n "s|^[ 	]*#[ 	]*include[ 	]*\"\([a-z]*/.*\)\".*|${header#src/} \1|p" "$header"
done | tsort 2>&1 >/dev/null)
verdict "no circle among the headers" "$circles"
finish
