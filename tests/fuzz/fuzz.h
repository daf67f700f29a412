/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share.  A target is one file that defines LLVMFuzzerTestOneInput(), and
 * LLVMFuzzerInitialize() where something has to be made once.  libFuzzer or AFL++ drives it, or
 * replay.c, which feeds it the seeds and nothing else.
 */
#ifndef KS_TESTS_FUZZ_H
#define KS_TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer only: a mutator that knows the format, and libFuzzer's own, that knows none. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/*
 * Whether the target took its last input for good, by the measure that stands in its own file.  A
 * seed's name says what it has to be.
 */
extern bool fuzz_accepted;

/* What must hold for every input.  Not assert(): NDEBUG must not silence it. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))

__attribute__((noreturn)) static inline void fuzz_broken(const char *condition, const char *file,
							 int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* An input as the library gets it from a file; one of no bytes has none to point at. */
static inline struct ks_view fuzz_view(const uint8_t *data, size_t size)
{
	return (struct ks_view){ size ? data : NULL, size };
}

/* The selector in front of an input, which is the rest then. */
static inline unsigned int fuzz_select(struct ks_view *input, unsigned int choices)
{
	unsigned int choice;

	if (!input->len)
		return 0;
	choice = input->data[0] % choices;
	*input = fuzz_view(input->data + 1, input->len - 1);
	return choice;
}

#endif
