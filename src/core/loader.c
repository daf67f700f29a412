/* SPDX-License-Identifier: MIT */
#include "core/loader.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/kmod.h"

enum {
	ORDER_LIMIT = 4 << 20, /* bytes, of modules.order */
	MODULES_TRIED = 8,
};

/* NAME as modules.order has it, "kernel/fs/nls/nls_utf8.ko", is compressed somehow or not at all. */
static bool try_module(const struct ks_kernel *kernel, const struct ks_load *load, const char *name,
		       struct ks_loader *loader, struct ks_error *err)
{
	static const struct ks_codec *const codecs[] = { &ks_codec_none, &ks_codec_gzip,
							 &ks_codec_xz, &ks_codec_zstd };

	for (size_t i = 0; !loader->vermagic && i < sizeof(codecs) / sizeof(*codecs); i++) {
		KS_MODULE module = KS_MODULE_NONE;
		KS_MODINFO info = { 0 };
		KS_STRING path = NULL;
		struct ks_error ignored;

		if (!ks_string_print(&path, err, "%s/%s%s", kernel->dir, name, codecs[i]->suffix))
			return false;
		if (!ks_module_load(&module, path, load, &ignored))
			continue;
		if (!ks_modinfo_read(ks_buf_view(&module.content), &info, err))
			return false;
		loader->vermagic = info.vermagic;
		info.vermagic = NULL;
	}
	return true;
}

/* One of the first modules in the list that comes with the kernel's package. */
static bool find_vermagic(const struct ks_kernel *kernel, const struct ks_load *load,
			  struct ks_loader *loader, struct ks_error *err)
{
	KS_STRING path = NULL;
	KS_BUF order = { 0 };
	struct ks_error ignored;
	struct stat st;
	const char *at, *end;

	if (!ks_string_print(&path, err, "%s/modules.order", kernel->dir))
		return false;
	if (!ks_file_read_path(load->root, path, ORDER_LIMIT, &order, &st, &ignored))
		return true;
	at = (const char *)order.data;
	end = at + order.len;
	for (int tries = 0; !loader->vermagic && at < end && tries < MODULES_TRIED; tries++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);
		KS_STRING name = NULL;

		if (!ks_string_print(&name, err, "%.*s", (int)len, at) ||
		    !try_module(kernel, load, name, loader, err))
			return false;
		at += len + 1;
	}
	return true;
}

bool ks_loader_find(const struct ks_kernel *kernel, const struct ks_load *load,
		    const struct ks_trust *trust, struct ks_loader *loader, struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;

	*loader = (struct ks_loader){ .trust = trust };
	if (!ks_kernel_reads(kernel, load->root, &loader->reader, err) ||
	    !ks_kmod_version(load->root, &loader->kmod, err) ||
	    !ks_kernel_config(kernel, load->root, "CONFIG_MODVERSIONS", &value, &file, err) ||
	    !find_vermagic(kernel, load, loader, err)) {
		ks_loader_free(loader);
		return false;
	}
	if (trust->abilities.config == KS_YES)
		loader->modversions = value && strcmp(value, "y") == 0 ? KS_YES : KS_NO;
	return true;
}

void ks_loader_free(struct ks_loader *loader)
{
	free(loader->vermagic);
	*loader = (struct ks_loader){ 0 };
}
