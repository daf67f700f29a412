/* SPDX-License-Identifier: MIT */
#include "core/xz.h"

#include <stdlib.h>

enum {
	PRESET = 6,
	DICTIONARY = 1 << 20,
};

bool ks_xz_fail(const char *name, lzma_ret ret, struct ks_error *err)
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

bool ks_xz_decode(lzma_stream *z, lzma_ret ret, struct ks_codec_sink *sink, struct ks_error *err)
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
	return ret == LZMA_STREAM_END || ks_xz_fail(sink->codec->name, ret, err);
}

bool ks_xz_packing(lzma_options_lzma *options, lzma_filter *chain)
{
	if (lzma_lzma_preset(options, PRESET))
		return false;
	options->dict_size = DICTIONARY;
	chain[0] = (lzma_filter){ .id = LZMA_FILTER_LZMA2, .options = options };
	chain[1] = (lzma_filter){ .id = LZMA_VLI_UNKNOWN };
	return true;
}

void ks_xz_free_index(lzma_index **index)
{
	lzma_index_end(*index, NULL);
}

/* liblzma has a function for the filters from 5.4 on; with its own allocator it is only this. */
void ks_xz_free_block(struct ks_xz_block *block)
{
	for (size_t i = 0; i < LZMA_FILTERS_MAX; i++)
		free(block->chain[i].options);
}

struct ks_view ks_xz_cut_padding(struct ks_view file)
{
	while (file.len >= 4 &&
	       ks_view_equal(ks_view_of(file.data + file.len - 4, 4), ks_view_of("\0\0\0\0", 4)))
		file.len -= 4;
	return file;
}

lzma_ret ks_xz_read_last_index(struct ks_view file, lzma_stream_flags *footer, lzma_index **index)
{
	uint64_t memory;
	size_t pos = 0, size;
	lzma_ret ret;

	*index = NULL;
	if (file.len < LZMA_STREAM_HEADER_SIZE)
		return LZMA_BUF_ERROR;
	file.len -= LZMA_STREAM_HEADER_SIZE;
	ret = lzma_stream_footer_decode(footer, file.data + file.len);
	if (ret != LZMA_OK)
		return ret;
	if (footer->backward_size > file.len)
		return LZMA_BUF_ERROR;
	size = (size_t)footer->backward_size;
	/* A Record takes two bytes or more, so that claiming millions costs an attacker a file. */
	memory = lzma_index_memusage(1, size / 2);
	return lzma_index_buffer_decode(index, &memory, NULL, file.data + file.len - size, &pos,
					size);
}

lzma_ret ks_xz_read_block(struct ks_view bytes, lzma_check check, struct ks_xz_block *block)
{
	lzma_block *header = &block->header;

	header->check = check;
	header->filters = block->chain;
	/* Not a Block but an Index starts with zero. */
	if (!bytes.len || !bytes.data[0])
		return LZMA_DATA_ERROR;
	header->header_size = lzma_block_header_size_decode(bytes.data[0]);
	if (header->header_size > bytes.len)
		return LZMA_BUF_ERROR;
	return lzma_block_header_decode(header, NULL, bytes.data);
}

static bool has_filter(const lzma_filter *chain, lzma_vli id)
{
	while (chain->id != LZMA_VLI_UNKNOWN && chain->id != id)
		chain++;
	return chain->id == id;
}

/* Options of the x86 filter are a start offset, which the kernel does not read. */
enum ks_xz_kind ks_xz_kind_of(const lzma_filter *chain)
{
	if (chain->id == LZMA_FILTER_LZMA2)
		return KS_XZ_LZMA2;
	if (chain->id == LZMA_FILTER_X86 && !chain->options && chain[1].id == LZMA_FILTER_LZMA2)
		return KS_XZ_X86;
	return has_filter(chain, LZMA_FILTER_DELTA) ? KS_XZ_DELTA : KS_XZ_OTHER;
}
