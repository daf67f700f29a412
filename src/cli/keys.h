/* SPDX-License-Identifier: MIT */
/* The keys of one run, opened one after the other: all of them sign together. */
#ifndef KS_CLI_KEYS_H
#define KS_CLI_KEYS_H

#include "cli/key_file.h"
#include "core/keysearch.h"

struct keys {
	struct ks_identity item[KS_IDENTITIES];
	size_t count;
	struct ks_strings names; /* that items borrow */
	bool verbose;		 /* say which, and what named them */
};

#define KEYS __attribute__((cleanup(keys_free))) struct keys

/* See key_file_open(); WHY says what named it.  FILE's strings have to outlive KEYS. */
KS_MUST_CHECK bool keys_add(struct keys *keys, const struct key_file *file, const char *why,
			    struct ks_error *err);

/*
 * Those of PLACE's store that sign beside its current key.  One that cannot be opened is left out,
 * with a warning: kernels that trust no other will refuse what is signed without it.  The list of
 * them is GUARDed as the keys are.
 */
KS_MUST_CHECK bool keys_add_previous(struct keys *keys, const struct ks_key_place *place,
				     enum key_guard guard, struct ks_error *err);

void keys_free(struct keys *keys);

#endif
