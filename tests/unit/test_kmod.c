/* SPDX-License-Identifier: MIT */
/* What libkmod is asked: names of modules, inside a root, and what a module says of itself. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "core/kmod.h"

static const char dir[] = "/lib/modules/6.1";

/* NAME is PATH in a root at ROOT, which is this one by whatever name; NULL: not known. */
static void expect(const char *root, const char *name, const char *wanted)
{
	KS_STRING path = (char *)(uintptr_t)1;

	assert_ok(ks_kmod_lookup(root, dir, name, &path, &error));
	if (!wanted) {
		assert_null(path);
		return;
	}
	assert_non_null(path);
	assert_string_equal(path, wanted);
}

static void write_dep(const char *name, const char *value)
{
	write_index(in_scratch("root/lib/modules/6.1/modules.dep.bin"), name, value);
}

static void a_name_is_looked_up_in_the_root(void **state)
{
	(void)state;
	write_dep("some_module", "updates/dkms/some-module.ko.xz:");
	expect(in_scratch("root"), "some_module",
	       "/lib/modules/6.1/updates/dkms/some-module.ko.xz");
	expect(in_scratch("root"), "some-module",
	       "/lib/modules/6.1/updates/dkms/some-module.ko.xz");
	expect(in_scratch("root"), "some", NULL);
	expect(in_scratch("root"), "some_module_2", NULL);
	expect(in_scratch("root"), "", NULL);
}

static void dependencies_are_not_meant(void **state)
{
	(void)state;
	write_dep("upper", "extra/upper.ko: kernel/lower.ko kernel/lowest.ko");
	expect(in_scratch("root"), "upper", "/lib/modules/6.1/extra/upper.ko");
	expect(in_scratch("root"), "lower", NULL);
}

static void without_an_index_nothing_is_known(void **state)
{
	(void)state;
	expect(in_scratch("root"), "some_module", NULL);
	make_dirs(in_scratch("root/lib/modules/6.1"));
	expect(in_scratch("root"), "some_module", NULL);
	write_text(in_scratch("root/lib/modules/6.1/modules.dep.bin"),
		   "no index at all, but words");
	expect(in_scratch("root"), "some_module", NULL);
}

static void the_host_is_a_root_too(void **state)
{
	KS_STRING path = NULL;

	(void)state;
	write_dep("some_module", "extra/some_module.ko:");
	assert_ok(ks_kmod_lookup(NULL, in_scratch("root/lib/modules/6.1"), "some_module", &path,
				 &error));
	assert_string_equal(path, in_scratch("root/lib/modules/6.1/extra/some_module.ko"));
}

static void roots_with_slashes_behind(void **state)
{
	(void)state;
	write_dep("some_module", "extra/some_module.ko:");
	expect(in_scratch("root/"), "some_module", "/lib/modules/6.1/extra/some_module.ko");
}

/* Whatever the root is called, the path is one inside it. */
static void a_relative_root(void **state)
{
	int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	KS_STRING path = NULL;

	(void)state;
	write_dep("some_module", "extra/some_module.ko:");
	assert_int_equal(chdir(scratch), 0);
	assert_ok(ks_kmod_lookup("root", dir, "some_module", &path, &error));
	assert_int_equal(fchdir(before), 0);
	close(before);
	assert_non_null(path);
	assert_string_equal(path, "/lib/modules/6.1/extra/some_module.ko");
}

/* Old depmods wrote whole paths; they are paths inside the root, and may be short ones. */
static void absolute_paths_in_the_index(void **state)
{
	(void)state;
	write_dep("some_module", "/x.ko:");
	expect(in_scratch("root"), "some_module", "/x.ko");
	write_dep("some_module", "/lib/modules/6.1/a/directory/with/a/rather/long/name/x.ko:");
	expect(in_scratch("root"), "some_module",
	       "/lib/modules/6.1/a/directory/with/a/rather/long/name/x.ko");
}

/* --- which kmod ----------------------------------------------------------------------------- */

#define GNU "root/usr/lib/x86_64-linux-gnu/"

static void expect_version(int wanted)
{
	void *state = NULL;
	int version = 77;

	assert_ok(ks_kmod_version(in_scratch("root"), &version, &error));
	assert_int_equal(version, wanted);
	assert_int_equal(scratch_remove(&state), 0);
	assert_int_equal(scratch_make(&state), 0);
}

/* A library NAME in DIRECTORY with the link that programs know. */
static void install(const char *directory, const char *name)
{
	write_text(in_scratch("%s%s", directory, name), "");
	make_link(name, in_scratch("%slibkmod.so.2", directory));
}

/* As kmod's Makefile.am has it from release to release. */
static void versions_of_kmod(void **state)
{
	static const struct {
		const char *name;
		int version;
	} cases[] = {
		{ "libkmod.so.2.3.7", 0 },  { "libkmod.so.2.4.0", 30 }, { "libkmod.so.2.4.1", 31 },
		{ "libkmod.so.2.4.2", 32 }, { "libkmod.so.2.5.0", 33 }, { "libkmod.so.2.5.1", 34 },
		{ "libkmod.so.2.10.0", 0 }, { "libkmod.so.3.0.0", 0 },	{ "libkmod.so.2.5", 0 },
		{ "libkmod-own.so", 0 },
	};
	static const char *const dirs[] = { GNU,
					    "root/lib/aarch64-linux-gnu/",
					    "root/usr/lib64/",
					    "root/usr/lib/",
					    "root/lib64/",
					    "root/lib/" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t k = 0; k < sizeof(dirs) / sizeof(*dirs); k++) {
			install(dirs[k], cases[i].name);
			expect_version(cases[i].version);
		}
}

static void links_of_the_library(void **state)
{
	(void)state;
	/* Over an absolute link, inside the root. */
	write_text(in_scratch(GNU "libkmod.so.2.5.1"), "");
	make_link("/usr/lib/x86_64-linux-gnu/libkmod.so.2.5.1", in_scratch(GNU "libkmod.so.2"));
	expect_version(34);
	/* A merged /usr. */
	install(GNU, "libkmod.so.2.4.0");
	make_link("usr/lib", in_scratch("root/lib"));
	expect_version(30);
	/* A file without version, and one that is not the link's. */
	write_text(in_scratch(GNU "libkmod.so.2"), "");
	write_text(in_scratch(GNU "libkmod.so.2.5.1"), "");
	expect_version(0);
}

static void without_kmod_nobody_knows(void **state)
{
	(void)state;
	expect_version(0);
	make_dirs(in_scratch("root/usr/lib"));
	expect_version(0);
	make_link("loop", in_scratch(GNU "libkmod.so.2"));
	make_link("loop", in_scratch(GNU "loop"));
	expect_version(0);
	/* Where no loader looks. */
	install("root/usr/lib/own/", "libkmod.so.2.5.1");
	expect_version(0);
}

/* --- what a module says --------------------------------------------------------------------- */

static void read_info(const struct elf_spec *spec, struct ks_modinfo *info)
{
	KS_BUF image = { 0 };

	put_elf(&image, spec);
	assert_ok(ks_modinfo_read(ks_buf_view(&image), info, &error));
}

#define INFO(text) .modinfo = text, .modinfo_len = sizeof(text)

static void in_tree_or_not(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool in_tree;
	} cases[] = {
#define CASE(text, in_tree) { text, sizeof(text), in_tree }
		CASE("intree=Y", true),	    CASE("license=GPL\0intree=Y\0name=x", true),
		CASE("intree=N", false),    CASE("intree=", false),
		CASE("intree=YES", false),  CASE("license=GPL", false),
		CASE("notintree=Y", false),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_MODINFO info = { 0 };

		read_info(
			&(struct elf_spec){ .modinfo = cases[i].text, .modinfo_len = cases[i].len },
			&info);
		assert_int_equal(info.intree, cases[i].in_tree);
		assert_null(info.vermagic);
	}
}

static void the_vermagic(void **state)
{
	(void)state;
	for (int narrow = 0; narrow < 2; narrow++) {
		KS_MODINFO info = { 0 };

		read_info(&(struct elf_spec){ INFO("license=GPL\0vermagic=6.1 SMP mod_unload "),
					      .narrow = narrow, .extra = 10 },
			  &info);
		assert_non_null(info.vermagic);
		assert_string_equal(info.vermagic, "6.1 SMP mod_unload ");
		assert_false(info.intree);
		assert_null(info.signer);
		assert_null(info.sig_id);
	}
}

static void the_first_vermagic_counts(void **state)
{
	KS_MODINFO info = { 0 };

	(void)state;
	read_info(&(struct elf_spec){ INFO("vermagic=first\0vermagic=second") }, &info);
	assert_string_equal(info.vermagic, "first");
}

static void assert_says_nothing(struct ks_view image)
{
	struct ks_modinfo info = { .vermagic = (char *)(uintptr_t)1, .intree = true };
	size_t before = count_entries("/proc/self/fd");

	assert_ok(ks_modinfo_read(image, &info, &error));
	assert_false(info.intree);
	assert_null(info.vermagic);
	assert_null(info.signer);
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

static void what_says_nothing(void **state)
{
	KS_BUF image = { 0 };
	KS_BUF junk = { 0 };

	(void)state;
	put_elf(&image, &(struct elf_spec){ .extra = 10 });
	fill(&junk, 1000, 1);
	assert_says_nothing(ks_buf_view(&image));
	assert_says_nothing(ks_buf_view(&junk));
	assert_says_nothing(ks_view_of("", 0));
	assert_says_nothing(text_view("\177ELF"));
}

static void a_module_cut_short_does_no_harm(void **state)
{
	KS_BUF image = { 0 };

	(void)state;
	put_module(&image, "6.1", true);
	for (size_t len = 0; len < image.len; len += 7) {
		KS_MODINFO info = { 0 };

		assert_ok(ks_modinfo_read(ks_view_of(image.data, len), &info, &error));
	}
}

static void the_signature_as_libkmod_shows_it(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_MODINFO info = { 0 };
	KS_BUF image = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_module(&image, "6.1", false);
	put_plain_message(&message, ks_buf_view(&image), by, "sha256");
	put_trailer(&image, ks_buf_view(&message));
	assert_ok(ks_modinfo_read(ks_buf_view(&image), &info, &error));
	assert_string_equal(info.sig_id, "PKCS#7");
	assert_string_equal(info.signer, "P-256 key 1 of the tests");
	assert_string_equal(info.sig_key, "49:96:02:D2");
	assert_string_equal(info.sig_hashalgo, "sha256");
	assert_string_equal(info.vermagic, "6.1 SMP mod_unload ");
	ks_modinfo_free(&info);
	assert_null(info.signer);
	assert_null(info.vermagic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(a_name_is_looked_up_in_the_root),
		scratch_test(dependencies_are_not_meant),
		scratch_test(without_an_index_nothing_is_known),
		scratch_test(the_host_is_a_root_too),
		scratch_test(roots_with_slashes_behind),
		scratch_test(a_relative_root),
		scratch_test(absolute_paths_in_the_index),
		scratch_test(versions_of_kmod),
		scratch_test(links_of_the_library),
		scratch_test(without_kmod_nobody_knows),
		cmocka_unit_test(in_tree_or_not),
		cmocka_unit_test(the_vermagic),
		cmocka_unit_test(the_first_vermagic_counts),
		cmocka_unit_test(what_says_nothing),
		cmocka_unit_test(a_module_cut_short_does_no_harm),
		cmocka_unit_test(the_signature_as_libkmod_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
