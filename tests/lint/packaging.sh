#!/bin/sh
# SPDX-License-Identifier: MIT
# The packages are of this version, and are built with what bootstrap installs, as README has it.
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lint/tap"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

version=$(sed -n 's/^AC_INIT(\[kernel-sign\], \[\(.*\)\])$/\1/p' configure.ac)
# is WHAT VERSION: nothing, if it is the version that configure.ac has.
is() { [ -n "$version" ] && [ "$2" = "$version" ] || echo "$1 has version '$2', configure.ac '$version'"; }
verdict "one version" "$(
	is debian/changelog "$(sed -n '1s/^kernel-sign (\(.*\)-[^-]*) .*/\1/p' packaging/debian/changelog)"
	is kernel-sign.spec "$(sed -n 's/^Version: *//p' packaging/rpm/kernel-sign.spec)"
	is "kernel-sign.spec's newest change" \
		"$(sed -n '/^%changelog/,$s/^\* .* \(.*\)-[^-]*$/\1/p' packaging/rpm/kernel-sign.spec | head -n 1)"
	is PKGBUILD "$(sed -n 's/^pkgver=//p' packaging/arch/PKGBUILD)"
	is "README's line for Debian" "$(sed -n 's/.* install \.\.\/kernel-sign_\(.*\)-1_\*\.deb$/\1/p' README)"
	is "README's line for Fedora" "$(sed -n 's/.* install .*\/kernel-sign-\(.*\)-1\*\.rpm$/\1/p' README)"
)"

# bootstrap_names COLUMN: of the table in bootstrap, without the tools of style, which no package asks.
bootstrap_names() {
	awk -v column="$1" '/^# for  / { table = 1; next } /^EOF/ { table = 0 }
		table && $column != "-" { print $column }' bootstrap |
		grep -vxE 'clang-format|clang-tools-extra|clang|codespell|shellcheck|ShellCheck' | sort -u
}
# differ WHAT COLUMN EXCEPT: what of stdin is not in bootstrap's column, and the other way round; EXCEPT is
# what every build has.
differ() {
	bootstrap_names "$2" | grep -vxE "$3" >"$scratch/wanted"
	sort -u | grep -vxE "$3" | diff "$scratch/wanted" - | sed -n "s|^<|$1 lacks|p; s|^>|bootstrap lacks, of $1,|p"
}
# Whoever pulls and builds again has an old debian.
for file in README packaging/debian/README.source; do
	verdict "$file: Debian's directory is the new one, also the second time" "$(
		line=$(sed -nE 's/^( *|.*: )(.*cp -r packaging\/debian debian)$/\2/p' $file)
		clone=$(mktemp -d "$scratch/XXXXXX") && cp -r packaging "$clone/" && chmod -R u+w "$clone" &&
			cd "$clone" && sh -c "$line" && echo newer >>packaging/debian/changelog && sh -c "$line" &&
			diff -r packaging/debian debian && exit
		echo "not with '$line'"
	)"
done

# build-essential, debhelper and what they depend on.
verdict "Debian's package is built with what bootstrap installs" "$(
	sed -n '/^Build-Depends:/,/^$/s/^ \([a-z0-9.+-]*\).*,$/\1/p' packaging/debian/control |
		differ debian/control 2 'gcc|libc6-dev|make|autoconf|automake|gzip|bash|util-linux|debhelper-compat'
)"
# The tarball needs neither autoconf nor automake.
verdict "Fedora's is" "$(
	sed -n 's/^BuildRequires: *//p' packaging/rpm/kernel-sign.spec | differ kernel-sign.spec 3 'autoconf|automake'
)"
# base-devel has these; glibc is in each package's depends.
verdict "Arch's is" "$(
	sed -n '/^\(make\|check\)\{0,1\}depends=/s/.*(\(.*\)).*/\1/p' packaging/arch/PKGBUILD | tr ' ' '\n' |
		differ PKGBUILD 4 'gcc|make|autoconf|automake|pkgconf|gawk|diffutils|gzip|bash|util-linux'
)"
finish
