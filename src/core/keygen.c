/* SPDX-License-Identifier: MIT */
#include "core/keygen.h"

#include <ctype.h>
#include <limits.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/strings.h"
#include "core/cert.h"

enum {
	RSA_BITS = 4096,
	SERIAL_SIZE = 16, /* bytes */
	NAME_LIMIT = 64,  /* characters: ub-common-name of X.509 */
	HOST_LIMIT = 13,  /* what NAME_LIMIT leaves */
};

/* codeSigning: shim and some distributions' policies ask for it. */
static const char own_template[] = "[ req ]\n"
				   "distinguished_name = name\n"
				   "x509_extensions = extensions\n"
				   "[ name ]\n"
				   "[ extensions ]\n"
				   "basicConstraints = critical,CA:FALSE\n"
				   "keyUsage = digitalSignature\n"
				   "extendedKeyUsage = codeSigning\n"
				   "subjectKeyIdentifier = hash\n"
				   "authorityKeyIdentifier = keyid:always\n";

const struct ks_key_type ks_key_types[] = {
	{ "rsa", "rsa", "CONFIG_MODULE_SIG_KEY_TYPE_RSA", "RSA" },
	{ "ecdsa", "ec", "CONFIG_MODULE_SIG_KEY_TYPE_ECDSA", "EC" },
	{ "mldsa-44", "mldsa-44", "CONFIG_MODULE_SIG_KEY_TYPE_MLDSA_44", "ML-DSA-44" },
	{ "mldsa-65", "mldsa-65", "CONFIG_MODULE_SIG_KEY_TYPE_MLDSA_65", "ML-DSA-65" },
	{ "mldsa-87", "mldsa-87", "CONFIG_MODULE_SIG_KEY_TYPE_MLDSA_87", "ML-DSA-87" },
	{ 0 },
};

const struct ks_key_type *ks_key_type_find(const char *name)
{
	for (const struct ks_key_type *t = ks_key_types; t->name; t++)
		if (strcasecmp(name, t->name) == 0 || strcasecmp(name, t->word) == 0)
			return t;
	return NULL;
}

static bool is_mldsa(const struct ks_key_type *type)
{
	return strncmp(type->name, "mldsa", 5) == 0;
}

/* The template */

#define CONF_SCOPE __attribute__((cleanup(free_conf))) CONF

static void free_conf(CONF **conf)
{
	NCONF_free(*conf);
}

static bool read_template(const struct ks_keygen *how, CONF **conf, struct ks_error *err)
{
	struct ks_view text =
		how->template.len ? how->template : ks_view_of(own_template, strlen(own_template));
	KS_BIO *bio = NULL;
	long line = 0;

	*conf = NCONF_new(NULL);
	if (!*conf)
		return ks_fail_memory(err);
	if (!ks_bio_open(text, &bio, err))
		return false;
	if (NCONF_load_bio(*conf, bio, &line) <= 0) {
		ERR_clear_error();
		return ks_fail(err, KS_ERR_INPUT, "line %ld of the request is not understood",
			       line);
	}
	return true;
}

/* NULL where [ req ] does not say; OpenSSL's own complaint of that is dropped. */
static const char *req_value(const CONF *conf, const char *name)
{
	const char *value = NCONF_get_string(conf, "req", name);

	ERR_clear_error();
	return value;
}

static bool req_section(const CONF *conf, const char *name, const char **section,
			struct ks_error *err)
{
	*section = req_value(conf, name);
	if (*section && NCONF_get_section(conf, *section))
		return true;
	ERR_clear_error();
	return ks_fail(err, KS_ERR_INPUT, "the request's [ req ] names no section as %s", name);
}

/* The key */

static bool make_rsa(const CONF *conf, EVP_PKEY **key, struct ks_error *err)
{
	const char *text = req_value(conf, "default_bits");
	char *end = NULL;
	long bits = text ? strtol(text, &end, 10) : RSA_BITS;

	if ((text && (!*text || *end)) || bits < 2048 || bits > 16384)
		return ks_fail(err, KS_ERR_INPUT,
			       "default_bits of the request: '%s' is no number from 2048 to 16384",
			       text);
	*key = EVP_RSA_gen((unsigned int)bits);
	return *key ? true : ks_fail_openssl(err, KS_ERR_CRYPTO, "RSA key");
}

static bool make_key(const struct ks_keygen *how, const CONF *conf, EVP_PKEY **key,
		     struct ks_error *err)
{
	if (strcmp(how->type->openssl, "RSA") == 0)
		return make_rsa(conf, key, err);
	if (strcmp(how->type->openssl, "EC") == 0)
		*key = EVP_EC_gen("P-384");
	else
		*key = EVP_PKEY_Q_keygen(NULL, NULL, how->type->openssl);
	return *key ? true : ks_fail_openssl(err, KS_ERR_CRYPTO, "private key");
}

/* The subject */

/* A host name as the common name takes it: ASCII, and nothing that a log would garble. */
static void plain_host(const char *host, char *plain)
{
	size_t len = 0;

	for (; len < HOST_LIMIT && host[len]; len++)
		plain[len] =
			isalnum((unsigned char)host[len]) && isascii(host[len]) ? host[len] : '-';
	plain[len] = '\0';
}

/* The digits are those of the subject key identifier: SHA-1 of the public key (RFC 5280 4.2.1.2). */
static bool own_name(const struct ks_keygen *how, X509 *cert, char **name, struct ks_error *err)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	char host[HOST_LIMIT + 1];
	struct tm tm;
	char date[16];

	if (!X509_pubkey_digest(cert, EVP_sha1(), id, NULL))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "key id");
	gmtime_r(&how->now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	plain_host(how->host, host);
	return ks_string_print(name, err, "Out-of-tree module signing key %s%s%s %02x%02x%02x%02x",
			       host, host[0] ? " " : "", date, id[0], id[1], id[2], id[3]);
}

static bool add_name_entry(X509_NAME *name, const char *field, const char *value,
			   struct ks_error *err)
{
	if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1,
				       -1, 0))
		return true;
	ks_fail_openssl(err, KS_ERR_INPUT, value);
	return ks_at(err, field);
}

/* "1.OU" is a second OU, as openssl-req(1) has it. */
static const char *field_name(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot && dot[1] && strspn(name, "0123456789") == (size_t)(dot - name) ? dot + 1 : name;
}

static bool template_name(const CONF *conf, X509_NAME *name, struct ks_error *err)
{
	STACK_OF(CONF_VALUE) * values;
	const char *section;

	if (!req_section(conf, "distinguished_name", &section, err))
		return false;
	values = NCONF_get_section(conf, section);
	for (int i = 0; i < sk_CONF_VALUE_num(values); i++) {
		const CONF_VALUE *value = sk_CONF_VALUE_value(values, i);

		if (!add_name_entry(name, field_name(value->name), value->value, err))
			return false;
	}
	return true;
}

static bool fill_name(const struct ks_keygen *how, const CONF *conf, X509 *cert, X509_NAME *name,
		      struct ks_error *err)
{
	KS_STRING common = NULL;

	if (how->subject ? !ks_string_copy(&common, how->subject, err) :
			   !how->template.len && !own_name(how, cert, &common, err))
		return false;
	if (common ? !add_name_entry(name, "CN", common, err) : !template_name(conf, name, err))
		return false;
	return X509_NAME_entry_count(name) ||
	       ks_fail(err, KS_ERR_INPUT, "the request names no subject");
}

static bool set_subject(const struct ks_keygen *how, const CONF *conf, X509 *cert,
			struct ks_error *err)
{
	X509_NAME *name = X509_NAME_new();
	bool ok = name ? fill_name(how, conf, cert, name, err) : ks_fail_memory(err);

	if (ok && (!X509_set_subject_name(cert, name) || !X509_set_issuer_name(cert, name)))
		ok = ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
	X509_NAME_free(name);
	return ok;
}

/* The certificate */

static bool set_serial(X509 *cert, struct ks_error *err)
{
	unsigned char bytes[SERIAL_SIZE];
	BIGNUM *number;
	bool ok;

	if (RAND_bytes(bytes, sizeof(bytes)) <= 0)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "random number");
	/* Positive, and all of its bytes. */
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok ? true : ks_fail_memory(err);
}

static bool set_dates(const struct ks_keygen *how, X509 *cert, struct ks_error *err)
{
	time_t now = how->now;

	if (how->days <= INT_MAX && X509_time_adj_ex(X509_getm_notBefore(cert), 0, 0, &now) &&
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)how->days, 0, &now))
		return true;
	ERR_clear_error();
	ks_fail(err, KS_ERR_USAGE, "no certificate can be valid for %u days", how->days);
	return ks_openssl_doubt(err);
}

/* What "keyid" without ":always" comes to in a self-signed certificate, from OpenSSL 3.0 on. */
static void drop_empty_key_id(X509 *cert)
{
	enum { EMPTY_SEQUENCE = 2 }; /* bytes */
	int at = X509_get_ext_by_NID(cert, NID_authority_key_identifier, -1);

	if (at >= 0 &&
	    ASN1_STRING_length(X509_EXTENSION_get_data(X509_get_ext(cert, at))) == EMPTY_SEQUENCE)
		X509_EXTENSION_free(X509_delete_ext(cert, at));
}

static bool add_extensions(const CONF *conf, EVP_PKEY *key, X509 *cert, struct ks_error *err)
{
	const char *section;
	X509V3_CTX ctx;

	if (!req_section(conf, "x509_extensions", &section, err))
		return false;
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509V3_set_nconf(&ctx, (CONF *)conf);
	if (!X509V3_set_issuer_pkey(&ctx, key) ||
	    !X509V3_EXT_add_nconf((CONF *)conf, &ctx, section, cert))
		return ks_fail_openssl(err, KS_ERR_INPUT, "extensions of the request");
	drop_empty_key_id(cert);
	return true;
}

static bool sign_cert(const struct ks_keygen *how, EVP_PKEY *key, X509 *cert, struct ks_error *err)
{
	const EVP_MD *md = is_mldsa(how->type) ? NULL : ks_digest_find(how->hash);

	if (!md && !is_mldsa(how->type))
		return ks_fail(err, KS_ERR_UNSUPPORTED, "unknown hash '%s'", how->hash);
	if (!X509_sign(cert, key, md))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
	return true;
}

static bool make_cert(const struct ks_keygen *how, const CONF *conf, EVP_PKEY *key, X509 **cert,
		      struct ks_error *err)
{
	*cert = X509_new();
	if (!*cert || !X509_set_version(*cert, X509_VERSION_3) || !X509_set_pubkey(*cert, key))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "certificate");
	return set_serial(*cert, err) && set_dates(how, *cert, err) &&
	       set_subject(how, conf, *cert, err) && add_extensions(conf, key, *cert, err) &&
	       sign_cert(how, key, *cert, err);
}

/* Of UTF-8: every byte but those that continue a character. */
static size_t count_characters(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

bool ks_keygen_check(const struct ks_keygen *how, struct ks_error *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, how->type->openssl, NULL);
	bool known = ctx && EVP_PKEY_keygen_init(ctx) > 0;
	CONF_SCOPE *conf = NULL;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	if (!known)
		return ks_fail(err, KS_ERR_UNSUPPORTED,
			       "%s keys need OpenSSL 3.5 or later, this is %s", how->type->openssl,
			       OpenSSL_version(OPENSSL_VERSION_STRING));
	if (!ks_digest_find(how->hash))
		return ks_fail(err, KS_ERR_UNSUPPORTED, "unknown hash '%s'", how->hash);
	if (strcmp(how->type->openssl, "EC") == 0 && !ks_digest_takes_ecdsa(how->hash, err))
		return false;
	if (how->subject && (!how->subject[0] || count_characters(how->subject) > NAME_LIMIT))
		return ks_fail(err, KS_ERR_USAGE, "a subject has 1 to %d characters, this has %zu",
			       NAME_LIMIT, count_characters(how->subject));
	return read_template(how, &conf, err);
}

bool ks_keygen(const struct ks_keygen *how, EVP_PKEY **key, X509 **cert, struct ks_error *err)
{
	CONF_SCOPE *conf = NULL;

	*key = NULL;
	*cert = NULL;
	if (read_template(how, &conf, err) && make_key(how, conf, key, err) &&
	    make_cert(how, conf, *key, cert, err))
		return true;
	EVP_PKEY_free(*key);
	X509_free(*cert);
	*key = NULL;
	*cert = NULL;
	return false;
}

/* Secure BIO memory is wiped when it is freed. */
static bool take(BIO *bio, bool written, struct ks_buf *out, struct ks_error *err)
{
	char *data;
	long len;

	if (!written)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "encoding");
	len = BIO_get_mem_data(bio, &data);
	return ks_buf_append(out, data, (size_t)len, err);
}

bool ks_key_write_pem(EVP_PKEY *key, struct ks_buf *out, struct ks_error *err)
{
	KS_BIO *bio = BIO_new(BIO_s_secmem());

	return take(bio, bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), out,
		    err);
}

bool ks_cert_write_pem(X509 *cert, struct ks_buf *out, struct ks_error *err)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	return take(bio, bio && PEM_write_bio_X509(bio, cert), out, err);
}

bool ks_cert_write_der(X509 *cert, struct ks_buf *out, struct ks_error *err)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	return take(bio, bio && i2d_X509_bio(bio, cert), out, err);
}
