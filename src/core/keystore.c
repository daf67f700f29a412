/* SPDX-License-Identifier: MIT */
#include "core/keystore.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/period.h"
#include "base/temporary.h"
#include "core/cert.h"
#include "core/identity.h"
#include "core/key.h"

enum {
	FILE_LIMIT = 1 << 20, /* bytes, of any file in a store */
	NAME_SIZE = 64,
	MOST_IN_A_MINUTE = 1000,
};

/* In a new key's directory until `current' leads there: a run that was killed before leaves it. */
static const char unused[] = ".kernel-sign-unused";

const char *ks_keystore_default(void)
{
	struct stat st;

	return lstat(KS_KEYSTORE_REQUEST, &st) == 0 || lstat("current", &st) == 0 ? "." :
										    "certs-local";
}

/* In here links with temporary names are made, and only under this lock; so they can be tidied. */
static bool lock(int dir, struct ks_error *err)
{
	while (flock(dir, LOCK_EX))
		if (errno != EINTR)
			return ks_fail_errno(err, "lock");
	return true;
}

static bool make_synced(int parent, const char *name, struct ks_error *err)
{
	if (mkdirat(parent, name, 0755))
		return errno == EEXIST || ks_fail_errno(err, "make directory");
	return ks_dir_sync(parent, err);
}

static bool open_store(struct ks_keystore *store, const char *dir, bool create,
		       struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	if (!ks_place_find(&place, NULL, dir, err))
		return false;
	if (create && !make_synced(place.dir, place.name, err))
		return false;
	if (!ks_string_copy(&store->path, place.path, err))
		return false;
	if (ks_place_open(&place, O_RDONLY | O_DIRECTORY, &store->dir, err))
		return lock(store->dir, err);
	return !create && err->sys == ENOENT;
}

bool ks_keystore_open(struct ks_keystore *store, const char *dir, bool create, struct ks_error *err)
{
	*store = KS_KEYSTORE_NONE;
	if (open_store(store, dir, create, err))
		return true;
	ks_keystore_close(store);
	return ks_at(err, dir);
}

void ks_keystore_close(struct ks_keystore *store)
{
	ks_fd_close(&store->dir);
	free(store->path);
	*store = KS_KEYSTORE_NONE;
}

bool ks_keystore_current(const struct ks_keystore *store, char **name, struct ks_error *err)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(store->dir, "current", target, sizeof(target) - 1);
	char *last;

	*name = NULL;
	if (store->dir < 0)
		return true;
	if (len < 0 && (errno == ENOENT || errno == EINVAL))
		return true;
	if (len < 0)
		return ks_fail_errno_at(err, store->path, "current");
	target[len] = '\0';
	while (len > 1 && target[len - 1] == '/')
		target[--len] = '\0';
	last = strrchr(target, '/');
	return ks_string_copy(name, last ? last + 1 : target, err);
}

/* What is in use */

struct pair {
	EVP_PKEY *key;
	X509 *cert;
	char *hash;
};

static void pair_free(struct pair *pair)
{
	EVP_PKEY_free(pair->key);
	X509_free(pair->cert);
	free(pair->hash);
}

static bool read_file(const struct ks_keystore *store, const char *name, const char *file,
		      struct ks_buf *bytes, struct ks_error *err)
{
	KS_STRING path = NULL;
	struct stat st;

	return ks_string_print(&path, err, "%s/%s/%s", store->path, name, file) &&
	       (ks_file_read_path(NULL, path, FILE_LIMIT, bytes, &st, err) || ks_at(err, file));
}

static bool read_hash(const struct ks_keystore *store, const char *name, char **hash,
		      struct ks_error *err)
{
	KS_BUF bytes = { 0 };
	size_t len = 0;

	if (!read_file(store, name, "khash", &bytes, err))
		return false;
	while (len < bytes.len && isgraph(bytes.data[len]))
		len++;
	return ks_string_print(hash, err, "%.*s", (int)len, (char *)bytes.data);
}

static bool read_pair(const struct ks_keystore *store, const char *name, struct pair *pair,
		      struct ks_error *err)
{
	KS_X509 *with_key = NULL;
	KS_BUF key = { 0 };
	KS_BUF cert = { 0 };
	bool is_pair;

	if (!read_file(store, name, KS_KEYSTORE_KEY, &key, err) ||
	    !read_file(store, name, KS_KEYSTORE_CERT, &cert, err))
		return false;
	/* The kernel's build takes the certificate that stands with the key. */
	if (!ks_key_parse(ks_buf_view(&key), NULL, &pair->key, err) ||
	    !ks_cert_parse(ks_buf_view(&key), &with_key, err))
		return ks_at(err, KS_KEYSTORE_KEY);
	if (!ks_cert_parse(ks_buf_view(&cert), &pair->cert, err))
		return ks_at(err, KS_KEYSTORE_CERT);
	is_pair = X509_check_private_key(pair->cert, pair->key) == 1 &&
		  X509_cmp(pair->cert, with_key) == 0;
	ERR_clear_error();
	if (is_pair)
		return read_hash(store, name, &pair->hash, err);
	ks_fail(err, KS_ERR_KEY, "key and certificate are no pair");
	return ks_openssl_doubt(err);
}

/* Seconds from A to B; days are counted apart, for a century of seconds does not fit an int. */
static bool seconds_between(const ASN1_TIME *a, const ASN1_TIME *b, int64_t *seconds)
{
	int days, rest;

	if (!ASN1_TIME_diff(&days, &rest, a, b))
		return false;
	*seconds = (int64_t)days * 24 * 60 * 60 + rest;
	return true;
}

static const char *fault_in_time(X509 *cert, const struct ks_key_demand *demand)
{
	ASN1_TIME *now = ASN1_TIME_set(NULL, demand->now);
	int64_t age = 0, left = 0;
	bool known = now && seconds_between(X509_get0_notBefore(cert), now, &age) &&
		     seconds_between(now, X509_get0_notAfter(cert), &left);

	ASN1_TIME_free(now);
	if (!known)
		return "its certificate's dates cannot be read";
	if (demand->refresh == KS_PERIOD_ALWAYS)
		return "a new key is wanted at every run";
	if (left <= 0)
		return "its certificate has expired";
	if (demand->refresh == KS_PERIOD_NEVER)
		return NULL;
	if (age >= demand->refresh)
		return "its certificate is older than the period";
	return left <= demand->refresh ? "its certificate ends within the period" : NULL;
}

static bool judge_pair(const struct pair *pair, const struct ks_key_demand *demand, char **why,
		       struct ks_error *err)
{
	const char *type = EVP_PKEY_get0_type_name(pair->key);
	const char *fault = fault_in_time(pair->cert, demand);

	if (!EVP_PKEY_is_a(pair->key, demand->type->openssl))
		return ks_string_print(why, err, "it is %s and %s is wanted",
				       type ? type : "unknown", demand->type->openssl);
	if (strcmp(pair->hash, demand->hash) != 0)
		return ks_string_print(why, err, "its hash is %s and %s is wanted", pair->hash,
				       demand->hash);
	return !fault || ks_string_copy(why, fault, err);
}

bool ks_keystore_due(const struct ks_keystore *store, const struct ks_key_demand *demand,
		     char **why, struct ks_error *err)
{
	struct pair pair = { 0 };
	struct ks_error fault;
	KS_STRING name = NULL;
	bool ok;

	*why = NULL;
	if (!ks_keystore_current(store, &name, err))
		return false;
	if (!name)
		return ks_string_copy(why, "there is no current key", err);
	ok = read_pair(store, name, &pair, &fault) ? judge_pair(&pair, demand, why, err) :
						     ks_string_copy(why, fault.text, err);
	pair_free(&pair);
	return ok;
}

/* A new one */

static bool write_in(int dir, const char *name, mode_t mode, struct ks_view content,
		     struct ks_error *err)
{
	struct ks_place place = { .dir = dir, .name = (char *)name };

	return ks_file_write(&place, mode, content, err) || ks_at(err, name);
}

static bool write_word(int dir, const char *name, const char *word, struct ks_error *err)
{
	KS_STRING line = NULL;

	return ks_string_print(&line, err, "%s\n", word) &&
	       write_in(dir, name, 0644, ks_view_of(line, strlen(line)), err);
}

static bool write_grace(int dir, const struct ks_grace *grace, struct ks_error *err)
{
	KS_BUF text = { 0 };

	return !grace->count || (ks_grace_print(grace, &text, err) &&
				 write_in(dir, KS_GRACE_FILE, 0644, ks_buf_view(&text), err));
}

static bool write_pair(int dir, EVP_PKEY *key, X509 *cert, const struct ks_key_demand *demand,
		       struct ks_error *err)
{
	KS_BUF both = { 0 };
	KS_BUF der = { 0 };
	struct ks_view alone;

	/* Room enough that no copy of the key is left behind by growing. */
	if (!ks_buf_reserve(&both, 64 << 10, err) || !ks_key_write_pem(key, &both, err))
		return false;
	alone = ks_buf_view(&both);
	if (!write_in(dir, "signing_prv.pem", 0600, alone, err))
		return false;
	return ks_cert_write_pem(cert, &both, err) && ks_cert_write_der(cert, &der, err) &&
	       write_in(dir, KS_KEYSTORE_KEY, 0600, ks_buf_view(&both), err) &&
	       write_in(dir, KS_KEYSTORE_CERT, 0644, ks_buf_view(&der), err) &&
	       write_word(dir, "khash", demand->hash, err) &&
	       write_word(dir, "ktype", demand->type->word, err);
}

static DIR *open_names(int store, const char *name, struct ks_error *err)
{
	int fd = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir) {
		ks_fail_errno(err, "open");
		ks_fd_close(&fd);
	}
	return dir;
}

/* Removes DIR, which has that name, and closes it. */
static bool remove_open(DIR *dir, int store, const char *name, struct ks_error *err)
{
	struct dirent *entry;
	bool ok = true;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), entry->d_name, 0) && ok)
			ok = ks_fail_errno(err, entry->d_name);
	closedir(dir);
	return ok && (unlinkat(store, name, AT_REMOVEDIR) == 0 || ks_fail_errno(err, "remove"));
}

static bool remove_directory(int store, const char *name, struct ks_error *err)
{
	DIR *dir = open_names(store, name, err);

	return dir && remove_open(dir, store, name, err);
}

static bool hide(int store, const char *name, const char *temporary, struct ks_error *err)
{
	if (renameat(store, name, store, temporary))
		return ks_fail_errno(err, "remove");
	if (ks_dir_sync(store, err))
		return true;
	(void)!renameat(store, temporary, store, name);
	return false;
}

/*
 * A dated directory goes out of sight in one step, which is on disk before the first file goes: no
 * half of a key is left where somebody would take it for one.
 */
static bool remove_key(int store, const char *name, struct ks_error *err)
{
	char temporary[KS_TEMPORARY_SIZE];
	DIR *dir = open_names(store, name, err);

	if (!dir)
		return false;
	if (ks_temporary_name(temporary, err) && hide(store, name, temporary, err))
		return remove_open(dir, store, temporary, err);
	closedir(dir);
	return false;
}

/* Calls EACH with every name in the directory PARENT. */
static void for_entries(int parent, void (*each)(int parent, const char *name, const char *current),
			const char *current)
{
	int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		ks_fd_close(&fd);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	while ((entry = readdir(dir)))
		each(parent, entry->d_name, current);
	closedir(dir);
}

static void tidy_file(int parent, const char *name, const char *current)
{
	struct ks_error ignored;

	(void)current;
	if (ks_temporary_is_name(name) && unlinkat(parent, name, 0))
		(void)!remove_directory(parent, name, &ignored);
}

static void tidy_entry(int store, const char *name, const char *current)
{
	struct ks_error ignored;
	struct stat st;
	KS_FD dir = -1;

	tidy_file(store, name, current);
	if (!ks_keystore_is_dated(name))
		return;
	dir = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return;
	for_entries(dir, tidy_file, current);
	if (fstatat(dir, unused, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (current && strcmp(current, name) == 0)
		unlinkat(dir, unused, 0);
	else
		(void)!remove_key(store, name, &ignored);
}

void ks_keystore_tidy(const struct ks_keystore *store)
{
	KS_STRING current = NULL;
	struct ks_error ignored;

	if (store->dir >= 0 && ks_keystore_current(store, &current, &ignored))
		for_entries(store->dir, tidy_entry, current);
}

static bool dated_name(time_t now, int number, char *name)
{
	struct tm tm;
	char suffix[16] = "";

	gmtime_r(&now, &tm);
	if (number > 1)
		snprintf(suffix, sizeof(suffix), "-%d", number);
	return strftime(name, NAME_SIZE, "%Y%m%d-%H%M", &tm) > 0 && strcat(name, suffix);
}

static bool rename_new(int dir, const char *from, const char *to)
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

/* Into its name, never over a directory that is there.  NAME is then what it has become. */
static bool give_name(const struct ks_keystore *store, time_t now, char *name, struct ks_error *err)
{
	char dated[NAME_SIZE];

	for (int number = 1; number <= MOST_IN_A_MINUTE; number++) {
		dated_name(now, number, dated);
		if (rename_new(store->dir, name, dated)) {
			strcpy(name, dated);
			return ks_dir_sync(store->dir, err);
		}
		if (errno != EEXIST)
			return ks_fail_errno(err, "rename");
	}
	return ks_fail(err, KS_ERR_INPUT, "%s and its like are all taken", dated);
}

static bool mark_unused(int dir, struct ks_error *err)
{
	KS_FD fd = openat(dir, unused, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	return fd >= 0 || ks_fail_errno(err, unused);
}

/* What is no pair signs nothing, and is not kept; one that could not be looked at may be one. */
static bool add_current(const struct ks_keystore *store, const char *name,
			const struct ks_key_demand *demand, struct ks_grace *grace,
			struct ks_error *err)
{
	struct pair pair = { 0 };
	bool ok = read_pair(store, name, &pair, err) ?
			  ks_grace_add(grace, name, demand->now + (time_t)demand->keep, err) :
			  err->code != KS_ERR_SYSTEM || err->sys == ENOENT;

	pair_free(&pair);
	return ok;
}

/* A key whose directory somebody has removed signs no more. */
static void drop_gone(const struct ks_keystore *store, struct ks_grace *grace)
{
	struct stat st;

	for (size_t i = grace->count; i-- > 0;)
		if (fstatat(store->dir, grace->item[i].name, &st, AT_SYMLINK_NOFOLLOW) &&
		    errno == ENOENT)
			ks_grace_drop(grace, i);
}

/* The oldest give way where there are too many. */
bool ks_keystore_next_grace(const struct ks_keystore *store, const struct ks_key_demand *demand,
			    struct ks_grace *grace, struct ks_error *err)
{
	KS_STRING current = NULL;

	if (!demand->keep)
		return true;
	if (!ks_keystore_current(store, &current, err) ||
	    !ks_keystore_grace(store, demand->now, grace, err))
		return false;
	drop_gone(store, grace);
	if (current && ks_keystore_is_dated(current) &&
	    !add_current(store, current, demand, grace, err))
		return false;
	while (grace->count >= KS_IDENTITIES)
		ks_grace_drop(grace, 0);
	return true;
}

static bool make_directory(const struct ks_keystore *store, const char *temporary, EVP_PKEY *key,
			   X509 *cert, const struct ks_key_demand *demand, struct ks_error *err)
{
	KS_GRACE grace = { 0 };
	KS_FD dir = -1;

	if (!ks_keystore_next_grace(store, demand, &grace, err))
		return false;
	if (mkdirat(store->dir, temporary, 0755))
		return ks_fail_errno(err, "make directory");
	dir = openat(store->dir, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return ks_fail_errno(err, "open");
	return mark_unused(dir, err) && write_pair(dir, key, cert, demand, err) &&
	       write_grace(dir, &grace, err);
}

static void finish(const struct ks_keystore *store, const char *name)
{
	char path[NAME_SIZE + sizeof(unused) + 1];
	struct ks_error ignored;
	KS_FD dir = -1;

	snprintf(path, sizeof(path), "%s/%s", name, unused);
	unlinkat(store->dir, path, 0);
	dir = openat(store->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		(void)!ks_dir_sync(dir, &ignored);
}

/*
 * A link is replaced in one step, so that it always leads somewhere.  *DONE also where only the
 * syncing failed.
 */
static bool set_link(int dir, const char *name, const char *target, bool *done,
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

bool ks_keystore_add(const struct ks_keystore *store, EVP_PKEY *key, X509 *cert,
		     const struct ks_key_demand *demand, char **name, struct ks_error *err)
{
	char directory[NAME_SIZE];
	struct ks_error ignored;
	bool in_use = false;

	ks_keystore_tidy(store);
	if (!ks_temporary_name(directory, err))
		return ks_at(err, store->path);
	if (make_directory(store, directory, key, cert, demand, err) &&
	    give_name(store, demand->now, directory, err) &&
	    set_link(store->dir, "current", directory, &in_use, err)) {
		finish(store, directory);
		return ks_string_copy(name, directory, err);
	}
	/* A key that nothing leads to would be one more for no use. */
	if (in_use)
		finish(store, directory);
	else
		(void)!remove_directory(store->dir, directory, &ignored);
	return ks_at(err, store->path);
}

/* Old ones */

bool ks_keystore_grace(const struct ks_keystore *store, time_t now, struct ks_grace *grace,
		       struct ks_error *err)
{
	KS_STRING current = NULL;

	return store->dir < 0 || (ks_string_print(&current, err, "%s/current", store->path) &&
				  ks_grace_read(NULL, current, now, grace, err));
}

bool ks_keystore_is_dated(const char *name)
{
	for (int i = 0; i < 13; i++)
		if (i == 8 ? name[i] != '-' : !isdigit((unsigned char)name[i]))
			return false;
	return name[13] == '\0' ||
	       (name[13] == '-' && name[14] && !name[14 + strspn(name + 14, "0123456789")]);
}

static bool is_directory(const struct ks_keystore *store, const char *name, bool *is,
			 struct ks_error *err)
{
	struct stat st;

	*is = false;
	if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		*is = S_ISDIR(st.st_mode);
		return true;
	}
	if (errno == ENOENT)
		return true;
	return ks_fail_errno_at(err, store->path, name);
}

/* The tenth of a minute comes behind the ninth. */
static int by_age(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

bool ks_keystore_list(const struct ks_keystore *store, struct ks_strings *names,
		      struct ks_error *err)
{
	KS_STRINGS all = { 0 };

	if (store->dir < 0)
		return true;
	if (!ks_dir_names(store->dir, &all, err))
		return ks_at(err, store->path);
	for (size_t i = 0; i < all.count; i++) {
		bool is;

		if (!ks_keystore_is_dated(all.item[i]))
			continue;
		if (!is_directory(store, all.item[i], &is, err) ||
		    (is && !ks_strings_add(names, all.item[i], err)))
			return false;
	}
	if (names->count)
		qsort(names->item, names->count, sizeof(*names->item), by_age);
	return true;
}

bool ks_keystore_remove(const struct ks_keystore *store, const char *name, struct ks_error *err)
{
	if (remove_key(store->dir, name, err))
		return ks_dir_sync(store->dir, err) || ks_at(err, store->path);
	ks_at(err, name);
	return ks_at(err, store->path);
}

/* Out to a package */

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

	return ks_file_read(&place, FILE_LIMIT, content, st, err) || ks_at(err, file);
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

static bool drop_if_private(int dir, const char *file, struct ks_error *err)
{
	KS_BUF content = { 0 };
	struct stat st;

	if (!read_in(dir, file, &content, &st, err))
		return false;
	return !is_private(ks_buf_view(&content)) || unlinkat(dir, file, 0) == 0 ||
	       ks_fail_errno(err, file);
}

static bool copy_files(int from, int to, bool public_only, struct ks_error *err)
{
	KS_STRINGS files = { 0 };
	KS_STRINGS older = { 0 };

	if (!ks_dir_names(from, &files, err) || !ks_dir_names(to, &older, err))
		return false;
	for (size_t i = 0; i < files.count; i++)
		if (!copy_file(from, to, files.item[i], public_only, err))
			return false;
	for (size_t i = 0; public_only && i < older.count; i++)
		if (!ks_strings_has(&files, older.item[i], strlen(older.item[i])) &&
		    !drop_if_private(to, older.item[i], err))
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
	    (rename_new(dest, temporary, name) || ks_fail_errno(err, name)))
		return ks_dir_sync(dest, err);
	(void)!remove_directory(dest, temporary, &ignored);
	return false;
}

/* DEST is locked as a store is; what is left in it goes. */
static bool hold_dest(int dest, struct ks_error *err)
{
	if (!lock(dest, err))
		return false;
	for_entries(dest, tidy_file, NULL);
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

static bool install_all(const struct ks_keystore *store, const char *current,
			const struct ks_grace *grace, const char *dest, bool public_only,
			struct ks_error *err)
{
	KS_FD to = -1;
	bool ok, done;

	if (!open_dest(dest, &to, err))
		return false;
	ok = is_elsewhere(store->dir, to, err) && hold_dest(to, err);
	for (size_t i = 0; ok && i < grace->count; i++) {
		const char *name = grace->item[i].name;

		ok = install_one(store, name, name, to, public_only, err);
	}
	return (ok && install_one(store, "current", current, to, public_only, err) &&
		set_link(to, "current", current, &done, err)) ||
	       ks_at(err, dest);
}

bool ks_keystore_install(const struct ks_keystore *store, const char *dest, bool public_only,
			 time_t now, char **name, struct ks_error *err)
{
	KS_GRACE grace = { 0 };
	struct stat st;

	if (!ks_keystore_current(store, name, err))
		return false;
	if (!*name || fstatat(store->dir, "current", &st, 0) || !S_ISDIR(st.st_mode))
		ks_fail(err, KS_ERR_MISSING, "%s: no current key; genkeys makes one", store->path);
	else if (ks_keystore_grace(store, now, &grace, err) &&
		 install_all(store, *name, &grace, dest, public_only, err))
		return true;
	ks_string_free(name);
	return false;
}

bool ks_keystore_link(const char *dest, const char *name, const char *target, struct ks_error *err)
{
	KS_FD dir = -1;
	bool done;

	return open_dest(dest, &dir, err) &&
	       ((lock(dir, err) && set_link(dir, name, target, &done, err)) || ks_at(err, dest));
}
