#!/bin/sh
# SPDX-License-Identifier: MIT
# No complaint of shellcheck about any script; scripts are known by their first line.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need shellcheck
findings=$(our_texts | while IFS= read -r file; do
	# shellcheck disable=SC2094 # only read, twice
	case $(head -n 1 "$file") in
	'#!'*sh | '#!'*bats | '# shellcheck shell='*) ;;
	*) continue ;;
	esac
	case $file in
	# In bats each test is a subshell, and $output and $status come from run.
	*.bats) exclude=SC2030,SC2031,SC2154 ;;
	*) exclude=SC1090 ;;
	esac
	shellcheck -f gcc -x -P SCRIPTDIR -P "$abs_top_srcdir" -e "$exclude" "$file" 2>&1
done)
verdict "shellcheck finds nothing" "$findings"
finish
