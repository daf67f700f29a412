/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into kernel-sign by tests/fault: runs its main() again and again, each time in a fork,
 * counts every system call and every allocation from main() on, and lets one of them fail, stop
 * short, or be the last.  System calls come here as SIGSYS by a seccomp filter (seccomp(2),
 * SECCOMP_RET_TRAP), so those are counted that libc and libcrypto make for themselves too; only
 * what stands in untouched[] is not.  x86-64 alone.
 *
 * KS_FAULT=REQUEST,ANSWER,OUT,ERR,LOG are descriptors.  A request is a line of numbers, see struct
 * plan; the answer is "wait-status calls allocations hit".  With KS_FAULT_MODES=NUMBER instead the
 * program runs once, under these modes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Seconds until a run counts as hanging, and until it is ended though it lets no signal through. */
enum { PATIENCE = 10, LAST_PATIENCE = 15 };

enum action { NONE, FAIL, SHORT, KILL, SHORT_KILL, FAIL_ALL };

enum mode {
	RECORD = 1 << 0,     /* every call goes into the log */
	NO_TMPFILE = 1 << 1, /* a file system without O_TMPFILE */
	/* What the judges have to find: */
	NO_FILE_SYNC = 1 << 2, /* fsync of a file does nothing */
	NO_DIR_SYNC = 1 << 3,  /* fsync of a directory does nothing */
	KEEP_TEMP = 1 << 4,    /* unlink of a temporary file does nothing */
	TORN_RENAME = 1 << 5,  /* a kill at a rename finds the old name gone */
	LIE = 1 << 6,	       /* the exit status is always 0 */
	MUTE = 1 << 7,	       /* nothing reaches standard error */
	SWALLOW = 1 << 8,      /* half of what is written to a module is lost, and nobody told */
	CRASH = 1 << 9,	       /* a failing allocation is a crash */
	HANG = 1 << 10,	       /* a failing allocation is never over, and no signal ends it */
};

struct plan {
	long nr;   /* the system call that ACTION is for */
	long call; /* the number of it among those of that kind, from 1 */
	long action;
	long error;
	long allocation; /* the number of the allocation that fails, from 1; 0 for none */
	long all;	 /* and all after it */
	long modes;
};

enum { KINDS = 512 };

struct count {
	atomic_long calls, allocations, hit;
	atomic_long of[KINDS]; /* system calls, by number */
};

static struct plan plan;
static struct count *count; /* shared with the server */
static int log_fd = -1;
static bool armed;
static atomic_flag busy = ATOMIC_FLAG_INIT; /* with the log: threads may be at it */

/*
 * Calls that split the process, or end the handler itself, and cannot be made from within it; and
 * those of waiting for another thread, whose number is never the same.
 */
static const unsigned untouched[] = { SYS_rt_sigreturn, SYS_clone,  SYS_clone3, SYS_fork,
				      SYS_vfork,	SYS_execve, SYS_futex,	SYS_sched_yield };

/* The only place whose system calls pass the filter. */
long raw_call(long nr, long a, long b, long c, long d, long e, long f);
extern const char raw_call_end[];
__asm__(".text\n"
	".globl raw_call\n.hidden raw_call\n.type raw_call, @function\n"
	".globl raw_call_end\n.hidden raw_call_end\n"
	"raw_call:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	mov 8(%rsp), %r9\n"
	"	syscall\n"
	"raw_call_end:\n"
	"	ret\n"
	".size raw_call, . - raw_call\n");

/* The log */

struct names {
	int first, second; /* which arguments are paths; -1 for none */
	bool at;	   /* with a directory's descriptor before them */
};

static struct names names_of(long nr)
{
	switch (nr) {
	case SYS_open:
	case SYS_mkdir:
	case SYS_unlink:
	case SYS_rmdir:
	case SYS_access:
	case SYS_readlink:
	case SYS_stat:
	case SYS_lstat:
	case SYS_chmod:
		return (struct names){ 0, -1, false };
	case SYS_rename:
	case SYS_link:
	case SYS_symlink:
		return (struct names){ 0, 1, false };
	case SYS_openat:
	case SYS_mkdirat:
	case SYS_unlinkat:
	case SYS_faccessat:
	case SYS_faccessat2:
	case SYS_readlinkat:
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_fchmodat:
		return (struct names){ 1, -1, true };
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_linkat:
		return (struct names){ 1, 3, true };
	case SYS_symlinkat:
		return (struct names){ 0, 2, true };
	default:
		return (struct names){ -1, -1, false };
	}
}

static bool takes_descriptor(long nr)
{
	return nr == SYS_write || nr == SYS_pwrite64 || nr == SYS_writev || nr == SYS_fsync ||
	       nr == SYS_fdatasync || nr == SYS_ftruncate || nr == SYS_fchmod || nr == SYS_fchown ||
	       nr == SYS_fsetxattr || nr == SYS_fremovexattr || nr == SYS_fallocate;
}

static unsigned long inode_of(int fd)
{
	struct stat st;

	return raw_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) ? 0 : st.st_ino;
}

/* PATH as seen from the directory DIR, without a look at what it leads to. */
static void whole_path(long dir, const char *path, char *whole)
{
	char self[40];
	long len = 0;

	whole[0] = '\0';
	if (path && path[0] != '/') {
		if ((int)dir == AT_FDCWD)
			strcpy(self, "/proc/self/cwd");
		else
			snprintf(self, sizeof(self), "/proc/self/fd/%d", (int)dir);
		len = raw_call(SYS_readlink, (long)self, (long)whole, PATH_MAX, 0, 0, 0);
		len = len < 0 ? 0 : len;
		whole[len++] = '/';
	}
	snprintf(whole + len, PATH_MAX, "%s", path ? path : "");
}

static unsigned long inode_in_question(long nr, const long *arg, long result)
{
	struct stat st;

	if ((nr == SYS_open || nr == SYS_openat) && result >= 0)
		return inode_of((int)result);
	if (nr == SYS_linkat &&
	    raw_call(SYS_newfstatat, arg[0], arg[1], (long)&st,
		     (arg[4] & AT_SYMLINK_FOLLOW) ? 0 : AT_SYMLINK_NOFOLLOW, 0, 0) == 0)
		return st.st_ino;
	return takes_descriptor(nr) ? inode_of((int)arg[0]) : 0;
}

/*
 * A line "count call result args... inode TAB path TAB path", behind a write what was written, and
 * behind fsetxattr the value.
 */
static void record(long call, long nr, const long *arg, long result)
{
	static char line[3 * PATH_MAX], first[2 * PATH_MAX], second[2 * PATH_MAX];
	struct names n = names_of(nr);
	long len;

	first[0] = second[0] = '\0';
	if (nr == SYS_symlinkat || nr == SYS_symlink)
		snprintf(first, sizeof(first), "%s", (const char *)arg[0]);
	else if (nr == SYS_fsetxattr || nr == SYS_fremovexattr)
		snprintf(first, sizeof(first), "%s", (const char *)arg[1]);
	else if (n.first >= 0)
		whole_path(n.at ? arg[n.first - 1] : AT_FDCWD, (const char *)arg[n.first], first);
	if (n.second >= 0)
		whole_path(n.at ? arg[n.second - 1] : AT_FDCWD, (const char *)arg[n.second],
			   second);
	len = snprintf(line, sizeof(line), "%ld %ld %ld %ld %ld %ld %ld %lu\t%s\t%s\n", call, nr,
		       result, arg[0] & 0xffffffff, arg[1], arg[2], arg[3],
		       inode_in_question(nr, arg, result), first, second);
	raw_call(SYS_write, log_fd, (long)line, len, 0, 0, 0);
	if ((nr == SYS_write || nr == SYS_pwrite64) && result > 0)
		raw_call(SYS_write, log_fd, arg[1], result, 0, 0, 0);
	if (nr == SYS_fsetxattr && result == 0)
		raw_call(SYS_write, log_fd, arg[2], arg[3], 0, 0, 0);
}

static void record_alone(long call, long nr, const long *arg, long result)
{
	while (atomic_flag_test_and_set(&busy))
		;
	record(call, nr, arg, result);
	atomic_flag_clear(&busy);
}

/* What happens instead */

static void die(void)
{
	raw_call(SYS_kill, raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
}

static bool is_temporary(const char *path)
{
	return path && strstr(path, ".kernel-sign-");
}

static bool is_file(int fd, bool directory)
{
	struct stat st;

	return raw_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) == 0 &&
	       (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

static bool is_rename(long nr)
{
	return nr == SYS_rename || nr == SYS_renameat || nr == SYS_renameat2;
}

static bool makes_file(long nr, const long *arg)
{
	return (nr == SYS_openat && (arg[2] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) ||
	       (nr == SYS_open && (arg[1] & O_CREAT));
}

/* Calls that need room or a sound disk: what FAIL_ALL is about. */
static bool changes(long nr, const long *arg)
{
	if (makes_file(nr, arg))
		return true;
	if (nr == SYS_write || nr == SYS_pwrite64 || nr == SYS_writev)
		return arg[0] > STDERR_FILENO && is_file((int)arg[0], false);
	return nr == SYS_fsync || nr == SYS_fdatasync || nr == SYS_mkdir || nr == SYS_mkdirat ||
	       nr == SYS_link || nr == SYS_linkat || nr == SYS_symlink || nr == SYS_symlinkat ||
	       is_rename(nr);
}

/* Whether a mode answers the call; then with *RESULT. */
static bool pretend(long nr, long *arg, long *result)
{
	*result = 0;
	if ((plan.modes & NO_TMPFILE) && nr == SYS_openat &&
	    (arg[2] & (O_TMPFILE & ~O_DIRECTORY))) {
		*result = -EOPNOTSUPP;
		return true;
	}
	if (nr == SYS_fsync || nr == SYS_fdatasync)
		return ((plan.modes & NO_FILE_SYNC) && is_file((int)arg[0], false)) ||
		       ((plan.modes & NO_DIR_SYNC) && is_file((int)arg[0], true));
	if (nr == SYS_unlinkat)
		return (plan.modes & KEEP_TEMP) && is_temporary((const char *)arg[1]);
	if (nr == SYS_exit_group && (plan.modes & LIE))
		arg[0] = 0;
	if (nr != SYS_write)
		return false;
	*result = arg[2];
	if ((plan.modes & SWALLOW) && arg[0] > STDERR_FILENO && is_file((int)arg[0], false)) {
		raw_call(SYS_write, arg[0], arg[1], arg[2] / 2, 0, 0, 0);
		return true;
	}
	return (plan.modes & MUTE) && arg[0] == STDERR_FILENO;
}

static long perform(long nr, long *arg)
{
	return raw_call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static long injected(long nr, long *arg)
{
	count->hit = 1;
	if (plan.action == KILL) {
		if ((plan.modes & TORN_RENAME) && is_rename(nr))
			raw_call(SYS_unlinkat, arg[2], arg[3], 0, 0, 0, 0);
		die();
	}
	if (plan.action == SHORT || plan.action == SHORT_KILL) {
		arg[2] /= 2;
		arg[2] = perform(nr, arg);
		if (plan.action == SHORT_KILL)
			die();
		return arg[2];
	}
	/* A descriptor is gone even where closing it fails (close(2)). */
	if (nr == SYS_close)
		perform(nr, arg);
	/* It says where the heap ends, not why it ends there. */
	if (nr == SYS_brk)
		return raw_call(SYS_brk, 0, 0, 0, 0, 0, 0);
	return -plan.error;
}

static bool is_meant(long call, long nr, const long *arg)
{
	static atomic_bool failing;

	if (nr == plan.nr && call == plan.call && plan.action != NONE) {
		failing = plan.action == FAIL_ALL;
		return true;
	}
	return failing && changes(nr, arg);
}

/* The handler's own frame restores the mask: what the program wants goes there, without SIGSYS. */
static long change_mask(ucontext_t *uc, const long *arg)
{
	uint64_t mask, set;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	if (arg[2])
		memcpy((void *)arg[2], &mask, sizeof(mask));
	if (!arg[1])
		return 0;
	memcpy(&set, (const void *)arg[1], sizeof(set));
	mask = arg[0] == SIG_BLOCK ? mask | set : arg[0] == SIG_UNBLOCK ? mask & ~set : set;
	mask &= ~(UINT64_C(1) << (SIGSYS - 1));
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	return 0;
}

static void on_call(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *r = uc->uc_mcontext.gregs;
	long arg[] = { r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9] };
	long nr = info->si_syscall, call, result;

	(void)number;
	if (nr == SYS_rt_sigprocmask) {
		r[REG_RAX] = change_mask(uc, arg);
		return;
	}
	count->calls++;
	call = ++count->of[nr % KINDS];
	if (is_meant(call, nr, arg)) {
		result = injected(nr, arg);
	} else if (!pretend(nr, arg, &result)) {
		result = perform(nr, arg);
		if (plan.modes & RECORD)
			record_alone(call, nr, arg, result);
	}
	r[REG_RAX] = result;
}

/* Allocations */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void hang(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	for (;;)
		sigsuspend(&all);
}

static bool fails(void)
{
	long number;

	if (!armed)
		return false;
	number = ++count->allocations;
	if (!plan.allocation || number < plan.allocation || (number > plan.allocation && !plan.all))
		return false;
	count->hit = 1;
	if (plan.modes & CRASH)
		abort();
	if (plan.modes & HANG)
		hang();
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, n * size);
}

void *memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *p = memalign(alignment, size);

	if (p)
		*out = p;
	return p ? 0 : ENOMEM;
}

/* The server */

#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))

static bool install_filter(void)
{
	enum { CALLS = sizeof(untouched) / sizeof(*untouched) };
	uint64_t end = (uint64_t)(uintptr_t)raw_call_end;
	struct sock_filter code[8 + 2 * CALLS];
	struct sock_fprog program = { .filter = code };
	unsigned n = 0;

	code[n++] = (struct sock_filter)LOAD(instruction_pointer);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)end, 0, 3);
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(end >> 32),
						 0, 1);
	code[n++] = (struct sock_filter)ALLOW;
	code[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < CALLS; i++) {
		code[n++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, untouched[i], 0, 1);
		code[n++] = (struct sock_filter)ALLOW;
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	program.len = (unsigned short)n;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static int (*real_main)(int argc, char **argv, char **envp);
static int request_fd, answer_fd, out_fd, err_fd;

/* Where it happened, for whoever reads the fault. */
static void on_crash(int number)
{
	void *place[16];
	int n = backtrace(place, sizeof(place) / sizeof(*place));

	backtrace_symbols_fd(place, n, STDERR_FILENO);
	raw_call(SYS_kill, raw_call(SYS_getpid, 0, 0, 0, 0, 0, 0), number, 0, 0, 0, 0);
}

static void watch_crashes(void)
{
	struct sigaction action = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

/* One run of the program, in the child. */
static void run(int argc, char **argv, char **envp)
{
	struct sigaction action = { .sa_sigaction = on_call,
				    .sa_flags = (int)(SA_SIGINFO | SA_NODEFER) };
	struct rlimit none = { 0, 0 };
	int status;

	close(request_fd);
	close(answer_fd);
	setrlimit(RLIMIT_CORE, &none);
	watch_crashes();
	alarm(PATIENCE);
	if (dup2(out_fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0 || close(out_fd) ||
	    close(err_fd) || sigaction(SIGSYS, &action, NULL) || !install_filter()) {
		perror("inject");
		_exit(126);
	}
	armed = true;
	status = real_main(argc, argv, envp);
	exit(status);
}

static bool read_plan(FILE *from)
{
	return fscanf(from, "%ld %ld %ld %ld %ld %ld %ld", &plan.nr, &plan.call, &plan.action,
		      &plan.error, &plan.allocation, &plan.all, &plan.modes) == 7;
}

static bool reap(pid_t pid, int *status)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool hangs = end.fd >= 0 && poll(&end, 1, LAST_PATIENCE * 1000) == 0;

	if (hangs)
		kill(pid, SIGKILL);
	if (waitpid(pid, status, 0) != pid)
		return false;
	close(end.fd);
	if (hangs)
		*status = SIGALRM;
	return true;
}

static int serve(int argc, char **argv, char **envp)
{
	FILE *from = fdopen(request_fd, "r");
	void *place[1];
	int status;

	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	/* The first time it loads a library. */
	backtrace(place, 1);
	if (!from || count == MAP_FAILED)
		return 126;
	while (read_plan(from)) {
		pid_t pid;

		memset(count, 0, sizeof(*count));
		pid = fork();
		if (pid == 0)
			run(argc, argv, envp);
		if (pid < 0 || !reap(pid, &status))
			return 126;
		dprintf(answer_fd, "%d %ld %ld %ld\n", status, atomic_load(&count->calls),
			atomic_load(&count->allocations), atomic_load(&count->hit));
	}
	return 0;
}

static int run_once(int argc, char **argv, char **envp)
{
	struct sigaction action = { .sa_sigaction = on_call,
				    .sa_flags = (int)(SA_SIGINFO | SA_NODEFER) };
	static struct count own;

	count = &own;
	if (sigaction(SIGSYS, &action, NULL) || !install_filter())
		return 126;
	return real_main(argc, argv, envp);
}

typedef int start_function(int (*main)(int argc, char **argv, char **envp), int argc, char **argv,
			   void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
			   void *stack_end);

start_function __libc_start_main;

int __libc_start_main(int (*main)(int argc, char **argv, char **envp), int argc, char **argv,
		      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
		      void *stack_end)
{
	const char *descriptors = getenv("KS_FAULT"), *modes = getenv("KS_FAULT_MODES");
	start_function *start;

	/* A function's address is no object pointer to ISO C; POSIX wants this to work. */
	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	real_main = main;
	if (descriptors && sscanf(descriptors, "%d,%d,%d,%d,%d", &request_fd, &answer_fd, &out_fd,
				  &err_fd, &log_fd) == 5)
		main = serve;
	else if (modes && sscanf(modes, "%ld", &plan.modes) == 1)
		main = run_once;
	unsetenv("KS_FAULT");
	unsetenv("KS_FAULT_MODES");
	unsetenv("LD_PRELOAD");
	return start(main, argc, argv, init, fini, rtld_fini, stack_end);
}
