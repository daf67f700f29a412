/* SPDX-License-Identifier: MIT */
/* Keys out of a store, for a kernel's headers package: what install-certs does. */
#ifndef KS_CORE_KEYSTORE_INSTALL_H
#define KS_CORE_KEYSTORE_INSTALL_H

#include "core/keystore.h"

/* Names of directories in the destination. */
struct ks_installed {
	struct ks_strings
		laid; /* those of keys in grace, and the current key's, which is the last */
	struct ks_strings cleared; /* of older keys, of which private files were removed */
};

#define KS_INSTALLED __attribute__((cleanup(ks_installed_free))) struct ks_installed

void ks_installed_free(struct ks_installed *installed);

/*
 * Copies the directories of the current key and of those that go on signing at NOW, modes kept, and
 * then the link `current', into DEST of the host, which is made with its parents if it is not there;
 * older keys in it stay.  PUBLIC_ONLY leaves out every file with a private key, and removes those
 * that are in DEST, those of older keys included.  INSTALLED is empty before, and the caller's to
 * free, also after a failure.  KS_ERR_MISSING without a current.
 */
KS_MUST_CHECK bool ks_keystore_install(const struct ks_keystore *store, const char *dest,
				       bool public_only, time_t now, struct ks_installed *installed,
				       struct ks_error *err);

/* Lets the link NAME in the directory DEST lead to TARGET, replacing a link that is there. */
KS_MUST_CHECK bool ks_keystore_link(const char *dest, const char *name, const char *target,
				    struct ks_error *err);

#endif
