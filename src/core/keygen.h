/* SPDX-License-Identifier: MIT */
/* A new private key and its self-signed certificate, fit to sign modules with. */
#ifndef KS_CORE_KEYGEN_H
#define KS_CORE_KEYGEN_H

#include <time.h>

#include "core/openssl.h"

/* The kinds that a kernel's build knows (Linux certs/Kconfig, MODULE_SIG_KEY_TYPE_*). */
struct ks_key_type {
	const char *name;    /* "rsa", "ecdsa", "mldsa-44", "mldsa-65", "mldsa-87" */
	const char *word;    /* what kernel-sign 3.0 wrote into the file `ktype': "rsa", "ec" */
	const char *symbol;  /* "CONFIG_MODULE_SIG_KEY_TYPE_RSA" */
	const char *openssl; /* the key's type there: "RSA", "EC", "ML-DSA-44" */
};

extern const struct ks_key_type ks_key_types[]; /* ends with a NULL name */

/* By name or word, in upper or lower case; NULL for an unknown one. */
const struct ks_key_type *ks_key_type_find(const char *name);

struct ks_keygen {
	const struct ks_key_type *type;
	const char *hash;	 /* of the certificate's own signature; ML-DSA takes none */
	const char *subject;	 /* common name; NULL: the template's, or one made from HOST */
	const char *host;	 /* for the common name that is made */
	struct ks_view template; /* an x509.oot.genkey, openssl-req(1); empty: the one in here */
	time_t now;		 /* seconds: the certificate is valid from here on */
	unsigned days;		 /* for so long */
};

/* Whether this OpenSSL can make such keys, and the subject fits X.509: asked before any is made. */
KS_MUST_CHECK bool ks_keygen_check(const struct ks_keygen *how, struct ks_error *err);

/*
 * RSA of 4096 bits (or the template's default_bits), ECDSA P-384, or ML-DSA, and an X.509 version 3
 * certificate with a random serial of 16 bytes and the template's subject and extensions.  The
 * caller frees both.
 */
KS_MUST_CHECK bool ks_keygen(const struct ks_keygen *how, EVP_PKEY **key, X509 **cert,
			     struct ks_error *err);

/* PEM (PKCS#8, not encrypted) and DER; appended to OUT. */
KS_MUST_CHECK bool ks_key_write_pem(EVP_PKEY *key, struct ks_buf *out, struct ks_error *err);
KS_MUST_CHECK bool ks_cert_write_pem(X509 *cert, struct ks_buf *out, struct ks_error *err);
KS_MUST_CHECK bool ks_cert_write_der(X509 *cert, struct ks_buf *out, struct ks_error *err);

#endif
