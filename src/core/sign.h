/* SPDX-License-Identifier: MIT */
/* The line: one module file signed, or freed of its signatures.  Safe in several threads. */
#ifndef KS_CORE_SIGN_H
#define KS_CORE_SIGN_H

#include "core/module.h"
#include "core/signer.h"

struct ks_sign {
	struct ks_load load;
	const struct ks_signer *signer; /* ks_sign_module() only */
	const char *kernel;		/* version the vermagic is compared with; or NULL */
	bool force;			/* sign what is signed already */
	bool stack;			/* leave signatures that are compressed with their module */
	bool recompress;		/* compress all anew, whatever the file is like */
	bool dry_run;			/* change nothing, say what would happen */
	struct ks_dirsync *sync;	/* as in ks_file_replace() */
};

enum ks_outcome {
	KS_OUTCOME_SIGNED,
	KS_OUTCOME_ALREADY_SIGNED, /* exactly one signature, good, by this key and hash, in a
				      container that kernels read; with STACK the outermost one */
	KS_OUTCOME_LEFT_ALONE,	   /* below kernel/ and signed by another, see spare_others */
	KS_OUTCOME_UNSIGNED,	   /* signatures were taken off */
	KS_OUTCOME_NOT_SIGNED,	   /* there was none to take off */
};

struct ks_sign_result {
	enum ks_outcome outcome;
	size_t removed; /* signatures that were there and are gone */
	size_t beneath; /* those that were there and stay: the new one covers them */
	struct ks_written written;
	bool hard_linked; /* the file had other names, which keep the old content */
	char *other;	  /* LEFT_ALONE: who signed it; may be NULL */
	char *vermagic;	  /* where it does not fit the kernel, else NULL */
};

/*
 * SPARE_OTHERS: a module below kernel/ that somebody else signed is left alone, because nobody
 * chose it by name and that signature may be what makes it load.  A file that another program
 * changes meanwhile is read again, a few times.
 */
KS_MUST_CHECK bool ks_sign_module(const char *path, const struct ks_sign *how, bool spare_others,
				  struct ks_sign_result *result, struct ks_error *err);

KS_MUST_CHECK bool ks_unsign_module(const char *path, const struct ks_sign *how, bool spare_others,
				    struct ks_sign_result *result, struct ks_error *err);

void ks_sign_result_free(struct ks_sign_result *result);

#endif
