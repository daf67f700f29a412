/* SPDX-License-Identifier: MIT */
/* The end of a signed module: every byte of it wrong once, every length, and the way there. */
#include "fixture.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

#include "core/trailer.h"

enum { MARKER = 28, INFO = 12, IMAGE = 50, MESSAGE = 30, WHOLE = IMAGE + MESSAGE + INFO + MARKER };

/* A signed file whose bytes are nothing in particular. */
static void put_signed(struct ks_buf *file)
{
	KS_BUF message = { 0 };

	fill(file, IMAGE, 1);
	fill(&message, MESSAGE, 2);
	put_trailer(file, ks_buf_view(&message));
	assert_int_equal(file->len, WHOLE);
}

/* In memory of its own, so that a byte read too many is seen. */
static struct ks_trailer parse(struct ks_view file, struct ks_buf *copy)
{
	ks_buf_free(copy);
	assert_ok(ks_buf_append(copy, file.data, file.len, &error));
	return ks_trailer_parse(ks_buf_view(copy));
}

static void assert_kind(struct ks_view file, enum ks_trailer_kind kind)
{
	KS_BUF copy = { 0 };
	struct ks_trailer t = parse(file, &copy);

	assert_int_equal(t.kind, kind);
	if (kind == KS_TRAILER_WHOLE)
		return;
	assert_ptr_equal(t.image.data, copy.data);
	assert_int_equal(t.image.len, file.len);
	assert_int_equal(t.message.len, 0);
	assert_int_equal(t.fault != NULL, kind == KS_TRAILER_MALFORMED);
	assert_true(!t.fault || strlen(t.fault) > 10);
}

static void a_whole_one(void **state)
{
	KS_BUF file = { 0 };
	struct ks_trailer t;

	(void)state;
	put_signed(&file);
	t = ks_trailer_parse(ks_buf_view(&file));
	assert_int_equal(t.kind, KS_TRAILER_WHOLE);
	assert_ptr_equal(t.image.data, file.data);
	assert_int_equal(t.image.len, IMAGE);
	assert_ptr_equal(t.message.data, file.data + IMAGE);
	assert_int_equal(t.message.len, MESSAGE);
	assert_null(t.fault);
}

static void no_file_is_too_small_to_be_looked_at(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_signed(&file);
	for (size_t len = 0; len <= WHOLE; len++) {
		struct ks_view tail = ks_view_of(file.data + WHOLE - len, len);
		enum ks_trailer_kind kind = len < MARKER		   ? KS_TRAILER_NONE :
					    len <= MARKER + INFO + MESSAGE ? KS_TRAILER_MALFORMED :
									     KS_TRAILER_WHOLE;

		assert_kind(tail, kind);
	}
	for (size_t len = 0; len <= 64; len++) {
		KS_BUF zeros = { 0 };

		fill(&zeros, len, 5);
		assert_kind(ks_buf_view(&zeros), KS_TRAILER_NONE);
		if (len)
			memset(zeros.data, 0, len);
		assert_kind(ks_buf_view(&zeros), KS_TRAILER_NONE);
	}
	assert_kind(ks_view_of("", 0), KS_TRAILER_NONE);
	assert_int_equal(ks_trailer_parse(ks_view_of(NULL, 0)).kind, KS_TRAILER_NONE);
}

static void a_marker_cut_or_changed_is_none(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_signed(&file);
	for (size_t len = 0; len < WHOLE; len++)
		assert_kind(ks_view_of(file.data, len), KS_TRAILER_NONE);
	for (size_t at = WHOLE - MARKER; at < WHOLE; at++) {
		file.data[at] ^= 0x20;
		assert_kind(ks_buf_view(&file), KS_TRAILER_NONE);
		file.data[at] ^= 0x20;
	}
	assert_ok(ks_buf_append(&file, "\n", 1, &error));
	assert_kind(ks_buf_view(&file), KS_TRAILER_NONE);
}

/* The kernel takes 0, 0, 2, 0, 0, 0, 0, 0 and nothing else. */
static void every_other_byte_in_the_block_is_malformed(void **state)
{
	KS_BUF file = { 0 };
	uint8_t *info;

	(void)state;
	put_signed(&file);
	info = file.data + IMAGE + MESSAGE;
	for (size_t at = 0; at < 8; at++) {
		uint8_t right = info[at];

		for (int value = 0; value < 256; value++) {
			info[at] = (uint8_t)value;
			assert_kind(ks_buf_view(&file),
				    value == right ? KS_TRAILER_WHOLE : KS_TRAILER_MALFORMED);
		}
		info[at] = right;
	}
}

static void each_field_has_its_own_words(void **state)
{
	static const char *const words[8] = { "algorithm", "hash",    "type",	 "signer",
					      "key id",	   "padding", "padding", "padding" };
	KS_BUF file = { 0 };
	uint8_t *info;

	(void)state;
	put_signed(&file);
	info = file.data + IMAGE + MESSAGE;
	for (size_t at = 0; at < 8; at++) {
		uint8_t right = info[at];

		info[at] = 99;
		assert_non_null(strstr(ks_trailer_parse(ks_buf_view(&file)).fault, words[at]));
		info[at] = right;
	}
}

static void set_length(struct ks_buf *file, uint32_t len)
{
	uint8_t *at = file->data + file->len - MARKER - 4;

	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(len >> (24 - 8 * i));
}

static void lengths_of_all_kinds(void **state)
{
	static const uint32_t bad[] = {
		0,	    IMAGE + MESSAGE, IMAGE + MESSAGE + 1, WHOLE,     IMAGE + MESSAGE + INFO,
		0x01000000, 0x7fffffff,	     0x80000000,	  0xffffffff
	};
	KS_BUF file = { 0 };

	(void)state;
	put_signed(&file);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		set_length(&file, bad[i]);
		assert_kind(ks_buf_view(&file), KS_TRAILER_MALFORMED);
	}
	for (uint32_t len = 1; len < IMAGE + MESSAGE; len++) {
		struct ks_trailer t;

		set_length(&file, len);
		t = ks_trailer_parse(ks_buf_view(&file));
		assert_int_equal(t.kind, KS_TRAILER_WHOLE);
		assert_int_equal(t.message.len, len);
		assert_int_equal(t.image.len + len, IMAGE + MESSAGE);
		assert_ptr_equal(t.message.data, file.data + t.image.len);
	}
}

/* tests/kernel/cases.py, block() and sizes(): what kernels answer. */
static void the_errno_of_each_fault(void **state)
{
	static const uint32_t lengths[] = { 0, IMAGE + MESSAGE, WHOLE, 0x80000000, 0xffffffff };
	KS_BUF file = { 0 };
	uint8_t *info;

	(void)state;
	put_signed(&file);
	info = file.data + IMAGE + MESSAGE;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		set_length(&file, lengths[i]);
		assert_int_equal(ks_trailer_parse(ks_buf_view(&file)).sys, EBADMSG);
	}
	/* The length is looked at before the type, and that before all else. */
	info[2] = 1;
	assert_int_equal(ks_trailer_parse(ks_buf_view(&file)).sys, EBADMSG);
	set_length(&file, MESSAGE);
	assert_int_equal(ks_trailer_parse(ks_buf_view(&file)).sys, ENOPKG);
	for (size_t at = 0; at < 8; at++) {
		uint8_t right = info[at];

		info[at] = 9;
		assert_int_equal(ks_trailer_parse(ks_buf_view(&file)).sys, ENOPKG);
		info[at] = right;
	}
	info[2] = 2;
	for (size_t at = 0; at < 8; at++) {
		uint8_t right = info[at];

		info[at] = 9;
		assert_int_equal(ks_trailer_parse(ks_buf_view(&file)).sys,
				 at == 2 ? ENOPKG : EBADMSG);
		info[at] = right;
	}
	assert_int_equal(
		ks_trailer_parse(ks_view_of(file.data + WHOLE - MARKER - 11, MARKER + 11)).sys,
		EBADMSG);
}

static void the_outermost_counts(void **state)
{
	KS_BUF file = { 0 };
	struct ks_trailer t;

	(void)state;
	put_signed(&file);
	put_trailer(&file, text_view("outer"));
	t = ks_trailer_parse(ks_buf_view(&file));
	assert_view_equal(t.message, text_view("outer"));
	assert_int_equal(t.image.len, WHOLE);
	assert_int_equal(ks_trailer_parse(t.image).image.len, IMAGE);
}

static void appending_writes_what_the_kernel_s_tool_writes(void **state)
{
	KS_BUF file = { 0 };
	KS_BUF expected = { 0 };

	(void)state;
	fill(&file, IMAGE, 1);
	fill(&expected, IMAGE, 1);
	put_trailer(&expected, text_view("message"));
	assert_ok(ks_trailer_append(&file, text_view("message"), &error));
	assert_view_equal(ks_buf_view(&file), ks_buf_view(&expected));
	assert_memory_equal(file.data + IMAGE,
			    "message\0\0\2\0\0\0\0\0\0\0\0\7~Module signature appended~\n", 47);
}

static void what_was_appended_is_read_back(void **state)
{
	static const size_t sizes[] = { 1, 2, 255, 256, 257, 65535, 65536, 0x010203 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		KS_BUF file = { 0 };
		KS_BUF message = { 0 };
		struct ks_trailer t;

		fill(&file, IMAGE, 1);
		fill(&message, sizes[i], 2);
		assert_ok(ks_trailer_append(&file, ks_buf_view(&message), &error));
		t = ks_trailer_parse(ks_buf_view(&file));
		assert_int_equal(t.kind, KS_TRAILER_WHOLE);
		assert_int_equal(t.image.len, IMAGE);
		assert_view_equal(t.message, ks_buf_view(&message));
	}
}

static void a_message_that_is_too_long(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	if (SIZE_MAX > UINT32_MAX) {
		/* Its bytes are not looked at. */
		struct ks_view message = { NULL, (size_t)UINT32_MAX + 1 };

		assert_fails(ks_trailer_append(&file, message, &error), KS_ERR_UNSUPPORTED);
		assert_int_equal(file.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_one),
		cmocka_unit_test(no_file_is_too_small_to_be_looked_at),
		cmocka_unit_test(a_marker_cut_or_changed_is_none),
		cmocka_unit_test(every_other_byte_in_the_block_is_malformed),
		cmocka_unit_test(each_field_has_its_own_words),
		cmocka_unit_test(lengths_of_all_kinds),
		cmocka_unit_test(the_errno_of_each_fault),
		cmocka_unit_test(the_outermost_counts),
		cmocka_unit_test(appending_writes_what_the_kernel_s_tool_writes),
		cmocka_unit_test(what_was_appended_is_read_back),
		cmocka_unit_test(a_message_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
