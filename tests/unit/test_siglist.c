/* SPDX-License-Identifier: MIT */
/* EFI signature lists, good and broken. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "core/siglist.h"

enum { GUID = 16, LIST_HEADER = 28, HASH = KS_SIGLIST_SHA256, TBS = HASH + 16 };

/* As the specification writes them; the first three parts are little-endian numbers. */
static const char x509[] = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";
static const char sha256[] = "c1c41626-504c-4092-aca9-41f936934328";
static const char x509_sha256[] = "3bd2a492-96c0-4079-b420-fcf98ef103ed";
static const char rsa2048[] = "3c5766e8-269c-4e34-aa14-ed776e85b3b6";
static const char owner[] = "77fa9abd-0359-4d32-bd60-28f4e78f784b";

static void put_le32(struct ks_buf *data, size_t value)
{
	const uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 24) };

	assert_ok(ks_buf_append(data, bytes, sizeof(bytes), &error));
}

static void put_guid(struct ks_buf *data, const char *text)
{
	static const int places[GUID] = {
		6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34
	};

	for (size_t i = 0; i < GUID; i++) {
		const char digits[3] = { text[places[i]], text[places[i] + 1], '\0' };
		uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);

		assert_ok(ks_buf_append(data, &byte, 1, &error));
	}
}

/* A list of COUNT entries of LEN bytes that lie one behind the other; EXTRA bytes of header. */
static void put_list(struct ks_buf *data, const char *type, const uint8_t *entries, size_t count,
		     size_t len, size_t extra)
{
	put_guid(data, type);
	put_le32(data, LIST_HEADER + extra + count * (GUID + len));
	put_le32(data, extra);
	put_le32(data, GUID + len);
	fill(data, extra, 9);
	for (size_t i = 0; i < count; i++) {
		put_guid(data, owner);
		assert_ok(ks_buf_append(data, entries + i * len, len, &error));
	}
}

static void put_cert(struct ks_buf *data, int n)
{
	KS_BUF der = { 0 };

	put_cert_der(&der, identity("P-256", n)->cert);
	put_list(data, x509, der.data, 1, der.len, 0);
}

/* Some bytes that are no other N's. */
static void put_hashes(struct ks_buf *data, const char *type, uint32_t n, size_t count, size_t len)
{
	KS_BUF bytes = { 0 };

	fill(&bytes, count * len, n);
	put_list(data, type, bytes.data, count, len, 0);
}

/* In memory of its own, so that a byte read too many is seen. */
static void parse_view(struct ks_view data, struct ks_siglist *list)
{
	uint8_t *copy = malloc(data.len ? data.len : 1);

	assert_non_null(copy);
	if (data.len)
		memcpy(copy, data.data, data.len);
	assert_ok(ks_siglist_parse(ks_view_of(copy, data.len), list, &error));
	free(copy);
}

static void parse(const struct ks_buf *data, struct ks_siglist *list)
{
	parse_view(ks_buf_view(data), list);
}

static void assert_counts(const struct ks_siglist *list, size_t certs, size_t hashes, size_t unread,
			  size_t unknown)
{
	assert_int_equal(list->certs.count, certs);
	assert_int_equal(list->hash_count, hashes);
	assert_int_equal(list->unread, unread);
	assert_int_equal(list->unknown, unknown);
}

/* --- lists ---------------------------------------------------------------------------------- */

static void nothing_is_an_empty_list(void **state)
{
	KS_SIGLIST list = { 0 };

	(void)state;
	assert_ok(ks_siglist_parse(ks_view_of(NULL, 0), &list, &error));
	assert_counts(&list, 0, 0, 0, 0);
	assert_null(list.damage);
}

static void certificates_and_hashes(void **state)
{
	KS_BUF data = { 0 };
	KS_BUF hashes = { 0 };
	KS_BUF tbs = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	fill(&hashes, 3 * HASH, 1);
	fill(&tbs, TBS, 2);
	put_cert(&data, 0);
	put_list(&data, sha256, hashes.data, 3, HASH, 0);
	put_cert(&data, 1);
	put_list(&data, x509_sha256, tbs.data, 1, TBS, 0);
	parse(&data, &list);
	assert_counts(&list, 2, 4, 0, 0);
	assert_null(list.damage);
	for (int n = 0; n < 2; n++)
		assert_int_equal(X509_cmp(list.certs.item[n], identity("P-256", n)->cert), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(list.hash[i].type, KS_SIGLIST_IMAGE);
		assert_memory_equal(list.hash[i].value, hashes.data + i * HASH, HASH);
		assert_true(ks_siglist_has(&list, KS_SIGLIST_IMAGE, hashes.data + i * HASH));
		assert_false(ks_siglist_has(&list, KS_SIGLIST_TBS, hashes.data + i * HASH));
	}
	assert_memory_equal(list.hash[3].value, tbs.data, HASH);
	assert_true(ks_siglist_has(&list, KS_SIGLIST_TBS, tbs.data));
	assert_false(ks_siglist_has(&list, KS_SIGLIST_IMAGE, tbs.data));
	hashes.data[HASH - 1] ^= 1;
	assert_false(ks_siglist_has(&list, KS_SIGLIST_IMAGE, hashes.data));
}

/* A dbx has some hundreds in one list. */
static void many_hashes(void **state)
{
	KS_BUF data = { 0 };
	KS_BUF hashes = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	fill(&hashes, 1000 * HASH, 5);
	put_list(&data, sha256, hashes.data, 1000, HASH, 0);
	parse(&data, &list);
	assert_counts(&list, 0, 1000, 0, 0);
	for (size_t i = 0; i < 1000; i++)
		assert_memory_equal(list.hash[i].value, hashes.data + i * HASH, HASH);
}

static void several_certificates_of_one_length_in_one_list(void **state)
{
	KS_BUF data = { 0 };
	KS_BUF der = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	put_cert_der(&der, identity("P-256", 0)->cert);
	assert_ok(ks_buf_reserve(&der, 2 * der.len, &error));
	memcpy(der.data + der.len, der.data, der.len);
	put_list(&data, x509, der.data, 2, der.len, 0);
	parse(&data, &list);
	assert_counts(&list, 2, 0, 0, 0);
}

static void a_header_of_the_type_is_passed_over(void **state)
{
	KS_BUF data = { 0 };
	KS_BUF hashes = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	fill(&hashes, 2 * HASH, 1);
	put_list(&data, sha256, hashes.data, 2, HASH, 20);
	put_cert(&data, 0);
	parse(&data, &list);
	assert_counts(&list, 1, 2, 0, 0);
	assert_memory_equal(list.hash[1].value, hashes.data + HASH, HASH);
}

static void what_is_not_known_is_counted(void **state)
{
	KS_BUF data = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	put_hashes(&data, rsa2048, 1, 3, 256);
	put_hashes(&data, sha256, 2, 2, 31);
	put_hashes(&data, sha256, 3, 1, 0);
	put_hashes(&data, x509_sha256, 4, 1, HASH);
	put_cert(&data, 0);
	parse(&data, &list);
	assert_counts(&list, 1, 0, 0, 7);
	assert_null(list.damage);
}

/* The kernel takes DER only. */
static void certificates_that_cannot_be_read(void **state)
{
	KS_BUF data = { 0 };
	KS_BUF pem = { 0 };
	KS_BUF der = { 0 };
	KS_SIGLIST list = { 0 };

	(void)state;
	put_cert_pem(&pem, identity("P-256", 0)->cert);
	put_list(&data, x509, pem.data, 1, pem.len, 0);
	put_cert_der(&der, identity("P-256", 0)->cert);
	put_list(&data, x509, der.data, 1, der.len - 1, 0);
	put_hashes(&data, x509, 1, 2, 40);
	put_hashes(&data, x509, 1, 1, 0);
	put_cert(&data, 1);
	parse(&data, &list);
	assert_counts(&list, 1, 0, 5, 0);
	assert_null(list.damage);
}

/* --- damage --------------------------------------------------------------------------------- */

/* A certificate, and behind it a list of three hashes; where the second list starts. */
static size_t put_two(struct ks_buf *data)
{
	size_t second;

	put_cert(data, 0);
	second = data->len;
	put_hashes(data, sha256, 1, 3, HASH);
	return second;
}

static void expect_damage(struct ks_view data, const char *says)
{
	KS_SIGLIST list = { 0 };

	parse_view(data, &list);
	assert_counts(&list, 1, 0, 0, 0);
	assert_non_null(list.damage);
	if (!strstr(list.damage, says))
		fail_msg("\"%s\" does not say \"%s\"", list.damage, says);
}

static void cut_off_anywhere(void **state)
{
	KS_BUF data = { 0 };
	size_t second = put_two(&data);

	(void)state;
	for (size_t len = 0; len < second; len++) {
		KS_SIGLIST list = { 0 };

		parse_view(ks_view_of(data.data, len), &list);
		assert_counts(&list, 0, 0, 0, 0);
		assert_int_equal(list.damage == NULL, len == 0);
	}
	for (size_t len = second + 1; len < data.len; len++)
		expect_damage(ks_view_of(data.data, len), len < second + LIST_HEADER ?
								  "cut off in its header" :
								  "longer than the data");
}

/* The places of the three numbers, behind the type. */
enum { LIST_SIZE = 16, HEADER_SIZE = 20, ENTRY_SIZE = 24 };

static void lengths_that_do_not_fit(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		const char *says;
	} cases[] = {
		{ LIST_SIZE, 0, "shorter than its header" },
		{ LIST_SIZE, LIST_HEADER - 1, "shorter than its header" },
		{ LIST_SIZE, LIST_HEADER, "no whole number" },
		{ LIST_SIZE, LIST_HEADER + 3 * (GUID + HASH) + 1, "longer than the data" },
		{ LIST_SIZE, LIST_HEADER + 3 * (GUID + HASH) - 1, "no whole number" },
		{ LIST_SIZE, 0xffffffff, "longer than the data" },
		{ HEADER_SIZE, 1, "no whole number" },
		{ HEADER_SIZE, 3 * (GUID + HASH), "no whole number" },
		{ HEADER_SIZE, 3 * (GUID + HASH) + 1, "shorter than its header" },
		{ HEADER_SIZE, 0xffffffff, "shorter than its header" },
		{ HEADER_SIZE, 0xffffffe4, "shorter than its header" }, /* with 28 it is 2^32 */
		{ ENTRY_SIZE, 0, "no whole number" },
		{ ENTRY_SIZE, GUID - 1, "no whole number" },
		{ ENTRY_SIZE, 12, "no whole number" }, /* twelve of them */
		{ ENTRY_SIZE, 3 * (GUID + HASH) + 1, "no whole number" },
		{ ENTRY_SIZE, 0xffffffff, "no whole number" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_BUF data = { 0 };
		size_t second = put_two(&data);

		for (size_t k = 0; k < 4; k++)
			data.data[second + cases[i].at + k] = (uint8_t)(cases[i].value >> 8 * k);
		expect_damage(ks_buf_view(&data), cases[i].says);
	}
}

static void bytes_behind_the_last_list(void **state)
{
	KS_BUF data = { 0 };

	(void)state;
	put_cert(&data, 0);
	fill(&data, 5, 1);
	expect_damage(ks_buf_view(&data), "cut off in its header");
}

static void random_damage_stays_inside(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		KS_BUF data = { 0 };
		KS_SIGLIST list = { 0 };

		put_two(&data);
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525 + 1013904223;
			data.data[(seed >> 8) % data.len] = (uint8_t)(seed >> 3);
		}
		parse(&data, &list);
		assert_true(list.certs.count + list.hash_count + list.unread + list.unknown <=
			    data.len / GUID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_an_empty_list),
		cmocka_unit_test(certificates_and_hashes),
		cmocka_unit_test(many_hashes),
		cmocka_unit_test(several_certificates_of_one_length_in_one_list),
		cmocka_unit_test(a_header_of_the_type_is_passed_over),
		cmocka_unit_test(what_is_not_known_is_counted),
		cmocka_unit_test(certificates_that_cannot_be_read),
		cmocka_unit_test(cut_off_anywhere),
		cmocka_unit_test(lengths_that_do_not_fit),
		cmocka_unit_test(bytes_behind_the_last_list),
		cmocka_unit_test(random_damage_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
