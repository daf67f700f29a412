/* SPDX-License-Identifier: MIT */
/* A private key and the certificate that belongs to it, opened. */
#ifndef KS_CORE_IDENTITY_H
#define KS_CORE_IDENTITY_H

#include "core/openssl.h"

enum { KS_IDENTITIES = 8 }; /* the most that one signature may be by */

struct ks_identity {
	EVP_PKEY *key;
	X509 *cert;
	const char *key_name, *cert_name; /* for errors, to say whose fault it is; or NULL */
	char *shown[2];			  /* what those may point to: the identity's own, or NULL */
};

#define KS_IDENTITY __attribute__((cleanup(ks_identity_free))) struct ks_identity

/* Whether they belong together: KS_ERR_KEY if not.  The error names neither. */
KS_MUST_CHECK bool ks_identity_check(const struct ks_identity *identity, struct ks_error *err);

/* "KEY: CERT: " in front of an error that is the fault of both.  Returns false. */
bool ks_identity_blame(const struct ks_identity *identity, struct ks_error *err);

void ks_identity_free(struct ks_identity *identity);

#endif
