/* SPDX-License-Identifier: MIT */
/* EFI signature lists, and certificates and hashes in them. */
#include <openssl/err.h>
#include <string.h>

#include "core/siglist.h"
#include "fuzz.h"

bool fuzz_accepted; /* read to its end */

enum { OWNER = 16 };

/* One hash, all of it "H". */
static const char fixed_list[] = "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
				 "\x4c\0\0\0\0\0\0\0\x30\0\0\0"
				 "owner of 16 byteHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH";
#define FIXED_HASH "HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH"

static void parse(struct ks_view data, struct ks_siglist *list)
{
	struct ks_error err;

	MUST(ks_siglist_parse(data, list, &err));
	MUST(!list->damage || *list->damage);
}

static size_t count(const struct ks_siglist *list)
{
	return list->certs.count + list->hash_count + list->unread + list->unknown;
}

/* Every entry has an owner and bytes of its own, and what is in the list is in the data. */
static void check_entries(struct ks_view data, const struct ks_siglist *list)
{
	MUST(count(list) <= data.len / OWNER);
	for (size_t i = 0; i < list->hash_count; i++) {
		const struct ks_siglist_hash *hash = &list->hash[i];

		MUST(memmem(data.data, data.len, hash->value, KS_SIGLIST_SHA256));
		MUST(ks_siglist_has(list, hash->type, hash->value));
	}
}

/* Another list behind it is read just where it is read to its end, and changes nothing in front. */
static void check_append(struct ks_view data, const struct ks_siglist *list)
{
	KS_BULK longer = { 0 };
	KS_SIGLIST both = { 0 };
	struct ks_error err;

	MUST(ks_buf_append(&longer, data.data, data.len, &err));
	MUST(ks_buf_append(&longer, fixed_list, sizeof(fixed_list) - 1, &err));
	parse(ks_buf_view(&longer), &both);
	MUST(both.certs.count >= list->certs.count && both.hash_count >= list->hash_count);
	if (list->damage)
		return;
	MUST(!both.damage && count(&both) == count(list) + 1);
	MUST(both.hash_count == list->hash_count + 1);
	MUST(ks_siglist_has(&both, KS_SIGLIST_IMAGE, (const uint8_t *)FIXED_HASH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view view = fuzz_view(data, size);
	KS_SIGLIST list = { 0 };

	parse(view, &list);
	check_entries(view, &list);
	check_append(view, &list);
	fuzz_accepted = !list.damage;
	MUST(!ERR_peek_error());
	return 0;
}
