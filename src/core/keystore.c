/* SPDX-License-Identifier: MIT */
#include "core/keystore.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "base/lockdir.h"
#include "base/period.h"
#include "base/temporary.h"
#include "core/cert.h"
#include "core/identity.h"
#include "core/key.h"

enum {
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
		return ks_lockdir_lock(store->dir, err);
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
	       (ks_file_read_path(NULL, path, KS_KEYSTORE_FILE_LIMIT, bytes, &st, err) ||
		ks_at(err, file));
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
	if (!write_in(dir, KS_KEYSTORE_PRIVATE, 0600, alone, err))
		return false;
	return ks_cert_write_pem(cert, &both, err) && ks_cert_write_der(cert, &der, err) &&
	       write_in(dir, KS_KEYSTORE_KEY, 0600, ks_buf_view(&both), err) &&
	       write_in(dir, KS_KEYSTORE_CERT, 0644, ks_buf_view(&der), err) &&
	       write_word(dir, "khash", demand->hash, err) &&
	       write_word(dir, "ktype", demand->type->word, err);
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
	KS_FD dir = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return ks_fail_errno(err, "open");
	return ks_temporary_name(temporary, err) && hide(store, name, temporary, err) &&
	       ks_lockdir_remove(store, temporary, err);
}

static void tidy_key(const struct ks_keystore *store, const char *name, const char *current)
{
	struct ks_error ignored;
	struct stat st;
	KS_FD dir = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return;
	ks_lockdir_tidy(dir);
	if (fstatat(dir, unused, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (current && strcmp(current, name) == 0)
		unlinkat(dir, unused, 0);
	else
		(void)!remove_key(store->dir, name, &ignored);
}

void ks_keystore_tidy(const struct ks_keystore *store)
{
	KS_STRINGS names = { 0 };
	KS_STRING current = NULL;
	struct ks_error ignored;

	if (store->dir < 0)
		return;
	ks_lockdir_tidy(store->dir);
	if (!ks_keystore_current(store, &current, &ignored) ||
	    !ks_keystore_list(store, &names, &ignored))
		return;
	for (size_t i = 0; i < names.count; i++)
		tidy_key(store, names.item[i], current);
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

/* Into its name, never over a directory that is there.  NAME is then what it has become. */
static bool give_name(const struct ks_keystore *store, time_t now, char *name, struct ks_error *err)
{
	char dated[NAME_SIZE];

	for (int number = 1; number <= MOST_IN_A_MINUTE; number++) {
		dated_name(now, number, dated);
		if (ks_lockdir_rename_new(store->dir, name, dated)) {
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
	    ks_lockdir_link(store->dir, "current", directory, &in_use, err)) {
		finish(store, directory);
		return ks_string_copy(name, directory, err);
	}
	/* A key that nothing leads to would be one more for no use. */
	if (in_use)
		finish(store, directory);
	else
		(void)!ks_lockdir_remove(store->dir, directory, &ignored);
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
