/* SPDX-License-Identifier: MIT */
/* Lines of a kernel config: quotes, comments, twins, and names that only begin alike. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/kconfig.h"

/* CONFIG sets CONFIG_X to EXPECTED; NULL: not at all. */
static void expect(struct ks_view config, const char *expected)
{
	KS_BUF copy = { 0 };
	KS_STRING value = (char *)(uintptr_t)1;

	/* In memory of its own, so that a byte read too many is seen. */
	assert_ok(ks_buf_append(&copy, config.data, config.len, &error));
	assert_ok(ks_kconfig_get(ks_buf_view(&copy), "CONFIG_X", &value, &error));
	if (expected)
		assert_non_null(value);
	else
		assert_null(value);
	if (expected)
		assert_string_equal(value, expected);
}

static void expect_text(const char *config, const char *expected)
{
	expect(text_view(config), expected);
}

static void values_of_all_kinds(void **state)
{
	(void)state;
	expect_text("CONFIG_X=y\n", "y");
	expect_text("CONFIG_X=m\n", "m");
	expect_text("CONFIG_X=0x1000\n", "0x1000");
	expect_text("CONFIG_X=\"sha512\"\n", "sha512");
	expect_text("CONFIG_X=sha512\n", "sha512");
	expect_text("CONFIG_X=\n", "");
	expect_text("CONFIG_X=\"\"\n", "");
	expect_text("CONFIG_X=\"a b=c\"\n", "a b=c");
	expect_text("CONFIG_X=a=b\n", "a=b");
}

static void quotes_and_backslashes(void **state)
{
	(void)state;
	expect_text("CONFIG_X=\"a\\\"b\\\\c\"\n", "a\"b\\c");
	expect_text("CONFIG_X=\"\\\"\"\n", "\"");
	expect_text("CONFIG_X=\"\\\\\"\n", "\\");
	expect_text("CONFIG_X=\"\n", "\"");
	expect_text("CONFIG_X=\"open\n", "\"open");
	expect_text("CONFIG_X=shut\"\n", "shut\"");
	expect_text("CONFIG_X=a\\b\n", "a\\b");
}

static void lines_among_others(void **state)
{
	(void)state;
	expect_text("# Automatically generated\n\nCONFIG_A=y\nCONFIG_X=m\nCONFIG_Z=y\n", "m");
	expect_text("CONFIG_A=y\nCONFIG_X=m", "m");
	expect_text("CONFIG_X=m", "m");
	expect_text("CONFIG_X=m\r\nCONFIG_Y=y\r\n", "m");
	expect_text("CONFIG_X=\"m\"\r\n", "m");
	expect_text("\n\n\nCONFIG_X=m\n\n", "m");
}

static void what_does_not_set_it(void **state)
{
	(void)state;
	expect(ks_view_of(NULL, 0), NULL);
	expect_text("", NULL);
	expect_text("\n", NULL);
	expect_text("# CONFIG_X is not set\n", NULL);
	expect_text("#CONFIG_X=y\n", NULL);
	expect_text("# CONFIG_X=y\n", NULL);
	expect_text("CONFIG_XY=y\n", NULL);
	expect_text("CONFIG_=y\n", NULL);
	expect_text("MY_CONFIG_X=y\n", NULL);
	expect_text("CONFIG_X\n", NULL);
	expect_text("CONFIG_X", NULL);
	expect_text("CONFIG_", NULL);
	expect_text("config_x=y\n", NULL);
	expect_text("CONFIG_X y\n", NULL);
}

static void the_last_line_counts(void **state)
{
	(void)state;
	expect_text("CONFIG_X=1\nCONFIG_Y=2\nCONFIG_X=3\n", "3");
	expect_text("CONFIG_X=1\nCONFIG_X=\n", "");
	expect_text("CONFIG_X=1\nCONFIG_XY=2\n", "1");
	expect_text("# CONFIG_X is not set\nCONFIG_X=1\n", "1");
}

/* For the kernel's own reader this line says "n" as much as any other says "y". */
static void a_last_line_that_unsets_it_counts_too(void **state)
{
	(void)state;
	expect_text("CONFIG_X=1\n# CONFIG_XY is not set\n", "1");
	expect_text("CONFIG_X=1\n# CONFIG_X is not set\n", NULL);
}

static void every_cut_of_a_config(void **state)
{
	static const char config[] = "CONFIG_W=y\r\nCONFIG_X=\"a\\\"b\"\r\n";

	(void)state;
	for (size_t len = 0; len < sizeof(config) - 1; len++) {
		KS_BUF copy = { 0 };
		KS_STRING value = NULL;

		assert_ok(ks_buf_append(&copy, config, len, &error));
		assert_ok(ks_kconfig_get(ks_buf_view(&copy), "CONFIG_X", &value, &error));
		assert_int_equal(value != NULL, len >= strlen("CONFIG_W=y\r\nCONFIG_X="));
	}
}

static void zero_bytes_end_nothing_but_the_value(void **state)
{
	(void)state;
	expect(ks_view_of("\0\nCONFIG_X=a\0b\n", 15), "a");
	expect(ks_view_of("CONFIG_X=\"a\0b\"\n", 15), "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_all_kinds),
		cmocka_unit_test(quotes_and_backslashes),
		cmocka_unit_test(lines_among_others),
		cmocka_unit_test(what_does_not_set_it),
		cmocka_unit_test(the_last_line_counts),
		cmocka_unit_test(a_last_line_that_unsets_it_counts_too),
		cmocka_unit_test(every_cut_of_a_config),
		cmocka_unit_test(zero_bytes_end_nothing_but_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
