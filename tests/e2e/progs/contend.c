// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a tracer costs a program with locks: contend uncontended N, contend contended THREADS MS, contend lightly THREADS MS US, contend
 * ring THREADS N, contend calls THREADS N. Prints one number, and its unit.
 *
 *   uncontended   one thread locks and unlocks: no system call is made, so a tracer should cost nothing    ns/pair
 *   contended     an empty section: a futex call for many a pair, the worst case                           ops/s
 *   lightly       the same with US of work of each thread's own between two sections                       ops/s
 *   calls         the same until N futex calls were made, or for a second, and the kernel's time for them   us in N calls
 *   ring          each thread waits for its turn in a futex call and wakes the next: two calls a turn, always    us/turn
 */
#include "facts.h"

#include <linux/futex.h>

static pthread_mutex_t contended_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int ready;
static atomic_bool over;
static uint64_t between_ns;

static void *idler(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void do_uncontended(const long *n)
{
	long pairs = n[0] > 0 ? n[0] : 20000000;
	uint64_t began_ns;

	start(idler,
	      NULL); /* alone in its process, a thread's lock is not even an atomic operation */
	began_ns = wall();
	for (long i = 0; i < pairs; i++) {
		pthread_mutex_lock(&contended_lock);
		pthread_mutex_unlock(&contended_lock);
	}
	printf("%.2f ns/pair\n", (double)(wall() - began_ns) / (double)pairs);
}

static void *contender(void *arg)
{
	uint64_t *operations = arg, nr = 0;

	atomic_fetch_sub(&ready, 1);
	while (atomic_load(&ready) > 0)
		rest(200 * USEC);
	for (; !atomic_load_explicit(&over, memory_order_relaxed); nr++) {
		pthread_mutex_lock(&contended_lock);
		pthread_mutex_unlock(&contended_lock);
		if (between_ns)
			burn(between_ns);
	}
	*operations = nr;
	return NULL;
}

static void contend(const long *n)
{
	uint64_t operations[64] = { 0 }, total = 0, began_ns;
	int threads = n[0] > 0 && n[0] <= 64 ? (int)n[0] : 8;
	pthread_t t[64];

	atomic_store(&ready, threads + 1);
	for (int i = 0; i < threads; i++)
		t[i] = start(contender, &operations[i]);
	while (atomic_load(&ready) > 1)
		rest(200 * USEC);
	atomic_fetch_sub(&ready, 1);
	began_ns = wall();
	rest((n[1] > 0 ? (uint64_t)n[1] : 1000) * MSEC);
	atomic_store(&over, true);
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		total += operations[i];
	}
	printf("%.0f ops/s\n", (double)total * 1e9 / (double)(wall() - began_ns));
}

static void do_contended(const long *n)
{
	contend(n);
}

static void do_lightly(const long *n)
{
	between_ns = (n[2] > 0 ? (uint64_t)n[2] : 20) * USEC;
	contend(n);
}

/*
 * glibc's mutex, word for word (nptl's lll_lock and lll_unlock: 0 free, 1 taken, 2 taken and somebody may wait), but that it counts its
 * system calls. How many there are differs by a factor of a hundred from run to run and from tracer to tracer, so that no wall time is to
 * be compared: who is slowed down in its call leaves the lock to who has it, and the program may end sooner for it.
 */
static _Alignas(64) atomic_int counted_lock;
static _Alignas(64) atomic_ulong counted;

static void counted_wait(void)
{
	atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
	syscall(SYS_futex, &counted_lock, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void counted_take(void)
{
	int word = 0;

	if (atomic_compare_exchange_strong(&counted_lock, &word, 1))
		return;
	if (word == 2)
		counted_wait();
	while (atomic_exchange(&counted_lock, 2))
		counted_wait();
}

static void counted_leave(void)
{
	if (atomic_exchange(&counted_lock, 0) == 1)
		return;
	atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
	syscall(SYS_futex, &counted_lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *counted_contender(void *arg)
{
	unsigned long wanted = *(const unsigned long *)arg;

	atomic_fetch_sub(&ready, 1);
	while (atomic_load(&ready) > 0)
		rest(200 * USEC);
	while (atomic_load_explicit(&counted, memory_order_relaxed) < wanted &&
	       !atomic_load_explicit(&over, memory_order_relaxed)) {
		counted_take();
		counted_leave();
	}
	atomic_store(&over, true);
	return NULL;
}

static uint64_t system_ns(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (uint64_t)ru.ru_stime.tv_sec * 1000000000ull + (uint64_t)ru.ru_stime.tv_usec * 1000;
}

static void do_calls(const long *n)
{
	int threads = n[0] > 0 && n[0] <= 64 ? (int)n[0] : 8;
	unsigned long wanted = n[1] > 0 ? (unsigned long)n[1] : 20000;
	uint64_t began_ns, end_ns;
	pthread_t t[64];

	atomic_store(&ready, threads + 1);
	for (int i = 0; i < threads; i++)
		t[i] = start(counted_contender, &wanted);
	while (atomic_load(&ready) > 1)
		rest(200 * USEC);
	began_ns = system_ns();
	end_ns = wall() + 1000 * MSEC;
	atomic_fetch_sub(&ready, 1);
	while (!atomic_load(&over) && wall() < end_ns)
		rest(MSEC);
	atomic_store(&over, true);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("%.0f us in %lu calls\n", (double)(system_ns() - began_ns) / 1e3,
	       atomic_load(&counted));
}

#define MAX_RING 64

static struct {
	_Alignas(64) atomic_uint word;
} turn[MAX_RING];
static unsigned int ring_threads;
static unsigned long ring_turns;

static void *ring_member(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg, next = (me + 1) % ring_threads;

	for (unsigned long i = 0; i < ring_turns; i++) {
		while (!atomic_load(&turn[me].word))
			syscall(SYS_futex, &turn[me].word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
		atomic_store(&turn[me].word, 0);
		atomic_store(&turn[next].word, 1);
		syscall(SYS_futex, &turn[next].word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

static void do_ring(const long *n)
{
	pthread_t t[MAX_RING];
	uint64_t began_ns;

	ring_threads = n[0] > 0 && n[0] <= MAX_RING ? (unsigned int)n[0] : 8;
	ring_turns = (n[1] > 0 ? (unsigned long)n[1] : 100000) / ring_threads;
	for (unsigned int i = 0; i < ring_threads; i++)
		t[i] = start(ring_member, (void *)(uintptr_t)i);
	rest(20 * MSEC); /* until all wait */
	began_ns = wall();
	atomic_store(&turn[0].word, 1);
	syscall(SYS_futex, &turn[0].word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	for (unsigned int i = 0; i < ring_threads; i++)
		pthread_join(t[i], NULL);
	printf("%.3f us/turn\n",
	       (double)(wall() - began_ns) / 1e3 / (double)(ring_turns * ring_threads));
}

static const struct workload workloads[] = {
	{ "ring", do_ring },           { "calls", do_calls },     { "uncontended", do_uncontended },
	{ "contended", do_contended }, { "lightly", do_lightly },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
