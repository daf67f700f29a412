/* SPDX-License-Identifier: MIT */
#include "core/image.h"

#include <ctype.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/strings.h"
#include "core/certlist.h"
#include "core/codec.h"

enum {
	RELEASE_MAX = 64,  /* __NEW_UTS_LEN */
	BUILDER_MAX = 160, /* a user's name, @, a host's */
	SECTOR = 512,
	/* A bzImage's setup header (Documentation/arch/x86/boot.rst). */
	SETUP_SECTS = 0x1f1,
	SETUP_SECTS_DEFAULT = 4, /* what 0 means */
	HEADER = 0x202,
	PROTOCOL = 0x206,
	PROTOCOL_WITH_PAYLOAD = 0x208,
	KERNEL_VERSION = 0x20e, /* from SECTOR on */
	PAYLOAD_OFFSET = 0x248, /* from the end of the setup code */
	PAYLOAD_LENGTH = 0x24c,
	SETUP_HEADER_END = 0x250,
	/* drivers/firmware/efi/libstub/zboot-header.S */
	ZBOOT_TYPE = 4,
	ZBOOT_OFFSET = 8,
	ZBOOT_SIZE = 12,
	ZBOOT_HEADER_END = 0x38,
	IMAGE_MAGIC = 0x38, /* Documentation/arch/{arm64/booting,riscv/boot-image-header}.rst */
	SIZE_WORD = 4,
};

/* --- unpacking ------------------------------------------------------------------------------ */

static bool has_at(struct ks_view image, size_t at, const char *magic)
{
	size_t len = strlen(magic);

	return image.len >= at + len && memcmp(image.data + at, magic, len) == 0;
}

static bool is_bzimage(struct ks_view file)
{
	return has_at(file, HEADER, "HdrS") && file.len >= SETUP_HEADER_END;
}

static bool is_zboot(struct ks_view file)
{
	return has_at(file, 0, "MZ") && has_at(file, ZBOOT_TYPE, "zimg") &&
	       file.len >= ZBOOT_HEADER_END;
}

/* The kernel itself: what is searched for certificates. */
static bool is_kernel(struct ks_view file)
{
	return has_at(file, 0, ELFMAG) || has_at(file, IMAGE_MAGIC, "ARM\x64") ||
	       has_at(file, IMAGE_MAGIC, "RSC\x05") ||
	       (has_at(file, 0, "MZ") && has_at(file, IMAGE_MAGIC, "\xcd\x23\x82\x81"));
}

/*
 * The build puts the unpacked size behind every payload but gzip's, which has one of its own; only
 * a bzImage's header counts it as payload (with_size).
 */
static bool unpack(struct ks_view payload, bool with_size, size_t limit, struct ks_buf *kernel,
		   struct ks_error *err)
{
	const char *name;
	const struct ks_codec *codec = ks_codec_of_image(payload, &name);
	size_t size = 0;

	if (name)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "a kernel packed with %s", name);
	if (!codec)
		return ks_fail(err, KS_ERR_INPUT,
			       "not a kernel image, or packed in an unknown way");
	with_size = with_size && codec != &ks_codec_gzip;
	if (with_size && payload.len < SIZE_WORD)
		return ks_fail(err, KS_ERR_INPUT, "payload of %zu bytes", payload.len);
	if (with_size) {
		payload.len -= SIZE_WORD;
		size = ks_le32(payload.data + payload.len);
	}
	if (!ks_codec_unpack(codec, payload, limit, kernel, err))
		return false;
	if (with_size && kernel->len != size)
		return ks_fail(err, KS_ERR_INPUT, "%s: %zu bytes where %zu were promised",
			       codec->name, kernel->len, size);
	if (!is_kernel(ks_buf_view(kernel)))
		return ks_fail(err, KS_ERR_INPUT, "%s: not a kernel inside", codec->name);
	return true;
}

static bool cut(struct ks_view file, size_t offset, size_t len, struct ks_view *payload,
		struct ks_error *err)
{
	if (offset > file.len || len > file.len - offset)
		return ks_fail(err, KS_ERR_INPUT, "truncated kernel image");
	*payload = ks_view_of(file.data + offset, len);
	return true;
}

static bool unpack_bzimage(struct ks_view file, size_t limit, struct ks_buf *kernel,
			   struct ks_error *err)
{
	size_t sectors = file.data[SETUP_SECTS] ? file.data[SETUP_SECTS] : SETUP_SECTS_DEFAULT;
	size_t setup_end = (sectors + 1) * SECTOR;
	struct ks_view payload;

	if (ks_le16(file.data + PROTOCOL) < PROTOCOL_WITH_PAYLOAD)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "a kernel image from before 2.6.26");
	return cut(file, setup_end + ks_le32(file.data + PAYLOAD_OFFSET),
		   ks_le32(file.data + PAYLOAD_LENGTH), &payload, err) &&
	       unpack(payload, true, limit, kernel, err);
}

static bool unpack_zboot(struct ks_view file, size_t limit, struct ks_buf *kernel,
			 struct ks_error *err)
{
	struct ks_view payload;

	return cut(file, ks_le32(file.data + ZBOOT_OFFSET), ks_le32(file.data + ZBOOT_SIZE),
		   &payload, err) &&
	       unpack(payload, false, limit, kernel, err);
}

/* *KERNEL becomes the kernel itself, in FILE or in UNPACKED. */
static bool find_kernel(struct ks_view file, size_t limit, struct ks_buf *unpacked,
			struct ks_view *kernel, struct ks_error *err)
{
	bool ok;

	*kernel = file;
	if (is_bzimage(file))
		ok = unpack_bzimage(file, limit, unpacked, err);
	else if (is_zboot(file))
		ok = unpack_zboot(file, limit, unpacked, err);
	else if (is_kernel(file))
		return true;
	else
		ok = unpack(file, false, limit, unpacked, err);
	*kernel = ks_buf_view(unpacked);
	return ok;
}

/* --- release and builder ---------------------------------------------------------------------------- */

/* Printable ASCII from the front of TEXT on, as far as none of UNTIL stands there. */
static size_t count_printable(struct ks_view text, const char *until)
{
	size_t len = 0;

	while (len < text.len && len <= BUILDER_MAX && text.data[len] >= 0x20 &&
	       text.data[len] < 0x7f && !strchr(until, text.data[len]))
		len++;
	return len;
}

/* "RELEASE (BUILDER) ...", if that is what TEXT begins with; else IMAGE stays as it is. */
static bool take_version(struct ks_view text, struct ks_image *image, struct ks_error *err)
{
	size_t len = count_printable(text, " ");
	struct ks_view rest;

	if (!len || len > RELEASE_MAX || len == text.len || !isdigit(text.data[0]))
		return true;
	if (!image->release &&
	    !ks_string_print(&image->release, err, "%.*s", (int)len, (const char *)text.data))
		return false;
	rest = ks_view_of(text.data + len, text.len - len);
	if (image->builder || !ks_view_starts_with(rest, " (", 2))
		return true;
	rest = ks_view_of(rest.data + 2, rest.len - 2);
	len = count_printable(rest, "()");
	return !len || len > BUILDER_MAX || len == rest.len || rest.data[len] != ')' ||
	       ks_string_print(&image->builder, err, "%.*s", (int)len, (const char *)rest.data);
}

static bool header_version(struct ks_view file, struct ks_image *image, struct ks_error *err)
{
	size_t at = SECTOR + ks_le16(file.data + KERNEL_VERSION);

	if (at == SECTOR || at >= file.len)
		return true;
	return take_version(ks_view_of(file.data + at, file.len - at), image, err);
}

/* init/version.c: linux_banner, and beside it the form that it is printed from, without number. */
static bool banner_version(struct ks_view kernel, struct ks_image *image, struct ks_error *err)
{
	static const char banner[] = "Linux version ";
	const size_t len = sizeof(banner) - 1;
	const uint8_t *at;

	while ((!image->release || !image->builder) &&
	       (at = memmem(kernel.data, kernel.len, banner, len))) {
		kernel.len -= (size_t)(at + len - kernel.data);
		kernel.data = at + len;
		if (!take_version(kernel, image, err))
			return false;
	}
	return true;
}

/* --- all of it ------------------------------------------------------------------------------ */

static bool read_image(struct ks_view file, size_t limit, struct ks_image *image,
		       struct ks_error *err)
{
	KS_BULK unpacked = { 0 };
	struct ks_view kernel;

	return find_kernel(file, limit, &unpacked, &kernel, err) &&
	       (!is_bzimage(file) || header_version(file, image, err)) &&
	       banner_version(kernel, image, err) && ks_certlist_read(kernel, image, err);
}

bool ks_image_read(struct ks_view file, size_t limit, struct ks_image *image, struct ks_error *err)
{
	*image = (struct ks_image){ 0 };
	if (read_image(file, limit, image, err))
		return true;
	ks_image_free(image);
	return false;
}

void ks_image_free(struct ks_image *image)
{
	free(image->release);
	free(image->builder);
	ks_certs_free(&image->builtin);
	ks_certs_free(&image->revoked);
	*image = (struct ks_image){ 0 };
}
