/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length of the UTF-8 sequence at TEXT and its code point; 0 where there is none (RFC 3629). */
static size_t decode(const unsigned char *text, uint32_t *point)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = text[0] < 0x80 ? 1 :
		     text[0] < 0xc0 ? 0 :
		     text[0] < 0xe0 ? 2 :
		     text[0] < 0xf0 ? 3 :
		     text[0] < 0xf8 ? 4 :
				      0;

	if (len <= 1) {
		*point = text[0];
		return len;
	}
	*point = text[0] & (0xffU >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (text[i] & 0x3f);
	}
	if (*point < lowest[len] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return len;
}

static bool is_harmless(uint32_t point)
{
	if (point < 0x20 || (point >= 0x7f && point < 0xa0))
		return false;
	/* Bidirectional overrides and isolates, line and paragraph separators. */
	return !(point == 0x061c || point == 0x200e || point == 0x200f ||
		 (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069));
}

char *ks_text_escape(const char *raw)
{
	const unsigned char *in = (const unsigned char *)raw;
	char *out = malloc(4 * strlen(raw) + 1);
	char *end = out;

	if (!out)
		return NULL;
	while (*in) {
		uint32_t point;
		size_t len = decode(in, &point);

		if (*in == '\\') {
			end += sprintf(end, "\\\\");
		} else if (len && is_harmless(point)) {
			memcpy(end, in, len);
			end += len;
		} else {
			for (size_t i = 0; i < (len ? len : 1); i++)
				end += sprintf(end, "\\x%02x", in[i]);
		}
		in += len ? len : 1;
	}
	*end = '\0';
	return out;
}

void ks_text_time(time_t time, char text[KS_TEXT_TIME_SIZE])
{
	struct tm tm;

	if (!gmtime_r(&time, &tm) || !strftime(text, KS_TEXT_TIME_SIZE, KS_TEXT_TIME, &tm))
		text[0] = '\0';
}
