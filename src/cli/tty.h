/* SPDX-License-Identifier: MIT */
/* A secret, asked of whoever sits at the terminal of this process. */
#ifndef KS_CLI_TTY_H
#define KS_CLI_TTY_H

#include "base/buf.h"

/*
 * Puts into ANSWER (empty before) the line that is typed there, which is not shown.  At most LIMIT bytes.
 * KS_ERR_MISSING where there is no terminal.  A signal that ends the process ends it only when the
 * terminal is as it was before.
 */
KS_MUST_CHECK bool tty_ask(const char *question, size_t limit, struct ks_buf *answer,
			   struct ks_error *err);

#endif
