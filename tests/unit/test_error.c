/* SPDX-License-Identifier: MIT */
/* The one error: what it says, what it keeps, and that it never grows past its end. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { ROOM = KS_ERROR_TEXT - 1 };

/* An error with bytes behind it that nobody may touch. */
static struct {
	struct ks_error err;
	char guard[16];
} guarded;

static char filler[3 * KS_ERROR_TEXT];

static void start(void)
{
	memset(&guarded, 0x5a, sizeof(guarded));
	memset(filler, 'x', sizeof(filler) - 1);
}

static void assert_guarded(void)
{
	for (size_t i = 0; i < sizeof(guarded.guard); i++)
		assert_int_equal(guarded.guard[i], 0x5a);
	assert_non_null(memchr(guarded.err.text, '\0', sizeof(guarded.err.text)));
}

static void fail_fills_everything_in(void **state)
{
	(void)state;
	start();
	assert_false(ks_fail(&guarded.err, KS_ERR_KEY, "%s: %d of %s", "a", 7, "b"));
	assert_int_equal(guarded.err.code, KS_ERR_KEY);
	assert_int_equal(guarded.err.sys, 0);
	assert_string_equal(guarded.err.text, "a: 7 of b");
	assert_guarded();
}

static void fail_forgets_an_old_errno(void **state)
{
	(void)state;
	errno = EACCES;
	assert_false(ks_fail_errno(&error, "open"));
	assert_false(ks_fail(&error, KS_ERR_INPUT, "short"));
	assert_int_equal(error.sys, 0);
	assert_int_equal(error.code, KS_ERR_INPUT);
	assert_string_equal(error.text, "short");
}

static void fail_cuts_a_long_text(void **state)
{
	(void)state;
	start();
	assert_false(ks_fail(&guarded.err, KS_ERR_INPUT, "<%s>", filler));
	assert_int_equal(strlen(guarded.err.text), ROOM);
	assert_int_equal(guarded.err.text[0], '<');
	assert_guarded();
}

static void fail_errno_says_what_and_why(void **state)
{
	static const int numbers[] = { ENOENT, EACCES, ELOOP, ENOSPC, EIO };
	char expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		snprintf(expected, sizeof(expected), "open: %s", strerror(numbers[i]));
		errno = numbers[i];
		assert_false(ks_fail_errno(&error, "open"));
		assert_int_equal(error.code, KS_ERR_SYSTEM);
		assert_int_equal(error.sys, numbers[i]);
		assert_string_equal(error.text, expected);
	}
}

static void fail_errno_takes_what_for_text(void **state)
{
	(void)state;
	start();
	errno = EIO;
	assert_false(ks_fail_errno(&guarded.err, "100%s %n"));
	assert_memory_equal(guarded.err.text, "100%s %n: ", 10);
	assert_false(ks_fail_errno(&guarded.err, filler));
	assert_int_equal(strlen(guarded.err.text), ROOM);
	assert_guarded();
}

static void fail_memory_is_enomem(void **state)
{
	(void)state;
	errno = EACCES;
	assert_false(ks_fail_memory(&error));
	assert_int_equal(error.code, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, ENOMEM);
	assert_non_null(strstr(error.text, strerror(ENOMEM)));
}

static void at_puts_a_name_in_front(void **state)
{
	(void)state;
	errno = ENOENT;
	(void)ks_fail_errno(&error, "open");
	assert_false(ks_at(&error, "/a/\x01\xff%s"));
	assert_memory_equal(error.text, "/a/\x01\xff%s: open: ", 15);
	assert_int_equal(error.code, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, ENOENT);
	(void)ks_fail(&error, KS_ERR_INPUT, "cause");
	assert_false(ks_at(&error, "inner"));
	assert_false(ks_at(&error, "outer"));
	assert_string_equal(error.text, "outer: inner: cause");
	assert_int_equal(error.code, KS_ERR_INPUT);
	assert_false(ks_at(&error, ""));
	assert_string_equal(error.text, ": outer: inner: cause");
}

/* The name stays, the end of the text goes. */
static void at_cuts_the_text(void **state)
{
	(void)state;
	for (size_t len = ROOM - 12; len <= ROOM; len++) {
		start();
		(void)ks_fail(&guarded.err, KS_ERR_INPUT, "%.*s", (int)len, filler);
		(void)ks_at(&guarded.err, "abcd");
		assert_memory_equal(guarded.err.text, "abcd: x", 7);
		assert_int_equal(strlen(guarded.err.text), len + 6 < ROOM ? len + 6 : ROOM);
		assert_guarded();
	}
}

static void at_cuts_a_name_that_fills_everything(void **state)
{
	(void)state;
	for (size_t len = ROOM - 8; len < ROOM + 8; len++) {
		start();
		(void)ks_fail(&guarded.err, KS_ERR_INPUT, "cause");
		filler[len] = '\0';
		(void)ks_at(&guarded.err, filler);
		filler[len] = 'x';
		assert_true(strlen(guarded.err.text) <= ROOM);
		assert_int_equal(guarded.err.text[ROOM - 9], 'x');
		assert_int_equal(guarded.err.code, KS_ERR_INPUT);
		assert_guarded();
	}
}

static void a_path_and_a_cause_fit(void **state)
{
	static char path[PATH_MAX];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	(void)ks_fail(&error, KS_ERR_INPUT, "the cause at the end");
	(void)ks_at(&error, path);
	assert_non_null(strstr(error.text, ": the cause at the end"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_fills_everything_in),
		cmocka_unit_test(fail_forgets_an_old_errno),
		cmocka_unit_test(fail_cuts_a_long_text),
		cmocka_unit_test(fail_errno_says_what_and_why),
		cmocka_unit_test(fail_errno_takes_what_for_text),
		cmocka_unit_test(fail_memory_is_enomem),
		cmocka_unit_test(at_puts_a_name_in_front),
		cmocka_unit_test(at_cuts_the_text),
		cmocka_unit_test(at_cuts_a_name_that_fills_everything),
		cmocka_unit_test(a_path_and_a_cause_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
