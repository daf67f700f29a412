/* SPDX-License-Identifier: MIT */
/* Keys out of a store, for a kernel's headers package: what install-certs does. */
#ifndef KS_CORE_KEYSTORE_INSTALL_H
#define KS_CORE_KEYSTORE_INSTALL_H

#include "core/keystore.h"

/*
 * Copies the directories of the current key and of those that go on signing at NOW, modes kept, and
 * then the link `current', into DEST of the host, which is made with its parents if it is not there;
 * older keys in it stay.  PUBLIC_ONLY leaves out every file with a private key.  *NAME becomes the
 * directory's name.  KS_ERR_MISSING without a current.
 */
KS_MUST_CHECK bool ks_keystore_install(const struct ks_keystore *store, const char *dest,
				       bool public_only, time_t now, char **name,
				       struct ks_error *err);

/* Lets the link NAME in the directory DEST lead to TARGET, replacing a link that is there. */
KS_MUST_CHECK bool ks_keystore_link(const char *dest, const char *name, const char *target,
				    struct ks_error *err);

#endif
