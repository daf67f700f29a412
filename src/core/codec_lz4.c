/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#ifdef HAVE_LZ4
#include <lz4.h>
#endif

#include "base/number.h"

#define MAGIC "\x02\x21\x4c\x18"

#ifdef HAVE_LZ4

enum {
	BLOCK = 8 << 20, /* bytes that a block of a legacy frame holds at most */
	WORD = 4,
};

static bool truncated(struct ks_error *err)
{
	return ks_fail(err, KS_ERR_INPUT, "lz4: truncated");
}

/* The block at the front of REST, which becomes what is behind it. */
static bool next_block(struct ks_view *rest, struct ks_view *block, struct ks_error *err)
{
	const uint8_t *at = rest->data;
	size_t size;

	if (rest->len < WORD)
		return truncated(err);
	size = ks_le32(at);
	if (size > LZ4_COMPRESSBOUND(BLOCK))
		return ks_fail(err, KS_ERR_INPUT, "lz4: block of %zu bytes", size);
	if (size > rest->len - WORD)
		return truncated(err);
	*block = ks_view_of(at + WORD, size);
	*rest = ks_view_of(at + WORD + size, rest->len - WORD - size);
	return true;
}

static bool unpack_block(struct ks_view block, size_t limit, struct ks_buf *plain,
			 struct ks_error *err)
{
	int size;

	/* In steps that grow with the content, or a thousand small blocks would mean as many moves. */
	if (plain->cap - plain->len < BLOCK &&
	    !ks_buf_reserve(plain, plain->len + plain->len / 2 + 2 * (size_t)BLOCK, err))
		return false;
	size = LZ4_decompress_safe((const char *)block.data, (char *)plain->data + plain->len,
				   (int)block.len, BLOCK);
	if (size < 0)
		return ks_fail(err, KS_ERR_INPUT, "lz4: corrupt");
	plain->len += (size_t)size;
	return plain->len <= limit || ks_codec_fail_limit(&ks_codec_lz4, limit, err);
}

/* A frame has no end of its own; where the next block should start there may be another one. */
static bool lz4_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	struct ks_view rest = file, block = { 0 };

	if (!ks_view_starts_with(rest, MAGIC, WORD))
		return ks_fail(err, KS_ERR_INPUT, "lz4: no lz4 header");
	while (rest.len) {
		if (ks_view_starts_with(rest, MAGIC, WORD))
			rest = ks_view_of(rest.data + WORD, rest.len - WORD);
		else if (!next_block(&rest, &block, err) ||
			 !unpack_block(block, sink->limit, sink->plain, err))
			return false;
	}
	return true;
}

#else

static bool lz4_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	(void)file, (void)sink;
	return ks_fail(err, KS_ERR_UNSUPPORTED, "lz4: this program was built without liblz4");
}

#endif

const struct ks_codec ks_codec_lz4 = {
	.name = "lz4",
	.suffix = ".lz4",
	.magic = MAGIC,
	.magic_len = sizeof(MAGIC) - 1,
	.decode = lz4_decode,
};
