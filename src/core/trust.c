/* SPDX-License-Identifier: MIT */
#include "core/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/file.h"
#include "core/cert.h"
#include "core/efivar.h"
#include "core/image.h"
#include "core/siglist.h"
#include "core/trust_live.h"

#define FIRMWARE "/sys/firmware"

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
	  { "Debian 6.x: builtin, MOK under Secure Boot, then db", KS_YES, KS_RING_TRUSTED, KS_YES,
	    KS_YES, KS_YES } },
	/* Without MokListTrustedRT a MOK is in the platform keyring, which is asked as well. */
	{ "debian-kernel@lists.debian.org",
	  7000,
	  8000,
	  { "Debian 7.x: builtin, MOK under Secure Boot, then db", KS_YES, KS_RING_PLATFORM, KS_YES,
	    KS_YES, KS_NO } },
};

/*
 * A kernel of anybody else: what is compiled in counts everywhere.  A MOK with MokListTrustedRT does
 * where CONFIG_INTEGRITY_MACHINE_KEYRING is set, and not for certificate authorities only; the rest
 * is up to patches that nobody can see.
 */
static const struct ks_trust_rule other_rule = {
	"any other kernel: builtin; under Secure Boot MOK with MokListTrustedRT; else unknown",
	KS_UNKNOWN,
	KS_RING_TRUSTED,
	KS_YES,
	KS_UNKNOWN,
	KS_UNKNOWN
};

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
			(struct ks_trusted){ .cert = certs->item[i], .origin = origin };
	}
	return true;
}

/* Notes what ERR says; it is the caller's again. */
static bool note(struct ks_trust *trust, const char *what, struct ks_error *err)
{
	ks_at(err, what);
	return ks_strings_add(&trust->unseen, err->text, err);
}

/* The same for what may hold certificates. */
static bool note_missing(struct ks_trust *trust, const char *what, struct ks_error *err)
{
	trust->is_complete = false;
	return note(trust, what, err);
}

static bool note_config(const struct ks_trust_search *s, struct ks_trust *trust,
			struct ks_error *err)
{
	bool is_denied;

	/* What another one says is as good. */
	if (trust->abilities.config == KS_YES)
		return true;
	return ks_kernel_config_denied(s->kernel, s->root, &is_denied, err) &&
	       (!is_denied || note(trust, "kernel config", err));
}

/* The image */

/*
 * Nearly all have a vmlinuz, in /boot or beside the modules; those of PowerPC an ELF vmlinux, openSUSE's of
 * ARM and RISC-V an Image.
 */
static const char *const image_names[] = { "vmlinuz", "vmlinux", "Image" };

enum { IMAGE_PLACES = 2 * sizeof(image_names) / sizeof(*image_names) };

static bool image_place(const struct ks_kernel *kernel, size_t i, char **path, struct ks_error *err)
{
	const char *name = image_names[i / 2];

	return i % 2 ? ks_string_print(path, err, "%s/%s", kernel->dir, name) :
		       ks_string_print(path, err, "/boot/%s-%s", name, kernel->version);
}

/* One that is there and may not be read is what has to be said; of none, the place to be expected. */
static bool find_image(const struct ks_trust_search *s, struct ks_buf *file, char **path,
		       struct ks_error *err)
{
	struct ks_error first = { 0 };
	struct stat st;

	for (size_t i = 0; i < IMAGE_PLACES; i++) {
		ks_string_free(path);
		if (!image_place(s->kernel, i, path, err))
			return false;
		if (ks_file_read_path(s->root, *path, IMAGE_LIMIT, file, &st, err))
			return true;
		ks_at(err, *path);
		if (ks_error_is_denied(err))
			return false;
		if (!i)
			first = *err;
	}
	*err = first;
	return false;
}

/* KERNEL's directory may be a link, and its version a name for another one's. */
static bool is_image_of(const struct ks_image *image, const struct ks_kernel *kernel)
{
	const char *slash = strrchr(kernel->dir, '/');

	return !image->release || strcmp(image->release, kernel->version) == 0 ||
	       (slash && strcmp(image->release, slash + 1) == 0);
}

/* What is compiled into another kernel says nothing of this one. */
static bool note_other_image(struct ks_trust *trust, const struct ks_image *image,
			     struct ks_error *err)
{
	KS_STRING path = trust->image;

	trust->image = NULL;
	ks_fail(err, KS_ERR_INPUT, "it is the image of %s", image->release);
	return note_missing(trust, path, err);
}

static bool read_image(const struct ks_trust_search *s, struct ks_trust *trust, char **builder,
		       struct ks_error *err)
{
	KS_IMAGE image = { 0 };
	KS_BULK file = { 0 };
	bool ok;

	if (!find_image(s, &file, &trust->image, err)) {
		ks_string_free(&trust->image);
		return note_missing(trust, "kernel image", err);
	}
	if (!ks_image_read(ks_buf_view(&file), KERNEL_LIMIT, &image, err))
		return note_missing(trust, trust->image, err);
	if (!is_image_of(&image, s->kernel))
		return note_other_image(trust, &image, err);
	ok = add(trust, &image.builtin, KS_ORIGIN_BUILTIN, err) &&
	     add(trust, &image.revoked, KS_ORIGIN_REVOKED, err);
	trust->is_image_read = image.has_list && !image.unread;
	if (ok && !image.has_list) {
		ks_fail(err, KS_ERR_MISSING, "no list of certificates found in it");
		ok = note_missing(trust, trust->image, err);
	}
	*builder = image.builder;
	image.builder = NULL;
	return ok;
}

/* The rule */

static const char machine_keyring[] = "CONFIG_INTEGRITY_MACHINE_KEYRING";
static const char ca_keyring[] = "CONFIG_INTEGRITY_CA_MACHINE_KEYRING";
static const char ca_keyring_max[] = "CONFIG_INTEGRITY_CA_MACHINE_KEYRING_MAX";

/* What MOKs depend on besides, with a rule that knows no patches. */
static bool add_mok_why(struct ks_trust *trust, struct ks_error *err)
{
	static const char *const words[] = {
		[KS_UNKNOWN] = "unknown", [KS_NO] = "not set", [KS_YES] = "set"
	};
	bool is_machine = trust->takes_mok_by == machine_keyring;
	KS_STRING why = NULL;

	if (trust->mok_trusted != KS_YES)
		return true;
	why = trust->rule_why;
	trust->rule_why = NULL;
	return ks_string_print(&trust->rule_why, err, "%s; MokListTrustedRT is there, %s is %s",
			       why, trust->takes_mok_by,
			       words[is_machine ? trust->takes_mok : KS_YES]);
}

static bool choose_rule(struct ks_trust *trust, const char *builder, struct ks_error *err)
{
	int number = ks_kernel_series(trust->version);
	bool is_known = false, ok;

	trust->rule = &other_rule;
	for (size_t i = 0; builder && i < sizeof(rules) / sizeof(*rules); i++) {
		if (strcmp(builder, rules[i].builder) != 0)
			continue;
		is_known = true;
		if (number < rules[i].from || number >= rules[i].before)
			continue;
		trust->rule = &rules[i].rule;
		return ks_string_print(&trust->rule_why, err, "built by %s, version %s", builder,
				       trust->version);
	}
	if (!builder)
		ok = ks_string_copy(&trust->rule_why, "no image says who built it", err);
	else if (is_known)
		ok = ks_string_print(&trust->rule_why, err,
				     "built by %s, of whose kernels %s was not read", builder,
				     trust->version);
	else
		ok = ks_string_print(&trust->rule_why, err,
				     "built by %s, whose kernels were not read", builder);
	return ok && add_mok_why(trust, err);
}

bool ks_origin_is_refusal(enum ks_origin origin)
{
	return origin == KS_ORIGIN_DBX || origin == KS_ORIGIN_MOKX || origin == KS_ORIGIN_REVOKED;
}

/* What shim hands over is looked at under Secure Boot only (load_uefi_certs() in load_uefi.c). */
static enum ks_answer is_looked_at(const struct ks_trust *trust, enum ks_origin origin)
{
	return origin == KS_ORIGIN_MOK || origin == KS_ORIGIN_MOKX ? trust->secure_boot : KS_YES;
}

/* Whether the kernel refuses by it what it is there to refuse. */
static enum ks_answer is_in_force(const struct ks_trust *trust, const struct ks_trusted *item)
{
	return item->is_found != KS_UNKNOWN ?
		       item->is_found :
		       ks_answer_both(trust->revocation, is_looked_at(trust, item->origin));
}

/* Whether some list of what is refused has it, of those that this kernel looks at. */
static enum ks_answer is_refused(const struct ks_trust *trust, const X509 *cert)
{
	enum ks_answer answer = KS_NO;

	for (size_t i = 0; i < trust->count; i++) {
		const struct ks_trusted *item = &trust->item[i];
		enum ks_answer here = is_in_force(trust, item);

		if (!ks_origin_is_refusal(item->origin) || X509_cmp(item->cert, cert) != 0 ||
		    here == KS_NO)
			continue;
		answer = here == KS_YES || answer == KS_YES ? KS_YES : KS_UNKNOWN;
	}
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
		if (rule == &other_rule && trust->takes_mok != KS_YES)
			return rule->mok;
		return trust->mok_trusted == KS_YES ? rule->trusted_mok : rule->mok;
	case KS_ORIGIN_DB:
		return rule->db;
	default:
		return KS_NO;
	}
}

/* What is_trusted() goes by. */
static const char *trusted_by(const struct ks_trust *trust, enum ks_origin origin)
{
	return origin == KS_ORIGIN_MOK && trust->rule == &other_rule &&
			       trust->mok_trusted == KS_YES && trust->takes_mok != KS_YES ?
		       trust->takes_mok_by :
		       "rule";
}

/*
 * A certificate whose hash is in a list is kept out of keyrings that are filled later; whether that
 * is so of this one depends on the order.
 */
static enum ks_answer is_hash_refused(const struct ks_trust *trust, const X509 *cert)
{
	uint8_t hash[KS_SIGLIST_SHA256];

	if (!trust->refused_count || !ks_cert_tbs_sha256(cert, hash))
		return KS_NO;
	for (size_t i = 0; i < trust->refused_count; i++) {
		const struct ks_refused *refused = &trust->refused[i];

		if (refused->hash.type == KS_SIGLIST_TBS && refused->counts != KS_NO &&
		    memcmp(refused->hash.value, hash, KS_SIGLIST_SHA256) == 0)
			return KS_UNKNOWN;
	}
	return KS_NO;
}

/* The keyring that ITEM is in, or is put into. */
static enum ks_ring ring_of(const struct ks_trust *trust, const struct ks_trusted *item)
{
	if (item->is_found == KS_YES)
		return item->found == KS_KEYRING_PLATFORM ? KS_RING_PLATFORM : KS_RING_TRUSTED;
	switch (item->origin) {
	case KS_ORIGIN_BUILTIN:
		return KS_RING_TRUSTED;
	case KS_ORIGIN_MOK:
		return trust->mok_trusted == KS_YES ? KS_RING_TRUSTED : trust->rule->mok_ring;
	case KS_ORIGIN_DB:
		return KS_RING_PLATFORM;
	default:
		return KS_RING_NONE;
	}
}

/* Takes ANSWER, if it is less than what ITEM has so far. */
static void lessen(struct ks_trusted *item, enum ks_answer answer, const char *why)
{
	if (ks_answer_both(item->counts, answer) == item->counts)
		return;
	item->counts = answer;
	item->why = why;
}

/* A key that no signature is good by is as little accepted as one that is not there. */
static enum ks_answer is_usable(enum ks_ability_cert ability)
{
	return ability == KS_CERT_USABLE ? KS_YES : ability == KS_CERT_UNKNOWN ? KS_UNKNOWN : KS_NO;
}

static void judge_refusal(const struct ks_trust *trust, struct ks_trusted *item)
{
	if (item->is_found != KS_UNKNOWN) {
		lessen(item, item->is_found, "keyrings");
		return;
	}
	lessen(item, trust->revocation, "CONFIG_SYSTEM_REVOCATION_LIST");
	lessen(item, is_looked_at(trust, item->origin), "Secure Boot");
}

/* By the keyrings, where they were seen; else by what the kernel is known to put into them. */
static void judge_place(const struct ks_trust *trust, struct ks_trusted *item)
{
	if (item->is_found == KS_NO) {
		lessen(item, KS_NO, "keyrings");
	} else if (item->is_found == KS_YES) {
		lessen(item, ks_trust_asks(trust, item->found), "rule");
	} else {
		if (item->origin == KS_ORIGIN_DB && trust->ignores_db)
			lessen(item, KS_NO, "MokIgnoreDB");
		lessen(item, is_trusted(trust, item->origin), trusted_by(trust, item->origin));
		lessen(item, is_looked_at(trust, item->origin), "Secure Boot");
	}
}

static void judge(const struct ks_trust *trust, struct ks_trusted *item)
{
	enum ks_ability_cert ability = ks_ability_cert(&trust->abilities, item->cert);

	item->counts = KS_YES;
	item->why = NULL;
	item->ring = KS_RING_NONE;
	if (ks_origin_is_refusal(item->origin)) {
		judge_refusal(trust, item);
		return;
	}
	judge_place(trust, item);
	item->is_unseen = ability == KS_CERT_UNSEEN && item->counts == KS_YES;
	/* It was not left out if it is there. */
	if ((ability == KS_CERT_UNPARSED || ability == KS_CERT_LEFT_OUT) &&
	    item->is_found == KS_YES)
		ability = KS_CERT_UNKNOWN;
	lessen(item, is_usable(ability), "key type");
	lessen(item, ks_answer_not(is_refused(trust, item->cert)), "refused");
	if (item->is_found == KS_UNKNOWN)
		lessen(item, ks_answer_not(is_hash_refused(trust, item->cert)), "refused");
	if (item->counts != KS_NO || item->is_unseen)
		item->ring = ring_of(trust, item);
}

enum ks_answer ks_trust_foresee_mok(const struct ks_trust *trust, X509 *cert, const char **why)
{
	struct ks_trusted item = { .cert = cert, .origin = KS_ORIGIN_MOK };

	judge(trust, &item);
	*why = item.why;
	return item.counts;
}

static enum ks_standing standing_of(const struct ks_trusted *item)
{
	if (item->origin == KS_ORIGIN_MOK_NEW)
		return KS_STANDING_PENDING;
	if (item->origin == KS_ORIGIN_MOK_DEL)
		return KS_STANDING_ABSENT;
	if (ks_origin_is_refusal(item->origin))
		return item->counts == KS_YES ? KS_STANDING_REFUSED :
		       item->counts == KS_NO  ? KS_STANDING_ABSENT :
						KS_STANDING_UNKNOWN;
	return item->counts == KS_YES ? KS_STANDING_ACCEPTED :
	       item->counts == KS_NO  ? KS_STANDING_UNUSED :
					KS_STANDING_UNKNOWN;
}

enum ks_standing ks_trust_standing(const struct ks_trust *trust, const X509 *cert, const char **why)
{
	/* What outweighs what, where several lists have it. */
	static const int weight[] = {
		[KS_STANDING_ABSENT] = 0,  [KS_STANDING_UNUSED] = 1,   [KS_STANDING_UNKNOWN] = 2,
		[KS_STANDING_PENDING] = 3, [KS_STANDING_ACCEPTED] = 4, [KS_STANDING_REFUSED] = 5,
	};
	enum ks_standing standing = KS_STANDING_ABSENT;

	*why = NULL;
	for (size_t i = 0; i < trust->count; i++) {
		enum ks_standing one = standing_of(&trust->item[i]);

		if (X509_cmp(trust->item[i].cert, cert) != 0 || weight[one] <= weight[standing])
			continue;
		standing = one;
		*why = trust->item[i].why;
	}
	if (standing != KS_STANDING_ABSENT || trust->is_complete)
		return standing;
	*why = "not all of this kernel's certificates could be seen";
	return KS_STANDING_UNKNOWN;
}

const char *ks_standing_name(enum ks_standing standing)
{
	static const char *const names[] = {
		[KS_STANDING_ABSENT] = "not trusted",
		[KS_STANDING_ACCEPTED] = "trusted",
		[KS_STANDING_PENDING] = "waits to be enrolled",
		[KS_STANDING_UNUSED] = "not used",
		[KS_STANDING_REFUSED] = "refused",
		[KS_STANDING_UNKNOWN] = "unknown",
	};

	return names[standing];
}

const char *ks_trusted_keyring(const struct ks_trusted *item)
{
	if (item->ring == KS_RING_NONE)
		return NULL;
	if (item->is_found == KS_YES)
		return ks_keyring_name(item->found);
	if (item->ring == KS_RING_PLATFORM)
		return ".platform";
	return item->origin == KS_ORIGIN_BUILTIN ? ".builtin_trusted_keys" : ".machine";
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
	trust->is_complete = false;
	return ks_strings_add(&trust->unseen, err->text, err);
}

static bool add_hashes(struct ks_trust *trust, const struct ks_siglist *list, enum ks_origin origin,
		       struct ks_error *err)
{
	size_t count = trust->refused_count + list->hash_count;
	struct ks_refused *refused;

	if (!list->hash_count)
		return true;
	refused = reallocarray(trust->refused, count, sizeof(*refused));
	if (!refused)
		return ks_fail_memory(err);
	trust->refused = refused;
	for (size_t i = 0; i < list->hash_count; i++)
		refused[trust->refused_count++] =
			(struct ks_refused){ list->hash[i], is_looked_at(trust, origin) };
	return true;
}

static bool add_list(struct ks_trust *trust, const char *name, struct ks_view data,
		     enum ks_origin origin, struct ks_error *err)
{
	KS_SIGLIST list = { 0 };

	if (!ks_siglist_parse(data, &list, err) || !add(trust, &list.certs, origin, err) ||
	    (ks_origin_is_refusal(origin) && !add_hashes(trust, &list, origin, err)))
		return false;
	if (!list.damage)
		return true;
	ks_fail(err, KS_ERR_INPUT, "%s", list.damage);
	return note_missing(trust, name, err);
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

/* Who was not started by EFI has no such directory, but others; where all are hidden nobody can tell. */
static bool is_without_efi(const struct ks_trust_search *s)
{
	KS_STRINGS names = { 0 };
	struct ks_error ignored;

	return strcmp(s->efivars, KS_EFIVARS) == 0 && !ks_place_exists(s->live, FIRMWARE "/efi") &&
	       ks_dir_names_at(s->live, FIRMWARE, &names, &ignored) && names.count;
}

/*
 * shim hands over what it knows in volatile variables, most of them named like that, which only it
 * makes, anew in each boot (mok.c of shim); its requests and lists stay from one to the next.
 */
static bool is_of_shim(const char *name)
{
	static const char end[] = "RT-" KS_EFI_SHIM;
	size_t len = strlen(name);

	return len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

static enum ks_answer is_with_shim(const struct ks_trust_search *s, const struct ks_strings *names)
{
	KS_STRINGS table = { 0 };
	struct ks_error ignored;

	for (size_t i = 0; i < names->count; i++)
		if (is_of_shim(names->item[i]))
			return KS_YES;
	return s->mok_table && ks_dir_names_at(s->live, s->mok_table, &table, &ignored) &&
			       table.count ?
		       KS_YES :
		       KS_NO;
}

/* On a machine with EFI no variable at all means that efivarfs is not mounted. */
static bool look_at_variables(const struct ks_trust_search *s, struct ks_trust *trust,
			      struct ks_error *err)
{
	KS_STRINGS names = { 0 };

	if (!ks_dir_names_at(s->live, s->efivars, &names, err)) {
		if (err->sys != ENOENT)
			return note_missing(trust, s->efivars, err);
		if (strcmp(s->efivars, KS_EFIVARS) != 0 || is_without_efi(s))
			trust->efi = KS_NO;
		return true;
	}
	if (names.count) {
		trust->efi = KS_YES;
		trust->shim = is_with_shim(s, &names);
		return true;
	}
	ks_fail(err, KS_ERR_MISSING, "no variables: is efivarfs mounted?");
	return note_missing(trust, s->efivars, err);
}

/*
 * A variable in the table that shim hands over, which can be larger than those of the firmware.
 * *DENIED says why one that is there cannot be read: root alone may.
 */
static bool read_table(const struct ks_trust_search *s, const char *name, struct ks_buf *data,
		       bool *is_there, char **denied, struct ks_error *err)
{
	*is_there = false;
	if (!s->mok_table || ks_efivar_read(s->live, s->mok_table, name, NULL, data, is_there, err))
		return true;
	*is_there = true;
	return ks_string_copy(denied, err->text, err);
}

/* machine_keyring.c asks no more than whether it is there, and looks nowhere else. */
static bool read_mok_trusted(const struct ks_trust_search *s, struct ks_trust *trust,
			     struct ks_error *err)
{
	static const char name[] = "MokListTrustedRT";
	KS_STRING denied = NULL;
	KS_BUF data = { 0 };
	bool is_there;

	if (!s->mok_table)
		return read_flag(s, name, KS_EFI_SHIM, trust, &trust->mok_trusted, err);
	if (!read_table(s, name, &data, &is_there, &denied, err))
		return false;
	trust->mok_trusted = is_there ? KS_YES : KS_NO;
	return true;
}

/* load_uefi.c takes MOKs from the table if they are in it, and everything else from variables. */
static bool read_list(const struct ks_trust_search *s, const char *name, const char *guid,
		      enum ks_origin origin, struct ks_trust *trust, struct ks_error *err)
{
	KS_STRING denied = NULL;
	KS_BUF data = { 0 };
	bool is_there = false;

	if (origin == KS_ORIGIN_MOK && !read_table(s, name, &data, &is_there, &denied, err))
		return false;
	if ((!is_there || denied) && !read_variable(s, name, guid, trust, &data, &is_there, err))
		return false;
	if (is_there)
		return add_list(trust, name, ks_buf_view(&data), origin, err);
	if (!denied)
		return true;
	trust->is_complete = false;
	return ks_strings_add(&trust->unseen, denied, err);
}

/*
 * Where its validation is switched off, shim has the kernel told that there is no Secure Boot
 * (efi_get_secureboot() in drivers/firmware/efi/libstub/secureboot.c).
 */
static bool read_secure_boot(const struct ks_trust_search *s, struct ks_trust *trust,
			     struct ks_error *err)
{
	enum ks_answer is_off = KS_UNKNOWN;

	if (!read_flag(s, "SecureBoot", KS_EFI_GLOBAL, trust, &trust->secure_boot, err) ||
	    !read_flag(s, "MokSBStateRT", KS_EFI_SHIM, trust, &is_off, err))
		return false;
	if ((trust->secure_boot == KS_YES && is_off == KS_YES) || trust->efi == KS_NO)
		trust->secure_boot = KS_NO;
	return true;
}

/* That it is there is enough (uefi_check_ignore_db() in load_uefi.c). */
static bool read_ignore_db(const struct ks_trust_search *s, struct ks_trust *trust,
			   struct ks_error *err)
{
	KS_BUF data = { 0 };

	return read_variable(s, "MokIgnoreDB", KS_EFI_SHIM, trust, &data, &trust->ignores_db, err);
}

static bool read_firmware(const struct ks_trust_search *s, struct ks_trust *trust,
			  struct ks_error *err)
{
	if (!s->efivars) {
		trust->is_complete = false;
		return true;
	}
	if (!look_at_variables(s, trust, err) || !read_secure_boot(s, trust, err) ||
	    !read_ignore_db(s, trust, err) || !read_mok_trusted(s, trust, err))
		return false;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		if (!read_list(s, variables[i].name, variables[i].guid, variables[i].origin, trust,
			       err))
			return false;
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

static bool enforces(struct ks_trust *trust, enum ks_answer answer, int sys, const char *why,
		     struct ks_error *err)
{
	trust->enforced = answer;
	trust->enforced_errno = sys;
	ks_string_free(&trust->enforced_why);
	return ks_string_copy(&trust->enforced_why, why, err);
}

/*
 * What the running kernel says of itself; the parameter shows the build's choice as well, and is
 * asked before lockdown (module_sig_check() in kernel/module/signing.c).
 */
static bool ask_running(const struct ks_trust_search *s, struct ks_trust *trust,
			struct ks_error *err)
{
	enum ks_answer can_lock_down;
	KS_STRING sig_enforce = NULL;
	bool is_free;

	if (!read_live(s, "/sys/module/module/parameters/sig_enforce", trust, &sig_enforce, err) ||
	    !read_lockdown(s, trust, err) ||
	    !read_config(s, "CONFIG_SECURITY_LOCKDOWN_LSM", &can_lock_down, err))
		return false;
	is_free = trust->lockdown ? strcmp(trust->lockdown, "none") == 0 :
				    trust->abilities.config == KS_YES && can_lock_down == KS_NO;
	if (sig_enforce && sig_enforce[0] == 'Y')
		return enforces(trust, KS_YES, EKEYREJECTED, "sig_enforce is set", err);
	if (trust->lockdown && !is_free)
		return enforces(trust, KS_YES, sig_enforce ? EPERM : 0, "the kernel is locked down",
				err);
	if (sig_enforce && is_free)
		return enforces(trust, KS_NO, 0, "sig_enforce is not set, nor is it locked down",
				err);
	return enforces(trust, KS_UNKNOWN, 0, "sig_enforce or lockdown cannot be seen", err);
}

/*
 * Under Secure Boot CONFIG_IMA_ARCH_POLICY sets sig_enforce (security/integrity/ima/ima_efi.c), and
 * that comes first.
 */
static bool ask_config(const struct ks_trust_search *s, struct ks_trust *trust,
		       struct ks_error *err)
{
	enum ks_answer locks_down, policy, integrity, confidentiality;

	if (!read_config(s, "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY", &integrity, err) ||
	    !read_config(s, "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY", &confidentiality,
			 err) ||
	    !read_config(s, "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT", &locks_down, err) ||
	    !read_config(s, "CONFIG_IMA_ARCH_POLICY", &policy, err))
		return false;
	if (policy == KS_YES && trust->secure_boot == KS_YES)
		return enforces(trust, KS_YES, EKEYREJECTED,
				"it sets sig_enforce under Secure Boot, which is on", err);
	if (locks_down == KS_YES && trust->secure_boot == KS_YES)
		return enforces(trust, KS_YES, EPERM,
				"it locks down under Secure Boot, which is on", err);
	if (integrity == KS_YES || confidentiality == KS_YES)
		return enforces(trust, KS_YES, 0, "its build has it locked down", err);
	return enforces(trust, KS_UNKNOWN, 0,
			"it is not running: its command line, and Secure Boot, decide", err);
}

/* What is no authority's goes into .platform where .machine is for those (machine_keyring.c). */
static bool find_machine_keyring(const struct ks_trust_search *s, struct ks_trust *trust,
				 struct ks_error *err)
{
	enum ks_answer built, authorities, authorities_max;

	if (!read_config(s, machine_keyring, &built, err) ||
	    !read_config(s, ca_keyring, &authorities, err) ||
	    !read_config(s, ca_keyring_max, &authorities_max, err))
		return false;
	trust->takes_mok_by = built == KS_YES && authorities_max != KS_NO ? ca_keyring_max :
			      built == KS_YES && authorities != KS_NO	  ? ca_keyring :
									    machine_keyring;
	trust->takes_mok =
		trust->abilities.config != KS_YES ?
			KS_UNKNOWN :
			ks_answer_both(built, ks_answer_both(ks_answer_not(authorities),
							     ks_answer_not(authorities_max)));
	return true;
}

static bool find_enforcement(const struct ks_trust_search *s, struct ks_trust *trust,
			     struct ks_error *err)
{
	enum ks_answer force;

	if (!read_config(s, "CONFIG_MODULE_SIG", &trust->module_sig, err) ||
	    !read_config(s, "CONFIG_MODULE_SIG_FORCE", &force, err) ||
	    !read_config(s, "CONFIG_SYSTEM_REVOCATION_LIST", &trust->revocation, err))
		return false;
	if (trust->abilities.config != KS_YES)
		trust->module_sig = trust->revocation = KS_UNKNOWN;
	if (trust->module_sig == KS_NO)
		return enforces(trust, KS_NO, 0, "CONFIG_MODULE_SIG is not set", err);
	trust->is_forced = force == KS_YES;
	if (trust->is_forced)
		return enforces(trust, KS_YES, EKEYREJECTED, "CONFIG_MODULE_SIG_FORCE is set", err);
	return s->is_running ? ask_running(s, trust, err) : ask_config(s, trust, err);
}

/* Judged by the rule, and not found: the rule says why. */
static bool is_settled(const struct ks_trusted *item)
{
	return item->is_found == KS_NO && item->counts == KS_NO && !item->is_unseen;
}

static void judge_all(struct ks_trust *trust)
{
	for (size_t i = 0; i < trust->count; i++)
		if (!is_settled(&trust->item[i]))
			judge(trust, &trust->item[i]);
}

static bool find(const struct ks_trust_search *s, struct ks_trust *trust, struct ks_error *err)
{
	KS_STRING builder = NULL;

	trust->is_running = s->is_running;
	trust->is_complete = true;
	if (!ks_string_copy(&trust->version, s->kernel->version, err) ||
	    !ks_abilities_find(s->kernel, s->root, s->is_running, s->live, &trust->abilities,
			       err) ||
	    !note_config(s, trust, err) || !read_image(s, trust, &builder, err) ||
	    !read_firmware(s, trust, err) || !find_enforcement(s, trust, err) ||
	    !find_machine_keyring(s, trust, err) || !ks_trust_read_ima(s, trust, err) ||
	    !choose_rule(trust, builder, err))
		return false;
	judge_all(trust);
	if (!s->is_running)
		return true;
	if (!ks_trust_read_rings(s, trust, err))
		return false;
	judge_all(trust);
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
	free(trust->refused);
	free(trust->version);
	free(trust->enforced_why);
	free(trust->lockdown);
	free(trust->rule_why);
	free(trust->image);
	ks_keyrings_free(&trust->rings);
	ks_strings_free(&trust->differences);
	ks_strings_free(&trust->unseen);
	*trust = (struct ks_trust){ 0 };
}
