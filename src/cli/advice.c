/* SPDX-License-Identifier: MIT */
#include "cli/advice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/rebuild_step.h"
#include "cli/refresh.h"
#include "cli/shell.h"
#include "cli/trust_step.h"
#include "core/cert.h"
#include "core/key.h"
#include "core/secret.h"
#include "core/token.h"

enum { CERT_LIMIT = 1 << 20 }; /* bytes */

/* The situation */

/* Where it has none to be read without a passphrase, *IS_LOCKED. */
static bool read_file(struct situation *s, bool *is_locked, struct ks_error *err)
{
	bool is_shared = strcmp(s->cert, s->key) == 0;
	KS_BUF file = { 0 };
	struct stat st;

	ks_secret_hold();
	if (!ks_file_read_path(s->root, s->cert, CERT_LIMIT, &file, &st, err))
		return ks_at(err, s->cert);
	if (ks_cert_parse(ks_buf_view(&file), &s->x509, err))
		return true;
	*is_locked = is_shared && ks_key_is_pkcs12(ks_buf_view(&file));
	if (*is_locked)
		ks_fail(err, KS_ERR_KEY, "it is in a PKCS#12 file with the key, not opened here");
	return ks_at(err, s->cert);
}

static bool read_cert(struct situation *s, bool *is_locked, struct ks_error *err)
{
	*is_locked = false;
	if (!(ks_token_is_uri(s->cert) ? key_file_cert(s->root, s->cert, &s->x509, err) :
					 read_file(s, is_locked, err)))
		return false;
	s->standing = ks_trust_standing(s->trust, s->x509, &s->standing_why);
	return true;
}

/* Takes what PLACE has. */
static void take(struct situation *s, struct ks_key_place *place)
{
	s->key = place->key;
	s->cert = place->cert;
	s->root = place->root;
	s->key_why = place->why;
	s->hash = place->hash;
	place->key = place->cert = place->why = place->hash = NULL;
}

/* Names as they may be said: a PIN can stand in a URI. */
static bool redact(char **name, struct ks_error *err)
{
	KS_STRING full = *name;

	*name = NULL;
	return ks_token_redact(full, name, err);
}

/* What cannot be known without the certificate, for a reason that is no want of memory. */
static bool go_without_cert(struct situation *s, bool is_locked, const struct ks_error *fault,
			    struct ks_error *err)
{
	s->is_hidden = key_file_is_hidden(fault);
	s->usable = is_locked || s->is_hidden ? KS_UNKNOWN : KS_NO;
	s->standing = KS_STANDING_UNKNOWN;
	if (!ks_string_print(&s->cert_why, err, "its certificate cannot be read: %s", fault->text))
		return false;
	s->standing_why = s->cert_why;
	return ks_string_copy(&s->usable_why, s->cert_why, err);
}

static bool find_key(struct situation *s, const struct config *config, struct ks_error *err)
{
	struct ks_keysearch search = request_search(s->request->root, config, s->kernel);
	KS_KEY_PLACE place = { 0 };
	struct ks_error fault;
	bool is_read, is_locked;

	if (!ks_keysearch(&search, &place, &fault)) {
		s->is_keyless = fault.code == KS_ERR_MISSING;
		return fault.sys == ENOMEM ? ((*err = fault), false) :
					     ks_string_copy(&s->key_why, fault.text, err);
	}
	take(s, &place);
	s->guard = config->key_guard;
	is_read = read_cert(s, &is_locked, &fault);
	if (!redact(&s->key, err) || !redact(&s->cert, err))
		return false;
	if (is_read)
		return true;
	return fault.sys == ENOMEM ? ((*err = fault), false) :
				     go_without_cert(s, is_locked, &fault, err);
}

bool situation_find(const struct request *request, const char *efivars,
		    const struct ks_kernel *kernel, const struct ks_trust *trust,
		    struct situation *situation, struct ks_error *err)
{
	struct config config = { 0 };
	struct ks_error fault;
	bool ok;

	*situation = (struct situation){
		.request = request, .efivars = efivars, .kernel = kernel, .trust = trust
	};
	ok = config_read(request->root, &config, &fault) ?
		     find_key(situation, &config, err) :
		     ks_string_copy(&situation->key_why, fault.text, err);
	config_free(&config);
	if (!ok)
		situation_free(situation);
	else if (situation->standing == KS_STANDING_ACCEPTED && trust_will_end(situation))
		situation->standing_why = "MokDel: to be removed at the next boot";
	return ok;
}

bool situation_try_key(struct situation *s, struct ks_error *err)
{
	struct key_file file = {
		.root = s->root, .key = s->key, .cert = s->cert, .guard = s->guard
	};
	struct ks_error why;

	if (!s->key || s->is_hidden || s->usable == KS_NO)
		return true;
	s->usable = key_file_try(&file, s->x509, &why);
	ks_string_free(&s->usable_why);
	return s->usable == KS_YES || ks_string_copy(&s->usable_why, why.text, err);
}

void situation_free(struct situation *s)
{
	free(s->key);
	free(s->cert);
	free(s->key_why);
	free(s->hash);
	free(s->cert_why);
	free(s->usable_why);
	X509_free(s->x509);
	*s = (struct situation){ 0 };
}

/* Needs */

/* Is it signed by our key, so that all it lacks is the kernel's trust in that? */
static bool is_ours(const struct situation *s, const struct ks_inspection *in)
{
	for (size_t i = 0; s->x509 && i < in->signature.count; i++)
		if (in->finding[i].verdict == KS_VERDICT_GOOD &&
		    X509_cmp(in->finding[i].cert, s->x509) == 0)
			return true;
	return false;
}

/* Whether "sign" leaves it as it is, and "sign --force" the filter in it: usual kernels read that. */
static bool has_usual_filter(const struct ks_facts *facts)
{
	return facts->prediction.cause == KS_CAUSE_CONTAINER && facts->objection &&
	       facts->objection->reading == KS_READS_X86;
}

static bool needs_signature(struct advice *a, const struct situation *s, const char *path,
			    const struct ks_facts *facts, struct ks_error *err)
{
	a->sign = true;
	a->trust = true;
	if (s->hash && s->trust->abilities.config == KS_YES &&
	    ks_ability_digest(&s->trust->abilities, s->hash) != KS_ABILITY_PRESENT)
		a->other_hash = true;
	return ks_strings_add(has_usual_filter(facts) ? &a->recompressed :
			      facts->is_stuck	      ? &a->stacked :
							&a->signed_anew,
			      path, err);
}

/* The name of the module PATH. */
static bool add_name(struct ks_strings *names, const char *path, struct ks_error *err)
{
	size_t len;
	const char *name = ks_locate_name(path, &len);

	return ks_strings_add_len(names, name, len, err);
}

/* By our own certificate, wherever the kernel has it from. */
static bool is_by_us(const struct situation *s, const struct ks_prediction *p)
{
	return p->by && s->x509 && X509_cmp(p->by->cert, s->x509) == 0;
}

/* But by an unseen key no signature is good, whatever it was made over. */
static bool is_changed(const struct ks_prediction *p)
{
	return p->cause == KS_CAUSE_BAD_SIGNATURE && !(p->by && p->by->is_unseen);
}

/*
 * With the signature spoilt that it came with, a file may hold anything: whoever signs that has the
 * kernel trust it.
 */
static bool needs_original(const struct situation *s, const char *path,
			   const struct ks_facts *facts)
{
	const struct ks_prediction *p = &facts->prediction;

	if (facts->is_stuck)
		return ks_kernel_owns(path);
	return is_changed(p) && !is_by_us(s, p) &&
	       (ks_kernel_owns(path) || (p->by && p->by->origin == KS_ORIGIN_BUILTIN));
}

static bool needs_mending(struct advice *a, const struct situation *s, const char *path,
			  const struct ks_facts *facts, struct ks_error *err)
{
	if (needs_original(s, path, facts))
		return add_name(&a->changed, path, err);
	a->sign_changed = a->sign_changed || is_changed(&facts->prediction);
	return needs_signature(a, s, path, facts, err);
}

bool advice_need(struct advice *a, const struct situation *s, const char *path,
		 const struct ks_facts *facts, struct ks_error *err)
{
	const struct ks_prediction *p = &facts->prediction;

	if (p->fate == KS_FATE_UNKNOWN && geteuid() != 0 &&
	    (p->cause == KS_CAUSE_UNAVAILABLE_KEY || s->trust->unseen.count))
		a->privilege = true;
	/* A signature by a key that is not trusted taints as well. */
	if (p->fate == KS_FATE_TAINTS && s->standing != KS_STANDING_ACCEPTED)
		return true;
	switch (p->cause) {
	case KS_CAUSE_NONE:
		a->trust = a->trust || (is_by_us(s, p) && trust_will_end(s));
		return true;
	case KS_CAUSE_UNAVAILABLE_KEY:
		if (!is_ours(s, &facts->inspection))
			return p->fate == KS_FATE_UNKNOWN ||
			       needs_signature(a, s, path, facts, err);
		a->trust = true;
		return true;
	case KS_CAUSE_BLACKLISTED:
		a->newer = true;
		return true;
	case KS_CAUSE_VERMAGIC:
		return p->fate == KS_FATE_UNKNOWN || add_name(&a->rebuilt, path, err);
	default:
		return p->fate == KS_FATE_UNKNOWN || needs_mending(a, s, path, facts, err);
	}
}

void advice_free(struct advice *a)
{
	ks_strings_free(&a->signed_anew);
	ks_strings_free(&a->recompressed);
	ks_strings_free(&a->stacked);
	ks_strings_free(&a->rebuilt);
	ks_strings_free(&a->changed);
	free(a->refresh);
}

/* Steps */

/* "kernel-sign sign" with OPTIONS for PATHS, or, without them, for what it finds by itself. */
static bool sign_command(const struct advice *a, const struct situation *s,
			 const char *const *options, const struct ks_strings *paths, char **command,
			 struct ks_error *err)
{
	const char *const hash[] = { "--hash", "sha256", NULL };
	KS_BUF line = { 0 };

	if (!add_verb(&line, "sign", s, err) || (a->other_hash && !shell_words(&line, hash, err)) ||
	    !shell_words(&line, options, err))
		return false;
	for (size_t i = 0; paths && i < paths->count; i++)
		if (!shell_word(&line, paths->item[i], err))
			return false;
	return shell_take(&line, command, err);
}

static void sign_step(const struct advice *a, const struct situation *s, const char *const *options,
		      const struct ks_strings *paths, const char *why, struct steps *steps)
{
	char *command = NULL;

	steps->ok = steps->ok && sign_command(a, s, options, paths, &command, steps->err);
	add_step(steps, command, why);
}

/* What one command can sign, and what takes another. */
static void sign_steps(const struct advice *a, const struct situation *s, bool whole,
		       struct steps *steps)
{
	static const char *const plain[] = { NULL };
	static const char *const stack[] = { "--stack", NULL };
	static const char *const recompress[] = { "--recompress", "--force", NULL };

	if (a->signed_anew.count)
		sign_step(a, s, plain, whole ? NULL : &a->signed_anew,
			  a->other_hash	  ? "signs with a digest that this kernel can check" :
			  a->sign_changed ? "signs what is to be signed anew; what was changed "
					    "since it was signed only if you changed it yourself "
					    "(strip, say): else get it anew" :
					    "signs what is to be signed anew",
			  steps);
	if (a->stacked.count)
		sign_step(a, s, stack, &a->stacked,
			  "signs over what is left of a signature that cannot be taken off: if a "
			  "damaged disk is what left it, get the module anew",
			  steps);
	if (a->recompressed.count)
		sign_step(a, s, recompress, &a->recompressed,
			  "compresses it anew without the filter, which this kernel cannot read",
			  steps);
}

/* PATH inside ROOT (or NULL), as a shell takes it. */
static bool shell_path(const char *root, const char *path, char **word, struct ks_error *err)
{
	KS_STRING whole = NULL;
	KS_BUF text = { 0 };

	return ks_string_print(&whole, err, "%s%s", root ? root : "", path) &&
	       shell_word(&text, whole, err) && shell_take(&text, word, err);
}

/* Never over a key that is there, which may be enrolled. */
static void key_step(const struct situation *s, struct steps *steps)
{
	KS_STRING dir = NULL;
	KS_STRING key = NULL;
	KS_STRING cert = NULL;
	KS_STRING why = NULL;
	const char *root = s->request->root;

	if (s->key)
		return;
	steps->ok = steps->ok &&
		    step_needing("openssl", "makes a key where kernel-sign and DKMS find it", &why,
				 steps->err) &&
		    shell_path(root, NEW_DIR, &dir, steps->err) &&
		    shell_path(root, NEW_KEY, &key, steps->err) &&
		    shell_path(root, NEW_CERT, &cert, steps->err);
	if (steps->ok)
		add_command(
			steps, why,
			"(umask 077; mkdir -p %s; [ -e %s ] || openssl req -new -x509 -newkey "
			"rsa:2048 -nodes -days 36500 -subj '/CN=module key of this machine/' "
			"-addext basicConstraints=critical,CA:FALSE "
			"-addext keyUsage=digitalSignature -addext extendedKeyUsage=codeSigning "
			"-keyout %s -outform DER -out %s)",
			dir, key, key, cert);
}

/* What the key at hand cannot be used for, and why; NULL where it can, or where none is. */
static const char *is_no_use(const struct situation *s)
{
	enum ks_ability_cert ability;

	if (s->standing == KS_STANDING_REFUSED)
		return "the key's certificate is revoked: sign with another key (--key, --cert)";
	if (!s->x509 || s->trust->abilities.config != KS_YES)
		return NULL;
	ability = ks_ability_cert(&s->trust->abilities, s->x509);
	return ability == KS_CERT_UNPARSED || ability == KS_CERT_LEFT_OUT ||
			       ability == KS_CERT_UNSEEN ?
		       "this kernel cannot use a key of that type: sign with another one (--key, "
		       "--cert), like RSA of 2048 bits" :
		       NULL;
}

static void original_step(const struct advice *a, struct steps *steps)
{
	char names[512];

	ks_strings_join(&a->changed, names, sizeof(names));
	if (a->changed.count)
		add_words(
			steps,
			"%s: changed since it was signed: install the package that it came in anew",
			names);
}

static void refresh_step(const struct advice *a, const struct situation *s, struct steps *steps)
{
	struct refresh refresh;

	if (!a->refresh)
		return;
	if (refresh_find(s->request->root, s->kernel->version, a->refresh, &refresh))
		add_inside(steps, s->request->root,
			   "so that the initramfs has no old copies of modules", refresh.argv);
	else
		add_step(steps, NULL,
			 "make the initramfs anew, so that it has no old copies of modules");
}

static void gate_step(const struct situation *s, struct steps *steps)
{
	const char *root = s->request->root;

	add_inside(steps, NULL, "lets DKMS install no module that the kernel would refuse",
		   (const char *const[]){ "kernel-sign", "dkms", "enable", "--all",
					  root ? "--root" : NULL, root, NULL });
}

/* To a signature by a key that the kernel trusts, as far as there can be one. */
static void signing_steps(const struct advice *a, const struct situation *s, bool whole,
			  struct steps *steps)
{
	const char *hindrance = is_no_use(s);
	KS_STRING why = NULL;

	if (a->sign && s->usable == KS_NO) {
		steps->ok = steps->ok &&
			    ks_string_print(&why, steps->err,
					    "sign cannot use the key: %s: mend that, or sign with "
					    "another one (--key, --cert)",
					    s->usable_why);
		hindrance = why ? why : "";
	} else if (s->is_hidden) {
		hindrance = "only root may read the key's certificate: ask again as root";
	} else if (!s->key && !s->is_keyless) {
		steps->ok = steps->ok &&
			    ks_string_print(&why, steps->err,
					    "the key to sign with cannot be found: %s", s->key_why);
		hindrance = why ? why : "";
	} else if (!s->key && geteuid() != 0) {
		hindrance = "there may be a key where only root can look: ask again as root";
	}
	if (!hindrance) {
		key_step(s, steps);
		sign_steps(a, s, whole, steps);
	}
	refresh_step(a, s, steps);
	if (hindrance)
		add_step(steps, NULL, hindrance);
	else if (a->trust && s->key && !s->x509)
		add_step(steps, NULL,
			 "to have the kernel trust the key, take its certificate out of that file: "
			 "kernel-sign enroll --cert FILE");
	else if (a->trust)
		trust_step(s, steps);
}

bool advice_steps(const struct advice *a, const struct situation *s, bool whole, struct step *step,
		  size_t *count, size_t *left_out, struct ks_error *err)
{
	struct steps steps = { .step = step, .err = err, .ok = true };

	if (a->privilege)
		add_step(&steps, NULL, "ask again as root, who may see what this user cannot");
	rebuild_step(a, s, &steps);
	original_step(a, &steps);
	if (a->newer)
		add_step(&steps, NULL,
			 "get another build of the module: this very file was revoked");
	if (a->sign || a->trust)
		signing_steps(a, s, whole, &steps);
	else
		refresh_step(a, s, &steps);
	if (a->gate)
		gate_step(s, &steps);
	*count = steps.count;
	*left_out = steps.left_out;
	if (!steps.ok)
		steps_free(step, steps.count);
	return steps.ok;
}
