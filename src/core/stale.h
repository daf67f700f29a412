/* SPDX-License-Identifier: MIT */
/* Old copies of modules in a kernel's initramfs: they are loaded before the installed ones. */
#ifndef KS_CORE_STALE_H
#define KS_CORE_STALE_H

#include "base/strings.h"
#include "core/kernel.h"
#include "core/module.h"

/* One initramfs. */
struct ks_stale_image {
	char *path;    /* inside the root */
	char *unread;  /* why it could not be read, or not to its end: one line; or NULL */
	size_t copies; /* of the modules asked for, how many were found there */
	/*
	 * Those of them whose bytes, decompressed, are others now, sorted.  Of copies of one name the
	 * last counts, as for the kernel.  What is signed neither here nor there is no other module.
	 */
	struct ks_strings outdated;
};

struct ks_stale {
	struct ks_stale_image *image;
	size_t count;
};

#define KS_STALE __attribute__((cleanup(ks_stale_free))) struct ks_stale

/*
 * Looks for copies of MODULES, paths inside LOAD's root, in every initramfs of KERNEL:
 *   initrd.img-V, initramfs-V.img and initrd-V in /boot;
 *   initrd and initramfs.img in the kernel's own directory;
 *   initramfs-P.img and initramfs-P-fallback.img in /boot, where its pkgbase says P;
 *   ID/V/initrd and ID/V/initrd.img-V in /boot, /efi and /boot/efi, where /etc/kernel/entry-token
 *   or /etc/machine-id says ID;
 * each file once, whatever its names.  None there is no error.  Fails only for want of memory.
 */
KS_MUST_CHECK bool ks_stale_find(const struct ks_kernel *kernel, const struct ks_load *load,
				 const struct ks_strings *modules, struct ks_stale *stale,
				 struct ks_error *err);

/* How many outdated copies all of the images have. */
size_t ks_stale_outdated(const struct ks_stale *stale);

void ks_stale_free(struct ks_stale *stale);

#endif
