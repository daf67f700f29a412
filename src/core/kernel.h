/* SPDX-License-Identifier: MIT */
/* One installed kernel version: its directory of modules and its config. */
#ifndef KS_CORE_KERNEL_H
#define KS_CORE_KERNEL_H

#include "base/strings.h"
#include "core/codec.h"

struct ks_kernel {
	char *version;	 /* "6.12.94+deb13-cloud-amd64": the directory's name and uname -r */
	char *dir;	 /* canonical, inside the root: "/usr/lib/modules/VERSION" */
	bool is_running; /* /proc speaks of it, as whoever found it knows */
};

#define KS_KERNEL __attribute__((cleanup(ks_kernel_free))) struct ks_kernel

/*
 * The kernel VERSION below lib/modules or usr/lib/modules of ROOT (NULL: the host).
 * KS_ERR_MISSING names the versions that there are.
 */
KS_MUST_CHECK bool ks_kernel_find(struct ks_kernel *kernel, const char *root, const char *version,
				  struct ks_error *err);

/* All versions, sorted; none is no error. */
KS_MUST_CHECK bool ks_kernel_versions(const char *root, struct ks_strings *versions,
				      struct ks_error *err);

/*
 * *VALUE and *FILE (both the caller's) become SYMBOL's value and the config file that sets it, the
 * first of /proc/config.gz of the running kernel, build/.config, build/include/config/auto.conf,
 * config and /boot/config-VERSION that can be read; NULL where none does.
 */
KS_MUST_CHECK bool ks_kernel_config(const struct ks_kernel *kernel, const char *root,
				    const char *symbol, char **value, char **file,
				    struct ks_error *err);

/*
 * Whether one of those that the kernel's packages bring may not be read by this user, be it there or
 * not; ERR then says which, and why.  Fails for want of memory.
 */
KS_MUST_CHECK bool ks_kernel_config_denied(const struct ks_kernel *kernel, const char *root,
					   bool *is_denied, struct ks_error *err);

/* What a kernel does with compressed modules that it is handed as they are. */
enum ks_kernel_reader {
	KS_READER_UNKNOWN, /* no config could be read */
	KS_READER_NONE,	   /* no CONFIG_MODULE_DECOMPRESS: kmod decompresses, or nobody */
	KS_READER_GZIP,	   /* that one format and no other */
	KS_READER_XZ,
	KS_READER_XZ_PLAIN, /* xz without CONFIG_XZ_DEC_X86, as only experts build it */
	KS_READER_ZSTD,
};

/* The format that READER takes; NULL where it takes none, or nobody knows. */
const struct ks_codec *ks_reader_codec(enum ks_kernel_reader reader);

/* What READER makes of a file of its format; OBJECTION is ks_codec's, or NULL. */
enum ks_reading ks_reader_reads(enum ks_kernel_reader reader, const struct ks_objection *objection);

KS_MUST_CHECK bool ks_kernel_reads(const struct ks_kernel *kernel, const char *root,
				   enum ks_kernel_reader *reader, struct ks_error *err);

/* Major number * 1000 + minor number of a VERSION: 6012 of "6.12.94-amd64"; 0 if it has none. */
int ks_kernel_series(const char *version);

/*
 * Whether PATH (canonical, inside the root) lies below the kernel/ directory of any version, where
 * the kernel's own package, and now and then a vendor, puts modules.
 */
bool ks_kernel_owns(const char *path);

void ks_kernel_free(struct ks_kernel *kernel);

#endif
