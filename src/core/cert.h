/* SPDX-License-Identifier: MIT */
/* X.509 certificates (RFC 5280): read from PEM or DER, and what they say as text. */
#ifndef KS_CORE_CERT_H
#define KS_CORE_CERT_H

#include <time.h>

#include "core/openssl.h"

/*
 * The first certificate in FILE, PEM (other PEM blocks are passed over) or DER.  The caller frees
 * *cert.  KS_ERR_KEY if there is none in either encoding.
 */
KS_MUST_CHECK bool ks_cert_parse(struct ks_view file, X509 **cert, struct ks_error *err);

/* Whether FILE is read as DER, which holds one certificate, or else as PEM. */
bool ks_cert_is_der(struct ks_view file);

enum ks_cert_time {
	KS_CERT_VALID,
	KS_CERT_NOT_YET_VALID,
	KS_CERT_EXPIRED,
};

/* The kernel does not look at the dates: this is for warnings.  NOW in seconds since the epoch. */
enum ks_cert_time ks_cert_time_check(const X509 *cert, time_t now);

/*
 * The SHA-256 (32 bytes) of CERT's to-be-signed part, which lists of what is refused have.  False
 * where it cannot be encoded.
 */
bool ks_cert_tbs_sha256(const X509 *cert, uint8_t *hash);

/* A certificate as text; every member is the caller's, freed by ks_cert_text_free(). */
struct ks_cert_text {
	char *subject; /* RFC 2253 */
	char *issuer;
	char *serial;	  /* lower-case hexadecimal */
	char *key_id;	  /* subject key identifier, the same; NULL where it has none */
	char *not_before; /* "2026-11-23T18:21:45Z" */
	char *not_after;
	char *usage; /* "digitalSignature, codeSigning"; NULL where it does not say */
};

#define KS_CERT_TEXT __attribute__((cleanup(ks_cert_text_free))) struct ks_cert_text

KS_MUST_CHECK bool ks_cert_describe(X509 *cert, struct ks_cert_text *text, struct ks_error *err);
void ks_cert_text_free(struct ks_cert_text *text);

/* The functions below give text that the caller frees. */

/* The last commonName of NAME, or all of it (RFC 2253) where it has none. */
KS_MUST_CHECK bool ks_name_short(const X509_NAME *name, char **text, struct ks_error *err);

/* All of NAME, as RFC 2253 has it. */
KS_MUST_CHECK bool ks_name_full(const X509_NAME *name, char **text, struct ks_error *err);

/* Lower-case hexadecimal digits of an INTEGER (a serial number) or an OCTET STRING (a key id). */
KS_MUST_CHECK bool ks_integer_hex(const ASN1_INTEGER *value, char **text, struct ks_error *err);
KS_MUST_CHECK bool ks_octets_hex(const ASN1_OCTET_STRING *value, char **text, struct ks_error *err);

#endif
