/* SPDX-License-Identifier: MIT */
/*
 * floor [-j JOBS] [-k KEY [-d DIGEST]] [-g BYTES] [-b] [-r]: the least that signing modules costs.
 *
 * Standard input has the modules' names, each ended by a NUL. Each module is read, decompressed as
 * its name says, and with KEY its content is digested and the digest signed; then a file as
 * large as the old one and BYTES larger (smaller, if negative) is written beside it, synced, and
 * renamed to it, and at the end every directory is synced. What is written is the old container with
 * zeros behind it, or cut: nothing is extended, parsed, compared or looked after here. So much has to
 * be done by whoever signs, and nobody can be cheaper who uses these libraries.
 *
 *   -k KEY   without it nothing is digested and signed: what removing a signature has to do
 *   -b       decompress and digest a second time, as who reads back what he wrote
 *   -r       only read and decompress: what looking at signatures has to do
 *
 * Prints how many modules there were, and how many bytes it has unpacked. Ends at the first fault.
 */
#include <err.h>
#include <fcntl.h>
#include <libgen.h>
#include <lzma.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* Memory that is kept from one module to the next. */
struct room {
	unsigned char *bytes;
	size_t size, capacity;
};

static struct {
	unsigned jobs;
	bool read_only, back;
	EVP_PKEY *key;
	const EVP_MD *digest;
	long grow;
	char **files;
	size_t count;
} plan = { .jobs = 1 };

static atomic_size_t next_file;
static atomic_ullong content_bytes;

struct worker {
	struct room file, content;
	ZSTD_DCtx *zstd;
	lzma_stream xz;
	z_stream gzip;
	EVP_PKEY_CTX *sign;
};

static void check(bool good, const char *path, const char *what)
{
	if (!good)
		err(1, "%s: %s", path, what);
}

static void need(struct room *room, size_t size)
{
	if (size > room->capacity) {
		free(room->bytes);
		room->bytes = malloc(size);
		room->capacity = size;
		check(room->bytes, "memory", "malloc");
	}
	room->size = size;
}

static void read_file(const char *path, struct room *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;

	check(fd >= 0 && fstat(fd, &about) == 0, path, "open");
	need(file, (size_t)about.st_size);
	check(read(fd, file->bytes, file->size) == about.st_size, path, "read");
	close(fd);
}

static void unpack_zstd(struct worker *me, const char *path)
{
	unsigned long long size = ZSTD_getFrameContentSize(me->file.bytes, me->file.size);

	check(size < ZSTD_CONTENTSIZE_ERROR, path, "zstd: no content size");
	need(&me->content, size);
	size = ZSTD_decompressDCtx(me->zstd, me->content.bytes, me->content.size, me->file.bytes,
				   me->file.size);
	check(size == me->content.size, path, "zstd");
}

/* The index at the end of the file has the size. */
static uint64_t xz_size(const struct room *file, const char *path)
{
	const uint8_t *footer = file->bytes + file->size - LZMA_STREAM_HEADER_SIZE;
	uint64_t limit = UINT64_MAX, size;
	lzma_index *index = NULL;
	lzma_stream_flags flags;
	size_t at = 0;

	check(file->size >= 2 * LZMA_STREAM_HEADER_SIZE &&
		      lzma_stream_footer_decode(&flags, footer) == LZMA_OK &&
		      flags.backward_size < file->size &&
		      lzma_index_buffer_decode(&index, &limit, NULL, footer - flags.backward_size,
					       &at, flags.backward_size) == LZMA_OK,
	      path, "xz: index");
	size = lzma_index_uncompressed_size(index);
	lzma_index_end(index, NULL);
	return size;
}

static void unpack_xz(struct worker *me, const char *path)
{
	need(&me->content, xz_size(&me->file, path));
	check(lzma_stream_decoder(&me->xz, UINT64_MAX, 0) == LZMA_OK, path, "xz: decoder");
	me->xz.next_in = me->file.bytes;
	me->xz.avail_in = me->file.size;
	me->xz.next_out = me->content.bytes;
	me->xz.avail_out = me->content.size;
	check(lzma_code(&me->xz, LZMA_FINISH) == LZMA_STREAM_END && me->xz.avail_out == 0, path,
	      "xz");
}

/* The last four bytes are the size, little end first. */
static void unpack_gzip(struct worker *me, const char *path)
{
	const unsigned char *tail = me->file.bytes + me->file.size - 4;

	check(me->file.size >= 18, path, "gzip: too short");
	need(&me->content, tail[0] | tail[1] << 8 | tail[2] << 16 | (size_t)tail[3] << 24);
	check(inflateReset(&me->gzip) == Z_OK, path, "gzip: decoder");
	me->gzip.next_in = me->file.bytes;
	me->gzip.avail_in = (unsigned)me->file.size;
	me->gzip.next_out = me->content.bytes;
	me->gzip.avail_out = (unsigned)me->content.size;
	check(inflate(&me->gzip, Z_FINISH) == Z_STREAM_END && me->gzip.avail_out == 0, path,
	      "gzip");
}

/* The content, which is the file itself where nothing is packed. */
static const struct room *unpack(struct worker *me, const char *path)
{
	const char *suffix = strrchr(path, '.');

	if (strcmp(suffix, ".zst") == 0)
		unpack_zstd(me, path);
	else if (strcmp(suffix, ".xz") == 0)
		unpack_xz(me, path);
	else if (strcmp(suffix, ".gz") == 0)
		unpack_gzip(me, path);
	else
		return &me->file;
	return &me->content;
}

static void sign(struct worker *me, const char *path, const unsigned char *digest, size_t size)
{
	unsigned char signature[1024];
	size_t length = sizeof(signature);

	check(EVP_PKEY_sign(me->sign, signature, &length, digest, size) == 1, path, "sign");
}

static void write_beside(const struct room *file, const char *path, const char *beside)
{
	static const unsigned char zeros[8192];
	size_t more = plan.grow > 0 ? (size_t)plan.grow : 0;
	size_t keep = file->size - (plan.grow < 0 ? (size_t)-plan.grow : 0);
	int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	check(fd >= 0, beside, "open");
	check(more <= sizeof(zeros) && keep <= file->size, path, "size");
	check(write(fd, file->bytes, keep) == (ssize_t)keep, beside, "write");
	check(write(fd, zeros, more) == (ssize_t)more, beside, "write");
	check(fsync(fd) == 0 && close(fd) == 0, beside, "sync");
	check(rename(beside, path) == 0, beside, "rename");
}

static void unpack_and_digest(struct worker *me, const char *path, unsigned char *digest,
			      unsigned *size)
{
	const struct room *content = unpack(me, path);

	atomic_fetch_add(&content_bytes, content->size);
	if (!plan.key && !plan.back)
		return;
	check(EVP_Digest(content->bytes, content->size, digest, size, plan.digest, NULL) == 1, path,
	      "digest");
}

static void process(struct worker *me, const char *path)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char beside[4096];
	unsigned size;

	read_file(path, &me->file);
	unpack_and_digest(me, path, digest, &size);
	if (plan.read_only)
		return;
	if (plan.key)
		sign(me, path, digest, size);
	check(snprintf(beside, sizeof(beside), "%s.new", path) < (int)sizeof(beside), path, "name");
	write_beside(&me->file, path, beside);
	if (plan.back)
		unpack_and_digest(me, path, digest, &size);
}

static void begin(struct worker *me)
{
	me->zstd = ZSTD_createDCtx();
	check(me->zstd && inflateInit2(&me->gzip, 15 + 16) == Z_OK, "memory", "decoders");
	if (!plan.key)
		return;
	me->sign = EVP_PKEY_CTX_new(plan.key, NULL);
	check(me->sign && EVP_PKEY_sign_init(me->sign) == 1 &&
		      EVP_PKEY_CTX_set_signature_md(me->sign, plan.digest) == 1,
	      "key", "cannot sign");
}

static void finish(struct worker *me)
{
	EVP_PKEY_CTX_free(me->sign);
	inflateEnd(&me->gzip);
	lzma_end(&me->xz);
	ZSTD_freeDCtx(me->zstd);
	free(me->content.bytes);
	free(me->file.bytes);
}

static void *work(void *unused)
{
	struct worker me = { .xz = LZMA_STREAM_INIT };
	size_t i;

	begin(&me);
	while ((i = atomic_fetch_add(&next_file, 1)) < plan.count)
		process(&me, plan.files[i]);
	finish(&me);
	return unused;
}

static void work_together(void)
{
	pthread_t thread[64];

	check(plan.jobs <= 64, "jobs", "too many");
	for (unsigned i = 1; i < plan.jobs; i++)
		check(pthread_create(&thread[i], NULL, work, NULL) == 0, "jobs", "thread");
	work(NULL);
	for (unsigned i = 1; i < plan.jobs; i++)
		pthread_join(thread[i], NULL);
}

/* The names are sorted, so those of a directory stand together. */
static void sync_directories(void)
{
	const char *last = "";

	for (size_t i = 0; i < plan.count; i++) {
		const char *dir = dirname(plan.files[i]);
		int fd;

		if (strcmp(dir, last) == 0)
			continue;
		last = dir;
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check(fd >= 0 && fsync(fd) == 0, dir, "sync");
		close(fd);
	}
}

static void read_names(void)
{
	size_t capacity = 0, size = 0;
	char *name = NULL;

	for (; getdelim(&name, &size, '\0', stdin) > 0; name = NULL, size = 0) {
		if (plan.count == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			plan.files = realloc(plan.files, capacity * sizeof(*plan.files));
			check(plan.files, "memory", "realloc");
		}
		check(strrchr(name, '.'), name, "no suffix");
		plan.files[plan.count++] = name;
	}
	free(name);
}

static void read_key(const char *path)
{
	FILE *file = fopen(path, "r");

	check(file, path, "open");
	plan.key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	check(plan.key, path, "no private key");
	fclose(file);
}

static void read_options(int argc, char **argv)
{
	int option;

	plan.digest = EVP_sha256();
	while ((option = getopt(argc, argv, "j:k:d:g:br")) != -1) {
		if (option == 'j')
			plan.jobs = (unsigned)atoi(optarg);
		else if (option == 'k')
			read_key(optarg);
		else if (option == 'd')
			plan.digest = EVP_get_digestbyname(optarg);
		else if (option == 'g')
			plan.grow = atol(optarg);
		else if (option == 'b')
			plan.back = true;
		else if (option == 'r')
			plan.read_only = true;
		else
			exit(2);
	}
	check(plan.digest, "digest", "unknown");
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	read_names();
	work_together();
	if (!plan.read_only)
		sync_directories();
	printf("%zu %llu\n", plan.count, atomic_load(&content_bytes));
	for (size_t i = 0; i < plan.count; i++)
		free(plan.files[i]);
	free(plan.files);
	EVP_PKEY_free(plan.key);
	return fflush(stdout) ? 1 : 0;
}
