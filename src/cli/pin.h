/* SPDX-License-Identifier: MIT */
/*
 * The passphrase of encrypted keys and the PIN of tokens, one for all keys of a run: from a file or
 * file descriptor that options name, KBUILD_SIGN_PIN, the credential kernel-sign.pin of systemd, or
 * whoever sits at the terminal; the first of them that there is.
 */
#ifndef KS_CLI_PIN_H
#define KS_CLI_PIN_H

#include "core/passphrase.h"

/*
 * Takes KBUILD_SIGN_PIN out of the environment, where neither /proc/PID/environ nor a child sees it
 * any more.  Called once, first of all.
 */
void pin_take(void);

/*
 * What --pin-file and --pin-fd say, NULL where they say nothing; nothing is read yet.  Called before
 * any file is opened that might get that number.  False, reported, for a wrong usage.
 */
bool pin_use(const char *file, const char *fd);

/* The terminal is none: whoever sits there is not to be asked. */
void pin_ask_nobody(void);

/*
 * How the key of that name, which must outlive it, gets its passphrase.  It is looked for when the
 * first key asks, and kept for the others until pin_wipe().
 */
struct ks_passphrase pin_for(const char *key);

/* To be called as soon as all keys are open, and at the end. */
void pin_wipe(void);

#endif
