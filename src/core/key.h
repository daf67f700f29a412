/* SPDX-License-Identifier: MIT */
/* A private key out of a file's bytes: PEM or DER, traditional or PKCS#8, encrypted or not. */
#ifndef KS_CORE_KEY_H
#define KS_CORE_KEY_H

#include "core/openssl.h"

/*
 * PASSPHRASE is NULL where there is none.  The caller frees *key.  KS_ERR_KEY says whether there
 * is no private key in FILE, whether it wants a passphrase or whether this one is wrong.
 */
KS_MUST_CHECK bool ks_key_parse(struct ks_view file, const char *passphrase, EVP_PKEY **key,
				struct ks_error *err);

#endif
