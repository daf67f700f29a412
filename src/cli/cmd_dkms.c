/* SPDX-License-Identifier: MIT */
/* dkms: our files in /etc/dkms, and the gate that DKMS's hook calls. */
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "cli/dkms_gate.h"
#include "cli/report.h"
#include "core/dkms.h"
#include "core/dkmshook.h"

struct dkms_args {
	const char *kernel;
	const char *root;
	bool all;
	bool dry_run;
	bool json;
	bool quiet;
	bool verbose;
};

static int report_failure(const struct ks_error *err)
{
	report_error(err);
	return STATUS_FAILED;
}

/* enable and disable */

static void tell_change(const struct dkms_args *args, const char *path, bool remove,
			enum ks_dkms_state before)
{
	bool changed =
		before != (remove ? KS_DKMS_ABSENT : KS_DKMS_PRESENT) && before != KS_DKMS_SOURCED;
	const char *word = remove ? "removed" : before == KS_DKMS_OLDER ? "renewed" : "written";

	if (args->quiet || (!changed && !args->verbose))
		return;
	if (!changed)
		report_line("%s: %s", path, remove ? "is not there" : "is there already");
	else
		report_line("%s: %s%s", path, args->dry_run ? "would be " : "", word);
}

static bool set_files(const struct dkms_args *args, const char *root, bool remove, bool drop_in_too)
{
	bool ok = true;

	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		const struct ks_dkms_file *file = &ks_dkms_files[i];
		enum ks_dkms_state before;
		struct ks_error err;

		if (file->drop_in && !drop_in_too)
			continue;
		if (ks_dkms_file_set(root, file, remove, args->dry_run, &before, &err)) {
			tell_change(args, file->path, remove, before);
		} else {
			report_error(&err);
			ok = false;
		}
	}
	return ok;
}

static bool set_link(const struct dkms_args *args, const char *package, bool remove)
{
	enum ks_dkms_state before;
	KS_STRING path = NULL;
	struct ks_error err;

	if (ks_dkms_link_path(package, &path, &err) &&
	    ks_dkms_link_set(args->root, package, remove, args->dry_run, &before, &err)) {
		tell_change(args, path, remove, before);
		return true;
	}
	report_error(&err);
	return false;
}

static bool set_links(const struct dkms_args *args, const struct ks_strings *packages, bool remove)
{
	bool ok = true;

	for (size_t i = 0; i < packages->count; i++)
		ok &= set_link(args, packages->item[i], remove);
	return ok;
}

static bool name_packages(struct ks_strings *packages, int operands, char **operand,
			  struct ks_error *err)
{
	for (int i = 0; i < operands; i++)
		if (!ks_strings_add(packages, operand[i], err))
			return false;
	ks_strings_sort(packages);
	return true;
}

static void warn_unregistered(const struct dkms_args *args, const struct ks_strings *packages)
{
	KS_STRINGS registered = { 0 };
	struct ks_error ignored;

	if (!ks_dkms_packages(args->root, &registered, &ignored))
		return;
	for (size_t i = 0; i < packages->count; i++)
		if (!ks_strings_has(&registered, packages->item[i], strlen(packages->item[i])))
			report_warning("warning: %s: not registered with DKMS (yet)",
				       packages->item[i]);
}

static int enable(const struct dkms_args *args, int operands, char **operand)
{
	KS_STRINGS packages = { 0 };
	struct ks_error err;
	bool ok;

	/* Said once, and of a dry run too. */
	if (!ks_dkms_require(args->root, &err))
		return report_failure(&err);
	if (args->all ? !ks_dkms_packages(args->root, &packages, &err) :
			!name_packages(&packages, operands, operand, &err))
		return report_failure(&err);
	warn_unregistered(args, &packages);
	/* A link without what it leads to would be worse than none. */
	ok = set_files(args, args->root, false, true) && set_links(args, &packages, false);
	return ok ? STATUS_DONE : STATUS_FAILED;
}

/* Files of somebody's that read ours would name one that is not there. */
static void warn_readers(const struct dkms_args *args)
{
	KS_STRINGS packages = { 0 };
	struct ks_error ignored;

	if (!ks_dkms_packages(args->root, &packages, &ignored))
		return;
	for (size_t i = 0; i < packages.count; i++) {
		enum ks_dkms_state link;

		if (ks_dkms_link_state(args->root, packages.item[i], &link, &ignored) &&
		    link == KS_DKMS_SOURCED)
			report_warning(
				"warning: /etc/dkms/%s.conf reads "
				"/etc/dkms/kernel-sign.conf, which is gone: take that line out",
				packages.item[i]);
	}
}

static int disable(const struct dkms_args *args, int operands, char **operand)
{
	KS_STRINGS packages = { 0 };
	struct ks_error err;
	bool ok;

	if (operands ? !name_packages(&packages, operands, operand, &err) :
		       !ks_dkms_links(args->root, &packages, &err))
		return report_failure(&err);
	ok = set_links(args, &packages, true);
	if (ok && !operands && !args->all)
		ok = set_files(args, args->root, true, true);
	if (ok && !operands && !args->all && !args->dry_run)
		warn_readers(args);
	return ok ? STATUS_DONE : STATUS_FAILED;
}

/* What is not there, or was changed, is so by somebody's will. */
static bool renew_file(const struct dkms_args *args, const struct ks_dkms_file *file)
{
	enum ks_dkms_state state;
	struct ks_error err;

	if (ks_dkms_file_state(args->root, file, &state, &err) &&
	    (state != KS_DKMS_OLDER ||
	     ks_dkms_file_set(args->root, file, false, args->dry_run, &state, &err))) {
		if (state == KS_DKMS_OLDER)
			tell_change(args, file->path, false, state);
		return true;
	}
	report_error(&err);
	return false;
}

static int renew(const struct dkms_args *args, int operands, char **operand)
{
	bool ok = true;

	(void)operand;
	if (operands) {
		report_warning("dkms renew takes no operand");
		return STATUS_USAGE;
	}
	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		ok &= renew_file(args, &ks_dkms_files[i]);
	return ok ? STATUS_DONE : STATUS_FAILED;
}

static int install_files(const struct dkms_args *args, int operands, char **operand)
{
	KS_STRING dir = NULL;
	struct ks_error err;

	/* An empty variable would stand for the running system. */
	if (operands != 1 || !operand[0][0]) {
		report_warning("dkms install-files takes one operand, the package's directory");
		return STATUS_USAGE;
	}
	if (!ks_string_print(&dir, &err, "%s/etc/dkms", operand[0]) ||
	    (!args->dry_run && !ks_dir_make(dir, &err))) {
		ks_at(&err, operand[0]);
		return report_failure(&err);
	}
	return set_files(args, operand[0], false, false) ? STATUS_DONE : STATUS_FAILED;
}

/* status */

static const char *const state_words[] = {
	[KS_DKMS_ABSENT] = "no",       [KS_DKMS_PRESENT] = "yes",     [KS_DKMS_OLDER] = "older",
	[KS_DKMS_SOURCED] = "sourced", [KS_DKMS_FOREIGN] = "foreign",
};

static const char *const state_texts[] = {
	[KS_DKMS_ABSENT] = "not there",
	[KS_DKMS_PRESENT] = "there",
	[KS_DKMS_OLDER] = "of another version; 'kernel-sign dkms renew' renews it",
	[KS_DKMS_SOURCED] = "there",
	[KS_DKMS_FOREIGN] = "not written by kernel-sign, or changed since",
};

struct found {
	bool hook;
	enum ks_dkms_state file[KS_DKMS_FILES];
	struct ks_strings package;
	enum ks_dkms_state *link; /* by package */
};

static bool find_all(const struct dkms_args *args, struct found *found, struct ks_error *err)
{
	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		if (!ks_dkms_file_state(args->root, &ks_dkms_files[i], &found->file[i], err))
			return false;
	if (!ks_dkms_hook_is_there(args->root, &found->hook, err) ||
	    !ks_dkms_packages(args->root, &found->package, err))
		return false;
	found->link = calloc(found->package.count + 1, sizeof(*found->link));
	if (!found->link)
		return ks_fail_memory(err);
	for (size_t i = 0; i < found->package.count; i++)
		if (!ks_dkms_link_state(args->root, found->package.item[i], &found->link[i], err))
			return false;
	return true;
}

static bool is_gated(const struct found *found, size_t package)
{
	return found->hook && ks_dkms_link_works(found->link[package]);
}

/* That may name a program which is gone, and then refuses everything. */
static bool is_older(const struct found *found)
{
	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		if (!ks_dkms_files[i].drop_in && found->file[i] == KS_DKMS_OLDER)
			return true;
	return false;
}

static void status_json(const struct found *found)
{
	struct json_object *o = json_object_new_object();
	struct json_object *files = json_object_new_array();
	struct json_object *packages = json_object_new_array();

	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		struct json_object *file = json_object_new_object();

		json_object_object_add(file, "path", report_text(ks_dkms_files[i].path));
		json_object_object_add(file, "state", report_text(state_words[found->file[i]]));
		json_object_array_add(files, file);
	}
	for (size_t i = 0; i < found->package.count; i++) {
		struct json_object *package = json_object_new_object();

		json_object_object_add(package, "package", report_text(found->package.item[i]));
		json_object_object_add(package, "link", report_text(state_words[found->link[i]]));
		json_object_object_add(package, "gated",
				       json_object_new_boolean(is_gated(found, i)));
		json_object_array_add(packages, package);
	}
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "packages", packages);
	report_json(o);
}

static void status_lines(const struct found *found)
{
	const char *gate =
		is_older(found) ? "gated, by a hook of another version" : "signed and gated";
	size_t ungated = 0;

	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		report_line("%s: %s", ks_dkms_files[i].path, state_texts[found->file[i]]);
	for (size_t i = 0; i < found->package.count; i++) {
		bool gated = is_gated(found, i);

		report_line("%s: %s%s", found->package.item[i], gated ? gate : "not gated",
			    found->link[i] == KS_DKMS_FOREIGN ?
				    " (its /etc/dkms/*.conf is somebody else's)" :
				    "");
		ungated += !gated;
	}
	report_line("%zu package%s of DKMS, %zu not gated%s", found->package.count,
		    found->package.count == 1 ? "" : "s", ungated,
		    ungated ? "; 'kernel-sign dkms enable --all' gates all" : "");
}

static int status(const struct dkms_args *args, int operands, char **operand)
{
	struct found found = { 0 };
	struct ks_error err;
	bool ok;

	(void)operand;
	if (operands) {
		report_warning("dkms status takes no operand");
		return STATUS_USAGE;
	}
	ok = find_all(args, &found, &err);
	if (!ok)
		report_error(&err);
	else if (args->json)
		status_json(&found);
	else if (!args->quiet)
		status_lines(&found);
	ks_strings_free(&found.package);
	free(found.link);
	return ok ? STATUS_DONE : STATUS_FAILED;
}

/* gate */

static int gate(const struct dkms_args *args, int operands, char **operand)
{
	struct look_args look = {
		.request = { .kernel = args->kernel, .root = args->root, .verbose = args->verbose }
	};

	if (operands != 1 || !args->kernel) {
		report_warning(
			"dkms gate takes --kernel and one operand, the directory of modules");
		return STATUS_USAGE;
	}
	look.request.dir = operand[0];
	return request_complete(&look.request, 0, NULL) ? dkms_gate(&look) : STATUS_USAGE;
}

static const struct {
	const char *name;
	int (*run)(const struct dkms_args *args, int operands, char **operand);
	bool names_packages;
} verbs[] = {
	{ "enable", enable, true }, { "disable", disable, true },
	{ "renew", renew, false },  { "status", status, false },
	{ "gate", gate, false },    { "install-files", install_files, false },
};

static int run_dkms(void *ctx, int operands, char **operand)
{
	const struct dkms_args *args = ctx;

	for (size_t i = 0; operands && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, operand[0]) != 0)
			continue;
		if (args->all && (!verbs[i].names_packages || operands > 1)) {
			report_warning("--all is for 'dkms enable' and 'dkms disable' without a "
				       "PACKAGE");
			return STATUS_USAGE;
		}
		return verbs[i].run(args, operands - 1, operand + 1);
	}
	report_warning("dkms: say enable, disable, renew, status, gate or install-files");
	return STATUS_USAGE;
}

#define ARGS struct dkms_args

static const struct option_row options[] = {
	{ 'k', "kernel", "VERSION", "gate: the kernel that the modules are for", OPTION_STRING,
	  offsetof(ARGS, kernel) },
	{ 0, "root", "DIR", "look for everything below DIR", OPTION_STRING, offsetof(ARGS, root) },
	{ 'a', "all", NULL, "enable, disable: every package of DKMS", OPTION_FLAG,
	  offsetof(ARGS, all) },
	{ 'n', "dry-run", NULL, "change nothing, say what would be done", OPTION_FLAG,
	  offsetof(ARGS, dry_run) },
	{ 0, "json", NULL, "status: as JSON", OPTION_FLAG, offsetof(ARGS, json) },
	{ 'q', "quiet", NULL, "no results, only warnings and errors", OPTION_FLAG,
	  offsetof(ARGS, quiet) },
	{ 'v', "verbose", NULL, "say what is used and what is as it should be", OPTION_FLAG,
	  offsetof(ARGS, verbose) },
	{ 0 },
};

const struct command command_dkms = {
	.name = "dkms",
	.operands =
		"enable|disable [PACKAGE...] | renew | status | gate DIR | install-files DESTDIR",
	.summary = "have DKMS sign with kernel-sign, and refuse what is not signed",
	.text = "enable writes the files that make DKMS sign through kernel-sign into /etc/dkms, and a\n"
		"link for each PACKAGE, or with --all for every one, whose modules are then signed and\n"
		"checked before they are installed; disable takes away what enable wrote; renew brings\n"
		"what another version wrote up to date. gate is what DKMS's hook calls; install-files puts\n"
		"the hook into a kernel's headers package.",
	.options = options,
	.args_size = sizeof(ARGS),
	.run = run_dkms,
};
