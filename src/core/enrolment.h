/* SPDX-License-Identifier: MIT */
/*
 * How a certificate stands on its way to being a machine owner key, the list that shim keeps and
 * hands to the kernel: what mokutil, MokManager (mok.c and MokManager.c of shim) and the kernel in
 * question make of it.
 */
#ifndef KS_CORE_ENROLMENT_H
#define KS_CORE_ENROLMENT_H

#include "core/trust.h"

/* The first of these that is so. */
enum ks_enrolment_state {
	/* The kernel accepts what it signed; not as a machine owner key that is to be removed. */
	KS_ENROLMENT_TRUSTED,
	KS_ENROLMENT_REVOKED,  /* in dbx, MOKX, or compiled in as revoked */
	KS_ENROLMENT_UNUSABLE, /* the kernel cannot check signatures by such a key */
	KS_ENROLMENT_NO_EFI,   /* the firmware is none that has lists of keys */
	KS_ENROLMENT_UNSEEN,   /* nobody can tell: the firmware's variables cannot be seen */
	KS_ENROLMENT_NO_SHIM,  /* nobody will act on a request */
	KS_ENROLMENT_LEAVING,  /* in MokListRT, trusted or not, and in MokDel */
	KS_ENROLMENT_ENROLLED, /* in MokListRT, and not trusted, or nobody knows */
	KS_ENROLMENT_QUEUED,   /* in MokNew */
	KS_ENROLMENT_IN_DB, /* and not trusted, or nobody knows: mokutil takes none that is there */
	KS_ENROLMENT_ABSENT,
};

struct ks_enrolment {
	enum ks_enrolment_state state;
	const struct ks_trusted *item; /* in the trust's lists: what says so; may be NULL */
	enum ks_answer counts;	       /* as ks_trust_foresee_mok() has it */
	const char *why;	       /* the same; static, may be NULL */
};

/* What it points at is TRUST's. */
struct ks_enrolment ks_enrolment_find(const struct ks_trust *trust, X509 *cert);

/* What TRUST's list ORIGIN has of CERT; NULL where it is not there. */
const struct ks_trusted *ks_enrolment_listed(const struct ks_trust *trust, const X509 *cert,
					     enum ks_origin origin);

/* "trusted", "revoked", ...: for machines. */
const char *ks_enrolment_name(enum ks_enrolment_state state);

/* Whether mokutil --import is what brings it further. */
bool ks_enrolment_wants_import(enum ks_enrolment_state state);

#endif
