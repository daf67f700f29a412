/* SPDX-License-Identifier: MIT */
/* Which state it is, out of lists that are made by hand. */
#include "fixture.h"

#include <string.h>

#include "core/enrolment.h"

enum { LISTS = 3 };

struct listing {
	enum ks_origin origin;
	enum ks_answer counts;
};

struct example {
	struct listing in[LISTS];
	size_t count;
	enum ks_answer efi, shim;
	enum ks_enrolment_state state;
	int item; /* of IN; -1 for none */
};

#define IN(...) { __VA_ARGS__ }, sizeof((struct listing[]){ __VA_ARGS__ }) / sizeof(struct listing)
#define NOWHERE { { 0 } }, 0
#define BY_SHIM KS_YES, KS_YES

static const struct ks_trust_rule rule = { .name = "a rule",
					   .mok = KS_YES,
					   .mok_ring = KS_RING_TRUSTED,
					   .trusted_mok = KS_YES,
					   .db = KS_YES };

/* Two more certificates are everywhere, and say nothing of ours. */
static void put_lists(const struct example *example, struct ks_trusted *item,
		      struct ks_trust *trust)
{
	X509 *others[] = { identity("P-256", 1)->cert, identity("P-256", 2)->cert };

	*trust = (struct ks_trust){ .rule = &rule,
				    .item = item,
				    .efi = example->efi,
				    .shim = example->shim,
				    .secure_boot = KS_YES };
	for (int origin = 0; origin <= KS_ORIGIN_MOK_DEL; origin++)
		item[trust->count++] = (struct ks_trusted){ .cert = others[origin % 2],
							    .origin = (enum ks_origin)origin,
							    .counts = KS_YES };
	for (size_t i = 0; i < example->count; i++)
		item[trust->count++] = (struct ks_trusted){ .cert = identity("P-256", 0)->cert,
							    .origin = example->in[i].origin,
							    .counts = example->in[i].counts };
}

static void check(const struct example *example)
{
	struct ks_trusted item[KS_ORIGIN_MOK_DEL + 1 + LISTS];
	struct ks_enrolment e;
	struct ks_trust trust;

	put_lists(example, item, &trust);
	e = ks_enrolment_find(&trust, identity("P-256", 0)->cert);
	assert_string_equal(ks_enrolment_name(e.state), ks_enrolment_name(example->state));
	if (example->item < 0)
		assert_null(e.item);
	else
		assert_ptr_equal(e.item, &item[KS_ORIGIN_MOK_DEL + 1 + example->item]);
}

static void states(void **state)
{
	static const struct example examples[] = {
		{ NOWHERE, BY_SHIM, KS_ENROLMENT_ABSENT, -1 },
		{ NOWHERE, KS_YES, KS_NO, KS_ENROLMENT_NO_SHIM, -1 },
		{ NOWHERE, KS_NO, KS_UNKNOWN, KS_ENROLMENT_NO_EFI, -1 },
		{ NOWHERE, KS_UNKNOWN, KS_UNKNOWN, KS_ENROLMENT_UNSEEN, -1 },
		{ IN({ KS_ORIGIN_BUILTIN, KS_YES }), KS_NO, KS_UNKNOWN, KS_ENROLMENT_TRUSTED, 0 },
		{ IN({ KS_ORIGIN_MOK, KS_YES }), BY_SHIM, KS_ENROLMENT_TRUSTED, 0 },
		{ IN({ KS_ORIGIN_MOK, KS_YES }, { KS_ORIGIN_DB, KS_YES }), BY_SHIM,
		  KS_ENROLMENT_TRUSTED, 1 },
		{ IN({ KS_ORIGIN_MOK, KS_NO }), BY_SHIM, KS_ENROLMENT_ENROLLED, 0 },
		{ IN({ KS_ORIGIN_MOK, KS_UNKNOWN }), BY_SHIM, KS_ENROLMENT_ENROLLED, 0 },
		{ IN({ KS_ORIGIN_MOK_NEW, KS_NO }), BY_SHIM, KS_ENROLMENT_QUEUED, 0 },
		{ IN({ KS_ORIGIN_MOK_NEW, KS_NO }), KS_YES, KS_NO, KS_ENROLMENT_NO_SHIM, -1 },
		{ IN({ KS_ORIGIN_MOK_NEW, KS_NO }, { KS_ORIGIN_MOK, KS_NO }), BY_SHIM,
		  KS_ENROLMENT_ENROLLED, 1 },
		/* Removing what is not there changes nothing. */
		{ IN({ KS_ORIGIN_MOK_DEL, KS_NO }), BY_SHIM, KS_ENROLMENT_ABSENT, -1 },
		{ IN({ KS_ORIGIN_MOK_DEL, KS_NO }, { KS_ORIGIN_MOK, KS_YES }), BY_SHIM,
		  KS_ENROLMENT_LEAVING, 1 },
		{ IN({ KS_ORIGIN_MOK_DEL, KS_NO }, { KS_ORIGIN_MOK, KS_NO }), BY_SHIM,
		  KS_ENROLMENT_LEAVING, 1 },
		{ IN({ KS_ORIGIN_MOK_DEL, KS_NO }, { KS_ORIGIN_MOK, KS_YES },
		     { KS_ORIGIN_BUILTIN, KS_YES }),
		  BY_SHIM, KS_ENROLMENT_TRUSTED, 2 },
		{ IN({ KS_ORIGIN_DB, KS_YES }), BY_SHIM, KS_ENROLMENT_TRUSTED, 0 },
		{ IN({ KS_ORIGIN_DB, KS_NO }), BY_SHIM, KS_ENROLMENT_IN_DB, 0 },
		{ IN({ KS_ORIGIN_DB, KS_UNKNOWN }), BY_SHIM, KS_ENROLMENT_IN_DB, 0 },
		/* mokutil looks there, whether the kernel does or not. */
		{ IN({ KS_ORIGIN_DBX, KS_NO }), BY_SHIM, KS_ENROLMENT_REVOKED, 0 },
		{ IN({ KS_ORIGIN_MOKX, KS_YES }), BY_SHIM, KS_ENROLMENT_REVOKED, 0 },
		{ IN({ KS_ORIGIN_REVOKED, KS_YES }), BY_SHIM, KS_ENROLMENT_REVOKED, 0 },
		{ IN({ KS_ORIGIN_REVOKED, KS_UNKNOWN }), BY_SHIM, KS_ENROLMENT_REVOKED, 0 },
		{ IN({ KS_ORIGIN_REVOKED, KS_NO }), BY_SHIM, KS_ENROLMENT_ABSENT, -1 },
		{ IN({ KS_ORIGIN_DBX, KS_NO }, { KS_ORIGIN_BUILTIN, KS_YES }), BY_SHIM,
		  KS_ENROLMENT_TRUSTED, 1 },
		{ IN({ KS_ORIGIN_DBX, KS_YES }, { KS_ORIGIN_BUILTIN, KS_NO }), KS_NO, KS_UNKNOWN,
		  KS_ENROLMENT_REVOKED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
		check(&examples[i]);
}

static void what_it_will_be_worth(void **state)
{
	static const struct example example = { NOWHERE, BY_SHIM, KS_ENROLMENT_ABSENT, -1 };
	struct ks_trusted item[KS_ORIGIN_MOK_DEL + 1 + LISTS];
	X509 *cert = identity("P-256", 0)->cert;
	struct ks_trust trust;
	struct ks_enrolment e;

	(void)state;
	put_lists(&example, item, &trust);
	trust.abilities =
		(struct ks_abilities){ .config = KS_YES, .series = 6012, .ecdsa = KS_YES };
	for (size_t i = 0; i < KS_ABILITY_DIGESTS; i++) {
		trust.abilities.digest[i] = KS_YES;
		trust.abilities.is_built_in[i] = true;
	}
	e = ks_enrolment_find(&trust, cert);
	assert_int_equal(e.counts, KS_YES);
	assert_null(e.why);
	trust.secure_boot = KS_NO;
	e = ks_enrolment_find(&trust, cert);
	assert_int_equal(e.counts, KS_NO);
	assert_string_equal(e.why, "Secure Boot");
	trust.secure_boot = KS_YES;
	trust.abilities.ecdsa = KS_NO;
	e = ks_enrolment_find(&trust, cert);
	assert_int_equal(e.state, KS_ENROLMENT_UNUSABLE);
	assert_int_equal(e.counts, KS_NO);
	assert_string_equal(e.why, "key type");
}

static void who_asks_mokutil(void **state)
{
	(void)state;
	for (int i = 0; i <= KS_ENROLMENT_ABSENT; i++)
		assert_int_equal(ks_enrolment_wants_import((enum ks_enrolment_state)i),
				 i == KS_ENROLMENT_ABSENT || i == KS_ENROLMENT_LEAVING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(what_it_will_be_worth),
		cmocka_unit_test(who_asks_mokutil),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
