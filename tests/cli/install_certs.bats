#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign install-certs: the key into the headers package, and from there into modules.

load common

setup_file() { make_fixtures; }

# A key store beside a config, and the headers of the kernel $V.
setup() {
	start_store
	rotate
}

rotate() { timeout -k 5 30 "$KERNEL_SIGN" genkeys -q --refresh always; }
current() { readlink "$store/current"; }

# install STATUS ARGUMENT...: as ks.
install() {
	local wanted=$1
	shift
	ks "$wanted" install-certs "$@"
}

# The certificate in use, as $KEYS/NAME.pem.
remember() { openssl x509 -in "$store/current/signing_key.pem" -out "$KEYS/$1.pem"; }

# holds DIRECTORY FILE...: exactly these, of the current key, and their modes.
holds() {
	local dir=$1 file
	shift
	[ "$(readlink "$dir/current")" = "$(current)" ] || return
	[ "$(ls -A "$dir/current")" = "$(printf '%s\n' "$@" | sort)" ] || {
		echo "in $dir/current: $(ls -A "$dir/current")"
		return 1
	}
	for file; do
		cmp "$dir/current/$file" "$store/current/$file" || return
		[ "$(stat -c %a "$dir/current/$file")" = "$(stat -c %a "$store/current/$file")" ] || {
			stat -c '%n %a' "$dir/current/$file" "$store/current/$file"
			return 1
		}
	done
}

readonly ALL=(khash ktype signing_crt.crt signing_key.pem signing_prv.pem)
readonly PUBLIC=(khash ktype signing_crt.crt)

@test "lays the current key where there was nothing" {
	umask 077
	install 0 "$BATS_TEST_TMPDIR/pkg/usr/lib/modules/$V/build/certs-local"
	dest=$BATS_TEST_TMPDIR/pkg/usr/lib/modules/$V/build/certs-local
	says "^$dest/$(current): installed\$"
	warns "$(current) holds a private key.*--public-only"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	holds "$dest" "${ALL[@]}"
	[ "$(stat -c %a "$dest/current/signing_key.pem")" = 600 ]
	[ "$(ls -A "$dest")" = "$(current)"$'\ncurrent\nsign_module.py' ]
	[[ $(readlink "$dest/sign_module.py") == /*/bin/kernel-sign ]]
	no_litter "$BATS_TEST_TMPDIR/pkg"
}

@test "a second time, and beside older keys" {
	local old
	install 0 -q "$dest"
	[ -z "$output" ]
	old=$(current)
	install 0 "$dest/"
	holds "$dest" "${ALL[@]}"
	rotate
	[ "$old" != "$(current)" ]
	install 0 "$dest"
	holds "$dest" "${ALL[@]}"
	[ "$(find "$dest" -mindepth 1 -maxdepth 1 | wc -l)" = 4 ]
	[ "$(find "$dest/$old" -type f | wc -l)" = 5 ]
	no_litter
}

@test "modes are those of the store, whatever was there" {
	install 0 "$dest"
	chmod 644 "$dest"/current/signing_*.pem
	install 0 "$dest"
	holds "$dest" "${ALL[@]}"
}

# refuses PATTERN FILE [ARGUMENT...]: an error about that file of the store, and nothing is laid.
refuses() {
	install 1 "${@:3}" "$dest"
	[ -z "$output" ]
	blames "$2" "$1"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[ ! -e "$dest" ]
}

@test "others can write to the store or to what is in it: refused" {
	local file only
	for only in '' --public-only; do
		chmod 777 certs-local
		refuses "others can replace the private key \($store has mode 0777" certs-local/current/signing_key.pem ${only:+"$only"}
		chmod 755 certs-local
		chmod 702 certs-local/2*
		refuses "others can replace the private key \($store/$(current) has mode 0702" \
			certs-local/current/signing_key.pem ${only:+"$only"}
		chmod 755 certs-local/2*
		for file in signing_key.pem signing_prv.pem; do
			chmod 666 "$store/current/$file"
			refuses 'others can write to the private key \(mode 0666; chmod 600 it\)' "current/$file" ${only:+"$only"}
			chmod 600 "$store/current/$file"
		done
		chmod 646 "$store/current/signing_crt.crt"
		refuses 'others can write to this file, which goes with the key \(mode 0646' current/signing_crt.crt ${only:+"$only"}
		chmod 644 "$store/current/signing_crt.crt"
	done
	install 0 "$dest"
}

@test "a key that others can read, or of another user: a warning, and its mode is kept" {
	chmod 644 "$store/current/signing_key.pem"
	install 0 "$dest"
	warns '^kernel-sign: warning: certs-local/current/signing_key.pem: the private key is open to others \(mode 0644; chmod 600 it\)$'
	[ "$(wc -l <<<"$stderr")" = 2 ]
	holds "$dest" "${ALL[@]}"
	chmod 600 "$store/current/signing_key.pem"
	chown -R 12345:12345 "$store" 2>/dev/null || skip "needs root, for another user"
	install 0 -q "$dest"
	warns '^kernel-sign: warning: certs-local/current/signing_key.pem: the private key belongs to another user \(12345; chown it\)$'
	[ "$(wc -l <<<"$stderr")" = 2 ]
}

@test "--public-only leaves private keys out" {
	cp -p "$store/current/signing_key.pem" "$store/current/signing_key.pem.orig"
	install 0 --public-only "$dest"
	[ -z "$stderr" ]
	holds "$dest" "${PUBLIC[@]}"
	not grep -r 'PRIVATE KEY' "$dest"
}

@test "--public-only takes out what earlier runs put in" {
	local first second
	first=$(current)
	install 0 "$dest"
	rotate
	second=$(current)
	install 0 "$dest"
	cp "$dest/$first/signing_prv.pem" "$dest/$first/another.key"
	rotate
	install 0 --public-only "$dest"
	[ -z "$stderr" ]
	says "^$dest/$(current): installed\$"
	says "^$dest/$first: its private key was removed\$"
	says "^$dest/$second: its private key was removed\$"
	[ "$(wc -l <<<"$output")" = 3 ]
	holds "$dest" "${PUBLIC[@]}"
	not grep -r 'PRIVATE KEY' "$dest"
	# All else is as it was.
	for name in "$first" "$second"; do
		[ "$(ls -A "$dest/$name")" = "$(printf '%s\n' "${PUBLIC[@]}" | sort)" ]
		cmp "$dest/$name/signing_crt.crt" "$store/$name/signing_crt.crt"
	done
	pair "$store/$first"
	pair "$store/$second"
	install 0 --public-only "$dest"
	[ "$output" = "$dest/$(current): installed" ]
	# And of the key that is current in both.
	install 0 "$dest"
	install 0 --public-only "$dest"
	not grep -r 'PRIVATE KEY' "$dest"
}

@test "--public-only: what cannot be looked at in an older directory is an error that names it" {
	local old
	old=$(current)
	install 0 "$dest"
	mv "$dest/$old/signing_prv.pem" key
	ln -s "$PWD/key" "$dest/$old/signing_prv.pem"
	rotate
	install 1 --public-only "$dest"
	warns "^kernel-sign: $dest: $old: signing_prv.pem: "
	[ "$(readlink "$dest/current")" = "$old" ]
}

@test "certificates of others go along" {
	sed -i /TRUSTED_KEYS/d config
	echo "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ec.pem\"" >>config
	rotate
	install 0 --public-only "$dest"
	holds "$dest" "${PUBLIC[@]}" trusted_keys.pem
	install 0 "$dest"
	holds "$dest" "${ALL[@]}" trusted_keys.pem
}

@test "--no-compat: no link sign_module.py; one of 3.0 is replaced by the link" {
	install 0 --no-compat "$dest"
	[ "$(ls -A "$dest")" = "$(current)"$'\ncurrent' ]
	echo '#!/usr/bin/python' >"$dest/sign_module.py"
	install 0 "$dest"
	[[ $(readlink "$dest/sign_module.py") == /*/bin/kernel-sign ]]
}

@test "as a package is built: under fakeroot, where there is one" {
	local under=()
	[ -z "$(command -v fakeroot)" ] || under=(fakeroot)
	ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 \
		run --separate-stderr "${under[@]}" "$KERNEL_SIGN" install-certs "$dest"
	ended 0
	holds "$dest" "${ALL[@]}"
	[ "$(stat -c %u "$dest/current/signing_key.pem")" = "$(id -u)" ]
	no_litter
}

@test "as others: from a store that cannot be written, and into what cannot" {
	local before
	let_nobody_in
	[ "$(id -u)" != 0 ] || chown -R 65534:65534 "$work"
	chmod 555 "$store"
	not nobody touch "$store/new"
	before=$(manifest "$store")
	run --separate-stderr nobody "$KERNEL_SIGN" install-certs "$dest"
	[ "$(manifest "$store")" = "$before" ]
	chmod 755 "$store"
	ended 0
	holds "$dest" "${ALL[@]}"
	rotate
	chmod 555 "$dest"
	not nobody touch "$dest/new"
	before=$(manifest "$dest")
	run --separate-stderr nobody "$KERNEL_SIGN" install-certs "$dest"
	[ "$(manifest "$dest")" = "$before" ]
	chmod 755 "$dest"
	ended 1
	warns "^kernel-sign: $dest: .*Permission denied"
}

@test "into the key store itself: an error, and every key stays" {
	local before
	ln -s certs-local link
	before=$(manifest "$store")
	install 1 certs-local
	warns '^kernel-sign: certs-local: '
	install 1 --public-only link/
	install 1 --public-only --keys link "$store/../certs-local"
	[ "$(manifest "$store")" = "$before" ]
}

@test "what fails: no key, no store, no directory, no or too many operands" {
	touch file
	install 1 file
	warns 'file'
	install 1 file/dest
	install 1 ''
	[ "$(wc -l <<<"$stderr")" = 1 ]
	install 1 --keys nowhere "$dest"
	warns nowhere
	install 2
	install 2 one two
	[ ! -e one ]
	install 2 --bogus "$dest"
	rm -r certs-local/2*
	install 1 "$dest"
	warns 'certs-local: no current key'
	[ ! -e "$dest" ]
}

@test "install-certs.py, as 3.0's PKGBUILD calls it" {
	ln -s "$KERNEL_SIGN" certs-local/install-certs.py
	cd /
	run --separate-stderr "$store/install-certs.py" "$dest"
	ended 0
	holds "$dest" "${ALL[@]}"
	run --separate-stderr "$store/install-certs.py"
	ended 2
	cd "$store"
	rm -r "$dest"
	run --separate-stderr ./install-certs.py "$dest"
	ended 0
	holds "$dest" "${ALL[@]}"
}

@test "sign_module.py -d, as 3.0's dkms script calls it, signs with that store's key" {
	local dkms=$BATS_TEST_TMPDIR/dkms
	install 0 "$dest"
	remember ours
	ln -sfn "$KERNEL_SIGN" "$dest/sign_module.py"
	mkdir -p "$dkms/build" "$dkms/$V/x86_64/module"
	module "$dkms/$V/x86_64/module/a.ko"
	module "$dkms/$V/x86_64/module/b.ko.zst"
	# Neither the environment nor another store comes in between.
	cd "$dkms/build"
	export KERNEL_SIGN_KEY=$KEYS/rsa.key KERNEL_SIGN_CERT=$KEYS/rsa.pem
	run --separate-stderr "$dest/sign_module.py" -d "../$V/x86_64/module/"
	ended 0
	is_signed "$dkms/$V/x86_64/module/a.ko" ours sha384
	is_signed "$dkms/$V/x86_64/module/b.ko.zst" ours sha384
	module "$dkms/c.ko.xz"
	module "$dkms/d.ko.gz"
	run --separate-stderr "$dest/sign_module.py" "$dkms/c.ko.xz" ../d.ko.gz
	ended 0
	is_signed "$dkms/c.ko.xz" ours sha384
	is_signed "$dkms/d.ko.gz" ours sha384
}

@test "sign_module.py without an argument, and without its key, signs nothing" {
	module extra/a.ko
	install 0 --public-only "$dest"
	ln -sfn "$KERNEL_SIGN" "$dest/sign_module.py"
	run --separate-stderr "$dest/sign_module.py"
	ended 2
	run --separate-stderr "$dest/sign_module.py" -d "$tree/extra"
	ended 1
	warns "$dest/current/signing_key.pem"
	is_plain "$tree/extra/a.ko"
}

@test "sign finds the key of the kernel, and after a rotation signs what another key signed" {
	local before
	install 0 "$dest"
	remember first
	module extra/old.ko
	module updates/dkms/old.ko.xz
	ks 0 sign "${here[@]}" -v
	warns "from the kernel's own key"
	is_signed "$tree/extra/old.ko" first sha384
	is_signed "$tree/updates/dkms/old.ko.xz" first sha384
	before=$(manifest "$tree")
	ks 0 sign "${here[@]}"
	[ "$(manifest "$tree")" = "$before" ]
	sed -i s/sha384/sha512/ config
	timeout -k 5 30 "$KERNEL_SIGN" genkeys -q
	remember second
	install 0 "$dest"
	module extra/new.ko
	module extra/own.ko.zst
	ks 0 sign "${here[@]}" "/lib/modules/$V/extra/own.ko.zst"
	is_signed "$tree/extra/own.ko.zst" second sha512
	before=$(identity "$tree/extra/own.ko.zst")
	ks 0 sign "${here[@]}"
	says 'own.ko.zst: already signed'
	[ "$(identity "$tree/extra/own.ko.zst")" = "$before" ]
	is_signed "$tree/extra/old.ko" second sha512
	is_signed "$tree/updates/dkms/old.ko.xz" second sha512
	is_signed "$tree/extra/new.ko" second sha512
	says '^3 signed'
}

@test "verify finds the certificate of a package without private keys" {
	module extra/a.ko
	install 0 "$dest"
	ks 0 sign "${here[@]}"
	rm -r "$dest"
	install 0 --public-only "$dest"
	ks 0 verify "${here[@]}" "/lib/modules/$V/extra/a.ko"
	says good
}
