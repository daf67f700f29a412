/* SPDX-License-Identifier: MIT */
/* ELF relocatable objects: whole or not, in both classes and byte orders, and hostile ones. */
#include "fixture.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "core/elf.h"

static const char modinfo[] = "license=GPL\0vermagic=6.1 SMP";

/* Both classes, both byte orders, the table behind the sections or before them. */
enum { KINDS = 8 };

static struct elf_spec kind(unsigned int i)
{
	return (struct elf_spec){ .narrow = i & 1,
				  .big_endian = i & 2,
				  .table_first = i & 4,
				  .modinfo = modinfo,
				  .modinfo_len = sizeof(modinfo),
				  .extra = 20 };
}

/* In memory of its own, so that a byte read too many is seen. */
static bool check(struct ks_view image, size_t *end)
{
	KS_BUF copy = { 0 };

	*end = SIZE_MAX;
	assert_ok(ks_buf_append(&copy, image.data, image.len, &error));
	return ks_elf_check(ks_buf_view(&copy), end, &error);
}

static bool check_buf(const struct ks_buf *file)
{
	size_t end;
	bool ok = check(ks_buf_view(file), &end);

	if (ok)
		assert_true(end <= file->len);
	return ok;
}

/* Offset and width of a field of the header, or of section number N's header. */
struct field {
	size_t at, width;
};

#define IN_EHDR(spec, member)                                                      \
	((spec)->narrow ? (struct field){ offsetof(Elf32_Ehdr, member),            \
					  sizeof(((Elf32_Ehdr *)NULL)->member) } : \
			  (struct field){ offsetof(Elf64_Ehdr, member),            \
					  sizeof(((Elf64_Ehdr *)NULL)->member) })
#define IN_SHDR(spec, file, n, member)                                                      \
	((spec)->narrow ? (struct field){ table_at(spec, file) + (n) * sizeof(Elf32_Shdr) + \
						  offsetof(Elf32_Shdr, member),             \
					  sizeof(((Elf32_Shdr *)NULL)->member) } :          \
			  (struct field){ table_at(spec, file) + (n) * sizeof(Elf64_Shdr) + \
						  offsetof(Elf64_Shdr, member),             \
					  sizeof(((Elf64_Shdr *)NULL)->member) })

static uint64_t get(const struct elf_spec *spec, const struct ks_buf *file, struct field field)
{
	uint64_t value = 0;

	for (size_t i = 0; i < field.width; i++)
		value = value << 8 |
			file->data[field.at + (spec->big_endian ? i : field.width - 1 - i)];
	return value;
}

static void set(const struct elf_spec *spec, struct ks_buf *file, struct field field,
		uint64_t value)
{
	for (size_t i = 0; i < field.width; i++)
		file->data[field.at + (spec->big_endian ? field.width - 1 - i : i)] =
			(uint8_t)(value >> (8 * i));
}

static size_t table_at(const struct elf_spec *spec, const struct ks_buf *file)
{
	return (size_t)get(spec, file, IN_EHDR(spec, e_shoff));
}

static void whole_ones_pass(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };
		size_t end, len;

		put_elf(&file, &spec);
		len = file.len;
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, len);
		fill(&file, 100, 3);
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, len);
	}
}

static void the_smallest_object_ends_behind_its_table(void **state)
{
	struct elf_spec spec = kind(4);
	KS_BUF file = { 0 };
	size_t end;

	(void)state;
	put_elf(&file, &spec);
	set(&spec, &file, IN_EHDR(&spec, e_shnum), 1);
	assert_ok(check(ks_buf_view(&file), &end));
	assert_int_equal(end, sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr));
}

static void only_the_full_length_passes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2 * KINDS; i++) {
		struct elf_spec spec = kind(i / 2);
		KS_BUF file = { 0 };
		size_t end;

		spec.extended = i % 2;
		put_elf(&file, &spec);
		for (size_t len = 0; len < file.len; len++)
			assert_fails(check(ks_view_of(file.data, len), &end), KS_ERR_INPUT);
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, file.len);
	}
}

/* Sections without bytes in the file may have any size, and their offset means nothing. */
static void sections_without_bytes_need_none(void **state)
{
	static const unsigned int types[] = { SHT_NOBITS, SHT_NULL };

	(void)state;
	for (unsigned int i = 0; i < 2 * KINDS; i++) {
		struct elf_spec spec = kind(i / 2);
		KS_BUF file = { 0 };
		size_t end;

		put_elf(&file, &spec);
		set(&spec, &file, IN_SHDR(&spec, &file, 3, sh_type), types[i % 2]);
		set(&spec, &file, IN_SHDR(&spec, &file, 3, sh_offset), UINT64_MAX);
		set(&spec, &file, IN_SHDR(&spec, &file, 3, sh_size), UINT64_MAX);
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, file.len);
	}
}

static void a_section_may_end_with_the_file_and_no_later(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };
		struct field offset, size;
		size_t end;

		put_elf(&file, &spec);
		fill(&file, 64, 1);
		offset = IN_SHDR(&spec, &file, 1, sh_offset);
		size = IN_SHDR(&spec, &file, 1, sh_size);
		set(&spec, &file, size, file.len - get(&spec, &file, offset));
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, file.len);
		set(&spec, &file, size, file.len - get(&spec, &file, offset) + 1);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
		set(&spec, &file, offset, file.len);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
		set(&spec, &file, size, 0);
		assert_true(check_buf(&file));
		set(&spec, &file, offset, file.len + 1);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
	}
}

/* Values that make sums and products wrap, in 32 bits and in 64. */
static const uint64_t hostile[] = {
	0x7fffffff,	    0x80000000,		0xffffff00,	    0xffffffff,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffff00, 0xfffffffffffffff0,
	0xffffffffffffffc0, 0xffffffffffffffff,
};

enum { HOSTILE = sizeof(hostile) / sizeof(*hostile) };

static uint64_t as_wide_as(struct field field, uint64_t value)
{
	return field.width == 8 ? value : value & ((UINT64_C(1) << (8 * field.width)) - 1);
}

static void hostile_offsets_and_sizes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS * HOSTILE; i++) {
		struct elf_spec spec = kind(i % KINDS);
		KS_BUF file = { 0 };
		struct field fields[4];

		put_elf(&file, &spec);
		fields[0] = IN_EHDR(&spec, e_shoff);
		fields[1] = IN_SHDR(&spec, &file, 1, sh_offset);
		fields[2] = IN_SHDR(&spec, &file, 1, sh_size);
		fields[3] = IN_SHDR(&spec, &file, 4, sh_size);
		for (size_t f = 0; f < 4; f++) {
			uint64_t right = get(&spec, &file, fields[f]);
			uint64_t wrong = as_wide_as(fields[f], hostile[i / KINDS]);

			/* What does not fit into 32 bits can come out as something small. */
			if (wrong <= file.len)
				continue;
			set(&spec, &file, fields[f], wrong);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
			/* The other half of a sum that wraps to something harmless. */
			set(&spec, &file, fields[f], right - wrong);
			check_buf(&file);
			set(&spec, &file, fields[f], right);
		}
		assert_true(check_buf(&file));
	}
}

static void offset_and_size_that_wrap_together(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };

		put_elf(&file, &spec);
		for (uint64_t back = 1; back < 300; back++) {
			set(&spec, &file, IN_SHDR(&spec, &file, 1, sh_offset), 0 - back);
			set(&spec, &file, IN_SHDR(&spec, &file, 1, sh_size), back + 10);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
			set(&spec, &file, IN_SHDR(&spec, &file, 1, sh_offset), back);
			set(&spec, &file, IN_SHDR(&spec, &file, 1, sh_size), 0 - back);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
		}
	}
}

static void more_sections_than_there_are(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };
		static const uint64_t counts[] = { 6000, 0x7fff, 0x8000, 0xffff };

		put_elf(&file, &spec);
		for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
			set(&spec, &file, IN_EHDR(&spec, e_shnum), counts[c]);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
		}
		if (spec.table_first)
			continue;
		set(&spec, &file, IN_EHDR(&spec, e_shnum), 6);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
	}
}

/* The count stands in the first section header's size, where e_shnum is 0. */
static void extended_numbering(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };
		struct field count;
		size_t end;

		spec.extended = true;
		put_elf(&file, &spec);
		assert_ok(check(ks_buf_view(&file), &end));
		assert_int_equal(end, file.len);
		count = IN_SHDR(&spec, &file, 0, sh_size);
		for (size_t h = 0; h < HOSTILE; h++) {
			/* What does not fit into 32 bits can come out as something small. */
			if (as_wide_as(count, hostile[h]) <= file.len)
				continue;
			set(&spec, &file, count, hostile[h]);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
		}
		/* So many that the table's size wraps to nothing, or nearly so. */
		set(&spec, &file, count,
		    spec.narrow ? UINT32_MAX / sizeof(Elf32_Shdr) + 1 :
				  UINT64_MAX / sizeof(Elf64_Shdr) + 1);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
	}
}

static void tables_of_another_kind(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };

		put_elf(&file, &spec);
		for (uint64_t size = 0; size < 200; size++) {
			uint64_t right = spec.narrow ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr);

			set(&spec, &file, IN_EHDR(&spec, e_shentsize), size);
			if (size == right)
				assert_true(check_buf(&file));
			else
				assert_fails(check_buf(&file), KS_ERR_INPUT);
		}
		set(&spec, &file, IN_EHDR(&spec, e_shentsize), 0xffff);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
	}
}

static void an_object_without_a_table(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };

		put_elf(&file, &spec);
		set(&spec, &file, IN_EHDR(&spec, e_shoff), 0);
		assert_fails(check_buf(&file), KS_ERR_INPUT);
		assert_says("not a kernel module");
	}
}

static void other_types_are_no_modules(void **state)
{
	static const unsigned int types[] = { ET_EXEC, ET_DYN, ET_CORE, 0x0100, 0xff01, 0xffff };

	(void)state;
	for (unsigned int i = 0; i < KINDS; i++)
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++) {
			struct elf_spec spec = kind(i);
			KS_BUF file = { 0 };

			spec.type = types[t];
			put_elf(&file, &spec);
			assert_fails(check_buf(&file), KS_ERR_INPUT);
			assert_says("no relocatable object");
		}
}

static void other_idents_are_no_modules(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };

		put_elf(&file, &spec);
		for (size_t at = 0; at <= EI_DATA; at++) {
			uint8_t right = file.data[at];

			for (int value = 0; value < 256; value++) {
				file.data[at] = (uint8_t)value;
				if (value != right && (at < SELFMAG || value == 0 || value > 2))
					assert_fails(check_buf(&file), KS_ERR_INPUT);
				else
					check_buf(&file);
			}
			file.data[at] = right;
		}
	}
}

static void what_is_no_elf_file_is_named_so(void **state)
{
	size_t end;

	(void)state;
	assert_fails(check(ks_view_of("", 0), &end), KS_ERR_INPUT);
	assert_says("no ELF file");
	assert_fails(check(text_view("#!/bin/sh\n"), &end), KS_ERR_INPUT);
	assert_says("no ELF file");
	assert_fails(check(text_view("\177ELF"), &end), KS_ERR_INPUT);
	assert_says("truncated");
}

static void random_damage_stays_inside(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < KINDS; i++) {
		struct elf_spec spec = kind(i);
		KS_BUF file = { 0 };

		put_elf(&file, &spec);
		for (int round = 0; round < 400; round++) {
			uint8_t old[3];
			size_t at[3];

			for (int k = 0; k < 3; k++) {
				seed = seed * 1664525 + 1013904223;
				at[k] = (seed >> 8) % file.len;
				old[k] = file.data[at[k]];
				file.data[at[k]] = (uint8_t)(seed >> 3);
			}
			check_buf(&file);
			for (int k = 2; k >= 0; k--)
				file.data[at[k]] = old[k];
		}
		assert_true(check_buf(&file));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_ones_pass),
		cmocka_unit_test(the_smallest_object_ends_behind_its_table),
		cmocka_unit_test(only_the_full_length_passes),
		cmocka_unit_test(sections_without_bytes_need_none),
		cmocka_unit_test(a_section_may_end_with_the_file_and_no_later),
		cmocka_unit_test(hostile_offsets_and_sizes),
		cmocka_unit_test(offset_and_size_that_wrap_together),
		cmocka_unit_test(more_sections_than_there_are),
		cmocka_unit_test(extended_numbering),
		cmocka_unit_test(tables_of_another_kind),
		cmocka_unit_test(an_object_without_a_table),
		cmocka_unit_test(other_types_are_no_modules),
		cmocka_unit_test(other_idents_are_no_modules),
		cmocka_unit_test(what_is_no_elf_file_is_named_so),
		cmocka_unit_test(random_damage_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
