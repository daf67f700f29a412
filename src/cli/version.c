/* SPDX-License-Identifier: MIT */
#include "cli/version.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_c_version.h>
#include <libsmartcols/libsmartcols.h>
#include <lzma.h>
#include <openssl/crypto.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#ifdef HAVE_KEYUTILS
#include <keyutils.h>
#endif
#ifdef HAVE_LZ4
#include <lz4.h>
#endif

#include "base/strings.h"

static const char *lz4(void)
{
#ifdef HAVE_LZ4
	return LZ4_versionString();
#else
	return "left out when built";
#endif
}

static const char *keyutils(void)
{
#ifdef HAVE_KEYUTILS
	return keyutils_version_string;
#else
	return "keyutils left out when built";
#endif
}

static int find_libkmod(struct dl_phdr_info *object, size_t size, void *ctx)
{
	const char *slash = strrchr(object->dlpi_name, '/');
	char **file = ctx;

	(void)size;
	if (!slash || strncmp(slash, "/libkmod.so", strlen("/libkmod.so")) != 0)
		return 0;
	*file = realpath(object->dlpi_name, NULL);
	return 1;
}

void version_print(void)
{
	const char *smartcols = NULL;
	const unsigned xxhash = XXH_versionNumber();
	KS_STRING libkmod = NULL;

	scols_get_library_version(&smartcols);
	/* It cannot be asked; but its file's name has a version, of its own counting. */
	dl_iterate_phdr(find_libkmod, &libkmod);
	printf("kernel-sign %s\n", PACKAGE_VERSION);
	printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
	printf("zstd %s, xz %s, zlib %s, lz4 %s, xxhash %u.%u.%u\n", ZSTD_versionString(),
	       lzma_version_string(), zlibVersion(), lz4(), xxhash / 10000, xxhash / 100 % 100,
	       xxhash % 100);
	printf("json-c %s, libsmartcols %s, %s, %s\n", json_c_version(), smartcols, keyutils(),
	       libkmod ? strrchr(libkmod, '/') + 1 : "libkmod of unknown version");
}
