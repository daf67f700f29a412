/* SPDX-License-Identifier: MIT */
/* ELF objects: the end of what the tables claim, sections by name, and what is in .modinfo. */
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/elf.h"
#include "core/kmod.h"
#include "fuzz.h"

bool fuzz_accepted; /* a whole relocatable object */

static bool check(struct ks_view image, size_t *end)
{
	struct ks_error err;

	return ks_elf_check(image, end, &err);
}

/* END is where it says: not a byte before it can be spared, and none behind it counts. */
static void check_end(struct ks_view image, size_t end)
{
	size_t again = 0;

	MUST(end >= sizeof(Elf32_Ehdr) && end <= image.len);
	MUST(check(ks_view_of(image.data, end), &again) && again == end);
	MUST(!check(ks_view_of(image.data, end - 1), &again));
}

/*
 * Leaves a gap of LEN bytes in the address space, and behind it a page that nobody may read.  A
 * mapping of a file, libkmod's, comes to lie there; a byte read too far would else be luck.
 */
static void *make_gap(size_t len, size_t page)
{
	uint8_t *at = mmap(NULL, len + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(at != MAP_FAILED && munmap(at, len) == 0);
	return at + len;
}

/* libkmod sees the signature only, and nothing of what the check refuses comes this far. */
static void check_modinfo(struct ks_view image)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *fence = make_gap((image.len + page - 1) / page * page, page);
	KS_MODINFO info = { 0 };
	struct ks_error err;

	MUST(ks_modinfo_read(image, &info, &err));
	MUST(munmap(fence, page) == 0);
}

/* A section is inside the image, and is found again in what the check says is all of it. */
static void check_section(struct ks_view image, size_t end, const char *name)
{
	struct ks_view content, again;

	if (!ks_elf_section(image, name, &content))
		return;
	MUST(content.data >= image.data && content.len <= image.len);
	MUST((size_t)(content.data - image.data) <= image.len - content.len);
	MUST(ks_elf_section(ks_view_of(image.data, end), name, &again));
	MUST(again.data == content.data && again.len == content.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ks_view image = fuzz_view(data, size);
	size_t end;

	fuzz_accepted = check(image, &end);
	if (!fuzz_accepted)
		return 0;
	check_end(image, end);
	check_section(image, end, ".modinfo");
	check_section(image, end, ".shstrtab");
	check_section(image, end, "");
	check_section(image, end, ".not.there");
	check_modinfo(image);
	return 0;
}
