#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign-migrate(7): every command line in it is run, 3.0's by 3.0's names and today's, and does
# what the page says. A line that no test runs, and a test's line that the page lacks, fail.
# shellcheck disable=SC2016 # the page's lines are for other shells

load common

setup_file() {
	make_fixtures
	export LINES_OF_PAGE=$BATS_FILE_TMPDIR/lines RAN=$BATS_FILE_TMPDIR/ran
	awk '/^```/ { inside = !inside; next } inside' \
		"${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/man/kernel-sign-migrate.7.scd" >"$LINES_OF_PAGE"
	: >"$RAN"
}

# What a user of 3.0 has: beside a PKGBUILD a config and certs-local, with scripts and a key; all of
# it, and the machine's own files, below $root.
setup() {
	start_test
	mkdir -p "$root/usr" "$root/etc/dkms"
	ln -s ../lib "$root/usr/lib"
	start=$root/srv/linux
	store=$start/certs-local
	src=$start/src
	pkg=$start/pkg
	mkdir -p "$store" "$src/linux-6.1" "$src/conf" "$pkg"
	config "$start/config"
	config "$src/conf/config.one"
	config "$src/conf/config.two"
	old_store 20240101-0000 '' 36500
	lay_scripts
	stand_in
}

config() {
	printf '%s\n' CONFIG_MODULE_SIG=y '# CONFIG_MODULE_SIG_FORCE is not set' 'CONFIG_MODULE_SIG_HASH="sha512"' \
		CONFIG_MODULE_COMPRESS_ZSTD=y CONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y 'CONFIG_SYSTEM_TRUSTED_KEYS=""' >"$1"
}

# The names of 3.0's files; of its scripts nothing may be run any more, its files for DKMS may.
lay_scripts() {
	local name
	mkdir "$store/lib" "$store/dkms"
	for name in genkeys.py install-certs.py sign_module.py lib/utils.py; do
		printf '#!/bin/sh\necho "%s of 3.0 was run" >&2\nexit 99\n' "$name" >"$store/$name"
		chmod 755 "$store/$name"
	done
	echo 'POST_BUILD=../../../../../../etc/dkms/kernel-sign.sh' >"$store/dkms/kernel-sign.conf"
	cat >"$store/dkms/kernel-sign.sh" <<-END
		#!/bin/sh
		tool=$root/usr/lib/modules/\$kernelver/build/certs-local/sign_module.py
		[ ! -f "\$tool" ] || "\$tool" -d "../\$kernelver/\$arch/module/"
	END
	chmod 755 "$store/dkms/kernel-sign.sh"
}

# Programs that the lines call: ours, with all that is on the machine below $root; rsync, which need not
# be here.
stand_in() {
	mkdir bin
	cat >bin/kernel-sign <<-END
		#!/bin/bash
		root=$root
		case "\$1 \$2" in
		"dkms install-files" | genkeys* | install-certs*) exec "$KERNEL_SIGN" "\$@" ;;
		esac
		words=()
		for word; do
			[[ \$word != */* && \$word != *.ko* ]] || word=\$(realpath "\$word")
			words+=("\${word#"\$root"}")
		done
		exec "$KERNEL_SIGN" "\${words[@]}" --root "\$root"
	END
	printf '#!/bin/sh\nshift\nexec cp -a "$@"\n' >bin/rsync
	chmod +x bin/*
	PATH=$PWD/bin:$PATH
	export kernelver=$V arch=x86_64
}

# lines MARK LINE...: the LINEs, which the page has to have behind that MARK, as a script for this
# machine; they count as run.
lines() {
	local mark=$1 text
	shift
	for text; do
		grep -qxF -- "$mark  $text" "$LINES_OF_PAGE" || {
			echo "the page has no line '$mark  $text'" >&2
			return 1
		}
		printf '%s  %s\n' "$mark" "$text" >>"$RAN"
		sed "s#/usr/bin/kernel-sign#$KERNEL_SIGN#g; s#/usr/lib/modules/#$root&#g; s#/etc/dkms#$root&#g" <<<"$text"
	done
}

# does DIRECTORY MARK LINE...: runs them there, all has to go well.
does() {
	local dir=$1
	shift
	lines "$@" >script
	run --separate-stderr bash -ec 'cd "$1"; . "$2"' bash "$dir" "$PWD/script"
	ended 0
}

take_steps() {
	does "$start" now 'cd certs-local && rm -r genkeys.py install-certs.py sign_module.py lib'
	does "$start" now 'cd certs-local && ln -s /usr/bin/kernel-sign genkeys.py'
	does "$start" now 'cd certs-local && ln -s /usr/bin/kernel-sign install-certs.py'
}

current() { readlink "$store/current"; }
keys() { find "$store" -mindepth 1 -maxdepth 1 -type d -name '2*' | wc -l; }

# names CONFIG...: each names the current key, and is else as it was.
names() {
	local file
	config before
	for file; do
		diff <(sed "s#TRUSTED_KEYS=\"\"#TRUSTED_KEYS=\"$store/$(current)/signing_key.pem\"#" before) "$file" || return
	done
}

# afresh: what 3.0 left, with all links, for another run.
afresh() {
	rm -rf "$store" "$pkg"
	mkdir "$store" "$pkg"
	old_store 20240101-0000 '' 36500
	config "$start/config"
	lay_scripts
	take_steps
}

readonly CERTDIR="certdir='../certs-local'"

@test "STEPS: the scripts go, the key store stays, links take their names" {
	local before
	before=$(manifest "$store/20240101-0000")
	take_steps
	[ "$(cd "$store" && echo *)" = '20240101-0000 current dkms genkeys.py install-certs.py x509.oot.genkey' ]
	[ "$(manifest "$store/20240101-0000")" = "$before" ]
	[ "$(current)" = 20240101-0000 ]
	[ "$store/genkeys.py" -ef "$KERNEL_SIGN" ]
	[ "$store/install-certs.py" -ef "$KERNEL_SIGN" ]
}

# genkeys MARK LINE: in $srcdir, where prepare() begins.
genkeys() {
	if [ "$1" = 3.0 ]; then
		does "$src" 3.0 "$CERTDIR" "$2"
	else
		does "$src" now "$2"
	fi
}

# Both ways, each time from the store that 3.0 left: a young key stays, an old one does not.
twice_from_3.0() {
	local mark text check=$1
	shift
	for mark in 3.0 now; do
		text=$1
		shift
		afresh
		genkeys "$mark" "$text"
		"$check" "$mark"
	done
}

stays() {
	[ "$(current) $(keys)" = '20240101-0000 1' ]
	names "$start/config"
}

is_new() {
	[ "$(current)" != 20240101-0000 ]
	[ "$(keys)" = 2 ]
	pair "$store/current"
	names "$start/config"
}

readonly PREPARE_3='$certdir/genkeys.py -v --config ../config --refresh 30d'
readonly PREPARE_NOW='kernel-sign genkeys -v --keys ../certs-local --config ../config --refresh 30d'

@test "prepare(): 3.0's key stays in use, and the config names it" {
	twice_from_3.0 stays "$PREPARE_3" "$PREPARE_NOW"
	says 'stays in use'
	[ -z "$stderr" ]
}

@test "prepare(): a key that is older than --refresh is renewed, whatever its file's time" {
	local mark
	for mark in 3.0 now; do
		afresh
		rm -r "$store/20240101-0000"
		old_store 20240101-0000 20200101000000Z 36500
		touch "$store/current/signing_key.pem"
		if [ "$mark" = 3.0 ]; then
			genkeys 3.0 "$PREPARE_3"
		else
			genkeys now "$PREPARE_NOW"
		fi
		is_new
	done
}

@test "--refresh 30days, --refresh always" {
	twice_from_3.0 stays '$certdir/genkeys.py --config ../config --refresh 30days' \
		'kernel-sign genkeys --keys ../certs-local --config ../config --refresh 30days'
	twice_from_3.0 is_new '$certdir/genkeys.py --config ../config --refresh always' \
		'kernel-sign genkeys --keys ../certs-local --config ../config --refresh always'
}

both_configs() {
	stays_but_config
	names "$src/conf/config.one" "$src/conf/config.two"
	config "$src/conf/config.one"
	config "$src/conf/config.two"
}

stays_but_config() {
	[ "$(current) $(keys)" = '20240101-0000 1' ]
	cmp <(config /dev/stdout) "$start/config"
}

@test "--config with a pattern: the configs that it fits, and no other" {
	twice_from_3.0 both_configs "\$certdir/genkeys.py --config 'conf/config.*'" \
		"kernel-sign genkeys --keys ../certs-local --config 'conf/config.*'"
}

stays_and_warns() {
	stays
	if [ "$1" = 3.0 ]; then
		warns '-kh does nothing'
		warns '-kt does nothing'
	else
		[ -z "$stderr" ]
	fi
}

@test "-kh and -kt: a warning, and nothing more" {
	twice_from_3.0 stays_and_warns '$certdir/genkeys.py -kh sha512 -kt ec --config ../config' \
		'kernel-sign genkeys --keys ../certs-local --config ../config'
}

shows_options() {
	says '--refresh PERIOD'
	stays_but_config
}

@test "-h" {
	twice_from_3.0 shows_options '$certdir/genkeys.py -h' 'kernel-sign genkeys --help'
}

@test "a store need not be made first" {
	local begin
	for begin in 3.0 now; do
		rm -r "$store"
		config "$start/config"
		[ "$begin" = now ] || does "$start" 3.0 'mkdir certs-local'
		genkeys now "$PREPARE_NOW"
		[ "$(keys)" = 1 ]
		pair "$store/current"
		names "$start/config"
	done
}

# --- from the PKGBUILD to a module

# pkgbuild MARK: prepare() and _package-headers(), of which the page has the lines.
pkgbuild() {
	echo 'prepare() {'
	if [ "$1" = 3.0 ]; then
		lines 3.0 "$CERTDIR" "$PREPARE_3"
	else
		lines now "$PREPARE_NOW"
	fi
	printf '%s\n' 'cd "$srcdir/linux-$pkgver"' 'cp ../../config .config' '}' '_package-headers() {' \
		'cd "$srcdir/linux-$pkgver"' 'local builddir="$pkgdir/usr/lib/modules/$kernelver/build"'
	if [ "$1" = 3.0 ]; then
		lines 3.0 'certs_local_src="../../certs-local"' 'certs_local_dst="${builddir}/certs-local"' \
			'${certs_local_src}/install-certs.py $certs_local_dst'
		# The function's own directory in the package is not the machine's.
		lines 3.0 'dkms_src="$certs_local_src/dkms"' 'dkms_dst="${pkgdir}/etc/dkms"' 'mkdir -p $dkms_dst' \
			'rsync -a $dkms_src/{kernel-sign.conf,kernel-sign.sh} $dkms_dst/' | sed "s#$root/etc#/etc#"
	else
		lines now 'kernel-sign install-certs --keys ../../certs-local "$builddir/certs-local"' \
			'kernel-sign dkms install-files "$pkgdir"'
	fi
	echo '}'
}

# makepkg MARK: both functions, as makepkg calls a PKGBUILD's: errors end it, in $srcdir.
makepkg() {
	local function
	pkgbuild "$1" >"$start/PKGBUILD"
	ln -sfn ../config "$src/config"
	for function in prepare _package-headers; do
		run --separate-stderr bash -e -c 'startdir=$1 srcdir=$1/src pkgdir=$1/pkg pkgver=6.1 makedepends=()
			. "$1/PKGBUILD"
			cd "$srcdir"
			"$2"' bash "$start" "$function"
		ended 0
	done
}

# The headers package: the current key with its modes, and the way for scripts; nothing of 3.0's.
headers_are_right() {
	local file dest=$pkg/usr/lib/modules/$V/build/certs-local
	[ "$(cd "$dest" && echo *)" = "$(current) current sign_module.py" ]
	[ "$(readlink "$dest/current")" = "$(current)" ]
	diff -r "$store/current/" "$dest/current/"
	pair "$dest/current"
	[[ $(readlink "$dest/sign_module.py") == /*/bin/kernel-sign ]]
	warns "$(current) holds a private key"
	[ "$(cd "$pkg/etc/dkms" && stat -c '%n %a' ./* | xargs)" = './kernel-sign.conf 644 ./kernel-sign.sh 755' ]
	for file in kernel-sign.conf kernel-sign.sh; do
		if [ "$1" = 3.0 ]; then
			cmp "$store/dkms/$file" "$pkg/etc/dkms/$file"
		else
			grep -q '^# Written by kernel-sign, sha256 of the lines above: ' "$pkg/etc/dkms/$file"
		fi
	done
}

# The package on the machine, where the program is what was built.
install_package() {
	cp -a "$pkg/usr/lib/modules/." "$tree/.."
	[ ! -d "$pkg/etc" ] || cp -a "$pkg/etc" "$root"
	ln -sfn "$KERNEL_SIGN" "$tree/build/certs-local/sign_module.py"
	cp "$start/config" "$tree/build/.config"
	openssl x509 -in "$store/current/signing_key.pem" -out "$KEYS/ours.pem"
	bend_hook
}

# Our files lead to the machine's /etc/dkms and to the installed program.
bend_hook() {
	[ ! -e "$root/etc/dkms/kernel-sign.conf" ] ||
		sed -i "s# *[.]\$(printf '/\.\.%.0s' {1..40})/etc/dkms#../../../../../../etc/dkms#" "$root/etc/dkms/kernel-sign.conf"
	[ ! -e "$root/etc/dkms/kernel-sign.sh" ] ||
		sed -i "s#^program=.*#program=$BATS_TEST_TMPDIR/bin/kernel-sign#" "$root/etc/dkms/kernel-sign.sh"
}

# What DKMS has built of the package vboxdrv.
built() {
	dkms_package vboxdrv
	copies=$root/var/lib/dkms/vboxdrv/1/$V/x86_64/module
	module "$copies/one.ko"
	module "$copies/two.ko.zst"
}

# dkms_runs: a package's file in /etc/dkms, then the hook, as DKMS does it.
dkms_runs() {
	run --separate-stderr bash -c 'export module=vboxdrv module_version=1
		dkms_tree=$1/var/lib/dkms POST_BUILD= PRE_INSTALL=
		. "$1/etc/dkms/vboxdrv.conf"
		cd "$dkms_tree/vboxdrv/1/build"
		exec $POST_BUILD' bash "$root"
	ended 0
}

both_are_signed() {
	is_signed "$1/one.ko" ours sha512
	is_signed "$1/two.ko.zst" ours sha512
	kernel-sign verify -k "$V" -d "$1"
}

# way MARK: prepare(), package, machine.
way() {
	afresh
	makepkg "$1"
	headers_are_right "$1"
	[ "$1" = examples ] || stays
	install_package
}

@test "a PKGBUILD as 3.0 had it, its files for DKMS, its link, and its hook's line" {
	way 3.0
	built
	does "$root" 3.0 'cd /etc/dkms; ln -s kernel-sign.conf vboxdrv.conf'
	dkms_runs
	both_are_signed "$copies"
	built
	does "$root/var/lib/dkms/vboxdrv/1/build" 3.0 \
		'/usr/lib/modules/$kernelver/build/certs-local/sign_module.py -d ../$kernelver/$arch/module/'
	both_are_signed "$copies"
}

@test "a PKGBUILD of today, its files for DKMS, a link that 3.0's user made, and the hook's line" {
	way now
	built
	does "$root" 3.0 'cd /etc/dkms; ln -s kernel-sign.conf vboxdrv.conf'
	dkms_runs
	both_are_signed "$copies"
	built
	does "$root/var/lib/dkms/vboxdrv/1/build" now \
		'kernel-sign sign -k "$kernelver" -d "../$kernelver/$arch/module/"'
	both_are_signed "$copies"
}

@test "by hand" {
	local mark
	way now
	for mark in 3.0 now; do
		module "$start/one.ko"
		module "$start/two.ko.zst"
		if [ "$mark" = 3.0 ]; then
			does "$start" 3.0 '/usr/lib/modules/$kernelver/build/certs-local/sign_module.py one.ko two.ko.zst'
		else
			does "$start" now 'kernel-sign sign -k "$kernelver" one.ko two.ko.zst'
		fi
		both_are_signed "$start"
	done
}

@test "3.0's files in /etc/dkms: enable leaves them, and the page's line replaces them" {
	local before
	way 3.0
	does "$root" 3.0 'cd /etc/dkms; ln -s kernel-sign.conf vboxdrv.conf'
	built
	before=$(manifest "$root/etc/dkms")
	run --separate-stderr kernel-sign dkms enable
	ended 1
	warns '/etc/dkms/kernel-sign.conf: '
	grep -vF framework <<<"$(find "$root/etc/dkms" -type f -exec sha256sum {} +)" | sort >after
	grep -F "$(sha256sum <"$store/dkms/kernel-sign.sh" | cut -d ' ' -f 1)" after
	grep -F "$(sha256sum <"$store/dkms/kernel-sign.conf" | cut -d ' ' -f 1)" after
	does "$root" now 'rm /etc/dkms/kernel-sign.conf /etc/dkms/kernel-sign.sh; kernel-sign dkms enable'
	does "$root" now 'kernel-sign dkms status'
	says '^vboxdrv: signed and gated'
	[ "$(readlink "$root/etc/dkms/vboxdrv.conf")" = kernel-sign.conf ]
	bend_hook
	dkms_runs
	both_are_signed "$copies"
}

@test "dkms enable makes the link that 3.0's user made" {
	dkms_package vboxdrv
	does "$root" now 'kernel-sign dkms enable vboxdrv'
	[ "$(readlink "$root/etc/dkms/vboxdrv.conf")" = kernel-sign.conf ]
	does "$root" now 'kernel-sign dkms status'
	says '^vboxdrv: signed and gated'
}

@test "certs-local/dkms is made, and goes with the PKGBUILD of today" {
	rm -r "$store/dkms"
	does "$start" 3.0 'mkdir certs-local/dkms'
	rmdir "$store/dkms"
	take_steps
	makepkg now
	headers_are_right now
}

# --- the page

@test "every line of the page is one of 3.0's or of today's, and was run" {
	[ "$(wc -l <"$LINES_OF_PAGE")" -gt 30 ]
	not grep -vE '^(3\.0|now)  [^ ]' "$LINES_OF_PAGE"
	diff <(sort -u "$LINES_OF_PAGE") <(sort -u "$RAN")
}
