/* SPDX-License-Identifier: MIT */
/* hook: signs when a kernel is installed, and leaves that installation alone. */
#include "cli/cmd_sign.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/pin.h"
#include "cli/report.h"

struct hook_args {
	const char *kernel;
	const char *root;
	bool update_initramfs;
};

/* False, reported, where something is wrong with the configuration; *MODE is what it says all the same. */
static bool read_mode(const char *root, enum hook_mode *mode)
{
	struct config config = { 0 };
	struct ks_error err;
	bool ok = config_read(root, &config, &err);

	if (!ok)
		report_error(&err);
	*mode = config.hook;
	config_free(&config);
	return ok;
}

static int run_hook(void *ctx, int operands, char **operand)
{
	const struct hook_args *args = ctx;
	struct sign_args sign = { .request = { .kernel = args->kernel, .root = args->root },
				  .update_initramfs = args->update_initramfs,
				  .brief = true };
	enum hook_mode mode;
	int status;

	if (operands) {
		report_warning("hook takes no operand, '%s'", operand[0]);
		return STATUS_USAGE;
	}
	/* Whoever installs a kernel may not be there to be asked, and must not have to wait. */
	pin_ask_nobody();
	if (!read_mode(args->root, &mode))
		return mode == HOOK_FAIL ? STATUS_FAILED : STATUS_DONE;
	if (mode == HOOK_OFF)
		return STATUS_DONE;
	status = sign_or_unsign(&sign, false, 0, NULL);
	return mode == HOOK_FAIL || status == STATUS_USAGE ? status : STATUS_DONE;
}

#define ARGS struct hook_args

static const struct option_row options[] = {
	{ 'k', "kernel", "VERSION", "the kernel that is installed (default: the running one)",
	  OPTION_STRING, offsetof(ARGS, kernel) },
	{ 0, "root", "DIR", "the system in DIR instead of the one that runs", OPTION_STRING,
	  offsetof(ARGS, root) },
	UPDATE_INITRAMFS_OPTION(ARGS),
	{ 0 },
};

const struct command command_hook = {
	.name = "hook",
	.operands = "",
	.summary = "sign while a kernel is installed",
	.text = "Signs every out-of-tree module of a kernel, for the hooks of packages: says what it did\n"
		"in one line, asks nobody, and fails only if kernel-hook in /etc/kernel-sign.conf says so.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_hook,
};
