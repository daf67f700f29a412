/* SPDX-License-Identifier: MIT */
#include "core/signer.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/key.h"
#include "core/message.h"
#include "core/signature.h"
#include "core/token.h"

#ifndef OSSL_SIGNATURE_PARAM_NONCE_TYPE
#define OSSL_SIGNATURE_PARAM_NONCE_TYPE "nonce-type" /* since OpenSSL 3.2 */
#endif
#ifndef OSSL_SIGNATURE_PARAM_DETERMINISTIC
#define OSSL_SIGNATURE_PARAM_DETERMINISTIC "deterministic" /* since 3.5 */
#endif

struct one {
	EVP_PKEY *key;
	X509 *cert;
	char *algorithm; /* what its messages say of the signature */
};

struct ks_signer {
	struct one one[KS_IDENTITIES];
	size_t count;
	const EVP_MD *md;
	bool key_id;
	bool deterministic;
};

struct digest {
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned int len;
};

/* Making signatures */

static bool fail_signature(struct ks_error *err)
{
	return ks_fail_openssl(err, KS_ERR_CRYPTO, "signature");
}

/* RFC 6979 instead of a random number; ML-DSA's own way to do without one (FIPS 204, 3.4). */
static bool without_chance(EVP_PKEY_CTX *ctx, const EVP_PKEY *key, struct ks_error *err)
{
	unsigned int rfc6979 = 1;
	int yes = 1;
	OSSL_PARAM params[2] = { OSSL_PARAM_END, OSSL_PARAM_END };

	if (EVP_PKEY_is_a(key, "RSA"))
		return true;
	if (EVP_PKEY_is_a(key, "EC"))
		params[0] = OSSL_PARAM_construct_uint(OSSL_SIGNATURE_PARAM_NONCE_TYPE, &rfc6979);
	else
		params[0] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_DETERMINISTIC, &yes);
	if (OSSL_PARAM_locate_const(EVP_PKEY_CTX_settable_params(ctx), params[0].key) &&
	    EVP_PKEY_CTX_set_params(ctx, params) > 0)
		return true;
	ERR_clear_error();
	return ks_fail(
		err, KS_ERR_UNSUPPORTED,
		"this key cannot sign deterministically here (ECDSA does from OpenSSL 3.2 on)");
}

/* How CTX is to sign, and room for what it gives. */
static bool set_up(const struct ks_signer *s, const EVP_PKEY *key, EVP_PKEY_CTX *ctx,
		   struct ks_buf *signature, struct ks_error *err)
{
	int size = EVP_PKEY_get_size(key);

	if (size <= 0)
		return fail_signature(err);
	return (!s->deterministic || without_chance(ctx, key, err)) &&
	       ks_buf_reserve(signature, (size_t)size, err);
}

static bool sign_with(const struct ks_signer *s, EVP_PKEY *key, EVP_PKEY_CTX *ctx,
		      const struct digest *digest, struct ks_buf *signature, struct ks_error *err)
{
	size_t len;

	if (EVP_PKEY_sign_init(ctx) <= 0 || EVP_PKEY_CTX_set_signature_md(ctx, s->md) <= 0)
		return fail_signature(err);
	if (!set_up(s, key, ctx, signature, err))
		return false;
	len = signature->cap;
	if (EVP_PKEY_sign(ctx, signature->data, &len, digest->bytes, digest->len) <= 0)
		return fail_signature(err);
	signature->len = len;
	return true;
}

static bool sign_digest(const struct ks_signer *s, EVP_PKEY *key, const struct digest *digest,
			struct ks_buf *signature, struct ks_error *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, ks_token_properties(key));
	bool ok = ctx ? sign_with(s, key, ctx, digest, signature, err) : fail_signature(err);

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool sign_all_with(const struct ks_signer *s, EVP_PKEY *key, EVP_MD_CTX *ctx,
			  struct ks_view image, struct ks_buf *signature, struct ks_error *err)
{
	EVP_PKEY_CTX *of_key;
	size_t len;

	if (EVP_DigestSignInit_ex(ctx, &of_key, NULL, NULL, ks_token_properties(key), key, NULL) <=
	    0)
		return fail_signature(err);
	if (!set_up(s, key, of_key, signature, err))
		return false;
	len = signature->cap;
	if (EVP_DigestSign(ctx, signature->data, &len, image.data, image.len) <= 0)
		return fail_signature(err);
	signature->len = len;
	return true;
}

/* ML-DSA without signed attributes is over the image itself (RFC 9882, 3.3). */
static bool sign_all(const struct ks_signer *s, EVP_PKEY *key, struct ks_view image,
		     struct ks_buf *signature, struct ks_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx ? sign_all_with(s, key, ctx, image, signature, err) : fail_signature(err);

	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool make_signatures(const struct ks_signer *s, struct ks_view image,
			    struct ks_buf *signature, struct ks_error *err)
{
	struct digest digest;

	if (EVP_Digest(image.data, image.len, digest.bytes, &digest.len, s->md, NULL) != 1)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	for (size_t i = 0; i < s->count; i++) {
		EVP_PKEY *key = s->one[i].key;
		bool ok;

		ks_token_enter(key);
		ok = ks_key_is_mldsa(key) ? sign_all(s, key, image, &signature[i], err) :
					    sign_digest(s, key, &digest, &signature[i], err);
		ks_token_leave(key);
		if (!ok)
			return false;
	}
	return true;
}

bool ks_signer_sign(const struct ks_signer *signer, struct ks_view image, struct ks_buf *message,
		    struct ks_error *err)
{
	struct ks_message_signer part[KS_IDENTITIES];
	struct ks_buf signature[KS_IDENTITIES] = { 0 };
	bool ok = make_signatures(signer, image, signature, err);

	for (size_t i = 0; i < signer->count; i++)
		part[i] = (struct ks_message_signer){ signer->one[i].cert,
						      ks_buf_view(&signature[i]) };
	ok = ok && ks_message_make(part, signer->count, signer->md, signer->key_id, message, err);
	for (size_t i = 0; i < signer->count; i++)
		ks_buf_free(&signature[i]);
	return ok;
}

/* Opening */

static bool check_key_type(const struct ks_signer *s, const EVP_PKEY *key, struct ks_error *err)
{
	const char *name;

	if (EVP_PKEY_is_a(key, "EC"))
		return ks_digest_takes_ecdsa(ks_signer_hash(s), err);
	if (EVP_PKEY_is_a(key, "RSA") || ks_key_is_mldsa(key))
		return true;
	name = EVP_PKEY_get0_type_name(key);
	return ks_fail(err, KS_ERR_UNSUPPORTED,
		       "%s keys cannot sign modules; RSA, ECDSA and ML-DSA can",
		       name ? name : "such");
}

static bool check_key_id(const struct ks_signer *s, X509 *cert, struct ks_error *err)
{
	if (!s->key_id || X509_get0_subject_key_id(cert))
		return true;
	return ks_fail(err, KS_ERR_KEY, "the certificate has no subject key identifier");
}

/* OpenSSL 3.0 takes some pairs of key and digest and fails only when it signs. */
static bool try_out(struct ks_signer *s, struct one *one, struct ks_error *err)
{
	struct ks_signer alone = { .one = { *one },
				   .count = 1,
				   .md = s->md,
				   .key_id = s->key_id,
				   .deterministic = s->deterministic };
	struct ks_view nothing = ks_view_of("", 0);
	KS_BUF message = { 0 };
	KS_SIGNATURE signature = { 0 };
	enum ks_verdict verdict;

	if (!ks_signer_sign(&alone, nothing, &message, err)) {
		ks_token_blame(one->key, err);
		err->code = KS_ERR_UNSUPPORTED;
		ks_at(err, EVP_PKEY_get0_type_name(one->key));
		return ks_at(err, ks_signer_hash(s));
	}
	if (!ks_signature_parse(ks_buf_view(&message), &signature, err) ||
	    !ks_signature_check(&signature, 0, nothing, one->cert, &verdict, err))
		return false;
	if (verdict != KS_VERDICT_GOOD)
		return ks_fail(err, KS_ERR_KEY,
			       "what the key signs, the certificate does not verify");
	return ks_string_copy(&one->algorithm, signature.signer[0].algorithm, err);
}

static bool blame(struct ks_error *err, const char *name)
{
	return name ? ks_at(err, name) : false;
}

static bool has_cert(const struct ks_signer *s, const X509 *cert)
{
	for (size_t i = 0; i < s->count; i++)
		if (X509_cmp(s->one[i].cert, cert) == 0)
			return true;
	return false;
}

static bool add(struct ks_signer *s, const struct ks_identity *identity, struct ks_error *err)
{
	struct one *one = &s->one[s->count];

	if (!check_key_type(s, identity->key, err))
		return blame(err, identity->key_name);
	if (!check_key_id(s, identity->cert, err))
		return blame(err, identity->cert_name);
	if (has_cert(s, identity->cert)) {
		ks_fail(err, KS_ERR_KEY, "the same certificate twice");
		return blame(err, identity->cert_name);
	}
	if (!ks_identity_check(identity, err))
		return ks_identity_blame(identity, err);
	if (!EVP_PKEY_up_ref(identity->key))
		return fail_signature(err);
	one->key = identity->key;
	s->count++;
	if (!X509_up_ref(identity->cert))
		return fail_signature(err);
	one->cert = identity->cert;
	return try_out(s, one, err) || ks_identity_blame(identity, err);
}

static bool fill(struct ks_signer *s, const struct ks_signer_spec *spec, struct ks_error *err)
{
	s->key_id = spec->key_id;
	s->deterministic = spec->deterministic;
	s->md = ks_digest_find(spec->hash);
	if (!s->md)
		return ks_fail(err, KS_ERR_UNSUPPORTED,
			       "unknown hash '%s' (sha256, sha384, sha512, "
			       "sha3-256, sha3-384, sha3-512 are what kernels know)",
			       spec->hash);
	if (spec->count > KS_IDENTITIES)
		return ks_fail(err, KS_ERR_USAGE, "more than %d keys", KS_IDENTITIES);
	for (size_t i = 0; i < spec->count; i++)
		if (!add(s, &spec->identity[i], err))
			return false;
	return true;
}

bool ks_signer_open(struct ks_signer **signer, const struct ks_signer_spec *spec,
		    struct ks_error *err)
{
	*signer = calloc(1, sizeof(**signer));
	if (!*signer)
		return ks_fail_memory(err);
	if (fill(*signer, spec, err))
		return true;
	ks_signer_free(*signer);
	*signer = NULL;
	return false;
}

/* From a message with a signature of no bytes: what it says of the algorithm is what counts. */
static bool foresee_algorithm(struct ks_signer *s, struct ks_error *err)
{
	struct ks_message_signer part = { s->one[0].cert, ks_view_of("", 0) };
	KS_BUF message = { 0 };
	KS_SIGNATURE signature = { 0 };

	return ks_message_make(&part, 1, s->md, false, &message, err) &&
	       ks_signature_parse(ks_buf_view(&message), &signature, err) &&
	       ks_string_copy(&s->one[0].algorithm, signature.signer[0].algorithm, err);
}

static bool fill_public(struct ks_signer *s, X509 *cert, const char *hash, struct ks_error *err)
{
	EVP_PKEY *public = X509_get0_pubkey(cert);

	if (!fill(s, &(struct ks_signer_spec){ .hash = hash }, err))
		return false;
	if (!public)
		return ks_fail_openssl(err, KS_ERR_KEY, "public key");
	if (!check_key_type(s, public, err))
		return false;
	if (!X509_up_ref(cert))
		return fail_signature(err);
	s->one[s->count++].cert = cert;
	return foresee_algorithm(s, err);
}

bool ks_signer_open_public(struct ks_signer **signer, X509 *cert, const char *hash,
			   struct ks_error *err)
{
	*signer = calloc(1, sizeof(**signer));
	if (!*signer)
		return ks_fail_memory(err);
	if (fill_public(*signer, cert, hash, err))
		return true;
	ks_signer_free(*signer);
	*signer = NULL;
	return false;
}

size_t ks_signer_count(const struct ks_signer *signer)
{
	return signer->count;
}

X509 *ks_signer_cert(const struct ks_signer *signer, size_t i)
{
	return signer->one[i].cert;
}

const char *ks_signer_hash(const struct ks_signer *signer)
{
	return OBJ_nid2ln(EVP_MD_get_type(signer->md));
}

const char *ks_signer_algorithm(const struct ks_signer *signer, size_t i)
{
	return signer->one[i].algorithm;
}

bool ks_signer_is_elsewhere(const struct ks_signer *signer)
{
	for (size_t i = 0; i < signer->count; i++)
		if (signer->one[i].key && ks_token_holds(signer->one[i].key))
			return true;
	return false;
}

void ks_signer_free(struct ks_signer *signer)
{
	if (!signer)
		return;
	for (size_t i = 0; i < signer->count; i++) {
		EVP_PKEY_free(signer->one[i].key);
		X509_free(signer->one[i].cert);
		free(signer->one[i].algorithm);
	}
	free(signer);
}
