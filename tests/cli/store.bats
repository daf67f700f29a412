#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# How files are replaced: what they keep, and that there are only ever old bytes or new ones.

load common

setup_file() {
	make_fixtures
	compile foreign -UVERMAGIC '-DVERMAGIC="5.10.0-elsewhere"'
}

setup() {
	start_test
	# What RSA makes is always the same: then cmp is the whole verdict.
	reference wanted rsa sha256
	is_signed wanted
}

# Whatever a test has running in the background looks for this file.
teardown() { : >"$BATS_TEST_TMPDIR/stop"; }

sign() { ks 0 sign "${here[@]}" "${key[@]}" "$@"; }

# --- what is kept

@test "the mode is kept, of a file nobody else may read too" {
	local mode
	umask 0
	for mode in 600 640 444 755 400; do
		module "extra/m$mode.ko"
		chmod "$mode" "$tree/extra/m$mode.ko"
		module "extra/m$mode.ko.xz"
		chmod "$mode" "$tree/extra/m$mode.ko.xz"
	done
	sign
	for mode in 600 640 444 755 400; do
		[ "$(stat -c %a "$tree/extra/m$mode.ko")" = "$mode" ]
		[ "$(stat -c %a "$tree/extra/m$mode.ko.xz")" = "$mode" ]
		cmp wanted "$tree/extra/m$mode.ko"
	done
	ks 0 unsign "${here[@]}"
	for mode in 600 640 444 755 400; do
		[ "$(stat -c %a "$tree/extra/m$mode.ko")" = "$mode" ]
	done
}

@test "the owner is kept" {
	module extra/a.ko
	if [ "$(id -u)" = 0 ]; then
		chown 1234:4321 "$tree/extra/a.ko"
		chmod 4750 "$tree/extra/a.ko"
	fi
	before=$(stat -c '%u:%g %a' "$tree/extra/a.ko")
	sign
	cmp wanted "$tree/extra/a.ko"
	[ "$(stat -c '%u:%g %a' "$tree/extra/a.ko")" = "$before" ]
}

@test "where the owner cannot be kept the module stays as it is" {
	[ "$(id -u)" = 0 ] || chmod 0 "$tree/extra" # then nothing can be written at all
	module "$root/a.ko"
	let_nobody_in
	if [ "$(id -u)" = 0 ]; then
		chown 0:0 "$root/a.ko"
		not nobody chown 0:0 "$KEYS/rsa.pem"
		before=$(manifest "$root")
		run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" /a.ko
		ended 1
		blames /a.ko 'cannot keep the owner'
		[ "$(manifest "$root")" = "$before" ]
	fi
	chmod 755 "$tree/extra"
	no_litter
}

@test "extended attributes are kept" {
	module extra/a.ko
	setfattr -n user.note -v 'a note' "$tree/extra/a.ko" 2>/dev/null ||
		skip "no user attributes in this file system"
	setfattr -n user.empty "$tree/extra/a.ko"
	sign
	cmp wanted "$tree/extra/a.ko"
	[ "$(getfattr --only-values -n user.note "$tree/extra/a.ko")" = 'a note' ]
	getfattr -d "$tree/extra/a.ko" | grep -qx 'user.empty=""'
}

@test "an access control list is kept, and the directory's default does not come in" {
	module extra/a.ko
	module extra/b.ko
	chmod 640 "$tree/extra/b.ko"
	setfacl -m u:1234:r,g:4321:rw "$tree/extra/a.ko" 2>/dev/null ||
		skip "no access control lists in this file system"
	setfacl -d -m u:77:rw "$tree/extra"
	before=$(cd "$tree/extra" && getfacl -n a.ko b.ko)
	sign
	cmp wanted "$tree/extra/a.ko"
	[ "$(cd "$tree/extra" && getfacl -n a.ko b.ko)" = "$before" ]
}

@test "a chain of links stays, the file at its end is replaced" {
	module "$root/store/a.ko"
	ln -s ../store/a.ko "$root/lib/link1.ko"
	ln -s /lib/link1.ko "$tree/extra/link2.ko"
	before=$(stat -c '%i %y' "$root/lib/link1.ko" "$tree/extra/link2.ko")
	sign
	cmp wanted "$root/store/a.ko"
	[ -f "$root/store/a.ko" ] && [ ! -L "$root/store/a.ko" ]
	[ "$(stat -c '%i %y' "$root/lib/link1.ko" "$tree/extra/link2.ko")" = "$before" ]
}

@test "a hard-linked module is replaced with a warning, its other name keeps the old bytes" {
	module extra/a.ko
	ln "$tree/extra/a.ko" "$root/other-name"
	sign
	warns 'warning: .*/extra/a.ko: has other hard links, which keep the old content'
	cmp wanted "$tree/extra/a.ko"
	cmp "$FIXTURES/plain.ko" "$root/other-name"
	sign
	[ -z "$stderr" ]
}

@test "two names of one file in the tree are both signed" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		module "extra/a$i.ko"
		ln "$tree/extra/a$i.ko" "$tree/updates/b$i.ko"
	done
	sign -j 8
	for i in 1 2 3 4 5 6 7 8; do
		cmp wanted "$tree/extra/a$i.ko"
		cmp wanted "$tree/updates/b$i.ko"
	done
	no_litter
}

@test "many names of one file in the tree are all signed, whatever the threads" {
	local i
	module extra/m1.ko
	for i in {2..40}; do
		ln "$tree/extra/m1.ko" "$tree/extra/m$i.ko"
	done
	sign -j 8
	each_is wanted
	[ "$(find "$tree/extra" -name 'm*.ko' -links 1 | wc -l)" = 40 ]
	no_litter
}

@test "nothing else in the directory changes" {
	module extra/a.ko
	: >"$tree/extra/a.ko.tmp"
	: >"$tree/extra/.a"
	: >"$tree/extra/a.ko~"
	before=$(find "$tree/extra" -mindepth 1 ! -name a.ko -printf '%i %p\n')
	sign
	[ "$(find "$tree/extra" -mindepth 1 ! -name a.ko -printf '%i %p\n')" = "$before" ]
}

# --- full disks

# on_full_disk OPTION...: runs $program OPTION... in a file system so full that the module $module,
# which it holds in disk/, cannot be written again, and checks there that all is as it was.
on_full_disk() {
	local lonely=(unshare -m)
	[ "$(id -u)" = 0 ] || lonely=(unshare -Urm)
	mkdir disk
	# shellcheck disable=SC2016 # for the shell in the namespace
	run --separate-stderr "${lonely[@]}" bash -euc '
		mount -t tmpfs -o size=64k tmpfs disk
		cp "$module" disk/
		cd disk
		cat /dev/zero >filler 2>/dev/null || true
		[ "$(stat -f -c %f .)" = 0 ]
		before=$(find . -printf "%p %i %s %T@\n" | sort; sha256sum *)
		status=0
		"$@" || status=$?
		[ "$(find . -printf "%p %i %s %T@\n" | sort; sha256sum *)" = "$before" ] || exit 3
		exit $status' bash "$@"
	ended 1
}

@test "on a full disk the module stays as it is" {
	export module=$FIXTURES/plain.ko
	if unshare -m true 2>/dev/null || unshare -Urm true 2>/dev/null; then
		on_full_disk "$KERNEL_SIGN" sign "${key[@]}" plain.ko
		blames plain.ko 'No space left on device'
		on_full_disk_again "$KERNEL_SIGN" sign-file sha256 "$KEYS/rsa.key" "$KEYS/rsa.pem" plain.ko
		blames plain.ko 'No space left on device'
	else
		file_size_limit
	fi
}

on_full_disk_again() {
	rmdir disk
	on_full_disk "$@"
}

# The nearest that needs no rights at all: no file may grow past 2 KiB.
file_size_limit() {
	module extra/a.ko
	module extra/b.ko
	rm "$tree/extra/b.ko"
	before=$(manifest "$root")
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' bash \
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	blames a.ko 'File too large'
	[ "$(manifest "$root")" = "$before" ]
	no_litter
}

@test "a module that cannot be written whole stays as it is" { file_size_limit; }

@test "a file size limit ends no run half way" {
	module extra/a.ko
	: >"$tree/extra/b.ko"
	before=$(manifest "$root")
	run --separate-stderr bash -c 'ulimit -f 2; exec "$@"' bash \
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -j 1
	[ "$(manifest "$root")" = "$before" ]
	no_litter
	ended 1
	blames a.ko 'File too large'
	blames b.ko 'empty'
}

# --- several at once

# many COUNT: modules m1.ko ... of which every fifth is compressed.
many() {
	local i
	for ((i = 1; i <= $1; i++)); do
		if ((i % 5)); then
			cp "$FIXTURES/plain.ko" "$tree/extra/m$i.ko"
		else
			module "extra/m$i.ko.zst"
		fi
	done
}

# contents: the hash of every module's decompressed content.
contents() {
	local file
	find "$tree/extra" -name 'm*.ko' -exec sha256sum {} + | cut -d ' ' -f 1
	for file in "$tree"/extra/m*.zst; do
		[ ! -e "$file" ] || zstd -dcq <"$file" | sha256sum | cut -d ' ' -f 1
	done
}

# each_is FILE...: there are modules, and each of them is one of these, nothing else.
each_is() {
	contents >found
	[ -s found ]
	sha256sum "$@" | cut -d ' ' -f 1 >allowed
	not grep -vxFf allowed found
}

# together COMMAND...: two runs of the program at once; both must end well.
together() {
	local one two
	"$KERNEL_SIGN" "$@" >one.out 2>one.err 3>&- &
	one=$!
	"$KERNEL_SIGN" "$@" >two.out 2>two.err 3>&- &
	two=$!
	wait "$one" || cat one.err >>failed
	wait "$two" || cat two.err >>failed
	[ ! -e failed ] || {
		cat failed
		return 1
	}
}

@test "two runs at once leave every module with exactly one signature" {
	local round
	many 20
	for round in {1..12}; do
		together sign "${here[@]}" "${key[@]}" --force
		each_is wanted
	done
	no_litter
}

@test "two runs at once over unsigned modules" {
	local round
	many 20
	for round in {1..6}; do
		ks 0 unsign "${here[@]}"
		together sign "${here[@]}" "${key[@]}"
		each_is wanted
	done
	no_litter
}

@test "signing and unsigning at once leaves whole modules" {
	local round one two
	many 20
	for round in {1..8}; do
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" >/dev/null 2>&1 3>&- &
		one=$!
		"$KERNEL_SIGN" unsign "${here[@]}" >/dev/null 2>&1 3>&- &
		two=$!
		wait "$one" || :
		wait "$two" || :
		each_is wanted "$FIXTURES/plain.ko"
	done
	no_litter
}

@test "two runs with different keys: each module has one of the signatures" {
	local round one two
	reference second rsa sha512
	many 20
	for round in {1..6}; do
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" >/dev/null 2>&1 3>&- &
		one=$!
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" --hash sha512 >/dev/null 2>&1 3>&- &
		two=$!
		wait "$one"
		wait "$two"
		each_is wanted second
	done
	no_litter
}

@test "a module that others keep replacing is signed or left, and never torn" {
	local i writer
	module extra/m.ko
	(
		exec 3>&-
		while [ ! -e stop ]; do
			cp "$FIXTURES/plain.ko" new && mv new "$tree/extra/m.ko"
		done
	) &
	writer=$!
	for i in {1..15}; do
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -q || :
		each_is wanted "$FIXTURES/plain.ko"
	done
	: >stop
	wait "$writer"
	sign
	each_is wanted
	no_litter
}

@test "a module that is replaced while it is being signed is not overwritten with the old one" {
	local i
	{
		cat "$FIXTURES/plain.ko"
		head -c 4M /dev/zero
	} >old
	cp old new
	echo new >>new
	reference_of new signed
	for i in {1..5}; do
		cp old "$tree/extra/m.ko"
		cp new replacement
		# As soon as it has its new file open, which has no name or a temporary one.
		python3 - "$tree/extra/m.ko" "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -q -j 1 3>&- <<-'END'
			import os, subprocess, sys

			def is_writing(pid):
			    try:
			        names = os.listdir(f'/proc/{pid}/fd')
			    except OSError:
			        return False
			    for fd in names:
			        try:
			            target = os.readlink(f'/proc/{pid}/fd/{fd}')
			        except OSError:
			            continue
			        if target.startswith(os.path.dirname(sys.argv[1])) and (
			                target.endswith(' (deleted)') or target.endswith('.tmp')):
			            return True
			    return False

			program = subprocess.Popen(sys.argv[2:])
			while program.poll() is None and not is_writing(program.pid):
			    pass
			os.rename('replacement', sys.argv[1])
			program.wait()
		END
		each_is new signed
	done
	no_litter
}

@test "a module that is rewritten in place while it is read ends as its writer left it" {
	local i writer
	cp "$FIXTURES/plain.ko" "$tree/extra/m.ko"
	head -c 3M /dev/zero >>"$tree/extra/m.ko"
	cp "$tree/extra/m.ko" large
	reference_of large signed
	(
		exec 3>&-
		while [ ! -e stop ]; do
			dd if=large of="$tree/extra/m.ko" conv=notrunc status=none bs=64k
		done
	) &
	writer=$!
	for i in {1..8}; do
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -q || :
	done
	: >stop
	wait "$writer"
	# The writer may have written into the signed file, which it then left longer: that is the
	# writer's doing. What comes before its last byte is the module.
	cmp -n "$(stat -c %s large)" "$tree/extra/m.ko" large
	no_litter
}

reference_of() {
	cp "$1" "$2"
	sign_by_hand "$2" rsa
}

# --- signals

# interrupted SIGNAL: a run over some hundred modules that gets SIGNAL in the middle.
interrupted() {
	local i pid status=0 old
	for ((i = 0; i < 300; i++)); do
		cp "$FIXTURES/plain.ko" "$tree/extra/m$i.ko"
	done
	# Bash lets a job in the background ignore SIGINT, and that is inherited; python does not.
	python3 - "$1" "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -j 2 >out 2>err 3>&- <<-'END' ||
		import os, signal, subprocess, sys, time
		number = getattr(signal, sys.argv[1])
		signal.signal(number, signal.SIG_DFL)
		directory = sys.argv[sys.argv.index("--root") + 1]
		directory += "/lib/modules/" + sys.argv[sys.argv.index("-k") + 1] + "/extra"
		first = {e.name: e.inode() for e in os.scandir(directory)}
		program = subprocess.Popen(sys.argv[2:])
		while program.poll() is None:
		    changed = sum(first.get(e.name) != e.inode() for e in os.scandir(directory))
		    if changed > 20:
		        program.send_signal(number)
		        break
		    time.sleep(0.001)
		sys.exit(program.wait(30) % 256)
	END
	status=$?
	tail -n 3 err
	[ "$status" = 1 ]
	grep -q 'not touched, the run was interrupted$' err
	each_is wanted "$FIXTURES/plain.ko"
	no_litter
	old=$(find "$tree/extra" -size "$(stat -c %s "$FIXTURES/plain.ko")c" | wc -l)
	[ "$(grep -c 'the run was interrupted$' err)" = "$old" ]
	[ "$(grep -c ': signed$' out)" = $((300 - old)) ]
	[ "$old" -lt 300 ]
	grep -qE "^$((300 - old)) signed, $old failed, of 300 modules\$" out
}

@test "SIGINT: modules in hand are finished, the others untouched, the status is 1" { interrupted SIGINT; }

@test "SIGTERM: modules in hand are finished, the others untouched, the status is 1" { interrupted SIGTERM; }

@test "SIGHUP: modules in hand are finished, the others untouched, the status is 1" { interrupted SIGHUP; }

@test "SIGKILL: every module is whole, and no more than temporary files are left" {
	local round pid
	for round in {1..6}; do
		many 60
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$((round * 3))"
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" || :
		each_is wanted "$FIXTURES/plain.ko"
	done
}

# --- outputs that are not there

@test "with its standard files closed no message gets into a module" {
	local round i
	cp "$FIXTURES/foreign.ko" signed
	sign_by_hand signed rsa
	for round in {1..5}; do
		# A warning each, while others are being written.
		for ((i = 0; i < 100; i++)); do
			cp "$FIXTURES/foreign.ko" "$tree/extra/m$i.ko"
		done
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -j 3 <&- >&- 2>&- || :
		each_is signed
	done
}

@test "a reader that goes away does not end the run" {
	local i
	for ((i = 0; i < 200; i++)); do
		cp "$FIXTURES/plain.ko" "$tree/extra/m$i-with-a-name-longer-than-it-need-be.ko"
	done
	"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" 2>err | head -n 1 >out
	each_is wanted
	grep -q '^kernel-sign: standard output: ' err
}
