// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the scheduler's own work costs: see direct_cost.h.
 *
 * Two threads pass a turn to and fro, `trips` times; such a batch is one measurement, and the median of the batches is shown: what
 * disturbs a moment disturbs a batch or two.
 */
#include "strategy/direct_cost.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "strategy/pinned.h"

#define MAX_SAMPLES 128

enum pass { PASS_YIELD, PASS_PIPE, PASS_FUTEX };

struct pair {
	enum pass pass;
	int cpu[2];
	unsigned int trips;
	int pipe[2][2]; /* [i]: from side i */
	atomic_uint turn;
	atomic_int gate;
	atomic_uint ready;
	int64_t cpu_ns[2], begin_ns[2], end_ns[2];
	long switches[2];
	int error[2];
};

struct side {
	struct pair *pair;
	int which;
};

static long futex(atomic_uint *word, int op, unsigned int value)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static long switches_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

static int pass_pipe(struct pair *p, int which)
{
	char byte = 0;

	if (!which && write(p->pipe[0][1], &byte, 1) != 1)
		return errno;
	if (read(p->pipe[!which][0], &byte, 1) != 1)
		return errno ?: EPIPE;
	return which && write(p->pipe[1][1], &byte, 1) != 1 ? errno : 0;
}

static void pass_futex(struct pair *p, int which)
{
	while (atomic_load(&p->turn) != (unsigned int)which)
		futex(&p->turn, FUTEX_WAIT, (unsigned int)!which);
	atomic_store(&p->turn, (unsigned int)!which);
	futex(&p->turn, FUTEX_WAKE, 1);
}

static int pass_turns(struct pair *p, int which)
{
	int r = 0;

	for (unsigned int i = 0; i < p->trips && !r; i++) {
		if (p->pass == PASS_YIELD)
			sched_yield();
		else if (p->pass == PASS_FUTEX)
			pass_futex(p, which);
		else
			r = pass_pipe(p, which);
	}
	return r;
}

static void *side_main(void *arg)
{
	struct side *side = arg;
	struct pair *p = side->pair;
	int which = side->which;
	long switches;
	int64_t cpu;

	p->error[which] = pinned_to(p->cpu[which]);
	atomic_fetch_add(&p->ready, 1);
	while (!atomic_load(&p->gate))
		sched_yield();
	if (atomic_load(&p->gate) < 0)
		return NULL;
	switches = switches_now();
	cpu = (int64_t)clock_ns(CLOCK_THREAD_CPUTIME_ID);
	p->begin_ns[which] = (int64_t)monotonic_ns();
	if (!p->error[which])
		p->error[which] = pass_turns(p, which);
	p->end_ns[which] = (int64_t)monotonic_ns();
	p->cpu_ns[which] = (int64_t)clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	p->switches[which] = switches_now() - switches;
	return NULL;
}

/* Both threads, from their making to their end. 0 or a positive errno. */
static int run_pair(struct pair *p)
{
	struct side side[2] = { { p, 0 }, { p, 1 } };
	pthread_t thread[2];
	int started, r = 0;

	atomic_store(&p->turn, 0);
	atomic_store(&p->ready, 0);
	atomic_store(&p->gate, 0);
	for (started = 0; started < 2; started++) {
		r = pthread_create(&thread[started], NULL, side_main, &side[started]);
		if (r)
			break;
	}
	while (!r && atomic_load(&p->ready) < 2)
		sched_yield();
	/* A side that is not where it should be would leave the other one waiting for it. */
	if (!r)
		r = p->error[0] ?: p->error[1];
	atomic_store(&p->gate, r ? -1 : 1);
	for (int i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	return r ?: p->error[0] ?: p->error[1];
}

/* Of one batch: ns for each turn that was passed; negative: it tells nothing. */
static double cost_of(const struct pair *p)
{
	double passed = 2.0 * p->trips;

	if (p->pass == PASS_YIELD) {
		/* not every yield finds the other one ready */
		passed = (double)(p->switches[0] + p->switches[1]);
		if (passed < p->trips)
			return -1;
	}
	if (p->cpu[0] == p->cpu[1])
		return (double)(p->cpu_ns[0] + p->cpu_ns[1]) / passed;
	return (double)(p->end_ns[0] - p->begin_ns[0]) / passed;
}

static int measure_pair(struct pair *p, unsigned int batches, struct estimate *ret)
{
	double value[MAX_SAMPLES];
	size_t nr = 0;
	int r = 0;

	for (unsigned int i = 0; i < batches && !r; i++) {
		r = run_pair(p);
		value[nr] = r ? -1 : cost_of(p);
		nr += value[nr] >= 0;
	}
	/* where a third of the batches tells nothing, the others are no fair sample */
	*ret = median_of(value, 3 * nr >= 2 * batches ? nr : 0);
	return r;
}

static int on_one_cpu(int cpu, bool quick, struct direct_costs *ret)
{
	struct pair p = { .cpu = { cpu, cpu }, .trips = 200, .pipe = { { -1, -1 }, { -1, -1 } } };
	unsigned int batches = quick ? 7 : 25;
	int r;

	p.pass = PASS_YIELD;
	r = measure_pair(&p, batches, &ret->yield);
	p.pass = PASS_FUTEX;
	r = r ?: measure_pair(&p, batches, &ret->handover);
	if (!r && (pipe(p.pipe[0]) || pipe(p.pipe[1])))
		r = errno;
	p.pass = PASS_PIPE;
	r = r ?: measure_pair(&p, batches, &ret->pipe);
	for (int i = 0; i < 4; i++)
		if (p.pipe[i / 2][i % 2] >= 0)
			close(p.pipe[i / 2][i % 2]);
	return r;
}

/* ---- a wake-up across CPUs ---- */

struct sleeper {
	int cpu, error;
	unsigned int rounds;
	atomic_uint word;         /* the round that it may run in */
	atomic_uint asleep;       /* the round that it is about to wait for */
	atomic_uint_least64_t ns; /* when it ran again */
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	s->error = pinned_to(s->cpu);
	for (unsigned int round = 1; round <= s->rounds; round++) {
		atomic_store(&s->asleep, round);
		while (atomic_load(&s->word) != round)
			futex(&s->word, FUTEX_WAIT, round - 1);
		atomic_store(&s->ns, monotonic_ns());
	}
	atomic_store(&s->asleep, s->rounds + 1);
	return NULL;
}

static void spin_until(uint64_t ns)
{
	while (monotonic_ns() < ns)
		;
}

struct waker {
	struct sleeper *sleeper;
	int cpu, error;
	double value[MAX_SAMPLES];
};

static void *waker_main(void *arg)
{
	struct waker *w = arg;
	struct sleeper *s = w->sleeper;

	w->error = w->cpu < 0 ? 0 : pinned_to(w->cpu);
	for (unsigned int round = 1; round <= s->rounds; round++) {
		uint64_t woken_ns;

		while (atomic_load(&s->asleep) != round)
			sched_yield();
		spin_until(monotonic_ns() + 100000); /* until it truly sleeps, and its CPU too */
		woken_ns = monotonic_ns();
		atomic_store(&s->word, round);
		futex(&s->word, FUTEX_WAKE, 1);
		while (atomic_load(&s->asleep) != round + 1)
			sched_yield();
		w->value[round - 1] = (double)(atomic_load(&s->ns) - woken_ns);
	}
	return NULL;
}

static int measure_wakeup(const int cpu[2], unsigned int rounds, struct estimate *ret)
{
	struct sleeper s = { .cpu = cpu[1], .rounds = rounds };
	struct waker w = { .cpu = cpu[0], .sleeper = &s };
	pthread_t sleeper, waker;
	int r = pthread_create(&sleeper, NULL, sleeper_main, &s);

	if (r)
		return r;
	r = pthread_create(&waker, NULL, waker_main, &w);
	if (r) {
		/* The sleeper must not stay: this thread wakes it, from wherever it is, and nothing is measured. */
		w.cpu = -1;
		waker_main(&w);
	} else {
		pthread_join(waker, NULL);
	}
	pthread_join(sleeper, NULL);
	r = r ?: s.error ?: w.error;
	*ret = median_of(w.value, r ? 0 : rounds);
	return r;
}

static int across_cpus(const struct topology *t, bool quick, struct direct_costs *ret)
{
	int r = 0;

	for (int d = 0; d < DISTANCE_NR && !r; d++) {
		struct pair p = { .pass = PASS_FUTEX, .trips = 20 };
		unsigned int at[2];

		if (topology_pair(t, d, at))
			continue;
		p.cpu[0] = t->cpu[at[0]].cpu;
		p.cpu[1] = t->cpu[at[1]].cpu;
		r = measure_pair(&p, quick ? 7 : 15, &ret->handover_across[d]);
		r = r ?: measure_wakeup(p.cpu, quick ? 31 : 101, &ret->wakeup[d]);
	}
	return r;
}

/* ---- threads and processes ---- */

static void *end_at_once(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, end_at_once, NULL);

	return r ?: pthread_join(thread, NULL);
}

static int collect(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : ECHILD;
}

static int make_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 ? errno : collect(pid);
}

static int make_exec(void)
{
	static char name[] = "true";
	char *argv[] = { name, NULL }, *envp[] = { NULL };
	pid_t pid;
	int r = posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp);

	return r ?: collect(pid);
}

/* Not known where it cannot be done (a limit on processes, no /bin/true): nothing else depends on it. */
static struct estimate measure_making(int (*make)(void), unsigned int times)
{
	double value[MAX_SAMPLES];

	for (unsigned int i = 0; i < times; i++) {
		uint64_t begin = monotonic_ns();

		if (make())
			return (struct estimate){};
		value[i] = (double)(monotonic_ns() - begin);
	}
	return median_of(value, times);
}

int direct_costs_measure(const struct topology *t, bool quick, struct direct_costs *ret,
			 struct err *err)
{
	int r;

	*ret = (struct direct_costs){};
	if (!t->nr)
		return err_set(err, -EINVAL, "cannot measure what a switch costs: no CPU is known");
	r = on_one_cpu(t->cpu[0].cpu, quick, ret);
	r = r ?: across_cpus(t, quick, ret);
	if (r)
		return err_sys(err, -r, "cannot measure what switches and wake-ups cost");
	ret->thread = measure_making(make_thread, quick ? 31 : 101);
	ret->fork = measure_making(make_fork, quick ? 15 : 51);
	ret->exec = measure_making(make_exec, quick ? 9 : 31);
	return 0;
}
