#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign sign --export and --attach: requests to a service that is openssl, by the command lines
# that the manual gives, and answers that are wrong in every way.

load common

setup_file() {
	make_fixtures
	compile changed -O0
	# The loops of the manual, one a file: over digests for pkeyutl, over images for cms.
	awk -v dir="$FIXTURES" '
		/^# SIGNING ELSEWHERE/ { inside = 1 }
		/^# THE LOG/ { exit }
		inside && /^```/ { block = !block; if (block) n++; next }
		inside && block { gsub(/\\\\/, "\\"); print > (dir "/manual." n) }' "${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/man/kernel-sign.8.scd"
	grep -q 'pkeyutl -sign .*digest:sha512' "$FIXTURES/manual.2"
	grep -q 'pkeyutl -sign -rawin' "$FIXTURES/manual.3"
	grep -q 'cms -sign' "$FIXTURES/manual.4"
}

setup() {
	start_test
	by=(--cert "$KEYS/rsa.pem" --hash sha512)
}

# service LOOP [KEY]: answers in DIR as the manual says.
service() {
	(cd DIR && KEY=$KEYS/${2:-rsa}.key CERT=$KEYS/${2:-rsa}.pem bash -euc "$(cat "$FIXTURES/manual.$1")" 2>/dev/null)
}

# Modules in every container.
four_modules() {
	module extra/a.ko
	module extra/b.ko.gz
	module extra/c.ko.xz
	module extra/d.ko.zst
}

all_signed() {
	local name
	for name in a.ko b.ko.gz c.ko.xz d.ko.zst; do
		is_signed "$tree/extra/$name" "$1" "$2" || return
	done
}

# file_of MODULE SUFFIX: the file in DIR.
file_of() { echo DIR/"$1"-*".$2"; }

# edit MODULE PYTHON: changes the object o of its request.
edit() {
	python3 - "$(file_of "$1" json)" "$2" <<-'END'
		import json, sys
		with open(sys.argv[1]) as file: o = json.load(file)
		exec(sys.argv[2])
		with open(sys.argv[1], "w") as file: json.dump(o, file)
	END
}

@test "a request has the digest that openssl makes, and nothing is signed" {
	local name
	four_modules
	manifest "$root" >before
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	says "^/lib/modules/$V/extra/c.ko.xz: requested\$"
	says '^4 requested, 0 failed, of 4 modules$'
	[ -z "$stderr" ]
	[ "$(stat -c %a DIR)" = 700 ]
	[ "$(find DIR -type f | wc -l)" = 8 ]
	for name in a b c d; do
		openssl dgst -sha512 -binary "$FIXTURES/plain.ko" | cmp - "$(file_of $name digest)"
	done
	manifest "$root" | diff before -
	python3 - "$(file_of c json)" "$KEYS/rsa.der" "$FIXTURES/plain.ko" <<-'END'
		import base64, hashlib, json, os, sys
		with open(sys.argv[1]) as file: o = json.load(file)
		image = open(sys.argv[3], "rb").read()
		path = "/lib/modules/6.1.0-test/extra/c.ko.xz"
		stem = os.path.basename(sys.argv[1])[:-5]
		assert stem == "c-" + hashlib.sha256(path.encode()).hexdigest()[:32], stem
		assert (o["format"], o["version"], o["kernel"]) == ("kernel-sign request", 1, "6.1.0-test"), o
		assert (o["path"], bytes.fromhex(o["path_hex"]).decode()) == (path, path)
		assert (o["hash"], o["digest"]) == ("sha512", hashlib.sha512(image).hexdigest())
		assert (o["image_size"], o["stack"], o["key_type"]) == (len(image), False, "RSA")
		assert o["signer"] == "CN=the rsa key" and len(o["key_id"]) == 40, o
		assert base64.b64decode(o["certificate"], validate=True) == open(sys.argv[2], "rb").read()
		assert o["answers"] == [stem + ".sig", stem + ".p7s"], o
	END
}

@test "RSA: bare signatures of the digests, by the manual's command" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	says '^4 signed, 0 failed, of 4 modules \(2 spliced, 1 mended\)$'
	[ -z "$stderr" ]
	all_signed rsa sha512
	# What the key itself would have made.
	reference reference.ko rsa sha512
	cmp reference.ko "$tree/extra/a.ko"
	no_litter
	no_litter DIR
}

@test "ECDSA: bare signatures of the digests, by the manual's command" {
	four_modules
	ks 0 sign "${here[@]}" --cert "$KEYS/ec.pem" --export DIR
	service 2 ec
	ks 0 sign "${here[@]}" --attach DIR
	all_signed ec sha512
}

@test "messages made of the images, by the manual's command" {
	local key
	for key in rsa ec; do
		rm -rf DIR
		four_modules
		ks 0 sign "${here[@]}" --cert "$KEYS/$key.der" --hash sha512 --export DIR --export-image
		cmp "$FIXTURES/plain.ko" "$(file_of c image)"
		service 4 "$key"
		ks 0 sign "${here[@]}" --attach DIR
		all_signed "$key" sha512
	done
}

@test "other hashes" {
	local hash
	for hash in sha256 sha384 sha3-256; do
		rm -rf DIR
		module extra/a.ko
		ks 0 sign "${here[@]}" --cert "$KEYS/rsa.pem" --hash "$hash" --export DIR
		sed -i "s/digest:sha[0-9-]*/digest:$hash/" "$FIXTURES/manual.2"
		service 2
		ks 0 sign "${here[@]}" --attach DIR
		is_signed "$tree/extra/a.ko" rsa "$hash"
	done
	sed -i "s/digest:sha[0-9-]*/digest:sha512/" "$FIXTURES/manual.2"
}

@test "attaching again is safe, and what is signed already has no request" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	manifest "$root" >before
	ks 0 sign "${here[@]}" --attach DIR
	says '^4 already signed, 0 failed, of 4 modules$'
	# Also without the answers.
	rm DIR/*.sig
	ks 0 sign "${here[@]}" --attach DIR
	says '^4 already signed, 0 failed, of 4 modules$'
	ks 0 sign "${here[@]}" "${by[@]}" --export OTHER
	says '^4 already signed, 0 failed, of 4 modules$'
	[ -z "$(ls OTHER)" ]
	# And with no request at all.
	ks 0 sign "${here[@]}" --attach OTHER
	says '^4 not requested, 0 failed, of 4 modules$'
	manifest "$root" | diff before -
}

@test "a missing answer is said, and the rest attached; later it is made good" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	mv "$(file_of b sig)" aside
	ks 1 sign "${here[@]}" --attach DIR
	warns "extra/b.ko.gz: no answer yet: neither b-[0-9a-f]{32}.sig nor b-[0-9a-f]{32}.p7s is in DIR\$"
	says '^3 signed, 1 failed, of 4 modules'
	is_plain "$tree/extra/b.ko.gz"
	mv aside "$(file_of b digest | sed 's/digest$/sig/')"
	ks 0 sign "${here[@]}" --attach DIR
	says '^1 signed, 3 already signed, 0 failed, of 4 modules'
	all_signed rsa sha512
}

@test "answers that were mixed up are refused by name, and nothing is written" {
	local suffix loop
	module extra/a.ko
	module extra/b.ko changed
	for suffix in sig p7s; do
		[ "$suffix" = sig ] && loop=2 || loop=4
		rm -rf DIR
		ks 0 sign "${here[@]}" "${by[@]}" --export DIR --export-image
		service "$loop"
		mv "$(file_of a "$suffix")" aside
		mv "$(file_of b "$suffix")" "$(file_of a digest | sed "s/digest\$/$suffix/")"
		mv aside "$(file_of b digest | sed "s/digest\$/$suffix/")"
		manifest "$root" >before
		ks 1 sign "${here[@]}" --attach DIR
		warns "/extra/a.ko: DIR/a-[0-9a-f]*.$suffix: it does not fit this module"
		warns "/extra/b.ko: DIR/b-[0-9a-f]*.$suffix: it does not fit this module"
		says '^2 failed, of 2 modules$'
		manifest "$root" | diff before -
	done
}

@test "requests that were mixed up are refused by name, and nothing is written" {
	module extra/a.ko
	module extra/b.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	cp "$(file_of a json)" "$(file_of b json)"
	ks 1 sign "${here[@]}" --attach DIR
	warns "/extra/b.ko: DIR/b-[0-9a-f]*.json: the request is another module's, of /lib/modules/$V/extra/a.ko\$"
	is_signed "$tree/extra/a.ko" rsa sha512
	is_plain "$tree/extra/b.ko"
}

@test "a module that changed since it was exported is said so, and stays" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	module extra/c.ko.xz changed
	ks 1 sign "${here[@]}" --attach DIR
	blames c.ko.xz 'the module is not the one that was exported: export it again'
	is_plain "$tree/extra/c.ko.xz" changed
	says '^3 signed, 1 failed, of 4 modules'
	# Another request is not put over the old one.
	cp -r DIR before
	ks 1 sign "${here[@]}" "${by[@]}" --export DIR
	blames c.ko.xz 'DIR/c-[0-9a-f]*.json is a request for another image: remove c-[0-9a-f]*\.\* there'
	diff -r before DIR
	rm DIR/c-*
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$tree/extra/c.ko.xz" rsa sha512 changed
}

@test "the same is exported twice, and what an export has left is made good" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	cp -r DIR before
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	diff -r before DIR
	rm "$(file_of a json)"
	echo half >"$(file_of a digest)"
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	diff -r before DIR
	ks 1 sign "${here[@]}" --cert "$KEYS/rsa.pem" --hash sha256 --export DIR
	ks 1 sign "${here[@]}" --cert "$KEYS/ec.pem" --hash sha512 --export DIR
	diff -r before DIR
}

@test "what another request that has the name is for" {
	module extra/a.ko.xz
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	differs() {
		local how=$1
		shift
		ks 1 sign "${here[@]}" "$@" --export DIR
		blames a.ko.xz "DIR/a-[0-9a-f]*.json is a request $how: remove a-[0-9a-f]*\\.\\* there, or export to another directory\$"
	}
	differs 'without --stack' "${by[@]}" --stack
	differs 'for another certificate' --cert "$KEYS/ec.pem" --hash sha512
	differs 'for another hash' --cert "$KEYS/rsa.pem" --hash sha256
	rm -r DIR
	ks 0 sign "${here[@]}" "${by[@]}" --stack --export DIR
	differs 'with --stack' "${by[@]}"
}

@test "several runs at once export the same" {
	local i
	for i in {1..20}; do
		module "extra/m$i.ko"
	done
	for _ in {1..5}; do
		rm -rf DIR
		for i in {1..4}; do
			"$KERNEL_SIGN" sign "${here[@]}" "${by[@]}" --export DIR >"said.$i" 2>&1 3>&- &
		done
		wait
		for i in {1..4}; do
			[ "$(<"said.$i")" = "$(<said.1)" ]
			tail -n 1 "said.$i" | grep -qx '20 requested, 0 failed, of 20 modules'
		done
	done
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	says '^20 signed, 0 failed'
}

@test "signatures by another key, another certificate or another hash are refused" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR --export-image
	certify impostor -newkey rsa:2048
	service 2 impostor
	ks 1 sign "${here[@]}" --attach DIR
	blames 'a-[0-9a-f]*.sig' 'it does not fit this module'
	service 4 impostor
	ks 1 sign "${here[@]}" --attach DIR
	blames 'a-[0-9a-f]*.p7s' 'it is by another certificate than was asked for$'
	message rsa sha256 "$FIXTURES/plain.ko" >"$(file_of a p7s)"
	ks 1 sign "${here[@]}" --attach DIR
	blames 'a-[0-9a-f]*.p7s' 'it is by the digest sha256, asked was for sha512$'
	is_plain "$tree/extra/a.ko"
}

@test "messages of a form that kernels do not take are refused" {
	local p7s
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	p7s=$(file_of a digest | sed 's/digest$/p7s/')
	refused() {
		ks 1 sign "${here[@]}" --attach DIR
		blames 'a-[0-9a-f]*.p7s' "$1"
		is_plain "$tree/extra/a.ko"
	}
	message rsa sha512 "$FIXTURES/plain.ko" -nocerts >"$p7s"
	refused 'it has signed attributes, which kernels refuse \(openssl cms: -noattr\)$'
	message rsa sha512 "$FIXTURES/plain.ko" -noattr >"$p7s"
	refused 'it has a certificate in it \(openssl cms: -nocerts\)$'
	message rsa sha512 "$FIXTURES/plain.ko" -noattr -nocerts -nodetach >"$p7s"
	refused 'the PKCS#7 message has its content attached$'
	message rsa sha512 "$FIXTURES/plain.ko" -noattr -nocerts -signer "$KEYS/ec.pem" -inkey "$KEYS/ec.key" >"$p7s"
	refused 'it has 2 signers, not one$'
	message rsa sha512 "$FIXTURES/plain.ko" -noattr -nocerts -keyopt rsa_padding_mode:pss >"$p7s"
	refused 'its algorithm is rsassaPss, kernels want rsaEncryption$'
	message rsa sha512 "$FIXTURES/plain.ko" | python3 -c '
import sys
der = sys.stdin.buffer.read()
assert der[:2] == b"\x30\x82"
sys.stdout.buffer.write(b"\x30\x80" + der[4:] + b"\0\0")' >"$p7s"
	openssl cms -cmsout -inform DER -in "$p7s" -noout
	refused 'it is BER, not DER$'
	message rsa sha512 "$FIXTURES/plain.ko" >"$p7s"
	echo >>"$p7s"
	refused 'it is not of the form that kernels take$'
	message rsa sha512 "$FIXTURES/plain.ko" -noattr -nocerts -outform PEM >"$p7s"
	refused 'not valid ASN.1'
	: >"$p7s"
	refused 'not valid ASN.1'
	head -c 70000 /dev/zero >"$p7s"
	refused 'more than the limit|larger'
	# By key id is another way to name the same certificate.
	message rsa sha512 "$FIXTURES/plain.ko" -noattr -nocerts -keyid >"$p7s"
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$tree/extra/a.ko" rsa sha512
	ks 0 sign "${here[@]}" --attach DIR
	says '^1 already signed'
}

@test "hostile requests" {
	local json
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	json=$(file_of a json)
	cp "$json" good
	refused() {
		ks 1 sign "${here[@]}" --attach DIR
		blames 'a-[0-9a-f]*.json' "$1"
		is_plain "$tree/extra/a.ko"
		rm -rf "$json"
		cp good "$json"
	}
	head -c 700 good >"$json"
	refused 'no JSON, or truncated$'
	: >"$json"
	refused 'no JSON'
	{
		cat good
		echo '{}'
	} >"$json"
	refused 'no JSON'
	head -c 70000 /dev/zero | tr '\0' ' ' >"$json"
	refused 'limit|larger'
	head -c 60000 /dev/zero | tr '\0' '[' >"$json"
	refused 'no JSON: nesting'
	edit a 'o["version"] = 2'
	refused 'a request of version 2; this program knows version 1$'
	edit a 'o["version"] = "1"'
	refused "'version' is missing, or no int\$"
	edit a 'o["format"] = "x"'
	refused 'no request of kernel-sign$'
	edit a 'del o["path_hex"]'
	refused "'path_hex' is missing"
	edit a 'o["path_hex"] = b"/etc/shadow".hex(); o["path"] = "/etc/shadow\x1b[2J"'
	refused "the request is another module's, of /etc/shadow.x1b"
	edit a 'o["path_hex"] = b"../../../../etc/shadow".hex()'
	refused "the request is another module's"
	edit a 'o["hash"] = "rot13"'
	refused "unknown hash 'rot13'\$"
	edit a 'o["hash"] = "sha512\0"'
	refused "'hash' has a zero byte in it\$"
	edit a 'o["certificate"] = "AAAA"'
	refused "'certificate' is none\$"
	edit a 'o["certificate"] = "!"'
	refused "'certificate' is no base64\$"
	edit a 'o = [o]'
	refused 'no JSON object$'
	rm "$json"
	ln -s "$PWD/good" "$json"
	refused 'a symlink, not a regular file$'
	rm "$json"
	mkfifo "$json"
	refused 'not a regular file'
	edit a 'o["digest"] = "00" * 64'
	ks 1 sign "${here[@]}" --attach DIR
	blames a.ko 'the module is not the one that was exported'
	cp good "$json"
	# Of the rest nothing is believed, and nothing needed.
	edit a 'o["answers"] = ["/etc/shadow"]; o["signer"] = 7; o["kernel"] = {}'
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$tree/extra/a.ko" rsa sha512
}

@test "an answer that is no file of its own is not read" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	mv DIR/a-*.sig aside
	ln -s "$PWD/aside" "$(file_of a digest | sed 's/digest$/sig/')"
	ks 1 sign "${here[@]}" --attach DIR
	blames 'a-[0-9a-f]*.sig' 'a symlink, not a regular file$'
	is_plain "$tree/extra/a.ko"
}

@test "an export writes through no link" {
	local name
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export FIRST
	mkdir DIR
	echo precious >precious
	for name in FIRST/*; do
		ln -s "$PWD/precious" "DIR/${name#FIRST/}"
	done
	ks 1 sign "${here[@]}" "${by[@]}" --export DIR
	[ "$(cat precious)" = precious ]
	rm DIR/*.json
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	[ "$(cat precious)" = precious ]
	[ "$(find DIR -type f | wc -l)" = 2 ]
}

@test "names of any bytes come back" {
	local name
	for name in $'extra/\xff\xfe.ko' $'extra/tab\there.ko' $'extra/new\nline.ko' 'extra/-rf.ko' 'extra/..hidden.ko' \
		"extra/$(printf 'x%.0s' {1..200}).ko" extra/ünïcode.ko.xz; do
		module "$name"
	done
	mkdir -p "$tree/extra/-rf" "$tree/updates/same"
	module extra/-rf/same.ko
	module updates/same/same.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	says '^9 requested'
	[ "$(find DIR -name '*.json' | grep -cvE '^DIR/[A-Za-z0-9_][A-Za-z0-9_-]*\.json$')" = 0 ]
	python3 - <<-'END'
		import glob, json
		paths = {bytes.fromhex(json.load(open(n))["path_hex"]) for n in glob.glob("DIR/*.json")}
		assert b"/lib/modules/6.1.0-test/extra/\xff\xfe.ko" in paths and len(paths) == 9, paths
	END
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	says '^9 signed, 0 failed'
	is_signed "$tree/extra/"$'\xff\xfe.ko' rsa sha512
}

@test "--root: a link that leads out of it is followed inside, on the way there and back" {
	mkdir -p "$root/outside"
	module "$root/outside/x.ko"
	mkdir outside
	cp "$FIXTURES/plain.ko" outside/x.ko
	mkdir -p "$root$PWD/outside"
	ln -s "$PWD/outside/x.ko" "$tree/extra/x.ko"
	module "$root$PWD/outside/x.ko"
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	cmp outside/x.ko "$FIXTURES/plain.ko"
	is_signed "$root$PWD/outside/x.ko" rsa sha512
}

@test "what was exported with --root is attached where the same tree is the root's" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	mv "$root" moved
	ks 0 sign --root moved -k "$V" --attach DIR
	is_signed "moved/lib/modules/$V/extra/a.ko" rsa sha512
}

@test "several kernels" {
	local other=$root/lib/modules/6.2.0-other
	module extra/a.ko
	mkdir -p "$other/extra"
	: >"$other/modules.order"
	module "$other/extra/a.ko.xz" changed
	ks 0 sign --root "$root" -k all "${by[@]}" --export DIR
	[ "$(find DIR -name '*.json' | wc -l)" = 2 ]
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	warns 'warning: DIR has 1 requests that fit no module meant here$'
	ks 0 sign --root "$root" -k all --attach DIR
	says '^1 signed, 1 already signed, 0 failed, of 2 modules'
	is_signed "$tree/extra/a.ko" rsa sha512
	is_signed "$other/extra/a.ko.xz" rsa sha512 changed
}

@test "modules by name, and of a directory" {
	module extra/a.ko
	module extra/b.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR a
	service 2
	ks 1 sign "${here[@]}" --attach DIR a b
	warns 'extra/b.ko: no request for it in DIR: export it first$'
	is_signed "$tree/extra/a.ko" rsa sha512
	ks 1 sign "${here[@]}" --attach DIR
	warns 'extra/b.ko: no request for it in DIR: export it first$'
	# Somebody else's signature will not do for one that was named.
	sign_by_hand "$tree/extra/b.ko" other
	ks 1 sign "${here[@]}" --attach DIR b
	warns 'extra/b.ko: no request for it in DIR: export it first$'
	ks 0 sign "${here[@]}" --attach DIR
	says '^1 already signed, 1 not requested, 0 failed'
	module extra/b.ko
	rm -rf DIR
	ks 0 sign --root "$root" -d "/lib/modules/$V/extra" "${by[@]}" --export DIR
	says '^1 already signed, 1 requested'
	service 2
	ks 0 sign --root "$root" -d "/lib/modules/$V/extra" --attach DIR
	says '^1 signed, 1 not requested'
}

@test "somebody else's signature: left alone, replaced, or kept beneath" {
	in_tree kernel/drivers/t.ko
	sign_by_hand "$tree/kernel/drivers/t.ko" other
	cp "$tree/kernel/drivers/t.ko" theirs.ko
	: >"$tree/modules.order"
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	says 'left alone'
	[ -z "$(ls DIR)" ]
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR --all
	openssl dgst -sha512 -binary "$FIXTURES/plain.ko" | cmp - "$(file_of t digest)"
	service 2
	ks 0 sign "${here[@]}" --attach DIR --all
	is_signed "$tree/kernel/drivers/t.ko" rsa sha512
	# Compressed along with the module it stays, if that is wanted, though --attach does not say so.
	xz -c --check=crc32 theirs.ko >"$tree/extra/u.ko.xz"
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR --stack u
	openssl dgst -sha512 -binary theirs.ko | cmp - "$(file_of u digest)"
	service 2
	ks 0 sign "${here[@]}" --attach DIR u
	take_apart "$tree/extra/u.ko.xz"
	cmp apart/image theirs.ko
	ks 0 sign "${here[@]}" --attach DIR u
	says 'already signed'
}

@test "a dry run makes and changes nothing, and checks the answers all the same" {
	module extra/a.ko
	module extra/b.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR --dry-run
	says '^2 would be requested, 0 failed, of 2 modules$'
	[ ! -e DIR ]
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	echo wrong >"$(file_of b sig)"
	manifest "$root" >before
	ks 1 sign "${here[@]}" --attach DIR -n
	says '^1 would be signed, 1 failed, of 2 modules$'
	blames 'b-[0-9a-f]*.sig' 'it does not fit'
	manifest "$root" | diff before -
}

@test "DKMS's copies: nothing at an export, the same after attaching" {
	dkms_installs pkg a.ko.xz
	cp "$copies/a.ko.xz" before.ko.xz
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	cmp "$copies/a.ko.xz" before.ko.xz
	service 2
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$copies/a.ko.xz" rsa sha512
	# Of what is signed already the copy is --attach's to renew.
	cp before.ko.xz "$copies/a.ko.xz"
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	says '^1 already signed'
	cmp "$copies/a.ko.xz" before.ko.xz
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$copies/a.ko.xz" rsa sha512
}

@test "a directory that others can write to is warned of" {
	module extra/a.ko
	mkdir -m 775 DIR
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	warns '^kernel-sign: warning: others can write to DIR .mode 0775., and have the service sign what they like$'
	if [ "$(id -u)" = 0 ]; then
		chmod 700 DIR
		chown 65534 DIR
		ks 0 sign "${here[@]}" "${by[@]}" --export DIR
		warns '^kernel-sign: warning: DIR belongs to another user .65534., who can have'
	fi
	chmod 755 DIR
	chown "$(id -u)" DIR
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	[ -z "$stderr" ]
}

@test "--cert and --hash of --attach are insisted on" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	ks 1 sign "${here[@]}" --attach DIR --cert "$KEYS/ec.pem"
	blames 'a-[0-9a-f]*.json' 'the request is for another certificate than --cert$'
	ks 1 sign "${here[@]}" --attach DIR --hash sha256
	blames 'a-[0-9a-f]*.json' 'the request is for the hash sha512, not for --hash sha256$'
	is_plain "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" --attach DIR --cert "$KEYS/rsa.pem" --hash SHA512
	is_signed "$tree/extra/a.ko" rsa sha512
}

@test "without --cert anybody who can write to the directory chooses the key: warned of" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	chmod 777 DIR
	ks 0 sign "${here[@]}" --attach DIR --dry-run
	warns '^kernel-sign: warning: others can write to DIR .mode 0777., and have signatures by any key attached: name it with --cert$'
	ks 0 sign "${here[@]}" --attach DIR "${by[@]}"
	[ -z "$stderr" ]
}

@test "certificates: a URI's PIN is not said, one that has expired is, one that is too large is refused" {
	module extra/a.ko
	# Whatever could speak to tokens is not there: what it leaves behind at the end is its own.
	export OPENSSL_ENGINES=$PWD OPENSSL_MODULES=$PWD
	KERNEL_SIGN_KEY='pkcs11:token=nowhere;object=y?pin-value=123456' ks 1 sign "${here[@]}" --export DIR
	not warns 123456
	warns '^kernel-sign: pkcs11:token=nowhere;object=y[?]pin-value=[.]{3}: '
	ks 1 sign "${here[@]}" --attach . --cert 'pkcs11:token=nowhere;object=y?pin-value=123456'
	not warns 123456
	dated 20000101000000Z 20010101000000Z
	ks 0 sign "${here[@]}" --cert dated.pem --export OLD
	warns '^kernel-sign: warning: dated.pem: the certificate has expired'
	{
		cat "$KEYS/extensions"
		printf 'nsComment = '
		head -c 60000 /dev/zero | tr '\0' x
	} >large.cnf
	CN=large openssl req -x509 -key "$KEYS/rsa.key" -config large.cnf -out large.pem
	ks 1 sign "${here[@]}" --cert large.pem --export LARGE
	warns 'the certificate is too large$'
	not compgen -G 'LARGE/*.json'
}

@test "keys in grace are no part of a request, which is said" {
	module extra/a.ko
	mkdir store
	: >config
	for _ in 1 2; do
		"$KERNEL_SIGN" genkeys -q --keys store --config config --type ecdsa --hash sha384 --refresh always \
			--keep-previous 30d
	done
	ks 0 sign "${here[@]}" --keys store --export DIR
	warns 'store/current/signing_crt.crt: a request is for one certificate: modules will be signed without the keys in its grace'
}

@test "answers are checked by what OpenSSL is configured to do, also by confined threads" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR
	service 2
	printf '%s\n' 'openssl_conf = i' '[i]' 'alg_section = a' '[a]' 'default_properties = fips=yes' >our.cnf
	OPENSSL_CONF=$PWD/our.cnf ks 1 sign "${here[@]}" --attach DIR
	is_plain "$tree/extra/a.ko"
	ks 0 sign "${here[@]}" --attach DIR
	is_signed "$tree/extra/a.ko" rsa sha512
}

@test "the certificate is found without a key" {
	module extra/a.ko
	mkdir -p "$tree/build/certs-local/current"
	cp "$KEYS/ec.der" "$tree/build/certs-local/current/signing_crt.crt"
	echo sha384 >"$tree/build/certs-local/current/khash"
	ks 0 sign "${here[@]}" -v --export DIR
	warns "^kernel-sign: certificate /lib/modules/$V/build/certs-local/current/signing_crt.crt \(from the kernel's own key\)\$"
	openssl dgst -sha384 -binary "$FIXTURES/plain.ko" | cmp - "$(file_of a digest)"
	rm -rf DIR "$tree/build"
	KERNEL_SIGN_CERT=$KEYS/rsa.pem ks 0 sign "${here[@]}" --export DIR
	openssl dgst -sha512 -binary "$FIXTURES/plain.ko" | cmp - "$(file_of a digest)"
	ks 1 sign "${here[@]}" --export OTHER
	warns 'no certificate found: name one with --cert$'
}

@test "command lines that make no sense" {
	module extra/a.ko
	ks 2 sign "${here[@]}" "${by[@]}" --key "$KEYS/rsa.key" --export DIR
	warns 'export takes no --key'
	ks 2 sign "${here[@]}" --export DIR --attach DIR
	ks 2 sign "${here[@]}" --export-image
	ks 2 sign "${here[@]}" "${by[@]}" --export ''
	warns '^kernel-sign: --export: no directory is named$'
	ks 2 sign "${here[@]}" --attach ''
	warns '^kernel-sign: --attach: no directory is named$'
	ks 2 sign "${here[@]}" --attach DIR --keys x
	ks 2 sign "${here[@]}" --attach DIR --deterministic
	ks 2 sign "${here[@]}" --export DIR --cert "$KEYS/rsa.pem" --cert "$KEYS/ec.pem"
	ks 1 sign "${here[@]}" --attach DIR
	warns 'DIR: open the directory: No such file'
	ks 1 sign "${here[@]}" "${by[@]}" --export not/there
	: >file
	ks 1 sign "${here[@]}" "${by[@]}" --export file
	[ ! -e DIR ]
}

@test "nobody exports what it can read, and attaches what it can write" {
	module extra/a.ko
	let_nobody_in
	chmod a+rwx .
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" --cert "$KEYS/rsa.pem" --export DIR
	ended 0
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" --cert "$KEYS/rsa.pem" --export "$root/../DIR"
	ended 0
	if [ "$(id -u)" = 0 ]; then
		mkdir closed
		run nobody touch closed/x
		[ "$status" -ne 0 ]
		run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" --cert "$KEYS/rsa.pem" --export closed
		ended 1
		warns 'closed/a-[0-9a-f]*.digest: make a file in the directory: Permission denied'
	fi
}

@test "JSON says what was requested and attached" {
	four_modules
	ks 0 sign "${here[@]}" "${by[@]}" --export DIR --json
	python3 -c 'import json, sys
o = json.load(sys.stdin)
assert o["summary"]["requested"] == 4 and o["summary"]["signed"] == 0, o
assert {m["result"] for m in o["modules"]} == {"requested"}, o
assert {m["written"] for m in o["modules"]} == {None}, o' <<<"$output"
	service 2
	ks 0 sign "${here[@]}" --attach DIR --json
	python3 -c 'import json, sys
o = json.load(sys.stdin)
assert o["summary"]["signed"] == 4 and o["summary"]["not-requested"] == 0, o' <<<"$output"
}
