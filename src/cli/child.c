/* SPDX-License-Identifier: MIT */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/place.h"

enum { NOT_STARTED = 127, SIGNALLED = 128 };

static void stop_ignoring(void)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_DFL);
}

/* In the child: never returns.  REPORT is closed by a program that starts, and else gets errno. */
static void become(const char *root, const char *path, const char *const *argv, int report)
{
	stop_ignoring();
	if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
	    (!root || (chroot(root) == 0 && chdir("/") == 0)))
		execv(path, (char *const *)argv);
	while (write(report, &errno, sizeof(errno)) < 0 && errno == EINTR)
		;
	_exit(NOT_STARTED);
}

static bool wait_for(pid_t pid, int *status, struct ks_error *err)
{
	int how;

	while (waitpid(pid, &how, 0) < 0)
		if (errno != EINTR)
			return ks_fail_errno(err, "waitpid");
	*status = WIFSIGNALED(how) ? SIGNALLED + WTERMSIG(how) : WEXITSTATUS(how);
	return true;
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

bool child_run(const char *root, const char *path, const char *const *argv, int *status,
	       struct ks_error *err)
{
	KS_FD from = -1;
	KS_FD to = -1;
	int ends[2], fault;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return ks_fail_errno(err, "pipe");
	from = ends[0];
	to = ends[1];
	pid = fork();
	if (pid < 0)
		return ks_fail_errno(err, "fork");
	if (pid == 0)
		become(root, path, argv, to);
	ks_fd_close(&to);
	fault = read_fault(from);
	if (!wait_for(pid, status, err))
		return false;
	if (!fault)
		return true;
	errno = fault;
	return ks_fail_errno_at(err, path, "cannot be started");
}
