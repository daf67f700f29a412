/* SPDX-License-Identifier: MIT */
/* The one table of commands. */
#ifndef KS_CLI_COMMANDS_H
#define KS_CLI_COMMANDS_H

#include "cli/options.h"

enum exit_status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,

	/* verify's own, beside 0 for good */
	STATUS_BAD = 1,
	STATUS_UNKNOWN_SIGNER = 2,
	STATUS_UNSIGNED = 3,
	STATUS_NOT_CHECKED = 4,
};

struct command {
	const char *name;
	const char *operands; /* "[MODULE...]" */
	const char *summary;  /* one line */
	const char *text;     /* the help's second paragraph */

	/* A command has options and runs with its arguments parsed ... */
	const struct option_row *options;
	size_t args_size; /* zeroed memory of this size is parsed into and handed to run */
	int (*run)(void *args, int operands, char **operand);
	/*
	 * For a wrong command line, and where there is no memory or output cannot be written, of a
	 * command whose own statuses have other meanings; 0 stands for STATUS_USAGE and STATUS_FAILED.
	 */
	int other_status;

	/* ... or, as a personality, reads its own command line. */
	int (*main)(int argc, char **argv);
};

extern const struct command command_dkms;
extern const struct command command_doctor;
extern const struct command command_enroll;
extern const struct command command_genkeys;
extern const struct command command_hook;
extern const struct command command_install_certs;
extern const struct command command_sign;
extern const struct command command_sign_file;
extern const struct command command_status;
extern const struct command command_trust;
extern const struct command command_unsign;
extern const struct command command_verify;

extern const struct command *const commands[]; /* ends with NULL */

/* Runs the command that ARGV[1] names; returns the program's exit status. */
int commands_main(int argc, char **argv);

#endif
