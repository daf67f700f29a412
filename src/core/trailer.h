/* SPDX-License-Identifier: MIT */
/*
 * What stands at the end of a signed module: the message, a 12-byte information block and a
 * 28-byte marker (Linux scripts/sign-file.c, struct module_signature of
 * include/linux/module_signature.h).  Pure bytes: whether the message is good is signature.h's.
 */
#ifndef KS_CORE_TRAILER_H
#define KS_CORE_TRAILER_H

#include "base/buf.h"

enum ks_trailer_kind {
	KS_TRAILER_NONE,      /* no marker at the very end: unsigned, as the kernel sees it */
	KS_TRAILER_WHOLE,     /* image and message are set */
	KS_TRAILER_MALFORMED, /* a marker, but the kernel would refuse the block before it */
};

struct ks_trailer {
	enum ks_trailer_kind kind;
	struct ks_view image;	/* what the signature covers; the whole file unless WHOLE */
	struct ks_view message; /* the PKCS#7 message; WHOLE only */
	const char *fault;	/* MALFORMED only: which field, in words; static */
	int sys;		/* MALFORMED only: a kernel's errno for it, EBADMSG or ENOPKG */
};

/* Reads the outermost trailer of FILE; the views point into FILE. */
struct ks_trailer ks_trailer_parse(struct ks_view file);

/* How many trailers FILE ends with, one behind the other, a malformed one included. */
size_t ks_trailer_count(struct ks_view file);

/* Appends MESSAGE, its information block and the marker. */
KS_MUST_CHECK bool ks_trailer_append(struct ks_buf *file, struct ks_view message,
				     struct ks_error *err);

#endif
