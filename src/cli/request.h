/* SPDX-License-Identifier: MIT */
/*
 * What sign, unsign and status have in common: the options that say which modules are meant and
 * with which key, and the loop over the kernels in question.
 */
#ifndef KS_CLI_REQUEST_H
#define KS_CLI_REQUEST_H

#include "cli/commands.h"
#include "cli/config.h"
#include "core/certs.h"
#include "core/keysearch.h"
#include "core/locate.h"
#include "core/sign.h"
#include "core/trust.h"

struct request {
	/* options */
	const char *kernel;
	const char *root;
	const char *dir;
	bool all;
	bool json;
	bool quiet;
	bool verbose;
	bool no_confine;
	unsigned jobs;
	size_t max_size;

	/* operands */
	char **name;
	size_t names;
};

/* The first certificate is the first key's, and so on. */
struct key_options {
	struct ks_strings key;
	struct ks_strings cert;
	const char *keys;
	const char *hash;
	bool deterministic;
	const char *pin_file;
	const char *pin_fd;
};

/* Rows for option tables; T is the arguments' type, MEMBER its struct request or key_options. */
/* clang-format off */
#define REQUEST_OPTIONS(T, member)                                                                 \
	{ 'k', "kernel", "VERSION", "the kernel in question, or 'all' (default: the running one)", \
	  OPTION_STRING, offsetof(T, member.kernel) },                                             \
	REQUEST_OPTIONS_BUT_KERNEL(T, member)

#define REQUEST_OPTIONS_BUT_KERNEL(T, member)                                                      \
	{ 0, "root", "DIR", "look for everything below DIR",                                       \
	  OPTION_STRING, offsetof(T, member.root) },                                               \
	{ 'd', "dir", "DIR", "the module files directly in DIR",                                   \
	  OPTION_STRING, offsetof(T, member.dir) },                                                \
	{ 'a', "all", NULL, "in-tree modules too",                                                 \
	  OPTION_FLAG, offsetof(T, member.all) },                                                  \
	{ 'j', "jobs", "N", "threads (default: the number of processors)",                         \
	  OPTION_COUNT, offsetof(T, member.jobs) },                                                \
	{ 0, "max-size", "SIZE", "refuse larger modules, also inflated (default: 1G)",             \
	  OPTION_SIZE, offsetof(T, member.max_size) },                                             \
	{ 0, "no-confine", NULL, "read modules by threads that may open any file",                 \
	  OPTION_FLAG, offsetof(T, member.no_confine) },                                           \
	{ 0, "json", NULL, "results as JSON",                                                      \
	  OPTION_FLAG, offsetof(T, member.json) },                                                 \
	{ 'q', "quiet", NULL, "no results, only warnings and errors",                              \
	  OPTION_FLAG, offsetof(T, member.quiet) },                                                \
	{ 'v', "verbose", NULL, "say what is used and why",                                        \
	  OPTION_FLAG, offsetof(T, member.verbose) }

#define KEY_OPTIONS(T, member)                                                                     \
	{ 0, "key", "FILE", "the private key, a file or URI; several sign together",               \
	  OPTION_LIST, offsetof(T, member.key) },                                                  \
	{ 0, "cert", "FILE", "its certificate, one for each key (default: in the key's file)",     \
	  OPTION_LIST, offsetof(T, member.cert) },                                                 \
	{ 0, "keys", "DIR", "a key store: the key in DIR/current",                                 \
	  OPTION_STRING, offsetof(T, member.keys) },                                               \
	{ 0, "hash", "NAME", "the digest: sha256, sha512, sha3-512, ...",                          \
	  OPTION_STRING, offsetof(T, member.hash) },                                               \
	{ 0, "deterministic", NULL, "the same bytes in every run, or an error",                    \
	  OPTION_FLAG, offsetof(T, member.deterministic) },                                        \
	{ 0, "pin-file", "FILE", "the keys' passphrase or PIN: the first line of FILE",            \
	  OPTION_STRING, offsetof(T, member.pin_file) },                                           \
	{ 0, "pin-fd", "N", "the same, from the open file descriptor N",                           \
	  OPTION_STRING, offsetof(T, member.pin_fd) }
/* clang-format on */

/* Fills in defaults and operands; false, reported, where the options contradict each other. */
bool request_complete(struct request *request, int operands, char **operand);

/* Whether --kernel asks for every kernel that is there. */
bool request_is_of_all(const struct request *request);

/* The kernels in question: those that --kernel names, or the running one. */
KS_MUST_CHECK bool request_versions(const struct request *request, struct ks_strings *versions,
				    struct ks_error *err);

/* How modules are to be read. */
struct ks_load request_load(const struct request *request);

/*
 * Calls EACH with the modules of every kernel in question, KERNEL being NULL where only files were
 * named and the kernel is not there.  Reports what cannot be found.  Returns the exit status.
 */
int request_each_kernel(const struct request *request,
			int (*each)(void *ctx, const struct ks_kernel *kernel,
				    const struct ks_modules *modules),
			void *ctx);

/* "no out-of-tree module below DIR" or the like, with the exit status that belongs to it. */
int request_report_nothing(const struct request *request, const struct ks_kernel *kernel);

/*
 * What the environment, CONFIG and KERNEL (or NULL) say of where the key is; what options say is the
 * caller's to add.  Borrows all that it is given.
 */
struct ks_keysearch request_search(const char *root, const struct config *config,
				   const struct ks_kernel *kernel);

/* False, reported, where they contradict each other. */
bool request_check_keys(const struct key_options *options);

/*
 * Finds and opens the keys for KERNEL (or NULL), with warnings on dates and permissions; with
 * --verbose it says where the key comes from.  False after having reported why not.
 */
bool request_open_signer(const struct request *request, const struct key_options *options,
			 const struct ks_kernel *kernel, struct ks_signer **signer);

/*
 * The certificates to check signatures against: of PATHS (files of the host) if there are any, else
 * of what ks_certsearch() finds for KERNEL (or NULL).  With --verbose it says which.  False after
 * having reported what cannot be read.
 */
bool request_open_certs(const struct request *request, const struct ks_strings *paths,
			const struct ks_kernel *kernel, struct ks_certs *certs);

/* The kernel VERSION, as ks_kernel_find() has it, and whether it is the one that runs here. */
KS_MUST_CHECK bool request_find_kernel(const struct request *request, const char *version,
				       struct ks_kernel *kernel, struct ks_error *err);

/*
 * What KERNEL trusts; EFIVARS is a directory of EFI variables, or NULL for the host's own, which
 * --root has none of.
 */
KS_MUST_CHECK bool request_find_trust(const struct request *request, const char *efivars,
				      const struct ks_kernel *kernel, struct ks_trust *trust,
				      struct ks_error *err);

#endif
