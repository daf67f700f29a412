/* SPDX-License-Identifier: MIT */
#include "cli/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/keys.h"
#include "cli/report.h"
#include "core/efivar.h"
#include "core/token.h"

enum { DEFAULT_MAX_SIZE = 1 << 30 }; /* bytes */

static struct utsname running;

static unsigned count_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

/* However it is written: what is said of the running system is meant then. */
static bool is_live_root(const char *root)
{
	struct stat given, live;

	return stat(root, &given) == 0 && stat("/", &live) == 0 && given.st_dev == live.st_dev &&
	       given.st_ino == live.st_ino;
}

bool request_complete(struct request *r, int operands, char **operand)
{
	r->name = operand;
	r->names = (size_t)operands;
	if (r->dir && r->names) {
		report_warning("--dir and a MODULE cannot be combined");
		return false;
	}
	if (r->all && (r->dir || r->names)) {
		report_warning("--all is for a whole kernel: it cannot be combined with %s",
			       r->dir ? "--dir" : "a MODULE");
		return false;
	}
	if (r->root && is_live_root(r->root))
		r->root = NULL;
	if (!r->jobs)
		r->jobs = count_processors();
	if (!r->max_size)
		r->max_size = DEFAULT_MAX_SIZE;
	return true;
}

struct ks_load request_load(const struct request *r)
{
	return (struct ks_load){ .root = r->root, .max_size = r->max_size };
}

static bool needs_kernel(const struct request *r)
{
	if (r->dir)
		return false;
	for (size_t i = 0; i < r->names; i++)
		if (!ks_locate_is_path(r->name[i]))
			return true;
	return r->names == 0;
}

bool request_is_of_all(const struct request *r)
{
	return r->kernel && strcmp(r->kernel, "all") == 0;
}

bool request_versions(const struct request *r, struct ks_strings *versions, struct ks_error *err)
{
	if (request_is_of_all(r)) {
		if (!ks_kernel_versions(r->root, versions, err))
			return false;
		return versions->count ||
		       ks_fail(err, KS_ERR_MISSING, "no kernel below %s/lib/modules",
			       r->root ? r->root : "");
	}
	if (r->kernel)
		return ks_strings_add(versions, r->kernel, err);
	if (uname(&running))
		return ks_fail_errno(err, "uname");
	return ks_strings_add(versions, running.release, err);
}

bool request_find_kernel(const struct request *r, const char *version, struct ks_kernel *kernel,
			 struct ks_error *err)
{
	if (!ks_kernel_find(kernel, r->root, version, err))
		return false;
	kernel->is_running =
		!r->root && uname(&running) == 0 && strcmp(version, running.release) == 0;
	return true;
}

static int run_kernel(const struct request *r, const char *version,
		      int (*each)(void *ctx, const struct ks_kernel *kernel,
				  const struct ks_modules *modules),
		      void *ctx)
{
	struct ks_locate locate = { .load = request_load(r),
				    .dir = r->dir,
				    .name = r->name,
				    .names = r->names,
				    .in_tree = r->all,
				    .jobs = r->jobs };
	KS_KERNEL kernel = { 0 };
	KS_MODULES modules = { 0 };
	struct ks_error err;
	int status;

	if (request_find_kernel(r, version, &kernel, &err)) {
		locate.kernel = &kernel;
	} else if (needs_kernel(r) || r->kernel) {
		report_error(&err);
		return STATUS_FAILED;
	}
	if (!ks_locate(&locate, &modules, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < modules.faults.count; i++) {
		ks_fail(&err, KS_ERR_MISSING, "%s", modules.faults.item[i]);
		report_error(&err);
	}
	if (modules.faults.count && !modules.count)
		return STATUS_FAILED;
	status = each(ctx, locate.kernel, &modules);
	return modules.faults.count ? STATUS_FAILED : status;
}

int request_each_kernel(const struct request *r,
			int (*each)(void *ctx, const struct ks_kernel *kernel,
				    const struct ks_modules *modules),
			void *ctx)
{
	KS_STRINGS versions = { 0 };
	int status = STATUS_DONE;
	struct ks_error err;

	if (!request_versions(r, &versions, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < versions.count; i++)
		if (run_kernel(r, versions.item[i], each, ctx) != STATUS_DONE)
			status = STATUS_FAILED;
	return status;
}

int request_report_nothing(const struct request *r, const struct ks_kernel *kernel)
{
	const char *root = r->root ? r->root : "";
	struct ks_error err;

	if (!r->dir && !r->all) {
		if (!r->quiet)
			report_warning("no out-of-tree module below %s%s", root, kernel->dir);
		return STATUS_DONE;
	}
	if (r->dir)
		ks_fail(&err, KS_ERR_MISSING,
			"no module file (.ko, .ko.gz, .ko.xz, .ko.zst) in %s%s", root, r->dir);
	else
		ks_fail(&err, KS_ERR_MISSING, "no module below %s%s", root, kernel->dir);
	report_error(&err);
	return STATUS_FAILED;
}

/* Keys */

/* The first is looked for wherever keys may be; more of them only the command line names. */
static bool open_keys(const struct key_options *options, const struct ks_key_place *place,
		      enum key_guard guard, struct keys *keys, struct ks_error *err)
{
	struct key_file file = {
		.root = place->root, .key = place->key, .cert = place->cert, .guard = guard
	};

	if (!keys_add(keys, &file, place->why, err) || !keys_add_previous(keys, place, guard, err))
		return false;
	file.root = NULL;
	for (size_t i = 1; i < options->key.count; i++) {
		file.key = options->key.item[i];
		file.cert = options->cert.count ? options->cert.item[i] : file.key;
		if (!keys_add(keys, &file, "the command line", err))
			return false;
	}
	return true;
}

static bool open_signer(const struct request *r, const struct key_options *options,
			const struct ks_keysearch *search, enum key_guard guard,
			struct ks_signer **signer, struct ks_error *err)
{
	KS_KEY_PLACE place = { 0 };
	KEYS keys = { .verbose = r->verbose };
	struct ks_signer_spec spec = { .identity = keys.item,
				       .deterministic = options->deterministic };

	if (!ks_keysearch(search, &place, err) || !open_keys(options, &place, guard, &keys, err))
		return false;
	if (r->verbose)
		report_warning("hash %s (from %s)", place.hash, place.hash_why);
	spec.count = keys.count;
	spec.hash = place.hash;
	return ks_signer_open(signer, &spec, err);
}

bool request_check_keys(const struct key_options *options)
{
	size_t keys = options->key.count, certs = options->cert.count;

	if (keys > KS_IDENTITIES)
		report_warning("more than %d keys", KS_IDENTITIES);
	else if (keys > 1 && options->keys)
		report_warning("--keys goes with one --key at most");
	else if ((keys > 1 && certs && certs != keys) || (keys <= 1 && certs > 1))
		report_warning("%zu --key and %zu --cert: each key wants its own, or none does",
			       keys, certs);
	else
		return true;
	return false;
}

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

struct ks_keysearch request_search(const char *root, const struct config *config,
				   const struct ks_kernel *kernel)
{
	return (struct ks_keysearch){
		.environment = { variable("KERNEL_SIGN_KEY"), variable("KERNEL_SIGN_CERT"), NULL },
		.config = { config->key, config->cert, config->keys },
		.config_hash = config->hash,
		.root = root,
		.kernel = kernel,
		.now = time(NULL),
	};
}

static const char *first(const struct ks_strings *names)
{
	return names->count ? names->item[0] : NULL;
}

bool request_open_signer(const struct request *r, const struct key_options *options,
			 const struct ks_kernel *kernel, struct ks_signer **signer)
{
	struct config config = { 0 };
	struct ks_error err;
	bool ok = config_read(r->root, &config, &err);

	if (ok) {
		struct ks_keysearch search = request_search(r->root, &config, kernel);

		search.option = (struct ks_key_names){ first(&options->key), first(&options->cert),
						       options->keys };
		search.option_hash = options->hash;
		ok = open_signer(r, options, &search, config.key_guard, signer, &err);
	}
	if (!ok)
		report_error(&err);
	config_free(&config);
	return ok;
}

static bool tell_certs(const char *path, const char *why, struct ks_error *err)
{
	KS_STRING shown = NULL;

	if (!ks_token_redact(path, &shown, err))
		return false;
	report_warning("certificates of %s (from %s)", shown, why);
	return true;
}

static bool load_certs(const struct request *r, const struct ks_strings *paths, const char *root,
		       const char *why, struct ks_certs *certs, struct ks_error *err)
{
	for (size_t i = 0; i < paths->count; i++) {
		if (!key_file_certs(certs, root, paths->item[i], err))
			return false;
		if (r->verbose && !tell_certs(paths->item[i], why, err))
			return false;
	}
	return true;
}

static bool find_certs(const struct request *r, const struct ks_kernel *kernel,
		       struct ks_certs *certs, struct ks_error *err)
{
	struct config config = { 0 };
	KS_STRINGS paths = { 0 };
	const char *root, *why;
	bool ok = config_read(r->root, &config, err);

	if (ok) {
		struct ks_keysearch search = request_search(r->root, &config, kernel);

		ok = ks_certsearch(&search, &paths, &root, &why, err) &&
		     load_certs(r, &paths, root, why, certs, err);
	}
	config_free(&config);
	return ok;
}

bool request_open_certs(const struct request *r, const struct ks_strings *paths,
			const struct ks_kernel *kernel, struct ks_certs *certs)
{
	struct ks_error err;

	if (paths->count ? load_certs(r, paths, NULL, "the command line", certs, &err) :
			   find_certs(r, kernel, certs, &err))
		return true;
	report_error(&err);
	return false;
}

bool request_find_trust(const struct request *r, const char *efivars,
			const struct ks_kernel *kernel, struct ks_trust *trust,
			struct ks_error *err)
{
	struct ks_trust_search search = { .root = r->root,
					  .kernel = kernel,
					  .is_running = kernel->is_running };

	search.efivars = efivars ? efivars : r->root ? NULL : KS_EFIVARS;
	search.mok_table = efivars || r->root ? NULL : KS_MOK_VARIABLES;
	return ks_trust_find(&search, trust, err);
}
