/* SPDX-License-Identifier: MIT */
#include "cli/prediction.h"

#include <string.h>

#include "core/cert.h"

const char *prediction_word(const struct ks_prediction *p, const struct ks_trust *trust)
{
	switch (p->fate) {
	case KS_FATE_LOADS:
		return "yes";
	case KS_FATE_TAINTS:
		return "yes, taints";
	case KS_FATE_REFUSED_WHEN_ENFORCED:
		return trust->enforced == KS_YES ? "no" : "if not enforced";
	case KS_FATE_REFUSED:
		return "no";
	case KS_FATE_UNKNOWN:
		break;
	}
	return "unknown";
}

/* What is wrong, for people; where the kernel has words for it, prediction_text() quotes those. */
static const char *const causes[] = {
	[KS_CAUSE_NONE] = "",
	[KS_CAUSE_UNSIGNED] = "it has no signature",
	[KS_CAUSE_UNAVAILABLE_KEY] = "its key is in none of the keyrings that this kernel asks",
	[KS_CAUSE_UNSUPPORTED_CRYPTO] = "this kernel cannot check that kind of signature",
	[KS_CAUSE_BAD_SIGNATURE] = "the signature does not belong to these bytes",
	[KS_CAUSE_MALFORMED] = "the signature is malformed",
	[KS_CAUSE_NOT_SIGNED_DATA] = "the PKCS#7 message is not of a kind that it takes",
	[KS_CAUSE_NOT_DATA] = "what the PKCS#7 message signs is not plain data",
	[KS_CAUSE_ATTRIBUTES] = "the signature has signed attributes",
	[KS_CAUSE_REVOKED] = "the signer's certificate is revoked",
	[KS_CAUSE_BLACKLISTED] = "the hash of this very file is in dbx or MOKX",
	[KS_CAUSE_CONTAINER] =
		"its own reader, to which kmod leaves it, does not take the container",
};

/* The kernel compares the two as they are, blanks and all. */
static bool misfit(const struct ks_prediction *p, const struct ks_trust *trust, char **text,
		   struct ks_error *err)
{
	return p->own_vermagic ?
		       ks_string_print(text, err,
				       "refused, enforced or not: its vermagic \"%s\" is not this "
				       "kernel's \"%s\"",
				       p->vermagic, p->own_vermagic) :
		       ks_string_print(text, err,
				       "refused, enforced or not: its vermagic \"%s\" is of "
				       "another version than %s",
				       p->vermagic, trust->version);
}

static bool where_enforced(const struct ks_prediction *p, const struct ks_trust *trust, char **text,
			   struct ks_error *err)
{
	const char *name = ks_cause_name(p->cause);

	switch (p->fate) {
	case KS_FATE_TAINTS:
		return ks_string_print(
			text, err, "loads and taints the kernel: %s, but nothing is enforced (%s)",
			causes[p->cause], trust->enforced_why);
	case KS_FATE_REFUSED_WHEN_ENFORCED:
		if (trust->enforced == KS_YES)
			return ks_string_print(
				text, err,
				"refused, \"Loading of %s is rejected\": %s, and signatures are enforced (%s)",
				name, causes[p->cause], trust->enforced_why);
		return ks_string_print(text, err,
				       "refused if signatures are enforced, else tainting: %s (%s)",
				       causes[p->cause], trust->enforced_why);
	case KS_FATE_REFUSED:
		if (p->cause == KS_CAUSE_VERMAGIC)
			return misfit(p, trust, text, err);
		return ks_string_print(text, err, "refused, enforced or not: %s", causes[p->cause]);
	default:
		return ks_string_print(text, err, "unknown: %s", p->why);
	}
}

/* "NAME", from ORIGIN, in KEYRING; in none where it is there to be refused. */
static bool describe(const struct ks_trusted *by, char **text, struct ks_error *err)
{
	const char *keyring = ks_trusted_keyring(by);
	KS_STRING name = NULL;

	return ks_name_short(X509_get_subject_name(by->cert), &name, err) &&
	       ks_string_print(text, err, "\"%s\", from %s%s%s", name, ks_origin_name(by->origin),
			       keyring ? ", in " : "", keyring ? keyring : "");
}

static bool loads(const struct ks_prediction *p, char **text, struct ks_error *err)
{
	KS_STRING by = NULL;

	if (!p->by)
		return ks_string_copy(text, "loads: this kernel checks no signatures", err);
	return describe(p->by, &by, err) && ks_string_print(text, err, "loads: signed by %s", by);
}

/* Whether it is the certificate that stands in the way. */
static bool is_by_certificate(const struct ks_prediction *p)
{
	return p->by && (p->cause == KS_CAUSE_BAD_SIGNATURE || p->cause == KS_CAUSE_REVOKED ||
			 p->cause == KS_CAUSE_UNAVAILABLE_KEY);
}

/* What is added to what WHERE_ENFORCED says; else "". */
static bool details(const struct ks_prediction *p, char **text, struct ks_error *err)
{
	bool is_unknown = p->fate == KS_FATE_UNKNOWN;
	const char *word = is_unknown && p->by ? p->by->why :
			   p->sys	       ? strerrorname_np(p->sys) :
						 NULL;
	KS_STRING by = NULL;

	if (is_by_certificate(p) && !describe(p->by, &by, err))
		return false;
	return ks_string_print(text, err, "%s%s%s%s%s", by ? ": " : "", by ? by : "",
			       word ? " (" : "", word ? word : "", word ? ")" : "");
}

bool prediction_text(const struct ks_prediction *p, const struct ks_trust *trust, char **text,
		     struct ks_error *err)
{
	KS_STRING said = NULL;
	KS_STRING more = NULL;

	if (p->fate == KS_FATE_LOADS)
		return loads(p, text, err);
	return where_enforced(p, trust, &said, err) && details(p, &more, err) &&
	       ks_string_print(text, err, "%s%s", said, more);
}

static struct json_object *cert_json(const struct ks_trusted *by)
{
	KS_CERT_TEXT text = { 0 };
	struct json_object *o;
	struct ks_error err;

	if (!by || !ks_cert_describe(by->cert, &text, &err))
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "subject", report_text(text.subject));
	json_object_object_add(o, "serial", report_text(text.serial));
	json_object_object_add(o, "key_id", report_text(text.key_id));
	return o;
}

struct json_object *prediction_json(const struct ks_prediction *p, const struct ks_trust *trust)
{
	struct json_object *o = json_object_new_object();
	KS_STRING text = NULL;
	struct ks_error err;
	bool known = p->fate != KS_FATE_UNKNOWN;

	json_object_object_add(o, "verdict", report_text(ks_fate_name(p->fate)));
	json_object_object_add(o, "cause", report_text(ks_cause_name(p->cause)));
	json_object_object_add(o, "errno",
			       report_text(known && p->sys ? strerrorname_np(p->sys) : NULL));
	json_object_object_add(o, "enforced", report_text(ks_answer_name(trust->enforced)));
	json_object_object_add(o, "why", report_text(p->why));
	json_object_object_add(o, "text",
			       report_text(prediction_text(p, trust, &text, &err) ? text : NULL));
	json_object_object_add(o, "certificate", cert_json(p->by));
	json_object_object_add(o, "from",
			       report_text(p->by ? ks_origin_name(p->by->origin) : NULL));
	json_object_object_add(o, "keyring", report_text(p->by ? ks_trusted_keyring(p->by) : NULL));
	return o;
}
