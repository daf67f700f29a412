/* SPDX-License-Identifier: MIT */
/* Spans of time in words: what is taken, and that the rest is refused with a line that helps. */
#include "fixture.h"

#include <string.h>

#include "base/period.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, WEEK = 7 * DAY };

static void expect(const char *text, int64_t wanted)
{
	int64_t seconds = -1;

	assert_ok(ks_period_parse(text, &seconds, &error));
	if (seconds != wanted)
		fail_msg("'%s' is %lld seconds", text, (long long)seconds);
}

static void refuse(const char *text)
{
	int64_t seconds;

	assert_fails(ks_period_parse(text, &seconds, &error), KS_ERR_USAGE);
	assert_says(text);
	assert_says("minutes");
	assert_says("always");
	assert_says("never");
}

static void letters(void **state)
{
	(void)state;
	expect("1s", 1);
	expect("1m", MINUTE);
	expect("1h", HOUR);
	expect("1d", DAY);
	expect("1w", WEEK);
	expect("90s", 90);
	expect("24h", DAY);
	expect("30d", 30 * DAY);
	expect("007d", 7 * DAY);
}

static void words_and_their_plurals(void **state)
{
	static const struct {
		const char *word;
		int64_t seconds;
	} units[] = {
		{ "sec", 1 },	  { "second", 1 }, { "min", MINUTE }, { "minute", MINUTE },
		{ "hour", HOUR }, { "day", DAY },  { "week", WEEK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		char text[32];

		snprintf(text, sizeof(text), "1%s", units[i].word);
		expect(text, units[i].seconds);
		snprintf(text, sizeof(text), "3%ss", units[i].word);
		expect(text, 3 * units[i].seconds);
		snprintf(text, sizeof(text), "12 %ss", units[i].word);
		expect(text, 12 * units[i].seconds);
	}
}

static void blanks_do_not_count(void **state)
{
	(void)state;
	expect("30 days", 30 * DAY);
	expect("2weeks", 2 * WEEK);
	expect("2 weeks", 2 * WEEK);
	expect("1 m", MINUTE);
	expect("  5\t \td", 5 * DAY);
	expect(" always", KS_PERIOD_ALWAYS);
	expect("\tnever", KS_PERIOD_NEVER);
}

static void words_without_a_number(void **state)
{
	(void)state;
	expect("always", KS_PERIOD_ALWAYS);
	expect("never", KS_PERIOD_NEVER);
	assert_true(KS_PERIOD_NEVER > KS_PERIOD_ALWAYS);
}

/* A month was a minute once, and a week that nobody counted a crash. */
static void what_is_no_period(void **state)
{
	static const char *const junk[] = {
		"",
		"  ",
		"1month",
		"1 month",
		"2months",
		"1mo",
		"1M",
		"1y",
		"1year",
		"weekly",
		"daily",
		"d",
		"days",
		"0",
		"0d",
		"0 weeks",
		"-1",
		"-1d",
		"+1d",
		"1",
		"30",
		"1.5h",
		"1,5h",
		"0x10d",
		"1e3s",
		"1d1",
		"1d 2h",
		"1ss",
		"1hs",
		"1dayss",
		"1 dayz",
		"1da",
		"1wee",
		"1\n days",
		"alwa",
		"alwayss",
		"neverd",
		"nevr",
		"1always",
		"1 never",
		"\xc2\xb2"
		"d",
		"1\xc2\xa0"
		"d",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++) {
		int64_t seconds;

		if (strchr(junk[i], '\n'))
			assert_false(ks_period_parse(junk[i], &seconds, &error));
		else
			refuse(junk[i]);
	}
}

static void numbers_too_large(void **state)
{
	(void)state;
	expect("2147483647s", 2147483647);
	expect("2147483647w", 2147483647 * (int64_t)WEEK);
	refuse("99999999999999w");
	refuse("9223372036854775807s");
	refuse("9223372036854775808s");
	refuse("18446744073709551617d");
	refuse("100000000000000000000000000000000000000000s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters),
		cmocka_unit_test(words_and_their_plurals),
		cmocka_unit_test(blanks_do_not_count),
		cmocka_unit_test(words_without_a_number),
		cmocka_unit_test(what_is_no_period),
		cmocka_unit_test(numbers_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
