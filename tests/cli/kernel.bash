# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A kernel that can be asked what it trusts: its image, made by compiler and linker; its config; and EFI
# variables, made byte by byte.  Loaded behind common.
# shellcheck disable=SC2034,SC2154,SC2119,SC2120 # tests use what is set here, and hand arguments over

readonly GLOBAL=8be4df61-93ca-11d2-aa0d-00e098032b8c
readonly SECURITY=d719b2cb-3d3a-4596-a3bc-dad00e67656f
readonly SHIM=605dab50-e046-4300-abb6-3dd810dd8b23
readonly DEBIAN=debian-kernel@lists.debian.org

# In setup(), behind start_test: a config, and Secure Boot.
start_kernel() {
	read -ra COMPILER <<<"${CC:-cc}"
	efi=$BATS_TEST_TMPDIR/efivars
	mkdir -p "$root/boot" "$efi"
	config
	secure_boot '\1'
}

# image BUILDER [CERT...]: the image of the kernel $V
image() { image_of "$V" "$@"; }

# image_of VERSION BUILDER [CERT...]: an ELF file with the list of certificates that
# certs/system_certificates.S lays out.
image_of() {
	local version=$1 builder=$2 cert
	shift 2
	{
		printf '.section .rodata\n.ascii "Linux version %s (%s) (cc) #1 SMP\\n"\n' "$version" "$builder"
		printf '.balign 8\nlist:\n'
		for cert; do
			printf '.incbin "%s"\n' "$KEYS/$cert.der"
		done
		printf 'end: .balign 8\n.quad end - list\n.quad 0\n'
	} >image.S
	"${COMPILER[@]}" -nostdlib -static -Wl,-e,0 -o "$root/boot/vmlinuz-$version" image.S
}

# variable NAME GUID: a variable of what stdin says, with its attributes.
variable() {
	{
		printf '\6\0\0\0'
		cat
	} >"$efi/$1-$2"
}

little() {
	local number=$1 i
	for ((i = 0; i < 4; i++)); do
		printf %b "\\x$(printf %02x $((number >> 8 * i & 255)))"
	done
}

# listed CERT...: an EFI_SIGNATURE_LIST for each (UEFI specification, 32.4.1).
listed() {
	local cert size
	for cert; do
		size=$(stat -c %s "$KEYS/$cert.der")
		printf '\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72'
		little $((28 + 16 + size))
		little 0
		little $((16 + size))
		head -c 16 /dev/zero
		cat "$KEYS/$cert.der"
	done
}

# hashed COUNT: a list of so many SHA-256.
hashed() {
	printf '\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28'
	little $((28 + 48 * $1))
	little 0
	little 48
	head -c $((48 * $1)) /dev/urandom
}

config() {
	mkdir -p "$tree/build"
	printf '%s\n' CONFIG_MODULES=y CONFIG_CRYPTO_ECDSA=y "$@" >"$tree/build/.config"
}

secure_boot() { printf %b "$1" | variable SecureBoot "$GLOBAL"; }

# What shim leaves behind in every boot.
started_by_shim() { printf 'sbat,1,2024010900\n' | variable SbatLevelRT "$SHIM"; }
