/* SPDX-License-Identifier: MIT */
/*
 * Temporary names, ".kernel-sign-" and 16 digits and ".tmp", and what runs that were killed left
 * under such names.  Whoever gives a regular file such a name holds its flock() as long as it has
 * it: so a file that can be locked is nobody's any more.
 */
#ifndef KS_BASE_TEMPORARY_H
#define KS_BASE_TEMPORARY_H

#include "base/error.h"

enum { KS_TEMPORARY_SIZE = 48 };

/* A name that nobody else picks. */
KS_MUST_CHECK bool ks_temporary_name(char name[KS_TEMPORARY_SIZE], struct ks_error *err);

bool ks_temporary_is_name(const char *name);

/*
 * Locks FD, a file that is about to get or just got such a name.  *LOST if a run that tidies was
 * faster and has removed that name.  Where files cannot be locked nobody tidies either: no error.
 */
KS_MUST_CHECK bool ks_temporary_hold(int fd, bool *lost, struct ks_error *err);

/*
 * Removes what is left in the open directory DIR: regular files with such a name that are ours (any
 * owner's, for root) and that nobody holds.  What cannot be removed stays.
 */
void ks_temporary_tidy(int dir);

#endif
