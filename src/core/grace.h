/* SPDX-License-Identifier: MIT */
/*
 * Keys that a key store goes on signing with, beside its current one, until their time is over.  They
 * stand in a file `previous' in the current key's directory, a line for each: the name of its own
 * directory beside that one, and the end in UTC, "20261123-1821 2027-01-02T15:04:05Z".
 */
#ifndef KS_CORE_GRACE_H
#define KS_CORE_GRACE_H

#include <time.h>

#include "base/buf.h"
#include "base/strings.h"

#define KS_GRACE_FILE "previous"

struct ks_grace_key {
	char *name;
	time_t until;
};

struct ks_grace {
	struct ks_grace_key *item;
	size_t count;
};

#define KS_GRACE __attribute__((cleanup(ks_grace_free))) struct ks_grace

/* A name that is there already has the later of both ends. */
KS_MUST_CHECK bool ks_grace_add(struct ks_grace *grace, const char *name, time_t until,
				struct ks_error *err);

/*
 * Reads the file in the directory DIR, resolved in ROOT (or NULL), into GRACE (empty before): those
 * whose time is not over at NOW.  No such file is none; a line that is no such line is KS_ERR_INPUT.
 */
KS_MUST_CHECK bool ks_grace_read(const char *root, const char *dir, time_t now,
				 struct ks_grace *grace, struct ks_error *err);

/* Appends the file's text. */
KS_MUST_CHECK bool ks_grace_print(const struct ks_grace *grace, struct ks_buf *text,
				  struct ks_error *err);

void ks_grace_drop(struct ks_grace *grace, size_t i);

bool ks_grace_has(const struct ks_grace *grace, const char *name);

void ks_grace_free(struct ks_grace *grace);

#endif
