/* SPDX-License-Identifier: MIT */
/*
 * Which certificates one kernel accepts for modules and where they come from, which it refuses, and
 * whether it enforces signatures.  Sources: certs/system_keyring.c, kernel/module/signing.c,
 * security/integrity/platform_certs/ of Linux 6.1 to 7.2, and Debian's patches to them.
 */
#ifndef KS_CORE_TRUST_H
#define KS_CORE_TRUST_H

#include "base/answer.h"
#include "base/strings.h"
#include "core/ability.h"
#include "core/kernel.h"
#include "core/keyring.h"
#include "core/siglist.h"

enum ks_origin {
	KS_ORIGIN_BUILTIN, /* compiled into the image */
	KS_ORIGIN_MOK,	   /* enrolled through shim: MokListRT */
	KS_ORIGIN_DB,	   /* the firmware's db */
	KS_ORIGIN_DBX,	   /* and its dbx */
	KS_ORIGIN_MOKX,	   /* MokListXRT */
	KS_ORIGIN_REVOKED, /* compiled in as revoked */
	KS_ORIGIN_MOK_NEW, /* MokNew: waits for MokManager at the next boot */
	KS_ORIGIN_MOK_DEL, /* MokDel: the same, to be removed */
};

/* The keyrings that modules are checked with, in the order in which they are asked. */
enum ks_ring {
	KS_RING_NONE,
	KS_RING_TRUSTED,  /* .builtin_trusted_keys, .secondary_trusted_keys and .machine below it */
	KS_RING_PLATFORM, /* .platform, asked where no signer was known before */
};

/* What a kernel makes of the origins: one row of the table of rules in trust.c. */
struct ks_trust_rule {
	const char *name;	    /* for people */
	enum ks_answer mok;	    /* without MokListTrustedRT */
	enum ks_ring mok_ring;	    /* where it is then */
	enum ks_answer trusted_mok; /* with it: in .machine */
	enum ks_answer db;
	enum ks_answer whole_file; /* the SHA-256 of a module's file in dbx or MOKX refuses it */
};

struct ks_trusted {
	X509 *cert;
	enum ks_origin origin;
	enum ks_answer counts; /* whether the kernel does with it what its origin is for */
	const char *why;       /* why not, or why nobody knows: static, may be NULL */
	enum ks_ring ring;     /* that it is in, where it counts; NONE for what is refused */
	bool is_unseen;	       /* KS_CERT_UNSEEN: in its ring, and no signature by it is good */
	/* Of the running kernel: whether one of its keyrings has it, and, if so, which. */
	enum ks_answer is_found;
	enum ks_keyring found;
};

/* A hash in dbx or MOKX. */
struct ks_refused {
	struct ks_siglist_hash hash;
	enum ks_answer counts; /* whether the kernel looks there */
};

struct ks_trust {
	char *version;
	bool is_running;
	enum ks_answer module_sig; /* CONFIG_MODULE_SIG */
	enum ks_answer enforced;
	char *enforced_why;	    /* never NULL */
	bool is_forced;		    /* CONFIG_MODULE_SIG_FORCE: nobody can tell it otherwise */
	int enforced_errno;	    /* that a refused module gets for it; 0 where that is unknown */
	enum ks_answer efi;	    /* the machine was started by EFI */
	enum ks_answer shim;	    /* and shim was on the way: it leaves variables behind */
	enum ks_answer secure_boot; /* as the kernel has it: shim may have switched it off */
	char *lockdown; /* "none", "integrity", "confidentiality"; NULL where it cannot be seen */
	const struct ks_trust_rule *rule;
	char *rule_why;		    /* what the rule was chosen by */
	char *image;		    /* the file that was read, or NULL */
	enum ks_answer mok_trusted; /* MokListTrustedRT */
	enum ks_answer takes_mok;   /* then every MOK goes into .machine, by the config */
	const char *takes_mok_by;   /* the symbol that decided it: static */
	bool ignores_db;	    /* MokIgnoreDB: shim was told so, and the kernel heeds it */
	enum ks_answer revocation;  /* CONFIG_SYSTEM_REVOCATION_LIST: it looks at dbx and MOKX */
	struct ks_abilities abilities;
	struct ks_trusted *item;
	size_t count, cap;
	struct ks_refused *refused;
	size_t refused_count;
	struct ks_keyrings rings; /* the running kernel's; is_explained is of keys that are items */
	bool is_image_read;	  /* with all of its list of certificates */
	enum ks_answer keyrings_agree; /* .builtin_trusted_keys has just what the image has */
	/* A line for each certificate that is in other keyrings than the image or the rule says. */
	struct ks_strings differences;
	enum ks_answer ima_appraise; /* IMA's policy has modules appraised, or some of them */
	const char *ima_why;	     /* static */
	bool is_complete;	     /* all places that certificates may come from were looked at */
	struct ks_strings unseen; /* a line for each thing that could not be looked at, and why */
};

struct ks_trust_search {
	const char *root; /* the kernel's files are inside it, as in ks_place_find() */
	const struct ks_kernel *kernel;
	bool is_running;     /* /proc and /sys speak of this kernel */
	const char *live;    /* those two are inside it; NULL: the host's */
	const char *efivars; /* directory of EFI variables, inside LIVE; NULL: not to be read */
	/* That of shim's table, which the kernel asks first, the same: KS_MOK_VARIABLES. */
	const char *mok_table;
	const struct ks_keyctl *keyctl; /* how to ask the running kernel; NULL: by libkeyutils */
};

#define KS_TRUST __attribute__((cleanup(ks_trust_free))) struct ks_trust

/* What cannot be seen goes into unseen; this fails only for want of memory. */
KS_MUST_CHECK bool ks_trust_find(const struct ks_trust_search *search, struct ks_trust *trust,
				 struct ks_error *err);

/* "builtin", "MOK", ... and for machines the same. */
const char *ks_origin_name(enum ks_origin origin);

/* What a certificate is to a kernel. */
enum ks_standing {
	KS_STANDING_ABSENT,   /* none of its lists has it */
	KS_STANDING_ACCEPTED, /* modules that it signed load */
	KS_STANDING_PENDING,  /* waits for MokManager to be enrolled */
	KS_STANDING_UNUSED, /* a list has it, but the kernel does not count that, or cannot use it */
	KS_STANDING_REFUSED,
	KS_STANDING_UNKNOWN,
};

/* *WHY is static, or NULL: why it is not used, or nobody knows. */
enum ks_standing ks_trust_standing(const struct ks_trust *trust, const X509 *cert,
				   const char **why);

/* "not trusted", "trusted", "waits to be enrolled", ... */
const char *ks_standing_name(enum ks_standing standing);

/*
 * What TRUST's kernel will make of CERT once it is a machine owner key (MokListRT).  *WHY is static,
 * or NULL: why it will not count, or why nobody knows.
 */
enum ks_answer ks_trust_foresee_mok(const struct ks_trust *trust, X509 *cert, const char **why);

/* dbx, MOKX, and what is compiled in as revoked. */
bool ks_origin_is_refusal(enum ks_origin origin);

/*
 * Whether TRUST's kernel takes a key of its .builtin_trusted_keys, ... for one of modules; of
 * .blacklist, whether it refuses by it.
 */
enum ks_answer ks_trust_asks(const struct ks_trust *trust, enum ks_keyring ring);

/* The name of the keyring that ITEM is in: ".machine"; NULL where it is in none that is asked. */
const char *ks_trusted_keyring(const struct ks_trusted *item);

void ks_trust_free(struct ks_trust *trust);

#endif
