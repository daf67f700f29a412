/* SPDX-License-Identifier: MIT */
/* Certificate files and key files, whatever the first byte says. */
#include <openssl/err.h>
#include <string.h>

#include "core/cert.h"
#include "core/certs.h"
#include "core/key.h"
#include "fixed.h"
#include "fuzz.h"

bool fuzz_accepted; /* a certificate, or a key */

enum { CERTS, KEY, KEY_WITH_PASSPHRASE, KEY_WITH_LONG_PASSPHRASE, CHOICES };

static void check_describe(X509 *cert)
{
	KS_CERT_TEXT text = { 0 };
	struct ks_error err;

	/* OpenSSL may refuse to print what it has parsed: a name in broken UTF-8. */
	if (!ks_cert_describe(cert, &text, &err)) {
		MUST(err.code == KS_ERR_CRYPTO && *err.text);
		MUST(!text.subject && !text.usage);
		return;
	}
	MUST(text.subject && text.issuer && text.serial && text.not_before && text.not_after);
	MUST(text.serial[strspn(text.serial, "-0123456789abcdef")] == '\0');
	MUST(!text.key_id || text.key_id[strspn(text.key_id, "0123456789abcdef")] == '\0');
	MUST(ks_cert_time_check(cert, 0) <= KS_CERT_EXPIRED);
}

/* Behind another certificate a bundle is the same bundle, and what is none adds none or is an error. */
static void check_bundle(struct ks_view file, bool ok, size_t count)
{
	const uint8_t *second = memmem(fixed_certs + 1, sizeof(fixed_certs) - 1, "-----BEGIN", 10);
	KS_CERTS certs = { 0 };
	KS_BULK bundle = { 0 };
	struct ks_error err;

	MUST(ks_buf_append(&bundle, fixed_certs, (size_t)(second - fixed_certs), &err));
	MUST(ks_buf_append(&bundle, file.data, file.len, &err));
	if (ks_certs_parse(&certs, ks_buf_view(&bundle), &err))
		MUST(certs.count == 1 + (ok ? count : 0));
	else
		MUST(!ok && err.code == KS_ERR_INPUT && *err.text);
}

static bool read_certs(struct ks_view file)
{
	KS_CERTS certs = { 0 };
	KS_X509 *first = NULL;
	struct ks_error err;
	bool ok = ks_certs_parse(&certs, file, &err);
	bool begins = ok || err.code == KS_ERR_INPUT;

	MUST(!ok || certs.count > 0);
	/* Only where there is something that could be one: OpenSSL takes its time. */
	if (file.len && !ks_cert_is_der(file) && memmem(file.data, file.len, "-----", 5))
		check_bundle(file, ok, certs.count);
	MUST(ok || (err.code == (begins ? KS_ERR_INPUT : KS_ERR_KEY) && *err.text));
	MUST(ks_cert_parse(file, &first, &err) == begins);
	if (!ok)
		return false;
	MUST(X509_cmp(first, certs.item[0]) == 0);
	MUST(certs.count == 1 || !ks_cert_is_der(file));
	for (size_t i = 0; i < certs.count; i++)
		check_describe(certs.item[i]);
	return true;
}

static bool read_key(struct ks_view file, const char *passphrase)
{
	KS_EVP_PKEY *key = NULL;
	struct ks_error err;

	if (!ks_key_parse(file, passphrase, &key, &err)) {
		MUST(!key && (err.code == KS_ERR_KEY || err.code == KS_ERR_UNSUPPORTED) &&
		     *err.text);
		return false;
	}
	MUST(EVP_PKEY_get_base_id(key) != EVP_PKEY_NONE);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char longer[5000]; /* than any buffer that OpenSSL has for it */
	const char *const passphrase[CHOICES] = {
		[KEY_WITH_PASSPHRASE] = "fuzz",
		[KEY_WITH_LONG_PASSPHRASE] = longer,
	};
	struct ks_view file = fuzz_view(data, size);
	unsigned int choice = fuzz_select(&file, CHOICES);

	memset(longer, 'x', sizeof(longer) - 1);
	fuzz_accepted = choice == CERTS ? read_certs(file) : read_key(file, passphrase[choice]);
	MUST(!ERR_peek_error());
	return 0;
}
