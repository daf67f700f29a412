/* SPDX-License-Identifier: MIT */
/*
 * Who else may get at a private key: by owner and mode of its file, and of every directory on the way
 * to it, from the root on, that of each link that is followed included.  A group that may write counts
 * as others unless it is root's or has the number of the owner: such a one is the owner's own.
 */
#ifndef KS_CORE_EXPOSURE_H
#define KS_CORE_EXPOSURE_H

#include "base/place.h"

/* The worst last. */
enum ks_exposed {
	KS_KEY_CLOSED,	     /* nobody but its owner, who is root or this user */
	KS_KEY_SHARED,	     /* its group may read it, and may enter its directory, and no others */
	KS_KEY_READABLE,     /* group or others may read it */
	KS_KEY_DIR_FOREIGN,  /* a directory on the way belongs to another user, who is not root */
	KS_KEY_FOREIGN,	     /* it belongs to such a one itself */
	KS_KEY_DIR_WRITABLE, /* others may put another file, directory or link in its place */
	KS_KEY_WRITABLE,     /* others may write into it */
};

/* The worst that was seen; starts as { .user = WHO-THIS-IS }. */
struct ks_exposure {
	uid_t user;
	enum ks_exposed worst;
	bool secret;	      /* it is the private key itself */
	mode_t mode;	      /* of the file or directory that is to blame */
	uid_t owner;	      /* the same */
	char where[PATH_MAX]; /* a directory's or link's path, as in struct ks_place */
	gid_t last_group;     /* of the directory that was looked into last */
	mode_t last_mode;
};

/*
 * ks_place_find(), with a look at the way; what was seen up to a failure counts.  The last name's own
 * owner and mode are not looked at.
 */
KS_MUST_CHECK bool ks_exposure_find(struct ks_exposure *exposure, struct ks_place *place,
				    const char *root, const char *path, struct ks_error *err);

/* A file at the way's end.  Where it is not SECRET, but goes with the key, all may read it. */
void ks_exposure_add_file(struct ks_exposure *exposure, const struct stat *file, bool secret);

/* A step of the way: NAME, which is THERE (or NULL), in the directory DIR. */
void ks_exposure_add_step(struct ks_exposure *exposure, const char *dir, const struct stat *dir_st,
			  const char *name, const struct stat *there);

/* What it is and what to do about it, KS_ERR_KEY; returns false unless it is KS_KEY_CLOSED. */
KS_MUST_CHECK bool ks_exposure_check(const struct ks_exposure *exposure, struct ks_error *err);

#endif
