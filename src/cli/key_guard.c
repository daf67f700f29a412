/* SPDX-License-Identifier: MIT */
#include "cli/key_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
