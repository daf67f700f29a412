/* SPDX-License-Identifier: MIT */
/* Who else may get at a private key: modes and owners, as a table; and a way through real ones. */
#include "core/exposure.h"
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ME = 1000, HIM = 1001, STAFF = 500 };

struct exposure_case {
	const char *name;
	mode_t mode;
	uid_t owner;
	gid_t group;
	mode_t dir_mode;
	uid_t dir_owner;
	gid_t dir_group;
	enum ks_exposed exposed;
};

static const struct exposure_case cases[] = {
	{ "mine alone", 0600, ME, ME, 0755, ME, ME, KS_KEY_CLOSED },
	{ "nobody may write", 0400, ME, ME, 0555, ME, ME, KS_KEY_CLOSED },
	{ "root's", 0600, 0, 0, 0755, 0, 0, KS_KEY_CLOSED },
	{ "another's", 0600, HIM, HIM, 0755, ME, ME, KS_KEY_FOREIGN },
	{ "all read", 0644, ME, ME, 0755, ME, ME, KS_KEY_READABLE },
	{ "a group reads", 0640, ME, STAFF, 0755, ME, ME, KS_KEY_READABLE },
	{ "its directory's group reads", 0640, ME, STAFF, 0750, ME, STAFF, KS_KEY_SHARED },
	{ "and all may enter that", 0640, ME, STAFF, 0751, ME, STAFF, KS_KEY_READABLE },
	{ "and all may read it", 0644, ME, STAFF, 0750, ME, STAFF, KS_KEY_READABLE },
	{ "another group than its directory's", 0640, ME, STAFF, 0750, ME, ME, KS_KEY_READABLE },
	{ "all write", 0602, ME, ME, 0755, ME, ME, KS_KEY_WRITABLE },
	{ "a group writes", 0620, ME, STAFF, 0755, ME, ME, KS_KEY_WRITABLE },
	{ "the owner's own group", 0660, ME, ME, 0775, ME, ME, KS_KEY_READABLE },
	{ "root's group", 0660, ME, 0, 0775, ME, 0, KS_KEY_READABLE },
	{ "all write the directory", 0600, ME, ME, 0777, ME, ME, KS_KEY_DIR_WRITABLE },
	{ "a group writes the directory", 0600, ME, ME, 0775, ME, STAFF, KS_KEY_DIR_WRITABLE },
	{ "a directory like /tmp", 0600, ME, ME, 01777, 0, 0, KS_KEY_CLOSED },
	{ "all read, like /tmp", 0644, ME, ME, 01777, 0, 0, KS_KEY_READABLE },
	{ "the worst comes first", 0666, HIM, HIM, 0777, HIM, HIM, KS_KEY_WRITABLE },
	{ "then the directory", 0644, HIM, HIM, 0777, HIM, HIM, KS_KEY_DIR_WRITABLE },
	{ "then the owner", 0644, HIM, HIM, 0755, HIM, HIM, KS_KEY_FOREIGN },
	{ "another's directory", 0600, ME, ME, 0755, HIM, HIM, KS_KEY_DIR_FOREIGN },
	{ "another's, like /tmp", 0600, ME, ME, 01777, HIM, HIM, KS_KEY_DIR_FOREIGN },
	{ "another's comes before reading", 0644, ME, ME, 0700, HIM, HIM, KS_KEY_DIR_FOREIGN },
	{ "another's in one like /tmp", 0600, HIM, HIM, 01777, 0, 0, KS_KEY_FOREIGN },
};

static struct stat stat_with(mode_t mode, uid_t owner, gid_t group)
{
	return (struct stat){ .st_mode = mode, .st_uid = owner, .st_gid = group };
}

static void who_else_may_get_at_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct exposure_case *c = &cases[i];
		struct ks_exposure exposure = { .user = ME };
		struct stat file = stat_with(S_IFREG | c->mode, c->owner, c->group);
		struct stat dir = stat_with(S_IFDIR | c->dir_mode, c->dir_owner, c->dir_group);

		ks_exposure_add_step(&exposure, "/dir", &dir, "key", &file);
		ks_exposure_add_file(&exposure, &file, true);
		if (exposure.worst != c->exposed)
			fail_msg("%s: %d", c->name, (int)exposure.worst);
		error = (struct ks_error){ 0 };
		assert_int_equal(ks_exposure_check(&exposure, &error), !exposure.worst);
		assert_int_equal(error.code, exposure.worst ? KS_ERR_KEY : KS_ERR_NONE);
	}
}

static void a_file_that_goes_with_it_may_be_read(void **state)
{
	struct ks_exposure exposure = { .user = ME };
	struct stat read_by_all = stat_with(S_IFREG | 0644, ME, ME);
	struct stat written_by_all = stat_with(S_IFREG | 0646, ME, ME);

	(void)state;
	ks_exposure_add_file(&exposure, &read_by_all, false);
	assert_int_equal(exposure.worst, KS_KEY_CLOSED);
	ks_exposure_add_file(&exposure, &written_by_all, false);
	assert_int_equal(exposure.worst, KS_KEY_WRITABLE);
	assert_fails(ks_exposure_check(&exposure, &error), KS_ERR_KEY);
	assert_says(
		"others can write to this file, which goes with the key (mode 0646; chmod go-w it)");
}

/* Of what lies in a directory like /tmp, and is not there, nobody can be the owner. */
static void links_in_a_directory_like_tmp(void **state)
{
	struct ks_exposure exposure = { .user = ME };
	struct stat tmp = stat_with(S_IFDIR | 01777, 0, 0);
	struct stat mine = stat_with(S_IFLNK | 0777, ME, ME);
	struct stat his = stat_with(S_IFLNK | 0777, HIM, HIM);
	struct stat closed = stat_with(S_IFDIR | 0755, 0, 0);

	(void)state;
	ks_exposure_add_step(&exposure, "/tmp", &tmp, "link", NULL);
	ks_exposure_add_step(&exposure, "/tmp", &tmp, "link", &mine);
	ks_exposure_add_step(&exposure, "/", &closed, "link", &his);
	assert_int_equal(exposure.worst, KS_KEY_CLOSED);
	ks_exposure_add_step(&exposure, "/tmp", &tmp, "link", &his);
	assert_int_equal(exposure.worst, KS_KEY_DIR_FOREIGN);
	assert_string_equal(exposure.where, "/tmp/link");
	assert_fails(ks_exposure_check(&exposure, &error), KS_ERR_KEY);
	assert_says("another user can replace the private key (/tmp/link belongs to user 1001)");
}

static void set_mode(const char *path, mode_t mode)
{
	assert_int_equal(chmod(path, mode), 0);
}

/* PATH in the scratch directory as a root: others can write to its directory WHERE, or to none. */
static void expect_way(const char *path, const char *where)
{
	struct ks_exposure exposure = { .user = geteuid() };
	KS_PLACE place = KS_PLACE_NONE;

	(void)!ks_exposure_find(&exposure, &place, scratch, path, &error);
	assert_int_equal(exposure.worst, where ? KS_KEY_DIR_WRITABLE : KS_KEY_CLOSED);
	assert_string_equal(exposure.where, where ? where : "");
}

static void every_directory_on_the_way(void **state)
{
	static const char *const dirs[] = { "", "/up", "/up/in", "/links", "/other" };

	(void)state;
	write_text(in_scratch("up/in/key"), "a key");
	make_link("/links/key", in_scratch("link"));
	make_dirs(in_scratch("links"));
	make_dirs(in_scratch("other"));
	make_link("../up/in/key", in_scratch("links/key"));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		set_mode(in_scratch("%s", dirs[i]), 0755);
	expect_way("/link", NULL);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		const char *shown = dirs[i][0] ? dirs[i] : "/";
		bool counts = strcmp(shown, "/other") != 0;

		set_mode(in_scratch("%s", dirs[i]), 0757);
		expect_way("/link", counts ? shown : NULL);
		/* Out of a directory ".." leads wherever it is. */
		expect_way("/other/../link", counts ? shown : NULL);
		set_mode(in_scratch("%s", dirs[i]), 01757);
		expect_way("/link", NULL);
		set_mode(in_scratch("%s", dirs[i]), 0755);
	}
	set_mode(in_scratch("up"), 0757);
	expect_way("/up/missing/key", "/up");
	expect_way("/missing/key", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_else_may_get_at_it),
		cmocka_unit_test(a_file_that_goes_with_it_may_be_read),
		cmocka_unit_test(links_in_a_directory_like_tmp),
		scratch_test(every_directory_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
