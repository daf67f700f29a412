/* SPDX-License-Identifier: MIT */
#include "core/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
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
	bool has_filters;
};

/* --- system calls -------------------------------------------------------------------------- */

#if defined(__x86_64__) && !defined(__ILP32__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef OUR_ARCH
/* What reading, unpacking, signing and replacing files has no use for, and who took over a thread has. */
static const uint32_t denied[] = {
	/* programs and processes */
	SYS_execve,
	SYS_execveat,
	SYS_clone,
	SYS_clone3,
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	/* ways out, and ways into the kernel */
	SYS_socket,
	SYS_socketpair,
	SYS_bpf,
	SYS_io_uring_setup,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_open_by_handle_at,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	/* what root may */
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_reboot,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_setns,
	SYS_unshare,
	SYS_capset,
	SYS_setuid,
	SYS_setgid,
	SYS_setresuid,
	SYS_setresgid,
};

enum {
	DENIED = sizeof(denied) / sizeof(*denied),
	FIRST = 4, /* of the instructions for them; then one that allows, and one that denies */
	DENY = FIRST + DENIED + 1,
	X32_CALL = 0x40000000,
};

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
#define FROM(at) ((uint8_t)(DENIED + FIRST - (at))) /* how far it is to DENY */
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

/* Another architecture's calls, and x32's, have other numbers: they are all denied. */
static bool deny_calls(void)
{
	struct sock_filter code[DENY + 1] = {
		LOAD(arch),
		IF_EQUAL(OUR_ARCH, 0, FROM(1)),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALL, FROM(3), 0),
	};
	struct sock_fprog program = { DENY + 1, code };

	_Static_assert(DENY <= UINT8_MAX, "a jump is one byte");
	for (size_t i = 0; i < DENIED; i++)
		code[FIRST + i] = (struct sock_filter)IF_EQUAL(denied[i], FROM(FIRST + (int)i), 0);
	code[DENY - 1] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	code[DENY] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static bool has_filters(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
#else
static bool deny_calls(void)
{
	return true;
}

static bool has_filters(void)
{
	return false;
}
#endif

/* --- files --------------------------------------------------------------------------------- */

static int landlock_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

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

bool ks_confine_start(struct ks_confine **confine, bool writes, struct ks_confine_means *means,
		      struct ks_error *err)
{
	struct ruleset set;
	int fd;

	*confine = NULL;
	*means = (struct ks_confine_means){ .landlock = landlock_version() };
	if (means->landlock < 1)
		return ks_fail(err, KS_ERR_UNSUPPORTED, "this kernel has no Landlock");
	means->seccomp = has_filters();
	set = ruleset_for(means->landlock);
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
	(*confine)->has_filters = means->seccomp;
	return true;
}

static bool add_rule(struct ks_confine *confine, int dir, uint64_t access, struct ks_error *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = dir };

	return syscall(SYS_landlock_add_rule, confine->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		       0) == 0 ||
	       ks_fail_errno(err, "Landlock");
}

bool ks_confine_allow(struct ks_confine *confine, const char *root, const char *path, bool *led,
		      struct ks_error *err)
{
	KS_PLACE place = KS_PLACE_NONE;
	struct ks_error nowhere;

	*led = ks_place_find(&place, root, path, &nowhere);
	return !*led || add_rule(confine, place.dir, confine->allowed, err);
}

bool ks_confine_allow_dir(struct ks_confine *confine, int dir, bool writes, struct ks_error *err)
{
	return add_rule(confine, dir, writes ? WRITING : READING, err);
}

/* Without the promise to gain no privileges only root may confine itself. */
bool ks_confine_enter(const struct ks_confine *confine)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_landlock_restrict_self, confine->ruleset, 0) == 0 &&
	       (!confine->has_filters || deny_calls());
}

void ks_confine_free(struct ks_confine *confine)
{
	if (!confine)
		return;
	close(confine->ruleset);
	free(confine);
}
