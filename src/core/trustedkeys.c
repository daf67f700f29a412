/* SPDX-License-Identifier: MIT */
#include "core/trustedkeys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/certs.h"
#include "core/kconfig.h"

enum {
	CONFIG_LIMIT = 16 << 20, /* bytes */
	MOST_FILES = 100,	 /* trusted_keys.pem of different content beside one key */
};

static const char symbol[] = "CONFIG_SYSTEM_TRUSTED_KEYS";
static const char keyring[] = "CONFIG_SYSTEM_TRUSTED_KEYRING";
static const char bundle[] = "trusted_keys";

struct job {
	const struct ks_keystore *store;
	const char *name;
	const struct ks_grace *grace;
	const char *config; /* canonical path */
	bool dry_run;
	struct ks_certs kept;
};

/* Which certificates are not ours */

static bool is_in(const struct ks_certs *certs, const X509 *cert)
{
	for (size_t i = 0; i < certs->count; i++)
		if (X509_cmp(certs->item[i], cert) == 0)
			return true;
	return false;
}

/* A directory that cannot be read is no key of ours that anybody could mean. */
static bool load_own(const struct ks_keystore *store, struct ks_certs *own, struct ks_error *err)
{
	KS_STRINGS names = { 0 };
	struct ks_error passed_over;

	if (!ks_keystore_list(store, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		KS_STRING path = NULL;

		if (!ks_string_print(&path, err, "%s/%s/" KS_KEYSTORE_CERT, store->path,
				     names.item[i]))
			return false;
		(void)!ks_certs_load(own, NULL, path, &passed_over);
	}
	return true;
}

/* "…/20261123-1821/signing_key.pem": what a store gave the kernel; false for anything else. */
static bool is_in_a_store(const char *value, char dated[NAME_MAX + 1], const char **file)
{
	const char *slash = strrchr(value, '/');
	const char *start = slash;

	if (!slash)
		return false;
	while (start > value && start[-1] != '/')
		start--;
	if ((size_t)(slash - start) > NAME_MAX)
		return false;
	memcpy(dated, start, (size_t)(slash - start));
	dated[slash - start] = '\0';
	*file = slash + 1;
	return ks_keystore_is_dated(dated) || strcmp(dated, "current") == 0;
}

/* A key of a store that is gone or has moved. */
static bool was_a_key(const char *value)
{
	char dated[NAME_MAX + 1];
	const char *file;

	return is_in_a_store(value, dated, &file) && strcmp(file, KS_KEYSTORE_KEY) == 0;
}

/* What find_bundle() made, where the store has moved since: *PATH, in the store; else NULL. */
static bool find_moved(const struct ks_keystore *store, const char *value, char **path,
		       struct ks_error *err)
{
	char dated[NAME_MAX + 1];
	const char *file;

	*path = NULL;
	if (!is_in_a_store(value, dated, &file) || strncmp(file, bundle, sizeof(bundle) - 1) != 0)
		return true;
	return ks_string_print(path, err, "%s/%s/%s", store->path, dated, file);
}

/* Whatever has become of it: no certificate of others is kept there. */
static bool is_own_key(const struct ks_keystore *store, const char *path)
{
	size_t len = strlen(store->path);

	return strncmp(path, store->path, len) == 0 && path[len] == '/' && was_a_key(path + len) &&
	       strchr(path + len + 1, '/') == strrchr(path, '/');
}

/* The kernel's build takes a relative path from its source; a config's own place is what we know. */
static bool absolute(const struct job *job, const char *value, char **path, struct ks_error *err)
{
	const char *slash = strrchr(job->config, '/');

	if (value[0] == '/')
		return ks_string_copy(path, value, err);
	return ks_string_print(path, err, "%.*s%s", (int)(slash - job->config + 1), job->config,
			       value);
}

/* ERR says why the file that VALUE names could not be read. */
static bool load_moved(const struct job *job, const char *value, struct ks_certs *named,
		       struct ks_error *err)
{
	KS_STRING path = NULL;
	struct ks_error other;

	if (err->sys == ENOENT) {
		if (!find_moved(job->store, value, &path, err))
			return false;
		if (path && ks_certs_load(named, NULL, path, &other))
			return true;
		err->code = KS_ERR_MISSING;
		err->sys = 0;
	}
	return ks_at(err, "the certificates that CONFIG_SYSTEM_TRUSTED_KEYS names cannot be kept");
}

static bool load_kept(struct job *job, const char *value, struct ks_error *err)
{
	KS_CERTS named = { 0 };
	KS_CERTS own = { 0 };
	KS_STRING path = NULL;

	if (!value || !value[0])
		return true;
	if (!absolute(job, value, &path, err))
		return false;
	if (is_own_key(job->store, path))
		return true;
	if (!ks_certs_load(&named, NULL, path, err)) {
		if (err->sys == ENOENT && was_a_key(value))
			return true;
		if (!load_moved(job, value, &named, err))
			return false;
	}
	if (!load_own(job->store, &own, err))
		return false;
	for (size_t i = 0; i < named.count; i++)
		if (!is_in(&own, named.item[i]) && !is_in(&job->kept, named.item[i]) &&
		    !ks_certs_add(&job->kept, named.item[i], err))
			return false;
	return true;
}

/* The file that the symbol is to name */

static bool add_own(const struct job *job, const char *name, struct ks_buf *pem,
		    struct ks_error *err)
{
	KS_CERTS own = { 0 };
	KS_STRING path = NULL;

	return ks_string_print(&path, err, "%s/%s/" KS_KEYSTORE_CERT, job->store->path, name) &&
	       ks_certs_load(&own, NULL, path, err) && ks_cert_write_pem(own.item[0], pem, err);
}

static bool make_bundle(const struct job *job, struct ks_buf *pem, struct ks_error *err)
{
	if (!add_own(job, job->name, pem, err))
		return false;
	for (size_t i = 0; i < job->grace->count; i++)
		if (!add_own(job, job->grace->item[i].name, pem, err))
			return false;
	for (size_t i = 0; i < job->kept.count; i++)
		if (!ks_cert_write_pem(job->kept.item[i], pem, err))
			return false;
	return true;
}

static bool holds(const char *path, struct ks_view content, bool *exists, bool *same,
		  struct ks_error *err)
{
	KS_BUF file = { 0 };
	struct stat st;

	*exists = ks_file_read_path(NULL, path, CONFIG_LIMIT, &file, &st, err);
	*same = *exists && ks_view_equal(ks_buf_view(&file), content);
	return *exists || err->sys == ENOENT || ks_at(err, path);
}

static bool write_bundle(const struct job *job, const char *path, struct ks_view pem,
			 struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	if (job->dry_run)
		return true;
	return (ks_place_find(&place, NULL, path, err) && ks_file_write(&place, 0644, pem, err)) ||
	       ks_at(err, path);
}

/* Two configs can keep different certificates: each content has a file of its own. */
static bool find_bundle(const struct job *job, struct ks_view pem, char **path,
			struct ks_error *err)
{
	for (int number = 1; number <= MOST_FILES; number++) {
		char suffix[16] = "";
		bool exists, same;

		if (number > 1)
			snprintf(suffix, sizeof(suffix), "-%d", number);
		ks_string_free(path);
		if (!ks_string_print(path, err, "%s/%s/%s%s.pem", job->store->path, job->name,
				     bundle, suffix) ||
		    !holds(*path, pem, &exists, &same, err))
			return false;
		if (same)
			return true;
		if (!exists)
			return write_bundle(job, *path, pem, err);
	}
	return ks_fail(err, KS_ERR_INPUT, "too many files like %s", *path);
}

static bool choose_value(const struct job *job, char **value, struct ks_error *err)
{
	KS_BUF pem = { 0 };

	if (!job->kept.count && !job->grace->count)
		return ks_string_print(value, err, "%s/%s/" KS_KEYSTORE_KEY, job->store->path,
				       job->name);
	return make_bundle(job, &pem, err) && find_bundle(job, ks_buf_view(&pem), value, err);
}

/* The config */

static bool update(struct job *job, const struct ks_place *place, struct ks_trusted_keys *result,
		   struct ks_error *err)
{
	KS_BUF config = { 0 };
	KS_BUF changed = { 0 };
	KS_STRING old = NULL;
	struct stat st;

	if (!ks_file_read(place, CONFIG_LIMIT, &config, &st, err) ||
	    !ks_kconfig_get(ks_buf_view(&config), symbol, &old, err) || !load_kept(job, old, err))
		return false;
	result->kept = job->kept.count;
	if (!job->name)
		return true;
	return choose_value(job, &result->value, err) &&
	       ks_kconfig_set_string(ks_buf_view(&config), symbol, result->value, keyring, &changed,
				     &result->changed, err) &&
	       (!result->changed || job->dry_run ||
		ks_file_replace(place, &st, ks_buf_view(&changed), NULL, err));
}

bool ks_trusted_keys_set(const struct ks_keystore *store, const char *name,
			 const struct ks_grace *grace, const char *path, bool dry_run,
			 struct ks_trusted_keys *result, struct ks_error *err)
{
	struct job job = { .store = store, .name = name, .grace = grace, .dry_run = dry_run };
	KS_PLACE place = KS_PLACE_NONE;
	bool ok;

	*result = (struct ks_trusted_keys){ 0 };
	ok = ks_place_find(&place, NULL, path, err);
	job.config = place.path;
	ok = ok && update(&job, &place, result, err);
	ks_certs_free(&job.kept);
	if (ok)
		return true;
	ks_trusted_keys_free(result);
	return ks_at(err, path);
}

void ks_trusted_keys_free(struct ks_trusted_keys *result)
{
	free(result->value);
	*result = (struct ks_trusted_keys){ 0 };
}
