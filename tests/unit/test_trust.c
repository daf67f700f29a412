/* SPDX-License-Identifier: MIT */
/* What the running kernel says of itself, out of /proc and /sys trees made by hand. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "core/efivar.h"
#include "core/trust.h"

#define SIG_ENFORCE "/sys/module/module/parameters/sig_enforce"
#define LOCKDOWN "/sys/kernel/security/lockdown"

static char version[] = "6.1";
static const char *dir = "/lib/modules/6.1";

/* LIVE holds these; NULL is for a file that is not there. */
struct seen {
	const char *config, *sig_enforce, *lockdown;
};

static void put(const char *path, const char *text)
{
	if (text)
		write_text(in_scratch("%s", path), text);
}

static void ask(const struct seen *seen, bool is_running, struct ks_trust *trust)
{
	static char root[PATH_MAX + 8], live[PATH_MAX + 8];
	struct ks_kernel kernel = { .version = version, .dir = (char *)(uintptr_t)dir };
	struct ks_trust_search search = {
		.root = root, .kernel = &kernel, .is_running = is_running, .live = live
	};

	snprintf(root, sizeof(root), "%s/root", scratch);
	snprintf(live, sizeof(live), "%s/live", scratch);
	make_dirs(in_scratch("live"));
	put("root/lib/modules/6.1/build/.config", seen->config);
	put("live" SIG_ENFORCE, seen->sig_enforce);
	put("live" LOCKDOWN, seen->lockdown);
	assert_ok(ks_trust_find(&search, trust, &error));
}

static void whether_it_enforces(void **state)
{
	static const char config[] =
		"CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_SECURITY_LOCKDOWN_LSM=y\n";
	static const char free[] = "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n";
	static const char forced[] =
		"CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n";
	static const char without[] = "CONFIG_MODULES=y\n# CONFIG_MODULE_SIG is not set\n";
	static const char none[] = "[none] integrity confidentiality\n";
	static const struct {
		struct seen seen;
		enum ks_answer enforced;
		const char *why, *lockdown;
	} cases[] = {
		{ { config, "Y\n", none }, KS_YES, "sig_enforce is set", "none" },
		{ { config, "N\n", none }, KS_NO, "not set", "none" },
		{ { config, "N\n", "none [integrity] confidentiality\n" },
		  KS_YES,
		  "locked down",
		  "integrity" },
		{ { config, "N\n", "none integrity [confidentiality]\n" },
		  KS_YES,
		  "locked down",
		  "confidentiality" },
		{ { config, "N\n", NULL }, KS_UNKNOWN, "cannot be seen", NULL },
		{ { config, NULL, none }, KS_UNKNOWN, "cannot be seen", "none" },
		{ { config, "N\n", "no brackets at all\n" }, KS_UNKNOWN, "cannot be seen", NULL },
		{ { config, "Y\n", NULL }, KS_YES, "sig_enforce is set", NULL },
		{ { free, "N\n", NULL }, KS_NO, "not set", NULL },
		{ { free, NULL, NULL }, KS_UNKNOWN, "cannot be seen", NULL },
		{ { forced, NULL, NULL }, KS_YES, "CONFIG_MODULE_SIG_FORCE", NULL },
		{ { without, "Y\n", none }, KS_NO, "CONFIG_MODULE_SIG is not set", NULL },
		{ { NULL, "Y\n", none }, KS_YES, "sig_enforce is set", "none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		KS_TRUST trust = { 0 };
		void *again = NULL;

		ask(&cases[i].seen, true, &trust);
		assert_int_equal(trust.enforced, cases[i].enforced);
		assert_non_null(strstr(trust.enforced_why, cases[i].why));
		if (cases[i].lockdown)
			assert_string_equal(trust.lockdown, cases[i].lockdown);
		else
			assert_null(trust.lockdown);
		assert_int_equal(trust.is_running, true);
		assert_int_equal(scratch_remove(&again), 0);
		assert_int_equal(scratch_make(&again), 0);
	}
}

static void a_kernel_that_does_not_run_is_not_asked(void **state)
{
	static const struct seen seen = { "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n", "Y\n",
					  "none [integrity] confidentiality\n" };
	KS_TRUST trust = { 0 };

	(void)state;
	ask(&seen, false, &trust);
	assert_int_equal(trust.enforced, KS_UNKNOWN);
	assert_null(trust.lockdown);
	assert_int_equal(trust.module_sig, KS_YES);
}

static int find_as_nobody(void *arg)
{
	const struct ks_trust_search *search = arg;
	KS_TRUST trust = { 0 };

	if (!ks_trust_find(search, &trust, &error))
		return 1;
	for (size_t i = 0; i < trust.unseen.count; i++)
		if (strstr(trust.unseen.item[i], SIG_ENFORCE ": ") &&
		    strstr(trust.unseen.item[i], "Permission denied"))
			return trust.enforced == KS_UNKNOWN ? 0 : 2;
	return 3;
}

static void what_may_not_be_read_is_unknown(void **state)
{
	static const struct seen seen = { "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n", "N\n",
					  "[none] integrity\n" };
	char root[PATH_MAX], live[PATH_MAX];
	struct ks_kernel kernel = { .version = version, .dir = (char *)(uintptr_t)dir };
	struct ks_trust_search search = {
		.root = root, .kernel = &kernel, .is_running = true, .live = live
	};
	KS_TRUST trust = { 0 };

	(void)state;
	ask(&seen, true, &trust);
	strcpy(root, in_scratch("root"));
	strcpy(live, in_scratch("live"));
	assert_int_equal(chmod(in_scratch("live" SIG_ENFORCE), 0), 0);
	assert_int_equal(run_as_nobody(find_as_nobody, &search), 0);
}

/* --- the firmware --------------------------------------------------------------------------- */

static void assert_secure_boot(const char *efivars, enum ks_answer answer)
{
	static char root[PATH_MAX + 8], live[PATH_MAX + 8];
	struct ks_kernel kernel = { .version = version, .dir = (char *)(uintptr_t)dir };
	struct ks_trust_search search = {
		.root = root, .kernel = &kernel, .live = live, .efivars = efivars
	};
	KS_TRUST trust = { 0 };

	snprintf(root, sizeof(root), "%s/root", scratch);
	snprintf(live, sizeof(live), "%s/live", scratch);
	make_dirs(in_scratch("root"));
	assert_ok(ks_trust_find(&search, &trust, &error));
	assert_int_equal(trust.secure_boot, answer);
}

static void machines_without_efi(void **state)
{
	(void)state;
	/* Containers may have nothing there, or an empty directory. */
	make_dirs(in_scratch("live"));
	assert_secure_boot(KS_EFIVARS, KS_UNKNOWN);
	make_dirs(in_scratch("live/sys/firmware"));
	assert_secure_boot(KS_EFIVARS, KS_UNKNOWN);
	make_dirs(in_scratch("live/sys/firmware/acpi"));
	assert_secure_boot(KS_EFIVARS, KS_NO);
	/* Of a directory that somebody has named it is enough that it is not there. */
	assert_secure_boot("/elsewhere", KS_NO);
	make_dirs(in_scratch("live/sys/firmware/efi"));
	assert_secure_boot(KS_EFIVARS, KS_UNKNOWN);
}

/* What is seen of how the machine was started, by the variables in its directory and shim's table. */
static void assert_started(const char *efivars, const char *table, enum ks_answer efi,
			   enum ks_answer shim)
{
	char root[PATH_MAX + 8], live[PATH_MAX + 8];
	struct ks_kernel kernel = { .version = version, .dir = (char *)(uintptr_t)dir };
	struct ks_trust_search search = { .root = root,
					  .kernel = &kernel,
					  .live = live,
					  .efivars = efivars,
					  .mok_table = table };
	KS_TRUST trust = { 0 };

	snprintf(root, sizeof(root), "%s/root", scratch);
	snprintf(live, sizeof(live), "%s/live", scratch);
	make_dirs(in_scratch("root"));
	assert_ok(ks_trust_find(&search, &trust, &error));
	assert_int_equal(trust.efi, efi);
	assert_int_equal(trust.shim, shim);
}

static void machines_and_what_started_them(void **state)
{
	(void)state;
	make_dirs(in_scratch("live"));
	assert_started(NULL, NULL, KS_UNKNOWN, KS_UNKNOWN);
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_UNKNOWN, KS_UNKNOWN);
	assert_started("/elsewhere", NULL, KS_NO, KS_UNKNOWN);
	make_dirs(in_scratch("live/sys/firmware/acpi"));
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_NO, KS_UNKNOWN);
	make_dirs(in_scratch("live%s", KS_EFIVARS));
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_UNKNOWN, KS_UNKNOWN);
	write_text(in_scratch("live%s/BootOrderRT-%s", KS_EFIVARS, KS_EFI_GLOBAL), "\6   x");
	write_text(in_scratch("live%s/MokNew-%s", KS_EFIVARS, KS_EFI_SHIM), "");
	write_text(in_scratch("live%s/RT-%s", KS_EFIVARS, KS_EFI_SHIM), "\6   x");
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_YES, KS_NO);
	make_dirs(in_scratch("live%s", KS_MOK_VARIABLES));
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_YES, KS_NO);
	write_text(in_scratch("live%s/SbatLevelRT", KS_MOK_VARIABLES), "x");
	assert_started(KS_EFIVARS, KS_MOK_VARIABLES, KS_YES, KS_YES);
	assert_started(KS_EFIVARS, NULL, KS_YES, KS_NO);
	write_text(in_scratch("live%s/MokListRT-%s", KS_EFIVARS, KS_EFI_SHIM), "\6   ");
	assert_started(KS_EFIVARS, NULL, KS_YES, KS_YES);
}

/* --- the image ------------------------------------------------------------------------------ */

/* An ELF file that says whose it is, and has nothing else. */
static void put_kernel_image(const char *path, const char *release)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%-64sLinux version %s (somebody@somewhere) (cc) #1",
			   "\177ELF\2\1\1", release);

	write_file(in_scratch("root%s", path), ks_view_of(text, (size_t)len));
}

/* The image that was read, or what is said of it. */
static void assert_image(const char *path, const char *unseen)
{
	static const struct seen seen = { "CONFIG_MODULES=y\nCONFIG_MODULE_SIG=y\n", NULL, NULL };
	KS_TRUST trust = { 0 };

	ask(&seen, false, &trust);
	assert_int_equal(trust.is_complete, false);
	if (path)
		assert_string_equal(trust.image, path);
	else
		assert_null(trust.image);
	assert_string_equal(trust.unseen.item[0], unseen);
}

static void images_where_distributions_have_them(void **state)
{
	static const char *const places[] = {
		"/boot/vmlinuz-6.1",	    "/lib/modules/6.1/vmlinuz", "/boot/vmlinux-6.1",
		"/lib/modules/6.1/vmlinux", "/boot/Image-6.1",		"/lib/modules/6.1/Image",
	};
	const size_t count = sizeof(places) / sizeof(*places);

	(void)state;
	assert_image(NULL, "kernel image: /boot/vmlinuz-6.1: open: No such file or directory");
	/* The later ones first: each outweighs those that were there. */
	for (size_t i = count; i-- > 0;) {
		char unseen[128];

		put_kernel_image(places[i], version);
		snprintf(unseen, sizeof(unseen), "%s: no list of certificates found in it",
			 places[i]);
		assert_image(places[i], unseen);
	}
}

static void images_of_other_releases(void **state)
{
	static const char path[] = "/boot/vmlinuz-6.1";

	(void)state;
	put_kernel_image(path, "6.1-other");
	assert_image(NULL, "/boot/vmlinuz-6.1: it is the image of 6.1-other");
	/* The kernel 6.1 is another name for that one. */
	dir = "/lib/modules/6.1-other";
	assert_image(path, "/boot/vmlinuz-6.1: no list of certificates found in it");
	put_kernel_image(path, "no release");
	assert_image(path, "/boot/vmlinuz-6.1: no list of certificates found in it");
	dir = "/lib/modules/6.1";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(machines_without_efi),
		scratch_test(machines_and_what_started_them),
		scratch_test(images_of_other_releases),
		scratch_test(images_where_distributions_have_them),
		scratch_test(whether_it_enforces),
		scratch_test(a_kernel_that_does_not_run_is_not_asked),
		scratch_test(what_may_not_be_read_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, free_identities);
}
