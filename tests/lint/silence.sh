#!/bin/sh
# SPDX-License-Identifier: MIT
# The library never prints, never ends the program, never reads the clock or the environment.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

prints='v?printf|v?fprintf|v?dprintf|puts|putchar|putc|perror|psignal|v?warnx?|v?errx?|v?syslog'
ends='exit|_exit|_Exit|quick_exit|abort|assert|raise'
reads='(secure_)?getenv|time|clock|clock_gettime|gettimeofday|timespec_get|X509_cmp_current_time'

sources=$(find src/base src/core -name '*.[ch]' -exec awk -f tests/lint/code.awk {} +) || exit 1
sources=$(printf '%s\n' "$sources" |
	grep -E "(^|[^A-Za-z0-9_.>])(($prints|$ends|$reads)[ 	]*\(|(stdout|stderr|stdin|environ)([^A-Za-z0-9_]|\$))")
verdict "no call that prints, ends or reads the clock in src/base and src/core" "$sources"

need nm
library=$abs_top_builddir/libkernel-sign.a
if [ -f "$library" ]; then
	# The fortified forms (__printf_chk) are the same calls; assert() ends in __assert_fail.
	symbols=$(nm -u "$library" | awk '{ print $NF }' | sort -u |
		grep -xE "(__)?($prints|$ends|$reads)(_chk)?|__assert_fail|stdout|stderr|stdin|environ")
else
	symbols="$library is not built"
fi
verdict "no such symbol in libkernel-sign.a" "$symbols"
finish
