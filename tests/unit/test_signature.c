/* SPDX-License-Identifier: MIT */
/*
 * Messages made by OpenSSL alone: who signed, whether it holds, and what damage does to them.
 */
#include "fixture.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/certs.h"
#include "core/key.h"
#include "core/signature.h"

enum { RSA_SIZE = 256 }; /* bytes, of identity()'s */

static const struct ks_view image = { (const uint8_t *)"the image of a module", 21 };
static const struct ks_view other = { (const uint8_t *)"the image of a Module", 21 };

/* A message over the image by one signer, with other flags than sign-file's. */
static void put_flagged(struct ks_buf *message, const struct identity *by, unsigned int flags)
{
	put_message(message, image, &by, 1, "sha256", flags, CMS_DETACHED);
}

static void parse(struct ks_signature *signature, const struct ks_buf *message)
{
	assert_ok(ks_signature_parse(ks_buf_view(message), signature, &error));
	assert_int_equal(ERR_peek_error(), 0);
}

static enum ks_verdict verdict_of(struct ks_signature *signature, size_t i, struct ks_view bytes,
				  X509 *cert)
{
	enum ks_verdict verdict = KS_VERDICT_UNSIGNED;

	assert_ok(ks_signature_check(signature, i, bytes, cert, &verdict, &error));
	assert_int_equal(ERR_peek_error(), 0);
	return verdict;
}

static void a_plain_message(void **state)
{
	static const struct {
		const char *kind, *hash, *algorithm, *name;
	} cases[] = {
		{ "RSA", "sha256", "rsaEncryption", "RSA key 1 of the tests" },
		{ "RSA", "sha512", "rsaEncryption", "RSA key 1 of the tests" },
		{ "P-256", "sha256", "ecdsa-with-SHA256", "P-256 key 1 of the tests" },
		{ "P-384", "sha384", "ecdsa-with-SHA384", "P-384 key 1 of the tests" },
		{ "P-384", "sha1", "ecdsa-with-SHA1", "P-384 key 1 of the tests" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_SIGNATURE signature = { 0 };
		KS_BUF message = { 0 };
		char issuer[64];

		put_plain_message(&message, image, identity(cases[i].kind, 1), cases[i].hash);
		parse(&signature, &message);
		snprintf(issuer, sizeof(issuer), "CN=%s", cases[i].name);
		assert_int_equal(signature.count, 1);
		assert_int_equal(signature.certificates, 0);
		assert_int_equal(signature.length, message.len);
		assert_string_equal(signature.signer[0].name, cases[i].name);
		assert_string_equal(signature.signer[0].issuer, issuer);
		assert_string_equal(signature.signer[0].serial, "499602d2");
		assert_null(signature.signer[0].key_id);
		assert_string_equal(signature.signer[0].digest, cases[i].hash);
		assert_string_equal(signature.signer[0].algorithm, cases[i].algorithm);
		assert_false(signature.signer[0].attributes);
	}
}

static void a_signer_by_key_id(void **state)
{
	const struct identity *by = identity("P-256", 1);
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(by->cert);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };
	char hex[64];

	(void)state;
	for (int i = 0; i < ASN1_STRING_length(id); i++)
		snprintf(hex + 2 * i, 3, "%02x", ASN1_STRING_get0_data(id)[i]);
	put_flagged(&message, by, SIGN_FILE_FLAGS | CMS_USE_KEYID);
	parse(&signature, &message);
	assert_string_equal(signature.signer[0].key_id, hex);
	assert_null(signature.signer[0].name);
	assert_null(signature.signer[0].issuer);
	assert_null(signature.signer[0].serial);
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_GOOD);
	assert_int_equal(verdict_of(&signature, 0, other, by->cert), KS_VERDICT_BAD);
	assert_int_equal(verdict_of(&signature, 0, image, identity("P-256", 2)->cert),
			 KS_VERDICT_UNKNOWN_SIGNER);
}

static void signed_attributes(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_flagged(&message, by, CMS_NOCERTS | CMS_BINARY);
	parse(&signature, &message);
	assert_true(signature.signer[0].attributes);
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_GOOD);
	assert_int_equal(verdict_of(&signature, 0, other, by->cert), KS_VERDICT_BAD);
}

static void embedded_certificates_are_counted_not_trusted(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_flagged(&message, by, SIGN_FILE_FLAGS & ~(unsigned int)CMS_NOCERTS);
	parse(&signature, &message);
	assert_int_equal(signature.certificates, 1);
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_GOOD);
	assert_int_equal(verdict_of(&signature, 0, image, identity("P-256", 2)->cert),
			 KS_VERDICT_UNKNOWN_SIGNER);
}

static void two_signers(void **state)
{
	const struct identity *const by[] = { identity("P-256", 1), identity("RSA", 1) };
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_message(&message, image, by, 2, "sha256", SIGN_FILE_FLAGS, CMS_DETACHED);
	parse(&signature, &message);
	assert_int_equal(signature.count, 2);
	for (size_t i = 0; i < 2; i++) {
		/* A set in DER is in the order of its bytes, not in ours. */
		size_t who = strcmp(signature.signer[i].algorithm, "rsaEncryption") == 0;

		assert_string_equal(signature.signer[i].name,
				    who ? "RSA key 1 of the tests" : "P-256 key 1 of the tests");
		assert_int_equal(verdict_of(&signature, i, image, by[who]->cert), KS_VERDICT_GOOD);
		assert_int_equal(verdict_of(&signature, i, other, by[who]->cert), KS_VERDICT_BAD);
		assert_int_equal(verdict_of(&signature, i, image, by[!who]->cert),
				 KS_VERDICT_UNKNOWN_SIGNER);
	}
}

static void no_signer(void **state)
{
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_message(&message, image, NULL, 0, "sha256", 0, CMS_DETACHED);
	parse(&signature, &message);
	assert_int_equal(signature.count, 0);
}

static void padding_behind_the_message(void **state)
{
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };
	size_t len;

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	len = message.len;
	assert_ok(ks_buf_append(&message, "\0\0\0\0", 4, &error));
	parse(&signature, &message);
	assert_int_equal(signature.length, len);
	assert_int_equal(verdict_of(&signature, 0, image, identity("P-256", 1)->cert),
			 KS_VERDICT_GOOD);
}

static void assert_refused(struct ks_view message, const char *says)
{
	struct ks_signature signature = { .count = 7 };
	KS_BUF copy = { 0 };

	/* In memory of its own, so that a byte read too many is seen. */
	assert_ok(ks_buf_append(&copy, message.data, message.len, &error));
	assert_fails(ks_signature_parse(ks_buf_view(&copy), &signature, &error), KS_ERR_INPUT);
	assert_says(says);
	assert_int_equal(signature.count, 0);
	assert_null(signature.cms);
	ks_signature_free(&signature);
}

static void attached_content_is_refused(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_BUF message = { 0 };
	KS_BUF empty = { 0 };

	(void)state;
	put_message(&message, image, &by, 1, "sha256", SIGN_FILE_FLAGS, 0);
	assert_refused(ks_buf_view(&message), "attached");
	put_message(&empty, ks_view_of("", 0), &by, 1, "sha256", SIGN_FILE_FLAGS, 0);
	assert_refused(ks_buf_view(&empty), "attached");
}

static void other_content_types_are_refused(void **state)
{
	KS_BIO *in = NULL;
	KS_BIO *out = BIO_new(BIO_s_mem());
	KS_CMS *data = NULL;
	KS_CMS *digested = NULL;
	KS_BUF message = { 0 };
	char *bytes;
	long len;

	(void)state;
	assert_ok(ks_bio_open(image, &in, &error));
	data = CMS_data_create(in, CMS_BINARY);
	assert_true(i2d_CMS_bio(out, data));
	len = BIO_get_mem_data(out, &bytes);
	assert_refused(ks_view_of(bytes, (size_t)len), "not SignedData");
	digested = CMS_digest_create(in, EVP_sha256(), CMS_BINARY | CMS_DETACHED);
	assert_true(BIO_reset(out) > 0);
	assert_true(i2d_CMS_bio(out, digested));
	len = BIO_get_mem_data(out, &bytes);
	assert_refused(ks_view_of(bytes, (size_t)len), "not SignedData");
	put_cert_der(&message, identity("P-256", 1)->cert);
	assert_refused(ks_buf_view(&message), "ASN.1");
}

static void junk_and_cut_messages_are_refused(void **state)
{
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	for (size_t len = 0; len < message.len; len++)
		assert_refused(ks_view_of(message.data, len), "ASN.1");
	assert_refused(text_view("no message"), "ASN.1");
	for (uint32_t seed = 0; seed < 200; seed++) {
		KS_BUF junk = { 0 };

		fill(&junk, 300, seed);
		assert_refused(ks_buf_view(&junk), "ASN.1");
	}
}

static void verdicts(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct identity *by = identity(kinds[i], 1);
		KS_SIGNATURE signature = { 0 };
		KS_BUF message = { 0 };

		put_plain_message(&message, image, by, "sha512");
		parse(&signature, &message);
		/* As often as one likes, in any order. */
		for (int round = 0; round < 2; round++) {
			assert_int_equal(verdict_of(&signature, 0, image, by->cert),
					 KS_VERDICT_GOOD);
			assert_int_equal(verdict_of(&signature, 0, other, by->cert),
					 KS_VERDICT_BAD);
			assert_int_equal(verdict_of(&signature, 0, ks_view_of("", 0), by->cert),
					 KS_VERDICT_BAD);
			assert_int_equal(
				verdict_of(&signature, 0, image, identity("P-256", 2)->cert),
				KS_VERDICT_UNKNOWN_SIGNER);
		}
	}
}

/* Issuer and serial are names; only the key can sign. */
static void the_same_name_with_another_key_is_bad(void **state)
{
	KS_EVP_PKEY *key = make_key("P-256");
	KS_X509 *impostor = make_cert(key, &(struct cert_spec){ .cn = "P-256 key 1 of the tests" });
	KS_X509 *rsa = make_cert(identity("RSA", 1)->key,
				 &(struct cert_spec){ .cn = "P-256 key 1 of the tests" });
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	parse(&signature, &message);
	assert_int_equal(verdict_of(&signature, 0, image, impostor), KS_VERDICT_BAD);
	assert_int_equal(verdict_of(&signature, 0, image, rsa), KS_VERDICT_BAD);
	assert_int_equal(verdict_of(&signature, 0, image, identity("P-256", 1)->cert),
			 KS_VERDICT_GOOD);
}

/* Signed attributes hold a digest: only the signature over them makes it worth anything. */
static void an_impostor_s_attributes_are_bad(void **state)
{
	KS_EVP_PKEY *key = make_key("P-256");
	KS_X509 *cert = make_cert(key, &(struct cert_spec){ .cn = "P-256 key 1 of the tests" });
	const struct identity impostor = { key, cert };
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_flagged(&message, &impostor, CMS_NOCERTS | CMS_BINARY);
	parse(&signature, &message);
	assert_int_equal(verdict_of(&signature, 0, image, cert), KS_VERDICT_GOOD);
	assert_int_equal(verdict_of(&signature, 0, image, identity("P-256", 1)->cert),
			 KS_VERDICT_BAD);
}

/* The signature itself stands at the very end. */
static void a_damaged_signature_is_bad(void **state)
{
	static const unsigned int flags[] = { SIGN_FILE_FLAGS, CMS_NOCERTS | CMS_BINARY,
					      SIGN_FILE_FLAGS | CMS_USE_KEYID };
	static const char *const kinds[] = { "RSA", "P-256" };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(*flags); i++) {
		const struct identity *by = identity(kinds[i % 2], 1);
		KS_SIGNATURE signature = { 0 };
		KS_BUF message = { 0 };

		put_flagged(&message, by, flags[i / 2]);
		message.data[message.len - 5] ^= 1;
		parse(&signature, &message);
		assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_BAD);
	}
}

/* The same name, another serial number: another certificate. */
static void another_serial_is_another_signer(void **state)
{
	KS_X509 *renewed =
		make_cert(identity("P-256", 1)->key,
			  &(struct cert_spec){ .cn = "P-256 key 1 of the tests", .serial = "2" });
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	parse(&signature, &message);
	assert_int_equal(verdict_of(&signature, 0, image, renewed), KS_VERDICT_UNKNOWN_SIGNER);
}

/* Writes NEW wherever OLD stands; both LEN bytes. */
static void exchange(struct ks_buf *message, const char *old, const char *new, size_t len)
{
	size_t found = 0;

	for (size_t at = 0; at + len <= message->len; at++)
		if (memcmp(message->data + at, old, len) == 0) {
			memcpy(message->data + at, new, len);
			found++;
		}
	assert_true(found > 0);
}

static void assert_refusal(const struct ks_buf *message, size_t size, const char *says, int wanted)
{
	KS_SIGNATURE signature = { 0 };
	KS_STRING fault = NULL;
	int sys;

	parse(&signature, message);
	assert_ok(ks_signature_refusal(&signature, size, &fault, &sys, &error));
	assert_int_equal(ERR_peek_error(), 0);
	if (says) {
		assert_non_null(fault);
		assert_non_null(strstr(fault, says));
		assert_int_equal(sys, wanted);
	} else {
		assert_null(fault);
	}
}

/* Each version is followed by what comes next: the SET of digests, the signer's name, its key id. */
static void what_kernels_do_not_take(void **state)
{
	static const struct {
		unsigned int flags;
		const char *old, *new, *says;
		int sys;
	} cases[] = {
		{ 0, "\2\1\1\x31", "\2\1\1\x31", NULL, 0 },
		{ CMS_USE_KEYID, "\2\1\3\x31", "\2\1\3\x31", NULL, 0 },
		{ 0, "\2\1\1\x31", "\2\1\2\x31", "SignedData of version 2", EINVAL },
		{ 0, "\2\1\1\x31", "\2\1\3\x31", "version 1 in SignedData of version 3", EBADMSG },
		{ 0, "\2\1\1\x30", "\2\1\2\x30", "SignerInfo of version 2", EINVAL },
		{ 0, "\2\1\1\x30", "\2\1\3\x30", "version 3 in SignedData of version 1", EBADMSG },
		{ CMS_USE_KEYID, "\2\1\3\x80", "\2\1\1\x80", "version 1 in SignedData of version 3",
		  EBADMSG },
		{ CMS_USE_KEYID, "\2\1\3\x31", "\2\1\1\x31", "version 3 in SignedData of version 1",
		  EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF message = { 0 };

		put_flagged(&message, identity("RSA", 1),
			    CMS_NOCERTS | CMS_NOATTR | cases[i].flags);
		exchange(&message, cases[i].old, cases[i].new, 4);
		assert_refusal(&message, message.len, cases[i].says, cases[i].sys);
	}
}

static void more_than_kernels_take(void **state)
{
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, identity("RSA", 1), "sha256");
	assert_refusal(&message, 65535, NULL, 0);
	assert_refusal(&message, 65536, "65536 bytes, and kernels take 65535", EMSGSIZE);
}

static void a_digest_that_nobody_knows_is_unsupported(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, by, "sha256");
	exchange(&message, "\x60\x86\x48\x01\x65\x03\x04\x02\x01",
		 "\x60\x86\x48\x01\x65\x03\x04\x02\x6f", 9);
	parse(&signature, &message);
	assert_string_equal(signature.signer[0].digest, "2.16.840.1.101.3.4.2.111");
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_UNSUPPORTED);
}

/* MD4 has a name everywhere and, since OpenSSL 3.0, no code behind it: it is a legacy digest. */
static void a_digest_that_cannot_be_done_is_unsupported(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, by, "md5");
	exchange(&message, "\x2a\x86\x48\x86\xf7\x0d\x02\x05", "\x2a\x86\x48\x86\xf7\x0d\x02\x04",
		 8);
	parse(&signature, &message);
	assert_string_equal(signature.signer[0].digest, "md4");
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_UNSUPPORTED);
}

/* Another digest than the one that was signed with: known, and wrong. */
static void an_exchanged_digest_is_bad(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_SIGNATURE signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, by, "sha256");
	exchange(&message, "\x60\x86\x48\x01\x65\x03\x04\x02\x01",
		 "\x60\x86\x48\x01\x65\x03\x04\x02\x03", 9);
	parse(&signature, &message);
	assert_string_equal(signature.signer[0].digest, "sha512");
	assert_int_equal(verdict_of(&signature, 0, image, by->cert), KS_VERDICT_BAD);
}

/* A certificate whose public key no code here can read. */
static void a_key_that_cannot_be_read_is_unsupported(void **state)
{
	KS_BUF der = { 0 };
	KS_BUF message = { 0 };
	KS_SIGNATURE signature = { 0 };
	KS_X509 *cert = NULL;
	const unsigned char *at;

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	parse(&signature, &message);
	put_cert_der(&der, identity("P-256", 1)->cert);
	/* id-ecPublicKey to its unassigned neighbour. */
	exchange(&der, "\x2a\x86\x48\xce\x3d\x02\x01", "\x2a\x86\x48\xce\x3d\x02\x6f", 7);
	at = der.data;
	cert = d2i_X509(NULL, &at, (long)der.len);
	assert_non_null(cert);
	assert_int_equal(verdict_of(&signature, 0, image, cert), KS_VERDICT_UNSUPPORTED);
}

/* --- errnos of kernels ---------------------------------------------------------------------- */

static void expect_parse_errno(struct ks_view message, int sys)
{
	struct ks_signature signature = { .sys = 77 };
	bool ok = ks_signature_parse(message, &signature, &error);

	assert_int_equal(ok, sys == 0);
	assert_int_equal(signature.sys, sys);
	ks_signature_free(&signature);
}

static void the_errno_of_what_cannot_be_read(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_BIO *in = NULL;
	KS_BIO *out = BIO_new(BIO_s_mem());
	KS_CMS *data = NULL;
	KS_BUF message = { 0 };
	KS_BUF attached = { 0 };
	char *bytes;
	long len;

	(void)state;
	put_plain_message(&message, image, by, "sha256");
	expect_parse_errno(ks_buf_view(&message), 0);
	expect_parse_errno(ks_view_of(message.data, message.len - 1), EBADMSG);
	expect_parse_errno(text_view("no message"), EBADMSG);
	expect_parse_errno(ks_view_of("", 0), EBADMSG);
	put_message(&attached, image, &by, 1, "sha256", SIGN_FILE_FLAGS, 0);
	expect_parse_errno(ks_buf_view(&attached), EBADMSG);
	assert_ok(ks_bio_open(image, &in, &error));
	data = CMS_data_create(in, CMS_BINARY);
	assert_true(i2d_CMS_bio(out, data));
	len = BIO_get_mem_data(out, &bytes);
	expect_parse_errno(ks_view_of(bytes, (size_t)len), EINVAL);
}

/* A block as PKCS#1 v1.5 has it, or nearly, made a signature value by RSA without any padding. */
static void put_raw_value(struct ks_buf *message, const unsigned char *block)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(identity("RSA", 1)->key, NULL);
	unsigned char *value = message->data + message->len - RSA_SIZE;
	size_t len = RSA_SIZE;

	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, value, &len, block, RSA_SIZE), 1);
	EVP_PKEY_CTX_free(ctx);
}

static int bad_errno(const struct ks_buf *message, X509 *cert)
{
	KS_SIGNATURE signature = { 0 };
	int sys;

	parse(&signature, message);
	sys = ks_signature_bad_errno(&signature, 0, cert);
	assert_int_equal(ERR_peek_error(), 0);
	return sys;
}

/* SHA-256's DigestInfo (RFC 8017, 9.2), up to the digest. */
#define INFO_256 "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

static void put_block(unsigned char *block, unsigned char first, unsigned char type,
		      const char *prefix)
{
	memset(block, 0xff, RSA_SIZE);
	block[0] = first;
	block[1] = type;
	block[RSA_SIZE - 32 - 19 - 1] = 0;
	memcpy(block + RSA_SIZE - 32 - 19, prefix, 19);
	memset(block + RSA_SIZE - 32, 7, 32);
}

/* crypto/rsassa-pkcs1.c and, before 6.13, rsa-pkcs1pad.c. */
static void the_errno_of_a_bad_signature(void **state)
{
	const struct identity *by = identity("RSA", 1);
	unsigned char block[RSA_SIZE];
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, other, by, "sha256");
	assert_int_equal(bad_errno(&message, by->cert), EKEYREJECTED);
	put_block(block, 0, 1, INFO_256);
	put_raw_value(&message, block);
	assert_int_equal(bad_errno(&message, by->cert), EKEYREJECTED);
	put_block(block, 1, 1, INFO_256);
	put_raw_value(&message, block);
	assert_int_equal(bad_errno(&message, by->cert), EINVAL);
	put_block(block, 0, 2, INFO_256);
	put_raw_value(&message, block);
	assert_int_equal(bad_errno(&message, by->cert), EBADMSG);
	/* No byte 0 that ends the padding; one that ends it after seven. */
	memset(block + 2, 0xff, RSA_SIZE - 2);
	block[1] = 1;
	put_raw_value(&message, block);
	assert_int_equal(bad_errno(&message, by->cert), EBADMSG);
	block[9] = 0;
	put_raw_value(&message, block);
	assert_int_equal(bad_errno(&message, by->cert), EBADMSG);
}

static void the_errno_that_cannot_be_told(void **state)
{
	const struct identity *ec = identity("P-256", 1);
	KS_BUF message = { 0 };
	KS_BUF by_ec = { 0 };

	(void)state;
	put_plain_message(&by_ec, image, ec, "sha256");
	assert_int_equal(bad_errno(&by_ec, ec->cert), 0);
	/* More than the modulus. */
	put_plain_message(&message, image, identity("RSA", 1), "sha256");
	memset(message.data + message.len - RSA_SIZE, 0xff, RSA_SIZE);
	assert_int_equal(bad_errno(&message, identity("RSA", 1)->cert), 0);
}

/* Whatever a damaged message says: it is not good for bytes that nobody signed. */
static void check_damaged(const struct ks_buf *message, X509 *cert)
{
	struct ks_signature signature;

	error = (struct ks_error){ 0 };
	if (!ks_signature_parse(ks_buf_view(message), &signature, &error)) {
		assert_int_not_equal(error.code, KS_ERR_NONE);
		assert_int_equal(ERR_peek_error(), 0);
		return;
	}
	for (size_t i = 0; i < signature.count; i++) {
		enum ks_verdict verdict = KS_VERDICT_GOOD;

		assert_ok(ks_signature_check(&signature, i, other, cert, &verdict, &error));
		assert_int_not_equal(verdict, KS_VERDICT_GOOD);
		assert_int_equal(ERR_peek_error(), 0);
	}
	ks_signature_free(&signature);
}

static void damage(const char *kind, unsigned int flags)
{
	static const uint8_t flips[] = { 0x01, 0x20, 0x80, 0xff };
	const struct identity *by = identity(kind, 1);
	KS_BUF message = { 0 };

	put_flagged(&message, by, flags);
	for (size_t at = 0; at < message.len; at++)
		for (size_t i = 0; i < sizeof(flips); i++) {
			message.data[at] ^= flips[i];
			check_damaged(&message, by->cert);
			message.data[at] ^= flips[i];
		}
}

static void a_flipped_byte_at_every_offset(void **state)
{
	(void)state;
	damage("P-256", SIGN_FILE_FLAGS);
	damage("P-256", CMS_NOCERTS | CMS_BINARY);
	damage("P-256", SIGN_FILE_FLAGS | CMS_USE_KEYID);
	damage("RSA", SIGN_FILE_FLAGS);
}

static void freeing_twice_does_no_harm(void **state)
{
	struct ks_signature signature = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	ks_signature_free(&signature);
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	parse(&signature, &message);
	ks_signature_free(&signature);
	assert_int_equal(signature.count, 0);
	ks_signature_free(&signature);
}

/* The padding is right, and what is behind it is another digest's. */
static void the_errno_of_another_digest_s_signature(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, by, "sha256");
	exchange(&message, "\x60\x86\x48\x01\x65\x03\x04\x02\x01",
		 "\x60\x86\x48\x01\x65\x03\x04\x02\x03", 9);
	assert_int_equal(bad_errno(&message, by->cert), EBADMSG);
}

/* For ever: so in a process of its own.  What differs from what should be, by its number. */
static int starved(void *arg)
{
	const struct ks_buf *message = arg;
	X509 *cert = identity("P-256", 1)->cert;
	KS_SIGNATURE signature = { 0 };
	KS_SIGNATURE none = { 0 };
	KS_EVP_PKEY *key = NULL;
	KS_CERTS certs = { 0 };
	enum ks_verdict verdict = KS_VERDICT_UNSIGNED;

	if (!ks_signature_parse(ks_buf_view(message), &signature, &error))
		return 1;
	ks_openssl_starve();
	if (!ks_signature_check(&signature, 0, image, cert, &verdict, &error) ||
	    verdict != KS_VERDICT_GOOD)
		return 2;
	if (ks_signature_check(&signature, 0, other, cert, &verdict, &error) || error.sys != ENOMEM)
		return 3;
	if (ks_signature_parse(text_view("x"), &none, &error) || error.sys != ENOMEM)
		return 4;
	if (ks_certs_parse(&certs, text_view("x"), &error) || error.sys != ENOMEM)
		return 5;
	if (ks_key_parse(text_view("x"), NULL, &key, &error) || error.sys != ENOMEM)
		return 6;
	return 0;
}

static void without_memory_nothing_is_said_against_anything(void **state)
{
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, image, identity("P-256", 1), "sha256");
	assert_int_equal(run_as_nobody(starved, &message), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_message),
		cmocka_unit_test(a_signer_by_key_id),
		cmocka_unit_test(signed_attributes),
		cmocka_unit_test(embedded_certificates_are_counted_not_trusted),
		cmocka_unit_test(two_signers),
		cmocka_unit_test(no_signer),
		cmocka_unit_test(padding_behind_the_message),
		cmocka_unit_test(attached_content_is_refused),
		cmocka_unit_test(other_content_types_are_refused),
		cmocka_unit_test(junk_and_cut_messages_are_refused),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(the_same_name_with_another_key_is_bad),
		cmocka_unit_test(an_impostor_s_attributes_are_bad),
		cmocka_unit_test(a_damaged_signature_is_bad),
		cmocka_unit_test(another_serial_is_another_signer),
		cmocka_unit_test(what_kernels_do_not_take),
		cmocka_unit_test(more_than_kernels_take),
		cmocka_unit_test(a_digest_that_nobody_knows_is_unsupported),
		cmocka_unit_test(a_digest_that_cannot_be_done_is_unsupported),
		cmocka_unit_test(an_exchanged_digest_is_bad),
		cmocka_unit_test(a_key_that_cannot_be_read_is_unsupported),
		cmocka_unit_test(the_errno_of_what_cannot_be_read),
		cmocka_unit_test(the_errno_of_a_bad_signature),
		cmocka_unit_test(the_errno_that_cannot_be_told),
		cmocka_unit_test(a_flipped_byte_at_every_offset),
		cmocka_unit_test(freeing_twice_does_no_harm),
		cmocka_unit_test(the_errno_of_another_digest_s_signature),
		cmocka_unit_test(without_memory_nothing_is_said_against_anything),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
