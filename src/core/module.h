/* SPDX-License-Identifier: MIT */
/* One module file: where it is, the container it came in, and its bytes. */
#ifndef KS_CORE_MODULE_H
#define KS_CORE_MODULE_H

#include "base/buf.h"
#include "base/file.h"
#include "base/place.h"
#include "core/codec.h"
#include "core/trailer.h"

struct ks_load {
	const char *root; /* as in ks_place_find() */
	size_t max_size;  /* bytes, of the file and of what it may inflate to */
	bool any_file;	  /* an uncompressed file need be no ELF module (sign-file) */
	bool examine;	  /* find out what a kernel's own reader objects to */
	bool extend;	  /* keep the container, so that storing gives it another end and no more */
};

struct ks_module {
	struct ks_place place;
	struct stat st; /* of the file that was read */
	const struct ks_codec *codec;
	const struct ks_objection
		*objection;    /* ks_codec's, if it was asked for; NULL where there is none */
	struct ks_buf content; /* decompressed: the image and what stands behind it */
	size_t image_end;      /* no signature can begin before this offset */
	struct ks_buf file; /* the container; empty if it was not to be kept, or is the content */
	struct ks_seams seams; /* of FILE */
	size_t old_len;	       /* of the content as it was loaded */
	size_t kept;	       /* so much of the content is as it was loaded */
};

#define KS_MODULE __attribute__((cleanup(ks_module_free))) struct ks_module
#define KS_MODULE_NONE ((struct ks_module){ .place = KS_PLACE_NONE })

/*
 * Reads and decompresses PATH and checks that it is a whole ELF relocatable module whose name and
 * container agree.  Nothing else is ever taken for a module.  No error names PATH, here and below.
 */
KS_MUST_CHECK bool ks_module_load(struct ks_module *module, const char *path,
				  const struct ks_load *load, struct ks_error *err);

/* The outermost trailer of the content as it is now. */
struct ks_trailer ks_module_trailer(const struct ks_module *module);

/*
 * Takes off every signature there is, and counts them.  KS_ERR_INPUT where one is malformed, so
 * that nobody can say where the image ends: the content is then not to be stored.
 */
KS_MUST_CHECK bool ks_module_unsign(struct ks_module *module, size_t *removed,
				    struct ks_error *err);

/*
 * The same for those signatures only that come off without anything being compressed again; the
 * first one that does not, or is malformed, and all beneath it, stay part of the content.
 */
KS_MUST_CHECK bool ks_module_unsign_outer(struct ks_module *module, size_t *removed,
					  struct ks_error *err);

/* Whether ks_module_unsign() would do that; fails only for want of memory. */
KS_MUST_CHECK bool ks_module_is_removable(const struct ks_module *module, bool *removable,
					  struct ks_error *err);

/* Puts MESSAGE and its trailer behind the content. */
KS_MUST_CHECK bool ks_module_append(struct ks_module *module, struct ks_view message,
				    struct ks_error *err);

/*
 * Puts the content into a container like the one it came in (ks_codec_write() says how), and
 * replaces the file: ks_file_replace() says how, and what SYNC is.
 */
KS_MUST_CHECK bool ks_module_store(const struct ks_module *module, struct ks_dirsync *sync,
				   struct ks_written *written, struct ks_error *err);

/* The same to another PLACE, as ks_file_write() does it; MODE is for a new file. */
KS_MUST_CHECK bool ks_module_store_as(const struct ks_module *module, const struct ks_place *place,
				      mode_t mode, struct ks_error *err);

void ks_module_free(struct ks_module *module);

#endif
