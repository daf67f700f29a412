/* SPDX-License-Identifier: MIT */
/* An initramfs that has old copies of modules: what is said of it, and what makes it anew. */
#ifndef KS_CLI_REFRESH_H
#define KS_CLI_REFRESH_H

#include "cli/report.h"
#include "core/stale.h"

/* The command of a system that makes the initramfs of one of its kernels anew. */
struct refresh {
	const char *path;    /* of the program, inside the root */
	const char *argv[5]; /* NULL at its end */
};

/* The first that the system in ROOT has of those known; false where it has none.  Borrows VERSION. */
bool refresh_find(const char *root, const char *version, struct refresh *refresh);

/* Runs it; what it prints goes to standard error.  A status other than 0 is an error. */
KS_MUST_CHECK bool refresh_run(const char *root, const struct refresh *refresh,
			       struct ks_error *err);

/*
 * What there is to say of IMAGE, of kernel VERSION in ROOT, and the command that makes it anew, in one
 * line; *TEXT is the caller's, and NULL where there is nothing.
 */
KS_MUST_CHECK bool refresh_word(const char *root, const char *version,
				const struct ks_stale_image *image, char **text,
				struct ks_error *err);

/* Adds an object for each image to LIST, with the names that kernel-sign(8) lists. */
void refresh_add_json(struct json_object *list, const char *root, const char *version,
		      const struct ks_stale *stale);

#endif
