/* SPDX-License-Identifier: MIT */
/* Requests to a signing service, as they come back from wherever they have been. */
#include <string.h>

#include "cli/ticket.h"
#include "fuzz.h"

bool fuzz_accepted; /* it is a request */

/* What was read and is written is read as the same. */
static void check_again(struct ticket *t)
{
	TICKET again = { 0 };
	KS_BUF file = { 0 };
	struct ks_error err;

	t->name = "name";
	if (!ticket_print(t, &file, &err)) {
		/* A certificate may be one that cannot be described. */
		MUST(*err.text);
		return;
	}
	if (file.len > TICKET_LIMIT)
		return;
	MUST(ticket_parse(ks_buf_view(&file), &again, &err));
	MUST(!ticket_difference(t, &again));
	MUST(strcmp(t->path, again.path) == 0);
	for (size_t i = 0; i < file.len; i++)
		MUST(file.data[i] < 0x80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TICKET t = { 0 };
	struct ks_error err;

	fuzz_accepted = ticket_parse(fuzz_view(data, size), &t, &err);
	if (!fuzz_accepted) {
		MUST(err.code != KS_ERR_NONE && *err.text && !strchr(err.text, '\n'));
		MUST(!t.cert && !t.path);
		return 0;
	}
	MUST(t.cert && t.path && t.path_hex && t.digest && ks_digest_find(t.hash));
	MUST(size <= TICKET_LIMIT);
	check_again(&t);
	return 0;
}
