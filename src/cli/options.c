/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"

enum {
	MOST = 40,	  /* options of one command */
	FIRST_CODE = 256, /* getopt's code of row 0: letters stay below */
	HELP_CODE = FIRST_CODE + MOST,
	MOST_JOBS = 4096,
	MOST_DAYS = 1000000,
};

struct spelling {
	struct option longs[MOST + 2];
	char letters[3 * MOST + 2];
};

static void spell(const struct option_row *table, struct spelling *s)
{
	char *letter = s->letters;
	int i;

	for (i = 0; i < MOST && table[i].name; i++) {
		s->longs[i] = (struct option){ table[i].name, table[i].argument ? 1 : 0, NULL,
					       FIRST_CODE + i };
		if (!table[i].letter)
			continue;
		*letter++ = table[i].letter;
		if (table[i].argument)
			*letter++ = ':';
	}
	s->longs[i] = (struct option){ "help", 0, NULL, HELP_CODE };
	s->longs[i + 1] = (struct option){ 0 };
	strcpy(letter, "h");
}

static const struct option_row *find_row(const struct option_row *table, int code)
{
	if (code >= FIRST_CODE)
		return &table[code - FIRST_CODE];
	while (table->name && table->letter != code)
		table++;
	return table;
}

static bool parse_number(const char *text, unsigned long long *number, const char **end)
{
	char *after;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &after, 10);
	*end = after;
	return errno == 0;
}

static bool parse_count(const char *text, unsigned most, unsigned *count)
{
	unsigned long long number;
	const char *end;

	if (!parse_number(text, &number, &end) || *end || number < 1 || number > most)
		return false;
	*count = (unsigned)number;
	return true;
}

static bool parse_size(const char *text, size_t *size)
{
	static const char units[] = "KMG";
	unsigned long long number;
	const char *end, *unit;
	unsigned shift = 0;

	if (!parse_number(text, &number, &end) || number < 1)
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit)
		shift = 10 * (unsigned)(unit - units + 1);
	if (*end && (!unit || end[1]))
		return false;
	/* OpenSSL takes lengths as int; nothing here may be longer. */
	if (number > (unsigned long long)INT32_MAX >> shift)
		return false;
	*size = (size_t)number << shift;
	return true;
}

static bool assign(const struct option_row *row, void *args, const char *value,
		   struct ks_error *err)
{
	void *field = (char *)args + row->offset;
	bool ok = false;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return true;
	case OPTION_STRING:
		*(const char **)field = value;
		return true;
	case OPTION_LIST:
		return ks_strings_add(field, value, err);
	case OPTION_COUNT:
		ok = parse_count(value, MOST_JOBS, field);
		break;
	case OPTION_DAYS:
		ok = parse_count(value, MOST_DAYS, field);
		break;
	case OPTION_SIZE:
		ok = parse_size(value, field);
		break;
	}
	return ok || ks_fail(err, KS_ERR_USAGE, "'%s' is no valid %s", value, row->argument);
}

int options_parse(const struct option_row *table, void *args, int argc, char **argv)
{
	struct spelling s;
	int code;

	spell(table, &s);
	optind = 0;
	while ((code = getopt_long(argc, argv, s.letters, s.longs, NULL)) >= 0) {
		const struct option_row *row;
		struct ks_error err;

		if (code == 'h' || code == HELP_CODE)
			return 0;
		if (code == '?') {
			fprintf(stderr, "Try '%s --help'.\n", argv[0]);
			return OPTIONS_USAGE;
		}
		row = find_row(table, code);
		if (!assign(row, args, optarg, &err)) {
			fprintf(stderr, "%s: --%s: %s\n", argv[0], row->name, err.text);
			return err.code == KS_ERR_USAGE ? OPTIONS_USAGE : OPTIONS_FAILED;
		}
	}
	return optind;
}

void options_free(const struct option_row *table, void *args)
{
	for (; table->name; table++)
		if (table->kind == OPTION_LIST)
			ks_strings_free((struct ks_strings *)((char *)args + table->offset));
}

static void print_row(char letter, const char *name, const char *argument, const char *help)
{
	char left[64];
	char dash = letter ? '-' : ' ';

	snprintf(left, sizeof(left), "%c%c%c --%s%s%s", dash, letter ? letter : ' ',
		 letter ? ',' : ' ', name, argument ? " " : "", argument ? argument : "");
	printf("  %-24s %s\n", left, help);
}

void options_print(const struct option_row *table)
{
	for (; table->name; table++)
		print_row(table->letter, table->name, table->argument, table->help);
	print_row('h', "help", NULL, "show this help");
}
