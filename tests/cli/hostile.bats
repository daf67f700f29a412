#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Files, names and trees that somebody made to do harm: one clear line, nothing changed, and memory
# and time that are bounded.  What is merely broken is in bad_input.bats.

load common

LIB=$BATS_TEST_DIRNAME/../lib

setup_file() { make_fixtures; }

setup() {
	start_test
	module extra/a-good.ko
}

# Swappers in the background look for this file.
teardown() { : >"$BATS_TEST_TMPDIR/stop"; }

# ks_within MIB STATUS ARGUMENT...: like ks, and it has to end within two minutes and never have more
# than MIB of memory, as the kernel counted it.
ks_within() {
	local most=$1 wanted=$2
	shift 2
	run --separate-stderr python3 - "$PWD/peak" timeout -k 5 120 "$KERNEL_SIGN" "$@" <<-'END'
		import resource, subprocess, sys
		status = subprocess.run(sys.argv[2:]).returncode
		with open(sys.argv[1], 'w') as file:
		    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10, file=file)
		sys.exit(status)
	END
	ended "$wanted"
	echo "--- peak memory: $(cat peak) MiB"
	# A sanitizer has memory of its own.
	grep -qa -e __asan_init -e __tsan_init "$KERNEL_SIGN" || [ "$(cat peak)" -le "$most" ]
}

# as_is NAME...: all that could have changed of them, below $tree.
as_is() { (cd "$tree" && stat -c '%n %F %i %s %a %u %y %z' -- "$@"); }

# --- decompression bombs

# bomb KIND FILE: a module that goes on with zeros for 10 GiB.  In gzip no byte stands for more than
# 1032, so that file has 10 MiB; the others less than two.
bomb() { python3 "$LIB/bombs.py" "$1" $((10 << 30)) "$2" "$FIXTURES/plain.ko"; }

@test "bombs of 10 GiB: the default limit ends each, with no more memory than it says" {
	bomb gzip "$tree/extra/bomb.ko.gz"
	bomb xz "$tree/extra/bomb.ko.xz"
	bomb zstd "$tree/extra/bomb.ko.zst"
	[ "$(stat -c %s "$tree/extra/bomb.ko.gz")" -lt $((11 << 20)) ]
	[ "$(stat -c %s "$tree/extra/bomb.ko.xz")" -lt $((2 << 20)) ]
	[ "$(stat -c %s "$tree/extra/bomb.ko.zst")" -lt $((1 << 20)) ]
	[ "$(xz -l --robot "$tree/extra/bomb.ko.xz" | awk '$1 == "file" { print $5 }')" = $((10 << 30)) ]
	before=$(as_is extra/bomb.ko.{gz,xz,zst})
	ks_within 1200 1 sign "${here[@]}" "${key[@]}" -j 1
	blames bomb.ko.gz 'gzip: content larger than the limit of 1073741824 bytes \(--max-size\)'
	blames bomb.ko.xz 'xz: content larger than the limit of 1073741824 bytes'
	blames bomb.ko.zst 'zstd: content larger than the limit of 1073741824 bytes'
	[ "$(wc -l <<<"$stderr")" = 3 ]
	[ "$(as_is extra/bomb.ko.{gz,xz,zst})" = "$before" ]
	is_signed "$tree/extra/a-good.ko"
	no_litter
}

@test "bombs, every command that reads modules" {
	local kind suffix command
	for kind in gzip:.gz xz:.xz zstd:.zst; do
		suffix=${kind#*:}
		bomb "${kind%:*}" "$tree/extra/bomb.ko$suffix"
		before=$(as_is "extra/bomb.ko$suffix")
		for command in unsign:1 status:1 verify:4; do
			ks_within 200 "${command#*:}" "${command%:*}" --root "$root" --max-size 64M \
				"/lib/modules/$V/extra/bomb.ko$suffix"
			blames "bomb.ko$suffix" 'larger than the limit of 67108864 bytes'
			[ "$(wc -l <<<"$stderr")" = 1 ]
		done
		[ "$(as_is "extra/bomb.ko$suffix")" = "$before" ]
	done
}

@test "what bombs.py makes is what it says" {
	local kind suffix
	{
		cat "$FIXTURES/plain.ko"
		head -c $(((32 << 20) - $(stat -c %s "$FIXTURES/plain.ko"))) /dev/zero
	} >wanted
	for kind in gzip:.gz xz:.xz zstd:.zst; do
		suffix=${kind#*:}
		python3 "$LIB/bombs.py" "${kind%:*}" $((32 << 20)) "m.ko$suffix" "$FIXTURES/plain.ko"
		unpack "m.ko$suffix" | cmp - wanted
		cp "m.ko$suffix" "$tree/extra/"
	done
	# So it is the size alone that the others are refused for.
	ks 0 sign "${here[@]}" "${key[@]}"
	says '^4 signed'
}

@test "a sparse module of 4 GiB is not even opened" {
	local name
	for name in m.ko m.ko.gz m.ko.xz m.ko.zst; do
		pack "$name" <"$FIXTURES/plain.ko" >"$tree/extra/$name"
		truncate -s 4G "$tree/extra/$name"
	done
	before=$(as_is extra/m.ko{,.gz,.xz,.zst})
	ks_within 100 1 sign "${here[@]}" "${key[@]}" -j 1
	for name in m.ko m.ko.gz m.ko.xz m.ko.zst; do
		blames "$name" '4294967296 bytes, more than the limit of 1073741824'
	done
	is_signed "$tree/extra/a-good.ko"
	ks_within 100 1 unsign "${here[@]}"
	ks_within 100 1 status "${here[@]}" --all
	ks_within 100 4 verify "${here[@]}" -d "/lib/modules/$V/extra"
	[ "$(as_is extra/m.ko{,.gz,.xz,.zst})" = "$before" ]
	no_litter
}

@test "sparse files of 4 GiB in the place of everything else that is read" {
	local file
	module updates/b.ko
	for file in etc/kernel-sign.conf "lib/modules/$V/modules.order" "boot/config-$V"; do
		mkdir -p "$(dirname "$root/$file")"
		rm -f "$root/$file"
		truncate -s 4G "$root/$file"
		# A huge kernel config is passed over, since another may do: what counts is the memory.
		run ks_within 100 0 sign --root "$root" -k "$V" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem"
		grep -qa -e __asan_init -e __tsan_init "$KERNEL_SIGN" || [ "$(cat peak)" -le 100 ]
		rm "$root/$file"
	done
	: >"$tree/modules.order"
	truncate -s 4G key cert
	chmod 600 key
	ks_within 100 1 sign "${here[@]}" --key key --cert "$KEYS/rsa.pem" --hash sha256 --force
	blames key 'more than the limit'
	ks_within 100 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert cert --hash sha256 --force
	blames cert 'more than the limit'
	ks_within 100 1 sign-file sha256 key "$KEYS/rsa.pem" "$FIXTURES/plain.ko" dest
	ks_within 100 1 sign-file -s cert sha256 "$KEYS/rsa.pem" "$FIXTURES/plain.ko" dest
	[ ! -e dest ]
}

@test "bombs as a kernel's image" {
	local kind
	mkdir -p "$root/boot"
	for kind in gzip xz zstd; do
		# EFI zboot (Linux drivers/firmware/efi/libstub/zboot-header.S): "MZ", "zimg", offset, size.
		bomb "$kind" payload
		python3 - "$kind" payload "$root/boot/vmlinuz-$V" <<-'END'
			import struct, sys
			data = open(sys.argv[2], 'rb').read()
			name = {'xz': b'xzkern', 'zstd': b'zstd22'}.get(sys.argv[1], b'gzip')
			head = b'MZ\0\0zimg' + struct.pack('<II', 64, len(data)) + bytes(8) + name.ljust(8, b'\0')
			open(sys.argv[3], 'wb').write(head.ljust(64, b'\0') + data)
		END
		before=$(identity "$root/boot/vmlinuz-$V")
		ks_within 1200 0 trust "${here[@]}"
		blames "vmlinuz-$V" "$kind: content larger than the limit of 1073741824 bytes"
		[ "$(identity "$root/boot/vmlinuz-$V")" = "$before" ]
	done
}

# --- many files, deep trees

# crowd COUNT NAME COMMAND: COUNT files in many/, NAME with a number in the place of %d, made by COMMAND,
# a line of python with `path`.
crowd() {
	mkdir -p many
	python3 -c "
import os, sys
os.chdir('many')
for i in range(int(sys.argv[1])):
    path = sys.argv[2] % i
    $3" "$1" "$2"
}

@test "100,000 files in a directory, none of them a module" {
	crowd 100000 'file-%d' 'open(path, "x").close()'
	cp "$FIXTURES/plain.ko" many/m.ko
	ks_within 100 0 sign "${key[@]}" -d many
	says '^1 signed'
	is_signed many/m.ko
	ks_within 100 0 status -d many
	says '^m .*unknown signer'
	ks_within 100 0 unsign -d many
	is_plain many/m.ko
	[ "$(find many -type f | wc -l)" = 100001 ]
}

@test "100,000 bad modules in a directory: a line each, the good one is signed" {
	crowd 100000 'x%d.ko' 'open(path, "x").close()'
	cp "$FIXTURES/plain.ko" many/y.ko
	ks_within 250 1 sign "${key[@]}" -d many
	[ "$(wc -l <<<"$stderr")" = 100000 ]
	says '^1 signed, 100000 failed, of 100001 modules$'
	is_signed many/y.ko
	ks_within 250 1 status -d many
	[ "$(grep -c ': an empty file$' <<<"$stderr")" = 100000 ]
	[ "$(find many -type f -size 0 | wc -l)" = 100000 ]
}

@test "100,000 links to one module: it is signed once" {
	cp "$FIXTURES/plain.ko" target.ko
	crowd 100000 'x%d.ko' 'os.symlink("../target.ko", path)'
	ks_within 250 0 sign "${key[@]}" -d many
	says '^1 signed, 0 failed, of 1 modules$'
	is_signed target.ko
	ks_within 250 0 status -d many
	[ "$(find many -type l | wc -l)" = 100000 ]
}

@test "directories nested as deep as a path is long" {
	local deep
	deep=$(python3 - "$tree/extra" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for i in range(3000):
		    os.mkdir('d')
		    os.chdir('d')
	END
	)
	[ -z "$deep" ]
	# The soft limit of most systems; a descriptor for each level would be one too many.
	ulimit -S -n 1024
	ks_within 200 1 sign "${here[@]}" "${key[@]}"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns '^kernel-sign: /lib/modules/.*/d/d/d.*: '
	is_signed "$tree/extra/a-good.ko"
	ks_within 200 1 status "${here[@]}"
}

# --- names

@test "names of control bytes, invalid UTF-8 and 255 bytes: signed, shown, unsigned" {
	local long name count
	printf -v long '%0252d' 0
	local names=($'new\nline.ko' $'\e]0;title\a\e[2J.ko.xz' $'\xff\xfe\xc3.ko.zst' $'\xed\xa0\x80.ko'
		' .ko' '-n.ko' '--root.ko.gz' '*?[].ko' "'\".ko" $'\r.ko' "${long}.ko" "${long:3}.ko.xz")
	rm "$tree/extra/a-good.ko"
	for name in "${names[@]}"; do
		module "extra/$name"
	done
	[ "$(find "$tree/extra" -name "${long}.ko" | wc -l)" = 1 ]
	count=${#names[@]}
	ks 0 sign "${here[@]}" "${key[@]}"
	says "^$count signed, 0 failed, of $count modules"
	[ "$(wc -l <<<"$output")" = $((count + 1)) ]
	[ -z "$stderr" ]
	not grep -qP '[\x00-\x08\x0b-\x1f\x7f-\xff]' <<<"$output"
	for name in "${names[@]}"; do
		is_signed "$tree/extra/$name"
	done
	ks 0 status "${here[@]}"
	not grep -qP '[\x00-\x08\x0b-\x1f\x7f-\xff]' <<<"$output"
	ks 0 verify "${here[@]}" --cert "$KEYS/rsa.pem" -d "/lib/modules/$V/extra"
	not grep -qP '[\x00-\x08\x0b-\x1f\x7f-\xff]' <<<"$output"
	for name in "${names[@]}"; do
		ks 0 sign --root "$root" "${key[@]}" --force -- "/lib/modules/$V/extra/$name"
		is_signed "$tree/extra/$name"
	done
	ks 0 unsign "${here[@]}"
	for name in "${names[@]}"; do
		is_plain "$tree/extra/$name"
	done
	no_litter
}

@test "names and paths that are too long: an error that names them, and the others are done" {
	local name path
	printf -v name '%0300d' 0
	printf -v path '%04200d' 0
	ks 1 sign --root "$root" "${key[@]}" "/lib/modules/$V/extra/$name.ko" "/${path//0000/000\/}.ko" \
		"/lib/modules/$V/extra/a-good.ko"
	[ "$(grep -c 'File name too long$' <<<"$stderr")" = 2 ]
	# A bad name beside it must not take the good one's directory away either.
	is_signed "$tree/extra/a-good.ko"
}

# --- what is no file

# refused NAME CAUSE: status and verify too say CAUSE of extra/NAME, at once, as bad_input.bats shows of
# sign and unsign, and it is as it was.
refused() {
	local before
	before=$(as_is "extra/$1")
	ks_within 100 1 sign "${here[@]}" "${key[@]}"
	blames "$1" "$2"
	is_signed "$tree/extra/a-good.ko"
	ks_within 100 1 status "${here[@]}" --all
	blames "$1" "$2"
	ks_within 100 4 verify "${here[@]}" --cert "$KEYS/rsa.pem" -d "/lib/modules/$V/extra"
	blames "$1" "$2"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	ks_within 100 1 unsign "${here[@]}"
	blames "$1" "$2"
	[ "$(as_is "extra/$1")" = "$before" ]
	no_litter
}

@test "a FIFO among the modules" {
	mkfifo "$tree/extra/m.ko"
	refused m.ko 'a FIFO, not a regular file'
}

@test "a socket among the modules" {
	(cd "$tree/extra" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("m.ko")')
	refused m.ko 'a socket, not a regular file'
}

@test "device nodes among the modules, and a link to one" {
	if mknod "$tree/extra/m.ko" c 1 3 2>/dev/null; then
		refused m.ko 'a device, not a regular file'
		rm "$tree/extra/m.ko"
		mknod "$tree/extra/m.ko.xz" b 7 200
		refused m.ko.xz 'a device, not a regular file'
		rm "$tree/extra/m.ko.xz"
		mknod "$root/zero" c 1 5
		ln -s /zero "$tree/extra/m.ko"
		ks_within 100 1 sign "${here[@]}" "${key[@]}"
		blames zero 'a device, not a regular file'
	else
		# Only root makes them; the others find one.
		ln -s /dev/zero m.ko
		ks_within 100 1 sign "${key[@]}" m.ko
		blames zero 'a device, not a regular file'
	fi
}

@test "a directory among the modules named as one" {
	mkdir "$tree/extra/m.ko"
	ks 1 status --root "$root" "/lib/modules/$V/extra/m.ko"
	blames m.ko 'a directory, not a regular file'
	ks 4 verify --root "$root" --cert "$KEYS/rsa.pem" "/lib/modules/$V/extra/m.ko"
	blames m.ko 'a directory, not a regular file'
	ks 1 unsign --root "$root" "/lib/modules/$V/extra/m.ko"
	blames m.ko 'a directory, not a regular file'
}

@test "links in a circle among the modules" {
	ln -s n.ko "$tree/extra/m.ko"
	ln -s m.ko "$tree/extra/n.ko"
	# One more that comes before the good one.
	ln -s 0.ko "$tree/extra/0.ko"
	before=$(as_is extra/m.ko extra/n.ko)
	ks 1 sign "${here[@]}" "${key[@]}"
	blames m.ko 'Too many levels of symbolic links'
	blames n.ko 'Too many levels of symbolic links'
	is_signed "$tree/extra/a-good.ko"
	ks 1 status "${here[@]}"
	ks 1 unsign "${here[@]}"
	is_plain "$tree/extra/a-good.ko"
	[ "$(as_is extra/m.ko extra/n.ko)" = "$before" ]
}

@test "FIFOs and devices in the place of everything else that is read hold nobody up" {
	local file
	mkfifo fifo
	ks_within 100 1 sign "${here[@]}" --key fifo --cert "$KEYS/rsa.pem" --hash sha256
	blames fifo 'a FIFO'
	ks_within 100 1 sign "${here[@]}" --key "$KEYS/rsa.key" --cert fifo --hash sha256
	blames fifo 'a FIFO'
	ks_within 100 1 sign "${here[@]}" --key /dev/zero --cert "$KEYS/rsa.pem" --hash sha256
	blames /dev/zero 'a device'
	ks_within 100 1 sign-file sha256 "$KEYS/rsa.key" fifo "$FIXTURES/plain.ko" dest
	ks_within 100 1 sign-file -s fifo sha256 "$KEYS/rsa.pem" "$FIXTURES/plain.ko" dest
	ks_within 100 1 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" fifo
	ks_within 100 1 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$FIXTURES/plain.ko" fifo
	[ -p fifo ]
	[ ! -e dest ]
	is_plain "$tree/extra/a-good.ko"
	for file in etc/kernel-sign.conf "lib/modules/$V/modules.order" "boot/config-$V" "boot/vmlinuz-$V"; do
		mkdir -p "$(dirname "$root/$file")"
		rm -f "$root/$file"
		mkfifo "$root/$file"
		# Whatever the answer, there is one.
		run timeout 60 "$KERNEL_SIGN" sign "${here[@]}" --key "$KEYS/rsa.key" --cert "$KEYS/rsa.pem"
		[ "$status" -le 1 ]
		run timeout 60 "$KERNEL_SIGN" trust "${here[@]}"
		[ "$status" -le 1 ]
		rm "$root/$file"
	done
}

# --- races

# swapping PATH OTHER: a process that keeps exchanging them until there is a file stop, and then writes
# into the file swaps how often it did.
swapping() {
	python3 - "$1" "$2" "$PWD/stop" "$PWD/swaps" 3>&- <<-'END' &
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		one, other = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
		swaps = 0
		while not os.path.exists(sys.argv[3]):
		    for _ in range(16):
		        if libc.renameat2(-100, one, -100, other, 2):  # AT_FDCWD, RENAME_EXCHANGE
		            sys.exit(f"renameat2: {os.strerror(ctypes.get_errno())}")
		        swaps += 1
		with open(sys.argv[4], 'w') as file:
		    print(swaps, file=file)
	END
	swapper=$!
}

# Both ends of the race were seen, often enough to mean something.
end_swapping() {
	: >stop
	wait "$swapper"
	echo "--- $(cat swaps) swaps, $1 times signed, $2 times not"
	[ "$(cat swaps)" -gt 2000 ]
	[ "$1" -gt 0 ]
	[ "$2" -gt 0 ]
	rm stop swaps
}

# one_left TYPE NAME: of m.ko and NAME one is a module, whole, and the other what was exchanged with it; or
# both are one, where that came in the moment between the last look and rename(2), which replaces what it
# finds.
one_left() {
	local name found=0
	for name in m.ko "$2"; do
		if [ -f "$tree/extra/$name" ] && [ ! -L "$tree/extra/$name" ]; then
			is_signed "$tree/extra/$name" || is_plain "$tree/extra/$name"
			found=$((found + 1))
		else
			[ -n "$(find "$tree/extra/$name" -maxdepth 0 -type "$1")" ]
		fi
	done
	[ "$found" -ge 1 ]
}

# under_attack ROUNDS MODULE...: signs them again and again; counts in $done_well and $failed.
under_attack() {
	local rounds=$1 i
	shift
	done_well=0 failed=0
	for ((i = 0; i < rounds; i++)); do
		"$KERNEL_SIGN" sign --root "$root" "${key[@]}" --force "$@" >out 2>err || :
		done_well=$((done_well + $(grep -c ': signed$' out || :)))
		failed=$((failed + $(grep -c '^kernel-sign: ' err || :)))
	done
}

@test "a module that is exchanged with a link out of the root: nothing outside is written" {
	mkdir outside
	module "$PWD/outside/m.ko"
	module extra/m.ko
	ln -s "$PWD/outside/m.ko" "$tree/extra/link"
	before=$(manifest outside)
	swapping "$tree/extra/m.ko" "$tree/extra/link"
	under_attack 150 "/lib/modules/$V/extra/m.ko"
	end_swapping "$done_well" "$failed"
	[ "$(manifest outside)" = "$before" ]
	one_left l link
	no_litter
}

@test "a directory that is exchanged with a link out of the root: nothing outside is written" {
	mkdir outside
	module "$PWD/outside/m.ko"
	module extra/d/m.ko
	ln -s "$PWD/outside" "$tree/extra/link"
	before=$(manifest outside)
	swapping "$tree/extra/d" "$tree/extra/link"
	under_attack 150 "/lib/modules/$V/extra/d/m.ko"
	end_swapping "$done_well" "$failed"
	[ "$(manifest outside)" = "$before" ]
	no_litter
}

@test "a link .. deep inside is exchanged with a directory: nothing above the root is written" {
	mkdir -p outside
	module "$PWD/outside/m.ko"
	module extra/d/m.ko
	# From the root's top it stays there; from a walk that lost its way it would lead out.
	ln -s ../../../../../../outside "$tree/extra/link"
	before=$(manifest outside)
	swapping "$tree/extra/d" "$tree/extra/link"
	under_attack 150 "/lib/modules/$V/extra/d/../d/m.ko"
	end_swapping "$done_well" "$failed"
	[ "$(manifest outside)" = "$before" ]
}

@test "a module that is exchanged with a FIFO or a device never holds the run up" {
	module extra/m.ko
	mkfifo "$tree/extra/fifo"
	swapping "$tree/extra/m.ko" "$tree/extra/fifo"
	local i
	done_well=0 failed=0
	for ((i = 0; i < 150; i++)); do
		status=0
		timeout -k 5 60 "$KERNEL_SIGN" sign --root "$root" "${key[@]}" --force \
			"/lib/modules/$V/extra/m.ko" >out 2>err || status=$?
		[ "$status" -le 1 ]
		done_well=$((done_well + $(grep -c ': signed$' out || :)))
		failed=$((failed + $(grep -c '^kernel-sign: ' err || :)))
	done
	end_swapping "$done_well" "$failed"
	one_left p fifo
}

@test "a whole tree whose directory is exchanged with one outside while 8 threads sign" {
	local i
	mkdir outside
	for i in {1..30}; do
		module "$PWD/outside/m$i.ko"
		module "extra/d/m$i.ko"
	done
	ln -s "$PWD/outside" "$tree/extra/link"
	before=$(manifest outside)
	swapping "$tree/extra/d" "$tree/extra/link"
	done_well=0 failed=0
	for ((i = 0; i < 40; i++)); do
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -j 8 --force >out 2>err || :
		done_well=$((done_well + $(grep -c '/d/m[0-9]*.ko: signed$' out || :)))
		failed=$((failed + $(grep -c '^kernel-sign: ' err || :)))
	done
	end_swapping "$done_well" "$failed"
	[ "$(manifest outside)" = "$before" ]
	no_litter
}

# --- the root that nothing leaves

# escapes LINK: with LINK leading to the same place outside, no command changes or shows what is there.
escapes() {
	before=$(manifest "$PWD/outside")
	local command
	for command in 'sign --force' unsign status; do
		# shellcheck disable=SC2086 # command and option
		run "$KERNEL_SIGN" $command "${here[@]}"
		[[ $output != *secret* ]] || lacks output 'no secret'
		# shellcheck disable=SC2086
		run "$KERNEL_SIGN" $command --root "$root" -k all --all
		[[ $output != *secret* ]] || lacks output 'no secret'
	done
	[ "$(manifest "$PWD/outside")" = "$before" ]
}

@test "under --root: links in the way to the modules, absolute and by .., do not lead out" {
	local up=../../../../../../../../../../../../../.. target
	mkdir -p "outside/modules/$V/extra"
	module "$PWD/outside/modules/$V/extra/secret.ko"
	export KERNEL_SIGN_KEY=$KEYS/rsa.key KERNEL_SIGN_CERT=$KEYS/rsa.pem
	for target in "$PWD/outside" "$up$PWD/outside"; do
		rm -rf "$root"
		mkdir -p "$root"
		ln -s "$target" "$root/lib"
		escapes
		rm "$root/lib"
		mkdir "$root/lib"
		ln -s "$target/modules" "$root/lib/modules"
		escapes
		rm "$root/lib/modules"
		mkdir "$root/lib/modules"
		ln -s "$target/modules/$V" "$root/lib/modules/$V"
		escapes
		rm "$root/lib/modules/$V"
		mkdir "$root/lib/modules/$V"
		ln -s "$target/modules/$V/extra" "$root/lib/modules/$V/extra"
		escapes
		rm "$root/lib/modules/$V/extra"
		mkdir "$root/lib/modules/$V/extra"
		ln -s "$target/modules/$V/extra/secret.ko" "$root/lib/modules/$V/extra/m.ko"
		before=$(manifest outside)
		ks 1 sign "${here[@]}"
		blames m.ko 'No such file'
		[ "$(manifest outside)" = "$before" ]
	done
}

@test "under --root: keys, configuration, image and config are not those of the host" {
	mkdir -p outside "$root/etc" "$root/boot" "$root/usr/src/headers/certs-local"
	export HOME=$PWD
	cp "$KEYS/rsa.key" "$KEYS/rsa.pem" outside/
	# The configuration file itself.
	printf 'key = %s\ncert = %s\nhash = sha256\n' "$PWD/outside/rsa.key" "$PWD/outside/rsa.pem" \
		>outside/kernel-sign.conf
	ln -s "$PWD/outside/kernel-sign.conf" "$root/etc/kernel-sign.conf"
	ks 1 sign "${here[@]}"
	is_plain "$tree/extra/a-good.ko"
	# The key that it names, by a link.
	rm "$root/etc/kernel-sign.conf"
	printf 'key = /etc/key\ncert = /etc/cert\nhash = sha256\n' >"$root/etc/kernel-sign.conf"
	ln -s "$PWD/outside/rsa.key" "$root/etc/key"
	ln -s "../../../../../../../../../../../../..$PWD/outside/rsa.pem" "$root/etc/cert"
	ks 1 sign "${here[@]}"
	blames /etc/key 'No such file'
	is_plain "$tree/extra/a-good.ko"
	rm "$root/etc/key"
	cp "$KEYS/rsa.key" "$root/etc/key"
	ks 1 sign "${here[@]}"
	blames /etc/cert 'No such file'
	is_plain "$tree/extra/a-good.ko"
	# In the root it is found: the test above could not pass for another reason.
	rm "$root/etc/cert"
	cp "$KEYS/rsa.pem" "$root/etc/cert"
	ks 0 sign "${here[@]}"
	is_signed "$tree/extra/a-good.ko"
	# What the kernel's config says of the hash.
	echo 'CONFIG_MODULE_SIG_HASH="sha384"' >outside/config
	ln -s "$PWD/outside/config" "$root/boot/config-$V"
	printf 'key = /etc/key\ncert = /etc/cert\n' >"$root/etc/kernel-sign.conf"
	ks 0 sign "${here[@]}" --force
	is_signed "$tree/extra/a-good.ko" rsa sha512
}

@test "under --root: links in the tree of DKMS lead nowhere outside" {
	module "$PWD/outside/6.1.0-test/x86_64/module/a-good.ko"
	mkdir -p "$root/var/lib/dkms" "$tree/updates/dkms"
	dkms_installs pack dk.ko
	# The package's own directory is a link out; then the copy alone.
	before=$(manifest outside)
	rm -r "$root/var/lib/dkms/pack"
	ln -s "$PWD/outside" "$root/var/lib/dkms/pack"
	run "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	[ "$(manifest outside)" = "$before" ]
	rm "$root/var/lib/dkms/pack"
	dkms_installs pack a-good.ko
	rm "$copies/a-good.ko"
	ln -s "$PWD/outside/6.1.0-test/x86_64/module/a-good.ko" "$copies/a-good.ko"
	# The copy and the module are signed together, or none of them.
	ks 1 sign "${here[@]}" "${key[@]}"
	blames a-good.ko 'No such file'
	[ "$(manifest outside)" = "$before" ]
	is_plain "$tree/updates/dkms/a-good.ko"
}

# --- modes, set-user-ID, capabilities

@test "the caller's umask is nobody's but new files'" {
	local mask
	for mask in 000 022 077 777; do
		cp "$FIXTURES/plain.ko" "$tree/extra/a-good.ko"
		chmod 640 "$tree/extra/a-good.ko"
		(
			umask "$mask"
			ks 0 sign "${here[@]}" "${key[@]}"
		)
		is_signed "$tree/extra/a-good.ko"
		[ "$(stat -c %a "$tree/extra/a-good.ko")" = 640 ]
		(
			umask "$mask"
			ks 0 unsign "${here[@]}"
			ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/a-good.ko"
		)
		is_signed "$tree/extra/a-good.ko"
		[ "$(stat -c %a "$tree/extra/a-good.ko")" = 640 ]
	done
	no_litter
}

@test "set-user-ID and set-group-ID bits are kept in place and never go to another file" {
	local mode
	for mode in 4755 2755 6711 1644; do
		module extra/m.ko
		chmod "$mode" "$tree/extra/m.ko"
		[ "$(stat -c %a "$tree/extra/m.ko")" = "$mode" ]
		ks 0 sign "${here[@]}" "${key[@]}"
		[ "$(stat -c %a "$tree/extra/m.ko")" = "$mode" ]
		ks 0 unsign "${here[@]}"
		[ "$(stat -c %a "$tree/extra/m.ko")" = "$mode" ]
		rm -f dest
		umask 022
		ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/m.ko" dest
		[ "$(stat -c %a dest)" = 644 ]
		chmod 600 dest
		ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/m.ko" dest
		[ "$(stat -c %a dest)" = 600 ]
	done
}

@test "a directory's set-group-ID bit and default mode do not reach a module" {
	[ "$(id -u)" = 0 ] || skip "only root gives a directory another group"
	module extra/m.ko
	chmod 644 "$tree/extra/m.ko"
	chgrp 4321 "$tree/extra"
	chmod 2775 "$tree/extra"
	before=$(stat -c '%u %g %a' "$tree/extra/m.ko")
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/m.ko"
	[ "$(stat -c '%u %g %a' "$tree/extra/m.ko")" = "$before" ]
}

@test "file capabilities: none comes, one that is there stays with the module and goes nowhere else" {
	[ "$(id -u)" = 0 ] || skip "only root gives a file capabilities"
	local cap=0x0100000200200000000000000000000000000000 # cap_sys_admin, permitted and effective
	module extra/m.ko
	setfattr -n security.capability -v "$cap" "$tree/extra/m.ko" 2>/dev/null ||
		skip "no file capabilities in this file system"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/m.ko"
	[ "$(getfattr -n security.capability -e hex "$tree/extra/m.ko" 2>/dev/null | sed -n 's/.*=//p')" = "$cap" ]
	not getfattr -n security.capability "$tree/extra/a-good.ko" 2>/dev/null
	ks 0 unsign "${here[@]}"
	not getfattr -n security.capability "$tree/extra/a-good.ko" 2>/dev/null
	ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/m.ko" dest
	not getfattr -n security.capability dest 2>/dev/null
	# Nor to a DEST that is there and has none.
	ks 0 sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" "$tree/extra/m.ko" dest
	not getfattr -n security.capability dest 2>/dev/null
}
