/* SPDX-License-Identifier: MIT */
/* What is in a kernel's keyrings, beside what its image, its firmware and the rules say. */
#include "fixture.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/efivar.h"
#include "core/trust.h"

#define DEBIAN "debian-kernel@lists.debian.org"
#define POLICY "/sys/kernel/security/ima/policy"
#define LOCKDOWN "/sys/kernel/security/lockdown"
#define CONFIG                                                                                   \
	"CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_ECDSA=y\nCONFIG_CRYPTO_SHA256=y\n" \
	"CONFIG_IMA_APPRAISE=y\n"

static char version[] = "6.12-test", dir[] = "/lib/modules/6.12-test";

/* --- a machine: what it has in files -------------------------------------------------------- */

static X509 *cert(int n)
{
	return identity("P-256", n)->cert;
}

static void put(struct ks_buf *file, const void *data, size_t len)
{
	assert_ok(ks_buf_append(file, data, len, &error));
}

static void put_number(struct ks_buf *file, size_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		put(file, &(uint8_t){ (uint8_t)(value >> 8 * i) }, 1);
}

static void align(struct ks_buf *file)
{
	while (file->len % 8)
		put(file, "", 1);
}

/*
 * An ELF file with the list of certificates 0 to COUNT that certs/system_certificates.S lays out; the
 * last has a version that none has, if IS_DAMAGED.
 */
static void write_image_of(const char *builder, int count, bool is_damaged)
{
	KS_BUF image = { 0 };
	size_t start, size;
	char banner[128];

	put(&image, ELFMAG "\2\1\1", 7);
	while (image.len < sizeof(Elf64_Ehdr))
		put(&image, "", 1);
	snprintf(banner, sizeof(banner), "Linux version %s (%s) (cc) #1 SMP\n", version, builder);
	put(&image, banner, strlen(banner) + 1);
	align(&image);
	start = image.len;
	for (int n = 0; n < count; n++) {
		KS_BUF der = { 0 };

		put_cert_der(&der, cert(n));
		if (is_damaged && n == count - 1)
			der.data[8] = 0x55;
		put(&image, der.data, der.len);
	}
	size = image.len - start;
	align(&image);
	put_number(&image, size, 8);
	put_number(&image, 0, 8);
	write_file(in_scratch("root/boot/vmlinuz-%s", version), ks_buf_view(&image));
}

static void write_image(const char *builder, int count)
{
	write_image_of(builder, count, false);
}

/* EFI_SIGNATURE_LISTs (UEFI specification, 32.4.1). */
static void put_entry(struct ks_buf *list, const void *type, const void *data, size_t len)
{
	put(list, type, 16);
	put_number(list, 28 + 16 + len, 4);
	put_number(list, 0, 4);
	put_number(list, 16 + len, 4);
	put(list, "an owner's GUID.", 16);
	put(list, data, len);
}

static void put_listed(struct ks_buf *list, int n)
{
	KS_BUF der = { 0 };

	put_cert_der(&der, cert(n));
	put_entry(list, "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72",
		  der.data, der.len);
}

/* Of a file; 32 times BYTE. */
static void put_hash(struct ks_buf *list, int byte)
{
	uint8_t hash[32];

	memset(hash, byte, sizeof(hash));
	put_entry(list, "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28", hash,
		  sizeof(hash));
}

static void write_variable(const char *name, const char *guid, struct ks_view value)
{
	KS_BUF file = { 0 };

	put(&file, "\6\0\0\0", 4);
	put(&file, value.data, value.len);
	write_file(in_scratch("live%s/%s-%s", KS_EFIVARS, name, guid), ks_buf_view(&file));
}

/* A variable that lists certificate N. */
static void write_listed(const char *name, const char *guid, int n)
{
	KS_BUF list = { 0 };

	put_listed(&list, n);
	write_variable(name, guid, ks_buf_view(&list));
}

static void secure_boot(const char *value)
{
	write_variable("SecureBoot", KS_EFI_GLOBAL, ks_view_of(value, 1));
}

/* --- and in keyrings ------------------------------------------------------------------------ */

enum { RINGS = KS_KEYRING_COUNT, MEMBERS = 8 };

/* What a ring has, by the letters of a text: '0' to '9' are certificates; others, see describe(). */
static const char *members[RINGS];
static int denied[RINGS]; /* errno */

static const char *const names[RINGS] = { ".builtin_trusted_keys", ".secondary_trusted_keys",
					  ".machine", ".platform", ".blacklist" };

static int fake_read(int32_t serial, void **data)
{
	size_t ring = (size_t)serial - 1, count = strlen(members[ring]);
	int32_t *member = calloc(MEMBERS, sizeof(*member));

	assert_true(ring < RINGS && count < MEMBERS);
	*data = member;
	for (size_t i = 0; i < count; i++)
		member[i] = members[ring][i];
	errno = denied[ring];
	if (!errno)
		return (int)(count * sizeof(*member));
	free(member);
	return -1;
}

static int put_hex(char *text, const uint8_t *data, int len)
{
	for (int i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", data[i]);
	return 2 * len;
}

static void describe_cert(int n, char *text)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert(n));
	int at = sprintf(text, "asymmetric;0;0;1f030000;P-256 key %d of the tests: ", n);

	put_hex(text + at, ASN1_STRING_get0_data(id), ASN1_STRING_length(id));
}

/* The hash of what of certificate 2 is to be signed. */
static void describe_tbs(char *text)
{
	unsigned char *tbs = NULL;
	uint8_t hash[32];
	int len = i2d_re_X509_tbs(cert(2), &tbs);

	assert_true(EVP_Digest(tbs, (size_t)len, hash, NULL, EVP_sha256(), NULL));
	put_hex(text + sprintf(text, "blacklist;0;0;0b0b0000;tbs:"), hash, sizeof(hash));
	OPENSSL_free(tbs);
}

static int fake_describe(int32_t serial, char **text)
{
	char line[256];

	if (serial == 'M')
		snprintf(line, sizeof(line), "keyring;0;0;1f0b0000;.machine");
	else if (serial == 'S')
		snprintf(line, sizeof(line), "asymmetric;0;0;3f010000;a stranger: 0badcafe");
	else if (serial == 'H')
		snprintf(line, sizeof(line), "blacklist;0;0;0b0b0000;bin:%064x", 0);
	else if (serial == 'I')
		snprintf(line, sizeof(line), "blacklist;0;0;0b0b0000;bin:1%063x", 0);
	else if (serial == 'T')
		describe_tbs(line);
	else
		describe_cert(serial - '0', line);
	*text = strdup(line);
	return (int)strlen(line) + 1;
}

static const struct ks_keyctl fake_keyctl = { fake_read, fake_describe };

/* The rings that have members, if there are no more than none. */
static void write_keys(void)
{
	char text[1024];
	size_t at = 0;

	for (int ring = 0; ring < RINGS; ring++)
		if (members[ring])
			at += (size_t)snprintf(
				text + at, sizeof(text) - at,
				"%08x I------     1 perm 1f0b0000     0     0 keyring   %s: 1\n",
				ring + 1, names[ring]);
	text[at] = '\0';
	write_text(in_scratch("live/proc/keys"), text);
}

static char root[PATH_MAX + 8], live[PATH_MAX + 8];

static struct ks_trust_search search_here(const struct ks_kernel *kernel)
{
	snprintf(root, sizeof(root), "%s/root", scratch);
	snprintf(live, sizeof(live), "%s/live", scratch);
	make_dirs(in_scratch("live"));
	return (struct ks_trust_search){ .root = root,
					 .kernel = kernel,
					 .is_running = true,
					 .live = live,
					 .efivars = KS_EFIVARS,
					 .mok_table = KS_MOK_VARIABLES,
					 .keyctl = &fake_keyctl };
}

static void find(bool is_running, struct ks_trust *trust)
{
	struct ks_kernel kernel = { .version = version, .dir = dir };
	struct ks_trust_search search = search_here(&kernel);

	search.is_running = is_running;
	write_keys();
	assert_ok(ks_trust_find(&search, trust, &error));
}

/* Debian's kernel with 0 and 1 compiled in, 2 in db, 3 a MOK, 4 in dbx; Secure Boot is on. */
static void write_machine(const char *builder)
{
	KS_BUF dbx = { 0 };

	write_text(in_scratch("root%s/build/.config", dir),
		   CONFIG "CONFIG_SYSTEM_REVOCATION_LIST=y\n");
	write_image(builder, 2);
	secure_boot("\1");
	write_listed("db", KS_EFI_SECURITY, 2);
	write_listed("MokListRT", KS_EFI_SHIM, 3);
	put_listed(&dbx, 4);
	put_hash(&dbx, 0);
	write_variable("dbx", KS_EFI_SECURITY, ks_buf_view(&dbx));
}

static void set_rings(const char *builtin, const char *secondary, const char *machine,
		      const char *platform, const char *blacklist)
{
	const char *all[RINGS] = { builtin, secondary, machine, platform, blacklist };

	memcpy(members, all, sizeof(all));
	memset(denied, 0, sizeof(denied));
}

/* --- what is said --------------------------------------------------------------------------- */

static const struct ks_trusted *item(const struct ks_trust *trust, enum ks_origin origin, int n)
{
	for (size_t i = 0; i < trust->count; i++)
		if (trust->item[i].origin == origin && X509_cmp(trust->item[i].cert, cert(n)) == 0)
			return &trust->item[i];
	fail_msg("no such item");
	return NULL;
}

/* COUNTS, and IN the name of a keyring; "none"; NULL where that is unknown. */
static void assert_item(const struct ks_trust *trust, enum ks_origin origin, int n,
			enum ks_answer counts, const char *in)
{
	const struct ks_trusted *it = item(trust, origin, n);

	assert_string_equal(ks_answer_name(it->counts), ks_answer_name(counts));
	assert_int_equal(it->is_found, !in ? KS_UNKNOWN : strcmp(in, "none") == 0 ? KS_NO : KS_YES);
	if (it->is_found == KS_YES)
		assert_string_equal(ks_keyring_name(it->found), in);
}

/* The one difference that names certificate N, or if that is -1 any, and ends so. */
static void assert_differs(const struct ks_trust *trust, int n, const char *end)
{
	size_t found = 0;
	char name[64];

	snprintf(name, sizeof(name), "P-256 key %d of the tests: ", n);
	for (size_t i = 0; i < trust->differences.count; i++) {
		const char *line = trust->differences.item[i];

		found += (n < 0 || strncmp(line, name, strlen(name)) == 0) &&
			 strlen(line) >= strlen(end) &&
			 strcmp(line + strlen(line) - strlen(end), end) == 0;
	}
	assert_int_equal(found, 1);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void all_is_where_it_belongs(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_BUILTIN, 0, KS_YES, ".builtin_trusted_keys");
	assert_item(&trust, KS_ORIGIN_BUILTIN, 1, KS_YES, ".builtin_trusted_keys");
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, ".platform");
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	assert_item(&trust, KS_ORIGIN_DBX, 4, KS_YES, ".blacklist");
	assert_int_equal(trust.keyrings_agree, KS_YES);
	assert_int_equal(trust.differences.count, 0);
	assert_int_equal(trust.unseen.count, 0);
	assert_true(trust.is_complete);
	for (size_t i = 0; i < trust.rings.count; i++)
		assert_true(trust.rings.key[i].is_explained);
}

static void a_kernel_that_does_not_run_has_no_keyrings(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("0", "", "", "", "");
	find(false, &trust);
	assert_item(&trust, KS_ORIGIN_BUILTIN, 1, KS_YES, NULL);
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, NULL);
	assert_int_equal(trust.keyrings_agree, KS_UNKNOWN);
	assert_int_equal(trust.rings.count, 0);
	assert_int_equal(trust.differences.count, 0);
}

static void image_and_keyring_differ(void **state)
{
	KS_TRUST less = { 0 }, more = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("0", "M", "3", "2", "4H");
	find(true, &less);
	assert_int_equal(less.keyrings_agree, KS_NO);
	assert_item(&less, KS_ORIGIN_BUILTIN, 1, KS_NO, "none");
	assert_string_equal(item(&less, KS_ORIGIN_BUILTIN, 1)->why, "keyrings");
	assert_int_equal(item(&less, KS_ORIGIN_BUILTIN, 1)->ring, KS_RING_NONE);
	assert_int_equal(less.differences.count, 1);
	assert_differs(&less, 1,
		       ": from builtin: expected in .builtin_trusted_keys, is in no keyring");

	/* What db has is not compiled in. */
	set_rings("012", "M", "3", "2", "4H");
	find(true, &more);
	assert_int_equal(more.keyrings_agree, KS_NO);
	assert_item(&more, KS_ORIGIN_BUILTIN, 1, KS_YES, ".builtin_trusted_keys");
	assert_int_equal(more.differences.count, 1);
	assert_differs(&more, 2, ": in .builtin_trusted_keys, and not in the image");
}

static void whether_they_agree_nobody_knows(void **state)
{
	KS_TRUST without_image = { 0 }, without_list = { 0 }, damaged = { 0 };
	KS_TRUST unseen = { 0 }, unsure = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	denied[KS_KEYRING_BUILTIN] = EACCES;
	find(true, &unseen);
	assert_int_equal(unseen.keyrings_agree, KS_UNKNOWN);
	assert_item(&unseen, KS_ORIGIN_BUILTIN, 1, KS_YES, NULL);
	assert_item(&unseen, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	assert_int_equal(unseen.unseen.count, 1);
	assert_int_equal(unseen.differences.count, 0);

	/* The kernel may know nothing of its key: then it is not there. */
	set_rings("", "M", "3", "2", "4H");
	write_text(in_scratch("root%s/build/.config", dir),
		   "CONFIG_MODULES=y\nCONFIG_CRYPTO_ECDSA=m\nCONFIG_SYSTEM_REVOCATION_LIST=y\n");
	find(true, &unsure);
	assert_int_equal(unsure.keyrings_agree, KS_UNKNOWN);
	assert_int_equal(unsure.differences.count, 0);

	set_rings("01", "M", "3", "2", "4H");
	write_image_of(DEBIAN, 2, true);
	find(true, &damaged);
	assert_int_equal(damaged.keyrings_agree, KS_UNKNOWN);
	assert_int_equal(damaged.differences.count, 0);

	write_image(DEBIAN, 0);
	find(true, &without_list);
	assert_int_equal(without_list.keyrings_agree, KS_UNKNOWN);
	assert_int_equal(without_list.differences.count, 0);

	assert_int_equal(remove(in_scratch("root/boot/vmlinuz-%s", version)), 0);
	find(true, &without_image);
	assert_int_equal(without_image.keyrings_agree, KS_UNKNOWN);
	assert_int_equal(without_image.differences.count, 0);
	assert_false(without_image.is_complete);
}

static void elsewhere_than_the_rule_says(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M2", "", "3", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, ".secondary_trusted_keys");
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".platform");
	assert_int_equal(item(&trust, KS_ORIGIN_DB, 2)->ring, KS_RING_TRUSTED);
	assert_int_equal(item(&trust, KS_ORIGIN_MOK, 3)->ring, KS_RING_PLATFORM);
	assert_int_equal(trust.differences.count, 2);
	assert_differs(&trust, 2,
		       ": from db: expected in .platform, is in .secondary_trusted_keys");
	assert_differs(&trust, 3, ": from MOK: expected in .machine, is in .platform");
	assert_int_equal(trust.keyrings_agree, KS_YES);
}

static void in_several_keyrings(void **state)
{
	KS_TRUST trust = { 0 }, unexpected = { 0 }, unseen = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M2", "3", "32", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, ".platform");
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	assert_int_equal(trust.differences.count, 0);

	secure_boot("\0");
	find(true, &unexpected);
	assert_item(&unexpected, KS_ORIGIN_MOK, 3, KS_YES, ".machine");

	/* It may be where it is expected as well. */
	secure_boot("\1");
	denied[KS_KEYRING_PLATFORM] = EACCES;
	find(true, &unseen);
	assert_item(&unseen, KS_ORIGIN_DB, 2, KS_YES, ".secondary_trusted_keys");
	assert_int_equal(unseen.differences.count, 0);
}

/* The kernel's config says that it cannot use such a key; then it should not have it. */
static void there_against_the_config(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	write_text(in_scratch("root%s/build/.config", dir),
		   "CONFIG_MODULES=y\nCONFIG_CRYPTO_SHA256=y\nCONFIG_SYSTEM_REVOCATION_LIST=y\n");
	set_rings("0", "", "", "", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_BUILTIN, 0, KS_UNKNOWN, ".builtin_trusted_keys");
	assert_string_equal(item(&trust, KS_ORIGIN_BUILTIN, 0)->why, "key type");
	assert_item(&trust, KS_ORIGIN_BUILTIN, 1, KS_NO, "none");
	assert_string_equal(item(&trust, KS_ORIGIN_BUILTIN, 1)->why, "key type");
	assert_int_equal(trust.differences.count, 1);
	assert_differs(&trust, 0,
		       ": from builtin: expected in no keyring (key type), is in "
		       ".builtin_trusted_keys");
	assert_int_equal(trust.keyrings_agree, KS_NO);
}

static void there_against_the_rule(void **state)
{
	KS_TRUST trust = { 0 }, twice = { 0 };

	(void)state;
	write_machine(DEBIAN);
	secure_boot("\0");
	set_rings("01", "M", "3", "2", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	assert_int_equal(trust.differences.count, 1);
	assert_differs(&trust, 3,
		       ": from MOK: expected in no keyring (Secure Boot), is in .machine");

	/* Compiled in, so a MOK of it says nothing. */
	write_listed("MokListRT", KS_EFI_SHIM, 1);
	set_rings("01", "M", "", "2", "4H");
	find(true, &twice);
	assert_item(&twice, KS_ORIGIN_MOK, 1, KS_YES, ".builtin_trusted_keys");
	assert_int_equal(twice.differences.count, 0);
}

static void what_was_absent_stays_so(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	secure_boot("\0");
	set_rings("01", "M", "", "2", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_NO, "none");
	assert_string_equal(item(&trust, KS_ORIGIN_MOK, 3)->why, "Secure Boot");
	assert_int_equal(trust.differences.count, 0);
}

static void keyrings_answer_where_no_rule_does(void **state)
{
	KS_TRUST trust = { 0 }, absent = { 0 }, unlinked = { 0 }, unseen = { 0 };

	(void)state;
	write_machine("somebody@somewhere");
	set_rings("01", "M", "3", "2", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	/* It is there, and nobody knows whether it is asked. */
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_UNKNOWN, ".platform");
	assert_string_equal(item(&trust, KS_ORIGIN_DB, 2)->why, "rule");

	set_rings("01", "M", "", "", "4H");
	find(true, &absent);
	assert_item(&absent, KS_ORIGIN_MOK, 3, KS_NO, "none");
	assert_item(&absent, KS_ORIGIN_DB, 2, KS_NO, "none");
	assert_int_equal(absent.differences.count, 0);

	set_rings("01", "", "3", "2", "4H");
	find(true, &unlinked);
	assert_item(&unlinked, KS_ORIGIN_MOK, 3, KS_NO, ".machine");

	denied[KS_KEYRING_SECONDARY] = EACCES;
	find(true, &unseen);
	assert_item(&unseen, KS_ORIGIN_MOK, 3, KS_UNKNOWN, ".machine");
}

static void keys_that_nobody_explains(void **state)
{
	KS_TRUST trust = { 0 };
	size_t strangers = 0;

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "MS", "3", "2", "4H");
	find(true, &trust);
	for (size_t i = 0; i < trust.rings.count; i++) {
		const struct ks_ring_key *key = &trust.rings.key[i];

		if (key->is_explained)
			continue;
		strangers++;
		assert_string_equal(key->subject, "a stranger");
		assert_string_equal(key->key_id, "0badcafe");
		assert_int_equal(key->ring, KS_KEYRING_SECONDARY);
		assert_int_equal(ks_trust_asks(&trust, key->ring), KS_YES);
	}
	assert_int_equal(strangers, 1);
	assert_int_equal(trust.differences.count, 0);
	assert_false(trust.is_complete);
}

/* Of a place that cannot be read nothing is missing, if all keys of all rings are known. */
static void keyrings_make_it_complete(void **state)
{
	KS_TRUST trust = { 0 }, unseen = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	write_variable("MokListXRT", KS_EFI_SHIM, ks_view_of("garbage", 7));
	find(true, &trust);
	assert_int_equal(trust.unseen.count, 1);
	assert_true(trust.is_complete);

	denied[KS_KEYRING_PLATFORM] = EPERM;
	find(true, &unseen);
	assert_int_equal(unseen.unseen.count, 2);
	assert_false(unseen.is_complete);
	assert_item(&unseen, KS_ORIGIN_DB, 2, KS_YES, NULL);
}

static void what_is_refused(void **state)
{
	KS_TRUST trust = { 0 }, absent = { 0 };

	(void)state;
	write_machine(DEBIAN);
	write_listed("db", KS_EFI_SECURITY, 4);
	/* Its config says no, and yet. */
	write_text(in_scratch("root%s/build/.config", dir), CONFIG);
	set_rings("01", "M", "3", "4", "4HI");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_DBX, 4, KS_YES, ".blacklist");
	assert_item(&trust, KS_ORIGIN_DB, 4, KS_NO, ".platform");
	assert_string_equal(item(&trust, KS_ORIGIN_DB, 4)->why, "refused");
	assert_int_equal(trust.refused[0].counts, KS_YES);
	assert_int_equal(trust.differences.count, 1);
	assert_differs(&trust, 4,
		       ": from dbx: expected in no keyring (CONFIG_SYSTEM_REVOCATION_LIST), is in "
		       ".blacklist");
	for (size_t i = 0; i < trust.rings.count; i++)
		assert_int_equal(trust.rings.key[i].is_explained,
				 strncmp(trust.rings.key[i].description, "bin:1", 5) != 0);
	assert_true(trust.is_complete);

	write_text(in_scratch("root%s/build/.config", dir),
		   CONFIG "CONFIG_SYSTEM_REVOCATION_LIST=y\n");
	set_rings("01", "M", "3", "4", "");
	find(true, &absent);
	assert_item(&absent, KS_ORIGIN_DBX, 4, KS_NO, "none");
	assert_item(&absent, KS_ORIGIN_DB, 4, KS_YES, ".platform");
	assert_int_equal(absent.refused[0].counts, KS_NO);
	assert_differs(&absent, 4, ": from dbx: expected in .blacklist, is in no keyring");
	assert_differs(&absent, -1,
		       "hashes in dbx and MOKX: 1 expected in .blacklist are not there");
}

static void refused_as_expected(void **state)
{
	KS_TRUST trust = { 0 }, overlooked = { 0 };
	KS_BUF mokx = { 0 };

	(void)state;
	write_machine(DEBIAN);
	write_listed("db", KS_EFI_SECURITY, 4);
	set_rings("01", "M", "3", "4", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_DB, 4, KS_NO, ".platform");
	assert_int_equal(trust.differences.count, 0);

	/* Without Secure Boot nobody looks at MOKX. */
	secure_boot("\0");
	put_hash(&mokx, 0x22);
	write_variable("MokListXRT", KS_EFI_SHIM, ks_buf_view(&mokx));
	set_rings("01", "M", "", "4", "4H");
	find(true, &overlooked);
	assert_int_equal(overlooked.refused_count, 2);
	assert_int_equal(overlooked.refused[0].counts, KS_YES);
	assert_int_equal(overlooked.refused[1].counts, KS_NO);
	assert_int_equal(overlooked.differences.count, 0);
}

/* A hash keeps it out of rings that are filled later; this one was earlier. */
static void a_certificate_whose_hash_is_refused(void **state)
{
	static const char type[] =
		"\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed";
	uint8_t entry[32 + 16] = { 0 };
	KS_TRUST by_rule = { 0 }, trust = { 0 };
	unsigned char *tbs = NULL;
	KS_BUF dbx = { 0 };
	int len = i2d_re_X509_tbs(cert(2), &tbs);

	(void)state;
	write_machine(DEBIAN);
	assert_true(EVP_Digest(tbs, (size_t)len, entry, NULL, EVP_sha256(), NULL));
	OPENSSL_free(tbs);
	put_entry(&dbx, type, entry, sizeof(entry));
	write_variable("dbx", KS_EFI_SECURITY, ks_buf_view(&dbx));
	set_rings("01", "M", "3", "2", "T");
	find(false, &by_rule);
	assert_item(&by_rule, KS_ORIGIN_DB, 2, KS_UNKNOWN, NULL);
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, ".platform");
	assert_int_equal(trust.refused[0].counts, KS_YES);
	assert_int_equal(trust.differences.count, 0);
	for (size_t i = 0; i < trust.rings.count; i++)
		assert_true(trust.rings.key[i].is_explained);
}

static void pending_ones_are_not_looked_for(void **state)
{
	KS_TRUST trust = { 0 };

	(void)state;
	write_machine(DEBIAN);
	write_listed("MokDel", KS_EFI_SHIM, 3);
	set_rings("01", "M", "3", "2", "4H");
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_MOK_DEL, 3, KS_NO, NULL);
	assert_item(&trust, KS_ORIGIN_MOK, 3, KS_YES, ".machine");
	assert_int_equal(trust.differences.count, 0);
}

/* --- shim's table --------------------------------------------------------------------------- */

static void write_table(const char *name, int n)
{
	KS_BUF list = { 0 };

	put_listed(&list, n);
	write_file(in_scratch("live%s/%s", KS_MOK_VARIABLES, name), ks_buf_view(&list));
}

static void moks_in_shim_s_table(void **state)
{
	KS_TRUST trust = { 0 }, variables = { 0 };

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "56", "2", "4H");
	write_table("MokListRT", 5);
	write_table("MokListTrustedRT", 6);
	/* This one the kernel takes from variables only. */
	write_table("db", 6);
	find(true, &trust);
	assert_item(&trust, KS_ORIGIN_MOK, 5, KS_YES, ".machine");
	assert_item(&trust, KS_ORIGIN_DB, 2, KS_YES, ".platform");
	assert_int_equal(trust.count, 5);
	assert_int_equal(trust.mok_trusted, KS_YES);

	/* Without the table shim's word does not count, whatever variables there are. */
	assert_int_equal(remove(in_scratch("live%s/MokListTrustedRT", KS_MOK_VARIABLES)), 0);
	assert_int_equal(remove(in_scratch("live%s/MokListRT", KS_MOK_VARIABLES)), 0);
	write_variable("MokListTrustedRT", KS_EFI_SHIM, ks_view_of("\1", 1));
	find(true, &variables);
	assert_item(&variables, KS_ORIGIN_MOK, 3, KS_NO, "none");
	assert_int_equal(variables.mok_trusted, KS_NO);
}

static int find_as_nobody(void *arg)
{
	KS_TRUST trust = { 0 };
	size_t moks = 0, denials = 0;

	if (!ks_trust_find(arg, &trust, &error))
		return 99;
	for (size_t i = 0; i < trust.count; i++)
		moks += trust.item[i].origin == KS_ORIGIN_MOK;
	for (size_t i = 0; i < trust.unseen.count; i++)
		denials += strstr(trust.unseen.item[i], KS_MOK_VARIABLES "/MokListRT: ") &&
			   strstr(trust.unseen.item[i], "Permission denied");
	return (int)(moks * 10 + denials) + (trust.mok_trusted == KS_YES ? 0 : 50);
}

/* The table's files are root's. */
static void a_table_that_may_not_be_read(void **state)
{
	struct ks_kernel kernel = { .version = version, .dir = dir };
	struct ks_trust_search search = search_here(&kernel);

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "", "2", "4H");
	write_keys();
	write_table("MokListRT", 5);
	write_table("MokListTrustedRT", 6);
	assert_int_equal(chmod(in_scratch("live%s/MokListRT", KS_MOK_VARIABLES), 0), 0);
	assert_int_equal(chmod(in_scratch("live%s/MokListTrustedRT", KS_MOK_VARIABLES), 0), 0);
	assert_int_equal(run_as_nobody(find_as_nobody, &search), 10);
	assert_int_equal(remove(in_scratch("live%s/MokListRT-%s", KS_EFIVARS, KS_EFI_SHIM)), 0);
	assert_int_equal(run_as_nobody(find_as_nobody, &search), 1);
}

/* --- IMA ------------------------------------------------------------------------------------ */

static void what_ima_s_policy_says(void **state)
{
	static const struct {
		const char *policy;
		enum ks_answer answer;
	} cases[] = {
		{ "appraise func=MODULE_CHECK appraise_type=imasig \n", KS_YES },
		{ "measure func=MODULE_CHECK \nappraise func=KEXEC_KERNEL_CHECK \n", KS_NO },
		{ "", KS_NO },
		/* As ima_policy=appraise_tcb has it. */
		{ "dont_appraise fsmagic=0x9fa0 \nappraise fowner=0 \n", KS_YES },
		{ "appraise func=MODULE_CHECK_NOT \n", KS_NO },
		{ "dont_appraise func=MODULE_CHECK \nappraise func=MODULE_CHECK \n", KS_NO },
		{ "dont_appraise func=MODULE_CHECK uid=1000 \nappraise func=MODULE_CHECK \n",
		  KS_YES },
		{ "dont_appraise func=KEXEC_KERNEL_CHECK \nappraise func=MODULE_CHECK", KS_YES },
		{ "dont_measure func=MODULE_CHECK \nappraise uid=0 func=MODULE_CHECK \n", KS_YES },
	};

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_TRUST trust = { 0 };

		write_text(in_scratch("live" POLICY), cases[i].policy);
		find(true, &trust);
		assert_int_equal(trust.ima_appraise, cases[i].answer);
		assert_string_equal(trust.ima_why, "its policy");
	}
}

static void assert_ima(bool is_running, enum ks_answer answer, const char *why)
{
	KS_TRUST trust = { 0 };

	find(is_running, &trust);
	assert_int_equal(trust.ima_appraise, answer);
	assert_non_null(strstr(trust.ima_why, why));
}

static void where_ima_shows_no_policy(void **state)
{
	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	assert_ima(true, KS_UNKNOWN, "securityfs cannot be seen");
	write_text(in_scratch("live" LOCKDOWN), "[none] integrity confidentiality\n");
	assert_ima(true, KS_NO, "no IMA");
	make_dirs(in_scratch("live/sys/kernel/security/ima"));
	assert_ima(true, KS_UNKNOWN, "does not show");
	write_text(in_scratch("live" POLICY), "");
	assert_ima(true, KS_NO, "its policy");
	assert_ima(false, KS_UNKNOWN, "not running");
	write_text(in_scratch("live" POLICY), "appraise func=MODULE_CHECK\n");
	write_text(in_scratch("root%s/build/.config", dir), "CONFIG_MODULES=y\n");
	assert_ima(true, KS_NO, "CONFIG_IMA_APPRAISE");
	/* That is no config of a kernel with modules. */
	write_text(in_scratch("root%s/build/.config", dir), "CONFIG_X=y\n");
	assert_ima(true, KS_YES, "its policy");
}

static int ima_as_nobody(void *arg)
{
	KS_TRUST trust = { 0 };

	if (!ks_trust_find(arg, &trust, &error) || trust.ima_appraise != KS_UNKNOWN)
		return 1;
	return strcmp(trust.ima_why, "its policy cannot be read") == 0 ? 0 : 2;
}

static void a_policy_that_may_not_be_read(void **state)
{
	struct ks_kernel kernel = { .version = version, .dir = dir };
	struct ks_trust_search search = search_here(&kernel);

	(void)state;
	write_machine(DEBIAN);
	set_rings("01", "M", "3", "2", "4H");
	write_keys();
	write_text(in_scratch("live" POLICY), "appraise func=MODULE_CHECK\n");
	assert_int_equal(chmod(in_scratch("live" POLICY), 0), 0);
	assert_int_equal(run_as_nobody(ima_as_nobody, &search), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(all_is_where_it_belongs),
		scratch_test(a_kernel_that_does_not_run_has_no_keyrings),
		scratch_test(image_and_keyring_differ),
		scratch_test(whether_they_agree_nobody_knows),
		scratch_test(elsewhere_than_the_rule_says),
		scratch_test(in_several_keyrings),
		scratch_test(there_against_the_config),
		scratch_test(there_against_the_rule),
		scratch_test(what_was_absent_stays_so),
		scratch_test(keyrings_answer_where_no_rule_does),
		scratch_test(keys_that_nobody_explains),
		scratch_test(keyrings_make_it_complete),
		scratch_test(what_is_refused),
		scratch_test(refused_as_expected),
		scratch_test(a_certificate_whose_hash_is_refused),
		scratch_test(pending_ones_are_not_looked_for),
		scratch_test(moks_in_shim_s_table),
		scratch_test(a_table_that_may_not_be_read),
		scratch_test(what_ima_s_policy_says),
		scratch_test(where_ima_shows_no_policy),
		scratch_test(a_policy_that_may_not_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
