/* SPDX-License-Identifier: MIT */
/*
 * xz streams that get another end.  Whatever comes out is decoded by liblzma as one stream, and
 * its Blocks are compared with those of the old file.
 */
#include "fixture.h"

#include <endian.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"

enum {
	KIB = 1024,
	MIB = 1024 * KIB,
	HEADER = LZMA_STREAM_HEADER_SIZE,
	SIGNATURE = 700,
	STORED_MAX = 8 * KIB,
	BLOCKS = 64,
};

/* --- content and streams ------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void append(struct ks_buf *buf, const void *data, size_t len)
{
	assert_ok(ks_buf_append(buf, data, len, &error));
}

static void append_view(struct ks_buf *buf, struct ks_view view)
{
	append(buf, view.data, view.len);
}

static void fill_random(struct ks_buf *buf, size_t len)
{
	uint32_t state = 0x9e3779b9u + (uint32_t)len;

	assert_ok(ks_buf_reserve(buf, buf->len + len, &error));
	while (len--)
		buf->data[buf->len++] = (uint8_t)(next_random(&state) >> 11);
}

/* Shrinks to about a third. */
static void fill_mixed(struct ks_buf *buf, size_t len)
{
	uint32_t state = 0x12345678u + (uint32_t)len;

	assert_ok(ks_buf_reserve(buf, buf->len + len, &error));
	while (len--) {
		uint32_t r = next_random(&state) >> 7;

		buf->data[buf->len++] = (uint8_t)(r % 5 ? "module"[r % 3] : (int)(r >> 8));
	}
}

static void fill_zeros(struct ks_buf *buf, size_t len)
{
	assert_ok(ks_buf_reserve(buf, buf->len + len, &error));
	memset(buf->data + buf->len, 0, len);
	buf->len += len;
}

/* Chunks that are stored, and then others: the first of those sets properties of its own. */
static void fill_both(struct ks_buf *buf, size_t len)
{
	fill_random(buf, len / 2);
	fill_mixed(buf, len - len / 2);
}

typedef void fill_fn(struct ks_buf *buf, size_t len);

/* How a stream is to be made; fields that are 0 ask for nothing. */
struct form {
	lzma_check check;
	size_t len;   /* of the content */
	size_t block; /* of each Block's content */
	size_t chunk; /* of each chunk's content: a sync flush ends one */
	bool x86;
	bool threads; /* liblzma's threaded encoder, which writes sizes into Block headers */
	fill_fn *fill;
};

/* A file and what it holds. */
struct old {
	struct ks_buf plain;
	struct ks_buf file;
};

#define OLD __attribute__((cleanup(free_old))) struct old

static void free_old(struct old *old)
{
	ks_buf_drop(&old->plain);
	ks_buf_drop(&old->file);
}

static void start(lzma_stream *z, lzma_filter *filters, const struct form *form)
{
	lzma_mt mt = { .threads = 2, .block_size = form->block, .filters = filters };

	mt.check = form->check;
	if (form->threads)
		assert_int_equal(lzma_stream_encoder_mt(z, &mt), LZMA_OK);
	else
		assert_int_equal(lzma_stream_encoder(z, filters, form->check), LZMA_OK);
}

static void code(lzma_stream *z, lzma_action action)
{
	lzma_ret ret;

	do
		ret = lzma_code(z, action);
	while (ret == LZMA_OK && (z->avail_in || action != LZMA_RUN));
	assert_int_equal(ret, action == LZMA_RUN ? LZMA_OK : LZMA_STREAM_END);
}

/* Encodes PLAIN; a Block or a chunk ends where FORM says. */
static void encode(lzma_stream *z, struct ks_view plain, const struct form *form)
{
	size_t step = form->threads ? 0 : form->chunk ? form->chunk : form->block;

	for (size_t at = 0; at < plain.len; at += step) {
		if (at)
			code(z, form->block && at % form->block == 0 ? LZMA_FULL_FLUSH :
								       LZMA_SYNC_FLUSH);
		if (!step)
			step = plain.len;
		z->next_in = plain.data + at;
		z->avail_in = plain.len - at < step ? plain.len - at : step;
		code(z, LZMA_RUN);
	}
	code(z, LZMA_FINISH);
}

static void make(const struct form *form, struct old *old)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
				  { LZMA_FILTER_LZMA2, &options },
				  { LZMA_VLI_UNKNOWN, NULL } };

	assert_false(lzma_lzma_preset(&options, 1));
	(form->fill ? form->fill : fill_mixed)(&old->plain, form->len);
	assert_ok(ks_buf_reserve(&old->file, 2 * form->len + MIB, &error));
	z.next_out = old->file.data;
	z.avail_out = old->file.cap;
	start(&z, filters + !form->x86, form);
	encode(&z, ks_buf_view(&old->plain), form);
	old->file.len = old->file.cap - z.avail_out;
	lzma_end(&z);
}

/* --- what a stream is made of, as liblzma reads it ------------------------------------------ */

struct part {
	size_t at, len; /* in the file */
	size_t head;
	size_t data; /* bytes, without padding */
	size_t content_at, content_len;
	bool sized; /* the header has a size */
};

struct parts {
	lzma_check check;
	size_t count;
	struct part part[BLOCKS];
};

static void read_part(struct ks_view file, const lzma_index_iter *iter, lzma_check check,
		      struct part *part)
{
	lzma_filter chain[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .check = check, .filters = chain };

	*part = (struct part){ .at = iter->block.compressed_file_offset,
			       .len = iter->block.total_size,
			       .content_at = iter->block.uncompressed_file_offset,
			       .content_len = iter->block.uncompressed_size };
	block.header_size = lzma_block_header_size_decode(file.data[part->at]);
	assert_int_equal(lzma_block_header_decode(&block, NULL, file.data + part->at), LZMA_OK);
	for (size_t i = 0; chain[i].id != LZMA_VLI_UNKNOWN; i++)
		free(chain[i].options);
	part->sized = block.compressed_size != LZMA_VLI_UNKNOWN;
	assert_int_equal(lzma_block_compressed_size(&block, iter->block.unpadded_size), LZMA_OK);
	part->head = block.header_size;
	part->data = block.compressed_size;
}

static void read_parts(struct ks_view file, struct parts *parts)
{
	const uint8_t *end = file.data + file.len - HEADER;
	lzma_index_iter iter;
	lzma_index *index;
	lzma_stream_flags footer;
	uint64_t memory = UINT64_MAX;
	size_t pos = 0;

	assert_int_equal(lzma_stream_footer_decode(&footer, end), LZMA_OK);
	assert_int_equal(lzma_index_buffer_decode(&index, &memory, NULL, end - footer.backward_size,
						  &pos, footer.backward_size),
			 LZMA_OK);
	assert_int_equal(lzma_index_file_size(index), file.len);
	parts->check = footer.check;
	parts->count = 0;
	lzma_index_iter_init(&iter, index);
	while (!lzma_index_iter_next(&iter, LZMA_INDEX_ITER_BLOCK)) {
		assert_true(parts->count < BLOCKS);
		read_part(file, &iter, parts->check, &parts->part[parts->count++]);
	}
	lzma_index_end(index, NULL);
}

/* Where the chunks of a Block end in its content, by the sizes that they say. */
static size_t read_chunks(const uint8_t *data, size_t *ends, size_t max)
{
	size_t count = 0, end = 0;

	while (*data) {
		size_t low = (size_t)data[1] << 8 | data[2];
		size_t packed = (size_t)data[3] << 8 | data[4];

		assert_true(count < max);
		if (*data & 0x80) {
			end += ((size_t)(*data & 0x1f) << 16) + low + 1;
			data += (*data < 0xc0 ? 5 : 6) + packed + 1;
		} else {
			end += low + 1;
			data += 3 + low + 1;
		}
		ends[count++] = end;
	}
	return count;
}

/* --- what is expected ---------------------------------------------------------------------- */

/* The stream decoder, told to expect nothing behind its stream. */
static void expect_stream(struct ks_view file, struct ks_view content)
{
	lzma_stream z = LZMA_STREAM_INIT;
	KS_BULK got = { 0 };

	assert_ok(ks_buf_reserve(&got, content.len + 1, &error));
	assert_int_equal(lzma_stream_decoder(&z, UINT64_MAX, 0), LZMA_OK);
	z.next_in = file.data;
	z.avail_in = file.len;
	z.next_out = got.data;
	z.avail_out = got.cap;
	assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.total_out, content.len);
	assert_true(ks_view_equal(ks_view_of(got.data, content.len), content));
	lzma_end(&z);
}

static struct ks_splice splice_of(const struct old *old, size_t keep, struct ks_view content)
{
	static const struct ks_seams no_seams;

	return (struct ks_splice){ .file = ks_buf_view(&old->file),
				   .seams = &no_seams,
				   .old_len = old->plain.len,
				   .keep = keep,
				   .content = content };
}

static void want(const struct old *old, size_t keep, struct ks_view tail, struct ks_buf *content)
{
	append(content, old->plain.data, keep);
	append_view(content, tail);
}

/* The same arguments elsewhere in memory. */
static void expect_same_again(const struct ks_splice *splice, struct ks_view out)
{
	struct ks_splice moved = *splice;
	struct ks_written written;
	KS_BULK file = { 0 };
	KS_BULK again = { 0 };

	append(&file, "!", 1);
	append_view(&file, splice->file);
	moved.file = ks_view_of(file.data + 1, file.len - 1);
	append(&again, "front", 5);
	assert_ok(ks_splicer_xz.splice(&moved, &again, &written, &error));
	assert_memory_equal(again.data, "front", 5);
	assert_true(ks_view_equal(ks_view_of(again.data + 5, again.len - 5), out));
}

/* All in front of what is cut is the old file's; but for the checks, where those are renewed. */
static void expect_kept(const struct old *old, struct ks_view out, size_t keep)
{
	static struct parts before, after;

	read_parts(ks_buf_view(&old->file), &before);
	read_parts(out, &after);
	if (before.check == after.check)
		assert_memory_equal(out.data, old->file.data, HEADER);
	for (size_t i = 0; i < before.count; i++) {
		const struct part *a = &before.part[i], *b = &after.part[i];

		if (a->content_at + a->content_len > keep)
			break;
		assert_true(i < after.count);
		assert_int_equal(b->content_at, a->content_at);
		assert_int_equal(b->content_len, a->content_len);
		assert_memory_equal(out.data + b->at, old->file.data + a->at, a->head + a->data);
		if (before.check == after.check)
			assert_memory_equal(out.data + b->at, old->file.data + a->at, a->len);
	}
}

static bool cuts_cleanly(const struct old *old, size_t keep)
{
	struct ks_splice asked = splice_of(old, keep, ks_view_of(NULL, 0));

	return ks_splicer_xz.cuts_cleanly(&asked);
}

/* What came last goes the next time without anything to be encoded. */
static void expect_clean_cut(struct ks_view out, const struct ks_splice *splice)
{
	OLD new = { 0 };

	append_view(&new.plain, splice->content);
	append_view(&new.file, out);
	assert_true(cuts_cleanly(&new, splice->keep));
}

/* OUT gets the file that the splicer makes, whose way must be WAY. */
static void splice(const struct old *old, size_t keep, struct ks_view tail, enum ks_way way,
		   const char *why, struct ks_buf *out)
{
	struct ks_written written = { 0 };
	struct ks_splice splice;
	KS_BULK content = { 0 };

	want(old, keep, tail, &content);
	splice = splice_of(old, keep, ks_buf_view(&content));
	assert_ok(ks_codec_write(&ks_codec_xz, &splice, false, out, &written, &error));
	assert_int_equal(written.way, way);
	assert_true(!written.why == !why);
	if (why)
		assert_string_equal(written.why, why);
	expect_stream(ks_buf_view(out), ks_buf_view(&content));
	assert_false(ks_objection_is_weighty(ks_codec_xz.objection(ks_buf_view(out))));
	expect_clean_cut(ks_buf_view(out), &splice);
	if (way == KS_WAY_PACKED) {
		assert_false(ks_splicer_xz.cuts_cleanly(&splice));
		return;
	}
	/* It was reserved at once: appending would have made it just as large as needed. */
	assert_true(out->cap > out->len);
	expect_same_again(&splice, ks_buf_view(out));
	assert_ok(ks_codec_holds(&ks_codec_xz, ks_buf_view(out), splice.content, &error));
}

/* The same, and all that stays is as it was. */
static void splice_kept(const struct old *old, size_t keep, struct ks_view tail, struct ks_buf *out)
{
	splice(old, keep, tail, KS_WAY_SPLICED, NULL, out);
	expect_kept(old, ks_buf_view(out), keep);
}

static void expect_packed(const struct old *old, size_t keep, const char *why)
{
	KS_BULK out = { 0 };
	struct ks_written written = { 0 };
	struct ks_splice asked = splice_of(old, keep, ks_view_of(old->plain.data, keep));

	append(&out, "front", 5);
	assert_ok(ks_splicer_xz.splice(&asked, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_string_equal(written.why, why);
	assert_int_equal(out.len, 5);
	assert_false(ks_splicer_xz.cuts_cleanly(&asked));
}

static const struct ks_view nothing = { (const uint8_t *)"", 0 };

static struct ks_view signature(size_t len)
{
	static struct ks_buf bytes;

	if (bytes.len < len) {
		ks_buf_drop(&bytes);
		fill_random(&bytes, len);
	}
	return ks_view_of(bytes.data, len);
}

/* --- appending ----------------------------------------------------------------------------- */

static const struct form forms[] = {
	{ .check = LZMA_CHECK_CRC32, .len = 0 },
	{ .check = LZMA_CHECK_CRC32, .len = 1 },
	{ .check = LZMA_CHECK_CRC32, .len = 5001 },
	{ .check = LZMA_CHECK_NONE, .len = 5002 },
	{ .check = LZMA_CHECK_CRC32, .len = 100 * KIB },
	{ .check = LZMA_CHECK_CRC32, .len = 100 * KIB, .fill = fill_random },
	{ .check = LZMA_CHECK_CRC32, .len = 3 * MIB, .fill = fill_zeros },
	{ .check = LZMA_CHECK_CRC32, .len = 50003, .block = 10000 },
	{ .check = LZMA_CHECK_NONE, .len = 50000, .block = 10000 },
	{ .check = LZMA_CHECK_CRC32, .len = 50001, .block = 10000, .threads = true },
	{ .check = LZMA_CHECK_CRC32, .len = 5000, .chunk = 1000 },
	{ .check = LZMA_CHECK_CRC32, .len = 5000, .chunk = 1000, .fill = fill_random },
	{ .check = LZMA_CHECK_CRC32, .len = 9000, .x86 = true },
	{ .check = LZMA_CHECK_CRC32, .len = 50000, .block = 10000, .x86 = true },
};

enum { FORMS = sizeof(forms) / sizeof(*forms) };

static void test_append(void **state)
{
	static const size_t lens[] = {
		0,     1,     2,     3,	      SIGNATURE, STORED_MAX - 1, STORED_MAX, STORED_MAX + 1,
		65535, 65536, 65537, 70 * KIB
	};

	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };

		make(&forms[i], &old);
		assert_true(cuts_cleanly(&old, old.plain.len));
		for (size_t j = 0; j < sizeof(lens) / sizeof(*lens); j++) {
			KS_BULK out = { 0 };

			/* Encoding takes long, and this many times says it. */
			if (lens[j] > STORED_MAX && i % 4)
				break;
			splice_kept(&old, old.plain.len, signature(lens[j]), &out);
			/* Random bytes cost what they are, heads and paddings. */
			assert_true(out.len <= old.file.len + lens[j] + lens[j] / 65536 * 3 + 64);
		}
	}
}

static void test_append_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };
		KS_BULK out = { 0 };

		make(&forms[i], &old);
		splice_kept(&old, old.plain.len, nothing, &out);
		assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&old.file)));
	}
}

/* What is long and can be made smaller is. */
static void test_append_compresses(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 100 };
	OLD old = { 0 };
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	fill_mixed(&tail, 100 * KIB);
	splice_kept(&old, old.plain.len, ks_buf_view(&tail), &out);
	assert_true(out.len < 60 * KIB);
}

/* What was appended goes without a trace. */
static void test_append_and_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };
		OLD grown = { 0 };
		KS_BULK out = { 0 };

		make(&forms[i], &old);
		want(&old, old.plain.len, signature(SIGNATURE), &grown.plain);
		splice_kept(&old, old.plain.len, signature(SIGNATURE), &grown.file);
		assert_false(cuts_cleanly(&grown, old.plain.len + 1));
		assert_true(cuts_cleanly(&grown, old.plain.len));
		splice_kept(&grown, old.plain.len, nothing, &out);
		assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&old.file)));
	}
}

/* Signed, signed by another key, unsigned: only the last Block changes. */
static void test_sign_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };
		OLD first = { 0 };
		OLD second = { 0 };
		KS_BULK direct = { 0 };
		KS_BULK out = { 0 };
		size_t len;

		make(&forms[i], &old);
		len = old.plain.len;
		want(&old, len, signature(SIGNATURE), &first.plain);
		splice_kept(&old, len, signature(SIGNATURE), &first.file);
		want(&first, len, signature(413), &second.plain);
		splice_kept(&first, len, signature(413), &second.file);
		splice_kept(&old, len, signature(413), &direct);
		assert_true(ks_view_equal(ks_buf_view(&second.file), ks_buf_view(&direct)));
		splice_kept(&second, len, nothing, &out);
		assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&old.file)));
	}
}

/* --- cutting ------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
	KS_BULK empty = { 0 };

	(void)state;
	assert_ok(ks_codec_xz.pack(nothing, &empty, &error));
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };
		KS_BULK out = { 0 };

		make(&forms[i], &old);
		splice_kept(&old, 0, nothing, &out);
		if (forms[i].check == LZMA_CHECK_CRC32)
			assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&empty)));
		assert_int_equal(out.len, 2 * HEADER + 8);
		ks_buf_drop(&out);
		splice_kept(&old, 0, signature(SIGNATURE), &out);
	}
}

/* Cuts at KEEP, which is END or beside it, in front of which FIRST bytes are one chunk. */
static void cut_near(const struct old *old, size_t keep, size_t end, size_t first)
{
	const size_t lens[] = { 0, SIGNATURE };

	for (size_t i = 0; i < 2; i++) {
		KS_BULK out = { 0 };

		if (keep && keep < first)
			splice(old, keep, signature(lens[i]), KS_WAY_PACKED,
			       "an end compressed along with all before it", &out);
		else
			splice_kept(old, keep, signature(lens[i]), &out);
	}
	assert_int_equal(cuts_cleanly(old, keep), keep == end || !keep || keep == old->plain.len);
}

static void test_cut_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		OLD old = { 0 };

		if (!forms[i].block)
			continue;
		make(&forms[i], &old);
		for (size_t end = 0; end <= forms[i].len; end += forms[i].block)
			for (size_t keep = end ? end - 1 : 0; keep <= end + 1; keep++)
				if (keep <= forms[i].len)
					cut_near(&old, keep, end, forms[i].block);
	}
}

/* The content of the last Block but one, if it was cut, is what all its whole chunks hold. */
static void expect_cut(const struct old *old, const struct ks_buf *out, size_t keep, size_t end)
{
	static struct parts before, after;
	const struct part *a = before.part, *b = after.part;

	read_parts(ks_buf_view(&old->file), &before);
	read_parts(ks_buf_view(out), &after);
	assert_int_equal(before.count, 1);
	assert_int_equal(after.count, 1 + (keep > end));
	assert_int_equal(b->content_len, end);
	assert_int_equal(b->head, a->head);
	assert_int_equal(b->sized, a->sized);
	assert_memory_equal(out->data + b->at + b->head, old->file.data + a->at + a->head,
			    b->data - 1);
	if (!a->sized)
		assert_memory_equal(out->data + b->at, old->file.data + a->at, a->head);
	assert_int_equal(out->data[b->at + b->head + b->data - 1], 0);
}

/* Cuts around each end of a chunk. */
static void cut_chunks(const struct old *old)
{
	static size_t ends[4096];
	static struct parts parts;
	size_t count;

	read_parts(ks_buf_view(&old->file), &parts);
	assert_int_equal(parts.count, 1);
	count = read_chunks(old->file.data + parts.part[0].at + parts.part[0].head, ends, 4096);
	assert_int_equal(ends[count - 1], old->plain.len);
	assert_true(count > 1);
	for (size_t i = 0; i + 1 < count; i++) {
		cut_near(old, ends[i] - 1, ends[i], ends[0]);
		cut_near(old, ends[i], ends[i], ends[0]);
		cut_near(old, ends[i] + 1, ends[i], ends[0]);
		for (size_t keep = ends[i]; keep < ends[i + 1]; keep += ends[i + 1] - ends[i] - 1) {
			KS_BULK out = { 0 };

			splice_kept(old, keep, nothing, &out);
			expect_cut(old, &out, keep, ends[i]);
			if (ends[i + 1] - ends[i] == 1)
				break;
		}
	}
}

static void test_cut_chunks(void **state)
{
	static const struct form cases[] = {
		{ .check = LZMA_CHECK_CRC32, .len = 5500, .chunk = 1000 },
		{ .check = LZMA_CHECK_NONE, .len = 5500, .chunk = 999 },
		{ .check = LZMA_CHECK_CRC32, .len = 5500, .chunk = 998, .fill = fill_random },
		/* The compressor's own: 64 KiB of compressed, 2 MiB of plain bytes. */
		{ .check = LZMA_CHECK_CRC32, .len = 250 * KIB },
		{ .check = LZMA_CHECK_CRC32, .len = 140 * KIB, .fill = fill_random },
		{ .check = LZMA_CHECK_NONE, .len = 3 * MIB, .fill = fill_zeros },
		{ .check = LZMA_CHECK_CRC32, .len = 5000, .chunk = 500, .fill = fill_both },
		{ .check = LZMA_CHECK_CRC32, .len = 250 * KIB, .block = MIB, .threads = true },
		{ .check = LZMA_CHECK_NONE,
		  .len = 140 * KIB,
		  .block = MIB,
		  .threads = true,
		  .fill = fill_random },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OLD old = { 0 };

		make(&cases[i], &old);
		cut_chunks(&old);
	}
}

/* Chunks of one byte, and an end marker right behind them. */
static void test_cut_small_chunks(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 9, .chunk = 1 };
	OLD old = { 0 };

	(void)state;
	make(&form, &old);
	for (size_t keep = 0; keep <= form.len; keep++) {
		KS_BULK out = { 0 };

		assert_true(cuts_cleanly(&old, keep));
		splice_kept(&old, keep, signature(keep), &out);
	}
}

/* A Block whose chunks end in the same places as others', in the middle of a stream. */
static void test_cut_chunks_in_blocks(void **state)
{
	const struct form form = {
		.check = LZMA_CHECK_CRC32, .len = 30000, .block = 10000, .chunk = 2500
	};
	static struct parts parts;
	OLD old = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	splice_kept(&old, 16000, signature(SIGNATURE), &out);
	read_parts(ks_buf_view(&out), &parts);
	assert_int_equal(parts.count, 4);
	assert_int_equal(parts.part[1].content_len, 5000);
	assert_int_equal(parts.part[2].content_len, 1000);
	assert_int_equal(parts.part[3].content_len, SIGNATURE);
	/* A Block whose first chunk does not survive goes whole. */
	ks_buf_drop(&out);
	splice_kept(&old, 12499, signature(SIGNATURE), &out);
	read_parts(ks_buf_view(&out), &parts);
	assert_int_equal(parts.count, 3);
	assert_int_equal(parts.part[1].content_len, 2499);
	assert_true(cuts_cleanly(&old, 12500));
	assert_false(cuts_cleanly(&old, 12499));
}

/*
 * Signed by somebody, in one Block with all the rest; then by us, again by us, and unsigned: the
 * part that had to be compressed again stays as it is from then on.
 */
static void test_sign_over_another(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 300 * KIB };
	const size_t len = form.len - SIGNATURE;
	OLD old = { 0 };
	OLD first = { 0 };
	OLD second = { 0 };
	KS_BULK out = { 0 };
	KS_BULK direct = { 0 };

	(void)state;
	make(&form, &old);
	assert_false(cuts_cleanly(&old, len));
	want(&old, len, signature(SIGNATURE), &first.plain);
	splice_kept(&old, len, signature(SIGNATURE), &first.file);
	want(&old, len, signature(413), &second.plain);
	splice_kept(&first, len, signature(413), &second.file);
	splice_kept(&old, len, signature(413), &direct);
	assert_true(ks_view_equal(ks_buf_view(&second.file), ks_buf_view(&direct)));
	splice_kept(&second, len, nothing, &out);
	ks_buf_drop(&direct);
	splice_kept(&old, len, nothing, &direct);
	assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&direct)));
}

/* A part that has to be compressed again is, if that is worth it. */
static void test_cut_compresses(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32,
				   .len = 200 * KIB,
				   .chunk = 100 * KIB };
	OLD old = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	splice_kept(&old, form.len - 1, nothing, &out);
	assert_true(out.len < old.file.len + KIB);
	ks_buf_drop(&out);
	splice_kept(&old, 100 * KIB + STORED_MAX, nothing, &out);
	assert_true(out.len > old.file.len / 2 + STORED_MAX - KIB);
}

static void test_cut_x86(void **state)
{
	const struct form form = {
		.check = LZMA_CHECK_CRC32, .len = 30000, .block = 10000, .x86 = true
	};
	static struct parts parts;
	OLD old = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	splice_kept(&old, 19000, signature(SIGNATURE), &out);
	read_parts(ks_buf_view(&out), &parts);
	assert_int_equal(parts.count, 3);
	assert_int_equal(parts.part[1].content_len, 9000);
	assert_false(cuts_cleanly(&old, 17500));
	assert_true(cuts_cleanly(&old, 20000));
	expect_packed(&old, 9999, "an end compressed along with all before it");
}

/* The filter looks ahead, so that no chunk's end is one of its own. */
static void test_cut_x86_chunks(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 250 * KIB, .x86 = true };
	static struct parts parts;
	size_t ends[16];
	OLD old = { 0 };

	(void)state;
	make(&form, &old);
	read_parts(ks_buf_view(&old.file), &parts);
	assert_true(read_chunks(old.file.data + parts.part[0].at + parts.part[0].head, ends, 16) >
		    1);
	expect_packed(&old, ends[0], "an end compressed along with all before it");
}

static void test_many_blocks(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC64, .len = 5000, .block = 1 };
	OLD old = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	splice(&old, 4999, signature(SIGNATURE), KS_WAY_MENDED, "a CRC64 checksum", &out);
}

/* --- what is mended ------------------------------------------------------------------------ */

static const struct {
	lzma_check check;
	const char *why;
} foreign[] = { { LZMA_CHECK_CRC64, "a CRC64 checksum" },
		{ LZMA_CHECK_SHA256, "a SHA-256 checksum" } };

static void mend(struct form form, const char *why)
{
	const size_t keeps[] = { form.len, form.len - 1, 20000, 20001, 17500, 0 };

	for (size_t i = 0; i < sizeof(keeps) / sizeof(*keeps); i++) {
		OLD old = { 0 };
		OLD mended = { 0 };
		KS_BULK out = { 0 };

		make(&form, &old);
		splice(&old, keeps[i], nothing, KS_WAY_MENDED, why, &mended.file);
		expect_kept(&old, ks_buf_view(&mended.file), keeps[i]);
		assert_int_equal(mended.file.data[7], LZMA_CHECK_CRC32);
		want(&old, keeps[i], nothing, &mended.plain);
		splice_kept(&mended, keeps[i], nothing, &out);
		assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&mended.file)));
		ks_buf_drop(&out);
		splice(&old, keeps[i], signature(SIGNATURE), KS_WAY_MENDED, why, &out);
	}
}

static void test_mend_checks(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct form form = {
			.check = foreign[i].check, .len = 30001, .block = 10000, .chunk = 2500
		};

		mend(form, foreign[i].why);
		form.block = 0;
		mend(form, foreign[i].why);
		form = (struct form){
			.check = foreign[i].check, .len = 30001, .block = 10000, .threads = true
		};
		mend(form, foreign[i].why);
		form = (struct form){
			.check = foreign[i].check, .len = 30001, .block = 10000, .x86 = true
		};
		mend(form, foreign[i].why);
	}
}

static void test_mend_empty(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC64 };
	OLD old = { 0 };
	KS_BULK out = { 0 };
	KS_BULK empty = { 0 };

	(void)state;
	make(&form, &old);
	splice(&old, 0, nothing, KS_WAY_MENDED, "a CRC64 checksum", &out);
	assert_ok(ks_codec_xz.pack(nothing, &empty, &error));
	assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&empty)));
}

static void test_mend_padding(void **state)
{
	struct form form = { .check = LZMA_CHECK_CRC32, .len = 1000 };

	(void)state;
	for (size_t zeros = 4; zeros <= 40; zeros += 4) {
		OLD old = { 0 };
		OLD clean = { 0 };
		KS_BULK out = { 0 };

		make(&form, &old);
		make(&form, &clean);
		append(&old.file,
		       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
		       zeros);
		splice(&old, form.len, nothing, KS_WAY_MENDED, "stream padding", &out);
		assert_true(ks_view_equal(ks_buf_view(&out), ks_buf_view(&clean.file)));
		assert_true(cuts_cleanly(&old, form.len));
		form.check = zeros % 8 ? LZMA_CHECK_NONE : LZMA_CHECK_CRC32;
	}
}

/* The weightier reason is told. */
static void test_mend_both(void **state)
{
	const struct form form = { .check = LZMA_CHECK_SHA256, .len = 1000 };
	OLD old = { 0 };
	KS_BULK out = { 0 };

	(void)state;
	make(&form, &old);
	append(&old.file, "\0\0\0\0", 4);
	splice(&old, form.len, signature(SIGNATURE), KS_WAY_MENDED, "a SHA-256 checksum", &out);
}

/* --- streams that nobody writes ------------------------------------------------------------- */

static void put_crc32(uint8_t *at, const uint8_t *data, size_t len)
{
	uint32_t crc = htole32(lzma_crc32(data, len, 0));

	memcpy(at, &crc, sizeof(crc));
}

/*
 * One more Block for a stream that is being put together, in chunks that are not compressed.  The
 * Index claims that it holds so many bytes.
 */
static void put_block(struct old *old, lzma_index *index, const char *text, size_t claim)
{
	lzma_options_lzma options = { .dict_size = 4096 };
	lzma_filter chain[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	lzma_block block = { .check = LZMA_CHECK_CRC32, .filters = chain };
	uint8_t crc[4];
	size_t len = strlen(text);
	uint8_t head[] = { 1, 0, (uint8_t)(len - 1) };

	append(&old->plain, text, len);
	block.compressed_size = len ? 3 + len + 1 : 1;
	block.uncompressed_size = LZMA_VLI_UNKNOWN;
	assert_int_equal(lzma_block_header_size(&block), LZMA_OK);
	block.header_size += 8;
	assert_ok(ks_buf_reserve(&old->file, old->file.len + block.header_size, &error));
	assert_int_equal(lzma_block_header_encode(&block, old->file.data + old->file.len), LZMA_OK);
	old->file.len += block.header_size;
	if (len)
		append(&old->file, head, sizeof(head));
	append(&old->file, text, len);
	append(&old->file, "\0\0\0\0", 4 - (block.compressed_size - 1) % 4);
	put_crc32(crc, (const uint8_t *)text, len);
	append(&old->file, crc, sizeof(crc));
	assert_int_equal(lzma_index_append(index, NULL, lzma_block_unpadded_size(&block), claim),
			 LZMA_OK);
}

/* Index, which is freed, and Footer. */
static void put_end(struct old *old, lzma_index *index)
{
	lzma_stream_flags flags = { .check = LZMA_CHECK_CRC32 };
	uint8_t header[HEADER];

	flags.backward_size = lzma_index_size(index);
	assert_ok(ks_buf_reserve(&old->file, old->file.len + flags.backward_size, &error));
	assert_int_equal(
		lzma_index_buffer_encode(index, old->file.data, &old->file.len, old->file.cap),
		LZMA_OK);
	assert_int_equal(lzma_stream_footer_encode(&flags, header), LZMA_OK);
	append(&old->file, header, HEADER);
	lzma_index_end(index, NULL);
}

static lzma_index *put_start(struct old *old)
{
	lzma_stream_flags flags = { .check = LZMA_CHECK_CRC32 };
	uint8_t header[HEADER];

	assert_int_equal(lzma_stream_header_encode(&flags, header), LZMA_OK);
	append(&old->file, header, HEADER);
	return lzma_index_init(NULL);
}

static void put_blocks(struct old *old, const char *const *texts, size_t count)
{
	lzma_index *index = put_start(old);

	for (size_t i = 0; i < count; i++)
		put_block(old, index, texts[i], strlen(texts[i]));
	put_end(old, index);
}

/* --- what is not spliced ------------------------------------------------------------------- */

static void make_filtered(lzma_filter first, lzma_filter second, struct old *old)
{
	lzma_options_lzma options;
	lzma_filter filters[] = {
		first, second, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL }
	};
	lzma_filter *chain = second.id == LZMA_VLI_UNKNOWN ? filters + 1 : filters;
	size_t pos = 0;

	assert_false(lzma_lzma_preset(&options, 1));
	chain[0] = first;
	fill_mixed(&old->plain, 3000);
	assert_ok(ks_buf_reserve(&old->file, lzma_stream_buffer_bound(3000), &error));
	assert_int_equal(lzma_stream_buffer_encode(chain, LZMA_CHECK_CRC32, NULL, old->plain.data,
						   3000, old->file.data, &pos, old->file.cap),
			 LZMA_OK);
	old->file.len = pos;
}

static void test_filters(void **state)
{
	static const char delta_text[] = "a delta filter";
	static const char other_text[] = "a filter other than LZMA2 and x86";
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_options_bcj offset = { .start_offset = 16 };
	const lzma_filter none = { LZMA_VLI_UNKNOWN, NULL };
	const struct {
		lzma_filter first, second;
		const char *why;
	} cases[] = {
		{ { LZMA_FILTER_DELTA, &delta }, none, delta_text },
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_DELTA, &delta }, delta_text },
		{ { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_X86, NULL }, other_text },
		{ { LZMA_FILTER_X86, &offset }, none, other_text },
		{ { LZMA_FILTER_ARM, NULL }, none, other_text },
		{ { LZMA_FILTER_POWERPC, NULL }, none, other_text },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OLD old = { 0 };
		KS_BULK out = { 0 };

		make_filtered(cases[i].first, cases[i].second, &old);
		expect_packed(&old, old.plain.len, cases[i].why);
		splice(&old, old.plain.len, signature(SIGNATURE), KS_WAY_PACKED, cases[i].why,
		       &out);
		append(&old.file, "\0\0\0\0", 4);
		expect_packed(&old, old.plain.len, cases[i].why);
	}
}

/* A file of one stream behind the other, with the content of both. */
static void add_stream(struct old *old, const struct form *form)
{
	OLD more = { 0 };

	make(form, &more);
	append_view(&old->file, ks_buf_view(&more.file));
	append_view(&old->plain, ks_buf_view(&more.plain));
}

/* The second Block has a filter of its own. */
static void test_filter_of_one_block(void **state)
{
	OLD old = { 0 };
	lzma_options_delta options = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_options_lzma lzma;
	lzma_filter chain[] = { { LZMA_FILTER_DELTA, &options },
				{ LZMA_FILTER_LZMA2, &lzma },
				{ LZMA_VLI_UNKNOWN, NULL } };
	lzma_stream z = LZMA_STREAM_INIT;

	(void)state;
	assert_false(lzma_lzma_preset(&lzma, 1));
	fill_mixed(&old.plain, 2000);
	assert_ok(ks_buf_reserve(&old.file, 9000, &error));
	z.next_out = old.file.data;
	z.avail_out = old.file.cap;
	assert_int_equal(lzma_stream_encoder(&z, chain + 1, LZMA_CHECK_CRC32), LZMA_OK);
	z.next_in = old.plain.data;
	z.avail_in = 1000;
	code(&z, LZMA_FULL_FLUSH);
	assert_int_equal(lzma_filters_update(&z, chain), LZMA_OK);
	z.avail_in = 1000;
	code(&z, LZMA_FINISH);
	old.file.len = old.file.cap - z.avail_out;
	lzma_end(&z);
	expect_packed(&old, 2000, "a delta filter");
	expect_packed(&old, 1000, "a delta filter");
}

static void test_streams(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 1000 };
	const struct form empty = { .check = LZMA_CHECK_CRC64 };
	const struct form *const second[] = { &form, &empty };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		OLD old = { 0 };
		KS_BULK out = { 0 };

		make(&form, &old);
		if (i >= 2)
			append(&old.file, "\0\0\0\0", 4);
		add_stream(&old, second[i % 2]);
		expect_packed(&old, old.plain.len, "a second stream");
		append(&old.file, "\0\0\0\0", 4);
		expect_packed(&old, old.plain.len, "a second stream");
		splice(&old, 1000, signature(SIGNATURE), KS_WAY_PACKED, "a second stream", &out);
	}
}

static const char not_understood[] = "a form that is not understood";

/* A file for a test to damage. */
static void copy_old(const struct old *old, struct old *copy)
{
	append_view(&copy->plain, ks_buf_view(&old->plain));
	append_view(&copy->file, ks_buf_view(&old->file));
}

static void seal_footer(struct ks_buf *file)
{
	put_crc32(file->data + file->len - HEADER, file->data + file->len - 8, 6);
}

/* What unpack would not have taken is not taken here, nor as a result. */
static void expect_not_understood(const struct old *good, const struct old *bad)
{
	size_t len = good->plain.len;
	struct ks_splice asked = splice_of(good, len, ks_buf_view(&good->plain));

	expect_packed(bad, len, not_understood);
	assert_fails(ks_splicer_xz.reread(&asked, ks_buf_view(&bad->file), &error),
		     KS_ERR_INTERNAL);
}

static const struct form two_blocks = { .check = LZMA_CHECK_CRC32, .len = 500, .block = 300 };

static void test_unknown_check(void **state)
{
	OLD old = { 0 };
	OLD bad = { 0 };

	(void)state;
	make(&two_blocks, &old);
	copy_old(&old, &bad);
	bad.file.data[7] = LZMA_CHECK_NONE;
	put_crc32(bad.file.data + 8, bad.file.data + 6, 2);
	expect_not_understood(&old, &bad);
	bad.file.data[7] = 2;
	put_crc32(bad.file.data + 8, bad.file.data + 6, 2);
	bad.file.data[bad.file.len - 3] = 2;
	seal_footer(&bad.file);
	expect_not_understood(&old, &bad);
}

static void test_other_length(void **state)
{
	OLD old = { 0 };

	(void)state;
	make(&two_blocks, &old);
	old.plain.len--;
	expect_packed(&old, 499, not_understood);
}

/* Each copy has exactly the bytes that are left, for a sanitizer to see what is read behind. */
static void test_truncated(void **state)
{
	OLD old = { 0 };

	(void)state;
	make(&two_blocks, &old);
	for (size_t len = 0; len < old.file.len; len++) {
		OLD bad = { 0 };

		append_view(&bad.plain, ks_buf_view(&old.plain));
		append(&bad.file, old.file.data, len);
		expect_not_understood(&old, &bad);
	}
}

/* Header, Index and Footer are whole. */
static void test_missing_blocks(void **state)
{
	OLD old = { 0 };

	(void)state;
	make(&two_blocks, &old);
	for (size_t gone = 4; gone <= old.file.len - 2 * HEADER - 16; gone += 4) {
		OLD bad = { 0 };

		append_view(&bad.plain, ks_buf_view(&old.plain));
		append(&bad.file, old.file.data, HEADER);
		append(&bad.file, old.file.data + HEADER + gone, old.file.len - HEADER - gone);
		expect_not_understood(&old, &bad);
	}
}

/* A Block that would go on behind the end of the file. */
static void test_index_claims_more(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 100 };
	static const size_t more[] = { 4, 1000, 100000 };
	static struct parts parts;
	OLD old = { 0 };

	(void)state;
	make(&form, &old);
	read_parts(ks_buf_view(&old.file), &parts);
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		size_t unpadded = parts.part[0].head + parts.part[0].data + 4;
		lzma_index *index = lzma_index_init(NULL);
		OLD bad = { 0 };

		append_view(&bad.plain, ks_buf_view(&old.plain));
		append(&bad.file, old.file.data, HEADER + parts.part[0].len);
		assert_int_equal(lzma_index_append(index, NULL, unpadded + more[i], 100), LZMA_OK);
		put_end(&bad, index);
		expect_not_understood(&old, &bad);
	}
}

/* The Index stands over the end of the last Block, and four bytes belong to nobody. */
static void test_index_elsewhere(void **state)
{
	OLD old = { 0 };
	OLD bad = { 0 };
	uint8_t *footer;
	size_t index;

	(void)state;
	make(&two_blocks, &old);
	copy_old(&old, &bad);
	footer = bad.file.data + bad.file.len - HEADER;
	index = ((size_t)footer[4] + 1) * 4;
	memmove(footer - index - 4, footer - index, index);
	footer[4]++;
	seal_footer(&bad.file);
	expect_not_understood(&old, &bad);
}

/* A chunk that is none, where a cut has to look at it. */
static void test_wrong_chunks(void **state)
{
	static const uint8_t controls[] = { 0, 3, 0x7f, 0xff };
	const struct form form = {
		.check = LZMA_CHECK_NONE, .len = 300, .chunk = 100, .fill = fill_random
	};
	static struct parts parts;
	OLD old = { 0 };
	uint8_t *second;

	(void)state;
	make(&form, &old);
	read_parts(ks_buf_view(&old.file), &parts);
	second = old.file.data + parts.part[0].at + parts.part[0].head + 3 + 100;
	for (size_t i = 0; i < sizeof(controls); i++) {
		*second = controls[i];
		expect_packed(&old, 250, not_understood);
		expect_packed(&old, 100, not_understood);
		assert_false(cuts_cleanly(&old, 250));
	}
}

/* Blocks without content belong to what is in front of them. */
static void test_empty_blocks(void **state)
{
	static const char *const texts[] = { "", "", "first", "", "second", "" };
	static const size_t left[] = { 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 6 };
	static struct parts parts;
	OLD old = { 0 };

	(void)state;
	put_blocks(&old, texts, 6);
	expect_stream(ks_buf_view(&old.file), ks_buf_view(&old.plain));
	for (size_t keep = 0; keep <= 11; keep++) {
		KS_BULK out = { 0 };

		if (keep && keep < 5) {
			expect_packed(&old, keep, "an end compressed along with all before it");
			continue;
		}
		splice_kept(&old, keep, nothing, &out);
		read_parts(ks_buf_view(&out), &parts);
		assert_int_equal(parts.count, left[keep] + (keep > 5 && keep < 11));
	}
}

/* --- reading back -------------------------------------------------------------------------- */

/* OUT is not what the splice is to be. */
static void expect_refused(const struct ks_splice *splice, struct ks_view out)
{
	assert_fails(ks_splicer_xz.reread(splice, out, &error), KS_ERR_INTERNAL);
	assert_memory_equal(error.text, "xz: ", 4);
}

/* No bit can be another, no byte missing, none too much. */
static void expect_watched(const struct ks_splice *splice, struct ks_buf *out)
{
	for (size_t i = 0; i < out->len; i++) {
		for (unsigned int bit = 1; bit < 256; bit <<= 1) {
			out->data[i] ^= (uint8_t)bit;
			expect_refused(splice, ks_buf_view(out));
			out->data[i] ^= (uint8_t)bit;
		}
	}
	for (size_t len = 0; len < out->len; len++) {
		KS_BULK cut = { 0 };

		append(&cut, out->data, len);
		expect_refused(splice, ks_buf_view(&cut));
	}
	append(out, "\0\0\0\0", 4);
	expect_refused(splice, ks_buf_view(out));
	out->len -= 4;
	assert_ok(ks_splicer_xz.reread(splice, ks_buf_view(out), &error));
}

static void watch(const struct form *form, size_t keep, size_t tail)
{
	OLD old = { 0 };
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	struct ks_splice asked;
	struct ks_written written;

	make(form, &old);
	want(&old, keep, signature(tail), &content);
	asked = splice_of(&old, keep, ks_buf_view(&content));
	assert_ok(ks_splicer_xz.splice(&asked, &out, &written, &error));
	assert_int_not_equal(written.way, KS_WAY_PACKED);
	expect_watched(&asked, &out);
}

static void test_every_bit_is_read(void **state)
{
	static const lzma_check checks[] = { LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64,
					     LZMA_CHECK_SHA256 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct form small = { .check = checks[i], .len = 200, .block = 70 };
		const struct form chunks = { .check = checks[i], .len = 200, .chunk = 70 };
		const struct form x86 = { .check = checks[i], .len = 150, .x86 = true };
		const struct form nobody = { .check = checks[i] };

		watch(&small, 200, 50);
		watch(&small, 140, 50);
		watch(&small, 100, 5);
		watch(&small, 70, 0);
		watch(&chunks, 200, 6);
		watch(&chunks, 150, 7);
		watch(&chunks, 140, 0);
		watch(&x86, 150, 50);
		watch(&nobody, 0, 0);
		watch(&nobody, 0, 9);
	}
}

/* Content that is meant to be another, longer or shorter. */
static void test_other_content(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 1000, .block = 500 };
	OLD old = { 0 };
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	struct ks_splice asked;

	(void)state;
	make(&form, &old);
	splice_kept(&old, 1000, signature(SIGNATURE), &out);
	want(&old, 1000, signature(SIGNATURE), &content);
	for (size_t i = 1000; i < content.len; i++) {
		content.data[i] ^= 0x10;
		asked = splice_of(&old, 1000, ks_buf_view(&content));
		expect_refused(&asked, ks_buf_view(&out));
		content.data[i] ^= 0x10;
	}
	asked = splice_of(&old, 1000, ks_view_of(content.data, content.len - 1));
	expect_refused(&asked, ks_buf_view(&out));
	append(&content, "", 1);
	asked = splice_of(&old, 1000, ks_buf_view(&content));
	expect_refused(&asked, ks_buf_view(&out));
}

/* A Block of the old file is no proof of content that is new. */
static void test_old_block_of_new_content(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 1000, .block = 500 };
	OLD old = { 0 };
	KS_BULK content = { 0 };
	struct ks_splice asked;

	(void)state;
	make(&form, &old);
	want(&old, 500, signature(500), &content);
	asked = splice_of(&old, 500, ks_buf_view(&content));
	expect_refused(&asked, ks_buf_view(&old.file));
	asked = splice_of(&old, 999, ks_buf_view(&content));
	expect_refused(&asked, ks_buf_view(&old.file));
}

/* Each Block is good, and each of the old file's, but they stand in another order. */
static void test_blocks_in_other_order(void **state)
{
	static const char *const right[] = { "one", "two", "three" };
	static const char *const wrong[] = { "two", "one", "three" };
	static const char *const twice[] = { "one", "one", "three" };
	static const char *const other[] = { "one", "twothree" };
	static const char *const moved[] = { "on", "two", "three", "e" };
	OLD old = { 0 }, swapped = { 0 }, doubled = { 0 }, joined = { 0 }, apart = { 0 };
	struct ks_splice asked;

	(void)state;
	put_blocks(&old, right, 3);
	put_blocks(&swapped, wrong, 3);
	put_blocks(&doubled, twice, 3);
	put_blocks(&joined, other, 2);
	put_blocks(&apart, moved, 4);
	asked = splice_of(&old, 11, ks_buf_view(&old.plain));
	assert_ok(ks_splicer_xz.reread(&asked, ks_buf_view(&old.file), &error));
	expect_refused(&asked, ks_buf_view(&swapped.file));
	expect_refused(&asked, ks_buf_view(&doubled.file));
	expect_refused(&asked, ks_buf_view(&apart.file));
	/* The same content in other Blocks is what was meant. */
	assert_ok(ks_splicer_xz.reread(&asked, ks_buf_view(&joined.file), &error));
}

/* A Block of the old file, of which the Index claims that it holds more. */
static void test_block_of_other_size(void **state)
{
	static const char *const right[] = { "one", "two", "three" };
	OLD old = { 0 };
	OLD new = { 0 };
	struct ks_splice asked;
	lzma_index *index;

	(void)state;
	put_blocks(&old, right, 3);
	index = put_start(&new);
	put_block(&new, index, "one", 4);
	put_block(&new, index, "wothree", 7);
	put_end(&new, index);
	asked = splice_of(&old, 11, ks_buf_view(&old.plain));
	expect_refused(&asked, ks_buf_view(&new.file));
}

/* Bytes behind a Block's check, which the Index counts among the Block's. */
static void test_block_with_more(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 100 };
	static struct parts parts;
	OLD old = { 0 };
	OLD new = { 0 };
	struct ks_splice asked;
	lzma_index *index = lzma_index_init(NULL);

	(void)state;
	make(&form, &old);
	read_parts(ks_buf_view(&old.file), &parts);
	append(&new.file, old.file.data, HEADER + parts.part[0].len);
	append(&new.file, "\0\0\0\0", 4);
	assert_int_equal(
		lzma_index_append(index, NULL, parts.part[0].head + parts.part[0].data + 8, 100),
		LZMA_OK);
	put_end(&new, index);
	asked = splice_of(&old, 100, ks_buf_view(&old.plain));
	expect_refused(&asked, ks_buf_view(&new.file));
}

/* What a kernel does not take was not meant, and a check is not lost on the way. */
static void test_other_check(void **state)
{
	static const lzma_check checks[] = { LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64 };

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		const struct form before = { .check = checks[i / 3], .len = 1000 };
		const struct form after = { .check = checks[i % 3], .len = 1000 };
		OLD old = { 0 };
		OLD new = { 0 };
		struct ks_splice asked;

		make(&before, &old);
		make(&after, &new);
		asked = splice_of(&old, 1000, ks_buf_view(&old.plain));
		if (after.check == LZMA_CHECK_CRC32 ||
		    (after.check == LZMA_CHECK_NONE && before.check == LZMA_CHECK_NONE))
			assert_ok(ks_splicer_xz.reread(&asked, ks_buf_view(&new.file), &error));
		else
			expect_refused(&asked, ks_buf_view(&new.file));
	}
}

static void test_second_stream_in_result(void **state)
{
	const struct form form = { .check = LZMA_CHECK_CRC32, .len = 1000 };
	const struct form empty = { .check = LZMA_CHECK_CRC32 };
	OLD old = { 0 };
	OLD new = { 0 };
	struct ks_splice asked;

	(void)state;
	make(&form, &old);
	make(&form, &new);
	add_stream(&new, &empty);
	asked = splice_of(&old, 1000, ks_buf_view(&old.plain));
	expect_refused(&asked, ks_buf_view(&new.file));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_append),
	cmocka_unit_test(test_append_nothing),
	cmocka_unit_test(test_append_compresses),
	cmocka_unit_test(test_append_and_cut),
	cmocka_unit_test(test_sign_again),
	cmocka_unit_test(test_empty),
	cmocka_unit_test(test_cut_blocks),
	cmocka_unit_test(test_cut_chunks),
	cmocka_unit_test(test_cut_small_chunks),
	cmocka_unit_test(test_cut_chunks_in_blocks),
	cmocka_unit_test(test_sign_over_another),
	cmocka_unit_test(test_cut_compresses),
	cmocka_unit_test(test_cut_x86),
	cmocka_unit_test(test_cut_x86_chunks),
	cmocka_unit_test(test_many_blocks),
	cmocka_unit_test(test_mend_checks),
	cmocka_unit_test(test_mend_empty),
	cmocka_unit_test(test_mend_padding),
	cmocka_unit_test(test_mend_both),
	cmocka_unit_test(test_filters),
	cmocka_unit_test(test_filter_of_one_block),
	cmocka_unit_test(test_streams),
	cmocka_unit_test(test_unknown_check),
	cmocka_unit_test(test_other_length),
	cmocka_unit_test(test_truncated),
	cmocka_unit_test(test_missing_blocks),
	cmocka_unit_test(test_index_claims_more),
	cmocka_unit_test(test_index_elsewhere),
	cmocka_unit_test(test_wrong_chunks),
	cmocka_unit_test(test_empty_blocks),
	cmocka_unit_test(test_every_bit_is_read),
	cmocka_unit_test(test_other_content),
	cmocka_unit_test(test_old_block_of_new_content),
	cmocka_unit_test(test_blocks_in_other_order),
	cmocka_unit_test(test_block_of_other_size),
	cmocka_unit_test(test_block_with_more),
	cmocka_unit_test(test_other_check),
	cmocka_unit_test(test_second_stream_in_result),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
