/* SPDX-License-Identifier: MIT */
#include "core/secret.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/openssl.h"

enum {
	/* Private numbers of a few keys, and of each thread that calculates with them. */
	LOCKED = 1 << 20,
	SMALLEST = 32,
};

static void *give(size_t size, const char *file, int line)
{
	void *memory = malloc(size);

	(void)file, (void)line;
	if (!memory && size)
		ks_openssl_starve();
	return memory;
}

static void wipe(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* realloc() would leave the old bytes where they were. */
static void *move(void *memory, size_t size, const char *file, int line)
{
	size_t old = malloc_usable_size(memory);
	void *moved;

	if (memory && size && size <= old)
		return memory;
	moved = size ? give(size, file, line) : NULL;
	if (size && !moved)
		return NULL;
	if (moved && memory)
		memcpy(moved, memory, old);
	wipe(memory, file, line);
	return moved;
}

void ks_secret_prepare(void)
{
	if (CRYPTO_set_mem_functions(give, move, wipe))
		CRYPTO_secure_malloc_init(LOCKED, SMALLEST);
}

void ks_secret_hold(void)
{
	const struct rlimit none = { 0, 0 };

	/* One of them may be refused, and then the other one is still something. */
	setrlimit(RLIMIT_CORE, &none);
/* The leak checker looks into the process as another one would. */
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}
