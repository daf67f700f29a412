/* SPDX-License-Identifier: MIT */
/* The certificates that signatures are checked against. */
#ifndef KS_CORE_CERTS_H
#define KS_CORE_CERTS_H

#include "core/openssl.h"

struct ks_certs {
	X509 **item;
	size_t count;
	size_t cap;
};

#define KS_CERTS __attribute__((cleanup(ks_certs_free))) struct ks_certs

/*
 * Adds every certificate in FILE: one in DER, or all in PEM, where other blocks are passed over.
 * KS_ERR_KEY if the first one is none, KS_ERR_INPUT if a later block is broken: what stands behind
 * it would be missing without a word.
 */
KS_MUST_CHECK bool ks_certs_parse(struct ks_certs *certs, struct ks_view file,
				  struct ks_error *err);

/*
 * Adds the certificates of PATH, inside ROOT as in ks_place_find(): a file, or every regular file
 * directly in a directory, where files without one are passed over.  KS_ERR_KEY if there is none.
 * The error names the file.
 */
KS_MUST_CHECK bool ks_certs_load(struct ks_certs *certs, const char *root, const char *path,
				 struct ks_error *err);

/* Adds CERT, which stays the caller's too. */
KS_MUST_CHECK bool ks_certs_add(struct ks_certs *certs, X509 *cert, struct ks_error *err);

void ks_certs_free(struct ks_certs *certs);

#endif
