// SPDX-License-Identifier: GPL-2.0-only
/* What stands beside the ledger: its windows, the CPUs, how long threads waited for one, how many ran at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "analysis/concurrency.h"
#include "analysis/ledger.h"
#include "trace_text.h"

#define END_NS 1000

/* The tid 8 is B's, then C's; each window goes to who lives in it. */
static void test_windows(void **state)
{
	struct ledger_window b = { .tid = 8, .begin_ns = 250, .end_ns = 350 };
	struct ledger_window c = { .tid = 8, .begin_ns = 450, .end_ns = 5000 };
	struct ledger_window nobody = { .tid = 77, .begin_ns = 0, .end_ns = 5000 };
	struct ledger *l = trace_text_ledger();

	(void)state;
	ledger_add_window(l, &b);
	ledger_add_window(l, &c);
	ledger_add_window(l, &nobody);
	trace_text_feed(l, "100 cpu0 snap A oncpu\n"
			   "200 cpu0 fork A > B tid=8\n"
			   "200 cpu0 wakeup B new\n"
			   "300 cpu1 switch idle B\n"
			   "400 cpu1 switch B/X idle\n"
			   "420 cpu0 fork A > C tid=8\n"
			   "430 cpu0 wakeup C new\n"
			   "500 cpu1 switch idle C\n");
	ledger_finish(l, END_NS);
	assert_int_equal(b.owner->serial, 2);
	assert_int_equal(b.ledger_ns[CLASS_RUNQ_WAKEUP], 50);
	assert_int_equal(b.ledger_ns[CLASS_ONCPU], 50);
	assert_int_equal(c.owner->serial, 3);
	assert_int_equal(c.ledger_ns[CLASS_RUNQ_WAKEUP], 50);
	assert_int_equal(c.ledger_ns[CLASS_ONCPU], 500);
	assert_null(nobody.owner);
	ledger_free(l);
}

/* Idle, ours, foreign (also where foreign switches were not recorded), unknown: before the first, and around a loss. */
static void test_cpus(void **state)
{
	struct ledger *l = trace_text_ledger();
	const struct cpu_time *cpu;
	unsigned int nr;

	(void)state;
	trace_text_feed(l, "100 cpu1 snap A blocked S:read\n"
			   "200 cpu0 switch u5 idle\n"
			   "300 cpu0 switch idle u6\n"
			   "450 cpu0 switch u7 A\n"
			   "550 cpu0 switch A/S:read u8\n"
			   "!600 cpu0 switch u8 idle\n"
			   "700 cpu0 lost 600 650 2\n"
			   "700 cpu0 switch u8 idle\n");
	ledger_finish(l, END_NS);
	cpu = ledger_cpus(l, &nr);
	assert_int_equal(nr, 4);
	assert_true(cpu[0].seen && cpu[1].seen && !cpu[2].seen);
	assert_int_equal(cpu[0].idle_ns, 400);
	assert_int_equal(cpu[0].other_ns, 200);
	assert_int_equal(cpu[0].tracked_ns, 100);
	assert_int_equal(cpu[0].unknown_ns, 200);
	assert_int_equal(cpu[0].switches, 5);
	assert_int_equal(cpu[2].unknown_ns, 900);
	ledger_free(l);
}

static void test_latency(void **state)
{
	struct ledger *l = trace_text_ledger();
	const struct latency *lat;

	(void)state;
	trace_text_feed(l, "100 cpu0 snap A blocked S:read\n"
			   "200 cpu1 wake A by idle\n"
			   "230 cpu0 wakeup A\n"
			   "280 cpu0 switch idle A\n"
			   "300 cpu0 switch A/P u9\n"
			   "400 cpu0 switch u9 A\n"
			   "500 cpu0 switch A/Q u9\n"
			   "900 cpu0 switch u9 A\n");
	ledger_finish(l, END_NS);
	lat = ledger_latency(l, true);
	assert_int_equal(lat->count, 1);
	assert_int_equal(lat->max_ns, 50); /* from sched_wakeup */
	assert_int_equal(lat->bucket[5], 1);
	lat = ledger_latency(l, false);
	assert_int_equal(lat->count, 1); /* without the quota's wait */
	assert_int_equal(latency_percentile(lat, 0.5), 100);
	ledger_free(l);
}

static void test_percentiles(void **state)
{
	struct latency *lat = calloc(1, sizeof(*lat));

	(void)state;
	assert_non_null(lat);
	assert_int_equal(latency_percentile(lat, 0.99), 0);
	lat->count = 100;
	lat->max_ns = 5000;
	lat->fine[10 * 16] = 90;     /* 1024 to 1087 */
	lat->fine[12 * 16 + 3] = 10; /* 4864 to 5119 */
	assert_int_equal(latency_percentile(lat, 0), 1087);
	assert_int_equal(latency_percentile(lat, 0.9), 1087);
	assert_int_equal(latency_percentile(lat, 0.91), 5000);
	assert_int_equal(latency_percentile(lat, 1), 5000);
	free(lat);
}

static void test_concurrency(void **state)
{
	struct ledger_window w[2] = { { .tid = 7, .end_ns = 5000 }, { .tid = 8, .end_ns = 5000 } };
	struct ledger *l = trace_text_ledger();
	struct concurrency *c;
	struct err err;

	(void)state;
	ledger_add_window(l, &w[0]);
	ledger_add_window(l, &w[1]);
	assert_int_equal(concurrency_new(l, w, 2, 150, 900, &c, &err), 0);
	trace_text_feed(l, "100 cpu0 snap A tid=7 oncpu\n"
			   "200 cpu0 fork A > B tid=8\n"
			   "250 cpu1 switch idle B\n"
			   "300 cpu0 switch A/S:read idle\n"
			   "400 cpu1 switch B/P A\n"
			   "800 cpu1 switch A/X B\n");
	ledger_finish(l, END_NS);
	concurrency_finish(c);
	assert_int_equal(c->nr_workers, 2);
	/* 150-250 A, 250-300 both, 300-400 B, 400-800 A, 800-900 B */
	assert_int_equal(c->oncpu_ns[0], 0);
	assert_int_equal(c->oncpu_ns[1], 700);
	assert_int_equal(c->oncpu_ns[2], 50);
	/* Two are runnable: 200-300, 400-800 */
	assert_int_equal(c->runnable_ns[1], 250);
	assert_int_equal(c->runnable_ns[2], 500);
	ledger_free(l);
	concurrency_free(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),     cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_latency),     cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_concurrency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
