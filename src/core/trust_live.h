/* SPDX-License-Identifier: MIT */
/* What the running kernel itself shows of what it trusts, beside what its files and rules say. */
#ifndef KS_CORE_TRUST_LIVE_H
#define KS_CORE_TRUST_LIVE_H

#include "core/trust.h"

/*
 * Reads the keyrings of the kernel, and finds what was judged by the rule in them: fills in what
 * TRUST and its items have of keyrings.  What cannot be seen goes into unseen; fails only for want
 * of memory.
 */
KS_MUST_CHECK bool ks_trust_read_rings(const struct ks_trust_search *search, struct ks_trust *trust,
				       struct ks_error *err);

/*
 * Whether IMA's policy has the signatures of module files checked, too (which are others, in
 * security.ima), of some of them at least: fills in ima_appraise.  Fails only for want of memory.
 */
KS_MUST_CHECK bool ks_trust_read_ima(const struct ks_trust_search *search, struct ks_trust *trust,
				     struct ks_error *err);

#endif
