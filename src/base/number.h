/* SPDX-License-Identifier: MIT */
/* Numbers in files: unsigned, at any place, in a byte order that need not be this machine's. */
#ifndef KS_BASE_NUMBER_H
#define KS_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* WIDTH bytes from AT on, 8 at most. */
static inline uint64_t ks_number(const uint8_t *at, size_t width, bool little_endian)
{
	uint64_t value = 0;

	for (size_t i = 0; i < width; i++)
		value = value << 8 | at[little_endian ? width - 1 - i : i];
	return value;
}

static inline uint16_t ks_le16(const uint8_t *at)
{
	return (uint16_t)ks_number(at, 2, true);
}

static inline uint32_t ks_le32(const uint8_t *at)
{
	return (uint32_t)ks_number(at, 4, true);
}

#endif
