/* SPDX-License-Identifier: MIT */
#include "core/stale.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/initramfs.h"

enum {
	IMAGE_LIMIT = 512 << 20, /* bytes, of the file */
	SMALL_LIMIT = 4096,	 /* bytes, of pkgbase and the names of entries */
};

/* The last copy of a module. */
struct copy {
	bool is_there;
	struct ks_buf data; /* as it stands in the archive */
};

struct search {
	const struct ks_kernel *kernel;
	const struct ks_load *load;
	const struct ks_strings *modules;
	struct copy *copy; /* by module */
};

/* Where they are */

/* The first line of a file, *NAME, where it is fit to be a part of a file's name; else NULL. */
static bool read_name(const char *root, const char *file, char **name, struct ks_error *err)
{
	KS_BUF text = { 0 };
	struct ks_error ignored;
	struct stat st;
	size_t len = 0;

	*name = NULL;
	if (!ks_file_read_path(root, file, SMALL_LIMIT, &text, &st, &ignored))
		return true;
	while (len < text.len && text.data[len] != '\n' && text.data[len] != '/')
		len++;
	return !len || ks_string_print(name, err, "%.*s", (int)len, (const char *)text.data);
}

static bool add_by_version(const struct ks_kernel *kernel, struct ks_strings *paths,
			   struct ks_error *err)
{
	return ks_strings_print(paths, err, "/boot/initrd.img-%s", kernel->version) &&
	       ks_strings_print(paths, err, "/boot/initramfs-%s.img", kernel->version) &&
	       ks_strings_print(paths, err, "/boot/initrd-%s", kernel->version) &&
	       ks_strings_print(paths, err, "%s/initrd", kernel->dir) &&
	       ks_strings_print(paths, err, "%s/initramfs.img", kernel->dir);
}

/* Arch's kernel packages leave their name there, and mkinitcpio names its images after it. */
static bool add_by_package(const struct search *s, struct ks_strings *paths, struct ks_error *err)
{
	KS_STRING file = NULL;
	KS_STRING name = NULL;

	if (!ks_string_print(&file, err, "%s/pkgbase", s->kernel->dir) ||
	    !read_name(s->load->root, file, &name, err))
		return false;
	return !name || (ks_strings_print(paths, err, "/boot/initramfs-%s.img", name) &&
			 ks_strings_print(paths, err, "/boot/initramfs-%s-fallback.img", name));
}

static bool add_entry(const char *boot, const char *entry, const char *version,
		      struct ks_strings *paths, struct ks_error *err)
{
	return ks_strings_print(paths, err, "%s/%s/%s/initrd", boot, entry, version) &&
	       ks_strings_print(paths, err, "%s/%s/%s/initrd.img-%s", boot, entry, version,
				version);
}

/*
 * Where kernel-install lays what the boot loader specification calls an entry, named after what
 * FILE says; under Debian's name of the initramfs, where Debian's plugin lays it.
 */
static bool add_by_entry(const struct search *s, const char *file, struct ks_strings *paths,
			 struct ks_error *err)
{
	static const char *const boot[] = { "/boot", "/efi", "/boot/efi" };
	KS_STRING entry = NULL;

	if (!read_name(s->load->root, file, &entry, err))
		return false;
	for (size_t i = 0; entry && i < sizeof(boot) / sizeof(*boot); i++)
		if (!add_entry(boot[i], entry, s->kernel->version, paths, err))
			return false;
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

/* Nothing is compared yet: an image may have as many copies of one name as it likes. */
static bool keep(void *ctx, const char *path, struct ks_view content, struct ks_error *err)
{
	const struct search *s = ctx;
	const char *name = below_kernel(s, path);

	for (size_t i = 0; name && i < s->modules->count; i++) {
		const char *other = below_kernel(s, s->modules->item[i]);

		if (!other || !is_same_module(name, other))
			continue;
		s->copy[i].is_there = true;
		s->copy[i].data.len = 0;
		if (!ks_buf_append(&s->copy[i].data, content.data, content.len, err))
			return false;
	}
	return true;
}

static bool compare(const struct search *s, struct ks_stale_image *image, struct ks_error *err)
{
	for (size_t i = 0; i < s->modules->count; i++) {
		const char *installed = s->modules->item[i];

		if (!s->copy[i].is_there)
			continue;
		image->copies++;
		if (is_outdated(s, installed, ks_buf_view(&s->copy[i].data)) &&
		    !ks_strings_add(&image->outdated, installed, err))
			return false;
	}
	ks_strings_sort(&image->outdated);
	return true;
}

static void drop_copies(struct search *s)
{
	for (size_t i = 0; i < s->modules->count; i++)
		ks_buf_drop(&s->copy[i].data);
	memset(s->copy, 0, s->modules->count * sizeof(*s->copy));
}

/* What was found in front of a damage was found. */
static bool look_inside(struct search *s, struct ks_view file, struct ks_stale_image *image,
			struct ks_error *err)
{
	struct ks_error fault;
	bool ok = true;

	if (!ks_initramfs_modules(file, s->load->max_size, keep, s, &fault)) {
		ks_at(&fault, image->path);
		if (fault.sys == ENOMEM) {
			*err = fault;
			return false;
		}
		ok = ks_string_copy(&image->unread, fault.text, err);
	}
	ok = ok && compare(s, image, err);
	drop_copies(s);
	return ok;
}

/* The files that were looked into. */
struct seen {
	dev_t dev;
	ino_t ino;
};

static bool is_seen(const struct seen *seen, size_t count, const struct stat *st)
{
	for (size_t i = 0; i < count; i++)
		if (seen[i].dev == st->st_dev && seen[i].ino == st->st_ino)
			return true;
	return false;
}

/* Adds what is at PATH, if anything is. */
static bool look_at(struct search *s, const char *path, struct seen *seen, struct ks_stale *stale,
		    struct ks_error *err)
{
	struct ks_stale_image *image = &stale->image[stale->count];
	struct ks_error fault;
	KS_BULK file = { 0 };
	struct stat st = { 0 };
	bool is_read = ks_file_read_path(s->load->root, path, IMAGE_LIMIT, &file, &st, &fault);

	if (is_read ? is_seen(seen, stale->count, &st) : ks_error_is_nowhere(&fault))
		return true;
	if (!is_read)
		ks_at(&fault, path);
	if (!is_read && fault.sys == ENOMEM) {
		*err = fault;
		return false;
	}
	seen[stale->count++] = (struct seen){ st.st_dev, st.st_ino };
	if (!ks_string_copy(&image->path, path, err))
		return false;
	return is_read ? look_inside(s, ks_buf_view(&file), image, err) :
			 ks_string_copy(&image->unread, fault.text, err);
}

static bool look(struct search *s, const struct ks_strings *paths, struct ks_stale *stale,
		 struct ks_error *err)
{
	struct seen *seen = calloc(paths->count, sizeof(*seen));
	bool ok = true;

	s->copy = calloc(s->modules->count ? s->modules->count : 1, sizeof(*s->copy));
	stale->image = calloc(paths->count, sizeof(*stale->image));
	if (!seen || !s->copy || !stale->image)
		ok = ks_fail_memory(err);
	for (size_t i = 0; ok && i < paths->count; i++)
		ok = look_at(s, paths->item[i], seen, stale, err);
	if (s->copy)
		drop_copies(s);
	free(s->copy);
	free(seen);
	return ok;
}

bool ks_stale_find(const struct ks_kernel *kernel, const struct ks_load *load,
		   const struct ks_strings *modules, struct ks_stale *stale, struct ks_error *err)
{
	struct search s = { .kernel = kernel, .load = load, .modules = modules };
	KS_STRINGS paths = { 0 };

	*stale = (struct ks_stale){ 0 };
	if (add_by_version(kernel, &paths, err) && add_by_package(&s, &paths, err) &&
	    add_by_entry(&s, "/etc/kernel/entry-token", &paths, err) &&
	    add_by_entry(&s, "/etc/machine-id", &paths, err) && look(&s, &paths, stale, err))
		return true;
	ks_stale_free(stale);
	return false;
}

size_t ks_stale_outdated(const struct ks_stale *stale)
{
	size_t count = 0;

	for (size_t i = 0; i < stale->count; i++)
		count += stale->image[i].outdated.count;
	return count;
}

void ks_stale_free(struct ks_stale *stale)
{
	for (size_t i = 0; i < stale->count; i++) {
		free(stale->image[i].path);
		free(stale->image[i].unread);
		ks_strings_free(&stale->image[i].outdated);
	}
	free(stale->image);
	*stale = (struct ks_stale){ 0 };
}
