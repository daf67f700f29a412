/* SPDX-License-Identifier: MIT */
/* The lists of certificates in an unpacked kernel. */
#ifndef KS_CORE_CERTLIST_H
#define KS_CORE_CERTLIST_H

#include "core/image.h"

/*
 * Finds the kernel's lists in KERNEL, an ELF file or an Image, and fills in all of IMAGE that is
 * about them; IMAGE->release has to be there before, where it is known.
 *
 * certs/system_certificates.S lays down: certificates in DER one behind the other; where
 * CONFIG_SYSTEM_EXTRA_CERTIFICATE is set room for another one, and an int, the length that is in
 * use; the length of all certificates, an unsigned long; since 5.13 the length of those that belong
 * to the build's own key.  revocation_certificates.S lays down certificates and their length, and
 * is linked behind it.  Each of these is aligned by ".align 8", which is 8 bytes on most
 * architectures and 256 on some (arm64, arm, powerpc).
 *
 * One case is mistaken: where the list of trusted ones is empty, that of revoked ones is not, and
 * zeros happen to follow it, the revoked ones are taken for trusted.
 *
 * KS_ERR_INPUT: more things that look like lists than any kernel has.
 */
KS_MUST_CHECK bool ks_certlist_read(struct ks_view kernel, struct ks_image *image,
				    struct ks_error *err);

#endif
