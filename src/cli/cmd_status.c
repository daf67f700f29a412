/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/report.h"
#include "cli/request.h"
#include "core/signature.h"

struct status_args {
	struct request request;
};

/* What was found of one module. */
struct row {
	const struct ks_codec *codec; /* NULL where it could not be read */
	bool is_signed;
	char *fault; /* of a signature that is malformed, else NULL */
	struct ks_signature signature;
};

struct run {
	const struct request *request;
	struct json_object *modules; /* --json */
	struct report_table *table;  /* else */
	size_t total, is_signed, failed;

	/* of the kernel in hand */
	const struct ks_kernel *kernel;
	const struct ks_modules *found;
	struct ks_load load;
	struct row *row; /* by module */
};

static const char *const columns[] = { "MODULE", "WHERE", "CONTAINER", "SIGNED",
				       "SIGNER", "KEY",	  "HASH" };

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

static bool read_signature(struct row *row, const struct ks_trailer *t, struct ks_error *err)
{
	struct ks_error fault;

	row->is_signed = t->kind != KS_TRAILER_NONE;
	if (t->kind == KS_TRAILER_MALFORMED)
		return ks_string_copy(&row->fault, t->fault, err);
	if (t->kind == KS_TRAILER_WHOLE && !ks_signature_parse(t->message, &row->signature, &fault))
		return ks_string_copy(&row->fault, fault.text, err);
	return true;
}

static bool work(void *ctx, size_t i, struct ks_error *err)
{
	struct run *run = ctx;
	KS_MODULE module = KS_MODULE_NONE;
	struct ks_trailer t;

	if (!ks_module_load(&module, run->found->item[i].path, &run->load, err))
		return false;
	run->row[i].codec = module.codec;
	t = ks_module_trailer(&module);
	return read_signature(&run->row[i], &t, err);
}

/* The directory below the kernel's own, or the whole of it elsewhere. */
static char *where(const struct run *run, const char *path)
{
	size_t len = run->kernel ? strlen(run->kernel->dir) : 0;
	const char *slash = strrchr(path, '/');

	if (len && strncmp(path, run->kernel->dir, len) == 0 && path[len] == '/' &&
	    slash > path + len)
		path += len + 1;
	return strndup(path, (size_t)(slash - path));
}

static char *module_name(const char *path)
{
	const char *file = strrchr(path, '/') + 1;
	char *name = strndup(file, strcspn(file, "."));

	for (char *c = name; c && *c; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

static const char *state_of(const struct row *row)
{
	return !row->is_signed ? "no" : row->fault ? "malformed" : "yes";
}

static struct json_object *signers_json(const struct ks_signature *signature)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < signature->count; i++) {
		const struct ks_signer_id *id = &signature->signer[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "name", report_text(id->name));
		json_object_object_add(o, "issuer", report_text(id->issuer));
		json_object_object_add(o, "serial", report_text(id->serial));
		json_object_object_add(o, "key_id", report_text(id->key_id));
		json_object_object_add(o, "hash", report_text(id->digest));
		json_object_object_add(o, "algorithm", report_text(id->algorithm));
		json_object_array_add(list, o);
	}
	return list;
}

static void add_json(const struct run *run, size_t i, const struct ks_error *err)
{
	const struct row *row = &run->row[i];
	const struct ks_found *found = &run->found->item[i];
	struct json_object *o = json_object_new_object();
	KS_STRING name = module_name(found->path);
	KS_STRING dir = where(run, found->path);

	json_object_object_add(o, "module", report_text(name));
	json_object_object_add(o, "path", report_text(found->path));
	json_object_object_add(o, "kernel", report_text(run->kernel ? run->kernel->version : NULL));
	json_object_object_add(o, "where", report_text(dir));
	json_object_object_add(o, "container", report_text(row->codec ? row->codec->name : NULL));
	json_object_object_add(o, "signed", report_text(err ? NULL : state_of(row)));
	json_object_object_add(o, "fault", report_text(row->fault));
	json_object_object_add(o, "signers", signers_json(&row->signature));
	json_object_object_add(o, "error", report_text(err ? err->text : NULL));
	json_object_array_add(run->modules, o);
}

/* One line a signer, the module's own columns on the first. */
static void add_lines(const struct run *run, size_t i)
{
	const struct row *row = &run->row[i];
	KS_STRING name = module_name(run->found->item[i].path);
	KS_STRING dir = where(run, run->found->item[i].path);
	const char *text[COLUMNS] = { name, dir, row->codec->name, state_of(row) };

	if (!row->signature.count)
		report_table_add(run->table, text);
	for (size_t k = 0; k < row->signature.count; k++) {
		const struct ks_signer_id *id = &row->signature.signer[k];
		KS_STRING serial = NULL;
		struct ks_error err;

		if (id->serial && !ks_string_print(&serial, &err, "serial %s", id->serial))
			report_error(&err);
		text[4] = id->name;
		text[5] = id->key_id ? id->key_id : serial;
		text[6] = id->digest;
		report_table_add(run->table, text);
		memset(text, 0, sizeof(text));
	}
}

static void done(void *ctx, size_t i, const struct ks_error *err)
{
	struct run *run = ctx;
	struct row *row = &run->row[i];

	run->total++;
	run->is_signed += row->is_signed;
	run->failed += err != NULL;
	if (row->fault)
		report_warning("%s: malformed signature: %s", run->found->item[i].path, row->fault);
	if (run->modules)
		add_json(run, i, err);
	else if (!err)
		add_lines(run, i);
	ks_signature_free(&row->signature);
	free(row->fault);
}

static int each_kernel(void *ctx, const struct ks_kernel *kernel, const struct ks_modules *found)
{
	struct run *run = ctx;
	struct batch batch = { .modules = found,
			       .jobs = run->request->jobs,
			       .verb = "reading",
			       .work = work,
			       .done = done,
			       .ctx = run };
	size_t failed;

	if (!found->count)
		return request_report_nothing(run->request, kernel);
	run->kernel = kernel;
	run->found = found;
	run->load = request_load(run->request);
	run->row = calloc(found->count, sizeof(*run->row));
	if (!run->row) {
		report_warning("out of memory");
		return STATUS_FAILED;
	}
	failed = batch_run(&batch);
	free(run->row);
	return failed ? STATUS_FAILED : STATUS_DONE;
}

static int run_status(void *ctx, int operands, char **operand)
{
	struct status_args *args = ctx;
	struct run run = { .request = &args->request };
	int status;

	if (!request_complete(&args->request, operands, operand))
		return STATUS_USAGE;
	if (args->request.json)
		run.modules = json_object_new_array();
	else
		run.table = report_table_new(columns, COLUMNS);
	status = request_each_kernel(&args->request, each_kernel, &run);
	if (run.modules) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "modules", run.modules);
		report_json(o);
		return status;
	}
	if (run.total && !args->request.quiet) {
		report_table_print(run.table);
		report_line("%zu modules, %zu signed, %zu not signed, %zu unreadable", run.total,
			    run.is_signed, run.total - run.is_signed - run.failed, run.failed);
	}
	return status;
}

#define ARGS struct status_args

static const struct option_row options[] = {
	REQUEST_OPTIONS(ARGS, request),
	{ 0 },
};

const struct command command_status = {
	.name = "status",
	.operands = "[MODULE...]",
	.summary = "show which modules are signed, and by whom",
	.text = "Shows the signatures of the modules named, those in --dir, or every out-of-tree module\n"
		"of the kernel. It reads them; it does not say whether they hold.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_status,
};
