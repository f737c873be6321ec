// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parallelism profile and criticality: small traces whose answer can be read off, and random ones (sched_sim.h) against a slow
 * walk over the simulator's truth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#include "analysis/parallelism.h"
#include "sched_sim.h"
#include "trace_text.h"

struct run {
	struct ledger *ledger;
	struct parallelism *p;
};

static void run_text(struct run *run, const char *text)
{
	struct err err;

	assert_int_equal(ledger_new(ARCH_X86_64, 4, &run->ledger, &err), 0);
	assert_int_equal(parallelism_new(run->ledger, &run->p), 0);
	trace_text_feed(run->ledger, text);
	ledger_finish(run->ledger, 0);
	assert_int_equal(parallelism_finish(run->p), 0);
}

static void run_free(struct run *run)
{
	parallelism_free(run->p);
	ledger_free(run->ledger);
}

static const struct parallelism_thread *find(const struct parallelism *p, uint32_t serial)
{
	for (size_t i = 0; i < p->nr; i++)
		if (p->thread[i].thread->serial == serial)
			return &p->thread[i];
	return NULL;
}

static uint64_t sum(const uint64_t *ns, size_t nr)
{
	uint64_t total = 0;

	for (size_t k = 0; k < nr; k++)
		total += ns[k];
	return total;
}

/* 90 and 10 at once, then the longer one alone: 10/2 each while both run, and 80 more for it. */
static void test_imbalance(void **state)
{
	struct parallelism_pop pop;
	struct run run;

	(void)state;
	run_text(&run, "0 cpu0 snap A tid=1 oncpu\n"
		       "0 cpu1 snap B tid=2 oncpu\n"
		       "10 cpu1 switch B/X idle\n"
		       "90 cpu0 switch A/X idle\n");
	assert_int_equal(run.p->levels, 3);
	assert_int_equal(run.p->running_ns[0], 0);
	assert_int_equal(run.p->running_ns[1], 80);
	assert_int_equal(run.p->running_ns[2], 10);
	assert_int_equal(run.p->busy_ns, 90);
	assert_int_equal(run.p->work_ns, 100);
	assert_int_equal(find(run.p, 1)->criticality_ns, 85);
	assert_int_equal(find(run.p, 2)->criticality_ns, 5);
	assert_int_equal(run.p->thread[0].thread->serial, 1);
	parallelism_pop(run.p, &pop);
	assert_int_equal(pop.workers, 2);
	assert_float_equal(pop.load_balance, 50.0 / 90, 1e-6);
	assert_float_equal(pop.communication, 1, 1e-6);
	assert_float_equal(pop.parallel, 50.0 / 90, 1e-6);
	run_free(&run);
}

/* What does not divide is not lost: 100 ns of three at once are 33, 33 and 34. */
static void test_thirds(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, "0 cpu0 snap A tid=1 oncpu\n"
		       "0 cpu1 snap B tid=2 oncpu\n"
		       "0 cpu2 snap C tid=3 oncpu\n"
		       "100 cpu0 switch A/X idle\n"
		       "100 cpu1 switch B/X idle\n"
		       "100 cpu2 switch C/X idle\n");
	assert_int_equal(run.p->running_ns[3], 100);
	assert_int_equal(find(run.p, 1)->criticality_ns, 33);
	assert_int_equal(find(run.p, 2)->criticality_ns, 33);
	assert_int_equal(find(run.p, 3)->criticality_ns, 34);
	run_free(&run);
}

/* A ready thread is active, not running; one that only made another is no worker. */
static void test_ready_and_coordinator(void **state)
{
	struct parallelism_pop pop;
	struct run run;

	(void)state;
	run_text(&run, "0 cpu0 snap A tid=1 oncpu\n"
		       "10 cpu0 fork A > B tid=2\n"
		       "10 cpu0 wakeup B new by A\n"
		       "20 cpu0 switch A/S:futex B\n"
		       "1020 cpu0 switch B/X idle\n"
		       "1020 cpu0 wakeup A\n"
		       "1030 cpu0 switch idle A\n"
		       "1040 cpu0 switch A/X idle\n");
	assert_int_equal(run.p->running_ns[0], 10);
	assert_int_equal(run.p->running_ns[1], 1030);
	assert_int_equal(run.p->ready_ns[1], 20); /* B for 10, A for 10 */
	assert_int_equal(run.p->active_ns[2], 10);
	assert_int_equal(run.p->active_ns[0], 0);
	assert_true(find(run.p, 1)->coordinator);
	assert_false(find(run.p, 2)->coordinator);
	parallelism_pop(run.p, &pop);
	assert_int_equal(pop.workers, 1);
	assert_int_equal(pop.coordinators, 1);
	assert_float_equal(pop.load_balance, 1, 1e-6);
	assert_float_equal(pop.communication, 1000.0 / 1040, 1e-6);
	run_free(&run);
}

/* A command's life begins with the first thing that happens to it, though its state was known before. */
static void test_begin(void **state)
{
	struct run run;

	(void)state;
	run_text(&run, "0 cpu0 snap A tid=1 target S:read\n"
		       "40 cpu0 wake A by u77\n"
		       "50 cpu0 wakeup A\n"
		       "60 cpu0 switch idle A\n"
		       "70 cpu0 exec A tid=1\n"
		       "100 cpu0 switch A/S:futex idle\n"
		       "120 cpu0 fork A > B tid=2\n"
		       "120 cpu0 wakeup B new by A\n"
		       "130 cpu0 switch idle B\n"
		       "150 cpu0 switch B/X idle\n");
	assert_int_equal(run.p->begin_ns, 40);
	assert_int_equal(run.p->end_ns, 150);
	assert_int_equal(run.p->running_ns[1], 40 + 20);
	assert_int_equal(run.p->running_ns[0], 20 + 30);
	assert_int_equal(run.p->ready_ns[1], 20 + 10);
	assert_int_equal(find(run.p, 1)->running_ns, 40);
	assert_int_equal(find(run.p, 1)->criticality_ns, 40);
	run_free(&run);
}

static void test_nothing(void **state)
{
	struct parallelism_pop pop;
	struct run run;

	(void)state;
	run_text(&run, "");
	assert_int_equal(run.p->levels, 0);
	assert_int_equal(run.p->nr, 0);
	parallelism_pop(run.p, &pop);
	assert_int_equal(pop.workers, 0);
	run_free(&run);
}

/* ---- random traces ---- */

#define fail_unless(seed, what)                                          \
	do {                                                             \
		if (!(what))                                             \
			fail_msg("seed %" PRIu64 ": %s", (seed), #what); \
	} while (0)

static bool holds_sums(const struct parallelism *p, const struct ledger *l)
{
	uint64_t wall = p->end_ns - p->begin_ns, criticality = 0, running = 0;
	uint64_t begin = UINT64_MAX, end = 0;

	for (size_t i = 0; i < ledger_nr_threads(l); i++) {
		const struct thread *t = ledger_thread(l, i);

		if (!t->started)
			continue;
		begin = t->start_ns < begin ? t->start_ns : begin;
		end = t->end_ns > end ? t->end_ns : end;
	}
	for (size_t i = 0; i < p->nr; i++) {
		criticality += p->thread[i].criticality_ns;
		running += p->thread[i].running_ns;
		if (p->thread[i].criticality_ns > p->thread[i].running_ns + p->nr)
			return false;
	}
	for (size_t k = 1; k < p->levels; k++)
		running -= k * p->running_ns[k];
	return sum(p->running_ns, p->levels) == wall && sum(p->ready_ns, p->levels) == wall &&
	       sum(p->active_ns, p->levels) == wall && criticality == p->busy_ns && !running &&
	       p->busy_ns == wall - p->running_ns[0] && p->begin_ns == begin && p->end_ns == end;
}

/* Whatever was lost: each thread's time is the ledger's, and so is that of all that were ready; what is untracked is told. */
static bool is_the_ledgers(const struct parallelism *p)
{
	uint64_t ready = 0, untracked = 0, most = 0;

	for (size_t i = 0; i < p->nr; i++) {
		const uint64_t *ns = p->thread[i].thread->ledger_ns;

		if (p->thread[i].running_ns != ns[CLASS_ONCPU])
			return false;
		ready += ns[CLASS_RUNQ_PREEMPTED] + ns[CLASS_RUNQ_WAKEUP];
		untracked += ns[CLASS_UNTRACKED];
		most = ns[CLASS_UNTRACKED] > most ? ns[CLASS_UNTRACKED] : most;
	}
	for (size_t k = 1; k < p->levels; k++)
		ready -= k * p->ready_ns[k];
	return p->exact && !ready && p->untracked_ns >= most && p->untracked_ns <= untracked;
}

struct edge {
	uint64_t time_ns;
	uint32_t serial;
	int running, ready;
};

static int by_time(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static size_t edges_of(const struct sim_result *sim, struct edge *edge)
{
	size_t nr = 0;

	for (uint32_t serial = 1; serial < SIM_SERIALS; serial++) {
		const struct sim_thread *th = &sim->thread[serial];

		for (size_t i = 0; i < th->nr; i++) {
			enum ledger_class class = th->interval[i].class;
			int running = class == CLASS_ONCPU;
			int ready = class == CLASS_RUNQ_PREEMPTED || class == CLASS_RUNQ_WAKEUP;

			edge[nr++] =
				(struct edge){ th->interval[i].from_ns, serial, running, ready };
			edge[nr++] =
				(struct edge){ th->interval[i].to_ns, serial, -running, -ready };
		}
	}
	qsort(edge, nr, sizeof(*edge), by_time);
	return nr;
}

/*
 * Ready time, ours and the truth. A wake-up that came before the switch-out which it undoes counts from the moment that settled
 * which wait it ended: so ours may be less, never more, and seldom.
 */
static uint64_t ready_sum[2];

/* The same from the simulator's truth, in floating point, all threads looked at in each step. */
static void check_truth(uint64_t seed, const struct sim_result *sim, const struct parallelism *p)
{
	struct edge *edge = calloc(2 * 100000, sizeof(*edge));
	uint64_t running_ns[SIM_SERIALS + 1] = { 0 }, ready_ns[SIM_SERIALS + 1] = { 0 };
	double criticality[SIM_SERIALS] = { 0 };
	int on[SIM_SERIALS] = { 0 }, running = 0, ready = 0;
	size_t nr;

	assert_non_null(edge);
	nr = edges_of(sim, edge);
	for (size_t i = 0; i + 1 < nr; i++) {
		uint64_t dt = edge[i + 1].time_ns - edge[i].time_ns;

		on[edge[i].serial] += edge[i].running;
		running += edge[i].running;
		ready += edge[i].ready;
		running_ns[running] += dt;
		ready_ns[ready] += dt;
		for (int k = 0; running && k < SIM_SERIALS; k++)
			criticality[k] += on[k] ? (double)dt / running : 0;
	}
	free(edge);
	for (size_t k = 0; k < p->levels; k++) {
		fail_unless(seed, p->running_ns[k] == running_ns[k]);
		ready_sum[0] += k * p->ready_ns[k];
		ready_sum[1] += k * ready_ns[k];
	}
	for (size_t i = 0; i < p->nr; i++) {
		double ours = (double)p->thread[i].criticality_ns;
		double slack = (double)sim->thread[p->thread[i].thread->serial].nr + 8;

		/* whole ns: less than one too few or too many for each time on a CPU */
		ours -= criticality[p->thread[i].thread->serial];
		fail_unless(seed, ours <= slack && ours >= -slack);
	}
}

static void run_seed(const struct sim_options *opt)
{
	struct sim_result sim;
	struct run run;
	struct err err;

	sim_run(opt, &sim);
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &run.ledger, &err), 0);
	ledger_epoch(run.ledger, SIM_EPOCH);
	assert_int_equal(parallelism_new(run.ledger, &run.p), 0);
	for (size_t i = 0; i < sim.nr; i++) {
		struct trace_event ev = { sim.event[i].time_ns, sim.event[i].cpu,
					  sim.event[i].rec };

		assert_int_equal(ledger_event(run.ledger, &ev), 0);
	}
	ledger_finish(run.ledger, sim.end_ns);
	assert_int_equal(parallelism_finish(run.p), 0);
	fail_unless(opt->seed, holds_sums(run.p, run.ledger));
	fail_unless(opt->seed, is_the_ledgers(run.p));
	if (!opt->drops && !opt->ties && !opt->holes)
		check_truth(opt->seed, &sim, run.p);
	run_free(&run);
	sim_free(&sim);
}

static void run_seeds(struct sim_options opt)
{
	const char *wanted = getenv("SEEDS");
	uint64_t seeds = wanted ? strtoull(wanted, NULL, 10) : 400;

	opt.steps = 400;
	for (opt.seed = 0; opt.seed < seeds; opt.seed++)
		run_seed(&opt);
}

static void test_random(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ 0 });
	print_message("           ready: %" PRIu64 " ns here, %" PRIu64 " in truth\n", ready_sum[0],
		      ready_sum[1]);
	assert_true(ready_sum[0] && ready_sum[0] == ready_sum[1]);
}

static void test_random_losses(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .drops = true });
	run_seeds((struct sim_options){ .holes = true });
	run_seeds((struct sim_options){ .drops = true, .ties = true, .holes = true });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_imbalance),
		cmocka_unit_test(test_thirds),
		cmocka_unit_test(test_ready_and_coordinator),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
