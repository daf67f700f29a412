/* SPDX-License-Identifier: MIT */
/* Installed kernels: merged and unmerged /usr, links, configs in five places, and whose modules. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "core/kernel.h"

static char root[PATH_MAX + 32];

static int kernel_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	return failed || mkdir(root, 0755);
}

#define kernel_test(name) cmocka_unit_test_setup_teardown(name, kernel_make, scratch_remove)

static void expect(const char *version, const char *dir)
{
	KS_KERNEL kernel = { 0 };

	assert_ok(ks_kernel_find(&kernel, root, version, &error));
	assert_string_equal(kernel.version, version);
	assert_string_equal(kernel.dir, dir);
}

static void expect_none(const char *version, const char *says)
{
	struct ks_kernel kernel = { .version = (char *)(uintptr_t)1 };

	assert_fails(ks_kernel_find(&kernel, root, version, &error), KS_ERR_MISSING);
	assert_says(says);
	assert_null(kernel.version);
	assert_null(kernel.dir);
}

static void expect_versions(const char *wanted)
{
	KS_STRINGS versions = { 0 };
	char list[512];

	assert_ok(ks_kernel_versions(root, &versions, &error));
	ks_strings_join(&versions, list, sizeof(list));
	assert_string_equal(list, wanted);
}

static void a_merged_usr(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/usr/lib/modules/6.1.0-9-amd64"));
	make_dirs(in_scratch("root/usr/lib/modules/6.12"));
	make_link("usr/lib", in_scratch("root/lib"));
	expect("6.12", "/usr/lib/modules/6.12");
	expect("6.1.0-9-amd64", "/usr/lib/modules/6.1.0-9-amd64");
	expect_versions("6.1.0-9-amd64, 6.12");
}

static void a_merged_usr_by_an_absolute_link(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/usr/lib/modules/6.12"));
	make_link("/usr/lib", in_scratch("root/lib"));
	expect("6.12", "/usr/lib/modules/6.12");
	expect_versions("6.12");
}

static void an_unmerged_usr(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/lib/modules/6.1"));
	make_dirs(in_scratch("root/usr/lib/modules/6.12"));
	make_dirs(in_scratch("root/lib/modules/both"));
	make_dirs(in_scratch("root/usr/lib/modules/both"));
	expect("6.1", "/lib/modules/6.1");
	expect("6.12", "/usr/lib/modules/6.12");
	expect("both", "/lib/modules/both");
	expect_versions("6.1, 6.12, both");
}

static void no_kernel_at_all(void **state)
{
	(void)state;
	expect_versions("");
	expect_none("6.1", "none");
	make_dirs(in_scratch("root/lib/modules"));
	expect_versions("");
	expect_none("6.1", "none");
}

static void what_is_no_kernel(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/lib/modules/6.1"));
	make_dirs(in_scratch("root/lib/modules/.hidden"));
	make_dirs(in_scratch("root/etc"));
	write_text(in_scratch("root/lib/modules/file"), "");
	make_link("nowhere", in_scratch("root/lib/modules/dangling"));
	make_link("file", in_scratch("root/lib/modules/link-to-file"));
	expect_versions("6.1");
	expect_none("6.2", "6.1");
	expect_none("6", "6.1");
	expect_none("file", "6.1");
	expect_none("dangling", "6.1");
	expect_none("link-to-file", "6.1");
	expect_none("", "6.1");
	expect_none(".", "6.1");
	expect_none("..", "6.1");
	expect_none(".hidden", "6.1");
	expect_none("../../etc", "6.1");
	expect_none("6.1/", "6.1");
	expect_none("/6.1", "6.1");
}

static void a_linked_version_is_one_of_its_own(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/lib/modules/6.1"));
	make_link("6.1", in_scratch("root/lib/modules/stable"));
	expect("stable", "/lib/modules/6.1");
	expect_versions("6.1, stable");
}

/* Every link is followed inside the root, also when versions are listed. */
static void links_between_versions_stay_in_the_root(void **state)
{
	(void)state;
	make_dirs(in_scratch("root/lib/modules/6.1"));
	make_dirs(in_scratch("outside"));
	make_link("/lib/modules/6.1", in_scratch("root/lib/modules/absolute"));
	make_link(in_scratch("outside"), in_scratch("root/lib/modules/escape"));
	expect("absolute", "/lib/modules/6.1");
	expect_none("escape", "6.1");
	expect_versions("6.1, absolute");
}

static void versions_are_added(void **state)
{
	KS_STRINGS versions = { 0 };

	(void)state;
	make_dirs(in_scratch("root/lib/modules/6.1"));
	assert_ok(ks_strings_add(&versions, "7", &error));
	assert_ok(ks_kernel_versions(root, &versions, &error));
	assert_int_equal(versions.count, 2);
	assert_string_equal(versions.item[0], "6.1");
}

static void a_root_that_is_none(void **state)
{
	KS_STRINGS versions = { 0 };
	struct ks_kernel kernel;

	(void)state;
	snprintf(root, sizeof(root), "%s/no-root", scratch);
	assert_false(ks_kernel_find(&kernel, root, "6.1", &error));
	(void)!ks_kernel_versions(root, &versions, &error);
	assert_int_equal(versions.count, 0);
}

/* --- configs -------------------------------------------------------------------------------- */

#define MODULES "root/lib/modules/6.1"

static bool runs;

static void expect_config(const char *value, const char *file)
{
	KS_KERNEL kernel = { 0 };
	KS_STRING there = NULL;
	KS_STRING where = NULL;

	assert_ok(ks_kernel_find(&kernel, root, "6.1", &error));
	assert_false(kernel.is_running);
	kernel.is_running = runs;
	assert_ok(ks_kernel_config(&kernel, root, "CONFIG_X", &there, &where, &error));
	if (!value) {
		assert_null(there);
		assert_null(where);
		return;
	}
	assert_non_null(there);
	assert_string_equal(there, value);
	assert_string_equal(where, file);
}

static void configs_in_their_order(void **state)
{
	(void)state;
	make_dirs(in_scratch(MODULES));
	expect_config(NULL, NULL);
	write_text(in_scratch("root/boot/config-6.1"), "CONFIG_X=\"boot\"\n");
	expect_config("boot", "/boot/config-6.1");
	write_text(in_scratch(MODULES "/config"), "CONFIG_X=own\n");
	expect_config("own", "/lib/modules/6.1/config");
	write_text(in_scratch(MODULES "/build/include/config/auto.conf"), "CONFIG_X=auto\n");
	expect_config("auto", "/lib/modules/6.1/build/include/config/auto.conf");
	write_text(in_scratch(MODULES "/build/.config"), "CONFIG_X=\"build\"\n");
	expect_config("build", "/lib/modules/6.1/build/.config");
}

static void the_config_of_the_running_kernel(void **state)
{
	static const char path[] = "root/proc/config.gz", text[] = "CONFIG_X=y\n";
	KS_BUF packed = { 0 };

	(void)state;
	assert_ok(ks_codec_gzip.pack(ks_view_of(text, sizeof(text) - 1), &packed, &error));
	write_text(in_scratch(MODULES "/build/.config"), "CONFIG_X=build\n");
	write_file(in_scratch("%s", path), ks_buf_view(&packed));
	expect_config("build", "/lib/modules/6.1/build/.config");
	runs = true;
	expect_config("y", "/proc/config.gz");
	write_text(in_scratch("%s", path), "\x1f\x8b no gzip");
	expect_config("build", "/lib/modules/6.1/build/.config");
	assert_int_equal(remove(in_scratch("%s", path)), 0);
	expect_config("build", "/lib/modules/6.1/build/.config");
	runs = false;
}

static void a_config_without_the_line_is_passed_over(void **state)
{
	(void)state;
	write_text(in_scratch(MODULES "/build/.config"), "CONFIG_Y=y\n# CONFIG_X is not set\n");
	write_text(in_scratch("root/boot/config-6.1"), "CONFIG_X=\n");
	expect_config("", "/boot/config-6.1");
	write_text(in_scratch("root/boot/config-6.1"), "");
	expect_config(NULL, NULL);
}

static void configs_behind_links(void **state)
{
	(void)state;
	make_dirs(in_scratch(MODULES));
	make_link("/usr/src/linux-headers-6.1", in_scratch(MODULES "/build"));
	write_text(in_scratch("root/usr/src/linux-headers-6.1/.config"), "CONFIG_X=headers\n");
	expect_config("headers", "/lib/modules/6.1/build/.config");
}

static void configs_that_cannot_be_read(void **state)
{
	(void)state;
	make_dirs(in_scratch(MODULES "/build/.config"));
	make_link("loop", in_scratch(MODULES "/loop"));
	make_link("loop", in_scratch(MODULES "/config"));
	write_text(in_scratch("root/boot/config-6.1"), "CONFIG_X=boot\n");
	expect_config("boot", "/boot/config-6.1");
}

static void expect_reader(const char *config, enum ks_kernel_reader wanted)
{
	enum ks_kernel_reader reader = 77;
	KS_KERNEL kernel = { 0 };

	write_text(in_scratch(MODULES "/config"), config);
	assert_ok(ks_kernel_find(&kernel, root, "6.1", &error));
	assert_ok(ks_kernel_reads(&kernel, root, &reader, &error));
	assert_int_equal(reader, wanted);
}

#define DECOMPRESS "CONFIG_MODULES=y\nCONFIG_MODULE_DECOMPRESS=y\n"

static void what_kernels_decompress(void **state)
{
	(void)state;
	expect_reader("", KS_READER_UNKNOWN);
	expect_reader("CONFIG_MODULE_DECOMPRESS=y\n", KS_READER_UNKNOWN);
	expect_reader("CONFIG_MODULES=y\n", KS_READER_NONE);
	expect_reader("CONFIG_MODULES=y\nCONFIG_MODULE_COMPRESS_XZ=y\n", KS_READER_NONE);
	expect_reader("CONFIG_MODULES=y\n# CONFIG_MODULE_DECOMPRESS is not set\n"
		      "CONFIG_MODULE_COMPRESS_ZSTD=y\n",
		      KS_READER_NONE);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_GZIP=y\n", KS_READER_GZIP);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_XZ=y\nCONFIG_XZ_DEC_X86=y\n",
		      KS_READER_XZ);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_XZ=y\n# CONFIG_XZ_DEC_X86 is not set\n",
		      KS_READER_XZ_PLAIN);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_XZ=y\n", KS_READER_XZ_PLAIN);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_ZSTD=y\n", KS_READER_ZSTD);
	expect_reader(DECOMPRESS "CONFIG_MODULE_COMPRESS_XZ=n\n", KS_READER_NONE);
	expect_reader(DECOMPRESS "# CONFIG_MODULE_COMPRESS_XZ is not set\n", KS_READER_NONE);
}

/* --- which ---------------------------------------------------------------------------------- */

static void the_series_of_a_version(void **state)
{
	static const struct {
		const char *version;
		int series;
	} cases[] = {
		{ "6.12.94+deb13-cloud-amd64", 6012 },
		{ "5.10.0-42-amd64", 5010 },
		{ "7.2", 7002 },
		{ "6.1-rc8-next", 6001 },
		{ "4.19.0", 4019 },
		{ "10.0.1", 10000 },
		{ "vanilla", 0 },
		{ "6", 0 },
		{ "6.", 0 },
		{ "", 0 },
		{ "linux-6.1", 0 },
		{ "2147483647.1", 0 },
		{ "6.1000", 0 },
		{ "99999999999999999999999.1", 0 },
		{ "-6.1", 0 },
		{ "6.-1", 0 },
		{ " 6.1", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(ks_kernel_series(cases[i].version), cases[i].series);
}

/* --- whose ---------------------------------------------------------------------------------- */

static void the_kernel_s_own_directory(void **state)
{
	static const char *const own[] = {
		"/lib/modules/6.1/kernel/x.ko",
		"/usr/lib/modules/6.1/kernel/x.ko",
		"/usr/lib/modules/6.1/kernel/drivers/net/x.ko.xz",
	};
	static const char *const others[] = {
		"/lib/modules/6.1/updates/x.ko",
		"/lib/modules/6.1/extra/kernel/x.ko",
		"/lib/modules/6.1/kernel.ko",
		"/lib/modules/6.1/kernels/x.ko",
		"/lib/modules/kernel/x.ko",
		"/lib/modules/6.1",
		"/lib/modules/",
		"/lib/modules",
		"/lib",
		"/",
		"/home/lib/modules/6.1/kernel/x.ko",
		"/usr/usr/lib/modules/6.1/kernel/x.ko",
		"/local/lib/modules/6.1/kernel/x.ko",
		"/usr/local/lib/modules/6.1/kernel/x.ko",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		assert_true(ks_kernel_owns(own[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(ks_kernel_owns(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(a_merged_usr),
		kernel_test(a_merged_usr_by_an_absolute_link),
		kernel_test(an_unmerged_usr),
		kernel_test(no_kernel_at_all),
		kernel_test(what_is_no_kernel),
		kernel_test(a_linked_version_is_one_of_its_own),
		kernel_test(links_between_versions_stay_in_the_root),
		kernel_test(versions_are_added),
		kernel_test(a_root_that_is_none),
		kernel_test(configs_in_their_order),
		kernel_test(the_config_of_the_running_kernel),
		kernel_test(a_config_without_the_line_is_passed_over),
		kernel_test(configs_behind_links),
		kernel_test(configs_that_cannot_be_read),
		kernel_test(what_kernels_decompress),
		cmocka_unit_test(the_series_of_a_version),
		kernel_test(the_kernel_s_own_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
