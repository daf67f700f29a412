/* SPDX-License-Identifier: MIT */
/* What a URI is, and what is said of one; tests/tokens has the tokens themselves. */
#include "core/token.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static void names(void **state)
{
	static const char *const uris[] = { "pkcs11:token=x", "pkcs11:", "PKCS11:id=%01",
					    "handle:0x81000001", "object:key.pem" };
	static const char *const paths[] = { "",	   "pkcs11",
					     "./pkcs11:x", "/pkcs11:x",
					     "pkcs11x:",   "xpkcs11:x",
					     "file:x",	   "handle",
					     "handles:x",  "signing_key.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++)
		assert_true(ks_token_is_uri(uris[i]));
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_false(ks_token_is_uri(paths[i]));
}

static void redaction(void **state)
{
	static const struct {
		const char *raw, *shown;
	} cases[] = {
		{ "pkcs11:token=a;object=b", "pkcs11:token=a;object=b" },
		{ "pkcs11:token=a?pin-value=secret", "pkcs11:token=a?pin-value=..." },
		{ "pkcs11:pin-value=secret;token=a", "pkcs11:pin-value=...;token=a" },
		{ "pkcs11:token=a?pin-value=secret&x=y", "pkcs11:token=a?pin-value=...&x=y" },
		{ "pkcs11:token=a?x=y&PIN-VALUE=secret", "pkcs11:token=a?x=y&PIN-VALUE=..." },
		{ "pkcs11:token=a?pin-value=", "pkcs11:token=a?pin-value=..." },
		{ "pkcs11:token=pin-value", "pkcs11:token=pin-value" },
		{ "/a/pin-value=b;pin-value=c", "/a/pin-value=b;pin-value=c" },
	};
	char *shown;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(ks_token_redact(cases[i].raw, &shown, &error));
		assert_string_equal(shown, cases[i].shown);
		free(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(redaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
