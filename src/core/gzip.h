/* SPDX-License-Identifier: MIT */
/* What codec_gzip.c and splice_gzip.c share; nobody else includes it.  RFC 1951 and 1952. */
#ifndef KS_CORE_GZIP_H
#define KS_CORE_GZIP_H

#include "base/buf.h"

/* Makes zlib's input pointer a pointer to const. */
#define ZLIB_CONST
#include <zlib.h>

enum {
	KS_GZIP_HEADER = 10, /* bytes of the part that every header has */
	KS_GZIP_FLAGS = 3,   /* the byte of it that these are in */
	KS_GZIP_TEXT = 0x01,
	KS_GZIP_CRC = 0x02,
	KS_GZIP_EXTRA = 0x04,
	KS_GZIP_NAME = 0x08,
	KS_GZIP_COMMENT = 0x10,
	KS_GZIP_RESERVED = 0xe0,

	KS_GZIP_RAW = -15,  /* zlib's windowBits: 32 KiB, deflate blocks and nothing around them */
	KS_GZIP_WHOLE = 31, /* 32 KiB, and the gzip header and trailer */
	KS_GZIP_BLOCK =
		128, /* data_type: inflate stopped in front of a block, or behind the last */

	KS_GZIP_LEVEL = 6,
	KS_GZIP_MEM_LEVEL = 8,

	/* zlib counts in 32 bits; a piece this small lets ordinary tests cross from one to the next. */
	KS_GZIP_PIECE = 1 << 20,
};

/* What kernels do not take, or not to the end, in plain words. */
#define KS_GZIP_HAS_EXTRA "an extra field in the header"
#define KS_GZIP_HAS_COMMENT "a comment in the header"
#define KS_GZIP_HAS_CRC "a checksum of the header"
#define KS_GZIP_HAS_SECOND "a second member"

static inline uInt ks_gzip_piece(size_t len)
{
	return len < KS_GZIP_PIECE ? (uInt)len : KS_GZIP_PIECE;
}

/* A z_stream of zeros, or one whose init failed, may be ended too. */
static inline void ks_gzip_free_inflate(z_stream *z)
{
	inflateEnd(z);
}

static inline void ks_gzip_free_deflate(z_stream *z)
{
	deflateEnd(z);
}

#define KS_INFLATE __attribute__((cleanup(ks_gzip_free_inflate))) z_stream
#define KS_DEFLATE __attribute__((cleanup(ks_gzip_free_deflate))) z_stream

/* Appends to OUT what Z makes of all of PLAIN, whose end is flushed with FLUSH. */
KS_MUST_CHECK bool ks_gzip_deflate(z_stream *z, struct ks_view plain, int flush, struct ks_buf *out,
				   struct ks_error *err);

#endif
