/* SPDX-License-Identifier: MIT */
/*
 * The names of kernel-sign 3.0's scripts: the commands of today, on the key store that the link by
 * which the program was called lies in.
 */
#ifndef KS_CLI_SCRIPTS_H
#define KS_CLI_SCRIPTS_H

int genkeys_py_main(int argc, char **argv);
int install_certs_py_main(int argc, char **argv);
int sign_module_py_main(int argc, char **argv);

#endif
