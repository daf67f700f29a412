/* SPDX-License-Identifier: MIT */
/* Another program, run to its end. */
#ifndef KS_CLI_CHILD_H
#define KS_CLI_CHILD_H

#include "base/error.h"

/*
 * Runs the program PATH with the arguments ARGV, of which the first is its name and the last NULL,
 * and waits for it.  With a ROOT it starts there, in "/", as if ROOT were the whole system; that
 * takes a privilege.  What it prints on standard output goes to our standard error.  It shares
 * our standard input and terminal, our environment, and no signal that is ignored here.
 *
 * *STATUS is its exit status, or 128 and the number of the signal that ended it.  An error: it could
 * not be started.
 */
KS_MUST_CHECK bool child_run(const char *root, const char *path, const char *const *argv,
			     int *status, struct ks_error *err);

#endif
