/* SPDX-License-Identifier: MIT */
#include "core/keysearch.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/grace.h"
#include "core/keystore.h"
#include "core/token.h"

enum { KHASH_LIMIT = 256 }; /* bytes of a khash file: one word */

static const char default_hash[] = "sha512";

static const struct {
	const char *key, *cert, *why;
} owner_keys[] = {
	{ "/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub", "the key of DKMS" },
	{ "/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der",
	  "the machine owner key of shim" },
	{ "/etc/pki/akmods/private/private_key.priv", "/etc/pki/akmods/certs/public_key.der",
	  "the key of akmods" },
};

static bool set(struct ks_key_place *p, const char *root, const char *key, const char *cert,
		const char *why, struct ks_error *err)
{
	p->root = root;
	return ks_string_copy(&p->key, key, err) && ks_string_copy(&p->cert, cert, err) &&
	       ks_string_copy(&p->why, why, err);
}

static bool set_in(struct ks_key_place *p, const char *root, const char *dir, const char *key,
		   const char *cert, const char *why, struct ks_error *err)
{
	KS_STRING key_path = NULL;
	KS_STRING cert_path = NULL;

	return ks_string_print(&key_path, err, "%s/%s", dir, key) &&
	       ks_string_print(&cert_path, err, "%s/%s", dir, cert) &&
	       set(p, root, key_path, cert_path, why, err);
}

/* STORE's other keys, that sign at NOW. */
static bool list_previous(const char *root, const char *store, time_t now, struct ks_strings *dirs,
			  struct ks_error *err)
{
	KS_GRACE grace = { 0 };
	KS_STRING current = NULL;

	if (!ks_string_print(&current, err, "%s/current", store) ||
	    !ks_grace_read(root, current, now, &grace, err))
		return false;
	for (size_t i = 0; i < grace.count; i++) {
		KS_STRING dir = NULL;

		if (!ks_string_print(&dir, err, "%s/%s", store, grace.item[i].name) ||
		    !ks_strings_add(dirs, dir, err))
			return false;
	}
	return true;
}

static bool set_store(struct ks_key_place *p, const struct ks_keysearch *s, const char *root,
		      const char *store, const char *why, struct ks_error *err)
{
	const char *key = s->cert_only ? KS_KEYSTORE_CERT : KS_KEYSTORE_KEY;
	KS_STRING current = NULL;

	return ks_string_print(&current, err, "%s/current", store) &&
	       set_in(p, root, current, key, KS_KEYSTORE_CERT, why, err) &&
	       list_previous(root, store, s->now, &p->previous, err);
}

static bool use_names(struct ks_key_place *p, const struct ks_keysearch *s,
		      const struct ks_key_names *names, const char *root, const char *why,
		      struct ks_error *err)
{
	const char *cert = names->cert ? names->cert : names->key;
	const char *key = s->cert_only ? cert : names->key;

	if (key)
		return set(p, root, key, cert, why, err);
	if (names->cert)
		return ks_fail(err, KS_ERR_USAGE, "%s names a certificate without a key", why);
	return !names->store || set_store(p, s, root, names->store, why, err);
}

static bool use_if_there(struct ks_key_place *p, const char *root, const char *dir, const char *key,
			 const char *cert, const char *why, struct ks_error *err)
{
	KS_STRING path = NULL;

	if (p->key)
		return true;
	if (!ks_string_print(&path, err, "%s/%s", dir, key))
		return false;
	return !ks_place_exists(root, path) || set_in(p, root, dir, key, cert, why, err);
}

static const char of_kernel[] = "the kernel's own key";

static bool use_own_store(struct ks_key_place *p, const struct ks_keysearch *s,
			  struct ks_error *err)
{
	KS_STRING store = NULL;
	KS_STRING key = NULL;

	if (p->key || !s->kernel)
		return true;
	return ks_string_print(&store, err, "%s/build/certs-local", s->kernel->dir) &&
	       ks_string_print(&key, err, "%s/current/%s", store,
			       s->cert_only ? KS_KEYSTORE_CERT : KS_KEYSTORE_KEY) &&
	       (!ks_place_exists(s->root, key) || set_store(p, s, s->root, store, of_kernel, err));
}

static bool use_build_tree(struct ks_key_place *p, const struct ks_keysearch *s,
			   struct ks_error *err)
{
	const char *key = s->cert_only ? "signing_key.x509" : "signing_key.pem";
	KS_STRING dir = NULL;

	return !s->kernel ||
	       (ks_string_print(&dir, err, "%s/build/certs", s->kernel->dir) &&
		use_if_there(p, s->root, dir, key, "signing_key.x509", of_kernel, err));
}

static bool use_machine_key(struct ks_key_place *p, const struct ks_keysearch *s,
			    struct ks_error *err)
{
	for (size_t i = 0; !p->key && i < sizeof(owner_keys) / sizeof(*owner_keys); i++) {
		const char *cert = owner_keys[i].cert;
		const char *key = s->cert_only ? cert : owner_keys[i].key;

		if (ks_place_exists(s->root, key) &&
		    !set(p, s->root, key, cert, owner_keys[i].why, err))
			return false;
	}
	return true;
}

static bool find_key(const struct ks_keysearch *s, struct ks_key_place *p, struct ks_error *err)
{
	if (!use_names(p, s, &s->option, NULL, "the command line", err) ||
	    (!p->key && !use_names(p, s, &s->environment, NULL, "the environment", err)) ||
	    (!p->key && !use_names(p, s, &s->config, s->root, "the configuration file", err)) ||
	    !use_own_store(p, s, err))
		return false;
	if (!p->key && !s->no_machine_keys && !use_machine_key(p, s, err))
		return false;
	if (!use_build_tree(p, s, err))
		return false;
	if (!p->key && s->cert_only)
		return ks_fail(err, KS_ERR_MISSING, "no certificate found: name one with --cert");
	return p->key ||
	       ks_fail(err, KS_ERR_MISSING,
		       "no signing key found: name one with --key and --cert, "
		       "in KERNEL_SIGN_KEY and KERNEL_SIGN_CERT, or in /etc/kernel-sign.conf");
}

static bool set_hash(struct ks_key_place *p, const char *hash, const char *why,
		     struct ks_error *err)
{
	return ks_string_copy(&p->hash, hash, err) && ks_string_copy(&p->hash_why, why, err);
}

/* The word in the file `khash' beside the key, as genkeys writes it. */
static bool use_khash(struct ks_key_place *p, struct ks_error *err)
{
	const char *slash = strrchr(p->key, '/');
	KS_STRING path = NULL;
	KS_STRING word = NULL;
	KS_BUF text = { 0 };
	struct stat st;
	size_t len = 0;

	/* A key on a token has no directory. */
	if (ks_token_is_uri(p->key))
		return true;
	if (!ks_string_print(&path, err, "%.*skhash", slash ? (int)(slash - p->key + 1) : 0,
			     p->key))
		return false;
	if (!ks_file_read_path(p->root, path, KHASH_LIMIT, &text, &st, err))
		return err->sys == ENOENT || err->sys == ENOTDIR ? true : ks_at(err, path);
	while (len < text.len && isgraph(text.data[len]))
		len++;
	return !len || (ks_string_print(&word, err, "%.*s", (int)len, (char *)text.data) &&
			set_hash(p, word, path, err));
}

static bool use_kernel_hash(const struct ks_keysearch *s, struct ks_key_place *p,
			    struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;

	if (!s->kernel)
		return true;
	if (!ks_kernel_config(s->kernel, s->root, "CONFIG_MODULE_SIG_HASH", &value, &file, err))
		return false;
	return !value || !value[0] || set_hash(p, value, file, err);
}

static bool find_hash(const struct ks_keysearch *s, struct ks_key_place *p, struct ks_error *err)
{
	if (s->option_hash)
		return set_hash(p, s->option_hash, "the command line", err);
	if (s->config_hash)
		return set_hash(p, s->config_hash, "the configuration file", err);
	return use_khash(p, err) && (p->hash || use_kernel_hash(s, p, err)) &&
	       (p->hash || set_hash(p, default_hash, "the default", err));
}

bool ks_keysearch(const struct ks_keysearch *search, struct ks_key_place *place,
		  struct ks_error *err)
{
	*place = (struct ks_key_place){ 0 };
	if (find_key(search, place, err) && find_hash(search, place, err))
		return true;
	ks_key_place_free(place);
	return false;
}

/* Certificates */

/* Of what a store signs with; ROOT as for the search. */
static bool add_store(const char *root, const char *store, time_t now, struct ks_strings *paths,
		      struct ks_error *err)
{
	KS_STRINGS dirs = { 0 };
	KS_STRING path = NULL;

	if (!ks_string_print(&path, err, "%s/current/" KS_KEYSTORE_CERT, store) ||
	    !ks_strings_add(paths, path, err) || !list_previous(root, store, now, &dirs, err))
		return false;
	for (size_t i = 0; i < dirs.count; i++) {
		KS_STRING cert = NULL;

		if (!ks_string_print(&cert, err, "%s/" KS_KEYSTORE_CERT, dirs.item[i]) ||
		    (ks_place_exists(root, cert) && !ks_strings_add(paths, cert, err)))
			return false;
	}
	return true;
}

static bool name_cert(const char *root, const struct ks_key_names *names, time_t now,
		      struct ks_strings *paths, struct ks_error *err)
{
	if (names->cert)
		return ks_strings_add(paths, names->cert, err);
	if (names->key)
		return ks_strings_add(paths, names->key, err);
	return !names->store || add_store(root, names->store, now, paths, err);
}

static bool add_if_there(const struct ks_keysearch *s, const char *dir, const char *cert,
			 struct ks_strings *paths, struct ks_error *err)
{
	KS_STRING path = NULL;

	return ks_string_print(&path, err, "%s%s", dir, cert) &&
	       (!ks_place_exists(s->root, path) || ks_strings_add(paths, path, err));
}

static bool add_own_store(const struct ks_keysearch *s, struct ks_strings *paths,
			  struct ks_error *err)
{
	KS_STRING store = NULL;
	KS_STRING cert = NULL;

	return ks_string_print(&store, err, "%s/build/certs-local", s->kernel->dir) &&
	       ks_string_print(&cert, err, "%s/current/" KS_KEYSTORE_CERT, store) &&
	       (!ks_place_exists(s->root, cert) || add_store(s->root, store, s->now, paths, err));
}

static bool find_certs(const struct ks_keysearch *s, struct ks_strings *paths, struct ks_error *err)
{
	const char *dir = s->kernel ? s->kernel->dir : NULL;

	if (dir && (!add_own_store(s, paths, err) ||
		    !add_if_there(s, dir, "/build/certs/signing_key.x509", paths, err)))
		return false;
	for (size_t i = 0; i < sizeof(owner_keys) / sizeof(*owner_keys); i++)
		if (!add_if_there(s, "", owner_keys[i].cert, paths, err))
			return false;
	return true;
}

bool ks_certsearch(const struct ks_keysearch *search, struct ks_strings *paths, const char **root,
		   const char **why, struct ks_error *err)
{
	*root = NULL;
	*why = "the environment";
	if (!name_cert(NULL, &search->environment, search->now, paths, err))
		return false;
	if (paths->count)
		return true;
	*root = search->root;
	*why = "the configuration file";
	if (!name_cert(search->root, &search->config, search->now, paths, err))
		return false;
	if (paths->count)
		return true;
	*why = "a key of this kernel or machine";
	return find_certs(search, paths, err);
}

void ks_key_place_free(struct ks_key_place *place)
{
	ks_string_free(&place->key);
	ks_string_free(&place->cert);
	free(place->why);
	ks_strings_free(&place->previous);
	free(place->hash);
	free(place->hash_why);
	*place = (struct ks_key_place){ 0 };
}
