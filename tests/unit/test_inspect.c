/* SPDX-License-Identifier: MIT */
/* What inspect notes for a kernel's sake: its errno for what is malformed, and lengths left open. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "core/inspect.h"

static void put_image(struct ks_buf *module)
{
	put_module(module, "6.1", false);
}

static void put_known(struct ks_buf *message, unsigned int flags, unsigned int final)
{
	const struct identity *by = identity("RSA", 1);
	KS_BUF image = { 0 };

	put_image(&image);
	put_message(message, ks_buf_view(&image), &by, 1, "sha256", flags, final);
}

static void inspect(struct ks_view message, struct ks_inspection *in)
{
	const struct ks_certs none = { 0 };
	KS_BUF module = { 0 };

	put_image(&module);
	put_trailer(&module, message);
	assert_ok(ks_inspect(ks_buf_view(&module), &none, in, &error));
}

static void expect_malformed(struct ks_view message, int sys, const char *says)
{
	KS_INSPECTION in = { 0 };

	inspect(message, &in);
	assert_int_equal(in.verdict, KS_VERDICT_MALFORMED);
	assert_int_equal(in.sys, sys);
	assert_non_null(strstr(in.fault, says));
}

static void exchange(struct ks_buf *message, const char *old, const char *new, size_t len)
{
	for (size_t at = 0; at + len <= message->len; at++)
		if (memcmp(message->data + at, old, len) == 0)
			memcpy(message->data + at, new, len);
}

/* As tests/kernel/cases.py has it. */
static void the_errno_of_what_is_malformed(void **state)
{
	static const struct {
		const char *old, *new;
		int sys;
		const char *says;
	} versions[] = {
		{ "\2\1\1\x31", "\2\1\2\x31", EINVAL, "SignedData of version 2" },
		{ "\2\1\1\x31", "\2\1\3\x31", EBADMSG, "do not go together" },
		{ "\2\1\1\x30", "\2\1\2\x30", EINVAL, "SignerInfo of version 2" },
		{ "\2\1\1\x30", "\2\1\3\x30", EBADMSG, "do not go together" },
	};
	KS_BUF message = { 0 };
	KS_BUF attached = { 0 };
	KS_BUF nobody = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		KS_BUF odd = { 0 };

		put_known(&odd, SIGN_FILE_FLAGS, CMS_DETACHED);
		exchange(&odd, versions[i].old, versions[i].new, 4);
		expect_malformed(ks_buf_view(&odd), versions[i].sys, versions[i].says);
	}
	put_known(&message, SIGN_FILE_FLAGS, CMS_DETACHED);
	expect_malformed(ks_view_of(message.data, message.len - 1), EBADMSG, "ASN.1");
	expect_malformed(text_view("no message"), EBADMSG, "ASN.1");
	put_known(&attached, SIGN_FILE_FLAGS, 0);
	expect_malformed(ks_buf_view(&attached), EBADMSG, "attached");
	put_message(&nobody, text_view("x"), NULL, 0, "sha256", 0, CMS_DETACHED);
	expect_malformed(ks_buf_view(&nobody), EBADMSG, "no signer");
}

static void too_long_for_a_kernel(void **state)
{
	KS_BUF message = { 0 };

	(void)state;
	put_known(&message, SIGN_FILE_FLAGS, CMS_DETACHED);
	fill(&message, 65536 - message.len, 1);
	expect_malformed(ks_buf_view(&message), EMSGSIZE, "65536 bytes");
}

/* The signed image, its block with another type; what an inspection of a good one leaves alone. */
static void the_errno_of_the_information_block(void **state)
{
	const struct ks_certs none = { 0 };
	KS_BUF module = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_image(&module);
	put_known(&message, SIGN_FILE_FLAGS, CMS_DETACHED);
	put_trailer(&module, ks_buf_view(&message));
	for (int type = 0; type < 4; type++) {
		KS_INSPECTION in = { 0 };

		module.data[module.len - 28 - 12 + 2] = (uint8_t)type;
		assert_ok(ks_inspect(ks_buf_view(&module), &none, &in, &error));
		assert_int_equal(in.sys, type == 2 ? 0 : ENOPKG);
	}
	module.data[module.len - 28 - 12 + 1] = 1;
	for (int type = 1; type < 3; type++) {
		KS_INSPECTION in = { 0 };

		module.data[module.len - 28 - 12 + 2] = (uint8_t)type;
		assert_ok(ks_inspect(ks_buf_view(&module), &none, &in, &error));
		assert_int_equal(in.sys, type == 2 ? EBADMSG : ENOPKG);
	}
}

/* --- lengths left open ---------------------------------------------------------------------- */

/* Appends the element at AT to OUT, with lengths left open at levels FROM to UNTIL; what is behind it. */
static const unsigned char *put_open(struct ks_buf *out, const unsigned char *at,
				     const unsigned char *end, int depth, const int *levels)
{
	const unsigned char *inside = at;
	KS_BUF content = { 0 };
	long size;
	int tag, class;
	int what = ASN1_get_object(&inside, &size, &tag, &class, end - at);
	bool is_open = depth >= levels[0] && depth < levels[1];
	unsigned char header[2] = { at[0], 0x80 };

	assert_false(what & 0x80);
	if (!(what & V_ASN1_CONSTRUCTED)) {
		assert_ok(ks_buf_append(out, at, (size_t)(inside + size - at), &error));
		return inside + size;
	}
	for (at = inside; at < inside + size;)
		at = put_open(&content, at, inside + size, depth + 1, levels);
	if (is_open) {
		assert_ok(ks_buf_append(out, header, 2, &error));
		assert_ok(ks_buf_append(out, content.data, content.len, &error));
		assert_ok(ks_buf_append(out, "\0\0", 2, &error));
	} else {
		unsigned char *put, closed[16];

		put = closed;
		ASN1_put_object(&put, 1, (int)content.len, tag, class);
		assert_ok(ks_buf_append(out, closed, (size_t)(put - closed), &error));
		assert_ok(ks_buf_append(out, content.data, content.len, &error));
	}
	return at;
}

/*
 * tests/kernel/cases.py, indefinite(): the AlgorithmIdentifiers without parameters, of digests, are four
 * levels down; what is refused is that they have no length.
 */
static void lengths_left_open(void **state)
{
	static const struct {
		int levels[2];
		bool indefinite, endless;
	} cases[] = {
		{ { 0, 0 }, false, false }, { { 0, 1 }, true, false }, { { 0, 3 }, true, false },
		{ { 0, 4 }, true, false },  { { 0, 6 }, true, true },  { { 1, 6 }, true, true },
		{ { 4, 5 }, true, true },   { { 6, 9 }, true, false }, /* the signer's name */
	};
	KS_BUF message = { 0 };

	(void)state;
	put_known(&message, SIGN_FILE_FLAGS, CMS_DETACHED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_INSPECTION in = { 0 };
		KS_BUF open = { 0 };

		put_open(&open, message.data, message.data + message.len, 0, cases[i].levels);
		inspect(ks_buf_view(&open), &in);
		assert_int_equal(in.verdict, KS_VERDICT_UNKNOWN_SIGNER);
		assert_int_equal(in.indefinite, cases[i].indefinite);
		assert_int_equal(in.endless_algorithm, cases[i].endless);
		assert_int_equal(in.padding, 0);
	}
}

static void what_is_behind_the_message_is_not_looked_at(void **state)
{
	static const int levels[2] = { 0, 6 };
	KS_INSPECTION in = { 0 };
	KS_BUF message = { 0 };
	KS_BUF open = { 0 };

	(void)state;
	put_known(&message, SIGN_FILE_FLAGS, CMS_DETACHED);
	put_open(&open, message.data, message.data + message.len, 0, levels);
	assert_ok(ks_buf_append(&message, open.data, open.len, &error));
	inspect(ks_buf_view(&message), &in);
	assert_int_equal(in.padding, open.len);
	assert_false(in.indefinite);
	assert_false(in.endless_algorithm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_errno_of_what_is_malformed),
		cmocka_unit_test(too_long_for_a_kernel),
		cmocka_unit_test(the_errno_of_the_information_block),
		cmocka_unit_test(lengths_left_open),
		cmocka_unit_test(what_is_behind_the_message_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
