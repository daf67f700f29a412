/* SPDX-License-Identifier: MIT */
/* Lists of strings: copies, order, look-up by length, joining into too little room. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"

static void add_all(struct ks_strings *list, const char *const *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_ok(ks_strings_add(list, text[i], &error));
}

#define ADD_ALL(list, ...)                                  \
	add_all(list, (const char *const[]){ __VA_ARGS__ }, \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void adding_copies(void **state)
{
	KS_STRINGS list = { 0 };
	char text[] = "module";

	(void)state;
	assert_ok(ks_strings_add(&list, text, &error));
	assert_ok(ks_strings_add_len(&list, text, 3, &error));
	assert_ok(ks_strings_add_len(&list, text, 0, &error));
	assert_ok(ks_strings_add_len(&list, text, 100, &error));
	assert_ok(ks_strings_print(&list, &error, "%s-%d", text, 7));
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(list.count, 5);
	assert_string_equal(list.item[4], "module-7");
	assert_string_equal(list.item[0], "module");
	assert_string_equal(list.item[1], "mod");
	assert_string_equal(list.item[2], "");
	assert_string_equal(list.item[3], "module");
}

static void many_fit(void **state)
{
	KS_STRINGS list = { 0 };
	char text[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%04d", i);
		assert_ok(ks_strings_add(&list, text, &error));
	}
	assert_int_equal(list.count, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(atoi(list.item[i]), i);
}

static void sorting_is_by_byte_and_drops_twins(void **state)
{
	static const char *const sorted[] = { "", "A", "a", "a-b", "a_b", "ab", "\xc3\xa9" };
	KS_STRINGS list = { 0 };

	(void)state;
	ADD_ALL(&list, "\xc3\xa9", "ab", "a_b", "a", "ab", "", "A", "a-b", "a", "ab", "");
	ks_strings_sort(&list);
	assert_int_equal(list.count, sizeof(sorted) / sizeof(*sorted));
	for (size_t i = 0; i < list.count; i++)
		assert_string_equal(list.item[i], sorted[i]);
}

static void sorting_little(void **state)
{
	KS_STRINGS none = { 0 };
	KS_STRINGS one = { 0 };
	KS_STRINGS twins = { 0 };

	(void)state;
	ks_strings_sort(&none);
	assert_int_equal(none.count, 0);
	ADD_ALL(&one, "a");
	ks_strings_sort(&one);
	assert_int_equal(one.count, 1);
	ADD_ALL(&twins, "a", "a", "a");
	ks_strings_sort(&twins);
	assert_int_equal(twins.count, 1);
	assert_ok(ks_strings_add(&twins, "b", &error));
	assert_string_equal(twins.item[1], "b");
}

static void has_looks_at_the_given_length(void **state)
{
	KS_STRINGS list = { 0 };

	(void)state;
	ADD_ALL(&list, "kernel/a.ko", "kernel/a.ko.b", "kernel/ab.ko", "kernel/b");
	ks_strings_sort(&list);
	assert_true(ks_strings_has(&list, "kernel/a.ko.xz", 11));
	assert_true(ks_strings_has(&list, "kernel/a.ko", 11));
	assert_true(ks_strings_has(&list, "kernel/a.ko.b", 13));
	assert_true(ks_strings_has(&list, "kernel/b/c/d", 8));
	assert_false(ks_strings_has(&list, "kernel/a.ko.xz", 14));
	assert_false(ks_strings_has(&list, "kernel/a.ko", 10));
	assert_false(ks_strings_has(&list, "kernel/a", 8));
	assert_false(ks_strings_has(&list, "kernel/a.ko.b", 12));
	assert_false(ks_strings_has(&list, "kernel/b/", 9));
	assert_false(ks_strings_has(&list, "", 0));
	assert_false(ks_strings_has(&list, "a", 1));
	assert_false(ks_strings_has(&list, "z", 1));
}

static void has_finds_what_is_a_prefix_of_others(void **state)
{
	static const char text[] = "aaaaaaaaaaaaaaaaaaaa";
	KS_STRINGS list = { 0 };

	(void)state;
	for (size_t len = 0; len < sizeof(text); len += 2)
		assert_ok(ks_strings_add_len(&list, text, len, &error));
	ks_strings_sort(&list);
	for (size_t len = 0; len < sizeof(text); len++)
		assert_int_equal(ks_strings_has(&list, text, len), len % 2 == 0);
}

static void has_orders_bytes_above_127_as_sort_does(void **state)
{
	KS_STRINGS list = { 0 };
	char text[2] = "";

	(void)state;
	for (int c = 1; c < 256; c += 2) {
		text[0] = (char)c;
		assert_ok(ks_strings_add(&list, text, &error));
	}
	ks_strings_sort(&list);
	for (int c = 1; c < 256; c++) {
		text[0] = (char)c;
		assert_int_equal(ks_strings_has(&list, text, 1), c % 2);
	}
}

static void an_empty_list_has_nothing(void **state)
{
	KS_STRINGS list = { 0 };

	(void)state;
	assert_false(ks_strings_has(&list, "a", 1));
	assert_false(ks_strings_has(&list, "", 0));
	ADD_ALL(&list, "");
	assert_true(ks_strings_has(&list, "whatever", 0));
}

static void joining_cuts_to_size(void **state)
{
	static const char all[] = "one, two, three";
	KS_STRINGS list = { 0 };
	char text[32];

	(void)state;
	memset(text, '#', sizeof(text));
	ks_strings_join(&list, text, sizeof(text));
	assert_string_equal(text, "");
	ADD_ALL(&list, "one", "two", "three");
	for (size_t size = 1; size < sizeof(text); size++) {
		size_t len = size - 1 < strlen(all) ? size - 1 : strlen(all);

		memset(text, '#', sizeof(text));
		ks_strings_join(&list, text, size);
		assert_int_equal(strlen(text), len);
		assert_memory_equal(text, all, len);
		for (size_t i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
	}
}

static void freeing_leaves_an_empty_list(void **state)
{
	struct ks_strings list = { 0 };

	(void)state;
	ADD_ALL(&list, "a", "b");
	ks_strings_free(&list);
	assert_int_equal(list.count + list.cap, 0);
	assert_null(list.item);
	ks_strings_free(&list);
	ADD_ALL(&list, "c");
	assert_string_equal(list.item[0], "c");
	ks_strings_free(&list);
}

static void single_strings(void **state)
{
	KS_STRING text = NULL;
	KS_STRING copy = NULL;

	(void)state;
	assert_ok(ks_string_print(&text, &error, "%s/%d", "a", 7));
	assert_string_equal(text, "a/7");
	assert_ok(ks_string_copy(&copy, text, &error));
	assert_string_equal(copy, "a/7");
	assert_ptr_not_equal(copy, text);
	ks_string_free(&copy);
	assert_null(copy);
	ks_string_free(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_copies),
		cmocka_unit_test(many_fit),
		cmocka_unit_test(sorting_is_by_byte_and_drops_twins),
		cmocka_unit_test(sorting_little),
		cmocka_unit_test(has_looks_at_the_given_length),
		cmocka_unit_test(has_finds_what_is_a_prefix_of_others),
		cmocka_unit_test(has_orders_bytes_above_127_as_sort_does),
		cmocka_unit_test(an_empty_list_has_nothing),
		cmocka_unit_test(joining_cuts_to_size),
		cmocka_unit_test(freeing_leaves_an_empty_list),
		cmocka_unit_test(single_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
