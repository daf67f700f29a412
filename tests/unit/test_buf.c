/* SPDX-License-Identifier: MIT */
/* Buffers: room, growth, limits, and that secrets are wiped before memory is given back. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* More than any machine has, and still a positive number to everybody who asks. */
static const size_t absurd = PTRDIFF_MAX - 4096;

/* The address sanitizer takes a request for so much as a fault of ours. */
#if defined(__SANITIZE_ADDRESS__)
#define MAY_ASK_FOR_TOO_MUCH false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_ASK_FOR_TOO_MUCH false
#endif
#endif
#ifndef MAY_ASK_FOR_TOO_MUCH
#define MAY_ASK_FOR_TOO_MUCH true
#endif

/*
 * The C library's wiping functions, both names, in place of its own: what was wiped last.  Under
 * labels of their own, because the C library's headers may make macros of the names.
 */
static void *wiped;
static size_t wiped_len;

void wipe_hook(void *data, size_t len) __asm__("explicit_bzero");
void wipe_checked_hook(void *data, size_t len, size_t room) __asm__("__explicit_bzero_chk");

void wipe_hook(void *data, size_t len)
{
	volatile unsigned char *p = data;

	wiped = data;
	wiped_len = len;
	for (size_t i = 0; i < len; i++)
		p[i] = 0;
}

void wipe_checked_hook(void *data, size_t len, size_t room)
{
	assert_true(len <= room);
	wipe_hook(data, len);
}

static void reserve_keeps_what_is_there(void **state)
{
	KS_BUF buf = { 0 };
	const uint8_t *data;

	(void)state;
	assert_ok(ks_buf_reserve(&buf, 0, &error));
	assert_null(buf.data);
	assert_ok(ks_buf_append(&buf, "abc", 3, &error));
	assert_ok(ks_buf_reserve(&buf, 100000, &error));
	assert_true(buf.cap >= 100000);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "abc", 3);
	data = buf.data;
	assert_ok(ks_buf_reserve(&buf, 10, &error));
	assert_ok(ks_buf_reserve(&buf, 100000, &error));
	assert_ptr_equal(buf.data, data);
	assert_true(buf.cap >= 100000);
	buf.data[99999] = 1;
}

static void reserve_fails_and_leaves_it_be(void **state)
{
	KS_BUF buf = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&buf, "abc", 3, &error));
	if (MAY_ASK_FOR_TOO_MUCH)
		assert_fails_errno(ks_buf_reserve(&buf, absurd, &error), ENOMEM);
	assert_int_equal(buf.len, 3);
	assert_true(buf.cap < absurd);
	assert_memory_equal(buf.data, "abc", 3);
}

static void append_appends(void **state)
{
	KS_BUF buf = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&buf, NULL, 0, &error));
	assert_int_equal(buf.len, 0);
	for (unsigned int i = 0; i < 1000; i++)
		assert_ok(ks_buf_append(&buf, (uint8_t[]){ (uint8_t)i, (uint8_t)(i >> 8) }, 2,
					&error));
	assert_int_equal(buf.len, 2000);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(buf.data[2 * i] | buf.data[2 * i + 1] << 8, i);
	assert_ok(ks_buf_append(&buf, "", 0, &error));
	assert_int_equal(buf.len, 2000);
}

static void append_fails_before_it_overflows(void **state)
{
	/* Nothing but the numbers is looked at. */
	struct ks_buf buf = { .len = SIZE_MAX - 3, .cap = SIZE_MAX - 3 };

	(void)state;
	assert_fails_errno(ks_buf_append(&buf, "abcd", 4, &error), ENOMEM);
	assert_int_equal(buf.len, SIZE_MAX - 3);
	assert_null(buf.data);
}

static void append_fails_for_want_of_memory(void **state)
{
	struct ks_buf buf = { .len = absurd };

	(void)state;
	if (MAY_ASK_FOR_TOO_MUCH)
		assert_fails_errno(ks_buf_append(&buf, "abcd", 4, &error), ENOMEM);
	assert_int_equal(buf.len, absurd);
}

static void grow_makes_room_geometrically(void **state)
{
	KS_BUF buf = { 0 };
	unsigned int steps = 0;

	(void)state;
	while (buf.len < 8 << 20) {
		size_t before = buf.cap;

		assert_ok(ks_buf_grow(&buf, SIZE_MAX, &error));
		assert_true(buf.cap > buf.len);
		steps += buf.cap != before;
		buf.len = buf.cap;
	}
	assert_in_range(steps, 2, 40);
}

static void grow_is_content_with_one_byte(void **state)
{
	KS_BUF buf = { 0 };
	size_t cap;

	(void)state;
	assert_ok(ks_buf_reserve(&buf, 100, &error));
	cap = buf.cap;
	buf.len = cap - 1;
	assert_ok(ks_buf_grow(&buf, 10, &error));
	assert_int_equal(buf.cap, cap);
	buf.len = 0;
}

static void grow_never_passes_the_limit(void **state)
{
	static const size_t limits[] = { 1, 2, 65535, 65536, 65537, 100001, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		KS_BUF buf = { 0 };

		while (buf.len < limits[i]) {
			assert_ok(ks_buf_grow(&buf, limits[i], &error));
			assert_true(buf.cap <= limits[i]);
			buf.len = buf.cap;
		}
		assert_int_equal(buf.len, limits[i]);
		assert_fails(ks_buf_grow(&buf, limits[i], &error), KS_ERR_INPUT);
		assert_says("limit");
		assert_int_equal(buf.cap, limits[i]);
	}
}

static void grow_takes_no_limit_below_the_length(void **state)
{
	KS_BUF buf = { 0 };

	(void)state;
	assert_fails(ks_buf_grow(&buf, 0, &error), KS_ERR_INPUT);
	assert_ok(ks_buf_append(&buf, "abcd", 4, &error));
	buf.len = buf.cap;
	assert_fails(ks_buf_grow(&buf, 3, &error), KS_ERR_INPUT);
	assert_memory_equal(buf.data, "abcd", 4);
}

static void free_wipes_all_that_was_allocated(void **state)
{
	struct ks_buf buf = { 0 };
	void *data;

	(void)state;
	assert_ok(ks_buf_reserve(&buf, 1000, &error));
	memset(buf.data, 's', 1000);
	buf.len = 10;
	data = buf.data;
	wiped = NULL;
	ks_buf_free(&buf);
	assert_ptr_equal(wiped, data);
	assert_true(wiped_len >= 1000);
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, 0);
	ks_buf_free(&buf);
	assert_ok(ks_buf_append(&buf, "again", 5, &error));
	ks_buf_free(&buf);
}

static void leaving_the_scope_frees_and_wipes(void **state)
{
	(void)state;
	wiped = NULL;
	{
		KS_BUF buf = { 0 };

		assert_ok(ks_buf_append(&buf, "secret", 6, &error));
	}
	assert_non_null(wiped);
}

static void drop_does_not_wipe(void **state)
{
	struct ks_buf buf = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&buf, "public", 6, &error));
	wiped = NULL;
	ks_buf_drop(&buf);
	assert_null(wiped);
	assert_null(buf.data);
	assert_int_equal(buf.len + buf.cap, 0);
	ks_buf_drop(&buf);
}

static void views_compare_by_bytes(void **state)
{
	struct ks_view none = { NULL, 0 };
	KS_BUF buf = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&buf, "a\0b", 3, &error));
	assert_true(ks_view_equal(ks_buf_view(&buf), ks_view_of("a\0b", 3)));
	assert_false(ks_view_equal(ks_buf_view(&buf), ks_view_of("a\0c", 3)));
	assert_false(ks_view_equal(ks_buf_view(&buf), ks_view_of("a\0b", 2)));
	assert_false(ks_view_equal(none, ks_view_of("a", 1)));
	assert_true(ks_view_equal(none, ks_view_of("a", 0)));
	assert_true(ks_view_equal(none, none));
}

static void views_know_how_they_start(void **state)
{
	struct ks_view view = ks_view_of("a\0bc", 4);

	(void)state;
	assert_true(ks_view_starts_with(view, "a\0b", 3));
	assert_true(ks_view_starts_with(view, "a\0bc", 4));
	assert_true(ks_view_starts_with(view, "", 0));
	assert_false(ks_view_starts_with(view, "a\0c", 3));
	assert_false(ks_view_starts_with(view, "a\0bcd", 5));
	assert_false(ks_view_starts_with(ks_view_of(NULL, 0), "a", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserve_keeps_what_is_there),
		cmocka_unit_test(reserve_fails_and_leaves_it_be),
		cmocka_unit_test(append_appends),
		cmocka_unit_test(append_fails_before_it_overflows),
		cmocka_unit_test(append_fails_for_want_of_memory),
		cmocka_unit_test(grow_makes_room_geometrically),
		cmocka_unit_test(grow_is_content_with_one_byte),
		cmocka_unit_test(grow_never_passes_the_limit),
		cmocka_unit_test(grow_takes_no_limit_below_the_length),
		cmocka_unit_test(free_wipes_all_that_was_allocated),
		cmocka_unit_test(leaving_the_scope_frees_and_wipes),
		cmocka_unit_test(drop_does_not_wipe),
		cmocka_unit_test(views_compare_by_bytes),
		cmocka_unit_test(views_know_how_they_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
