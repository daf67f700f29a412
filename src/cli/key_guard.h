/* SPDX-License-Identifier: MIT */
/* What is done about a private key that others can get at: a warning on standard error, or an error. */
#ifndef KS_CLI_KEY_GUARD_H
#define KS_CLI_KEY_GUARD_H

#include <time.h>

#include "core/exposure.h"
#include "core/keystore.h"

enum key_guard {
	KEY_GUARD_NORMAL, /* refuse it if they can write to it or replace it, else warn */
	KEY_GUARD_STRICT, /* refuse it in any case */
	KEY_GUARD_WARN,	  /* only say so */
};

/* Both name PATH, which was looked at. */
KS_MUST_CHECK bool key_guard_judge(enum key_guard guard, const struct ks_exposure *exposure,
				   const char *path, struct ks_error *err);

/* A file that goes with a key, and all may read; ROOT as in ks_place_find(). */
KS_MUST_CHECK bool key_guard_file(enum key_guard guard, const char *root, const char *path,
				  struct ks_error *err);

/*
 * The keys that STORE signs with at NOW, with every file beside them, as KEY_GUARD_NORMAL says.  DIR
 * is how the store was named: the way to it is looked at, too, also where there is no key yet, or no
 * store.
 */
KS_MUST_CHECK bool key_guard_store(const struct ks_keystore *store, const char *dir, time_t now,
				   struct ks_error *err);

#endif
