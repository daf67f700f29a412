/* SPDX-License-Identifier: MIT */
/* Kernel configs. */
#include <string.h>

#include "base/strings.h"
#include "core/kconfig.h"
#include "fuzz.h"

bool fuzz_accepted; /* sets SYMBOL */

#define OTHER "CONFIG_MODULE_SIG"
#define SYMBOL "CONFIG_MODULE_SIG_HASH"
#define LINE SYMBOL "=\"sha\\\"512\"\n" /* a quoted quote in the value */
#define VALUE "sha\"512"

static char *get(struct ks_view config, const char *symbol)
{
	struct ks_error err;
	char *value = NULL;

	MUST(ks_kconfig_get(config, symbol, &value, &err));
	return value;
}

/* A value is on one line of the file, behind the symbol. */
static void check_value(struct ks_view config, const char *symbol)
{
	KS_STRING value = get(config, symbol);

	if (!value)
		return;
	MUST(!strchr(value, '\n') && strlen(value) + strlen(symbol) < config.len);
	MUST(memmem(config.data, config.len, symbol, strlen(symbol)));
}

/* Whatever stands before it, the last line counts; BETWEEN ends the line before. */
static void check_last_line(struct ks_view config, const char *between, bool counts)
{
	KS_BULK whole = { 0 };
	KS_STRING before = get(config, SYMBOL);
	KS_STRING value = NULL;
	struct ks_error err;

	MUST(ks_buf_append(&whole, config.data, config.len, &err) &&
	     ks_buf_append(&whole, between, strlen(between), &err) &&
	     ks_buf_append(&whole, LINE, strlen(LINE), &err));
	value = get(ks_buf_view(&whole), SYMBOL);
	if (counts)
		MUST(value && strcmp(value, VALUE) == 0);
	else
		MUST(!before == !value && (!value || strcmp(value, before) == 0));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What OLD and NEW have in common at front and back is all of OLD but a part of one line. */
static void check_one_line(struct ks_view old, struct ks_view new)
{
	size_t front = 0, back = 0;

	while (front < old.len && front < new.len &&old.data[front] == new.data[front])
		front++;
	while (back < old.len - front && back < new.len - front &&old.data[old.len - 1 - back] ==
						 new.data[new.len - 1 - back])
		back++;
	MUST(front + back == old.len || !memchr(old.data + front, '\n', old.len - front - back));
}

static void check_set(struct ks_view config, const char *value, const char *after)
{
	KS_STRING other = get(config, OTHER);
	KS_STRING other_then = NULL;
	KS_STRING read = NULL;
	KS_BULK out = { 0 };
	KS_BULK again = { 0 };
	struct ks_error err;
	bool changed;

	if (!ks_kconfig_set_string(config, SYMBOL, value, after, &out, &changed, &err)) {
		MUST(err.code == KS_ERR_INPUT && strchr(value, '\n'));
		return;
	}
	read = get(changed ? ks_buf_view(&out) : config, SYMBOL);
	MUST(read && strcmp(read, value) == 0);
	if (!changed)
		return;
	check_one_line(config, ks_buf_view(&out));
	other_then = get(ks_buf_view(&out), OTHER);
	MUST(same_text(other, other_then));
	MUST(ks_kconfig_set_string(ks_buf_view(&out), SYMBOL, value, after, &again, &changed,
				   &err));
	MUST(!changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view config = fuzz_view(data, size);
	size_t some = size < 16 ? size : 16;
	KS_STRING value = get(config, SYMBOL);
	KS_STRING tail = strndup(size ? (const char *)data + size - some : "", some);

	MUST(tail);
	fuzz_accepted = value != NULL;
	check_value(config, SYMBOL);
	check_value(config, OTHER);
	check_value(config, "");
	check_last_line(config, "\n", true);
	check_last_line(config, "\n# ", false);
	check_set(config, VALUE, OTHER);
	check_set(config, tail, "CONFIG_NOT_THERE");
	if (value)
		check_set(config, value, OTHER);
	return 0;
}
