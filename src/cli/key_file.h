/* SPDX-License-Identifier: MIT */
/* A key and its certificate that are named already: read, looked at with suspicion, and opened. */
#ifndef KS_CLI_KEY_FILE_H
#define KS_CLI_KEY_FILE_H

#include "base/answer.h"
#include "cli/key_guard.h"
#include "core/certs.h"
#include "core/identity.h"

struct key_file {
	const char *root; /* both are looked for inside; NULL for the host */
	const char *key;  /* or a URI, see core/token.h: who else may get at it is then not asked */
	const char *cert; /* the same; may be the same file, or the same URI */
	enum key_guard guard;
};

/*
 * With warnings on dates and permissions on standard error; errors name the file.  IDENTITY, whose
 * names are FILE's, is the caller's to free, also after a failure.
 */
KS_MUST_CHECK bool key_file_open(const struct key_file *file, struct ks_identity *identity,
				 struct ks_error *err);

/*
 * Whether FILE's key, as it is for this user, makes signatures that hold by CERT, its certificate (NULL:
 * what a PKCS#12 file has); if it is not KS_YES, *WHY says why, with the file's name.  Nobody is asked
 * for a passphrase, and no token or TPM made to work: that is KS_UNKNOWN, as is a file that only root may
 * read.  Warns of permissions.
 */
enum ks_answer key_file_try(const struct key_file *file, X509 *cert, struct ks_error *why);

/* Whether ERR is due to this user, who is not root, and not to what he has asked for. */
bool key_file_is_hidden(const struct ks_error *err);

/* The certificate alone, of a file or a URI; warns of its dates, the error names it. */
KS_MUST_CHECK bool key_file_cert(const char *root, const char *path, X509 **cert,
				 struct ks_error *err);

/* As ks_certs_load(), and of a URI (core/token.h) the certificate that answers to it. */
KS_MUST_CHECK bool key_file_certs(struct ks_certs *certs, const char *root, const char *path,
				  struct ks_error *err);

#endif
