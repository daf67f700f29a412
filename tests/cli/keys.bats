#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# The key: where it is looked for, which hash goes with it, and what can be wrong with it.

load common

setup_file() {
	make_fixtures
	local name
	for name in option store environment config config-store kernel dkms shim akmods build; do
		certify "at-$name" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1
	done
}

setup() {
	start_test
	module extra/a.ko
}

# --- the places, in their order

# put NAME KEY CERT: the pair at-NAME, in the root.
put() {
	mkdir -p "$root${2%/*}" "$root${3%/*}"
	cp "$KEYS/at-$1.key" "$root$2"
	cp "$KEYS/at-$1.der" "$root$3"
}

# store NAME DIRECTORY: a key store as genkeys makes it.
store() {
	mkdir -p "$2/20260101-0000"
	cat "$KEYS/at-$1.key" "$KEYS/at-$1.pem" >"$2/20260101-0000/signing_key.pem"
	chmod 600 "$2/20260101-0000/signing_key.pem"
	cp "$KEYS/at-$1.der" "$2/20260101-0000/signing_crt.crt"
	ln -s 20260101-0000 "$2/current"
}

config() {
	mkdir -p "$root/etc"
	printf '%s\n' "$@" >"$root/etc/kernel-sign.conf"
}

# places FROM: a key in every place from that one on, in the order of the search.
places() {
	case $1 in
	environment)
		export KERNEL_SIGN_KEY=$KEYS/at-environment.key KERNEL_SIGN_CERT=$KEYS/at-environment.pem
		places config
		;;
	config)
		put config /etc/keys/it.key /etc/keys/it.der
		store config-store "$root/srv/keys"
		config key=/etc/keys/it.key cert=/etc/keys/it.der keys=/srv/keys
		places kernel
		;;
	kernel)
		mkdir -p "$root/usr/src/headers"
		ln -s ../../../usr/src/headers "$tree/build"
		store kernel "$root/usr/src/headers/certs-local"
		places dkms
		;;
	dkms)
		put dkms /var/lib/dkms/mok.key /var/lib/dkms/mok.pub
		places shim
		;;
	shim)
		put shim /var/lib/shim-signed/mok/MOK.priv /var/lib/shim-signed/mok/MOK.der
		places akmods
		;;
	akmods)
		put akmods /etc/pki/akmods/private/private_key.priv /etc/pki/akmods/certs/public_key.der
		places build
		;;
	build)
		put build "/lib/modules/$V/build/certs/signing_key.pem" \
			"/lib/modules/$V/build/certs/signing_key.x509"
		;;
	esac
}

# signs_with NAME WHY [OPTION...]
signs_with() {
	local name=$1 why=$2
	shift 2
	ks 0 sign "${here[@]}" --hash sha256 -v "$@"
	is_signed "$tree/extra/a.ko" "at-$name"
	warns "^kernel-sign: key .* \(from $why\), certificate .* \"the at-$name key\"\$"
}

@test "--key and --cert come first" {
	places environment
	signs_with option 'the command line' --key "$KEYS/at-option.key" --cert "$KEYS/at-option.pem"
}

@test "--keys, a key store, comes first too" {
	places environment
	store store "$PWD/keys"
	signs_with store 'the command line' --keys "$PWD/keys"
}

@test "KERNEL_SIGN_KEY and KERNEL_SIGN_CERT come next" {
	places environment
	signs_with environment 'the environment'
}

@test "key and cert in the configuration file come next" {
	places config
	signs_with config 'the configuration file'
}

@test "keys, a key store in the configuration file, comes next" {
	places config
	config keys=/srv/keys
	signs_with config-store 'the configuration file'
}

@test "build/certs-local/current of the kernel comes next" {
	places kernel
	signs_with kernel "the kernel's own key"
	# As packages make it: a link from the root on.
	ln -sfn /usr/src/headers "$tree/build"
	signs_with kernel "the kernel's own key" --force
}

@test "DKMS's key comes next" {
	places dkms
	signs_with dkms 'the key of DKMS'
}

@test "the machine owner key of shim comes next" {
	places shim
	signs_with shim 'the machine owner key of shim'
}

@test "the key of akmods comes next" {
	places akmods
	signs_with akmods 'the key of akmods'
}

@test "the key of the kernel's build tree comes last" {
	places build
	signs_with build "the kernel's own key"
}

@test "every kernel has its own key" {
	places kernel
	module "$root/lib/modules/5.0/extra/a.ko"
	mkdir "$root/lib/modules/5.0/build"
	store store "$root/lib/modules/5.0/build/certs-local"
	ks 0 sign --root "$root" -k all --hash sha256
	is_signed "$tree/extra/a.ko" at-kernel
	is_signed "$root/lib/modules/5.0/extra/a.ko" at-store
}

@test "only options and the environment name files of the host" {
	places kernel
	config "key=$KEYS/at-config.key" "cert=$KEYS/at-config.pem"
	ks 1 sign "${here[@]}"
	blames at-config.key 'No such file'
	is_plain "$tree/extra/a.ko"
	rm "$root/etc/kernel-sign.conf"
	# A link out of the root leads nowhere.
	rm "$root/usr/src/headers/certs-local/current"
	store store "$PWD/outside"
	ln -s "$PWD/outside/current" "$root/usr/src/headers/certs-local/current"
	signs_with dkms 'the key of DKMS'
}

@test "an empty variable is as good as none" {
	places config
	export KERNEL_SIGN_KEY='' KERNEL_SIGN_CERT=''
	signs_with config 'the configuration file'
}

@test "a certificate without a key is an error" {
	places dkms
	ks 1 sign "${here[@]}" --cert "$KEYS/rsa.pem"
	warns 'the command line names a certificate without a key'
	KERNEL_SIGN_CERT=$KEYS/rsa.pem ks 1 sign "${here[@]}"
	warns 'the environment names a certificate without a key'
	config cert=/x
	ks 1 sign "${here[@]}"
	warns 'the configuration file names a certificate without a key'
	is_plain "$tree/extra/a.ko"
}

# --- the configuration file

@test "the configuration file takes blanks, comments and DOS line ends" {
	put config /k /c
	printf '# comment\n\n  key =  /k \r\n\tcert=/c\n#hash=md4\n hash = sha384' >"$tree/conf"
	mkdir -p "$root/etc"
	mv "$tree/conf" "$root/etc/kernel-sign.conf"
	ks 0 sign "${here[@]}"
	is_signed "$tree/extra/a.ko" at-config sha384
}

@test "a fault in the configuration file is named with its line, and nothing is signed" {
	put config /k /c
	config key=/k cert=/c '' 'passphrase = secret'
	ks 1 sign "${here[@]}"
	blames /etc/kernel-sign.conf "line 4: unknown setting 'passphrase'"
	config key=/k 'cert /c'
	ks 1 sign "${here[@]}"
	blames /etc/kernel-sign.conf "line 2: no '='"
	config key=/k cert=
	ks 1 sign "${here[@]}"
	blames /etc/kernel-sign.conf "line 2: 'cert' has no value"
	is_plain "$tree/extra/a.ko"
	printf 'key=/k\0\n' >"$root/etc/kernel-sign.conf"
	ks 1 sign "${here[@]}"
	blames /etc/kernel-sign.conf 'zero byte'
	rm "$root/etc/kernel-sign.conf"
	mkdir "$root/etc/kernel-sign.conf"
	ks 1 sign "${here[@]}"
	blames /etc/kernel-sign.conf 'a directory'
	is_plain "$tree/extra/a.ko"
}

@test "settings of DKMS's are words out of a list, and any other is a fault" {
	local line
	put config /k /c
	for line in dkms-key=dkms 'dkms-key = kernel' dkms-gate=refuse $'dkms-gate\t=\twarn' dkms-gate=off; do
		config key=/k cert=/c hash=sha256 "$line"
		ks 0 sign "${here[@]}" --force
		is_signed "$tree/extra/a.ko" at-config
	done
	config key=/k cert=/c dkms-key=Kernel
	ks 1 sign "${here[@]}" --force
	blames /etc/kernel-sign.conf "line 3: 'dkms-key' cannot be 'Kernel'"
	config dkms-key=refuse
	ks 1 sign "${here[@]}" --force
	blames /etc/kernel-sign.conf "line 1: 'dkms-key' cannot be 'refuse'"
	config '' 'dkms-gate = warn # or not'
	ks 1 sign "${here[@]}" --force
	blames /etc/kernel-sign.conf "line 2: 'dkms-gate' cannot be 'warn # or not'"
	config dkms-gate=
	ks 1 sign "${here[@]}" --force
	blames /etc/kernel-sign.conf "line 1: 'dkms-gate' has no value"
	config dkms-gates=off
	ks 1 sign "${here[@]}" --force
	blames /etc/kernel-sign.conf "line 1: unknown setting 'dkms-gates'"
}

@test "status and unsign need no configuration file" {
	config nonsense
	ks 0 status "${here[@]}"
	ks 0 unsign "${here[@]}"
}

# --- the hash

@test "the hash: option, configuration file, khash, the kernel's config, sha512" {
	store kernel "$root/keys"
	echo sha384 >"$root/keys/current/khash"
	mkdir "$tree/build"
	echo 'CONFIG_MODULE_SIG_HASH="sha3-256"' >"$tree/build/.config"
	config keys=/keys hash=sha224
	key=(--key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem")

	ks 0 sign "${here[@]}" -v --hash sha256
	warns 'hash sha256 \(from the command line\)'
	is_signed "$tree/extra/a.ko" at-kernel sha256
	ks 0 sign "${here[@]}" -v
	warns 'hash sha224 \(from the configuration file\)'
	config keys=/keys
	ks 0 sign "${here[@]}" -v
	warns 'hash sha384 \(from /keys/current/khash\)'
	is_signed "$tree/extra/a.ko" at-kernel sha384
	rm "$root/keys/current/khash"
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns "hash sha3-256 \(from /lib/modules/$V/build/.config\)"
	is_signed "$tree/extra/a.ko" rsa sha3-256
	rm "$tree/build/.config"
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns 'hash sha512 \(from the default\)'
	is_signed "$tree/extra/a.ko" rsa sha512
}

@test "the kernel's config: .config, auto.conf, config, /boot/config, the first that says it" {
	key=(--key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem")
	mkdir -p "$tree/build/include/config" "$root/boot"
	echo '# CONFIG_MODULE_SIG_HASH is not set' >"$tree/build/.config"
	echo 'CONFIG_MODULE_SIG_HASH="sha256"' >"$tree/build/include/config/auto.conf"
	echo 'CONFIG_MODULE_SIG_HASH="sha384"' >"$tree/config"
	printf 'CONFIG_MODULE_SIG_HASH="sha1"\nCONFIG_MODULE_SIG_HASH="sha512"' >"$root/boot/config-$V"
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns "hash sha256 \(from /lib/modules/$V/build/include/config/auto.conf\)"
	rm "$tree/build/include/config/auto.conf"
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns "hash sha384 \(from /lib/modules/$V/config\)"
	rm "$tree/config"
	ks 0 sign "${here[@]}" "${key[@]}" -v
	warns "hash sha512 \(from /boot/config-$V\)"
}

@test "khash beside a key that options name is a file of the host" {
	mkdir keys
	cp "$KEYS/rsa.key" "$KEYS/rsa.pem" keys
	echo 'sha384 of some kind' >keys/khash
	ks 0 sign "${here[@]}" --key keys/rsa.key --cert keys/rsa.pem
	is_signed "$tree/extra/a.ko" rsa sha384
	cd keys
	ks 0 sign "${here[@]}" --key rsa.key --cert rsa.pem --force
	is_signed "$tree/extra/a.ko" rsa sha384
}

# --- warnings: it signs all the same

@test "a private key that others may read: a warning" {
	cp "$KEYS/rsa.key" open.key
	chmod 644 open.key
	ks 0 sign "${here[@]}" --key open.key --cert "$KEYS/rsa.pem" --hash sha256
	warns 'warning: open.key: the private key is open to others \(mode 0644'
	is_signed "$tree/extra/a.ko"
	chmod 600 open.key
	ks 0 sign "${here[@]}" --key open.key --cert "$KEYS/rsa.pem" --hash sha512
	[ -z "$stderr" ]
}

@test "akmods' key, which its group may read: no warning, unless permissions are strict" {
	local akmods=$root/etc/pki/akmods
	mkdir -p "$akmods"/{private,certs}
	cp "$KEYS/rsa.key" "$akmods/private/host.priv"
	ln -s host.priv "$akmods/private/private_key.priv"
	cp "$KEYS/rsa.der" "$akmods/certs/public_key.der"
	chmod 640 "$akmods/private/host.priv"
	chmod 750 "$akmods/private"
	chgrp 12345 "$akmods/private" "$akmods/private/host.priv" 2>/dev/null || skip "needs root, for a group of others"
	ks 0 sign "${here[@]}" --hash sha256
	[ -z "$stderr" ]
	is_signed "$tree/extra/a.ko"
	echo 'key-permissions = strict' >"$root/etc/kernel-sign.conf"
	ks 1 sign "${here[@]}" --hash sha512
	warns 'private_key.priv: the private key is open to its group \(mode 0640; chmod 600 it, unless akmods builds by it\)$'
	rm "$root/etc/kernel-sign.conf"
	chmod 755 "$akmods/private"
	ks 0 sign "${here[@]}" --hash sha512
	warns 'warning: .*private_key.priv: the private key is open to others \(mode 0640'
}

@test "a private key that others may write to, or replace: refused" {
	mkdir shared
	cp "$KEYS/rsa.key" shared/open.key
	chgrp 12345 shared/open.key shared 2>/dev/null || skip "needs root, for a group of others"
	for mode in 602 620 666; do
		chmod "$mode" shared/open.key
		refuses "others can write to the private key \\(mode 0$mode" shared/open.key \
			--key shared/open.key --cert "$KEYS/rsa.pem"
	done
	chmod 600 shared/open.key
	for mode in 777 702 770; do
		chmod "$mode" shared
		refuses "others can replace the private key \\(/.*/shared has mode 0$mode; chmod go-w it\\)\$" shared/open.key \
			--key shared/open.key --cert "$KEYS/rsa.pem"
	done
	# Where nobody takes away what is another's, as in /tmp, and where the group is root's.
	chmod 1777 shared
	ks 0 sign "${here[@]}" --key shared/open.key --cert "$KEYS/rsa.pem" --hash sha256
	[ -z "$stderr" ]
	chgrp 0 shared
	chmod 770 shared
	ks 0 sign "${here[@]}" --key shared/open.key --cert "$KEYS/rsa.pem" --hash sha512
	[ -z "$stderr" ]
}

# Each way on which others could lead the program to a key of theirs: what is to blame, and its mode.
# way PATTERN OPTION...
way() {
	refuses "others can replace the private key \\($1; chmod go-w it\\)\$" "$2" "${@:3}"
}

@test "others can write to a directory farther up, or to that of a link: refused" {
	mkdir -p up/in links
	cat "$KEYS/rsa.key" "$KEYS/rsa.pem" >up/in/key.pem
	chmod 600 up/in/key.pem
	ln -s ../up/in/key.pem links/key.pem
	ln -s links way
	chmod 757 up
	way '/.*/up has mode 0757' up/in/key.pem --key up/in/key.pem
	chmod 755 up
	chmod 703 links
	ks 0 sign "${here[@]}" --hash sha256 --key up/in/key.pem
	[ -z "$stderr" ]
	way '/.*/links has mode 0703' links/key.pem --key links/key.pem
	way '/.*/links has mode 0703' way/key.pem --key way/key.pem
	KERNEL_SIGN_KEY=$PWD/way/key.pem way '/.*/links has mode 0703' way/key.pem
	chmod 1707 links
	ks 0 sign "${here[@]}" --hash sha512 --key way/key.pem
	[ -z "$stderr" ]
	# As sign-file it is only said.
	chmod 707 links
	ks 0 sign-file sha256 way/key.pem way/key.pem "$tree/extra/a.ko"
	warns 'warning: way/key.pem: others can replace the private key \(/.*/links has mode 0707'
}

@test "others can write to the directory that holds a store's current: refused" {
	store store keys
	chmod 777 keys
	way '/.*/keys has mode 0777' keys/current/signing_key.pem --keys keys
	chmod 755 keys
	chmod 707 keys/2*
	way '/.*/keys/20260101-0000 has mode 0707' keys/current/signing_key.pem --keys keys
	rm -r keys
	places kernel
	chmod 777 "$root/usr/src/headers/certs-local"
	way '/usr/src/headers/certs-local has mode 0777' "/lib/modules/$V/build/certs-local/current/signing_key.pem"
	chmod 755 "$root/usr/src/headers/certs-local"
	chmod 777 "$root/usr/src"
	way '/usr/src has mode 0777' "/lib/modules/$V/build/certs-local/current/signing_key.pem"
	chmod 755 "$root/usr/src"
	store config-store "$root/srv/keys"
	config keys=/srv/keys
	chmod 777 "$root/srv/keys"
	way '/srv/keys has mode 0777' /srv/keys/current/signing_key.pem
	# What is above the root is not the root's.
	chmod 755 "$root/srv/keys"
	chmod 777 "$BATS_TEST_TMPDIR"
	ks 0 sign "${here[@]}" --hash sha256
	[ -z "$stderr" ]
	chmod 755 "$BATS_TEST_TMPDIR"
}

@test "a directory or a link of another user on the way: a warning, under strict refused" {
	local up=$BATS_TEST_TMPDIR/his
	mkdir -p his/in sticky
	cat "$KEYS/rsa.key" "$KEYS/rsa.pem" >his/in/key.pem
	chmod 600 his/in/key.pem
	chmod 1777 sticky
	ln -s ../his/in/key.pem sticky/key.pem
	chown 12345 his 2>/dev/null || skip "needs root, for another user"
	ks 0 sign "${here[@]}" --hash sha256 --key his/in/key.pem
	warns "^kernel-sign: warning: his/in/key.pem: another user can replace the private key \\($up belongs to user 12345\\)\$"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	config 'key-permissions = strict'
	refuses "another user can replace the private key \\($up belongs to user 12345\\)" his/in/key.pem --key his/in/key.pem
	chown 0 his
	chown 12345 his/in
	refuses "another user can replace the private key \\($up/in belongs to user 12345\\)" his/in/key.pem --key his/in/key.pem
	chown 0 his/in
	ks 0 sign "${here[@]}" --hash sha512 --key sticky/key.pem
	[ -z "$stderr" ]
	chown -h 12345 sticky/key.pem
	refuses "another user can replace the private key \\(/.*/sticky/key.pem belongs to user 12345\\)" sticky/key.pem \
		--key sticky/key.pem
}

@test "a private key of another user: a warning" {
	cp "$KEYS/rsa.key" foreign.key
	chown 12345 foreign.key 2>/dev/null || skip "needs root, for another user"
	chmod 600 foreign.key
	ks 0 sign "${here[@]}" --key foreign.key --cert "$KEYS/rsa.pem" --hash sha256
	warns 'warning: foreign.key: the private key belongs to another user \(12345'
	is_signed "$tree/extra/a.ko"
}

@test "key-permissions = strict: what would be warned of is refused" {
	cp "$KEYS/rsa.key" open.key
	chmod 644 open.key
	mkdir -p "$root/etc"
	echo 'key-permissions = strict' >"$root/etc/kernel-sign.conf"
	refuses 'the private key is open to others' open.key --key open.key --cert "$KEYS/rsa.pem"
	chmod 600 open.key
	ks 0 sign "${here[@]}" --key open.key --cert "$KEYS/rsa.pem" --hash sha256
	echo 'key-permissions = lax' >"$root/etc/kernel-sign.conf"
	ks 1 sign "${here[@]}" --key open.key --cert "$KEYS/rsa.pem" --hash sha256
	warns "'key-permissions' cannot be 'lax'"
}

@test "sign-file only warns of a key that others may write to" {
	cp "$KEYS/rsa.key" open.key
	chmod 606 open.key
	ks 0 sign-file sha256 open.key "$KEYS/rsa.pem" "$tree/extra/a.ko"
	warns 'warning: open.key: others can write to the private key'
	is_signed "$tree/extra/a.ko"
}

# holds_open PID: it has an unnamed file open, the new module that is about to get its name.
holds_open() { find "/proc/$1/fd" -lname '*(deleted)' 2>/dev/null | grep -q .; }

# caught OPTION...: starts a run that signs with a key that wants a passphrase, and waits until a module
# is about to get its name, which it does not get for some seconds: its tracer, and pid.
caught() {
	local tries=0
	[ "$(id -u)" = 0 ] || skip "needs root: the program lets nobody else look into it"
	openssl pkey -in "$KEYS/rsa.key" -aes256 -passout pass:open-says-me -out locked.key
	chmod 600 locked.key
	KBUILD_SIGN_PIN=open-says-me ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null -e trace=linkat \
		-e inject=linkat:delay_enter=5000000 "$KERNEL_SIGN" sign -q -j1 "$@" --hash sha256 \
		--key locked.key --cert "$KEYS/rsa.pem" 3>&- &
	tracer=$!
	until pid=$(cat "/proc/$tracer/task/$tracer/children") && holds_open "${pid% }"; do
		sleep 0.05
		[ $((tries += 1)) -lt 200 ]
	done
	pid=${pid% }
}

@test "the passphrase is not in the environment of the program that uses it" {
	local tracer pid
	caught "${here[@]}"
	tr '\0' '\n' <"/proc/$pid/environ" >environ
	tr '\0' '\n' <"/proc/$tracer/environ" >environ.tracer
	wait "$tracer"
	grep -q '^PATH=' environ
	grep -q 'open-says-me' environ.tracer
	[ "$(grep -ac 'open-says-me' environ)" = 0 ]
	is_signed "$tree/extra/a.ko"
}

# remembers PID TEXT: for each piece of its memory that has it, whether that is locked: "locked" or "swappable".
remembers() {
	python3 - "$@" <<-'END'
		import re, sys
		pid, text = sys.argv[1], sys.argv[2].encode()
		def content(memory, start, size):
		    """Page by page where there are guard pages, which nobody can read."""
		    memory.seek(start)
		    try: found = memory.read(size)
		    except OSError: found = b""
		    half = size // 8192 * 4096
		    if len(found) == size: return found
		    return content(memory, start, half) + content(memory, start + half, size - half) if half else b""
		with open(f"/proc/{pid}/smaps") as file:
		    areas = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.M)[1:]
		with open(f"/proc/{pid}/mem", "rb", 0) as memory:
		    for area in areas:
		        start, end, mode = re.match("([0-9a-f]+)-([0-9a-f]+) (....)", area).groups()
		        start, size = int(start, 16), int(end, 16) - int(start, 16)
		        # Sanitizers reserve terabytes.
		        if not mode.startswith("rw") or size > 1 << 28:
		            continue
		        if text in content(memory, start, size):
		            print("locked" if " lo" in re.search("^VmFlags:.*", area, re.M)[0] else "swappable")
	END
}

# A sanitizer keeps the environment that the program began with.
is_sanitized() { grep -qa -e __asan_init -e __tsan_init "$KERNEL_SIGN"; }

@test "the passphrase is forgotten as soon as the key is open" {
	local tracer pid
	caught "${here[@]}"
	remembers "$pid" open-says-me >found
	remembers "$pid" locked.key >found.name
	wait "$tracer"
	[ -s found.name ]
	is_sanitized || [ "$(cat found)" = '' ]
	is_signed "$tree/extra/a.ko"
}

@test "kept for the next kernel, the passphrase is where nothing is swapped out" {
	local tracer pid
	caught --root "$root" -k all
	remembers "$pid" open-says-me >found
	wait "$tracer"
	is_sanitized || [ "$(cat found)" = locked ]
	is_signed "$tree/extra/a.ko"
}

@test "a certificate that has expired: a warning" {
	dated 20000101000000Z 20010101000000Z
	ks 0 sign "${here[@]}" --key "$KEYS/rsa.key" --cert dated.pem --hash sha256
	warns 'warning: dated.pem: the certificate has expired'
	KEYS=$PWD is_signed "$tree/extra/a.ko" dated
	[ "$(wc -l <<<"$stderr")" = 1 ]
}

@test "a certificate that is not valid yet: a warning" {
	dated 20400101000000Z 20410101000000Z
	ks 0 sign "${here[@]}" --key "$KEYS/rsa.key" --cert dated.pem --hash sha256
	warns 'warning: dated.pem: the certificate is not valid yet'
	KEYS=$PWD is_signed "$tree/extra/a.ko" dated
}

# --- what keys come in

@test "a key in every encoding" {
	local file n=0
	openssl rsa -in "$KEYS/rsa.key" -traditional -out traditional.pem
	openssl rsa -in "$KEYS/rsa.key" -traditional -outform DER -out traditional.der
	openssl pkcs8 -topk8 -nocrypt -in "$KEYS/rsa.key" -out pkcs8.pem
	openssl pkcs8 -topk8 -nocrypt -in "$KEYS/rsa.key" -outform DER -out pkcs8.der
	cat "$KEYS/rsa.pem" pkcs8.pem >certificate-first.pem
	for file in traditional.pem traditional.der pkcs8.pem pkcs8.der certificate-first.pem; do
		chmod 600 "$file"
		ks 0 sign "${here[@]}" --key "$file" --cert "$KEYS/rsa.der" --hash sha256 --force
		is_signed "$tree/extra/a.ko"
		n=$((n + 1))
	done
	[ "$n" = 5 ]
}

@test "an EC key behind its parameters, as openssl ecparam -genkey writes it" {
	openssl ecparam -name secp384r1 -out parameters
	openssl ec -in "$KEYS/ec.key" -out traditional 2>/dev/null
	cat parameters traditional >ec.key
	chmod 600 ec.key
	grep -q 'BEGIN EC PARAMETERS' ec.key
	openssl pkey -in ec.key -noout
	ks 0 sign "${here[@]}" --key ec.key --cert "$KEYS/ec.pem" --hash sha256
	is_signed "$tree/extra/a.ko" ec
}

@test "key and certificate in one file" {
	cat "$KEYS/rsa.key" "$KEYS/rsa.pem" >both.pem
	chmod 600 both.pem
	ks 0 sign "${here[@]}" --key both.pem --hash sha256
	is_signed "$tree/extra/a.ko"
	KERNEL_SIGN_KEY=both.pem ks 0 sign "${here[@]}" --hash sha512
	is_signed "$tree/extra/a.ko" rsa sha512
}

# refuses CAUSE FILE OPTION...: an error that says FILE and right behind it the cause, before any
# module is touched.
refuses() {
	local cause=$1 file=$2 before
	shift 2
	before=$(manifest "$tree")
	ks 1 sign "${here[@]}" --hash sha256 "$@"
	[ -z "$output" ]
	warns "^kernel-sign: (.*[/ ])?$file: $cause"
	[ "$(manifest "$tree")" = "$before" ]
}

@test "key and certificate of different pairs" {
	refuses '.*ec.pem.*does not belong to the private key' "$KEYS/rsa.key" --key "$KEYS/rsa.key" \
		--cert "$KEYS/ec.pem"
	openssl genrsa -out second.key 2048 2>/dev/null
	chmod 600 second.key
	refuses '.*rsa.pem.*does not belong to the private key' second.key --key second.key --cert "$KEYS/rsa.pem"
}

@test "a PEM file without a key" {
	refuses 'no private key' rsa.pem --key "$KEYS/rsa.pem"
	openssl pkey -in "$KEYS/rsa.key" -pubout -out public.pem
	refuses 'no private key' public.pem --key public.pem --cert "$KEYS/rsa.pem"
}

@test "a key file that is empty, text, a directory, or not there" {
	: >empty.key
	refuses 'no private key' empty.key --key empty.key --cert "$KEYS/rsa.pem"
	echo text >text.key
	refuses 'no private key' text.key --key text.key --cert "$KEYS/rsa.pem"
	mkdir keydir
	refuses 'a directory' keydir --key keydir --cert "$KEYS/rsa.pem"
	refuses 'open: No such file' no.key --key no.key --cert "$KEYS/rsa.pem"
}

@test "a certificate that is missing" {
	refuses 'open: No such file' no.pem --key "$KEYS/rsa.key" --cert no.pem
	refuses 'no certificate' rsa.key --key "$KEYS/rsa.key"
	mkdir -p keys/current
	cp "$KEYS/rsa.key" keys/current/signing_key.pem
	refuses 'open: No such file' keys/current/signing_crt.crt --keys keys
}

@test "a certificate in an unknown encoding" {
	local file
	base64 "$KEYS/rsa.der" >base64.crt
	openssl crl2pkcs7 -nocrl -certfile "$KEYS/rsa.pem" -outform DER -out chain.p7b
	head -c 300 "$KEYS/rsa.der" >cut.der
	sed 's/^-----BEGIN CERT/-----BEGIN TRUST/' "$KEYS/rsa.pem" >renamed.pem
	for file in base64.crt chain.p7b cut.der renamed.pem; do
		refuses 'no certificate in it, neither PEM nor DER' "$file" --key "$KEYS/rsa.key" --cert "$file"
	done
}

@test "an encrypted key without its passphrase, with a wrong one, with the right one" {
	local file
	local -x alone=1
	openssl rsa -in "$KEYS/rsa.key" -traditional -aes128 -passout pass:secret -out traditional.key
	grep -q 'Proc-Type: 4,ENCRYPTED' traditional.key
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout pass:secret -out pkcs8.key
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout pass:secret -outform DER -out pkcs8.der
	chmod 600 traditional.key pkcs8.key pkcs8.der
	for file in traditional.key pkcs8.key pkcs8.der; do
		refuses 'the private key is encrypted; its passphrase or PIN is taken from .*KBUILD_SIGN_PIN' "$file" \
			--key "$file" --cert "$KEYS/rsa.pem" </dev/null
		KBUILD_SIGN_PIN=wrong refuses 'the private key does not open with the passphrase in KBUILD_SIGN_PIN' \
			"$file" --key "$file" --cert "$KEYS/rsa.pem"
		KBUILD_SIGN_PIN='' refuses '.*KBUILD_SIGN_PIN' "$file" --key "$file" --cert "$KEYS/rsa.pem"
		KBUILD_SIGN_PIN=secret ks 0 sign "${here[@]}" --key "$file" --cert "$KEYS/rsa.pem" \
			--hash sha256 --force
		is_signed "$tree/extra/a.ko"
	done
}

@test "a passphrase that is long, or longer than openssl can take" {
	local long
	local -x alone=1
	printf -v long '%1000s' x
	openssl pkcs8 -topk8 -in "$KEYS/rsa.key" -passout "pass:$long" -out long.key
	chmod 600 long.key
	KBUILD_SIGN_PIN=$long ks 0 sign "${here[@]}" --key long.key --cert "$KEYS/rsa.pem" --hash sha256
	is_signed "$tree/extra/a.ko"
	KBUILD_SIGN_PIN=$long$long$long refuses 'the private key does not open' long.key --key long.key \
		--cert "$KEYS/rsa.pem"
}

@test "an unknown hash" {
	local before hash
	before=$(manifest "$tree")
	for hash in nonsense '' sha256x shake128; do
		ks 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem" --hash "$hash"
		warns "^kernel-sign: .*$hash"
	done
	[ "$(manifest "$tree")" = "$before" ]
}

@test "a key that cannot sign modules" {
	certify ed25519 -newkey ed25519
	refuses '.*keys cannot sign modules' ed25519.key --key "$KEYS/ed25519.key" \
		--cert "$KEYS/ed25519.pem"
	certify pss -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048
	refuses '.*keys cannot sign modules' pss.key --key "$KEYS/pss.key" --cert "$KEYS/pss.pem"
}

@test "a private key that we may not read" {
	cp "$KEYS/rsa.key" "$root/closed.key"
	let_nobody_in
	chmod 0 "$root/closed.key"
	not nobody cat "$root/closed.key"
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" --key "$root/closed.key" \
		--cert "$KEYS/rsa.pem" --hash sha256
	ended 1
	blames closed.key 'Permission denied'
	is_plain "$tree/extra/a.ko"
}
