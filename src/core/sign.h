/* SPDX-License-Identifier: MIT */
/* The line: one module file signed, or freed of its signatures.  Safe in several threads. */
#ifndef KS_CORE_SIGN_H
#define KS_CORE_SIGN_H

#include "core/module.h"
#include "core/signature.h"
#include "core/signer.h"

/* Where messages come from that SIGNER's keys, wherever they are, make elsewhere. */
struct ks_message_source {
	/*
	 * Appends to MESSAGE the message over IMAGE, or nothing: then there is none yet, the module
	 * stays as it is, and that is no error (KS_OUTCOME_REQUESTED).  Also called in a dry run.
	 */
	bool (*get)(void *ctx, struct ks_view image, struct ks_buf *message, struct ks_error *err);
	void *ctx;
};

struct ks_sign {
	struct ks_load load;
	const struct ks_signer *signer;		/* ks_sign_module() only */
	const struct ks_message_source *source; /* of messages, if not SIGNER; or NULL */
	const char *kernel;			/* version the vermagic is compared with; or NULL */
	bool force;				/* sign what is signed already */
	bool stack;		 /* leave signatures that are compressed with their module */
	bool recompress;	 /* compress all anew, whatever the file is like */
	bool dry_run;		 /* change nothing, say what would happen */
	bool record;		 /* the result's record is wanted */
	struct ks_dirsync *sync; /* as in ks_file_replace() */
};

enum ks_outcome {
	KS_OUTCOME_SIGNED,
	KS_OUTCOME_ALREADY_SIGNED, /* exactly one signature, good, by this key and hash, in a
				      container that kernels read; with STACK the outermost one */
	KS_OUTCOME_LEFT_ALONE,	   /* below kernel/ and signed by another, see spare_others */
	KS_OUTCOME_UNSIGNED,	   /* signatures were taken off */
	KS_OUTCOME_NOT_SIGNED,	   /* there was none to take off */
	KS_OUTCOME_REQUESTED,	   /* its message is to come */
	KS_OUTCOME_NOT_REQUESTED,  /* never ks_sign_module()'s: no message is to come, nor needed */
	KS_OUTCOMES		   /* how many there are */
};

/* For those who keep a log: what was signed, or is left without signatures, and by whom. */
struct ks_sign_record {
	const char *hash; /* SIGNER's, static; SHA-256 where there is none */
	char *digest;	  /* of the image by that hash, hexadecimal */
	X509 *cert[KS_IDENTITIES];
	size_t count; /* certificates, one a signer */
};

struct ks_sign_result {
	enum ks_outcome outcome;
	size_t removed; /* signatures that were there and are gone */
	size_t beneath; /* those that were there and stay: the new one covers them */
	struct ks_written written;
	bool hard_linked;	       /* the file had other names, which keep the old content */
	char *other;		       /* LEFT_ALONE: who signed it; may be NULL */
	struct ks_sign_record *record; /* if it was wanted; NULL of what was left alone */
	char *vermagic;		       /* where it does not fit the kernel, else NULL */
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

/*
 * Whether SIGNATURE, of a message of SIZE bytes, is in all but the signature's value what
 * scripts/sign-file makes, and kernels take it.
 */
bool ks_sign_is_plain(const struct ks_signature *signature, size_t size);

void ks_sign_result_free(struct ks_sign_result *result);

#endif
