/* SPDX-License-Identifier: MIT */
#include "core/initramfs.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/number.h"
#include "core/codec.h"

enum {
	MAGIC = 6,
	FIELD = 8, /* hexadecimal digits of each number */
	FIELDS = 13,
	HEADER = MAGIC + FIELDS * FIELD,
	ALIGN = 4, /* of headers and data; both are padded with zeros */
	WORD = 4,  /* the size in front of a block of lz4 */
};

/* The numbers of a header, in their order. */
enum { INO, MODE, UID, GID, NLINK, MTIME, FILESIZE, MAJOR, MINOR, RMAJOR, RMINOR, NAMESIZE, CHECK };

struct entry {
	uint32_t field[FIELDS];
	const char *name;
	struct ks_view content;
};

/* One name of a file that has several. */
struct link {
	uint32_t major, minor, ino;
	size_t order;
	const char *path;
	struct ks_view content; /* empty with all but one of them, as a rule the last */
};

struct walk {
	ks_initramfs_each *each;
	void *ctx;
	size_t limit;
	struct ks_buf unpacked; /* every packed archive, one behind the other */
	const char *container;	/* of the archive in hand; NULL where it is not packed */
	struct link *link;	/* of the archive in hand */
	size_t link_count, link_cap;
};

#define WALK __attribute__((cleanup(free_walk))) struct walk

static void free_walk(struct walk *w)
{
	ks_buf_drop(&w->unpacked);
	free(w->link);
}

/* --- cpio ----------------------------------------------------------------------------------- */

static bool read_hex(const uint8_t *digits, uint32_t *value)
{
	*value = 0;
	for (size_t i = 0; i < FIELD; i++) {
		uint8_t c = digits[i];

		if (c >= '0' && c <= '9')
			c -= '0';
		else if (c >= 'a' && c <= 'f')
			c -= 'a' - 10;
		else if (c >= 'A' && c <= 'F')
			c -= 'A' - 10;
		else
			return false;
		*value = *value << 4 | c;
	}
	return true;
}

static bool read_header(struct ks_view archive, size_t at, struct entry *entry,
			struct ks_error *err)
{
	struct ks_view rest = ks_view_of(archive.data + at, archive.len - at);

	if (at % ALIGN)
		return ks_fail(err, KS_ERR_INPUT, "cpio: a header at %zu, not a multiple of 4", at);
	if (ks_view_starts_with(rest, "070707", MAGIC))
		return ks_fail(err, KS_ERR_INPUT, "cpio: the old format, which is not newc");
	if (rest.len >= MAGIC && !ks_view_starts_with(rest, "070701", MAGIC) &&
	    !ks_view_starts_with(rest, "070702", MAGIC))
		return ks_fail(err, KS_ERR_INPUT, "cpio: no header at %zu", at);
	if (rest.len < HEADER)
		return ks_fail(err, KS_ERR_INPUT, "cpio: truncated in the header at %zu", at);
	for (size_t i = 0; i < FIELDS; i++)
		if (!read_hex(rest.data + MAGIC + i * FIELD, &entry->field[i]))
			return ks_fail(err, KS_ERR_INPUT, "cpio: a damaged header at %zu", at);
	return true;
}

/* LEN bytes from *AT on, which is moved behind them and their padding; at the end there is none. */
static bool take(struct ks_view archive, size_t *at, size_t len, struct ks_view *part)
{
	size_t left = archive.len - *at, padding;

	if (len > left)
		return false;
	*part = ks_view_of(archive.data + *at, len);
	*at += len;
	padding = (ALIGN - *at % ALIGN) % ALIGN;
	*at += padding < left - len ? padding : left - len;
	return true;
}

/* The entry at *AT, which is moved to where the next one may be. */
static bool read_entry(struct ks_view archive, size_t *at, struct entry *entry,
		       struct ks_error *err)
{
	const size_t start = *at;
	struct ks_view name;
	uint32_t len;

	if (!read_header(archive, start, entry, err))
		return false;
	len = entry->field[NAMESIZE];
	if (!len || len > PATH_MAX)
		return ks_fail(err, KS_ERR_INPUT, "cpio: a name of %u bytes at %zu", len, start);
	*at += HEADER;
	if (!take(archive, at, len, &name))
		return ks_fail(err, KS_ERR_INPUT, "cpio: truncated in the name at %zu", start);
	if (name.data[len - 1])
		return ks_fail(err, KS_ERR_INPUT, "cpio: a name without end at %zu", start);
	entry->name = (const char *)name.data;
	if (!take(archive, at, entry->field[FILESIZE], &entry->content))
		return ks_fail(err, KS_ERR_INPUT,
			       "cpio: truncated in the %u bytes of the file at %zu",
			       entry->field[FILESIZE], start);
	return true;
}

static const char *skip_root(const char *name)
{
	while (*name == '/' || strncmp(name, "./", 2) == 0)
		name += *name == '/' ? 1 : 2;
	return name;
}

/* --- hard links ----------------------------------------------------------------------------- */

static bool keep_link(struct walk *w, const struct entry *entry, struct ks_error *err)
{
	if (w->link_count == w->link_cap) {
		size_t cap = w->link_cap ? 2 * w->link_cap : 16;
		struct link *link = reallocarray(w->link, cap, sizeof(*link));

		if (!link)
			return ks_fail_memory(err);
		w->link = link;
		w->link_cap = cap;
	}
	w->link[w->link_count] = (struct link){
		.major = entry->field[MAJOR],
		.minor = entry->field[MINOR],
		.ino = entry->field[INO],
		.order = w->link_count,
		.path = skip_root(entry->name),
		.content = entry->content,
	};
	w->link_count++;
	return true;
}

static int compare(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

static int compare_files(const struct link *a, const struct link *b)
{
	int order = compare(a->major, b->major);

	if (!order)
		order = compare(a->minor, b->minor);
	return order ? order : compare(a->ino, b->ino);
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int order = compare_files(x, y);

	return order ? order : compare(x->order, y->order);
}

/* LINK are the COUNT names of one file.  Data that comes again is written over the former. */
static bool visit_links(const struct walk *w, const struct link *link, size_t count,
			struct ks_error *err)
{
	struct ks_view content = link[0].content;

	for (size_t i = 1; i < count; i++)
		if (link[i].content.len)
			content = link[i].content;
	for (size_t i = 0; i < count; i++)
		if (ks_codec_is_module_name(link[i].path) &&
		    !w->each(w->ctx, link[i].path, content, err))
			return false;
	return true;
}

/* What the archive in hand has of them; with the next one, numbers start anew. */
static bool end_links(struct walk *w, struct ks_error *err)
{
	size_t count = w->link_count, end;

	w->link_count = 0;
	if (count)
		qsort(w->link, count, sizeof(*w->link), compare_links);
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count; end++)
			if (compare_files(&w->link[i], &w->link[end]) != 0)
				break;
		if (!visit_links(w, &w->link[i], end - i, err))
			return false;
	}
	return true;
}

/* --- archives ------------------------------------------------------------------------------- */

static bool visit_entry(struct walk *w, const struct entry *entry, struct ks_error *err)
{
	const char *path = skip_root(entry->name);

	if (strcmp(entry->name, "TRAILER!!!") == 0)
		return end_links(w, err);
	if (!S_ISREG(entry->field[MODE]))
		return true;
	if (entry->field[NLINK] > 1)
		return keep_link(w, entry, err);
	return !ks_codec_is_module_name(path) || w->each(w->ctx, path, entry->content, err);
}

/* Archives and zeros from *AT on, which is moved to the end or to what is neither. */
static bool read_archives(struct walk *w, struct ks_view data, size_t *at, struct ks_error *err)
{
	struct entry entry = { 0 };

	while (*at < data.len && (!data.data[*at] || data.data[*at] == '0')) {
		if (!data.data[*at])
			++*at;
		else if (!read_entry(data, at, &entry, err))
			return w->container ? ks_at(err, w->container) : false;
		else if (!visit_entry(w, &entry, err))
			return false;
	}
	return end_links(w, err);
}

/* --- packed archives ------------------------------------------------------------------------ */

static bool find_codec(struct ks_view rest, const struct ks_codec **codec, struct ks_error *err)
{
	const char *name;

	*codec = ks_codec_of_image(rest, &name);
	if (*codec)
		return true;
	if (name)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "an initramfs packed with %s", name);
	return ks_fail(err, KS_ERR_INPUT, "neither a cpio archive nor packed in a known way");
}

/* A frame ends where a block's size would be zero, or where the file does, padded or not. */
static size_t lz4_len(struct ks_view rest)
{
	size_t at = 0;

	while (rest.len - at >= WORD) {
		struct ks_view block = ks_view_of(rest.data + at, rest.len - at);
		size_t size = ks_le32(block.data);

		if (!size)
			return at;
		/* Another frame may start where a block would: its magic is no size. */
		if (ks_view_starts_with(block, ks_codec_lz4.magic, ks_codec_lz4.magic_len))
			size = 0;
		if (size > block.len - WORD)
			return rest.len;
		at += WORD + size;
	}
	return at < rest.len && rest.data[at] ? rest.len : at;
}

/* How much of REST, which CODEC's magic starts, is one packed archive; all where nobody can tell. */
static size_t packed_len(const struct ks_codec *codec, struct ks_view rest)
{
	size_t len = rest.len;

	if (codec == &ks_codec_zstd) {
		len = ZSTD_findFrameCompressedSize(rest.data, rest.len);
		return ZSTD_isError(len) ? rest.len : len;
	}
	if (codec == &ks_codec_lz4)
		return lz4_len(rest);
	/* The last byte of a stream is not zero, but its padding need not be one that xz takes. */
	while (codec == &ks_codec_xz && !rest.data[len - 1])
		len--;
	return len;
}

static bool read_unpacked(struct walk *w, size_t start, struct ks_error *err)
{
	struct ks_view data;
	size_t at = 0;

	if (w->unpacked.len == start)
		return true;
	data = ks_view_of(w->unpacked.data + start, w->unpacked.len - start);
	return read_archives(w, data, &at, err) &&
	       (at == data.len ||
		ks_fail(err, KS_ERR_INPUT, "%s: cpio: no header at %zu", w->container, at));
}

/* What is packed at *AT, which is moved behind it. */
static bool read_packed(struct walk *w, struct ks_view file, size_t *at, struct ks_error *err)
{
	struct ks_view rest = ks_view_of(file.data + *at, file.len - *at);
	const size_t start = w->unpacked.len;
	const struct ks_codec *codec;

	if (!find_codec(rest, &codec, err))
		return false;
	rest.len = packed_len(codec, rest);
	*at += rest.len;
	w->container = codec->name;
	if (!ks_codec_unpack(codec, rest, w->limit, &w->unpacked, err) ||
	    !read_unpacked(w, start, err))
		return false;
	w->container = NULL;
	return true;
}

bool ks_initramfs_modules(struct ks_view file, size_t limit, ks_initramfs_each *each, void *ctx,
			  struct ks_error *err)
{
	WALK w = { .each = each, .ctx = ctx, .limit = limit };
	size_t at = 0;

	while (at < file.len)
		if (!read_archives(&w, file, &at, err) ||
		    (at < file.len && !read_packed(&w, file, &at, err)))
			return false;
	return true;
}
