/* SPDX-License-Identifier: MIT */
#include "base/dirsync.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary.h"

enum { OPEN_MAX_HERE = 32 };

struct entry {
	int fd;
	dev_t dev;
	ino_t ino;
	char *path;
};

struct ks_dirsync {
	pthread_mutex_t lock;
	struct entry entry[OPEN_MAX_HERE]; /* a ring */
	size_t first, count;
	bool failed;
	struct ks_error error; /* the first one */
};

bool ks_dirsync_start(struct ks_dirsync **sync, struct ks_error *err)
{
	*sync = calloc(1, sizeof(**sync));
	if (!*sync)
		return ks_fail_memory(err);
	pthread_mutex_init(&(*sync)->lock, NULL);
	return true;
}

static struct entry *at(struct ks_dirsync *s, size_t i)
{
	return &s->entry[(s->first + i) % OPEN_MAX_HERE];
}

static bool is_noted(struct ks_dirsync *s, const struct stat *st)
{
	for (size_t i = 0; i < s->count; i++)
		if (at(s, i)->ino == st->st_ino && at(s, i)->dev == st->st_dev)
			return true;
	return false;
}

/* A directory's path, of a file's. */
static char *path_above(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	return len ? strndup(path, len) : strdup("/");
}

/* The entry is no longer one of the ring's. */
static void sync_entry(struct ks_dirsync *s, struct entry *entry)
{
	struct ks_error err;

	ks_temporary_tidy(entry->fd);
	if (fsync(entry->fd)) {
		ks_fail_errno(&err, "files were replaced, but their directory could not be synced");
		ks_at(&err, entry->path);
		pthread_mutex_lock(&s->lock);
		if (!s->failed)
			s->error = err;
		s->failed = true;
		pthread_mutex_unlock(&s->lock);
	}
	ks_fd_close(&entry->fd);
	free(entry->path);
}

/* Whether there was one: the oldest, in *ENTRY. */
static bool take_oldest(struct ks_dirsync *s, struct entry *entry)
{
	if (!s->count)
		return false;
	*entry = s->entry[s->first];
	s->first = (s->first + 1) % OPEN_MAX_HERE;
	s->count--;
	return true;
}

bool ks_dirsync_add(struct ks_dirsync *sync, int *dir, const struct ks_place *place)
{
	struct entry old = { .fd = -1 };
	struct stat st;
	char *path;
	bool noted, full = false;

	if (fstat(*dir, &st))
		return false;
	path = path_above(place->path);
	if (!path)
		return false;
	pthread_mutex_lock(&sync->lock);
	noted = is_noted(sync, &st);
	if (!noted) {
		full = sync->count == OPEN_MAX_HERE && take_oldest(sync, &old);
		*at(sync, sync->count++) = (struct entry){ *dir, st.st_dev, st.st_ino, path };
		*dir = -1;
	}
	pthread_mutex_unlock(&sync->lock);
	if (full)
		sync_entry(sync, &old);
	if (!noted)
		return true;
	free(path);
	ks_fd_close(dir);
	return true;
}

bool ks_dirsync_finish(struct ks_dirsync *sync, struct ks_error *err)
{
	struct entry entry;
	bool ok;

	if (!sync)
		return true;
	while (take_oldest(sync, &entry))
		sync_entry(sync, &entry);
	ok = !sync->failed;
	if (!ok)
		*err = sync->error;
	pthread_mutex_destroy(&sync->lock);
	free(sync);
	return ok;
}
