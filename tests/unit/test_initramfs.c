/* SPDX-License-Identifier: MIT */
/* Initramfs images made by hand: archives, packed and not, good and broken. */
#include "fixture.h"

#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "core/initramfs.h"

enum { HEADER = 110, MIB = 1 << 20 };

static const size_t no_limit = SIZE_MAX;

static void append(struct ks_buf *buf, const void *data, size_t len)
{
	assert_ok(ks_buf_append(buf, data, len, &error));
}

static void append_text(struct ks_buf *buf, const char *text)
{
	append(buf, text, strlen(text));
}

static void append_zeros(struct ks_buf *buf, size_t count)
{
	assert_ok(ks_buf_reserve(buf, buf->len + count, &error));
	memset(buf->data + buf->len, 0, count);
	buf->len += count;
}

/* --- archives ------------------------------------------------------------------------------- */

struct spec {
	const char *name;
	const char *content;
	unsigned int mode;	 /* 0: a regular file */
	unsigned int nlink, ino; /* 0: 1 */
	unsigned int minor;
	const char *magic; /* NULL: newc */
};

static void put_header(struct ks_buf *archive, const struct spec *spec, uint32_t filesize,
		       uint32_t namesize)
{
	char header[HEADER + 1];

	snprintf(header, sizeof(header), "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 spec->magic ? spec->magic : "070701", spec->ino,
		 spec->mode ? spec->mode : S_IFREG | 0644, 0, 0, spec->nlink ? spec->nlink : 1,
		 0x5f000000, filesize, 8, spec->minor, 0, 0, namesize, 0);
	append(archive, header, HEADER);
}

static void align(struct ks_buf *archive)
{
	append_zeros(archive, -archive->len % 4);
}

static void put_entry(struct ks_buf *archive, const struct spec *spec)
{
	const char *content = spec->content ? spec->content : "";

	put_header(archive, spec, (uint32_t)strlen(content), (uint32_t)strlen(spec->name) + 1);
	append(archive, spec->name, strlen(spec->name) + 1);
	align(archive);
	append_text(archive, content);
	align(archive);
}

static void put_file(struct ks_buf *archive, const char *name, const char *content)
{
	put_entry(archive, &(struct spec){ .name = name, .content = content });
}

/* As cpio writes it: to the end of a block. */
static void put_trailer_entry(struct ks_buf *archive)
{
	put_file(archive, "TRAILER!!!", NULL);
	append_zeros(archive, -archive->len % 512);
}

static void put_archive(struct ks_buf *archive, const char *name, const char *content)
{
	put_file(archive, name, content);
	put_trailer_entry(archive);
}

/* --- packing -------------------------------------------------------------------------------- */

static void pack_lzma(struct ks_view plain, struct ks_buf *file)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 1));
	assert_int_equal(lzma_alone_encoder(&z, &options), LZMA_OK);
	assert_ok(ks_buf_reserve(file, file->len + plain.len + 4096, &error));
	z.next_in = plain.data;
	z.avail_in = plain.len;
	z.next_out = file->data + file->len;
	z.avail_out = file->cap - file->len;
	assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
	file->len = file->cap - z.avail_out;
	lzma_end(&z);
}

/* Blocks of nothing but literals: a legacy frame need not make anything smaller. */
static void pack_lz4(struct ks_view plain, struct ks_buf *file)
{
	assert_ok(ks_buf_reserve(file, file->len + 4 + 2 * plain.len, &error));
	append(file, "\x02\x21\x4c\x18", 4);
	for (size_t at = 0, len; at < plain.len; at += len) {
		len = plain.len - at < 14 ? plain.len - at : 14;
		append(file, (uint8_t[]){ (uint8_t)(len + 1), 0, 0, 0, (uint8_t)(len << 4) }, 5);
		append(file, plain.data + at, len);
	}
}

static void pack_codec(const struct ks_codec *codec, struct ks_view plain, struct ks_buf *file)
{
	assert_ok(codec->pack(plain, file, &error));
}

static void pack_gzip(struct ks_view plain, struct ks_buf *file)
{
	pack_codec(&ks_codec_gzip, plain, file);
}

static void pack_xz(struct ks_view plain, struct ks_buf *file)
{
	pack_codec(&ks_codec_xz, plain, file);
}

static void pack_zstd(struct ks_view plain, struct ks_buf *file)
{
	pack_codec(&ks_codec_zstd, plain, file);
}

static const struct container {
	const char *name;
	void (*pack)(struct ks_view plain, struct ks_buf *file);
	bool has_end; /* another archive can follow */
} containers[] = {
	{ "gzip", pack_gzip, false }, { "xz", pack_xz, false },
	{ "zstd", pack_zstd, true },  { "lzma", pack_lzma, false },
#ifdef HAVE_LZ4
	{ "lz4", pack_lz4, true },
#endif
};

enum { CONTAINERS = sizeof(containers) / sizeof(*containers) };

/* --- reading -------------------------------------------------------------------------------- */

struct seen {
	struct ks_buf text; /* a line "PATH=CONTENT" for each call */
	size_t calls, stop; /* fails at this call, if it is not 0 */
};

#define SEEN __attribute__((cleanup(free_seen))) struct seen

static void free_seen(struct seen *seen)
{
	ks_buf_free(&seen->text);
}

static bool see(void *ctx, const char *path, struct ks_view content, struct ks_error *err)
{
	struct seen *seen = ctx;

	if (++seen->calls == seen->stop)
		return ks_fail(err, KS_ERR_MISSING, "stopped by the caller");
	append_text(&seen->text, path);
	append_text(&seen->text, "=");
	append(&seen->text, content.data, content.len);
	append_text(&seen->text, "\n");
	return true;
}

/* In memory of its own, so that a byte read too many is seen. */
static bool read_view(struct ks_view file, size_t limit, struct seen *seen)
{
	uint8_t *copy = malloc(file.len ? file.len : 1);
	bool ok;

	assert_non_null(copy);
	if (file.len)
		memcpy(copy, file.data, file.len);
	ok = ks_initramfs_modules(ks_view_of(copy, file.len), limit, see, seen, &error);
	free(copy);
	return ok;
}

static void expect(const struct ks_buf *file, const char *lines)
{
	SEEN seen = { 0 };

	assert_ok(read_view(ks_buf_view(file), no_limit, &seen));
	append(&seen.text, "", 1);
	assert_string_equal((const char *)seen.text.data, lines);
}

static void expect_code(const struct ks_buf *file, enum ks_code code, const char *says)
{
	SEEN seen = { 0 };

	assert_fails(read_view(ks_buf_view(file), no_limit, &seen), code);
	assert_says(says);
}

static void expect_damage(const struct ks_buf *file, const char *says)
{
	expect_code(file, KS_ERR_INPUT, says);
}

/* --- what is in an archive ------------------------------------------------------------------ */

static void modules_and_nothing_else(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_entry(&file, &(struct spec){ .name = "lib", .mode = S_IFDIR | 0755, .nlink = 2 });
	put_entry(&file, &(struct spec){ .name = "lib/dir.ko", .mode = S_IFDIR | 0755 });
	put_entry(&file,
		  &(struct spec){ .name = "link.ko", .content = "a.ko", .mode = S_IFLNK | 0777 });
	put_entry(&file, &(struct spec){ .name = "fifo.ko", .mode = S_IFIFO | 0600 });
	put_file(&file, "etc/text", "no module");
	put_file(&file, "lib/a.ko", "first");
	put_file(&file, "lib/a.ko.bak", "no");
	put_file(&file, "b.ko.xz", "packed, as it is");
	put_file(&file, "c.ko.zst", "");
	put_file(&file, "f.ko.gz", "x");
	put_file(&file, "e.xz", "no");
	put_trailer_entry(&file);
	expect(&file, "lib/a.ko=first\nb.ko.xz=packed, as it is\nc.ko.zst=\nf.ko.gz=x\n");
}

static void names_lose_what_is_in_front(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_file(&file, "./usr/a.ko", "1");
	put_file(&file, "/usr/b.ko", "2");
	put_file(&file, "././/./usr//./c.ko", "3");
	put_file(&file, ".d.ko", "4");
	put_file(&file, "../e.ko", "5");
	put_file(&file, ".", "6");
	put_file(&file, "./", "7");
	put_file(&file, "", "8");
	put_file(&file, "usr/a.ko", "again");
	expect(&file,
	       "usr/a.ko=1\nusr/b.ko=2\nusr//./c.ko=3\n.d.ko=4\n../e.ko=5\nusr/a.ko=again\n");
}

static void both_formats_and_no_trailer(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_entry(&file, &(struct spec){ .name = "a.ko", .content = "crc", .magic = "070702" });
	put_file(&file, "b.ko", "not padded");
	file.len -= 2;
	expect(&file, "a.ko=crc\nb.ko=not padded\n");
}

static void a_name_ends_at_its_first_nul(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_header(&file, &(struct spec){ 0 }, 0, 10);
	append(&file, "a.ko\0junk\0", 10);
	expect(&file, "a.ko=\n");
}

static void digits_of_either_case(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_file(&file, "a.ko", "ten bytes.");
	assert_int_equal(file.data[61], 'a');
	file.data[61] = 'A';
	expect(&file, "a.ko=ten bytes.\n");
}

static void nothing_in_it(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	expect(&file, "");
	append_zeros(&file, 1);
	expect(&file, "");
	append_zeros(&file, 1023);
	expect(&file, "");
	put_trailer_entry(&file);
	expect(&file, "");
}

/* --- several archives, packed and not ------------------------------------------------------- */

static void archives_with_zeros_between(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_archive(&file, "a.ko", "1");
	put_archive(&file, "b.ko", "2");
	append_zeros(&file, 4);
	put_archive(&file, "c.ko", "3");
	append_zeros(&file, 4093);
	expect(&file, "a.ko=1\nb.ko=2\nc.ko=3\n");
}

/* b.ko, and c.ko in an archive of its own. */
static void put_packed(struct ks_buf *file, const struct container *container)
{
	KS_BUF plain = { 0 };

	put_archive(&plain, "b.ko", "2");
	put_archive(&plain, "c.ko", "3");
	container->pack(ks_buf_view(&plain), file);
}

/* The form of Debian's, dracut's and others': an early archive, and behind it all the rest. */
static void a_packed_archive_behind_a_plain_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF file = { 0 };

		put_packed(&file, &containers[i]);
		expect(&file, "b.ko=2\nc.ko=3\n");
		file.len = 0;
		put_archive(&file, "a.ko", "1");
		put_packed(&file, &containers[i]);
		expect(&file, "a.ko=1\nb.ko=2\nc.ko=3\n");
	}
}

static void zeros_behind_a_packed_archive(void **state)
{
	(void)state;
	for (size_t zeros = 1; zeros < 10; zeros++) {
		for (size_t i = 0; i < CONTAINERS; i++) {
			KS_BUF file = { 0 };

			put_packed(&file, &containers[i]);
			append_zeros(&file, zeros);
			if (containers[i].pack == pack_lzma)
				expect_damage(&file, "lzma: trailing garbage");
			else
				expect(&file, "b.ko=2\nc.ko=3\n");
		}
	}
}

static void more_behind_a_packed_archive(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF file = { 0 };

		put_packed(&file, &containers[i]);
		if (containers[i].pack == pack_lz4)
			append_zeros(&file, 4);
		align(&file);
		put_archive(&file, "f.ko", "4");
		put_packed(&file, &containers[i]);
		if (containers[i].has_end)
			expect(&file, "b.ko=2\nc.ko=3\nf.ko=4\nb.ko=2\nc.ko=3\n");
		else
			expect_damage(&file, "trailing garbage");
	}
}

/* cat one two >both */
static void packed_archives_of_one_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF file = { 0 };

		put_packed(&file, &containers[i]);
		put_packed(&file, &containers[i]);
		if (containers[i].pack == pack_lzma)
			expect_damage(&file, "trailing garbage");
		else
			expect(&file, "b.ko=2\nc.ko=3\nb.ko=2\nc.ko=3\n");
	}
}

static void two_kinds_of_packing(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_packed(&file, &containers[2]);
	assert_string_equal(containers[2].name, "zstd");
	put_packed(&file, &containers[0]);
	expect(&file, "b.ko=2\nc.ko=3\nb.ko=2\nc.ko=3\n");
}

static void packed_ones_that_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF file = { 0 };

		put_packed(&file, &containers[i]);
		/* Between two blocks of lz4 nothing is missing but the end of the archive. */
		file.len -= 3;
		expect_damage(&file, "");
		file.len = 1;
		expect_damage(&file, "neither a cpio archive nor packed");
	}
}

static void not_cpio_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		put_archive(&plain, "a.ko", "1");
		append_text(&plain, "junk");
		containers[i].pack(ks_buf_view(&plain), &file);
		expect_damage(&file, containers[i].name);
		assert_says(": cpio: no header at 512");
		plain.len -= 5;
		file.len = 0;
		append_text(&plain, "0");
		containers[i].pack(ks_buf_view(&plain), &file);
		expect_damage(&file, containers[i].name);
		assert_says("not a multiple of 4");
	}
}

static void what_is_not_read(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	append_text(&file, "BZh91AY&SY");
	expect_code(&file, KS_ERR_UNSUPPORTED, "packed with bzip2");
	file.len = 0;
	append(&file, "\x89LZO\0\r\n\x1a\n", 9);
	expect_code(&file, KS_ERR_UNSUPPORTED, "packed with lzo");
#ifndef HAVE_LZ4
	file.len = 0;
	put_packed(&file, &(struct container){ "lz4", pack_lz4, true });
	expect_code(&file, KS_ERR_UNSUPPORTED, "liblz4");
#endif
	file.len = 0;
	append_text(&file, "\177ELF");
	expect_damage(&file, "neither a cpio archive nor packed in a known way");
}

static void no_more_is_unpacked_than_the_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };
		SEEN seen = { 0 };

		/* What is not packed does not count. */
		put_archive(&file, "a.ko", "1");
		put_file(&plain, "b.ko", "2");
		append_zeros(&plain, MIB / 8);
		containers[i].pack(ks_buf_view(&plain), &file);
		if (containers[i].pack != pack_lzma)
			containers[i].pack(ks_buf_view(&plain), &file);
		else
			plain.len /= 2;
		assert_ok(read_view(ks_buf_view(&file), 2 * plain.len + 1, &seen));
		assert_fails(read_view(ks_buf_view(&file), 2 * plain.len - 1, &seen), KS_ERR_INPUT);
		assert_says(containers[i].name);
		assert_says("larger than the limit");
	}
}

/* --- hard links ----------------------------------------------------------------------------- */

static void put_link(struct ks_buf *archive, unsigned int ino, const char *name,
		     const char *content)
{
	put_entry(archive,
		  &(struct spec){ .name = name, .content = content, .ino = ino, .nlink = 3 });
}

static void each_name_has_the_content(void **state)
{
	static const char *const contents[][3] = {
		{ "", "", "x" },   { "", "x", "" },  { "x", "", "" },
		{ "x", "x", "x" }, { "o", "", "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++) {
		KS_BUF file = { 0 };

		put_link(&file, 7, "./a.ko", contents[i][0]);
		put_file(&file, "other.ko", "1");
		put_link(&file, 7, "b.ko.xz", contents[i][1]);
		put_link(&file, 7, "c.ko", contents[i][2]);
		put_trailer_entry(&file);
		expect(&file, "other.ko=1\na.ko=x\nb.ko.xz=x\nc.ko=x\n");
	}
}

static void a_name_that_is_no_module_has_the_content(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_link(&file, 7, "a.ko", "");
	put_link(&file, 7, "backup", "data");
	put_trailer_entry(&file);
	expect(&file, "a.ko=data\n");
}

static void links_without_content(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_link(&file, 7, "a.ko", "");
	put_link(&file, 7, "b.ko", "");
	expect(&file, "a.ko=\nb.ko=\n");
}

/* Device and inode together are the file; behind a trailer the numbers start anew. */
static void other_files_are_not_mixed_in(void **state)
{
	KS_BUF file = { 0 };
	struct spec other = { .name = "dev.ko", .content = "3", .ino = 7, .nlink = 2, .minor = 9 };

	(void)state;
	put_link(&file, 8, "b1.ko", "");
	put_link(&file, 7, "a1.ko", "");
	put_entry(&file, &other);
	put_link(&file, 8, "b2.ko", "2");
	put_link(&file, 7, "a2.ko", "1");
	put_trailer_entry(&file);
	put_link(&file, 7, "a3.ko", "4");
	put_trailer_entry(&file);
	put_link(&file, 8, "b3.ko", "");
	put_trailer_entry(&file);
	expect(&file, "a1.ko=1\na2.ko=1\nb1.ko=2\nb2.ko=2\ndev.ko=3\na3.ko=4\nb3.ko=\n");
}

static void links_in_packed_archives(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 40; i++)
		put_link(&plain, 7, "a.ko", i == 20 ? "data" : "");
	put_link(&file, 7, "b.ko", "");
	pack_zstd(ks_buf_view(&plain), &file);
	append_zeros(&file, MIB);
	pack_zstd(ks_buf_view(&plain), &file);
	{
		SEEN seen = { 0 };

		assert_ok(read_view(ks_buf_view(&file), no_limit, &seen));
		assert_int_equal(seen.calls, 81);
		assert_memory_equal(seen.text.data, "b.ko=\na.ko=data\na.ko=data\n", 26);
	}
}

/* --- the caller stops ----------------------------------------------------------------------- */

static void the_caller_stops(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	put_file(&file, "a.ko", "1");
	put_link(&file, 7, "b.ko", "2");
	put_file(&plain, "c.ko", "3");
	put_link(&plain, 7, "d.ko", "4");
	pack_zstd(ks_buf_view(&plain), &file);
	for (size_t i = 1; i <= 4; i++) {
		SEEN seen = { .stop = i };

		assert_fails(read_view(ks_buf_view(&file), no_limit, &seen), KS_ERR_MISSING);
		assert_string_equal(error.text, "stopped by the caller");
		assert_int_equal(seen.calls, i);
	}
}

/* --- damage --------------------------------------------------------------------------------- */

/* Whether an entry, with its padding or a part of it, ends at LEN. */
static bool ends_at(size_t len, const size_t ends[][2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (len >= ends[i][0] && len <= ends[i][1])
			return true;
	return false;
}

static void cut_off_anywhere(void **state)
{
	static const char *const contents[] = { "12345", "", "123", "1234" };
	size_t ends[5][2] = { { 0 } };
	KS_BUF file = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		put_file(&file, &"dir/a.ko"[i], contents[i]);
		ends[i + 1][1] = file.len;
		while (!file.data[file.len - 1])
			file.len--;
		/* A name's own end belongs to it. */
		ends[i + 1][0] = file.len + !*contents[i];
		align(&file);
	}
	for (size_t len = 0; len <= file.len; len++) {
		SEEN seen = { 0 };
		bool whole = ends_at(len, (const size_t(*)[2])ends, 5);

		error = (struct ks_error){ 0 };
		assert_int_equal(read_view(ks_view_of(file.data, len), no_limit, &seen), whole);
		if (whole)
			continue;
		assert_int_equal(error.code, KS_ERR_INPUT);
		assert_says("cpio: truncated in the ");
	}
}

/* The place of the N-th number of a header. */
#define FIELD(n) (6 + 8 * (n))

enum { MODE = 1, FILESIZE = 6, NAMESIZE = 11, CHECK = 12 };

static void headers_that_do_not_fit(void **state)
{
	static const struct {
		size_t at;
		const char *digits, *says;
	} cases[] = {
		{ FIELD(NAMESIZE), "00000000", "a name of 0 bytes at 116" },
		{ FIELD(NAMESIZE), "00001001", "a name of 4097 bytes at 116" },
		{ FIELD(NAMESIZE), "00001000", "truncated in the name at 116" },
		{ FIELD(NAMESIZE), "ffffffff", "a name of 4294967295 bytes" },
		{ FIELD(NAMESIZE), "ffffff92", "a name of 4294967186 bytes" },
		{ FIELD(NAMESIZE), "00000004", "a name without end at 116" },
		{ FIELD(NAMESIZE), "00000007", "a name without end at 116" },
		{ FIELD(FILESIZE), "00000008", "truncated in the 8 bytes of the file at 116" },
		{ FIELD(FILESIZE), "ffffffff", "truncated in the 4294967295 bytes of the file" },
		{ FIELD(FILESIZE), "7fffffff", "truncated in the 2147483647 bytes of the file" },
		{ 0, "070707", "the old format" },
		{ 0, "070703", "no header at 116" },
		{ 0, "00", "no header at 116" },
		{ 0, "07", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF file = { 0 };

		put_file(&file, "", NULL);
		/* An entry of one byte of name has one of padding behind it. */
		assert_int_equal(file.len, 112);
		append_zeros(&file, 4);
		put_file(&file, "a.ko", "12!!");
		memcpy(file.data + file.len - 4, "!!!!", 4);
		memcpy(file.data + 116 + cases[i].at, cases[i].digits, strlen(cases[i].digits));
		if (*cases[i].says)
			expect_damage(&file, cases[i].says);
		else
			expect(&file, "a.ko=!!!!\n");
	}
}

static void digits_that_are_none(void **state)
{
	static const char wrong[] = "gG@`/:x -+\xff";

	(void)state;
	for (size_t at = FIELD(0); at < HEADER; at++) {
		KS_BUF file = { 0 };

		put_file(&file, "a.ko", "1");
		file.data[at] = (uint8_t)wrong[at % (sizeof(wrong) - 1)];
		expect_damage(&file, "cpio: a damaged header at 0");
	}
}

static void headers_out_of_place(void **state)
{
	(void)state;
	for (size_t zeros = 1; zeros < 4; zeros++) {
		KS_BUF file = { 0 };

		append_zeros(&file, zeros);
		put_header(&file, &(struct spec){ 0 }, 0, 5);
		append(&file, "a.ko\0\0\0\0", 8);
		expect_damage(&file, "not a multiple of 4");
	}
}

static void random_damage_stays_inside(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		KS_BUF file = { 0 };
		SEEN seen = { 0 };

		put_file(&file, "a.ko", "1");
		put_link(&file, 7, "b.ko", "");
		put_link(&file, 7, "c.ko", "content");
		put_trailer_entry(&file);
		put_packed(&file, &containers[round % CONTAINERS]);
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525 + 1013904223;
			file.data[(seed >> 8) % file.len] = (uint8_t)(seed >> 3);
		}
		if (!read_view(ks_buf_view(&file), MIB, &seen))
			assert_true(error.code == KS_ERR_INPUT || error.code == KS_ERR_UNSUPPORTED);
		assert_true(seen.text.len <= file.len + MIB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_and_nothing_else),
		cmocka_unit_test(names_lose_what_is_in_front),
		cmocka_unit_test(both_formats_and_no_trailer),
		cmocka_unit_test(a_name_ends_at_its_first_nul),
		cmocka_unit_test(digits_of_either_case),
		cmocka_unit_test(nothing_in_it),
		cmocka_unit_test(archives_with_zeros_between),
		cmocka_unit_test(a_packed_archive_behind_a_plain_one),
		cmocka_unit_test(zeros_behind_a_packed_archive),
		cmocka_unit_test(more_behind_a_packed_archive),
		cmocka_unit_test(packed_archives_of_one_kind),
		cmocka_unit_test(two_kinds_of_packing),
		cmocka_unit_test(packed_ones_that_are_cut),
		cmocka_unit_test(not_cpio_inside),
		cmocka_unit_test(what_is_not_read),
		cmocka_unit_test(no_more_is_unpacked_than_the_limit),
		cmocka_unit_test(each_name_has_the_content),
		cmocka_unit_test(a_name_that_is_no_module_has_the_content),
		cmocka_unit_test(links_without_content),
		cmocka_unit_test(other_files_are_not_mixed_in),
		cmocka_unit_test(links_in_packed_archives),
		cmocka_unit_test(the_caller_stops),
		cmocka_unit_test(cut_off_anywhere),
		cmocka_unit_test(headers_that_do_not_fit),
		cmocka_unit_test(digits_that_are_none),
		cmocka_unit_test(headers_out_of_place),
		cmocka_unit_test(random_damage_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
