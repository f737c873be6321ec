// SPDX-License-Identifier: GPL-2.0-only
/* The audit: what equals, what differs, and what is explained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "analysis/audit.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define RUN                                                         \
	"100 cpu0 snap A blocked S:read\n"                          \
	"100 cpu0 books A first v=5 i=6 m=7 exec=1000 delay=2000\n" \
	"200 cpu0 wake A by idle\n"                                 \
	"250 cpu0 wakeup A\n"                                       \
	"300 cpu0 switch idle A\n"                                  \
	"100000300 cpu0 switch A/P u9\n"                            \
	"100000400 cpu0 switch u9 A\n"                              \
	"100000450 cpu1 migrate A 0 1\n"                            \
	"100000500 cpu1 switch A/X idle\n"

static const struct {
	const char *name, *text;
	enum audit_result switches, migrations, time;
} cases[] = {
	{ "no books", "100 cpu0 snap A oncpu\n200 cpu0 switch A/X idle\n", AUDIT_NONE, AUDIT_NONE,
	  AUDIT_NONE },
	{ "equal", RUN "100000500 cpu1 books A dead v=6 i=7 m=8 exec=100001100 delay=2150\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "within 0.5 % and 10 us a switch",
	  RUN "100000500 cpu1 books A dead v=6 i=7 m=8 exec=100510000 delay=2150\n", AUDIT_OK,
	  AUDIT_OK, AUDIT_OK },
	{ "too much time",
	  RUN "100000500 cpu1 books A dead v=6 i=7 m=8 exec=100600000 delay=2150\n", AUDIT_OK,
	  AUDIT_OK, AUDIT_DIFFERS },
	{ "a switch too few",
	  RUN "100000500 cpu1 books A dead v=6 i=8 m=8 exec=100001100 delay=2150\n", AUDIT_DIFFERS,
	  AUDIT_OK, AUDIT_OK },
	{ "of the wrong kind",
	  RUN "100000500 cpu1 books A dead v=7 i=6 m=8 exec=100001100 delay=2150\n", AUDIT_DIFFERS,
	  AUDIT_OK, AUDIT_OK },
	{ "a migration too few",
	  RUN "100000500 cpu1 books A dead v=6 i=7 m=9 exec=100001100 delay=2150\n", AUDIT_OK,
	  AUDIT_DIFFERS, AUDIT_OK },
	{ "steal is not charged to the thread",
	  RUN "100000500 cpu1 books A dead v=6 i=7 m=8 exec=60001100 delay=2150 steal=40000000\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "moved while it was ready: what is on no run queue is in no book",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu1 migrate A 0 1 queued\n"
	  "100000200 cpu1 unbooked A moved 99999900\n"
	  "100000200 cpu1 switch idle A\n"
	  "100000300 cpu1 switch A/X idle\n"
	  "100000300 cpu1 books A dead v=1 m=1 exec=100 delay=200\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "... the same books without that",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu1 migrate A 0 1 queued\n"
	  "100000200 cpu1 switch idle A\n"
	  "100000300 cpu1 switch A/X idle\n"
	  "100000300 cpu1 books A dead v=1 m=1 exec=100 delay=200\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_DIFFERS },
	{ "charged up to an old clock when it blocked",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu0 switch idle A\n"
	  "100000300 cpu0 unbooked A left 100000000\n"
	  "100000300 cpu0 switch A/X idle\n"
	  "100000300 cpu0 books A dead v=1 exec=100 delay=100\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "enqueued before its record",
	  "100 cpu0 fork B > A\n"
	  "10000100 cpu0 wakeup A new queued=9000000\n"
	  "10000200 cpu0 switch idle A\n"
	  "10000300 cpu0 switch A/X idle\n"
	  "10000300 cpu0 books A dead v=1 exec=100 delay=9000100\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "... but not before it was made",
	  "100 cpu0 fork B > A\n"
	  "10000100 cpu0 wakeup A new queued=16000000\n"
	  "10000200 cpu0 switch idle A\n"
	  "10000300 cpu0 switch A/X idle\n"
	  "10000300 cpu0 books A dead v=1 exec=100 delay=10000100\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "a wake-up moves it, and it is not enqueued before that has reached its CPU",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 books A first\n"
	  "200 cpu0 migrate A 0 1\n"
	  "300 cpu0 wake A by u9\n"
	  "90000000 cpu1 wakeup A\n"
	  "90000100 cpu1 switch idle A\n"
	  "90000200 cpu1 switch A/X idle\n"
	  "90000200 cpu1 books A dead v=1 m=1 exec=100 delay=100\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "moved in its sleep, on its run queue: run_delay counts from then on",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 books A first\n"
	  "200 cpu0 migrate A 0 1 queued\n"
	  "90000000 cpu1 wake A by u9\n"
	  "90000100 cpu1 switch idle A\n"
	  "90000200 cpu1 switch A/X idle\n"
	  "90000200 cpu1 books A dead v=1 m=1 exec=100 delay=89999900\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "... and before its first books: run_delay grows by that, too",
	  "100000000 cpu0 snap A blocked S:read\n"
	  "100000000 cpu0 books A first delay=7\n"
	  "190000000 cpu1 wake A by u9\n"
	  "190000100 cpu1 unbooked A before 70000000\n"
	  "190000100 cpu1 switch idle A\n"
	  "190000200 cpu1 switch A/X idle\n"
	  "190000200 cpu1 books A dead v=1 m=0 exec=100 delay=160000107\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "... of a command to be started, whose life begins later than its books",
	  "100000000 cpu0 snap A target S:read\n"
	  "100000000 cpu0 books A first delay=7\n"
	  "190000000 cpu1 wake A by u9\n"
	  "190000100 cpu1 unbooked A before 70000000\n"
	  "190000100 cpu1 switch idle A\n"
	  "190000200 cpu1 switch A/X idle\n"
	  "190000200 cpu1 books A dead v=1 m=0 exec=100 delay=160000107\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "a switch that we dropped, by its number",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 books A first\n"
	  "200 cpu0 wake A by idle\n"
	  "300 cpu0 switch idle A\n"
	  "!310 cpu0 switch A/P u9\n"
	  "320 cpu0 switch u9 A\n"
	  "400 cpu0 switch A/X u9\n"
	  "400 cpu0 books A dead v=1 i=1 exec=90 delay=110\n",
	  AUDIT_MISSED, AUDIT_OK, AUDIT_OK },
	{ "one more than we dropped",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 books A first\n"
	  "200 cpu0 wake A by idle\n"
	  "300 cpu0 switch idle A\n"
	  "!310 cpu0 switch A/P u9\n"
	  "320 cpu0 switch u9 A\n"
	  "400 cpu0 switch A/X u9\n"
	  "400 cpu0 books A dead v=1 i=2 exec=90 delay=110\n",
	  AUDIT_DIFFERS, AUDIT_OK, AUDIT_OK },
	{ "met on a CPU to which nothing moved it",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu0 switch idle A\n"
	  "300 cpu0 switch A/P u9\n"
	  "400 cpu1 switch idle A\n"
	  "500 cpu1 switch A/X idle\n"
	  "500 cpu1 books A dead v=1 i=1 m=1 exec=200 delay=200\n",
	  AUDIT_OK, AUDIT_MISSED, AUDIT_OK },
	{ "moved from a CPU to which nothing had moved it",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu0 migrate A 0 1 queued\n"
	  "300 cpu0 migrate A 0 1 queued\n"
	  "400 cpu1 switch idle A\n"
	  "500 cpu1 switch A/X idle\n"
	  "500 cpu1 books A dead v=1 m=3 exec=100 delay=300\n",
	  AUDIT_OK, AUDIT_MISSED, AUDIT_OK },
	{ "the end: as of the last switch-out, whatever comes after",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu0 switch idle A\n"
	  "300 cpu0 switch A/S:read idle\n"
	  "400 cpu0 books A end v=1 i=0 m=0 exec=100 delay=100\n"
	  "500 cpu0 wake A by idle\n"
	  "600 cpu0 switch idle A\n"
	  "100000000 cpu0 switch A/P idle\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "the end, while it runs: the wait before it is not in run_delay as of then",
	  "100 cpu0 fork B > A\n"
	  "100 cpu0 wakeup A new\n"
	  "200 cpu0 switch idle A\n"
	  "300 cpu0 switch A/P u9\n"
	  "900000000 cpu0 switch u9 A\n"
	  "900000100 cpu0 books A end v=0 i=1 m=0 exec=100 delay=100\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "the baseline in the middle: what was before does not count",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "200 cpu0 books A first v=50 i=60 m=70 exec=5 delay=6\n"
	  "300 cpu0 switch u9 A\n"
	  "400 cpu0 switch A/X u9\n"
	  "400 cpu0 books A dead v=51 i=60 m=70 exec=105 delay=106\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
	{ "a missed switch-in, recovered: nothing is missing",
	  "100 cpu0 snap A blocked S:read\n"
	  "100 cpu0 books A first\n"
	  "200 cpu0 wake A by idle\n"
	  "90000000 cpu0 missed A in arrival=50000000 queue=39999800\n"
	  "90000000 cpu0 switch A/X u9\n"
	  "90000000 cpu0 books A dead v=1 i=0 exec=50000000 delay=39999800\n",
	  AUDIT_OK, AUDIT_OK, AUDIT_OK },
};

/* The only thread's, or A's. */
static void audit_of(const char *text, struct audit *ret_audit)
{
	struct ledger *l = NULL;
	struct err err;

	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	trace_text_feed(l, text);
	ledger_finish(l, 0);
	audit_thread(ledger_thread(l, 0), ret_audit);
	ledger_free(l);
}

static void test_cases(void **state)
{
	unsigned int failed = 0;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct audit a;

		audit_of(cases[i].text, &a);
		if (a.switches == cases[i].switches && a.migrations == cases[i].migrations &&
		    a.time == cases[i].time)
			continue;
		print_error("%s: switches %d, migrations %d, time %d (off by %" PRId64 ")\n",
			    cases[i].name, a.switches, a.migrations, a.time, a.difference_ns);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void test_numbers(void **state)
{
	struct audit a;

	(void)state;
	audit_of(RUN "100000500 cpu1 books A dead v=6 i=8 m=8 exec=100001000 delay=2250\n", &a);
	assert_int_equal(a.voluntary[0], 1);
	assert_int_equal(a.voluntary[1], 1);
	assert_int_equal(a.involuntary[0], 1);
	assert_int_equal(a.involuntary[1], 2);
	assert_int_equal(a.missed_switches, 1);
	assert_int_equal(a.oncpu_ns[0], 100000100);
	assert_int_equal(a.oncpu_ns[1], 100000000);
	assert_int_equal(a.runq_ns[0], 150); /* from sched_wakeup */
	assert_int_equal(a.runq_ns[1], 250);
	assert_int_equal(a.difference_ns, 0);
	assert_int_equal(a.tolerance_ns, 100000250 / 200 + 30000);
	assert_int_equal(a.all, AUDIT_DIFFERS);
}

static void test_total(void **state)
{
	struct audit_total total;
	struct ledger *l = NULL;
	struct err err;

	(void)state;
	assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
	trace_text_feed(l, "100 cpu0 snap A oncpu\n"
			   "200 cpu0 fork A > B\n"
			   "200 cpu0 wakeup B new\n"
			   "300 cpu1 switch idle B\n"
			   "400 cpu1 switch B/X idle\n"
			   "400 cpu1 books B dead v=1 exec=100 delay=100\n"
			   "500 cpu0 fork A > C\n"
			   "600 cpu1 switch idle C\n"
			   "700 cpu1 switch C/X idle\n"
			   "700 cpu1 books C dead v=2 exec=100 delay=100\n");
	ledger_finish(l, 1000);
	audit_all(l, &total);
	assert_int_equal(total.threads[AUDIT_NONE], 1);
	assert_int_equal(total.threads[AUDIT_OK], 1);
	assert_int_equal(total.threads[AUDIT_DIFFERS], 1);
	assert_int_equal(total.sum.voluntary[0], 2);
	assert_int_equal(total.sum.voluntary[1], 3);
	assert_int_equal(total.sum.all, AUDIT_DIFFERS);
	ledger_free(l);
}

/* Books that no kernel writes: the sums stay where numbers end. */
static void test_garbage(void **state)
{
	static const struct {
		const char *last; /* of each of two threads */
		int64_t missed, difference_ns;
	} garbage[] = {
		{ "v=9223372036854775807 i=0 exec=0 delay=0", INT64_MAX, 0 },
		{ "v=9223372036854775900 i=0 exec=0 delay=0", INT64_MIN, 0 },
		{ "v=0 i=0 exec=9223372036854775807 delay=0", 0, INT64_MIN },
		{ "v=0 i=0 exec=9223372036854776008 delay=0", 0, INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < LEN(garbage); i++) {
		struct audit_total total;
		struct ledger *l = NULL;
		struct err err;
		char text[1024];

		snprintf(text, sizeof(text),
			 "100 cpu0 snap A oncpu\n100 cpu0 books A first\n"
			 "100 cpu1 snap B oncpu\n100 cpu1 books B first\n"
			 "200 cpu0 switch A/X idle\n200 cpu0 books A dead %s\n"
			 "200 cpu1 switch B/X idle\n200 cpu1 books B dead %s\n",
			 garbage[i].last, garbage[i].last);
		assert_int_equal(ledger_new(ARCH_X86_64, 4, &l, &err), 0);
		trace_text_feed(l, text);
		ledger_finish(l, 0);
		audit_all(l, &total);
		if (garbage[i].missed)
			assert_int_equal(total.sum.missed_switches, garbage[i].missed);
		if (garbage[i].difference_ns)
			assert_int_equal(total.sum.difference_ns, garbage[i].difference_ns);
		assert_int_equal(total.threads[AUDIT_DIFFERS], 2);
		ledger_free(l);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
