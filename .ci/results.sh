# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Sourced: what the parts found.  $scratch/PART.results has a line per test, PASS, FAIL or SKIP, a
# tab, its name; $scratch/PART.details what a person wants to see of the failures.  $scratch, $part
# and $log are the sourcing script's.
# shellcheck disable=SC2154

# result PASS|FAIL|SKIP NAME
result() { printf '%s\t%s\n' "$1" "$2" >>"$scratch/$part.results"; }

# details TITLE FILE: keeps the end of a log for the summary.
details() {
	{
		echo "--- $1"
		tail -n 40 "$2"
	} >>"$scratch/$part.details"
}

# step NAME COMMAND...: one test of ours, run with "set -e".
step() {
	local name=$1 status
	shift
	echo "=== $name"
	set +e
	(
		set -e
		"$@"
	)
	status=$?
	set -e
	if ((status == 0)); then
		result PASS "$name"
	else
		result FAIL "$name"
		details "$name: status $status" "$log"
	fi
}

# automake_results LABEL DIRECTORY: of every test that make check ran there.  The .trs file beside
# its log says how many ended how, the log which ones.
automake_results() {
	local label=$1 test lines
	while IFS= read -r test; do
		lines=$(awk -v label="$label" -v test="${test#"$2"/}" '
			FILENAME ~ /\.trs$/ && $1 == ":test-result:" { count[$2]++ }
			FILENAME ~ /\.log$/ && match($0, /^(FAIL|ERROR|XPASS|SKIP): /) {
				kind = substr($0, 1, RLENGTH - 2)
				text[kind, ++seen[kind]] = substr($0, RLENGTH + 1)
			}
			END {
				for (kind in count)
					for (i = 1; i <= count[kind]; i++) {
						verdict = kind ~ /^(PASS|XFAIL)$/ ? "PASS" : kind == "SKIP" ? "SKIP" : "FAIL"
						print verdict "\t" label ": " (text[kind, i] ? text[kind, i] : test)
					}
			}' "$test.trs" "$test.log")
		[ -n "$lines" ] || lines="FAIL	$label: ${test#"$2"/}: no result"
		printf '%s\n' "$lines" >>"$scratch/$part.results"
		[[ $lines != *FAIL$'\t'* ]] || details "$label: ${test#"$2"/}" "$test.log"
	done < <(find "$2" -name '*.trs' | sed 's/\.trs$//' | sort)
}

# tap_results LABEL FILE: of a TAP stream that no Automake has read.
tap_results() {
	awk -v label="$1" '
		/^(not )?ok( |$)/ {
			tests++
			text = $0
			sub(/^(not )?ok *[0-9]* *-? */, "", text)
			bad = /^not ok/
			if (tolower($0) ~ /# *todo/) bad = !bad
			print (bad ? "FAIL" : tolower($0) ~ /# *skip/ ? "SKIP" : "PASS") "\t" label ": " text
		}
		/^1\.\.[0-9]+/ { planned = 1; plan = substr($1, 4) + 0; if (!plan) print "SKIP\t" label ": " $0 }
		/^Bail out!/ { print "FAIL\t" label ": " $0 }
		END { if (!planned || plan != tests + 0) print "FAIL\t" label ": " tests + 0 " tests, planned " plan + 0 }
	' "$2" >>"$scratch/$part.results"
	if grep -q "^FAIL	$1: " "$scratch/$part.results"; then
		grep -A 12 '^not ok' "$2" >"$2.bad" || cp "$2" "$2.bad"
		details "$1" "$2.bad"
	fi
}

# reports LABEL DIRECTORY: what sanitizers or valgrind wrote there; a test may have swallowed it.
reports() {
	local file
	result PASS "$1: reports were looked for"
	while IFS= read -r file; do
		result FAIL "$1: $(basename "$file")"
		details "$1" "$file"
	done < <(find "$2" -type f -size +0)
}

# expected FILE NAME: whether a skip is one of those that FILE allows, by a pattern for its name.
expected() {
	local line pattern
	while IFS= read -r line; do
		pattern=${line%%  *}
		pattern=${pattern%%$'\t'*}
		# shellcheck disable=SC2053 # it is a pattern
		[[ -z $pattern || $pattern == \#* || $2 != $pattern ]] || return 0
	done <"$1"
	return 1
}

# close_part PART STATUS EXPECTED-SKIPS: counts into $part_passed, $part_failed, $part_skipped, and
# prints what failed.
close_part() {
	local kind name part=$1
	part_passed=0 part_failed=0 part_skipped=0
	while IFS=$'\t' read -r kind name; do
		case $kind in
		PASS) part_passed=$((part_passed + 1)) ;;
		SKIP)
			if expected "$3" "$name"; then
				echo "$part: skipped: $name"
				part_skipped=$((part_skipped + 1))
			else
				echo "$part: FAILED (skipped without leave): $name"
				part_failed=$((part_failed + 1))
			fi
			;;
		*)
			echo "$part: FAILED: $name"
			part_failed=$((part_failed + 1))
			;;
		esac
	done <"$scratch/$part.results"
	[ ! -f "$scratch/$part.details" ] || cat "$scratch/$part.details"
	# A part that broke off may have failures of its own too; those do not excuse it.
	if [ "$2" != 0 ]; then
		echo "$part: FAILED: ended with status $2; the end of its log:"
		tail -n 40 "$scratch/$part.log"
		part_failed=$((part_failed + 1))
	fi
}
