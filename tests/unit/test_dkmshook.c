/* SPDX-License-Identifier: MIT */
/* Our files and links in /etc/dkms: written, renewed and removed, and nobody else's ever touched. */
#include "fixture.h"

#include <errno.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/dkmshook.h"

#define DKMS "root/etc/dkms"

static char root[PATH_MAX + 32];

static const struct ks_dkms_file *const drop_in = &ks_dkms_files[0];
static const struct ks_dkms_file *const conf = &ks_dkms_files[1];
static const struct ks_dkms_file *const script = &ks_dkms_files[2];

static int hook_make(void **state)
{
	int failed = scratch_make(state);

	snprintf(root, sizeof(root), "%s/root", scratch);
	make_dirs(in_scratch(DKMS));
	return failed;
}

#define hook_test(name) cmocka_unit_test_setup_teardown(name, hook_make, scratch_remove)

static const char *at(const struct ks_dkms_file *file)
{
	return in_scratch("root%s", file->path);
}

static enum ks_dkms_state state_of(const struct ks_dkms_file *file)
{
	enum ks_dkms_state state;

	assert_ok(ks_dkms_file_state(root, file, &state, &error));
	return state;
}

/* Sets or removes the file; what there was before. */
static enum ks_dkms_state set(const struct ks_dkms_file *file, bool remove, bool dry_run)
{
	enum ks_dkms_state before;

	assert_ok(ks_dkms_file_set(root, file, remove, dry_run, &before, &error));
	return before;
}

static void cannot_set(const struct ks_dkms_file *file, bool remove, enum ks_code code)
{
	enum ks_dkms_state before;

	assert_fails(ks_dkms_file_set(root, file, remove, false, &before, &error), code);
	assert_says("/etc/dkms");
}

static void assert_untouched(const char *path, const struct stat *before)
{
	struct stat now = stat_of(path);

	assert_int_equal(now.st_ino, before->st_ino);
	assert_int_equal(now.st_mode, before->st_mode);
	assert_int_equal(now.st_size, before->st_size);
	assert_memory_equal(&now.st_mtim, &before->st_mtim, sizeof(now.st_mtim));
	assert_memory_equal(&now.st_ctim, &before->st_ctim, sizeof(now.st_ctim));
}

/* The file's last line by the words of the manual, made here anew: TEXT and the seal over it. */
static void seal(struct ks_buf *file, const char *text)
{
	static const char words[] = "# Written by kernel-sign, sha256 of the lines above: ";
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[3];

	SHA256((const unsigned char *)text, strlen(text), digest);
	assert_ok(ks_buf_append(file, text, strlen(text), &error));
	assert_ok(ks_buf_append(file, words, strlen(words), &error));
	for (size_t i = 0; i < sizeof(digest); i++) {
		snprintf(hex, sizeof(hex), "%02x", digest[i]);
		assert_ok(ks_buf_append(file, hex, 2, &error));
	}
	assert_ok(ks_buf_append(file, "\n", 1, &error));
}

static void write_sealed(const char *path, const char *text, mode_t mode)
{
	KS_BUF file = { 0 };

	seal(&file, text);
	write_file(path, ks_buf_view(&file));
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_ours(const struct ks_dkms_file *file)
{
	KS_BUF wanted = { 0 };

	seal(&wanted, file->text);
	assert_content(at(file), ks_buf_view(&wanted));
	assert_int_equal(stat_of(at(file)).st_mode, S_IFREG | file->mode);
	assert_int_equal(state_of(file), KS_DKMS_PRESENT);
}

/* --- files ---------------------------------------------------------------------------------- */

static void there_are_three(void **state)
{
	(void)state;
	assert_string_equal(drop_in->path, "/etc/dkms/framework.conf.d/kernel-sign.conf");
	assert_string_equal(conf->path, "/etc/dkms/kernel-sign.conf");
	assert_string_equal(script->path, "/etc/dkms/kernel-sign.sh");
	assert_true(drop_in->drop_in && !conf->drop_in && !script->drop_in);
	assert_non_null(strstr(drop_in->text, "/kernel-sign/sign-file\"\n"));
	assert_non_null(strstr(script->text, "\nprogram=/"));
	assert_int_equal(strncmp(script->text, "#!/bin/sh\n", 10), 0);
	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		assert_null(strchr(ks_dkms_files[i].text, '@') ?
				    strstr(ks_dkms_files[i].text, "dir@") :
				    NULL);
}

static void files_are_written_with_their_mode_and_removed(void **state)
{
	mode_t mask = umask(077);

	(void)state;
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		assert_int_equal(state_of(&ks_dkms_files[i]), KS_DKMS_ABSENT);
		assert_int_equal(set(&ks_dkms_files[i], false, false), KS_DKMS_ABSENT);
		assert_ours(&ks_dkms_files[i]);
	}
	umask(mask);
	assert_int_equal(count_entries(in_scratch(DKMS)), 3);
	assert_int_equal(count_entries(in_scratch(DKMS "/framework.conf.d")), 1);
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		assert_int_equal(set(&ks_dkms_files[i], true, false), KS_DKMS_PRESENT);
		assert_int_equal(state_of(&ks_dkms_files[i]), KS_DKMS_ABSENT);
		assert_int_equal(set(&ks_dkms_files[i], true, false), KS_DKMS_ABSENT);
	}
	assert_int_equal(count_entries(in_scratch(DKMS)), 1);
	assert_int_equal(count_entries(in_scratch(DKMS "/framework.conf.d")), 0);
}

static void what_is_there_already_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		struct stat before;

		set(&ks_dkms_files[i], false, false);
		before = stat_of(at(&ks_dkms_files[i]));
		assert_int_equal(set(&ks_dkms_files[i], false, false), KS_DKMS_PRESENT);
		assert_untouched(at(&ks_dkms_files[i]), &before);
	}
}

static void a_dry_run_writes_and_removes_nothing(void **state)
{
	struct stat before;

	(void)state;
	for (size_t i = 0; i < KS_DKMS_FILES; i++)
		assert_int_equal(set(&ks_dkms_files[i], false, true), KS_DKMS_ABSENT);
	assert_int_equal(count_entries(in_scratch(DKMS)), 0);
	write_sealed(at(script), "old\n", 0755);
	before = stat_of(at(script));
	assert_int_equal(set(script, false, true), KS_DKMS_OLDER);
	assert_int_equal(set(script, true, true), KS_DKMS_OLDER);
	assert_untouched(at(script), &before);
}

static void older_ones_are_renewed_or_removed(void **state)
{
	static const char *const texts[] = { "#!/bin/sh\nold\n", "", "no newline at its end" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		write_sealed(at(script), texts[i], 0755);
		assert_int_equal(state_of(script), KS_DKMS_OLDER);
		assert_int_equal(set(script, false, false), KS_DKMS_OLDER);
		assert_ours(script);
		write_sealed(at(script), texts[i], 0755);
		assert_int_equal(set(script, true, false), KS_DKMS_OLDER);
		assert_int_equal(state_of(script), KS_DKMS_ABSENT);
	}
	assert_int_equal(count_entries(in_scratch(DKMS)), 0);
}

/* What stands at a file's name is nobody of ours, and neither writing nor removing changes it. */
static void assert_foreign(const struct ks_dkms_file *file)
{
	struct stat before = stat_of(at(file));

	assert_int_equal(state_of(file), KS_DKMS_FOREIGN);
	cannot_set(file, false, KS_ERR_INPUT);
	assert_says(file->path);
	assert_says("left alone");
	cannot_set(file, true, KS_ERR_INPUT);
	assert_says(file->path);
	assert_untouched(at(file), &before);
}

/* Each byte, so that none of text, seal or newline goes without being looked at. */
static void an_edited_file_is_somebody_else_s(void **state)
{
	KS_BUF ours = { 0 };

	(void)state;
	seal(&ours, script->text);
	for (size_t i = 0; i < ours.len; i += i + 200 < ours.len ? 17 : 1) {
		ours.data[i] ^= 1;
		write_file(at(script), ks_buf_view(&ours));
		assert_int_equal(chmod(at(script), 0755), 0);
		assert_foreign(script);
		ours.data[i] ^= 1;
	}
}

static void longer_and_shorter_ones_are_somebody_else_s(void **state)
{
	char text[200] = "";
	KS_BUF ours = { 0 };
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		write_text(at(conf), text);
		assert_foreign(conf);
		text[i] = i + 1 < sizeof(text) ? 'x' : '\0';
	}
	seal(&ours, conf->text);
	len = ours.len;
	for (ours.len = 0; ours.len < len; ours.len += ours.len + 150 < len ? 101 : 1) {
		write_file(at(conf), ks_buf_view(&ours));
		assert_foreign(conf);
	}
	assert_ok(ks_buf_append(&ours, "\n", 1, &error));
	write_file(at(conf), ks_buf_view(&ours));
	assert_foreign(conf);
	write_text(at(conf), "# the administrator's own\n");
	assert_foreign(conf);
}

/* DKMS warns of such a hook and goes on: it holds nothing. */
static void a_script_that_is_not_executable_is_no_hook(void **state)
{
	bool there;

	(void)state;
	set(conf, false, false);
	set(script, false, false);
	assert_int_equal(chmod(at(script), 0644), 0);
	assert_foreign(script);
	assert_ok(ks_dkms_hook_is_there(root, &there, &error));
	assert_false(there);
	assert_int_equal(chmod(at(script), 0700), 0);
	assert_int_equal(state_of(script), KS_DKMS_PRESENT);
}

static void links_at_our_names_are_somebody_else_s(void **state)
{
	(void)state;
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		const struct ks_dkms_file *file = &ks_dkms_files[i];
		struct stat before;

		/* Even one that leads to just what would be written. */
		write_sealed(in_scratch("root/srv/%zu", i), file->text, file->mode);
		before = stat_of(in_scratch("root/srv/%zu", i));
		make_link(in_scratch("root/srv/%zu", i) + strlen(root), at(file));
		assert_foreign(file);
		assert_untouched(in_scratch("root/srv/%zu", i), &before);
		assert_int_equal(unlink(at(file)), 0);
		make_link("/nowhere", at(file));
		assert_foreign(file);
		assert_int_equal(access(in_scratch("root/nowhere"), F_OK), -1);
	}
}

static void directories_and_pipes_at_our_names(void **state)
{
	(void)state;
	make_dirs(at(conf));
	assert_foreign(conf);
	assert_int_equal(mkfifo(at(script), 0755), 0);
	alarm(20);
	assert_foreign(script);
	alarm(0);
}

static void without_dkms_nothing_is_made(void **state)
{
	(void)state;
	assert_int_equal(rmdir(in_scratch(DKMS)), 0);
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		assert_int_equal(state_of(&ks_dkms_files[i]), KS_DKMS_ABSENT);
		cannot_set(&ks_dkms_files[i], false, KS_ERR_MISSING);
		assert_int_equal(set(&ks_dkms_files[i], true, false), KS_DKMS_ABSENT);
	}
	assert_int_equal(count_entries(in_scratch("root/etc")), 0);
	assert_int_equal(rmdir(in_scratch("root/etc")), 0);
	cannot_set(drop_in, false, KS_ERR_MISSING);
	cannot_set(conf, false, KS_ERR_MISSING);
	assert_int_equal(count_entries(root), 0);
}

static void nothing_leaves_the_root(void **state)
{
	(void)state;
	assert_int_equal(rmdir(in_scratch(DKMS)), 0);
	make_dirs(in_scratch("root/srv/dkms"));
	make_dirs(in_scratch("root/srv/drop-ins"));
	make_dirs(in_scratch("srv/dkms"));
	make_link("/srv/dkms", in_scratch(DKMS));
	make_link("../../../../../../srv/drop-ins", in_scratch("root/srv/dkms/framework.conf.d"));
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		set(&ks_dkms_files[i], false, false);
		assert_int_equal(state_of(&ks_dkms_files[i]), KS_DKMS_PRESENT);
	}
	assert_int_equal(count_entries(in_scratch("root/srv/dkms")), 3);
	assert_int_equal(count_entries(in_scratch("root/srv/drop-ins")), 1);
	assert_int_equal(count_entries(in_scratch("srv")), 1);
	assert_int_equal(count_entries(in_scratch("srv/dkms")), 0);
}

static void what_is_in_the_directory_s_place(void **state)
{
	(void)state;
	write_text(in_scratch(DKMS "/framework.conf.d"), "x");
	cannot_set(drop_in, false, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, ENOTDIR);
	assert_int_equal(unlink(in_scratch(DKMS "/framework.conf.d")), 0);
	assert_int_equal(rmdir(in_scratch(DKMS)), 0);
	write_text(in_scratch(DKMS), "x");
	for (size_t i = 0; i < KS_DKMS_FILES; i++) {
		cannot_set(&ks_dkms_files[i], false, KS_ERR_SYSTEM);
		assert_int_equal(error.sys, ENOTDIR);
	}
	assert_content(in_scratch(DKMS), text_view("x"));
}

/* As on a full disk: the first part of a file fits, the rest does not. */
static void no_room_leaves_nothing_behind(void **state)
{
	struct rlimit before, little;
	struct stat old;

	(void)state;
	write_sealed(at(script), "old\n", 0755);
	old = stat_of(at(script));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	little.rlim_cur = 100;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	cannot_set(conf, false, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, EFBIG);
	cannot_set(script, false, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_untouched(at(script), &old);
	assert_int_equal(count_entries(in_scratch(DKMS)), 1);
}

static bool is_refused(bool done)
{
	return !done && (error.sys == EACCES || error.sys == EPERM) &&
	       strstr(error.text, "/etc/dkms");
}

static int change_read_only(void *arg)
{
	enum ks_dkms_state before;

	(void)arg;
	if (!access(in_scratch(DKMS), W_OK))
		return 1;
	if (!is_refused(ks_dkms_file_set(root, drop_in, false, false, &before, &error)))
		return 2;
	if (!is_refused(ks_dkms_file_set(root, script, false, false, &before, &error)))
		return 3;
	if (!is_refused(ks_dkms_file_set(root, conf, true, false, &before, &error)))
		return 4;
	if (!is_refused(ks_dkms_link_set(root, "new", false, false, &before, &error)))
		return 5;
	return is_refused(ks_dkms_link_set(root, "old", true, false, &before, &error)) ? 0 : 6;
}

static void a_directory_that_may_not_be_written(void **state)
{
	(void)state;
	set(conf, false, false);
	write_sealed(at(script), "old\n", 0755);
	make_link("kernel-sign.conf", in_scratch(DKMS "/old.conf"));
	assert_int_equal(chmod(in_scratch(DKMS), 0555), 0);
	assert_int_equal(run_as_nobody(change_read_only, NULL), 0);
	assert_int_equal(chmod(in_scratch(DKMS), 0755), 0);
	assert_int_equal(state_of(conf), KS_DKMS_PRESENT);
	assert_int_equal(state_of(script), KS_DKMS_OLDER);
	assert_int_equal(count_entries(in_scratch(DKMS)), 3);
}

static int look_at_closed(void *arg)
{
	enum ks_dkms_state state;

	(void)arg;
	if (!access(at(conf), R_OK))
		return 1;
	return is_refused(ks_dkms_file_state(root, conf, &state, &error)) ? 0 : 2;
}

static void a_file_that_may_not_be_read_is_not_guessed_at(void **state)
{
	(void)state;
	set(conf, false, false);
	assert_int_equal(chmod(at(conf), 0), 0);
	assert_int_equal(run_as_nobody(look_at_closed, NULL), 0);
}

/* --- links ---------------------------------------------------------------------------------- */

static enum ks_dkms_state link_state(const char *package)
{
	enum ks_dkms_state state;

	assert_ok(ks_dkms_link_state(root, package, &state, &error));
	return state;
}

static enum ks_dkms_state set_link(const char *package, bool remove, bool dry_run)
{
	enum ks_dkms_state before;

	assert_ok(ks_dkms_link_set(root, package, remove, dry_run, &before, &error));
	return before;
}

static void cannot_set_link(const char *package, bool remove, enum ks_code code)
{
	enum ks_dkms_state before;

	assert_fails(ks_dkms_link_set(root, package, remove, false, &before, &error), code);
}

static void assert_link(const char *path, const char *wanted)
{
	char target[PATH_MAX];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	assert_true(len >= 0);
	target[len] = '\0';
	assert_string_equal(target, wanted);
}

static void names_of_links(void **state)
{
	static const char *const bad[] = { "",	   ".",	   "..",	  ".hidden",  "a/b",
					   "/abs", "../x", "kernel-sign", "framework" };
	KS_STRING path = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		KS_STRING none = NULL;

		assert_fails(ks_dkms_link_path(bad[i], &none, &error), KS_ERR_USAGE);
		cannot_set_link(bad[i], false, KS_ERR_USAGE);
		cannot_set_link(bad[i], true, KS_ERR_USAGE);
	}
	assert_ok(ks_dkms_link_path("a b\n\xff", &path, &error));
	assert_string_equal(path, "/etc/dkms/a b\n\xff.conf");
	assert_int_equal(count_entries(in_scratch(DKMS)), 0);
	assert_int_equal(count_entries(in_scratch("root/etc")), 1);
}

static void links_are_made_and_removed(void **state)
{
	static const char *const names[] = { "m", "a b", "x\n\xff", "-n", "kernel-sign2" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *path = in_scratch(DKMS "/%s.conf", names[i]);
		struct stat before;

		assert_int_equal(set_link(names[i], false, true), KS_DKMS_ABSENT);
		assert_int_equal(count_entries(in_scratch(DKMS)), 0);
		assert_int_equal(set_link(names[i], false, false), KS_DKMS_ABSENT);
		assert_link(path, "kernel-sign.conf");
		before = stat_of(path);
		assert_int_equal(set_link(names[i], false, false), KS_DKMS_PRESENT);
		assert_int_equal(set_link(names[i], true, true), KS_DKMS_PRESENT);
		assert_untouched(path, &before);
		assert_int_equal(set_link(names[i], true, false), KS_DKMS_PRESENT);
		assert_int_equal(set_link(names[i], true, false), KS_DKMS_ABSENT);
		assert_int_equal(count_entries(in_scratch(DKMS)), 0);
	}
}

static void whose_link_it_is(void **state)
{
	static const char *const ours[] = { "kernel-sign.conf", "./kernel-sign.conf",
					    "/etc/dkms/kernel-sign.conf" };
	static const char *const others[] = { "other.conf",
					      "kernel-sign.conf.old",
					      "../kernel-sign.conf",
					      "/etc/kernel-sign.conf",
					      "x/kernel-sign.conf",
					      "kernel-sign.con",
					      "/dkms/kernel-sign.conf" };

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		make_link(ours[i], in_scratch(DKMS "/m.conf"));
		assert_int_equal(set_link("m", true, false), KS_DKMS_PRESENT);
		assert_int_equal(link_state("m"), KS_DKMS_ABSENT);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		make_link(others[i], in_scratch(DKMS "/m.conf"));
		assert_int_equal(link_state("m"), KS_DKMS_FOREIGN);
		cannot_set_link("m", false, KS_ERR_INPUT);
		assert_says("/etc/dkms/m.conf: ");
		cannot_set_link("m", true, KS_ERR_INPUT);
		assert_link(in_scratch(DKMS "/m.conf"), others[i]);
		assert_int_equal(unlink(in_scratch(DKMS "/m.conf")), 0);
	}
}

static void a_file_that_reads_ours_does_as_well(void **state)
{
	static const struct {
		const char *text;
		enum ks_dkms_state state;
	} rows[] = {
		{ ". /etc/dkms/kernel-sign.conf\n", KS_DKMS_SOURCED },
		{ ". /etc/dkms/kernel-sign.conf", KS_DKMS_SOURCED },
		{ "source /etc/dkms/kernel-sign.conf\n", KS_DKMS_SOURCED },
		{ "source\t\"/etc/dkms/kernel-sign.conf\"\n", KS_DKMS_SOURCED },
		{ ".  '/etc/dkms/kernel-sign.conf' # why\n", KS_DKMS_SOURCED },
		{ "A=1\n\t . /etc/dkms/kernel-sign.conf;\nB=2\n", KS_DKMS_SOURCED },
		{ "", KS_DKMS_FOREIGN },
		{ "POST_BUILD=x\n", KS_DKMS_FOREIGN },
		{ "# . /etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ "echo . /etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ "./etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ "source/etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ "sources /etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ ".. /etc/dkms/kernel-sign.conf\n", KS_DKMS_FOREIGN },
		{ ". /etc/dkms/kernel-sign.conf.old\n", KS_DKMS_FOREIGN },
		{ ". /etc/dkms/kernel-sign.conf2\n", KS_DKMS_FOREIGN },
		{ ". /etc/dkms/other.conf\n", KS_DKMS_FOREIGN },
		{ ". \n", KS_DKMS_FOREIGN },
		{ ".", KS_DKMS_FOREIGN },
		{ "source", KS_DKMS_FOREIGN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		write_text(in_scratch(DKMS "/m.conf"), rows[i].text);
		if (link_state("m") != rows[i].state)
			fail_msg("row %zu: %d", i, (int)link_state("m"));
		if (rows[i].state == KS_DKMS_SOURCED)
			assert_int_equal(set_link("m", false, false), KS_DKMS_SOURCED);
		else
			cannot_set_link("m", false, KS_ERR_INPUT);
		cannot_set_link("m", true, KS_ERR_INPUT);
		assert_content(in_scratch(DKMS "/m.conf"), text_view(rows[i].text));
	}
}

/* What is to be done about it is said: the one line that does it. */
static void advice_for_a_file_of_somebody_else_s(void **state)
{
	(void)state;
	write_text(in_scratch(DKMS "/m.conf"), "x\n");
	cannot_set_link("m", false, KS_ERR_INPUT);
	assert_says("'. /etc/dkms/kernel-sign.conf'");
	make_dirs(in_scratch(DKMS "/d.conf"));
	assert_int_equal(link_state("d"), KS_DKMS_FOREIGN);
	cannot_set_link("d", true, KS_ERR_INPUT);
	assert_int_equal(mkfifo(in_scratch(DKMS "/p.conf"), 0644), 0);
	alarm(20);
	assert_int_equal(link_state("p"), KS_DKMS_FOREIGN);
	alarm(0);
}

static void without_a_directory_there_is_no_link(void **state)
{
	(void)state;
	assert_int_equal(rmdir(in_scratch(DKMS)), 0);
	assert_int_equal(link_state("m"), KS_DKMS_ABSENT);
	assert_int_equal(set_link("m", true, false), KS_DKMS_ABSENT);
	cannot_set_link("m", false, KS_ERR_SYSTEM);
	assert_int_equal(error.sys, ENOENT);
	assert_int_equal(count_entries(in_scratch("root/etc")), 0);
}

/* --- both together -------------------------------------------------------------------------- */

static bool hook_is_there(void)
{
	bool there;

	assert_ok(ks_dkms_hook_is_there(root, &there, &error));
	return there;
}

static void the_hook_is_two_files(void **state)
{
	(void)state;
	assert_false(hook_is_there());
	set(drop_in, false, false);
	assert_false(hook_is_there());
	set(conf, false, false);
	assert_false(hook_is_there());
	set(script, false, false);
	assert_true(hook_is_there());
	set(conf, true, false);
	assert_false(hook_is_there());
	write_sealed(at(conf), "old\n", 0644);
	assert_true(hook_is_there());
	write_text(at(conf), "somebody's\n");
	assert_false(hook_is_there());
}

static void assert_list(const struct ks_strings *list, const char *const *wanted, size_t n)
{
	for (size_t i = 0; i < list->count && i < n; i++)
		assert_string_equal(list->item[i], wanted[i]);
	assert_int_equal(list->count, n);
}

#define ASSERT_LIST(list, ...)                                  \
	assert_list(list, (const char *const[]){ __VA_ARGS__ }, \
		    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void ungated_is_what_has_no_link(void **state)
{
	static const char *const packages[] = { "bare", "linked", "sourced", "taken" };
	KS_STRINGS before = { 0 };
	KS_STRINGS after = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(packages) / sizeof(*packages); i++)
		make_dirs(in_scratch("root/var/lib/dkms/%s/1/source", packages[i]));
	set_link("linked", false, false);
	write_text(in_scratch(DKMS "/sourced.conf"), ". /etc/dkms/kernel-sign.conf\n");
	write_text(in_scratch(DKMS "/taken.conf"), "x\n");
	/* Without the hook nobody has asked for a gate. */
	assert_ok(ks_dkms_ungated(root, &before, &error));
	assert_int_equal(before.count, 0);
	set(conf, false, false);
	set(script, false, false);
	assert_ok(ks_dkms_ungated(root, &after, &error));
	ASSERT_LIST(&after, "bare", "taken");
}

static void links_of_ours_are_listed_and_no_others(void **state)
{
	KS_STRINGS none = { 0 };
	KS_STRINGS links = { 0 };

	(void)state;
	assert_ok(ks_dkms_links(root, &none, &error));
	set(conf, false, false);
	set(script, false, false);
	set(drop_in, false, false);
	assert_ok(ks_dkms_links(root, &none, &error));
	assert_int_equal(none.count, 0);
	/* A dash sorts before the dot of ".conf", and a name ends before it. */
	set_link("a", false, false);
	set_link("a-b", false, false);
	set_link("x\n\xff", false, false);
	make_link("kernel-sign.conf", in_scratch(DKMS "/.hidden.conf"));
	make_link("kernel-sign.conf", in_scratch(DKMS "/no-suffix"));
	make_link("other", in_scratch(DKMS "/other.conf"));
	write_text(in_scratch(DKMS "/sourced.conf"), ". /etc/dkms/kernel-sign.conf\n");
	assert_ok(ks_dkms_links(root, &links, &error));
	ASSERT_LIST(&links, "a", "a-b", "x\n\xff");
	assert_int_equal(rename(in_scratch(DKMS), in_scratch("away")), 0);
	assert_ok(ks_dkms_links(root, &none, &error));
	assert_int_equal(none.count, 0);
}

static void no_descriptor_is_left_open(void **state)
{
	size_t before = count_entries("/proc/self/fd");

	(void)state;
	for (int i = 0; i < 3; i++) {
		KS_STRINGS links = { 0 };

		set(drop_in, i % 2, false);
		set(script, i % 2, false);
		set_link("m", i % 2, false);
		hook_is_there();
		assert_ok(ks_dkms_links(root, &links, &error));
	}
	make_dirs(at(conf));
	cannot_set(conf, false, KS_ERR_INPUT);
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		hook_test(there_are_three),
		hook_test(files_are_written_with_their_mode_and_removed),
		hook_test(what_is_there_already_stays),
		hook_test(a_dry_run_writes_and_removes_nothing),
		hook_test(older_ones_are_renewed_or_removed),
		hook_test(an_edited_file_is_somebody_else_s),
		hook_test(longer_and_shorter_ones_are_somebody_else_s),
		hook_test(a_script_that_is_not_executable_is_no_hook),
		hook_test(links_at_our_names_are_somebody_else_s),
		hook_test(directories_and_pipes_at_our_names),
		hook_test(without_dkms_nothing_is_made),
		hook_test(nothing_leaves_the_root),
		hook_test(what_is_in_the_directory_s_place),
		hook_test(no_room_leaves_nothing_behind),
		hook_test(a_directory_that_may_not_be_written),
		hook_test(a_file_that_may_not_be_read_is_not_guessed_at),
		hook_test(names_of_links),
		hook_test(links_are_made_and_removed),
		hook_test(whose_link_it_is),
		hook_test(a_file_that_reads_ours_does_as_well),
		hook_test(advice_for_a_file_of_somebody_else_s),
		hook_test(without_a_directory_there_is_no_link),
		hook_test(the_hook_is_two_files),
		hook_test(ungated_is_what_has_no_link),
		hook_test(links_of_ours_are_listed_and_no_others),
		hook_test(no_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
