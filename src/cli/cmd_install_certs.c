/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/key_guard.h"
#include "cli/report.h"
#include "core/keystore_install.h"
#include "core/secret.h"

struct install_certs_args {
	const char *keys;
	bool public_only;
	bool no_compat;
	bool quiet;
};

static void tell(const struct install_certs_args *args, const char *dest,
		 const struct ks_installed *installed)
{
	for (size_t i = 0; i < installed->laid.count; i++) {
		const char *name = installed->laid.item[i];

		if (!args->public_only)
			report_warning(
				"%s/%s holds a private key: whoever gets this package can sign "
				"modules (--public-only leaves it out)",
				dest, name);
		if (!args->quiet)
			report_line("%s/%s: installed", dest, name);
	}
	for (size_t i = 0; !args->quiet && i < installed->cleared.count; i++)
		report_line("%s/%s: its private key was removed", dest, installed->cleared.item[i]);
}

static bool install(const struct install_certs_args *args, const char *dest, struct ks_error *err)
{
	const char *dir = args->keys ? args->keys : ks_keystore_default();
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_INSTALLED installed = { 0 };
	time_t now = time(NULL);

	if (!ks_keystore_open(&store, dir, false, err) || !key_guard_store(&store, dir, now, err) ||
	    !ks_keystore_install(&store, dest, args->public_only, now, &installed, err) ||
	    (!args->no_compat && !ks_keystore_link(dest, "sign_module.py", KS_PROGRAM, err)))
		return false;
	tell(args, dest, &installed);
	return true;
}

static int run_install_certs(void *ctx, int operands, char **operand)
{
	struct ks_error err;

	if (operands != 1) {
		report_warning("install-certs takes one operand, the directory to install into");
		return STATUS_USAGE;
	}
	ks_secret_hold();
	if (install(ctx, operand[0], &err))
		return STATUS_DONE;
	report_error(&err);
	return STATUS_FAILED;
}

#define ARGS struct install_certs_args

static const struct option_row options[] = {
	{ 0, "keys", "DIR", "the key store (default: . or certs-local)", OPTION_STRING,
	  offsetof(ARGS, keys) },
	{ 0, "public-only", NULL, "leave private keys out, and take them out of DEST", OPTION_FLAG,
	  offsetof(ARGS, public_only) },
	{ 0, "no-compat", NULL, "no link sign_module.py, by which kernel-sign 3.0's scripts sign",
	  OPTION_FLAG, offsetof(ARGS, no_compat) },
	{ 'q', "quiet", NULL, "no results, only warnings and errors", OPTION_FLAG,
	  offsetof(ARGS, quiet) },
	{ 0 },
};

const struct command command_install_certs = {
	.name = "install-certs",
	.operands = "DEST",
	.summary = "copy the current key into a kernel's headers package",
	.text = "Copies the key store's current directory and the link to it into DEST, the certs-local\n"
		"of a headers package: there sign and DKMS find the kernel's own key.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_install_certs,
};
