// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parallelism of a recording: see parallelism.h.
 *
 * Criticality without a walk over the running threads at each event: `clock` advances by dt / r while r threads run, and a thread's
 * criticality grows by as much as the clock did while it ran. In whole nanoseconds: what dt / r leaves over goes into the next
 * step, and what is left at the very end (less than one ns for each thread) to the one that ran last.
 */
#include "analysis/parallelism.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/serial_map.h"
#include "analysis/turns.h"
#include "base/vec.h"

enum doing { DOING_OTHER, DOING_READY, DOING_RUNNING, DOING_UNKNOWN };

struct one {
	const struct thread *thread;
	uint64_t since_ns;    /* running: since when */
	uint64_t since_clock; /* and the clock then */
	uint64_t running_ns, criticality_ns;
	uint8_t doing;    /* enum doing */
	uint8_t settled;  /* the same, of its last interval */
	bool told;        /* there was one */
	bool made_others; /* threads of the recording */
};

struct listening {
	struct parallelism result; /* what the caller sees */
	const struct ledger *ledger;
	struct serial_map threads; /* struct one */
	size_t caps[3];            /* of running_ns, ready_ns, active_ns */
	uint64_t now_ns, clock, left_ns;
	size_t running, ready, unknown;
	struct turns turns; /* what really was */
	struct one *last;   /* who ran last */
	bool begun;
	int error;
};

/* Makes room for level k, zeros in what is new. */
static int level_room(uint64_t **levels, size_t *cap, size_t k)
{
	size_t had = *cap;
	int r = vec_room(levels, cap, k + 1);

	if (!r && *cap > had)
		memset(*levels + had, 0, (*cap - had) * sizeof(**levels));
	return r;
}

static int add_level(struct listening *s, uint64_t dt)
{
	struct parallelism *p = &s->result;
	size_t active = s->running + s->ready;
	int r = level_room(&p->running_ns, &s->caps[0], active);

	if (!r)
		r = level_room(&p->ready_ns, &s->caps[1], active);
	if (!r)
		r = level_room(&p->active_ns, &s->caps[2], active);
	if (r)
		return r;
	p->running_ns[s->running] += dt;
	p->ready_ns[s->ready] += dt;
	p->active_ns[active] += dt;
	if (active >= p->levels)
		p->levels = active + 1;
	return 0;
}

static void advance(struct listening *s, uint64_t time_ns)
{
	uint64_t dt;

	if (time_ns <= s->now_ns)
		return;
	dt = time_ns - s->now_ns;
	s->now_ns = time_ns;
	s->error = s->error ?: add_level(s, dt);
	s->result.untracked_ns += s->unknown ? dt : 0;
	if (!s->running)
		return;
	s->result.busy_ns += dt;
	s->left_ns += dt;
	s->clock += s->left_ns / s->running;
	s->left_ns %= s->running;
}

static void stop_running(struct listening *s, struct one *one)
{
	one->running_ns += s->now_ns - one->since_ns;
	one->criticality_ns += s->clock - one->since_clock;
	s->last = one;
}

/* From time_ns on it does that. */
static void change(struct listening *s, struct one *one, uint64_t time_ns, enum doing now)
{
	if (one->doing == now)
		return;
	if (s->begun)
		advance(s, time_ns);
	if (one->doing == DOING_RUNNING)
		stop_running(s, one);
	s->running -= one->doing == DOING_RUNNING;
	s->ready -= one->doing == DOING_READY;
	s->unknown -= one->doing == DOING_UNKNOWN;
	s->running += now == DOING_RUNNING;
	s->ready += now == DOING_READY;
	s->unknown += now == DOING_UNKNOWN;
	one->doing = (uint8_t)now;
	one->since_ns = s->now_ns;
	one->since_clock = s->clock;
}

static enum doing doing_of(enum thread_state state, enum ledger_class class)
{
	if (state == ST_ONCPU)
		return DOING_RUNNING;
	if ((state == ST_RUNQ && class != CLASS_THROTTLED) || state == ST_NEW)
		return DOING_READY;
	return DOING_OTHER;
}

/*
 * A command's first thread is known before its life begins, with the first thing that happens to it: nothing is counted
 * before the first life has begun.
 */
static void begin(struct listening *s)
{
	uint32_t serial = 0;
	struct one *one;

	while ((one = serial_map_next(&s->threads, &serial))) {
		if (!one->thread || !one->thread->started)
			continue;
		if (!s->begun || one->thread->start_ns < s->now_ns)
			s->now_ns = one->thread->start_ns;
		s->begun = true;
	}
	s->result.begin_ns = s->now_ns;
	serial = 0;
	while ((one = serial_map_next(&s->threads, &serial)))
		one->since_ns = s->now_ns;
}

static void on_state(void *arg, const struct thread *t, uint64_t time_ns, enum thread_state state,
		     enum ledger_class class)
{
	enum doing now = doing_of(state, class);
	struct listening *s = arg;
	struct one *one = serial_map_make(&s->threads, t->serial);

	if (!one) {
		s->error = -ENOMEM;
		return;
	}
	one->thread = t;
	if (!s->begun)
		begin(s);
	change(s, one, time_ns, now);
}

/* ---- what really was ---- */

static enum doing settled(enum ledger_class class)
{
	switch (class) {
	case CLASS_ONCPU:
		return DOING_RUNNING;
	case CLASS_RUNQ_PREEMPTED:
	case CLASS_RUNQ_WAKEUP:
		return DOING_READY;
	case CLASS_UNTRACKED:
		return DOING_UNKNOWN;
	default:
		return DOING_OTHER;
	}
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct listening *s = arg;
	struct one *one = to_ns > from_ns ? serial_map_make(&s->threads, t->serial) : NULL;
	enum doing now = settled(class);

	if (to_ns <= from_ns)
		return;
	if (!one) {
		s->error = -ENOMEM;
		return;
	}
	one->thread = t;
	/* what was before the first one of a thread that was met late is not told here */
	if (one->settled == now && (one->told || !t->unannounced))
		return;
	one->told = true;
	one->settled = (uint8_t)now;
	s->error = s->error ?: turns_add(&s->turns, from_ns, t->serial, (uint8_t)now);
}

/* Everything is forgotten but who there is. */
static void start_again(struct listening *s, uint64_t begin_ns)
{
	struct parallelism *p = &s->result;
	uint32_t serial = 0;
	struct one *one;

	while ((one = serial_map_next(&s->threads, &serial)))
		*one = (struct one){ .thread = one->thread };
	for (size_t k = 0; k < p->levels; k++)
		p->running_ns[k] = p->ready_ns[k] = p->active_ns[k] = 0;
	p->levels = 0;
	p->busy_ns = p->untracked_ns = 0;
	s->now_ns = p->begin_ns = begin_ns;
	s->clock = s->left_ns = 0;
	s->running = s->ready = s->unknown = 0;
	s->last = NULL;
	s->begun = true;
}

/* The turns once more, in the order of time, as nobody could know them while the events came. */
static void settle(struct listening *s)
{
	uint64_t begin_ns = UINT64_MAX;

	for (size_t i = 0; i < ledger_nr_threads(s->ledger); i++) {
		const struct thread *t = ledger_thread(s->ledger, i);

		if (!t->started)
			continue;
		if (t->start_ns < begin_ns)
			begin_ns = t->start_ns;
		if (t->met_ns)
			s->error =
				s->error ?:
					turns_add(&s->turns, t->start_ns, t->serial, DOING_UNKNOWN);
		s->error = s->error ?: turns_add(&s->turns, t->end_ns, t->serial, DOING_OTHER);
	}
	if (s->turns.full || s->error || begin_ns == UINT64_MAX)
		return;
	turns_sort(&s->turns);
	start_again(s, begin_ns);
	for (size_t i = 0; i < s->turns.nr; i++) {
		const struct turn *turn = &s->turns.at[i];
		struct one *one = serial_map_find(&s->threads, turn->serial);

		if (one)
			change(s, one, turn->time_ns, (enum doing)turn->doing);
	}
	s->result.exact = true;
}

int parallelism_new(struct ledger *l, struct parallelism **ret_parallelism)
{
	struct listening *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->threads.bytes = sizeof(struct one);
	s->ledger = l;
	ledger_on_state(l, on_state, s);
	ledger_watch(l, on_interval, s);
	*ret_parallelism = &s->result;
	return 0;
}

static int by_criticality(const void *a, const void *b)
{
	const struct parallelism_thread *x = a, *y = b;

	if (x->criticality_ns != y->criticality_ns)
		return x->criticality_ns > y->criticality_ns ? -1 : 1;
	return (x->thread->serial > y->thread->serial) - (x->thread->serial < y->thread->serial);
}

/* Marks who made a thread, and finds how long the busiest one ran. */
static uint64_t look_at_all(struct listening *s)
{
	uint64_t most = 0;
	uint32_t serial = 0;
	struct one *one, *parent;

	while ((one = serial_map_next(&s->threads, &serial))) {
		if (!one->thread)
			continue;
		parent = serial_map_find(&s->threads, one->thread->parent);
		if (parent)
			parent->made_others = true;
		if (one->running_ns > most)
			most = one->running_ns;
	}
	return most;
}

static int list_threads(struct listening *s)
{
	struct parallelism *p = &s->result;
	double few = COORDINATOR_SHARE * (double)look_at_all(s);
	size_t cap = 0;

	for (size_t i = 0; i < ledger_nr_threads(s->ledger); i++) {
		const struct thread *t = ledger_thread(s->ledger, i);
		const struct one *one = serial_map_find(&s->threads, t->serial), none = {};

		if (!t->started)
			continue;
		if (vec_room(&p->thread, &cap, p->nr + 1))
			return -ENOMEM;
		one = one ?: &none;
		p->thread[p->nr++] = (struct parallelism_thread){
			.thread = t,
			.running_ns = one->running_ns,
			.criticality_ns = one->criticality_ns,
			.coordinator = one->made_others && (double)one->running_ns < few,
		};
		p->work_ns += one->running_ns;
	}
	if (p->nr)
		qsort(p->thread, p->nr, sizeof(*p->thread), by_criticality);
	return 0;
}

/*
 * From the first life's begin to the last one's end, as the wall time has it. A life that began before any state was known has
 * nothing to add but its time.
 */
static int close_range(struct listening *s)
{
	uint64_t begin_ns = UINT64_MAX, end_ns = s->now_ns;
	struct parallelism *p = &s->result;
	uint64_t early_ns;

	for (size_t i = 0; i < ledger_nr_threads(s->ledger); i++) {
		const struct thread *t = ledger_thread(s->ledger, i);

		if (t->started && t->start_ns < begin_ns)
			begin_ns = t->start_ns;
		if (t->started && t->end_ns > end_ns)
			end_ns = t->end_ns;
	}
	if (begin_ns == UINT64_MAX)
		return s->error;
	if (!s->begun)
		s->now_ns = p->begin_ns = begin_ns;
	early_ns = p->begin_ns > begin_ns ? p->begin_ns - begin_ns : 0;
	advance(s, end_ns);
	p->end_ns = s->now_ns;
	if (!early_ns || !p->levels)
		return s->error;
	p->begin_ns = begin_ns;
	p->running_ns[0] += early_ns;
	p->ready_ns[0] += early_ns;
	p->active_ns[0] += early_ns;
	return s->error;
}

int parallelism_finish(struct parallelism *p)
{
	struct listening *s = (struct listening *)p;
	uint32_t serial = 0;
	struct one *one;
	int r;

	if (!s->begun)
		begin(s);
	settle(s);
	turns_free(&s->turns);
	r = close_range(s);
	while ((one = serial_map_next(&s->threads, &serial)))
		if (one->doing == DOING_RUNNING)
			stop_running(s, one);
	if (s->last)
		s->last->criticality_ns += s->left_ns;
	return r ? r : list_threads(s);
}

void parallelism_free(struct parallelism *p)
{
	struct listening *s = (struct listening *)p;

	if (!p)
		return;
	turns_free(&s->turns);
	serial_map_free(&s->threads);
	free(p->running_ns);
	free(p->ready_ns);
	free(p->active_ns);
	free(p->thread);
	free(s);
}

void parallelism_pop(const struct parallelism *p, struct parallelism_pop *ret_pop)
{
	uint64_t wall = p->end_ns - p->begin_ns, sum = 0;
	struct parallelism_pop *pop = ret_pop;

	*pop = (struct parallelism_pop){};
	for (size_t i = 0; i < p->nr; i++) {
		const struct parallelism_thread *one = &p->thread[i];

		pop->coordinators += one->coordinator;
		if (one->coordinator || one->thread->kthread || !one->running_ns)
			continue;
		pop->workers++;
		sum += one->running_ns;
		if (one->running_ns > pop->maximum_ns)
			pop->maximum_ns = one->running_ns;
	}
	if (!pop->workers || !wall)
		return;
	pop->average_ns = sum / pop->workers;
	pop->load_balance = (double)sum / (double)pop->workers / (double)pop->maximum_ns;
	pop->communication = (double)pop->maximum_ns / (double)wall;
	pop->parallel = pop->load_balance * pop->communication;
}
