/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/look.h"
#include "cli/prediction.h"
#include "cli/refresh.h"
#include "core/cert.h"
#include "core/dkmshook.h"

struct status_args {
	struct look_args look;
	bool only_unsigned;
	bool only_bad;
	const char *signer;
	bool in_tree;
	bool out_of_tree;
};

struct run {
	const struct status_args *args;
	bool long_form;
	struct json_object *modules; /* --json */
	struct report_table *table;  /* else, but for the long form */
	size_t count[KS_VERDICT_UNSUPPORTED + 1];
	size_t total, unreadable;
	size_t unpredicted;
	const char *unpredicted_why;	   /* of the first */
	struct json_object *initramfs;	   /* --json */
	struct ks_strings initramfs_notes; /* else, a line each */
};

static const char *const columns[] = { "MODULE", "WHERE",  "CONTAINER", "VERDICT",
				       "LOADS",	 "SIGNER", "KEY",	"HASH" };

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* Filters */

static bool names_signer(const struct look *look, const char *wanted)
{
	const struct ks_inspection *in = &look->facts->inspection;

	for (size_t i = 0; i < in->signature.count; i++) {
		const struct ks_signer_id *id = &in->signature.signer[i];
		KS_STRING name = NULL;
		struct ks_error err;

		if ((look_signer(look, i, &name, &err) && strcasestr(name, wanted)) ||
		    (id->issuer && strcasestr(id->issuer, wanted)) ||
		    (id->serial && strcasestr(id->serial, wanted)) ||
		    (id->key_id && strcasestr(id->key_id, wanted)))
			return true;
	}
	return false;
}

static bool is_wanted(const struct status_args *args, const struct look *look)
{
	enum ks_verdict verdict;

	if (args->in_tree && !look->found->in_tree)
		return false;
	if (!look->facts)
		return true;
	verdict = look->facts->inspection.verdict;
	if (args->only_unsigned && args->only_bad)
		return verdict != KS_VERDICT_GOOD && verdict != KS_VERDICT_UNKNOWN_SIGNER;
	if (args->only_unsigned && verdict != KS_VERDICT_UNSIGNED)
		return false;
	if (args->only_bad && verdict != KS_VERDICT_BAD && verdict != KS_VERDICT_MALFORMED &&
	    verdict != KS_VERDICT_UNSUPPORTED)
		return false;
	return !args->signer || names_signer(look, args->signer);
}

/* The table: one line a signer, the module's own columns on the first. */

static bool add_signer(struct run *run, const struct look *look, size_t i, const char **text,
		       struct ks_error *err)
{
	const struct ks_signer_id *id = &look->facts->inspection.signature.signer[i];
	KS_STRING name = NULL;
	KS_STRING serial = NULL;

	if (!look_signer(look, i, &name, err) ||
	    (id->serial && !ks_string_print(&serial, err, "serial %s", id->serial)))
		return false;
	text[5] = name;
	text[6] = id->key_id ? id->key_id : serial;
	text[7] = id->digest;
	report_table_add(run->table, text);
	return true;
}

static bool add_lines(struct run *run, const struct look *look, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	KS_STRING name = NULL;
	KS_STRING where = NULL;
	const char *text[COLUMNS] = { NULL };

	if (!look_name(look, &name, err) || !look_where(look, &where, err))
		return false;
	text[0] = name;
	text[1] = where;
	text[2] = look->facts->codec->name;
	text[3] = ks_verdict_name(in->verdict);
	if (look->facts->is_predicted)
		text[4] = prediction_word(&look->facts->prediction, look->trust);
	if (!in->signature.count)
		report_table_add(run->table, text);
	for (size_t i = 0; i < in->signature.count; i++) {
		if (!add_signer(run, look, i, text, err))
			return false;
		memset(text, 0, sizeof(text));
	}
	return true;
}

/* The long form */

static void field(const char *name, const char *text)
{
	if (text)
		report_line("  %-18s %s", name, text);
}

static bool tell_cert(X509 *cert, struct ks_error *err)
{
	KS_CERT_TEXT text = { 0 };

	if (!ks_cert_describe(cert, &text, err))
		return false;
	report_line("    certificate      %s", text.subject);
	report_line("      valid          %s to %s", text.not_before, text.not_after);
	report_line("      key id         %s", text.key_id ? text.key_id : "none");
	report_line("      usage          %s", text.usage ? text.usage : "not said");
	return true;
}

static bool tell_signer(const struct look *look, size_t i, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	const struct ks_signer_id *id = &in->signature.signer[i];
	KS_STRING name = NULL;

	if (!look_signer(look, i, &name, err))
		return false;
	report_line("  signer %zu of %zu      %s: %s", i + 1, in->signature.count, name,
		    ks_verdict_name(in->finding[i].verdict));
	if (id->issuer)
		report_line("    issuer           %s", id->issuer);
	if (id->serial)
		report_line("    serial           %s", id->serial);
	if (id->key_id)
		report_line("    key id           %s", id->key_id);
	report_line("    digest           %s", id->digest);
	report_line("    algorithm        %s", id->algorithm);
	report_line("    attributes       %s", id->attributes ? "signed" : "none");
	return !in->finding[i].cert || tell_cert(in->finding[i].cert, err);
}

static void tell_libkmod(const struct ks_modinfo *info)
{
	if (!info->sig_id && !info->signer)
		field("modinfo shows", "no signature");
	else
		report_line("  %-18s %s, signer %s, key %s, %s", "modinfo shows",
			    info->sig_id ? info->sig_id : "?", info->signer ? info->signer : "?",
			    info->sig_key ? info->sig_key : "?",
			    info->sig_hashalgo ? info->sig_hashalgo : "?");
}

static void tell_steps(const struct look *look)
{
	struct step step[ADVICE_STEPS];
	struct ks_error err;
	size_t count;

	if (!look_steps(look, step, &count, &err)) {
		report_error(&err);
		return;
	}
	for (size_t i = 0; i < count; i++)
		field(i ? "" : "next", step[i].command ? step[i].command : step[i].why);
	steps_free(step, count);
}

static bool tell_long(const struct look *look, struct ks_error *err)
{
	const struct ks_facts *facts = look->facts;
	const struct ks_inspection *in = &facts->inspection;
	KS_STRING reader = NULL;
	KS_STRING notes = NULL;
	KS_STRING prediction = NULL;

	if (!look_reader(look, &reader, err) || !look_notes(look, &notes, err) ||
	    !look_prediction(look, &prediction, err))
		return false;
	report_line("%s", look->found->path);
	report_line("  verdict            %s%s%s", ks_verdict_name(in->verdict),
		    in->fault ? ": " : "", in->fault ? in->fault : "");
	field("note", notes[0] ? notes : NULL);
	if (prediction)
		report_line("  kernel             %s: %s", look->kernel->version, prediction);
	tell_steps(look);
	report_line("  container          %s; read by the kernel itself: %s", facts->codec->name,
		    reader);
	report_line("  size               %llu bytes, %llu decompressed",
		    (unsigned long long)facts->file_size, (unsigned long long)facts->content_size);
	report_line("  signature          %zu bytes behind an image of %zu", in->signature_size,
		    in->image_size);
	for (size_t i = 0; i < in->signature.count; i++)
		if (!tell_signer(look, i, err))
			return false;
	field("vermagic", facts->info.vermagic ? facts->info.vermagic : "none");
	field("intree", facts->info.intree ? "Y" : "not said");
	tell_libkmod(&facts->info);
	return true;
}

static void count_unpredicted(struct run *run, const struct ks_facts *facts)
{
	if (!facts->is_predicted || facts->prediction.fate != KS_FATE_UNKNOWN)
		return;
	if (!run->unpredicted++)
		run->unpredicted_why = facts->prediction.why;
}

static void each(void *ctx, const struct look *look)
{
	struct run *run = ctx;
	struct ks_error err;
	bool ok = true;

	if (!is_wanted(run->args, look))
		return;
	run->total++;
	if (look->facts) {
		run->count[look->facts->inspection.verdict]++;
		count_unpredicted(run, look->facts);
	} else {
		run->unreadable++;
	}
	if (look->facts && look->facts->inspection.fault)
		report_warning("%s: %s signature: %s", look->found->path,
			       ks_verdict_name(look->facts->inspection.verdict),
			       look->facts->inspection.fault);
	if (run->modules)
		json_object_array_add(run->modules, look_json(look));
	else if (look->facts && run->long_form)
		ok = tell_long(look, &err);
	else if (look->facts)
		ok = add_lines(run, look, &err);
	if (!ok)
		report_error(&err);
}

static void summarize(const struct run *run)
{
	char text[256];
	int used = 0;

	for (size_t i = 0; i < sizeof(run->count) / sizeof(*run->count); i++)
		if (run->count[i])
			used += snprintf(text + used, sizeof(text) - (size_t)used, ", %zu %s",
					 run->count[i], ks_verdict_name((enum ks_verdict)i));
	if (run->unreadable)
		used += snprintf(text + used, sizeof(text) - (size_t)used, ", %zu unreadable",
				 run->unreadable);
	report_line("%zu module%s%.*s", run->total, run->total == 1 ? "" : "s", used, text);
	if (run->unpredicted)
		report_line("whether %zu of them load%s is unknown: %s", run->unpredicted,
			    run->unpredicted == 1 ? "s" : "", run->unpredicted_why);
}

/* Old copies in the initramfs */

static bool note_images(struct run *run, const struct ks_kernel *kernel,
			const struct ks_stale *stale, struct ks_error *err)
{
	for (size_t i = 0; i < stale->count; i++) {
		KS_STRING text = NULL;

		if (!refresh_word(run->args->look.request.root, kernel->version, &stale->image[i],
				  &text, err) ||
		    (text && !ks_strings_add(&run->initramfs_notes, text, err)))
			return false;
	}
	return true;
}

static bool look_at_initramfs(struct run *run, const struct ks_kernel *kernel,
			      const struct ks_modules *modules, struct ks_error *err)
{
	const struct request *request = &run->args->look.request;
	struct ks_load load = request_load(request);
	KS_STRINGS paths = { 0 };
	KS_STALE stale = { 0 };

	/* The kernel's own modules come in its initramfs as they are, and they are many. */
	for (size_t i = 0; i < modules->count; i++)
		if ((!modules->item[i].in_tree || modules->item[i].by_choice) &&
		    !ks_strings_add(&paths, modules->item[i].path, err))
			return false;
	if (!paths.count)
		return true;
	if (!ks_stale_find(kernel, &load, &paths, &stale, err))
		return false;
	if (!run->initramfs)
		return note_images(run, kernel, &stale, err);
	refresh_add_json(run->initramfs, request->root, kernel->version, &stale);
	return true;
}

static void kernel_done(void *ctx, const struct ks_kernel *kernel, const struct ks_modules *modules)
{
	struct run *run = ctx;
	const struct request *request = &run->args->look.request;
	struct ks_error err;

	if ((request->quiet && !request->json) || look_at_initramfs(run, kernel, modules, &err))
		return;
	report_error(&err);
}

/* What DKMS will install without anybody's looking, where somebody is meant to. */
static bool find_ungated(const struct request *request, struct ks_strings *ungated)
{
	struct ks_error err;

	if (request->dir || request->names || ks_dkms_ungated(request->root, ungated, &err))
		return true;
	report_error(&err);
	return false;
}

static struct json_object *list_json(const struct ks_strings *list)
{
	struct json_object *o = json_object_new_array();

	for (size_t i = 0; i < list->count; i++)
		json_object_array_add(o, report_text(list->item[i]));
	return o;
}

static void tell_ungated(const struct ks_strings *ungated)
{
	char names[512];

	ks_strings_join(ungated, names, sizeof(names));
	if (ungated->count)
		report_line("not gated in DKMS: %s; 'kernel-sign dkms enable --all' gates all",
			    names);
}

static bool complete(struct status_args *args, int operands, char **operand)
{
	struct request *request = &args->look.request;

	if (!request_complete(request, operands, operand))
		return false;
	if (args->in_tree && args->out_of_tree) {
		report_warning("--in-tree and --out-of-tree exclude each other: --all shows both");
		return false;
	}
	request->all |= args->in_tree;
	return true;
}

static int run_status(void *ctx, int operands, char **operand)
{
	struct status_args *args = ctx;
	struct request *request = &args->look.request;
	struct run run = { .args = args };
	KS_STRINGS ungated = { 0 };
	bool known;
	int status;

	if (!complete(args, operands, operand))
		return STATUS_USAGE;
	args->look.predicts = true;
	args->look.kernel_done = kernel_done;
	run.long_form = !request->quiet && (request->verbose || request->names == 1);
	if (request->json) {
		run.modules = json_object_new_array();
		run.initramfs = json_object_new_array();
	} else {
		run.table = report_table_new(columns, COLUMNS);
	}
	status = look_run(&args->look, false, each, &run);
	known = find_ungated(request, &ungated);
	if (!known)
		status = STATUS_FAILED;
	if (run.modules) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "modules", run.modules);
		json_object_object_add(o, "dkms_not_gated", known ? list_json(&ungated) : NULL);
		json_object_object_add(o, "initramfs", run.initramfs);
		report_json(o);
		return status;
	}
	report_table_print(run.table, run.total && !run.long_form && !request->quiet);
	if (run.total && !request->quiet && !(run.long_form && run.total == 1))
		summarize(&run);
	if (!request->quiet)
		tell_ungated(&ungated);
	for (size_t i = 0; i < run.initramfs_notes.count; i++)
		report_line("%s", run.initramfs_notes.item[i]);
	ks_strings_free(&run.initramfs_notes);
	return status;
}

#define ARGS struct status_args

static const struct option_row options[] = {
	LOOK_OPTIONS(ARGS, look.),
	{ 0, "unsigned", NULL, "only modules without a signature", OPTION_FLAG,
	  offsetof(ARGS, only_unsigned) },
	{ 0, "bad", NULL, "only bad, malformed and unsupported signatures", OPTION_FLAG,
	  offsetof(ARGS, only_bad) },
	{ 0, "signer", "TEXT", "only modules whose signer has TEXT in name, issuer or number",
	  OPTION_STRING, offsetof(ARGS, signer) },
	{ 0, "in-tree", NULL, "only in-tree modules", OPTION_FLAG, offsetof(ARGS, in_tree) },
	{ 0, "out-of-tree", NULL, "only out-of-tree modules, which is the default", OPTION_FLAG,
	  offsetof(ARGS, out_of_tree) },
	{ 0 },
};

const struct command command_status = {
	.name = "status",
	.operands = "[MODULE...]",
	.summary = "show which modules are signed, by whom, and whether it holds",
	.text = "Shows the signatures of the modules named, those in --dir, or every out-of-tree module\n"
		"of the kernel; of a single MODULE, or with --verbose, all that can be said.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_status,
};
