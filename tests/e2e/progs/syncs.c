// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits for other threads that are no lock, each a known number of times, and futexes that are nothing known: syncs WORKLOAD.
 * Facts as in facts.h, the scene as in contest.h.
 */
#include "contest.h"
#include <linux/futex.h>
#include <semaphore.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455 /* 6.7 */
#endif
#define FUTEX_32 2 /* FUTEX2_SIZE_U32, FUTEX_32 */

static int nothing(void *lock)
{
	(void)lock;
	return 0;
}

/* ---- cond: waits for a signal; queue N US: a consumer that is faster than its producer ---- */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_cond = PTHREAD_COND_INITIALIZER;
static int queued;
static long found_empty; /* under queue_lock */

static int cond_put(void *cond)
{
	pthread_mutex_lock(&queue_lock);
	queued++;
	pthread_mutex_unlock(&queue_lock);
	return pthread_cond_signal(cond);
}

static int cond_get(void *cond)
{
	pthread_mutex_lock(&queue_lock);
	while (!queued) {
		found_empty++;
		pthread_cond_wait(cond, &queue_lock);
	}
	queued--;
	return pthread_mutex_unlock(&queue_lock);
}

static void do_cond(const long *n)
{
	static struct contest c = { .name = "work_cond",
				    .lock = &work_cond,
				    .size = sizeof(work_cond),
				    .leave = cond_put,
				    .wait = cond_get,
				    .waiters = 1,
				    .rounds = 4,
				    .hold_ms = 10 };

	(void)n;
	contest_run(&c);
}

static void *consumer(void *arg)
{
	struct tally tally = { 0 };
	long items = *(const long *)arg;

	prctl(PR_SET_NAME, "consumer");
	while (items-- > 0)
		TALLY(&tally, cond_get(&work_cond));
	fact_waiter("work_cond", &tally);
	fact("consumer", ",\"empty\":%ld", found_empty);
	return NULL;
}

static void do_queue(const long *n)
{
	pthread_t t;

	fact_lock("work_cond", &work_cond, sizeof(work_cond));
	fact_lock("queue_lock", &queue_lock, sizeof(queue_lock));
	t = start(consumer, (void *)n);
	for (long i = 0; i < n[0]; i++) {
		rest((uint64_t)n[1] * USEC);
		cond_put(&work_cond);
	}
	fact("producer", ",\"items\":%ld,\"us\":%ld", n[0], n[1]);
	pthread_join(t, NULL);
}

/* ---- barrier: two come in time, the third is late ---- */
static pthread_barrier_t phase_barrier;

static int barrier_wait(void *barrier)
{
	int result = pthread_barrier_wait(barrier);

	return result == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : result;
}

static void do_barrier(const long *n)
{
	static struct contest c = { .name = "phase_barrier",
				    .lock = &phase_barrier,
				    .size = sizeof(phase_barrier),
				    .leave = barrier_wait,
				    .wait = barrier_wait,
				    .waiters = 2,
				    .rounds = 3,
				    .hold_ms = 20 };

	(void)n;
	pthread_barrier_init(&phase_barrier, NULL, 3);
	contest_run(&c);
}

/* ---- join: of a thread that goes on for 30 ms ---- */
static int join_wait(void *lock)
{
	pthread_t t;

	memcpy(&t, lock, sizeof(t));
	return pthread_join(t, NULL);
}

static void do_join(const long *n)
{
	static struct contest c = { .name = "join",
				    .leave = nothing,
				    .wait = join_wait,
				    .waiters = 1,
				    .rounds = 1,
				    .hold_ms = 30 };
	static pthread_t holder;
	pthread_t t;

	(void)n;
	c.lock = &holder; /* its tid, which is the futex, lies in its descriptor */
	holder = start(contest_holder, &c);
	fact_lock(c.name, (const void *)holder, 4096);
	t = start(contest_waiter, &c);
	pthread_join(t, NULL);
}

/* ---- sem: posted by another one; sem_timed: which nobody posts; eintr: ended by a signal ---- */
static sem_t work_sem;

static int sem_wait_(void *sem)
{
	return sem_wait(sem) ? errno : 0;
}

static int sem_post_(void *sem)
{
	return sem_post(sem) ? errno : 0;
}

static void do_sem(const long *n)
{
	static struct contest c = { .name = "work_sem",
				    .lock = &work_sem,
				    .size = sizeof(work_sem),
				    .leave = sem_post_,
				    .wait = sem_wait_,
				    .waiters = 1,
				    .rounds = 3,
				    .hold_ms = 10 };

	(void)n;
	contest_run(&c);
}

static int sem_timed(void *sem)
{
	struct timespec end = in_ms(CLOCK_REALTIME, 20);

	return expect(sem_timedwait(sem, &end) ? errno : 0, ETIMEDOUT);
}

static int sem_interrupted(void *sem)
{
	return expect(sem_wait(sem) ? errno : 0, EINTR);
}

/* The waiters' waits end by themselves; the holder sees them blocked, then rests for 1 ms so that something is sure. */
static void do_sem_timed(const long *n)
{
	static struct contest c = { .name = "work_sem",
				    .lock = &work_sem,
				    .size = sizeof(work_sem),
				    .leave = nothing,
				    .wait = sem_timed,
				    .waiters = 2,
				    .rounds = 2,
				    .hold_ms = 1,
				    .sleeps = true };

	(void)n;
	contest_run(&c);
}

static void handler(int sig)
{
	(void)sig;
}

static struct contest *interrupted;

static int interrupt(void *lock)
{
	(void)lock;
	syscall(SYS_tgkill, getpid(), atomic_load(&interrupted->actors[0].tid), SIGUSR1);
	return 0;
}

static void do_eintr(const long *n)
{
	static struct contest c = { .name = "work_sem",
				    .lock = &work_sem,
				    .size = sizeof(work_sem),
				    .leave = interrupt,
				    .wait = sem_interrupted,
				    .waiters = 1,
				    .rounds = 3,
				    .hold_ms = 10,
				    .sleeps = true };
	struct sigaction sa = { .sa_handler = handler }; /* no SA_RESTART */

	(void)n;
	sigaction(SIGUSR1, &sa, NULL);
	interrupted = &c;
	contest_run(&c);
}

/* ---- raw futexes: no lock that anybody knows ---- */
static uint32_t raw_word, bitset_word, timed_word, waitv_words[2], futex2_word;

static int raw_wait(void *word)
{
	return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) ? errno : 0;
}

static int raw_timed(void *word)
{
	struct timespec ts = { 0, 20000000 };

	return expect(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0) ? errno : 0,
		      ETIMEDOUT);
}

static int raw_bitset(void *word)
{
	struct timespec end = in_ms(CLOCK_MONOTONIC, 20);

	return expect(
		syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, &end, NULL, 1) ? errno : 0,
		ETIMEDOUT);
}

static int raw_wake(void *word)
{
	return syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1) == 1 ? 0 : EPROTO;
}

static int raw_waitv(void *words)
{
	struct futex_waitv v[2] = {
		{ .uaddr = (uintptr_t)words, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG },
		{ .uaddr = (uintptr_t)words + 4, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG }
	};

	return syscall(SYS_futex_waitv, v, 2, 0, NULL, 0) == 0 ? 0 : errno;
}

static int raw_wait2(void *word)
{
	return syscall(SYS_futex_wait, word, 0ul, ~0ul & 0xffffffff, FUTEX_32 | FUTEX_PRIVATE_FLAG,
		       NULL, 0) ?
		       errno :
		       0;
}

static void raw(const char *name, void *word, size_t size, int (*wait)(void *),
		int (*leave)(void *), long hold_ms)
{
	struct contest c = { .name = name,
			     .lock = word,
			     .size = size,
			     .wait = wait,
			     .leave = leave,
			     .waiters = 1,
			     .rounds = 2,
			     .hold_ms = hold_ms,
			     .sleeps = true };

	contest_run(&c);
}

/* Exit status 77: the kernel does not have it. */
static void need(long number)
{
	if (syscall(number, NULL, 0, 0, 0, 0, 0) < 0 && errno == ENOSYS)
		exit(77);
}

/*
 * ---- changed: a signal's handler changes the word, and the call is made anew by itself: it has slept, and ends with EAGAIN. It is the signal
 * that has ended the sleep ----
 */
static uint32_t changed_word;

static void change(int sig)
{
	(void)sig;
	__atomic_store_n(&changed_word, 1, __ATOMIC_SEQ_CST);
}

static int raw_changed(void *word)
{
	__atomic_store_n(&changed_word, 0, __ATOMIC_SEQ_CST);
	return expect(raw_wait(word), EAGAIN);
}

static void do_changed(const long *n)
{
	static struct contest c = { .name = "changed_word",
				    .lock = &changed_word,
				    .size = sizeof(changed_word),
				    .leave = interrupt,
				    .wait = raw_changed,
				    .waiters = 1,
				    .rounds = 3,
				    .hold_ms = 10,
				    .sleeps = true };
	struct sigaction sa = { .sa_handler = change, .sa_flags = SA_RESTART };

	(void)n;
	sigaction(SIGUSR1, &sa, NULL);
	interrupted = &c;
	contest_run(&c);
}

static void do_raw(const long *n)
{
	(void)n;
	raw("raw_word", &raw_word, sizeof(raw_word), raw_wait, raw_wake, 20);
	raw("timed_word", &timed_word, sizeof(timed_word), raw_timed, nothing, 1);
	raw("bitset_word", &bitset_word, sizeof(bitset_word), raw_bitset, nothing, 1);
}

static void do_waitv(const long *n)
{
	(void)n;
	need(SYS_futex_waitv);
	raw("waitv_words", waitv_words, sizeof(waitv_words), raw_waitv, raw_wake, 20);
}

static void do_futex2(const long *n)
{
	(void)n;
	need(SYS_futex_wait);
	raw("futex2_word", &futex2_word, sizeof(futex2_word), raw_wait2, raw_wake, 20);
}

static const struct workload workloads[] = {
	{ "cond", do_cond },     { "queue", do_queue },     { "barrier", do_barrier },
	{ "join", do_join },     { "sem", do_sem },         { "sem_timed", do_sem_timed },
	{ "eintr", do_eintr },   { "raw", do_raw },         { "waitv", do_waitv },
	{ "futex2", do_futex2 }, { "changed", do_changed },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
