/* SPDX-License-Identifier: MIT */
#include "core/trailer.h"

#include <errno.h>
#include <string.h>

static const char marker[] = "~Module signature appended~\n";

/* Offsets into the information block. */
enum {
	INFO_ALGO = 0,
	INFO_HASH = 1,
	INFO_ID_TYPE = 2,
	INFO_SIGNER_LEN = 3,
	INFO_KEY_ID_LEN = 4,
	INFO_PAD = 5,
	INFO_SIG_LEN = 8, /* big endian */
	INFO_SIZE = 12,
	MARKER_SIZE = sizeof(marker) - 1,
	ID_TYPE_PKCS7 = 2,
};

static const char *find_fault(const uint8_t *info, uint32_t message_len, size_t room)
{
	if (info[INFO_ID_TYPE] != ID_TYPE_PKCS7)
		return "the signature's type is not PKCS#7";
	if (info[INFO_ALGO])
		return "the algorithm field of the information block is not zero";
	if (info[INFO_HASH])
		return "the hash field of the information block is not zero";
	if (info[INFO_SIGNER_LEN])
		return "the signer length of the information block is not zero";
	if (info[INFO_KEY_ID_LEN])
		return "the key id length of the information block is not zero";
	if (info[INFO_PAD] || info[INFO_PAD + 1] || info[INFO_PAD + 2])
		return "the padding of the information block is not zero";
	if (message_len == 0)
		return "the signature's length is zero";
	if (message_len >= room)
		return "the signature's length reaches past the start of the file";
	return NULL;
}

/* Kernels look at the length first (mod_check_sig() in kernel/module_signature.c). */
static int find_errno(const uint8_t *info, uint32_t message_len, size_t room)
{
	return message_len < room && info[INFO_ID_TYPE] != ID_TYPE_PKCS7 ? ENOPKG : EBADMSG;
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct ks_trailer ks_trailer_parse(struct ks_view file)
{
	struct ks_trailer t = { .kind = KS_TRAILER_NONE, .image = file };
	const uint8_t *info;
	uint32_t message_len;
	size_t room;

	if (file.len < MARKER_SIZE ||
	    memcmp(file.data + file.len - MARKER_SIZE, marker, MARKER_SIZE) != 0)
		return t;
	t.kind = KS_TRAILER_MALFORMED;
	t.sys = EBADMSG;
	if (file.len < MARKER_SIZE + INFO_SIZE) {
		t.fault = "no room for an information block before the marker";
		return t;
	}
	room = file.len - MARKER_SIZE - INFO_SIZE;
	info = file.data + room;
	message_len = get_be32(info + INFO_SIG_LEN);
	t.fault = find_fault(info, message_len, room);
	t.sys = find_errno(info, message_len, room);
	if (t.fault)
		return t;
	t.kind = KS_TRAILER_WHOLE;
	t.image.len = room - message_len;
	t.message = ks_view_of(file.data + t.image.len, message_len);
	return t;
}

size_t ks_trailer_count(struct ks_view file)
{
	struct ks_trailer t = ks_trailer_parse(file);
	size_t count = 0;

	for (; t.kind == KS_TRAILER_WHOLE; t = ks_trailer_parse(t.image))
		count++;
	return count + (t.kind == KS_TRAILER_MALFORMED);
}

bool ks_trailer_append(struct ks_buf *file, struct ks_view message, struct ks_error *err)
{
	uint8_t info[INFO_SIZE] = { [INFO_ID_TYPE] = ID_TYPE_PKCS7 };

	if (message.len > UINT32_MAX)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "the signature is too long");
	for (int i = 0; i < 4; i++)
		info[INFO_SIG_LEN + i] = (uint8_t)(message.len >> (24 - 8 * i));
	return ks_buf_reserve(file, file->len + message.len + INFO_SIZE + MARKER_SIZE, err) &&
	       ks_buf_append(file, message.data, message.len, err) &&
	       ks_buf_append(file, info, INFO_SIZE, err) &&
	       ks_buf_append(file, marker, MARKER_SIZE, err);
}
