/* SPDX-License-Identifier: MIT */
/*
 * The verdict on one module's signature: what stands behind its image, who made it, and whether it
 * holds by certificates that are given.  What a kernel would make of it is another question.
 */
#ifndef KS_CORE_INSPECT_H
#define KS_CORE_INSPECT_H

#include "core/certs.h"
#include "core/signature.h"
#include "core/trailer.h"

/* What was found of one signer of the message, beside what it says of itself. */
struct ks_signer_finding {
	enum ks_verdict verdict; /* GOOD, BAD, UNKNOWN_SIGNER or UNSUPPORTED */
	X509 *cert;		 /* that decided, one of those given; NULL for UNKNOWN_SIGNER */
};

struct ks_inspection {
	/*
	 * GOOD if one signer is; else BAD if one with a certificate is; else UNSUPPORTED, else
	 * UNKNOWN_SIGNER.  UNSIGNED and MALFORMED have no signers.
	 */
	enum ks_verdict verdict;
	char *fault; /* MALFORMED: which field of trailer or message; UNSUPPORTED: which algorithm */
	int sys; /* MALFORMED: a kernel's errno for that; ENOPKG is "unsupported crypto" there */
	size_t image_size;     /* bytes that the outermost signature covers */
	size_t signature_size; /* bytes behind them, 0 if unsigned */
	size_t padding;	       /* bytes behind the message inside the size that it claims */
	size_t beneath;	       /* signatures inside the image: piled up, the kernel ignores them */
	bool indefinite;       /* BER with indefinite lengths, where sign-file writes DER */
	/*
	 * An AlgorithmIdentifier of indefinite length without parameters, whose end kernels take
	 * for the parameters, and find no end then.
	 */
	bool endless_algorithm;
	struct ks_signature signature;
	struct ks_signer_finding *finding; /* one a signer */
};

#define KS_INSPECTION __attribute__((cleanup(ks_inspection_free))) struct ks_inspection

/*
 * Inspects CONTENT, an uncompressed module.  A verdict is a value: this fails only for want of
 * memory.  CERTS must outlive the inspection.  Safe in several threads with the same CERTS.
 */
KS_MUST_CHECK bool ks_inspect(struct ks_view content, const struct ks_certs *certs,
			      struct ks_inspection *inspection, struct ks_error *err);

void ks_inspection_free(struct ks_inspection *inspection);

/* "good", "bad", ...: for people and for JSON. */
const char *ks_verdict_name(enum ks_verdict verdict);

#endif
