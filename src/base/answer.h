/* SPDX-License-Identifier: MIT */
/* An answer that may be that nobody knows. */
#ifndef KS_BASE_ANSWER_H
#define KS_BASE_ANSWER_H

enum ks_answer { KS_UNKNOWN, KS_NO, KS_YES };

/* "yes", "no", "unknown" */
const char *ks_answer_name(enum ks_answer answer);

/* "and": no, if one is; else unknown, if one is. */
enum ks_answer ks_answer_both(enum ks_answer a, enum ks_answer b);

/* Unknown stays so. */
enum ks_answer ks_answer_not(enum ks_answer answer);

#endif
