/* SPDX-License-Identifier: MIT */
#include "cli/scripts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/report.h"

/* The same with its argument in the same word. */
static bool has_value(const char *word)
{
	return strncmp(word, "--khash=", strlen("--khash=")) == 0 ||
	       strncmp(word, "--ktype=", strlen("--ktype=")) == 0;
}

/* Options that 3.0 took and did nothing with; each has an argument. */
static bool is_dropped(const char *word)
{
	static const char *const dropped[] = { "-kh", "--khash", "-kt", "--ktype" };

	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (strcmp(word, dropped[i]) == 0)
			return true;
	return has_value(word);
}

static int copy_words(char **to, int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (is_dropped(argv[i])) {
			report_warning("warning: %s does nothing: the kernel config says it",
				       argv[i]);
			i += !has_value(argv[i]);
		} else {
			to[count++] = argv[i];
		}
	}
	return count;
}

static int run_script(const char *command, int argc, char **argv)
{
	char **words = calloc((size_t)argc + 4, sizeof(*words));
	char *dir = strdup(argv[0]);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int count = 0, status = STATUS_FAILED;

	if (words && dir) {
		words[count++] = argv[0];
		words[count++] = (char *)command;
		if (slash) {
			slash[slash == dir] = '\0';
			words[count++] = (char *)"--keys";
			words[count++] = dir;
		}
		count += copy_words(words + count, argc, argv);
		status = commands_main(count, words);
	}
	free(words);
	free(dir);
	return status;
}

int genkeys_py_main(int argc, char **argv)
{
	return run_script("genkeys", argc, argv);
}

int install_certs_py_main(int argc, char **argv)
{
	return run_script("install-certs", argc, argv);
}

/* Without an argument the script signed nothing; the command would sign all there is. */
int sign_module_py_main(int argc, char **argv)
{
	if (argc > 1)
		return run_script("sign", argc, argv);
	report_warning("sign_module.py: no modules to sign: name them, or a directory with -d");
	return STATUS_USAGE;
}
