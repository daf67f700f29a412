/* SPDX-License-Identifier: MIT */
/* One piece of work on each of many modules: threads, progress, errors, Ctrl-C. */
#ifndef KS_CLI_BATCH_H
#define KS_CLI_BATCH_H

#include "core/confine.h"
#include "core/locate.h"

struct batch {
	const struct ks_modules *modules;
	unsigned jobs;
	const char *verb;		  /* for the progress line: "signing" */
	const struct ks_confine *confine; /* what the threads may open; NULL: whatever they like */

	/* On any thread, once a module.  The error need not name the module. */
	bool (*work)(void *ctx, size_t i, struct ks_error *err);

	/* On the calling thread in the modules' order; ERR is NULL if work succeeded. */
	void (*done)(void *ctx, size_t i, const struct ks_error *err);
	void *ctx;
};

/*
 * What work on MODULES, and on the files at MORE (or NULL), has to open, for the batch; WRITES as in
 * ks_confine_start().  NULL, with the reason where VERBOSE, if the threads go without.
 */
struct ks_confine *batch_confine(const struct ks_modules *modules, const struct ks_strings *more,
				 const char *root, bool writes, bool verbose);

/*
 * Reports every error on stderr with the module's path and returns how many there were.  After
 * SIGINT, SIGTERM or SIGHUP the modules in hand are finished and the others fail untouched.
 */
size_t batch_run(const struct batch *batch);

#endif
