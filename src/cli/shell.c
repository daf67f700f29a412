/* SPDX-License-Identifier: MIT */
#include "cli/shell.h"

#include <string.h>

#include "base/strings.h"

bool shell_word(struct ks_buf *line, const char *text, struct ks_error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789+,-./:@_";

	if (line->len && !ks_buf_append(line, " ", 1, err))
		return false;
	if (*text && !text[strspn(text, plain)])
		return ks_buf_append(line, text, strlen(text), err);
	if (!ks_buf_append(line, "'", 1, err))
		return false;
	for (; *text; text++)
		if (!(*text == '\'' ? ks_buf_append(line, "'\"'\"'", 5, err) :
				      ks_buf_append(line, text, 1, err)))
			return false;
	return ks_buf_append(line, "'", 1, err);
}

bool shell_words(struct ks_buf *line, const char *const *word, struct ks_error *err)
{
	for (; *word; word++)
		if (!shell_word(line, *word, err))
			return false;
	return true;
}

bool shell_take(struct ks_buf *line, char **text, struct ks_error *err)
{
	return ks_buf_append(line, "", 1, err) &&
	       ks_string_copy(text, (const char *)line->data, err);
}

bool shell_inside(const char *root, const char *const *word, char **line, struct ks_error *err)
{
	const char *const inside[] = { "chroot", root, NULL };
	KS_BUF text = { 0 };

	return (!root || shell_words(&text, inside, err)) && shell_words(&text, word, err) &&
	       shell_take(&text, line, err);
}
