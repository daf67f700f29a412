/* SPDX-License-Identifier: MIT */
#include "core/kmod.h"

#include <elf.h>
#include <errno.h>
#include <libkmod.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/place.h"
#include "base/strings.h"
#include "core/elf.h"
#include "core/trailer.h"

static void say_nothing(void *data, int priority, const char *file, int line, const char *fn,
			const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line, (void)fn, (void)format, (void)args;
}

static struct kmod_ctx *open_kmod(const char *dir, struct ks_error *err)
{
	static const char *const no_config[] = { NULL };
	struct kmod_ctx *ctx = kmod_new(dir, no_config);

	if (ctx)
		kmod_set_log_fn(ctx, say_nothing, NULL);
	else
		ks_fail_memory(err);
	return ctx;
}

/* libkmod's paths begin with the directory it was opened on, made absolute in its own way. */
static bool first_path(struct kmod_list *list, const char *prefix, const char *dir, char **path,
		       struct ks_error *err)
{
	size_t len = strlen(prefix);
	struct kmod_list *entry;

	kmod_list_foreach(entry, list)
	{
		struct kmod_module *module = kmod_module_get_module(entry);
		const char *file = kmod_module_get_path(module);
		/* An absolute path in modules.dep is handed out as it stands there. */
		bool below = file && strncmp(file, prefix, len) == 0;
		bool ok = !file || *path ||
			  ks_string_print(path, err, "%s%s", below ? dir : "",
					  below ? file + len : file);

		kmod_module_unref(module);
		if (!ok)
			return false;
	}
	return true;
}

/* The library's directories: Debian's of one architecture, and everybody else's. */
static bool library_dirs(const char *root, struct ks_strings *dirs, struct ks_error *err)
{
	static const char *const parents[] = { "/usr/lib", "/lib" };
	static const char *const fixed[] = { "/usr/lib64", "/usr/lib", "/lib64", "/lib" };

	for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
		KS_STRINGS names = { 0 };

		if (!ks_dir_names_at(root, parents[i], &names, err) && err->sys == ENOMEM)
			return false;
		for (size_t k = 0; k < names.count; k++) {
			KS_STRING dir = NULL;

			if (strstr(names.item[k], "-linux-") &&
			    (!ks_string_print(&dir, err, "%s/%s", parents[i], names.item[k]) ||
			     !ks_strings_add(dirs, dir, err)))
				return false;
		}
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		if (!ks_strings_add(dirs, fixed[i], err))
			return false;
	return true;
}

/* As kmod's Makefile.am has it from release to release. */
static int by_library(const char *path)
{
	static const struct {
		const char *name;
		int version;
	} releases[] = { { "/libkmod.so.2.4.0", 30 },
			 { "/libkmod.so.2.4.1", 31 },
			 { "/libkmod.so.2.4.2", 32 },
			 { "/libkmod.so.2.5.0", 33 },
			 { "/libkmod.so.2.5.1", 34 } };
	const char *name = strrchr(path, '/');

	for (size_t i = 0; name && i < sizeof(releases) / sizeof(*releases); i++)
		if (strcmp(name, releases[i].name) == 0)
			return releases[i].version;
	return 0;
}

bool ks_kmod_version(const char *root, int *version, struct ks_error *err)
{
	KS_STRINGS dirs = { 0 };

	*version = 0;
	if (!library_dirs(root, &dirs, err))
		return false;
	for (size_t i = 0; i < dirs.count && !*version; i++) {
		KS_PLACE place = KS_PLACE_NONE;
		KS_STRING path = NULL;
		struct ks_error ignored;

		if (!ks_string_print(&path, err, "%s/libkmod.so.2", dirs.item[i]))
			return false;
		if (ks_place_find(&place, root, path, &ignored))
			*version = by_library(place.path);
	}
	return true;
}

/* libkmod would follow a link of the root's on the host: then its index does not count. */
static bool leads_elsewhere(const char *dir)
{
	static const char *const indexes[] = { "modules.dep.bin", "modules.alias.bin",
					       "modules.symbols.bin", "modules.builtin.bin",
					       "modules.builtin.alias.bin" };
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(indexes) / sizeof(*indexes); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, indexes[i]);
		if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

bool ks_kmod_lookup(const char *root, const char *dir, const char *name, char **path,
		    struct ks_error *err)
{
	struct kmod_list *list = NULL;
	KS_STRING host_dir = NULL;
	struct kmod_ctx *ctx;
	bool ok = true;

	*path = NULL;
	if (!ks_string_print(&host_dir, err, "%s%s", root ? root : "", dir))
		return false;
	if (root && leads_elsewhere(host_dir))
		return true;
	ctx = open_kmod(host_dir, err);
	if (!ctx)
		return false;
	if (kmod_module_new_from_lookup(ctx, name, &list) >= 0)
		ok = first_path(list, kmod_get_dirname(ctx), dir, path, err);
	kmod_module_unref_list(list);
	kmod_unref(ctx);
	return ok;
}

/* .modinfo: strings "key=value", each with its zero byte, and zero bytes between them. */

static bool take_string(struct ks_view *rest, const char **string)
{
	const uint8_t *end;

	while (rest->len && !*rest->data) {
		rest->data++;
		rest->len--;
	}
	end = rest->len ? memchr(rest->data, '\0', rest->len) : NULL;
	if (!end)
		return false;
	*string = (const char *)rest->data;
	rest->len -= (size_t)(end - rest->data);
	rest->data = end;
	return true;
}

static bool read_section(struct ks_view content, struct ks_modinfo *info, struct ks_error *err)
{
	struct ks_view rest;
	const char *string;

	if (!ks_elf_section(content, ".modinfo", &rest))
		return true;
	while (take_string(&rest, &string)) {
		if (strcmp(string, "intree=Y") == 0)
			info->intree = true;
		if (strncmp(string, "vermagic=", strlen("vermagic=")) == 0 && !info->vermagic &&
		    !ks_string_copy(&info->vermagic, string + strlen("vermagic="), err))
			return false;
	}
	return true;
}

/* What libkmod makes of the signature */

/*
 * libkmod reads modules by path only, and looks for a signature at the end of the file whatever is
 * before it.  So it gets the signature behind a module of ours: not the file's own name, whose
 * content may have changed and whose container this libkmod may not read, nor its sections.
 */
static bool put_carrier(struct ks_buf *file, struct ks_error *err)
{
	static const char names[] = "\0.modinfo\0.names";
	static const char modinfo[] = "name=carrier";
	struct {
		Elf64_Ehdr header;
		char names[24], modinfo[16];
		Elf64_Shdr section[3];
	} carrier = { 0 };
	size_t sections = offsetof(__typeof__(carrier), section);

	memcpy(carrier.header.e_ident, ELFMAG, SELFMAG);
	carrier.header.e_ident[EI_CLASS] = ELFCLASS64;
	carrier.header.e_ident[EI_DATA] =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	carrier.header.e_ident[EI_VERSION] = EV_CURRENT;
	carrier.header.e_type = ET_REL;
	carrier.header.e_version = EV_CURRENT;
	carrier.header.e_ehsize = sizeof(Elf64_Ehdr);
	carrier.header.e_shentsize = sizeof(Elf64_Shdr);
	carrier.header.e_shoff = sections;
	carrier.header.e_shnum = 3;
	carrier.header.e_shstrndx = 1;
	memcpy(carrier.names, names, sizeof(names));
	memcpy(carrier.modinfo, modinfo, sizeof(modinfo));
	carrier.section[1] = (Elf64_Shdr){ .sh_name = 10,
					   .sh_type = SHT_STRTAB,
					   .sh_offset = offsetof(__typeof__(carrier), names),
					   .sh_size = sizeof(names) };
	carrier.section[2] = (Elf64_Shdr){ .sh_name = 1,
					   .sh_type = SHT_PROGBITS,
					   .sh_offset = offsetof(__typeof__(carrier), modinfo),
					   .sh_size = sizeof(modinfo) };
	return ks_buf_append(file, &carrier, sizeof(carrier), err);
}

static bool open_file(struct ks_view bytes, int *fd, struct ks_error *err)
{
	size_t done = 0;

	*fd = memfd_create("module", MFD_CLOEXEC);
	if (*fd < 0)
		return ks_fail_errno(err, "memory file");
	while (done < bytes.len) {
		ssize_t n = write(*fd, bytes.data + done, bytes.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ks_fail_errno(err, "memory file");
		done += (size_t)n;
	}
	return true;
}

static char **find_field(struct ks_modinfo *info, const char *key)
{
	return strcmp(key, "sig_id") == 0	? &info->sig_id :
	       strcmp(key, "signer") == 0	? &info->signer :
	       strcmp(key, "sig_key") == 0	? &info->sig_key :
	       strcmp(key, "sig_hashalgo") == 0 ? &info->sig_hashalgo :
						  NULL;
}

static bool take_fields(struct kmod_list *list, struct ks_modinfo *info, struct ks_error *err)
{
	struct kmod_list *entry;

	kmod_list_foreach(entry, list)
	{
		char **field = find_field(info, kmod_module_info_get_key(entry));

		if (field && !*field &&
		    !ks_string_copy(field, kmod_module_info_get_value(entry), err))
			return false;
	}
	return true;
}

static bool ask_libkmod(const char *path, struct ks_modinfo *info, struct ks_error *err)
{
	struct kmod_module *module = NULL;
	struct kmod_list *list = NULL;
	struct kmod_ctx *ctx = open_kmod("/", err);
	bool ok = true;

	if (!ctx)
		return false;
	/* A signature that libkmod does not understand is none to it. */
	if (kmod_module_new_from_path(ctx, path, &module) >= 0 &&
	    kmod_module_get_info(module, &list) >= 0)
		ok = take_fields(list, info, err);
	kmod_module_info_free_list(list);
	kmod_module_unref(module);
	kmod_unref(ctx);
	/* What its OpenSSL calls leave behind is no error of ours. */
	ERR_clear_error();
	return ok;
}

static bool has_bit_string(const X509_NAME *name)
{
	for (int i = 0; i < X509_NAME_entry_count(name); i++)
		if (ASN1_STRING_type(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i))) ==
		    V_ASN1_BIT_STRING)
			return true;
	return false;
}

/* libkmod 30 takes an issuer's name for a string with an end; behind a BIT STRING there is none. */
static bool is_safe_to_ask(struct ks_view message)
{
	const unsigned char *at = message.data;
	PKCS7 *pkcs7 = d2i_PKCS7(NULL, &at, (long)message.len);
	STACK_OF(PKCS7_SIGNER_INFO) *infos = pkcs7 ? PKCS7_get_signer_info(pkcs7) : NULL;
	bool safe = infos != NULL;

	for (int i = 0; safe && i < sk_PKCS7_SIGNER_INFO_num(infos); i++)
		safe = !has_bit_string(
			sk_PKCS7_SIGNER_INFO_value(infos, i)->issuer_and_serial->issuer);
	PKCS7_free(pkcs7);
	ERR_clear_error();
	return safe;
}

static bool read_signature(struct ks_view content, struct ks_modinfo *info, struct ks_error *err)
{
	struct ks_trailer trailer = ks_trailer_parse(content);
	KS_BULK file = { 0 };
	KS_FD fd = -1;
	char path[40];

	if (trailer.kind != KS_TRAILER_WHOLE || !is_safe_to_ask(trailer.message))
		return true;
	if (!put_carrier(&file, err) || !ks_trailer_append(&file, trailer.message, err) ||
	    !open_file(ks_buf_view(&file), &fd, err))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return ask_libkmod(path, info, err);
}

bool ks_modinfo_read(struct ks_view content, struct ks_modinfo *info, struct ks_error *err)
{
	*info = (struct ks_modinfo){ 0 };
	if (read_section(content, info, err) && read_signature(content, info, err))
		return true;
	ks_modinfo_free(info);
	return false;
}

void ks_modinfo_free(struct ks_modinfo *info)
{
	free(info->vermagic);
	free(info->sig_id);
	free(info->signer);
	free(info->sig_key);
	free(info->sig_hashalgo);
	*info = (struct ks_modinfo){ 0 };
}
