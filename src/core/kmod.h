/* SPDX-License-Identifier: MIT */
/*
 * Which file a module name stands for and what libkmod, and so modinfo(8), makes of a signature; and
 * what a module says of itself in its .modinfo section, which libkmod 30 cannot be asked: it ends
 * the process on section tables that a hostile file can have, and says nothing of a module whose
 * signature it does not understand.
 */
#ifndef KS_CORE_KMOD_H
#define KS_CORE_KMOD_H

#include "base/buf.h"

/*
 * *PATH becomes the file that modprobe would load for NAME, by the modules.dep of the kernel
 * directory DIR inside ROOT, as a path inside ROOT which the caller frees; NULL where modules.dep
 * does not know the name or is not there.
 */
KS_MUST_CHECK bool ks_kmod_lookup(const char *root, const char *dir, const char *name, char **path,
				  struct ks_error *err);

/*
 * The version of the kmod inside ROOT, 30 to 34, by the version in the name of its library,
 * libkmod.so.2.X.Y; 0 for others, and where there is none to be seen.
 */
KS_MUST_CHECK bool ks_kmod_version(const char *root, int *version, struct ks_error *err);

struct ks_modinfo {
	bool intree;	/* "intree: Y" */
	char *vermagic; /* NULL where there is none, as all below */

	/* What libkmod makes of the signature, as modinfo shows it. */
	char *sig_id;
	char *signer;
	char *sig_key;
	char *sig_hashalgo;
};

#define KS_MODINFO __attribute__((cleanup(ks_modinfo_free))) struct ks_modinfo

/*
 * CONTENT is an uncompressed module that has passed ks_elf_check().  One without .modinfo gives
 * empty values, not an error.
 */
KS_MUST_CHECK bool ks_modinfo_read(struct ks_view content, struct ks_modinfo *info,
				   struct ks_error *err);

void ks_modinfo_free(struct ks_modinfo *info);

#endif
