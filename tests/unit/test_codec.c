/* SPDX-License-Identifier: MIT */
/*
 * Containers made and read back, damaged in every way a small one can be, and compared with what
 * the kernel's own reader asks for.  Each test that takes a container runs once for each of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <endian.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "core/codec.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static const size_t no_limit = SIZE_MAX;

/* Far larger than the test programs' stacks should carry around in each frame. */
static struct ks_error error;

/* --- content and containers to try --------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void append(struct ks_buf *buf, const void *data, size_t len)
{
	assert_true(ks_buf_append(buf, data, len, &error));
}

static void append_view(struct ks_buf *buf, struct ks_view view)
{
	append(buf, view.data, view.len);
}

/* LEN bytes that no container makes smaller. */
static void fill_random(struct ks_buf *buf, size_t len)
{
	uint32_t state = 0x9e3779b9u + (uint32_t)len;

	assert_true(ks_buf_reserve(buf, buf->len + len, &error));
	for (size_t i = 0; i < len; i++)
		buf->data[buf->len++] = (uint8_t)(next_random(&state) >> 11);
}

/* LEN bytes that shrink about as well as a module does: words, runs of zeros, some noise. */
static void fill_mixed(struct ks_buf *buf, size_t len)
{
	static const char *const words[] = { "module", "kernel ", "\0\0\0\0\0\0\0",
					     "vermagic=", "\x48\x89\xe5\xc3" };
	uint32_t state = 0x12345678u + (uint32_t)len;
	size_t end = buf->len + len;

	assert_true(ks_buf_reserve(buf, end + 16, &error));
	while (buf->len < end) {
		uint32_t r = next_random(&state);
		size_t take = 4 + (r >> 8) % 3;

		if (r % 3)
			memcpy(buf->data + buf->len, words[r % 5], 4);
		else
			memcpy(buf->data + buf->len, &r, 4);
		memset(buf->data + buf->len + 4, 0, take - 4);
		buf->len += take;
	}
	buf->len = end;
}

static void pack(const struct ks_codec *codec, struct ks_view plain, struct ks_buf *file)
{
	assert_true(codec->pack(plain, file, &error));
}

static void pack_text(const struct ks_codec *codec, const char *text, struct ks_buf *file)
{
	pack(codec, ks_view_of(text, strlen(text)), file);
}

/* A container of LEN bytes of mixed content, which goes to PLAIN too. */
static void pack_mixed(const struct ks_codec *codec, size_t len, struct ks_buf *plain,
		       struct ks_buf *file)
{
	fill_mixed(plain, len);
	pack(codec, ks_buf_view(plain), file);
}

/* --- what is expected ---------------------------------------------------------------------- */

static void expect_content(const struct ks_codec *codec, struct ks_view file, struct ks_view plain)
{
	KS_BUF got = { 0 };

	if (!ks_codec_unpack(codec, file, no_limit, &got, &error))
		fail_msg("%s", error.text);
	assert_true(ks_view_equal(ks_buf_view(&got), plain));
}

static void expect_text(const struct ks_codec *codec, struct ks_view file, const char *text)
{
	expect_content(codec, file, ks_view_of(text, strlen(text)));
}

static void expect_error(const struct ks_codec *codec, struct ks_view file, enum ks_code code,
			 const char *text)
{
	KS_BUF got = { 0 };

	error = (struct ks_error){ 0 };
	assert_false(ks_codec_unpack(codec, file, no_limit, &got, &error));
	if (text)
		assert_string_equal(error.text, text);
	assert_int_equal(error.code, code);
	assert_memory_equal(error.text, codec->name, strlen(codec->name));
	assert_int_equal(error.text[strlen(codec->name)], ':');
	assert_null(strchr(error.text, '\n'));
}

/* Damage may be harmless, but it never gives other content, and never a vague error. */
static void expect_same_or_error(const struct ks_codec *codec, struct ks_view file,
				 struct ks_view plain)
{
	KS_BUF got = { 0 };

	error = (struct ks_error){ 0 };
	if (ks_codec_unpack(codec, file, MIB, &got, &error)) {
		assert_true(ks_view_equal(ks_buf_view(&got), plain));
		return;
	}
	assert_true(error.code == KS_ERR_INPUT || error.code == KS_ERR_UNSUPPORTED);
	assert_true(error.text[0]);
}

/* --- round trips --------------------------------------------------------------------------- */

static void round_trip(const struct ks_codec *codec, struct ks_view plain)
{
	KS_BUF file = { 0 };

	pack(codec, plain, &file);
	expect_content(codec, ks_buf_view(&file), plain);
	if (codec != &ks_codec_none)
		assert_ptr_equal(ks_codec_by_magic(ks_buf_view(&file)), codec);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0,	1,	2,	3,	   255,	   256,
					257,	4096,	65535,	65536,	   65537,  98304,
					131071, 131072, 131073, 256 * KIB, MIB + 1 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF mixed = { 0 };

		fill_mixed(&mixed, sizes[i]);
		round_trip(*state, ks_buf_view(&mixed));
	}
}

static void test_every_small_size(void **state)
{
	KS_BUF mixed = { 0 };

	fill_mixed(&mixed, 300);
	for (size_t len = 0; len <= mixed.len; len++)
		round_trip(*state, ks_view_of(mixed.data, len));
}

static void test_incompressible(void **state)
{
	static const size_t sizes[] = { 1, 100, 65536, 131073, MIB + 12345 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF random = { 0 };

		fill_random(&random, sizes[i]);
		round_trip(*state, ks_buf_view(&random));
	}
}

static void test_very_compressible(void **state)
{
	KS_BUF zeros = { 0 };

	assert_true(ks_buf_reserve(&zeros, 5 * MIB, &error));
	memset(zeros.data, 0, zeros.cap);
	zeros.len = zeros.cap;
	round_trip(*state, ks_buf_view(&zeros));
}

static void test_deterministic(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF first = { 0 };
	KS_BUF second = { 0 };

	pack_mixed(codec, MIB + 1, &plain, &first);
	/* Another address, another alignment, another size of the output's buffer. */
	append(&second, "head", 4);
	assert_true(ks_buf_reserve(&second, 70000, &error));
	pack(codec, ks_buf_view(&plain), &second);
	assert_memory_equal(second.data, "head", 4);
	assert_true(
		ks_view_equal(ks_view_of(second.data + 4, second.len - 4), ks_buf_view(&first)));
}

static void test_unpack_appends(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };
	KS_BUF got = { 0 };

	pack_text(codec, "behind", &file);
	append(&got, "before, ", 8);
	assert_true(ks_codec_unpack(codec, ks_buf_view(&file), no_limit, &got, &error));
	assert_int_equal(got.len, 14);
	assert_memory_equal(got.data, "before, behind", 14);
}

/* --- several members ----------------------------------------------------------------------- */

static void test_members(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "one ", &file);
	pack_text(codec, "", &file);
	pack_text(codec, "two ", &file);
	pack_text(codec, "", &file);
	pack_text(codec, "three", &file);
	pack_text(codec, "", &file);
	expect_text(codec, ks_buf_view(&file), "one two three");
}

static void test_large_members(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF part = { 0 };
	KS_BUF file = { 0 };

	for (size_t len = 100 * KIB; len < 400 * KIB; len += 99999) {
		fill_mixed(&part, len);
		fill_random(&part, 4097);
		pack(codec, ks_buf_view(&part), &file);
		append_view(&plain, ks_buf_view(&part));
		ks_buf_drop(&part);
	}
	expect_content(codec, ks_buf_view(&file), ks_buf_view(&plain));
}

static void test_many_members(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF one = { 0 };
	KS_BUF file = { 0 };

	pack_text(codec, "member", &one);
	for (int i = 0; i < 1000; i++) {
		append(&plain, "member", 6);
		append_view(&file, ks_buf_view(&one));
	}
	expect_content(codec, ks_buf_view(&file), ks_buf_view(&plain));
}

/* --- damage -------------------------------------------------------------------------------- */

static void test_truncated(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	pack_mixed(codec, 700, &plain, &file);
	for (size_t len = 0; len < file.len; len++) {
		/* A copy of exactly this length, so that a sanitizer sees each byte read behind. */
		KS_BUF cut = { 0 };

		append(&cut, file.data, len);
		expect_error(codec, ks_buf_view(&cut), KS_ERR_INPUT, NULL);
		assert_non_null(strstr(error.text, ": truncated"));
	}
}

static void test_truncated_empty(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "", &file);
	for (size_t len = 0; len < file.len; len++)
		expect_error(codec, ks_view_of(file.data, len), KS_ERR_INPUT, NULL);
}

static void test_truncated_second_member(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };
	size_t first;

	pack_text(codec, "the first member", &file);
	first = file.len;
	pack_text(codec, "and the second one", &file);
	for (size_t len = first + 1; len < file.len; len++)
		expect_error(codec, ks_view_of(file.data, len), KS_ERR_INPUT, NULL);
	expect_text(codec, ks_view_of(file.data, first), "the first member");
}

static void test_truncated_large(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	pack_mixed(codec, MIB, &plain, &file);
	for (size_t cut = 1; cut < file.len; cut = cut * 5 + 1) {
		expect_error(codec, ks_view_of(file.data, file.len - cut), KS_ERR_INPUT, NULL);
		assert_non_null(strstr(error.text, ": truncated"));
	}
}

static void flip_every_bit(const struct ks_codec *codec, struct ks_buf *file, struct ks_view plain)
{
	for (size_t i = 0; i < file->len * 8; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		file->data[i / 8] ^= bit;
		expect_same_or_error(codec, ks_buf_view(file), plain);
		file->data[i / 8] ^= bit;
	}
}

static void test_bits(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	pack_mixed(codec, 500, &plain, &file);
	flip_every_bit(codec, &file, ks_buf_view(&plain));
}

static void test_bits_of_members(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "one after", &file);
	pack_text(codec, "", &file);
	pack_text(codec, " the other", &file);
	flip_every_bit(codec, &file, ks_view_of("one after the other", 19));
}

static void test_every_byte_value(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	pack_mixed(codec, 60, &plain, &file);
	for (size_t i = 0; i < file.len * 256; i++) {
		uint8_t kept = file.data[i / 256];

		file.data[i / 256] = (uint8_t)i;
		expect_same_or_error(codec, ks_buf_view(&file), ks_buf_view(&plain));
		file.data[i / 256] = kept;
	}
}

/* What a signer that knows no containers leaves behind. */
static void test_trailing_signature(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "module", &file);
	append(&file, "0\x82\x01~Module signature appended~\n", 31);
	expect_error(codec, ks_buf_view(&file), KS_ERR_INPUT, NULL);
	assert_non_null(strstr(error.text, ": trailing garbage after the last "));
}

static void test_trailing_byte(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "module", &file);
	append(&file, "", 1);
	for (int byte = 1; byte < 256; byte++) {
		file.data[file.len - 1] = (uint8_t)byte;
		expect_error(codec, ks_buf_view(&file), KS_ERR_INPUT, NULL);
		assert_non_null(strstr(error.text, ": trailing garbage after the last "));
	}
}

static void test_other_container(void **state)
{
	const struct ks_codec *codec = *state;
	const struct ks_codec *other = codec == &ks_codec_gzip ? &ks_codec_xz : &ks_codec_gzip;
	KS_BUF file = { 0 };

	pack_text(other, "not mine", &file);
	expect_error(codec, ks_buf_view(&file), KS_ERR_INPUT, NULL);
	assert_non_null(strstr(error.text, "header"));
	ks_buf_drop(&file);
	pack_text(codec, "mine", &file);
	pack_text(other, "not mine", &file);
	expect_error(codec, ks_buf_view(&file), KS_ERR_INPUT, NULL);
	assert_non_null(strstr(error.text, ": trailing garbage after the last "));
}

/* --- the limit ----------------------------------------------------------------------------- */

static void expect_limit_error(const struct ks_codec *codec, struct ks_view file, size_t limit)
{
	KS_BUF got = { 0 };
	char number[32];

	error = (struct ks_error){ 0 };
	assert_false(ks_codec_unpack(codec, file, limit, &got, &error));
	assert_int_equal(error.code, KS_ERR_INPUT);
	snprintf(number, sizeof(number), " %zu bytes", limit);
	assert_non_null(strstr(error.text, number));
	assert_non_null(strstr(error.text, "--max-size"));
	assert_memory_equal(error.text, codec->name, strlen(codec->name));
	assert_true(got.cap <= limit);
}

static void expect_just_fits(const struct ks_codec *codec, struct ks_view file,
			     struct ks_view plain)
{
	KS_BUF got = { 0 };

	if (!ks_codec_unpack(codec, file, plain.len, &got, &error))
		fail_msg("%s", error.text);
	assert_true(ks_view_equal(ks_buf_view(&got), plain));
	assert_true(got.cap <= plain.len);
}

static void test_limit(void **state)
{
	static const size_t sizes[] = { 1, 2, 1000, 65535, 65536, 65537, 98304, 98305, MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		pack_mixed(*state, sizes[i], &plain, &file);
		expect_just_fits(*state, ks_buf_view(&file), ks_buf_view(&plain));
		expect_limit_error(*state, ks_buf_view(&file), sizes[i] - 1);
		expect_limit_error(*state, ks_buf_view(&file), sizes[i] / 2);
		expect_limit_error(*state, ks_buf_view(&file), 0);
	}
}

static void test_limit_empty(void **state)
{
	KS_BUF file = { 0 };

	pack_text(*state, "", &file);
	expect_just_fits(*state, ks_buf_view(&file), ks_view_of(NULL, 0));
}

static void test_limit_over_members(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "12345678", &file);
	pack_text(codec, "90", &file);
	pack_text(codec, "", &file);
	expect_just_fits(codec, ks_buf_view(&file), ks_view_of("1234567890", 10));
	for (size_t limit = 0; limit < 10; limit++)
		expect_limit_error(codec, ks_buf_view(&file), limit);
}

/* A buffer that was larger already is no way round the limit. */
static void test_limit_in_large_buffer(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };
	KS_BUF got = { 0 };

	assert_true(ks_buf_reserve(&got, 1000, &error));
	append(&got, "12", 2);
	pack_text(codec, "345", &file);
	assert_false(ks_codec_unpack(codec, ks_buf_view(&file), 4, &got, &error));
	assert_non_null(strstr(error.text, "--max-size"));
	assert_true(got.len <= 4);
	got.len = 2;
	assert_true(ks_codec_unpack(codec, ks_buf_view(&file), 5, &got, &error));
	assert_memory_equal(got.data, "12345", 5);
	got.len = 5;
	assert_false(ks_codec_unpack(codec, ks_buf_view(&file), 4, &got, &error));
	assert_non_null(strstr(error.text, "--max-size"));
}

static void test_bomb(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF zeros = { 0 };
	KS_BUF file = { 0 };

	assert_true(ks_buf_reserve(&zeros, 12 * MIB, &error));
	memset(zeros.data, 0, zeros.cap);
	zeros.len = zeros.cap;
	pack(codec, ks_buf_view(&zeros), &file);
	assert_true(file.len < zeros.len / 500);
	expect_limit_error(codec, ks_buf_view(&file), MIB);
}

/* A checksum is looked at also where the content ends exactly at the limit. */
static void test_checksum_at_limit(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };
	KS_BUF got = { 0 };
	size_t where;

	pack_mixed(codec, 5000, &plain, &file);
	where = codec == &ks_codec_gzip ? 8 : codec == &ks_codec_zstd ? 4 : 32;
	file.data[file.len - where] ^= 1;
	assert_false(ks_codec_unpack(codec, ks_buf_view(&file), plain.len, &got, &error));
	assert_null(strstr(error.text, "--max-size"));
	if (codec != &ks_codec_xz)
		assert_non_null(strstr(error.text, ": wrong checksum"));
}

/* --- gzip ---------------------------------------------------------------------------------- */

static void test_gzip_pack(void **state)
{
	static const uint8_t header[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };
	uint32_t trailer[2];

	(void)state;
	pack_mixed(&ks_codec_gzip, 100000, &plain, &file);
	assert_memory_equal(file.data, header, sizeof(header));
	memcpy(trailer, file.data + file.len - 8, 8);
	assert_int_equal(le32toh(trailer[0]), crc32_z(0, plain.data, plain.len));
	assert_int_equal(le32toh(trailer[1]), plain.len);
}

static void gzip_with(gz_header *header, const char *text, struct ks_buf *file)
{
	uint8_t out[500];
	z_stream z = { 0 };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflateSetHeader(&z, header), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)text;
	z.avail_in = (uInt)strlen(text);
	z.next_out = out;
	z.avail_out = sizeof(out);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	append(file, out, sizeof(out) - z.avail_out);
	assert_int_equal(deflateEnd(&z), Z_OK);
}

static void test_gzip_header_fields(void **state)
{
	uint8_t name[] = "x.ko", comment[] = "what", extra[] = "AB\2\0xy";
	gz_header full = { .text = 1,
			   .time = 1234567890,
			   .os = 7,
			   .extra = extra,
			   .extra_len = 6,
			   .name = name,
			   .comment = comment,
			   .hcrc = 1 };
	KS_BUF file = { 0 };

	(void)state;
	gzip_with(&full, "all fields", &file);
	assert_int_equal(file.data[3], 0x1f);
	expect_text(&ks_codec_gzip, ks_buf_view(&file), "all fields");
	for (size_t len = 0; len < file.len; len++)
		expect_error(&ks_codec_gzip, ks_view_of(file.data, len), KS_ERR_INPUT,
			     "gzip: truncated");
	flip_every_bit(&ks_codec_gzip, &file, ks_view_of("all fields", 10));
	file.data[4] ^= 1;
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_INPUT,
		     "gzip: corrupt (header crc mismatch)");
}

static void test_gzip_harmless_bytes(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_gzip, "content", &file);
	for (size_t i = 4; i < 10; i++)
		file.data[i] = 0xaa;
	expect_text(&ks_codec_gzip, ks_buf_view(&file), "content");
}

static void test_gzip_trailing_zeros(void **state)
{
	static const uint8_t zeros[600];
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_gzip, "padded", &file);
	append(&file, zeros, 1);
	expect_text(&ks_codec_gzip, ks_buf_view(&file), "padded");
	append(&file, zeros, sizeof(zeros));
	expect_text(&ks_codec_gzip, ks_buf_view(&file), "padded");
	pack_text(&ks_codec_gzip, "a member behind zeros", &file);
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_INPUT,
		     "gzip: trailing garbage after the last member");
}

static void test_gzip_trailer(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_gzip, "content", &file);
	file.data[file.len - 8] ^= 1;
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_INPUT, "gzip: wrong checksum");
	file.data[file.len - 8] ^= 1;
	file.data[file.len - 1] ^= 1;
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_INPUT, "gzip: wrong content size");
}

static void test_gzip_unsupported(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_gzip, "content", &file);
	file.data[2] = 7;
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
		     "gzip: unknown compression method 7");
	file.data[2] = 8;
	file.data[3] = 0x20;
	expect_error(&ks_codec_gzip, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
		     "gzip: unknown flags in the header");
}

/* Stored blocks are the one thing in deflate that is larger than what it holds. */
static void test_gzip_pieces(void **state)
{
	KS_BUF plain = { 0 };

	(void)state;
	fill_random(&plain, 3 * MIB + 1);
	round_trip(&ks_codec_gzip, ks_buf_view(&plain));
}

/* --- xz ------------------------------------------------------------------------------------ */

static void put_crc32(uint8_t *at, const uint8_t *data, size_t len)
{
	uint32_t crc = htole32(lzma_crc32(data, len, 0));

	memcpy(at, &crc, sizeof(crc));
}

/* The Block Header of a stream of ours: size, flags, filter, size of its properties, them, CRC. */
enum {
	XZ_CHECK = 7,
	XZ_BLOCK = 12,
	XZ_FILTER = 14,
	XZ_DICTIONARY = 16,
	XZ_BLOCK_CRC = 20,
};

static void test_xz_pack(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	pack_mixed(&ks_codec_xz, 100000, &plain, &file);
	assert_memory_equal(file.data, "\xfd\x37zXZ\0\0", 7);
	assert_int_equal(file.data[XZ_CHECK], LZMA_CHECK_CRC32);
	assert_int_equal(file.data[XZ_BLOCK], 2);
	assert_int_equal(file.data[XZ_FILTER - 1], 0);
	assert_int_equal(file.data[XZ_FILTER], LZMA_FILTER_LZMA2);
	assert_int_equal(file.data[XZ_DICTIONARY - 1], 1);
	/* 16 stands for 2 << (16 / 2 + 11) bytes, which is 1 MiB. */
	assert_int_equal(file.data[XZ_DICTIONARY], 16);
	assert_int_equal(file.len % 4, 0);
	assert_memory_equal(file.data + file.len - 2, "YZ", 2);
	assert_int_equal(file.data[file.len - 3], LZMA_CHECK_CRC32);
}

/* One stream, one Block, and the Index says the content's size. */
static void test_xz_pack_index(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };
	lzma_stream_flags footer;
	lzma_index *index = NULL;
	uint64_t memory = UINT64_MAX;
	size_t pos = 0, size;

	(void)state;
	pack_mixed(&ks_codec_xz, 512 * KIB, &plain, &file);
	assert_int_equal(lzma_stream_footer_decode(&footer, file.data + file.len - 12), LZMA_OK);
	size = (size_t)footer.backward_size;
	assert_int_equal(lzma_index_buffer_decode(&index, &memory, NULL,
						  file.data + file.len - 12 - size, &pos, size),
			 LZMA_OK);
	assert_int_equal(lzma_index_file_size(index), file.len);
	assert_int_equal(lzma_index_uncompressed_size(index), plain.len);
	assert_int_equal(lzma_index_block_count(index), 1);
	lzma_index_end(index, NULL);
}

static void xz_with(lzma_filter *filters, lzma_check check, struct ks_view plain,
		    struct ks_buf *file)
{
	size_t pos = file->len;

	assert_true(ks_buf_reserve(file, pos + lzma_stream_buffer_bound(plain.len), &error));
	assert_int_equal(lzma_stream_buffer_encode(filters, check, NULL, plain.data, plain.len,
						   file->data, &pos, file->cap),
			 LZMA_OK);
	file->len = pos;
}

static void test_xz_checks(void **state)
{
	static const lzma_check checks[] = { LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64,
					     LZMA_CHECK_SHA256 };
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };

	(void)state;
	assert_false(lzma_lzma_preset(&options, 0));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		fill_mixed(&plain, 500);
		xz_with(filters, checks[i], ks_buf_view(&plain), &file);
		expect_content(&ks_codec_xz, ks_buf_view(&file), ks_buf_view(&plain));
		/* Without a check, a bit of the content is nobody's business. */
		if (checks[i] != LZMA_CHECK_NONE)
			flip_every_bit(&ks_codec_xz, &file, ks_buf_view(&plain));
	}
}

static void test_xz_filters(void **state)
{
	lzma_options_lzma options;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_filter x86[] = { { LZMA_FILTER_X86, NULL },
			      { LZMA_FILTER_LZMA2, &options },
			      { LZMA_VLI_UNKNOWN, NULL } };
	lzma_filter deltas[] = { { LZMA_FILTER_DELTA, &delta },
				 { LZMA_FILTER_LZMA2, &options },
				 { LZMA_VLI_UNKNOWN, NULL } };
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	assert_false(lzma_lzma_preset(&options, 1));
	fill_mixed(&plain, 200 * KIB);
	xz_with(x86, LZMA_CHECK_CRC32, ks_buf_view(&plain), &file);
	expect_just_fits(&ks_codec_xz, ks_buf_view(&file), ks_buf_view(&plain));
	ks_buf_drop(&file);
	xz_with(deltas, LZMA_CHECK_CRC64, ks_buf_view(&plain), &file);
	expect_just_fits(&ks_codec_xz, ks_buf_view(&file), ks_buf_view(&plain));
}

static void xz_blocks(struct ks_view plain, size_t block, struct ks_buf *file)
{
	lzma_stream z = LZMA_STREAM_INIT;

	assert_int_equal(lzma_easy_encoder(&z, 0, LZMA_CHECK_CRC32), LZMA_OK);
	assert_true(ks_buf_reserve(file, 2 * plain.len + 100 * KIB, &error));
	z.next_out = file->data;
	z.avail_out = file->cap;
	z.next_in = plain.data;
	for (size_t done = 0; done < plain.len; done += block) {
		z.avail_in = plain.len - done < block ? plain.len - done : block;
		assert_int_equal(lzma_code(&z, LZMA_FULL_FLUSH), LZMA_STREAM_END);
	}
	assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
	file->len = file->cap - z.avail_out;
	lzma_end(&z);
}

static void test_xz_blocks(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_mixed(&plain, 100 * KIB);
	xz_blocks(ks_buf_view(&plain), 10000, &file);
	expect_content(&ks_codec_xz, ks_buf_view(&file), ks_buf_view(&plain));
}

static void test_xz_padding(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	for (size_t n = 0; n <= sizeof(zeros); n++) {
		KS_BUF file = { 0 };

		pack_text(&ks_codec_xz, "one ", &file);
		append(&file, zeros, n);
		if (n % 4 == 0)
			expect_text(&ks_codec_xz, ks_buf_view(&file), "one ");
		else
			expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_INPUT, NULL);
		pack_text(&ks_codec_xz, "two", &file);
		if (n % 4 == 0)
			expect_text(&ks_codec_xz, ks_buf_view(&file), "one two");
		else
			expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_INPUT, NULL);
		append(&file, zeros, n);
		append(&file, "x", 1);
		expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_INPUT, NULL);
	}
}

/* Padding belongs behind a stream, not in front of the first one. */
static void test_xz_leading_padding(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	append(&file, "\0\0\0\0", 4);
	pack_text(&ks_codec_xz, "content", &file);
	expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_INPUT, "xz: no xz header");
}

static void test_xz_dictionary(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	for (uint8_t bits = 0; bits <= 40; bits++) {
		file.data[XZ_DICTIONARY] = bits;
		put_crc32(file.data + XZ_BLOCK_CRC, file.data + XZ_BLOCK, XZ_BLOCK_CRC - XZ_BLOCK);
		/* 30 is 128 MiB. */
		if (bits <= 30)
			expect_text(&ks_codec_xz, ks_buf_view(&file), "content");
		else
			expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
				     "xz: dictionary larger than 128 MiB");
	}
}

static void test_xz_unknown_filter(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	file.data[XZ_FILTER] = 0x22;
	put_crc32(file.data + XZ_BLOCK_CRC, file.data + XZ_BLOCK, XZ_BLOCK_CRC - XZ_BLOCK);
	expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
		     "xz: unknown filter or header field");
}

static void test_xz_unknown_check(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	file.data[XZ_CHECK] = 2;
	put_crc32(file.data + 8, file.data + 6, 2);
	expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
		     "xz: unknown kind of checksum");
}

static void test_xz_content_damage(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_random(&plain, 1000);
	pack(&ks_codec_xz, ks_buf_view(&plain), &file);
	/* Random bytes are stored as they are, so that only the check can see this. */
	file.data[500] ^= 1;
	expect_error(&ks_codec_xz, ks_buf_view(&file), KS_ERR_INPUT,
		     "xz: corrupt or wrong checksum");
}

/* --- zstd ---------------------------------------------------------------------------------- */

static void test_zstd_pack(void **state)
{
	static const size_t sizes[] = { 0, 1, 255, 256, 65791, 65792, 300000, 3 * MIB };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		pack_mixed(&ks_codec_zstd, sizes[i], &plain, &file);
		assert_int_equal(ZSTD_findFrameCompressedSize(file.data, file.len), file.len);
		assert_int_equal(ZSTD_getFrameContentSize(file.data, file.len), plain.len);
		assert_int_equal(ZSTD_getDictID_fromFrame(file.data, file.len), 0);
		/* Content_Checksum_flag */
		assert_int_equal(file.data[4] & 4, 4);
	}
}

/* The level shows in the output only; nothing in the header names it. */
static void test_zstd_pack_level(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };
	KS_BUF other = { 0 };
	ZSTD_CCtx *cctx = ZSTD_createCCtx();

	(void)state;
	pack_mixed(&ks_codec_zstd, 300000, &plain, &file);
	assert_true(ks_buf_reserve(&other, ZSTD_compressBound(plain.len), &error));
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, 3)));
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1)));
	other.len = ZSTD_compress2(cctx, other.data, other.cap, plain.data, plain.len);
	ZSTD_freeCCtx(cctx);
	assert_true(ks_view_equal(ks_buf_view(&file), ks_buf_view(&other)));
}

/* A frame as a pipe gives it: no content size, decoded through a window. */
static void zstd_unsized(struct ks_view plain, int level, struct ks_buf *file)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ZSTD_inBuffer in = { plain.data, plain.len / 2, 0 };
	ZSTD_outBuffer out = { NULL, ZSTD_compressBound(plain.len), 0 };
	size_t ret;

	assert_true(ks_buf_reserve(file, out.size, &error));
	out.dst = file->data;
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level);
	while (in.pos < in.size) {
		ret = ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_continue);
		assert_false(ZSTD_isError(ret));
	}
	in.size = plain.len;
	do {
		ret = ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_end);
		assert_false(ZSTD_isError(ret));
	} while (ret);
	ZSTD_freeCCtx(cctx);
	file->len = out.pos;
}

static void test_zstd_unsized(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_mixed(&plain, 3 * MIB);
	zstd_unsized(ks_buf_view(&plain), 1, &file);
	assert_true(ZSTD_getFrameContentSize(file.data, file.len) == ZSTD_CONTENTSIZE_UNKNOWN);
	expect_just_fits(&ks_codec_zstd, ks_buf_view(&file), ks_buf_view(&plain));
	expect_limit_error(&ks_codec_zstd, ks_buf_view(&file), plain.len - 1);
	expect_error(&ks_codec_zstd, ks_view_of(file.data, file.len - 1), KS_ERR_INPUT,
		     "zstd: truncated");
	pack_text(&ks_codec_zstd, "a frame with its size", &file);
	append(&plain, "a frame with its size", 21);
	expect_just_fits(&ks_codec_zstd, ks_buf_view(&file), ks_buf_view(&plain));
}

static void append_skippable(struct ks_buf *file, uint8_t kind, const char *text)
{
	uint32_t size = htole32((uint32_t)strlen(text));

	append(file, &kind, 1);
	append(file, "\x2a\x4d\x18", 3);
	append(file, &size, 4);
	append(file, text, strlen(text));
}

static void test_zstd_skippable(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	append_skippable(&file, 0x50, "in front");
	pack_text(&ks_codec_zstd, "one ", &file);
	append_skippable(&file, 0x5f, "");
	append_skippable(&file, 0x5a, "between");
	pack_text(&ks_codec_zstd, "two", &file);
	append_skippable(&file, 0x53, "behind");
	expect_text(&ks_codec_zstd, ks_buf_view(&file), "one two");
	for (size_t cut = 1; cut < 14; cut++)
		expect_error(&ks_codec_zstd, ks_view_of(file.data, file.len - cut), KS_ERR_INPUT,
			     cut < 11 ? "zstd: truncated" : NULL);
	append(&file, "\x60\x2a\x4d\x18\0\0\0\0", 8);
	expect_error(&ks_codec_zstd, ks_buf_view(&file), KS_ERR_INPUT,
		     "zstd: trailing garbage after the last frame");
}

/* The size field of a skippable frame stands where another frame has its window. */
static void test_zstd_large_skippable(void **state)
{
	KS_BUF file = { 0 };
	KS_BUF filling = { 0 };

	(void)state;
	assert_true(ks_buf_reserve(&filling, 0xff01, &error));
	memset(filling.data, 'x', 0xff00);
	filling.data[0xff00] = '\0';
	append_skippable(&file, 0x50, (const char *)filling.data);
	pack_text(&ks_codec_zstd, "content", &file);
	expect_text(&ks_codec_zstd, ks_buf_view(&file), "content");
}

static void test_zstd_checksum(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_zstd, "content", &file);
	file.data[file.len - 1] ^= 1;
	expect_error(&ks_codec_zstd, ks_buf_view(&file), KS_ERR_INPUT, "zstd: wrong checksum");
}

/* A frame of the given header and one raw block of "abc". */
static struct ks_view raw_frame(struct ks_buf *frame, const void *header, size_t len)
{
	ks_buf_drop(frame);
	append(frame, "\x28\xb5\x2f\xfd", 4);
	append(frame, header, len);
	append(frame, "\x19\0\0abc", 6);
	return ks_buf_view(frame);
}

static void test_zstd_window(void **state)
{
	KS_BUF frame = { 0 };
	uint8_t header[] = { 0, 0 };

	(void)state;
	for (unsigned int window = 0; window < 256; window++) {
		header[1] = (uint8_t)window;
		raw_frame(&frame, header, 2);
		/* Exponent 17, no mantissa: 2^(10 + 17) bytes. */
		if (window <= 17 << 3)
			expect_text(&ks_codec_zstd, ks_buf_view(&frame), "abc");
		else
			expect_error(&ks_codec_zstd, ks_buf_view(&frame), KS_ERR_UNSUPPORTED,
				     "zstd: window larger than 128 MiB");
	}
}

/* The same answer where the content size would let the decoder do without a window. */
static void test_zstd_window_of_sized_frame(void **state)
{
	KS_BUF frame = { 0 };

	(void)state;
	expect_text(&ks_codec_zstd, raw_frame(&frame, "\x80\x88\3\0\0\0", 6), "abc");
	expect_error(&ks_codec_zstd, raw_frame(&frame, "\x80\x89\3\0\0\0", 6), KS_ERR_UNSUPPORTED,
		     "zstd: window larger than 128 MiB");
}

static void test_zstd_dictionary(void **state)
{
	KS_BUF frame = { 0 };

	(void)state;
	expect_error(&ks_codec_zstd, raw_frame(&frame, "\1\0\7", 3), KS_ERR_UNSUPPORTED,
		     "zstd: needs the dictionary 7");
	expect_error(&ks_codec_zstd, raw_frame(&frame, "\x23\4\3\2\1\3", 6), KS_ERR_UNSUPPORTED,
		     "zstd: needs the dictionary 16909060");
	/* A field of zero says: none. */
	expect_text(&ks_codec_zstd, raw_frame(&frame, "\1\0\0", 3), "abc");
}

static void test_zstd_reserved_flag(void **state)
{
	KS_BUF frame = { 0 };

	(void)state;
	expect_error(&ks_codec_zstd, raw_frame(&frame, "\x28\3", 2), KS_ERR_UNSUPPORTED,
		     "zstd: unknown flags in a frame header");
}

static void test_zstd_legacy(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	append(&file, "\x27\xb5\x2f\xfd\0\0\0\0\0\0\0\0", 12);
	expect_error(&ks_codec_zstd, ks_buf_view(&file), KS_ERR_UNSUPPORTED,
		     "zstd: frame of a format before 1.0");
}

/* Nothing is refused too late, and nothing is allocated on the word of a header. */
static void expect_lie(const void *header, size_t len, size_t limit, enum ks_code code)
{
	KS_BUF frame = { 0 };
	KS_BUF got = { 0 };

	raw_frame(&frame, header, len);
	error = (struct ks_error){ 0 };
	assert_false(ks_codec_unpack(&ks_codec_zstd, ks_buf_view(&frame), limit, &got, &error));
	assert_int_equal(error.code, code);
	assert_true(got.cap <= 64 * KIB);
}

static void test_zstd_lies(void **state)
{
	KS_BUF frame = { 0 };

	(void)state;
	expect_text(&ks_codec_zstd, raw_frame(&frame, "\x20\3", 2), "abc");
	/* Single segments of 4, 2, 2^60 and 2^64-1 bytes. */
	expect_lie("\x20\4", 2, no_limit, KS_ERR_INPUT);
	expect_lie("\x20\2", 2, no_limit, KS_ERR_INPUT);
	expect_lie("\xe0\0\0\0\0\0\0\0\x10", 9, no_limit, KS_ERR_UNSUPPORTED);
	expect_lie("\xe0\0\0\0\0\0\0\0\x10", 9, MIB, KS_ERR_INPUT);
	assert_non_null(strstr(error.text, "--max-size"));
	/* The last of them is what libzstd says for "unknown". */
	expect_lie("\xe0\xff\xff\xff\xff\xff\xff\xff\xff", 9, MIB, KS_ERR_UNSUPPORTED);
	/* 2^60, 2^64-2 and 100 MiB with a window of 1 KiB, and 100 MiB as a single segment. */
	expect_lie("\xc0\0\0\0\0\0\0\0\0\x10", 10, no_limit, KS_ERR_INPUT);
	expect_lie("\xc0\0\xfe\xff\xff\xff\xff\xff\xff\xff", 10, no_limit, KS_ERR_INPUT);
	expect_lie("\x80\0\0\0\x40\6", 6, no_limit, KS_ERR_INPUT);
	expect_lie("\xa0\0\0\x40\6", 5, no_limit, KS_ERR_INPUT);
	expect_lie("\xa0\0\0\x40\6", 5, 99 * MIB, KS_ERR_INPUT);
	assert_non_null(strstr(error.text, "--max-size"));
}

/* --- none ---------------------------------------------------------------------------------- */

static void test_none(void **state)
{
	KS_BUF got = { 0 };

	(void)state;
	expect_text(&ks_codec_none, ks_view_of("as it is", 8), "as it is");
	expect_text(&ks_codec_none, ks_view_of(NULL, 0), "");
	expect_just_fits(&ks_codec_none, ks_view_of("as it is", 8), ks_view_of("as it is", 8));
	expect_limit_error(&ks_codec_none, ks_view_of("as it is", 8), 7);
	append(&got, "1234", 4);
	assert_false(ks_codec_unpack(&ks_codec_none, ks_view_of("56", 2), 5, &got, &error));
	assert_false(ks_codec_unpack(&ks_codec_none, ks_view_of("", 0), 3, &got, &error));
	assert_true(ks_codec_unpack(&ks_codec_none, ks_view_of("56", 2), 6, &got, &error));
	assert_memory_equal(got.data, "123456", 6);
}

/* --- what a kernel's reader objects to ----------------------------------------------------- */

/* The end of a page behind which nothing may be read; the libraries have no sanitizer in them. */
static uint8_t *map_edge(size_t page)
{
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	return pages + page;
}

static void object(const struct ks_codec *codec, const uint8_t *file, size_t len)
{
	const struct ks_objection *said = codec->objection(ks_view_of(file, len));

	assert_true(!said || *said->text);
}

/* FILE is cut everywhere, and each bit is turned: no byte outside is read, no text is empty. */
static void object_to_damage(const struct ks_codec *codec, struct ks_view file)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *edge = map_edge(page);

	for (size_t len = file.len; len > 0; len--) {
		memcpy(edge - len, file.data, len);
		object(codec, edge - len, len);
	}
	memcpy(edge - file.len, file.data, file.len);
	for (size_t i = 0; i < file.len * 8; i++) {
		uint8_t *byte = edge - file.len + i / 8;

		*byte ^= (uint8_t)(1u << i % 8);
		object(codec, edge - file.len, file.len);
		*byte ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(munmap(edge - page, 2 * page), 0);
}

/* TEXT is NULL for a file that a kernel takes.  Small files are damaged too. */
static void expect_objection(const struct ks_codec *codec, struct ks_view file, const char *text)
{
	KS_BUF got = { 0 };
	const struct ks_objection *said = codec->objection(file);

	if (!ks_codec_unpack(codec, file, no_limit, &got, &error))
		fail_msg("%s", error.text);
	if (text) {
		assert_non_null(said);
		assert_string_equal(said->text, text);
	} else if (said) {
		fail_msg("%s", said->text);
	}
	if (file.len && file.len <= 600)
		object_to_damage(codec, file);
}

static void test_objection_to_ours(void **state)
{
	static const size_t sizes[] = { 0, 1, 300, 70000, MIB + 1 };
	const struct ks_codec *codec = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		pack_mixed(codec, sizes[i], &plain, &file);
		expect_objection(codec, ks_buf_view(&file), NULL);
	}
	assert_null(codec->objection(ks_view_of(NULL, 0)));
}

static const char *second(const struct ks_codec *codec)
{
	return codec == &ks_codec_gzip ? "a second member, which a kernel ignores" :
	       codec == &ks_codec_xz   ? "a second stream, which a kernel ignores" :
					 "a second frame, which a kernel ignores";
}

static void test_objection_to_second(void **state)
{
	static const size_t sizes[] = { 0, 1, 300, 16 * KIB, MIB + 4321 };
	const struct ks_codec *codec = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF random = { 0 };
		KS_BUF file = { 0 };

		fill_random(&random, sizes[i]);
		pack(codec, ks_buf_view(&random), &file);
		pack_text(codec, "lost", &file);
		expect_objection(codec, ks_buf_view(&file), second(codec));
		pack(codec, ks_buf_view(&random), &file);
		expect_objection(codec, ks_buf_view(&file), second(codec));
	}
}

static void test_objection_to_empty_second(void **state)
{
	KS_BUF file = { 0 };

	pack_text(*state, "content", &file);
	pack_text(*state, "", &file);
	expect_objection(*state, ks_buf_view(&file), second(*state));
}

/* What unpack refuses is at least not taken for a second one. */
static void test_objection_to_garbage(void **state)
{
	const struct ks_codec *codec = *state;
	KS_BUF file = { 0 };

	pack_text(codec, "module", &file);
	append(&file, "~Module signature appended~\n", 28);
	assert_null(codec->objection(ks_buf_view(&file)));
}

static void test_objection_none(void **state)
{
	(void)state;
	expect_objection(&ks_codec_none, ks_view_of("\177ELF", 4), NULL);
	expect_objection(&ks_codec_none, ks_view_of("\x1f\x8b\x08\x1e\0\0\0\0\0\0", 10), NULL);
	expect_objection(&ks_codec_none, ks_view_of(NULL, 0), NULL);
}

static void test_objection_gzip_header(void **state)
{
	uint8_t name[] = "x.ko", comment[] = "what", extra[] = "AB\2\0xy";
	const struct {
		gz_header header;
		const char *text;
	} cases[] = {
		{ { .text = 1, .time = 1234567890, .os = 7, .name = name }, NULL },
		{ { .extra = extra, .extra_len = 6, .name = name },
		  "an extra field in the header, which a kernel refuses" },
		{ { .comment = comment, .name = name },
		  "a comment in the header, which a kernel refuses" },
		{ { .hcrc = 1, .name = name }, "a checksum of the header, which a kernel refuses" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		gz_header header = cases[i].header;
		KS_BUF file = { 0 };

		gzip_with(&header, "content", &file);
		expect_objection(&ks_codec_gzip, ks_buf_view(&file), cases[i].text);
		pack_text(&ks_codec_gzip, "lost", &file);
		expect_objection(&ks_codec_gzip, ks_buf_view(&file),
				 cases[i].text ? cases[i].text : second(&ks_codec_gzip));
	}
}

static void test_objection_gzip_zeros(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_gzip, "content", &file);
	append(&file, "\0\0\0", 3);
	expect_objection(&ks_codec_gzip, ks_buf_view(&file), NULL);
}

/* What looks like a member's start inside a member is none: a stored block holds it as it is. */
static void test_objection_gzip_inside(void **state)
{
	KS_BUF random = { 0 };
	KS_BUF inner = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_random(&random, 300);
	pack_text(&ks_codec_gzip, "not a member", &inner);
	append_view(&random, ks_buf_view(&inner));
	pack(&ks_codec_gzip, ks_buf_view(&random), &file);
	assert_non_null(memmem(file.data + 10, file.len - 10, inner.data, inner.len));
	expect_objection(&ks_codec_gzip, ks_buf_view(&file), NULL);
	append(&file, "", 1);
	expect_objection(&ks_codec_gzip, ks_buf_view(&file), NULL);
	file.len--;
	pack_text(&ks_codec_gzip, "lost", &file);
	expect_objection(&ks_codec_gzip, ks_buf_view(&file), second(&ks_codec_gzip));
}

/* 1 MiB of zeros as deflate data that can be repeated: after a full flush all is as before. */
static void deflate_zeros(struct ks_view zeros, struct ks_buf *flushed)
{
	z_stream z = { 0 };

	assert_true(ks_buf_reserve(flushed, 10000, &error));
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)zeros.data;
	z.avail_in = (uInt)zeros.len;
	z.next_out = flushed->data;
	z.avail_out = (uInt)flushed->cap;
	assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
	flushed->len = flushed->cap - z.avail_out;
	deflateEnd(&z);
}

/* A member of COUNT MiB of zeros. */
static void gzip_zeros(uint32_t count, struct ks_buf *file)
{
	KS_BUF zeros = { 0 };
	KS_BUF step = { 0 };
	uint32_t trailer[2];
	uLong crc = 0, crc_of_step;

	assert_true(ks_buf_reserve(&zeros, MIB, &error));
	memset(zeros.data, 0, MIB);
	crc_of_step = crc32(0, zeros.data, MIB);
	deflate_zeros(ks_view_of(zeros.data, MIB), &step);
	append(file, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
	for (uint32_t i = 0; i < count; i++) {
		append_view(file, ks_buf_view(&step));
		crc = crc32_combine(crc, crc_of_step, MIB);
	}
	/* An empty last block. */
	append(file, "\3", 2);
	trailer[0] = htole32((uint32_t)crc);
	trailer[1] = htole32(count * MIB);
	append(file, trailer, sizeof(trailer));
}

/* No more than 1 GiB is inflated in search of a second member. */
static void test_objection_gzip_bomb(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	gzip_zeros(8, &file);
	pack_text(&ks_codec_gzip, "lost", &file);
	expect_objection(&ks_codec_gzip, ks_buf_view(&file), second(&ks_codec_gzip));
	ks_buf_drop(&file);
	gzip_zeros(1025, &file);
	pack_text(&ks_codec_gzip, "lost", &file);
	assert_null(ks_codec_gzip.objection(ks_buf_view(&file)));
}

static void xz_with_chain(lzma_filter *filters, lzma_check check, struct ks_buf *file)
{
	xz_with(filters, check, ks_view_of("a module's content, more or less", 32), file);
}

static void test_objection_xz_check(void **state)
{
	static const struct {
		lzma_check check;
		const char *text;
	} cases[] = {
		{ LZMA_CHECK_NONE, NULL },
		{ LZMA_CHECK_CRC32, NULL },
		{ LZMA_CHECK_CRC64, "a CRC64 checksum, which a kernel refuses" },
		{ LZMA_CHECK_SHA256, "a SHA-256 checksum, which a kernel refuses" },
	};
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };

	(void)state;
	assert_false(lzma_lzma_preset(&options, 9));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KS_BUF file = { 0 };

		xz_with_chain(filters, cases[i].check, &file);
		expect_objection(&ks_codec_xz, ks_buf_view(&file), cases[i].text);
		pack_text(&ks_codec_xz, "lost", &file);
		expect_objection(&ks_codec_xz, ks_buf_view(&file),
				 cases[i].text ? cases[i].text : second(&ks_codec_xz));
	}
}

static const char xz_filter_text[] = "a filter other than LZMA2 and x86, which a kernel may refuse";
static const char xz_x86_text[] = "an x86 filter, which a kernel without CONFIG_XZ_DEC_X86 refuses";
static const char xz_delta_text[] = "a delta filter, which a kernel refuses";

static void test_objection_xz_filters(void **state)
{
	lzma_options_lzma options;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_options_bcj offset = { .start_offset = 16 };
	const struct {
		lzma_filter filters[2];
		const char *text;
	} cases[] = {
		{ { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } }, NULL },
		{ { { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &options } }, xz_x86_text },
		{ { { LZMA_FILTER_X86, &offset }, { LZMA_FILTER_LZMA2, &options } },
		  xz_filter_text },
		{ { { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_DELTA, &delta } }, xz_delta_text },
		{ { { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_X86, NULL } }, xz_filter_text },
		{ { { LZMA_FILTER_DELTA, &delta }, { LZMA_FILTER_LZMA2, &options } },
		  xz_delta_text },
		{ { { LZMA_FILTER_ARM, NULL }, { LZMA_FILTER_LZMA2, &options } }, xz_filter_text },
	};

	(void)state;
	assert_false(lzma_lzma_preset(&options, 1));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lzma_filter filters[] = { cases[i].filters[0],
					  cases[i].filters[1],
					  { LZMA_FILTER_LZMA2, &options },
					  { LZMA_VLI_UNKNOWN, NULL } };
		KS_BUF file = { 0 };

		for (int last = 0; last < 2; last++) {
			if (filters[last].id == LZMA_FILTER_LZMA2)
				filters[last + 1].id = LZMA_VLI_UNKNOWN;
		}
		xz_with_chain(filters, LZMA_CHECK_CRC32, &file);
		expect_objection(&ks_codec_xz, ks_buf_view(&file), cases[i].text);
	}
}

/* Two Blocks of LZMA2, the second of them with a delta filter. */
static void xz_changing_filters(struct ks_buf *file)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	lzma_options_delta delta = { .type = LZMA_DELTA_TYPE_BYTE, .dist = 4 };
	lzma_filter chain[] = { { LZMA_FILTER_DELTA, &delta },
				{ LZMA_FILTER_LZMA2, &options },
				{ LZMA_VLI_UNKNOWN, NULL } };

	assert_false(lzma_lzma_preset(&options, 1));
	assert_true(ks_buf_reserve(file, KIB, &error));
	assert_int_equal(lzma_stream_encoder(&z, chain + 1, LZMA_CHECK_CRC32), LZMA_OK);
	z.next_out = file->data;
	z.avail_out = file->cap;
	z.next_in = (const uint8_t *)"first";
	z.avail_in = 5;
	assert_int_equal(lzma_code(&z, LZMA_FULL_FLUSH), LZMA_STREAM_END);
	assert_int_equal(lzma_filters_update(&z, chain), LZMA_OK);
	z.next_in = (const uint8_t *)"second";
	z.avail_in = 6;
	assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
	file->len = file->cap - z.avail_out;
	lzma_end(&z);
}

static void test_objection_xz_blocks(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_mixed(&plain, 300);
	xz_blocks(ks_buf_view(&plain), 100, &file);
	expect_objection(&ks_codec_xz, ks_buf_view(&file), NULL);
	ks_buf_drop(&file);
	xz_changing_filters(&file);
	expect_text(&ks_codec_xz, ks_buf_view(&file), "firstsecond");
	expect_objection(&ks_codec_xz, ks_buf_view(&file), xz_delta_text);
}

/* An Index whose Blocks are not there: only header, Index and footer of a stream of three. */
static void test_objection_xz_missing_blocks(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF file = { 0 };
	KS_BUF rest = { 0 };
	lzma_stream_flags footer;
	size_t tail;

	(void)state;
	fill_mixed(&plain, 300);
	xz_blocks(ks_buf_view(&plain), 100, &file);
	assert_int_equal(lzma_stream_footer_decode(&footer, file.data + file.len - 12), LZMA_OK);
	tail = (size_t)footer.backward_size + 12;
	append(&rest, file.data, 12);
	append(&rest, file.data + file.len - tail, tail);
	assert_null(ks_codec_xz.objection(ks_buf_view(&rest)));
	object_to_damage(&ks_codec_xz, ks_buf_view(&rest));
	/* The first Block is there, the next ones are not. */
	for (size_t kept = 12; kept < file.len - tail; kept++) {
		ks_buf_drop(&rest);
		append(&rest, file.data, kept);
		append(&rest, file.data + file.len - tail, tail);
		assert_null(ks_codec_xz.objection(ks_buf_view(&rest)));
	}
}

/* A footer with the right CRC that says that the Index is larger than the file. */
static void test_objection_xz_far_index(void **state)
{
	KS_BUF file = { 0 };
	lzma_stream_flags footer;

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	assert_int_equal(lzma_stream_footer_decode(&footer, file.data + file.len - 12), LZMA_OK);
	footer.backward_size = LZMA_BACKWARD_SIZE_MAX;
	assert_int_equal(lzma_stream_footer_encode(&footer, file.data + file.len - 12), LZMA_OK);
	assert_null(ks_codec_xz.objection(ks_buf_view(&file)));
	footer.backward_size = (file.len - 11) / 4 * 4;
	assert_int_equal(lzma_stream_footer_encode(&footer, file.data + file.len - 12), LZMA_OK);
	object_to_damage(&ks_codec_xz, ks_buf_view(&file));
}

/* Records of two bytes each, the shortest there are. */
static void test_objection_xz_many_blocks(void **state)
{
	KS_BUF plain = { 0 };
	KS_BUF blocks = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	fill_mixed(&plain, 2000);
	xz_blocks(ks_buf_view(&plain), 1, &blocks);
	expect_objection(&ks_codec_xz, ks_buf_view(&blocks), NULL);
	pack_text(&ks_codec_xz, "first", &file);
	append_view(&file, ks_buf_view(&blocks));
	expect_objection(&ks_codec_xz, ks_buf_view(&file), second(&ks_codec_xz));
}

static void test_objection_xz_dictionary(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	file.data[XZ_DICTIONARY] = 30;
	put_crc32(file.data + XZ_BLOCK_CRC, file.data + XZ_BLOCK, XZ_BLOCK_CRC - XZ_BLOCK);
	expect_objection(&ks_codec_xz, ks_buf_view(&file), NULL);
}

static void test_objection_xz_padding(void **state)
{
	static const uint8_t zeros[64];
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_xz, "content", &file);
	append(&file, zeros, 4);
	expect_objection(&ks_codec_xz, ks_buf_view(&file), NULL);
	append(&file, zeros, sizeof(zeros));
	expect_objection(&ks_codec_xz, ks_buf_view(&file), NULL);
	pack_text(&ks_codec_xz, "lost", &file);
	expect_objection(&ks_codec_xz, ks_buf_view(&file), second(&ks_codec_xz));
	append(&file, zeros, 4);
	expect_objection(&ks_codec_xz, ks_buf_view(&file), second(&ks_codec_xz));
}

static void test_objection_zstd_skippable(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	pack_text(&ks_codec_zstd, "content", &file);
	append_skippable(&file, 0x50, "behind");
	append_skippable(&file, 0x5f, "");
	expect_objection(&ks_codec_zstd, ks_buf_view(&file), NULL);
	pack_text(&ks_codec_zstd, "lost", &file);
	expect_objection(&ks_codec_zstd, ks_buf_view(&file), second(&ks_codec_zstd));
	ks_buf_drop(&file);
	append_skippable(&file, 0x50, "in front");
	pack_text(&ks_codec_zstd, "content", &file);
	expect_objection(&ks_codec_zstd, ks_buf_view(&file),
			 "a skippable frame in front, which a kernel refuses");
}

static void test_objection_zstd_unsized(void **state)
{
	static const size_t sizes[] = { 300, 3 * MIB };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KS_BUF plain = { 0 };
		KS_BUF file = { 0 };

		fill_mixed(&plain, sizes[i]);
		zstd_unsized(ks_buf_view(&plain), 1, &file);
		expect_objection(&ks_codec_zstd, ks_buf_view(&file),
				 "no content size: kmod 34 cannot read it");
		append_skippable(&file, 0x50, "behind");
		expect_objection(&ks_codec_zstd, ks_buf_view(&file),
				 "no content size: kmod 34 cannot read it");
		pack_text(&ks_codec_zstd, "lost", &file);
		expect_objection(&ks_codec_zstd, ks_buf_view(&file), second(&ks_codec_zstd));
	}
}

/* --- the table ----------------------------------------------------------------------------- */

static void test_by_magic(void **state)
{
	(void)state;
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\x1f\x8b\x08", 3)), &ks_codec_gzip);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\xfd\x37zXZ", 6)), &ks_codec_xz);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\x28\xb5\x2f\xfd", 4)), &ks_codec_zstd);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\177ELF", 4)), &ks_codec_none);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of(NULL, 0)), &ks_codec_none);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\x1f", 1)), &ks_codec_none);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\xfd\x37zXZ", 5)), &ks_codec_none);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\xfd\x37zXZ1", 6)), &ks_codec_none);
	assert_ptr_equal(ks_codec_by_magic(ks_view_of("\x28\xb5\x2f", 3)), &ks_codec_none);
}

static void test_by_name(void **state)
{
	static const struct {
		const char *name;
		const struct ks_codec *codec;
		size_t plain_len;
	} names[] = {
		{ "a.ko", &ks_codec_none, 4 },
		{ "a.ko.gz", &ks_codec_gzip, 4 },
		{ "a.ko.xz", &ks_codec_xz, 4 },
		{ "a.ko.zst", &ks_codec_zstd, 4 },
		{ "/l/a-b.ko.xz", &ks_codec_xz, 9 },
		{ "a.ko.ko", &ks_codec_none, 7 },
		{ "a.ko.gz.ko", &ks_codec_none, 10 },
		{ "", NULL, 0 },
		{ "ko", NULL, 2 },
		{ "ko.xz", NULL, 5 },
		{ "a.ko.", NULL, 5 },
		{ "a.ko.xz.", NULL, 8 },
		{ "a.KO", NULL, 4 },
		{ "a.ko.XZ", NULL, 7 },
		{ "a.ko.zstd", NULL, 9 },
		{ "a.ko.lzma", NULL, 9 },
		{ "a.ko.xz.gz", NULL, 10 },
		{ "initrd.gz", NULL, 9 },
		{ "a.o", NULL, 3 },
		{ "a.ko/b", NULL, 6 },
		{ ".gz", NULL, 3 },
		{ "ako.gz", NULL, 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_ptr_equal(ks_codec_by_name(names[i].name), names[i].codec);
		assert_int_equal(ks_codec_is_module_name(names[i].name), names[i].codec != NULL);
		assert_int_equal(ks_codec_plain_name_len(names[i].name), names[i].plain_len);
	}
}

static void test_rows(void **state)
{
	(void)state;
	assert_string_equal(ks_codec_none.name, "none");
	assert_string_equal(ks_codec_gzip.name, "gzip");
	assert_string_equal(ks_codec_xz.name, "xz");
	assert_string_equal(ks_codec_zstd.name, "zstd");
	assert_int_equal(ks_codec_none.magic_len, 0);
	assert_int_equal(ks_codec_gzip.magic_len, 2);
	assert_int_equal(ks_codec_xz.magic_len, 6);
	assert_int_equal(ks_codec_zstd.magic_len, 4);
}

/* clang-format off */
#define WITH(test, codec)                                             \
	{                                                             \
		.name = #test " " #codec, .test_func = test,          \
		.initial_state = (void *)(uintptr_t)&ks_codec_##codec \
	}
#define EACH(test) WITH(test, gzip), WITH(test, xz), WITH(test, zstd)
/* clang-format on */

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_by_magic),
	cmocka_unit_test(test_by_name),
	cmocka_unit_test(test_none),
	WITH(test_sizes, none),
	WITH(test_deterministic, none),
	WITH(test_unpack_appends, none),
	EACH(test_sizes),
	EACH(test_every_small_size),
	EACH(test_incompressible),
	EACH(test_very_compressible),
	EACH(test_deterministic),
	EACH(test_unpack_appends),
	EACH(test_members),
	EACH(test_large_members),
	EACH(test_many_members),
	EACH(test_truncated),
	EACH(test_truncated_empty),
	EACH(test_truncated_second_member),
	EACH(test_truncated_large),
	EACH(test_bits),
	EACH(test_bits_of_members),
	EACH(test_every_byte_value),
	EACH(test_trailing_signature),
	EACH(test_trailing_byte),
	EACH(test_other_container),
	EACH(test_limit),
	EACH(test_limit_empty),
	EACH(test_limit_over_members),
	EACH(test_limit_in_large_buffer),
	EACH(test_bomb),
	EACH(test_checksum_at_limit),
	cmocka_unit_test(test_gzip_pack),
	cmocka_unit_test(test_gzip_header_fields),
	cmocka_unit_test(test_gzip_harmless_bytes),
	cmocka_unit_test(test_gzip_trailing_zeros),
	cmocka_unit_test(test_gzip_trailer),
	cmocka_unit_test(test_gzip_unsupported),
	cmocka_unit_test(test_gzip_pieces),
	cmocka_unit_test(test_xz_pack),
	cmocka_unit_test(test_xz_pack_index),
	cmocka_unit_test(test_xz_checks),
	cmocka_unit_test(test_xz_filters),
	cmocka_unit_test(test_xz_blocks),
	cmocka_unit_test(test_xz_padding),
	cmocka_unit_test(test_xz_leading_padding),
	cmocka_unit_test(test_xz_dictionary),
	cmocka_unit_test(test_xz_unknown_filter),
	cmocka_unit_test(test_xz_unknown_check),
	cmocka_unit_test(test_xz_content_damage),
	cmocka_unit_test(test_zstd_pack),
	cmocka_unit_test(test_zstd_pack_level),
	cmocka_unit_test(test_zstd_unsized),
	cmocka_unit_test(test_zstd_skippable),
	cmocka_unit_test(test_zstd_large_skippable),
	cmocka_unit_test(test_zstd_checksum),
	cmocka_unit_test(test_zstd_window),
	cmocka_unit_test(test_zstd_window_of_sized_frame),
	cmocka_unit_test(test_zstd_dictionary),
	cmocka_unit_test(test_zstd_reserved_flag),
	cmocka_unit_test(test_zstd_legacy),
	cmocka_unit_test(test_zstd_lies),
	EACH(test_objection_to_ours),
	EACH(test_objection_to_second),
	EACH(test_objection_to_empty_second),
	EACH(test_objection_to_garbage),
	cmocka_unit_test(test_objection_none),
	cmocka_unit_test(test_objection_gzip_header),
	cmocka_unit_test(test_objection_gzip_zeros),
	cmocka_unit_test(test_objection_gzip_inside),
	cmocka_unit_test(test_objection_gzip_bomb),
	cmocka_unit_test(test_objection_xz_check),
	cmocka_unit_test(test_objection_xz_filters),
	cmocka_unit_test(test_objection_xz_blocks),
	cmocka_unit_test(test_objection_xz_missing_blocks),
	cmocka_unit_test(test_objection_xz_far_index),
	cmocka_unit_test(test_objection_xz_many_blocks),
	cmocka_unit_test(test_objection_xz_dictionary),
	cmocka_unit_test(test_objection_xz_padding),
	cmocka_unit_test(test_objection_zstd_skippable),
	cmocka_unit_test(test_objection_zstd_unsized),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
