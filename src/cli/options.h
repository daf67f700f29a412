/* SPDX-License-Identifier: MIT */
/*
 * The options of a command as a table: parsed with getopt_long(), printed as help, and read by the
 * test that compares them with the manual.  A row writes into the command's own arguments.
 */
#ifndef KS_CLI_OPTIONS_H
#define KS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
	OPTION_FLAG,   /* bool: true */
	OPTION_STRING, /* const char *: the argument */
	OPTION_LIST,   /* struct ks_strings: may be given several times */
	OPTION_COUNT,  /* unsigned: 1 to 4096 */
	OPTION_DAYS,   /* unsigned: 1 to a million */
	OPTION_SIZE,   /* size_t: bytes, with K, M or G for powers of 1024 */
};

struct option_row {
	char letter;	      /* or 0 */
	const char *name;     /* NULL ends the table */
	const char *argument; /* its name in the help; NULL for a flag */
	const char *help;
	enum option_kind kind;
	size_t offset; /* in the command's arguments */
};

enum {
	OPTIONS_USAGE = -1,  /* wrongly used */
	OPTIONS_FAILED = -2, /* no memory */
};

/*
 * Parses ARGV (ARGV[0] names the program in messages) into ARGS.  Returns the index of the first
 * operand, options and operands being told apart wherever they stand; 0 if --help was asked for; one
 * of the above, reported, if they cannot be used.
 */
int options_parse(const struct option_row *table, void *args, int argc, char **argv);

/* Frees what parsing has put into ARGS. */
void options_free(const struct option_row *table, void *args);

/* One line an option, in the order of the table, --help last. */
void options_print(const struct option_row *table);

#endif
