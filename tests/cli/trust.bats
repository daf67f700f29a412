#!/usr/bin/env bats
# shellcheck shell=bats
# SPDX-License-Identifier: MIT
# kernel-sign trust: images made by compiler and linker, EFI variables made byte by byte.

load common
load kernel

setup_file() {
	make_fixtures
}

setup() {
	start_test
	start_kernel
	trust=(trust "${here[@]}" --efivars "$efi")
}

# accepted NAME FROM: what --json says of the certificate of key NAME from there.
accepted() {
	jq -r --arg cn "CN=the $1 key" --arg from "$2" \
		'.kernels[].certificates[] | select(.subject == $cn and .from == $from) | .accepted' <<<"$output"
}

fact() { jq -r ".kernels[].$1" <<<"$output"; }

@test "certificates compiled in, and no more of the image" {
	image somebody@somewhere rsa ec
	ks 0 "${trust[@]}" --json
	[ "$(jq '.kernels[].certificates | length' <<<"$output")" = 2 ]
	[ "$(accepted rsa builtin)" = yes ]
	[ "$(accepted ec builtin)" = yes ]
	[ "$(fact image)" = "/boot/vmlinuz-$V" ]
	# Certificates that are no list: those of cfg80211, say.
	printf '.section .rodata\n.incbin "%s"\n' "$KEYS/rsa.der" >image.S
	"${COMPILER[@]}" -nostdlib -static -Wl,-e,0 -o "$root/boot/vmlinuz-$V" image.S
	ks 0 "${trust[@]}" --json
	[ "$(jq '.kernels[].certificates | length' <<<"$output")" = 0 ]
	[[ $(fact 'unseen[0]') == *"no list of certificates"* ]]
	warns "not seen: /boot/vmlinuz-$V: no list of certificates"
}

@test "Debian counts MOK and db, nobody knows of others" {
	listed rsa | variable MokListRT "$SHIM"
	listed ec other | variable db "$SECURITY"
	image "$DEBIAN"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec db) $(accepted other db)" = 'yes yes yes' ]
	[[ $(fact rule) == Debian* ]]
	[[ $(fact rule_why) == *"$DEBIAN"* ]]
	image somebody@somewhere
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec db)" = 'unknown unknown' ]
	[[ $(fact rule_why) == *somebody@somewhere* ]]
	printf '\1' | variable MokListTrustedRT "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec db)" = 'unknown unknown' ]
	config CONFIG_INTEGRITY_MACHINE_KEYRING=y
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec db)" = 'yes unknown' ]
	# Fedora's: .machine is for certificate authorities.
	config CONFIG_INTEGRITY_MACHINE_KEYRING=y CONFIG_INTEGRITY_CA_MACHINE_KEYRING=y
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec db)" = 'unknown unknown' ]
}

@test "which variable and which symbol decide of another kernel's MOKs is said" {
	listed rsa | variable MokListRT "$SHIM"
	image somebody@somewhere
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MOK +unknown \(rule\)'
	says 'else unknown \(built by somebody@somewhere, whose kernels were not read\)$'
	printf '\1' | variable MokListTrustedRT "$SHIM"
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MOK +unknown \(CONFIG_INTEGRITY_MACHINE_KEYRING\)'
	says '^rule: .*not read; MokListTrustedRT is there, CONFIG_INTEGRITY_MACHINE_KEYRING is not set\)$'
	config CONFIG_INTEGRITY_MACHINE_KEYRING=y
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MOK +yes'
	says '^rule: .*not read; MokListTrustedRT is there, CONFIG_INTEGRITY_MACHINE_KEYRING is set\)$'
	for symbol in CA_MACHINE_KEYRING CA_MACHINE_KEYRING_MAX; do
		config CONFIG_INTEGRITY_MACHINE_KEYRING=y "CONFIG_INTEGRITY_$symbol=y"
		ks 0 "${trust[@]}"
		says "CN=the rsa key +MOK +unknown \(CONFIG_INTEGRITY_$symbol\)"
		says "^rule: .*; MokListTrustedRT is there, CONFIG_INTEGRITY_$symbol is set\)\$"
	done
	rm "$tree/build/.config"
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MOK +unknown \(CONFIG_INTEGRITY_MACHINE_KEYRING\)'
	says '^rule: .*; MokListTrustedRT is there, CONFIG_INTEGRITY_MACHINE_KEYRING is unknown\)$'
	# Where patches are known they decide.
	image "$DEBIAN"
	ks 0 "${trust[@]}"
	says '^rule: .*\(built by [^;]*\)$'
	says 'CN=the rsa key +MOK +yes'
}

@test "of a builder that is known, it is the version that was not read" {
	local version
	for version in 5.10.0-old 8.1.0-new; do
		mkdir -p "$root/lib/modules/$version"
		image_of "$version" "$DEBIAN" rsa
		ks 0 trust --root "$root" -k "$version"
		says "^rule: any other kernel: .* \(built by $DEBIAN, of whose kernels $version was not read\)\$"
	done
}

@test "what was switched off in shim is off: Secure Boot, and db" {
	image "$DEBIAN"
	listed rsa | variable MokListRT "$SHIM"
	listed ec | variable db "$SECURITY"
	printf '\0' | variable MokSBStateRT "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(fact secure_boot) $(accepted rsa MOK) $(accepted ec db)" = 'yes yes yes' ]
	printf '\1' | variable MokSBStateRT "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(fact secure_boot) $(accepted rsa MOK) $(accepted ec db)" = 'no no yes' ]
	printf '\1' | variable MokIgnoreDB "$SHIM"
	ks 0 "${trust[@]}"
	says 'CN=the ec key +db +no \(MokIgnoreDB\)'
}

@test "whether shim started the system, and can enrol" {
	image "$DEBIAN"
	listed rsa | variable MokNew "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(fact efi) $(fact shim)" = 'yes no' ]
	ks 0 "${trust[@]}"
	says '^shim: did not start this system$'
	started_by_shim
	ks 0 "${trust[@]}" --json
	[ "$(fact efi) $(fact shim)" = 'yes yes' ]
	ks 0 "${trust[@]}"
	says '^shim: started this system$'
	ks 0 trust "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none" --json
	[ "$(fact efi) $(fact shim)" = 'no unknown' ]
	ks 0 trust "${here[@]}" --efivars "$BATS_TEST_TMPDIR/none"
	says '^shim: none, as there is no UEFI$'
	says '^Secure Boot: off$'
	not warns none
	# A file is no directory that is not there.
	ks 0 trust "${here[@]}" --efivars /etc/passwd
	says '^shim: unknown$'
	says '^Secure Boot: unknown$'
	[ "$(grep passwd <<<"$stderr")" = 'kernel-sign: not seen: /etc/passwd: open: Not a directory' ]
	ks 0 trust "${here[@]}"
	says '^shim: unknown$'
}

@test "MOK counts under Secure Boot only" {
	image "$DEBIAN"
	listed rsa | variable MokListRT "$SHIM"
	secure_boot '\0'
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK)" = no ]
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MOK +no \(Secure Boot\)'
	rm "$efi"/SecureBoot-*
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK)" = unknown ]
}

@test "a key that the kernel cannot use does not count" {
	image "$DEBIAN" ec
	listed rsa other | variable db "$SECURITY"
	printf '%s\n' CONFIG_MODULES=y '# CONFIG_CRYPTO_ECDSA is not set' >"$tree/build/.config"
	ks 0 "${trust[@]}" --json
	[ "$(accepted ec builtin) $(accepted other db) $(accepted rsa db)" = 'no no yes' ]
	printf '%s\n' CONFIG_MODULES=y CONFIG_CRYPTO_ECDSA=m >"$tree/build/.config"
	ks 0 "${trust[@]}" --json
	[ "$(accepted ec builtin) $(accepted other db) $(accepted rsa db)" = 'unknown unknown yes' ]
	# P-521 came with 6.10.
	certify p521 -newkey ec -pkeyopt ec_paramgen_curve:secp521r1
	listed p521 | variable db "$SECURITY"
	config
	ks 0 "${trust[@]}" --json
	[ "$(accepted ec builtin) $(accepted p521 db)" = 'yes no' ]
	ks 0 "${trust[@]}"
	says 'CN=the p521 key +db +no \(key type\)'
}

@test "without an image nothing is known but what is enrolled" {
	listed rsa | variable db "$SECURITY"
	ks 0 "${trust[@]}" --json
	[ "$(fact image)" = null ]
	[ "$(accepted rsa db)" = unknown ]
	warns 'not seen: kernel image: .*No such file'
}

@test "what dbx and MOKX list is refused by kernels that look there, and by no others" {
	image "$DEBIAN" rsa
	listed rsa ec other | variable db "$SECURITY"
	listed rsa | variable dbx "$SECURITY"
	listed ec | variable MokListXRT "$SHIM"
	hashed 3 >>"$efi/dbx-$SECURITY"
	config CONFIG_SYSTEM_REVOCATION_LIST=y
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa builtin) $(accepted rsa db) $(accepted ec db) $(accepted other db)" = 'no no no yes' ]
	[ "$(accepted rsa dbx) $(accepted ec MOKX)" = 'no no' ]
	[ "$(jq -r '.kernels[].certificates[] | select(.from == "dbx") | .refused' <<<"$output")" = yes ]
	[ "$(fact refused_hashes)" = 3 ]
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +dbx +refused'
	says '^hashes in dbx and MOKX: 3'
	# As Debian's own are built, and as the boots in tests/kernel show it.
	config '# CONFIG_SYSTEM_REVOCATION_LIST is not set'
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa builtin) $(accepted rsa db) $(accepted ec db)" = 'yes yes yes' ]
	config CONFIG_SYSTEM_REVOCATION_LIST=y
	secure_boot '\0'
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa db) $(accepted ec db)" = 'no yes' ]
	rm "$tree/build/.config"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa builtin) $(accepted rsa db)" = 'unknown unknown' ]
}

@test "what waits for the next boot is not there yet" {
	image "$DEBIAN"
	listed rsa | variable MokNew "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MokNew)" = no ]
	ks 0 "${trust[@]}"
	says 'CN=the rsa key +MokNew +at the next boot'
	# What is to be removed is there until then.
	listed ec | variable MokListRT "$SHIM"
	listed ec | variable MokDel "$SHIM"
	ks 0 "${trust[@]}" --json
	[ "$(accepted ec MOK) $(accepted ec MokDel)" = 'yes no' ]
	ks 0 "${trust[@]}"
	says 'CN=the ec key +MokDel +to be removed at the next boot'
}

@test "enforced, or not, or nobody can say" {
	image "$DEBIAN"
	config CONFIG_MODULE_SIG=y
	rm "$efi"/SecureBoot-*
	ks 0 "${trust[@]}" --json
	[ "$(fact module_sig) $(fact enforced) $(fact secure_boot)" = 'yes unknown unknown' ]
	config CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y
	ks 0 "${trust[@]}" --json
	[ "$(fact enforced)" = yes ]
	config '# CONFIG_MODULE_SIG is not set'
	ks 0 "${trust[@]}" --json
	[ "$(fact module_sig) $(fact enforced)" = 'no no' ]
	config CONFIG_MODULE_SIG=y CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y
	secure_boot '\0'
	ks 0 "${trust[@]}" --json
	[ "$(fact enforced) $(fact secure_boot)" = 'unknown no' ]
	secure_boot '\1'
	ks 0 "${trust[@]}" --json
	[ "$(fact enforced) $(fact secure_boot)" = 'yes yes' ]
	rm "$tree/build/.config"
	ks 0 "${trust[@]}" --json
	[ "$(fact module_sig)" = unknown ]
}

@test "another root has no firmware, unless it is named" {
	image "$DEBIAN"
	listed rsa | variable db "$SECURITY"
	ks 0 trust "${here[@]}" --json
	[ "$(jq '.kernels[].certificates | length' <<<"$output")" = 0 ]
	[ "$(fact secure_boot)" = unknown ]
}

@test "damaged variables and images: said, and the rest is shown" {
	image "$DEBIAN" ec
	listed rsa | head -c 300 | variable db "$SECURITY"
	listed rsa | variable MokListRT "$SHIM"
	printf 'x' >"$efi/dbx-$SECURITY"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK) $(accepted ec builtin)" = 'yes yes' ]
	warns 'not seen: .*dbx'
	warns 'not seen: db: '
	head -c 3000 /dev/urandom >"$root/boot/vmlinuz-$V"
	ks 0 "${trust[@]}" --json
	[ "$(accepted rsa MOK)" = unknown ]
	warns "not seen: /boot/vmlinuz-$V: "
	# Of another kernel's nothing is shown.
	image_of 6.99-other "$DEBIAN" ec
	mv "$root/boot/vmlinuz-6.99-other" "$root/boot/vmlinuz-$V"
	ks 0 "${trust[@]}" --json
	[ "$(accepted ec builtin)$(fact image)" = null ]
	[ "$(accepted rsa MOK)" = unknown ]
	warns "not seen: /boot/vmlinuz-$V: it is the image of 6.99-other"
}

@test "what may not be read is said, not taken for absent" {
	image "$DEBIAN" ec
	listed rsa | variable db "$SECURITY"
	let_nobody_in
	chmod 0 "$root/boot/vmlinuz-$V" "$efi/db-$SECURITY"
	[ "$(id -u)" != 0 ] || chown 0:0 "$root/boot/vmlinuz-$V" "$efi/db-$SECURITY"
	not nobody cat "$root/boot/vmlinuz-$V"
	not nobody cat "$efi/db-$SECURITY"
	run --separate-stderr nobody "$KERNEL_SIGN" "${trust[@]}" --json
	ended 0
	warns "not seen: .*vmlinuz-$V: .*Permission denied"
	warns "not seen: .*db-$SECURITY: .*Permission denied"
	[ "$(jq '.kernels[].unseen | length' <<<"$output")" = 2 ]
}

@test "every kernel with -k all; names that nobody has are errors" {
	image "$DEBIAN" rsa
	mkdir -p "$root/lib/modules/6.99-other"
	ks 0 trust --root "$root" -k all --json
	[ "$(jq -r '[.kernels[].kernel] | join(" ")' <<<"$output")" = "$V 6.99-other" ]
	ks 1 trust --root "$root" -k 1.2.3
	warns 'no kernel 1.2.3'
	ks 2 trust --root "$root" some.ko
	warns 'takes no operand'
}

# on_this_kernel ROLE [ARGUMENT...]: trust about the kernel that runs here, in a root of its own
# with nothing but the program, that kernel's image and config, and the host's /proc, whose config, where it
# has one, is this. ROLE is "root" or "nobody".
on_this_kernel() {
	local role=$1 own=(unshare --mount --propagation private) as=()
	shift
	[ "$(id -u)" = 0 ] || own=(unshare --user --map-root-user --mount)
	if [ "$(id -u)" = 0 ] && [ "$role" = nobody ]; then
		as=(--userspec=65534:65534 --groups=)
	fi
	# shellcheck disable=SC2016 # for the shell in the namespace
	run --separate-stderr "${own[@]}" sh -c '
		mount --rbind /proc "$1/proc"
		[ ! -e "$1/config.gz" ] || mount --bind "$1/config.gz" "$1/proc/config.gz"
		shift
		exec chroot "$@"' sh "$root" "${as[@]}" "$root" /kernel-sign trust "$@"
}

# The tree of on_this_kernel: image and config of the running kernel, as if rsa and ec were compiled in.
this_kernel() {
	local file
	ldd "$KERNEL_SIGN" >/dev/null 2>&1 || skip "$KERNEL_SIGN is no program that ldd knows"
	unshare --mount true 2>/dev/null || unshare --user --map-root-user --mount true 2>/dev/null ||
		skip "no mounts for us"
	mv "$root/lib/modules/$V" "$root/lib/modules/$(uname -r)"
	gzip <"$root/lib/modules/$(uname -r)/build/.config" >"$root/config.gz"
	image_of "$(uname -r)" somebody@somewhere rsa ec
	mkdir "$root/proc"
	cp "$KERNEL_SIGN" "$root/kernel-sign"
	for file in $(ldd "$KERNEL_SIGN" | grep -o '/[^ ]*'); do
		cp -L --parents "$file" "$root"
	done
	chmod -R a+rX "$root"
}

@test "the running kernel's keyrings, where they are shown" {
	this_kernel
	[ "$(id -u)" = 0 ] || skip "the kernel shows its keyrings to root only"
	grep -q ' keyring  *\.builtin_trusted_keys: ' /proc/keys || skip "it does not even show them to root"
	on_this_kernel root --json
	ended 0
	[[ $stderr != *"without libkeyutils"* ]] || skip "built without libkeyutils"
	[ "$(fact running)" = true ]
	[ "$(fact 'unseen | length')" = 0 ]
	# What was never compiled into it is in none of them.
	[ "$(fact keyrings_agree)" = no ]
	[ "$(jq -r '[.kernels[].certificates[].keyring] | join(" ")' <<<"$output")" = 'none none' ]
	[ "$(accepted rsa builtin) $(accepted ec builtin)" = 'no no' ]
	[[ $(fact 'differences | join(" ")') == *'the rsa key: '*'expected in .builtin_trusted_keys, is in no keyring'* ]]
	on_this_kernel root
	ended 0
	says '^image and keyring agree: no$'
	says '^differs: the rsa key: [0-9a-f]+: from builtin: expected in .builtin_trusted_keys, is in no keyring$'
	says ' KEYRING$'
	says '^CN=the rsa key +builtin +no \(keyrings\) +[0-9a-f]+ +none$'
}

@test "whoever may not see keyrings is told so, and what the rule says" {
	this_kernel
	# shellcheck disable=SC2016 # for the other shell
	not nobody sh -c 'grep -q " keyring  *\.builtin_trusted_keys: " /proc/keys'
	on_this_kernel nobody --json
	ended 0
	[[ $stderr != *"without libkeyutils"* ]] || skip "built without libkeyutils"
	warns "not seen: the kernel's keyrings: /proc/keys does not show them"
	[ "$(fact running)" = true ]
	[ "$(fact keyrings_agree)" = unknown ]
	[ "$(jq -r '[.kernels[].certificates[].keyring] | unique | tostring' <<<"$output")" = '[null]' ]
	[ "$(accepted rsa builtin) $(accepted ec builtin)" = 'yes yes' ]
	[ "$(fact 'differences | length') $(fact 'ring_keys | length')" = '0 0' ]
}

@test "the running kernel's config is the one that it shows itself" {
	[ -e /proc/config.gz ] || skip "this kernel does not show its config"
	this_kernel
	printf '%s\n' CONFIG_MODULES=y CONFIG_MODULE_SIG=y | gzip >"$root/config.gz"
	rm "$root/lib/modules/$(uname -r)/build/.config"
	on_this_kernel nobody --json
	ended 0
	[ "$(fact running) $(fact module_sig)" = 'true yes' ]
	# Other kernels have nothing to do with it.
	mkdir "$root/lib/modules/6.99-other"
	on_this_kernel nobody -k 6.99-other --json
	ended 0
	[ "$(fact running) $(fact module_sig)" = 'false unknown' ]
}

@test "of a kernel that does not run no keyring is shown" {
	image "$DEBIAN" rsa
	listed ec | variable db "$SECURITY"
	config '# CONFIG_IMA_APPRAISE is not set'
	ks 0 "${trust[@]}" --json
	[ "$(fact keyrings_agree) $(fact 'differences | length') $(fact 'ring_keys | length')" = 'unknown 0 0' ]
	[ "$(jq -r '[.kernels[].certificates[].keyring] | unique | tostring' <<<"$output")" = '[null]' ]
	[ "$(fact ima_appraise) $(fact ima_why)" = 'no CONFIG_IMA_APPRAISE is not set' ]
	ks 0 "${trust[@]}"
	says '^IMA appraises modules: no '
	[[ $output != *KEYRING* && $output != *"agree"* ]]
	config CONFIG_IMA_APPRAISE=y
	ks 0 "${trust[@]}" --json
	[ "$(fact ima_appraise)" = unknown ]
}
