/* SPDX-License-Identifier: MIT */
/* A list of strings that it owns. */
#ifndef KS_BASE_STRINGS_H
#define KS_BASE_STRINGS_H

#include <stddef.h>

#include "base/error.h"

struct ks_strings {
	char **item;
	size_t count;
	size_t cap;
};

#define KS_STRINGS __attribute__((cleanup(ks_strings_free))) struct ks_strings

/* Adds a copy of the first LEN bytes of TEXT. */
KS_MUST_CHECK bool ks_strings_add_len(struct ks_strings *list, const char *text, size_t len,
				      struct ks_error *err);
KS_MUST_CHECK bool ks_strings_add(struct ks_strings *list, const char *text, struct ks_error *err);

/* The same of what asprintf() makes. */
KS_MUST_CHECK bool ks_strings_print(struct ks_strings *list, struct ks_error *err, const char *fmt,
				    ...) KS_PRINTF(3, 4);

/* Sorts by byte value and removes what stands there twice. */
void ks_strings_sort(struct ks_strings *list);

/* Whether a sorted list has the first LEN bytes of TEXT as an item. */
bool ks_strings_has(const struct ks_strings *sorted, const char *text, size_t len);

/* The items with ", " between them, cut to SIZE; for error lines. */
void ks_strings_join(const struct ks_strings *list, char *text, size_t size);

void ks_strings_free(struct ks_strings *list);

/* Freed when the scope ends. */
#define KS_STRING __attribute__((cleanup(ks_string_free))) char *

/* Wiped first: a passphrase can stand in any. */
void ks_string_free(char **text);

/* asprintf(); *text is the caller's. */
KS_MUST_CHECK bool ks_string_print(char **text, struct ks_error *err, const char *fmt, ...)
	KS_PRINTF(3, 4);

KS_MUST_CHECK bool ks_string_copy(char **copy, const char *text, struct ks_error *err);

#endif
