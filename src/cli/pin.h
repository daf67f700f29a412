/* SPDX-License-Identifier: MIT */
/* The passphrase of an encrypted key, wherever it comes from. */
#ifndef KS_CLI_PIN_H
#define KS_CLI_PIN_H

/*
 * Takes it from the environment (KBUILD_SIGN_PIN), where neither /proc/PID/environ nor a child sees
 * it any more.  Called once, first of all.
 */
void pin_take(void);

/* The passphrase, or NULL; lives until pin_wipe(). */
const char *pin_get(void);

void pin_wipe(void);

#endif
