#!/bin/sh
# SPDX-License-Identifier: MIT
# Every name that the library exports is ours: ks_...; names with __ belong to the compiler.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need nm
library=$abs_top_builddir/libkernel-sign.a
if [ -f "$library" ]; then
	symbols=$(nm -g --defined-only "$library" | awk 'NF == 3 && $3 !~ /^(ks_|__)/')
	[ "$(nm -g --defined-only "$library" | grep -c ' ks_')" -gt 0 ] || symbols="no symbol at all"
else
	symbols="$library is not built"
fi
verdict "every global symbol of libkernel-sign.a starts with ks_" "$symbols"
finish
