#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# --json: stdout is empty or JSON, whatever happens and whatever names are made of.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

# json COMMAND ARGUMENT...: runs it into the files out and err; $status is set.  Then, unless out is
# empty, python reads it, strictly, and runs CHECK, the code in $check, on `it'.
json() {
	status=0
	"$KERNEL_SIGN" "$@" --json >out 2>err || status=$?
	parse
}

parse() {
	[ -s out ] || return 0
	CHECK=${check-} python3 - <<-'END'
		import json, os, re, sys

		def no_constant(name):
		    raise ValueError(name)

		def no_duplicates(pairs):
		    assert len(dict(pairs)) == len(pairs), pairs
		    return dict(pairs)

		# The escaped text of the program back to the bytes that it stands for.
		def raw(text):
		    parts = re.findall(rb'\\x[0-9a-f]{2}|\\\\|[^\\]', text.encode(), re.DOTALL)
		    assert b''.join(parts) == text.encode(), text
		    return b''.join(p if p[:1] != b'\\' else b'\\' if p == b'\\\\'
		                    else bytes([int(p[2:], 16)]) for p in parts)

		text = open('out', 'rb').read().decode('utf-8')
		it = json.loads(text, parse_constant=no_constant, object_pairs_hook=no_duplicates)
		modules = it['modules']
		exec(os.environ['CHECK'])
	END
}

@test "sign: results and summary" {
	module extra/a.ko
	module extra/b.ko.xz
	sign_by_hand "$tree/extra/a.ko" other
	sign_by_hand "$tree/extra/a.ko" other
	echo text >"$tree/extra/c.ko"
	module kernel/drivers/vendor.ko
	sign_by_hand "$tree/kernel/drivers/vendor.ko" other
	check='
def of(name): return [m for m in modules if m["path"].endswith("/" + name)][0]
assert [m["path"] for m in modules] == sorted(m["path"] for m in modules)
assert len(modules) == 4
assert of("a.ko")["result"] == "signed" and of("a.ko")["removed"] == 2 and of("a.ko")["error"] is None
assert of("b.ko.xz")["result"] == "signed" and of("b.ko.xz")["removed"] == 0
assert of("c.ko")["result"] == "failed" and "no ELF file" in of("c.ko")["error"]
assert of("vendor.ko")["result"] == "left-alone" and of("vendor.ko")["other_signer"] == "the other key"
assert {m["kernel"] for m in modules} == {"6.1.0-test"}
assert it["summary"] == {"dry_run": False, "signed": 2, "already-signed": 0, "left-alone": 1,
                         "unsigned": 0, "not-signed": 0, "requested": 0, "not-requested": 0, "failed": 1,
                         "written": {"plain": 1, "spliced": 1, "mended": 0, "recompressed": 0}}
assert of("a.ko")["written"] == "plain" and of("a.ko")["growth"] < 0
assert of("b.ko.xz")["written"] == "spliced" and of("b.ko.xz")["growth"] > 0
assert of("b.ko.xz")["written_why"] is None and of("b.ko.xz")["beneath"] == 0
assert of("c.ko")["written"] is None and of("c.ko")["growth"] is None'
	json sign "${here[@]}" "${key[@]}"
	[ "$status" = 1 ]
	grep -q 'c.ko: not a kernel module' err
	[ "$(wc -l <err)" = 1 ]
	check='
assert it["summary"]["dry_run"] is True and it["summary"]["already-signed"] == 2'
	json sign "${here[@]}" "${key[@]}" -n
	[ "$status" = 1 ]
}

@test "unsign and status: JSON with and without modules" {
	check='assert modules == []'
	json sign "${here[@]}" "${key[@]}"
	[ "$status" = 0 ] && [ -s out ]
	json unsign "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
	json status "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
	module extra/a.ko
	sign_by_hand "$tree/extra/a.ko" rsa
	check='assert [m["verdict"] for m in modules] == ["unknown signer"]'
	json status "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
	check='assert [(m["result"], m["removed"]) for m in modules] == [("unsigned", 1)]'
	json unsign "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
	check='assert [m["result"] for m in modules] == ["not-signed"]'
	json unsign "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
}

# A module for every byte that a file's name can have, but for what LC_ALL=C ls would say.
every_byte() {
	local i byte
	for ((i = 1; i < 256; i++)); do
		((i != 47)) || continue
		printf -v byte '\\x%02x' "$i"
		printf -v byte '%b.' "$byte"
		cp "$1" "$tree/extra/m${byte%.}m.ko"
	done
}

@test "every byte in a file's name comes back, of good modules" {
	every_byte "$FIXTURES/plain.ko"
	check='
want = {b"/lib/modules/6.1.0-test/extra/m" + bytes([b]) + b"m.ko" for b in range(1, 256) if b != 47}
assert {raw(m["path"]) for m in modules} == want
assert len(modules) == 254
assert not [c for m in modules for c in m["path"] if ord(c) < 32 or 127 <= ord(c) < 160]'
	json sign "${here[@]}" "${key[@]}"
	[ "$status" = 0 ] && [ -s out ] && [ ! -s err ]
	json status "${here[@]}"
	[ "$status" = 0 ] && [ -s out ] && [ ! -s err ]
	json unsign "${here[@]}" -j 1
	[ "$status" = 0 ] && [ -s out ] && [ ! -s err ]
}

@test "every byte in a file's name comes back, of bad modules, and in error lines" {
	echo text >text
	every_byte text
	check='
want = {b"/lib/modules/6.1.0-test/extra/m" + bytes([b]) + b"m.ko" for b in range(1, 256) if b != 47}
assert {raw(m["path"]) for m in modules} == want
assert {raw(m["error"].split(": not a")[0]) for m in modules} == want
lines = open("err", "rb").read().decode().split("\n")
assert lines.pop() == ""
assert {raw(l[len("kernel-sign: "):].split(": not a")[0]) for l in lines} == want'
	json sign "${here[@]}" "${key[@]}"
	[ "$status" = 1 ] && [ -s out ]
	json status "${here[@]}"
	[ "$status" = 1 ] && [ -s out ]
}

@test "every byte in a file's name leaves tables and lines whole" {
	every_byte "$FIXTURES/plain.ko"
	"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" >lines
	"$KERNEL_SIGN" status "${here[@]}" >table
	[ "$(wc -l <lines)" = 255 ]
	[ "$(wc -l <table)" = 257 ] # with heading, sum, and why nobody knows whether they load
	not grep -qaP '[\x00-\x08\x0b-\x1f\x7f-\xff]' lines table
}

@test "names in UTF-8 stay readable, what would mislead a reader does not" {
	local good=$tree/extra/für-Ψ-日本-😀.ko
	cp "$FIXTURES/plain.ko" "$good"
	cp "$FIXTURES/plain.ko" "$tree/extra/"$'bidi-\xe2\x80\xae-override.ko'
	cp "$FIXTURES/plain.ko" "$tree/extra/"$'csi-\xc2\x9b-.ko'
	cp "$FIXTURES/plain.ko" "$tree/extra/"$'overlong-\xc0\xaf-.ko'
	cp "$FIXTURES/plain.ko" "$tree/extra/"$'surrogate-\xed\xa0\x80-.ko'
	cp "$FIXTURES/plain.ko" "$tree/extra/"$'cut-\xe2\x82'.ko
	check='
paths = [m["path"].split("/")[-1] for m in modules]
assert "f\u00fcr-\u03a8-\u65e5\u672c-\U0001f600.ko" in paths, paths
assert r"bidi-\xe2\x80\xae-override.ko" in paths
assert r"csi-\xc2\x9b-.ko" in paths
assert r"overlong-\xc0\xaf-.ko" in paths
assert r"surrogate-\xed\xa0\x80-.ko" in paths
assert r"cut-\xe2\x82.ko" in paths'
	json status "${here[@]}"
	[ "$status" = 0 ] && [ -s out ]
}

@test "names of kernels and directories are escaped too" {
	local version=$'6.1\n"\\\xff'
	module "$root/lib/modules/$version/dir\"ec\\tory"$'\x01'"s/a.ko"
	check='
assert len(modules) == 1
assert raw(modules[0]["kernel"]) == b"6.1\n\"\\\xff"
assert raw(modules[0]["path"]) == b"/lib/modules/6.1\n\"\\\xff/dir\"ec\\tory\x01s/a.ko"'
	json status --root "$root" -k "$version"
	[ "$status" = 0 ] && [ -s out ]
	json sign --root "$root" -k "$version" "${key[@]}"
	[ "$status" = 0 ] && [ -s out ]
	check='assert modules == []'
	json sign --root "$root" -k $'no"\n\xfe' "${key[@]}"
	[ "$status" = 1 ]
	not grep -qaP '[\x00-\x08\x0b-\x1f\x7f-\xff]' err
}

# A signer with an odd name, made by patching bytes of the same length: no tool would make it.
@test "signers' names are escaped too" {
	local odd
	for odd in 'x"\\\x01\xff\n' '\xed\xa0\x80\x7f\x1b]' '\x00\x00\x00\x00\x00\x00'; do
		module extra/a.ko
		message rsa sha256 "$FIXTURES/plain.ko" >made
		python3 - "$odd" <<-'END'
			import sys
			odd = sys.argv[1].encode().decode('unicode_escape').encode('latin-1')
			made = open('made', 'rb').read()
			assert made.count(b'rsa ke') == 1 and len(odd) == 6, odd
			open('made', 'wb').write(made.replace(b'rsa ke', odd))
		END
		attach "$tree/extra/a.ko" made
		check='assert len(modules) == 1 and modules[0]["verdict"] in ("unknown signer", "malformed")'
		json status "${here[@]}"
		[ "$status" = 0 ] && [ -s out ]
		"$KERNEL_SIGN" status "${here[@]}" >table 2>&1
		not grep -qaP '[\x00-\x08\x0b-\x1f\x7f-\xff]' table
	done
}

@test "stdout is empty or JSON in every failing case" {
	local n=0
	module extra/a.ko
	fails() {
		local wanted=$1
		shift
		rm -f out
		json "$@"
		echo "$status: $*"
		[ "$status" = "$wanted" ]
		[ -s err ]
		n=$((n + 1))
	}
	check=''
	fails 1 sign "${here[@]}"
	fails 1 sign "${here[@]}" --key nowhere
	fails 1 sign "${here[@]}" --key "$KEYS/rsa.pem"
	fails 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/ec.pem"
	fails 1 sign "${here[@]}" --cert "$KEYS/ec.pem"
	fails 1 sign "${here[@]}" "${key[@]}" --hash nonsense
	fails 1 sign "${here[@]}" "${key[@]}" --max-size 1
	fails 1 sign --root "$root" -k none "${key[@]}"
	fails 1 sign --root nowhere -k all "${key[@]}"
	fails 1 sign "${here[@]}" "${key[@]}" nonsense
	fails 1 sign "${here[@]}" "${key[@]}" /no/where.ko
	fails 1 sign "${here[@]}" "${key[@]}" /nowhere.ko
	fails 1 sign "${here[@]}" "${key[@]}" /lib
	fails 1 sign "${here[@]}" "${key[@]}" -d /nowhere
	fails 1 sign "${here[@]}" "${key[@]}" -d /lib
	fails 1 sign "${key[@]}" -k none --all </dev/null
	fails 2 sign "${here[@]}" "${key[@]}" -d /lib a.ko
	fails 2 sign "${here[@]}" "${key[@]}" --nonsense
	fails 2 sign "${here[@]}" "${key[@]}" -j 0
	fails 1 unsign --root "$root" -k none
	fails 1 unsign "${here[@]}" /nowhere.ko
	fails 1 status --root "$root" -k none
	fails 1 status "${here[@]}" /nowhere.ko nonsense
	fails 2 status "${here[@]}" -d /lib --all
	mkdir "$root/etc"
	echo nonsense >"$root/etc/kernel-sign.conf"
	fails 1 sign "${here[@]}"
	[ "$n" = 25 ]
}

@test "one bad kernel among several: still one JSON value" {
	module extra/a.ko
	module "$root/lib/modules/4.0/extra/b.ko"
	echo text >"$root/lib/modules/4.0/extra/c.ko"
	mkdir "$root/lib/modules/5.0"
	check='assert sorted(m["result"] for m in modules) == ["failed", "signed", "signed"]
assert {m["kernel"] for m in modules} == {"4.0", "6.1.0-test"}'
	json sign --root "$root" -k all "${key[@]}"
	[ "$status" = 1 ] && [ -s out ]
}

@test "--json with --quiet is JSON all the same" {
	module extra/a.ko
	check='assert len(modules) == 1'
	json sign "${here[@]}" "${key[@]}" -q
	[ "$status" = 0 ] && [ -s out ]
	json status "${here[@]}" -q
	[ "$status" = 0 ] && [ -s out ]
}

@test "JSON that cannot be written is an error" {
	module extra/a.ko
	status=0
	"$KERNEL_SIGN" status "${here[@]}" --json >/dev/full 2>err || status=$?
	[ "$status" = 1 ]
	grep -q '^kernel-sign: standard output: No space left' err
}

@test "a run that is interrupted ends in JSON" {
	local i
	for ((i = 0; i < 300; i++)); do
		cp "$FIXTURES/plain.ko" "$tree/extra/m$i.ko"
	done
	"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --json -j 1 >out 2>err 3>&- &
	i=$!
	while kill -0 "$i" 2>/dev/null && [ -z "$(find "$tree/extra" -newer "$tree/extra/m299.ko" -print -quit)" ]; do
		:
	done
	kill -TERM "$i"
	status=0
	wait "$i" || status=$?
	[ "$status" = 1 ]
	check='
assert len(modules) == 300
assert it["summary"]["signed"] + it["summary"]["failed"] == 300
assert {m["error"].split(": ")[-1] for m in modules if m["result"] == "failed"} == {
    "not touched, the run was interrupted"}'
	[ -s out ]
	parse
}
