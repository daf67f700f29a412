/* SPDX-License-Identifier: MIT */
#include "core/cert.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strings.h"
#include "base/text.h"

/* How a certificate in DER begins: a SEQUENCE of more than 127 bytes. */
enum { DER_SEQUENCE = 0x30, DER_LONG_LENGTH = 0x80 };

bool ks_cert_is_der(struct ks_view file)
{
	/* Text that begins with a '0' is not followed by a byte like that. */
	return file.len > 1 && file.data[0] == DER_SEQUENCE && (file.data[1] & DER_LONG_LENGTH);
}

bool ks_cert_parse(struct ks_view file, X509 **cert, struct ks_error *err)
{
	KS_BIO *bio = NULL;

	if (!ks_bio_open(file, &bio, err))
		return false;
	if (ks_cert_is_der(file))
		*cert = d2i_X509_bio(bio, NULL);
	else
		*cert = PEM_read_bio_X509(bio, NULL, ks_no_passphrase, NULL);
	ERR_clear_error();
	if (*cert)
		return true;
	ks_fail(err, KS_ERR_KEY, "no certificate in it, neither PEM nor DER");
	return ks_openssl_doubt(err);
}

enum ks_cert_time ks_cert_time_check(const X509 *cert, time_t now)
{
	if (ASN1_TIME_cmp_time_t(X509_get0_notBefore(cert), now) > 0)
		return KS_CERT_NOT_YET_VALID;
	/* It is valid in the second of notAfter too; -2 is a time that cannot be read. */
	return ASN1_TIME_cmp_time_t(X509_get0_notAfter(cert), now) == -1 ? KS_CERT_EXPIRED :
									   KS_CERT_VALID;
}

bool ks_cert_tbs_sha256(const X509 *cert, uint8_t *hash)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	const unsigned char *at = der, *tbs;
	long size = 0;
	int tag, class;
	bool ok = len > 0 && !(ASN1_get_object(&at, &size, &tag, &class, len) & 0x80);

	tbs = at;
	ok = ok && !(ASN1_get_object(&at, &size, &tag, &class, size) & 0x80) &&
	     EVP_Digest(tbs, (size_t)(at + size - tbs), hash, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_free(der);
	return ok;
}

/* OpenSSL's memory to ours, so that free() is right for everything that we return. */
static bool take_bio(BIO *bio, char **text, struct ks_error *err)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	*text = strndup(len ? data : "", (size_t)len);
	return *text ? true : ks_fail_memory(err);
}

bool ks_name_full(const X509_NAME *name, char **text, struct ks_error *err)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	if (!bio)
		return ks_fail_memory(err);
	/* Non-ASCII as UTF-8, not as escapes: whoever shows it escapes what has to be. */
	if (X509_NAME_print_ex(bio, name, 0,
			       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "name");
	return take_bio(bio, text, err);
}

static int last_common_name(const X509_NAME *name)
{
	int found = -1, next = -1;

	while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, next)) >= 0)
		found = next;
	return found;
}

bool ks_name_short(const X509_NAME *name, char **text, struct ks_error *err)
{
	int at = last_common_name(name);
	unsigned char *utf8 = NULL;
	int len;

	if (at < 0)
		return ks_name_full(name, text, err);
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0) {
		ERR_clear_error();
		return ks_name_full(name, text, err);
	}
	/* A zero byte would end the name for a reader, but not for a kernel. */
	if (memchr(utf8, '\0', (size_t)len)) {
		OPENSSL_free(utf8);
		return ks_name_full(name, text, err);
	}
	*text = strndup((char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return *text ? true : ks_fail_memory(err);
}

static struct ks_view octets(const ASN1_STRING *value)
{
	return ks_view_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
}

bool ks_integer_hex(const ASN1_INTEGER *value, char **text, struct ks_error *err)
{
	const char *sign = ASN1_STRING_type(value) & V_ASN1_NEG ? "-" : "";
	KS_STRING hex = NULL;

	return ks_hex(octets(value), &hex, err) && ks_string_print(text, err, "%s%s", sign, hex);
}

bool ks_octets_hex(const ASN1_OCTET_STRING *value, char **text, struct ks_error *err)
{
	return ks_hex(octets(value), text, err);
}

static bool time_text(const ASN1_TIME *when, char **text, struct ks_error *err)
{
	struct tm tm;
	char iso[40];

	if (!ASN1_TIME_to_tm(when, &tm)) {
		ERR_clear_error();
		return ks_string_copy(text, "no valid time", err);
	}
	strftime(iso, sizeof(iso), KS_TEXT_TIME, &tm);
	return ks_string_copy(text, iso, err);
}

static bool usage_text(X509 *cert, char **text, struct ks_error *err)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} usages[] = { { KU_DIGITAL_SIGNATURE, "digitalSignature" },
		       { KU_KEY_CERT_SIGN, "keyCertSign" },
		       { KU_CRL_SIGN, "cRLSign" } };
	uint32_t usage = X509_get_key_usage(cert);
	uint32_t extended = X509_get_extended_key_usage(cert);
	KS_STRINGS names = { 0 };
	char list[128];

	/* All bits stand for an extension that is not there. */
	for (size_t i = 0; usage != UINT32_MAX && i < sizeof(usages) / sizeof(*usages); i++)
		if ((usage & usages[i].bit) && !ks_strings_add(&names, usages[i].name, err))
			return false;
	if (extended != UINT32_MAX && (extended & XKU_CODE_SIGN) &&
	    !ks_strings_add(&names, "codeSigning", err))
		return false;
	ks_strings_join(&names, list, sizeof(list));
	return !names.count || ks_string_copy(text, list, err);
}

static bool describe(X509 *cert, struct ks_cert_text *text, struct ks_error *err)
{
	const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(cert);

	return ks_name_full(X509_get_subject_name(cert), &text->subject, err) &&
	       ks_name_full(X509_get_issuer_name(cert), &text->issuer, err) &&
	       ks_integer_hex(X509_get0_serialNumber(cert), &text->serial, err) &&
	       (!key_id || ks_octets_hex(key_id, &text->key_id, err)) &&
	       time_text(X509_get0_notBefore(cert), &text->not_before, err) &&
	       time_text(X509_get0_notAfter(cert), &text->not_after, err) &&
	       usage_text(cert, &text->usage, err);
}

bool ks_cert_describe(X509 *cert, struct ks_cert_text *text, struct ks_error *err)
{
	bool ok;

	*text = (struct ks_cert_text){ 0 };
	ok = describe(cert, text, err);
	/* Then it finds no extension, and says nothing. */
	if (ok && !text->key_id && ks_openssl_is_starved())
		ok = ks_fail_memory(err);
	/* An extension that OpenSSL cannot read is one that does not say anything. */
	ERR_clear_error();
	if (!ok)
		ks_cert_text_free(text);
	return ok;
}

void ks_cert_text_free(struct ks_cert_text *text)
{
	free(text->subject);
	free(text->issuer);
	free(text->serial);
	free(text->key_id);
	free(text->not_before);
	free(text->not_after);
	free(text->usage);
	*text = (struct ks_cert_text){ 0 };
}
