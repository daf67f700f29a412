/* SPDX-License-Identifier: MIT */
/* What sign and unsign share. */
#ifndef KS_CLI_CMD_SIGN_H
#define KS_CLI_CMD_SIGN_H

#include "cli/request.h"

struct sign_args {
	struct request request;
	struct key_options key; /* sign only */
	bool force;
	bool dry_run;
};

int sign_or_unsign(struct sign_args *args, bool unsign, int operands, char **operand);

#endif
