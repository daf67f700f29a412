/* SPDX-License-Identifier: MIT */
/* What is to be done so that a kernel takes modules: commands that work on this system. */
#ifndef KS_CLI_ADVICE_H
#define KS_CLI_ADVICE_H

#include "cli/key_file.h"
#include "cli/request.h"
#include "cli/steps.h"
#include "core/facts.h"

/* The key that modules would be signed with, and what the kernel makes of it. */
struct situation {
	const struct request *request;
	const struct ks_kernel *kernel;
	const struct ks_trust *trust;
	const char *efivars; /* that TRUST was found by, where somebody named them; else NULL */
	char *key, *cert;    /* files; NULL where there is no key */
	const char *root;    /* both are inside it, or NULL */
	bool is_keyless;     /* none is anywhere, so that one may be made */
	char *key_why;	     /* what named it; without a key, why there is none */
	char *hash;	     /* that it would sign with */
	enum key_guard guard;
	X509 *x509;	/* NULL where it cannot be read */
	bool is_hidden; /* the certificate: root may read it */
	char *cert_why; /* why it cannot be read */
	enum ks_standing standing;
	const char *standing_why; /* or NULL */
	enum ks_answer usable;	  /* whether sign can sign with it */
	char *usable_why;	  /* why not, or why nobody knows; or NULL */
};

#define SITUATION __attribute__((cleanup(situation_free))) struct situation

/*
 * Borrows all that it is given.  A key or certificate that cannot be read is part of the answer; it
 * fails only for want of memory.
 */
KS_MUST_CHECK bool situation_find(const struct request *request, const char *efivars,
				  const struct ks_kernel *kernel, const struct ks_trust *trust,
				  struct situation *situation, struct ks_error *err);

/* Tries the key as well, see key_file_try(): usable then says more.  Fails only for want of memory. */
KS_MUST_CHECK bool situation_try_key(struct situation *situation, struct ks_error *err);

void situation_free(struct situation *situation);

/* What is needed, gathered from one module or many. */
struct advice {
	bool sign;		       /* anew, by the key there is */
	bool trust;		       /* the key's certificate, by the kernel */
	bool other_hash;	       /* the digest at hand is none that the kernel can check */
	bool sign_changed;	       /* among what is to be signed is what somebody changed */
	bool newer;		       /* a file that somebody revoked */
	char *refresh;		       /* an initramfs that has old copies, or will have; or NULL */
	bool gate;		       /* DKMS installs without looking */
	bool privilege;		       /* that this user has not, to see more */
	struct ks_strings signed_anew; /* paths, as commands name them */
	struct ks_strings
		recompressed;	   /* the same of those that are to be compressed anew as well */
	struct ks_strings stacked; /* those with a signature that does not come off */
	struct ks_strings rebuilt; /* names of modules made for another kernel */
	struct ks_strings changed; /* names of those that a package had signed, and changed since */
};

#define ADVICE __attribute__((cleanup(advice_free))) struct advice

/* Adds what the module PATH needs, of which FACTS (predicted) are known. */
KS_MUST_CHECK bool advice_need(struct advice *advice, const struct situation *situation,
			       const char *path, const struct ks_facts *facts,
			       struct ks_error *err);

/*
 * The first ADVICE_STEPS things to do, in their order; the caller frees them with steps_free().
 * WHOLE: all out-of-tree modules of the kernel are to be signed, and need no names.  *LEFT_OUT is
 * how many more there are.
 */
KS_MUST_CHECK bool advice_steps(const struct advice *advice, const struct situation *situation,
				bool whole, struct step *step, size_t *count, size_t *left_out,
				struct ks_error *err);

void advice_free(struct advice *advice);

#endif
