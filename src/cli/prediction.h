/* SPDX-License-Identifier: MIT */
/* What a kernel will do with a module, in words and as JSON. */
#ifndef KS_CLI_PREDICTION_H
#define KS_CLI_PREDICTION_H

#include "cli/report.h"
#include "core/predict.h"

/* For a column: "yes", "yes, taints", "no", "if not enforced", "unknown". */
const char *prediction_word(const struct ks_prediction *p, const struct ks_trust *trust);

/* A whole sentence, without the kernel's name; the caller's. */
KS_MUST_CHECK bool prediction_text(const struct ks_prediction *p, const struct ks_trust *trust,
				   char **text, struct ks_error *err);

/* With the names that kernel-sign(8) lists. */
struct json_object *prediction_json(const struct ks_prediction *p, const struct ks_trust *trust);

#endif
