/* SPDX-License-Identifier: MIT */
/*
 * The command line of the kernel's scripts/sign-file, and of Ubuntu's kmodsign, which is the same
 * with -D: their arguments and exit statuses, this program's core.
 */
#ifndef KS_CLI_SIGN_FILE_H
#define KS_CLI_SIGN_FILE_H

int sign_file_main(int argc, char **argv);
int kmodsign_main(int argc, char **argv);

#endif
