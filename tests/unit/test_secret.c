/* SPDX-License-Identifier: MIT */
/*
 * What is left of a private key in the memory of a process that has used it: a program of its own
 * (this one, with arguments) reads a key from a file, signs, and stops while another looks through
 * all of its memory for the key's numbers and its text.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "core/secret.h"
#include "core/signer.h"
#include "fixture.h"

enum {
	NUMBERS = 4,
	PARTS = 2 * NUMBERS + 2,
	NUMBER_MAX = 256,
	PART = 24, /* bytes of a number: enough to be no chance, and to be found where it was cut */
	TEXT = 40,
	PIECE = 1 << 20,
};

static const char passphrase[] = "open, says me, with thirteen words";

/* Sanitizers have terabytes of memory of their own, and keep what was freed: nothing to look for. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_MEMORY_OF_ITS_OWN true
#else
#define HAS_MEMORY_OF_ITS_OWN false
#endif

/* --- the program that holds a key ------------------------------------------------------------- */

static void say_and_stop(void)
{
	raise(SIGSTOP);
}

static bool use_key(const char *path, bool keep)
{
	static const uint8_t image[1000];
	struct ks_signer *signer = NULL;
	struct key_spec spec = { .hash = "sha256", .passphrase = passphrase };
	KS_BUF file = { 0 };
	KS_BUF message = { 0 };
	struct ks_error err;
	struct stat st;

	if (!ks_file_read_path(NULL, path, 1 << 16, &file, &st, &err))
		return false;
	spec.key = spec.cert = ks_buf_view(&file);
	if (!key_spec_open(&signer, &spec, &err) ||
	    !ks_signer_sign(signer, ks_view_of(image, sizeof(image)), &message, &err))
		return false;
	if (keep)
		say_and_stop();
	ks_signer_free(signer);
	return true;
}

/* Memory of OpenSSL's that held what is looked for, moved and freed. */
static bool use_memory(void)
{
	for (size_t size = 64; size < PIECE; size *= 2) {
		char *memory = OPENSSL_malloc(size);

		if (!memory)
			return false;
		memcpy(memory + size / 2, passphrase, sizeof(passphrase) - 1);
		memory = OPENSSL_realloc(memory, 3 * size);
		if (!memory || memcmp(memory + size / 2, passphrase, sizeof(passphrase) - 1) != 0)
			return false;
		OPENSSL_free(memory);
	}
	return true;
}

static int hold_key(const char *path, const char *how)
{
	bool keep = strcmp(how, "keep") == 0;

	if (strcmp(how, "unprepared") != 0)
		ks_secret_prepare();
	ks_secret_hold();
	if (strcmp(path, "none") == 0 ? !use_memory() : !use_key(path, keep))
		return 1;
	if (!keep)
		say_and_stop();
	return 0;
}

/* --- who looks for it ------------------------------------------------------------------------- */

struct secret {
	uint8_t part[PARTS]
		    [TEXT]; /* each number in both orders of bytes, the text, the passphrase */
	size_t len[PARTS];
	size_t count;
};

static void add(struct secret *s, const uint8_t *bytes, size_t len)
{
	assert_true(s->count < PARTS && len <= TEXT);
	memcpy(s->part[s->count], bytes, len);
	s->len[s->count++] = len;
}

/* From the middle, as the ends of a number may be anything. */
static void add_number(struct secret *s, const BIGNUM *number)
{
	uint8_t bytes[NUMBER_MAX];
	int len = BN_num_bytes(number);

	assert_true(len >= PART + 4 && len <= NUMBER_MAX);
	BN_bn2bin(number, bytes);
	add(s, bytes + 2, PART);
	BN_bn2lebinpad(number, bytes, len);
	add(s, bytes + 2, PART);
}

static void find_secret(EVP_PKEY *key, struct ks_view pem, struct secret *s)
{
	static const char *const names[] = { OSSL_PKEY_PARAM_PRIV_KEY, OSSL_PKEY_PARAM_RSA_D,
					     OSSL_PKEY_PARAM_RSA_FACTOR1,
					     OSSL_PKEY_PARAM_RSA_FACTOR2 };

	*s = (struct secret){ 0 };
	for (size_t i = 0; i < NUMBERS; i++) {
		BIGNUM *number = NULL;

		if (EVP_PKEY_get_bn_param(key, names[i], &number) == 1)
			add_number(s, number);
		BN_clear_free(number);
	}
	ERR_clear_error();
	assert_true(s->count >= 2);
	/* Behind the first line and the next one, which every key of a kind has. */
	add(s, pem.data + 28 + 65, TEXT);
	add(s, (const uint8_t *)passphrase, sizeof(passphrase) - 1);
}

static bool has(struct ks_view memory, const struct secret *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (memmem(memory.data, memory.len, s->part[i], s->len[i]))
			return true;
	return false;
}

/* One mapping, in pieces that overlap. */
static bool mapping_has(int mem, off_t from, off_t to, const struct secret *s)
{
	static uint8_t piece[PIECE + TEXT];

	for (; from < to; from += PIECE) {
		size_t want =
			to - from < (off_t)sizeof(piece) ? (size_t)(to - from) : sizeof(piece);
		ssize_t got = pread(mem, piece, want, from);

		if (got > 0 && has(ks_view_of(piece, (size_t)got), s))
			return true;
	}
	return false;
}

static bool memory_has(pid_t pid, const struct secret *s)
{
	char path[64], line[512];
	bool found = false;
	size_t mappings = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(mem >= 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw"))
			continue;
		mappings++;
		found |= mapping_has(mem, (off_t)from, (off_t)to, s);
	}
	assert_true(mappings > 3);
	fclose(maps);
	close(mem);
	return found;
}

static pid_t start(const char *path, const char *how)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		/* It stops, and make waits for whoever has its pipe. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/proc/self/exe", "test_secret", "hold", path, how, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A key with its certificate in one file, and what to look for. */
static void make_key_file(const char *path, const char *kind, bool encrypted, struct secret *s)
{
	const struct identity *id = identity(kind, 1);
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	put_key_pem(&plain, id->key, NULL);
	find_secret(id->key, ks_buf_view(&plain), s);
	put_key_pem(&file, id->key, encrypted ? passphrase : NULL);
	put_cert_pem(&file, id->cert);
	write_file(path, ks_buf_view(&file));
}

static bool finds(const char *kind, bool encrypted, const char *how)
{
	const char *path = in_scratch("key.pem");
	struct secret secret;
	bool found;
	pid_t pid;

	make_key_file(path, kind, encrypted, &secret);
	pid = start(path, how);
	found = memory_has(pid, &secret);
	end(pid);
	return found;
}

/* Without this one the others would prove nothing. */
static void a_key_in_use_is_found(void **state)
{
	(void)state;
	if (HAS_MEMORY_OF_ITS_OWN)
		return;
	assert_true(finds("P-256", false, "keep"));
	assert_true(finds("RSA", false, "keep"));
	assert_true(finds("RSA", true, "keep"));
}

static void nothing_is_left_of_a_key(void **state)
{
	(void)state;
	if (HAS_MEMORY_OF_ITS_OWN)
		return;
	assert_false(finds("P-256", false, "drop"));
	assert_false(finds("P-384", false, "drop"));
	assert_false(finds("RSA", false, "drop"));
}

static void nothing_is_left_of_a_key_that_was_encrypted(void **state)
{
	(void)state;
	if (HAS_MEMORY_OF_ITS_OWN)
		return;
	assert_false(finds("P-256", true, "drop"));
	assert_false(finds("RSA", true, "drop"));
}

static bool finds_memory(const char *how)
{
	struct secret secret = { 0 };
	pid_t pid = start("none", how);
	bool found;

	add(&secret, (const uint8_t *)passphrase, sizeof(passphrase) - 1);
	found = memory_has(pid, &secret);
	end(pid);
	return found;
}

static void what_openssl_frees_is_wiped(void **state)
{
	(void)state;
	if (HAS_MEMORY_OF_ITS_OWN)
		return;
	assert_true(finds_memory("unprepared"));
	assert_false(finds_memory("drop"));
}

/* --- core dumps ------------------------------------------------------------------------------- */

static int cannot_be_looked_into(void *arg)
{
	char path[64];
	pid_t pid = fork();
	int fd, status;

	(void)arg;
	if (!pid) {
		/* Becoming nobody has cleared it. */
		prctl(PR_SET_DUMPABLE, 1);
		ks_secret_hold();
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, &status, WUNTRACED);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	return fd < 0 && errno == EACCES ? 0 : 1;
}

static void another_process_of_the_same_user_does_not_see_it(void **state)
{
	(void)state;
	/* The leak checker has to look into the process. */
	if (HAS_MEMORY_OF_ITS_OWN)
		return;
	if (geteuid() == 0)
		assert_int_equal(run_as_nobody(cannot_be_looked_into, NULL), 0);
	else
		assert_int_equal(cannot_be_looked_into(NULL), 0);
}

static int limit_of_core_dumps(void *arg)
{
	struct rlimit limit;

	(void)arg;
	ks_secret_hold();
	return getrlimit(RLIMIT_CORE, &limit) || limit.rlim_cur || limit.rlim_max;
}

static void no_core_is_dumped(void **state)
{
	(void)state;
	assert_int_equal(run_as_nobody(limit_of_core_dumps, NULL), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		scratch_test(a_key_in_use_is_found),
		scratch_test(nothing_is_left_of_a_key),
		scratch_test(nothing_is_left_of_a_key_that_was_encrypted),
		scratch_test(what_openssl_frees_is_wiped),
		cmocka_unit_test(another_process_of_the_same_user_does_not_see_it),
		cmocka_unit_test(no_core_is_dumped),
	};
	/* Nobody but root may look into the memory of a process that holds a key, says the first. */
	const struct CMUnitTest tests_of_users[] = {
		cmocka_unit_test(another_process_of_the_same_user_does_not_see_it),
		cmocka_unit_test(no_core_is_dumped),
	};

	if (argc == 4 && strcmp(argv[1], "hold") == 0)
		return hold_key(argv[2], argv[3]);
	if (geteuid() != 0)
		return cmocka_run_group_tests(tests_of_users, NULL, free_identities);
	return cmocka_run_group_tests(tests, NULL, free_identities);
}
