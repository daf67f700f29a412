/* SPDX-License-Identifier: MIT */
/* libp11's engine for PKCS#11, for systems that have no provider for it; OpenSSL 4 has no engines. */
#ifndef KS_CORE_TOKEN_ENGINE_H
#define KS_CORE_TOKEN_ENGINE_H

#include "core/openssl.h"
#include "core/passphrase.h"

/* False where there is no such engine. */
bool ks_token_engine_open(void);

/* NULL, and the cause in OpenSSL's queue, if there is none. */
EVP_PKEY *ks_token_engine_key(const char *uri, struct ks_asking *asking);
X509 *ks_token_engine_cert(const char *uri, struct ks_asking *asking);

/* Whether an engine works with KEY. */
bool ks_token_engine_holds(const EVP_PKEY *key);

void ks_token_engine_close(void);

#endif
