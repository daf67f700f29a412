/* SPDX-License-Identifier: MIT */
/* Who loads modules: one kernel with all that its answers depend on, and the kmod in front of it. */
#ifndef KS_CORE_LOADER_H
#define KS_CORE_LOADER_H

#include "core/module.h"
#include "core/trust.h"

struct ks_loader {
	const struct ks_trust *trust;
	enum ks_kernel_reader reader;
	int kmod;		    /* ks_kmod_version() */
	enum ks_answer modversions; /* CONFIG_MODVERSIONS */
	char *vermagic;		    /* of a module of the kernel's own package; NULL without one */
};

/*
 * TRUST is that of KERNEL, and has to outlive LOADER; modules are read as LOAD says.  Fails only for
 * want of memory.
 */
KS_MUST_CHECK bool ks_loader_find(const struct ks_kernel *kernel, const struct ks_load *load,
				  const struct ks_trust *trust, struct ks_loader *loader,
				  struct ks_error *err);

void ks_loader_free(struct ks_loader *loader);

#endif
