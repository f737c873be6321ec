// SPDX-License-Identifier: GPL-2.0-only
/* Who works in a trace, in how many lanes; and whether a difference, or a prediction, is more than noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/work.h"
#include "explain/verdict.h"
#include "report/diff.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

/* Two of 400 each, that A starts after 100 and waits for; then it goes on for 100. */
#define PARALLEL(a_waits)             \
	"200 cpu0 fork A > B tid=2\n" \
	"200 cpu0 wakeup B new\n"     \
	"200 cpu0 fork A > C tid=3\n" \
	"200 cpu0 wakeup C new\n"     \
	"200 cpu1 switch idle B\n"    \
	"200 cpu0 " a_waits "\n"      \
	"600 cpu0 switch C/X idle\n"  \
	"600 cpu1 wake A by B task\n" \
	"600 cpu1 switch B/X A\n"     \
	"700 cpu1 switch A/X idle\n"

static const struct {
	const char *name, *text;
	size_t lanes, workers, coordinators, bystanders;
	uint64_t alone_ns, spawn_ns, imbalance_ns, teardown_ns;
} cases[] = {
	{ "one thread", "100 cpu0 snap A tid=1 oncpu\n900 cpu0 switch A/X idle\n", 1, 1, 0, 0, 0, 0,
	  0, 0 },
	{ "one that starts two and waits for them is a coordinator; alone before and after",
	  "100 cpu0 snap A tid=1 oncpu\n" PARALLEL("switch A/S:futex C"), 2, 2, 1, 0, 200, 0, 0,
	  0 },
	{ "... it may have worked before, and starting them may take it a while",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "500 cpu0 fork A > B tid=2\n"
	  "500 cpu1 wakeup B new\n"
	  "500 cpu1 switch idle B\n"
	  "520 cpu0 fork A > C tid=3\n"
	  "520 cpu2 wakeup C new\n"
	  "520 cpu2 switch idle C\n"
	  "530 cpu0 switch A/S:wait4 idle\n"
	  "890 cpu2 wake A by C task\n"
	  "900 cpu1 switch B/X idle\n"
	  "900 cpu2 switch C/X idle\n"
	  "900 cpu0 switch idle A\n"
	  "1000 cpu0 switch A/X idle\n",
	  2, 2, 1, 0, 520, 0, 0, 0 },
	{ "... and stand in the queue for a CPU for most of it",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "500 cpu0 fork A > B tid=2\n"
	  "500 cpu0 wakeup B new\n"
	  "500 cpu0 switch A/P B\n"
	  "800 cpu0 switch B/P A\n"
	  "803 cpu0 switch A/S:wait4 B\n"
	  "900 cpu0 wake A by B task\n"
	  "900 cpu0 switch B/X A\n"
	  "1000 cpu0 switch A/X idle\n",
	  1, 1, 1, 0, 0, 0, 0, 0 },
	{ "... but who waits for little, and runs whenever it can, is a worker, however seldom that is",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "500 cpu0 fork A > B tid=2\n"
	  "500 cpu0 wakeup B new\n"
	  "500 cpu0 switch A/P B\n"
	  "800 cpu0 switch B/P A\n"
	  "810 cpu0 switch A/P B\n"
	  "900 cpu0 switch B/X A\n"
	  "1000 cpu0 switch A/X idle\n",
	  2, 2, 0, 0, 400, 0, 100, 0 },
	{ "90 and 10: one is left alone",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "200 cpu1 switch B/X idle\n"
	  "900 cpu0 switch A/X idle\n",
	  2, 2, 0, 0, 0, 0, 700, 0 },
	{ "one that hardly did anything is none of them",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 blocked S:read\n"
	  "900 cpu0 switch A/X idle\n",
	  1, 1, 0, 1, 0, 0, 0, 100 },
	{ "... but one that a lock kept from it is",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 oncpu\n"
	  "101 cpu1 futex B addr=4096 owner=1,1,0\n"
	  "101 cpu1 switch B/S:futex idle\n"
	  "900 cpu0 wake B by A task why=1\n"
	  "900 cpu0 switch A/X idle\n"
	  "901 cpu1 switch idle B\n"
	  "1000 cpu1 switch B/X idle\n",
	  2, 2, 0, 0, 0, 0, 100, 0 },
	{ "one after the other are one lane, with nobody between",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "100 cpu1 snap B tid=2 blocked S:read\n"
	  "300 cpu0 switch A/X idle\n"
	  "400 cpu1 fork B > C tid=3\n"
	  "400 cpu1 wakeup C new\n"
	  "400 cpu1 switch idle C\n"
	  "1000 cpu1 switch C/X idle\n",
	  1, 2, 1, 0, 0, 100, 0, 0 },
	{ "the first worker is alone until it starts the second, and goes on",
	  "100 cpu0 snap A tid=1 oncpu\n"
	  "500 cpu0 fork A > B tid=2\n"
	  "500 cpu0 wakeup B new\n"
	  "500 cpu1 switch idle B\n"
	  "900 cpu1 switch B/X idle\n"
	  "900 cpu0 switch A/X idle\n",
	  2, 2, 0, 0, 400, 0, 0, 0 },
};

static struct loaded *load(const char *text, char path[32])
{
	json_t *meta = json_pack("{s:s,s:{s:i},s:{s:I},s:I}", "arch", "x86_64", "machine", "cpus",
				 TRACE_TEXT_CPUS, "clock", "epoch_ns", (json_int_t)5000, "ended_ns",
				 (json_int_t)END_NS);
	struct loaded *l = NULL;
	struct err err = {};

	strcpy(path, "/tmp/test_work.XXXXXX");
	close(mkstemp(path));
	trace_text_write(path, meta, text);
	json_decref(meta);
	assert_int_equal(load_open(path, &l, &err), 0);
	assert_int_equal(load_passes(l, PASS_LOCKS, &err), 0);
	assert_int_equal(load_run(l, NULL, NULL, &err), 0);
	return l;
}

/* What the stack of the lanes says sums to lanes * time, exactly. */
static void check_stack(const struct work *w, const struct loaded *l, const char *path,
			const char *name)
{
	struct experiment run;
	struct stack stack;
	struct err err = {};
	int64_t sum = 0;

	assert_int_equal(work_experiment(w, l, &run), 0);
	assert_int_equal(experiment_load(&run, path, &err), 0);
	work_stack(w, &run, &stack);
	for (int part = 0; part < STACK_NR; part++)
		sum += stack.part_ns[part];
	if (sum != (int64_t)(w->lanes * (w->end_ns - w->begin_ns)))
		fail_msg("%s: the stack sums to %" PRId64, name, sum);
	assert_int_equal(stack.workers, w->lanes);
	experiment_free(&run);
}

static void test_lanes(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char path[32];
		struct loaded *l = load(cases[i].text, path);
		struct work w;

		assert_int_equal(work_find(l, &w), 0);
		if (w.lanes != cases[i].lanes || w.workers != cases[i].workers ||
		    w.coordinators != cases[i].coordinators ||
		    w.bystanders != cases[i].bystanders || w.alone_ns != cases[i].alone_ns ||
		    w.spawn_ns != cases[i].spawn_ns || w.imbalance_ns != cases[i].imbalance_ns ||
		    w.teardown_ns != cases[i].teardown_ns)
			fail_msg("%s: %zu lanes, %zu %zu %zu, alone %" PRIu64 " spawn %" PRIu64
				 " imbalance %" PRIu64 " teardown %" PRIu64,
				 cases[i].name, w.lanes, w.workers, w.coordinators, w.bystanders,
				 w.alone_ns, w.spawn_ns, w.imbalance_ns, w.teardown_ns);
		check_stack(&w, l, path, cases[i].name);
		work_free(&w);
		load_free(l);
		unlink(path);
	}
}

/* ---- noise ---- */

#define ACCOUNTS 4

static enum diff_verdict wall_verdict(const uint64_t *a, size_t nr_a, const uint64_t *b,
				      size_t nr_b)
{
	struct account x[ACCOUNTS] = {}, y[ACCOUNTS] = {};
	enum diff_verdict verdict;
	struct diff d;

	for (size_t i = 0; i < nr_a; i++)
		x[i].wall_ns = a[i];
	for (size_t i = 0; i < nr_b; i++)
		y[i].wall_ns = b[i];
	assert_int_equal(diff_make((struct diff_side){ .account = x, .nr = nr_a },
				   (struct diff_side){ .account = y, .nr = nr_b }, &d),
			 0);
	verdict = d.wall_ns.verdict;
	assert_int_equal(d.threads.verdict, DIFF_SAME);
	diff_free(&d);
	return verdict;
}

static void test_noise(void **state)
{
	static const uint64_t a[] = { 1000, 1010, 990 }, far[] = { 1100, 1110, 1090 },
			      near[] = { 1030, 1045, 1015 }, tiny[] = { 1001, 1001, 1001 },
			      same[] = { 1000, 1000, 1000 };

	(void)state;
	assert_int_equal(wall_verdict(a, 1, a, 1), DIFF_SAME);
	assert_int_equal(wall_verdict(a, 1, far, 1), DIFF_NOISE_UNKNOWN);
	/* t = 100 / (10 * sqrt(2 / 3)) = 12.2, of 4 degrees of freedom: 8.61 is enough */
	assert_int_equal(wall_verdict(a, 3, far, 3), DIFF_BEYOND_NOISE);
	assert_int_equal(wall_verdict(far, 3, a, 3), DIFF_BEYOND_NOISE);
	/* of 2: 31.6 would be needed, and there are 100 / 7.07 = 14 */
	assert_int_equal(wall_verdict(a, 2, far, 2), DIFF_WITHIN_NOISE);
	assert_int_equal(wall_verdict(a, 3, near, 3), DIFF_WITHIN_NOISE);
	/* of no spread at all, but too little to be worth a claim */
	assert_int_equal(wall_verdict(same, 3, tiny, 3), DIFF_WITHIN_NOISE);
}

/* As many migrations in each of three recordings. */
static enum diff_verdict count_verdict(uint64_t in_a, uint64_t in_b)
{
	struct account x[3] = {}, y[3] = {};
	enum diff_verdict verdict;
	struct diff d;

	for (size_t i = 0; i < 3; i++) {
		x[i].migrations = in_a;
		y[i].migrations = in_b;
	}
	assert_int_equal(diff_make((struct diff_side){ .account = x, .nr = 3 },
				   (struct diff_side){ .account = y, .nr = 3 }, &d),
			 0);
	verdict = d.migrations.verdict;
	diff_free(&d);
	return verdict;
}

/* Each may be off by half an event: t = 2 * change / sqrt(2 / 3), and 8.61 is enough from a change of 3.6 on. */
static void test_noise_of_counts(void **state)
{
	(void)state;
	assert_int_equal(count_verdict(2, 2), DIFF_SAME);
	assert_int_equal(count_verdict(2, 1), DIFF_WITHIN_NOISE);
	assert_int_equal(count_verdict(0, 3), DIFF_WITHIN_NOISE);
	assert_int_equal(count_verdict(2, 6), DIFF_BEYOND_NOISE);
	assert_int_equal(count_verdict(1030, 1000), DIFF_BEYOND_NOISE);
	/* not worth a claim */
	assert_int_equal(count_verdict(1010, 1000), DIFF_WITHIN_NOISE);
}

static void test_findings_and_locks(void **state)
{
	struct account_lock lock[] = { { "mutex m in prog", 500, 5 },
				       { "mutex n in prog", 10, 1 } };
	struct account_finding lost[] = { { "lock", 300 }, { "io", 40 } };
	struct account a = {
		.wall_ns = 1000, .lock = lock, .nr_locks = 1, .finding = lost, .nr_findings = 2
	};
	struct account b = { .wall_ns = 1000,
			     .lock = lock + 1,
			     .nr_locks = 1,
			     .finding = lost + 1,
			     .nr_findings = 1 };
	struct diff d;

	(void)state;
	assert_int_equal(diff_make((struct diff_side){ .account = &a, .nr = 1 },
				   (struct diff_side){ .account = &b, .nr = 1 }, &d),
			 0);
	assert_int_equal(d.nr_locks, 2);
	assert_string_equal(d.lock[0].name, "mutex m in prog");
	assert_true(d.lock[0].wait_ns.a == 500 && d.lock[0].wait_ns.b == 0);
	assert_true(d.lock[1].waits.a == 0 && d.lock[1].waits.b == 1);
	assert_int_equal(d.nr_findings, 2);
	assert_string_equal(d.finding[0].cause, "lock");
	assert_string_equal(d.finding[0].status, "gone");
	assert_string_equal(d.finding[1].status, "unchanged");
	diff_free(&d);
}

static void test_verdicts(void **state)
{
	static const struct {
		double low, high, measured, noise;
		bool known;
		enum verdict_word word;
	} v[] = {
		{ 1.8, 2.0, 1.9, 0.01, true, VERDICT_HOLDS },
		{ 1.8, 2.0, 2.01, 0.01, true, VERDICT_HOLDS },
		{ 1.8, 2.0, 2.05, 0.01, true, VERDICT_TOO_LOW },
		{ 1.8, 2.0, 1.5, 0.01, true, VERDICT_TOO_HIGH },
		{ 1.8, 2.0, 2.05, 0, false, VERDICT_HOLDS }, /* the noise that is assumed */
		{ 1.8, 2.0, 2.2, 0, false, VERDICT_TOO_LOW },
		{ 1.8, 2.0, 1.5, 0.3, true, VERDICT_HOLDS },
		{ 1.8, 2.0, 1.0, 2.8, true, VERDICT_HOLDS }, /* as anything would */
		{ 1.8, 2.0, 0.2, 2.8, true, VERDICT_TOO_HIGH },
	};

	(void)state;
	for (size_t i = 0; i < LEN(v); i++) {
		struct verdict one = { .low = v[i].low,
				       .high = v[i].high,
				       .measured = v[i].measured,
				       .noise = v[i].noise,
				       .noise_known = v[i].known };
		char text[VERDICT_TEXT];

		verdict_decide(&one);
		assert_int_equal(one.word, v[i].word);
		assert_int_equal(strstr(verdict_text(&one, text), "wrong") != NULL,
				 one.word != VERDICT_HOLDS);
		assert_int_equal(strstr(text, "differ too much") != NULL,
				 one.word == VERDICT_HOLDS && v[i].noise > 0.5);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes),           cmocka_unit_test(test_noise),
		cmocka_unit_test(test_noise_of_counts), cmocka_unit_test(test_findings_and_locks),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
