/* SPDX-License-Identifier: MIT */
/*
 * What DKMS knows: its settings, the packages registered with it, and the copies that it keeps of
 * the modules it has installed.  As dkms(8) and /usr/sbin/dkms of 3.0.10 and 3.2.2 have it.
 */
#ifndef KS_CORE_DKMS_H
#define KS_CORE_DKMS_H

#include "base/strings.h"
#include "core/module.h"

/*
 * *VALUE (the caller's) becomes the setting NAME of /etc/dkms/framework.conf and framework.conf.d,
 * inside ROOT; NULL where nothing sets it.  Those are shell scripts: read are plain assignments, one
 * a line, and what a shell would have to expand is taken for not set.
 */
KS_MUST_CHECK bool ks_dkms_setting(const char *root, const char *name, char **value,
				   struct ks_error *err);

/* The packages in DKMS's tree, sorted; none where there is no DKMS. */
KS_MUST_CHECK bool ks_dkms_packages(const char *root, struct ks_strings *names,
				    struct ks_error *err);

/*
 * Adds the paths of DKMS's copies of all modules that it has installed for the kernel VERSION,
 * or, where that is NULL, for any: canonical, inside ROOT.
 */
KS_MUST_CHECK bool ks_dkms_copies(const char *root, const char *version, struct ks_strings *paths,
				  struct ks_error *err);

enum ks_dkms_copy {
	KS_DKMS_NO_COPY, /* no copy among those given: not a module of DKMS */
	KS_DKMS_SAME,	 /* byte for byte the same already, or the very same file */
	KS_DKMS_RENEWED, /* it was the same module with another signature, and is the same now */
	KS_DKMS_DIFFERS, /* more than signatures differ: left alone */
};

/*
 * Makes DKMS's copy of the module at INSTALLED, the one in COPIES with the same file name, the same
 * as that is: else "dkms status" complains of differences.  *COPY points into COPIES, or is NULL.
 * With DRY_RUN nothing is written.  SYNC as in ks_file_replace().
 */
KS_MUST_CHECK bool ks_dkms_renew(const char *installed, const struct ks_strings *copies,
				 const struct ks_load *load, bool dry_run, struct ks_dirsync *sync,
				 enum ks_dkms_copy *result, const char **copy,
				 struct ks_error *err);

#endif
