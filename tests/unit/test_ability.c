/* SPDX-License-Identifier: MIT */
/*
 * What kernels can check: by configs, /proc and modules made by hand.  What they are expected to do is
 * what booted kernels did (tests/kernel/kernels.py), or stands in their sources.
 */
#include "fixture.h"

#include <openssl/dsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ability.h"

#define MODULES "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n"
#define SMALL \
	"CONFIG_CRYPTO_SHA1=y\nCONFIG_CRYPTO_SHA256=y\nCONFIG_CRYPTO_MD4=y\nCONFIG_CRYPTO_MD5=y\n"

/* As Debian builds them. */
static const char debian_5_10[] = MODULES SMALL "CONFIG_CRYPTO_SHA512=y\nCONFIG_CRYPTO_SHA3=y\n";
static const char debian_6_1[] = MODULES SMALL
	"CONFIG_CRYPTO_SHA512=m\nCONFIG_CRYPTO_SHA3=m\n# CONFIG_CRYPTO_ECDSA is not set\n";
static const char debian_6_12[] =
	MODULES SMALL "CONFIG_CRYPTO_SHA512=y\nCONFIG_CRYPTO_SHA3=y\nCONFIG_CRYPTO_ECDSA=y\n";
static const char debian_7_2[] =
	MODULES SMALL "CONFIG_CRYPTO_SHA512=y\nCONFIG_CRYPTO_SHA3=m\nCONFIG_CRYPTO_ECDSA=y\n"
		      "# CONFIG_CRYPTO_MLDSA is not set\n";

/* A kernel, and what runs.  NULL: no such file. */
struct system {
	const char *version, *config;
	bool is_running;
	const char *crypto;   /* /proc/crypto */
	const char *modprobe; /* /proc/sys/kernel/modprobe */
};

static char root[PATH_MAX + 8], live[PATH_MAX + 8];

static void put(const char *path, const char *text)
{
	if (text)
		write_text(in_scratch("%s", path), text);
}

static void kernel_of(const struct system *system, struct ks_kernel *kernel)
{
	static char version[64], dir[96];

	snprintf(version, sizeof(version), "%s", system->version);
	snprintf(dir, sizeof(dir), "/lib/modules/%s", version);
	*kernel = (struct ks_kernel){ .version = version, .dir = dir };
}

static void find(const struct system *system, struct ks_abilities *abilities)
{
	char config[128];
	struct ks_kernel kernel;

	kernel_of(system, &kernel);
	snprintf(root, sizeof(root), "%s/root", scratch);
	snprintf(live, sizeof(live), "%s/live", scratch);
	make_dirs(root);
	make_dirs(live);
	snprintf(config, sizeof(config), "root%s/build/.config", kernel.dir);
	put(config, system->config);
	put("live/proc/crypto", system->crypto);
	put("live/proc/sys/kernel/modprobe", system->modprobe);
	assert_ok(ks_abilities_find(&kernel, root, system->is_running, live, abilities, &error));
}

static void start_anew(void)
{
	void *state = NULL;

	assert_int_equal(scratch_remove(&state), 0);
	assert_int_equal(scratch_make(&state), 0);
}

/* --- digests -------------------------------------------------------------------------------- */

static const char *const digests[] = { "sha1",	   "sha224",   "sha256",   "sha384",  "sha512",
				       "sha3-224", "sha3-256", "sha3-384", "sha3-512" };

enum { DIGESTS = sizeof(digests) / sizeof(*digests) };

/* In WANTED a letter for each of those. */
static void expect_digests(const struct ks_abilities *abilities, const char *wanted)
{
	static const char letters[] = { [KS_ABILITY_UNKNOWN] = '?',
					[KS_ABILITY_NAMELESS] = 'n',
					[KS_ABILITY_ABSENT] = '-',
					[KS_ABILITY_PRESENT] = '+' };
	char found[DIGESTS + 1] = "";

	for (size_t i = 0; i < DIGESTS; i++)
		found[i] = letters[ks_ability_digest(abilities, digests[i])];
	assert_string_equal(found, wanted);
}

static void expect(const struct system *system, const char *wanted)
{
	struct ks_abilities abilities;

	find(system, &abilities);
	expect_digests(&abilities, wanted);
	start_anew();
}

/* The parser knows SHA-3 from 6.7 on; SHA-1 went with 6.7 and came back with 6.9. */
static void digests_that_are_built_in(void **state)
{
	static const struct {
		const char *version, *wanted;
	} cases[] = {
		{ "5.10.0-42-amd64", "+++++nnnn" },
		{ "6.1", "+++++nnnn" },
		{ "6.6.99", "+++++nnnn" },
		{ "6.7", "?++++n+++" },
		{ "6.8.0-rc1", "?++++n+++" },
		{ "6.9.0", "+++++n+++" },
		{ "6.12.94+deb13-amd64", "+++++n+++" },
		{ "7.2.3", "+++++n+++" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect(&(struct system){ .version = cases[i].version, .config = debian_6_12 },
		       cases[i].wanted);
}

static void digests_that_are_not_built(void **state)
{
	static const char none[] =
		MODULES "# CONFIG_CRYPTO_SHA512 is not set\nCONFIG_CRYPTO_SHA3=n\n";

	(void)state;
	for (int running = 0; running < 2; running++)
		expect(&(struct system){ "6.12", none, running, "name         : sha512\n", NULL },
		       "-----n---");
}

#define CRYPTO(name) \
	"name         : " name "\ndriver       : " name "-generic\nmodule       : x\n\n"

/* The states of tests/kernel: nothing but the kernel, and what a module brought. */
static void digests_that_are_loaded(void **state)
{
	static const char other[] =
		"name         : hmac(sha512)\ndriver       : sha512\n\nname         : xsha512\n\n"
		"module       : sha512\nname         : sha512-x\n";
	static const char named[] = "name         : sha512"; /* and no end of line */

	(void)state;
	expect(&(struct system){ "6.1.0-43", debian_6_1, true, CRYPTO("sha256"), NULL },
	       "+++--nnnn");
	expect(&(struct system){ "6.1.0-43", debian_6_1, true, CRYPTO("sha384") CRYPTO("sha512"),
				 NULL },
	       "+++++nnnn");
	expect(&(struct system){ "6.1.0-43", debian_6_1, true, named, NULL }, "+++-+nnnn");
	expect(&(struct system){ "6.1.0-43", debian_6_1, true, other, NULL }, "+++--nnnn");
	expect(&(struct system){ "7.2", debian_7_2, true, CRYPTO("sha256"), NULL }, "+++++n---");
	expect(&(struct system){ "7.2", debian_7_2, true,
				 CRYPTO("sha3-256") CRYPTO("sha3-384") CRYPTO("sha3-512"), NULL },
	       "+++++n+++");
	expect(&(struct system){ "5.10.0-42", debian_5_10, true, "", NULL }, "+++++nnnn");
}

static void digests_that_a_kernel_may_load_when_it_runs(void **state)
{
	(void)state;
	expect(&(struct system){ "6.1", debian_6_1, false, CRYPTO("sha512"), "/sbin/modprobe\n" },
	       "+++??nnnn");
	expect(&(struct system){ "7.2", debian_7_2, false, NULL, NULL }, "+++++n???");
}

static void digests_that_others_know(void **state)
{
	static const char *const old[] = { "md4", "md5" };
	static const char *const foreign[] = { "sm3", "md_gost12_256", "md_gost12_512" };
	static const char *const nobody_s[] = { "ripemd160",  "whirlpool", "sha512-256",
						"blake2b512", "shake256",  "sha",
						"sha2566",    "",	   "1.3.6.1.4.1.2021.1" };
	static const char *const versions[] = { "5.10", "6.1", "6.6", "6.7", "6.12", "7.2" };

	(void)state;
	for (size_t v = 0; v < sizeof(versions) / sizeof(*versions); v++) {
		const struct system system = { .version = versions[v], .config = debian_6_12 };
		struct ks_abilities a;

		find(&system, &a);
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(ks_ability_digest(&a, old[i]),
					 v < 3 ? KS_ABILITY_UNKNOWN : KS_ABILITY_NAMELESS);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(ks_ability_digest(&a, foreign[i]), KS_ABILITY_UNKNOWN);
		for (size_t i = 0; i < sizeof(nobody_s) / sizeof(*nobody_s); i++)
			assert_int_equal(ks_ability_digest(&a, nobody_s[i]), KS_ABILITY_NAMELESS);
	}
}

/* Whatever is built into which kernel: for what modules are signed with today. */
static void digests_of_today(void **state)
{
	static const char *const known[] = { "sha1",   "sha224",   "sha256",   "sha384",
					     "sha512", "sha3-256", "sha3-384", "sha3-512" };
	static const char *const others[] = { "md4",	  "md5",       "sm3", "md_gost12_256",
					      "sha3-224", "ripemd160", "",    "sha2566" };

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		assert_true(ks_ability_is_known_digest(known[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(ks_ability_is_known_digest(others[i]));
}

static void nothing_is_known_without_config_or_version(void **state)
{
	struct ks_abilities a;

	(void)state;
	find(&(struct system){ .version = "vanilla", .config = debian_6_12 }, &a);
	assert_int_equal(a.series, 0);
	expect_digests(&a, "?????n???");
	assert_int_equal(ks_ability_algorithm(&a, "rsaEncryption"), KS_ABILITY_UNKNOWN);
	assert_int_equal(ks_ability_cert(&a, identity("RSA", 1)->cert), KS_CERT_UNKNOWN);
	start_anew();
	find(&(struct system){ .version = "6.12" }, &a);
	assert_int_equal(a.config, KS_UNKNOWN);
	expect_digests(&a, "?????n???");
	start_anew();
	/* One of another program, or of a kernel without modules. */
	find(&(struct system){ .version = "6.12", .config = "CONFIG_CRYPTO_SHA512=y\n" }, &a);
	assert_int_equal(a.config, KS_UNKNOWN);
	expect_digests(&a, "?????n???");
	assert_int_equal(a.ecdsa, KS_UNKNOWN);
}

/* --- modprobe ------------------------------------------------------------------------------- */

#define SHA512_DIR "/lib/modules/6.1/kernel/crypto"

/* The kernel's directory with the module sha512_generic, which says that it is crypto-sha512. */
static void put_sha512(void)
{
	static const char info[] =
		"license=GPL\0alias=crypto-sha512\0alias=sha512\0vermagic=6.1 SMP ";
	KS_BUF module = { 0 };

	put_elf(&module, &(struct elf_spec){ .modinfo = info, .modinfo_len = sizeof(info) });
	write_file(in_scratch("root" SHA512_DIR "/sha512_generic.ko"), ks_buf_view(&module));
}

static const char *depmod(void)
{
	static const char *const paths[] = { "/usr/sbin/depmod", "/sbin/depmod",
					     "/usr/bin/depmod" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Every kernel has both lists; where one is missing, depmod leaves an index of no bytes. */
static void index_by_depmod(void)
{
	char command[PATH_MAX + 64];

	write_text(in_scratch("root/lib/modules/6.1/modules.builtin"), "");
	write_text(in_scratch("root/lib/modules/6.1/modules.builtin.modinfo"), "");
	snprintf(command, sizeof(command), "%s -b '%s/root' 6.1 2>/dev/null", depmod(), scratch);
	assert_int_equal(system(command), 0);
}

static void index_by_hand(void)
{
	write_index(in_scratch("root/lib/modules/6.1/modules.dep.bin"), "sha512_generic",
		    "kernel/crypto/sha512_generic.ko:");
	write_index(in_scratch("root/lib/modules/6.1/modules.alias.bin"), "crypto_sha512",
		    "sha512_generic");
}

/* In this kernel everything is there but SHA-512, which is a module. */
static enum ks_ability sha512_of(bool is_running, const char *modprobe)
{
	const struct system system = { "6.1", debian_6_1, is_running, CRYPTO("sha256"), modprobe };
	struct ks_abilities abilities;

	find(&system, &abilities);
	assert_int_equal(ks_ability_digest(&abilities, "sha384"),
			 is_running ? KS_ABILITY_ABSENT : KS_ABILITY_UNKNOWN);
	return ks_ability_digest(&abilities, "sha512");
}

static void check_modprobe(void (*make_index)(void))
{
	put_sha512();
	write_text(in_scratch("live/bin/own-modprobe"), "");
	/* Not indexed, so not found. */
	assert_int_equal(sha512_of(true, "/bin/own-modprobe\n"), KS_ABILITY_ABSENT);
	make_index();
	assert_int_equal(sha512_of(true, "/bin/own-modprobe\n"), KS_ABILITY_PRESENT);
	assert_int_equal(sha512_of(true, "/bin/own-modprobe"), KS_ABILITY_PRESENT);
	assert_int_equal(sha512_of(true, "/sbin/modprobe\n"), KS_ABILITY_ABSENT);
	/* Switched off, as kernel.modprobe="" or CONFIG_MODPROBE_PATH="" do it. */
	assert_int_equal(sha512_of(true, "\n"), KS_ABILITY_ABSENT);
	assert_int_equal(sha512_of(true, ""), KS_ABILITY_ABSENT);
	/* Of a kernel that does not run nobody knows what it will be told; the default is known. */
	assert_int_equal(sha512_of(false, NULL), KS_ABILITY_UNKNOWN);
	write_text(in_scratch("root/sbin/modprobe"), "");
	assert_int_equal(sha512_of(false, NULL), KS_ABILITY_PRESENT);
}

static void what_modprobe_can_load_is_there(void **state)
{
	(void)state;
	check_modprobe(index_by_hand);
}

static void what_modprobe_can_load_by_depmod_s_index(void **state)
{
	(void)state;
	if (!depmod())
		skip();
	check_modprobe(index_by_depmod);
}

/* --- algorithms ----------------------------------------------------------------------------- */

static void signature_algorithms(void **state)
{
	static const struct {
		const char *name;
		int since; /* 0: always; -1: never */
	} cases[] = {
		{ "rsaEncryption", 0 },
		{ "ecdsa-with-SHA1", 5013 },
		{ "ecdsa-with-SHA224", 5013 },
		{ "ecdsa-with-SHA256", 5013 },
		{ "ecdsa-with-SHA384", 5013 },
		{ "ecdsa-with-SHA512", 5013 },
		{ "ecdsa_with_SHA3-256", 6007 },
		{ "ecdsa_with_SHA3-384", 6007 },
		{ "ecdsa_with_SHA3-512", 6007 },
		{ "ML-DSA-44", 7000 },
		{ "ML-DSA-65", 7000 },
		{ "ML-DSA-87", 7000 },
		{ "2.16.840.1.101.3.4.3.17", 7000 },
		{ "2.16.840.1.101.3.4.3.18", 7000 },
		{ "2.16.840.1.101.3.4.3.19", 7000 },
		{ "rsassaPss", -1 },
		{ "sha256WithRSAEncryption", -1 },
		{ "ED25519", -1 },
		{ "ED448", -1 },
		{ "dsa_with_SHA256", -1 },
		{ "ecdsa_with_SHA3-224", -1 },
		{ "2.16.840.1.101.3.4.3.20", -1 }, /* SLH-DSA */
	};
	static const struct {
		const char *version;
		int series;
	} kernels[] = { { "5.10", 5010 }, { "5.12", 5012 }, { "5.13", 5013 }, { "6.1", 6001 },
			{ "6.6", 6006 },  { "6.7", 6007 },  { "6.12", 6012 }, { "6.19", 6019 },
			{ "7.0", 7000 },  { "7.2", 7002 } };

	(void)state;
	for (size_t k = 0; k < sizeof(kernels) / sizeof(*kernels); k++) {
		struct ks_abilities a;

		find(&(struct system){ .version = kernels[k].version, .config = debian_6_12 }, &a);
		assert_int_equal(a.series, kernels[k].series);
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
			assert_int_equal(ks_ability_algorithm(&a, cases[i].name),
					 cases[i].since >= 0 && a.series >= cases[i].since ?
						 KS_ABILITY_PRESENT :
						 KS_ABILITY_NAMELESS);
		/* The Chinese and the Russian ones. */
		assert_int_equal(ks_ability_algorithm(&a, "SM2-with-SM3"), KS_ABILITY_UNKNOWN);
		assert_int_equal(ks_ability_algorithm(&a, "GO"
							  "ST R 34.10-2012 with 256 bit modulus"),
				 KS_ABILITY_UNKNOWN);
	}
}

/* --- certificates --------------------------------------------------------------------------- */

enum { KERNELS = 7 };

/* 7.2 twice, at last with ML-DSA. */
static const struct system kernels[KERNELS] = {
	{ .version = "5.10", .config = debian_6_12 },
	{ .version = "6.1", .config = debian_6_1, .is_running = true, .crypto = "" },
	{ .version = "6.9", .config = debian_6_12 },
	{ .version = "6.10", .config = debian_6_12 },
	{ .version = "6.12", .config = debian_6_12 },
	{ .version = "7.2", .config = debian_7_2 },
	{ .version = "7.2",
	  .config = MODULES SMALL
	  "CONFIG_CRYPTO_ECDSA=m\nCONFIG_CRYPTO_MLDSA=y\nCONFIG_CRYPTO_SHA512=y\n" },
};

/* In WANTED a letter a kernel. */
static void expect_cert(const char *what, X509 *cert, const char *wanted)
{
	static const char letters[] = { [KS_CERT_UNKNOWN] = '?',
					[KS_CERT_UNPARSED] = '-',
					[KS_CERT_LEFT_OUT] = '-',
					[KS_CERT_UNSEEN] = 'u',
					[KS_CERT_USABLE] = '+' };
	char found[KERNELS + 1] = "";

	for (size_t i = 0; i < KERNELS; i++) {
		struct ks_abilities a;

		find(&kernels[i], &a);
		found[i] = letters[ks_ability_cert(&a, cert)];
		assert_int_equal(ERR_peek_error(), 0);
		start_anew();
	}
	if (strcmp(found, wanted) != 0)
		fail_msg("%s: %s, not %s", what, found, wanted);
}

/* For OpenSSL itself may be without some. */
static EVP_PKEY *try_key(const char *kind)
{
	EVP_PKEY *key = strncmp(kind, "ML-DSA", 6) == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kind) :
							  EVP_EC_gen(kind);

	ERR_clear_error();
	return key;
}

static void certificates_of_all_key_types(void **state)
{
	static const struct {
		const char *kind, *wanted;
	} cases[] = {
		{ "P-192", "--++++?" },		  { "P-224", "-------" },
		{ "P-256", "--++++?" },		  { "P-384", "--++++?" },
		{ "P-521", "---+++?" },		  { "secp256k1", "-------" },
		{ "brainpoolP256r1", "-------" }, { "ML-DSA-44", "------+" },
		{ "ML-DSA-65", "------+" },	  { "ML-DSA-87", "------+" },
	};

	(void)state;
	expect_cert("RSA", identity("RSA", 1)->cert, "+++++++");
	expect_cert("ED25519", identity("ED25519", 1)->cert, "-------");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_EVP_PKEY *key = try_key(cases[i].kind);
		KS_X509 *cert = NULL;

		if (!key) {
			print_message("# no %s in this OpenSSL\n", cases[i].kind);
			continue;
		}
		cert = make_cert(key, &(struct cert_spec){ .cn = cases[i].kind });
		expect_cert(cases[i].kind, cert, cases[i].wanted);
	}
}

static EVP_PKEY *make_dsa(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *params = NULL;
	EVP_PKEY *key = NULL;

	if (ctx && EVP_PKEY_paramgen_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) == 1 &&
	    EVP_PKEY_paramgen(ctx, &params) == 1) {
		EVP_PKEY_CTX_free(ctx);
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
		if (EVP_PKEY_keygen_init(ctx) == 1)
			EVP_PKEY_keygen(ctx, &key);
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(params);
	ERR_clear_error();
	return key;
}

static void certificates_of_dsa(void **state)
{
	KS_EVP_PKEY *key = make_dsa();
	KS_X509 *cert = NULL;

	(void)state;
	if (!key)
		skip();
	cert = make_cert(key, &(struct cert_spec){ .cn = "DSA" });
	expect_cert("DSA", cert, "-------");
}

/* Loaded or not by now: it may have been there when the keyrings were filled. */
static void certificates_of_ecdsa_as_a_module(void **state)
{
	static const char config[] = MODULES SMALL "CONFIG_CRYPTO_ECDSA=m\n";
	static const char *const crypto[] = { "", CRYPTO("ecdsa") CRYPTO("ecdsa-nist-p256") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ks_abilities a;

		find(&(struct system){ "6.12", config, true, crypto[i], NULL }, &a);
		assert_int_equal(ks_ability_cert(&a, identity("P-256", 1)->cert), KS_CERT_UNKNOWN);
		start_anew();
	}
}

/* Where the kernel's config says nothing of use, only what needs no config is known. */
static void certificates_without_a_config(void **state)
{
	struct ks_abilities a;

	(void)state;
	find(&(struct system){ .version = "6.12" }, &a);
	assert_int_equal(ks_ability_cert(&a, identity("RSA", 1)->cert), KS_CERT_USABLE);
	assert_int_equal(ks_ability_cert(&a, identity("P-256", 1)->cert), KS_CERT_UNKNOWN);
	assert_int_equal(ks_ability_cert(&a, identity("ED25519", 1)->cert), KS_CERT_UNPARSED);
}

/* A new certificate for SUBJECT's key, signed by BY; its names differ if they do. */
static X509 *signed_by(const struct identity *subject, const struct identity *by, const char *hash)
{
	X509 *cert = X509_dup(subject->cert);

	assert_non_null(cert);
	assert_true(X509_set_issuer_name(cert, X509_get_subject_name(by->cert)));
	assert_true(X509_sign(cert, by->key, EVP_get_digestbyname(hash)) > 0);
	return cert;
}

/*
 * tests/kernel: a kernel without ECDSA leaves out a certificate that signed itself, unless it cannot
 * even digest it; and what another signed is not checked at all (x509_check_for_self_signed()).
 */
static void certificates_where_ecdsa_is_missing(void **state)
{
	const struct identity *ec = identity("P-384", 1);
	static const struct {
		const char *hash;
		bool by_other;
		const char *wanted; /* of 6.1 without SHA-512 */
	} cases[] = {
		{ "sha1", false, "-" },	   { "sha256", false, "-" }, { "sha512", false, "u" },
		{ "sha384", false, "u" },  { "sha256", true, "u" },  { "sha512", true, "u" },
		{ "sha3-256", true, "-" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_X509 *cert =
			signed_by(ec, cases[i].by_other ? identity("RSA", 1) : ec, cases[i].hash);
		char wanted[KERNELS + 1] = "--++++?";

		wanted[1] = cases[i].wanted[0];
		expect_cert(cases[i].hash, cert, wanted);
	}
}

static void certificates_where_ecdsa_is_missing_and_the_digest_may_be(void **state)
{
	const struct identity *ec = identity("P-384", 1);
	KS_X509 *cert = signed_by(ec, ec, "sha512");
	struct ks_abilities a;

	(void)state;
	find(&(struct system){ "6.1", debian_6_1, false, NULL, NULL }, &a);
	assert_int_equal(ks_ability_cert(&a, cert), KS_CERT_UNKNOWN);
}

/* RSA is there always; what a certificate of it is signed with only has to have a name. */
static void certificates_of_rsa_signed_with_other_digests(void **state)
{
	const struct identity *rsa = identity("RSA", 1);
	static const struct {
		const char *hash, *wanted;
	} cases[] = {
		{ "sha1", "+++++++" },	   { "sha512", "+++++++" },	{ "sha3-256", "--+++++" },
		{ "sha3-512", "--+++++" }, { "sha512-256", "-------" }, { "sha3-224", "-------" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_X509 *cert = signed_by(rsa, rsa, cases[i].hash);

		expect_cert(cases[i].hash, cert, cases[i].wanted);
	}
}

/* rsa_check_key_length() counts words of 64 bits. */
static void certificates_of_rsa_keys_of_other_lengths(void **state)
{
	static const struct {
		unsigned int bits;
		const char *wanted;
	} cases[] = {
		{ 1024, "+++++++" }, { 2047, "+++++++" }, { 2112, "-------" },
		{ 2560, "-------" }, { 3072, "+++++++" },
	};
	const struct identity *rsa = identity("RSA", 1);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct identity odd = { .key = EVP_RSA_gen(cases[i].bits) };
		KS_X509 *by_another = NULL;

		odd.cert = make_cert(odd.key, &(struct cert_spec){ .cn = "odd" });
		expect_cert("its own", odd.cert, cases[i].wanted);
		/* Nobody tries it before a module comes. */
		by_another = signed_by(&odd, rsa, "sha256");
		expect_cert("another's", by_another,
			    cases[i].wanted[0] == '+' ? "+++++++" : "???????");
		X509_free(odd.cert);
		EVP_PKEY_free(odd.key);
	}
}

static X509 *signed_with_pss(const struct identity *subject, const struct identity *by)
{
	X509 *cert = X509_dup(subject->cert);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of_key;

	assert_true(X509_set_issuer_name(cert, X509_get_subject_name(by->cert)));
	assert_true(EVP_DigestSignInit(ctx, &of_key, EVP_sha256(), NULL, by->key) == 1);
	assert_true(EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) == 1);
	assert_true(X509_sign_ctx(cert, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	return cert;
}

/* x509_note_sig_algo() ends the whole certificate. */
static void certificates_signed_in_ways_that_have_no_name(void **state)
{
	const struct identity *rsa = identity("RSA", 1);
	KS_X509 *pss = signed_with_pss(rsa, rsa);
	KS_X509 *by_ed25519 = signed_by(rsa, identity("ED25519", 1), "");

	(void)state;
	expect_cert("RSA, signed with RSA-PSS", pss, "-------");
	expect_cert("RSA, signed with ED25519", by_ed25519, "-------");
}

/* Writes NEW wherever OLD stands; both LEN bytes. */
static X509 *with_exchanged(X509 *cert, const char *old, const char *new, size_t len)
{
	KS_BUF der = { 0 };
	const unsigned char *start;
	X509 *changed;

	put_cert_der(&der, cert);
	for (size_t at = 0; at + len <= der.len; at++)
		if (memcmp(der.data + at, old, len) == 0)
			memcpy(der.data + at, new, len);
	start = der.data;
	changed = d2i_X509(NULL, &start, (long)der.len);
	assert_non_null(changed);
	assert_int_not_equal(X509_cmp(changed, cert), 0);
	return changed;
}

static void certificates_that_openssl_does_not_know(void **state)
{
	/* id-ecPublicKey to its unassigned neighbour; sha256WithRSAEncryption to a digest of nobody's. */
	KS_X509 *key = with_exchanged(identity("P-256", 1)->cert, "\x2a\x86\x48\xce\x3d\x02\x01",
				      "\x2a\x86\x48\xce\x3d\x02\x6f", 7);
	KS_X509 *way =
		with_exchanged(identity("RSA", 1)->cert, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
			       "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x7f", 9);

	(void)state;
	expect_cert("a key of no known kind", key, "???????");
	expect_cert("RSA, signed in no known way", way, "-------");
}

static void the_waiver(void **state)
{
	struct ks_abilities a;

	(void)state;
	find(&(struct system){ .version = "7.2", .config = debian_7_2 }, &a);
	assert_int_equal(a.waiver, KS_NO);
	assert_int_equal(a.mldsa, KS_NO);
	start_anew();
	find(&(struct system){ .version = "7.2",
			       .config = MODULES
			       "CONFIG_CRYPTO_MLDSA=m\n"
			       "CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA=y\n" },
	     &a);
	assert_int_equal(a.waiver, KS_YES);
	assert_int_equal(a.mldsa, KS_UNKNOWN);
}

/* --- what is predicted wrongly -------------------------------------------------------------- */

/* What /proc does not show may be loaded. */
static void digests_where_proc_cannot_be_seen(void **state)
{
	(void)state;
	expect(&(struct system){ "6.1", debian_6_1, true, NULL, NULL }, "+++??nnnn");
}

/* Whether it was there when the kernel started is what counts: keyrings are filled then. */
static void certificates_where_the_digest_came_later(void **state)
{
	const struct identity *ec = identity("P-384", 1);
	KS_X509 *cert = signed_by(ec, ec, "sha512");
	struct ks_abilities a;

	(void)state;
	find(&(struct system){ "6.1", debian_6_1, true, CRYPTO("sha512"), NULL }, &a);
	assert_int_not_equal(ks_ability_cert(&a, cert), KS_CERT_LEFT_OUT);
}

/* Whatever key it is for. */
static void certificates_of_ecdsa_signed_in_ways_that_have_no_name(void **state)
{
	const struct identity *rsa = identity("RSA", 1), *ec = identity("P-256", 1);
	KS_X509 *pss = signed_with_pss(ec, rsa);
	KS_X509 *by_ed25519 = signed_by(ec, identity("ED25519", 1), "");
	KS_X509 *sha3_224 = signed_by(ec, rsa, "sha3-224");

	(void)state;
	expect_cert("P-256, signed with RSA-PSS", pss, "-------");
	expect_cert("P-256, signed with ED25519", by_ed25519, "-------");
	expect_cert("P-256, signed with RSA and SHA3-224", sha3_224, "-------");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(digests_that_are_built_in),
		scratch_test(digests_that_are_not_built),
		scratch_test(digests_that_are_loaded),
		scratch_test(digests_that_a_kernel_may_load_when_it_runs),
		scratch_test(digests_that_others_know),
		cmocka_unit_test(digests_of_today),
		scratch_test(nothing_is_known_without_config_or_version),
		scratch_test(what_modprobe_can_load_is_there),
		scratch_test(what_modprobe_can_load_by_depmod_s_index),
		scratch_test(signature_algorithms),
		scratch_test(certificates_of_all_key_types),
		scratch_test(certificates_of_dsa),
		scratch_test(certificates_of_ecdsa_as_a_module),
		scratch_test(certificates_without_a_config),
		scratch_test(certificates_where_ecdsa_is_missing),
		scratch_test(certificates_where_ecdsa_is_missing_and_the_digest_may_be),
		scratch_test(certificates_of_rsa_signed_with_other_digests),
		scratch_test(certificates_of_rsa_keys_of_other_lengths),
		scratch_test(certificates_signed_in_ways_that_have_no_name),
		scratch_test(certificates_that_openssl_does_not_know),
		scratch_test(the_waiver),
		scratch_test(digests_where_proc_cannot_be_seen),
		scratch_test(certificates_where_the_digest_came_later),
		scratch_test(certificates_of_ecdsa_signed_in_ways_that_have_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
