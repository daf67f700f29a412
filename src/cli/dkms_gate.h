/* SPDX-License-Identifier: MIT */
/* The gate: whether modules that DKMS is about to install are signed as their kernel wants it. */
#ifndef KS_CLI_DKMS_GATE_H
#define KS_CLI_DKMS_GATE_H

#include "cli/look.h"

/*
 * Judges the modules that LOOK asks for (--kernel and --dir) by /etc/kernel-sign.conf's dkms-gate,
 * and says of each that is refused why, and what to do.  STATUS_FAILED keeps DKMS from installing.
 */
int dkms_gate(struct look_args *look);

#endif
