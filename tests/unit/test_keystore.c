/* SPDX-License-Identifier: MIT */
/* Key stores: when a key is due, how a new one gets in, and what leaves for a package. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/period.h"
#include "base/place.h"
#include "core/keystore_install.h"

#define NOW ((time_t)1795458105) /* 2026-11-23T18:21:45Z */
#define NAME "20261123-1821"
#define STORE (in_scratch("store"))

enum { DAY = 24 * 60 * 60 };

/* Which call of fsync() from now on fails; 0: none. */
static int bad_sync;

int fsync_hook(int fd) __asm__("fsync");

int fsync_hook(int fd)
{
	if (bad_sync && --bad_sync == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static struct ks_key_demand demand_of(const char *type, int64_t refresh)
{
	return (struct ks_key_demand){
		.type = ks_key_type_find(type), .hash = "sha512", .refresh = refresh, .now = NOW
	};
}

static void open_store(struct ks_keystore *store)
{
	assert_ok(ks_keystore_open(store, STORE, true, &error));
}

/* A pair of our own, valid from FROM to UNTIL, in the store as NAME. */
static void add(const struct ks_keystore *store, const char *kind, time_t from, time_t until)
{
	struct ks_key_demand demand = demand_of(kind[0] == 'R' ? "rsa" : "ecdsa", 7 * DAY);
	struct cert_spec spec = { .cn = "key", .from = from, .until = until };
	EVP_PKEY *key = identity(kind, 0)->key;
	X509 *cert = make_cert(key, &spec);
	KS_STRING name = NULL;

	assert_ok(ks_keystore_add(store, key, cert, &demand, &name, &error));
	X509_free(cert);
}

/* WHY is NULL where the key is to stay, else a part of the reason. */
static void expect_due(const struct ks_keystore *store, const struct ks_key_demand *demand,
		       const char *why)
{
	KS_STRING said = (char *)(uintptr_t)1;

	assert_ok(ks_keystore_due(store, demand, &said, &error));
	if (!said != !why)
		fail_msg("due: %s", said ? said : "no");
	if (why && !strstr(said, why))
		fail_msg("'%s' does not say '%s'", said, why);
	if (why)
		assert_null(strchr(said, '\n'));
	assert_int_equal(ERR_peek_error(), 0);
}

static void expect_due_at(const struct ks_keystore *store, int64_t refresh, time_t now,
			  const char *why)
{
	struct ks_key_demand demand = demand_of("ecdsa", refresh);

	demand.now = now;
	expect_due(store, &demand, why);
}

/* --- when a new key is due ------------------------------------------------------------------ */

static void without_a_key(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	expect_due(&store, &demand, "no current key");
	make_link(NAME, in_scratch("store/current"));
	expect_due(&store, &demand, "No such file");
	assert_int_equal(unlink(in_scratch("store/current")), 0);
	make_link("current", in_scratch("store/current"));
	expect_due(&store, &demand, "");
}

static void by_age_to_the_second(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + (time_t)36500 * DAY);
	expect_due_at(&store, 30 * DAY, NOW, NULL);
	expect_due_at(&store, 30 * DAY, NOW + 30 * DAY - 1, NULL);
	expect_due_at(&store, 30 * DAY, NOW + 30 * DAY, "older");
	expect_due_at(&store, 30 * DAY, NOW + 30 * DAY + 1, "older");
	expect_due_at(&store, 1, NOW, NULL);
	expect_due_at(&store, 1, NOW + 1, "older");
	expect_due_at(&store, KS_PERIOD_NEVER, NOW + (time_t)36499 * DAY, NULL);
	expect_due_at(&store, KS_PERIOD_ALWAYS, NOW, "every run");
	expect_due_at(&store, KS_PERIOD_ALWAYS, NOW + (time_t)40000 * DAY, "");
}

/* The age is the certificate's, whatever the files and the directory's name say. */
static void by_the_certificate_not_the_file(void **state)
{
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW - 29 * DAY, NOW + 1000 * DAY);
	utimensat(AT_FDCWD, in_scratch("store/" NAME "/signing_crt.crt"), old, 0);
	utimensat(AT_FDCWD, in_scratch("store/" NAME "/signing_key.pem"), old, 0);
	utimensat(AT_FDCWD, in_scratch("store/" NAME), old, 0);
	expect_due_at(&store, 30 * DAY, NOW, NULL);
	expect_due_at(&store, 30 * DAY, NOW + DAY, "older");
}

static void by_the_end(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 40 * DAY);
	expect_due_at(&store, 30 * DAY, NOW + 10 * DAY - 1, NULL);
	expect_due_at(&store, 30 * DAY, NOW + 10 * DAY, "ends");
	expect_due_at(&store, 30 * DAY, NOW + 10 * DAY + 1, "ends");
	expect_due_at(&store, KS_PERIOD_NEVER, NOW + 40 * DAY - 1, NULL);
	expect_due_at(&store, KS_PERIOD_NEVER, NOW + 40 * DAY + 1, "expired");
	expect_due_at(&store, 400 * DAY, NOW + 41 * DAY, "expired");
}

/* A clock that was set back: the age is below zero, and no reason. */
static void not_by_a_beginning_to_come(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW + 2 * DAY, NOW + 1000 * DAY);
	expect_due_at(&store, 7 * DAY, NOW, NULL);
	expect_due_at(&store, 1, NOW + 2 * DAY, NULL);
	expect_due_at(&store, KS_PERIOD_NEVER, NOW, NULL);
	expect_due_at(&store, KS_PERIOD_ALWAYS, NOW, "every run");
}

static void by_dates_far_away(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", 0, (time_t)253402300799); /* 9999-12-31T23:59:59Z */
	expect_due_at(&store, (int64_t)1000000 * DAY, NOW, NULL);
	expect_due_at(&store, NOW, NOW, "older");
	expect_due_at(&store, (int64_t)NOW + 1, NOW, NULL);
	expect_due_at(&store, (int64_t)2147483647 * 7 * DAY, NOW, "ends");
}

static void by_type_and_hash(void **state)
{
	struct ks_key_demand demand = demand_of("rsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	expect_due(&store, &demand, "RSA");
	demand.type = ks_key_type_find("mldsa-65");
	expect_due(&store, &demand, "ML-DSA-65");
	demand.type = ks_key_type_find("ecdsa");
	expect_due(&store, &demand, NULL);
	demand.hash = "sha256";
	expect_due(&store, &demand, "sha512");
	demand.hash = "sha3-512";
	expect_due(&store, &demand, "sha3-512");
	demand.hash = "sha51";
	expect_due(&store, &demand, "sha51 ");
	add(&store, "RSA", NOW, NOW + 1000 * DAY);
	demand = demand_of("rsa", KS_PERIOD_NEVER);
	expect_due(&store, &demand, NULL);
	demand.type = ks_key_type_find("ecdsa");
	expect_due(&store, &demand, "EC");
}

/* What `ktype' says is for people: the key says it itself. */
static void not_by_the_file_ktype(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	write_text(in_scratch("store/" NAME "/ktype"), "rsa\n");
	expect_due(&store, &demand, NULL);
	assert_int_equal(unlink(in_scratch("store/" NAME "/ktype")), 0);
	expect_due(&store, &demand, NULL);
}

static void with_khash_as_others_write_it(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	write_text(in_scratch("store/" NAME "/khash"), "sha512");
	expect_due(&store, &demand, NULL);
	write_text(in_scratch("store/" NAME "/khash"), "sha512\r\n");
	expect_due(&store, &demand, NULL);
	write_text(in_scratch("store/" NAME "/khash"), "");
	expect_due(&store, &demand, "hash");
	assert_int_equal(unlink(in_scratch("store/" NAME "/khash")), 0);
	expect_due(&store, &demand, "khash");
}

/* Each file of the pair missing, empty, of other content, encrypted, or no file at all. */
static void expect_due_without(const struct ks_keystore *store, const char *file, const char *why)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	const char *path = in_scratch("store/" NAME "/%s", file);
	KS_BUF content = { 0 };

	read_file(path, &content);
	assert_int_equal(unlink(path), 0);
	expect_due(store, &demand, why);
	write_text(path, "");
	expect_due(store, &demand, why);
	write_text(path, "nonsense\n");
	expect_due(store, &demand, why);
	write_file(path, ks_view_of(content.data, content.len / 3));
	expect_due(store, &demand, why);
	assert_int_equal(unlink(path), 0);
	make_dirs(path);
	expect_due(store, &demand, why);
	assert_int_equal(rmdir(path), 0);
	write_file(path, ks_buf_view(&content));
	expect_due(store, &demand, NULL);
}

static void by_files_that_cannot_be_read(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	expect_due_without(&store, "signing_key.pem", "signing_key.pem");
	expect_due_without(&store, "signing_crt.crt", "signing_crt.crt");
}

static void by_a_key_that_is_encrypted(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF file = { 0 };

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	put_key_pem(&file, identity("P-384", 0)->key, "secret");
	write_file(in_scratch("store/" NAME "/signing_key.pem"), ks_buf_view(&file));
	expect_due(&store, &demand, "signing_key.pem");
}

static void by_files_that_are_no_pair(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF file = { 0 };

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	put_cert_der(&file, identity("P-384", 1)->cert);
	write_file(in_scratch("store/" NAME "/signing_crt.crt"), ks_buf_view(&file));
	expect_due(&store, &demand, "pair");
	file.len = 0;
	put_cert_der(&file, identity("RSA", 1)->cert);
	write_file(in_scratch("store/" NAME "/signing_crt.crt"), ks_buf_view(&file));
	expect_due(&store, &demand, "pair");
}

/* The kernel's build takes the certificate out of signing_key.pem, whatever is beside it. */
static void by_the_certificate_in_the_keys_file(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", KS_PERIOD_NEVER);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_BUF file = { 0 };

	(void)state;
	open_store(&store);
	add(&store, "P-384", NOW, NOW + 1000 * DAY);
	put_key_pem(&file, identity("P-384", 0)->key, NULL);
	write_file(in_scratch("store/" NAME "/signing_key.pem"), ks_buf_view(&file));
	expect_due(&store, &demand, "signing_key.pem");
	put_cert_pem(&file, identity("P-384", 1)->cert);
	write_file(in_scratch("store/" NAME "/signing_key.pem"), ks_buf_view(&file));
	expect_due(&store, &demand, "");
}

/* --- adding --------------------------------------------------------------------------------- */

static void expect_mode(const char *path, mode_t mode)
{
	mode_t there = stat_of(path).st_mode & 07777;

	if (there != mode)
		fail_msg("%s has mode %04o, not %04o", path, there, mode);
}

static void expect_link(const char *path, const char *target)
{
	char there[PATH_MAX] = "";

	assert_true(readlink(path, there, sizeof(there) - 1) > 0);
	assert_string_equal(there, target);
}

/* What every reader of the layout finds, by OpenSSL alone. */
static void expect_pair(const char *name, const struct identity *wanted)
{
	KS_BUF der = { 0 };
	KS_BUF there = { 0 };
	KS_BIO *both = BIO_new_file(in_scratch("store/%s/signing_key.pem", name), "r");
	KS_BIO *alone = BIO_new_file(in_scratch("store/%s/signing_prv.pem", name), "r");
	KS_EVP_PKEY *key = PEM_read_bio_PrivateKey(both, NULL, NULL, NULL);
	KS_X509 *cert = PEM_read_bio_X509(both, NULL, NULL, NULL);
	KS_EVP_PKEY *again = PEM_read_bio_PrivateKey(alone, NULL, NULL, NULL);

	assert_int_equal(EVP_PKEY_eq(key, wanted->key), 1);
	assert_int_equal(EVP_PKEY_eq(again, wanted->key), 1);
	assert_int_equal(X509_cmp(cert, wanted->cert), 0);
	assert_null(PEM_read_bio_X509(alone, NULL, NULL, NULL));
	ERR_clear_error();
	put_cert_der(&der, wanted->cert);
	read_file(in_scratch("store/%s/signing_crt.crt", name), &there);
	assert_view_equal(ks_buf_view(&there), ks_buf_view(&der));
}

static void add_identity(const struct ks_keystore *store, int n, const char *wanted)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	KS_STRING name = NULL;

	assert_ok(ks_keystore_add(store, identity("P-384", n)->key, identity("P-384", n)->cert,
				  &demand, &name, &error));
	assert_string_equal(name, wanted);
}

static void lays_out_what_3_0_did(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_STRING current = NULL;

	(void)state;
	open_store(&store);
	assert_ok(ks_keystore_current(&store, &current, &error));
	assert_null(current);
	add_identity(&store, 0, NAME);
	expect_pair(NAME, identity("P-384", 0));
	assert_content(in_scratch("store/" NAME "/khash"), text_view("sha512\n"));
	assert_content(in_scratch("store/" NAME "/ktype"), text_view("ec\n"));
	expect_link(in_scratch("store/current"), NAME);
	assert_int_equal(count_entries(STORE), 2);
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 5);
	assert_ok(ks_keystore_current(&store, &current, &error));
	assert_string_equal(current, NAME);
	assert_string_equal(store.path, STORE);
}

static void modes_whatever_the_umask(void **state)
{
	static const mode_t masks[] = { 000, 022, 027, 077 };
	mode_t before = umask(022);

	(void)state;
	for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++) {
		KS_KEYSTORE store = KS_KEYSTORE_NONE;
		char name[32] = NAME;

		if (i)
			snprintf(name, sizeof(name), NAME "-%zu", i + 1);
		open_store(&store);
		umask(masks[i]);
		add_identity(&store, 0, name);
		umask(022);
		expect_mode(in_scratch("store/%s/signing_key.pem", name), 0600);
		expect_mode(in_scratch("store/%s/signing_prv.pem", name), 0600);
		expect_mode(in_scratch("store/%s/signing_crt.crt", name), 0644);
		expect_mode(in_scratch("store/%s/khash", name), 0644);
		expect_mode(in_scratch("store/%s/ktype", name), 0644);
		assert_int_equal(stat_of(in_scratch("store/%s", name)).st_mode & 0022, 0);
	}
	umask(before);
}

static void never_writes_over_what_is_there(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	const char *third = in_scratch("store/" NAME "-3");

	(void)state;
	open_store(&store);
	add_identity(&store, 0, NAME);
	add_identity(&store, 1, NAME "-2");
	write_text(third, "a file\n");
	make_dirs(in_scratch("store/" NAME "-4"));
	make_link("nowhere", in_scratch("store/" NAME "-5"));
	add_identity(&store, 2, NAME "-6");
	expect_pair(NAME, identity("P-384", 0));
	expect_pair(NAME "-2", identity("P-384", 1));
	expect_pair(NAME "-6", identity("P-384", 2));
	assert_content(third, text_view("a file\n"));
	assert_int_equal(count_entries(in_scratch("store/" NAME "-4")), 0);
	expect_link(in_scratch("store/" NAME "-5"), "nowhere");
	expect_link(in_scratch("store/current"), NAME "-6");
}

static void names_are_in_utc(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_STRING name = NULL;

	(void)state;
	setenv("TZ", "XYZ-9", 1);
	tzset();
	open_store(&store);
	demand.now = 1798761599; /* 2026-12-31T23:59:59Z */
	assert_ok(ks_keystore_add(&store, identity("P-384", 0)->key, identity("P-384", 0)->cert,
				  &demand, &name, &error));
	unsetenv("TZ");
	tzset();
	assert_string_equal(name, "20261231-2359");
}

static void clears_up_after_a_run_that_was_killed(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	write_text(in_scratch("store/.kernel-sign-0123456789abcdef.tmp/signing_prv.pem"), "half");
	make_dirs(in_scratch("store/.kernel-sign-1123456789abcdef.tmp"));
	make_link(NAME, in_scratch("store/.kernel-sign-2123456789abcdef.tmp"));
	write_text(in_scratch("store/.kernel-sign-3123456789abcdef.tmp"), "");
	write_text(in_scratch("store/.gitignore"), "*");
	write_text(in_scratch("store/x509.oot.genkey.bak"), "");
	write_text(in_scratch("store/.kernel/signing_prv.pem"), "whole");
	open_store(&store);
	add_identity(&store, 0, NAME);
	assert_int_equal(count_entries(STORE), 5);
	assert_content(in_scratch("store/.gitignore"), text_view("*"));
	assert_content(in_scratch("store/.kernel/signing_prv.pem"), text_view("whole"));
}

/* Killed between the directory's name and the link, or between the link and the end. */
static void clears_up_keys_that_nothing_leads_to(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add_identity(&store, 0, NAME);
	expect_pair(NAME, identity("P-384", 0));
	write_text(in_scratch("store/" NAME "/.kernel-sign-unused"), "");
	write_text(in_scratch("store/20200101-0000/.kernel-sign-unused"), "");
	write_text(in_scratch("store/20200101-0000/signing_prv.pem"), "a key");
	write_text(in_scratch("store/20200101-0001/signing_prv.pem"), "a key");
	ks_keystore_tidy(&store);
	assert_int_equal(count_entries(STORE), 3);
	assert_int_equal(count_entries(in_scratch("store/" NAME)), 5);
	expect_pair(NAME, identity("P-384", 0));
	assert_content(in_scratch("store/20200101-0001/signing_prv.pem"), text_view("a key"));
}

/* Either all is as it was or the new key is in use: `current' never leads nowhere. */
static void whatever_cannot_be_synced(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	bool ok = false, renewed = false;

	(void)state;
	for (int bad = 1; !ok && bad < 100; bad++) {
		KS_KEYSTORE store = KS_KEYSTORE_NONE;
		KS_STRING current = NULL;
		KS_STRING name = NULL;

		open_store(&store);
		if (bad == 1)
			add_identity(&store, 0, NAME);
		bad_sync = bad;
		ok = ks_keystore_add(&store, identity("P-384", 1)->key, identity("P-384", 1)->cert,
				     &demand, &name, &error);
		bad_sync = 0;
		assert_ok(ks_keystore_current(&store, &current, &error));
		renewed |= !ok && strcmp(current, NAME) != 0;
		expect_pair(current, identity("P-384", strcmp(current, NAME) ? 1 : 0));
		expect_pair(NAME, identity("P-384", 0));
	}
	assert_true(ok);
	assert_true(renewed);
	assert_int_equal(count_entries(STORE), 4);
}

/* A store that another one's link leads to is the same store. */
static void opened_by_a_link(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	make_dirs(STORE);
	make_link("store", in_scratch("link"));
	assert_ok(ks_keystore_open(&store, in_scratch("link"), true, &error));
	assert_string_equal(store.path, STORE);
}

static int add_as_nobody(void *arg)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	const struct identity *pair = arg;
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_STRING name = NULL;

	if (mkdir(in_scratch("store/probe"), 0755) == 0 ||
	    !ks_keystore_open(&store, STORE, true, &error))
		return 1;
	return ks_keystore_add(&store, pair->key, pair->cert, &demand, &name, &error) ? 2 :
	       error.sys != EACCES || !strstr(error.text, "store")		      ? 3 :
											0;
}

static void a_store_that_cannot_be_written(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	int verdict;

	(void)state;
	open_store(&store);
	add_identity(&store, 0, NAME);
	ks_keystore_close(&store);
	assert_int_equal(chmod(STORE, 0555), 0);
	verdict = run_as_nobody(add_as_nobody, (void *)(uintptr_t)identity("P-384", 1));
	assert_int_equal(chmod(STORE, 0755), 0);
	assert_int_equal(verdict, 0);
	expect_link(in_scratch("store/current"), NAME);
	assert_int_equal(count_entries(STORE), 2);
}

static void a_current_that_is_no_link(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_STRING name = NULL;

	(void)state;
	write_text(in_scratch("store/current/mine"), "stays");
	open_store(&store);
	assert_false(ks_keystore_add(&store, identity("P-384", 0)->key, identity("P-384", 0)->cert,
				     &demand, &name, &error));
	assert_says("current");
	assert_content(in_scratch("store/current/mine"), text_view("stays"));
	/* Nor a key that nothing leads to. */
	assert_int_equal(count_entries(STORE), 1);
}

/* --- opening and the lock ------------------------------------------------------------------- */

static void stores_that_cannot_be_opened(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	assert_fails_errno(ks_keystore_open(&store, in_scratch("none/store"), true, &error),
			   ENOENT);
	assert_says("none");
	write_text(in_scratch("file"), "");
	assert_fails_errno(ks_keystore_open(&store, in_scratch("file"), true, &error), ENOTDIR);
	assert_int_equal(store.dir, -1);
	assert_null(store.path);
	assert_int_equal(count_entries(scratch), 1);
}

static void locked_while_it_is_open(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_FD other = -1;

	(void)state;
	open_store(&store);
	other = open(STORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_true(fcntl(store.dir, F_GETFD) & FD_CLOEXEC);
	ks_keystore_close(&store);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
}

static void the_store_of_a_directory(void **state)
{
	char before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(scratch), 0);
	assert_string_equal(ks_keystore_default(), "certs-local");
	make_link("nowhere", in_scratch("current"));
	assert_string_equal(ks_keystore_default(), ".");
	assert_int_equal(unlink("current"), 0);
	write_text(in_scratch("x509.oot.genkey"), "");
	assert_string_equal(ks_keystore_default(), ".");
	assert_int_equal(chdir(before), 0);
}

static void where_current_leads(void **state)
{
	static const char *const targets[] = { NAME, (NAME "/"), ("./" NAME "//"),
					       ("/elsewhere/" NAME) };
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		KS_STRING name = NULL;

		make_link(targets[i], in_scratch("store/current"));
		assert_ok(ks_keystore_current(&store, &name, &error));
		assert_string_equal(name, NAME);
		assert_int_equal(unlink(in_scratch("store/current")), 0);
	}
}

/* --- old ones ------------------------------------------------------------------------------- */

static void names_with_a_date(void **state)
{
	static const char *const dated[] = { NAME, "20260101-0000", NAME "-2", NAME "-10",
					     NAME "-1000" };
	static const char *const others[] = { "",
					      "current",
					      "2026",
					      NAME "-",
					      NAME "-x",
					      NAME "-2x",
					      NAME "-2-3",
					      NAME "x",
					      " " NAME,
					      "20261123_1821",
					      "20261123-182",
					      "x0261123-1821",
					      "20261123--821",
					      NAME "/",
					      ".",
					      ".." };

	(void)state;
	for (size_t i = 0; i < sizeof(dated) / sizeof(*dated); i++)
		assert_true(ks_keystore_is_dated(dated[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(ks_keystore_is_dated(others[i]));
}

static void expect_list(const struct ks_keystore *store, const char *wanted)
{
	KS_STRINGS names = { 0 };
	char text[1024];

	assert_ok(ks_keystore_list(store, &names, &error));
	ks_strings_join(&names, text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void lists_the_oldest_first(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	expect_list(&store, "");
	make_dirs(in_scratch("store/20270101-0000"));
	make_dirs(in_scratch("store/20261231-2359-2"));
	make_dirs(in_scratch("store/20261231-2359"));
	make_dirs(in_scratch("store/other"));
	make_link("20270101-0000", in_scratch("store/current"));
	expect_list(&store, "20261231-2359, 20261231-2359-2, 20270101-0000");
}

static void a_store_that_is_not_there_has_no_keys(void **state)
{
	struct ks_key_demand demand = demand_of("ecdsa", 7 * DAY);
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	assert_ok(ks_keystore_open(&store, in_scratch("none"), false, &error));
	expect_due(&store, &demand, "no current key");
	expect_list(&store, "");
	assert_int_equal(count_entries(scratch), 0);
}

static void lists_directories_alone(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	write_text(in_scratch("store/20270101-0000"), "");
	make_link("20270101-0002", in_scratch("store/20270101-0001"));
	make_dirs(in_scratch("store/20270101-0002"));
	expect_list(&store, "20270101-0002");
}

static void lists_the_tenth_of_a_minute_behind_the_ninth(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	make_dirs(in_scratch("store/" NAME "-10"));
	make_dirs(in_scratch("store/" NAME "-9"));
	make_dirs(in_scratch("store/" NAME "-2"));
	make_dirs(in_scratch("store/" NAME));
	make_dirs(in_scratch("store/20261123-1822"));
	expect_list(&store, NAME ", " NAME "-2, " NAME "-9, " NAME "-10, 20261123-1822");
}

static void removes_one(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	(void)state;
	open_store(&store);
	add_identity(&store, 0, NAME);
	add_identity(&store, 1, NAME "-2");
	write_text(in_scratch("store/" NAME "/trusted_keys.pem"), "");
	assert_ok(ks_keystore_remove(&store, NAME, &error));
	expect_list(&store, NAME "-2");
	expect_pair(NAME "-2", identity("P-384", 1));
	assert_fails_errno(ks_keystore_remove(&store, NAME, &error), ENOENT);
	assert_says(NAME);
	make_link(NAME "-2", in_scratch("store/" NAME));
	assert_false(ks_keystore_remove(&store, NAME, &error));
	expect_pair(NAME "-2", identity("P-384", 1));
}

/* --- into a package ------------------------------------------------------------------------- */

static void install(const char *dest, bool public_only)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_INSTALLED installed = { 0 };

	open_store(&store);
	assert_ok(ks_keystore_install(&store, dest, public_only, 0, &installed, &error));
	assert_int_equal(installed.laid.count, 1);
	assert_string_equal(installed.laid.item[0], NAME);
}

static void expect_copy(const char *dest, const char *file, mode_t mode)
{
	KS_BUF content = { 0 };

	read_file(in_scratch("store/" NAME "/%s", file), &content);
	assert_content(in_scratch("%s/" NAME "/%s", dest, file), ks_buf_view(&content));
	expect_mode(in_scratch("%s/" NAME "/%s", dest, file), mode);
}

static void expect_whole_copy(const char *dest)
{
	expect_copy(dest, "signing_key.pem", 0600);
	expect_copy(dest, "signing_prv.pem", 0600);
	expect_copy(dest, "signing_crt.crt", 0644);
	expect_copy(dest, "khash", 0644);
	expect_copy(dest, "ktype", 0644);
	expect_link(in_scratch("%s/current", dest), NAME);
	assert_int_equal(count_entries(in_scratch("%s/" NAME, dest)), 5);
}

static void make_store(void)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;

	open_store(&store);
	add_identity(&store, 0, NAME);
}

static void installs_where_nothing_is(void **state)
{
	mode_t before = umask(077);

	(void)state;
	make_store();
	install(in_scratch("pkg/usr/lib/modules/6.1/build/certs-local"), false);
	umask(before);
	expect_whole_copy("pkg/usr/lib/modules/6.1/build/certs-local");
	assert_int_equal(count_entries(in_scratch("pkg/usr/lib/modules/6.1/build/certs-local")), 2);
	install(in_scratch("other//dest//"), false);
	expect_whole_copy("other/dest");
}

static void installs_beside_older_keys(void **state)
{
	(void)state;
	make_store();
	write_text(in_scratch("dest/20250101-0000/signing_key.pem"), "old");
	write_text(in_scratch("dest/mine"), "mine");
	make_link("20250101-0000", in_scratch("dest/current"));
	install(in_scratch("dest"), false);
	expect_whole_copy("dest");
	assert_content(in_scratch("dest/20250101-0000/signing_key.pem"), text_view("old"));
	assert_content(in_scratch("dest/mine"), text_view("mine"));
	install(in_scratch("dest"), false);
	expect_whole_copy("dest");
	assert_int_equal(count_entries(in_scratch("dest")), 4);
}

/* A private key must not stay open to all because it was so before. */
/* A key's files are never gone, while they are replaced and when they cannot be. */
static void installs_over_files_without_a_gap(void **state)
{
	(void)state;
	make_store();
	install(in_scratch("dest"), false);
	for (int bad = 1; bad < 8; bad++) {
		KS_KEYSTORE store = KS_KEYSTORE_NONE;
		KS_INSTALLED installed = { 0 };

		open_store(&store);
		bad_sync = bad;
		assert_fails_errno(ks_keystore_install(&store, in_scratch("dest"), false, 0,
						       &installed, &error),
				   EIO);
		expect_whole_copy("dest");
	}
	bad_sync = 0;
}

/* A new directory has all its files, or is not there. */
static void installs_all_or_nothing(void **state)
{
	(void)state;
	make_store();
	make_dirs(in_scratch("dest"));
	for (int bad = 1; bad < 8; bad++) {
		KS_KEYSTORE store = KS_KEYSTORE_NONE;
		KS_INSTALLED installed = { 0 };

		open_store(&store);
		bad_sync = bad;
		assert_fails_errno(ks_keystore_install(&store, in_scratch("dest"), false, 0,
						       &installed, &error),
				   EIO);
		assert_int_equal(count_entries(in_scratch("dest")), 0);
	}
	bad_sync = 0;
}

/* What a run that was killed left goes; what others keep there stays. */
static void installs_and_clears_up(void **state)
{
	(void)state;
	make_store();
	make_link(NAME, in_scratch("dest/.kernel-sign-2123456789abcdef.tmp"));
	write_text(in_scratch("dest/.kernel-sign-0123456789abcdef.tmp/khash"), "sha512");
	write_text(in_scratch("dest/.kernel-sign.conf"), "");
	install(in_scratch("dest"), false);
	expect_whole_copy("dest");
	assert_int_equal(count_entries(in_scratch("dest")), 3);
}

static void installs_the_modes_over_others(void **state)
{
	(void)state;
	make_store();
	write_text(in_scratch("dest/" NAME "/signing_key.pem"), "older content");
	write_text(in_scratch("dest/" NAME "/signing_prv.pem"), "older content");
	install(in_scratch("dest"), false);
	expect_whole_copy("dest");
}

static void installs_the_directorys_mode(void **state)
{
	(void)state;
	make_store();
	assert_int_equal(chmod(in_scratch("store/" NAME), 0750), 0);
	install(in_scratch("dest"), false);
	expect_mode(in_scratch("dest/" NAME), 0750);
}

static void expect_no_private_key(void)
{
	expect_copy("dest", "signing_crt.crt", 0644);
	expect_copy("dest", "khash", 0644);
	expect_copy("dest", "ktype", 0644);
	expect_copy("dest", "trusted_keys.pem", 0644);
	expect_link(in_scratch("dest/current"), NAME);
	assert_int_equal(count_entries(in_scratch("dest/" NAME)), 4);
}

static void installs_what_is_public(void **state)
{
	(void)state;
	make_store();
	write_text(in_scratch("store/" NAME "/trusted_keys.pem"), "certificates");
	install(in_scratch("dest"), true);
	expect_no_private_key();
}

/* "Every file with a private key", as the contract has it, not only those of two names. */
static void installs_no_copy_of_a_private_key(void **state)
{
	KS_BUF key = { 0 };

	(void)state;
	make_store();
	write_text(in_scratch("store/" NAME "/trusted_keys.pem"), "certificates");
	put_key_pem(&key, identity("P-384", 0)->key, NULL);
	write_file(in_scratch("store/" NAME "/signing_key.pem.orig"), ks_buf_view(&key));
	key.len = 0;
	put_key_der(&key, identity("P-384", 0)->key);
	write_file(in_scratch("store/" NAME "/signing_key.der"), ks_buf_view(&key));
	install(in_scratch("dest"), true);
	expect_no_private_key();
}

/* What an earlier run has laid goes as well, and what one that was killed has left of it. */
static void installs_what_is_public_beside_older_keys(void **state)
{
	static const char left[] = ".kernel-sign-0123456789abcdef.tmp";
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_INSTALLED installed = { 0 };
	const char *older = in_scratch("dest/20250101-0000");

	(void)state;
	make_store();
	install(in_scratch("dest"), false);
	assert_int_equal(rename(in_scratch("dest/" NAME), older), 0);
	write_text(in_scratch("dest/" NAME "/%s", left), "-----BEGIN PRIVATE KEY-----");
	write_text(in_scratch("dest/20250101-0000/%s", left), "-----BEGIN PRIVATE KEY-----");
	open_store(&store);
	assert_ok(ks_keystore_install(&store, in_scratch("dest"), true, 0, &installed, &error));
	assert_int_equal(installed.cleared.count, 1);
	assert_string_equal(installed.cleared.item[0], "20250101-0000");
	assert_int_equal(count_entries(in_scratch("dest/20250101-0000")), 3);
	assert_int_equal(count_entries(in_scratch("dest/" NAME)), 3);
}

/* The same package directory, built once more. */
static void installs_what_is_public_over_all(void **state)
{
	(void)state;
	make_store();
	install(in_scratch("dest"), false);
	write_text(in_scratch("store/" NAME "/trusted_keys.pem"), "certificates");
	install(in_scratch("dest"), true);
	expect_no_private_key();
}

static void installs_nothing_without_a_key(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_INSTALLED installed = { 0 };

	(void)state;
	open_store(&store);
	assert_fails(ks_keystore_install(&store, in_scratch("dest"), false, 0, &installed, &error),
		     KS_ERR_MISSING);
	assert_says("store");
	make_link(NAME, in_scratch("store/current"));
	assert_fails(ks_keystore_install(&store, in_scratch("dest"), false, 0, &installed, &error),
		     KS_ERR_MISSING);
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(installed.laid.count, 0);
}

static void installs_into_directories_alone(void **state)
{
	KS_KEYSTORE store = KS_KEYSTORE_NONE;
	KS_INSTALLED installed = { 0 };

	(void)state;
	make_store();
	open_store(&store);
	write_text(in_scratch("file"), "");
	assert_false(ks_keystore_install(&store, in_scratch("file"), false, 0, &installed, &error));
	assert_says("file");
	assert_false(
		ks_keystore_install(&store, in_scratch("file/dest"), false, 0, &installed, &error));
	assert_says("file/dest");
	/* What is no directory there is not followed either. */
	make_dirs(in_scratch("elsewhere"));
	make_link("../elsewhere", in_scratch("dest/" NAME));
	assert_false(ks_keystore_install(&store, in_scratch("dest"), false, 0, &installed, &error));
	assert_says("dest");
	assert_int_equal(count_entries(in_scratch("elsewhere")), 0);
}

static void links(void **state)
{
	(void)state;
	assert_ok(ks_keystore_link(in_scratch("new/dest"), "sign_module.py", "/bin/x", &error));
	expect_link(in_scratch("new/dest/sign_module.py"), "/bin/x");
	assert_ok(ks_keystore_link(in_scratch("new/dest"), "sign_module.py", "/bin/y", &error));
	expect_link(in_scratch("new/dest/sign_module.py"), "/bin/y");
	assert_int_equal(count_entries(in_scratch("new/dest")), 1);
	make_dirs(in_scratch("new/dest/dir"));
	assert_false(ks_keystore_link(in_scratch("new/dest"), "dir", "/bin/x", &error));
	assert_int_equal(count_entries(in_scratch("new/dest")), 2);
}

static const struct CMUnitTest tests[] = {
	scratch_test(without_a_key),
	scratch_test(by_age_to_the_second),
	scratch_test(by_the_certificate_not_the_file),
	scratch_test(by_the_end),
	scratch_test(not_by_a_beginning_to_come),
	scratch_test(by_dates_far_away),
	scratch_test(by_type_and_hash),
	scratch_test(not_by_the_file_ktype),
	scratch_test(with_khash_as_others_write_it),
	scratch_test(by_files_that_cannot_be_read),
	scratch_test(by_a_key_that_is_encrypted),
	scratch_test(by_files_that_are_no_pair),
	scratch_test(by_the_certificate_in_the_keys_file),
	scratch_test(lays_out_what_3_0_did),
	scratch_test(modes_whatever_the_umask),
	scratch_test(never_writes_over_what_is_there),
	scratch_test(names_are_in_utc),
	scratch_test(clears_up_after_a_run_that_was_killed),
	scratch_test(clears_up_keys_that_nothing_leads_to),
	scratch_test(whatever_cannot_be_synced),
	scratch_test(opened_by_a_link),
	scratch_test(a_store_that_cannot_be_written),
	scratch_test(a_current_that_is_no_link),
	scratch_test(a_store_that_is_not_there_has_no_keys),
	scratch_test(stores_that_cannot_be_opened),
	scratch_test(locked_while_it_is_open),
	scratch_test(the_store_of_a_directory),
	scratch_test(where_current_leads),
	cmocka_unit_test(names_with_a_date),
	scratch_test(lists_the_oldest_first),
	scratch_test(lists_directories_alone),
	scratch_test(lists_the_tenth_of_a_minute_behind_the_ninth),
	scratch_test(removes_one),
	scratch_test(installs_where_nothing_is),
	scratch_test(installs_beside_older_keys),
	scratch_test(installs_over_files_without_a_gap),
	scratch_test(installs_all_or_nothing),
	scratch_test(installs_and_clears_up),
	scratch_test(installs_the_modes_over_others),
	scratch_test(installs_the_directorys_mode),
	scratch_test(installs_what_is_public),
	scratch_test(installs_no_copy_of_a_private_key),
	scratch_test(installs_what_is_public_over_all),
	scratch_test(installs_what_is_public_beside_older_keys),
	scratch_test(installs_nothing_without_a_key),
	scratch_test(installs_into_directories_alone),
	scratch_test(links),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, free_identities);
}
