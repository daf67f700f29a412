/* SPDX-License-Identifier: MIT */
/*
 * A kernel image file and the certificates compiled into it.  Read are: an x86 bzImage (the
 * kernel's Documentation/arch/x86/boot.rst), an EFI zboot image (drivers/firmware/efi/libstub/
 * zboot-header.S), an ELF vmlinux, an Image as on arm64 and riscv, and the last two packed as a
 * whole.  Payloads may be gzip, xz, zstd, lzma and, where liblz4 was there at build time, lz4.
 */
#ifndef KS_CORE_IMAGE_H
#define KS_CORE_IMAGE_H

#include "core/certs.h"

struct ks_image {
	char *release; /* "6.12.94+deb13-amd64", as uname -r; NULL where the image does not say */
	char *builder; /* who built it, "debian-kernel@lists.debian.org"; NULL likewise */
	/*
	 * Whether the list of trusted certificates (certs/system_certificates.S) was found.  It
	 * cannot be told from nothing where it is empty, so false means "unknown", not "none".
	 * Certificates anywhere else in an image (cfg80211 has some) are no part of it.
	 */
	bool has_list;
	struct ks_certs builtin; /* what the kernel puts into .builtin_trusted_keys */
	/* builtin.item[0] belongs to the key of the kernel's build; false where an entry is unread. */
	bool has_build_key;
	/* What it puts into .blacklist (certs/revocation_certificates.S), empty or not found. */
	struct ks_certs revoked;
	size_t unread; /* entries of both lists that OpenSSL cannot read as certificates */
};

#define KS_IMAGE __attribute__((cleanup(ks_image_free))) struct ks_image

/*
 * Reads the image FILE, which has to stay only during the call; LIMIT is for the bytes of the
 * unpacked kernel.  KS_ERR_INPUT: no kernel image, damaged, or larger than LIMIT.
 * KS_ERR_UNSUPPORTED: a payload that nothing here unpacks, by its name ("bzip2").  Any ELF file is
 * taken for a kernel; one that is none has neither release nor list.
 */
KS_MUST_CHECK bool ks_image_read(struct ks_view file, size_t limit, struct ks_image *image,
				 struct ks_error *err);

void ks_image_free(struct ks_image *image);

#endif
