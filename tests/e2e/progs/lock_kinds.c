// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every kind of lock, each blocked on a known number of times: lock_kinds WORKLOAD. Facts as in facts.h, the scene as in
 * contest.h.
 */
#include "contest.h"

static int nothing(void *lock)
{
	(void)lock;
	return 0;
}

static pthread_mutex_t new_mutex(int type, int protocol, int robust)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;

	pthread_mutexattr_init(&attr);
	if (pthread_mutexattr_settype(&attr, type) ||
	    pthread_mutexattr_setprotocol(&attr, protocol) ||
	    pthread_mutexattr_setrobust(&attr, robust) || pthread_mutex_init(&mutex, &attr))
		die("pthread_mutexattr");
	return mutex;
}

/* ---- pi, recursive, errorcheck ---- */
static pthread_mutex_t pi_lock, recursive_lock, errorcheck_lock, robust_lock;

static void do_pi(const long *n)
{
	static struct contest c =
		MUTEX_CONTEST("pi_lock", &pi_lock, .waiters = 2, .rounds = 3, .hold_ms = 10);

	(void)n;
	pi_lock = new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
	contest_run(&c);
}

static void do_recursive(const long *n)
{
	static struct contest c = MUTEX_CONTEST("recursive_lock", &recursive_lock, .waiters = 1,
						.rounds = 1, .hold_ms = 20);

	(void)n;
	recursive_lock =
		new_mutex(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
	contest_run(&c);
}

static void do_errorcheck(const long *n)
{
	static struct contest c = MUTEX_CONTEST("errorcheck_lock", &errorcheck_lock, .waiters = 1,
						.rounds = 1, .hold_ms = 20);

	(void)n;
	errorcheck_lock =
		new_mutex(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
	contest_run(&c);
}

/* ---- robust: the holder ends with the lock held, the waiter gets it from the kernel ---- */
static int robust_wait(void *lock)
{
	int result = pthread_mutex_lock(lock);

	return result == EOWNERDEAD ? pthread_mutex_consistent(lock) : result ? result : EPROTO;
}

static void do_robust(const long *n)
{
	static struct contest c = MUTEX_CONTEST("robust_lock", &robust_lock, .waiters = 1,
						.rounds = 1, .hold_ms = 20);

	(void)n;
	c.leave = nothing;
	c.wait = robust_wait;
	robust_lock = new_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
	contest_run(&c);
}

/* ---- rwlock: a writer holds it, readers wait; a reader holds it, a writer waits ---- */
static pthread_rwlock_t rw_lock = PTHREAD_RWLOCK_INITIALIZER;

static int read_lock(void *lock)
{
	return pthread_rwlock_rdlock(lock);
}

static int write_lock(void *lock)
{
	return pthread_rwlock_wrlock(lock);
}

static int rw_unlock(void *lock)
{
	return pthread_rwlock_unlock(lock);
}

static void do_rwlock(const long *n)
{
	static struct contest readers = { .name = "rw_lock",
					  .lock = &rw_lock,
					  .size = sizeof(rw_lock),
					  .take = write_lock,
					  .leave = rw_unlock,
					  .wait = read_lock,
					  .pass = rw_unlock,
					  .waiters = 2,
					  .rounds = 2,
					  .hold_ms = 20 };
	static struct contest writer = { .name = "rw_lock",
					 .lock = &rw_lock,
					 .size = sizeof(rw_lock),
					 .take = read_lock,
					 .leave = rw_unlock,
					 .wait = write_lock,
					 .pass = rw_unlock,
					 .waiters = 1,
					 .rounds = 2,
					 .hold_ms = 15 };

	(void)n;
	contest_run(&readers);
	contest_run(&writer);
}

/*
 * ---- rwlock_readers: two readers have it at once, a writer is seen waiting for both. One leaves after 10 ms, the other one 20 ms later, when
 * the writer has been seen waiting still ----
 */
static struct actor rw_writer;
static atomic_int rw_taken, rw_left;

static void *rw_reader(void *arg)
{
	bool last = arg != NULL;
	uint64_t begin_ns;

	prctl(PR_SET_NAME, last ? "last" : "first");
	pthread_rwlock_rdlock(&rw_lock);
	atomic_fetch_add(&rw_taken, 1);
	await_blocked(&rw_writer, 1, false);
	begin_ns = wall();
	rest(10 * MSEC);
	if (last) {
		while (!atomic_load(&rw_left))
			rest(200 * USEC);
		await_blocked(&rw_writer, 1, false);
		rest(20 * MSEC);
	}
	fact(last ? "last" : "first", ",\"held_ns\":%llu", (unsigned long long)(wall() - begin_ns));
	pthread_rwlock_unlock(&rw_lock);
	atomic_store(&rw_left, 1);
	return NULL;
}

static void *rw_write(void *arg)
{
	struct tally tally = { 0 };

	(void)arg;
	prctl(PR_SET_NAME, "writer");
	actor_is_me(&rw_writer);
	while (atomic_load(&rw_taken) < 2)
		rest(200 * USEC);
	atomic_store(&rw_writer.calling, 1);
	TALLY(&tally, pthread_rwlock_wrlock(&rw_lock));
	pthread_rwlock_unlock(&rw_lock);
	fact_waiter("rw_lock", &tally);
	return NULL;
}

static void do_rwlock_readers(const long *n)
{
	pthread_t t[3];

	(void)n;
	fact_lock("rw_lock", &rw_lock, sizeof(rw_lock));
	t[0] = start(rw_write, NULL);
	t[1] = start(rw_reader, NULL);
	t[2] = start(rw_reader, &rw_lock);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static atomic_int handled;

static void handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

/*
 * ---- signalled: a signal with a handler interrupts the wait for a mutex, which goes on after it, for as long again: two waits a round,
 * each seen before it is ended ----
 */
static pthread_mutex_t signalled_lock = PTHREAD_MUTEX_INITIALIZER;

static void hold_and_interrupt(struct contest *c)
{
	int round = atomic_load(&c->round);
	uint64_t sent_ns;

	rest((uint64_t)c->hold_ms * MSEC / 2);
	sent_ns = wall();
	syscall(SYS_tgkill, getpid(), atomic_load(&c->actors[0].tid), SIGUSR1);
	while (atomic_load(&handled) < round)
		rest(200 * USEC);
	await_blocked(&c->actors[0], round, true);
	c->awake_ns = wall() - sent_ns;
	rest((uint64_t)c->hold_ms * MSEC / 2);
}

static void do_signalled(const long *n)
{
	static struct contest c = MUTEX_CONTEST("signalled_lock", &signalled_lock, .waiters = 1,
						.rounds = 2, .hold_ms = 20, .sleeps = true,
						.hold = hold_and_interrupt);
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	(void)n;
	sigaction(SIGUSR1, &sa, NULL);
	contest_run(&c);
}

/* ---- mutex_timed: the holder keeps it for longer than the waiter has patience ---- */
static pthread_mutex_t timed_lock = PTHREAD_MUTEX_INITIALIZER;

static int mutex_timed(void *lock)
{
	struct timespec end = in_ms(CLOCK_REALTIME, 20);

	return expect(pthread_mutex_timedlock(lock, &end), ETIMEDOUT);
}

static struct contest *timed;

static int unlock_late(void *lock)
{
	while (atomic_load(&timed->passed) < atomic_load(&timed->round) * timed->waiters)
		rest(200 * USEC);
	return pthread_mutex_unlock(lock);
}

static void do_mutex_timed(const long *n)
{
	static struct contest c = MUTEX_CONTEST("timed_lock", &timed_lock, .waiters = 1,
						.rounds = 2, .hold_ms = 1, .sleeps = true);

	(void)n;
	c.wait = mutex_timed;
	c.pass = NULL;
	c.leave = unlock_late;
	timed = &c;
	contest_run(&c);
}

static const struct workload workloads[] = {
	{ "pi", do_pi },
	{ "recursive", do_recursive },
	{ "errorcheck", do_errorcheck },
	{ "robust", do_robust },
	{ "rwlock", do_rwlock },
	{ "rwlock_readers", do_rwlock_readers },
	{ "signalled", do_signalled },
	{ "mutex_timed", do_mutex_timed },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
