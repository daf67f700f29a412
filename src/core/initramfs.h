/* SPDX-License-Identifier: MIT */
/*
 * The kernel modules inside an initramfs image.  An image (the kernel's Documentation/driver-api/
 * early-userspace/buffer-format.rst, and init/initramfs.c for what that leaves open) is a sequence
 * of cpio archives in the newc or crc format (070701, 070702), each as it is or packed, with zeros
 * between them.  A trailer ("TRAILER!!!") may end an archive.
 *
 * Packed ones may be gzip, xz, zstd, lzma and, where liblz4 was there at build time, lz4 (the legacy
 * frame); bzip2 and lzo are not read.  Behind one in zstd (a frame each) or lz4 may follow whatever
 * a kernel takes there.  Where the others end is known to their decoders only, so one in gzip, xz
 * or lzma has to go to the end of the file, as all common tools make it: behind it may be zeros (not
 * lzma) and more of the same kind, and anything else is an error.
 */
#ifndef KS_CORE_INITRAMFS_H
#define KS_CORE_INITRAMFS_H

#include "base/buf.h"

/*
 * Called for every regular file whose name ends like a module's (ks_codec_is_module_name()).  PATH
 * is without "/" and "./" in front, and else as it stands in the archive: raw bytes, not followed
 * through symlinks; CONTENT as well, in its own container where it has one.  Both stay during the
 * call only.  False ends the walk with *ERR.
 */
typedef bool ks_initramfs_each(void *ctx, const char *path, struct ks_view content,
			       struct ks_error *err);

/*
 * Calls EACH for the modules in the image FILE, in the order in which they stand there; but names
 * of one file (hard links) come when their archive ends, each with the content that stands with any
 * of them.  A path that comes twice is there twice: the kernel keeps the last.  LIMIT is for all
 * bytes that are unpacked.  No file is made longer, and no memory taken, by a header's claim.
 *
 * KS_ERR_INPUT: damaged, truncated, or neither cpio nor packed in a known way; the modules in front
 * of the damage were called for.  KS_ERR_UNSUPPORTED: packed with bzip2 or lzo, or what
 * ks_codec.unpack calls so.  An empty file, or one of zeros, has no modules and is no error.
 * The checksums of the crc format are not compared.
 */
KS_MUST_CHECK bool ks_initramfs_modules(struct ks_view file, size_t limit, ks_initramfs_each *each,
					void *ctx, struct ks_error *err);

#endif
