// SPDX-License-Identifier: GPL-2.0-only
/*
 * The speedup stack and the split of its inflation, of programs that scale in a known way (progs/scaling). Each worker's own clocks are
 * the oracle: what the stack says it did on a CPU, before it began and after it ended, must be what it says itself. No speed is
 * asserted: how much false sharing costs is the machine's business, that it is found in the right place is ours. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/inflation.h"
#include "base/vec.h"
#include "cli/calibration.h"
#include "explain/finding.h"
#include "strategy/capacity.h"
#include "tests/bpf/one_trace.h"

static void need_cpus(int nr)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < nr) {
		print_message("SKIP: fewer than %d CPUs may be used\n", nr);
		skip();
	}
}

/* ---- a program that ran ---- */

struct ran {
	struct experiment e;
	uint64_t *own_ns; /* [e.nr]: CPU time between begin and end, by the worker's own clock */
	uint64_t own_sum_ns;
};

static void record(const char *const *words)
{
	char *argv[6] = { one_prog("scaling") };

	for (int i = 0; i < 4 && words[i]; i++)
		argv[i + 1] = (char *)words[i];
	one_whole_command(argv);
}

static void take_fact(struct ran *r, const json_t *fact, size_t *cap)
{
	size_t own_cap = *cap;

	if (!strcmp(json_string_value(json_object_get(fact, "role")), "run")) {
		r->e.t0_ns = one_number(fact, "t0_ns");
		r->e.t1_ns = one_number(fact, "t1_ns");
		return;
	}
	assert_int_equal(vec_room(&r->own_ns, &own_cap, r->e.nr + 1), 0);
	assert_int_equal(vec_room(&r->e.worker, cap, r->e.nr + 1), 0);
	r->own_ns[r->e.nr] = (uint64_t)one_number(fact, "cpu_ns");
	r->own_sum_ns += r->own_ns[r->e.nr];
	r->e.worker[r->e.nr++] = (struct experiment_worker){
		.tid = (uint32_t)one_number(fact, "worker"),
		.begin_ns = one_number(fact, "begin_ns"),
		.end_ns = one_number(fact, "end_ns"),
		.exec_ns = -1,
		.delay_ns = -1,
	};
}

/* The stack says of each worker what it says itself, within what its switches and the host make of two clocks. */
static void check_workers(const struct ran *r)
{
	for (size_t i = 0; i < r->e.nr; i++) {
		const struct experiment_worker *w = &r->e.worker[i];
		int64_t off = (int64_t)(w->ledger_ns[CLASS_ONCPU] - r->own_ns[i]);
		int64_t allowed =
			(int64_t)(r->own_ns[i] / 50 + w->switches * 10000 + w->steal_ns) + 200000;

		if (off > allowed || off < -allowed)
			fail_msg("worker %zu: on a CPU for %" PRIu64
				 " ns, by its own clock %" PRIu64,
				 i, w->ledger_ns[CLASS_ONCPU], r->own_ns[i]);
	}
}

static void ran(struct ran *r, const char *const *words)
{
	struct err err = {};
	char line[1024];
	size_t cap = 0;
	FILE *f;

	memset(r, 0, sizeof(*r));
	record(words);
	f = fopen(one_facts, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *fact = json_loads(line, 0, NULL);

		assert_non_null(fact);
		take_fact(r, fact, &cap);
		json_decref(fact);
	}
	fclose(f);
	r->e.one_process = true;
	if (experiment_load(&r->e, one_trace, &err))
		fail_msg("experiment_load: %s", err.msg);
	check_workers(r);
}

static void ran_free(struct ran *r)
{
	experiment_free(&r->e);
	free(r->own_ns);
}

/* ---- against its reference ---- */

struct compared {
	struct ran run, reference;
	struct stack stack;
	struct inflation_split split;
	struct findings findings;
	double times; /* of the reference's CPU time, by their own clocks */
};

static void check_sums(const struct compared *c)
{
	int64_t sum = 0;

	for (int part = 0; part < STACK_NR; part++)
		sum += c->stack.part_ns[part];
	assert_int_equal(sum, (int64_t)c->stack.workers * c->stack.wall_ns);
	sum = 0;
	for (int part = 0; part < INFLATION_NR; part++)
		sum += c->split.piece[part].ns;
	assert_int_equal(sum, c->stack.part_ns[STACK_INFLATION]);
	assert_int_equal(sum, c->split.total_ns);
}

static void measure_costs(struct machine_costs *ret)
{
	struct calibration c;
	struct topology t;
	struct err err = {};

	assert_int_equal(calibration_topology(&t, &err), 0);
	assert_int_equal(calibration_measure(&t, true, &c, &err), 0);
	calibration_costs(&c, &t, ret);
	topology_free(&t);
}

static void compare(struct compared *c, const char *const *words, const char *const *reference)
{
	struct shared_capacity shared = {};
	struct machine_costs costs;
	struct capacity capacity;
	struct facts facts;
	struct err err = {};

	memset(c, 0, sizeof(*c));
	ran(&c->reference, reference);
	ran(&c->run, words);
	measure_costs(&costs);
	if (!capacity_measure(2, 80000000, &capacity, &err))
		shared = (struct shared_capacity){ capacity.cpus, capacity.inflation,
						   capacity.inflation_min, capacity.inflation_max };
	assert_int_equal(
		experiment_stack(&c->run.e, experiment_work_ns(&c->reference.e), &c->stack), 0);
	inflation_make(&c->run.e, &c->reference.e, &c->stack, &shared, &costs, &c->split);
	facts = (struct facts){
		.name = words[0],
		.run = &c->run.e,
		.stack = &c->stack,
		.baseline_ns = (uint64_t)(c->reference.e.t1_ns - c->reference.e.t0_ns),
		.baseline_name = reference[0],
		.reference_ns = experiment_work_ns(&c->reference.e),
		.cpus = 2,
	};
	assert_int_equal(findings_make(&facts, &c->findings), 0);
	c->times = (double)c->run.own_sum_ns / (double)c->reference.own_sum_ns;
	print_message(
		"           %s: %.2f times the CPU time of %s; unexplained %.0f %% of the inflation\n",
		words[0], c->times, reference[0],
		100.0 * (double)c->split.piece[INFLATION_UNEXPLAINED].ns /
			(double)c->split.total_ns);
	check_sums(c);
}

static void compared_free(struct compared *c)
{
	findings_free(&c->findings);
	ran_free(&c->run);
	ran_free(&c->reference);
}

static const struct finding *found(const struct compared *c, const char *cause)
{
	for (size_t i = 0; i < c->findings.nr; i++)
		if (!strcmp(c->findings.finding[i].cause, cause))
			return &c->findings.finding[i];
	return NULL;
}

/* Inflation is what the workers' own clocks say that the same work cost more. */
static void check_inflation(const struct compared *c)
{
	double own = (double)c->run.own_sum_ns - (double)c->reference.own_sum_ns;
	double off = (double)c->stack.part_ns[STACK_INFLATION] - own;
	double allowed = 0.02 * (double)(c->run.own_sum_ns + c->reference.own_sum_ns) + 1e6;

	if (off > allowed || off < -allowed)
		fail_msg("inflation is %" PRId64 " ns, by the workers' own clocks %.0f",
			 c->stack.part_ns[STACK_INFLATION], own);
}

/* Threads that wait for nobody: whatever went wrong on the CPU must not be called a lock. */
static void check_no_wait(const struct compared *c)
{
	static const enum stack_part waits[] = { STACK_LOCK, STACK_GIL, STACK_KLOCK,
						 STACK_SYNC, STACK_IO,  STACK_SLEEP };
	static const char *const causes[] = { "lock", "gil", "klock", "sync", "serial", "io" };

	for (size_t i = 0; i < 6; i++) {
		double share = stack_share(&c->stack, waits[i]) / (double)c->stack.workers;

		if (share > 0.01)
			fail_msg("%s has %.3f of the time", stack_part_name(waits[i]), share);
		if (found(c, causes[i]))
			fail_msg("found: %s", found(c, causes[i])->sentence);
	}
}

/* Where the same work became clearly dearer, that is said, and it is not put down to switches or steal. */
static void check_dearer(const struct compared *c)
{
	const struct inflation_piece *rest = &c->split.piece[INFLATION_UNEXPLAINED];

	if (c->times > 1.1)
		assert_non_null(found(c, "inflation"));
	if (c->times > 1.2)
		assert_true(rest->ns > c->split.total_ns / 2);
}

#define WORDS(...) ((const char *const[5]){ __VA_ARGS__ })

static void test_false_sharing(void **state)
{
	struct compared c;

	(void)state;
	need_cpus(2);
	compare(&c, WORDS("together", "20000000"), WORDS("alone", "20000000"));
	check_inflation(&c);
	check_no_wait(&c);
	check_dearer(&c);
	compared_free(&c);
}

static void test_apart(void **state)
{
	struct compared c;

	(void)state;
	need_cpus(2);
	compare(&c, WORDS("apart", "100000000"), WORDS("alone", "100000000"));
	check_inflation(&c);
	check_no_wait(&c);
	compared_free(&c);
}

static void test_atomic(void **state)
{
	struct compared c;

	(void)state;
	need_cpus(2);
	compare(&c, WORDS("atomic", "4000000"), WORDS("atomic_alone", "4000000"));
	check_inflation(&c);
	check_no_wait(&c);
	check_dearer(&c);
	compared_free(&c);
}

static void test_memory(void **state)
{
	struct compared c;

	(void)state;
	need_cpus(2);
	compare(&c, WORDS("memory", "2", "8000000"), WORDS("memory_alone", "2", "8000000"));
	check_inflation(&c);
	check_no_wait(&c);
	compared_free(&c);
}

/* What it costs more than one thread's pipes that never block is what switching costs; they never run at once. */
static void test_pipes(void **state)
{
	const struct inflation_piece *switches, *shared;
	struct compared c;
	uint64_t nr;

	(void)state;
	compare(&c, WORDS("pipes", "5000"), WORDS("pipes_alone", "5000"));
	switches = &c.split.piece[INFLATION_SWITCHES];
	shared = &c.split.piece[INFLATION_SHARED];
	nr = c.run.e.worker[0].switches + c.run.e.worker[1].switches;
	check_inflation(&c);
	/* each blocks once in each round, and is sometimes preempted */
	assert_in_range(nr, 9000, 14000);
	assert_true(switches->known && switches->estimate);
	/*
	 * The estimate is of bare switches (two threads that yield). Here each is also a sleep and a wake-up, and without any of
	 * them the caches would be warmer: so it explains a part, a large one, and not much more than there is.
	 */
	print_message("           %" PRIu64 " switches are %.2f of it\n", nr,
		      (double)switches->ns / (double)c.split.total_ns);
	assert_true(switches->ns * 4 > c.split.total_ns);
	assert_true(switches->ns < c.split.total_ns + c.split.total_ns / 2);
	assert_int_equal(shared->ns, 0);
	assert_int_equal(c.run.e.oncpu_ns[2], 0);
	compared_free(&c);
}

/* ---- without a reference ---- */

static void stack_of(const struct ran *r, struct stack *s)
{
	int64_t sum = 0;

	assert_int_equal(experiment_stack(&r->e, 0, s), 0);
	for (int part = 0; part < STACK_NR; part++)
		sum += s->part_ns[part];
	assert_int_equal(sum, (int64_t)s->workers * s->wall_ns);
}

static void test_imbalance(void **state)
{
	const struct experiment_worker *w;
	struct stack s;
	struct ran r;

	(void)state;
	need_cpus(2);
	ran(&r, WORDS("imbalance", "100"));
	stack_of(&r, &s);
	w = r.e.worker;
	assert_int_equal(s.part_ns[STACK_IMBALANCE], w[0].end_ns > w[1].end_ns ?
							     w[0].end_ns - w[1].end_ns :
							     w[1].end_ns - w[0].end_ns);
	/* 90 and 10 of each 100 ms of CPU time */
	assert_in_range(w[0].ledger_ns[CLASS_ONCPU], 89000000, 95000000);
	assert_in_range(w[1].ledger_ns[CLASS_ONCPU], 9900000, 15000000);
	ran_free(&r);
}

/* Of eight on one CPU, seven wait at each moment: 7/8 of their time, and more if others have that CPU, too. */
static void test_oversubscribed(void **state)
{
	uint64_t oncpu = 0, ready = 0, life = 0;
	struct stack s;
	struct ran r;

	(void)state;
	ran(&r, WORDS("oversubscribed", "300"));
	stack_of(&r, &s);
	for (size_t i = 0; i < r.e.nr; i++) {
		const struct experiment_worker *w = &r.e.worker[i];

		oncpu += w->ledger_ns[CLASS_ONCPU];
		ready += w->ledger_ns[CLASS_RUNQ_PREEMPTED] + w->ledger_ns[CLASS_RUNQ_WAKEUP];
		life += (uint64_t)(w->end_ns - w->begin_ns);
	}
	print_message("           %.4f of their time ready\n", (double)ready / (double)life);
	assert_int_equal(r.e.nr, 8);
	assert_true((double)ready > (7.0 / 8 - 0.02) * (double)life);
	/* Either running or ready, but for what the clocks differ by: nothing else happens. */
	assert_true((double)(oncpu + ready) > 0.995 * (double)life);
	assert_true((double)oncpu <= 1.02 * (double)s.wall_ns);
	for (size_t k = 2; k <= 8; k++)
		assert_int_equal(r.e.oncpu_ns[k], 0);
	ran_free(&r);
}

/* A thousand threads that hardly live: their time is that of the others' being made. */
static void test_spawned(void **state)
{
	int64_t spawn = 0, last = 0;
	struct stack s;
	struct ran r;
	double outside;

	(void)state;
	ran(&r, WORDS("spawned", "1000"));
	stack_of(&r, &s);
	assert_int_equal(s.workers, 1000);
	for (size_t i = 0; i < r.e.nr; i++) {
		spawn += r.e.worker[i].begin_ns - r.e.t0_ns;
		last = r.e.worker[i].end_ns > last ? r.e.worker[i].end_ns : last;
	}
	assert_int_equal(s.part_ns[STACK_SPAWN], spawn);
	assert_int_equal(s.part_ns[STACK_TEARDOWN], 1000 * (r.e.t1_ns - last));
	outside = stack_share(&s, STACK_SPAWN) + stack_share(&s, STACK_IMBALANCE) +
		  stack_share(&s, STACK_TEARDOWN);
	assert_true(outside > 0.95 * 1000);
	assert_true(stack_share(&s, STACK_SPAWN) > 0.2 * 1000);
	ran_free(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_false_sharing),  cmocka_unit_test(test_apart),
		cmocka_unit_test(test_atomic),         cmocka_unit_test(test_memory),
		cmocka_unit_test(test_pipes),          cmocka_unit_test(test_imbalance),
		cmocka_unit_test(test_oversubscribed), cmocka_unit_test(test_spawned),
	};

	return cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
}
