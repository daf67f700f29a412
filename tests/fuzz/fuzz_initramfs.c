/* SPDX-License-Identifier: MIT */
/* Initramfs images. */
#include <string.h>

#include "core/codec.h"
#include "core/initramfs.h"
#include "fuzz.h"

bool fuzz_accepted; /* read to its end */

enum {
	LIMIT = 1 << 20,
	ENTRY = 112,	/* bytes of an archive that a name takes at least */
	CALLS_MAX = 16, /* for reading it once for each of them */
};

struct seen {
	struct ks_view file;
	struct ks_buf text; /* for each call path, NUL, content, NUL */
	size_t calls, stop;
	bool inside; /* all content was in FILE itself */
};

#define SEEN __attribute__((cleanup(free_seen))) struct seen

static void free_seen(struct seen *seen)
{
	ks_buf_drop(&seen->text);
}

static void keep(struct seen *seen, const void *data, size_t len)
{
	struct ks_error err;

	/* Hard links to one large file can be many, of which none takes memory but here. */
	if (seen->text.len < LIMIT)
		MUST(ks_buf_append(&seen->text, data, len, &err) &&
		     ks_buf_append(&seen->text, "", 1, &err));
}

static bool see(void *ctx, const char *path, struct ks_view content, struct ks_error *err)
{
	struct seen *seen = ctx;
	const uint8_t *end = seen->file.data + seen->file.len;

	if (++seen->calls == seen->stop)
		return ks_fail(err, KS_ERR_MISSING, "stop");
	MUST(ks_codec_is_module_name(path) && *path != '/' && strncmp(path, "./", 2) != 0);
	MUST(content.len <= LIMIT);
	seen->inside &= content.data >= seen->file.data && content.data + content.len <= end;
	keep(seen, path, strlen(path));
	keep(seen, content.data, content.len);
	return true;
}

static bool read_image(struct ks_view file, struct seen *seen)
{
	struct ks_error err = { 0 };

	seen->file = file;
	seen->inside = true;
	if (ks_initramfs_modules(file, LIMIT, see, seen, &err))
		return true;
	MUST(*err.text && !strchr(err.text, '\n'));
	MUST(seen->stop ? err.code == KS_ERR_MISSING :
			  err.code == KS_ERR_INPUT || err.code == KS_ERR_UNSUPPORTED);
	return false;
}

static void check_same(struct ks_view file, const struct seen *wanted)
{
	SEEN seen = { 0 };

	MUST(read_image(file, &seen) && seen.calls == wanted->calls);
	MUST(ks_view_equal(ks_buf_view(&seen.text), ks_buf_view(&wanted->text)));
}

/* In front of it zeros in fours change nothing. */
static void check_zeros(struct ks_view file, const struct seen *seen)
{
	KS_BULK padded = { 0 };
	struct ks_error err;

	MUST(ks_buf_append(&padded, "\0\0\0", 4, &err));
	MUST(ks_buf_append(&padded, file.data, file.len, &err));
	check_same(ks_buf_view(&padded), seen);
}

static bool has_magic(struct ks_view file, const struct ks_codec *codec)
{
	return memmem(file.data, file.len, codec->magic, codec->magic_len);
}

/* Whether it certainly is nothing but archives and zeros, as it was read to its end. */
static bool is_plain(struct ks_view file)
{
	return file.len && !has_magic(file, &ks_codec_gzip) && !has_magic(file, &ks_codec_xz) &&
	       !has_magic(file, &ks_codec_zstd) && !has_magic(file, &ks_codec_lz4) &&
	       !has_magic(file, &ks_codec_lzma);
}

/* Packed it is the same, zeros behind it or not, and then no content is in the file itself. */
static void check_packed(struct ks_view file, const struct seen *seen)
{
	KS_BULK packed = { 0 };
	struct ks_error err;
	SEEN again = { 0 };

	MUST(ks_codec_zstd.pack(file, &packed, &err));
	check_same(ks_buf_view(&packed), seen);
	MUST(ks_buf_append(&packed, "\0\0\0\0", 5, &err));
	check_same(ks_buf_view(&packed), seen);
	MUST(read_image(ks_buf_view(&packed), &again));
	MUST(seen->inside && again.inside == !seen->calls);
}

/* The caller's error is passed on as it is, wherever it comes. */
static void check_stops(struct ks_view file, size_t calls)
{
	for (size_t i = 1; i <= calls; i++) {
		SEEN seen = { .stop = i };

		MUST(!read_image(file, &seen) && seen.calls == i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view file = fuzz_view(data, size);
	SEEN seen = { 0 };

	fuzz_accepted = read_image(file, &seen);
	MUST(seen.calls <= (size + LIMIT) / ENTRY);
	if (!fuzz_accepted)
		return 0;
	check_zeros(file, &seen);
	if (is_plain(file))
		check_packed(file, &seen);
	if (seen.calls <= CALLS_MAX)
		check_stops(file, seen.calls);
	return 0;
}
