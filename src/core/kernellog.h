/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's log says of modules that it did not take, or did not like: /dev/kmsg (the
 * kernel's Documentation/ABI/testing/dev-kmsg).
 */
#ifndef KS_CORE_KERNELLOG_H
#define KS_CORE_KERNELLOG_H

#include <stddef.h>

#include "base/error.h"

/* Why the line was printed, in the kernel's own terms. */
enum ks_log_cause {
	KS_LOG_NONE,	  /* never that of a line that is given */
	KS_LOG_UNSIGNED,  /* "Loading of unsigned module is rejected" */
	KS_LOG_NO_KEY,	  /* "Loading of module with unavailable key is rejected" */
	KS_LOG_NO_CRYPTO, /* "Loading of module with unsupported crypto is rejected" */
	KS_LOG_LOCKDOWN,  /* the same three where lockdown asked for signatures */
	KS_LOG_TAINTS,	  /* loaded without a good signature; only the first of a boot */
	KS_LOG_REVOKED,	  /* "Module hash ... is blacklisted" */
	KS_LOG_SHUT_OUT,  /* "Module ... is blacklisted": by the parameter module_blacklist= */
	KS_LOG_TRAILER,	  /* the information block behind the message */
	KS_LOG_MESSAGE, /* the PKCS#7 message; of whatever the kernel verifies, not modules only */
	KS_LOG_CONTAINER,      /* its decompressor gave up */
	KS_LOG_VERSION_MAGIC,  /* built for another kernel */
	KS_LOG_SYMBOL_VERSION, /* likewise, by the checksum of a symbol */
};

struct ks_log_line {
	enum ks_log_cause cause;
	double seconds; /* since boot, as far as the kernel's log counts them: not while suspended */
	/*
	 * The kernel's words: raw bytes, in which newlines and anything else can stand, as names
	 * come from files.  Only NUL is still \x00.
	 */
	char *text;
	char *module; /* its name, where the line has it; else NULL */
};

struct ks_kernellog {
	struct ks_log_line *line; /* the oldest first */
	size_t count;
	bool lost;    /* there were lines, or could have been, that were overwritten unread */
	char *unread; /* why the log, or the rest of it, could not be read; NULL if it was */
};

#define KS_KERNELLOG __attribute__((cleanup(ks_kernellog_free))) struct ks_kernellog

/*
 * Reads the log and keeps the last MOST lines, at most, that are about signatures and about what
 * else a module is refused for before it runs.  LIVE is a directory whose dev/kmsg is read instead
 * of the host's, a plain file of records; NULL: the host's.  Lines that programs wrote into the log
 * do not count.  No permission, no such device or one that is not the log is no failure, but said
 * in *LOG; false is out of memory.
 */
KS_MUST_CHECK bool ks_kernellog_read(const char *live, size_t most, struct ks_kernellog *log,
				     struct ks_error *err);

void ks_kernellog_free(struct ks_kernellog *log);

#endif
