/* SPDX-License-Identifier: MIT */
#include "core/siglist.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "core/cert.h"

enum {
	GUID = 16,
	LIST_SIZE = 16, /* offsets in EFI_SIGNATURE_LIST; every number has 32 bits, little-endian */
	HEADER_SIZE = 20,
	ENTRY_SIZE = 24,
	LIST_HEADER = 28,
	OWNER = 16, /* in front of each entry */
	TIME = 16,  /* EFI_TIME of revocation, behind a hash of X509_SHA256 */
};

/* One list: LEN bytes, in which entries of ENTRY bytes each, owner included, start at FIRST. */
struct part {
	const uint8_t *data;
	size_t len, first, entry;
};

/* The list at the front of DATA; what is wrong with it, or NULL. */
static const char *read_part(struct ks_view data, struct part *part)
{
	size_t header;

	if (data.len < LIST_HEADER)
		return "a signature list is cut off in its header";
	header = ks_le32(data.data + HEADER_SIZE);
	part->data = data.data;
	part->len = ks_le32(data.data + LIST_SIZE);
	part->entry = ks_le32(data.data + ENTRY_SIZE);
	if (part->len > data.len)
		return "a signature list is longer than the data";
	if (part->len < LIST_HEADER || part->len - LIST_HEADER < header)
		return "a signature list is shorter than its header";
	part->first = LIST_HEADER + header;
	if (part->entry < OWNER || part->len - part->first < part->entry ||
	    (part->len - part->first) % part->entry)
		return "a signature list is no whole number of entries";
	return NULL;
}

static bool add_cert(struct ks_siglist *list, struct ks_view entry, struct ks_error *err)
{
	bool is_der = ks_cert_is_der(entry);

	if (is_der && ks_certs_parse(&list->certs, entry, err))
		return true;
	list->unread++;
	return !is_der || err->code == KS_ERR_KEY;
}

static bool add_hash(struct ks_siglist *list, enum ks_siglist_type type, const uint8_t *value,
		     struct ks_error *err)
{
	struct ks_siglist_hash *hash;

	/* Doubled whenever the count is a power of two, so that no capacity need be kept. */
	if (!(list->hash_count & (list->hash_count - 1))) {
		size_t room = list->hash_count ? list->hash_count * 2 : 1;

		hash = reallocarray(list->hash, room, sizeof(*hash));
		if (!hash)
			return ks_fail_memory(err);
		list->hash = hash;
	}
	hash = &list->hash[list->hash_count++];
	hash->type = type;
	memcpy(hash->value, value, KS_SIGLIST_SHA256);
	return true;
}

static bool has_guid(const uint8_t *data, const char *guid)
{
	return memcmp(data, guid, GUID) == 0;
}

static bool add_entry(struct ks_siglist *list, const uint8_t *type, struct ks_view entry,
		      struct ks_error *err)
{
	/* EFI_CERT_X509_GUID, EFI_CERT_SHA256_GUID, EFI_CERT_X509_SHA256_GUID as they are stored */
	static const char x509[] =
		"\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72";
	static const char sha256[] =
		"\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28";
	static const char tbs[] =
		"\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed";

	if (has_guid(type, x509))
		return add_cert(list, entry, err);
	if (has_guid(type, sha256) && entry.len == KS_SIGLIST_SHA256)
		return add_hash(list, KS_SIGLIST_IMAGE, entry.data, err);
	if (has_guid(type, tbs) && entry.len == KS_SIGLIST_SHA256 + TIME)
		return add_hash(list, KS_SIGLIST_TBS, entry.data, err);
	list->unknown++;
	return true;
}

static bool add_part(struct ks_siglist *list, const struct part *part, struct ks_error *err)
{
	for (size_t at = part->first; at < part->len; at += part->entry)
		if (!add_entry(list, part->data,
			       ks_view_of(part->data + at + OWNER, part->entry - OWNER), err))
			return false;
	return true;
}

bool ks_siglist_parse(struct ks_view data, struct ks_siglist *list, struct ks_error *err)
{
	struct part part;

	*list = (struct ks_siglist){ 0 };
	while (data.len && !(list->damage = read_part(data, &part))) {
		if (!add_part(list, &part, err)) {
			ks_siglist_free(list);
			return false;
		}
		data = ks_view_of(data.data + part.len, data.len - part.len);
	}
	return true;
}

bool ks_siglist_has(const struct ks_siglist *list, enum ks_siglist_type type, const uint8_t *value)
{
	for (size_t i = 0; i < list->hash_count; i++)
		if (list->hash[i].type == type &&
		    memcmp(list->hash[i].value, value, KS_SIGLIST_SHA256) == 0)
			return true;
	return false;
}

void ks_siglist_free(struct ks_siglist *list)
{
	ks_certs_free(&list->certs);
	free(list->hash);
	*list = (struct ks_siglist){ 0 };
}
