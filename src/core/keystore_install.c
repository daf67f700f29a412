/* SPDX-License-Identifier: MIT */
#include "core/keystore_install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/lockdir.h"
#include "base/temporary.h"
#include "core/key.h"

static bool open_dest(const char *dest, int *dir, struct ks_error *err)
{
	if (!ks_dir_make(dest, err))
		return ks_at(err, dest);
	*dir = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir >= 0)
		return true;
	return ks_fail_errno_at(err, dest, "open");
}

/* In any encoding and under any name, also one that wants a passphrase. */
static bool is_private(struct ks_view content)
{
	static const char mark[] = "PRIVATE KEY-----";
	KS_EVP_PKEY *key = NULL;
	struct ks_error ignored;

	return memmem(content.data, content.len, mark, strlen(mark)) != NULL ||
	       ks_key_parse(content, NULL, &key, &ignored);
}

static bool read_in(int dir, const char *file, struct ks_buf *content, struct stat *st,
		    struct ks_error *err)
{
	struct ks_place place = { .dir = dir, .name = (char *)file };

	return ks_file_read(&place, KS_KEYSTORE_FILE_LIMIT, content, st, err) || ks_at(err, file);
}

/* An older file's mode is not the one that a private key is to have. */
static bool copy_file(int from, int to, const char *file, bool public_only, struct ks_error *err)
{
	struct ks_place place = { .dir = to, .name = (char *)file };
	KS_BUF content = { 0 };
	struct stat st;

	if (!read_in(from, file, &content, &st, err))
		return false;
	if (public_only && is_private(ks_buf_view(&content)))
		return unlinkat(to, file, 0) == 0 || errno == ENOENT || ks_fail_errno(err, file);
	return ks_file_make(&place, st.st_mode & 07777, ks_buf_view(&content), err) ||
	       ks_at(err, file);
}

static bool drop_if_private(int dir, const char *file, bool *dropped, struct ks_error *err)
{
	KS_BUF content = { 0 };
	struct stat st;

	if (!read_in(dir, file, &content, &st, err))
		return false;
	if (!is_private(ks_buf_view(&content)))
		return true;
	*dropped = true;
	return unlinkat(dir, file, 0) == 0 || ks_fail_errno(err, file);
}

static bool copy_files(int from, int to, bool public_only, struct ks_error *err)
{
	KS_STRINGS files = { 0 };
	KS_STRINGS older = { 0 };
	bool dropped;

	if (!ks_dir_names(from, &files, err) || !ks_dir_names(to, &older, err))
		return false;
	for (size_t i = 0; i < files.count; i++)
		if (!copy_file(from, to, files.item[i], public_only, err))
			return false;
	for (size_t i = 0; public_only && i < older.count; i++)
		if (!ks_strings_has(&files, older.item[i], strlen(older.item[i])) &&
		    !drop_if_private(to, older.item[i], &dropped, err))
			return false;
	return true;
}

static bool copy_into(int from, int dest, const char *name, bool public_only, struct ks_error *err)
{
	struct stat st;
	KS_FD to = -1;

	if (fstat(from, &st))
		return ks_fail_errno(err, "stat");
	to = openat(dest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return ks_fail_errno(err, "open");
	if (fchmod(to, st.st_mode & 07777))
		return ks_fail_errno(err, "chmod");
	return copy_files(from, to, public_only, err) && ks_dir_sync(to, err);
}

/* A directory that is there already is renewed file by file; a new one is whole when it has its name. */
static bool copy_directory(int from, int dest, const char *name, bool public_only,
			   struct ks_error *err)
{
	char temporary[KS_TEMPORARY_SIZE];
	struct ks_error ignored;
	struct stat st;

	if (fstatat(dest, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return copy_into(from, dest, name, public_only, err);
	if (errno != ENOENT)
		return ks_fail_errno(err, name);
	if (!ks_temporary_name(temporary, err))
		return false;
	if (mkdirat(dest, temporary, 0755))
		return ks_fail_errno(err, "make directory");
	if (copy_into(from, dest, temporary, public_only, err) &&
	    (ks_lockdir_rename_new(dest, temporary, name) || ks_fail_errno(err, name)))
		return ks_dir_sync(dest, err);
	(void)!ks_lockdir_remove(dest, temporary, &ignored);
	return false;
}

/* DEST is locked as a store is; what is left in it goes. */
static bool hold_dest(int dest, struct ks_error *err)
{
	if (!ks_lockdir_lock(dest, err))
		return false;
	ks_lockdir_tidy(dest);
	return true;
}

/* Into itself a key would be copied over by what was just removed. */
static bool is_elsewhere(int store, int dest, struct ks_error *err)
{
	struct stat from, to;

	if (fstat(store, &from) || fstat(dest, &to))
		return ks_fail_errno(err, "stat");
	return from.st_dev != to.st_dev || from.st_ino != to.st_ino ||
	       ks_fail(err, KS_ERR_INPUT, "this is the key store itself");
}

static bool install_one(const struct ks_keystore *store, const char *dir, const char *name, int to,
			bool public_only, struct ks_error *err)
{
	KS_FD from = openat(store->dir, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from >= 0)
		return copy_directory(from, to, name, public_only, err);
	ks_fail_errno_at(err, dir, "open");
	return ks_at(err, store->path);
}

static bool clear_key(int dest, const char *name, bool *cleared, struct ks_error *err)
{
	KS_STRINGS files = { 0 };
	KS_FD dir = openat(dest, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return ks_fail_errno(err, "open");
	ks_lockdir_tidy(dir);
	if (!ks_dir_names(dir, &files, err))
		return false;
	for (size_t i = 0; i < files.count; i++)
		if (!drop_if_private(dir, files.item[i], cleared, err))
			return false;
	return !*cleared || ks_dir_sync(dir, err);
}

/* Earlier runs may have laid them whole. */
static bool clear_older(int to, struct ks_installed *installed, struct ks_error *err)
{
	const struct ks_keystore dest = { .path = (char *)".", .dir = to };
	KS_STRINGS names = { 0 };

	if (!ks_keystore_list(&dest, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.item[i];
		bool cleared = false;

		if (ks_strings_has(&installed->laid, name, strlen(name)))
			continue;
		if (!clear_key(to, name, &cleared, err))
			return ks_at(err, name);
		if (cleared && !ks_strings_add(&installed->cleared, name, err))
			return false;
	}
	return true;
}

static bool install_keys(const struct ks_keystore *store, const char *current,
			 const struct ks_grace *grace, int to, bool public_only,
			 struct ks_installed *installed, struct ks_error *err)
{
	for (size_t i = 0; i < grace->count; i++) {
		const char *name = grace->item[i].name;

		if (!install_one(store, name, name, to, public_only, err) ||
		    !ks_strings_add(&installed->laid, name, err))
			return false;
	}
	return install_one(store, "current", current, to, public_only, err) &&
	       ks_strings_add(&installed->laid, current, err);
}

static bool install_all(const struct ks_keystore *store, const char *current,
			const struct ks_grace *grace, const char *dest, bool public_only,
			struct ks_installed *installed, struct ks_error *err)
{
	KS_FD to = -1;
	bool done;

	if (!open_dest(dest, &to, err))
		return false;
	return (is_elsewhere(store->dir, to, err) && hold_dest(to, err) &&
		install_keys(store, current, grace, to, public_only, installed, err) &&
		(!public_only || clear_older(to, installed, err)) &&
		ks_lockdir_link(to, "current", current, &done, err)) ||
	       ks_at(err, dest);
}

bool ks_keystore_install(const struct ks_keystore *store, const char *dest, bool public_only,
			 time_t now, struct ks_installed *installed, struct ks_error *err)
{
	KS_GRACE grace = { 0 };
	KS_STRING current = NULL;
	struct stat st;

	if (!ks_keystore_current(store, &current, err))
		return false;
	if (!current || fstatat(store->dir, "current", &st, 0) || !S_ISDIR(st.st_mode))
		return ks_fail(err, KS_ERR_MISSING, "%s: no current key; genkeys makes one",
			       store->path);
	return ks_keystore_grace(store, now, &grace, err) &&
	       install_all(store, current, &grace, dest, public_only, installed, err);
}

void ks_installed_free(struct ks_installed *installed)
{
	ks_strings_free(&installed->laid);
	ks_strings_free(&installed->cleared);
}

bool ks_keystore_link(const char *dest, const char *name, const char *target, struct ks_error *err)
{
	KS_FD dir = -1;
	bool done;

	return open_dest(dest, &dir, err) &&
	       ((ks_lockdir_lock(dir, err) && ks_lockdir_link(dir, name, target, &done, err)) ||
		ks_at(err, dest));
}
