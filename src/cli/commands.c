/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/version.h"

/* A command a line. */
/* clang-format off */
const struct command *const commands[] = {
	&command_sign,
	&command_unsign,
	&command_status,
	&command_verify,
	&command_genkeys,
	&command_install_certs,
	&command_dkms,
	&command_trust,
	&command_doctor,
	&command_enroll,
	&command_hook,
	&command_sign_file,
	NULL,
};
/* clang-format on */

static void print_help(void)
{
	printf("Usage: kernel-sign COMMAND [OPTIONS] [MODULE...]\n"
	       "\n"
	       "Signs Linux kernel modules, plain or compressed, and tells what is signed.\n"
	       "\n"
	       "Commands:\n");
	for (const struct command *const *c = commands; *c; c++)
		printf("  %-14s %s\n", (*c)->name, (*c)->summary);
	printf("\n"
	       "Options:\n"
	       "  -h, --help     show this help\n"
	       "  -V, --version  show the version and the libraries it runs with\n"
	       "\n"
	       "kernel-sign COMMAND --help shows a command's options; all of it is in "
	       "kernel-sign(8).\n");
}

static void print_command_help(const struct command *c)
{
	printf("Usage: kernel-sign %s [OPTIONS] %s\n\n%s\n\nOptions:\n", c->name, c->operands,
	       c->text);
	options_print(c->options);
}

static int run(const struct command *c, int argc, char **argv)
{
	int usage = c->other_status ? c->other_status : STATUS_USAGE;
	int failed = c->other_status ? c->other_status : STATUS_FAILED;
	char name[64];
	void *args;
	int first, status;

	if (c->main)
		return c->main(argc, argv);
	report_set_failure(failed);
	args = calloc(1, c->args_size);
	if (!args) {
		report_warning("out of memory");
		return failed;
	}
	snprintf(name, sizeof(name), "kernel-sign %s", c->name);
	argv[0] = name;
	first = options_parse(c->options, args, argc, argv);
	if (first == 0) {
		print_command_help(c);
		status = STATUS_DONE;
	} else if (first < 0) {
		status = first == OPTIONS_USAGE ? usage : failed;
	} else {
		status = c->run(args, argc - first, argv + first);
	}
	options_free(c->options, args);
	free(args);
	return status;
}

int commands_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
		print_help();
		return STATUS_DONE;
	}
	if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
		version_print();
		return STATUS_DONE;
	}
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp(name, (*c)->name) == 0)
			return run(*c, argc - 1, argv + 1);
	if (name[0])
		fprintf(stderr, "kernel-sign: no command '%s'\n", name);
	fprintf(stderr, "Usage: kernel-sign COMMAND [OPTIONS] [MODULE...]\n"
			"Try 'kernel-sign --help'.\n");
	return STATUS_USAGE;
}
