/* SPDX-License-Identifier: MIT */
#include "core/splice.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC "\x28\xb5\x2f\xfd"

enum {
	LEVEL = 3,
	MAGIC_LEN = 4,
	WINDOW_LOG_MIN = 10,
	WINDOW_LOG_MAX = 27,
	SINGLE_SEGMENT = 0x20,
	HAS_CHECKSUM = 4,
	CHECKSUM_LEN = 4,
	HEADER_MAX = 18,
	BLOCK_HEADER = 3,
	COMPRESSED_MIN = 2,
	SKIPPABLE_HEADER = 8,
	BLOCK_MAX = 1 << 17,
	LAST_BLOCK = 1,
	/*
	 * What a block compressed anew may refer to in front of it.  More gains nothing.  With none,
	 * one in five of these blocks is not to be had, as a match at their start is so much more
	 * often one at an offset that is not said; with this, one in thirty.
	 */
	HISTORY = 1 << 17,
};

#define WINDOW_MAX (UINT64_C(1) << WINDOW_LOG_MAX)

enum block_type { RAW, RLE, COMPRESSED };

struct block {
	enum block_type type;
	bool last;
	size_t size; /* Block_Size: bytes of content, but of COMPRESSED bytes of the file */
	size_t end;  /* the place behind it */
};

/* The one frame of a file.  A place is a number of bytes from the file's start. */
struct frame {
	struct ks_view file;
	uint8_t flags;	   /* Frame_Header_Descriptor */
	size_t dictionary; /* bytes of Dictionary_ID, all of them zero */
	size_t size_width; /* bytes of Frame_Content_Size */
	uint64_t size;	   /* its value */
	uint64_t window;
	size_t header_len;
	size_t packed;	/* place of the last COMPRESSED block, or 0 */
	size_t largest; /* Block_Size of the largest of them, or 0 */
	size_t run;	/* place of the RAW and RLE blocks behind it */
	size_t run_len; /* bytes of content in them */
	bool skippable; /* such a frame stands behind the data */
};

/* Whole blocks; LAST is where in BYTES the last one of them starts. */
struct blocks {
	struct ks_view bytes;
	size_t last;
};

/* Where the old blocks end. */
struct cut {
	size_t end;	      /* place behind the blocks that stay */
	size_t last;	      /* place of the last one of them, or 0 */
	size_t at;	      /* bytes of content in them */
	size_t largest;	      /* Block_Size of the largest COMPRESSED one, or 0 */
	struct ks_view rest;  /* what stays of the content of the next block, which does not */
	enum block_type type; /* that block's */
	struct blocks anew;   /* what holds REST, if it is COMPRESSED and that is to be had */
};

struct decoder {
	ZSTD_DCtx *dctx;
	struct ks_buf scratch;
};

struct writer {
	struct ks_buf *out;
	size_t last; /* where in OUT the last block starts, or 0 */
	size_t block_max;
};

static const char not_understood[] = "a form that is not understood";

static void free_decoder(struct decoder *decoder)
{
	ZSTD_freeDCtx(decoder->dctx);
	ks_buf_drop(&decoder->scratch);
}

static void free_cctx(ZSTD_CCtx **cctx)
{
	ZSTD_freeCCtx(*cctx);
}

#define DECODER __attribute__((cleanup(free_decoder))) struct decoder
#define CCTX __attribute__((cleanup(free_cctx))) ZSTD_CCtx

static uint64_t get_le(const uint8_t *from, size_t width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | from[width];
	return value;
}

static void put_le(uint8_t *to, size_t width, uint64_t value)
{
	for (size_t i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static size_t smaller(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

/* The bytes of VIEW from FROM as far as TO; a view of nothing may point nowhere. */
static struct ks_view part_of(struct ks_view view, size_t from, size_t to)
{
	return from == to ? ks_view_of(NULL, 0) : ks_view_of(view.data + from, to - from);
}

/* --- what is there ------------------------------------------------------------------------- */

/* Each of these returns why nothing can be spliced, or NULL. */

static uint64_t read_window(uint8_t byte)
{
	uint64_t base = UINT64_C(1) << (WINDOW_LOG_MIN + (byte >> 3));

	return base + base / 8 * (byte & 7);
}

static const char *read_header(struct frame *frame)
{
	static const uint8_t dictionaries[] = { 0, 1, 2, 4 };
	const uint8_t *data = frame->file.data;
	bool single;

	if (frame->file.len <= MAGIC_LEN)
		return not_understood;
	frame->flags = data[MAGIC_LEN];
	single = frame->flags & SINGLE_SEGMENT;
	frame->dictionary = dictionaries[frame->flags & 3];
	frame->size_width = frame->flags >> 6 ? (size_t)1 << (frame->flags >> 6) : single;
	frame->header_len = MAGIC_LEN + (single ? 1u : 2u) + frame->dictionary + frame->size_width;
	if (frame->file.len < frame->header_len)
		return not_understood;
	data += frame->header_len - frame->size_width;
	if (get_le(data - frame->dictionary, frame->dictionary))
		return not_understood;
	frame->size = get_le(data, frame->size_width) + (frame->size_width == 2 ? 256 : 0);
	frame->window = single ? frame->size : read_window(frame->file.data[MAGIC_LEN + 1]);
	return frame->window > WINDOW_MAX ? not_understood : NULL;
}

static size_t block_max(const struct frame *frame)
{
	return smaller(BLOCK_MAX, frame->window);
}

/* The block at the place AT, which is in the file or at its end. */
static bool read_block(const struct frame *frame, size_t at, struct block *block)
{
	size_t room = frame->file.len - at;
	uint32_t head;
	size_t stored;

	if (room < BLOCK_HEADER)
		return false;
	head = (uint32_t)get_le(frame->file.data + at, BLOCK_HEADER);
	block->last = head & LAST_BLOCK;
	block->type = head >> 1 & 3;
	block->size = head >> 3;
	stored = block->type == RLE ? 1 : block->size;
	block->end = at + BLOCK_HEADER + stored;
	/* Nothing compressed is shorter, but libzstd takes a block of no byte, if not always. */
	if (block->type == COMPRESSED && block->size < COMPRESSED_MIN)
		return false;
	return block->type <= COMPRESSED && block->size <= block_max(frame) &&
	       stored <= room - BLOCK_HEADER;
}

static const char *read_blocks(struct frame *frame, size_t *end)
{
	struct block block;

	frame->run = *end = frame->header_len;
	do {
		if (!read_block(frame, *end, &block))
			return not_understood;
		if (block.type == COMPRESSED) {
			frame->packed = *end;
			frame->run = block.end;
			frame->run_len = 0;
			if (frame->largest < block.size)
				frame->largest = block.size;
		} else {
			frame->run_len += block.size;
		}
		*end = block.end;
	} while (!block.last);
	return NULL;
}

static bool is_skippable(struct ks_view rest)
{
	return rest.len >= MAGIC_LEN && (get_le(rest.data, MAGIC_LEN) &
					 ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static const char *read_behind(struct frame *frame, struct ks_view rest)
{
	while (is_skippable(rest)) {
		uint64_t len;

		if (rest.len < SKIPPABLE_HEADER)
			return not_understood;
		len = SKIPPABLE_HEADER + get_le(rest.data + MAGIC_LEN, 4);
		if (len > rest.len)
			return not_understood;
		rest = part_of(rest, (size_t)len, rest.len);
		frame->skippable = true;
	}
	if (ks_view_starts_with(rest, MAGIC, MAGIC_LEN))
		return "a second frame";
	return rest.len ? not_understood : NULL;
}

static const char *read_frame(struct ks_view file, struct frame *frame)
{
	const char *why;
	size_t end;

	*frame = (struct frame){ .file = file };
	if (is_skippable(file))
		return "a skippable frame in front";
	if (!ks_view_starts_with(file, MAGIC, MAGIC_LEN))
		return not_understood;
	why = read_header(frame);
	if (!why)
		why = read_blocks(frame, &end);
	if (why)
		return why;
	if (frame->flags & HAS_CHECKSUM) {
		if (file.len - end < CHECKSUM_LEN)
			return not_understood;
		end += CHECKSUM_LEN;
	}
	return read_behind(frame, part_of(file, end, file.len));
}

static const char *read_old(const struct ks_splice *splice, struct frame *frame)
{
	const char *why = read_frame(splice->file, frame);

	if (why)
		return why;
	if (frame->run_len > splice->old_len ||
	    (frame->size_width && frame->size != splice->old_len))
		return not_understood;
	return NULL;
}

/* --- decoding ------------------------------------------------------------------------------ */

#define WRONG SIZE_MAX

/*
 * Decodes the next BYTES of a frame.  *LEN is how much content that gave, or WRONG where they
 * cannot be decoded or, with WANT, are not that content.
 */
static bool feed(struct decoder *decoder, struct ks_view bytes, const struct ks_view *want,
		 size_t *len, struct ks_error *err)
{
	ZSTD_inBuffer in = { .src = bytes.data, .size = bytes.len };
	ZSTD_outBuffer out;

	*len = 0;
	do {
		size_t ret;

		out = (ZSTD_outBuffer){ .dst = decoder->scratch.data,
					.size = decoder->scratch.cap };
		ret = ZSTD_decompressStream(decoder->dctx, &out, &in);
		if (ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation)
			return ks_fail_memory(err);
		if (ZSTD_isError(ret) ||
		    (want && (out.pos > want->len - *len ||
			      memcmp(out.dst, want->data + *len, out.pos) != 0))) {
			*len = WRONG;
			return true;
		}
		*len += out.pos;
	} while (in.pos < in.size || out.pos == out.size);
	if (want && *len != want->len)
		*len = WRONG;
	return true;
}

/* A decoder that has read the old file as far as END. */
static bool start(struct decoder *decoder, const struct frame *frame, size_t end, size_t *len,
		  struct ks_error *err)
{
	decoder->dctx = ZSTD_createDCtx();
	if (!decoder->dctx || ZSTD_isError(ZSTD_DCtx_setParameter(
				      decoder->dctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		return ks_fail_memory(err);
	return ks_buf_reserve(&decoder->scratch, BLOCK_MAX, err) &&
	       feed(decoder, part_of(frame->file, 0, end), NULL, len, err);
}

/* --- where to cut -------------------------------------------------------------------------- */

/* RAW and RLE blocks at the end say how much they hold. */
static bool cuts_in_run(const struct ks_splice *splice, const struct frame *frame)
{
	return !splice->keep || splice->old_len - splice->keep <= frame->run_len;
}

static void cut_run(const struct ks_splice *splice, const struct frame *frame, struct cut *cut)
{
	struct block block;

	if (!splice->keep)
		return;
	cut->end = frame->run;
	cut->last = frame->packed;
	cut->at = splice->old_len - frame->run_len;
	cut->largest = frame->largest;
	while (cut->at < splice->keep && read_block(frame, cut->end, &block) &&
	       block.size <= splice->keep - cut->at) {
		cut->at += block.size;
		cut->last = cut->end;
		cut->end = block.end;
	}
}

/* Steps over the block at the cut where all of it stays; else *MORE is false. */
static bool cut_step(const struct ks_splice *splice, const struct frame *frame,
		     struct decoder *decoder, struct cut *cut, bool *more, const char **why,
		     struct ks_error *err)
{
	struct block block;
	size_t len;

	*more = false;
	*why = not_understood;
	if (!read_block(frame, cut->end, &block))
		return true;
	if (!feed(decoder, part_of(frame->file, cut->end, block.end), NULL, &len, err))
		return false;
	if (len > block_max(frame))
		return true;
	*why = NULL;
	if (len > splice->keep - cut->at)
		return true;
	*more = true;
	if (block.type == COMPRESSED && cut->largest < block.size)
		cut->largest = block.size;
	cut->at += len;
	cut->last = cut->end;
	cut->end = block.end;
	return true;
}

/* How much any other block holds only a decoder knows. */
static bool cut_decoding(const struct ks_splice *splice, const struct frame *frame, struct cut *cut,
			 const char **why, struct ks_error *err)
{
	DECODER decoder = { 0 };
	bool more = true;
	size_t len;

	if (!start(&decoder, frame, cut->end, &len, err))
		return false;
	while (more && cut->at < splice->keep)
		if (!cut_step(splice, frame, &decoder, cut, &more, why, err))
			return false;
	return true;
}

static bool find_cut(const struct ks_splice *splice, const struct frame *frame, struct cut *cut,
		     const char **why, struct ks_error *err)
{
	struct block block;

	*cut = (struct cut){ .end = frame->header_len };
	if (cuts_in_run(splice, frame))
		cut_run(splice, frame, cut);
	else if (!cut_decoding(splice, frame, cut, why, err))
		return false;
	cut->rest = part_of(splice->content, cut->at, splice->keep);
	if (cut->rest.len && read_block(frame, cut->end, &block))
		cut->type = block.type;
	return true;
}

/* --- what comes behind --------------------------------------------------------------------- */

static bool compress(const struct frame *frame, const struct cut *cut, struct ks_buf *fresh,
		     struct ks_error *err)
{
	CCTX *cctx = ZSTD_createCCtx();
	struct ks_view rest = cut->rest;
	size_t bound = ZSTD_compressBound(rest.len);
	size_t history = smaller(smaller(cut->at, HISTORY), frame->window - rest.len);
	size_t ret;

	if (!cctx || !ks_buf_reserve(fresh, bound, err))
		return ks_fail_memory(err);
	ret = ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, LEVEL);
	if (!ZSTD_isError(ret))
		ret = ZSTD_CCtx_refPrefix(cctx, rest.data - history, history);
	if (!ZSTD_isError(ret))
		ret = ZSTD_compress2(cctx, fresh->data, bound, rest.data, rest.len);
	if (ZSTD_isError(ret))
		return ks_fail_memory(err);
	fresh->len = ret;
	return true;
}

/*
 * A fresh frame's blocks take it that the last three offsets are what they are at a frame's start.
 * Behind blocks that are not compressed they are; else only a decoder can tell if that matters.
 */
static bool check_anew(const struct frame *frame, struct cut *cut, struct ks_error *err)
{
	DECODER decoder = { 0 };
	size_t len;

	if (!cut->largest)
		return true;
	if (!start(&decoder, frame, cut->end, &len, err) ||
	    !feed(&decoder, cut->anew.bytes, &cut->rest, &len, err))
		return false;
	if (len == WRONG)
		cut->anew.bytes.len = 0;
	return true;
}

/* The blocks are in FRESH. */
static bool compress_rest(const struct frame *frame, struct cut *cut, struct ks_buf *fresh,
			  struct ks_error *err)
{
	struct block block = { 0 };
	struct frame one;
	size_t at;

	if (!cut->rest.len || cut->type != COMPRESSED)
		return true;
	if (!compress(frame, cut, fresh, err))
		return false;
	if (read_frame(ks_buf_view(fresh), &one))
		return true;
	for (at = one.header_len; !block.last && read_block(&one, at, &block); at = block.end) {
		fresh->data[at] &= (uint8_t)~LAST_BLOCK;
		cut->anew.last = at - one.header_len;
	}
	cut->anew.bytes = ks_view_of(fresh->data + one.header_len, at - one.header_len);
	return check_anew(frame, cut, err);
}

/* --- writing ------------------------------------------------------------------------------- */

static bool fits(size_t width, uint64_t size)
{
	switch (width) {
	case 1:
		return size <= UINT8_MAX;
	case 2:
		return size >= 256 && size - 256 <= UINT16_MAX;
	case 4:
		return size <= UINT32_MAX;
	default:
		return width == 8;
	}
}

/* Log2 of the window that a single segment cannot do without any more, or 0. */
static unsigned int explicit_window(const struct frame *frame, uint64_t size, size_t largest)
{
	unsigned int window_log = WINDOW_LOG_MIN;

	if (!(frame->flags & SINGLE_SEGMENT) || (size <= WINDOW_MAX && largest <= size))
		return 0;
	while (window_log < WINDOW_LOG_MAX &&
	       (size > WINDOW_MAX || UINT64_C(1) << window_log < largest))
		window_log++;
	return window_log;
}

/*
 * The header of a frame of SIZE bytes: as it was, as far as that can be.  A size's width stays as
 * long as the value fits.  *WINDOW is then the frame's.
 */
static bool put_header(const struct frame *frame, uint64_t size, size_t largest, uint64_t *window,
		       struct ks_buf *out, struct ks_error *err)
{
	unsigned int window_log = explicit_window(frame, size, largest);
	bool single = frame->flags & SINGLE_SEGMENT && !window_log;
	size_t width = frame->size_width > !single ? frame->size_width : 2;
	uint8_t header[HEADER_MAX];
	size_t len = MAGIC_LEN + 1;

	while (!fits(width, size))
		width *= 2;
	memcpy(header, frame->file.data, len);
	header[MAGIC_LEN] &= 0xff ^ (3 << 6 | (window_log ? SINGLE_SEGMENT : 0));
	header[MAGIC_LEN] |= (uint8_t)((width > 4 ? 3 : width >> 1) << 6);
	if (!single)
		header[len++] = window_log ? (uint8_t)((window_log - WINDOW_LOG_MIN) << 3) :
					     frame->file.data[MAGIC_LEN + 1];
	*window = single ? size : read_window(header[MAGIC_LEN + 1]);
	memset(header + len, 0, frame->dictionary);
	len += frame->dictionary;
	put_le(header + len, width, width == 2 ? size - 256 : size);
	return ks_buf_append(out, header, len + width, err);
}

static bool put_block(struct writer *writer, enum block_type type, size_t size,
		      struct ks_view bytes, struct ks_error *err)
{
	uint8_t header[BLOCK_HEADER];

	put_le(header, BLOCK_HEADER, size << 3 | (size_t)type << 1);
	writer->last = writer->out->len;
	return ks_buf_append(writer->out, header, BLOCK_HEADER, err) &&
	       ks_buf_append(writer->out, bytes.data, bytes.len, err);
}

static bool put_raw(struct writer *writer, struct ks_view bytes, struct ks_error *err)
{
	while (bytes.len) {
		struct ks_view part = { bytes.data, smaller(writer->block_max, bytes.len) };

		if (!put_block(writer, RAW, part.len, part, err))
			return false;
		bytes.data += part.len;
		bytes.len -= part.len;
	}
	return true;
}

static bool put_blocks(struct writer *writer, const struct blocks *blocks, struct ks_error *err)
{
	size_t last;

	if (!blocks->bytes.len)
		return true;
	last = writer->out->len + blocks->last;
	if (!ks_buf_append(writer->out, blocks->bytes.data, blocks->bytes.len, err))
		return false;
	writer->last = last;
	writer->out->data[last] &= (uint8_t)~LAST_BLOCK;
	return true;
}

static bool put_rest(struct writer *writer, const struct cut *cut, struct ks_error *err)
{
	if (!cut->rest.len)
		return true;
	if (cut->type == RLE)
		return put_block(writer, RLE, cut->rest.len, ks_view_of(cut->rest.data, 1), err);
	return cut->anew.bytes.len ? put_blocks(writer, &cut->anew, err) :
				     put_raw(writer, cut->rest, err);
}

/* Room for everything at once. */
static bool reserve(const struct ks_splice *splice, const struct frame *frame,
		    const struct cut *cut, struct ks_buf *out, struct ks_error *err)
{
	size_t raw = splice->content.len - splice->keep + cut->rest.len;
	size_t heads = raw / smaller(BLOCK_MAX, UINT64_C(1) << WINDOW_LOG_MIN) + 3;

	return ks_buf_reserve(out,
			      out->len + HEADER_MAX + (cut->end - frame->header_len) +
				      cut->anew.bytes.len + raw + heads * BLOCK_HEADER +
				      CHECKSUM_LEN,
			      err);
}

static bool put_checksum(const struct frame *frame, struct ks_view content, struct ks_buf *out,
			 struct ks_error *err)
{
	uint8_t sum[CHECKSUM_LEN];

	if (!(frame->flags & HAS_CHECKSUM))
		return true;
	put_le(sum, CHECKSUM_LEN, XXH64(content.data, content.len, 0));
	return ks_buf_append(out, sum, CHECKSUM_LEN, err);
}

static bool put_frame(const struct ks_splice *splice, const struct frame *frame,
		      const struct cut *cut, struct ks_buf *out, struct ks_error *err)
{
	struct ks_view content = splice->content;
	struct blocks kept = { part_of(frame->file, frame->header_len, cut->end),
			       cut->last - frame->header_len };
	struct writer writer = { .out = out };
	uint64_t window;

	if (!reserve(splice, frame, cut, out, err) ||
	    !put_header(frame, content.len, cut->largest, &window, out, err))
		return false;
	writer.block_max = smaller(BLOCK_MAX, window);
	if (!put_blocks(&writer, &kept, err) || !put_rest(&writer, cut, err) ||
	    !put_raw(&writer, part_of(content, splice->keep, content.len), err))
		return false;
	if (!writer.last && !put_block(&writer, RAW, 0, ks_view_of(NULL, 0), err))
		return false;
	out->data[writer.last] |= LAST_BLOCK;
	return put_checksum(frame, content, out, err);
}

static bool zstd_splice(const struct ks_splice *splice, struct ks_buf *out,
			struct ks_written *written, struct ks_error *err)
{
	struct frame frame;
	struct cut cut;
	KS_BULK fresh = { 0 };
	const char *why = read_old(splice, &frame);

	if (!why && !find_cut(splice, &frame, &cut, &why, err))
		return false;
	*written = (struct ks_written){ .way = KS_WAY_PACKED, .why = why };
	if (why)
		return true;
	written->why = !frame.size_width ? "no content size" :
		       frame.skippable	 ? "a skippable frame behind the data" :
					   NULL;
	written->way = written->why ? KS_WAY_MENDED : KS_WAY_SPLICED;
	return compress_rest(&frame, &cut, &fresh, err) &&
	       put_frame(splice, &frame, &cut, out, err);
}

static bool zstd_cuts_cleanly(const struct ks_splice *splice)
{
	struct frame frame;

	return !read_old(splice, &frame) && cuts_in_run(splice, &frame);
}

const struct ks_splicer ks_splicer_zstd = {
	.splice = zstd_splice,
	.cuts_cleanly = zstd_cuts_cleanly,
};
