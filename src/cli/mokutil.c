/* SPDX-License-Identifier: MIT */
#include "cli/mokutil.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/place.h"
#include "cli/child.h"
#include "cli/report.h"

enum {
	LINES = 16, /* that are kept of what it said */
	LINE = 512, /* bytes of one */
	NAME = 32,  /* bytes of "/proc/self/fd/7" */
};

/* On the PATH, but for what is relative there: no place to run a program from as root. */
static bool find(char path[PATH_MAX])
{
	const char *entry = getenv("PATH");
	struct stat st;

	for (size_t len; entry && *entry; entry += len + (entry[len] == ':')) {
		int n;

		len = strcspn(entry, ":");
		n = snprintf(path, PATH_MAX, "%.*s/mokutil", (int)len, entry);
		if (*entry == '/' && n > 0 && n < PATH_MAX && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

bool mokutil_is_there(void)
{
	char path[PATH_MAX];

	return find(path);
}

/* The certificate as a file that only this process and its child see, under NAME. */
static bool put_cert(struct ks_view cert, int *fd, char name[NAME], struct ks_error *err)
{
	*fd = memfd_create("certificate", 0);
	if (*fd < 0)
		return ks_fail_errno(err, "memfd_create");
	for (size_t done = 0; done < cert.len;) {
		ssize_t n = write(*fd, cert.data + done, cert.len - done);

		if (n < 0)
			return ks_fail_errno(err, "write");
		done += (size_t)n;
	}
	snprintf(name, NAME, "/proc/self/fd/%d", *fd);
	return true;
}

/* libefivar takes the directory from there, with a slash at its end. */
static bool set_directory(const char *efivars, struct ks_error *err)
{
	KS_STRING dir = NULL;

	if (!efivars)
		return unsetenv("EFIVARFS_PATH") == 0 || ks_fail_errno(err, "unsetenv");
	return ks_string_print(&dir, err, "%s/", efivars) &&
	       (setenv("EFIVARFS_PATH", dir, 1) == 0 || ks_fail_errno(err, "setenv"));
}

/* Whoever types has to see at once that the password was too short, or not the same twice. */
static bool hear_line(const char *line, struct ks_strings *said, struct ks_error *err)
{
	if (strncmp(line, "password ", strlen("password ")) == 0)
		report_warning("mokutil: %s", line);
	else if (line[0] && said->count < LINES)
		return ks_strings_add(said, line, err);
	return true;
}

static bool hear(void *said, int fd, struct ks_error *err)
{
	char line[LINE];
	size_t len = 0;
	ssize_t n;
	char c;

	while ((n = read(fd, &c, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n == 1 && c && c != '\n' && len < LINE - 1)
			line[len++] = c;
		if (n != 1 || c != '\n')
			continue;
		line[len] = '\0';
		len = 0;
		if (!hear_line(line, said, err))
			return false;
	}
	line[len] = '\0';
	return hear_line(line, said, err);
}

bool mokutil_import(const struct mokutil *m, struct mokutil_end *end, struct ks_error *err)
{
	char path[PATH_MAX], name[NAME];
	const char *word[6] = { "mokutil", "--import", name };
	struct child child = {
		.path = path, .argv = word, .asks = true, .hear = hear, .ctx = &end->said
	};
	KS_FD fd = -1;
	size_t words = 3;

	if (!find(path))
		return ks_fail(err, KS_ERR_MISSING, "there is no mokutil on the PATH");
	if (m->root_pw)
		word[words++] = "--root-pw";
	if (m->hash_file) {
		word[words++] = "--hash-file";
		word[words++] = m->hash_file;
	}
	return put_cert(m->cert, &fd, name, err) && set_directory(m->efivars, err) &&
	       child_run(&child, &end->status, err);
}

void mokutil_end_free(struct mokutil_end *end)
{
	ks_strings_free(&end->said);
}
