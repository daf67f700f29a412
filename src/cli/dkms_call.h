/* SPDX-License-Identifier: MIT */
/*
 * What is different where DKMS runs us as its sign_file: it names a key, it does not look at the
 * outcome, and it says what it builds in its environment.
 */
#ifndef KS_CLI_DKMS_CALL_H
#define KS_CLI_DKMS_CALL_H

#include "core/keysearch.h"

/* The kernel that DKMS builds for; NULL where it is not DKMS that calls. */
const char *dkms_call_kernel(void);

/*
 * With "dkms-key = kernel" in /etc/kernel-sign.conf, and KEY the one that DKMS made for itself, OWN
 * becomes the key of KERNEL, if it has one; else OWN stays empty, and where that kernel has a key of
 * its own, a line says so.
 */
KS_MUST_CHECK bool dkms_call_choose(const char *kernel, const char *key, struct ks_key_place *own,
				    struct ks_error *err);

/* Whether the module at PATH, as it is on the disk, carries a good signature by CERT's key. */
KS_MUST_CHECK bool dkms_call_check(const char *path, const char *cert, struct ks_error *err);

#endif
