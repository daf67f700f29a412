/* SPDX-License-Identifier: MIT */
/* Keyrings of a kernel made by hand, and the real kernel's calls on a keyring of our own. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_KEYUTILS
#include <keyutils.h>
#endif

#include "core/keyring.h"

#define KEYS "/proc/keys"
#define BUILTIN \
	"1169aa40 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 2\n"
#define SECONDARY \
	"0f7c53b8 I------     1 perm 1f0f0000     0     0 keyring   .secondary_trusted_keys: 3\n"
#define MACHINE "3a0c2f11 I------     1 perm 1f0b0000     0     0 keyring   .machine: 1\n"
#define PLATFORM "2f91b0dd I------     1 perm 1f0b0000     0     0 keyring   .platform: empty\n"
#define BLACKLIST "1d8399ff I------     1 perm 0f0b0000     0     0 keyring   .blacklist: 3\n"
#define OTHERS                                                                         \
	"0bfcc8a2 I--Q---     1 perm 0c030000     0 65534 keyring   .user_reg: 2\n"    \
	"22a9b0f4 I------     1 perm 1f030000     0     0 user      .machine: 6\n"     \
	"36e8d7c1 I--Q---     1 perm 1f3f0000     0 65534 keyring   _uid_ses.0: 1\n"   \
	"36e8d7c2 I--Q---     1 perm 1f3f0000     0    -1 keyring   .machine too: 1\n" \
	"36e8d7c3 I--Q---     1 perm 1f3f0000  1000  1000 keyring   .platform: 1\nno key at all\n"

enum {
	IS_BUILTIN = 0x1169aa40,
	IS_SECONDARY = 0x0f7c53b8,
	IS_MACHINE = 0x3a0c2f11,
	IS_PLATFORM = 0x2f91b0dd,
	IS_BLACKLIST = 0x1d8399ff,
};

/* A key of the kernel made by hand; that of a keyring has members. */
struct fake {
	int32_t serial;
	const char *text; /* its description */
	int32_t member[8];
	int denied; /* errno of whatever is done with it */
};

static const struct fake *fakes;

static const struct fake *find_fake(int32_t serial)
{
	const struct fake *fake = fakes;

	while (fake->serial && fake->serial != serial)
		fake++;
	errno = fake->serial ? fake->denied : ENOKEY;
	return errno ? NULL : fake;
}

static int fake_read(int32_t serial, void **members)
{
	const struct fake *fake = find_fake(serial);
	size_t count = 0;

	if (!fake)
		return -1;
	while (fake->member[count])
		count++;
	*members = calloc(count + 1, sizeof(int32_t));
	memcpy(*members, fake->member, count * sizeof(int32_t));
	return (int)(count * sizeof(int32_t));
}

static int fake_describe(int32_t serial, char **text)
{
	const struct fake *fake = find_fake(serial);

	if (!fake)
		return -1;
	*text = strdup(fake->text);
	return (int)strlen(fake->text) + 1;
}

static const struct ks_keyctl fake_keyctl = { fake_read, fake_describe };

static void read_rings(const char *keys, const struct fake *kernel, struct ks_keyrings *rings)
{
	fakes = kernel;
	make_dirs(in_scratch("proc"));
	if (keys)
		write_text(in_scratch("proc/keys"), keys);
	assert_ok(ks_keyrings_read(scratch, &fake_keyctl, rings, &error));
}

/* The one key that has this description is in RING and is taken apart so. */
static void assert_key(const struct ks_keyrings *rings, enum ks_keyring ring,
		       enum ks_ring_key_kind kind, const char *description, const char *subject,
		       const char *key_id)
{
	size_t found = 0;

	for (size_t i = 0; i < rings->count; i++) {
		const struct ks_ring_key *key = &rings->key[i];

		if (strcmp(key->description, description) != 0)
			continue;
		found++;
		assert_int_equal(key->ring, ring);
		assert_int_equal(key->kind, kind);
		if (subject)
			assert_string_equal(key->subject, subject);
		else
			assert_null(key->subject);
		if (key_id)
			assert_string_equal(key->key_id, key_id);
		else
			assert_null(key->key_id);
	}
	assert_int_equal(found, 1);
}

static void assert_unseen(const struct ks_keyrings *rings, size_t count, const char *part)
{
	size_t found = 0;

	assert_int_equal(rings->unseen.count, count);
	for (size_t i = 0; i < count; i++)
		found += strstr(rings->unseen.item[i], part) != NULL;
	assert_int_equal(found, 1);
}

static void assert_known(const struct ks_keyrings *rings, const char *known, const char *there)
{
	for (enum ks_keyring ring = 0; ring < KS_KEYRING_COUNT; ring++) {
		assert_int_equal(rings->is_known[ring], known[ring] == 'x');
		assert_int_equal(rings->is_there[ring], there[ring] == 'x');
	}
}

static const struct fake kernel[] = {
	{ IS_BUILTIN, "keyring;0;0;1f0b0000;.builtin_trusted_keys", { 1, 2 }, 0 },
	{ IS_SECONDARY,
	  "keyring;0;0;1f0f0000;.secondary_trusted_keys",
	  { IS_BUILTIN, 3, IS_MACHINE },
	  0 },
	{ IS_MACHINE, "keyring;0;0;1f0b0000;.machine", { 4 }, 0 },
	{ IS_PLATFORM, "keyring;0;0;1f0b0000;.platform", { 0 }, 0 },
	{ IS_BLACKLIST, "keyring;0;0;0f0b0000;.blacklist", { 5, 6, 7 }, 0 },
	{ 1, "asymmetric;0;0;1f030000;Debian Secure Boot CA: 6ccece7e4c6c0d1f", { 0 }, 0 },
	{ 2, "asymmetric;0;0;1f030000;A; with: colons: too: 00ff", { 0 }, 0 },
	{ 3, "asymmetric;0;0;3f010000;my own name: for it", { 0 }, 0 },
	{ 4, "asymmetric;0;0;1f010000;a MOK: abcdef", { 0 }, 0 },
	{ 5, "blacklist;0;0;0b0b0000;bin:0011", { 0 }, 0 },
	{ 6, "blacklist;0;0;0b0b0000;tbs:2233", { 0 }, 0 },
	{ 7, "asymmetric;0;0;0b0b0000;revoked: 4455", { 0 }, 0 },
	{ 0 },
};

static void keyrings_and_their_members(void **state)
{
	KS_KEYRINGS rings = { 0 };

	(void)state;
	read_rings(OTHERS PLATFORM BUILTIN SECONDARY MACHINE BLACKLIST, kernel, &rings);
	assert_int_equal(rings.unseen.count, 0);
	assert_known(&rings, "xxxxx", "xxxxx");
	assert_true(rings.links_machine);
	assert_int_equal(rings.count, 7);
	assert_key(&rings, KS_KEYRING_BUILTIN, KS_RING_KEY_CERT,
		   "Debian Secure Boot CA: 6ccece7e4c6c0d1f", "Debian Secure Boot CA",
		   "6ccece7e4c6c0d1f");
	assert_key(&rings, KS_KEYRING_BUILTIN, KS_RING_KEY_CERT, "A; with: colons: too: 00ff",
		   "A; with: colons: too", "00ff");
	assert_key(&rings, KS_KEYRING_SECONDARY, KS_RING_KEY_CERT, "my own name: for it",
		   "my own name: for it", NULL);
	assert_key(&rings, KS_KEYRING_MACHINE, KS_RING_KEY_CERT, "a MOK: abcdef", "a MOK",
		   "abcdef");
	assert_key(&rings, KS_KEYRING_BLACKLIST, KS_RING_KEY_FILE, "bin:0011", NULL, "0011");
	assert_key(&rings, KS_KEYRING_BLACKLIST, KS_RING_KEY_TBS, "tbs:2233", NULL, "2233");
	assert_key(&rings, KS_KEYRING_BLACKLIST, KS_RING_KEY_CERT, "revoked: 4455", "revoked",
		   "4455");
}

static void what_calls_itself_a_key_id(void **state)
{
	static const struct {
		const char *description, *subject, *key_id;
	} cases[] = {
		{ "cn: 0a", "cn", "0a" },
		{ ": 0a", "", "0a" },
		{ "cn: 0A", "cn: 0A", NULL },
		{ "cn: 0", "cn: 0", NULL },
		{ "cn: ", "cn: ", NULL },
		{ "cn:0a", "cn:0a", NULL },
		{ "cn: 0a ", "cn: 0a ", NULL },
		{ "0a", "0a", NULL },
		{ "", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake one[] = { kernel[0], { 1, NULL, { 0 }, 0 }, { 0 } };
		KS_KEYRINGS rings = { 0 };
		char text[64] = "asymmetric;0;0;1f030000;";

		one[1].text = strcat(text, cases[i].description);
		read_rings(BUILTIN, one, &rings);
		assert_int_equal(rings.count, 1);
		assert_key(&rings, KS_KEYRING_BUILTIN, KS_RING_KEY_CERT, cases[i].description,
			   cases[i].subject, cases[i].key_id);
	}
}

static void machine_by_its_link(void **state)
{
	KS_KEYRINGS rings = { 0 }, without = { 0 };
	struct fake unlinked[sizeof(kernel) / sizeof(*kernel)];

	(void)state;
	read_rings(BUILTIN SECONDARY, kernel, &rings);
	assert_known(&rings, "xxxxx", "xxx..");
	assert_true(rings.links_machine);
	assert_key(&rings, KS_KEYRING_MACHINE, KS_RING_KEY_CERT, "a MOK: abcdef", "a MOK",
		   "abcdef");

	memcpy(unlinked, kernel, sizeof(kernel));
	unlinked[1].member[2] = 0;
	read_rings(BUILTIN SECONDARY MACHINE, unlinked, &without);
	assert_known(&without, "xxxxx", "xxx..");
	assert_false(without.links_machine);
	assert_key(&without, KS_KEYRING_MACHINE, KS_RING_KEY_CERT, "a MOK: abcdef", "a MOK",
		   "abcdef");
}

static void keyrings_that_are_not_there(void **state)
{
	KS_KEYRINGS rings = { 0 };

	(void)state;
	/* Somebody else's keyring, and a longer name, are none of the kernel's. */
	read_rings(OTHERS BUILTIN, kernel, &rings);
	assert_known(&rings, "xxxxx", "x....");
	assert_int_equal(rings.unseen.count, 0);
	assert_int_equal(rings.count, 2);
}

static void a_keyring_that_may_not_be_read(void **state)
{
	struct fake denied[sizeof(kernel) / sizeof(*kernel)];
	KS_KEYRINGS rings = { 0 };

	(void)state;
	memcpy(denied, kernel, sizeof(kernel));
	denied[3].denied = EACCES;
	read_rings(BUILTIN SECONDARY MACHINE PLATFORM BLACKLIST, denied, &rings);
	assert_known(&rings, "xxx.x", "xxxxx");
	assert_int_equal(rings.count, 7);
	assert_unseen(&rings, 1, ".platform: reading its members: Permission denied");
}

static void a_member_that_is_not_told(void **state)
{
	struct fake denied[sizeof(kernel) / sizeof(*kernel)];
	KS_KEYRINGS rings = { 0 }, gone = { 0 };

	(void)state;
	memcpy(denied, kernel, sizeof(kernel));
	denied[5].denied = EACCES;
	read_rings(BUILTIN, denied, &rings);
	assert_known(&rings, ".xxxx", "x....");
	assert_int_equal(rings.count, 1);
	assert_unseen(&rings, 1, ".builtin_trusted_keys: describing a member: Permission denied");

	/* Between the list and the question somebody removed it. */
	denied[5].denied = ENOKEY;
	read_rings(BUILTIN, denied, &gone);
	assert_known(&gone, "xxxxx", "x....");
	assert_int_equal(gone.count, 1);
	assert_int_equal(gone.unseen.count, 0);
}

static void members_of_unknown_kinds(void **state)
{
	static const char *const texts[] = { "user;0;0;1f030000;a password", "asymmetric;0;0",
					     "keyring;0;0;1f030000;.machine", "",
					     "blacklist;0;0;0b0b0000;sha:0011" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct fake one[] = { kernel[0], { 1, texts[i], { 0 }, 0 }, { 0 } };
		KS_KEYRINGS rings = { 0 };

		read_rings(BUILTIN, one, &rings);
		assert_int_equal(rings.count, 0);
		assert_known(&rings, ".xxxx", "x....");
		assert_unseen(&rings, 1, ".builtin_trusted_keys: a member of an unknown kind: ");
	}
}

static void what_nobody_is_shown(void **state)
{
	KS_KEYRINGS rings = { 0 }, none = { 0 }, unable = { 0 };

	(void)state;
	read_rings(OTHERS, kernel, &rings);
	assert_known(&rings, ".....", ".....");
	assert_unseen(&rings, 1, "the kernel's keyrings: " KEYS " does not show them");

	assert_int_equal(remove(in_scratch("proc/keys")), 0);
	read_rings(NULL, kernel, &none);
	assert_known(&none, ".....", ".....");
	assert_unseen(&none, 1, "the kernel's keyrings: " KEYS ": ");

	write_text(in_scratch("proc/keys"), BUILTIN);
	assert_ok(ks_keyrings_read(scratch, NULL, &unable, &error));
	assert_known(&unable, ".....", ".....");
	assert_unseen(&unable, 1, "without libkeyutils");
}

static int read_as_nobody(void *arg)
{
	KS_KEYRINGS rings = { 0 };

	(void)arg;
	fakes = kernel;
	if (!ks_keyrings_read(scratch, &fake_keyctl, &rings, &error) || rings.unseen.count != 1)
		return 1;
	return strstr(rings.unseen.item[0], KEYS ": ") &&
			       strstr(rings.unseen.item[0], "Permission denied") ?
		       0 :
		       2;
}

static void a_list_that_may_not_be_read(void **state)
{
	(void)state;
	write_text(in_scratch("proc/keys"), BUILTIN);
	assert_int_equal(chmod(in_scratch("proc/keys"), 0), 0);
	assert_int_equal(run_as_nobody(read_as_nobody, NULL), 0);
}

static void add_part(X509_NAME *name, int nid, const char *value)
{
	/* Only bytes count; a universal string's would have to be four for each character. */
	if (value)
		assert_true(X509_NAME_add_entry_by_NID(name, nid, V_ASN1_UTF8STRING,
						       (const unsigned char *)value, -1, -1, 0));
}

/* As x509_fabricate_name() and x509_key_preparse() in crypto/asymmetric_keys/ put it together. */
static void descriptions_of_certificates(void **state)
{
	static const struct {
		const char *o, *cn, *other_cn, *email, *subject;
	} cases[] = {
		{ NULL, "the key", NULL, NULL, "the key" },
		{ NULL, "first", "last", NULL, "last" },
		{ "Owner", "the key", NULL, "a@b", "Owner: the key" },
		{ "Debian", "Debian Secure Boot CA", NULL, NULL, "Debian Secure Boot CA" },
		{ "Canonical Ltd.", "Canonical signs", NULL, NULL, "Canonical signs" },
		{ "Canonical Ltd.", "Canoni", NULL, NULL, "Canonical Ltd.: Canoni" },
		{ "abcdefgX", "abcdefYY", NULL, NULL, "abcdefgX: abcdefYY" },
		{ "Owner", NULL, NULL, "a@b", "Owner" },
		{ NULL, NULL, NULL, "a@b", "a@b" },
		{ NULL, NULL, NULL, NULL, "" },
	};
	EVP_PKEY *key = make_key("P-256");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		X509_NAME *name = X509_NAME_new();
		struct cert_spec spec = { .name = name, .no_key_id = true };
		KS_STRING text = NULL;
		char wanted[64];
		X509 *cert;

		add_part(name, NID_organizationName, cases[i].o);
		add_part(name, NID_commonName, cases[i].cn);
		add_part(name, NID_commonName, cases[i].other_cn);
		add_part(name, NID_pkcs9_emailAddress, cases[i].email);
		cert = make_cert(key, &spec);
		assert_ok(ks_keyring_describe(cert, &text, &error));
		snprintf(wanted, sizeof(wanted), "%s: 499602d2", cases[i].subject); /* 1234567890 */
		assert_string_equal(text, wanted);
		X509_free(cert);
		X509_NAME_free(name);
	}
	EVP_PKEY_free(key);
}

static void key_ids_of_certificates(void **state)
{
	static const unsigned char id[] = { 0, 1, 0xfe, 0xff };
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	static const struct {
		const char *serial, *text;
	} cases[] = { { "127", "cn: 7f" }, { "128", "cn: 0080" }, { "0", "cn: 00" } };
	EVP_PKEY *key = make_key("P-256");
	KS_STRING text = NULL;
	KS_X509 *cert = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_STRING by_serial = NULL;

		cert = make_cert(key, &(struct cert_spec){ .cn = "cn",
							   .serial = cases[i].serial,
							   .no_key_id = true });
		assert_ok(ks_keyring_describe(cert, &by_serial, &error));
		assert_string_equal(by_serial, cases[i].text);
		ks_x509_free(&cert);
	}
	cert = make_cert(key, &(struct cert_spec){ .cn = "cn", .no_key_id = true });
	assert_true(ASN1_OCTET_STRING_set(octets, id, sizeof(id)));
	assert_true(X509_add1_ext_i2d(cert, NID_subject_key_identifier, octets, 0, 0));
	assert_ok(ks_keyring_describe(cert, &text, &error));
	assert_string_equal(text, "cn: 0001feff");
	ASN1_OCTET_STRING_free(octets);
	EVP_PKEY_free(key);
}

#ifdef HAVE_KEYUTILS
/* A keyring of our own has what the kernel's have: members, each with a description. */
static void the_kernel_s_own_calls(void **state)
{
	key_serial_t ring = add_key("keyring", "of a test", NULL, 0, KEY_SPEC_PROCESS_KEYRING);
	key_serial_t key = ring < 0 ? -1 : add_key("user", "a; key", "x", 1, ring);
	int32_t *member = NULL;
	char *text = NULL;

	(void)state;
	if (key < 0) {
		print_message("no keys for us: %s\n", strerror(errno));
		skip();
	}
	assert_non_null(ks_keyctl_real);
	assert_int_equal(ks_keyctl_real->read(ring, (void **)&member), sizeof(*member));
	assert_int_equal(member[0], key);
	assert_true(ks_keyctl_real->describe(key, &text) > 0);
	assert_memory_equal(text, "user;", strlen("user;"));
	assert_string_equal(text + strlen(text) - strlen(";a; key"), ";a; key");
	free(member);
	free(text);
	assert_int_equal(ks_keyctl_real->read(0x7ffffff0, (void **)&member), -1);
	assert_int_equal(errno, ENOKEY);
}
#else
static void the_kernel_s_own_calls(void **state)
{
	(void)state;
	assert_null(ks_keyctl_real);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(keyrings_and_their_members),
		scratch_test(what_calls_itself_a_key_id),
		scratch_test(machine_by_its_link),
		scratch_test(keyrings_that_are_not_there),
		scratch_test(a_keyring_that_may_not_be_read),
		scratch_test(a_member_that_is_not_told),
		scratch_test(members_of_unknown_kinds),
		scratch_test(what_nobody_is_shown),
		scratch_test(a_list_that_may_not_be_read),
		cmocka_unit_test(descriptions_of_certificates),
		cmocka_unit_test(key_ids_of_certificates),
		cmocka_unit_test(the_kernel_s_own_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
