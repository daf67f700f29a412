/* SPDX-License-Identifier: MIT */
#include "core/facts.h"

static bool predict(const struct ks_loader *loader, struct ks_view content, struct ks_facts *facts,
		    struct ks_error *err)
{
	struct ks_candidate candidate = { .content = content,
					  .codec = facts->codec,
					  .objection = facts->objection,
					  .vermagic = facts->info.vermagic,
					  .inspection = &facts->inspection };

	facts->is_predicted = loader;
	return !loader || ks_predict(loader, &candidate, &facts->prediction, err);
}

bool ks_facts_find(const char *path, const struct ks_load *load, const struct ks_certs *certs,
		   const struct ks_loader *loader, struct ks_facts *facts, struct ks_error *err)
{
	struct ks_load how = *load;
	KS_MODULE m = KS_MODULE_NONE;
	struct ks_view content;
	bool removable = true;

	*facts = (struct ks_facts){ 0 };
	how.examine = true;
	if (!ks_module_load(&m, path, &how, err))
		return false;
	facts->codec = m.codec;
	facts->objection = m.objection;
	facts->file_size = (uint64_t)m.st.st_size;
	facts->content_size = m.content.len;
	content = ks_buf_view(&m.content);
	if ((!loader || ks_module_is_removable(&m, &removable, err)) &&
	    ks_inspect(content, certs, &facts->inspection, err) &&
	    ks_modinfo_read(content, &facts->info, err) && predict(loader, content, facts, err)) {
		facts->is_stuck = !removable;
		return true;
	}
	ks_facts_free(facts);
	return false;
}

void ks_facts_free(struct ks_facts *facts)
{
	ks_inspection_free(&facts->inspection);
	ks_modinfo_free(&facts->info);
}
