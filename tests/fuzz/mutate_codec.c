/* SPDX-License-Identifier: MIT */
/*
 * A mutator for containers behind SELECTOR bytes: libFuzzer's own, and then mostly the checksums
 * made right again, as no mutant of gzip or xz gets past them else.  zstd has none that count.
 */
#include <lzma.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "mutate.h"

#ifndef SELECTOR
#define SELECTOR 1
#endif

enum {
	GZIP_WINDOW = 15 + 16,
	XZ_HEADER = 12,
	CONTENT_MAX = 1 << 21,
};

static void put_le32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_le32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
	       (uint32_t)from[3] << 24;
}

/* Inflates without looking at checksums; the last eight bytes of the member are then known. */
static void mend_gzip(uint8_t *data, size_t size)
{
	static uint8_t content[CONTENT_MAX];
	z_stream z = { .next_in = data, .avail_in = (uInt)size };

	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return;
	inflateValidate(&z, 0);
	z.next_out = content;
	z.avail_out = sizeof(content);
	if (inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_in >= 8) {
		uint8_t *trailer = data + z.total_in - 8;

		put_le32(trailer, (uint32_t)crc32(0, content, (uInt)z.total_out));
		put_le32(trailer + 4, (uint32_t)z.total_out);
	}
	inflateEnd(&z);
}

/* Bytes LEN at DATA, their CRC32 behind them. */
static void mend_crc(uint8_t *data, size_t len)
{
	put_le32(data + len, lzma_crc32(data, len, 0));
}

/* The headers of the Blocks in front of INDEX, which is SIZE bytes, as it says where they are. */
static void mend_blocks(uint8_t *data, size_t len, const uint8_t *index, size_t size)
{
	uint64_t memory = 1 << 20;
	lzma_index *blocks;
	lzma_index_iter iter;
	size_t pos = 0;

	if (lzma_index_buffer_decode(&blocks, &memory, NULL, index, &pos, size) != LZMA_OK)
		return;
	lzma_index_iter_init(&iter, blocks);
	while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
		uint64_t at = iter.block.compressed_file_offset;
		uint64_t head = at < len ? ((uint64_t)data[at] + 1) * 4 : 0;

		if (head > 4 && head <= len - at)
			mend_crc(data + at, (size_t)head - 4);
	}
	lzma_index_end(blocks, NULL);
}

/* Stream header, Blocks' headers, Index and footer, as far as each is where it seems. */
static void mend_xz(uint8_t *data, size_t size)
{
	uint8_t *footer = data + size - XZ_HEADER;
	uint64_t index;

	if (size < 2 * XZ_HEADER + 8)
		return;
	memcpy(footer + 8, data + 6, 2);
	memcpy(footer + 10, "YZ", 2);
	mend_crc(data + 6, 2);
	put_le32(footer, lzma_crc32(footer + 4, 6, 0));
	index = ((uint64_t)get_le32(footer + 4) + 1) * 4;
	if (index < 8 || index > size - 2 * XZ_HEADER)
		return;
	mend_crc(footer - index, (size_t)index - 4);
	mend_blocks(data, size - XZ_HEADER - (size_t)index, footer - index, (size_t)index);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t len = LLVMFuzzerMutate(data, size, max_size);

	if (len <= SELECTOR || !mutate_below(&seed, 8))
		return len;
	if (data[SELECTOR] == 0x1f)
		mend_gzip(data + SELECTOR, len - SELECTOR);
	else if (len >= SELECTOR + 6 && memcmp(data + SELECTOR, "\xfd\x37zXZ", 6) == 0)
		mend_xz(data + SELECTOR, len - SELECTOR);
	return len;
}
