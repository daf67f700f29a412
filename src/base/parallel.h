/* SPDX-License-Identifier: MIT */
/* The same work on many things by several threads, with the results taken in order. */
#ifndef KS_BASE_PARALLEL_H
#define KS_BASE_PARALLEL_H

#include <stddef.h>

struct ks_parallel {
	size_t count;  /* things */
	unsigned jobs; /* threads wanted, at least 1; fewer run where the system gives no more */
	/*
	 * On each new thread, before it works; or NULL.  With it the calling thread does no work, as
	 * long as there is another one.
	 */
	void (*begin)(void *ctx);
	void (*work)(void *ctx, size_t i); /* on any thread; no two for the same i */
	void (*done)(void *ctx, size_t i); /* on the calling thread, in the order of i; or NULL */
	void *ctx;
};

/* Returns when work and done were called for every i.  Signals are left to the calling thread. */
void ks_parallel_run(const struct ks_parallel *run);

#endif
