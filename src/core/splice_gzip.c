/* SPDX-License-Identifier: MIT */
#include "core/splice.h"

#include <endian.h>
#include <string.h>

#include "core/codec.h"
#include "core/gzip.h"

enum {
	WINDOW = 1 << 15,
	SHORTEST_BLOCK = 10, /* bits: no content, fixed codes */
	STORED_BITS = 3,     /* in front of a stored block, which then starts at a byte */
	STORED_MAX = 65535,
	TRAILER = 8,
	/* What deflate may write beyond compressBound(): bits of the old block, and a flush. */
	FLUSH_MAX = 16,
	SCRATCH = 1 << 14,
};

/* Where things are in the old file, and where it is cut. */
struct plan {
	size_t name, name_len; /* with its NUL; 0 bytes where there is none */
	size_t data;	       /* the first block */
	const struct ks_seam *seam;
	const char *mends; /* what is to be put right, or NULL */
};

/* Moves *AT behind the text that is there and its NUL. */
static bool skip_text(struct ks_view file, size_t *at)
{
	const uint8_t *nul = *at < file.len ? memchr(file.data + *at, 0, file.len - *at) : NULL;

	if (nul)
		*at = (size_t)(nul - file.data) + 1;
	return nul;
}

static bool parse_header(struct ks_view file, struct plan *plan)
{
	unsigned int flags = file.data[KS_GZIP_FLAGS];
	size_t at = KS_GZIP_HEADER;

	if (flags & KS_GZIP_EXTRA)
		at += 2 + (file.data[at] | (size_t)file.data[at + 1] << 8);
	plan->name = at;
	if (flags & KS_GZIP_NAME && !skip_text(file, &at))
		return false;
	plan->name_len = at - plan->name;
	if (flags & KS_GZIP_COMMENT && !skip_text(file, &at))
		return false;
	plan->data = at + (flags & KS_GZIP_CRC ? 2 : 0);
	return true;
}

static const char *what_to_mend(struct ks_view file, size_t end)
{
	unsigned int flags = file.data[KS_GZIP_FLAGS];

	if (flags & KS_GZIP_EXTRA)
		return KS_GZIP_HAS_EXTRA;
	if (flags & KS_GZIP_COMMENT)
		return KS_GZIP_HAS_COMMENT;
	if (flags & KS_GZIP_CRC)
		return KS_GZIP_HAS_CRC;
	return end < file.len ? "zeros behind the member" : NULL;
}

/* Says in *WHY what does not allow it, as far as unpack lets such a file through at all. */
static bool make_plan(const struct ks_splice *splice, struct plan *plan, const char **why)
{
	const struct ks_seams *seams = splice->seams;
	const struct ks_seam *last;
	struct ks_view file = splice->file;
	size_t end;

	*why = KS_GZIP_HAS_SECOND;
	if (!seams->count)
		return false;
	*why = "a member that is not understood";
	last = &seams->item[seams->count - 1];
	end = (size_t)((last->bit + 7) / 8) + TRAILER;
	if (file.len < KS_GZIP_HEADER + TRAILER || end > file.len || !parse_header(file, plan) ||
	    seams->item[0].at || seams->item[0].bit / 8 < plan->data || splice->keep > last->at)
		return false;
	plan->mends = what_to_mend(file, end);
	plan->seam = last;
	while (plan->seam->at > splice->keep)
		plan->seam--;
	return true;
}

/*
 * Header and blocks in front of the seam.  The block that ends there is the last one if nothing
 * follows; that bit is all that changes in what stays.
 */
static bool put_front(const struct plan *plan, struct ks_view file, bool last, struct ks_buf *out,
		      struct ks_error *err)
{
	const size_t start = out->len, whole = (size_t)(plan->seam->bit / 8);
	const unsigned int used = plan->seam->bit % 8;
	const uint64_t before = plan->seam->before;
	uint8_t byte = file.data[whole] & (uint8_t)((1u << used) - 1);

	if (!ks_buf_append(out, file.data, KS_GZIP_HEADER, err) ||
	    !ks_buf_append(out, file.data + plan->name, plan->name_len, err) ||
	    !ks_buf_append(out, file.data + plan->data, whole - plan->data, err) ||
	    !ks_buf_append(out, &byte, used ? 1 : 0, err))
		return false;
	out->data[start + KS_GZIP_FLAGS] &= KS_GZIP_TEXT | KS_GZIP_NAME;
	if (before) {
		uint8_t *at = out->data + out->len - (used ? 1 : 0) - (whole - before / 8);

		*at &= (uint8_t)(0xff ^ (1u << before % 8));
		*at |= (uint8_t)(last << before % 8);
	}
	return true;
}

/*
 * Content from FROM to TO in blocks that go on behind the USED bits of OUT's last byte; *USED then
 * says the same of what they end with.  The last of them is the stream's last if LAST.
 */
static bool put_deflated(struct ks_view content, size_t from, size_t to, bool last,
			 struct ks_buf *out, unsigned int *used, struct ks_error *err)
{
	struct ks_view rest = { content.data + from, to - from };
	uInt window = from < WINDOW ? (uInt)from : WINDOW;
	KS_DEFLATE z = { 0 };
	unsigned int pending;
	size_t len;
	int bits;

	if (deflateInit2(&z, KS_GZIP_LEVEL, Z_DEFLATED, KS_GZIP_RAW, KS_GZIP_MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return ks_fail_memory(err);
	deflateSetDictionary(&z, rest.data - window, window);
	if (*used)
		deflatePrime(&z, (int)*used, out->data[--out->len]);
	if (last)
		return ks_gzip_deflate(&z, rest, Z_FINISH, out, err);
	/*
	 * Z_BLOCK ends a block at any bit, and zlib keeps the bits of the byte that is not full.
	 * What finishes the stream brings them out, and is itself of no use.
	 */
	if (!ks_gzip_deflate(&z, rest, Z_BLOCK, out, err))
		return false;
	deflatePending(&z, &pending, &bits);
	len = out->len;
	if (!ks_gzip_deflate(&z, (struct ks_view){ rest.data + rest.len, 0 }, Z_FINISH, out, err))
		return false;
	*used = (unsigned int)bits;
	out->data[len] &= (uint8_t)((1u << bits) - 1);
	out->len = len + (bits ? 1 : 0);
	return true;
}

/* A stored block but for its content, behind the USED bits of OUT's last byte. */
static bool put_stored_head(struct ks_buf *out, unsigned int used, size_t len, bool last,
			    struct ks_error *err)
{
	const uint8_t head[] = { used ? 0 : last, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len,
				 (uint8_t)(~len >> 8) };
	bool fits = used && used + STORED_BITS <= 8;

	if (used)
		out->data[out->len - 1] |= (uint8_t)(last << used);
	return ks_buf_append(out, head + fits, sizeof(head) - fits, err);
}

/* REST in stored blocks, and then the stream ends. */
static bool put_stored(struct ks_view rest, struct ks_buf *out, unsigned int used,
		       struct ks_error *err)
{
	while (rest.len) {
		size_t len = rest.len < STORED_MAX ? rest.len : STORED_MAX;

		if (!put_stored_head(out, used, len, len == rest.len, err) ||
		    !ks_buf_append(out, rest.data, len, err))
			return false;
		rest.data += len;
		rest.len -= len;
		used = 0;
	}
	return true;
}

/* Blocks for all content from the seam on.  The signature is in blocks of its own, to go again. */
static bool put_blocks(const struct plan *plan, const struct ks_splice *splice, struct ks_buf *out,
		       struct ks_error *err)
{
	const size_t from = plan->seam->at, keep = splice->keep;
	struct ks_view content = splice->content;
	unsigned int used = plan->seam->bit % 8;

	/* No block at all is no stream; this is the empty one that deflate makes. */
	if (!content.len && !plan->seam->before)
		return ks_buf_append(out, "\3", 2, err);
	if (from < keep && !put_deflated(content, from, keep, content.len == keep, out, &used, err))
		return false;
	return content.len == keep ||
	       put_stored((struct ks_view){ content.data + keep, content.len - keep }, out, used,
			  err);
}

/* zlib takes no bytes at all for a question. */
static uint32_t go_on_crc(uint32_t crc, struct ks_view content, size_t from)
{
	if (from == content.len)
		return crc;
	return (uint32_t)crc32_z(crc, content.data + from, content.len - from);
}

static bool put_trailer(const struct plan *plan, struct ks_view content, struct ks_buf *out,
			struct ks_error *err)
{
	const uint32_t trailer[] = {
		htole32(go_on_crc(plan->seam->crc, content, plan->seam->at)),
		htole32((uint32_t)content.len),
	};

	return ks_buf_append(out, trailer, sizeof(trailer), err);
}

/* So that nothing is copied twice. */
static bool reserve(const struct plan *plan, const struct ks_splice *splice, struct ks_buf *out,
		    struct ks_error *err)
{
	size_t front = (size_t)(plan->seam->bit / 8) + 1;
	size_t again = compressBound((uLong)(splice->keep - plan->seam->at)) + FLUSH_MAX;
	size_t tail = splice->content.len - splice->keep;

	return ks_buf_reserve(
		out, out->len + front + again + tail + (tail / STORED_MAX + 1) * 5 + TRAILER, err);
}

static bool gzip_splice(const struct ks_splice *splice, struct ks_buf *out,
			struct ks_written *written, struct ks_error *err)
{
	struct plan plan;
	const char *why;

	if (!make_plan(splice, &plan, &why)) {
		*written = (struct ks_written){ .way = KS_WAY_PACKED, .why = why };
		return true;
	}
	*written = (struct ks_written){ .way = plan.mends ? KS_WAY_MENDED : KS_WAY_SPLICED,
					.why = plan.mends };
	return reserve(&plan, splice, out, err) &&
	       put_front(&plan, splice->file, splice->content.len == plan.seam->at, out, err) &&
	       put_blocks(&plan, splice, out, err) && put_trailer(&plan, splice->content, out, err);
}

static bool gzip_cuts_cleanly(const struct ks_splice *splice)
{
	struct plan plan;
	const char *why;

	return make_plan(splice, &plan, &why) && plan.seam->at == splice->keep;
}

static bool fail(const char *what, struct ks_error *err)
{
	return ks_splice_fail(ks_codec_gzip.name, what, err);
}

/* How long zlib takes the header to be; 0 if it is none. */
static size_t read_header(z_stream *z, struct ks_view file)
{
	size_t len = 0;
	uint8_t none;
	int ret = inflateReset2(z, KS_GZIP_WHOLE);

	z->next_out = &none;
	z->avail_out = 0;
	do {
		z->next_in = file.data + len;
		z->avail_in = ks_gzip_piece(file.len - len);
		if (ret == Z_OK)
			ret = inflate(z, Z_BLOCK);
		len = (size_t)(z->next_in - file.data);
	} while (ret == Z_OK && !(z->data_type & KS_GZIP_BLOCK));
	z->next_out = NULL;
	return ret == Z_OK ? len : 0;
}

/* The ten bytes and the name are the old ones, and there is nothing else. */
static bool check_header(struct ks_view old, size_t old_len, struct ks_view new, size_t new_len)
{
	uint8_t head[KS_GZIP_HEADER];
	size_t name = sizeof(head), len = new_len - sizeof(head);

	if (!old_len || !new_len)
		return false;
	memcpy(head, old.data, sizeof(head));
	if (head[KS_GZIP_FLAGS] & KS_GZIP_EXTRA)
		name += 2 + (old.data[name] | (size_t)old.data[name + 1] << 8);
	head[KS_GZIP_FLAGS] &= KS_GZIP_TEXT | KS_GZIP_NAME;
	return memcmp(head, new.data, sizeof(head)) == 0 && name + len <= old_len &&
	       memcmp(old.data + name, new.data + sizeof(head), len) == 0;
}

/* The first BITS bits of both are the same, but for the one at BUT. */
static bool same_bits(const uint8_t *a, const uint8_t *b, uint64_t bits, uint64_t but)
{
	size_t whole = (size_t)(bits / 8), odd = (size_t)(but / 8);
	unsigned int mask = (1u << bits % 8) - 1;

	if (but > bits || bits - but < SHORTEST_BLOCK)
		return false;
	return memcmp(a, b, odd) == 0 && !((a[odd] ^ b[odd]) & ~(1u << but % 8)) &&
	       memcmp(a + odd + 1, b + odd + 1, whole - odd - 1) == 0 &&
	       !(mask && (a[whole] ^ b[whole]) & mask);
}

/* Inflates blocks from BIT on, which is where content FROM starts; *END is the byte behind them. */
static bool check_blocks(z_stream *z, struct ks_view file, uint64_t bit, struct ks_view content,
			 size_t from, size_t *end, struct ks_error *err)
{
	uInt window = from < WINDOW ? (uInt)from : WINDOW;
	struct ks_codec_sink sink = { .codec = &ks_codec_gzip, .expected = content };
	uint8_t scratch[SCRATCH];
	int ret = inflateReset2(z, KS_GZIP_RAW);

	sink.compared = from;
	sink.next = scratch;
	*end = (size_t)(bit / 8);
	if (ret == Z_OK && bit % 8)
		ret = inflatePrime(z, 8 - (int)(bit % 8), file.data[(*end)++] >> bit % 8);
	if (ret == Z_OK && window)
		ret = inflateSetDictionary(z, content.data + from - window, window);
	while (ret == Z_OK) {
		z->next_in = file.data + *end;
		z->avail_in = ks_gzip_piece(file.len - *end);
		z->next_out = scratch;
		z->avail_out = SCRATCH;
		ret = inflate(z, Z_NO_FLUSH);
		*end = (size_t)(z->next_in - file.data);
		if (!ks_codec_sink_took(&sink, SCRATCH - z->avail_out, err))
			return false;
	}
	if (ret != Z_STREAM_END)
		return ret == Z_MEM_ERROR ? ks_fail_memory(err) : fail("blocks", err);
	return sink.compared == content.len || fail("less content", err);
}

static bool check_trailer(struct ks_view file, size_t end, struct ks_view content,
			  struct ks_error *err)
{
	uint32_t trailer[2];

	if (end > file.len || file.len - end != sizeof(trailer))
		return fail("where it ends", err);
	memcpy(trailer, file.data + end, sizeof(trailer));
	if (le32toh(trailer[0]) != go_on_crc(0, content, 0))
		return fail("checksum", err);
	return le32toh(trailer[1]) == (uint32_t)content.len || fail("content size", err);
}

static const struct ks_seam *seam_up_to(const struct ks_seams *seams, size_t keep)
{
	const struct ks_seam *found = NULL;

	for (size_t i = 0; i < seams->count && seams->item[i].at <= keep; i++)
		found = &seams->item[i];
	return found;
}

/* Where in OUT the blocks start, and the seam is; BEFORE as in the seam. */
struct joint {
	size_t head;
	uint64_t bit, before;
	size_t at;
};

static bool check_front(z_stream *z, const struct ks_splice *splice, struct ks_view out,
			struct joint *joint, struct ks_error *err)
{
	const struct ks_seam *seam = seam_up_to(splice->seams, splice->keep);
	const size_t old_head = read_header(z, splice->file);
	uint64_t shift, first;

	joint->head = read_header(z, out);
	if (!seam || !check_header(splice->file, old_head, out, joint->head))
		return fail("header", err);
	shift = 8 * (uint64_t)(old_head - joint->head);
	first = 8 * (uint64_t)joint->head;
	joint->at = seam->at;
	joint->bit = seam->bit - shift;
	joint->before = seam->before ? seam->before - shift : 0;
	if ((joint->bit + 7) / 8 > out.len)
		return fail("where it ends", err);
	if (!joint->before)
		return joint->bit == first || fail("where it starts", err);
	return same_bits(splice->file.data + old_head, out.data + joint->head, joint->bit - first,
			 joint->before - first) ||
	       fail("what was to stay", err);
}

/*
 * Why this is enough.  The old file was decoded whole, so it is known that its bits from the first
 * block up to the seam are whole blocks, which hold the first AT bytes of the content; whoever
 * decodes the same bits gets the same blocks.  Of them only the last one's BFINAL may differ, and
 * that does not change what is in it, only whether another block follows: if none does, all of the
 * content must have come, and if one does, everything from there on is decoded here, with the
 * 32 KiB of content that a decoder remembers at that place.  The header in front and the trailer
 * behind are read whole, so nothing is left of which nobody knows what it says.
 */
static bool gzip_reread(const struct ks_splice *splice, struct ks_view out, struct ks_error *err)
{
	struct ks_view content = splice->content;
	KS_INFLATE z = { 0 };
	struct joint joint = { 0 };
	size_t end;

	if (inflateInit2(&z, KS_GZIP_WHOLE) != Z_OK)
		return ks_fail_memory(err);
	if (!check_front(&z, splice, out, &joint, err))
		return false;
	end = (size_t)((joint.bit + 7) / 8);
	if (joint.before && out.data[joint.before / 8] >> joint.before % 8 & 1) {
		if (joint.at != content.len)
			return fail("less content", err);
	} else if (!check_blocks(&z, out, joint.bit, content, joint.at, &end, err)) {
		return false;
	}
	return check_trailer(out, end, content, err);
}

const struct ks_splicer ks_splicer_gzip = {
	.splice = gzip_splice,
	.reread = gzip_reread,
	.cuts_cleanly = gzip_cuts_cleanly,
};
