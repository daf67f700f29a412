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

/*
 * Appends to OUT all of CONFIG with SYMBOL set to the string VALUE, every other byte as it is.  The
 * line takes the place of the last one that sets or unsets SYMBOL ("# SYMBOL is not set"), else it
 * comes behind the one that sets AFTER, else at the end.  *CHANGED is false, and OUT of no use,
 * where CONFIG says so already.  A VALUE that no config can hold (a newline): KS_ERR_INPUT.
 */
KS_MUST_CHECK bool ks_kconfig_set_string(struct ks_view config, const char *symbol,
					 const char *value, const char *after, struct ks_buf *out,
					 bool *changed, struct ks_error *err);

#endif
