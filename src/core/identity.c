/* SPDX-License-Identifier: MIT */
#include "core/identity.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

bool ks_identity_check(const struct ks_identity *identity, struct ks_error *err)
{
	int match = X509_check_private_key(identity->cert, identity->key);

	ERR_clear_error();
	if (match == 1)
		return true;
	ks_fail(err, KS_ERR_KEY, "the certificate does not belong to the private key");
	return ks_openssl_doubt(err);
}

bool ks_identity_blame(const struct ks_identity *identity, struct ks_error *err)
{
	const char *key = identity->key_name, *cert = identity->cert_name;

	if (cert && key && strcmp(key, cert) != 0)
		ks_at(err, cert);
	return key ? ks_at(err, key) : false;
}

void ks_identity_free(struct ks_identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
	free(identity->shown[0]);
	free(identity->shown[1]);
	*identity = (struct ks_identity){ 0 };
}
