/* SPDX-License-Identifier: MIT */
/*
 * Gzip members with another end.  Everything that is made is read by zlib's own gzip reader, has to
 * be one member with nothing behind it, and to be the old file bit for bit where that was kept.
 */
#include "fixture.h"

#include <endian.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "core/codec.h"

enum {
	KIB = 1024,
	MIB = 1024 * KIB,
	HEADER = 10,
	TRAILER = 8,
	FTEXT = 1,
	FHCRC = 2,
	FEXTRA = 4,
	FNAME = 8,
	FCOMMENT = 16,
	SIGNATURE = 700, /* about as long as one is */
};

/* --- containers to try ---------------------------------------------------------------------- */

/* How one is made; each EVERY bytes of content FLUSH. */
struct kind {
	const char *name;
	int level, strategy, mem_level, flush;
	size_t every;
	unsigned int header; /* flags */
};

/* clang-format off */
#define LEVEL(n) { "level " #n, n, Z_DEFAULT_STRATEGY, 8, 0, 0, 0 }
/* clang-format on */

static const struct kind kinds[] = {
	LEVEL(0),
	LEVEL(1),
	LEVEL(2),
	LEVEL(3),
	LEVEL(4),
	LEVEL(5),
	LEVEL(6),
	LEVEL(7),
	LEVEL(8),
	LEVEL(9),
	{ "fixed codes", 6, Z_FIXED, 8, 0, 0, 0 },
	{ "fixed codes, small blocks", 6, Z_FIXED, 1, 0, 0, 0 },
	{ "Huffman codes only", 6, Z_HUFFMAN_ONLY, 8, 0, 0, 0 },
	{ "small blocks", 9, Z_DEFAULT_STRATEGY, 1, 0, 0, 0 },
	{ "synchronized, as pigz does", 6, Z_DEFAULT_STRATEGY, 8, Z_SYNC_FLUSH, 1000, 0 },
	{ "an empty block with fixed codes", 6, Z_DEFAULT_STRATEGY, 8, Z_PARTIAL_FLUSH, 777, 0 },
	{ "blocks that end at any bit", 6, Z_DEFAULT_STRATEGY, 8, Z_BLOCK, 333, 0 },
	{ "no window", 6, Z_DEFAULT_STRATEGY, 8, Z_FULL_FLUSH, 4001, 0 },
	{ "stored and synchronized", 0, Z_DEFAULT_STRATEGY, 8, Z_SYNC_FLUSH, 999, 0 },
	{ "with a name", 6, Z_DEFAULT_STRATEGY, 8, 0, 0, FNAME },
	{ "with all there is in front", 6, Z_DEFAULT_STRATEGY, 8, 0, 0,
	  FTEXT | FHCRC | FEXTRA | FNAME | FCOMMENT },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds), LEVEL_6 = 6, SYNCED = 14 };

/* LEN bytes that shrink about as well as a module does. */
static void fill_mixed(struct ks_buf *buf, size_t len)
{
	static const char *const words[] = { "module", "kernel ", "\0\0\0\0\0\0\0",
					     "vermagic=", "\x48\x89\xe5\xc3" };
	size_t end = buf->len + len;
	uint32_t r = 0x12345678u;

	assert_ok(ks_buf_reserve(buf, end + 16, &error));
	while (buf->len < end) {
		r = r * 1664525 + 1013904223;
		memcpy(buf->data + buf->len, (r >> 16) % 3 ? words[(r >> 16) % 5] : (char *)&r, 4);
		memset(buf->data + buf->len + 4, 0, 3);
		buf->len += 4 + (r >> 24) % 3;
	}
	buf->len = end;
}

static void deflate_all(z_stream *z, struct ks_view part, int flush, struct ks_buf *file)
{
	size_t room = part.len * 2 + 1024;

	assert_ok(ks_buf_reserve(file, file->len + room, &error));
	z->next_in = part.data;
	z->avail_in = (uInt)part.len;
	z->next_out = file->data + file->len;
	z->avail_out = (uInt)room;
	assert_int_equal(deflate(z, flush), flush == Z_FINISH ? Z_STREAM_END : Z_OK);
	assert_int_equal(z->avail_in, 0);
	file->len += room - z->avail_out;
}

static void put_gzip(const struct kind *kind, struct ks_view content, struct ks_buf *file)
{
	unsigned int flags = kind->header;
	z_stream z = { 0 };
	gz_header header = {
		.text = flags & FTEXT,
		.time = 0x01020304,
		.os = 3,
		.extra = flags & FEXTRA ? (uint8_t *)"AB\4\0\x1f\x8b\0\0" : NULL,
		.extra_len = 8,
		.name = flags & FNAME ? (uint8_t *)"a module.ko" : NULL,
		.comment = flags & FCOMMENT ? (uint8_t *)"what it is" : NULL,
		.hcrc = !!(flags & FHCRC),
	};

	assert_int_equal(
		deflateInit2(&z, kind->level, Z_DEFLATED, 31, kind->mem_level, kind->strategy),
		Z_OK);
	if (flags)
		assert_int_equal(deflateSetHeader(&z, &header), Z_OK);
	while (kind->every && content.len > kind->every) {
		deflate_all(&z, ks_view_of(content.data, kind->every), kind->flush, file);
		content.data += kind->every;
		content.len -= kind->every;
	}
	deflate_all(&z, content, Z_FINISH, file);
	deflateEnd(&z);
}

/* A container and what unpack said of it. */
struct old {
	struct ks_buf file, plain;
	struct ks_seams seams;
};

static void drop(struct old *old)
{
	ks_buf_drop(&old->file);
	ks_buf_drop(&old->plain);
}

#define OLD __attribute__((cleanup(drop))) struct old

static void load(struct old *old)
{
	old->plain.len = 0;
	assert_ok(ks_codec_unpack_seams(&ks_codec_gzip, ks_buf_view(&old->file), SIZE_MAX,
					&old->plain, &old->seams, &error));
}

static void load_view(struct old *old, struct ks_view file)
{
	assert_ok(ks_buf_append(&old->file, file.data, file.len, &error));
	load(old);
}

static void make(struct old *old, const struct kind *kind, size_t len)
{
	KS_BULK content = { 0 };

	fill_mixed(&content, len);
	put_gzip(kind, ks_buf_view(&content), &old->file);
	load(old);
	assert_view_equal(ks_buf_view(&old->plain), ks_buf_view(&content));
}

/* --- what is expected ----------------------------------------------------------------------- */

/* One member that holds CONTENT, by zlib alone, and nothing behind it. */
static void expect_member(struct ks_view file, struct ks_view content)
{
	KS_BULK got = { 0 };
	z_stream z = { .next_in = file.data, .avail_in = (uInt)file.len };

	assert_ok(ks_buf_reserve(&got, content.len + 1, &error));
	z.next_out = got.data;
	z.avail_out = (uInt)got.cap;
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	got.len = (size_t)(z.next_out - got.data);
	assert_int_equal(z.avail_in, 0);
	assert_view_equal(ks_buf_view(&got), content);
	inflateEnd(&z);
}

static const struct ks_seam *seam_before(const struct old *old, size_t keep)
{
	const struct ks_seam *seam = &old->seams.item[old->seams.count - 1];

	while (seam->at > keep)
		seam--;
	return seam;
}

static unsigned int bit_of(struct ks_view file, uint64_t bit)
{
	assert_true(bit / 8 < file.len);
	return file.data[bit / 8] >> bit % 8 & 1;
}

/* Every bit up to the seam is the old one, but for the BFINAL of the block that ends there. */
static void expect_kept(const struct old *old, size_t keep, struct ks_view out)
{
	const struct ks_seam *seam = seam_before(old, keep);
	size_t len = (size_t)(seam->bit / 8), odd = (size_t)(seam->before / 8);

	if (seam->before) {
		assert_memory_equal(out.data, old->file.data, odd);
		assert_int_equal((out.data[odd] ^ old->file.data[odd]) & ~(1u << seam->before % 8),
				 0);
		assert_memory_equal(out.data + odd + 1, old->file.data + odd + 1, len - odd - 1);
	} else {
		assert_memory_equal(out.data, old->file.data, len);
	}
	for (uint64_t bit = 8 * (uint64_t)len; bit < seam->bit; bit++)
		assert_int_equal(bit_of(out, bit), bit_of(ks_buf_view(&old->file), bit));
}

static struct ks_splice splice_of(const struct old *old, size_t keep, struct ks_view tail,
				  struct ks_buf *content)
{
	assert_ok(ks_buf_reserve(content, keep + tail.len + 1, &error));
	assert_ok(ks_buf_append(content, old->plain.data, keep, &error));
	assert_ok(ks_buf_append(content, tail.data, tail.len, &error));
	return (struct ks_splice){
		.file = ks_buf_view(&old->file),
		.seams = &old->seams,
		.old_len = old->plain.len,
		.keep = keep,
		.content = ks_buf_view(content),
	};
}

/* The first KEEP bytes of OLD and TAIL behind them; all that has to be true of every splice. */
static struct ks_written splice(const struct old *old, size_t keep, struct ks_view tail,
				struct ks_buf *out)
{
	KS_BULK content = { 0 };
	KS_BULK again = { 0 };
	struct ks_splice splice = splice_of(old, keep, tail, &content);
	struct ks_written written = { 0 }, same = { 0 };

	out->len = 0;
	assert_ok(ks_splicer_gzip.splice(&splice, out, &written, &error));
	assert_true(written.way == KS_WAY_SPLICED || written.way == KS_WAY_MENDED);
	assert_int_equal(written.way == KS_WAY_MENDED, written.why != NULL);
	expect_member(ks_buf_view(out), splice.content);
	assert_ok(ks_splicer_gzip.reread(&splice, ks_buf_view(out), &error));
	assert_null(ks_codec_gzip.objection(ks_buf_view(out)));
	assert_int_equal(ks_splicer_gzip.cuts_cleanly(&splice), seam_before(old, keep)->at == keep);
	if (written.way == KS_WAY_SPLICED)
		expect_kept(old, keep, ks_buf_view(out));
	assert_ok(ks_buf_append(&again, "in front", 8, &error));
	assert_ok(ks_splicer_gzip.splice(&splice, &again, &same, &error));
	assert_memory_equal(again.data, "in front", 8);
	assert_view_equal(ks_view_of(again.data + 8, again.len - 8), ks_buf_view(out));
	return written;
}

static void expect_spliced(const struct old *old, size_t keep, struct ks_view tail,
			   struct ks_buf *out)
{
	assert_int_equal(splice(old, keep, tail, out).way, KS_WAY_SPLICED);
}

static struct ks_view none(void)
{
	return ks_view_of("", 0);
}

static void put_signature(struct ks_buf *tail)
{
	fill(tail, SIGNATURE, 4711);
}

/* --- the blocks that unpack found ----------------------------------------------------------- */

/* What a reader of blocks finds from there on, with the content before it in its window. */
static void expect_seam(const struct old *old, const struct ks_seam *seam)
{
	struct ks_view file = ks_buf_view(&old->file), plain = ks_buf_view(&old->plain);
	size_t window = seam->at < 32768 ? seam->at : 32768;
	size_t at = (size_t)(seam->bit / 8);
	z_stream z = { 0 };
	KS_BULK got = { 0 };

	assert_ok(ks_buf_reserve(&got, plain.len + 1, &error));
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	if (seam->bit % 8)
		inflatePrime(&z, 8 - (int)(seam->bit % 8), file.data[at++] >> seam->bit % 8);
	inflateSetDictionary(&z, plain.data + seam->at - window, (uInt)window);
	z.next_in = file.data + at;
	z.avail_in = (uInt)(file.len - at);
	z.next_out = got.data;
	z.avail_out = (uInt)got.cap;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	got.len = got.cap - z.avail_out;
	assert_view_equal(ks_buf_view(&got),
			  ks_view_of(plain.data + seam->at, plain.len - seam->at));
	inflateEnd(&z);
}

/* All but the last are starts of blocks, and that one is where they end. */
static void expect_seams(const struct old *old)
{
	const struct ks_seams *seams = &old->seams;
	const struct ks_seam *end = &seams->item[seams->count - 1];

	assert_true(seams->count > 0 && seams->count <= KS_SEAMS);
	assert_int_equal(seams->item[0].at, 0);
	assert_int_equal(end->at, old->plain.len);
	for (size_t i = 0; i < seams->count; i++) {
		const struct ks_seam *seam = &seams->item[i];

		assert_int_equal(seam->crc,
				 seam->at ? crc32(0, old->plain.data, (uInt)seam->at) : 0);
		assert_int_equal(seam->before && bit_of(ks_buf_view(&old->file), seam->before),
				 seam == end);
		if (i)
			assert_true(seam->at > seam[-1].at && seam->bit > seam->before &&
				    seam->before >= seam[-1].bit);
		if (seam != end)
			expect_seam(old, seam);
	}
}

static void test_seams(void **state)
{
	static const size_t sizes[] = { 0, 1, 700, 40000, 130 * KIB };

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			OLD old = { 0 };

			make(&old, &kinds[i], sizes[j]);
			expect_seams(&old);
		}
	}
}

/* The end is just behind the last block's bits, and the trailer in the next byte. */
static void test_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		OLD old = { 0 };

		make(&old, &kinds[i], 5000);
		assert_int_equal((old.seams.item[old.seams.count - 1].bit + 7) / 8,
				 old.file.len - TRAILER);
	}
}

/* The newest are all there, and some of the old ones. */
static void test_many_blocks(void **state)
{
	struct kind kind = kinds[SYNCED];
	OLD old = { 0 };
	const struct ks_seam *end;

	(void)state;
	kind.every = 1;
	make(&old, &kind, 30000);
	expect_seams(&old);
	assert_true(old.seams.count > KS_SEAMS / 2);
	end = &old.seams.item[old.seams.count - 1];
	for (size_t i = 0; i <= KS_SEAMS / 2; i++)
		assert_int_equal(end[-(ptrdiff_t)i].at, old.plain.len - i);
	assert_true(old.seams.item[1].at > 1);
}

/* What fills the list exactly, and one more. */
static void test_full_list(void **state)
{
	struct kind kind = kinds[SYNCED];

	(void)state;
	kind.every = 10;
	for (size_t blocks = KS_SEAMS - 3; blocks < KS_SEAMS + 3; blocks++) {
		OLD old = { 0 };

		make(&old, &kind, blocks * 10);
		expect_seams(&old);
		assert_int_equal(old.seams.count,
				 blocks < KS_SEAMS ? blocks + 1 : blocks + 1 - KS_SEAMS / 4);
	}
}

/* Blocks are looked for, and everything else is as without. */
static void test_unpack_is_the_same(void **state)
{
	OLD old = { 0 };
	struct ks_seams seams;

	(void)state;
	make(&old, &kinds[SYNCED], 100 * KIB);
	for (size_t len = 0; len < old.file.len; len += len < 20 ? 1 : 997) {
		KS_BULK plain = { 0 };

		assert_fails(ks_codec_unpack_seams(&ks_codec_gzip, ks_view_of(old.file.data, len),
						   SIZE_MAX, &plain, &seams, &error),
			     KS_ERR_INPUT);
		assert_string_equal(error.text, "gzip: truncated");
	}
	for (size_t limit = 1; limit < old.plain.len; limit = limit * 3 + 1) {
		KS_BULK plain = { 0 };

		assert_fails(ks_codec_unpack_seams(&ks_codec_gzip, ks_buf_view(&old.file), limit,
						   &plain, &seams, &error),
			     KS_ERR_INPUT);
		assert_says("--max-size");
	}
}

/* --- another end ---------------------------------------------------------------------------- */

static const size_t tails[] = { 0, 1, 2, 100, SIGNATURE, 65534, 65535, 65536, 131070, 131071 };

enum { TAILS = sizeof(tails) / sizeof(*tails) };

static void test_append(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < TAILS; j++) {
			KS_BULK tail = { 0 };
			KS_BULK out = { 0 };
			OLD old = { 0 };

			make(&old, &kinds[i], 20000);
			fill(&tail, tails[j], (uint32_t)i);
			splice(&old, old.plain.len, ks_buf_view(&tail), &out);
			assert_true(out.len <=
				    old.file.len + tails[j] + (tails[j] + 65534) / 65535 * 5);
		}
	}
}

/* Nothing goes and nothing comes. */
static void test_append_nothing(void **state)
{
	KS_BULK out = { 0 };

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		OLD old = { 0 };

		make(&old, &kinds[i], 3000);
		if (splice(&old, old.plain.len, none(), &out).way == KS_WAY_SPLICED)
			assert_view_equal(ks_buf_view(&out), ks_buf_view(&old.file));
	}
}

/* Just as long as it has to be: the member, two bytes of length twice, and the bits of a block. */
static void test_phases(void **state)
{
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };
	unsigned int seen = 0;

	(void)state;
	put_signature(&tail);
	for (size_t len = 1; len < 200; len++) {
		OLD old = { 0 };
		unsigned int phase;

		make(&old, &kinds[LEVEL_6], len);
		phase = old.seams.item[old.seams.count - 1].bit % 8;
		seen |= 1u << phase;
		expect_spliced(&old, len, ks_buf_view(&tail), &out);
		assert_int_equal(out.len,
				 old.file.len + SIGNATURE + 4 + (phase == 0 || phase > 5 ? 1 : 0));
		for (size_t keep = 0; keep < len; keep += 37)
			expect_spliced(&old, keep, ks_buf_view(&tail), &out);
	}
	assert_int_equal(seen, 0xff);
}

static void cut_at(const struct old *old, size_t keep)
{
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };

	put_signature(&tail);
	splice(old, keep, none(), &out);
	splice(old, keep, ks_buf_view(&tail), &out);
}

/* Around each place where a block starts, and around those where nothing does. */
static void test_cut(void **state)
{
	static const size_t places[] = {
		0, 1, 2, 32767, 32768, 32769, 65534, 65535, 65536, 131071
	};

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		OLD old = { 0 };
		size_t step;

		make(&old, &kinds[i], 140 * KIB);
		step = old.seams.count / 4 + 1;
		for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++)
			cut_at(&old, places[j]);
		for (size_t j = 0; j < old.seams.count; j += step) {
			size_t at = old.seams.item[j].at;

			cut_at(&old, at);
			cut_at(&old, at ? at - 1 : 0);
			cut_at(&old, at < old.plain.len ? at + 1 : at);
		}
	}
}

static void test_cut_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		OLD old = { 0 };

		make(&old, &kinds[i], 300);
		for (size_t keep = 0; keep <= old.plain.len; keep++)
			cut_at(&old, keep);
	}
}

/* Also where blocks were forgotten. */
static void test_cut_many_blocks(void **state)
{
	struct kind kind = kinds[SYNCED];
	OLD old = { 0 };

	(void)state;
	kind.every = 3;
	make(&old, &kind, 20000);
	for (size_t keep = 0; keep <= old.plain.len; keep += 991)
		cut_at(&old, keep);
	for (size_t keep = old.plain.len - 20; keep <= old.plain.len; keep++)
		cut_at(&old, keep);
}

/* What is deflated again finds what it repeats, far before and close to the start. */
static void test_dictionary(void **state)
{
	static const size_t before[] = { 100, 3000, 32767, 32768, 32769, 90000 };
	struct kind kind = kinds[LEVEL_6];

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		size_t repeat = before[i] < 30000 ? before[i] : 30000;
		const struct ks_seam *seam;
		KS_BULK content = { 0 };
		KS_BULK out = { 0 };
		OLD old = { 0 };

		fill(&content, before[i], 5);
		assert_ok(ks_buf_reserve(&content, before[i] + repeat, &error));
		assert_ok(
			ks_buf_append(&content, content.data + before[i] - repeat, repeat, &error));
		kind.flush = Z_BLOCK;
		kind.every = before[i];
		put_gzip(&kind, ks_buf_view(&content), &old.file);
		load(&old);
		seam = seam_before(&old, content.len - 1);
		assert_int_equal(seam->at, before[i]);
		expect_spliced(&old, content.len - 1, none(), &out);
		assert_true(out.len < seam->bit / 8 + 30 + repeat / 80);
	}
}

static void put_trailer_of(struct ks_view content, struct ks_buf *file)
{
	const uint32_t trailer[] = { htole32((uint32_t)crc32(0, content.data, (uInt)content.len)),
				     htole32((uint32_t)content.len) };

	assert_ok(ks_buf_append(file, trailer, sizeof(trailer), &error));
}

/* One block with fixed codes, of any length: which zlib itself never makes. */
static void put_fixed(struct ks_view content, struct ks_buf *file)
{
	uint32_t bits = 3, used = 3; /* BFINAL, fixed codes */

	assert_ok(ks_buf_reserve(file, content.len / 8 * 9 + 64, &error));
	assert_ok(ks_buf_append(file, "\x1f\x8b\x08\0\0\0\0\0\0\xff", HEADER, &error));
	for (size_t i = 0; i <= content.len; i++) {
		uint32_t byte = i < content.len ? content.data[i] : 256;
		uint32_t code = byte < 144 ? 0x30 + byte : byte < 256 ? 0x190 + byte - 144 : 0;
		uint32_t len = byte < 144 ? 8 : byte < 256 ? 9 : 7;

		while (len--) {
			bits |= (code >> len & 1) << used++;
			if (used == 8) {
				uint8_t whole = (uint8_t)bits;

				assert_ok(ks_buf_append(file, &whole, 1, &error));
				bits = used = 0;
			}
		}
	}
	bits = htole32(bits);
	assert_ok(ks_buf_append(file, &bits, used ? 1 : 0, &error));
	put_trailer_of(content, file);
}

/* More than zlib is given at a time, of content and of what is made of it. */
static void test_pieces(void **state)
{
	KS_BULK content = { 0 };
	KS_BULK tail = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };

	(void)state;
	fill(&content, 2 * MIB + 77777, 9);
	put_fixed(ks_buf_view(&content), &old.file);
	load(&old);
	expect_seams(&old);
	fill(&tail, MIB + 5, 10);
	expect_spliced(&old, content.len - 9, ks_buf_view(&tail), &out);
	assert_true(out.len > 3 * MIB);
	expect_spliced(&old, content.len, ks_buf_view(&tail), &out);
	expect_spliced(&old, MIB + 1, none(), &out);
}

/* --- there and back ------------------------------------------------------------------------- */

/* A file that is signed and unsigned is what it was, to the byte. */
static void test_unsign_gives_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 100, 30000, 100000 };

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			KS_BULK tail = { 0 };
			KS_BULK out = { 0 };
			OLD old = { 0 };
			OLD made = { 0 };

			make(&old, &kinds[i], sizes[j]);
			if (kinds[i].header & ~(unsigned int)FNAME)
				continue;
			put_signature(&tail);
			expect_spliced(&old, sizes[j], ks_buf_view(&tail), &out);
			load_view(&made, ks_buf_view(&out));
			expect_seams(&made);
			expect_spliced(&made, sizes[j], none(), &out);
			assert_view_equal(ks_buf_view(&out), ks_buf_view(&old.file));
		}
	}
}

/* So it does where the last block, or more of them, hold nothing. */
static void test_unsign_empty_blocks(void **state)
{
	static const int flushes[][3] = {
		{ Z_SYNC_FLUSH, Z_NO_FLUSH, Z_NO_FLUSH },
		{ Z_PARTIAL_FLUSH, Z_NO_FLUSH, Z_NO_FLUSH },
		{ Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH },
		{ Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_NO_FLUSH },
	};
	KS_BULK tail = { 0 };

	(void)state;
	put_signature(&tail);
	for (size_t i = 0; i < sizeof(flushes) / sizeof(*flushes); i++) {
		for (size_t len = 0; len < 200; len += 99) {
			KS_BULK content = { 0 };
			KS_BULK out = { 0 };
			OLD old = { 0 };
			OLD made = { 0 };
			z_stream z = { 0 };

			fill_mixed(&content, len);
			assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
			deflate_all(&z, ks_buf_view(&content), flushes[i][0], &old.file);
			for (int j = 1; j < 3; j++) {
				if (flushes[i][j])
					deflate_all(&z, none(), flushes[i][j], &old.file);
			}
			deflate_all(&z, none(), Z_FINISH, &old.file);
			deflateEnd(&z);
			load(&old);
			expect_seams(&old);
			expect_spliced(&old, len, ks_buf_view(&tail), &out);
			load_view(&made, ks_buf_view(&out));
			expect_spliced(&made, len, none(), &out);
			assert_view_equal(ks_buf_view(&out), ks_buf_view(&old.file));
		}
	}
}

/* Signing again is signing once, with the last signature. */
static void test_resign(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i += 2) {
		KS_BULK first = { 0 };
		KS_BULK second = { 0 };
		KS_BULK once = { 0 };
		KS_BULK twice = { 0 };
		OLD old = { 0 };
		OLD made = { 0 };

		make(&old, &kinds[i], 70000);
		fill(&first, SIGNATURE, 1);
		fill(&second, 66000, 2);
		splice(&old, old.plain.len, ks_buf_view(&first), &twice);
		load_view(&made, ks_buf_view(&twice));
		expect_spliced(&made, old.plain.len, ks_buf_view(&second), &twice);
		splice(&old, old.plain.len, ks_buf_view(&second), &once);
		assert_view_equal(ks_buf_view(&twice), ks_buf_view(&once));
	}
}

/*
 * A signature that was deflated along with its module: the next one can be cut off again, and that
 * gives what cutting the old one off had given.
 */
static void test_resign_deflated(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		KS_BULK tail = { 0 };
		KS_BULK out = { 0 };
		KS_BULK unsigned_at_once = { 0 };
		OLD old = { 0 };
		OLD made = { 0 };
		size_t keep = 70000 - SIGNATURE;

		make(&old, &kinds[i], 70000);
		put_signature(&tail);
		splice(&old, keep, none(), &unsigned_at_once);
		splice(&old, keep, ks_buf_view(&tail), &out);
		load_view(&made, ks_buf_view(&out));
		assert_int_equal(seam_before(&made, keep)->at, keep);
		expect_spliced(&made, keep, none(), &out);
		assert_view_equal(ks_buf_view(&out), ks_buf_view(&unsigned_at_once));
	}
}

/* Nothing is left, and something comes again. */
static void test_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		KS_BULK out = { 0 };
		OLD old = { 0 };
		OLD empty = { 0 };

		make(&old, &kinds[i], 2000);
		splice(&old, 0, none(), &out);
		load_view(&empty, ks_buf_view(&out));
		assert_int_equal(empty.plain.len, 0);
		expect_spliced(&empty, 0, text_view("again"), &out);
		expect_spliced(&empty, 0, none(), &out);
		assert_view_equal(ks_buf_view(&out), ks_buf_view(&empty.file));
	}
}

/* --- what is mended, and what is not taken -------------------------------------------------- */

static void test_header(void **state)
{
	(void)state;
	for (unsigned int flags = 0; flags < 32; flags++) {
		struct kind kind = kinds[LEVEL_6];
		struct ks_written written;
		KS_BULK out = { 0 };
		OLD old = { 0 };

		kind.header = flags;
		make(&old, &kind, 40000);
		written = splice(&old, 39000, text_view("signature"), &out);
		if (flags & ~(unsigned int)(FNAME | FTEXT))
			assert_string_equal(written.why,
					    flags & FEXTRA   ? "an extra field in the header" :
					    flags & FCOMMENT ? "a comment in the header" :
							       "a checksum of the header");
		else
			assert_int_equal(written.way, KS_WAY_SPLICED);
		assert_memory_equal(out.data, old.file.data, 3);
		assert_int_equal(out.data[3], flags & (FNAME | FTEXT));
		assert_memory_equal(out.data + 4, old.file.data + 4, HEADER - 4);
		if (flags & FNAME)
			assert_memory_equal(out.data + HEADER, "a module.ko", 12);
		splice(&old, old.plain.len, none(), &out);
		cut_at(&old, 0);
	}
}

static void test_zeros(void **state)
{
	static const uint8_t zeros[4097];

	(void)state;
	for (size_t len = 1; len <= sizeof(zeros); len *= 4) {
		struct ks_written written;
		KS_BULK out = { 0 };
		OLD old = { 0 };
		OLD padded = { 0 };

		make(&old, &kinds[LEVEL_6], 3000);
		assert_ok(ks_buf_append(&padded.file, old.file.data, old.file.len, &error));
		assert_ok(ks_buf_append(&padded.file, zeros, len, &error));
		load(&padded);
		written = splice(&padded, 3000, text_view("signature"), &out);
		assert_int_equal(written.way, KS_WAY_MENDED);
		assert_string_equal(written.why, "zeros behind the member");
		written = splice(&padded, 3000, none(), &out);
		assert_int_equal(written.way, KS_WAY_MENDED);
		assert_view_equal(ks_buf_view(&out), ks_buf_view(&old.file));
	}
}

static void expect_packed(const struct old *old, const char *why)
{
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	struct ks_splice splice = splice_of(old, 3, text_view("another end"), &content);
	struct ks_written written = { 0 };

	assert_ok(ks_buf_append(&out, "in front", 8, &error));
	assert_ok(ks_splicer_gzip.splice(&splice, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_string_equal(written.why, why);
	assert_view_equal(ks_buf_view(&out), text_view("in front"));
	assert_false(ks_splicer_gzip.cuts_cleanly(&splice));
	out.len = 0;
	assert_ok(ks_codec_write(&ks_codec_gzip, &splice, false, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	expect_member(ks_buf_view(&out), splice.content);
}

static void test_two_members(void **state)
{
	OLD old = { 0 };

	(void)state;
	put_gzip(&kinds[LEVEL_6], text_view("the first"), &old.file);
	put_gzip(&kinds[LEVEL_6], text_view(""), &old.file);
	load(&old);
	assert_int_equal(old.seams.count, 0);
	expect_packed(&old, "a second member");
	put_gzip(&kinds[LEVEL_6], text_view("and third"), &old.file);
	load(&old);
	assert_int_equal(old.seams.count, 0);
	expect_packed(&old, "a second member");
}

/* Seams of another file: never out of bounds. */
static void test_strange_seams(void **state)
{
	OLD old = { 0 };
	OLD other = { 0 };

	(void)state;
	make(&old, &kinds[LEVEL_6], 3000);
	other = old;
	old.file.len = 17;
	expect_packed(&old, "a member that is not understood");
	old.file.len = other.file.len - 1;
	expect_packed(&old, "a member that is not understood");
	old = other;
	old.seams.item[0].bit -= 8;
	expect_packed(&old, "a member that is not understood");
	old = other;
	old.seams.item[0].at = 1;
	expect_packed(&old, "a member that is not understood");
	old = other;
	old.seams.count = 1;
	expect_packed(&old, "a member that is not understood");
	other = (struct old){ 0 };
}

/* Ten bytes, of which the flags promise more: a sanitizer sees each byte too far. */
static void test_short_header(void **state)
{
	OLD old = { .seams = { .count = 1, .item = { { .bit = 16 } } } };

	(void)state;
	for (unsigned int flags = 0; flags < 32; flags++) {
		const uint8_t header[HEADER] = { 0x1f, 0x8b, 8, (uint8_t)flags };
		struct ks_splice splice = { .seams = &old.seams, .content = none() };
		struct ks_written written = { 0 };
		KS_BULK out = { 0 };

		ks_buf_drop(&old.file);
		assert_ok(ks_buf_append(&old.file, header, HEADER, &error));
		splice.file = ks_buf_view(&old.file);
		assert_ok(ks_splicer_gzip.splice(&splice, &out, &written, &error));
		assert_int_equal(written.way, KS_WAY_PACKED);
		assert_fails(ks_splicer_gzip.reread(&splice, splice.file, &error), KS_ERR_INTERNAL);
	}
}

static void test_write(void **state)
{
	struct ks_written written = { 0 };
	KS_BULK content = { 0 };
	KS_BULK made = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };
	struct ks_splice splice;

	(void)state;
	make(&old, &kinds[LEVEL_6], 5000);
	splice = splice_of(&old, 4000, text_view("another end"), &content);
	assert_ok(ks_splicer_gzip.splice(&splice, &made, &written, &error));
	assert_ok(ks_codec_write(&ks_codec_gzip, &splice, false, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_SPLICED);
	assert_view_equal(ks_buf_view(&out), ks_buf_view(&made));
	out.len = 0;
	assert_ok(ks_codec_write(&ks_codec_gzip, &splice, true, &out, &written, &error));
	assert_int_equal(written.way, KS_WAY_PACKED);
	assert_null(written.why);
	expect_member(ks_buf_view(&out), splice.content);
}

/* --- reading back --------------------------------------------------------------------------- */

/* What no reader looks at: between a stored block's bits and its length, and behind the end. */
static bool is_padding(const struct old *made, uint64_t bit)
{
	const struct ks_seams *seams = &made->seams;

	for (size_t i = 0; i < seams->count; i++) {
		uint64_t start = seams->item[i].bit;

		if (i + 1 < seams->count) {
			if (bit_of(ks_buf_view(&made->file), start + 1) ||
			    bit_of(ks_buf_view(&made->file), start + 2))
				continue;
			start += 3;
		}
		if (bit >= start && bit < (start + 7) / 8 * 8)
			return true;
	}
	return false;
}

static void expect_unread(const struct ks_splice *splice, struct ks_view file)
{
	assert_fails(ks_splicer_gzip.reread(splice, file, &error), KS_ERR_INTERNAL);
	assert_says("gzip: what was made does not read back: ");
}

/*
 * A bit that may be the other one too: nobody reads it, or it is among those that were deflated
 * again, where a code that is never used may be of another length.
 */
static bool is_free(const struct old *old, size_t keep, const struct old *made, uint64_t bit)
{
	const struct ks_seam *seam = seam_before(old, keep);

	return is_padding(made, bit) ||
	       (seam->at < keep && bit >= seam_before(made, seam->at)->bit);
}

static void flip(struct ks_buf *file, uint64_t bit)
{
	file->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* Every bit of it once; if that is all the same, then to zlib too. */
static void flip_bits(const struct old *old, const struct ks_splice *splice, struct old *made)
{
	struct ks_view file = ks_buf_view(&made->file);
	size_t free_bits = 0;

	for (uint64_t bit = 0; bit < 8 * file.len; bit++) {
		bool free = is_free(old, splice->keep, made, bit);

		flip(&made->file, bit);
		if (free && ks_splicer_gzip.reread(splice, file, &error)) {
			expect_member(file, splice->content);
			free_bits++;
		} else {
			expect_unread(splice, file);
		}
		flip(&made->file, bit);
	}
	assert_true(free_bits < 32);
}

static void cut_short(const struct ks_splice *splice, struct ks_view file)
{
	for (size_t len = 0; len < file.len; len++) {
		KS_BULK part = { 0 };

		assert_ok(ks_buf_append(&part, file.data, len, &error));
		expect_unread(splice, ks_buf_view(&part));
	}
}

static void doubt(const struct old *old, size_t keep, struct ks_view tail)
{
	KS_BULK content = { 0 };
	OLD made = { 0 };
	struct ks_splice splice = splice_of(old, keep, tail, &content);
	struct ks_written written;

	assert_ok(ks_splicer_gzip.splice(&splice, &made.file, &written, &error));
	load(&made);
	flip_bits(old, &splice, &made);
	cut_short(&splice, ks_buf_view(&made.file));
	assert_ok(ks_splicer_gzip.reread(&splice, ks_buf_view(&made.file), &error));
	assert_ok(ks_buf_append(&made.file, "", 1, &error));
	expect_unread(&splice, ks_buf_view(&made.file));
}

static void test_reread_damage(void **state)
{
	static const size_t kept[] = { 0, 1, 133, 150, 266, 399, 400 };

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct kind kind = kinds[i];
		OLD old = { 0 };

		if (kind.every)
			kind.every = 133;
		make(&old, &kind, 400);
		for (size_t j = 0; j < sizeof(kept) / sizeof(*kept); j++) {
			doubt(&old, kept[j], none());
			doubt(&old, kept[j], text_view("another end"));
		}
	}
}

/* What holds other content than was meant, though every checksum is right. */
static void test_reread_other_content(void **state)
{
	static const size_t changed[] = { 0, 1, 4999, 5000, 5010 };

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct ks_written written;
		KS_BULK content = { 0 };
		KS_BULK out = { 0 };
		OLD old = { 0 };
		struct ks_splice splice;

		make(&old, &kinds[i], 6000);
		splice = splice_of(&old, 5000, text_view("another end"), &content);
		assert_ok(ks_splicer_gzip.splice(&splice, &out, &written, &error));
		for (size_t j = 0; j < sizeof(changed) / sizeof(*changed); j++) {
			content.data[changed[j]] ^= 1;
			expect_unread(&splice, ks_buf_view(&out));
			content.data[changed[j]] ^= 1;
		}
		splice.content.len--;
		expect_unread(&splice, ks_buf_view(&out));
		content.data[splice.content.len + 1] = 0;
		splice.content.len += 2;
		expect_unread(&splice, ks_buf_view(&out));
	}
}

/* A member that holds what was meant, but of which nothing is the old file's. */
static void test_reread_other_file(void **state)
{
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };
	struct ks_splice splice;

	(void)state;
	make(&old, &kinds[LEVEL_6], 60000);
	splice = splice_of(&old, 60000, text_view("another end"), &content);
	put_gzip(&kinds[LEVEL_6 - 5], splice.content, &out);
	expect_unread(&splice, ks_buf_view(&out));
	expect_unread(&splice, none());
}

/* The trailer tells of an end that no block holds. */
static void test_reread_missing_end(void **state)
{
	KS_BULK less = { 0 };
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };
	struct ks_written written;
	struct ks_splice splice;

	(void)state;
	make(&old, &kinds[LEVEL_6], 5000);
	splice = splice_of(&old, 5000, none(), &less);
	assert_ok(ks_splicer_gzip.splice(&splice, &out, &written, &error));
	splice = splice_of(&old, 5000, text_view("another end"), &content);
	out.len -= TRAILER;
	put_trailer_of(splice.content, &out);
	expect_unread(&splice, ks_buf_view(&out));
	assert_says("less content");
}

/* Between header and first block is a byte that belongs to neither. */
static void test_reread_gap(void **state)
{
	KS_BULK content = { 0 };
	KS_BULK made = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };
	struct ks_written written;
	struct ks_splice splice;

	(void)state;
	make(&old, &kinds[LEVEL_6], 5000);
	splice = splice_of(&old, 0, text_view("another end"), &content);
	assert_ok(ks_splicer_gzip.splice(&splice, &made, &written, &error));
	assert_ok(ks_buf_append(&out, made.data, HEADER, &error));
	assert_ok(ks_buf_append(&out, "", 1, &error));
	assert_ok(ks_buf_append(&out, made.data + HEADER, made.len - HEADER, &error));
	old.seams.item[0].bit += 8;
	expect_unread(&splice, ks_buf_view(&out));
	assert_says("where it starts");
}

/* Seams that say that a block is shorter than any. */
static void test_reread_strange_seams(void **state)
{
	KS_BULK content = { 0 };
	KS_BULK out = { 0 };
	OLD old = { 0 };
	struct ks_written written;
	struct ks_splice splice;
	struct ks_seam *end;

	(void)state;
	make(&old, &kinds[LEVEL_6], 5000);
	splice = splice_of(&old, 5000, text_view("another end"), &content);
	assert_ok(ks_splicer_gzip.splice(&splice, &out, &written, &error));
	end = &old.seams.item[old.seams.count - 1];
	for (int less = -9; less < 10; less++) {
		end->before = end->bit - (uint64_t)less;
		expect_unread(&splice, ks_buf_view(&out));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_seams),
	cmocka_unit_test(test_end),
	cmocka_unit_test(test_many_blocks),
	cmocka_unit_test(test_full_list),
	cmocka_unit_test(test_unpack_is_the_same),
	cmocka_unit_test(test_append),
	cmocka_unit_test(test_append_nothing),
	cmocka_unit_test(test_phases),
	cmocka_unit_test(test_cut),
	cmocka_unit_test(test_cut_everywhere),
	cmocka_unit_test(test_cut_many_blocks),
	cmocka_unit_test(test_dictionary),
	cmocka_unit_test(test_pieces),
	cmocka_unit_test(test_unsign_gives_back),
	cmocka_unit_test(test_unsign_empty_blocks),
	cmocka_unit_test(test_resign),
	cmocka_unit_test(test_resign_deflated),
	cmocka_unit_test(test_empty),
	cmocka_unit_test(test_header),
	cmocka_unit_test(test_zeros),
	cmocka_unit_test(test_two_members),
	cmocka_unit_test(test_strange_seams),
	cmocka_unit_test(test_short_header),
	cmocka_unit_test(test_write),
	cmocka_unit_test(test_reread_damage),
	cmocka_unit_test(test_reread_other_content),
	cmocka_unit_test(test_reread_other_file),
	cmocka_unit_test(test_reread_missing_end),
	cmocka_unit_test(test_reread_gap),
	cmocka_unit_test(test_reread_strange_seams),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
