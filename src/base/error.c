/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool(ks_fail)(struct ks_error *err, enum ks_code code, const char *fmt, ...)
{
	va_list args;

	err->code = code;
	err->sys = 0;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return false;
}

bool(ks_fail_errno)(struct ks_error *err, const char *what)
{
	int saved = errno;

	err->code = KS_ERR_SYSTEM;
	err->sys = saved;
	/* %m, because strerror() is not safe in threads and strerror_r() has two prototypes. */
	errno = saved;
	snprintf(err->text, sizeof(err->text), "%s: %m", what);
	return false;
}

bool(ks_fail_errno_at)(struct ks_error *err, const char *path, const char *what)
{
	ks_fail_errno(err, what);
	return ks_at(err, path);
}

bool(ks_fail_memory)(struct ks_error *err)
{
	errno = ENOMEM;
	return ks_fail_errno(err, "memory");
}

bool(ks_at)(struct ks_error *err, const char *name)
{
	size_t len = strlen(name);
	size_t keep = strlen(err->text);

	if (len > sizeof(err->text) - 3)
		len = sizeof(err->text) - 3;
	if (keep > sizeof(err->text) - 3 - len)
		keep = sizeof(err->text) - 3 - len;
	memmove(err->text + len + 2, err->text, keep);
	memcpy(err->text, name, len);
	memcpy(err->text + len, ": ", 2);
	err->text[len + 2 + keep] = '\0';
	return false;
}

bool ks_error_is_nowhere(const struct ks_error *err)
{
	return err->sys == ENOENT || err->sys == ENOTDIR || err->sys == ELOOP;
}

bool ks_error_is_denied(const struct ks_error *err)
{
	return err->sys == EACCES || err->sys == EPERM;
}
