/* SPDX-License-Identifier: MIT */
/* Whether bytes are a whole ELF relocatable object, which is what a kernel module is. */
#ifndef KS_CORE_ELF_H
#define KS_CORE_ELF_H

#include "base/buf.h"

/*
 * *END becomes the offset behind the last byte that the ELF header, the section table or a
 * section needs, in either class and byte order.  No ELF, another type than ET_REL, or one that
 * needs more bytes than IMAGE has (truncated): KS_ERR_INPUT.
 */
KS_MUST_CHECK bool ks_elf_check(struct ks_view image, size_t *end, struct ks_error *err);

/*
 * The content of the section NAME, inside IMAGE, which has passed ks_elf_check(); false where there
 * is none, it takes no room in the file, or the names of sections cannot be found.
 */
bool ks_elf_section(struct ks_view image, const char *name, struct ks_view *content);

#endif
