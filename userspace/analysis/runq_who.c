// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who had the CPU while threads waited for it: see runq_who.h.
 *
 * A mark is a CPU's sums at the moment when a wait on it begins; the wait's parts are what the sums have grown by when it ends.
 * Marks are set by the events that may begin a wait; whether one did the ledger tells at its end. A wait that does not begin at
 * its thread's mark, or does not end now, is one that the ledger recovered or corrected: unknown.
 */
#include "analysis/runq_who.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/runq_impl.h"
#include "base/vec.h"

/* ---- CPUs ---- */

static void piece(struct runq_who *w, struct runq_cpu *c, uint32_t occ, uint32_t own,
		  uint64_t to_ns)
{
	if (runq_cpu_piece(c, w->occ, &w->own_ns[own], occ, to_ns))
		w->failed = -ENOMEM;
}

/* Ends a CPU's open piece here; who has the CPU is what its last switch said. */
static void cut(struct runq_who *w, struct runq_cpu *c)
{
	bool sure = c->known && !c->lost;

	if (c->since_ns != w->now_ns)
		piece(w, c, sure ? c->occ : OCC_UNKNOWN, sure ? c->own : 0, w->now_ns);
}

/* Who leaves a CPU had it since the last piece, unless events are missing. */
static void end_slice(struct runq_who *w, unsigned int cpu, uint32_t prev)
{
	struct runq_cpu *c = &w->cpu[cpu];
	uint32_t occ;

	if (c->since_ns == w->now_ns)
		return;
	if (c->lost || (c->known && c->who != prev && !(c->who & prev & WHO_UNTRACKED))) {
		piece(w, c, OCC_UNKNOWN, 0, w->now_ns);
		return;
	}
	occ = c->known && c->who == prev ? c->occ : runq_occ_of(w, prev);
	piece(w, c, occ, c->known && occ == c->occ ? c->own : runq_own_of(w, cpu, occ), w->now_ns);
}

static void begin_slice(struct runq_who *w, unsigned int cpu, uint32_t next, struct waiter *x)
{
	struct runq_cpu *c = &w->cpu[cpu];

	c->occ = x ? x->occ : runq_occ_of(w, next);
	c->own = x ? runq_own_of_waiter(w, x, cpu) : 0;
	c->who = next;
	c->known = true;
	c->lost = false;
	c->irq_from_ns = w->now_ns;
	idle_change(w->idle, cpu, next == WHO_IDLE, w->now_ns);
}

/* ---- marks ---- */

static void mark(struct runq_who *w, struct waiter *x, uint32_t cpu)
{
	struct runq_cpu *c;

	runq_irq_unmark(w, x);
	x->marked = true;
	x->at_ns = w->now_ns;
	x->bad = cpu >= w->nr_cpus;
	if (x->bad)
		return;
	c = &w->cpu[cpu];
	cut(w, c);
	x->cpu = cpu;
	x->first = c->head;
	x->own = runq_own_of_waiter(w, x, cpu);
	x->own_ns = w->own_ns[x->own];
	x->elsewhere_ns = idle_elsewhere(w->idle, x->idle_set, cpu, w->now_ns);
	memcpy(x->sum_ns, c->sum_ns, sizeof(x->sum_ns));
	runq_irq_mark(w, x);
}

/* A wait may begin now. */
static void mark_begin(struct runq_who *w, struct waiter *x, uint32_t cpu)
{
	if (!x->left.closed)
		runq_irq_forget(w, x);
	memset(x->wait.done_ns, 0, sizeof(x->wait.done_ns));
	x->wait.nobody_ns = 0;
	x->wait.made_ns = 0;
	x->wait.nr_spans = 0;
	x->wait.begin_ns = w->now_ns;
	mark(w, x, cpu);
}

/* The sums' growth since the mark goes into the wait's parts: up to the last piece. */
static void mark_take(struct runq_who *w, struct waiter *x)
{
	struct runq_cpu *c = &w->cpu[x->cpu];
	uint64_t own_ns;

	own_ns = w->own_ns[x->own] - x->own_ns;
	x->wait.done_ns[RUNQ_OWN] += own_ns;
	x->wait.done_ns[RUNQ_TRACKED] -= own_ns;
	for (int p = RUNQ_TRACKED; p < RUNQ_PARTS; p++)
		x->wait.done_ns[p] += c->sum_ns[p] - x->sum_ns[p];
	if (x->wait.nr_spans < MOVES_KEPT)
		x->wait.span[x->wait.nr_spans++] = (struct span){ x->cpu, x->first, c->head };
}

/* What has gone by since the mark goes into the wait's parts. */
static void mark_end(struct runq_who *w, struct waiter *x)
{
	struct runq_cpu *c = &w->cpu[x->cpu];

	if (x->bad || c->told_ns > x->at_ns) {
		x->wait.done_ns[RUNQ_UNKNOWN] += w->now_ns - x->at_ns;
		return;
	}
	cut(w, c);
	mark_take(w, x);
	runq_irq_leave(w, x);
	x->wait.nobody_ns +=
		idle_elsewhere(w->idle, x->idle_set, x->cpu, w->now_ns) - x->elsewhere_ns;
}

/* It waits on another CPU from now on, or may use others. */
static void mark_move(struct runq_who *w, struct waiter *x, uint32_t cpu)
{
	mark_end(w, x);
	mark(w, x, cpu);
}

/* ---- waits ---- */

static void add(struct runq_split *to, uint64_t waits, const uint64_t *part_ns, uint64_t nobody_ns)
{
	to->waits += waits;
	to->nobody_ns += nobody_ns;
	for (int p = 0; p < RUNQ_PARTS; p++) {
		to->part_ns[p] += part_ns[p];
		to->wait_ns += part_ns[p];
	}
}

static void give_to_occupants(struct runq_who *w, uint32_t occ, const struct wait *wait)
{
	bool made_own = wait->made_ns && wait->maker == occ;

	for (unsigned int i = 0; i < wait->nr_spans; i++)
		runq_cpu_wait(&w->cpu[wait->span[i].cpu], wait->span[i].first, wait->span[i].last);
	w->occ[occ].own_ns += wait->done_ns[RUNQ_OWN] - (made_own ? wait->made_ns : 0);
	if (wait->made_ns && !made_own)
		w->occ[wait->maker].ns += wait->made_ns;
}

/* Its first `ns` it waits for its maker. */
static void being_made(struct runq_who *w, struct waiter *x, uint64_t ns)
{
	const struct waiter *maker = x->t->parent ? runq_waiter_of(w, x->t->parent) : NULL;
	enum runq_part part = RUNQ_UNKNOWN;

	if (maker)
		part = maker->occ == x->occ ? RUNQ_OWN : RUNQ_TRACKED;
	x->wait.made_ns = ns;
	x->wait.maker = maker ? maker->occ : OCC_UNKNOWN;
	x->wait.done_ns[part] = ns;
}

/* The wait that the ledger has closed, if it is one that we know all of. */
static const struct wait *known_wait(struct runq_who *w, struct waiter *x, uint64_t from_ns,
				     uint64_t to_ns)
{
	const struct wait *wait = NULL;
	uint64_t sum = 0;

	if (x->ended && x->ended_ns == to_ns) {
		wait = x->ended;
	} else if (x->marked && to_ns == w->now_ns && x->wait.begin_ns == from_ns) {
		mark_end(w, x);
		x->marked = false;
		runq_irq_unmark(w, x);
		wait = &x->wait;
	} else if (x->t->state == ST_NEW) { /* the recording ended before it was on a queue */
		memset(&x->wait, 0, sizeof(x->wait));
		x->wait.begin_ns = from_ns;
		being_made(w, x, to_ns - from_ns);
		wait = &x->wait;
	}
	for (int p = 0; wait && p < RUNQ_PARTS; p++)
		sum += wait->done_ns[p];
	return wait && wait->begin_ns == from_ns && sum == to_ns - from_ns ? wait : NULL;
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	uint64_t unknown_ns[RUNQ_PARTS] = { [RUNQ_UNKNOWN] = to_ns - from_ns };
	struct runq_who *w = arg;
	const struct wait *wait;
	struct waiter *x;

	if (class != CLASS_RUNQ_PREEMPTED && class != CLASS_RUNQ_WAKEUP)
		return;
	x = runq_waiter_of(w, t->serial);
	if (!x)
		return;
	wait = known_wait(w, x, from_ns, to_ns);
	add(&x->split, 1, wait ? wait->done_ns : unknown_ns, wait ? wait->nobody_ns : 0);
	if (wait)
		give_to_occupants(w, x->occ, wait);
	else
		runq_irq_forget(w, x);
	x->left.closed = true;
	if (x->ended) {
		free(x->ended);
		x->ended = NULL;
	}
}

/* ---- events ---- */

/* Its next wait may begin before the ledger closes this one. */
static void keep_ended(struct runq_who *w, struct waiter *x, uint64_t ended_ns)
{
	if (!x->ended)
		x->ended = malloc(sizeof(*x->ended));
	if (!x->ended) {
		w->failed = -ENOMEM;
		return;
	}
	runq_irq_forget(w, x);
	*x->ended = x->wait;
	x->ended_ns = ended_ns;
}

/*
 * A switch-in that no probe saw, told just before the thread's switch-out: who had the CPU before had it until then (it is a task under
 * which no probe runs), and the thread's wait ended there.
 */
static void end_missed(struct runq_who *w, struct runq_cpu *c, uint32_t prev)
{
	struct waiter *x = runq_waiter_of(w, prev);
	bool sure = c->known && !c->lost && c->who & WHO_UNTRACKED;

	if (c->missed != prev || !x || c->arrival_ns < c->since_ns)
		return;
	piece(w, c, sure ? c->occ : OCC_UNKNOWN, 0, c->arrival_ns);
	if (x->marked && !x->bad && &w->cpu[x->cpu] == c && c->told_ns <= x->at_ns) {
		mark_take(w, x);
		x->marked = false;
		runq_irq_unmark(w, x);
		keep_ended(w, x, c->arrival_ns);
	}
	c->known = false;
}

static void on_missed(struct runq_who *w, const struct ev_missed *rec, unsigned int cpu)
{
	if (!(EV_FLAGS(rec->w0) & MI_SWITCH_IN) || rec->arrivals != 1 ||
	    rec->arrival_ns > w->now_ns)
		return;
	w->cpu[cpu].missed = rec->who;
	w->cpu[cpu].arrival_ns = w->now_ns - rec->arrival_ns;
}

static void on_switch(struct runq_who *w, const struct ev_switch *rec, unsigned int cpu)
{
	struct waiter *prev = runq_waiter_of(w, rec->prev), *next = runq_waiter_of(w, rec->next);

	if (w->cpu[cpu].missed)
		end_missed(w, &w->cpu[cpu], rec->prev);
	w->cpu[cpu].missed = 0;
	end_slice(w, cpu, rec->prev);
	begin_slice(w, cpu, rec->next, next);
	if (prev && (EV_FLAGS(rec->w0) & (SW_RUNNABLE | SW_PREEMPT) || prev->t->woken_early))
		mark_begin(w, prev, cpu);
	if (next && next->marked && next->cpu != cpu)
		next->bad = true;
}

/* A new thread is on its first queue: until now it waited for its maker. */
static void on_new(struct runq_who *w, struct waiter *x, uint32_t cpu)
{
	mark_begin(w, x, cpu);
	x->wait.begin_ns = x->t->since_ns;
	being_made(w, x, w->now_ns - x->wait.begin_ns);
}

static void on_wake(struct runq_who *w, const struct ev_wake *rec)
{
	bool wake = EV_KIND(rec->w0) == EV_WAKE;
	unsigned int flags = EV_FLAGS(rec->w0);
	struct waiter *x = runq_waiter_of(w, rec->wakee);

	if (!x)
		return;
	if (!wake && flags & WU_NEW && x->t->state == ST_NEW) {
		on_new(w, x, rec->cpu);
		return;
	}
	if (wake || flags & WU_NO_WAKE) {
		if (x->t->state != ST_RUNQ)
			mark_begin(w, x, rec->cpu);
		return;
	}
	if (x->marked && x->cpu != rec->cpu)
		mark_move(w, x, rec->cpu);
}

/* Other CPUs are allowed from now on. */
static void on_task(struct runq_who *w, const struct ev_task *rec)
{
	struct waiter *x = runq_waiter_of(w, rec->who);
	unsigned int set;

	if (!x)
		return;
	set = idle_set(w->idle, rec->cpus, rec->nr_cpus, w->now_ns);
	if (set == x->idle_set)
		return;
	if (x->marked)
		mark_end(w, x);
	x->idle_set = set;
	if (x->marked)
		mark(w, x, x->bad ? UINT32_MAX : x->cpu);
}

static void on_migrate(struct runq_who *w, const struct ev_migrate *rec)
{
	struct waiter *x = runq_waiter_of(w, rec->who);

	if (x && x->marked)
		mark_move(w, x, rec->to);
}

static void on_lost(struct runq_who *w, const struct ev_lost *rec, unsigned int cpu)
{
	if (!rec->count[DROP_FULL])
		return;
	w->cpu[cpu].lost = true;
	w->cpu[cpu].told_ns = w->now_ns + 1;
	w->cpu[cpu].irq_from_ns = w->now_ns;
	idle_change(w->idle, cpu, false, w->now_ns);
}

static void on_irq(struct runq_who *w, const struct ev_irq *rec, unsigned int cpu)
{
	struct runq_cpu *c = &w->cpu[cpu];
	uint64_t from_ns = rec->ns < w->now_ns ? w->now_ns - rec->ns : 0;

	runq_irq(w, c, EV_FLAGS(rec->w0) & IQ_BEFORE ? runq_irq_first(c, w->now_ns) : from_ns);
}

int runq_who_event(struct runq_who *w, const struct trace_event *ev, uint64_t now_ns)
{
	const void *rec = ev->rec;

	w->now_ns = now_ns;
	switch (EV_KIND(ev->rec[0])) {
	case EV_SWITCH:
		on_switch(w, rec, ev->cpu);
		break;
	case EV_WAKE:
	case EV_WAKEUP:
		on_wake(w, rec);
		break;
	case EV_MIGRATE:
		on_migrate(w, rec);
		break;
	case EV_TASK:
		on_task(w, rec);
		break;
	case EV_MISSED:
		on_missed(w, rec, ev->cpu);
		break;
	case EV_LOST:
		on_lost(w, rec, ev->cpu);
		break;
	case EV_IRQ:
		on_irq(w, rec, ev->cpu);
		break;
	default:
		break;
	}
	return w->failed;
}

int runq_who_end(struct runq_who *w, uint64_t end_ns)
{
	w->now_ns = end_ns;
	return w->failed;
}

void runq_who_finish(struct runq_who *w)
{
	const struct waiter *x;
	uint32_t serial = 0;

	while ((x = serial_map_next(&w->waiters, &serial)))
		add(&w->all, x->split.waits, x->split.part_ns, x->split.nobody_ns);
	for (unsigned int i = 0; i < w->nr_cpus; i++)
		runq_cpu_finish(&w->cpu[i], w->occ);
}

/* ---- the object ---- */

int runq_who_new(struct ledger *l, unsigned int nr_cpus, struct foreigners *foreign,
		 struct runq_who **ret_who)
{
	struct runq_who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->ledger = l;
	w->foreign = foreign;
	w->nr_cpus = nr_cpus;
	w->waiters.bytes = sizeof(struct waiter);
	w->cpu = calloc(nr_cpus + 1, sizeof(*w->cpu));
	w->idle = idle_new(nr_cpus);
	if (!w->cpu || !w->idle || runq_occ_init(w)) {
		runq_who_free(w);
		return -ENOMEM;
	}
	ledger_watch(l, on_interval, w);
	*ret_who = w;
	return 0;
}

void runq_who_free(struct runq_who *w)
{
	struct waiter *x;
	uint32_t serial = 0;

	if (!w)
		return;
	while ((x = serial_map_next(&w->waiters, &serial)))
		free(x->ended);
	for (unsigned int i = 0; w->cpu && i < w->nr_cpus; i++)
		free(w->cpu[i].ring);
	free(w->cpu);
	idle_free(w->idle);
	serial_map_free(&w->waiters);
	keymap_free(&w->occ_by_pid);
	keymap_free(&w->own_of);
	free(w->occ);
	free(w->own_ns);
	free(w);
}

const struct runq_split *runq_who_all(const struct runq_who *w)
{
	return &w->all;
}

const struct runq_split *runq_who_thread(const struct runq_who *w, uint32_t serial)
{
	const struct waiter *x = serial_map_find(&w->waiters, serial);

	return x && x->split.waits ? &x->split : NULL;
}
