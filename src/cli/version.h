/* SPDX-License-Identifier: MIT */
/* The program's version and those of the libraries that it runs with, as they say themselves. */
#ifndef KS_CLI_VERSION_H
#define KS_CLI_VERSION_H

void version_print(void);

#endif
