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

static bool read_key(const struct key_file *file, struct ks_buf *content, struct ks_error *err)
{
	struct ks_exposure exposure = { .user = geteuid() };
	KS_PLACE place = KS_PLACE_NONE;
	struct stat st;

	if (!ks_exposure_find(&exposure, &place, file->root, file->key, err) ||
	    !ks_file_read(&place, LIMIT, content, &st, err))
		return ks_at(err, file->key);
	ks_exposure_add_file(&exposure, &st, true);
	return key_guard_judge(file->guard, &exposure, file->key, err);
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
	KS_BUF content = { 0 };
	bool ok = read_key(file, &content, err);

	if (ok) {
		struct ks_view view = ks_buf_view(&content);
		bool both = strcmp(file->key, file->cert) == 0 && ks_key_is_pkcs12(view);

		ok = ks_key_open(view, pin, &identity->key, both ? &identity->cert : NULL, err) ||
		     ks_at(err, file->key);
	}
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
	KS_BUF content = { 0 };
	struct stat st;

	return (ks_file_read_path(file->root, file->cert, LIMIT, &content, &st, err) &&
		ks_cert_parse(ks_buf_view(&content), &identity->cert, err)) ||
	       ks_at(err, file->cert);
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
	KS_BUF key = { 0 };
	enum ks_answer answer;

	if (ks_token_is_uri(file->key)) {
		ks_fail(why, KS_ERR_KEY, "a key on a token, or in a TPM, is not tried here");
		return KS_UNKNOWN;
	}
	ks_secret_hold();
	if (read_key(file, &key, why))
		answer = try_bytes(file, ks_buf_view(&key), cert, why);
	else
		answer = key_file_is_hidden(why) || why->sys == ENOMEM ? KS_UNKNOWN : KS_NO;
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
