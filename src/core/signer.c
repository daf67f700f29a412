/* SPDX-License-Identifier: MIT */
#include "core/signer.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/cert.h"
#include "core/key.h"
#include "core/signature.h"

struct ks_signer {
	EVP_PKEY *key;
	X509 *cert;
	const EVP_MD *md;
	unsigned int flags; /* for CMS_add1_signer() */
	char *algorithm;    /* what its messages say of the signature */
};

static bool check_key_type(const EVP_PKEY *key, struct ks_error *err)
{
	const char *name;

	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"))
		return true;
	name = EVP_PKEY_get0_type_name(key);
	return ks_fail(err, KS_ERR_UNSUPPORTED,
		       "%s keys cannot sign modules here, RSA and ECDSA can", name ? name : "such");
}

static bool check_pair(const struct ks_signer *s, struct ks_error *err)
{
	int match = X509_check_private_key(s->cert, s->key);

	ERR_clear_error();
	if (match == 1)
		return true;
	return ks_fail(err, KS_ERR_KEY, "the certificate does not belong to the private key");
}

static bool check_key_id(const struct ks_signer *s, struct ks_error *err)
{
	if (!(s->flags & CMS_USE_KEYID) || X509_get0_subject_key_id(s->cert))
		return true;
	return ks_fail(err, KS_ERR_KEY, "the certificate has no subject key identifier");
}

/* OpenSSL 3.0 takes some pairs of key and digest and fails only when it signs. */
static bool try_out(struct ks_signer *s, struct ks_error *err)
{
	struct ks_view nothing = ks_view_of("", 0);
	KS_BUF message = { 0 };
	KS_SIGNATURE signature = { 0 };
	enum ks_verdict verdict;

	if (!ks_signer_sign(s, nothing, &message, err)) {
		err->code = KS_ERR_UNSUPPORTED;
		ks_at(err, EVP_PKEY_get0_type_name(s->key));
		return ks_at(err, ks_signer_hash(s));
	}
	if (!ks_signature_parse(ks_buf_view(&message), &signature, err) ||
	    !ks_signature_check(&signature, 0, nothing, s->cert, &verdict, err))
		return false;
	if (verdict != KS_VERDICT_GOOD)
		return ks_fail(err, KS_ERR_KEY,
			       "what the key signs, the certificate does not verify");
	return ks_string_copy(&s->algorithm, signature.signer[0].algorithm, err);
}

static bool blame(struct ks_error *err, const char *name)
{
	return name ? ks_at(err, name) : false;
}

static bool set_up(struct ks_signer *s, const struct ks_signer_spec *spec, struct ks_error *err)
{
	s->flags = CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR;
	if (spec->key_id)
		s->flags |= CMS_USE_KEYID;
	s->md = ks_digest_find(spec->hash);
	if (!s->md)
		return ks_fail(err, KS_ERR_UNSUPPORTED,
			       "unknown hash '%s' (sha256, sha384, sha512, "
			       "sha3-256, sha3-384, sha3-512 are what kernels know)",
			       spec->hash);
	if (!ks_key_parse(spec->key, spec->passphrase, &s->key, err) ||
	    !check_key_type(s->key, err))
		return blame(err, spec->key_name);
	if (!ks_cert_parse(spec->cert, &s->cert, err) || !check_key_id(s, err))
		return blame(err, spec->cert_name);
	if (check_pair(s, err) && try_out(s, err))
		return true;
	if (spec->key_name && spec->cert_name && strcmp(spec->key_name, spec->cert_name) != 0)
		ks_at(err, spec->cert_name);
	return blame(err, spec->key_name);
}

bool ks_signer_open(struct ks_signer **signer, const struct ks_signer_spec *spec,
		    struct ks_error *err)
{
	*signer = calloc(1, sizeof(**signer));
	if (!*signer)
		return ks_fail_memory(err);
	if (set_up(*signer, spec, err))
		return true;
	ks_signer_free(*signer);
	*signer = NULL;
	return false;
}

/* A message without content: the bytes go through the digest and nowhere else. */
static bool digest_and_sign(CMS_ContentInfo *cms, struct ks_view image, struct ks_error *err)
{
	KS_BIO *chain = CMS_dataInit(cms, NULL);

	if (!chain)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	if (!ks_bio_write(chain, image, err))
		return false;
	if (BIO_flush(chain) <= 0 || !CMS_dataFinal(cms, chain))
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
	message->len += (size_t)len;
	return true;
}

bool ks_signer_sign(const struct ks_signer *signer, struct ks_view image, struct ks_buf *message,
		    struct ks_error *err)
{
	unsigned int flags = CMS_NOCERTS | CMS_PARTIAL | CMS_BINARY | CMS_DETACHED | CMS_STREAM;
	KS_CMS *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);

	if (!cms || !CMS_add1_signer(cms, signer->cert, signer->key, signer->md, signer->flags))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "signature");
	return digest_and_sign(cms, image, err) && append_der(cms, message, err);
}

X509 *ks_signer_cert(const struct ks_signer *signer)
{
	return signer->cert;
}

const char *ks_signer_hash(const struct ks_signer *signer)
{
	return OBJ_nid2ln(EVP_MD_get_type(signer->md));
}

const char *ks_signer_algorithm(const struct ks_signer *signer)
{
	return signer->algorithm;
}

void ks_signer_free(struct ks_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->key);
	X509_free(signer->cert);
	free(signer->algorithm);
	free(signer);
}
