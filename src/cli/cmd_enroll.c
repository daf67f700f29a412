/* SPDX-License-Identifier: MIT */
/* enroll: asks shim to make our certificate a machine owner key, if that is what it takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/enrol_words.h"
#include "cli/key_file.h"
#include "cli/report.h"
#include "cli/request.h"
#include "core/cert.h"
#include "core/efivar.h"
#include "core/token.h"

struct enroll_args {
	struct request request; /* of which kernel, root, json, quiet and verbose are asked for */
	const char *cert;
	const char *efivars;
	const char *hash_file;
	bool root_pw;
	bool dry_run;
};

/* Our certificate, and what there is to say. */
struct enroll {
	const struct enroll_args *args;
	char *name, *why; /* what names it, as it may be shown, and what named that */
	X509 *cert;
	struct ks_trust trust;
	struct ks_enrolment enrolment;
	struct enrol_words words;
	const char *action; /* for machines: what was done, or is to be */
};

static struct enrol_subject subject(const struct enroll *e)
{
	return (struct enrol_subject){ .name = e->name,
				       .cert = e->cert,
				       .trust = &e->trust,
				       .enrolment = &e->enrolment,
				       .efivars = e->args->efivars };
}

/* The certificate */

static bool open_cert(struct enroll *e, const char *root, const char *path, const char *why,
		      struct ks_error *err)
{
	return ks_string_copy(&e->why, why, err) && ks_token_redact(path, &e->name, err) &&
	       key_file_cert(root, path, &e->cert, err);
}

/* That of the key that sign would take. */
static bool search_cert(struct enroll *e, const struct config *config,
			const struct ks_kernel *kernel, struct ks_error *err)
{
	struct ks_keysearch search = request_search(e->args->request.root, config, kernel);
	KS_KEY_PLACE place = { 0 };

	search.cert_only = true;
	return ks_keysearch(&search, &place, err) &&
	       open_cert(e, place.root, place.cert, place.why, err);
}

static bool find_cert(struct enroll *e, const struct ks_kernel *kernel, struct ks_error *err)
{
	struct config config = { 0 };
	bool ok;

	if (e->args->cert)
		return open_cert(e, NULL, e->args->cert, "the command line", err);
	ok = config_read(e->args->request.root, &config, err) &&
	     search_cert(e, &config, kernel, err);
	config_free(&config);
	return ok;
}

/* Doing it */

static bool fail_with(struct enroll *e, const char *next, struct ks_error *err)
{
	e->words.failed = true;
	return !next || ks_strings_add(&e->words.next, next, err);
}

/* *READY: whether mokutil can be called. */
static bool prepare(struct enroll *e, bool *ready, struct ks_error *err)
{
	const char *efivars = e->args->efivars;
	KS_STRING next = NULL;

	*ready = false;
	errno = 0;
	if (faccessat(AT_FDCWD, efivars, W_OK, AT_EACCESS) && errno == EROFS)
		return ks_string_print(&e->words.text, err, "%s is mounted read-only", efivars) &&
		       ks_string_print(&next, err, "mount -o remount,rw %s", efivars) &&
		       fail_with(e, next, err);
	if (errno && !e->args->dry_run)
		return ks_string_print(&e->words.text, err, "it cannot be queued in %s: %s",
				       efivars, strerror(errno)) &&
		       fail_with(e, geteuid() ? "do the same as root" : NULL, err);
	if (!mokutil_is_there())
		return ks_string_copy(&e->words.text,
				      "there is no mokutil, which does the enrolling", err) &&
		       enrol_words_install(&next, err) && fail_with(e, next, err);
	*ready = true;
	return true;
}

/* Whether the variable NAME of shim lists our certificate now. */
static bool is_listed(const struct enroll *e, const char *name, bool *listed, struct ks_error *err)
{
	KS_SIGLIST list = { 0 };
	KS_BUF data = { 0 };
	bool is_there;

	*listed = false;
	if (!ks_efivar_read(NULL, e->args->efivars, name, KS_EFI_SHIM, &data, &is_there, err) ||
	    !ks_siglist_parse(ks_buf_view(&data), &list, err))
		return false;
	for (size_t i = 0; i < list.certs.count; i++)
		*listed |= X509_cmp(list.certs.item[i], e->cert) == 0;
	return true;
}

/* Whether it is where it was to go. */
static bool is_moved(const struct enroll *e, bool *moved, struct ks_error *err)
{
	if (e->enrolment.state != KS_ENROLMENT_LEAVING)
		return is_listed(e, "MokNew", moved, err);
	if (!is_listed(e, "MokDel", moved, err))
		return false;
	*moved = !*moved;
	return true;
}

static size_t count_queued(const struct ks_trust *trust)
{
	size_t count = 0;

	for (size_t i = 0; i < trust->count; i++)
		count += trust->item[i].origin == KS_ORIGIN_MOK_NEW;
	return count;
}

/* What it will be worth. */
static void warn_worth(const struct enroll *e)
{
	const struct ks_enrolment *n = &e->enrolment;
	const char *why = enrol_words_why(&e->trust, n->why);
	size_t others = count_queued(&e->trust);

	if (others)
		report_warning("warning: %zu certificate%s in MokNew before: the new password is "
			       "theirs too",
			       others, others == 1 ? " was" : "s were");
	if (e->trust.module_sig == KS_NO)
		report_warning("warning: %s checks no signatures of modules: it needs no key",
			       e->trust.version);
	if (n->counts == KS_YES)
		return;
	report_warning("warning: %s: %s %s%s%s%s", e->name,
		       n->counts == KS_NO ?
			       "once enrolled, it will still not count for" :
			       "nobody knows whether it will count, once enrolled, for",
		       e->trust.version, why ? " (" : "", why ? why : "", why ? ")" : "");
}

static bool succeed(struct enroll *e, struct ks_error *err)
{
	const struct enroll_args *args = e->args;
	struct enrol_subject s = subject(e);
	KS_STRING password = NULL;

	if (e->enrolment.state == KS_ENROLMENT_LEAVING) {
		e->action = "kept";
		return ks_string_copy(&e->words.text,
				      "it was to be removed (MokDel) and stays now: nothing else "
				      "to do",
				      err);
	}
	e->action = "queued";
	return ks_string_copy(&e->words.text,
			      "it is queued (MokNew), to be enrolled at the next boot", err) &&
	       (args->hash_file ?
			ks_string_print(&password, err, "that %s has the hash of",
					args->hash_file) :
			ks_string_copy(&password,
				       args->root_pw ? "that root has now" : "just given", err)) &&
	       enrol_words_of_boot(&s, password, &e->words, err);
}

/* MOVED: it is there all the same, maybe without its password. */
static const char *what_became(const struct enroll *e, bool moved)
{
	if (e->enrolment.state == KS_ENROLMENT_LEAVING)
		return moved ? "it is out of MokDel" : "it is still to be removed (MokDel)";
	return moved ? "it is queued (MokNew), but MokManager may be without the password" :
		       "it is not queued";
}

/* What helps, whatever it was; NULL where that is not known.  ENDED_WELL: mokutil says so. */
static const char *what_helps(const struct enroll *e, bool moved, bool ended_well)
{
	bool leaves = e->enrolment.state == KS_ENROLMENT_LEAVING;

	if (moved && !leaves)
		return count_queued(&e->trust) ?
			       "mokutil --revoke-import, which drops the others that are queued, "
			       "too, and try again" :
			       "mokutil --revoke-import, and try again";
	if (moved || !ended_well)
		return NULL;
	return leaves ? "mokutil --list-delete shows what is to be removed" :
			"mokutil --list-new shows what is queued";
}

/* It did not work, or mokutil says so. */
static bool fail(struct enroll *e, const struct mokutil *mokutil, const struct mokutil_end *end,
		 bool moved, struct ks_error *err)
{
	struct enrol_subject s = subject(e);
	char said[512];
	KS_STRING how = NULL;

	ks_strings_join(&end->said, said, sizeof(said));
	if (!child_end_name(end->status, &how, err) ||
	    !ks_string_print(&e->words.text, err, "%s: mokutil --import%s%s (%s)",
			     what_became(e, moved), said[0] ? ": " : "", said,
			     how[0] ? how : "which says that all went well"))
		return false;
	if (moved)
		e->action = "in doubt";
	return fail_with(e, what_helps(e, moved, !how[0]), err) &&
	       (moved || enrol_words_of_failure(&s, mokutil, end, &e->words, err));
}

static bool import(struct enroll *e, struct ks_error *err)
{
	const struct enroll_args *args = e->args;
	struct mokutil mokutil = {
		.hash_file = args->hash_file,
		.root_pw = args->root_pw,
		.efivars = strcmp(args->efivars, KS_EFIVARS) == 0 ? NULL : args->efivars,
	};
	unsigned char *der = NULL;
	int len = i2d_X509(e->cert, &der);
	MOKUTIL_END end = { 0 };
	bool ok, moved = false;

	if (len <= 0)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
	mokutil.cert = ks_view_of(der, (size_t)len);
	ok = mokutil_import(&mokutil, &end, err) && is_moved(e, &moved, err) &&
	     (moved && !end.status ? succeed(e, err) : fail(e, &mokutil, &end, moved, err));
	OPENSSL_free(der);
	for (size_t i = 0; ok && !e->words.failed && i < end.said.count; i++)
		report_warning("mokutil: %s", end.said.item[i]);
	return ok;
}

static bool act(struct enroll *e, struct ks_error *err)
{
	bool leaves = e->enrolment.state == KS_ENROLMENT_LEAVING;
	bool ready;

	if (!prepare(e, &ready, err))
		return false;
	if (!ready)
		return true;
	if (!leaves)
		warn_worth(e);
	if (!e->args->dry_run)
		return import(e, err);
	e->action = leaves ? "would keep" : "would queue";
	return ks_string_copy(&e->words.text,
			      leaves ? "mokutil --import would take it out of MokDel" :
				       "mokutil --import would queue it (MokNew)",
			      err);
}

/* The kernel may trust it by what nobody saw. */
static void warn_unseen(const struct ks_trust *trust)
{
	for (size_t i = 0; i < trust->unseen.count; i++)
		report_warning("not seen: %s", trust->unseen.item[i]);
}

static bool answer(struct enroll *e, struct ks_error *err)
{
	struct enrol_subject s = subject(e);

	e->enrolment = ks_enrolment_find(&e->trust, e->cert);
	e->action = "none";
	s.enrolment = &e->enrolment;
	if (!ks_enrolment_wants_import(e->enrolment.state))
		return enrol_words_of_state(&s, &e->words, err);
	warn_unseen(&e->trust);
	return act(e, err);
}

/* Saying it */

static struct json_object *to_json(const struct enroll *e)
{
	const struct ks_trusted *item = e->enrolment.item;
	struct json_object *o = json_object_new_object();
	struct json_object *next = json_object_new_array();
	KS_CERT_TEXT text = { 0 };
	struct ks_error err;
	bool described = ks_cert_describe(e->cert, &text, &err);

	json_object_object_add(o, "certificate", report_text(e->name));
	json_object_object_add(o, "from", report_text(e->why));
	json_object_object_add(o, "subject", report_text(described ? text.subject : NULL));
	json_object_object_add(o, "key_id", report_text(described ? text.key_id : NULL));
	json_object_object_add(o, "kernel", report_text(e->trust.version));
	json_object_object_add(o, "state", report_text(ks_enrolment_name(e->enrolment.state)));
	json_object_object_add(o, "list", report_text(item ? ks_origin_name(item->origin) : NULL));
	json_object_object_add(o, "keyring", report_text(item ? ks_trusted_keyring(item) : NULL));
	json_object_object_add(o, "counts", report_text(ks_answer_name(e->enrolment.counts)));
	json_object_object_add(o, "why", report_text(e->enrolment.why));
	json_object_object_add(o, "action", report_text(e->action));
	json_object_object_add(o, "failed", json_object_new_boolean(e->words.failed));
	json_object_object_add(o, "text", report_text(e->words.text));
	for (size_t i = 0; i < e->words.next.count; i++)
		json_object_array_add(next, report_text(e->words.next.item[i]));
	json_object_object_add(o, "next", next);
	return o;
}

static void tell(const struct enroll *e)
{
	const struct enrol_words *w = &e->words;

	if (e->args->request.verbose)
		report_warning("certificate %s (from %s)", e->name, e->why);
	if (w->failed)
		report_warning("%s: %s%s%s", e->name, w->text, w->next.count ? "; " : "",
			       w->next.count ? w->next.item[0] : "");
	if (e->args->request.json) {
		report_json(to_json(e));
		return;
	}
	if (w->failed || e->args->request.quiet)
		return;
	report_line("%s: %s", e->name, w->text);
	for (size_t i = 0; i < w->next.count; i++)
		report_line("  %zu. %s", i + 1, w->next.item[i]);
}

/* The command */

/* Those of the firmware that this machine has, whatever system is looked at. */
static bool find_trust(struct enroll *e, const struct ks_kernel *kernel, struct ks_error *err)
{
	const struct request *r = &e->args->request;
	bool is_own = !r->root && strcmp(e->args->efivars, KS_EFIVARS) == 0;

	return request_find_trust(r, is_own ? NULL : e->args->efivars, kernel, &e->trust, err);
}

static bool enroll(struct enroll *e, const char *version, struct ks_error *err)
{
	KS_KERNEL kernel = { 0 };

	if (!request_find_kernel(&e->args->request, version, &kernel, err) ||
	    !find_cert(e, &kernel, err) || !find_trust(e, &kernel, err) || !answer(e, err))
		return false;
	tell(e);
	return true;
}

static void free_enroll(struct enroll *e)
{
	free(e->name);
	free(e->why);
	X509_free(e->cert);
	ks_trust_free(&e->trust);
	enrol_words_free(&e->words);
}

/* False, reported, where they contradict each other. */
static bool check(struct enroll_args *args, int operands, char **operand)
{
	const char *fault =
		operands ? "enroll takes no operand: the certificate is named with --cert" :
		args->hash_file && args->root_pw ?
			   "--hash-file and --root-pw: one password is enough" :
		request_is_of_all(&args->request) ?
			   "enroll is for one kernel at a time: --kernel VERSION" :
			   NULL;

	if (fault)
		report_warning("%s", fault);
	if (!args->efivars)
		args->efivars = KS_EFIVARS;
	return !fault && request_complete(&args->request, operands, operand);
}

static int run_enroll(void *ctx, int operands, char **operand)
{
	struct enroll_args *args = ctx;
	struct enroll e = { .args = args };
	KS_STRINGS versions = { 0 };
	int status = STATUS_FAILED;
	struct ks_error err;

	if (!check(args, operands, operand))
		return STATUS_USAGE;
	if (!request_versions(&args->request, &versions, &err) ||
	    !enroll(&e, versions.item[0], &err))
		report_error(&err);
	else if (!e.words.failed)
		status = STATUS_DONE;
	free_enroll(&e);
	return status;
}

#define ARGS struct enroll_args

static const struct option_row options[] = {
	{ 0, "cert", "FILE", "the certificate, a file or URI (default: that of sign's key)",
	  OPTION_STRING, offsetof(ARGS, cert) },
	{ 'k', "kernel", "VERSION", "the kernel that is to trust it (default: the running one)",
	  OPTION_STRING, offsetof(ARGS, request.kernel) },
	{ 0, "root", "DIR", "look for the kernel and its key below DIR", OPTION_STRING,
	  offsetof(ARGS, request.root) },
	{ 0, "efivars", "DIR", "EFI variables, as in " KS_EFIVARS, OPTION_STRING,
	  offsetof(ARGS, efivars) },
	{ 0, "hash-file", "FILE", "the password's hash, by mokutil --generate-hash", OPTION_STRING,
	  offsetof(ARGS, hash_file) },
	{ 'P', "root-pw", NULL, "the password is root's (default: mokutil asks for one)",
	  OPTION_FLAG, offsetof(ARGS, root_pw) },
	{ 'n', "dry-run", NULL, "only say what would be done", OPTION_FLAG,
	  offsetof(ARGS, dry_run) },
	{ 0, "json", NULL, "as JSON", OPTION_FLAG, offsetof(ARGS, request.json) },
	{ 'q', "quiet", NULL, "no results, only warnings and errors", OPTION_FLAG,
	  offsetof(ARGS, request.quiet) },
	{ 'v', "verbose", NULL, "say which certificate is used and why", OPTION_FLAG,
	  offsetof(ARGS, request.verbose) },
	{ 0 },
};

const struct command command_enroll = {
	.name = "enroll",
	.operands = "",
	.summary = "have the firmware's key manager enrol the certificate",
	.text = "Says whether the kernel trusts the certificate, and, if it takes that and can be, has\n"
		"mokutil queue it as a machine owner key, for MokManager to ask at the next boot.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_enroll,
};
