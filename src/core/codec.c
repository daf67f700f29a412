/* SPDX-License-Identifier: MIT */
#include "core/codec.h"

#include <string.h>

static const struct ks_codec *const table[] = {
	&ks_codec_gzip,
	&ks_codec_xz,
	&ks_codec_zstd,
	&ks_codec_none,
};

enum {
	TABLE_LEN = sizeof(table) / sizeof(table[0]),
	SCRATCH = 1 << 17, /* what is read back goes through this */
};

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

bool ks_splice_fail(const char *codec, const char *what, struct ks_error *err)
{
	return ks_fail(err, KS_ERR_INTERNAL, "%s: what was made does not read back: %s", codec,
		       what);
}

size_t ks_codec_sink_len(const struct ks_codec_sink *sink)
{
	return sink->plain ? sink->plain->len : sink->compared;
}

static bool sink_scratch(struct ks_codec_sink *sink, struct ks_error *err)
{
	if (!ks_buf_reserve(&sink->scratch, SCRATCH, err))
		return false;
	sink->next = sink->scratch.data;
	sink->room = sink->scratch.cap;
	return true;
}

bool ks_codec_sink_ready(struct ks_codec_sink *sink, struct ks_error *err)
{
	struct ks_buf *plain = sink->plain;

	if (!plain)
		return sink_scratch(sink, err);
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

static bool sink_compare(struct ks_codec_sink *sink, size_t written, struct ks_error *err)
{
	struct ks_view expected = sink->expected;

	if (written > expected.len - sink->compared ||
	    memcmp(sink->next, expected.data + sink->compared, written) != 0)
		return ks_splice_fail(sink->codec->name, "other content", err);
	sink->compared += written;
	return true;
}

bool ks_codec_sink_took(struct ks_codec_sink *sink, size_t written, struct ks_error *err)
{
	if (!written)
		return true;
	if (!sink->plain)
		return sink_compare(sink, written, err);
	if (sink->next == &sink->spare)
		return ks_codec_fail_limit(sink->codec, sink->limit, err);
	sink->plain->len += written;
	return true;
}

bool ks_codec_unpack(const struct ks_codec *codec, struct ks_view file, size_t limit,
		     struct ks_buf *plain, struct ks_error *err)
{
	return ks_codec_unpack_seams(codec, file, limit, plain, NULL, err);
}

bool ks_codec_unpack_seams(const struct ks_codec *codec, struct ks_view file, size_t limit,
			   struct ks_buf *plain, struct ks_seams *seams, struct ks_error *err)
{
	struct ks_codec_sink sink = {
		.codec = codec, .plain = plain, .limit = limit, .seams = seams
	};

	if (seams)
		seams->count = 0;
	return codec->decode(file, &sink, err);
}

static bool holds(const struct ks_codec *codec, struct ks_view file, struct ks_view content,
		  struct ks_seams *seams, struct ks_error *err)
{
	struct ks_codec_sink sink = {
		.codec = codec, .expected = content, .limit = content.len, .seams = seams
	};
	bool ok = codec->decode(file, &sink, err);

	ks_buf_drop(&sink.scratch);
	if (!ok && err->code != KS_ERR_INTERNAL && err->code != KS_ERR_SYSTEM) {
		err->code = KS_ERR_INTERNAL;
		return ks_at(err, "what was made does not read back");
	}
	return ok &&
	       (sink.compared == content.len || ks_splice_fail(codec->name, "less content", err));
}

bool ks_codec_holds(const struct ks_codec *codec, struct ks_view file, struct ks_view content,
		    struct ks_error *err)
{
	return holds(codec, file, content, NULL, err);
}

static bool pack(const struct ks_codec *codec, struct ks_view content, struct ks_buf *file,
		 struct ks_error *err)
{
	return codec->pack(content, file, err) &&
	       ks_codec_holds(codec, ks_buf_view(file), content, err);
}

static bool reread(const struct ks_codec *codec, const struct ks_splice *splice,
		   const struct ks_buf *file, struct ks_error *err)
{
	return codec->splicer->reread ?
		       codec->splicer->reread(splice, ks_buf_view(file), err) :
		       ks_codec_holds(codec, ks_buf_view(file), splice->content, err);
}

/*
 * What stays is packed by itself, and the new end spliced on to it: the next time that one goes
 * without anything being compressed again.
 */
static bool pack_apart(const struct ks_codec *codec, const struct ks_splice *splice,
		       struct ks_buf *file, struct ks_error *err)
{
	struct ks_view front = ks_view_of(splice->content.data, splice->keep);
	struct ks_seams seams = { 0 };
	KS_BULK packed = { 0 };
	struct ks_splice end = { .seams = &seams,
				 .old_len = splice->keep,
				 .keep = splice->keep,
				 .content = splice->content };
	struct ks_written written;

	if (!codec->pack(front, &packed, err) ||
	    !holds(codec, ks_buf_view(&packed), front, &seams, err))
		return false;
	end.file = ks_buf_view(&packed);
	if (!codec->splicer->splice(&end, file, &written, err))
		return false;
	return written.way == KS_WAY_PACKED ? pack(codec, splice->content, file, err) :
					      reread(codec, &end, file, err);
}

bool ks_codec_write(const struct ks_codec *codec, const struct ks_splice *splice, bool anew,
		    struct ks_buf *file, struct ks_written *written, struct ks_error *err)
{
	*written = (struct ks_written){ .way = codec->splicer ? KS_WAY_PACKED : KS_WAY_PLAIN };
	if (!codec->splicer || anew)
		return pack(codec, splice->content, file, err);
	if (!codec->splicer->splice(splice, file, written, err))
		return false;
	if (written->way != KS_WAY_PACKED)
		return reread(codec, splice, file, err);
	return splice->keep && splice->keep < splice->content.len ?
		       pack_apart(codec, splice, file, err) :
		       pack(codec, splice->content, file, err);
}

bool ks_codec_cuts_cleanly(const struct ks_codec *codec, const struct ks_splice *splice)
{
	return !codec->splicer || codec->splicer->cuts_cleanly(splice);
}

static bool none_decode(struct ks_view file, struct ks_codec_sink *sink, struct ks_error *err)
{
	struct ks_buf *plain = sink->plain;

	if (!plain) {
		sink->next = (uint8_t *)file.data;
		return ks_codec_sink_took(sink, file.len, err);
	}
	if (plain->len > sink->limit || file.len > sink->limit - plain->len)
		return ks_codec_fail_limit(&ks_codec_none, sink->limit, err);
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
	.decode = none_decode,
	.pack = none_pack,
	.objection = none_objection,
};
