/* SPDX-License-Identifier: MIT */
#include "base/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/place.h"

bool ks_dir_names(int fd, struct ks_strings *names, struct ks_error *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;
	struct dirent *entry;
	bool ok = true;

	if (!dir) {
		ks_fail_errno(err, "open");
		ks_fd_close(&own);
		return false;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	while (ok && (errno = 0, entry = readdir(dir)))
		ok = entry->d_name[0] == '.' || ks_strings_add(names, entry->d_name, err);
	if (ok && errno)
		ok = ks_fail_errno(err, "read directory");
	closedir(dir);
	ks_strings_sort(names);
	return ok;
}

bool ks_dir_names_at(const char *root, const char *path, struct ks_strings *names,
		     struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_FD fd = -1;

	return ks_place_find(&place, root, path, err) &&
	       ks_place_open(&place, O_RDONLY | O_DIRECTORY, &fd, err) &&
	       ks_dir_names(fd, names, err);
}

bool ks_dir_sync(int dir, struct ks_error *err)
{
	KS_FD own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return (own >= 0 && fsync(own) == 0) || ks_fail_errno(err, "sync directory");
}

bool ks_dir_sync_name(int dir, int fd, struct ks_error *err)
{
	return ks_dir_sync(dir, err) || (err->sys == EACCES && syncfs(fd) == 0);
}

static bool make(const char *path, struct ks_error *err)
{
	KS_FD above = -1;
	KS_STRING up = NULL;

	if (mkdir(path, 0755))
		return errno == EEXIST || ks_fail_errno(err, "make directory");
	/* The new directory's own "..": PATH may end in slashes. */
	if (!ks_string_print(&up, err, "%s/..", path))
		return false;
	above = open(up, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return above >= 0 ? ks_dir_sync(above, err) : ks_fail_errno(err, "sync directory");
}

bool ks_dir_make(const char *path, struct ks_error *err)
{
	KS_STRING part = NULL;

	if (!path[0]) {
		errno = ENOENT;
		return ks_fail_errno(err, "empty path");
	}
	if (!ks_string_copy(&part, path, err))
		return false;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		bool made;

		*slash = '\0';
		made = make(part, err);
		*slash = '/';
		if (!made)
			return false;
	}
	return make(part, err);
}
