/* SPDX-License-Identifier: MIT */
/* Directories that are synced once for many files: descriptors and errors tell what became of them. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/dirsync.h"
#include "fixture.h"

enum { MANY = 100, ROOM = 40 };

static struct ks_dirsync *sync_start(void)
{
	struct ks_dirsync *sync;

	assert_ok(ks_dirsync_start(&sync, &error));
	return sync;
}

/* An open directory that fsync() takes, or, by O_PATH, one that it refuses. */
static int open_dir(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void add(struct ks_dirsync *sync, const char *dir, int flags)
{
	KS_PLACE place = KS_PLACE_NONE;
	char path[PATH_MAX + 8];
	int fd;

	make_dirs(dir);
	snprintf(path, sizeof(path), "%s/x.ko", dir);
	assert_ok(ks_place_find(&place, NULL, path, &error));
	fd = open_dir(dir, flags);
	assert_true(ks_dirsync_add(sync, &fd, &place));
	assert_int_equal(fd, -1);
}

static void every_descriptor_is_closed(void **state)
{
	size_t before = count_entries("/proc/self/fd");
	struct ks_dirsync *sync = sync_start();

	(void)state;
	add(sync, in_scratch("a"), O_RDONLY);
	add(sync, in_scratch("b"), O_RDONLY);
	assert_int_equal(count_entries("/proc/self/fd"), before + 2);
	assert_ok(ks_dirsync_finish(sync, &error));
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

/* A run that was killed left it. */
static void directories_are_tidied(void **state)
{
	struct ks_dirsync *sync = sync_start();

	(void)state;
	write_text(in_scratch("a/.kernel-sign-0123456789abcdef.tmp"), "half");
	write_text(in_scratch("b/.kernel-sign-0123456789abcdef.tmp"), "half");
	add(sync, in_scratch("a"), O_RDONLY);
	assert_ok(ks_dirsync_finish(sync, &error));
	assert_int_equal(count_entries(in_scratch("a")), 0);
	assert_int_equal(count_entries(in_scratch("b")), 1);
}

static void the_same_directory_is_noted_once(void **state)
{
	size_t before = count_entries("/proc/self/fd");
	struct ks_dirsync *sync = sync_start();

	(void)state;
	for (int i = 0; i < 5; i++)
		add(sync, in_scratch("a"), O_RDONLY);
	assert_int_equal(count_entries("/proc/self/fd"), before + 1);
	assert_ok(ks_dirsync_finish(sync, &error));
}

static void few_are_open_at_a_time(void **state)
{
	size_t before = count_entries("/proc/self/fd");
	struct ks_dirsync *sync = sync_start();

	(void)state;
	for (int i = 0; i < MANY; i++) {
		add(sync, in_scratch("%d", i), O_RDONLY);
		assert_in_range(count_entries("/proc/self/fd"), before + 1, before + ROOM);
	}
	assert_ok(ks_dirsync_finish(sync, &error));
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

static void a_failure_names_the_directory(void **state)
{
	struct ks_dirsync *sync = sync_start();

	(void)state;
	add(sync, in_scratch("good"), O_RDONLY);
	add(sync, in_scratch("bad"), O_PATH);
	assert_fails(ks_dirsync_finish(sync, &error), KS_ERR_SYSTEM);
	assert_says("/bad: files were replaced, but their directory could not be synced");
}

/* It is synced when others need its room, and the error waits for the end. */
static void an_early_failure_is_kept(void **state)
{
	size_t before = count_entries("/proc/self/fd");
	struct ks_dirsync *sync = sync_start();

	(void)state;
	add(sync, in_scratch("early"), O_PATH);
	for (int i = 0; i < MANY; i++)
		add(sync, in_scratch("%d", i), O_RDONLY);
	add(sync, in_scratch("late"), O_PATH);
	assert_fails(ks_dirsync_finish(sync, &error), KS_ERR_SYSTEM);
	assert_says("/early: ");
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

static void a_descriptor_that_is_none_stays_the_callers(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct ks_dirsync *sync = sync_start();
	int fd = -1;

	(void)state;
	assert_ok(ks_place_find(&place, NULL, in_scratch("x.ko"), &error));
	assert_false(ks_dirsync_add(sync, &fd, &place));
	assert_ok(ks_dirsync_finish(sync, &error));
}

static void nothing_to_finish(void **state)
{
	(void)state;
	assert_ok(ks_dirsync_finish(NULL, &error));
	assert_ok(ks_dirsync_finish(sync_start(), &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(every_descriptor_is_closed),
		scratch_test(directories_are_tidied),
		scratch_test(the_same_directory_is_noted_once),
		scratch_test(few_are_open_at_a_time),
		scratch_test(a_failure_names_the_directory),
		scratch_test(an_early_failure_is_kept),
		scratch_test(a_descriptor_that_is_none_stays_the_callers),
		scratch_test(nothing_to_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
