/* SPDX-License-Identifier: MIT */
#include "core/token.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/strings.h"
#include "core/token_engine.h"

enum {
	MOST_OBJECTS = 256, /* of a token that are looked at */
	PIN_LIMIT = 4096,   /* bytes of a file with a PIN */
};

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
	const char *properties;
	const char *device;
	const char *packages;
} kinds[] = {
	{ "pkcs11", "pkcs11", "?provider=pkcs11", "PKCS#11 tokens",
	  "libengine-pkcs11-openssl or pkcs11-provider" },
	{ "handle", "tpm2", "?provider=tpm2", "TPMs", "tpm2-openssl" },
	{ "object", "tpm2", "?provider=tpm2", "TPMs", "tpm2-openssl" },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds), PKCS11 = 0, TPM = 1 };

static OSSL_PROVIDER *loaded[KINDS];
static bool used[KINDS]; /* a provider, whoever loaded it */
static bool refused;	 /* a PIN, by any token */
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

/* AT is the separator in front of the next attribute, or NULL. */
static const char *find_from(const char *at, const char *name)
{
	size_t len = strlen(name);

	for (; at; at = strpbrk(at, ";?&")) {
		at++;
		if (strncasecmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
	}
	return NULL;
}

/* Where the value of an attribute begins, wherever it stands; NULL where there is none. */
static const char *find_attribute(const char *uri, const char *name)
{
	return find_from(strchr(uri, ':'), name);
}

/* Without that attribute and one of the separators around it. */
static bool drop_attribute(const char *uri, const char *name, char **copy, struct ks_error *err)
{
	const char *value = find_attribute(uri, name), *start, *end;

	if (!value)
		return ks_string_copy(copy, uri, err);
	start = value - strlen(name) - 1;
	end = value + strcspn(value, ";?&");
	if (*end == ';' || *end == '&')
		end++;
	else if (start[-1] != ':')
		start--;
	return ks_string_print(copy, err, "%.*s%s", (int)(start - uri), uri, end);
}

static int hex_digit(char c)
{
	return OPENSSL_hexchar2int((unsigned char)c);
}

/* RFC 3986, 2.1; in place. */
static void decode(char *text)
{
	char *to = text, *end = text + strlen(text);

	for (const char *at = text; *at; at++) {
		int high = *at == '%' ? hex_digit(at[1]) : -1;
		int low = high >= 0 ? hex_digit(at[2]) : -1;
		int byte = high * 16 + low;

		if (low < 0) {
			*to++ = *at;
			continue;
		}
		*to++ = (char)byte;
		at += 2;
	}
	explicit_bzero(to, (size_t)(end - to));
}

static bool replace_value(const char *uri, const char *value, const char *by, char **copy,
			  struct ks_error *err)
{
	return ks_string_print(copy, err, "%.*s%s%s", (int)(value - uri), uri, by,
			       value + strcspn(value, ";?&"));
}

bool ks_token_redact(const char *name, char **shown, struct ks_error *err)
{
	const char *pin;

	if (!ks_string_copy(shown, name, err))
		return false;
	pin = ks_token_is_uri(name) ? find_attribute(*shown, "pin-value") : NULL;
	while (pin) {
		KS_STRING full = *shown;
		size_t at = (size_t)(pin - full);

		*shown = NULL;
		if (!replace_value(full, pin, "...", shown, err))
			return false;
		pin = find_from(strpbrk(*shown + at, ";?&"), "pin-value");
	}
	return true;
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

/*
 * Loaded in this way it is not the end of the default provider, where no configuration names that.
 * That one has to come first: libraries of tokens calculate with OpenSSL too, and what they find
 * first must not be the provider that has called them.
 */
static bool open_provider(const struct kind *kind)
{
	size_t i = (size_t)(kind - kinds);

	if (!has_loader(kind) && !loaded[i]) {
		OSSL_PROVIDER_available(NULL, "default");
		loaded[i] = OSSL_PROVIDER_try_load(NULL, kind->provider, 1);
	}
	used[i] = has_loader(kind);
	return used[i];
}

/* Empties OpenSSL's queue; whether a shared library is in it that could not be loaded. */
static bool has_dso_error(void)
{
	unsigned long code;
	bool found = false;

	while ((code = ERR_get_error()))
		found |= ERR_GET_LIB(code) == ERR_LIB_DSO;
	return found;
}

static bool open_kind(const struct kind *kind, bool *by_engine, struct ks_error *err)
{
	bool ok = open_provider(kind), is_installed = !has_dso_error();

	*by_engine = !ok && kind == &kinds[PKCS11] && ks_token_engine_open();
	ERR_clear_error();
	if (ok || *by_engine)
		return true;
	if (is_installed)
		ks_fail(err, KS_ERR_UNSUPPORTED,
			"OpenSSL's provider %s finds none of the %s: is one there, and is its "
			"library set up?",
			kind->provider, kind->device);
	else
		ks_fail(err, KS_ERR_UNSUPPORTED, "nothing here speaks to %s: install %s",
			kind->device, kind->packages);
	return ks_openssl_doubt(err);
}

static bool may_try(struct ks_error *err)
{
	return !refused || ks_fail(err, KS_ERR_KEY, "not tried: a token has refused a PIN before");
}

bool ks_token_prepare_tss2(struct ks_error *err)
{
	bool by_engine;

	return may_try(err) && open_kind(&kinds[TPM], &by_engine, err);
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

/* What is asked for, and how */

struct query {
	const struct kind *kind;
	char *uri;	    /* without a PIN */
	char *value;	    /* the PIN that stood in it, or in a file that it names; or NULL */
	const char *source; /* of that one */
	bool by_engine;
	struct ks_passphrase from;
	struct ks_asking asking;
};

#define QUERY __attribute__((cleanup(query_free))) struct query

static void query_free(struct query *q)
{
	ks_passphrase_free(&q->value);
	ks_string_free(&q->uri);
}

static bool give_value(void *ctx, const char **text, const char **source, struct ks_error *err)
{
	struct query *q = ctx;

	(void)err;
	*text = q->value;
	*source = q->source;
	return true;
}

/* A copy of the attribute's value, decoded; NULL where there is none. */
static bool take_value(const char *uri, const char *name, char **copy, struct ks_error *err)
{
	const char *value = find_attribute(uri, name);

	*copy = NULL;
	if (!value)
		return true;
	if (!ks_string_print(copy, err, "%.*s", (int)strcspn(value, ";?&"), value))
		return false;
	decode(*copy);
	return true;
}

/* The first line: libp11 takes the newline for a part of the PIN, and the provider does not. */
static bool read_source(struct query *q, const char *source, struct ks_error *err)
{
	const char *path = strncasecmp(source, "file:", 5) == 0 ? source + 5 : source;
	KS_BUF file = { 0 };
	struct stat st;

	if (*path != '/')
		return ks_fail(err, KS_ERR_UNSUPPORTED, "pin-source is no file: with a full path");
	if (!ks_file_read_path(NULL, path, PIN_LIMIT, &file, &st, err))
		return ks_at(err, path);
	q->source = "the URI's pin-source";
	return ks_passphrase_line(&file, path, &q->value, err);
}

/* Engine and provider would try a PIN in the URI as often as they look; this way it is once. */
static bool take_pin(struct query *q, const char *uri, struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING source = NULL;

	q->source = "the URI";
	if (!take_value(uri, "pin-value", &value, err) ||
	    !take_value(uri, "pin-source", &source, err) ||
	    (value ? !ks_passphrase_keep(value, strlen(value), &q->value, err) :
		     source && !read_source(q, source, err)))
		return false;
	q->from = (struct ks_passphrase){ .get = give_value, .ctx = q };
	if (q->value)
		q->asking.from = &q->from;
	return true;
}

static bool query_open(struct query *q, const char *uri, const struct ks_passphrase *pin,
		       struct ks_error *err)
{
	KS_STRING rest = NULL;

	q->kind = find_kind(uri);
	if (!q->kind)
		return ks_fail(err, KS_ERR_INTERNAL, "not a token's URI");
	if (!may_try(err) || !open_kind(q->kind, &q->by_engine, err))
		return false;
	q->asking = (struct ks_asking){ .from = pin,
					.once = true,
					.soft = !q->by_engine && q->kind == &kinds[PKCS11] };
	return take_pin(q, uri, err) && drop_attribute(uri, "pin-value", &rest, err) &&
	       drop_attribute(rest, "pin-source", &q->uri, err);
}

static void find(struct query *q, const char *uri, int type, struct found *found)
{
	(q->by_engine ? ask_engine : ask_store)(uri, type, &q->asking, found);
}

/* Why there is nothing */

/* Empties OpenSSL's queue, of which the first entry with a reason is what tells most. */
static const char *take_reason(bool *pin)
{
	unsigned long code, first = 0;

	*pin = false;
	while ((code = ERR_get_error())) {
		int reason = ERR_GET_REASON(code);

		*pin |= reason >= CKR_PIN_INCORRECT && reason <= CKR_PIN_LOCKED;
		if (!first && ERR_reason_error_string(code))
			first = code;
	}
	return first ? ERR_reason_error_string(first) : NULL;
}

/* The provider keeps to itself why it found nothing: if it would ask again, it was not let in. */
static bool would_ask_again(const struct query *q, int type)
{
	struct ks_asking again = { .soft = true };
	struct found found = { 0 };

	if (q->by_engine || q->kind != &kinds[PKCS11])
		return false;
	ask_store(q->uri, type, &again, &found);
	EVP_PKEY_free(found.key);
	X509_free(found.cert);
	return again.asked > 0;
}

static bool fail_pin(const struct query *q, struct ks_error *err)
{
	refused = true;
	return ks_fail(err, KS_ERR_KEY,
		       "the token refuses the PIN from %s; it is not tried again, for tokens lock",
		       q->asking.source ? q->asking.source : "somewhere");
}

static bool fail(const struct query *q, int type, struct ks_error *err)
{
	const char *what = type == OSSL_STORE_INFO_PKEY ? "private key" : "certificate", *reason;
	bool pin;

	if (q->asking.err.code)
		return ks_fail(err, KS_ERR_KEY, "the token wants a PIN; %s", q->asking.err.text);
	reason = take_reason(&pin);
	if (!pin && q->asking.source)
		pin = would_ask_again(q, type);
	ERR_clear_error();
	if (pin)
		return fail_pin(q, err);
	ks_fail(err, KS_ERR_MISSING, "no %s answers to this URI%s%s", what, reason ? ": " : "",
		reason ? reason : "");
	return ks_openssl_doubt(err);
}

bool ks_token_key(const char *uri, const struct ks_passphrase *pin, EVP_PKEY **key,
		  struct ks_error *err)
{
	struct found found = { 0 };
	QUERY q = { 0 };

	if (!query_open(&q, uri, pin, err))
		return false;
	find(&q, q.uri, OSSL_STORE_INFO_PKEY, &found);
	if (!found.key)
		return fail(&q, OSSL_STORE_INFO_PKEY, err);
	ERR_clear_error();
	if (!found.several) {
		*key = found.key;
		return true;
	}
	EVP_PKEY_free(found.key);
	return ks_fail(err, KS_ERR_KEY,
		       "several private keys answer to this URI: add the id of one");
}

bool ks_token_cert(const char *uri, const struct ks_passphrase *pin, EVP_PKEY *key, X509 **cert,
		   struct ks_error *err)
{
	struct found found = { .wanted = key };
	KS_STRING name = NULL;
	QUERY q = { 0 };

	if (!query_open(&q, uri, pin, err) || !name_cert(q.uri, &name, err))
		return false;
	find(&q, name, OSSL_STORE_INFO_CERT, &found);
	if (!found.cert && !found.fitting)
		return fail(&q, OSSL_STORE_INFO_CERT, err);
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

const char *ks_token_properties(const EVP_PKEY *key)
{
	const char *name = provider_name(key);

	if (!name || !ks_token_holds(key))
		return NULL;
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(name, kinds[i].provider) == 0)
			return kinds[i].properties;
	return NULL;
}

/* Those for PKCS#11 say that threads may use them; tpm2-openssl does not. */
static bool wants_quiet(const EVP_PKEY *key)
{
	const char *name = provider_name(key);

	return ks_token_holds(key) && name && strncmp(name, "pkcs11", strlen("pkcs11")) != 0;
}

void ks_token_blame(const EVP_PKEY *key, const struct ks_error *err)
{
	refused |= wants_quiet(key) && strstr(err->text, "authorization");
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

bool ks_token_outlives(void)
{
	return used[PKCS11];
}
