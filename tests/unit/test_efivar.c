/* SPDX-License-Identifier: MIT */
/* Variables of the firmware and of shim: there, not there, and not to be read. */
#include "fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/efivar.h"

static void expect_variable(const char *dir, const char *name, const char *guid, const char *value)
{
	KS_BUF data = { 0 };
	bool is_there = false;

	assert_ok(ks_efivar_read(scratch, dir, name, guid, &data, &is_there, &error));
	assert_true(is_there);
	assert_view_equal(ks_buf_view(&data), text_view(value));
}

static void expect_none(const char *dir, const char *name, const char *guid)
{
	KS_BUF data = { 0 };
	bool is_there = true;

	assert_ok(ks_efivar_read(scratch, dir, name, guid, &data, &is_there, &error));
	assert_false(is_there);
}

static void variables_of_efivarfs(void **state)
{
	(void)state;
	write_file(in_scratch("%s/db-%s", KS_EFIVARS, KS_EFI_SECURITY),
		   ks_view_of("\x27\0\0\0value", 9));
	write_file(in_scratch("%s/dbx-%s", KS_EFIVARS, KS_EFI_SECURITY),
		   ks_view_of("\x27\0\0\0", 4));
	write_text(in_scratch("%s/MokNew-%s", KS_EFIVARS, KS_EFI_SHIM), "");
	expect_variable(KS_EFIVARS, "db", KS_EFI_SECURITY, "value");
	expect_variable(KS_EFIVARS, "dbx", KS_EFI_SECURITY, "");
	expect_none(KS_EFIVARS, "MokNew", KS_EFI_SHIM);
	expect_none(KS_EFIVARS, "MokDel", KS_EFI_SHIM);
	expect_none(KS_EFIVARS, "db", KS_EFI_GLOBAL);
	expect_none("/sys/firmware/other", "db", KS_EFI_SECURITY);
	write_text(in_scratch("file"), "");
	expect_none("/file", "db", KS_EFI_SECURITY);
}

static void variables_of_shim_s_table(void **state)
{
	(void)state;
	write_text(in_scratch("%s/MokListRT", KS_MOK_VARIABLES), "all of it");
	write_text(in_scratch("%s/MokListXRT", KS_MOK_VARIABLES), "");
	expect_variable(KS_MOK_VARIABLES, "MokListRT", NULL, "all of it");
	expect_variable(KS_MOK_VARIABLES, "MokListXRT", NULL, "");
	expect_none(KS_MOK_VARIABLES, "MokIgnoreDB", NULL);
}

static void variables_that_are_none(void **state)
{
	KS_BUF data = { 0 };
	bool is_there;

	(void)state;
	write_text(in_scratch("vars/short-guid"), "abc");
	assert_fails(ks_efivar_read(scratch, "/vars", "short", "guid", &data, &is_there, &error),
		     KS_ERR_INPUT);
	assert_says("/vars/short-guid: 3 bytes");
	make_dirs(in_scratch("vars/dir-guid"));
	data.len = 0;
	assert_fails(ks_efivar_read(scratch, "/vars", "dir", "guid", &data, &is_there, &error),
		     KS_ERR_INPUT);
	assert_says("/vars/dir-guid: a directory");
}

enum { DENIED = 10, READ, OTHER };

static int read_denied(void *arg)
{
	struct ks_error denied = { 0 };
	KS_BUF data = { 0 };
	bool is_there;

	(void)arg;
	if (!access(in_scratch("vars/secret-guid"), R_OK))
		return OTHER;
	if (ks_efivar_read(scratch, "/vars", "secret", "guid", &data, &is_there, &denied))
		return READ;
	return denied.code == KS_ERR_SYSTEM && denied.sys == EACCES &&
			       strstr(denied.text, "/vars/secret-guid: ") ?
		       DENIED :
		       OTHER;
}

static void what_may_not_be_read_is_not_missing(void **state)
{
	(void)state;
	write_text(in_scratch("vars/secret-guid"), "\7...value");
	assert_int_equal(chmod(in_scratch("vars/secret-guid"), 0), 0);
	assert_int_equal(chmod(scratch, 0755), 0);
	assert_int_equal(run_as_nobody(read_denied, NULL), DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(variables_of_efivarfs),
		scratch_test(variables_of_shim_s_table),
		scratch_test(variables_that_are_none),
		scratch_test(what_may_not_be_read_is_not_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
