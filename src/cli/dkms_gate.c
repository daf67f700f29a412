/* SPDX-License-Identifier: MIT */
#include "cli/dkms_gate.h"

#include <string.h>

#include "cli/config.h"
#include "core/ability.h"

struct gate {
	struct look_args *look;
	bool only_warns;
	size_t refused;
};

/* Whether the kernel looks at signatures at all; where no config says so, it may. */
static bool wants_signatures(const struct request *request, bool *wants, struct ks_error *err)
{
	KS_KERNEL kernel = { 0 };
	KS_STRING modules = NULL;
	KS_STRING sig = NULL;
	KS_STRING file = NULL;

	if (!request_find_kernel(request, request->kernel, &kernel, err) ||
	    !ks_kernel_config(&kernel, request->root, "CONFIG_MODULES", &modules, &file, err))
		return false;
	ks_string_free(&file);
	if (!ks_kernel_config(&kernel, request->root, "CONFIG_MODULE_SIG", &sig, &file, err))
		return false;
	*wants = !modules || (sig && strcmp(sig, "y") == 0);
	return true;
}

/* A good signature that kernels refuse all the same; NULL where they do not. */
static const char *refusal_of_good(const struct ks_inspection *in)
{
	for (size_t i = 0; i < in->signature.count; i++) {
		const struct ks_signer_id *id = &in->signature.signer[i];

		if (in->finding[i].verdict == KS_VERDICT_BAD)
			return "another signer's signature in it is bad";
		if (in->finding[i].verdict != KS_VERDICT_GOOD)
			continue;
		if (id->attributes)
			return "it has signed attributes, which kernels refuse";
		if (!ks_ability_is_known_digest(id->digest))
			return "its digest is one that no kernel can check";
		if (strcmp(id->algorithm, "rsassaPss") == 0)
			return "it is RSA-PSS, which no kernel can check";
	}
	return NULL;
}

/* Why the module is not to be installed, *TEXT; NULL where it may be. */
static bool find_fault(const struct look *look, char **text, struct ks_error *err)
{
	const struct ks_inspection *in = &look->facts->inspection;
	const char *refusal = refusal_of_good(in);
	KS_STRING signer = NULL;

	*text = NULL;
	if (in->verdict == KS_VERDICT_UNSIGNED)
		return ks_string_copy(text, "it is not signed", err);
	if (in->verdict == KS_VERDICT_UNKNOWN_SIGNER)
		return look_signer(look, 0, &signer, err) &&
		       ks_string_print(text, err,
				       "it is signed by %s, whose certificate is not among those "
				       "accepted here",
				       signer);
	if (in->verdict != KS_VERDICT_GOOD)
		return ks_string_print(text, err, "%s signature%s%s", ks_verdict_name(in->verdict),
				       in->fault ? ": " : "", in->fault ? in->fault : "");
	if (refusal)
		return ks_string_copy(text, refusal, err);
	if (ks_objection_is_kernels(look->facts->objection) && look_has_reader(look))
		return ks_string_print(text, err, "its kernel cannot read the file: %s",
				       look->facts->objection->text);
	return true;
}

static void tell(const struct gate *gate, const struct look *look, const char *fault)
{
	const struct request *request = &gate->look->request;
	const char *path = look->found->path;
	bool unknown = look->facts->inspection.verdict == KS_VERDICT_UNKNOWN_SIGNER;

	if (unknown)
		report_warning("%s%s: %s; set cert in /etc/kernel-sign.conf to accept it, or sign "
			       "it with 'kernel-sign sign -k %s -d %s'",
			       gate->only_warns ? "warning: " : "not to be installed: ", path,
			       fault, request->kernel, request->dir);
	else
		report_warning("%s%s: %s; 'kernel-sign sign -k %s -d %s' signs it",
			       gate->only_warns ? "warning: " : "not to be installed: ", path,
			       fault, request->kernel, request->dir);
}

static void judge(void *ctx, const struct look *look)
{
	struct gate *gate = ctx;
	KS_STRING fault = NULL;
	struct ks_error err;

	if (!look->facts) {
		gate->refused++;
		return;
	}
	if (!find_fault(look, &fault, &err)) {
		report_error(&err);
		gate->refused++;
	} else if (fault) {
		tell(gate, look, fault);
		gate->refused++;
	}
}

static int run_gate(struct gate *gate)
{
	struct request *request = &gate->look->request;
	struct ks_error err;
	bool wants;

	if (!wants_signatures(request, &wants, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	if (!wants) {
		if (request->verbose)
			report_warning("kernel %s was built without module signatures",
				       request->kernel);
		return STATUS_DONE;
	}
	if (look_run(gate->look, true, judge, gate) != STATUS_DONE)
		return STATUS_FAILED;
	return gate->refused ? STATUS_FAILED : STATUS_DONE;
}

int dkms_gate(struct look_args *look)
{
	struct gate gate = { .look = look };
	struct config config = { 0 };
	enum dkms_gate_mode mode;
	struct ks_error err;
	int status;

	if (!config_read(look->request.root, &config, &err)) {
		report_error(&err);
		return STATUS_FAILED;
	}
	mode = config.dkms_gate;
	config_free(&config);
	if (mode == DKMS_GATE_OFF)
		return STATUS_DONE;
	gate.only_warns = mode == DKMS_GATE_WARN;
	status = run_gate(&gate);
	return gate.only_warns ? STATUS_DONE : status;
}
