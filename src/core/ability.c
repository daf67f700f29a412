/* SPDX-License-Identifier: MIT */
#include "core/ability.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

#include "base/file.h"
#include "base/place.h"
#include "core/key.h"
#include "core/kmod.h"

enum {
	CRYPTO_LIMIT = 1 << 20, /* bytes, of /proc/crypto */
	LINE_LIMIT = 4096,
	ALWAYS = 99999,
};

/*
 * SHA-1 went with 6.7 and came back in 6.9, and into some stable releases between; MD5 went with
 * 6.7 for good.  Whoever has the Chinese and Russian ones was never read.
 */
static const struct {
	const char *name; /* OpenSSL's, and /proc/crypto's */
	int since, before;
	int doubt_since, doubt_before;
	const char *symbol;
} digests[] = {
	{ "sha1", 0, ALWAYS, 6007, 6009, "CONFIG_CRYPTO_SHA1" },
	{ "sha224", 0, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA256" },
	{ "sha256", 0, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA256" },
	{ "sha384", 0, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA512" },
	{ "sha512", 0, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA512" },
	{ "sha3-256", 6007, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA3" },
	{ "sha3-384", 6007, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA3" },
	{ "sha3-512", 6007, ALWAYS, 0, 0, "CONFIG_CRYPTO_SHA3" },
	{ "md4", 0, 6007, 0, 6007, "CONFIG_CRYPTO_MD4" },
	{ "md5", 0, 6007, 0, 6007, "CONFIG_CRYPTO_MD5" },
	{ "sm3", 0, ALWAYS, 0, ALWAYS, "CONFIG_CRYPTO_SM3" },
	{ "md_gost12_256", 0, ALWAYS, 0, ALWAYS, "CONFIG_CRYPTO_STREEBOG" },
	{ "md_gost12_512", 0, ALWAYS, 0, ALWAYS, "CONFIG_CRYPTO_STREEBOG" },
};

enum { DIGESTS = sizeof(digests) / sizeof(*digests) };

static_assert((int)DIGESTS <= (int)KS_ABILITY_DIGESTS, "no room in struct ks_abilities");

/* Signature algorithms that pkcs7_sig_note_pkey_algo() and x509_note_sig_algo() name. */
static const struct {
	const char *name;
	int since;
} algorithms[] = {
	{ "rsaEncryption", 0 },
	{ "ecdsa-with-SHA1", 5013 },
	{ "ecdsa-with-SHA224", 5013 },
	{ "ecdsa-with-SHA256", 5013 },
	{ "ecdsa-with-SHA384", 5013 },
	{ "ecdsa-with-SHA512", 5013 },
	{ "ecdsa_with_SHA3-256", 6007 },
	{ "ecdsa_with_SHA3-384", 6007 },
	{ "ecdsa_with_SHA3-512", 6007 },
	{ "ML-DSA-44", 7000 },
	{ "ML-DSA-65", 7000 },
	{ "ML-DSA-87", 7000 },
	/* The same three, for an OpenSSL that has no names for them. */
	{ "2.16.840.1.101.3.4.3.17", 7000 },
	{ "2.16.840.1.101.3.4.3.18", 7000 },
	{ "2.16.840.1.101.3.4.3.19", 7000 },
};

/* Curves of x509_extract_key_data(); ecdsa-nist-p521 is new in 6.10. */
static const struct {
	int nid, since;
} curves[] = {
	{ NID_X9_62_prime192v1, 5013 },
	{ NID_X9_62_prime256v1, 5013 },
	{ NID_secp384r1, 5013 },
	{ NID_secp521r1, 6010 },
};

/* Finding out */

/* The first line of a file, "" where there is none. */
static void read_line(const char *live, const char *path, char *line)
{
	KS_BUF text = { 0 };
	struct ks_error ignored;
	size_t len = 0;

	if (ks_file_read_live(live, path, LINE_LIMIT - 1, &text, &ignored))
		while (len < text.len && text.data[len] != '\n')
			len++;
	if (len)
		memcpy(line, text.data, len);
	line[len] = '\0';
}

/* Whether the kernel has a program to ask for modules that it wants. */
static bool has_modprobe(const char *live)
{
	char path[LINE_LIMIT];

	read_line(live, "/proc/sys/kernel/modprobe", path);
	return path[0] == '/' && ks_place_exists(live, path);
}

/* Whether /proc/crypto has a line "name         : NAME". */
static bool has_crypto(const struct ks_buf *crypto, const char *name)
{
	const char *at = (const char *)crypto->data, *end = at + crypto->len;
	size_t len = strlen(name);

	while (at < end) {
		const char *line = at;
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		stop = stop ? stop : end;
		at = stop + (stop < end);
		if ((size_t)(stop - line) > len && strncmp(line, "name", 4) == 0 &&
		    strncmp(stop - len, name, len) == 0 && stop[-(ptrdiff_t)len - 1] == ' ')
			return true;
	}
	return false;
}

struct finder {
	const struct ks_kernel *kernel;
	const char *root;
	bool is_running;
	struct ks_buf crypto; /* what is loaded */
	bool is_crypto_read;
	bool has_modprobe;
};

/*
 * A digest that is asked for and not there is asked of modprobe (crypto_larval_lookup()).  A kernel
 * that is not running may run on another system than this one.
 */
static bool of_module(const struct finder *f, const char *name, enum ks_answer *answer,
		      struct ks_error *err)
{
	KS_STRING alias = NULL;
	KS_STRING path = NULL;

	*answer = KS_YES;
	if (has_crypto(&f->crypto, name))
		return true;
	*answer = f->is_crypto_read ? KS_NO : KS_UNKNOWN;
	if (!f->has_modprobe)
		return true;
	if (!ks_string_print(&alias, err, "crypto-%s", name) ||
	    !ks_kmod_lookup(f->root, f->kernel->dir, alias, &path, err))
		return false;
	if (path)
		*answer = KS_YES;
	return true;
}

static bool find_symbol(const struct finder *f, const char *symbol, const char *name,
			enum ks_answer *answer, struct ks_error *err)
{
	KS_STRING value = NULL;
	KS_STRING file = NULL;

	if (!ks_kernel_config(f->kernel, f->root, symbol, &value, &file, err))
		return false;
	if (name && value && strcmp(value, "m") == 0)
		return of_module(f, name, answer, err);
	*answer = !value		  ? KS_NO :
		  strcmp(value, "y") == 0 ? KS_YES :
		  strcmp(value, "m") == 0 ? KS_UNKNOWN :
					    KS_NO;
	return true;
}

/* Certificates are taken in when the kernel starts, before any module could bring their algorithm. */
static bool find_all(const struct finder *f, struct ks_abilities *a, struct ks_error *err)
{
	for (size_t i = 0; i < DIGESTS; i++) {
		enum ks_answer built_in;

		if (!find_symbol(f, digests[i].symbol, digests[i].name, &a->digest[i], err) ||
		    !find_symbol(f, digests[i].symbol, NULL, &built_in, err))
			return false;
		a->is_built_in[i] = built_in == KS_YES;
	}
	return find_symbol(f, "CONFIG_CRYPTO_ECDSA", NULL, &a->ecdsa, err) &&
	       find_symbol(f, "CONFIG_CRYPTO_MLDSA", NULL, &a->mldsa, err) &&
	       find_symbol(f, "CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA", NULL, &a->waiver,
			   err);
}

/* What this system, or the running kernel, has to load a module with. */
static void find_means(struct finder *f, const char *live)
{
	struct ks_error ignored;

	f->has_modprobe =
		f->is_running ? has_modprobe(live) : ks_place_exists(f->root, "/sbin/modprobe");
	f->is_crypto_read = f->is_running && ks_file_read_live(live, "/proc/crypto", CRYPTO_LIMIT,
							       &f->crypto, &ignored);
}

bool ks_abilities_find(const struct ks_kernel *kernel, const char *root, bool is_running,
		       const char *live, struct ks_abilities *abilities, struct ks_error *err)
{
	struct finder f = { .kernel = kernel, .root = root, .is_running = is_running };
	bool ok;

	*abilities = (struct ks_abilities){ .series = ks_kernel_series(kernel->version) };
	/* A config without modules is none of this kernel's. */
	if (!find_symbol(&f, "CONFIG_MODULES", NULL, &abilities->config, err))
		return false;
	if (abilities->config != KS_YES) {
		abilities->config = KS_UNKNOWN;
		return true;
	}
	find_means(&f, live);
	ok = find_all(&f, abilities, err);
	ks_buf_free(&f.crypto);
	return ok;
}

/* Answering */

static enum ks_ability by_answer(enum ks_answer answer)
{
	return answer == KS_YES ? KS_ABILITY_PRESENT :
	       answer == KS_NO	? KS_ABILITY_ABSENT :
				  KS_ABILITY_UNKNOWN;
}

enum ks_ability ks_ability_digest(const struct ks_abilities *a, const char *name)
{
	for (size_t i = 0; i < DIGESTS; i++) {
		if (strcmp(name, digests[i].name) != 0)
			continue;
		if (!a->series ||
		    (a->series >= digests[i].doubt_since && a->series < digests[i].doubt_before))
			return KS_ABILITY_UNKNOWN;
		if (a->series < digests[i].since || a->series >= digests[i].before)
			return KS_ABILITY_NAMELESS;
		return by_answer(a->digest[i]);
	}
	return KS_ABILITY_NAMELESS;
}

bool ks_ability_is_known_digest(const char *name)
{
	for (size_t i = 0; i < DIGESTS; i++)
		if (strcmp(name, digests[i].name) == 0)
			return digests[i].before == ALWAYS && digests[i].doubt_before != ALWAYS;
	return false;
}

/* The Chinese and the Russian standards, which nobody here has read in kernels. */
static bool is_foreign(const char *name)
{
	return strncmp(name, "SM2", 3) == 0 || strstr(name, " R 34.");
}

enum ks_ability ks_ability_algorithm(const struct ks_abilities *a, const char *name)
{
	if (!a->series || is_foreign(name))
		return KS_ABILITY_UNKNOWN;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		if (strcmp(name, algorithms[i].name) == 0)
			return a->series < algorithms[i].since ? KS_ABILITY_NAMELESS :
								 KS_ABILITY_PRESENT;
	return KS_ABILITY_NAMELESS;
}

/* A signature without a digest: ML-DSA's, or one that no kernel can name. */
static enum ks_ability without_digest(const struct ks_abilities *a, const X509 *cert)
{
	const ASN1_OBJECT *object;
	char name[80];

	X509_ALGOR_get0(&object, NULL, NULL, X509_get0_tbs_sigalg(cert));
	OBJ_obj2txt(name, sizeof(name), object, 0);
	return ks_ability_algorithm(a, name) == KS_ABILITY_NAMELESS ? KS_ABILITY_NAMELESS :
								      KS_ABILITY_UNKNOWN;
}

/* The digest that CERT itself is signed with, at the time when keyrings are filled. */
static enum ks_ability own_digest(const struct ks_abilities *a, const X509 *cert)
{
	enum ks_ability ability;
	int digest = NID_undef;

	if (!OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL) ||
	    digest == NID_undef)
		return without_digest(a, cert);
	ability = ks_ability_digest(a, OBJ_nid2ln(digest));
	for (size_t i = 0; ability == KS_ABILITY_PRESENT && i < DIGESTS; i++)
		if (strcmp(OBJ_nid2ln(digest), digests[i].name) == 0 && !a->is_built_in[i])
			ability = KS_ABILITY_ABSENT;
	return ability;
}

static bool is_self_signed(X509 *cert)
{
	return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

/*
 * Without ECDSA a certificate that signed itself cannot be checked, and is left out; but where its
 * digest is missing as well, or another signed it, that is not tried.
 */
static enum ks_ability_cert without_ecdsa(const struct ks_abilities *a, X509 *cert)
{
	switch (own_digest(a, cert)) {
	case KS_ABILITY_PRESENT:
		return is_self_signed(cert) ? KS_CERT_LEFT_OUT : KS_CERT_UNSEEN;
	case KS_ABILITY_ABSENT:
		return KS_CERT_UNSEEN;
	default:
		return KS_CERT_UNKNOWN;
	}
}

static enum ks_ability_cert of_ec(const struct ks_abilities *a, X509 *cert, EVP_PKEY *key)
{
	char name[80];
	int nid = EVP_PKEY_get_utf8_string_param(key, "group", name, sizeof(name), NULL) ?
			  OBJ_txt2nid(name) :
			  NID_undef;

	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++)
		if (nid == curves[i].nid && a->series >= curves[i].since)
			return a->ecdsa == KS_YES ? KS_CERT_USABLE :
			       a->ecdsa == KS_NO  ? without_ecdsa(a, cert) :
						    KS_CERT_UNKNOWN;
	return KS_CERT_UNPARSED;
}

/* rsa_check_key_length() in crypto/rsa.c, which counts whole machine words. */
static bool is_rsa_length(int bits)
{
	enum { WORD = 64 };
	static const int lengths[] = { 512, 1024, 1536, 2048, 3072, 4096 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		if (bits <= lengths[i] && bits > lengths[i] - WORD)
			return true;
	return false;
}

static enum ks_ability_cert of_rsa(const struct ks_abilities *a, X509 *cert, EVP_PKEY *key)
{
	if (is_rsa_length(EVP_PKEY_get_bits(key)))
		return KS_CERT_USABLE;
	return own_digest(a, cert) == KS_ABILITY_PRESENT && is_self_signed(cert) ?
		       KS_CERT_LEFT_OUT :
		       KS_CERT_UNKNOWN;
}

static enum ks_ability_cert of_mldsa(const struct ks_abilities *a)
{
	if (a->series < 7000)
		return KS_CERT_UNPARSED;
	return a->mldsa == KS_YES ? KS_CERT_USABLE :
	       a->mldsa == KS_NO  ? KS_CERT_LEFT_OUT :
				    KS_CERT_UNKNOWN;
}

static enum ks_ability_cert of_key(const struct ks_abilities *a, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *type = key ? OBJ_nid2ln(EVP_PKEY_get_base_id(key)) : NULL;

	if (!key || !a->series || (type && is_foreign(type)))
		return KS_CERT_UNKNOWN;
	if (ks_key_is_mldsa(key))
		return of_mldsa(a);
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC"))
		return KS_CERT_UNPARSED;
	if (own_digest(a, cert) == KS_ABILITY_NAMELESS)
		return KS_CERT_UNPARSED;
	return EVP_PKEY_is_a(key, "EC") ? of_ec(a, cert, key) : of_rsa(a, cert, key);
}

enum ks_ability_cert ks_ability_cert(const struct ks_abilities *abilities, X509 *cert)
{
	enum ks_ability_cert answer = of_key(abilities, cert);

	ERR_clear_error();
	return answer;
}
