/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <string.h>

#include "base/strings.h"

struct json json_begin(void)
{
	struct json json = { .object = json_object_new_object() };

	json.whole = json.object;
	return json;
}

/* json-c ends the program where there is no object to add to. */
static void add(struct json *json, const char *name, struct json_object *value, bool whole)
{
	if (json->object && whole && json_object_object_add(json->object, name, value) == 0)
		return;
	json_object_put(value);
	json->whole = false;
}

void json_add(struct json *json, const char *name, struct json_object *value)
{
	add(json, name, value, value);
}

void json_add_text(struct json *json, const char *name, const char *text)
{
	struct json_object *value = text ? json_object_new_string(text) : NULL;

	add(json, name, value, value || !text);
}

/* What json-c has no memory for it leaves out of the text without a word: not twice in the same place. */
const char *json_print(const struct json *json, int flags)
{
	const char *text = json->whole ? json_object_to_json_string_ext(json->object, flags) : NULL;
	KS_STRING first = text ? strdup(text) : NULL;

	text = first ? json_object_to_json_string_ext(json->object, flags) : NULL;
	return text && strcmp(first, text) == 0 ? text : NULL;
}

void json_free(struct json *json)
{
	json_object_put(json->object);
	*json = (struct json){ 0 };
}
