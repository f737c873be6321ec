// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that scale in a way that is known by design. Each thread that works appends a line "worker" to the facts (facts.h): when it
 * began and ended and the CPU time in between, by its own clocks.
 *
 *   imbalance MS          two threads, each on a CPU of its own: 90 % and 10 % of the work
 *   oversubscribed MS     eight threads on one CPU, all of them busy for so long
 *   apart N / together N  two threads count N times, each in a line of memory of its own / both in one line (false sharing)
 *   atomic N              both add to one number, N times each
 *   alone N, atomic_alone N    the same work (2 N), by one thread
 *   spawned N             N threads, one after the other is made, each counts a little
 *   pipes N               two threads on one CPU hand a byte to and fro through pipes, N times
 *   pipes_alone N         one thread makes the same calls to pipes that never block
 *   memory N BYTES        two threads each walk N times through their own memory, in no order
 *   memory_alone N BYTES  one thread walks through both
 */
#include "facts.h"

#define LINE 64
#define THREADS 8

struct worker {
	int index;
	long n, bytes;
	uint64_t begin_ns, end_ns, cpu_ns;
	pid_t tid;
	void (*work)(struct worker *w);
};

static pthread_barrier_t barrier;
static bool on_barrier;

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->tid = gettid_();
	if (on_barrier)
		pthread_barrier_wait(&barrier);
	w->begin_ns = wall();
	w->cpu_ns = cpu();
	w->work(w);
	w->cpu_ns = cpu() - w->cpu_ns;
	w->end_ns = wall();
	return NULL;
}

static void tell(const struct worker *w, size_t nr, uint64_t t0)
{
	fact("run", ",\"t0_ns\":%llu,\"t1_ns\":%llu", (unsigned long long)t0,
	     (unsigned long long)wall());
	for (size_t i = 0; i < nr; i++)
		fact("worker", ",\"worker\":%d,\"begin_ns\":%llu,\"end_ns\":%llu,\"cpu_ns\":%llu",
		     (int)w[i].tid, (unsigned long long)w[i].begin_ns,
		     (unsigned long long)w[i].end_ns, (unsigned long long)w[i].cpu_ns);
}

/* nr threads at once, from a barrier on. */
static void run_workers(void (*work)(struct worker *w), size_t nr, long n, long bytes)
{
	struct worker w[THREADS] = { { 0 } };
	pthread_t thread[THREADS];
	uint64_t t0 = wall();

	on_barrier = nr > 1;
	pthread_barrier_init(&barrier, NULL, (unsigned int)nr);
	for (size_t i = 0; i < nr; i++) {
		w[i] = (struct worker){ .index = (int)i, .n = n, .bytes = bytes, .work = work };
		thread[i] = start(worker_main, &w[i]);
	}
	for (size_t i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	tell(w, nr, t0);
}

/* ---- imbalance, oversubscribed ---- */

static void nine_to_one(struct worker *w)
{
	pin(w->index);
	burn((uint64_t)w->n * MSEC * (w->index ? 1 : 9) / 10);
}

static void do_imbalance(const long *n)
{
	run_workers(nine_to_one, 2, n[0], 0);
}

static void busy_until(struct worker *w)
{
	uint64_t end = w->begin_ns + (uint64_t)w->n * MSEC;

	while (wall() < end)
		;
}

static void do_oversubscribed(const long *n)
{
	if (!pin(0))
		die("pin");
	run_workers(busy_until, THREADS, n[0], 0);
}

/* ---- numbers in memory ---- */

static struct {
	_Alignas(4096) volatile uint64_t line[2][LINE / 8 * 4]; /* far from each other */
	_Alignas(4096) volatile uint64_t one[2];                /* side by side */
	_Alignas(4096) atomic_ulong sum;
} numbers;

static void count_apart(struct worker *w)
{
	pin(w->index);
	for (long i = 0; i < w->n; i++)
		numbers.line[w->index][0]++;
}

static void count_together(struct worker *w)
{
	pin(w->index);
	for (long i = 0; i < w->n; i++)
		numbers.one[w->index]++;
}

static void count_atomic(struct worker *w)
{
	pin(w->index);
	for (long i = 0; i < w->n; i++)
		atomic_fetch_add(&numbers.sum, 1);
}

static void do_apart(const long *n)
{
	run_workers(count_apart, 2, n[0], 0);
}

static void do_together(const long *n)
{
	run_workers(count_together, 2, n[0], 0);
}

static void do_atomic(const long *n)
{
	run_workers(count_atomic, 2, n[0], 0);
	if (atomic_load(&numbers.sum) != 2 * (unsigned long)n[0])
		_exit(97);
}

static void do_alone(const long *n)
{
	run_workers(count_apart, 1, 2 * n[0], 0);
}

static void do_atomic_alone(const long *n)
{
	run_workers(count_atomic, 1, 2 * n[0], 0);
}

/* ---- spawned ---- */

static void count_little(struct worker *w)
{
	for (volatile int i = 0; i < 1000; i++)
		;
	(void)w;
}

static void do_spawned(const long *n)
{
	size_t nr = (size_t)n[0];
	struct worker *w = calloc(nr, sizeof(*w));
	pthread_t *thread = calloc(nr, sizeof(*thread));
	uint64_t t0 = wall();

	if (!w || !thread)
		die("calloc");
	for (size_t i = 0; i < nr; i++) {
		w[i] = (struct worker){ .index = (int)i, .work = count_little };
		thread[i] = start(worker_main, &w[i]);
	}
	for (size_t i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
	tell(w, nr, t0);
	free(thread);
	free(w);
}

/* ---- pipes ---- */

static int to[2], fro[2];

static void pass_byte(int from, int into)
{
	char byte = 0;

	if (write(into, &byte, 1) != 1 || read(from, &byte, 1) != 1)
		die("pipe");
}

static void hand_over(struct worker *w)
{
	char byte = 0;

	for (long i = 0; i < w->n; i++) {
		if (!w->index)
			pass_byte(fro[0], to[1]);
		else if (read(to[0], &byte, 1) != 1 || write(fro[1], &byte, 1) != 1)
			die("pipe");
	}
}

static void hand_to_itself(struct worker *w)
{
	for (long i = 0; i < w->n; i++) {
		pass_byte(to[0], to[1]);
		pass_byte(fro[0], fro[1]);
	}
}

static void pipes(void (*work)(struct worker *w), size_t nr, long n)
{
	if (!pin(0) || pipe(to) || pipe(fro))
		die("pipes");
	run_workers(work, nr, n, 0);
}

static void do_pipes(const long *n)
{
	pipes(hand_over, 2, n[0]);
}

static void do_pipes_alone(const long *n)
{
	pipes(hand_to_itself, 1, n[0]);
}

/* ---- memory ---- */

struct step {
	struct step *next;
	char rest[LINE - 8];
};

static struct step *steps[2];

/* A ring through all of it, always the same, in an order that cannot be foreseen. */
static void lay_steps(int which, long bytes)
{
	size_t nr = (size_t)bytes / sizeof(struct step), *order = calloc(nr, sizeof(*order));
	uint64_t random = 1;

	steps[which] = aligned_alloc(4096, nr * sizeof(struct step));
	if (!order || !steps[which])
		die("memory");
	for (size_t i = 0; i < nr; i++)
		order[i] = i;
	for (size_t i = nr - 1; i > 0; i--) {
		size_t k, other;

		random = random * 6364136223846793005u + 1442695040888963407u;
		k = (random >> 33) % i;
		other = order[k];
		order[k] = order[i];
		order[i] = other;
	}
	for (size_t i = 0; i < nr; i++)
		steps[which][order[i]].next = &steps[which][order[(i + 1) % nr]];
	free(order);
}

static void walk(const struct step *first, long times)
{
	const struct step *volatile at = first;

	for (long i = 0; i < times; i++)
		do
			at = at->next;
		while (at != first);
}

static void walk_own(struct worker *w)
{
	pin(w->index);
	walk(steps[w->index], w->n);
}

static void walk_both(struct worker *w)
{
	pin(0);
	walk(steps[0], w->n);
	walk(steps[1], w->n);
}

static void lay_both(long bytes)
{
	lay_steps(0, bytes);
	lay_steps(1, bytes);
}

static void do_memory(const long *n)
{
	lay_both(n[1]);
	run_workers(walk_own, 2, n[0], n[1]);
}

static void do_memory_alone(const long *n)
{
	lay_both(n[1]);
	run_workers(walk_both, 1, n[0], n[1]);
}

static const struct workload workloads[] = {
	{ "imbalance", do_imbalance }, { "oversubscribed", do_oversubscribed },
	{ "apart", do_apart },         { "together", do_together },
	{ "atomic", do_atomic },       { "alone", do_alone },
	{ "spawned", do_spawned },     { "atomic_alone", do_atomic_alone },
	{ "pipes", do_pipes },         { "pipes_alone", do_pipes_alone },
	{ "memory", do_memory },       { "memory_alone", do_memory_alone },
};

int main(int argc, char **argv)
{
	return facts_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
