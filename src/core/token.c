/* SPDX-License-Identifier: MIT */
#include "core/token.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/strings.h"
#include "core/token_engine.h"

enum { MOST_OBJECTS = 256 }; /* of a token that are looked at */

/* PKCS#11's return values, which are the reasons in OpenSSL's queue, of engine and provider alike. */
enum {
	CKR_PIN_INCORRECT = 0xa0,
	CKR_PIN_INVALID = 0xa1,
	CKR_PIN_LEN_RANGE = 0xa2,
	CKR_PIN_EXPIRED = 0xa3,
	CKR_PIN_LOCKED = 0xa4,
};

static const struct kind {
	const char *scheme; /* of the URI */
	const char *provider;
	const char *device;
	const char *packages;
} kinds[] = {
	{ "pkcs11", "pkcs11", "PKCS#11 tokens", "pkcs11-provider or libengine-pkcs11-openssl" },
	{ "handle", "tpm2", "TPMs", "tpm2-openssl" },
	{ "object", "tpm2", "TPMs", "tpm2-openssl" },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds), PKCS11 = 0, TPM = 1 };

static OSSL_PROVIDER *loaded[KINDS];
static bool refused; /* a PIN, by any token */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* URIs */

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		size_t len = strlen(kinds[i].scheme);

		if (strncasecmp(name, kinds[i].scheme, len) == 0 && name[len] == ':')
			return &kinds[i];
	}
	return NULL;
}

bool ks_token_is_uri(const char *name)
{
	return find_kind(name) != NULL;
}

/* Where the value of an attribute begins, wherever it stands; NULL where there is none. */
static const char *find_attribute(const char *uri, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strchr(uri, ':'); at; at = strpbrk(at, ";?&")) {
		at++;
		if (strncasecmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	}
	return NULL;
}

static bool replace_value(const char *uri, const char *value, const char *by, char **copy,
			  struct ks_error *err)
{
	return ks_string_print(copy, err, "%.*s%s%s", (int)(value - uri), uri, by,
			       value + strcspn(value, ";?&"));
}

bool ks_token_redact(const char *uri, char **shown, struct ks_error *err)
{
	const char *pin = ks_token_is_uri(uri) ? find_attribute(uri, "pin-value") : NULL;

	*shown = NULL;
	return !pin || replace_value(uri, pin, "...", shown, err);
}

/* The URI of a key, as that of its certificate. */
static bool name_cert(const char *uri, char **copy, struct ks_error *err)
{
	const char *type = find_attribute(uri, "type");

	if (type && strncasecmp(type, "private", strlen("private")) == 0)
		return replace_value(uri, type, "cert", copy, err);
	return ks_string_copy(copy, uri, err);
}

/* Providers */

static bool has_loader(const struct kind *kind)
{
	OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_fetch(NULL, kind->scheme, NULL);

	OSSL_STORE_LOADER_free(loader);
	return loader;
}

/* Loaded in this way it is not the end of the default provider, where no configuration names that. */
static bool open_provider(const struct kind *kind)
{
	OSSL_PROVIDER **provider = &loaded[kind - kinds];

	if (!has_loader(kind) && !*provider)
		*provider = OSSL_PROVIDER_try_load(NULL, kind->provider, 1);
	return has_loader(kind);
}

static bool open_kind(const struct kind *kind, bool *by_engine, struct ks_error *err)
{
	bool ok = open_provider(kind);

	*by_engine = !ok && kind == &kinds[PKCS11] && ks_token_engine_open();
	ERR_clear_error();
	if (ok || *by_engine)
		return true;
	ks_fail(err, KS_ERR_UNSUPPORTED, "nothing here speaks to %s: install %s", kind->device,
		kind->packages);
	return ks_openssl_doubt(err);
}

bool ks_token_prepare_tss2(struct ks_error *err)
{
	bool by_engine;

	return open_kind(&kinds[TPM], &by_engine, err);
}

/* Objects */

struct found {
	EVP_PKEY *key; /* the first */
	bool several;
	EVP_PKEY *wanted; /* whose certificate it should be; not found, but given */
	X509 *cert;
	X509 *fitting;
};

static void take_key(struct found *found, EVP_PKEY *key)
{
	if (!found->key) {
		found->key = key;
		return;
	}
	found->several |= EVP_PKEY_eq(found->key, key) != 1;
	EVP_PKEY_free(key);
}

static void take_cert(struct found *found, X509 *cert)
{
	X509 **place = &found->cert;

	if (found->wanted && X509_check_private_key(cert, found->wanted) == 1)
		place = &found->fitting;
	if (*place)
		X509_free(cert);
	else
		*place = cert;
}

static void take_all(struct found *found, OSSL_STORE_CTX *store)
{
	for (int i = 0; i < MOST_OBJECTS && !OSSL_STORE_eof(store); i++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		int type = info ? OSSL_STORE_INFO_get_type(info) : 0;

		if (type == OSSL_STORE_INFO_PKEY)
			take_key(found, OSSL_STORE_INFO_get1_PKEY(info));
		else if (type == OSSL_STORE_INFO_CERT)
			take_cert(found, OSSL_STORE_INFO_get1_CERT(info));
		OSSL_STORE_INFO_free(info);
	}
}

static void ask_store(const char *uri, int type, struct ks_asking *asking, struct found *found)
{
	UI_METHOD *ui = ks_asking_method();
	OSSL_STORE_CTX *store =
		ui ? OSSL_STORE_open_ex(uri, NULL, NULL, ui, asking, NULL, NULL, NULL) : NULL;

	if (store && OSSL_STORE_expect(store, type))
		take_all(found, store);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
}

static void ask_engine(const char *uri, int type, struct ks_asking *asking, struct found *found)
{
	X509 *cert;

	if (type == OSSL_STORE_INFO_PKEY) {
		found->key = ks_token_engine_key(uri, asking);
		return;
	}
	cert = ks_token_engine_cert(uri, asking);
	if (cert)
		take_cert(found, cert);
}

/* Why there is nothing */

/* Empties OpenSSL's queue, of which the first entry with a reason is what tells most. */
static unsigned long take_reason(bool *pin)
{
	unsigned long code, first = 0;

	*pin = false;
	while ((code = ERR_get_error())) {
		int reason = ERR_GET_REASON(code);

		*pin |= reason >= CKR_PIN_INCORRECT && reason <= CKR_PIN_LOCKED;
		if (!first && ERR_reason_error_string(code))
			first = code;
	}
	return first;
}

static bool fail_pin(const char *uri, const struct ks_asking *asking, struct ks_error *err)
{
	refused = true;
	if (!asking->source && find_attribute(uri, "pin-value"))
		return ks_fail(err, KS_ERR_KEY, "the token refuses the PIN in the URI");
	return ks_fail(err, KS_ERR_KEY,
		       "the token refuses the PIN from %s; it is not tried again, for tokens lock",
		       asking->source ? asking->source : "the URI");
}

static bool fail(const char *uri, const char *what, const struct ks_asking *asking,
		 struct ks_error *err)
{
	bool pin;
	unsigned long code = take_reason(&pin);
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (asking->err.code)
		return ks_fail(err, KS_ERR_KEY, "the token wants a PIN; %s", asking->err.text);
	if (pin)
		return fail_pin(uri, asking, err);
	ks_fail(err, KS_ERR_MISSING, "no %s answers to this name%s%s", what, reason ? ": " : "",
		reason ? reason : "");
	return ks_openssl_doubt(err);
}

static bool find(const char *uri, int type, struct ks_asking *asking, struct found *found,
		 struct ks_error *err)
{
	const struct kind *kind = find_kind(uri);
	bool by_engine;

	if (refused)
		return ks_fail(err, KS_ERR_KEY, "not tried: a token has refused a PIN before");
	if (!open_kind(kind, &by_engine, err))
		return false;
	(by_engine ? ask_engine : ask_store)(uri, type, asking, found);
	return true;
}

bool ks_token_key(const char *uri, const struct ks_passphrase *pin, EVP_PKEY **key,
		  struct ks_error *err)
{
	struct ks_asking asking = { .from = pin, .once = true };
	struct found found = { 0 };

	if (!find(uri, OSSL_STORE_INFO_PKEY, &asking, &found, err))
		return false;
	if (!found.key)
		return fail(uri, "private key", &asking, err);
	ERR_clear_error();
	*key = found.key;
	if (!found.several)
		return true;
	EVP_PKEY_free(found.key);
	return ks_fail(err, KS_ERR_KEY,
		       "several private keys answer to this name: add the id of one");
}

bool ks_token_cert(const char *uri, const struct ks_passphrase *pin, EVP_PKEY *key, X509 **cert,
		   struct ks_error *err)
{
	struct ks_asking asking = { .from = pin, .once = true };
	struct found found = { .wanted = key };
	KS_STRING name = NULL;

	if (!name_cert(uri, &name, err) || !find(name, OSSL_STORE_INFO_CERT, &asking, &found, err))
		return false;
	if (!found.cert && !found.fitting)
		return fail(uri, "certificate", &asking, err);
	ERR_clear_error();
	*cert = found.fitting ? found.fitting : found.cert;
	X509_free(found.fitting ? found.cert : NULL);
	return true;
}

/* Use */

static const char *provider_name(const EVP_PKEY *key)
{
	const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);

	return provider ? OSSL_PROVIDER_get0_name(provider) : NULL;
}

bool ks_token_holds(const EVP_PKEY *key)
{
	const char *name = provider_name(key);

	if (!name)
		return ks_token_engine_holds(key);
	return strcmp(name, "default") != 0 && strcmp(name, "fips") != 0 &&
	       strcmp(name, "base") != 0 && strcmp(name, "legacy") != 0;
}

/* Those for PKCS#11 say that threads may use them; tpm2-openssl does not. */
static bool wants_quiet(const EVP_PKEY *key)
{
	const char *name = provider_name(key);

	return ks_token_holds(key) && name && strncmp(name, "pkcs11", strlen("pkcs11")) != 0;
}

void ks_token_enter(const EVP_PKEY *key)
{
	if (wants_quiet(key))
		pthread_mutex_lock(&one_at_a_time);
}

void ks_token_leave(const EVP_PKEY *key)
{
	if (wants_quiet(key))
		pthread_mutex_unlock(&one_at_a_time);
}

void ks_token_close(void)
{
	ks_token_engine_close();
	for (size_t i = 0; i < KINDS; i++) {
		if (loaded[i])
			OSSL_PROVIDER_unload(loaded[i]);
		loaded[i] = NULL;
	}
}
