/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/look.h"

struct run {
	const struct request *request;
	struct json_object *modules; /* --json */
	bool seen[STATUS_NOT_CHECKED + 1];
	size_t total, good;
};

static int status_of(const struct look *look)
{
	static const int status[] = {
		[KS_VERDICT_GOOD] = STATUS_DONE,
		[KS_VERDICT_BAD] = STATUS_BAD,
		[KS_VERDICT_MALFORMED] = STATUS_BAD,
		[KS_VERDICT_UNKNOWN_SIGNER] = STATUS_UNKNOWN_SIGNER,
		[KS_VERDICT_UNSIGNED] = STATUS_UNSIGNED,
		[KS_VERDICT_UNSUPPORTED] = STATUS_NOT_CHECKED,
	};

	return look->facts ? status[look->facts->inspection.verdict] : STATUS_NOT_CHECKED;
}

/* The worst of several; a file that could not be checked is worse than one without signature. */
static int worst(const struct run *run)
{
	static const int order[] = { STATUS_BAD, STATUS_NOT_CHECKED, STATUS_UNKNOWN_SIGNER,
				     STATUS_UNSIGNED };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (run->seen[order[i]])
			return order[i];
	return STATUS_DONE;
}

/* "NAME, sha512" of the signer that decided, or of the first. */
static bool decisive_signer(const struct look *look, char **text, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	KS_STRING name = NULL;
	size_t i = 0;

	while (i + 1 < in->signature.count && in->finding[i].verdict != in->verdict)
		i++;
	return look_signer(look, i, &name, err) &&
	       ks_string_print(text, err, "%s, %s", name, in->signature.signer[i].digest);
}

static bool word(const struct look *look, char **text, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	KS_STRING signer = NULL;

	if (in->signature.count && !decisive_signer(look, &signer, err))
		return false;
	switch (in->verdict) {
	case KS_VERDICT_GOOD:
		return ks_string_print(text, err, "good, signed by %s", signer);
	case KS_VERDICT_BAD:
		return ks_string_print(text, err,
				       "bad: the signature (%s) is not one of these bytes", signer);
	case KS_VERDICT_UNKNOWN_SIGNER:
		return ks_string_print(text, err, "unknown signer: %s", signer);
	case KS_VERDICT_MALFORMED:
	case KS_VERDICT_UNSUPPORTED:
		return ks_string_print(text, err, "%s: %s", ks_verdict_name(in->verdict),
				       in->fault);
	case KS_VERDICT_UNSIGNED:
		break;
	}
	return ks_string_copy(text, ks_verdict_name(in->verdict), err);
}

/* Its answer, and the first thing to do about it. */
static void tell_kernel(const struct look *look, const char *prediction)
{
	struct step step[ADVICE_STEPS];
	struct ks_error err;
	size_t count;

	report_line("%s: kernel %s: %s", look->found->path, look->kernel->version, prediction);
	if (!look_steps(look, step, &count, &err)) {
		report_error(&err);
		return;
	}
	if (count)
		report_line("%s: next: %s", look->found->path,
			    step[0].command ? step[0].command : step[0].why);
	steps_free(step, count);
}

static void tell(const struct look *look)
{
	KS_STRING text = NULL;
	KS_STRING notes = NULL;
	KS_STRING prediction = NULL;
	struct ks_error err;

	if (!word(look, &text, &err) || !look_notes(look, &notes, &err) ||
	    !look_prediction(look, &prediction, &err)) {
		report_error(&err);
		return;
	}
	report_line("%s: %s%s%s", look->found->path, text, notes[0] ? "; " : "", notes);
	if (prediction)
		tell_kernel(look, prediction);
}

static void each(void *ctx, const struct look *look)
{
	struct run *run = ctx;

	run->seen[status_of(look)] = true;
	run->total++;
	run->good += status_of(look) == STATUS_DONE;
	if (run->modules)
		json_object_array_add(run->modules, look_json(look));
	else if (look->facts && !run->request->quiet)
		tell(look);
}

static int run_verify(void *ctx, int operands, char **operand)
{
	struct look_args *args = ctx;
	struct run run = { .request = &args->request };

	if (!request_complete(&args->request, operands, operand))
		return STATUS_NOT_CHECKED;
	args->predicts = args->request.kernel;
	if (args->request.json)
		run.modules = json_object_new_array();
	if (look_run(args, true, each, &run) != STATUS_DONE)
		run.seen[STATUS_NOT_CHECKED] = true;
	if (run.modules) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "modules", run.modules);
		report_json(o);
	} else if (run.total > 1 && !args->request.quiet) {
		report_line("%zu of %zu modules are good", run.good, run.total);
	}
	return worst(&run);
}

#define ARGS struct look_args

static const struct option_row options[] = {
	LOOK_OPTIONS(ARGS, ),
	{ 0 },
};

const struct command command_verify = {
	.name = "verify",
	.operands = "[MODULE...]",
	.summary = "check whether signatures hold",
	.text = "Checks the signatures of the modules named, those in --dir, or every out-of-tree module\n"
		"of the kernel. Exit status: 0 good, 1 bad or malformed, 2 signer unknown, 3 unsigned,\n"
		"4 could not check; of several the first of 1, 4, 2, 3, 0.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_verify,
	.other_status = STATUS_NOT_CHECKED,
};
