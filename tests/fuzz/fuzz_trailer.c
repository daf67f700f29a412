/* SPDX-License-Identifier: MIT */
/* Trailers: any bytes are a file; the same bytes cut in two are an image and a message. */
#include <string.h>

#include "core/module.h"
#include "fuzz.h"

bool fuzz_accepted; /* a whole trailer */

enum { BLOCK = 12, MARKER = 28 };

static bool is_inside(struct ks_view part, struct ks_view whole)
{
	return part.data >= whole.data && part.len <= whole.len &&
	       (size_t)(part.data - whole.data) <= whole.len - part.len;
}

/*
 * What kernel/module/signing.c and kernel/module_signature.c of Linux make of FILE, and of a
 * message of no bytes, which is none.  Written apart from the library, to be compared with it.
 */
static enum ks_trailer_kind kernel_says(struct ks_view file)
{
	static const char marker[] = "~Module signature appended~\n";
	const uint8_t zero[3] = { 0 };
	const uint8_t *block;
	size_t left, message;

	if (file.len < MARKER || memcmp(file.data + file.len - MARKER, marker, MARKER) != 0)
		return KS_TRAILER_NONE;
	left = file.len - MARKER;
	if (left <= BLOCK)
		return KS_TRAILER_MALFORMED;
	block = file.data + left - BLOCK;
	message = (size_t)block[8] << 24 | (size_t)block[9] << 16 | (size_t)block[10] << 8 |
		  block[11];
	if (block[0] || block[1] || block[2] != 2 || block[3] || block[4] ||
	    memcmp(block + 5, zero, 3) != 0 || !message || message >= left - BLOCK)
		return KS_TRAILER_MALFORMED;
	return KS_TRAILER_WHOLE;
}

/* There is one way only to write a trailer that the kernel takes. */
static void check_rebuilt(struct ks_view file, const struct ks_trailer *t)
{
	KS_BULK rebuilt = { 0 };
	struct ks_error err;

	MUST(ks_buf_append(&rebuilt, t->image.data, t->image.len, &err) &&
	     ks_trailer_append(&rebuilt, t->message, &err));
	MUST(ks_view_equal(ks_buf_view(&rebuilt), file));
}

static enum ks_trailer_kind check_parse(struct ks_view file, struct ks_trailer *t)
{
	*t = ks_trailer_parse(file);
	MUST(t->kind == kernel_says(file));
	MUST((t->kind == KS_TRAILER_MALFORMED) == (t->fault && *t->fault));
	if (t->kind == KS_TRAILER_WHOLE) {
		MUST(is_inside(t->image, file) && is_inside(t->message, file));
		MUST(t->image.data == file.data && t->image.len && t->message.len);
		MUST(t->message.data == t->image.data + t->image.len);
		check_rebuilt(file, t);
	} else {
		MUST(t->image.data == file.data && t->image.len == file.len);
	}
	return t->kind;
}

/* Signatures beneath signatures: each costs a trailer's bytes, so this comes to an end. */
static void check_pile(struct ks_view file)
{
	size_t most = file.len / (BLOCK + MARKER + 1);
	struct ks_trailer t;

	for (size_t i = 0; check_parse(file, &t) == KS_TRAILER_WHOLE; i++) {
		MUST(i < most);
		file = t.image;
	}
}

/* The loop that the program has; it leaves alone what is no message. */
static void check_unsign(struct ks_view file)
{
	KS_MODULE m = KS_MODULE_NONE;
	struct ks_error err;
	size_t removed, end = file.len / 2;
	bool ok;

	MUST(ks_buf_append(&m.content, file.data, file.len, &err));
	m.image_end = end;
	ok = ks_module_unsign(&m, &removed, &err);
	MUST(m.content.len <= file.len && (m.content.len >= end));
	MUST(ks_view_equal(ks_buf_view(&m.content), ks_view_of(file.data, m.content.len)));
	MUST((removed == 0) == (m.content.len == file.len));
	MUST(ok == (ks_module_trailer(&m).kind == KS_TRAILER_NONE));
}

static void check_append(struct ks_view image, struct ks_view message)
{
	KS_BULK file = { 0 };
	struct ks_error err;
	struct ks_trailer t;

	MUST(ks_buf_append(&file, image.data, image.len, &err) &&
	     ks_trailer_append(&file, message, &err));
	MUST(file.len == image.len + message.len + BLOCK + MARKER);
	if (!image.len || !message.len) {
		MUST(check_parse(ks_buf_view(&file), &t) == KS_TRAILER_MALFORMED);
		return;
	}
	MUST(check_parse(ks_buf_view(&file), &t) == KS_TRAILER_WHOLE);
	MUST(ks_view_equal(t.image, image) && ks_view_equal(t.message, message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view file = fuzz_view(data, size);
	size_t cut = size ? data[0] * size / UINT8_MAX : 0;
	struct ks_trailer t;

	fuzz_accepted = check_parse(file, &t) == KS_TRAILER_WHOLE;
	check_pile(file);
	check_unsign(file);
	check_append(fuzz_view(data, cut), fuzz_view(data + cut, size - cut));
	return 0;
}
