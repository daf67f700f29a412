/* SPDX-License-Identifier: MIT */
/*
 * Keys read from files, and the messages that a signer makes: the bytes of the kernel's own tool,
 * in as many threads as one likes; and everything that can be wrong with a key.
 */
#include "fixture.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/key.h"
#include "core/signer.h"

static const struct ks_view image = { (const uint8_t *)"the image of a module", 21 };

/* Key and certificate of an identity as files, and a specification that names them. */
struct files {
	struct ks_buf key, cert;
	struct key_spec spec;
};

#define FILES __attribute__((cleanup(free_files))) struct files

static void free_files(struct files *files)
{
	ks_buf_free(&files->key);
	ks_buf_free(&files->cert);
}

static struct files files_of(const char *kind, const char *hash)
{
	struct files f = { 0 };

	put_key_pem(&f.key, identity(kind, 1)->key, NULL);
	put_cert_pem(&f.cert, identity(kind, 1)->cert);
	f.spec = (struct key_spec){ .key_name = "my.key",
				    .cert_name = "my.crt",
				    .key = ks_buf_view(&f.key),
				    .cert = ks_buf_view(&f.cert),
				    .hash = hash };
	return f;
}

static void cannot_open(const struct key_spec *spec, enum ks_code code, const char *says)
{
	struct ks_signer *signer = (struct ks_signer *)(uintptr_t)1;

	assert_fails(key_spec_open(&signer, spec, &error), code);
	assert_null(signer);
	assert_says(says);
}

static struct ks_signer *open_signer(const struct key_spec *spec)
{
	struct ks_signer *signer = NULL;

	assert_ok(key_spec_open(&signer, spec, &error));
	assert_int_equal(ERR_peek_error(), 0);
	return signer;
}

/* --- keys ----------------------------------------------------------------------------------- */

static void expect_key(const struct ks_buf *file, const char *passphrase, EVP_PKEY *key)
{
	KS_EVP_PKEY *found = NULL;
	KS_BUF copy = { 0 };

	/* In memory of its own, so that a byte read too many is seen. */
	assert_ok(ks_buf_append(&copy, file->data, file->len, &error));
	assert_ok(ks_key_parse(ks_buf_view(&copy), passphrase, &found, &error));
	assert_int_equal(EVP_PKEY_eq(found, key), 1);
	assert_int_equal(ERR_peek_error(), 0);
}

static void expect_no_key(struct ks_view file, const char *passphrase, const char *says)
{
	EVP_PKEY *key = NULL;
	KS_BUF copy = { 0 };

	assert_ok(ks_buf_append(&copy, file.data, file.len, &error));
	assert_fails(ks_key_parse(ks_buf_view(&copy), passphrase, &key, &error), KS_ERR_KEY);
	assert_says(says);
}

static void put_pem(struct ks_buf *file, int (*write)(BIO *bio, EVP_PKEY *key), EVP_PKEY *key)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long len;

	assert_true(write(bio, key));
	len = BIO_get_mem_data(bio, &data);
	assert_ok(ks_buf_append(file, data, (size_t)len, &error));
}

static int write_traditional(BIO *bio, EVP_PKEY *key)
{
	return PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
}

static int write_locked_traditional(BIO *bio, EVP_PKEY *key)
{
	return PEM_write_bio_PrivateKey_traditional(bio, key, EVP_aes_128_cbc(),
						    (const unsigned char *)"secret", 6, NULL, NULL);
}

static int write_locked_der(BIO *bio, EVP_PKEY *key)
{
	return i2d_PKCS8PrivateKey_bio(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
}

static int write_unlocked_der(BIO *bio, EVP_PKEY *key)
{
	return i2d_PKCS8PrivateKey_bio(bio, key, NULL, NULL, 0, NULL, NULL);
}

static int write_public(BIO *bio, EVP_PKEY *key)
{
	return PEM_write_bio_PUBKEY(bio, key);
}

/* As "openssl ecparam -genkey" does it. */
static int write_behind_parameters(BIO *bio, EVP_PKEY *key)
{
	return PEM_write_bio_Parameters(bio, key) && write_traditional(bio, key);
}

static void keys_in_every_form(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		EVP_PKEY *key = identity(kinds[i], 1)->key;
		struct ks_buf form[4] = { 0 };

		put_key_pem(&form[0], key, NULL);
		put_key_der(&form[1], key);
		put_pem(&form[2], write_traditional, key);
		put_pem(&form[3], write_unlocked_der, key);
		for (size_t f = 0; f < 4; f++) {
			expect_key(&form[f], NULL, key);
			expect_key(&form[f], "for nothing", key);
			ks_buf_free(&form[f]);
		}
	}
}

static void keys_among_others(void **state)
{
	EVP_PKEY *key = identity("P-256", 1)->key;
	KS_BUF before = { 0 };
	KS_BUF behind = { 0 };
	KS_BUF parameters = { 0 };
	KS_BUF words = { 0 };

	(void)state;
	put_key_pem(&before, key, NULL);
	put_cert_pem(&before, identity("P-256", 1)->cert);
	expect_key(&before, NULL, key);
	put_cert_pem(&behind, identity("P-256", 1)->cert);
	put_key_pem(&behind, key, NULL);
	expect_key(&behind, NULL, key);
	put_pem(&parameters, write_behind_parameters, key);
	expect_key(&parameters, NULL, key);
	assert_ok(ks_buf_append(&words, "0 words\n", 8, &error));
	put_key_pem(&words, key, NULL);
	expect_key(&words, NULL, key);
}

static void keys_with_a_passphrase(void **state)
{
	EVP_PKEY *key = identity("P-256", 1)->key;
	struct ks_buf form[4] = { 0 };
	char longer[2000];

	(void)state;
	memset(longer, 'p', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	put_key_pem(&form[0], key, "secret");
	put_pem(&form[1], write_locked_traditional, key);
	put_pem(&form[2], write_locked_der, key);
	put_key_pem(&form[3], key, "secret");
	put_cert_pem(&form[3], identity("P-256", 1)->cert);
	for (size_t f = 0; f < 4; f++) {
		expect_key(&form[f], "secret", key);
		expect_no_key(ks_buf_view(&form[f]), NULL, "encrypted");
		expect_no_key(ks_buf_view(&form[f]), "Secret", "does not open");
		expect_no_key(ks_buf_view(&form[f]), "", "does not open");
		expect_no_key(ks_buf_view(&form[f]), "secrets", "does not open");
		expect_no_key(ks_buf_view(&form[f]), longer, "does not open");
		ks_buf_free(&form[f]);
	}
}

static void passphrases_of_every_length(void **state)
{
	EVP_PKEY *key = identity("P-256", 1)->key;
	static const size_t lengths[] = { 1, 4, 127, 1000, 1023, 1024 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		KS_BUF file = { 0 };
		char passphrase[1025];

		memset(passphrase, 'p', lengths[i]);
		passphrase[lengths[i]] = '\0';
		put_key_pem(&file, key, passphrase);
		expect_key(&file, passphrase, key);
	}
}

static void what_is_no_key(void **state)
{
	KS_BUF cert = { 0 };
	KS_BUF der = { 0 };
	KS_BUF public = { 0 };
	KS_BUF key = { 0 };

	(void)state;
	put_cert_pem(&cert, identity("P-256", 1)->cert);
	put_cert_der(&der, identity("P-256", 1)->cert);
	put_pem(&public, write_public, identity("P-256", 1)->key);
	put_key_der(&key, identity("P-256", 1)->key);
	expect_no_key(ks_buf_view(&cert), NULL, "no private key");
	expect_no_key(ks_buf_view(&der), NULL, "no private key");
	expect_no_key(ks_buf_view(&public), NULL, "no private key");
	expect_no_key(ks_view_of("", 0), NULL, "no private key");
	expect_no_key(text_view("words"), "secret", "no private key");
	expect_no_key(text_view("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
		      NULL, "no private key");
	for (size_t len = 0; len < key.len; len++)
		expect_no_key(ks_view_of(key.data, len), NULL, "no private key");
}

/* --- opening -------------------------------------------------------------------------------- */

static void signers_that_can_be_opened(void **state)
{
	static const char *const kinds[] = { "RSA", "P-256", "P-384" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		FILES f = files_of(kinds[i], "sha384");
		struct ks_signer *signer = open_signer(&f.spec);

		assert_int_equal(X509_cmp(ks_signer_cert(signer, 0), identity(kinds[i], 1)->cert),
				 0);
		assert_string_equal(ks_signer_hash(signer), "sha384");
		assert_string_equal(ks_signer_algorithm(signer, 0),
				    i == 0 ? "rsaEncryption" : "ecdsa-with-SHA384");
		ks_signer_free(signer);
	}
	ks_signer_free(NULL);
}

/* Nothing of the files is needed once the signer is open. */
static void a_signer_keeps_what_it_needs(void **state)
{
	struct files f = files_of("P-256", "sha256");
	struct ks_signer *signer = open_signer(&f.spec);
	KS_BUF message = { 0 };

	(void)state;
	free_files(&f);
	assert_ok(ks_signer_sign(signer, image, &message, &error));
	assert_true(openssl_verifies(ks_buf_view(&message), image, identity("P-256", 1)->cert));
	ks_signer_free(signer);
}

static void key_and_certificate_in_one_file_and_in_der(void **state)
{
	KS_BUF both = { 0 };
	KS_BUF key = { 0 };
	KS_BUF cert = { 0 };
	struct key_spec spec = { .key_name = "my.key", .cert_name = "my.key", .hash = "sha256" };

	(void)state;
	put_key_pem(&both, identity("P-256", 1)->key, NULL);
	put_cert_pem(&both, identity("P-256", 1)->cert);
	spec.key = spec.cert = ks_buf_view(&both);
	ks_signer_free(open_signer(&spec));
	put_key_der(&key, identity("P-256", 1)->key);
	put_cert_der(&cert, identity("P-256", 1)->cert);
	spec.key = ks_buf_view(&key);
	spec.cert = ks_buf_view(&cert);
	ks_signer_free(open_signer(&spec));
}

/* Whose fault it is: the key's, the certificate's or both files'. */
static void errors_name_the_file(void **state)
{
	FILES f = files_of("P-256", "sha256");
	FILES other = files_of("P-384", "sha256");
	struct key_spec spec = f.spec;

	(void)state;
	spec.key = ks_view_of("", 0);
	cannot_open(&spec, KS_ERR_KEY, "my.key: no private key");
	assert_null(strstr(error.text, "my.crt"));
	spec = f.spec;
	spec.cert = ks_view_of("", 0);
	cannot_open(&spec, KS_ERR_KEY, "my.crt: no certificate");
	assert_null(strstr(error.text, "my.key"));
	spec.cert = other.spec.cert;
	cannot_open(&spec, KS_ERR_KEY, "my.key: my.crt: ");
	spec.cert_name = spec.key_name;
	cannot_open(&spec, KS_ERR_KEY, "my.key: the cert");
}

static void missing_halves(void **state)
{
	FILES f = files_of("P-256", "sha256");
	struct ks_view key = f.spec.key;

	(void)state;
	f.spec.key = f.spec.cert;
	cannot_open(&f.spec, KS_ERR_KEY, "no private key");
	f.spec.cert = f.spec.key = key;
	cannot_open(&f.spec, KS_ERR_KEY, "no certificate");
	f.spec.cert = ks_view_of("", 0);
	cannot_open(&f.spec, KS_ERR_KEY, "no certificate");
	f.spec.key = ks_view_of("", 0);
	cannot_open(&f.spec, KS_ERR_KEY, "no private key");
}

static void encrypted_keys(void **state)
{
	FILES f = files_of("P-256", "sha256");

	(void)state;
	f.key.len = 0;
	put_key_pem(&f.key, identity("P-256", 1)->key, "secret");
	f.spec.key = ks_buf_view(&f.key);
	cannot_open(&f.spec, KS_ERR_KEY, "encrypted");
	f.spec.passphrase = "wrong";
	cannot_open(&f.spec, KS_ERR_KEY, "passphrase");
	f.spec.passphrase = "secret";
	ks_signer_free(open_signer(&f.spec));
}

static void pairs_that_are_none(void **state)
{
	static const char *const others[] = { "P-256", "P-384", "RSA" };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		FILES f = files_of("P-256", "sha256");

		f.cert.len = 0;
		put_cert_pem(&f.cert, identity(others[i], i == 0 ? 2 : 1)->cert);
		f.spec.cert = ks_buf_view(&f.cert);
		cannot_open(&f.spec, KS_ERR_KEY, "does not belong");
	}
}

static void unknown_hashes(void **state)
{
	static const char *const names[] = { "", "sha", "sha999", "rot13", "sha256 ", "none" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		FILES f = files_of("P-256", names[i]);

		cannot_open(&f.spec, KS_ERR_UNSUPPORTED, "hash");
	}
}

/* MD4 has a name everywhere and, since OpenSSL 3.0, no code behind it. */
static void hashes_that_cannot_be_done(void **state)
{
	FILES f = files_of("RSA", "md4");

	(void)state;
	cannot_open(&f.spec, KS_ERR_UNSUPPORTED, "md4");
}

static void keys_that_cannot_sign_modules(void **state)
{
	KS_EVP_PKEY *small = EVP_RSA_gen(512);
	KS_X509 *cert = NULL;
	FILES ed = files_of("ED25519", "sha512");
	FILES rsa = { 0 };

	(void)state;
	cannot_open(&ed.spec, KS_ERR_UNSUPPORTED, "ED25519");
	/* 512 bits hold no sha512 signature, and newer libraries make no such key at all. */
	ERR_clear_error();
	if (!small)
		return;
	cert = make_cert(small, &(struct cert_spec){ .cn = "small" });
	put_key_pem(&rsa.key, small, NULL);
	put_cert_pem(&rsa.cert, cert);
	rsa.spec = (struct key_spec){ .key_name = "my.key",
				      .cert_name = "my.crt",
				      .key = ks_buf_view(&rsa.key),
				      .cert = ks_buf_view(&rsa.cert),
				      .hash = "sha512" };
	cannot_open(&rsa.spec, KS_ERR_UNSUPPORTED, "sha512");
}

static EVP_PKEY *make_pss_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;

	assert_true(EVP_PKEY_keygen_init(ctx) > 0);
	assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024) > 0);
	assert_true(EVP_PKEY_keygen(ctx, &key) > 0);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* OpenSSL signs with it gladly; kernels know PKCS#1 v1.5 only. */
static void keys_that_no_kernel_verifies(void **state)
{
	KS_EVP_PKEY *key = make_pss_key();
	KS_X509 *cert = make_cert(key, &(struct cert_spec){ .cn = "pss" });
	FILES f = { 0 };

	(void)state;
	put_key_pem(&f.key, key, NULL);
	put_cert_pem(&f.cert, cert);
	f.spec = (struct key_spec){ .key_name = "my.key",
				    .cert_name = "my.crt",
				    .key = ks_buf_view(&f.key),
				    .cert = ks_buf_view(&f.cert),
				    .hash = "sha256" };
	cannot_open(&f.spec, KS_ERR_UNSUPPORTED, "RSA-PSS");
}

static void a_key_id_has_to_be_there(void **state)
{
	FILES f = files_of("P-256", "sha256");
	KS_X509 *without = make_cert(identity("P-256", 1)->key,
				     &(struct cert_spec){ .cn = "x", .no_key_id = true });

	(void)state;
	f.cert.len = 0;
	put_cert_pem(&f.cert, without);
	f.spec.cert = ks_buf_view(&f.cert);
	ks_signer_free(open_signer(&f.spec));
	f.spec.key_id = true;
	cannot_open(&f.spec, KS_ERR_KEY, "subject key identifier");
}

/* --- signing -------------------------------------------------------------------------------- */

/* What sign-file's calls make, byte for byte; only RSA makes the same twice. */
static void rsa_messages_are_sign_file_s(void **state)
{
	static const char *const hashes[] = { "sha1",	"sha224",   "sha256",	"sha384",
					      "sha512", "sha3-256", "sha3-384", "sha3-512" };
	const struct identity *by = identity("RSA", 1);

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(hashes) / sizeof(*hashes); i++) {
		FILES f = files_of("RSA", hashes[i / 2]);
		struct ks_signer *signer;
		KS_BUF ours = { 0 };
		KS_BUF again = { 0 };
		KS_BUF theirs = { 0 };

		f.spec.key_id = i % 2;
		signer = open_signer(&f.spec);
		assert_ok(ks_signer_sign(signer, image, &ours, &error));
		assert_ok(ks_signer_sign(signer, image, &again, &error));
		put_message(&theirs, image, &by, 1, hashes[i / 2],
			    SIGN_FILE_FLAGS | (i % 2 ? CMS_USE_KEYID : 0), CMS_DETACHED);
		assert_view_equal(ks_buf_view(&ours), ks_buf_view(&again));
		assert_view_equal(ks_buf_view(&ours), ks_buf_view(&theirs));
		assert_true(openssl_verifies(ks_buf_view(&ours), image, by->cert));
		ks_signer_free(signer);
	}
}

/* OpenSSL 3.0 cannot do ECDSA with sha3: then it says so when it is opened, not later. */
static void ecdsa_with_every_hash(void **state)
{
	static const char *const hashes[] = { "sha256",	  "sha384",   "sha512",
					      "sha3-256", "sha3-384", "sha3-512" };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(hashes) / sizeof(*hashes); i++) {
		const char *kind = i % 2 ? "P-256" : "P-384";
		FILES f = files_of(kind, hashes[i / 2]);
		struct ks_signer *signer = NULL;
		KS_BUF message = { 0 };

		if (strncmp(hashes[i / 2], "sha3-", 5) == 0 &&
		    !key_spec_open(&signer, &f.spec, &error)) {
			assert_int_equal(error.code, KS_ERR_UNSUPPORTED);
			assert_says(hashes[i / 2]);
			assert_null(signer);
			continue;
		}
		if (!signer)
			signer = open_signer(&f.spec);
		assert_ok(ks_signer_sign(signer, image, &message, &error));
		assert_true(
			openssl_verifies(ks_buf_view(&message), image, identity(kind, 1)->cert));
		assert_string_equal(ks_signer_hash(signer), hashes[i / 2]);
		ks_signer_free(signer);
	}
}

/* Behind the tag and length at *AT. */
static void enter(const uint8_t **at, uint8_t tag)
{
	assert_int_equal((*at)[0], tag);
	*at += (*at)[1] < 0x80 ? 2 : 2 + ((*at)[1] & 0x7f);
}

/* SignedData has version 1, and 3 with a key id (RFC 5652, 5.1); one signer, and no more. */
static void messages_hold_nothing_else(void **state)
{
	(void)state;
	for (int key_id = 0; key_id < 2; key_id++) {
		FILES f = files_of("P-256", "sha256");
		struct ks_signer *signer;
		KS_BUF message = { 0 };
		const uint8_t *at;
		const unsigned char *der;
		KS_CMS *cms = NULL;
		CMS_SignerInfo *info;

		f.spec.key_id = key_id;
		signer = open_signer(&f.spec);
		assert_ok(ks_signer_sign(signer, image, &message, &error));
		ks_signer_free(signer);
		at = der = message.data;
		enter(&at, 0x30);
		at += 11; /* the type: signedData */
		enter(&at, 0xa0);
		enter(&at, 0x30);
		assert_memory_equal(at, key_id ? "\2\1\3" : "\2\1\1", 3);
		cms = d2i_CMS_ContentInfo(NULL, &der, (long)message.len);
		assert_ptr_equal(der, message.data + message.len);
		assert_null(CMS_get1_certs(cms));
		assert_null(CMS_get1_crls(cms));
		assert_null(*CMS_get0_content(cms));
		assert_int_equal(sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)), 1);
		info = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
		assert_int_equal(CMS_signed_get_attr_count(info), -1);
		assert_int_equal(CMS_unsigned_get_attr_count(info), -1);
	}
}

static void signing_appends(void **state)
{
	FILES f = files_of("P-256", "sha256");
	struct ks_signer *signer = open_signer(&f.spec);
	KS_BUF message = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&message, "before", 6, &error));
	assert_ok(ks_signer_sign(signer, image, &message, &error));
	assert_memory_equal(message.data, "before", 6);
	assert_true(openssl_verifies(ks_view_of(message.data + 6, message.len - 6), image,
				     identity("P-256", 1)->cert));
	assert_false(openssl_verifies(ks_view_of(message.data + 6, message.len - 6),
				      text_view("another"), identity("P-256", 1)->cert));
	ks_signer_free(signer);
}

static void images_of_every_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 55, 56, 63, 64, 65, 4096, 1 << 20 };
	FILES f = files_of("P-256", "sha256");
	struct ks_signer *signer = open_signer(&f.spec);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		KS_BUF bytes = { 0 };
		KS_BUF message = { 0 };

		fill(&bytes, sizes[i], 1);
		assert_ok(ks_signer_sign(signer, ks_buf_view(&bytes), &message, &error));
		assert_true(openssl_verifies(ks_buf_view(&message), ks_buf_view(&bytes),
					     identity("P-256", 1)->cert));
	}
	ks_signer_free(signer);
}

/* --- threads -------------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 12 };

struct thread {
	const struct ks_signer *signer;
	pthread_t id;
	struct ks_buf image[EACH], message[EACH];
	bool ok;
};

static void *sign_many(void *arg)
{
	struct thread *t = arg;
	struct ks_error *err = calloc(1, sizeof(*err));

	t->ok = err != NULL;
	for (int i = 0; t->ok && i < EACH; i++)
		t->ok = ks_signer_sign(t->signer, ks_buf_view(&t->image[i]), &t->message[i], err);
	free(err);
	return NULL;
}

static void sign_in_threads(const char *kind)
{
	FILES f = files_of(kind, "sha256");
	struct ks_signer *signer = open_signer(&f.spec);
	static struct thread threads[THREADS];

	for (unsigned int t = 0; t < THREADS; t++) {
		threads[t].signer = signer;
		for (unsigned int i = 0; i < EACH; i++)
			fill(&threads[t].image[i], 100 * i + t, t * EACH + i);
		assert_int_equal(pthread_create(&threads[t].id, NULL, sign_many, &threads[t]), 0);
	}
	for (int t = 0; t < THREADS; t++) {
		pthread_join(threads[t].id, NULL);
		assert_true(threads[t].ok);
		for (int i = 0; i < EACH; i++) {
			assert_true(openssl_verifies(ks_buf_view(&threads[t].message[i]),
						     ks_buf_view(&threads[t].image[i]),
						     identity(kind, 1)->cert));
			ks_buf_free(&threads[t].message[i]);
			ks_buf_free(&threads[t].image[i]);
		}
	}
	ks_signer_free(signer);
}

static void threads_share_a_signer(void **state)
{
	(void)state;
	sign_in_threads("P-256");
	sign_in_threads("RSA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_in_every_form),
		cmocka_unit_test(keys_among_others),
		cmocka_unit_test(keys_with_a_passphrase),
		cmocka_unit_test(passphrases_of_every_length),
		cmocka_unit_test(what_is_no_key),
		cmocka_unit_test(signers_that_can_be_opened),
		cmocka_unit_test(a_signer_keeps_what_it_needs),
		cmocka_unit_test(key_and_certificate_in_one_file_and_in_der),
		cmocka_unit_test(errors_name_the_file),
		cmocka_unit_test(missing_halves),
		cmocka_unit_test(encrypted_keys),
		cmocka_unit_test(pairs_that_are_none),
		cmocka_unit_test(unknown_hashes),
		cmocka_unit_test(hashes_that_cannot_be_done),
		cmocka_unit_test(keys_that_cannot_sign_modules),
		cmocka_unit_test(keys_that_no_kernel_verifies),
		cmocka_unit_test(a_key_id_has_to_be_there),
		cmocka_unit_test(rsa_messages_are_sign_file_s),
		cmocka_unit_test(ecdsa_with_every_hash),
		cmocka_unit_test(messages_hold_nothing_else),
		cmocka_unit_test(signing_appends),
		cmocka_unit_test(images_of_every_size),
		cmocka_unit_test(threads_share_a_signer),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
