/* SPDX-License-Identifier: MIT */
#include "cli/key_file.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "cli/pin.h"
#include "cli/report.h"
#include "core/cert.h"
#include "core/key.h"
#include "core/secret.h"
#include "core/signer.h"
#include "core/token.h"

enum { LIMIT = 1 << 20 }; /* bytes */

struct bytes {
	struct ks_buf content;
	struct stat st, dir;
};

static bool read_file(const char *root, const char *path, struct bytes *bytes, struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;

	if (!ks_place_find(&place, root, path, err) ||
	    !ks_file_read(&place, LIMIT, &bytes->content, &bytes->st, err))
		return ks_at(err, path);
	return fstat(place.dir, &bytes->dir) == 0 ||
	       ks_fail_errno_at(err, path, "stat its directory");
}

static bool is_refused(enum ks_exposure exposure, enum key_guard guard)
{
	return guard == KEY_GUARD_STRICT ||
	       (guard == KEY_GUARD_NORMAL && exposure >= KS_KEY_DIR_WRITABLE);
}

/* What it is, and what to do about it. */
static bool judge(const struct bytes *key, enum key_guard guard, struct ks_error *err)
{
	enum ks_exposure exposure = ks_key_exposure(&key->st, &key->dir, geteuid());
	unsigned int mode = key->st.st_mode & 07777;

	switch (exposure) {
	case KS_KEY_CLOSED:
		return true;
	case KS_KEY_READABLE:
		ks_fail(err, KS_ERR_KEY,
			"the private key is open to others (mode %04o; chmod 600 it)", mode);
		break;
	case KS_KEY_FOREIGN:
		ks_fail(err, KS_ERR_KEY, "the private key belongs to another user (%u; chown it)",
			(unsigned int)key->st.st_uid);
		break;
	case KS_KEY_DIR_WRITABLE:
		ks_fail(err, KS_ERR_KEY,
			"others can replace the private key (its directory has mode %04o; chmod go-w it)",
			key->dir.st_mode & 07777);
		break;
	case KS_KEY_WRITABLE:
		ks_fail(err, KS_ERR_KEY,
			"others can write to the private key (mode %04o; chmod 600 it)", mode);
		break;
	}
	return !is_refused(exposure, guard);
}

static bool check_exposure(const char *path, const struct bytes *key, enum key_guard guard,
			   struct ks_error *err)
{
	err->code = KS_ERR_NONE;
	if (!judge(key, guard, err))
		return ks_at(err, path);
	if (err->code != KS_ERR_NONE)
		report_warning("warning: %s: %s", path, err->text);
	return true;
}

static void warn_dates(const char *path, const X509 *cert)
{
	enum ks_cert_time state = ks_cert_time_check(cert, time(NULL));

	if (state != KS_CERT_VALID)
		report_warning(
			"warning: %s: the certificate %s (the kernel does not look at dates)", path,
			state == KS_CERT_EXPIRED ? "has expired" : "is not valid yet");
}

/* Names as they may be said: a PIN can stand in a URI. */
static bool name_both(const struct key_file *file, struct ks_identity *identity,
		      struct ks_error *err)
{
	if (!ks_token_redact(file->key, &identity->shown[0], err) ||
	    !ks_token_redact(file->cert, &identity->shown[1], err))
		return false;
	identity->key_name = identity->shown[0];
	identity->cert_name = identity->shown[1];
	return true;
}

static bool parse_key(const struct key_file *file, const struct ks_passphrase *pin,
		      struct ks_identity *identity, struct ks_error *err)
{
	struct bytes key = { 0 };
	bool ok = read_file(file->root, file->key, &key, err) &&
		  check_exposure(file->key, &key, file->guard, err);

	if (ok) {
		struct ks_view view = ks_buf_view(&key.content);
		bool both = strcmp(file->key, file->cert) == 0 && ks_key_is_pkcs12(view);

		ok = ks_key_open(view, pin, &identity->key, both ? &identity->cert : NULL, err) ||
		     ks_at(err, file->key);
	}
	ks_buf_free(&key.content);
	return ok;
}

static bool open_key(const struct key_file *file, struct ks_identity *identity,
		     struct ks_error *err)
{
	struct ks_passphrase pin = pin_for(identity->key_name);

	if (!ks_token_is_uri(file->key))
		return parse_key(file, &pin, identity, err);
	return ks_token_key(file->key, &pin, &identity->key, err) || ks_at(err, identity->key_name);
}

static bool parse_cert(const struct key_file *file, struct ks_identity *identity,
		       struct ks_error *err)
{
	struct bytes cert = { 0 };
	bool ok = read_file(file->root, file->cert, &cert, err) &&
		  (ks_cert_parse(ks_buf_view(&cert.content), &identity->cert, err) ||
		   ks_at(err, file->cert));

	ks_buf_free(&cert.content);
	return ok;
}

static bool open_cert(const struct key_file *file, struct ks_identity *identity,
		      struct ks_error *err)
{
	struct ks_passphrase pin = pin_for(identity->cert_name);

	if (identity->cert)
		return true;
	if (!ks_token_is_uri(file->cert))
		return parse_cert(file, identity, err);
	return ks_token_cert(file->cert, &pin, identity->key, &identity->cert, err) ||
	       ks_at(err, identity->cert_name);
}

bool key_file_open(const struct key_file *file, struct ks_identity *identity, struct ks_error *err)
{
	ks_secret_hold();
	if (!name_both(file, identity, err) || !open_key(file, identity, err) ||
	    !open_cert(file, identity, err))
		return false;
	warn_dates(identity->cert_name, identity->cert);
	return true;
}

bool key_file_is_hidden(const struct ks_error *err)
{
	return ks_error_is_denied(err) && geteuid() != 0;
}

static bool ask_nobody(void *ctx, const char **text, const char **source, struct ks_error *err)
{
	bool *is_wanted = ctx;

	(void)text, (void)source;
	*is_wanted = true;
	return ks_fail(err, KS_ERR_KEY, "its passphrase is not asked for here");
}

/* Any digest will do: the one that modules are signed with is another question. */
static bool try_out(const struct ks_identity *identity, struct ks_error *err)
{
	struct ks_signer_spec spec = { .identity = identity, .count = 1, .hash = "sha256" };
	struct ks_signer *signer;

	if (!identity->cert) {
		ks_fail(err, KS_ERR_KEY, "no certificate in it");
		return ks_at(err, identity->key_name);
	}
	if (!ks_signer_open(&signer, &spec, err))
		return false;
	ks_signer_free(signer);
	return true;
}

static enum ks_answer try_bytes(const struct key_file *file, struct ks_view key, X509 *cert,
				struct ks_error *why)
{
	bool is_locked = false, is_fit;
	struct ks_passphrase nobody = { .get = ask_nobody, .ctx = &is_locked };
	KS_IDENTITY identity = { .key_name = file->key, .cert_name = file->cert };

	if (cert && X509_up_ref(cert))
		identity.cert = cert;
	if (ks_key_is_tss2(key)) {
		ks_fail(why, KS_ERR_KEY, "a key in a TPM, which is not tried here");
		ks_at(why, file->key);
		return KS_UNKNOWN;
	}
	is_fit = (ks_key_open(key, &nobody, &identity.key, cert ? NULL : &identity.cert, why) ||
		  ks_at(why, file->key)) &&
		 try_out(&identity, why);
	return is_fit ? KS_YES : is_locked || why->sys == ENOMEM ? KS_UNKNOWN : KS_NO;
}

enum ks_answer key_file_try(const struct key_file *file, X509 *cert, struct ks_error *why)
{
	struct bytes key = { 0 };
	enum ks_answer answer;

	if (ks_token_is_uri(file->key)) {
		ks_fail(why, KS_ERR_KEY, "a key on a token, or in a TPM, is not tried here");
		return KS_UNKNOWN;
	}
	ks_secret_hold();
	if (read_file(file->root, file->key, &key, why) &&
	    check_exposure(file->key, &key, file->guard, why))
		answer = try_bytes(file, ks_buf_view(&key.content), cert, why);
	else
		answer = key_file_is_hidden(why) || why->sys == ENOMEM ? KS_UNKNOWN : KS_NO;
	ks_buf_free(&key.content);
	return answer;
}

bool key_file_cert(const char *root, const char *path, X509 **cert, struct ks_error *err)
{
	struct key_file file = { .root = root, .key = path, .cert = path };
	struct ks_identity identity = { 0 };
	bool ok;

	/* Its key may stand in the same file. */
	ks_secret_hold();
	ok = name_both(&file, &identity, err) && open_cert(&file, &identity, err);
	if (ok) {
		warn_dates(identity.cert_name, identity.cert);
		*cert = identity.cert;
		identity.cert = NULL;
	}
	ks_identity_free(&identity);
	return ok;
}

static bool load_answering(struct ks_certs *certs, const char *uri, const char *shown,
			   struct ks_error *err)
{
	struct ks_passphrase pin = pin_for(shown);
	KS_X509 *cert = NULL;

	return (ks_token_cert(uri, &pin, NULL, &cert, err) && ks_certs_add(certs, cert, err)) ||
	       ks_at(err, shown);
}

bool key_file_certs(struct ks_certs *certs, const char *root, const char *path,
		    struct ks_error *err)
{
	KS_STRING shown = NULL;

	ks_secret_hold();
	if (!ks_token_is_uri(path))
		return ks_certs_load(certs, root, path, err);
	return ks_token_redact(path, &shown, err) && load_answering(certs, path, shown, err);
}
