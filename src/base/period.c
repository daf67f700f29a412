/* SPDX-License-Identifier: MIT */
#include "base/period.h"

#include <string.h>

static const struct {
	const char *letter;
	const char *word[2]; /* short and long; a plural s may follow */
	int64_t seconds;
} units[] = {
	{ "s", { "sec", "second" }, 1 },     { "m", { "min", "minute" }, 60 },
	{ "h", { "hour", "hour" }, 3600 },   { "d", { "day", "day" }, 86400 },
	{ "w", { "week", "week" }, 604800 },
};

static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	return strncmp(text, word, len) == 0 &&
	       (text[len] == '\0' || (text[len] == 's' && text[len + 1] == '\0'));
}

static int64_t unit_of(const char *text)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(text, units[i].letter) == 0 || is_word(text, units[i].word[0]) ||
		    is_word(text, units[i].word[1]))
			return units[i].seconds;
	return 0;
}

/* A number above 0, of at most ten digits, and the blanks behind it. */
static bool take_number(const char **text, int64_t *number)
{
	*number = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		if (*number > INT32_MAX)
			return false;
		*number = *number * 10 + (**text - '0');
	}
	*text += strspn(*text, " \t");
	return *number > 0;
}

bool ks_period_parse(const char *text, int64_t *seconds, struct ks_error *err)
{
	const char *at = text + strspn(text, " \t");
	int64_t number, unit;

	if (strcmp(at, "always") == 0) {
		*seconds = KS_PERIOD_ALWAYS;
		return true;
	}
	if (strcmp(at, "never") == 0) {
		*seconds = KS_PERIOD_NEVER;
		return true;
	}
	unit = take_number(&at, &number) ? unit_of(at) : 0;
	if (!unit)
		return ks_fail(err, KS_ERR_USAGE,
			       "'%s' is no period: a number above 0 and s, m (minutes), h, d or w, "
			       "or 'always' or 'never'",
			       text);
	*seconds = number * unit;
	return true;
}
