/* SPDX-License-Identifier: MIT */
#include "cli/look.h"

#include <stdlib.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/prediction.h"
#include "core/cert.h"

struct run {
	const struct look_args *args;
	bool strict;
	void (*each)(void *ctx, const struct look *look);
	void *ctx;

	/* of the kernel in hand */
	struct look look;
	const struct ks_modules *modules;
	struct ks_load load;
	struct ks_certs certs;
	struct ks_trust trust;
	struct ks_loader loader;
	struct situation situation;
	struct ks_facts *facts; /* by module */
};

static bool work(void *ctx, size_t i, struct ks_error *err)
{
	struct run *run = ctx;

	return ks_facts_find(run->modules->item[i].path, &run->load, &run->certs,
			     run->look.trust ? &run->loader : NULL, &run->facts[i], err);
}

static void done(void *ctx, size_t i, const struct ks_error *err)
{
	struct run *run = ctx;

	run->look.found = &run->modules->item[i];
	run->look.facts = err ? NULL : &run->facts[i];
	run->look.err = err;
	run->each(run->ctx, &run->look);
	ks_facts_free(&run->facts[i]);
}

static int run_batch(struct run *run)
{
	struct batch batch = { .modules = run->modules,
			       .request = &run->args->request,
			       .verb = "reading",
			       .work = work,
			       .done = done,
			       .ctx = run };
	size_t failed;

	run->facts = calloc(run->modules->count, sizeof(*run->facts));
	if (!run->facts) {
		report_warning("out of memory");
		return STATUS_FAILED;
	}
	failed = batch_run(&batch);
	free(run->facts);
	return failed ? STATUS_FAILED : STATUS_DONE;
}

/* What there is to know of the kernel, once for all modules. */
static bool find_kernel(struct run *run)
{
	const struct request *request = &run->args->request;
	const struct ks_kernel *kernel = run->look.kernel;
	struct ks_error err;

	run->look.reader = KS_READER_UNKNOWN;
	if (!kernel)
		return true;
	if (!ks_kernel_reads(kernel, request->root, &run->look.reader, &err) ||
	    (run->args->predicts &&
	     (!request_find_trust(request, run->args->efivars, kernel, &run->trust, &err) ||
	      !ks_loader_find(kernel, &run->load, &run->trust, &run->loader, &err) ||
	      !situation_find(request, run->args->efivars, kernel, &run->trust, &run->situation,
			      &err)))) {
		report_error(&err);
		return false;
	}
	if (run->args->predicts) {
		run->look.trust = &run->trust;
		run->look.situation = &run->situation;
	}
	return true;
}

static int each_kernel(void *ctx, const struct ks_kernel *kernel, const struct ks_modules *modules)
{
	struct run *run = ctx;
	const struct request *request = &run->args->request;
	bool ready;
	int status;

	if (!modules->count)
		return request_report_nothing(request, kernel);
	run->look = (struct look){ .kernel = kernel };
	run->modules = modules;
	run->load = request_load(request);
	run->certs = (struct ks_certs){ 0 };
	run->trust = (struct ks_trust){ 0 };
	run->situation = (struct situation){ 0 };
	run->loader = (struct ks_loader){ 0 };
	ready = request_open_certs(request, &run->args->certs, kernel, &run->certs);
	if ((!ready && run->strict) || !find_kernel(run))
		status = STATUS_FAILED;
	else
		status = run_batch(run);
	if (kernel && run->args->kernel_done)
		run->args->kernel_done(run->ctx, kernel, modules);
	ks_certs_free(&run->certs);
	situation_free(&run->situation);
	ks_loader_free(&run->loader);
	ks_trust_free(&run->trust);
	return status;
}

int look_run(const struct look_args *args, bool strict,
	     void (*each)(void *ctx, const struct look *look), void *ctx)
{
	struct run run = { .args = args, .strict = strict, .each = each, .ctx = ctx };

	return request_each_kernel(&args->request, each_kernel, &run);
}

/* In words */

bool look_where(const struct look *look, char **text, struct ks_error *err)
{
	const char *path = look->found->path;
	size_t len = look->kernel ? strlen(look->kernel->dir) : 0;
	const char *slash = strrchr(path, '/');

	if (len && strncmp(path, look->kernel->dir, len) == 0 && path[len] == '/' &&
	    slash > path + len)
		path += len + 1;
	return ks_string_print(text, err, "%.*s", (int)(slash ? slash - path : 0), path);
}

bool look_name(const struct look *look, char **text, struct ks_error *err)
{
	size_t len;
	const char *name = ks_locate_name(look->found->path, &len);

	if (!ks_string_print(text, err, "%.*s", (int)len, name))
		return false;
	for (char *c = *text; *c; c++)
		if (*c == '-')
			*c = '_';
	return true;
}

bool look_signer(const struct look *look, size_t i, char **text, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	const struct ks_signer_id *id = &in->signature.signer[i];

	if (id->name)
		return ks_string_print(text, err, "%s", id->name);
	if (in->finding[i].cert)
		return ks_name_short(X509_get_subject_name(in->finding[i].cert), text, err);
	return ks_string_print(text, err, "key %s", id->key_id);
}

bool look_has_reader(const struct look *look)
{
	return ks_reader_codec(look->reader) == look->facts->codec;
}

bool look_reader(const struct look *look, char **text, struct ks_error *err)
{
	const struct ks_codec *codec = look->facts->codec;
	const struct ks_codec *reads = ks_reader_codec(look->reader);

	if (codec == &ks_codec_none)
		return ks_string_copy(text, "yes", err);
	if (ks_objection_is_kernels(look->facts->objection))
		return ks_string_print(text, err, "no (%s)", look->facts->objection->text);
	if (look->reader == KS_READER_UNKNOWN)
		return ks_string_copy(text, "unknown (no kernel config could be read)", err);
	if (!reads)
		return ks_string_copy(text, "no (this kernel decompresses no modules itself)", err);
	if (reads != codec)
		return ks_string_print(text, err, "no (this kernel reads %s)", reads->name);
	if (ks_reader_reads(look->reader, look->facts->objection) != KS_READS_ALL)
		return ks_string_print(text, err, "no (%s)", look->facts->objection->text);
	return ks_string_copy(text, "yes", err);
}

bool look_prediction(const struct look *look, char **text, struct ks_error *err)
{
	*text = NULL;
	return !look->facts->is_predicted ||
	       prediction_text(&look->facts->prediction, look->trust, text, err);
}

bool look_steps(const struct look *look, struct step *step, size_t *count, struct ks_error *err)
{
	ADVICE advice = { 0 };
	size_t left_out;

	*count = 0;
	return !look->facts->is_predicted ||
	       (advice_need(&advice, look->situation, look->found->path, look->facts, err) &&
		advice_steps(&advice, look->situation, false, step, count, &left_out, err));
}

static bool add_note(struct ks_strings *notes, bool is_so, const char *note, struct ks_error *err)
{
	return !is_so || ks_strings_add(notes, note, err);
}

static bool add_counted(struct ks_strings *notes, size_t count, const char *what,
			struct ks_error *err)
{
	KS_STRING note = NULL;

	return !count || (ks_string_print(&note, err, "%s: %zu", what, count) &&
			  ks_strings_add(notes, note, err));
}

bool look_notes(const struct look *look, char **text, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	KS_STRINGS notes = { 0 };
	bool attributes = false, bad = false;
	char joined[512];

	for (size_t i = 0; i < in->signature.count; i++) {
		attributes |= in->signature.signer[i].attributes;
		bad |= in->finding[i].verdict == KS_VERDICT_BAD;
	}
	if (!add_note(
		    &notes, bad && in->verdict == KS_VERDICT_GOOD,
		    "another signer's signature is bad: a kernel that knows its key refuses the module",
		    err) ||
	    !add_note(&notes, attributes, "signed attributes, which a kernel refuses", err) ||
	    !add_counted(&notes, in->signature.count > 1 ? in->signature.count : 0, "signers",
			 err) ||
	    !add_counted(&notes, in->beneath, "older signatures beneath, which count for nothing",
			 err) ||
	    !add_counted(&notes, in->signature.certificates, "certificates embedded, not trusted",
			 err) ||
	    !add_counted(&notes, in->padding, "bytes behind the message", err) ||
	    !add_note(&notes, look->facts->objection == &ks_codec_no_content_size,
		      ks_codec_no_content_size.text, err) ||
	    !add_note(&notes, in->indefinite, "BER with indefinite lengths, not DER", err))
		return false;
	ks_strings_join(&notes, joined, sizeof(joined));
	return ks_string_copy(text, joined, err);
}

/* As JSON */

static void put(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, report_text(text));
}

static void put_number(struct json_object *o, const char *name, uint64_t number)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)number));
}

static void put_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

/* A text that could not be made, for want of memory, is null. */
static void put_made(struct json_object *o, const char *name, const struct look *look,
		     bool (*make)(const struct look *look, char **text, struct ks_error *err))
{
	KS_STRING text = NULL;
	struct ks_error err;

	put(o, name, make(look, &text, &err) ? text : NULL);
}

static struct json_object *cert_json(X509 *cert)
{
	KS_CERT_TEXT text = { 0 };
	struct json_object *o;
	struct ks_error err;

	if (!cert || !ks_cert_describe(cert, &text, &err))
		return NULL;
	o = json_object_new_object();
	put(o, "subject", text.subject);
	put(o, "issuer", text.issuer);
	put(o, "serial", text.serial);
	put(o, "key_id", text.key_id);
	put(o, "not_before", text.not_before);
	put(o, "not_after", text.not_after);
	put(o, "usage", text.usage);
	return o;
}

static struct json_object *signers_json(const struct ks_inspection *in)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < in->signature.count; i++) {
		const struct ks_signer_id *id = &in->signature.signer[i];
		struct json_object *o = json_object_new_object();

		put(o, "verdict", ks_verdict_name(in->finding[i].verdict));
		put(o, "name", id->name);
		put(o, "issuer", id->issuer);
		put(o, "serial", id->serial);
		put(o, "key_id", id->key_id);
		put(o, "hash", id->digest);
		put(o, "algorithm", id->algorithm);
		put_bool(o, "signed_attributes", id->attributes);
		json_object_object_add(o, "certificate", cert_json(in->finding[i].cert));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *libkmod_json(const struct ks_modinfo *info)
{
	struct json_object *o = json_object_new_object();

	put(o, "sig_id", info->sig_id);
	put(o, "signer", info->signer);
	put(o, "sig_key", info->sig_key);
	put(o, "sig_hashalgo", info->sig_hashalgo);
	return o;
}

static void put_facts(struct json_object *o, const struct look *look)
{
	const struct ks_facts *facts = look->facts;
	const struct ks_inspection *in = &facts->inspection;

	put(o, "verdict", ks_verdict_name(in->verdict));
	put(o, "fault", in->fault);
	put(o, "container", facts->codec->name);
	put(o, "container_objection",
	    ks_objection_is_weighty(facts->objection) ? facts->objection->text : NULL);
	put_made(o, "kernel_reads_container", look, look_reader);
	put_number(o, "file_size", facts->file_size);
	put_number(o, "content_size", facts->content_size);
	put_number(o, "image_size", in->image_size);
	put_number(o, "signature_size", in->signature_size);
	put_number(o, "padding", in->padding);
	put_number(o, "signatures_beneath", in->beneath);
	put_number(o, "embedded_certificates", in->signature.certificates);
	put_bool(o, "indefinite_length", in->indefinite);
	put(o, "vermagic", facts->info.vermagic);
	put_bool(o, "intree", facts->info.intree);
	json_object_object_add(o, "signers", signers_json(in));
	json_object_object_add(o, "libkmod", libkmod_json(&facts->info));
}

static struct json_object *load_json(const struct look *look)
{
	struct json_object *o, *next;
	struct step step[ADVICE_STEPS];
	struct ks_error err;
	size_t count;

	if (!look->facts->is_predicted)
		return NULL;
	o = prediction_json(&look->facts->prediction, look->trust);
	next = json_object_new_array();
	if (look_steps(look, step, &count, &err)) {
		for (size_t i = 0; i < count; i++)
			json_object_array_add(
				next, report_text(step[i].command ? step[i].command : step[i].why));
		steps_free(step, count);
	}
	json_object_object_add(o, "next", next);
	return o;
}

struct json_object *look_json(const struct look *look)
{
	struct json_object *o = json_object_new_object();

	put_made(o, "module", look, look_name);
	put(o, "path", look->found->path);
	put(o, "kernel", look->kernel ? look->kernel->version : NULL);
	put_made(o, "where", look, look_where);
	put(o, "error", look->err ? look->err->text : NULL);
	json_object_object_add(o, "load", look->facts ? load_json(look) : NULL);
	if (look->facts)
		put_facts(o, look);
	else
		put(o, "verdict", NULL);
	return o;
}
