#!/bin/sh
# SPDX-License-Identifier: MIT
# No function is longer than 60 lines from { to }; in this style both stand in the first column.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

lengths=$(find src tests -name '*.c' -exec awk '
	/^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
	/^\{/ { start = FNR }
	/^\}/ && start { print FNR - start + 1, FILENAME ":" start ": " name; start = 0 }' {} + |
	sort -n)
verdict "no function is longer than 60 lines" \
	"$(printf '%s\n' "$lengths" | awk '$1 > 60 { print $2, $3, "has", $1, "lines" }')"
printf '%s\n' "$lengths" | awk '{ length_of[NR] = $1 }
	END { print "# " NR " functions, median " length_of[int((NR + 1) / 2)] " lines" }'
finish
