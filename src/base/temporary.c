/* SPDX-License-Identifier: MIT */
#include "base/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/place.h"

static const char prefix[] = ".kernel-sign-";
static const char suffix[] = ".tmp";

enum { DIGITS = 16 };

bool ks_temporary_name(char name[KS_TEMPORARY_SIZE], struct ks_error *err)
{
	uint64_t random;
	ssize_t n;

	do
		n = getrandom(&random, sizeof(random), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(random))
		return ks_fail_errno(err, "random number");
	snprintf(name, KS_TEMPORARY_SIZE, "%s%0*llx%s", prefix, DIGITS, (unsigned long long)random,
		 suffix);
	return true;
}

bool ks_temporary_is_name(const char *name)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 &&
	       strspn(name + len, "0123456789abcdef") == DIGITS &&
	       strcmp(name + len + DIGITS, suffix) == 0;
}

bool ks_temporary_hold(int fd, bool *lost, struct ks_error *err)
{
	struct stat st;

	*lost = false;
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return true;
	if (fstat(fd, &st))
		return ks_fail_errno(err, "stat");
	*lost = st.st_nlink == 0;
	return true;
}

static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (geteuid() == 0 || st->st_uid == geteuid());
}

/* The lock is asked for first, for whoever holds it may just be giving the file its real name. */
static void tidy_file(int dir, const char *name)
{
	struct stat held, named;
	KS_FD fd = -1;

	if (fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) || !is_ours(&named))
		return;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &held) ||
	    fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW))
		return;
	if (is_ours(&held) && held.st_dev == named.st_dev && held.st_ino == named.st_ino)
		unlinkat(dir, name, 0);
}

void ks_temporary_tidy(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!names) {
		ks_fd_close(&fd);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	while ((entry = readdir(names)))
		if (ks_temporary_is_name(entry->d_name))
			tidy_file(dir, entry->d_name);
	closedir(names);
}
