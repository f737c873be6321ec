// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays the lists of all threads: see replay.h.
 *
 *   at work   on a CPU, or in a wait that takes a known time: in `events`, by when it ends
 *   waiting   for a token
 *   latent    wants a CPU, and must still wait while one is free: in its group's `latent`, by how much free time there will have been
 *   ready     wants a CPU: in its group's `ready`, by the recorded order or, once the replay is off, by when it came
 *
 * All that happens at one moment is done before a CPU is given away, and then one by one.
 */
#include <errno.h>
#include <stdlib.h>

#include "analysis/replay_impl.h"
#include "base/cleanup.h"
#include "base/vec.h"

#define NEVER UINT64_MAX
#define MANY (1u << 30)

/* ---- a heap: the smallest key first, of equal ones the one that came first ---- */

struct item {
	uint64_t key, came;
	uint32_t thread;
};

struct heap {
	struct item *at;
	size_t nr, cap;
};

static bool before(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key < b->key : a->came < b->came;
}

static void swap(struct item *a, struct item *b)
{
	struct item c = *a;

	*a = *b;
	*b = c;
}

static int heap_add(struct heap *h, uint64_t key, uint64_t came, uint32_t thread)
{
	if (vec_room(&h->at, &h->cap, h->nr + 1))
		return -ENOMEM;
	h->at[h->nr] = (struct item){ key, came, thread };
	for (size_t i = h->nr++; i && before(&h->at[i], &h->at[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&h->at[i], &h->at[(i - 1) / 2]);
	return 0;
}

static uint32_t heap_take(struct heap *h)
{
	uint32_t first = h->at[0].thread;
	size_t i = 0;

	h->at[0] = h->at[--h->nr];
	for (;;) {
		size_t least = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < h->nr; c++)
			if (before(&h->at[c], &h->at[least]))
				least = c;
		if (least == i)
			return first;
		swap(&h->at[i], &h->at[least]);
		i = least;
	}
}

/* ---- the state ---- */

struct player {
	size_t at; /* its op */
	size_t stage;
	uint64_t left_ns;             /* of it, once begun */
	uint64_t since_ns;            /* left_ns is as of then */
	uint64_t turn_ns;             /* when it got its CPU */
	bool begun, has_cpu, skipped; /* skipped: it has not slept before its next OP_QUEUE */
	bool over;
};

struct stage {
	struct heap ready, latent;
	unsigned int cpus, taken;
	uint64_t free_ns, since_ns; /* how long a CPU was free until since_ns */
};

struct token {
	uint64_t at_ns;  /* NEVER: not set yet */
	uint32_t waiter; /* thread + 1 */
};

struct play {
	const struct replay_model *m;
	const struct replay_cut *cut;
	struct player *player;
	struct token *token;
	struct stage *stage; /* a group's; with each thread pinned, a CPU's */
	size_t nr_stages;
	struct heap events;
	uint64_t now_ns, came, last_ns;
	size_t over;
	bool off; /* it follows the recording no longer */
	int r;
};

static uint64_t free_now(const struct play *p, const struct stage *s)
{
	return s->free_ns + (s->taken < s->cpus ? p->now_ns - s->since_ns : 0);
}

static void take_cpus(struct play *p, struct stage *s, int by)
{
	s->free_ns = free_now(p, s);
	s->since_ns = p->now_ns;
	s->taken += (unsigned int)by;
}

static struct stage *stage_of(struct play *p, uint32_t thread)
{
	return &p->stage[p->player[thread].stage];
}

static void leave_cpu(struct play *p, uint32_t thread)
{
	struct player *who = &p->player[thread];

	who->skipped = false;
	if (!who->has_cpu)
		return;
	who->has_cpu = false;
	take_cpus(p, stage_of(p, thread), -1);
}

static void at(struct play *p, uint32_t thread, uint64_t time_ns)
{
	p->r = p->r ?: heap_add(&p->events, time_ns, p->came++, thread);
}

/* It wants a CPU, after free_ns more of one being free. */
static void want_cpu(struct play *p, uint32_t thread, uint64_t free_ns)
{
	struct stage *s = stage_of(p, thread);

	leave_cpu(p, thread);
	p->r = p->r ?: heap_add(&s->latent, free_now(p, s) + free_ns, p->came++, thread);
}

/* ---- one thread goes on until it must wait ---- */

static bool left_out(const struct play *p, const struct op *op)
{
	bool queue = op->class == CLASS_RUNQ_PREEMPTED || op->class == CLASS_RUNQ_WAKEUP;

	return (!op->idle && p->cut->classes >> op->class & 1) || (queue && p->cut->no_queue) ||
	       (p->cut->lock && op->lock == p->cut->lock);
}

/* Each returns whether the op is over already. */
static bool do_run(struct play *p, uint32_t thread, const struct op *op)
{
	struct player *who = &p->player[thread];
	uint64_t turn_ns = p->now_ns - who->turn_ns, slice_ns;

	if (!who->begun)
		who->left_ns = replay_run_ns(p->cut, &p->m->thread[thread], op);
	else
		who->left_ns -= p->now_ns - who->since_ns;
	who->begun = true;
	who->since_ns = p->now_ns;
	if (!who->left_ns) {
		who->begun = false;
		return true;
	}
	if (turn_ns >= REPLAY_SLICE_NS) {
		if (p->off && stage_of(p, thread)->ready.nr) {
			want_cpu(p, thread, 0);
			return false;
		}
		who->turn_ns = p->now_ns;
		turn_ns = 0;
	}
	slice_ns = REPLAY_SLICE_NS - turn_ns;
	at(p, thread, p->now_ns + (who->left_ns < slice_ns ? who->left_ns : slice_ns));
	return false;
}

/* False: it was set before. */
static bool set_token(struct play *p, const struct op *op)
{
	struct token *token = &p->token[op->token];

	if (token->at_ns != NEVER)
		return false;
	token->at_ns = p->now_ns + op->ns;
	if (token->waiter)
		at(p, token->waiter - 1, token->at_ns);
	return true;
}

/* It waits for something that is not ready for it. */
static bool waits_for_others(const struct op *op)
{
	return (op->kind == OP_WAIT || op->kind == OP_FIXED) &&
	       (op->class == CLASS_SYNC || op->class == CLASS_IO || op->class == CLASS_SLEEP);
}

static bool do_signal(struct play *p, uint32_t thread, const struct op *op)
{
	const struct op *end = &p->m->op[p->m->thread[thread].end];
	bool births = set_token(p, op) && op->birth && p->cut->no_spawn;

	while (births && ++op < end && !waits_for_others(op))
		if (op->birth)
			set_token(p, op);
	return true;
}

static bool skip(struct play *p, uint32_t thread)
{
	p->player[thread].begun = false;
	p->player[thread].skipped = p->player[thread].has_cpu;
	p->off = true;
	return true;
}

static bool do_wait(struct play *p, uint32_t thread, const struct op *op)
{
	struct token *token = &p->token[op->token];
	struct player *who = &p->player[thread];

	if (who->begun) {
		who->begun = false;
		return true;
	}
	if (left_out(p, op) || token->at_ns <= p->now_ns)
		return skip(p, thread);
	leave_cpu(p, thread);
	who->begun = true;
	if (token->at_ns != NEVER)
		at(p, thread, token->at_ns);
	else
		token->waiter = thread + 1;
	return false;
}

static bool do_fixed(struct play *p, uint32_t thread, const struct op *op)
{
	struct player *who = &p->player[thread];

	if (who->begun) {
		who->begun = false;
		return true;
	}
	if (left_out(p, op))
		return skip(p, thread);
	leave_cpu(p, thread);
	who->begun = true;
	at(p, thread, p->now_ns + op->ns);
	return false;
}

/* So much of a wait for a CPU is left while one is free. */
static uint64_t latent_ns(const struct play *p, uint32_t thread, const struct op *op)
{
	bool preempted = op->class == CLASS_RUNQ_PREEMPTED;

	if (p->cut->no_queue || (p->cut->first && (p->cut->unlimited || preempted)))
		return 0;
	return preempted ? replay_even_ns(p->cut, &p->m->thread[thread], op) : op->ns;
}

static bool do_queue(struct play *p, uint32_t thread, const struct op *op)
{
	struct player *who = &p->player[thread];
	bool no_wait = who->has_cpu && (who->skipped || p->cut->no_queue);

	if (who->begun || no_wait) {
		who->begun = who->skipped = false;
		return true;
	}
	who->begun = true;
	want_cpu(p, thread, latent_ns(p, thread, op));
	return false;
}

static bool do_op(struct play *p, uint32_t thread, const struct op *op)
{
	switch ((enum op_kind)op->kind) {
	case OP_RUN:
		return do_run(p, thread, op);
	case OP_SIGNAL:
		return do_signal(p, thread, op);
	case OP_WAIT:
		return do_wait(p, thread, op);
	case OP_FIXED:
		return do_fixed(p, thread, op);
	default:
		return do_queue(p, thread, op);
	}
}

static void go_on(struct play *p, uint32_t thread)
{
	const struct replay_thread *t = &p->m->thread[thread];
	struct player *who = &p->player[thread];

	while (!p->r && who->at < t->end && do_op(p, thread, &p->m->op[who->at]))
		who->at++;
	if (who->at < t->end || who->over)
		return;
	who->over = true;
	p->over++;
	leave_cpu(p, thread);
	p->last_ns = p->now_ns;
}

/* ---- all of them ---- */

/* The key among those that are ready: its place in the recorded order. */
static uint64_t turn_of(const struct play *p, uint32_t thread)
{
	const struct op *op = &p->m->op[p->player[thread].at];

	return p->off || op->kind != OP_QUEUE ? p->now_ns : op->at_ns - p->m->begin_ns;
}

/* Who has waited long enough while a CPU was free. */
static void wake_latent(struct play *p)
{
	for (size_t i = 0; i < p->nr_stages; i++) {
		struct stage *s = &p->stage[i];

		while (!p->r && s->latent.nr && s->latent.at[0].key <= free_now(p, s)) {
			uint32_t thread = heap_take(&s->latent);

			p->r = heap_add(&s->ready, turn_of(p, thread), p->came++, thread);
		}
	}
}

/* Gives one CPU away. False: there is none, or nobody wants it. */
static bool dispatch(struct play *p)
{
	for (size_t i = 0; i < p->nr_stages; i++) {
		struct stage *s = &p->stage[i];
		const struct op *op;
		uint32_t thread;

		if (!s->ready.nr || s->taken >= s->cpus)
			continue;
		thread = heap_take(&s->ready);
		op = &p->m->op[p->player[thread].at];
		if (op->kind == OP_QUEUE && op->at_ns != p->m->begin_ns + p->now_ns)
			p->off = true;
		take_cpus(p, s, 1);
		p->player[thread].has_cpu = true;
		p->player[thread].turn_ns = p->player[thread].since_ns = p->now_ns;
		go_on(p, thread);
		return true;
	}
	return false;
}

/* The next moment at which anything happens. */
static uint64_t next_ns(const struct play *p)
{
	uint64_t next = p->events.nr ? p->events.at[0].key : NEVER;

	for (size_t i = 0; i < p->nr_stages; i++) {
		const struct stage *s = &p->stage[i];
		uint64_t at_ns;

		if (!s->latent.nr || s->taken >= s->cpus)
			continue;
		at_ns = p->now_ns + (s->latent.at[0].key - free_now(p, s));
		next = at_ns < next ? at_ns : next;
	}
	return next;
}

static void play_moment(struct play *p)
{
	do {
		while (!p->r && p->events.nr && p->events.at[0].key <= p->now_ns)
			go_on(p, heap_take(&p->events));
		wake_latent(p);
	} while (!p->r && ((p->events.nr && p->events.at[0].key <= p->now_ns) || dispatch(p)));
}

/* The CPUs of a group. */
static unsigned int cpus_of(const struct play *p, const struct replay_group *g)
{
	int cpus = (int)g->cpus + p->cut->more;

	return p->cut->unlimited || p->cut->no_queue ? MANY : cpus > 0 ? (unsigned int)cpus : 1;
}

/* A stage for each group; where each thread is on one CPU, for each CPU. */
static int make_stages(struct play *p)
{
	const struct replay_model *m = p->m;
	bool pinned = p->cut->pinned;

	p->nr_stages = pinned ? m->nr_pins : m->nr_groups;
	p->stage = calloc(p->nr_stages + 1, sizeof(*p->stage));
	if (!p->stage)
		return -ENOMEM;
	for (size_t i = 0; i < p->nr_stages; i++)
		p->stage[i].cpus = pinned ? 1 : cpus_of(p, &m->group[i]);
	for (size_t n = 0; n < m->nr_threads; n++)
		p->player[n].stage = pinned ? m->thread[n].pin : m->thread[n].group;
	return 0;
}

static int play_begin(struct play *p)
{
	const struct replay_model *m = p->m;

	p->player = calloc(m->nr_threads + 1, sizeof(*p->player));
	p->token = calloc(m->nr_tokens + 1ull, sizeof(*p->token));
	if (!p->player || !p->token || make_stages(p))
		return -ENOMEM;
	for (uint32_t i = 0; i < m->nr_tokens; i++)
		p->token[i].at_ns = NEVER;
	for (uint32_t i = 0; i < m->nr_threads; i++) {
		p->player[i].at = m->thread[i].first;
		go_on(p, i);
	}
	return p->r;
}

static void play_end(struct play *p)
{
	for (size_t i = 0; p->stage && i < p->nr_stages; i++) {
		free(p->stage[i].ready.at);
		free(p->stage[i].latent.at);
	}
	free(p->stage);
	free(p->events.at);
	free(p->player);
	free(p->token);
}

int model_run(const struct replay_model *m, const struct replay_cut *cut, uint64_t *ret_ns)
{
	_cleanup_(free_p) struct play *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->m = m;
	p->cut = cut;
	r = play_begin(p);
	while (!r) {
		uint64_t next;

		play_moment(p);
		r = p->r;
		next = next_ns(p);
		if (r || next == NEVER)
			break;
		p->now_ns = next;
	}
	if (!r && p->over < m->nr_threads)
		r = -ENODATA;
	*ret_ns = p->last_ns;
	play_end(p);
	return r;
}
