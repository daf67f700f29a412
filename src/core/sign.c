/* SPDX-License-Identifier: MIT */
#include "core/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/cert.h"
#include "core/kernel.h"
#include "core/kmod.h"

enum { TRIES = 5 }; /* at a file that other programs keep changing */

struct job {
	const struct ks_sign *how;
	const struct ks_signer *signer; /* NULL where signatures are taken off */
	bool spare_others;
	struct ks_sign_result *result;
};

/* What is there already */

static bool has_attributes(const struct ks_signature *signature)
{
	for (size_t i = 0; i < signature->count; i++)
		if (signature->signer[i].attributes)
			return true;
	return false;
}

bool ks_sign_is_plain(const struct ks_signature *signature, size_t size)
{
	KS_STRING refusal = NULL;
	struct ks_error ignored;
	int sys;

	/* The last one writes the whole message anew to look at it. */
	return !has_attributes(signature) && !signature->certificates &&
	       signature->length == size &&
	       ks_signature_refusal(signature, size, &refusal, &sys, &ignored) && !refusal;
}

/* STACK: others may stand beneath it. */
static bool is_plain(const struct ks_signature *signature, const struct ks_trailer *t, bool stack)
{
	return (stack || ks_trailer_parse(t->image).kind == KS_TRAILER_NONE) &&
	       ks_sign_is_plain(signature, t->message.len);
}

/* RSA-PSS by this very key holds, and no kernel takes it: the algorithm counts too. */
static bool is_as_made(const struct ks_signer_id *id, const struct ks_signer *signer, size_t key)
{
	return strcmp(id->digest, ks_signer_hash(signer)) == 0 &&
	       strcmp(id->algorithm, ks_signer_algorithm(signer, key)) == 0;
}

/* *KEY: which of ours made it, or the count if none.  *GOOD: it holds, and is as that key makes it. */
static bool compare_one(struct ks_signature *signature, size_t i, struct ks_view image,
			const struct ks_signer *signer, size_t *key, bool *good,
			struct ks_error *err)
{
	enum ks_verdict verdict = KS_VERDICT_UNKNOWN_SIGNER;

	for (*key = 0; *key < ks_signer_count(signer); ++*key) {
		if (!ks_signature_check(signature, i, image, ks_signer_cert(signer, *key), &verdict,
					err))
			return false;
		if (verdict != KS_VERDICT_UNKNOWN_SIGNER)
			break;
	}
	*good = verdict == KS_VERDICT_GOOD && is_as_made(&signature->signer[i], signer, *key);
	return true;
}

/* *IS_THIS: exactly what SIGNER would make.  *IS_OURS: by its keys and nobody else's. */
static bool compare(struct ks_signature *signature, const struct ks_trailer *t,
		    const struct job *job, bool *is_this, bool *is_ours, struct ks_error *err)
{
	size_t keys = ks_signer_count(job->signer), key = 0;
	bool seen[KS_IDENTITIES] = { false };

	*is_ours = signature->count > 0;
	*is_this = signature->count == keys;
	for (size_t i = 0; i < signature->count && *is_ours; i++) {
		bool good;

		if (!compare_one(signature, i, t->image, job->signer, &key, &good, err))
			return false;
		*is_ours = key < keys;
		*is_this = *is_this && good && !seen[key];
		seen[*is_ours ? key : 0] = true;
	}
	*is_this = *is_this && *is_ours && is_plain(signature, t, job->how->stack);
	return true;
}

/* Whose signature it is, in words, for "signed by X"; NULL where it does not say. */
static const char *name_of(const struct ks_signature *signature)
{
	if (!signature->count)
		return NULL;
	return signature->signer[0].name ? signature->signer[0].name : signature->signer[0].key_id;
}

static bool record(const struct job *job, struct ks_view image, struct ks_error *err)
{
	struct ks_sign_record *r;

	if (!job->how->record)
		return true;
	r = job->result->record = calloc(1, sizeof(*r));
	if (!r)
		return ks_fail_memory(err);
	r->hash = job->signer ? ks_signer_hash(job->signer) : "sha256";
	while (job->signer && r->count < ks_signer_count(job->signer)) {
		X509 *cert = ks_signer_cert(job->signer, r->count);

		if (!X509_up_ref(cert))
			return ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
		r->cert[r->count++] = cert;
	}
	return ks_digest_hex(r->hash, image, &r->digest, err);
}

static void free_record(struct ks_sign_record *r)
{
	for (size_t i = 0; r && i < r->count; i++)
		X509_free(r->cert[i]);
	if (r)
		free(r->digest);
	free(r);
}

/* A malformed one is nobody's: taking it off is what will fail, and say why. */
static bool look(const struct job *job, const struct ks_module *m, bool *finished,
		 struct ks_error *err)
{
	struct ks_trailer t = ks_module_trailer(m);
	KS_SIGNATURE signature = { 0 };
	bool is_this = false, is_ours = false;
	const char *name;

	if (t.kind != KS_TRAILER_WHOLE || !ks_signature_parse(t.message, &signature, err))
		return true;
	if (job->signer && !compare(&signature, &t, job, &is_this, &is_ours, err))
		return false;
	/* A file that kernels cannot read is no good however well it is signed: made anew. */
	if (is_this && !ks_objection_is_weighty(m->objection) && !job->how->force) {
		job->result->outcome = KS_OUTCOME_ALREADY_SIGNED;
		*finished = true;
		return record(job, t.image, err);
	} else if (!is_ours && job->spare_others && ks_kernel_owns(m->place.path)) {
		job->result->outcome = KS_OUTCOME_LEFT_ALONE;
		*finished = true;
		name = name_of(&signature);
		return !name || ks_string_copy(&job->result->other, name, err);
	}
	return true;
}

static bool compare_vermagic(const struct job *job, const struct ks_module *m, struct ks_error *err)
{
	KS_MODINFO info = { 0 };
	size_t len = job->how->kernel ? strlen(job->how->kernel) : 0;

	if (!len)
		return true;
	if (!ks_modinfo_read(ks_buf_view(&m->content), &info, err))
		return false;
	if (!info.vermagic || (strncmp(info.vermagic, job->how->kernel, len) == 0 &&
			       (info.vermagic[len] == ' ' || !info.vermagic[len])))
		return true;
	job->result->vermagic = info.vermagic;
	info.vermagic = NULL;
	return true;
}

/* The two lines */

static bool add_way_out(const struct job *job, struct ks_error *err)
{
	size_t len = strlen(err->text);

	snprintf(err->text + len, sizeof(err->text) - len, "; %s",
		 job->signer ? "kernel-sign sign --stack signs over it" :
			       "install or build the module anew");
	return false;
}

static bool unsign(const struct job *job, struct ks_module *m, struct ks_error *err)
{
	struct ks_sign_result *result = job->result;
	bool stack = job->signer && job->how->stack;

	if (!(stack ? ks_module_unsign_outer(m, &result->removed, err) :
		      ks_module_unsign(m, &result->removed, err)))
		return err->code != KS_ERR_SYSTEM && add_way_out(job, err);
	result->beneath = ks_trailer_count(ks_buf_view(&m->content));
	return record(job, ks_buf_view(&m->content), err);
}

static bool store(const struct job *job, const struct ks_module *m, struct ks_error *err)
{
	job->result->hard_linked = m->st.st_nlink > 1;
	return job->how->dry_run || ks_module_store(m, job->how->sync, &job->result->written, err);
}

static bool sign_and_store(const struct job *job, struct ks_module *m, struct ks_error *err)
{
	const struct ks_message_source *source = job->how->source;
	KS_BUF message = { 0 };

	job->result->outcome = KS_OUTCOME_SIGNED;
	if (!source && job->how->dry_run)
		return store(job, m, err);
	if (!(source ? source->get(source->ctx, ks_buf_view(&m->content), &message, err) :
		       ks_signer_sign(job->signer, ks_buf_view(&m->content), &message, err)))
		return false;
	if (!message.len) {
		job->result->outcome = KS_OUTCOME_REQUESTED;
		return true;
	}
	return ks_module_append(m, ks_buf_view(&message), err) && store(job, m, err);
}

static bool load(const char *path, const struct job *job, bool examine, struct ks_module *m,
		 bool *finished, struct ks_error *err)
{
	struct ks_load load = job->how->load;

	load.examine = examine;
	load.extend = !job->how->recompress;
	return ks_module_load(m, path, &load, err) && look(job, m, finished, err);
}

static bool sign_once(const char *path, const struct job *job, struct ks_error *err)
{
	KS_MODULE m = KS_MODULE_NONE;
	bool finished = false;

	if (!load(path, job, true, &m, &finished, err) || !compare_vermagic(job, &m, err))
		return false;
	if (finished)
		return true;
	return unsign(job, &m, err) && sign_and_store(job, &m, err);
}

static bool unsign_once(const char *path, const struct job *job, struct ks_error *err)
{
	KS_MODULE m = KS_MODULE_NONE;
	bool finished = false;

	if (!load(path, job, false, &m, &finished, err))
		return false;
	if (finished)
		return true;
	if (!unsign(job, &m, err))
		return false;
	job->result->outcome = job->result->removed ? KS_OUTCOME_UNSIGNED : KS_OUTCOME_NOT_SIGNED;
	return !job->result->removed || store(job, &m, err);
}

static bool try_often(const char *path, const struct job *job,
		      bool (*once)(const char *path, const struct job *job, struct ks_error *err),
		      struct ks_error *err)
{
	for (int i = 0; i < TRIES; i++) {
		*job->result = (struct ks_sign_result){ 0 };
		if (once(path, job, err))
			return true;
		ks_sign_result_free(job->result);
		if (err->code != KS_ERR_CHANGED)
			return false;
	}
	return false;
}

bool ks_sign_module(const char *path, const struct ks_sign *how, bool spare_others,
		    struct ks_sign_result *result, struct ks_error *err)
{
	struct job job = { how, how->signer, spare_others && !how->force, result };

	return try_often(path, &job, sign_once, err);
}

bool ks_unsign_module(const char *path, const struct ks_sign *how, bool spare_others,
		      struct ks_sign_result *result, struct ks_error *err)
{
	struct job job = { how, NULL, spare_others && !how->force, result };

	return try_often(path, &job, unsign_once, err);
}

void ks_sign_result_free(struct ks_sign_result *result)
{
	free(result->other);
	free(result->vermagic);
	free_record(result->record);
	*result = (struct ks_sign_result){ 0 };
}
