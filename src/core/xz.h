/* SPDX-License-Identifier: MIT */
/*
 * What reading, writing and splicing xz share, on top of liblzma.  Format: the .xz file format
 * 1.2.1; its words (Stream, Block, Index, Check) are used as it has them.
 */
#ifndef KS_CORE_XZ_H
#define KS_CORE_XZ_H

#include <lzma.h>

#include "core/codec.h"

/* Each is freed when the scope ends; start them as LZMA_STREAM_INIT, NULL and { 0 }. */
#define KS_XZ_CODER __attribute__((cleanup(lzma_end))) lzma_stream
#define KS_XZ_INDEX __attribute__((cleanup(ks_xz_free_index))) lzma_index
#define KS_XZ_BLOCK __attribute__((cleanup(ks_xz_free_block))) struct ks_xz_block

/* A Block's header.  Not to be copied: header.filters is chain. */
struct ks_xz_block {
	lzma_block header;
	lzma_filter chain[LZMA_FILTERS_MAX + 1];
};

void ks_xz_free_index(lzma_index **index);
void ks_xz_free_block(struct ks_xz_block *block);

/* What the filters of a Block are to a kernel. */
enum ks_xz_kind {
	KS_XZ_LZMA2, /* that one alone */
	KS_XZ_X86,   /* x86 from offset 0 and LZMA2 */
	KS_XZ_DELTA, /* a delta filter among them, which no kernel has */
	KS_XZ_OTHER, /* what kernels have as their configuration and their age have it */
};

enum ks_xz_kind ks_xz_kind_of(const lzma_filter *chain);

/* FILE without the zeros behind it, as far as they are stream padding. */
struct ks_view ks_xz_cut_padding(struct ks_view file);

/*
 * The Footer and the Index of the stream that FILE ends with, without padding.  *INDEX is NULL but
 * for LZMA_OK.  LZMA_MEM_ERROR: no memory; anything else: FILE is not like that.
 */
lzma_ret ks_xz_read_last_index(struct ks_view file, lzma_stream_flags *footer, lzma_index **index);

/* The header of the Block that BYTES start with.  Its filters are freed with BLOCK. */
lzma_ret ks_xz_read_block(struct ks_view bytes, lzma_check check, struct ks_xz_block *block);

/* The filters that modules are packed with; CHAIN (of two) points to OPTIONS. */
bool ks_xz_packing(lzma_options_lzma *options, lzma_filter *chain);

/* Decodes Z's input to its end into SINK; RET is what starting the decoder gave. */
KS_MUST_CHECK bool ks_xz_decode(lzma_stream *z, lzma_ret ret, struct ks_codec_sink *sink,
				struct ks_error *err);

/* The error that RET means; NAME is the container's. */
bool ks_xz_fail(const char *name, lzma_ret ret, struct ks_error *err);

#endif
