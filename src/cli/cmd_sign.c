/* SPDX-License-Identifier: MIT */
/* sign and unsign: they differ in one call and need a key or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/cmd_sign.h"
#include "cli/pin.h"
#include "cli/report.h"
#include "core/dkms.h"

struct outcome {
	struct ks_sign_result sign;
	enum ks_dkms_copy dkms;
	const char *copy; /* in run.copies */
};

struct run {
	const struct sign_args *args;
	bool unsign;
	struct json_object *results; /* NULL without --json */
	size_t count[KS_OUTCOME_NOT_SIGNED + 1];
	size_t written[KS_WAY_PACKED + 1];
	size_t failed;
	struct ks_dirsync *sync;

	/* of the kernel in hand */
	const struct ks_kernel *kernel;
	const struct ks_modules *modules;
	struct ks_sign how;
	struct ks_strings copies; /* of DKMS, of its modules for that kernel */
	struct outcome *outcome;  /* by module */
};

static const struct {
	const char *line;    /* for a person */
	const char *planned; /* the same with --dry-run */
	const char *json;    /* and for machines */
} words[] = {
	[KS_OUTCOME_SIGNED] = { "signed", "would be signed", "signed" },
	[KS_OUTCOME_ALREADY_SIGNED] = { "already signed", "already signed", "already-signed" },
	[KS_OUTCOME_LEFT_ALONE] = { "left alone", "would be left alone", "left-alone" },
	[KS_OUTCOME_UNSIGNED] = { "unsigned", "would be unsigned", "unsigned" },
	[KS_OUTCOME_NOT_SIGNED] = { "was not signed", "is not signed", "not-signed" },
};

/* How a file was written, for everybody; --verbose and JSON say it of each. */
static const char *const ways[] = {
	[KS_WAY_NONE] = NULL,	    [KS_WAY_PLAIN] = "plain",	      [KS_WAY_SPLICED] = "spliced",
	[KS_WAY_MENDED] = "mended", [KS_WAY_PACKED] = "recompressed",
};

/* for machines */
static const char *const dkms_words[] = {
	[KS_DKMS_NO_COPY] = NULL,
	[KS_DKMS_SAME] = "same",
	[KS_DKMS_RENEWED] = "renewed",
	[KS_DKMS_DIFFERS] = "differs",
};

static bool sign(struct run *run, const struct ks_found *found, struct ks_sign_result *result,
		 struct ks_error *err)
{
	bool spare_others = !run->args->request.all && !found->by_choice;

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

static bool work(void *ctx, size_t i, struct ks_error *err)
{
	struct run *run = ctx;
	const struct ks_found *found = &run->modules->item[i];
	struct outcome *outcome = &run->outcome[i];

	if (!sign(run, found, &outcome->sign, err))
		return false;
	if (outcome->sign.outcome == KS_OUTCOME_LEFT_ALONE || !is_installed(run, found) ||
	    ks_dkms_renew(found->path, &run->copies, &run->how.load, run->args->dry_run, run->sync,
			  &outcome->dkms, &outcome->copy, err)) {
		foresee_copy(run, found, outcome);
		return true;
	}
	ks_sign_result_free(&outcome->sign);
	return ks_at(err, "its copy in DKMS's tree stays different");
}

static struct json_object *to_json(const struct run *run, size_t i, const struct ks_error *err)
{
	const struct ks_sign_result *result = &run->outcome[i].sign;
	const struct ks_written *written = &result->written;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "kernel", report_text(run->kernel ? run->kernel->version : NULL));
	json_object_object_add(o, "path", report_text(run->modules->item[i].path));
	json_object_object_add(o, "result",
			       report_text(err ? "failed" : words[result->outcome].json));
	json_object_object_add(o, "error", report_text(err ? err->text : NULL));
	json_object_object_add(o, "removed",
			       json_object_new_int64(err ? 0 : (int64_t)result->removed));
	json_object_object_add(o, "beneath",
			       json_object_new_int64(err ? 0 : (int64_t)result->beneath));
	json_object_object_add(o, "written", report_text(err ? NULL : ways[written->way]));
	json_object_object_add(o, "written_why", report_text(err ? NULL : written->why));
	json_object_object_add(
		o, "growth", err || !written->way ? NULL : json_object_new_int64(written->growth));
	json_object_object_add(o, "other_signer", report_text(result->other));
	json_object_object_add(o, "hard_linked", json_object_new_boolean(result->hard_linked));
	json_object_object_add(o, "foreign_vermagic", report_text(result->vermagic));
	json_object_object_add(o, "dkms_copy", report_text(err ? NULL : run->outcome[i].copy));
	json_object_object_add(o, "dkms_result",
			       report_text(err ? NULL : dkms_words[run->outcome[i].dkms]));
	return o;
}

/* "; spliced, 812 bytes more", where that is wanted. */
static void word_written(const struct run *run, const struct ks_sign_result *result, char *text,
			 size_t size)
{
	const struct ks_written *written = &result->written;

	text[0] = '\0';
	if (!run->args->request.verbose || written->way == KS_WAY_NONE)
		return;
	snprintf(text, size, "; %s%s%s%s, %lld bytes %s%s",
		 written->way == KS_WAY_MENDED ? "mended and spliced" : ways[written->way],
		 written->why ? " (" : "", written->why ? written->why : "",
		 written->why ? ")" : "", llabs((long long)written->growth),
		 written->growth < 0 ? "less" : "more",
		 result->beneath ? "; what signed it before stays beneath" : "");
}

static void tell(const struct run *run, size_t i)
{
	const struct ks_sign_result *result = &run->outcome[i].sign;
	const char *path = run->modules->item[i].path;
	const char *word =
		run->args->dry_run ? words[result->outcome].planned : words[result->outcome].line;
	char how[256];

	word_written(run, result, how, sizeof(how));
	if (result->outcome == KS_OUTCOME_LEFT_ALONE)
		report_line("%s: %s, signed by %s; name it or use --force to %s", path, word,
			    result->other ? result->other : "somebody else",
			    run->unsign ? "remove that" : "replace");
	else
		report_line("%s: %s%s", path, word, how);
}

static void tell_copy(const struct run *run, size_t i)
{
	const struct outcome *outcome = &run->outcome[i];

	if (outcome->dkms == KS_DKMS_RENEWED)
		report_line("%s: DKMS's copy, %s made the same", outcome->copy,
			    run->args->dry_run ? "would be" : "was");
}

static void warn(const struct run *run, size_t i)
{
	const struct ks_sign_result *result = &run->outcome[i].sign;
	const char *path = run->modules->item[i].path;

	if (result->vermagic)
		report_warning("warning: %s: made for another kernel (vermagic '%s')", path,
			       result->vermagic);
	if (result->hard_linked)
		report_warning("warning: %s: has other hard links, which keep the old content",
			       path);
	/* Beside DKMS's module the kernel's package may have one of the same name. */
	if (run->outcome[i].dkms == KS_DKMS_DIFFERS && !run->modules->item[i].in_tree)
		report_warning("warning: %s: DKMS's copy %s is another build of it: left alone",
			       path, run->outcome[i].copy);
}

static void done(void *ctx, size_t i, const struct ks_error *err)
{
	struct run *run = ctx;

	if (run->results)
		json_object_array_add(run->results, to_json(run, i, err));
	if (!err) {
		run->count[run->outcome[i].sign.outcome]++;
		run->written[run->outcome[i].sign.written.way]++;
		warn(run, i);
		if (!run->results && !run->args->request.quiet) {
			tell(run, i);
			tell_copy(run, i);
		}
	}
	ks_sign_result_free(&run->outcome[i].sign);
}

static int run_batch(struct run *run)
{
	struct batch batch = { .modules = run->modules,
			       .request = &run->args->request,
			       .writes = !run->args->dry_run,
			       .elsewhere =
				       run->how.signer && ks_signer_is_elsewhere(run->how.signer),
			       .more = &run->copies,
			       .verb = run->unsign ? "unsigning" : "signing",
			       .work = work,
			       .done = done,
			       .ctx = run };
	size_t failed;

	run->outcome = calloc(run->modules->count, sizeof(*run->outcome));
	if (!run->outcome) {
		report_warning("out of memory");
		return STATUS_FAILED;
	}
	failed = batch_run(&batch);
	run->failed += failed;
	free(run->outcome);
	return failed ? STATUS_FAILED : STATUS_DONE;
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

static int each_kernel(void *ctx, const struct ks_kernel *kernel, const struct ks_modules *modules)
{
	struct run *run = ctx;
	const struct sign_args *args = run->args;
	struct ks_signer *signer = NULL;
	int status = STATUS_FAILED;

	if (!modules->count)
		return request_report_nothing(&args->request, kernel);
	if (!run->unsign && !request_open_signer(&args->request, &args->key, kernel, &signer))
		return STATUS_FAILED;
	run->kernel = kernel;
	run->modules = modules;
	run->how = (struct ks_sign){ .load = request_load(&args->request),
				     .signer = signer,
				     .kernel = kernel ? kernel->version : NULL,
				     .force = args->force,
				     .stack = args->stack,
				     .recompress = args->recompress,
				     .dry_run = args->dry_run,
				     .sync = run->sync };
	if (find_copies(run))
		status = run_batch(run);
	ks_strings_free(&run->copies);
	ks_signer_free(signer);
	return status;
}

static struct json_object *written_json(const struct run *run)
{
	struct json_object *o = json_object_new_object();

	for (size_t way = KS_WAY_PLAIN; way <= KS_WAY_PACKED; way++)
		json_object_object_add(o, ways[way],
				       json_object_new_int64((int64_t)run->written[way]));
	return o;
}

static struct json_object *summary_json(const struct run *run)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "dry_run", json_object_new_boolean(run->args->dry_run));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		json_object_object_add(o, words[i].json,
				       json_object_new_int64((int64_t)run->count[i]));
	json_object_object_add(o, "failed", json_object_new_int64((int64_t)run->failed));
	json_object_object_add(o, "written", written_json(run));
	return o;
}

/* " (2 spliced, 1 recompressed)", or nothing where no file was compressed. */
static void count_written(const struct run *run, char *text, size_t size)
{
	const char *before = " (";
	size_t used = 0;

	text[0] = '\0';
	for (size_t way = KS_WAY_SPLICED; way <= KS_WAY_PACKED; way++) {
		if (!run->written[way])
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%zu %s", before,
					 run->written[way], ways[way]);
		before = ", ";
	}
	if (used)
		snprintf(text + used, size - used, ")");
}

static void summarize(const struct run *run)
{
	size_t total = run->failed;
	char text[256], written[128];
	int used = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (run->count[i])
			used += snprintf(text + used, sizeof(text) - (size_t)used, "%zu %s, ",
					 run->count[i],
					 run->args->dry_run ? words[i].planned : words[i].line);
		total += run->count[i];
	}
	count_written(run, written, sizeof(written));
	if (total)
		report_line("%.*s%zu failed, of %zu modules%s", used, text, run->failed, total,
			    written);
}

/* On the machine that runs: losing every signature of its kernel package is no small thing. */
static bool may_touch_all(const struct sign_args *args)
{
	const struct request *r = &args->request;

	if (!r->all || r->root || args->force || args->dry_run)
		return true;
	if (report_confirm("Replace the signatures of the kernel package's own modules too?"))
		return true;
	report_warning("--all on the running system replaces the kernel package's own signatures: "
		       "--force if that is meant");
	return false;
}

/* The directories are synced before anything is said of the whole. */
static int run_all(struct run *run)
{
	struct ks_error err;
	int status = STATUS_FAILED;

	if (ks_dirsync_start(&run->sync, &err)) {
		status = request_each_kernel(&run->args->request, each_kernel, run);
		if (ks_dirsync_finish(run->sync, &err))
			return status;
		status = STATUS_FAILED;
	}
	report_error(&err);
	return status;
}

int sign_or_unsign(struct sign_args *args, bool unsign, int operands, char **operand)
{
	struct run run = { .args = args, .unsign = unsign };
	int status;

	if (args->stack && args->recompress) {
		report_warning("--stack and --recompress contradict each other");
		return STATUS_USAGE;
	}
	if (!request_check_keys(&args->key) ||
	    !request_complete(&args->request, operands, operand) ||
	    !pin_use(args->key.pin_file, args->key.pin_fd))
		return STATUS_USAGE;
	if (!may_touch_all(args))
		return STATUS_FAILED;
	if (args->request.json)
		run.results = json_object_new_array();
	status = run_all(&run);
	if (run.results) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "modules", run.results);
		json_object_object_add(o, "summary", summary_json(&run));
		report_json(o);
	} else if (!args->request.quiet) {
		summarize(&run);
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
