/* SPDX-License-Identifier: MIT */
/* What enroll says: of each state, and what comes next. */
#ifndef KS_CLI_ENROL_WORDS_H
#define KS_CLI_ENROL_WORDS_H

#include "cli/mokutil.h"
#include "core/enrolment.h"

/* What it is said of. */
struct enrol_subject {
	const char *name; /* the certificate's file or URI, as it may be shown */
	X509 *cert;
	const struct ks_trust *trust;
	const struct ks_enrolment *enrolment;
	const char *efivars; /* directory of EFI variables */
};

struct enrol_words {
	char *text;		/* for behind the certificate's name */
	bool failed;		/* it is not enrolled, nor will it be */
	struct ks_strings next; /* steps, in their order; one that failed has one at most */
};

#define ENROL_WORDS __attribute__((cleanup(enrol_words_free))) struct enrol_words

/* Of a state that mokutil is not asked to change. */
KS_MUST_CHECK bool enrol_words_of_state(const struct enrol_subject *s, struct enrol_words *words,
					struct ks_error *err);

/* WHY a certificate counts or does not (see ks_trusted), for somebody who sees no rule. */
const char *enrol_words_why(const struct ks_trust *trust, const char *why);

/* Adds what is to be done at the next boot; PASSWORD says which one MokManager asks for. */
KS_MUST_CHECK bool enrol_words_of_boot(const struct enrol_subject *s, const char *password,
				       struct enrol_words *words, struct ks_error *err);

/* Adds the step that helps against what mokutil, asked as in MOKUTIL, said of its failure. */
KS_MUST_CHECK bool enrol_words_of_failure(const struct enrol_subject *s,
					  const struct mokutil *mokutil,
					  const struct mokutil_end *end, struct enrol_words *words,
					  struct ks_error *err);

/* How this system gets mokutil; the caller's. */
KS_MUST_CHECK bool enrol_words_install(char **text, struct ks_error *err);

void enrol_words_free(struct enrol_words *words);

#endif
