/* SPDX-License-Identifier: MIT */
/* Old copies of modules in a kernel's initramfs: they are loaded before the installed ones. */
#ifndef KS_CORE_STALE_H
#define KS_CORE_STALE_H

#include "base/strings.h"
#include "core/kernel.h"
#include "core/module.h"

struct ks_stale {
	char *image;   /* the initramfs that was looked into, inside the root; or NULL */
	size_t copies; /* of the modules asked for, that were found there */
	struct ks_strings outdated; /* those of them whose bytes, decompressed, are others now */
};

#define KS_STALE __attribute__((cleanup(ks_stale_free))) struct ks_stale

/*
 * Looks for copies of MODULES, paths inside LOAD's root, in the initramfs of KERNEL: initrd.img-V,
 * initramfs-V.img, initrd-V or the one named by pkgbase in /boot, or initrd in the kernel's
 * directory.  None there is no error.  Where it cannot be read, the error names it.
 */
KS_MUST_CHECK bool ks_stale_find(const struct ks_kernel *kernel, const struct ks_load *load,
				 const struct ks_strings *modules, struct ks_stale *stale,
				 struct ks_error *err);

void ks_stale_free(struct ks_stale *stale);

#endif
