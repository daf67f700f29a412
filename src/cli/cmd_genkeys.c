/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/period.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/key_guard.h"
#include "cli/report.h"
#include "core/kconfig.h"
#include "core/secret.h"
#include "core/trustedkeys.h"

enum {
	FILE_LIMIT = 16 << 20, /* bytes, of a config or a request */
	DEFAULT_DAYS = 36500,
	KEEP_MOST = 3650 * 24 * 60 * 60, /* seconds */
};

static const char default_refresh[] = "7d";

struct genkeys_args {
	struct ks_strings configs; /* as given: files or patterns */
	const char *refresh;
	const char *keep_previous;
	const char *keys;
	const char *type;
	const char *hash;
	const char *subject;
	unsigned days;
	unsigned prune;
	bool dry_run;
	bool quiet;
	bool verbose;
};

struct run {
	const struct genkeys_args *args;
	struct ks_strings configs; /* files */
	const char *dir;
	struct ks_keystore store;
	struct ks_key_demand demand;
	char *hash;
	struct ks_buf request; /* x509.oot.genkey */
	char host[256];
	char *name;   /* of the key in use afterwards; NULL where a dry run would have made it */
	char *before; /* of the key until now, where a new one is made */
	struct ks_grace grace; /* the keys that go on signing beside it */
};

/* Where the keys and the configs are */

static bool add_matches(struct run *run, const char *pattern, struct ks_error *err)
{
	glob_t found;
	bool ok = true;

	/* A name is itself first: brackets may stand in a directory's name. */
	if (access(pattern, F_OK) == 0)
		return ks_strings_add(&run->configs, pattern, err);
	if (glob(pattern, 0, NULL, &found) || !found.gl_pathc)
		ok = ks_fail(err, KS_ERR_MISSING, "%s: no such kernel config", pattern);
	for (size_t i = 0; ok && i < found.gl_pathc; i++)
		ok = ks_strings_add(&run->configs, found.gl_pathv[i], err);
	globfree(&found);
	return ok;
}

static bool is_here(const char *dir)
{
	struct stat here, there;

	return stat(".", &here) == 0 && stat(dir, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

/* In the key store ../config, as 3.0; elsewhere ./config, and what lies beside the store. */
static bool default_config(struct run *run, struct ks_error *err)
{
	KS_STRING beside = NULL;

	if (!ks_string_print(&beside, err, "%s/../config", run->dir))
		return false;
	if (!is_here(run->dir) && access("config", F_OK) == 0)
		return ks_strings_add(&run->configs, "config", err);
	if (access(beside, F_OK) == 0)
		return ks_strings_add(&run->configs, beside, err);
	if (access("config", F_OK) == 0)
		return ks_strings_add(&run->configs, "config", err);
	return run->args->type != NULL ||
	       ks_fail(err, KS_ERR_MISSING,
		       "no kernel config at ./config or %s: name it with --config, or the key with "
		       "--type",
		       beside);
}

static bool find_configs(struct run *run, struct ks_error *err)
{
	if (!run->args->configs.count)
		return default_config(run, err);
	for (size_t i = 0; i < run->args->configs.count; i++)
		if (!add_matches(run, run->args->configs.item[i], err))
			return false;
	ks_strings_sort(&run->configs);
	return true;
}

/* What the configs say */

static bool read_config(const char *path, struct ks_buf *config, struct ks_error *err)
{
	struct stat st;

	return ks_file_read_path(NULL, path, FILE_LIMIT, config, &st, err) || ks_at(err, path);
}

static bool is_set(struct ks_view config, const char *symbol, bool *set, struct ks_error *err)
{
	KS_STRING value = NULL;

	if (!ks_kconfig_get(config, symbol, &value, err))
		return false;
	*set = value && strcmp(value, "y") == 0;
	return true;
}

static bool config_type(struct ks_view config, const struct ks_key_type **type,
			struct ks_error *err)
{
	*type = NULL;
	for (const struct ks_key_type *t = ks_key_types; t->name; t++) {
		bool set;

		if (!is_set(config, t->symbol, &set, err))
			return false;
		if (set && *type)
			return ks_fail(err, KS_ERR_INPUT, "both %s and %s are set", (*type)->symbol,
				       t->symbol);
		if (set)
			*type = t;
	}
	return true;
}

static bool agree(const struct run *run, const char *what, const char *one, const char *other,
		  const char *path, struct ks_error *err)
{
	if (strcmp(one, other) == 0)
		return true;
	return ks_fail(err, KS_ERR_INPUT, "the configs disagree: %s says %s %s, %s says %s",
		       run->configs.item[0], what, one, path, other);
}

/* Options count first; then what a config does not say, another must not say either. */
static bool take_config(struct run *run, const char *path, struct ks_error *err)
{
	const bool type_is_given = run->args->type;
	const struct ks_key_type *type;
	KS_BUF config = { 0 };
	KS_STRING hash = NULL;

	if (!read_config(path, &config, err) || !config_type(ks_buf_view(&config), &type, err) ||
	    !ks_kconfig_get(ks_buf_view(&config), "CONFIG_MODULE_SIG_HASH", &hash, err))
		return false;
	if (!type_is_given && !type) {
		ks_fail(err, KS_ERR_INPUT,
			"no CONFIG_MODULE_SIG_KEY_TYPE_* is set: --type names one");
		return ks_at(err, path);
	}
	if (!run->args->hash && (!hash || !hash[0])) {
		ks_fail(err, KS_ERR_INPUT, "CONFIG_MODULE_SIG_HASH is not set: --hash names one");
		return ks_at(err, path);
	}
	if (!run->demand.type)
		run->demand.type = type;
	if (!run->hash && !ks_string_copy(&run->hash, hash, err))
		return false;
	return (type_is_given ||
		agree(run, "key type", run->demand.type->name, type->name, path, err)) &&
	       (run->args->hash || agree(run, "hash", run->hash, hash, path, err));
}

static bool take_keep(struct run *run, struct ks_error *err)
{
	const char *keep = run->args->keep_previous;

	if (!keep)
		return true;
	if (!ks_period_parse(keep, &run->demand.keep, err))
		return ks_at(err, "--keep-previous");
	return (run->demand.keep > 0 && run->demand.keep <= KEEP_MOST) ||
	       ks_fail(err, KS_ERR_USAGE, "--keep-previous: '%s' is no span of at most 10 years",
		       keep);
}

static bool take_options(struct run *run, struct ks_error *err)
{
	const struct genkeys_args *args = run->args;

	if (!ks_period_parse(args->refresh ? args->refresh : default_refresh, &run->demand.refresh,
			     err))
		return ks_at(err, "--refresh");
	if (!take_keep(run, err))
		return false;
	if (args->type) {
		run->demand.type = ks_key_type_find(args->type);
		if (!run->demand.type)
			return ks_fail(err, KS_ERR_USAGE,
				       "--type: '%s' is none of rsa, ecdsa, "
				       "mldsa-44, mldsa-65, mldsa-87",
				       args->type);
	}
	return !args->hash || ks_string_copy(&run->hash, args->hash, err);
}

static bool demand(struct run *run, struct ks_error *err)
{
	if (!take_options(run, err) || !find_configs(run, err))
		return false;
	for (size_t i = 0; i < run->configs.count; i++)
		if (!take_config(run, run->configs.item[i], err))
			return false;
	if (!run->hash && !ks_string_copy(&run->hash, "sha512", err))
		return false;
	run->demand.hash = run->hash;
	run->demand.now = time(NULL);
	return true;
}

/* What is recommended, and not there; nothing of it is changed. */
static bool recommend(const char *path, struct ks_error *err)
{
	static const struct {
		const char *symbol, *value;
	} wanted[] = { { "CONFIG_MODULE_SIG", "y" },
		       { "CONFIG_MODULE_SIG_FORCE", NULL },
		       { "CONFIG_MODULE_COMPRESS_ZSTD", "y" },
		       { "CONFIG_MODULE_SIG_KEY_TYPE_ECDSA", "y" },
		       { "CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS", NULL } };
	KS_BUF config = { 0 };
	KS_STRING hash = NULL;

	if (!read_config(path, &config, err))
		return false;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		bool set;

		if (!is_set(ks_buf_view(&config), wanted[i].symbol, &set, err))
			return false;
		if (set != (wanted[i].value != NULL))
			report_warning("%s: %s is %s; %s is recommended, see kernel-sign-keys(7)",
				       path, wanted[i].symbol, set ? "set" : "not set",
				       wanted[i].value ? wanted[i].value : "n");
	}
	if (!ks_kconfig_get(ks_buf_view(&config), "CONFIG_MODULE_SIG_HASH", &hash, err))
		return false;
	if (hash && strcmp(hash, "sha512") != 0 && strcmp(hash, "sha3-512") != 0)
		report_warning(
			"%s: CONFIG_MODULE_SIG_HASH is %s; sha512 or sha3-512 is recommended, "
			"see kernel-sign-keys(7)",
			path, hash);
	return true;
}

/* The key */

static bool read_request(struct run *run, struct ks_error *err)
{
	KS_STRING path = NULL;
	struct stat st;

	if (!ks_string_print(&path, err, "%s/%s", run->dir, KS_KEYSTORE_REQUEST))
		return false;
	if (ks_file_read_path(NULL, path, FILE_LIMIT, &run->request, &st, err))
		return true;
	return err->sys == ENOENT || ks_at(err, path);
}

static struct ks_keygen describe_key(struct run *run)
{
	if (gethostname(run->host, sizeof(run->host) - 1))
		strcpy(run->host, "localhost");
	run->host[strcspn(run->host, ".")] = '\0';
	return (struct ks_keygen){ .type = run->demand.type,
				   .hash = run->hash,
				   .subject = run->args->subject,
				   .host = run->host,
				   .template = ks_buf_view(&run->request),
				   .now = run->demand.now,
				   .days = run->args->days ? run->args->days : DEFAULT_DAYS };
}

static bool make_key(struct run *run, const struct ks_keygen *how, const char *why,
		     struct ks_error *err)
{
	KS_EVP_PKEY *key = NULL;
	KS_X509 *cert = NULL;

	if (!ks_keystore_current(&run->store, &run->before, err) ||
	    !ks_keygen(how, &key, &cert, err) ||
	    !ks_keystore_add(&run->store, key, cert, &run->demand, &run->name, err))
		return false;
	if (!run->args->quiet)
		report_line("%s/%s: a new %s key, for %s: %s", run->store.path, run->name,
			    run->demand.type->name, run->hash, why);
	return true;
}

static bool may_write_configs(const struct run *run, struct ks_error *err)
{
	for (size_t i = 0; i < run->configs.count; i++) {
		KS_PLACE place = KS_PLACE_NONE;

		if (!ks_place_find(&place, NULL, run->configs.item[i], err) ||
		    !ks_file_may_replace(&place, err))
			return ks_at(err, run->configs.item[i]);
	}
	return true;
}

/* A store that was not there is made now; another run may have been faster. */
static bool make_store(struct run *run, char **why, struct ks_error *err)
{
	if (run->store.dir >= 0)
		return true;
	ks_keystore_close(&run->store);
	ks_string_free(why);
	return ks_keystore_open(&run->store, run->dir, true, err) &&
	       ks_keystore_due(&run->store, &run->demand, why, err);
}

static bool keep_key(struct run *run, struct ks_error *err)
{
	if (!ks_keystore_current(&run->store, &run->name, err))
		return false;
	if (!run->args->quiet)
		report_line("%s/%s: stays in use", run->store.path, run->name);
	return true;
}

/* Everything that can be wrong shows before a store or a key is made. */
static bool refresh(struct run *run, struct ks_error *err)
{
	KS_STRING why = NULL;
	struct ks_keygen how;

	if (!ks_keystore_due(&run->store, &run->demand, &why, err) || !read_request(run, err))
		return false;
	if (!why)
		return keep_key(run, err);
	how = describe_key(run);
	if (!ks_keygen_check(&how, err) || !may_write_configs(run, err))
		return false;
	if (run->args->dry_run) {
		report_line("%s: a new %s key would be made, for %s: %s", run->store.path,
			    run->demand.type->name, run->hash, why);
		return true;
	}
	if (!make_store(run, &why, err))
		return false;
	return why ? make_key(run, &how, why, err) : keep_key(run, err);
}

/* REHEARSED: only what others have in the config is looked at, and nothing is said. */
static bool set_config(const struct run *run, const char *path, bool rehearsed,
		       struct ks_error *err)
{
	struct ks_trusted_keys trusted;

	if (!ks_trusted_keys_set(&run->store, run->name, &run->grace, path,
				 run->args->dry_run || !run->name, &trusted, err))
		return false;
	if (!run->args->quiet && trusted.value && (trusted.changed || run->args->verbose))
		report_line("%s: CONFIG_SYSTEM_TRUSTED_KEYS %s %s", path,
			    !trusted.changed   ? "is already" :
			    run->args->dry_run ? "would become" :
						 "is now",
			    trusted.value);
	if (!run->args->quiet && !rehearsed && !run->name)
		report_line("%s: CONFIG_SYSTEM_TRUSTED_KEYS would name the new key", path);
	if (!run->args->quiet && !rehearsed && trusted.kept)
		report_line("%s: %zu certificates that were trusted before stay so", path,
			    trusted.kept);
	ks_trusted_keys_free(&trusted);
	return true;
}

static bool find_grace(struct run *run, struct ks_error *err)
{
	if (!(run->name ? ks_keystore_grace(&run->store, run->demand.now, &run->grace, err) :
			  ks_keystore_next_grace(&run->store, &run->demand, &run->grace, err)))
		return false;
	if (run->demand.keep && run->before && !ks_grace_has(&run->grace, run->before))
		report_warning("warning: %s/%s does not go on signing: it cannot be opened without "
			       "a passphrase, or is no key and its certificate",
			       run->store.path, run->before);
	for (size_t i = 0; !run->args->quiet && i < run->grace.count; i++) {
		char until[KS_TEXT_TIME_SIZE];

		ks_text_time(run->grace.item[i].until, until);
		report_line("%s/%s: %s until %s", run->store.path, run->grace.item[i].name,
			    run->name ? "goes on signing" : "would go on signing", until);
	}
	return true;
}

static bool set_configs(const struct run *run, bool rehearsed, struct ks_error *err)
{
	for (size_t i = 0; i < run->configs.count; i++)
		if (!set_config(run, run->configs.item[i], rehearsed, err))
			return false;
	return true;
}

/* Old keys */

/* Whether a config names something in that directory: its key must stay then. */
static bool is_named(const struct run *run, const char *name, bool *named, struct ks_error *err)
{
	KS_STRING part = NULL;

	*named = false;
	if (!ks_string_print(&part, err, "/%s/", name))
		return false;
	for (size_t i = 0; i < run->configs.count; i++) {
		KS_BUF config = { 0 };
		KS_STRING value = NULL;

		if (!read_config(run->configs.item[i], &config, err) ||
		    !ks_kconfig_get(ks_buf_view(&config), "CONFIG_SYSTEM_TRUSTED_KEYS", &value,
				    err))
			return false;
		*named |= value && strstr(value, part);
	}
	return true;
}

/* A dry run that would have made a key counts it, and its configs would name that. */
static bool prune(const struct run *run, struct ks_error *err)
{
	size_t keep = run->args->prune - (run->args->prune && !run->name);
	KS_STRINGS names = { 0 };
	bool named = false;

	if (!run->args->prune)
		return true;
	if (!ks_keystore_list(&run->store, &names, err))
		return false;
	for (size_t i = 0; i + keep < names.count; i++) {
		const char *name = names.item[i];

		if (run->name && !is_named(run, name, &named, err))
			return false;
		if (named || (run->name && strcmp(run->name, name) == 0) ||
		    ks_grace_has(&run->grace, name))
			continue;
		if (!run->args->dry_run && !ks_keystore_remove(&run->store, name, err))
			return false;
		report_line("%s/%s: %s", run->store.path, name,
			    run->args->dry_run ? "would be removed" : "removed");
	}
	return true;
}

/* Its certs/Makefile makes the file a prerequisite. */
static bool check_path(const struct run *run, struct ks_error *err)
{
	if (strchr(run->store.path, '\n'))
		return ks_fail(err, KS_ERR_INPUT, "%s: a newline cannot stand in a kernel config",
			       run->store.path);
	if (strpbrk(run->store.path, " \t$#:%\\\"'"))
		report_warning(
			"warning: %s: a kernel's build takes no blank, quote, $, #, : or %% in "
			"the path of a key",
			run->store.path);
	return true;
}

/* The configs are all looked at before a key is made, and written after it is safe on disk. */
static bool run_all(struct run *run, struct ks_error *err)
{
	if (!demand(run, err) || !ks_keystore_open(&run->store, run->dir, false, err) ||
	    !key_guard_store(&run->store, run->dir, run->demand.now, err) ||
	    !check_path(run, err) || !set_configs(run, true, err))
		return false;
	for (size_t i = 0; run->args->verbose && i < run->configs.count; i++)
		if (!recommend(run->configs.item[i], err))
			return false;
	if (!run->args->dry_run)
		ks_keystore_tidy(&run->store);
	return refresh(run, err) && find_grace(run, err) && set_configs(run, false, err) &&
	       prune(run, err);
}

static int run_genkeys(void *ctx, int operands, char **operand)
{
	struct genkeys_args *args = ctx;
	struct run run = { .args = args,
			   .dir = args->keys ? args->keys : ks_keystore_default(),
			   .store = KS_KEYSTORE_NONE };
	struct ks_error err = { 0 };
	bool ok;

	if (operands) {
		report_warning("genkeys takes no operand: %s", operand[0]);
		return STATUS_USAGE;
	}
	ks_secret_hold();
	ok = run_all(&run, &err);
	if (!ok)
		report_error(&err);
	ks_keystore_close(&run.store);
	ks_strings_free(&run.configs);
	ks_buf_free(&run.request);
	ks_grace_free(&run.grace);
	free(run.hash);
	free(run.name);
	free(run.before);
	return ok ? STATUS_DONE : err.code == KS_ERR_USAGE ? STATUS_USAGE : STATUS_FAILED;
}

#define ARGS struct genkeys_args

static const struct option_row options[] = {
	{ 'c', "config", "FILE",
	  "a kernel config, or a pattern; may be repeated (default: "
	  "./config, or ../config of the key store)",
	  OPTION_LIST, offsetof(ARGS, configs) },
	{ 'r', "refresh", "PERIOD",
	  "make a new key when the old one is so old: 30d, '2 weeks', "
	  "always, never (default: 7d)",
	  OPTION_STRING, offsetof(ARGS, refresh) },
	{ 0, "keep-previous", "PERIOD",
	  "when a new key is made, sign with the one before it, too, and trust it, for so long",
	  OPTION_STRING, offsetof(ARGS, keep_previous) },
	{ 0, "keys", "DIR", "the key store (default: . or certs-local)", OPTION_STRING,
	  offsetof(ARGS, keys) },
	{ 0, "type", "TYPE",
	  "rsa, ecdsa, mldsa-44, mldsa-65, mldsa-87 (default: as the configs say)", OPTION_STRING,
	  offsetof(ARGS, type) },
	{ 0, "hash", "NAME", "the digest (default: as the configs say)", OPTION_STRING,
	  offsetof(ARGS, hash) },
	{ 0, "subject", "NAME", "the certificate's common name", OPTION_STRING,
	  offsetof(ARGS, subject) },
	{ 0, "days", "N", "how long the certificate is valid (default: 36500)", OPTION_DAYS,
	  offsetof(ARGS, days) },
	{ 0, "prune", "N", "keep the newest N keys, remove older ones that nothing names",
	  OPTION_COUNT, offsetof(ARGS, prune) },
	{ 'n', "dry-run", NULL, "change nothing, say what would be done", OPTION_FLAG,
	  offsetof(ARGS, dry_run) },
	{ 'q', "quiet", NULL, "no results, only warnings and errors", OPTION_FLAG,
	  offsetof(ARGS, quiet) },
	{ 'v', "verbose", NULL, "say also what stays, and which recommended symbols differ",
	  OPTION_FLAG, offsetof(ARGS, verbose) },
	{ 0 },
};

const struct command command_genkeys = {
	.name = "genkeys",
	.operands = "",
	.summary = "make or rotate the key of a custom kernel and write it into its configs",
	.text = "Makes a new key pair in the key store if none is there that fits the configs or the old\n"
		"one is due, and lets CONFIG_SYSTEM_TRUSTED_KEYS of every config name it.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_genkeys,
};
