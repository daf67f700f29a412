#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign sign and unsign --log, and the line for the system's log.

load common

setup_file() { make_fixtures; }

setup() { start_test; }

# log PYTHON: runs it with the lines of LOG as objects in the list l.
log() {
	python3 - "$1" <<-'END'
		import json, sys
		with open("LOG", "rb") as file: raw = file.read()
		assert raw.endswith(b"\n"), raw[-100:]
		l = [json.loads(line) for line in raw.split(b"\n")[:-1]]
		exec(sys.argv[1])
	END
}

@test "a line for each module that was signed, between begin and end" {
	module extra/a.ko
	module extra/b.ko.xz
	date -u +%FT%TZ >began
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	[ -z "$stderr" ]
	[ "$(stat -c %a LOG)" = 600 ]
	log '
import hashlib, os, pwd, re, subprocess
def name_of(uid):
    try: return pwd.getpwuid(uid).pw_name
    except KeyError: return None
assert [o["event"] for o in l] == ["begin", "module", "module", "end"], l
assert len({o["pid"] for o in l}) == 1 and {o["command"] for o in l} == {"sign"}, l
began = open("began").read().strip()
for o in l:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", o["time"]) and o["time"] >= began, o
    u = o["user"]
    assert u["uid"] == os.getuid() and set(u) == {"uid", "name", "login_uid", "login_name"}, u
    login = int(open("/proc/self/loginuid").read())
    assert u["login_uid"] == (None if login == 2**32 - 1 else login), u
    assert u["name"] == name_of(u["uid"]) and u["login_name"] == name_of(login), u
image = open(os.environ["FIXTURES"] + "/plain.ko", "rb").read()
cert = open(os.environ["KEYS"] + "/rsa.pem").read()
def says(option):
    return subprocess.run(["openssl", "x509", "-noout", *option], input=cert, capture_output=True, text=True).stdout
key_id = says(["-ext", "subjectKeyIdentifier"]).split()[-1].replace(":", "").lower()
serial = says(["-serial"]).strip().split("=")[1].lower()
for o, name in zip(l[1:3], ("a.ko", "b.ko.xz")):
    assert o["path"] == "/lib/modules/6.1.0-test/extra/" + name, o
    assert o["root"].endswith("/root") and o["kernel"] == "6.1.0-test", o
    assert (o["result"], o["error"]) == ("signed", None), o
    assert (o["hash"], o["digest"]) == ("sha256", hashlib.sha256(image).hexdigest()), o
    assert o["signers"] == [{"subject": "CN=the rsa key", "key_id": key_id, "serial": serial}], o
assert l[3]["result"] == "2 signed, 0 failed, of 2 modules", l'
}

@test "what was left as it was has no line; what failed, was unsigned or requested has" {
	module extra/a.ko
	module extra/b.ko
	ks 0 sign "${here[@]}" "${key[@]}" a
	echo broken >"$tree/extra/b.ko"
	ks 1 sign "${here[@]}" "${key[@]}" --log LOG
	log '
assert len(l) == 3 and l[1]["result"] == "failed" and l[1]["path"].endswith("/b.ko"), l
assert "ELF" in l[1]["error"] and l[1]["digest"] is None and l[1]["signers"] == [], l
assert l[2]["result"] == "1 already signed, 1 failed, of 2 modules", l'
	rm LOG
	ks 0 unsign "${here[@]}" --log LOG a
	log '
import hashlib, os
image = open(os.environ["FIXTURES"] + "/plain.ko", "rb").read()
assert len(l) == 3 and (l[1]["command"], l[1]["result"]) == ("unsign", "unsigned"), l
assert (l[1]["hash"], l[1]["digest"], l[1]["signers"]) == ("sha256", hashlib.sha256(image).hexdigest(), []), l'
	rm LOG
	ks 0 sign "${here[@]}" --cert "$KEYS/rsa.pem" --hash sha512 --export DIR --log LOG a
	openssl pkeyutl -sign -inkey "$KEYS/rsa.key" -pkeyopt digest:sha512 -in DIR/a-*.digest \
		-out "$(echo DIR/a-*.digest | sed 's/digest$/sig/')"
	ks 0 sign "${here[@]}" --attach DIR --log LOG a
	log '
assert [o.get("result") for o in l if o["event"] == "module"] == ["requested", "signed"], l
assert l[4]["hash"] == "sha512" and l[4]["signers"][0]["subject"] == "CN=the rsa key", l
assert l[1]["digest"] == l[4]["digest"], l'
}

@test "a dry run leaves no line" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG -n
	[ ! -e LOG ]
}

@test "a log that cannot be opened is an error before anything is signed" {
	module extra/a.ko
	refused() {
		ks 1 sign "${here[@]}" "${key[@]}" --log "$1"
		warns "^kernel-sign: $1: $2"
		is_plain "$tree/extra/a.ko"
	}
	refused not/there 'open: No such file'
	refused . 'open: Is a directory'
	ln -s elsewhere link
	refused link 'open: Too many levels of symbolic links'
	[ ! -e elsewhere ]
	mkfifo pipe
	refused pipe 'not a regular file$'
	refused /dev/null 'not a regular file$'
}

@test "a log that cannot be written is an error before anything is signed" {
	module extra/a.ko
	# It is as long as this process may make files.
	head -c 1048576 /dev/zero | tr '\0' '\n' >LOG
	run --separate-stderr bash -c 'ulimit -f 1024 && exec "$@"' - "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --log LOG
	ended 1
	warns '^kernel-sign: LOG: write: File too large$'
	[ -z "$output" ]
	is_plain "$tree/extra/a.ko"
	[ "$(stat -c %s LOG)" = 1048576 ]
}

@test "a file that is no log is not written to: the module that FILE was forgotten before, a key" {
	local file
	module extra/a.ko
	module extra/b.ko.xz
	cp "$KEYS/rsa.key" copy.key
	printf 'a text\n' >text
	printf '{"format":"kernel-sign request"}\n' >request.json
	for file in "$tree/extra/a.ko" "$tree/extra/b.ko.xz" copy.key "$KEYS/rsa.der" text request.json; do
		cp "$file" before
		ks 1 sign "${here[@]}" "${key[@]}" --log "$file"
		warns "^kernel-sign: $file: not a log of kernel-sign: name another file\$"
		[ -z "$output" ]
		cmp before "$file"
	done
	is_plain "$tree/extra/a.ko"
	# What a run leaves that was killed in its first bytes is one.
	printf '{"ti' >LOG
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	ks 0 unsign "${here[@]}" --log LOG
	sed -i 1d LOG
	log 'assert len(l) == 8, l'
}

# meanwhile STATUS COMMAND...: a run that waits for its passphrase when it has begun its log, and goes on
# after COMMAND.
meanwhile() {
	local wanted=$1
	shift
	openssl rsa -in "$KEYS/rsa.key" -aes256 -passout pass:sesame -out locked.key 2>/dev/null
	chmod 600 locked.key
	mkfifo -m 600 passphrase
	"$KERNEL_SIGN" sign "${here[@]}" --key locked.key --cert "$KEYS/rsa.pem" --log LOG --pin-fd 0 \
		<passphrase >out 2>err &
	exec 9>passphrase
	timeout 20 sh -c 'until [ -s LOG ]; do sleep 0.05; done'
	"$@"
	echo sesame >&9
	exec 9>&-
	status=0
	wait $! || status=$?
	output=$(<out) stderr=$(<err)
	ended "$wanted"
}

@test "a log that is renamed while a run goes on is whole under its new name" {
	module extra/a.ko
	meanwhile 0 mv LOG LOG.1
	[ -z "$stderr" ]
	[ ! -e LOG ]
	mv LOG.1 LOG
	log 'assert [o["event"] for o in l] == ["begin", "module", "end"], l'
}

@test "a log that is removed, or replaced, while a run goes on is a failure" {
	module extra/a.ko
	module extra/b.ko
	meanwhile 1 rm LOG
	warns '^kernel-sign: LOG: removed or replaced while this run went on: what it has said is lost$'
	rm passphrase
	ks 0 unsign "${here[@]}"
	meanwhile 1 sed -i 's/begin/began/' LOG
	warns '^kernel-sign: LOG: removed or replaced while'
	[ "$(wc -l <LOG)" = 1 ]
}

@test "once the log is full no other module is touched, and no half line is left" {
	local i room
	for i in {1..9}; do
		module "extra/m$i.ko"
	done
	# Room for the begin, and two lines and a half.
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	room=$(($(head -n 3 LOG | wc -c) + 100))
	ks 0 unsign "${here[@]}"
	head -c $((1048576 - room)) /dev/zero | tr '\0' '\n' >LOG
	run --separate-stderr bash -c 'ulimit -f 1024 && exec "$@"' - "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --log LOG -j 1
	ended 1
	warns '^kernel-sign: LOG: write: '
	blames m9.ko 'not touched, the log cannot be written$'
	is_plain "$tree/extra/m9.ko"
	is_signed "$tree/extra/m1.ko"
	tr -s '\n' <LOG | sed '/^$/d' >lines
	mv lines LOG
	log 'assert [o["event"] for o in l] == ["begin", "module", "module"], l'
}

@test "behind a line that could not be written there is none: what has its end is whole" {
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	# Room for the begin, and all but ten bytes of the module's line, but for an end.
	room=$(($(head -n 2 LOG | wc -c) - 10))
	ks 0 unsign "${here[@]}"
	head -c $((1048576 - room)) /dev/zero | tr '\0' '\n' >LOG
	run --separate-stderr bash -c 'ulimit -f 1024 && exec "$@"' - "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --log LOG
	ended 1
	warns '^kernel-sign: LOG: write: File too large$'
	is_signed "$tree/extra/a.ko"
	sed -i '/^$/d' LOG
	log 'assert [o["event"] for o in l] == ["begin"], l'
}

@test "half a line that somebody left does not swallow ours" {
	module extra/a.ko
	printf '{"time":"2026' >LOG
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	sed -i 1d LOG
	log 'assert [o["event"] for o in l] == ["begin", "module", "end"], l'
}

@test "a module whose copy in DKMS's tree could not follow has its signers in the log" {
	dkms_installs m a.ko
	echo text >"$copies/a.ko"
	ks 1 sign "${here[@]}" "${key[@]}" --log LOG
	log '
assert l[1]["result"] == "failed" and "DKMS" in l[1]["error"], l
assert [s["subject"] for s in l[1]["signers"]] == ["CN=the rsa key"] and len(l[1]["digest"]) == 64, l'
}

@test "the end has the exit status and the first error, also of a run that got nowhere" {
	local end='[(o["result"], o["status"], o["error"]) for o in l if o["event"] == "end"]'
	module extra/a.ko
	ks 0 sign "${here[@]}" "${key[@]}" --log LOG
	ks 1 sign "${here[@]}" --key none --log LOG
	log "assert $end == [
    ('1 signed, 0 failed, of 1 modules', 0, None),
    ('0 failed, of 0 modules', 1, 'none: open: No such file or directory')], l"
	rm LOG
	mkdir empty
	openssl rsa -in "$KEYS/rsa.key" -aes256 -passout pass:sesame -out locked.key 2>/dev/null
	chmod 600 locked.key
	KBUILD_SIGN_PIN=oh-5ecret ks 1 sign "${here[@]}" --key locked.key --cert "$KEYS/rsa.pem" --log LOG
	ks 1 sign -d empty "${key[@]}" --log LOG
	KERNEL_SIGN_KEY='pkcs11:token=nowhere;object=y?pin-value=oh-5ecret' OPENSSL_MODULES=$PWD OPENSSL_ENGINES=$PWD \
		ks 1 sign "${here[@]}" --force --log LOG
	# A warning is no error, and what failed first is said.
	echo broken >"$tree/extra/b.ko"
	chmod 644 locked.key
	KBUILD_SIGN_PIN=sesame ks 1 sign "${here[@]}" --key locked.key --cert "$KEYS/rsa.pem" --log LOG
	log "e = $end
assert e[0][2] == 'locked.key: the private key does not open with the passphrase in KBUILD_SIGN_PIN', e
assert e[1][2] == 'no module file (.ko, .ko.gz, .ko.xz, .ko.zst) in empty', e
assert e[2][2].startswith('pkcs11:token=nowhere;object=y?pin-value=...: '), e
assert '/b.ko: ' in e[3][2] and b'5ecret' not in raw, e"
}

@test "a log without a name is a wrong usage" {
	ks 2 sign "${here[@]}" "${key[@]}" --log ''
	warns '^kernel-sign: --log: no file is named$'
	ks 2 unsign "${here[@]}" --log ''
}

@test "runs at the same time tear no line" {
	local i
	for i in {1..40}; do
		module "extra/m$i.ko"
		module "updates/m$i.ko"
	done
	for i in {1..4}; do
		"$KERNEL_SIGN" sign --root "$root" -d "/lib/modules/$V/extra" "${key[@]}" --force --log LOG >/dev/null &
		"$KERNEL_SIGN" sign --root "$root" -d "/lib/modules/$V/updates" "${key[@]}" --force --log LOG >/dev/null &
	done
	wait
	log '
assert len([o for o in l if o["event"] == "end"]) == 8, len(l)
runs = {}
for o in l: runs.setdefault(o["pid"], []).append(o["event"])
assert all(r == ["begin"] + ["module"] * 40 + ["end"] for r in runs.values()) and len(runs) == 8, runs'
}

@test "names of any bytes are one line, and no passphrase is in it" {
	module $'extra/new\nline.ko'
	module $'extra/\xff.ko'
	openssl rsa -in "$KEYS/rsa.key" -aes256 -passout pass:sesame -out locked.key 2>/dev/null
	chmod 600 locked.key
	KBUILD_SIGN_PIN=sesame ks 0 sign "${here[@]}" --key locked.key --cert "$KEYS/rsa.pem" --log LOG
	log '
assert [o["path"].rsplit("/", 1)[1] for o in l[1:-1]] == ["new\\x0aline.ko", "\\xff.ko"], l
assert b"sesame" not in raw and b"PRIVATE" not in raw'
}

@test "several keys are several signers" {
	module extra/a.ko
	ks 0 sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --key "$KEYS/ec.key" --cert "$KEYS/ec.pem" --log LOG
	log 'assert [s["subject"] for s in l[1]["signers"]] == ["CN=the rsa key", "CN=the ec key"], l'
}

# --- the system's log: a socket /dev/log of our own, in a mount namespace of our own

# observed ARGUMENT...: runs kernel-sign where /dev/log is ours; what came there is in said, $status
# is its exit status.
observed() {
	unshare -m true 2>/dev/null || skip "no mount namespace can be made here"
	status=0
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare -m bash -c '
		set -e
		mount --make-rprivate /
		mkdir -p dev
		mount -t tmpfs none dev
		for name in null zero full random urandom; do
			: >"dev/$name"
			mount --bind "/dev/$name" "dev/$name"
		done
		ln -s /proc/self/fd dev/fd
		mount --rbind dev /dev
		exec python3 - "$@"' - "$KERNEL_SIGN" "$@" <<-'END' || status=$?
		import socket, subprocess, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/dev/log")
		status = subprocess.run(sys.argv[1:], stdout=open("out", "w"), stderr=subprocess.STDOUT).returncode
		s.setblocking(False)
		with open("said", "wb") as file:
		    while True:
		        try: file.write(s.recv(65536).rstrip(b"\0\n") + b"\n")
		        except BlockingIOError: break
		sys.exit(status)
	END
	cat out
}

@test "one line in the system's log for a run that changed this system" {
	module "$PWD/m/a.ko"
	module "$PWD/m/b.ko"
	observed sign -d m "${key[@]}"
	[ "$status" = 0 ]
	cat said
	[ "$(wc -l <said)" = 1 ]
	# authpriv (10), notice (5)
	grep -qE "^<85>.* kernel-sign\[[0-9]+\]: sign: 2 signed, 0 failed, of 2 modules; by uid $(id -u) \($(id -un)\)" said
	echo broken >m/b.ko
	observed unsign -d m
	[ "$status" = 1 ]
	# err (3)
	grep -qE "^<83>.*: unsign: 1 unsigned, 1 failed, of 2 modules; by uid" said
}

@test "no line where nothing was changed, in a dry run, or with --root" {
	module "$PWD/m/a.ko"
	module extra/a.ko
	observed sign -d m "${key[@]}" -n
	[ "$status" = 0 ]
	[ ! -s said ]
	observed sign "${here[@]}" "${key[@]}"
	[ "$status" = 0 ]
	[ ! -s said ]
	ks 0 sign -d m "${key[@]}"
	observed sign -d m "${key[@]}"
	[ "$status" = 0 ]
	[ ! -s said ]
}
