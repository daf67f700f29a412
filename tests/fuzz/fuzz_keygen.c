/* SPDX-License-Identifier: MIT */
/* Requests for a certificate: x509.oot.genkey. */
#include <openssl/err.h>
#include <string.h>

#include "core/cert.h"
#include "core/keygen.h"
#include "fuzz.h"

bool fuzz_accepted; /* a certificate is made by it */

enum { NOW = 1800000000, DAYS = 36500 };

/* What was made is what a reader of the file will see, whatever the request had in mind. */
static void check_pair(EVP_PKEY *key, X509 *cert)
{
	KS_BUF file = { 0 };
	KS_X509 *read = NULL;
	struct ks_error err;

	MUST(X509_get_version(cert) == X509_VERSION_3);
	MUST(X509_verify(cert, key) == 1);
	MUST(X509_check_private_key(cert, key) == 1);
	MUST(X509_NAME_entry_count(X509_get_subject_name(cert)) > 0);
	MUST(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0);
	MUST(ks_cert_time_check(cert, NOW) == KS_CERT_VALID);
	MUST(ks_cert_time_check(cert, NOW - 86400) != KS_CERT_VALID);
	MUST(ks_cert_write_der(cert, &file, &err));
	if (!ks_cert_parse(ks_buf_view(&file), &read, &err)) {
		MUST(err.code == KS_ERR_KEY);
		return;
	}
	MUST(X509_cmp(cert, read) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_keygen how = { .type = ks_key_type_find("ecdsa"),
				 .hash = "sha256",
				 .subject = size % 2 ? NULL : "a subject",
				 .host = "host",
				 .template = fuzz_view(data, size),
				 .now = NOW,
				 .days = DAYS };
	KS_EVP_PKEY *key = NULL;
	KS_X509 *cert = NULL;
	struct ks_error err;
	bool fit;

	fuzz_accepted = false;
	/* Both make OpenSSL read other files, which are not the input. */
	if (memmem(data, size, "include", 7) || memmem(data, size, "file:", 5))
		return 0;
	fit = ks_keygen_check(&how, &err);
	MUST(fit || (err.code == KS_ERR_INPUT && *err.text));
	fuzz_accepted = ks_keygen(&how, &key, &cert, &err);
	MUST(!ERR_peek_error());
	if (fuzz_accepted) {
		MUST(fit);
		check_pair(key, cert);
	} else {
		MUST(!key && !cert && *err.text);
		MUST(err.code == KS_ERR_INPUT || err.code == KS_ERR_CRYPTO);
	}
	return 0;
}
