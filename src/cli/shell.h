/* SPDX-License-Identifier: MIT */
/* Commands as a person gives them to a shell. */
#ifndef KS_CLI_SHELL_H
#define KS_CLI_SHELL_H

#include "base/buf.h"

/* Appends TEXT as one word, without a backslash, which output doubles; with a blank between words. */
KS_MUST_CHECK bool shell_word(struct ks_buf *line, const char *text, struct ks_error *err);

/* The same for each of WORD, which a NULL ends. */
KS_MUST_CHECK bool shell_words(struct ks_buf *line, const char *const *word, struct ks_error *err);

/* *TEXT, the caller's, becomes what is in LINE. */
KS_MUST_CHECK bool shell_take(struct ks_buf *line, char **text, struct ks_error *err);

/* *LINE, the caller's, becomes the command WORD, which NULL ends, of the system in ROOT or, for NULL, here. */
KS_MUST_CHECK bool shell_inside(const char *root, const char *const *word, char **line,
				struct ks_error *err);

#endif
