/* SPDX-License-Identifier: MIT */
/*
 * What kernels do with modules, predicted: with all that they trust and can do given by hand.  The
 * expectations are what booted kernels did (tests/kernel/cases.py, forms.py, oracle.py, the parts), and
 * where none was asked, their sources (crypto/asymmetric_keys/pkcs7_*.c, kernel/module/).
 */
#include "fixture.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cert.h"
#include "core/predict.h"

#define RELEASE "6.12.9-test"

/* --- the kernel ----------------------------------------------------------------------------- */

/* As Debian's are: it refuses files whose hash is listed. */
static const struct ks_trust_rule debian = { .name = "of the test", .whole_file = KS_YES };
static const struct ks_trust_rule mainline = { .name = "of the test", .whole_file = KS_NO };
static const struct ks_trust_rule stranger = { .name = "of the test", .whole_file = KS_UNKNOWN };

static char version[] = RELEASE, why[] = "the test says so";
static struct ks_trusted items[8];
static struct ks_refused refused[4];
static struct ks_trust trust;
static struct ks_loader loader;

/* It enforces signatures, knows all algorithms, and trusts nobody. */
static int start(void **state)
{
	(void)state;
	trust = (struct ks_trust){ .version = version,
				   .module_sig = KS_YES,
				   .enforced = KS_YES,
				   .enforced_why = why,
				   .enforced_errno = EKEYREJECTED,
				   .rule = &debian,
				   .revocation = KS_YES,
				   .abilities = { .series = 6012,
						  .config = KS_YES,
						  .ecdsa = KS_YES,
						  .mldsa = KS_NO,
						  .waiver = KS_NO },
				   .item = items,
				   .refused = refused,
				   .is_complete = true };
	for (size_t i = 0; i < KS_ABILITY_DIGESTS; i++) {
		trust.abilities.digest[i] = KS_YES;
		trust.abilities.is_built_in[i] = true;
	}
	loader = (struct ks_loader){
		.trust = &trust, .reader = KS_READER_NONE, .kmod = 30, .modversions = KS_NO
	};
	return 0;
}

#define predict_test(name) cmocka_unit_test_setup(name, start)

static int start_in_scratch(void **state)
{
	return start(state) || scratch_make(state);
}

#define system_test(name) cmocka_unit_test_setup_teardown(name, start_in_scratch, scratch_remove)

/* Which of the kernel's digests NAME is, ability.c alone knows. */
static void set_digest(const char *name, enum ks_answer answer)
{
	for (size_t i = 0; i < KS_ABILITY_DIGESTS; i++) {
		enum ks_answer before = trust.abilities.digest[i];
		enum ks_ability was = ks_ability_digest(&trust.abilities, name);

		trust.abilities.digest[i] = before == KS_NO ? KS_YES : KS_NO;
		if (ks_ability_digest(&trust.abilities, name) != was) {
			trust.abilities.digest[i] = answer;
			return;
		}
		trust.abilities.digest[i] = before;
	}
	fail_msg("no digest %s", name);
}

static struct ks_trusted *trust_in(X509 *cert, enum ks_origin origin, enum ks_ring ring)
{
	struct ks_trusted *item = &items[trust.count++];

	assert_true(trust.count <= sizeof(items) / sizeof(*items));
	*item = (struct ks_trusted){
		.cert = cert, .origin = origin, .counts = KS_YES, .ring = ring
	};
	return item;
}

static struct ks_trusted *trust_builtin(const struct identity *who)
{
	return trust_in(who->cert, KS_ORIGIN_BUILTIN, KS_RING_TRUSTED);
}

static struct ks_trusted *trust_db(const struct identity *who)
{
	return trust_in(who->cert, KS_ORIGIN_DB, KS_RING_PLATFORM);
}

static struct ks_trusted *revoked_by_dbx(const struct identity *who)
{
	return trust_in(who->cert, KS_ORIGIN_DBX, KS_RING_NONE);
}

/* --- modules -------------------------------------------------------------------------------- */

static void put_image(struct ks_buf *module)
{
	put_module(module, RELEASE, false);
}

/* Some other module's image. */
static void put_other(struct ks_buf *module)
{
	put_module(module, RELEASE, true);
}

static void put_by(struct ks_buf *module, const struct identity *by, const char *hash)
{
	KS_BUF message = { 0 };

	put_plain_message(&message, ks_buf_view(module), by, hash);
	put_trailer(module, ks_buf_view(&message));
}

/* The module with MESSAGE behind it. */
static void put_with(struct ks_buf *module, const struct ks_buf *message)
{
	put_image(module);
	put_trailer(module, ks_buf_view(message));
}

/* A message over the module by signers in this very order, which DER would not keep. */
static const unsigned char *inside(const unsigned char *at, const unsigned char *end, long *size)
{
	int tag, class;

	assert_false(ASN1_get_object(&at, size, &tag, &class, end - at) & 0x80);
	return at;
}

static const unsigned char *behind(const unsigned char *at, const unsigned char *end)
{
	long size;

	at = inside(at, end, &size);
	return at + size;
}

/* The first SignerInfo of a message without certificates (RFC 5652, 5.1). */
static unsigned char *first_signer(const struct ks_buf *message)
{
	const unsigned char *at = message->data, *end = at + message->len;
	long size;

	at = behind(inside(at, end, &size), end);
	at = inside(inside(at, end, &size), end, &size);
	for (int i = 0; i < 3; i++)
		at = behind(at, end);
	return message->data + (inside(at, end, &size) - message->data);
}

static void swap_signers(struct ks_buf *message)
{
	unsigned char *first = first_signer(message), *end = message->data + message->len;
	unsigned char *second = message->data + (behind(first, end) - message->data);
	KS_BUF copy = { 0 };

	assert_ok(ks_buf_append(&copy, second, (size_t)(end - second), &error));
	assert_ok(ks_buf_append(&copy, first, (size_t)(second - first), &error));
	memcpy(first, copy.data, copy.len);
}

static struct signer_spec plain(const struct identity *by, const char *hash)
{
	return (struct signer_spec){ by, hash, SIGN_FILE_FLAGS };
}

/* A module by TWO signers; the second comes first if SWAPPED, whichever that is. */
static void put_by_two(struct ks_buf *module, const struct signer_spec *two, bool swapped)
{
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };

	put_image(&image);
	put_signers(&message, ks_buf_view(&image), two, 2, CMS_DETACHED);
	if (swapped)
		swap_signers(&message);
	put_with(module, &message);
}

/* Writes NEW wherever OLD stands; both LEN bytes. */
static void exchange(struct ks_buf *file, const char *old, const char *new, size_t len)
{
	size_t found = 0;

	for (size_t at = 0; at + len <= file->len; at++)
		if (memcmp(file->data + at, old, len) == 0) {
			memcpy(file->data + at, new, len);
			found++;
		}
	assert_true(found > 0);
}

#define SHA256_OID "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define NOBODY_S_OID "\x60\x86\x48\x01\x65\x03\x04\x02\x6f"
#define RSA_OID "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define PSS_OID "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define MLDSA65_OID "\x60\x86\x48\x01\x65\x03\x04\x03\x12"

/* --- predictions ---------------------------------------------------------------------------- */

/* How the module comes. */
static struct ks_candidate candidate;

static void predict(const struct ks_buf *content, struct ks_prediction *prediction)
{
	KS_INSPECTION inspection = { 0 };
	const struct ks_certs none = { 0 };

	assert_ok(ks_inspect(ks_buf_view(content), &none, &inspection, &error));
	if (!candidate.codec)
		candidate = (struct ks_candidate){ .codec = &ks_codec_none,
						   .vermagic = loader.trust->version };
	candidate.content = ks_buf_view(content);
	candidate.inspection = &inspection;
	assert_ok(ks_predict(&loader, &candidate, prediction, &error));
	assert_int_equal(ERR_peek_error(), 0);
	candidate = (struct ks_candidate){ 0 };
}

static void assert_prediction(const struct ks_prediction *p, enum ks_fate fate, enum ks_cause cause,
			      int sys, const char *file, int line)
{
	if (p->fate == fate && p->cause == cause && p->sys == sys &&
	    (fate != KS_FATE_UNKNOWN || p->why))
		return;
	print_error("%s, %s, errno %d, not %s, %s, errno %d\n", ks_fate_name(p->fate),
		    ks_cause_name(p->cause), p->sys, ks_fate_name(fate), ks_cause_name(cause), sys);
	_fail(file, line);
}

#define expect(content, fate, cause, sys) \
	(predict(content, &found),        \
	 assert_prediction(&found, KS_FATE_##fate, KS_CAUSE_##cause, sys, __FILE__, __LINE__))
static struct ks_prediction found;

#define expect_loads(content) expect(content, LOADS, NONE, 0)

/* Refused for a lack, in every state of enforcement. */
static void check_lack(const struct ks_buf *content, enum ks_cause cause, const char *file,
		       int line)
{
	static const struct {
		enum ks_answer enforced;
		int sys;
		enum ks_fate fate;
	} cases[] = {
		{ KS_YES, EKEYREJECTED, KS_FATE_REFUSED_WHEN_ENFORCED },
		{ KS_YES, EPERM, KS_FATE_REFUSED_WHEN_ENFORCED }, /* lockdown */
		{ KS_UNKNOWN, 0, KS_FATE_REFUSED_WHEN_ENFORCED },
		{ KS_NO, 0, KS_FATE_TAINTS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		trust.enforced = cases[i].enforced;
		trust.enforced_errno = cases[i].sys;
		predict(content, &found);
		assert_prediction(&found, cases[i].fate, cause, cases[i].sys, file, line);
	}
	trust.enforced = KS_YES;
	trust.enforced_errno = EKEYREJECTED;
}

#define expect_lack(content, cause) check_lack(content, KS_CAUSE_##cause, __FILE__, __LINE__)

/* Refused, enforced or not. */
static void check_refused(const struct ks_buf *content, enum ks_cause cause, int sys,
			  const char *file, int line)
{
	static const enum ks_answer states[] = { KS_YES, KS_NO, KS_UNKNOWN };

	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		trust.enforced = states[i];
		trust.enforced_errno = states[i] == KS_YES ? EPERM : 0;
		predict(content, &found);
		assert_prediction(&found, KS_FATE_REFUSED, cause, sys, file, line);
	}
	trust.enforced = KS_YES;
	trust.enforced_errno = EKEYREJECTED;
}

#define expect_refused(content, cause, sys) \
	check_refused(content, KS_CAUSE_##cause, sys, __FILE__, __LINE__)

/* --- one signer ----------------------------------------------------------------------------- */

static void whose_key_is_known(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384" };
	static const char *const hashes[] = { "sha1", "sha224", "sha256", "sha384", "sha512" };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		for (size_t h = 0; h < sizeof(hashes) / sizeof(*hashes); h++)
			for (int platform = 0; platform < 2; platform++) {
				const struct identity *by = identity(kinds[k], 1);
				const struct ks_trusted *item;
				KS_BUF module = { 0 };

				start(NULL);
				trust_builtin(identity("P-256", 2));
				item = platform ? trust_db(by) : trust_builtin(by);
				put_image(&module);
				put_by(&module, by, hashes[h]);
				expect_loads(&module);
				assert_ptr_equal(found.by, item);
				assert_int_equal(found.signer, 0);
				assert_null(found.why);
			}
}

static void who_names_himself_by_key_id(void **state)
{
	const struct signer_spec by = { identity("P-256", 1), "sha256",
					SIGN_FILE_FLAGS | CMS_USE_KEYID };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&image);
	put_signers(&message, ks_buf_view(&image), &by, 1, CMS_DETACHED);
	put_with(&module, &message);
	expect_lack(&module, UNAVAILABLE_KEY);
	trust_builtin(identity("P-256", 1));
	expect_loads(&module);
}

static void nobody(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	trust_builtin(identity("RSA", 1));
	expect_lack(&module, UNSIGNED);
	assert_null(found.by);
	put_by(&module, identity("RSA", 1), "sha256");
	assert_ok(ks_buf_append(&module, "\n", 1, &error));
	expect_lack(&module, UNSIGNED);
}

static void whose_key_is_not_known(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, identity("P-256", 2), "sha256");
	expect_lack(&module, UNAVAILABLE_KEY);
	trust_builtin(identity("P-256", 1));
	trust_db(identity("RSA", 1));
	expect_lack(&module, UNAVAILABLE_KEY);
	assert_null(found.by);
	/* What is in no keyring that is asked: waits for the next boot, or was refused there. */
	trust_in(identity("P-256", 2)->cert, KS_ORIGIN_MOK_NEW, KS_RING_NONE)->counts = KS_NO;
	trust_in(identity("P-256", 2)->cert, KS_ORIGIN_DB, KS_RING_NONE)->counts = KS_NO;
	expect_lack(&module, UNAVAILABLE_KEY);
	module.data[300] ^= 1;
	expect_lack(&module, UNAVAILABLE_KEY);
}

static void whose_bytes_were_changed(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256" };

	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (int platform = 0; platform < 2; platform++) {
			const struct identity *by = identity(kinds[k], 1);
			const struct ks_trusted *item;
			KS_BUF module = { 0 };

			start(NULL);
			item = platform ? trust_db(by) : trust_builtin(by);
			put_image(&module);
			put_by(&module, by, "sha256");
			module.data[100] ^= 1;
			expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
			assert_ptr_equal(found.by, item);
			module.data[100] ^= 1;
			expect_loads(&module);
			/* The signature's value stands at the message's end. */
			module.data[module.len - 28 - 12 - 5] ^= 1;
			expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
		}
}

static void the_outermost_signature_counts(void **state)
{
	const struct identity *known = identity("RSA", 1), *unknown = identity("P-256", 2);
	KS_BUF over_unknown = { 0 };
	KS_BUF over_known = { 0 };

	(void)state;
	trust_db(known);
	put_image(&over_unknown);
	put_by(&over_unknown, unknown, "sha256");
	put_by(&over_unknown, known, "sha256");
	expect_loads(&over_unknown);
	put_image(&over_known);
	put_by(&over_known, known, "sha256");
	put_by(&over_known, unknown, "sha256");
	expect_lack(&over_known, UNAVAILABLE_KEY);
}

static void what_was_not_all_seen_may_hold_the_key(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_BUF module = { 0 };

	(void)state;
	trust.is_complete = false;
	put_image(&module);
	expect_lack(&module, UNSIGNED);
	put_by(&module, by, "sha256");
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	trust.enforced = KS_NO;
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	trust_db(by);
	expect_loads(&module);
	module.data[100] ^= 1;
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
}

/* --- keyrings ------------------------------------------------------------------------------- */

/* A key with the name and the number of somebody else's certificate. */
static struct identity twin_of_p256(void)
{
	struct identity twin = { make_key("P-256"), NULL };

	twin.cert = make_cert(twin.key, &(struct cert_spec){ .cn = "P-256 key 1 of the tests" });
	return twin;
}

static void free_identity(struct identity *who)
{
	EVP_PKEY_free(who->key);
	X509_free(who->cert);
}

#define TWIN __attribute__((cleanup(free_identity))) struct identity

/* tests/kernel/part_stock.py, judge_twins(): by name one is found, and nobody knows which. */
static void twins_in_one_keyring(void **state)
{
	const struct identity *known = identity("P-256", 1);
	TWIN twin = twin_of_p256();
	const struct signer_spec by_id = { &twin, "sha256", SIGN_FILE_FLAGS | CMS_USE_KEYID };

	(void)state;
	for (int order = 0; order < 2; order++) {
		KS_BUF module = { 0 };
		KS_BUF image = { 0 };
		KS_BUF message = { 0 };
		KS_BUF module_by_id = { 0 };

		start(NULL);
		trust_db(order ? known : &twin);
		trust_db(order ? &twin : known);
		put_image(&module);
		put_by(&module, known, "sha256");
		expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
		put_image(&image);
		put_signers(&message, ks_buf_view(&image), &by_id, 1, CMS_DETACHED);
		put_with(&module_by_id, &message);
		expect_loads(&module_by_id);
		assert_ptr_equal(found.by->cert, twin.cert);
	}
}

/* The first keyring that knows the name settles it. */
static void twins_in_two_keyrings(void **state)
{
	const struct identity *known = identity("P-256", 1);
	TWIN twin = twin_of_p256();
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, known, "sha256");
	trust_db(known);
	trust_builtin(&twin);
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
	start(NULL);
	trust_db(&twin);
	trust_builtin(known);
	expect_loads(&module);
	assert_ptr_equal(found.by, &items[1]);
}

static void the_same_certificate_in_both_keyrings(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_BUF module = { 0 };

	(void)state;
	trust_db(by);
	trust_in(by->cert, KS_ORIGIN_MOK, KS_RING_TRUSTED);
	trust_db(by);
	put_image(&module);
	put_by(&module, by, "sha256");
	expect_loads(&module);
	assert_ptr_equal(found.by, &items[1]);
	assert_string_equal(ks_trusted_keyring(found.by), ".machine");
}

static void certificates_that_may_be_there(void **state)
{
	const struct identity *by = identity("P-256", 1);
	struct ks_trusted *item;
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, by, "sha256");
	item = trust_db(by);
	item->counts = KS_UNKNOWN;
	item->why = "Secure Boot";
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	assert_string_equal(found.why, "whether this kernel accepts the certificate");
	assert_ptr_equal(found.by, item);
	trust.enforced = KS_NO;
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	/* Another that is there for certain comes first. */
	trust_builtin(by);
	expect_loads(&module);
	assert_ptr_equal(found.by, &items[1]);
}

/* 6.1 without ECDSA and SHA-512: a certificate of P-384 with SHA-512 (tests/kernel: ec_sha512). */
static void certificates_taken_unseen(void **state)
{
	const struct identity *by = identity("P-384", 1);
	struct ks_trusted *item;
	KS_BUF module = { 0 };

	(void)state;
	trust.abilities.series = 6001;
	trust.abilities.ecdsa = KS_NO;
	put_image(&module);
	put_by(&module, by, "sha256");
	expect_lack(&module, UNAVAILABLE_KEY);
	item = trust_db(by);
	item->counts = KS_NO;
	item->is_unseen = true;
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
	assert_ptr_equal(found.by, item);
}

/* --- algorithms ----------------------------------------------------------------------------- */

static void put_exchanged(struct ks_buf *module, const struct identity *by, const char *old,
			  const char *new)
{
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };

	put_image(&image);
	put_plain_message(&message, ks_buf_view(&image), by, "sha256");
	exchange(&message, old, new, 9);
	put_with(module, &message);
}

static void algorithms_without_a_name(void **state)
{
	KS_BUF digest = { 0 };
	KS_BUF pss = { 0 };
	KS_BUF mldsa = { 0 };

	(void)state;
	put_exchanged(&digest, identity("RSA", 1), SHA256_OID, NOBODY_S_OID);
	put_exchanged(&pss, identity("RSA", 1), RSA_OID, PSS_OID);
	put_exchanged(&mldsa, identity("RSA", 1), RSA_OID, MLDSA65_OID);
	/* It is asked before the keys are. */
	for (int known = 0; known < 2; known++) {
		if (known)
			trust_builtin(identity("RSA", 1));
		expect_lack(&digest, UNSUPPORTED_CRYPTO);
		expect_lack(&pss, UNSUPPORTED_CRYPTO);
		expect_lack(&mldsa, UNSUPPORTED_CRYPTO);
	}
}

/* SHA-3 has a name from 6.7 on, ECDSA from 5.13 on. */
static void algorithms_by_series(void **state)
{
	static const struct {
		int series;
		bool ecdsa;
	} cases[] = { { 5010, false }, { 6001, true }, { 6012, true }, { 7002, true } };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, identity("P-256", 1), "sha256");
	trust_builtin(identity("P-256", 1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		trust.abilities.series = cases[i].series;
		if (cases[i].ecdsa)
			expect_loads(&module);
		else
			expect_lack(&module, UNSUPPORTED_CRYPTO);
	}
}

static void digests_that_are_missing(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, by, "sha512");
	trust_db(by);
	expect_loads(&module);
	set_digest("sha512", KS_NO);
	expect_lack(&module, UNSUPPORTED_CRYPTO);
	module.data[100] ^= 1;
	expect_lack(&module, UNSUPPORTED_CRYPTO);
	trust.count = 0;
	expect_lack(&module, UNSUPPORTED_CRYPTO);
	set_digest("sha512", KS_UNKNOWN);
	expect(&module, UNKNOWN, UNSUPPORTED_CRYPTO, 0);
}

static void digests_of_which_nobody_knows(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_BUF module = { 0 };
	KS_BUF sha1 = { 0 };

	(void)state;
	trust_db(by);
	put_image(&module);
	put_by(&module, by, "sha512");
	set_digest("sha512", KS_UNKNOWN);
	expect(&module, UNKNOWN, UNSUPPORTED_CRYPTO, 0);
	/* 6.7 and 6.8 have no SHA-1, but some of their stable releases. */
	put_image(&sha1);
	put_by(&sha1, by, "sha1");
	expect_loads(&sha1);
	trust.abilities.series = 6007;
	expect(&sha1, UNKNOWN, UNSUPPORTED_CRYPTO, 0);
	trust.abilities.series = 0;
	expect(&sha1, UNKNOWN, UNSUPPORTED_CRYPTO, 0);
}

/* SM2-with-SM3 in the place of ecdsa-with-SHA256. */
static void algorithms_of_which_nobody_knows(void **state)
{
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&image);
	put_plain_message(&message, ks_buf_view(&image), identity("P-256", 1), "sha256");
	exchange(&message, "\x2a\x86\x48\xce\x3d\x04\x03\x02", "\x2a\x81\x1c\xcf\x55\x01\x83\x75",
		 8);
	put_with(&module, &message);
	expect(&module, UNKNOWN, UNSUPPORTED_CRYPTO, 0);
}

/* --- malformed ------------------------------------------------------------------------------ */

static void information_blocks(void **state)
{
	enum { BLOCK = 28 + 12 }; /* from the end */
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{ 0, 1 }, { 1, 4 }, { 3, 20 }, { 4, 16 }, { 5, 7 }, { 6, 0x40 }, { 7, 0xff }
	};
	static const uint8_t types[] = { 0, 1, 3, 255 };
	KS_BUF module = { 0 };
	uint8_t *block;

	(void)state;
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	trust_builtin(identity("RSA", 1));
	block = module.data + module.len - BLOCK;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		block[cases[i].at] = cases[i].value;
		expect_refused(&module, MALFORMED, EBADMSG);
		block[cases[i].at] = 0;
	}
	for (size_t i = 0; i < sizeof(types); i++) {
		block[2] = types[i];
		expect_lack(&module, UNSUPPORTED_CRYPTO);
		block[0] = 1;
		expect_lack(&module, UNSUPPORTED_CRYPTO);
		block[0] = 0;
	}
	block[2] = 2;
	expect_loads(&module);
}

static void sizes_of_the_message(void **state)
{
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	size_t wrong[9];

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&image);
	put_plain_message(&message, ks_buf_view(&image), identity("RSA", 1), "sha256");
	wrong[0] = 0;
	wrong[1] = message.len + 1;
	wrong[2] = message.len - 1;
	wrong[3] = image.len + message.len - 1;
	wrong[4] = image.len + message.len;
	wrong[5] = wrong[4] + 1;
	wrong[6] = wrong[4] + 40;
	wrong[7] = 0x7fffffff;
	wrong[8] = 0xffffffff;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		KS_BUF module = { 0 };

		put_with(&module, &message);
		for (size_t k = 0; k < 4; k++)
			module.data[module.len - 32 + k] = (uint8_t)(wrong[i] >> (24 - 8 * k));
		expect_refused(&module, MALFORMED, EBADMSG);
	}
}

static void padding_behind_the_message(void **state)
{
	static const size_t most = 65535; /* of the kernel's ASN.1 decoder */
	static const size_t more[] = { 1, 9, 4096 };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&image);
	put_plain_message(&message, ks_buf_view(&image), identity("RSA", 1), "sha256");
	for (size_t i = 0; i < 5; i++) {
		size_t len = i < 3 ? message.len + more[i] : most + i - 3;
		KS_BUF padded = { 0 };
		KS_BUF module = { 0 };

		assert_ok(ks_buf_append(&padded, message.data, message.len, &error));
		fill(&padded, len - message.len, 3);
		put_with(&module, &padded);
		if (i < 4)
			expect_loads(&module);
		else
			expect_refused(&module, MALFORMED, EMSGSIZE);
	}
}

static void structures_of_the_message(void **state)
{
	static const size_t cuts[] = { 1, 2, 10, 100 };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF tag = { 0 };
	KS_BUF none = { 0 };
	KS_BUF module = { 0 };
	KS_BUF without = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&image);
	put_plain_message(&message, ks_buf_view(&image), identity("RSA", 1), "sha256");
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		KS_BUF cut = { 0 };
		KS_BUF short_one = { 0 };

		assert_ok(ks_buf_append(&cut, message.data, cuts[i], &error));
		put_with(&short_one, &cut);
		expect_refused(&short_one, MALFORMED, EBADMSG);
	}
	assert_ok(ks_buf_append(&tag, message.data, message.len, &error));
	tag.data[0] = 0x31;
	put_with(&module, &tag);
	expect_refused(&module, MALFORMED, EBADMSG);
	put_message(&none, ks_buf_view(&image), NULL, 0, "sha256", 0, CMS_DETACHED);
	put_with(&without, &none);
	expect_refused(&without, MALFORMED, EBADMSG);
}

/* Each version is followed by what comes next: the SET of digests, the signer's name. */
static void versions_in_the_message(void **state)
{
	static const struct {
		const char *old, *new;
		int sys;
	} cases[] = {
		{ "\2\1\1\x31", "\2\1\2\x31", EINVAL },
		{ "\2\1\1\x31", "\2\1\3\x31", EBADMSG },
		{ "\2\1\1\x30", "\2\1\2\x30", EINVAL },
		{ "\2\1\1\x30", "\2\1\3\x30", EBADMSG },
	};

	(void)state;
	trust_builtin(identity("RSA", 1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF image = { 0 };
		KS_BUF message = { 0 };
		KS_BUF module = { 0 };

		put_image(&image);
		put_plain_message(&message, ks_buf_view(&image), identity("RSA", 1), "sha256");
		exchange(&message, cases[i].old, cases[i].new, 4);
		put_with(&module, &message);
		expect_refused(&module, MALFORMED, cases[i].sys);
	}
}

static void a_message_with_its_content(void **state)
{
	const struct signer_spec by = plain(identity("RSA", 1), "sha256");
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&image);
	put_signers(&message, ks_buf_view(&image), &by, 1, 0);
	put_with(&module, &message);
	expect_refused(&module, MALFORMED, EBADMSG);
}

static void a_message_that_is_not_signed_data(void **state)
{
	KS_BIO *in = NULL;
	KS_BIO *out = BIO_new(BIO_s_mem());
	KS_CMS *cms = NULL;
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };
	char *bytes;
	long len;

	(void)state;
	assert_ok(ks_bio_open(text_view("some data"), &in, &error));
	cms = CMS_data_create(in, CMS_BINARY);
	assert_true(i2d_CMS_bio(out, cms));
	len = BIO_get_mem_data(out, &bytes);
	assert_ok(ks_buf_append(&message, bytes, (size_t)len, &error));
	put_with(&module, &message);
	expect_refused(&module, NOT_SIGNED_DATA, EINVAL);
}

/* What inspect found; how it finds that is in its own test. */
static void an_algorithm_without_an_end(void **state)
{
	KS_INSPECTION in = { 0 };
	const struct ks_certs none = { 0 };
	KS_BUF module = { 0 };
	struct ks_candidate one = { .codec = &ks_codec_none,
				    .vermagic = RELEASE " SMP mod_unload ",
				    .inspection = &in };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	one.content = ks_buf_view(&module);
	assert_ok(ks_inspect(one.content, &none, &in, &error));
	in.indefinite = true;
	assert_ok(ks_predict(&loader, &one, &found, &error));
	assert_int_equal(found.fate, KS_FATE_LOADS);
	in.endless_algorithm = true;
	assert_ok(ks_predict(&loader, &one, &found, &error));
	assert_prediction(&found, KS_FATE_REFUSED, KS_CAUSE_MALFORMED, EBADMSG, __FILE__, __LINE__);
}

/* --- signed attributes ---------------------------------------------------------------------- */

enum {
	WITH_CAPABILITIES = CMS_NOCERTS | CMS_BINARY,
	ATTRIBUTES = WITH_CAPABILITIES | CMS_NOSMIMECAP
};

static void put_attributes(struct ks_buf *module, const struct identity *by, unsigned int flags,
			   void (*put_signed_image)(struct ks_buf *image))
{
	const struct signer_spec spec = { by, "sha256", flags };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };

	put_signed_image(&image);
	put_signers(&message, ks_buf_view(&image), &spec, 1, CMS_DETACHED);
	put_with(module, &message);
}

static void signed_attributes(void **state)
{
	static const unsigned int flags[] = { WITH_CAPABILITIES, ATTRIBUTES };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		KS_BUF good = { 0 };
		KS_BUF other = { 0 };
		KS_BUF unknown = { 0 };

		start(NULL);
		trust_builtin(identity("RSA", 1));
		put_attributes(&good, identity("RSA", 1), flags[i], put_image);
		put_attributes(&other, identity("RSA", 1), flags[i], put_other);
		put_attributes(&unknown, identity("P-256", 2), flags[i], put_image);
		/* The waiver is for ML-DSA alone. */
		for (int waiver = 0; waiver < 2; waiver++) {
			trust.abilities.waiver = waiver ? KS_YES : KS_NO;
			expect_refused(&good, ATTRIBUTES, EKEYREJECTED);
			expect_refused(&other, ATTRIBUTES, EKEYREJECTED);
			expect_refused(&unknown, ATTRIBUTES, EKEYREJECTED);
		}
		trust.is_complete = false;
		expect_refused(&unknown, ATTRIBUTES, EKEYREJECTED);
	}
}

/* The digest's name comes before the attributes (RFC 5652, 5.3). */
static void signed_attributes_and_a_digest_without_a_name(void **state)
{
	const struct signer_spec by = { identity("RSA", 1), "sha256", ATTRIBUTES };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&image);
	put_signers(&message, ks_buf_view(&image), &by, 1, CMS_DETACHED);
	exchange(&message, SHA256_OID, NOBODY_S_OID, 9);
	put_with(&module, &message);
	expect_lack(&module, UNSUPPORTED_CRYPTO);
}

/* The algorithm's name comes behind them, but S/MIME's capabilities end it at once. */
static void signed_attributes_and_an_algorithm_without_a_name(void **state)
{
	static const unsigned int flags[] = { WITH_CAPABILITIES, ATTRIBUTES };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct signer_spec by = { identity("RSA", 1), "sha256", flags[i] };
		KS_BUF image = { 0 };
		KS_BUF message = { 0 };
		KS_BUF module = { 0 };

		put_image(&image);
		put_signers(&message, ks_buf_view(&image), &by, 1, CMS_DETACHED);
		exchange(&message, RSA_OID, PSS_OID, 9);
		put_with(&module, &message);
		if (flags[i] == WITH_CAPABILITIES)
			expect_refused(&module, ATTRIBUTES, EKEYREJECTED);
		else
			expect_lack(&module, UNSUPPORTED_CRYPTO);
	}
}

/* pkcs7_check_authattrs(): all of them, or none. */
static void signed_attributes_of_one_signer_only(void **state)
{
	const struct signer_spec two[] = { plain(identity("RSA", 1), "sha256"),
					   { identity("P-256", 1), "sha256", ATTRIBUTES } };

	(void)state;
	for (int swapped = 0; swapped < 2; swapped++) {
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		expect_refused(&module, MALFORMED, EINVAL);
	}
}

/* part_own.py: a kernel with ML-DSA and without the waiver; with it, who knows which digests. */
static void signed_attributes_of_mldsa(void **state)
{
	const struct signer_spec by = { identity("RSA", 1), "sha256", ATTRIBUTES };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&image);
	put_signers(&message, ks_buf_view(&image), &by, 1, CMS_DETACHED);
	exchange(&message, RSA_OID, MLDSA65_OID, 9);
	put_with(&module, &message);
	trust.abilities.series = 7002;
	trust.abilities.mldsa = KS_YES;
	expect_refused(&module, ATTRIBUTES, EKEYREJECTED);
	trust.abilities.waiver = KS_YES;
	expect(&module, UNKNOWN, ATTRIBUTES, 0);
	trust.abilities.waiver = KS_UNKNOWN;
	expect(&module, UNKNOWN, ATTRIBUTES, 0);
}

/* --- several signers ------------------------------------------------------------------------ */

/* The same whichever comes first. */
static void check_two(const struct signer_spec *a, const struct signer_spec *b, enum ks_fate fate,
		      enum ks_cause cause, int sys, int line)
{
	const struct signer_spec two[] = { *a, *b };

	for (int swapped = 0; swapped < 2; swapped++) {
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		predict(&module, &found);
		assert_prediction(&found, fate, cause, sys, __FILE__, line);
	}
}

#define expect_two(a, b, fate, cause, sys) \
	check_two(&(a), &(b), KS_FATE_##fate, KS_CAUSE_##cause, sys, __LINE__)

static void one_known_signer_will_do(void **state)
{
	const struct signer_spec known = plain(identity("RSA", 1), "sha256");
	const struct signer_spec also = plain(identity("P-256", 1), "sha256");
	const struct signer_spec unknown = plain(identity("P-256", 2), "sha256");
	const struct signer_spec stranger_too = plain(identity("P-384", 2), "sha384");

	(void)state;
	for (int platform = 0; platform < 2; platform++) {
		start(NULL);
		for (int i = 0; i < 2; i++) {
			const struct identity *who = i ? identity("P-256", 1) : identity("RSA", 1);

			trust_in(who->cert, platform ? KS_ORIGIN_DB : KS_ORIGIN_BUILTIN,
				 platform ? KS_RING_PLATFORM : KS_RING_TRUSTED);
		}
		expect_two(known, unknown, LOADS, NONE, 0);
		assert_ptr_equal(found.by, &items[0]);
		expect_two(known, also, LOADS, NONE, 0);
		expect_two(unknown, stranger_too, REFUSED_WHEN_ENFORCED, UNAVAILABLE_KEY,
			   EKEYREJECTED);
	}
	/* Known in two keyrings: the first that knows one is enough. */
	start(NULL);
	trust_db(identity("RSA", 1));
	trust_builtin(identity("P-256", 1));
	expect_two(known, also, LOADS, NONE, 0);
	assert_ptr_equal(found.by, &items[1]);
}

/* The signer that FOUND names is the one whose certificate it names. */
static void the_signer_that_decided(void **state)
{
	const struct signer_spec two[] = { plain(identity("RSA", 1), "sha256"),
					   plain(identity("P-256", 2), "sha256") };

	(void)state;
	trust_builtin(identity("RSA", 1));
	for (int swapped = 0; swapped < 2; swapped++) {
		KS_INSPECTION in = { 0 };
		const struct ks_certs none = { 0 };
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		assert_ok(ks_inspect(ks_buf_view(&module), &none, &in, &error));
		expect_loads(&module);
		assert_string_equal(in.signature.signer[found.signer].name,
				    "RSA key 1 of the tests");
	}
}

static void one_bad_signer_is_enough(void **state)
{
	TWIN twin = twin_of_p256();
	const struct signer_spec bad = plain(&twin, "sha256");
	const struct signer_spec known = plain(identity("RSA", 1), "sha256");
	const struct signer_spec unknown = plain(identity("P-256", 2), "sha256");

	(void)state;
	for (int platform = 0; platform < 2; platform++) {
		start(NULL);
		if (platform)
			trust_db(identity("P-256", 1)), trust_db(identity("RSA", 1));
		else
			trust_builtin(identity("P-256", 1)), trust_builtin(identity("RSA", 1));
		for (int enforced = KS_UNKNOWN; enforced <= KS_YES; enforced++) {
			trust.enforced = (enum ks_answer)enforced;
			expect_two(bad, known, REFUSED, BAD_SIGNATURE, EKEYREJECTED);
			expect_two(bad, unknown, REFUSED, BAD_SIGNATURE, EKEYREJECTED);
		}
	}
	/* The bad one's keyring is asked only where the first knows nobody. */
	start(NULL);
	trust_builtin(identity("RSA", 1));
	trust_db(identity("P-256", 1));
	expect_two(bad, known, LOADS, NONE, 0);
}

/* Debian asks the keyring of db only where the answer was ENOKEY, and not ENOPKG. */
static void a_digest_that_is_missing_beside_a_good_signer(void **state)
{
	const struct signer_spec known = plain(identity("RSA", 1), "sha256");
	const struct signer_spec lacking = plain(identity("P-256", 1), "sha512");

	(void)state;
	set_digest("sha512", KS_NO);
	trust_db(identity("RSA", 1));
	trust_db(identity("P-256", 1));
	expect_two(known, lacking, REFUSED_WHEN_ENFORCED, UNSUPPORTED_CRYPTO, EKEYREJECTED);
	trust.enforced = KS_NO;
	expect_two(known, lacking, TAINTS, UNSUPPORTED_CRYPTO, 0);
	start(NULL);
	set_digest("sha512", KS_NO);
	trust_builtin(identity("RSA", 1));
	trust_builtin(identity("P-256", 1));
	expect_two(known, lacking, LOADS, NONE, 0);
	assert_ptr_equal(found.by, &items[0]);
	start(NULL);
	set_digest("sha512", KS_NO);
	expect_two(known, lacking, REFUSED_WHEN_ENFORCED, UNSUPPORTED_CRYPTO, EKEYREJECTED);
}

/* Its parser gives up where a digest has no number, whoever else signed. */
static void a_digest_without_a_name_beside_a_good_signer(void **state)
{
	const struct signer_spec two[] = { plain(identity("RSA", 1), "sha256"),
					   plain(identity("P-256", 1), "sha512") };

	(void)state;
	trust_builtin(identity("RSA", 1));
	trust_builtin(identity("P-256", 1));
	for (int swapped = 0; swapped < 2; swapped++) {
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		expect_loads(&module);
		exchange(&module, SHA256_OID, NOBODY_S_OID, 9);
		expect_lack(&module, UNSUPPORTED_CRYPTO);
	}
}

static void signers_by_number_and_by_key_id(void **state)
{
	const struct signer_spec number = plain(identity("RSA", 1), "sha256");
	const struct signer_spec id = { identity("P-256", 1), "sha256",
					SIGN_FILE_FLAGS | CMS_USE_KEYID };

	(void)state;
	trust_builtin(identity("RSA", 1));
	trust_builtin(identity("P-256", 1));
	expect_two(number, id, REFUSED, MALFORMED, EBADMSG);
}

/* --- embedded certificates ------------------------------------------------------------------ */

/* A message over an image by BY, with its certificate and, if there is one, OTHER's. */
static void put_embedded(struct ks_buf *message, void (*put_signed_image)(struct ks_buf *image),
			 const struct identity *by, const struct identity *other)
{
	KS_BUF image = { 0 };
	KS_BUF plain_one = { 0 };
	const struct signer_spec spec = { by, "sha256",
					  SIGN_FILE_FLAGS & ~(unsigned int)CMS_NOCERTS };
	const unsigned char *at;
	unsigned char *der = NULL;
	KS_CMS *cms = NULL;
	int len;

	put_signed_image(&image);
	put_signers(&plain_one, ks_buf_view(&image), &spec, 1, CMS_DETACHED);
	at = plain_one.data;
	cms = d2i_CMS_ContentInfo(NULL, &at, (long)plain_one.len);
	assert_non_null(cms);
	assert_true(!other || CMS_add1_cert(cms, other->cert));
	len = i2d_CMS_ContentInfo(cms, &der);
	assert_true(len > 0);
	assert_ok(ks_buf_append(message, der, (size_t)len, &error));
	OPENSSL_free(der);
}

static void put_embedding(struct ks_buf *module, void (*put_signed_image)(struct ks_buf *image),
			  const struct identity *by, const struct identity *other)
{
	KS_BUF message = { 0 };

	put_embedded(&message, put_signed_image, by, other);
	put_with(module, &message);
}

static void embedded_certificates(void **state)
{
	const struct identity *known = identity("RSA", 1), *unknown = identity("P-256", 2);
	KS_BUF own = { 0 };
	KS_BUF own_and_other = { 0 };
	KS_BUF stranger_s = { 0 };
	KS_BUF with_known = { 0 };

	(void)state;
	put_embedding(&own, put_image, known, NULL);
	expect_lack(&own, UNAVAILABLE_KEY);
	trust_db(known);
	expect_loads(&own);
	assert_ptr_equal(found.by, &items[0]);
	put_embedding(&own_and_other, put_image, known, unknown);
	expect_loads(&own_and_other);
	put_embedding(&stranger_s, put_image, unknown, NULL);
	expect_lack(&stranger_s, UNAVAILABLE_KEY);
	put_embedding(&with_known, put_image, unknown, known);
	expect_lack(&with_known, UNAVAILABLE_KEY);
	trust.is_complete = false;
	expect_loads(&own);
	expect(&stranger_s, UNKNOWN, UNAVAILABLE_KEY, 0);
}

/* It takes the embedded certificate for the signer's, which is not enrolled. */
static void an_embedded_twin(void **state)
{
	TWIN twin = twin_of_p256();
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("P-256", 1));
	put_embedding(&module, put_image, &twin, NULL);
	expect_lack(&module, UNAVAILABLE_KEY);
}

/* The errno is that of the crypto here, not of the keyring. */
static void embedded_certificates_and_bad_signatures(void **state)
{
	const struct identity *known = identity("RSA", 1);
	KS_BUF other = { 0 };
	KS_BUF stranger_s = { 0 };

	(void)state;
	put_embedding(&other, put_other, known, NULL);
	expect_refused(&other, BAD_SIGNATURE, EKEYREJECTED);
	trust_builtin(known);
	expect_refused(&other, BAD_SIGNATURE, EKEYREJECTED);
	/* It is not asked whether anybody knows the signer.  ECDSA has more than one errno. */
	put_embedding(&stranger_s, put_other, identity("P-256", 2), NULL);
	predict(&stranger_s, &found);
	assert_int_equal(found.fate, KS_FATE_REFUSED);
	assert_int_equal(found.cause, KS_CAUSE_BAD_SIGNATURE);
	assert_true(!found.sys || found.sys == EKEYREJECTED);
}

/* Its certificate is not looked for in the message (pkcs7_find_key()). */
static void an_embedded_certificate_and_a_key_id(void **state)
{
	const struct signer_spec by = { identity("P-256", 1), "sha256",
					(SIGN_FILE_FLAGS | CMS_USE_KEYID) &
						~(unsigned int)CMS_NOCERTS };
	KS_BUF other = { 0 };
	KS_BUF message = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_other(&other);
	put_signers(&message, ks_buf_view(&other), &by, 1, CMS_DETACHED);
	put_with(&module, &message);
	expect_lack(&module, UNAVAILABLE_KEY);
	trust_builtin(identity("P-256", 1));
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
}

/* Self-signed ones are roots of their own (pkcs7_validate_trust_one()): by number and by key id. */
static void an_embedded_certificate_of_a_known_key(void **state)
{
	const struct identity *known = identity("P-256", 1);
	struct identity renewed = { known->key, NULL };
	struct ks_trusted *item;
	KS_BUF module = { 0 };
	KS_BUF own = { 0 };

	(void)state;
	renewed.cert = make_cert(
		known->key, &(struct cert_spec){ .cn = "P-256 key 1 of the tests", .serial = "2" });
	item = trust_builtin(known);
	put_embedding(&module, put_image, &renewed, NULL);
	expect_lack(&module, UNAVAILABLE_KEY);
	X509_free(renewed.cert);
	put_embedding(&own, put_image, known, NULL);
	expect_loads(&own);
	item->counts = KS_UNKNOWN;
	expect(&own, UNKNOWN, UNAVAILABLE_KEY, 0);
}

/* Descent is left to the kernel. */
static void an_embedded_certificate_that_another_signed(void **state)
{
	const struct identity *ca = identity("RSA", 1), *key = identity("P-256", 1);
	struct identity issued = { key->key, X509_dup(key->cert) };
	KS_BUF module = { 0 };

	(void)state;
	assert_true(X509_set_issuer_name(issued.cert, X509_get_subject_name(ca->cert)));
	assert_true(X509_sign(issued.cert, ca->key, EVP_sha256()) > 0);
	put_embedding(&module, put_image, &issued, NULL);
	X509_free(issued.cert);
	expect_lack(&module, UNAVAILABLE_KEY);
	trust_builtin(ca);
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
}

/* What cannot be digested is not checked (pkcs7_verify_one()). */
static void an_embedded_certificate_and_a_digest_that_is_missing(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	put_embedding(&module, put_other, identity("RSA", 1), NULL);
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
	set_digest("sha256", KS_NO);
	expect_lack(&module, UNSUPPORTED_CRYPTO);
}

/* A certificate of KIND's whose key is of no kind that OpenSSL, or anybody, knows. */
static X509 *of_unknown_kind(const struct identity *who)
{
	KS_BUF der = { 0 };
	const unsigned char *at;
	X509 *cert;

	put_cert_der(&der, who->cert);
	/* id-ecPublicKey to its unassigned neighbour. */
	exchange(&der, "\x2a\x86\x48\xce\x3d\x02\x01", "\x2a\x86\x48\xce\x3d\x02\x6f", 7);
	at = der.data;
	cert = d2i_X509(NULL, &at, (long)der.len);
	assert_non_null(cert);
	return cert;
}

static void certificates_that_openssl_cannot_use(void **state)
{
	struct identity odd = { NULL, of_unknown_kind(identity("P-256", 1)) };
	KS_BUF embedding = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, identity("P-256", 1), "sha256");
	trust_builtin(&odd);
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	start(NULL);
	trust_builtin(identity("RSA", 1));
	put_embedding(&embedding, put_image, identity("RSA", 1), &odd);
	predict(&embedding, &found);
	assert_int_not_equal(found.fate, KS_FATE_LOADS);
	X509_free(odd.cert);
}

/* The first byte of what RSA makes of the flipped value, by OpenSSL. */
static int first_byte(EVP_PKEY *key, const unsigned char *value)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	unsigned char out[256];
	size_t len = sizeof(out);
	bool ok;

	assert_true(EVP_PKEY_verify_recover_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, 3 /* none */) == 1);
	ok = EVP_PKEY_verify_recover(ctx, out, &len, value, 256) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok ? out[0] : -1;
}

/* tests/kernel/cases.py, without_padding(): EINVAL where it does not even begin with a zero. */
static void an_embedded_certificate_and_no_padding(void **state)
{
	const struct identity *known = identity("RSA", 1);
	KS_BUF message = { 0 };
	unsigned char *value;
	size_t flips = 0;

	(void)state;
	trust_builtin(known);
	put_embedded(&message, put_image, known, NULL);
	value = message.data + message.len - 256;
	for (size_t at = 255; at > 200; at--) {
		KS_BUF module = { 0 };

		value[at] ^= 1;
		put_with(&module, &message);
		if (first_byte(known->key, value) > 0) {
			expect_refused(&module, BAD_SIGNATURE, EINVAL);
			flips++;
		} else if (first_byte(known->key, value) == 0) {
			expect_refused(&module, BAD_SIGNATURE, EBADMSG);
		}
		value[at] ^= 1;
	}
	assert_true(flips > 0);
}

/* --- what is refused ------------------------------------------------------------------------ */

static void revoked_signers(void **state)
{
	const struct identity *by = identity("P-256", 1);
	struct ks_trusted *item;
	KS_BUF module = { 0 };
	KS_BUF embedding = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, by, "sha256");
	put_embedding(&embedding, put_image, by, NULL);
	trust_builtin(by);
	item = revoked_by_dbx(by);
	expect_refused(&module, REVOKED, EKEYREJECTED);
	assert_ptr_equal(found.by, item);
	expect_refused(&embedding, REVOKED, EKEYREJECTED);
	item->origin = KS_ORIGIN_REVOKED;
	expect_refused(&module, REVOKED, EKEYREJECTED);
	item->origin = KS_ORIGIN_MOKX;
	expect_refused(&module, REVOKED, EKEYREJECTED);
	/* CONFIG_SYSTEM_REVOCATION_LIST is off: for the firmware only. */
	item->counts = KS_NO;
	expect_loads(&module);
	assert_ptr_equal(found.by, &items[0]);
	item->counts = KS_UNKNOWN;
	expect(&module, UNKNOWN, REVOKED, 0);
	/* Nobody asks whether the key is trusted, nor whether all was seen. */
	item->counts = KS_YES;
	items[0].counts = KS_NO;
	items[0].ring = KS_RING_NONE;
	trust.is_complete = false;
	expect_refused(&module, REVOKED, EKEYREJECTED);
}

static void what_revokes_nobody(void **state)
{
	const struct identity *by = identity("P-256", 1);
	TWIN twin = twin_of_p256();
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, by, "sha256");
	trust_builtin(by);
	revoked_by_dbx(identity("P-256", 2));
	/* One of the same name whose key did not sign (is_key_on_revocation_list(): EKEYREJECTED). */
	revoked_by_dbx(&twin);
	trust_in(by->cert, KS_ORIGIN_MOK_DEL, KS_RING_NONE);
	trust_in(by->cert, KS_ORIGIN_MOK_NEW, KS_RING_NONE);
	expect_loads(&module);
	assert_ptr_equal(found.by, &items[0]);
	items[0].ring = KS_RING_NONE;
	expect_lack(&module, UNAVAILABLE_KEY);
	assert_null(found.by);
	items[0].ring = KS_RING_TRUSTED;
	/* The keyring of what is refused is asked first, but a signature that is bad is so by it as well. */
	revoked_by_dbx(by);
	module.data[100] ^= 1;
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
}

static void a_revoked_signer_beside_a_good_one(void **state)
{
	const struct signer_spec known = plain(identity("RSA", 1), "sha256");
	const struct signer_spec revoked = plain(identity("P-256", 1), "sha256");

	(void)state;
	trust_builtin(identity("RSA", 1));
	revoked_by_dbx(identity("P-256", 1));
	expect_two(known, revoked, REFUSED, REVOKED, EKEYREJECTED);
}

static struct ks_refused *refuse_file(const struct ks_buf *module)
{
	struct ks_refused *one = &refused[trust.refused_count++];

	*one = (struct ks_refused){ .hash.type = KS_SIGLIST_IMAGE, .counts = KS_YES };
	assert_int_equal(
		EVP_Digest(module->data, module->len, one->hash.value, NULL, EVP_sha256(), NULL),
		1);
	return one;
}

static void hashes_of_whole_files(void **state)
{
	KS_BUF module = { 0 };
	struct ks_refused *other, *one;

	(void)state;
	trust_db(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	other = refuse_file(&module);
	other->hash.value[31] ^= 1;
	expect_loads(&module);
	one = refuse_file(&module);
	expect_refused(&module, BLACKLISTED, EKEYREJECTED);
	one->hash.type = KS_SIGLIST_TBS;
	expect_loads(&module);
	one->hash.type = KS_SIGLIST_IMAGE;
	one->counts = KS_NO;
	expect_loads(&module);
	one->counts = KS_UNKNOWN;
	expect(&module, UNKNOWN, BLACKLISTED, 0);
	one->counts = KS_YES;
	trust.rule = &mainline;
	expect_loads(&module);
	trust.rule = &stranger;
	expect(&module, UNKNOWN, BLACKLISTED, 0);
	/* It is the file with its signature: another signature, another file. */
	trust.rule = &debian;
	module.len = 0;
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha512");
	expect_loads(&module);
}

/* --- containers ----------------------------------------------------------------------------- */

struct container {
	const struct ks_codec *codec;
	const struct ks_objection *objection;
};

static const struct ks_objection flawed = { "a flaw", KS_READS_NOTHING };
static const struct ks_objection parted = { "a second one", KS_READS_PART };
static const struct ks_objection doubted = { "a filter", KS_READS_MAYBE };
static const struct ks_objection filtered = { "an x86 filter", KS_READS_X86 };

static void put_in(const struct container *container)
{
	candidate = (struct ks_candidate){ .codec = container->codec,
					   .objection = container->objection,
					   .vermagic = RELEASE " SMP mod_unload " };
}

/*
 * tests/kernel/forms.py and part_containers.py: what every kmod and every kernel's reader takes.  '+':
 * goes on to the signature; '-': refused; '?': nobody knows.
 */
static void who_reads_the_container(void **state)
{
	static const struct container forms[] = {
		{ &ks_codec_none, NULL },  { &ks_codec_xz, NULL },	{ &ks_codec_zstd, NULL },
		{ &ks_codec_gzip, NULL },  { &ks_codec_xz, &filtered }, { &ks_codec_xz, &flawed },
		{ &ks_codec_xz, &parted }, { &ks_codec_xz, &doubted },
	};
	static const struct {
		enum ks_kernel_reader reader;
		const char *wanted; /* with kmod 30, kmod 34 and one unknown, each all forms */
	} cases[] = {
		{ KS_READER_NONE, "+++?++++ +++?++++ +++?+???" },
		{ KS_READER_XZ, "+++?++++ +++?+-?? +++?+???" },
		{ KS_READER_XZ_PLAIN, "+++?++++ +++?--?? +++?????" },
		{ KS_READER_ZSTD, "+++?++++ +++?++++ +++?+???" },
		{ KS_READER_GZIP, "+++?++++ ++++++++ +++?+???" },
		{ KS_READER_UNKNOWN, "+++?++++ +??????? +???????" },
	};
	static const int kmods[] = { 30, 34, 0 };
	enum { FORMS = sizeof(forms) / sizeof(*forms) };
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++)
		for (size_t h = 0; h < 3; h++)
			for (size_t f = 0; f < FORMS; f++) {
				char wanted = cases[c].wanted[h * (FORMS + 1) + f];

				loader.reader = cases[c].reader;
				loader.kmod = kmods[h];
				put_in(&forms[f]);
				predict(&module, &found);
				assert_prediction(&found,
						  wanted == '+' ? KS_FATE_LOADS :
						  wanted == '-' ? KS_FATE_REFUSED :
								  KS_FATE_UNKNOWN,
						  wanted == '+' ? KS_CAUSE_NONE :
								  KS_CAUSE_CONTAINER,
						  wanted == '-' ? EINVAL : 0, __FILE__, __LINE__);
			}
}

/* A kernel's own reader takes it, kmod 30 too; kmod 34's does not, and what others do nobody knows. */
static void a_zstd_frame_without_content_size(void **state)
{
	const struct container form = { &ks_codec_zstd, &ks_codec_no_content_size };
	static const struct {
		enum ks_kernel_reader reader;
		int kmod;
		enum ks_fate fate;
	} cases[] = {
		{ KS_READER_ZSTD, 30, KS_FATE_LOADS },	{ KS_READER_ZSTD, 34, KS_FATE_LOADS },
		{ KS_READER_NONE, 30, KS_FATE_LOADS },	{ KS_READER_NONE, 34, KS_FATE_REFUSED },
		{ KS_READER_XZ, 30, KS_FATE_LOADS },	{ KS_READER_XZ, 34, KS_FATE_REFUSED },
		{ KS_READER_XZ, 33, KS_FATE_UNKNOWN },	{ KS_READER_XZ, 0, KS_FATE_UNKNOWN },
		{ KS_READER_ZSTD, 0, KS_FATE_UNKNOWN },
	};
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool loads = cases[i].fate == KS_FATE_LOADS;

		loader.reader = cases[i].reader;
		loader.kmod = cases[i].kmod;
		put_in(&form);
		predict(&module, &found);
		assert_prediction(&found, cases[i].fate, loads ? KS_CAUSE_NONE : KS_CAUSE_CONTAINER,
				  cases[i].fate == KS_FATE_REFUSED ? EINVAL : 0, __FILE__,
				  __LINE__);
	}
}

/* Whoever reads it, the signature comes next. */
static void what_is_in_the_container(void **state)
{
	const struct container form = { &ks_codec_xz, NULL };
	KS_BUF module = { 0 };

	(void)state;
	loader.reader = KS_READER_XZ;
	loader.kmod = 34;
	put_image(&module);
	put_in(&form);
	expect(&module, REFUSED_WHEN_ENFORCED, UNSIGNED, EKEYREJECTED);
}

/* --- the rest of the way -------------------------------------------------------------------- */

static void vermagic(void **state)
{
	static const struct {
		const char *vermagic;
		bool fits;
	} cases[] = {
		{ RELEASE " SMP mod_unload ", true },
		{ RELEASE, true },
		{ "6.12.9-tes SMP ", false },
		{ RELEASE "2 SMP ", false },
		{ "6.1 SMP ", false },
		{ "6.12.8-test SMP ", false },
		{ "", false },
	};
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int versions = KS_UNKNOWN; versions <= KS_YES; versions++) {
			loader.modversions = (enum ks_answer)versions;
			candidate = (struct ks_candidate){ .codec = &ks_codec_none,
							   .vermagic = cases[i].vermagic };
			if (cases[i].fits)
				expect_loads(&module);
			else if (versions == KS_NO)
				expect(&module, REFUSED, VERMAGIC, ENOEXEC);
			else
				expect(&module, UNKNOWN, VERMAGIC, 0);
		}
}

/* same_magic() in kernel/module/version.c: only the version has another way to be looked at. */
static void options_in_the_vermagic(void **state)
{
	static char own[] = RELEASE " SMP preempt mod_unload modversions ";
	static const struct {
		const char *vermagic;
		enum ks_fate with, without; /* CONFIG_MODVERSIONS */
		bool own;		    /* it is told what the kernel's is */
	} cases[] = {
		{ RELEASE " SMP preempt mod_unload modversions ", KS_FATE_LOADS, KS_FATE_LOADS,
		  false },
		{ RELEASE " SMP mod_unload modversions ", KS_FATE_REFUSED, KS_FATE_REFUSED, true },
		{ RELEASE " SMP preempt mod_unload modversions", KS_FATE_REFUSED, KS_FATE_REFUSED,
		  true },
		{ RELEASE, KS_FATE_REFUSED, KS_FATE_REFUSED, true },
		{ "6.1 SMP preempt mod_unload modversions ", KS_FATE_UNKNOWN, KS_FATE_REFUSED,
		  false },
		{ "6.1 SMP mod_unload modversions ", KS_FATE_REFUSED, KS_FATE_REFUSED, true },
	};
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	loader.vermagic = own;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int with = 0; with < 2; with++) {
			enum ks_fate wanted = with ? cases[i].with : cases[i].without;

			loader.modversions = with ? KS_YES : KS_NO;
			candidate = (struct ks_candidate){ .codec = &ks_codec_none,
							   .vermagic = cases[i].vermagic };
			predict(&module, &found);
			assert_prediction(
				&found, wanted,
				wanted == KS_FATE_LOADS ? KS_CAUSE_NONE : KS_CAUSE_VERMAGIC,
				wanted == KS_FATE_REFUSED ? ENOEXEC : 0, __FILE__, __LINE__);
			assert_ptr_equal(found.vermagic,
					 wanted == KS_FATE_REFUSED ? cases[i].vermagic : NULL);
			assert_ptr_equal(found.own_vermagic, cases[i].own ? own : NULL);
		}
}

/* The signature is asked first. */
static void vermagic_behind_the_signature(void **state)
{
	static const struct ks_candidate old = { .codec = &ks_codec_none, .vermagic = "6.1 SMP " };
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	candidate = old;
	expect(&module, REFUSED_WHEN_ENFORCED, UNSIGNED, EKEYREJECTED);
	trust.enforced = KS_NO;
	candidate = old;
	expect(&module, REFUSED, VERMAGIC, ENOEXEC);
	trust_builtin(identity("RSA", 1));
	put_by(&module, identity("RSA", 1), "sha256");
	module.data[100] ^= 1;
	candidate = old;
	expect(&module, REFUSED, BAD_SIGNATURE, EKEYREJECTED);
}

static void kernels_that_check_no_signatures(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust.module_sig = KS_NO;
	trust.enforced = KS_NO;
	put_image(&module);
	expect_loads(&module);
	assert_null(found.by);
	put_by(&module, identity("RSA", 1), "sha256");
	module.data[100] ^= 1;
	expect_loads(&module);
	candidate = (struct ks_candidate){ .codec = &ks_codec_none, .vermagic = "6.1 SMP " };
	expect(&module, REFUSED, VERMAGIC, ENOEXEC);
}

/* Whether the module has IMA's signature as well, nobody asked. */
static void kernels_whose_ima_appraises_modules(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	trust.ima_appraise = KS_NO;
	expect_loads(&module);
	trust.ima_appraise = KS_YES;
	expect(&module, UNKNOWN, NONE, 0);
	candidate = (struct ks_candidate){ .codec = &ks_codec_none, .vermagic = "6.1 SMP " };
	expect(&module, REFUSED, VERMAGIC, ENOEXEC);
	module.data[100] ^= 1;
	predict(&module, &found);
	assert_int_equal(found.fate, KS_FATE_REFUSED);
	module.len = 0;
	put_image(&module);
	trust.enforced = KS_NO;
	predict(&module, &found);
	assert_int_equal(found.fate, KS_FATE_UNKNOWN);
}

static void kernels_of_which_nothing_is_known(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust.module_sig = KS_UNKNOWN;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	expect(&module, UNKNOWN, NONE, 0);
	put_by(&module, identity("RSA", 1), "sha256");
	expect(&module, UNKNOWN, NONE, 0);
}

static void names(void **state)
{
	static const char *const fates[] = { "unknown", "loads", "taints", "refused when enforced",
					     "refused" };
	static const char *const causes[] = {
		NULL,
		"unsigned module",
		"module with unavailable key",
		"module with unsupported crypto",
		"bad signature",
		"malformed signature",
		"not signed data",
		"signed content is not data",
		"signed attributes",
		"revoked",
		"blacklisted",
		"container",
		"vermagic",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(fates) / sizeof(*fates); i++)
		assert_string_equal(ks_fate_name((enum ks_fate)i), fates[i]);
	assert_null(ks_cause_name(KS_CAUSE_NONE));
	for (size_t i = 1; i < sizeof(causes) / sizeof(*causes); i++)
		assert_string_equal(ks_cause_name((enum ks_cause)i), causes[i]);
}

/* --- all of it found out -------------------------------------------------------------------- */

static char root[PATH_MAX + 8], dir[] = "/lib/modules/" RELEASE;
static struct ks_kernel kernel = { .version = version, .dir = dir };
static const char *release = RELEASE;

static void put_text(const char *path, const char *text)
{
	write_text(in_scratch("root%s", path), text);
}

static void put_config(const char *text)
{
	snprintf(root, sizeof(root), "%s/root", scratch);
	make_dirs(root);
	write_text(in_scratch("root/boot/config-%s", release), text);
}

static void put_kmod(const char *library)
{
	put_text("/usr/lib/x86_64-linux-gnu/kmod", "");
	unlink(in_scratch("root/usr/lib/x86_64-linux-gnu/libkmod.so.2"));
	put_text("/usr/lib/x86_64-linux-gnu/libkmod.so.2.4.0", "");
	put_text("/usr/lib/x86_64-linux-gnu/libkmod.so.2.5.1", "");
	make_link(library, in_scratch("root/usr/lib/x86_64-linux-gnu/libkmod.so.2"));
}

static void find_loader(struct ks_loader *one)
{
	const struct ks_load load = { .root = root, .max_size = 1 << 20 };

	assert_ok(ks_loader_find(&kernel, &load, &trust, one, &error));
	assert_ptr_equal(one->trust, &trust);
}

static void what_a_loader_depends_on(void **state)
{
	struct ks_loader one;

	(void)state;
	make_dirs(in_scratch("root"));
	snprintf(root, sizeof(root), "%s/root", scratch);
	trust.abilities.config = KS_UNKNOWN;
	find_loader(&one);
	assert_int_equal(one.reader, KS_READER_UNKNOWN);
	assert_int_equal(one.kmod, 0);
	assert_int_equal(one.modversions, KS_UNKNOWN);
	assert_null(one.vermagic);
	trust.abilities.config = KS_YES;
	put_config("CONFIG_MODULES=y\n# CONFIG_MODVERSIONS is not set\n");
	put_kmod("libkmod.so.2.4.0");
	find_loader(&one);
	assert_int_equal(one.reader, KS_READER_NONE);
	assert_int_equal(one.kmod, 30);
	assert_int_equal(one.modversions, KS_NO);
	put_config("CONFIG_MODULES=y\nCONFIG_MODVERSIONS=n\n");
	find_loader(&one);
	assert_int_equal(one.modversions, KS_NO);
	put_config("CONFIG_MODULES=y\nCONFIG_MODVERSIONS=y\nCONFIG_MODULE_DECOMPRESS=y\n"
		   "CONFIG_MODULE_COMPRESS_ZSTD=y\n");
	put_kmod("libkmod.so.2.5.1");
	find_loader(&one);
	assert_int_equal(one.reader, KS_READER_ZSTD);
	assert_int_equal(one.kmod, 34);
	assert_int_equal(one.modversions, KS_YES);
}

/* Of the first module in modules.order that is there, however it is compressed. */
static void the_kernel_s_own_vermagic(void **state)
{
	static const struct ks_codec *const codecs[] = { &ks_codec_none, &ks_codec_gzip,
							 &ks_codec_xz, &ks_codec_zstd };

	(void)state;
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		struct ks_loader one;
		KS_BUF module = { 0 };
		KS_BUF file = { 0 };
		void *again = NULL;

		put_config("CONFIG_MODULES=y\n");
		put_text(
			"/lib/modules/" RELEASE "/modules.order",
			"kernel/a/missing.ko\nkernel/b/junk.ko\nkernel/c/there.ko\nkernel/d/other.ko\n");
		put_text("/lib/modules/" RELEASE "/kernel/b/junk.ko", "no module at all");
		put_module(&module, "6.1-other", false);
		write_file(in_scratch("root/lib/modules/" RELEASE "/kernel/d/other.ko"),
			   ks_buf_view(&module));
		module.len = 0;
		put_image(&module);
		assert_ok(codecs[i]->pack(ks_buf_view(&module), &file, &error));
		write_file(in_scratch("root/lib/modules/" RELEASE "/kernel/c/there.ko%s",
				      codecs[i]->suffix),
			   ks_buf_view(&file));
		find_loader(&one);
		assert_non_null(one.vermagic);
		assert_string_equal(one.vermagic, RELEASE " SMP mod_unload ");
		ks_loader_free(&one);
		assert_null(one.vermagic);
		assert_int_equal(scratch_remove(&again), 0);
		assert_int_equal(scratch_make(&again), 0);
	}
}

/* What certs/system_certificates.S lays down, in an image of whoever built it. */
static void put_kernel_image(const char *builder, X509 *cert)
{
	char banner[128];
	KS_BUF image = { 0 };
	KS_BUF der = { 0 };
	uint8_t sizes[16] = { 0 };

	snprintf(banner, sizeof(banner), "Linux version %s (%s) (cc) #1 SMP\n", release, builder);
	assert_ok(ks_buf_append(&image, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", 16, &error));
	assert_ok(ks_buf_append(&image, banner, strlen(banner), &error));
	assert_ok(ks_buf_append(&image, sizes, 16 - image.len % 8, &error));
	put_cert_der(&der, cert);
	assert_ok(ks_buf_append(&image, der.data, der.len, &error));
	assert_ok(ks_buf_append(&image, sizes, (8 - image.len % 8) % 8, &error));
	sizes[0] = (uint8_t)der.len;
	sizes[1] = (uint8_t)(der.len >> 8);
	assert_ok(ks_buf_append(&image, sizes, 16, &error));
	write_file(in_scratch("root/boot/vmlinuz-%s", release), ks_buf_view(&image));
}

static const char x509_list[] = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72";
static const char sha256_list[] =
	"\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28";

/* An EFI_SIGNATURE_LIST of one entry (UEFI specification, 32.4.1) behind a variable's attributes. */
static void put_list(struct ks_buf *data, const char *type, struct ks_view entry)
{
	const size_t sizes[3] = { 28 + 16 + entry.len, 0, 16 + entry.len };

	if (!data->len)
		assert_ok(ks_buf_append(data, "\6\0\0\0", 4, &error));
	assert_ok(ks_buf_append(data, type, 16, &error));
	for (size_t i = 0; i < 12; i++) {
		uint8_t byte = (uint8_t)(sizes[i / 4] >> 8 * (i % 4));

		assert_ok(ks_buf_append(data, &byte, 1, &error));
	}
	assert_ok(ks_buf_append(data, "an owner's GUID.", 16, &error));
	assert_ok(ks_buf_append(data, entry.data, entry.len, &error));
}

static void put_cert_list(struct ks_buf *data, X509 *cert)
{
	KS_BUF der = { 0 };

	put_cert_der(&der, cert);
	put_list(data, x509_list, ks_buf_view(&der));
}

static void put_variable(const char *name, const char *guid, const struct ks_buf *data)
{
	write_file(in_scratch("live/efi/%s-%s", name, guid), ks_buf_view(data));
}

static void put_flag(const char *name, const char *guid, const char *value)
{
	write_file(in_scratch("live/efi/%s-%s", name, guid), ks_view_of(value, 5));
}

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SECURITY "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define SHIM "605dab50-e046-4300-abb6-3dd810dd8b23"

/* Secure Boot; RSA 1 compiled in, P-256 1 in MOK, P-384 1 in db; FILE and P-256 2 in dbx. */
static void put_system(const char *builder, const struct ks_buf *file)
{
	KS_BUF mok = { 0 };
	KS_BUF db = { 0 };
	KS_BUF dbx = { 0 };
	uint8_t hash[KS_SIGLIST_SHA256];

	put_config("CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_SHA256=y\n"
		   "CONFIG_CRYPTO_ECDSA=y\nCONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n"
		   "CONFIG_INTEGRITY_MACHINE_KEYRING=y\nCONFIG_SECURITY_LOCKDOWN_LSM=y\n");
	put_kernel_image(builder, identity("RSA", 1)->cert);
	put_flag("SecureBoot", GLOBAL, "\6\0\0\0\1");
	put_cert_list(&mok, identity("P-256", 1)->cert);
	put_variable("MokListRT", SHIM, &mok);
	put_cert_list(&db, identity("P-384", 1)->cert);
	put_variable("db", SECURITY, &db);
	EVP_Digest(file->data, file->len, hash, NULL, EVP_sha256(), NULL);
	put_list(&dbx, sha256_list, ks_view_of(hash, sizeof(hash)));
	put_cert_list(&dbx, identity("P-256", 2)->cert);
	put_variable("dbx", SECURITY, &dbx);
}

static bool is_running;

static void find_trust(struct ks_trust *whole)
{
	static char live[PATH_MAX + 8], as[32], its_dir[64];
	static struct ks_kernel this_one;
	struct ks_trust_search search = {
		.root = root, .live = live, .efivars = "/efi", .is_running = is_running
	};

	snprintf(live, sizeof(live), "%s/live", scratch);
	snprintf(as, sizeof(as), "%s", release);
	snprintf(its_dir, sizeof(its_dir), "/lib/modules/%s", release);
	this_one = (struct ks_kernel){ .version = as, .dir = its_dir };
	search.kernel = &this_one;
	assert_ok(ks_trust_find(&search, whole, &error));
	loader = (struct ks_loader){
		.trust = whole, .reader = KS_READER_NONE, .kmod = 30, .modversions = KS_NO
	};
}

static void put_signed_module(struct ks_buf *module, const char *kind, int n)
{
	module->len = 0;
	put_image(module);
	put_by(module, identity(kind, n), "sha256");
}

static void expect_ring(const char *keyring)
{
	assert_non_null(found.by);
	assert_string_equal(ks_trusted_keyring(found.by), keyring);
}

/* tests/kernel/part_secureboot.py and part_trust.py. */
static void a_kernel_of_debian_under_secure_boot(void **state)
{
	KS_TRUST whole = { 0 };
	KS_BUF module = { 0 };
	KS_BUF listed = { 0 };

	(void)state;
	put_image(&listed);
	put_by(&listed, identity("RSA", 1), "sha1");
	put_signed_module(&listed, "RSA", 1);
	put_system("debian-kernel@lists.debian.org", &listed);
	find_trust(&whole);
	assert_true(whole.is_complete);
	assert_int_equal(whole.refused_count, 1);
	assert_int_equal(whole.refused[0].counts, KS_YES);
	assert_int_equal(whole.enforced, KS_YES);
	assert_int_equal(whole.enforced_errno, EPERM);
	expect(&listed, REFUSED, BLACKLISTED, EKEYREJECTED);
	put_signed_module(&module, "P-256", 1);
	expect_loads(&module);
	expect_ring(".machine");
	put_signed_module(&module, "P-384", 1);
	expect_loads(&module);
	expect_ring(".platform");
	/* CONFIG_SYSTEM_REVOCATION_LIST is off, and it is in no list of what is trusted. */
	put_signed_module(&module, "P-256", 2);
	expect(&module, REFUSED_WHEN_ENFORCED, UNAVAILABLE_KEY, EPERM);
	put_config(
		"CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_SHA256=y\n"
		"CONFIG_CRYPTO_ECDSA=y\nCONFIG_SYSTEM_REVOCATION_LIST=y\nCONFIG_IMA_ARCH_POLICY=y\n");
	ks_trust_free(&whole);
	find_trust(&whole);
	assert_int_equal(whole.enforced_errno, EKEYREJECTED);
	expect(&module, REFUSED, REVOKED, EKEYREJECTED);
	assert_int_equal(found.by->origin, KS_ORIGIN_DBX);
	assert_null(ks_trusted_keyring(found.by));
}

static void the_keyring_of_mok(void **state)
{
	static const struct {
		const char *release, *builder;
		bool is_trusted; /* MokListTrustedRT */
		const char *ring;
	} cases[] = {
		{ RELEASE, "debian-kernel@lists.debian.org", false, ".machine" },
		{ RELEASE, "debian-kernel@lists.debian.org", true, ".machine" },
		{ "7.2.3", "debian-kernel@lists.debian.org", false, ".platform" },
		{ "7.2.3", "debian-kernel@lists.debian.org", true, ".machine" },
		{ "7.2.3", "somebody@somewhere", true, ".machine" },
		{ RELEASE, "somebody@somewhere", false, NULL },
	};
	KS_BUF module = { 0 };

	(void)state;
	put_signed_module(&module, "P-256", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_TRUST whole = { 0 };

		release = cases[i].release;
		put_system(cases[i].builder, &module);
		unlink(in_scratch("live/efi/dbx-" SECURITY));
		unlink(in_scratch("live/efi/MokListTrustedRT-" SHIM));
		if (cases[i].is_trusted)
			put_flag("MokListTrustedRT", SHIM, "\6\0\0\0\1");
		find_trust(&whole);
		if (cases[i].ring) {
			expect_loads(&module);
			expect_ring(cases[i].ring);
		} else {
			expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
		}
		/* Without Secure Boot it is looked at nowhere. */
		put_flag("SecureBoot", GLOBAL, "\6\0\0\0\0");
		ks_trust_free(&whole);
		find_trust(&whole);
		expect(&module, REFUSED_WHEN_ENFORCED, UNAVAILABLE_KEY, 0);
	}
	release = RELEASE;
}

/* 6.1: no ECDSA, SHA-512 not loaded, and a certificate of P-384 that is signed with it. */
static void a_certificate_taken_unseen(void **state)
{
	KS_TRUST whole = { 0 };
	KS_X509 *cert = X509_dup(identity("P-384", 2)->cert);
	KS_BUF module = { 0 };
	KS_BUF db = { 0 };

	(void)state;
	assert_true(X509_sign(cert, identity("P-384", 2)->key, EVP_sha512()) > 0);
	release = "6.1.0-43";
	put_signed_module(&module, "P-384", 2);
	put_system("debian-kernel@lists.debian.org", &module);
	unlink(in_scratch("live/efi/dbx-" SECURITY));
	put_config("CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_SHA256=y\n");
	put_cert_list(&db, cert);
	put_variable("db", SECURITY, &db);
	find_trust(&whole);
	expect(&module, REFUSED, BAD_SIGNATURE, EKEYREJECTED);
	expect_ring(".platform");
	assert_int_equal(found.by->counts, KS_NO);
	/* With SHA-512 it is looked at, and left out. */
	put_config("CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_SHA256=y\n"
		   "CONFIG_CRYPTO_SHA512=y\n");
	ks_trust_free(&whole);
	find_trust(&whole);
	expect(&module, REFUSED_WHEN_ENFORCED, UNAVAILABLE_KEY, 0);
	release = RELEASE;
}

static const char x509_sha256_list[] =
	"\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed";

/* Keyrings that are filled after the list is read do not take it; who knows which. */
static void a_certificate_whose_hash_is_listed(void **state)
{
	static const uint8_t when[16] = { 0 };
	uint8_t hash[KS_SIGLIST_SHA256];
	KS_TRUST whole = { 0 };
	KS_BUF module = { 0 };
	KS_BUF entry = { 0 };
	KS_BUF dbx = { 0 };

	(void)state;
	put_signed_module(&module, "P-384", 1);
	put_system("debian-kernel@lists.debian.org", &module);
	assert_true(ks_cert_tbs_sha256(identity("P-384", 1)->cert, hash));
	assert_ok(ks_buf_append(&entry, hash, sizeof(hash), &error));
	assert_ok(ks_buf_append(&entry, when, sizeof(when), &error));
	put_list(&dbx, x509_sha256_list, ks_buf_view(&entry));
	put_variable("dbx", SECURITY, &dbx);
	find_trust(&whole);
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	assert_string_equal(found.by->why, "refused");
	put_signed_module(&module, "RSA", 1);
	expect_loads(&module);
}

/* tests/kernel: sig_enforce is asked first, and has an errno of its own. */
static void the_errno_of_a_running_kernel(void **state)
{
	static const struct {
		const char *sig_enforce, *lockdown;
		enum ks_fate fate;
		int sys;
	} cases[] = {
		{ "Y\n", "[none] integrity\n", KS_FATE_REFUSED_WHEN_ENFORCED, EKEYREJECTED },
		{ "Y\n", "none [integrity]\n", KS_FATE_REFUSED_WHEN_ENFORCED, EKEYREJECTED },
		{ "N\n", "none [integrity]\n", KS_FATE_REFUSED_WHEN_ENFORCED, EPERM },
		{ NULL, "none [integrity]\n", KS_FATE_REFUSED_WHEN_ENFORCED, 0 },
		{ "N\n", "[none] integrity\n", KS_FATE_TAINTS, 0 },
		{ "N\n", NULL, KS_FATE_REFUSED_WHEN_ENFORCED, 0 },
	};
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	is_running = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_TRUST whole = { 0 };
		void *again = NULL;

		put_system("debian-kernel@lists.debian.org", &module);
		if (cases[i].sig_enforce)
			write_text(in_scratch("live/sys/module/module/parameters/sig_enforce"),
				   cases[i].sig_enforce);
		if (cases[i].lockdown)
			write_text(in_scratch("live/sys/kernel/security/lockdown"),
				   cases[i].lockdown);
		find_trust(&whole);
		predict(&module, &found);
		assert_prediction(&found, cases[i].fate, KS_CAUSE_UNSIGNED, cases[i].sys, __FILE__,
				  __LINE__);
		assert_int_equal(scratch_remove(&again), 0);
		assert_int_equal(scratch_make(&again), 0);
	}
	is_running = false;
}

static void what_was_not_seen(void **state)
{
	KS_TRUST whole = { 0 };
	KS_BUF module = { 0 };

	(void)state;
	put_signed_module(&module, "P-384", 2);
	put_system("debian-kernel@lists.debian.org", &module);
	unlink(in_scratch("root/boot/vmlinuz-" RELEASE));
	find_trust(&whole);
	assert_false(whole.is_complete);
	expect(&module, UNKNOWN, UNAVAILABLE_KEY, 0);
	ks_trust_free(&whole);
	put_kernel_image("debian-kernel@lists.debian.org", identity("RSA", 1)->cert);
	put_flag("db", SECURITY, "\6\0\0\0\1");
	find_trust(&whole);
	assert_false(whole.is_complete);
	ks_trust_free(&whole);
	unlink(in_scratch("root/boot/config-" RELEASE));
	find_trust(&whole);
	expect(&module, UNKNOWN, NONE, 0);
}

/* --- what is predicted wrongly -------------------------------------------------------------- */

/* certs/blacklist.c is asked only once the signature was good (Debian's mod_verify_sig()). */
static void hashes_of_files_whose_signature_is_not_good(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	refuse_file(&module);
	expect_lack(&module, UNAVAILABLE_KEY);
	start(NULL);
	trust_db(identity("RSA", 1));
	module.data[100] ^= 1;
	refuse_file(&module);
	expect_refused(&module, BAD_SIGNATURE, EKEYREJECTED);
}

/* pkcs7_note_content(): "Unsupported data type", EINVAL, before any signer is looked at. */
static void content_that_is_not_data(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	/* id-data to id-envelopedData. */
	put_exchanged(&module, identity("RSA", 1), "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
		      "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03");
	predict(&module, &found);
	assert_int_equal(found.fate, KS_FATE_REFUSED);
	assert_int_equal(found.sys, EINVAL);
}

/* The parser reads all of the message; attributes are refused behind it (pkcs7_verify()). */
static void attributes_and_an_algorithm_without_a_name(void **state)
{
	static const char *const algorithms[] = { PSS_OID, MLDSA65_OID };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		KS_BUF module = { 0 };

		put_attributes(&module, identity("RSA", 1), ATTRIBUTES, put_image);
		exchange(&module, RSA_OID, algorithms[i], 9);
		expect_lack(&module, UNSUPPORTED_CRYPTO);
	}
}

/* pkcs7_check_authattrs(): "Inconsistently supplied authAttrs". */
static void attributes_of_some_signers(void **state)
{
	const struct signer_spec with = { identity("RSA", 1), "sha256", ATTRIBUTES };
	const struct signer_spec without = plain(identity("P-256", 1), "sha256");
	const struct signer_spec two[] = { with, without };

	(void)state;
	for (int swapped = 0; swapped < 2; swapped++) {
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		predict(&module, &found);
		assert_int_equal(found.fate, KS_FATE_REFUSED);
		assert_int_equal(found.sys, EINVAL);
	}
}

static void attributes_of_one_and_a_nameless_digest_of_the_other(void **state)
{
	const struct signer_spec two[] = { { identity("RSA", 1), "sha512", ATTRIBUTES },
					   { identity("P-256", 1), "sha256", ATTRIBUTES } };

	(void)state;
	for (int swapped = 0; swapped < 2; swapped++) {
		KS_BUF module = { 0 };

		put_by_two(&module, two, swapped);
		exchange(&module, SHA256_OID, NOBODY_S_OID, 9);
		expect_lack(&module, UNSUPPORTED_CRYPTO);
	}
}

/* pkcs7_extract_cert(): a certificate that cannot be parsed ends the message, ENOPKG. */
static void an_embedded_certificate_that_no_kernel_parses(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_embedding(&module, put_image, identity("RSA", 1), identity("ED25519", 1));
	expect_lack(&module, UNSUPPORTED_CRYPTO);
}

/* The same of ECDSA in 6.1, whose crypto_alloc_akcipher() says ENOENT: for this no lack is. */
static void an_embedded_certificate_of_ecdsa_where_there_is_none(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust.abilities.series = 6001;
	trust.abilities.ecdsa = KS_NO;
	trust_builtin(identity("RSA", 1));
	put_embedding(&module, put_image, identity("RSA", 1), identity("P-256", 1));
	predict(&module, &found);
	assert_true(found.fate == KS_FATE_REFUSED || found.fate == KS_FATE_UNKNOWN);
}

/* It is refused either way: for the one reason, or for the other. */
static void vermagic_where_nobody_knows_what_is_enforced(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust.enforced = KS_UNKNOWN;
	trust.enforced_errno = 0;
	put_image(&module);
	candidate = (struct ks_candidate){ .codec = &ks_codec_none, .vermagic = "6.1 SMP " };
	predict(&module, &found);
	assert_int_equal(found.fate, KS_FATE_REFUSED);
}

/* check_modinfo(): "bad vermagic", ENOEXEC, unless CONFIG_MODULE_FORCE_LOAD. */
static void modules_without_vermagic(void **state)
{
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	candidate = (struct ks_candidate){ .codec = &ks_codec_none };
	predict(&module, &found);
	assert_true(found.fate == KS_FATE_REFUSED || found.fate == KS_FATE_UNKNOWN);
}

/* part_containers.py: kmod 30 leaves nothing to the kernel, and is built without zlib. */
static void gzip_and_a_kmod_that_nobody_knows(void **state)
{
	static const struct container form = { &ks_codec_gzip, NULL };
	KS_BUF module = { 0 };

	(void)state;
	trust_builtin(identity("RSA", 1));
	loader.reader = KS_READER_GZIP;
	loader.kmod = 0;
	put_image(&module);
	put_by(&module, identity("RSA", 1), "sha256");
	put_in(&form);
	expect(&module, UNKNOWN, CONTAINER, 0);
}

/* A chain came along, its first certificate is trusted, and nobody is revoked at all. */
static void an_embedded_chain_where_nobody_is_revoked(void **state)
{
	const struct identity *ca = identity("RSA", 1), *key = identity("P-256", 1);
	struct identity issued = { key->key, X509_dup(key->cert) };
	KS_BUF module = { 0 };

	(void)state;
	assert_true(X509_set_issuer_name(issued.cert, X509_get_subject_name(ca->cert)));
	assert_true(X509_sign(issued.cert, ca->key, EVP_sha256()) > 0);
	put_embedding(&module, put_image, &issued, ca);
	predict(&module, &found);
	assert_int_not_equal(found.cause, KS_CAUSE_REVOKED);
	trust_builtin(&issued);
	expect_loads(&module);
	X509_free(issued.cert);
}

static const struct CMUnitTest tests[] = {
	predict_test(whose_key_is_known),
	predict_test(who_names_himself_by_key_id),
	predict_test(nobody),
	predict_test(whose_key_is_not_known),
	predict_test(whose_bytes_were_changed),
	predict_test(the_outermost_signature_counts),
	predict_test(what_was_not_all_seen_may_hold_the_key),
	predict_test(twins_in_one_keyring),
	predict_test(twins_in_two_keyrings),
	predict_test(the_same_certificate_in_both_keyrings),
	predict_test(certificates_that_may_be_there),
	predict_test(certificates_taken_unseen),
	predict_test(algorithms_without_a_name),
	predict_test(algorithms_by_series),
	predict_test(digests_that_are_missing),
	predict_test(digests_of_which_nobody_knows),
	predict_test(algorithms_of_which_nobody_knows),
	predict_test(information_blocks),
	predict_test(sizes_of_the_message),
	predict_test(padding_behind_the_message),
	predict_test(structures_of_the_message),
	predict_test(versions_in_the_message),
	predict_test(a_message_with_its_content),
	predict_test(a_message_that_is_not_signed_data),
	predict_test(an_algorithm_without_an_end),
	predict_test(signed_attributes),
	predict_test(signed_attributes_and_a_digest_without_a_name),
	predict_test(signed_attributes_and_an_algorithm_without_a_name),
	predict_test(signed_attributes_of_one_signer_only),
	predict_test(signed_attributes_of_mldsa),
	predict_test(one_known_signer_will_do),
	predict_test(the_signer_that_decided),
	predict_test(one_bad_signer_is_enough),
	predict_test(a_digest_that_is_missing_beside_a_good_signer),
	predict_test(a_digest_without_a_name_beside_a_good_signer),
	predict_test(signers_by_number_and_by_key_id),
	predict_test(embedded_certificates),
	predict_test(an_embedded_twin),
	predict_test(embedded_certificates_and_bad_signatures),
	predict_test(an_embedded_certificate_and_a_key_id),
	predict_test(an_embedded_certificate_of_a_known_key),
	predict_test(an_embedded_certificate_that_another_signed),
	predict_test(an_embedded_certificate_and_a_digest_that_is_missing),
	predict_test(certificates_that_openssl_cannot_use),
	predict_test(an_embedded_certificate_and_no_padding),
	predict_test(revoked_signers),
	predict_test(what_revokes_nobody),
	predict_test(a_revoked_signer_beside_a_good_one),
	predict_test(hashes_of_whole_files),
	predict_test(who_reads_the_container),
	predict_test(a_zstd_frame_without_content_size),
	predict_test(what_is_in_the_container),
	predict_test(vermagic),
	predict_test(options_in_the_vermagic),
	predict_test(vermagic_behind_the_signature),
	predict_test(kernels_that_check_no_signatures),
	predict_test(kernels_whose_ima_appraises_modules),
	predict_test(kernels_of_which_nothing_is_known),
	cmocka_unit_test(names),
	system_test(what_a_loader_depends_on),
	system_test(the_kernel_s_own_vermagic),
	system_test(a_kernel_of_debian_under_secure_boot),
	system_test(the_keyring_of_mok),
	system_test(a_certificate_taken_unseen),
	system_test(a_certificate_whose_hash_is_listed),
	system_test(the_errno_of_a_running_kernel),
	system_test(what_was_not_seen),
	predict_test(hashes_of_files_whose_signature_is_not_good),
	predict_test(content_that_is_not_data),
	predict_test(attributes_and_an_algorithm_without_a_name),
	predict_test(attributes_of_some_signers),
	predict_test(attributes_of_one_and_a_nameless_digest_of_the_other),
	predict_test(an_embedded_certificate_that_no_kernel_parses),
	predict_test(an_embedded_certificate_of_ecdsa_where_there_is_none),
	predict_test(vermagic_where_nobody_knows_what_is_enforced),
	predict_test(modules_without_vermagic),
	predict_test(gzip_and_a_kmod_that_nobody_knows),
	predict_test(an_embedded_chain_where_nobody_is_revoked),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, free_identities);
}
