/* SPDX-License-Identifier: MIT */
/*
 * Where the signing key is: the first of the places that are asked in a fixed order, those of its
 * store that sign with it, and the hash.  Finds names only; nothing is read but `khash', `previous'
 * (core/grace.h) and the kernel's config.
 */
#ifndef KS_CORE_KEYSEARCH_H
#define KS_CORE_KEYSEARCH_H

#include <time.h>

#include "core/kernel.h"

/* One way of naming a key: KEY and CERT, or STORE, the directory of a key store. */
struct ks_key_names {
	const char *key;
	const char *cert; /* NULL: the certificate stands in the key's file */
	const char *store;
};

struct ks_keysearch {
	struct ks_key_names option;	 /* files of the host, as is the environment's */
	struct ks_key_names environment; /* KERNEL_SIGN_KEY, KERNEL_SIGN_CERT */
	struct ks_key_names config;	 /* inside ROOT, as is all below */
	const char *option_hash;
	const char *config_hash;
	const char *root;
	const struct ks_kernel *kernel; /* NULL where no kernel is in question */
	bool no_machine_keys;		/* pass over the machine owner keys */
	time_t now;			/* to know which older keys of a store still sign */
	bool cert_only; /* no private key is wanted: KEY of the place is CERT then */
};

struct ks_key_place {
	char *key;
	char *cert;	  /* may be the same file */
	const char *root; /* both are resolved in: the search's root, or NULL for the host */
	char *why;	  /* what named it: "the command line", "the key of DKMS", ... */
	struct ks_strings
		previous; /* directories of keys that sign as well, laid out as a store's */
	char *hash;
	char *hash_why;
};

#define KS_KEY_PLACE __attribute__((cleanup(ks_key_place_free))) struct ks_key_place

/*
 * Options; environment; config file; build/certs-local/current of the kernel; the machine owner
 * key of DKMS, Ubuntu and Debian's shim, Fedora's akmods; the kernel's own build tree.
 * KS_ERR_MISSING if there is a key in none, KS_ERR_USAGE for a certificate without a key
 * where one is wanted.
 */
KS_MUST_CHECK bool ks_keysearch(const struct ks_keysearch *search, struct ks_key_place *place,
				struct ks_error *err);

/*
 * The certificates to check signatures against, without a private key: the one that the environment
 * or the configuration file names, with *ROOT to resolve it in and *WHY (static); else all that are
 * there of the kernel's own (build/certs-local/current, build/certs) and of machine owner keys.
 * None is no error.
 */
KS_MUST_CHECK bool ks_certsearch(const struct ks_keysearch *search, struct ks_strings *paths,
				 const char **root, const char **why, struct ks_error *err);

void ks_key_place_free(struct ks_key_place *place);

#endif
