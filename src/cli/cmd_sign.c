/* SPDX-License-Identifier: MIT */
/* sign and unsign: they differ in one call and need a key or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/pin.h"
#include "cli/refresh.h"
#include "cli/sign_run.h"

static bool sign(struct run *run, const struct ks_found *found, struct ks_sign_result *result,
		 struct ks_error *err)
{
	bool spare_others = !run->args->request.all && !found->by_choice;

	if (run->offline)
		return offline_sign(run->offline, found, &run->how, spare_others, result, err);
	return run->unsign ? ks_unsign_module(found->path, &run->how, spare_others, result, err) :
			     ks_sign_module(found->path, &run->how, spare_others, result, err);
}

/* What is not written yet cannot differ yet. */
static void foresee_copy(const struct run *run, const struct ks_found *found,
			 struct outcome *outcome)
{
	if (run->args->dry_run && outcome->dkms == KS_DKMS_SAME &&
	    strcmp(outcome->copy, found->path) != 0 &&
	    (outcome->sign.outcome == KS_OUTCOME_SIGNED ||
	     outcome->sign.outcome == KS_OUTCOME_UNSIGNED))
		outcome->dkms = KS_DKMS_RENEWED;
}

/* A file that somebody named is installed where the kernel looks for it, not wherever it lies. */
static bool is_installed(const struct run *run, const struct ks_found *found)
{
	size_t len = run->kernel ? strlen(run->kernel->dir) : 0;

	return !found->by_choice ||
	       (len && strncmp(found->path, run->kernel->dir, len) == 0 && found->path[len] == '/');
}

/* Of what was not touched the copy is no concern of ours. */
static bool is_settled(const struct run *run, const struct ks_found *found, enum ks_outcome outcome)
{
	return (outcome == KS_OUTCOME_SIGNED || outcome == KS_OUTCOME_ALREADY_SIGNED ||
		outcome == KS_OUTCOME_UNSIGNED || outcome == KS_OUTCOME_NOT_SIGNED) &&
	       !run->args->offline.export_to && is_installed(run, found);
}

static bool work(void *ctx, size_t i, struct ks_error *err)
{
	struct run *run = ctx;
	const struct ks_found *found = &run->modules->item[i];
	struct outcome *outcome = &run->outcome[i];

	if (run->audit && !audit_may_go_on(run->audit, err))
		return false;
	if (!sign(run, found, &outcome->sign, err))
		return false;
	if (!is_settled(run, found, outcome->sign.outcome) ||
	    ks_dkms_renew(found->path, &run->copies, &run->how.load, run->args->dry_run, run->sync,
			  &outcome->dkms, &outcome->copy, err)) {
		foresee_copy(run, found, outcome);
		return true;
	}
	/* The result stays: the module itself is written, and the log has to say of what and by whom. */
	return ks_at(err, "its copy in DKMS's tree stays different");
}

/* What was done, or should have been. */
static void log_module(const struct run *run, size_t i, const struct ks_error *err)
{
	const struct ks_sign_result *result = &run->outcome[i].sign;
	struct audit_module entry = { .kernel = run->kernel ? run->kernel->version : NULL,
				      .root = run->args->request.root,
				      .path = run->modules->item[i].path,
				      .result = sign_run_result(run, i, err),
				      .record = result->record,
				      .error = err ? err->text : NULL };

	if (err || result->outcome == KS_OUTCOME_SIGNED || result->outcome == KS_OUTCOME_UNSIGNED ||
	    result->outcome == KS_OUTCOME_REQUESTED)
		audit_module(run->audit, &entry);
}

/* Only what is installed can have a copy in the kernel's initramfs. */
static void note_settled(struct run *run, size_t i)
{
	const struct ks_found *found = &run->modules->item[i];
	enum ks_outcome outcome = run->outcome[i].sign.outcome;
	struct ks_error err;

	if (!run->kernel || !is_settled(run, found, outcome))
		return;
	run->changed += outcome == KS_OUTCOME_SIGNED || outcome == KS_OUTCOME_UNSIGNED;
	if (!ks_strings_add(&run->settled, found->path, &err))
		report_error(&err);
}

static void done(void *ctx, size_t i, const struct ks_error *err)
{
	struct run *run = ctx;

	if (run->audit)
		log_module(run, i, err);
	if (run->results)
		json_object_array_add(run->results, sign_run_json(run, i, err));
	if (!err) {
		run->count[run->outcome[i].sign.outcome]++;
		run->written[run->outcome[i].sign.written.way]++;
		note_settled(run, i);
		sign_run_warn(run, i);
		if (!run->results && !run->args->request.quiet && !run->args->brief)
			sign_run_tell(run, i);
	}
	ks_sign_result_free(&run->outcome[i].sign);
}

static const char *verb_of(const struct run *run)
{
	if (run->unsign)
		return "unsigning";
	return run->args->offline.export_to ? "exporting" : "signing";
}

static int run_batch(struct run *run)
{
	const struct sign_args *args = run->args;
	struct batch_dir dir = { .writes = args->offline.export_to != NULL };
	struct batch batch = { .modules = run->modules,
			       .request = &args->request,
			       .writes = !args->dry_run && !args->offline.export_to,
			       .elsewhere =
				       run->how.signer && ks_signer_is_elsewhere(run->how.signer),
			       .more = &run->copies,
			       .verb = verb_of(run),
			       .work = work,
			       .done = done,
			       .ctx = run };
	struct ks_error err;
	size_t failed;

	if (run->offline && run->offline->fd >= 0) {
		dir.fd = run->offline->fd;
		batch.dir = &dir;
	}
	run->outcome = calloc(run->modules->count, sizeof(*run->outcome));
	if (!run->outcome) {
		ks_fail_memory(&err);
		report_error(&err);
		return STATUS_FAILED;
	}
	failed = batch_run(&batch);
	run->failed += failed;
	free(run->outcome);
	return failed ? STATUS_FAILED : STATUS_DONE;
}

static bool refresh(const struct run *run, struct ks_error *err)
{
	const struct sign_args *args = run->args;

	/* A hook has others behind it that make the initramfs, unless it is told otherwise. */
	if (!run->settled.count || (!args->update_initramfs && (!run->changed || args->brief)))
		return true;
	if (args->dry_run)
		return !args->update_initramfs || run->initramfs || args->request.quiet ||
		       refresh_foresee(&args->request, run->kernel, &run->settled, err);
	return refresh_images(&args->request, run->kernel, &run->settled, args->update_initramfs,
			      run->initramfs, err);
}

/* Those of one directory are what DKMS is building, or no concern of its. */
static bool find_copies(struct run *run)
{
	const struct sign_args *args = run->args;
	struct ks_error err;

	if (args->no_dkms || args->request.dir || !run->kernel ||
	    ks_dkms_copies(args->request.root, run->kernel->version, &run->copies, &err))
		return true;
	report_error(&err);
	return false;
}

/* *SIGNER stays NULL where none is needed, or each request brings its own. */
static bool open_signer(struct run *run, const struct ks_kernel *kernel, struct ks_signer **signer)
{
	const struct sign_args *args = run->args;
	struct ks_error err;

	*signer = NULL;
	if (run->unsign || args->offline.attach_from)
		return true;
	if (!run->offline)
		return request_open_signer(&args->request, &args->key, kernel, signer);
	if (!offline_open_signer(run->offline, &args->request, &args->key, kernel, signer, &err)) {
		report_error(&err);
		return false;
	}
	run->offline->signer = *signer;
	run->offline->kernel = kernel ? kernel->version : NULL;
	return true;
}

static int each_kernel(void *ctx, const struct ks_kernel *kernel, const struct ks_modules *modules)
{
	struct run *run = ctx;
	const struct sign_args *args = run->args;
	struct ks_signer *signer;
	struct ks_error err;
	int status = STATUS_FAILED;

	if (!modules->count)
		return request_report_nothing(&args->request, kernel);
	if (!open_signer(run, kernel, &signer))
		return STATUS_FAILED;
	/* The next kernel's keys may want it as well. */
	if (!request_is_of_all(&args->request))
		pin_wipe();
	run->kernel = kernel;
	run->modules = modules;
	if (args->offline.attach_from)
		offline_expect(run->offline, modules);
	run->how = (struct ks_sign){ .load = request_load(&args->request),
				     .signer = signer,
				     .kernel = kernel ? kernel->version : NULL,
				     .force = args->force,
				     .stack = args->stack,
				     .recompress = args->recompress,
				     .dry_run = args->dry_run,
				     .record = run->audit != NULL,
				     .sync = run->sync };
	if (find_copies(run))
		status = run_batch(run);
	if (!refresh(run, &err)) {
		report_error(&err);
		status = STATUS_FAILED;
	}
	ks_strings_free(&run->settled);
	run->changed = 0;
	ks_strings_free(&run->copies);
	ks_signer_free(signer);
	return status;
}

/* On the machine that runs: losing every signature of its kernel package is no small thing. */
static bool may_touch_all(const struct sign_args *args)
{
	const struct request *r = &args->request;

	if (!r->all || r->root || args->force || args->dry_run || args->offline.export_to)
		return true;
	if (report_confirm("Replace the signatures of the kernel package's own modules too?"))
		return true;
	report_warning("--all on the running system replaces the kernel package's own signatures: "
		       "--force if that is meant");
	return false;
}

/* The directories are synced before anything is said of the whole. */
static int run_kernels(struct run *run)
{
	struct ks_error err;
	int status = STATUS_FAILED;

	if (ks_dirsync_start(&run->sync, &err)) {
		if (run->offline)
			run->offline->sync = run->sync;
		status = request_each_kernel(&run->args->request, each_kernel, run);
		if (ks_dirsync_finish(run->sync, &err))
			return status;
		status = STATUS_FAILED;
	}
	report_error(&err);
	return status;
}

static int run_offline(struct run *run)
{
	const struct sign_args *args = run->args;
	struct offline offline = { 0 };
	struct ks_error err;
	int status = STATUS_FAILED;

	if (!args->offline.export_to && !args->offline.attach_from)
		return run_kernels(run);
	if (offline_open(&offline, &args->offline, &args->key, args->dry_run, &err)) {
		run->offline = &offline;
		status = run_kernels(run);
		run->offline = NULL;
	} else {
		report_error(&err);
	}
	offline_close(&offline);
	return status;
}

/* The log is there before anything is touched, and what went wrong with it is a failure. */
static int run_logged(struct run *run)
{
	const struct sign_args *args = run->args;
	struct ks_error err;
	char counts[512];
	int status;

	if (!args->log || args->dry_run)
		return run_offline(run);
	if (!audit_open(&run->audit, args->log, run->unsign ? "unsign" : "sign", &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	status = run_offline(run);
	sign_run_count(run, counts, sizeof(counts));
	if (audit_close(run->audit, counts, status, &err))
		return status;
	report_error(&err);
	return STATUS_FAILED;
}

/* One line for the system's log, where it was the system that was changed. */
static void tell_system(const struct run *run, int status)
{
	const struct sign_args *args = run->args;
	bool failed = status != STATUS_DONE;
	char counts[512];

	sign_run_count(run, counts, sizeof(counts));
	if (!args->request.root && !args->dry_run && !args->offline.export_to &&
	    (run->count[KS_OUTCOME_SIGNED] || run->count[KS_OUTCOME_UNSIGNED] || failed))
		audit_tell_system(run->unsign ? "unsign" : "sign", counts, failed);
}

static bool check_args(const struct sign_args *args)
{
	if (args->log && !args->log[0]) {
		report_warning("--log: no file is named");
		return false;
	}
	if (!args->stack || !args->recompress)
		return offline_check(&args->offline, &args->key);
	report_warning("--stack and --recompress contradict each other");
	return false;
}

int sign_or_unsign(struct sign_args *args, bool unsign, int operands, char **operand)
{
	struct run run = { .args = args, .unsign = unsign };
	int status;

	if (!check_args(args) || !request_check_keys(&args->key) ||
	    !request_complete(&args->request, operands, operand) ||
	    !pin_use(args->key.pin_file, args->key.pin_fd))
		return STATUS_USAGE;
	if (!may_touch_all(args))
		return STATUS_FAILED;
	if (args->request.json) {
		run.results = json_object_new_array();
		run.initramfs = json_object_new_array();
	}
	status = run_logged(&run);
	tell_system(&run, status);
	if (run.results) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "modules", run.results);
		json_object_object_add(o, "initramfs", run.initramfs);
		json_object_object_add(o, "summary", sign_run_summary_json(&run));
		report_json(o);
	} else if (!args->request.quiet) {
		sign_run_summarize(&run);
	}
	return status;
}

#define ARGS struct sign_args

static const struct option_row options[] = {
	REQUEST_OPTIONS(ARGS, request),
	KEY_OPTIONS(ARGS, key),
	{ 'f', "force", NULL, "sign what is signed already, whoever signed it", OPTION_FLAG,
	  offsetof(ARGS, force) },
	{ 'n', "dry-run", NULL, "change nothing, say what would be done", OPTION_FLAG,
	  offsetof(ARGS, dry_run) },
	{ 0, "stack", NULL, "leave a signature that is compressed with its module, and sign both",
	  OPTION_FLAG, offsetof(ARGS, stack) },
	RECOMPRESS_OPTION(ARGS),
	NO_DKMS_OPTION(ARGS),
	UPDATE_INITRAMFS_OPTION(ARGS),
	LOG_OPTION(ARGS, log),
	OFFLINE_OPTIONS(ARGS, offline),
	{ 0 },
};

static int run_sign(void *args, int operands, char **operand)
{
	return sign_or_unsign(args, false, operands, operand);
}

const struct command command_sign = {
	.name = "sign",
	.operands = "[MODULE...]",
	.summary = "sign modules",
	.text = "Signs the modules named (paths, or names of the kernel's modules), those in --dir, or\n"
		"every out-of-tree module of the kernel. What the same key signed already is left as\n"
		"it is; other signatures are replaced.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_sign,
};
