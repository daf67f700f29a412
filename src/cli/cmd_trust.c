/* SPDX-License-Identifier: MIT */
/* trust: which certificates a kernel accepts for modules, and where they come from. */
#include <stdlib.h>

#include "cli/report.h"
#include "cli/request.h"
#include "core/cert.h"
#include "core/efivar.h"
#include "core/trust.h"

struct trust_args {
	struct request request; /* of which only these are asked for: kernel, root, json, quiet */
	const char *efivars;
};

/* In words */

static const char *const columns[] = { "CERTIFICATE", "FROM", "ACCEPTED", "KEY ID", "KEYRING" };

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* Where the running kernel has it: NULL, if nobody can tell. */
static const char *keyring_of(const struct ks_trusted *item)
{
	return item->is_found == KS_YES ? ks_keyring_name(item->found) :
	       item->is_found == KS_NO	? "none" :
					  NULL;
}

static bool is_to_be_trusted(enum ks_origin origin)
{
	return origin == KS_ORIGIN_BUILTIN || origin == KS_ORIGIN_MOK || origin == KS_ORIGIN_DB;
}

/* What becomes of a certificate in this kernel. */
static bool fate(const struct ks_trusted *item, char **text, struct ks_error *err)
{
	static const char *const of_refusals[] = { "refused, or overlooked: unknown",
						   "overlooked by this kernel", "refused" };

	if (item->origin == KS_ORIGIN_MOK_NEW)
		return ks_string_copy(text, "at the next boot, if MokManager is told so", err);
	if (item->origin == KS_ORIGIN_MOK_DEL)
		return ks_string_copy(text, "to be removed at the next boot", err);
	return ks_string_print(text, err, "%s%s%s%s",
			       is_to_be_trusted(item->origin) ? ks_answer_name(item->counts) :
								of_refusals[item->counts],
			       item->why ? " (" : "", item->why ? item->why : "",
			       item->why ? ")" : "");
}

static void add_row(struct report_table *table, const struct ks_trusted *item)
{
	KS_CERT_TEXT text = { 0 };
	KS_STRING what = NULL;
	struct ks_error err;

	if (ks_cert_describe(item->cert, &text, &err) && fate(item, &what, &err)) {
		const char *row[COLUMNS] = { text.subject, ks_origin_name(item->origin), what,
					     text.key_id, keyring_of(item) };

		report_table_add(table, row);
	} else {
		report_error(&err);
	}
}

/* A key of unknown origin. */
static void add_ring_key(struct report_table *table, const struct ks_trust *trust,
			 const struct ks_ring_key *key)
{
	const char *row[COLUMNS] = { key->subject, "unknown",
				     key->ring == KS_KEYRING_BLACKLIST ?
					     "refused" :
					     ks_answer_name(ks_trust_asks(trust, key->ring)),
				     key->key_id, ks_keyring_name(key->ring) };

	report_table_add(table, row);
}

static void tell_rings(const struct ks_trust *trust)
{
	size_t hashes = 0;

	report_line("image and keyring agree: %s", ks_answer_name(trust->keyrings_agree));
	for (size_t i = 0; i < trust->differences.count; i++)
		report_line("differs: %s", trust->differences.item[i]);
	for (size_t i = 0; i < trust->rings.count; i++)
		hashes += !trust->rings.key[i].is_explained &&
			  trust->rings.key[i].kind != KS_RING_KEY_CERT;
	if (hashes)
		report_line("hashes in .blacklist of unknown origin: %zu", hashes);
}

static void tell_state(const struct ks_trust *trust)
{
	report_line("kernel: %s%s", trust->version, trust->is_running ? ", running" : "");
	report_line("module signatures: %s", trust->module_sig == KS_YES ? "checked" :
					     trust->module_sig == KS_NO	 ? "not built in" :
									   "unknown");
	report_line("enforced: %s (%s)", ks_answer_name(trust->enforced), trust->enforced_why);
	report_line("Secure Boot: %s", trust->secure_boot == KS_YES ? "on" :
				       trust->secure_boot == KS_NO  ? "off" :
								      "unknown");
	report_line("shim: %s", trust->shim == KS_YES ? "started this system" :
				trust->shim == KS_NO  ? "did not start this system" :
				trust->efi == KS_NO   ? "none, as there is no UEFI" :
							"unknown");
	if (trust->lockdown)
		report_line("lockdown: %s", trust->lockdown);
	report_line("image: %s", trust->image ? trust->image : "none that could be read");
	report_line("rule: %s (%s)", trust->rule->name, trust->rule_why);
	if (trust->refused_count)
		report_line("hashes in dbx and MOKX: %zu (%s)", trust->refused_count,
			    trust->rule->whole_file == KS_YES ?
				    "this kernel refuses a module file "
				    "with such a SHA-256" :
			    trust->rule->whole_file == KS_NO ?
				    "of boot programs, not of modules" :
				    "whether they count for modules is unknown");
	if (trust->is_running)
		tell_rings(trust);
	report_line("IMA appraises modules: %s (%s)", ks_answer_name(trust->ima_appraise),
		    trust->ima_why);
}

static void tell(const struct ks_trust *trust)
{
	struct report_table *table;
	size_t shown = COLUMNS - 1, rows = trust->count;

	for (enum ks_keyring ring = 0; ring < KS_KEYRING_COUNT; ring++)
		if (trust->rings.is_there[ring])
			shown = COLUMNS;
	table = report_table_new(columns, shown);
	tell_state(trust);
	for (size_t i = 0; i < trust->count; i++)
		add_row(table, &trust->item[i]);
	for (size_t i = 0; i < trust->rings.count; i++) {
		const struct ks_ring_key *key = &trust->rings.key[i];

		if (key->is_explained || key->kind != KS_RING_KEY_CERT)
			continue;
		add_ring_key(table, trust, key);
		rows++;
	}
	report_table_print(table, rows > 0);
}

/* As JSON */

static struct json_object *item_json(const struct ks_trusted *item)
{
	struct json_object *o = json_object_new_object();
	KS_CERT_TEXT text = { 0 };
	struct ks_error err;
	bool described = ks_cert_describe(item->cert, &text, &err);

	json_object_object_add(o, "subject", report_text(described ? text.subject : NULL));
	json_object_object_add(o, "issuer", report_text(described ? text.issuer : NULL));
	json_object_object_add(o, "serial", report_text(described ? text.serial : NULL));
	json_object_object_add(o, "key_id", report_text(described ? text.key_id : NULL));
	json_object_object_add(o, "from", report_text(ks_origin_name(item->origin)));
	json_object_object_add(
		o, "accepted",
		report_text(is_to_be_trusted(item->origin) ? ks_answer_name(item->counts) : "no"));
	json_object_object_add(
		o, "refused",
		report_text(is_to_be_trusted(item->origin) ? NULL : ks_answer_name(item->counts)));
	json_object_object_add(o, "why", report_text(item->why));
	json_object_object_add(o, "keyring", report_text(keyring_of(item)));
	return o;
}

static struct json_object *ring_key_json(const struct ks_trust *trust,
					 const struct ks_ring_key *key)
{
	static const char *const kinds[] = { [KS_RING_KEY_CERT] = "certificate",
					     [KS_RING_KEY_FILE] = "hash of a file",
					     [KS_RING_KEY_TBS] = "hash of a certificate" };
	bool is_refusal = key->ring == KS_KEYRING_BLACKLIST;
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "kind", report_text(kinds[key->kind]));
	json_object_object_add(o, "subject", report_text(key->subject));
	json_object_object_add(o, "key_id", report_text(key->key_id));
	json_object_object_add(o, "keyring", report_text(ks_keyring_name(key->ring)));
	json_object_object_add(
		o, "accepted",
		report_text(is_refusal ? "no" : ks_answer_name(ks_trust_asks(trust, key->ring))));
	json_object_object_add(o, "refused", report_text(is_refusal ? "yes" : NULL));
	return o;
}

static struct json_object *strings_json(const struct ks_strings *strings)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < strings->count; i++)
		json_object_array_add(list, report_text(strings->item[i]));
	return list;
}

static void add_rings_json(struct json_object *o, const struct ks_trust *trust)
{
	struct json_object *keys = json_object_new_array();

	for (size_t i = 0; i < trust->rings.count; i++)
		if (!trust->rings.key[i].is_explained)
			json_object_array_add(keys, ring_key_json(trust, &trust->rings.key[i]));
	json_object_object_add(o, "ring_keys", keys);
	json_object_object_add(o, "keyrings_agree",
			       report_text(ks_answer_name(trust->keyrings_agree)));
	json_object_object_add(o, "differences", strings_json(&trust->differences));
	json_object_object_add(o, "ima_appraise", report_text(ks_answer_name(trust->ima_appraise)));
	json_object_object_add(o, "ima_why", report_text(trust->ima_why));
}

static struct json_object *to_json(const struct ks_trust *trust)
{
	struct json_object *o = json_object_new_object();
	struct json_object *certs = json_object_new_array();

	json_object_object_add(o, "kernel", report_text(trust->version));
	json_object_object_add(o, "running", json_object_new_boolean(trust->is_running));
	json_object_object_add(o, "module_sig", report_text(ks_answer_name(trust->module_sig)));
	json_object_object_add(o, "enforced", report_text(ks_answer_name(trust->enforced)));
	json_object_object_add(o, "enforced_why", report_text(trust->enforced_why));
	json_object_object_add(o, "secure_boot", report_text(ks_answer_name(trust->secure_boot)));
	json_object_object_add(o, "efi", report_text(ks_answer_name(trust->efi)));
	json_object_object_add(o, "shim", report_text(ks_answer_name(trust->shim)));
	json_object_object_add(o, "lockdown", report_text(trust->lockdown));
	json_object_object_add(o, "image", report_text(trust->image));
	json_object_object_add(o, "rule", report_text(trust->rule->name));
	json_object_object_add(o, "rule_why", report_text(trust->rule_why));
	json_object_object_add(o, "refused_hashes",
			       json_object_new_int64((int64_t)trust->refused_count));
	for (size_t i = 0; i < trust->count; i++)
		json_object_array_add(certs, item_json(&trust->item[i]));
	json_object_object_add(o, "certificates", certs);
	add_rings_json(o, trust);
	json_object_object_add(o, "unseen", strings_json(&trust->unseen));
	return o;
}

/* The command */

static bool look(const struct trust_args *args, const char *version, struct json_object *list)
{
	const struct request *r = &args->request;
	KS_KERNEL kernel = { 0 };
	KS_TRUST trust = { 0 };
	struct ks_error err;

	if (!request_find_kernel(r, version, &kernel, &err) ||
	    !request_find_trust(r, args->efivars, &kernel, &trust, &err)) {
		report_error(&err);
		return false;
	}
	if (list)
		json_object_array_add(list, to_json(&trust));
	else if (!r->quiet)
		tell(&trust);
	for (size_t i = 0; i < trust.unseen.count; i++)
		report_warning("not seen: %s", trust.unseen.item[i]);
	return true;
}

static int run_trust(void *ctx, int operands, char **operand)
{
	struct trust_args *args = ctx;
	KS_STRINGS versions = { 0 };
	int status = STATUS_DONE;
	struct json_object *list;
	struct ks_error err;

	if (operands) {
		report_warning("trust takes no operand: a kernel is named with --kernel");
		return STATUS_USAGE;
	}
	if (!request_complete(&args->request, operands, operand))
		return STATUS_USAGE;
	if (!request_versions(&args->request, &versions, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	list = args->request.json ? json_object_new_array() : NULL;
	for (size_t i = 0; i < versions.count; i++)
		if (!look(args, versions.item[i], list))
			status = STATUS_FAILED;
	if (list) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "kernels", list);
		report_json(o);
	}
	return status;
}

#define ARGS struct trust_args

static const struct option_row options[] = {
	{ 'k', "kernel", "VERSION", "the kernel in question, or 'all' (default: the running one)",
	  OPTION_STRING, offsetof(ARGS, request.kernel) },
	{ 0, "root", "DIR", "look for the kernel's files below DIR", OPTION_STRING,
	  offsetof(ARGS, request.root) },
	{ 0, "efivars", "DIR", "EFI variables, as in " KS_EFIVARS " (with --root: none)",
	  OPTION_STRING, offsetof(ARGS, efivars) },
	{ 0, "json", NULL, "as JSON", OPTION_FLAG, offsetof(ARGS, request.json) },
	{ 'q', "quiet", NULL, "no results, only warnings and errors", OPTION_FLAG,
	  offsetof(ARGS, request.quiet) },
	{ 0 },
};

const struct command command_trust = {
	.name = "trust",
	.operands = "",
	.summary = "show which certificates a kernel accepts for modules",
	.text = "Shows where a kernel has its certificates from (compiled in, machine owner keys, the\n"
		"firmware's db), what it refuses, and whether it enforces signatures.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_trust,
};
