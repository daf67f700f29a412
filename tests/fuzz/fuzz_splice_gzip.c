/* SPDX-License-Identifier: MIT */
/*
 * Gzip members with another end: see splice.h.  Besides that, what the reader of spliced members
 * takes is good, however it was damaged, and what is put behind a member goes without a trace.
 */
#include "splice.h"

bool fuzz_accepted; /* a member, and it could be spliced */

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Damage anywhere, and most of it where something is new. */
static void damage(struct ks_buf *out, uint32_t *state)
{
	uint32_t kind = next_random(state) % 8;
	size_t near = out->len < 900 ? out->len : 900;
	size_t at =
		kind & 1 ? next_random(state) % out->len : out->len - 1 - next_random(state) % near;

	if (kind < 6)
		out->data[at] ^= (uint8_t)(1u << next_random(state) % 8);
	else if (kind == 6)
		out->len -= 1 + next_random(state) % near;
	else
		out->data[at] = (uint8_t)next_random(state);
}

static void check_reader(const struct ks_splice *splice, const struct ks_buf *made, uint32_t state)
{
	struct ks_error err = { 0 };

	for (int i = 0; i < 16; i++) {
		KS_BULK out = { 0 };

		MUST(ks_buf_append(&out, made->data, made->len, &err));
		damage(&out, &state);
		if (!ks_splicer_gzip.reread(splice, ks_buf_view(&out), &err)) {
			MUST(err.code == KS_ERR_INTERNAL);
			continue;
		}
		MUST(ks_codec_holds(&ks_codec_gzip, ks_buf_view(&out), splice->content, &err));
		MUST(!ks_codec_gzip.objection(ks_buf_view(&out)));
	}
}

static struct ks_splice splice_for(const struct splice_old *old, size_t keep, unsigned int how,
				   struct ks_buf *content, struct ks_buf *out)
{
	struct ks_written written = { 0 };
	struct ks_error err = { 0 };
	struct ks_splice splice = {
		.file = old->file,
		.seams = &old->seams,
		.old_len = old->plain.len,
		.keep = keep,
	};

	splice_want(ks_buf_view(&old->plain), keep, how, content);
	splice.content = ks_buf_view(content);
	MUST(ks_splicer_gzip.splice(&splice, out, &written, &err));
	MUST(written.way != KS_WAY_PACKED);
	return splice;
}

/* OLD with an end and without it again is OLD, but for what was mended. */
static void check_there_and_back(const struct splice_old *old, unsigned int how)
{
	struct splice_old made = { .codec = &ks_codec_gzip };
	size_t len = old->plain.len;
	KS_BULK content = { 0 }, same = { 0 }, less = { 0 };
	KS_BULK mended = { 0 }, there = { 0 }, back = { 0 };

	splice_for(old, len, 0, &same, &mended);
	splice_for(old, len, how, &content, &there);
	MUST(splice_unpack(&made, ks_buf_view(&there), 2 * SPLICE_LIMIT));
	splice_for(&made, len, 0, &less, &back);
	MUST(ks_view_equal(ks_buf_view(&back), ks_buf_view(&mended)));
	ks_buf_drop(&made.plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct splice_old old = { .codec = &ks_codec_gzip };
	KS_BULK content = { 0 }, out = { 0 };
	struct ks_splice splice;

	fuzz_accepted = fuzz_splice(&ks_codec_gzip, data, size);
	if (!fuzz_accepted)
		return 0;
	MUST(splice_unpack(&old, fuzz_view(data + SPLICE_FRONT, size - SPLICE_FRONT),
			   SPLICE_LIMIT));
	splice = splice_for(&old, old.plain.len - data[1] % (old.plain.len + 1), data[3], &content,
			    &out);
	check_reader(&splice, &out, 0x1234567u + data[0]);
	check_there_and_back(&old, data[3]);
	ks_buf_drop(&old.plain);
	return 0;
}
