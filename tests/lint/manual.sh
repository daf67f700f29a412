#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual names every command and option that --help lists, and no other option.  The help is
# printed from the tables that the parser reads, so this holds the manual to the program.  Of JSON it
# names every field that the sources write, and no other.
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

# What describes an option may begin with the commands that have it: "*sign* and *unsign*. ..." or, where it is
# something else to each, "*sign*: ... *genkeys*: ...".
has=$(for command in $commands; do
	[ "$command" = sign-file ] || "$program" "$command" --help |
		sed -nE "s/^ +(-[A-Za-z0-9], )?(--[a-z0-9-]+).*/\\2 $command/p"
done | sort -u)
named=$(printf '%s\n' "$text" | awk '
	function close_entry(   n, i, sentence, list) {
		list = "^\\*[a-z-]+\\*((, | and )\\*[a-z-]+\\*)*"
		n = body ~ list "( only)?[.:] " ? split(body, sentence, /\. +/) : 0
		for (i = 1; i <= n; i++)
			if (sentence[i] ~ list "(( only)?$|:)" && match(sentence[i], list))
				say(substr(sentence[i], 1, RLENGTH))
		body = ""
	}
	function say(names) {
		while (match(names, /\*[a-z-]+\*/)) {
			print option, substr(names, RSTART + 1, RLENGTH - 2)
			names = substr(names, RSTART + RLENGTH)
		}
	}
	/^# / { close_entry(); inside = $2 == "OPTIONS"; next }
	inside && /^\*-/ { close_entry(); match($0, /--[a-z0-9-]+/); option = substr($0, RSTART, RLENGTH); next }
	inside { sub(/^[ \t]+/, ""); body = body $0 " " }' | sort -u)
verdict "the manual names just the commands that have an option" "$(
	[ -n "$named" ] || echo "none is named"
	for option in $(printf '%s\n' "$named" | cut -d' ' -f1 | uniq); do
		printf '%s\n' "$has" "$named" | grep -e "^$option "
	done | sort | uniq -u | sed 's/$/: says either the manual or --help, not both/'
)"

# Only where it describes an option, in bold at a line's start: the text may speak of others' tools.
described=$(printf '%s\n' "$text" | grep -E '^[ 	]*\*-' | grep -oE -e '\*--[a-z0-9-]+' | tr -d '*' | sort -u)
verdict "the manual describes no other option" "$(for option in $described; do
	printf '%s\n' "$listed" | grep -qE -e "(^|, )$option\$" || echo "$option"
done)"

# A call that adds to an object names it first, then the field.
written=$(cat src/cli/*.c | tr -s '\t\n' ' ' |
	grep -oE '(json_object_object_add|put[a-z_]*|add[a-z_]*)\( ?(&o|[a-z_]+), "[a-z_]+"' | cut -d'"' -f2 | sort -u)
verdict "every field of JSON is in the manual" "$(for field in ${written:-none-found}; do
	sed 's/\\//g' man/*.scd | grep -qE "\b_${field}_\b" || echo "$field"
done)"

fields=$(printf '%s\n' "$text" | awk '/^# / { inside = $2 == "JSON" } inside' |
	grep -oE '\b_[a-z_]+_\b' | sed 's/^_//; s/_$//' | sort -u)
verdict "the manual names no other field of JSON" "$(for field in ${fields:-none-found}; do
	printf '%s\n' "$written" | grep -qx "$field" || echo "$field"
done)"
finish
