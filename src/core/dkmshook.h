/* SPDX-License-Identifier: MIT */
/*
 * Our files in /etc/dkms: the drop-in that makes DKMS sign with kernel-sign, the hook pair, and a
 * link for each package that the hook is to run for.  Each ends with a line that says what its text
 * was when it was written: a file without one, or changed since, is somebody else's and stays.
 */
#ifndef KS_CORE_DKMSHOOK_H
#define KS_CORE_DKMSHOOK_H

#include <sys/types.h>

#include "base/strings.h"

struct ks_dkms_file {
	const char *path;
	mode_t mode;
	bool drop_in; /* and not of the hook pair */
	const char *text;
};

enum { KS_DKMS_FILES = 3 };

extern const struct ks_dkms_file ks_dkms_files[KS_DKMS_FILES];

enum ks_dkms_state {
	KS_DKMS_ABSENT,
	KS_DKMS_PRESENT, /* as this version writes it */
	KS_DKMS_OLDER,	 /* ours, but of another version */
	KS_DKMS_SOURCED, /* of a link: somebody's file that reads our kernel-sign.conf */
	KS_DKMS_FOREIGN, /* not ours, or changed since, or a script that nobody can run */
};

/* KS_ERR_MISSING where there is no /etc/dkms. */
KS_MUST_CHECK bool ks_dkms_require(const char *root, struct ks_error *err);

KS_MUST_CHECK bool ks_dkms_file_state(const char *root, const struct ks_dkms_file *file,
				      enum ks_dkms_state *state, struct ks_error *err);

/*
 * Writes FILE, or with REMOVE takes it away; *BEFORE is what there was.  KS_ERR_INPUT for a FOREIGN
 * one, which stays; KS_ERR_MISSING where there is no /etc/dkms.  With DRY_RUN nothing is written.
 */
KS_MUST_CHECK bool ks_dkms_file_set(const char *root, const struct ks_dkms_file *file, bool remove,
				    bool dry_run, enum ks_dkms_state *before, struct ks_error *err);

/* *PATH is the caller's.  KS_ERR_USAGE where PACKAGE cannot be a package's name. */
KS_MUST_CHECK bool ks_dkms_link_path(const char *package, char **path, struct ks_error *err);

/*
 * The same two for the link of PACKAGE; that of one whose name cannot have any is FOREIGN.  A SOURCED one does a link's work: there is nothing to make,
 * and it is not ours to remove.
 */
KS_MUST_CHECK bool ks_dkms_link_state(const char *root, const char *package,
				      enum ks_dkms_state *state, struct ks_error *err);
KS_MUST_CHECK bool ks_dkms_link_set(const char *root, const char *package, bool remove,
				    bool dry_run, enum ks_dkms_state *before, struct ks_error *err);

/* Whether both files of the hook pair are there, as we write or wrote them. */
KS_MUST_CHECK bool ks_dkms_hook_is_there(const char *root, bool *is_there, struct ks_error *err);

/* Whether the hook, if it is there, runs for a package whose link is in this STATE. */
static inline bool ks_dkms_link_works(enum ks_dkms_state state)
{
	return state == KS_DKMS_PRESENT || state == KS_DKMS_SOURCED;
}

/* The packages of DKMS that the hook does not run for, if it is there at all; sorted. */
KS_MUST_CHECK bool ks_dkms_ungated(const char *root, struct ks_strings *packages,
				   struct ks_error *err);

/* The packages with a link of ours, registered with DKMS or not; sorted. */
KS_MUST_CHECK bool ks_dkms_links(const char *root, struct ks_strings *packages,
				 struct ks_error *err);

#endif
