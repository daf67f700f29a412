/* SPDX-License-Identifier: MIT */
/*
 * A place: an open directory and a name in it, which is what a path comes to once its symlinks
 * are followed.  A path is followed once; afterwards only the directory and the name count, so
 * that nobody can move a file from under us between looking and writing.
 */
#ifndef KS_BASE_PLACE_H
#define KS_BASE_PLACE_H

#include <sys/stat.h>

#include "base/error.h"

struct ks_place {
	int dir;    /* O_PATH descriptor of the directory */
	char *name; /* in that directory: never a symlink when it was looked at; "." for "/" */
	char *path; /* canonical, as seen inside the root: starts with a slash */
};

#define KS_PLACE __attribute__((cleanup(ks_place_close))) struct ks_place
#define KS_PLACE_NONE ((struct ks_place){ .dir = -1 })

/*
 * Follows PATH.  ROOT is NULL (the host; a relative PATH starts at the working directory) or a
 * directory of the host inside which PATH and every link on the way are resolved, absolute links
 * and ".." included.  The last component need not exist.
 */
KS_MUST_CHECK bool ks_place_find(struct ks_place *place, const char *root, const char *path,
				 struct ks_error *err);

/* Who is told of every name that is looked up on a way, before it is followed or entered. */
struct ks_place_watch {
	/* DIR is the directory's path as in struct ks_place; THERE is what has the NAME, or NULL. */
	void (*look)(void *ctx, const char *dir, const struct stat *dir_st, const char *name,
		     const struct stat *there);
	void *ctx;
};

/* The same, and WATCH sees the way, also that to where it fails. */
KS_MUST_CHECK bool ks_place_watch(struct ks_place *place, const char *root, const char *path,
				  const struct ks_place_watch *watch, struct ks_error *err);

/* Whether anything is there; what cannot be looked at is not. */
bool ks_place_exists(const char *root, const char *path);

/* Opens what is at the place, never through a symlink, close-on-exec; the caller closes it. */
KS_MUST_CHECK bool ks_place_open(const struct ks_place *place, int flags, int *fd,
				 struct ks_error *err);

void ks_place_close(struct ks_place *place);

/* Closed when the scope ends; start it as KS_FD fd = -1. */
#define KS_FD __attribute__((cleanup(ks_fd_close))) int

void ks_fd_close(int *fd);

#endif
