/* SPDX-License-Identifier: MIT */
/* Setting a string in a kernel config: where the line goes, and that no other byte moves. */
#include "fixture.h"

#include <string.h>

#include "base/strings.h"
#include "core/kconfig.h"

#define SYMBOL "CONFIG_KEYS"
#define AFTER "CONFIG_RING"

/* In memory of its own, so that a byte read too many is seen. */
static void set(struct ks_view config, const char *value, struct ks_buf *out, bool *changed)
{
	KS_BUF copy = { 0 };

	assert_ok(ks_buf_append(&copy, config.data, config.len, &error));
	assert_ok(ks_kconfig_set_string(ks_buf_view(&copy), SYMBOL, value, AFTER, out, changed,
					&error));
}

static void expect(const char *config, const char *value, const char *wanted)
{
	KS_BUF out = { 0 };
	bool changed = false;

	set(text_view(config), value, &out, &changed);
	assert_true(changed);
	assert_view_equal(ks_buf_view(&out), text_view(wanted));
}

static void expect_unchanged(const char *config, const char *value)
{
	KS_BUF out = { 0 };
	bool changed = true;

	set(text_view(config), value, &out, &changed);
	assert_false(changed);
}

static void takes_the_place_of_the_old_line(void **state)
{
	(void)state;
	expect("CONFIG_A=y\n" SYMBOL "=\"\"\nCONFIG_B=m\n", "/k",
	       "CONFIG_A=y\n" SYMBOL "=\"/k\"\nCONFIG_B=m\n");
	expect(SYMBOL "=\"certs/debian.pem\"\n", "/k", SYMBOL "=\"/k\"\n");
	expect(SYMBOL "=\n", "/k", SYMBOL "=\"/k\"\n");
	expect(SYMBOL "=/k\n", "/k", SYMBOL "=\"/k\"\n");
	expect(SYMBOL "=\"/k\n", "/k", SYMBOL "=\"/k\"\n");
	expect(SYMBOL "=\"/k2\"\n" AFTER "=y\n", "", SYMBOL "=\"\"\n" AFTER "=y\n");
}

static void takes_the_place_of_the_comment(void **state)
{
	(void)state;
	expect("# " SYMBOL " is not set\nCONFIG_B=m\n", "/k", SYMBOL "=\"/k\"\nCONFIG_B=m\n");
	expect(AFTER "=y\nCONFIG_A=y\n# " SYMBOL " is not set", "/k",
	       AFTER "=y\nCONFIG_A=y\n" SYMBOL "=\"/k\"");
	/* What only looks like it stays. */
	expect("# " SYMBOL " is not set yet\n# " SYMBOL "_HASH is not set\n#" SYMBOL
	       " is not set\n",
	       "/k",
	       "# " SYMBOL " is not set yet\n# " SYMBOL "_HASH is not set\n#" SYMBOL
	       " is not set\n" SYMBOL "=\"/k\"\n");
}

static void comes_behind_another_symbol(void **state)
{
	(void)state;
	expect("CONFIG_A=y\n" AFTER "=y\nCONFIG_B=m\n", "/k",
	       "CONFIG_A=y\n" AFTER "=y\n" SYMBOL "=\"/k\"\nCONFIG_B=m\n");
	expect(AFTER "=y", "/k", AFTER "=y\n" SYMBOL "=\"/k\"\n");
	expect(AFTER "=y\n", "/k", AFTER "=y\n" SYMBOL "=\"/k\"\n");
	expect(AFTER "S=y\nMY_" AFTER "=y\n", "/k",
	       AFTER "S=y\nMY_" AFTER "=y\n" SYMBOL "=\"/k\"\n");
}

static void comes_at_the_end_else(void **state)
{
	(void)state;
	expect("", "/k", SYMBOL "=\"/k\"\n");
	expect("\n", "/k", "\n" SYMBOL "=\"/k\"\n");
	expect("CONFIG_A=y\n", "/k", "CONFIG_A=y\n" SYMBOL "=\"/k\"\n");
	expect("CONFIG_A=y", "/k", "CONFIG_A=y\n" SYMBOL "=\"/k\"\n");
	expect("# " AFTER " is not set\nCONFIG_A=y\n", "/k",
	       "# " AFTER " is not set\nCONFIG_A=y\n" SYMBOL "=\"/k\"\n");
	expect(SYMBOL "_HASH=\"x\"\nMY_" SYMBOL "=\"y\"\n", "/k",
	       SYMBOL "_HASH=\"x\"\nMY_" SYMBOL "=\"y\"\n" SYMBOL "=\"/k\"\n");
}

static void says_so_already(void **state)
{
	(void)state;
	expect_unchanged(SYMBOL "=\"/k\"\n", "/k");
	expect_unchanged(SYMBOL "=\"/k\"", "/k");
	expect_unchanged(SYMBOL "=\"/k\"\r\n", "/k");
	expect_unchanged("CONFIG_A=y\n" SYMBOL "=\"/k\"\nCONFIG_B=y\n", "/k");
	expect_unchanged(SYMBOL "=\"/old\"\n" SYMBOL "=\"/k\"\n", "/k");
	expect_unchanged(SYMBOL "=\"\"\n", "");
}

/* For the kernel the last one counts, also one that unsets it. */
static void of_twins_the_last_one_is_set(void **state)
{
	(void)state;
	expect(SYMBOL "=\"/k\"\nCONFIG_A=y\n" SYMBOL "=\"/old\"\n", "/k",
	       SYMBOL "=\"/k\"\nCONFIG_A=y\n" SYMBOL "=\"/k\"\n");
	expect(SYMBOL "=\"1\"\n" SYMBOL "=\"2\"\n# " SYMBOL " is not set\n", "/k",
	       SYMBOL "=\"1\"\n" SYMBOL "=\"2\"\n" SYMBOL "=\"/k\"\n");
}

static void lines_that_end_in_return_newline(void **state)
{
	KS_STRING value = NULL;
	KS_BUF out = { 0 };
	bool changed;

	(void)state;
	expect("CONFIG_A=y\r\n" SYMBOL "=\"\"\r\nCONFIG_B=m\r\n", "/k",
	       "CONFIG_A=y\r\n" SYMBOL "=\"/k\"\r\nCONFIG_B=m\r\n");
	expect("# " SYMBOL " is not set\r\nCONFIG_B=m\r\n", "/k",
	       SYMBOL "=\"/k\"\r\nCONFIG_B=m\r\n");
	set(text_view("CONFIG_A=y\r\n" AFTER "=y\r\nCONFIG_B=m\r\n"), "/k", &out, &changed);
	assert_true(ks_view_starts_with(ks_buf_view(&out), "CONFIG_A=y\r\n" AFTER "=y\r\n", 25));
	assert_memory_equal(out.data + out.len - 12, "CONFIG_B=m\r\n", 12);
	assert_ok(ks_kconfig_get(ks_buf_view(&out), SYMBOL, &value, &error));
	assert_string_equal(value, "/k");
}

static void quotes_and_backslashes(void **state)
{
	(void)state;
	expect("", "a b", SYMBOL "=\"a b\"\n");
	expect("", "a\"b", SYMBOL "=\"a\\\"b\"\n");
	expect("", "a\\b", SYMBOL "=\"a\\\\b\"\n");
	expect("", "\\", SYMBOL "=\"\\\\\"\n");
	expect("", "\"", SYMBOL "=\"\\\"\"\n");
	expect("", "it's $HOME `x` #1=2", SYMBOL "=\"it's $HOME `x` #1=2\"\n");
	expect("", "\xc3\xa4\t\x7f", SYMBOL "=\"\xc3\xa4\t\x7f\"\n");
	expect_unchanged(SYMBOL "=\"a\\\"\\\\b\"\n", "a\"\\b");
}

static void a_newline_cannot_be_said(void **state)
{
	KS_BUF out = { 0 };
	bool changed;

	(void)state;
	assert_fails(ks_kconfig_set_string(text_view(SYMBOL "=\"\"\n"), SYMBOL, "/a\nb", AFTER,
					   &out, &changed, &error),
		     KS_ERR_INPUT);
	assert_says("newline");
	assert_fails(
		ks_kconfig_set_string(text_view(""), SYMBOL, "\n", AFTER, &out, &changed, &error),
		KS_ERR_INPUT);
}

static void is_put_behind_what_is_there(void **state)
{
	KS_BUF out = { 0 };
	bool changed;

	(void)state;
	assert_ok(ks_buf_append(&out, "before", 6, &error));
	set(text_view("CONFIG_A=y\n"), "/k", &out, &changed);
	assert_view_equal(ks_buf_view(&out), text_view("beforeCONFIG_A=y\n" SYMBOL "=\"/k\"\n"));
}

static void zero_bytes_stay(void **state)
{
	static const char config[] = "\0\n\0" SYMBOL "=\"\"\n" SYMBOL "=\"a\0b\"\n\0";
	static const char wanted[] = "\0\n\0" SYMBOL "=\"\"\n" SYMBOL "=\"/k\"\n\0";
	KS_BUF out = { 0 };
	bool changed;

	(void)state;
	set(ks_view_of(config, sizeof(config) - 1), "/k", &out, &changed);
	assert_view_equal(ks_buf_view(&out), ks_view_of(wanted, sizeof(wanted) - 1));
}

/* Random configs, made of pieces that are known, against a rule that only counts pieces. */

enum kind { OTHER, SETS, UNSETS, BEHIND };

static const struct {
	enum kind kind;
	const char *text;
} pieces[] = {
	{ OTHER, "CONFIG_A=y" },
	{ OTHER, "" },
	{ OTHER, "# a comment" },
	{ OTHER, "# CONFIG_A is not set" },
	{ OTHER, SYMBOL "S=\"/k\"" },
	{ OTHER, SYMBOL },
	{ OTHER, "# " SYMBOL "=\"/k\"" },
	{ OTHER, " " SYMBOL "=\"/k\"" },
	{ OTHER, "# " SYMBOL " is not set " },
	{ OTHER, "# " AFTER " is not set" },
	{ OTHER, "\xff\xfe\x01\"\\" },
	{ SETS, SYMBOL "=\"/old \\\" key\"" },
	{ SETS, SYMBOL "=" },
	{ SETS, SYMBOL "=\"\"" },
	{ UNSETS, "# " SYMBOL " is not set" },
	{ BEHIND, AFTER "=y" },
	{ BEHIND, AFTER "=" },
};

enum { PIECES = sizeof(pieces) / sizeof(*pieces), MOST_LINES = 9 };

static uint32_t next_random(void)
{
	static uint32_t seed = 4711;

	seed = seed * 1664525 + 1013904223;
	return seed >> 16;
}

struct lines {
	size_t count;
	size_t piece[MOST_LINES];
	bool open_end; /* no newline behind the last one */
};

static int last_of(const struct lines *lines, enum kind kind)
{
	int last = -1;

	for (size_t i = 0; i < lines->count; i++)
		if (pieces[lines->piece[i]].kind == kind)
			last = (int)i;
	return last;
}

static void put(struct ks_buf *out, const char *text)
{
	assert_ok(ks_buf_append(out, text, strlen(text), &error));
}

/* All lines, LINE instead of the one at EXCHANGED and behind the one at BEHIND (-1: none). */
static void put_lines(struct ks_buf *out, const struct lines *lines, const char *line,
		      int exchanged, int behind)
{
	for (int i = 0; i < (int)lines->count; i++) {
		bool last = i == (int)lines->count - 1;

		put(out, i == exchanged ? line : pieces[lines->piece[i]].text);
		put(out, last && lines->open_end && i != behind ? "" : "\n");
		if (i == behind) {
			put(out, line);
			put(out, "\n");
		}
	}
}

static void expected(struct ks_buf *out, const struct lines *lines, const char *line)
{
	int set = last_of(lines, SETS), unset = last_of(lines, UNSETS);
	int exchanged = set > unset ? set : unset, behind = -1;

	if (exchanged < 0)
		behind = last_of(lines, BEHIND);
	if (exchanged < 0 && behind < 0)
		behind = (int)lines->count - 1;
	put_lines(out, lines, line, exchanged, behind);
	if (!lines->count) {
		put(out, line);
		put(out, "\n");
	}
}

static void make_lines(struct lines *lines)
{
	lines->count = next_random() % (MOST_LINES + 1);
	for (size_t i = 0; i < lines->count; i++)
		lines->piece[i] = next_random() % PIECES;
	/* An empty line without its newline is none. */
	lines->open_end = lines->count && pieces[lines->piece[lines->count - 1]].text[0] &&
			  next_random() % 3 == 0;
}

static void any_config(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		KS_BUF config = { 0 };
		KS_BUF out = { 0 };
		KS_BUF again = { 0 };
		KS_BUF wanted = { 0 };
		struct lines lines;
		bool changed;

		make_lines(&lines);
		put_lines(&config, &lines, "", -1, -1);
		expected(&wanted, &lines, SYMBOL "=\"/a \\\"b\\\"\"");
		set(ks_buf_view(&config), "/a \"b\"", &out, &changed);
		assert_true(changed);
		assert_view_equal(ks_buf_view(&out), ks_buf_view(&wanted));
		set(ks_buf_view(&out), "/a \"b\"", &again, &changed);
		assert_false(changed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_place_of_the_old_line),
		cmocka_unit_test(takes_the_place_of_the_comment),
		cmocka_unit_test(comes_behind_another_symbol),
		cmocka_unit_test(comes_at_the_end_else),
		cmocka_unit_test(says_so_already),
		cmocka_unit_test(of_twins_the_last_one_is_set),
		cmocka_unit_test(lines_that_end_in_return_newline),
		cmocka_unit_test(quotes_and_backslashes),
		cmocka_unit_test(a_newline_cannot_be_said),
		cmocka_unit_test(is_put_behind_what_is_there),
		cmocka_unit_test(zero_bytes_stay),
		cmocka_unit_test(any_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
