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

/* A line that sets SYMBOL, without its end. */
static bool sets(struct ks_view line, const char *symbol)
{
	size_t len = strlen(symbol);

	return line.len > len && line.data[len] == '=' && memcmp(line.data, symbol, len) == 0;
}

static bool unsets(struct ks_view line, const char *symbol)
{
	size_t len = strlen(symbol);

	return line.len == len + strlen("#  is not set") && memcmp(line.data, "# ", 2) == 0 &&
	       memcmp(line.data + 2, symbol, len) == 0 &&
	       memcmp(line.data + 2 + len, " is not set", strlen(" is not set")) == 0;
}

static struct ks_view without_return(struct ks_view line)
{
	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool says(struct ks_view line, const char *symbol)
{
	return sets(line, symbol) || unsets(line, symbol);
}

/* The last line for which TEST holds; its data is NULL where there is none. */
static struct ks_view find_line(struct ks_view config, const char *symbol,
				bool (*test)(struct ks_view line, const char *symbol))
{
	struct ks_view found = { NULL, 0 };

	while (config.len) {
		struct ks_view line = without_return(take_line(&config));

		if (test(line, symbol))
			found = line;
	}
	return found;
}

bool ks_kconfig_get(struct ks_view config, const char *symbol, char **value, struct ks_error *err)
{
	struct ks_view line = find_line(config, symbol, says);
	size_t name = strlen(symbol) + 1;

	*value = NULL;
	if (!line.data || unsets(line, symbol))
		return true;
	*value = unquoted(ks_view_of(line.data + name, line.len - name));
	return *value ? true : ks_fail_memory(err);
}

static bool append_quoted(struct ks_buf *out, const char *value, struct ks_error *err)
{
	if (!ks_buf_append(out, "\"", 1, err))
		return false;
	for (; *value; value++) {
		if (*value == '\n')
			return ks_fail(err, KS_ERR_INPUT,
				       "a newline cannot stand in a kernel config");
		if ((*value == '"' || *value == '\\') && !ks_buf_append(out, "\\", 1, err))
			return false;
		if (!ks_buf_append(out, value, 1, err))
			return false;
	}
	return ks_buf_append(out, "\"", 1, err);
}

static bool make_line(struct ks_buf *line, const char *symbol, const char *value,
		      struct ks_error *err)
{
	return ks_buf_append(line, symbol, strlen(symbol), err) &&
	       ks_buf_append(line, "=", 1, err) && append_quoted(line, value, err);
}

/* OLD is a part of CONFIG; LINE comes in its place. */
static bool exchange(struct ks_view config, struct ks_view old, struct ks_view line,
		     struct ks_buf *out, struct ks_error *err)
{
	const uint8_t *rest = old.data + old.len;

	return ks_buf_append(out, config.data, (size_t)(old.data - config.data), err) &&
	       ks_buf_append(out, line.data, line.len, err) &&
	       ks_buf_append(out, rest, config.len - (size_t)(rest - config.data), err);
}

/* Behind BEFORE, a part of CONFIG, or at the end; either may lack its newline. */
static bool insert(struct ks_view config, struct ks_view before, struct ks_view line,
		   struct ks_buf *out, struct ks_error *err)
{
	size_t at = before.data ? (size_t)(before.data + before.len - config.data) : config.len;

	while (at < config.len && config.data[at] != '\n')
		at++;
	if (at < config.len)
		at++;
	return ks_buf_append(out, config.data, at, err) &&
	       (!at || config.data[at - 1] == '\n' || ks_buf_append(out, "\n", 1, err)) &&
	       ks_buf_append(out, line.data, line.len, err) && ks_buf_append(out, "\n", 1, err) &&
	       (at == config.len || ks_buf_append(out, config.data + at, config.len - at, err));
}

bool ks_kconfig_set_string(struct ks_view config, const char *symbol, const char *value,
			   const char *after, struct ks_buf *out, bool *changed,
			   struct ks_error *err)
{
	struct ks_view old = find_line(config, symbol, says);
	KS_BUF line = { 0 };

	if (!make_line(&line, symbol, value, err))
		return false;
	*changed = !old.data || !ks_view_equal(old, ks_buf_view(&line));
	if (!*changed)
		return true;
	if (old.data)
		return exchange(config, old, ks_buf_view(&line), out, err);
	return insert(config, find_line(config, after, sets), ks_buf_view(&line), out, err);
}
