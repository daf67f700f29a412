/* SPDX-License-Identifier: MIT */
#include "cli/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/place.h"
#include "cli/advice.h"
#include "cli/shell.h"

void add_step(struct steps *steps, char *command, const char *why)
{
	struct step *step = &steps->step[steps->count];

	if (!steps->ok || steps->count == ADVICE_STEPS) {
		steps->left_out++;
		free(command);
		return;
	}
	*step = (struct step){ .command = command };
	steps->count++;
	steps->ok = ks_string_copy(&step->why, why, steps->err);
}

/* NULL, and a failure, for want of memory. */
KS_PRINTF(2, 0)
static char *print(struct steps *steps, const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) >= 0)
		return text;
	steps->ok = steps->ok && ks_fail_memory(steps->err);
	return NULL;
}

void add_command(struct steps *steps, const char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_step(steps, print(steps, fmt, args), why);
	va_end(args);
}

void add_words(struct steps *steps, const char *fmt, ...)
{
	KS_STRING text = NULL;
	va_list args;

	va_start(args, fmt);
	text = print(steps, fmt, args);
	va_end(args);
	add_step(steps, NULL, text);
}

void add_inside(struct steps *steps, const char *root, const char *why, const char *const *word)
{
	char *command = NULL;

	steps->ok = steps->ok && shell_inside(root, word, &command, steps->err);
	add_step(steps, command, why);
}

bool add_verb(struct ks_buf *line, const char *verb, const struct situation *s,
	      struct ks_error *err)
{
	const char *const base[] = { "kernel-sign", verb, NULL };
	const char *const root[] = { "--root", s->request->root, NULL };
	const char *const kernel[] = { "-k", s->kernel->version, NULL };
	bool names_kernel = s->request->kernel || !s->trust->is_running;

	return shell_words(line, base, err) &&
	       (!s->request->root || shell_words(line, root, err)) &&
	       (!names_kernel || shell_words(line, kernel, err));
}

bool step_needing(const char *program, const char *what, char **why, struct ks_error *err)
{
	KS_STRING path = NULL;

	if (!ks_string_print(&path, err, "/usr/bin/%s", program))
		return false;
	if (ks_place_exists(NULL, path))
		return ks_string_copy(why, what, err);
	return ks_string_print(why, err, "%s; there is no %s yet", what, path);
}

void steps_free(struct step *step, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(step[i].command);
		free(step[i].why);
	}
}
