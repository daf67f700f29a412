/* SPDX-License-Identifier: MIT */
#include "core/key.h"

#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <string.h>

enum { MOST_BLOCKS = 64 }; /* of a PEM file that are looked at */

struct asked {
	const char *passphrase;
	bool asked;
};

static int give_passphrase(char *buf, int size, int writing, void *data)
{
	struct asked *asked = data;
	size_t len = asked->passphrase ? strlen(asked->passphrase) : 0;

	(void)writing;
	asked->asked = true;
	if (!asked->passphrase || len > (size_t)size)
		return -1;
	memcpy(buf, asked->passphrase, len);
	return (int)len;
}

/* A block that is no key, or that nothing understands, may stand before it: EC PARAMETERS, say. */
static EVP_PKEY *first_key(OSSL_STORE_CTX *store)
{
	EVP_PKEY *key = NULL;

	for (int i = 0; i < MOST_BLOCKS && !key && !OSSL_STORE_eof(store); i++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return key;
}

static EVP_PKEY *read_key(BIO *bio, struct asked *asked)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_passphrase, 0);
	OSSL_STORE_CTX *store =
		OSSL_STORE_attach(bio, "file", NULL, NULL, ui, asked, NULL, NULL, NULL);
	EVP_PKEY *key = NULL;

	if (store && OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY))
		key = first_key(store);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	ERR_clear_error();
	return key;
}

bool ks_key_parse(struct ks_view file, const char *passphrase, EVP_PKEY **key, struct ks_error *err)
{
	struct asked asked = { .passphrase = passphrase };
	KS_BIO *bio = NULL;

	if (!ks_bio_open(file, &bio, err))
		return false;
	*key = read_key(bio, &asked);
	if (*key)
		return true;
	if (asked.asked && !passphrase)
		ks_fail(err, KS_ERR_KEY,
			"the private key is encrypted; its passphrase is taken from "
			"KBUILD_SIGN_PIN");
	else if (asked.asked)
		ks_fail(err, KS_ERR_KEY,
			"the private key does not open with the passphrase in KBUILD_SIGN_PIN");
	else
		ks_fail(err, KS_ERR_KEY, "no private key in it");
	return ks_openssl_doubt(err);
}

bool ks_key_is_mldsa(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "ML-DSA-44") || EVP_PKEY_is_a(key, "ML-DSA-65") ||
	       EVP_PKEY_is_a(key, "ML-DSA-87");
}

static bool others_write(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) ||
	       ((st->st_mode & S_IWGRP) && st->st_gid && st->st_gid != st->st_uid);
}

enum ks_exposure ks_key_exposure(const struct stat *file, const struct stat *dir, uid_t user)
{
	if (others_write(file))
		return KS_KEY_WRITABLE;
	/* In a directory like /tmp nobody takes a file away that is not his own. */
	if (others_write(dir) && !(dir->st_mode & S_ISVTX))
		return KS_KEY_DIR_WRITABLE;
	if (file->st_uid && file->st_uid != user)
		return KS_KEY_FOREIGN;
	return file->st_mode & 077 ? KS_KEY_READABLE : KS_KEY_CLOSED;
}
