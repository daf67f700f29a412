/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/temporary.h"

/* Reading */

#define READINGS 8 /* of a file whose time of change, and nothing else, moves meanwhile */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim);
}

/*
 * The time of the last change tells a content that was written under an old time stamp; but a new
 * link count changes it too, when another name of the file is replaced.
 */
bool ks_file_same(const struct stat *a, const struct stat *b)
{
	return same_content(a, b) &&
	       (same_time(&a->st_ctim, &b->st_ctim) || a->st_nlink != b->st_nlink);
}

static bool require_regular(const struct stat *st, struct ks_error *err)
{
	if (S_ISREG(st->st_mode))
		return true;
	return ks_fail(err, KS_ERR_INPUT, "%s, not a regular file",
		       S_ISDIR(st->st_mode)  ? "a directory" :
		       S_ISFIFO(st->st_mode) ? "a FIFO" :
		       S_ISSOCK(st->st_mode) ? "a socket" :
		       S_ISLNK(st->st_mode)  ? "a symlink" :
					       "a device");
}

/* What an open descriptor of /proc leads to is no name: "pipe:[4711]". */
static bool leads_to_pipe(const struct ks_place *place)
{
	return place->path && strncmp(place->path, "/proc/", strlen("/proc/")) == 0 &&
	       strncmp(place->name, "pipe:[", strlen("pipe:[")) == 0;
}

/* Looks before it opens: opening a device or a FIFO can already have an effect. */
static bool open_regular(const struct ks_place *place, int *fd, struct stat *st,
			 struct ks_error *err)
{
	if (fstatat(place->dir, place->name, st, AT_SYMLINK_NOFOLLOW))
		return leads_to_pipe(place) ?
			       ks_fail(err, KS_ERR_INPUT, "a pipe, not a regular file") :
			       ks_fail_errno(err, "open");
	if (!require_regular(st, err) ||
	    !ks_place_open(place, O_RDONLY | O_NONBLOCK | O_NOCTTY, fd, err))
		return false;
	if (fstat(*fd, st))
		return ks_fail_errno(err, "stat");
	return require_regular(st, err);
}

/* One byte more than the file has is asked for, so that one that grows is noticed. */
static bool read_all(int fd, size_t size, struct ks_buf *buf, struct ks_error *err)
{
	if (!ks_buf_reserve(buf, size + 1, err))
		return false;
	while (buf->len < buf->cap) {
		ssize_t n = read(fd, buf->data + buf->len, buf->cap - buf->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ks_fail_errno(err, "read");
		if (n == 0)
			break;
		buf->len += (size_t)n;
	}
	return true;
}

static bool read_once(const struct ks_place *place, size_t limit, struct ks_buf *buf,
		      struct stat *before, struct stat *after, struct ks_error *err)
{
	KS_FD fd = -1;

	if (!open_regular(place, &fd, before, err))
		return false;
	if ((uint64_t)before->st_size > limit)
		return ks_fail(err, KS_ERR_INPUT, "%lld bytes, more than the limit of %zu",
			       (long long)before->st_size, limit);
	buf->len = 0;
	if (!read_all(fd, (size_t)before->st_size, buf, err))
		return false;
	return fstat(fd, after) == 0 || ks_fail_errno(err, "stat");
}

/*
 * A file system sets the link count and the time of the change one after the other: who looks in
 * between, while the file is replaced, sees a change where there was none.  So one that only the
 * time tells of is read again.
 */
bool ks_file_read(const struct ks_place *place, size_t limit, struct ks_buf *buf, struct stat *st,
		  struct ks_error *err)
{
	struct stat after;

	for (int i = 0; i < READINGS; i++) {
		if (!read_once(place, limit, buf, st, &after, err))
			return false;
		if (buf->len != (size_t)st->st_size || !same_content(st, &after))
			break;
		if (ks_file_same(st, &after))
			return true;
	}
	return ks_fail(err, KS_ERR_CHANGED, "changed while it was read");
}

bool ks_file_read_path(const char *root, const char *path, size_t limit, struct ks_buf *buf,
		       struct stat *st, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	return ks_place_find(&place, root, path, err) && ks_file_read(&place, limit, buf, st, err);
}

bool ks_file_read_live(const char *root, const char *path, size_t limit, struct ks_buf *buf,
		       struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_FD fd = -1;
	struct stat st;

	if (!ks_place_find(&place, root, path, err) || !open_regular(&place, &fd, &st, err) ||
	    !read_all(fd, limit, buf, err))
		return false;
	return buf->len <= limit ||
	       ks_fail(err, KS_ERR_INPUT, "more than the limit of %zu bytes", limit);
}

/* Writing: a new file is staged beside the old one and takes its name when it is complete. */

struct stage {
	int parent;		      /* the directory, open for reading so that it can be synced */
	int fd;			      /* the new file, locked from before it has a name */
	char name[KS_TEMPORARY_SIZE]; /* its temporary name; empty while it has none */
};

#define STAGE __attribute__((cleanup(stage_drop))) struct stage
#define STAGE_NONE ((struct stage){ .parent = -1, .fd = -1 })

static void stage_drop(struct stage *s)
{
	if (s->name[0])
		unlinkat(s->parent, s->name, 0);
	ks_fd_close(&s->fd);
	ks_fd_close(&s->parent);
}

static bool can_be_linked(int fd)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return access(self, F_OK) == 0;
}

/* Another run may take the new name for a left-over, until the file is locked. */
static bool stage_open_named(struct stage *s, struct ks_error *err)
{
	bool lost = true;

	while (lost) {
		ks_fd_close(&s->fd);
		if (!ks_temporary_name(s->name, err))
			return false;
		s->fd = openat(s->parent, s->name,
			       O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (s->fd < 0) {
			s->name[0] = '\0';
			return ks_fail_errno(err, "make a file in the directory");
		}
		if (!ks_temporary_hold(s->fd, &lost, err))
			return false;
	}
	return true;
}

/* Unnamed where the file system can: then nothing is left behind, however we end. */
static bool stage_open(struct stage *s, int dir, struct ks_error *err)
{
	s->parent = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->parent < 0)
		return ks_fail_errno(err, "open directory");
	s->fd = openat(s->parent, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (s->fd >= 0 && can_be_linked(s->fd))
		return true;
	if (s->fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return ks_fail_errno(err, "make a file in the directory");
	return stage_open_named(s, err);
}

static bool stage_write(struct stage *s, struct ks_view content, struct ks_error *err)
{
	size_t done = 0;

	while (done < content.len) {
		ssize_t n = write(s->fd, content.data + done, content.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ks_fail_errno(err, "write");
		done += (size_t)n;
	}
	return true;
}

static bool stage_sync(struct stage *s, struct ks_error *err)
{
	if (fsync(s->fd))
		return ks_fail_errno(err, "write (fsync)");
	return true;
}

static bool stage_link(struct stage *s, struct ks_error *err)
{
	char self[40], name[sizeof(s->name)];
	bool lost;

	if (s->name[0])
		return true;
	if (!ks_temporary_hold(s->fd, &lost, err) || !ks_temporary_name(name, err))
		return false;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->fd);
	if (linkat(AT_FDCWD, self, s->parent, name, AT_SYMLINK_FOLLOW))
		return ks_fail_errno(err, "make a file in the directory");
	memcpy(s->name, name, sizeof(name));
	return true;
}

/* Closing can report what writing did not; the lock stays, by the other descriptor. */
static bool stage_close(struct stage *s, struct ks_error *err)
{
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0 || close(fd))
		return ks_fail_errno(err, "write (close)");
	return true;
}

/* A file that is in place: a failing sync is reported, but nothing is undone. */
static bool stage_settle(struct stage *s, const struct ks_place *place, struct ks_dirsync *sync,
			 struct ks_error *err)
{
	s->name[0] = '\0';
	if (sync && ks_dirsync_add(sync, &s->parent, place))
		return true;
	ks_temporary_tidy(s->parent);
	if (fsync(s->parent))
		return ks_fail_errno(err, "replaced, but the directory could not be synced");
	return true;
}

static bool stage_commit(struct stage *s, const struct ks_place *place, struct ks_dirsync *sync,
			 struct ks_error *err)
{
	if (renameat(s->parent, s->name, s->parent, place->name))
		return ks_fail_errno(err, "rename");
	return stage_settle(s, place, sync, err);
}

/* Not all file systems rename so; those can make links. */
static bool stage_commit_new(struct stage *s, const struct ks_place *place, struct ks_dirsync *sync,
			     struct ks_error *err)
{
	if (renameat2(s->parent, s->name, s->parent, place->name, RENAME_NOREPLACE)) {
		if (errno != EINVAL || linkat(s->parent, s->name, s->parent, place->name, 0))
			return ks_fail_errno(err, "make");
		unlinkat(s->parent, s->name, 0);
	}
	return stage_settle(s, place, sync, err);
}

/* Extended attributes */

static bool is_carried(const char *attr)
{
	return strcmp(attr, "security.ima") != 0 && strcmp(attr, "security.evm") != 0;
}

static bool list_attrs(int fd, struct ks_buf *names, struct ks_error *err)
{
	ssize_t len = flistxattr(fd, NULL, 0);

	if (len < 0)
		return errno == ENOTSUP ? true : ks_fail_errno(err, "list extended attributes");
	if (len == 0)
		return true;
	if (!ks_buf_reserve(names, (size_t)len, err))
		return false;
	len = flistxattr(fd, (char *)names->data, names->cap);
	if (len < 0)
		return ks_fail_errno(err, "list extended attributes");
	names->len = (size_t)len;
	return true;
}

/* *FOUND is false where the file has no such attribute. */
static bool get_attr(int fd, const char *attr, struct ks_buf *value, bool *found,
		     struct ks_error *err)
{
	ssize_t len = fgetxattr(fd, attr, NULL, 0);

	*found = len >= 0;
	if (len < 0)
		return errno == ENODATA || errno == ENOTSUP ? true : ks_fail_errno(err, attr);
	if (!ks_buf_reserve(value, (size_t)len + 1, err))
		return false;
	len = fgetxattr(fd, attr, value->data, value->cap);
	if (len < 0)
		return ks_fail_errno(err, attr);
	value->len = (size_t)len;
	return true;
}

/* Compared first: a label that is already right need not be one that we may set. */
static bool copy_attr(int from, int to, const char *attr, struct ks_error *err)
{
	KS_BUF wanted = { 0 };
	KS_BUF present = { 0 };
	bool in_old, in_new;

	if (!get_attr(from, attr, &wanted, &in_old, err) ||
	    !get_attr(to, attr, &present, &in_new, err))
		return false;
	if (!in_old || (in_new && ks_view_equal(ks_buf_view(&wanted), ks_buf_view(&present))))
		return true;
	if (fsetxattr(to, attr, wanted.data, wanted.len, 0)) {
		ks_fail_errno(err, attr);
		return ks_at(err, "cannot keep the extended attribute");
	}
	return true;
}

/* What the directory gave the new file and the old one has not: a default ACL, say. */
static bool drop_attr(int from, int to, const char *attr, struct ks_error *err)
{
	if (fgetxattr(from, attr, NULL, 0) >= 0 || errno != ENODATA)
		return true;
	if (fremovexattr(to, attr) && errno != ENODATA)
		return ks_fail_errno(err, attr);
	return true;
}

static bool each_attr(int listed, int from, int to,
		      bool (*apply)(int from, int to, const char *attr, struct ks_error *err),
		      struct ks_error *err)
{
	KS_BUF names = { 0 };

	if (!list_attrs(listed, &names, err))
		return false;
	for (size_t i = 0; i < names.len; i += strlen((char *)names.data + i) + 1)
		if (is_carried((char *)names.data + i) &&
		    !apply(from, to, (char *)names.data + i, err))
			return false;
	return true;
}

static bool copy_metadata(int from, const struct stat *old, int to, struct ks_error *err)
{
	struct stat now;

	if (fstat(to, &now))
		return ks_fail_errno(err, "stat");
	if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) &&
	    fchown(to, old->st_uid, old->st_gid))
		return ks_fail_errno(err, "cannot keep the owner");
	/* Attributes before the mode: a new file is 0600 until all of it is right. */
	if (!each_attr(to, from, to, drop_attr, err) || !each_attr(from, from, to, copy_attr, err))
		return false;
	if (fchmod(to, old->st_mode & 07777))
		return ks_fail_errno(err, "cannot keep the mode");
	return true;
}

static bool still_there(const struct ks_place *place, const struct stat *old, struct ks_error *err)
{
	struct stat now;

	if (fstatat(place->dir, place->name, &now, AT_SYMLINK_NOFOLLOW) || !ks_file_same(old, &now))
		return ks_fail(err, KS_ERR_CHANGED, "changed by another program meanwhile");
	return true;
}

bool ks_file_replace(const struct ks_place *place, const struct stat *old, struct ks_view content,
		     struct ks_dirsync *sync, struct ks_error *err)
{
	STAGE stage = STAGE_NONE;
	KS_FD from = -1;
	struct stat st;

	if (!still_there(place, old, err) || !open_regular(place, &from, &st, err))
		return false;
	if (!ks_file_same(old, &st))
		return ks_fail(err, KS_ERR_CHANGED, "changed by another program meanwhile");
	return stage_open(&stage, place->dir, err) && stage_write(&stage, content, err) &&
	       copy_metadata(from, old, stage.fd, err) && stage_sync(&stage, err) &&
	       stage_link(&stage, err) && stage_close(&stage, err) &&
	       still_there(place, old, err) && stage_commit(&stage, place, sync, err);
}

static bool stage_fill(struct stage *s, int dir, mode_t mode, struct ks_view content,
		       struct ks_error *err)
{
	if (!stage_open(s, dir, err) || !stage_write(s, content, err))
		return false;
	if (fchmod(s->fd, mode))
		return ks_fail_errno(err, "chmod");
	return stage_sync(s, err) && stage_link(s, err) && stage_close(s, err);
}

bool ks_file_make(const struct ks_place *place, mode_t mode, struct ks_view content,
		  struct ks_error *err)
{
	STAGE stage = STAGE_NONE;

	return stage_fill(&stage, place->dir, mode, content, err) &&
	       stage_commit(&stage, place, NULL, err);
}

bool ks_file_create(const struct ks_place *place, mode_t mode, struct ks_view content,
		    struct ks_dirsync *sync, struct ks_error *err)
{
	STAGE stage = STAGE_NONE;

	return stage_fill(&stage, place->dir, mode, content, err) &&
	       stage_commit_new(&stage, place, sync, err);
}

bool ks_file_write(const struct ks_place *place, mode_t mode, struct ks_view content,
		   struct ks_error *err)
{
	struct stat st;

	if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return ks_fail_errno(err, "open");
		return ks_file_make(place, mode, content, err);
	}
	return require_regular(&st, err) && ks_file_replace(place, &st, content, NULL, err);
}

bool ks_file_may_replace(const struct ks_place *place, struct ks_error *err)
{
	return faccessat(place->dir, ".", W_OK | X_OK, AT_EACCESS) == 0 ||
	       ks_fail_errno(err, "make a file in the directory");
}
