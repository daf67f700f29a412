/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED /* all that has to do with engines */
#include "core/token_engine.h"

#include <openssl/opensslconf.h>

#if !defined(OPENSSL_NO_ENGINE) && __has_include(<openssl/engine.h>)
#include <openssl/engine.h>

static ENGINE *engine;
static UI_METHOD *mute;

/* For a key that wants the PIN at each signature: left to itself OpenSSL would ask on the terminal. */
static int say_nothing(char *buf, int size, int writing, void *data)
{
	(void)buf, (void)size, (void)writing, (void)data;
	return -1;
}

/* What the engine has to say is in OpenSSL's queue; it would say it on standard error too. */
static bool start(ENGINE *found)
{
	return ENGINE_ctrl_cmd_string(found, "QUIET", NULL, 0) && ENGINE_init(found);
}

bool ks_token_engine_open(void)
{
	ENGINE *found;

	if (engine)
		return true;
	ENGINE_load_dynamic();
	found = ENGINE_by_id("pkcs11");
	mute = UI_UTIL_wrap_read_pem_callback(say_nothing, 0);
	if (found && mute && start(found) &&
	    ENGINE_ctrl_cmd(found, "SET_USER_INTERFACE", 0, mute, NULL, 0))
		engine = found;
	if (!engine) {
		ENGINE_free(found);
		UI_destroy_method(mute);
		mute = NULL;
	}
	return engine;
}

EVP_PKEY *ks_token_engine_key(const char *uri, struct ks_asking *asking)
{
	UI_METHOD *ui = ks_asking_method();
	EVP_PKEY *key = ui ? ENGINE_load_private_key(engine, uri, ui, asking) : NULL;

	UI_destroy_method(ui);
	return key;
}

/* As the engine's own header has it, which no package installs. */
struct cert_request {
	const char *uri;
	X509 *cert;
};

/* It logs in for a certificate only where none is to be had without. */
X509 *ks_token_engine_cert(const char *uri, struct ks_asking *asking)
{
	struct cert_request request = { .uri = uri };
	UI_METHOD *ui = ks_asking_method();
	bool ok = ui && ENGINE_ctrl_cmd(engine, "SET_USER_INTERFACE", 0, ui, NULL, 0) &&
		  ENGINE_ctrl_cmd(engine, "SET_CALLBACK_DATA", 0, asking, NULL, 0) &&
		  ENGINE_ctrl_cmd(engine, "LOAD_CERT_CTRL", 0, &request, NULL, 0);

	ENGINE_ctrl_cmd(engine, "SET_USER_INTERFACE", 0, mute, NULL, 0);
	ENGINE_ctrl_cmd(engine, "SET_CALLBACK_DATA", 0, NULL, NULL, 0);
	UI_destroy_method(ui);
	return ok ? request.cert : NULL;
}

bool ks_token_engine_holds(const EVP_PKEY *key)
{
	return engine && EVP_PKEY_get0_provider(key) == NULL;
}

void ks_token_engine_close(void)
{
	if (!engine)
		return;
	ENGINE_finish(engine);
	ENGINE_free(engine);
	engine = NULL;
	UI_destroy_method(mute);
	mute = NULL;
}
#else
bool ks_token_engine_open(void)
{
	return false;
}

EVP_PKEY *ks_token_engine_key(const char *uri, struct ks_asking *asking)
{
	(void)uri, (void)asking;
	return NULL;
}

X509 *ks_token_engine_cert(const char *uri, struct ks_asking *asking)
{
	(void)uri, (void)asking;
	return NULL;
}

bool ks_token_engine_holds(const EVP_PKEY *key)
{
	(void)key;
	return false;
}

void ks_token_engine_close(void)
{
}
#endif
