/* SPDX-License-Identifier: MIT */
/* An initramfs that has old copies of modules: what is said of it, and what makes it anew. */
#ifndef KS_CLI_REFRESH_H
#define KS_CLI_REFRESH_H

#include "cli/report.h"
#include "cli/request.h"
#include "core/stale.h"

/* The command of a system that makes one of its initramfs images anew. */
struct refresh {
	const char *path;    /* of the program, inside the root */
	const char *argv[5]; /* NULL at its end */
};

/*
 * What makes IMAGE, of kernel VERSION, on the system in ROOT: where it is Debian's, update-initramfs;
 * where it is named after a package, mkinitcpio; else dracut.  False where that is not there.  REFRESH
 * borrows VERSION and IMAGE.
 */
bool refresh_find(const char *root, const char *version, const char *image,
		  struct refresh *refresh);

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

/*
 * Looks for copies of MODULES in every initramfs of KERNEL; with UPDATE it has those made anew that are
 * outdated, and what the program prints that does it goes to standard error.  Warns of what is outdated
 * then or cannot be read, or, with a LIST, adds it there.  An error: nothing made them anew.
 */
KS_MUST_CHECK bool refresh_images(const struct request *request, const struct ks_kernel *kernel,
				  const struct ks_strings *modules, bool update,
				  struct json_object *list, struct ks_error *err);

/* Says, of a run that changes nothing, which images with copies of MODULES would be made anew, and how. */
KS_MUST_CHECK bool refresh_foresee(const struct request *request, const struct ks_kernel *kernel,
				   const struct ks_strings *modules, struct ks_error *err);

#endif
