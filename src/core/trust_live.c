/* SPDX-License-Identifier: MIT */
#include "core/trust_live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/file.h"

#define IMA "/sys/kernel/security/ima"

enum { POLICY_LIMIT = 4 << 20 }; /* bytes */

/* The items of TRUST in its keyrings; none has moved since they were judged by the rule. */
struct comparison {
	struct ks_trust *trust;
	struct ks_strings name; /* of each item: what the kernel calls its key */
	bool builtin_differs;
	bool is_sure; /* of what should be in .builtin_trusted_keys */
};

static bool is_pending(enum ks_origin origin)
{
	return origin == KS_ORIGIN_MOK_NEW || origin == KS_ORIGIN_MOK_DEL;
}

/* The keyring that the rule has it in; KS_KEYRING_COUNT for none. */
static enum ks_keyring expected_in(const struct ks_trusted *item)
{
	struct ks_trusted by_rule = *item;
	const char *name;

	by_rule.is_found = KS_UNKNOWN;
	name = ks_trusted_keyring(&by_rule);
	if (ks_origin_is_refusal(item->origin))
		return item->counts == KS_NO ? KS_KEYRING_COUNT : KS_KEYRING_BLACKLIST;
	return name ? ks_keyring_find(name) : KS_KEYRING_COUNT;
}

static struct ks_ring_key *find_key(struct ks_trust *trust, enum ks_keyring ring,
				    enum ks_ring_key_kind kind, const char *description)
{
	for (size_t i = 0; i < trust->rings.count; i++) {
		struct ks_ring_key *key = &trust->rings.key[i];

		if (key->ring == ring && key->kind == kind &&
		    strcmp(key->description, description) == 0)
			return key;
	}
	return NULL;
}

/* Where an item is to be looked for. */
static bool may_hold(enum ks_keyring ring, enum ks_origin origin)
{
	return (ring == KS_KEYRING_BLACKLIST) == ks_origin_is_refusal(origin);
}

/* .builtin_trusted_keys has nothing from elsewhere. */
static bool explains(const struct ks_trusted *item, enum ks_keyring ring)
{
	return ring != KS_KEYRING_BUILTIN || item->origin == KS_ORIGIN_BUILTIN;
}

/* In the keyring where it belongs, if it is there; else in the first that has it. */
static void look_for(struct comparison *c, size_t i)
{
	struct ks_trust *trust = c->trust;
	struct ks_trusted *item = &trust->item[i];
	enum ks_keyring expected = expected_in(item);
	bool all_known = true;

	if (is_pending(item->origin))
		return;
	item->is_found = KS_NO;
	for (enum ks_keyring ring = 0; ring < KS_KEYRING_COUNT; ring++) {
		struct ks_ring_key *key;

		if (!may_hold(ring, item->origin))
			continue;
		all_known = all_known && trust->rings.is_known[ring];
		key = find_key(trust, ring, KS_RING_KEY_CERT, c->name.item[i]);
		if (!key)
			continue;
		key->is_explained = key->is_explained || explains(item, ring);
		if (item->is_found != KS_YES || ring == expected)
			item->found = ring;
		item->is_found = KS_YES;
	}
	if (item->is_found == KS_NO && !all_known)
		item->is_found = KS_UNKNOWN;
}

/* What differs */

static bool add_difference(struct ks_trust *trust, const char *name, const char *what,
			   struct ks_error *err)
{
	KS_STRING line = NULL;

	return ks_string_print(&line, err, "%s: %s", name, what) &&
	       ks_strings_add(&trust->differences, line, err);
}

/* The same key from elsewhere is why it is there. */
static bool is_expected_of_another(const struct comparison *c, size_t i)
{
	const struct ks_trust *trust = c->trust;

	for (size_t k = 0; k < trust->count; k++)
		if (k != i && strcmp(c->name.item[k], c->name.item[i]) == 0 &&
		    expected_in(&trust->item[k]) == trust->item[i].found)
			return true;
	return false;
}

static bool differs(const struct comparison *c, size_t i)
{
	const struct ks_trusted *item = &c->trust->item[i];
	enum ks_keyring expected = expected_in(item);

	if (item->is_found == KS_UNKNOWN)
		return false;
	/* Where nobody knows what to expect, or what is there, nothing differs. */
	if (expected != KS_KEYRING_COUNT)
		return (item->counts == KS_YES || item->is_unseen) &&
		       c->trust->rings.is_known[expected] &&
		       (item->is_found == KS_NO || item->found != expected);
	/* What is refused may well be there. */
	return item->is_found == KS_YES && (!item->why || strcmp(item->why, "refused") != 0) &&
	       !is_expected_of_another(c, i);
}

static const char *ring_text(enum ks_keyring ring)
{
	return ring == KS_KEYRING_COUNT ? "no keyring" : ks_keyring_name(ring);
}

static bool compare_item(struct comparison *c, size_t i, struct ks_error *err)
{
	const struct ks_trusted *item = &c->trust->item[i];
	enum ks_keyring expected = expected_in(item);
	KS_STRING text = NULL;

	if (item->origin == KS_ORIGIN_BUILTIN && item->counts == KS_UNKNOWN &&
	    item->is_found == KS_NO)
		c->is_sure = false;
	if (!differs(c, i))
		return true;
	if (item->origin == KS_ORIGIN_BUILTIN)
		c->builtin_differs = true;
	return ks_string_print(
		       &text, err, "from %s: expected in %s%s%s%s, is in %s",
		       ks_origin_name(item->origin), ring_text(expected), item->why ? " (" : "",
		       item->why ? item->why : "", item->why ? ")" : "",
		       ring_text(item->is_found == KS_YES ? item->found : KS_KEYRING_COUNT)) &&
	       add_difference(c->trust, c->name.item[i], text, err);
}

static bool compare_builtin(struct comparison *c, struct ks_error *err)
{
	struct ks_trust *trust = c->trust;

	for (size_t i = 0; trust->is_image_read && i < trust->rings.count; i++) {
		const struct ks_ring_key *key = &trust->rings.key[i];

		if (key->ring != KS_KEYRING_BUILTIN || key->is_explained)
			continue;
		c->builtin_differs = true;
		if (!add_difference(trust, key->description,
				    "in .builtin_trusted_keys, and not in the image", err))
			return false;
	}
	if (c->builtin_differs)
		trust->keyrings_agree = KS_NO;
	else if (trust->rings.is_known[KS_KEYRING_BUILTIN] && trust->is_image_read && c->is_sure)
		trust->keyrings_agree = KS_YES;
	return true;
}

/* The hashes of dbx and MOKX are in .blacklist, one key each. */
static bool compare_hashes(struct ks_trust *trust, struct ks_error *err)
{
	size_t missing = 0;
	char count[64];

	for (size_t i = 0; i < trust->refused_count; i++) {
		struct ks_refused *refused = &trust->refused[i];
		bool is_file = refused->hash.type == KS_SIGLIST_IMAGE;
		char name[4 + 2 * KS_SIGLIST_SHA256 + 1];
		struct ks_ring_key *key;
		char *end = stpcpy(name, is_file ? "bin:" : "tbs:");

		for (size_t at = 0; at < KS_SIGLIST_SHA256; at++)
			end += sprintf(end, "%02x", refused->hash.value[at]);
		key = find_key(trust, KS_KEYRING_BLACKLIST,
			       is_file ? KS_RING_KEY_FILE : KS_RING_KEY_TBS, name);
		if (key)
			key->is_explained = true;
		else if (!trust->rings.is_known[KS_KEYRING_BLACKLIST])
			continue;
		missing += !key && refused->counts == KS_YES;
		refused->counts = key ? KS_YES : KS_NO;
	}
	snprintf(count, sizeof(count), "%zu expected in .blacklist are not there", missing);
	return !missing || add_difference(trust, "hashes in dbx and MOKX", count, err);
}

/* Where every key of every ring is an item, no place is left that others could come from. */
static void find_completeness(struct ks_trust *trust)
{
	bool all_known = true, all_explained = true;

	for (enum ks_keyring ring = 0; ring < KS_KEYRING_COUNT; ring++)
		all_known = all_known && trust->rings.is_known[ring];
	for (size_t i = 0; i < trust->rings.count; i++)
		all_explained = all_explained && (trust->rings.key[i].is_explained ||
						  trust->rings.key[i].kind != KS_RING_KEY_CERT);
	if (!all_explained)
		trust->is_complete = false;
	else if (all_known)
		trust->is_complete = true;
}

static bool compare(struct comparison *c, struct ks_error *err)
{
	struct ks_trust *trust = c->trust;

	for (size_t i = 0; i < trust->count; i++) {
		KS_STRING name = NULL;

		if (!ks_keyring_describe(trust->item[i].cert, &name, err) ||
		    !ks_strings_add(&c->name, name, err))
			return false;
		look_for(c, i);
	}
	for (size_t i = 0; i < trust->count; i++)
		if (!compare_item(c, i, err))
			return false;
	if (!compare_builtin(c, err) || !compare_hashes(trust, err))
		return false;
	find_completeness(trust);
	return true;
}

bool ks_trust_read_rings(const struct ks_trust_search *search, struct ks_trust *trust,
			 struct ks_error *err)
{
	struct comparison c = { .trust = trust, .is_sure = true };
	bool ok = ks_keyrings_read(search->live, search->keyctl ? search->keyctl : ks_keyctl_real,
				   &trust->rings, err);

	for (size_t i = 0; ok && i < trust->rings.unseen.count; i++)
		ok = ks_strings_add(&trust->unseen, trust->rings.unseen.item[i], err);
	ok = ok && compare(&c, err);
	ks_strings_free(&c.name);
	return ok;
}

enum ks_answer ks_trust_asks(const struct ks_trust *trust, enum ks_keyring ring)
{
	if (ring == KS_KEYRING_PLATFORM)
		return trust->rule->db;
	if (ring != KS_KEYRING_MACHINE || trust->rings.links_machine)
		return KS_YES;
	return trust->rings.is_known[KS_KEYRING_SECONDARY] ? KS_NO : KS_UNKNOWN;
}

/* IMA */

/* A line of its policy: an action and conditions, all of which have to be met. */
static enum ks_answer rule_says(char *line)
{
	bool is_appraise, is_dont, is_only = true;
	char *action = strsep(&line, " "), *word;

	is_appraise = strcmp(action, "appraise") == 0;
	is_dont = strcmp(action, "dont_appraise") == 0;
	while ((word = strsep(&line, " "))) {
		bool is_func = strncmp(word, "func=", 5) == 0;

		if (is_func && strcmp(word, "func=MODULE_CHECK") != 0)
			return KS_UNKNOWN;
		is_only = is_only && (is_func || !word[0]);
	}
	return is_appraise ? KS_YES : is_dont && is_only ? KS_NO : KS_UNKNOWN;
}

/* The first rule that decides: a rule without func= is for modules as well. */
static enum ks_answer policy_says(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		enum ks_answer answer = rule_says(line);

		if (answer != KS_UNKNOWN)
			return answer;
	}
	return KS_NO;
}

static void ima_says(struct ks_trust *trust, enum ks_answer answer, const char *why)
{
	trust->ima_appraise = answer;
	trust->ima_why = why;
}

/* There is no policy to be read. */
static void without_policy(const char *live, struct ks_trust *trust, const struct ks_error *why)
{
	KS_STRINGS names = { 0 };
	struct ks_error err;

	if (why->sys != ENOENT)
		ima_says(trust, KS_UNKNOWN, "its policy cannot be read");
	else if (ks_dir_names_at(live, IMA, &names, &err) || err.sys != ENOENT)
		ima_says(trust, KS_UNKNOWN, "it does not show its policy");
	/* What securityfs shows else says that it is mounted. */
	else if (trust->lockdown)
		ima_says(trust, KS_NO, "this kernel has no IMA");
	else
		ima_says(trust, KS_UNKNOWN, "securityfs cannot be seen");
}

bool ks_trust_read_ima(const struct ks_trust_search *search, struct ks_trust *trust,
		       struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;
	KS_BULK policy = { 0 };

	if (!ks_kernel_config(search->kernel, search->root, "CONFIG_IMA_APPRAISE", &value, &file,
			      err))
		return false;
	if (trust->abilities.config == KS_YES && !value) {
		ima_says(trust, KS_NO, "CONFIG_IMA_APPRAISE is not set");
	} else if (!search->is_running) {
		ima_says(trust, KS_UNKNOWN, "it is not running");
	} else if (!ks_file_read_live(search->live, IMA "/policy", POLICY_LIMIT, &policy, err)) {
		without_policy(search->live, trust, err);
	} else {
		if (!ks_buf_append(&policy, "", 1, err))
			return false;
		ima_says(trust, policy_says((char *)policy.data), "its policy");
	}
	return true;
}
