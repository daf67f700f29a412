/* SPDX-License-Identifier: MIT */
/* Certificates in and out, their names, numbers and dates; and how OpenSSL is spoken to. */
#include "fixture.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strings.h"
#include "core/cert.h"

static X509 *our_cert(void)
{
	return identity("P-256", 1)->cert;
}

static EVP_PKEY *our_key(void)
{
	return identity("P-256", 1)->key;
}

/* FILE, in memory of its own, gives CERT. */
static void expect(const struct ks_buf *file, X509 *cert)
{
	KS_X509 *found = NULL;
	KS_BUF copy = { 0 };

	assert_ok(ks_buf_append(&copy, file->data, file->len, &error));
	assert_ok(ks_cert_parse(ks_buf_view(&copy), &found, &error));
	assert_int_equal(X509_cmp(found, cert), 0);
	assert_int_equal(ERR_peek_error(), 0);
}

static void expect_none(struct ks_view file)
{
	X509 *cert = NULL;
	KS_BUF copy = { 0 };

	assert_ok(ks_buf_append(&copy, file.data, file.len, &error));
	assert_fails(ks_cert_parse(ks_buf_view(&copy), &cert, &error), KS_ERR_KEY);
}

static void pem_and_der(void **state)
{
	KS_BUF pem = { 0 };
	KS_BUF der = { 0 };

	(void)state;
	put_cert_pem(&pem, our_cert());
	put_cert_der(&der, our_cert());
	expect(&pem, our_cert());
	expect(&der, our_cert());
}

static void the_first_of_several(void **state)
{
	KS_BUF pem = { 0 };
	KS_BUF der = { 0 };

	(void)state;
	put_cert_pem(&pem, our_cert());
	put_cert_pem(&pem, identity("P-384", 1)->cert);
	put_cert_der(&der, our_cert());
	put_cert_der(&der, identity("P-384", 1)->cert);
	expect(&pem, our_cert());
	expect(&der, our_cert());
}

static void behind_a_private_key(void **state)
{
	KS_BUF pem = { 0 };
	KS_BUF locked = { 0 };

	(void)state;
	put_key_pem(&pem, our_key(), NULL);
	put_cert_pem(&pem, our_cert());
	put_key_pem(&locked, our_key(), "secret");
	put_cert_pem(&locked, our_cert());
	expect(&pem, our_cert());
	expect(&locked, our_cert());
}

static void behind_words(void **state)
{
	static const char *const words[] = { "Bag Attributes\n  friendlyName: x\n\n", "\n\n",
					     "0. the certificate of the build\n",
					     "\xef\xbb\xbf\nutf-8\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		KS_BUF pem = { 0 };

		assert_ok(ks_buf_append(&pem, words[i], strlen(words[i]), &error));
		put_cert_pem(&pem, our_cert());
		expect(&pem, our_cert());
	}
}

static void what_is_no_certificate(void **state)
{
	KS_BUF key = { 0 };
	KS_BUF der_key = { 0 };

	(void)state;
	put_key_pem(&key, our_key(), NULL);
	put_key_der(&der_key, our_key());
	expect_none(ks_buf_view(&key));
	expect_none(ks_buf_view(&der_key));
	expect_none(ks_view_of("", 0));
	expect_none(text_view("0"));
	expect_none(text_view("0\x82\xff\xff"));
	expect_none(text_view("\n"));
	expect_none(text_view("no certificate at all\n"));
	expect_none(text_view("-----BEGIN CERTIFICATE-----\n"));
	expect_none(text_view("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"));
	expect_none(text_view("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"));
}

static void no_cut_and_no_junk_passes(void **state)
{
	KS_BUF der = { 0 };

	(void)state;
	put_cert_der(&der, our_cert());
	for (size_t len = 0; len < der.len; len++)
		expect_none(ks_view_of(der.data, len));
	for (uint32_t seed = 0; seed < 100; seed++) {
		KS_BUF junk = { 0 };

		fill(&junk, 200, seed);
		expect_none(ks_buf_view(&junk));
	}
}

/*
 * A certificate block that claims to be encrypted: whoever reads it must not ask for a passphrase,
 * neither on a terminal nor where the program was started.
 */
static int parse_locked_block(void *arg)
{
	static const char file[] = "-----BEGIN CERTIFICATE-----\n"
				   "Proc-Type: 4,ENCRYPTED\n"
				   "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
				   "AAAAAAAAAAAAAAAAAAAAAA==\n"
				   "-----END CERTIFICATE-----\n";
	const int *output = arg;
	X509 *cert;
	int input[2];

	/* Without a terminal OpenSSL asks where standard error goes, and reads standard input. */
	if (setsid() < 0 || pipe(input) || close(input[1]) || dup2(input[0], STDIN_FILENO) < 0 ||
	    dup2(output[1], STDERR_FILENO) < 0)
		return 1;
	return ks_cert_parse(text_view(file), &cert, &error) ? 2 : 0;
}

static void nobody_is_asked_for_a_passphrase(void **state)
{
	char said[64] = "";
	int output[2];
	ssize_t len;

	(void)state;
	assert_int_equal(pipe(output), 0);
	assert_int_equal(run_as_nobody(parse_locked_block, output), 0);
	close(output[1]);
	len = read(output[0], said, sizeof(said) - 1);
	close(output[0]);
	assert_string_equal(said, "");
	assert_int_equal(len, 0);
}

static void dates_against_a_given_now(void **state)
{
	enum { FROM = 1600000000, UNTIL = 1700000000 };
	KS_X509 *cert = make_cert(our_key(),
				  &(struct cert_spec){ .cn = "x", .from = FROM, .until = UNTIL });

	(void)state;
	assert_int_equal(ks_cert_time_check(cert, 0), KS_CERT_NOT_YET_VALID);
	assert_int_equal(ks_cert_time_check(cert, FROM - 1), KS_CERT_NOT_YET_VALID);
	assert_int_equal(ks_cert_time_check(cert, FROM), KS_CERT_VALID);
	assert_int_equal(ks_cert_time_check(cert, FROM + 1), KS_CERT_VALID);
	assert_int_equal(ks_cert_time_check(cert, UNTIL - 1), KS_CERT_VALID);
	assert_int_equal(ks_cert_time_check(cert, UNTIL + 1), KS_CERT_EXPIRED);
	assert_int_equal(ks_cert_time_check(cert, 2100000000), KS_CERT_EXPIRED);
}

static void dates_far_away(void **state)
{
	const time_t from = 0, until = 253402300799; /* the end of the year 9999 */
	KS_X509 *cert = make_cert(our_key(),
				  &(struct cert_spec){ .cn = "x", .from = from, .until = until });

	(void)state;
	assert_int_equal(ks_cert_time_check(cert, -1), KS_CERT_NOT_YET_VALID);
	assert_int_equal(ks_cert_time_check(cert, 0), KS_CERT_VALID);
	assert_int_equal(ks_cert_time_check(cert, (time_t)5000000000), KS_CERT_VALID);
	assert_int_equal(ks_cert_time_check(cert, until - 1), KS_CERT_VALID);
}

/* --- names ---------------------------------------------------------------------------------- */

static void add_entry(X509_NAME *name, const char *field, int type, const char *value, int len)
{
	assert_true(X509_NAME_add_entry_by_txt(name, field, type, (const unsigned char *)value, len,
					       -1, 0));
}

static void expect_name(const X509_NAME *name, const char *wanted_short, const char *wanted_full)
{
	KS_STRING name_short = NULL;
	KS_STRING name_full = NULL;

	assert_ok(ks_name_short(name, &name_short, &error));
	assert_ok(ks_name_full(name, &name_full, &error));
	assert_string_equal(name_short, wanted_short);
	assert_string_equal(name_full, wanted_full);
	assert_int_equal(ERR_peek_error(), 0);
}

static void names_with_a_common_name(void **state)
{
	X509_NAME *name = X509_NAME_new();

	(void)state;
	add_entry(name, "O", MBSTRING_ASC, "The house", -1);
	add_entry(name, "CN", MBSTRING_ASC, "Build key", -1);
	expect_name(name, "Build key", "CN=Build key,O=The house");
	add_entry(name, "CN", MBSTRING_ASC, "Last, least", -1);
	expect_name(name, "Last, least", "CN=Last\\, least,CN=Build key,O=The house");
	X509_NAME_free(name);
}

static void names_without_one(void **state)
{
	X509_NAME *name = X509_NAME_new();

	(void)state;
	add_entry(name, "O", MBSTRING_ASC, "The house", -1);
	add_entry(name, "emailAddress", MBSTRING_ASC, "a@b", -1);
	expect_name(name, "emailAddress=a@b,O=The house", "emailAddress=a@b,O=The house");
	X509_NAME_free(name);
}

static void names_with_nothing_in_them(void **state)
{
	X509_NAME *name = X509_NAME_new();

	(void)state;
	expect_name(name, "", "");
	X509_NAME_free(name);
}

static void names_in_other_letters(void **state)
{
	X509_NAME *utf8 = X509_NAME_new(), *latin = X509_NAME_new(), *bmp = X509_NAME_new();

	(void)state;
	add_entry(utf8, "CN", MBSTRING_UTF8, "Schlüssel 鍵", -1);
	expect_name(utf8, "Schlüssel 鍵", "CN=Schlüssel 鍵");
	add_entry(latin, "CN", V_ASN1_T61STRING, "Schl\xfcssel", -1);
	expect_name(latin, "Schlüssel", "CN=Schlüssel");
	add_entry(bmp, "CN", V_ASN1_BMPSTRING, "\x93\x75\0K", 4);
	expect_name(bmp, "鍵K", "CN=鍵K");
	X509_NAME_free(utf8);
	X509_NAME_free(latin);
	X509_NAME_free(bmp);
}

/* Nothing in a name is trusted: it is given as text all the same, and nothing is read past it. */
static void names_with_bytes_that_are_no_text(void **state)
{
	static const struct {
		int type;
		const char *value;
		int len;
	} cases[] = {
		{ V_ASN1_UTF8STRING, "\xff\xfe", 2 },
		{ V_ASN1_BMPSTRING, "\xd8\0", 2 },
		{ V_ASN1_UNIVERSALSTRING, "\xff\xff\xff\xff", 4 },
		{ V_ASN1_BIT_STRING, "\1\2", 2 },
		{ V_ASN1_PRINTABLESTRING, "a\nb\x1b[m", 6 },
		{ V_ASN1_UTF8STRING, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		X509_NAME *name = X509_NAME_new();
		KS_STRING text = NULL;

		add_entry(name, "CN", cases[i].type, cases[i].value, cases[i].len);
		error = (struct ks_error){ 0 };
		if (ks_name_short(name, &text, &error))
			assert_non_null(text);
		else
			assert_int_not_equal(error.code, KS_ERR_NONE);
		assert_int_equal(ERR_peek_error(), 0);
		X509_NAME_free(name);
	}
}

/* "Debian" followed by a zero byte and more must not be shown as "Debian". */
static void a_zero_byte_does_not_end_a_name(void **state)
{
	X509_NAME *name = X509_NAME_new();
	KS_STRING text = NULL;

	(void)state;
	add_entry(name, "CN", V_ASN1_UTF8STRING, "Debian\0 or not", 14);
	assert_ok(ks_name_short(name, &text, &error));
	assert_string_not_equal(text, "Debian");
	X509_NAME_free(name);
}

/* --- numbers -------------------------------------------------------------------------------- */

static void expect_serial(const char *decimal, const char *hex)
{
	KS_X509 *cert = make_cert(our_key(), &(struct cert_spec){ .cn = "x", .serial = decimal });
	KS_STRING text = NULL;

	assert_ok(ks_integer_hex(X509_get0_serialNumber(cert), &text, &error));
	assert_string_equal(text, hex);
}

static void serial_numbers(void **state)
{
	(void)state;
	expect_serial("0", "00");
	expect_serial("1", "01");
	expect_serial("127", "7f");
	expect_serial("128", "80");
	expect_serial("255", "ff");
	expect_serial("256", "0100");
	expect_serial("-1", "-01");
	expect_serial("-255", "-ff");
	expect_serial("1461501637330902918203684832716283019655932542975", /* 20 bytes */
		      "ffffffffffffffffffffffffffffffffffffffff");
	expect_serial("95780971304118053647396689196894323976171195136475136", /* 23 bytes */
		      "0100000000000000000000000000000000000000000000");
}

static void serial_numbers_after_a_round_trip(void **state)
{
	static const char *const decimal[] = { "0", "128", "-128", "-1" };
	static const char *const hex[] = { "00", "80", "-80", "-01" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		KS_X509 *cert = make_cert(our_key(),
					  &(struct cert_spec){ .cn = "x", .serial = decimal[i] });
		KS_X509 *again = NULL;
		KS_STRING text = NULL;
		KS_BUF der = { 0 };

		put_cert_der(&der, cert);
		assert_ok(ks_cert_parse(ks_buf_view(&der), &again, &error));
		assert_ok(ks_integer_hex(X509_get0_serialNumber(again), &text, &error));
		assert_string_equal(text, hex[i]);
	}
}

static void octets(void **state)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	KS_STRING none = NULL;
	KS_STRING some = NULL;

	(void)state;
	assert_ok(ks_octets_hex(value, &none, &error));
	assert_string_equal(none, "");
	assert_true(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\0\xab\xcd\x01\0", 5));
	assert_ok(ks_octets_hex(value, &some, &error));
	assert_string_equal(some, "00abcd0100");
	ASN1_OCTET_STRING_free(value);
}

/* --- all of it as text ---------------------------------------------------------------------- */

static void a_certificate_described(void **state)
{
	KS_X509 *with =
		make_cert(our_key(), &(struct cert_spec){ .cn = "x", .from = 1, .until = 99 });
	KS_X509 *without =
		make_cert(our_key(), &(struct cert_spec){ .cn = "x", .no_key_id = true });
	KS_CERT_TEXT text = { 0 };
	KS_CERT_TEXT less = { 0 };

	(void)state;
	assert_ok(ks_cert_describe(with, &text, &error));
	assert_string_equal(text.subject, "CN=x");
	assert_string_equal(text.issuer, "CN=x");
	assert_string_equal(text.serial, "499602d2");
	assert_int_equal(strlen(text.key_id), 40);
	assert_string_equal(text.not_before, "1970-01-01T00:00:01Z");
	assert_string_equal(text.not_after, "1970-01-01T00:01:39Z");
	assert_null(text.usage);
	assert_ok(ks_cert_describe(without, &less, &error));
	assert_null(less.key_id);
}

static void add_usage(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_true(X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

static void what_a_certificate_is_for(void **state)
{
	KS_X509 *made = make_cert(our_key(), &(struct cert_spec){ .cn = "x" });
	KS_X509 *cert = NULL;
	KS_CERT_TEXT text = { 0 };
	KS_BUF der = { 0 };

	(void)state;
	add_usage(made, NID_key_usage, "critical,digitalSignature,keyCertSign,keyEncipherment");
	add_usage(made, NID_ext_key_usage, "codeSigning,clientAuth");
	assert_true(X509_sign(made, our_key(), EVP_sha256()) > 0);
	put_cert_der(&der, made);
	assert_ok(ks_cert_parse(ks_buf_view(&der), &cert, &error));
	assert_ok(ks_cert_describe(cert, &text, &error));
	assert_string_equal(text.usage, "digitalSignature, keyCertSign, codeSigning");
}

/* --- OpenSSL itself ------------------------------------------------------------------------- */

static void openssl_s_first_error_is_ours(void **state)
{
	(void)state;
	ERR_clear_error();
	ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
	ERR_raise(ERR_LIB_ASN1, ASN1_R_TOO_LONG);
	assert_fails(ks_fail_openssl(&error, KS_ERR_CRYPTO, "digest"), KS_ERR_CRYPTO);
	assert_string_equal(error.text, "digest: no start line");
	assert_fails(ks_fail_openssl(&error, KS_ERR_KEY, "digest"), KS_ERR_KEY);
	assert_string_equal(error.text, "digest: failed");
}

static void a_bio_over_a_view(void **state)
{
	KS_BIO *bio = NULL;
	KS_BIO *empty = NULL;
	BIO *none = NULL;
	char text[8];

	(void)state;
	assert_ok(ks_bio_open(ks_view_of("a\0b", 3), &bio, &error));
	assert_int_equal(BIO_read(bio, text, sizeof(text)), 3);
	assert_memory_equal(text, "a\0b", 3);
	assert_ok(ks_bio_open(ks_view_of(NULL, 0), &empty, &error));
	assert_true(BIO_read(empty, text, sizeof(text)) <= 0);
	assert_fails(ks_bio_open(ks_view_of("", (size_t)INT_MAX + 1), &none, &error), KS_ERR_INPUT);
	ERR_clear_error();
}

static void writing_into_a_chain(void **state)
{
	KS_BIO *sink = BIO_new(BIO_s_mem());
	KS_BIO *source = NULL;
	KS_BUF bytes = { 0 };
	char *there;

	(void)state;
	fill(&bytes, 100000, 1);
	assert_ok(ks_bio_write(sink, ks_buf_view(&bytes), &error));
	assert_ok(ks_bio_write(sink, ks_view_of(NULL, 0), &error));
	assert_int_equal(BIO_get_mem_data(sink, &there), 100000);
	assert_memory_equal(there, bytes.data, 100000);
	assert_ok(ks_bio_open(text_view("read only"), &source, &error));
	assert_fails(ks_bio_write(source, text_view("x"), &error), KS_ERR_CRYPTO);
}

/* By OpenSSL, whose structure keeps the part that is signed. */
static void the_digest_of_what_is_signed(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "ED25519" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (int n = 1; n < 3; n++) {
			X509 *cert = identity(kinds[i], n)->cert;
			unsigned char *tbs = NULL;
			uint8_t wanted[32], found[32] = { 0 };
			int len = i2d_re_X509_tbs(cert, &tbs);

			assert_true(len > 0);
			assert_int_equal(
				EVP_Digest(tbs, (size_t)len, wanted, NULL, EVP_sha256(), NULL), 1);
			OPENSSL_free(tbs);
			assert_true(ks_cert_tbs_sha256(cert, found));
			assert_memory_equal(found, wanted, sizeof(found));
		}
	assert_int_equal(ERR_peek_error(), 0);
}

/* The same certificate, signed anew: another file, but the same part is signed. */
static void the_digest_of_what_is_signed_is_not_of_the_signature(void **state)
{
	KS_X509 *again = X509_dup(our_cert());
	uint8_t before[32], after[32];

	(void)state;
	assert_true(X509_sign(again, our_key(), EVP_sha256()) > 0);
	assert_int_not_equal(X509_cmp(again, our_cert()), 0);
	assert_true(ks_cert_tbs_sha256(our_cert(), before));
	assert_true(ks_cert_tbs_sha256(again, after));
	assert_memory_equal(before, after, sizeof(before));
}

static void what_is_no_whole_certificate_has_no_digest(void **state)
{
	KS_X509 *empty = X509_new();
	uint8_t hash[32];

	(void)state;
	assert_false(ks_cert_tbs_sha256(empty, hash));
	ERR_clear_error();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pem_and_der),
		cmocka_unit_test(the_first_of_several),
		cmocka_unit_test(behind_a_private_key),
		cmocka_unit_test(behind_words),
		cmocka_unit_test(what_is_no_certificate),
		cmocka_unit_test(no_cut_and_no_junk_passes),
		cmocka_unit_test(nobody_is_asked_for_a_passphrase),
		cmocka_unit_test(dates_against_a_given_now),
		cmocka_unit_test(dates_far_away),
		cmocka_unit_test(names_with_a_common_name),
		cmocka_unit_test(names_without_one),
		cmocka_unit_test(names_with_nothing_in_them),
		cmocka_unit_test(names_in_other_letters),
		cmocka_unit_test(names_with_bytes_that_are_no_text),
		cmocka_unit_test(a_zero_byte_does_not_end_a_name),
		cmocka_unit_test(serial_numbers),
		cmocka_unit_test(serial_numbers_after_a_round_trip),
		cmocka_unit_test(octets),
		cmocka_unit_test(a_certificate_described),
		cmocka_unit_test(what_a_certificate_is_for),
		cmocka_unit_test(the_digest_of_what_is_signed),
		cmocka_unit_test(the_digest_of_what_is_signed_is_not_of_the_signature),
		cmocka_unit_test(what_is_no_whole_certificate_has_no_digest),
		cmocka_unit_test(openssl_s_first_error_is_ours),
		cmocka_unit_test(a_bio_over_a_view),
		cmocka_unit_test(writing_into_a_chain),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
