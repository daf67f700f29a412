/* SPDX-License-Identifier: MIT */
/*
 * EFI_SIGNATURE_LISTs (UEFI specification, 32.4.1), one behind the other: the content of db, dbx
 * and of shim's MokListRT, MokListXRT, MokNew and the like, without a variable's attributes.
 */
#ifndef KS_CORE_SIGLIST_H
#define KS_CORE_SIGLIST_H

#include "core/certs.h"

enum { KS_SIGLIST_SHA256 = 32 }; /* bytes */

enum ks_siglist_type {
	KS_SIGLIST_IMAGE, /* EFI_CERT_SHA256_GUID: of a binary, or of a whole file */
	KS_SIGLIST_TBS,	  /* EFI_CERT_X509_SHA256_GUID: of a certificate's to-be-signed part */
};

struct ks_siglist_hash {
	enum ks_siglist_type type;
	uint8_t value[KS_SIGLIST_SHA256];
};

struct ks_siglist {
	struct ks_certs certs; /* EFI_CERT_X509_GUID */
	struct ks_siglist_hash *hash;
	size_t hash_count;
	size_t unread;	/* X.509 entries that OpenSSL cannot read as certificates */
	size_t unknown; /* entries of other types, or hashes of another length */
	/*
	 * NULL, or in plain words why the data cannot be read to its end.  What stands before
	 * that is in this list, as it is in the kernel's keyrings (security/integrity/
	 * platform_certs/efi_parser.c stops at the same places).
	 */
	const char *damage;
};

#define KS_SIGLIST __attribute__((cleanup(ks_siglist_free))) struct ks_siglist

/* No data is an empty list.  Fails only for want of memory. */
KS_MUST_CHECK bool ks_siglist_parse(struct ks_view data, struct ks_siglist *list,
				    struct ks_error *err);

/* Whether the list has this SHA-256 (KS_SIGLIST_SHA256 bytes) with this type. */
bool ks_siglist_has(const struct ks_siglist *list, enum ks_siglist_type type, const uint8_t *value);

void ks_siglist_free(struct ks_siglist *list);

#endif
