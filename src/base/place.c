/* SPDX-License-Identifier: MIT */
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINKS = 40 }; /* the kernel's own limit, MAXSYMLINKS */

struct walk {
	int root;		 /* where an absolute link starts */
	int dir;		 /* the directory reached so far */
	char done[PATH_MAX];	 /* its canonical path; empty for the root */
	char todo[PATH_MAX];	 /* what remains to be followed */
	char name[NAME_MAX + 1]; /* the component in hand */
	int links;
	const struct ks_place_watch *watch; /* or NULL */
};

static bool too_long(struct ks_error *err)
{
	errno = ENAMETOOLONG;
	return ks_fail_errno(err, "path");
}

static bool enter(struct walk *w, const char *name, struct ks_error *err)
{
	int fd = openat(w->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ks_fail_errno(err, "open");
	close(w->dir);
	w->dir = fd;
	return true;
}

static bool enter_root(struct walk *w, struct ks_error *err)
{
	int fd = openat(w->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ks_fail_errno(err, "open root");
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	return true;
}

/* Goes up by going down again from the root: a directory's ".." can lead out of the root. */
static bool go_up(struct walk *w, struct ks_error *err)
{
	char path[PATH_MAX];
	char *slash = strrchr(w->done, '/');
	char *save = NULL;

	if (slash)
		*slash = '\0';
	if (!enter_root(w, err))
		return false;
	memcpy(path, w->done, sizeof(path));
	for (char *part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save))
		if (!enter(w, part, err))
			return false;
	return true;
}

static bool append_done(struct walk *w, struct ks_error *err)
{
	size_t len = strlen(w->done);

	if (len + strlen(w->name) + 2 > sizeof(w->done))
		return too_long(err);
	w->done[len] = '/';
	strcpy(w->done + len + 1, w->name);
	return true;
}

/* Takes the next component off todo; an empty name means that nothing is left. */
static bool next_name(struct walk *w, struct ks_error *err)
{
	size_t skip = strspn(w->todo, "/");
	size_t len = strcspn(w->todo + skip, "/");

	if (len > NAME_MAX)
		return too_long(err);
	memcpy(w->name, w->todo + skip, len);
	w->name[len] = '\0';
	memmove(w->todo, w->todo + skip + len, strlen(w->todo + skip + len) + 1);
	return true;
}

static bool is_last(const struct walk *w)
{
	return w->todo[strspn(w->todo, "/")] == '\0';
}

static bool follow(struct walk *w, const char *target, struct ks_error *err)
{
	char rest[PATH_MAX];

	if (++w->links > MAX_LINKS) {
		errno = ELOOP;
		return ks_fail_errno(err, "symlink");
	}
	memcpy(rest, w->todo, sizeof(rest));
	if ((size_t)snprintf(w->todo, sizeof(w->todo), "%s/%s", target, rest) >= sizeof(w->todo))
		return too_long(err);
	if (target[0] != '/')
		return true;
	w->done[0] = '\0';
	return enter_root(w, err);
}

static bool show(const struct walk *w, struct ks_error *err)
{
	struct stat dir, st;
	bool there;

	if (!w->watch)
		return true;
	if (fstat(w->dir, &dir))
		return ks_fail_errno(err, "stat directory");
	there = fstatat(w->dir, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there && errno != ENOENT)
		return ks_fail_errno(err, "open");
	w->watch->look(w->watch->ctx, w->done[0] ? w->done : "/", &dir, w->name,
		       there ? &st : NULL);
	return true;
}

/* One component; *found when it is the last one and no symlink. */
static bool step(struct walk *w, bool *found, struct ks_error *err)
{
	char target[PATH_MAX];
	ssize_t len;

	if (strcmp(w->name, ".") == 0)
		return true;
	if (strcmp(w->name, "..") == 0)
		return go_up(w, err);
	if (!show(w, err))
		return false;
	len = readlinkat(w->dir, w->name, target, sizeof(target));
	if (len == (ssize_t)sizeof(target))
		return too_long(err);
	if (len >= 0) {
		target[len] = '\0';
		return follow(w, target, err);
	}
	if (errno != EINVAL && !(errno == ENOENT && is_last(w)))
		return ks_fail_errno(err, "open");
	*found = is_last(w);
	return *found || (enter(w, w->name, err) && append_done(w, err));
}

/*
 * A path that ends in a directory already entered ("/", "a/..") has no last name: "." then.
 */
static bool walk_all(struct walk *w, struct ks_error *err)
{
	bool found = false;

	while (!found) {
		if (!next_name(w, err))
			return false;
		if (w->name[0] == '\0') {
			strcpy(w->name, ".");
			return true;
		}
		if (!step(w, &found, err))
			return false;
	}
	return append_done(w, err);
}

static bool start(struct walk *w, const char *root, const char *path, struct ks_error *err)
{
	char cwd[PATH_MAX] = "";
	const char *base = root ? root : "/";

	if (path[0] == '\0') {
		errno = ENOENT;
		return ks_fail_errno(err, "empty path");
	}
	if (!root && path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return ks_fail_errno(err, "working directory");
	if ((size_t)snprintf(w->todo, sizeof(w->todo), "%s/%s", cwd, path) >= sizeof(w->todo))
		return too_long(err);
	w->root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0) {
		ks_fail_errno(err, "root directory");
		return ks_at(err, base);
	}
	return enter_root(w, err);
}

bool ks_place_find(struct ks_place *place, const char *root, const char *path, struct ks_error *err)
{
	return ks_place_watch(place, root, path, NULL, err);
}

bool ks_place_watch(struct ks_place *place, const char *root, const char *path,
		    const struct ks_place_watch *watch, struct ks_error *err)
{
	struct walk w = { .root = -1, .dir = -1, .watch = watch };
	bool ok = start(&w, root, path, err) && walk_all(&w, err);

	*place = KS_PLACE_NONE;
	if (ok) {
		place->dir = w.dir;
		place->name = strdup(w.name);
		place->path = strdup(w.done[0] ? w.done : "/");
		w.dir = -1;
		if (!place->name || !place->path) {
			ks_place_close(place);
			ok = ks_fail_memory(err);
		}
	}
	ks_fd_close(&w.dir);
	ks_fd_close(&w.root);
	return ok;
}

bool ks_place_exists(const char *root, const char *path)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct ks_error ignored;
	struct stat st;

	return ks_place_find(&place, root, path, &ignored) &&
	       fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool ks_place_open(const struct ks_place *place, int flags, int *fd, struct ks_error *err)
{
	*fd = openat(place->dir, place->name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0)
		return ks_fail_errno(err, "open");
	return true;
}

void ks_place_close(struct ks_place *place)
{
	ks_fd_close(&place->dir);
	free(place->name);
	free(place->path);
	*place = KS_PLACE_NONE;
}

void ks_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
