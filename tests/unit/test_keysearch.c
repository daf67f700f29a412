/* SPDX-License-Identifier: MIT */
/* Where a key is looked for, one place taken away after the other, and the hash it comes with. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/keysearch.h"

static char root[PATH_MAX + 32];
static struct ks_kernel kernel;

#define MODULES "root/usr/lib/modules/6.1"
#define LOCAL "/usr/lib/modules/6.1/build/certs-local/current"
#define OWN "/usr/lib/modules/6.1/build/certs"

static int search_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	make_dirs(in_scratch(MODULES));
	return failed || !ks_kernel_find(&kernel, root, "6.1", &error);
}

static int search_remove(void **state)
{
	ks_kernel_free(&kernel);
	return scratch_remove(state);
}

#define search_test(name) cmocka_unit_test_setup_teardown(name, search_make, search_remove)

/* The search finds KEY and CERT, on the host or inside the root. */
static void expect(const struct ks_keysearch *search, const char *key, const char *cert,
		   bool on_host)
{
	KS_KEY_PLACE place = { 0 };

	assert_ok(ks_keysearch(search, &place, &error));
	assert_string_equal(place.key, key);
	assert_string_equal(place.cert, cert);
	if (on_host)
		assert_null(place.root);
	else
		assert_ptr_equal(place.root, search->root);
	assert_true(strlen(place.why) > 3);
	assert_true(strlen(place.hash) > 3);
	assert_true(strlen(place.hash_why) > 3);
}

static void cannot(const struct ks_keysearch *search, enum ks_code code)
{
	struct ks_key_place place = { .key = (char *)(uintptr_t)1 };

	assert_fails(ks_keysearch(search, &place, &error), code);
	assert_null(place.key);
	assert_null(place.cert);
	assert_null(place.hash);
}

/* From the weakest place to the strongest: each one that comes is the one found. */
static void the_whole_order(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel };

	(void)state;
	cannot(&s, KS_ERR_MISSING);
	write_text(in_scratch("root" OWN "/signing_key.pem"), "");
	expect(&s, OWN "/signing_key.pem", OWN "/signing_key.x509", false);
	write_text(in_scratch("root/etc/pki/akmods/private/private_key.priv"), "");
	expect(&s, "/etc/pki/akmods/private/private_key.priv",
	       "/etc/pki/akmods/certs/public_key.der", false);
	write_text(in_scratch("root/var/lib/shim-signed/mok/MOK.priv"), "");
	expect(&s, "/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der", false);
	write_text(in_scratch("root/var/lib/dkms/mok.key"), "");
	expect(&s, "/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub", false);
	write_text(in_scratch("root" LOCAL "/signing_key.pem"), "");
	expect(&s, LOCAL "/signing_key.pem", LOCAL "/signing_crt.crt", false);
	s.config.key = "/k/config.key";
	s.config.cert = "/k/config.crt";
	expect(&s, "/k/config.key", "/k/config.crt", false);
	s.environment.key = "env.key";
	s.environment.cert = "env.crt";
	expect(&s, "env.key", "env.crt", true);
	s.option.key = "option.key";
	s.option.cert = "option.crt";
	expect(&s, "option.key", "option.crt", true);
}

static void a_key_may_bring_its_certificate(void **state)
{
	struct ks_keysearch s = { .root = root, .option.key = "both.pem" };

	(void)state;
	expect(&s, "both.pem", "both.pem", true);
	s = (struct ks_keysearch){ .root = root, .environment.key = "both.pem" };
	expect(&s, "both.pem", "both.pem", true);
	s = (struct ks_keysearch){ .root = root, .config.key = "/both.pem" };
	expect(&s, "/both.pem", "/both.pem", false);
}

static void a_certificate_alone_makes_no_sense(void **state)
{
	struct ks_keysearch s = { .root = root, .option.cert = "x.crt" };

	(void)state;
	cannot(&s, KS_ERR_USAGE);
	s = (struct ks_keysearch){ .root = root, .environment.cert = "x.crt" };
	cannot(&s, KS_ERR_USAGE);
	s = (struct ks_keysearch){ .root = root, .config.cert = "x.crt" };
	cannot(&s, KS_ERR_USAGE);
	s.option.key = "key.pem";
	expect(&s, "key.pem", "key.pem", true);
}

static void without_a_key_certificates_are_enough(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel, .cert_only = true };

	(void)state;
	cannot(&s, KS_ERR_MISSING);
	write_text(in_scratch("root" OWN "/signing_key.x509"), "");
	expect(&s, OWN "/signing_key.x509", OWN "/signing_key.x509", false);
	write_text(in_scratch("root/var/lib/dkms/mok.pub"), "");
	expect(&s, "/var/lib/dkms/mok.pub", "/var/lib/dkms/mok.pub", false);
	write_text(in_scratch("root" LOCAL "/signing_crt.crt"), "");
	expect(&s, LOCAL "/signing_crt.crt", LOCAL "/signing_crt.crt", false);
	s.config.store = "/keys";
	expect(&s, "/keys/current/signing_crt.crt", "/keys/current/signing_crt.crt", false);
	s.environment.key = "env.key";
	expect(&s, "env.key", "env.key", true);
	s.environment.cert = "env.crt";
	expect(&s, "env.crt", "env.crt", true);
	s.option.cert = "option.crt";
	expect(&s, "option.crt", "option.crt", true);
}

static void key_stores(void **state)
{
	struct ks_keysearch s = { .root = root, .option.store = "store" };

	(void)state;
	expect(&s, "store/current/signing_key.pem", "store/current/signing_crt.crt", true);
	s = (struct ks_keysearch){ .root = root, .config.store = "/keys" };
	expect(&s, "/keys/current/signing_key.pem", "/keys/current/signing_crt.crt", false);
	s.config.key = "/key.pem";
	expect(&s, "/key.pem", "/key.pem", false);
}

static void without_a_kernel_only_the_machine_s_keys(void **state)
{
	struct ks_keysearch s = { .root = root };

	(void)state;
	write_text(in_scratch("root" LOCAL "/signing_key.pem"), "");
	write_text(in_scratch("root" OWN "/signing_key.pem"), "");
	cannot(&s, KS_ERR_MISSING);
	write_text(in_scratch("root/var/lib/dkms/mok.key"), "");
	expect(&s, "/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub", false);
}

static void links_are_followed_inside_the_root(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel };

	(void)state;
	make_link("/usr/src/headers", in_scratch(MODULES "/build"));
	write_text(in_scratch("root/usr/src/headers/certs-local/20261123-1840/signing_key.pem"),
		   "");
	make_link("20261123-1840", in_scratch("root/usr/src/headers/certs-local/current"));
	expect(&s, LOCAL "/signing_key.pem", LOCAL "/signing_crt.crt", false);
}

static void what_is_not_there_is_passed_over(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel };

	(void)state;
	write_text(in_scratch("outside.key"), "");
	make_link("nowhere", in_scratch("root/var/lib/dkms/mok.key"));
	make_link(in_scratch("outside.key"), in_scratch("root/var/lib/shim-signed/mok/MOK.priv"));
	cannot(&s, KS_ERR_MISSING);
	write_text(in_scratch("root/etc/pki/akmods/private/private_key.priv"), "");
	expect(&s, "/etc/pki/akmods/private/private_key.priv",
	       "/etc/pki/akmods/certs/public_key.der", false);
}

/* --- the hash ------------------------------------------------------------------------------- */

static void expect_hash(const struct ks_keysearch *search, const char *hash)
{
	KS_KEY_PLACE place = { 0 };

	assert_ok(ks_keysearch(search, &place, &error));
	assert_string_equal(place.hash, hash);
}

static void hashes_in_their_order(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel, .config.key = "/k/key.pem" };

	(void)state;
	expect_hash(&s, "sha512");
	write_text(in_scratch(MODULES "/config"), "CONFIG_MODULE_SIG_HASH=\"sha384\"\n");
	expect_hash(&s, "sha384");
	write_text(in_scratch("root/k/khash"), "sha3-256\n");
	expect_hash(&s, "sha3-256");
	s.config_hash = "sha3-384";
	expect_hash(&s, "sha3-384");
	s.option_hash = "sha3-512";
	expect_hash(&s, "sha3-512");
}

static void the_hash_is_explained(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel, .config.key = "/k/key.pem" };
	KS_KEY_PLACE by_config = { 0 };
	KS_KEY_PLACE by_khash = { 0 };

	(void)state;
	write_text(in_scratch(MODULES "/config"), "CONFIG_MODULE_SIG_HASH=\"sha384\"\n");
	assert_ok(ks_keysearch(&s, &by_config, &error));
	assert_string_equal(by_config.hash_why, "/usr/lib/modules/6.1/config");
	write_text(in_scratch("root/k/khash"), "sha3-256\n");
	assert_ok(ks_keysearch(&s, &by_khash, &error));
	assert_string_equal(by_khash.hash_why, "/k/khash");
}

/* Beside the key: on the host for an option's, in the root for all others. */
static void khash_is_looked_for_beside_the_key(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel };
	char key[PATH_MAX + 32];

	(void)state;
	write_text(in_scratch("store/current/khash"), "sha256");
	write_text(in_scratch("root/k/khash"), "sha384");
	write_text(in_scratch("root/khash"), "sha224");
	snprintf(key, sizeof(key), "%s/store", scratch);
	s.option.store = key;
	expect_hash(&s, "sha256");
	s.option.store = NULL;
	s.config.key = "/k/key.pem";
	expect_hash(&s, "sha384");
	s.config.key = "/key.pem";
	expect_hash(&s, "sha224");
	s.config.key = "k/key.pem";
	expect_hash(&s, "sha384");
	s.config.key = "key.pem";
	expect_hash(&s, "sha224");
}

static void khash_holds_one_word(void **state)
{
	static const struct {
		const char *text, *hash;
	} cases[] = {
		{ "sha256", "sha256" },	       { "sha256\n", "sha256" }, { "sha256\r\n", "sha256" },
		{ "sha256 # mine", "sha256" }, { "", "sha512" },	 { "\n", "sha512" },
		{ "sha256\033[m", "sha256" },
	};
	struct ks_keysearch s = { .root = root, .config.key = "/k/key.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_text(in_scratch("root/k/khash"), cases[i].text);
		expect_hash(&s, cases[i].hash);
	}
}

static void khash_that_is_none(void **state)
{
	struct ks_keysearch s = { .root = root, .config.key = "/k/key.pem" };
	KS_BUF large = { 0 };

	(void)state;
	fill(&large, 10000, 1);
	write_file(in_scratch("root/k/khash"), ks_buf_view(&large));
	cannot(&s, KS_ERR_INPUT);
	assert_says("/k/khash");
	assert_int_equal(unlink(in_scratch("root/k/khash")), 0);
	make_dirs(in_scratch("root/k/khash"));
	cannot(&s, KS_ERR_INPUT);
	s.option_hash = "sha256";
	expect_hash(&s, "sha256");
}

static void a_kernel_that_names_no_hash(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel, .config.key = "/key.pem" };

	(void)state;
	write_text(in_scratch(MODULES "/config"), "CONFIG_MODULE_SIG_HASH=\"\"\n");
	expect_hash(&s, "sha512");
	write_text(in_scratch(MODULES "/config"), "# CONFIG_MODULE_SIG_HASH is not set\n");
	expect_hash(&s, "sha512");
}

/* --- certificates alone --------------------------------------------------------------------- */

static void expect_certs(const struct ks_keysearch *search, const char *wanted, bool on_host)
{
	KS_STRINGS paths = { 0 };
	const char *where = "unset", *why = NULL;
	char list[1024];

	assert_ok(ks_certsearch(search, &paths, &where, &why, &error));
	ks_strings_join(&paths, list, sizeof(list));
	assert_string_equal(list, wanted);
	assert_non_null(why);
	if (on_host)
		assert_null(where);
	else
		assert_ptr_equal(where, search->root);
}

static void certificates_in_their_order(void **state)
{
	struct ks_keysearch s = { .root = root, .kernel = &kernel };

	(void)state;
	expect_certs(&s, "", false);
	write_text(in_scratch("root/var/lib/dkms/mok.pub"), "");
	write_text(in_scratch("root" OWN "/signing_key.x509"), "");
	write_text(in_scratch("root" LOCAL "/signing_crt.crt"), "");
	expect_certs(&s, LOCAL "/signing_crt.crt, " OWN "/signing_key.x509, /var/lib/dkms/mok.pub",
		     false);
	s.kernel = NULL;
	expect_certs(&s, "/var/lib/dkms/mok.pub", false);
	s.config.store = "/keys";
	expect_certs(&s, "/keys/current/signing_crt.crt", false);
	s.config.key = "/both.pem";
	expect_certs(&s, "/both.pem", false);
	s.config.cert = "/config.crt";
	expect_certs(&s, "/config.crt", false);
	s.environment.cert = "env.crt";
	expect_certs(&s, "env.crt", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		search_test(the_whole_order),
		search_test(a_key_may_bring_its_certificate),
		search_test(a_certificate_alone_makes_no_sense),
		search_test(without_a_key_certificates_are_enough),
		search_test(key_stores),
		search_test(without_a_kernel_only_the_machine_s_keys),
		search_test(links_are_followed_inside_the_root),
		search_test(what_is_not_there_is_passed_over),
		search_test(hashes_in_their_order),
		search_test(the_hash_is_explained),
		search_test(khash_is_looked_for_beside_the_key),
		search_test(khash_holds_one_word),
		search_test(khash_that_is_none),
		search_test(a_kernel_that_names_no_hash),
		search_test(certificates_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
