/* SPDX-License-Identifier: MIT */
/*
 * Threads that may open nothing but files of certain directories: Landlock (Linux 5.13,
 * Documentation/userspace-api/landlock.rst); and to which system calls that no such work needs
 * (programs, sockets, a look into other processes, modules, mounts...) give EPERM: seccomp(2).
 * What decompressors and parsers of untrusted files could be made to do, they do on such threads.
 * They share their memory with the others, so this is a hurdle and not a wall.
 */
#ifndef KS_CORE_CONFINE_H
#define KS_CORE_CONFINE_H

#include "base/error.h"

struct ks_confine;

/* What this kernel has for it. */
struct ks_confine_means {
	int landlock; /* its version; less than 1 for none, and then nothing is confined */
	bool seccomp;
};

/*
 * Nothing is allowed so far.  WRITES: files may be replaced in what will be allowed, not read only.
 * KS_ERR_UNSUPPORTED where this kernel has no Landlock.
 */
KS_MUST_CHECK bool ks_confine_start(struct ks_confine **confine, bool writes,
				    struct ks_confine_means *means, struct ks_error *err);

/*
 * Allows the directory that PATH lies in, with all below it; ROOT as in ks_place_find().  A path that
 * leads nowhere allows nothing, not *LED, and is no error.
 */
KS_MUST_CHECK bool ks_confine_allow(struct ks_confine *confine, const char *root, const char *path,
				    bool *led, struct ks_error *err);

/* Allows the open directory DIR with all below it; WRITES as for start, but for this one alone. */
KS_MUST_CHECK bool ks_confine_allow_dir(struct ks_confine *confine, int dir, bool writes,
					struct ks_error *err);

/*
 * Confines the calling thread, for ever; files that are open stay so.  False, errno set, if it
 * cannot be, or not in every way that start found.
 */
KS_MUST_CHECK bool ks_confine_enter(const struct ks_confine *confine);

/* NULL is fine. */
void ks_confine_free(struct ks_confine *confine);

#endif
