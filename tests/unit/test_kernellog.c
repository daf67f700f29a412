/* SPDX-License-Identifier: MIT */
/* The kernel's log, out of plain files of records made by hand. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kernellog.h"

#define UNSIGNED "Loading of unsigned module is rejected"
#define NO_KEY "Loading of module with unavailable key is rejected"

enum { MANY = 1000 };

static void append_text(struct ks_buf *buf, const char *text)
{
	assert_ok(ks_buf_append(buf, text, strlen(text), &error));
}

/* Of the kernel's own, from its 16th microsecond on. */
static void put_record(struct ks_buf *file, unsigned int sequence, const char *text)
{
	char head[40];

	snprintf(head, sizeof(head), "5,%u,%u,-;", sequence, 16 + sequence);
	append_text(file, head);
	append_text(file, text);
	append_text(file, "\n");
}

static void read_bytes(const struct ks_buf *file, size_t most, struct ks_kernellog *log)
{
	write_file(in_scratch("dev/kmsg"), ks_buf_view(file));
	assert_ok(ks_kernellog_read(scratch, most, log, &error));
	assert_null(log->unread);
}

static void read_text(const char *records, struct ks_kernellog *log)
{
	KS_BUF file = { 0 };

	append_text(&file, records);
	read_bytes(&file, MANY, log);
}

static void assert_line(const struct ks_kernellog *log, size_t i, enum ks_log_cause cause,
			const char *text)
{
	assert_true(i < log->count);
	assert_int_equal(log->line[i].cause, cause);
	assert_string_equal(log->line[i].text, text);
}

/* --- texts ---------------------------------------------------------------------------------- */

/* As kernels print them, with names and numbers put in. */
static const struct {
	enum ks_log_cause cause;
	const char *module, *text;
} texts[] = {
	{ KS_LOG_UNSIGNED, NULL, "Loading of unsigned module is rejected" },
	{ KS_LOG_NO_KEY, NULL, "Loading of module with unavailable key is rejected" },
	{ KS_LOG_NO_CRYPTO, NULL, "Loading of module with unsupported crypto is rejected" },
	{ KS_LOG_UNSIGNED, "vboxdrv", "vboxdrv: Loading of unsigned module is rejected" },
	{ KS_LOG_NO_KEY, "zfs", "zfs: Loading of module with unavailable key is rejected" },
	{ KS_LOG_NO_CRYPTO, "zfs", "zfs: Loading of module with unsupported crypto is rejected" },
	{ KS_LOG_LOCKDOWN, NULL,
	  "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7" },
	{ KS_LOG_LOCKDOWN, NULL,
	  "Lockdown: a: b: unsigned module loading is restricted; see man kernel_lockdown.7" },
	{ KS_LOG_LOCKDOWN, NULL,
	  "Lockdown: modprobe: unsigned module loading is restricted; see "
	  "https://wiki.debian.org/SecureBoot" },
	{ KS_LOG_LOCKDOWN, NULL,
	  "Lockdown: insmod: Loading of unsigned module is restricted; see man kernel_lockdown.7" },
	{ KS_LOG_TAINTS, "nvidia",
	  "nvidia: module verification failed: signature and/or required key missing - tainting "
	  "kernel" },
	{ KS_LOG_REVOKED, NULL,
	  "Module hash d6a2f2d0b3b6e1c0f6dd8f4c0b9a6bb3a4e0f0a7d4e8f0b8a8c2b3a4d5e6f708 is "
	  "blacklisted" },
	{ KS_LOG_SHUT_OUT, "pcspkr", "Module pcspkr is blacklisted" },
	{ KS_LOG_TRAILER, NULL, "module: PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NULL, "module: not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, NULL, "MODULE_CHECK: not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, NULL,
	  "MODULE_CHECK: PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NULL, "PKCS#7 signature info has unexpected non-zero params" },
	{ KS_LOG_TRAILER, NULL, "Module is not signed with expected PKCS#7 message" },
	{ KS_LOG_TRAILER, "zfs", "zfs: Module is not signed with expected PKCS#7 message" },
	{ KS_LOG_NO_KEY, NULL, "PKCS#7 signature not signed with a trusted key" },
	{ KS_LOG_MESSAGE, NULL, "PKCS#7 signature with non-detached data" },
	{ KS_LOG_MESSAGE, NULL, "PKCS7: Data already supplied" },
	{ KS_LOG_MESSAGE, NULL, "PKCS7: Only support pkcs7_signedData type" },
	{ KS_LOG_MESSAGE, NULL, "PKCS7: Invalid module sig (has authattrs)" },
	{ KS_LOG_NO_CRYPTO, NULL, "Unsupported digest algo: 101" },
	{ KS_LOG_NO_CRYPTO, NULL, "Unsupported pkey algo: 12" },
	{ KS_LOG_CONTAINER, NULL, "decompression failed with status 6" },
	{ KS_LOG_CONTAINER, NULL, "decompression failed with status -3" },
	{ KS_LOG_CONTAINER, NULL, "ZSTD-decompression failed with status 22" },
	{ KS_LOG_CONTAINER, NULL, "ZSTD-compressed data has too large a window size" },
	{ KS_LOG_CONTAINER, NULL, "not a gzip compressed module" },
	{ KS_LOG_CONTAINER, NULL, "not an xz compressed module" },
	{ KS_LOG_CONTAINER, NULL, "not a zstd compressed module" },
	{ KS_LOG_VERSION_MAGIC, "vboxdrv",
	  "vboxdrv: version magic '6.1.0-9-amd64 SMP preempt mod_unload modversions ' should be "
	  "'6.1.0-10-amd64 SMP preempt mod_unload modversions '" },
	{ KS_LOG_SYMBOL_VERSION, "wl", "wl: disagrees about version of symbol module_layout" },
};

enum { TEXTS = sizeof(texts) / sizeof(*texts) };

static void each_text_has_its_cause(void **state)
{
	KS_KERNELLOG log = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	for (unsigned int i = 0; i < TEXTS; i++)
		put_record(&file, i, texts[i].text);
	read_bytes(&file, MANY, &log);
	assert_int_equal(log.count, TEXTS);
	for (size_t i = 0; i < TEXTS; i++) {
		assert_line(&log, i, texts[i].cause, texts[i].text);
		if (texts[i].module)
			assert_string_equal(log.line[i].module, texts[i].module);
		else
			assert_null(log.line[i].module);
	}
	assert_false(log.lost);
}

static void what_is_about_something_else(void **state)
{
	static const char *const others[] = {
		"Loading of unsigned module is rejected.",
		"Loading of unsigned module is reject",
		"No: Loading of something is rejected",
		"Lockdown: cat: /dev/mem,kmem,port is restricted; see man kernel_lockdown.7",
		"Lockdown: modprobe: unsigned module loading is restricted",
		"PKCS7: Unknown OID: [32] 1.2.840.113549.2.5",
		"KEXEC_KERNEL_CHECK: not signed with expected PKCS#7 message",
		"KEXEC_KERNEL_CHECK: PKCS#7 signature info has unexpected non-zero params",
		"module verification failed: signature and/or required key missing - tainting kernel",
		"Loading compiled-in X.509 certificates",
		"Loaded X.509 cert 'Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1'",
		"f/w decompression failed with status 6",
		"loop: module loaded",
		"version magic 'a' should be 'b'",
		"",
		"*",
	};
	KS_KERNELLOG log = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(others) / sizeof(*others); i++)
		put_record(&file, i, others[i]);
	read_bytes(&file, MANY, &log);
	assert_int_equal(log.count, 0);
}

/* --- records -------------------------------------------------------------------------------- */

static void the_last_lines_and_their_times(void **state)
{
	static const size_t wanted[] = { 0, 1, 3, 7, 8 };
	KS_BUF file = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 7; i++)
		put_record(&file, i, texts[i].text);
	for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
		size_t count = wanted[k] < 7 ? wanted[k] : 7;
		KS_KERNELLOG log = { 0 };

		read_bytes(&file, wanted[k], &log);
		assert_int_equal(log.count, count);
		for (size_t i = 0; i < count; i++)
			assert_line(&log, i, texts[7 - count + i].cause, texts[7 - count + i].text);
	}
}

static void times_are_in_seconds(void **state)
{
	KS_KERNELLOG log = { 0 };

	(void)state;
	read_text("5,0,0,-;" UNSIGNED "\n5,1,1500000,-;" UNSIGNED "\n5,2,86400000001,-;" UNSIGNED
		  "\n",
		  &log);
	assert_int_equal(log.count, 3);
	assert_true(log.line[0].seconds == 0 && log.line[1].seconds == 1.5);
	assert_true(log.line[2].seconds > 86400 && log.line[2].seconds < 86400.00001);
}

/* Anybody who may write there could say so; the kernel's own facility nobody else can use. */
static void only_the_kernel_counts(void **state)
{
	KS_KERNELLOG log = { 0 };

	(void)state;
	read_text("13,0,1,-;" UNSIGNED "\n8,1,1,-;" UNSIGNED "\n7,2,1,-;" NO_KEY
		  "\n30,3,1,-;" UNSIGNED "\n",
		  &log);
	assert_int_equal(log.count, 1);
	assert_line(&log, 0, KS_LOG_NO_KEY, NO_KEY);
	assert_false(log.lost);
}

static void fields_to_come_and_properties(void **state)
{
	KS_KERNELLOG log = { 0 };

	(void)state;
	read_text("5,0,1,-,caller=T1,more;" UNSIGNED "\n SUBSYSTEM=x;" NO_KEY "\n DEVICE=+a:b\n"
		  " 5,1,1,-;" NO_KEY "\n5,1,1,c;" NO_KEY,
		  &log);
	assert_int_equal(log.count, 2);
	assert_line(&log, 0, KS_LOG_UNSIGNED, UNSIGNED);
	assert_line(&log, 1, KS_LOG_NO_KEY, NO_KEY);
	assert_false(log.lost);
}

static void no_records(void **state)
{
	static const char *const lines[] = {
		"5,0,1,-",   "5,0,1;",	 "5,0;",      "5;",	    "",
		";",	     ",,,;",	 "-5,0,1,-;", "5, 0,1,-;",  "5,0,-1,-;",
		"+5,0,1,-;", "x,0,1,-;", "5,0,1-;",   "0x5,0,1,-;",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		KS_KERNELLOG log = { 0 };
		KS_BUF file = { 0 };

		append_text(&file, lines[i]);
		append_text(&file, i ? UNSIGNED "\n" : "\n" UNSIGNED "\n");
		put_record(&file, 0, NO_KEY);
		read_bytes(&file, MANY, &log);
		assert_int_equal(log.count, 1);
		assert_line(&log, 0, KS_LOG_NO_KEY, NO_KEY);
	}
}

static void what_was_overwritten_is_told(void **state)
{
	static const struct {
		const char *records;
		bool lost;
	} cases[] = {
		{ "", false },
		{ "5,0,1,-;a\n5,1,1,-;b\n", false },
		{ "5,1,1,-;a\n5,2,1,-;b\n", true },
		{ "5,0,1,-;a\n5,2,1,-;b\n", true },
		{ "5,0,1,-;a\n13,1,1,-;b\n5,2,1,-;c\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_KERNELLOG log = { 0 };

		read_text(cases[i].records, &log);
		assert_int_equal(log.lost, cases[i].lost);
	}
}

/* --- hostile ones --------------------------------------------------------------------------- */

static void escapes(void **state)
{
	static const struct {
		const char *written, *read, *module;
	} cases[] = {
		{ "a\\x0ab\\x5cx0a", "a\nb\\x0a", "a\nb\\x0a" },
		{ "\\x1b[2J\\x7F", "\x1b[2J\x7f", "\x1b[2J\x7f" },
		{ "gr\\xc3\\xbc\\xC3\\x9F", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\\x00\\x0g\\xg0\\x\\y\\", "\\x00\\x0g\\xg0\\x\\y\\", "\\x00\\x0g\\xg0\\x\\y\\" },
		{ "a\\x3a b", "a: b", "a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static const char tail[] = ": disagrees about version of symbol x";
		KS_KERNELLOG log = { 0 };
		KS_BUF file = { 0 };
		KS_BUF wanted = { 0 };

		append_text(&file, "4,0,1,-;");
		append_text(&file, cases[i].written);
		append_text(&file, tail);
		append_text(&wanted, cases[i].read);
		assert_ok(ks_buf_append(&wanted, tail, sizeof(tail), &error));
		read_bytes(&file, MANY, &log);
		assert_line(&log, 0, KS_LOG_SYMBOL_VERSION, (const char *)wanted.data);
		assert_string_equal(log.line[0].module, cases[i].module);
	}
}

/* A newline in a name makes no line, and the rest of it no record. */
static void a_name_is_no_record(void **state)
{
	KS_KERNELLOG log = { 0 };

	(void)state;
	read_text("4,0,1,-;x\\x0a5,1,1,-;" UNSIGNED ": version magic 'y' should be 'z'\n", &log);
	assert_int_equal(log.count, 1);
	assert_int_equal(log.line[0].cause, KS_LOG_VERSION_MAGIC);
}

static void lines_too_long(void **state)
{
	static const size_t lengths[] = { 8000, 8193, 9000, 16384, 16385, 20000, 100000, 1000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		bool whole = lengths[i] <= 8192;
		KS_KERNELLOG log = { 0 };
		KS_BUF file = { 0 };

		put_record(&file, 0, UNSIGNED);
		append_text(&file, "5,1,1,-;PKCS7: ");
		assert_ok(ks_buf_reserve(&file, file.len + lengths[i], &error));
		memset(file.data + file.len, 'x', lengths[i] - 15);
		file.len += lengths[i] - 15;
		append_text(&file, "\n");
		put_record(&file, 2, NO_KEY);
		read_bytes(&file, MANY, &log);
		assert_int_equal(log.count, whole ? 3 : 2);
		assert_line(&log, 0, KS_LOG_UNSIGNED, UNSIGNED);
		assert_line(&log, log.count - 1, KS_LOG_NO_KEY, NO_KEY);
		assert_int_equal(log.lost, !whole);
	}
}

/* A plain file comes in pieces, and some end in the middle of these. */
static void long_lines(void **state)
{
	char text[5000] = "PKCS7: ";
	KS_KERNELLOG log = { 0 };
	KS_BUF file = { 0 };

	(void)state;
	memset(text + 7, 'x', sizeof(text) - 8);
	for (unsigned int i = 0; i < 40; i++)
		put_record(&file, i, text);
	read_bytes(&file, MANY, &log);
	assert_int_equal(log.count, 40);
	for (size_t i = 0; i < log.count; i++)
		assert_line(&log, i, KS_LOG_MESSAGE, text);
	assert_false(log.lost);
}

/* The same with many that are short. */
static void many_records(void **state)
{
	KS_KERNELLOG log = { 0 };
	KS_BUF file = { 0 };
	size_t wanted = 0;

	(void)state;
	assert_ok(ks_buf_reserve(&file, 1 << 20, &error));
	for (unsigned int i = 0; i < 6000; i++) {
		static const char filler[] = "and now for something completely different";
		bool told = i % 7 == 0;

		put_record(&file, i, told ? texts[i % TEXTS].text : filler + i % sizeof(filler));
		wanted += told;
	}
	read_bytes(&file, MANY, &log);
	assert_int_equal(wanted, 858);
	assert_int_equal(log.count, wanted);
	assert_false(log.lost);
	for (size_t i = 0; i < wanted; i++)
		assert_line(&log, i, texts[7 * i % TEXTS].cause, texts[7 * i % TEXTS].text);
}

static void bytes_of_any_kind(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 100; round++) {
		KS_KERNELLOG log = { 0 };
		KS_BUF file = { 0 };

		fill(&file, round * 211, round);
		assert_ok(ks_buf_append(&file, "\0\n", 2, &error));
		put_record(&file, 0, UNSIGNED);
		assert_ok(ks_buf_append(&file, "5,1,1,-;PKCS7: \0hidden\xff\n", 24, &error));
		read_bytes(&file, MANY, &log);
		assert_true(log.count >= 1);
		assert_line(&log, log.count - 1, KS_LOG_MESSAGE, "PKCS7: ");
	}
}

/* An asterisk in many places must not mean as many tries. */
static void lines_made_to_be_slow(void **state)
{
	KS_KERNELLOG log = { 0 };
	KS_BUF file = { 0 };
	char line[8000];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(line); i++)
		line[i] = ": version magic '"[i % 17];
	line[sizeof(line) - 1] = '\0';
	for (unsigned int i = 0; i < 100; i++)
		put_record(&file, i, line);
	read_bytes(&file, MANY, &log);
	assert_int_equal(log.count, 0);
}

/* --- what cannot be read -------------------------------------------------------------------- */

static void expect_unread(const char *why)
{
	KS_KERNELLOG log = { 0 };

	assert_ok(ks_kernellog_read(scratch, MANY, &log, &error));
	assert_non_null(log.unread);
	assert_int_equal(strncmp(log.unread, "/dev/kmsg: ", 11), 0);
	assert_non_null(strstr(log.unread, why));
	assert_int_equal(log.count, 0);
}

static void no_log(void **state)
{
	(void)state;
	expect_unread("No such file");
	make_dirs(in_scratch("dev"));
	expect_unread("No such file");
	assert_int_equal(mkfifo(in_scratch("dev/kmsg"), 0600), 0);
	expect_unread("not the kernel's log");
	assert_int_equal(unlink(in_scratch("dev/kmsg")), 0);
	make_dirs(in_scratch("dev/kmsg"));
	expect_unread("not the kernel's log");
}

static int read_as_nobody(void *arg)
{
	KS_KERNELLOG log = { 0 };

	if (access(in_scratch("dev/kmsg"), R_OK) == 0)
		return 1;
	if (!ks_kernellog_read(arg, MANY, &log, &error))
		return 2;
	return log.unread && strstr(log.unread, "Permission denied") && !log.count ? 0 : 3;
}

static void no_permission(void **state)
{
	KS_BUF file = { 0 };

	(void)state;
	put_record(&file, 0, UNSIGNED);
	write_file(in_scratch("dev/kmsg"), ks_buf_view(&file));
	assert_int_equal(chmod(in_scratch("dev/kmsg"), 0), 0);
	assert_int_equal(run_as_nobody(read_as_nobody, scratch), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(each_text_has_its_cause),
		scratch_test(what_is_about_something_else),
		scratch_test(the_last_lines_and_their_times),
		scratch_test(times_are_in_seconds),
		scratch_test(only_the_kernel_counts),
		scratch_test(fields_to_come_and_properties),
		scratch_test(no_records),
		scratch_test(what_was_overwritten_is_told),
		scratch_test(escapes),
		scratch_test(a_name_is_no_record),
		scratch_test(lines_too_long),
		scratch_test(long_lines),
		scratch_test(many_records),
		scratch_test(bytes_of_any_kind),
		scratch_test(lines_made_to_be_slow),
		scratch_test(no_log),
		scratch_test(no_permission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
