/* SPDX-License-Identifier: MIT */
/* Which files a request means: whole kernels, directories and names, with links of every kind. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/locate.h"

#define DIR "/usr/lib/modules/6.1"
#define MODULES "root" DIR

static char root[PATH_MAX + 32];
static struct ks_kernel kernel;

static int locate_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	make_dirs(in_scratch(MODULES));
	make_link("usr/lib", in_scratch("root/lib"));
	return failed || !ks_kernel_find(&kernel, root, "6.1", &error);
}

static int locate_remove(void **state)
{
	ks_kernel_free(&kernel);
	return scratch_remove(state);
}

#define locate_test(name) cmocka_unit_test_setup_teardown(name, locate_make, locate_remove)

static void write_files(const char *const *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		write_text(in_scratch("%s", path[i]), "");
}

#define WRITE_FILES(...)                                  \
	write_files((const char *const[]){ __VA_ARGS__ }, \
		    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void make_tree(void)
{
	WRITE_FILES(MODULES "/kernel/a.ko", MODULES "/kernel/drivers/b-c.ko.xz",
		    MODULES "/kernel/drivers/deep/er/d.ko.zst", MODULES "/extra/e.ko.gz",
		    MODULES "/updates/dkms/f_g.ko", MODULES "/updates/a.ko",
		    MODULES "/misc/readme.txt", MODULES "/misc/x.ko.bz2", MODULES "/misc/ko",
		    MODULES "/misc/h.ko.xz.tmp", MODULES "/build/i.ko", MODULES "/misc/source/j.ko",
		    MODULES "/misc/.ko");
	write_text(in_scratch(MODULES "/modules.order"),
		   "kernel/a.ko\nkernel/drivers/deep/er/d.ko\nkernel/drivers/b-c.ko\nkernel/no.ko");
}

static struct ks_locate request(void)
{
	return (struct ks_locate){ .load = { .root = root, .max_size = 1 << 20 },
				   .kernel = &kernel,
				   .jobs = 2 };
}

/* The paths, those below DIR without it, '+' before the ones in tree and '!' before the chosen. */
static void expect(const struct ks_locate *r, const char *wanted)
{
	KS_MODULES modules = { 0 };
	KS_STRINGS lines = { 0 };
	size_t out_of_tree = 0;
	char text[4096];

	assert_ok(ks_locate(r, &modules, &error));
	for (size_t i = 0; i < modules.count; i++) {
		const struct ks_found *found = &modules.item[i];
		KS_STRING line = NULL;
		size_t skip = strncmp(found->path, DIR "/", strlen(DIR "/")) ? 0 : strlen(DIR "/");

		assert_ok(ks_string_print(&line, &error, "%s%s%s", found->in_tree ? "+" : "",
					  found->by_choice ? "!" : "", found->path + skip));
		assert_ok(ks_strings_add(&lines, line, &error));
		out_of_tree += !found->in_tree;
		assert_true(!i || strcmp(modules.item[i - 1].path, found->path) < 0);
	}
	ks_strings_join(&lines, text, sizeof(text));
	assert_string_equal(text, wanted);
	assert_int_equal(modules.out_of_tree, out_of_tree);
}

static void cannot(const struct ks_locate *r, enum ks_code code, const char *says)
{
	struct ks_modules modules = { .count = 7 };

	assert_fails(ks_locate(r, &modules, &error), code);
	assert_says(says);
	assert_int_equal(modules.count, 0);
	assert_null(modules.item);
}

/* WANTED is found, and there is one fault, which says SAYS. */
static void expect_fault(const struct ks_locate *r, const char *wanted, const char *says)
{
	KS_MODULES modules = { 0 };

	expect(r, wanted);
	assert_ok(ks_locate(r, &modules, &error));
	assert_int_equal(modules.faults.count, 1);
	if (!strstr(modules.faults.item[0], says))
		fail_msg("\"%s\" does not say \"%s\"", modules.faults.item[0], says);
}

static void out_of_tree_is_what_modules_order_does_not_name(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_tree();
	expect(&r, "extra/e.ko.gz, misc/.ko, updates/a.ko, updates/dkms/f_g.ko");
}

static void all_of_a_kernel(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_tree();
	r.in_tree = true;
	expect(&r, "extra/e.ko.gz, +kernel/a.ko, +kernel/drivers/b-c.ko.xz, "
		   "+kernel/drivers/deep/er/d.ko.zst, misc/.ko, updates/a.ko, updates/dkms/f_g.ko");
}

static void a_kernel_without_modules(void **state)
{
	struct ks_locate r = request();

	(void)state;
	expect(&r, "");
	write_text(in_scratch(MODULES "/modules.order"), "");
	expect(&r, "");
}

static void an_order_of_odd_lines(void **state)
{
	struct ks_locate r = request();

	(void)state;
	WRITE_FILES(MODULES "/kernel/a.ko", MODULES "/kernel/ab.ko", MODULES "/kernel/b.ko.xz");
	write_text(in_scratch(MODULES "/modules.order"), "\n\nkernel/a.ko.b\nkernel/b.ko\n\n");
	expect(&r, "kernel/a.ko, kernel/ab.ko");
	write_text(in_scratch(MODULES "/modules.order"), "kernel/ab.ko\nkernel/b.ko.xz");
	expect(&r, "kernel/a.ko");
}

/* --- without modules.order ------------------------------------------------------------------ */

static void write_module(const char *path, bool in_tree)
{
	KS_BUF module = { 0 };

	put_module(&module, "6.1", in_tree);
	write_file(path, ks_buf_view(&module));
}

static void without_an_order_the_modules_are_asked(void **state)
{
	struct ks_locate r = request();

	(void)state;
	write_module(in_scratch(MODULES "/kernel/own.ko"), true);
	write_module(in_scratch(MODULES "/kernel/foreign.ko"), false);
	write_module(in_scratch(MODULES "/updates/override.ko"), true);
	write_module(in_scratch(MODULES "/extra/own.ko"), true);
	write_module(in_scratch(MODULES "/updates-not/own.ko"), true);
	write_text(in_scratch(MODULES "/kernel/junk.ko"), "junk");
	write_text(in_scratch(MODULES "/kernel/liar.ko.xz"), "\177ELF");
	for (r.jobs = 1; r.jobs < 20; r.jobs += 6) {
		r.in_tree = false;
		expect(&r, "kernel/foreign.ko, kernel/junk.ko, kernel/liar.ko.xz, "
			   "updates/override.ko");
		r.in_tree = true;
		expect(&r, "+extra/own.ko, kernel/foreign.ko, kernel/junk.ko, kernel/liar.ko.xz, "
			   "+kernel/own.ko, +updates-not/own.ko, updates/override.ko");
	}
}

static void what_is_too_large_is_reported_not_passed_over(void **state)
{
	struct ks_locate r = request();

	(void)state;
	write_module(in_scratch(MODULES "/kernel/own.ko"), true);
	r.load.max_size = 100;
	expect(&r, "kernel/own.ko");
}

static void an_order_that_cannot_be_read(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_dirs(in_scratch(MODULES "/modules.order"));
	cannot(&r, KS_ERR_INPUT, "modules.order");
}

/* --- links ---------------------------------------------------------------------------------- */

static void linked_modules_are_found_once(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_tree();
	make_link("../extra/e.ko.gz", in_scratch(MODULES "/weak-updates/e.ko.gz"));
	make_link("/lib/modules/6.1/kernel/a.ko", in_scratch(MODULES "/weak-updates/a.ko"));
	make_link("/lib/modules/5.10/extra/old.ko", in_scratch(MODULES "/weak-updates/old.ko"));
	write_text(in_scratch("root/usr/lib/modules/5.10/extra/old.ko"), "");
	expect(&r, "/usr/lib/modules/5.10/extra/old.ko, extra/e.ko.gz, misc/.ko, updates/a.ko, "
		   "updates/dkms/f_g.ko");
}

static void links_to_nowhere_are_reported(void **state)
{
	struct ks_locate r = request();

	(void)state;
	write_text(in_scratch(MODULES "/modules.order"), "");
	write_text(in_scratch("outside.ko"), "");
	make_link("nowhere.ko", in_scratch(MODULES "/extra/dangling.ko"));
	make_link("loop.ko", in_scratch(MODULES "/extra/loop.ko"));
	make_link(in_scratch("outside.ko"), in_scratch(MODULES "/extra/outside.ko"));
	make_link("nowhere", in_scratch(MODULES "/extra/no-module"));
	expect(&r, "extra/dangling.ko, extra/loop.ko, extra/outside.ko");
}

static void linked_directories(void **state)
{
	struct ks_locate r = request();

	(void)state;
	write_text(in_scratch(MODULES "/modules.order"), "");
	WRITE_FILES("root/opt/vendor/v.ko", "root/opt/vendor/sub/w.ko", MODULES "/extra/e.ko",
		    "root/usr/src/headers/h.ko");
	make_link("/opt/vendor", in_scratch(MODULES "/vendor"));
	make_link("/usr/src/headers", in_scratch(MODULES "/build"));
	make_link("build", in_scratch(MODULES "/source"));
	expect(&r, "/opt/vendor/sub/w.ko, /opt/vendor/v.ko, extra/e.ko");
}

static void loops_of_directories_end(void **state)
{
	struct ks_locate r = request();

	(void)state;
	write_text(in_scratch(MODULES "/modules.order"), "");
	WRITE_FILES(MODULES "/extra/e.ko", "root/opt/one/1.ko", "root/opt/two/2.ko");
	make_link("..", in_scratch(MODULES "/extra/up"));
	make_link(".", in_scratch(MODULES "/extra/self"));
	make_link("/opt/one", in_scratch(MODULES "/one"));
	make_link("/opt/two", in_scratch("root/opt/one/two"));
	make_link("/opt/one", in_scratch("root/opt/two/one"));
	expect(&r, "/opt/one/1.ko, /opt/two/2.ko, extra/e.ko");
}

/* --- one directory -------------------------------------------------------------------------- */

static void the_files_of_a_directory(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_tree();
	WRITE_FILES("root/d/b.ko", "root/d/a.ko.zst", "root/d/readme", "root/d/sub/c.ko",
		    "root/other/x.ko");
	make_link("../other/x.ko", in_scratch("root/d/x.ko"));
	make_link("sub", in_scratch("root/d/linked.ko"));
	make_link("nowhere", in_scratch("root/d/y.ko"));
	r.dir = "/d";
	expect(&r, "/d/a.ko.zst, /d/b.ko, /d/y.ko, /other/x.ko");
	r.kernel = NULL;
	r.dir = "d//./";
	expect(&r, "/d/a.ko.zst, /d/b.ko, /d/y.ko, /other/x.ko");
	r.dir = "/other";
	expect(&r, "/other/x.ko");
	make_dirs(in_scratch("root/empty"));
	r.dir = "/empty";
	expect(&r, "");
}

static void the_files_of_the_root_itself(void **state)
{
	struct ks_locate r = request();

	(void)state;
	WRITE_FILES("root/top.ko");
	r.dir = "/";
	expect(&r, "/top.ko");
}

static void a_directory_that_is_not_there(void **state)
{
	struct ks_locate r = request();
	struct ks_modules modules;

	(void)state;
	write_text(in_scratch("root/file.ko"), "");
	r.dir = "/file.ko";
	assert_false(ks_locate(&r, &modules, &error));
	assert_says("/file.ko");
	r.dir = "/missing";
	cannot(&r, KS_ERR_SYSTEM, "/missing");
}

/* What lies behind it may be modules: passing it over in silence would be a claim. */
static void a_link_that_cannot_be_followed_is_said(void **state)
{
	struct ks_locate r = request();
	char target[NAME_MAX + 2];

	(void)state;
	write_text(in_scratch(MODULES "/extra/a.ko"), "");
	make_link("nowhere", in_scratch(MODULES "/gone"));
	make_link("loop", in_scratch(MODULES "/loop"));
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	make_link(target, in_scratch(MODULES "/odd"));
	expect_fault(&r, "extra/a.ko", DIR "/odd: ");
}

/* --- names ---------------------------------------------------------------------------------- */

static struct ks_locate request_for(char *const *names, size_t n)
{
	struct ks_locate r = request();

	r.name = names;
	r.names = n;
	return r;
}

static void expect_named(const char *name, const char *wanted)
{
	char copy[512];
	struct ks_locate r = request_for((char *[]){ copy }, 1);

	snprintf(copy, sizeof(copy), "%s", name);
	expect(&r, wanted);
}

static void names_of_files(void **state)
{
	(void)state;
	make_tree();
	expect_named("e", "!extra/e.ko.gz");
	expect_named("f_g", "!updates/dkms/f_g.ko");
	expect_named("f-g", "!updates/dkms/f_g.ko");
	expect_named("b_c", "+!kernel/drivers/b-c.ko.xz");
	expect_named("b-c", "+!kernel/drivers/b-c.ko.xz");
	expect_named("a", "+!kernel/a.ko, !updates/a.ko");
}

static void names_that_modprobe_knows(void **state)
{
	(void)state;
	make_tree();
	write_index(in_scratch(MODULES "/modules.dep.bin"), "a", "updates/a.ko:");
	expect_named("a", "!updates/a.ko");
	expect_named("e", "!extra/e.ko.gz");
	write_index(in_scratch(MODULES "/modules.dep.bin"), "b_c",
		    "kernel/drivers/b-c.ko.xz: x.ko");
	expect_named("b-c", "+!kernel/drivers/b-c.ko.xz");
	expect_named("a", "+!kernel/a.ko, !updates/a.ko");
}

static void paths(void **state)
{
	(void)state;
	make_tree();
	expect_named("/lib/modules/6.1/kernel/a.ko", "+!kernel/a.ko");
	expect_named("lib/modules/6.1/extra/../updates/a.ko", "!updates/a.ko");
	write_text(in_scratch("root/top.ko"), "");
	expect_named("top.ko", "!/top.ko");
	expect_named("/missing.ko", "!/missing.ko");
	write_text(in_scratch("root/home/no-module"), "");
	expect_named("/home/no-module", "!/home/no-module");
	make_link("nowhere", in_scratch("root/dangling.ko"));
	expect_named("/dangling.ko", "!/dangling.ko");
}

static void paths_need_no_kernel(void **state)
{
	char *names[] = { (char[]){ "/top.ko" } };
	struct ks_locate r = request_for(names, 1);

	(void)state;
	r.kernel = NULL;
	write_text(in_scratch("root/top.ko"), "");
	expect(&r, "!/top.ko");
}

static void several_names_are_sorted_and_found_once(void **state)
{
	char *names[] = { (char[]){ "f-g" }, (char[]){ DIR "/extra/e.ko.gz" }, (char[]){ "f_g" },
			  (char[]){ "e" } };
	struct ks_locate r = request_for(names, 4);

	(void)state;
	make_tree();
	expect(&r, "!extra/e.ko.gz, !updates/dkms/f_g.ko");
}

static void names_that_nothing_answers_to(void **state)
{
	static const char *const names[] = { "nothing", "f", "f_g_", "f_", "readme" };

	(void)state;
	make_tree();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char copy[64];
		struct ks_locate r = request_for((char *[]){ copy }, 1);

		snprintf(copy, sizeof(copy), "%s", names[i]);
		expect_fault(&r, "", names[i]);
		expect_fault(&r, "", "e, f_g");
	}
}

static void a_name_where_nothing_is_out_of_tree(void **state)
{
	char *names[] = { (char[]){ "nothing" } };
	struct ks_locate r = request_for(names, 1);

	(void)state;
	write_text(in_scratch(MODULES "/modules.order"), "");
	expect_fault(&r, "", "none");
}

/* Whoever reads it will say what is wrong with it. */
static void paths_that_lead_nowhere_are_passed_on(void **state)
{
	char *names[] = { (char[]){ "/no/such/x.ko" }, (char[]){ "/loop.ko" }, (char[]){ "e" } };
	struct ks_locate r = request_for(names, 3);

	(void)state;
	make_tree();
	make_link("loop.ko", in_scratch("root/loop.ko"));
	expect(&r, "!/loop.ko, !/no/such/x.ko, !extra/e.ko.gz");
}

static void one_bad_name_stops_nothing(void **state)
{
	char *names[] = { (char[]){ "e" }, (char[]){ "nothing" }, (char[]){ "f_g" } };
	struct ks_locate r = request_for(names, 3);

	(void)state;
	make_tree();
	expect_fault(&r, "!extra/e.ko.gz, !updates/dkms/f_g.ko", "nothing");
}

/* 1: it can be read after all; 2: nothing was found; 3: that was not said. */
static int locate_in_the_dark(void *arg)
{
	KS_MODULES modules = { 0 };

	if (!access(in_scratch(MODULES "/updates/dkms"), R_OK))
		return 1;
	if (!ks_locate(arg, &modules, &error) || modules.count != 3)
		return 2;
	return modules.faults.count == 1 && strstr(modules.faults.item[0], "/updates/dkms: ") ? 0 :
												3;
}

static void a_directory_that_may_not_be_read(void **state)
{
	struct ks_locate r = request();

	(void)state;
	make_tree();
	assert_int_equal(chmod(in_scratch(MODULES "/updates/dkms"), 0), 0);
	assert_int_equal(run_as_nobody(locate_in_the_dark, &r), 0);
	assert_int_equal(chmod(in_scratch(MODULES "/updates/dkms"), 0755), 0);
}

static void what_is_a_path(void **state)
{
	(void)state;
	assert_true(ks_locate_is_path("a/b"));
	assert_true(ks_locate_is_path("/a"));
	assert_true(ks_locate_is_path("a.ko"));
	assert_true(ks_locate_is_path("a.ko.zst"));
	assert_false(ks_locate_is_path("a"));
	assert_false(ks_locate_is_path("a.xz"));
	assert_false(ks_locate_is_path("ko"));
	assert_false(ks_locate_is_path(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		locate_test(out_of_tree_is_what_modules_order_does_not_name),
		locate_test(a_link_that_cannot_be_followed_is_said),
		locate_test(all_of_a_kernel),
		locate_test(a_kernel_without_modules),
		locate_test(an_order_of_odd_lines),
		locate_test(without_an_order_the_modules_are_asked),
		locate_test(what_is_too_large_is_reported_not_passed_over),
		locate_test(an_order_that_cannot_be_read),
		locate_test(linked_modules_are_found_once),
		locate_test(links_to_nowhere_are_reported),
		locate_test(linked_directories),
		locate_test(loops_of_directories_end),
		locate_test(the_files_of_a_directory),
		locate_test(the_files_of_the_root_itself),
		locate_test(a_directory_that_is_not_there),
		locate_test(names_of_files),
		locate_test(names_that_modprobe_knows),
		locate_test(paths),
		locate_test(paths_need_no_kernel),
		locate_test(several_names_are_sorted_and_found_once),
		locate_test(names_that_nothing_answers_to),
		locate_test(a_name_where_nothing_is_out_of_tree),
		locate_test(paths_that_lead_nowhere_are_passed_on),
		locate_test(one_bad_name_stops_nothing),
		locate_test(a_directory_that_may_not_be_read),
		cmocka_unit_test(what_is_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
