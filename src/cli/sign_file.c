/* SPDX-License-Identifier: MIT */
#include "cli/sign_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/dkms_call.h"
#include "cli/keys.h"
#include "cli/pin.h"
#include "cli/report.h"
#include "core/cert.h"
#include "core/module.h"
#include "core/signature.h"
#include "core/signer.h"

enum { MAX_SIZE = INT32_MAX, MESSAGE_LIMIT = 16 << 20 }; /* bytes */

struct job {
	const char *program;
	bool raw_signature; /* -s: the message is in a file */
	bool save_message;  /* -p: it is also written to MODULE.p7s */
	bool only_message;  /* -d: nothing else is written */
	bool only_trailer;  /* -D: message, information block and marker, instead of the module */
	bool key_id;	    /* -k */
	const char *signature, *hash, *key, *cert, *module, *dest;
	const struct ks_key_place *own; /* where key and cert are from, if not from the caller */
};

static int usage(const char *program, bool kmodsign)
{
	const char *extra = kmodsign ? "D" : "";

	fprintf(stderr,
		"Usage: %s [-dpk%s] <hash> <key> <x509> <module> [<dest>]\n"
		"       %s -s <signature> <hash> <x509> <module> [<dest>]\n",
		program, extra, program);
	return STATUS_USAGE;
}

static mode_t new_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

static bool write_file(const char *path, struct ks_view content, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	return (ks_place_find(&place, NULL, path, err) &&
		ks_file_write(&place, new_mode(), content, err)) ||
	       ks_at(err, path);
}

static bool write_beside(const char *path, const char *suffix, struct ks_view content,
			 struct ks_error *err)
{
	KS_STRING name = NULL;

	return ks_string_print(&name, err, "%s%s", path, suffix) && write_file(name, content, err);
}

static bool open_signer(const struct job *job, struct ks_signer **signer, struct ks_error *err)
{
	struct key_file file = { .key = job->key, .cert = job->cert, .guard = KEY_GUARD_WARN };
	KEYS keys = { 0 };
	struct ks_signer_spec spec = { .identity = keys.item,
				       .hash = job->hash,
				       .key_id = job->key_id };

	if (!keys_add(&keys, &file, "the command line", err) ||
	    (job->own && !keys_add_previous(&keys, job->own, KEY_GUARD_WARN, err)))
		return false;
	spec.count = keys.count;
	return ks_signer_open(signer, &spec, err);
}

static bool make_message(const struct job *job, const struct ks_module *m, struct ks_buf *message,
			 struct ks_error *err)
{
	struct ks_signer *signer = NULL;
	bool ok;

	if (!open_signer(job, &signer, err))
		return false;
	pin_wipe();
	ok = ks_signer_sign(signer, ks_buf_view(&m->content), message, err) ||
	     ks_at(err, job->module);
	ks_signer_free(signer);
	return ok;
}

/*
 * The certificate is optional here: build services pass a word that names no file.  Where it is
 * one, and the message names it as its signer, the message has to fit the module.
 */
static bool check_message(const struct job *job, const struct ks_module *m, struct ks_view message,
			  struct ks_error *err)
{
	KS_SIGNATURE signature = { 0 };
	KS_BUF bytes = { 0 };
	KS_X509 *cert = NULL;
	struct ks_error ignored;
	enum ks_verdict verdict;
	struct stat st;

	if (!ks_signature_parse(message, &signature, err))
		return ks_at(err, job->signature);
	if (!ks_file_read_path(NULL, job->cert, MESSAGE_LIMIT, &bytes, &st, &ignored) ||
	    !ks_cert_parse(ks_buf_view(&bytes), &cert, &ignored))
		return true;
	for (size_t i = 0; i < signature.count; i++) {
		if (!ks_signature_check(&signature, i, ks_buf_view(&m->content), cert, &verdict,
					err))
			return false;
		if (verdict == KS_VERDICT_BAD)
			return ks_fail(err, KS_ERR_INPUT, "%s: not a signature of %s",
				       job->signature, job->module);
	}
	return true;
}

static bool read_message(const struct job *job, const struct ks_module *m, struct ks_buf *message,
			 struct ks_error *err)
{
	struct stat st;

	if (!ks_file_read_path(NULL, job->signature, MESSAGE_LIMIT, message, &st, err))
		return ks_at(err, job->signature);
	return check_message(job, m, ks_buf_view(message), err);
}

static bool store(const struct job *job, const struct ks_module *m, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct ks_written written;

	if (!job->dest || strcmp(job->dest, job->module) == 0)
		return ks_module_store(m, NULL, &written, err) || ks_at(err, job->module);
	return (ks_place_find(&place, NULL, job->dest, err) &&
		ks_module_store_as(m, &place, new_mode(), err)) ||
	       ks_at(err, job->dest);
}

static bool write_trailer(const struct job *job, struct ks_view message, struct ks_error *err)
{
	KS_BUF trailer = { 0 };

	if (!ks_trailer_append(&trailer, message, err))
		return false;
	return job->dest ? write_file(job->dest, ks_buf_view(&trailer), err) :
			   write_beside(job->module, ".p7s", ks_buf_view(&trailer), err);
}

static bool write_results(const struct job *job, struct ks_module *m, struct ks_view message,
			  struct ks_error *err)
{
	if (job->only_trailer)
		return write_trailer(job, message, err);
	if (job->save_message && !job->raw_signature &&
	    !write_beside(job->module, ".p7s", message, err))
		return false;
	return (job->only_message && !job->raw_signature) ||
	       (ks_module_append(m, message, err) && store(job, m, err));
}

static bool run(const struct job *job, struct ks_error *err)
{
	struct ks_load load = { .max_size = MAX_SIZE, .any_file = true, .extend = true };
	KS_MODULE m = KS_MODULE_NONE;
	KS_BUF message = { 0 };
	size_t removed;

	if (!ks_module_load(&m, job->module, &load, err) || !ks_module_unsign(&m, &removed, err))
		return ks_at(err, job->module);
	return (job->raw_signature ? read_message(job, &m, &message, err) :
				     make_message(job, &m, &message, err)) &&
	       write_results(job, &m, ks_buf_view(&message), err);
}

/* DKMS installs the module whatever we say: what we can do is not to say "done" of what is not. */
static bool run_for_dkms(const struct job *job, const char *kernel, struct ks_error *err)
{
	KS_KEY_PLACE own = { 0 };
	struct job with = *job;

	if (!dkms_call_choose(kernel, job->key, &own, err))
		return false;
	if (own.key) {
		with.key = own.key;
		with.cert = own.cert;
		with.own = &own;
	}
	return run(&with, err) &&
	       dkms_call_check(with.dest ? with.dest : with.module, with.cert, err);
}

static bool parse_options(struct job *job, bool kmodsign, int argc, char **argv)
{
	int option;

	optind = 0;
	while ((option = getopt(argc, argv, kmodsign ? "sdpkD" : "sdpk")) >= 0) {
		job->raw_signature |= option == 's';
		job->save_message |= option == 'p' || option == 'd';
		job->only_message |= option == 'd';
		job->only_trailer |= option == 'D';
		job->key_id |= option == 'k';
		if (option == '?')
			return false;
	}
	return argc - optind == 4 || argc - optind == 5;
}

static int personality(int argc, char **argv, bool kmodsign)
{
	struct job job = { .program = argv[0] };
	const char *kernel = dkms_call_kernel();
	bool signs_module;
	struct ks_error err;

	if (!parse_options(&job, kmodsign, argc, argv))
		return usage(argv[0], kmodsign);
	argv += optind;
	job.signature = argv[0];
	job.hash = job.raw_signature ? argv[1] : argv[0];
	job.key = argv[1];
	job.cert = argv[2];
	job.module = argv[3];
	job.dest = argv[4];
	signs_module = !job.raw_signature && !job.only_message && !job.only_trailer;
	if (kernel && signs_module ? run_for_dkms(&job, kernel, &err) : run(&job, &err))
		return STATUS_DONE;
	report_error(&err);
	return STATUS_FAILED;
}

int sign_file_main(int argc, char **argv)
{
	return personality(argc, argv, false);
}

int kmodsign_main(int argc, char **argv)
{
	return personality(argc, argv, true);
}

const struct command command_sign_file = {
	.name = "sign-file",
	.operands = "HASH KEY CERT MODULE [DEST]",
	.summary = "sign one file with the command line of the kernel's scripts/sign-file",
	.main = sign_file_main,
};
