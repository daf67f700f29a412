/* SPDX-License-Identifier: MIT */
/* Bytes: a ks_buf owns them, a ks_view borrows them. */
#ifndef KS_BASE_BUF_H
#define KS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct ks_view {
	const uint8_t *data;
	size_t len; /* bytes */
};

struct ks_buf {
	uint8_t *data; /* NULL as long as nothing was reserved */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
};

/* Freed when the scope ends; start it as KS_BUF name = {0}. */
#define KS_BUF __attribute__((cleanup(ks_buf_free))) struct ks_buf

/* The same for bytes that are certainly no secret and may be many: not wiped. */
#define KS_BULK __attribute__((cleanup(ks_buf_drop))) struct ks_buf

/* Room for at least CAP bytes in all; len stays. */
KS_MUST_CHECK bool ks_buf_reserve(struct ks_buf *buf, size_t cap, struct ks_error *err);

/* Room for at least one more byte, growing geometrically, never past LIMIT bytes in all. */
KS_MUST_CHECK bool ks_buf_grow(struct ks_buf *buf, size_t limit, struct ks_error *err);

KS_MUST_CHECK bool ks_buf_append(struct ks_buf *buf, const void *data, size_t len,
				 struct ks_error *err);

/* Wipes and frees what the buffer owns and leaves it empty, fit to be used again. */
void ks_buf_free(struct ks_buf *buf);

/* The same without wiping. */
void ks_buf_drop(struct ks_buf *buf);

static inline struct ks_view ks_buf_view(const struct ks_buf *buf)
{
	return (struct ks_view){ buf->data, buf->len };
}

static inline struct ks_view ks_view_of(const void *data, size_t len)
{
	return (struct ks_view){ data, len };
}

bool ks_view_equal(struct ks_view a, struct ks_view b);
bool ks_view_starts_with(struct ks_view view, const void *data, size_t len);

#endif
