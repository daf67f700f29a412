/* SPDX-License-Identifier: MIT */
#include <endian.h>

#include "core/xz.h"

enum {
	HEADER = LZMA_STREAM_HEADER_SIZE,
	/* Up to here starting the encoder (half a millisecond) costs more than it saves. */
	STORED_MAX = 8 << 10,
	/* What the Index needs for two Blocks more. */
	ROOM = 64,
};

static const char not_understood[] = "a form that is not understood";

#define PLAN __attribute__((cleanup(free_plan))) struct plan
#define PAIR __attribute__((cleanup(free_pair))) struct pair

/* A file that is one stream. */
struct stream {
	struct ks_view bytes; /* without padding */
	lzma_check check;
	lzma_index *index;
};

/* What stays of the old stream. */
struct plan {
	struct stream old;
	lzma_check check;    /* the new one */
	const char *mended;  /* what is put right, or NULL */
	const char *why;     /* what leaves no choice but to pack, if it has a name */
	size_t whole;	     /* so many Blocks stay whole */
	lzma_index_iter cut; /* the Block that is cut where a chunk ends, if cut_data is not 0 */
	size_t cut_data;     /* bytes of its LZMA2 data that stay */
	size_t cut_content;  /* and what they hold */
	size_t rest;	     /* the content from here to the cut is to be encoded anew */
};

struct writer {
	const struct ks_splice *splice;
	const struct plan *plan;
	struct ks_buf *out;
	lzma_index *index;
};

static void free_stream(struct stream *stream)
{
	lzma_index_end(stream->index, NULL);
}

static void free_plan(struct plan *plan)
{
	free_stream(&plan->old);
}

/* Where it is not LZMA_OK, *WHY says what FILE has, or is left as it is. */
static lzma_ret read_stream(struct ks_view file, struct stream *stream, const char **why)
{
	lzma_stream_flags header, footer;
	lzma_vli size;
	lzma_ret ret;

	stream->bytes = ks_xz_cut_padding(file);
	if (stream->bytes.len < HEADER)
		return LZMA_BUF_ERROR;
	ret = lzma_stream_header_decode(&header, stream->bytes.data);
	if (ret == LZMA_OK)
		ret = ks_xz_read_last_index(stream->bytes, &footer, &stream->index);
	if (ret != LZMA_OK)
		return ret;
	stream->check = header.check;
	size = lzma_index_file_size(stream->index);
	/* Where the last stream does not start at the front, another one does. */
	if (size < stream->bytes.len)
		*why = "a second stream";
	if (size != stream->bytes.len || footer.backward_size != lzma_index_size(stream->index))
		return LZMA_DATA_ERROR;
	return lzma_stream_flags_compare(&header, &footer);
}

static struct ks_view block_bytes(const struct stream *stream, const lzma_index_iter *iter)
{
	return ks_view_of(stream->bytes.data + iter->block.compressed_file_offset,
			  (size_t)iter->block.total_size);
}

static struct ks_view slice(struct ks_view content, size_t from, size_t to)
{
	/* Nothing may be at no address, to which nothing is to be added. */
	return ks_view_of(from ? content.data + from : content.data, to - from);
}

/* The content that a Block stands for. */
static struct ks_view block_content(const lzma_index_iter *iter, struct ks_view content)
{
	size_t at = (size_t)iter->block.uncompressed_file_offset;

	return slice(content, at, at + (size_t)iter->block.uncompressed_size);
}

static size_t get_be16(const uint8_t *from)
{
	return (size_t)from[0] << 8 | from[1];
}

/* The bytes in front of an LZMA2 chunk's data; 0 for the end marker and for what is no chunk. */
static size_t chunk_head(uint8_t control)
{
	return control >= 0xc0 ? 6 : control >= 0x80 ? 5 : control == 1 || control == 2 ? 3 : 0;
}

/* The LZMA2 chunk at the front of DATA: *SIZE bytes that hold *CONTENT.  False if there is none. */
static bool read_chunk(struct ks_view data, size_t *size, size_t *content)
{
	size_t head = data.len ? chunk_head(data.data[0]) : 0;

	if (!head || head > data.len)
		return false;
	*content = get_be16(data.data + 1) + 1;
	*size = head + *content;
	if (head > 3) {
		*content += (size_t)(data.data[0] & 0x1f) << 16;
		*size = head + get_be16(data.data + 3) + 1;
	}
	return *size <= data.len;
}

/* The last end of a chunk at or before KEEP bytes of the Block's content, which has more. */
static lzma_ret plan_cut(struct plan *plan, const lzma_index_iter *iter, struct ks_view data,
			 size_t keep)
{
	size_t size, content;

	plan->cut = *iter;
	for (;;) {
		if (!read_chunk(data, &size, &content))
			return LZMA_DATA_ERROR;
		if (content > keep - plan->cut_content)
			break;
		plan->cut_data += size;
		plan->cut_content += content;
		data = slice(data, size, data.len);
	}
	plan->rest += plan->cut_content;
	return LZMA_OK;
}

static lzma_ret plan_filters(struct plan *plan, enum ks_xz_kind kind)
{
	if (kind == KS_XZ_LZMA2 || kind == KS_XZ_X86)
		return LZMA_OK;
	plan->why = kind == KS_XZ_DELTA ? "a delta filter" : "a filter other than LZMA2 and x86";
	return LZMA_OPTIONS_ERROR;
}

static lzma_ret plan_block(struct plan *plan, const lzma_index_iter *iter, size_t keep)
{
	struct ks_view bytes = block_bytes(&plan->old, iter);
	size_t at = (size_t)iter->block.uncompressed_file_offset;
	size_t len = (size_t)iter->block.uncompressed_size;
	KS_XZ_BLOCK block = { 0 };
	enum ks_xz_kind kind;
	lzma_ret ret = ks_xz_read_block(bytes, plan->old.check, &block);

	if (ret == LZMA_OK)
		ret = lzma_block_compressed_size(&block.header, iter->block.unpadded_size);
	if (ret != LZMA_OK)
		return ret;
	kind = ks_xz_kind_of(block.chain);
	ret = plan_filters(plan, kind);
	if (ret == LZMA_OK && at + len <= keep) {
		plan->whole++;
		plan->rest = at + len;
	} else if (ret == LZMA_OK && at < keep && kind == KS_XZ_LZMA2) {
		bytes = ks_view_of(bytes.data + block.header.header_size,
				   (size_t)block.header.compressed_size);
		ret = plan_cut(plan, iter, bytes, keep - at);
	}
	return ret;
}

static lzma_ret plan_blocks(struct plan *plan, size_t keep)
{
	lzma_index_iter iter;
	lzma_ret ret = LZMA_OK;

	lzma_index_iter_init(&iter, plan->old.index);
	while (ret == LZMA_OK && !lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK))
		ret = plan_block(plan, &iter, keep);
	if (ret != LZMA_OK || plan->rest || !keep)
		return ret;
	plan->why = "an end compressed along with all before it";
	return LZMA_OPTIONS_ERROR;
}

/* Kernels know CRC32 and no check at all. */
static lzma_ret plan_mending(struct plan *plan, struct ks_view file)
{
	plan->check = plan->old.check;
	if (plan->old.bytes.len < file.len)
		plan->mended = "stream padding";
	switch (plan->old.check) {
	case LZMA_CHECK_NONE:
	case LZMA_CHECK_CRC32:
		return LZMA_OK;
	case LZMA_CHECK_CRC64:
		plan->mended = "a CRC64 checksum";
		break;
	case LZMA_CHECK_SHA256:
		plan->mended = "a SHA-256 checksum";
		break;
	default:
		return LZMA_UNSUPPORTED_CHECK;
	}
	plan->check = LZMA_CHECK_CRC32;
	return LZMA_OK;
}

/* LZMA_MEM_ERROR, or what keeps the file from being spliced; plan->why may say more of it. */
static lzma_ret make_plan(const struct ks_splice *splice, struct plan *plan)
{
	lzma_ret ret = read_stream(splice->file, &plan->old, &plan->why);

	if (ret == LZMA_OK && lzma_index_uncompressed_size(plan->old.index) != splice->old_len)
		ret = LZMA_DATA_ERROR;
	if (ret == LZMA_OK)
		ret = plan_mending(plan, splice->file);
	return ret == LZMA_OK ? plan_blocks(plan, splice->keep) : ret;
}

/* Nothing but memory can be wanting where everything comes out of a plan. */
static bool done(lzma_ret ret, struct ks_error *err)
{
	if (ret == LZMA_OK)
		return true;
	return ret == LZMA_MEM_ERROR ?
		       ks_fail_memory(err) :
		       ks_fail(err, KS_ERR_INTERNAL, "xz: liblzma error %d", (int)ret);
}

static bool put_check(struct writer *w, struct ks_view content, struct ks_error *err)
{
	uint32_t crc;

	if (w->plan->check == LZMA_CHECK_NONE)
		return true;
	crc = htole32(lzma_crc32(content.data, content.len, 0));
	return ks_buf_append(w->out, &crc, sizeof(crc), err);
}

static bool put_whole(struct writer *w, const lzma_index_iter *iter, struct ks_error *err)
{
	lzma_check check = w->plan->check, old = w->plan->old.check;
	struct ks_view bytes = block_bytes(&w->plan->old, iter);
	size_t unpadded = (size_t)iter->block.unpadded_size;

	if (check != old) {
		bytes.len -= lzma_check_size(old);
		unpadded -= lzma_check_size(old) - lzma_check_size(check);
	}
	return ks_buf_append(w->out, bytes.data, bytes.len, err) &&
	       (check == old || put_check(w, block_content(iter, w->splice->content), err)) &&
	       done(lzma_index_append(w->index, NULL, unpadded, iter->block.uncompressed_size),
		    err);
}

static bool put_wholes(struct writer *w, struct ks_error *err)
{
	lzma_index_iter iter;

	lzma_index_iter_init(&iter, w->plan->old.index);
	for (size_t i = 0; i < w->plan->whole; i++)
		if (lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK) || !put_whole(w, &iter, err))
			return false;
	return true;
}

/* The header as it was, as long as it was, but for the sizes, if it has them. */
static bool put_cut_header(struct writer *w, struct ks_view bytes, struct ks_xz_block *block,
			   struct ks_error *err)
{
	lzma_block *header = &block->header;
	lzma_ret ret = ks_xz_read_block(bytes, w->plan->old.check, block);

	if (ret != LZMA_OK)
		return done(ret, err);
	if (header->compressed_size != LZMA_VLI_UNKNOWN)
		header->compressed_size = w->plan->cut_data + 1;
	if (header->uncompressed_size != LZMA_VLI_UNKNOWN)
		header->uncompressed_size = w->plan->cut_content;
	if (!ks_buf_reserve(w->out, w->out->len + header->header_size, err) ||
	    !done(lzma_block_header_encode(header, w->out->data + w->out->len), err))
		return false;
	w->out->len += header->header_size;
	return true;
}

/* A Block up to the end of a chunk.  The end marker is a zero, like the padding behind it. */
static bool put_cut(struct writer *w, struct ks_error *err)
{
	const struct plan *plan = w->plan;
	struct ks_view bytes = block_bytes(&plan->old, &plan->cut);
	size_t at = (size_t)plan->cut.block.uncompressed_file_offset;
	KS_XZ_BLOCK block = { 0 };
	lzma_vli unpadded;

	if (!plan->cut_data)
		return true;
	if (!put_cut_header(w, bytes, &block, err))
		return false;
	bytes = ks_view_of(bytes.data + block.header.header_size, plan->cut_data);
	unpadded = block.header.header_size + plan->cut_data + 1 + lzma_check_size(plan->check);
	return ks_buf_append(w->out, bytes.data, bytes.len, err) &&
	       ks_buf_append(w->out, "\0\0\0\0", 4 - bytes.len % 4, err) &&
	       put_check(w, slice(w->splice->content, at, at + plan->cut_content), err) &&
	       done(lzma_index_append(w->index, NULL, unpadded, plan->cut_content), err);
}

static lzma_ret encode_block(lzma_block *block, struct ks_view content, struct ks_buf *out)
{
	lzma_options_lzma options;
	lzma_filter chain[2];

	if (content.len <= STORED_MAX)
		return lzma_block_uncomp_encode(block, content.data, content.len, out->data,
						&out->len, out->cap);
	if (!ks_xz_packing(&options, chain))
		return LZMA_OPTIONS_ERROR;
	block->filters = chain;
	return lzma_block_buffer_encode(block, NULL, content.data, content.len, out->data,
					&out->len, out->cap);
}

static bool put_block(struct writer *w, struct ks_view content, struct ks_error *err)
{
	lzma_block block = { .check = w->plan->check };

	return !content.len ||
	       (done(encode_block(&block, content, w->out), err) &&
		done(lzma_index_append(w->index, NULL, lzma_block_unpadded_size(&block),
				       block.uncompressed_size),
		     err));
}

static struct ks_view old_rest(const struct writer *w)
{
	return slice(w->splice->content, w->plan->rest, w->splice->keep);
}

static struct ks_view new_end(const struct writer *w)
{
	return slice(w->splice->content, w->splice->keep, w->splice->content.len);
}

static bool put_header(struct writer *w, struct ks_error *err)
{
	lzma_stream_flags flags = { .check = w->plan->check };
	uint8_t header[HEADER];

	return done(lzma_stream_header_encode(&flags, header), err) &&
	       ks_buf_append(w->out, header, sizeof(header), err);
}

static bool put_index(struct writer *w, struct ks_error *err)
{
	lzma_stream_flags flags = { .check = w->plan->check };
	uint8_t footer[HEADER];

	flags.backward_size = lzma_index_size(w->index);
	return done(lzma_index_buffer_encode(w->index, w->out->data, &w->out->len, w->out->cap),
		    err) &&
	       done(lzma_stream_footer_encode(&flags, footer), err) &&
	       ks_buf_append(w->out, footer, sizeof(footer), err);
}

static bool reserve(struct writer *w, struct ks_error *err)
{
	size_t rest = lzma_block_buffer_bound(old_rest(w).len);
	size_t end = lzma_block_buffer_bound(new_end(w).len);

	if (!rest || !end)
		return ks_fail_memory(err);
	return ks_buf_reserve(w->out, w->out->len + w->plan->old.bytes.len + rest + end + ROOM,
			      err);
}

static bool put_stream(const struct ks_splice *splice, const struct plan *plan, struct ks_buf *out,
		       struct ks_error *err)
{
	KS_XZ_INDEX *index = lzma_index_init(NULL);
	struct writer w = { .splice = splice, .plan = plan, .out = out, .index = index };

	if (!index)
		return ks_fail_memory(err);
	/* The new end is a Block of its own even so, which goes without a trace the next time. */
	return reserve(&w, err) && put_header(&w, err) && put_wholes(&w, err) && put_cut(&w, err) &&
	       put_block(&w, old_rest(&w), err) && put_block(&w, new_end(&w), err) &&
	       put_index(&w, err);
}

static bool xz_splice(const struct ks_splice *splice, struct ks_buf *out,
		      struct ks_written *written, struct ks_error *err)
{
	PLAN plan = { 0 };
	lzma_ret ret = make_plan(splice, &plan);

	if (ret == LZMA_MEM_ERROR)
		return ks_fail_memory(err);
	if (ret != LZMA_OK) {
		written->way = KS_WAY_PACKED;
		written->why = plan.why ? plan.why : not_understood;
		return true;
	}
	written->way = plan.mended ? KS_WAY_MENDED : KS_WAY_SPLICED;
	written->why = plan.mended;
	return put_stream(splice, &plan, out, err);
}

static bool xz_cuts_cleanly(const struct ks_splice *splice)
{
	PLAN plan = { 0 };

	return make_plan(splice, &plan) == LZMA_OK && plan.rest == splice->keep;
}

/* --- reading back -------------------------------------------------------------------------- */

/* Everything here is found out from the two files, and nothing taken from a plan. */
struct pair {
	const struct ks_splice *splice;
	struct stream old;
	struct stream new;
};

static void free_pair(struct pair *pair)
{
	free_stream(&pair->old);
	free_stream(&pair->new);
}

/*
 * Whether a Block of the new stream is one that was decoded, check and all, when the old file was
 * read: the same bytes, for the same content.  A check of another kind is compared with the content.
 */
static bool was_decoded(const struct pair *pair, const lzma_index_iter *old,
			const lzma_index_iter *new)
{
	struct ks_view before = block_bytes(&pair->old, old);
	struct ks_view after = block_bytes(&pair->new, new);
	struct ks_view content = block_content(new, pair->splice->content);
	uint32_t crc;

	if (old->block.uncompressed_file_offset != new->block.uncompressed_file_offset ||
	    old->block.uncompressed_size != new->block.uncompressed_size ||
	    new->block.uncompressed_file_offset + content.len > pair->splice->keep)
		return false;
	if (pair->old.check == pair->new.check)
		return ks_view_equal(before, after);
	crc = htole32(lzma_crc32(content.data, content.len, 0));
	before.len -= lzma_check_size(pair->old.check);
	after.len -= sizeof(crc);
	return ks_view_equal(before, after) &&
	       ks_view_equal(ks_view_of(after.data + after.len, sizeof(crc)),
			     ks_view_of(&crc, sizeof(crc)));
}

static lzma_ret start_block(lzma_stream *z, struct ks_view bytes, const lzma_index_iter *iter,
			    struct ks_xz_block *block)
{
	lzma_ret ret;

	ret = lzma_block_compressed_size(&block->header, iter->block.unpadded_size);
	if (ret != LZMA_OK)
		return ret;
	z->next_in = bytes.data + block->header.header_size;
	z->avail_in = bytes.len - block->header.header_size;
	return lzma_block_decoder(z, &block->header);
}

/* Decodes a Block, which compares its sizes and its check, too. */
static bool block_holds(const struct pair *pair, const lzma_index_iter *iter, struct ks_error *err)
{
	struct ks_view bytes = block_bytes(&pair->new, iter);
	struct ks_view content = block_content(iter, pair->splice->content);
	struct ks_codec_sink sink = { .codec = &ks_codec_xz,
				      .expected = content,
				      .limit = content.len };
	KS_XZ_CODER z = LZMA_STREAM_INIT;
	KS_XZ_BLOCK block = { 0 };
	lzma_ret ret = ks_xz_read_block(bytes, pair->new.check, &block);
	bool ok;

	if (ret == LZMA_OK)
		ret = start_block(&z, bytes, iter, &block);
	ok = ks_xz_decode(&z, ret, &sink, err);
	ks_buf_drop(&sink.scratch);
	if (!ok && (err->code == KS_ERR_SYSTEM || err->code == KS_ERR_INTERNAL))
		return false;
	return (ok && sink.compared == content.len) || ks_splice_fail("xz", "a damaged block", err);
}

/*
 * A Block that was cut is decoded like a new one.  Comparing bytes would need to know where a
 * chunk ends, which is what is to be proved.
 */
static bool blocks_hold(const struct pair *pair, struct ks_error *err)
{
	lzma_index_iter old, new;

	lzma_index_iter_init(&old, pair->old.index);
	lzma_index_iter_init(&new, pair->new.index);
	while (!lzma_index_iter_next(&new, LZMA_INDEX_ITER_BLOCK)) {
		bool known = !lzma_index_iter_next(&old, LZMA_INDEX_ITER_BLOCK) &&
			     was_decoded(pair, &old, &new);

		if (!known && !block_holds(pair, &new, err))
			return false;
	}
	return true;
}

static bool read_pair(struct pair *pair, struct ks_view out, struct ks_error *err)
{
	const char *why = not_understood;
	lzma_ret ret = read_stream(pair->splice->file, &pair->old, &why);

	if (ret == LZMA_OK)
		ret = read_stream(out, &pair->new, &why);
	if (ret == LZMA_MEM_ERROR)
		return ks_fail_memory(err);
	return ret == LZMA_OK || ks_splice_fail("xz", why, err);
}

/*
 * The Index says how the content is laid out over the Blocks, each from where the one before ends;
 * a stream that it matches in size has nothing beside them.
 */
static bool pair_holds(const struct pair *pair, struct ks_view out, struct ks_error *err)
{
	lzma_check check = pair->new.check;

	if (pair->new.bytes.len != out.len)
		return ks_splice_fail("xz", "padding", err);
	if (check != LZMA_CHECK_CRC32 &&
	    (check != LZMA_CHECK_NONE || pair->old.check != LZMA_CHECK_NONE))
		return ks_splice_fail("xz", "another kind of checksum", err);
	if (lzma_index_uncompressed_size(pair->new.index) != pair->splice->content.len)
		return ks_splice_fail("xz", "an index of other content", err);
	return blocks_hold(pair, err);
}

static bool xz_reread(const struct ks_splice *splice, struct ks_view out, struct ks_error *err)
{
	PAIR pair = { .splice = splice };

	return read_pair(&pair, out, err) && pair_holds(&pair, out, err);
}

const struct ks_splicer ks_splicer_xz = {
	.splice = xz_splice,
	.reread = xz_reread,
	.cuts_cleanly = xz_cuts_cleanly,
};
