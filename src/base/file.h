/* SPDX-License-Identifier: MIT */
/*
 * Whole files: read one under a limit, replace one so that a crash leaves the old bytes or the
 * new ones, make one with a given mode.
 */
#ifndef KS_BASE_FILE_H
#define KS_BASE_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/dirsync.h"
#include "base/place.h"

/*
 * Reads the regular file at PLACE into BUF (empty before).  Anything else than a regular file,
 * more than LIMIT bytes, or a file that changed meanwhile (KS_ERR_CHANGED) is an error.  *ST says
 * which file was read, for ks_file_replace(); BUF is allocated once, at the file's size.
 */
KS_MUST_CHECK bool ks_file_read(const struct ks_place *place, size_t limit, struct ks_buf *buf,
				struct stat *st, struct ks_error *err);

/* The same for a path; ROOT as in ks_place_find(). The error does not name the path. */
KS_MUST_CHECK bool ks_file_read_path(const char *root, const char *path, size_t limit,
				     struct ks_buf *buf, struct stat *st, struct ks_error *err);

/*
 * Reads a file of /proc or /sys into BUF (empty before): what its size says is not what is in it.
 * More than LIMIT bytes are an error.  ROOT as in ks_place_find().
 */
KS_MUST_CHECK bool ks_file_read_live(const char *root, const char *path, size_t limit,
				     struct ks_buf *buf, struct ks_error *err);

/* Whether both describe the same file with the same content, by inode, size and times. */
bool ks_file_same(const struct stat *a, const struct stat *b);

/*
 * Puts CONTENT where the file OLD (as ks_file_read() saw it) is: a new file in the same directory
 * gets the old one's owner, mode and extended attributes, is synced, takes the name, and the
 * directory is synced, or noted in SYNC if that is not NULL.  KS_ERR_CHANGED, and nothing done, if
 * the name no longer stands for OLD.
 * On any error before the rename the old file is as it was and nothing is left behind; what a run
 * that was killed left behind in that directory is removed along with the syncing.
 * The attributes security.ima and security.evm belong to the old bytes and are not carried over.
 */
KS_MUST_CHECK bool ks_file_replace(const struct ks_place *place, const struct stat *old,
				   struct ks_view content, struct ks_dirsync *sync,
				   struct ks_error *err);

/* Whether a file could be made or replaced at PLACE, as far as permissions tell. */
KS_MUST_CHECK bool ks_file_may_replace(const struct ks_place *place, struct ks_error *err);

/* Puts a new file with exactly MODE at PLACE, in one step over a file or link that stands there. */
KS_MUST_CHECK bool ks_file_make(const struct ks_place *place, mode_t mode, struct ks_view content,
				struct ks_error *err);

/*
 * The same where nothing stands yet: KS_ERR_SYSTEM with EEXIST, and nothing done, if anything does.
 * SYNC as in ks_file_replace().
 */
KS_MUST_CHECK bool ks_file_create(const struct ks_place *place, mode_t mode, struct ks_view content,
				  struct ks_dirsync *sync, struct ks_error *err);

/*
 * Makes or atomically replaces a file that holds CONTENT, with exactly MODE for a new file; one
 * that exists keeps its own mode, owner and attributes, and must be a regular file.
 */
KS_MUST_CHECK bool ks_file_write(const struct ks_place *place, mode_t mode, struct ks_view content,
				 struct ks_error *err);

#endif
