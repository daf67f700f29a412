/* SPDX-License-Identifier: MIT */
/* New keys and their certificates: every field as the kernel's build and shim want it. */
#include "fixture.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/keygen.h"

#define NOW ((time_t)1795458105) /* 2026-11-23T18:21:45Z */
#define DATE "2026-11-23"

enum { DAY = 24 * 60 * 60, OPENSSL_3_2 = 0x30200000 };

/* The handles as a caller has them: what is left in them after a failure would be freed twice. */
struct made {
	EVP_PKEY *key;
	X509 *cert;
};

#define MADE __attribute__((cleanup(free_made))) struct made

static void free_made(struct made *made)
{
	EVP_PKEY_free(made->key);
	X509_free(made->cert);
}

static struct ks_keygen wish(const char *type)
{
	return (struct ks_keygen){
		.type = ks_key_type_find(type),
		.hash = "sha512",
		.host = "builder",
		.now = NOW,
		.days = 36500,
	};
}

static void make(const struct ks_keygen *how, struct made *made)
{
	*made = (struct made){ 0 };
	assert_ok(ks_keygen_check(how, &error));
	assert_ok(ks_keygen(how, &made->key, &made->cert, &error));
	assert_non_null(made->key);
	assert_non_null(made->cert);
	assert_int_equal(X509_check_private_key(made->cert, made->key), 1);
	assert_int_equal(X509_verify(made->cert, made->key), 1);
	assert_int_equal(ERR_peek_error(), 0);
}

static void refuse(const struct ks_keygen *how, enum ks_code code)
{
	struct made made = { 0 };

	assert_fails(ks_keygen(how, &made.key, &made.cert, &error), code);
	/* For the callers whose handles free themselves. */
	assert_null(made.key);
	assert_null(made.cert);
}

/* --- the certificate ------------------------------------------------------------------------ */

static struct ks_view value_of(X509 *cert, int nid, bool critical)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);
	X509_EXTENSION *extension;
	const ASN1_OCTET_STRING *data;

	if (at < 0)
		fail_msg("no %s", OBJ_nid2sn(nid));
	assert_int_equal(X509_get_ext_by_NID(cert, nid, at), -1);
	extension = X509_get_ext(cert, at);
	assert_int_equal(X509_EXTENSION_get_critical(extension), critical);
	data = X509_EXTENSION_get_data(extension);
	return ks_view_of(ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
}

static void key_id(X509 *cert, unsigned char *id)
{
	unsigned int len;

	assert_true(X509_pubkey_digest(cert, EVP_sha1(), id, &len));
	assert_int_equal(len, 20);
}

/* DER by hand: what the kernel's parser gets to see. */
static void check_extensions(X509 *cert)
{
	static const char code_signing[] = "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x03";
	char subject[22] = "\x04\x14", authority[24] = "\x30\x16\x80\x14";

	assert_int_equal(X509_get_ext_count(cert), 5);
	assert_view_equal(value_of(cert, NID_basic_constraints, true), ks_view_of("\x30\x00", 2));
	assert_view_equal(value_of(cert, NID_key_usage, false), ks_view_of("\x03\x02\x07\x80", 4));
	assert_view_equal(value_of(cert, NID_ext_key_usage, false), ks_view_of(code_signing, 12));
	key_id(cert, (unsigned char *)subject + 2);
	key_id(cert, (unsigned char *)authority + 4);
	assert_view_equal(value_of(cert, NID_subject_key_identifier, false),
			  ks_view_of(subject, 22));
	assert_view_equal(value_of(cert, NID_authority_key_identifier, false),
			  ks_view_of(authority, 24));
}

static void check_serial(X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

	assert_int_equal(ASN1_STRING_length(serial), 16);
	/* Positive, and no byte more in DER. */
	assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
	assert_true(ASN1_STRING_get0_data(serial)[0] < 0x80);
	assert_true(ASN1_STRING_get0_data(serial)[0] > 0);
}

static void check_time(const ASN1_TIME *time, time_t wanted)
{
	if (ASN1_TIME_cmp_time_t(time, wanted) != 0)
		fail_msg("%s is not %lld", (const char *)time->data, (long long)wanted);
	/* RFC 5280 4.1.2.5 */
	assert_int_equal(time->type, wanted < 2524608000 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
}

/* The whole subject as "CN=...", and the issuer the same. */
static void check_subject(X509 *cert, const char *wanted)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	assert_int_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)), 0);
	assert_true(X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
				       XN_FLAG_SEP_COMMA_PLUS | ASN1_STRFLGS_UTF8_CONVERT) >= 0);
	assert_int_equal(BIO_write(bio, "", 1), 1);
	BIO_get_mem_data(bio, &text);
	assert_string_equal(text, wanted);
	BIO_free(bio);
}

static const char *common_name(X509 *cert)
{
	static char text[256];
	int len = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text,
					    sizeof(text));

	assert_true(len > 0);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(cert)), 1);
	return text;
}

static int signed_with(X509 *cert)
{
	int md = NID_undef;

	assert_true(X509_get_signature_info(cert, &md, NULL, NULL, NULL));
	return md;
}

static void check_cert(X509 *cert)
{
	assert_int_equal(X509_get_version(cert), X509_VERSION_3);
	check_serial(cert);
	check_extensions(cert);
	check_time(X509_get0_notBefore(cert), NOW);
	check_time(X509_get0_notAfter(cert), NOW + (time_t)36500 * DAY);
	assert_true(strncmp(common_name(cert), "Out-of-tree module signing key builder " DATE " ",
			    50) == 0);
}

static void ecdsa(void **state)
{
	struct ks_keygen how = wish("ecdsa");
	MADE made;
	char group[64];

	(void)state;
	make(&how, &made);
	check_cert(made.cert);
	assert_true(EVP_PKEY_is_a(made.key, "EC"));
	assert_true(EVP_PKEY_get_group_name(made.key, group, sizeof(group), NULL));
	assert_string_equal(group, "secp384r1");
	assert_int_equal(signed_with(made.cert), NID_sha512);
}

static void rsa(void **state)
{
	struct ks_keygen how = wish("rsa");
	MADE made;

	(void)state;
	how.hash = "sha3-512";
	make(&how, &made);
	check_cert(made.cert);
	assert_true(EVP_PKEY_is_a(made.key, "RSA"));
	assert_int_equal(EVP_PKEY_get_bits(made.key), 4096);
	assert_int_equal(signed_with(made.cert), NID_sha3_512);
}

static bool openssl_has(const char *type)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	bool has = ctx != NULL;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return has;
}

/* Where this OpenSSL has it; where not, the error says which one would. */
static void mldsa(void **state)
{
	(void)state;
	for (const struct ks_key_type *t = ks_key_types + 2; t->name; t++) {
		struct ks_keygen how = wish(t->name);

		assert_true(strncmp(t->openssl, "ML-DSA-", 7) == 0);
		if (openssl_has(t->openssl)) {
			MADE made;

			make(&how, &made);
			check_cert(made.cert);
			assert_true(EVP_PKEY_is_a(made.key, t->openssl));
		} else {
			assert_fails(ks_keygen_check(&how, &error), KS_ERR_UNSUPPORTED);
			assert_says(t->openssl);
			assert_says("3.5");
			assert_says(OpenSSL_version(OPENSSL_VERSION_STRING));
		}
	}
}

static int compare_serials(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void every_serial_is_another(void **state)
{
	enum { MANY = 200 };
	static unsigned char serials[MANY][16];
	unsigned char all_and[16], all_or[16] = { 0 };
	struct ks_keygen how = wish("ecdsa");

	(void)state;
	memset(all_and, 0xff, sizeof(all_and));
	for (int i = 0; i < MANY; i++) {
		MADE made;

		make(&how, &made);
		check_serial(made.cert);
		memcpy(serials[i], ASN1_STRING_get0_data(X509_get0_serialNumber(made.cert)), 16);
		for (int k = 0; k < 16; k++) {
			all_and[k] &= serials[i][k];
			all_or[k] |= serials[i][k];
		}
	}
	qsort(serials, MANY, 16, compare_serials);
	for (int i = 1; i < MANY; i++)
		assert_memory_not_equal(serials[i - 1], serials[i], 16);
	/* No bit but the first byte's two stands still. */
	for (int k = 0; k < 16; k++)
		assert_int_equal((all_or[k] & ~all_and[k]) | (k ? 0 : 0xc0), 0xff);
}

/* --- the subject ---------------------------------------------------------------------------- */

/* "Out-of-tree module signing key HOST DATE ID", HOST being a beginning of HOST. */
static void check_own_name(X509 *cert, const char *host)
{
	static const char start[] = "Out-of-tree module signing key ";
	const char *name = common_name(cert);
	size_t len = strlen(name), kept = len - (sizeof(start) - 1) - strlen(" " DATE " 12345678");
	unsigned char id[EVP_MAX_MD_SIZE];
	char end[32];

	assert_true(len <= 64);
	assert_true(strncmp(name, start, sizeof(start) - 1) == 0);
	assert_true(strncmp(name + sizeof(start) - 1, host, kept) == 0);
	assert_true(kept == strlen(host) || len > 60);
	key_id(cert, id);
	snprintf(end, sizeof(end), " " DATE " %02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	assert_string_equal(name + len - strlen(end), end);
}

static void hosts_of_any_length(void **state)
{
	char host[300];

	(void)state;
	for (size_t len = 1; len < sizeof(host); len += len < 20 ? 1 : 93) {
		struct ks_keygen how = wish("ecdsa");
		MADE made;

		memset(host, 'h', len);
		host[len] = '\0';
		how.host = host;
		make(&how, &made);
		check_own_name(made.cert, host);
	}
}

/* The kernel lets a host's name be any bytes; whatever it is, there has to be a key. */
static void hosts_that_are_not_ascii(void **state)
{
	static const char *const hosts[] = {
		"", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
		"a\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", "\xe4\xff", "a\nb"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		struct ks_keygen how = wish("ecdsa");
		MADE made;

		how.host = hosts[i];
		make(&how, &made);
		assert_true(strlen(common_name(made.cert)) <= 64);
	}
}

static void a_subject_of_ones_own(void **state)
{
	static const char longest[] =
		"1234567890123456789012345678901234567890123456789012345678901234";
	static const char *const good[] = { "x", "My key, \"mine\" + \\ #1 = /CN=a", longest };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct ks_keygen how = wish("ecdsa");
		MADE made;

		how.subject = good[i];
		make(&how, &made);
		assert_string_equal(common_name(made.cert), good[i]);
		check_extensions(made.cert);
	}
}

static void a_subject_is_too_long(void **state)
{
	static const char too_long[] =
		"12345678901234567890123456789012345678901234567890123456789012345";
	struct ks_keygen how = wish("ecdsa");

	(void)state;
	how.subject = too_long;
	assert_fails(ks_keygen_check(&how, &error), KS_ERR_USAGE);
	assert_says("64");
	how.subject = "";
	assert_fails(ks_keygen_check(&how, &error), KS_ERR_USAGE);
}

/* The limit of X.509 is one of characters. */
static void a_subject_counts_in_characters(void **state)
{
	struct ks_keygen how = wish("ecdsa");
	char subject[131] = "";
	MADE made;

	(void)state;
	for (int i = 0; i < 64; i++)
		strcat(subject, "\xc3\xb6");
	how.subject = subject;
	make(&how, &made);
	assert_string_equal(common_name(made.cert), subject);
	strcat(subject, "x");
	assert_fails(ks_keygen_check(&how, &error), KS_ERR_USAGE);
}

static void a_subject_that_is_no_text(void **state)
{
	struct ks_keygen how = wish("ecdsa");

	(void)state;
	how.subject = "\xe4\xff";
	refuse(&how, KS_ERR_INPUT);
}

/* --- days and hashes ------------------------------------------------------------------------ */

static void days(void **state)
{
	static const unsigned good[] = { 1, 30, 365, 36500, 1000000 };
	static const unsigned bad[] = { 4000000, 2147483647, 2147483648, 4294967295 };
	struct ks_keygen how = wish("ecdsa");

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		MADE made;

		how.days = good[i];
		make(&how, &made);
		check_time(X509_get0_notBefore(made.cert), NOW);
		check_time(X509_get0_notAfter(made.cert), NOW + (time_t)good[i] * DAY);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		how.days = bad[i];
		refuse(&how, KS_ERR_USAGE);
		assert_says("days");
	}
}

static void clocks(void **state)
{
	static const time_t clocks[] = { 0, 1, 2524607999, 2524608000, (time_t)250000000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		struct ks_keygen how = wish("ecdsa");
		MADE made;

		how.now = clocks[i];
		how.days = 1;
		make(&how, &made);
		check_time(X509_get0_notBefore(made.cert), clocks[i]);
		check_time(X509_get0_notAfter(made.cert), clocks[i] + DAY);
	}
}

static void hashes(void **state)
{
	static const struct {
		const char *name;
		int nid;
	} known[] = { { "sha256", NID_sha256 },	    { "sha384", NID_sha384 },
		      { "sha512", NID_sha512 },	    { "sha3-256", NID_sha3_256 },
		      { "sha3-384", NID_sha3_384 }, { "sha3-512", NID_sha3_512 } };
	static const char *const unknown[] = { "", "sha", "sha999", "sha512 ", "none" };
	bool sha3 = OpenSSL_version_num() >= OPENSSL_3_2;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct ks_keygen how = wish("ecdsa");
		MADE made;

		how.hash = known[i].name;
		if (i >= 3 && !sha3) {
			/* A key for it could be made, but no module signed. */
			assert_fails(ks_keygen_check(&how, &error), KS_ERR_UNSUPPORTED);
			assert_says(known[i].name);
			assert_says("3.2");
			made = (struct made){ 0 };
			continue;
		}
		make(&how, &made);
		assert_int_equal(signed_with(made.cert), known[i].nid);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		struct ks_keygen how = wish("ecdsa");

		how.hash = unknown[i];
		assert_fails(ks_keygen_check(&how, &error), KS_ERR_UNSUPPORTED);
		refuse(&how, KS_ERR_UNSUPPORTED);
	}
}

/* A digest that is too long for the key: found out when the key has been made already. */
static void a_certificate_that_cannot_be_signed(void **state)
{
	struct ks_keygen how = wish("ecdsa");

	(void)state;
	how.hash = "shake256";
	refuse(&how, KS_ERR_CRYPTO);
}

/* --- x509.oot.genkey ------------------------------------------------------------------------ */

#define REQUEST                                                                  \
	"[ req ]\ndefault_bits = 2048\ndistinguished_name = name\nprompt = no\n" \
	"string_mask = utf8only\nx509_extensions = extensions\n"
#define NAME "[ name ]\nCN = Local key\n"
#define EXTENSIONS                                                                        \
	"[ extensions ]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\n" \
	"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"

static struct ks_keygen by_template(const char *type, const char *template)
{
	struct ks_keygen how = wish(type);

	how.template = text_view(template);
	return how;
}

/* As 3.0 shipped it: size, name and extensions are the template's, the rest is as without one. */
static void a_template_of_old(void **state)
{
	struct ks_keygen how = by_template("rsa", REQUEST NAME EXTENSIONS);
	MADE made;

	(void)state;
	make(&how, &made);
	assert_int_equal(EVP_PKEY_get_bits(made.key), 2048);
	assert_string_equal(common_name(made.cert), "Local key");
	check_serial(made.cert);
	check_time(X509_get0_notAfter(made.cert), NOW + (time_t)36500 * DAY);
	assert_int_equal(X509_get_version(made.cert), X509_VERSION_3);
	value_of(made.cert, NID_basic_constraints, true);
	value_of(made.cert, NID_key_usage, false);
	value_of(made.cert, NID_subject_key_identifier, false);
	assert_int_equal(X509_get_ext_by_NID(made.cert, NID_ext_key_usage, -1), -1);
	assert_int_equal(signed_with(made.cert), NID_sha512);
}

static void a_templates_bits_are_rsas(void **state)
{
	struct ks_keygen how = by_template("ecdsa", REQUEST NAME EXTENSIONS);
	MADE made;

	(void)state;
	make(&how, &made);
	assert_int_equal(EVP_PKEY_get_bits(made.key), 384);
}

static void a_template_of_many_fields(void **state)
{
	struct ks_keygen how = by_template(
		"ecdsa", REQUEST
		"[ name ]\nC = DE\nO = Some \\\"company\\\"\nOU = one\n1.OU = two\n23.OU = three\n"
		"CN = K\xc3\xa4sekern\nemailAddress = who@example.org\n" EXTENSIONS);
	MADE made;

	(void)state;
	make(&how, &made);
	check_subject(made.cert, "C=DE,O=Some \"company\",OU=one,OU=two,OU=three,"
				 "CN=K\xc3\xa4sekern,emailAddress=who@example.org");
}

static void a_subject_over_a_template(void **state)
{
	struct ks_keygen how = by_template("ecdsa", REQUEST NAME EXTENSIONS);
	MADE made;

	(void)state;
	how.subject = "Another";
	make(&how, &made);
	assert_string_equal(common_name(made.cert), "Another");
	assert_int_equal(X509_get_ext_by_NID(made.cert, NID_ext_key_usage, -1), -1);
}

static void a_template_of_many_extensions(void **state)
{
	struct ks_keygen how = by_template(
		"ecdsa",
		"usage = digitalSignature\n" REQUEST NAME
		"[ extensions ]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,$usage\n"
		"extendedKeyUsage=codeSigning,1.3.6.1.4.1.2312.16.1.2\n"
		"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\n"
		"subjectAltName=@names\n1.2.3.4=ASN1:UTF8String:text\n"
		"[ names ]\nemail.1=a@example.org\nemail.2=b@example.org\n");
	MADE made;
	GENERAL_NAMES *names;

	(void)state;
	make(&how, &made);
	assert_int_equal(X509_get_ext_count(made.cert), 7);
	assert_view_equal(value_of(made.cert, NID_basic_constraints, true),
			  ks_view_of("\x30\x03\x01\x01\xff", 5));
	assert_view_equal(value_of(made.cert, NID_key_usage, true),
			  ks_view_of("\x03\x02\x07\x80", 4));
	names = X509_get_ext_d2i(made.cert, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 2);
	GENERAL_NAMES_free(names);
}

static void broken_templates(void **state)
{
	static const char *const broken[] = {
		"[ req\n",
		"no section and no sign\n",
		"\xff\xfe\x00",
		"[ other ]\nCN = x\n",
		"[ req ]\n",
		"[ req ]\nx509_extensions = extensions\n" NAME EXTENSIONS,
		"[ req ]\ndistinguished_name = name\n" NAME EXTENSIONS,
		REQUEST EXTENSIONS,
		REQUEST NAME,
		REQUEST "[ name ]\n" EXTENSIONS,
		REQUEST "[ name ]\nnonsense = x\n" EXTENSIONS,
		REQUEST "[ name ]\nCN =\n" EXTENSIONS,
		REQUEST "[ name ]\nC = Germany\n" EXTENSIONS,
		REQUEST
		"[ name ]\nCN = "
		"12345678901234567890123456789012345678901234567890123456789012345\n" EXTENSIONS,
		REQUEST "[ name ]\nCN = \xff\n" EXTENSIONS,
		REQUEST NAME "[ extensions ]\nnonsense = x\n",
		REQUEST NAME "[ extensions ]\nkeyUsage = nonsense\n",
		REQUEST NAME "[ extensions ]\nbasicConstraints = CA:perhaps\n",
		REQUEST NAME "[ extensions ]\nsubjectAltName = @nowhere\n",
		REQUEST NAME "[ extensions ]\nkeyUsage = $nowhere\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		struct ks_keygen how = by_template("ecdsa", broken[i]);

		refuse(&how, KS_ERR_INPUT);
	}
}

static void broken_bits(void **state)
{
	static const char *const bits[] = {
		"1024",	 "0",	     "-2048", "many", "", "16385", "99999999999999999999",
		"2048x", "2048 4096"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		KS_STRING text = NULL;
		struct ks_keygen how;

		assert_ok(ks_string_print(&text, &error,
					  "[ req ]\ndefault_bits = %s\ndistinguished_name = name\n"
					  "x509_extensions = extensions\n" NAME EXTENSIONS,
					  bits[i]));
		how = by_template("rsa", text);
		refuse(&how, KS_ERR_INPUT);
		assert_says("default_bits");
	}
}

/* --- words and files ------------------------------------------------------------------------ */

static void types_by_name(void **state)
{
	static const char *const names[] = { "rsa",	 "ecdsa",    "ec",	"mldsa-44",
					     "mldsa-65", "mldsa-87", "RSA",	"EC",
					     "ECDSA",	 "MLDSA-65", "Mldsa-87" };
	static const char *const others[] = {
		"", "rs", "rsa4096", "dsa", "ed25519", "mldsa", "ec "
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_non_null(ks_key_type_find(names[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_null(ks_key_type_find(others[i]));
	assert_ptr_equal(ks_key_type_find("ec"), ks_key_type_find("ecdsa"));
	assert_string_equal(ks_key_type_find("EC")->symbol, "CONFIG_MODULE_SIG_KEY_TYPE_ECDSA");
	assert_string_equal(ks_key_type_find("ecdsa")->word, "ec");
	assert_string_equal(ks_key_type_find("mldsa-44")->symbol,
			    "CONFIG_MODULE_SIG_KEY_TYPE_MLDSA_44");
}

/* Both behind one another, as signing_key.pem has them, and what was in the buffer before. */
static void written_as_pem(void **state)
{
	struct ks_keygen how = wish("ecdsa");
	KS_BUF file = { 0 };
	KS_EVP_PKEY *key = NULL;
	KS_X509 *cert = NULL;
	KS_BIO *bio = NULL;
	MADE made;

	(void)state;
	make(&how, &made);
	assert_ok(ks_buf_append(&file, "before\n", 7, &error));
	assert_ok(ks_key_write_pem(made.key, &file, &error));
	assert_ok(ks_cert_write_pem(made.cert, &file, &error));
	assert_true(ks_view_starts_with(ks_buf_view(&file), "before\n-----BEGIN PRIVATE KEY-----\n",
					35));
	bio = BIO_new_mem_buf(file.data, (int)file.len);
	/* clang-format off */
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
	/* clang-format on */
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_int_equal(EVP_PKEY_eq(key, made.key), 1);
	assert_int_equal(X509_cmp(cert, made.cert), 0);
	assert_true(BIO_eof(bio));
}

static void written_as_der(void **state)
{
	struct ks_keygen how = wish("ecdsa");
	KS_BUF file = { 0 };
	KS_X509 *cert = NULL;
	const unsigned char *at;
	MADE made;

	(void)state;
	make(&how, &made);
	assert_ok(ks_cert_write_der(made.cert, &file, &error));
	at = file.data;
	cert = d2i_X509(NULL, &at, (long)file.len);
	assert_ptr_equal(at, file.data + file.len);
	assert_int_equal(X509_cmp(cert, made.cert), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ecdsa),
		cmocka_unit_test(rsa),
		cmocka_unit_test(mldsa),
		cmocka_unit_test(every_serial_is_another),
		cmocka_unit_test(hosts_of_any_length),
		cmocka_unit_test(hosts_that_are_not_ascii),
		cmocka_unit_test(a_subject_of_ones_own),
		cmocka_unit_test(a_subject_is_too_long),
		cmocka_unit_test(a_subject_counts_in_characters),
		cmocka_unit_test(a_subject_that_is_no_text),
		cmocka_unit_test(days),
		cmocka_unit_test(clocks),
		cmocka_unit_test(hashes),
		cmocka_unit_test(a_certificate_that_cannot_be_signed),
		cmocka_unit_test(a_template_of_old),
		cmocka_unit_test(a_templates_bits_are_rsas),
		cmocka_unit_test(a_template_of_many_fields),
		cmocka_unit_test(a_subject_over_a_template),
		cmocka_unit_test(a_template_of_many_extensions),
		cmocka_unit_test(broken_templates),
		cmocka_unit_test(broken_bits),
		cmocka_unit_test(types_by_name),
		cmocka_unit_test(written_as_pem),
		cmocka_unit_test(written_as_der),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
