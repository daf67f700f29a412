/* SPDX-License-Identifier: MIT */
/* /etc/kernel-sign.conf, below the root: "name = value" lines; kernel-sign.conf(5) lists all. */
#ifndef KS_CLI_CONFIG_H
#define KS_CLI_CONFIG_H

#include "cli/key_file.h"

#define CONFIG_PATH "/etc/kernel-sign.conf"

enum dkms_key { DKMS_KEY_DKMS, DKMS_KEY_KERNEL };
enum hook_mode { HOOK_WARN, HOOK_FAIL, HOOK_OFF };
enum dkms_gate_mode { DKMS_GATE_REFUSE, DKMS_GATE_WARN, DKMS_GATE_OFF };

struct config {
	char *key; /* each NULL where the file does not say */
	char *cert;
	char *hash;
	char *keys;
	enum key_guard key_guard; /* each 0 where it does not */
	enum dkms_key dkms_key;
	enum dkms_gate_mode dkms_gate;
	enum hook_mode hook;
};

/*
 * No file is an empty configuration; a name that is not known, or without a value, an error.  Then
 * CONFIG has nothing but what the other lines say of kernel-hook.
 */
KS_MUST_CHECK bool config_read(const char *root, struct config *config, struct ks_error *err);

void config_free(struct config *config);

#endif
