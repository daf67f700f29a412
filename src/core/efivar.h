/* SPDX-License-Identifier: MIT */
/* Variables of the firmware and of shim, as the kernel shows them in files. */
#ifndef KS_CORE_EFIVAR_H
#define KS_CORE_EFIVAR_H

#include "base/buf.h"

/* efivarfs: files NAME-GUID, of four bytes of attributes and the value. */
#define KS_EFIVARS "/sys/firmware/efi/efivars"
/* shim's variables out of the table that it hands over (drivers/firmware/efi/mokvar-table.c). */
#define KS_MOK_VARIABLES "/sys/firmware/efi/mok-variables"

#define KS_EFI_GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"   /* SecureBoot, SetupMode */
#define KS_EFI_SECURITY "d719b2cb-3d3a-4596-a3bc-dad00e67656f" /* db, dbx */
#define KS_EFI_SHIM "605dab50-e046-4300-abb6-3dd810dd8b23"     /* MokListRT, MokNew */

/*
 * *DATA (empty before) becomes the value of the variable NAME with GUID in the directory DIR,
 * inside ROOT as in ks_place_find().  GUID is NULL for a directory of values without GUID and
 * attributes, like KS_MOK_VARIABLES.  *IS_THERE is false, and nothing else done, where there is no
 * such file, no such directory, or a file of efivarfs that no variable was made of yet (empty).
 * What may not be read is KS_ERR_SYSTEM with EACCES or EPERM.  The error names the file.
 */
KS_MUST_CHECK bool ks_efivar_read(const char *root, const char *dir, const char *name,
				  const char *guid, struct ks_buf *data, bool *is_there,
				  struct ks_error *err);

#endif
