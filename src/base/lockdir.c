/* SPDX-License-Identifier: MIT */
#include "base/lockdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/place.h"
#include "base/temporary.h"

bool ks_lockdir_lock(int dir, struct ks_error *err)
{
	while (flock(dir, LOCK_EX))
		if (errno != EINTR)
			return ks_fail_errno(err, "lock");
	return true;
}

/* Closes FD where that fails. */
static DIR *list(int fd)
{
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir)
		ks_fd_close(&fd);
	return dir;
}

static struct dirent *next(DIR *dir)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	return readdir(dir);
}

void ks_lockdir_tidy(int dir)
{
	DIR *names = list(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct ks_error ignored;
	struct dirent *entry;

	if (!names)
		return;
	while ((entry = next(names)))
		if (ks_temporary_is_name(entry->d_name) && unlinkat(dir, entry->d_name, 0))
			(void)!ks_lockdir_remove(dir, entry->d_name, &ignored);
	closedir(names);
}

bool ks_lockdir_rename_new(int dir, const char *from, const char *to)
{
	struct stat st;

	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	/* A file system that cannot: the lock keeps other runs away. */
	if (fstatat(dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return false;
	}
	return errno == ENOENT && renameat(dir, from, dir, to) == 0;
}

bool ks_lockdir_link(int dir, const char *name, const char *target, bool *done,
		     struct ks_error *err)
{
	char temporary[KS_TEMPORARY_SIZE];

	*done = false;
	if (!ks_temporary_name(temporary, err))
		return false;
	if (symlinkat(target, dir, temporary))
		return ks_fail_errno(err, "make link");
	if (renameat(dir, temporary, dir, name)) {
		ks_fail_errno(err, name);
		unlinkat(dir, temporary, 0);
		return false;
	}
	*done = true;
	return ks_dir_sync(dir, err);
}

bool ks_lockdir_remove(int dir, const char *name, struct ks_error *err)
{
	DIR *names = list(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	struct dirent *entry;
	bool ok = true;

	if (!names)
		return ks_fail_errno(err, "open");
	while ((entry = next(names)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(names), entry->d_name, 0) && ok)
			ok = ks_fail_errno(err, entry->d_name);
	closedir(names);
	return ok && (unlinkat(dir, name, AT_REMOVEDIR) == 0 || ks_fail_errno(err, "remove"));
}
