/* SPDX-License-Identifier: MIT */
#include "core/elf.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

struct reader {
	struct ks_view image;
	bool wide; /* 64 bit */
	bool little_endian;
};

static uint64_t get(const struct reader *r, size_t at, size_t width)
{
	uint64_t value = 0;

	for (size_t i = 0; i < width; i++)
		value = value << 8 | r->image.data[at + (r->little_endian ? width - 1 - i : i)];
	return value;
}

/* A field of a structure that has the same members in both classes, at other places. */
#define FIELD(r, base, kind, member)                                 \
	((r)->wide ? get(r, (base) + offsetof(Elf64_##kind, member), \
			 sizeof(((Elf64_##kind *)NULL)->member)) :   \
		     get(r, (base) + offsetof(Elf32_##kind, member), \
			 sizeof(((Elf32_##kind *)NULL)->member)))
#define SIZE(r, kind) ((r)->wide ? sizeof(Elf64_##kind) : sizeof(Elf32_##kind))

static bool truncated(struct ks_error *err)
{
	return ks_fail(err, KS_ERR_INPUT, "truncated ELF module");
}

static bool read_ident(struct reader *r, struct ks_error *err)
{
	const uint8_t *ident = r->image.data;

	if (!ks_view_starts_with(r->image, ELFMAG, SELFMAG))
		return ks_fail(err, KS_ERR_INPUT, "not a kernel module (no ELF file)");
	if (r->image.len < EI_NIDENT)
		return truncated(err);
	if ((ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64) ||
	    (ident[EI_DATA] != ELFDATA2LSB && ident[EI_DATA] != ELFDATA2MSB))
		return ks_fail(err, KS_ERR_INPUT, "not a kernel module (unknown ELF class)");
	r->wide = ident[EI_CLASS] == ELFCLASS64;
	r->little_endian = ident[EI_DATA] == ELFDATA2LSB;
	if (r->image.len < SIZE(r, Ehdr))
		return truncated(err);
	if (FIELD(r, 0, Ehdr, e_type) != ET_REL)
		return ks_fail(err, KS_ERR_INPUT,
			       "not a kernel module (an ELF file, but no relocatable object)");
	return true;
}

static bool reach(const struct reader *r, uint64_t offset, uint64_t size, size_t *end,
		  struct ks_error *err)
{
	if (offset > r->image.len || size > r->image.len - offset)
		return truncated(err);
	if (offset + size > *end)
		*end = (size_t)(offset + size);
	return true;
}

static bool reach_section(const struct reader *r, size_t header, size_t *end, struct ks_error *err)
{
	uint64_t type = FIELD(r, header, Shdr, sh_type);

	if (type == SHT_NOBITS || type == SHT_NULL)
		return true;
	return reach(r, FIELD(r, header, Shdr, sh_offset), FIELD(r, header, Shdr, sh_size), end,
		     err);
}

/* More sections than e_shnum can hold: the count stands in the first header (gABI). */
static uint64_t count_sections(const struct reader *r, size_t table)
{
	uint64_t count = FIELD(r, 0, Ehdr, e_shnum);

	return count ? count : FIELD(r, table, Shdr, sh_size);
}

bool ks_elf_check(struct ks_view image, size_t *end, struct ks_error *err)
{
	struct reader r = { .image = image };
	uint64_t table, count, step;

	if (!read_ident(&r, err))
		return false;
	*end = SIZE(&r, Ehdr);
	table = FIELD(&r, 0, Ehdr, e_shoff);
	step = FIELD(&r, 0, Ehdr, e_shentsize);
	if (table == 0 || step != SIZE(&r, Shdr))
		return ks_fail(err, KS_ERR_INPUT, "not a kernel module (no ELF section table)");
	if (!reach(&r, table, step, end, err))
		return false;
	count = count_sections(&r, (size_t)table);
	if (count == 0)
		return ks_fail(err, KS_ERR_INPUT, "not a kernel module (no ELF section)");
	if (count > image.len / step || !reach(&r, table, count * step, end, err))
		return truncated(err);
	for (uint64_t i = 0; i < count; i++)
		if (!reach_section(&r, (size_t)(table + i * step), end, err))
			return false;
	return true;
}

/* Section I, as far as it is in the file: the check has seen that it fits. */
static struct ks_view section(const struct reader *r, size_t table, uint64_t i, size_t *header)
{
	size_t end = 0;
	struct ks_error ignored;

	*header = table + (size_t)i * SIZE(r, Shdr);
	if (!reach_section(r, *header, &end, &ignored) || !end)
		return ks_view_of(NULL, 0);
	return ks_view_of(r->image.data + FIELD(r, *header, Shdr, sh_offset),
			  (size_t)FIELD(r, *header, Shdr, sh_size));
}

static bool is_named(const struct reader *r, size_t header, struct ks_view names, const char *name)
{
	uint64_t at = FIELD(r, header, Shdr, sh_name);
	size_t len = strlen(name) + 1;

	return at < names.len && names.len - at >= len && memcmp(names.data + at, name, len) == 0;
}

bool ks_elf_section(struct ks_view image, const char *name, struct ks_view *content)
{
	struct reader r = { .image = image };
	struct ks_error ignored;
	uint64_t count, index;
	struct ks_view names;
	size_t table, header;

	if (!read_ident(&r, &ignored))
		return false;
	table = (size_t)FIELD(&r, 0, Ehdr, e_shoff);
	count = count_sections(&r, table);
	index = FIELD(&r, 0, Ehdr, e_shstrndx);
	if (index == SHN_XINDEX)
		index = FIELD(&r, table, Shdr, sh_link);
	if (index == SHN_UNDEF || index >= count)
		return false;
	names = section(&r, table, index, &header);
	for (uint64_t i = 1; i < count; i++) {
		*content = section(&r, table, i, &header);
		if (content->data && is_named(&r, header, names, name))
			return true;
	}
	return false;
}
