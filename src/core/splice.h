/* SPDX-License-Identifier: MIT */
/*
 * Splicing: a compressed module gets another end, and all in front of it stays as it is, byte for
 * byte, compressed as it was.  A signature stands at the end of a module, so signing, signing anew
 * and taking signatures off are this one operation: keep so many bytes, and put these behind them.
 *
 * The outcome is always one member, stream or frame, because a kernel's own reader
 * (kernel/module/decompress.c) reads no second one.
 *
 * Formats: RFC 8878 (zstd), the .xz file format 1.2.1, RFC 1951 and 1952 (gzip).
 */
#ifndef KS_CORE_SPLICE_H
#define KS_CORE_SPLICE_H

#include "base/buf.h"

/* How a file came to hold what it holds. */
enum ks_way {
	KS_WAY_NONE,	/* it was not written */
	KS_WAY_PLAIN,	/* it is not compressed */
	KS_WAY_SPLICED, /* what was kept is as it was, to the byte, but for sizes and end marks */
	KS_WAY_MENDED,	/* spliced, and what kernels or kmod do not take around it was put right */
	KS_WAY_PACKED,	/* compressed anew, all of it */
};

struct ks_written {
	enum ks_way way;
	const char *why; /* MENDED and PACKED: what the old file had ("a second stream"), static;
			    NULL where somebody asked for PACKED */
	int64_t growth; /* bytes that the file is longer than the old one: ks_module_store() says */
};

/*
 * Where a deflate block starts, which only decoding tells: the other formats say it themselves.
 * Bits are those of the file; the lowest bit of its first byte is 0.
 */
struct ks_seam {
	uint64_t bit;
	uint64_t before; /* where the block in front of it starts; 0: it is the first */
	size_t at;	 /* bytes of content in front of it */
	uint32_t crc;	 /* their CRC-32 */
};

enum { KS_SEAMS = 128 };

/*
 * Some of the places where a block starts, in order, and as the last item where the last block
 * ends.  The first item's AT is 0.  Where blocks are many, those near the end are kept rather than
 * those in front.  No two items have the same AT: of the blocks that start there all but the last
 * hold nothing, and that one is meant, so that a cut there loses none of them.
 * Empty for formats that do not need it, and where there is more than one member.
 */
struct ks_seams {
	size_t count;
	struct ks_seam item[KS_SEAMS];
};

struct ks_splice {
	struct ks_view file;	      /* a container, as unpack took it, whole */
	const struct ks_seams *seams; /* what unpack said of it */
	size_t old_len;		      /* bytes of its content */
	size_t keep;		      /* so many of them stay: at most old_len */
	struct ks_view content;	      /* what it shall hold: those KEEP bytes, and the new end */
};

struct ks_splicer {
	/*
	 * Appends the new container to OUT; the same bytes for the same arguments every time.
	 * What cannot be spliced, by its form and not by trial, is *WRITTEN KS_WAY_PACKED with
	 * the reason, and OUT is untouched.  Never fails but for want of memory.
	 */
	KS_MUST_CHECK bool (*splice)(const struct ks_splice *splice, struct ks_buf *out,
				     struct ks_written *written, struct ks_error *err);

	/*
	 * Reads back what splice() made: that OUT is one member, stream or frame which holds
	 * CONTENT.  What is byte for byte the old file's, which was decoded whole, need not be
	 * decoded again; everything else is.  NULL: ks_codec_holds() does it.  KS_ERR_INTERNAL if
	 * it is not so.
	 */
	KS_MUST_CHECK bool (*reread)(const struct ks_splice *splice, struct ks_view out,
				     struct ks_error *err);

	/*
	 * Whether splice() would take the file, and a cut at KEEP would leave nothing to be
	 * compressed again.  CONTENT is not looked at.  False where in doubt.
	 */
	bool (*cuts_cleanly)(const struct ks_splice *splice);
};

/* One a format; each is defined in the file of its name. */
extern const struct ks_splicer ks_splicer_gzip;
extern const struct ks_splicer ks_splicer_xz;
extern const struct ks_splicer ks_splicer_zstd;

/* The error of a container that does not read back as what was meant. */
bool ks_splice_fail(const char *codec, const char *what, struct ks_error *err);

#endif
