/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <string.h>

#include "core/gzip.h"

#define MAGIC "\x1f\x8b"
#define MEMBER_START MAGIC "\x08" /* 8 is deflate, the only method that unpack takes */

enum {
	SCRATCH = 1 << 14,
	/* What nobody's limit has let through may be a bomb; no module comes near this. */
	MEMBER_MAX = 1 << 30,
};

/*
 * Method and flags are looked at here because zlib reports what is only unknown to it in the same
 * way as what is corrupt.
 */
static bool check_header(struct ks_view member, struct ks_error *err)
{
	if (member.len >= 2 && !ks_view_starts_with(member, MAGIC, 2))
		return ks_fail(err, KS_ERR_INPUT, "gzip: no gzip header");
	if (member.len < KS_GZIP_HEADER)
		return ks_fail(err, KS_ERR_INPUT, "gzip: truncated");
	if (member.data[2] != Z_DEFLATED)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "gzip: unknown compression method %u",
			       member.data[2]);
	if (member.data[KS_GZIP_FLAGS] & KS_GZIP_RESERVED)
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
	uInt in = ks_gzip_piece(rest->len);
	uInt out = ks_gzip_piece(sink->room);
	int ret;

	z->next_in = rest->data;
	z->avail_in = in;
	z->next_out = sink->next;
	z->avail_out = out;
	ret = inflate(z, sink->seams ? Z_BLOCK : Z_NO_FLUSH);
	rest->data += in - z->avail_in;
	rest->len -= in - z->avail_in;
	*written = out - z->avail_out;
	return ret;
}

/* Of the older half every second one is forgotten: nearly all cuts are close to the end. */
static void thin_seams(struct ks_seams *seams)
{
	size_t kept = 0;

	for (size_t i = 0; i < seams->count; i++) {
		if (i % 2 == 0 || i >= KS_SEAMS / 2)
			seams->item[kept++] = seams->item[i];
	}
	seams->count = kept;
}

/* The newest item is the start of the block that ends here, whatever was forgotten. */
static void add_seam(struct ks_seams *seams, struct ks_seam seam)
{
	struct ks_seam *last;

	if (seams->count == KS_SEAMS)
		thin_seams(seams);
	if (seams->count) {
		last = &seams->item[seams->count - 1];
		seam.before = last->bit;
		if (last->at == seam.at) {
			*last = seam;
			return;
		}
	}
	seams->item[seams->count++] = seam;
}

static bool inflate_member(z_stream *z, struct ks_view *rest, struct ks_codec_sink *sink,
			   struct ks_error *err)
{
	const uint8_t *file = rest->data;
	int ret = inflateReset(z);

	while (ret == Z_OK) {
		size_t written;

		if (!ks_codec_sink_ready(sink, err))
			return false;
		ret = inflate_step(z, rest, sink, &written);
		if (!ks_codec_sink_took(sink, written, err))
			return false;
		if (sink->seams && ret == Z_OK && (z->data_type & KS_GZIP_BLOCK))
			add_seam(sink->seams, (struct ks_seam){
						      .bit = (uint64_t)(rest->data - file) * 8 -
							     (z->data_type & 7),
						      .at = ks_codec_sink_len(sink),
						      .crc = (uint32_t)z->adler,
					      });
	}
	return ret == Z_STREAM_END || fail_zlib(z, ret, err);
}

/* What was found out of the first member is of no use if there is another one. */
static bool next_member(struct ks_view rest, struct ks_codec_sink *sink)
{
	if (!ks_view_starts_with(rest, MAGIC, 2))
		return false;
	if (sink->seams)
		sink->seams->count = 0;
	sink->seams = NULL;
	return true;
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
	KS_INFLATE z = { 0 };
	struct ks_view rest = file;
	int ret = inflateInit2(&z, KS_GZIP_WHOLE);

	if (ret != Z_OK)
		return fail_zlib(&z, ret, err);
	do {
		if (!check_header(rest, err) || !inflate_member(&z, &rest, sink, err))
			return false;
	} while (next_member(rest, sink));
	/* Tapes and block devices pad with zeros, and gzip itself takes no notice of them. */
	if (!all_zero(rest))
		return ks_fail(err, KS_ERR_INPUT, "gzip: trailing garbage after the last member");
	return true;
}

/* One call of deflate, which takes from the front of REST and appends to OUT. */
static int deflate_step(z_stream *z, struct ks_view *rest, int flush, struct ks_buf *out)
{
	uInt in = ks_gzip_piece(rest->len);
	uInt room = ks_gzip_piece(out->cap - out->len);
	int ret;

	z->next_in = rest->data;
	z->avail_in = in;
	z->next_out = out->data + out->len;
	z->avail_out = room;
	ret = deflate(z, in == rest->len ? flush : Z_NO_FLUSH);
	if (in) {
		rest->data += in - z->avail_in;
		rest->len -= in - z->avail_in;
	}
	out->len += room - z->avail_out;
	return ret;
}

bool ks_gzip_deflate(z_stream *z, struct ks_view plain, int flush, struct ks_buf *out,
		     struct ks_error *err)
{
	int ret;

	do {
		if (!ks_buf_grow(out, SIZE_MAX, err))
			return false;
		ret = deflate_step(z, &plain, flush, out);
	} while (ret == Z_OK && (plain.len || !z->avail_out));
	return ret == Z_OK || ret == Z_STREAM_END || fail_zlib(z, ret, err);
}

static bool gzip_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	KS_DEFLATE z = { 0 };
	int ret = deflateInit2(&z, KS_GZIP_LEVEL, Z_DEFLATED, KS_GZIP_WHOLE, KS_GZIP_MEM_LEVEL,
			       Z_DEFAULT_STRATEGY);

	/* Without deflateSetHeader() zlib writes neither name nor time, like gzip -n. */
	if (ret != Z_OK)
		return fail_zlib(&z, ret, err);
	return ks_gzip_deflate(&z, plain, Z_FINISH, file, err);
}

/* Steps over the member at the front of REST; what it holds goes nowhere. */
static bool skip_member(struct ks_view *rest)
{
	uint8_t scratch[SCRATCH];
	struct ks_codec_sink sink = { .next = scratch, .room = sizeof(scratch) };
	KS_INFLATE z = { 0 };
	size_t written, total = 0;
	int ret = inflateInit2(&z, KS_GZIP_WHOLE);

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

	if (!memmem(file.data + KS_GZIP_HEADER, file.len - KS_GZIP_HEADER, MEMBER_START, len))
		return false;
	return skip_member(&file) && ks_view_starts_with(file, MEMBER_START, len);
}

static const struct ks_objection has_extra = { KS_GZIP_HAS_EXTRA ", which a kernel refuses",
					       KS_READS_NOTHING };
static const struct ks_objection has_comment = { KS_GZIP_HAS_COMMENT ", which a kernel refuses",
						 KS_READS_NOTHING };
static const struct ks_objection has_header_crc = { KS_GZIP_HAS_CRC ", which a kernel refuses",
						    KS_READS_NOTHING };
static const struct ks_objection has_second = { KS_GZIP_HAS_SECOND ", which a kernel ignores",
						KS_READS_PART };

/* The kernel's reader steps over ten bytes and a name, and takes what follows for deflate data. */
static const struct ks_objection *gzip_objection(struct ks_view file)
{
	if (file.len < KS_GZIP_HEADER)
		return NULL;
	if (file.data[KS_GZIP_FLAGS] & KS_GZIP_EXTRA)
		return &has_extra;
	if (file.data[KS_GZIP_FLAGS] & KS_GZIP_COMMENT)
		return &has_comment;
	if (file.data[KS_GZIP_FLAGS] & KS_GZIP_CRC)
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
	.splicer = &ks_splicer_gzip,
	.objection = gzip_objection,
};
