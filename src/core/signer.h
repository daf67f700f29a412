/* SPDX-License-Identifier: MIT */
/* Private keys, their certificates and a digest, and the PKCS#7 message that they make over bytes. */
#ifndef KS_CORE_SIGNER_H
#define KS_CORE_SIGNER_H

#include "core/identity.h"

struct ks_signer;

struct ks_signer_spec {
	const struct ks_identity *identity; /* one or more, all of which sign */
	size_t count;			    /* up to KS_IDENTITIES */
	const char *hash;   /* as OpenSSL and the kernel name it: "sha256", "sha3-512" */
	bool key_id;	    /* name signers by subject key id, not by issuer and serial */
	bool deterministic; /* the same bytes every time, or an error when it is opened */
};

/*
 * Everything that can be wrong with a key shows here, before a module is touched: KS_ERR_KEY for a
 * certificate that is not the key's; KS_ERR_UNSUPPORTED for a digest or key type that this OpenSSL
 * cannot sign with.  A first message is made over nothing and checked.  Takes references only.
 */
KS_MUST_CHECK bool ks_signer_open(struct ks_signer **signer, const struct ks_signer_spec *spec,
				  struct ks_error *err);

/*
 * A signer that only says what CERT's key would make with HASH, for those whose messages come from
 * elsewhere: it cannot sign.  The same errors, as far as they show without the key.
 */
KS_MUST_CHECK bool ks_signer_open_public(struct ks_signer **signer, X509 *cert, const char *hash,
					 struct ks_error *err);

/* Appends to MESSAGE the DER message over IMAGE, see ks_message_make().  Safe in several threads. */
KS_MUST_CHECK bool ks_signer_sign(const struct ks_signer *signer, struct ks_view image,
				  struct ks_buf *message, struct ks_error *err);

/* Borrowed from the signer; I below the count. */
size_t ks_signer_count(const struct ks_signer *signer);
X509 *ks_signer_cert(const struct ks_signer *signer, size_t i);
const char *ks_signer_hash(const struct ks_signer *signer); /* OpenSSL's long name */
const char *ks_signer_algorithm(const struct ks_signer *signer,
				size_t i); /* as in struct ks_signer_id */

/* Whether a key of it is on a token or in a TPM, see ks_token_holds(). */
bool ks_signer_is_elsewhere(const struct ks_signer *signer);

void ks_signer_free(struct ks_signer *signer);

#endif
