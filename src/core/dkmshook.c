/* SPDX-License-Identifier: MIT */
#include "core/dkmshook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "core/dkms.h"
#include "core/dkms_text.inc"
#include "core/openssl.h"

#define DKMS_DIR "/etc/dkms"
#define HOOK_CONF "kernel-sign.conf"

enum { FILE_LIMIT = 1 << 20 }; /* bytes */

const struct ks_dkms_file ks_dkms_files[KS_DKMS_FILES] = {
	{ DKMS_DIR "/framework.conf.d/kernel-sign.conf", 0644, true, dkms_text_drop_in },
	{ DKMS_DIR "/" HOOK_CONF, 0644, false, dkms_text_conf },
	{ DKMS_DIR "/kernel-sign.sh", 0755, false, dkms_text_script },
};

/* The last line: "# Written by kernel-sign, sha256 of the lines above: HEX" */
static const char seal_words[] = "# Written by kernel-sign, sha256 of the lines above: ";

enum {
	HEX_SIZE = 2 * SHA256_DIGEST_LENGTH,
	SEAL_SIZE = sizeof(seal_words) - 1 + HEX_SIZE + 1,
};

static bool make_seal(struct ks_view text, char seal[SEAL_SIZE + 1], struct ks_error *err)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char *at = stpcpy(seal, seal_words);

	if (!SHA256(text.data, text.len, digest))
		return ks_fail_openssl(err, KS_ERR_CRYPTO, "digest");
	for (size_t i = 0; i < sizeof(digest); i++)
		at += sprintf(at, "%02x", digest[i]);
	strcpy(at, "\n");
	return true;
}

static bool has_seal(struct ks_view file, bool *has, struct ks_error *err)
{
	char seal[SEAL_SIZE + 1];

	*has = false;
	if (file.len < SEAL_SIZE)
		return true;
	if (!make_seal(ks_view_of(file.data, file.len - SEAL_SIZE), seal, err))
		return false;
	*has = memcmp(file.data + file.len - SEAL_SIZE, seal, SEAL_SIZE) == 0;
	return true;
}

static bool make_content(const struct ks_dkms_file *file, struct ks_buf *content,
			 struct ks_error *err)
{
	char seal[SEAL_SIZE + 1];

	return ks_buf_append(content, file->text, strlen(file->text), err) &&
	       make_seal(ks_buf_view(content), seal, err) &&
	       ks_buf_append(content, seal, SEAL_SIZE, err);
}

/* A name in /etc/dkms or below: the last component of a path is never followed, for it is ours. */
struct entry {
	struct ks_place place; /* .dir is open, or -1: the directory is not there */
	struct stat st;
	bool is_there;
};

#define ENTRY __attribute__((cleanup(entry_close))) struct entry
#define ENTRY_NONE ((struct entry){ .place = KS_PLACE_NONE })

static void entry_close(struct entry *entry)
{
	ks_place_close(&entry->place);
}

static bool find_entry(const char *root, const char *path, struct entry *entry,
		       struct ks_error *err)
{
	const char *name = strrchr(path, '/') + 1;
	KS_PLACE above = KS_PLACE_NONE;
	KS_STRING dir = NULL;

	if (!ks_string_print(&dir, err, "%.*s", (int)(name - 1 - path), path))
		return false;
	if (!ks_place_find(&above, root, dir, err) ||
	    !ks_place_open(&above, O_PATH | O_DIRECTORY, &entry->place.dir, err))
		return err->sys == ENOENT || ks_at(err, dir);
	if (!ks_string_copy(&entry->place.name, name, err) ||
	    !ks_string_copy(&entry->place.path, path, err))
		return false;
	entry->is_there = fstatat(entry->place.dir, name, &entry->st, AT_SYMLINK_NOFOLLOW) == 0;
	return entry->is_there || errno == ENOENT || ks_fail_errno(err, path);
}

static bool read_entry(const struct entry *entry, struct ks_buf *content, struct ks_error *err)
{
	struct stat st;

	return ks_file_read(&entry->place, FILE_LIMIT, content, &st, err) ||
	       ks_at(err, entry->place.path);
}

static bool foreign(const struct entry *entry, const char *advice, struct ks_error *err)
{
	ks_fail(err, KS_ERR_INPUT, "not written by kernel-sign, or changed since: left alone%s",
		advice);
	return ks_at(err, entry->place.path);
}

static bool remove_entry(const struct entry *entry, struct ks_error *err)
{
	if (unlinkat(entry->place.dir, entry->place.name, 0))
		return errno == ENOENT || ks_fail_errno_at(err, entry->place.path, "remove");
	return ks_dir_sync(entry->place.dir, err) || ks_at(err, entry->place.path);
}

/* Files */

static bool file_state(const struct entry *entry, const struct ks_dkms_file *file,
		       enum ks_dkms_state *state, struct ks_error *err)
{
	KS_BUF wanted = { 0 };
	KS_BUF found = { 0 };
	bool sealed;

	*state = entry->is_there ? KS_DKMS_FOREIGN : KS_DKMS_ABSENT;
	if (!entry->is_there || !S_ISREG(entry->st.st_mode))
		return true;
	if (!make_content(file, &wanted, err) || !read_entry(entry, &found, err) ||
	    !has_seal(ks_buf_view(&found), &sealed, err))
		return false;
	/* DKMS passes over a hook that it cannot run. */
	if (sealed && !(file->mode & S_IXUSR & ~entry->st.st_mode))
		*state = ks_view_equal(ks_buf_view(&wanted), ks_buf_view(&found)) ?
				 KS_DKMS_PRESENT :
				 KS_DKMS_OLDER;
	return true;
}

bool ks_dkms_file_state(const char *root, const struct ks_dkms_file *file,
			enum ks_dkms_state *state, struct ks_error *err)
{
	ENTRY entry = ENTRY_NONE;

	return find_entry(root, file->path, &entry, err) && file_state(&entry, file, state, err);
}

bool ks_dkms_require(const char *root, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_FD fd = -1;

	if (ks_place_find(&place, root, DKMS_DIR, err) &&
	    ks_place_open(&place, O_PATH | O_DIRECTORY, &fd, err))
		return true;
	if (err->sys == ENOENT)
		ks_fail(err, KS_ERR_MISSING, "no such directory: DKMS is not installed");
	return ks_at(err, DKMS_DIR);
}

/* framework.conf.d, which not every distribution's package brings. */
static bool make_directory(const char *root, const char *path, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_STRING dir = NULL;

	if (!ks_dkms_require(root, err) ||
	    !ks_string_print(&dir, err, "%.*s", (int)(strrchr(path, '/') - path), path))
		return false;
	if (!ks_place_find(&place, root, dir, err))
		return ks_at(err, dir);
	if (mkdirat(place.dir, place.name, 0755))
		return errno == EEXIST || ks_fail_errno_at(err, dir, "make directory");
	return ks_dir_sync(place.dir, err) || ks_at(err, dir);
}

static bool write_file(const struct entry *entry, const struct ks_dkms_file *file,
		       struct ks_error *err)
{
	KS_BUF content = { 0 };

	return make_content(file, &content, err) &&
	       (ks_file_write(&entry->place, file->mode, ks_buf_view(&content), err) ||
		ks_at(err, file->path));
}

bool ks_dkms_file_set(const char *root, const struct ks_dkms_file *file, bool remove, bool dry_run,
		      enum ks_dkms_state *before, struct ks_error *err)
{
	ENTRY entry = ENTRY_NONE;

	if (!remove && !dry_run && file->drop_in && !make_directory(root, file->path, err))
		return false;
	if (!find_entry(root, file->path, &entry, err) || !file_state(&entry, file, before, err))
		return false;
	if (*before == KS_DKMS_FOREIGN)
		return foreign(&entry, "", err);
	if (*before == (remove ? KS_DKMS_ABSENT : KS_DKMS_PRESENT) || dry_run)
		return true;
	if (remove)
		return remove_entry(&entry, err);
	if (entry.place.dir < 0)
		return ks_fail(err, KS_ERR_MISSING,
			       DKMS_DIR ": no such directory: DKMS is not "
					"installed");
	return write_file(&entry, file, err);
}

/* Links */

/* What could not be PACKAGE.conf in /etc/dkms, or is a file of DKMS's or ours there. */
static bool can_have_link(const char *package)
{
	return package[0] && package[0] != '.' && !strchr(package, '/') &&
	       strcmp(package, "kernel-sign") != 0 && strcmp(package, "framework") != 0;
}

bool ks_dkms_link_path(const char *package, char **path, struct ks_error *err)
{
	if (!can_have_link(package))
		return ks_fail(err, KS_ERR_USAGE, "'%s' is no name of a DKMS package", package);
	return ks_string_print(path, err, DKMS_DIR "/%s.conf", package);
}

static bool is_our_link(const struct entry *entry)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(entry->place.dir, entry->place.name, target, sizeof(target) - 1);

	if (len < 0)
		return false;
	target[len] = '\0';
	return strcmp(target, HOOK_CONF) == 0 || strcmp(target, "./" HOOK_CONF) == 0 ||
	       strcmp(target, DKMS_DIR "/" HOOK_CONF) == 0;
}

/* Behind ". " or "source ": our file's name, and no longer one that starts the same. */
static bool is_our_conf(const char *text)
{
	static const char path[] = DKMS_DIR "/" HOOK_CONF;

	text += strspn(text, " \t\"'");
	return strncmp(text, path, sizeof(path) - 1) == 0 &&
	       strchr(" \t\"';", text[sizeof(path) - 1]);
}

/* ". /etc/dkms/kernel-sign.conf", or "source", on a line of its own. */
static bool reads_ours(char *text)
{
	while (text) {
		char *line = strsep(&text, "\n");
		size_t word;

		line += strspn(line, " \t");
		word = line[0] == '.' ? 1 : strncmp(line, "source", 6) == 0 ? 6 : 0;
		if (word && (line[word] == ' ' || line[word] == '\t') && is_our_conf(line + word))
			return true;
	}
	return false;
}

static bool link_state(const struct entry *entry, enum ks_dkms_state *state, struct ks_error *err)
{
	KS_BUF text = { 0 };

	*state = entry->is_there ? KS_DKMS_FOREIGN : KS_DKMS_ABSENT;
	if (!entry->is_there)
		return true;
	if (S_ISLNK(entry->st.st_mode)) {
		if (is_our_link(entry))
			*state = KS_DKMS_PRESENT;
		return true;
	}
	if (!S_ISREG(entry->st.st_mode))
		return true;
	if (!read_entry(entry, &text, err) || !ks_buf_append(&text, "", 1, err))
		return false;
	if (reads_ours((char *)text.data))
		*state = KS_DKMS_SOURCED;
	return true;
}

bool ks_dkms_link_state(const char *root, const char *package, enum ks_dkms_state *state,
			struct ks_error *err)
{
	ENTRY entry = ENTRY_NONE;
	KS_STRING path = NULL;

	*state = KS_DKMS_FOREIGN;
	if (!can_have_link(package))
		return true;
	return ks_dkms_link_path(package, &path, err) && find_entry(root, path, &entry, err) &&
	       link_state(&entry, state, err);
}

bool ks_dkms_link_set(const char *root, const char *package, bool remove, bool dry_run,
		      enum ks_dkms_state *before, struct ks_error *err)
{
	ENTRY entry = ENTRY_NONE;
	KS_STRING path = NULL;

	if (!ks_dkms_link_path(package, &path, err) || !find_entry(root, path, &entry, err) ||
	    !link_state(&entry, before, err))
		return false;
	if (*before == KS_DKMS_FOREIGN || (*before == KS_DKMS_SOURCED && remove))
		return foreign(
			&entry,
			remove ? "" : "; a line '. " DKMS_DIR "/" HOOK_CONF "' in it does it", err);
	if (*before == KS_DKMS_SOURCED || *before == (remove ? KS_DKMS_ABSENT : KS_DKMS_PRESENT) ||
	    dry_run)
		return true;
	if (remove)
		return remove_entry(&entry, err);
	if (entry.place.dir < 0 || symlinkat(HOOK_CONF, entry.place.dir, entry.place.name))
		return ks_fail_errno_at(err, path, "make link");
	return ks_dir_sync(entry.place.dir, err) || ks_at(err, path);
}

bool ks_dkms_hook_is_there(const char *root, bool *is_there, struct ks_error *err)
{
	*is_there = true;
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		enum ks_dkms_state state;

		if (ks_dkms_files[i].drop_in)
			continue;
		if (!ks_dkms_file_state(root, &ks_dkms_files[i], &state, err))
			return false;
		*is_there &= state == KS_DKMS_PRESENT || state == KS_DKMS_OLDER;
	}
	return true;
}

bool ks_dkms_ungated(const char *root, struct ks_strings *packages, struct ks_error *err)
{
	KS_STRINGS all = { 0 };
	bool is_there;

	if (!ks_dkms_hook_is_there(root, &is_there, err))
		return false;
	if (!is_there)
		return true;
	if (!ks_dkms_packages(root, &all, err))
		return false;
	for (size_t i = 0; i < all.count; i++) {
		enum ks_dkms_state link;

		if (!ks_dkms_link_state(root, all.item[i], &link, err))
			return false;
		if (!ks_dkms_link_works(link) && !ks_strings_add(packages, all.item[i], err))
			return false;
	}
	return true;
}

bool ks_dkms_links(const char *root, struct ks_strings *packages, struct ks_error *err)
{
	KS_STRINGS names = { 0 };

	if (!ks_dir_names_at(root, DKMS_DIR, &names, err))
		return err->sys == ENOENT || ks_at(err, DKMS_DIR);
	for (size_t i = 0; i < names.count; i++) {
		char *suffix = strrchr(names.item[i], '.');
		enum ks_dkms_state state;
		struct ks_error ignored;

		if (!suffix || strcmp(suffix, ".conf") != 0)
			continue;
		*suffix = '\0';
		if (ks_dkms_link_state(root, names.item[i], &state, &ignored) &&
		    state == KS_DKMS_PRESENT && !ks_strings_add(packages, names.item[i], err))
			return false;
	}
	/* In the order of files "a-b" comes before "a", whose dot is greater than a dash. */
	ks_strings_sort(packages);
	return true;
}
