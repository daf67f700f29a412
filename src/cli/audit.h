/* SPDX-License-Identifier: MIT */
/* Who signed what and when: a file that --log names, and a line for the system's log. */
#ifndef KS_CLI_AUDIT_H
#define KS_CLI_AUDIT_H

#include "core/sign.h"

/* A row for option tables; T is the arguments' type, MEMBER a const char *. */
/* clang-format off */
#define LOG_OPTION(T, member)                                                                \
	{ 0, "log", "FILE", "append who did what to which module, as lines of JSON, to FILE", \
	  OPTION_STRING, offsetof(T, member) }
/* clang-format on */

struct audit;

/*
 * Opens the log at PATH, made with mode 0600 if it is not there, and puts down that COMMAND begins, on
 * disk: what cannot be written shows here.  A file that is no log is an error and stays as it is.  The
 * error names PATH.
 */
KS_MUST_CHECK bool audit_open(struct audit **audit, const char *path, const char *command,
			      struct ks_error *err);

/* False once a line could not be written: then nothing more is to be done.  On any thread. */
KS_MUST_CHECK bool audit_may_go_on(struct audit *audit, struct ks_error *err);

struct audit_module {
	const char *kernel; /* or NULL */
	const char *root;   /* that PATH is inside of, or NULL */
	const char *path;
	const char *result;
	const struct ks_sign_record *record; /* NULL where it did not come to that */
	const char *error;		     /* or NULL */
};

/* One line.  A fault is remembered until the end. */
void audit_module(struct audit *audit, const struct audit_module *entry);

/*
 * Puts down the end of the run, with COUNTS, its exit STATUS so far and, where it failed, what was
 * reported as its first error, and frees AUDIT.  False if any line since the beginning is not on disk,
 * in the file that was opened, whatever its name is by now.
 */
KS_MUST_CHECK bool audit_close(struct audit *audit, const char *counts, int status,
			       struct ks_error *err);

/* The same end of a run, for syslog(3). */
void audit_tell_system(const char *command, const char *counts, bool failed);

#endif
