/* SPDX-License-Identifier: MIT */
#include "cli/refresh.h"

#include <string.h>

#include "cli/child.h"
#include "cli/shell.h"

bool refresh_find(const char *root, const char *version, struct refresh *refresh)
{
	const struct refresh known[] = {
		{ "/usr/sbin/update-initramfs", { "update-initramfs", "-u", "-k", version } },
		{ "/usr/bin/dracut", { "dracut", "--force", "--kver", version } },
		{ "/usr/bin/mkinitcpio", { "mkinitcpio", "-P" } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!ks_place_exists(root, known[i].path))
			continue;
		*refresh = known[i];
		return true;
	}
	return false;
}

static bool run(const char *root, const struct refresh *refresh, struct ks_error *err)
{
	struct child child = { .root = root, .path = refresh->path, .argv = refresh->argv };
	KS_STRING how = NULL;
	int status;

	if (!child_run(&child, &status, err) || !child_end_name(status, &how, err))
		return false;
	return !how[0] || ks_fail(err, KS_ERR_SYSTEM, "%s ended with %s", refresh->path, how);
}

/* '"update-initramfs -u -k V" makes it anew', or that no such program is known. */
static bool word_command(const char *root, const char *version, char **text, struct ks_error *err)
{
	KS_STRING line = NULL;
	struct refresh refresh;

	if (!refresh_find(root, version, &refresh))
		return ks_string_copy(text, "it has to be made anew", err);
	return shell_inside(root, refresh.argv, &line, err) &&
	       ks_string_print(text, err, "\"%s\" makes it anew", line);
}

/* "a, b": modules as one calls them. */
static bool word_names(const struct ks_strings *paths, char *text, size_t size,
		       struct ks_error *err)
{
	KS_STRINGS names = { 0 };

	for (size_t i = 0; i < paths->count; i++) {
		const char *slash = strrchr(paths->item[i], '/');
		const char *name = slash ? slash + 1 : paths->item[i];

		if (!ks_strings_add_len(&names, name, strcspn(name, "."), err))
			return false;
	}
	ks_strings_sort(&names);
	ks_strings_join(&names, text, size);
	return true;
}

bool refresh_word(const char *root, const char *version, const struct ks_stale_image *image,
		  char **text, struct ks_error *err)
{
	KS_STRING command = NULL;
	char names[512];

	*text = NULL;
	if (image->unread)
		return ks_string_print(text, err,
				       "whether it has old copies of modules is not known: %s",
				       image->unread);
	if (!image->outdated.count)
		return true;
	return word_names(&image->outdated, names, sizeof(names), err) &&
	       word_command(root, version, &command, err) &&
	       ks_string_print(text, err, "%s: has old copies of modules (%s); %s", image->path,
			       names, command);
}

static struct json_object *image_json(const char *version, const char *command,
				      const struct ks_stale_image *image)
{
	struct json_object *outdated = json_object_new_array();
	struct json_object *o = json_object_new_object();

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
	KS_STRING command = NULL;
	struct refresh refresh;
	struct ks_error err;

	if (refresh_find(root, version, &refresh) &&
	    !shell_inside(root, refresh.argv, &command, &err))
		report_error(&err);
	for (size_t i = 0; i < stale->count; i++)
		json_object_array_add(list, image_json(version, command, &stale->image[i]));
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

/* And looks again: what that program was told to do it need not have done. */
static bool make_anew(const char *root, const struct ks_kernel *kernel, const struct ks_load *load,
		      const struct ks_strings *modules, struct ks_stale *stale,
		      struct ks_error *err)
{
	struct refresh refresh;

	if (!refresh_find(root, kernel->version, &refresh))
		return ks_fail(err, KS_ERR_MISSING,
			       "no program that makes an initramfs anew is known here");
	if (!run(root, &refresh, err))
		return false;
	ks_stale_free(stale);
	if (!ks_stale_find(kernel, load, modules, stale, err))
		return false;
	return !ks_stale_outdated(stale) ||
	       ks_fail(err, KS_ERR_CHANGED, "%s ended well, but old copies are still there",
		       refresh.path);
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
