/* SPDX-License-Identifier: MIT */
/* All that can be said of one module file. */
#ifndef KS_CORE_FACTS_H
#define KS_CORE_FACTS_H

#include "core/kmod.h"
#include "core/module.h"
#include "core/predict.h"

struct ks_facts {
	const struct ks_codec *codec;
	const struct ks_objection
		*objection;    /* of a kernel's own reader to the container; or NULL */
	uint64_t file_size;    /* bytes */
	uint64_t content_size; /* bytes, decompressed */
	struct ks_inspection inspection;
	struct ks_modinfo info;
	bool is_predicted;
	struct ks_prediction prediction; /* if it is */
	bool is_stuck; /* the same: a signature is malformed, so that it cannot be taken off */
};

/*
 * Reads and inspects the module at PATH, and predicts what LOADER (or NULL) does with it.  CERTS and
 * LOADER have to outlive FACTS.  Fails where it cannot be read: the error names no path.
 */
KS_MUST_CHECK bool ks_facts_find(const char *path, const struct ks_load *load,
				 const struct ks_certs *certs, const struct ks_loader *loader,
				 struct ks_facts *facts, struct ks_error *err);

void ks_facts_free(struct ks_facts *facts);

#endif
