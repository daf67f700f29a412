/* SPDX-License-Identifier: MIT */
/* Private key, certificate and digest, and the PKCS#7 message that they make over bytes. */
#ifndef KS_CORE_SIGNER_H
#define KS_CORE_SIGNER_H

#include "core/openssl.h"

struct ks_signer;

struct ks_signer_spec {
	const char *key_name, *cert_name; /* for errors, to say whose fault it is; or NULL */
	struct ks_view key;		  /* a private key in PEM or DER, maybe encrypted */
	const char *passphrase;		  /* for it, or NULL */
	struct ks_view cert;		  /* its certificate in PEM or DER */
	const char *hash; /* as OpenSSL and the kernel name it: "sha256", "sha3-512" */
	bool key_id;	  /* name the signer by subject key id, not by issuer and serial */
};

/*
 * Everything that can be wrong with a key shows here, before a module is touched: KS_ERR_KEY for
 * a key that is missing, encrypted, or not the certificate's; KS_ERR_UNSUPPORTED for a digest or
 * key type this OpenSSL cannot sign with.  A first message is made over nothing and checked.
 */
KS_MUST_CHECK bool ks_signer_open(struct ks_signer **signer, const struct ks_signer_spec *spec,
				  struct ks_error *err);

/*
 * Appends to MESSAGE the DER message over IMAGE that scripts/sign-file makes: SignedData without
 * certificates, content, signed attributes or S/MIME capabilities.  Safe in several threads.
 */
KS_MUST_CHECK bool ks_signer_sign(const struct ks_signer *signer, struct ks_view image,
				  struct ks_buf *message, struct ks_error *err);

/* Borrowed from the signer. */
X509 *ks_signer_cert(const struct ks_signer *signer);
const char *ks_signer_hash(const struct ks_signer *signer);	 /* OpenSSL's long name */
const char *ks_signer_algorithm(const struct ks_signer *signer); /* as in struct ks_signer_id */

void ks_signer_free(struct ks_signer *signer);

#endif
