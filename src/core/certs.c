/* SPDX-License-Identifier: MIT */
#include "core/certs.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/dir.h"
#include "base/file.h"
#include "core/cert.h"

enum { CERT_FILE_LIMIT = 16 << 20 }; /* bytes; a distribution's bundle has 200 KiB */

/* Takes CERT over, also on failure. */
static bool add(struct ks_certs *certs, X509 *cert, struct ks_error *err)
{
	if (certs->count == certs->cap) {
		size_t cap = certs->cap ? certs->cap * 2 : 4;
		X509 **item = reallocarray(certs->item, cap, sizeof(*item));

		if (!item) {
			X509_free(cert);
			return ks_fail_memory(err);
		}
		certs->item = item;
		certs->cap = cap;
	}
	certs->item[certs->count++] = cert;
	return true;
}

bool ks_certs_add(struct ks_certs *certs, X509 *cert, struct ks_error *err)
{
	X509_up_ref(cert);
	return add(certs, cert, err);
}

/* Whether the text ends here, as it should: a broken certificate ends the reading too. */
static bool is_end(size_t count, struct ks_error *err)
{
	unsigned long code = ERR_peek_last_error();
	char what[64];

	if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return true;
	}
	snprintf(what, sizeof(what), "what follows certificate %zu in it", count);
	return ks_fail_openssl(err, KS_ERR_INPUT, what);
}

/* The first one decides whether there is any and in which encoding; DER holds just one. */
bool ks_certs_parse(struct ks_certs *certs, struct ks_view file, struct ks_error *err)
{
	size_t before = certs->count;
	KS_BIO *bio = NULL;
	X509 *cert;

	if (!ks_cert_parse(file, &cert, err))
		return false;
	if (ks_cert_is_der(file))
		return add(certs, cert, err);
	X509_free(cert);
	if (!ks_bio_open(file, &bio, err))
		return false;
	while ((cert = PEM_read_bio_X509(bio, NULL, ks_no_passphrase, NULL)))
		if (!add(certs, cert, err))
			return false;
	return is_end(certs->count - before, err);
}

static bool load_file(struct ks_certs *certs, const struct ks_place *place, struct ks_error *err)
{
	KS_BUF file = { 0 };
	struct stat st;

	return ks_file_read(place, CERT_FILE_LIMIT, &file, &st, err) &&
	       ks_certs_parse(certs, ks_buf_view(&file), err);
}

static bool load_entry(struct ks_certs *certs, const char *root, const char *dir, const char *name,
		       struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_STRING path = NULL;
	struct ks_error passed_over;
	struct stat st;

	if (!ks_string_print(&path, err, "%s/%s", dir, name))
		return false;
	if (!ks_place_find(&place, root, path, &passed_over) ||
	    fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
	    load_file(certs, &place, &passed_over) || passed_over.code == KS_ERR_KEY)
		return true;
	*err = passed_over;
	return ks_at(err, path);
}

static bool load_directory(struct ks_certs *certs, const char *root, const struct ks_place *place,
			   struct ks_error *err)
{
	KS_STRINGS names = { 0 };
	size_t before = certs->count;
	KS_FD fd = -1;

	if (!ks_place_open(place, O_RDONLY | O_DIRECTORY, &fd, err) ||
	    !ks_dir_names(fd, &names, err))
		return ks_at(err, place->path);
	for (size_t i = 0; i < names.count; i++)
		if (!load_entry(certs, root, place->path, names.item[i], err))
			return false;
	if (certs->count > before)
		return true;
	ks_fail(err, KS_ERR_KEY, "no certificate in this directory");
	return ks_at(err, place->path);
}

bool ks_certs_load(struct ks_certs *certs, const char *root, const char *path, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	if (!ks_place_find(&place, root, path, err))
		return ks_at(err, path);
	if (fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return load_directory(certs, root, &place, err);
	return load_file(certs, &place, err) || ks_at(err, path);
}

void ks_certs_free(struct ks_certs *certs)
{
	for (size_t i = 0; i < certs->count; i++)
		X509_free(certs->item[i]);
	free(certs->item);
	*certs = (struct ks_certs){ 0 };
}
