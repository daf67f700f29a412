/* SPDX-License-Identifier: MIT */
/* Directories: which names are listed, in what order, and what it takes to make one. */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/place.h"

/* --- a directory that breaks while it is read ----------------------------------------------- */

static int readable = -1; /* names that can be read before the disk fails; -1: all */

/* Both names, for which one <dirent.h> means depends on how large files are asked for. */
struct dirent *readdir_hook(DIR *dir) __asm__("readdir");
struct dirent *readdir64_hook(DIR *dir) __asm__("readdir64");

static struct dirent *read_entry(const char *symbol, DIR *dir)
{
	struct dirent *(*next)(DIR *);

	if (readable == 0) {
		errno = EIO;
		return NULL;
	}
	if (readable > 0)
		readable--;
	*(void **)&next = dlsym(RTLD_NEXT, symbol);
	return next(dir);
}

struct dirent *readdir_hook(DIR *dir)
{
	return read_entry("readdir", dir);
}

struct dirent *readdir64_hook(DIR *dir)
{
	return read_entry("readdir64", dir);
}

static size_t open_files(void)
{
	return count_entries("/proc/self/fd");
}

/* --- names ---------------------------------------------------------------------------------- */

static void assert_names(const struct ks_strings *names, const char *const *wanted, size_t n)
{
	for (size_t i = 0; i < names->count && i < n; i++)
		assert_string_equal(names->item[i], wanted[i]);
	assert_int_equal(names->count, n);
}

#define ASSERT_NAMES(names, ...)                                  \
	assert_names(names, (const char *const[]){ __VA_ARGS__ }, \
		     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void make_files(void)
{
	write_text(in_scratch("dir/b"), "");
	write_text(in_scratch("dir/a b"), "");
	write_text(in_scratch("dir/\x01\n\xff"), "");
	write_text(in_scratch("dir/.hidden"), "");
	write_text(in_scratch("dir/..more"), "");
	write_text(in_scratch("dir/a.b"), "");
	make_dirs(in_scratch("dir/a"));
	make_link("nowhere", in_scratch("dir/link"));
}

#define ALL_NAMES "\x01\n\xff", "a", "a b", "a.b", "b", "link"

static void every_name_but_those_with_a_dot(void **state)
{
	size_t before = open_files();

	(void)state;
	make_files();
	for (int flags = O_RDONLY;; flags = O_PATH) {
		KS_STRINGS names = { 0 };
		int fd = open(in_scratch("dir"), flags | O_DIRECTORY | O_CLOEXEC);

		assert_ok(ks_dir_names(fd, &names, &error));
		ASSERT_NAMES(&names, ALL_NAMES);
		/* It can be read as often as one likes: the descriptor stays where it was. */
		assert_ok(ks_dir_names(fd, &names, &error));
		ASSERT_NAMES(&names, ALL_NAMES);
		close(fd);
		if (flags == O_PATH)
			break;
	}
	assert_int_equal(open_files(), before);
}

static void names_are_added_to_what_is_there(void **state)
{
	KS_STRINGS names = { 0 };
	KS_STRINGS none = { 0 };

	(void)state;
	write_text(in_scratch("dir/m"), "");
	make_dirs(in_scratch("empty"));
	assert_ok(ks_strings_add(&names, "z", &error));
	assert_ok(ks_strings_add(&names, "a", &error));
	assert_ok(ks_dir_names_at(NULL, in_scratch("dir"), &names, &error));
	ASSERT_NAMES(&names, "a", "m", "z");
	assert_ok(ks_dir_names_at(NULL, in_scratch("empty"), &none, &error));
	assert_int_equal(none.count, 0);
}

static void what_cannot_be_listed(void **state)
{
	KS_STRINGS names = { 0 };
	int fd;

	(void)state;
	write_text(in_scratch("dir/file"), "");
	fd = open(in_scratch("dir/file"), O_RDONLY | O_CLOEXEC);
	assert_fails_errno(ks_dir_names(fd, &names, &error), ENOTDIR);
	close(fd);
	assert_fails_errno(ks_dir_names(-1, &names, &error), EBADF);
	assert_fails_errno(ks_dir_names_at(NULL, in_scratch("dir/file"), &names, &error), ENOTDIR);
	assert_null(strstr(error.text, "file"));
	assert_fails_errno(ks_dir_names_at(NULL, in_scratch("missing"), &names, &error), ENOENT);
	assert_null(strstr(error.text, "missing"));
	assert_fails_errno(ks_dir_names_at(NULL, in_scratch("missing/x"), &names, &error), ENOENT);
	assert_int_equal(names.count, 0);
}

static void half_a_directory_is_an_error(void **state)
{
	size_t before = open_files();

	(void)state;
	make_files();
	for (int names_read = 0; names_read < 9; names_read++) {
		KS_STRINGS names = { 0 };
		bool listed;

		error = (struct ks_error){ 0 };
		readable = names_read;
		listed = ks_dir_names_at(NULL, in_scratch("dir"), &names, &error);
		readable = -1;
		assert_false(listed);
		assert_int_equal(error.code, KS_ERR_SYSTEM);
		assert_int_equal(error.sys, EIO);
	}
	assert_int_equal(open_files(), before);
}

static void links_lead_to_places_inside_the_root(void **state)
{
	KS_STRINGS names = { 0 };

	(void)state;
	write_text(in_scratch("root/real/inside"), "");
	write_text(in_scratch("real/outside"), "");
	make_link("/real", in_scratch("root/absolute"));
	make_link("../../../../../real", in_scratch("root/upwards"));
	assert_ok(ks_dir_names_at(in_scratch("root"), "/absolute", &names, &error));
	ASSERT_NAMES(&names, "inside");
	assert_ok(ks_dir_names_at(in_scratch("root"), "/upwards", &names, &error));
	ASSERT_NAMES(&names, "inside");
}

/* 1: cannot be set up so; 2: listed or made after all; 3: another error. */
static int list_it(void *arg)
{
	KS_STRINGS names = { 0 };

	(void)arg;
	if (!access(in_scratch("dir"), R_OK))
		return 1;
	if (ks_dir_names_at(NULL, in_scratch("dir"), &names, &error))
		return 2;
	return error.sys == EACCES ? 0 : 3;
}

static void a_directory_that_may_not_be_read(void **state)
{
	(void)state;
	make_dirs(in_scratch("dir"));
	assert_int_equal(chmod(in_scratch("dir"), 0311), 0);
	assert_int_equal(run_as_nobody(list_it, NULL), 0);
	assert_int_equal(chmod(in_scratch("dir"), 0755), 0);
}

/* --- making --------------------------------------------------------------------------------- */

static void assert_directory(const char *path)
{
	assert_int_equal(stat_of(path).st_mode, S_IFDIR | 0755);
}

static void missing_parents_are_made_too(void **state)
{
	mode_t mask = umask(0);

	(void)state;
	assert_ok(ks_dir_make(in_scratch("a/b/c"), &error));
	assert_ok(ks_dir_make(in_scratch("a/x y"), &error));
	assert_ok(ks_dir_make(in_scratch("d//e///f//"), &error));
	umask(mask);
	assert_directory(in_scratch("a"));
	assert_directory(in_scratch("a/b"));
	assert_directory(in_scratch("a/b/c"));
	assert_directory(in_scratch("a/x y"));
	assert_directory(in_scratch("d/e/f"));
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(count_entries(in_scratch("a")), 2);
}

static void what_is_there_stays(void **state)
{
	struct stat before, after;

	(void)state;
	write_text(in_scratch("a/b/file"), "x");
	assert_int_equal(chmod(in_scratch("a/b"), 0700), 0);
	before = stat_of(in_scratch("a/b"));
	assert_ok(ks_dir_make(in_scratch("a/b"), &error));
	assert_ok(ks_dir_make("/", &error));
	after = stat_of(in_scratch("a/b"));
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_content(in_scratch("a/b/file"), text_view("x"));
}

static void a_relative_path_starts_at_the_working_directory(void **state)
{
	int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(scratch), 0);
	assert_ok(ks_dir_make("x/y", &error));
	assert_ok(ks_dir_make("z", &error));
	assert_int_equal(fchdir(before), 0);
	close(before);
	assert_directory(in_scratch("x/y"));
	assert_directory(in_scratch("z"));
}

static void what_cannot_be_made(void **state)
{
	(void)state;
	write_text(in_scratch("file"), "x");
	make_link("nowhere/x", in_scratch("dangling"));
	assert_fails_errno(ks_dir_make("", &error), ENOENT);
	assert_fails_errno(ks_dir_make(in_scratch("file/x"), &error), ENOTDIR);
	assert_fails_errno(ks_dir_make(in_scratch("file/x/y"), &error), ENOTDIR);
	assert_fails_errno(ks_dir_make(in_scratch("dangling/x"), &error), ENOENT);
	assert_content(in_scratch("file"), text_view("x"));
	assert_int_equal(count_entries(scratch), 2);
}

static int make_it(void *arg)
{
	(void)arg;
	if (!mkdir(in_scratch("dir/probe"), 0755))
		return 1;
	if (ks_dir_make(in_scratch("dir/new/deep"), &error))
		return 2;
	return error.sys == EACCES ? 0 : 3;
}

static void a_directory_that_may_not_be_written(void **state)
{
	(void)state;
	make_dirs(in_scratch("dir"));
	assert_int_equal(chmod(in_scratch("dir"), 0555), 0);
	assert_int_equal(run_as_nobody(make_it, NULL), 0);
	assert_int_equal(count_entries(in_scratch("dir")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(every_name_but_those_with_a_dot),
		scratch_test(names_are_added_to_what_is_there),
		scratch_test(what_cannot_be_listed),
		scratch_test(half_a_directory_is_an_error),
		scratch_test(links_lead_to_places_inside_the_root),
		scratch_test(a_directory_that_may_not_be_read),
		scratch_test(missing_parents_are_made_too),
		scratch_test(what_is_there_stays),
		scratch_test(a_relative_path_starts_at_the_working_directory),
		scratch_test(what_cannot_be_made),
		scratch_test(a_directory_that_may_not_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
