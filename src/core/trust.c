/* SPDX-License-Identifier: MIT */
#include "core/trust.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/efivar.h"
#include "core/image.h"
#include "core/siglist.h"

enum {
	IMAGE_LIMIT = 256 << 20, /* bytes, of an image's file */
	KERNEL_LIMIT = 1 << 30,	 /* bytes, of what it unpacks to */
	SMALL_LIMIT = 64 << 10,	 /* bytes, of a file in /proc or /sys */
};

/* Whose kernels have been read, as their images name who built them, and what those do. */
static const struct {
	const char *builder;
	int from, before; /* major * 1000 + minor */
	struct ks_trust_rule rule;
} rules[] = {
	/* Debian's patch has the platform keyring asked as Fedora's does; another trusts every MOK. */
	{ "debian-kernel@lists.debian.org",
	  6001,
	  7000,
	  { "Debian 6.x: builtin, MOK under Secure Boot, then db", KS_YES, KS_YES, KS_YES,
	    KS_YES } },
	/* Without MokListTrustedRT a MOK is in the platform keyring, which is asked as well. */
	{ "debian-kernel@lists.debian.org",
	  7000,
	  8000,
	  { "Debian 7.x: builtin, MOK under Secure Boot, then db", KS_YES, KS_YES, KS_YES,
	    KS_NO } },
};

/*
 * A kernel of anybody else: what is compiled in counts everywhere.  A MOK with MokListTrustedRT does
 * where CONFIG_INTEGRITY_MACHINE_KEYRING is set; the rest is up to patches that nobody can see.
 */
static const struct ks_trust_rule other_rule = {
	"any other kernel: builtin; under Secure Boot MOK with MokListTrustedRT; else unknown",
	KS_UNKNOWN, KS_YES, KS_UNKNOWN, KS_UNKNOWN
};

const char *ks_answer_name(enum ks_answer answer)
{
	static const char *const names[] = { "unknown", "no", "yes" };

	return names[answer];
}

const char *ks_origin_name(enum ks_origin origin)
{
	static const char *const names[] = {
		[KS_ORIGIN_BUILTIN] = "builtin", [KS_ORIGIN_MOK] = "MOK",
		[KS_ORIGIN_DB] = "db",		 [KS_ORIGIN_DBX] = "dbx",
		[KS_ORIGIN_MOKX] = "MOKX",	 [KS_ORIGIN_REVOKED] = "revoked",
		[KS_ORIGIN_MOK_NEW] = "MokNew",	 [KS_ORIGIN_MOK_DEL] = "MokDel",
	};

	return names[origin];
}

static bool add(struct ks_trust *trust, const struct ks_certs *certs, enum ks_origin origin,
		struct ks_error *err)
{
	for (size_t i = 0; i < certs->count; i++) {
		if (trust->count == trust->cap) {
			size_t cap = trust->cap ? trust->cap * 2 : 8;
			struct ks_trusted *item = reallocarray(trust->item, cap, sizeof(*item));

			if (!item)
				return ks_fail_memory(err);
			trust->item = item;
			trust->cap = cap;
		}
		X509_up_ref(certs->item[i]);
		trust->item[trust->count++] =
			(struct ks_trusted){ certs->item[i], origin, KS_UNKNOWN, NULL };
	}
	return true;
}

/* Notes what ERR says; it is the caller's again. */
static bool note(struct ks_trust *trust, const char *what, struct ks_error *err)
{
	ks_at(err, what);
	return ks_strings_add(&trust->unseen, err->text, err);
}

/* The image */

static bool find_image(const struct ks_trust_search *s, struct ks_buf *file, char **path,
		       struct ks_error *err)
{
	const struct ks_kernel *kernel = s->kernel;
	struct stat st;

	if (!ks_string_print(path, err, "/boot/vmlinuz-%s", kernel->version))
		return false;
	if (ks_file_read_path(s->root, *path, IMAGE_LIMIT, file, &st, err))
		return true;
	/* One that is there and cannot be read is what has to be said; else the next is tried. */
	if (err->sys == EACCES || err->sys == EPERM)
		return ks_at(err, *path);
	ks_string_free(path);
	return ks_string_print(path, err, "%s/vmlinuz", kernel->dir) &&
	       (ks_file_read_path(s->root, *path, IMAGE_LIMIT, file, &st, err) ||
		ks_at(err, *path));
}

static bool read_image(const struct ks_trust_search *s, struct ks_trust *trust, char **builder,
		       struct ks_error *err)
{
	struct ks_image image = { 0 };
	KS_BULK file = { 0 };
	bool ok;

	if (!find_image(s, &file, &trust->image, err)) {
		ks_string_free(&trust->image);
		return note(trust, "kernel image", err);
	}
	if (!ks_image_read(ks_buf_view(&file), KERNEL_LIMIT, &image, err))
		return note(trust, trust->image, err);
	ok = add(trust, &image.builtin, KS_ORIGIN_BUILTIN, err) &&
	     add(trust, &image.revoked, KS_ORIGIN_REVOKED, err);
	if (ok && !image.has_list) {
		ks_fail(err, KS_ERR_MISSING, "no list of certificates found in it");
		ok = note(trust, trust->image, err);
	}
	*builder = image.builder;
	image.builder = NULL;
	ks_image_free(&image);
	return ok;
}

/* The rule */

static int version_number(const char *version)
{
	int major = 0, minor = 0;

	return sscanf(version, "%d.%d", &major, &minor) == 2 ? major * 1000 + minor : 0;
}

static bool choose_rule(struct ks_trust *trust, const char *builder, struct ks_error *err)
{
	int number = version_number(trust->version);

	trust->rule = &other_rule;
	for (size_t i = 0; builder && i < sizeof(rules) / sizeof(*rules); i++)
		if (strcmp(builder, rules[i].builder) == 0 && number >= rules[i].from &&
		    number < rules[i].before) {
			trust->rule = &rules[i].rule;
			return ks_string_print(&trust->rule_why, err, "built by %s, version %s",
					       rules[i].builder, trust->version);
		}
	if (!builder)
		return ks_string_copy(&trust->rule_why, "no image says who built it", err);
	return ks_string_print(&trust->rule_why, err, "built by %s, whose kernels were not read",
			       builder);
}

static bool is_refusal(enum ks_origin origin)
{
	return origin == KS_ORIGIN_DBX || origin == KS_ORIGIN_MOKX || origin == KS_ORIGIN_REVOKED;
}

/* What shim hands over is looked at under Secure Boot only (load_uefi_certs() in load_uefi.c). */
static enum ks_answer is_looked_at(const struct ks_trust *trust, enum ks_origin origin)
{
	return origin == KS_ORIGIN_MOK || origin == KS_ORIGIN_MOKX ? trust->secure_boot : KS_YES;
}

static enum ks_answer least(enum ks_answer a, enum ks_answer b)
{
	return a == KS_NO || b == KS_NO ? KS_NO : a == KS_UNKNOWN ? a : b;
}

/* Whether some list of what is refused has it, of those that this kernel looks at. */
static enum ks_answer is_refused(const struct ks_trust *trust, const X509 *cert)
{
	enum ks_answer answer = KS_NO;

	for (size_t i = 0; i < trust->count; i++) {
		const struct ks_trusted *item = &trust->item[i];
		enum ks_answer here = least(trust->revocation, is_looked_at(trust, item->origin));

		if (!is_refusal(item->origin) || X509_cmp(item->cert, cert) != 0 || here == KS_NO)
			continue;
		answer = here == KS_YES || answer == KS_YES ? KS_YES : KS_UNKNOWN;
	}
	return answer;
}

/* A certificate whose key it cannot use is not in any of its keyrings. */
static enum ks_answer can_use(const struct ks_trust *trust, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	enum ks_answer answer;

	if (!key)
		answer = KS_UNKNOWN;
	else if (EVP_PKEY_is_a(key, "RSA"))
		answer = KS_YES;
	else if (!EVP_PKEY_is_a(key, "EC"))
		answer = strncmp(OBJ_nid2sn(EVP_PKEY_get_base_id(key)), "ML-DSA", 6) == 0 ?
				 trust->mldsa :
				 KS_UNKNOWN;
	else if (EVP_PKEY_get_bits(key) > 384 && version_number(trust->version) < 6010)
		answer = KS_NO;
	else
		answer = trust->ecdsa;
	ERR_clear_error();
	return answer;
}

/* Whether the kernel has it in a keyring that modules are checked with. */
static enum ks_answer is_trusted(const struct ks_trust *trust, enum ks_origin origin)
{
	const struct ks_trust_rule *rule = trust->rule;

	switch (origin) {
	case KS_ORIGIN_BUILTIN:
		return KS_YES;
	case KS_ORIGIN_MOK:
		return trust->mok_trusted == KS_YES ? rule->trusted_mok : rule->mok;
	case KS_ORIGIN_DB:
		return rule->db;
	default:
		return KS_NO;
	}
}

/* Takes ANSWER, if it is less than what ITEM has so far. */
static void lessen(struct ks_trusted *item, enum ks_answer answer, const char *why)
{
	if (least(item->counts, answer) == item->counts)
		return;
	item->counts = answer;
	item->why = why;
}

static void judge(const struct ks_trust *trust, struct ks_trusted *item)
{
	enum ks_answer refused;

	item->counts = KS_YES;
	if (is_refusal(item->origin)) {
		lessen(item, trust->revocation, "CONFIG_SYSTEM_REVOCATION_LIST");
		lessen(item, is_looked_at(trust, item->origin), "Secure Boot");
		return;
	}
	lessen(item, is_trusted(trust, item->origin), "rule");
	lessen(item, is_looked_at(trust, item->origin), "Secure Boot");
	lessen(item, can_use(trust, item->cert), "key type");
	refused = is_refused(trust, item->cert);
	lessen(item, refused == KS_YES ? KS_NO : refused == KS_NO ? KS_YES : KS_UNKNOWN, "refused");
}

/* Firmware and shim */

static const struct {
	const char *name, *guid;
	enum ks_origin origin;
} variables[] = {
	{ "MokListRT", KS_EFI_SHIM, KS_ORIGIN_MOK },  { "db", KS_EFI_SECURITY, KS_ORIGIN_DB },
	{ "dbx", KS_EFI_SECURITY, KS_ORIGIN_DBX },    { "MokListXRT", KS_EFI_SHIM, KS_ORIGIN_MOKX },
	{ "MokNew", KS_EFI_SHIM, KS_ORIGIN_MOK_NEW }, { "MokDel", KS_EFI_SHIM, KS_ORIGIN_MOK_DEL },
};

static bool read_variable(const struct ks_trust_search *s, const char *name, const char *guid,
			  struct ks_trust *trust, struct ks_buf *data, bool *is_there,
			  struct ks_error *err)
{
	*is_there = false;
	if (ks_efivar_read(s->live, s->efivars, name, guid, data, is_there, err))
		return true;
	return ks_strings_add(&trust->unseen, err->text, err);
}

static bool add_list(struct ks_trust *trust, const char *name, struct ks_view data,
		     enum ks_origin origin, struct ks_error *err)
{
	KS_SIGLIST list = { 0 };

	if (!ks_siglist_parse(data, &list, err) || !add(trust, &list.certs, origin, err))
		return false;
	if (is_refusal(origin))
		trust->refused_hashes += list.hash_count;
	if (!list.damage)
		return true;
	ks_fail(err, KS_ERR_INPUT, "%s", list.damage);
	return note(trust, name, err);
}

static bool read_flag(const struct ks_trust_search *s, const char *name, const char *guid,
		      struct ks_trust *trust, enum ks_answer *answer, struct ks_error *err)
{
	KS_BUF data = { 0 };
	bool is_there;

	if (!read_variable(s, name, guid, trust, &data, &is_there, err))
		return false;
	if (is_there && data.len == 1)
		*answer = data.data[0] ? KS_YES : KS_NO;
	return true;
}

static bool read_firmware(const struct ks_trust_search *s, struct ks_trust *trust,
			  struct ks_error *err)
{
	if (!s->efivars)
		return true;
	if (!read_flag(s, "SecureBoot", KS_EFI_GLOBAL, trust, &trust->secure_boot, err) ||
	    !read_flag(s, "MokListTrustedRT", KS_EFI_SHIM, trust, &trust->mok_trusted, err))
		return false;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		KS_BUF data = { 0 };
		bool is_there;

		if (!read_variable(s, variables[i].name, variables[i].guid, trust, &data, &is_there,
				   err) ||
		    (is_there && !add_list(trust, variables[i].name, ks_buf_view(&data),
					   variables[i].origin, err)))
			return false;
	}
	return true;
}

/* Enforcement */

static bool read_config(const struct ks_trust_search *s, const char *symbol, enum ks_answer *answer,
			struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;

	if (!ks_kernel_config(s->kernel, s->root, symbol, &value, &file, err))
		return false;
	/* As a module it may be loaded, or not. */
	*answer = !value		  ? KS_NO :
		  strcmp(value, "y") == 0 ? KS_YES :
		  strcmp(value, "m") == 0 ? KS_UNKNOWN :
					    KS_NO;
	return true;
}

/* The first line of a file in /proc or /sys; NULL, and a note, where it cannot be read. */
static bool read_live(const struct ks_trust_search *s, const char *path, struct ks_trust *trust,
		      char **line, struct ks_error *err)
{
	KS_BUF text = { 0 };
	size_t len = 0;

	*line = NULL;
	if (!ks_file_read_live(s->live, path, SMALL_LIMIT, &text, err))
		return err->sys == ENOENT || err->sys == ENOTDIR || note(trust, path, err);
	while (len < text.len && text.data[len] != '\n' && text.data[len])
		len++;
	return ks_string_print(line, err, "%.*s", (int)len, (char *)text.data);
}

/* "none [integrity] confidentiality": the one in brackets. */
static bool read_lockdown(const struct ks_trust_search *s, struct ks_trust *trust,
			  struct ks_error *err)
{
	KS_STRING line = NULL;
	char *word;

	if (!read_live(s, "/sys/kernel/security/lockdown", trust, &line, err))
		return false;
	word = line ? strchr(line, '[') : NULL;
	if (!word)
		return true;
	word[1 + strcspn(word + 1, "]")] = '\0';
	return ks_string_copy(&trust->lockdown, word + 1, err);
}

static bool enforces(struct ks_trust *trust, enum ks_answer answer, const char *why,
		     struct ks_error *err)
{
	trust->enforced = answer;
	ks_string_free(&trust->enforced_why);
	return ks_string_copy(&trust->enforced_why, why, err);
}

/* What the running kernel says of itself; the parameter shows the build's choice as well. */
static bool ask_running(const struct ks_trust_search *s, struct ks_trust *trust,
			struct ks_error *err)
{
	KS_STRING sig_enforce = NULL;

	if (!read_live(s, "/sys/module/module/parameters/sig_enforce", trust, &sig_enforce, err) ||
	    !read_lockdown(s, trust, err))
		return false;
	if (sig_enforce && sig_enforce[0] == 'Y')
		return enforces(trust, KS_YES, "sig_enforce is set", err);
	if (trust->lockdown && strcmp(trust->lockdown, "none") != 0)
		return enforces(trust, KS_YES, "the kernel is locked down", err);
	if (sig_enforce && trust->lockdown)
		return enforces(trust, KS_NO, "sig_enforce is not set, nor is it locked down", err);
	return enforces(trust, KS_UNKNOWN, "sig_enforce or lockdown cannot be seen", err);
}

static bool find_enforcement(const struct ks_trust_search *s, struct ks_trust *trust,
			     struct ks_error *err)
{
	enum ks_answer modules, force, locks_down;

	if (!read_config(s, "CONFIG_MODULES", &modules, err) ||
	    !read_config(s, "CONFIG_MODULE_SIG", &trust->module_sig, err) ||
	    !read_config(s, "CONFIG_MODULE_SIG_FORCE", &force, err) ||
	    !read_config(s, "CONFIG_SYSTEM_REVOCATION_LIST", &trust->revocation, err) ||
	    !read_config(s, "CONFIG_CRYPTO_ECDSA", &trust->ecdsa, err) ||
	    !read_config(s, "CONFIG_CRYPTO_MLDSA", &trust->mldsa, err) ||
	    !read_config(s, "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT", &locks_down, err))
		return false;
	/* A config without modules is none of this kernel's. */
	if (modules != KS_YES)
		trust->module_sig = trust->revocation = trust->ecdsa = trust->mldsa = KS_UNKNOWN;
	if (trust->module_sig == KS_NO)
		return enforces(trust, KS_NO, "CONFIG_MODULE_SIG is not set", err);
	if (force == KS_YES)
		return enforces(trust, KS_YES, "CONFIG_MODULE_SIG_FORCE is set", err);
	if (s->is_running)
		return ask_running(s, trust, err);
	if (locks_down == KS_YES && trust->secure_boot == KS_YES)
		return enforces(trust, KS_YES, "it locks down under Secure Boot, which is on", err);
	return enforces(trust, KS_UNKNOWN,
			"it is not running: its command line, and Secure Boot, decide", err);
}

static bool find(const struct ks_trust_search *s, struct ks_trust *trust, struct ks_error *err)
{
	KS_STRING builder = NULL;

	trust->is_running = s->is_running;
	if (!ks_string_copy(&trust->version, s->kernel->version, err) ||
	    !read_image(s, trust, &builder, err) || !read_firmware(s, trust, err) ||
	    !find_enforcement(s, trust, err) || !choose_rule(trust, builder, err))
		return false;
	for (size_t i = 0; i < trust->count; i++)
		judge(trust, &trust->item[i]);
	return true;
}

bool ks_trust_find(const struct ks_trust_search *search, struct ks_trust *trust,
		   struct ks_error *err)
{
	*trust = (struct ks_trust){ 0 };
	if (find(search, trust, err))
		return true;
	ks_trust_free(trust);
	return false;
}

void ks_trust_free(struct ks_trust *trust)
{
	for (size_t i = 0; i < trust->count; i++)
		X509_free(trust->item[i].cert);
	free(trust->item);
	free(trust->version);
	free(trust->enforced_why);
	free(trust->lockdown);
	free(trust->rule_why);
	free(trust->image);
	ks_strings_free(&trust->unseen);
	*trust = (struct ks_trust){ 0 };
}
