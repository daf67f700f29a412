/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/pin.h"
#include "cli/report.h"
#include "cli/scripts.h"
#include "cli/sign_file.h"
#include "core/secret.h"
#include "core/token.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int run(int argc, char **argv)
{
	const char *name = argc > 0 ? base_name(argv[0]) : "";

	if (strcmp(name, "sign-file") == 0)
		return sign_file_main(argc, argv);
	if (strcmp(name, "kmodsign") == 0)
		return kmodsign_main(argc, argv);
	if (strcmp(name, "genkeys.py") == 0)
		return genkeys_py_main(argc, argv);
	if (strcmp(name, "install-certs.py") == 0)
		return install_certs_py_main(argc, argv);
	if (strcmp(name, "sign_module.py") == 0)
		return sign_module_py_main(argc, argv);
	return commands_main(argc, argv);
}

/* Else the first module opened would be standard error, and get its messages. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	int status;

	open_standard_files();
	ks_secret_prepare();
	pin_take();
	/* A TPM's library says on standard error what it also gives back. */
	setenv("TSS2_LOG", "all+NONE", 0);
	setlocale(LC_ALL, "");
	/* A reader that has gone must not end a run between two modules. */
	signal(SIGPIPE, SIG_IGN);
	/* A limit on file sizes is an error of one write, not the end of all. */
	signal(SIGXFSZ, SIG_IGN);
	/*
	 * Memory of a large module goes back to the system when it is freed, also from threads; what
	 * smaller ones need stays for the next one, as asking for it each time costs a tenth of all.
	 */
	mallopt(M_MMAP_THRESHOLD, 2 << 20);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
	status = run(argc, argv);
	ks_token_close();
	pin_wipe();
	status = report_end(status);
	if (ks_token_outlives())
		_exit(status);
	return status;
}
