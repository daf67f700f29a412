/* SPDX-License-Identifier: MIT */
#include "core/predict.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* What was found so far: a prediction without its fate. */
struct finding {
	enum ks_cause cause;
	int sys;
	bool is_unknown;
	size_t signer;
	const struct ks_trusted *by;
	const char *why;
	const char *vermagic, *own_vermagic;
};

struct judge {
	const struct ks_loader *loader;
	const struct ks_trust *trust;
	const struct ks_candidate *candidate;
	struct ks_signature *signature;
	struct ks_view image;
	STACK_OF(X509) * embedded;
	struct finding *finding;
};

const char *ks_fate_name(enum ks_fate fate)
{
	static const char *const names[] = {
		[KS_FATE_UNKNOWN] = "unknown",
		[KS_FATE_LOADS] = "loads",
		[KS_FATE_TAINTS] = "taints",
		[KS_FATE_REFUSED_WHEN_ENFORCED] = "refused when enforced",
		[KS_FATE_REFUSED] = "refused",
	};

	return names[fate];
}

const char *ks_cause_name(enum ks_cause cause)
{
	static const char *const names[] = {
		[KS_CAUSE_NONE] = NULL,
		[KS_CAUSE_UNSIGNED] = "unsigned module",
		[KS_CAUSE_UNAVAILABLE_KEY] = "module with unavailable key",
		[KS_CAUSE_UNSUPPORTED_CRYPTO] = "module with unsupported crypto",
		[KS_CAUSE_BAD_SIGNATURE] = "bad signature",
		[KS_CAUSE_MALFORMED] = "malformed signature",
		[KS_CAUSE_NOT_SIGNED_DATA] = "not signed data",
		[KS_CAUSE_NOT_DATA] = "signed content is not data",
		[KS_CAUSE_ATTRIBUTES] = "signed attributes",
		[KS_CAUSE_REVOKED] = "revoked",
		[KS_CAUSE_BLACKLISTED] = "blacklisted",
		[KS_CAUSE_CONTAINER] = "container",
		[KS_CAUSE_VERMAGIC] = "vermagic",
	};

	return names[cause];
}

/* Settles the question; each returns true, so that whoever asked is done. */

static bool refused(struct judge *j, enum ks_cause cause, int sys)
{
	j->finding->cause = cause;
	j->finding->sys = sys;
	return true;
}

static bool unknown(struct judge *j, enum ks_cause cause, const char *why)
{
	j->finding->is_unknown = true;
	j->finding->cause = cause;
	j->finding->why = why;
	return true;
}

static void decided_by(struct judge *j, size_t signer, const struct ks_trusted *by)
{
	j->finding->signer = signer;
	j->finding->by = by;
}

/* The parser: whether the message is understood at all */

static bool is_mldsa(const char *algorithm)
{
	return strncmp(algorithm, "ML-DSA", 6) == 0 ||
	       strncmp(algorithm, "2.16.840.1.101.3.4.3.", 21) == 0;
}

static bool stops_at_name(struct judge *j, enum ks_ability ability)
{
	if (ability == KS_ABILITY_NAMELESS)
		return refused(j, KS_CAUSE_UNSUPPORTED_CRYPTO, 0);
	return false;
}

/* One signer, in the order in which its fields stand in the message. */
static bool stops_in_signer(struct judge *j, size_t i)
{
	const struct ks_abilities *abilities = &j->trust->abilities;
	const struct ks_signer_id *id = &j->signature->signer[i];

	if (stops_at_name(j, ks_ability_digest(abilities, id->digest)))
		return true;
	if (id->capabilities)
		return refused(j, KS_CAUSE_ATTRIBUTES, EKEYREJECTED);
	return stops_at_name(j, ks_ability_algorithm(abilities, id->algorithm));
}

static bool stops_in_certificates(struct judge *j)
{
	for (int i = 0; i < sk_X509_num(j->embedded); i++)
		switch (ks_ability_cert(&j->trust->abilities, sk_X509_value(j->embedded, i))) {
		case KS_CERT_UNPARSED:
			return refused(j, KS_CAUSE_UNSUPPORTED_CRYPTO, 0);
		case KS_CERT_UNKNOWN:
		case KS_CERT_LEFT_OUT:
			return unknown(j, KS_CAUSE_MALFORMED,
				       "whether it can parse the embedded certificates");
		default:
			break;
		}
	return false;
}

static bool stops_at_content(struct judge *j)
{
	/* Authenticode's own type is parsed, and then not taken for modules. */
	static const char indirect[] = "1.3.6.1.4.1.311.2.1.4";
	const ASN1_OBJECT *type = CMS_get0_eContentType(j->signature->cms);
	char name[sizeof(indirect)];

	if (OBJ_obj2nid(type) == NID_pkcs7_data)
		return false;
	OBJ_obj2txt(name, sizeof(name), type, 1);
	return refused(j, KS_CAUSE_NOT_DATA, strcmp(name, indirect) == 0 ? 0 : EINVAL);
}

/* All signers have them, or none has (pkcs7_check_authattrs()). */
static bool stops_at_some_attributes(struct judge *j)
{
	const struct ks_signer_id *id = j->signature->signer;

	for (size_t i = 1; i < j->signature->count; i++)
		if (id[i].attributes != id[0].attributes)
			return refused(j, KS_CAUSE_MALFORMED, EINVAL);
	return false;
}

static bool parser_stops(struct judge *j)
{
	if (stops_at_content(j) || stops_in_certificates(j))
		return true;
	for (size_t i = 0; i < j->signature->count; i++) {
		j->finding->signer = i;
		if (stops_in_signer(j, i))
			return true;
	}
	j->finding->signer = 0;
	return stops_at_some_attributes(j);
}

/* pkcs7_verify() takes none for modules, but for ML-DSA where that is waived. */
static bool stops_at_attributes(struct judge *j)
{
	const struct ks_signer_id *id = j->signature->signer;

	if (!id[0].attributes)
		return false;
	for (size_t i = 0; i < j->signature->count; i++)
		if (j->trust->abilities.waiver != KS_NO && is_mldsa(id[i].algorithm))
			return unknown(j, KS_CAUSE_ATTRIBUTES,
				       "whether it waives the signed attributes of ML-DSA");
	return refused(j, KS_CAUSE_ATTRIBUTES, EKEYREJECTED);
}

/* One signer, in one keyring */

enum answer { NO_KEY, NO_CRYPTO, GOOD, BAD, UNSURE };

/* The certificate inside the message that a signer named by issuer and serial number has. */
static X509 *embedded_signer(const struct judge *j, size_t i)
{
	CMS_SignerInfo *info =
		sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(j->signature->cms), (int)i);

	if (j->signature->signer[i].key_id)
		return NULL;
	for (int k = 0; k < sk_X509_num(j->embedded); k++)
		if (CMS_SignerInfo_cert_cmp(info, sk_X509_value(j->embedded, k)) == 0)
			return sk_X509_value(j->embedded, k);
	return NULL;
}

static bool is_in(const struct ks_trusted *item, enum ks_ring ring)
{
	/* What is refused stands in a keyring as well, which is asked on its own. */
	if (ring == KS_RING_NONE)
		return item->ring == KS_RING_NONE && item->counts != KS_NO &&
		       ks_origin_is_refusal(item->origin);
	return item->ring == ring;
}

static enum answer by_verdict(enum ks_verdict verdict)
{
	return verdict == KS_VERDICT_GOOD ? GOOD : verdict == KS_VERDICT_BAD ? BAD : UNSURE;
}

/* What a signature is by CERT, if that is its signer's. */
static bool check(struct judge *j, size_t i, X509 *cert, enum answer *answer, struct ks_error *err)
{
	enum ks_verdict verdict;

	if (!ks_signature_check(j->signature, i, j->image, cert, &verdict, err))
		return false;
	*answer = verdict == KS_VERDICT_UNKNOWN_SIGNER ? NO_KEY : by_verdict(verdict);
	return true;
}

static bool has_same_id(X509 *a, X509 *b)
{
	const ASN1_OCTET_STRING *id_a = X509_get0_subject_key_id(a);
	const ASN1_OCTET_STRING *id_b = X509_get0_subject_key_id(b);

	return X509_issuer_and_serial_cmp(a, b) == 0 &&
	       (id_a && id_b ? ASN1_OCTET_STRING_cmp(id_a, id_b) == 0 : id_a == id_b);
}

static bool has_same_key(X509 *a, X509 *b)
{
	return EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

/*
 * A signer whose certificate came along is trusted where that, or one that it descends from, is.
 * Descent is left to the kernel: of it only this is said, whether there may be any.
 */
static enum answer ask_embedded(struct judge *j, X509 *cert, size_t i, enum ks_ring ring)
{
	bool is_empty = true;

	for (size_t k = 0; k < j->trust->count; k++) {
		const struct ks_trusted *item = &j->trust->item[k];

		if (!is_in(item, ring))
			continue;
		is_empty = false;
		if (has_same_id(item->cert, cert)) {
			decided_by(j, i, item);
			return item->counts == KS_YES && has_same_key(item->cert, cert) ? GOOD :
											  UNSURE;
		}
	}
	if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0)
		return NO_KEY;
	for (size_t k = 0; k < j->trust->count; k++)
		if (is_in(&j->trust->item[k], ring) &&
		    X509_NAME_cmp(X509_get_subject_name(j->trust->item[k].cert),
				  X509_get_issuer_name(cert)) == 0)
			return UNSURE;
	return sk_X509_num(j->embedded) > 1 && !is_empty ? UNSURE : NO_KEY;
}

/* Several certificates may answer to one name; which of them a kernel takes nobody knows. */
static enum answer both(enum answer a, enum answer b)
{
	return a == NO_KEY ? b : b == NO_KEY || a == b ? a : UNSURE;
}

static bool ask_ring(struct judge *j, size_t i, enum ks_ring ring, enum answer *answer,
		     struct ks_error *err)
{
	*answer = NO_KEY;
	for (size_t k = 0; k < j->trust->count; k++) {
		const struct ks_trusted *item = &j->trust->item[k];
		enum answer one;

		if (!is_in(item, ring))
			continue;
		if (!check(j, i, item->cert, &one, err))
			return false;
		if (one == NO_KEY)
			continue;
		if (item->is_unseen)
			one = BAD;
		else if (item->counts != KS_YES)
			one = UNSURE;
		if (one != *answer)
			decided_by(j, i, item);
		*answer = both(*answer, one);
	}
	return true;
}

static bool lacks_crypto(const struct judge *j, size_t i)
{
	return ks_ability_digest(&j->trust->abilities, j->signature->signer[i].digest) ==
	       KS_ABILITY_ABSENT;
}

/* pkcs7_validate_trust() in one keyring: the first bad signer ends it. */
static bool ask_signers(struct judge *j, enum ks_ring ring, enum answer *answer,
			struct ks_error *err)
{
	*answer = NO_KEY;
	for (size_t i = 0; i < j->signature->count; i++) {
		X509 *embedded = embedded_signer(j, i);
		enum answer one;

		if (lacks_crypto(j, i))
			one = NO_CRYPTO;
		else if (embedded)
			one = ask_embedded(j, embedded, i, ring);
		else if (!ask_ring(j, i, ring, &one, err))
			return false;
		if (one == BAD || one == UNSURE) {
			*answer = one;
			return true;
		}
		if (one == GOOD || (one == NO_CRYPTO && *answer == NO_KEY))
			*answer = one;
	}
	return true;
}

/* The whole message */

/* pkcs7_verify(): all that can be said without any keyring.  *STOPS if that settles it. */
static bool verify_alone(struct judge *j, bool *stops, struct ks_error *err)
{
	size_t lacking = 0;

	for (size_t i = 0; i < j->signature->count; i++) {
		X509 *cert = embedded_signer(j, i);
		enum answer answer;

		j->finding->signer = i;
		if (lacks_crypto(j, i)) {
			lacking++;
			continue;
		}
		if (!cert)
			continue;
		if (!check(j, i, cert, &answer, err))
			return false;
		if (answer == BAD)
			*stops = refused(j, KS_CAUSE_BAD_SIGNATURE,
					 ks_signature_bad_errno(j->signature, i, cert));
		else if (answer != GOOD)
			*stops = unknown(j, KS_CAUSE_BAD_SIGNATURE,
					 "OpenSSL here cannot check the signature");
		if (*stops)
			return true;
	}
	j->finding->signer = 0;
	if (lacking == j->signature->count)
		*stops = refused(j, KS_CAUSE_UNSUPPORTED_CRYPTO, 0);
	return true;
}

/* A digest that may or may not be there decides as soon as it is asked for. */
static bool is_crypto_unknown(struct judge *j)
{
	for (size_t i = 0; i < j->signature->count; i++) {
		j->finding->signer = i;
		if (ks_ability_digest(&j->trust->abilities, j->signature->signer[i].digest) ==
		    KS_ABILITY_UNKNOWN)
			return unknown(j, KS_CAUSE_UNSUPPORTED_CRYPTO,
				       "whether this kernel has the digest when it is asked for");
		if (ks_ability_algorithm(&j->trust->abilities, j->signature->signer[i].algorithm) ==
		    KS_ABILITY_UNKNOWN)
			return unknown(j, KS_CAUSE_UNSUPPORTED_CRYPTO,
				       "whether this kernel knows the signature's algorithm");
	}
	j->finding->signer = 0;
	return false;
}

static bool is_revoked(struct judge *j, bool *stops, struct ks_error *err)
{
	enum answer answer;

	if (!ask_signers(j, KS_RING_NONE, &answer, err))
		return false;
	if (answer == GOOD)
		*stops = refused(j, KS_CAUSE_REVOKED, EKEYREJECTED);
	else if (answer == UNSURE)
		*stops = unknown(j, KS_CAUSE_REVOKED, "whether this kernel heeds that list");
	else
		j->finding->by = NULL;
	return true;
}

/* Debian's patch looks for the whole file, signature and all, once that has been found good. */
static bool is_blacklisted(struct judge *j)
{
	uint8_t hash[KS_SIGLIST_SHA256];
	struct ks_view content = j->candidate->content;

	if (!j->trust->refused_count || j->trust->rule->whole_file == KS_NO ||
	    EVP_Digest(content.data, content.len, hash, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < j->trust->refused_count; i++) {
		const struct ks_refused *refused_hash = &j->trust->refused[i];

		if (refused_hash->hash.type != KS_SIGLIST_IMAGE || refused_hash->counts == KS_NO ||
		    memcmp(refused_hash->hash.value, hash, sizeof(hash)) != 0)
			continue;
		if (refused_hash->counts == KS_YES && j->trust->rule->whole_file == KS_YES)
			return refused(j, KS_CAUSE_BLACKLISTED, EKEYREJECTED);
		return unknown(j, KS_CAUSE_BLACKLISTED,
			       "whether this kernel refuses files by their hashes");
	}
	return false;
}

static bool settle(struct judge *j, enum answer answer)
{
	switch (answer) {
	case GOOD:
		return true;
	case BAD:
		return refused(j, KS_CAUSE_BAD_SIGNATURE, EKEYREJECTED);
	case NO_CRYPTO:
		return refused(j, KS_CAUSE_UNSUPPORTED_CRYPTO, 0);
	case UNSURE:
		return unknown(j, KS_CAUSE_UNAVAILABLE_KEY,
			       j->finding->by && j->finding->by->why ?
				       "whether this kernel accepts the certificate" :
				       "which of several certificates it takes, or what of them");
	case NO_KEY:
		break;
	}
	if (!j->trust->is_complete)
		return unknown(j, KS_CAUSE_UNAVAILABLE_KEY,
			       "not all of this kernel's certificates could be seen");
	return refused(j, KS_CAUSE_UNAVAILABLE_KEY, 0);
}

static bool judge_trust(struct judge *j, struct ks_error *err)
{
	enum answer answer;
	bool stops = false;

	if (!verify_alone(j, &stops, err) || stops)
		return stops;
	if (!is_revoked(j, &stops, err) || stops)
		return stops;
	if (!ask_signers(j, KS_RING_TRUSTED, &answer, err))
		return false;
	if (answer == NO_KEY && !ask_signers(j, KS_RING_PLATFORM, &answer, err))
		return false;
	settle(j, answer);
	if (!j->finding->is_unknown && !j->finding->cause)
		is_blacklisted(j);
	return true;
}

static bool judge_signature(struct judge *j, struct ks_error *err)
{
	const struct ks_inspection *in = j->candidate->inspection;
	bool ok;

	switch (in->verdict) {
	case KS_VERDICT_UNSIGNED:
		return refused(j, KS_CAUSE_UNSIGNED, 0);
	case KS_VERDICT_MALFORMED:
		return refused(j,
			       in->sys == ENOPKG	   ? KS_CAUSE_UNSUPPORTED_CRYPTO :
			       in->signature.sys == EINVAL ? KS_CAUSE_NOT_SIGNED_DATA :
							     KS_CAUSE_MALFORMED,
			       in->sys == ENOPKG ? 0 : in->sys);
	default:
		break;
	}
	if (in->endless_algorithm)
		return refused(j, KS_CAUSE_MALFORMED, EBADMSG);
	j->embedded = CMS_get1_certs(j->signature->cms);
	ok = parser_stops(j) || stops_at_attributes(j) || is_crypto_unknown(j) ||
	     judge_trust(j, err);
	sk_X509_pop_free(j->embedded, X509_free);
	j->embedded = NULL;
	ERR_clear_error();
	return ok;
}

/* Before and behind the signature */

static bool kernel_stops(struct judge *j)
{
	switch (ks_reader_reads(j->loader->reader, j->candidate->objection)) {
	case KS_READS_ALL:
		return false;
	case KS_READS_NOTHING:
		return refused(j, KS_CAUSE_CONTAINER, EINVAL);
	case KS_READS_PART:
		return unknown(j, KS_CAUSE_CONTAINER,
			       "the kernel reads the first part of the container only");
	default:
		break;
	}
	return unknown(j, KS_CAUSE_CONTAINER, "whether this kernel's reader has that filter");
}

/* kmod 30 and its xz read all that there is; kmod 34 has one call for a zstd frame of known size. */
static bool kmod_stops(struct judge *j)
{
	const struct ks_candidate *c = j->candidate;
	int kmod = j->loader->kmod;

	if (c->codec == &ks_codec_gzip)
		return unknown(j, KS_CAUSE_CONTAINER, "whether the kmod in use reads gzip");
	if (!ks_objection_is_weighty(c->objection) || kmod == 30 ||
	    (kmod == 34 && c->codec == &ks_codec_xz))
		return false;
	if (kmod == 34)
		return refused(j, KS_CAUSE_CONTAINER, EINVAL);
	return unknown(j, KS_CAUSE_CONTAINER, "what the kmod in use makes of the container");
}

/*
 * Whoever decompresses it has to be able to: the kernel, if it reads the format and kmod is one that
 * leaves that to it, as it does since 31; else kmod itself.
 */
static bool container_stops(struct judge *j)
{
	const struct ks_candidate *c = j->candidate;
	bool has_reader = ks_reader_codec(j->loader->reader) == c->codec;
	int kmod = j->loader->kmod;

	if (c->codec == &ks_codec_none)
		return false;
	if (kmod == 30)
		return kmod_stops(j);
	if (j->loader->reader == KS_READER_UNKNOWN)
		return unknown(j, KS_CAUSE_CONTAINER,
			       "whether this kernel or kmod reads the container");
	if (has_reader && !kmod &&
	    (ks_objection_is_weighty(c->objection) || c->codec == &ks_codec_gzip ||
	     ks_reader_reads(j->loader->reader, c->objection) != KS_READS_ALL))
		return unknown(j, KS_CAUSE_CONTAINER,
			       "what the kmod in use makes of the container");
	return has_reader ? kernel_stops(j) : kmod_stops(j);
}

/* What stands behind the version: " SMP preempt mod_unload modversions ". */
static bool has_other_options(const char *vermagic, const char *own)
{
	return own && strcmp(vermagic + strcspn(vermagic, " "), own + strcspn(own, " ")) != 0;
}

static bool misfits(struct judge *j, const char *own)
{
	j->finding->vermagic = j->candidate->vermagic;
	j->finding->own_vermagic = own;
	return refused(j, KS_CAUSE_VERMAGIC, ENOEXEC);
}

/*
 * same_magic() in kernel/module/version.c: with CONFIG_MODVERSIONS the version does not count, but
 * those of the symbols do.
 */
static bool vermagic_stops(struct judge *j)
{
	const char *vermagic = j->candidate->vermagic, *version = j->trust->version;
	size_t len = strlen(version);

	if (!vermagic)
		return unknown(j, KS_CAUSE_VERMAGIC,
			       "without vermagic it depends on CONFIG_MODULE_FORCE_LOAD");
	if (has_other_options(vermagic, j->loader->vermagic))
		return misfits(j, j->loader->vermagic);
	if (strcspn(vermagic, " ") == len && strncmp(vermagic, version, len) == 0)
		return false;
	if (j->loader->modversions != KS_NO)
		return unknown(j, KS_CAUSE_VERMAGIC,
			       "it was built for another version: its symbols' versions decide");
	return misfits(j, NULL);
}

static bool is_lack(enum ks_cause cause)
{
	return cause == KS_CAUSE_UNSIGNED || cause == KS_CAUSE_UNAVAILABLE_KEY ||
	       cause == KS_CAUSE_UNSUPPORTED_CRYPTO;
}

static enum ks_fate fate_of(const struct finding *finding, enum ks_answer enforced)
{
	if (finding->is_unknown)
		return KS_FATE_UNKNOWN;
	if (!finding->cause)
		return KS_FATE_LOADS;
	if (!is_lack(finding->cause))
		return KS_FATE_REFUSED;
	return enforced == KS_NO ? KS_FATE_TAINTS : KS_FATE_REFUSED_WHEN_ENFORCED;
}

static bool ask_all(struct judge *j, struct ks_error *err)
{
	struct finding *finding = j->finding;

	if (container_stops(j))
		return true;
	if (j->trust->module_sig == KS_UNKNOWN)
		return unknown(j, KS_CAUSE_NONE, "no config of this kernel could be read");
	if (j->trust->module_sig == KS_YES && !judge_signature(j, err))
		return false;
	if (finding->is_unknown || (finding->cause && !is_lack(finding->cause)) ||
	    (finding->cause && j->trust->enforced == KS_YES))
		return true;
	if (!vermagic_stops(j) && j->trust->ima_appraise == KS_YES)
		unknown(j, KS_CAUSE_NONE,
			"IMA's policy wants modules to have its signature as well");
	return true;
}

bool ks_predict(const struct ks_loader *loader, const struct ks_candidate *candidate,
		struct ks_prediction *prediction, struct ks_error *err)
{
	struct finding finding = { 0 };
	struct ks_inspection *in = candidate->inspection;
	struct judge j = { .loader = loader,
			   .trust = loader->trust,
			   .candidate = candidate,
			   .signature = &in->signature,
			   .image = ks_view_of(candidate->content.data, in->image_size),
			   .finding = &finding };

	*prediction = (struct ks_prediction){ 0 };
	if (!ask_all(&j, err))
		return false;
	prediction->fate = fate_of(&finding, loader->trust->enforced);
	prediction->cause = finding.cause;
	prediction->signer = finding.signer;
	prediction->by = finding.by;
	prediction->why = finding.why;
	prediction->vermagic = finding.vermagic;
	prediction->own_vermagic = finding.own_vermagic;
	if (prediction->fate == KS_FATE_REFUSED)
		prediction->sys = finding.sys;
	else if (prediction->fate == KS_FATE_REFUSED_WHEN_ENFORCED)
		prediction->sys = loader->trust->enforced_errno;
	return true;
}
