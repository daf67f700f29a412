/* SPDX-License-Identifier: MIT */
/*
 * Directories in which files took their names: to be tidied (base/temporary.h) and synced once
 * each, not once a file.  Until then a power loss may bring back a file's old content, but never
 * half of one.
 */
#ifndef KS_BASE_DIRSYNC_H
#define KS_BASE_DIRSYNC_H

#include "base/place.h"

struct ks_dirsync;

KS_MUST_CHECK bool ks_dirsync_start(struct ks_dirsync **sync, struct ks_error *err);

/*
 * Notes *DIR, an open directory, which PLACE lies in; takes the descriptor over and sets it to -1.
 * What was noted long ago is synced then, so that few descriptors are open.  False, and *DIR as it
 * was, if it cannot be noted: then the caller has to sync it.  Safe in several threads.
 */
KS_MUST_CHECK bool ks_dirsync_add(struct ks_dirsync *sync, int *dir, const struct ks_place *place);

/*
 * Syncs what is left and frees SYNC.  The first error of all, early ones included, with the
 * directory's name.  SYNC may be NULL.
 */
KS_MUST_CHECK bool ks_dirsync_finish(struct ks_dirsync *sync, struct ks_error *err);

#endif
