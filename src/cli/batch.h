/* SPDX-License-Identifier: MIT */
/* One piece of work on each of many modules: threads, progress, errors, Ctrl-C. */
#ifndef KS_CLI_BATCH_H
#define KS_CLI_BATCH_H

#include "cli/request.h"
#include "core/locate.h"

struct batch_dir {
	int fd;	     /* open for its path, if for nothing else */
	bool writes; /* files are made in it, not read only */
};

struct batch {
	const struct ks_modules *modules;
	const struct request *request; /* threads, and whether and where they are confined */
	bool writes;		       /* modules are replaced, not read only */
	bool elsewhere; /* signatures come from a token or a TPM: no thread can be confined */
	const struct ks_strings *more; /* other files that work has to open, or NULL */
	const struct batch_dir *dir;   /* another directory whose files it has to open, or NULL */
	const char *verb;	       /* for the progress line: "signing" */

	/* On any thread, once a module.  The error need not name the module. */
	bool (*work)(void *ctx, size_t i, struct ks_error *err);

	/* On the calling thread in the modules' order; ERR is NULL if work succeeded. */
	void (*done)(void *ctx, size_t i, const struct ks_error *err);
	void *ctx;
};

/*
 * Reports every error on stderr with the module's path and returns how many there were.  After
 * SIGINT, SIGTERM or SIGHUP the modules in hand are finished and the others fail untouched.  The
 * threads may open no files but those of DIR and of the directories that MODULES and MORE lie in, where the
 * kernel can see to that (core/confine.h) and the request does not say otherwise; with --verbose it
 * is said.
 */
size_t batch_run(const struct batch *batch);

#endif
