/* SPDX-License-Identifier: MIT */
/*
 * A request to a signing service, as a file: JSON (RFC 8259), of which kernel-sign(8) says what is in
 * it.  On its way back it may have been through anybody's hands.
 */
#ifndef KS_CLI_TICKET_H
#define KS_CLI_TICKET_H

#include "base/buf.h"
#include "core/openssl.h"

enum { TICKET_LIMIT = 64 << 10 /* bytes of the file */ };

struct ticket {
	char *path_hex; /* the module's path, any bytes, in hexadecimal */
	char *path;	/* the same to be shown; read from a file, it may be anything */
	char *hash;
	char *digest; /* of the image, hexadecimal */
	bool stack;
	X509 *cert;

	/* Told to the service, and not read again. */
	char *kernel; /* or NULL */
	size_t image_size;
	const char *name; /* of the ticket's files, borrowed */
};

#define TICKET __attribute__((cleanup(ticket_free))) struct ticket

/* Fills PATH and PATH_HEX. */
KS_MUST_CHECK bool ticket_set_path(struct ticket *ticket, const char *path, struct ks_error *err);

KS_MUST_CHECK bool ticket_print(const struct ticket *ticket, struct ks_buf *file,
				struct ks_error *err);

/* KS_ERR_INPUT for whatever is not such a file, KS_ERR_UNSUPPORTED for another version of it. */
KS_MUST_CHECK bool ticket_parse(struct ks_view file, struct ticket *ticket, struct ks_error *err);

/* NULL where both ask for the same signature; else what OLD asks for instead: "for another hash". */
const char *ticket_difference(const struct ticket *ticket, const struct ticket *old);

void ticket_free(struct ticket *ticket);

#endif
