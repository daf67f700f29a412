/* SPDX-License-Identifier: MIT */
#include "core/dkms.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"

enum { CONFIG_LIMIT = 1 << 20 }; /* bytes */

static const char config_file[] = "/etc/dkms/framework.conf";
static const char config_dir[] = "/etc/dkms/framework.conf.d";
static const char default_tree[] = "/var/lib/dkms";

static bool is_missing(const struct ks_error *err)
{
	return err->sys == ENOENT || err->sys == ENOTDIR;
}

/* Settings */

/*
 * The word that TEXT starts with, its quotes taken off; NULL where only a shell can tell.  A shell
 * takes what touches a closing quote for more of the same word, and # for a comment behind a blank.
 */
static char *literal(char *text)
{
	char quote = text[0] == '"' || text[0] == '\'' ? text[0] : '\0';
	char *word = quote ? text + 1 : text;
	char *end = quote ? strchr(word, quote) : word + strcspn(word, " \t\r;");

	if (!end || (quote && !strchr(" \t\r;", end[1])))
		return NULL;
	*end = '\0';
	return quote != '\'' && strpbrk(word, quote ? "$`\\" : "$`\\\"'&|<>()") ? NULL : word;
}

static bool read_line(char *line, const char *name, char **value, struct ks_error *err)
{
	size_t len = strlen(name);
	char *word;

	line += strspn(line, " \t");
	if (strncmp(line, name, len) != 0 || line[len] != '=')
		return true;
	word = literal(line + len + 1);
	ks_string_free(value);
	return !word || !word[0] || ks_string_copy(value, word, err);
}

static bool read_settings(const char *root, const char *path, const char *name, char **value,
			  struct ks_error *err)
{
	KS_BUF text = { 0 };
	struct stat st;
	char *rest;

	if (!ks_file_read_path(root, path, CONFIG_LIMIT, &text, &st, err))
		return is_missing(err) || ks_at(err, path);
	if (!ks_buf_append(&text, "", 1, err))
		return false;
	rest = (char *)text.data;
	while (rest)
		if (!read_line(strsep(&rest, "\n"), name, value, err))
			return false;
	return true;
}

bool ks_dkms_setting(const char *root, const char *name, char **value, struct ks_error *err)
{
	KS_STRINGS names = { 0 };

	*value = NULL;
	if (!read_settings(root, config_file, name, value, err))
		return false;
	if (!ks_dir_names_at(root, config_dir, &names, err) && !is_missing(err))
		return ks_at(err, config_dir);
	for (size_t i = 0; i < names.count; i++) {
		const char *suffix = strrchr(names.item[i], '.');
		KS_STRING path = NULL;

		if (!suffix || strcmp(suffix, ".conf") != 0)
			continue;
		if (!ks_string_print(&path, err, "%s/%s", config_dir, names.item[i]) ||
		    !read_settings(root, path, name, value, err))
			return false;
	}
	return true;
}

/* The tree: TREE/PACKAGE/VERSION/KERNEL/ARCH/module/FILE */

static bool find_tree(const char *root, char **tree, struct ks_error *err)
{
	return ks_dkms_setting(root, "dkms_tree", tree, err) &&
	       (*tree || ks_string_copy(tree, default_tree, err));
}

/*
 * A version has a link to its source, which leads nowhere if somebody took that away; what else lies
 * about in the tree has none.
 */
static bool is_package(const char *root, const char *dir, bool *is, struct ks_error *err)
{
	KS_STRINGS versions = { 0 };

	*is = false;
	if (!ks_dir_names_at(root, dir, &versions, err))
		return ks_error_is_nowhere(err) || ks_at(err, dir);
	for (size_t i = 0; i < versions.count && !*is; i++) {
		KS_STRINGS names = { 0 };
		KS_STRING version = NULL;

		if (!ks_string_print(&version, err, "%s/%s", dir, versions.item[i]))
			return false;
		if (!ks_dir_names_at(root, version, &names, err) && !ks_error_is_nowhere(err))
			return ks_at(err, version);
		*is = ks_strings_has(&names, "source", strlen("source"));
	}
	return true;
}

static bool list_packages(const char *root, const char *tree, struct ks_strings *names,
			  struct ks_error *err)
{
	KS_STRINGS all = { 0 };

	if (!ks_dir_names_at(root, tree, &all, err))
		return is_missing(err) || ks_at(err, tree);
	for (size_t i = 0; i < all.count; i++) {
		KS_STRING dir = NULL;
		bool is;

		if (!ks_string_print(&dir, err, "%s/%s", tree, all.item[i]) ||
		    !is_package(root, dir, &is, err) ||
		    (is && !ks_strings_add(names, all.item[i], err)))
			return false;
	}
	return true;
}

bool ks_dkms_packages(const char *root, struct ks_strings *names, struct ks_error *err)
{
	KS_STRING tree = NULL;

	return find_tree(root, &tree, err) && list_packages(root, tree, names, err);
}

/* Whether LINK, TREE/PACKAGE/kernel-KERNEL-ARCH, leads to a build for the kernel VERSION, or any. */
static bool leads_to(const char *root, const char *dir, const char *link, const char *version,
		     bool *leads, struct ks_error *err)
{
	size_t len = version ? strlen(version) : 0;
	char target[PATH_MAX];
	KS_PLACE place = KS_PLACE_NONE;
	KS_FD fd = -1;
	const char *kernel;
	ssize_t size;

	*leads = false;
	if (strncmp(link, "kernel-", strlen("kernel-")) != 0)
		return true;
	if (!ks_place_find(&place, root, dir, err) ||
	    !ks_place_open(&place, O_PATH | O_DIRECTORY, &fd, err))
		return is_missing(err) || ks_at(err, dir);
	size = readlinkat(fd, link, target, sizeof(target) - 1);
	if (size < 0 && errno != EINVAL && errno != ENOENT)
		return ks_fail_errno_at(err, dir, link);
	target[size < 0 ? 0 : size] = '\0';
	kernel = strchr(target, '/');
	*leads = kernel &&
		 (!version || (strncmp(kernel + 1, version, len) == 0 && kernel[1 + len] == '/'));
	return true;
}

static bool add_modules(const char *root, const char *dir, const char *link,
			struct ks_strings *paths, struct ks_error *err)
{
	KS_STRING modules = NULL;
	KS_STRINGS files = { 0 };

	if (!ks_string_print(&modules, err, "%s/%s/module", dir, link))
		return false;
	if (!ks_dir_names_at(root, modules, &files, err))
		return is_missing(err) || ks_at(err, modules);
	for (size_t i = 0; i < files.count; i++) {
		KS_PLACE place = KS_PLACE_NONE;
		KS_STRING path = NULL;

		if (!ks_codec_is_module_name(files.item[i]))
			continue;
		if (!ks_string_print(&path, err, "%s/%s", modules, files.item[i]))
			return false;
		if (!ks_place_find(&place, root, path, err))
			return ks_at(err, path);
		if (!ks_strings_add(paths, place.path, err))
			return false;
	}
	return true;
}

static bool add_package(const char *root, const char *dir, const char *version,
			struct ks_strings *paths, struct ks_error *err)
{
	KS_STRINGS names = { 0 };

	if (!ks_dir_names_at(root, dir, &names, err))
		return is_missing(err) || ks_at(err, dir);
	for (size_t i = 0; i < names.count; i++) {
		bool leads;

		if (!leads_to(root, dir, names.item[i], version, &leads, err) ||
		    (leads && !add_modules(root, dir, names.item[i], paths, err)))
			return false;
	}
	return true;
}

bool ks_dkms_copies(const char *root, const char *version, struct ks_strings *paths,
		    struct ks_error *err)
{
	KS_STRINGS packages = { 0 };
	KS_STRING tree = NULL;

	if (!find_tree(root, &tree, err) || !list_packages(root, tree, &packages, err))
		return false;
	for (size_t i = 0; i < packages.count; i++) {
		KS_STRING dir = NULL;

		if (!ks_string_print(&dir, err, "%s/%s", tree, packages.item[i]) ||
		    !add_package(root, dir, version, paths, err))
			return false;
	}
	return true;
}

/* One copy */

struct file {
	struct ks_place place;
	struct ks_buf bytes;
	struct stat st;
};

static void file_free(struct file *file)
{
	ks_place_close(&file->place);
	ks_buf_drop(&file->bytes);
}

#define FILE_NONE ((struct file){ .place = KS_PLACE_NONE })

static bool read_whole(struct file *file, const char *path, const struct ks_load *load,
		       struct ks_error *err)
{
	return ks_place_find(&file->place, load->root, path, err) &&
	       ks_file_read(&file->place, load->max_size, &file->bytes, &file->st, err);
}

/* MALFORMED, with no code before, says which signature hides what it was made over, if one does. */
static bool load_image(struct ks_module *m, const char *path, const struct ks_load *load,
		       struct ks_error *malformed, struct ks_error *err)
{
	size_t removed;

	if (!ks_module_load(m, path, load, err))
		return false;
	if (ks_module_unsign(m, &removed, err))
		return true;
	*malformed = *err;
	return err->code != KS_ERR_SYSTEM;
}

/* With one and the same malformed signature beneath, nothing is hidden that could differ. */
static bool is_same_image(const char *a, const char *b, const struct ks_load *load, bool *same,
			  struct ks_error *err)
{
	KS_MODULE first = KS_MODULE_NONE;
	KS_MODULE second = KS_MODULE_NONE;
	struct ks_error malformed = { 0 };

	if (!load_image(&first, a, load, &malformed, err) ||
	    !load_image(&second, b, load, &malformed, err))
		return false;
	*same = ks_view_equal(ks_buf_view(&first.content), ks_buf_view(&second.content));
	if (*same || !malformed.code)
		return true;
	*err = malformed;
	return false;
}

static bool renew(const char *installed, const char *copy, const struct ks_load *load, bool dry_run,
		  struct ks_dirsync *sync, enum ks_dkms_copy *result, struct ks_error *err)
{
	__attribute__((cleanup(file_free))) struct file from = FILE_NONE;
	__attribute__((cleanup(file_free))) struct file to = FILE_NONE;
	bool same = false;

	*result = KS_DKMS_SAME;
	if (strcmp(installed, copy) == 0)
		return true;
	if (!read_whole(&from, installed, load, err) || !read_whole(&to, copy, load, err))
		return false;
	if (ks_view_equal(ks_buf_view(&from.bytes), ks_buf_view(&to.bytes)))
		return true;
	if (!is_same_image(installed, copy, load, &same, err))
		return false;
	*result = same ? KS_DKMS_RENEWED : KS_DKMS_DIFFERS;
	return !same || dry_run ||
	       ks_file_replace(&to.place, &to.st, ks_buf_view(&from.bytes), sync, err);
}

bool ks_dkms_renew(const char *installed, const struct ks_strings *copies,
		   const struct ks_load *load, bool dry_run, struct ks_dirsync *sync,
		   enum ks_dkms_copy *result, const char **copy, struct ks_error *err)
{
	const char *slash = strrchr(installed, '/');
	const char *name = slash ? slash + 1 : installed;

	*result = KS_DKMS_NO_COPY;
	*copy = NULL;
	for (size_t i = 0; i < copies->count; i++) {
		const char *last = strrchr(copies->item[i], '/');

		if (!last || strcmp(last + 1, name) != 0)
			continue;
		*copy = copies->item[i];
		if (!renew(installed, *copy, load, dry_run, sync, result, err))
			return ks_at(err, *copy);
		if (*result != KS_DKMS_DIFFERS)
			return true;
	}
	return true;
}
