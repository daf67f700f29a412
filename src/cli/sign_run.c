/* SPDX-License-Identifier: MIT */
#include "cli/sign_run.h"

#include <stdio.h>
#include <stdlib.h>

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
	[KS_OUTCOME_REQUESTED] = { "requested", "would be requested", "requested" },
	[KS_OUTCOME_NOT_REQUESTED] = { "not requested", "not requested", "not-requested" },
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

const char *sign_run_result(const struct run *run, size_t i, const struct ks_error *err)
{
	return err ? "failed" : words[run->outcome[i].sign.outcome].json;
}

struct json_object *sign_run_json(const struct run *run, size_t i, const struct ks_error *err)
{
	const struct ks_sign_result *result = &run->outcome[i].sign;
	const struct ks_written *written = &result->written;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "kernel", report_text(run->kernel ? run->kernel->version : NULL));
	json_object_object_add(o, "path", report_text(run->modules->item[i].path));
	json_object_object_add(o, "result", report_text(sign_run_result(run, i, err)));
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

static void tell_module(const struct run *run, size_t i)
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

void sign_run_tell(const struct run *run, size_t i)
{
	tell_module(run, i);
	tell_copy(run, i);
}

void sign_run_warn(const struct run *run, size_t i)
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

static struct json_object *written_json(const struct run *run)
{
	struct json_object *o = json_object_new_object();

	for (size_t way = KS_WAY_PLAIN; way <= KS_WAY_PACKED; way++)
		json_object_object_add(o, ways[way],
				       json_object_new_int64((int64_t)run->written[way]));
	return o;
}

struct json_object *sign_run_summary_json(const struct run *run)
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

bool sign_run_count(const struct run *run, char *text, size_t size)
{
	size_t total = run->failed, used = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (run->count[i])
			used += (size_t)snprintf(
				text + used, size - used, "%zu %s, ", run->count[i],
				run->args->dry_run ? words[i].planned : words[i].line);
		total += run->count[i];
	}
	snprintf(text + used, size - used, "%zu failed, of %zu modules", run->failed, total);
	return total > 0;
}

void sign_run_summarize(const struct run *run)
{
	const char *kernel = run->args->request.kernel;
	char text[384], written[128];

	count_written(run, written, sizeof(written));
	if (!sign_run_count(run, text, sizeof(text)))
		return;
	if (run->args->brief)
		report_line("kernel-sign: %s: %s", kernel ? kernel : "the running kernel", text);
	else
		report_line("%s%s", text, written);
}
