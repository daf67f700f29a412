/* SPDX-License-Identifier: MIT */
#include "core/keyring.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_KEYUTILS
#include <keyutils.h>
#endif

#include "base/file.h"
#include "core/cert.h"

#define KEYS "/proc/keys"

enum { KEYS_LIMIT = 64 << 20 }; /* bytes; a line has about a hundred */

#ifdef HAVE_KEYUTILS
static const struct ks_keyctl libkeyutils = { keyctl_read_alloc, keyctl_describe_alloc };
const struct ks_keyctl *const ks_keyctl_real = &libkeyutils;
#else
const struct ks_keyctl *const ks_keyctl_real = NULL;
#endif

const char *ks_keyring_name(enum ks_keyring ring)
{
	static const char *const names[] = {
		[KS_KEYRING_BUILTIN] = ".builtin_trusted_keys",
		[KS_KEYRING_SECONDARY] = ".secondary_trusted_keys",
		[KS_KEYRING_MACHINE] = ".machine",
		[KS_KEYRING_PLATFORM] = ".platform",
		[KS_KEYRING_BLACKLIST] = ".blacklist",
	};

	return names[ring];
}

enum ks_keyring ks_keyring_find(const char *name)
{
	enum ks_keyring ring = 0;

	while (ring < KS_KEYRING_COUNT && strcmp(ks_keyring_name(ring), name) != 0)
		ring++;
	return ring;
}

struct reading {
	const struct ks_keyctl *keyctl;
	struct ks_keyrings *rings;
	int32_t serial[KS_KEYRING_COUNT];
};

/* WHAT could not be seen, as errno says; so RING is not known. */
static bool note_errno(struct reading *r, enum ks_keyring ring, const char *what,
		       struct ks_error *err)
{
	r->rings->is_known[ring] = false;
	ks_fail_errno(err, what);
	ks_at(err, ks_keyring_name(ring));
	return ks_strings_add(&r->rings->unseen, err->text, err);
}

static bool note_member(struct reading *r, enum ks_keyring ring, const char *text,
			struct ks_error *err)
{
	r->rings->is_known[ring] = false;
	ks_fail(err, KS_ERR_UNSUPPORTED, "%s: a member of an unknown kind: %s",
		ks_keyring_name(ring), text);
	return ks_strings_add(&r->rings->unseen, err->text, err);
}

/* The keys */

/* NULL, and ERR, for want of memory. */
static struct ks_ring_key *append_key(struct ks_keyrings *rings, enum ks_keyring ring,
				      enum ks_ring_key_kind kind, const char *description,
				      struct ks_error *err)
{
	struct ks_ring_key *key;

	if (rings->count == rings->cap) {
		size_t cap = rings->cap ? rings->cap * 2 : 16;

		key = reallocarray(rings->key, cap, sizeof(*key));
		if (!key) {
			ks_fail_memory(err);
			return NULL;
		}
		rings->key = key;
		rings->cap = cap;
	}
	key = &rings->key[rings->count++];
	*key = (struct ks_ring_key){ .ring = ring, .kind = kind };
	return ks_string_copy(&key->description, description, err) ? key : NULL;
}

static bool is_hex(const char *text)
{
	size_t len = strspn(text, "0123456789abcdef");

	return len && len % 2 == 0 && !text[len];
}

/* "SUBJECT: KEYID"; colons in the subject are its own. */
static bool split_description(struct ks_ring_key *key, struct ks_error *err)
{
	char *colon = strrchr(key->description, ':');

	if (!colon || colon[1] != ' ' || !is_hex(colon + 2))
		return ks_string_copy(&key->subject, key->description, err);
	return ks_string_copy(&key->key_id, colon + 2, err) &&
	       ks_string_print(&key->subject, err, "%.*s", (int)(colon - key->description),
			       key->description);
}

static bool add_cert(struct ks_keyrings *rings, enum ks_keyring ring, const char *description,
		     struct ks_error *err)
{
	struct ks_ring_key *key = append_key(rings, ring, KS_RING_KEY_CERT, description, err);

	return key && split_description(key, err);
}

/* "bin:HASH", "tbs:HASH" */
static bool add_hash(struct reading *r, enum ks_keyring ring, const char *description,
		     struct ks_error *err)
{
	bool is_file = strncmp(description, "bin:", 4) == 0;
	struct ks_ring_key *key;

	if (!is_file && strncmp(description, "tbs:", 4) != 0)
		return note_member(r, ring, description, err);
	key = append_key(r->rings, ring, is_file ? KS_RING_KEY_FILE : KS_RING_KEY_TBS, description,
			 err);
	return key && ks_string_copy(&key->key_id, description + 4, err);
}

/* The rings */

/* .builtin_trusted_keys is linked, too; it is read for itself. */
static bool follow_link(struct reading *r, enum ks_keyring from, int32_t serial, const char *name,
			struct ks_error *err)
{
	enum ks_keyring linked = ks_keyring_find(name);

	if (from != KS_KEYRING_SECONDARY || linked == KS_KEYRING_COUNT)
		return note_member(r, from, name, err);
	if (linked == KS_KEYRING_MACHINE)
		r->rings->links_machine = true;
	if (!r->serial[linked] && linked > from)
		r->serial[linked] = serial;
	return true;
}

/* TEXT is "TYPE;UID;GID;PERM;DESCRIPTION", and the description may have semicolons. */
static bool add_described(struct reading *r, enum ks_keyring ring, int32_t serial, char *text,
			  struct ks_error *err)
{
	char *rest = text, *type = strsep(&rest, ";");

	for (int i = 0; rest && i < 3; i++)
		strsep(&rest, ";");
	if (!rest)
		return note_member(r, ring, type, err);
	if (strcmp(type, "asymmetric") == 0)
		return add_cert(r->rings, ring, rest, err);
	if (strcmp(type, "blacklist") == 0)
		return add_hash(r, ring, rest, err);
	if (strcmp(type, "keyring") == 0)
		return follow_link(r, ring, serial, rest, err);
	return note_member(r, ring, type, err);
}

static bool read_member(struct reading *r, enum ks_keyring ring, int32_t serial,
			struct ks_error *err)
{
	KS_STRING text = NULL;

	if (r->keyctl->describe(serial, &text) >= 0)
		return add_described(r, ring, serial, text, err);
	/* It went away while the others were read. */
	if (errno == ENOKEY)
		return true;
	return note_errno(r, ring, "describing a member", err);
}

static bool read_ring(struct reading *r, enum ks_keyring ring, struct ks_error *err)
{
	void *data = NULL;
	int32_t *member;
	bool ok = true;
	int size;

	r->rings->is_known[ring] = true;
	if (!r->serial[ring])
		return true;
	r->rings->is_there[ring] = true;
	size = r->keyctl->read(r->serial[ring], &data);
	if (size < 0)
		return note_errno(r, ring, "reading its members", err);
	member = data;
	for (size_t i = 0; ok && i < (size_t)size / sizeof(*member); i++)
		ok = read_member(r, ring, member[i], err);
	free(data);
	return ok;
}

/*
 * A line of /proc/keys: serial, flags, usage, timeout, permissions, uid, gid, type, "description:
 * how many".  Only the kernel makes keyrings of root's whose name starts with a dot.
 */
static void read_line(struct reading *r, char *line)
{
	unsigned int serial, uid;
	char type[16], *name;
	enum ks_keyring ring;
	int at = 0;

	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers, which fit */
	if (sscanf(line, "%x %*s %*s %*s %*s %u %*s %15s %n", &serial, &uid, type, &at) < 3 ||
	    !at || uid != 0 || strcmp(type, "keyring") != 0)
		return;
	name = line + at;
	name[strcspn(name, ":")] = '\0';
	ring = ks_keyring_find(name);
	if (ring < KS_KEYRING_COUNT)
		r->serial[ring] = (int32_t)serial;
}

static bool find_rings(struct reading *r, const char *live, struct ks_error *err)
{
	KS_BULK text = { 0 };
	char *rest, *line;

	if (!ks_file_read_live(live, KEYS, KEYS_LIMIT, &text, err))
		return ks_at(err, KEYS);
	if (!ks_buf_append(&text, "", 1, err))
		return false;
	rest = (char *)text.data;
	while ((line = strsep(&rest, "\n")))
		read_line(r, line);
	/* Every kernel that can check signatures has this one. */
	if (!r->serial[KS_KEYRING_BUILTIN])
		return ks_fail(err, KS_ERR_MISSING,
			       KEYS " does not show them; the kernel shows them to root only");
	return true;
}

bool ks_keyrings_read(const char *live, const struct ks_keyctl *keyctl, struct ks_keyrings *rings,
		      struct ks_error *err)
{
	struct reading r = { .keyctl = keyctl, .rings = rings };
	bool ok = true;

	*rings = (struct ks_keyrings){ 0 };
	if (!keyctl)
		ks_fail(err, KS_ERR_UNSUPPORTED, "this program was built without libkeyutils");
	if (!keyctl || !find_rings(&r, live, err)) {
		ks_at(err, "the kernel's keyrings");
		ok = ks_strings_add(&rings->unseen, err->text, err);
	} else {
		/* .machine comes after what may link it. */
		for (enum ks_keyring ring = 0; ok && ring < KS_KEYRING_COUNT; ring++)
			ok = read_ring(&r, ring, err);
	}
	if (!ok)
		ks_keyrings_free(rings);
	return ok;
}

void ks_keyrings_free(struct ks_keyrings *rings)
{
	for (size_t i = 0; i < rings->count; i++) {
		free(rings->key[i].description);
		free(rings->key[i].subject);
		free(rings->key[i].key_id);
	}
	free(rings->key);
	ks_strings_free(&rings->unseen);
	*rings = (struct ks_keyrings){ 0 };
}

/* A certificate's description */

/* The last value of that kind, as it stands there; the kernel does not ask how it is encoded. */
static struct ks_view name_part(const X509_NAME *name, int nid)
{
	const ASN1_STRING *value;
	int at = -1, next;

	while ((next = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		at = next;
	if (at < 0)
		return ks_view_of("", 0);
	value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	return ks_view_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
}

/* Whether the organisation can be left out: the common name begins as it does. */
static bool says_both(struct ks_view cn, struct ks_view o)
{
	enum { ENOUGH = 7 };

	return ks_view_starts_with(cn, o.data, o.len) ||
	       (o.len >= ENOUGH && ks_view_starts_with(cn, o.data, ENOUGH));
}

/* What x509_fabricate_name() in x509_cert_parser.c makes of it, of bytes that are not yet text. */
static bool put_subject(const X509_NAME *name, struct ks_buf *text, struct ks_error *err)
{
	struct ks_view cn = name_part(name, NID_commonName);
	struct ks_view o = name_part(name, NID_organizationName);
	struct ks_view email = name_part(name, NID_pkcs9_emailAddress);
	bool is_pair = cn.len && o.len && !says_both(cn, o);
	struct ks_view one = cn.len ? cn : o.len ? o : email;

	return (!is_pair ||
		(ks_buf_append(text, o.data, o.len, err) && ks_buf_append(text, ": ", 2, err))) &&
	       ks_buf_append(text, one.data, one.len, err) && ks_buf_append(text, "", 1, err);
}

/* The number's bytes as they are encoded, a zero in front of a high bit included. */
static bool serial_hex(const X509 *cert, char **text, struct ks_error *err)
{
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	unsigned char *der = NULL;
	const unsigned char *value;
	int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der), tag, class;
	long value_len;
	bool ok;

	value = der;
	ok = octets && len > 0 &&
	     !(ASN1_get_object(&value, &value_len, &tag, &class, len) & 0x80) &&
	     ASN1_OCTET_STRING_set(octets, value, (int)value_len);
	ok = ok ? ks_octets_hex(octets, text, err) :
		  ks_fail_openssl(err, KS_ERR_CRYPTO, "serial number");
	OPENSSL_free(der);
	ASN1_OCTET_STRING_free(octets);
	return ok;
}

bool ks_keyring_describe(X509 *cert, char **text, struct ks_error *err)
{
	const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(cert);
	KS_BUF subject = { 0 };
	KS_STRING id = NULL;

	/* An extension that OpenSSL cannot read is as good as none. */
	ERR_clear_error();
	/* A zero byte in the subject ends it. */
	return put_subject(X509_get_subject_name(cert), &subject, err) &&
	       (key_id ? ks_octets_hex(key_id, &id, err) : serial_hex(cert, &id, err)) &&
	       ks_string_print(text, err, "%s: %s", (char *)subject.data, id);
}
