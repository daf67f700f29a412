/* SPDX-License-Identifier: MIT */
/* The .config of a kernel (Linux Documentation/kbuild/kconfig.rst): CONFIG_NAME=value lines. */
#ifndef KS_CORE_KCONFIG_H
#define KS_CORE_KCONFIG_H

#include "base/buf.h"

/*
 * *VALUE becomes the value of SYMBOL ("CONFIG_MODULE_SIG_HASH"), without its quotes, which the
 * caller frees; NULL where CONFIG does not set it.  The last line counts, as for the kernel.
 */
KS_MUST_CHECK bool ks_kconfig_get(struct ks_view config, const char *symbol, char **value,
				  struct ks_error *err);

#endif
