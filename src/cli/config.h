/* SPDX-License-Identifier: MIT */
/* /etc/kernel-sign.conf, below the root: "name = value" lines; kernel-sign.conf(5) lists all. */
#ifndef KS_CLI_CONFIG_H
#define KS_CLI_CONFIG_H

#include "base/error.h"

#define CONFIG_PATH "/etc/kernel-sign.conf"

struct config {
	char *key; /* each NULL where the file does not say */
	char *cert;
	char *hash;
	char *keys;
};

/* No file is an empty configuration; a name that is not known, or without a value, an error. */
KS_MUST_CHECK bool config_read(const char *root, struct config *config, struct ks_error *err);

void config_free(struct config *config);

#endif
