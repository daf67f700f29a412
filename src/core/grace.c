/* SPDX-License-Identifier: MIT */
#include "core/grace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "core/keystore.h"

enum { FILE_LIMIT = 16 << 10 }; /* bytes */

static struct ks_grace_key *find(const struct ks_grace *grace, const char *name)
{
	for (size_t i = 0; i < grace->count; i++)
		if (strcmp(grace->item[i].name, name) == 0)
			return &grace->item[i];
	return NULL;
}

bool ks_grace_has(const struct ks_grace *grace, const char *name)
{
	return find(grace, name) != NULL;
}

bool ks_grace_add(struct ks_grace *grace, const char *name, time_t until, struct ks_error *err)
{
	struct ks_grace_key *key = find(grace, name);

	if (key) {
		key->until = key->until > until ? key->until : until;
		return true;
	}
	key = reallocarray(grace->item, grace->count + 1, sizeof(*key));
	if (!key)
		return ks_fail_memory(err);
	grace->item = key;
	key += grace->count;
	*key = (struct ks_grace_key){ .until = until };
	if (!ks_string_copy(&key->name, name, err))
		return false;
	grace->count++;
	return true;
}

/* Names are looked at: they become parts of paths. */
static bool add_line(struct ks_grace *grace, char *line, time_t now, struct ks_error *err)
{
	char *blank = strchr(line, ' ');
	struct tm tm = { 0 };
	char *end = blank ? strptime(blank + 1, KS_TEXT_TIME, &tm) : NULL;
	time_t until;

	if (!end || *end)
		return ks_fail(err, KS_ERR_INPUT, "a line is not a key's name and a time");
	*blank = '\0';
	if (!ks_keystore_is_dated(line))
		return ks_fail(err, KS_ERR_INPUT, "a line begins with what is not a key's name");
	until = timegm(&tm);
	return until <= now || ks_grace_add(grace, line, until, err);
}

static bool add_lines(struct ks_grace *grace, struct ks_view text, time_t now, struct ks_error *err)
{
	KS_STRING copy = NULL;
	char *rest;

	if (memchr(text.data, '\0', text.len))
		return ks_fail(err, KS_ERR_INPUT, "not a text");
	if (!ks_string_print(&copy, err, "%.*s", (int)text.len, (const char *)text.data))
		return false;
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!add_line(grace, line, now, err))
			return false;
	return true;
}

bool ks_grace_read(const char *root, const char *dir, time_t now, struct ks_grace *grace,
		   struct ks_error *err)
{
	KS_STRING path = NULL;
	KS_BUF text = { 0 };
	struct stat st;

	if (!ks_string_print(&path, err, "%s/" KS_GRACE_FILE, dir))
		return false;
	if (!ks_file_read_path(root, path, FILE_LIMIT, &text, &st, err))
		return err->sys == ENOENT || err->sys == ENOTDIR || ks_at(err, path);
	return !text.len || add_lines(grace, ks_buf_view(&text), now, err) || ks_at(err, path);
}

bool ks_grace_print(const struct ks_grace *grace, struct ks_buf *text, struct ks_error *err)
{
	for (size_t i = 0; i < grace->count; i++) {
		char time[KS_TEXT_TIME_SIZE];
		KS_STRING line = NULL;

		ks_text_time(grace->item[i].until, time);
		if (!ks_string_print(&line, err, "%s %s\n", grace->item[i].name, time) ||
		    !ks_buf_append(text, line, strlen(line), err))
			return false;
	}
	return true;
}

void ks_grace_drop(struct ks_grace *grace, size_t i)
{
	free(grace->item[i].name);
	grace->count--;
	memmove(grace->item + i, grace->item + i + 1, (grace->count - i) * sizeof(*grace->item));
}

void ks_grace_free(struct ks_grace *grace)
{
	for (size_t i = 0; i < grace->count; i++)
		free(grace->item[i].name);
	free(grace->item);
	*grace = (struct ks_grace){ 0 };
}
