/* SPDX-License-Identifier: MIT */
#include "cli/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "cli/report.h"
#include "cli/tty.h"
#include "core/secret.h"
#include "core/token.h"

#define VARIABLE "KBUILD_SIGN_PIN"
#define CREDENTIAL "kernel-sign.pin"

enum { LIMIT = 4096 }; /* bytes; OpenSSL takes 1024 */

static struct {
	const char *file; /* of --pin-file */
	int fd;		  /* of --pin-fd, or -1 */
	bool options;	  /* there are such options */
	bool alone;	  /* nobody is to be asked */
	char *variable;	  /* of KBUILD_SIGN_PIN */

	char *text; /* once it is known */
	char *source;
} pin = { .fd = -1 };

void pin_take(void)
{
	char *value = getenv(VARIABLE);
	struct ks_error ignored;

	if (!value)
		return;
	(void)!ks_passphrase_keep(value, strlen(value), &pin.variable, &ignored);
	explicit_bzero(value, strlen(value));
	unsetenv(VARIABLE);
}

static bool is_number(const char *text)
{
	return text[0] && strlen(text) < 6 && strspn(text, "0123456789") == strlen(text);
}

/* Out of the way of those that are opened from now on, and of children. */
static bool use_fd(const char *text)
{
	int number = is_number(text) ? (int)strtol(text, NULL, 10) : -1;

	pin.fd = number < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (pin.fd < 0) {
		report_warning("--pin-fd: '%s' is no open file descriptor", text);
		return false;
	}
	if (number > STDERR_FILENO)
		close(number);
	return true;
}

bool pin_use(const char *file, const char *fd)
{
	pin.options = true;
	pin.file = file;
	if (file && fd) {
		report_warning("--pin-file and --pin-fd cannot be combined");
		return false;
	}
	return !fd || use_fd(fd);
}

void pin_ask_nobody(void)
{
	pin.alone = true;
}

static bool take_line(const struct ks_buf *bytes, const char *source, struct ks_error *err)
{
	return ks_passphrase_line(bytes, source, &pin.text, err) &&
	       ks_string_copy(&pin.source, source, err);
}

static void warn_mode(const char *path, const struct stat *st)
{
	if (st->st_mode & 077)
		report_warning(
			"warning: %s: the passphrase is open to others (mode %04o; chmod 600 "
			"it)",
			path, (unsigned int)st->st_mode & 07777);
}

static bool read_file(const char *path, struct ks_error *err)
{
	KS_BUF bytes = { 0 };
	struct stat st;

	if (!ks_file_read_path(NULL, path, LIMIT, &bytes, &st, err)) {
		if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
			ks_fail(err, KS_ERR_INPUT, "a pipe, which --pin-fd takes");
		return ks_at(err, path);
	}
	warn_mode(path, &st);
	/* A token would take it for a PIN that is wrong. */
	if (!bytes.len)
		return ks_fail(err, KS_ERR_INPUT, "%s: empty", path);
	return take_line(&bytes, path, err);
}

/* Up to the end or a newline: at a terminal or a pipe that stays open the line is all there is. */
static bool read_fd(struct ks_error *err)
{
	KS_BUF bytes = { 0 };
	ssize_t got = 1;

	if (!ks_buf_reserve(&bytes, LIMIT, err))
		return false;
	while (bytes.len < LIMIT && !memchr(bytes.data, '\n', bytes.len)) {
		got = read(pin.fd, bytes.data + bytes.len, LIMIT - bytes.len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		bytes.len += (size_t)got;
	}
	if (got < 0)
		return ks_fail_errno_at(err, "--pin-fd", "read");
	if (bytes.len == LIMIT)
		return ks_fail(err, KS_ERR_INPUT, "--pin-fd: too large");
	if (!bytes.len)
		return ks_fail(err, KS_ERR_INPUT, "--pin-fd: empty");
	return take_line(&bytes, "--pin-fd", err);
}

/* Nothing, and no error, where systemd gives this service none of that name. */
static bool read_credential(struct ks_error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	KS_STRING path = NULL;

	if (!dir || !dir[0])
		return true;
	if (!ks_string_print(&path, err, "%s/" CREDENTIAL, dir))
		return false;
	return !ks_place_exists(NULL, path) || read_file(path, err);
}

static bool refuse(struct ks_error *err)
{
	if (pin.alone)
		return ks_fail(err, KS_ERR_KEY,
			       "its passphrase or PIN is taken from " VARIABLE
			       " or the credential " CREDENTIAL);
	return ks_fail(err, KS_ERR_KEY,
		       "its passphrase or PIN is taken from %s" VARIABLE
		       ", the credential " CREDENTIAL " or a terminal",
		       pin.options ? "--pin-file, --pin-fd, " : "");
}

static bool ask(const char *key, struct ks_error *err)
{
	KS_STRING question = NULL;
	KS_BUF answer = { 0 };

	if (!ks_string_print(&question, err,
			     "%s of %s: ", ks_token_is_uri(key) ? "PIN" : "Passphrase", key))
		return false;
	if (tty_ask(question, LIMIT, &answer, err))
		return take_line(&answer, "the terminal", err);
	return err->code != KS_ERR_MISSING ? false : refuse(err);
}

/* An empty variable is as good as none. */
static bool find(const char *key, struct ks_error *err)
{
	if (pin.file)
		return read_file(pin.file, err);
	if (pin.fd >= 0)
		return read_fd(err);
	if (pin.variable && pin.variable[0]) {
		pin.text = pin.variable;
		pin.variable = NULL;
		return ks_string_copy(&pin.source, VARIABLE, err);
	}
	if (!read_credential(err))
		return false;
	if (pin.text)
		return true;
	return pin.alone ? refuse(err) : ask(key, err);
}

static bool get(void *ctx, const char **text, const char **source, struct ks_error *err)
{
	ks_secret_hold();
	if (!pin.source && !find(ctx, err))
		return false;
	*text = pin.text;
	*source = pin.source;
	return true;
}

struct ks_passphrase pin_for(const char *key)
{
	return (struct ks_passphrase){ .get = get, .ctx = (char *)key };
}

void pin_wipe(void)
{
	ks_passphrase_free(&pin.text);
	ks_passphrase_free(&pin.variable);
	ks_string_free(&pin.source);
	if (pin.fd >= 0)
		close(pin.fd);
	pin.fd = -1;
}
