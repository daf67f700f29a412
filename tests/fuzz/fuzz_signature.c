/* SPDX-License-Identifier: MIT */
/*
 * Signatures.  The first byte says what the rest is: a module file, a message behind an image, the
 * same twice (piled up), or an image that is signed here and then damaged.
 */
#include <openssl/err.h>
#include <string.h>

#include "core/inspect.h"
#include "core/kmod.h"
#include "core/signer.h"
#include "fixed.h"
#include "fuzz.h"

bool fuzz_accepted; /* a good signature */

enum { AS_FILE, AS_MESSAGE, AS_PILE, AS_IMAGE, SHAPES };

/* The same certificates in both orders: no verdict may depend on it. */
static struct ks_certs certs, reversed;
static struct ks_signer *signer;

static const struct ks_view image = { fixed_image, sizeof(fixed_image) };

static void put_cert(X509 *cert, struct ks_buf *file)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());
	struct ks_error err;
	char *data;
	long len;

	MUST(bio && i2d_X509_bio(bio, cert));
	len = BIO_get_mem_data(bio, &data);
	MUST(ks_buf_append(file, data, (size_t)len, &err));
}

static X509 *make_cert(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	MUST(cert && X509_set_version(cert, X509_VERSION_3) && X509_set_pubkey(cert, key));
	MUST(ASN1_INTEGER_set(X509_get_serialNumber(cert), 77));
	MUST(X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
	     X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	MUST(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					(const unsigned char *)"fuzzer", -1, -1, 0));
	MUST(X509_set_issuer_name(cert, X509_get_subject_name(cert)));
	MUST(X509_sign(cert, key, EVP_sha256()));
	return cert;
}

/* A key of this run for AS_IMAGE; the seeds' own keys are nowhere, see make-seeds. */
static void make_signer(void)
{
	KS_EVP_PKEY *key = EVP_EC_gen("P-256");
	KS_X509 *cert = key ? make_cert(key) : NULL;
	struct ks_identity identity = { .key = key, .cert = cert };
	struct ks_signer_spec spec = { .identity = &identity, .count = 1, .hash = "sha256" };
	KS_BUF cert_file = { 0 };
	struct ks_error err;

	MUST(cert);
	put_cert(cert, &cert_file);
	MUST(ks_signer_open(&signer, &spec, &err));
	MUST(ks_certs_parse(&certs, ks_buf_view(&cert_file), &err));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct ks_error err;

	(void)argc, (void)argv;
	MUST(ks_certs_parse(&certs, ks_view_of(fixed_certs, sizeof(fixed_certs)), &err));
	make_signer();
	reversed.item = calloc(certs.count, sizeof(*reversed.item));
	MUST(reversed.item);
	for (size_t i = 0; i < certs.count; i++)
		reversed.item[reversed.count++] = certs.item[certs.count - 1 - i];
	return 0;
}

static bool digest_agrees(CMS_SignerInfo *info, const EVP_MD *md, struct ks_view content)
{
	const ASN1_OCTET_STRING *said = CMS_signed_get0_data_by_OBJ(
		info, OBJ_nid2obj(NID_pkcs9_messageDigest), -3, V_ASN1_OCTET_STRING);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;

	MUST(EVP_Digest(content.data, content.len, digest, &len, md, NULL));
	return said && (size_t)ASN1_STRING_length(said) == len &&
	       memcmp(ASN1_STRING_get0_data(said), digest, len) == 0;
}

/* Signed attributes: the signature is over them, and one of them is the digest. */
static bool attributes_verify(CMS_SignerInfo *info, X509 *cert)
{
	CMS_SignerInfo_set1_signer_cert(info, cert);
	return CMS_SignerInfo_verify(info) > 0;
}

/* The signature value against the bytes and the certificate's key, without CMS in between. */
static bool value_verifies(CMS_SignerInfo *info, const EVP_MD *md, struct ks_view content,
			   X509 *cert)
{
	const ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(info);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	MUST(ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, X509_get0_pubkey(cert)) > 0);
	ok = EVP_DigestVerify(ctx, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value),
			      content.data, content.len) > 0;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool really_verifies(const struct ks_inspection *in, size_t i, struct ks_view content)
{
	CMS_SignerInfo *info =
		sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(in->signature.cms), (int)i);
	X509 *cert = in->finding[i].cert;
	const ASN1_OBJECT *name;
	X509_ALGOR *digest;
	const EVP_MD *md;
	bool ok;

	CMS_SignerInfo_get0_algs(info, NULL, NULL, &digest, NULL);
	X509_ALGOR_get0(&name, NULL, NULL, digest);
	md = EVP_get_digestbyobj(name);
	MUST(cert && md && CMS_SignerInfo_cert_cmp(info, cert) == 0);
	if (CMS_signed_get_attr_count(info) >= 0)
		ok = digest_agrees(info, md, content) && attributes_verify(info, cert);
	else
		ok = value_verifies(info, md, content, cert);
	ERR_clear_error();
	return ok;
}

static void check_signer(const struct ks_inspection *in, size_t i, struct ks_view content)
{
	const struct ks_signer_id *id = &in->signature.signer[i];
	const struct ks_signer_finding *finding = &in->finding[i];
	bool known = false;

	MUST(finding->verdict == KS_VERDICT_GOOD || finding->verdict == KS_VERDICT_BAD ||
	     finding->verdict == KS_VERDICT_UNSUPPORTED ||
	     finding->verdict == KS_VERDICT_UNKNOWN_SIGNER);
	MUST((finding->verdict == KS_VERDICT_UNKNOWN_SIGNER) == !finding->cert);
	MUST(!id->key_id == (id->name && id->issuer && id->serial));
	MUST(id->digest && id->algorithm);
	for (size_t k = 0; k < certs.count; k++)
		known |= certs.item[k] == finding->cert;
	MUST(known == (finding->cert != NULL));
	if (finding->verdict == KS_VERDICT_GOOD)
		MUST(really_verifies(in, i, content));
	/* What of one certificate is bad may be good by its namesake's, but then it is good. */
	if (finding->verdict == KS_VERDICT_BAD)
		/* A value that fits, said to be of another algorithm, need not hold. */
		MUST(strcmp(id->algorithm, "rsaEncryption") != 0 ||
		     !really_verifies(in, i, content));
}

/* The order of verdicts that inspect.h gives. */
static enum ks_verdict sum_up(const struct ks_inspection *in)
{
	static const enum ks_verdict order[] = { KS_VERDICT_GOOD, KS_VERDICT_BAD,
						 KS_VERDICT_UNSUPPORTED };

	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
		for (size_t i = 0; i < in->signature.count; i++)
			if (in->finding[i].verdict == order[k])
				return order[k];
	return KS_VERDICT_UNKNOWN_SIGNER;
}

static void check_inspection(const struct ks_inspection *in, struct ks_view file)
{
	bool explained =
		in->verdict == KS_VERDICT_MALFORMED || in->verdict == KS_VERDICT_UNSUPPORTED;

	MUST(explained == (in->fault && *in->fault));
	MUST(in->image_size <= file.len && in->signature_size == file.len - in->image_size);
	MUST((in->verdict != KS_VERDICT_UNSIGNED) ==
	     (ks_trailer_parse(file).kind != KS_TRAILER_NONE));
	MUST(in->padding <= in->signature_size && in->beneath <= file.len / 41 + 1);
	if (in->verdict == KS_VERDICT_UNSIGNED || in->verdict == KS_VERDICT_MALFORMED) {
		MUST(!in->signature.count);
		return;
	}
	MUST(in->signature.count && in->signature.length);
	MUST(in->signature.length + in->padding + 40 == in->signature_size);
	MUST(in->verdict == sum_up(in));
	for (size_t i = 0; i < in->signature.count; i++)
		check_signer(in, i, ks_view_of(file.data, in->image_size));
}

static enum ks_verdict inspect(struct ks_view file, const struct ks_certs *by, size_t *image_size)
{
	KS_INSPECTION in = { 0 };
	struct ks_error err;

	MUST(ks_inspect(file, by, &in, &err));
	MUST(!ERR_peek_error());
	check_inspection(&in, file);
	*image_size = in.image_size;
	return in.verdict;
}

/* A signature that is good for these bytes is good for no others. */
static void check_flipped(struct ks_buf *file, size_t image_size)
{
	const size_t at[] = { 0, image_size / 2, image_size - 1 };

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		uint8_t bit = (uint8_t)(1 << (at[i] + file->len) % 8);
		size_t same;

		file->data[at[i]] ^= bit;
		MUST(inspect(ks_buf_view(file), &certs, &same) != KS_VERDICT_GOOD);
		MUST(same == image_size);
		file->data[at[i]] ^= bit;
	}
}

static enum ks_verdict check_file(struct ks_buf *file)
{
	size_t image_size, again;
	enum ks_verdict verdict = inspect(ks_buf_view(file), &certs, &image_size);

	MUST(inspect(ks_buf_view(file), &reversed, &again) == verdict && again == image_size);
	if (verdict == KS_VERDICT_GOOD)
		check_flipped(file, image_size);
	return verdict;
}

/* libkmod reads the same message by code of its own. */
static void check_modinfo(const struct ks_buf *file)
{
	KS_MODINFO info = { 0 };
	struct ks_error err;

	MUST(ks_modinfo_read(ks_buf_view(file), &info, &err));
	MUST(info.intree && !ERR_peek_error());
}

static void put_signed(struct ks_buf *file, struct ks_view content, struct ks_view message)
{
	struct ks_error err;

	MUST(ks_buf_append(file, content.data, content.len, &err));
	MUST(!message.len || ks_trailer_append(file, message, &err));
}

/* INPUT's first bytes say which byte of the new message is damaged, and how. */
static void sign_image(struct ks_buf *file, struct ks_view input)
{
	uint8_t where = input.len > 1 ? input.data[0] : 0;
	uint8_t how = input.len > 1 ? input.data[1] : 0;
	KS_BUF message = { 0 };
	struct ks_error err;
	size_t same;

	MUST(ks_signer_sign(signer, input, &message, &err));
	if (!input.len)
		return;
	put_signed(file, input, ks_buf_view(&message));
	MUST(inspect(ks_buf_view(file), &certs, &same) == KS_VERDICT_GOOD && same == input.len);
	file->data[input.len + where % message.len] ^= how;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view input = fuzz_view(data, size);
	unsigned int shape = fuzz_select(&input, SHAPES);
	KS_BUF file = { 0 };

	if (shape == AS_IMAGE)
		sign_image(&file, input);
	else
		put_signed(&file, shape == AS_FILE ? input : image,
			   shape == AS_FILE ? ks_view_of(NULL, 0) : input);
	if (shape == AS_PILE && input.len) {
		struct ks_error err;

		MUST(ks_trailer_append(&file, input, &err));
	}
	fuzz_accepted = check_file(&file) == KS_VERDICT_GOOD;
	if (shape == AS_MESSAGE || shape == AS_PILE)
		check_modinfo(&file);
	return 0;
}
