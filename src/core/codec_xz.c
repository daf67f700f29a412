/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <lzma.h>
#include <stdlib.h>

/* 0xfd, "7zXZ", 0; a 7 behind the escape would be part of it. */
#define MAGIC "\xfd\x37zXZ\0"

enum {
	PRESET = 6,
	DICTIONARY = 1 << 20,
	/* A dictionary of 128 MiB and the decoder's own needs fit; the next size, 192 MiB, does not. */
	MEMORY_MAX = 160 << 20,
};

#define LZMA __attribute__((cleanup(lzma_end))) lzma_stream

static bool fail_lzma(const char *name, lzma_ret ret, struct ks_error *err)
{
	switch (ret) {
	case LZMA_MEM_ERROR:
		return ks_fail_memory(err);
	case LZMA_MEMLIMIT_ERROR:
		return ks_fail(err, KS_ERR_UNSUPPORTED, "%s: dictionary larger than 128 MiB", name);
	case LZMA_OPTIONS_ERROR:
		return ks_fail(err, KS_ERR_UNSUPPORTED, "%s: unknown filter or header field", name);
	case LZMA_UNSUPPORTED_CHECK:
		return ks_fail(err, KS_ERR_UNSUPPORTED, "%s: unknown kind of checksum", name);
	case LZMA_FORMAT_ERROR:
		return ks_fail(err, KS_ERR_INPUT, "%s: no %s header", name, name);
	case LZMA_BUF_ERROR:
		return ks_fail(err, KS_ERR_INPUT, "%s: truncated", name);
	case LZMA_DATA_ERROR:
		return ks_fail(err, KS_ERR_INPUT, "%s: corrupt or wrong checksum", name);
	default:
		return ks_fail(err, KS_ERR_INPUT, "%s: corrupt (liblzma error %d)", name, (int)ret);
	}
}

/*
 * liblzma would also walk from stream to stream by itself, but then it reports what follows the
 * last one in the same way as damage inside.
 */
static lzma_ret start_stream(lzma_stream *z)
{
	return lzma_stream_decoder(z, MEMORY_MAX, LZMA_TELL_UNSUPPORTED_CHECK);
}

/* RET is what starting the decoder gave. */
static bool decode(lzma_stream *z, lzma_ret ret, struct ks_codec_sink *sink, struct ks_error *err)
{
	while (ret == LZMA_OK) {
		if (!ks_codec_sink_ready(sink, err))
			return false;
		z->next_out = sink->next;
		z->avail_out = sink->room;
		ret = lzma_code(z, LZMA_RUN);
		if (!ks_codec_sink_took(sink, sink->room - z->avail_out, err))
			return false;
	}
	return ret == LZMA_STREAM_END || fail_lzma(sink->codec->name, ret, err);
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
	LZMA z = LZMA_STREAM_INIT;
	bool more;

	z.next_in = file.data;
	z.avail_in = file.len;
	do {
		if (!decode(&z, start_stream(&z), sink, err) || !skip_padding(&z, &more, err))
			return false;
	} while (more);
	return true;
}

static lzma_ret start_encoder(lzma_stream *z)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = {
		{ .id = LZMA_FILTER_LZMA2, .options = &options },
		{ .id = LZMA_VLI_UNKNOWN, .options = NULL },
	};

	if (lzma_lzma_preset(&options, PRESET))
		return LZMA_OPTIONS_ERROR;
	options.dict_size = DICTIONARY;
	/* The kernel's reader knows no other check; liblzma's default of CRC64 it refuses. */
	return lzma_stream_encoder(z, filters, LZMA_CHECK_CRC32);
}

static bool xz_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	LZMA z = LZMA_STREAM_INIT;
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
	return ret == LZMA_STREAM_END || fail_lzma("xz", ret, err);
}

static void free_index(lzma_index **index)
{
	lzma_index_end(*index, NULL);
}

#define INDEX __attribute__((cleanup(free_index))) lzma_index

/* liblzma has a function for this from 5.4 on; with its own allocator it is only this. */
static void free_options(lzma_filter *chain)
{
	for (; chain->id != LZMA_VLI_UNKNOWN; chain++)
		free(chain->options);
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

static const struct ks_objection *check_objection(lzma_check check)
{
	return check == LZMA_CHECK_CRC64  ? &has_crc64 :
	       check == LZMA_CHECK_SHA256 ? &has_sha256 :
					    NULL;
}

static struct ks_view cut_padding(struct ks_view file)
{
	while (file.len >= 4 &&
	       ks_view_equal(ks_view_of(file.data + file.len - 4, 4), ks_view_of("\0\0\0\0", 4)))
		file.len -= 4;
	return file;
}

/* The Index of the stream that FILE ends with; NULL if it cannot be read. */
static lzma_index *read_last_index(struct ks_view file)
{
	lzma_stream_flags footer;
	lzma_index *index = NULL;
	uint64_t memory;
	size_t pos = 0, size;

	if (file.len < LZMA_STREAM_HEADER_SIZE)
		return NULL;
	file.len -= LZMA_STREAM_HEADER_SIZE;
	if (lzma_stream_footer_decode(&footer, file.data + file.len) != LZMA_OK ||
	    footer.backward_size > file.len)
		return NULL;
	size = (size_t)footer.backward_size;
	/* A Record takes two bytes or more, so that claiming millions costs an attacker a file. */
	memory = lzma_index_memusage(1, size / 2);
	if (lzma_index_buffer_decode(&index, &memory, NULL, file.data + file.len - size, &pos,
				     size) != LZMA_OK)
		return NULL;
	return index;
}

/* Reads the filters of BLOCK into CHAIN, whose options are to be freed after success. */
static bool read_chain(struct ks_view block, lzma_check check, lzma_filter *chain)
{
	lzma_block header = { .check = check, .filters = chain };

	/* Not a Block but an Index starts with zero. */
	if (!block.data[0])
		return false;
	header.header_size = lzma_block_header_size_decode(block.data[0]);
	return header.header_size <= block.len &&
	       lzma_block_header_decode(&header, NULL, block.data) == LZMA_OK;
}

/*
 * Filters for other processors are in a kernel as its configuration and its age have it.  Options
 * of the x86 one are a start offset, which the kernel does not read.
 */
static bool kernel_knows(const lzma_filter *chain)
{
	if (chain->id == LZMA_FILTER_X86 && !chain->options)
		chain++;
	return chain->id == LZMA_FILTER_LZMA2;
}

/* No kernel has that one. */
static bool has_delta_filter(const lzma_filter *chain)
{
	while (chain->id != LZMA_VLI_UNKNOWN && chain->id != LZMA_FILTER_DELTA)
		chain++;
	return chain->id == LZMA_FILTER_DELTA;
}

/* Each Block is looked at, as filters may change from one to the next (xz --block-list). */
static const struct ks_objection *filter_objection(struct ks_view file, const lzma_index *index,
						   lzma_check check)
{
	lzma_filter chain[LZMA_FILTERS_MAX + 1];
	lzma_index_iter iter;

	lzma_index_iter_init(&iter, index);
	while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
		lzma_vli at = iter.block.compressed_file_offset;
		lzma_vli size = iter.block.total_size;
		bool known, delta;

		if (at > file.len || size > file.len - at ||
		    !read_chain(ks_view_of(file.data + at, (size_t)size), check, chain))
			return NULL;
		known = kernel_knows(chain);
		delta = has_delta_filter(chain);
		free_options(chain);
		if (!known)
			return delta ? &has_delta : &has_filter;
	}
	return NULL;
}

static const struct ks_objection *xz_objection(struct ks_view file)
{
	lzma_stream_flags header;
	INDEX *index = NULL;
	const struct ks_objection *objection;

	if (file.len < LZMA_STREAM_HEADER_SIZE ||
	    lzma_stream_header_decode(&header, file.data) != LZMA_OK)
		return NULL;
	objection = check_objection(header.check);
	if (objection)
		return objection;
	file = cut_padding(file);
	index = read_last_index(file);
	if (!index)
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
	.objection = xz_objection,
};

static bool lzma_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	LZMA z = LZMA_STREAM_INIT;

	z.next_in = file.data;
	z.avail_in = file.len;
	if (!decode(&z, lzma_alone_decoder(&z, MEMORY_MAX), sink, err))
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
