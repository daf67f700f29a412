/* SPDX-License-Identifier: MIT */
#include "cli/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/strings.h"
#include "cli/key_file.h"
#include "cli/report.h"
#include "cli/ticket.h"
#include "core/cert.h"
#include "core/key.h"
#include "core/remote.h"
#include "core/token.h"

enum {
	ANSWER_LIMIT = 64 << 10, /* bytes; kernels take no larger message */
};

static const char request_suffix[] = ".json";

/* One file of a module's, in the directory: never through a link, whatever it is. */
struct entry {
	char name[KS_REMOTE_NAME + 16];
	char path[PATH_MAX + KS_REMOTE_NAME + 16]; /* for errors */
	struct ks_place place;			   /* borrows both, and the descriptor */
};

static void set_entry(const struct offline *o, const char *name, const char *suffix,
		      struct entry *entry)
{
	snprintf(entry->name, sizeof(entry->name), "%s%s", name, suffix);
	snprintf(entry->path, sizeof(entry->path), "%s/%s", o->dir, entry->name);
	entry->place = (struct ks_place){ o->fd, entry->name, entry->path };
}

/* *THERE is false, and that is no error, where there is no such file. */
static bool read_entry(const struct offline *o, const char *name, const char *suffix, size_t limit,
		       struct ks_buf *content, bool *there, struct ks_error *err)
{
	struct entry entry;
	struct stat st;

	set_entry(o, name, suffix, &entry);
	*there = ks_file_read(&entry.place, limit, content, &st, err);
	if (*there || (err->code == KS_ERR_SYSTEM && err->sys == ENOENT))
		return true;
	/* What changes is to be read again, but that is not the module. */
	if (err->code == KS_ERR_CHANGED)
		err->code = KS_ERR_INPUT;
	return ks_at(err, entry.path);
}

static bool read_ticket(const struct offline *o, const char *name, struct ticket *ticket,
			bool *there, struct ks_error *err)
{
	KS_BUF file = { 0 };
	struct entry entry;

	if (!read_entry(o, name, request_suffix, TICKET_LIMIT, &file, there, err))
		return false;
	if (!*there || ticket_parse(ks_buf_view(&file), ticket, err))
		return true;
	set_entry(o, name, request_suffix, &entry);
	return ks_at(err, entry.path);
}

/* Exporting */

struct job {
	const struct offline *offline;
	const char *path; /* of the module */
	const char *name; /* of its files */
	bool stack;
	const struct ticket *ticket; /* attach */
	const struct ks_signer *signer;
};

static bool create(const struct offline *o, const char *name, const char *suffix,
		   struct ks_view content, struct ks_error *err)
{
	struct entry entry;

	set_entry(o, name, suffix, &entry);
	return ks_file_create(&entry.place, 0644, content, o->sync, err) || ks_at(err, entry.path);
}

/* Over what an export has left that did not get as far as its request, or is of the same request. */
static bool put(const struct offline *o, const char *name, const char *suffix,
		struct ks_view content, struct ks_error *err)
{
	struct entry entry;

	if (create(o, name, suffix, content, err))
		return true;
	if (err->code != KS_ERR_SYSTEM || err->sys != EEXIST)
		return false;
	set_entry(o, name, suffix, &entry);
	return ks_file_make(&entry.place, 0644, content, err) || ks_at(err, entry.path);
}

static bool fill_ticket(const struct job *job, struct ks_view image, struct ticket *t,
			struct ks_buf *digest, struct ks_error *err)
{
	const struct ks_signer *signer = job->offline->signer;
	const EVP_MD *md = ks_digest_find(ks_signer_hash(signer));
	unsigned int len;

	if (!ks_buf_reserve(digest, EVP_MAX_MD_SIZE, err))
		return false;
	if (EVP_Digest(image.data, image.len, digest->data, &len, md, NULL) != 1)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	digest->len = len;
	t->image_size = image.len;
	t->stack = job->stack;
	t->name = job->name;
	t->cert = ks_signer_cert(signer, 0);
	X509_up_ref(t->cert);
	return (!job->offline->kernel || ks_string_copy(&t->kernel, job->offline->kernel, err)) &&
	       ks_hex(ks_buf_view(digest), &t->digest, err) &&
	       ks_string_copy(&t->hash, ks_signer_hash(signer), err) &&
	       ticket_set_path(t, job->path, err);
}

/* *THERE is whether the same request is; another one is an error. */
static bool find_same(const struct job *job, const struct ticket *ticket, bool *there,
		      struct ks_error *err)
{
	const struct offline *o = job->offline;
	TICKET old = { 0 };
	const char *difference;

	*there = false;
	if (o->fd < 0)
		return true;
	if (!read_ticket(o, job->name, &old, there, err))
		return false;
	difference = *there ? ticket_difference(ticket, &old) : NULL;
	return !difference || ks_fail(err, KS_ERR_INPUT,
				      "%s/%s.json is a request %s: remove %s.* there, or export to "
				      "another directory",
				      o->dir, job->name, difference, job->name);
}

/* Another run may just have made the same one. */
static bool write_request(const struct job *job, const struct ticket *ticket, struct ks_error *err)
{
	struct ks_error other;
	KS_BUF file = { 0 };
	bool there;

	if (!ticket_print(ticket, &file, err))
		return false;
	if (create(job->offline, job->name, request_suffix, ks_buf_view(&file), err))
		return true;
	if (err->code != KS_ERR_SYSTEM || err->sys != EEXIST)
		return false;
	if (find_same(job, ticket, &there, &other))
		return there;
	*err = other;
	return false;
}

/* The request comes last: where it is, the rest is. */
static bool write_files(const struct job *job, const struct ticket *ticket, bool there,
			struct ks_view digest, struct ks_view image, struct ks_error *err)
{
	const struct offline *o = job->offline;

	return put(o, job->name, ".digest", digest, err) &&
	       (!o->options->export_image || put(o, job->name, ".image", image, err)) &&
	       (there || write_request(job, ticket, err));
}

static bool export_image(void *ctx, struct ks_view image, struct ks_buf *message,
			 struct ks_error *err)
{
	const struct job *job = ctx;
	TICKET ticket = { 0 };
	KS_BUF digest = { 0 };
	bool there;

	(void)message; /* it is for the service to make */
	if (!fill_ticket(job, image, &ticket, &digest, err) ||
	    !find_same(job, &ticket, &there, err))
		return false;
	return job->offline->dry_run ||
	       write_files(job, &ticket, there, ks_buf_view(&digest), image, err);
}

/* Attaching */

static bool check_ticket(const struct offline *o, const struct ticket *t, const char *path,
			 struct ks_error *err)
{
	KS_STRING hex = NULL;

	if (!ks_hex(ks_view_of(path, strlen(path)), &hex, err))
		return false;
	if (strcmp(hex, t->path_hex) != 0)
		return ks_fail(err, KS_ERR_INPUT, "the request is another module's, of %s",
			       t->path);
	if (o->cert && X509_cmp(o->cert, t->cert) != 0)
		return ks_fail(err, KS_ERR_INPUT,
			       "the request is for another certificate than --cert");
	return !o->hash || ks_digest_find(o->hash) == ks_digest_find(t->hash) ||
	       ks_fail(err, KS_ERR_INPUT, "the request is for the hash %s, not for --hash %s",
		       t->hash, o->hash);
}

/* A CMS, if one came back, else a bare signature. */
static bool read_answer(const struct job *job, struct ks_buf *answer, const char **suffix,
			struct ks_error *err)
{
	static const char *const suffixes[] = { ".p7s", ".sig" };
	bool there;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		*suffix = suffixes[i];
		if (!read_entry(job->offline, job->name, *suffix, ANSWER_LIMIT, answer, &there,
				err))
			return false;
		if (there)
			return true;
	}
	return ks_fail(err, KS_ERR_MISSING, "no answer yet: neither %s.sig nor %s.p7s is in %s",
		       job->name, job->name, job->offline->dir);
}

static bool check_answer(const struct job *job, struct ks_view image, struct ks_view answer,
			 bool is_message, struct ks_buf *message, struct ks_error *err)
{
	if (!(is_message ? ks_buf_append(message, answer.data, answer.len, err) :
			   ks_remote_wrap(job->signer, answer, message, err)))
		return false;
	return ks_remote_check(job->signer, ks_buf_view(message), image, err);
}

static bool take_answer(void *ctx, struct ks_view image, struct ks_buf *message,
			struct ks_error *err)
{
	const struct job *job = ctx;
	KS_STRING digest = NULL;
	KS_BUF answer = { 0 };
	const char *suffix;
	struct entry entry;

	if (!ks_digest_hex(job->ticket->hash, image, &digest, err))
		return false;
	if (strcmp(digest, job->ticket->digest) != 0)
		return ks_fail(err, KS_ERR_INPUT,
			       "the module is not the one that was exported: export it again");
	if (!read_answer(job, &answer, &suffix, err))
		return false;
	if (check_answer(job, image, ks_buf_view(&answer), strcmp(suffix, ".p7s") == 0, message,
			 err))
		return true;
	set_entry(job->offline, job->name, suffix, &entry);
	return ks_at(err, entry.path);
}

/* What nobody asked a signature for is fine if it has one. */
static bool judge_unrequested(const struct ks_found *module, const struct ks_sign *how,
			      const char *dir, struct ks_sign_result *result, struct ks_error *err)
{
	KS_MODULE m = KS_MODULE_NONE;

	if (!ks_module_load(&m, module->path, &how->load, err))
		return false;
	if (module->by_choice || ks_module_trailer(&m).kind != KS_TRAILER_WHOLE)
		return ks_fail(err, KS_ERR_MISSING, "no request for it in %s: export it first",
			       dir);
	*result = (struct ks_sign_result){ .outcome = KS_OUTCOME_NOT_REQUESTED };
	return true;
}

static bool attach_with(struct job *job, const struct ks_sign *how, bool spare_others,
			struct ks_sign_result *result, struct ks_error *err)
{
	struct ks_message_source source = { take_answer, job };
	struct ks_sign with = *how;
	struct ks_signer *signer;
	bool ok;

	if (!ks_signer_open_public(&signer, job->ticket->cert, job->ticket->hash, err))
		return false;
	job->signer = signer;
	with.stack = job->ticket->stack;
	with.signer = signer;
	with.source = &source;
	ok = ks_sign_module(job->path, &with, spare_others, result, err);
	ks_signer_free(signer);
	return ok;
}

static bool attach(struct offline *o, struct job *job, const struct ks_found *module,
		   const struct ks_sign *how, bool spare_others, struct ks_sign_result *result,
		   struct ks_error *err)
{
	TICKET ticket = { 0 };
	struct entry entry;
	struct job with;
	bool there;

	if (!read_ticket(o, job->name, &ticket, &there, err))
		return false;
	if (!there)
		return judge_unrequested(module, how, o->dir, result, err);
	if (!check_ticket(o, &ticket, job->path, err)) {
		set_entry(o, job->name, request_suffix, &entry);
		return ks_at(err, entry.path);
	}
	with = *job;
	with.ticket = &ticket;
	return attach_with(&with, how, spare_others, result, err);
}

bool offline_sign(struct offline *o, const struct ks_found *module, const struct ks_sign *how,
		  bool spare_others, struct ks_sign_result *result, struct ks_error *err)
{
	char name[KS_REMOTE_NAME];
	struct job job = { .offline = o, .path = module->path, .name = name, .stack = how->stack };
	struct ks_message_source source = { export_image, &job };
	struct ks_sign with = *how;

	if (!ks_remote_name(module->path, name, err))
		return false;
	if (o->options->attach_from)
		return attach(o, &job, module, how, spare_others, result, err);
	with.signer = o->signer;
	with.source = &source;
	return ks_sign_module(module->path, &with, spare_others, result, err);
}

void offline_expect(struct offline *o, const struct ks_modules *modules)
{
	for (size_t i = 0; i < modules->count; i++) {
		char name[KS_REMOTE_NAME];
		struct ks_error ignored;
		struct entry entry;
		struct stat st;

		if (!ks_remote_name(modules->item[i].path, name, &ignored))
			continue;
		set_entry(o, name, request_suffix, &entry);
		o->found += fstatat(o->fd, entry.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
}

/* Beginning and end */

bool offline_check(const struct offline_options *options, const struct key_options *key)
{
	const char *what = options->export_to ? "--export" : "--attach";
	const char *dir = options->export_to ? options->export_to : options->attach_from;

	if (options->export_image && !options->export_to) {
		report_warning("--export-image is for --export");
		return false;
	}
	if (!options->export_to && !options->attach_from)
		return true;
	if (options->export_to && options->attach_from)
		report_warning(
			"--export and --attach contradict each other: the service is in between");
	else if (key->key.count || key->deterministic)
		report_warning("%s takes no %s: the key is the service's", what,
			       key->key.count ? "--key" : "--deterministic");
	else if (key->cert.count > 1)
		report_warning("%s takes one --cert", what);
	else if (!dir[0])
		report_warning("%s: no directory is named", what);
	else if (options->attach_from && key->keys)
		report_warning("--attach takes no --keys: the certificate is that of the request");
	else
		return true;
	return false;
}

/* Whoever can put a digest there can have it signed; or a request, and its answer by any key, attached. */
static void warn_exposure(const struct offline *o)
{
	const char *what = o->options->export_to ?
				   "have the service sign what they like" :
				   "have signatures by any key attached: name it with --cert";
	struct stat st;

	if (fstat(o->fd, &st))
		return;
	if (st.st_uid && st.st_uid != geteuid())
		report_warning("warning: %s belongs to another user (%u), who can %s", o->dir,
			       (unsigned int)st.st_uid, what);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		report_warning("warning: others can write to %s (mode %04o), and %s", o->dir,
			       st.st_mode & 07777, what);
}

/* Another run that made it may not have come to that yet. */
static bool sync_dir_name(const struct offline *o, struct ks_error *err)
{
	KS_FD own = openat(o->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	KS_FD above = openat(o->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return ks_dir_sync_name(above, own, err) || ks_at(err, o->dir);
}

static bool open_dir(struct offline *o, struct ks_error *err)
{
	bool make = o->options->export_to && !o->dry_run;

	if (make && mkdir(o->dir, 0700) && errno != EEXIST)
		return ks_fail_errno_at(err, o->dir, "make the directory");
	o->fd = open(o->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (o->fd >= 0 && (make || (o->options->attach_from && !o->cert)))
		warn_exposure(o);
	if (o->fd >= 0)
		return !make || sync_dir_name(o, err);
	if (o->options->export_to && o->dry_run && errno == ENOENT)
		return true;
	return ks_fail_errno_at(err, o->dir, "open the directory");
}

bool offline_open(struct offline *o, const struct offline_options *options,
		  const struct key_options *key, bool dry_run, struct ks_error *err)
{
	o->options = options;
	o->dir = options->export_to ? options->export_to : options->attach_from;
	o->fd = -1;
	o->dry_run = dry_run;
	if (!options->export_to) {
		o->hash = key->hash;
		if (key->cert.count && !key_file_cert(NULL, key->cert.item[0], &o->cert, err))
			return false;
	}
	return open_dir(o, err);
}

static void tell_place(const struct ks_key_place *place, const char *shown)
{
	report_warning("certificate %s (from %s)", shown, place->why);
	report_warning("hash %s (from %s)", place->hash, place->hash_why);
}

static bool find_place(const struct request *r, const struct key_options *key,
		       const struct ks_kernel *kernel, struct ks_key_place *place,
		       struct ks_error *err)
{
	struct config config = { 0 };
	bool ok = config_read(r->root, &config, err);

	if (ok) {
		struct ks_keysearch search = request_search(r->root, &config, kernel);

		search.cert_only = true;
		search.option.cert = key->cert.count ? key->cert.item[0] : NULL;
		search.option.store = key->keys;
		search.option_hash = key->hash;
		ok = ks_keysearch(&search, place, err);
	}
	config_free(&config);
	return ok;
}

/* ML-DSA is over the image itself. */
static bool check_type(const struct offline *o, X509 *cert, struct ks_error *err)
{
	EVP_PKEY *public = X509_get0_pubkey(cert);

	return !public || !ks_key_is_mldsa(public) || o->options->export_image ||
	       ks_fail(err, KS_ERR_USAGE,
		       "an ML-DSA key signs the image, not a digest: give --export-image too");
}

bool offline_open_signer(const struct offline *o, const struct request *r,
			 const struct key_options *key, const struct ks_kernel *kernel,
			 struct ks_signer **signer, struct ks_error *err)
{
	KS_KEY_PLACE place = { 0 };
	KS_STRING shown = NULL;
	KS_X509 *cert = NULL;

	if (!find_place(r, key, kernel, &place, err) || !ks_token_redact(place.cert, &shown, err) ||
	    !key_file_cert(place.root, place.cert, &cert, err))
		return false;
	if (r->verbose)
		tell_place(&place, shown);
	if (place.previous.count)
		report_warning("warning: %s: a request is for one certificate: modules will be "
			       "signed without the keys in its grace period",
			       shown);
	return (check_type(o, cert, err) && ks_signer_open_public(signer, cert, place.hash, err)) ||
	       ks_at(err, shown);
}

static size_t count_requests(int fd)
{
	KS_STRINGS names = { 0 };
	struct ks_error ignored;
	size_t count = 0;

	if (!ks_dir_names(fd, &names, &ignored))
		return 0;
	for (size_t i = 0; i < names.count; i++) {
		size_t len = strlen(names.item[i]), suffix = strlen(request_suffix);

		count += len > suffix && strcmp(names.item[i] + len - suffix, request_suffix) == 0;
	}
	return count;
}

void offline_close(struct offline *o)
{
	if (o->options->attach_from && o->fd >= 0) {
		int fd = openat(o->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		size_t all = fd < 0 ? 0 : count_requests(fd);

		if (all > o->found)
			report_warning("warning: %s has %zu requests that fit no module meant here",
				       o->dir, all - o->found);
		ks_fd_close(&fd);
	}
	X509_free(o->cert);
	ks_fd_close(&o->fd);
}
