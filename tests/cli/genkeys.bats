#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign genkeys: keys for a custom kernel, and the configs that are to trust them.

load common

setup_file() {
	make_fixtures
	certify ca -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	certify second-ca -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
}

# A package's directory, with a config that wants ECDSA and sha512.
setup() {
	start_test
	work=$root/srv/linux
	mkdir -p "$work"
	cd "$work" || return
	work=$PWD
	store=$work/certs-local
	config config
}

# config FILE [TYPE [HASH [LINE...]]]: a kernel config; the LINEs are those of the trusted keys.
config() {
	local file=$1 type=${2-ECDSA} hash=${3-sha512}
	shift $(($# < 3 ? $# : 3))
	{
		printf '%s\n' '# Linux/x86 6.1.0 Kernel Configuration' 'CONFIG_MODULES=y' '' \
			'CONFIG_MODULE_SIG=y' '# CONFIG_MODULE_SIG_FORCE is not set' \
			"CONFIG_MODULE_SIG_HASH=\"$hash\"" "CONFIG_MODULE_SIG_KEY_TYPE_$type=y" \
			'CONFIG_MODULE_COMPRESS_ZSTD=y' 'CONFIG_SYSTEM_TRUSTED_KEYRING=y'
		[ $# -eq 0 ] || printf '%s\n' "$@"
		printf '%s\n' 'CONFIG_SYSTEM_EXTRA_CERTIFICATE=y' 'CONFIG_TAIL="a b"'
	} >"$file"
}

# genkeys STATUS ARGUMENT...: as ks, and never for ever.
genkeys() {
	local wanted=$1
	shift
	run --separate-stderr timeout -k 5 30 "$KERNEL_SIGN" genkeys "$@"
	ended "$wanted"
}

# script NAME STATUS ARGUMENT...: the program by a link in certs-local, as 3.0's PKGBUILDs call it.
script() {
	local name=$1 wanted=$2
	shift 2
	ln -sfn "$KERNEL_SIGN" "$store/${name##*/}"
	run --separate-stderr timeout -k 5 30 "$name" "$@"
	ended "$wanted"
}

# trusts CONFIG FILE: that is the value, and the line is in its place, and all else is as it was.
trusts() {
	local line=${2//\\/\\\\}
	line="CONFIG_SYSTEM_TRUSTED_KEYS=\"${line//\"/\\\"}\""
	[ "$(grep -n '^CONFIG_SYSTEM_TRUSTED_KEYS=' "$1")" = "10:$line" ] || {
		echo "$1 does not have line 10: $line"
		cat "$1"
		return 1
	}
	[ "$(grep -c '' "$1")" = 12 ]
}

keys() { find "${1:-$store}" -mindepth 1 -maxdepth 1 -type d -name '2*' | wc -l; }
current() { readlink "${1:-$store}/current"; }

# --- the first key

@test "makes a store, a key, and a config that names it" {
	genkeys 0
	[ -z "$stderr" ]
	[[ $(current) =~ ^[0-9]{8}-[0-9]{4}$ ]]
	says "^$store/$(current): a new ecdsa key, for sha512: there is no current key\$"
	says "config: CONFIG_SYSTEM_TRUSTED_KEYS is now $store/$(current)/signing_key.pem\$"
	trusts config "$store/$(current)/signing_key.pem"
	pair "$store/current"
	[ "$(cat "$store/current/khash")" = sha512 ]
	[ "$(cat "$store/current/ktype")" = ec ]
	[ "$(ls -A "$store")" = "$(current)"$'\n'current ]
	[ "$(find "$store/$(current)" -type f | wc -l)" = 5 ]
	no_litter
}

@test "the certificate is what the kernel's build and shim want" {
	genkeys 0 --days 1000
	openssl x509 -inform DER -in "$store/current/signing_crt.crt" -noout -text >text
	grep -q 'Version: 3 ' text
	grep -A 1 'Basic Constraints: critical' text | grep -q 'CA:FALSE'
	grep -A 1 'X509v3 Key Usage:' text | grep -qx ' *Digital Signature *'
	grep -A 1 'X509v3 Extended Key Usage:' text | grep -qx ' *Code Signing *'
	grep -q 'Signature Algorithm: ecdsa-with-SHA512' text
	id=$(grep -A 1 'X509v3 Subject Key Identifier:' text | tail -n 1 | tr -d ' :' | tr A-F a-f)
	[ "$id" = "$(grep -A 1 'X509v3 Authority Key Identifier:' text | tail -n 1 | tr -d ' :' | sed s/keyid// | tr A-F a-f)" ]
	name=$(openssl x509 -inform DER -in "$store/current/signing_crt.crt" -noout -subject -nameopt multiline |
		sed -n 's/ *commonName *= //p')
	[[ $name =~ ^Out-of-tree\ module\ signing\ key\ [^\ ]{1,13}\ [0-9]{4}-[0-9]{2}-[0-9]{2}\ ([0-9a-f]{8})$ ]]
	[ "${BASH_REMATCH[1]}" = "${id:0:8}" ]
	openssl x509 -inform DER -in "$store/current/signing_crt.crt" -noout -checkend $((999 * 86400))
	not openssl x509 -inform DER -in "$store/current/signing_crt.crt" -noout -checkend $((1001 * 86400))
	openssl verify -check_ss_sig -CAfile <(openssl x509 -in "$store/current/signing_key.pem") \
		-partial_chain <(openssl x509 -in "$store/current/signing_key.pem")
}

@test "RSA of 4096 bits with sha3-512, because the config says so" {
	config config RSA sha3-512
	genkeys 0
	openssl x509 -inform DER -in "$store/current/signing_crt.crt" -noout -text >text
	grep -q 'Public-Key: (4096 bit)' text
	grep -q 'Signature Algorithm: RSA-SHA3-512' text
	[ "$(cat "$store/current/khash")" = sha3-512 ]
	[ "$(cat "$store/current/ktype")" = rsa ]
	pair "$store/current"
}

@test "what this OpenSSL cannot do is said before anything is made" {
	if ! openssl list -public-key-algorithms | grep -q ML-DSA-65; then
		config config MLDSA_65
		cp config before
		genkeys 1
		warns 'ML-DSA-65 .*OpenSSL 3\.5'
		cmp config before
		[ ! -e "$store" ]
	fi
	config config ECDSA sha3-512
	cp config before
	if openssl version | grep -qE '^OpenSSL 3\.[01]\.'; then
		genkeys 1
		warns 'sha3-512.*OpenSSL 3\.2'
		cmp config before
		[ ! -e "$store" ]
	else
		genkeys 0
		pair "$store/current"
	fi
}

@test "without a config: --type and --hash" {
	rm config
	genkeys 1
	warns 'config.*--config.*--type'
	[ ! -e certs-local ]
	genkeys 0 --type ec --hash sha384
	[ "$(cat "$store/current/khash")" = sha384 ]
	pair "$store/current"
	genkeys 0 --type ecdsa
	says 'hash is sha384 and sha512 is wanted'
	[ "$(cat "$store/current/khash")" = sha512 ]
	genkeys 2 --type dsa
	warns "'dsa' is none of rsa, ecdsa, mldsa-44, mldsa-65, mldsa-87"
	genkeys 1 --type ecdsa --hash sha999
	warns "unknown hash 'sha999'"
	[ "$(keys)" = 2 ]
}

@test "a hash that the key cannot sign with is an error that ends" {
	local before
	genkeys 0
	before=$(manifest "$work")
	genkeys 1 --hash shake256
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[ "$(manifest "$work")" = "$before" ]
}

@test "--subject, and one that is too long" {
	local long=1234567890123456789012345678901234567890123456789012345678901234
	genkeys 2 --subject "${long}5"
	warns 'subject.*64'
	[ ! -e "$store" ]
	genkeys 0 --subject "$long"
	[ "$(openssl x509 -in "$store/current/signing_key.pem" -noout -subject)" = "subject=CN = $long" ] ||
		[ "$(openssl x509 -in "$store/current/signing_key.pem" -noout -subject)" = "subject=CN=$long" ]
}

@test "usage" {
	local args
	for args in '--refresh 1month' '--refresh 0' '--refresh weekly' '--refresh -1' '--refresh' \
		'--days 0' '--days 99999999' '--prune 0' '--bogus' 'operand' '--config config operand'; do
		# shellcheck disable=SC2086 # words
		genkeys 2 $args
		[ -n "$stderr" ]
		[ ! -e "$store" ]
	done
	genkeys 2 --refresh 1month
	warns "'1month'.*m \(minutes\)"
}

# --- the store

@test "the store is . if it looks like one, else certs-local; or what --keys says" {
	mkdir here there
	touch here/x509.oot.genkey
	rm here/x509.oot.genkey
	genkeys 0 --keys there
	pair there/current
	(cd there && genkeys 0 --refresh always)
	[ "$(keys there)" = 2 ]
	trusts config "$work/there/$(current there)/signing_key.pem"
	[ ! -e certs-local ]
}

@test "the default config is that of 3.0: ../config in the key store, else ./config" {
	mkdir linux certs-local
	config linux/config
	config certs-local/config
	(cd linux && genkeys 0 --keys ../certs-local)
	trusts linux/config "$store/$(current)/signing_key.pem"
	not grep -q TRUSTED_KEYS= config
	(cd certs-local && genkeys 0)
	trusts config "$store/$(current)/signing_key.pem"
	not grep -q TRUSTED_KEYS= certs-local/config
	config linux/config
	config config
	(cd linux && script ../certs-local/genkeys.py 0 -v)
	trusts linux/config "$store/$(current)/signing_key.pem"
	not grep -q TRUSTED_KEYS= config
	[ "$(keys)" = 1 ]
}

@test "a private key is 0600 under any umask" {
	local mask
	for mask in 0000 0022 0077; do
		(umask $mask && genkeys 0 --refresh always)
		pair "$store/current"
	done
	[ "$(keys)" = 3 ]
}

@test "a second run changes nothing, not a time, not an inode" {
	local before
	config other
	genkeys 0 --config 'c*g' --config other
	before=$(manifest "$work")
	genkeys 0 --config config --config other --refresh 30d
	says "^$store/$(current): stays in use\$"
	[ "$(manifest "$work")" = "$before" ]
	genkeys 0 --refresh never -v
	says "config: CONFIG_SYSTEM_TRUSTED_KEYS is already $store/$(current)/signing_key.pem"
	[ "$(manifest "$work")" = "$before" ]
}

@test "a config is always looked at, also when no key is due" {
	local first
	genkeys 0
	first=$(current)
	config config
	genkeys 0
	[ "$(current)" = "$first" ]
	trusts config "$store/$first/signing_key.pem"
}

@test "a second key in the same minute goes beside the first" {
	local first
	genkeys 0
	first=$(current)
	cp -a "$store/$first" kept
	genkeys 0 --refresh always
	says 'wanted at every run'
	[ "$(current)" != "$first" ]
	diff -r kept "$store/$first"
	pair "$store/current"
	trusts config "$store/$(current)/signing_key.pem"
	[ "$(keys)" = 2 ]
}

# --- when a key is due

@test "says why: age, type, hash, files missing or broken" {
	local damage
	old_store 20200101-0000 20200101000000Z 36500
	rm "$store/x509.oot.genkey"
	genkeys 0 --refresh never
	says 'stays in use'
	genkeys 0 --refresh 30d -v
	says 'older than the period'
	config config ECDSA sha384
	genkeys 0
	says 'hash is sha512 and sha384 is wanted'
	genkeys 0 --type rsa --hash sha384 -n
	says 'it is EC and RSA is wanted'
	for damage in 'rm signing_key.pem' 'rm signing_crt.crt' 'rm khash' 'truncate -s 100 signing_key.pem' \
		'truncate -s 100 signing_crt.crt' 'cp ../20200101-0000/signing_crt.crt .'; do
		genkeys 0
		says 'stays in use'
		(cd "$store/current" && $damage)
		config config ECDSA sha384
		genkeys 0
		says 'a new ecdsa key'
		says 'signing_key.pem|signing_crt.crt|khash|no pair'
		pair "$store/current"
		trusts config "$store/$(current)/signing_key.pem"
	done
}

@test "a key that is damaged is healed although the config names it" {
	local damage
	for damage in 'rm signing_key.pem' 'truncate -s 0 signing_key.pem' 'truncate -s 500 signing_key.pem' \
		'rm signing_crt.crt'; do
		genkeys 0
		(cd "$store/current" && $damage)
		genkeys 0
		pair "$store/current"
		trusts config "$store/$(current)/signing_key.pem"
	done
}

@test "a certificate that ends within the period" {
	genkeys 0 --days 10
	genkeys 0 --refresh 9d
	says 'stays in use'
	genkeys 0 --refresh 11d --days 100
	says 'ends within'
	genkeys 0 --refresh 11d
	says 'stays in use'
}

@test "a store of 3.0 is read as it is, and its scripts would read ours" {
	local before
	old_store "$(date +%Y%m%d-%H%M)" '' 36500
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$store/$(current)/signing_key.pem\""
	before=$(manifest "$work")
	genkeys 0 --refresh 30d
	says 'stays in use'
	[ "$(manifest "$work")" = "$before" ]
	pair "$store/current"
	genkeys 0 --refresh always
	pair "$store/current"
	[ "$(keys)" = 2 ]
}

@test "x509.oot.genkey: the same extensions and name as openssl makes of it" {
	local dir
	old_store 20200101-0000 '' 36500
	genkeys 0 --refresh always
	for dir in 20200101-0000 current; do
		openssl x509 -in "$store/$dir/signing_key.pem" -noout -subject -ext \
			basicConstraints,keyUsage,extendedKeyUsage,subjectKeyIdentifier,authorityKeyIdentifier \
			2>&1 | sed 's/[0-9A-F][0-9A-F]:[0-9A-F:]*/ID/' >"$BATS_TEST_TMPDIR/$dir"
	done
	diff "$BATS_TEST_TMPDIR/20200101-0000" "$BATS_TEST_TMPDIR/current"
	grep -q 'Local Out of tree' "$BATS_TEST_TMPDIR/current"
}

@test "x509.oot.genkey: one that is broken is an error, and nothing is done" {
	local before
	mkdir certs-local
	printf '[ req ]\ndistinguished_name = nowhere\n' >certs-local/x509.oot.genkey
	before=$(manifest "$work")
	genkeys 1
	warns 'x509.oot.genkey|request'
	[ "$(manifest "$work")" = "$before" ]
}

# --- the configs

@test "configs that disagree: which says what, and nothing is done" {
	local before
	config config-a ECDSA sha512
	config config-b RSA sha512
	config config-c ECDSA sha384
	before=$(manifest "$work")
	genkeys 1 --config config-a --config config-b
	warns 'config-a says .*ecdsa.*config-b says rsa'
	genkeys 1 --config 'config-[ac]'
	warns 'config-a says .*sha512.*config-c says sha384'
	sed -i /KEY_TYPE/d config-a
	before=$(manifest "$work")
	genkeys 1 --config config-c --config config-a
	warns 'config-a.*KEY_TYPE'
	[ "$(manifest "$work")" = "$before" ]
	[ ! -e "$store" ]
	genkeys 0 --config 'config-[bc]' --type ecdsa --hash sha256
	[ "$(cat "$store/current/khash")" = sha256 ]
	trusts config-b "$store/$(current)/signing_key.pem"
	trusts config-c "$store/$(current)/signing_key.pem"
}

@test "a config that says two types, no hash, or is not there" {
	local before
	config config ECDSA sha512 CONFIG_MODULE_SIG_KEY_TYPE_RSA=y
	before=$(manifest "$work")
	genkeys 1
	warns 'KEY_TYPE_RSA and CONFIG_MODULE_SIG_KEY_TYPE_ECDSA are set'
	genkeys 1 --config nothing
	warns 'nothing: no such kernel config'
	genkeys 1 --config 'nothing*'
	genkeys 1 --config .
	warns 'directory'
	[ "$(manifest "$work")" = "$before" ]
	config config ECDSA ''
	genkeys 1
	warns 'config: CONFIG_MODULE_SIG_HASH'
	[ ! -e "$store" ]
}

@test "a pattern, a list, a name with brackets, all at once" {
	local file
	config config.x86
	config config.arm
	mkdir '[dir]'
	config '[dir]/my [config]*'
	genkeys 0 --config 'config.*' -c '[dir]/my [config]*' --config config.arm
	for file in config.x86 config.arm '[dir]/my [config]*'; do
		trusts "$file" "$store/$(current)/signing_key.pem"
	done
	not grep -q TRUSTED_KEYS= config
}

@test "the line: missing, not set, empty, in its place; every other byte stays" {
	local line
	for line in '# CONFIG_SYSTEM_TRUSTED_KEYS is not set' 'CONFIG_SYSTEM_TRUSTED_KEYS=""' \
		"CONFIG_SYSTEM_TRUSTED_KEYS=\"/gone/20250101-0000/signing_key.pem\""; do
		config config ECDSA sha512 "$line"
		cp config before
		genkeys 0
		trusts config "$store/$(current)/signing_key.pem"
		[ "$(diff before config | grep -c '^[<>]')" = 2 ]
	done
	config config
	truncate -s -1 config
	printf '\r\n\n\0x' >>config
	cp config before
	genkeys 0
	grep -av '^CONFIG_SYSTEM_TRUSTED_KEYS=' config | cmp -n "$(stat -c %s before)" - before
}

@test "mode, owner and a link stay; paths with blanks and quotes work" {
	mkdir "a 'b' \"c\" \\d"
	cd "a 'b' \"c\" \\d"
	work=$PWD store=$PWD/certs-local
	config real
	chmod 600 real
	[ "$(id -u)" != 0 ] || chown 12345:54321 real
	owner=$(stat -c %u:%g real)
	ln -s real config
	genkeys 0
	trusts config "$store/$(current)/signing_key.pem"
	[ "$(readlink config)" = real ]
	[ "$(stat -c '%a %u:%g' real)" = "600 $owner" ]
	pair "$store/current"
	genkeys 0
	says 'stays in use'
}

@test "certificates of others stay trusted, over every rotation" {
	local count
	cat "$KEYS/ca.pem" "$KEYS/second-ca.pem" >distribution.pem
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$work/distribution.pem\""
	config other ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ca.pem\""
	for count in first second third; do
		echo "$count rotation"
		genkeys 0 --config config --config other --refresh always
		rm -f distribution.pem
		trusts config "$store/$(current)/trusted_keys.pem"
		[ "$(grep -c 'BEGIN CERTIFICATE' "$store/current/trusted_keys.pem")" = 3 ]
		[ "$(grep -c 'BEGIN CERTIFICATE' "$store/current/trusted_keys-2.pem")" = 2 ]
		not grep -q PRIVATE "$store/current/trusted_keys.pem"
		trusts other "$store/$(current)/trusted_keys-2.pem"
		openssl crl2pkcs7 -nocrl -certfile "$store/current/trusted_keys.pem" |
			openssl pkcs7 -print_certs -noout >names
		grep -q 'the ca key' names
		grep -q 'the second-ca key' names
		openssl x509 -in "$store/current/trusted_keys.pem" -outform DER |
			cmp - "$store/current/signing_crt.crt"
	done
}

@test "certificates of others stay trusted where the store has moved" {
	mkdir old
	cd old
	store=$PWD/certs-local
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ca.pem\""
	genkeys 0
	trusts config "$store/$(current)/trusted_keys.pem"
	cd "$work"
	mv old new
	cd new
	store=$PWD/certs-local
	genkeys 0
	trusts config "$store/$(current)/trusted_keys.pem"
	genkeys 0 --refresh always
	trusts config "$store/$(current)/trusted_keys.pem"
	openssl crl2pkcs7 -nocrl -certfile "$store/current/trusted_keys.pem" |
		openssl pkcs7 -print_certs -noout | grep -q 'the ca key'
	# Only by that name, and only where it is there.
	sed -i "s,certs-local/[^/]*/trusted,certs-local/20200101-0000/trusted," config
	sed -i "s,$PWD,/nowhere," config
	genkeys 1
	warns 'config.*cannot be kept: /nowhere/certs-local/20200101-0000/trusted_keys.pem: '
}

@test "what stays trusted is said once a config" {
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ca.pem\""
	genkeys 0
	[ "$(grep -c 'trusted before' <<<"$output")" = 1 ]
}

@test "a file of others that is missing: nothing is done" {
	local before
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"certs/distribution.pem\""
	config fine
	before=$(identity config)$(identity fine)
	genkeys 1 --config fine --config config
	warns 'config.*CONFIG_SYSTEM_TRUSTED_KEYS.*certs/distribution.pem'
	[ "$(identity config)$(identity fine)" = "$before" ]
	[ ! -e "$store" ]
	rm config
	genkeys 0 --config fine
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"certs/distribution.pem\""
	before=$(manifest "$work")
	genkeys 1 --config fine --config config --refresh always
	[ "$(manifest "$work")" = "$before" ]
}

@test "a store whose path cannot stand in a config: no key is made" {
	mkdir $'new\nline'
	cd $'new\nline'
	config config
	cp config before
	genkeys 1
	warns newline
	cmp config before
	[ ! -e certs-local/current ]
}

# --- who else may get at the store

# refuses PATTERN FILE [ARGUMENT...]: an error about that file of the store, and nothing is done.
refuses() {
	local before
	before=$(manifest "$work")
	genkeys 1 "${@:3}"
	[ -z "$output" ]
	blames "$2" "$1"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[ "$(manifest "$work")" = "$before" ]
}

@test "others can write to the store, or to a directory above it: refused" {
	local key=certs-local/current/signing_key.pem mode
	for mode in 777 703; do
		chmod "$mode" .
		refuses "others can replace the private key \($work has mode 0$mode; chmod go-w it\)" "$key"
		[ ! -e "$store" ]
	done
	chmod 755 .
	genkeys 0
	for mode in 777 703; do
		chmod "$mode" "$store"
		refuses "others can replace the private key \($store has mode 0$mode; chmod go-w it\)" "$key"
		refuses 'others can replace' "$key" --refresh always
		refuses 'others can replace' "$key" -n
	done
	ln -s certs-local elsewhere
	refuses "others can replace the private key \($store has" elsewhere/current/signing_key.pem --keys elsewhere
	rm "$store/current"
	refuses "others can replace the private key \($store has" "$key"
	chmod 1777 "$store"
	genkeys 0
	[ -z "$stderr" ]
}

@test "a key that another user laid into the store is not taken into a config" {
	[ "$(id -u)" = 0 ] || skip "needs root, for another user"
	let_nobody_in
	genkeys 0
	chmod 777 "$store"
	mkdir theirs
	cp -r "$store/current/." theirs
	chown -R 65534:65534 theirs
	nobody cp -a theirs "$store/20300101-0000"
	nobody ln -sfn 20300101-0000 "$store/current"
	[ "$(current)" = 20300101-0000 ]
	refuses "others can replace the private key \($store has mode 0777" certs-local/current/signing_key.pem \
		--refresh 30d
	# Whose it is is warned of, as sign does: a build's user owns its keys.
	chmod 755 "$store"
	genkeys 0
	warns "^kernel-sign: warning: certs-local/current/signing_key.pem: the private key belongs to another user \(65534"
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "others can write to the directory of the key, or to a file in it: refused" {
	local file
	genkeys 0
	chmod 702 "$store"/2*
	refuses "others can replace the private key \($store/$(current) has mode 0702" certs-local/current/signing_key.pem
	chmod 755 "$store"/2*
	touch "$store/current/trusted_keys.pem"
	for file in signing_key.pem signing_prv.pem; do
		chmod 606 "$store/current/$file"
		refuses 'others can write to the private key \(mode 0606; chmod 600 it\)' "certs-local/current/$file"
		chmod 600 "$store/current/$file"
	done
	for file in signing_crt.crt khash trusted_keys.pem; do
		chmod 646 "$store/current/$file"
		refuses 'others can write to this file, which goes with the key \(mode 0646; chmod go-w it\)' \
			"certs-local/current/$file"
		chmod 644 "$store/current/$file"
	done
	# What the link leads to is used, and so is what has that name in the store.
	mkdir away
	cp -a "$store/$(current)" away
	chmod 666 "$store/current/signing_key.pem"
	ln -sfn "../away/$(current)" "$store/current"
	refuses 'others can write to the private key' "certs-local/2[0-9-]*/signing_key.pem"
	chmod 600 "$store"/2*/signing_key.pem
	chmod 777 away
	refuses "others can replace the private key \($work/away has mode 0777" certs-local/current/signing_key.pem
}

@test "others can read the key: a warning" {
	genkeys 0
	chmod 640 "$store/current/signing_prv.pem"
	genkeys 0
	says 'stays in use'
	warns '^kernel-sign: warning: certs-local/current/signing_prv.pem: the private key is open to others \(mode 0640; chmod 600 it\)$'
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

# --- dry run, verbose, quiet, prune

@test "-n changes nothing at all and says what would be done" {
	local before
	before=$(manifest "$work")
	genkeys 0 -n
	says 'a new ecdsa key would be made, for sha512: there is no current key'
	says '^.*config: .*would'
	[ "$(manifest "$work")" = "$before" ]
	config other ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ca.pem\""
	genkeys 0
	before=$(manifest "$work")
	genkeys 0 -n --config config --config other --refresh always --prune 1
	says 'would be made.*: a new key is wanted at every run'
	says "^$store/$(current): would be removed\$"
	[ "$(manifest "$work")" = "$before" ]
	genkeys 0 -n --config other
	says "^other: CONFIG_SYSTEM_TRUSTED_KEYS would become $store/$(current)/trusted_keys.pem\$"
	[ "$(manifest "$work")" = "$before" ]
}

@test "-v names the recommended symbols that differ, and changes none" {
	config config RSA sha256 CONFIG_MODULE_SIG_FORCE=y CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS=y
	sed -i -e '/SIG_FORCE is/d; /COMPRESS_ZSTD/d' -e 's/^CONFIG_MODULE_SIG=y/# CONFIG_MODULE_SIG is not set/' config
	cp config before
	genkeys 0 --type ecdsa -v
	warns 'config: CONFIG_MODULE_SIG is not set; y '
	warns 'config: CONFIG_MODULE_SIG_FORCE is set; n '
	warns 'config: CONFIG_MODULE_COMPRESS_ZSTD is not set; y '
	warns 'config: CONFIG_MODULE_SIG_KEY_TYPE_ECDSA is not set; y '
	warns 'config: CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS is set; n '
	warns 'config: CONFIG_MODULE_SIG_HASH is sha256; sha512 or sha3-512 '
	[ "$(wc -l <<<"$stderr")" = 6 ]
	grep -v TRUSTED_KEYS= config | cmp - before
	genkeys 0 --type ecdsa
	[ -z "$stderr" ]
	config config
	genkeys 0 -v
	[ -z "$stderr" ]
}

@test "-q says nothing" {
	genkeys 0 -q
	[ -z "$output$stderr" ]
	genkeys 0 -q --refresh always
	[ -z "$output$stderr" ]
}

@test "--prune keeps the newest, and lists what it removes" {
	local name
	for name in 20200101-0000 20200101-0000-2 20200101-0001 20210101-0000; do
		old_store "$name" '' 36500
	done
	rm "$store/x509.oot.genkey"
	mkdir "$store/mine"
	genkeys 0 --prune 2
	says 'stays in use'
	says "^$store/20200101-0000: removed\$"
	says "^$store/20200101-0000-2: removed\$"
	[ "$(grep -c removed <<<"$output")" = 2 ]
	[ "$(cd "$store" && echo *)" = '20200101-0001 20210101-0000 current mine' ]
	pair "$store/current"
	# The current one stays, however old it is.
	ln -sfn 20200101-0001 "$store/current"
	genkeys 0 --prune 1
	[ "$(cd "$store" && echo *)" = '20200101-0001 20210101-0000 current mine' ]
	trusts config "$store/20200101-0001/signing_key.pem"
	mv config "$BATS_TEST_TMPDIR"
	genkeys 0 --type ecdsa --prune 1
	[ "$(cd "$store" && echo *)" = '20200101-0001 20210101-0000 current mine' ]
	mv "$BATS_TEST_TMPDIR/config" .
	genkeys 0 --refresh always --prune 1
	[ "$(keys)" = 1 ]
	pair "$store/current"
}

@test "--prune passes over a file with a date for a name" {
	genkeys 0
	touch "$store/20200101-0000"
	genkeys 0 --prune 1
	[ -f "$store/20200101-0000" ]
	pair "$store/current"
}

# --- the names of 3.0

@test "genkeys.py, as 3.0's PKGBUILD calls it" {
	local before
	mkdir certs-local linux
	config config.second
	(cd certs-local && script ./genkeys.py 0 -v --config '../config*' --refresh 30d)
	pair "$store/current"
	trusts config "$store/$(current)/signing_key.pem"
	trusts config.second "$store/$(current)/signing_key.pem"
	rm "$store/genkeys.py"
	before=$(manifest "$work")
	genkeys 0 -v --config 'config*' --refresh 30d
	[ "$(manifest "$work")" = "$before" ]
	# From elsewhere: the store is the link's, --config is as from here.
	(cd linux && script ../certs-local/genkeys.py 0 --verb -r always -c '../config*')
	[ "$(keys)" = 2 ]
	trusts config.second "$store/$(current)/signing_key.pem"
	[ "$(ls -A linux)" = '' ]
}

@test "genkeys.py: the options that did nothing are warned of" {
	local words
	mkdir certs-local
	cd certs-local
	for words in '-kh sha256' '-kt rsa' '--khash sha256 --ktype rsa' '--khash=sha256' '--ktype=rsa' \
		'-kh sha256 -v'; do
		# shellcheck disable=SC2086 # words
		script ./genkeys.py 0 $words
		warns '^kernel-sign: warning: -.* does nothing'
	done
	[ "$(cat current/khash) $(cat current/ktype)" = 'sha512 ec' ]
	[ "$(keys)" = 1 ]
	script ./genkeys.py 2 -r 1month
	script ./genkeys.py 1 -c nothing
}

# --- what fails

@test "a store that cannot be written: an error, and all is as it was" {
	local before
	genkeys 0
	let_nobody_in
	chmod 555 "$store"
	not nobody touch "$store/new"
	before=$(manifest "$work")
	run --separate-stderr nobody timeout -k 5 30 "$KERNEL_SIGN" genkeys --refresh always
	ended 1
	warns "$store"
	[ "$(manifest "$work")" = "$before" ]
	chmod 755 "$store"
	rm -r "$store"
	config config
	chmod 555 "$work"
	not nobody touch "$work/new"
	before=$(manifest "$work")
	run --separate-stderr nobody timeout -k 5 30 "$KERNEL_SIGN" genkeys
	ended 1
	[ "$(manifest "$work")" = "$before" ]
	chmod 755 "$work"
}

@test "a config that cannot be written: an error, and the old key stays in use" {
	local first dir
	mkdir closed
	config closed/config
	genkeys 0 --config closed/config
	first=$(current)
	cp closed/config before
	let_nobody_in
	chmod 555 closed
	not nobody touch closed/new
	for dir in 1 2; do
		run --separate-stderr nobody timeout -k 5 30 "$KERNEL_SIGN" genkeys --config closed/config \
			--refresh always
		ended 1
		warns 'closed/config'
		cmp closed/config before
		[ "$(current)" = "$first" ]
	done
	chmod 755 closed
	no_litter
}

@test "a file system without RENAME_NOREPLACE has stores too" {
	genkeys 0
	ASAN_OPTIONS=detect_leaks=0 run strace -f -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EINVAL \
		"$KERNEL_SIGN" genkeys --refresh always
	[ "$status" = 0 ]
	[ "$(keys)" = 2 ]
	pair "$store/current"
	no_litter
}

# --- two at once, and runs that are killed

@test "two at once make one key" {
	local round first second
	for round in 1 2 3 4 5 6 7 8 9 10; do
		rm -rf "$store"
		config config
		"$KERNEL_SIGN" genkeys >one 2>&1 3>&- &
		first=$!
		"$KERNEL_SIGN" genkeys >two 2>&1 3>&- &
		second=$!
		wait "$first"
		wait "$second"
		[ "$(keys)" = 1 ] || {
			echo "round $round: $(cat one two)"
			return 1
		}
		pair "$store/current"
		trusts config "$store/$(current)/signing_key.pem"
		[ "$(cat one two | grep -c 'a new ecdsa key')" = 1 ]
	done
	no_litter
}

readonly WRITING='mkdir,mkdirat,open,openat,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,symlink,symlinkat,fchmod,chmod,fchmodat,fchown,unlink,unlinkat,rmdir,fsetxattr'

# whole CONFIG BEFORE: the one or the other, of which the new one names a file that is there.
whole() {
	local value
	cmp -s "$1" "$2" && return
	diff <(grep -v TRUSTED_KEYS= "$1") <(grep -v TRUSTED_KEYS= "$2") || return
	value=$(sed -n 's/^CONFIG_SYSTEM_TRUSTED_KEYS="\(.*\)"$/\1/p' "$1")
	openssl x509 -in "$value" -noout
}

# killed_everywhere ARGUMENT...: genkeys, killed at each call in turn that changes a file, always
# from what is in $BATS_TEST_TMPDIR/before on.
killed_everywhere() {
	local call number known='' killed=0 before=$BATS_TEST_TMPDIR/before calls=$BATS_TEST_TMPDIR/calls
	export ASAN_OPTIONS=detect_leaks=0
	cp -a "$work" "$before"
	strace -f -qq -o "$calls" -e trace="$WRITING" "$KERNEL_SIGN" genkeys -q "$@"
	awk '{ sub(/^[0-9]+ +/, ""); call = $0; sub(/\(.*/, "", call); count[call]++ }
		call == "openat" && !/O_CREAT|O_TMPFILE/ { next }
		/^[a-z0-9_]+\(/ { print call, count[call] }' "$calls" >"$calls.list"
	while read -r call number; do
		rm -rf "$work"
		cp -a "$before" "$work"
		cd "$work" || return
		run strace -f -qq -o "$BATS_TEST_TMPDIR/trace" -e trace="$call" \
			-e inject="$call:signal=SIGKILL:when=$number" "$KERNEL_SIGN" genkeys -q "$@"
		[ "$status" = 137 ] || {
			echo "not killed at $call $number: $status"
			return 1
		}
		killed=$((killed + 1))
		check_wreck "$@" || {
			echo "killed at $call $number"
			find "$work" -ls
			return 1
		}
	done <"$calls.list"
	echo "killed $killed times"
	[ "$killed" -gt 30 ]
}

# check_wreck ARGUMENT...: what a killed run left is in order, and what the next run makes of it.
check_wreck() {
	local file left sum before=$BATS_TEST_TMPDIR/before
	if [ -L "$store/current" ]; then
		sum=$(cat "$store"/current/{signing_key.pem,signing_prv.pem,signing_crt.crt,khash,ktype} | sha256sum)
		[ "$sum" = "$known" ] || pair "$store/current" || return
		known=$sum
	fi
	for file in config*; do
		whole "$file" "$before/$file" || return
	done
	"$KERNEL_SIGN" genkeys -q "${@:1:4}" --refresh 30d || return
	[ "$(cat "$store"/current/{khash,ktype})" = $'sha512\nec' ] || return
	for file in config*; do
		grep -q "^CONFIG_SYSTEM_TRUSTED_KEYS=\"$store/$(current)/[a-z_]*.pem\"\$" "$file" || return
	done
	# Beside a config nothing looks for it: the next run works in the store alone.
	left=$(find "$store" -name '*.tmp')
	[ -z "$left" ] || {
		echo "left behind: $left"
		return 1
	}
}

@test "killed at any call of a first run" {
	config config-2
	killed_everywhere --config config --config config-2
}

@test "killed at any call of a rotation that keeps a certificate and prunes" {
	config config ECDSA sha512 "CONFIG_SYSTEM_TRUSTED_KEYS=\"$KEYS/ca.pem\""
	config config-2
	genkeys 0 --config config --config config-2
	# The names of new keys must not depend on whether a minute has passed since.
	made=$(current)
	mv "$store/$made" "$store/20200101-0000"
	ln -sfn 20200101-0000 "$store/current"
	sed -i "s|$made|20200101-0000|" config config-2
	killed_everywhere --config config --config config-2 --refresh always --prune 1
}
