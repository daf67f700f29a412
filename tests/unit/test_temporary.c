/* SPDX-License-Identifier: MIT */
/* Temporary names, and what goes when a directory is tidied: nothing that somebody is still at. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/place.h"
#include "base/temporary.h"
#include "fixture.h"

#define STALE ".kernel-sign-0123456789abcdef.tmp"

static int open_scratch(void)
{
	int fd = open(in_scratch("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_there(const char *name)
{
	return access(in_scratch("%s", name), F_OK) == 0;
}

static void tidy(void)
{
	KS_FD dir = open_scratch();

	ks_temporary_tidy(dir);
}

static void names_are_new_ones_of_that_kind(void **state)
{
	char one[KS_TEMPORARY_SIZE], other[KS_TEMPORARY_SIZE];

	(void)state;
	assert_ok(ks_temporary_name(one, &error));
	assert_ok(ks_temporary_name(other, &error));
	assert_string_not_equal(one, other);
	assert_true(ks_temporary_is_name(one));
	assert_true(ks_temporary_is_name(STALE));
}

static void other_names_are_not_of_that_kind(void **state)
{
	static const char *const names[] = {
		"",
		".kernel-sign-",
		".kernel-sign-.tmp",
		".kernel-sign-0123456789abcde.tmp",
		".kernel-sign-0123456789abcdef0.tmp",
		".kernel-sign-0123456789ABCDEF.tmp",
		".kernel-sign-0123456789abcdef.tmp.ko",
		"kernel-sign-0123456789abcdef.tmp",
		".kernel-sign-unused",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_false(ks_temporary_is_name(names[i]));
}

static void what_nobody_holds_goes(void **state)
{
	(void)state;
	write_text(in_scratch(STALE), "half");
	write_text(in_scratch("x.ko"), "whole");
	tidy();
	assert_false(is_there(STALE));
	assert_true(is_there("x.ko"));
}

static void what_somebody_holds_stays(void **state)
{
	KS_FD fd = -1;
	bool lost;

	(void)state;
	write_text(in_scratch(STALE), "half");
	fd = open(in_scratch(STALE), O_WRONLY | O_CLOEXEC);
	assert_ok(ks_temporary_hold(fd, &lost, &error));
	assert_false(lost);
	tidy();
	assert_true(is_there(STALE));
	ks_fd_close(&fd);
	tidy();
	assert_false(is_there(STALE));
}

/* Between making a file and locking it another run may tidy. */
static void a_name_that_was_tidied_away_is_noticed(void **state)
{
	KS_FD fd = -1;
	bool lost;

	(void)state;
	fd = open(in_scratch(STALE), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	tidy();
	assert_ok(ks_temporary_hold(fd, &lost, &error));
	assert_true(lost);
}

static void only_plain_files_with_one_name_go(void **state)
{
	(void)state;
	make_link("nowhere", in_scratch(STALE));
	make_dirs(in_scratch(".kernel-sign-1123456789abcdef.tmp"));
	write_text(in_scratch("x.ko"), "whole");
	assert_int_equal(link(in_scratch("x.ko"), in_scratch(".kernel-sign-2123456789abcdef.tmp")),
			 0);
	write_text(in_scratch(".kernel-sign-0123456789abcdef.tmp.ko"), "");
	tidy();
	assert_int_equal(count_entries(in_scratch(".")), 5);
}

static void no_descriptor_is_left_open(void **state)
{
	size_t before = count_entries("/proc/self/fd");

	(void)state;
	write_text(in_scratch(STALE), "half");
	tidy();
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

#define scratch_test(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_new_ones_of_that_kind),
		cmocka_unit_test(other_names_are_not_of_that_kind),
		scratch_test(what_nobody_holds_goes),
		scratch_test(what_somebody_holds_stays),
		scratch_test(a_name_that_was_tidied_away_is_noticed),
		scratch_test(only_plain_files_with_one_name_go),
		scratch_test(no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
