/* SPDX-License-Identifier: MIT */
#include "core/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/place.h"

/* The numbers are the same on every architecture; headers may be older than the kernel. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

/* As in the newest header that is known here: a kernel takes it if what it does not know is zero. */
struct ruleset {
	uint64_t files;
	uint64_t network;
	uint64_t scoped;
};

enum {
	ABI_REFER = 2,
	ABI_TRUNCATE = 3,
	ABI_NETWORK = 4,
	ABI_IOCTL = 5,
	ABI_SCOPED = 6,
	NETWORK = 3, /* bind and connect TCP */
	SCOPED = 3,  /* abstract sockets and signals */
};

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                     \
	(READING | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_REG)

struct ks_confine {
	int ruleset;
	uint64_t allowed;
};

static struct ruleset ruleset_for(int abi)
{
	struct ruleset set = { .files = LANDLOCK_ACCESS_FS_REFER - 1 };

	if (abi >= ABI_REFER)
		set.files |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= ABI_TRUNCATE)
		set.files |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= ABI_NETWORK)
		set.network = NETWORK;
	if (abi >= ABI_IOCTL)
		set.files |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= ABI_SCOPED)
		set.scoped = SCOPED;
	return set;
}

bool ks_confine_start(struct ks_confine **confine, bool writes, int *abi, struct ks_error *err)
{
	struct ruleset set;
	int fd;

	*confine = NULL;
	*abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (*abi < 1)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "this kernel has no Landlock");
	set = ruleset_for(*abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (fd < 0)
		return ks_fail_errno(err, "Landlock");
	*confine = calloc(1, sizeof(**confine));
	if (!*confine) {
		close(fd);
		return ks_fail_memory(err);
	}
	(*confine)->ruleset = fd;
	(*confine)->allowed = writes ? WRITING : READING;
	return true;
}

bool ks_confine_allow(struct ks_confine *confine, const char *root, const char *path, bool *led,
		      struct ks_error *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = confine->allowed };
	KS_PLACE place = KS_PLACE_NONE;
	struct ks_error nowhere;

	*led = ks_place_find(&place, root, path, &nowhere);
	if (!*led)
		return true;
	rule.parent_fd = place.dir;
	return syscall(SYS_landlock_add_rule, confine->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		       0) == 0 ||
	       ks_fail_errno(err, "Landlock");
}

/* Without the promise to gain no privileges only root may confine itself. */
bool ks_confine_enter(const struct ks_confine *confine)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_landlock_restrict_self, confine->ruleset, 0) == 0;
}

void ks_confine_free(struct ks_confine *confine)
{
	if (!confine)
		return;
	close(confine->ruleset);
	free(confine);
}
