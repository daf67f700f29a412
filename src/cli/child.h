/* SPDX-License-Identifier: MIT */
/* Another program, run to its end. */
#ifndef KS_CLI_CHILD_H
#define KS_CLI_CHILD_H

#include "base/error.h"

struct child {
	const char *root; /* it starts in "/" there, as if that were the whole system; or NULL */
	const char *path; /* of the program, inside ROOT */
	const char *const *argv; /* its name and arguments, NULL at the end */
	/*
	 * It may ask whoever sits at the terminal: it has our standard input, the signals of the
	 * keyboard are for it alone, and the terminal is left as it was found.  Else it reads nothing.
	 */
	bool asks;
	/* Reads from FD what it prints on standard error, to the end; NULL: that goes to ours. */
	bool (*hear)(void *ctx, int fd, struct ks_error *err);
	void *ctx;
};

/*
 * Runs it and waits for it.  It has our environment, but for KERNEL_SIGN_KEY and KERNEL_SIGN_CERT where
 * there is a PIN in their URIs; what it prints on standard output goes to our standard error, as results
 * are ours.  SIGPIPE and SIGXFSZ, which are ignored here, have their usual effect there.  A ROOT takes a
 * privilege.
 *
 * *STATUS is as waitpid() has it.  An error: it could not be started, or HEAR failed.
 */
KS_MUST_CHECK bool child_run(const struct child *child, int *status, struct ks_error *err);

/* "exit status 255", "signal 2 (Interrupt)"; empty where it ended well.  *TEXT is the caller's. */
KS_MUST_CHECK bool child_end_name(int status, char **text, struct ks_error *err);

#endif
