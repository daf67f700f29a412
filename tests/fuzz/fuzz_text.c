/* SPDX-License-Identifier: MIT */
/* Names: escaped for a terminal, taken apart as module names, read as spans of time. */
#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/period.h"
#include "base/strings.h"
#include "base/text.h"
#include "core/codec.h"
#include "fuzz.h"

bool fuzz_accepted; /* nothing had to be escaped */

static int digit(char c)
{
	MUST((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The rule that text.h gives, backwards, in place. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (*text != '\\') {
			*out++ = *text++;
		} else if (text[1] == '\\') {
			*out++ = '\\';
			text += 2;
		} else {
			MUST(text[1] == 'x');
			*out++ = (char)(digit(text[2]) << 4 | digit(text[3]));
			text += 4;
		}
	}
	*out = '\0';
}

/* Controls, what turns the direction of text, and what ends a line somewhere. */
static bool is_harmful(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e ||
	       point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

/* TEXT is UTF-8, by another decoder than the library's, and all of it fit to be shown. */
static void check_harmless(char *text)
{
	iconv_t utf8 = iconv_open("UCS-4LE", "UTF-8");
	size_t left = strlen(text);

	MUST(utf8 != (iconv_t)-1);
	while (left) {
		uint8_t point[4];
		char *to = (char *)point;
		size_t room = sizeof(point);
		size_t before = left;

		/* One character fills the room; that there was no more of it is no fault. */
		MUST(iconv(utf8, &text, &left, &to, &room) != (size_t)-1 || errno == E2BIG);
		MUST(!room && left < before);
		MUST(!is_harmful((uint32_t)point[0] | (uint32_t)point[1] << 8 |
				 (uint32_t)point[2] << 16));
	}
	iconv_close(utf8);
}

static void check_escape(const char *raw)
{
	KS_STRING text = ks_text_escape(raw);
	KS_STRING twice = NULL;

	MUST(text);
	check_harmless(text);
	fuzz_accepted = strcmp(raw, text) == 0;
	/* What comes out is harmless UTF-8: all that is left to escape in it is the backslashes. */
	twice = ks_text_escape(text);
	MUST(twice);
	unescape(twice);
	MUST(strcmp(twice, text) == 0);
	unescape(text);
	MUST(strcmp(text, raw) == 0);
}

static void check_name(const char *name)
{
	const struct ks_codec *codec = ks_codec_by_name(name);
	size_t plain = ks_codec_plain_name_len(name);

	MUST(ks_codec_is_module_name(name) == (codec != NULL));
	MUST(plain <= strlen(name));
	if (!codec) {
		MUST(plain == strlen(name));
		return;
	}
	MUST(strcmp(name + plain, codec->suffix) == 0);
	MUST(plain >= 3 && memcmp(name + plain - 3, ".ko", 3) == 0);
}

/* The next word of *AT, which is moved behind it; 0 at the end. */
static size_t next_word(const char **at, const char **word)
{
	size_t len;

	*word = *at + strspn(*at, "/");
	len = strcspn(*word, "/");
	*at = *word + len;
	return len;
}

/* The words of NAME as a list: sorted, no word twice, none lost. */
static void check_list(const char *name)
{
	KS_STRINGS list = { 0 };
	struct ks_error err;
	const char *word, *at = name;
	char joined[64];
	size_t len;

	while ((len = next_word(&at, &word)))
		MUST(ks_strings_add_len(&list, word, len, &err));
	ks_strings_sort(&list);
	for (size_t i = 1; i < list.count; i++)
		MUST(strcmp(list.item[i - 1], list.item[i]) < 0);
	for (at = name; (len = next_word(&at, &word));)
		MUST(ks_strings_has(&list, word, len));
	MUST(!ks_strings_has(&list, "/", 1));
	ks_strings_join(&list, joined, sizeof(joined));
	MUST(memchr(joined, '\0', sizeof(joined)));
}

static void check_period(const char *text)
{
	struct ks_error err;
	int64_t seconds;

	if (!ks_period_parse(text, &seconds, &err)) {
		MUST(err.code == KS_ERR_USAGE && *err.text);
		return;
	}
	MUST((seconds == KS_PERIOD_ALWAYS) == (strstr(text, "always") != NULL));
	MUST((seconds == KS_PERIOD_NEVER) == (strstr(text, "never") != NULL));
	MUST(seconds == KS_PERIOD_NEVER || (seconds >= 0 && seconds < INT64_MAX / 100));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KS_STRING name = strndup(size ? (const char *)data : "", size);

	MUST(name);
	check_escape(name);
	check_name(name);
	check_list(name);
	check_period(name);
	return 0;
}
