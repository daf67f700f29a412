/* SPDX-License-Identifier: MIT */
#include "base/answer.h"

const char *ks_answer_name(enum ks_answer answer)
{
	static const char *const names[] = { "unknown", "no", "yes" };

	return names[answer];
}

enum ks_answer ks_answer_both(enum ks_answer a, enum ks_answer b)
{
	return a == KS_NO || b == KS_NO ? KS_NO : a == KS_UNKNOWN ? a : b;
}

enum ks_answer ks_answer_not(enum ks_answer answer)
{
	return answer == KS_YES ? KS_NO : answer == KS_NO ? KS_YES : KS_UNKNOWN;
}
