/* SPDX-License-Identifier: MIT */
#include "cli/key_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "cli/report.h"

static bool is_refused(enum ks_exposed exposed, enum key_guard guard)
{
	return guard == KEY_GUARD_STRICT ||
	       (guard == KEY_GUARD_NORMAL && exposed >= KS_KEY_DIR_WRITABLE);
}

bool key_guard_judge(enum key_guard guard, const struct ks_exposure *exposure, const char *path,
		     struct ks_error *err)
{
	if (ks_exposure_check(exposure, err))
		return true;
	if (is_refused(exposure->worst, guard))
		return ks_at(err, path);
	if (exposure->worst == KS_KEY_SHARED)
		return true;
	report_warning("warning: %s: %s", path, err->text);
	return true;
}

/* Whoever wants to use what is not there, or closed to this user, says so. */
static bool is_passed_over(const struct ks_error *err)
{
	return ks_error_is_nowhere(err) || ks_error_is_denied(err);
}

static bool look_at(struct ks_exposure *exposure, const char *root, const char *path, bool secret,
		    struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	if (!ks_exposure_find(exposure, &place, root, path, err))
		return is_passed_over(err) || ks_at(err, path);
	if (fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT || ks_fail_errno_at(err, path, "stat");
	if (S_ISREG(st.st_mode))
		ks_exposure_add_file(exposure, &st, secret);
	return true;
}

bool key_guard_file(enum key_guard guard, const char *root, const char *path, struct ks_error *err)
{
	struct ks_exposure exposure = { .user = geteuid() };

	return look_at(&exposure, root, path, false, err) &&
	       key_guard_judge(guard, &exposure, path, err);
}

struct finding {
	struct ks_exposure exposure;
	char *path; /* of the file at which the worst was seen */
};

static bool add(struct finding *found, const char *dir, const char *file, struct ks_error *err)
{
	bool secret = strcmp(file, KS_KEYSTORE_KEY) == 0 || strcmp(file, KS_KEYSTORE_PRIVATE) == 0;
	enum ks_exposed before = found->exposure.worst;
	KS_STRING path = NULL;

	if (!ks_string_print(&path, err, "%s/%s", dir, file) ||
	    !look_at(&found->exposure, NULL, path, secret, err))
		return false;
	if (found->exposure.worst == before)
		return true;
	ks_string_free(&found->path);
	return ks_string_copy(&found->path, path, err);
}

/* The key first: what is as bad as that of another file says less. */
static bool find_worst(const char *dir, struct finding *found, struct ks_error *err)
{
	KS_STRINGS files = { 0 };

	if (!add(found, dir, KS_KEYSTORE_KEY, err))
		return false;
	if (!ks_dir_names_at(NULL, dir, &files, err))
		return is_passed_over(err) || ks_at(err, dir);
	for (size_t i = 0; i < files.count; i++)
		if (!add(found, dir, files.item[i], err))
			return false;
	return true;
}

static bool guard_keys(const char *dir, const char *const names[], struct ks_error *err)
{
	struct finding found = { .exposure = { .user = geteuid() } };
	bool ok = true;

	for (size_t i = 0; ok && names[i]; i++) {
		KS_STRING path = NULL;

		ok = ks_string_print(&path, err, "%s/%s", dir, names[i]) &&
		     find_worst(path, &found, err);
	}
	ok = ok && key_guard_judge(KEY_GUARD_NORMAL, &found.exposure, found.path, err);
	ks_string_free(&found.path);
	return ok;
}

/* Where the link leads, and what has the name that it ends in, may be two; each is used. */
static bool guard_current(const struct ks_keystore *store, const char *dir, struct ks_error *err)
{
	KS_STRING name = NULL;

	return ks_keystore_current(store, &name, err) &&
	       guard_keys(dir,
			  (const char *const[]){ "current",
						 name && ks_keystore_is_dated(name) ? name : NULL,
						 NULL },
			  err);
}

/* A list of others that cannot be read is an error only for who needs it. */
bool key_guard_store(const struct ks_keystore *store, const char *dir, time_t now,
		     struct ks_error *err)
{
	KS_GRACE grace = { 0 };
	struct ks_error ignored;

	if (!guard_current(store, dir, err))
		return false;
	if (!ks_keystore_grace(store, now, &grace, &ignored))
		return true;
	for (size_t i = 0; i < grace.count; i++)
		if (!guard_keys(dir, (const char *const[]){ grace.item[i].name, NULL }, err))
			return false;
	return true;
}
