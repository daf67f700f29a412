/* SPDX-License-Identifier: MIT */
#include "core/kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/file.h"
#include "core/kconfig.h"

static const char *const module_dirs[] = { "/lib/modules", "/usr/lib/modules" };

enum {
	CONFIG_LIMIT = 16 << 20, /* bytes; a real config has 300 KiB */
	PACKED_LIMIT = 1 << 20,
};

static bool is_directory(const struct ks_place *place)
{
	struct stat st;

	return fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static bool find_in(struct ks_kernel *kernel, const char *root, const char *parent,
		    const char *version, bool *found, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_STRING path = NULL;

	if (!ks_string_print(&path, err, "%s/%s", parent, version))
		return false;
	*found = ks_place_find(&place, root, path, err) && is_directory(&place);
	if (!*found)
		return true;
	return ks_string_copy(&kernel->version, version, err) &&
	       ks_string_copy(&kernel->dir, place.path, err);
}

static bool no_such_kernel(const char *root, const char *version, struct ks_error *err)
{
	KS_STRINGS versions = { 0 };
	char list[1024];

	if (!ks_kernel_versions(root, &versions, err))
		return false;
	ks_strings_join(&versions, list, sizeof(list));
	return ks_fail(err, KS_ERR_MISSING, "no kernel %s below %s/lib/modules%s%s", version,
		       root ? root : "", list[0] ? "; there is " : "; there is none", list);
}

bool ks_kernel_find(struct ks_kernel *kernel, const char *root, const char *version,
		    struct ks_error *err)
{
	bool found = false;

	*kernel = (struct ks_kernel){ 0 };
	if (version[0] && version[0] != '.' && !strchr(version, '/'))
		for (size_t i = 0; !found && i < sizeof(module_dirs) / sizeof(*module_dirs); i++)
			if (!find_in(kernel, root, module_dirs[i], version, &found, err))
				return false;
	return found || no_such_kernel(root, version, err);
}

/* A link to another version's directory is a version of its own. */
static bool is_version(const char *root, const char *parent, const char *name)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_STRING path = NULL;
	struct ks_error ignored;

	return ks_string_print(&path, &ignored, "%s/%s", parent, name) &&
	       ks_place_find(&place, root, path, &ignored) && is_directory(&place);
}

bool ks_kernel_versions(const char *root, struct ks_strings *versions, struct ks_error *err)
{
	for (size_t i = 0; i < sizeof(module_dirs) / sizeof(*module_dirs); i++) {
		KS_STRINGS names = { 0 };

		if (!ks_dir_names_at(root, module_dirs[i], &names, err) && err->sys != ENOENT &&
		    err->sys != ENOTDIR)
			return ks_at(err, module_dirs[i]);
		for (size_t k = 0; k < names.count; k++)
			if (is_version(root, module_dirs[i], names.item[k]) &&
			    !ks_strings_add(versions, names.item[k], err))
				return false;
	}
	ks_strings_sort(versions);
	return true;
}

static bool try_config(const char *root, char *path, const char *symbol, char **value, char **file,
		       struct ks_error *err)
{
	KS_BUF config = { 0 };
	struct stat st;

	if (*value || !ks_file_read_path(root, path, CONFIG_LIMIT, &config, &st, err))
		return true;
	return ks_kconfig_get(ks_buf_view(&config), symbol, value, err) &&
	       (!*value || ks_string_copy(file, path, err));
}

/* CONFIG_IKCONFIG_PROC: of all the configs this one is the kernel's for certain. */
static bool try_running(const char *root, const char *symbol, char **value, char **file,
			struct ks_error *err)
{
	static const char path[] = "/proc/config.gz";
	KS_BULK packed = { 0 };
	KS_BULK config = { 0 };

	if (!ks_file_read_live(root, path, PACKED_LIMIT, &packed, err) ||
	    !ks_codec_unpack(&ks_codec_gzip, ks_buf_view(&packed), CONFIG_LIMIT, &config, err))
		return true;
	return ks_kconfig_get(ks_buf_view(&config), symbol, value, err) &&
	       (!*value || ks_string_copy(file, path, err));
}

static const char *const configs[] = { "build/.config", "build/include/config/auto.conf",
				       "config" };

enum { OWN_CONFIGS = sizeof(configs) / sizeof(*configs), CONFIGS };

/* The Ith that there may be; the last one is /boot's. */
static bool config_path(const struct ks_kernel *kernel, size_t i, char **path, struct ks_error *err)
{
	return i < OWN_CONFIGS ? ks_string_print(path, err, "%s/%s", kernel->dir, configs[i]) :
				 ks_string_print(path, err, "/boot/config-%s", kernel->version);
}

bool ks_kernel_config(const struct ks_kernel *kernel, const char *root, const char *symbol,
		      char **value, char **file, struct ks_error *err)
{
	*value = *file = NULL;
	if (kernel->is_running && !try_running(root, symbol, value, file, err))
		return false;
	for (size_t i = 0; i < CONFIGS; i++) {
		KS_STRING path = NULL;

		if (!config_path(kernel, i, &path, err) ||
		    !try_config(root, path, symbol, value, file, err))
			return false;
	}
	return true;
}

bool ks_kernel_config_denied(const struct ks_kernel *kernel, const char *root, bool *is_denied,
			     struct ks_error *err)
{
	*is_denied = false;
	for (size_t i = 0; i < CONFIGS && !*is_denied; i++) {
		KS_STRING path = NULL;
		KS_BUF config = { 0 };
		struct stat st;

		if (!config_path(kernel, i, &path, err))
			return false;
		*is_denied = !ks_file_read_path(root, path, CONFIG_LIMIT, &config, &st, err) &&
			     ks_error_is_denied(err);
		if (*is_denied)
			ks_at(err, path);
	}
	return true;
}

static bool is_set(const struct ks_kernel *kernel, const char *root, const char *symbol, bool *set,
		   struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;

	if (!ks_kernel_config(kernel, root, symbol, &value, &file, err))
		return false;
	*set = value && strcmp(value, "y") == 0;
	return true;
}

bool ks_kernel_reads(const struct ks_kernel *kernel, const char *root,
		     enum ks_kernel_reader *reader, struct ks_error *err)
{
	static const struct {
		const char *symbol;
		enum ks_kernel_reader reader;
	} formats[] = { { "CONFIG_MODULE_COMPRESS_GZIP", KS_READER_GZIP },
			{ "CONFIG_MODULE_COMPRESS_XZ", KS_READER_XZ },
			{ "CONFIG_MODULE_COMPRESS_ZSTD", KS_READER_ZSTD } };
	bool set;

	/* A config that has no modules at all is no config of this kernel. */
	if (!is_set(kernel, root, "CONFIG_MODULES", &set, err))
		return false;
	*reader = set ? KS_READER_NONE : KS_READER_UNKNOWN;
	if (!set)
		return true;
	if (!is_set(kernel, root, "CONFIG_MODULE_DECOMPRESS", &set, err))
		return false;
	for (size_t i = 0; set && i < sizeof(formats) / sizeof(*formats); i++) {
		bool this_one;

		if (!is_set(kernel, root, formats[i].symbol, &this_one, err))
			return false;
		if (this_one)
			*reader = formats[i].reader;
	}
	if (*reader != KS_READER_XZ)
		return true;
	if (!is_set(kernel, root, "CONFIG_XZ_DEC_X86", &set, err))
		return false;
	*reader = set ? KS_READER_XZ : KS_READER_XZ_PLAIN;
	return true;
}

const struct ks_codec *ks_reader_codec(enum ks_kernel_reader reader)
{
	switch (reader) {
	case KS_READER_GZIP:
		return &ks_codec_gzip;
	case KS_READER_XZ:
	case KS_READER_XZ_PLAIN:
		return &ks_codec_xz;
	case KS_READER_ZSTD:
		return &ks_codec_zstd;
	default:
		return NULL;
	}
}

enum ks_reading ks_reader_reads(enum ks_kernel_reader reader, const struct ks_objection *objection)
{
	if (!objection)
		return KS_READS_ALL;
	if (objection->reading == KS_READS_X86)
		return reader == KS_READER_XZ ? KS_READS_ALL : KS_READS_NOTHING;
	return objection->reading;
}

int ks_kernel_series(const char *version)
{
	unsigned long major, minor;
	char *end;

	if (!isdigit((unsigned char)version[0]))
		return 0;
	major = strtoul(version, &end, 10);
	if (end[0] != '.' || !isdigit((unsigned char)end[1]))
		return 0;
	minor = strtoul(end + 1, NULL, 10);
	return major < 1000 && minor < 1000 ? (int)(major * 1000 + minor) : 0;
}

bool ks_kernel_owns(const char *path)
{
	const char *version, *below;

	if (strncmp(path, "/usr/", 5) == 0)
		path += 4;
	if (strncmp(path, "/lib/modules/", 13) != 0)
		return false;
	version = path + 13;
	below = strchr(version, '/');
	return below && strncmp(below, "/kernel/", 8) == 0;
}

void ks_kernel_free(struct ks_kernel *kernel)
{
	free(kernel->version);
	free(kernel->dir);
	*kernel = (struct ks_kernel){ 0 };
}
