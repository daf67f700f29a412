/* SPDX-License-Identifier: MIT */
#include "cli/keys.h"

#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "core/cert.h"
#include "core/keystore.h"

static void tell(const struct ks_identity *identity, const char *why)
{
	KS_STRING subject = NULL;
	struct ks_error err;

	if (ks_name_short(X509_get_subject_name(identity->cert), &subject, &err))
		report_warning("key %s (from %s), certificate %s \"%s\"", identity->key_name, why,
			       identity->cert_name, subject);
}

bool keys_add(struct keys *keys, const struct key_file *file, const char *why, struct ks_error *err)
{
	struct ks_identity *identity;

	if (keys->count == KS_IDENTITIES)
		return ks_fail(err, KS_ERR_USAGE, "more than %d keys", KS_IDENTITIES);
	identity = &keys->item[keys->count];
	if (!key_file_open(file, identity, err)) {
		ks_identity_free(identity);
		return false;
	}
	keys->count++;
	if (keys->verbose)
		tell(identity, why);
	return true;
}

/* Into the list of names, where it stays as long as the keys. */
static bool name_in(struct keys *keys, const char *dir, const char *file, const char **name,
		    struct ks_error *err)
{
	KS_STRING path = NULL;

	if (!ks_string_print(&path, err, "%s/%s", dir, file) ||
	    !ks_strings_add(&keys->names, path, err))
		return false;
	*name = keys->names.item[keys->names.count - 1];
	return true;
}

/* All that is asked of it later, when it would keep the others from signing. */
static bool check_last(struct keys *keys, struct ks_error *err)
{
	struct ks_identity *last = &keys->item[keys->count - 1];
	bool is_new = true;

	for (size_t i = 0; i + 1 < keys->count; i++)
		is_new &= X509_cmp(keys->item[i].cert, last->cert) != 0;
	if (!is_new)
		ks_fail(err, KS_ERR_KEY, "the same certificate twice");
	if (is_new && ks_identity_check(last, err))
		return true;
	ks_identity_blame(last, err);
	ks_identity_free(last);
	keys->count--;
	return false;
}

/* Whoever can write to it says which keys sign, among those that are there. */
static bool check_list(const struct ks_key_place *place, enum key_guard guard, struct ks_error *err)
{
	const char *slash = strrchr(place->key, '/');
	KS_STRING path = NULL;

	return ks_string_print(&path, err, "%.*s" KS_GRACE_FILE,
			       slash ? (int)(slash - place->key + 1) : 0, place->key) &&
	       key_guard_file(guard, place->root, path, err);
}

bool keys_add_previous(struct keys *keys, const struct ks_key_place *place, enum key_guard guard,
		       struct ks_error *err)
{
	struct key_file file = { .root = place->root, .guard = guard };

	if (place->previous.count && !check_list(place, guard, err))
		return false;
	for (size_t i = 0; i < place->previous.count; i++) {
		const char *dir = place->previous.item[i];

		if (!name_in(keys, dir, KS_KEYSTORE_KEY, &file.key, err) ||
		    !name_in(keys, dir, KS_KEYSTORE_CERT, &file.cert, err))
			return false;
		if (keys_add(keys, &file, "the current key's grace period", err) &&
		    check_last(keys, err))
			continue;
		if (err->sys == ENOMEM)
			return false;
		report_warning("warning: %s; modules are signed without this key", err->text);
	}
	return true;
}

void keys_free(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		ks_identity_free(&keys->item[i]);
	ks_strings_free(&keys->names);
	*keys = (struct keys){ 0 };
}
