/* SPDX-License-Identifier: MIT */
/* What sign and unsign share. */
#ifndef KS_CLI_CMD_SIGN_H
#define KS_CLI_CMD_SIGN_H

#include "cli/audit.h"
#include "cli/offline.h"

struct sign_args {
	struct request request;
	struct key_options key; /* sign only */
	bool force;
	bool dry_run;
	bool recompress;
	bool stack; /* sign only */
	bool no_dkms;
	bool update_initramfs;
	/* no option: called by a hook, where nobody reads more than a line for all modules */
	bool brief;
	const char *log;
	struct offline_options offline; /* sign only */
};

/* Rows for option tables; T is struct sign_args. */
/* clang-format off */
#define RECOMPRESS_OPTION(T)                                                              \
	{ 0, "recompress", NULL, "compress modules anew instead of giving them another end", \
	  OPTION_FLAG, offsetof(T, recompress) }
#define NO_DKMS_OPTION(T)                                                    \
	{ 0, "no-dkms", NULL, "leave DKMS's copies of its modules as they are", \
	  OPTION_FLAG, offsetof(T, no_dkms) }
#define UPDATE_INITRAMFS_OPTION(T)                                                        \
	{ 0, "update-initramfs", NULL, "make an initramfs with old copies of modules anew", \
	  OPTION_FLAG, offsetof(T, update_initramfs) }
/* clang-format on */

int sign_or_unsign(struct sign_args *args, bool unsign, int operands, char **operand);

#endif
