/* SPDX-License-Identifier: MIT */
/* Following paths: links of all kinds, the root that nothing leaves, names that are not there. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/place.h"

static char root[PATH_MAX + 32];

static void make_tree(void)
{
	snprintf(root, sizeof(root), "%s/root", scratch);
	write_text(in_scratch("root/a/b/file"), "inside");
	write_text(in_scratch("outside/file"), "outside");
	make_link("b", in_scratch("root/a/rel"));
	make_link("/a/b", in_scratch("root/a/abs"));
	make_link("/a/b/file", in_scratch("root/link"));
	make_link("../../../../../a", in_scratch("root/up"));
	make_link("a/../a/./b//", in_scratch("root/messy"));
	make_link("/", in_scratch("root/top"));
	make_link("/a/missing", in_scratch("root/dangling"));
	make_link("/missing/x", in_scratch("root/dangling-deep"));
	make_link("loop2", in_scratch("root/loop1"));
	make_link("loop1", in_scratch("root/loop2"));
	make_link("self", in_scratch("root/self"));
	make_link(in_scratch("outside"), in_scratch("root/escape"));
}

static size_t open_files(void)
{
	return count_entries("/proc/self/fd");
}

/* PATH comes to NAME in the directory DIR of the root, and is called CANONICAL. */
static void expect(const char *path, const char *dir, const char *name, const char *canonical)
{
	size_t before = open_files();
	struct ks_place place = KS_PLACE_NONE;
	struct stat there, wanted = stat_of(in_scratch("root%s", dir));

	assert_ok(ks_place_find(&place, root, path, &error));
	assert_string_equal(place.path, canonical);
	assert_string_equal(place.name, name);
	assert_int_equal(fstat(place.dir, &there), 0);
	assert_int_equal(there.st_ino, wanted.st_ino);
	ks_place_close(&place);
	assert_int_equal(open_files(), before);
}

static void expect_errno(const char *path, int number)
{
	size_t before = open_files();
	struct ks_place place = { .dir = 77 };

	assert_fails_errno(ks_place_find(&place, root, path, &error), number);
	assert_int_equal(place.dir, -1);
	assert_null(place.name);
	assert_null(place.path);
	assert_int_equal(open_files(), before);
}

static void plain_paths(void **state)
{
	(void)state;
	make_tree();
	expect("/a/b/file", "/a/b", "file", "/a/b/file");
	expect("a/b/file", "/a/b", "file", "/a/b/file");
	expect("//a///b//file", "/a/b", "file", "/a/b/file");
	expect("/./a/./b/./file", "/a/b", "file", "/a/b/file");
	expect("/a/b", "/a", "b", "/a/b");
}

static void links_in_the_root(void **state)
{
	(void)state;
	make_tree();
	expect("/a/rel/file", "/a/b", "file", "/a/b/file");
	expect("/a/abs/file", "/a/b", "file", "/a/b/file");
	expect("/link", "/a/b", "file", "/a/b/file");
	expect("/top/a/rel/../abs/file", "/a/b", "file", "/a/b/file");
	expect("/messy/file", "/a/b", "file", "/a/b/file");
	expect("/messy", "/a", "b", "/a/b");
	expect("/a/rel", "/a", "b", "/a/b");
	expect("/a/abs", "/a", "b", "/a/b");
}

static void nothing_leaves_the_root(void **state)
{
	(void)state;
	make_tree();
	expect("/../../../a/b/file", "/a/b", "file", "/a/b/file");
	expect("../a/b/file", "/a/b", "file", "/a/b/file");
	expect("/a/../../../a/b/file", "/a/b", "file", "/a/b/file");
	expect("/up/b/file", "/a/b", "file", "/a/b/file");
	expect("/up/../../..", "", ".", "/");
	expect_errno("/escape/file", ENOENT);
	expect_errno("/a/../../outside/file", ENOENT);
}

static void dots_go_up_where_the_link_led(void **state)
{
	(void)state;
	make_tree();
	expect("/a/b/../b/file", "/a/b", "file", "/a/b/file");
	expect("/messy/../b/file", "/a/b", "file", "/a/b/file");
	expect("/messy/..", "/a", ".", "/a");
	expect("/messy/../..", "", ".", "/");
}

static void directories_without_a_last_name(void **state)
{
	(void)state;
	make_tree();
	expect("/", "", ".", "/");
	expect("///", "", ".", "/");
	expect(".", "", ".", "/");
	expect("..", "", ".", "/");
	expect("/a/..", "", ".", "/");
	expect("/a/b/..", "/a", ".", "/a");
	expect("/a/b/.", "/a/b", ".", "/a/b");
	expect("/top", "", ".", "/");
	expect("/top/", "", ".", "/");
}

static void trailing_slashes(void **state)
{
	(void)state;
	make_tree();
	expect("/a/b/", "/a", "b", "/a/b");
	expect("/a/b///", "/a", "b", "/a/b");
	expect("/a/rel/", "/a", "b", "/a/b");
	expect("/a/abs//", "/a", "b", "/a/b");
}

static void the_last_name_need_not_exist(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	int fd;

	(void)state;
	make_tree();
	expect("/a/missing", "/a", "missing", "/a/missing");
	expect("/missing", "", "missing", "/missing");
	expect("/a/rel/missing", "/a/b", "missing", "/a/b/missing");
	expect("/dangling", "/a", "missing", "/a/missing");
	assert_ok(ks_place_find(&place, root, "/dangling", &error));
	assert_fails_errno(ks_place_open(&place, O_RDONLY, &fd, &error), ENOENT);
}

static void all_others_have_to(void **state)
{
	(void)state;
	make_tree();
	expect_errno("/a/missing/x", ENOENT);
	expect_errno("/missing/..", ENOENT);
	expect_errno("/missing/../a", ENOENT);
	expect_errno("/missing/.", ENOENT);
	expect_errno("/dangling/x", ENOENT);
	expect_errno("/dangling-deep", ENOENT);
	expect_errno("/a/b/file/x", ENOTDIR);
	expect_errno("/a/b/file/..", ENOTDIR);
	expect_errno("/link/x", ENOTDIR);
	expect_errno("", ENOENT);
}

static void loops_end(void **state)
{
	(void)state;
	make_tree();
	expect_errno("/loop1", ELOOP);
	expect_errno("/loop1/x", ELOOP);
	expect_errno("/self", ELOOP);
	expect_errno("/a/../self/", ELOOP);
}

/* As many as the kernel follows: 40. */
static void long_chains_of_links(void **state)
{
	(void)state;
	make_tree();
	make_link("/a/b/file", in_scratch("root/chain1"));
	for (int i = 2; i <= 41; i++) {
		char target[16];

		snprintf(target, sizeof(target), "chain%d", i - 1);
		make_link(target, in_scratch("root/chain%d", i));
	}
	expect("/chain1", "/a/b", "file", "/a/b/file");
	expect("/chain40", "/a/b", "file", "/a/b/file");
	expect_errno("/chain41", ELOOP);
}

static void names_too_long(void **state)
{
	char path[NAME_MAX + 4] = "/";
	char *name = path + 1;

	(void)state;
	make_tree();
	memset(name, 'n', NAME_MAX);
	expect(path, "", name, path);
	expect(name, "", name, path);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	expect_errno(name, ENAMETOOLONG);
	name[NAME_MAX + 1] = '/';
	name[NAME_MAX + 2] = '\0';
	expect_errno(name, ENAMETOOLONG);
}

static void paths_too_long(void **state)
{
	char path[3 * PATH_MAX];
	size_t len = 0;

	(void)state;
	make_tree();
	while (len < PATH_MAX - 20)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/a/..");
	snprintf(path + len, sizeof(path) - len, "/a/b/file");
	expect(path, "/a/b", "file", "/a/b/file");
	while (len < 2 * PATH_MAX)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/a/..");
	expect_errno(path, ENAMETOOLONG);
}

/* Short links that grow: what is left to follow never fits. */
static void links_that_grow_too_long(void **state)
{
	char target[PATH_MAX - 100];
	size_t len = 0;

	(void)state;
	make_tree();
	while (len < sizeof(target) - 200)
		len += (size_t)snprintf(target + len, sizeof(target) - len, "./././././");
	snprintf(target + len, sizeof(target) - len, "more");
	make_link(target, in_scratch("root/more"));
	expect_errno("/more", ELOOP);
	unlink(in_scratch("root/more"));
	snprintf(target + len, sizeof(target) - len, "more/%0150d", 0);
	make_link(target, in_scratch("root/more"));
	expect_errno("/more", ENAMETOOLONG);
}

static void roots_of_all_kinds(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)state;
	make_tree();
	make_link(in_scratch("root"), in_scratch("root-link"));
	snprintf(root, sizeof(root), "%s/root-link", scratch);
	expect("/a/abs/file", "/a/b", "file", "/a/b/file");
	snprintf(root, sizeof(root), "%s/root//", scratch);
	expect("/a/abs/file", "/a/b", "file", "/a/b/file");
	assert_ok(ks_place_find(&place, "/", in_scratch("root/messy/file"), &error));
	assert_string_equal(place.path, in_scratch("root/a/b/file"));
	snprintf(root, sizeof(root), "%s/no-root", scratch);
	expect_errno("/a", ENOENT);
	assert_says("no-root");
	snprintf(root, sizeof(root), "%s/outside/file", scratch);
	expect_errno("/a", ENOTDIR);
}

static void expect_on_host(const char *path, const char *canonical)
{
	KS_PLACE place = KS_PLACE_NONE;

	assert_ok(ks_place_find(&place, NULL, path, &error));
	assert_string_equal(place.path, canonical);
}

static void the_host_is_its_own_root(void **state)
{
	(void)state;
	make_tree();
	expect_on_host("/", "/");
	expect_on_host("/..", "/");
	expect_on_host(in_scratch("root/a/rel/file"), in_scratch("root/a/b/file"));
	expect_on_host(in_scratch("root/escape/file"), in_scratch("outside/file"));
	expect_on_host(in_scratch("root/a/../../outside"), in_scratch("outside"));
}

static void relative_paths_start_at_the_working_directory(void **state)
{
	int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	make_tree();
	assert_int_equal(chdir(in_scratch("root/a")), 0);
	expect_on_host("b/file", in_scratch("root/a/b/file"));
	expect_on_host("./b/../rel/file", in_scratch("root/a/b/file"));
	expect_on_host("../../outside/file", in_scratch("outside/file"));
	expect_on_host(".", in_scratch("root/a"));
	expect_on_host("new", in_scratch("root/a/new"));
	expect("b", "", "b", "/b");
	assert_int_equal(fchdir(before), 0);
	close(before);
}

/* Reads what is there through the place, not through the path. */
static void expect_through(const struct ks_place *place, const char *content)
{
	char text[16] = "";
	KS_FD fd = -1;

	assert_ok(ks_place_open(place, O_RDONLY, &fd, &error));
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, content);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(place->dir, F_GETFD) & FD_CLOEXEC);
}

static void a_path_is_followed_once(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)state;
	make_tree();
	assert_ok(ks_place_find(&place, root, "/a/rel/file", &error));
	assert_int_equal(rename(in_scratch("root/a/b"), in_scratch("moved")), 0);
	write_text(in_scratch("root/a/b/file"), "another");
	expect_through(&place, "inside");
}

static void open_follows_no_link(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	int fd = 77;

	(void)state;
	make_tree();
	assert_ok(ks_place_find(&place, root, "/a/b/file", &error));
	expect_through(&place, "inside");
	assert_int_equal(unlink(in_scratch("root/a/b/file")), 0);
	make_link(in_scratch("outside/file"), in_scratch("root/a/b/file"));
	assert_fails_errno(ks_place_open(&place, O_RDONLY, &fd, &error), ELOOP);
	assert_int_equal(fd, -1);
}

/*
 * The library's readlinkat(): between this look at a directory and the step into it, somebody else
 * puts a link out of the root in its place.
 */
static const char *swapped;
static int looks;

ssize_t readlinkat(int dir, const char *name, char *target, size_t size)
{
	ssize_t len = (ssize_t)syscall(SYS_readlinkat, dir, name, target, size);
	int saved = errno;

	if (swapped && strcmp(name, swapped) == 0) {
		looks++;
		assert_int_equal(renameat2(AT_FDCWD, in_scratch("root/a/b"), AT_FDCWD,
					   in_scratch("root/a/out"), RENAME_EXCHANGE),
				 0);
	}
	errno = saved;
	return len;
}

static void expect_no_step(const char *path, const char *name)
{
	struct ks_place place;

	swapped = name;
	looks = 0;
	assert_fails_errno(ks_place_find(&place, root, path, &error), ENOTDIR);
	swapped = NULL;
	assert_int_equal(looks, 1);
	assert_int_equal(place.dir, -1);
	assert_int_equal(renameat2(AT_FDCWD, in_scratch("root/a/b"), AT_FDCWD,
				   in_scratch("root/a/out"), RENAME_EXCHANGE),
			 0);
}

static void a_directory_that_becomes_a_link_is_not_entered(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)state;
	make_tree();
	make_link(in_scratch("outside"), in_scratch("root/a/out"));
	expect_no_step("/a/b/file", "b");
	expect_no_step("/a/rel/file", "b");
	expect_no_step("/a/abs/../b/file", "b");
	/* The other way round: what was a link when it was looked at is followed inside the root. */
	swapped = "out";
	assert_fails_errno(ks_place_find(&place, root, "/a/out/file", &error), ENOENT);
	swapped = NULL;
}

/* Going up means going down from the top again: the directories on that way can be exchanged too. */
static void the_way_up_leads_through_no_link(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)state;
	make_tree();
	write_text(in_scratch("root/a/b/c/file"), "deep");
	write_text(in_scratch("outside/c/file"), "outside");
	make_link(in_scratch("outside"), in_scratch("root/a/out"));
	swapped = "c";
	assert_fails_errno(ks_place_find(&place, root, "/a/b/c/../c/file", &error), ENOTDIR);
	swapped = NULL;
}

static void open_takes_the_flags(void **state)
{
	KS_PLACE dir = KS_PLACE_NONE;
	KS_PLACE top = KS_PLACE_NONE;
	KS_PLACE file = KS_PLACE_NONE;
	KS_FD fd = -1;
	KS_FD fd2 = -1;
	int none;

	(void)state;
	make_tree();
	assert_ok(ks_place_find(&dir, root, "/a/b", &error));
	assert_ok(ks_place_open(&dir, O_RDONLY | O_DIRECTORY, &fd, &error));
	assert_ok(ks_place_find(&top, root, "/", &error));
	assert_ok(ks_place_open(&top, O_RDONLY | O_DIRECTORY, &fd2, &error));
	assert_ok(ks_place_find(&file, root, "/link", &error));
	assert_fails_errno(ks_place_open(&file, O_RDONLY | O_DIRECTORY, &none, &error), ENOTDIR);
}

static void closing_twice_does_no_harm(void **state)
{
	struct ks_place place = KS_PLACE_NONE;
	int fd = -1;

	(void)state;
	make_tree();
	ks_place_close(&place);
	assert_ok(ks_place_find(&place, root, "/a", &error));
	ks_place_close(&place);
	assert_int_equal(place.dir, -1);
	ks_place_close(&place);
	ks_fd_close(&fd);
	fd = open(root, O_PATH | O_CLOEXEC);
	ks_fd_close(&fd);
	assert_int_equal(fd, -1);
}

/* 1: cannot be set up so; 2: found after all; 3: another error. */
static int find_in_the_dark(void *arg)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)arg;
	if (access(in_scratch("root/a"), X_OK) || !access(in_scratch("root/a/b/file"), F_OK))
		return 1;
	if (ks_place_find(&place, root, "/a/b/file", &error))
		return 2;
	return error.sys == EACCES ? 0 : 3;
}

static void a_directory_that_may_not_be_searched(void **state)
{
	(void)state;
	make_tree();
	assert_int_equal(chmod(in_scratch("root/a/b"), 0644), 0);
	assert_int_equal(run_as_nobody(find_in_the_dark, NULL), 0);
	assert_int_equal(chmod(in_scratch("root/a/b"), 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(plain_paths),
		scratch_test(links_in_the_root),
		scratch_test(nothing_leaves_the_root),
		scratch_test(dots_go_up_where_the_link_led),
		scratch_test(directories_without_a_last_name),
		scratch_test(trailing_slashes),
		scratch_test(the_last_name_need_not_exist),
		scratch_test(all_others_have_to),
		scratch_test(loops_end),
		scratch_test(long_chains_of_links),
		scratch_test(names_too_long),
		scratch_test(paths_too_long),
		scratch_test(links_that_grow_too_long),
		scratch_test(roots_of_all_kinds),
		scratch_test(the_host_is_its_own_root),
		scratch_test(relative_paths_start_at_the_working_directory),
		scratch_test(a_path_is_followed_once),
		scratch_test(open_follows_no_link),
		scratch_test(a_directory_that_becomes_a_link_is_not_entered),
		scratch_test(the_way_up_leads_through_no_link),
		scratch_test(open_takes_the_flags),
		scratch_test(closing_twice_does_no_harm),
		scratch_test(a_directory_that_may_not_be_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
