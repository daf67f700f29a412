/* SPDX-License-Identifier: MIT */
/*
 * The line from file to signed file: every outcome, what is left untouched, and somebody else who
 * writes at the same time.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/strings.h"
#include "core/sign.h"

/* --- somebody else, who comes while our new file is being synced ---------------------------- */

static struct {
	int visits;		 /* how often he comes */
	void (*meanwhile)(void); /* what he does then */
} other_one;

int fsync_hook(int fd) __asm__("fsync");

int fsync_hook(int fd)
{
	struct stat st;

	if (other_one.visits && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		other_one.visits--;
		other_one.meanwhile();
	}
	return (int)syscall(SYS_fsync, fd);
}

/* --- modules and signers -------------------------------------------------------------------- */

#define MODULES "/lib/modules/6.1"

static char root[PATH_MAX + 32];
static struct ks_buf plain; /* a module, unsigned */
static struct ks_sign how;
static struct ks_signer *signer;

static struct ks_signer *open_signer(const char *kind, int n, const char *hash)
{
	struct ks_signer *opened = NULL;
	KS_BUF key = { 0 };
	KS_BUF cert = { 0 };
	struct key_spec spec = { .key_name = "k", .cert_name = "c", .hash = hash };

	put_key_pem(&key, identity(kind, n)->key, NULL);
	put_cert_pem(&cert, identity(kind, n)->cert);
	spec.key = ks_buf_view(&key);
	spec.cert = ks_buf_view(&cert);
	assert_ok(key_spec_open(&opened, &spec, &error));
	return opened;
}

static int signers_make(void **state)
{
	(void)state;
	signer = open_signer("P-256", 1, "sha256");
	return 0;
}

static int signers_free(void **state)
{
	ks_signer_free(signer);
	return free_identities(state);
}

static int sign_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	plain = (struct ks_buf){ 0 };
	put_module(&plain, "6.1", false);
	how = (struct ks_sign){ .load = { .root = root, .max_size = 1 << 20 }, .signer = signer };
	other_one.visits = 0;
	return failed;
}

static int sign_remove(void **state)
{
	ks_buf_free(&plain);
	return scratch_remove(state);
}

#define sign_test(name) cmocka_unit_test_setup_teardown(name, sign_make, sign_remove)

/* Puts a signature over all that FILE holds behind it; as sign-file's, but for HASH and FLAGS. */
static void add_signature(struct ks_buf *file, const char *kind, int n, const char *hash,
			  unsigned int flags)
{
	const struct identity *by = identity(kind, n);
	KS_BUF message = { 0 };

	put_message(&message, ks_buf_view(file), &by, 1, hash, flags, CMS_DETACHED);
	put_trailer(file, ks_buf_view(&message));
}

static void copy_plain(struct ks_buf *file)
{
	assert_ok(ks_buf_append(file, plain.data, plain.len, &error));
}

static const char *host(const char *path)
{
	return in_scratch("root%s", path);
}

/* The file at PATH is the plain module and one good signature by KIND N, and nothing else. */
static void assert_signed(const char *path, const char *kind, int n)
{
	KS_BUF file = { 0 };
	struct ks_trailer t;

	read_file(host(path), &file);
	t = ks_trailer_parse(ks_buf_view(&file));
	assert_int_equal(t.kind, KS_TRAILER_WHOLE);
	assert_view_equal(t.image, ks_buf_view(&plain));
	assert_true(openssl_verifies(t.message, t.image, identity(kind, n)->cert));
}

static void assert_same_file(const char *path, const struct stat *before)
{
	struct stat now = stat_of(host(path));

	assert_true(ks_file_same(before, &now));
}

static void expect_sign(const char *path, bool spare, enum ks_outcome outcome, size_t removed)
{
	struct ks_sign_result result = { .removed = 77 };

	assert_ok(ks_sign_module(path, &how, spare, &result, &error));
	assert_int_equal(result.outcome, outcome);
	assert_int_equal(result.removed, removed);
	assert_int_equal(result.other != NULL, outcome == KS_OUTCOME_LEFT_ALONE);
	ks_sign_result_free(&result);
	assert_null(result.other);
}

static void expect_unsign(const char *path, bool spare, enum ks_outcome outcome, size_t removed)
{
	struct ks_sign_result result = { .removed = 77 };

	assert_ok(ks_unsign_module(path, &how, spare, &result, &error));
	assert_int_equal(result.outcome, outcome);
	assert_int_equal(result.removed, removed);
	ks_sign_result_free(&result);
}

/* FILE is signed anew, with REMOVED taken off first. */
static void expect_replaced(const struct ks_buf *file, size_t removed)
{
	write_file(host("/x.ko"), ks_buf_view(file));
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, removed);
	assert_signed("/x.ko", "P-256", 1);
}

/* FILE is left as it is, to the time stamp. */
static void expect_untouched(const char *path, const struct ks_buf *file, bool spare,
			     enum ks_outcome outcome)
{
	struct stat before;

	write_file(host(path), ks_buf_view(file));
	before = stat_of(host(path));
	expect_sign(path, spare, outcome, 0);
	assert_same_file(path, &before);
	assert_content(host(path), ks_buf_view(file));
}

/* --- signing -------------------------------------------------------------------------------- */

static void an_unsigned_module_is_signed(void **state)
{
	(void)state;
	expect_replaced(&plain, 0);
	assert_int_equal(count_entries(root), 1);
}

/* --- messages from elsewhere, and records ------------------------------------------------------ */

struct elsewhere {
	bool ready; /* there is a message */
	size_t asked;
};

static bool get_message(void *ctx, struct ks_view image, struct ks_buf *message,
			struct ks_error *err)
{
	struct elsewhere *e = ctx;

	(void)err;
	e->asked++;
	assert_view_equal(image, ks_buf_view(&plain));
	if (e->ready)
		put_plain_message(message, image, identity("P-256", 1), "sha256");
	return true;
}

static void messages_come_from_a_source(void **state)
{
	struct elsewhere elsewhere = { 0 };
	struct ks_message_source source = { get_message, &elsewhere };
	struct ks_signer *public;
	struct stat before;

	(void)state;
	assert_ok(ks_signer_open_public(&public, identity("P-256", 1)->cert, "sha256", &error));
	how.signer = public;
	how.source = &source;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	before = stat_of(host("/x.ko"));
	expect_sign("/x.ko", false, KS_OUTCOME_REQUESTED, 0);
	assert_same_file("/x.ko", &before);
	elsewhere.ready = true;
	how.dry_run = true;
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 0);
	assert_same_file("/x.ko", &before);
	how.dry_run = false;
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 0);
	assert_signed("/x.ko", "P-256", 1);
	/* Nothing is asked for what is there. */
	expect_sign("/x.ko", false, KS_OUTCOME_ALREADY_SIGNED, 0);
	assert_int_equal(elsewhere.asked, 3);
	ks_signer_free(public);
}

static void what_was_signed_is_recorded(void **state)
{
	struct ks_sign_result result;
	KS_STRING sha256 = NULL;

	(void)state;
	assert_ok(ks_digest_hex("sha256", ks_buf_view(&plain), &sha256, &error));
	how.record = true;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	for (int i = 0; i < 3; i++) {
		assert_ok(i < 2 ? ks_sign_module("/x.ko", &how, false, &result, &error) :
				  ks_unsign_module("/x.ko", &how, false, &result, &error));
		assert_non_null(result.record);
		assert_string_equal(result.record->hash, "sha256");
		assert_string_equal(result.record->digest, sha256);
		assert_int_equal(result.record->count, i < 2);
		if (i < 2)
			assert_int_equal(
				X509_cmp(result.record->cert[0], identity("P-256", 1)->cert), 0);
		ks_sign_result_free(&result);
		assert_null(result.record);
	}
}

static void what_was_there_is_taken_off(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	for (size_t n = 1; n < 4; n++) {
		add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
		expect_replaced(&file, n);
	}
}

static void a_second_time_changes_nothing(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 0);
	read_file(host("/x.ko"), &file);
	expect_untouched("/x.ko", &file, false, KS_OUTCOME_ALREADY_SIGNED);
	expect_untouched("/x.ko", &file, true, KS_OUTCOME_ALREADY_SIGNED);
	expect_untouched(MODULES "/kernel/x.ko", &file, true, KS_OUTCOME_ALREADY_SIGNED);
}

static void the_kernel_s_tool_s_signature_is_as_good_as_ours(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	expect_untouched("/x.ko", &file, false, KS_OUTCOME_ALREADY_SIGNED);
}

static void force_signs_all_the_same(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	how.force = true;
	expect_replaced(&file, 1);
}

static void other_signatures_are_replaced(void **state)
{
	static const struct {
		int n;
		const char *hash;
		unsigned int flags;
	} cases[] = {
		{ 2, "sha256", SIGN_FILE_FLAGS },
		{ 1, "sha512", SIGN_FILE_FLAGS },
		{ 1, "sha256", CMS_NOCERTS | CMS_BINARY },
		{ 1, "sha256", CMS_BINARY | CMS_NOATTR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF file = { 0 };

		copy_plain(&file);
		add_signature(&file, "P-256", cases[i].n, cases[i].hash, cases[i].flags);
		expect_replaced(&file, 1);
	}
}

static void more_than_one_is_not_exactly_one(void **state)
{
	/* The shorter one stands first in a set, which is ours. */
	const struct identity *const by[] = { identity("P-256", 1), identity("RSA", 1) };
	KS_BUF piled = { 0 };
	KS_BUF together = { 0 };
	KS_BUF padded = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	copy_plain(&piled);
	add_signature(&piled, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	add_signature(&piled, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	expect_replaced(&piled, 2);
	copy_plain(&together);
	put_message(&message, ks_buf_view(&plain), by, 2, "sha256", SIGN_FILE_FLAGS, CMS_DETACHED);
	put_trailer(&together, ks_buf_view(&message));
	expect_replaced(&together, 1);
	copy_plain(&padded);
	message.len = 0;
	put_plain_message(&message, ks_buf_view(&plain), by[0], "sha256");
	assert_ok(ks_buf_append(&message, "\0", 1, &error));
	put_trailer(&padded, ks_buf_view(&message));
	expect_replaced(&padded, 1);
}

/* By this key and hash, but over other bytes. */
static void a_bad_signature_is_replaced(void **state)
{
	KS_BUF file = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, text_view("other bytes"), identity("P-256", 1), "sha256");
	copy_plain(&file);
	put_trailer(&file, ks_buf_view(&message));
	expect_replaced(&file, 1);
}

/* By this key and hash, and good, but in a way that no kernel verifies; and by another hash. */
static void rsa_signatures_of_other_kinds_are_replaced(void **state)
{
	const struct identity *by = identity("RSA", 1);
	KS_CMS *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY | CMS_DETACHED);
	CMS_SignerInfo *info = CMS_add1_signer(cms, by->cert, by->key, EVP_sha256(),
					       SIGN_FILE_FLAGS | CMS_KEY_PARAM);
	EVP_PKEY_CTX *ctx = CMS_SignerInfo_get0_pkey_ctx(info);
	struct ks_signer *rsa_signer;
	KS_BIO *bio = NULL;
	KS_BUF file = { 0 };
	uint8_t message[2048];
	uint8_t *end = message;
	int len;

	(void)state;
	assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0);
	assert_ok(ks_bio_open(ks_buf_view(&plain), &bio, &error));
	assert_true(CMS_final(cms, bio, NULL, CMS_BINARY | CMS_DETACHED));
	len = i2d_CMS_ContentInfo(cms, NULL);
	assert_in_range(len, 100, sizeof(message));
	assert_int_equal(i2d_CMS_ContentInfo(cms, &end), len);
	assert_true(
		openssl_verifies(ks_view_of(message, (size_t)len), ks_buf_view(&plain), by->cert));
	copy_plain(&file);
	put_trailer(&file, ks_view_of(message, (size_t)len));
	write_file(host("/x.ko"), ks_buf_view(&file));
	how.signer = rsa_signer = open_signer("RSA", 1, "sha256");
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 1);
	assert_signed("/x.ko", "RSA", 1);
	expect_sign("/x.ko", false, KS_OUTCOME_ALREADY_SIGNED, 0);
	/* An RSA signature's algorithm does not name the hash. */
	file.len = plain.len;
	add_signature(&file, "RSA", 1, "sha512", SIGN_FILE_FLAGS);
	write_file(host("/x.ko"), ks_buf_view(&file));
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 1);
	ks_signer_free(rsa_signer);
}

static void every_container_is_kept(void **state)
{
	static const struct ks_codec *const codecs[] = { &ks_codec_none, &ks_codec_gzip,
							 &ks_codec_xz, &ks_codec_zstd };
	KS_BUF content = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		KS_STRING path = NULL;
		KS_BUF packed = { 0 };
		KS_BUF now = { 0 };
		struct stat before;

		assert_ok(ks_string_print(&path, &error, "/x.ko%s", codecs[i]->suffix));
		assert_ok(codecs[i]->pack(ks_buf_view(&plain), &packed, &error));
		write_file(host(path), ks_buf_view(&packed));
		expect_sign(path, false, KS_OUTCOME_SIGNED, 0);
		before = stat_of(host(path));
		expect_sign(path, false, KS_OUTCOME_ALREADY_SIGNED, 0);
		assert_same_file(path, &before);
		read_file(host(path), &now);
		content.len = 0;
		assert_ok(
			ks_codec_unpack(codecs[i], ks_buf_view(&now), SIZE_MAX, &content, &error));
		assert_true(content.len > plain.len);
		how.signer = NULL;
		expect_unsign(path, false, KS_OUTCOME_UNSIGNED, 1);
		how.signer = signer;
		assert_content(host(path), ks_buf_view(&packed));
	}
}

/* --- modules of others below kernel/ -------------------------------------------------------- */

#define OWNED MODULES "/kernel/drivers/x.ko"

static void others_are_left_alone_where_nobody_chose(void **state)
{
	struct ks_sign_result result;
	KS_BUF file = { 0 };
	KS_BUF by_key_id = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	expect_untouched(OWNED, &file, true, KS_OUTCOME_LEFT_ALONE);
	assert_ok(ks_sign_module(OWNED, &how, true, &result, &error));
	assert_string_equal(result.other, "P-256 key 2 of the tests");
	ks_sign_result_free(&result);
	copy_plain(&by_key_id);
	add_signature(&by_key_id, "P-256", 2, "sha256", SIGN_FILE_FLAGS | CMS_USE_KEYID);
	expect_untouched(OWNED, &by_key_id, true, KS_OUTCOME_LEFT_ALONE);
	assert_ok(ks_sign_module(OWNED, &how, true, &result, &error));
	assert_int_equal(strlen(result.other), 40);
	ks_sign_result_free(&result);
}

static void others_are_replaced_where_somebody_did(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	write_file(host(OWNED), ks_buf_view(&file));
	expect_sign(OWNED, false, KS_OUTCOME_SIGNED, 1);
	assert_signed(OWNED, "P-256", 1);
	write_file(host(OWNED), ks_buf_view(&file));
	how.force = true;
	expect_sign(OWNED, true, KS_OUTCOME_SIGNED, 1);
	assert_signed(OWNED, "P-256", 1);
}

static void only_below_kernel_and_only_if_signed(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	write_file(host(MODULES "/updates/x.ko"), ks_buf_view(&file));
	expect_sign(MODULES "/updates/x.ko", true, KS_OUTCOME_SIGNED, 1);
	write_file(host(OWNED), ks_buf_view(&plain));
	expect_sign(OWNED, true, KS_OUTCOME_SIGNED, 0);
	assert_signed(OWNED, "P-256", 1);
}

static void a_link_to_kernel_is_below_kernel(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	write_file(host(OWNED), ks_buf_view(&file));
	make_link("../kernel/drivers/x.ko", host(MODULES "/extra/x.ko"));
	expect_sign(MODULES "/extra/x.ko", true, KS_OUTCOME_LEFT_ALONE, 0);
	expect_sign(MODULES "/extra/x.ko", false, KS_OUTCOME_SIGNED, 1);
	assert_signed(OWNED, "P-256", 1);
	assert_true(S_ISLNK(stat_of(host(MODULES "/extra/x.ko")).st_mode));
}

/* "Signed by another": our own signature, by this key, is none, whatever its hash. */
static void our_own_with_another_hash_is_not_another_s(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha512", SIGN_FILE_FLAGS);
	write_file(host(OWNED), ks_buf_view(&file));
	expect_sign(OWNED, true, KS_OUTCOME_SIGNED, 1);
	assert_signed(OWNED, "P-256", 1);
}

static void our_own_piled_up_are_not_another_s(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	write_file(host(OWNED), ks_buf_view(&file));
	expect_sign(OWNED, true, KS_OUTCOME_SIGNED, 2);
	assert_signed(OWNED, "P-256", 1);
}

/* --- what is said besides ------------------------------------------------------------------- */

static void a_dry_run_changes_nothing(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	how.dry_run = true;
	copy_plain(&file);
	expect_untouched("/x.ko", &file, false, KS_OUTCOME_SIGNED);
	expect_unsign("/x.ko", false, KS_OUTCOME_NOT_SIGNED, 0);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	write_file(host("/x.ko"), ks_buf_view(&file));
	expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 2);
	assert_content(host("/x.ko"), ks_buf_view(&file));
	expect_unsign("/x.ko", false, KS_OUTCOME_UNSIGNED, 2);
	assert_content(host("/x.ko"), ks_buf_view(&file));
}

static void hard_links_are_mentioned(void **state)
{
	struct ks_sign_result result;

	(void)state;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	assert_ok(ks_sign_module("/x.ko", &how, false, &result, &error));
	assert_false(result.hard_linked);
	how.signer = NULL;
	assert_int_equal(link(host("/x.ko"), host("/twin.ko")), 0);
	assert_ok(ks_unsign_module("/x.ko", &how, false, &result, &error));
	assert_true(result.hard_linked);
	assert_signed("/twin.ko", "P-256", 1);
	assert_int_equal(unlink(host("/twin.ko")), 0);
	assert_int_equal(link(host("/x.ko"), host("/twin.ko")), 0);
	assert_ok(ks_unsign_module("/x.ko", &how, false, &result, &error));
	assert_false(result.hard_linked);
	how.signer = signer;
	assert_ok(ks_sign_module("/x.ko", &how, false, &result, &error));
	assert_true(result.hard_linked);
	assert_content(host("/twin.ko"), ks_buf_view(&plain));
}

static void expect_vermagic(const char *kernel, const char *wanted)
{
	struct ks_sign_result result;

	how.kernel = kernel;
	assert_ok(ks_sign_module("/x.ko", &how, false, &result, &error));
	if (wanted) {
		assert_non_null(result.vermagic);
		assert_string_equal(result.vermagic, wanted);
	} else {
		assert_null(result.vermagic);
	}
	ks_sign_result_free(&result);
}

static void a_vermagic_that_does_not_fit(void **state)
{
	KS_BUF bare = { 0 };
	KS_BUF none = { 0 };

	(void)state;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	expect_vermagic(NULL, NULL);
	expect_vermagic("6.1", NULL);
	expect_vermagic("6.", "6.1 SMP mod_unload ");
	expect_vermagic("6.1.0", "6.1 SMP mod_unload ");
	expect_vermagic("6.1 SMP", NULL);
	expect_vermagic("6.12", "6.1 SMP mod_unload ");
	put_elf(&bare, &(struct elf_spec){ .modinfo = "vermagic=6.1", .modinfo_len = 13 });
	write_file(host("/x.ko"), ks_buf_view(&bare));
	expect_vermagic("6.1", NULL);
	expect_vermagic("6.2", "6.1");
	put_elf(&none, &(struct elf_spec){ .extra = 20 });
	write_file(host("/x.ko"), ks_buf_view(&none));
	expect_vermagic("6.1", NULL);
}

/* --- errors --------------------------------------------------------------------------------- */

static void cannot(const struct ks_buf *file, enum ks_code code, const char *says)
{
	struct ks_sign_result result = { .removed = 77 };
	struct stat before;

	write_file(host(OWNED), ks_buf_view(file));
	before = stat_of(host(OWNED));
	for (int i = 0; i < 3; i++) {
		how.force = i == 2;
		assert_fails(ks_sign_module(OWNED, &how, i == 1, &result, &error), code);
		assert_says(says);
		assert_null(result.other);
		assert_null(result.vermagic);
	}
	assert_fails(ks_unsign_module(OWNED, &how, false, &result, &error), code);
	assert_same_file(OWNED, &before);
	assert_int_equal(count_entries(in_scratch("root" MODULES "/kernel/drivers")), 1);
}

static void what_cannot_be_signed_is_left_as_it_is(void **state)
{
	struct ks_sign_result result;
	KS_BUF malformed = { 0 };
	KS_BUF below = { 0 };
	KS_BUF text = { 0 };

	(void)state;
	how.kernel = "another";
	copy_plain(&malformed);
	put_trailer(&malformed, text_view("no message"));
	cannot(&malformed, KS_ERR_INPUT, "malformed signature");
	copy_plain(&below);
	put_trailer(&below, text_view("no message"));
	add_signature(&below, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	how.force = false;
	write_file(host("/x.ko"), ks_buf_view(&below));
	assert_fails(ks_sign_module("/x.ko", &how, false, &result, &error), KS_ERR_INPUT);
	assert_content(host("/x.ko"), ks_buf_view(&below));
	assert_ok(ks_buf_append(&text, "a text", 6, &error));
	cannot(&text, KS_ERR_INPUT, "not a kernel module");
	assert_fails_errno(ks_sign_module("/missing.ko", &how, false, &result, &error), ENOENT);
}

/* --- unsigning ------------------------------------------------------------------------------ */

static void unsigning_gives_the_image_back(void **state)
{
	KS_BUF file = { 0 };
	struct stat before;

	(void)state;
	how.signer = NULL;
	copy_plain(&file);
	write_file(host("/x.ko"), ks_buf_view(&file));
	before = stat_of(host("/x.ko"));
	expect_unsign("/x.ko", false, KS_OUTCOME_NOT_SIGNED, 0);
	assert_same_file("/x.ko", &before);
	for (size_t n = 1; n < 4; n++) {
		add_signature(&file, "P-256", n % 2 ? 1 : 2, "sha256", SIGN_FILE_FLAGS);
		write_file(host("/x.ko"), ks_buf_view(&file));
		expect_unsign("/x.ko", false, KS_OUTCOME_UNSIGNED, n);
		assert_content(host("/x.ko"), ks_buf_view(&plain));
	}
}

static void unsigning_spares_others_where_nobody_chose(void **state)
{
	struct stat before;
	KS_BUF file = { 0 };

	(void)state;
	how.signer = NULL;
	copy_plain(&file);
	add_signature(&file, "P-256", 2, "sha256", SIGN_FILE_FLAGS);
	write_file(host(OWNED), ks_buf_view(&file));
	before = stat_of(host(OWNED));
	expect_unsign(OWNED, true, KS_OUTCOME_LEFT_ALONE, 0);
	assert_same_file(OWNED, &before);
	how.force = true;
	expect_unsign(OWNED, true, KS_OUTCOME_UNSIGNED, 1);
	assert_content(host(OWNED), ks_buf_view(&plain));
}

/* The signer is for signing only: whose signature it is makes no difference here. */
static void unsigning_asks_no_signer(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	write_file(host("/x.ko"), ks_buf_view(&file));
	expect_unsign("/x.ko", false, KS_OUTCOME_UNSIGNED, 1);
	assert_content(host("/x.ko"), ks_buf_view(&plain));
}

/* --- at the same time ----------------------------------------------------------------------- */

/* Another build of the module takes its place. */
static void build_anew(void)
{
	fill(&plain, 16, (uint32_t)other_one.visits);
	write_file(host("/tmp"), ks_buf_view(&plain));
	assert_int_equal(rename(host("/tmp"), host("/x.ko")), 0);
}

/* As another run of this program. */
static void sign_it_first(void)
{
	KS_BUF file = { 0 };

	copy_plain(&file);
	add_signature(&file, "P-256", 1, "sha256", SIGN_FILE_FLAGS);
	write_file(host("/tmp"), ks_buf_view(&file));
	assert_int_equal(rename(host("/tmp"), host("/x.ko")), 0);
}

static void a_file_that_changes_is_read_again(void **state)
{
	(void)state;
	other_one.meanwhile = build_anew;
	for (int visits = 0; visits < 3; visits++) {
		write_file(host("/x.ko"), ks_buf_view(&plain));
		other_one.visits = visits;
		expect_sign("/x.ko", false, KS_OUTCOME_SIGNED, 0);
		assert_int_equal(other_one.visits, 0);
		assert_signed("/x.ko", "P-256", 1);
		assert_int_equal(count_entries(root), 1);
	}
}

static void a_file_that_always_changes_is_given_up(void **state)
{
	struct ks_sign_result result;

	(void)state;
	other_one.meanwhile = build_anew;
	other_one.visits = 1000;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	assert_fails(ks_sign_module("/x.ko", &how, false, &result, &error), KS_ERR_CHANGED);
	assert_in_range(1000 - other_one.visits, 2, 20);
	assert_content(host("/x.ko"), ks_buf_view(&plain));
	assert_int_equal(count_entries(root), 1);
}

static void another_run_that_was_faster(void **state)
{
	struct ks_sign_result result;

	(void)state;
	other_one.meanwhile = sign_it_first;
	other_one.visits = 1;
	write_file(host("/x.ko"), ks_buf_view(&plain));
	assert_ok(ks_sign_module("/x.ko", &how, false, &result, &error));
	assert_int_equal(result.outcome, KS_OUTCOME_ALREADY_SIGNED);
	assert_signed("/x.ko", "P-256", 1);
	assert_int_equal(count_entries(root), 1);
}

static void unsigning_reads_again_too(void **state)
{
	(void)state;
	how.signer = NULL;
	other_one.meanwhile = sign_it_first;
	other_one.visits = 2;
	sign_it_first();
	expect_unsign("/x.ko", false, KS_OUTCOME_UNSIGNED, 1);
	assert_content(host("/x.ko"), ks_buf_view(&plain));
}

enum { THREADS = 4, FILES = 12 };

static void *sign_all(void *arg)
{
	size_t *failed = arg;
	struct ks_error *err = calloc(1, sizeof(*err));

	for (int i = 0; err && i < FILES; i++) {
		struct ks_sign_result result;
		char path[16];

		snprintf(path, sizeof(path), "/%d.ko", i);
		*failed += !ks_sign_module(path, &how, false, &result, err);
	}
	*failed += !err;
	free(err);
	return NULL;
}

/* All of them over the same files: each file ends with exactly one good signature. */
static void threads_over_the_same_files(void **state)
{
	size_t failed[THREADS] = { 0 };
	pthread_t thread[THREADS];
	char path[16];

	(void)state;
	for (int i = 0; i < FILES; i++)
		write_file(in_scratch("root/%d.ko", i), ks_buf_view(&plain));
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&thread[t], NULL, sign_all, &failed[t]), 0);
	for (int t = 0; t < THREADS; t++) {
		pthread_join(thread[t], NULL);
		assert_int_equal(failed[t], 0);
	}
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/%d.ko", i);
		assert_signed(path, "P-256", 1);
	}
	assert_int_equal(count_entries(root), FILES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sign_test(an_unsigned_module_is_signed),
		sign_test(messages_come_from_a_source),
		sign_test(what_was_signed_is_recorded),
		sign_test(what_was_there_is_taken_off),
		sign_test(a_second_time_changes_nothing),
		sign_test(the_kernel_s_tool_s_signature_is_as_good_as_ours),
		sign_test(force_signs_all_the_same),
		sign_test(other_signatures_are_replaced),
		sign_test(more_than_one_is_not_exactly_one),
		sign_test(a_bad_signature_is_replaced),
		sign_test(rsa_signatures_of_other_kinds_are_replaced),
		sign_test(every_container_is_kept),
		sign_test(others_are_left_alone_where_nobody_chose),
		sign_test(others_are_replaced_where_somebody_did),
		sign_test(only_below_kernel_and_only_if_signed),
		sign_test(a_link_to_kernel_is_below_kernel),
		sign_test(our_own_with_another_hash_is_not_another_s),
		sign_test(our_own_piled_up_are_not_another_s),
		sign_test(a_dry_run_changes_nothing),
		sign_test(hard_links_are_mentioned),
		sign_test(a_vermagic_that_does_not_fit),
		sign_test(what_cannot_be_signed_is_left_as_it_is),
		sign_test(unsigning_gives_the_image_back),
		sign_test(unsigning_spares_others_where_nobody_chose),
		sign_test(unsigning_asks_no_signer),
		sign_test(a_file_that_changes_is_read_again),
		sign_test(a_file_that_always_changes_is_given_up),
		sign_test(another_run_that_was_faster),
		sign_test(unsigning_reads_again_too),
		sign_test(threads_over_the_same_files),
	};

	return cmocka_run_group_tests(tests, signers_make, signers_free);
}
