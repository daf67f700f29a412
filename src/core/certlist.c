/* SPDX-License-Identifier: MIT */
#include "core/certlist.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

enum {
	ALIGN = 8,
	ALIGN_POWER = 1 << 8, /* ".align 8" where the assembler takes it for a power of two */
	INT = 4,
	EXTRA_MAX = 1 << 16, /* room for an extra certificate, whose length has two bytes */
	CERT_HEADER = 4,
	CERT_LOOK = 6, /* bytes that cert_len() looks at */
	LISTS_MAX = 8, /* a kernel has two */
	/* A kernel costs some hundreds; without a limit a file of nothing but headers takes hours. */
	EFFORT_START = 256,
	EFFORT_MAX = 1 << 20,
	/* Documentation/arch/arm64/booting.rst */
	IMAGE_HEADER = 64,
	IMAGE_MAGIC = 56,
	ARM64_FLAGS = 24,
	ARM64_BIG_ENDIAN = 1,
};

#define ARM64_MAGIC "ARM\x64"

/* How this kernel has a number. */
struct form {
	size_t width; /* of an unsigned long */
	bool little_endian;
};

/* What follows a list's length. */
enum next {
	NEXT_OTHER,
	NEXT_ZERO,  /* could be the length of no certificate of the build's, or padding */
	NEXT_FIRST, /* the length of the first certificate */
};

struct list {
	struct ks_view certs;
	enum next next;
};

struct search {
	struct ks_view kernel;
	struct form form;
	struct list list[LISTS_MAX];
	size_t count;
	size_t effort;
};

/* An Image has 64 bits, as far as it is known, and says its byte order on arm64 only. */
static struct form form_of(struct ks_view kernel)
{
	struct form form = { 8, true };

	if (kernel.len < IMAGE_HEADER)
		return form;
	if (ks_view_starts_with(kernel, ELFMAG, SELFMAG)) {
		form.width = kernel.data[EI_CLASS] == ELFCLASS32 ? 4 : 8;
		form.little_endian = kernel.data[EI_DATA] != ELFDATA2MSB;
	} else if (memcmp(kernel.data + IMAGE_MAGIC, ARM64_MAGIC, 4) == 0) {
		form.little_endian = !(kernel.data[ARM64_FLAGS] & ARM64_BIG_ENDIAN);
	}
	return form;
}

/* Whether a number of WIDTH bytes stands at AT and is VALUE. */
static bool has_number(const struct search *search, size_t at, size_t width, size_t value)
{
	struct ks_view kernel = search->kernel;

	return at <= kernel.len && kernel.len - at >= width &&
	       ks_number(kernel.data + at, width, search->form.little_endian) == value;
}

/* The next byte from AT on that is not zero; the kernel's end where there is none near. */
static size_t skip_zeros(struct ks_view kernel, size_t at)
{
	size_t end = kernel.len - at > EXTRA_MAX ? at + EXTRA_MAX : kernel.len;

	while (at < end && !kernel.data[at])
		at++;
	return at < end ? at : kernel.len;
}

/*
 * The length of the certificate at AT: a SEQUENCE with a length of two bytes, as the kernel's
 * loader demands (crypto/asymmetric_keys/x509_loader.c), that begins with another long one.  0
 * where there is none.
 */
static size_t cert_len(struct ks_view kernel, size_t at)
{
	const uint8_t *p = kernel.data + at;
	size_t len;

	if (kernel.len - at < CERT_LOOK || p[0] != 0x30 || p[1] != 0x82 || p[4] != 0x30 ||
	    (p[5] != 0x81 && p[5] != 0x82))
		return 0;
	len = CERT_HEADER + ((size_t)p[2] << 8 | p[3]);
	return len <= kernel.len - at ? len : 0;
}

/* Where the length of the certificates [START, END) stands, the last of which has LAST bytes. */
static bool find_length(const struct search *search, size_t start, size_t end, size_t last,
			size_t *at)
{
	size_t width = search->form.width;
	size_t number = skip_zeros(search->kernel, end);
	size_t used = number / INT * INT;

	*at = number / ALIGN * ALIGN;
	if (*at < end)
		return false;
	if (has_number(search, *at, width, end - start))
		return true;
	/* An extra certificate was put in: its length comes first. */
	if (!has_number(search, used, INT, last))
		return false;
	*at = skip_zeros(search->kernel, used + INT) / ALIGN * ALIGN;
	return has_number(search, *at, width, end - start);
}

static enum next what_follows(const struct search *search, size_t at, size_t first)
{
	size_t width = search->form.width;
	size_t near = at + ALIGN, far = at + ALIGN_POWER;

	if (has_number(search, near, width, first))
		return NEXT_FIRST;
	if (!has_number(search, near, width, 0))
		return NEXT_OTHER;
	if (at % ALIGN_POWER == 0 && skip_zeros(search->kernel, near) >= far &&
	    has_number(search, far, width, first))
		return NEXT_FIRST;
	return NEXT_ZERO;
}

static bool spend(struct search *search, size_t effort, struct ks_error *err)
{
	search->effort += effort;
	return search->effort <= EFFORT_MAX ||
	       ks_fail(err, KS_ERR_INPUT, "too much in it that looks like certificates");
}

/* *END becomes the end of the certificates that start at START, *LAST the last one's length. */
static bool walk(struct search *search, size_t start, size_t *end, size_t *last,
		 struct ks_error *err)
{
	size_t len;

	if (!spend(search, EFFORT_START, err))
		return false;
	for (*end = start; (len = cert_len(search->kernel, *end)); *end += len) {
		if (!spend(search, 1, err))
			return false;
		*last = len;
	}
	return true;
}

/* If there is a list at *AT, adds it and puts *AT behind it. */
static bool try_list(struct search *search, size_t *at, struct ks_error *err)
{
	struct ks_view kernel = search->kernel;
	size_t start = *at, end, last = 0, length_at;

	if (!walk(search, start, &end, &last, err))
		return false;
	if (!find_length(search, start, end, last, &length_at))
		return true;
	if (search->count == LISTS_MAX)
		return spend(search, EFFORT_MAX, err);
	search->list[search->count++] = (struct list){
		ks_view_of(kernel.data + start, end - start),
		what_follows(search, length_at, cert_len(kernel, start)),
	};
	*at = length_at;
	return true;
}

static bool find_lists(struct search *search, struct ks_error *err)
{
	for (size_t at = 0; at < search->kernel.len; at += ALIGN)
		if (cert_len(search->kernel, at) && !try_list(search, &at, err))
			return false;
	return true;
}

static bool is_before_5_13(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10), minor = 0;

	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	return major < 5 || (major == 5 && minor < 13);
}

/*
 * The list of trusted certificates is the one that a length of the build's follows, or, where the
 * build had no key of its own, the first with a zero there.  From before 5.13 there is only that
 * list, and nothing behind it.  NULL where it cannot be told.
 */
static const struct list *choose_trusted(const struct search *search, const char *release)
{
	const struct list *zero = NULL, *first = NULL;

	for (size_t i = search->count; i-- > 0;) {
		const struct list *list = &search->list[i];

		if (list->next == NEXT_FIRST && first)
			return NULL;
		if (list->next == NEXT_FIRST)
			first = list;
		if (list->next == NEXT_ZERO)
			zero = list;
	}
	if (first || zero)
		return first ? first : zero;
	return search->count == 1 && release && is_before_5_13(release) ? search->list : NULL;
}

/* The one list behind the trusted ones, if it is only one; NULL where it cannot be told. */
static const struct list *choose_revoked(const struct search *search, const struct list *trusted,
					 const char *release)
{
	const struct list *list = trusted ? trusted + 1 : search->list;

	if (!trusted && (!release || is_before_5_13(release)))
		return NULL;
	return list + 1 == search->list + search->count ? list : NULL;
}

static bool read_certs(struct ks_view list, struct ks_certs *certs, size_t *unread,
		       struct ks_error *err)
{
	for (size_t at = 0, len; at < list.len; at += len) {
		len = cert_len(list, at);
		if (ks_certs_parse(certs, ks_view_of(list.data + at, len), err))
			continue;
		if (err->code != KS_ERR_KEY)
			return false;
		++*unread;
	}
	return true;
}

bool ks_certlist_read(struct ks_view kernel, struct ks_image *image, struct ks_error *err)
{
	struct search search = { .kernel = kernel, .form = form_of(kernel) };
	const struct list *trusted, *revoked;

	if (!find_lists(&search, err))
		return false;
	trusted = choose_trusted(&search, image->release);
	revoked = choose_revoked(&search, trusted, image->release);
	if (trusted && !read_certs(trusted->certs, &image->builtin, &image->unread, err))
		return false;
	image->has_list = trusted;
	image->has_build_key = trusted && trusted->next == NEXT_FIRST && !image->unread;
	return !revoked || read_certs(revoked->certs, &image->revoked, &image->unread, err);
}
