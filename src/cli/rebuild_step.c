/* SPDX-License-Identifier: MIT */
#include "cli/rebuild_step.h"

#include <errno.h>
#include <string.h>

#include "base/place.h"
#include "core/dkms.h"

static bool is_dkms_there(const char *root)
{
	return ks_place_exists(root, "/usr/sbin/dkms") || ks_place_exists(root, "/usr/bin/dkms");
}

/* Whether one of PATHS is the module NAME, which has no suffix. */
static bool has_module(const struct ks_strings *paths, const char *name)
{
	for (size_t i = 0; i < paths->count; i++) {
		size_t len;
		const char *other = ks_locate_name(paths->item[i], &len);

		if (strlen(name) == len && strncmp(other, name, len) == 0)
			return true;
	}
	return false;
}

/* DKMS's modules for any kernel, and for this one; what cannot be seen of it is none. */
static bool find_copies(const struct situation *s, struct ks_strings *every,
			struct ks_strings *here, struct ks_error *err)
{
	const char *root = s->request->root;
	struct ks_error fault;

	if (!is_dkms_there(root) || (ks_dkms_copies(root, NULL, every, &fault) &&
				     ks_dkms_copies(root, s->kernel->version, here, &fault)))
		return true;
	ks_strings_free(every);
	return fault.sys != ENOMEM || ((*err = fault), false);
}

/* Adds to OTHERS what "dkms autoinstall" leaves: what is not DKMS's, or installed by it already. */
static bool sort_rebuilt(const struct advice *a, const struct situation *s,
			 struct ks_strings *others, struct ks_error *err)
{
	KS_STRINGS every = { 0 };
	KS_STRINGS here = { 0 };

	if (!find_copies(s, &every, &here, err))
		return false;
	for (size_t i = 0; i < a->rebuilt.count; i++) {
		const char *name = a->rebuilt.item[i];

		if ((!has_module(&every, name) || has_module(&here, name)) &&
		    !ks_strings_add(others, name, err))
			return false;
	}
	return true;
}

void rebuild_step(const struct advice *a, const struct situation *s, struct steps *steps)
{
	KS_STRINGS others = { 0 };
	char names[512];

	if (!a->rebuilt.count)
		return;
	steps->ok = steps->ok && sort_rebuilt(a, s, &others, steps->err);
	if (others.count < a->rebuilt.count)
		add_inside(steps, s->request->root, "builds DKMS's modules for this kernel",
			   (const char *const[]){ "dkms", "autoinstall", "-k", s->kernel->version,
						  NULL });
	ks_strings_join(&others, names, sizeof(names));
	if (others.count)
		add_words(steps, "%s: to be built for %s, with its headers", names,
			  s->kernel->version);
}
