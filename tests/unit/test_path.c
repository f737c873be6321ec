// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk back in time: small traces whose path can be read off, and properties over random ones:
 *
 *   every walk        slices follow each other back in time and sum to the window, also while events still come
 *   nothing lost      a walk made while events came is the same when all is known; what is given up changes nothing in the
 *                     critical path; and every slice is what its thread was truly doing
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

#include "analysis/history.h"
#include "analysis/passes.h"
#include "analysis/path.h"
#include "base/vec.h"
#include "sched_sim.h"
#include "trace_text.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define END_NS 1000

static const struct {
	const char *name, *text, *expected;
} cases[] = {
	{ "a thread alone",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/P u9\n"
	  "300 cpu0 switch u9 A\n"
	  "400 cpu0 switch A/S:nanosleep idle\n"
	  "600 cpu0 wake A by u9 hardirq\n"
	  "650 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 650-900, A runq_wakeup 600-650, A sleep 400-600, A oncpu 300-400, "
	  "A runq_preempted 200-300, A oncpu 100-200" },
	{ "its wait was for a thread that was preempted and had waited for the disk",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B oncpu\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "250 cpu1 switch B/I:read idle\n"
	  "400 cpu1 wake B by idle hardirq\n"
	  "420 cpu1 switch idle B\n"
	  "500 cpu1 switch B/P u9\n"
	  "600 cpu1 switch u9 B\n"
	  "700 cpu1 wake A by B task\n"
	  "730 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 730-900, A runq_wakeup 700-730, B oncpu 600-700, B runq_preempted 500-600, "
	  "B oncpu 420-500, B runq_wakeup 400-420, B io 250-400, B oncpu 100-250" },
	{ "a chain of three, each woken by the next",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:futex\n"
	  "100 cpu1 snap C blocked S:futex\n"
	  "200 cpu0 wake B by A task\n"
	  "210 cpu0 switch A/S:futex idle\n"
	  "220 cpu1 switch idle B\n"
	  "500 cpu1 wake C by B task\n"
	  "510 cpu1 switch B/S:futex C\n"
	  "800 cpu1 wake A by C task\n"
	  "820 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 820-900, A runq_wakeup 800-820, C oncpu 510-800, C runq_wakeup 500-510, "
	  "B oncpu 220-500, B runq_wakeup 200-220, A oncpu 100-200" },
	{ "a new thread goes on with its maker; a join with who ended",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 fork A > B\n"
	  "250 cpu0 wakeup B new\n"
	  "300 cpu1 switch idle B\n"
	  "310 cpu0 switch A/S:futex idle\n"
	  "700 cpu1 wake A by B task\n"
	  "720 cpu1 switch B/X idle\n"
	  "750 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 750-900, A runq_wakeup 700-750, B oncpu 300-700, B runq_wakeup 200-300, "
	  "A oncpu 100-200" },
	{ "woken from outside the recording; by an unknown context: its own wait",
	  "50 cpu0 name u7 sshd\n"
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B oncpu\n"
	  "200 cpu0 switch A/S:read idle\n"
	  "400 cpu1 wake A by u7 task\n"
	  "410 cpu0 switch idle A\n"
	  "500 cpu0 switch A/S:read idle\n"
	  "600 cpu1 wake A by B\n"
	  "610 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n"
	  "900 cpu1 switch B/X idle\n",
	  "A oncpu 610-900, A runq_wakeup 600-610, A io 500-600, A oncpu 410-500, "
	  "A runq_wakeup 400-410, A io 200-400 (u7), A oncpu 100-200" },
	{ "two that wake each other: only back in time",
	  "100 cpu0 snap A oncpu\n"
	  "100 cpu1 snap B blocked S:futex\n"
	  "200 cpu0 wake B by A task\n"
	  "200 cpu0 switch A/S:futex idle\n"
	  "200 cpu1 switch idle B\n"
	  "300 cpu1 wake A by B task\n"
	  "300 cpu1 switch B/S:futex idle\n"
	  "300 cpu0 switch idle A\n"
	  "400 cpu0 wake B by A task\n"
	  "400 cpu0 switch A/S:futex idle\n"
	  "400 cpu1 switch idle B\n"
	  "500 cpu1 wake A by B task\n"
	  "500 cpu1 switch B/S:futex idle\n"
	  "500 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 500-900, B oncpu 400-500, A oncpu 300-400, B oncpu 200-300, A oncpu 100-200" },
	{ "what was lost stays unknown",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/S:read idle\n"
	  "!300 cpu0 wake A by idle hardirq\n"
	  "!310 cpu0 switch idle A\n"
	  "700 cpu0 lost 300 310 2\n"
	  "700 cpu0 switch A/S:read idle\n"
	  "800 cpu0 wake A by idle hardirq\n"
	  "810 cpu0 switch idle A\n"
	  "900 cpu0 switch A/X idle\n",
	  "A oncpu 810-900, A runq_wakeup 800-810, A io 700-800, A untracked 200-700, "
	  "A oncpu 100-200" },
	{ "who came later without a maker: not known before",
	  "100 cpu0 snap A oncpu\n"
	  "200 cpu0 switch A/X idle\n"
	  "400 cpu0 snap B oncpu\n"
	  "900 cpu0 switch B/X idle\n",
	  "B oncpu 400-900, ? untracked 100-400" },
};

struct shown {
	FILE *f;
	uint64_t at_ns;
	const char *comma;
};

static void show_slice(void *arg, const struct path_slice *slice)
{
	struct shown *s = arg;

	assert_true(slice->to_ns == s->at_ns && slice->from_ns < slice->to_ns);
	s->at_ns = slice->from_ns;
	fprintf(s->f, "%s%c %s %" PRIu64 "-%" PRIu64, s->comma,
		slice->thread ? 'A' + (int)slice->thread->serial - 1 : '?',
		class_name(slice->class), slice->from_ns, slice->to_ns);
	if (slice->outside)
		fprintf(s->f, " (u%" PRIu32 ")", slice->outside & ~WHO_UNTRACKED);
	s->comma = ", ";
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct critical_path path;
		struct ledger *l;
		struct passes *p;
		struct err err;
		char *text = NULL;
		size_t len;
		struct shown s = { .f = open_memstream(&text, &len), .at_ns = 900, .comma = "" };
		uint64_t sum = 0;

		assert_int_equal(ledger_new(ARCH_X86_64, 2, &l, &err), 0);
		assert_int_equal(passes_new(l, 2, PASS_HISTORY, &p, &err), 0);
		trace_text_feed_passes(l, p, cases[i].text);
		assert_int_equal(passes_end(p, END_NS), 0);
		ledger_finish(l, END_NS);
		assert_int_equal(critical_path_make(p->history, 100, 900, &path), 0);
		assert_non_null(path.last);
		path_walk(p->history, path.last, 900, 100, show_slice, &s);
		fclose(s.f);
		if (strcmp(text, cases[i].expected))
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].name, text, cases[i].expected);
		for (size_t k = 0; k < path.nr; k++)
			sum += path.part[k].ns;
		assert_int_equal(sum, 800);
		assert_int_equal(s.at_ns, 100);
		critical_path_free(&path);
		free(text);
		passes_free(p);
		ledger_free(l);
	}
}

/* ---- random traces ---- */

struct walk {
	const struct thread *t;
	uint64_t begin_ns, end_ns, at_ns;
	struct path_slice *slice;
	size_t nr, cap;
};

#define WALKS 40

struct run {
	struct sim_options opt;
	struct sim_result sim;
	struct ledger *ledger;
	struct history *full, *small;
	struct walk walk[WALKS];
	unsigned int nr_walks;
	bool known; /* nothing is lost, nothing missed */
};

static unsigned int nr_given_up; /* runs in which old history was */

#define check(r, what)                                                          \
	do {                                                                    \
		if (!(what))                                                    \
			fail_msg("seed %" PRIu64 ": %s", (r)->opt.seed, #what); \
	} while (0)

static void take_slice(void *arg, const struct path_slice *slice)
{
	struct walk *w = arg;

	assert_true(slice->to_ns == w->at_ns && slice->from_ns < slice->to_ns);
	assert_true(slice->from_ns >= w->begin_ns);
	w->at_ns = slice->from_ns;
	assert_int_equal(vec_room(&w->slice, &w->cap, w->nr + 1), 0);
	w->slice[w->nr++] = *slice;
}

static struct walk walk_now(const struct history *h, const struct thread *t, uint64_t end_ns,
			    uint64_t begin_ns)
{
	struct walk w = { .t = t, .begin_ns = begin_ns, .end_ns = end_ns, .at_ns = end_ns };

	path_walk(h, t, end_ns, begin_ns, take_slice, &w);
	assert_true(w.at_ns == begin_ns);
	return w;
}

/* A wake-up that came before its thread's switch-out: what it ends is not known yet. */
static bool anything_pending(const struct ledger *l)
{
	for (size_t i = 0; i < ledger_nr_threads(l); i++)
		if (ledger_thread(l, i)->woken_early)
			return true;
	return false;
}

static void walk_in_between(struct run *r, size_t event)
{
	size_t nr = ledger_nr_threads(r->ledger);
	const struct thread *t = nr ? ledger_thread(r->ledger, event % nr) : NULL;
	uint64_t now = r->sim.event[event].time_ns;
	uint64_t begin = now > 30000 ? now - 30000 : 1000;
	struct walk w;

	if (!t || !t->started || now <= begin)
		return;
	free(walk_now(r->small, t, now, begin).slice);
	w = walk_now(r->full, t, now, begin);
	if (r->nr_walks < WALKS && event % 7 == 0 && !anything_pending(r->ledger))
		r->walk[r->nr_walks++] = w;
	else
		free(w.slice);
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct run *r = arg;

	/* As the analysis of locks will do it: at the end of a wait, from who was running then. */
	(void)class;
	if (!t->parent || to_ns <= from_ns || t->serial % 2)
		return;
	t = ledger_find(r->ledger, t->parent);
	if (t && t->started && !t->ended)
		free(walk_now(r->full, t, to_ns, from_ns).slice);
}

/* What its thread was doing, truly, in all of the slice. */
static void check_truth(struct run *r, const struct path_slice *slice)
{
	const struct sim_thread *th;

	if (!slice->thread)
		return;
	th = &r->sim.thread[slice->thread->serial];
	for (size_t i = 0; i < th->nr; i++)
		if (th->interval[i].to_ns > slice->from_ns &&
		    th->interval[i].from_ns < slice->to_ns)
			check(r, th->interval[i].class == slice->class);
}

static void check_walks(struct run *r)
{
	for (unsigned int i = 0; i < r->nr_walks; i++) {
		struct walk *w = &r->walk[i];
		struct walk again = walk_now(r->full, w->t, w->end_ns, w->begin_ns);

		if (r->known) {
			check(r, again.nr == w->nr);
			for (size_t k = 0; k < w->nr; k++) {
				check(r, again.slice[k].thread == w->slice[k].thread);
				check(r, again.slice[k].class == w->slice[k].class);
				check(r, again.slice[k].from_ns == w->slice[k].from_ns);
				check_truth(r, &again.slice[k]);
			}
		}
		free(w->slice);
		free(again.slice);
	}
}

static void check_critical(struct run *r)
{
	struct critical_path full, small;
	uint64_t begin = UINT64_MAX, end = 0, sum[2] = { 0 };

	for (size_t i = 0; i < ledger_nr_threads(r->ledger); i++) {
		const struct thread *t = ledger_thread(r->ledger, i);

		if (t->started && t->start_ns < begin)
			begin = t->start_ns;
		if (t->started && t->end_ns > end)
			end = t->end_ns;
	}
	assert_int_equal(critical_path_make(r->full, begin, end, &full), 0);
	assert_int_equal(critical_path_make(r->small, begin, end, &small), 0);
	for (size_t i = 0; i < full.nr; i++)
		sum[0] += full.part[i].ns;
	for (size_t i = 0; i < small.nr; i++)
		sum[1] += small.part[i].ns;
	check(r, sum[0] == end - begin);
	check(r, sum[1] == end - begin);
	if (full.last) {
		struct walk w = walk_now(r->small, full.last, end, begin);

		nr_given_up += w.nr && !w.slice[w.nr - 1].thread;
		free(w.slice);
	}
	if (r->known) {
		check(r, full.last == small.last);
		check(r, full.nr == small.nr);
		check(r, full.slices == small.slices && full.jumps == small.jumps);
		for (size_t i = 0; i < full.nr; i++) {
			check(r, full.part[i].thread == small.part[i].thread);
			check(r, full.part[i].class == small.part[i].class);
			check(r, full.part[i].ns == small.part[i].ns);
		}
	}
	critical_path_free(&full);
	critical_path_free(&small);
}

static void run(struct sim_options opt, size_t limit)
{
	struct run r = { .opt = opt, .known = !opt.drops && !opt.ties && !opt.holes };
	struct err err;

	sim_run(&opt, &r.sim);
	assert_int_equal(ledger_new(ARCH_X86_64, SIM_CPUS, &r.ledger, &err), 0);
	ledger_epoch(r.ledger, SIM_EPOCH);
	assert_int_equal(history_new(r.ledger, HISTORY_DEFAULT, &r.full), 0);
	assert_int_equal(history_new(r.ledger, limit, &r.small), 0);
	ledger_watch(r.ledger, on_interval, &r);
	for (size_t i = 0; i < r.sim.nr; i++) {
		struct trace_event ev = { r.sim.event[i].time_ns, r.sim.event[i].cpu,
					  r.sim.event[i].rec };

		assert_int_equal(history_event(r.full, &ev, ev.time_ns), 0);
		assert_int_equal(history_event(r.small, &ev, ev.time_ns), 0);
		assert_int_equal(ledger_event(r.ledger, &ev), 0);
		walk_in_between(&r, i);
	}
	ledger_finish(r.ledger, r.sim.end_ns);
	check_walks(&r);
	check_critical(&r);
	history_free(r.full);
	history_free(r.small);
	ledger_free(r.ledger);
	sim_free(&r.sim);
}

static void test_random(void **state)
{
	static const size_t limits[] = { 120, 200, 300 };

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		size_t limit = limits[seed % LEN(limits)];

		run((struct sim_options){ .seed = seed, .steps = 1200 }, limit);
		run((struct sim_options){ .seed = seed, .steps = 1200, .holes = true }, limit);
		run((struct sim_options){ .seed = seed,
					  .steps = 1200,
					  .drops = true,
					  .ties = true,
					  .holes = true },
		    limit);
	}
	assert_true(nr_given_up > 400);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
