/* SPDX-License-Identifier: MIT */
/*
 * Feeds seeds to a fuzz target under any compiler, and speaks TAP:
 *
 *	fuzz_NAME [SEED...]	the seeds named, or all in tests/fuzz/seeds/NAME
 *	fuzz_NAME -d DIR	writes all of them to DIR as the bytes that they stand for
 *
 * A seed is text.  NAME.txt stands for itself; NAME.hex is a list of words: two hexadecimal digits
 * are a byte, "text" its bytes, WORD*N the same N times, and # starts a comment.  A seed whose
 * name starts with good- has to be accepted by the target, one with bad- refused.  Without liblz4
 * those with lz4 in their name are run too, but nothing is said of them.
 */
#include <ctype.h>
#include <dirent.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "fuzz.h"

#pragma weak LLVMFuzzerInitialize

enum { SEED_MAX = 1 << 20, EXIT_ACCEPTED = 10, EXIT_REFUSED = 11 };

static bool ends_with(const char *text, const char *tail)
{
	size_t len = strlen(text), n = strlen(tail);

	return len >= n && strcmp(text + len - n, tail) == 0;
}

static bool fail_syntax(const char *at, struct ks_error *err)
{
	return ks_fail(err, KS_ERR_INPUT, "no byte, \"text\" or comment: %.20s", at);
}

/* Appends the word at *AT, which is moved behind it; the word's bytes start at *START. */
static bool read_word(const char **at, struct ks_buf *seed, size_t *start, struct ks_error *err)
{
	const char *end;
	char digits[3] = { 0 };
	uint8_t byte;

	*start = seed->len;
	if (**at == '"') {
		const char *text = *at + 1;

		end = strchr(text, '"');
		if (!end)
			return fail_syntax(*at, err);
		*at = end + 1;
		return ks_buf_append(seed, text, (size_t)(end - text), err);
	}
	if (!isxdigit((unsigned char)(*at)[0]) || !isxdigit((unsigned char)(*at)[1]))
		return fail_syntax(*at, err);
	memcpy(digits, *at, 2);
	byte = (uint8_t)strtoul(digits, NULL, 16);
	*at += 2;
	return ks_buf_append(seed, &byte, 1, err);
}

/* "*N" behind a word whose bytes start at START. */
static bool repeat_word(const char **at, struct ks_buf *seed, size_t start, struct ks_error *err)
{
	size_t len = seed->len - start;
	unsigned long times;
	char *end;

	if (**at != '*')
		return true;
	times = strtoul(*at + 1, &end, 10);
	if (end == *at + 1 || !times || !len || times > SEED_MAX / len)
		return fail_syntax(*at, err);
	*at = end;
	if (!ks_buf_reserve(seed, start + len * times, err))
		return false;
	while (--times)
		if (!ks_buf_append(seed, seed->data + start, len, err))
			return false;
	return true;
}

static bool read_hex(const char *text, struct ks_buf *seed, struct ks_error *err)
{
	while (*(text += strspn(text, " \t\n"))) {
		size_t start;

		if (*text == '#')
			text += strcspn(text, "\n");
		else if (!read_word(&text, seed, &start, err) ||
			 !repeat_word(&text, seed, start, err))
			return false;
	}
	return true;
}

static bool read_seed(const char *path, struct ks_buf *seed, struct ks_error *err)
{
	KS_BUF text = { 0 };
	struct stat st;

	if (!ks_file_read_path(NULL, path, SEED_MAX, ends_with(path, ".txt") ? seed : &text, &st,
			       err))
		return false;
	return !text.len ||
	       (ks_buf_append(&text, "", 1, err) && read_hex((const char *)text.data, seed, err));
}

/* In a process of its own, so that one seed's crash does not hide the next one's. */
static int run_target(const struct ks_buf *seed)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		/* Exactly as large as the input: a sanitizer sees each byte too far. */
		uint8_t *data = malloc(seed->len ? seed->len : 1);

		MUST(data);
		if (seed->len)
			memcpy(data, seed->data, seed->len);
		LLVMFuzzerTestOneInput(data, seed->len);
		free(data);
		exit(fuzz_accepted ? EXIT_ACCEPTED : EXIT_REFUSED);
	}
	MUST(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static bool is_undecided(const char *name)
{
#ifdef HAVE_LZ4
	(void)name;
	return false;
#else
	return strstr(name, "lz4");
#endif
}

static const char *judge(const char *name, int status)
{
	bool good = strncmp(name, "good-", 5) == 0;

	if (!good && strncmp(name, "bad-", 4) != 0)
		return "its name starts with neither good- nor bad-";
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	if (WEXITSTATUS(status) == EXIT_ACCEPTED)
		return good || is_undecided(name) ? NULL : "accepted";
	if (WEXITSTATUS(status) == EXIT_REFUSED)
		return good && !is_undecided(name) ? "refused" : NULL;
	return "a sanitizer's or a library's own exit";
}

static bool replay(size_t number, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *fault;
	KS_BUF seed = { 0 };
	struct ks_error err;

	fault = read_seed(path, &seed, &err) ? judge(name, run_target(&seed)) : err.text;
	printf("%sok %zu - %s%s\n", fault ? "not " : "", number, name,
	       is_undecided(name) ? " # SKIP no liblz4" : "");
	if (fault)
		printf("# %s\n", fault);
	return !fault;
}

static bool decode(const char *dir, const char *path)
{
	KS_STRING out = NULL;
	KS_BUF seed = { 0 };
	struct ks_error err;
	FILE *file = NULL;
	bool ok;

	ok = ks_string_print(&out, &err, "%s/%s", dir, strrchr(path, '/') + 1) &&
	     read_seed(path, &seed, &err) && (file = fopen(out, "w")) &&
	     fwrite(seed.data, 1, seed.len, file) == seed.len;
	if (!file || fclose(file) || !ok)
		fprintf(stderr, "%s cannot be decoded to %s\n", path, dir);
	return ok;
}

/* The seeds of the target that this program is. */
static void list_seeds(const char *program, struct ks_strings *seeds)
{
	const char *top = getenv("abs_top_srcdir");
	const char *name = strrchr(program, '/');
	KS_STRING dir = NULL;
	struct dirent *entry;
	struct ks_error err;
	DIR *stream;

	name = name ? name + 1 : program;
	MUST(strncmp(name, "fuzz_", 5) == 0);
	MUST(ks_string_print(&dir, &err, "%s/tests/fuzz/seeds/%s", top ? top : ".", name + 5));
	stream = opendir(dir);
	while (stream && (entry = readdir(stream))) {
		KS_STRING path = NULL;

		if (!ends_with(entry->d_name, ".hex") && !ends_with(entry->d_name, ".txt"))
			continue;
		MUST(ks_string_print(&path, &err, "%s/%s", dir, entry->d_name));
		MUST(ks_strings_add(seeds, path, &err));
	}
	if (stream)
		closedir(stream);
	ks_strings_sort(seeds);
}

int main(int argc, char **argv)
{
	KS_STRINGS seeds = { 0 };
	const char *dir = argc == 3 && strcmp(argv[1], "-d") == 0 ? argv[2] : NULL;
	struct ks_error err;
	bool ok = true;

	for (int i = 1; i < argc && !dir; i++)
		MUST(ks_strings_add(&seeds, argv[i], &err));
	if (!seeds.count)
		list_seeds(argv[0], &seeds);
	if (LLVMFuzzerInitialize && !dir)
		LLVMFuzzerInitialize(&argc, &argv);
	for (size_t i = 0; i < seeds.count; i++)
		ok &= dir ? decode(dir, seeds.item[i]) : replay(i + 1, seeds.item[i]);
	if (!dir)
		printf("1..%zu\n", seeds.count);
	/* TAP has its own way to fail; a target without seeds tests nothing. */
	return !seeds.count || (dir && !ok);
}
