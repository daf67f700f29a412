/* SPDX-License-Identifier: MIT */
#include "cli/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#include "base/dir.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/text.h"
#include "cli/json.h"
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

static bool put(const struct audit *a, const struct json *line, struct ks_error *err)
{
	KS_STRING ended = NULL;
	const char *text =
		json_print(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!text) {
		ks_fail_memory(err);
		return ks_at(err, a->path);
	}
	return ks_string_print(&ended, err, "%s\n", text) && append(a, ended, strlen(ended), err);
}

static bool sync_log(const struct audit *a, struct ks_error *err)
{
	return fsync(a->fd) == 0 || ks_fail_errno_at(err, a->path, "write (fsync)");
}

/* Escaped, as it is shown. */
static void add_text(struct json *o, const char *name, const char *raw)
{
	if (raw)
		json_add(o, name, report_text(raw));
	else
		json_add_text(o, name, NULL);
}

static void add_number(struct json *o, const char *name, int64_t number)
{
	if (number == NO_LOGIN)
		json_add_text(o, name, NULL);
	else
		json_add(o, name, json_object_new_int64(number));
}

/* What is not whole makes the one that it stands in so. */
static void add_object(struct json *o, const char *name, struct json *inner)
{
	o->whole = o->whole && inner->whole;
	json_add(o, name, inner->object);
}

static struct json user_json(const struct user *user)
{
	struct json o = json_begin();

	add_number(&o, "uid", user->uid);
	add_text(&o, "name", user->name);
	add_number(&o, "login_uid", user->login);
	add_text(&o, "login_name", user->login_name);
	return o;
}

/* What every line begins with. */
static struct json begin(const struct audit *a, const char *event)
{
	struct json o = json_begin();
	struct json user = user_json(&a->user);
	char text[KS_TEXT_TIME_SIZE];

	ks_text_time(time(NULL), text);
	json_add_text(&o, "time", text);
	json_add_text(&o, "event", event);
	json_add(&o, "pid", json_object_new_int64(getpid()));
	add_object(&o, "user", &user);
	json_add_text(&o, "command", a->command);
	return o;
}

static bool sync_name(const struct audit *a, struct ks_error *err)
{
	const char *slash = strrchr(a->path, '/');
	KS_STRING above = NULL;
	KS_FD dir = -1;

	if (!ks_string_print(&above, err, "%.*s.", slash ? (int)(slash - a->path + 1) : 0, a->path))
		return false;
	dir = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		ks_fail_errno(err, "open directory");
	return (dir >= 0 && ks_dir_sync_name(dir, a->fd, err)) || ks_at(err, a->path);
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
	JSON line = begin(a, "begin");
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
	/* Whoever puts down the first line has seen to the name before: behind others it is on disk. */
	return (st.st_size || sync_name(a, err)) && put(a, &line, err) && sync_log(a, err);
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

static bool record(struct audit *audit, const struct json *line)
{
	struct ks_error err;

	/* Nothing behind a gap: a log that has its end is whole. */
	if (audit->broken)
		return false;
	if (put(audit, line, &err))
		return true;
	audit->error = err;
	audit->broken = true;
	return false;
}

static struct json signer_json(X509 *cert)
{
	struct json o = json_begin();
	KS_CERT_TEXT text = { 0 };
	struct ks_error err;

	if (ks_cert_describe(cert, &text, &err)) {
		add_text(&o, "subject", text.subject);
		add_text(&o, "key_id", text.key_id);
		add_text(&o, "serial", text.serial);
	} else if (err.sys == ENOMEM) {
		o.whole = false;
	}
	return o;
}

static void add_signers(struct json *o, const struct ks_sign_record *r)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; all && r && i < r->count; i++) {
		struct json signer = signer_json(r->cert[i]);

		if (signer.whole && json_object_array_add(all, signer.object) == 0)
			continue;
		json_free(&signer);
		o->whole = false;
	}
	json_add(o, "signers", all);
}

void audit_module(struct audit *audit, const struct audit_module *entry)
{
	const struct ks_sign_record *r = entry->record;
	JSON o = begin(audit, "module");

	add_text(&o, "kernel", entry->kernel);
	add_text(&o, "root", entry->root);
	add_text(&o, "path", entry->path);
	add_text(&o, "hash", r ? r->hash : NULL);
	add_text(&o, "digest", r ? r->digest : NULL);
	add_signers(&o, r);
	add_text(&o, "result", entry->result);
	add_text(&o, "error", entry->error);
	(void)record(audit, &o);
}

bool audit_close(struct audit *audit, const char *counts, int status, struct ks_error *err)
{
	JSON o = begin(audit, "end");
	bool ok;

	add_text(&o, "result", counts);
	json_add(&o, "status", json_object_new_int(status));
	add_text(&o, "error", status ? report_first_error() : NULL);
	ok = record(audit, &o);
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
