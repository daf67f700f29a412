/* SPDX-License-Identifier: MIT */
/* What is to be done so that a kernel trusts the key at hand. */
#ifndef KS_CLI_TRUST_STEP_H
#define KS_CLI_TRUST_STEP_H

#include "cli/advice.h"

/* Where kernel-sign and DKMS find a key, and where a new one goes. */
#define NEW_DIR "/var/lib/dkms"
#define NEW_KEY NEW_DIR "/mok.key"
#define NEW_CERT NEW_DIR "/mok.pub"

/*
 * Adds what brings S's certificate, or the one that a step before makes, into the kernel's trust, or keeps it
 * there; nothing where it is to stay, or none is needed.
 */
void trust_step(const struct situation *s, struct steps *steps);

/* Whether S's certificate is trusted, or may be, up to the next boot only: by MokListRT, with MokDel. */
bool trust_will_end(const struct situation *s);

/*
 * What there is to do, in words, so that TRUST's kernel trusts CERT (a name) where shim's list of keys
 * does not help; *TEXT is the caller's.
 */
KS_MUST_CHECK bool advice_without_mok(const struct ks_trust *trust, const char *cert, char **text,
				      struct ks_error *err);

#endif
