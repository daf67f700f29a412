#!/bin/sh
# SPDX-License-Identifier: MIT
# The program has what configure asks the compiler and the linker for.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

need readelf
program=$abs_top_builddir/kernel-sign
library=$abs_top_builddir/libkernel-sign.a
# set_to VARIABLE: its value in the build's Makefile.
set_to() { sed -n "s/^$1 = *//p" "$abs_top_builddir/Makefile"; }
if [ "$(set_to enable_hardening)" = no ]; then
	echo "1..0 # SKIP configured with --disable-hardening"
	exit 0
fi
cflags=$(set_to KS_CFLAGS)

# shows WHAT PATTERN READELF-OPTION...: a line of what readelf says of the program matches.
shows() {
	what=$1 pattern=$2
	shift 2
	said=$(readelf -W "$@" "$program" 2>&1)
	if printf '%s\n' "$said" | grep -qE -- "$pattern"; then said=; else said="not so: $said"; fi
	verdict "$what" "$said"
}

# lacks WHAT PATTERN READELF-OPTION...: no line does.
lacks() {
	what=$1 pattern=$2
	shift 2
	if said=$(readelf -W "$@" "$program" 2>&1); then
		said=$(printf '%s\n' "$said" | grep -E -- "$pattern")
	fi
	verdict "$what" "$said"
}

shows "its addresses are not fixed" '^ *Type: +DYN' -h
shows "it is a program and no library" 'FLAGS_1.* PIE' -d
shows "every function is bound at the start" 'FLAGS_1.* NOW' -d
shows "what is bound is read-only from then on" '^ *GNU_RELRO ' -l
shows "its stack is not executable" '^ *GNU_STACK .* RW +0x' -l
lacks "nothing is both writable and executable" '^ *LOAD .* RWE' -l
lacks "its code is not written to when it is loaded" 'TEXTREL' -d
lacks "it names no directory to look for libraries in" '(RPATH|RUNPATH)' -d
shows "its stack frames are guarded" ' UND +__stack_chk_fail' --dyn-syms
case $cflags in
*_FORTIFY_SOURCE=*)
	shows "sizes are checked in memcpy() and its like" ' UND +__mem[a-z]+_chk' --dyn-syms
	shows "sizes are checked in snprintf() and its like" ' UND +__v?snprintf_chk' --dyn-syms
	;;
esac
case $cflags in
*-fcf-protection*)
	# Not of the program: there the C library's start-up files decide too.
	verdict "every object is built for IBT and shadow stacks" "$(readelf -nW "$library" | awk '
		/^File: / { if (file && !found) print file; file = $0; found = 0; files++ }
		/x86 feature:.*IBT.*SHSTK/ { found = 1 }
		END { if (file && !found) print file; if (!files) print "no object at all" }')"
	;;
esac
finish
