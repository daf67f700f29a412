/* SPDX-License-Identifier: MIT */
/* What DKMS knows: its settings, packages and copies, and a copy made the same as its module. */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/dkms.h"

#define CONF "root/etc/dkms/framework.conf"
#define DROP_INS "root/etc/dkms/framework.conf.d"
#define TREE "root/var/lib/dkms"
#define KERNEL "6.1.0-test"

static char root[PATH_MAX + 32];
static struct ks_buf plain; /* a module, unsigned */
static struct ks_load load;

static int dkms_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	make_dirs(root);
	load = (struct ks_load){ .root = root, .max_size = 1 << 20 };
	plain = (struct ks_buf){ 0 };
	put_module(&plain, KERNEL, false);
	return failed;
}

static int dkms_remove(void **state)
{
	ks_buf_free(&plain);
	return scratch_remove(state);
}

#define dkms_test(name) cmocka_unit_test_setup_teardown(name, dkms_make, dkms_remove)

static void assert_list(const struct ks_strings *list, const char *const *wanted, size_t n)
{
	for (size_t i = 0; i < list->count && i < n; i++)
		assert_string_equal(list->item[i], wanted[i]);
	assert_int_equal(list->count, n);
}

#define ASSERT_LIST(list, ...)                                  \
	assert_list(list, (const char *const[]){ __VA_ARGS__ }, \
		    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* --- settings ------------------------------------------------------------------------------- */

/* The setting `key' is VALUE, or with NULL not set. */
static void expect(const char *value)
{
	KS_STRING found = NULL;

	assert_ok(ks_dkms_setting(root, "key", &found, &error));
	if (value)
		assert_non_null(found);
	else
		assert_null(found);
	if (value)
		assert_string_equal(found, value);
}

static void nothing_set(void **state)
{
	(void)state;
	expect(NULL);
	make_dirs(in_scratch(DROP_INS));
	expect(NULL);
	write_text(in_scratch(CONF), "");
	expect(NULL);
}

/* What bash makes of these lines, or NULL where that takes a shell to tell. */
static void assignments_as_a_shell_reads_them(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
		{ "key=/a/b", "/a/b" },
		{ "key=/a/b\n", "/a/b" },
		{ "  \tkey=/a\n", "/a" },
		{ "key=/a # comment\n", "/a" },
		{ "key=/a\t# comment\n", "/a" },
		{ "key=/a;\n", "/a" },
		{ "key=/a; other=1\n", "/a" },
		{ "key=/a#b\n", "/a#b" },
		{ "key=\"/a b\"\n", "/a b" },
		{ "key='/a b'\n", "/a b" },
		{ "key=\"/a b\" # comment\n", "/a b" },
		{ "key=\"it's\"\n", "it's" },
		{ "key='$HOME'\n", "$HOME" },
		{ "key=a=b\n", "a=b" },
		{ "key=\n", NULL },
		{ "key=\"\"\n", NULL },
		{ "key= /a\n", NULL },
		{ "# key=/a\n", NULL },
		{ "#key=/a\n", NULL },
		{ "key =/a\n", NULL },
		{ "keys=/a\n", NULL },
		{ "mykey=/a\n", NULL },
		{ "KEY=/a\n", NULL },
		{ "key=$HOME/x\n", NULL },
		{ "key=\"$HOME/x\"\n", NULL },
		{ "key=`pwd`\n", NULL },
		{ "key=a\\ b\n", NULL },
		{ "key=/a&key=/b\n", NULL },
		{ "key=/a>file\n", NULL },
		{ "key=\"/a&b\"\n", "/a&b" },
		{ "key=\"/a\"b\n", NULL },
		{ "key='/a'\"b\"\n", NULL },
		{ "key=/a'b'\n", NULL },
		{ "key=/a\"b c\"\n", NULL },
		{ "key='/a\nb'\n", NULL },
		{ "key=\"/a\n", NULL },
		{ "key=/a\nkey=/b\n", "/b" },
		{ "key=/a\nkey=$b\n", NULL },
		{ "key=/a\nkey=\n", NULL },
		{ "key=\xff\x01\n", "\xff\x01" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		KS_STRING found = NULL;

		write_text(in_scratch(CONF), rows[i].text);
		assert_ok(ks_dkms_setting(root, "key", &found, &error));
		if (strcmp(found ? found : "(none)", rows[i].value ? rows[i].value : "(none)"))
			fail_msg("row %zu: %s", i, found ? found : "(none)");
	}
}

static void drop_ins_come_last_and_in_order(void **state)
{
	(void)state;
	write_text(in_scratch(DROP_INS "/b.conf"), "key=b\n");
	expect("b");
	write_text(in_scratch(CONF), "key=main\n");
	expect("b");
	write_text(in_scratch(DROP_INS "/a.conf"), "key=a\n");
	expect("b");
	write_text(in_scratch(DROP_INS "/c d.conf"), "other=x\n");
	expect("b");
	write_text(in_scratch(DROP_INS "/d.conf.bak"), "key=d\n");
	write_text(in_scratch(DROP_INS "/d"), "key=d\n");
	write_text(in_scratch(DROP_INS "/.e.conf"), "key=e\n");
	write_text(in_scratch(DROP_INS "/conf"), "key=f\n");
	expect("b");
	assert_int_equal(unlink(in_scratch(DROP_INS "/b.conf")), 0);
	expect("a");
	write_text(in_scratch(DROP_INS "/z.conf"), "key=\n");
	expect(NULL);
}

static void settings_are_read_inside_the_root(void **state)
{
	(void)state;
	write_text(in_scratch("root/srv/inside"), "key=inside\n");
	write_text(in_scratch("srv/inside"), "key=outside\n");
	make_link("/srv/inside", in_scratch(CONF));
	expect("inside");
	make_link("../../../../../../srv/inside", in_scratch(DROP_INS "/a.conf"));
	expect("inside");
	make_link(in_scratch("srv/inside"), in_scratch(DROP_INS "/b.conf"));
	expect("inside");
}

static void settings_that_cannot_be_read(void **state)
{
	KS_STRING value = NULL;

	(void)state;
	make_dirs(in_scratch(CONF));
	assert_fails(ks_dkms_setting(root, "key", &value, &error), KS_ERR_INPUT);
	assert_says("/etc/dkms/framework.conf: ");
	assert_null(value);
	assert_int_equal(rmdir(in_scratch(CONF)), 0);
	write_text(in_scratch(DROP_INS "/big.conf"), "");
	assert_int_equal(truncate(in_scratch(DROP_INS "/big.conf"), (1 << 20) + 1), 0);
	assert_fails(ks_dkms_setting(root, "key", &value, &error), KS_ERR_INPUT);
	assert_says("/etc/dkms/framework.conf.d/big.conf: ");
	assert_int_equal(truncate(in_scratch(DROP_INS "/big.conf"), 1 << 20), 0);
	expect(NULL);
}

/* --- packages ------------------------------------------------------------------------------- */

static void add_package(const char *package)
{
	make_dirs(in_scratch("root/usr/src/%s-1", package));
	make_link(in_scratch("root/usr/src/%s-1", package) + strlen(root),
		  in_scratch(TREE "/%s/1/source", package));
}

static void what_is_no_directory_of_dkms_s(void **state)
{
	KS_STRINGS none = { 0 };

	(void)state;
	write_text(in_scratch(DROP_INS), "key=x\n");
	write_text(in_scratch(TREE), "x");
	expect(NULL);
	assert_ok(ks_dkms_packages(root, &none, &error));
	assert_ok(ks_dkms_copies(root, KERNEL, &none, &error));
	assert_int_equal(none.count, 0);
	assert_int_equal(unlink(in_scratch(TREE)), 0);
	make_dirs(in_scratch(TREE "/m/1/source"));
	write_text(in_scratch(TREE "/m/1/" KERNEL "/x86_64/module"), "x");
	make_link("1/" KERNEL "/x86_64", in_scratch(TREE "/m/kernel-" KERNEL "-x86_64"));
	assert_ok(ks_dkms_copies(root, KERNEL, &none, &error));
	assert_int_equal(none.count, 0);
}

static void packages_are_what_has_a_source(void **state)
{
	KS_STRINGS none = { 0 };
	KS_STRINGS names = { 0 };

	(void)state;
	assert_ok(ks_dkms_packages(root, &none, &error));
	assert_int_equal(none.count, 0);
	write_text(in_scratch(TREE "/mok.key"), "x");
	write_text(in_scratch(TREE "/dkms_dbversion"), "3.0.0\n");
	make_dirs(in_scratch(TREE "/empty"));
	make_dirs(in_scratch(TREE "/no-source/1/build"));
	write_text(in_scratch(TREE "/file/source"), "x");
	make_link("nowhere", in_scratch(TREE "/dangling"));
	assert_ok(ks_dkms_packages(root, &none, &error));
	assert_int_equal(none.count, 0);
	add_package("zfs");
	add_package("a b");
	add_package("\x01\xff");
	make_dirs(in_scratch(TREE "/plain/2/source"));
	make_dirs(in_scratch(TREE "/plain/1/other"));
	assert_ok(ks_dkms_packages(root, &names, &error));
	ASSERT_LIST(&names, "\x01\xff", "a b", "plain", "zfs");
}

/* "dkms status" calls such a one broken: registered it is. */
static void a_package_whose_source_is_gone(void **state)
{
	KS_STRINGS names = { 0 };

	(void)state;
	make_link("/usr/src/gone-1", in_scratch(TREE "/gone/1/source"));
	make_link("loop", in_scratch(TREE "/loop/1/loop"));
	make_link("loop", in_scratch(TREE "/loop/1/source"));
	assert_ok(ks_dkms_packages(root, &names, &error));
	ASSERT_LIST(&names, "gone", "loop");
}

/* Passing it over in silence would say that it is not there. */
static void a_package_that_cannot_be_read_is_an_error(void **state)
{
	KS_STRINGS names = { 0 };
	char target[NAME_MAX + 2];

	(void)state;
	add_package("zfs");
	make_link("loop", in_scratch(TREE "/other/loop"));
	assert_ok(ks_dkms_packages(root, &names, &error));
	ASSERT_LIST(&names, "zfs");
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	make_link(target, in_scratch(TREE "/other/1"));
	assert_fails_errno(ks_dkms_packages(root, &names, &error), ENAMETOOLONG);
	assert_says("/var/lib/dkms/other/1: ");
}

static void the_tree_is_where_the_setting_says(void **state)
{
	KS_STRINGS names = { 0 };

	(void)state;
	add_package("default");
	make_dirs(in_scratch("root/srv/dkms tree/set/1/source"));
	make_dirs(in_scratch("srv/dkms tree/outside/1/source"));
	write_text(in_scratch(CONF), "dkms_tree=\"/srv/dkms tree\"\n");
	assert_ok(ks_dkms_packages(root, &names, &error));
	ASSERT_LIST(&names, "set");
	write_text(in_scratch(CONF), "dkms_tree=/srv/none\n");
	ks_strings_free(&names);
	assert_ok(ks_dkms_packages(root, &names, &error));
	assert_int_equal(names.count, 0);
}

static int list_packages(void *arg)
{
	KS_STRINGS names = { 0 };

	(void)arg;
	if (!access(in_scratch(TREE), R_OK))
		return 1;
	if (ks_dkms_packages(root, &names, &error))
		return 2;
	return error.sys == EACCES && strstr(error.text, "/var/lib/dkms: ") ? 0 : 3;
}

static void a_tree_that_may_not_be_read(void **state)
{
	(void)state;
	make_dirs(in_scratch(TREE));
	assert_int_equal(chmod(in_scratch(TREE), 0300), 0);
	assert_int_equal(run_as_nobody(list_packages, NULL), 0);
	assert_int_equal(chmod(in_scratch(TREE), 0755), 0);
}

/* --- copies --------------------------------------------------------------------------------- */

/* TREE/PACKAGE/VERSION/KERNEL/x86_64/module/FILE */
static const char *built(const char *package, const char *version, const char *kernel,
			 const char *file)
{
	return in_scratch(TREE "/%s/%s/%s/x86_64/module/%s", package, version, kernel, file);
}

static void build(const char *package, const char *version, const char *kernel, const char *file)
{
	make_dirs(in_scratch(TREE "/%s/%s/source", package, version));
	write_text(built(package, version, kernel, file), "x");
}

/* What DKMS does when it has installed them: TREE/PACKAGE/kernel-KERNEL-ARCH -> VERSION/KERNEL/ARCH */
static void install(const char *package, const char *version, const char *kernel)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s/%s/x86_64", version, kernel);
	make_link(target, in_scratch(TREE "/%s/kernel-%s-x86_64", package, kernel));
}

static void copies_of(const char *kernel, struct ks_strings *paths)
{
	assert_ok(ks_dkms_copies(root, kernel, paths, &error));
}

static void copies_are_of_what_is_installed_for_the_kernel(void **state)
{
	KS_STRINGS here = { 0 };
	KS_STRINGS none = { 0 };

	(void)state;
	build("a", "1", KERNEL, "built-only.ko");
	build("b", "1", KERNEL, "old.ko");
	build("b", "2", KERNEL, "new.ko.xz");
	build("b", "2", KERNEL, "second.ko.zst");
	build("b", "2", KERNEL, "third.ko.gz");
	build("b", "2", KERNEL, "no-module.o");
	build("b", "2", KERNEL, "x.ko.bak");
	build("b", "2", "6.2", "other.ko");
	install("b", "2", KERNEL);
	install("b", "2", "6.2");
	copies_of(KERNEL, &here);
	ASSERT_LIST(&here, "/var/lib/dkms/b/2/" KERNEL "/x86_64/module/new.ko.xz",
		    "/var/lib/dkms/b/2/" KERNEL "/x86_64/module/second.ko.zst",
		    "/var/lib/dkms/b/2/" KERNEL "/x86_64/module/third.ko.gz");
	copies_of("6.3", &none);
	assert_int_equal(none.count, 0);
}

/* As the links go, "kernel-6.1-rc-x86_64" could be of the kernel 6.1, too. */
static void kernels_that_begin_alike(void **state)
{
	static const char *const kernels[] = { "6.1", "6.1-rc", "6.1-rc-x86_64", "6.10", "6" };

	(void)state;
	for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++) {
		build("m", "1", kernels[i], "m.ko");
		install("m", "1", kernels[i]);
	}
	for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++) {
		KS_STRINGS paths = { 0 };
		const char *wanted = built("m", "1", kernels[i], "m.ko") + strlen(root);

		copies_of(kernels[i], &paths);
		assert_int_equal(paths.count, 1);
		assert_string_equal(paths.item[0], wanted);
	}
}

static void links_that_lead_nowhere_or_elsewhere(void **state)
{
	KS_STRINGS paths = { 0 };

	(void)state;
	build("m", "1", KERNEL, "m.ko");
	write_text(in_scratch("outside/" KERNEL "/x86_64/module/m.ko"), "x");
	install("dangling", "9", KERNEL);
	make_dirs(in_scratch(TREE "/dangling/8/source"));
	make_link("1", in_scratch(TREE "/m/kernel-no-slash"));
	make_link("1/", in_scratch(TREE "/m/kernel-slash"));
	make_link("1/" KERNEL, in_scratch(TREE "/m/kernel-no-arch"));
	make_link("1/" KERNEL "/x86_64", in_scratch(TREE "/m/not-" KERNEL "-x86_64"));
	make_link(in_scratch("outside/" KERNEL "/x86_64"),
		  in_scratch(TREE "/m/kernel-absolute-x86_64"));
	make_dirs(in_scratch(TREE "/m/kernel-directory/module"));
	write_text(in_scratch(TREE "/m/kernel-file"), "x");
	copies_of(KERNEL, &paths);
	assert_int_equal(paths.count, 0);
}

/* The path is the file's own, so that it can be compared with that of an installed link to it. */
static void paths_are_canonical_and_stay_inside(void **state)
{
	KS_STRINGS paths = { 0 };

	(void)state;
	write_text(in_scratch("outside/module/evil.ko"), "x");
	write_text(in_scratch("root/srv/real/m/1/" KERNEL "/x86_64/module/m.ko"), "x");
	make_dirs(in_scratch("root/srv/real/m/1/source"));
	make_link("/srv/real", in_scratch(TREE));
	make_link("1/" KERNEL "/x86_64", in_scratch("root/srv/real/m/kernel-" KERNEL "-x86_64"));
	make_link("/../../../outside/module/evil.ko",
		  in_scratch("root/srv/real/m/1/" KERNEL "/x86_64/module/up.ko"));
	make_dirs(in_scratch("root/outside/module"));
	copies_of(KERNEL, &paths);
	assert_int_equal(paths.count, 2);
	assert_string_equal(paths.item[0], "/srv/real/m/1/" KERNEL "/x86_64/module/m.ko");
	assert_string_equal(paths.item[1], "/outside/module/evil.ko");
}

static void every_package_has_its_copies(void **state)
{
	KS_STRINGS paths = { 0 };

	(void)state;
	build("b", "1", KERNEL, "same.ko");
	install("b", "1", KERNEL);
	build("a \x01", "1", KERNEL, "same.ko");
	install("a \x01", "1", KERNEL);
	build("no-modules", "1", KERNEL, "log");
	install("no-modules", "1", KERNEL);
	copies_of(KERNEL, &paths);
	ASSERT_LIST(&paths, "/var/lib/dkms/a \x01/1/" KERNEL "/x86_64/module/same.ko",
		    "/var/lib/dkms/b/1/" KERNEL "/x86_64/module/same.ko");
}

/* --- one copy ------------------------------------------------------------------------------- */

#define INSTALLED "/lib/modules/" KERNEL "/updates/dkms/m.ko"

/* Signed by the identity N, unsigned with 0, packed as PATH's suffix says. */
static void write_module(const char *path, struct ks_view image, int n)
{
	const struct ks_codec *codec = strstr(path, ".ko.xz")  ? &ks_codec_xz :
				       strstr(path, ".ko.zst") ? &ks_codec_zstd :
				       strstr(path, ".ko.gz")  ? &ks_codec_gzip :
								 &ks_codec_none;
	KS_BUF content = { 0 };
	KS_BUF message = { 0 };
	KS_BUF packed = { 0 };

	assert_ok(ks_buf_append(&content, image.data, image.len, &error));
	if (n) {
		put_plain_message(&message, image, identity("P-256", n), "sha256");
		put_trailer(&content, ks_buf_view(&message));
	}
	assert_ok(codec->pack(ks_buf_view(&content), &packed, &error));
	write_file(path, ks_buf_view(&packed));
}

static const char *installed(const char *suffix)
{
	return in_scratch("root" INSTALLED "%s", suffix);
}

static const char *kept(const char *suffix)
{
	return in_scratch(TREE "/m/1/m.ko%s", suffix);
}

/* The pair that most tests want: installed by one key, kept by another. */
static void write_pair(const char *suffix, int installed_by, int kept_by)
{
	write_module(installed(suffix), ks_buf_view(&plain), installed_by);
	write_module(kept(suffix), ks_buf_view(&plain), kept_by);
}

static void assert_same(const char *a, const char *b)
{
	KS_BUF content = { 0 };

	read_file(a, &content);
	assert_content(b, ks_buf_view(&content));
}

static void assert_untouched(const char *path, const struct stat *before)
{
	struct stat now = stat_of(path);

	assert_true(ks_file_same(before, &now));
}

static bool renew(const char *path, const struct ks_strings *copies, bool dry_run,
		  enum ks_dkms_copy *result, const char **copy)
{
	return ks_dkms_renew(path, copies, &load, dry_run, NULL, result, copy, &error);
}

/* Renews the copy of INSTALLED + SUFFIX; the result. */
static enum ks_dkms_copy renew_one(const char *suffix, bool dry_run)
{
	KS_STRINGS copies = { 0 };
	enum ks_dkms_copy result;
	const char *copy;

	assert_ok(ks_strings_add(&copies, kept(suffix) + strlen(root), &error));
	assert_ok(renew(installed(suffix) + strlen(root), &copies, dry_run, &result, &copy));
	assert_ptr_equal(copy, copies.item[0]);
	return result;
}

static void a_copy_gets_the_signature_in_every_container(void **state)
{
	static const char *const suffixes[] = { "", ".gz", ".xz", ".zst" };

	(void)state;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		struct stat before;

		write_pair(suffixes[i], 1, 2);
		before = stat_of(installed(suffixes[i]));
		assert_int_equal(renew_one(suffixes[i], false), KS_DKMS_RENEWED);
		assert_same(installed(suffixes[i]), kept(suffixes[i]));
		assert_untouched(installed(suffixes[i]), &before);
		assert_int_equal(renew_one(suffixes[i], false), KS_DKMS_SAME);
	}
	assert_int_equal(count_entries(in_scratch(TREE "/m/1")), 4);
}

static void signatures_come_and_go(void **state)
{
	(void)state;
	write_pair("", 1, 0);
	assert_int_equal(renew_one("", false), KS_DKMS_RENEWED);
	assert_same(installed(""), kept(""));
	write_pair("", 0, 1);
	assert_int_equal(renew_one("", false), KS_DKMS_RENEWED);
	assert_content(kept(""), ks_buf_view(&plain));
}

static void what_is_the_same_is_not_touched(void **state)
{
	struct stat before;

	(void)state;
	write_pair("", 0, 0);
	before = stat_of(kept(""));
	assert_int_equal(renew_one("", false), KS_DKMS_SAME);
	assert_untouched(kept(""), &before);
}

/* With symlink_modules DKMS installs a link to its copy. */
static void the_very_same_file(void **state)
{
	KS_STRINGS copies = { 0 };
	enum ks_dkms_copy result;
	const char *copy;
	struct stat before;

	(void)state;
	write_module(kept(""), ks_buf_view(&plain), 1);
	make_link("/var/lib/dkms/m/1/m.ko", installed(""));
	before = stat_of(kept(""));
	assert_int_equal(renew_one("", false), KS_DKMS_SAME);
	assert_ok(ks_strings_add(&copies, "/var/lib/dkms/m/1/m.ko", &error));
	assert_ok(renew("/var/lib/dkms/m/1/m.ko", &copies, false, &result, &copy));
	assert_int_equal(result, KS_DKMS_SAME);
	assert_untouched(kept(""), &before);
}

static void another_build_is_left_alone(void **state)
{
	KS_BUF other = { 0 };
	struct stat before;

	(void)state;
	put_module(&other, "6.1.0-other", false);
	write_module(installed(""), ks_buf_view(&plain), 1);
	write_module(kept(""), ks_buf_view(&other), 1);
	before = stat_of(kept(""));
	assert_int_equal(renew_one("", false), KS_DKMS_DIFFERS);
	assert_untouched(kept(""), &before);
}

static void a_dry_run_writes_nothing(void **state)
{
	struct stat before;

	(void)state;
	write_pair(".xz", 1, 2);
	before = stat_of(kept(".xz"));
	assert_int_equal(renew_one(".xz", true), KS_DKMS_RENEWED);
	assert_untouched(kept(".xz"), &before);
	assert_int_equal(count_entries(in_scratch(TREE "/m/1")), 1);
}

static void mode_and_other_names_are_kept(void **state)
{
	(void)state;
	write_pair("", 1, 0);
	assert_int_equal(chmod(installed(""), 0600), 0);
	assert_int_equal(chmod(kept(""), 0640), 0);
	assert_int_equal(link(kept(""), in_scratch("other-name")), 0);
	assert_int_equal(renew_one("", false), KS_DKMS_RENEWED);
	assert_int_equal(stat_of(kept("")).st_mode & 07777, 0640);
	assert_content(in_scratch("other-name"), ks_buf_view(&plain));
}

static void the_copy_has_the_same_file_name(void **state)
{
	static const char *const others[] = { "/t/other.ko", "/t/m.ko.xz", "/t/xm.ko", "/m.ko/x" };
	KS_STRINGS copies = { 0 };
	enum ks_dkms_copy result = KS_DKMS_SAME;
	const char *copy = root;

	(void)state;
	write_module(installed(""), ks_buf_view(&plain), 1);
	assert_ok(renew(INSTALLED, &copies, false, &result, &copy));
	assert_int_equal(result, KS_DKMS_NO_COPY);
	assert_null(copy);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		write_module(in_scratch("root%s", others[i]), ks_buf_view(&plain), 0);
		assert_ok(ks_strings_add(&copies, others[i], &error));
	}
	assert_ok(renew(INSTALLED, &copies, false, &result, &copy));
	assert_int_equal(result, KS_DKMS_NO_COPY);
	assert_null(copy);
}

/* Two packages may have a module of the same name; the one that is this build counts. */
static void of_several_copies_the_same_build_counts(void **state)
{
	KS_STRINGS copies = { 0 };
	KS_BUF other = { 0 };
	enum ks_dkms_copy result;
	const char *copy;
	struct stat before;

	(void)state;
	put_module(&other, "6.1.0-other", false);
	write_module(installed(""), ks_buf_view(&plain), 1);
	write_module(in_scratch("root/a/m.ko"), ks_buf_view(&other), 0);
	write_module(in_scratch("root/b/m.ko"), ks_buf_view(&plain), 0);
	write_module(in_scratch("root/c/m.ko"), ks_buf_view(&other), 0);
	before = stat_of(in_scratch("root/a/m.ko"));
	assert_ok(ks_strings_add(&copies, "/a/m.ko", &error));
	assert_ok(ks_strings_add(&copies, "/b/m.ko", &error));
	assert_ok(ks_strings_add(&copies, "/c/m.ko", &error));
	assert_ok(renew(INSTALLED, &copies, false, &result, &copy));
	assert_int_equal(result, KS_DKMS_RENEWED);
	assert_string_equal(copy, "/b/m.ko");
	assert_same(installed(""), in_scratch("root/b/m.ko"));
	assert_untouched(in_scratch("root/a/m.ko"), &before);
}

static void cannot_renew(enum ks_code code, const char *says)
{
	KS_STRINGS copies = { 0 };
	enum ks_dkms_copy result;
	const char *copy;

	assert_ok(ks_strings_add(&copies, "/var/lib/dkms/m/1/m.ko", &error));
	assert_fails(renew(INSTALLED, &copies, false, &result, &copy), code);
	assert_int_equal(strncmp(error.text, "/var/lib/dkms/m/1/m.ko: ", 24), 0);
	assert_says(says);
}

static void copies_that_cannot_be_compared(void **state)
{
	(void)state;
	write_module(installed(""), ks_buf_view(&plain), 1);
	cannot_renew(KS_ERR_SYSTEM, "No such file");
	write_text(kept(""), "text");
	cannot_renew(KS_ERR_INPUT, "not a kernel module");
	assert_content(kept(""), text_view("text"));
	write_text(kept(""), "");
	cannot_renew(KS_ERR_INPUT, "empty");
	assert_int_equal(unlink(kept("")), 0);
	make_dirs(kept(""));
	cannot_renew(KS_ERR_INPUT, "a directory");
	assert_int_equal(rmdir(kept("")), 0);
	assert_int_equal(mkfifo(kept(""), 0644), 0);
	alarm(20);
	cannot_renew(KS_ERR_INPUT, "a FIFO");
	alarm(0);
}

static void a_malformed_signature_hides_what_is_signed(void **state)
{
	KS_BUF broken = { 0 };

	(void)state;
	write_module(installed(""), ks_buf_view(&plain), 1);
	assert_ok(ks_buf_append(&broken, plain.data, plain.len, &error));
	put_trailer(&broken, text_view("no message"));
	broken.data[broken.len - 29] ^= 0xff; /* the length's last byte */
	broken.data[broken.len - 31] ^= 0xff;
	write_file(kept(""), ks_buf_view(&broken));
	cannot_renew(KS_ERR_INPUT, "malformed signature");
	assert_content(kept(""), ks_buf_view(&broken));
}

static int renew_read_only(void *arg)
{
	enum ks_dkms_copy result;
	const char *copy;

	if (!access(in_scratch(TREE "/m/1"), W_OK))
		return 1;
	if (renew(INSTALLED, arg, false, &result, &copy))
		return 2;
	return error.sys == EACCES || error.sys == EPERM ? 0 : 3;
}

static void a_tree_that_may_not_be_written(void **state)
{
	KS_STRINGS copies = { 0 };
	struct stat before;

	(void)state;
	write_pair("", 1, 2);
	assert_int_equal(chmod(in_scratch(TREE "/m/1"), 0555), 0);
	before = stat_of(kept(""));
	assert_ok(ks_strings_add(&copies, "/var/lib/dkms/m/1/m.ko", &error));
	assert_int_equal(run_as_nobody(renew_read_only, &copies), 0);
	assert_untouched(kept(""), &before);
	assert_int_equal(count_entries(in_scratch(TREE "/m/1")), 1);
	assert_int_equal(chmod(in_scratch(TREE "/m/1"), 0755), 0);
}

static void no_descriptor_is_left_open(void **state)
{
	size_t before = count_entries("/proc/self/fd");

	(void)state;
	build("m", "1", KERNEL, "m.ko");
	install("m", "1", KERNEL);
	for (int i = 0; i < 3; i++) {
		KS_STRINGS paths = { 0 };

		copies_of(KERNEL, &paths);
		write_pair("", 1, i);
		renew_one("", false);
	}
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		dkms_test(nothing_set),
		dkms_test(assignments_as_a_shell_reads_them),
		dkms_test(drop_ins_come_last_and_in_order),
		dkms_test(settings_are_read_inside_the_root),
		dkms_test(settings_that_cannot_be_read),
		dkms_test(what_is_no_directory_of_dkms_s),
		dkms_test(packages_are_what_has_a_source),
		dkms_test(a_package_that_cannot_be_read_is_an_error),
		dkms_test(a_package_whose_source_is_gone),
		dkms_test(the_tree_is_where_the_setting_says),
		dkms_test(a_tree_that_may_not_be_read),
		dkms_test(copies_are_of_what_is_installed_for_the_kernel),
		dkms_test(kernels_that_begin_alike),
		dkms_test(links_that_lead_nowhere_or_elsewhere),
		dkms_test(paths_are_canonical_and_stay_inside),
		dkms_test(every_package_has_its_copies),
		dkms_test(a_copy_gets_the_signature_in_every_container),
		dkms_test(signatures_come_and_go),
		dkms_test(what_is_the_same_is_not_touched),
		dkms_test(the_very_same_file),
		dkms_test(another_build_is_left_alone),
		dkms_test(a_dry_run_writes_nothing),
		dkms_test(mode_and_other_names_are_kept),
		dkms_test(the_copy_has_the_same_file_name),
		dkms_test(of_several_copies_the_same_build_counts),
		dkms_test(copies_that_cannot_be_compared),
		dkms_test(a_malformed_signature_hides_what_is_signed),
		dkms_test(a_tree_that_may_not_be_written),
		dkms_test(no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
