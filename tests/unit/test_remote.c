/* SPDX-License-Identifier: MIT */
/* What a service answers: names of its files, bare signatures made messages, messages looked at. */
#include "fixture.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/remote.h"

static const struct ks_view image = { (const uint8_t *)"the image of a module", 21 };
static const struct ks_view other_image = { (const uint8_t *)"the image of another", 20 };

static struct ks_signer *open_public(const char *kind, int n, const char *hash)
{
	struct ks_signer *signer = NULL;

	assert_ok(ks_signer_open_public(&signer, identity(kind, n)->cert, hash, &error));
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(ks_signer_count(signer), 1);
	assert_ptr_equal(ks_signer_cert(signer, 0), identity(kind, n)->cert);
	return signer;
}

/* What a service does with a digest. */
static void sign_bare(const char *kind, int n, const char *hash, struct ks_buf *value)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_get_digestbyname(hash), NULL,
					    identity(kind, n)->key),
			 1);
	assert_int_equal(EVP_DigestSign(ctx, NULL, &len, image.data, image.len), 1);
	assert_ok(ks_buf_reserve(value, len, &error));
	assert_int_equal(EVP_DigestSign(ctx, value->data, &len, image.data, image.len), 1);
	value->len = len;
	EVP_MD_CTX_free(ctx);
}

/* --- names ---------------------------------------------------------------------------------- */

static void expect_name(const char *path, const char *stem)
{
	char name[KS_REMOTE_NAME], wanted[256];
	KS_STRING digest = NULL;

	assert_ok(ks_digest_hex("sha256", ks_view_of(path, strlen(path)), &digest, &error));
	snprintf(wanted, sizeof(wanted), "%s%.32s", stem, digest);
	assert_ok(ks_remote_name(path, name, &error));
	assert_string_equal(name, wanted);
}

static void names_are_safe_and_differ_by_path(void **state)
{
	(void)state;
	expect_name("/lib/modules/6.1/extra/some_module-2.ko.xz", "some_module-2-");
	expect_name("/lib/modules/6.2/extra/some_module-2.ko.xz", "some_module-2-");
	expect_name("/a/plain.ko", "plain-");
	expect_name("/a/b.c.ko.gz", "b_c-");
	expect_name("/a/-rf.ko", "_rf-");
	expect_name("/a/..ko", "_-");
	expect_name("/a/.ko", "");
	expect_name("/a/$(x)\xff\n.ko", "__x___-");
	expect_name("no-slash", "no-slash-");
	expect_name("/a/0123456789012345678901234567890123456789012345.ko",
		    "0123456789012345678901234567890123456789-");
}

static void digests_are_hexadecimal(void **state)
{
	KS_STRING digest = NULL;

	(void)state;
	assert_ok(ks_digest_hex("sha256", ks_view_of("abc", 3), &digest, &error));
	assert_string_equal(digest,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_fails(ks_digest_hex("rot13", image, &digest, &error), KS_ERR_CRYPTO);
}

/* --- a signer without a key ------------------------------------------------------------------ */

static void it_knows_what_the_key_would_make(void **state)
{
	struct ks_signer *signer;

	(void)state;
	signer = open_public("RSA", 1, "sha512");
	assert_string_equal(ks_signer_hash(signer), "sha512");
	assert_string_equal(ks_signer_algorithm(signer, 0), "rsaEncryption");
	ks_signer_free(signer);
	signer = open_public("P-256", 1, "sha384");
	assert_string_equal(ks_signer_algorithm(signer, 0), "ecdsa-with-SHA384");
	ks_signer_free(signer);
}

static void it_is_not_opened_for_what_cannot_sign(void **state)
{
	struct ks_signer *signer = (struct ks_signer *)(uintptr_t)1;

	(void)state;
	assert_fails(ks_signer_open_public(&signer, identity("RSA", 1)->cert, "rot13", &error),
		     KS_ERR_UNSUPPORTED);
	assert_says("unknown hash 'rot13'");
	assert_null(signer);
	assert_fails(ks_signer_open_public(&signer, identity("ED25519", 1)->cert, "sha512", &error),
		     KS_ERR_UNSUPPORTED);
	assert_says("keys cannot sign modules");
	assert_null(signer);
}

/* --- answers -------------------------------------------------------------------------------- */

static void a_bare_signature_becomes_a_message(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct ks_signer *signer = open_public(kinds[i], 1, "sha384");
		KS_BUF value = { 0 };
		KS_BUF message = { 0 };

		sign_bare(kinds[i], 1, "sha384", &value);
		assert_ok(ks_remote_wrap(signer, ks_buf_view(&value), &message, &error));
		assert_ok(ks_remote_check(signer, ks_buf_view(&message), image, &error));
		assert_true(openssl_verifies(ks_buf_view(&message), image,
					     identity(kinds[i], 1)->cert));
		assert_fails(ks_remote_check(signer, ks_buf_view(&message), other_image, &error),
			     KS_ERR_INPUT);
		assert_says("it does not fit this module");
		ks_signer_free(signer);
	}
}

static void an_empty_signature_is_none(void **state)
{
	struct ks_signer *signer = open_public("RSA", 1, "sha256");
	KS_BUF message = { 0 };

	(void)state;
	assert_fails(ks_remote_wrap(signer, ks_view_of("", 0), &message, &error), KS_ERR_INPUT);
	ks_signer_free(signer);
}

/* A message by KIND N with HASH and FLAGS is refused, for the RSA key 1 with SHA-256. */
static void refuse(const char *kind, int n, const char *hash, unsigned int flags, const char *says)
{
	struct ks_signer *signer = open_public("RSA", 1, "sha256");
	const struct identity *by = identity(kind, n);
	KS_BUF message = { 0 };

	put_message(&message, image, &by, 1, hash, flags, CMS_DETACHED);
	assert_fails(ks_remote_check(signer, ks_buf_view(&message), image, &error), KS_ERR_INPUT);
	assert_says(says);
	assert_int_equal(ERR_peek_error(), 0);
	ks_signer_free(signer);
}

static void messages_that_are_not_as_asked(void **state)
{
	(void)state;
	refuse("P-256", 1, "sha256", SIGN_FILE_FLAGS, "another certificate");
	refuse("RSA", 1, "sha512", SIGN_FILE_FLAGS, "by the digest sha512, asked was for sha256");
	refuse("RSA", 1, "sha256", SIGN_FILE_FLAGS & ~(unsigned int)CMS_NOATTR,
	       "signed attributes");
	refuse("RSA", 1, "sha256", SIGN_FILE_FLAGS & ~(unsigned int)CMS_NOCERTS,
	       "a certificate in it");
}

static void messages_of_an_odd_form(void **state)
{
	struct ks_signer *signer = open_public("RSA", 1, "sha256");
	const struct identity *by[] = { identity("RSA", 1), identity("P-256", 1) };
	KS_BUF one = { 0 };
	KS_BUF two = { 0 };

	(void)state;
	put_plain_message(&one, image, by[0], "sha256");
	assert_ok(ks_remote_check(signer, ks_buf_view(&one), image, &error));
	assert_fails(ks_remote_check(signer, ks_view_of(one.data, one.len - 1), image, &error),
		     KS_ERR_INPUT);
	assert_ok(ks_buf_append(&one, "", 1, &error));
	assert_fails(ks_remote_check(signer, ks_buf_view(&one), image, &error), KS_ERR_INPUT);
	assert_says("not of the form that kernels take");
	put_message(&two, image, by, 2, "sha256", SIGN_FILE_FLAGS, CMS_DETACHED);
	assert_fails(ks_remote_check(signer, ks_buf_view(&two), image, &error), KS_ERR_INPUT);
	assert_says("it has 2 signers, not one");
	ks_signer_free(signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_safe_and_differ_by_path),
		cmocka_unit_test(digests_are_hexadecimal),
		cmocka_unit_test(it_knows_what_the_key_would_make),
		cmocka_unit_test(it_is_not_opened_for_what_cannot_sign),
		cmocka_unit_test(a_bare_signature_becomes_a_message),
		cmocka_unit_test(an_empty_signature_is_none),
		cmocka_unit_test(messages_that_are_not_as_asked),
		cmocka_unit_test(messages_of_an_odd_form),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
