/* SPDX-License-Identifier: MIT */
/* Escaping: every byte, every kind of bad UTF-8, what a terminal would obey, and the way back. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void assert_escaped(const char *raw, const char *expected)
{
	char *text = ks_text_escape(raw);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

/* Each byte as \xNN, wherever it stands. */
static void assert_all_escaped(const char *raw)
{
	char expected[64], around[64], expected_around[80];
	size_t len = 0;

	for (const char *p = raw; *p; p++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "\\x%02x",
					(unsigned char)*p);
	assert_escaped(raw, expected);
	snprintf(around, sizeof(around), "<%s>", raw);
	snprintf(expected_around, sizeof(expected_around), "<%s>", expected);
	assert_escaped(around, expected_around);
}

static void plain_text_stays(void **state)
{
	(void)state;
	assert_escaped("", "");
	assert_escaped("/lib/modules/6.12/x.ko.xz \"'<>&%$", "/lib/modules/6.12/x.ko.xz \"'<>&%$");
	assert_escaped("Grüße, 日本, 𝄞", "Grüße, 日本, 𝄞");
}

static void every_single_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char raw[2] = { (char)c, 0 };

		if (c == '\\')
			assert_escaped(raw, "\\\\");
		else if (c >= 0x20 && c < 0x7f)
			assert_escaped(raw, raw);
		else
			assert_all_escaped(raw);
	}
}

static void a_backslash_is_two(void **state)
{
	(void)state;
	assert_escaped("a\\x41\\", "a\\\\x41\\\\");
}

static void encode(uint32_t point, char *text)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	int len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

	for (int i = len - 1; i > 0; i--, point >>= 6)
		text[i] = (char)(0x80 | (point & 0x3f));
	text[0] = (char)(lead[len] | point);
	text[len] = '\0';
}

/* What a terminal obeys or a reader cannot see: Unicode's Bidi_Control, and the separators. */
static bool is_obeyed(uint32_t point)
{
	return point < 0xa0 || point == 0x61c || point == 0x200e || point == 0x200f ||
	       (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

static void check_point(uint32_t point)
{
	char raw[5];

	encode(point, raw);
	if (is_obeyed(point) || (point >= 0xd800 && point < 0xe000) || point > 0x10ffff)
		assert_all_escaped(raw);
	else
		assert_escaped(raw, raw);
}

static void code_points_of_the_first_planes(void **state)
{
	(void)state;
	for (uint32_t point = 0x80; point < 0x3100; point++)
		check_point(point);
	for (uint32_t point = 0x3100; point < 0x20000; point += 61)
		check_point(point);
}

static void surrogates_and_the_ends_of_ranges(void **state)
{
	static const uint32_t points[] = { 0x7ff,   0x800,   0xd7ff,   0xd800,	 0xdbff,  0xdc00,
					   0xdfff,  0xe000,  0xfeff,   0xfffd,	 0xffff,  0x10000,
					   0xfffff, 0x10000, 0x10ffff, 0x110000, 0x13ffff };

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
		check_point(points[i]);
}

static void overlong_forms_are_no_utf8(void **state)
{
	(void)state;
	assert_all_escaped("\xc0\x80");
	assert_all_escaped("\xc0\xaf");
	assert_all_escaped("\xc1\xbf");
	assert_all_escaped("\xe0\x80\x80");
	assert_all_escaped("\xe0\x9f\xbf");
	assert_all_escaped("\xf0\x80\x80\x80");
	assert_all_escaped("\xf0\x8f\xbf\xbf");
	assert_all_escaped("\xf5\x80\x80\x80");
	assert_all_escaped("\xf8\x88\x80\x80\x80");
	assert_all_escaped("\xfc\x84\x80\x80\x80\x80");
	assert_all_escaped("\xfe\xff");
}

static void sequences_cut_short(void **state)
{
	(void)state;
	assert_all_escaped("\xc3");
	assert_all_escaped("\xe6\x97");
	assert_all_escaped("\xf0\x9d\x84");
	assert_all_escaped("\x97\xa5");
	assert_escaped("\xe6\x97ü", "\\xe6\\x97ü");
	assert_escaped("\xf0\x9d\x84"
		       "A",
		       "\\xf0\\x9d\\x84A");
	assert_escaped("\xc3\xc3\xbc", "\\xc3ü");
}

static void terminals_are_told_nothing(void **state)
{
	(void)state;
	assert_escaped("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m");
	assert_escaped("a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd");
	assert_escaped("\xc2\x9b"
		       "31m",
		       "\\xc2\\x9b31m");
	assert_escaped("gnp.\xe2\x80\xae"
		       "txt",
		       "gnp.\\xe2\\x80\\xaetxt");
}

/* \xNN and \\ are all there is to undo. */
static void unescape(const char *text, struct ks_buf *raw)
{
	for (; *text; text++) {
		unsigned int byte = (unsigned char)*text;

		if (*text == '\\' && text[1] == '\\')
			text++;
		else if (*text == '\\') {
			assert_int_equal(sscanf(text, "\\x%2x", &byte), 1);
			text += 3;
		}
		assert_ok(ks_buf_append(raw, (uint8_t[]){ (uint8_t)byte }, 1, &error));
	}
}

static void random_bytes_come_back(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 300; seed++) {
		KS_BUF raw = { 0 };
		KS_BUF back = { 0 };
		char *text;

		fill(&raw, seed, seed);
		for (size_t i = 0; i < raw.len; i++)
			if (!raw.data[i])
				raw.data[i] = seed % 2 ? '\\' : 'x';
		assert_ok(ks_buf_append(&raw, "", 1, &error));
		text = ks_text_escape((char *)raw.data);
		assert_non_null(text);
		for (const char *p = text; *p; p++)
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		unescape(text, &back);
		raw.len--;
		assert_view_equal(ks_buf_view(&back), ks_buf_view(&raw));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays),
		cmocka_unit_test(every_single_byte),
		cmocka_unit_test(a_backslash_is_two),
		cmocka_unit_test(code_points_of_the_first_planes),
		cmocka_unit_test(surrogates_and_the_ends_of_ranges),
		cmocka_unit_test(overlong_forms_are_no_utf8),
		cmocka_unit_test(sequences_cut_short),
		cmocka_unit_test(terminals_are_told_nothing),
		cmocka_unit_test(random_bytes_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
