// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each thread did, as a list that can be played again: see replay.h.
 *
 * An interval of the history becomes one op, or several when wake-ups were given in it:
 *
 *   oncpu ......... RUN | SIGNAL 7 | RUN          another's wait, ended by it at that point, is WAIT 7
 *   runq_* ........ QUEUE
 *   a wait ........ WAIT, or FIXED where no recorded thread ended it
 *
 * A wake-up that stands in a wait (the times of two CPUs' records need not agree) is given in front of it, and takes effect later by
 * as much. What a thread waited for when the recording ended is left out: it did nothing more.
 *
 * A thread that was woken on its way to sleep for a lock has not waited, but given its CPU up: a FIXED of no time, so that without the
 * lock the QUEUE behind it is left out as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/history_impl.h"
#include "analysis/replay_impl.h"
#include "analysis/work.h"
#include "base/cleanup.h"
#include "base/vec.h"

/* ---- the wake-ups that each thread gave ---- */

struct gift {
	uint32_t giver; /* serial */
	uint32_t token;
	bool birth;
	uint64_t time_ns;
};

struct taking {
	struct replay_source *source;
	const struct history *history;
	struct replay_model *m;
	struct gift *gift; /* by giver and time, once sorted */
	size_t nr_gifts, cap_gifts, at_gift;
	const struct work *work; /* NULL: all work all the time */
	size_t at_window;
	struct replay_thread *now;
	bool ready; /* the last op leaves it with a CPU, or in front of one */
	int r;
};

static int by_giver(const void *a, const void *b)
{
	const struct gift *x = a, *y = b;

	if (x->giver != y->giver)
		return x->giver < y->giver ? -1 : 1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* Did this thread live then, so that it can have done it? */
static bool lived(const struct history *h, uint32_t serial, uint64_t time_ns)
{
	const struct past *p = serial ? history_past(h, serial) : NULL;

	return p && p->nr && history_begin(p) <= time_ns && p->at[p->nr - 1].to_ns >= time_ns;
}

static void give(struct taking *k, uint32_t giver, uint64_t time_ns, bool birth)
{
	if (k->r || vec_room(&k->gift, &k->cap_gifts, k->nr_gifts + 1)) {
		k->r = -ENOMEM;
		return;
	}
	k->gift[k->nr_gifts] = (struct gift){
		.giver = giver, .token = (uint32_t)k->nr_gifts, .birth = birth, .time_ns = time_ns
	};
	k->nr_gifts++;
}

/* A new thread is its maker's gift. */
static bool has_maker(const struct taking *k, const struct past *p)
{
	return p->t->parent && p->t->parent != p->t->serial && !p->t->unannounced &&
	       lived(k->history, p->t->parent, p->t->start_ns);
}

static bool is_edge(const struct taking *k, const struct past *p, size_t i)
{
	const struct interval *at = &p->at[i];

	return at->ended_by == ENDED_BY_TASK && at->waker != p->t->serial &&
	       lived(k->history, at->waker, at->to_ns);
}

/* The tokens are numbered as the ops that wait for them come. */
static void collect_gifts(struct taking *k)
{
	for (size_t n = 0; n < k->m->nr_threads; n++) {
		const struct past *p = history_past(k->history, k->m->thread[n].serial);

		if (has_maker(k, p))
			give(k, p->t->parent, p->t->start_ns, true);
		for (size_t i = 0; i < p->nr; i++)
			if (is_edge(k, p, i))
				give(k, p->at[i].waker, p->at[i].to_ns, false);
	}
	if (k->nr_gifts)
		qsort(k->gift, k->nr_gifts, sizeof(*k->gift), by_giver);
	k->m->edges = k->m->nr_tokens = (uint32_t)k->nr_gifts;
}

/* ---- one thread's list ---- */

static struct op *add(struct taking *k, enum op_kind kind, uint64_t ns, enum ledger_class class)
{
	static struct op nowhere;
	struct replay_model *m = k->m;

	if (k->r || vec_room(&m->op, &m->cap_ops, m->nr_ops + 1)) {
		k->r = -ENOMEM;
		return &nowhere;
	}
	m->op[m->nr_ops] = (struct op){ .kind = (uint8_t)kind, .ns = ns, .class = (uint8_t) class };
	return &m->op[m->nr_ops++];
}

/* By its middle. */
static enum op_part part_of(const struct taking *k, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t at_ns = from_ns + (to_ns - from_ns) / 2;
	const struct work *w = k->work;

	for (size_t i = k->at_window; w && i < w->nr; i++) {
		const struct work_window *one = &w->window[i];

		if (one->thread->serial != k->now->serial)
			break;
		if (one->begin_ns <= at_ns && at_ns < one->end_ns)
			return one->coordinator ? PART_ALONE : PART_WORK;
	}
	return w ? PART_SPAWN : PART_UNKNOWN;
}

static void add_part(struct taking *k, uint64_t from_ns, uint64_t to_ns)
{
	enum op_part part = part_of(k, from_ns, to_ns);

	add(k, OP_RUN, to_ns - from_ns, CLASS_ONCPU)->part = (uint8_t)part;
	k->m->parts[part] = true;
	k->now->work_ns += part == PART_WORK ? to_ns - from_ns : 0;
}

/* What it gave up to and with to_ns; from_ns: since when it is in this interval; at_once: in front of it. */
static void add_gifts(struct taking *k, uint64_t from_ns, uint64_t to_ns, bool at_once)
{
	uint64_t done_ns = from_ns;
	struct op *op;

	while (k->at_gift < k->nr_gifts && k->gift[k->at_gift].giver == k->now->serial &&
	       k->gift[k->at_gift].time_ns <= to_ns) {
		const struct gift *g = &k->gift[k->at_gift++];
		uint64_t at_ns = g->time_ns > from_ns ? g->time_ns : from_ns;

		if (!at_once && at_ns > done_ns) {
			add_part(k, done_ns, at_ns);
			done_ns = at_ns;
		}
		op = add(k, OP_SIGNAL, at_once ? at_ns - from_ns : 0, 0);
		op->token = g->token;
		op->birth = g->birth;
		k->m->births |= g->birth;
		k->m->births_in_work |= g->birth && part_of(k, at_ns, at_ns) == PART_WORK;
	}
	if (!at_once && to_ns > done_ns)
		add_part(k, done_ns, to_ns);
}

/* Its wait for a lock that ended then. NULL: there is none. */
static const struct replay_wait *wait_to(const struct taking *k, const struct past *p,
					 uint64_t to_ns, size_t *hint)
{
	const struct replay_waits *w = serial_map_find(k->source->waits, p->t->serial);

	while (w && *hint < w->nr && w->at[*hint].to_ns < to_ns)
		++*hint;
	return w && *hint < w->nr && w->at[*hint].to_ns == to_ns ? &w->at[*hint] : NULL;
}

static uint32_t lock_of(const struct taking *k, const struct past *p, size_t i, size_t *hint)
{
	const struct replay_wait *w = wait_to(k, p, p->at[i].to_ns, hint);

	return w && !w->none && lock_kind_class(w->lock->kind) == p->at[i].class ?
		       w->lock->index + 1 :
		       0;
}

static bool is_queue(enum ledger_class class)
{
	return class == CLASS_RUNQ_PREEMPTED || class == CLASS_RUNQ_WAKEUP;
}

/* The migrations in front of the time on a CPU that ends then. */
static uint16_t moves_to(const struct taking *k, const struct past *p, uint64_t to_ns, size_t *hint)
{
	const struct replay_moves *m = serial_map_find(k->source->moves, p->t->serial);

	while (m && *hint < m->nr && m->at[*hint].to_ns < to_ns)
		++*hint;
	return m && *hint < m->nr && m->at[*hint].to_ns == to_ns ? m->at[*hint].nr : 0;
}

/* Several in a row are one; where it did not get a CPU behind it (but was throttled, say), it is a wait like others. */
static void add_queue(struct taking *k, const struct past *p, size_t i)
{
	uint64_t from_ns = history_from(p, i), to_ns = p->at[i].to_ns;
	struct op *last = k->m->nr_ops > k->now->first ? &k->m->op[k->m->nr_ops - 1] : NULL;
	size_t next = i + 1;

	while (next < p->nr && is_queue(p->at[next].class))
		next++;
	k->ready = next < p->nr && p->at[next].class == CLASS_ONCPU;
	if (!k->ready) {
		add(k, OP_FIXED, to_ns - from_ns, p->at[i].class);
	} else if (last && last->kind == OP_QUEUE) {
		last->ns += to_ns - from_ns;
		last->at_ns = to_ns;
	} else {
		enum op_part part = part_of(k, from_ns, to_ns);

		last = add(k, OP_QUEUE, to_ns - from_ns, p->at[i].class);
		last->at_ns = to_ns;
		last->part = (uint8_t)part;
	}
}

/* Until where its intervals were looked up. */
struct hints {
	size_t waits, moves;
};

/* It was to sleep for a lock, and is in front of a CPU at once. */
static void add_no_wait(struct taking *k, const struct past *p, size_t i, struct hints *hint)
{
	const struct replay_wait *w = wait_to(k, p, history_from(p, i), &hint->waits);

	if (w && w->none)
		add(k, OP_FIXED, 0, lock_kind_class(w->lock->kind))->lock = w->lock->index + 1;
}

static void add_run(struct taking *k, const struct past *p, size_t i, struct hints *hint)
{
	uint64_t from_ns = history_from(p, i), to_ns = p->at[i].to_ns;
	size_t first = k->m->nr_ops;
	uint16_t moves = moves_to(k, p, to_ns, &hint->moves);

	if (!k->ready)
		add(k, OP_QUEUE, 0, CLASS_RUNQ_WAKEUP)->at_ns = from_ns;
	add_gifts(k, from_ns, to_ns, false);
	k->ready = true;
	k->m->moves += moves;
	while (first < k->m->nr_ops && k->m->op[first].kind != OP_RUN)
		first++;
	if (first < k->m->nr_ops)
		k->m->op[first].moves = moves;
}

/* It works at some moment of that; its windows begin at k->at_window. */
static bool works(const struct taking *k, uint64_t from_ns, uint64_t to_ns)
{
	const struct work *w = k->work;

	for (size_t i = k->at_window; w && i < w->nr; i++) {
		const struct work_window *one = &w->window[i];

		if (one->thread->serial != k->now->serial)
			return false;
		if (one->begin_ns < to_ns && one->end_ns > from_ns)
			return true;
	}
	return !w;
}

static void add_interval(struct taking *k, const struct past *p, size_t i, uint32_t *token,
			 struct hints *hint)
{
	uint64_t from_ns = history_from(p, i), to_ns = p->at[i].to_ns;
	enum ledger_class class = p->at[i].class;
	struct op *op;

	if (class == CLASS_ONCPU) {
		add_run(k, p, i, hint);
		return;
	}
	add_gifts(k, from_ns, to_ns, true);
	if (is_queue(class)) {
		add_no_wait(k, p, i, hint);
		add_queue(k, p, i);
		return;
	}
	k->ready = false;
	k->m->waits++;
	if (is_edge(k, p, i)) {
		op = add(k, OP_WAIT, 0, class);
		op->token = (*token)++;
	} else {
		op = add(k, OP_FIXED, to_ns - from_ns, class);
	}
	op->lock = lock_of(k, p, i, &hint->waits);
	op->idle = (class == CLASS_SYNC || class == CLASS_SLEEP) && !works(k, from_ns, to_ns);
}

/* Behind its last time on a CPU a thread that did not end did nothing. */
static size_t used(const struct past *p)
{
	size_t nr = p->nr;

	while (nr && !p->t->ended && p->at[nr - 1].class != CLASS_ONCPU)
		nr--;
	return nr;
}

static void take_thread(struct taking *k, struct replay_thread *thread, uint32_t *token)
{
	const struct past *p = history_past(k->history, thread->serial);
	uint64_t begin_ns = history_begin(p);
	struct hints hint = {};
	size_t nr = used(p);

	k->now = thread;
	k->ready = false;
	thread->first = k->m->nr_ops;
	if (has_maker(k, p) && !nr) /* it never ran */
		++*token;
	else if (has_maker(k, p))
		add(k, OP_WAIT, 0, CLASS_UNTRACKED)->token = (*token)++;
	else if (nr && begin_ns > k->m->begin_ns)
		add(k, OP_FIXED, begin_ns - k->m->begin_ns, CLASS_UNTRACKED);
	add_gifts(k, begin_ns, begin_ns, true);
	for (size_t i = 0; i < nr; i++)
		add_interval(k, p, i, token, &hint);
	for (size_t i = nr; i < p->nr; i++)
		*token += is_edge(k, p, i);
	for (size_t i = 0; i < p->nr; i++) {
		uint64_t ns = p->at[i].to_ns - history_from(p, i);

		k->m->total_ns += ns;
		k->m->untracked_ns += p->at[i].class == CLASS_UNTRACKED ? ns : 0;
	}
	if (nr && p->at[nr - 1].to_ns > k->m->end_ns)
		k->m->end_ns = p->at[nr - 1].to_ns;
	/* what it seems to have given behind its end */
	add_gifts(k, nr ? p->at[nr - 1].to_ns : begin_ns, UINT64_MAX, true);
	thread->end = k->m->nr_ops;
}

/* Its list is complete from its first moment: else older history was given up. */
static bool complete(const struct past *p)
{
	return !p->base && (!p->begun || p->from_ns == p->t->start_ns || p->t->unannounced);
}

static int take_threads(struct taking *k, uint64_t *ret_last_ns, char why[160])
{
	size_t nr = ledger_nr_threads(k->source->ledger);
	struct replay_model *m = k->m;

	m->thread = calloc(nr + 1, sizeof(*m->thread));
	if (!m->thread)
		return -ENOMEM;
	m->begin_ns = UINT64_MAX;
	for (size_t i = 0; i < nr; i++) {
		const struct thread *t = ledger_thread(k->source->ledger, i);
		const struct past *p = t->started ? history_past(k->history, t->serial) : NULL;

		if (!p || (!p->nr && !p->begun))
			continue;
		if (!complete(p)) {
			snprintf(why, 160, "it holds more than can be replayed at once (%u pieces)",
				 HISTORY_DEFAULT);
			return -ENODATA;
		}
		if (t->start_ns < m->begin_ns)
			m->begin_ns = t->start_ns;
		if (t->end_ns > *ret_last_ns)
			*ret_last_ns = t->end_ns;
		m->thread[m->nr_threads++].serial = t->serial;
	}
	if (m->nr_threads)
		return 0;
	snprintf(why, 160, "no scheduler events were recorded");
	return -ENODATA;
}

int model_make(struct replay_source *source, const struct history *history, const struct work *work,
	       unsigned int nr_cpus, struct replay_model *ret_model, char why[160])
{
	struct taking k = { .source = source, .history = history, .m = ret_model, .work = work };
	struct replay_model *m = ret_model;
	uint64_t last_ns = 0;
	uint32_t token = 0;
	int r;

	*m = (struct replay_model){};
	r = take_threads(&k, &last_ns, why);
	if (r)
		return r;
	collect_gifts(&k);
	m->end_ns = m->begin_ns;
	for (size_t n = 0; n < m->nr_threads; n++) {
		/* gifts are sorted by the giver's serial, and so are the threads */
		while (k.at_gift < k.nr_gifts && k.gift[k.at_gift].giver < m->thread[n].serial)
			k.at_gift++;
		while (work && k.at_window < work->nr &&
		       work->window[k.at_window].thread->serial < m->thread[n].serial)
			k.at_window++;
		take_thread(&k, &m->thread[n], &token);
	}
	free(k.gift);
	if (k.r || source->failed)
		return -ENOMEM;
	m->tail_ns = last_ns > m->end_ns ? last_ns - m->end_ns : 0;
	m->lanes = work ? work->lanes : 0;
	if (work)
		model_divide(m, work);
	groups_make(m, source->ledger, nr_cpus);
	return groups_take_out(m);
}

void model_free(struct replay_model *m)
{
	for (size_t i = 0; i < m->nr_groups; i++)
		free(m->group[i].free);
	free(m->op);
	free(m->thread);
	*m = (struct replay_model){};
}
