// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters read at each switch, on this kernel, by record_run() and load_trace() in this process: what a thread's counters say must be
 * what the kernel has counted for that thread otherwise (getrusage, task_struct's own counts, the events), exactly. The
 * counters are the kernel's software ones, which every machine has. The programs are those of tests/e2e/progs. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "probes/probe.h"
#include "tests/bpf/one_trace.h"

#define SMALLEST (64u << 10)
#define PAGES 4096
#define FEW_PAGES 100
#define MAX_SERIALS 4096

static struct record_result record(struct record_options opts, const char *events)
{
	struct record_result result;

	opts.counters = events;
	opts.events = events;
	result = one_record(opts);
	assert_int_equal(result.exit_status, 0);
	return result;
}

/* counted FILE WHAT A B, or with `program`: that one's WHAT A B. */
static struct record_result record_program(struct record_options opts, const char *events,
					   const char *program, const char *what, const char *a,
					   const char *b)
{
	char *path = one_prog(program ?: "counted");
	char *counted[] = { path, one_facts, (char *)what, (char *)a, (char *)b, NULL };
	char *other[] = { path, (char *)what, (char *)a, (char *)b, NULL };

	opts.argv = program ? other : counted;
	return record(opts, events);
}

static const struct counted_value *value(const struct loaded *l, const struct thread *t,
					 const char *name)
{
	for (unsigned int i = 0; i < counts_nr(l->counts); i++)
		if (!strcmp(counts_info(l->counts, i)->name, name))
			return &counts_of(l->counts, t->serial)->counter[i];
	fail_msg("%s was not counted", name);
	return NULL;
}

/* ---- the oracle: what the threads said of themselves ---- */

struct fact {
	unsigned int tid;
	long touched, faults, switches;
};

static size_t read_facts(struct fact *facts, size_t max)
{
	FILE *f = fopen(one_facts, "re");
	size_t nr = 0;

	assert_non_null(f);
	while (nr < max && fscanf(f, "%u %ld %ld %ld", &facts[nr].tid, &facts[nr].touched,
				  &facts[nr].faults, &facts[nr].switches) == 4)
		nr++;
	fclose(f);
	return nr;
}

/*
 * Where PID 1 ran before a thread on its CPU, no program sees the thread get the CPU (BPF is not run there on some machines): then its
 * values are a part, and said to be.
 */
static bool whole(const struct loaded *l, const struct thread *t)
{
	const struct counted *of = counts_of(l->counts, t->serial);

	if (!of->partial)
		return true;
	assert_true(of->unknown > 0);
	assert_true(t->audit.missed_switch_ins + t->audit.missed_switch_outs > 0);
	print_message("%s/%u: %" PRIu64 " slices not known\n", t->comm, t->tid, of->unknown);
	return false;
}

/* ---- page faults ---- */

static void assert_pages(const struct loaded *l, long more, long less)
{
	struct fact facts[8];
	size_t nr = read_facts(facts, 8), checked = 0;
	long seen[2] = { 0, 0 };

	assert_int_equal(nr, 2);
	for (size_t i = 0; i < nr; i++) {
		const struct thread *t = one_thread(l, facts[i].tid);

		seen[facts[i].touched == less] = facts[i].touched;
		if (!whole(l, t))
			continue;
		checked++;
		assert_int_equal(value(l, t, "page-faults")->value, facts[i].faults);
		assert_int_equal(value(l, t, "minor-faults")->value +
					 value(l, t, "major-faults")->value,
				 facts[i].faults);
		assert_false(value(l, t, "page-faults")->scaled);
	}
	assert_int_equal(seen[0], more);
	assert_int_equal(seen[1], less);
	assert_true(checked > 0);
}

static void test_pages(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, "page-faults,minor-faults,major-faults", NULL, "pages", "4096", "100");
	l = one_load();
	assert_int_equal(counts_nr(l->counts), 3);
	assert_pages(l, PAGES, FEW_PAGES);
	load_free(l);
}

static void test_pages_of_everyone(void **state)
{
	struct record_options opts = { .what = RECORD_ALL };
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, "page-faults,minor-faults,major-faults", NULL, "pages", "4096", "100");
	l = one_load();
	assert_pages(l, PAGES, FEW_PAGES);
	for (size_t i = 0; i < l->nr_threads; i++)
		assert_int_not_equal(l->threads[i]->tgid, getpid());
	load_free(l);
}

static void test_exec(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	unsigned int programs = 0;
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, "page-faults,minor-faults,major-faults", NULL, "exec", "300", NULL);
	l = one_load();
	assert_pages(l, 300, 1);
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct counted *of = counts_of(l->counts, l->threads[i]->serial);

		assert_int_equal(of->exec, l->threads[i]->exec);
		programs += of->exec;
		if (of->exec) {
			assert_true(of->before_exec[0] <= of->counter[0].raw);
			assert_true(of->before_exec[0] > 0);
		}
	}
	assert_int_equal(programs, 2);
	load_free(l);
}

/* ---- switches and migrations ---- */

/* A second count, from the raw events: switch-ins that a migration preceded, and the slices' values. */
struct recount {
	struct loaded *loaded;
	bool moved[MAX_SERIALS];
	uint64_t moves[MAX_SERIALS], value[MAX_SERIALS][COUNTERS_MAX];
};

static int recount_event(void *arg, const struct trace_event *ev)
{
	struct recount *c = arg;
	const struct ev_migrate *migrate = (const void *)ev->rec;
	const struct ev_switch *sw = (const void *)ev->rec;
	const struct ev_counts *counts = (const void *)ev->rec;

	switch (EV_KIND(ev->rec[0])) {
	case EV_MIGRATE:
		c->moved[migrate->who % MAX_SERIALS] = true;
		break;
	case EV_SWITCH:
		if (sw->next && !(sw->next & WHO_UNTRACKED) && c->moved[sw->next % MAX_SERIALS]) {
			c->moved[sw->next % MAX_SERIALS] = false;
			c->moves[sw->next % MAX_SERIALS]++;
		}
		break;
	case EV_COUNTS:
		for (unsigned int i = 0; i < counts_nr(c->loaded->counts); i++)
			if (!(EV_FLAGS(counts->w0) & (CT_TOTAL | CT_UNKNOWN)))
				c->value[counts->who % MAX_SERIALS][i] += counts->value[i];
		break;
	}
	return 0;
}

/* The sums that the kernel side kept are those of the slices, and each slice has one switch: the one that began it. */
static void assert_switches(struct recount *c)
{
	const struct loaded *l = c->loaded;
	size_t checked = 0;

	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		uint64_t switches = value(l, t, "context-switches")->value;

		if (!whole(l, t))
			continue;
		for (unsigned int k = 0; k < counts_nr(l->counts); k++)
			assert_int_equal(counts_of(l->counts, t->serial)->counter[k].raw,
					 c->value[t->serial][k]);
		assert_int_equal(value(l, t, "cpu-migrations")->value, c->moves[t->serial]);
		if (!t->ended || !t->has_last)
			continue;
		checked++;
		assert_int_equal(switches,
				 t->last.nvcsw + t->last.nivcsw - t->first.nvcsw - t->first.nivcsw);
		assert_int_equal(counts_of(l->counts, t->serial)->slices, switches);
	}
	assert_true(checked > 0);
}

static void check_switches(const char *what, const char *times, const char *thread_counts)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	static struct recount c;
	struct fact facts[8];
	struct err err = {};
	size_t nr;

	record_program(opts, thread_counts, NULL, what, times, NULL);
	memset(&c, 0, sizeof(c));
	assert_int_equal(load_open(one_trace, &c.loaded, &err), 0);
	assert_int_equal(load_run(c.loaded, recount_event, &c, &err), 0);
	assert_int_equal(c.loaded->lost_events, 0);
	assert_switches(&c);
	nr = read_facts(facts, 8);
	assert_true(nr > 0);
	for (size_t i = 0; i < nr; i++) {
		const struct thread *t = one_thread(c.loaded, facts[i].tid);

		/* beyond what it said of itself: its last switch, and losing its CPU on the way there */
		if (whole(c.loaded, t))
			assert_in_range(value(c.loaded, t, "context-switches")->value,
					facts[i].switches + 1, facts[i].switches + 5);
	}
	load_free(c.loaded);
}

static void test_switches(void **state)
{
	(void)state;
	need_bpf();
	check_switches("sleeps", "200", "context-switches,cpu-migrations,page-faults");
}

static void test_moves(void **state)
{
	(void)state;
	need_bpf();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("SKIP: one CPU: nothing can move\n");
		skip();
	}
	check_switches("moves", "20", "context-switches,cpu-migrations");
}

/* ---- clocks ---- */

/*
 * The clock of perf and the scheduler's stamp of a switch lie some 0.2 us apart, in both directions. What the kernel charges
 * (sum_exec_runtime) leaves steal out and begins at the enqueue, which is 14 to 43 us for a thread woken on an idle CPU.
 */
static void test_clocks(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	struct fact facts[8];
	struct loaded *l;
	size_t nr;

	(void)state;
	need_bpf();
	record_program(opts, "task-clock,cpu-clock", NULL, "spin", "150", NULL);
	l = one_load();
	nr = read_facts(facts, 8);
	assert_int_equal(nr, 2);
	for (size_t i = 0; i < nr; i++) {
		const struct thread *t = one_thread(l, facts[i].tid);
		int64_t oncpu = (int64_t)t->ledger_ns[CLASS_ONCPU];
		int64_t clock = (int64_t)value(l, t, "task-clock")->value;
		int64_t slices = (int64_t)counts_of(l->counts, t->serial)->slices;
		int64_t charged = (int64_t)(t->last.exec_ns + t->last.steal_ns);

		if (!whole(l, t))
			continue;
		/* it computed until the kernel had charged it with so much */
		assert_true(charged >= 150 * (int64_t)NSEC_PER_MSEC);
		if (labs(clock - oncpu) > slices * 1000 + oncpu / 1000)
			fail_msg("task-clock %ld, on a CPU %ld ns in %ld slices", clock, oncpu,
				 slices);
		if (labs(clock - charged) > slices * 50000 + charged / 200)
			fail_msg("task-clock %ld, charged %ld ns in %ld slices", clock, charged,
				 slices);
		assert_true(labs(clock - (int64_t)value(l, t, "cpu-clock")->value) <=
			    slices * 1000 + clock / 1000);
	}
	load_free(l);
}

/* It has its CPU before the recording begins and when it ends, and gives it to nobody in between but to the recorder. */
static void test_running_from_the_start(void **state)
{
	struct record_options opts = { .what = RECORD_PIDS,
				       .nr_ids = 1,
				       .duration_ns = 300 * NSEC_PER_MSEC };
	const struct counted *of;
	const struct thread *t;
	struct loaded *l;
	int64_t clock, oncpu;
	pid_t pid;

	(void)state;
	need_bpf();
	pid = one_burner();
	opts.ids = &pid;
	record(opts, "task-clock,page-faults");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	l = one_load();
	t = one_thread(l, (uint32_t)pid);
	of = counts_of(l->counts, t->serial);
	clock = (int64_t)value(l, t, "task-clock")->value;
	oncpu = (int64_t)(t->ledger_ns[CLASS_ONCPU] - of->unknown_ns - of->open_ns);
	/* the slice that it was in is the one that is not known, and short; all the rest is there */
	assert_true(of->unknown <= 1 + t->audit.missed_switch_ins + t->audit.missed_switch_outs);
	assert_int_equal(of->partial, of->unknown > 0);
	if (t->audit.missed_switch_ins + t->audit.missed_switch_outs == 0) {
		assert_true(clock > 0);
		if (labs(clock - oncpu) > (int64_t)of->slices * 1000 + oncpu / 1000)
			fail_msg("task-clock %ld, on a CPU %ld ns, %lu ns unknown", clock, oncpu,
				 of->unknown_ns);
	}
	load_free(l);
}

/* ---- lost records, missing counters, none ---- */

/*
 * Tens of thousands of switches into the smallest buffers: most records are lost, the sums are not, as the kernel side keeps them. A thread
 * whose sum was lost, too, has less than it really counted, and is marked.
 */
static void test_lost(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND, .buffer_bytes = SMALLEST };
	struct record_result result;
	struct fact facts[8];
	struct loaded *l;
	size_t right = 0;

	(void)state;
	need_bpf();
	result =
		record_program(opts, "context-switches,page-faults", NULL, "yields", "30000", NULL);
	if (!result.lost) {
		print_message("SKIP: nothing was lost\n");
		skip();
	}
	l = one_load();
	for (size_t i = 0; i < read_facts(facts, 8); i++) {
		const struct thread *t = one_thread(l, facts[i].tid);
		const struct counted *of = counts_of(l->counts, t->serial);
		long switches = (long)value(l, t, "context-switches")->value;

		assert_true(facts[i].switches > 20000);
		assert_true((long)of->slices < facts[i].switches);
		if (of->partial) {
			assert_true(switches <= facts[i].switches + 5);
			continue;
		}
		right++;
		assert_in_range(switches, facts[i].switches + 1, facts[i].switches + 5);
		assert_int_equal(value(l, t, "page-faults")->value, facts[i].faults);
	}
	assert_true(right > 0);
	load_free(l);
}

static void test_missing_counter(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	const json_t *counters, *cycles;
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, "cycles,page-faults,minor-faults,major-faults", NULL, "pages", "300",
		       "1");
	l = one_load();
	counters = json_object_get(l->raw_meta, "counters");
	cycles = json_object_get(counters, "cycles");
	assert_pages(l, 300, 1);
	if (json_object_get(cycles, "unavailable")) {
		assert_non_null(strstr(json_string_value(json_object_get(cycles, "unavailable")),
				       "no hardware counters"));
		assert_int_equal(counts_nr(l->counts), 3);
	} else {
		assert_int_equal(counts_nr(l->counts), 4);
		for (size_t i = 0; i < l->nr_threads; i++)
			assert_true(value(l, l->threads[i], "cycles")->value > 0);
	}
	load_free(l);
}

/* Only in user space there are fewer page faults than in both, and the kernel's are the others. */
static void test_modifiers(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	struct fact facts[8];
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, "page-faults,page-faults:u,page-faults:k", NULL, "pages", "300", "1");
	l = one_load();
	for (size_t i = 0; i < read_facts(facts, 8); i++) {
		const struct thread *t = one_thread(l, facts[i].tid);

		assert_int_equal(value(l, t, "page-faults")->value,
				 value(l, t, "page-faults:u")->value +
					 value(l, t, "page-faults:k")->value);
		if (whole(l, t))
			assert_true((long)value(l, t, "page-faults:u")->value >= facts[i].touched);
	}
	load_free(l);
}

static void test_not_asked_for(void **state)
{
	struct record_options opts = { .what = RECORD_COMMAND };
	struct loaded *l;

	(void)state;
	need_bpf();
	record_program(opts, NULL, NULL, "pages", "30", "1");
	l = one_load();
	assert_null(l->counts);
	assert_int_equal(counts_nr(l->counts), 0);
	assert_int_equal(json_object_size(json_object_get(l->raw_meta, "counters")), 0);
	load_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_pages_of_everyone),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_running_from_the_start),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_missing_counter),
		cmocka_unit_test(test_modifiers),
		cmocka_unit_test(test_not_asked_for),
	};

	return cmocka_run_group_tests(tests, one_trace_setup, one_trace_teardown);
}
