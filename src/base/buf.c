/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

bool ks_buf_reserve(struct ks_buf *buf, size_t cap, struct ks_error *err)
{
	uint8_t *data;

	if (cap <= buf->cap)
		return true;
	data = realloc(buf->data, cap);
	if (!data)
		return ks_fail_memory(err);
	buf->data = data;
	buf->cap = cap;
	return true;
}

bool ks_buf_grow(struct ks_buf *buf, size_t limit, struct ks_error *err)
{
	size_t cap = buf->cap < 65536 ? 65536 : buf->cap + buf->cap / 2;

	if (buf->len < buf->cap)
		return true;
	if (cap > limit)
		cap = limit;
	if (cap <= buf->len)
		return ks_fail(err, KS_ERR_INPUT, "larger than the limit of %zu bytes (--max-size)",
			       limit);
	return ks_buf_reserve(buf, cap, err);
}

bool ks_buf_append(struct ks_buf *buf, const void *data, size_t len, struct ks_error *err)
{
	if (len > SIZE_MAX - buf->len)
		return ks_fail_memory(err);
	if (!ks_buf_reserve(buf, buf->len + len, err))
		return false;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return true;
}

void ks_buf_free(struct ks_buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	ks_buf_drop(buf);
}

void ks_buf_drop(struct ks_buf *buf)
{
	free(buf->data);
	*buf = (struct ks_buf){ 0 };
}

bool ks_view_equal(struct ks_view a, struct ks_view b)
{
	return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

bool ks_view_starts_with(struct ks_view view, const void *data, size_t len)
{
	return view.len >= len && (!len || memcmp(view.data, data, len) == 0);
}
