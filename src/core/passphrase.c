/* SPDX-License-Identifier: MIT */
#include "core/passphrase.h"

#include <openssl/crypto.h>
#include <string.h>

static bool get(struct ks_asking *asking, const char **text)
{
	if (asking->asked++ && (asking->once || !asking->source))
		return false;
	if (!asking->from)
		return ks_fail(&asking->err, KS_ERR_KEY, "there is no passphrase");
	return asking->from->get(asking->from->ctx, text, &asking->source, &asking->err);
}

static int answer(char *buf, int size, int writing, void *data)
{
	struct ks_asking *asking = data;
	const char *text;
	size_t len;

	(void)writing;
	if (!get(asking, &text))
		return asking->soft ? 0 : -1;
	len = strlen(text);
	if (len > (size_t)size)
		return -1;
	memcpy(buf, text, len);
	return (int)len;
}

bool ks_passphrase_keep(const char *text, size_t len, char **kept, struct ks_error *err)
{
	*kept = OPENSSL_secure_malloc(len + 1);
	if (!*kept)
		return ks_fail_memory(err);
	memcpy(*kept, text, len);
	(*kept)[len] = '\0';
	return true;
}

void ks_passphrase_free(char **kept)
{
	if (*kept)
		OPENSSL_secure_clear_free(*kept, strlen(*kept) + 1);
	*kept = NULL;
}

bool ks_passphrase_line(const struct ks_buf *bytes, const char *source, char **kept,
			struct ks_error *err)
{
	const uint8_t *end = memchr(bytes->data, '\n', bytes->len);
	size_t len = end ? (size_t)(end - bytes->data) : bytes->len;

	if (memchr(bytes->data, '\0', len))
		return ks_fail(err, KS_ERR_INPUT, "%s: a NUL byte in the passphrase", source);
	return ks_passphrase_keep((const char *)bytes->data, len, kept, err);
}

UI_METHOD *ks_asking_method(void)
{
	return UI_UTIL_wrap_read_pem_callback(answer, 0);
}
