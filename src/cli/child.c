/* SPDX-License-Identifier: MIT */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/place.h"
#include "base/strings.h"
#include "core/token.h"

enum { NOT_STARTED = 127 };

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
	/* One in the background that touches the terminal is stopped for that. */
	calm->is_terminal = tcgetpgrp(STDIN_FILENO) == getpgrp() &&
			    tcgetattr(STDIN_FILENO, &calm->terminal) == 0;
}

static void end_calm(const struct calm *calm)
{
	if (calm->is_terminal && tcgetpgrp(STDIN_FILENO) == getpgrp())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &calm->terminal);
	sigaction(SIGINT, &calm->interrupt, NULL);
	sigaction(SIGQUIT, &calm->quit, NULL);
}

/* A pipe whose ends are closed when the scope ends, and by whatever program starts. */
struct tube {
	int from, to;
};

static void close_tube(struct tube *t)
{
	ks_fd_close(&t->from);
	ks_fd_close(&t->to);
}

#define TUBE __attribute__((cleanup(close_tube))) struct tube

static bool open_tube(struct tube *t, struct ks_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return ks_fail_errno(err, "pipe");
	*t = (struct tube){ ends[0], ends[1] };
	return true;
}

/* What kept it from starting. */
struct fault {
	int number; /* errno; 0 where it did start */
	bool in_root;
};

static bool set_streams(const struct child *child, int errors)
{
	int nothing = child->asks ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);

	return (child->asks || (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0)) &&
	       dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
	       (errors < 0 || dup2(errors, STDERR_FILENO) >= 0);
}

static bool has_pin(const char *name)
{
	KS_STRING shown = NULL;
	struct ks_error ignored;

	return !ks_token_redact(name, &shown, &ignored) || strcmp(shown, name) != 0;
}

/* Whoever runs that program, or can look at it, is not told the PIN that a key's URI may have in it. */
static void drop_pins(void)
{
	static const char *const names[] = { "KERNEL_SIGN_KEY", "KERNEL_SIGN_CERT" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);

		if (value && has_pin(value))
			unsetenv(names[i]);
	}
}

/* In the child: never returns.  REPORT is closed by a program that starts, and else gets the fault. */
static void become(const struct child *child, const struct calm *calm, int errors, int report)
{
	struct fault fault = { .in_root = false };

	if (child->asks) {
		sigaction(SIGINT, &calm->interrupt, NULL);
		sigaction(SIGQUIT, &calm->quit, NULL);
	}
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	drop_pins();
	if (set_streams(child, errors)) {
		fault.in_root = child->root && (chroot(child->root) || chdir("/"));
		if (!fault.in_root)
			execv(child->path, (char *const *)child->argv);
	}
	fault.number = errno;
	while (write(report, &fault, sizeof(fault)) < 0 && errno == EINTR)
		;
	_exit(NOT_STARTED);
}

static struct fault read_fault(int fd)
{
	struct fault fault;
	ssize_t got;

	do
		got = read(fd, &fault, sizeof(fault));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(fault) ? fault : (struct fault){ .number = 0 };
}

static bool wait_for(pid_t pid, int *status, struct ks_error *err)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return ks_fail_errno(err, "waitpid");
	return true;
}

static bool run(const struct child *child, const struct calm *calm, int *status,
		struct ks_error *err)
{
	TUBE errors = { -1, -1 };
	TUBE report = { -1, -1 };
	struct ks_error ignored;
	struct fault fault;
	bool ok = true;
	pid_t pid;

	if (!open_tube(&report, err) || (child->hear && !open_tube(&errors, err)))
		return false;
	pid = fork();
	if (pid < 0)
		return ks_fail_errno(err, "fork");
	if (pid == 0)
		become(child, calm, errors.to, report.to);
	ks_fd_close(&report.to);
	ks_fd_close(&errors.to);
	fault = read_fault(report.from);
	if (!fault.number && child->hear)
		ok = child->hear(child->ctx, errors.from, err);
	ks_fd_close(&errors.from);
	if (!wait_for(pid, status, ok ? err : &ignored) || !ok)
		return false;
	errno = fault.number;
	return !fault.number ||
	       (fault.in_root ? ks_fail_errno_at(err, child->root, "chroot") :
				ks_fail_errno_at(err, child->path, "cannot be started"));
}

bool child_run(const struct child *child, int *status, struct ks_error *err)
{
	struct calm calm = { .is_terminal = false };
	bool ok;

	if (child->asks)
		keep_calm(&calm);
	ok = run(child, &calm, status, err);
	if (child->asks)
		end_calm(&calm);
	return ok;
}

bool child_end_name(int status, char **text, struct ks_error *err)
{
	if (WIFSIGNALED(status))
		return ks_string_print(text, err, "signal %d (%s)", WTERMSIG(status),
				       strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		return ks_string_print(text, err, "exit status %d", WEXITSTATUS(status));
	return ks_string_copy(text, "", err);
}
