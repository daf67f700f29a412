/* SPDX-License-Identifier: MIT */
/* Answers that may be unknown: all of them, with all others. */
#include "fixture.h"

#include "base/answer.h"

static void names(void **state)
{
	(void)state;
	assert_string_equal(ks_answer_name(KS_YES), "yes");
	assert_string_equal(ks_answer_name(KS_NO), "no");
	assert_string_equal(ks_answer_name(KS_UNKNOWN), "unknown");
}

/* What was never asked is unknown. */
static void zero_is_unknown(void **state)
{
	enum ks_answer answer = 0;

	(void)state;
	assert_int_equal(answer, KS_UNKNOWN);
}

static void both(void **state)
{
	static const struct {
		enum ks_answer a, b, both;
	} cases[] = {
		{ KS_NO, KS_NO, KS_NO },
		{ KS_NO, KS_UNKNOWN, KS_NO },
		{ KS_NO, KS_YES, KS_NO },
		{ KS_UNKNOWN, KS_UNKNOWN, KS_UNKNOWN },
		{ KS_UNKNOWN, KS_YES, KS_UNKNOWN },
		{ KS_YES, KS_YES, KS_YES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(ks_answer_both(cases[i].a, cases[i].b), cases[i].both);
		assert_int_equal(ks_answer_both(cases[i].b, cases[i].a), cases[i].both);
	}
}

static void not_so(void **state)
{
	(void)state;
	assert_int_equal(ks_answer_not(KS_YES), KS_NO);
	assert_int_equal(ks_answer_not(KS_NO), KS_YES);
	assert_int_equal(ks_answer_not(KS_UNKNOWN), KS_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(zero_is_unknown),
		cmocka_unit_test(both),
		cmocka_unit_test(not_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
