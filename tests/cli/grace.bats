#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# A rotation with grace: the key before the new one signs, and is trusted, until its time is over.

load common

setup_file() { make_fixtures; }

# A key store beside a config, with one key; the headers of the kernel $V.
setup() {
	start_store
	rotate
	old=$(current)
}

rotate() { timeout -k 5 30 "$KERNEL_SIGN" genkeys --refresh always "$@"; }
current() { readlink "$store/current"; }
trusted() { sed -n 's/^CONFIG_SYSTEM_TRUSTED_KEYS="\(.*\)"$/\1/p' config; }

# names FILE NAME...: the certificates in the PEM file FILE are those of these keys, in this order.
names() {
	local file=$1 name
	shift
	python3 -B - "$file" >found <<-'END'
		import base64, hashlib, re, sys
		text = open(sys.argv[1]).read()
		for block in re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", text, re.S):
		    print(hashlib.sha256(base64.b64decode(block)).hexdigest())
	END
	for name; do
		sha256sum <"$store/$name/signing_crt.crt" | cut -d' ' -f1
	done >wanted
	diff wanted found
}

# signed_by FILE NAME...: exactly these keys of the store signed it, and each well.
signed_by() {
	local file=$1 name
	shift
	take_apart "$file"
	for name; do
		ks 0 verify --cert "$store/$name/signing_crt.crt" "$file"
	done
	[ "$(openssl cms -cmsout -print -inform DER -in "$BATS_TEST_TMPDIR/apart/message" | grep -c 'signatureAlgorithm: *$')" = $# ]
	for name; do
		openssl x509 -inform DER -in "$store/$name/signing_crt.crt"
	done >certs
	openssl cms -verify -binary -inform DER -in "$BATS_TEST_TMPDIR/apart/message" \
		-content "$BATS_TEST_TMPDIR/apart/image" -nointern -noverify -certfile certs -out /dev/null
}

# over DIRECTORY NAME: NAME's time is over, as its current key there says.
over() { sed -i "s/^$2 .*/$2 2020-01-01T00:00:00Z/" "$1/current/previous"; }

@test "the old key's certificate stays trusted, and its end is said" {
	run rotate --keep-previous 30d
	[ "$status" = 0 ]
	[ "$(current)" != "$old" ]
	says "^$store/$old: goes on signing until 20[0-9-]*T[0-9:]*Z\$"
	[[ $(<"$store/current/previous") =~ ^$old\ ([0-9TZ:-]+)$ ]]
	end=$(date -d "${BASH_REMATCH[1]}" +%s)
	((end - EPOCHSECONDS > 30 * 86400 - 60 && end - EPOCHSECONDS <= 30 * 86400))
	[ "$(trusted)" = "$store/$(current)/trusted_keys.pem" ]
	names "$(trusted)" "$(current)" "$old"
}

@test "without --keep-previous nothing of the old key stays" {
	run rotate
	[ ! -e "$store/current/previous" ]
	[ "$(trusted)" = "$store/$(current)/signing_key.pem" ]
	ks 0 install-certs "$dest"
	[ ! -e "$dest/$old" ]
}

@test "both keys go into the package, and sign signs with both" {
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	for name in "$old" "$(current)"; do
		says "^$dest/$name: installed\$"
		warns "^kernel-sign: $dest/$name holds a private key: "
	done
	[ -f "$dest/$old/signing_key.pem" ]
	[ "$(readlink "$dest/current")" = "$(current)" ]
	module extra/a.ko
	module extra/b.ko.zst
	ks 0 sign "${here[@]}" -v
	warns "^kernel-sign: key /.*/$old/signing_key.pem \(from the current key's grace period\)"
	signed_by "$tree/extra/a.ko" "$(current)" "$old"
	signed_by "$tree/extra/b.ko.zst" "$(current)" "$old"
	ks 0 sign "${here[@]}"
	says '^2 already signed'
}

@test "when the time is over only the new key signs, and is trusted" {
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	over "$dest" "$old"
	ks 0 sign "${here[@]}"
	says '^1 signed'
	signed_by "$tree/extra/a.ko" "$(current)"
	over "$store" "$old"
	ks 0 genkeys --refresh never
	not says 'goes on signing'
	[ "$(trusted)" = "$store/$(current)/signing_key.pem" ]
	rm -r "$dest"
	ks 0 install-certs "$dest"
	[ ! -e "$dest/$old" ]
}

@test "a run that makes no key keeps what was kept" {
	rotate --keep-previous 30d
	before=$(trusted)
	ks 0 genkeys --refresh never
	says "^$store/$old: goes on signing until"
	[ "$(trusted)" = "$before" ]
	names "$before" "$(current)" "$old"
}

@test "who is still in grace stays so through the next rotation" {
	local second
	rotate --keep-previous 30d
	second=$(current)
	rotate --keep-previous 7d
	[ "$(cut -d' ' -f1 "$store/current/previous" | tr '\n' ' ')" = "$old $second " ]
	names "$(trusted)" "$(current)" "$old" "$second"
	over "$store" "$old"
	rotate --keep-previous 7d
	not grep -q "^$old " "$store/current/previous"
}

@test "at most seven sign beside the new one: the oldest give way" {
	local _
	for _ in 1 2 3 4 5 6 7 8; do
		rotate -q --keep-previous 30d
	done
	[ "$(wc -l <"$store/current/previous")" = 7 ]
	not grep -q "^$old " "$store/current/previous"
	module extra/a.ko
	ks 0 sign "${here[@]}" --keys "$store"
	[ "$(openssl cms -cmsout -print -inform DER -in <(take_apart "$tree/extra/a.ko" && cat "$BATS_TEST_TMPDIR/apart/message") |
		grep -c 'signatureAlgorithm: *$')" = 8 ]
}

@test "keys in grace are not pruned" {
	rotate --keep-previous 30d
	run rotate --keep-previous 30d --prune 1
	[ -d "$store/$old" ]
	sed -i 's/Z$//; s/ .*/ 2020-01-01T00:00:00Z/' "$store/current/previous"
	ks 0 genkeys --refresh never --prune 1
	says "^$store/$old: removed\$"
	[ ! -e "$store/$old" ]
}

@test "a key that is named on the command line signs alone" {
	rotate --keep-previous 30d
	module extra/a.ko
	ks 0 sign "${here[@]}" --key "$store/current/signing_key.pem"
	signed_by "$tree/extra/a.ko" "$(current)"
	ks 0 sign "${here[@]}" --keys "$store"
	signed_by "$tree/extra/a.ko" "$(current)" "$old"
}

@test "verify knows the certificates of both" {
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	module extra/a.ko
	ks 0 sign "${here[@]}" --key "$store/$old/signing_key.pem"
	ks 0 verify "${here[@]}" a
	over "$dest" "$old"
	ks 2 verify "${here[@]}" a
}

@test "a key in grace that is gone: a warning, and signed is with what there is" {
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	rm -r "${dest:?}/$old"
	module extra/a.ko
	ks 0 sign "${here[@]}"
	warns "^kernel-sign: warning: .*/$old/signing_key.pem: .*No such file.*; modules are signed without this key\$"
	signed_by "$tree/extra/a.ko" "$(current)"
	rm -r "${store:?}/$old"
	ks 1 install-certs "$dest"
	warns ": $old: .*No such file"
}

@test "a file \`previous' that says something else is an error, and nothing is signed" {
	local line
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	module extra/a.ko
	before=$(manifest "$tree/extra")
	for line in "../../etc 2999-01-01T00:00:00Z" "$old" "$old tomorrow" "$old 2999-01-01T00:00:00Z x" "/ 2999-01-01T00:00:00Z"; do
		echo "$line" >"$dest/current/previous"
		ks 1 sign "${here[@]}"
		blames previous "a line (is not a key's name and a time|begins with what is not a key's name)\$"
	done
	[ "$(manifest "$tree/extra")" = "$before" ]
}

@test "a key in grace that is no pair, or there twice: a warning, and signed is with what there is" {
	rotate --keep-previous 30d
	module extra/a.ko
	cp "$KEYS/ec.der" "$store/$old/signing_crt.crt"
	ks 0 sign "${here[@]}" --keys "$store"
	warns "warning: .*/$old/signing_key.pem: .*does not belong to the private key; modules are signed without this key\$"
	signed_by "$tree/extra/a.ko" "$(current)"
	cp "$store/current/signing_key.pem" "$store/current/signing_crt.crt" "$store/$old/"
	ks 0 sign "${here[@]}" --keys "$store" --force
	warns 'warning: .*: the same certificate twice; modules are signed without this key$'
	signed_by "$tree/extra/a.ko" "$(current)"
}

@test "a directory in grace that is gone is forgotten by the next rotation" {
	rotate --keep-previous 30d
	echo '20240101-0000 2999-01-02T03:04:05Z' >>"$store/current/previous"
	second=$(current)
	rotate --keep-previous 30d
	[ "$(cut -d' ' -f1 "$store/current/previous" | tr '\n' ' ')" = "$old $second " ]
	names "$(trusted)" "$(current)" "$old" "$second"
	rm -r "${store:?}/$old"
	rotate --keep-previous 30d
	not grep -q "^$old " "$store/current/previous"
	not grep -q "^$(current) " "$store/current/previous"
}

@test "a dry run with --prune names what the real run would remove" {
	rotate --keep-previous 30d
	before=$(manifest "$work")
	ks 0 genkeys --refresh always --keep-previous 30d --prune 1 --dry-run
	not says 'would be removed'
	says "^$store/$old: would go on signing until "
	says "^$store/$(current): would go on signing until "
	[ "$(manifest "$work")" = "$before" ]
}

@test "an encrypted key does not go on signing, which is said" {
	openssl pkcs8 -topk8 -passout pass:secret -in "$store/current/signing_key.pem" >locked
	openssl x509 -in "$store/current/signing_key.pem" >>locked
	cat locked >"$store/current/signing_key.pem"
	run --separate-stderr rotate --keep-previous 30d
	[ "$status" = 0 ]
	warns "^kernel-sign: warning: $store/$old does not go on signing: it cannot be opened without a passphrase"
	[ ! -e "$store/current/previous" ]
}

@test "--keep-previous wants a span of time" {
	local span
	before=$(manifest "$work")
	for span in always never 11000d soon 0; do
		ks 2 genkeys --refresh always --keep-previous "$span"
		warns 'keep-previous'
	done
	[ "$(manifest "$work")" = "$before" ]
}

@test "--dry-run says nothing would sign on that is not there yet" {
	before=$(manifest "$work")
	ks 0 genkeys --refresh always --keep-previous 30d --dry-run
	[ "$(manifest "$work")" = "$before" ]
}

@test "others can write to the file that says which keys sign: refused, as sign-file a warning" {
	local list
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	module extra/a.ko
	list=$dest/current/previous
	for mode in 646 666; do
		chmod "$mode" "$list"
		ks 1 sign "${here[@]}"
		blames previous "others can write to this file, which goes with the key \(mode 0$mode; chmod go-w it\)"
		is_plain "$tree/extra/a.ko"
	done
	if chown 12345 "$list" 2>/dev/null; then
		chmod 644 "$list"
		ks 0 sign "${here[@]}"
		warns "previous: this file, which goes with the key, belongs to another user \(12345; chown it\)"
		mkdir -p "$root/etc"
		echo 'key-permissions = strict' >"$root/etc/kernel-sign.conf"
		ks 1 sign "${here[@]}" --force
		blames previous 'this file, which goes with the key, belongs to another user'
		chown 0 "$list"
	fi
	chmod 644 "$list"
	ks 0 sign "${here[@]}"
	[ -z "$stderr" ]
}

@test "genkeys and install-certs: others can write to a key in grace, or to the list: refused" {
	local before file
	rotate --keep-previous 30d
	for file in "$old/signing_key.pem" "$old/signing_crt.crt" current/previous; do
		chmod o+w "$store/$file"
		before=$(manifest "$work")
		ks 1 genkeys --refresh never
		blames "certs-local/$file" 'others can write to '
		ks 1 install-certs "$dest"
		blames "certs-local/$file" 'others can write to '
		[ ! -e "$dest" ]
		[ "$(manifest "$work")" = "$before" ]
		chmod o-w "$store/$file"
	done
	chmod 777 "$store/$old"
	ks 1 genkeys --refresh never
	blames "certs-local/$old/signing_key.pem" "others can replace the private key \($store/$old has mode 0777"
	chmod 755 "$store/$old"
	ks 0 genkeys --refresh never
	[ -z "$stderr" ]
}

@test "--public-only lays both certificates, and no private key stays" {
	rotate --keep-previous 30d
	ks 0 install-certs "$dest"
	rotate --keep-previous 30d
	ks 0 install-certs --public-only "$dest"
	[ -z "$stderr" ]
	[ "$(grep -c ': installed$' <<<"$output")" = 3 ]
	not grep -r 'PRIVATE KEY' "$dest"
	cmp "$dest/$old/signing_crt.crt" "$store/$old/signing_crt.crt"
}
