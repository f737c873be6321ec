// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts in the waits for a CPU: small traces, and what the report says of them.
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

#include "report/passes.h"
#include "runq_check.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "in the slice of another program",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "300 cpu0 irq 40\n"
	  "310 cpu1 irq 40\n"
	  "400 cpu0 switch u7 A\n",
	  "wait=200 foreign=160 interrupts=40\n"
	  "7: 160\n" },
	{ "several in one slice, of its own process",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu0 snap B tid=2 tgid=1 queued\n"
	  "200 cpu0 switch A/P B\n"
	  "300 cpu0 irq 40\n"
	  "310 cpu0 irq 10\n"
	  "350 cpu0 irq 7\n"
	  "400 cpu0 switch B/S:read A\n",
	  /* what B waited since it was met does not count: when that began is not known */
	  "wait=200 own=143 interrupts=57\n" },
	{ "it began before the wait",
	  "50 cpu0 switch idle u7\n"
	  "100 cpu0 snap A blocked S:read\n"
	  "200 cpu0 wake A by u7 hardirq on=0\n"
	  "230 cpu0 irq 60\n"
	  "400 cpu0 switch u7 A\n",
	  "wait=200 foreign=170 interrupts=30\n"
	  "7: 170\n" },
	{ "it began while nobody waited, and made an idle CPU busy",
	  "50 cpu0 switch u7 idle\n"
	  "100 cpu0 snap A blocked S:read\n"
	  "200 cpu0 wake A by idle hardirq on=0\n"
	  "230 cpu0 irq before\n"
	  "240 cpu0 switch idle A\n",
	  "wait=40 idle=10 interrupts=30\n" },
	{ "it would lie in two slices: only in the later one",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "300 cpu0 switch u7 u8\n"
	  "320 cpu0 irq 50\n"
	  "400 cpu0 switch u8 A\n",
	  "wait=200 foreign=180 interrupts=20\n"
	  "7: 100\n"
	  "8: 80\n" },
	{ "one waits before it, one is woken in it",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 tgid=2 blocked S:read\n"
	  "200 cpu0 switch A/P u7\n"
	  "320 cpu0 wake B by u7 softirq on=0\n"
	  "360 cpu0 irq 60\n"
	  "400 cpu0 switch u7 A\n"
	  "500 cpu0 switch A/S:read B\n",
	  /* A 200-400: 140 + 60; B 320-500: u7 40, A 100, 40 */
	  "wait=380 tracked=100 foreign=180 interrupts=100\n"
	  "7: 180\n"
	  "1: 100\n" },
	{ "two that overlap: the time is counted once",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "300 cpu0 irq 50\n"
	  "320 cpu0 irq 50\n"
	  "400 cpu0 switch u7 A\n",
	  "wait=200 foreign=130 interrupts=70\n"
	  "7: 130\n" },
	{ "longer than the recording",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "300 cpu0 irq 18446744073709551615\n"
	  "400 cpu0 switch u7 A\n",
	  "wait=200 foreign=100 interrupts=100\n"
	  "7: 100\n" },
	{ "records of the CPU were dropped: unknown",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "250 cpu0 irq 20\n"
	  "350 cpu0 lost 250 300 4\n"
	  "360 cpu0 irq 80\n"
	  "400 cpu0 switch u8 A\n",
	  "wait=200 unknown=200\n" },
	{ "moved to another queue in the middle",
	  "50 cpu1 switch u8 u9\n"
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "320 cpu1 migrate A 0 1\n"
	  "340 cpu0 irq 40\n"
	  "360 cpu1 irq 10\n"
	  "400 cpu1 switch u9 A\n",
	  "wait=200 foreign=170 interrupts=30\n"
	  "7: 100\n"
	  "9: 70\n" },
	{ "moved in the middle, and given the other CPU before it ends",
	  "50 cpu1 switch u8 u9\n"
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u7\n"
	  "320 cpu1 migrate A 0 1\n"
	  "330 cpu1 switch u9 A\n"
	  "340 cpu0 irq 40\n"
	  "400 cpu1 switch A/P u9\n"
	  "500 cpu1 switch u9 A\n",
	  "wait=230 foreign=210 interrupts=20\n"
	  "9: 110\n"
	  "7: 100\n" },
	{ "nobody waits: nothing",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 irq 40\n"
	  "300 cpu0 switch A/S:read u7\n"
	  "400 cpu0 irq 40\n",
	  "wait=0\n" },
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct runq_check a = runq_check_run(cases[i].text, END_NS);
		char *text = runq_check_show(a.p, false);

		if (strcmp(text, cases[i].expected))
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, text, cases[i].expected);
		runq_check_sums(&a);
		free(text);
		runq_check_free(&a);
	}
}

/* ---- what is told of it ---- */

static const char without[] = "100 cpu0 snap A oncpu\n"
			      "200 cpu0 switch A/P u7\n"
			      "400 cpu0 switch u7 A\n";
static const char with[] = "100 cpu0 snap A oncpu\n"
			   "200 cpu0 switch A/P u7\n"
			   "300 cpu0 irq 40\n"
			   "400 cpu0 switch u7 A\n";

/* irqs: the trace says that they were recorded. Its "interrupts_ns"; -1 is null. */
static json_int_t told(const char *events, bool irqs, char **ret_text)
{
	struct runq_check a = runq_check_run(events, END_NS);
	struct loaded l = { .ledger = a.l, .passes = a.p, .meta.irqs = irqs };
	struct report_options opts = { .width = 200 };
	json_t *by = json_runq_by(&l), *ns = json_object_get(by, "interrupts_ns");
	json_int_t value = json_is_null(ns) ? -1 : json_integer_value(ns);
	struct err err = {};
	size_t len;
	FILE *f = open_memstream(ret_text, &len);

	assert_non_null(ns);
	assert_int_equal(runq_by_print(&l, &opts, f, &err), 0);
	fclose(f);
	json_decref(by);
	runq_check_free(&a);
	return value;
}

static void test_report(void **state)
{
	static const struct {
		const char *events;
		bool irqs;
		json_int_t ns;
		const char *has, *lacks;
	} reports[] = {
		{ without, false, -1, "Interrupts were not recorded apart", "\ninterrupts" },
		{ without, true, 0, "While threads waited", "nterrupts" },
		{ with, true, 40, "\ninterrupts", "not recorded apart" },
		{ with, false, 40, "20.0 % hard and soft",
		  "not recorded apart" }, /* never closed */
	};

	(void)state;
	for (size_t i = 0; i < LEN(reports); i++) {
		char *text = NULL;

		assert_int_equal(told(reports[i].events, reports[i].irqs, &text), reports[i].ns);
		if (!strstr(text, reports[i].has) || strstr(text, reports[i].lacks))
			fail_msg("report %zu: %s", i, text);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
