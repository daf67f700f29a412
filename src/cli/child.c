/* SPDX-License-Identifier: MIT */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/place.h"
#include "base/strings.h"

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
	calm->is_terminal = tcgetattr(STDIN_FILENO, &calm->terminal) == 0;
}

static void end_calm(const struct calm *calm)
{
	if (calm->is_terminal)
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

/* In the child: never returns.  REPORT is closed by a program that starts, and else gets errno. */
static void become(const struct child *child, const struct calm *calm, int errors, int report)
{
	sigaction(SIGINT, &calm->interrupt, NULL);
	sigaction(SIGQUIT, &calm->quit, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
	    (errors < 0 || dup2(errors, STDERR_FILENO) >= 0) &&
	    (!child->root || (chroot(child->root) == 0 && chdir("/") == 0)))
		execv(child->path, (char *const *)child->argv);
	while (write(report, &errno, sizeof(errno)) < 0 && errno == EINTR)
		;
	_exit(NOT_STARTED);
}

/* What kept it from starting; 0 where it did. */
static int read_fault(int fd)
{
	int fault = 0;
	ssize_t got;

	do
		got = read(fd, &fault, sizeof(fault));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(fault) ? fault : 0;
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
	bool ok = true;
	int fault;
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
	if (!fault && child->hear)
		ok = child->hear(child->ctx, errors.from, err);
	ks_fd_close(&errors.from);
	if (!wait_for(pid, status, ok ? err : &ignored) || !ok)
		return false;
	errno = fault;
	return !fault || ks_fail_errno(err, "cannot be started");
}

bool child_run(const struct child *child, int *status, struct ks_error *err)
{
	struct calm calm;
	bool ok;

	keep_calm(&calm);
	ok = run(child, &calm, status, err);
	end_calm(&calm);
	return ok || ks_at(err, child->path);
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
