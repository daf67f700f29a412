/* SPDX-License-Identifier: MIT */
/* JSON objects that are put down somewhere: one that memory was lacking for must not pass for a whole one. */
#ifndef KS_CLI_JSON_H
#define KS_CLI_JSON_H

#include <json-c/json.h>
#include <stdbool.h>

/* An object while it is made. */
struct json {
	struct json_object *object; /* or NULL, for want of memory */
	bool whole;		    /* all that was added is in it */
};

#define JSON __attribute__((cleanup(json_free))) struct json

struct json json_begin(void);

/* Takes VALUE over; NULL is one that there was no memory for. */
void json_add(struct json *json, const char *name, struct json_object *value);

/* TEXT, which is UTF-8, as a string, or null for NULL. */
void json_add_text(struct json *json, const char *name, const char *text);

/* Its text; NULL where memory was lacking for it, or for anything that was added. */
const char *json_print(const struct json *json, int flags);

void json_free(struct json *json);

#endif
