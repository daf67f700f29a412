/* SPDX-License-Identifier: MIT */
/*
 * What one kernel can check signatures with: the numbers that its parsers have names for, and the
 * digests and key types that its crypto brings.  Sources: crypto/asymmetric_keys/pkcs7_parser.c,
 * x509_cert_parser.c, x509_public_key.c and public_key.c of Linux 5.10 to 7.2.
 */
#ifndef KS_CORE_ABILITY_H
#define KS_CORE_ABILITY_H

#include "base/answer.h"
#include "core/kernel.h"
#include "core/openssl.h"

enum { KS_ABILITY_DIGESTS = 16 }; /* room for the table in ability.c */

struct ks_abilities {
	int series;	       /* ks_kernel_series(), 0 if unknown */
	enum ks_answer config; /* whether a config of this kernel could be read */
	enum ks_answer digest[KS_ABILITY_DIGESTS];
	bool is_built_in
		[KS_ABILITY_DIGESTS]; /* there when the keyrings are filled, before modules */
	enum ks_answer ecdsa, mldsa;
	enum ks_answer waiver; /* ML-DSA with signed attributes: CONFIG_PKCS7_WAIVE_AUTHATTRS_... */
};

/* What a kernel does with a thing that has a name: an algorithm, or a key. */
enum ks_ability {
	KS_ABILITY_UNKNOWN,
	KS_ABILITY_NAMELESS, /* its parser gives up on the whole message, or certificate */
	KS_ABILITY_ABSENT,   /* it knows the name, but cannot do it */
	KS_ABILITY_PRESENT,
};

/*
 * A digest that was built as a module is there if it is loaded, or if it and a modprobe are there to
 * be used.  IS_RUNNING: /proc, inside LIVE (NULL: the host's), speaks of this kernel.  Where nobody
 * can tell, it is unknown.  Fails only for want of memory.
 */
KS_MUST_CHECK bool ks_abilities_find(const struct ks_kernel *kernel, const char *root,
				     bool is_running, const char *live,
				     struct ks_abilities *abilities, struct ks_error *err);

/* By OpenSSL's long names, as struct ks_signer_id has them: of a digest, of a signature. */
enum ks_ability ks_ability_digest(const struct ks_abilities *abilities, const char *name);
enum ks_ability ks_ability_algorithm(const struct ks_abilities *abilities, const char *name);

/* Whether today's kernels have a name for it at all, whatever is built into which of them. */
bool ks_ability_is_known_digest(const char *name);

enum ks_ability_cert {
	KS_CERT_UNKNOWN,
	KS_CERT_UNPARSED, /* nor any keyring: the parser gives up on it (ENOPKG) */
	KS_CERT_LEFT_OUT, /* no keyring has it: the kernel cannot check that it signed itself */
	KS_CERT_UNSEEN,	  /* in the keyring, but no signature by it is ever good */
	KS_CERT_USABLE,
};

/* What becomes of CERT where this kernel is to take it into a keyring. */
enum ks_ability_cert ks_ability_cert(const struct ks_abilities *abilities, X509 *cert);

#endif
