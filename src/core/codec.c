/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <string.h>

static const struct ks_codec *const table[] = {
	&ks_codec_gzip,
	&ks_codec_xz,
	&ks_codec_zstd,
	&ks_codec_none,
};

enum { TABLE_LEN = sizeof(table) / sizeof(table[0]) };

const struct ks_codec *ks_codec_of_image(struct ks_view file, const char **name)
{
	static const struct ks_codec *const codecs[] = { &ks_codec_gzip, &ks_codec_xz,
							 &ks_codec_zstd, &ks_codec_lz4,
							 &ks_codec_lzma };

	*name = NULL;
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (ks_view_starts_with(file, codecs[i]->magic, codecs[i]->magic_len))
			return codecs[i];
	if (ks_view_starts_with(file, "BZh", 3))
		*name = "bzip2";
	else if (ks_view_starts_with(file, "\x89LZO", 4))
		*name = "lzo";
	return NULL;
}

const struct ks_codec *ks_codec_by_magic(struct ks_view file)
{
	for (size_t i = 0; i < TABLE_LEN; i++) {
		if (table[i]->magic_len &&
		    ks_view_starts_with(file, table[i]->magic, table[i]->magic_len))
			return table[i];
	}
	return &ks_codec_none;
}

/* Whether the first *LEN bytes of NAME end in TAIL; if so, *LEN no longer counts it. */
static bool cut_tail(const char *name, size_t *len, const char *tail)
{
	size_t n = strlen(tail);

	if (*len < n || memcmp(name + *len - n, tail, n) != 0)
		return false;
	*len -= n;
	return true;
}

const struct ks_codec *ks_codec_by_name(const char *name)
{
	for (size_t i = 0; i < TABLE_LEN; i++) {
		size_t len = strlen(name);

		if (cut_tail(name, &len, table[i]->suffix) && cut_tail(name, &len, ".ko"))
			return table[i];
	}
	return NULL;
}

bool ks_codec_is_module_name(const char *name)
{
	return ks_codec_by_name(name) != NULL;
}

size_t ks_codec_plain_name_len(const char *name)
{
	const struct ks_codec *codec = ks_codec_by_name(name);

	return strlen(name) - (codec ? strlen(codec->suffix) : 0);
}

bool ks_codec_fail_limit(const struct ks_codec *codec, size_t limit, struct ks_error *err)
{
	return ks_fail(err, KS_ERR_INPUT,
		       "%s: content larger than the limit of %zu bytes (--max-size)", codec->name,
		       limit);
}

bool ks_codec_sink_ready(struct ks_codec_sink *sink, struct ks_error *err)
{
	struct ks_buf *plain = sink->plain;

	/*
	 * Content of exactly LIMIT bytes is fine, but a decoder says that it is done, and looks
	 * at the checksum, only while it has somewhere to write to.
	 */
	if (plain->len >= sink->limit) {
		sink->next = &sink->spare;
		sink->room = 1;
		return true;
	}
	if (!ks_buf_grow(plain, sink->limit, err))
		return false;
	/* The buffer may have come with more room than LIMIT allows. */
	sink->next = plain->data + plain->len;
	sink->room = (plain->cap < sink->limit ? plain->cap : sink->limit) - plain->len;
	return true;
}

bool ks_codec_sink_took(struct ks_codec_sink *sink, size_t written, struct ks_error *err)
{
	if (!written)
		return true;
	if (sink->next == &sink->spare)
		return ks_codec_fail_limit(sink->codec, sink->limit, err);
	sink->plain->len += written;
	return true;
}

static bool none_unpack(struct ks_view file, size_t limit, struct ks_buf *plain,
			struct ks_error *err)
{
	if (plain->len > limit || file.len > limit - plain->len)
		return ks_codec_fail_limit(&ks_codec_none, limit, err);
	return ks_buf_append(plain, file.data, file.len, err);
}

static bool none_pack(struct ks_view plain, struct ks_buf *file, struct ks_error *err)
{
	return ks_buf_append(file, plain.data, plain.len, err);
}

/* The kernel takes a plain module by another way, without this reader. */
static const struct ks_objection *none_objection(struct ks_view file)
{
	(void)file;
	return NULL;
}

const struct ks_codec ks_codec_none = {
	.name = "none",
	.suffix = "",
	.magic = "",
	.magic_len = 0,
	.unpack = none_unpack,
	.pack = none_pack,
	.objection = none_objection,
};
