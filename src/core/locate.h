/* SPDX-License-Identifier: MIT */
/*
 * Which module files a request means: those of a kernel, of one directory, or by name, and which
 * of them are out of tree.
 */
#ifndef KS_CORE_LOCATE_H
#define KS_CORE_LOCATE_H

#include "core/kernel.h"
#include "core/module.h"

struct ks_locate {
	struct ks_load load;		/* root, and the limit for modules that have to be read */
	const struct ks_kernel *kernel; /* NULL only if DIR is given, or every NAME is a path */
	const char *dir;		/* the module files directly in it, or NULL */
	char *const *name;		/* paths, and names of the kernel's modules */
	size_t names;
	bool in_tree; /* the kernel's in-tree modules too (without DIR and NAME) */
	unsigned jobs;
};

struct ks_found {
	char *path; /* canonical, inside the root; as given where it leads nowhere */
	bool in_tree;
	bool by_choice; /* asked for by name or path */
};

struct ks_modules {
	struct ks_found *item; /* sorted by path, no path twice */
	size_t count;
	size_t cap;
	size_t out_of_tree;	  /* how many of them */
	struct ks_strings faults; /* an error line for each thing that could not be found */
};

#define KS_MODULES __attribute__((cleanup(ks_modules_free))) struct ks_modules

/* Whether NAME is taken for a path: it has a slash in it or ends like a module file. */
bool ks_locate_is_path(const char *name);

/* The name of the module in the file PATH, as the file has it: LEN bytes inside of PATH. */
const char *ks_locate_name(const char *path, size_t *len);

/*
 * Out of tree is what modules.order of the kernel does not name; without that file, what lies in
 * updates/ or carries no "intree: Y" (every module is read then).  A name is resolved as libkmod
 * does, by modules.dep and then by file name, '-' and '_' alike.  A name that stands
 * for nothing and a directory that cannot be read go into faults, and the rest is found all the
 * same; a path that leads nowhere is left to who reads it.  Fails for want of memory, or where the
 * kernel's own files or DIR cannot be read; an empty result is no error.
 */
KS_MUST_CHECK bool ks_locate(const struct ks_locate *request, struct ks_modules *modules,
			     struct ks_error *err);

void ks_modules_free(struct ks_modules *modules);

#endif
