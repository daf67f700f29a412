/* SPDX-License-Identifier: MIT */
#include "cli/dkms_call.h"

#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cli/key_file.h"
#include "cli/report.h"
#include "cli/request.h"
#include "core/dkms.h"
#include "core/dkmshook.h"
#include "core/facts.h"
#include "core/token.h"

const char *dkms_call_kernel(void)
{
	const char *kernel = getenv("kernelver");

	return kernel && kernel[0] && getenv("module") && getenv("arch") ? kernel : NULL;
}

/* One that DKMS made, as opposed to one that somebody has named in its configuration. */
static bool is_made_by_dkms(const char *key, bool *is_so, struct ks_error *err)
{
	const char *slash = strrchr(key, '/');
	KS_STRING named = NULL;

	if (!ks_dkms_setting(NULL, "mok_signing_key", &named, err))
		return false;
	*is_so = !named && strcmp(slash ? slash + 1 : key, "mok.key") == 0;
	return true;
}

static bool find_own(const struct config *config, const char *version, struct ks_key_place *own,
		     struct ks_error *err)
{
	struct ks_keysearch search;
	KS_KERNEL kernel = { 0 };
	struct ks_error ignored;

	search = request_search(NULL, config,
				ks_kernel_find(&kernel, NULL, version, &ignored) ? &kernel : NULL);
	search.no_machine_keys = true;
	return ks_keysearch(&search, own, err) || err->code == KS_ERR_MISSING;
}

/* Then it is the hook that has the last word on the key. */
static bool has_hook(bool *is_there, struct ks_error *err)
{
	enum ks_dkms_state link;

	if (!ks_dkms_hook_is_there(NULL, is_there, err) ||
	    !ks_dkms_link_state(NULL, getenv("module"), &link, err))
		return false;
	*is_there &= ks_dkms_link_works(link);
	return true;
}

static bool tell_of_own(const char *key, const struct ks_key_place *own, struct ks_error *err)
{
	KS_STRING shown = NULL;
	bool hook;

	if (!has_hook(&hook, err) || !ks_token_redact(own->key, &shown, err))
		return false;
	if (hook)
		report_warning("signing with DKMS's %s, before the hook signs with %s (from %s)",
			       key, shown, own->why);
	else
		report_warning("signing with DKMS's %s; %s (from %s) is used if "
			       "/etc/kernel-sign.conf says dkms-key = kernel",
			       key, shown, own->why);
	return true;
}

static bool choose(const struct config *config, const char *kernel, const char *key,
		   struct ks_key_place *own, struct ks_error *err)
{
	bool made_by_dkms;

	if (!is_made_by_dkms(key, &made_by_dkms, err))
		return false;
	if (!made_by_dkms)
		return true;
	if (!find_own(config, kernel, own, err))
		return false;
	if (!own->key || strcmp(own->key, key) == 0) {
		ks_key_place_free(own);
	} else if (config->dkms_key == DKMS_KEY_KERNEL) {
		KS_STRING shown = NULL;

		if (!ks_token_redact(own->key, &shown, err))
			return false;
		report_warning("signing with %s (from %s) instead of DKMS's %s", shown, own->why,
			       key);
	} else {
		bool told = tell_of_own(key, own, err);

		ks_key_place_free(own);
		return told;
	}
	return true;
}

bool dkms_call_choose(const char *kernel, const char *key, struct ks_key_place *own,
		      struct ks_error *err)
{
	struct config config = { 0 };
	bool ok;

	*own = (struct ks_key_place){ 0 };
	ok = config_read(NULL, &config, err) && choose(&config, kernel, key, own, err);
	config_free(&config);
	return ok;
}

static bool inspect(const char *path, const struct ks_certs *certs, struct ks_error *err)
{
	struct ks_load load = { .max_size = INT32_MAX };
	struct ks_facts facts = { 0 };
	enum ks_verdict verdict;

	if (!ks_facts_find(path, &load, certs, NULL, &facts, err))
		return false;
	verdict = facts.inspection.verdict;
	ks_facts_free(&facts);
	return verdict == KS_VERDICT_GOOD ||
	       ks_fail(err, KS_ERR_CRYPTO, "signed, but what was written is: %s",
		       ks_verdict_name(verdict));
}

bool dkms_call_check(const char *path, const char *cert, struct ks_error *err)
{
	KS_CERTS certs = { 0 };

	return key_file_certs(&certs, NULL, cert, err) &&
	       (inspect(path, &certs, err) || ks_at(err, path));
}
