/* SPDX-License-Identifier: MIT */
/* What a person reads: lines, tables, progress; and JSON for machines. */
#ifndef KS_CLI_REPORT_H
#define KS_CLI_REPORT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One line on stderr, "kernel-sign: TEXT", control bytes escaped. */
void report_error(const struct ks_error *err);
void report_warning(const char *fmt, ...) KS_PRINTF(1, 2);

/* The text of the first report_error(), as it was given; NULL while there is none. */
const char *report_first_error(void);

/* One line on stdout, control bytes escaped. */
void report_line(const char *fmt, ...) KS_PRINTF(1, 2);

/* The line that a terminal shows while work goes on; nothing where stderr is no terminal. */
void report_progress(const char *verb, size_t done, size_t total, const char *path);
void report_progress_end(void);

/* A question on the terminal; false without one, or if the answer is not yes. */
bool report_confirm(const char *question);

/* A JSON string of TEXT with what JSON cannot hold escaped (base/text.h); null for NULL. */
struct json_object *report_text(const char *text);

/* Prints OBJECT and a newline on stdout, and frees it. */
void report_json(struct json_object *object);

/* A table on stdout; row is an array of as many texts as there are columns, NULL for nothing. */
struct report_table;

struct report_table *report_table_new(const char *const *columns, size_t count);
void report_table_add(struct report_table *table, const char *const *row);
/* Frees the table, printing it first if SHOW. */
void report_table_print(struct report_table *table, bool show);

/* What report_end() gives where stdout could not be written: 1 unless it is said here. */
void report_set_failure(int status);

/* STATUS, or for 0 the other one where stdout could not be written. */
int report_end(int status);

#endif
