/* SPDX-License-Identifier: MIT */
#include "core/remote.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec.h"
#include "core/message.h"
#include "core/sign.h"
#include "core/signature.h"

enum {
	STEM = 40,	  /* characters of the module's own name, for people */
	PATH_DIGITS = 32, /* of the path's digest, which make the difference */
};

static bool is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

bool ks_remote_name(const char *path, char name[KS_REMOTE_NAME], struct ks_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t len = ks_codec_plain_name_len(base);
	KS_STRING digest = NULL;

	if (!ks_digest_hex("sha256", ks_view_of(path, strlen(path)), &digest, err))
		return false;
	if (len >= strlen(".ko") && strncmp(base + len - strlen(".ko"), ".ko", strlen(".ko")) == 0)
		len -= strlen(".ko");
	if (len > STEM)
		len = STEM;
	for (size_t i = 0; i < len; i++)
		name[i] = is_safe(base[i]) && (i || base[i] != '-') ? base[i] : '_';
	snprintf(name + len, KS_REMOTE_NAME - len, "%s%.*s", len ? "-" : "", PATH_DIGITS, digest);
	return true;
}

bool ks_remote_wrap(const struct ks_signer *signer, struct ks_view value, struct ks_buf *message,
		    struct ks_error *err)
{
	struct ks_message_signer part = { ks_signer_cert(signer, 0), value };

	if (!value.len)
		return ks_fail(err, KS_ERR_INPUT, "empty");
	return ks_message_make(&part, 1, ks_digest_find(ks_signer_hash(signer)), false, message,
			       err);
}

static bool check_form(const struct ks_signature *signature, struct ks_view message,
		       struct ks_error *err)
{
	const struct ks_signer_id *id = signature->signer;

	if (signature->count != 1)
		return ks_fail(err, KS_ERR_INPUT, "it has %zu signers, not one", signature->count);
	if (id->attributes)
		return ks_fail(
			err, KS_ERR_INPUT,
			"it has signed attributes, which kernels refuse (openssl cms: -noattr)");
	if (signature->certificates)
		return ks_fail(err, KS_ERR_INPUT,
			       "it has a certificate in it (openssl cms: -nocerts)");
	if (!ks_sign_is_plain(signature, message.len))
		return ks_fail(err, KS_ERR_INPUT, "it is not of the form that kernels take");
	return true;
}

static bool check_der(const struct ks_signature *signature, struct ks_view message,
		      struct ks_error *err)
{
	unsigned char *der = NULL;
	int len = i2d_CMS_ContentInfo(signature->cms, &der);
	bool same = len > 0 && ks_view_equal(ks_view_of(der, (size_t)len), message);

	OPENSSL_free(der);
	if (len <= 0)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "PKCS#7");
	return same || ks_fail(err, KS_ERR_INPUT, "it is BER, not DER");
}

static bool check_signer(const struct ks_signer *signer, const struct ks_signer_id *id,
			 struct ks_error *err)
{
	if (strcmp(id->digest, ks_signer_hash(signer)) != 0)
		return ks_fail(err, KS_ERR_INPUT, "it is by the digest %s, asked was for %s",
			       id->digest, ks_signer_hash(signer));
	if (strcmp(id->algorithm, ks_signer_algorithm(signer, 0)) != 0)
		return ks_fail(err, KS_ERR_INPUT, "its algorithm is %s, kernels want %s",
			       id->algorithm, ks_signer_algorithm(signer, 0));
	return true;
}

bool ks_remote_check(const struct ks_signer *signer, struct ks_view message, struct ks_view image,
		     struct ks_error *err)
{
	KS_SIGNATURE signature = { 0 };
	enum ks_verdict verdict;

	if (!ks_signature_parse(message, &signature, err) ||
	    !check_form(&signature, message, err) || !check_der(&signature, message, err) ||
	    !ks_signature_check(&signature, 0, image, ks_signer_cert(signer, 0), &verdict, err))
		return false;
	if (verdict == KS_VERDICT_UNKNOWN_SIGNER)
		return ks_fail(err, KS_ERR_INPUT,
			       "it is by another certificate than was asked for");
	if (!check_signer(signer, signature.signer, err))
		return false;
	return verdict == KS_VERDICT_GOOD ||
	       ks_fail(err, KS_ERR_INPUT,
		       "it does not fit this module: damaged, by another key, or another module's");
}
