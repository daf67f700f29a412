/* SPDX-License-Identifier: MIT */
/* What keeps a private key from staying, or getting, where it has no business. */
#ifndef KS_CORE_SECRET_H
#define KS_CORE_SECRET_H

/*
 * To be called before anything of OpenSSL's: from then on every piece of memory that OpenSSL frees is
 * wiped first, and the numbers of private keys are in memory that is not swapped out, as far as
 * RLIMIT_MEMLOCK allows.  Without it all works the same, and less is wiped.
 */
void ks_secret_prepare(void);

/*
 * To be called before a private key is read: from then on this process leaves no core dump, and
 * another one of the same user cannot look into it.
 */
void ks_secret_hold(void);

#endif
