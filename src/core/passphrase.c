/* SPDX-License-Identifier: MIT */
#include "core/passphrase.h"

#include <string.h>

static int answer(char *buf, int size, int writing, void *data)
{
	struct ks_asking *asking = data;
	const char *text, *source;
	size_t len;

	(void)writing;
	if (asking->asked++ && (asking->once || !asking->source))
		return -1;
	if (!asking->from) {
		ks_fail(&asking->err, KS_ERR_KEY, "there is no passphrase");
		return -1;
	}
	if (!asking->from->get(asking->from->ctx, &text, &source, &asking->err))
		return -1;
	asking->source = source;
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
