/* SPDX-License-Identifier: MIT */
#include "core/module.h"

#include <string.h>

#include "core/elf.h"
#include "core/signature.h"

static bool check_name(const struct ks_module *m, struct ks_view file, struct ks_error *err)
{
	const struct ks_codec *promised = ks_codec_by_name(m->place.name);

	if (!promised || promised == m->codec)
		return true;
	if (promised == &ks_codec_zstd && ks_codec_starts_skippable(file))
		return ks_fail(
			err, KS_ERR_INPUT,
			"the content begins with a skippable frame, as pzstd's does, which neither "
			"kernels nor kmod read: zstd -d, and zstd again");
	if (m->codec == &ks_codec_none)
		return ks_fail(err, KS_ERR_INPUT, "the name says %s, the content does not",
			       promised->name);
	return ks_fail(err, KS_ERR_INPUT, "the name says %s, the content is %s",
		       promised == &ks_codec_none ? "not compressed" : promised->name,
		       m->codec->name);
}

static bool unpack(struct ks_module *m, struct ks_buf *file, const struct ks_load *how,
		   struct ks_error *err)
{
	if (m->codec == &ks_codec_none) {
		m->content = *file;
		*file = (struct ks_buf){ 0 };
		return true;
	}
	if (!ks_codec_unpack_seams(m->codec, ks_buf_view(file), how->max_size, &m->content,
				   how->extend ? &m->seams : NULL, err))
		return false;
	if (how->examine)
		m->objection = m->codec->objection(ks_buf_view(file));
	if (how->extend) {
		m->file = *file;
		*file = (struct ks_buf){ 0 };
	}
	return true;
}

static bool load(struct ks_module *m, const char *path, const struct ks_load *how,
		 struct ks_error *err)
{
	KS_BULK file = { 0 };

	if (!ks_place_find(&m->place, how->root, path, err) ||
	    !ks_file_read(&m->place, how->max_size, &file, &m->st, err))
		return false;
	if (!file.len)
		return ks_fail(err, KS_ERR_INPUT, "an empty file");
	m->codec = ks_codec_by_magic(ks_buf_view(&file));
	if (how->any_file && m->codec == &ks_codec_none)
		return unpack(m, &file, how, err);
	return check_name(m, ks_buf_view(&file), err) && unpack(m, &file, how, err) &&
	       ks_elf_check(ks_buf_view(&m->content), &m->image_end, err);
}

bool ks_module_load(struct ks_module *module, const char *path, const struct ks_load *how,
		    struct ks_error *err)
{
	*module = KS_MODULE_NONE;
	if (load(module, path, how, err)) {
		module->old_len = module->kept = module->content.len;
		return true;
	}
	ks_module_free(module);
	return false;
}

struct ks_trailer ks_module_trailer(const struct ks_module *module)
{
	return ks_trailer_parse(ks_buf_view(&module->content));
}

/* Where a message starts is only as sure as its length: it has to be a message from there on. */
static bool is_removable(const struct ks_module *m, const struct ks_trailer *t,
			 struct ks_error *err)
{
	KS_SIGNATURE signature = { 0 };

	if (t->kind == KS_TRAILER_MALFORMED)
		return ks_fail(err, KS_ERR_INPUT, "%s", t->fault);
	if (t->image.len < m->image_end)
		return ks_fail(err, KS_ERR_INPUT, "it reaches into the module's sections");
	return ks_signature_parse(t->message, &signature, err);
}

static struct ks_splice splice_of(const struct ks_module *m, size_t keep)
{
	return (struct ks_splice){ .file = ks_buf_view(&m->file),
				   .seams = &m->seams,
				   .old_len = m->old_len,
				   .keep = keep,
				   .content = ks_buf_view(&m->content) };
}

/* Of a malformed one nobody knows where it starts: it stays. */
static bool comes_off_cleanly(const struct ks_module *m, const struct ks_trailer *t)
{
	struct ks_splice splice = splice_of(m, t->image.len);

	return t->kind == KS_TRAILER_WHOLE &&
	       (m->codec == &ks_codec_none ||
		(m->file.len && ks_codec_cuts_cleanly(m->codec, &splice)));
}

static bool unsign(struct ks_module *m, bool only_cleanly, size_t *removed, struct ks_error *err)
{
	*removed = 0;
	for (;;) {
		struct ks_trailer t = ks_module_trailer(m);

		if (t.kind == KS_TRAILER_NONE || (only_cleanly && !comes_off_cleanly(m, &t)))
			return true;
		if (!is_removable(m, &t, err))
			return (only_cleanly && err->code != KS_ERR_SYSTEM) ||
			       ks_at(err, "malformed signature, cannot be removed");
		m->content.len = t.image.len;
		if (m->kept > m->content.len)
			m->kept = m->content.len;
		++*removed;
	}
}

bool ks_module_unsign(struct ks_module *module, size_t *removed, struct ks_error *err)
{
	return unsign(module, false, removed, err);
}

bool ks_module_unsign_outer(struct ks_module *module, size_t *removed, struct ks_error *err)
{
	return unsign(module, true, removed, err);
}

bool ks_module_is_removable(const struct ks_module *module, bool *removable, struct ks_error *err)
{
	struct ks_module copy = *module; /* whose bytes stay MODULE's */
	size_t removed;

	*removable = unsign(&copy, false, &removed, err);
	return *removable || err->code != KS_ERR_SYSTEM;
}

bool ks_module_append(struct ks_module *module, struct ks_view message, struct ks_error *err)
{
	return ks_trailer_append(&module->content, message, err);
}

/* *FILE is either MADE's bytes or, where nothing is compressed, the content itself. */
static bool write_container(const struct ks_module *m, struct ks_buf *made, struct ks_view *file,
			    struct ks_written *written, struct ks_error *err)
{
	struct ks_splice splice = splice_of(m, m->kept);

	*file = splice.content;
	*written = (struct ks_written){ .way = KS_WAY_PLAIN };
	if (m->codec != &ks_codec_none) {
		if (!ks_codec_write(m->codec, &splice, !m->file.len, made, written, err))
			return false;
		*file = ks_buf_view(made);
	}
	written->growth = (int64_t)file->len - m->st.st_size;
	return true;
}

bool ks_module_store(const struct ks_module *module, struct ks_dirsync *sync,
		     struct ks_written *written, struct ks_error *err)
{
	KS_BULK made = { 0 };
	struct ks_view file;

	return write_container(module, &made, &file, written, err) &&
	       ks_file_replace(&module->place, &module->st, file, sync, err);
}

bool ks_module_store_as(const struct ks_module *module, const struct ks_place *place, mode_t mode,
			struct ks_error *err)
{
	KS_BULK made = { 0 };
	struct ks_written written;
	struct ks_view file;

	return write_container(module, &made, &file, &written, err) &&
	       ks_file_write(place, mode, file, err);
}

void ks_module_free(struct ks_module *module)
{
	ks_place_close(&module->place);
	ks_buf_drop(&module->content);
	ks_buf_drop(&module->file);
	*module = KS_MODULE_NONE;
}
