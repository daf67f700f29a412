/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share: a scratch directory, files in it, keys and certificates, messages
 * made by OpenSSL alone, and modules made of nothing but bytes.
 */
#ifndef KS_TESTS_FIXTURE_H
#define KS_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "core/signer.h"

/* One error for all calls: it is large, and every test program has one thread that fails. */
extern struct ks_error error;

/* CALL gives true. */
#define assert_ok(call) check_ok((call), #call, __FILE__, __LINE__)
/* CALL gives false and fills in an error of CODE that is fit to be shown. */
#define assert_fails(call, wanted) \
	(error = (struct ks_error){ 0 }, check_failed((call), wanted, #call, __FILE__, __LINE__))
/* The same for KS_ERR_SYSTEM with this errno. */
#define assert_fails_errno(call, number) \
	(assert_fails(call, KS_ERR_SYSTEM), assert_int_equal(error.sys, number))

void check_ok(bool ok, const char *call, const char *file, int line);
void check_failed(bool ok, enum ks_code wanted, const char *call, const char *file, int line);

/* The error's text contains PART. */
void assert_says(const char *part);

/* --- the scratch directory ------------------------------------------------------------------ */

/* A test with a directory of its own, which is removed with all that is in it. */
#define scratch_test(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int scratch_make(void **state);
int scratch_remove(void **state);

/* Canonical and absolute. */
extern char scratch[PATH_MAX];

/* A path below it; good until some more were asked for. */
const char *in_scratch(const char *fmt, ...) KS_PRINTF(1, 2);

/* Directories of the path are made where they are missing. */
void write_file(const char *path, struct ks_view content);
void write_text(const char *path, const char *text);
void make_dirs(const char *path);
void make_link(const char *target, const char *path);

void read_file(const char *path, struct ks_buf *content);
void assert_content(const char *path, struct ks_view content);
size_t count_entries(const char *dir);
struct stat stat_of(const char *path);

/*
 * Runs FN in a process of its own, as nobody where this one is root, and gives what FN returned.
 * No assertion inside.
 */
int run_as_nobody(int (*fn)(void *arg), void *arg);

/* --- bytes ---------------------------------------------------------------------------------- */

struct ks_view text_view(const char *text);
void assert_view_equal(struct ks_view a, struct ks_view b);
void fill(struct ks_buf *buf, size_t len, uint32_t seed);

/* --- keys and certificates ------------------------------------------------------------------ */

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

/* "RSA" (2048 bits, one per program, the slow one), "P-256", "P-384", "ED25519"; new for each. */
EVP_PKEY *make_key(const char *kind);

struct cert_spec {
	const char *cn;	    /* one commonName, or NULL for none */
	X509_NAME *name;    /* all of it instead, or NULL; borrowed */
	time_t from, until; /* 0, 0: some years */
	const char *serial; /* decimal, NULL: 1234567890 */
	bool no_key_id;	    /* no subject key identifier */
};

X509 *make_cert(EVP_PKEY *key, const struct cert_spec *spec);

/* A key and its certificate; one for each KIND and N in a program, freed by free_identities(). */
const struct identity *identity(const char *kind, int n);
int free_identities(void **state);

void put_key_pem(struct ks_buf *file, EVP_PKEY *key, const char *passphrase);
void put_key_der(struct ks_buf *file, EVP_PKEY *key);
void put_cert_pem(struct ks_buf *file, X509 *cert);
void put_cert_der(struct ks_buf *file, X509 *cert);

/* A signer out of the bytes of files: one key, as a program is given it. */
struct key_spec {
	const char *key_name, *cert_name;
	struct ks_view key, cert;
	const char *passphrase;
	const char *hash;
	bool key_id, deterministic;
};

bool key_spec_open(struct ks_signer **signer, const struct key_spec *spec, struct ks_error *err);

/* --- messages ------------------------------------------------------------------------------- */

/* The flags that scripts/sign-file gives to CMS_add1_signer(). */
enum { SIGN_FILE_FLAGS = CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR };

/* One signer of several, each in its own way: FLAGS are those of CMS_add1_signer(). */
struct signer_spec {
	const struct identity *by;
	const char *hash;
	unsigned int flags;
};

/* By each of N signers; attached where FINAL has no CMS_DETACHED. */
void put_signers(struct ks_buf *message, struct ks_view image, const struct signer_spec *signer,
		 size_t n, unsigned int final);

/* The same, all in one way, as sign-file calls OpenSSL. */
void put_message(struct ks_buf *message, struct ks_view image, const struct identity *const *by,
		 size_t n, const char *hash, unsigned int flags, unsigned int final);

/* As sign-file does it: one signer, detached, nothing else in it. */
void put_plain_message(struct ks_buf *message, struct ks_view image, const struct identity *by,
		       const char *hash);

/* What OpenSSL's own CMS_verify() says, with nothing but CERT to go by. */
bool openssl_verifies(struct ks_view message, struct ks_view image, X509 *cert);

/* MESSAGE, information block and marker put behind FILE by hand. */
void put_trailer(struct ks_buf *file, struct ks_view message);

/* --- modules -------------------------------------------------------------------------------- */

struct elf_spec {
	bool narrow, big_endian; /* 32 bit; most significant byte first */
	unsigned int type;	 /* 0: ET_REL */
	const char *modinfo;	 /* its strings, each with its NUL; NULL: no such section */
	size_t modinfo_len;
	bool table_first; /* the section table before the sections, not behind them */
	bool extended;	  /* the number of sections in the first header, not in e_shnum */
	size_t extra;	  /* bytes of .text */
};

/* A relocatable object: .modinfo, .text, .bss (which has a size and no bytes), .shstrtab. */
void put_elf(struct ks_buf *file, const struct elf_spec *spec);

/* A module with "vermagic=VERMAGIC SMP", "license=GPL" and, if IN_TREE, "intree=Y". */
void put_module(struct ks_buf *file, const char *vermagic, bool in_tree);

/* An index of libkmod (modules.dep.bin) at PATH that knows one KEY. */
void write_index(const char *path, const char *key, const char *value);

#endif
