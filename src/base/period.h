/* SPDX-License-Identifier: MIT */
/* Spans of time as people write them: "30d", "2 weeks", "always". */
#ifndef KS_BASE_PERIOD_H
#define KS_BASE_PERIOD_H

#include <stdint.h>

#include "base/error.h"

#define KS_PERIOD_ALWAYS ((int64_t)0) /* "always": at once, whatever the age */
#define KS_PERIOD_NEVER INT64_MAX     /* "never" */

/*
 * TEXT is a whole number above 0 and a unit, with or without blanks: s m h d w, or sec second min
 * minute hour day week, with an s behind if one likes; or "always" or "never".  m is minutes;
 * months and years, whose length varies, are not taken.  KS_ERR_USAGE says what is.
 */
KS_MUST_CHECK bool ks_period_parse(const char *text, int64_t *seconds, struct ks_error *err);

#endif
