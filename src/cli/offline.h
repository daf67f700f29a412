/* SPDX-License-Identifier: MIT */
/*
 * Signing by a service that never sees the modules: requests written into a directory, and the answers
 * there attached to the modules.
 */
#ifndef KS_CLI_OFFLINE_H
#define KS_CLI_OFFLINE_H

#include "cli/request.h"
#include "core/sign.h"

struct offline_options {
	const char *export_to;
	const char *attach_from;
	bool export_image;
};

/* Rows for option tables; T is the arguments' type, MEMBER its struct offline_options. */
/* clang-format off */
#define OFFLINE_OPTIONS(T, member)                                                                 \
	{ 0, "export", "DIR", "write a request for each module into DIR, for a service that signs", \
	  OPTION_STRING, offsetof(T, member.export_to) },                                          \
	{ 0, "export-image", NULL, "with the image of each module, for a service that needs it",   \
	  OPTION_FLAG, offsetof(T, member.export_image) },                                         \
	{ 0, "attach", "DIR", "check and attach the signatures that came back for those requests", \
	  OPTION_STRING, offsetof(T, member.attach_from) }
/* clang-format on */

struct offline {
	const struct offline_options *options;
	const char *dir;
	int fd; /* of DIR, for its path alone; -1 in a dry run that would have made it */
	bool dry_run;
	struct ks_dirsync *sync;

	/* Of the certificates and hash that a request has to be by, NULL for any: borrowed. */
	X509 *cert;
	const char *hash;

	/* export: of the kernel in hand, borrowed */
	const struct ks_signer *signer;
	const char *kernel;

	size_t found; /* attach: requests that belong to a module */
};

/* False, reported, where the options contradict each other. */
bool offline_check(const struct offline_options *options, const struct key_options *key);

/* Makes DIR, or finds it; for attaching it also reads CERT, of KEY's options. */
KS_MUST_CHECK bool offline_open(struct offline *offline, const struct offline_options *options,
				const struct key_options *key, bool dry_run, struct ks_error *err);

/* The certificate and hash to ask for, found as a key is; *SIGNER cannot sign. */
KS_MUST_CHECK bool offline_open_signer(const struct offline *offline, const struct request *request,
				       const struct key_options *key,
				       const struct ks_kernel *kernel, struct ks_signer **signer,
				       struct ks_error *err);

/*
 * Instead of ks_sign_module() with HOW, which wants neither signer nor source: the module's request is
 * written, or its answer is checked and attached.  On any thread.
 */
KS_MUST_CHECK bool offline_sign(struct offline *offline, const struct ks_found *module,
				const struct ks_sign *how, bool spare_others,
				struct ks_sign_result *result, struct ks_error *err);

/* Attaching: which requests belong to MODULES, for the warning at the end. */
void offline_expect(struct offline *offline, const struct ks_modules *modules);

/* Warns of requests that no module of this run had; frees what is OFFLINE's. */
void offline_close(struct offline *offline);

#endif
