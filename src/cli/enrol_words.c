/* SPDX-License-Identifier: MIT */
#include "cli/enrol_words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/file.h"
#include "cli/trust_step.h"
#include "core/efivar.h"

/* The states */

static bool of_trusted(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	const struct ks_trusted *item = s->enrolment->item;
	const char *ring = ks_trusted_keyring(item);

	return ks_string_print(&w->text, err, "%s trusts it already (%s%s%s): nothing to do",
			       s->trust->version, ks_origin_name(item->origin), ring ? ", " : "",
			       ring ? ring : "");
}

static bool of_revoked(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	const struct ks_trusted *item = s->enrolment->item;

	w->failed = true;
	return (!item ? ks_string_copy(
				&w->text,
				"it was revoked: a hash of it is in dbx, MOKX or the kernel's .blacklist",
				err) :
		item->origin == KS_ORIGIN_REVOKED ?
			ks_string_print(&w->text, err, "it was revoked: %s has it built in as such",
					s->trust->version) :
			ks_string_print(&w->text, err,
					"it was revoked: it is in %s, and mokutil takes none "
					"that is there",
					ks_origin_name(item->origin))) &&
	       ks_strings_print(&w->next, err,
				"sign with another key, and enrol that one's certificate");
}

static bool of_unusable(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	w->failed = true;
	return ks_string_print(&w->text, err, "%s cannot use a key of that type",
			       s->trust->version) &&
	       ks_strings_print(
		       &w->next, err,
		       "sign with another one, like RSA of 2048 bits, and enrol its certificate");
}

static bool of_no_efi(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	bool is_own = strcmp(s->efivars, KS_EFIVARS) == 0;
	KS_STRING step = NULL;

	w->failed = true;
	return (is_own ? ks_string_copy(&w->text,
					"this machine was not started by UEFI, and has no list to "
					"enrol it in",
					err) :
			 ks_string_print(
				 &w->text, err,
				 "%s is not there, as on a machine without UEFI, which has no "
				 "list to enrol it in",
				 s->efivars)) &&
	       advice_without_mok(s->trust, s->name, &step, err) &&
	       ks_strings_print(&w->next, err, "%s", step);
}

static bool of_unseen(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	w->failed = true;
	return ks_string_print(&w->text, err, "%s has no variables of the firmware to be seen",
			       s->efivars) &&
	       (geteuid() != 0 && access(s->efivars, R_OK | X_OK) && errno == EACCES ?
			ks_strings_print(&w->next, err, "ask as root") :
			ks_strings_print(
				&w->next, err,
				"mount -t efivarfs efivarfs %s; in a container ask outside of it",
				s->efivars));
}

static bool of_no_shim(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	w->failed = true;
	return ks_string_copy(
		       &w->text,
		       "UEFI started this system without shim (there is no MokListRT), which "
		       "alone has a list to enrol it in",
		       err) &&
	       ks_strings_print(
		       &w->next, err,
		       "let shim start it (Debian's package is shim-signed), and try again%s",
		       s->trust->rule->db == KS_YES ? "; or enrol it in the firmware's db" : "");
}

const char *enrol_words_why(const struct ks_trust *trust, const char *why)
{
	return why && (strcmp(why, "rule") == 0 || why == trust->takes_mok_by) ? trust->rule_why :
										 why;
}

static bool of_enrolled(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	const struct ks_trusted *item = s->enrolment->item;
	bool is_off = item->counts == KS_NO && s->trust->secure_boot == KS_NO;
	const char *why = enrol_words_why(s->trust, item->why);

	if (!ks_string_print(&w->text, err, "it is enrolled already (MokListRT), %s %s%s%s%s",
			     item->counts == KS_NO ? "but does not count for" :
						     "and nobody knows whether it counts for",
			     s->trust->version, why ? " (" : "", why ? why : "", why ? ")" : ""))
		return false;
	if (is_off)
		return ks_strings_print(
			&w->next, err,
			"turn Secure Boot on, in the firmware, or by mokutil "
			"--enable-validation where it is on there: machine owner keys "
			"count under it only");
	return ks_strings_print(
		&w->next, err, "kernel-sign trust: by which rule, and what else the kernel trusts");
}

static bool of_queued(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	return ks_string_copy(&w->text, "it is queued already (MokNew)", err) &&
	       enrol_words_of_boot(s, "given to mokutil", w, err);
}

static bool of_in_db(const struct enrol_subject *s, struct enrol_words *w, struct ks_error *err)
{
	const struct ks_trusted *item = s->enrolment->item;
	const char *why = enrol_words_why(s->trust, item->why);

	w->failed = true;
	return ks_string_print(&w->text, err,
			       "it is in the firmware's db, %s %s (%s), and mokutil takes none "
			       "that is there",
			       item->counts == KS_NO ? "which does not count for" :
						       "and nobody knows whether that counts for",
			       s->trust->version, why ? why : "unknown") &&
	       ks_strings_print(&w->next, err,
				"make another key, sign with that, and enrol its certificate");
}

bool enrol_words_of_state(const struct enrol_subject *s, struct enrol_words *words,
			  struct ks_error *err)
{
	static bool (*const of[])(const struct enrol_subject *, struct enrol_words *,
				  struct ks_error *) = {
		[KS_ENROLMENT_TRUSTED] = of_trusted,   [KS_ENROLMENT_REVOKED] = of_revoked,
		[KS_ENROLMENT_UNUSABLE] = of_unusable, [KS_ENROLMENT_NO_EFI] = of_no_efi,
		[KS_ENROLMENT_UNSEEN] = of_unseen,     [KS_ENROLMENT_NO_SHIM] = of_no_shim,
		[KS_ENROLMENT_ENROLLED] = of_enrolled, [KS_ENROLMENT_QUEUED] = of_queued,
		[KS_ENROLMENT_IN_DB] = of_in_db,
	};

	return of[s->enrolment->state](s, words, err);
}

/* The next boot */

/* As MokManager shows it: the SHA-1 of the file, "1a 2b 3c". */
static bool fingerprint(X509 *cert, char text[3 * EVP_MAX_MD_SIZE])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (!X509_digest(cert, EVP_sha1(), hash, &len))
		return false;
	for (unsigned int i = 0; i < len; i++)
		snprintf(text + (size_t)3 * i, 4, "%02x%s", hash[i], i + 1 < len ? " " : "");
	return true;
}

bool enrol_words_of_boot(const struct enrol_subject *s, const char *password,
			 struct enrol_words *words, struct ks_error *err)
{
	char shown[3 * EVP_MAX_MD_SIZE];

	return ks_strings_print(&words->next, err, "systemctl reboot") &&
	       ks_strings_print(
		       &words->next, err,
		       "a blue screen asks to \"Press any key to perform MOK management\": press one "
		       "within ten seconds, or all that is queued is dropped") &&
	       ks_strings_print(&words->next, err,
				"choose \"Enroll MOK\"; \"View key\" has the fingerprint %s there",
				fingerprint(s->cert, shown) ? shown : "of the certificate") &&
	       ks_strings_print(&words->next, err,
				"choose \"Continue\" and \"Yes\", type the password %s, and choose "
				"\"Reboot\"",
				password) &&
	       ks_strings_print(
		       &words->next, err,
		       "kernel-sign trust shows it enrolled, and kernel-sign doctor what is left "
		       "to do");
}

/* What mokutil fails for */

static bool said(const struct mokutil_end *end, const char *part)
{
	for (size_t i = 0; i < end->said.count; i++)
		if (strstr(end->said.item[i], part))
			return true;
	return false;
}

/* About what MokNew and MokAuth take, of which the firmware writes all anew. */
static size_t wanted_space(const struct enrol_subject *s)
{
	enum { LIST = 28 + 16, AUTH = 176, ATTRIBUTES = 4 };
	int der = i2d_X509(s->cert, NULL);
	KS_BUF queued = { 0 };
	struct ks_error ignored;
	bool is_there;

	if (!ks_efivar_read(NULL, s->efivars, "MokNew", KS_EFI_SHIM, &queued, &is_there, &ignored))
		return 0;
	return (size_t)(der > 0 ? der : 0) + LIST + AUTH + ATTRIBUTES + queued.len;
}

/* Records of crashed kernels, that the kernel keeps there as well. */
static size_t count_dumps(const char *efivars)
{
	static const char start[] = "dump-type0-";
	KS_STRINGS names = { 0 };
	struct ks_error ignored;
	size_t count = 0;

	if (!ks_dir_names_at(NULL, efivars, &names, &ignored))
		return 0;
	for (size_t i = 0; i < names.count; i++)
		count += strncmp(names.item[i], start, strlen(start)) == 0;
	return count;
}

/* Older kernels show no sizes: then nobody can tell. */
static bool is_full(const struct enrol_subject *s, struct statvfs *space)
{
	return statvfs(s->efivars, space) == 0 && space->f_blocks &&
	       space->f_bavail * space->f_frsize < wanted_space(s);
}

static bool of_full(const struct enrol_subject *s, const struct statvfs *space,
		    struct enrol_words *w, struct ks_error *err)
{
	size_t dumps = count_dumps(s->efivars);
	uintmax_t left = (uintmax_t)space->f_bavail * space->f_frsize;

	if (dumps)
		return ks_strings_print(
			&w->next, err,
			"the firmware has %ju bytes left for variables, and about %zu are "
			"wanted: remove the %zu records of crashed kernels in "
			"/sys/fs/pstore, restart, and try again",
			left, wanted_space(s), dumps);
	return ks_strings_print(
		&w->next, err,
		"the firmware has %ju bytes left for variables, and about %zu are wanted: "
		"restart, which lets firmware tidy up, and try again; ls -lS %s shows what "
		"takes the space",
		left, wanted_space(s), s->efivars);
}

static bool of_password(const struct mokutil *mokutil, const struct mokutil_end *end,
			struct enrol_words *w, struct ks_error *err)
{
	if (mokutil->root_pw && said(end, "root password hash"))
		return ks_strings_print(
			&w->next, err,
			"mokutil takes root's password in the forms $1$, $2$, $5$ and $6$ of "
			"/etc/shadow, not yescrypt ($y$) or none: mokutil --generate-hash >FILE, "
			"and --hash-file FILE");
	if (mokutil->hash_file)
		return ks_strings_print(&w->next, err,
					"%s has to be what mokutil --generate-hash prints",
					mokutil->hash_file);
	return ks_strings_print(
		&w->next, err,
		"where nobody can type the password, give --hash-file FILE or --root-pw");
}

bool enrol_words_of_failure(const struct enrol_subject *s, const struct mokutil *mokutil,
			    const struct mokutil_end *end, struct enrol_words *words,
			    struct ks_error *err)
{
	struct statvfs space;

	if (WIFSIGNALED(end->status) && WTERMSIG(end->status) == SIGINT)
		return true;
	if (said(end, "root password hash") || said(end, "Failed to read hash") ||
	    said(end, "Abort"))
		return of_password(mokutil, end, words, err);
	if (said(end, "support Secure Boot"))
		return ks_strings_print(
			&words->next, err,
			"the firmware has no variable SecureBoot, without which mokutil "
			"does nothing");
	if (is_full(s, &space))
		return of_full(s, &space, words, err);
	return true;
}

/* Programs */

static bool read_release(struct ks_buf *text, struct ks_error *err)
{
	static const char *const files[] = { "/etc/os-release", "/usr/lib/os-release" };
	enum { LIMIT = 64 << 10 };
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (ks_file_read_path(NULL, files[i], LIMIT, text, &st, err))
			return ks_buf_append(text, "", 1, err);
	return ks_buf_append(text, "", 1, err);
}

/* Whether the line "ID=..." or "ID_LIKE=..." of os-release(5) has the word NAME. */
static bool is_distribution(const char *text, const char *name)
{
	static const char ends[] = " \t\n\"'=";
	size_t len = strlen(name);

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		if (strncmp(text, "ID=", 3) != 0 && strncmp(text, "ID_LIKE=", 8) != 0)
			continue;
		for (const char *at = text; *at && *at != '\n'; at++)
			if (strchr(ends, at[0]) && strncmp(at + 1, name, len) == 0 &&
			    (!at[1 + len] || strchr(ends, at[1 + len])))
				return true;
	}
	return false;
}

bool enrol_words_install(char **text, struct ks_error *err)
{
	static const struct {
		const char *name, *command;
	} table[] = {
		{ "debian", "apt install mokutil" },  { "ubuntu", "apt install mokutil" },
		{ "fedora", "dnf install mokutil" },  { "rhel", "dnf install mokutil" },
		{ "suse", "zypper install mokutil" },
	};
	KS_BUF release = { 0 };

	if (!read_release(&release, err))
		return false;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (is_distribution((const char *)release.data, table[i].name))
			return ks_string_copy(text, table[i].command, err);
	return ks_string_copy(text, "install the package that has it, mostly called mokutil", err);
}

void enrol_words_free(struct enrol_words *w)
{
	ks_string_free(&w->text);
	ks_strings_free(&w->next);
}
