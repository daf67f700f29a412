/* SPDX-License-Identifier: MIT */
#include "core/message.h"

/* Names and algorithms come from the certificate: for them the public key is as good as the private. */
static bool add_signer(CMS_ContentInfo *cms, const struct ks_message_signer *signer,
		       const EVP_MD *md, unsigned int flags, struct ks_error *err)
{
	EVP_PKEY *public = X509_get0_pubkey(signer->cert);
	CMS_SignerInfo *info =
		public ? CMS_add1_signer(cms, signer->cert, public, md, flags) : NULL;

	if (!info || signer->signature.len > INT_MAX ||
	    !ASN1_STRING_set(CMS_SignerInfo_get0_signature(info), signer->signature.data,
			     (int)signer->signature.len))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "signature");
	return true;
}

static bool append_der(CMS_ContentInfo *cms, struct ks_buf *message, struct ks_error *err)
{
	unsigned char *end;
	int len = i2d_CMS_ContentInfo(cms, NULL);

	if (len < 0)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "PKCS#7");
	if (!ks_buf_reserve(message, message->len + (size_t)len, err))
		return false;
	end = message->data + message->len;
	if (i2d_CMS_ContentInfo(cms, &end) != len)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "PKCS#7");
	/* A SET that there was no memory to sort OpenSSL leaves out, and says nothing. */
	if (ks_openssl_is_starved())
		return ks_fail_memory(err);
	message->len += (size_t)len;
	return true;
}

bool ks_message_make(const struct ks_message_signer *signer, size_t count, const EVP_MD *md,
		     bool key_id, struct ks_buf *message, struct ks_error *err)
{
	unsigned int flags = CMS_NOCERTS | CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | CMS_STREAM;
	KS_CMS *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);

	if (!cms)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "PKCS#7");
	flags = CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR;
	if (key_id)
		flags |= CMS_USE_KEYID;
	for (size_t i = 0; i < count; i++)
		if (!add_signer(cms, &signer[i], md, flags, err))
			return false;
	return append_der(cms, message, err);
}
