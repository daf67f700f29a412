/* SPDX-License-Identifier: MIT */
/*
 * Kernel images: the first byte says whether the rest is an image's file, or what surrounds the
 * real list in a kernel that is made here.
 */
#include <ctype.h>
#include <openssl/err.h>
#include <string.h>

#include "core/cert.h"
#include "core/certlist.h"
#include "core/image.h"
#include "fixed.h"
#include "fuzz.h"

bool fuzz_accepted; /* the list was found */

enum {
	LIMIT = 1 << 20,
	HEADER = 64,
	ALIGN = 8,
	RELEASE_MAX = 64,
	/* What the rest is. */
	FILE_OF_IMAGE = 0,
	BEHIND_LIST = 1,
	BEFORE_LIST = 2,
	CHOICES = 3,
};

static X509 *trusted;
static struct ks_view trusted_der;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned char *der = NULL;
	struct ks_error err;
	int len;

	(void)argc, (void)argv;
	MUST(ks_cert_parse(ks_view_of(fixed_certs, sizeof(fixed_certs)), &trusted, &err));
	len = i2d_X509(trusted, &der);
	MUST(len > 0);
	trusted_der = ks_view_of(der, (size_t)len);
	return 0;
}

static void check_certs(const struct ks_certs *certs)
{
	for (size_t i = 0; i < certs->count; i++)
		MUST(X509_get0_pubkey_bitstr(certs->item[i]));
}

static void check_image(const struct ks_image *image)
{
	MUST(image->has_list || (!image->builtin.count && !image->has_build_key));
	MUST(!image->has_list || image->builtin.count || image->unread);
	MUST(!image->has_build_key || image->builtin.count);
	check_certs(&image->builtin);
	check_certs(&image->revoked);
	if (!image->release)
		return;
	MUST(isdigit(image->release[0]) && strlen(image->release) <= RELEASE_MAX);
	for (const char *p = image->release; *p; p++)
		MUST(*p > ' ' && *p < 0x7f);
}

static bool read_file(struct ks_view file)
{
	KS_IMAGE image = { 0 };
	struct ks_error err = { 0 };

	if (!ks_image_read(file, LIMIT, &image, &err)) {
		MUST(err.code == KS_ERR_INPUT || err.code == KS_ERR_UNSUPPORTED);
		MUST(*err.text && !image.release && !image.builtin.count && !image.revoked.count);
		return false;
	}
	check_image(&image);
	return image.has_list;
}

static void put(struct ks_buf *kernel, const void *data, size_t len)
{
	struct ks_error err;

	MUST(ks_buf_append(kernel, data, len, &err));
}

static void align(struct ks_buf *kernel)
{
	while (kernel->len % ALIGN)
		put(kernel, "", 1);
}

/* As certs/system_certificates.S does it, for a kernel of amd64. */
static void put_list(struct ks_buf *kernel)
{
	uint8_t len[ALIGN] = { (uint8_t)trusted_der.len, (uint8_t)(trusted_der.len >> 8) };

	align(kernel);
	put(kernel, trusted_der.data, trusted_der.len);
	align(kernel);
	put(kernel, len, sizeof(len));
	put(kernel, len, sizeof(len));
}

/*
 * Whatever stands around the list, nothing else is taken for it.  Not finding it is no fault: other
 * data can make another list of the same kind, or so many beginnings of one that it is given up.
 */
static bool read_surroundings(struct ks_view data, bool behind)
{
	static const uint8_t header[HEADER] = "\177ELF\2\1\1";
	KS_BULK kernel = { 0 };
	KS_IMAGE image = { 0 };
	struct ks_error err = { 0 };

	put(&kernel, header, sizeof(header));
	if (!behind)
		put(&kernel, data.data, data.len);
	put_list(&kernel);
	if (behind)
		put(&kernel, data.data, data.len);
	if (!ks_certlist_read(ks_buf_view(&kernel), &image, &err)) {
		MUST(err.code == KS_ERR_INPUT);
		return false;
	}
	check_image(&image);
	MUST(!image.has_list || (image.has_build_key && image.builtin.count == 1 &&
				 X509_cmp(image.builtin.item[0], trusted) == 0));
	return image.has_list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view input = fuzz_view(data, size);
	unsigned int choice = fuzz_select(&input, CHOICES);

	fuzz_accepted = choice == FILE_OF_IMAGE ? read_file(input) :
						  read_surroundings(input, choice == BEHIND_LIST);
	MUST(!ERR_peek_error());
	return 0;
}
