#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# Bad input: a clear line on stderr, status 1, the file as it was, and the others are done.

load common

setup_file() { make_fixtures; }

setup() {
	start_test
	module extra/a-good.ko
	module extra/z-good.ko.xz
}

# Bad modules may hold the program up for ever where it is wrong; the tests must end.
ks() {
	local wanted=$1
	shift
	run --separate-stderr timeout -k 5 60 "$KERNEL_SIGN" "$@"
	ended "$wanted"
}

# rejects NAME CAUSE: sign says CAUSE of extra/NAME and leaves it alone; so does unsign; both do the
# others.
rejects() {
	local bad=$tree/extra/$1 before
	before=$(stat -c '%F %i %s %a %u %y %z' "$bad" && { [ ! -f "$bad" ] || sha256sum <"$bad"; })
	ks 1 sign "${here[@]}" "${key[@]}"
	blames "/lib/modules/$V/extra/$1" "$2"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	is_signed "$tree/extra/a-good.ko"
	is_signed "$tree/extra/z-good.ko.xz"
	says '^2 signed, 1 failed, of 3 modules \(1 spliced\)$'
	ks 1 unsign "${here[@]}"
	blames "/lib/modules/$V/extra/$1" "$2"
	is_plain "$tree/extra/a-good.ko"
	is_plain "$tree/extra/z-good.ko.xz"
	[ "$(stat -c '%F %i %s %a %u %y %z' "$bad" && { [ ! -f "$bad" ] || sha256sum <"$bad"; })" = "$before" ]
	no_litter
}

@test "an empty file" {
	: >"$tree/extra/m.ko"
	rejects m.ko 'empty'
}

@test "an empty file with the name of a compressed module" {
	: >"$tree/extra/m.ko.xz"
	rejects m.ko.xz 'empty'
}

@test "a text file named x.ko" {
	echo "This is no module." >"$tree/extra/m.ko"
	rejects m.ko 'not a kernel module \(no ELF file\)'
}

@test "a text file, compressed" {
	echo "This is no module." | zstd -cq >"$tree/extra/m.ko.zst"
	rejects m.ko.zst 'not a kernel module \(no ELF file\)'
}

@test "an ELF executable" {
	cp "$(type -P true)" "$tree/extra/m.ko"
	rejects m.ko 'not a kernel module \(an ELF file, but no relocatable object\)'
}

@test "an ELF shared object, compressed" {
	local cc
	read -ra cc <<<"${CC:-cc}"
	"${cc[@]}" -shared -fPIC -nostdlib -x c -o m.so - <<<'int answer(void) { return 42; }'
	gzip -nc m.so >"$tree/extra/m.ko.gz"
	rejects m.ko.gz 'no relocatable object'
}

@test "truncated modules of every length" {
	local size length n=0
	size=$(stat -c %s "$FIXTURES/plain.ko")
	for length in 1 3 4 15 16 40 63 64 65 200 1000 $((size / 2)) $((size - 64)) $((size - 1)); do
		head -c "$length" "$FIXTURES/plain.ko" >"$tree/extra/t$length.ko"
		n=$((n + 1))
	done
	before=$(manifest "$tree/extra" | grep '/t[0-9]*.ko')
	ks 1 sign "${here[@]}" "${key[@]}"
	[ "$(grep -cE "^kernel-sign: /lib/modules/$V/extra/t[0-9]+.ko: (truncated ELF module|not a kernel module)" <<<"$stderr")" = "$n" ]
	[ "$(grep -c 'truncated ELF module' <<<"$stderr")" -ge $((n - 2)) ]
	[ "$(manifest "$tree/extra" | grep '/t[0-9]*.ko')" = "$before" ]
	is_signed "$tree/extra/a-good.ko"
	says "^2 signed, $n failed"
}

@test "truncated compressed modules of every length" {
	local suffix size length n=0
	for suffix in gz xz zst; do
		pack ".$suffix" <"$FIXTURES/plain.ko" >whole
		size=$(stat -c %s whole)
		for length in 7 12 30 $((size / 2)) $((size - 12)) $((size - 4)) $((size - 1)); do
			head -c "$length" whole >"$tree/extra/t$length.ko.$suffix"
			n=$((n + 1))
		done
	done
	before=$(manifest "$tree/extra" | grep '/t[0-9]*.ko')
	ks 1 sign "${here[@]}" "${key[@]}"
	[ "$(grep -cE '/extra/t[0-9]+.ko.gz: gzip: truncated' <<<"$stderr")" = 7 ]
	[ "$(grep -cE '/extra/t[0-9]+.ko.xz: xz: truncated' <<<"$stderr")" = 7 ]
	[ "$(grep -cE '/extra/t[0-9]+.ko.zst: zstd: truncated' <<<"$stderr")" = 7 ]
	[ "$(manifest "$tree/extra" | grep '/t[0-9]*.ko')" = "$before" ]
	is_signed "$tree/extra/z-good.ko.xz"
	says "^2 signed, $n failed"
}

@test "corrupt compressed modules" {
	local suffix size n=0 offset
	for suffix in gz xz zst; do
		pack ".$suffix" <"$FIXTURES/plain.ko" >whole
		size=$(stat -c %s whole)
		for offset in $((size / 3)) $((size / 2)) $((size - 3)); do
			cp whole "$tree/extra/c$offset.ko.$suffix"
			printf '\x5a\xa5' | dd of="$tree/extra/c$offset.ko.$suffix" bs=1 \
				seek="$offset" conv=notrunc status=none
			n=$((n + 1))
		done
	done
	before=$(manifest "$tree/extra" | grep '/c[0-9]*.ko')
	ks 1 sign "${here[@]}" "${key[@]}"
	[ "$(grep -cE '/extra/c[0-9]+.ko.[a-z]+: (gzip|xz|zstd): (corrupt|wrong)' <<<"$stderr")" -ge $((n - 2)) ]
	[ "$(grep -cE '/extra/c[0-9]+.ko.[a-z]+: (gzip|xz|zstd): ' <<<"$stderr")" = "$n" ]
	[ "$(manifest "$tree/extra" | grep '/c[0-9]*.ko')" = "$before" ]
	says "^2 signed, $n failed"
}

@test "a wrong checksum behind content that decodes" {
	module extra/m.ko.gz
	local size
	size=$(stat -c %s "$tree/extra/m.ko.gz")
	printf 'CRC!' | dd of="$tree/extra/m.ko.gz" bs=1 seek=$((size - 8)) conv=notrunc status=none
	rejects m.ko.gz 'gzip: wrong checksum'
}

@test "garbage behind a gzip member" {
	module extra/m.ko.gz
	echo garbage >>"$tree/extra/m.ko.gz"
	rejects m.ko.gz 'gzip: trailing garbage'
}

@test "garbage behind an xz stream" {
	module extra/m.ko.xz
	echo garbage >>"$tree/extra/m.ko.xz"
	rejects m.ko.xz 'xz: trailing garbage'
}

@test "garbage behind a zstd frame" {
	module extra/m.ko.zst
	echo garbage >>"$tree/extra/m.ko.zst"
	rejects m.ko.zst 'zstd: trailing garbage'
}

@test "a signature behind a compressed module, as the kernel's own tool puts it" {
	module extra/m.ko.xz
	sign_by_hand "$tree/extra/m.ko.xz" other
	rejects m.ko.xz 'xz: trailing garbage'
}

@test "xz content named .ko" {
	pack .xz <"$FIXTURES/plain.ko" >"$tree/extra/m.ko"
	rejects m.ko 'the name says not compressed, the content is xz'
}

@test "a plain module named .ko.xz" {
	cp "$FIXTURES/plain.ko" "$tree/extra/m.ko.xz"
	rejects m.ko.xz 'the name says xz, the content does not'
}

@test "gzip content named .ko.zst" {
	pack .gz <"$FIXTURES/plain.ko" >"$tree/extra/m.ko.zst"
	rejects m.ko.zst 'the name says zstd, the content is gzip'
}

@test "a module compressed twice" {
	pack .gz <"$FIXTURES/plain.ko" | pack .gz >"$tree/extra/m.ko.gz"
	rejects m.ko.gz 'not a kernel module'
}

@test "an initrd named as MODULE" {
	mkdir initrd
	echo content >initrd/file
	tar -C initrd -c file | gzip -n >"$root/initrd.gz"
	tar -C initrd -c file | zstd -cq >"$root/initrd.img-$V"
	before=$(manifest "$root")
	ks 1 sign "${here[@]}" "${key[@]}" /initrd.gz "/initrd.img-$V"
	blames initrd.gz 'not a kernel module'
	blames "initrd.img-$V" 'not a kernel module'
	ks 1 unsign "${here[@]}" /initrd.gz
	ks 1 sign "${here[@]}" "${key[@]}" --force /initrd.gz
	[ "$(manifest "$root")" = "$before" ]
}

@test "any other file named as MODULE" {
	echo text >"$root/text"
	mkdir "$root/directory"
	before=$(manifest "$root")
	ks 1 sign "${here[@]}" "${key[@]}" /text /directory / /lib/modules
	blames /text 'not a kernel module'
	blames /directory 'a directory'
	blames /lib/modules 'a directory'
	[ "$(manifest "$root")" = "$before" ]
}

@test "a marker with a length past the start of the file" {
	module extra/m.ko
	trailer 1000000 >>"$tree/extra/m.ko"
	rejects m.ko 'malformed signature.*past the start of the file'
}

@test "a marker with the greatest length" {
	module extra/m.ko
	trailer 4294967295 >>"$tree/extra/m.ko"
	rejects m.ko 'malformed signature.*past the start of the file'
}

@test "a marker with no length" {
	module extra/m.ko
	trailer 0 >>"$tree/extra/m.ko"
	rejects m.ko "malformed signature.*length is zero"
}

@test "a marker with a length that reaches into the module" {
	module extra/m.ko
	trailer 100 >>"$tree/extra/m.ko"
	rejects m.ko "malformed signature.*reaches into the module's sections"
}

@test "a marker in a compressed module with a length past its start" {
	{
		cat "$FIXTURES/plain.ko"
		trailer 1000000
	} | zstd -cq >"$tree/extra/m.ko.zst"
	rejects m.ko.zst 'malformed signature.*past the start of the file'
}

@test "a marker and nothing of an information block" {
	echo "$MARKER" >"$tree/extra/m.ko"
	rejects m.ko 'not a kernel module'
}

@test "an information block with any field set" {
	local i info
	for i in 0 1 3 4 5 6 7; do
		info=(0 0 2 0 0 0 0 0)
		info[i]=1
		module "extra/b$i.ko"
		message other sha256 "$FIXTURES/plain.ko" >made
		cat made >>"$tree/extra/b$i.ko"
		trailer "$(stat -c %s made)" "$(printf '\\0%s' "${info[@]}")" >>"$tree/extra/b$i.ko"
	done
	module extra/b8.ko
	cat made >>"$tree/extra/b8.ko"
	trailer "$(stat -c %s made)" '\0\0\1\0\0\0\0\0' >>"$tree/extra/b8.ko"
	before=$(manifest "$tree/extra" | grep '/b[0-9].ko')
	ks 1 sign "${here[@]}" "${key[@]}"
	[ "$(grep -cE '/extra/b[0-9].ko: malformed signature, cannot be removed: ' <<<"$stderr")" = 8 ]
	blames b0.ko 'algorithm'
	blames b1.ko 'hash'
	blames b3.ko 'signer length'
	blames b4.ko 'key id length'
	blames b6.ko 'padding'
	blames b8.ko 'PKCS#7'
	[ "$(manifest "$tree/extra" | grep '/b[0-9].ko')" = "$before" ]
	says '^2 signed, 8 failed'
}

@test "a message that is none" {
	module extra/m.ko
	echo "no message at all" >junk
	attach "$tree/extra/m.ko" junk
	rejects m.ko 'malformed signature.*not valid ASN.1'
}

@test "a message with its content attached, and one that is encrypted" {
	module extra/attached.ko
	sign_by_hand "$tree/extra/attached.ko" rsa sha256 -noattr -nocerts -nodetach
	module extra/encrypted.ko
	openssl cms -encrypt -binary -outform DER -in "$KEYS/rsa.pem" -aes128 "$KEYS/rsa.pem" >made
	attach "$tree/extra/encrypted.ko" made
	before=$(manifest "$tree/extra" | grep -e attached -e encrypted)
	ks 1 sign "${here[@]}" "${key[@]}"
	blames attached.ko 'malformed signature.*content attached'
	blames encrypted.ko 'malformed signature.*not SignedData'
	[ "$(manifest "$tree/extra" | grep -e attached -e encrypted)" = "$before" ]
	says '^2 signed, 2 failed'
}

@test "a good signature over a malformed one" {
	module extra/m.ko
	trailer 1000000 >>"$tree/extra/m.ko"
	sign_by_hand "$tree/extra/m.ko" rsa
	rejects m.ko 'malformed signature.*past the start of the file'
}

@test "a dangling symlink" {
	ln -s nowhere.ko "$tree/extra/m.ko"
	rejects m.ko 'No such file'
	[ "$(readlink "$tree/extra/m.ko")" = nowhere.ko ]
	[ ! -e "$tree/extra/nowhere.ko" ]
}

@test "a dangling symlink into a directory that is not there" {
	ln -s /no/such/directory/x.ko "$tree/extra/m.ko"
	rejects m.ko 'No such file'
}

@test "a symlink to itself" {
	ln -s m.ko "$tree/extra/m.ko"
	rejects m.ko 'Too many levels of symbolic links'
}

@test "a symlink to what is no module" {
	echo text >"$tree/text"
	ln -s ../text "$tree/extra/m.ko"
	before=$(manifest "$tree" | grep text)
	ks 1 sign "${here[@]}" "${key[@]}"
	blames text 'not a kernel module'
	[ "$(manifest "$tree" | grep text)" = "$before" ]
}

@test "bad links as MODULE do not stop the others" {
	ln -s nowhere.ko "$tree/dangling.ko"
	ln -s /no/such/directory/x.ko "$tree/astray.ko"
	ln -s loop.ko "$tree/loop.ko"
	local bad
	for bad in dangling astray loop; do
		cp "$FIXTURES/plain.ko" "$tree/extra/a-good.ko"
		ks 1 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/$bad.ko" "/lib/modules/$V/extra/a-good.ko"
		blames "/lib/modules/$V/$bad.ko" '(No such file|Too many levels)'
		[ -L "$tree/$bad.ko" ]
		is_signed "$tree/extra/a-good.ko"
	done
}

@test "a directory named x.ko" {
	module extra/m.ko/inside.ko
	before=$(stat -c '%i %z' "$tree/extra/m.ko")
	ks 1 sign "${here[@]}" "${key[@]}" "/lib/modules/$V/extra/m.ko" "/lib/modules/$V/extra/a-good.ko"
	blames m.ko 'a directory'
	is_signed "$tree/extra/a-good.ko"
	is_plain "$tree/extra/m.ko/inside.ko"
	[ "$(stat -c '%i %z' "$tree/extra/m.ko")" = "$before" ]
	# For the tree it is one directory more.
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/m.ko/inside.ko"
}

@test "a FIFO named x.ko" {
	mkfifo "$tree/extra/m.ko"
	rejects m.ko 'a FIFO, not a regular file'
}

@test "a FIFO somebody writes to, as MODULE" {
	mkfifo "$root/m.ko"
	timeout 20 cp "$FIXTURES/plain.ko" "$root/m.ko" 3>&- &
	ks 1 sign "${here[@]}" "${key[@]}" /m.ko
	blames m.ko 'a FIFO'
	[ -p "$root/m.ko" ]
	kill $!
}

@test "a socket named x.ko" {
	(cd "$tree/extra" && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("m.ko")')
	rejects m.ko 'a socket'
}

@test "a device as MODULE" {
	before=$(stat -c '%F %i %y' /dev/null)
	ks 1 sign "${key[@]}" /dev/null
	blames /dev/null 'a device'
	[ "$(stat -c '%F %i %y' /dev/null)" = "$before" ]
}

@test "a file that we may not read" {
	module extra/m.ko
	let_nobody_in
	chmod 0 "$tree/extra/m.ko"
	not nobody cat "$tree/extra/m.ko"
	before=$(identity "$tree/extra/m.ko")
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	blames extra/m.ko 'Permission denied'
	is_signed "$tree/extra/a-good.ko"
	is_signed "$tree/extra/z-good.ko.xz"
	[ "$(identity "$tree/extra/m.ko")" = "$before" ]
	chmod 600 "$tree/extra/m.ko"
	is_plain "$tree/extra/m.ko"
}

@test "a directory that we may not write to" {
	module updates/m.ko
	let_nobody_in
	chmod 555 "$tree/updates"
	not nobody touch "$tree/updates/new"
	before=$(manifest "$tree/updates")
	run --separate-stderr nobody "$KERNEL_SIGN" sign "${here[@]}" "${key[@]}"
	ended 1
	blames updates/m.ko 'Permission denied'
	is_signed "$tree/extra/a-good.ko"
	[ "$(manifest "$tree/updates")" = "$before" ]
	chmod 755 "$tree/updates"
}

@test "a bomb is refused before it is inflated" {
	head -c 1G /dev/zero | zstd -cq >"$tree/extra/bomb.ko.zst"
	head -c 64M /dev/zero | gzip -nc >"$tree/extra/bomb.ko.gz"
	head -c 64M /dev/zero | xz -0c >"$tree/extra/bomb.ko.xz"
	before=$(manifest "$tree/extra" | grep bomb)
	# Memory for one of them would be too much already.  AddressSanitizer maps more than that itself.
	local limit=400000
	not grep -qa __asan_init "$KERNEL_SIGN" || limit=unlimited
	# shellcheck disable=SC2016 # for that shell
	run --separate-stderr bash -c 'ulimit -v "$1" && shift && exec timeout 20 "$@"' bash "$limit" \
		"$KERNEL_SIGN" sign "${here[@]}" "${key[@]}" -j 1 --max-size 1M
	ended 1
	blames bomb.ko.zst 'zstd: content larger than the limit of 1048576 bytes \(--max-size\)'
	blames bomb.ko.gz 'gzip: content larger than the limit of 1048576 bytes'
	blames bomb.ko.xz 'xz: content larger than the limit of 1048576 bytes'
	[ "$(manifest "$tree/extra" | grep bomb)" = "$before" ]
	says '^2 signed, 3 failed'
}

@test "what claims to be huge costs nothing" {
	# A zstd frame of one empty block whose header claims 2^40 bytes.
	printf '\x28\xb5\x2f\xfd\xc0\x00\x00\x00\x00\x00\x00\x01\x00\x00\x01\x00\x00' \
		>"$tree/extra/m.ko.zst"
	rejects m.ko.zst 'zstd: .*(limit|corrupt|truncated)'
}

@test "a section that lies outside the file, in a module that is otherwise whole" {
	cp "$FIXTURES/plain.ko" "$tree/extra/m.ko"
	# e_shoff, the section table's place.
	printf '\xff\xff\xff\xff\xff\xff\xff\x7f' |
		dd of="$tree/extra/m.ko" bs=1 seek=40 conv=notrunc status=none
	rejects m.ko 'truncated ELF module'
}

@test "names with newlines and escapes cannot forge lines" {
	local name=$'a\nkernel-sign: all is well\e[2J.ko'
	echo text >"$tree/extra/$name"
	ks 1 sign "${here[@]}" "${key[@]}"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	warns '/extra/a\\x0akernel-sign: all is well\\x1b\[2J.ko: not a kernel module'
	cp "$FIXTURES/plain.ko" "$tree/extra/$name"
	ks 0 sign "${here[@]}" "${key[@]}"
	is_signed "$tree/extra/$name"
	says '/extra/a\\x0akernel-sign: all is well\\x1b\[2J.ko: signed$'
}
