/* SPDX-License-Identifier: MIT */
/*
 * Frames with another end.  Each result is decoded in both of libzstd's ways and compared with what
 * was meant; what was to stay is compared with the old file; headers are compared byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>
#include <zstd.h>

#include "core/codec.h"

enum { KIB = 1024, MIB = 1024 * KIB, BLOCK = 128 * KIB, MAGIC = 4, HEAD = 3 };
enum { RAW, RLE, COMPRESSED };

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static const char no_size[] = "no content size";
static const char unclear[] = "a form that is not understood";
static const char skippable_behind[] = "a skippable frame behind the data";

/* Far larger than the test programs' stacks should carry around in each frame. */
static struct ks_error error;

/* --- content and frames to try ------------------------------------------------------------- */

static void append(struct ks_buf *buf, const void *data, size_t len)
{
	assert_true(ks_buf_append(buf, data, len, &error));
}

/* LEN bytes once more that stand in BUF from FROM on. */
static void repeat(struct ks_buf *buf, size_t from, size_t len)
{
	assert_true(ks_buf_reserve(buf, buf->len + len, &error));
	append(buf, buf->data + from, len);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* LEN bytes that do not shrink, others for each SEED. */
static void fill_random(struct ks_buf *buf, size_t len, uint32_t seed)
{
	uint32_t state = 0x9e3779b9u + seed;

	assert_true(ks_buf_reserve(buf, buf->len + len, &error));
	for (size_t i = 0; i < len; i++)
		buf->data[buf->len++] = (uint8_t)(next_random(&state) >> 11);
}

/* LEN bytes that shrink about as well as a module does. */
static void fill_mixed(struct ks_buf *buf, size_t len)
{
	static const char words[] = "module\0kernel \0\0\0\0\0vermagic=\x48\x89\xe5\xc3";
	uint32_t state = 0x12345678u;
	size_t end = buf->len + len;

	assert_true(ks_buf_reserve(buf, end + 8, &error));
	while (buf->len < end) {
		uint32_t r = next_random(&state);

		if (r % 3)
			memcpy(buf->data + buf->len, words + r / 8 % 22, 8);
		else
			memcpy(buf->data + buf->len, &r, 4);
		buf->len += r % 3 ? 8 : 4;
	}
	buf->len = end;
}

struct how {
	int level;
	int window_log; /* 0: the level's */
	bool long_range;
	bool no_check;
	bool no_size;
};

static void set(ZSTD_CCtx *cctx, ZSTD_cParameter parameter, int value)
{
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(cctx, parameter, value)));
}

static void pack(struct ks_view plain, struct how how, struct ks_buf *file)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ZSTD_inBuffer in = { plain.data, plain.len, 0 };
	ZSTD_outBuffer out = { NULL, ZSTD_compressBound(plain.len) + KIB, 0 };

	assert_true(ks_buf_reserve(file, out.size, &error));
	out.dst = file->data;
	set(cctx, ZSTD_c_compressionLevel, how.level);
	set(cctx, ZSTD_c_checksumFlag, !how.no_check);
	set(cctx, ZSTD_c_contentSizeFlag, !how.no_size);
	if (how.window_log)
		set(cctx, ZSTD_c_windowLog, how.window_log);
	if (how.long_range)
		set(cctx, ZSTD_c_enableLongDistanceMatching, 1);
	/* A first step without any input makes it forget how much there will be. */
	if (how.no_size)
		assert_false(ZSTD_isError(ZSTD_compressStream2(
			cctx, &out, &(ZSTD_inBuffer){ NULL, 0, 0 }, ZSTD_e_continue)));
	assert_int_equal(ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_end), 0);
	file->len = out.pos;
	ZSTD_freeCCtx(cctx);
}

static void start_frame(struct ks_buf *frame, const void *header, size_t len)
{
	frame->len = 0;
	append(frame, "\x28\xb5\x2f\xfd", MAGIC);
	append(frame, header, len);
}

static void add_block(struct ks_buf *frame, unsigned int type, size_t size, const void *data,
		      bool last)
{
	size_t head = size << 3 | type << 1 | last;
	uint8_t bytes[HEAD] = { (uint8_t)head, (uint8_t)(head >> 8), (uint8_t)(head >> 16) };

	append(frame, bytes, HEAD);
	append(frame, data, type == RLE ? 1 : size);
}

/* --- reading a frame ----------------------------------------------------------------------- */

static size_t header_len(struct ks_view file)
{
	static const uint8_t sizes[] = { 0, 2, 4, 8 }, dictionaries[] = { 0, 1, 2, 4 };
	uint8_t flags = file.data[MAGIC];
	bool single = flags & 0x20;

	return MAGIC + (single ? 1u : 2u) + dictionaries[flags & 3] +
	       (single && flags < 0x40 ? 1u : sizes[flags >> 6]);
}

struct block {
	unsigned int type;
	size_t size, end;
	bool last;
};

static struct block block_at(struct ks_view file, size_t at)
{
	size_t head = (size_t)file.data[at] | (size_t)file.data[at + 1] << 8 |
		      (size_t)file.data[at + 2] << 16;
	struct block block = { .type = head >> 1 & 3, .size = head >> 3, .last = head & 1 };

	block.end = at + HEAD + (block.type == RLE ? 1 : block.size);
	return block;
}

/* The place of block number COUNT, or the one behind the last block. */
static size_t place_of(struct ks_view file, size_t count)
{
	size_t at = header_len(file);
	struct block block = { 0 };

	for (; count-- && !block.last; at = block.end)
		block = block_at(file, at);
	return at;
}

static size_t behind_blocks(struct ks_view file)
{
	return place_of(file, SIZE_MAX);
}

/* The blocks of OLD in front of the place END, and the first ones of NEW, but for Last_Block. */
static void expect_kept(struct ks_view old, size_t end, struct ks_view new)
{
	size_t from = header_len(old), to = header_len(new);
	struct block block;

	assert_true(end - from <= new.len - to);
	for (; from < end; to += block.end - from, from = block.end) {
		block = block_at(old, from);
		assert_int_equal(old.data[from] & ~1, new.data[to] & ~1);
		assert_memory_equal(old.data + from + 1, new.data + to + 1, block.end - from - 1);
	}
	assert_int_equal(from, end);
}

/* --- what is expected ---------------------------------------------------------------------- */

static void expect_decoded(struct ks_view file, struct ks_view content)
{
	KS_BULK got = { 0 };

	assert_true(ks_buf_reserve(&got, content.len + 1, &error));
	assert_int_equal(ZSTD_decompress(got.data, content.len, file.data, file.len), content.len);
	assert_memory_equal(got.data, content.data, content.len);
}

/* In pieces, and with a window of its own. */
static void expect_streamed(struct ks_view file, struct ks_view content)
{
	static uint8_t piece[10000];
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	ZSTD_inBuffer in = { file.data, 0, 0 };
	size_t at = 0, ret = 1;

	while (ret) {
		ZSTD_outBuffer out = { piece, sizeof(piece), 0 };

		in.size = in.size + 777 < file.len ? in.size + 777 : file.len;
		ret = ZSTD_decompressStream(dctx, &out, &in);
		assert_false(ZSTD_isError(ret));
		assert_true(out.pos || in.pos < file.len || !ret);
		assert_true(out.pos <= content.len - at);
		assert_memory_equal(piece, content.data + at, out.pos);
		at += out.pos;
	}
	assert_int_equal(in.pos, file.len);
	assert_int_equal(at, content.len);
	ZSTD_freeDCtx(dctx);
}

static void expect_block_sizes(struct ks_view file, size_t max)
{
	struct block block = { 0 };

	for (size_t at = header_len(file); !block.last; at = block.end) {
		block = block_at(file, at);
		assert_true(block.size <= max);
	}
}

/* One frame that says its size and holds CONTENT, with a checksum if CHECK. */
static void expect_frame(struct ks_view file, struct ks_view content, bool check)
{
	size_t end = behind_blocks(file) + (check ? 4 : 0);
	uint32_t sum = (uint32_t)XXH64(content.data, content.len, 0);

	assert_int_equal(end, file.len);
	assert_int_equal(!!(file.data[MAGIC] & 4), check);
	if (check)
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(file.data[end - 4 + i], sum >> 8 * i & 0xff);
	assert_int_equal(ZSTD_findFrameCompressedSize(file.data, file.len), file.len);
	assert_int_equal(ZSTD_getFrameContentSize(file.data, file.len), content.len);
	assert_null(ks_codec_zstd.objection(file));
	expect_block_sizes(file, BLOCK);
	expect_decoded(file, content);
	expect_streamed(file, content);
	if (!ks_codec_holds(&ks_codec_zstd, file, content, &error))
		fail_msg("%s", error.text);
}

/* Twice, once behind other bytes. */
static struct ks_written run(const struct ks_splice *splice, struct ks_buf *out)
{
	struct ks_written written = { 0 }, again = { 0 };
	KS_BULK same = { 0 };

	append(&same, "front", 5);
	assert_true(ks_splicer_zstd.splice(splice, out, &written, &error));
	assert_true(ks_splicer_zstd.splice(splice, &same, &again, &error));
	assert_int_equal(written.way, again.way);
	assert_ptr_equal(written.why, again.why);
	assert_int_equal(same.len, out->len + 5);
	assert_memory_equal(same.data, "front", 5);
	if (out->len)
		assert_memory_equal(same.data + 5, out->data, out->len);
	return written;
}

static void make(struct ks_view file, struct ks_view plain, size_t keep, struct ks_view tail,
		 const char *why, struct ks_buf *out)
{
	KS_BULK content = { 0 };
	struct ks_splice splice = { .file = file, .old_len = plain.len, .keep = keep };
	struct ks_written written;

	append(&content, plain.data, keep);
	append(&content, tail.data, tail.len);
	splice.content = ks_buf_view(&content);
	out->len = 0;
	written = run(&splice, out);
	assert_int_equal(written.way, why ? KS_WAY_MENDED : KS_WAY_SPLICED);
	if (why)
		assert_string_equal(written.why, why);
	else
		assert_null(written.why);
	expect_frame(ks_buf_view(out), splice.content, file.data[MAGIC] & 4);
}

static void expect_packed(struct ks_view file, size_t old_len, const char *why)
{
	static uint8_t plain[MIB];
	struct ks_splice splice = { .file = file,
				    .old_len = old_len,
				    .keep = old_len,
				    .content = { plain, old_len + 100 } };
	KS_BULK out = { 0 };
	struct ks_written written = run(&splice, &out);

	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_string_equal(written.why, why);
	assert_int_equal(out.len, 0);
	assert_false(ks_splicer_zstd.cuts_cleanly(&splice));
}

static bool cuts_cleanly(struct ks_view file, size_t old_len, size_t keep)
{
	return ks_splicer_zstd.cuts_cleanly(
		&(struct ks_splice){ .file = file, .old_len = old_len, .keep = keep });
}

/* --- signing, signing anew, taking off ----------------------------------------------------- */

/* Signed, signed anew, signed with another length, and as it was again. */
static void round_trip(struct ks_view file, struct ks_view plain, size_t tail_len, const char *why)
{
	KS_BULK tail = { 0 };
	KS_BULK both = { 0 };
	KS_BULK signed_once = { 0 };
	KS_BULK again = { 0 };
	KS_BULK direct = { 0 };

	fill_random(&tail, tail_len, 1);
	append(&both, plain.data, plain.len);
	append(&both, tail.data, tail.len);
	make(file, plain, plain.len, ks_buf_view(&tail), why, &signed_once);
	assert_true(signed_once.cap - signed_once.len <= 64 + tail.len / 300);
	assert_true(signed_once.len <= file.len + tail.len + 9 + 3 * (tail.len / KIB + 1));
	assert_true(cuts_cleanly(ks_buf_view(&signed_once), both.len, plain.len));

	tail.len = 0;
	fill_random(&tail, tail_len + 3, 2);
	make(file, plain, plain.len, ks_buf_view(&tail), why, &direct);
	make(ks_buf_view(&signed_once), ks_buf_view(&both), plain.len, ks_buf_view(&tail), NULL,
	     &again);
	expect_kept(file, place_of(file, 0), ks_buf_view(&again));
	if (header_len(ks_buf_view(&again)) == header_len(ks_buf_view(&direct)))
		assert_true(ks_view_equal(ks_buf_view(&again), ks_buf_view(&direct)));
	make(ks_buf_view(&signed_once), ks_buf_view(&both), plain.len, ks_view_of("", 0), NULL,
	     &again);
	if (!why && header_len(file) == header_len(ks_buf_view(&again)))
		assert_true(ks_view_equal(ks_buf_view(&again), file));
}

static void expect_append(struct ks_view file, struct ks_view plain, size_t tail_len)
{
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };

	fill_random(&tail, tail_len, 3);
	make(file, plain, plain.len, ks_buf_view(&tail), NULL, &out);
	expect_kept(file, plain.len ? behind_blocks(file) : header_len(file), ks_buf_view(&out));
}

static const size_t sizes[] = {
	0,     1,     2,     254,   255,       256,   257,	 1023,	    1024,	    65535,
	65536, 65790, 65791, 65792, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 777
};

static void test_append(void **state)
{
	static const size_t tails[] = { 0,   1,		2,     255,	  256,
					700, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		KS_BULK plain = { 0 };
		KS_BULK file = { 0 };

		fill_mixed(&plain, sizes[i]);
		pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_check = i % 2 }, &file);
		for (size_t k = 0; k < COUNT(tails); k++)
			expect_append(ks_buf_view(&file), ks_buf_view(&plain), tails[k]);
	}
}

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		KS_BULK plain = { 0 };
		KS_BULK file = { 0 };

		fill_mixed(&plain, sizes[i]);
		pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &file);
		round_trip(ks_buf_view(&file), ks_buf_view(&plain), 700, NULL);
		pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_check = true }, &file);
		round_trip(ks_buf_view(&file), ks_buf_view(&plain), BLOCK + 1, NULL);
	}
}

static void test_no_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		KS_BULK plain = { 0 };
		KS_BULK file = { 0 };

		fill_mixed(&plain, sizes[i]);
		pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_size = true }, &file);
		assert_true(ZSTD_getFrameContentSize(file.data, file.len) ==
			    ZSTD_CONTENTSIZE_UNKNOWN);
		round_trip(ks_buf_view(&file), ks_buf_view(&plain), 700, no_size);
	}
}

static void cut_everywhere(struct ks_view file, struct ks_view plain, const char *why);

static void test_levels(void **state)
{
	KS_BULK plain = { 0 };

	(void)state;
	fill_mixed(&plain, 2 * BLOCK + 50 * KIB);
	for (int level = 1; level <= 22; level++) {
		KS_BULK file = { 0 };

		pack(ks_buf_view(&plain), (struct how){ .level = level }, &file);
		round_trip(ks_buf_view(&file), ks_buf_view(&plain), 700, NULL);
		cut_everywhere(ks_buf_view(&file), ks_buf_view(&plain), NULL);
	}
}

static void test_long(void **state)
{
	struct how how = { .level = 3, .window_log = 27, .long_range = true, .no_size = true };
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };

	(void)state;
	fill_mixed(&plain, MIB);
	fill_random(&plain, MIB, 4);
	repeat(&plain, 12345, 777777);
	pack(ks_buf_view(&plain), how, &file);
	assert_int_equal(file.data[MAGIC + 1], (27 - 10) << 3);
	round_trip(ks_buf_view(&file), ks_buf_view(&plain), 700, no_size);
	cut_everywhere(ks_buf_view(&file), ks_buf_view(&plain), no_size);
	how.no_size = false;
	pack(ks_buf_view(&plain), how, &file);
	round_trip(ks_buf_view(&file), ks_buf_view(&plain), 700, NULL);
}

/* --- cutting what was compressed ----------------------------------------------------------- */

/* A cut in a block that is compressed: all blocks in front of it stay, and it is no larger. */
static void expect_cut(struct ks_view file, struct ks_view plain, size_t keep, size_t kept,
		       const char *why)
{
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };

	fill_random(&tail, 500, 5);
	make(file, plain, keep, ks_buf_view(&tail), why, &out);
	expect_kept(file, place_of(file, kept), ks_buf_view(&out));
	make(file, plain, keep, ks_view_of("", 0), why, &out);
	expect_kept(file, place_of(file, kept), ks_buf_view(&out));
}

static void cut_everywhere(struct ks_view file, struct ks_view plain, const char *why)
{
	static const size_t keeps[] = { 0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK };

	for (size_t i = 0; i < COUNT(keeps); i++)
		expect_cut(file, plain, keeps[i], 0, why);
	expect_cut(file, plain, plain.len - 1, 1, why);
	expect_cut(file, plain, plain.len - 700, 1, why);
}

/* At level 1 a block holds as much as it may. */
static void test_cut_blocks(void **state)
{
	const size_t edges[] = { 1, 2, 3 };
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };

	(void)state;
	fill_mixed(&plain, 4 * BLOCK + 1000);
	pack(ks_buf_view(&plain), (struct how){ .level = 1, .no_check = true }, &file);
	assert_int_equal(place_of(ks_buf_view(&file), 5), behind_blocks(ks_buf_view(&file)));
	for (size_t i = 0; i < COUNT(edges); i++) {
		size_t at = edges[i] * BLOCK;

		expect_cut(ks_buf_view(&file), ks_buf_view(&plain), at - 1, edges[i] - 1, NULL);
		expect_cut(ks_buf_view(&file), ks_buf_view(&plain), at, edges[i], NULL);
		expect_cut(ks_buf_view(&file), ks_buf_view(&plain), at + 1, edges[i], NULL);
	}
	assert_false(cuts_cleanly(ks_buf_view(&file), plain.len, plain.len - 1));
	assert_true(cuts_cleanly(ks_buf_view(&file), plain.len, plain.len));
	assert_true(cuts_cleanly(ks_buf_view(&file), plain.len, 0));
}

/* What is compressed anew is smaller than what it holds, also by what stands in front of it. */
static void test_cut_shrinks(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };
	size_t kept;

	(void)state;
	fill_mixed(&plain, BLOCK);
	fill_random(&plain, 20 * KIB, 6);
	repeat(&plain, BLOCK - 50 * KIB, 50 * KIB);
	repeat(&plain, BLOCK, 20 * KIB);
	pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &file);
	make(ks_buf_view(&file), ks_buf_view(&plain), plain.len - 1, ks_view_of("", 0), NULL, &out);
	kept = place_of(ks_buf_view(&file), 1);
	assert_int_equal(place_of(ks_buf_view(&out), 1), kept);
	assert_true(out.len - kept < 30 * KIB);
	/* A block of little after all of that: only history makes it small. */
	make(ks_buf_view(&file), ks_buf_view(&plain), BLOCK + 20 * KIB, ks_view_of("", 0), NULL,
	     &out);
	assert_true(out.len - kept >= 20 * KIB);
	make(ks_buf_view(&file), ks_buf_view(&plain), BLOCK + 70 * KIB, ks_view_of("", 0), NULL,
	     &out);
	assert_true(out.len - kept < 21 * KIB);
}

/* A frame of one raw block as large as RAW_LEN, behind it PLAIN's other blocks compressed. */
static void pack_behind_raw(struct ks_view plain, size_t raw_len, struct ks_buf *file)
{
	const struct ks_view rest = { plain.data + raw_len, plain.len - raw_len };
	KS_BULK packed = { 0 };
	size_t from;

	pack(rest, (struct how){ .level = 1, .no_check = true }, &packed);
	from = header_len(ks_buf_view(&packed));
	start_frame(file, "\xa0", 1);
	append(file, &(uint32_t){ (uint32_t)plain.len }, 4);
	add_block(file, RAW, raw_len, plain.data, false);
	append(file, packed.data + from, packed.len - from);
}

/* Cuts PLAIN's last byte off; what is then the block number COUNT, and the last but one. */
static struct block cut_one(struct ks_view file, struct ks_view plain, size_t count)
{
	KS_BULK out = { 0 };
	struct block block;

	make(file, plain, plain.len - 1, ks_view_of("tail", 4), NULL, &out);
	block = block_at(ks_buf_view(&out), place_of(ks_buf_view(&out), count));
	assert_int_equal(place_of(ks_buf_view(&out), count + 2), behind_blocks(ks_buf_view(&out)));
	return block;
}

/*
 * A frame's first block may begin with a match at offset 1 without saying so, because that is the
 * last offset at a frame's start; behind other blocks it is not.
 */
static void test_repeated_offsets(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	struct block block;

	(void)state;
	fill_mixed(&plain, BLOCK);
	append(&plain, (char[100]){ "xxxxxx" }, 100);
	fill_mixed(&plain, 50 * KIB);
	pack(ks_buf_view(&plain), (struct how){ .level = 1 }, &file);
	block = cut_one(ks_buf_view(&file), ks_buf_view(&plain), 1);
	assert_int_equal(block.type, RAW);
	assert_int_equal(block.size, plain.len - 1 - BLOCK);
	/* Behind nothing but raw blocks the state is a frame's first one. */
	pack_behind_raw(ks_buf_view(&plain), BLOCK, &file);
	assert_int_equal(cut_one(ks_buf_view(&file), ks_buf_view(&plain), 1).type, COMPRESSED);
}

/* Blocks of other lengths than a decoder's pieces. */
static void test_uneven_blocks(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };

	(void)state;
	fill_mixed(&plain, 100 * KIB + BLOCK + 90 * KIB);
	pack_behind_raw(ks_buf_view(&plain), 100 * KIB, &file);
	assert_int_equal(cut_one(ks_buf_view(&file), ks_buf_view(&plain), 2).type, COMPRESSED);
}

/* --- small windows ------------------------------------------------------------------------- */

static void test_small_window(void **state)
{
	static const size_t lens[] = { 1023, 1024, 1025, 5000, 20000 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		struct how how = { .level = 3, .window_log = 10 };
		KS_BULK plain = { 0 };
		KS_BULK file = { 0 };
		KS_BULK tail = { 0 };
		KS_BULK out = { 0 };

		fill_mixed(&plain, lens[i]);
		how.no_size = lens[i] <= KIB;
		pack(ks_buf_view(&plain), how, &file);
		assert_int_equal(file.data[MAGIC + 1], 0);
		fill_random(&tail, 3 * KIB + 1, 7);
		for (size_t len = 3 * KIB - 1; len <= 3 * KIB + 1; len++) {
			make(ks_buf_view(&file), ks_buf_view(&plain), plain.len,
			     ks_view_of(tail.data, len), how.no_size ? no_size : NULL, &out);
			expect_block_sizes(ks_buf_view(&out), KIB);
		}
		for (size_t keep = plain.len - 40; keep < plain.len; keep += 13) {
			make(ks_buf_view(&file), ks_buf_view(&plain), keep, ks_buf_view(&tail),
			     how.no_size ? no_size : NULL, &out);
			expect_block_sizes(ks_buf_view(&out), KIB);
		}
	}
}

/*
 * What is compressed anew refers to nothing in front of the window, even if it is there again.
 * libzstd would decode that, but its size tells.
 */
static void test_window_of_history(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };
	struct block block;

	(void)state;
	fill_random(&plain, 9 * KIB, 11);
	repeat(&plain, 5 * KIB, 500);
	fill_mixed(&plain, 524);
	pack(ks_buf_view(&plain), (struct how){ .level = 3, .window_log = 10 }, &file);
	make(ks_buf_view(&file), ks_buf_view(&plain), plain.len - 1, ks_view_of("", 0), NULL, &out);
	block = block_at(ks_buf_view(&out), place_of(ks_buf_view(&out), 9));
	assert_int_equal(block.type, COMPRESSED);
	assert_true(block.size > 500);
}

/* 1 KiB and seven eighths: no power of two. */
static void test_odd_window(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };
	size_t at;

	(void)state;
	fill_random(&plain, 1920, 8);
	fill_random(&tail, 4000, 9);
	start_frame(&file, "\0\7", 2);
	add_block(&file, RAW, 1920, plain.data, true);
	make(ks_buf_view(&file), ks_buf_view(&plain), 1919, ks_buf_view(&tail), no_size, &out);
	at = header_len(ks_buf_view(&out));
	assert_memory_equal(out.data + MAGIC, "\x40\7\x1f\x16", 4);
	assert_int_equal(block_at(ks_buf_view(&out), at).size, 1919);
	at = block_at(ks_buf_view(&out), at).end;
	assert_int_equal(block_at(ks_buf_view(&out), at).size, 1920);
}

/* --- raw, RLE and empty blocks ------------------------------------------------------------- */

/* What the blocks of FILE are, as "raw 5, rle 7". */
static void expect_blocks(struct ks_view file, const char *expected)
{
	static const char *const names[] = { "raw", "rle", "compressed", "reserved" };
	struct block block = { 0 };
	char text[200] = "";
	size_t len = 0;

	for (size_t at = header_len(file); !block.last; at = block.end) {
		block = block_at(file, at);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %zu", len ? ", " : "",
					names[block.type], block.size);
	}
	assert_string_equal(text, expected);
}

static void expect_plan(struct ks_view file, struct ks_view plain, size_t keep, size_t tail,
			const char *expected)
{
	KS_BULK out = { 0 };

	make(file, plain, keep, ks_view_of("0123456789", tail), NULL, &out);
	expect_blocks(ks_buf_view(&out), expected);
	assert_true(cuts_cleanly(file, plain.len, keep));
}

static void test_raw_and_rle(void **state)
{
	const struct ks_view plain = ks_view_of("abcdexxxxxxxfgh", 15);
	KS_BULK frame = { 0 };
	struct ks_view file;

	(void)state;
	start_frame(&frame, "\x24\x0f", 2);
	add_block(&frame, RAW, 5, "abcde", false);
	add_block(&frame, RLE, 7, "x", false);
	add_block(&frame, RAW, 3, "fgh", true);
	append(&frame, &(uint32_t){ (uint32_t)XXH64(plain.data, 15, 0) }, 4);
	file = ks_buf_view(&frame);
	expect_decoded(file, plain);
	expect_plan(file, plain, 15, 0, "raw 5, rle 7, raw 3");
	expect_plan(file, plain, 15, 2, "raw 5, rle 7, raw 3, raw 2");
	expect_plan(file, plain, 14, 0, "raw 5, rle 7, raw 2");
	expect_plan(file, plain, 14, 4, "raw 5, rle 7, raw 2, raw 4");
	expect_plan(file, plain, 12, 0, "raw 5, rle 7");
	expect_plan(file, plain, 12, 1, "raw 5, rle 7, raw 1");
	expect_plan(file, plain, 11, 0, "raw 5, rle 6");
	expect_plan(file, plain, 6, 3, "raw 5, rle 1, raw 3");
	expect_plan(file, plain, 5, 3, "raw 5, raw 3");
	expect_plan(file, plain, 4, 0, "raw 4");
	expect_plan(file, plain, 1, 10, "raw 1, raw 10");
	expect_plan(file, plain, 0, 3, "raw 3");
	expect_plan(file, plain, 0, 0, "raw 0");
	/* It would shrink; nobody asked for that. */
	start_frame(&frame, "\x60\0\1", 3);
	add_block(&frame, RAW, 512, (uint8_t[512]){ 0 }, true);
	expect_plan(ks_buf_view(&frame), ks_view_of((uint8_t[512]){ 0 }, 512), 300, 0, "raw 300");
}

/* Raw and RLE blocks in front of a compressed one: no header says where they are to be cut. */
static void test_raw_in_front(void **state)
{
	static const char *const plans[] = { "raw 0",	     "raw 1",	     "raw 2",
					     "raw 2, rle 1", "raw 2, rle 2", "raw 2, rle 3" };
	KS_BULK packed = { 0 };
	KS_BULK plain = { 0 };
	KS_BULK frame = { 0 };
	KS_BULK out = { 0 };
	size_t from;

	(void)state;
	append(&plain, "abxxx", 5);
	fill_mixed(&plain, 400);
	pack(ks_view_of(plain.data + 5, 400), (struct how){ .level = 3, .no_check = true },
	     &packed);
	from = header_len(ks_buf_view(&packed));
	start_frame(&frame, "\x60\x95\0", 3);
	add_block(&frame, RAW, 2, "ab", false);
	add_block(&frame, RLE, 3, "x", false);
	append(&frame, packed.data + from, packed.len - from);
	expect_decoded(ks_buf_view(&frame), ks_buf_view(&plain));
	for (size_t keep = 0; keep < COUNT(plans); keep++) {
		make(ks_buf_view(&frame), ks_buf_view(&plain), keep, ks_view_of("", 0), NULL, &out);
		expect_blocks(ks_buf_view(&out), plans[keep]);
	}
	assert_false(cuts_cleanly(ks_buf_view(&frame), plain.len, 5));
}

static void test_empty_blocks(void **state)
{
	const struct ks_view plain = ks_view_of("abcde", 5);
	KS_BULK frame = { 0 };

	(void)state;
	start_frame(&frame, "\x20\5", 2);
	add_block(&frame, RAW, 0, "", false);
	add_block(&frame, RAW, 5, "abcde", false);
	add_block(&frame, RAW, 0, "", false);
	add_block(&frame, RAW, 0, "", true);
	expect_plan(ks_buf_view(&frame), plain, 5, 0, "raw 0, raw 5");
	expect_plan(ks_buf_view(&frame), plain, 5, 3, "raw 0, raw 5, raw 3");
	expect_plan(ks_buf_view(&frame), plain, 4, 3, "raw 0, raw 4, raw 3");
	start_frame(&frame, "\x20\0", 2);
	add_block(&frame, RAW, 0, "", true);
	expect_plan(ks_buf_view(&frame), ks_view_of("", 0), 0, 0, "raw 0");
	expect_plan(ks_buf_view(&frame), ks_view_of("", 0), 0, 9, "raw 9");
}

/* What a pipe makes of a whole number of blocks. */
static void test_empty_last_block(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };
	size_t last;

	(void)state;
	fill_mixed(&plain, BLOCK);
	pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_check = true }, &file);
	last = header_len(ks_buf_view(&file));
	file.data[last] &= 0xfe;
	add_block(&file, RAW, 0, "", true);
	make(ks_buf_view(&file), ks_buf_view(&plain), BLOCK, ks_view_of("tail", 4), NULL, &out);
	assert_int_equal(place_of(ks_buf_view(&out), 2), behind_blocks(ks_buf_view(&out)));
	assert_int_equal(out.len, file.len + 4);
	make(ks_buf_view(&file), ks_buf_view(&plain), BLOCK, ks_view_of("", 0), NULL, &out);
	assert_int_equal(out.len, file.len - 3);
}

/* --- headers ------------------------------------------------------------------------------- */

struct header_case {
	const char *old;
	size_t old_header, old_len;
	size_t keep, tail;
	const char *new;
	size_t new_header;
};

/* A frame of RLE blocks of zeros; none of its content is looked at, and none of it is there. */
static void zeros_frame(struct ks_buf *file, const void *header, size_t len, size_t content)
{
	start_frame(file, header, len);
	do {
		size_t size = content < BLOCK ? content : BLOCK;

		content -= size;
		add_block(file, size ? RLE : RAW, size, "", !content);
	} while (content);
}

/* As long as nobody writes there it costs nothing. */
static struct ks_view map_zeros(size_t len)
{
	void *zeros =
		mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(zeros != MAP_FAILED);
	return ks_view_of(zeros, len);
}

static void expect_header(const struct header_case *one)
{
	struct ks_view zeros = map_zeros(one->keep + one->tail + 1);
	struct ks_splice splice = { .old_len = one->old_len,
				    .keep = one->keep,
				    .content = { zeros.data, one->keep + one->tail } };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };
	struct ks_written written;

	zeros_frame(&file, one->old, one->old_header, one->old_len);
	splice.file = ks_buf_view(&file);
	written = run(&splice, &out);
	assert_true(written.way == KS_WAY_SPLICED || written.way == KS_WAY_MENDED);
	assert_int_equal(header_len(ks_buf_view(&out)), MAGIC + one->new_header);
	assert_memory_equal(out.data + MAGIC, one->new, one->new_header);
	assert_int_equal(ZSTD_getFrameContentSize(out.data, out.len), splice.content.len);
	assert_int_equal(ZSTD_findFrameCompressedSize(out.data, out.len), out.len);
	if (splice.content.len <= 200 * MIB)
		assert_true(
			ks_codec_holds(&ks_codec_zstd, ks_buf_view(&out), splice.content, &error));
	munmap((void *)zeros.data, zeros.len);
}

static void test_headers(void **state)
{
	static const struct header_case cases[] = {
		/* Single segments: one byte as far as 255, two from 256 to 65,791, four, eight. */
		{ "\x20\xfe", 2, 254, 254, 1, "\x20\xff", 2 },
		{ "\x20\xff", 2, 255, 255, 1, "\x60\0\0", 3 },
		{ "\x20\xff", 2, 255, 255, 65536, "\x60\xff\xff", 3 },
		{ "\x20\xff", 2, 255, 255, 65537, "\xa0\0\1\1\0", 5 },
		{ "\x20\xff", 2, 255, 0, 0, "\x20\0", 2 },
		{ "\x60\0\0", 3, 256, 256, 0, "\x60\0\0", 3 },
		{ "\x60\0\0", 3, 256, 255, 0, "\xa0\xff\0\0\0", 5 },
		{ "\x60\0\0", 3, 256, 0, 0, "\xa0\0\0\0\0", 5 },
		{ "\x60\xff\xff", 3, 65791, 65791, 0, "\x60\xff\xff", 3 },
		{ "\x60\xff\xff", 3, 65791, 65791, 1, "\xa0\0\1\1\0", 5 },
		{ "\xa0\0\1\1\0", 5, 65792, 65791, 0, "\xa0\xff\0\1\0", 5 },
		{ "\xe0\5\0\0\0\0\0\0\0", 9, 5, 5, 3, "\xe0\x08\0\0\0\0\0\0\0", 9 },
		/* With a window, a size has at least two bytes. */
		{ "\0\x38", 2, 100, 100, 50, "\x80\x38\x96\0\0\0", 6 },
		{ "\0\x38", 2, 100, 100, 200, "\x40\x38\x2c\0", 4 },
		{ "\0\x38", 2, 100, 0, 0, "\x80\x38\0\0\0\0", 6 },
		{ "\x40\x38\0\0", 4, 256, 256, 1, "\x40\x38\1\0", 4 },
		{ "\x40\x38\0\0", 4, 256, 255, 0, "\x80\x38\xff\0\0\0", 6 },
		{ "\x40\x38\xff\xff", 4, 65791, 65791, 1, "\x80\x38\0\1\1\0", 6 },
		{ "\x80\x38\5\0\0\0", 6, 5, 5, 1, "\x80\x38\6\0\0\0", 6 },
		{ "\xc0\x38\5\0\0\0\0\0\0\0", 10, 5, 5, 1, "\xc0\x38\6\0\0\0\0\0\0\0", 10 },
		/* Dictionary ids of zero, and the bit that means nothing. */
		{ "\x21\0\5", 3, 5, 5, 1, "\x21\0\6", 3 },
		{ "\x22\0\0\5", 4, 5, 5, 251, "\x62\0\0\0\0", 5 },
		{ "\3\x38\0\0\0\0", 6, 5, 5, 251, "\x43\x38\0\0\0\0\0\0", 8 },
		{ "\x30\5", 2, 5, 5, 1, "\x30\6", 2 },
		/* 128 MiB: the largest window; behind it a single segment cannot grow. */
		{ "\xa0\xff\xff\xff\7", 5, 128 * MIB - 1, 128 * MIB - 1, 1, "\xa0\0\0\0\x08", 5 },
		{ "\xa0\0\0\0\x08", 5, 128 * MIB, 128 * MIB, 1, "\x80\x88\1\0\0\x08", 6 },
		{ "\x80\x38\0\0\0\x08", 6, 128 * MIB, 128 * MIB, 1, "\x80\x38\1\0\0\x08", 6 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_header(&cases[i]);
}

/* Content of 4 GiB that nobody reads: only the headers' bytes are looked at. */
static void test_header_4_gib(void **state)
{
	static const struct header_case cases[] = {
		{ "\x80\x38\xfe\xff\xff\xff", 6, UINT32_MAX - 1, UINT32_MAX - 1, 1,
		  "\x80\x38\xff\xff\xff\xff", 6 },
		{ "\x80\x38\xff\xff\xff\xff", 6, UINT32_MAX, UINT32_MAX, 1,
		  "\xc0\x38\0\0\0\0\1\0\0\0", 10 },
		{ "\xc0\x38\0\0\0\0\1\0\0\0", 10, (size_t)UINT32_MAX + 1, UINT32_MAX, 0,
		  "\xc0\x38\xff\xff\xff\xff\0\0\0\0", 10 },
		{ "\0\x38", 2, UINT32_MAX, UINT32_MAX, 700, "\xc0\x38\xbb\2\0\0\1\0\0\0", 10 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_header(&cases[i]);
}

/*
 * A block of literals only is larger than what it holds.  In a single segment, whose window is its
 * content, that leaves it too large when what stands behind it goes.
 */
static void test_large_block(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK block = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	fill_random(&plain, 2000, 10);
	/* Raw literals, their number in 12 bits; no sequences. */
	append(&block, &(uint16_t){ (uint16_t)(2000 << 4 | 1 << 2) }, 2);
	append(&block, plain.data, 2000);
	append(&block, "", 1);
	append(&plain, "xxxxxxxxxx", 10);
	start_frame(&file, "\x60\xda\6", 3);
	add_block(&file, COMPRESSED, block.len, block.data, false);
	add_block(&file, RLE, 10, "x", true);
	expect_decoded(ks_buf_view(&file), ks_buf_view(&plain));
	make(ks_buf_view(&file), ks_buf_view(&plain), 2003, ks_view_of("", 0), NULL, &out);
	assert_memory_equal(out.data + MAGIC, "\x60\xd3\6", 3);
	make(ks_buf_view(&file), ks_buf_view(&plain), 2002, ks_view_of("", 0), NULL, &out);
	assert_memory_equal(out.data + MAGIC, "\x40\x08\xd2\6", 4);
	make(ks_buf_view(&file), ks_buf_view(&plain), 2000, ks_view_of("1", 1), NULL, &out);
	assert_memory_equal(out.data + MAGIC, "\x40\x08\xd1\6", 4);
	make(ks_buf_view(&file), ks_buf_view(&plain), 2000, ks_view_of("123", 3), NULL, &out);
	assert_memory_equal(out.data + MAGIC, "\x60\xd3\6", 3);
	/* It is cut itself: the header has no need to care. */
	make(ks_buf_view(&file), ks_buf_view(&plain), 1999, ks_view_of("", 0), NULL, &out);
	assert_memory_equal(out.data + MAGIC, "\x60\xcf\6", 3);
}

/* --- what is around a frame ---------------------------------------------------------------- */

static const char skippable[] = "\x5f\x2a\x4d\x18\4\0\0\0skip";
static const size_t skippable_len = sizeof(skippable) - 1;

static void test_skippable_behind(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK with = { 0 };
	KS_BULK out = { 0 };
	KS_BULK same = { 0 };

	(void)state;
	fill_mixed(&plain, 1000);
	pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &file);
	append(&with, file.data, file.len);
	append(&with, skippable, skippable_len);
	make(ks_buf_view(&with), ks_buf_view(&plain), 1000, ks_view_of("tail", 4), skippable_behind,
	     &out);
	make(ks_buf_view(&file), ks_buf_view(&plain), 1000, ks_view_of("tail", 4), NULL, &same);
	assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&same)));
	append(&with, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	make(ks_buf_view(&with), ks_buf_view(&plain), 1000, ks_view_of("", 0), skippable_behind,
	     &out);
	assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&file)));
	pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_size = true }, &with);
	append(&with, skippable, skippable_len);
	make(ks_buf_view(&with), ks_buf_view(&plain), 1000, ks_view_of("tail", 4), no_size, &out);
}

static void test_packed(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK frame = { 0 };
	KS_BULK file = { 0 };

	(void)state;
	fill_mixed(&plain, 1000);
	pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &frame);
	append(&file, skippable, skippable_len);
	append(&file, frame.data, frame.len);
	expect_packed(ks_buf_view(&file), 1000, "a skippable frame in front");
	file.len = 0;
	append(&file, frame.data, frame.len);
	append(&file, frame.data, frame.len);
	expect_packed(ks_buf_view(&file), 2000, "a second frame");
	file.len = frame.len;
	append(&file, skippable, skippable_len);
	append(&file, frame.data, frame.len);
	expect_packed(ks_buf_view(&file), 2000, "a second frame");
	file.len = frame.len;
	append(&file, "x", 1);
	expect_packed(ks_buf_view(&file), 1000, unclear);
	file.len = frame.len;
	append(&file, skippable, skippable_len - 1);
	expect_packed(ks_buf_view(&file), 1000, unclear);
	expect_packed(ks_buf_view(&frame), 999, unclear);
	expect_packed(ks_view_of(NULL, 0), 0, unclear);
	start_frame(&file, "\x20\5", 2);
	add_block(&file, 3, 5, "abcde", true);
	expect_packed(ks_buf_view(&file), 5, unclear);
}

/* The end of a page behind which nothing may be read. */
static uint8_t *map_edge(size_t page)
{
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	return pages + page;
}

/* FILE cut everywhere but at WHOLE bytes. */
static void cut_short(struct ks_view file, size_t whole)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *edge = map_edge(page);

	for (size_t len = 0; len < file.len; len++) {
		if (len == whole)
			continue;
		memcpy(edge - len, file.data, len);
		expect_packed(ks_view_of(edge - len, len), 1000, unclear);
		expect_packed(ks_view_of(file.data, len), 1000, unclear);
	}
	assert_int_equal(munmap(edge - page, 2 * page), 0);
}

static void test_truncated(void **state)
{
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	size_t whole;

	(void)state;
	fill_mixed(&plain, 1000);
	for (int check = 0; check < 2; check++) {
		pack(ks_buf_view(&plain), (struct how){ .level = 3, .no_check = !check }, &file);
		whole = file.len;
		append(&file, skippable, skippable_len);
		cut_short(ks_buf_view(&file), whole);
	}
}

/* Headers and blocks that unpack refuses too, at least in one of libzstd's ways. */
static void test_strange(void **state)
{
	static const uint8_t some[2 * KIB];
	KS_BULK frame = { 0 };

	(void)state;
	start_frame(&frame, "\0\x89", 2);
	add_block(&frame, RAW, 5, some, true);
	expect_packed(ks_buf_view(&frame), 5, unclear);
	start_frame(&frame, "\2\0\0\7", 4);
	add_block(&frame, RAW, 5, some, true);
	expect_packed(ks_buf_view(&frame), 5, unclear);
	start_frame(&frame, "\0\0", 2);
	add_block(&frame, RAW, KIB + 1, some, true);
	expect_packed(ks_buf_view(&frame), KIB + 1, unclear);
	start_frame(&frame, "\0\0", 2);
	add_block(&frame, RLE, KIB + 1, some, true);
	expect_packed(ks_buf_view(&frame), KIB + 1, unclear);
	start_frame(&frame, "\0\0", 2);
	add_block(&frame, RAW, 5, some, true);
	expect_packed(ks_buf_view(&frame), 4, unclear);
	for (size_t len = 0; len < 2; len++) {
		start_frame(&frame, "\0\0", 2);
		add_block(&frame, COMPRESSED, len, some, false);
		add_block(&frame, RAW, 5, some, true);
		expect_packed(ks_buf_view(&frame), 5, unclear);
	}
}

/* A block that does not decode, as unpack never lets one through. */
static void test_damaged(void **state)
{
	struct ks_splice splice = { .old_len = 300 * KIB, .keep = 200 * KIB };
	struct ks_written written;
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };
	size_t first;

	(void)state;
	fill_mixed(&plain, 300 * KIB);
	pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &file);
	first = header_len(ks_buf_view(&file));
	memset(file.data + first + HEAD, 0xff, 20);
	splice.file = ks_buf_view(&file);
	splice.content = ks_view_of(plain.data, 200 * KIB);
	written = run(&splice, &out);
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_string_equal(written.why, unclear);
	assert_int_equal(out.len, 0);
}

/* --- through the codec --------------------------------------------------------------------- */

static void test_write(void **state)
{
	struct ks_splice splice = { .old_len = 1000, .keep = 900 };
	struct ks_written written;
	KS_BULK plain = { 0 };
	KS_BULK file = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	fill_mixed(&plain, 1000);
	pack(ks_buf_view(&plain), (struct how){ .level = 3 }, &file);
	memset(plain.data + 900, 'y', 100);
	splice.file = ks_buf_view(&file);
	splice.content = ks_buf_view(&plain);
	assert_true(ks_codec_write(&ks_codec_zstd, &splice, false, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_SPLICED);
	expect_frame(ks_buf_view(&out), splice.content, true);
	out.len = 0;
	assert_true(ks_codec_write(&ks_codec_zstd, &splice, true, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_null(written.why);
	expect_frame(ks_buf_view(&out), splice.content, true);
	repeat(&file, 0, file.len);
	splice.file = ks_buf_view(&file);
	splice.old_len = 2000;
	out.len = 0;
	assert_true(ks_codec_write(&ks_codec_zstd, &splice, false, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_string_equal(written.why, "a second frame");
	expect_frame(ks_buf_view(&out), splice.content, true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_append),
	cmocka_unit_test(test_round_trips),
	cmocka_unit_test(test_no_size),
	cmocka_unit_test(test_levels),
	cmocka_unit_test(test_long),
	cmocka_unit_test(test_cut_blocks),
	cmocka_unit_test(test_cut_shrinks),
	cmocka_unit_test(test_repeated_offsets),
	cmocka_unit_test(test_uneven_blocks),
	cmocka_unit_test(test_small_window),
	cmocka_unit_test(test_window_of_history),
	cmocka_unit_test(test_odd_window),
	cmocka_unit_test(test_raw_and_rle),
	cmocka_unit_test(test_raw_in_front),
	cmocka_unit_test(test_empty_blocks),
	cmocka_unit_test(test_empty_last_block),
	cmocka_unit_test(test_headers),
	cmocka_unit_test(test_header_4_gib),
	cmocka_unit_test(test_large_block),
	cmocka_unit_test(test_skippable_behind),
	cmocka_unit_test(test_packed),
	cmocka_unit_test(test_truncated),
	cmocka_unit_test(test_strange),
	cmocka_unit_test(test_damaged),
	cmocka_unit_test(test_write),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
