// SPDX-License-Identifier: GPL-2.0-only
/*
 * c-threads: POSIX threads, one share of the count each. A worker keeps its counter in a register
 * and writes its account once, at the end: no lock, nothing shared, so what is lost is lost to the
 * scheduler or to the machine.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "strategy/count_loop.h"
#include "strategy/strategy.h"
#include "strategy/strategy_result.h"

#define STACK_BYTES (256 * 1024) /* enough for a loop, and it lets thousands of workers start */

struct thread {
	pthread_t id;
	uint64_t share;
	const atomic_bool *stop;
	struct strategy_worker *worker;
};

STRATEGY_RUN(c_threads);

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	count_worker_run(thread->share, thread->stop, thread->worker);
	return NULL;
}

/*
 * Starts the threads in order; *ret_started says how many there are to join, also when one could
 * not be started.
 */
static int threads_start(struct thread *threads, unsigned int nr, unsigned int *ret_started,
			 struct err *err)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (!rc)
		rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (*ret_started = 0; !rc && *ret_started < nr; *ret_started += !rc)
		rc = pthread_create(&threads[*ret_started].id, &attr, thread_main,
				    &threads[*ret_started]);
	pthread_attr_destroy(&attr);
	if (rc)
		return err_sys(err, -rc, "cannot start worker %u of %u; use fewer workers",
			       *ret_started + 1, nr);
	return 0;
}

STRATEGY_RUN(c_threads)
{
	_cleanup_(free_p) struct thread *threads = calloc(job->workers, sizeof(*threads));
	atomic_bool stop = false;
	unsigned int started;
	int rc;

	if (!threads)
		return err_sys(err, -ENOMEM, "no memory for %u workers", job->workers);
	rc = strategy_result_init(ret, job->strategy->name, job->workers, job->count, err);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < job->workers; i++) {
		threads[i].share = strategy_share(job->count, job->workers, i);
		threads[i].stop = &stop;
		threads[i].worker = &ret->worker[i];
	}
	ret->t0_ns = monotonic_ns();
	rc = threads_start(threads, job->workers, &started, err);
	atomic_store(&stop, rc != 0);
	for (unsigned int i = 0; i < started; i++) {
		pthread_join(threads[i].id, NULL);
		ret->counted += ret->worker[i].counted;
	}
	ret->t1_ns = monotonic_ns();
	return rc;
}
