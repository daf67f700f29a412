/* SPDX-License-Identifier: MIT */
#include "base/parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct crew {
	const struct ks_parallel *run;
	pthread_mutex_t lock;
	pthread_cond_t finished;
	size_t next;	/* the first thing nobody has taken */
	bool *complete; /* by thing */
};

static bool take(struct crew *crew, size_t *i)
{
	bool any;

	pthread_mutex_lock(&crew->lock);
	any = crew->next < crew->run->count;
	if (any)
		*i = crew->next++;
	pthread_mutex_unlock(&crew->lock);
	return any;
}

static void *work(void *arg)
{
	struct crew *crew = arg;
	size_t i;

	if (crew->run->begin)
		crew->run->begin(crew->run->ctx);
	while (take(crew, &i)) {
		crew->run->work(crew->run->ctx, i);
		pthread_mutex_lock(&crew->lock);
		crew->complete[i] = true;
		pthread_cond_signal(&crew->finished);
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

static unsigned hire(struct crew *crew, pthread_t *thread, unsigned wanted)
{
	sigset_t all, before;
	unsigned n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n < wanted && pthread_create(&thread[n], NULL, work, crew) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

static void collect(struct crew *crew)
{
	for (size_t i = 0; i < crew->run->count; i++) {
		pthread_mutex_lock(&crew->lock);
		while (!crew->complete[i])
			pthread_cond_wait(&crew->finished, &crew->lock);
		pthread_mutex_unlock(&crew->lock);
		if (crew->run->done)
			crew->run->done(crew->run->ctx, i);
	}
}

static void run_here(const struct ks_parallel *run)
{
	for (size_t i = 0; i < run->count; i++) {
		run->work(run->ctx, i);
		if (run->done)
			run->done(run->ctx, i);
	}
}

void ks_parallel_run(const struct ks_parallel *run)
{
	struct crew crew = { .run = run,
			     .lock = PTHREAD_MUTEX_INITIALIZER,
			     .finished = PTHREAD_COND_INITIALIZER };
	unsigned wanted = run->jobs < run->count ? run->jobs : (unsigned)run->count;
	bool alone = wanted <= 1 && !run->begin;
	pthread_t *thread = alone ? NULL : calloc(wanted, sizeof(*thread));
	unsigned hired = 0;

	crew.complete = thread ? calloc(run->count, sizeof(*crew.complete)) : NULL;
	if (crew.complete)
		hired = hire(&crew, thread, wanted);
	if (hired)
		collect(&crew);
	else
		run_here(run);
	for (unsigned i = 0; i < hired; i++)
		pthread_join(thread[i], NULL);
	free(crew.complete);
	free(thread);
}
