/* SPDX-License-Identifier: MIT */
#include "core/exposure.h"

#include <stdio.h>
#include <string.h>

static bool others_write(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) ||
	       ((st->st_mode & S_IWGRP) && st->st_gid && st->st_gid != st->st_uid);
}

static bool is_foreign(const struct ks_exposure *exposure, const struct stat *st)
{
	return st->st_uid && st->st_uid != exposure->user;
}

/* Of several that are equally bad the first is named. */
static bool worsen(struct ks_exposure *exposure, enum ks_exposed now, const struct stat *st)
{
	if (now <= exposure->worst)
		return false;
	exposure->worst = now;
	exposure->mode = st->st_mode & 07777;
	exposure->owner = st->st_uid;
	return true;
}

void ks_exposure_add_step(struct ks_exposure *exposure, const char *dir, const struct stat *dir_st,
			  const char *name, const struct stat *there)
{
	bool sticky = dir_st->st_mode & S_ISVTX;

	exposure->last_group = dir_st->st_gid;
	exposure->last_mode = dir_st->st_mode;
	if (others_write(dir_st) && !sticky && worsen(exposure, KS_KEY_DIR_WRITABLE, dir_st))
		snprintf(exposure->where, PATH_MAX, "%s", dir);
	if (is_foreign(exposure, dir_st) && worsen(exposure, KS_KEY_DIR_FOREIGN, dir_st))
		snprintf(exposure->where, PATH_MAX, "%s", dir);
	/* In a directory like /tmp nobody takes away what is not his own; but a link may be his own. */
	if (others_write(dir_st) && sticky && there && is_foreign(exposure, there) &&
	    worsen(exposure, KS_KEY_DIR_FOREIGN, there))
		snprintf(exposure->where, PATH_MAX, "%s/%s", dir[1] ? dir : "", name);
}

/* As Fedora's akmods has its keys: whoever builds modules there is in that group. */
static bool is_shared(const struct ks_exposure *exposure, const struct stat *file)
{
	return (file->st_mode & 077) == S_IRGRP && file->st_gid == exposure->last_group &&
	       !(exposure->last_mode & S_IRWXO);
}

void ks_exposure_add_file(struct ks_exposure *exposure, const struct stat *file, bool secret)
{
	enum ks_exposed now = others_write(file)		? KS_KEY_WRITABLE :
			      is_foreign(exposure, file)	? KS_KEY_FOREIGN :
			      !secret || !(file->st_mode & 077) ? KS_KEY_CLOSED :
			      is_shared(exposure, file)		? KS_KEY_SHARED :
								  KS_KEY_READABLE;

	if (worsen(exposure, now, file))
		exposure->secret = secret;
}

static void look(void *ctx, const char *dir, const struct stat *dir_st, const char *name,
		 const struct stat *there)
{
	ks_exposure_add_step(ctx, dir, dir_st, name, there);
}

bool ks_exposure_find(struct ks_exposure *exposure, struct ks_place *place, const char *root,
		      const char *path, struct ks_error *err)
{
	struct ks_place_watch watch = { look, exposure };

	return ks_place_watch(place, root, path, &watch, err);
}

bool ks_exposure_check(const struct ks_exposure *exposure, struct ks_error *err)
{
	const char *what =
		exposure->secret ? "the private key" : "this file, which goes with the key";
	const char *comma = exposure->secret ? "" : ",";
	unsigned int mode = exposure->mode, owner = exposure->owner;

	switch (exposure->worst) {
	case KS_KEY_CLOSED:
		return true;
	case KS_KEY_SHARED:
		return ks_fail(
			err, KS_ERR_KEY,
			"the private key is open to its group (mode %04o; chmod 600 it, unless "
			"akmods builds by it)",
			mode);
	case KS_KEY_READABLE:
		return ks_fail(err, KS_ERR_KEY,
			       "the private key is open to others (mode %04o; chmod 600 it)", mode);
	case KS_KEY_DIR_FOREIGN:
		return ks_fail(err, KS_ERR_KEY,
			       "another user can replace the private key (%s belongs to user %u)",
			       exposure->where, owner);
	case KS_KEY_FOREIGN:
		return ks_fail(err, KS_ERR_KEY, "%s%s belongs to another user (%u; chown it)", what,
			       comma, owner);
	case KS_KEY_DIR_WRITABLE:
		return ks_fail(
			err, KS_ERR_KEY,
			"others can replace the private key (%s has mode %04o; chmod go-w it)",
			exposure->where, mode);
	case KS_KEY_WRITABLE:
		return ks_fail(err, KS_ERR_KEY, "others can write to %s (mode %04o; chmod %s it)",
			       what, mode, exposure->secret ? "600" : "go-w");
	}
	return false;
}
