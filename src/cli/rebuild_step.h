/* SPDX-License-Identifier: MIT */
/* What is to be done so that modules are built for the kernel that is to load them. */
#ifndef KS_CLI_REBUILD_STEP_H
#define KS_CLI_REBUILD_STEP_H

#include "cli/advice.h"

/* Adds what brings A's REBUILT for S's kernel: DKMS, where it would build them; else words. */
void rebuild_step(const struct advice *a, const struct situation *s, struct steps *steps);

#endif
