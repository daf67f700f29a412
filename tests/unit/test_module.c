/* SPDX-License-Identifier: MIT */
/* One module file: read, freed of what is piled up on it, signed, written back as it came. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/module.h"

static const struct ks_load normal = { .max_size = 1 << 20 };
static struct ks_written written;

static const struct ks_codec *const codecs[] = { &ks_codec_none, &ks_codec_gzip, &ks_codec_xz,
						 &ks_codec_zstd };
enum { CODECS = sizeof(codecs) / sizeof(*codecs) };

static struct ks_buf plain; /* a module, unsigned */

static int module_make(void **state)
{
	plain = (struct ks_buf){ 0 };
	put_module(&plain, "6.1", false);
	return scratch_make(state);
}

static int module_remove(void **state)
{
	ks_buf_free(&plain);
	return scratch_remove(state);
}

#define module_test(name) cmocka_unit_test_setup_teardown(name, module_make, module_remove)

/* A message over the first LEN bytes and its trailer, put behind all that FILE holds. */
static void sign(struct ks_buf *file)
{
	KS_BUF message = { 0 };

	put_plain_message(&message, ks_buf_view(file), identity("P-256", 1), "sha256");
	put_trailer(file, ks_buf_view(&message));
}

static void copy(struct ks_buf *to, const struct ks_buf *from)
{
	assert_ok(ks_buf_append(to, from->data, from->len, &error));
}

static const char *module_path(const struct ks_codec *codec)
{
	return in_scratch("dir/x.ko%s", codec->suffix);
}

static void write_packed(const char *path, const struct ks_codec *codec, struct ks_view content)
{
	KS_BUF packed = { 0 };

	assert_ok(codec->pack(content, &packed, &error));
	write_file(path, ks_buf_view(&packed));
}

static void load(struct ks_module *module, const char *path)
{
	assert_ok(ks_module_load(module, path, &normal, &error));
}

static void cannot_load(const char *path, const struct ks_load *how, const char *says)
{
	struct ks_module module = { .image_end = 7 };
	size_t before = count_entries("/proc/self/fd");

	assert_fails(ks_module_load(&module, path, how, &error), KS_ERR_INPUT);
	assert_says(says);
	assert_null(strstr(error.text, "x.ko"));
	assert_null(module.content.data);
	assert_int_equal(module.place.dir, -1);
	assert_int_equal(count_entries("/proc/self/fd"), before);
	ks_module_free(&module);
}

/* --- loading -------------------------------------------------------------------------------- */

static void every_container(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODECS; i++) {
		KS_MODULE module = KS_MODULE_NONE;
		struct stat st;

		write_packed(module_path(codecs[i]), codecs[i], ks_buf_view(&plain));
		st = stat_of(module_path(codecs[i]));
		load(&module, module_path(codecs[i]));
		assert_ptr_equal(module.codec, codecs[i]);
		assert_view_equal(ks_buf_view(&module.content), ks_buf_view(&plain));
		assert_int_equal(module.image_end, plain.len);
		assert_string_equal(module.place.path, module_path(codecs[i]));
		assert_true(ks_file_same(&module.st, &st));
		assert_null(module.objection);
	}
}

static void names_and_containers_have_to_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODECS; i++)
		for (size_t j = 0; j < CODECS; j++) {
			if (i == j)
				continue;
			write_packed(module_path(codecs[i]), codecs[j], ks_buf_view(&plain));
			cannot_load(module_path(codecs[i]), &normal, "the name says");
		}
}

static void a_name_that_promises_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODECS; i++) {
		KS_MODULE module = KS_MODULE_NONE;

		write_packed(in_scratch("module"), codecs[i], ks_buf_view(&plain));
		load(&module, in_scratch("module"));
		assert_ptr_equal(module.codec, codecs[i]);
	}
}

static void what_is_no_module(void **state)
{
	KS_BUF program = { 0 };

	(void)state;
	put_elf(&program, &(struct elf_spec){ .type = 2, .extra = 100 });
	for (size_t i = 0; i < CODECS; i++) {
		const char *path = module_path(codecs[i]);

		write_packed(path, codecs[i], text_view("a text file\n"));
		cannot_load(path, &normal, "not a kernel module");
		write_packed(path, codecs[i], ks_buf_view(&program));
		cannot_load(path, &normal, "no relocatable object");
		write_packed(path, codecs[i], ks_view_of(plain.data, plain.len - 1));
		cannot_load(path, &normal, "truncated");
		write_text(path, "");
		cannot_load(path, &normal, "empty");
	}
}

static void damaged_containers(void **state)
{
	(void)state;
	for (size_t i = 1; i < CODECS; i++) {
		KS_BUF packed = { 0 };
		const char *path = module_path(codecs[i]);

		assert_ok(codecs[i]->pack(ks_buf_view(&plain), &packed, &error));
		write_file(path, ks_view_of(packed.data, packed.len - 1));
		cannot_load(path, &normal, codecs[i]->name);
		packed.data[packed.len / 2] ^= 0xff;
		write_file(path, ks_buf_view(&packed));
		cannot_load(path, &normal, codecs[i]->name);
	}
}

static void the_limit_is_for_file_and_content(void **state)
{
	struct ks_load how = { .max_size = plain.len };
	KS_BUF large = { 0 };

	(void)state;
	put_elf(&large, &(struct elf_spec){ .extra = 10 });
	assert_ok(ks_buf_reserve(&large, 300000, &error));
	memset(large.data + large.len, 0, 300000 - large.len);
	large.len = 300000;
	for (size_t i = 0; i < CODECS; i++) {
		KS_MODULE module = KS_MODULE_NONE;

		write_packed(module_path(codecs[i]), codecs[i], ks_buf_view(&large));
		how.max_size = large.len - 1;
		cannot_load(module_path(codecs[i]), &how, "limit");
		how.max_size = large.len;
		assert_ok(ks_module_load(&module, module_path(codecs[i]), &how, &error));
	}
}

static void links_inside_the_root(void **state)
{
	struct ks_load how = { .root = in_scratch("root"), .max_size = 1 << 20 };
	KS_MODULE module = KS_MODULE_NONE;

	(void)state;
	write_file(in_scratch("root/target.ko"), ks_buf_view(&plain));
	make_link("/target.ko", in_scratch("root/link.ko"));
	assert_ok(ks_module_load(&module, "/link.ko", &how, &error));
	assert_string_equal(module.place.path, "/target.ko");
}

static void any_file_for_sign_file(void **state)
{
	struct ks_load how = { .max_size = 1 << 20, .any_file = true };
	KS_MODULE module = KS_MODULE_NONE;
	KS_MODULE packed = KS_MODULE_NONE;

	(void)state;
	write_text(in_scratch("dir/vmlinux"), "bytes");
	assert_ok(ks_module_load(&module, in_scratch("dir/vmlinux"), &how, &error));
	assert_view_equal(ks_buf_view(&module.content), text_view("bytes"));
	assert_int_equal(module.image_end, 0);
	write_packed(in_scratch("dir/x.ko.xz"), &ks_codec_xz, text_view("bytes"));
	cannot_load(in_scratch("dir/x.ko.xz"), &how, "not a kernel module");
	write_packed(in_scratch("dir/x.ko.xz"), &ks_codec_xz, ks_buf_view(&plain));
	assert_ok(ks_module_load(&packed, in_scratch("dir/x.ko.xz"), &how, &error));
	write_text(in_scratch("dir/vmlinux"), "");
	cannot_load(in_scratch("dir/vmlinux"), &how, "empty");
}

static void what_a_kernel_s_reader_objects_to(void **state)
{
	struct ks_load how = { .max_size = 1 << 20, .examine = true };
	KS_MODULE good = KS_MODULE_NONE;
	KS_MODULE twice = KS_MODULE_NONE;
	KS_BUF file = { 0 };

	(void)state;
	assert_ok(ks_codec_xz.pack(ks_view_of(plain.data, 100), &file, &error));
	assert_ok(ks_codec_xz.pack(ks_view_of(plain.data + 100, plain.len - 100), &file, &error));
	write_file(in_scratch("x.ko.xz"), ks_buf_view(&file));
	assert_ok(ks_module_load(&twice, in_scratch("x.ko.xz"), &how, &error));
	assert_view_equal(ks_buf_view(&twice.content), ks_buf_view(&plain));
	assert_non_null(twice.objection);
	write_packed(in_scratch("x.ko.xz"), &ks_codec_xz, ks_buf_view(&plain));
	assert_ok(ks_module_load(&good, in_scratch("x.ko.xz"), &how, &error));
	assert_null(good.objection);
}

/* --- signatures taken off ------------------------------------------------------------------- */

static void unsign_content(const struct ks_buf *content, size_t wanted)
{
	KS_MODULE module = KS_MODULE_NONE;
	size_t removed = 77;

	write_file(in_scratch("dir/x.ko"), ks_buf_view(content));
	load(&module, in_scratch("dir/x.ko"));
	assert_ok(ks_module_unsign(&module, &removed, &error));
	assert_int_equal(removed, wanted);
	assert_view_equal(ks_buf_view(&module.content), ks_buf_view(&plain));
	assert_int_equal(ks_module_trailer(&module).kind, KS_TRAILER_NONE);
	/* Nothing is written by this. */
	assert_content(in_scratch("dir/x.ko"), ks_buf_view(content));
}

static void every_signature_is_taken_off(void **state)
{
	KS_BUF content = { 0 };

	(void)state;
	copy(&content, &plain);
	for (size_t n = 0; n < 5; n++) {
		unsign_content(&content, n);
		sign(&content);
	}
}

static void signatures_of_every_kind_are_taken_off(void **state)
{
	const struct identity *const by[] = { identity("P-256", 1), identity("P-384", 1) };
	static const unsigned int flags[] = { CMS_NOCERTS | CMS_BINARY, CMS_BINARY | CMS_NOATTR,
					      SIGN_FILE_FLAGS | CMS_USE_KEYID };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(*flags); i++) {
		KS_BUF content = { 0 };
		KS_BUF message = { 0 };

		copy(&content, &plain);
		put_message(&message, text_view("other bytes"), by, 1 + i % 2, "sha256",
			    flags[i / 2], CMS_DETACHED);
		put_trailer(&content, ks_buf_view(&message));
		unsign_content(&content, 1);
	}
}

static void cannot_unsign(const struct ks_buf *content, const char *says)
{
	KS_MODULE module = KS_MODULE_NONE;
	size_t removed;

	write_file(in_scratch("dir/x.ko"), ks_buf_view(content));
	load(&module, in_scratch("dir/x.ko"));
	assert_fails(ks_module_unsign(&module, &removed, &error), KS_ERR_INPUT);
	assert_says("malformed signature");
	assert_says(says);
	assert_content(in_scratch("dir/x.ko"), ks_buf_view(content));
}

static void malformed_blocks_are_refused(void **state)
{
	KS_BUF content = { 0 };

	(void)state;
	copy(&content, &plain);
	sign(&content);
	for (size_t at = content.len - 40; at < content.len - 32; at++) {
		uint8_t right = content.data[at];

		content.data[at] = 9;
		cannot_unsign(&content, "");
		content.data[at] = right;
	}
	memset(content.data + content.len - 32, 0xff, 4);
	cannot_unsign(&content, "length");
	memset(content.data + content.len - 32, 0, 4);
	cannot_unsign(&content, "length is zero");
}

static void what_is_no_message_is_refused(void **state)
{
	const struct identity *by = identity("P-256", 1);
	KS_BUF junk = { 0 };
	KS_BUF attached = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	copy(&junk, &plain);
	put_trailer(&junk, text_view("no message"));
	cannot_unsign(&junk, "ASN.1");
	copy(&attached, &plain);
	put_message(&message, ks_buf_view(&plain), &by, 1, "sha256", SIGN_FILE_FLAGS, 0);
	put_trailer(&attached, ks_buf_view(&message));
	cannot_unsign(&attached, "attached");
}

/* A good one on a malformed one: half the work is not to be stored, and it is an error. */
static void a_malformed_one_below_is_refused(void **state)
{
	KS_BUF content = { 0 };

	(void)state;
	copy(&content, &plain);
	put_trailer(&content, text_view("no message"));
	sign(&content);
	cannot_unsign(&content, "ASN.1");
}

/* The section table says that the bytes belong to the module, the block says the signature. */
static void signatures_that_reach_into_sections_are_refused(void **state)
{
	KS_BUF content = { 0 };
	KS_BUF message = { 0 };

	(void)state;
	put_plain_message(&message, text_view(""), identity("P-256", 1), "sha256");
	copy(&content, &plain);
	put_trailer(&content, ks_buf_view(&message));
	for (size_t len = message.len + 1; len < message.len + plain.len; len += 5) {
		content.data[content.len - 30] = (uint8_t)(len >> 8);
		content.data[content.len - 29] = (uint8_t)len;
		cannot_unsign(&content, "sections");
	}
	content.data[content.len - 30] = (uint8_t)(message.len >> 8);
	content.data[content.len - 29] = (uint8_t)message.len;
	unsign_content(&content, 1);
}

/* Bytes between the sections and the signature belong to the module: the signature covers them. */
static void bytes_behind_the_sections_stay(void **state)
{
	KS_BUF content = { 0 };

	(void)state;
	assert_ok(ks_buf_append(&plain, "padding", 7, &error));
	copy(&content, &plain);
	sign(&content);
	unsign_content(&content, 1);
}

/* --- signatures put on, and files written --------------------------------------------------- */

static void appended_and_stored_as_it_came(void **state)
{
	(void)state;
	for (size_t i = 0; i < CODECS; i++) {
		const char *path = module_path(codecs[i]);
		KS_MODULE module = KS_MODULE_NONE;
		KS_MODULE again = KS_MODULE_NONE;
		KS_BUF message = { 0 };
		KS_BUF wanted = { 0 };
		struct ks_trailer t;

		write_packed(path, codecs[i], ks_buf_view(&plain));
		assert_int_equal(chmod(path, 0640), 0);
		put_plain_message(&message, ks_buf_view(&plain), identity("P-256", 1), "sha256");
		load(&module, path);
		assert_ok(ks_module_append(&module, ks_buf_view(&message), &error));
		assert_ok(ks_module_store(&module, NULL, &written, &error));
		load(&again, path);
		assert_ptr_equal(again.codec, codecs[i]);
		copy(&wanted, &plain);
		put_trailer(&wanted, ks_buf_view(&message));
		assert_view_equal(ks_buf_view(&again.content), ks_buf_view(&wanted));
		assert_int_equal(again.image_end, plain.len);
		t = ks_module_trailer(&again);
		assert_int_equal(t.kind, KS_TRAILER_WHOLE);
		assert_view_equal(t.image, ks_buf_view(&plain));
		assert_view_equal(t.message, ks_buf_view(&message));
		assert_int_equal(stat_of(path).st_mode & 07777, 0640);
	}
	assert_int_equal(count_entries(in_scratch("dir")), CODECS);
}

static void a_file_that_changed_is_not_stored_over(void **state)
{
	KS_MODULE module = KS_MODULE_NONE;

	(void)state;
	write_file(in_scratch("dir/x.ko"), ks_buf_view(&plain));
	load(&module, in_scratch("dir/x.ko"));
	write_text(in_scratch("dir/x.ko"), "somebody else's");
	assert_fails(ks_module_store(&module, NULL, &written, &error), KS_ERR_CHANGED);
	assert_content(in_scratch("dir/x.ko"), text_view("somebody else's"));
	assert_int_equal(count_entries(in_scratch("dir")), 1);
}

static void stored_somewhere_else(void **state)
{
	KS_MODULE module = KS_MODULE_NONE;
	KS_PLACE place = KS_PLACE_NONE;
	KS_PLACE old = KS_PLACE_NONE;
	KS_MODULE again = KS_MODULE_NONE;

	(void)state;
	write_packed(in_scratch("dir/x.ko.zst"), &ks_codec_zstd, ks_buf_view(&plain));
	write_text(in_scratch("there/old.ko.zst"), "old");
	assert_int_equal(chmod(in_scratch("there/old.ko.zst"), 0600), 0);
	load(&module, in_scratch("dir/x.ko.zst"));
	assert_ok(ks_place_find(&place, NULL, in_scratch("there/new.ko.zst"), &error));
	assert_ok(ks_module_store_as(&module, &place, 0640, &error));
	assert_ok(ks_place_find(&old, NULL, in_scratch("there/old.ko.zst"), &error));
	assert_ok(ks_module_store_as(&module, &old, 0640, &error));
	load(&again, in_scratch("there/new.ko.zst"));
	assert_view_equal(ks_buf_view(&again.content), ks_buf_view(&plain));
	assert_int_equal(stat_of(in_scratch("there/new.ko.zst")).st_mode & 07777, 0640);
	assert_int_equal(stat_of(in_scratch("there/old.ko.zst")).st_mode & 07777, 0600);
	assert_int_equal(count_entries(in_scratch("there")), 2);
}

static void freeing_twice_does_no_harm(void **state)
{
	struct ks_module module = KS_MODULE_NONE;

	(void)state;
	ks_module_free(&module);
	write_file(in_scratch("x.ko"), ks_buf_view(&plain));
	load(&module, in_scratch("x.ko"));
	ks_module_free(&module);
	assert_null(module.content.data);
	assert_int_equal(module.place.dir, -1);
	ks_module_free(&module);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		module_test(every_container),
		module_test(names_and_containers_have_to_agree),
		module_test(a_name_that_promises_nothing),
		module_test(what_is_no_module),
		module_test(damaged_containers),
		module_test(the_limit_is_for_file_and_content),
		module_test(links_inside_the_root),
		module_test(any_file_for_sign_file),
		module_test(what_a_kernel_s_reader_objects_to),
		module_test(every_signature_is_taken_off),
		module_test(signatures_of_every_kind_are_taken_off),
		module_test(malformed_blocks_are_refused),
		module_test(what_is_no_message_is_refused),
		module_test(a_malformed_one_below_is_refused),
		module_test(signatures_that_reach_into_sections_are_refused),
		module_test(bytes_behind_the_sections_stay),
		module_test(appended_and_stored_as_it_came),
		module_test(a_file_that_changed_is_not_stored_over),
		module_test(stored_somewhere_else),
		module_test(freeing_twice_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
