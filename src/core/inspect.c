/* SPDX-License-Identifier: MIT */
#include "core/inspect.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/strings.h"

enum {
	/* In what ASN1_get_object() returns. */
	OBJECT_ERROR = 0x80,
	OBJECT_INDEFINITE = 0x01, /* the length is left open (X.690 8.1.3.6) */

	MOST_NESTED = 64,    /* a real message has about ten levels */
	ALGORITHM_DEPTH = 4, /* the first AlgorithmIdentifier's; OIDs above it name no algorithm */
};

struct ber {
	bool indefinite, endless_algorithm;
};

static const unsigned char *walk(const unsigned char *at, const unsigned char *end, int depth,
				 struct ber *ber);

/* The same for an element whose content begins at AT, and which ends by a mark. */
static const unsigned char *walk_open(const unsigned char *at, const unsigned char *end, int depth,
				      struct ber *ber)
{
	bool is_named = at < end && *at == V_ASN1_OBJECT;

	ber->indefinite = true;
	for (size_t count = 0; at && end - at >= 2; count++) {
		if (!at[0] && !at[1]) {
			if (depth >= ALGORITHM_DEPTH && is_named && count == 1)
				ber->endless_algorithm = true;
			return at + 2;
		}
		at = walk(at, end, depth + 1, ber);
	}
	return NULL;
}

/* Notes what is not DER (X.690 8.1.3.6) in the element at AT; what is behind it, or NULL. */
static const unsigned char *walk(const unsigned char *at, const unsigned char *end, int depth,
				 struct ber *ber)
{
	const unsigned char *inside = at;
	long size;
	int tag, class;
	int what = ASN1_get_object(&inside, &size, &tag, &class, end - at);

	if ((what & OBJECT_ERROR) || depth == MOST_NESTED)
		return NULL;
	if (what & OBJECT_INDEFINITE)
		return walk_open(inside, end, depth, ber);
	if (what & V_ASN1_CONSTRUCTED)
		for (at = inside; at && at < inside + size;)
			at = walk(at, inside + size, depth + 1, ber);
	return inside + size;
}

/*
 * Several certificates may answer to the same name: two keys with one serial number.  A good one
 * settles it.
 */
static bool judge_signer(struct ks_inspection *in, size_t i, struct ks_view image,
			 const struct ks_certs *certs, struct ks_error *err)
{
	struct ks_signer_finding *finding = &in->finding[i];

	finding->verdict = KS_VERDICT_UNKNOWN_SIGNER;
	for (size_t k = 0; k < certs->count && finding->verdict != KS_VERDICT_GOOD; k++) {
		enum ks_verdict verdict;

		if (!ks_signature_check(&in->signature, i, image, certs->item[k], &verdict, err))
			return false;
		if (verdict != KS_VERDICT_UNKNOWN_SIGNER)
			*finding = (struct ks_signer_finding){ verdict, certs->item[k] };
	}
	return true;
}

static bool has(const struct ks_inspection *in, enum ks_verdict verdict)
{
	for (size_t i = 0; i < in->signature.count; i++)
		if (in->finding[i].verdict == verdict)
			return true;
	return false;
}

static bool name_algorithm(struct ks_inspection *in, struct ks_error *err)
{
	size_t i = 0;

	while (in->finding[i].verdict != KS_VERDICT_UNSUPPORTED)
		i++;
	return ks_string_print(&in->fault, err, "OpenSSL here cannot check %s with %s",
			       in->signature.signer[i].algorithm, in->signature.signer[i].digest);
}

static bool judge_all(struct ks_inspection *in, struct ks_view image, const struct ks_certs *certs,
		      struct ks_error *err)
{
	in->finding = calloc(in->signature.count, sizeof(*in->finding));
	if (!in->finding)
		return ks_fail_memory(err);
	for (size_t i = 0; i < in->signature.count; i++)
		if (!judge_signer(in, i, image, certs, err))
			return false;
	in->verdict = has(in, KS_VERDICT_GOOD)	      ? KS_VERDICT_GOOD :
		      has(in, KS_VERDICT_BAD)	      ? KS_VERDICT_BAD :
		      has(in, KS_VERDICT_UNSUPPORTED) ? KS_VERDICT_UNSUPPORTED :
							KS_VERDICT_UNKNOWN_SIGNER;
	if (in->verdict != KS_VERDICT_GOOD && ks_openssl_is_starved())
		return ks_fail_memory(err);
	return in->verdict != KS_VERDICT_UNSUPPORTED || name_algorithm(in, err);
}

static bool malformed(struct ks_inspection *in, const char *fault, int sys, struct ks_error *err)
{
	in->verdict = KS_VERDICT_MALFORMED;
	in->sys = sys;
	return ks_string_copy(&in->fault, fault, err);
}

static bool inspect_message(struct ks_inspection *in, const struct ks_trailer *t,
			    const struct ks_certs *certs, struct ks_error *err)
{
	struct ks_error fault;
	KS_STRING refusal = NULL;
	struct ber ber = { 0 };
	int sys;

	if (!ks_signature_parse(t->message, &in->signature, &fault))
		return fault.code == KS_ERR_SYSTEM ?
			       ((*err = fault), false) :
			       malformed(in, fault.text, in->signature.sys, err);
	in->padding = t->message.len - in->signature.length;
	walk(t->message.data, t->message.data + in->signature.length, 0, &ber);
	in->indefinite = ber.indefinite;
	in->endless_algorithm = ber.endless_algorithm;
	ERR_clear_error();
	if (!in->signature.count)
		return malformed(in, "the PKCS#7 message has no signer", EBADMSG, err);
	if (!ks_signature_refusal(&in->signature, t->message.len, &refusal, &sys, err))
		return false;
	if (refusal) {
		ks_signature_free(&in->signature);
		return malformed(in, refusal, sys, err);
	}
	return judge_all(in, t->image, certs, err);
}

static bool inspect(struct ks_view content, const struct ks_certs *certs, struct ks_inspection *in,
		    struct ks_error *err)
{
	struct ks_trailer t = ks_trailer_parse(content);

	in->image_size = t.image.len;
	in->signature_size = content.len - t.image.len;
	switch (t.kind) {
	case KS_TRAILER_NONE:
		in->verdict = KS_VERDICT_UNSIGNED;
		return true;
	case KS_TRAILER_MALFORMED:
		return malformed(in, t.fault, t.sys, err);
	case KS_TRAILER_WHOLE:
		break;
	}
	in->beneath = ks_trailer_count(t.image);
	return inspect_message(in, &t, certs, err);
}

bool ks_inspect(struct ks_view content, const struct ks_certs *certs,
		struct ks_inspection *inspection, struct ks_error *err)
{
	*inspection = (struct ks_inspection){ 0 };
	if (inspect(content, certs, inspection, err))
		return true;
	ks_inspection_free(inspection);
	return false;
}

void ks_inspection_free(struct ks_inspection *inspection)
{
	ks_signature_free(&inspection->signature);
	free(inspection->finding);
	free(inspection->fault);
	*inspection = (struct ks_inspection){ 0 };
}

const char *ks_verdict_name(enum ks_verdict verdict)
{
	static const char *const names[] = {
		[KS_VERDICT_UNSIGNED] = "unsigned",
		[KS_VERDICT_GOOD] = "good",
		[KS_VERDICT_BAD] = "bad",
		[KS_VERDICT_MALFORMED] = "malformed",
		[KS_VERDICT_UNKNOWN_SIGNER] = "unknown signer",
		[KS_VERDICT_UNSUPPORTED] = "unsupported",
	};

	return names[verdict];
}
