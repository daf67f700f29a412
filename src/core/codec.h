/* SPDX-License-Identifier: MIT */
/*
 * The containers a module file comes in: plain, gzip (RFC 1952), xz and zstd (RFC 8878), told
 * apart by their first bytes.  One row of the table is one container.
 *
 * Everything here is safe in threads.  Errors name the container and the cause ("xz: truncated"),
 * never a file.
 */
#ifndef KS_CORE_CODEC_H
#define KS_CORE_CODEC_H

#include "core/splice.h"

/* What the kernel's own reader does where it does not take a container as it is. */
enum ks_reading {
	KS_READS_ALL, /* nothing is wrong for it; but for kmod 34, see ks_codec_no_content_size */
	KS_READS_NOTHING, /* the call fails with EINVAL */
	KS_READS_PART,	  /* the first stream, frame or member, as if that were all */
	KS_READS_MAYBE,	  /* it depends on how that kernel was built */
	KS_READS_X86,	  /* all, unless built by experts without CONFIG_XZ_DEC_X86 */
};

struct ks_objection {
	const char *text; /* in plain words */
	enum ks_reading reading;
};

struct ks_codec_sink;

struct ks_codec {
	const char *name;   /* as shown to people and in JSON: "none", "gzip", "xz", "zstd" */
	const char *suffix; /* behind ".ko": "", ".gz", ".xz", ".zst" */
	const char *magic;  /* the container's first bytes; empty for "none" */
	size_t magic_len;

	/* See ks_codec_unpack(): the whole content of FILE goes into SINK. */
	KS_MUST_CHECK bool (*decode)(struct ks_view file, struct ks_codec_sink *sink,
				     struct ks_error *err);

	/*
	 * Appends to FILE a container of one member, stream or frame that holds PLAIN, the way
	 * scripts/Makefile.modinst of the kernel writes it, so that the kernel's own reader
	 * (kernel/module/decompress.c) takes it.  The same bytes for the same PLAIN every time.
	 */
	KS_MUST_CHECK bool (*pack)(struct ks_view plain, struct ks_buf *file, struct ks_error *err);

	/* The container with another end; NULL where nothing is compressed.  See core/splice.h. */
	const struct ks_splicer *splicer;

	/*
	 * What the kernel's own reader (kernel/module/decompress.c: finit_module with
	 * MODULE_INIT_COMPRESSED_FILE) would not take, or would lose, in FILE, which unpack
	 * accepts: one static object, the weightiest if there are several;
	 * NULL if there is nothing.  For what unpack refuses the answer means nothing, but asking
	 * is safe.  Allocates no more than a multiple of FILE's index, and decodes content only
	 * where gzip leaves no other way, and then at most 1 GiB of it.
	 */
	const struct ks_objection *(*objection)(struct ks_view file);
};

/* Whether a file is better written anew: one that usual kernels read need not be. */
static inline bool ks_objection_is_weighty(const struct ks_objection *objection)
{
	return objection && objection->reading != KS_READS_X86;
}

/* Whether kernels as they usually are cannot read the file, or not all of it. */
static inline bool ks_objection_is_kernels(const struct ks_objection *objection)
{
	return ks_objection_is_weighty(objection) && objection->reading != KS_READS_ALL;
}

/* The one objection that is kmod 34's and not a kernel's: a zstd frame without content size. */
extern const struct ks_objection ks_codec_no_content_size;

/* One object a container; each is defined in the file of its name, "none" in codec.c. */
extern const struct ks_codec ks_codec_none;
extern const struct ks_codec ks_codec_gzip;
extern const struct ks_codec ks_codec_xz;
extern const struct ks_codec ks_codec_zstd;

/*
 * Two that kernel images are packed with and modules are not: they only unpack, and neither of the
 * two functions below knows them.  "lzma" (the format of xz --format=lzma; in codec_xz.c) has no
 * real magic.  "lz4" is the legacy frame, which goes to the end of its file; without liblz4 at
 * build time its unpack is KS_ERR_UNSUPPORTED.
 */
extern const struct ks_codec ks_codec_lzma;
extern const struct ks_codec ks_codec_lz4;

/*
 * What these bytes are packed with, of all that kernels and initramfs images are packed with; NULL
 * and *NAME, static, for what is known and not read (bzip2, lzo), both NULL for anything else.
 */
const struct ks_codec *ks_codec_of_image(struct ks_view file, const char **name);

/*
 * Appends the whole content of FILE to PLAIN: every member, stream or frame, checksums verified.
 * PLAIN never holds more than LIMIT bytes, and grows with what was decoded, not with what a header
 * claims; the decoder's own dictionary is at most 128 MiB.
 *
 * KS_ERR_INPUT: truncated, corrupt, larger than LIMIT, or followed by bytes that belong to no
 * member.  xz stream padding, zeros behind the last gzip member and zstd skippable frames do
 * belong.  KS_ERR_UNSUPPORTED: needs a preset dictionary, a larger dictionary (xz, lzma) or window
 * (zstd) than 128 MiB, a filter, method or checksum that nothing here knows.
 */
KS_MUST_CHECK bool ks_codec_unpack(const struct ks_codec *codec, struct ks_view file, size_t limit,
				   struct ks_buf *plain, struct ks_error *err);

/*
 * The same into an empty PLAIN, and SEAMS, if it is not NULL, says what ks_codec_write() wants to
 * know of FILE.
 */
KS_MUST_CHECK bool ks_codec_unpack_seams(const struct ks_codec *codec, struct ks_view file,
					 size_t limit, struct ks_buf *plain, struct ks_seams *seams,
					 struct ks_error *err);

/*
 * Appends to FILE (empty before) a container of one member, stream or frame whose content is
 * SPLICE's, and reads it back.  The container that is there (SPLICE->file) gets another end where
 * its form allows that, which is found out by parsing it; else, or with ANEW, all is compressed
 * anew, and but for ANEW so that the new end can be cut off cleanly.  *WRITTEN says which.
 */
KS_MUST_CHECK bool ks_codec_write(const struct ks_codec *codec, const struct ks_splice *splice,
				  bool anew, struct ks_buf *file, struct ks_written *written,
				  struct ks_error *err);

/* Whether SPLICE would leave nothing to be compressed anew, so that the cut costs next to nothing. */
bool ks_codec_cuts_cleanly(const struct ks_codec *codec, const struct ks_splice *splice);

/* Whether FILE, decoded, is CONTENT to the last byte: an error (KS_ERR_INTERNAL) if it is not. */
KS_MUST_CHECK bool ks_codec_holds(const struct ks_codec *codec, struct ks_view file,
				  struct ks_view content, struct ks_error *err);

/*
 * Whether FILE begins with a frame of zstd's that holds nothing: zstd reads on, but to kernels, kmod and
 * the function below it is no zstd.
 */
bool ks_codec_starts_skippable(struct ks_view file);

/* The container that these bytes are; ks_codec_none where no magic matches.  Never NULL. */
const struct ks_codec *ks_codec_by_magic(struct ks_view file);

/*
 * The container that a module's file name promises: "a.ko" plain, "a.ko.xz" xz.  NULL for what is
 * no module name ("initrd.gz"), which promises nothing.
 */
const struct ks_codec *ks_codec_by_name(const char *name);

/* Whether NAME ends like a module file: ".ko", or ".ko" and a container's suffix. */
bool ks_codec_is_module_name(const char *name);

/*
 * The length of NAME without a container's suffix: "a.ko.xz" and "a.ko" give 4.  Only behind
 * ".ko" is it one: "initrd.gz" gives 9.
 */
size_t ks_codec_plain_name_len(const char *name);

/*
 * For the rows of the table: where a decoder's next bytes go.  Per step ready(), decode into at most
 * room bytes at next, took() what was written.
 */
struct ks_codec_sink {
	const struct ks_codec *codec;
	struct ks_buf *plain; /* NULL where content is compared with EXPECTED and not kept */
	struct ks_view expected;
	size_t limit;		/* bytes that plain may hold in all, or that are expected */
	struct ks_seams *seams; /* what is to be found out by the way, or NULL */

	uint8_t *next;
	size_t room;	       /* bytes at next; never 0 after ready() */
	uint8_t spare;	       /* next when plain is full: writing here is what exceeds the limit */
	struct ks_buf scratch; /* next where nothing is kept */
	size_t compared;
};

/* Bytes that count against the limit so far: what PLAIN holds, or what was compared. */
size_t ks_codec_sink_len(const struct ks_codec_sink *sink);

KS_MUST_CHECK bool ks_codec_sink_ready(struct ks_codec_sink *sink, struct ks_error *err);
KS_MUST_CHECK bool ks_codec_sink_took(struct ks_codec_sink *sink, size_t written,
				      struct ks_error *err);

/* The error of content that does not fit into LIMIT. */
bool ks_codec_fail_limit(const struct ks_codec *codec, size_t limit, struct ks_error *err);

#endif
