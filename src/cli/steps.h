/* SPDX-License-Identifier: MIT */
/* The few things to do that advice ends with, and how their commands are put together. */
#ifndef KS_CLI_STEPS_H
#define KS_CLI_STEPS_H

#include "base/buf.h"
#include "base/strings.h"

struct situation;

enum { ADVICE_STEPS = 3 };

struct step {
	char *command; /* for a shell; NULL for what has none */
	char *why;     /* what it does, and what comes then */
};

/* A list that is being made: the first ADVICE_STEPS are kept, the others counted. */
struct steps {
	struct step *step;
	size_t count, left_out;
	struct ks_error *err;
	bool ok; /* else ERR says why not, and what is added is dropped */
};

/* Takes COMMAND, or none. */
void add_step(struct steps *steps, char *command, const char *why);

/* The same of what asprintf() makes. */
void add_command(struct steps *steps, const char *why, const char *fmt, ...) KS_PRINTF(3, 4);

/* The same of words, for what has no command. */
void add_words(struct steps *steps, const char *fmt, ...) KS_PRINTF(2, 3);

/* The command WORD, of the system in ROOT (NULL: of this one). */
void add_inside(struct steps *steps, const char *root, const char *why, const char *const *word);

/* "kernel-sign VERB", and which kernel and root it is said of. */
KS_MUST_CHECK bool add_verb(struct ks_buf *line, const char *verb, const struct situation *s,
			    struct ks_error *err);

/* *WHY becomes WHAT a step does, and that it cannot be taken yet if PROGRAM is not there. */
KS_MUST_CHECK bool step_needing(const char *program, const char *what, char **why,
				struct ks_error *err);

void steps_free(struct step *step, size_t count);

#endif
