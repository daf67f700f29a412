/* SPDX-License-Identifier: MIT */
#include "core/stale.h"

#include <stdlib.h>
#include <string.h>

#include "core/initramfs.h"

enum {
	IMAGE_LIMIT = 512 << 20, /* bytes, of the file */
	SMALL_LIMIT = 4096,	 /* bytes, of pkgbase */
};

struct search {
	const struct ks_kernel *kernel;
	const struct ks_load *load;
	const struct ks_strings *modules;
	struct ks_stale *stale;
};

/* Where it is */

/* Arch's kernel packages leave their name there, and mkinitcpio names its images after it. */
static bool by_package(const struct ks_kernel *kernel, const char *root, char **path,
		       struct ks_error *err)
{
	KS_STRING file = NULL;
	KS_BUF text = { 0 };
	struct ks_error ignored;
	struct stat st;
	size_t len = 0;

	if (!ks_string_print(&file, err, "%s/pkgbase", kernel->dir))
		return false;
	if (!ks_file_read_path(root, file, SMALL_LIMIT, &text, &st, &ignored))
		return true;
	while (len < text.len && text.data[len] != '\n' && text.data[len] != '/')
		len++;
	return ks_string_print(path, err, "/boot/initramfs-%.*s.img", (int)len,
			       (const char *)text.data);
}

static bool take_if_there(const char *root, char **path, struct ks_stale *stale)
{
	if (stale->image || !*path || !ks_place_exists(root, *path))
		return false;
	stale->image = *path;
	*path = NULL;
	return true;
}

static bool find_image(const struct search *s, struct ks_error *err)
{
	static const char *const patterns[] = { "/boot/initrd.img-%s", "/boot/initramfs-%s.img",
						"/boot/initrd-%s" };
	const char *root = s->load->root;
	KS_STRING own = NULL;
	KS_STRING packaged = NULL;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		const char *hole = strstr(patterns[i], "%s");
		KS_STRING path = NULL;

		if (!ks_string_print(&path, err, "%.*s%s%s", (int)(hole - patterns[i]), patterns[i],
				     s->kernel->version, hole + 2))
			return false;
		take_if_there(root, &path, s->stale);
	}
	if (!ks_string_print(&own, err, "%s/initrd", s->kernel->dir) ||
	    !by_package(s->kernel, root, &packaged, err))
		return false;
	take_if_there(root, &own, s->stale);
	take_if_there(root, &packaged, s->stale);
	return true;
}

/* What is in it */

/* PATH below the directory of the kernel's modules, wherever /lib leads; NULL where it is elsewhere. */
static const char *below_kernel(const struct search *s, const char *path)
{
	const char *at = strstr(path, "lib/modules/");
	size_t len = strlen(s->kernel->version);

	if (!at || strncmp(at + strlen("lib/modules/"), s->kernel->version, len) != 0)
		return NULL;
	at += strlen("lib/modules/") + len;
	return *at == '/' ? at : NULL;
}

/* Whatever they are compressed with. */
static bool is_same_module(const char *a, const char *b)
{
	size_t len = ks_codec_plain_name_len(a);

	return len == ks_codec_plain_name_len(b) && strncmp(a, b, len) == 0;
}

static bool is_unsigned(struct ks_view content)
{
	return ks_trailer_parse(content).kind == KS_TRAILER_NONE;
}

/*
 * The copy is unpacked, and the installed one read again; what cannot be is no copy.  Of modules
 * without signatures dracut strips debugging symbols.
 */
static bool is_outdated(const struct search *s, const char *installed, struct ks_view copy)
{
	const struct ks_codec *codec = ks_codec_by_magic(copy);
	KS_MODULE module = KS_MODULE_NONE;
	KS_BUF plain = { 0 };
	struct ks_error ignored;

	if (!ks_codec_unpack(codec, copy, s->load->max_size, &plain, &ignored) ||
	    !ks_module_load(&module, installed, s->load, &ignored))
		return false;
	if (is_unsigned(ks_buf_view(&plain)) && is_unsigned(ks_buf_view(&module.content)))
		return false;
	return plain.len != module.content.len ||
	       memcmp(plain.data, module.content.data, plain.len) != 0;
}

static bool compare(void *ctx, const char *path, struct ks_view content, struct ks_error *err)
{
	const struct search *s = ctx;
	const char *name = below_kernel(s, path);

	for (size_t i = 0; name && i < s->modules->count; i++) {
		const char *installed = s->modules->item[i];
		const char *other = below_kernel(s, installed);

		if (!other || !is_same_module(name, other))
			continue;
		s->stale->copies++;
		if (is_outdated(s, installed, content) &&
		    !ks_strings_add(&s->stale->outdated, installed, err))
			return false;
	}
	return true;
}

static bool look_inside(struct search *s, struct ks_error *err)
{
	KS_BULK file = { 0 };
	struct stat st;

	if (ks_file_read_path(s->load->root, s->stale->image, IMAGE_LIMIT, &file, &st, err) &&
	    ks_initramfs_modules(ks_buf_view(&file), s->load->max_size, compare, s, err))
		return true;
	return ks_at(err, s->stale->image);
}

bool ks_stale_find(const struct ks_kernel *kernel, const struct ks_load *load,
		   const struct ks_strings *modules, struct ks_stale *stale, struct ks_error *err)
{
	struct search s = { kernel, load, modules, stale };

	*stale = (struct ks_stale){ 0 };
	if (find_image(&s, err) && (!stale->image || look_inside(&s, err))) {
		ks_strings_sort(&stale->outdated);
		return true;
	}
	ks_stale_free(stale);
	return false;
}

void ks_stale_free(struct ks_stale *stale)
{
	free(stale->image);
	ks_strings_free(&stale->outdated);
	*stale = (struct ks_stale){ 0 };
}
