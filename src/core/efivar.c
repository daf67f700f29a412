/* SPDX-License-Identifier: MIT */
#include "core/efivar.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/strings.h"

enum {
	ATTRIBUTES = 4,
	LIMIT = 16 << 20, /* bytes; a dbx has some 20,000 */
};

static bool is_absent(const struct ks_error *err)
{
	return err->code == KS_ERR_SYSTEM && (err->sys == ENOENT || err->sys == ENOTDIR);
}

static bool drop_attributes(struct ks_buf *data, struct ks_error *err)
{
	if (data->len < ATTRIBUTES)
		return ks_fail(err, KS_ERR_INPUT, "%zu bytes, too few for a variable", data->len);
	data->len -= ATTRIBUTES;
	memmove(data->data, data->data + ATTRIBUTES, data->len);
	return true;
}

bool ks_efivar_read(const char *root, const char *dir, const char *name, const char *guid,
		    struct ks_buf *data, bool *is_there, struct ks_error *err)
{
	KS_STRING path = NULL;
	struct stat st;

	*is_there = false;
	if (!ks_string_print(&path, err, "%s/%s%s%s", dir, name, guid ? "-" : "", guid ? guid : ""))
		return false;
	if (!ks_file_read_path(root, path, LIMIT, data, &st, err))
		return is_absent(err) || ks_at(err, path);
	*is_there = !guid || data->len;
	return !*is_there || !guid || drop_attributes(data, err) || ks_at(err, path);
}
