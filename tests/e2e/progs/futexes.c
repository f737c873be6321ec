// SPDX-License-Identifier: GPL-2.0-only
/*
 * futexes FILE: blocks once in every kind of futex call, each at a word of its own, and writes a line for each into FILE:
 *
 *   ADDRESS OPERATION VALUE FLAGS WHY		hexadecimal; op and flags as EV_FUTEX has them; WHY as EV_WAKE has it; then a name
 *
 * A helper ends the waits that no time limit does. The two meet by polling, so that there are no other futexes.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FLAG_TIMEOUT 4 /* FX_TIMEOUT, FX_VECTOR of bpf/events.h */
#define FLAG_VECTOR 8
#define NR_FUTEX_WAITV 449
#define NR_FUTEX_WAIT 455
#define OP_LOCK_PI2 13
#define SIZE_U32 2
#define LIMIT_MS \
	100 /* no call may find its time limit behind it already: an emulated machine stands still for 20 ms at times */

enum why { WOKEN = 1, TIMEOUT, SIGNAL };

/* As struct futex_waitv. */
struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

/* A word, and what stands beside it: a line of the cache. */
struct word {
	_Atomic uint32_t word;
	uint32_t beside[15];
} __attribute__((aligned(64)));

static struct word words[64];
static unsigned int nr_words;
static FILE *out;
static pthread_t main_thread, helper_thread;

/* What the helper does until `done`, then it sets `ready`. */
static struct {
	enum { REST, WAKE, WAKE_SHARED, KILL, HOLD_PI, QUIT } job;
	struct word *word;
	uint32_t op;
} job;
static atomic_int given, done, ready;

static long futex(struct word *w, uint32_t op, uint32_t val, const struct timespec *ts)
{
	return syscall(SYS_futex, &w->word, op, val, ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void poll_for(atomic_int *what)
{
	while (!atomic_load(what))
		usleep(200);
	atomic_store(what, 0);
}

/* The owner of a PI word while somebody waits for it, for a while. */
static void hold_pi(void)
{
	uint32_t unlock = FUTEX_UNLOCK_PI | (job.op & FUTEX_PRIVATE_FLAG);

	while (!(atomic_load(&job.word->word) & FUTEX_WAITERS) && !atomic_load(&done))
		usleep(1000);
	usleep(3000);
	if (job.job == HOLD_PI)
		futex(job.word, unlock, 0, NULL);
}

static void *helper(void *arg)
{
	(void)arg;
	while (poll_for(&given), job.job != QUIT) {
		if (job.job == HOLD_PI) {
			atomic_store(&job.word->word, (uint32_t)gettid());
			atomic_store(&ready, 1);
			hold_pi();
		}
		while (!atomic_load(&done)) {
			usleep(3000);
			if (atomic_load(&done))
				break;
			if (job.job == WAKE)
				futex(job.word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL);
			else if (job.job == WAKE_SHARED)
				futex(job.word, FUTEX_WAKE, 1, NULL);
			else if (job.job == KILL)
				pthread_kill(main_thread, SIGUSR1);
		}
		atomic_store(&done, 0);
		atomic_store(&ready, 1);
	}
	return NULL;
}

static void begin(int what, struct word *w, uint32_t op)
{
	job.job = what;
	job.word = w;
	job.op = op;
	atomic_store(&given, 1);
	if (what == HOLD_PI)
		poll_for(&ready);
}

static void end(void)
{
	atomic_store(&done, 1);
	poll_for(&ready);
}

static struct word *next_word(uint32_t value)
{
	struct word *w = &words[nr_words++];

	w->word = value;
	for (unsigned int i = 0; i < 15; i++)
		w->beside[i] = 0x1000 * nr_words + i;
	return w;
}

static void told(const struct word *w, uint32_t op, uint32_t val, uint32_t flags, enum why why,
		 const char *name)
{
	fprintf(out, "%lx %x %x %x %x %s\n", (unsigned long)w, op, val, flags, why, name);
}

static struct timespec later(clockid_t clock, long ms)
{
	struct timespec ts = { 0 };

	if (clock >= 0)
		clock_gettime(clock, &ts);
	ts.tv_nsec += ms * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/* Waits until the word is woken or, as `why` says, a limit or signal ends it. `clock` < 0: a relative limit. */
static void wait_for(const char *name, uint32_t op, enum why why, clockid_t clock)
{
	struct word *w = next_word(7 + nr_words);
	struct timespec ts = later(clock, LIMIT_MS);
	bool private = op & FUTEX_PRIVATE_FLAG;
	uint32_t val = w->word;

	begin(why == WOKEN ? (private ? WAKE : WAKE_SHARED) : why == SIGNAL ? KILL : REST, w, op);
	futex(w, op, val, why == TIMEOUT ? &ts : NULL);
	end();
	told(w, op, val, why == TIMEOUT ? FLAG_TIMEOUT : 0, why, name);
}

static void lock_pi(const char *name, uint32_t op, enum why why, clockid_t clock)
{
	struct word *w = next_word(0);
	struct timespec ts = later(clock, LIMIT_MS);

	begin(HOLD_PI, w, op);
	if (why == TIMEOUT)
		job.job = REST; /* it keeps it */
	futex(w, op, 0, why == TIMEOUT ? &ts : NULL);
	end();
	told(w, op, 0, why == TIMEOUT ? FLAG_TIMEOUT : 0, why, name);
}

static void requeue_pi(void)
{
	struct word *w = next_word(99), *pi = next_word(0);
	struct timespec ts = later(CLOCK_MONOTONIC, LIMIT_MS);

	syscall(SYS_futex, &w->word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 99, &ts, &pi->word, 0);
	told(w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 99, FLAG_TIMEOUT, TIMEOUT, "requeue_pi");
}

static void waitv(const char *name, uint32_t flags, enum why why)
{
	struct word *a = next_word(5), *b = next_word(6);
	struct waitv v[2] = { { 5, (uintptr_t)a, flags, 0 }, { 6, (uintptr_t)b, flags, 0 } };
	struct timespec ts = later(CLOCK_MONOTONIC, LIMIT_MS);
	long r;

	begin(why == TIMEOUT ? REST : flags & FUTEX_PRIVATE_FLAG ? WAKE : WAKE_SHARED, b, flags);
	r = syscall(NR_FUTEX_WAITV, v, 2, 0, why == TIMEOUT ? &ts : NULL, CLOCK_MONOTONIC);
	if (r >= 0 || errno != ENOSYS)
		told(a, flags, 5, FLAG_VECTOR | (why == TIMEOUT ? FLAG_TIMEOUT : 0), why, name);
	end();
}

static void futex2(const char *name, uint32_t flags, enum why why)
{
	struct word *w = next_word(11);
	struct timespec ts = later(CLOCK_MONOTONIC, LIMIT_MS);
	long r;

	begin(why == TIMEOUT ? REST : flags & FUTEX_PRIVATE_FLAG ? WAKE : WAKE_SHARED, w, flags);
	r = syscall(NR_FUTEX_WAIT, &w->word, 11ul, ~0ul & 0xffffffff, flags,
		    why == TIMEOUT ? &ts : NULL, CLOCK_MONOTONIC);
	if (r >= 0 || errno != ENOSYS)
		told(w, flags, 11, why == TIMEOUT ? FLAG_TIMEOUT : 0, why, name);
	end();
}

static void nothing(int signal)
{
	(void)signal;
}

static void alarmed(void)
{
	struct itimerval in = { .it_value = { .tv_usec = 5000 } };
	struct word *w = next_word(77);

	setitimer(ITIMER_REAL, &in, NULL);
	futex(w, FUTEX_WAIT_PRIVATE, 77, NULL);
	told(w, FUTEX_WAIT_PRIVATE, 77, 0, SIGNAL, "alarm");
}

/* Not one of these blocks: their word is another already. */
static void changed(void)
{
	struct word *w = next_word(1);

	for (int i = 0; i < 1000; i++)
		futex(w, FUTEX_WAIT_PRIVATE, 2, NULL);
	fprintf(out, "%lx 0 0 0 0 changed\n", (unsigned long)w);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = nothing };

	if (argc != 2 || !(out = fopen(argv[1], "w")))
		return 99;
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	main_thread = pthread_self();
	if (pthread_create(&helper_thread, NULL, helper, NULL))
		return 99;
	wait_for("wait", FUTEX_WAIT_PRIVATE, WOKEN, -1);
	wait_for("wait_shared", FUTEX_WAIT, WOKEN, -1);
	wait_for("wait_timeout", FUTEX_WAIT_PRIVATE, TIMEOUT, -1);
	wait_for("wait_signal", FUTEX_WAIT_PRIVATE, SIGNAL, -1);
	wait_for("bitset", FUTEX_WAIT_BITSET_PRIVATE, WOKEN, -1);
	wait_for("bitset_timeout", FUTEX_WAIT_BITSET_PRIVATE, TIMEOUT, CLOCK_MONOTONIC);
	wait_for("bitset_realtime", FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, TIMEOUT,
		 CLOCK_REALTIME);
	wait_for("bitset_signal", FUTEX_WAIT_BITSET, SIGNAL, -1);
	alarmed();
	changed();
	lock_pi("lock_pi", FUTEX_LOCK_PI_PRIVATE, WOKEN, -1);
	lock_pi("lock_pi_shared", FUTEX_LOCK_PI, WOKEN, -1);
	lock_pi("lock_pi_timeout", FUTEX_LOCK_PI_PRIVATE, TIMEOUT, CLOCK_REALTIME);
	lock_pi("lock_pi2", OP_LOCK_PI2 | FUTEX_PRIVATE_FLAG, TIMEOUT, CLOCK_MONOTONIC);
	requeue_pi();
	waitv("waitv", SIZE_U32 | FUTEX_PRIVATE_FLAG, WOKEN);
	waitv("waitv_shared", SIZE_U32, WOKEN);
	waitv("waitv_timeout", SIZE_U32 | FUTEX_PRIVATE_FLAG, TIMEOUT);
	futex2("futex2", SIZE_U32 | FUTEX_PRIVATE_FLAG, WOKEN);
	futex2("futex2_shared", SIZE_U32, WOKEN);
	futex2("futex2_timeout", SIZE_U32 | FUTEX_PRIVATE_FLAG, TIMEOUT);
	begin(QUIT, NULL, 0);
	if (fclose(out))
		return 99;
	_exit(0);
}
