// SPDX-License-Identifier: MIT
/*
 * The only process of a kernel that is asked about modules. Reads /jobs, one a line, fields between
 * tabs:
 *
 *	WAY	ID	NAME	PATH	[ARGUMENT...]
 *
 *	file		finit_module() of PATH
 *	compressed	the same with MODULE_INIT_COMPRESSED_FILE
 *	memory		init_module() of what is in PATH
 *	keep		memory, and the module stays
 *	exec		the command ARGUMENT... below the root PATH
 *	dump		keys, keyrings, lockdown, enforcement
 *
 * Whatever loaded is unloaded again by its NAME, so that it can be loaded in the next job. Answers go
 * to the second serial port, out of the way of what the kernel has to say on the first:
 *
 *	begin					what came before is the firmware's
 *	answer	ID	ERRNO	STATUS	TAINT	errno of the system call; of a command, its exit status; the
 *						module's taint flags while it was loaded
 *	kernel	ID	TEXT			a message of the kernel, since the last job
 *	output	ID	TEXT			a line that a command or a dump said
 *	error	ID	TEXT			a line of a command's on standard error, behind the others
 *	fault	ID	TEXT			the job could not be done
 *	end					all jobs were
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define COMPRESSED_FILE 4 // MODULE_INIT_COMPRESSED_FILE of linux/module.h, new in 5.17
#define KEYCTL_READ 11	  // linux/keyctl.h
#define WORDS_MAX 512

struct job {
	const char *way, *id, *name, *path;
	char **argv;
};

static FILE *answers;
static int kernel_log;

__attribute__((format(printf, 2, 3))) static void fault(const struct job *job, const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	fprintf(answers, "fault\t%s\t", job->id);
	vfprintf(answers, format, args);
	fputc('\n', answers);
	va_end(args);
}

static void answer(const struct job *job, int error, int status, const char *taint)
{
	fprintf(answers, "answer\t%s\t%d\t%d\t%s\n", job->id, error, status, taint);
}

// The whole file with a zero byte behind it, which *size does not count.
static char *slurp(const char *path, size_t *size)
{
	size_t room = 1 << 16, length = 0;
	char *data = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0 || !data)
		return free(data), NULL;
	while ((got = read(fd, data + length, room - length - 1)) > 0) {
		length += got;
		if (room - length < 2)
			data = realloc(data, room *= 2);
		if (!data)
			break;
	}
	close(fd);
	if (got < 0 || !data)
		return free(data), NULL;
	data[length] = '\0';
	if (size)
		*size = length;
	return data;
}

// One line of a small file of the kernel's, "" without it.
static const char *line_of(const char *path, char *line, size_t size)
{
	char *text = slurp(path, NULL);

	snprintf(line, size, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	free(text);
	return line;
}

// What the kernel said since it was asked last; a record is "priority,...;text\n", more lines are not
// for people.
static void tell_kernel_log(const struct job *job)
{
	char record[8192];
	ssize_t size;

	while ((size = read(kernel_log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		char *text;

		if (size < 0) { // messages were overwritten before we could read them
			fault(job, "kernel messages are lost");
			continue;
		}
		record[size] = '\0';
		text = strchr(record, ';');
		if (text && atoi(record) < 8) // the kernel's own
			fprintf(answers, "kernel\t%s\t%.*s\n", job->id,
				(int)strcspn(text + 1, "\n"), text + 1);
	}
}

static int load_file(const struct job *job, int flags)
{
	int error, fd = open(job->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fault(job, "%s: %m", job->path);
		return 0;
	}
	error = syscall(SYS_finit_module, fd, "", flags) ? errno : 0;
	close(fd);
	return error;
}

static int load_memory(const struct job *job)
{
	size_t size;
	char *data = slurp(job->path, &size);
	int error;

	if (!data) {
		fault(job, "%s: %m", job->path);
		return 0;
	}
	error = syscall(SYS_init_module, data, size, "") ? errno : 0;
	free(data);
	return error;
}

// A command may report success and not have loaded anything: then there is nothing to unload.
static void unload(const struct job *job)
{
	if (syscall(SYS_delete_module, job->name, O_NONBLOCK))
		fault(job, "cannot unload %s: %m", job->name);
}

static void load(const struct job *job)
{
	char path[128], taint[32];
	int error = 0;

	if (!strcmp(job->way, "file"))
		error = load_file(job, 0);
	else if (!strcmp(job->way, "compressed"))
		error = load_file(job, COMPRESSED_FILE);
	else
		error = load_memory(job);
	snprintf(path, sizeof(path), "/sys/module/%s/taint", job->name);
	line_of(path, taint, sizeof(taint));
	if (!error && strcmp(job->way, "keep"))
		unload(job);
	answer(job, error, 0, taint);
}

// What is there already stays: a file system cannot be mounted on itself.
static void mount_below(const char *root)
{
	static const char *const places[][2] = {
		{ "proc", "proc" },
		{ "devtmpfs", "dev" },
		{ "sysfs", "sys" },
		{ "securityfs", "sys/kernel/security" },
		{ "efivarfs", "sys/firmware/efi/efivars" }, // if the module was loaded
	};
	char path[256];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, places[i][1]);
		mkdir(path, 0755);
		mount(places[i][0], path, places[i][0], 0, NULL);
	}
}

// A file takes what comes while nobody reads it.
static FILE *open_errors(void)
{
	int fd = open("/errors", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

static void tell_lines(const struct job *job, const char *kind, FILE *file)
{
	char line[1024];

	while (fgets(line, sizeof(line), file))
		fprintf(answers, "%s\t%s\t%.*s\n", kind, job->id, (int)strcspn(line, "\n"), line);
	fclose(file);
}

static void run_command(const struct job *job, int out, int errors)
{
	if (chroot(job->path) || chdir("/") || dup2(out, 1) < 0 || dup2(errors, 2) < 0)
		_exit(126);
	execv(job->argv[0], job->argv);
	dprintf(2, "%s: %m\n", job->argv[0]);
	_exit(127);
}

static void execute(const struct job *job)
{
	char path[128], taint[32];
	FILE *errors = open_errors();
	int ends[2], status = -1;
	struct stat info;
	pid_t pid;

	mount_below(job->path);
	if (!errors || pipe2(ends, O_CLOEXEC) || (pid = fork()) < 0) {
		fault(job, "%m");
		return;
	}
	if (!pid)
		run_command(job, ends[1], fileno(errors));
	close(ends[1]);
	tell_lines(job, "output", fdopen(ends[0], "r"));
	waitpid(pid, &status, 0);
	rewind(errors);
	tell_lines(job, "error", errors);
	snprintf(path, sizeof(path), "/sys/module/%s/taint", job->name);
	line_of(path, taint, sizeof(taint));
	if (job->name[0] && !stat(path, &info))
		unload(job);
	else if (job->name[0] && !status)
		fault(job, "the command succeeded, and %s is not there", job->name);
	answer(job, 0, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), taint);
}

static void tell_members(const struct job *job, const char *name, uint32_t serial)
{
	uint32_t members[1024];
	long size = syscall(SYS_keyctl, KEYCTL_READ, serial, members, sizeof(members));

	if (size < 0) {
		fprintf(answers, "output\t%s\tunreadable %s %m\n", job->id, name);
		return;
	}
	if ((size_t)size > sizeof(members)) {
		fault(job, "too many keys in %s", name);
		return;
	}
	for (size_t i = 0; i < size / sizeof(*members); i++)
		fprintf(answers, "output\t%s\tmember %s %08x\n", job->id, name, members[i]);
}

// A line of /proc/keys: serial, flags, usage, timeout, permissions, uid, gid, type, "description: more".
static void tell_key(const struct job *job, char *line)
{
	unsigned int serial;
	int description = 0;
	char type[32];

	fprintf(answers, "output\t%s\tkey %s\n", job->id, line);
	if (sscanf(line, "%x %*s %*s %*s %*s %*s %*s %31s %n", &serial, type, &description) < 2)
		return;
	if (strcmp(type, "keyring") || line[description] != '.')
		return;
	line[description + strcspn(line + description, ":")] = '\0';
	tell_members(job, line + description, serial);
}

static void dump(const struct job *job)
{
	char line[4096], *keys = slurp("/proc/keys", NULL), *rest = keys, *key;
	static const char *const facts[][2] = {
		{ "release", "/proc/sys/kernel/osrelease" },
		{ "cmdline", "/proc/cmdline" },
		{ "lockdown", "/sys/kernel/security/lockdown" },
		{ "sig_enforce", "/sys/module/module/parameters/sig_enforce" },
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		fprintf(answers, "output\t%s\t%s %s\n", job->id, facts[i][0],
			line_of(facts[i][1], line, sizeof(line)));
	while (rest && (key = strsep(&rest, "\n")))
		if (*key)
			tell_key(job, key);
	free(keys);
	answer(job, 0, 0, "");
}

static void do_job(const struct job *job)
{
	if (!strcmp(job->way, "exec"))
		execute(job);
	else if (!strcmp(job->way, "dump"))
		dump(job);
	else
		load(job);
	tell_kernel_log(job);
	fflush(answers);
}

static void do_jobs(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		char *words[WORDS_MAX + 1] = { NULL };
		size_t count = 0;

		while (line && count < WORDS_MAX)
			words[count++] = strsep(&line, "\t");
		if (count >= 4)
			do_job(&(struct job){ words[0], words[1], words[2], words[3], words + 4 });
	}
}

static void mount_all(void)
{
	mount_below("");
	mkdir("/dev", 0755);
	mknod("/dev/answers", S_IFCHR | 0600, makedev(4, 65)); // ttyS1
	mknod("/dev/log", S_IFCHR | 0600, makedev(1, 11));     // kmsg
}

static FILE *open_answers(void)
{
	int fd = open("/dev/answers", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios modes;

	if (fd < 0 || tcgetattr(fd, &modes))
		return NULL;
	cfmakeraw(&modes);
	tcsetattr(fd, TCSANOW, &modes);
	return fdopen(fd, "w");
}

int main(void)
{
	char *jobs = slurp("/jobs", NULL);

	mount_all();
	answers = open_answers();
	kernel_log = open("/dev/log", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (!jobs || !answers || kernel_log < 0)
		return 1; // and the kernel panics: the first process must not end
	lseek(kernel_log, 0, SEEK_END);
	fputs("\nbegin\n", answers);
	do_jobs(jobs);
	fputs("end\n", answers);
	fflush(answers);
	tcdrain(fileno(answers));
	reboot(RB_AUTOBOOT);
	return 1;
}
