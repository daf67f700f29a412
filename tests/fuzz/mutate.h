/* SPDX-License-Identifier: MIT */
/* What the mutators share; they are linked with libFuzzer only, see run. */
#ifndef KS_TESTS_FUZZ_MUTATE_H
#define KS_TESTS_FUZZ_MUTATE_H

#include "fuzz.h"

/* A sequence of numbers for one mutation (xorshift); SEED is libFuzzer's. */
static inline unsigned int mutate_next(unsigned int *seed)
{
	*seed = *seed ? *seed : 1;
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static inline size_t mutate_below(unsigned int *seed, size_t limit)
{
	return limit ? mutate_next(seed) % limit : 0;
}

#endif
