/* SPDX-License-Identifier: MIT */
/* What a signing service that never sees a module answers, and whether that is to be attached. */
#ifndef KS_CORE_REMOTE_H
#define KS_CORE_REMOTE_H

#include "core/signer.h"

enum { KS_REMOTE_NAME = 80 };

/*
 * A file name for the module at PATH, which no other path has: of letters, digits, "_", "-" and ".",
 * and beginning with neither of the last two.
 */
KS_MUST_CHECK bool ks_remote_name(const char *path, char name[KS_REMOTE_NAME],
				  struct ks_error *err);

/*
 * Appends to MESSAGE what SIGNER (of ks_signer_open_public()) would have made, had its key given
 * VALUE, a bare signature; which is still to be checked.
 */
KS_MUST_CHECK bool ks_remote_wrap(const struct ks_signer *signer, struct ks_view value,
				  struct ks_buf *message, struct ks_error *err);

/*
 * Whether MESSAGE is DER of the form that SIGNER makes, by its certificate and hash and nothing
 * else, and holds for IMAGE.  KS_ERR_INPUT, with the reason, if not.
 */
KS_MUST_CHECK bool ks_remote_check(const struct ks_signer *signer, struct ks_view message,
				   struct ks_view image, struct ks_error *err);

#endif
