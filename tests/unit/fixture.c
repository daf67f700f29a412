/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cert.h"
#include "core/key.h"

struct ks_error error;

void check_ok(bool ok, const char *call, const char *file, int line)
{
	if (ok)
		return;
	print_error("%s failed: %s\n", call, error.text);
	_fail(file, line);
}

void check_failed(bool ok, enum ks_code wanted, const char *call, const char *file, int line)
{
	const char *wrong = NULL;

	if (ok)
		wrong = "succeeded";
	else if (error.code != wanted)
		wrong = "failed with another code";
	else if ((error.code == KS_ERR_SYSTEM) != (error.sys != 0))
		wrong = "has an errno that does not belong to its code";
	else if (!error.text[0] || strchr(error.text, '\n'))
		wrong = "does not say in one line what was wrong";
	else if (ERR_peek_error())
		wrong = "leaves OpenSSL's error to the next caller";
	ERR_clear_error();
	if (!wrong)
		return;
	print_error("%s %s (code %d, wanted %d): %s\n", call, wrong, (int)error.code, (int)wanted,
		    error.text);
	_fail(file, line);
}

void assert_says(const char *part)
{
	if (!strstr(error.text, part))
		fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

/* --- the scratch directory ------------------------------------------------------------------ */

char scratch[PATH_MAX];

/* Root wants a directory that nobody can get to as well. */
static bool is_fit(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	if (!dir || !realpath(dir, path) || access(path, W_OK | X_OK))
		return false;
	if (geteuid())
		return true;
	for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
		if (stat(path, &st) || !(st.st_mode & S_IXOTH))
			return false;
		*slash = '\0';
	}
	return true;
}

int scratch_make(void **state)
{
	const char *const dirs[] = { getenv("TMPDIR"), "/tmp", "/var/tmp", "." };
	char path[PATH_MAX];
	size_t i = 0;

	(void)state;
	while (i < sizeof(dirs) / sizeof(*dirs) - 1 && !is_fit(dirs[i]))
		i++;
	snprintf(path, sizeof(path), "%s/kernel-sign-test-XXXXXX", dirs[i]);
	if (!mkdtemp(path) || chmod(path, 0755) || !realpath(path, scratch)) {
		print_error("no scratch directory in %s: %s\n", dirs[i], strerror(errno));
		return -1;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int scratch_remove(void **state)
{
	(void)state;
	return nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *in_scratch(const char *fmt, ...)
{
	static char paths[32][2 * PATH_MAX];
	static size_t next;
	char *path = paths[next++ % 32];
	size_t len = (size_t)snprintf(path, sizeof(paths[0]), "%s/", scratch);
	va_list args;

	va_start(args, fmt);
	vsnprintf(path + len, sizeof(paths[0]) - len, fmt, args);
	va_end(args);
	return path;
}

void make_dirs(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s/", path);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			fail_msg("mkdir %s: %s", copy, strerror(errno));
		*slash = '/';
	}
}

static void make_parents(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	*strrchr(copy, '/') = '\0';
	make_dirs(copy);
}

void write_file(const char *path, struct ks_view content)
{
	int fd;

	make_parents(path);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	assert_int_equal(write(fd, content.len ? (const void *)content.data : "", content.len),
			 content.len);
	assert_int_equal(close(fd), 0);
}

void write_text(const char *path, const char *text)
{
	write_file(path, text_view(text));
}

void make_link(const char *target, const char *path)
{
	make_parents(path);
	if (symlink(target, path))
		fail_msg("symlink %s: %s", path, strerror(errno));
}

void read_file(const char *path, struct ks_buf *content)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	assert_int_equal(fstat(fd, &st), 0);
	content->len = 0;
	assert_ok(ks_buf_reserve(content, (size_t)st.st_size + 1, &error));
	assert_int_equal(read(fd, content->data, content->cap), st.st_size);
	content->len = (size_t)st.st_size;
	assert_int_equal(close(fd), 0);
}

void assert_content(const char *path, struct ks_view content)
{
	KS_BUF there = { 0 };

	read_file(path, &there);
	assert_view_equal(ks_buf_view(&there), content);
}

size_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

struct stat stat_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		fail_msg("stat %s: %s", path, strerror(errno));
	return st;
}

enum { NOBODY = 65534 };

int run_as_nobody(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
			_exit(99);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* --- bytes ---------------------------------------------------------------------------------- */

struct ks_view text_view(const char *text)
{
	return ks_view_of(text, strlen(text));
}

void assert_view_equal(struct ks_view a, struct ks_view b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
}

void fill(struct ks_buf *buf, size_t len, uint32_t seed)
{
	assert_ok(ks_buf_reserve(buf, buf->len + len, &error));
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		buf->data[buf->len++] = (uint8_t)(seed >> 24);
	}
}

/* --- keys and certificates ------------------------------------------------------------------ */

EVP_PKEY *make_key(const char *kind)
{
	EVP_PKEY *key = strcmp(kind, "RSA") == 0     ? EVP_RSA_gen(2048) :
			strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kind) :
						       EVP_EC_gen(kind);

	assert_non_null(key);
	return key;
}

static void set_serial(X509 *cert, const char *decimal)
{
	BIGNUM *number = NULL;

	assert_true(BN_dec2bn(&number, decimal) > 0);
	assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
	BN_free(number);
}

static void set_name(X509 *cert, const struct cert_spec *spec)
{
	X509_NAME *name = spec->name ? X509_NAME_dup(spec->name) : X509_NAME_new();

	assert_non_null(name);
	if (spec->cn)
		assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
						       (const unsigned char *)spec->cn, -1, -1, 0));
	assert_true(X509_set_subject_name(cert, name));
	assert_true(X509_set_issuer_name(cert, name));
	X509_NAME_free(name);
}

static void set_key_id(X509 *cert)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier, "hash");
	assert_non_null(ext);
	assert_true(X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

X509 *make_cert(EVP_PKEY *key, const struct cert_spec *spec)
{
	X509 *cert = X509_new();
	const char *type = EVP_PKEY_get0_type_name(key);
	bool digests = strcmp(type, "ED25519") == 0 || strncmp(type, "ML-DSA", 6) == 0;
	const EVP_MD *md = digests ? NULL : EVP_sha256();

	assert_non_null(cert);
	assert_true(X509_set_version(cert, X509_VERSION_3));
	set_serial(cert, spec->serial ? spec->serial : "1234567890");
	set_name(cert, spec);
	assert_non_null(
		ASN1_TIME_set(X509_getm_notBefore(cert), spec->until ? spec->from : 1500000000));
	assert_non_null(
		ASN1_TIME_set(X509_getm_notAfter(cert), spec->until ? spec->until : 2000000000));
	assert_true(X509_set_pubkey(cert, key));
	if (!spec->no_key_id)
		set_key_id(cert);
	assert_true(X509_sign(cert, key, md) > 0);
	return cert;
}

static struct {
	char kind[8];
	int n;
	struct identity identity;
} identities[16];

const struct identity *identity(const char *kind, int n)
{
	size_t i = 0;
	char name[64];

	for (; identities[i].identity.key; i++)
		if (strcmp(identities[i].kind, kind) == 0 && identities[i].n == n)
			return &identities[i].identity;
	assert_true(i + 1 < sizeof(identities) / sizeof(*identities));
	snprintf(identities[i].kind, sizeof(identities[i].kind), "%s", kind);
	snprintf(name, sizeof(name), "%s key %d of the tests", kind, n);
	identities[i].n = n;
	identities[i].identity.key = make_key(kind);
	identities[i].identity.cert =
		make_cert(identities[i].identity.key, &(struct cert_spec){ .cn = name });
	return &identities[i].identity;
}

int free_identities(void **state)
{
	(void)state;
	for (size_t i = 0; identities[i].identity.key; i++) {
		EVP_PKEY_free(identities[i].identity.key);
		X509_free(identities[i].identity.cert);
		identities[i].identity = (struct identity){ 0 };
	}
	return 0;
}

static void take(BIO *bio, struct ks_buf *file)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	assert_ok(ks_buf_append(file, data, (size_t)len, &error));
}

void put_key_pem(struct ks_buf *file, EVP_PKEY *key, const char *passphrase)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());
	int len = passphrase ? (int)strlen(passphrase) : 0;

	assert_true(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : NULL,
						  passphrase, len, NULL, NULL));
	take(bio, file);
}

void put_key_der(struct ks_buf *file, EVP_PKEY *key)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	assert_true(i2d_PrivateKey_bio(bio, key));
	take(bio, file);
}

void put_cert_pem(struct ks_buf *file, X509 *cert)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	assert_true(PEM_write_bio_X509(bio, cert));
	take(bio, file);
}

void put_cert_der(struct ks_buf *file, X509 *cert)
{
	KS_BIO *bio = BIO_new(BIO_s_mem());

	assert_true(i2d_X509_bio(bio, cert));
	take(bio, file);
}

bool key_spec_open(struct ks_signer **signer, const struct key_spec *spec, struct ks_error *err)
{
	KS_IDENTITY identity = { .key_name = spec->key_name, .cert_name = spec->cert_name };
	struct ks_signer_spec all = { .identity = &identity,
				      .count = 1,
				      .hash = spec->hash,
				      .key_id = spec->key_id,
				      .deterministic = spec->deterministic };

	*signer = NULL;
	if (!ks_key_parse(spec->key, spec->passphrase, &identity.key, err))
		return spec->key_name ? ks_at(err, spec->key_name) : false;
	if (!ks_cert_parse(spec->cert, &identity.cert, err))
		return spec->cert_name ? ks_at(err, spec->cert_name) : false;
	return ks_signer_open(signer, &all, err);
}

/* --- messages ------------------------------------------------------------------------------- */

void put_signers(struct ks_buf *message, struct ks_view image, const struct signer_spec *signer,
		 size_t n, unsigned int final)
{
	KS_CMS *cms = CMS_sign(NULL, NULL, NULL, NULL,
			       CMS_NOCERTS | CMS_PARTIAL | CMS_BINARY | CMS_STREAM | final);
	KS_BIO *bio = NULL;
	KS_BIO *out = BIO_new(BIO_s_mem());

	assert_non_null(cms);
	for (size_t i = 0; i < n; i++)
		assert_non_null(CMS_add1_signer(cms, signer[i].by->cert, signer[i].by->key,
						EVP_get_digestbyname(signer[i].hash),
						signer[i].flags));
	assert_ok(ks_bio_open(image, &bio, &error));
	/* Without a signer there is no digest for it to make. */
	assert_true(!n || CMS_final(cms, bio, NULL, CMS_BINARY | final));
	assert_true(i2d_CMS_bio(out, cms));
	take(out, message);
}

void put_message(struct ks_buf *message, struct ks_view image, const struct identity *const *by,
		 size_t n, const char *hash, unsigned int flags, unsigned int final)
{
	struct signer_spec signer[8];

	assert_true(n <= sizeof(signer) / sizeof(*signer));
	for (size_t i = 0; i < n; i++)
		signer[i] = (struct signer_spec){ by[i], hash, flags };
	put_signers(message, image, signer, n, final);
}

void put_plain_message(struct ks_buf *message, struct ks_view image, const struct identity *by,
		       const char *hash)
{
	put_message(message, image, &by, 1, hash, SIGN_FILE_FLAGS, CMS_DETACHED);
}

bool openssl_verifies(struct ks_view message, struct ks_view image, X509 *cert)
{
	const unsigned char *at = message.data;
	KS_CMS *cms = d2i_CMS_ContentInfo(NULL, &at, (long)message.len);
	STACK_OF(X509) *certs = sk_X509_new_null();
	KS_BIO *content = NULL;
	bool good;

	assert_ok(ks_bio_open(image, &content, &error));
	assert_true(sk_X509_push(certs, cert) > 0);
	good = cms && CMS_verify(cms, certs, NULL, content, NULL,
				 CMS_BINARY | CMS_DETACHED | CMS_NO_SIGNER_CERT_VERIFY |
					 CMS_NOINTERN) == 1;
	sk_X509_free(certs);
	ERR_clear_error();
	return good;
}

void put_trailer(struct ks_buf *file, struct ks_view message)
{
	const uint8_t info[12] = { 0,
				   0,
				   2,
				   0,
				   0,
				   0,
				   0,
				   0,
				   (uint8_t)(message.len >> 24),
				   (uint8_t)(message.len >> 16),
				   (uint8_t)(message.len >> 8),
				   (uint8_t)message.len };

	assert_ok(ks_buf_append(file, message.data, message.len, &error));
	assert_ok(ks_buf_append(file, info, sizeof(info), &error));
	assert_ok(ks_buf_append(file, "~Module signature appended~\n", 28, &error));
}

/* --- modules -------------------------------------------------------------------------------- */

/* Fields are written one after the other, in the order of both classes' structures. */
struct writer {
	struct ks_buf *file;
	bool wide, big_endian;
};

static void put(const struct writer *w, uint64_t value, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[w->big_endian ? width - 1 - i : i] = (uint8_t)(value >> (8 * i));
	assert_ok(ks_buf_append(w->file, bytes, width, &error));
}

/* An address, offset or size: as wide as the class. */
static void put_word(const struct writer *w, uint64_t value)
{
	put(w, value, w->wide ? 8 : 4);
}

enum { SECTIONS = 5, SHSTRNDX = 4 };

static const char section_names[] = "\0.modinfo\0.text\0.bss\0.shstrtab";
static const unsigned int section_name[SECTIONS] = { 0, 1, 10, 16, 21 };

static void put_header(const struct writer *w, const struct elf_spec *spec, uint64_t table)
{
	const uint8_t ident[EI_NIDENT] = { ELFMAG0,
					   ELFMAG1,
					   ELFMAG2,
					   ELFMAG3,
					   w->wide ? ELFCLASS64 : ELFCLASS32,
					   w->big_endian ? ELFDATA2MSB : ELFDATA2LSB,
					   EV_CURRENT };

	assert_ok(ks_buf_append(w->file, ident, sizeof(ident), &error));
	put(w, spec->type ? spec->type : ET_REL, 2);
	put(w, w->wide ? EM_X86_64 : w->big_endian ? EM_PPC : EM_386, 2);
	put(w, EV_CURRENT, 4);
	put_word(w, 0); /* entry */
	put_word(w, 0); /* program headers */
	put_word(w, table);
	put(w, 0, 4); /* flags */
	put(w, w->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), 2);
	put(w, 0, 2);
	put(w, 0, 2);
	put(w, w->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr), 2);
	put(w, spec->extended ? 0 : SECTIONS, 2);
	put(w, SHSTRNDX, 2);
}

static void put_section(const struct writer *w, unsigned int name, unsigned int type,
			uint64_t flags, uint64_t offset, uint64_t size)
{
	put(w, name, 4);
	put(w, type, 4);
	put_word(w, flags);
	put_word(w, 0);
	put_word(w, offset);
	put_word(w, size);
	put(w, 0, 4);
	put(w, 0, 4);
	put_word(w, type == SHT_NULL ? 0 : 1);
	put_word(w, 0);
}

static void put_table(const struct writer *w, const struct elf_spec *spec, uint64_t at)
{
	uint64_t text = at + spec->modinfo_len, names = text + spec->extra;

	put_section(w, 0, SHT_NULL, 0, 0, spec->extended ? SECTIONS : 0);
	put_section(w, section_name[1], spec->modinfo ? SHT_PROGBITS : SHT_NULL, SHF_ALLOC, at,
		    spec->modinfo_len);
	put_section(w, section_name[2], SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, text, spec->extra);
	put_section(w, section_name[3], SHT_NOBITS, SHF_ALLOC | SHF_WRITE, names, 1 << 20);
	put_section(w, section_name[4], SHT_STRTAB, 0, names, sizeof(section_names));
}

static void put_content(const struct writer *w, const struct elf_spec *spec)
{
	assert_ok(ks_buf_append(w->file, spec->modinfo, spec->modinfo_len, &error));
	fill(w->file, spec->extra, 7);
	assert_ok(ks_buf_append(w->file, section_names, sizeof(section_names), &error));
}

void put_elf(struct ks_buf *file, const struct elf_spec *spec)
{
	const struct writer w = { file, !spec->narrow, spec->big_endian };
	uint64_t header = w.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	uint64_t table = SECTIONS * (w.wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr));
	uint64_t content = spec->modinfo_len + spec->extra + sizeof(section_names);

	put_header(&w, spec, spec->table_first ? header : header + content);
	if (spec->table_first)
		put_table(&w, spec, header + table);
	put_content(&w, spec);
	if (!spec->table_first)
		put_table(&w, spec, header);
}

void put_module(struct ks_buf *file, const char *vermagic, bool in_tree)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "license=GPL%cvermagic=%s SMP mod_unload %c%s", 0,
			   vermagic, 0, in_tree ? "intree=Y" : "");

	put_elf(file, &(struct elf_spec){ .modinfo = text,
					  .modinfo_len = (size_t)len + (in_tree ? 1 : 0),
					  .extra = 300 });
}

/*
 * One node: a prefix and one value (libkmod's libkmod-index.h: magic, version, offset of the root
 * with its flags, then the node; numbers big endian).
 */
void write_index(const char *path, const char *key, const char *value)
{
	KS_BUF file = { 0 };
	const struct writer w = { &file, false, true };

	put(&w, 0xb007f457, 4);
	put(&w, 0x00020001, 4);
	put(&w, 0x80000000 | 0x40000000 | 12, 4);
	assert_ok(ks_buf_append(&file, key, strlen(key) + 1, &error));
	put(&w, 1, 4); /* values */
	put(&w, 0, 4); /* priority */
	assert_ok(ks_buf_append(&file, value, strlen(value) + 1, &error));
	write_file(path, ks_buf_view(&file));
}
