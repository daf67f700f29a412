/* SPDX-License-Identifier: MIT */
/* The PKCS#7 message of a signed module, put together from signatures that were made already. */
#ifndef KS_CORE_MESSAGE_H
#define KS_CORE_MESSAGE_H

#include "core/openssl.h"

/* A signature is what the key gives: a block of PKCS#1, ECDSA's DER (RFC 3279), ML-DSA's bytes. */
struct ks_message_signer {
	X509 *cert;
	struct ks_view signature;
};

/*
 * Appends to MESSAGE in DER what scripts/sign-file makes: SignedData (RFC 5652) without content,
 * certificates, attributes or S/MIME capabilities.  MD is what was signed, of all SIGNERs; KEY_ID
 * names them by subject key id, not by issuer and serial.  Nobody looks whether the signatures hold.
 */
KS_MUST_CHECK bool ks_message_make(const struct ks_message_signer *signer, size_t count,
				   const EVP_MD *md, bool key_id, struct ks_buf *message,
				   struct ks_error *err);

#endif
