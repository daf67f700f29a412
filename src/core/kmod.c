/* SPDX-License-Identifier: MIT */
#include "core/kmod.h"

#include <errno.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/place.h"
#include "base/strings.h"

static void say_nothing(void *data, int priority, const char *file, int line, const char *fn,
			const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line, (void)fn, (void)format, (void)args;
}

static struct kmod_ctx *open_kmod(const char *dir, struct ks_error *err)
{
	static const char *const no_config[] = { NULL };
	struct kmod_ctx *ctx = kmod_new(dir, no_config);

	if (ctx)
		kmod_set_log_fn(ctx, say_nothing, NULL);
	else
		ks_fail_memory(err);
	return ctx;
}

/* libkmod's paths begin with the directory it was opened on, made absolute in its own way. */
static bool first_path(struct kmod_list *list, const char *prefix, const char *dir, char **path,
		       struct ks_error *err)
{
	size_t len = strlen(prefix);
	struct kmod_list *entry;

	kmod_list_foreach(entry, list)
	{
		struct kmod_module *module = kmod_module_get_module(entry);
		const char *file = kmod_module_get_path(module);
		/* An absolute path in modules.dep is handed out as it stands there. */
		bool below = file && strncmp(file, prefix, len) == 0;
		bool ok = !file || *path ||
			  ks_string_print(path, err, "%s%s", below ? dir : "",
					  below ? file + len : file);

		kmod_module_unref(module);
		if (!ok)
			return false;
	}
	return true;
}

/* libkmod would follow a link of the root's on the host: then its index does not count. */
static bool leads_elsewhere(const char *dir)
{
	static const char *const indexes[] = { "modules.dep.bin", "modules.alias.bin",
					       "modules.symbols.bin", "modules.builtin.bin",
					       "modules.builtin.alias.bin" };
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(indexes) / sizeof(*indexes); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, indexes[i]);
		if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

bool ks_kmod_lookup(const char *root, const char *dir, const char *name, char **path,
		    struct ks_error *err)
{
	struct kmod_list *list = NULL;
	KS_STRING host_dir = NULL;
	struct kmod_ctx *ctx;
	bool ok = true;

	*path = NULL;
	if (!ks_string_print(&host_dir, err, "%s%s", root ? root : "", dir))
		return false;
	if (root && leads_elsewhere(host_dir))
		return true;
	ctx = open_kmod(host_dir, err);
	if (!ctx)
		return false;
	if (kmod_module_new_from_lookup(ctx, name, &list) >= 0)
		ok = first_path(list, kmod_get_dirname(ctx), dir, path, err);
	kmod_module_unref_list(list);
	kmod_unref(ctx);
	return ok;
}

/*
 * libkmod reads modules by path only.  It gets a memory file, not the module's own name: the
 * bytes are the ones we read, and containers that this libkmod was built without do not matter.
 */
static bool open_image(struct ks_view image, int *fd, struct ks_error *err)
{
	size_t done = 0;

	*fd = memfd_create("module", MFD_CLOEXEC);
	if (*fd < 0)
		return ks_fail_errno(err, "memory file");
	while (done < image.len) {
		ssize_t n = write(*fd, image.data + done, image.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ks_fail_errno(err, "memory file");
		done += (size_t)n;
	}
	return true;
}

static char **find_field(struct ks_modinfo *info, const char *key)
{
	return strcmp(key, "vermagic") == 0	? &info->vermagic :
	       strcmp(key, "sig_id") == 0	? &info->sig_id :
	       strcmp(key, "signer") == 0	? &info->signer :
	       strcmp(key, "sig_key") == 0	? &info->sig_key :
	       strcmp(key, "sig_hashalgo") == 0 ? &info->sig_hashalgo :
						  NULL;
}

static bool take_fields(struct kmod_list *list, struct ks_modinfo *info, struct ks_error *err)
{
	struct kmod_list *entry;

	kmod_list_foreach(entry, list)
	{
		const char *key = kmod_module_info_get_key(entry);
		const char *value = kmod_module_info_get_value(entry);
		char **field = find_field(info, key);

		if (strcmp(key, "intree") == 0)
			info->intree = strcmp(value, "Y") == 0;
		if (field && !*field && !ks_string_copy(field, value, err))
			return false;
	}
	return true;
}

static bool read_fields(struct kmod_ctx *ctx, const char *path, struct ks_modinfo *info,
			struct ks_error *err)
{
	struct kmod_module *module = NULL;
	struct kmod_list *list = NULL;
	bool ok = true;

	/* Not a module to libkmod is a module that says nothing to us. */
	if (kmod_module_new_from_path(ctx, path, &module) >= 0 &&
	    kmod_module_get_info(module, &list) >= 0)
		ok = take_fields(list, info, err);
	kmod_module_info_free_list(list);
	kmod_module_unref(module);
	return ok;
}

bool ks_modinfo_read(struct ks_view image, struct ks_modinfo *info, struct ks_error *err)
{
	struct kmod_ctx *ctx;
	KS_FD fd = -1;
	char path[40];
	bool ok;

	*info = (struct ks_modinfo){ 0 };
	if (!open_image(image, &fd, err))
		return false;
	ctx = open_kmod("/", err);
	if (!ctx)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok = read_fields(ctx, path, info, err);
	kmod_unref(ctx);
	return ok;
}

void ks_modinfo_free(struct ks_modinfo *info)
{
	free(info->vermagic);
	free(info->sig_id);
	free(info->signer);
	free(info->sig_key);
	free(info->sig_hashalgo);
	*info = (struct ks_modinfo){ 0 };
}
