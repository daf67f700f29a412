/* SPDX-License-Identifier: MIT */
/* What a confined thread may open and what not; each in a process of its own, since it is for ever. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "core/confine.h"
#include "fixture.h"

static struct ks_confine_means means;

/* Whether this kernel (or valgrind, which stands between) has it at all; else there is nothing to test. */
static bool has_landlock(void)
{
	struct ks_confine *confine;

	if (ks_confine_start(&confine, false, &means, &error)) {
		ks_confine_free(confine);
		return true;
	}
	assert_int_equal(error.code, KS_ERR_UNSUPPORTED);
	print_message("# no Landlock here\n");
	return false;
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/*
 * What ACT gives in a process that may read files in "in", and replace them if REPLACES; and where
 * there is a directory OUT, read files there, and write them if WRITES.
 */
static int confined_to(bool replaces, const char *out, bool writes, int (*act)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		struct ks_confine *confine;
		int dir = out ? open(out, O_PATH | O_DIRECTORY) : -1;
		bool led;

		if (!ks_confine_start(&confine, replaces, &means, &error) ||
		    !ks_confine_allow(confine, NULL, in_scratch("in/x.ko"), &led, &error) ||
		    (out && !ks_confine_allow_dir(confine, dir, writes, &error)) ||
		    !ks_confine_enter(confine))
			_exit(200);
		ks_confine_free(confine);
		_exit(act());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int confined(bool writes, int (*act)(void))
{
	return confined_to(writes, NULL, false, act);
}

/* With "in" to be replaced, and "out". */
static int confined_to_two(bool writes, int (*act)(void))
{
	return confined_to(true, in_scratch("out"), writes, act);
}

static int read_inside(void)
{
	return open_errno(in_scratch("in/x.ko"), O_RDONLY);
}

static int read_below(void)
{
	return open_errno(in_scratch("in/below/y.ko"), O_RDONLY);
}

static int read_outside(void)
{
	return open_errno(in_scratch("out/x.ko"), O_RDONLY);
}

static int read_passwords(void)
{
	return open_errno("/etc/passwd", O_RDONLY);
}

static int write_inside(void)
{
	return open_errno(in_scratch("in/x.ko"), O_WRONLY);
}

static int make_inside(void)
{
	return open_errno(in_scratch("in/new"), O_WRONLY | O_CREAT);
}

static int make_outside(void)
{
	return open_errno(in_scratch("out/new"), O_WRONLY | O_CREAT);
}

static int remove_outside(void)
{
	return unlink(in_scratch("out/x.ko")) ? errno : 0;
}

static int run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

static int replace_inside(void)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_BUF old = { 0 };
	struct stat st;

	return ks_place_find(&place, NULL, in_scratch("in/x.ko"), &error) &&
			       ks_file_read(&place, 100, &old, &st, &error) &&
			       ks_file_replace(&place, &st, text_view("new"), NULL, &error) ?
		       0 :
		       100;
}

static int connection = -1;

static int connect_somewhere(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(1) };

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(connection, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int make_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) ? errno : 0;
}

static int change_root(void)
{
	return chroot("/") ? errno : 0;
}

/* Of this thread alone: glibc does not let threads differ, and a sanitizer may have one. */
static int become_root(void)
{
	return syscall(SYS_setuid, 0) ? errno : 0;
}

/* The calls of i386, whose numbers are others. */
static int call_otherwise(void)
{
#ifdef __x86_64__
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory"); /* getpid */
	return ret < 0 ? (int)-ret : 0;
#else
	return EPERM;
#endif
}

/* Nothing that one thread needs: memory, time, random bytes, signals to itself. */
static int go_on(void)
{
	void *memory = malloc(64 << 20);
	uint8_t bytes[16];

	if (!memory || getentropy(bytes, sizeof(bytes)) || !time(NULL))
		return 100;
	memset(memory, 1, 64 << 20);
	free(memory);
	return raise(SIGCONT);
}

static void make_files(void)
{
	write_text(in_scratch("in/x.ko"), "old");
	write_text(in_scratch("in/below/y.ko"), "old");
	write_text(in_scratch("out/x.ko"), "old");
}

static void reading(void **state)
{
	(void)state;
	if (!has_landlock())
		return;
	make_files();
	assert_int_equal(confined(false, read_inside), 0);
	assert_int_equal(confined(false, read_below), 0);
	assert_int_equal(confined(false, read_outside), EACCES);
	assert_int_equal(confined(false, read_passwords), EACCES);
	assert_int_equal(confined(false, run_a_program), means.seccomp ? EPERM : EACCES);
	assert_int_equal(confined(false, write_inside), EACCES);
	assert_int_equal(confined(false, make_inside), EACCES);
	assert_int_equal(confined(false, remove_outside), EACCES);
}

static void another_directory(void **state)
{
	(void)state;
	if (!has_landlock())
		return;
	write_text(in_scratch("in/x.ko"), "old");
	write_text(in_scratch("out/x.ko"), "old");
	assert_int_equal(confined_to_two(false, read_outside), 0);
	assert_int_equal(confined_to_two(false, make_outside), EACCES);
	assert_int_equal(confined_to_two(true, make_outside), 0);
	assert_int_equal(confined_to_two(false, read_inside), 0);
}

static void writing(void **state)
{
	(void)state;
	if (!has_landlock())
		return;
	make_files();
	assert_int_equal(confined(true, read_inside), 0);
	assert_int_equal(confined(true, replace_inside), 0);
	assert_content(in_scratch("in/x.ko"), text_view("new"));
	assert_int_equal(count_entries(in_scratch("in")), 2);
	assert_int_equal(confined(true, make_outside), EACCES);
	assert_int_equal(confined(true, remove_outside), EACCES);
	assert_int_equal(confined(true, run_a_program), means.seccomp ? EPERM : EACCES);
	assert_content(in_scratch("out/x.ko"), text_view("old"));
}

static void no_network(void **state)
{
	(void)state;
	if (!has_landlock())
		return;
	if (means.landlock < 4)
		return;
	make_files();
	connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(connection >= 0);
	assert_int_equal(confined(true, connect_somewhere), EACCES);
	close(connection);
}

static void calls_that_no_work_needs(void **state)
{
	int (*const acts[])(void) = { make_socket, make_process, trace_parent,
				      change_root, become_root,	 call_otherwise };

	(void)state;
	if (!has_landlock() || !means.seccomp)
		return;
	make_files();
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		assert_int_equal(confined(true, acts[i]), EPERM);
	assert_int_equal(confined(true, go_on), 0);
}

/* A path that leads nowhere is the work's to complain of. */
static void nowhere(void **state)
{
	struct ks_confine *confine;
	bool led;

	(void)state;
	if (!has_landlock())
		return;
	assert_ok(ks_confine_start(&confine, true, &means, &error));
	assert_ok(ks_confine_allow(confine, NULL, in_scratch("not/there/x.ko"), &led, &error));
	assert_false(led);
	assert_ok(ks_confine_allow(confine, NULL, in_scratch("there.ko"), &led, &error));
	assert_true(led);
	ks_confine_free(confine);
	ks_confine_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(reading),	  scratch_test(writing),
		scratch_test(no_network), scratch_test(calls_that_no_work_needs),
		scratch_test(nowhere),	  scratch_test(another_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
