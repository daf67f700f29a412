/* SPDX-License-Identifier: MIT */
#include "cli/trust_step.h"

#include "cli/shell.h"

/* Where shim's list of keys counts, and there is somebody to put a key into it. */
static bool counts_mok(const struct ks_trust *trust)
{
	return trust->secure_boot == KS_YES && trust->shim != KS_NO &&
	       (trust->rule->mok != KS_NO || trust->mok_trusted == KS_YES);
}

/* "kernel-sign enroll" finds the same key as we have, or the one that the first step makes. */
static void enroll_step(const struct situation *s, struct steps *steps)
{
	static const char then[] = "asks for a password, which MokManager (a blue screen, \"Enroll "
				   "MOK\") wants to have at the next start";
	const char *const efivars[] = { "--efivars", s->efivars, NULL };
	char *command = NULL;
	KS_STRING why = NULL;
	KS_BUF line = { 0 };

	steps->ok = steps->ok && step_needing("mokutil", then, &why, steps->err) &&
		    add_verb(&line, "enroll", s, steps->err) &&
		    (!s->efivars || shell_words(&line, efivars, steps->err)) &&
		    ks_buf_append(&line, "", 1, steps->err) &&
		    ks_string_copy(&command, (const char *)line.data, steps->err);
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

void trust_step(const struct situation *s, struct steps *steps)
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
	default:
		break;
	}
	if (s->trust->enforced == KS_NO || s->trust->module_sig == KS_NO)
		return;
	if (counts_mok(s->trust))
		enroll_step(s, steps);
	else
		other_trust_step(s, steps);
}
