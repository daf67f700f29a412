/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <endian.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC "\x28\xb5\x2f\xfd"

enum {
	LEVEL = 3,
	WINDOW_LOG_MAX = 27,
	SINGLE_SEGMENT = 0x20,
	/*
	 * A module shrinks to a third or a fifth.  A frame that claims to hold many times more
	 * than that is decoded in steps instead, so that its claim alone costs nothing.
	 */
	PLAUSIBLE_RATIO = 16,
};

#define LEGACY_FIRST 0xfd2fb522u
#define LEGACY_LAST 0xfd2fb527u

const struct ks_objection ks_codec_no_content_size = { "no content size: kmod 34 cannot read it",
						       KS_READS_ALL };
static const struct ks_objection has_skippable = {
	"a skippable frame in front, which a kernel refuses", KS_READS_NOTHING
};
static const struct ks_objection has_second = { "a second frame, which a kernel ignores",
						KS_READS_PART };

static void free_dctx(ZSTD_DCtx **dctx)
{
	ZSTD_freeDCtx(*dctx);
}

static void free_cctx(ZSTD_CCtx **cctx)
{
	ZSTD_freeCCtx(*cctx);
}

#define DCTX __attribute__((cleanup(free_dctx))) ZSTD_DCtx
#define CCTX __attribute__((cleanup(free_cctx))) ZSTD_CCtx

static bool fail_window(struct ks_error *err)
{
	return ks_fail(err, KS_ERR_UNSUPPORTED, "zstd: window larger than 128 MiB");
}

static bool fail_zstd(size_t ret, struct ks_error *err)
{
	switch (ZSTD_getErrorCode(ret)) {
	case ZSTD_error_memory_allocation:
		return ks_fail_memory(err);
	case ZSTD_error_srcSize_wrong:
		return ks_fail(err, KS_ERR_INPUT, "zstd: truncated");
	case ZSTD_error_checksum_wrong:
		return ks_fail(err, KS_ERR_INPUT, "zstd: wrong checksum");
	case ZSTD_error_frameParameter_unsupported:
		return ks_fail(err, KS_ERR_UNSUPPORTED, "zstd: unknown flags in a frame header");
	case ZSTD_error_frameParameter_windowTooLarge:
		return fail_window(err);
	default:
		return ks_fail(err, KS_ERR_INPUT, "zstd: corrupt (%s)", ZSTD_getErrorName(ret));
	}
}

static uint32_t read_magic(struct ks_view bytes)
{
	uint32_t magic = 0;

	memcpy(&magic, bytes.data, sizeof(magic));
	return le32toh(magic);
}

static bool is_skippable(uint32_t magic)
{
	return (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* libzstd may have been built to read old formats, or not; the answer here is always the same. */
static bool check_magic(struct ks_view rest, bool first, struct ks_error *err)
{
	uint32_t magic;

	if (first && rest.len < sizeof(magic))
		return ks_fail(err, KS_ERR_INPUT, "zstd: truncated");
	magic = rest.len < sizeof(magic) ? 0 : read_magic(rest);
	if (magic == ZSTD_MAGICNUMBER || is_skippable(magic))
		return true;
	if (magic >= LEGACY_FIRST && magic <= LEGACY_LAST)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "zstd: frame of a format before 1.0");
	return ks_fail(err, KS_ERR_INPUT, "zstd: %s",
		       first ? "no zstd header" : "trailing garbage after the last frame");
}

/*
 * libzstd checks the window only where it decodes in steps; without this, one and the same frame
 * would be taken or refused depending on how much memory was reserved for it.
 */
static bool check_window(struct ks_view frame, unsigned long long content, struct ks_error *err)
{
	uint64_t base, window;

	if (frame.data[4] & SINGLE_SEGMENT) {
		window = content;
	} else {
		base = UINT64_C(1) << (10 + (frame.data[5] >> 3));
		window = base + base / 8 * (frame.data[5] & 7);
	}
	return window <= UINT64_C(1) << WINDOW_LOG_MAX || fail_window(err);
}

/* Refuses what cannot be decoded here, and makes room where the header is to be believed. */
static bool prepare_frame(struct ks_view frame, struct ks_codec_sink *sink, struct ks_error *err)
{
	unsigned long long content = ZSTD_getFrameContentSize(frame.data, frame.len);
	unsigned int dictionary = ZSTD_getDictID_fromFrame(frame.data, frame.len);
	size_t len = ks_codec_sink_len(sink);

	if (content == ZSTD_CONTENTSIZE_ERROR)
		return ks_fail(err, KS_ERR_INPUT, "zstd: corrupt frame header");
	if (dictionary)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "zstd: needs the dictionary %u",
			       dictionary);
	if (content != ZSTD_CONTENTSIZE_UNKNOWN &&
	    (len > sink->limit || content > sink->limit - len))
		return ks_codec_fail_limit(sink->codec, sink->limit, err);
	if (!check_window(frame, content, err))
		return false;
	/*
	 * Room for all of it spares the decoder a window of its own.  Behind other content the
	 * buffer grows by its own steps, or a thousand frames would mean a thousand moves.
	 */
	if (!sink->plain || len || content / PLAUSIBLE_RATIO > frame.len)
		return true;
	return ks_buf_reserve(sink->plain, (size_t)content, err);
}

static bool decode_frame(ZSTD_DCtx *dctx, struct ks_view frame, struct ks_codec_sink *sink,
			 struct ks_error *err)
{
	ZSTD_inBuffer in = { .src = frame.data, .size = frame.len };
	size_t ret;

	do {
		ZSTD_outBuffer out = { 0 };

		if (!ks_codec_sink_ready(sink, err))
			return false;
		out.dst = sink->next;
		out.size = sink->room;
		ret = ZSTD_decompressStream(dctx, &out, &in);
		if (ZSTD_isError(ret))
			return fail_zstd(ret, err);
		if (!ks_codec_sink_took(sink, out.pos, err))
			return false;
		/* Asking for more behind the frame's end would go on for ever. */
		if (ret && in.pos == in.size && out.pos < out.size)
			return ks_fail(err, KS_ERR_INPUT, "zstd: truncated");
	} while (ret);
	if (in.pos != in.size)
		return ks_fail(err, KS_ERR_INPUT, "zstd: corrupt frame");
	return true;
}

/* Decodes the frame at the front of REST and steps over it. */
static bool unpack_frame(ZSTD_DCtx *dctx, struct ks_view *rest, struct ks_codec_sink *sink,
			 struct ks_error *err)
{
	size_t size = ZSTD_findFrameCompressedSize(rest->data, rest->len);
	struct ks_view frame = { rest->data, size };

	if (ZSTD_isError(size))
		return fail_zstd(size, err);
	*rest = ks_view_of(rest->data + size, rest->len - size);
	if (is_skippable(read_magic(frame)))
		return true;
	return prepare_frame(frame, sink, err) && decode_frame(dctx, frame, sink, err);
}

static bool zstd_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	DCTX *dctx = ZSTD_createDCtx();
	struct ks_view rest = file;
	size_t ret;

	if (!dctx)
		return ks_fail_memory(err);
	ret = ZSTD_DCtx_setParameter(dctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	if (ZSTD_isError(ret))
		return fail_zstd(ret, err);
	do {
		if (!check_magic(rest, rest.len == file.len, err) ||
		    !unpack_frame(dctx, &rest, sink, err))
			return false;
	} while (rest.len);
	return true;
}

/* The content size in the header, without which kmod 34 refuses the file, is libzstd's default. */
static size_t set_parameters(ZSTD_CCtx *cctx)
{
	size_t ret = ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, LEVEL);

	if (ZSTD_isError(ret))
		return ret;
	return ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
}

static bool zstd_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	CCTX *cctx = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(plain.len);
	size_t ret;

	if (!cctx || ZSTD_isError(bound) || bound > SIZE_MAX - file->len)
		return ks_fail_memory(err);
	ret = set_parameters(cctx);
	if (ZSTD_isError(ret))
		return fail_zstd(ret, err);
	if (!ks_buf_reserve(file, file->len + bound, err))
		return false;
	ret = ZSTD_compress2(cctx, file->data + file->len, bound, plain.data, plain.len);
	if (ZSTD_isError(ret))
		return fail_zstd(ret, err);
	file->len += ret;
	return true;
}

/* Steps over the frame at the front of REST without decoding it; false where none is. */
static bool skip_frame(struct ks_view *rest)
{
	size_t size = ZSTD_findFrameCompressedSize(rest->data, rest->len);

	if (ZSTD_isError(size))
		return false;
	*rest = ks_view_of(rest->data + size, rest->len - size);
	return true;
}

bool ks_codec_starts_skippable(struct ks_view rest)
{
	return rest.len >= sizeof(uint32_t) && is_skippable(read_magic(rest));
}

/* Skippable frames behind the only other one hold nothing that a kernel could lose. */
static bool has_second_frame(struct ks_view rest)
{
	if (!skip_frame(&rest))
		return false;
	while (ks_codec_starts_skippable(rest)) {
		if (!skip_frame(&rest))
			return false;
	}
	return ks_view_starts_with(rest, MAGIC, sizeof(MAGIC) - 1);
}

static const struct ks_objection *zstd_objection(struct ks_view file)
{
	if (ks_codec_starts_skippable(file))
		return &has_skippable;
	if (!ks_view_starts_with(file, MAGIC, sizeof(MAGIC) - 1))
		return NULL;
	if (has_second_frame(file))
		return &has_second;
	/* The kernel does without it, but kmod 34 decodes zstd by itself and gives up here. */
	if (ZSTD_getFrameContentSize(file.data, file.len) == ZSTD_CONTENTSIZE_UNKNOWN)
		return &ks_codec_no_content_size;
	return NULL;
}

const struct ks_codec ks_codec_zstd = {
	.name = "zstd",
	.suffix = ".zst",
	.magic = MAGIC,
	.magic_len = sizeof(MAGIC) - 1,
	.decode = zstd_decode,
	.pack = zstd_pack,
	.splicer = &ks_splicer_zstd,
	.objection = zstd_objection,
};
