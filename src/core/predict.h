/* SPDX-License-Identifier: MIT */
/*
 * What one kernel does with a module when it is to be loaded, said before anybody tries.  The order
 * of its questions is that of libkmod, kernel/module/signing.c, crypto/asymmetric_keys/
 * pkcs7_verify.c and pkcs7_trust.c, certs/system_keyring.c and kernel/module/main.c of Linux 6.1 to
 * 7.2; tests/kernel compares the answers with those of booted kernels.
 */
#ifndef KS_CORE_PREDICT_H
#define KS_CORE_PREDICT_H

#include "core/codec.h"
#include "core/inspect.h"
#include "core/loader.h"

enum ks_cause {
	KS_CAUSE_NONE,

	/* These three matter only where signatures are enforced; else they taint the kernel. */
	KS_CAUSE_UNSIGNED,
	KS_CAUSE_UNAVAILABLE_KEY,
	KS_CAUSE_UNSUPPORTED_CRYPTO,

	KS_CAUSE_BAD_SIGNATURE,
	KS_CAUSE_MALFORMED,
	KS_CAUSE_NOT_SIGNED_DATA,
	KS_CAUSE_NOT_DATA, /* SignedData of something that is not id-data */
	KS_CAUSE_ATTRIBUTES,
	KS_CAUSE_REVOKED,     /* a signer whose certificate is refused */
	KS_CAUSE_BLACKLISTED, /* the hash of the very file */
	KS_CAUSE_CONTAINER,   /* who is to decompress it cannot */
	KS_CAUSE_VERMAGIC,
};

enum ks_fate {
	KS_FATE_UNKNOWN,
	KS_FATE_LOADS,
	KS_FATE_TAINTS,		       /* loads, since nothing is enforced, and taints the kernel */
	KS_FATE_REFUSED_WHEN_ENFORCED, /* which it is, or nobody knows: trust's ENFORCED says */
	KS_FATE_REFUSED,	       /* enforced or not */
};

struct ks_prediction {
	enum ks_fate fate;
	enum ks_cause cause; /* NONE where it loads; where the fate is unknown, what it may be */
	int sys;	     /* the errno that user space gets; 0 where none, or nobody knows */
	size_t signer;	     /* that decided, if BY is there */
	const struct ks_trusted *by; /* the certificate that decided, of the trust's; or NULL */
	const char *why;	     /* UNKNOWN: why; else what is to be added, or NULL; static */
	/* Refused for VERMAGIC: the candidate's, and the loader's, unless it is the version that differs. */
	const char *vermagic, *own_vermagic;
};

/* A module as it was read: CONTENT is what was in the container CODEC. */
struct ks_candidate {
	struct ks_view content;
	const struct ks_codec *codec;
	const struct ks_objection *objection; /* ks_codec's */
	const char *vermagic;		      /* or NULL */
	struct ks_inspection *inspection;
};

/* Safe in several threads, one a candidate.  Fails only for want of memory. */
KS_MUST_CHECK bool ks_predict(const struct ks_loader *loader, const struct ks_candidate *candidate,
			      struct ks_prediction *prediction, struct ks_error *err);

/* "loads", "taints", "refused when enforced", "refused", "unknown": for machines. */
const char *ks_fate_name(enum ks_fate fate);

/* "unsigned module", "module with unavailable key", ...: the kernel's words, where it has any. */
const char *ks_cause_name(enum ks_cause cause);

#endif
