/* SPDX-License-Identifier: MIT */
#include "core/kernellog.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/place.h"
#include "base/strings.h"

#define KMSG "/dev/kmsg"

enum {
	RECORD_MAX = 8192,   /* CONSOLE_EXT_LOG_MAX; 2048 from 6.6 on */
	READS_MAX = 1 << 22, /* more records than any buffer has: the log grows as we read */
	MEMORY_MAJOR = 1,    /* Documentation/admin-guide/devices.txt */
	KMSG_MINOR = 11,
	FACILITY_SHIFT = 3, /* below it is the level; the kernel's own facility is 0 */
	NAMELESS = -1,
};

/*
 * Every text that counts, an asterisk for whatever stands there; the first that fits is it.  The
 * module's name stands at name_at.
 */
static const struct pattern {
	enum ks_log_cause cause;
	int name_at;
	const char *form;
} patterns[] = {
	/* kernel/module/signing.c; up to 5.11 with the module's name in front */
	{ KS_LOG_UNSIGNED, NAMELESS, "Loading of unsigned module is rejected" },
	{ KS_LOG_NO_KEY, NAMELESS, "Loading of module with unavailable key is rejected" },
	{ KS_LOG_NO_CRYPTO, NAMELESS, "Loading of module with unsupported crypto is rejected" },
	{ KS_LOG_UNSIGNED, 0, "*: Loading of unsigned module is rejected" },
	{ KS_LOG_NO_KEY, 0, "*: Loading of module with unavailable key is rejected" },
	{ KS_LOG_NO_CRYPTO, 0, "*: Loading of module with unsupported crypto is rejected" },
	/* security/lockdown/lockdown.c; the second as distributions had it before 5.4 */
	{ KS_LOG_LOCKDOWN, NAMELESS, "Lockdown: *: unsigned module loading is restricted; see *" },
	{ KS_LOG_LOCKDOWN, NAMELESS, "Lockdown: *: Loading of *module* is restricted; see *" },
	/* Debian's patch to kernel/module/signing.c */
	{ KS_LOG_REVOKED, NAMELESS, "Module hash * is blacklisted" },
	/* kernel/module/main.c */
	{ KS_LOG_TAINTS, 0,
	  "*: module verification failed: signature and/or required key missing - tainting kernel" },
	{ KS_LOG_VERSION_MAGIC, 0, "*: version magic '*' should be '*'" },
	{ KS_LOG_SHUT_OUT, 7, "Module * is blacklisted" },
	/* kernel/module/version.c */
	{ KS_LOG_SYMBOL_VERSION, 0, "*: disagrees about version of symbol *" },
	/* kernel/module_signature.c; IMA calls it too, the others are from before 5.4 */
	{ KS_LOG_TRAILER, NAMELESS,
	  "module: PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NAMELESS, "module: not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, NAMELESS,
	  "MODULE_CHECK: PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NAMELESS, "MODULE_CHECK: not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, NAMELESS, "PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NAMELESS, "Module is not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, 0, "*: Module is not signed with expected PKCS#7 message" },
	/* certs/system_keyring.c; the first only where debugging or a vendor prints it */
	{ KS_LOG_NO_KEY, NAMELESS, "PKCS#7 signature not signed with a trusted key" },
	{ KS_LOG_MESSAGE, NAMELESS, "PKCS#7 signature with non-detached data" },
	/* crypto/asymmetric_keys/pkcs7_*.c; a number without name is no fault yet */
	{ KS_LOG_NONE, NAMELESS, "PKCS7: Unknown OID: *" },
	{ KS_LOG_MESSAGE, NAMELESS, "PKCS7: *" },
	{ KS_LOG_NO_CRYPTO, NAMELESS, "Unsupported digest algo: *" },
	{ KS_LOG_NO_CRYPTO, NAMELESS, "Unsupported pkey algo: *" },
	/* kernel/module/decompress.c */
	{ KS_LOG_CONTAINER, NAMELESS, "decompression failed with status *" },
	{ KS_LOG_CONTAINER, NAMELESS, "ZSTD-decompression failed with status *" },
	{ KS_LOG_CONTAINER, NAMELESS, "ZSTD-compressed data has *" },
	{ KS_LOG_CONTAINER, NAMELESS, "not a gzip compressed module" },
	{ KS_LOG_CONTAINER, NAMELESS, "not an xz compressed module" },
	{ KS_LOG_CONTAINER, NAMELESS, "not a zstd compressed module" },
};

/* One record's first line: "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT". */
struct record {
	uint64_t priority, sequence, usec;
	char *text;
};

struct reader {
	struct ks_kernellog *log;
	size_t most;
	uint64_t next; /* the sequence number of the next record */
	bool skipping; /* the line in hand is too long to be one */
	size_t len;    /* of the bytes at hand */
	char bytes[2 * RECORD_MAX + 1];
};

/* --- patterns ------------------------------------------------------------------------------- */

/* Where the rest does not fit, only the last asterisk takes more: text times form steps at most. */
static bool matches(const char *form, const char *text)
{
	const char *star = NULL, *taken = NULL;

	while (*text) {
		if (*form == '*') {
			star = ++form;
			taken = text;
		} else if (*form == *text) {
			form++;
			text++;
		} else if (star) {
			form = star;
			text = ++taken;
		} else {
			return false;
		}
	}
	return form[strspn(form, "*")] == '\0';
}

static const struct pattern *find_pattern(const char *text)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if (matches(patterns[i].form, text))
			return patterns[i].cause == KS_LOG_NONE ? NULL : &patterns[i];
	return NULL;
}

/* --- lines that are kept -------------------------------------------------------------------- */

static void free_line(struct ks_log_line *line)
{
	free(line->text);
	free(line->module);
}

static void drop_oldest(struct ks_kernellog *log)
{
	free_line(&log->line[0]);
	log->count--;
	memmove(log->line, log->line + 1, log->count * sizeof(*log->line));
}

static bool keep(struct reader *r, const struct record *record, const struct pattern *pattern,
		 struct ks_error *err)
{
	struct ks_kernellog *log = r->log;
	struct ks_log_line *line;

	if (!r->most)
		return true;
	if (log->count == r->most)
		drop_oldest(log);
	line = reallocarray(log->line, log->count + 1, sizeof(*line));
	if (!line)
		return ks_fail_memory(err);
	log->line = line;
	line += log->count++;
	*line = (struct ks_log_line){ .cause = pattern->cause,
				      .seconds = (double)record->usec / 1e6 };
	if (!ks_string_copy(&line->text, record->text, err))
		return false;
	if (pattern->name_at == NAMELESS)
		return true;
	line->module = strdup(record->text + pattern->name_at);
	if (!line->module)
		return ks_fail_memory(err);
	line->module[strcspn(line->module, ": ")] = '\0';
	return true;
}

/* --- records -------------------------------------------------------------------------------- */

/* The number that starts *AT, which is moved behind the comma that has to follow. */
static bool read_number(char **at, uint64_t *number)
{
	if (!isdigit((unsigned char)**at))
		return false;
	*number = strtoull(*at, at, 10);
	return *(*at)++ == ',';
}

/* More fields than are known may stand in front of the text. */
static bool read_record(char *line, struct record *record)
{
	if (!read_number(&line, &record->priority) || !read_number(&line, &record->sequence) ||
	    !read_number(&line, &record->usec))
		return false;
	record->text = strchr(line, ';');
	return record->text++ != NULL;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The kernel writes backslashes and what is not printable as \xNN. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		int high = -1, low = -1;

		if (text[0] == '\\' && text[1] == 'x' && (high = hex_digit(text[2])) >= 0)
			low = hex_digit(text[3]);
		if (low >= 0 && (high || low)) {
			*to++ = (char)(high << 4 | low);
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool take_line(struct reader *r, char *line, struct ks_error *err)
{
	const struct pattern *pattern;
	struct record record;

	/* Behind a blank are a record's properties (SUBSYSTEM=...), and not all else is a record. */
	if (!read_record(line, &record))
		return true;
	r->log->lost |= record.sequence != r->next;
	r->next = record.sequence + 1;
	if (record.priority >> FACILITY_SHIFT)
		return true;
	unescape(record.text);
	pattern = find_pattern(record.text);
	return !pattern || keep(r, &record, pattern, err);
}

/* Takes the lines that are complete; what is left moves to the front. */
static bool take_lines(struct reader *r, struct ks_error *err)
{
	char *start = r->bytes, *end;
	size_t left = r->len;

	while ((end = memchr(start, '\n', left))) {
		*end = '\0';
		if (!r->skipping && end - start <= RECORD_MAX && !take_line(r, start, err))
			return false;
		r->skipping = false;
		left -= (size_t)(end + 1 - start);
		start = end + 1;
	}
	if (left > RECORD_MAX) {
		r->skipping = true;
		left = 0;
	}
	memmove(r->bytes, start, left);
	r->len = left;
	return true;
}

/* The last line of a file may lack its newline. */
static bool take_rest(struct reader *r, struct ks_error *err)
{
	r->bytes[r->len] = '\0';
	return !r->len || r->skipping || take_line(r, r->bytes, err);
}

/* --- the device ----------------------------------------------------------------------------- */

static bool read_all(struct reader *r, int fd, struct ks_error *err)
{
	for (size_t reads = 0; reads < READS_MAX; reads++) {
		size_t room = r->len < sizeof(r->bytes) ? sizeof(r->bytes) - 1 - r->len : 0;
		ssize_t n = read(fd, r->bytes + r->len, room);

		if (n == 0 || (n < 0 && errno == EAGAIN))
			return take_rest(r, err);
		if (n < 0 && errno == EPIPE)
			r->log->lost = true;
		else if (n < 0 && errno != EINTR)
			return ks_fail_errno(err, "read");
		if (n < 0)
			continue;
		r->len += (size_t)n;
		if (!take_lines(r, err))
			return false;
	}
	return ks_fail(err, KS_ERR_INPUT, "it does not end");
}

/* A container may have anything in its place: a terminal, a pipe, nothing. */
static bool require_log(const struct ks_place *place, struct ks_error *err)
{
	struct stat st;

	if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW))
		return ks_fail_errno(err, "open");
	if (S_ISREG(st.st_mode) ||
	    (S_ISCHR(st.st_mode) && st.st_rdev == makedev(MEMORY_MAJOR, KMSG_MINOR)))
		return true;
	return ks_fail(err, KS_ERR_INPUT, "not the kernel's log");
}

static bool read_log(struct reader *r, const char *live, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_FD fd = -1;

	return ks_place_find(&place, live, KMSG, err) && require_log(&place, err) &&
	       ks_place_open(&place, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) &&
	       read_all(r, fd, err);
}

bool ks_kernellog_read(const char *live, size_t most, struct ks_kernellog *log,
		       struct ks_error *err)
{
	struct reader r = { .log = log, .most = most };

	*log = (struct ks_kernellog){ 0 };
	if (read_log(&r, live, err))
		return true;
	if (err->sys != ENOMEM) {
		ks_at(err, KMSG);
		if (ks_string_copy(&log->unread, err->text, err))
			return true;
	}
	ks_kernellog_free(log);
	return false;
}

void ks_kernellog_free(struct ks_kernellog *log)
{
	for (size_t i = 0; i < log->count; i++)
		free_line(&log->line[i]);
	free(log->line);
	free(log->unread);
	*log = (struct ks_kernellog){ 0 };
}
