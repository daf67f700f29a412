/* SPDX-License-Identifier: MIT */
/*
 * The one error: made where the fault is seen, passed up unchanged, printed only by the program.
 *
 * A function that can fail returns bool and takes a struct ks_error as its last argument, never
 * NULL.  On false the error is filled in and no other output of the function may be used.
 * Making an error never allocates memory.
 */
#ifndef KS_BASE_ERROR_H
#define KS_BASE_ERROR_H

#include <limits.h>
#include <stdbool.h>

#define KS_MUST_CHECK __attribute__((warn_unused_result))
#define KS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum ks_code {
	KS_ERR_NONE = 0,
	KS_ERR_SYSTEM,	    /* a system call failed: ks_error.sys is its errno */
	KS_ERR_INPUT,	    /* a file's content is not what it has to be */
	KS_ERR_UNSUPPORTED, /* well formed, but nothing here can do it */
	KS_ERR_CRYPTO,	    /* OpenSSL failed */
	KS_ERR_KEY,	    /* key and certificate cannot be used together, or at all */
	KS_ERR_CHANGED,	    /* a file was changed by somebody else while it was worked on */
	KS_ERR_MISSING,	    /* nothing there that answers to a name */
	KS_ERR_USAGE,	    /* the request itself makes no sense */
	KS_ERR_INTERNAL,    /* what was made here is not what was meant: nothing was written */
};

enum { KS_ERROR_TEXT = PATH_MAX + 512 };

struct ks_error {
	enum ks_code code;
	int sys;		  /* errno of a KS_ERR_SYSTEM, else 0 */
	char text[KS_ERROR_TEXT]; /* one line without newline; names in it are raw bytes */
};

/* Each of these returns false, so that failing is one line: return ks_fail(...). */
bool ks_fail(struct ks_error *err, enum ks_code code, const char *fmt, ...) KS_PRINTF(3, 4);

/* "WHAT: strerror(errno)"; WHAT is the system call or the thing that was tried. */
bool ks_fail_errno(struct ks_error *err, const char *what);

/* The same with "PATH: " in front. */
bool ks_fail_errno_at(struct ks_error *err, const char *path, const char *what);

/* "memory: ..." for want of it, errno or not. */
bool ks_fail_memory(struct ks_error *err);

/* Puts "NAME: " in front of the text; done once, by the layer where bytes meet a name. */
bool ks_at(struct ks_error *err, const char *name);

/* Whether a path led nowhere: a part of it is not there, is no directory, or a link in a circle. */
bool ks_error_is_nowhere(const struct ks_error *err);

/* Whether something is there, perhaps, that this user may not read. */
bool ks_error_is_denied(const struct ks_error *err);

/* That they are false is known to the compiler too, and to whoever analyses the code. */
static inline bool ks_false(bool failed)
{
	(void)failed;
	return false;
}
#define ks_fail(...) ks_false(ks_fail(__VA_ARGS__))
#define ks_fail_errno(err, what) ks_false(ks_fail_errno(err, what))
#define ks_fail_errno_at(err, path, what) ks_false(ks_fail_errno_at(err, path, what))
#define ks_fail_memory(err) ks_false(ks_fail_memory(err))
#define ks_at(err, name) ks_false(ks_at(err, name))

#endif
