/* SPDX-License-Identifier: MIT */
/*
 * Files read under a limit and replaced as a whole: what is kept, what is refused, what happens
 * when a call fails or somebody else is faster, and that nothing is ever left behind.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"

/* --- system calls that fail when told, or let somebody else in between --------------------- */

static struct {
	int calls; /* of fsync() */
	int bad;   /* which of them fails */
	void (*meanwhile)(void);
} sync_plan;

static struct {
	size_t most;	  /* bytes a call gives; 0: as many as there are */
	bool interrupted; /* the first call fails with EINTR */
	bool broken;	  /* the first call fails with EIO */
	void (*meanwhile)(void);
} read_plan;

static bool no_proc; /* /proc is not there, so that a file without a name cannot get one */

int fsync_hook(int fd) __asm__("fsync");
ssize_t read_hook(int fd, void *data, size_t len) __asm__("read");
int access_hook(const char *path, int mode) __asm__("access");

int fsync_hook(int fd)
{
	sync_plan.calls++;
	if (sync_plan.calls == 1 && sync_plan.meanwhile)
		sync_plan.meanwhile();
	if (sync_plan.calls != sync_plan.bad)
		return (int)syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}

static bool was(bool *flag)
{
	bool is = *flag;

	*flag = false;
	return is;
}

ssize_t read_hook(int fd, void *data, size_t len)
{
	void (*meanwhile)(void) = read_plan.meanwhile;

	read_plan.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	if (was(&read_plan.interrupted)) {
		errno = EINTR;
		return -1;
	}
	if (was(&read_plan.broken)) {
		errno = EIO;
		return -1;
	}
	if (read_plan.most && len > read_plan.most)
		len = read_plan.most;
	return syscall(SYS_read, fd, data, len);
}

int access_hook(const char *path, int mode)
{
	if (no_proc) {
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

static int file_make(void **state)
{
	memset(&sync_plan, 0, sizeof(sync_plan));
	memset(&read_plan, 0, sizeof(read_plan));
	no_proc = false;
	return scratch_make(state);
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, file_make, scratch_remove)

/* Time stamps are as coarse as the clock's tick. */
static void wait_a_tick(void)
{
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

/* --- reading -------------------------------------------------------------------------------- */

static bool read_limited(const char *path, size_t limit, struct ks_buf *buf)
{
	struct stat st;

	return ks_file_read_path(NULL, path, limit, buf, &st, &error);
}

static void reading_gives_all_bytes(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 300000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		KS_BUF content = { 0 };
		KS_BUF there = { 0 };
		struct stat st, now;

		fill(&content, sizes[i], 3);
		write_file(in_scratch("file"), ks_buf_view(&content));
		assert_ok(
			ks_file_read_path(NULL, in_scratch("file"), SIZE_MAX, &there, &st, &error));
		assert_view_equal(ks_buf_view(&there), ks_buf_view(&content));
		assert_true(there.cap <= sizes[i] + 1);
		now = stat_of(in_scratch("file"));
		assert_true(ks_file_same(&st, &now));
	}
}

static void reading_goes_on_until_the_end(void **state)
{
	KS_BUF there = { 0 };

	(void)state;
	write_text(in_scratch("file"), "in many small pieces");
	read_plan.most = 3;
	read_plan.interrupted = true;
	assert_ok(read_limited(in_scratch("file"), SIZE_MAX, &there));
	assert_view_equal(ks_buf_view(&there), text_view("in many small pieces"));
}

static void a_limit_is_exact(void **state)
{
	(void)state;
	write_text(in_scratch("file"), "12345");
	for (size_t limit = 0; limit < 8; limit++) {
		KS_BUF there = { 0 };

		if (limit < 5) {
			assert_fails(read_limited(in_scratch("file"), limit, &there), KS_ERR_INPUT);
			assert_says("5 bytes");
		} else {
			assert_ok(read_limited(in_scratch("file"), limit, &there));
		}
	}
}

static void a_limit_is_looked_at_before_reading(void **state)
{
	KS_BUF there = { 0 };

	(void)state;
	write_text(in_scratch("file"), "");
	assert_int_equal(truncate(in_scratch("file"), (off_t)1 << 40), 0);
	assert_fails(read_limited(in_scratch("file"), 1 << 20, &there), KS_ERR_INPUT);
	assert_null(there.data);
}

static void only_regular_files_are_read(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	KS_BUF there = { 0 };

	(void)state;
	make_dirs(in_scratch("dir"));
	assert_int_equal(mkfifo(in_scratch("fifo"), 0644), 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%.90s/socket", scratch);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	alarm(20);
	assert_fails(read_limited(in_scratch("dir"), SIZE_MAX, &there), KS_ERR_INPUT);
	assert_says("a directory");
	assert_fails(read_limited("/", SIZE_MAX, &there), KS_ERR_INPUT);
	assert_fails(read_limited(in_scratch("fifo"), SIZE_MAX, &there), KS_ERR_INPUT);
	assert_says("a FIFO");
	assert_fails(read_limited(in_scratch("socket"), SIZE_MAX, &there), KS_ERR_INPUT);
	assert_says("a socket");
	alarm(0);
}

static void what_is_not_there_is_not_read(void **state)
{
	KS_BUF there = { 0 };

	(void)state;
	make_link("nowhere", in_scratch("dangling"));
	assert_fails_errno(read_limited(in_scratch("missing"), SIZE_MAX, &there), ENOENT);
	assert_null(strstr(error.text, "missing"));
	assert_fails_errno(read_limited(in_scratch("dangling"), SIZE_MAX, &there), ENOENT);
}

static void a_name_that_became_a_link_is_not_read(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	KS_BUF there = { 0 };
	struct stat st;

	(void)state;
	write_text(in_scratch("other"), "other");
	assert_ok(ks_place_find(&place, NULL, in_scratch("file"), &error));
	make_link("other", in_scratch("file"));
	assert_fails(ks_file_read(&place, SIZE_MAX, &there, &st, &error), KS_ERR_INPUT);
}

static void links_are_followed_inside_the_root(void **state)
{
	KS_BUF there = { 0 };
	struct stat st;

	(void)state;
	write_text(in_scratch("root/dir/file"), "inside");
	make_link("/dir/file", in_scratch("root/link"));
	assert_ok(ks_file_read_path(in_scratch("root"), "/link", 6, &there, &st, &error));
	assert_view_equal(ks_buf_view(&there), text_view("inside"));
}

static void broken_reads_are_errors(void **state)
{
	KS_BUF there = { 0 };

	(void)state;
	write_text(in_scratch("file"), "x");
	read_plan.broken = true;
	assert_fails_errno(read_limited(in_scratch("file"), 10, &there), EIO);
}

static int read_it(void *arg)
{
	KS_BUF there = { 0 };

	(void)arg;
	if (!access(in_scratch("file"), R_OK))
		return 1;
	if (read_limited(in_scratch("file"), 10, &there))
		return 2;
	return error.sys == EACCES ? 0 : 3;
}

/* Its size is no size: what is read is more than that, and never taken for all of it. */
static void a_file_of_the_kernel_is_not_read_in_part(void **state)
{
	KS_BUF there = { 0 };

	(void)state;
	error = (struct ks_error){ 0 };
	assert_false(read_limited("/proc/self/status", 1 << 20, &there));
	assert_int_not_equal(error.code, KS_ERR_NONE);
}

static void a_file_that_may_not_be_read(void **state)
{
	(void)state;
	write_text(in_scratch("file"), "x");
	assert_int_equal(chmod(in_scratch("file"), 0), 0);
	assert_int_equal(run_as_nobody(read_it, NULL), 0);
}

static void grow_it(void)
{
	assert_int_equal(truncate(in_scratch("file"), 10), 0);
}

static void shrink_it(void)
{
	assert_int_equal(truncate(in_scratch("file"), 3), 0);
}

static void empty_it(void)
{
	assert_int_equal(truncate(in_scratch("file"), 0), 0);
}

static void write_over_it(void)
{
	wait_a_tick();
	write_text(in_scratch("file"), "67890");
}

static void changes_while_it_is_read_are_noticed(void **state)
{
	static void (*const changes[])(void) = { grow_it, shrink_it, empty_it, write_over_it };

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		KS_BUF there = { 0 };

		write_text(in_scratch("file"), "12345");
		read_plan.meanwhile = changes[i];
		assert_fails(read_limited(in_scratch("file"), SIZE_MAX, &there), KS_ERR_CHANGED);
	}
}

static void write_under_an_old_time(void)
{
	struct stat st = stat_of(in_scratch("file"));

	write_over_it();
	assert_int_equal(utimensat(AT_FDCWD, in_scratch("file"),
				   (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
			 0);
}

static void change_the_mode(void)
{
	wait_a_tick();
	assert_int_equal(chmod(in_scratch("file"), 0640), 0);
}

static void change_the_mode_every_time(void)
{
	change_the_mode();
	read_plan.meanwhile = change_the_mode_every_time;
}

static void what_only_a_time_tells_of_is_read_again(void **state)
{
	KS_BUF same = { 0 };
	KS_BUF newer = { 0 };
	KS_BUF never = { 0 };

	(void)state;
	write_text(in_scratch("file"), "12345");
	read_plan.meanwhile = change_the_mode;
	assert_true(read_limited(in_scratch("file"), SIZE_MAX, &same));
	assert_view_equal(ks_buf_view(&same), text_view("12345"));
	read_plan.meanwhile = write_under_an_old_time;
	assert_true(read_limited(in_scratch("file"), SIZE_MAX, &newer));
	assert_view_equal(ks_buf_view(&newer), text_view("67890"));
	read_plan.meanwhile = change_the_mode_every_time;
	assert_fails(read_limited(in_scratch("file"), SIZE_MAX, &never), KS_ERR_CHANGED);
}

static _Noreturn void replace_for_ever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (true) {
		int fd = open(in_scratch("new"), O_CREAT | O_WRONLY, 0644);

		if (fd < 0 || write(fd, "12345", 5) != 5 || close(fd) ||
		    rename(in_scratch("new"), in_scratch("file")))
			_exit(1);
	}
}

static void a_file_that_is_being_replaced_is_read(void **state)
{
	pid_t other;

	(void)state;
	write_text(in_scratch("file"), "12345");
	other = fork();
	assert_true(other >= 0);
	if (other == 0)
		replace_for_ever();
	for (int i = 0; i < 100000; i++) {
		KS_BUF there = { 0 };

		if (!read_limited(in_scratch("file"), SIZE_MAX, &there) || there.len != 5)
			fail_msg("reading %d: %zu bytes, %s", i, there.len, error.text);
	}
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
}

static void sameness_is_inode_size_and_times(void **state)
{
	struct stat a, b;

	(void)state;
	write_text(in_scratch("file"), "x");
	a = b = stat_of(in_scratch("file"));
	assert_true(ks_file_same(&a, &b));
#define DIFFERS(field)                              \
	do {                                        \
		b = a;                              \
		b.field++;                          \
		assert_false(ks_file_same(&a, &b)); \
	} while (0)
	DIFFERS(st_dev);
	DIFFERS(st_ino);
	DIFFERS(st_size);
	DIFFERS(st_mtim.tv_sec);
	DIFFERS(st_mtim.tv_nsec);
	DIFFERS(st_ctim.tv_sec);
	DIFFERS(st_ctim.tv_nsec);
#undef DIFFERS
	b = a;
	b.st_atim.tv_sec++;
	assert_true(ks_file_same(&a, &b));
	/* Another name of it came or went: that is the time of a change, and no change of content. */
	b.st_nlink++;
	b.st_ctim.tv_nsec++;
	assert_true(ks_file_same(&a, &b));
	b.st_mtim.tv_nsec++;
	assert_false(ks_file_same(&a, &b));
}

/* --- replacing ------------------------------------------------------------------------------ */

/* What stands for the file DIR/file, as if it had just been read. */
static void look(struct ks_place *place, struct stat *st)
{
	assert_ok(ks_place_find(place, NULL, in_scratch("dir/file"), &error));
	*st = stat_of(in_scratch("dir/file"));
}

static void start(struct ks_place *place, struct stat *st)
{
	write_text(in_scratch("dir/file"), "old");
	look(place, st);
}

static bool replace(const struct ks_place *place, const struct stat *st, const char *text)
{
	return ks_file_replace(place, st, text_view(text), NULL, &error);
}

/* The file is as it was, and alone. */
static void assert_untouched(const struct stat *before)
{
	struct stat now = stat_of(in_scratch("dir/file"));

	assert_content(in_scratch("dir/file"), text_view("old"));
	assert_int_equal(now.st_ino, before->st_ino);
	assert_int_equal(now.st_mode, before->st_mode);
	assert_int_equal(count_entries(in_scratch("dir")), 1);
}

static void the_new_bytes_are_in_a_new_file(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st, now;
		char old[8] = "";
		KS_FD fd = -1;

		no_proc = round == 1;
		start(&place, &st);
		fd = open(in_scratch("dir/file"), O_RDONLY | O_CLOEXEC);
		assert_ok(replace(&place, &st, "the new content"));
		assert_content(in_scratch("dir/file"), text_view("the new content"));
		assert_int_equal(count_entries(in_scratch("dir")), 1);
		now = stat_of(in_scratch("dir/file"));
		assert_int_not_equal(now.st_ino, st.st_ino);
		assert_int_equal(now.st_nlink, 1);
		assert_int_equal(read(fd, old, sizeof(old)), 3);
		assert_string_equal(old, "old");
	}
}

static size_t seen; /* names in the directory while the new file was being written */

static void look_around(void)
{
	seen = count_entries(in_scratch("dir"));
}

/* Where the file system can: then even a power failure leaves nothing behind. */
static void the_new_file_has_no_name_until_it_is_complete(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;
	int probe;

	(void)state;
	start(&place, &st);
	probe = open(in_scratch("dir"), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	sync_plan.meanwhile = look_around;
	assert_ok(replace(&place, &st, "new"));
	assert_int_equal(seen, probe < 0 ? 2 : 1);
	ks_fd_close(&probe);
}

static void any_size_is_written(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 3 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		KS_PLACE place = KS_PLACE_NONE;
		KS_BUF content = { 0 };
		struct stat st;

		start(&place, &st);
		fill(&content, sizes[i], 9);
		assert_ok(ks_file_replace(&place, &st, ks_buf_view(&content), NULL, &error));
		assert_content(in_scratch("dir/file"), ks_buf_view(&content));
	}
}

static void file_and_directory_are_synced(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	assert_ok(replace(&place, &st, "new"));
	assert_int_equal(sync_plan.calls, 2);
}

static void the_mode_is_kept(void **state)
{
	static const mode_t modes[] = {
		0644, 0600, 0400, 0, 0755, 0666, 0777, 04755, 06711, 01644
	};
	mode_t mask = umask(077);

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st;

		/* Reading it comes with the mode; an ordinary user cannot replace what he cannot read. */
		if (geteuid() && !(modes[i] & 0400))
			continue;
		start(&place, &st);
		assert_int_equal(chmod(in_scratch("dir/file"), modes[i]), 0);
		st = stat_of(in_scratch("dir/file"));
		assert_ok(replace(&place, &st, "new"));
		assert_int_equal(stat_of(in_scratch("dir/file")).st_mode & 07777, modes[i]);
		assert_int_equal(unlink(in_scratch("dir/file")), 0);
	}
	umask(mask);
}

static void the_owner_is_kept(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st, now;

	(void)state;
	start(&place, &st);
	if (geteuid() == 0) {
		assert_int_equal(chown(in_scratch("dir/file"), 1234, 4321), 0);
		assert_int_equal(chmod(in_scratch("dir/file"), 06750), 0);
	}
	st = stat_of(in_scratch("dir/file"));
	assert_ok(replace(&place, &st, "new"));
	now = stat_of(in_scratch("dir/file"));
	assert_int_equal(now.st_uid, st.st_uid);
	assert_int_equal(now.st_gid, st.st_gid);
	assert_int_equal(now.st_mode, st.st_mode);
}

static void set_attr(const char *path, const char *attr, const char *value)
{
	if (setxattr(path, attr, value, strlen(value), 0))
		fail_msg("setxattr %s: %s", attr, strerror(errno));
}

static void assert_attr(const char *attr, const char *value)
{
	char there[64];
	ssize_t len = getxattr(in_scratch("dir/file"), attr, there, sizeof(there));

	assert_int_equal(len, strlen(value));
	assert_memory_equal(there, value, strlen(value));
}

/* Whether the file system of the scratch directory has user attributes at all. */
static bool has_attrs(void)
{
	return setxattr(in_scratch("dir/file"), "user.probe", "", 0, 0) == 0;
}

static void extended_attributes_are_kept(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	if (!has_attrs())
		return;
	set_attr(in_scratch("dir/file"), "user.one", "1");
	set_attr(in_scratch("dir/file"), "user.two", "second value");
	if (geteuid() == 0)
		set_attr(in_scratch("dir/file"), "trusted.three", "3");
	st = stat_of(in_scratch("dir/file"));
	assert_ok(replace(&place, &st, "new"));
	assert_attr("user.one", "1");
	assert_attr("user.two", "second value");
	assert_attr("user.probe", "");
	if (geteuid() == 0)
		assert_attr("trusted.three", "3");
}

/* They are hashes and signatures over the bytes that went away. */
static void integrity_attributes_are_not(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	if (setxattr(in_scratch("dir/file"), "security.ima", "\4x", 2, 0))
		return;
	st = stat_of(in_scratch("dir/file"));
	assert_ok(replace(&place, &st, "new"));
	assert_int_equal(getxattr(in_scratch("dir/file"), "security.ima", NULL, 0), -1);
}

/* POSIX ACLs as the kernel has them: version 2, then tag, permissions and id, little endian. */
/* clang-format off */
#define ACL(tag, perm, id) tag, 0, perm, 0, (id)&0xff, (id) >> 8 & 0xff, 0, 0
/* clang-format on */
#define NO_ID 0xff, 0xff, 0xff, 0xff
static const uint8_t acl[] = { 2,    0, 0, 0, 1,     0,	 6, 0, NO_ID, ACL(2, 4, 1234),
			       4,    0, 4, 0, NO_ID, 16, 0, 6, 0,     NO_ID,
			       0x20, 0, 0, 0, NO_ID };

static void an_acl_is_kept(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	uint8_t now[sizeof(acl) + 64];
	struct stat st;

	(void)state;
	start(&place, &st);
	if (setxattr(in_scratch("dir/file"), "system.posix_acl_access", acl, sizeof(acl), 0)) {
		assert_int_equal(errno, ENOTSUP);
		return;
	}
	st = stat_of(in_scratch("dir/file"));
	assert_ok(replace(&place, &st, "new"));
	assert_int_equal(
		getxattr(in_scratch("dir/file"), "system.posix_acl_access", now, sizeof(now)),
		sizeof(acl));
	assert_memory_equal(now, acl, sizeof(acl));
	assert_int_equal(stat_of(in_scratch("dir/file")).st_mode, st.st_mode);
}

static void the_directory_s_default_acl_is_not_taken_on(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	if (setxattr(in_scratch("dir"), "system.posix_acl_default", acl, sizeof(acl), 0)) {
		assert_int_equal(errno, ENOTSUP);
		return;
	}
	assert_ok(replace(&place, &st, "new"));
	assert_int_equal(getxattr(in_scratch("dir/file"), "system.posix_acl_access", NULL, 0), -1);
	assert_int_equal(stat_of(in_scratch("dir/file")).st_mode, st.st_mode);
}

static void other_names_keep_the_old_bytes(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	assert_int_equal(link(in_scratch("dir/file"), in_scratch("dir/twin")), 0);
	st = stat_of(in_scratch("dir/file"));
	assert_ok(replace(&place, &st, "new"));
	assert_content(in_scratch("dir/file"), text_view("new"));
	assert_content(in_scratch("dir/twin"), text_view("old"));
	assert_int_equal(count_entries(in_scratch("dir")), 2);
}

/* --- somebody else was faster --------------------------------------------------------------- */

static void rewrite(void)
{
	wait_a_tick();
	write_text(in_scratch("dir/file"), "NEW");
}

static void put_another_there(void)
{
	write_text(in_scratch("dir/tmp"), "NEW");
	assert_int_equal(rename(in_scratch("dir/tmp"), in_scratch("dir/file")), 0);
}

static void remove_it(void)
{
	assert_int_equal(unlink(in_scratch("dir/file")), 0);
}

static void make_it_a_link(void)
{
	remove_it();
	write_text(in_scratch("victim"), "NEW");
	make_link("../victim", in_scratch("dir/file"));
}

static void make_it_a_directory(void)
{
	remove_it();
	make_dirs(in_scratch("dir/file"));
}

static void (*const others[])(void) = { rewrite, put_another_there, remove_it, make_it_a_link,
					make_it_a_directory };

/* What the other one did is as he left it, and there is nothing of ours. */
static void assert_other_s(size_t i)
{
	struct stat now;

	if (others[i] == remove_it) {
		assert_int_equal(count_entries(in_scratch("dir")), 0);
		return;
	}
	assert_int_equal(count_entries(in_scratch("dir")), 1);
	now = stat_of(in_scratch("dir/file"));
	if (others[i] == make_it_a_directory) {
		assert_true(S_ISDIR(now.st_mode));
		return;
	}
	assert_int_equal(S_ISLNK(now.st_mode) != 0, others[i] == make_it_a_link);
	assert_content(in_scratch("dir/file"), text_view("NEW"));
}

static void start_afresh(struct ks_place *place, struct stat *st)
{
	assert_int_equal(scratch_remove(NULL), 0);
	assert_int_equal(file_make(NULL), 0);
	start(place, st);
}

/* A run that was killed left the one, another is just at the other. */
static void what_is_left_over_goes(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st, left;
		KS_FD held = -1;

		start_afresh(&place, &st);
		no_proc = round == 1;
		write_text(in_scratch("dir/.kernel-sign-0123456789abcdef.tmp"), "half");
		write_text(in_scratch("dir/.kernel-sign-1123456789abcdef.tmp"), "half");
		held = open(in_scratch("dir/.kernel-sign-1123456789abcdef.tmp"), O_WRONLY);
		assert_int_equal(flock(held, LOCK_EX), 0);
		assert_ok(replace(&place, &st, "new"));
		assert_int_equal(count_entries(in_scratch("dir")), 2);
		assert_int_equal(stat(in_scratch("dir/.kernel-sign-1123456789abcdef.tmp"), &left),
				 0);
	}
}

static void changes_before_the_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st;

		start_afresh(&place, &st);
		others[i]();
		assert_fails(replace(&place, &st, "ours"), KS_ERR_CHANGED);
		assert_other_s(i);
	}
}

static void changes_during_the_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(others) / sizeof(*others); i++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st;

		start_afresh(&place, &st);
		no_proc = i % 2;
		sync_plan.meanwhile = others[i / 2];
		assert_fails(replace(&place, &st, "ours"), KS_ERR_CHANGED);
		assert_int_equal(sync_plan.calls, 1);
		assert_other_s(i / 2);
	}
}

/* --- calls that fail ------------------------------------------------------------------------ */

static void a_file_that_cannot_be_synced_changes_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		KS_PLACE place = KS_PLACE_NONE;
		struct stat st;

		start_afresh(&place, &st);
		no_proc = round == 1;
		sync_plan.bad = 1;
		assert_fails_errno(replace(&place, &st, "new"), EIO);
		assert_untouched(&st);
	}
}

static void a_directory_that_cannot_be_synced_is_an_error(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	(void)state;
	start(&place, &st);
	sync_plan.bad = 2;
	assert_fails_errno(replace(&place, &st, "new"), EIO);
	assert_content(in_scratch("dir/file"), text_view("new"));
	assert_int_equal(count_entries(in_scratch("dir")), 1);
}

/* As on a full disk: the first part fits, the rest does not. */
static bool write_with_little_room(const struct ks_place *place, const struct stat *st)
{
	struct rlimit before, little;
	KS_BUF content = { 0 };
	bool ok;

	fill(&content, 100000, 1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	little.rlim_cur = 5000;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	ok = st ? ks_file_replace(place, st, ks_buf_view(&content), NULL, &error) :
		  ks_file_write(place, 0644, ks_buf_view(&content), &error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	return ok;
}

static void no_room_changes_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		KS_PLACE place = KS_PLACE_NONE;
		KS_PLACE fresh = KS_PLACE_NONE;
		struct stat st;

		start_afresh(&place, &st);
		no_proc = round == 1;
		assert_fails_errno(write_with_little_room(&place, &st), EFBIG);
		assert_untouched(&st);
		assert_ok(ks_place_find(&fresh, NULL, in_scratch("dir/fresh"), &error));
		assert_fails_errno(write_with_little_room(&fresh, NULL), EFBIG);
		assert_untouched(&st);
	}
}

struct attempt {
	struct ks_place place;
	struct stat st;
	const char *probe; /* a plain way to do what has to fail */
};

/* 1: nobody can write there; 2: it was replaced; 3: another error. */
static int replace_read_only(void *arg)
{
	struct attempt *a = arg;

	if (creat(a->probe, 0644) >= 0)
		return 1;
	if (replace(&a->place, &a->st, "new"))
		return 2;
	return error.sys == EACCES ? 0 : 3;
}

static void a_directory_that_may_not_be_written(void **state)
{
	struct attempt a = { .place = KS_PLACE_NONE };

	(void)state;
	start(&a.place, &a.st);
	assert_int_equal(chmod(in_scratch("dir/file"), 0666), 0);
	assert_int_equal(chmod(in_scratch("dir"), 0555), 0);
	a.st = stat_of(in_scratch("dir/file"));
	a.probe = in_scratch("dir/probe");
	assert_int_equal(run_as_nobody(replace_read_only, &a), 0);
	assert_untouched(&a.st);
	assert_int_equal(chmod(in_scratch("dir"), 0755), 0);
	ks_place_close(&a.place);
}

/* 1: the owner can be kept; 2: it was replaced; 3: another error; 4: not for that. */
static int replace_foreign(void *arg)
{
	struct attempt *a = arg;

	if (!chown(a->probe, a->st.st_uid, a->st.st_gid))
		return 1;
	if (replace(&a->place, &a->st, "new"))
		return 2;
	if (error.sys != EPERM)
		return 3;
	return strstr(error.text, "owner") ? 0 : 4;
}

/* Only root can set the stage; for an ordinary user the owner is his own anyway. */
static void an_owner_that_cannot_be_kept(void **state)
{
	struct attempt a = { .place = KS_PLACE_NONE };

	(void)state;
	if (geteuid())
		return;
	start(&a.place, &a.st);
	assert_int_equal(chmod(in_scratch("dir"), 0777), 0);
	write_text(in_scratch("probe"), "");
	a.probe = in_scratch("probe");
	assert_int_equal(chown(a.probe, 65534, 65534), 0);
	assert_int_equal(run_as_nobody(replace_foreign, &a), 0);
	assert_untouched(&a.st);
	ks_place_close(&a.place);
}

/* --- making --------------------------------------------------------------------------------- */

static bool write_at(const char *path, mode_t mode, const char *text)
{
	KS_PLACE place = KS_PLACE_NONE;

	return ks_place_find(&place, NULL, path, &error) &&
	       ks_file_write(&place, mode, text_view(text), &error);
}

static void a_new_file_has_exactly_the_mode(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0666, 0400, 0, 04755 };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(modes) / sizeof(*modes); i++) {
		mode_t mask = umask(i % 2 ? 0 : 077);

		no_proc = i & 2;
		assert_ok(write_at(in_scratch("new%zu", i), modes[i / 2], "content"));
		umask(mask);
		assert_int_equal(stat_of(in_scratch("new%zu", i)).st_mode & 07777, modes[i / 2]);
	}
	assert_content(in_scratch("new0"), text_view("content"));
	assert_int_equal(count_entries(scratch), 2 * sizeof(modes) / sizeof(*modes));
}

static void an_old_file_keeps_its_own(void **state)
{
	(void)state;
	write_text(in_scratch("dir/file"), "old");
	assert_int_equal(chmod(in_scratch("dir/file"), 0640), 0);
	make_link("dir/file", in_scratch("link"));
	assert_ok(write_at(in_scratch("dir/file"), 0777, "new"));
	assert_ok(write_at(in_scratch("link"), 0777, "newer"));
	assert_content(in_scratch("dir/file"), text_view("newer"));
	assert_int_equal(stat_of(in_scratch("dir/file")).st_mode & 07777, 0640);
	assert_true(S_ISLNK(stat_of(in_scratch("link")).st_mode));
	assert_int_equal(count_entries(in_scratch("dir")), 1);
}

static void a_dangling_link_s_target_is_made(void **state)
{
	(void)state;
	make_dirs(in_scratch("dir"));
	make_link("dir/file", in_scratch("link"));
	assert_ok(write_at(in_scratch("link"), 0600, "new"));
	assert_content(in_scratch("dir/file"), text_view("new"));
	assert_true(S_ISLNK(stat_of(in_scratch("link")).st_mode));
}

static void only_regular_files_are_written(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;

	(void)state;
	make_dirs(in_scratch("dir/dir"));
	assert_int_equal(mkfifo(in_scratch("dir/fifo"), 0644), 0);
	write_text(in_scratch("dir/other"), "other");
	assert_ok(ks_place_find(&place, NULL, in_scratch("dir/late-link"), &error));
	make_link("other", in_scratch("dir/late-link"));
	alarm(20);
	assert_fails(write_at(in_scratch("dir/dir"), 0644, "x"), KS_ERR_INPUT);
	assert_fails(write_at(in_scratch("dir/fifo"), 0644, "x"), KS_ERR_INPUT);
	assert_fails(ks_file_write(&place, 0644, text_view("x"), &error), KS_ERR_INPUT);
	alarm(0);
	assert_content(in_scratch("dir/other"), text_view("other"));
	assert_int_equal(count_entries(in_scratch("dir")), 4);
	assert_fails_errno(write_at(in_scratch("no/dir"), 0644, "x"), ENOENT);
}

static void failing_to_make_leaves_nothing(void **state)
{
	(void)state;
	make_dirs(in_scratch("dir"));
	sync_plan.bad = 1;
	assert_fails_errno(write_at(in_scratch("dir/new"), 0644, "x"), EIO);
	assert_int_equal(count_entries(in_scratch("dir")), 0);
	no_proc = true;
	sync_plan.calls = 0;
	assert_fails_errno(write_at(in_scratch("dir/new"), 0644, "x"), EIO);
	assert_int_equal(count_entries(in_scratch("dir")), 0);
}

/* --- making what is not there ----------------------------------------------------------------- */

static bool no_replace_flag; /* as on file systems that cannot rename so */

int renameat2_hook(int from_dir, const char *from, int to_dir, const char *to,
		   unsigned int flags) __asm__("renameat2");

int renameat2_hook(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	if (no_replace_flag) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static bool create_at(const char *path, const char *text)
{
	KS_PLACE place = KS_PLACE_NONE;

	assert_ok(ks_place_find(&place, NULL, in_scratch("dir/x"), &error));
	free(place.name);
	place.name = strdup(path);
	return ks_file_create(&place, 0640, text_view(text), NULL, &error);
}

static void what_is_there_is_not_made_again(void **state)
{
	(void)state;
	make_dirs(in_scratch("dir"));
	make_link("nowhere", in_scratch("dir/link"));
	for (int i = 0; i < 4; i++) {
		char name[8] = { 'n', (char)('0' + i) };

		no_proc = i % 2;
		no_replace_flag = i / 2;
		assert_ok(create_at(name, "first"));
		assert_int_equal(stat_of(in_scratch("dir/%s", name)).st_mode & 07777, 0640);
		assert_fails_errno(create_at(name, "second"), EEXIST);
		assert_content(in_scratch("dir/%s", name), text_view("first"));
		assert_fails_errno(create_at("link", "second"), EEXIST);
	}
	no_replace_flag = false;
	assert_int_equal(count_entries(in_scratch("dir")), 5);
}

static void no_descriptor_is_left_open(void **state)
{
	KS_PLACE place = KS_PLACE_NONE;
	size_t before;
	struct stat st;

	(void)state;
	start(&place, &st);
	before = count_entries("/proc/self/fd");
	for (int i = 0; i < 4; i++) {
		no_proc = i % 2;
		sync_plan.calls = 0;
		sync_plan.bad = i / 2;
		assert_int_equal(replace(&place, &st, "new"), !sync_plan.bad);
		st = stat_of(in_scratch("dir/file"));
	}
	assert_fails(replace(&place, &(struct stat){ 0 }, "new"), KS_ERR_CHANGED);
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(reading_gives_all_bytes),
		file_test(reading_goes_on_until_the_end),
		file_test(a_limit_is_exact),
		file_test(a_limit_is_looked_at_before_reading),
		file_test(only_regular_files_are_read),
		file_test(what_is_not_there_is_not_read),
		file_test(a_name_that_became_a_link_is_not_read),
		file_test(links_are_followed_inside_the_root),
		file_test(broken_reads_are_errors),
		file_test(a_file_of_the_kernel_is_not_read_in_part),
		file_test(a_file_that_may_not_be_read),
		file_test(changes_while_it_is_read_are_noticed),
		file_test(what_only_a_time_tells_of_is_read_again),
		file_test(a_file_that_is_being_replaced_is_read),
		file_test(sameness_is_inode_size_and_times),
		file_test(the_new_bytes_are_in_a_new_file),
		file_test(the_new_file_has_no_name_until_it_is_complete),
		file_test(what_is_left_over_goes),
		file_test(any_size_is_written),
		file_test(file_and_directory_are_synced),
		file_test(the_mode_is_kept),
		file_test(the_owner_is_kept),
		file_test(extended_attributes_are_kept),
		file_test(integrity_attributes_are_not),
		file_test(an_acl_is_kept),
		file_test(the_directory_s_default_acl_is_not_taken_on),
		file_test(other_names_keep_the_old_bytes),
		file_test(changes_before_the_writing),
		file_test(changes_during_the_writing),
		file_test(a_file_that_cannot_be_synced_changes_nothing),
		file_test(a_directory_that_cannot_be_synced_is_an_error),
		file_test(no_room_changes_nothing),
		file_test(a_directory_that_may_not_be_written),
		file_test(an_owner_that_cannot_be_kept),
		file_test(a_new_file_has_exactly_the_mode),
		file_test(an_old_file_keeps_its_own),
		file_test(a_dangling_link_s_target_is_made),
		file_test(only_regular_files_are_written),
		file_test(failing_to_make_leaves_nothing),
		file_test(what_is_there_is_not_made_again),
		file_test(no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
