/* SPDX-License-Identifier: MIT */
#include "base/strings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ks_strings_add_len(struct ks_strings *list, const char *text, size_t len, struct ks_error *err)
{
	char *copy;

	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		char **item = reallocarray(list->item, cap, sizeof(*item));

		if (!item)
			return ks_fail_memory(err);
		list->item = item;
		list->cap = cap;
	}
	copy = strndup(text, len);
	if (!copy)
		return ks_fail_memory(err);
	list->item[list->count++] = copy;
	return true;
}

bool ks_strings_add(struct ks_strings *list, const char *text, struct ks_error *err)
{
	return ks_strings_add_len(list, text, strlen(text), err);
}

bool ks_strings_print(struct ks_strings *list, struct ks_error *err, const char *fmt, ...)
{
	KS_STRING text = NULL;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len >= 0)
		return ks_strings_add(list, text, err);
	text = NULL;
	return ks_fail_memory(err);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void ks_strings_sort(struct ks_strings *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->item, list->count, sizeof(*list->item), compare_items);
	for (size_t i = 1; i < list->count; i++) {
		if (strcmp(list->item[kept], list->item[i]) == 0)
			free(list->item[i]);
		else
			list->item[++kept] = list->item[i];
	}
	list->count = kept + 1;
}

bool ks_strings_has(const struct ks_strings *sorted, const char *text, size_t len)
{
	size_t low = 0, high = sorted->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strncmp(text, sorted->item[mid], len);

		if (order == 0 && sorted->item[mid][len] == '\0')
			return true;
		if (order > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

void ks_strings_join(const struct ks_strings *list, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 list->item[i]);
}

void ks_strings_free(struct ks_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct ks_strings){ 0 };
}

void ks_string_free(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

bool ks_string_print(char **text, struct ks_error *err, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(text, fmt, args);
	va_end(args);
	if (len >= 0)
		return true;
	*text = NULL;
	return ks_fail_memory(err);
}

bool ks_string_copy(char **copy, const char *text, struct ks_error *err)
{
	*copy = strdup(text);
	return *copy ? true : ks_fail_memory(err);
}
