/* SPDX-License-Identifier: MIT */
/* Containers: the first byte says which one the rest is read as. */
#include <string.h>

#include "core/codec.h"
#include "fuzz.h"

bool fuzz_accepted; /* unpacked */

enum {
	LIMIT = 1 << 20,
	PACKABLE = 16 << 10, /* xz takes long */
	BY_MAGIC = 0,
	CHOICES = 5,
};

static const char front[] = "what was there";

static bool unpack(const struct ks_codec *codec, struct ks_view file, size_t limit,
		   struct ks_buf *plain)
{
	struct ks_error err = { 0 };

	if (ks_codec_unpack(codec, file, limit, plain, &err))
		return true;
	MUST(err.code == KS_ERR_INPUT || err.code == KS_ERR_UNSUPPORTED);
	MUST(strncmp(err.text, codec->name, strlen(codec->name)) == 0);
	MUST(strlen(err.text) > strlen(codec->name) + 2);
	return false;
}

/* The content fits into exactly as many bytes as it has. */
static void check_limit(const struct ks_codec *codec, struct ks_view file, struct ks_view plain)
{
	KS_BULK exact = { 0 };
	KS_BULK tight = { 0 };

	MUST(unpack(codec, file, plain.len, &exact));
	MUST(ks_view_equal(ks_buf_view(&exact), plain));
	if (plain.len)
		MUST(!unpack(codec, file, plain.len - 1, &tight) && tight.len < plain.len);
}

/* Content is put behind what the buffer holds, and what it holds counts. */
static void check_append(const struct ks_codec *codec, struct ks_view file, struct ks_view plain)
{
	const size_t len = sizeof(front);
	KS_BULK both = { 0 };
	struct ks_error err;

	MUST(ks_buf_append(&both, front, len, &err));
	MUST(unpack(codec, file, len + plain.len, &both));
	MUST(both.len == len + plain.len && memcmp(both.data, front, len) == 0);
	MUST(ks_view_equal(ks_view_of(both.data + len, plain.len), plain));
}

/* What we write we read, a kernel has nothing to object to, and it is the same each time. */
static void check_pack(const struct ks_codec *codec, struct ks_view plain)
{
	KS_BULK file = { 0 };
	KS_BULK same = { 0 };
	KS_BULK back = { 0 };
	struct ks_error err;

	MUST(codec->pack(plain, &file, &err) && codec->pack(plain, &same, &err));
	MUST(ks_view_equal(ks_buf_view(&file), ks_buf_view(&same)));
	MUST(!codec->magic_len || ks_codec_by_magic(ks_buf_view(&file)) == codec);
	MUST(unpack(codec, ks_buf_view(&file), plain.len, &back));
	MUST(ks_view_equal(ks_buf_view(&back), plain));
	MUST(!codec->objection(ks_buf_view(&file)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ks_codec *const codecs[CHOICES] = {
		NULL, &ks_codec_gzip, &ks_codec_xz, &ks_codec_zstd, &ks_codec_none,
	};
	struct ks_view file = fuzz_view(data, size);
	unsigned int choice = fuzz_select(&file, CHOICES);
	const struct ks_codec *codec =
		choice == BY_MAGIC ? ks_codec_by_magic(file) : codecs[choice];
	const struct ks_objection *objection = codec->objection(file);
	KS_BULK plain = { 0 };

	MUST(!objection || *objection->text);
	fuzz_accepted = unpack(codec, file, LIMIT, &plain);
	MUST(plain.len <= LIMIT);
	if (!fuzz_accepted)
		return 0;
	MUST(codec == &ks_codec_none || ks_codec_by_magic(file) == codec ||
	     codec == &ks_codec_zstd);
	check_limit(codec, file, ks_buf_view(&plain));
	check_append(codec, file, ks_buf_view(&plain));
	if (plain.len <= PACKABLE)
		check_pack(codec, ks_buf_view(&plain));
	return 0;
}
