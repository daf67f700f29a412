/* SPDX-License-Identifier: MIT */
#include "core/signature.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/cert.h"
#include "core/key.h"

static bool object_name(const X509_ALGOR *algor, char **text, struct ks_error *err)
{
	const ASN1_OBJECT *object;
	char name[128];

	X509_ALGOR_get0(&object, NULL, NULL, algor);
	if (OBJ_obj2txt(name, sizeof(name), object, 0) < 0)
		return ks_fail_openssl(err, KS_ERR_INPUT, "algorithm");
	return ks_string_copy(text, name, err);
}

static bool read_identity(CMS_SignerInfo *info, struct ks_signer_id *id, struct ks_error *err)
{
	ASN1_OCTET_STRING *key_id = NULL;
	X509_NAME *issuer = NULL;
	ASN1_INTEGER *serial = NULL;

	if (!CMS_SignerInfo_get0_signer_id(info, &key_id, &issuer, &serial))
		return ks_fail_openssl(err, KS_ERR_INPUT, "signer");
	if (key_id)
		return ks_octets_hex(key_id, &id->key_id, err);
	return ks_name_short(issuer, &id->name, err) && ks_name_full(issuer, &id->issuer, err) &&
	       ks_integer_hex(serial, &id->serial, err);
}

static bool read_signer(CMS_SignerInfo *info, struct ks_signer_id *id, struct ks_error *err)
{
	X509_ALGOR *digest, *algorithm;

	CMS_SignerInfo_get0_algs(info, NULL, NULL, &digest, &algorithm);
	id->attributes = CMS_signed_get_attr_count(info) > 0;
	id->capabilities = CMS_signed_get_attr_by_NID(info, NID_SMIMECapabilities, -1) >= 0;
	return read_identity(info, id, err) && object_name(digest, &id->digest, err) &&
	       object_name(algorithm, &id->algorithm, err);
}

static bool read_signers(struct ks_signature *s, struct ks_error *err)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(s->cms);
	int count = sk_CMS_SignerInfo_num(infos);

	if (count <= 0)
		return true;
	s->signer = calloc((size_t)count, sizeof(*s->signer));
	if (!s->signer)
		return ks_fail_memory(err);
	for (; s->count < (size_t)count; s->count++)
		if (!read_signer(sk_CMS_SignerInfo_value(infos, (int)s->count),
				 &s->signer[s->count], err)) {
			s->count++;
			return false;
		}
	return true;
}

static size_t count_certificates(CMS_ContentInfo *cms)
{
	STACK_OF(X509) *certs = CMS_get1_certs(cms);
	int count = certs ? sk_X509_num(certs) : 0;

	sk_X509_pop_free(certs, X509_free);
	return (size_t)count;
}

static bool parse(struct ks_view message, struct ks_signature *s, struct ks_error *err)
{
	const unsigned char *at = message.data;
	ASN1_OCTET_STRING **content;

	if (message.len > LONG_MAX)
		return ks_fail(err, KS_ERR_INPUT, "the PKCS#7 message is too long");
	s->cms = d2i_CMS_ContentInfo(NULL, &at, (long)message.len);
	if (!s->cms)
		return ks_fail(err, KS_ERR_INPUT, "the PKCS#7 message is not valid ASN.1");
	s->length = (size_t)(at - message.data);
	s->sys = EINVAL;
	if (OBJ_obj2nid(CMS_get0_type(s->cms)) != NID_pkcs7_signed)
		return ks_fail(err, KS_ERR_INPUT, "the PKCS#7 message is not SignedData");
	s->sys = EBADMSG;
	content = CMS_get0_content(s->cms);
	if (!content || *content)
		return ks_fail(err, KS_ERR_INPUT, "the PKCS#7 message has its content attached");
	s->certificates = count_certificates(s->cms);
	return read_signers(s, err);
}

bool ks_signature_parse(struct ks_view message, struct ks_signature *signature,
			struct ks_error *err)
{
	bool ok;
	int sys;

	*signature = (struct ks_signature){ .sys = EBADMSG };
	ok = parse(message, signature, err) || ks_openssl_doubt(err);
	/* Whatever OpenSSL had to say of a hostile message is ours now, not the next caller's. */
	ERR_clear_error();
	sys = signature->sys;
	if (!ok)
		ks_signature_free(signature);
	signature->sys = ok ? 0 : sys;
	return ok;
}

/* What a kernel's parser wants */

enum {
	KERNEL_LIMIT = 65535, /* bytes, of what its ASN.1 decoder takes */

	/* RFC 5652: signers are named by issuer and serial number, or by key id. */
	VERSION_SERIAL = 1,
	VERSION_KEY_ID = 3,
};

/* Steps into the next element of the DER from *AT on, or over it; its content is *SIZE bytes. */
static bool next(const unsigned char **at, const unsigned char *end, bool into, long *size)
{
	int tag, class;

	if (*at >= end || (ASN1_get_object(at, size, &tag, &class, end - *at) & 0x80))
		return false;
	if (!into)
		*at += *size;
	return true;
}

static bool read_integer(const unsigned char **at, const unsigned char *end, int64_t *value)
{
	ASN1_INTEGER *integer = d2i_ASN1_INTEGER(NULL, at, end - *at);
	bool ok = integer && ASN1_INTEGER_get_int64(value, integer) == 1;

	ASN1_INTEGER_free(integer);
	return ok;
}

/* To the version of SignedData, and from there to that of the first SignerInfo. */
static bool find_versions(const unsigned char **at, const unsigned char *end, int64_t *version)
{
	long size;

	if (!next(at, end, true, &size) || !next(at, end, false, &size) ||
	    !next(at, end, true, &size) || !next(at, end, true, &size) ||
	    !read_integer(at, end, version) || !next(at, end, false, &size) ||
	    !next(at, end, false, &size))
		return false;
	/* Certificates and revocation lists may stand in between, [0] and [1]. */
	while (*at < end && (**at & V_ASN1_CONTEXT_SPECIFIC))
		if (!next(at, end, false, &size))
			return false;
	return next(at, end, true, &size);
}

static bool is_version(int64_t version)
{
	return version == VERSION_SERIAL || version == VERSION_KEY_ID;
}

static bool check_version(int64_t whole, int64_t of_signer, char **fault, int *sys,
			  struct ks_error *err)
{
	*sys = is_version(of_signer) ? EBADMSG : EINVAL;
	if (!is_version(of_signer))
		return ks_string_print(fault, err,
				       "a SignerInfo of version %jd, of which kernels know nothing",
				       (intmax_t)of_signer);
	if ((whole == VERSION_SERIAL) != (of_signer == VERSION_SERIAL))
		return ks_string_print(fault, err,
				       "a SignerInfo of version %jd in SignedData of version %jd, "
				       "which do not go together",
				       (intmax_t)of_signer, (intmax_t)whole);
	return true;
}

static bool check_versions(const struct ks_signature *s, struct ks_view der, char **fault, int *sys,
			   struct ks_error *err)
{
	const unsigned char *at = der.data, *end = der.data + der.len;
	int64_t whole, of_signer;

	*sys = EBADMSG;
	if (!find_versions(&at, end, &whole))
		return ks_string_copy(fault, "the PKCS#7 message has no version", err);
	if (!is_version(whole)) {
		*sys = EINVAL;
		return ks_string_print(fault, err,
				       "SignedData of version %jd, of which kernels know nothing",
				       (intmax_t)whole);
	}
	for (size_t i = 0; i < s->count && !*fault; i++) {
		const unsigned char *inside = at;
		long size;

		if (!next(&inside, end, true, &size))
			return ks_string_copy(fault, "a SignerInfo ends too early", err);
		at = inside + size;
		if (!read_integer(&inside, at, &of_signer))
			return ks_string_copy(fault, "a SignerInfo has no version", err);
		if (!check_version(whole, of_signer, fault, sys, err))
			return false;
	}
	return true;
}

bool ks_signature_refusal(const struct ks_signature *signature, size_t size, char **fault, int *sys,
			  struct ks_error *err)
{
	unsigned char *der = NULL;
	int len;
	bool ok;

	*fault = NULL;
	*sys = EMSGSIZE;
	if (size > KERNEL_LIMIT)
		return ks_string_print(fault, err,
				       "the PKCS#7 message and what follows it have %zu bytes, and "
				       "kernels take %d",
				       size, KERNEL_LIMIT);
	*sys = EBADMSG;
	/* Anew, for it may have come as BER. */
	len = i2d_CMS_ContentInfo(signature->cms, &der);
	ok = len > 0 ? check_versions(signature, ks_view_of(der, (size_t)len), fault, sys, err) :
		       ks_string_copy(fault, "the PKCS#7 message is not valid ASN.1", err);
	OPENSSL_free(der);
	ERR_clear_error();
	return *fault && ks_openssl_is_starved() ? ks_fail_memory(err) : ok;
}

void ks_signature_free(struct ks_signature *signature)
{
	for (size_t i = 0; i < signature->count; i++) {
		struct ks_signer_id *id = &signature->signer[i];

		free(id->name);
		free(id->issuer);
		free(id->serial);
		free(id->key_id);
		free(id->digest);
		free(id->algorithm);
	}
	free(signature->signer);
	CMS_ContentInfo_free(signature->cms);
	*signature = (struct ks_signature){ 0 };
}

/* The digest chain that CMS_SignerInfo_verify_content() looks its context up in. */
static bool digest_image(const EVP_MD *md, struct ks_view image, BIO **chain, struct ks_error *err)
{
	BIO *sink;

	*chain = BIO_new(BIO_f_md());
	sink = BIO_new(BIO_s_null());
	if (!*chain || !sink || BIO_set_md(*chain, md) <= 0) {
		BIO_free(sink);
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	}
	BIO_push(*chain, sink);
	return ks_bio_write(*chain, image, err);
}

static const EVP_MD *digest_of(CMS_SignerInfo *info)
{
	const ASN1_OBJECT *object;
	const EVP_MD *md;
	X509_ALGOR *digest;
	EVP_MD *fetched;

	CMS_SignerInfo_get0_algs(info, NULL, NULL, &digest, NULL);
	X509_ALGOR_get0(&object, NULL, NULL, digest);
	md = EVP_get_digestbyobj(object);
	/* OpenSSL knows names of digests that it no longer does. */
	fetched = md ? EVP_MD_fetch(NULL, EVP_MD_get0_name(md), NULL) : NULL;
	EVP_MD_free(fetched);
	return fetched ? md : NULL;
}

/*
 * ML-DSA without signed attributes is over the image itself, whatever digest is named (FIPS 204,
 * "pure"; linux 7.0's pkcs7_verify.c), which OpenSSL's CMS does not do.
 */
static bool holds_pure(CMS_SignerInfo *info, const char *algorithm, EVP_PKEY *key,
		       struct ks_view image)
{
	const ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(info);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_PKEY_is_a(key, algorithm) &&
		    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, ASN1_STRING_get0_data(value),
				     (size_t)ASN1_STRING_length(value), image.data, image.len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

static bool holds(CMS_SignerInfo *info, BIO *chain)
{
	if (CMS_signed_get_attr_count(info) >= 0 && CMS_SignerInfo_verify(info) <= 0)
		return false;
	return CMS_SignerInfo_verify_content(info, chain) > 0;
}

static bool check(struct ks_signature *signature, size_t i, struct ks_view image, X509 *cert,
		  enum ks_verdict *verdict, struct ks_error *err)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(signature->cms);
	CMS_SignerInfo *info = sk_CMS_SignerInfo_value(infos, (int)i);
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const EVP_MD *md = digest_of(info);
	KS_BIO *chain = NULL;

	if (CMS_SignerInfo_cert_cmp(info, cert) != 0) {
		*verdict = KS_VERDICT_UNKNOWN_SIGNER;
		return true;
	}
	if (!md || !key) {
		*verdict = KS_VERDICT_UNSUPPORTED;
		return true;
	}
	if (ks_key_is_mldsa(key) && CMS_signed_get_attr_count(info) < 0) {
		*verdict = holds_pure(info, signature->signer[i].algorithm, key, image) ?
				   KS_VERDICT_GOOD :
				   KS_VERDICT_BAD;
		return true;
	}
	if (!digest_image(md, image, &chain, err))
		return false;
	CMS_SignerInfo_set1_signer_cert(info, cert);
	*verdict = holds(info, chain) ? KS_VERDICT_GOOD : KS_VERDICT_BAD;
	return true;
}

bool ks_signature_check(struct ks_signature *signature, size_t i, struct ks_view image, X509 *cert,
			enum ks_verdict *verdict, struct ks_error *err)
{
	bool ok = check(signature, i, image, cert, verdict, err);

	ERR_clear_error();
	if (ok && (*verdict == KS_VERDICT_BAD || *verdict == KS_VERDICT_UNSUPPORTED))
		return !ks_openssl_is_starved() || ks_fail_memory(err);
	return ok;
}

/* What RSA makes of the signature value, with PADDING and the name of MD to be there; are they? */
static bool recover(EVP_PKEY *key, const ASN1_OCTET_STRING *value, int padding, const EVP_MD *md,
		    unsigned char *out, size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx && EVP_PKEY_verify_recover_init(ctx) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1 &&
		  (!md || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1) &&
		  EVP_PKEY_verify_recover(ctx, out, len, ASN1_STRING_get0_data(value),
					  (size_t)ASN1_STRING_length(value)) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int rsa_errno(EVP_PKEY *key, const ASN1_OCTET_STRING *value, const EVP_MD *md)
{
	size_t size = (size_t)EVP_PKEY_get_size(key), len = size;
	unsigned char *out = malloc(size);
	int sys = 0;

	if (out && recover(key, value, RSA_NO_PADDING, NULL, out, &len) && len) {
		sys = out[0] ? EINVAL : EBADMSG;
		len = size;
		if (md && recover(key, value, RSA_PKCS1_PADDING, md, out, &len))
			sys = EKEYREJECTED;
	}
	free(out);
	return sys;
}

int ks_signature_bad_errno(const struct ks_signature *signature, size_t i, X509 *cert)
{
	CMS_SignerInfo *info =
		sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(signature->cms), (int)i);
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int sys = 0;

	if (key && EVP_PKEY_is_a(key, "RSA"))
		sys = rsa_errno(key, CMS_SignerInfo_get0_signature(info), digest_of(info));
	ERR_clear_error();
	return sys;
}
