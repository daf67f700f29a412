/* SPDX-License-Identifier: MIT */
#include "cli/cmd_sign.h"

#define ARGS struct sign_args

static const struct option_row options[] = {
	REQUEST_OPTIONS(ARGS, request),
	{ 'f', "force", NULL, "also from modules that the kernel's package or a vendor signed",
	  OPTION_FLAG, offsetof(ARGS, force) },
	{ 'n', "dry-run", NULL, "change nothing, say what would be done", OPTION_FLAG,
	  offsetof(ARGS, dry_run) },
	RECOMPRESS_OPTION(ARGS),
	NO_DKMS_OPTION(ARGS),
	UPDATE_INITRAMFS_OPTION(ARGS),
	LOG_OPTION(ARGS, log),
	{ 0 },
};

static int run_unsign(void *args, int operands, char **operand)
{
	return sign_or_unsign(args, true, operands, operand);
}

const struct command command_unsign = {
	.name = "unsign",
	.operands = "[MODULE...]",
	.summary = "remove every signature from modules",
	.text = "Removes all signatures from the modules named, those in --dir, or every out-of-tree\n"
		"module of the kernel; nothing else in a module changes.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_unsign,
};
