/* SPDX-License-Identifier: MIT */
#include "core/enrolment.h"

const struct ks_trusted *ks_enrolment_listed(const struct ks_trust *trust, const X509 *cert,
					     enum ks_origin origin)
{
	for (size_t i = 0; i < trust->count; i++)
		if (trust->item[i].origin == origin && X509_cmp(trust->item[i].cert, cert) == 0)
			return &trust->item[i];
	return NULL;
}

/* Where it is trusted from; from the machine owner keys only if from nowhere else. */
static const struct ks_trusted *trusted(const struct ks_trust *trust, const X509 *cert)
{
	static const enum ks_origin origins[] = { KS_ORIGIN_BUILTIN, KS_ORIGIN_DB, KS_ORIGIN_MOK };

	for (size_t i = 0; i < sizeof(origins) / sizeof(*origins); i++) {
		const struct ks_trusted *item = ks_enrolment_listed(trust, cert, origins[i]);

		if (item && item->counts == KS_YES)
			return item;
	}
	return NULL;
}

/* mokutil refuses what is in dbx or MOKX whether the kernel looks there or not. */
static const struct ks_trusted *revoked(const struct ks_trust *trust, const X509 *cert)
{
	const struct ks_trusted *item = ks_enrolment_listed(trust, cert, KS_ORIGIN_REVOKED);

	if (item && item->counts != KS_NO)
		return item;
	item = ks_enrolment_listed(trust, cert, KS_ORIGIN_DBX);
	return item ? item : ks_enrolment_listed(trust, cert, KS_ORIGIN_MOKX);
}

static bool is_unusable(const struct ks_trust *trust, X509 *cert)
{
	enum ks_ability_cert ability;

	if (trust->abilities.config != KS_YES)
		return false;
	ability = ks_ability_cert(&trust->abilities, cert);
	return ability == KS_CERT_UNPARSED || ability == KS_CERT_LEFT_OUT ||
	       ability == KS_CERT_UNSEEN;
}

/* What keeps everybody from enrolling. */
static bool is_hindered(const struct ks_trust *trust, struct ks_enrolment *e)
{
	if (trust->efi == KS_NO)
		e->state = KS_ENROLMENT_NO_EFI;
	else if (trust->efi == KS_UNKNOWN)
		e->state = KS_ENROLMENT_UNSEEN;
	else if (trust->shim != KS_YES)
		e->state = KS_ENROLMENT_NO_SHIM;
	else
		return false;
	return true;
}

/* In one of the firmware's and shim's lists, or in none. */
static void find_list(const struct ks_trust *trust, const X509 *cert, struct ks_enrolment *e)
{
	static const struct {
		enum ks_origin origin;
		enum ks_enrolment_state state;
	} lists[] = {
		{ KS_ORIGIN_MOK, KS_ENROLMENT_ENROLLED },
		{ KS_ORIGIN_MOK_NEW, KS_ENROLMENT_QUEUED },
		{ KS_ORIGIN_DB, KS_ENROLMENT_IN_DB },
	};

	e->state = KS_ENROLMENT_ABSENT;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		e->item = ks_enrolment_listed(trust, cert, lists[i].origin);
		if (e->item) {
			e->state = lists[i].state;
			return;
		}
	}
}

struct ks_enrolment ks_enrolment_find(const struct ks_trust *trust, X509 *cert)
{
	bool leaves = ks_enrolment_listed(trust, cert, KS_ORIGIN_MOK_DEL);
	struct ks_enrolment e = { .item = trusted(trust, cert) };

	e.counts = ks_trust_foresee_mok(trust, cert, &e.why);
	if (e.item && !(leaves && e.item->origin == KS_ORIGIN_MOK)) {
		e.state = KS_ENROLMENT_TRUSTED;
		return e;
	}
	e.item = revoked(trust, cert);
	/* By a hash of it, which is no item, where the reason is that. */
	if (e.item || (e.why && strcmp(e.why, "refused") == 0)) {
		e.state = KS_ENROLMENT_REVOKED;
		return e;
	}
	if (is_unusable(trust, cert)) {
		e.state = KS_ENROLMENT_UNUSABLE;
		return e;
	}
	if (is_hindered(trust, &e))
		return e;
	find_list(trust, cert, &e);
	if (e.state == KS_ENROLMENT_ENROLLED && leaves)
		e.state = KS_ENROLMENT_LEAVING;
	return e;
}

const char *ks_enrolment_name(enum ks_enrolment_state state)
{
	static const char *const names[] = {
		[KS_ENROLMENT_TRUSTED] = "trusted",	  [KS_ENROLMENT_REVOKED] = "revoked",
		[KS_ENROLMENT_UNUSABLE] = "key type",	  [KS_ENROLMENT_NO_EFI] = "no UEFI",
		[KS_ENROLMENT_UNSEEN] = "unknown",	  [KS_ENROLMENT_NO_SHIM] = "no shim",
		[KS_ENROLMENT_LEAVING] = "to be removed", [KS_ENROLMENT_ENROLLED] = "enrolled",
		[KS_ENROLMENT_QUEUED] = "queued",	  [KS_ENROLMENT_IN_DB] = "in db",
		[KS_ENROLMENT_ABSENT] = "not enrolled",
	};

	return names[state];
}

bool ks_enrolment_wants_import(enum ks_enrolment_state state)
{
	return state == KS_ENROLMENT_ABSENT || state == KS_ENROLMENT_LEAVING;
}
