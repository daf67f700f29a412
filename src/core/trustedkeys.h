/* SPDX-License-Identifier: MIT */
/*
 * CONFIG_SYSTEM_TRUSTED_KEYS of a kernel config: which PEM file's certificates the kernel's build
 * compiles in (Linux certs/Kconfig).  Ours goes in, and what somebody else put there stays.
 */
#ifndef KS_CORE_TRUSTEDKEYS_H
#define KS_CORE_TRUSTEDKEYS_H

#include "core/keystore.h"

struct ks_trusted_keys {
	char *value;  /* what the symbol says afterwards: an absolute path */
	size_t kept;  /* certificates that are not the store's and stay trusted */
	bool changed; /* the config was written, or would be */
};

/*
 * Sets the symbol in the config at PATH to the key NAME of STORE: its signing_key.pem, or, where
 * the value until now named certificates that are not this store's, a file trusted_keys.pem beside
 * it with theirs and ours; so it is too where there is a GRACE.  A store that has moved is looked for
 * such a file by what the value says of its place in it.  A symlink's target is replaced; a config
 * that says so already is not written.  DRY_RUN writes nothing.  KS_ERR_MISSING if the value names a
 * file that is not there and was no key of a store: its certificates could not be kept.  NAME may be
 * NULL, with DRY_RUN, to find that out before there is a key.  The error names the config.
 */
KS_MUST_CHECK bool ks_trusted_keys_set(const struct ks_keystore *store, const char *name,
				       const struct ks_grace *grace, const char *path, bool dry_run,
				       struct ks_trusted_keys *result, struct ks_error *err);

void ks_trusted_keys_free(struct ks_trusted_keys *result);

#endif
