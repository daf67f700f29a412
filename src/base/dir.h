/* SPDX-License-Identifier: MIT */
/* Directories: the names in one, making one with those above it, and its names on disk. */
#ifndef KS_BASE_DIR_H
#define KS_BASE_DIR_H

#include "base/strings.h"

/*
 * Adds every name in the open directory FD, which stays as it is, that does not start with a dot,
 * and sorts the list.
 */
KS_MUST_CHECK bool ks_dir_names(int fd, struct ks_strings *names, struct ks_error *err);

/*
 * The same of the directory at PATH, inside ROOT as in ks_place_find().  One that is not there is
 * KS_ERR_SYSTEM with ENOENT; no error names PATH.
 */
KS_MUST_CHECK bool ks_dir_names_at(const char *root, const char *path, struct ks_strings *names,
				   struct ks_error *err);

/* Whether what was done to the names in DIR is on disk; DIR may be open for its path alone. */
KS_MUST_CHECK bool ks_dir_sync(int dir, struct ks_error *err);

/*
 * The same of the name in DIR of what is open as FD, not for its path alone: where DIR may be entered and
 * not read, the whole file system is synced.
 */
KS_MUST_CHECK bool ks_dir_sync_name(int dir, int fd, struct ks_error *err);

/*
 * Makes PATH and what is missing above it, mode 0755, and syncs it; what is there already is no
 * error.
 */
KS_MUST_CHECK bool ks_dir_make(const char *path, struct ks_error *err);

#endif
