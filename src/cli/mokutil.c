/* SPDX-License-Identifier: MIT */
#include "cli/mokutil.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/place.h"
#include "cli/report.h"

extern char **environ;

enum {
	LINES = 16, /* that are kept of what it said */
	LINE = 512, /* bytes of one */
	NAME = 32,  /* bytes of "/proc/self/fd/7" */
};

/* On the PATH, but for what is relative there: no place to run a program from as root. */
static bool find(char path[PATH_MAX])
{
	const char *entry = getenv("PATH");

	for (size_t len; entry && *entry; entry += len + (entry[len] == ':')) {
		int n;

		len = strcspn(entry, ":");
		n = snprintf(path, PATH_MAX, "%.*s/mokutil", (int)len, entry);
		if (*entry == '/' && n > 0 && n < PATH_MAX && access(path, X_OK) == 0)
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

/* What the keyboard sends is for the child, which may have the terminal's echo off, and for us later. */
struct calm {
	struct sigaction interrupt, quit;
	struct termios terminal;
	bool is_terminal;
};

static void keep_calm(struct calm *calm)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &ignore, &calm->interrupt);
	sigaction(SIGQUIT, &ignore, &calm->quit);
	calm->is_terminal = tcgetattr(STDIN_FILENO, &calm->terminal) == 0;
}

static void end_calm(const struct calm *calm)
{
	if (calm->is_terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &calm->terminal);
	sigaction(SIGINT, &calm->interrupt, NULL);
	sigaction(SIGQUIT, &calm->quit, NULL);
}

/* Standard output is for results, of which it has none; LISTENER is where its errors go. */
static int spawn(const char *path, char **argv, const struct calm *calm, int listener, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t normal;
	int fault;

	sigemptyset(&normal);
	if (calm->interrupt.sa_handler != SIG_IGN)
		sigaddset(&normal, SIGINT);
	if (calm->quit.sa_handler != SIG_IGN)
		sigaddset(&normal, SIGQUIT);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &normal);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	fault = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	if (!fault)
		fault = posix_spawn_file_actions_adddup2(&actions, listener, STDERR_FILENO);
	if (!fault)
		fault = posix_spawn(pid, path, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return fault;
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

static bool hear(int fd, struct ks_strings *said, struct ks_error *err)
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

static bool run(const char *path, char **argv, struct mokutil_end *end, struct ks_error *err)
{
	int ends[2];
	KS_FD mouth = -1;
	KS_FD ear = -1;
	struct calm calm;
	bool ok = true;
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC))
		return ks_fail_errno(err, "pipe2");
	ear = ends[0];
	mouth = ends[1];
	keep_calm(&calm);
	errno = spawn(path, argv, &calm, mouth, &pid);
	if (errno) {
		ok = ks_fail_errno(err, "posix_spawn");
	} else {
		ks_fd_close(&mouth);
		ok = hear(ear, &end->said, err);
		while (waitpid(pid, &end->status, 0) < 0)
			if (errno != EINTR) {
				ok = ks_fail_errno(err, "waitpid");
				break;
			}
	}
	end_calm(&calm);
	return ok;
}

bool mokutil_import(const struct mokutil *m, struct mokutil_end *end, struct ks_error *err)
{
	static char program[] = "mokutil", import[] = "--import", root_pw[] = "--root-pw";
	static char hash_file[] = "--hash-file";
	char path[PATH_MAX], name[NAME];
	char *word[6] = { program, import, name };
	KS_STRING hash = NULL;
	KS_FD fd = -1;
	size_t words = 3;

	if (!find(path))
		return ks_fail(err, KS_ERR_MISSING, "there is no mokutil on the PATH");
	if (m->hash_file && !ks_string_copy(&hash, m->hash_file, err))
		return false;
	if (m->root_pw)
		word[words++] = root_pw;
	if (hash) {
		word[words++] = hash_file;
		word[words++] = hash;
	}
	return put_cert(m->cert, &fd, name, err) && set_directory(m->efivars, err) &&
	       (run(path, word, end, err) || ks_at(err, path));
}

bool mokutil_end_name(const struct mokutil_end *end, char **text, struct ks_error *err)
{
	if (WIFSIGNALED(end->status))
		return ks_string_print(text, err, "signal %d (%s)", WTERMSIG(end->status),
				       strsignal(WTERMSIG(end->status)));
	if (WEXITSTATUS(end->status))
		return ks_string_print(text, err, "exit status %d", WEXITSTATUS(end->status));
	return ks_string_copy(text, "", err);
}

void mokutil_end_free(struct mokutil_end *end)
{
	ks_strings_free(&end->said);
}
