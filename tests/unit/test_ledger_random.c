// SPDX-License-Identifier: GPL-2.0-only
/*
 * Properties of the ledger over random event streams (sched_sim.h), thousands of seeds:
 *
 *   every stream      the classes sum to the thread's life; a window's to its overlap; a CPU's to the recording
 *   nothing dropped   the ledger is the truth, class by class, and so are the counts; the audit finds nothing
 *   probes missed     the same for all but one time in two hundred
 *   records dropped   what is in a class other than untracked truly was in that class, at that time
 *
 * A failure prints the seed. SEEDS=n takes n seeds of each kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/audit.h"
#include "analysis/concurrency.h"
#include "sched_sim.h"

#define WINDOWS 8

struct check {
	const struct sim_options *opt;
	struct sim_result sim;
	struct ledger *ledger;
	struct ledger_window window[WINDOWS];
	struct concurrency *concurrency;
	size_t at[SIM_SERIALS];      /* the truth's interval that is compared now */
	uint64_t to_ns[SIM_SERIALS]; /* end of the last interval that was told */
	uint64_t untracked_ns, all_ns;
};

#define check_true(c, what)                                                      \
	do {                                                                     \
		if (!(what))                                                     \
			fail_msg("seed %" PRIu64 ": %s", (c)->opt->seed, #what); \
	} while (0)

/*
 * A dropped EV_WAKEUP leaves no gap anywhere, and may be the only record that says that the cgroup's quota is used up: until its
 * next switch a thread then seems to wait for a CPU.
 */
static bool class_may_be(const struct check *c, enum ledger_class class, enum ledger_class truly)
{
	return class == truly ||
	       (c->opt->drops && class == CLASS_RUNQ_WAKEUP && truly == CLASS_THROTTLED);
}

/* Each interval follows the one before; what has a class was truly in it. */
static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct check *c = arg;
	const struct sim_thread *th = &c->sim.thread[t->serial];
	size_t *at = &c->at[t->serial];

	/* what was before the first record of a thread whose beginning was lost is not told here */
	check_true(c, from_ns == c->to_ns[t->serial] ||
			      (!c->to_ns[t->serial] && (t->unannounced || from_ns == t->start_ns)));
	c->to_ns[t->serial] = to_ns;
	c->all_ns += to_ns - from_ns;
	if (th->hole_ns && to_ns > th->hole_ns)
		return;
	if (class == CLASS_UNTRACKED) {
		c->untracked_ns += to_ns - from_ns;
		return;
	}
	while (from_ns < to_ns) {
		const struct sim_interval *i = &th->interval[*at];

		check_true(c, *at < th->nr);
		if (i->to_ns <= from_ns) {
			++*at;
			continue;
		}
		if (!class_may_be(c, class, i->class))
			fail_msg("seed %" PRIu64 ": thread %u is in %s at %" PRIu64 "-%" PRIu64
				 ", truly %s from %" PRIu64,
				 c->opt->seed, t->serial, class_name(class), from_ns, to_ns,
				 class_name(i->class), i->from_ns);
		from_ns = i->to_ns;
	}
}

static void check_sum(struct check *c, const struct thread *t)
{
	uint64_t sum = 0;

	for (int i = 0; i < CLASS_NR; i++)
		sum += t->ledger_ns[i];
	check_true(c, sum == t->end_ns - t->start_ns);
}

static void check_truth(struct check *c, const struct thread *t)
{
	const struct sim_thread *th = &c->sim.thread[t->serial];
	struct audit audit;

	for (int i = 0; i < CLASS_NR; i++) {
		if (t->ledger_ns[i] != th->ledger_ns[i] && !c->opt->holes)
			fail_msg("seed %" PRIu64 ": thread %u: %s is %" PRIu64 ", truly %" PRIu64,
				 c->opt->seed, t->serial, class_name(i), t->ledger_ns[i],
				 th->ledger_ns[i]);
	}
	check_true(c, t->start_ns == th->start_ns && t->end_ns == th->end_ns);
	check_true(c, t->voluntary == th->voluntary && t->involuntary == th->involuntary);
	check_true(c, t->yields == th->yields && t->migrations == th->migrations);
	check_true(c, c->opt->holes || !t->untracked_losses);
	check_true(c, !t->lost_near);
	audit_thread(t, &audit);
	check_true(c, audit.all == AUDIT_NONE || audit.all == AUDIT_OK);
	check_true(c, audit.difference_ns == 0 || c->opt->holes);
}

static void check_loss(struct check *c, const struct thread *t)
{
	struct audit audit;

	audit_thread(t, &audit);
	check_true(c, audit.all != AUDIT_DIFFERS);
	/* no part of its life is missing, where the books say when that began: else it begins with the first record that is left */
	if (t->serial > SIM_OLD && (!t->unannounced || t->has_last))
		check_true(c, t->start_ns == c->sim.thread[t->serial].start_ns);
}

static void check_windows(struct check *c)
{
	for (unsigned int i = 0; i < WINDOWS; i++) {
		const struct ledger_window *w = &c->window[i];
		uint64_t from, to, sum = 0;

		for (int k = 0; k < CLASS_NR; k++)
			sum += w->ledger_ns[k];
		if (!w->owner || w->owner->exec || w->owner->unannounced) {
			check_true(c, w->owner || !sum);
			continue;
		}
		from = w->owner->start_ns > w->begin_ns ? w->owner->start_ns : w->begin_ns;
		to = w->owner->end_ns < w->end_ns ? w->owner->end_ns : w->end_ns;
		/* With losses it may have been met before its tid was known. */
		check_true(c, c->opt->drops || c->opt->ties || sum == (to > from ? to - from : 0));
	}
}

static void check_cpus(struct check *c)
{
	unsigned int nr;
	const struct cpu_time *cpu = ledger_cpus(c->ledger, &nr);
	uint64_t length = ledger_end_ns(c->ledger) - c->sim.event[0].time_ns;

	for (unsigned int i = 0; i < nr; i++)
		check_true(c, cpu[i].idle_ns + cpu[i].tracked_ns + cpu[i].other_ns +
					      cpu[i].unknown_ns ==
				      length);
}

static void check_concurrency(struct check *c)
{
	uint64_t oncpu = 0, runnable = 0;

	concurrency_finish(c->concurrency);
	for (unsigned int k = 0; k <= WINDOWS; k++) {
		oncpu += c->concurrency->oncpu_ns[k];
		runnable += c->concurrency->runnable_ns[k];
	}
	check_true(c, oncpu == c->concurrency->end_ns - c->concurrency->begin_ns);
	check_true(c, runnable == oncpu);
}

static void set_up(struct check *c)
{
	struct err err;
	uint64_t step;

	sim_run(c->opt, &c->sim);
	step = c->sim.end_ns / (WINDOWS + 2);
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &c->ledger, &err), 0);
	for (unsigned int i = 0; i < WINDOWS; i++) {
		c->window[i].tid = 100 + i;
		c->window[i].begin_ns = i * step;
		c->window[i].end_ns = (i + 3) * step;
		ledger_add_window(c->ledger, &c->window[i]);
	}
	assert_int_equal(concurrency_new(c->ledger, c->window, WINDOWS, step, 5 * step,
					 &c->concurrency, &err),
			 0);
	ledger_watch(c->ledger, on_interval, c);
	ledger_epoch(c->ledger, SIM_EPOCH);
}

static void run_one(const struct sim_options *opt, uint64_t *untracked_ns, uint64_t *all_ns)
{
	struct check c = { .opt = opt };

	set_up(&c);
	for (size_t i = 0; i < c.sim.nr; i++) {
		struct trace_event ev = { c.sim.event[i].time_ns, c.sim.event[i].cpu,
					  c.sim.event[i].rec };

		assert_int_equal(ledger_event(c.ledger, &ev), 0);
	}
	ledger_finish(c.ledger, c.sim.end_ns);
	check_true(&c, !ledger_malformed(c.ledger));
	for (size_t i = 0; i < ledger_nr_threads(c.ledger); i++) {
		const struct thread *t = ledger_thread(c.ledger, i);

		check_sum(&c, t);
		if (!opt->drops && !opt->ties)
			check_truth(&c, t);
		else if (!opt->ties)
			check_loss(&c, t);
	}
	check_windows(&c);
	check_cpus(&c);
	check_concurrency(&c);
	*untracked_ns += c.untracked_ns;
	*all_ns += c.all_ns;
	ledger_free(c.ledger);
	concurrency_free(c.concurrency);
	sim_free(&c.sim);
}

static void run_seeds(struct sim_options opt, double max_untracked)
{
	const char *wanted = getenv("SEEDS");
	uint64_t seeds = wanted ? strtoull(wanted, NULL, 10) : 1500;
	uint64_t untracked_ns = 0, all_ns = 0;

	opt.steps = 400;
	for (opt.seed = 0; opt.seed < seeds; opt.seed++)
		run_one(&opt, &untracked_ns, &all_ns);
	print_message("           %.2f %% untracked\n",
		      100.0 * (double)untracked_ns / (double)all_ns);
	assert_true((double)untracked_ns <= max_untracked * (double)all_ns);
}

static void test_nothing_lost(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ 0 }, 0);
}

static void test_holes(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .holes = true }, 0.005);
}

static void test_drops(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .drops = true }, 0.9);
}

static void test_drops_and_holes(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .drops = true, .holes = true }, 0.9);
}

static void test_ties(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .ties = true }, 0.9);
}

static void test_everything(void **state)
{
	(void)state;
	run_seeds((struct sim_options){ .drops = true, .ties = true, .holes = true }, 0.9);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_lost), cmocka_unit_test(test_holes),
		cmocka_unit_test(test_drops),        cmocka_unit_test(test_drops_and_holes),
		cmocka_unit_test(test_ties),         cmocka_unit_test(test_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
