/* SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/strings.h"

enum { CONFIG_LIMIT = 1 << 20 }; /* bytes */

static const char *const key_guard_words[] = { "normal", "strict", NULL };
static const char *const dkms_key_words[] = { "dkms", "kernel", NULL };
static const char *const dkms_gate_words[] = { "refuse", "warn", "off", NULL };
static const char *const hook_words[] = { "warn", "fail", "off", NULL };

struct setting {
	const char *name;
	size_t offset;		  /* of a char *, which is the value ... */
	const char *const *words; /* ... or of an enum, which is the value's place among these */
};

static const struct setting settings[] = {
	{ "key", offsetof(struct config, key), NULL },
	{ "cert", offsetof(struct config, cert), NULL },
	{ "hash", offsetof(struct config, hash), NULL },
	{ "keys", offsetof(struct config, keys), NULL },
	{ "key-permissions", offsetof(struct config, key_guard), key_guard_words },
	{ "dkms-key", offsetof(struct config, dkms_key), dkms_key_words },
	{ "dkms-gate", offsetof(struct config, dkms_gate), dkms_gate_words },
	{ "kernel-hook", offsetof(struct config, hook), hook_words },
};

static char *trim(char *text)
{
	char *end;

	text += strspn(text, " \t");
	end = text + strlen(text);
	while (end > text && strchr(" \t\r", end[-1]))
		end--;
	*end = '\0';
	return text;
}

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static bool set_word(const struct setting *setting, int *place, const char *value, size_t number,
		     struct ks_error *err)
{
	for (int i = 0; setting->words[i]; i++) {
		if (strcmp(setting->words[i], value) == 0) {
			*place = i;
			return true;
		}
	}
	return ks_fail(err, KS_ERR_INPUT, "line %zu: '%s' cannot be '%s'", number, setting->name,
		       value);
}

static bool set(const struct setting *setting, struct config *config, const char *value,
		size_t number, struct ks_error *err)
{
	void *place = (char *)config + setting->offset;
	char **text = place;

	if (setting->words)
		return set_word(setting, place, value, number, err);
	free(*text);
	*text = NULL;
	return ks_string_copy(text, value, err);
}

static bool read_line(char *line, size_t number, struct config *config, struct ks_error *err)
{
	char *name = trim(line);
	char *equals = strchr(name, '=');
	const struct setting *setting;
	char *value;

	if (name[0] == '\0' || name[0] == '#')
		return true;
	if (!equals)
		return ks_fail(err, KS_ERR_INPUT, "line %zu: no '='", number);
	*equals = '\0';
	value = trim(equals + 1);
	name = trim(name);
	setting = find_setting(name);
	if (!setting)
		return ks_fail(err, KS_ERR_INPUT, "line %zu: unknown setting '%s'", number, name);
	if (!value[0])
		return ks_fail(err, KS_ERR_INPUT, "line %zu: '%s' has no value", number, name);
	return set(setting, config, value, number, err);
}

/* To the end, whatever is wrong with a line; the error is the first's. */
static bool read_lines(char *text, struct config *config, struct ks_error *err)
{
	struct ks_error ignored;
	bool ok = true;

	for (size_t number = 1; text; number++) {
		char *line = strsep(&text, "\n");

		ok &= read_line(line, number, config, ok ? err : &ignored);
	}
	return ok;
}

bool config_read(const char *root, struct config *config, struct ks_error *err)
{
	enum hook_mode hook;
	KS_BUF text = { 0 };
	struct stat st;

	*config = (struct config){ 0 };
	if (!ks_file_read_path(root, CONFIG_PATH, CONFIG_LIMIT, &text, &st, err))
		return err->sys == ENOENT || err->sys == ENOTDIR ? true : ks_at(err, CONFIG_PATH);
	if (memchr(text.data, '\0', text.len)) {
		ks_fail(err, KS_ERR_INPUT, "a zero byte in it, no text file");
		return ks_at(err, CONFIG_PATH);
	}
	if (ks_buf_append(&text, "", 1, err) && read_lines((char *)text.data, config, err))
		return true;
	hook = config->hook;
	config_free(config);
	config->hook = hook;
	return ks_at(err, CONFIG_PATH);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (!settings[i].words)
			ks_string_free((char **)((char *)config + settings[i].offset));
	*config = (struct config){ 0 };
}
