#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# What bash, zsh and fish, each asked itself, complete of a command line: what --help lists, and the
# arguments by their kind.

load common

setup_file() { make_fixtures; }

setup() {
	local shell
	scripts=${abs_top_builddir:-$BATS_TEST_DIRNAME/../..}/completion
	[ -d "$scripts/bash" ] || skip "no completion has been built: cross compiling?"
	for shell in bash zsh fish; do
		command -v "$shell" >/dev/null || skip "$shell is missing"
	done
	start_test
	export HOME=$PWD/home
	mkdir "$HOME"
}

# The completions of the last of the words, a line each.

bash_completes() {
	# shellcheck disable=SC2016 # variables of that shell
	bash --norc -c '
		. "$1"
		shift
		COMP_WORDS=(kernel-sign "$@") COMP_CWORD=$#
		[[ $(complete -p kernel-sign) == "complete -F _kernel_sign kernel-sign" ]] || exit
		_kernel_sign
		printf "%s\n" "${COMPREPLY[@]}"' bash "$scripts/bash/kernel-sign" "$@"
}

# An interactive zsh on a terminal of its own, that writes down what its completion adds.
zsh_completes() {
	cat >"$HOME/.zshrc" <<-'END'
		PROMPT=READY
		setopt no_auto_list
		fpath=($SCRIPTS/zsh $fpath)
		autoload -U compinit
		compinit -C -d $DUMP
		bindkey '^I' complete-word
		comppostfuncs=(exit)
		compadd() {
			local -a hits
			if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
				builtin compadd -O hits "$@"
				print -rl -- $hits >>~/hits
			fi
			builtin compadd "$@"
		}
	END
	: >"$HOME/hits"
	# shellcheck disable=SC2016 # variables of that shell
	SCRIPTS=$scripts DUMP=$BATS_FILE_TMPDIR/zcompdump TERM=vt100 timeout 60 zsh -f -c '
		zmodload zsh/zpty
		zpty shell zsh -d -i
		zpty -r shell said "*READY*"
		zpty -n -w shell "kernel-sign ${(j: :)@}"$'\''\t'\''
		while zpty -r shell said; do :; done' zsh "$@" || [ $? != 124 ] || echo "zsh hangs"
	cat "$HOME/hits"
}

# It asks for completion of programs that there are.
fish_completes() {
	# shellcheck disable=SC2016 # variables of that shell
	PATH=${KERNEL_SIGN%/*}:$PATH fish -N -c '
		set -g fish_complete_path $argv[1]
		complete -C "kernel-sign $argv[2..]"' "$scripts/fish" "$@" | sed 's/\t.*//'
}

# completed SHELL WORD...: in one order, and options without the "=" that some put behind them.
completed() {
	"${1}_completes" "${@:2}" | sed -E 's/^(--[a-z-]+)=$/\1/; s|^\./||; s|/$||; /^$/d' | sort -u
}

# completes WORD... IS COMPLETION...: in each shell exactly these.
completes() {
	local line=() shell
	while [ "$1" != IS ]; do
		line+=("$1")
		shift
	done
	shift
	for shell in bash zsh fish; do
		echo "--- $shell, kernel-sign ${line[*]}:"
		diff <(printf '%s\n' "$@" | sed '/^$/d' | sort -u) \
			<(completed "$shell" "${line[@]}") || return
	done
}

# listed [COMMAND]: the options that the help lists.
listed() {
	"$KERNEL_SIGN" "$@" --help | sed -nE 's/^ +((-[A-Za-z]), )?(--[a-z0-9-]+).*/\2 \3/p' |
		tr ' ' '\n' | sed '/^$/d'
}

commands() { "$KERNEL_SIGN" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

@test "every command" {
	local names
	names=$(commands)
	[ "$(grep -c . <<<"$names")" -ge 10 ]
	# shellcheck disable=SC2086 # a list of words
	completes '' IS $names
	completes inst IS install-certs
}

@test "every option of every command" {
	local command
	# shellcheck disable=SC2046 # lists of words
	for command in $(commands); do
		[ "$command" != sign-file ] || continue
		completes "$command" - IS $(listed "$command")
	done
	completes sign --ha IS --hash
	completes sign --hash sha256 --no- IS --no-confine --no-dkms
	completes --v IS --version
	completes --h IS --help
}

@test "zsh and fish say what an option is for" {
	local help='sign what is signed already, whoever signed it'
	grep -qF -- "-s f -l force -d '$help'" "$scripts/fish/kernel-sign.fish"
	grep -qF "'(-f --force)'{-f,--force}'[$help]'" "$scripts/zsh/_kernel-sign"
}

@test "nothing for a command or an argument that nobody knows" {
	: >file
	completes nonsense '' IS
	completes nonsense - IS
	completes nons IS
	completes sign --jobs '' IS
	completes sign -j '' IS
	completes genkeys --subject '' IS
	completes trust '' IS
	mkdir place
	# fish completes files there, on its own account.
	diff <(echo) <(bash_completes install-certs --nonsense=pla)
}

@test "files and directories" {
	mkdir place
	: >plain.txt
	completes sign --key pla IS place plain.txt
	completes sign --keys pla IS place
	completes sign -d pla IS place
	completes verify --cert pla IS place plain.txt
	completes install-certs pla IS place
	completes sign-file pla IS place plain.txt
}

@test "digests and types of keys, all of which the program takes" {
	local name types
	module extra/a.ko
	for name in $(completed bash sign --hash ''); do
		ks 0 sign "${here[@]}" "${key[@]}" --hash "$name" -n
	done
	completes sign --hash sha3- IS sha3-256 sha3-384 sha3-512
	completes genkeys --hash sha5 IS sha512
	types=$("$KERNEL_SIGN" genkeys --help | sed -nE 's/.*--type TYPE +(.*) \(.*/\1/p')
	# shellcheck disable=SC2086 # a list of words
	completes genkeys --type '' IS ${types//,/}
}

@test "kernels, of the root in question" {
	mkdir "$root/lib/modules/6.2.0-other"
	completes sign --root "$root" -k '' IS all "$V" 6.2.0-other
	completes sign --root "$root" --kernel 6.1 IS "$V"
	completes trust --root "$root" --kernel a IS all
	# What takes one at a time is offered no other.
	completes doctor --root "$root" -k '' IS "$V" 6.2.0-other
	completes enroll --root "$root" --kernel '' IS "$V" 6.2.0-other
	completes hook --root "$root" -k a IS
	completes hook --root "$root" -k 6.2 IS 6.2.0-other
	completes dkms --root "$root" -k a IS
	completes status --root "$root" -k a IS all
	completes doctor --root "$PWD/nowhere" -k '' IS
	completed bash sign -k '' >completions
	not grep -qxF "$V" completions
}

@test "modules of the kernel in question, and files" {
	module kernel/drivers/one.ko
	module extra/one-more.ko.xz
	mkdir -p "$root/lib/modules/6.2.0-other" one-dir
	: >"$root/lib/modules/6.2.0-other/one-of-other.ko.zst"
	: >one-file.ko.gz
	: >one.txt
	completes sign --root "$root" -k "$V" one IS one one-more one-dir one-file.ko.gz
	completes status -v --kernel all --root "$root" one-o IS one-of-other
	completes status --root "$root" -k 6.2.0-other one IS one-of-other one-dir one-file.ko.gz
	completes doctor ./one IS one-dir one-file.ko.gz
}

@test "names of modules are not run" {
	local shell
	: >"$tree/extra/\$(touch ran).ko"
	: >"$tree/extra/\`touch ran\`.ko"
	for shell in bash zsh fish; do
		completed "$shell" sign --root "$root" -k "$V" '' >completions
		grep -q 'touch ran' completions
		[ ! -e ran ]
	done
}

@test "an argument behind a =" {
	# As bash has its words with and without "=" in COMP_WORDBREAKS.
	diff <(echo sha384) <(bash_completes sign --hash = sha38)
	diff <(echo --hash=sha384) <(bash_completes sign --hash=sha38)
	diff <(listed sign | grep -c .) <(bash_completes sign --hash = sha384 - | grep -c .)
	diff <(echo "$V") <(bash_completes sign --root = "$root" --kernel = 6)
	diff <(echo "$V") <(bash_completes sign --root="$root" -k 6)
	diff <(echo sha384) <(zsh_completes sign --hash=sha38)
	diff <(echo "$V") <(zsh_completes sign --root="$root" --kernel=6)
	diff <(echo --hash=sha384) <(fish_completes sign --hash=sha38)
	diff <(echo "--kernel=$V") <(fish_completes sign --root="$root" --kernel=6)
}

@test "dkms: what to do, then directories" {
	mkdir ena-dir
	completes dkms e IS enable
	completes dkms '' IS enable disable renew status gate install-files
	completes dkms gate ena IS ena-dir
}
