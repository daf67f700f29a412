/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <string.h>

/* Makes zlib's input pointer a pointer to const. */
#define ZLIB_CONST
#include <zlib.h>

#define MAGIC "\x1f\x8b"
#define MEMBER_START MAGIC "\x08" /* 8 is deflate, the only method that unpack takes */

enum {
	/* zlib counts in 32 bits; a piece this small lets ordinary tests cross from one to the next. */
	PIECE = 1 << 20,
	WINDOW_BITS = 15 + 16, /* 32 KiB, and the gzip header and trailer */
	LEVEL = 6,
	MEM_LEVEL = 8,
	HEADER_MIN = 10,
	FLAG_CRC = 0x02,
	FLAG_EXTRA = 0x04,
	FLAG_COMMENT = 0x10,
	FLAGS_RESERVED = 0xe0,
	SCRATCH = 1 << 14,
	/* What nobody's limit has let through may be a bomb; no module comes near this. */
	MEMBER_MAX = 1 << 30,
};

/* A z_stream of zeros, or one whose init failed, may be ended too. */
static void free_inflate(z_stream *z)
{
	inflateEnd(z);
}

static void free_deflate(z_stream *z)
{
	deflateEnd(z);
}

#define INFLATE __attribute__((cleanup(free_inflate))) z_stream
#define DEFLATE __attribute__((cleanup(free_deflate))) z_stream

static uInt piece(size_t len)
{
	return len < PIECE ? (uInt)len : PIECE;
}

/*
 * Method and flags are looked at here because zlib reports what is only unknown to it in the same
 * way as what is corrupt.
 */
static bool check_header(struct ks_view member, struct ks_error *err)
{
	if (member.len >= 2 && !ks_view_starts_with(member, MAGIC, 2))
		return ks_fail(err, KS_ERR_INPUT, "gzip: no gzip header");
	if (member.len < HEADER_MIN)
		return ks_fail(err, KS_ERR_INPUT, "gzip: truncated");
	if (member.data[2] != Z_DEFLATED)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "gzip: unknown compression method %u",
			       member.data[2]);
	if (member.data[3] & FLAGS_RESERVED)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "gzip: unknown flags in the header");
	return true;
}

static bool fail_zlib(const z_stream *z, int ret, struct ks_error *err)
{
	if (ret == Z_MEM_ERROR)
		return ks_fail_memory(err);
	if (ret == Z_BUF_ERROR)
		return ks_fail(err, KS_ERR_INPUT, "gzip: truncated");
	if (ret != Z_DATA_ERROR || !z->msg)
		return ks_fail(err, KS_ERR_INPUT, "gzip: corrupt (zlib error %d)", ret);
	/* Only the text tells a wrong checksum from other damage; where it changes, it is shown. */
	if (strcmp(z->msg, "incorrect data check") == 0)
		return ks_fail(err, KS_ERR_INPUT, "gzip: wrong checksum");
	if (strcmp(z->msg, "incorrect length check") == 0)
		return ks_fail(err, KS_ERR_INPUT, "gzip: wrong content size");
	return ks_fail(err, KS_ERR_INPUT, "gzip: corrupt (%s)", z->msg);
}

/* One call of inflate, which takes from the front of REST. */
static int inflate_step(z_stream *z, struct ks_view *rest, struct ks_codec_sink *sink,
			size_t *written)
{
	uInt in = piece(rest->len);
	uInt out = piece(sink->room);
	int ret;

	z->next_in = rest->data;
	z->avail_in = in;
	z->next_out = sink->next;
	z->avail_out = out;
	ret = inflate(z, Z_NO_FLUSH);
	rest->data += in - z->avail_in;
	rest->len -= in - z->avail_in;
	*written = out - z->avail_out;
	return ret;
}

static bool inflate_member(z_stream *z, struct ks_view *rest, struct ks_codec_sink *sink,
			   struct ks_error *err)
{
	int ret = inflateReset(z);

	while (ret == Z_OK) {
		size_t written;

		if (!ks_codec_sink_ready(sink, err))
			return false;
		ret = inflate_step(z, rest, sink, &written);
		if (!ks_codec_sink_took(sink, written, err))
			return false;
	}
	return ret == Z_STREAM_END || fail_zlib(z, ret, err);
}

static bool all_zero(struct ks_view bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i])
			return false;
	}
	return true;
}

static bool gzip_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	INFLATE z = { 0 };
	struct ks_view rest = file;
	int ret = inflateInit2(&z, WINDOW_BITS);

	if (ret != Z_OK)
		return fail_zlib(&z, ret, err);
	do {
		if (!check_header(rest, err) || !inflate_member(&z, &rest, sink, err))
			return false;
	} while (ks_view_starts_with(rest, MAGIC, 2));
	/* Tapes and block devices pad with zeros, and gzip itself takes no notice of them. */
	if (!all_zero(rest))
		return ks_fail(err, KS_ERR_INPUT, "gzip: trailing garbage after the last member");
	return true;
}

/* One call of deflate, which takes from the front of REST and appends to FILE. */
static int deflate_step(z_stream *z, struct ks_view *rest, struct ks_buf *file)
{
	uInt in = piece(rest->len);
	uInt out = piece(file->cap - file->len);
	int ret;

	z->next_in = rest->data;
	z->avail_in = in;
	z->next_out = file->data + file->len;
	z->avail_out = out;
	ret = deflate(z, in == rest->len ? Z_FINISH : Z_NO_FLUSH);
	if (in) {
		rest->data += in - z->avail_in;
		rest->len -= in - z->avail_in;
	}
	file->len += out - z->avail_out;
	return ret;
}

static bool gzip_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	DEFLATE z = { 0 };
	struct ks_view rest = plain;
	int ret = deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY);

	/* Without deflateSetHeader() zlib writes neither name nor time, like gzip -n. */
	while (ret == Z_OK) {
		if (!ks_buf_grow(file, SIZE_MAX, err))
			return false;
		ret = deflate_step(&z, &rest, file);
	}
	return ret == Z_STREAM_END || fail_zlib(&z, ret, err);
}

/* Steps over the member at the front of REST; what it holds goes nowhere. */
static bool skip_member(struct ks_view *rest)
{
	uint8_t scratch[SCRATCH];
	struct ks_codec_sink sink = { .next = scratch, .room = sizeof(scratch) };
	INFLATE z = { 0 };
	size_t written, total = 0;
	int ret = inflateInit2(&z, WINDOW_BITS);

	while (ret == Z_OK && total < MEMBER_MAX) {
		ret = inflate_step(&z, rest, &sink, &written);
		total += written;
	}
	return ret == Z_STREAM_END;
}

/*
 * Only inflating tells where a member ends.  But the bytes that the next one starts with are rare
 * enough that nearly every file of one member is known for what it is without that.
 */
static bool has_second_member(struct ks_view file)
{
	const size_t len = sizeof(MEMBER_START) - 1;

	if (!memmem(file.data + HEADER_MIN, file.len - HEADER_MIN, MEMBER_START, len))
		return false;
	return skip_member(&file) && ks_view_starts_with(file, MEMBER_START, len);
}

static const struct ks_objection has_extra = {
	"an extra field in the header, which a kernel refuses", KS_READS_NOTHING
};
static const struct ks_objection has_comment = { "a comment in the header, which a kernel refuses",
						 KS_READS_NOTHING };
static const struct ks_objection has_header_crc = {
	"a checksum of the header, which a kernel refuses", KS_READS_NOTHING
};
static const struct ks_objection has_second = { "a second member, which a kernel ignores",
						KS_READS_PART };

/* The kernel's reader steps over ten bytes and a name, and takes what follows for deflate data. */
static const struct ks_objection *gzip_objection(struct ks_view file)
{
	if (file.len < HEADER_MIN)
		return NULL;
	if (file.data[3] & FLAG_EXTRA)
		return &has_extra;
	if (file.data[3] & FLAG_COMMENT)
		return &has_comment;
	if (file.data[3] & FLAG_CRC)
		return &has_header_crc;
	return has_second_member(file) ? &has_second : NULL;
}

const struct ks_codec ks_codec_gzip = {
	.name = "gzip",
	.suffix = ".gz",
	.magic = MAGIC,
	.magic_len = sizeof(MAGIC) - 1,
	.decode = gzip_decode,
	.pack = gzip_pack,
	.objection = gzip_objection,
};
