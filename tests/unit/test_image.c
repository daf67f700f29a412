/* SPDX-License-Identifier: MIT */
/*
 * Kernel images: every wrapping, every form of the lists that a kernel's build lays down, and what
 * is none of them.
 */
#include "fixture.h"

#include <elf.h>
#include <lzma.h>
#ifdef HAVE_LZ4
#include <lz4.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec.h"
#include "core/image.h"

#define RELEASE "6.12.9-test-amd64"
#define BANNER "Linux version %s (%s@%s)\nLinux version " RELEASE " (builder@host) #1 SMP\n"

enum {
	LIMIT = 32 << 20,
	MIB = 1 << 20,
	SETUP_SECTS = 6,
	SETUP_END = (SETUP_SECTS + 1) * 512,
	VERSION_AT = 0x600, /* of the release in a bzImage, wherever the header says */
	ZBOOT_PAYLOAD = 0x1000,
};

/* --- bytes ---------------------------------------------------------------------------------- */

static void put(struct ks_buf *file, const void *data, size_t len)
{
	assert_ok(ks_buf_append(file, data, len, &error));
}

static void put_zeros(struct ks_buf *file, size_t len)
{
	assert_ok(ks_buf_reserve(file, file->len + len, &error));
	memset(file->data + file->len, 0, len);
	file->len += len;
}

static void align(struct ks_buf *file, size_t to)
{
	put_zeros(file, (to - file->len % to) % to);
}

static void put_number(struct ks_buf *file, uint64_t value, size_t width, bool big_endian)
{
	for (size_t i = 0; i < width; i++) {
		uint8_t byte = (uint8_t)(value >> 8 * (big_endian ? width - 1 - i : i));

		put(file, &byte, 1);
	}
}

static void set_le(struct ks_buf *file, size_t at, uint64_t value, size_t width)
{
	assert_true(at + width <= file->len);
	for (size_t i = 0; i < width; i++)
		file->data[at + i] = (uint8_t)(value >> 8 * i);
}

/* --- kernels -------------------------------------------------------------------------------- */

/* Certificates FROM to UNTIL of identity(); where none is said, none. */
struct range {
	int from, until;
};

static const char kind[] = "P-256";

static void put_certs(struct ks_buf *file, struct range range)
{
	for (int n = range.from; n < range.until; n++)
		put_cert_der(file, identity(kind, n)->cert);
}

/* How the kernel's assembler and compiler see it. */
struct layout {
	size_t width, align;
	bool big_endian;
};

static const struct layout amd64 = { 8, 8, false };

/* What certs/system_certificates.S makes a list of. */
struct list_spec {
	struct range build, others;
	bool no_build_length; /* as before 5.13, and of a list of revoked ones */
	size_t room;	      /* for an extra certificate */
	struct range extra;   /* one or none */
};

static void put_list(struct ks_buf *file, const struct layout *as, const struct list_spec *spec)
{
	size_t start, build, end, len;

	align(file, as->align);
	start = file->len;
	put_certs(file, spec->build);
	build = file->len - start;
	put_certs(file, spec->others);
	end = file->len;
	put_certs(file, spec->extra);
	len = file->len - start;
	if (spec->room) {
		put_zeros(file, spec->room - (file->len - end));
		align(file, as->align == 8 ? 4 : 16);
		put_number(file, len - (end - start), 4, as->big_endian);
	}
	align(file, as->align);
	put_number(file, len, as->width, as->big_endian);
	if (spec->no_build_length)
		return;
	align(file, as->align);
	put_number(file, build, as->width, as->big_endian);
}

/* Other data around it, with numbers in it that could be taken for a length. */
static void start_kernel(struct ks_buf *kernel)
{
	put(kernel, ELFMAG "\2\1\1", 7);
	put_zeros(kernel, 57);
	put(kernel, BANNER, sizeof(BANNER));
	fill(kernel, 3000, 7);
}

static void end_kernel(struct ks_buf *kernel)
{
	put(kernel, "init_on_free", 13);
	fill(kernel, 3000, 8);
}

static void put_kernel(struct ks_buf *kernel, const struct list_spec *spec)
{
	start_kernel(kernel);
	put_list(kernel, &amd64, spec);
	end_kernel(kernel);
}

/* What a distribution has: the build's key and another one. */
static const struct list_spec usual = { .build = { 0, 1 }, .others = { 1, 2 } };

/* --- what is expected ----------------------------------------------------------------------- */

/* In memory of its own, so that a byte read too many is seen. */
static bool read_view(struct ks_view file, size_t limit, struct ks_image *image)
{
	uint8_t *copy = malloc(file.len ? file.len : 1);
	bool ok;

	assert_non_null(copy);
	if (file.len)
		memcpy(copy, file.data, file.len);
	ok = ks_image_read(ks_view_of(copy, file.len), limit, image, &error);
	free(copy);
	return ok;
}

static bool read_buf(const struct ks_buf *file, struct ks_image *image)
{
	return read_view(ks_buf_view(file), LIMIT, image);
}

static void assert_certs(const struct ks_certs *certs, struct range range)
{
	assert_int_equal(certs->count, range.until - range.from);
	for (size_t i = 0; i < certs->count; i++)
		assert_int_equal(
			X509_cmp(certs->item[i], identity(kind, range.from + (int)i)->cert), 0);
}

static void assert_text(const char *text, const char *expected)
{
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
}

static void expect_list(const struct ks_buf *file, struct range range, bool build_key)
{
	KS_IMAGE image = { 0 };

	assert_ok(read_buf(file, &image));
	assert_true(image.has_list);
	assert_certs(&image.builtin, range);
	assert_int_equal(image.has_build_key, build_key);
	assert_int_equal(image.revoked.count, 0);
	assert_int_equal(image.unread, 0);
	assert_string_equal(image.release, RELEASE);
	assert_string_equal(image.builder, "builder@host");
}

static void expect_usual(const struct ks_buf *file)
{
	expect_list(file, (struct range){ 0, 2 }, true);
}

static void expect_no_list(const struct ks_buf *file)
{
	KS_IMAGE image = { 0 };

	assert_ok(read_buf(file, &image));
	assert_false(image.has_list);
	assert_false(image.has_build_key);
	assert_int_equal(image.builtin.count, 0);
	assert_int_equal(image.revoked.count, 0);
}

static void expect_error(const struct ks_buf *file, enum ks_code code, const char *says)
{
	struct ks_image image;

	assert_fails(read_buf(file, &image), code);
	assert_says(says);
	assert_null(image.release);
	assert_int_equal(image.builtin.count, 0);
}

/* --- packing -------------------------------------------------------------------------------- */

typedef void packer(struct ks_view plain, struct ks_buf *file);

static void pack_gzip(struct ks_view plain, struct ks_buf *file)
{
	assert_ok(ks_codec_gzip.pack(plain, file, &error));
}

static void pack_zstd(struct ks_view plain, struct ks_buf *file)
{
	assert_ok(ks_codec_zstd.pack(plain, file, &error));
}

static void run_lzma(lzma_stream *z, lzma_ret ret, struct ks_view plain, struct ks_buf *file)
{
	assert_int_equal(ret, LZMA_OK);
	z->next_in = plain.data;
	z->avail_in = plain.len;
	do {
		assert_ok(ks_buf_reserve(file, file->len + 65536, &error));
		z->next_out = file->data + file->len;
		z->avail_out = 65536;
		ret = lzma_code(z, LZMA_FINISH);
		file->len += 65536 - z->avail_out;
	} while (ret == LZMA_OK);
	assert_int_equal(ret, LZMA_STREAM_END);
	lzma_end(z);
}

/* As scripts/xz_wrap.sh does it on x86. */
static void pack_xz(struct ks_view plain, struct ks_buf *file)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
					{ LZMA_FILTER_LZMA2, &options },
					{ LZMA_VLI_UNKNOWN, NULL } };

	assert_false(lzma_lzma_preset(&options, 0));
	run_lzma(&z, lzma_stream_encoder(&z, filters, LZMA_CHECK_CRC32), plain, file);
}

/* liblzma leaves the content's size open and writes an end marker, as "lzma -9" does. */
static void pack_lzma(struct ks_view plain, struct ks_buf *file)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	assert_false(lzma_lzma_preset(&options, 0));
	run_lzma(&z, lzma_alone_encoder(&z, &options), plain, file);
}

#ifdef HAVE_LZ4

/* "lz4 -l": blocks of 8 MiB. */
static void pack_lz4(struct ks_view plain, struct ks_buf *file)
{
	put_number(file, 0x184c2102, 4, false);
	while (plain.len) {
		size_t part = plain.len < 8 * MIB ? plain.len : 8 * MIB;
		int bound = LZ4_compressBound((int)part), size;

		assert_ok(ks_buf_reserve(file, file->len + 4 + (size_t)bound, &error));
		size = LZ4_compress_default((const char *)plain.data,
					    (char *)file->data + file->len + 4, (int)part, bound);
		assert_true(size > 0);
		put_number(file, (uint64_t)size, 4, false);
		file->len += (size_t)size;
		plain = ks_view_of(plain.data + part, plain.len - part);
	}
}

#endif

static packer *const packers[] = {
	pack_gzip, pack_xz, pack_zstd, pack_lzma,
#ifdef HAVE_LZ4
	pack_lz4,
#endif
};

enum { PACKERS = sizeof(packers) / sizeof(*packers) };

static void start_bzimage(struct ks_buf *file, const char *release)
{
	put_zeros(file, SETUP_END);
	file->data[0x1f1] = SETUP_SECTS;
	memcpy(file->data + 0x202, "HdrS", 4);
	set_le(file, 0x206, 0x20f, 2);
	if (release) {
		set_le(file, 0x20e, VERSION_AT - 512, 2);
		strcpy((char *)file->data + VERSION_AT, release);
	}
	/* Code that unpacks stands in front of the payload. */
	set_le(file, 0x248, 100, 4);
	fill(file, 100, 3);
}

static void end_bzimage(struct ks_buf *file)
{
	set_le(file, 0x24c, file->len - SETUP_END - 100, 4);
	fill(file, 200, 4);
}

static void put_bzimage(struct ks_buf *file, struct ks_view kernel, packer *pack)
{
	start_bzimage(file, RELEASE " (builder@host) #1 SMP");
	pack(kernel, file);
	if (pack != pack_gzip)
		put_number(file, kernel.len, 4, false);
	end_bzimage(file);
}

static void put_zboot(struct ks_buf *file, struct ks_view kernel, packer *pack)
{
	put(file, "MZ\0\0zimg", 8);
	put_zeros(file, ZBOOT_PAYLOAD - 8);
	memcpy(file->data + 0x38, "\xcd\x23\x82\x81", 4);
	set_le(file, 8, ZBOOT_PAYLOAD, 4);
	pack(kernel, file);
	set_le(file, 12, file->len - ZBOOT_PAYLOAD, 4);
	if (pack != pack_gzip)
		put_number(file, kernel.len, 4, false);
	fill(file, 200, 4);
}

/* --- images --------------------------------------------------------------------------------- */

static void a_plain_elf_kernel(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	expect_usual(&kernel);
}

static void every_packing_of_a_bzimage(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF file = { 0 };

		put_bzimage(&file, ks_buf_view(&kernel), packers[i]);
		expect_usual(&file);
	}
}

/* Setup code of no sectors has four, as the oldest loaders had it. */
static void a_bzimage_that_does_not_count_its_sectors(void **state)
{
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	put_bzimage(&file, ks_buf_view(&kernel), pack_gzip);
	file.data[0x1f1] = 0;
	set_le(&file, 0x248, SETUP_END + 100 - 5 * 512, 4);
	expect_usual(&file);
}

static void put_image(struct ks_buf *kernel, const char *magic, bool is_efi)
{
	put_kernel(kernel, &usual);
	memset(kernel->data, 0, 64);
	if (is_efi)
		memcpy(kernel->data, "MZ", 2);
	memcpy(kernel->data + 0x38, magic, 4);
}

static void every_packing_of_zboot_and_of_a_whole_image(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_image(&kernel, "ARM\x64", true);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF zboot = { 0 };
		KS_BUF whole = { 0 };

		put_zboot(&zboot, ks_buf_view(&kernel), packers[i]);
		expect_usual(&zboot);
		packers[i](ks_buf_view(&kernel), &whole);
		expect_usual(&whole);
	}
}

static void images_of_other_architectures(void **state)
{
	static const char *const magics[] = { "ARM\x64", "RSC\x05", "\xcd\x23\x82\x81" };

	(void)state;
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		KS_BUF kernel = { 0 };

		put_image(&kernel, magics[i], i == 2);
		expect_usual(&kernel);
	}
}

/* arm64, where ".align 8" is 256 bytes, in both byte orders. */
static void arm64_of_both_byte_orders(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		const struct layout arm64 = { 8, 256, big_endian };
		KS_BUF kernel = { 0 };

		start_kernel(&kernel);
		memset(kernel.data, 0, 64);
		memcpy(kernel.data + 0x38, "ARM\x64", 4);
		kernel.data[24] = (uint8_t)(0xa | big_endian);
		put_list(&kernel, &arm64, &usual);
		end_kernel(&kernel);
		expect_usual(&kernel);
		kernel.data[24] ^= 1;
		expect_no_list(&kernel);
	}
}

static void a_kernel_of_many_lz4_blocks_and_frames(void **state)
{
#ifdef HAVE_LZ4
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	put_zeros(&kernel, 17 * MIB);
	put_bzimage(&file, ks_buf_view(&kernel), pack_lz4);
	expect_usual(&file);

	file.len = 0;
	pack_lz4(ks_view_of(kernel.data, 5000), &file);
	pack_lz4(ks_view_of(kernel.data + 5000, kernel.len - 5000), &file);
	expect_usual(&file);
#else
	KS_BUF file = { 0 };

	(void)state;
	put_number(&file, 0x184c2102, 4, false);
	expect_error(&file, KS_ERR_UNSUPPORTED, "lz4");
#endif
}

/* --- the compiler's own --------------------------------------------------------------------- */

static void write_cert(const char *path, const struct identity *by)
{
	KS_BUF der = { 0 };

	put_cert_der(&der, by->cert);
	write_file(path, ks_buf_view(&der));
}

/* The assembler and the linker lay the list out, by the directives that the kernel uses. */
static void a_list_by_the_compiler(void **state)
{
	static const char source[] =
		".section .init.rodata, \"a\"\n.balign 8\n.byte 1, 2, 3\n"
		".balign 8\nlist: .incbin \"build.der\"\nmiddle: .incbin \"other.der\"\nend:\n"
		".balign 8\n.quad end - list\n.balign 8\n.quad middle - list\n"
		".asciz \"Linux version " RELEASE " (builder@host) #1\"\n"
		".text\n.globl _start\n_start: .byte 0\n";
	const char *cc = getenv("CC");
	KS_STRING command = NULL;
	KS_BUF vmlinux = { 0 };

	(void)state;
	write_cert(in_scratch("build.der"), identity(kind, 0));
	write_cert(in_scratch("other.der"), identity(kind, 1));
	write_text(in_scratch("list.S"), source);
	assert_ok(ks_string_print(&command, &error,
				  "cd %s && %s -nostdlib -static -o vmlinux list.S", scratch,
				  cc && *cc ? cc : "cc"));
	assert_int_equal(system(command), 0);
	read_file(in_scratch("vmlinux"), &vmlinux);
	expect_usual(&vmlinux);
}

/* --- lists ---------------------------------------------------------------------------------- */

static void longs_of_every_kind(void **state)
{
	static const struct layout layouts[] = { { 8, 8, false },   { 8, 8, true },
						 { 4, 8, false },   { 4, 8, true },
						 { 8, 256, false }, { 8, 256, true },
						 { 4, 256, false } };
	static const struct list_spec room = { .build = { 0, 1 },
					       .others = { 1, 2 },
					       .room = 4096 };
	static const struct list_spec extra = { .build = { 0, 1 },
						.room = 4096,
						.extra = { 1, 2 } };
	static const struct list_spec *const specs[] = { &usual, &room, &extra };

	(void)state;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		for (size_t k = 0; k < 3; k++) {
			KS_BUF kernel = { 0 };

			start_kernel(&kernel);
			kernel.data[EI_CLASS] = layouts[i].width == 4 ? ELFCLASS32 : ELFCLASS64;
			kernel.data[EI_DATA] = layouts[i].big_endian ? ELFDATA2MSB : ELFDATA2LSB;
			put_list(&kernel, &layouts[i], specs[k]);
			end_kernel(&kernel);
			expect_usual(&kernel);
		}
}

static void without_a_key_of_the_build(void **state)
{
	static const struct list_spec spec = { .others = { 0, 3 } };
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &spec);
	expect_list(&kernel, (struct range){ 0, 3 }, false);
}

/* A certificate of Ed25519 has the same length whenever it is made; this one's, modulo 8. */
static size_t try_length(EVP_PKEY *key, const char *cn, const char *serial)
{
	X509 *cert = make_cert(key, &(struct cert_spec){ .cn = cn, .serial = serial });
	KS_BUF kernel = { 0 };
	KS_BUF der = { 0 };
	KS_IMAGE image = { 0 };

	put_cert_der(&der, cert);
	start_kernel(&kernel);
	align(&kernel, 8);
	put(&kernel, der.data, der.len);
	align(&kernel, 8);
	put_number(&kernel, der.len, 8, false);
	put_number(&kernel, der.len, 8, false);
	end_kernel(&kernel);
	assert_ok(read_buf(&kernel, &image));
	assert_int_equal(image.builtin.count, 1);
	assert_int_equal(X509_cmp(image.builtin.item[0], cert), 0);
	X509_free(cert);
	return der.len % 8;
}

static void lists_of_every_length(void **state)
{
	static const char name[] = "a name of so many characters that lengths take two bytes";
	EVP_PKEY *key = make_key("ED25519");
	unsigned int seen = 0;

	(void)state;
	/* A name stands twice in a certificate, its serial number once. */
	for (size_t i = 0; i < 4; i++) {
		seen |= 1u << try_length(key, name + i, "1");
		seen |= 1u << try_length(key, name + i, "256");
	}
	assert_int_equal(seen, 0xff);
	EVP_PKEY_free(key);
}

/* The length's own bytes are 30 82, as a certificate's first are. */
static void a_length_that_looks_like_a_certificate(void **state)
{
	KS_BUF kernel = { 0 };
	KS_BUF der = { 0 };
	KS_IMAGE image = { 0 };
	size_t start, rest;

	(void)state;
	put_cert_der(&der, identity(kind, 0)->cert);
	start_kernel(&kernel);
	align(&kernel, 8);
	start = kernel.len;
	put(&kernel, der.data, der.len);
	rest = 0x8230 - der.len;
	put(&kernel, "\x30\x82", 2);
	put_number(&kernel, rest - 4, 2, true);
	put(&kernel, "\x30\x82", 2);
	put_zeros(&kernel, rest - 6);
	assert_int_equal(kernel.len - start, 0x8230);
	align(&kernel, 8);
	put_number(&kernel, 0x8230, 8, false);
	put_number(&kernel, der.len, 8, false);
	end_kernel(&kernel);
	assert_ok(read_buf(&kernel, &image));
	assert_true(image.has_list);
	assert_certs(&image.builtin, (struct range){ 0, 1 });
	assert_int_equal(image.unread, 1);
}

/* cfg80211 has certificates too, and a driver may have some. */
static void certificates_that_are_no_list(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	start_kernel(&kernel);
	align(&kernel, 8);
	put_certs(&kernel, (struct range){ 2, 4 });
	put(&kernel, "net/wireless/reg.c", 18);
	expect_no_list(&kernel);
	put_list(&kernel, &amd64, &usual);
	end_kernel(&kernel);
	expect_usual(&kernel);
}

static void lengths_that_are_not_the_list_s(void **state)
{
	KS_BUF kernel = { 0 };
	size_t at;

	(void)state;
	start_kernel(&kernel);
	put_list(&kernel, &amd64, &usual);
	at = kernel.len - 16;
	end_kernel(&kernel);
	for (int change = -1; change <= 1; change += 2) {
		kernel.data[at] = (uint8_t)(kernel.data[at] + change);
		expect_no_list(&kernel);
		kernel.data[at] = (uint8_t)(kernel.data[at] - change);
	}
	expect_usual(&kernel);
}

static void a_list_cut_off_anywhere(void **state)
{
	static const struct layout i386 = { 4, 8, false };

	(void)state;
	for (int narrow = 0; narrow < 2; narrow++) {
		KS_BUF kernel = { 0 };
		size_t start;

		start_kernel(&kernel);
		start = kernel.len;
		kernel.data[EI_CLASS] = narrow ? ELFCLASS32 : ELFCLASS64;
		put_list(&kernel, narrow ? &i386 : &amd64, &usual);
		for (size_t len = start; len < kernel.len; len++) {
			KS_IMAGE image = { 0 };

			assert_ok(read_view(ks_view_of(kernel.data, len), LIMIT, &image));
			assert_false(image.has_list);
		}
		expect_usual(&kernel);
	}
}

static void room_for_a_certificate_and_no_more(void **state)
{
	static const struct list_spec room = { .build = { 0, 1 },
					       .others = { 1, 2 },
					       .room = 65000 };
	static const struct list_spec more = { .build = { 0, 1 },
					       .others = { 1, 2 },
					       .room = 66000 };
	KS_BUF kernel = { 0 };
	KS_BUF roomy = { 0 };

	(void)state;
	put_kernel(&kernel, &room);
	expect_usual(&kernel);
	put_kernel(&roomy, &more);
	expect_no_list(&roomy);
}

static void a_list_that_is_not_aligned(void **state)
{
	KS_BUF kernel = { 0 };
	size_t start, len;

	(void)state;
	start_kernel(&kernel);
	align(&kernel, 8);
	put(&kernel, "x", 1);
	start = kernel.len;
	put_certs(&kernel, (struct range){ 0, 1 });
	len = kernel.len - start;
	align(&kernel, 8);
	put_number(&kernel, len, 8, false);
	put_zeros(&kernel, 8);
	end_kernel(&kernel);
	expect_no_list(&kernel);
}

/* The build's length may stand 256 bytes behind the list's, if both are aligned so. */
static void numbers_further_behind(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		bool aligned = i & 1, zeros = i & 2;
		KS_BUF kernel = { 0 };
		KS_BUF certs = { 0 };
		size_t padded;

		put_certs(&certs, (struct range){ 0, 1 });
		padded = (certs.len + 7) / 8 * 8;
		start_kernel(&kernel);
		align(&kernel, 256);
		put_zeros(&kernel, 1024 - padded + (aligned ? 0 : 8));
		put(&kernel, certs.data, certs.len);
		align(&kernel, 8);
		assert_int_equal(kernel.len % 256, aligned ? 0 : 8);
		put_number(&kernel, certs.len, 8, false);
		put_zeros(&kernel, 240);
		put_number(&kernel, zeros ? 0 : 77, 8, false);
		put_number(&kernel, certs.len, 8, false);
		end_kernel(&kernel);
		expect_list(&kernel, (struct range){ 0, 1 }, aligned && zeros);
	}
}

static void entries_that_cannot_be_read(void **state)
{
	KS_BUF kernel = { 0 };
	KS_BUF der = { 0 };
	KS_IMAGE image = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	put_cert_der(&der, identity(kind, 1)->cert);
	/* Its version: [0] { INTEGER }. */
	((uint8_t *)memmem(kernel.data, kernel.len, der.data, der.len))[8] = 0x55;
	assert_ok(read_buf(&kernel, &image));
	assert_true(image.has_list);
	assert_certs(&image.builtin, (struct range){ 0, 1 });
	assert_int_equal(image.unread, 1);
	ks_image_free(&image);

	der.len = 0;
	put_cert_der(&der, identity(kind, 0)->cert);
	((uint8_t *)memmem(kernel.data, kernel.len, der.data, der.len))[8] = 0x55;
	assert_ok(read_buf(&kernel, &image));
	assert_true(image.has_list);
	assert_int_equal(image.builtin.count, 0);
	assert_int_equal(image.unread, 2);
	assert_false(image.has_build_key);
}

static void the_build_s_length_decides(void **state)
{
	static const struct list_spec other = { .others = { 2, 3 } };
	KS_BUF kernel = { 0 };

	(void)state;
	start_kernel(&kernel);
	put_list(&kernel, &amd64, &other);
	put_zeros(&kernel, 8);
	put_list(&kernel, &amd64, &usual);
	end_kernel(&kernel);
	expect_usual(&kernel);
}

static void two_that_both_could_be_trusted(void **state)
{
	static const struct list_spec other = { .build = { 2, 3 } };
	KS_BUF kernel = { 0 };

	(void)state;
	start_kernel(&kernel);
	put_list(&kernel, &amd64, &usual);
	put_list(&kernel, &amd64, &other);
	end_kernel(&kernel);
	expect_no_list(&kernel);
}

/* --- revoked certificates ------------------------------------------------------------------- */

static const struct list_spec revoked = { .others = { 2, 4 }, .no_build_length = true };

static void expect_revoked(const struct list_spec *spec, bool has_list)
{
	KS_BUF kernel = { 0 };
	KS_IMAGE image = { 0 };

	start_kernel(&kernel);
	put_list(&kernel, &amd64, spec);
	put_zeros(&kernel, 24);
	put_list(&kernel, &amd64, &revoked);
	end_kernel(&kernel);
	assert_ok(read_buf(&kernel, &image));
	assert_int_equal(image.has_list, has_list);
	assert_certs(&image.builtin, has_list ? (struct range){ 0, 2 } : (struct range){ 0, 0 });
	assert_certs(&image.revoked, (struct range){ 2, 4 });
}

static void revoked_certificates(void **state)
{
	static const struct list_spec no_build = { .others = { 0, 2 } };
	static const struct list_spec none = { 0 };

	(void)state;
	expect_revoked(&usual, true);
	expect_revoked(&no_build, true);
	expect_revoked(&none, false);
}

/* Enterprise kernels of old numbers have new parts; the build's length shows it. */
static void revoked_certificates_of_any_release(void **state)
{
	static const char *const releases[] = { "4.18.0-513.el8", NULL };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (int trusted = 0; trusted < 2; trusted++) {
			KS_BUF kernel = { 0 };
			KS_BUF file = { 0 };
			KS_IMAGE image = { 0 };

			start_kernel(&kernel);
			memset(kernel.data + 64, 0, sizeof(BANNER));
			if (trusted)
				put_list(&kernel, &amd64, &usual);
			put_list(&kernel, &amd64, &revoked);
			end_kernel(&kernel);
			start_bzimage(&file, releases[i]);
			pack_gzip(ks_buf_view(&kernel), &file);
			end_bzimage(&file);
			assert_ok(read_buf(&file, &image));
			assert_text(image.release, releases[i]);
			assert_int_equal(image.has_list, trusted || releases[i]);
			assert_int_equal(image.builtin.count, trusted || releases[i] ? 2 : 0);
			assert_int_equal(image.revoked.count, trusted ? 2 : 0);
		}
}

/* A kernel from before 5.13 has one list, and no length of the build's. */
static void lists_of_old_kernels(void **state)
{
	static const struct {
		const char *release;
		bool trusted;
	} releases[] = { { "5.10.0-30-amd64", true }, { "5.12.19", true },    { "4.19", true },
			 { "5.13.0", false },	      { "6.0.0-rc1", false }, { "10.2.0", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(releases) / sizeof(*releases); i++) {
		KS_BUF kernel = { 0 };
		KS_BUF file = { 0 };
		KS_IMAGE image = { 0 };

		start_kernel(&kernel);
		put_list(&kernel, &amd64, &revoked);
		end_kernel(&kernel);
		start_bzimage(&file, releases[i].release);
		pack_gzip(ks_buf_view(&kernel), &file);
		end_bzimage(&file);
		assert_ok(read_buf(&file, &image));
		assert_string_equal(image.release, releases[i].release);
		assert_int_equal(image.has_list, releases[i].trusted);
		assert_int_equal(image.builtin.count, releases[i].trusted ? 2 : 0);
		assert_int_equal(image.revoked.count, releases[i].trusted ? 0 : 2);
	}
}

static void two_lists_of_an_old_kernel(void **state)
{
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };
	KS_IMAGE image = { 0 };

	(void)state;
	start_kernel(&kernel);
	put_list(&kernel, &amd64, &revoked);
	put_list(&kernel, &amd64, &revoked);
	end_kernel(&kernel);
	start_bzimage(&file, "5.10.0-30-amd64");
	pack_gzip(ks_buf_view(&kernel), &file);
	end_bzimage(&file);
	assert_ok(read_buf(&file, &image));
	assert_false(image.has_list);
	assert_int_equal(image.builtin.count + image.revoked.count, 0);
}

/* --- the release ---------------------------------------------------------------------------- */

static void expect_version(const char *in_header, const char *in_kernel, const char *release,
			   const char *builder)
{
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };
	KS_IMAGE image = { 0 };

	put(&kernel, ELFMAG, SELFMAG);
	put_zeros(&kernel, 60);
	put(&kernel, in_kernel, strlen(in_kernel));
	start_bzimage(&file, in_header);
	pack_gzip(ks_buf_view(&kernel), &file);
	end_bzimage(&file);
	assert_ok(read_buf(&file, &image));
	assert_text(image.release, release);
	assert_text(image.builder, builder);
}

static void releases(void **state)
{
	static const char longest[] =
		"6.1-1234567890123456789012345678901234567890123456789012345678901";

	(void)state;
	assert_int_equal(strlen(longest), 65);
	expect_version("6.1.0-50 (x@y)", "", "6.1.0-50", "x@y");
	expect_version("6.1.0-50", "", "6.1.0-50", NULL);
	expect_version("6.1.0 x", "Linux version 6.2.0 x", "6.1.0", NULL);
	expect_version(NULL, "Linux version %s x\nLinux version 6.2.0 x", "6.2.0", NULL);
	expect_version(NULL, "Linux version 6.2.0", NULL, NULL);
	expect_version(NULL, "Linux version v6 ", NULL, NULL);
	expect_version("", "Linux version 6.2.0 ", "6.2.0", NULL);
	expect_version(NULL, "", NULL, NULL);
	expect_version("6.1\x1b[2J x", "", "6.1", NULL);
	expect_version("6.1\xc3\xa4 x", "", "6.1", NULL);
	expect_version("6.1\x7fx", "", "6.1", NULL);
	expect_version(longest, "", NULL, NULL);
}

static void builders(void **state)
{
	(void)state;
	expect_version("6.1 (a (b) c)", "", "6.1", NULL);
	expect_version("6.1 ()", "", "6.1", NULL);
	expect_version("6.1 (a@b", "", "6.1", NULL);
	expect_version("6.1 (a\x1b)", "", "6.1", NULL);
	expect_version("6.1 (a b)", "", "6.1", "a b");
	expect_version("6.1", "Linux version 6.1 (c@d) x", "6.1", "c@d");
}

static void expect_release_at(struct ks_buf *file, size_t at, const char *expected)
{
	KS_IMAGE image = { 0 };

	set_le(file, 0x20e, at, 2);
	assert_ok(read_buf(file, &image));
	assert_string_equal(image.release, expected);
	assert_string_equal(image.builder, "builder@host");
}

/* A release may be as long as uname's field, and stand at the end of the file. */
static void versions_at_their_limits(void **state)
{
	static const char name[] =
		"6.1-123456789012345678901234567890123456789012345678901234567890";
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	assert_int_equal(strlen(name), 64);
	expect_version(name, "", name, NULL);

	put_kernel(&kernel, &usual);
	put_bzimage(&file, ks_buf_view(&kernel), pack_gzip);
	memcpy(file.data + 512, "9 ", 2);
	memcpy(file.data + file.len - 7, "6.1 (ab", 7);
	expect_release_at(&file, 0, RELEASE);
	expect_release_at(&file, file.len - 512, RELEASE);
	expect_release_at(&file, 0xffff, RELEASE);
	expect_release_at(&file, file.len - 512 - 1, RELEASE);
	expect_release_at(&file, file.len - 512 - 7, "6.1");
}

/* --- what is no image, or a broken one ------------------------------------------------------ */

static void expect_text_error(const char *text, size_t len, enum ks_code code, const char *says)
{
	KS_BUF file = { 0 };

	put(&file, text, len);
	put_zeros(&file, 600);
	expect_error(&file, code, says);
}

static void no_kernel_images(void **state)
{
	KS_BUF empty = { 0 };
	KS_BUF packed = { 0 };

	(void)state;
	expect_error(&empty, KS_ERR_INPUT, "not a kernel image");
	expect_text_error("text", 4, KS_ERR_INPUT, "not a kernel image");
	expect_text_error("MZ", 2, KS_ERR_INPUT, "not a kernel image");
	expect_text_error("BZh91AY", 7, KS_ERR_UNSUPPORTED, "bzip2");
	expect_text_error("\x89LZO\0\r\n", 7, KS_ERR_UNSUPPORTED, "lzo");
	expect_text_error("\x1f\x8b\x08", 3, KS_ERR_INPUT, "gzip: ");
	expect_text_error("\xfd\x37zXZ\0", 6, KS_ERR_INPUT, "xz: ");
	expect_text_error("\x28\xb5\x2f\xfd", 4, KS_ERR_INPUT, "zstd: ");
	expect_text_error("\x5d\0\0\x80", 4, KS_ERR_INPUT, "lzma: ");
	pack_gzip(text_view("an initrd"), &packed);
	expect_error(&packed, KS_ERR_INPUT, "not a kernel inside");
}

/* In memory of its own, each. */
static void packed_images_cut_off_anywhere(void **state)
{
	static const char *const names[] = { "gzip: ", "xz: ", "zstd: ", "lzma: ", "lz4: " };
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF file = { 0 };

		packers[i](ks_buf_view(&kernel), &file);
		for (size_t len = 6; len < file.len; len += len < 60 ? 1 : 61) {
			struct ks_image image;

			assert_fails(read_view(ks_view_of(file.data, len), LIMIT, &image),
				     KS_ERR_INPUT);
			assert_says(names[i]);
		}
	}
}

static void lzma_and_what_is_behind_it(void **state)
{
	KS_BUF kernel = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	pack_lzma(ks_buf_view(&kernel), &file);
	put(&file, "x", 1);
	expect_error(&file, KS_ERR_INPUT, "lzma: trailing garbage");
}

static void lz4_blocks_that_cannot_be(void **state)
{
#ifdef HAVE_LZ4
	static const struct {
		size_t size;
		const char *says;
	} cases[] = { { 0, "lz4: corrupt" },
		      { 1, "lz4: corrupt" },
		      { 100, "lz4: corrupt" },
		      { 101, "lz4: truncated" },
		      { 8421520, "lz4: truncated" }, /* what 8 MiB can at most become */
		      { 8421521, "lz4: block of 8421521 bytes" },
		      { 0xffffffff, "lz4: block of 4294967295 bytes" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF file = { 0 };

		put_number(&file, 0x184c2102, 4, false);
		put_number(&file, cases[i].size, 4, false);
		for (size_t k = 0; k < 100; k++)
			put(&file, "\xff", 1);
		expect_error(&file, KS_ERR_INPUT, cases[i].says);
	}
#endif
	(void)state;
}

static void payloads_of_a_bzimage_that_cannot_be_read(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	start_bzimage(&file, RELEASE);
	put(&file, "BZh91AY", 7);
	end_bzimage(&file);
	expect_error(&file, KS_ERR_UNSUPPORTED, "bzip2");
	memcpy(file.data + SETUP_END + 100, "\x89LZO", 4);
	expect_error(&file, KS_ERR_UNSUPPORTED, "lzo");
	memcpy(file.data + SETUP_END + 100, "????", 4);
	expect_error(&file, KS_ERR_INPUT, "not a kernel image, or packed in an unknown way");
	set_le(&file, 0x206, 0x207, 2);
	expect_error(&file, KS_ERR_UNSUPPORTED, "before 2.6.26");
}

static void hostile_headers_of_a_bzimage(void **state)
{
	static const struct {
		size_t at, width;
		uint64_t value;
		const char *says;
	} cases[] = {
		{ 0x248, 4, 0xffffffff, "truncated" },
		{ 0x248, 4, 0xfffff200, "truncated" }, /* to 0 modulo 2^32 */
		{ 0x24c, 4, 0xffffffff, "truncated" },
		{ 0x24c, 4, 0, "not a kernel image" },
		{ 0x24c, 4, 2, "gzip: truncated" },
		{ 0x1f1, 1, 0, "not a kernel image" },
		{ 0x1f1, 1, 255, "truncated" },
	};
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF file = { 0 };

		put_bzimage(&file, ks_buf_view(&kernel), pack_gzip);
		set_le(&file, cases[i].at, cases[i].value, cases[i].width);
		expect_error(&file, KS_ERR_INPUT, cases[i].says);
	}
}

static void payloads_too_short_for_their_size(void **state)
{
	(void)state;
	for (size_t len = 3; len < 12; len++) {
		KS_BUF file = { 0 };

		start_bzimage(&file, RELEASE);
		put(&file, "\x5d\0\0\0\0\0\0\0\0\0\0\0", len);
		end_bzimage(&file);
		expect_error(&file, KS_ERR_INPUT, len < 4 ? "payload of 3 bytes" : "");
	}
}

static void a_size_that_is_not_the_payload_s(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 1; i < PACKERS; i++) {
		KS_BUF file = { 0 };

		put_bzimage(&file, ks_buf_view(&kernel), packers[i]);
		file.data[file.len - 200 - 4] ^= 1;
		expect_error(&file, KS_ERR_INPUT, "were promised");
	}
}

static void images_cut_off_anywhere(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF file = { 0 };
		KS_BUF zboot = { 0 };
		size_t end;

		put_bzimage(&file, ks_buf_view(&kernel), packers[i]);
		end = file.len - 200;
		for (size_t len = 0; len < end; len += len < 700 ? 1 : 97) {
			struct ks_image image;

			assert_fails(read_view(ks_view_of(file.data, len), LIMIT, &image),
				     KS_ERR_INPUT);
		}
		put_zboot(&zboot, ks_buf_view(&kernel), packers[i]);
		for (size_t len = 0; len < zboot.len - 204; len += len < 100 ? 1 : 97) {
			KS_IMAGE image = { 0 };

			/* Of its header alone nothing tells it from a kernel for loongarch. */
			if (read_view(ks_view_of(zboot.data, len), LIMIT, &image))
				assert_true(len >= 0x3c && !image.has_list);
		}
	}
}

static void random_damage_stays_inside(void **state)
{
	KS_BUF kernel = { 0 };
	uint32_t seed = 1;

	(void)state;
	put_kernel(&kernel, &usual);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF file = { 0 };

		put_bzimage(&file, ks_buf_view(&kernel), packers[i]);
		for (int round = 0; round < 200; round++) {
			KS_BUF copy = { 0 };
			KS_IMAGE image = { 0 };

			put(&copy, file.data, file.len);
			for (int k = 0; k < 3; k++) {
				seed = seed * 1664525 + 1013904223;
				/* Half of it in the header. */
				copy.data[(seed >> 4) % (seed & 1 ? 0x250 : copy.len)] =
					(uint8_t)(seed >> 3);
			}
			if (read_buf(&copy, &image) && image.has_list)
				assert_true(image.builtin.count + image.unread <= 2);
		}
	}
}

static void limits(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	put_kernel(&kernel, &usual);
	put_zeros(&kernel, 12 * MIB);
	for (size_t i = 0; i < PACKERS; i++) {
		KS_BUF file = { 0 };
		KS_IMAGE image = { 0 };
		struct ks_image none;

		put_bzimage(&file, ks_buf_view(&kernel), packers[i]);
		assert_ok(read_view(ks_buf_view(&file), kernel.len, &image));
		assert_true(image.has_list);
		assert_fails(read_view(ks_buf_view(&file), kernel.len - 1, &none), KS_ERR_INPUT);
		assert_says("larger than the limit");
		assert_fails(read_view(ks_buf_view(&file), MIB, &none), KS_ERR_INPUT);
		assert_says("larger than the limit");
	}
}

/* Every eight bytes another list begins: without a limit on effort this takes hours. */
static void expect_too_much(const char *beginning)
{
	KS_BUF kernel = { 0 };

	start_kernel(&kernel);
	align(&kernel, 8);
	assert_ok(ks_buf_reserve(&kernel, 9 * MIB, &error));
	while (kernel.len < 8 * MIB)
		put(&kernel, beginning, 8);
	expect_error(&kernel, KS_ERR_INPUT, "looks like certificates");
}

static void nothing_but_beginnings(void **state)
{
	(void)state;
	/* One behind the other, and one in the other. */
	expect_too_much("\x30\x82\x00\x04\x30\x81\x00\x00");
	expect_too_much("\x30\x82\xff\x00\x30\x81\x00\x00");
}

static void more_lists_than_any_kernel_has(void **state)
{
	KS_BUF kernel = { 0 };

	(void)state;
	start_kernel(&kernel);
	for (int i = 0; i < 8; i++)
		put_list(&kernel, &amd64, &revoked);
	end_kernel(&kernel);
	expect_no_list(&kernel);
	put_list(&kernel, &amd64, &revoked);
	expect_error(&kernel, KS_ERR_INPUT, "looks like certificates");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_elf_kernel),
		cmocka_unit_test(every_packing_of_a_bzimage),
		cmocka_unit_test(a_bzimage_that_does_not_count_its_sectors),
		cmocka_unit_test(every_packing_of_zboot_and_of_a_whole_image),
		cmocka_unit_test(images_of_other_architectures),
		cmocka_unit_test(arm64_of_both_byte_orders),
		cmocka_unit_test(a_kernel_of_many_lz4_blocks_and_frames),
		scratch_test(a_list_by_the_compiler),
		cmocka_unit_test(longs_of_every_kind),
		cmocka_unit_test(without_a_key_of_the_build),
		cmocka_unit_test(lists_of_every_length),
		cmocka_unit_test(a_length_that_looks_like_a_certificate),
		cmocka_unit_test(certificates_that_are_no_list),
		cmocka_unit_test(lengths_that_are_not_the_list_s),
		cmocka_unit_test(a_list_cut_off_anywhere),
		cmocka_unit_test(entries_that_cannot_be_read),
		cmocka_unit_test(room_for_a_certificate_and_no_more),
		cmocka_unit_test(a_list_that_is_not_aligned),
		cmocka_unit_test(numbers_further_behind),
		cmocka_unit_test(the_build_s_length_decides),
		cmocka_unit_test(two_that_both_could_be_trusted),
		cmocka_unit_test(revoked_certificates),
		cmocka_unit_test(revoked_certificates_of_any_release),
		cmocka_unit_test(lists_of_old_kernels),
		cmocka_unit_test(two_lists_of_an_old_kernel),
		cmocka_unit_test(releases),
		cmocka_unit_test(builders),
		cmocka_unit_test(versions_at_their_limits),
		cmocka_unit_test(no_kernel_images),
		cmocka_unit_test(packed_images_cut_off_anywhere),
		cmocka_unit_test(lzma_and_what_is_behind_it),
		cmocka_unit_test(lz4_blocks_that_cannot_be),
		cmocka_unit_test(payloads_of_a_bzimage_that_cannot_be_read),
		cmocka_unit_test(hostile_headers_of_a_bzimage),
		cmocka_unit_test(payloads_too_short_for_their_size),
		cmocka_unit_test(a_size_that_is_not_the_payload_s),
		cmocka_unit_test(images_cut_off_anywhere),
		cmocka_unit_test(random_damage_stays_inside),
		cmocka_unit_test(limits),
		cmocka_unit_test(nothing_but_beginnings),
		cmocka_unit_test(more_lists_than_any_kernel_has),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
