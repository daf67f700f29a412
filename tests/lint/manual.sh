#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual names every command and option that --help lists, and no other option.  The help is
# printed from the tables that the parser reads, so this holds the manual to the program.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

program=${KERNEL_SIGN:-$abs_top_builddir/kernel-sign}
manual=man/kernel-sign.8.scd
text=$(sed 's/\\//g' "$manual") || exit 1

commands=$("$program" --help | awk '
	/^Commands:/ { inside = 1; next }
	inside && /^  [a-z]/ { print $1; next }
	inside && NF { exit }')
[ -n "$commands" ] || {
	verdict "kernel-sign --help lists commands" "none under a line 'Commands:'"
	finish
}

# The lines that describe an option: "  -k, --kernel VERSION   text", "      --root DIR   text".
failed=
options=$("$program" --help | grep -E '^ +(-[A-Za-z0-9], )?--')
for command in $commands; do
	# sign-file speaks as the kernel's tool does and has no long options.
	[ "$command" != sign-file ] || continue
	help=$("$program" "$command" --help) || failed="$failed$command --help exits with $?
"
	options="$options
$(printf '%s\n' "$help" | grep -E '^ +(-[A-Za-z0-9], )?--')"
done
verdict "every command prints its help" "$failed"

verdict "every command is in the manual" "$(for command in $commands; do
	printf '%s\n' "$text" | grep -qE "(\*|^##? )(kernel-sign )?$command(\*|\$)" || echo "$command"
done)"

listed=$(printf '%s\n' "$options" | sed -nE 's/^ +(-[A-Za-z0-9], )?(--[a-z0-9-]+).*/\1\2/p' | sort -u)
verdict "every option is in the manual" "$(printf '%s\n' "$listed" | while read -r short long; do
	case $short in
	--*) pattern="\*$short\*" ;;
	*) pattern="\*${short%,}\*.*\*$long\*" ;;
	esac
	printf '%s\n' "$text" | grep -qE -e "$pattern" || echo "$short $long"
done)"

# Only where it describes an option, in bold at a line's start: the text may speak of others' tools.
described=$(printf '%s\n' "$text" | grep -E '^[ 	]*\*-' | grep -oE -e '\*--[a-z0-9-]+' | tr -d '*' | sort -u)
verdict "the manual describes no other option" "$(for option in $described; do
	printf '%s\n' "$listed" | grep -qE -e "(^|, )$option\$" || echo "$option"
done)"
finish
