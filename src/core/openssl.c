/* SPDX-License-Identifier: MIT */
#include "core/openssl.h"

#include <limits.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ks_x509_free(X509 **cert)
{
	X509_free(*cert);
}

void ks_evp_pkey_free(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

void ks_cms_free(CMS_ContentInfo **cms)
{
	CMS_ContentInfo_free(*cms);
}

void ks_bio_free(BIO **chain)
{
	BIO_free_all(*chain);
}

static atomic_bool starved;

void ks_openssl_starve(void)
{
	starved = true;
}

void ks_openssl_configure(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	ERR_clear_error();
}

bool ks_openssl_is_starved(void)
{
	return starved;
}

bool ks_openssl_doubt(struct ks_error *err)
{
	return starved && ks_fail_memory(err);
}

bool ks_fail_openssl(struct ks_error *err, enum ks_code code, const char *what)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long first = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
	const char *reason = first ? ERR_reason_error_string(first) : NULL;
	/* Only somebody else's provider has the cause there. */
	bool more = ERR_GET_LIB(first) >= ERR_LIB_USER && data && data[0] &&
		    (flags & ERR_TXT_STRING) && !strchr(data, '\n');

	ks_fail(err, code, "%s: %s%s%s", what, reason ? reason : "failed", more ? ": " : "",
		more ? data : "");
	ERR_clear_error();
	return ks_openssl_doubt(err);
}

const EVP_MD *ks_digest_find(const char *name)
{
	/* OpenSSL 3.5 overlooks a blank behind the name, 3.0 does not. */
	return strchr(name, ' ') ? NULL : EVP_get_digestbyname(name);
}

bool ks_hex(struct ks_view bytes, char **hex, struct ks_error *err)
{
	char *end = *hex = malloc(2 * bytes.len + 1);

	if (!end)
		return ks_fail_memory(err);
	*end = '\0';
	for (size_t i = 0; i < bytes.len; i++)
		end += sprintf(end, "%02x", bytes.data[i]);
	return true;
}

bool ks_digest_takes_ecdsa(const char *name, struct ks_error *err)
{
	return strncmp(name, "sha3-", 5) != 0 || OpenSSL_version_num() >= 0x30200000 ||
	       ks_fail(err, KS_ERR_UNSUPPORTED,
		       "ECDSA with %s needs OpenSSL 3.2 or later, this is %s", name,
		       OpenSSL_version(OPENSSL_VERSION_STRING));
}

bool ks_digest_hex(const char *name, struct ks_view view, char **hex, struct ks_error *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	const EVP_MD *md = ks_digest_find(name);
	unsigned int len;

	if (!md || EVP_Digest(view.data, view.len, digest, &len, md, NULL) != 1)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	return ks_hex(ks_view_of(digest, len), hex, err);
}

int ks_no_passphrase(char *buf, int size, int writing, void *data)
{
	(void)buf, (void)size, (void)writing, (void)data;
	return -1;
}

bool ks_bio_open(struct ks_view view, BIO **bio, struct ks_error *err)
{
	if (view.len > INT_MAX)
		return ks_fail(err, KS_ERR_INPUT, "too large");
	*bio = BIO_new_mem_buf(view.len ? (const void *)view.data : "", (int)view.len);
	return *bio ? true : ks_fail_memory(err);
}

bool ks_bio_write(BIO *chain, struct ks_view view, struct ks_error *err)
{
	while (view.len) {
		int part = view.len < 1 << 30 ? (int)view.len : 1 << 30;
		int n = BIO_write(chain, view.data, part);

		if (n <= 0)
			return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
		view.data += n;
		view.len -= (size_t)n;
	}
	return true;
}
