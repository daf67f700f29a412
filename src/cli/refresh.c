/* SPDX-License-Identifier: MIT */
#include "cli/refresh.h"

#include <stdlib.h>
#include <string.h>

#include "cli/child.h"
#include "cli/shell.h"

/* mkinitcpio names images after packages: not after the kernel's version. */
static bool is_of_package(const char *image, const char *version)
{
	static const char start[] = "/boot/initramfs-";
	size_t len = strlen(version);

	return strncmp(image, start, sizeof(start) - 1) == 0 &&
	       (strncmp(image + sizeof(start) - 1, version, len) != 0 ||
		strcmp(image + sizeof(start) - 1 + len, ".img") != 0);
}

static bool is_of_debian(const char *image)
{
	static const char start[] = "/initrd.img-";

	return strncmp(strrchr(image, '/'), start, sizeof(start) - 1) == 0;
}

bool refresh_find(const char *root, const char *version, const char *image, struct refresh *refresh)
{
	const struct {
		bool makes_it;
		struct refresh refresh;
	} known[] = {
		{ is_of_debian(image),
		  { "/usr/sbin/update-initramfs", { "update-initramfs", "-u", "-k", version } } },
		{ is_of_package(image, version),
		  { "/usr/bin/mkinitcpio", { "mkinitcpio", "-P" } } },
		{ true, { "/usr/bin/dracut", { "dracut", "--force", image, version } } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!known[i].makes_it || !ks_place_exists(root, known[i].refresh.path))
			continue;
		*refresh = known[i].refresh;
		return true;
	}
	return false;
}

static bool run(const char *root, const struct refresh *refresh, struct ks_error *err)
{
	struct child child = { .root = root, .path = refresh->path, .argv = refresh->argv };
	KS_STRING how = NULL;
	KS_STRING line = NULL;
	int status;

	if (!child_run(&child, &status, err) || !child_end_name(status, &how, err))
		return false;
	if (!how[0])
		return true;
	return shell_inside(root, refresh->argv, &line, err) &&
	       ks_fail(err, KS_ERR_SYSTEM,
		       "\"%s\" ended with %s, and the initramfs has old copies still: see what it said",
		       line, how);
}

/* '"update-initramfs -u -k V" makes it anew', or that no such program is known. */
static bool word_command(const char *root, const char *version, const char *image, char **text,
			 struct ks_error *err)
{
	KS_STRING line = NULL;
	struct refresh refresh;

	if (!refresh_find(root, version, image, &refresh))
		return ks_string_copy(text, "it has to be made anew, by what made it", err);
	return shell_inside(root, refresh.argv, &line, err) &&
	       ks_string_print(text, err, "\"%s\" makes it anew", line);
}

/* "a, b and 7 more": modules as one calls them. */
static bool word_names(const struct ks_strings *paths, char **text, struct ks_error *err)
{
	enum { SHOWN = 20 };
	KS_STRINGS names = { 0 };
	char first[SHOWN * 64];
	size_t all;

	for (size_t i = 0; i < paths->count; i++) {
		size_t len;
		const char *name = ks_locate_name(paths->item[i], &len);

		if (!ks_strings_add_len(&names, name, len, err))
			return false;
	}
	ks_strings_sort(&names);
	all = names.count;
	while (names.count > SHOWN)
		free(names.item[--names.count]);
	ks_strings_join(&names, first, sizeof(first));
	if (all == names.count)
		return ks_string_copy(text, first, err);
	return ks_string_print(text, err, "%s and %zu more", first, all - names.count);
}

bool refresh_word(const char *root, const char *version, const struct ks_stale_image *image,
		  char **text, struct ks_error *err)
{
	KS_STRING command = NULL;
	KS_STRING names = NULL;

	*text = NULL;
	if (image->unread && !image->outdated.count)
		return ks_string_print(text, err,
				       "whether it has old copies of modules is not known: %s",
				       image->unread);
	if (!image->outdated.count)
		return true;
	return word_names(&image->outdated, &names, err) &&
	       word_command(root, version, image->path, &command, err) &&
	       ks_string_print(text, err, "%s: has old copies of modules (%s)%s; %s", image->path,
			       names, image->unread ? ", and cannot be read to its end" : "",
			       command);
}

static struct json_object *image_json(const char *root, const char *version,
				      const struct ks_stale_image *image)
{
	struct json_object *outdated = json_object_new_array();
	struct json_object *o = json_object_new_object();
	KS_STRING command = NULL;
	struct refresh refresh;
	struct ks_error err;

	if (image->outdated.count && refresh_find(root, version, image->path, &refresh) &&
	    !shell_inside(root, refresh.argv, &command, &err))
		report_error(&err);

	for (size_t i = 0; i < image->outdated.count; i++)
		json_object_array_add(outdated, report_text(image->outdated.item[i]));
	json_object_object_add(o, "kernel", report_text(version));
	json_object_object_add(o, "image", report_text(image->path));
	json_object_object_add(o, "outdated", outdated);
	json_object_object_add(o, "unread", report_text(image->unread));
	json_object_object_add(o, "refresh", report_text(image->outdated.count ? command : NULL));
	return o;
}

void refresh_add_json(struct json_object *list, const char *root, const char *version,
		      const struct ks_stale *stale)
{
	for (size_t i = 0; i < stale->count; i++)
		json_object_array_add(list, image_json(root, version, &stale->image[i]));
}

static bool tell(const char *root, const char *version, const struct ks_stale *stale,
		 struct ks_error *err)
{
	for (size_t i = 0; i < stale->count; i++) {
		KS_STRING text = NULL;

		if (!refresh_word(root, version, &stale->image[i], &text, err))
			return false;
		if (text)
			report_warning("warning: %s", text);
	}
	return true;
}

/* Most of them make all images of a kernel at once. */
static bool is_done(const struct refresh *done, size_t count, const struct refresh *refresh)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = 0;

		while (done[i].argv[n] && refresh->argv[n] &&
		       strcmp(done[i].argv[n], refresh->argv[n]) == 0)
			n++;
		if (!done[i].argv[n] && !refresh->argv[n])
			return true;
	}
	return false;
}

static bool run_each(const char *root, const char *version, const struct ks_stale *stale,
		     struct refresh *done, struct ks_error *err)
{
	size_t count = 0;

	for (size_t i = 0; i < stale->count; i++) {
		const struct ks_stale_image *image = &stale->image[i];
		struct refresh *refresh = &done[count];

		if (!image->outdated.count)
			continue;
		if (!refresh_find(root, version, image->path, refresh))
			return ks_fail(
				err, KS_ERR_MISSING,
				"%s: no program that makes it anew is known here: do it with "
				"what made it",
				image->path);
		if (is_done(done, count, refresh))
			continue;
		if (!run(root, refresh, err))
			return false;
		count++;
	}
	return true;
}

/* And looks again: what a program was told to do it need not have done. */
static bool make_anew(const char *root, const struct ks_kernel *kernel, const struct ks_load *load,
		      const struct ks_strings *modules, struct ks_stale *stale,
		      struct ks_error *err)
{
	struct refresh *done = calloc(stale->count, sizeof(*done));
	bool ok = done ? run_each(root, kernel->version, stale, done, err) : ks_fail_memory(err);

	free(done);
	if (!ok)
		return false;
	ks_stale_free(stale);
	if (!ks_stale_find(kernel, load, modules, stale, err))
		return false;
	return !ks_stale_outdated(stale) ||
	       ks_fail(err, KS_ERR_CHANGED,
		       "the initramfs was made anew, but has old copies still: see what that said");
}

/* What there would be to do can be told only of what is there. */
static bool foresee(const char *root, const char *version, const struct ks_stale *stale,
		    struct ks_error *err)
{
	for (size_t i = 0; i < stale->count; i++) {
		const struct ks_stale_image *image = &stale->image[i];
		KS_STRING line = NULL;
		struct refresh refresh;

		if (!image->copies || !refresh_find(root, version, image->path, &refresh))
			continue;
		if (!shell_inside(root, refresh.argv, &line, err))
			return false;
		report_line("%s: \"%s\" would make it anew if its copies are old then", image->path,
			    line);
	}
	return true;
}

bool refresh_foresee(const struct request *request, const struct ks_kernel *kernel,
		     const struct ks_strings *modules, struct ks_error *err)
{
	struct ks_load load = request_load(request);
	KS_STALE stale = { 0 };

	return ks_stale_find(kernel, &load, modules, &stale, err) &&
	       foresee(request->root, kernel->version, &stale, err);
}

bool refresh_images(const struct request *request, const struct ks_kernel *kernel,
		    const struct ks_strings *modules, bool update, struct json_object *list,
		    struct ks_error *err)
{
	struct ks_load load = request_load(request);
	const char *root = request->root;
	KS_STALE stale = { 0 };
	bool ok;

	if (!ks_stale_find(kernel, &load, modules, &stale, err))
		return false;
	ok = !update || !ks_stale_outdated(&stale) ||
	     make_anew(root, kernel, &load, modules, &stale, err);
	if (list)
		refresh_add_json(list, root, kernel->version, &stale);
	return (list || tell(root, kernel->version, &stale, err)) && ok;
}
