/* SPDX-License-Identifier: MIT */
#include "cli/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "base/text.h"
#include "cli/report.h"
#include "core/cert.h"

enum {
	NO_LOGIN = -1,
	LOCK_TRIES = 3000, /* in 30 s */
};

struct user {
	int64_t uid, login;	 /* of who runs this, and of who logged in for that, or NO_LOGIN */
	char *name, *login_name; /* NULL for a number without a name */
};

struct audit {
	int fd;
	const char *path, *command;
	struct user user;
	atomic_bool broken;
	struct ks_error error; /* the first one */
};

static char *name_of(int64_t uid)
{
	const struct passwd *entry = uid == NO_LOGIN ? NULL : getpwuid((uid_t)uid);

	return entry ? strdup(entry->pw_name) : NULL;
}

/* What audit(7) knows of a session, which su and sudo do not change. */
static int64_t read_login(void)
{
	KS_BUF text = { 0 };
	struct ks_error ignored;
	uintmax_t uid;

	if (!ks_file_read_live(NULL, "/proc/self/loginuid", 32, &text, &ignored) ||
	    !ks_buf_append(&text, "", 1, &ignored))
		return NO_LOGIN;
	uid = strtoumax((char *)text.data, NULL, 10);
	return uid >= (uid_t)-1 ? NO_LOGIN : (int64_t)uid;
}

static struct user who(void)
{
	struct user user = { .uid = getuid(), .login = read_login() };

	user.name = name_of(user.uid);
	user.login_name = name_of(user.login);
	return user;
}

static void forget(struct user *user)
{
	free(user->name);
	free(user->login_name);
}

/* Writing */

/* Whoever can read the log can lock it: not for ever.  Where there are no locks, *LOCKED is false. */
static bool lock(const struct audit *a, bool *locked, struct ks_error *err)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (int i = 0; i < LOCK_TRIES; i++) {
		*locked = flock(a->fd, LOCK_EX | LOCK_NB) == 0;
		if (*locked || (errno != EWOULDBLOCK && errno != EINTR))
			return true;
		nanosleep(&pause, NULL);
	}
	return ks_fail_errno_at(err, a->path, "lock");
}

/* Half a line that a killed run left must not swallow ours. */
static bool end_line(const struct audit *a, const struct stat *st)
{
	char last = '\n';

	return st->st_size == 0 || pread(a->fd, &last, 1, st->st_size - 1) != 1 || last == '\n' ||
	       write(a->fd, "\n", 1) == 1;
}

/* Under another name it is there still, as logs are that are rotated. */
static bool is_there(const struct audit *a, struct stat *st, struct ks_error *err)
{
	if (fstat(a->fd, st))
		return ks_fail_errno(err, "stat");
	return st->st_nlink ||
	       ks_fail(err, KS_ERR_SYSTEM,
		       "removed or replaced while this run went on: what it has said is lost");
}

/* *DONE is how much of it is in the file, whatever the outcome. */
static bool write_line(const struct audit *a, const struct stat *st, const char *line, size_t len,
		       size_t *done, struct ks_error *err)
{
	bool ok = end_line(a, st);

	while (ok && *done < len) {
		ssize_t n = write(a->fd, line + *done, len - *done);

		ok = n > 0 || (n < 0 && errno == EINTR);
		*done += n > 0 ? (size_t)n : 0;
	}
	return ok || ks_fail_errno(err, "write");
}

/* Others append to the same file, perhaps over NFS; half a line of ours would spoil theirs. */
static bool append(const struct audit *a, const char *line, size_t len, struct ks_error *err)
{
	bool locked;
	struct stat st;
	size_t done = 0;
	bool ok;

	if (!lock(a, &locked, err))
		return false;
	ok = is_there(a, &st, err) && write_line(a, &st, line, len, &done, err);
	if (done && !ok && (!locked || ftruncate(a->fd, st.st_size)))
		ks_at(err, "half a line is in it now");
	if (locked)
		flock(a->fd, LOCK_UN);
	return ok || ks_at(err, a->path);
}

static bool put(const struct audit *a, struct json_object *o, struct ks_error *err)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	KS_STRING line = NULL;
	bool ok = text ? ks_string_print(&line, err, "%s\n", text) : ks_fail_memory(err);

	json_object_put(o);
	return ok && append(a, line, strlen(line), err);
}

static bool sync_log(const struct audit *a, struct ks_error *err)
{
	return fsync(a->fd) == 0 || ks_fail_errno_at(err, a->path, "write (fsync)");
}

static void add_number(struct json_object *o, const char *name, int64_t number)
{
	json_object_object_add(o, name, number == NO_LOGIN ? NULL : json_object_new_int64(number));
}

static struct json_object *user_json(const struct user *user)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "uid", user->uid);
	json_object_object_add(o, "name", report_text(user->name));
	add_number(o, "login_uid", user->login);
	json_object_object_add(o, "login_name", report_text(user->login_name));
	return o;
}

/* What every line begins with. */
static struct json_object *begin(const struct audit *a, const char *event)
{
	struct json_object *o = json_object_new_object();
	char text[KS_TEXT_TIME_SIZE];

	ks_text_time(time(NULL), text);
	json_object_object_add(o, "time", report_text(text));
	json_object_object_add(o, "event", report_text(event));
	json_object_object_add(o, "pid", json_object_new_int64(getpid()));
	json_object_object_add(o, "user", user_json(&a->user));
	json_object_object_add(o, "command", report_text(a->command));
	return o;
}

/* Empty, or its first line begins as ours do: FILE may have been forgotten, with a module or key behind it. */
static bool is_log(const struct audit *a)
{
	static const char head[] = "{\"time\":";
	char text[sizeof(head)] = "";
	ssize_t len = pread(a->fd, text, sizeof(head) - 1, 0);
	const char *newline = len > 0 ? memchr(text, '\n', (size_t)len) : NULL;

	if (newline)
		len = newline - text;
	return len >= 0 && memcmp(text, head, (size_t)len) == 0;
}

/* A pipe would stop the run until somebody reads it; a link may lead where nobody meant. */
static bool open_log(struct audit *a, struct ks_error *err)
{
	struct stat st;

	a->fd = open(a->path,
		     O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		     0600);
	if (a->fd < 0 || fstat(a->fd, &st))
		return ks_fail_errno_at(err, a->path, "open");
	if (!S_ISREG(st.st_mode)) {
		ks_fail(err, KS_ERR_INPUT, "not a regular file");
		return ks_at(err, a->path);
	}
	if (!is_log(a)) {
		ks_fail(err, KS_ERR_INPUT, "not a log of kernel-sign: name another file");
		return ks_at(err, a->path);
	}
	return put(a, begin(a, "begin"), err) && sync_log(a, err);
}

static void drop(struct audit *a)
{
	if (a->fd >= 0)
		close(a->fd);
	forget(&a->user);
	free(a);
}

bool audit_open(struct audit **audit, const char *path, const char *command, struct ks_error *err)
{
	struct audit *a = calloc(1, sizeof(*a));

	*audit = NULL;
	if (!a)
		return ks_fail_memory(err);
	a->fd = -1;
	a->path = path;
	a->command = command;
	a->user = who();
	if (!open_log(a, err)) {
		drop(a);
		return false;
	}
	*audit = a;
	return true;
}

bool audit_may_go_on(struct audit *audit, struct ks_error *err)
{
	return !audit->broken ||
	       ks_fail(err, KS_ERR_SYSTEM, "not touched, the log cannot be written");
}

static bool record(struct audit *audit, struct json_object *o)
{
	struct ks_error err;

	/* Nothing behind a gap: a log that has its end is whole. */
	if (audit->broken) {
		json_object_put(o);
		return false;
	}
	if (put(audit, o, &err))
		return true;
	audit->error = err;
	audit->broken = true;
	return false;
}

static struct json_object *signers(const struct ks_sign_record *r)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; r && i < r->count; i++) {
		struct json_object *o = json_object_new_object();
		KS_CERT_TEXT text = { 0 };
		struct ks_error ignored;

		if (ks_cert_describe(r->cert[i], &text, &ignored)) {
			json_object_object_add(o, "subject", report_text(text.subject));
			json_object_object_add(o, "key_id", report_text(text.key_id));
			json_object_object_add(o, "serial", report_text(text.serial));
		}
		json_object_array_add(all, o);
	}
	return all;
}

void audit_module(struct audit *audit, const struct audit_module *entry)
{
	const struct ks_sign_record *r = entry->record;
	struct json_object *o = begin(audit, "module");

	json_object_object_add(o, "kernel", report_text(entry->kernel));
	json_object_object_add(o, "root", report_text(entry->root));
	json_object_object_add(o, "path", report_text(entry->path));
	json_object_object_add(o, "hash", report_text(r ? r->hash : NULL));
	json_object_object_add(o, "digest", report_text(r ? r->digest : NULL));
	json_object_object_add(o, "signers", signers(r));
	json_object_object_add(o, "result", report_text(entry->result));
	json_object_object_add(o, "error", report_text(entry->error));
	(void)record(audit, o);
}

bool audit_close(struct audit *audit, const char *counts, int status, struct ks_error *err)
{
	struct json_object *o = begin(audit, "end");
	bool ok;

	json_object_object_add(o, "result", report_text(counts));
	json_object_object_add(o, "status", json_object_new_int(status));
	ok = record(audit, o);
	if (!ok)
		*err = audit->error;
	else
		ok = sync_log(audit, err);
	drop(audit);
	return ok;
}

void audit_tell_system(const char *command, const char *counts, bool failed)
{
	struct user user = who();
	char login[64] = "";

	if (user.login != NO_LOGIN)
		snprintf(login, sizeof(login), ", logged in as %jd (%.32s)", (intmax_t)user.login,
			 user.login_name ? user.login_name : "?");
	openlog("kernel-sign", LOG_PID, LOG_AUTHPRIV);
	syslog(failed ? LOG_ERR : LOG_NOTICE, "%s: %s; by uid %jd (%.32s)%s", command, counts,
	       (intmax_t)user.uid, user.name ? user.name : "?", login);
	closelog();
	forget(&user);
}
