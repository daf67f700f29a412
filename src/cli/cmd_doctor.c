/* SPDX-License-Identifier: MIT */
/* doctor: from the symptom to the cause, and what to do about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/advice.h"
#include "cli/look.h"
#include "cli/prediction.h"
#include "cli/refresh.h"
#include "core/cert.h"
#include "core/dkmshook.h"
#include "core/kernellog.h"

enum { LOG_LINES = 5 };

struct doctor {
	struct look_args *look;
	struct json_object *out; /* --json, else NULL */
	struct json_object *modules;
	const struct situation *situation;
	struct advice advice;
	struct ks_strings paths; /* of all modules that were looked at */
	size_t total, loading, tainting, unknown;
	bool is_complete; /* all were found and read */
};

static void put(struct doctor *d, const char *name, struct json_object *value)
{
	if (d->out)
		json_object_object_add(d->out, name, value);
	else
		json_object_put(value);
}

static bool is_quiet(const struct doctor *d)
{
	return d->out || d->look->request.quiet;
}

/* What the kernel demands */

static void tell_kernel(struct doctor *d, const struct ks_trust *trust)
{
	put(d, "kernel", report_text(trust->version));
	put(d, "running", json_object_new_boolean(trust->is_running));
	put(d, "enforced", report_text(ks_answer_name(trust->enforced)));
	put(d, "enforced_why", report_text(trust->enforced_why));
	put(d, "secure_boot", report_text(ks_answer_name(trust->secure_boot)));
	if (is_quiet(d))
		return;
	report_line("kernel      %s%s: signatures are %s (%s)", trust->version,
		    trust->is_running ? ", running" : "",
		    trust->enforced == KS_YES ? "enforced" :
		    trust->enforced == KS_NO  ? "not enforced" :
						"enforced or not, that is unknown",
		    trust->enforced_why);
}

static void tell_unseen(struct doctor *d, const struct ks_strings *unseen)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < unseen->count; i++) {
		json_object_array_add(list, report_text(unseen->item[i]));
		if (!is_quiet(d))
			report_line("not seen    %s", unseen->item[i]);
	}
	put(d, "unseen", list);
}

/* What the kernel said */

/* What a line means; the kernel's own words are for its makers. */
static const char *const meanings[] = {
	[KS_LOG_UNSIGNED] = "a module without a signature was refused",
	[KS_LOG_NO_KEY] = "a module whose key the kernel does not know was refused",
	[KS_LOG_NO_CRYPTO] = "a module with a kind of signature that it cannot check was refused",
	[KS_LOG_LOCKDOWN] = "a module was refused because the kernel is locked down",
	[KS_LOG_TAINTS] = "a module was loaded though nobody could trust it: the kernel is tainted",
	[KS_LOG_REVOKED] = "a module was refused because its hash is in dbx or MOKX",
	[KS_LOG_SHUT_OUT] = "module_blacklist= on the kernel's command line keeps it out",
	[KS_LOG_TRAILER] = "the end of a module is damaged",
	[KS_LOG_MESSAGE] = "a signature is not as the kernel wants it",
	[KS_LOG_CONTAINER] = "the kernel could not decompress a module",
	[KS_LOG_VERSION_MAGIC] = "a module was built for another kernel",
	[KS_LOG_SYMBOL_VERSION] = "a module was built against other symbols",
};

static struct json_object *line_json(const struct ks_log_line *line)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "seconds", json_object_new_double(line->seconds));
	json_object_object_add(o, "text", report_text(line->text));
	json_object_object_add(o, "module", report_text(line->module));
	json_object_object_add(o, "meaning", report_text(meanings[line->cause]));
	return o;
}

static void tell_lines(struct doctor *d, const struct ks_kernellog *log)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < log->count; i++) {
		const struct ks_log_line *line = &log->line[i];

		json_object_array_add(list, line_json(line));
		if (is_quiet(d))
			continue;
		report_line("kernel log  [%.6f] %s", line->seconds, line->text);
		report_line("            %s", meanings[line->cause]);
	}
	put(d, "log", list);
}

static void tell_log(struct doctor *d, const struct ks_trust *trust)
{
	KS_KERNELLOG log = { 0 };
	struct ks_error err;

	if (!trust->is_running)
		return;
	if (!ks_kernellog_read(NULL, LOG_LINES, &log, &err)) {
		report_error(&err);
		return;
	}
	tell_lines(d, &log);
	put(d, "log_unread", report_text(log.unread));
	if (log.unread && !is_quiet(d))
		report_line("kernel log  cannot be read: %s", log.unread);
}

/* The key */

static struct json_object *key_json(const struct situation *s)
{
	struct json_object *o = json_object_new_object();
	KS_CERT_TEXT text = { 0 };
	struct ks_error err;
	bool described = s->x509 && ks_cert_describe(s->x509, &text, &err);

	json_object_object_add(o, "key", report_text(s->key));
	json_object_object_add(o, "certificate", report_text(s->cert));
	json_object_object_add(o, "from", report_text(s->key_why));
	json_object_object_add(o, "subject", report_text(described ? text.subject : NULL));
	json_object_object_add(o, "key_id", report_text(described ? text.key_id : NULL));
	json_object_object_add(o, "hash", report_text(s->hash));
	json_object_object_add(o, "standing",
			       report_text(s->key ? ks_standing_name(s->standing) : NULL));
	json_object_object_add(o, "why", report_text(s->standing_why));
	json_object_object_add(o, "usable", report_text(s->key ? ks_answer_name(s->usable) : NULL));
	json_object_object_add(o, "usable_why", report_text(s->usable_why));
	return o;
}

static void tell_cert(const struct situation *s)
{
	KS_STRING name = NULL;
	struct ks_error err;

	if (!ks_name_short(X509_get_subject_name(s->x509), &name, &err))
		report_error(&err);
	report_line("            its certificate %s \"%s\" is, for this kernel: %s%s%s%s", s->cert,
		    name ? name : "?", ks_standing_name(s->standing), s->standing_why ? " (" : "",
		    s->standing_why ? s->standing_why : "", s->standing_why ? ")" : "");
}

static void tell_key(struct doctor *d)
{
	const struct situation *s = d->situation;

	put(d, "key", key_json(s));
	if (is_quiet(d))
		return;
	if (!s->key) {
		report_line("key         none: %s", s->key_why);
		return;
	}
	report_line("key         %s (from %s)", s->key, s->key_why);
	if (s->x509)
		tell_cert(s);
	else
		report_line("            %s", s->cert_why);
	if (s->usable != KS_YES && s->x509)
		report_line("            %s: %s",
			    s->usable == KS_NO ? "sign cannot use it" : "not tried", s->usable_why);
}

/* The modules */

static void count_fate(struct doctor *d, const struct ks_prediction *p)
{
	d->loading += p->fate == KS_FATE_LOADS || p->fate == KS_FATE_TAINTS;
	d->tainting += p->fate == KS_FATE_TAINTS;
	d->unknown += p->fate == KS_FATE_UNKNOWN || (p->fate == KS_FATE_REFUSED_WHEN_ENFORCED &&
						     d->situation->trust->enforced == KS_UNKNOWN);
}

static void tell_count(const struct doctor *d)
{
	char tainting[64] = "", unknown[64] = "";

	if (d->tainting)
		snprintf(tainting, sizeof(tainting), ", %zu of them tainting the kernel",
			 d->tainting);
	if (d->unknown)
		snprintf(unknown, sizeof(unknown), ", %zu may", d->unknown);
	report_line("modules     %zu of %zu will load%s%s", d->loading, d->total, tainting,
		    unknown);
}

static void each(void *ctx, const struct look *look)
{
	struct doctor *d = ctx;
	KS_STRING text = NULL;
	struct ks_error err;

	d->total++;
	if (d->modules)
		json_object_array_add(d->modules, look_json(look));
	if (look->err && ks_error_is_denied(look->err) && geteuid() != 0)
		d->advice.privilege = true;
	if (!look->facts || !look->facts->is_predicted)
		return;
	count_fate(d, &look->facts->prediction);
	if (!advice_need(&d->advice, d->situation, look->found->path, look->facts, &err) ||
	    !ks_strings_add(&d->paths, look->found->path, &err) ||
	    !look_prediction(look, &text, &err))
		report_error(&err);
	else if (!is_quiet(d) &&
		 (d->look->request.names || look->facts->prediction.fate != KS_FATE_LOADS))
		report_line("module      %s: %s", look->found->path, text);
}

static int look_at_modules(struct doctor *d)
{
	int status;

	d->modules = d->out ? json_object_new_array() : NULL;
	status = look_run(d->look, false, each, d);
	d->is_complete = status == STATUS_DONE;
	put(d, "modules", d->modules);
	put(d, "modules_complete", json_object_new_boolean(d->is_complete));
	if (!is_quiet(d) && d->total)
		tell_count(d);
	return status;
}

/* What else may be in the way */

static void look_at_dkms(struct doctor *d)
{
	KS_STRINGS ungated = { 0 };
	struct json_object *list = json_object_new_array();
	char names[512];
	struct ks_error err;

	if (!ks_dkms_ungated(d->look->request.root, &ungated, &err)) {
		report_error(&err);
		json_object_put(list);
		put(d, "dkms_not_gated", NULL);
		return;
	}
	for (size_t i = 0; i < ungated.count; i++)
		json_object_array_add(list, report_text(ungated.item[i]));
	put(d, "dkms_not_gated", list);
	d->advice.gate = ungated.count;
	ks_strings_join(&ungated, names, sizeof(names));
	if (ungated.count && !is_quiet(d))
		report_line("DKMS        installs without a look at signatures: %s", names);
}

static void tell_initramfs(const struct doctor *d, const struct ks_stale_image *image)
{
	if (image->unread)
		report_warning("not seen: %s", image->unread);
	for (size_t i = 0; i < image->outdated.count && !is_quiet(d); i++)
		report_line("initramfs   %s has another copy of %s", image->path,
			    image->outdated.item[i]);
}

/* One that has old copies, or will have when modules are signed; NULL where there is none. */
static const char *find_old(const struct doctor *d, const struct ks_stale *stale)
{
	for (size_t i = 0; i < stale->count; i++)
		if (stale->image[i].outdated.count || (stale->image[i].copies && d->advice.sign))
			return stale->image[i].path;
	return NULL;
}

static void look_at_initramfs(struct doctor *d)
{
	const struct ks_kernel *kernel = d->situation->kernel;
	struct ks_load load = request_load(&d->look->request);
	struct json_object *list = json_object_new_array();
	KS_STALE stale = { 0 };
	struct ks_error err;
	const char *old;

	if (!ks_stale_find(kernel, &load, &d->paths, &stale, &err))
		report_error(&err);
	for (size_t i = 0; i < stale.count; i++)
		tell_initramfs(d, &stale.image[i]);
	refresh_add_json(list, d->look->request.root, kernel->version, &stale);
	put(d, "initramfs", list);
	old = find_old(d, &stale);
	if (old && !ks_string_copy(&d->advice.refresh, old, &err))
		report_error(&err);
}

/* What to do */

static struct json_object *step_json(const struct step *step)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "command", report_text(step->command));
	json_object_object_add(o, "why", report_text(step->why));
	return o;
}

static void tell_step(size_t number, const struct step *step)
{
	if (step->command) {
		report_line("  %zu. %s", number, step->command);
		report_line("     %s", step->why);
	} else {
		report_line("  %zu. %s", number, step->why);
	}
}

/* A signature that the kernel takes, by whomever, is not to be replaced. */
static bool is_whole(const struct doctor *d)
{
	const struct request *request = &d->look->request;

	return !request->names && !request->dir && !request->all &&
	       d->advice.signed_anew.count == d->total;
}

static void tell_count_of_steps(const struct doctor *d, size_t count)
{
	if (count)
		report_line("What to do%s:", geteuid() ? ", as root" : "");
	else
		report_line(!d->is_complete	   ? "Not all modules were found or read." :
			    d->loading == d->total ? "There is nothing to do." :
						     "What to do about that is not known.");
}

static bool tell_steps(struct doctor *d)
{
	struct step step[ADVICE_STEPS];
	struct json_object *list;
	size_t count, left_out;
	struct ks_error err;

	if (!advice_steps(&d->advice, d->situation, is_whole(d), step, &count, &left_out, &err)) {
		report_error(&err);
		return false;
	}
	list = json_object_new_array();
	if (!is_quiet(d))
		tell_count_of_steps(d, count);
	for (size_t i = 0; i < count; i++) {
		json_object_array_add(list, step_json(&step[i]));
		if (!is_quiet(d))
			tell_step(i + 1, &step[i]);
	}
	if (left_out && !is_quiet(d))
		report_line("Then ask again: there is more to do.");
	put(d, "steps", list);
	put(d, "more_steps", json_object_new_boolean(left_out > 0));
	steps_free(step, count);
	return true;
}

/* The command */

static int examine(struct doctor *d, const struct ks_trust *trust)
{
	int status;

	tell_kernel(d, trust);
	tell_unseen(d, &trust->unseen);
	tell_log(d, trust);
	tell_key(d);
	status = look_at_modules(d);
	look_at_dkms(d);
	look_at_initramfs(d);
	return tell_steps(d) ? status : STATUS_FAILED;
}

static int examine_kernel(struct doctor *d, const char *version)
{
	const struct look_args *look = d->look;
	SITUATION situation = { 0 };
	KS_KERNEL kernel = { 0 };
	KS_TRUST trust = { 0 };
	struct ks_error err;
	int status;

	if (!request_find_kernel(&look->request, version, &kernel, &err) ||
	    !request_find_trust(&look->request, look->efivars, &kernel, &trust, &err) ||
	    !situation_find(&look->request, look->efivars, &kernel, &trust, &situation, &err) ||
	    !situation_try_key(&situation, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	d->situation = &situation;
	status = examine(d, &trust);
	d->situation = NULL;
	return status;
}

static int run_doctor(void *ctx, int operands, char **operand)
{
	struct look_args *look = ctx;
	struct doctor d = { .look = look };
	KS_STRINGS versions = { 0 };
	struct ks_error err;
	int status;

	if (!request_complete(&look->request, operands, operand))
		return STATUS_USAGE;
	if (request_is_of_all(&look->request)) {
		report_warning("doctor looks at one kernel at a time: --kernel VERSION");
		return STATUS_USAGE;
	}
	if (!request_versions(&look->request, &versions, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	look->predicts = true;
	d.out = look->request.json ? json_object_new_object() : NULL;
	status = examine_kernel(&d, versions.item[0]);
	if (d.out)
		report_json(d.out);
	advice_free(&d.advice);
	ks_strings_free(&d.paths);
	return status;
}

#define ARGS struct look_args

static const struct option_row options[] = {
	{ 'k', "kernel", "VERSION", "the kernel in question (default: the running one)",
	  OPTION_STRING, offsetof(ARGS, request.kernel) },
	REQUEST_OPTIONS_BUT_KERNEL(ARGS, request),
	LOOK_OWN_OPTIONS(ARGS, ),
	{ 0 },
};

const struct command command_doctor = {
	.name = "doctor",
	.operands = "[MODULE...]",
	.summary = "find out why modules do not load, and what to do",
	.text = "Looks at the kernel's log and demands, the key, the modules named or every out-of-tree\n"
		"module of the kernel, DKMS and the initramfs, and ends with at most three steps. It takes\n"
		"one kernel at a time.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_doctor,
};
