#!/bin/sh
# SPDX-License-Identifier: MIT
# bootstrap asks each distribution's package manager for what is missing, and nobody else.  The
# package managers are stand-ins: they say what they were asked, and know of one package each.
# shellcheck disable=SC2016 # the stand-ins expand their variables themselves
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp bootstrap "$scratch/"
mkdir "$scratch/bin" "$scratch/none"

# stand_in NAME LINE...: a program for the shell.
stand_in() {
	name=$1
	shift
	printf '%s\n' '#!/bin/sh' "$@" >"$scratch/bin/$name"
	chmod +x "$scratch/bin/$name"
}
stand_in id 'echo 1000'
stand_in dpkg-query '[ "$has_all" ] || case $* in *zlib1g-dev*) ;; *) exit 1 ;; esac; echo installed'
stand_in rpm '[ "$has_all" ] || case $* in *zlib-devel*) ;; *) exit 1 ;; esac'
stand_in pacman \
	'if [ "$1" = -T ]; then shift; [ "$has_all" ] || printf "%s\n" "$@" | grep -vx zlib; exit; fi' \
	'echo "ASKED pacman $*"'
stand_in dnf 'echo "ASKED dnf $*"'
stand_in apt-get 'echo "ASKED apt-get $*"'
stand_in sudo 'echo "ASKED sudo"; exec "$@"'

# asked OS-RELEASE [VARIABLE=VALUE]: what bootstrap said and asked for.
asked() {
	printf '%b' "$1" >"$scratch/os-release"
	shift
	env OS_RELEASE="$scratch/os-release" PATH="$scratch/bin:$PATH" CC= has_all= "$@" \
		"$scratch/bootstrap" packages 2>&1
}
# lacks TEXT PATTERN...: the patterns that the text does not match.
lacks() {
	text=$1
	shift
	for pattern; do
		printf '%s\n' "$text" | grep -qE -e "$pattern" || printf 'no %s in: %s\n' "$pattern" "$text"
	done
}

debian=$(asked 'ID=debian\n')
verdict "Debian: apt-get through sudo, both said before" "$(lacks "$debian" \
	'^\+ sudo apt-get update' '^\+ sudo env .*apt-get install' '^ASKED sudo' \
	'^ASKED apt-get install .* libkmod-dev .* libcmocka-dev ')"
verdict "what is installed is not asked for" "$(printf '%s\n' "$debian" | grep 'zlib1g-dev')"
verdict "ID_LIKE counts" "$(lacks "$(asked 'ID=mint\nID_LIKE="ubuntu debian"\n')" '^ASKED apt-get install')"
verdict "Fedora: dnf" "$(lacks "$(asked 'ID=fedora\n')" '^ASKED dnf install -y .*kmod-devel .*ShellCheck')"
verdict "Arch: pacman" "$(lacks "$(asked 'ID=arch\n')" '^ASKED pacman -S .*--noconfirm .*util-linux-libs ')"
verdict "nothing is missing: nobody is asked" \
	"$(for id in debian fedora arch; do asked "ID=$id\n" has_all=1 CC=sh; done)"
verdict "an unknown distribution: says what is needed" \
	"$(lacks "$(asked 'ID=plan9\n')" 'unknown distribution.* libkmod-dev ')"
verdict "a compiler of one's own is not replaced by gcc" \
	"$(asked 'ID=debian\n' CC=sh | grep -E 'ASKED.* gcc( |$)')"
finish
