/* SPDX-License-Identifier: MIT */
#include "cli/trust_step.h"

#include <unistd.h>

#include "cli/enrol_words.h"
#include "cli/shell.h"
#include "core/enrolment.h"

/* Where shim's list of keys counts, and there is somebody to put a key into it. */
static bool counts_mok(const struct ks_trust *trust)
{
	return trust->secure_boot == KS_YES && trust->shim != KS_NO &&
	       (trust->rule->mok != KS_NO || trust->mok_trusted == KS_YES);
}

bool trust_will_end(const struct situation *s)
{
	return s->x509 && s->standing != KS_STANDING_UNUSED &&
	       ks_enrolment_find(s->trust, s->x509).state == KS_ENROLMENT_LEAVING;
}

/* "kernel-sign enroll" finds the same key as we have, or the one that the first step makes. */
static void enroll_step(const struct situation *s, struct steps *steps)
{
	const char *then = trust_will_end(s) ?
				   "takes back the request to remove it (MokDel), which waits for "
				   "the next boot" :
				   "asks for a password, which MokManager (a blue screen, \"Enroll "
				   "MOK\") wants to have at the next start";
	const char *const efivars[] = { "--efivars", s->efivars, NULL };
	char *command = NULL;
	KS_STRING why = NULL;
	KS_BUF line = { 0 };

	steps->ok = steps->ok && step_needing("mokutil", then, &why, steps->err) &&
		    add_verb(&line, "enroll", s, steps->err) &&
		    (!s->efivars || shell_words(&line, efivars, steps->err)) &&
		    shell_take(&line, &command, steps->err);
	add_step(steps, command, why ? why : "");
}

static const char in_kernel[] = " in CONFIG_SYSTEM_TRUSTED_KEYS";
static const char in_kernel_or_db[] =
	" in CONFIG_SYSTEM_TRUSTED_KEYS, or enrol that in the firmware's db";
static const char by_command_line[] =
	" in CONFIG_SYSTEM_TRUSTED_KEYS, or take module.sig_enforce=1 and lockdown= off the "
	"kernel's command line, and restart";
static const char without_enforcing[] =
	", or take module.sig_enforce=1 and lockdown= off the kernel's command line, and restart";

bool advice_without_mok(const struct ks_trust *trust, const char *cert, char **text,
			struct ks_error *err)
{
	const char *before, *after;

	if (trust->module_sig == KS_NO || trust->enforced == KS_NO) {
		before = "this kernel loads modules whoever signed them; others may want ";
		after = "";
	} else if (trust->is_forced) {
		before = "the kernel's build demands signatures: build it with ";
		after = trust->rule->db == KS_YES ? in_kernel_or_db : in_kernel;
	} else if (trust->efi == KS_NO) {
		before = "without UEFI a kernel trusts what it was built with: build it with ";
		after = by_command_line;
	} else if (trust->secure_boot == KS_YES && trust->shim == KS_NO) {
		before = "shim, which has the machine owner keys, did not start this system: let "
			 "it (Debian's package is shim-signed), and enrol ";
		after = trust->rule->db == KS_YES ? ", or enrol that in the firmware's db" : "";
	} else if (trust->enforced == KS_UNKNOWN) {
		before = "if the kernel will enforce signatures, it has to trust ";
		after = ": under Secure Boot by kernel-sign enroll";
	} else {
		before = "machine owner keys count under Secure Boot only: turn that on and enrol ";
		after = without_enforcing;
	}
	return ks_string_print(text, err, "%s%s%s", before, cert, after);
}

/* What there is to do where mokutil does not help: no command, only words. */
static void other_trust_step(const struct situation *s, struct steps *steps)
{
	KS_STRING why = NULL;

	steps->ok = steps->ok &&
		    advice_without_mok(s->trust, s->cert ? s->cert : NEW_CERT, &why, steps->err);
	add_step(steps, NULL, why ? why : "");
}

/* Who may know more, where we do not. */
static const char *where_to_ask(const struct situation *s)
{
	return !s->trust->is_running ? "ask as root while it runs, or try modprobe there" :
	       geteuid() != 0	     ? "ask again as root, or try modprobe" :
				       "try modprobe";
}

/* In a list that may count for the kernel: asked once more, nobody would do anything. */
static void doubt_step(const struct situation *s, const struct ks_trusted *item, const char *list,
		       struct steps *steps)
{
	const char *why = enrol_words_why(s->trust, item->why);

	add_words(steps,
		  "%s is enrolled (%s), and nobody knows whether that counts for %s (%s): %s",
		  s->cert, list, s->trust->version, why ? why : "unknown", where_to_ask(s));
}

/* In a list that does not count for the kernel. */
static void useless_step(const struct situation *s, const struct ks_trusted *item, const char *list,
			 const char *next, struct steps *steps)
{
	const char *why = enrol_words_why(s->trust, item->why);

	add_words(steps, "%s is enrolled (%s), which does not count for %s (%s)%s", s->cert, list,
		  s->trust->version, why ? why : "unknown", next);
}

/* A machine owner key without Secure Boot. */
static void secure_boot_step(const struct situation *s, const char *how, struct steps *steps)
{
	bool is_certain = s->trust->enforced == KS_YES;

	add_words(steps, "%s %s, which counts under Secure Boot only: %sturn that on%s", s->cert,
		  how, is_certain ? "" : "if the kernel will enforce signatures, ",
		  is_certain && !s->trust->is_forced ? without_enforcing : "");
}

static void enrolled_step(const struct situation *s, const struct ks_trusted *item,
			  struct steps *steps)
{
	if (item->counts == KS_UNKNOWN)
		doubt_step(s, item, "MokListRT", steps);
	else if (s->trust->secure_boot == KS_NO)
		secure_boot_step(s, "is enrolled (MokListRT)", steps);
	else
		useless_step(s, item, "MokListRT", ": sign with another key (--key, --cert)",
			     steps);
}

static void db_step(const struct situation *s, const struct ks_trusted *item, struct steps *steps)
{
	if (item->counts == KS_UNKNOWN)
		doubt_step(s, item, "db", steps);
	else
		useless_step(s, item, "db",
			     ", and mokutil takes none that is there: sign with another key "
			     "(--key, --cert)",
			     steps);
}

/* Where no list has it yet that it can be trusted from. */
static void new_step(const struct situation *s, struct steps *steps)
{
	if (counts_mok(s->trust))
		enroll_step(s, steps);
	else
		other_trust_step(s, steps);
}

/* What the kernel, or the firmware, has of it already; NULL where it has not. */
static const struct ks_trusted *find_item(const struct situation *s, enum ks_origin origin)
{
	return s->x509 ? ks_enrolment_listed(s->trust, s->x509, origin) : NULL;
}

/* In one of the lists that mokutil looks at, whether the kernel does or not. */
static bool is_revoked(const struct situation *s)
{
	return s->x509 && ks_enrolment_find(s->trust, s->x509).state == KS_ENROLMENT_REVOKED;
}

/* MokManager is shim's: who was started without it is not asked. */
static void pending_step(const struct situation *s, struct steps *steps)
{
	const char *why;
	bool is_asked = s->trust->shim != KS_NO;

	if (is_asked && ks_trust_foresee_mok(s->trust, s->x509, &why) != KS_NO)
		add_command(
			steps,
			"MokManager, a blue screen, asks on the way up: choose \"Enroll MOK\" and "
			"give the password of mokutil",
			"systemctl reboot");
	else if (is_asked && s->trust->secure_boot == KS_NO)
		secure_boot_step(s, "waits to be enrolled (MokNew)", steps);
	else
		other_trust_step(s, steps);
}

void trust_step(const struct situation *s, struct steps *steps)
{
	const struct ks_trusted *mok = find_item(s, KS_ORIGIN_MOK);
	const struct ks_trusted *db = find_item(s, KS_ORIGIN_DB);

	if (s->trust->enforced == KS_NO || s->trust->module_sig == KS_NO)
		return;
	if (trust_will_end(s)) {
		enroll_step(s, steps);
	} else if (s->standing == KS_STANDING_ACCEPTED) {
		return;
	} else if (is_revoked(s)) {
		add_step(
			steps, NULL,
			"mokutil takes none that is revoked: sign with another key (--key, --cert)");
	} else if (mok) {
		enrolled_step(s, mok, steps);
	} else if (s->standing == KS_STANDING_PENDING) {
		pending_step(s, steps);
	} else if (db) {
		db_step(s, db, steps);
	} else {
		new_step(s, steps);
	}
}
