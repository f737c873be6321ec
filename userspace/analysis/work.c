// SPDX-License-Identifier: GPL-2.0-only
/* Who works, and in how many lanes: see work.h. */
#include "analysis/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/history.h"
#include "base/cleanup.h"

/* ---- who ---- */

/* What a thread's children are to it. */
struct family {
	uint64_t first_ns, last_ns; /* the first one's start, the last one's end; 0, 0: none */
	uint64_t oncpu_ns;          /* of all */
};

enum role { ROLE_WORKER, ROLE_COORDINATOR, ROLE_BYSTANDER };

/* By serial. */
static int find_families(const struct loaded *l, struct family **ret_families)
{
	uint32_t most = 0;

	for (size_t i = 0; i < l->nr_threads; i++)
		most = l->threads[i]->serial > most ? l->threads[i]->serial : most;
	*ret_families = calloc((size_t)most + 1, sizeof(**ret_families));
	if (!*ret_families)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		struct family *f = &(*ret_families)[t->parent <= most ? t->parent : 0];

		if (!f->last_ns || t->start_ns < f->first_ns)
			f->first_ns = t->start_ns;
		f->last_ns = t->end_ns > f->last_ns ? t->end_ns : f->last_ns;
		f->oncpu_ns += t->ledger_ns[CLASS_ONCPU];
	}
	(*ret_families)[0] = (struct family){};
	return 0;
}

/* Kept from running. */
static uint64_t kept_ns(const uint64_t ns[CLASS_NR])
{
	return ns[CLASS_RUNQ_PREEMPTED] + ns[CLASS_RUNQ_WAKEUP] + ns[CLASS_THROTTLED] +
	       ns[CLASS_LOCK] + ns[CLASS_GIL] + ns[CLASS_KLOCK];
}

/*
 * On a CPU for less than that share of the time in which it did what it chose to do. What it was kept from running says nothing: a starved
 * worker runs whenever it can, while who coordinates waits again, however long it stood in the queue for that.
 */
static bool hardly_works(const uint64_t ns[CLASS_NR], uint64_t life_ns, double share)
{
	uint64_t kept = kept_ns(ns);

	return kept < life_ns && (double)ns[CLASS_ONCPU] < share * (double)(life_ns - kept);
}

/* Short runs: to start others, and to collect them, is more than a twentieth of them, but little beside what those do. */
static bool mostly_waits_for(const uint64_t ns[CLASS_NR], uint64_t life_ns, uint64_t theirs_ns)
{
	uint64_t kept = kept_ns(ns);

	return (double)ns[CLASS_ONCPU] < WORK_BESIDE_THEIRS * (double)theirs_ns && kept < life_ns &&
	       2 * ns[CLASS_SYNC] >= life_ns - kept;
}

static bool only_waits(const struct loaded *l, const struct thread *t, const struct family *f)
{
	uint64_t ns[CLASS_NR], to_ns = f->last_ns < t->end_ns ? f->last_ns : t->end_ns;

	if (!f->last_ns || to_ns <= f->first_ns)
		return false;
	if (!l->passes || !l->passes->history)
		return hardly_works(t->ledger_ns, t->end_ns - t->start_ns, WORK_COORDINATOR_MAX);
	history_sum(l->passes->history, t->serial, f->first_ns, to_ns, SIZE_MAX, ns);
	return hardly_works(ns, to_ns - f->first_ns, WORK_COORDINATOR_MAX) ||
	       mostly_waits_for(ns, to_ns - f->first_ns, f->oncpu_ns);
}

static enum role role_of(const struct loaded *l, const struct thread *t, const struct family *f)
{
	if (t->kthread)
		return ROLE_BYSTANDER;
	if (only_waits(l, t, f))
		return ROLE_COORDINATOR;
	if (l->from_books)
		return ROLE_WORKER;
	return hardly_works(t->ledger_ns, t->end_ns - t->start_ns, WORK_COUNTS_FROM) ?
		       ROLE_BYSTANDER :
		       ROLE_WORKER;
}

static void add_window(struct work *w, const struct thread *t, uint64_t begin_ns, uint64_t end_ns,
		       bool coordinator)
{
	if (end_ns > begin_ns)
		w->window[w->nr++] = (struct work_window){ .thread = t,
							   .tid = t->tid,
							   .begin_ns = begin_ns,
							   .end_ns = end_ns,
							   .coordinator = coordinator };
}

/* A coordinator's life before its first child, or behind its last one: where it did something. */
static void add_own(const struct loaded *l, struct work *w, const struct thread *t,
		    uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t ns[CLASS_NR];

	if (end_ns <= begin_ns)
		return;
	if (l->passes && l->passes->history) {
		history_sum(l->passes->history, t->serial, begin_ns, end_ns, SIZE_MAX, ns);
		if ((double)(ns[CLASS_ONCPU] + kept_ns(ns)) <
		    WORK_COUNTS_FROM * (double)(end_ns - begin_ns))
			return;
	}
	add_window(w, t, begin_ns, end_ns, true);
}

static void add_thread(const struct loaded *l, struct work *w, const struct thread *t,
		       enum role role, const struct family *f)
{
	if (role == ROLE_COORDINATOR) {
		w->coordinators++;
		add_own(l, w, t, t->start_ns, f->first_ns);
		add_own(l, w, t, f->last_ns, t->end_ns);
	} else if (role == ROLE_WORKER) {
		w->workers++;
		add_window(w, t, t->start_ns, t->end_ns, false);
	} else {
		w->bystanders++;
	}
}

static void add_threads(const struct loaded *l, const struct family *families, struct work *w)
{
	bool any = false;

	for (size_t i = 0; i < l->nr_threads && !any; i++)
		any = role_of(l, l->threads[i], &families[l->threads[i]->serial]) == ROLE_WORKER;
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		enum role role = role_of(l, t, &families[t->serial]);

		/* where nobody else works, those who hardly do it are all there is */
		if (!any && role == ROLE_BYSTANDER && !t->kthread)
			role = ROLE_WORKER;
		add_thread(l, w, t, role, &families[t->serial]);
	}
}

/* ---- lanes ---- */

struct turn {
	uint64_t time_ns;
	int by; /* windows more from here on */
	bool coordinator;
};

static int by_time(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

struct sweep {
	size_t open, coordinators; /* the latter are among the former */
	size_t begun, to_come;     /* without coordinators */
	uint64_t last_end_ns;
};

static size_t take_turns(struct sweep *s, const struct turn *turn, size_t i, size_t nr)
{
	uint64_t at_ns = turn[i].time_ns;

	for (; i < nr && turn[i].time_ns == at_ns; i++) {
		s->open += (size_t)turn[i].by;
		s->coordinators += turn[i].coordinator ? (size_t)turn[i].by : 0;
		s->to_come -= turn[i].by > 0 && !turn[i].coordinator;
		s->begun += turn[i].by > 0 && !turn[i].coordinator;
	}
	return i;
}

/* What nobody did from from_ns to to_ns. */
static void add_empty(struct work *w, const struct sweep *s, uint64_t from_ns, uint64_t to_ns)
{
	size_t empty = w->lanes - s->open, spawn;
	uint64_t ns = to_ns - from_ns;

	/* the first worker, which starts the others, is alone until it does */
	if (s->open &&
	    (s->open == s->coordinators || (s->open == 1 && s->begun == 1 && s->to_come))) {
		w->alone_ns += empty * ns;
		w->alone_wall_ns += empty ? ns : 0;
		return;
	}
	if (from_ns >= s->last_end_ns) {
		w->teardown_ns += empty * ns;
		return;
	}
	spawn = s->open && s->to_come < empty ? s->to_come : empty;
	w->spawn_ns += spawn * ns;
	w->imbalance_ns += (empty - spawn) * ns;
}

static int make_lanes(struct work *w)
{
	_cleanup_(free_p) struct turn *turn = calloc(2 * w->nr + 1, sizeof(*turn));
	struct sweep s = {}, first;
	uint64_t at_ns = w->begin_ns;
	size_t nr = 0;

	if (!turn)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr; i++) {
		const struct work_window *v = &w->window[i];

		turn[nr++] = (struct turn){ v->begin_ns, 1, v->coordinator };
		turn[nr++] = (struct turn){ v->end_ns, -1, v->coordinator };
		s.to_come += !v->coordinator;
		if (v->end_ns > s.last_end_ns)
			s.last_end_ns = v->end_ns;
	}
	qsort(turn, nr, sizeof(*turn), by_time);
	first = s;
	for (size_t i = 0; i < nr;) {
		i = take_turns(&s, turn, i, nr);
		w->lanes = s.open > w->lanes ? s.open : w->lanes;
	}
	s = first;
	for (size_t i = 0; i < nr;) {
		add_empty(w, &s, at_ns, turn[i].time_ns);
		at_ns = turn[i].time_ns;
		i = take_turns(&s, turn, i, nr);
	}
	add_empty(w, &s, at_ns, w->end_ns);
	return 0;
}

int work_find(const struct loaded *l, struct work *ret_work)
{
	_cleanup_(free_p) struct family *families = NULL;
	struct work w = { .begin_ns = l->begin_ns, .end_ns = l->end_ns };
	int r = find_families(l, &families);

	if (r)
		return r;
	w.window = calloc(2 * l->nr_threads + 1, sizeof(*w.window));
	if (!w.window)
		return -ENOMEM;
	add_threads(l, families, &w);
	r = make_lanes(&w);
	if (r)
		work_free(&w);
	*ret_work = w;
	return r;
}

void work_free(struct work *w)
{
	free(w->window);
	*w = (struct work){};
}

/* ---- as an experiment ---- */

int work_experiment(const struct work *w, const struct loaded *l, struct experiment *ret_run)
{
	int64_t epoch = (int64_t)l->meta.epoch_ns;

	*ret_run = (struct experiment){ .nr = w->nr,
					.t0_ns = epoch + (int64_t)w->begin_ns,
					.t1_ns = epoch + (int64_t)w->end_ns,
					.one_process = true };
	ret_run->worker = calloc(w->nr + 1, sizeof(*ret_run->worker));
	if (!ret_run->worker)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr; i++) {
		const struct thread *t = w->window[i].thread;

		ret_run->one_process &= t->tgid == w->window[0].thread->tgid;
		ret_run->worker[i] = (struct experiment_worker){
			.tid = w->window[i].tid,
			.begin_ns = epoch + (int64_t)w->window[i].begin_ns,
			.end_ns = epoch + (int64_t)w->window[i].end_ns,
			.exec_ns = l->from_books ? (int64_t)t->ledger_ns[CLASS_ONCPU] : -1,
			.delay_ns = l->from_books ? (int64_t)t->ledger_ns[CLASS_RUNQ_WAKEUP] : -1,
		};
	}
	return 0;
}

void work_stack(const struct work *w, const struct experiment *run, struct stack *ret_stack)
{
	/* each by itself: a worker that fills its wall time has only the parts of its ledger */
	*ret_stack = (struct stack){ .workers = w->lanes,
				     .wall_ns = (int64_t)(w->end_ns - w->begin_ns) };
	for (size_t i = 0; i < run->nr; i++) {
		struct stack_worker worker = { .begin_ns = run->worker[i].begin_ns,
					       .end_ns = run->worker[i].end_ns };
		struct stack one;

		memcpy(worker.ledger_ns, run->worker[i].ledger_ns, sizeof(worker.ledger_ns));
		stack_make(&worker, 1, worker.begin_ns, worker.end_ns, 0, &one);
		for (int part = 0; part < STACK_NR; part++)
			ret_stack->part_ns[part] += one.part_ns[part];
	}
	ret_stack->part_ns[STACK_SYNC] += (int64_t)w->alone_ns;
	ret_stack->part_ns[STACK_SPAWN] += (int64_t)w->spawn_ns;
	ret_stack->part_ns[STACK_IMBALANCE] += (int64_t)w->imbalance_ns;
	ret_stack->part_ns[STACK_TEARDOWN] += (int64_t)w->teardown_ns;
}
