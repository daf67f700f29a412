/* SPDX-License-Identifier: MIT */
/*
 * The message of a signed module, a PKCS#7 / CMS SignedData (RFC 2315, RFC 5652): who signed, with
 * which key and digest, and whether a signature holds.
 */
#ifndef KS_CORE_SIGNATURE_H
#define KS_CORE_SIGNATURE_H

#include "core/openssl.h"

/* One SignerInfo.  It names its certificate by issuer and serial, or by key id. */
struct ks_signer_id {
	char *name;	   /* the issuer's common name; NULL for a key-id signer */
	char *issuer;	   /* the whole issuer, RFC 2253; NULL for a key-id signer */
	char *serial;	   /* lower-case hexadecimal; NULL for a key-id signer */
	char *key_id;	   /* lower-case hexadecimal; NULL for an issuer-and-serial signer */
	char *digest;	   /* OpenSSL's long name, which is the kernel's: "sha256" */
	char *algorithm;   /* the same for the signature: "rsaEncryption", "ecdsa-with-SHA384" */
	bool attributes;   /* signed attributes, which the kernel takes in no module signature */
	bool capabilities; /* S/MIME's among them, at which its parser stops */
};

struct ks_signature {
	struct ks_signer_id *signer;
	size_t count;	     /* signers; may be 0 */
	size_t certificates; /* embedded in the message, never trusted */
	size_t length;	     /* of the message itself; what is left of the view is padding */
	int sys; /* of what cannot be read: a kernel's errno for it, EBADMSG or EINVAL */
	CMS_ContentInfo *cms;
};

#define KS_SIGNATURE __attribute__((cleanup(ks_signature_free))) struct ks_signature

/*
 * Reads MESSAGE; not DER or BER of SignedData, or with its content attached: KS_ERR_INPUT, and all
 * that there is of SIGNATURE is its sys.
 */
KS_MUST_CHECK bool ks_signature_parse(struct ks_view message, struct ks_signature *signature,
				      struct ks_error *err);

/*
 * What kernels do not take in a message of SIZE bytes, padding included, that OpenSSL reads: *FAULT,
 * the caller's, or NULL; and *SYS, their errno for it.  As crypto/asymmetric_keys/pkcs7_parser.c and lib/asn1_decoder.c of Linux
 * 7.2 have it; of what OpenSSL cannot verify either, nothing is said here.
 */
KS_MUST_CHECK bool ks_signature_refusal(const struct ks_signature *signature, size_t size,
					char **fault, int *sys, struct ks_error *err);

void ks_signature_free(struct ks_signature *signature);

enum ks_verdict {
	KS_VERDICT_UNSIGNED,
	KS_VERDICT_GOOD,
	KS_VERDICT_BAD,		   /* the signature does not belong to these bytes */
	KS_VERDICT_MALFORMED,	   /* trailer or message */
	KS_VERDICT_UNKNOWN_SIGNER, /* by another key than the certificate's */
	KS_VERDICT_UNSUPPORTED,	   /* digest or key type that this OpenSSL cannot do */
};

/*
 * Does signer number I's signature hold for IMAGE, by CERT?  Not for several threads on one
 * ks_signature.  Fails only for want of memory.
 */
KS_MUST_CHECK bool ks_signature_check(struct ks_signature *signature, size_t i,
				      struct ks_view image, X509 *cert, enum ks_verdict *verdict,
				      struct ks_error *err);

/*
 * The errno that a kernel's crypto has for a signature that is bad by CERT: EKEYREJECTED, or, where
 * not even the padding is right, EINVAL or EBADMSG (rsassa-pkcs1.c, rsa-pkcs1pad.c); 0 where that
 * cannot be told.
 */
int ks_signature_bad_errno(const struct ks_signature *signature, size_t i, X509 *cert);

#endif
