/* SPDX-License-Identifier: MIT */
/* What status and verify share: every module in question inspected, in order, and put in words. */
#ifndef KS_CLI_LOOK_H
#define KS_CLI_LOOK_H

#include "cli/advice.h"
#include "cli/report.h"
#include "cli/request.h"
#include "core/efivar.h"
#include "core/facts.h"

struct look_args {
	struct request request;
	struct ks_strings certs; /* --cert */
	const char *efivars;
	/* no options: */
	bool predicts; /* whether what the kernel will do is asked */
	/* called behind the last module of each kernel that is there; or NULL */
	void (*kernel_done)(void *ctx, const struct ks_kernel *kernel,
			    const struct ks_modules *modules);
};

/* Rows for option tables; MEMBER leads to a struct look_args: empty, or with a dot at its end. */
/* clang-format off */
#define LOOK_OPTIONS(T, member)                                                                \
	REQUEST_OPTIONS(T, member request),                                                    \
	LOOK_OWN_OPTIONS(T, member)

#define LOOK_OWN_OPTIONS(T, member)                                                            \
	{ 0, "cert", "FILE|DIR", "check against these certificates, PEM or DER; may be repeated", \
	  OPTION_LIST, offsetof(T, member certs) }, \
	{ 0, "efivars", "DIR", "EFI variables, as in " KS_EFIVARS " (with --root: none)",      \
	  OPTION_STRING, offsetof(T, member efivars) }
/* clang-format on */

/* One module; all of it lives only as long as the call that hands it out. */
struct look {
	const struct ks_kernel *kernel; /* or NULL */
	enum ks_kernel_reader reader;
	const struct ks_trust *trust; /* or NULL, where nothing is predicted, as the next */
	const struct situation *situation;
	const struct ks_found *found;
	const struct ks_facts *facts; /* NULL if it could not be read, which was reported */
	const struct ks_error *err;   /* and why */
};

/*
 * Calls EACH on the calling thread for every module, in order.  Returns STATUS_DONE, or
 * STATUS_FAILED if anything could not be found or read.  STRICT: certificates that cannot be read
 * end it; else they are done without.
 */
int look_run(const struct look_args *args, bool strict,
	     void (*each)(void *ctx, const struct look *look), void *ctx);

/* The directory below the kernel's own, or all of it elsewhere; and the name libkmod gives it. */
KS_MUST_CHECK bool look_where(const struct look *look, char **text, struct ks_error *err);
KS_MUST_CHECK bool look_name(const struct look *look, char **text, struct ks_error *err);

/* Who signer I is, for people: a common name, or the number that names its certificate. */
KS_MUST_CHECK bool look_signer(const struct look *look, size_t i, char **text,
			       struct ks_error *err);

/* Whether that kernel has a reader of its own for containers of this format. */
bool look_has_reader(const struct look *look);

/* Whether that kernel reads the container itself: "yes", "no (...)", "unknown (...)". */
KS_MUST_CHECK bool look_reader(const struct look *look, char **text, struct ks_error *err);

/* What the kernel will do with it, in a sentence; NULL where nothing is predicted. */
KS_MUST_CHECK bool look_prediction(const struct look *look, char **text, struct ks_error *err);

/*
 * What is to be done so that it loads, as advice_steps() has it; *COUNT is 0 where nothing is, and
 * where nothing is predicted.
 */
KS_MUST_CHECK bool look_steps(const struct look *look, struct step *step, size_t *count,
			      struct ks_error *err);

/* What is odd about a signature, whatever the verdict: "two signatures beneath it"; or "". */
KS_MUST_CHECK bool look_notes(const struct look *look, char **text, struct ks_error *err);

/* Everything, with the names that kernel-sign(8) lists. */
struct json_object *look_json(const struct look *look);

#endif
