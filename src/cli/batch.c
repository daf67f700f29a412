/* SPDX-License-Identifier: MIT */
#include "cli/batch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "cli/report.h"
#include "core/confine.h"

static volatile sig_atomic_t interrupted;

struct state {
	const struct batch *batch;
	struct ks_confine *confine; /* what the threads may open; NULL: whatever they like */
	struct ks_error **error;    /* by module; NULL where all is well */
	struct ks_error no_memory;
	size_t failed;
};

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

enum { CAUGHT = sizeof(caught) / sizeof(*caught) };

/* A second signal has its usual effect; one that the caller ignores, as nohup does, stays so. */
static void catch_signals(struct sigaction *before)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART | (int)SA_RESETHAND };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < CAUGHT; i++) {
		sigaction(caught[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(caught[i], &action, NULL);
	}
}

static void restore_signals(const struct sigaction *before)
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &before[i], NULL);
}

static void work(void *ctx, size_t i)
{
	struct state *s = ctx;
	struct ks_error err, *copy;
	bool ok;

	if (interrupted)
		ok = ks_fail(&err, KS_ERR_SYSTEM, "not touched, the run was interrupted");
	else
		ok = s->batch->work(s->batch->ctx, i, &err);
	if (ok)
		return;
	ks_at(&err, s->batch->modules->item[i].path);
	copy = malloc(sizeof(*copy));
	s->error[i] = &s->no_memory;
	if (!copy)
		return;
	*copy = err;
	s->error[i] = copy;
}

/* A thread that cannot be confined works all the same: signing matters more. */
static void begin(void *ctx)
{
	const struct state *s = ctx;

	if (!ks_confine_enter(s->confine))
		report_warning("warning: a thread could not be confined (%m)");
}

static void done(void *ctx, size_t i)
{
	struct state *s = ctx;
	const struct batch *b = s->batch;

	if (s->error[i]) {
		report_error(s->error[i]);
		s->failed++;
	}
	b->done(b->ctx, i, s->error[i]);
	if (s->error[i] != &s->no_memory)
		free(s->error[i]);
	report_progress(b->verb, i + 1, b->modules->count, b->modules->item[i].path);
}

/* Whether both lie in the same directory, as far as it is written. */
static bool is_beside(const char *path, const char *other)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;

	return other && len && strncmp(path, other, len) == 0 && !strchr(other + len, '/');
}

static bool allow(struct ks_confine *confine, const struct batch *batch, struct ks_error *err)
{
	const struct ks_modules *modules = batch->modules;
	const struct ks_strings *more = batch->more;
	const char *root = batch->request->root, *last = NULL;
	bool led;

	for (size_t i = 0; i < modules->count; i++) {
		const char *path = modules->item[i].path;

		if (is_beside(path, last))
			continue;
		if (!ks_confine_allow(confine, root, path, &led, err))
			return false;
		if (led)
			last = path;
	}
	for (size_t i = 0; more && i < more->count; i++)
		if (!ks_confine_allow(confine, root, more->item[i], &led, err))
			return false;
	return !batch->dir ||
	       ks_confine_allow_dir(confine, batch->dir->fd, batch->dir->writes, err);
}

/* NULL where the threads go without. */
static struct ks_confine *start_confinement(const struct batch *batch)
{
	const bool verbose = batch->request->verbose;
	struct ks_confine_means means;
	struct ks_confine *confine;
	struct ks_error err;

	if (batch->request->no_confine)
		return NULL;
	ks_openssl_configure();
	if (batch->elsewhere) {
		if (verbose)
			report_warning("modules are read by threads that are not confined: the key "
				       "is on a token or in a TPM");
		return NULL;
	}
	if (ks_confine_start(&confine, batch->writes, &means, &err) &&
	    allow(confine, batch, &err)) {
		if (verbose)
			report_warning("modules are read by threads that may open nothing but the "
				       "files of their directories (Landlock, version %d%s)",
				       means.landlock, means.seccomp ? "; seccomp" : "");
		return confine;
	}
	if (verbose)
		report_warning("modules are read by threads that are not confined: %s", err.text);
	ks_confine_free(confine);
	return NULL;
}

size_t batch_run(const struct batch *batch)
{
	struct state s = { .batch = batch };
	struct sigaction before[CAUGHT];

	ks_fail_memory(&s.no_memory);
	s.error = calloc(batch->modules->count, sizeof(struct ks_error *));
	if (!s.error) {
		report_error(&s.no_memory);
		return batch->modules->count;
	}
	s.confine = start_confinement(batch);
	catch_signals(before);
	ks_parallel_run(&(struct ks_parallel){ .count = batch->modules->count,
					       .jobs = batch->request->jobs,
					       .begin = s.confine ? begin : NULL,
					       .work = work,
					       .done = done,
					       .ctx = &s });
	restore_signals(before);
	ks_confine_free(s.confine);
	report_progress_end();
	free(s.error);
	return s.failed;
}
