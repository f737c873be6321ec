/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A contest: in every round one thread, the holder, takes a lock, sees every waiter blocked on it (/proc), keeps it for a
 * known time, and lets it go. No other lock is used, threads tell each other of a round by an atomic number and nanosleep.
 *
 *   holder   take  [waiters arrive]  |-- hold: hold_ns, hold_cpu_ns --|  leave   until all have passed
 *   waiter         wait ........................................................ pass
 *
 * So every waiter blocks exactly once a round, and for at least hold_ns: what a report says of it lies between that and
 * what the waiter itself measured around its call. With other functions the same is a semaphore, a barrier, a raw futex.
 */
#ifndef PROGS_CONTEST_H
#define PROGS_CONTEST_H

#include "facts.h"

#define CONTEST_WAITERS 8

struct contest {
	const char *name;
	void *lock;
	size_t size;
	int (*take)(void *lock);         /* the holder's, may be NULL */
	int (*leave)(void *lock);        /* lets the waiters go */
	int (*wait)(void *lock);         /* the waiters', blocks */
	int (*pass)(void *lock);         /* after it, may be NULL */
	void (*hold)(struct contest *c); /* instead of burning hold_ms */
	int waiters, rounds;
	long hold_ms;
	bool sleeps;       /* the holder sleeps for hold_ms */
	uint64_t awake_ns; /* by hold(): part of it in which a waiter may not have been blocked */
	int holder_cpu, waiter_cpu; /* where to pin them: 1 is the first; 0: anywhere */

	atomic_int round, passed, next_waiter;
	struct actor actors[CONTEST_WAITERS];
};

HELPER void contest_check(int result, const char *what)
{
	if (!result || result == EOWNERDEAD)
		return;
	errno = result;
	die(what);
}

HELPER void *contest_waiter(void *arg)
{
	struct contest *c = arg;
	struct actor *me = &c->actors[atomic_fetch_add(&c->next_waiter, 1)];
	struct tally tally = { 0 };

	prctl(PR_SET_NAME, "waiter");
	if (c->waiter_cpu)
		pin(c->waiter_cpu - 1);
	actor_is_me(me);
	for (int round = 1; round <= c->rounds; round++) {
		struct before before;
		int result;

		while (atomic_load(&c->round) < round)
			rest(200 * USEC);
		atomic_store(&me->calling, round);
		before = tally_begin();
		result = c->wait(c->lock);
		tally_end(&tally, before);
		contest_check(result, "wait");
		if (c->pass)
			contest_check(c->pass(c->lock), "pass");
		atomic_fetch_add(&c->passed, 1);
	}
	fact_waiter(c->name, &tally);
	return NULL;
}

/* One hold; its wall and CPU time are added. */
HELPER void contest_hold(struct contest *c, uint64_t *wall_ns, uint64_t *cpu_ns)
{
	uint64_t wall0 = wall(), cpu0 = cpu();

	c->awake_ns = 0;
	if (c->hold)
		c->hold(c);
	else if (c->sleeps)
		rest((uint64_t)c->hold_ms * MSEC);
	else
		burn((uint64_t)c->hold_ms * MSEC);
	*cpu_ns += cpu() - cpu0;
	*wall_ns += wall() - wall0 - c->awake_ns;
}

HELPER void *contest_holder(void *arg)
{
	struct contest *c = arg;
	uint64_t wall_ns = 0, cpu_ns = 0;

	prctl(PR_SET_NAME, "holder");
	if (c->holder_cpu)
		pin(c->holder_cpu - 1);
	for (int round = 1; round <= c->rounds; round++) {
		if (c->take)
			contest_check(c->take(c->lock), "take");
		atomic_store(&c->round, round);
		for (int i = 0; i < c->waiters; i++)
			await_blocked(&c->actors[i], round, c->sleeps);
		contest_hold(c, &wall_ns, &cpu_ns);
		if (round == c->rounds) /* now: it may be that leave does not return */
			fact("holder",
			     ",\"lock\":\"%s\",\"rounds\":%d,\"waiters\":%d,\"hold_ns\":%llu,\"hold_cpu_ns\":%llu",
			     c->name, c->rounds, c->waiters, (unsigned long long)wall_ns,
			     (unsigned long long)cpu_ns);
		contest_check(c->leave(c->lock), "leave");
		while (round < c->rounds && atomic_load(&c->passed) < round * c->waiters)
			rest(200 * USEC);
	}
	return NULL;
}

struct contest_threads {
	pthread_t holder, waiters[CONTEST_WAITERS];
};

HELPER struct contest_threads contest_start(struct contest *c)
{
	struct contest_threads t;

	fact_lock(c->name, c->lock, c->size);
	t.holder = start(contest_holder, c);
	for (int i = 0; i < c->waiters; i++)
		t.waiters[i] = start(contest_waiter, c);
	return t;
}

HELPER void contest_finish(struct contest *c, struct contest_threads *t)
{
	pthread_join(t->holder, NULL);
	for (int i = 0; i < c->waiters; i++)
		pthread_join(t->waiters[i], NULL);
}

HELPER void contest_run(struct contest *c)
{
	struct contest_threads t = contest_start(c);

	contest_finish(c, &t);
}

/* ---- what waits return ---- */

/* 0 when the call ended as it had to. */
HELPER int expect(int result, int expected)
{
	return result == expected ? 0 : result ? result : EPROTO;
}

HELPER struct timespec in_ms(clockid_t clock, long ms)
{
	uint64_t end = now(clock) + (uint64_t)ms * MSEC;

	return (struct timespec){ (time_t)(end / 1000000000ull), (long)(end % 1000000000ull) };
}

/* ---- the functions of a mutex ---- */

HELPER int mutex_lock(void *lock)
{
	return pthread_mutex_lock(lock);
}

HELPER int mutex_unlock(void *lock)
{
	return pthread_mutex_unlock(lock);
}

/* A mutex at `lock`; the rest is as the caller likes it. */
#define MUTEX_CONTEST(name_, lock_, ...)                                           \
	{                                                                          \
		.name = (name_), .lock = (lock_), .size = sizeof(pthread_mutex_t), \
		.take = mutex_lock, .leave = mutex_unlock, .wait = mutex_lock,     \
		.pass = mutex_unlock, __VA_ARGS__                                  \
	}

#endif
