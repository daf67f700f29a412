/* SPDX-License-Identifier: MIT */
#include "cli/advice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/place.h"
#include "core/cert.h"

enum { CERT_LIMIT = 1 << 20 }; /* bytes */

/* The situation */

static bool read_cert(struct situation *s, const char *root, struct ks_error *err)
{
	KS_BUF file = { 0 };
	struct stat st;

	if (!ks_file_read_path(root, s->cert, CERT_LIMIT, &file, &st, err) ||
	    !ks_cert_parse(ks_buf_view(&file), &s->x509, err))
		return false;
	s->is_der = ks_cert_is_der(ks_buf_view(&file));
	s->standing = ks_trust_standing(s->trust, s->x509, &s->standing_why);
	return true;
}

/* Takes what PLACE has. */
static void take(struct situation *s, struct ks_key_place *place)
{
	s->key = place->key;
	s->cert = place->cert;
	s->key_why = place->why;
	s->hash = place->hash;
	place->key = place->cert = place->why = place->hash = NULL;
}

static bool find_key(struct situation *s, const struct config *config, struct ks_error *err)
{
	struct ks_keysearch search = request_search(s->request->root, config, s->kernel);
	KS_KEY_PLACE place = { 0 };
	struct ks_error fault;

	if (!ks_keysearch(&search, &place, &fault))
		return fault.sys == ENOMEM ? ((*err = fault), false) :
					     ks_string_copy(&s->key_why, fault.text, err);
	take(s, &place);
	if (read_cert(s, place.root, &fault))
		return true;
	s->standing = KS_STANDING_UNKNOWN;
	s->standing_why = "its certificate cannot be read";
	return fault.sys != ENOMEM || ((*err = fault), false);
}

bool situation_find(const struct request *request, const struct ks_kernel *kernel,
		    const struct ks_trust *trust, struct situation *situation, struct ks_error *err)
{
	struct config config = { 0 };
	struct ks_error fault;
	bool ok;

	*situation = (struct situation){ .request = request, .kernel = kernel, .trust = trust };
	ok = config_read(request->root, &config, &fault) ?
		     find_key(situation, &config, err) :
		     ks_string_copy(&situation->key_why, fault.text, err);
	config_free(&config);
	if (!ok)
		situation_free(situation);
	return ok;
}

void situation_free(struct situation *s)
{
	free(s->key);
	free(s->cert);
	free(s->key_why);
	free(s->hash);
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

static bool needs_signature(struct advice *a, const struct situation *s, const char *path,
			    struct ks_error *err)
{
	a->sign = true;
	a->trust = true;
	if (s->hash && s->trust->abilities.config == KS_YES &&
	    ks_ability_digest(&s->trust->abilities, s->hash) != KS_ABILITY_PRESENT)
		a->other_hash = true;
	return ks_strings_add(&a->signed_anew, path, err);
}

static bool needs_other_kernel(struct advice *a, const char *path, struct ks_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return ks_strings_add_len(&a->rebuilt, name, strcspn(name, "."), err);
}

bool advice_need(struct advice *a, const struct situation *s, const char *path,
		 const struct ks_facts *facts, struct ks_error *err)
{
	const struct ks_prediction *p = &facts->prediction;

	if (p->fate == KS_FATE_UNKNOWN && p->cause == KS_CAUSE_UNAVAILABLE_KEY && geteuid() != 0)
		a->privilege = true;
	switch (p->cause) {
	case KS_CAUSE_NONE:
		return true;
	case KS_CAUSE_UNAVAILABLE_KEY:
		if (!is_ours(s, &facts->inspection))
			return p->fate == KS_FATE_UNKNOWN || needs_signature(a, s, path, err);
		a->trust = true;
		return true;
	case KS_CAUSE_BLACKLISTED:
		a->newer = true;
		return true;
	case KS_CAUSE_VERMAGIC:
		return needs_other_kernel(a, path, err);
	default:
		return p->fate == KS_FATE_UNKNOWN || needs_signature(a, s, path, err);
	}
}

void advice_free(struct advice *a)
{
	ks_strings_free(&a->signed_anew);
	ks_strings_free(&a->rebuilt);
}

/* Steps */

struct steps {
	struct step *step;
	size_t count;
	struct ks_error *err;
	bool ok;
};

/* Takes COMMAND; what is beyond the last step is left out. */
static void add_step(struct steps *steps, char *command, const char *why)
{
	struct step *step = &steps->step[steps->count];

	if (!steps->ok || steps->count == ADVICE_STEPS) {
		free(command);
		return;
	}
	*step = (struct step){ .command = command };
	steps->count++;
	steps->ok = ks_string_copy(&step->why, why, steps->err);
}

static void add_command(struct steps *steps, const char *why, const char *fmt, ...) KS_PRINTF(3, 4);

static void add_command(struct steps *steps, const char *why, const char *fmt, ...)
{
	char *command = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&command, fmt, args) < 0) {
		command = NULL;
		steps->ok = steps->ok && ks_fail_memory(steps->err);
	}
	va_end(args);
	add_step(steps, command, why);
}

/* TEXT as a shell takes it for one word; without a backslash, which output doubles. */
static bool add_word(struct ks_buf *line, const char *text, struct ks_error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789+,-./:@_";

	if (line->len && !ks_buf_append(line, " ", 1, err))
		return false;
	if (*text && !text[strspn(text, plain)])
		return ks_buf_append(line, text, strlen(text), err);
	if (!ks_buf_append(line, "'", 1, err))
		return false;
	for (; *text; text++)
		if (!(*text == '\'' ? ks_buf_append(line, "'\"'\"'", 5, err) :
				      ks_buf_append(line, text, 1, err)))
			return false;
	return ks_buf_append(line, "'", 1, err);
}

static bool add_words(struct ks_buf *line, const char *const *word, struct ks_error *err)
{
	for (; *word; word++)
		if (!add_word(line, *word, err))
			return false;
	return true;
}

/* "kernel-sign sign ..." for what it has to be said of. */
static bool sign_command(const struct advice *a, const struct situation *s, bool whole,
			 char **command, struct ks_error *err)
{
	const char *const base[] = { "kernel-sign", "sign", NULL };
	const char *const hash[] = { "--hash", "sha256", NULL };
	const char *const root[] = { "--root", s->request->root, NULL };
	const char *const kernel[] = { "-k", s->kernel->version, NULL };
	bool names_kernel = s->request->kernel || !s->trust->is_running;
	KS_BUF line = { 0 };

	if (!add_words(&line, base, err) || (s->request->root && !add_words(&line, root, err)) ||
	    (names_kernel && !add_words(&line, kernel, err)) ||
	    (a->other_hash && !add_words(&line, hash, err)))
		return false;
	for (size_t i = 0; !whole && i < a->signed_anew.count; i++)
		if (!add_word(&line, a->signed_anew.item[i], err))
			return false;
	return ks_buf_append(&line, "", 1, err) &&
	       ks_string_copy(command, (const char *)line.data, err);
}

static void sign_step(const struct advice *a, const struct situation *s, bool whole,
		      struct steps *steps)
{
	char *command = NULL;

	steps->ok = steps->ok && sign_command(a, s, whole, &command, steps->err);
	add_step(steps, command,
		 a->other_hash ? "signs with a digest that this kernel can check" :
				 "signs what is to be signed anew");
}

/* Where a new key goes: kernel-sign and DKMS find it there. */
#define NEW_DIR "/var/lib/dkms"

static const char *root_of(const struct situation *s)
{
	return s->request->root ? s->request->root : "";
}

static void key_step(const struct situation *s, struct steps *steps)
{
	const char *root = root_of(s);

	if (!s->key)
		add_command(
			steps, "makes a key where kernel-sign and DKMS find it",
			"(umask 077; mkdir -p %s" NEW_DIR "; openssl req -new -x509 -newkey "
			"rsa:2048 -nodes -days 36500 -subj '/CN=module key of this machine/' "
			"-addext basicConstraints=critical,CA:FALSE "
			"-addext keyUsage=digitalSignature -addext extendedKeyUsage=codeSigning "
			"-keyout %s" NEW_DIR "/mok.key -outform DER -out %s" NEW_DIR "/mok.pub)",
			root, root, root);
}

/* Where shim's list of keys counts, and so mokutil helps. */
static bool counts_mok(const struct ks_trust *trust)
{
	return trust->secure_boot == KS_YES &&
	       (trust->rule->mok != KS_NO || trust->mok_trusted == KS_YES);
}

static void import_step(const struct situation *s, struct steps *steps)
{
	static const char then[] = "asks for a password, which MokManager (a blue screen, \"Enroll "
				   "MOK\") wants to have at the next start";
	KS_BUF line = { 0 };
	char *command = NULL;
	const char *cert = s->cert ? s->cert : NEW_DIR "/mok.pub";

	steps->ok = steps->ok && add_word(&line, cert, steps->err) &&
		    ks_buf_append(&line, "", 1, steps->err) &&
		    (!s->cert || s->is_der ?
			     ks_string_print(&command, steps->err, "mokutil --import %s",
					     (const char *)line.data) :
			     ks_string_print(&command, steps->err,
					     "openssl x509 -in %s -outform DER -out /root/mok.der "
					     "&& mokutil --import /root/mok.der",
					     (const char *)line.data));
	add_step(steps, command, then);
}

/* What there is to do where mokutil does not help: no command, only words. */
static void other_trust_step(const struct situation *s, struct steps *steps)
{
	const char *cert = s->cert ? s->cert : NEW_DIR "/mok.pub";
	const char *before, *after;
	KS_STRING why = NULL;

	if (s->trust->is_forced) {
		before = "the kernel's build demands signatures: build it with ";
		after = " in CONFIG_SYSTEM_TRUSTED_KEYS, or enrol that in the firmware's db";
	} else if (s->trust->enforced == KS_UNKNOWN) {
		before = "if the kernel will enforce signatures, it has to trust ";
		after = ": under Secure Boot by mokutil --import";
	} else {
		before = "machine owner keys count under Secure Boot only: turn that on and enrol ";
		after = ", or take module.sig_enforce=1 and lockdown= off the kernel's command "
			"line, and restart";
	}
	steps->ok = steps->ok && ks_string_print(&why, steps->err, "%s%s%s", before, cert, after);
	add_step(steps, NULL, why ? why : "");
}

static void trust_step(const struct situation *s, struct steps *steps)
{
	switch (s->standing) {
	case KS_STANDING_ACCEPTED:
		return;
	case KS_STANDING_PENDING:
		add_command(
			steps,
			"MokManager, a blue screen, asks on the way up: choose \"Enroll MOK\" and "
			"give the password of mokutil",
			"systemctl reboot");
		return;
	case KS_STANDING_REFUSED:
		add_step(steps, NULL,
			 "the key's certificate is revoked: sign with another key (--key, --cert)");
		return;
	default:
		break;
	}
	if (s->trust->enforced == KS_NO || s->trust->module_sig == KS_NO)
		return;
	if (counts_mok(s->trust))
		import_step(s, steps);
	else
		other_trust_step(s, steps);
}

static void rebuild_step(const struct advice *a, const struct situation *s, struct steps *steps)
{
	if (!a->rebuilt.count)
		return;
	if (ks_place_exists(s->request->root, "/var/lib/dkms"))
		add_command(steps, "builds DKMS's modules for this kernel",
			    "dkms autoinstall -k %s", s->kernel->version);
	else
		add_step(steps, NULL,
			 "modules made for another kernel have to be built for this one");
}

static void refresh_step(const struct advice *a, const struct situation *s, struct steps *steps)
{
	static const struct {
		const char *program, *command, *kernel;
	} tools[] = {
		{ "/usr/sbin/update-initramfs", "update-initramfs -u -k ", "" },
		{ "/usr/bin/dracut", "dracut --force --kver ", "" },
		{ "/usr/bin/mkinitcpio", "mkinitcpio -P", NULL },
	};
	static const char why[] = "the initramfs has old copies of modules";

	if (!a->refresh)
		return;
	for (size_t i = 0; i < sizeof(tools) / sizeof(*tools); i++)
		if (ks_place_exists(s->request->root, tools[i].program)) {
			add_command(steps, why, "%s%s", tools[i].command,
				    tools[i].kernel ? s->kernel->version : "");
			return;
		}
	add_step(steps, NULL, "the initramfs has old copies of modules: make it anew");
}

bool advice_steps(const struct advice *a, const struct situation *s, bool whole, struct step *step,
		  size_t *count, struct ks_error *err)
{
	struct steps steps = { .step = step, .err = err, .ok = true };

	if (a->privilege)
		add_step(&steps, NULL,
			 "ask again as root, who can see all of the kernel's certificates");
	rebuild_step(a, s, &steps);
	if (a->newer)
		add_step(&steps, NULL,
			 "get another build of the module: this very file was revoked");
	if (a->sign || a->trust)
		key_step(s, &steps);
	if (a->sign)
		sign_step(a, s, whole, &steps);
	refresh_step(a, s, &steps);
	if (a->trust)
		trust_step(s, &steps);
	if (a->gate)
		add_command(&steps, "lets DKMS install no module that the kernel would refuse",
			    "kernel-sign dkms enable --all");
	*count = steps.count;
	if (!steps.ok)
		steps_free(step, steps.count);
	return steps.ok;
}

void steps_free(struct step *step, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(step[i].command);
		free(step[i].why);
	}
}
