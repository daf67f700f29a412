/* SPDX-License-Identifier: MIT */
/* mokutil, the program that asks shim to enrol a certificate, run and listened to. */
#ifndef KS_CLI_MOKUTIL_H
#define KS_CLI_MOKUTIL_H

#include "base/buf.h"
#include "base/strings.h"

struct mokutil {
	struct ks_view cert;   /* DER: mokutil takes no PEM */
	const char *hash_file; /* of the password, as --hash-file of it; or NULL */
	bool root_pw;	       /* root's password, as --root-pw of it */
	const char *efivars;   /* directory of EFI variables; NULL: the machine's own */
};

struct mokutil_end {
	int status; /* as waitpid() has it */
	/* What it said on its standard error, but for what is about a password that was typed. */
	struct ks_strings said;
};

#define MOKUTIL_END __attribute__((cleanup(mokutil_end_free))) struct mokutil_end

/* Whether a program of that name is on the PATH. */
bool mokutil_is_there(void);

/*
 * mokutil --import CERT.  Its standard input is ours, where it reads the password, and what it
 * prints goes to our standard error.  No file is made: it reads the certificate out of memory.
 * Fails only where it could not be run.
 */
KS_MUST_CHECK bool mokutil_import(const struct mokutil *mokutil, struct mokutil_end *end,
				  struct ks_error *err);

void mokutil_end_free(struct mokutil_end *end);

#endif
