/* SPDX-License-Identifier: MIT */
/* Threads: everything is done once, and reported in order on the thread that asked. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/parallel.h"

enum { MANY = 500 };

struct run {
	atomic_uint worked[MANY];
	unsigned int reported[MANY];
	size_t next; /* to be reported */
	atomic_uint at_work, most_at_work, elsewhere;
	atomic_uint begun, unprepared; /* threads; pieces of work on one that has not begun */
	atomic_uint deaf;	       /* pieces of work on a thread with signals blocked */
	pthread_t caller;
	bool slow, out_of_order, too_early, wrong_thread;
};

static _Thread_local bool has_begun;

static void begin(void *ctx)
{
	struct run *r = ctx;

	has_begun = true;
	r->begun++;
}

static void pause_for(unsigned int microseconds)
{
	struct timespec t = { 0, (long)microseconds * 1000 };

	nanosleep(&t, NULL);
}

static void work(void *ctx, size_t i)
{
	struct run *r = ctx;
	unsigned int now = ++r->at_work, most = r->most_at_work;
	sigset_t blocked;

	while (now > most && !atomic_compare_exchange_weak(&r->most_at_work, &most, now))
		;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!pthread_equal(pthread_self(), r->caller)) {
		r->elsewhere++;
		r->deaf += sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM);
	}
	/* The first ones take longest, so that the others are complete before them. */
	if (r->slow)
		pause_for(i % 16 == 0 ? 3000 : 100);
	r->unprepared += !has_begun;
	r->worked[i]++;
	r->at_work--;
}

static void done(void *ctx, size_t i)
{
	struct run *r = ctx;

	r->out_of_order |= i != r->next++;
	r->too_early |= r->worked[i] != 1;
	r->wrong_thread |= !pthread_equal(pthread_self(), r->caller);
	r->reported[i]++;
}

static bool is_right(const struct run *r, size_t count)
{
	for (size_t i = 0; i < MANY; i++)
		if (r->worked[i] != (i < count) || r->reported[i] != (i < count))
			return false;
	return r->next == count && !r->out_of_order && !r->too_early && !r->wrong_thread;
}

static void run(struct run *r, size_t count, unsigned int jobs)
{
	r->caller = pthread_self();
	ks_parallel_run(&(struct ks_parallel){
		.count = count, .jobs = jobs, .work = work, .done = done, .ctx = r });
}

static void each_once_and_in_order(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 3, 7, 64, MANY };
	static const unsigned int jobs[] = { 1, 2, 3, 8, 64 };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		for (size_t j = 0; j < sizeof(jobs) / sizeof(*jobs); j++) {
			struct run r = { 0 };

			run(&r, counts[i], jobs[j]);
			assert_true(is_right(&r, counts[i]));
			assert_true(r.most_at_work <= jobs[j]);
		}
}

static void in_order_though_the_first_are_slow(void **state)
{
	struct run r = { .slow = true };

	(void)state;
	run(&r, 128, 8);
	assert_true(is_right(&r, 128));
	assert_in_range(r.most_at_work, 2, 8);
}

static void more_jobs_than_things(void **state)
{
	struct run r = { .slow = true };

	(void)state;
	run(&r, 3, 1000000);
	assert_true(is_right(&r, 3));
	assert_true(r.most_at_work <= 3);
}

static void one_job_stays_on_the_calling_thread(void **state)
{
	struct run r = { 0 };

	(void)state;
	run(&r, 20, 1);
	assert_true(is_right(&r, 20));
	assert_int_equal(r.elsewhere, 0);
}

static void nobody_need_listen(void **state)
{
	struct run r = { 0 };

	(void)state;
	r.caller = pthread_self();
	for (unsigned int jobs = 1; jobs <= 4; jobs++)
		ks_parallel_run(&(struct ks_parallel){
			.count = 50, .jobs = jobs, .work = work, .ctx = &r });
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(r.worked[i], 4);
	assert_int_equal(r.next, 0);
}

static void signals_are_left_to_the_caller(void **state)
{
	struct run r = { .slow = true };
	sigset_t usual, before, after;

	(void)state;
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, &usual);
	run(&r, 64, 4);
	pthread_sigmask(SIG_SETMASK, &usual, &after);
	assert_true(r.elsewhere > 0);
	assert_int_equal(r.deaf, r.elsewhere);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
}

static void every_thread_begins_and_the_caller_does_not_work(void **state)
{
	(void)state;
	for (unsigned int jobs = 1; jobs <= 4; jobs++) {
		struct run r = { .slow = true, .caller = pthread_self() };

		ks_parallel_run(&(struct ks_parallel){ .count = 50,
						       .jobs = jobs,
						       .begin = begin,
						       .work = work,
						       .done = done,
						       .ctx = &r });
		assert_true(is_right(&r, 50));
		assert_int_equal(r.elsewhere, 50);
		assert_int_equal(r.unprepared, 0);
		assert_int_equal(r.begun, jobs);
		assert_false(has_begun);
	}
}

/* 1: it was done wrong; 2: threads came all the same. */
static int run_without_threads(void *arg)
{
	struct run *r = arg;

	if (setrlimit(RLIMIT_NPROC, &(struct rlimit){ 0, 0 }))
		return 3;
	run(r, 50, 4);
	if (!is_right(r, 50))
		return 1;
	return r->elsewhere ? 2 : 0;
}

static void without_threads_it_is_done_all_the_same(void **state)
{
	static struct run r;

	(void)state;
	assert_int_equal(run_as_nobody(run_without_threads, &r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_once_and_in_order),
		cmocka_unit_test(in_order_though_the_first_are_slow),
		cmocka_unit_test(more_jobs_than_things),
		cmocka_unit_test(one_job_stays_on_the_calling_thread),
		cmocka_unit_test(nobody_need_listen),
		cmocka_unit_test(every_thread_begins_and_the_caller_does_not_work),
		cmocka_unit_test(signals_are_left_to_the_caller),
		cmocka_unit_test(without_threads_it_is_done_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
