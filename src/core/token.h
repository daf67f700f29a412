/* SPDX-License-Identifier: MIT */
/*
 * Keys and certificates that have a URI and no file: on PKCS#11 tokens ("pkcs11:", RFC 7512) by
 * pkcs11-provider or libp11's engine, in a TPM 2 ("handle:", "object:") by tpm2-openssl.  Providers
 * and engine are loaded when one of them is named and not before; all is of the process, as OpenSSL is.
 */
#ifndef KS_CORE_TOKEN_H
#define KS_CORE_TOKEN_H

#include "core/openssl.h"
#include "core/passphrase.h"

/* Whether NAME is a URI of that kind and no path. */
bool ks_token_is_uri(const char *name);

/* A copy of a path or URI for people to read, without a PIN that stands in it.  The caller frees it. */
KS_MUST_CHECK bool ks_token_redact(const char *name, char **shown, struct ks_error *err);

/*
 * The one private key that answers to URI; the caller frees it, before ks_token_close().  Once a
 * token has refused a PIN none is given to any of them in this process: they count, and lock.
 * KS_ERR_UNSUPPORTED where what speaks to such tokens is not installed; KS_ERR_MISSING if no key
 * answers, KS_ERR_KEY if several do or the PIN is wrong.  No error names the URI.
 */
KS_MUST_CHECK bool ks_token_key(const char *uri, const struct ks_passphrase *pin, EVP_PKEY **key,
				struct ks_error *err);

/*
 * The certificate that answers to URI, of several the one that is KEY's; "type=private" in the URI
 * counts for nothing, so that a key's URI finds its certificate.
 */
KS_MUST_CHECK bool ks_token_cert(const char *uri, const struct ks_passphrase *pin, EVP_PKEY *key,
				 X509 **cert, struct ks_error *err);

/* Makes OpenSSL able to read a file with a key that only a TPM can use ("TSS2 PRIVATE KEY"). */
KS_MUST_CHECK bool ks_token_prepare_tss2(struct ks_error *err);

/*
 * Whether it is not OpenSSL itself that works with KEY but an engine or a provider of somebody
 * else's, which may need files, sockets or devices to do so.
 */
bool ks_token_holds(const EVP_PKEY *key);

/*
 * The property query to fetch what works with KEY: OpenSSL 3.0 would rather work itself, with the
 * public half of the key, which is all that it gets.  NULL for a key of its own.
 */
const char *ks_token_properties(const EVP_PKEY *key);

/* To be told of the first signature by KEY that fails: a TPM looks at the PIN only then. */
void ks_token_blame(const EVP_PKEY *key, const struct ks_error *err);

/* Around each use of such a key; no two threads are between them with what cannot bear it. */
void ks_token_enter(const EVP_PKEY *key);
void ks_token_leave(const EVP_PKEY *key);

/* Logs out and unloads, as far as that can be done.  No key of a token may be left. */
void ks_token_close(void);

/*
 * Whether a process that ends as usual would end badly: OpenSSL lets go of its provider for PKCS#11
 * only when the libraries of tokens have taken themselves apart.  _exit() spares both.
 */
bool ks_token_outlives(void);

#endif
