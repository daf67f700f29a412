/* SPDX-License-Identifier: MIT */
/* CONFIG_SYSTEM_TRUSTED_KEYS: ours goes in, what somebody else put there stays trusted. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "core/certs.h"
#include "core/trustedkeys.h"

#define NOW ((time_t)1795458105) /* 2026-11-23T18:21:45Z */
#define NAME "20261123-1821"
#define STORE (in_scratch("store"))
#define CONFIG (in_scratch("config"))

static void put_key(const struct ks_keystore *store, int n, const char *wanted)
{
	struct ks_key_demand demand = { .type = ks_key_type_find("ecdsa"),
					.hash = "sha512",
					.now = NOW };
	KS_STRING name = NULL;

	assert_ok(ks_keystore_add(store, identity("P-384", n)->key, identity("P-384", n)->cert,
				  &demand, &name, &error));
	assert_string_equal(name, wanted);
}

/* A store with the key NAME, which is identity 0. */
static void open_store(struct ks_keystore *store)
{
	assert_ok(ks_keystore_open(store, STORE, true, &error));
	put_key(store, 0, NAME);
}

/* Certificates of others: P-256 pairs FROM to UNTIL. */
static void write_foreign(const char *path, int from, int until)
{
	KS_BUF pem = { 0 };

	for (int n = from; n < until; n++)
		put_cert_pem(&pem, identity("P-256", n)->cert);
	write_file(path, ks_buf_view(&pem));
}

/* A line before and one behind, which are to stay. */
static void write_config(const char *path, const char *value)
{
	KS_STRING text = NULL;

	assert_ok(ks_string_print(&text, &error,
				  "CONFIG_A=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"%s\"\nCONFIG_B=m\n",
				  value));
	write_text(path, text);
}

static const struct ks_grace no_grace;

static void expect_config(const char *path, const char *value)
{
	KS_STRING text = NULL;

	assert_ok(ks_string_print(&text, &error,
				  "CONFIG_A=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"%s\"\nCONFIG_B=m\n",
				  value));
	assert_content(path, text_view(text));
}

static void set(const struct ks_keystore *store, const char *name, const char *config,
		const char *value, size_t kept, bool changed)
{
	struct ks_trusted_keys result;

	assert_ok(ks_trusted_keys_set(store, name, &no_grace, config, false, &result, &error));
	assert_string_equal(result.value, value);
	assert_int_equal(result.kept, kept);
	assert_int_equal(result.changed, changed);
	ks_trusted_keys_free(&result);
	assert_null(result.value);
}

/* PATH has ours and those of others, each once, and nothing that is private. */
static void expect_bundle(const char *path, int ours, int from, int until)
{
	KS_CERTS certs = { 0 };
	KS_BUF text = { 0 };
	size_t found = 0;

	assert_int_equal(stat_of(path).st_mode & 07777, 0644);
	read_file(path, &text);
	assert_null(memmem(text.data, text.len, "PRIVATE", 7));
	assert_ok(ks_certs_load(&certs, NULL, path, &error));
	assert_int_equal(certs.count, 1 + (size_t)(until - from));
	for (size_t i = 0; i < certs.count; i++) {
		found += X509_cmp(certs.item[i], identity("P-384", ours)->cert) == 0;
		for (int n = from; n < until; n++)
			found += X509_cmp(certs.item[i], identity("P-256", n)->cert) == 0;
	}
	assert_int_equal(found, certs.count);
}

static const char *ours(const char *name)
{
	return in_scratch("store/%s/signing_key.pem", name);
}

static const char *bundle(const char *name)
{
	return in_scratch("store/%s/trusted_keys.pem", name);
}

/* --- what ours becomes ---------------------------------------------------------------------- */

static void ours_alone(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	write_config(CONFIG, "");
	set(&store, NAME, CONFIG, ours(NAME), 0, true);
	expect_config(CONFIG, ours(NAME));
	set(&store, NAME, CONFIG, ours(NAME), 0, false);
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 5);
}

static void where_the_line_is_missing(void **state)
{
	static const char *const before[] = {
		"", "CONFIG_A=y\n", "CONFIG_A=y\n# CONFIG_SYSTEM_TRUSTED_KEYS is not set\n",
		"CONFIG_SYSTEM_TRUSTED_KEYRING=y\nCONFIG_A=y\n"
	};
	static const char *const format[] = { "%s", "CONFIG_A=y\n%s", "CONFIG_A=y\n%s",
					      "CONFIG_SYSTEM_TRUSTED_KEYRING=y\n%sCONFIG_A=y\n" };
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	for (size_t i = 0; i < 4; i++) {
		KS_STRING line = NULL;
		KS_STRING text = NULL;
		const char *gap = strstr(format[i], "%s");

		assert_ok(ks_string_print(&line, &error, "CONFIG_SYSTEM_TRUSTED_KEYS=\"%s\"\n",
					  ours(NAME)));
		assert_ok(ks_string_print(&text, &error, "%.*s%s%s", (int)(gap - format[i]),
					  format[i], line, gap + 2));
		write_text(CONFIG, before[i]);
		set(&store, NAME, CONFIG, ours(NAME), 0, true);
		assert_content(CONFIG, text_view(text));
	}
}

static void is_not_written_if_it_says_so(void **state)
{
	const struct timespec past[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	struct stat before, after;

	(void)state;
	open_store(&store);
	write_config(CONFIG, ours(NAME));
	assert_int_equal(utimensat(AT_FDCWD, CONFIG, past, 0), 0);
	before = stat_of(CONFIG);
	set(&store, NAME, CONFIG, ours(NAME), 0, false);
	after = stat_of(CONFIG);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
}

static void its_own_old_keys_go(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	put_key(&store, 1, NAME "-2");
	write_config(CONFIG, ours(NAME));
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
	expect_config(CONFIG, ours(NAME "-2"));
	write_config(CONFIG, in_scratch("store/current/signing_key.pem"));
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
}

/* A store that was moved or pruned: whose key it was, the path says. */
static void the_path_of_a_key_that_is_gone(void **state)
{
	static const char *const gone[] = { "/nowhere/certs-local/20250101-0000/signing_key.pem",
					    "/nowhere/20250101-0000-12/signing_key.pem",
					    "/nowhere/current/signing_key.pem",
					    "../certs-local/20250101-0000/signing_key.pem",
					    "20250101-0000/signing_key.pem" };
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	make_dirs(in_scratch("certs-local"));
	make_dirs(in_scratch("20250101-0000"));
	open_store(&store);
	for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
		write_config(CONFIG, gone[i]);
		set(&store, NAME, CONFIG, ours(NAME), 0, true);
		expect_config(CONFIG, ours(NAME));
	}
}

/* That is why a new one was due: it must not stand in the way, nor be trusted for ever. */
static void its_own_old_key_that_is_damaged(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	put_key(&store, 1, NAME "-2");
	write_config(CONFIG, ours(NAME));
	write_text(ours(NAME), "");
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
	write_config(CONFIG, ours(NAME));
	write_text(ours(NAME), "nonsense\n");
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
}

static void its_own_old_key_without_certificate(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF other = { 0 };

	(void)state;
	open_store(&store);
	put_key(&store, 1, NAME "-2");
	write_config(CONFIG, ours(NAME));
	assert_int_equal(unlink(in_scratch("store/" NAME "/signing_crt.crt")), 0);
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
	write_config(CONFIG, ours(NAME));
	put_cert_der(&other, identity("P-384", 2)->cert);
	write_file(in_scratch("store/" NAME "/signing_crt.crt"), ks_buf_view(&other));
	set(&store, NAME "-2", CONFIG, ours(NAME "-2"), 0, true);
	expect_config(CONFIG, ours(NAME "-2"));
}

/* --- certificates of others ----------------------------------------------------------------- */

static void theirs_stay_trusted(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	write_foreign(in_scratch("ca.pem"), 0, 2);
	write_config(CONFIG, in_scratch("ca.pem"));
	set(&store, NAME, CONFIG, bundle(NAME), 2, true);
	expect_config(CONFIG, bundle(NAME));
	expect_bundle(bundle(NAME), 0, 0, 2);
	set(&store, NAME, CONFIG, bundle(NAME), 2, false);
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 6);
}

static void theirs_beside_ours_and_twice(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF pem = { 0 };

	(void)state;
	open_store(&store);
	put_cert_pem(&pem, identity("P-384", 0)->cert);
	put_cert_pem(&pem, identity("P-256", 0)->cert);
	put_key_pem(&pem, identity("P-256", 0)->key, NULL);
	put_cert_pem(&pem, identity("P-256", 0)->cert);
	write_file(in_scratch("mixed.pem"), ks_buf_view(&pem));
	write_config(CONFIG, in_scratch("mixed.pem"));
	set(&store, NAME, CONFIG, bundle(NAME), 1, true);
	expect_bundle(bundle(NAME), 0, 0, 1);
}

static void theirs_in_der_and_by_relative_path(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF der = { 0 };

	(void)state;
	open_store(&store);
	put_cert_der(&der, identity("P-256", 0)->cert);
	write_file(in_scratch("linux/certs/ca.der"), ks_buf_view(&der));
	write_config(in_scratch("linux/.config"), "certs/ca.der");
	set(&store, NAME, in_scratch("linux/.config"), bundle(NAME), 1, true);
	expect_bundle(bundle(NAME), 0, 0, 1);
}

static void theirs_are_carried_over_rotations(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	write_foreign(in_scratch("ca.pem"), 0, 2);
	write_config(CONFIG, in_scratch("ca.pem"));
	set(&store, NAME, CONFIG, bundle(NAME), 2, true);
	assert_int_equal(unlink(in_scratch("ca.pem")), 0);
	for (int n = 1; n < 4; n++) {
		char name[32];

		snprintf(name, sizeof(name), NAME "-%d", n + 1);
		put_key(&store, n, name);
		set(&store, name, CONFIG, bundle(name), 2, true);
		expect_bundle(bundle(name), n, 0, 2);
		expect_config(CONFIG, bundle(name));
	}
	expect_bundle(bundle(NAME), 0, 0, 2);
}

static void each_config_keeps_its_own(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	const char *second = in_scratch("store/" NAME "/trusted_keys-2.pem");

	(void)state;
	open_store(&store);
	write_foreign(in_scratch("a.pem"), 0, 1);
	write_foreign(in_scratch("b.pem"), 1, 3);
	write_config(in_scratch("config-a"), in_scratch("a.pem"));
	write_config(in_scratch("config-b"), in_scratch("b.pem"));
	write_config(in_scratch("config-c"), in_scratch("a.pem"));
	write_config(in_scratch("config-d"), "");
	for (int round = 0; round < 2; round++) {
		set(&store, NAME, in_scratch("config-a"), bundle(NAME), 1, !round);
		set(&store, NAME, in_scratch("config-b"), second, 2, !round);
		set(&store, NAME, in_scratch("config-c"), bundle(NAME), 1, !round);
		set(&store, NAME, in_scratch("config-d"), ours(NAME), 0, !round);
	}
	expect_bundle(bundle(NAME), 0, 0, 1);
	expect_bundle(second, 0, 1, 3);
	put_key(&store, 1, NAME "-2");
	set(&store, NAME "-2", in_scratch("config-b"), bundle(NAME "-2"), 2, true);
	set(&store, NAME "-2", in_scratch("config-a"),
	    in_scratch("store/" NAME "-2/trusted_keys-2.pem"), 1, true);
	expect_bundle(bundle(NAME "-2"), 1, 1, 3);
}

/* Another store's key is another's: both kernels' modules are to load. */
static void the_key_of_another_store(void **state)
{
	KS_KEYSTORE other = KS_KEYSTORE_NONE;
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_CERTS certs = { 0 };

	(void)state;
	assert_ok(ks_keystore_open(&other, in_scratch("other"), true, &error));
	put_key(&other, 3, NAME);
	open_store(&store);
	write_config(CONFIG, in_scratch("other/" NAME "/signing_key.pem"));
	set(&store, NAME, CONFIG, bundle(NAME), 1, true);
	assert_ok(ks_certs_load(&certs, NULL, bundle(NAME), &error));
	assert_int_equal(certs.count, 2);
}

/* --- refusals ------------------------------------------------------------------------------- */

static void refuse(const struct ks_keystore *store, const char *value, enum ks_code code)
{
	struct ks_trusted_keys result;
	struct stat before, after;

	write_config(CONFIG, value);
	before = stat_of(CONFIG);
	for (int dry = 0; dry < 2; dry++) {
		assert_fails(ks_trusted_keys_set(store, dry ? NULL : NAME, &no_grace, CONFIG, dry,
						 &result, &error),
			     code);
		assert_says("config");
		assert_says("CONFIG_SYSTEM_TRUSTED_KEYS");
	}
	after = stat_of(CONFIG);
	assert_int_equal(before.st_ino, after.st_ino);
	expect_config(CONFIG, value);
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 5);
}

static void their_file_is_missing(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	refuse(&store, in_scratch("ca.pem"), KS_ERR_MISSING);
	assert_says("ca.pem");
	refuse(&store, "certs/ca.pem", KS_ERR_MISSING);
	refuse(&store, in_scratch("store/20250101-0000/trusted_keys.pem"), KS_ERR_MISSING);
	refuse(&store, in_scratch("notdated/signing_key.pem"), KS_ERR_MISSING);
	refuse(&store, "signing_key.pem", KS_ERR_MISSING);
}

static void their_file_has_no_certificate(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	write_text(in_scratch("ca.pem"), "nonsense\n");
	refuse(&store, in_scratch("ca.pem"), KS_ERR_KEY);
	assert_says("ca.pem");
}

static void a_config_that_is_none(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	struct ks_trusted_keys result;

	(void)state;
	open_store(&store);
	assert_fails_errno(
		ks_trusted_keys_set(&store, NAME, &no_grace, CONFIG, false, &result, &error),
		ENOENT);
	assert_says("config");
	make_dirs(CONFIG);
	assert_fails(ks_trusted_keys_set(&store, NAME, &no_grace, CONFIG, false, &result, &error),
		     KS_ERR_INPUT);
	assert_null(result.value);
}

static void a_dry_run_writes_nothing(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	struct ks_trusted_keys result;

	(void)state;
	open_store(&store);
	write_foreign(in_scratch("ca.pem"), 0, 1);
	write_config(CONFIG, in_scratch("ca.pem"));
	assert_ok(ks_trusted_keys_set(&store, NAME, &no_grace, CONFIG, true, &result, &error));
	assert_string_equal(result.value, bundle(NAME));
	assert_int_equal(result.kept, 1);
	assert_true(result.changed);
	ks_trusted_keys_free(&result);
	assert_ok(ks_trusted_keys_set(&store, NULL, &no_grace, CONFIG, true, &result, &error));
	assert_null(result.value);
	assert_int_equal(result.kept, 1);
	expect_config(CONFIG, in_scratch("ca.pem"));
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 5);
}

/* --- the file ------------------------------------------------------------------------------- */

static void mode_and_owner_stay(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	mode_t before = umask(0);

	(void)state;
	open_store(&store);
	write_config(CONFIG, "");
	assert_int_equal(chmod(CONFIG, 0600), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(CONFIG, 12345, 54321), 0);
	set(&store, NAME, CONFIG, ours(NAME), 0, true);
	umask(before);
	assert_int_equal(stat_of(CONFIG).st_mode & 07777, 0600);
	assert_int_equal(stat_of(CONFIG).st_uid, geteuid() == 0 ? 12345 : geteuid());
	assert_int_equal(stat_of(CONFIG).st_gid, geteuid() == 0 ? 54321 : getegid());
}

static void of_a_link_the_target_is_replaced(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	char target[PATH_MAX] = "";

	(void)state;
	open_store(&store);
	/* A relative value is one of the target's directory. */
	write_foreign(in_scratch("real/certs/ca.pem"), 0, 1);
	write_config(in_scratch("real/config"), "certs/ca.pem");
	make_link("real/config", in_scratch("link"));
	make_link("link", CONFIG);
	set(&store, NAME, CONFIG, bundle(NAME), 1, true);
	assert_true(readlink(CONFIG, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "link");
	assert_true(S_ISLNK(stat_of(in_scratch("link")).st_mode));
	assert_true(S_ISREG(stat_of(in_scratch("real/config")).st_mode));
	expect_config(in_scratch("real/config"), bundle(NAME));
	assert_int_equal(count_entries(in_scratch("real")), 2);
}

static void odd_paths(const char *dir, const char *escaped)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_STRING value = NULL;
	const char *config = in_scratch("%s/config", dir);

	make_dirs(in_scratch("%s", dir));
	assert_ok(ks_keystore_open(&store, in_scratch("%s/store", dir), true, &error));
	put_key(&store, 0, NAME);
	write_foreign(in_scratch("%s/ca.pem", dir), 0, 1);
	assert_ok(ks_string_print(&value, &error, "%s/%s/ca.pem", scratch, escaped));
	write_config(config, value);
	set(&store, NAME, config, in_scratch("%s/store/" NAME "/trusted_keys.pem", dir), 1, true);
	expect_config(config, in_scratch("%s/store/" NAME "/trusted_keys.pem", escaped));
	set(&store, NAME, config, in_scratch("%s/store/" NAME "/trusted_keys.pem", dir), 1, false);
	expect_bundle(in_scratch("%s/store/" NAME "/trusted_keys.pem", dir), 0, 0, 1);
}

static void paths_with_blanks_and_quotes(void **state)
{
	(void)state;
	odd_paths("with blanks", "with blanks");
	odd_paths("it's a \"quote\"", "it's a \\\"quote\\\"");
	odd_paths("back\\slash", "back\\\\slash");
	odd_paths("%s $HOME *", "%s $HOME *");
	odd_paths("\xc3\xa4\xff", "\xc3\xa4\xff");
}

static void a_path_with_a_newline(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	struct ks_trusted_keys result;

	(void)state;
	assert_ok(ks_keystore_open(&store, in_scratch("new\nline"), true, &error));
	put_key(&store, 0, NAME);
	write_config(CONFIG, "");
	error = (struct ks_error){ 0 };
	assert_false(ks_trusted_keys_set(&store, NAME, &no_grace, CONFIG, false, &result, &error));
	assert_int_equal(error.code, KS_ERR_INPUT);
	assert_says("newline");
	expect_config(CONFIG, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(ours_alone),
		scratch_test(where_the_line_is_missing),
		scratch_test(is_not_written_if_it_says_so),
		scratch_test(its_own_old_keys_go),
		scratch_test(the_path_of_a_key_that_is_gone),
		scratch_test(its_own_old_key_that_is_damaged),
		scratch_test(its_own_old_key_without_certificate),
		scratch_test(theirs_stay_trusted),
		scratch_test(theirs_beside_ours_and_twice),
		scratch_test(theirs_in_der_and_by_relative_path),
		scratch_test(theirs_are_carried_over_rotations),
		scratch_test(each_config_keeps_its_own),
		scratch_test(the_key_of_another_store),
		scratch_test(their_file_is_missing),
		scratch_test(their_file_has_no_certificate),
		scratch_test(a_config_that_is_none),
		scratch_test(a_dry_run_writes_nothing),
		scratch_test(mode_and_owner_stay),
		scratch_test(of_a_link_the_target_is_replaced),
		scratch_test(paths_with_blanks_and_quotes),
		scratch_test(a_path_with_a_newline),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
