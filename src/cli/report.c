/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"

static bool progress_shown;
static char first_error[KS_ERROR_TEXT];

static void print_escaped(FILE *to, const char *prefix, const char *raw)
{
	char *text = ks_text_escape(raw);

	report_progress_end();
	fprintf(to, "%s%s\n", prefix, text ? text : "out of memory");
	free(text);
}

KS_PRINTF(3, 0)
static void print_formatted(FILE *to, const char *prefix, const char *fmt, va_list args)
{
	char *raw = NULL;

	if (vasprintf(&raw, fmt, args) < 0)
		raw = NULL;
	print_escaped(to, prefix, raw ? raw : "out of memory");
	free(raw);
}

void report_error(const struct ks_error *err)
{
	if (!first_error[0])
		snprintf(first_error, sizeof(first_error), "%s", err->text);
	fflush(stdout);
	print_escaped(stderr, "kernel-sign: ", err->text);
}

const char *report_first_error(void)
{
	return first_error[0] ? first_error : NULL;
}

void report_warning(const char *fmt, ...)
{
	int saved = errno; /* FMT may have a %m */
	va_list args;

	fflush(stdout);
	va_start(args, fmt);
	errno = saved;
	print_formatted(stderr, "kernel-sign: ", fmt, args);
	va_end(args);
}

void report_line(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_formatted(stdout, "", fmt, args);
	va_end(args);
}

static bool is_due(void)
{
	static struct timespec last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == last.tv_sec && now.tv_nsec - last.tv_nsec < 100000000)
		return false;
	last = now;
	return true;
}

void report_progress(const char *verb, size_t done, size_t total, const char *path)
{
	const char *name = strrchr(path, '/');
	char *text;

	if (!isatty(STDERR_FILENO) || !is_due())
		return;
	text = ks_text_escape(name ? name + 1 : path);
	fprintf(stderr, "\r\033[K%s %zu of %zu: %.60s", verb, done, total, text ? text : "");
	free(text);
	progress_shown = true;
}

void report_progress_end(void)
{
	if (progress_shown)
		fprintf(stderr, "\r\033[K");
	progress_shown = false;
}

bool report_confirm(const char *question)
{
	char answer[16];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

struct json_object *report_text(const char *raw)
{
	char *text = raw ? ks_text_escape(raw) : NULL;
	struct json_object *object = text ? json_object_new_string(text) : NULL;

	free(text);
	return object;
}

void report_json(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

struct report_table {
	struct libscols_table *table;
	size_t columns;
};

struct report_table *report_table_new(const char *const *columns, size_t count)
{
	struct report_table *t = malloc(sizeof(*t));

	if (!t)
		return NULL;
	scols_init_debug(0);
	*t = (struct report_table){ scols_new_table(), count };
	for (size_t i = 0; i < count; i++)
		scols_table_new_column(t->table, columns[i], 0, 0);
	return t;
}

void report_table_add(struct report_table *t, const char *const *row)
{
	struct libscols_line *line = t ? scols_table_new_line(t->table, NULL) : NULL;

	for (size_t i = 0; line && i < t->columns; i++)
		scols_line_refer_data(line, i, ks_text_escape(row[i] ? row[i] : ""));
}

void report_table_print(struct report_table *t, bool show)
{
	if (!t)
		return;
	if (show)
		scols_print_table(t->table);
	scols_unref_table(t->table);
	free(t);
}

static int failure = STATUS_FAILED;

void report_set_failure(int status)
{
	failure = status;
}

int report_end(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "kernel-sign: standard output: %s\n", strerror(errno));
	return status == STATUS_DONE ? failure : status;
}
