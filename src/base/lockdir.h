/* SPDX-License-Identifier: MIT */
/*
 * Directories in which one run at a time changes names: the lock that keeps the others away, and
 * what is safe only under it.  Temporary names (base/temporary.h) in such a directory, of files,
 * links and directories alike, are those of whoever holds the lock, or nobody's any more.
 */
#ifndef KS_BASE_LOCKDIR_H
#define KS_BASE_LOCKDIR_H

#include "base/error.h"

/* Waits for the lock of the open directory DIR, which is held until DIR is closed. */
KS_MUST_CHECK bool ks_lockdir_lock(int dir, struct ks_error *err);

/*
 * Removes what a run that was killed has left in DIR under temporary names, with the files in its
 * directories.  What cannot be removed stays.
 */
void ks_lockdir_tidy(int dir);

/* Gives FROM in DIR the name TO; false with errno, EEXIST where there is such a name. */
KS_MUST_CHECK bool ks_lockdir_rename_new(int dir, const char *from, const char *to);

/*
 * Lets the link NAME in DIR lead to TARGET, in one step where it is there, so that it always leads
 * somewhere.  *DONE also where only the syncing failed.
 */
KS_MUST_CHECK bool ks_lockdir_link(int dir, const char *name, const char *target, bool *done,
				   struct ks_error *err);

/* Removes the directory NAME in DIR and the files in it. */
KS_MUST_CHECK bool ks_lockdir_remove(int dir, const char *name, struct ks_error *err);

#endif
