/* SPDX-License-Identifier: MIT */
/* Who else may get at a private key: modes and owners, as a table. */
#include "core/key.h"
#include "fixture.h"

enum { ME = 1000, HIM = 1001, STAFF = 500 };

struct exposure_case {
	const char *name;
	mode_t mode;
	uid_t owner;
	gid_t group;
	mode_t dir_mode;
	uid_t dir_owner;
	gid_t dir_group;
	enum ks_exposure exposure;
};

static const struct exposure_case cases[] = {
	{ "mine alone", 0600, ME, ME, 0755, ME, ME, KS_KEY_CLOSED },
	{ "nobody may write", 0400, ME, ME, 0555, ME, ME, KS_KEY_CLOSED },
	{ "root's", 0600, 0, 0, 0755, 0, 0, KS_KEY_CLOSED },
	{ "another's", 0600, HIM, HIM, 0755, ME, ME, KS_KEY_FOREIGN },
	{ "all read", 0644, ME, ME, 0755, ME, ME, KS_KEY_READABLE },
	{ "a group reads", 0640, ME, STAFF, 0755, ME, ME, KS_KEY_READABLE },
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
};

static void who_else_may_get_at_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct exposure_case *c = &cases[i];
		struct stat file = { .st_mode = S_IFREG | c->mode,
				     .st_uid = c->owner,
				     .st_gid = c->group };
		struct stat dir = { .st_mode = S_IFDIR | c->dir_mode,
				    .st_uid = c->dir_owner,
				    .st_gid = c->dir_group };

		if (ks_key_exposure(&file, &dir, ME) != c->exposure)
			fail_msg("%s: %d", c->name, (int)ks_key_exposure(&file, &dir, ME));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_else_may_get_at_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
