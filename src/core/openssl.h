/* SPDX-License-Identifier: MIT */
/* OpenSSL's handles freed at the end of their scope, its error queue as our error. */
#ifndef KS_CORE_OPENSSL_H
#define KS_CORE_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"

#define KS_X509 __attribute__((cleanup(ks_x509_free))) X509
#define KS_EVP_PKEY __attribute__((cleanup(ks_evp_pkey_free))) EVP_PKEY
#define KS_CMS __attribute__((cleanup(ks_cms_free))) CMS_ContentInfo
#define KS_BIO __attribute__((cleanup(ks_bio_free))) BIO

void ks_x509_free(X509 **cert);
void ks_evp_pkey_free(EVP_PKEY **key);
void ks_cms_free(CMS_ContentInfo **cms);
void ks_bio_free(BIO **chain); /* the whole chain */

/*
 * Whether OpenSSL ever had to do without memory in this process, known after ks_secret_prepare().
 * Then nothing that it says against a key, a certificate or a message can be believed: not all of
 * OpenSSL tells why it failed, or can do later what it could not set up at first.  What it found
 * good is good.
 */
bool ks_openssl_is_starved(void);

/*
 * Has OpenSSL read its configuration now: it does so once, when it is first used, and a confined
 * thread could not.
 */
void ks_openssl_configure(void);

/* For those who give it memory: there was none.  Safe in threads. */
void ks_openssl_starve(void);

/* Returns false; ERR, which is against something, becomes that of missing memory if it is that. */
bool ks_openssl_doubt(struct ks_error *err);

/*
 * "WHAT: reason", the reason from the oldest entry of the thread's queue, which is emptied; or the
 * error of missing memory, as ks_openssl_doubt() says.
 */
bool ks_fail_openssl(struct ks_error *err, enum ks_code code, const char *what);

/* The digest of exactly that name, static; NULL for an unknown one. */
const EVP_MD *ks_digest_find(const char *name);

/* KS_ERR_UNSUPPORTED where this OpenSSL puts no ECDSA signature by that digest into messages. */
KS_MUST_CHECK bool ks_digest_takes_ecdsa(const char *name, struct ks_error *err);

/* The digest of VIEW by ks_digest_find(NAME), lower-case hexadecimal; the caller's. */
KS_MUST_CHECK bool ks_digest_hex(const char *name, struct ks_view view, char **hex,
				 struct ks_error *err);

/* BYTES in lower-case hexadecimal; the caller's. */
KS_MUST_CHECK bool ks_hex(struct ks_view bytes, char **hex, struct ks_error *err);

/* A pem_password_cb that has none: without one OpenSSL asks on the terminal. */
int ks_no_passphrase(char *buf, int size, int writing, void *data);

/* A BIO that reads VIEW's bytes, which must outlive it; fails above INT_MAX bytes. */
KS_MUST_CHECK bool ks_bio_open(struct ks_view view, BIO **bio, struct ks_error *err);

/* Writes VIEW, of any length, into a chain. */
KS_MUST_CHECK bool ks_bio_write(BIO *chain, struct ks_view view, struct ks_error *err);

#endif
