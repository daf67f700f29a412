/* SPDX-License-Identifier: MIT */
#include "core/passphrase.h"

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

UI_METHOD *ks_asking_method(void)
{
	return UI_UTIL_wrap_read_pem_callback(answer, 0);
}
