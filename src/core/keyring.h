/* SPDX-License-Identifier: MIT */
/*
 * What the running kernel has in the keyrings that decide about modules: certs/system_keyring.c,
 * certs/blacklist.c and security/integrity/digsig.c of Linux 5.10 to 7.2.
 */
#ifndef KS_CORE_KEYRING_H
#define KS_CORE_KEYRING_H

#include <stdint.h>

#include "base/strings.h"
#include "core/openssl.h"

enum ks_keyring {
	KS_KEYRING_BUILTIN,   /* .builtin_trusted_keys: compiled into the image */
	KS_KEYRING_SECONDARY, /* .secondary_trusted_keys: added at run time */
	KS_KEYRING_MACHINE,   /* .machine: MOK; counts as far as .secondary_trusted_keys links it */
	KS_KEYRING_PLATFORM,  /* .platform: db, and MOK that is in no other */
	KS_KEYRING_BLACKLIST, /* .blacklist: hashes, and certificates that are revoked */
	KS_KEYRING_COUNT
};

/* ".builtin_trusted_keys", ... */
const char *ks_keyring_name(enum ks_keyring ring);

/* The ring of that name; KS_KEYRING_COUNT where it is of none of them. */
enum ks_keyring ks_keyring_find(const char *name);

/* The kernel's calls, as keyutils.h has them: -1 with errno, or text for free(). */
struct ks_keyctl {
	int (*read)(int32_t serial, void **serials);  /* gives bytes, four for each member */
	int (*describe)(int32_t serial, char **text); /* "TYPE;UID;GID;PERM;DESCRIPTION" */
};

/* Those of libkeyutils; NULL where the program was built without. */
extern const struct ks_keyctl *const ks_keyctl_real;

enum ks_ring_key_kind {
	KS_RING_KEY_CERT, /* the key of a certificate */
	KS_RING_KEY_FILE, /* .blacklist: SHA-256 of a file */
	KS_RING_KEY_TBS,  /* .blacklist: SHA-256 of a certificate's to-be-signed part */
};

struct ks_ring_key {
	enum ks_keyring ring;
	enum ks_ring_key_kind kind;
	char *description; /* as the kernel has it: of a certificate's key "SUBJECT: KEYID" */
	char *subject;	   /* the first part; of a hash, NULL; raw bytes */
	/*
	 * The subject key identifier, lower-case hexadecimal; of a certificate without one, its
	 * serial number.  NULL where whoever added the key called it something else.
	 */
	char *key_id;
	bool is_explained; /* for whoever compares: it is known where the key comes from */
};

struct ks_keyrings {
	/* The ring was read to its last member, or is known not to be there. */
	bool is_known[KS_KEYRING_COUNT];
	bool is_there[KS_KEYRING_COUNT];
	bool links_machine; /* .secondary_trusted_keys has .machine in it */
	struct ks_ring_key *key;
	size_t count, cap;
	struct ks_strings unseen; /* a line for each thing that could not be seen, and why */
};

#define KS_KEYRINGS __attribute__((cleanup(ks_keyrings_free))) struct ks_keyrings

/*
 * Looks the keyrings up in LIVE/proc/keys and reads their members by KEYCTL (NULL: cannot be read).
 * A kernel shows them to root alone: what may not be seen is in RINGS->unseen.  Fails only for want
 * of memory.
 */
KS_MUST_CHECK bool ks_keyrings_read(const char *live, const struct ks_keyctl *keyctl,
				    struct ks_keyrings *rings, struct ks_error *err);

void ks_keyrings_free(struct ks_keyrings *rings);

/*
 * The description that a kernel gives to the key of CERT (crypto/asymmetric_keys/): by it one is
 * found among the others.  *TEXT is the caller's.
 */
KS_MUST_CHECK bool ks_keyring_describe(X509 *cert, char **text, struct ks_error *err);

#endif
