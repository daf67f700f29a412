/* SPDX-License-Identifier: MIT */
/*
 * A key store: DIR/YYYYMMDD-HHMM/{signing_key.pem, signing_prv.pem, signing_crt.crt, khash, ktype}
 * and the relative link DIR/current, as kernel-sign 3.0 laid it out.  signing_key.pem is private
 * key and certificate, signing_crt.crt the certificate in DER.
 */
#ifndef KS_CORE_KEYSTORE_H
#define KS_CORE_KEYSTORE_H

#include <stdint.h>

#include "base/strings.h"
#include "core/grace.h"
#include "core/keygen.h"

#define KS_KEYSTORE_KEY "signing_key.pem"
#define KS_KEYSTORE_PRIVATE "signing_prv.pem"
#define KS_KEYSTORE_CERT "signing_crt.crt"
#define KS_KEYSTORE_REQUEST "x509.oot.genkey" /* optional, of the store itself */

enum { KS_KEYSTORE_FILE_LIMIT = 1 << 20 }; /* bytes, of any file in a store */

struct ks_keystore {
	char *path; /* canonical and absolute */
	int dir;    /* open, and locked against a second run until it is closed */
};

#define KS_KEYSTORE __attribute__((cleanup(ks_keystore_close))) struct ks_keystore
#define KS_KEYSTORE_NONE ((struct ks_keystore){ .dir = -1 })

/* The store where none is named: "." if it looks like one, else "certs-local".  Static. */
const char *ks_keystore_default(void);

/*
 * Opens DIR of the host and waits for its lock.  One that is not there is made if CREATE, else it is
 * a store without keys.
 */
KS_MUST_CHECK bool ks_keystore_open(struct ks_keystore *store, const char *dir, bool create,
				    struct ks_error *err);

void ks_keystore_close(struct ks_keystore *store);

/* Removes what a run that was killed has left; nobody else is at it, for the store is locked. */
void ks_keystore_tidy(const struct ks_keystore *store);

/* The name that `current' leads to, "20261123-1821"; NULL where there is no such link. */
KS_MUST_CHECK bool ks_keystore_current(const struct ks_keystore *store, char **name,
				       struct ks_error *err);

/* What a key has to be to be left in use. */
struct ks_key_demand {
	const struct ks_key_type *type;
	const char *hash;
	int64_t refresh; /* seconds from the certificate's notBefore on; base/period.h */
	int64_t keep;	 /* seconds that the key before a new one goes on signing; 0: it does not */
	time_t now;
};

/*
 * *WHY becomes the reason why a new key is due, which the caller frees; NULL where none is.  What
 * cannot be read, or is no pair, is a reason, not an error.
 */
KS_MUST_CHECK bool ks_keystore_due(const struct ks_keystore *store,
				   const struct ks_key_demand *demand, char **why,
				   struct ks_error *err);

/*
 * Stores a pair in a new directory, named by NOW in UTC with a suffix if that is taken, and then
 * lets `current' lead there.  Everything is synced; until the last step `current' is as it was.
 * *NAME becomes the directory's name.  With DEMAND's keep the key until now, and those whose time is
 * not over, go on signing (core/grace.h).
 */
KS_MUST_CHECK bool ks_keystore_add(const struct ks_keystore *store, EVP_PKEY *key, X509 *cert,
				   const struct ks_key_demand *demand, char **name,
				   struct ks_error *err);

/* Those that go on signing beside the current key, at NOW. */
KS_MUST_CHECK bool ks_keystore_grace(const struct ks_keystore *store, time_t now,
				     struct ks_grace *grace, struct ks_error *err);

/* Those that would go on signing beside a new key that DEMAND makes. */
KS_MUST_CHECK bool ks_keystore_next_grace(const struct ks_keystore *store,
					  const struct ks_key_demand *demand,
					  struct ks_grace *grace, struct ks_error *err);

/* The names of the dated directories, oldest first. */
KS_MUST_CHECK bool ks_keystore_list(const struct ks_keystore *store, struct ks_strings *names,
				    struct ks_error *err);

/* Removes the dated directory NAME and the files in it. */
KS_MUST_CHECK bool ks_keystore_remove(const struct ks_keystore *store, const char *name,
				      struct ks_error *err);

/* Whether NAME is one that ks_keystore_add() gives. */
bool ks_keystore_is_dated(const char *name);

#endif
