/* SPDX-License-Identifier: MIT */
#include "core/locate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "core/kmod.h"

enum { ORDER_LIMIT = 64 << 20 }; /* bytes of modules.order; a full kernel's has 300 KiB */

struct search {
	const struct ks_locate *request;
	struct ks_modules *modules;
	struct ks_strings entered; /* directories reached through a link, against loops */
	const char *top;	   /* where the walk began */
};

static bool add(struct ks_modules *modules, const char *path, bool by_choice, struct ks_error *err)
{
	char *copy = NULL;

	if (modules->count == modules->cap) {
		size_t cap = modules->cap ? modules->cap * 2 : 64;
		struct ks_found *item = reallocarray(modules->item, cap, sizeof(*item));

		if (!item)
			return ks_fail_memory(err);
		modules->item = item;
		modules->cap = cap;
	}
	if (!ks_string_copy(&copy, path, err))
		return false;
	modules->item[modules->count++] = (struct ks_found){ .path = copy, .by_choice = by_choice };
	return true;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct ks_found *)a)->path, ((const struct ks_found *)b)->path);
}

static void sort(struct ks_modules *modules)
{
	size_t kept = 0;

	if (!modules->count)
		return;
	qsort(modules->item, modules->count, sizeof(*modules->item), by_path);
	for (size_t i = 1; i < modules->count; i++) {
		if (strcmp(modules->item[kept].path, modules->item[i].path) == 0)
			free(modules->item[i].path);
		else
			modules->item[++kept] = modules->item[i];
	}
	modules->count = kept + 1;
}

/* The directory tree */

static bool walk(struct search *s, const char *path, bool deep, struct ks_error *err);

/* depmod leaves out the same names: they lead to the kernel's headers and source. */
static bool is_entered(const char *name)
{
	return strcmp(name, "build") != 0 && strcmp(name, "source") != 0;
}

static bool walk_linked(struct search *s, const char *path, struct ks_error *err)
{
	for (size_t i = 0; i < s->entered.count; i++)
		if (strcmp(s->entered.item[i], path) == 0)
			return true;
	return ks_strings_add(&s->entered, path, err) && walk(s, path, true, err);
}

/* What cannot be read below the top is said, and the rest found all the same. */
static bool note_fault(struct search *s, const char *path, struct ks_error *err)
{
	ks_at(err, path);
	if (strcmp(path, s->top) == 0 || err->sys == ENOMEM)
		return false;
	return ks_strings_add(&s->modules->faults, err->text, err);
}

/* A link that leads nowhere is still somebody's module: it is taken as it is, to be reported. */
static bool take_link(struct search *s, const char *path, const char *name, bool deep,
		      struct ks_error *err)
{
	const char *root = s->request->load.root;
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	if (ks_place_find(&place, root, path, err) &&
	    (fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	     ks_fail_errno(err, "stat"))) {
		if (S_ISDIR(st.st_mode))
			return !deep || !is_entered(name) || walk_linked(s, place.path, err);
		return !ks_codec_is_module_name(name) || add(s->modules, place.path, false, err);
	}
	if (ks_codec_is_module_name(name))
		return add(s->modules, path, false, err);
	return ks_error_is_nowhere(err) || note_fault(s, path, err);
}

static bool take_entry(struct search *s, const char *dir, const struct dirent *entry, bool deep,
		       int dirfd, struct ks_error *err)
{
	KS_STRING path = NULL;
	struct stat st;

	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return true;
	if (!ks_string_print(&path, err, "%s/%s", strcmp(dir, "/") ? dir : "", entry->d_name))
		return false;
	if (fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT || ks_fail_errno_at(err, path, "stat");
	if (S_ISLNK(st.st_mode))
		return take_link(s, path, entry->d_name, deep, err);
	if (S_ISDIR(st.st_mode))
		return !deep || !is_entered(entry->d_name) || walk(s, path, deep, err);
	return !ks_codec_is_module_name(entry->d_name) || add(s->modules, path, false, err);
}

static bool walk_open(struct search *s, const char *path, DIR *dir, bool deep, struct ks_error *err)
{
	struct dirent *entry;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this DIR */
	while ((errno = 0, entry = readdir(dir)))
		if (!take_entry(s, path, entry, deep, dirfd(dir), err))
			return false;
	return !errno || ks_fail_errno_at(err, path, "read directory");
}

/* PATH is canonical. */
static bool walk(struct search *s, const char *path, bool deep, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	bool ok;
	DIR *dir;
	int fd;

	if (!ks_place_find(&place, s->request->load.root, path, err) ||
	    !ks_place_open(&place, O_RDONLY | O_DIRECTORY, &fd, err))
		return note_fault(s, path, err);
	dir = fdopendir(fd);
	if (!dir) {
		ks_fail_errno_at(err, place.path, "open directory");
		ks_fd_close(&fd);
		return false;
	}
	ok = walk_open(s, place.path, dir, deep, err);
	closedir(dir);
	return ok;
}

static bool walk_tree(const struct ks_locate *request, const char *path, bool deep,
		      struct ks_modules *modules, struct ks_error *err)
{
	struct search s = { .request = request, .modules = modules, .top = path };
	bool ok = walk(&s, path, deep, err);

	ks_strings_free(&s.entered);
	sort(modules);
	return ok;
}

/* In tree or out of tree */

static bool in_updates(const struct ks_kernel *kernel, const char *path)
{
	size_t len = strlen(kernel->dir);

	return strncmp(path, kernel->dir, len) == 0 &&
	       strncmp(path + len, "/updates/", strlen("/updates/")) == 0;
}

static bool parse_order(const struct ks_kernel *kernel, struct ks_view text,
			struct ks_strings *paths, struct ks_error *err)
{
	while (text.len) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		size_t len = end ? (size_t)(end - text.data) : text.len;
		KS_STRING path = NULL;

		if (!ks_string_print(&path, err, "%s/%.*s", kernel->dir, (int)len,
				     (const char *)text.data) ||
		    !ks_strings_add_len(paths, path, ks_codec_plain_name_len(path), err))
			return false;
		text.data += len + (end ? 1 : 0);
		text.len -= len + (end ? 1 : 0);
	}
	ks_strings_sort(paths);
	return true;
}

/* *EXISTS is false, and the list empty, where the kernel has no modules.order. */
static bool read_order(const struct ks_locate *request, struct ks_strings *paths, bool *exists,
		       struct ks_error *err)
{
	KS_BUF text = { 0 };
	KS_STRING path = NULL;
	struct stat st;

	if (!ks_string_print(&path, err, "%s/modules.order", request->kernel->dir))
		return false;
	*exists = ks_file_read_path(request->load.root, path, ORDER_LIMIT, &text, &st, err);
	if (!*exists)
		return err->sys == ENOENT ? true : ks_at(err, path);
	return parse_order(request->kernel, ks_buf_view(&text), paths, err);
}

struct asking {
	const struct ks_locate *request;
	struct ks_modules *modules;
};

/* What cannot be read is taken for out of tree: then it is reported, not passed over. */
static void ask_module(void *ctx, size_t i)
{
	struct asking *a = ctx;
	struct ks_found *found = &a->modules->item[i];
	KS_MODULE module = KS_MODULE_NONE;
	KS_MODINFO info = { 0 };
	struct ks_error err;

	if (in_updates(a->request->kernel, found->path))
		return;
	found->in_tree = ks_module_load(&module, found->path, &a->request->load, &err) &&
			 ks_modinfo_read(ks_buf_view(&module.content), &info, &err) && info.intree;
}

static bool tell_apart(const struct ks_locate *request, struct ks_modules *modules,
		       struct ks_error *err)
{
	struct asking asking = { request, modules };
	KS_STRINGS order = { 0 };
	bool have_order;

	if (!read_order(request, &order, &have_order, err))
		return false;
	if (!have_order) {
		ks_parallel_run(&(struct ks_parallel){ .count = modules->count,
						       .jobs = request->jobs,
						       .work = ask_module,
						       .ctx = &asking });
		return true;
	}
	for (size_t i = 0; i < modules->count; i++)
		modules->item[i].in_tree =
			ks_strings_has(&order, modules->item[i].path,
				       ks_codec_plain_name_len(modules->item[i].path));
	return true;
}

static void keep_out_of_tree(struct ks_modules *modules)
{
	size_t kept = 0;

	for (size_t i = 0; i < modules->count; i++) {
		if (modules->item[i].in_tree)
			free(modules->item[i].path);
		else
			modules->item[kept++] = modules->item[i];
	}
	modules->count = kept;
}

static bool locate_kernel(const struct ks_locate *request, struct ks_modules *modules,
			  struct ks_error *err)
{
	if (!walk_tree(request, request->kernel->dir, true, modules, err) ||
	    !tell_apart(request, modules, err))
		return false;
	if (!request->in_tree)
		keep_out_of_tree(modules);
	return true;
}

/* By name */

bool ks_locate_is_path(const char *name)
{
	return strchr(name, '/') || ks_codec_is_module_name(name);
}

static bool add_path(const struct ks_locate *request, const char *path, struct ks_modules *modules,
		     struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	struct stat st;

	if (!ks_place_find(&place, request->load.root, path, err) ||
	    fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW))
		return add(modules, path, true, err);
	return add(modules, place.path, true, err);
}

/* A module's name is its file's up to the first dot, with '-' written as '_' (libkmod). */
static bool has_name(const char *path, const char *name)
{
	const char *file = strrchr(path, '/') + 1;

	if (!*name)
		return false;
	for (; *name; name++, file++)
		if ((*file == '-' ? '_' : *file) != (*name == '-' ? '_' : *name))
			return false;
	return *file == '.';
}

const char *ks_locate_name(const char *path, size_t *len)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;

	*len = strcspn(file, ".");
	return file;
}

static bool no_such_module(const struct ks_locate *request, const char *name, struct ks_error *err)
{
	KS_MODULES own = { 0 };
	KS_STRINGS names = { 0 };
	char list[1024];

	if (!locate_kernel(request, &own, err))
		return false;
	for (size_t i = 0; i < own.count; i++) {
		size_t len;
		const char *own_name = ks_locate_name(own.item[i].path, &len);

		if (!own.item[i].in_tree && !ks_strings_add_len(&names, own_name, len, err))
			return false;
	}
	ks_strings_sort(&names);
	ks_strings_join(&names, list, sizeof(list));
	return ks_fail(err, KS_ERR_MISSING, "no module %s below %s%s; out of tree there %s%s", name,
		       request->load.root ? request->load.root : "", request->kernel->dir,
		       names.count ? "is " : "is none", list);
}

/* modprobe loads what modules.dep says; a module that depmod has not seen is found by its file. */
static bool add_name(const struct ks_locate *request, const char *name, struct ks_modules *modules,
		     struct ks_error *err)
{
	KS_STRING path = NULL;
	KS_MODULES all = { 0 };
	size_t before = modules->count;

	if (!ks_kmod_lookup(request->load.root, request->kernel->dir, name, &path, err))
		return false;
	if (path)
		return add_path(request, path, modules, err);
	if (!walk_tree(request, request->kernel->dir, true, &all, err))
		return false;
	for (size_t i = 0; i < all.count; i++)
		if (has_name(all.item[i].path, name) && !add(modules, all.item[i].path, true, err))
			return false;
	return modules->count > before || no_such_module(request, name, err);
}

static bool locate_names(const struct ks_locate *request, struct ks_modules *modules,
			 struct ks_error *err)
{
	for (size_t i = 0; i < request->names; i++) {
		const char *name = request->name[i];
		bool ok = ks_locate_is_path(name) ? add_path(request, name, modules, err) :
						    add_name(request, name, modules, err);

		if (!ok && (err->code != KS_ERR_MISSING ||
			    !ks_strings_add(&modules->faults, err->text, err)))
			return false;
	}
	sort(modules);
	return !request->kernel || tell_apart(request, modules, err);
}

bool ks_locate(const struct ks_locate *request, struct ks_modules *modules, struct ks_error *err)
{
	bool ok;

	*modules = (struct ks_modules){ 0 };
	if (request->names)
		ok = locate_names(request, modules, err);
	else if (request->dir)
		ok = walk_tree(request, request->dir, false, modules, err);
	else
		ok = locate_kernel(request, modules, err);
	for (size_t i = 0; ok && i < modules->count; i++)
		modules->out_of_tree += !modules->item[i].in_tree;
	if (!ok)
		ks_modules_free(modules);
	return ok;
}

void ks_modules_free(struct ks_modules *modules)
{
	for (size_t i = 0; i < modules->count; i++)
		free(modules->item[i].path);
	free(modules->item);
	ks_strings_free(&modules->faults);
	*modules = (struct ks_modules){ 0 };
}
