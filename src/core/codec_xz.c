/* SPDX-License-Identifier: MIT */
#include "core/xz.h"

/* 0xfd, "7zXZ", 0; a 7 behind the escape would be part of it. */
#define MAGIC "\xfd\x37zXZ\0"

enum {
	/* A dictionary of 128 MiB and the decoder's own needs fit; the next size, 192 MiB, does not. */
	MEMORY_MAX = 160 << 20,
};

/*
 * liblzma would also walk from stream to stream by itself, but then it reports what follows the
 * last one in the same way as damage inside.
 */
static lzma_ret start_stream(lzma_stream *z)
{
	return lzma_stream_decoder(z, MEMORY_MAX, LZMA_TELL_UNSUPPORTED_CHECK);
}

/* Steps over stream padding; *MORE is whether another stream follows. */
static bool skip_padding(lzma_stream *z, bool *more, struct ks_error *err)
{
	size_t zeros = 0;

	while (zeros < z->avail_in && !z->next_in[zeros])
		zeros++;
	z->next_in += zeros;
	z->avail_in -= zeros;
	*more = ks_view_starts_with(ks_view_of(z->next_in, z->avail_in), MAGIC, sizeof(MAGIC) - 1);
	if (z->avail_in && !*more)
		return ks_fail(err, KS_ERR_INPUT, "xz: trailing garbage after the last stream");
	if (zeros % 4)
		return ks_fail(err, KS_ERR_INPUT, "xz: stream padding of %zu bytes", zeros);
	return true;
}

static bool xz_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	KS_XZ_CODER z = LZMA_STREAM_INIT;
	bool more;

	z.next_in = file.data;
	z.avail_in = file.len;
	do {
		if (!ks_xz_decode(&z, start_stream(&z), sink, err) || !skip_padding(&z, &more, err))
			return false;
	} while (more);
	return true;
}

static lzma_ret start_encoder(lzma_stream *z)
{
	lzma_options_lzma options;
	lzma_filter filters[2];

	if (!ks_xz_packing(&options, filters))
		return LZMA_OPTIONS_ERROR;
	/* The kernel's reader knows no other check; liblzma's default of CRC64 it refuses. */
	return lzma_stream_encoder(z, filters, LZMA_CHECK_CRC32);
}

static bool xz_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	KS_XZ_CODER z = LZMA_STREAM_INIT;
	lzma_ret ret = start_encoder(&z);

	z.next_in = plain.data;
	z.avail_in = plain.len;
	while (ret == LZMA_OK) {
		if (!ks_buf_grow(file, SIZE_MAX, err))
			return false;
		z.next_out = file->data + file->len;
		z.avail_out = file->cap - file->len;
		ret = lzma_code(&z, LZMA_FINISH);
		file->len = file->cap - z.avail_out;
	}
	return ret == LZMA_STREAM_END || ks_xz_fail("xz", ret, err);
}

static const struct ks_objection has_crc64 = { "a CRC64 checksum, which a kernel refuses",
					       KS_READS_NOTHING };
static const struct ks_objection has_sha256 = { "a SHA-256 checksum, which a kernel refuses",
						KS_READS_NOTHING };
static const struct ks_objection has_second = { "a second stream, which a kernel ignores",
						KS_READS_PART };
static const struct ks_objection has_delta = { "a delta filter, which a kernel refuses",
					       KS_READS_NOTHING };
/* Kernels have those of the architectures that they were built to read (CONFIG_XZ_DEC_ARM). */
static const struct ks_objection has_filter = {
	"a filter other than LZMA2 and x86, which a kernel may refuse", KS_READS_MAYBE
};
static const struct ks_objection has_x86 = {
	"an x86 filter, which a kernel without CONFIG_XZ_DEC_X86 refuses", KS_READS_X86
};

static const struct ks_objection *check_objection(lzma_check check)
{
	return check == LZMA_CHECK_CRC64  ? &has_crc64 :
	       check == LZMA_CHECK_SHA256 ? &has_sha256 :
					    NULL;
}

static const struct ks_objection *kind_objection(enum ks_xz_kind kind)
{
	return kind == KS_XZ_DELTA ? &has_delta :
	       kind == KS_XZ_OTHER ? &has_filter :
	       kind == KS_XZ_X86   ? &has_x86 :
				     NULL;
}

/* Each Block is looked at, as filters may change from one to the next (xz --block-list). */
static const struct ks_objection *filter_objection(struct ks_view file, const lzma_index *index,
						   lzma_check check)
{
	const struct ks_objection *found = NULL;
	lzma_index_iter iter;

	lzma_index_iter_init(&iter, index);
	while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
		lzma_vli at = iter.block.compressed_file_offset;
		lzma_vli size = iter.block.total_size;
		const struct ks_objection *objection;
		KS_XZ_BLOCK block = { 0 };

		if (at > file.len || size > file.len - at ||
		    ks_xz_read_block(ks_view_of(file.data + at, (size_t)size), check, &block))
			return found;
		objection = kind_objection(ks_xz_kind_of(block.chain));
		if (ks_objection_is_weighty(objection))
			return objection;
		if (objection)
			found = objection;
	}
	return found;
}

static const struct ks_objection *xz_objection(struct ks_view file)
{
	lzma_stream_flags header, footer;
	KS_XZ_INDEX *index = NULL;
	const struct ks_objection *objection;

	if (file.len < LZMA_STREAM_HEADER_SIZE ||
	    lzma_stream_header_decode(&header, file.data) != LZMA_OK)
		return NULL;
	objection = check_objection(header.check);
	if (objection)
		return objection;
	file = ks_xz_cut_padding(file);
	if (ks_xz_read_last_index(file, &footer, &index) != LZMA_OK)
		return NULL;
	/* Where the last stream does not start at the front, another one does. */
	if (lzma_index_file_size(index) < file.len)
		return &has_second;
	return filter_objection(file, index, header.check);
}

const struct ks_codec ks_codec_xz = {
	.name = "xz",
	.suffix = ".xz",
	.magic = MAGIC,
	.magic_len = sizeof(MAGIC) - 1,
	.decode = xz_decode,
	.pack = xz_pack,
	.splicer = &ks_splicer_xz,
	.objection = xz_objection,
};

static bool lzma_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	KS_XZ_CODER z = LZMA_STREAM_INIT;

	z.next_in = file.data;
	z.avail_in = file.len;
	if (!ks_xz_decode(&z, lzma_alone_decoder(&z, MEMORY_MAX), sink, err))
		return false;
	return !z.avail_in || ks_fail(err, KS_ERR_INPUT, "lzma: trailing garbage");
}

/* The format has no magic: lc, lp and pb as everybody has them, and a dictionary of whole 64 KiB. */
const struct ks_codec ks_codec_lzma = {
	.name = "lzma",
	.suffix = ".lzma",
	.magic = "\x5d\0\0",
	.magic_len = 3,
	.decode = lzma_decode,
};
