/* SPDX-License-Identifier: MIT */
/* A passphrase or PIN that is asked for when a key turns out to want one. */
#ifndef KS_CORE_PASSPHRASE_H
#define KS_CORE_PASSPHRASE_H

#include <openssl/ui.h>

#include "base/buf.h"

struct ks_passphrase {
	/*
	 * TEXT, and the SOURCE that gave it for errors ("KBUILD_SIGN_PIN"), stay the callee's until
	 * all keys are open.  False if there is none: the error ends with where it could have been.
	 */
	bool (*get)(void *ctx, const char **text, const char **source, struct ks_error *err);
	void *ctx;
};

/* One key that is being opened. */
struct ks_asking {
	const struct ks_passphrase *from; /* NULL: there is none */
	bool once;			  /* never the same one again: a token counts */
	bool soft;			  /* nothing is given as an empty one and no failure */
	unsigned asked;			  /* how often */
	const char *source;		  /* of what was given; NULL where nothing was */
	struct ks_error err;		  /* where none was given, why */
};

/*
 * *KEPT becomes a copy of LEN bytes of TEXT in memory that is not swapped out, as far as
 * ks_secret_prepare() got some: the caller's, for ks_passphrase_free().
 */
KS_MUST_CHECK bool ks_passphrase_keep(const char *text, size_t len, char **kept,
				      struct ks_error *err);

/* Wipes it; it may be NULL, and is NULL then. */
void ks_passphrase_free(char **kept);

/*
 * Keeps the first line of BYTES.  KS_ERR_INPUT for a NUL byte in it, which no passphrase has; the
 * error names SOURCE.
 */
KS_MUST_CHECK bool ks_passphrase_line(const struct ks_buf *bytes, const char *source, char **kept,
				      struct ks_error *err);

/* How OpenSSL asks; goes with a struct ks_asking as its data.  NULL without memory. */
UI_METHOD *ks_asking_method(void);

#endif
