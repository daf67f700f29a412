/* SPDX-License-Identifier: MIT */
/*
 * A private key out of a file's bytes: PEM or DER, traditional or PKCS#8, encrypted or not, PKCS#12;
 * or a TPM's, of which the file has what only that TPM can use (TSS2 PRIVATE KEY).
 */
#ifndef KS_CORE_KEY_H
#define KS_CORE_KEY_H

#include "core/openssl.h"
#include "core/passphrase.h"

/*
 * Asks FROM (or NULL) only where the key is encrypted.  The caller frees *key.  KS_ERR_KEY says
 * whether there is no private key in FILE, whether it wants a passphrase or whether this one is
 * wrong.  CERT, if it is not NULL, is for the key's certificate in a PKCS#12 file, NULL if it has none.
 */
KS_MUST_CHECK bool ks_key_open(struct ks_view file, const struct ks_passphrase *from,
			       EVP_PKEY **key, X509 **cert, struct ks_error *err);

/* Whether FILE is PKCS#12 (RFC 7292), which may have both key and certificate. */
bool ks_key_is_pkcs12(struct ks_view file);

/* Whether FILE has a key that only the TPM can use which made it. */
bool ks_key_is_tss2(struct ks_view file);

/*
 * The same with what is known already.  PASSPHRASE is NULL where there is none.  The caller frees *key.  KS_ERR_KEY says whether there
 * is no private key in FILE, whether it wants a passphrase or whether this one is wrong.
 */
KS_MUST_CHECK bool ks_key_parse(struct ks_view file, const char *passphrase, EVP_PKEY **key,
				struct ks_error *err);

/* Whether it is an ML-DSA key (FIPS 204), which signs bytes and no digest. */
bool ks_key_is_mldsa(const EVP_PKEY *key);

#endif
