/* SPDX-License-Identifier: MIT */
/* A run of sign or unsign, and what is told of it. */
#ifndef KS_CLI_SIGN_RUN_H
#define KS_CLI_SIGN_RUN_H

#include "cli/cmd_sign.h"
#include "cli/report.h"
#include "core/dkms.h"

struct audit;

struct outcome {
	struct ks_sign_result sign;
	enum ks_dkms_copy dkms;
	const char *copy; /* in run.copies */
};

struct run {
	const struct sign_args *args;
	bool unsign;
	struct json_object *results;   /* NULL without --json */
	struct json_object *initramfs; /* the same */
	size_t count[KS_OUTCOMES];
	size_t written[KS_WAY_PACKED + 1];
	size_t failed;
	struct ks_dirsync *sync;
	struct offline *offline; /* NULL where the key is here */
	struct audit *audit;	 /* NULL without --log */

	/* of the kernel in hand */
	const struct ks_kernel *kernel;
	const struct ks_modules *modules;
	struct ks_sign how;
	struct ks_strings copies;  /* of DKMS, of its modules for that kernel */
	struct outcome *outcome;   /* by module */
	struct ks_strings settled; /* of its modules, those that are as they were asked to be */
	size_t changed;		   /* and how many of them were not so before */
};

/* "signed", "failed": the result of module I for machines; ERR is NULL if it was one. */
const char *sign_run_result(const struct run *run, size_t i, const struct ks_error *err);

/* The object of module I in --json. */
struct json_object *sign_run_json(const struct run *run, size_t i, const struct ks_error *err);

/* Lines for module I: warnings on standard error, the result on standard output. */
void sign_run_warn(const struct run *run, size_t i);
void sign_run_tell(const struct run *run, size_t i);

/* Of the whole: the counts, as an object and as a line. */
struct json_object *sign_run_summary_json(const struct run *run);
void sign_run_summarize(const struct run *run);

/* "3 signed, 1 failed, of 4 modules" in TEXT; false where there was nothing to count. */
bool sign_run_count(const struct run *run, char *text, size_t size);

#endif
