/* SPDX-License-Identifier: MIT */
/*
 * What the targets fuzz_splice_* share.  In front of the container stand SPLICE_FRONT bytes: three
 * say how many bytes of content go (lowest first, modulo what there are), one what comes instead.
 */
#ifndef KS_TESTS_FUZZ_SPLICE_H
#define KS_TESTS_FUZZ_SPLICE_H

#include <string.h>

#include "core/codec.h"
#include "fuzz.h"

enum { SPLICE_FRONT = 4, SPLICE_LIMIT = 1 << 20 };

/* A container that unpack took. */
struct splice_old {
	const struct ks_codec *codec;
	struct ks_view file;
	struct ks_buf plain;
	struct ks_seams seams;
};

static inline void splice_fill(struct ks_buf *content, size_t len, unsigned int kind)
{
	static const char text[] = "signed ";
	uint32_t state = 0x2545f491u + (uint32_t)len;
	struct ks_error err;

	MUST(ks_buf_reserve(content, content->len + len, &err));
	for (; len; len--) {
		size_t at = content->len++;

		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		content->data[at] = kind == 0 ? 0 :
				    kind == 1 ? (uint8_t)(state >> 11) :
				    kind == 2 ? (uint8_t)text[at % 7] :
				    at >= 600 ? content->data[at - 600] :
						(uint8_t)at;
	}
}

/* The first KEEP bytes of PLAIN, and a new end as HOW says. */
static inline void splice_want(struct ks_view plain, size_t keep, unsigned int how,
			       struct ks_buf *content)
{
	static const size_t lens[16] = { 0,    1,    2,	   100,	  255,	 700,	1023,	1024,
					 1025, 4096, 5000, 65535, 65536, 70000, 131072, 131073 };
	struct ks_error err;

	MUST(ks_buf_append(content, plain.data, keep, &err));
	splice_fill(content, lens[how % 16], how / 16 % 4);
}

/* The container's reader refuses what is not the content that was meant. */
static inline void splice_doubt(const struct ks_splice *splice, const struct ks_codec *codec,
				struct ks_view out)
{
	struct ks_splice other = *splice;
	struct ks_error err = { 0 };
	KS_BULK wrong = { 0 };

	if (splice->content.len == splice->keep)
		return;
	MUST(ks_buf_append(&wrong, splice->content.data, splice->content.len, &err));
	wrong.data[splice->keep + (wrong.len - splice->keep) / 2] ^= 1;
	other.content = ks_buf_view(&wrong);
	MUST(!ks_codec_holds(codec, out, other.content, &err) && err.code == KS_ERR_INTERNAL);
	if (codec->splicer->reread)
		MUST(!codec->splicer->reread(&other, out, &err) && err.code == KS_ERR_INTERNAL);
}

/* What was made, behind FRONT bytes of OUT, is what was meant, and a kernel takes it. */
static inline void splice_check(const struct ks_splice *splice, const struct ks_codec *codec,
				const struct ks_written *written, struct ks_view out)
{
	const struct ks_objection *objection = codec->objection(out);
	struct ks_error err = { 0 };

	MUST(written->way == KS_WAY_SPLICED || written->way == KS_WAY_MENDED);
	MUST((written->way == KS_WAY_MENDED) == !!written->why);
	if (!ks_codec_holds(codec, out, splice->content, &err))
		fuzz_broken(err.text, __FILE__, __LINE__);
	if (codec->splicer->reread && !codec->splicer->reread(splice, out, &err))
		fuzz_broken(err.text, __FILE__, __LINE__);
	/* A filter that only some kernels know is as good as it was. */
	MUST(!ks_objection_is_weighty(objection) || objection->reading == KS_READS_MAYBE);
	splice_doubt(splice, codec, out);
}

/* Splices twice, into buffers of different kinds; false where that is not to be had. */
static inline bool splice_make(const struct ks_splice *splice, const struct ks_codec *codec,
			       struct ks_buf *out)
{
	struct ks_written written = { 0 }, again = { 0 };
	struct ks_error err = { 0 };
	KS_BULK same = { 0 };
	bool clean = codec->splicer->cuts_cleanly(splice);

	MUST(ks_buf_append(&same, "front", 5, &err));
	MUST(codec->splicer->splice(splice, out, &written, &err));
	MUST(codec->splicer->splice(splice, &same, &again, &err));
	MUST(written.way == again.way && written.why == again.why);
	MUST(same.len == out->len + 5 && memcmp(same.data, "front", 5) == 0);
	MUST(ks_view_equal(ks_view_of(same.data + 5, out->len), ks_buf_view(out)));
	if (written.way != KS_WAY_PACKED) {
		splice_check(splice, codec, &written, ks_buf_view(out));
		return true;
	}
	MUST(written.why && *written.why);
	MUST(!out->len && !clean);
	return false;
}

static inline bool splice_unpack(struct splice_old *old, struct ks_view file, size_t limit)
{
	struct ks_error err = { 0 };

	old->file = file;
	return ks_codec_unpack_seams(old->codec, file, limit, &old->plain, &old->seams, &err);
}

/* As ks_codec_write() does: OLD's first KEEP bytes, and a new end as HOW says. */
static inline bool splice_one(const struct splice_old *old, size_t keep, unsigned int how,
			      struct ks_buf *out)
{
	struct ks_splice splice = {
		.file = old->file,
		.seams = &old->seams,
		.old_len = old->plain.len,
		.keep = keep,
	};
	KS_BULK content = { 0 };

	splice_want(ks_buf_view(&old->plain), keep, how, &content);
	splice.content = ks_buf_view(&content);
	return splice_make(&splice, old->codec, out);
}

/* What was spliced is fit to be spliced: the end that came goes, and another one comes. */
static inline void splice_again(const struct ks_codec *codec, struct ks_view file, size_t keep,
				unsigned int how)
{
	struct splice_old old = { .codec = codec };
	KS_BULK out = { 0 };

	MUST(splice_unpack(&old, file, 2 * SPLICE_LIMIT) && keep <= old.plain.len);
	MUST(splice_one(&old, keep, how, &out));
	ks_buf_drop(&old.plain);
}

/* One input; true where it was a container, and could be spliced. */
static bool fuzz_splice(const struct ks_codec *codec, const uint8_t *data, size_t size)
{
	struct splice_old old = { .codec = codec };
	KS_BULK out = { 0 };
	size_t keep;
	bool spliced;

	if (size < SPLICE_FRONT)
		return false;
	spliced = splice_unpack(&old, fuzz_view(data + SPLICE_FRONT, size - SPLICE_FRONT),
				SPLICE_LIMIT);
	if (spliced) {
		keep = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
		keep = old.plain.len - keep % (old.plain.len + 1);
		spliced = splice_one(&old, keep, data[3], &out);
		if (spliced)
			splice_again(codec, ks_buf_view(&out), keep, data[3] + 0x15u);
	}
	ks_buf_drop(&old.plain);
	return spliced;
}

#endif
