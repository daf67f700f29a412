/* SPDX-License-Identifier: MIT */
#include "core/key.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/store.h>
#include <stdio.h>
#include <string.h>

#include "core/token.h"

enum { MOST_BLOCKS = 64 }; /* of a PEM file, or objects of a PKCS#12, that are looked at */

struct found {
	EVP_PKEY *key;
	X509 *cert[MOST_BLOCKS];
	size_t certs;
	char cipher[32]; /* that OpenSSL does not offer, as it names it; or empty */
};

/* A block that is no key, or that nothing understands, may stand before it: EC PARAMETERS, say. */
static void take(struct found *found, OSSL_STORE_CTX *store, bool certs_too)
{
	for (int i = 0; i < MOST_BLOCKS && !OSSL_STORE_eof(store); i++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		X509 *cert = certs_too && info ? OSSL_STORE_INFO_get1_CERT(info) : NULL;

		if (info && !found->key)
			found->key = OSSL_STORE_INFO_get1_PKEY(info);
		if (cert)
			found->cert[found->certs++] = cert;
		OSSL_STORE_INFO_free(info);
		if (found->key && !certs_too)
			return;
	}
}

/* What an algorithm that was looked for in vain leaves behind: "..., Algorithm (RC2-40-CBC : 0), ...". */
static void find_missing_cipher(struct found *found)
{
	static const char before[] = "Algorithm (";
	unsigned long code;
	const char *data;
	int flags;

	while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags))) {
		const char *at = (flags & ERR_TXT_STRING) ? strstr(data, before) : NULL;

		if (!at || ERR_GET_LIB(code) != ERR_LIB_EVP ||
		    ERR_GET_REASON(code) != ERR_R_UNSUPPORTED)
			continue;
		at += strlen(before);
		snprintf(found->cipher, sizeof(found->cipher), "%.*s", (int)strcspn(at, " )"), at);
	}
}

static void read_file(BIO *bio, struct ks_asking *asking, bool certs_too, struct found *found)
{
	UI_METHOD *ui = ks_asking_method();
	OSSL_STORE_CTX *store =
		OSSL_STORE_attach(bio, "file", NULL, NULL, ui, asking, NULL, NULL, NULL);

	if (store && (certs_too || OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY)))
		take(found, store, certs_too);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	find_missing_cipher(found);
}

static bool fail(const struct ks_asking *asking, const char *cipher, bool is_pkcs12,
		 struct ks_error *err)
{
	if (asking->asked && !asking->source)
		ks_fail(err, KS_ERR_KEY, "the private key is encrypted; %s", asking->err.text);
	else if (asking->asked && cipher[0])
		ks_fail(err, KS_ERR_KEY,
			"the private key is encrypted with %s, which OpenSSL does not offer here: if "
			"its legacy provider does, openssl %s -in FILE -out NEW",
			cipher,
			is_pkcs12 ? "pkcs12 -legacy" :
				    "pkcs8 -topk8 -provider legacy -provider default");
	else if (asking->asked)
		ks_fail(err, KS_ERR_KEY, "the private key does not open with the passphrase in %s",
			asking->source);
	else
		ks_fail(err, KS_ERR_KEY, "no private key in it");
	return ks_openssl_doubt(err);
}

/* The one that is the key's: others in the file are those of authorities. */
static X509 *choose_cert(const struct found *found)
{
	X509 *chosen = NULL;

	for (size_t i = 0; i < found->certs; i++)
		if (!chosen && X509_check_private_key(found->cert[i], found->key) == 1)
			chosen = found->cert[i];
		else
			X509_free(found->cert[i]);
	ERR_clear_error();
	return chosen;
}

bool ks_key_is_tss2(struct ks_view file)
{
	static const char head[] = "-----BEGIN TSS2 PRIVATE KEY-----";

	return file.len && memmem(file.data, file.len, head, sizeof(head) - 1);
}

static PKCS8_PRIV_KEY_INFO *read_pkcs8(struct ks_view file)
{
	const unsigned char *at = file.data;
	PKCS8_PRIV_KEY_INFO *info =
		file.len <= LONG_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)file.len) : NULL;
	struct ks_error ignored;
	KS_BIO *bio = NULL;

	if (!info && ks_bio_open(file, &bio, &ignored))
		info = PEM_read_bio_PKCS8_PRIV_KEY_INFO(bio, NULL, ks_no_passphrase, NULL);
	ERR_clear_error();
	return info;
}

/* A whole PKCS#8 key that OpenSSL does not read: of ML-DSA before 3.5, say. */
static void name_unknown(struct ks_view file, struct ks_error *err)
{
	PKCS8_PRIV_KEY_INFO *info = read_pkcs8(file);
	const ASN1_OBJECT *algorithm;
	char name[80];

	if (info && PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) &&
	    OBJ_obj2txt(name, sizeof(name), algorithm, 0) > 0)
		ks_fail(err, KS_ERR_KEY,
			"a private key of a kind (%s) that OpenSSL %s cannot use, or a broken one",
			name, OpenSSL_version(OPENSSL_VERSION_STRING));
	PKCS8_PRIV_KEY_INFO_free(info);
}

bool ks_key_open(struct ks_view file, const struct ks_passphrase *from, EVP_PKEY **key, X509 **cert,
		 struct ks_error *err)
{
	struct ks_asking asking = { .from = from };
	struct found found = { 0 };
	KS_BIO *bio = NULL;

	if (ks_key_is_tss2(file) && !ks_token_prepare_tss2(err))
		return false;
	if (!ks_bio_open(file, &bio, err))
		return false;
	read_file(bio, &asking, cert != NULL, &found);
	*key = found.key;
	if (cert)
		*cert = choose_cert(&found);
	if (found.key)
		return true;
	fail(&asking, found.cipher, ks_key_is_pkcs12(file), err);
	if (!asking.asked && err->code == KS_ERR_KEY)
		name_unknown(file, err);
	return ks_openssl_doubt(err);
}

static bool give(void *ctx, const char **text, const char **source, struct ks_error *err)
{
	(void)err;
	*text = ctx;
	*source = "hand";
	return true;
}

bool ks_key_parse(struct ks_view file, const char *passphrase, EVP_PKEY **key, struct ks_error *err)
{
	struct ks_passphrase given = { .get = give, .ctx = (char *)passphrase };

	return ks_key_open(file, passphrase ? &given : NULL, key, NULL, err);
}

bool ks_key_is_pkcs12(struct ks_view file)
{
	const unsigned char *at = file.data;
	PKCS12 *p12 = file.len <= LONG_MAX ? d2i_PKCS12(NULL, &at, (long)file.len) : NULL;

	PKCS12_free(p12);
	ERR_clear_error();
	return p12;
}

bool ks_key_is_mldsa(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ML-DSA-44") || EVP_PKEY_is_a(key, "ML-DSA-65") ||
	       EVP_PKEY_is_a(key, "ML-DSA-87");
}
