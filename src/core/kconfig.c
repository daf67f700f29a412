/* SPDX-License-Identifier: MIT */
#include "core/kconfig.h"

#include <stdlib.h>
#include <string.h>

static struct ks_view take_line(struct ks_view *rest)
{
	const uint8_t *end = memchr(rest->data, '\n', rest->len);
	struct ks_view line = { rest->data, end ? (size_t)(end - rest->data) : rest->len };
	size_t used = line.len + (end ? 1 : 0);

	rest->data += used;
	rest->len -= used;
	return line;
}

static char *unquoted(struct ks_view value)
{
	char *text;
	size_t len = 0;

	if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"')
		return strndup((const char *)value.data, value.len);
	text = malloc(value.len);
	if (!text)
		return NULL;
	for (size_t i = 1; i < value.len - 1; i++) {
		if (value.data[i] == '\\' && i + 1 < value.len - 1)
			i++;
		text[len++] = (char)value.data[i];
	}
	text[len] = '\0';
	return text;
}

bool ks_kconfig_get(struct ks_view config, const char *symbol, char **value, struct ks_error *err)
{
	size_t len = strlen(symbol);
	struct ks_view found = { NULL, 0 };

	*value = NULL;
	while (config.len) {
		struct ks_view line = take_line(&config);

		if (line.len && line.data[line.len - 1] == '\r')
			line.len--;
		if (line.len > len && line.data[len] == '=' && memcmp(line.data, symbol, len) == 0)
			found = ks_view_of(line.data + len + 1, line.len - len - 1);
	}
	if (!found.data)
		return true;
	*value = unquoted(found);
	return *value ? true : ks_fail_memory(err);
}
