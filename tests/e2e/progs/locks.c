// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutexes whose story is known by design: locks WORKLOAD [NUMBER...]. Who held them and what he did meanwhile: ran, slept, was
 * preempted, waited for another lock. Facts as in facts.h, the usual scene as in contest.h.
 */
#include "contest.h"

static pthread_mutex_t counter_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock_a = PTHREAD_MUTEX_INITIALIZER;
extern pthread_mutex_t lock_b;
pthread_mutex_t lock_b = PTHREAD_MUTEX_INITIALIZER;

/* ---- one_holder WAITERS ROUNDS MS: the holder runs on a CPU ---- */
static void do_one_holder(const long *n)
{
	static struct contest c = MUTEX_CONTEST("counter_lock", &counter_lock);

	c.waiters = (int)n[0];
	c.rounds = (int)n[1];
	c.hold_ms = n[2];
	contest_run(&c);
}

/* ---- sleeper WAITERS ROUNDS MS: the holder sleeps ---- */
static void do_sleeper(const long *n)
{
	static struct contest c = MUTEX_CONTEST("counter_lock", &counter_lock, .sleeps = true);

	c.waiters = (int)n[0];
	c.rounds = (int)n[1];
	c.hold_ms = n[2];
	contest_run(&c);
}

/* ---- preempted ROUNDS MS: the holder shares its CPU with a hog, the waiter has another one. Exit status 77: there is but one ---- */
static atomic_bool hog_ends;

static void *hog(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "hog");
	pin(0);
	while (!atomic_load(&hog_ends))
		;
	fact("hog", "%s", "");
	return NULL;
}

static void do_preempted(const long *n)
{
	static struct contest c = MUTEX_CONTEST("counter_lock", &counter_lock, .waiters = 1,
						.holder_cpu = 1, .waiter_cpu = 2);
	pthread_t t;

	if (!pin(1))
		exit(77);
	c.rounds = (int)n[0];
	c.hold_ms = n[1];
	t = start(hog, NULL);
	contest_run(&c);
	atomic_store(&hog_ends, true);
	pthread_join(t, NULL);
}

/* ---- two_locks: a static one, held for 10 ms, and a global one, held for 25 ms; three times each, at the same time ---- */
static void do_two_locks(const long *n)
{
	static struct contest a = MUTEX_CONTEST("lock_a", &lock_a, .waiters = 1, .rounds = 3,
						.hold_ms = 10, .sleeps = true);
	static struct contest b = MUTEX_CONTEST("lock_b", &lock_b, .waiters = 1, .rounds = 3,
						.hold_ms = 25, .sleeps = true);
	struct contest_threads ta = contest_start(&a), tb = contest_start(&b);

	(void)n;
	contest_finish(&a, &ta);
	contest_finish(&b, &tb);
}

/* ---- forked: a lock at the same address in parent and child is two locks ---- */
static void do_forked(const long *n)
{
	static struct contest c = MUTEX_CONTEST("counter_lock", &counter_lock, .waiters = 1,
						.rounds = 2, .hold_ms = 15, .sleeps = true);
	pid_t pid = child_of();

	(void)n;
	if (!pid)
		c.rounds = 3;
	contest_run(&c);
	if (!pid)
		_exit(0);
	reap(pid);
}

/* ---- nested MS: first waits for A, which middle holds, who waits for B, which last holds and runs for MS ---- */
static struct actor first_actor, middle_actor;
static atomic_bool a_taken, b_taken;
static uint64_t nested_ns, nested_hold_ns, nested_hold_cpu_ns;

static void *nested_first(void *arg)
{
	struct tally tally = { 0 };

	(void)arg;
	prctl(PR_SET_NAME, "first");
	actor_is_me(&first_actor);
	while (!atomic_load(&a_taken))
		rest(200 * USEC);
	await_blocked(&middle_actor, 1, true);
	atomic_store(&first_actor.calling, 1);
	contest_check(TALLY(&tally, pthread_mutex_lock(&lock_a)), "lock_a");
	pthread_mutex_unlock(&lock_a);
	fact_waiter("lock_a", &tally);
	return NULL;
}

static void *nested_middle(void *arg)
{
	struct tally tally = { 0 };

	(void)arg;
	prctl(PR_SET_NAME, "middle");
	actor_is_me(&middle_actor);
	while (!atomic_load(&b_taken))
		rest(200 * USEC);
	pthread_mutex_lock(&lock_a);
	atomic_store(&a_taken, true);
	atomic_store(&middle_actor.calling, 1);
	contest_check(TALLY(&tally, pthread_mutex_lock(&lock_b)), "lock_b");
	pthread_mutex_unlock(&lock_b);
	pthread_mutex_unlock(&lock_a);
	fact_waiter("lock_b", &tally);
	/* its hold of A: what counts is how long both were seen blocked */
	fact("holder",
	     ",\"lock\":\"lock_a\",\"rounds\":1,\"waiters\":1,\"hold_ns\":%llu,\"hold_cpu_ns\":0",
	     (unsigned long long)nested_hold_ns);
	return NULL;
}

static void *nested_last(void *arg)
{
	uint64_t wall0, cpu0;

	(void)arg;
	prctl(PR_SET_NAME, "last");
	pthread_mutex_lock(&lock_b);
	atomic_store(&b_taken, true);
	await_blocked(&middle_actor, 1, false);
	await_blocked(&first_actor, 1, false);
	wall0 = wall();
	cpu0 = cpu();
	burn(nested_ns);
	nested_hold_cpu_ns = cpu() - cpu0;
	nested_hold_ns = wall() - wall0;
	fact("holder",
	     ",\"lock\":\"lock_b\",\"rounds\":1,\"waiters\":1,\"hold_ns\":%llu,\"hold_cpu_ns\":%llu",
	     (unsigned long long)nested_hold_ns, (unsigned long long)nested_hold_cpu_ns);
	pthread_mutex_unlock(&lock_b);
	return NULL;
}

static void do_nested(const long *n)
{
	pthread_t t[3];

	nested_ns = (uint64_t)n[0] * MSEC;
	fact_lock("lock_a", &lock_a, sizeof(lock_a));
	fact_lock("lock_b", &lock_b, sizeof(lock_b));
	t[0] = start(nested_last, NULL);
	t[1] = start(nested_middle, NULL);
	t[2] = start(nested_first, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

/*
 * ---- share THREADS ROUNDS PERCENT US: each round is US of work, PERCENT of it under the lock (Amdahl's serial share).
 * How often a thread waits is not fixed; each counts how often it found the lock taken, how often it blocked for it then, and, by the
 * kernel's books, how many waits that were: one or more. ----
 */
static struct {
	long rounds, percent, us;
	bool one_cpu;
	bool undisturbed; /* before all threads that are not of real time; without one_cpu, each has a CPU of its own */
	void (*section)(uint64_t ns);
} work;

struct share {
	struct tally tally; /* of the calls that found it taken */
	uint64_t blocked;   /* of these */
	uint64_t under_ns, under_cpu_ns, began_ns, ended_ns;
};

static void share_take(struct share *s)
{
	uint64_t waits = s->tally.waits;

	if (!pthread_mutex_trylock(&counter_lock))
		return;
	contest_check(TALLY(&s->tally, pthread_mutex_lock(&counter_lock)), "lock");
	s->blocked += s->tally.waits > waits;
}

static void share_work(struct share *s, uint64_t serial_ns)
{
	s->began_ns = wall();
	for (long i = 0; i < work.rounds; i++) {
		uint64_t wall0, cpu0;

		share_take(s);
		wall0 = wall();
		cpu0 = cpu();
		work.section(serial_ns);
		s->under_cpu_ns += cpu() - cpu0;
		s->under_ns += wall() - wall0;
		pthread_mutex_unlock(&counter_lock);
		burn((uint64_t)work.us * USEC - serial_ns);
	}
	s->ended_ns = wall();
}

static atomic_int next_cpu;
static const struct sched_param before_all = { .sched_priority = 50 };

static void *share_worker(void *arg)
{
	struct share s = { 0 };
	atomic_int *ready = arg;

	prctl(PR_SET_NAME, "worker");
	if (work.one_cpu)
		pin(0);
	else if (work.undisturbed && !pin(atomic_fetch_add(&next_cpu, 1)))
		exit(77);
	if (work.undisturbed && sched_setscheduler(0, SCHED_FIFO, &before_all))
		exit(77);
	atomic_fetch_sub(ready, 1);
	while (atomic_load(ready) > 0)
		rest(200 * USEC);
	share_work(&s, (uint64_t)(work.us * work.percent) * 10);
	fact_waiter("counter_lock", &s.tally);
	fact("worker",
	     ",\"under_ns\":%llu,\"under_cpu_ns\":%llu,\"wall_ns\":%llu,\"begin_ns\":%llu,\"end_ns\":%llu,\"blocked\":%llu",
	     (unsigned long long)s.under_ns, (unsigned long long)s.under_cpu_ns,
	     (unsigned long long)(s.ended_ns - s.began_ns), (unsigned long long)s.began_ns,
	     (unsigned long long)s.ended_ns, (unsigned long long)s.blocked);
	return NULL;
}

static void work_by(long threads)
{
	atomic_int ready = (int)threads;
	pthread_t t[64];

	if (threads > 64)
		exit(2);
	fact_lock("counter_lock", &counter_lock, sizeof(counter_lock));
	for (long i = 0; i < threads; i++)
		t[i] = start(share_worker, &ready);
	for (long i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
}

static void do_share(const long *n)
{
	work.rounds = n[1];
	work.percent = n[2];
	work.us = n[3];
	work.section = burn;
	work_by(n[0]);
}

/*
 * ---- amdahl THREADS ROUNDS PERCENT US: as share, and whatever else the machine has to do, nobody but the host takes their CPUs from them. Exit
 * status 77: there are not so many CPUs, or it may not be done ----
 */
static void do_amdahl(const long *n)
{
	work.undisturbed = true;
	do_share(n);
}

/*
 * ---- convoy THREADS ROUNDS US: on one CPU, each sleeps for US with the lock held: the queue behind it never empties. Exit status 77 as of
 * amdahl ----
 */
static void do_convoy(const long *n)
{
	work.rounds = n[1];
	work.percent = 100;
	work.us = n[2];
	work.section = rest;
	work.one_cpu = true;
	work.undisturbed = true;
	work_by(n[0]);
}

/*
 * ---- handed ROUNDS HOLD_MS MS: a lock with priority inheritance is given to the first of two waiters at once. All are on one CPU, and
 * who gave it keeps that CPU for MS, as only a real-time thread can: so who has the lock cannot run, and the other one waits for that.
 * Exit status 77: there may be no such thread. ----
 */
static uint64_t handed_ns, kept_ns;
static pthread_mutex_t pi_lock;

static int give_and_go_on(void *lock)
{
	int result = pthread_mutex_unlock(lock);
	uint64_t began_ns = wall();

	burn(handed_ns);
	kept_ns += wall() - began_ns;
	return result;
}

static void work_as(void *(*part)(void *), void *arg)
{
	uint64_t began_ns = wall();

	part(arg);
	fact("worker", ",\"begin_ns\":%llu,\"end_ns\":%llu,\"kept_ns\":%llu",
	     (unsigned long long)began_ns, (unsigned long long)wall(),
	     part == contest_holder ? (unsigned long long)kept_ns : 0);
}

static void *handed_waiter(void *arg)
{
	work_as(contest_waiter, arg);
	return NULL;
}

static void *handed_holder(void *arg)
{
	struct sched_param first = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		exit(77);
	work_as(contest_holder, arg);
	return NULL;
}

static void do_handed(const long *n)
{
	static struct contest c = MUTEX_CONTEST("pi_lock", &pi_lock, .waiters = 2, .sleeps = true,
						.holder_cpu = 1, .waiter_cpu = 1);
	pthread_mutexattr_t attr;
	pthread_t t[3];

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&pi_lock, &attr);
	c.leave = give_and_go_on;
	c.rounds = (int)n[0];
	c.hold_ms = n[1];
	handed_ns = (uint64_t)n[2] * MSEC;
	fact_lock(c.name, c.lock, c.size);
	t[0] = start(handed_holder, &c);
	t[1] = start(handed_waiter, &c);
	t[2] = start(handed_waiter, &c);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

/* ---- crowded THREADS ROUNDS MS: all under the lock, on one CPU that a hog wants, too: who has the lock loses its CPU to the hog ---- */
static void do_crowded(const long *n)
{
	const long all[] = { n[0], n[1], 100, n[2] * 1000 };
	pthread_t t = start(hog, NULL);

	work.one_cpu = true;
	do_share(all);
	atomic_store(&hog_ends, true);
	pthread_join(t, NULL);
}

/* ---- spin MS: a spinning lock: whoever wants it is on a CPU, and waits for nothing that a kernel knows ---- */
static pthread_spinlock_t spin_lock;
static atomic_bool spin_taken, spinner_comes;

static void *spinner(void *arg)
{
	uint64_t wall0, cpu0;
	long switches;

	(void)arg;
	prctl(PR_SET_NAME, "spinner");
	while (!atomic_load(&spin_taken))
		rest(200 * USEC);
	wall0 = wall();
	cpu0 = cpu();
	switches = voluntary_switches();
	atomic_store(&spinner_comes, true);
	pthread_spin_lock(&spin_lock);
	switches = voluntary_switches() - switches;
	fact("spinner", ",\"spun_ns\":%llu,\"spun_cpu_ns\":%llu,\"waits\":%ld",
	     (unsigned long long)(wall() - wall0), (unsigned long long)(cpu() - cpu0), switches);
	pthread_spin_unlock(&spin_lock);
	return NULL;
}

static void do_spin(const long *n)
{
	pthread_t t;

	pthread_spin_init(&spin_lock, PTHREAD_PROCESS_PRIVATE);
	fact_lock("spin_lock", (const void *)&spin_lock, sizeof(spin_lock));
	t = start(spinner, NULL);
	pthread_spin_lock(&spin_lock);
	atomic_store(&spin_taken, true);
	while (!atomic_load(&spinner_comes))
		rest(200 * USEC);
	rest((uint64_t)n[0] * MSEC);
	pthread_spin_unlock(&spin_lock);
	pthread_join(t, NULL);
}

static const struct workload workloads[] = {
	{ "one_holder", do_one_holder }, { "sleeper", do_sleeper }, { "preempted", do_preempted },
	{ "two_locks", do_two_locks },   { "forked", do_forked },   { "nested", do_nested },
	{ "share", do_share },           { "convoy", do_convoy },   { "handed", do_handed },
	{ "crowded", do_crowded },       { "spin", do_spin },       { "amdahl", do_amdahl },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
