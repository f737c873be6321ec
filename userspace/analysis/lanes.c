// SPDX-License-Identifier: GPL-2.0-only
/* A program's time in n lanes: see lanes.h. */
#include "analysis/lanes.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/serial_map.h"

/* What a thread is counted as. */
struct lane_thread {
	bool counted; /* it is in one of the counts below */
	bool met;     /* it has been, at some time */
	uint8_t class, kind;
	uint64_t alone_ns;
};

struct counting {
	struct lanes result; /* what the caller sees */
	struct serial_map threads;
	size_t in[CLASS_NR]; /* threads that do not coordinate */
	size_t in_kind[WAIT_KINDS];
	uint64_t serials; /* sum of those on a CPU: the serial, when it is one */
	size_t met;       /* threads that have not only coordinated */
	uint64_t since_ns;
	unsigned int cpus;
	int failed;
};

/* Who gets a lane first. */
static const enum ledger_class order[CLASS_NR] = {
	CLASS_ONCPU,         CLASS_RUNQ_PREEMPTED, CLASS_RUNQ_WAKEUP, CLASS_THROTTLED, CLASS_GIL,
	CLASS_LOCK,          CLASS_KLOCK,          CLASS_IO,          CLASS_STOPPED,   CLASS_SLEEP,
	CLASS_BLOCKED_OTHER, CLASS_UNTRACKED,      CLASS_SYNC,
};

/* The lanes of one moment. */
struct moment {
	size_t lanes[CLASS_NR], absent;
	size_t waiting;   /* in a lock's class */
	size_t following; /* for others' work: sync, or absent */
	size_t busy;      /* anything else */
};

static void fill(const struct counting *c, struct moment *m)
{
	size_t left = c->result.nr;

	for (int i = 0; i < CLASS_NR; i++) {
		size_t take = c->in[order[i]] < left ? c->in[order[i]] : left;

		m->lanes[order[i]] = take;
		left -= take;
	}
	m->absent = left;
	m->waiting = m->lanes[CLASS_GIL] + m->lanes[CLASS_LOCK] + m->lanes[CLASS_KLOCK];
	m->following = m->lanes[CLASS_SYNC] + m->absent;
	m->busy = c->result.nr - m->waiting - m->following;
}

/* Kinds of sync waits, as far as they have lanes. */
static void add_kinds(struct counting *c, const struct moment *m, uint64_t ns, bool alone)
{
	size_t left[CLASS_NR];

	memcpy(left, m->lanes, sizeof(left));
	for (int kind = 0; kind < WAIT_KINDS; kind++) {
		enum ledger_class class =
			kind < LOCK_KIND_NR ? lock_kind_class((enum lock_kind)kind) : CLASS_SYNC;
		size_t take = c->in_kind[kind] < left[class] ? c->in_kind[kind] : left[class];

		if (kind == WAIT_ABSENT)
			take = m->busy <= 1 && m->busy + m->waiting + m->lanes[CLASS_SYNC] > 0 ?
				       m->absent :
				       0;
		else
			left[class] -= take;
		c->result.kind_ns[kind] += take * ns;
		if (alone && class == CLASS_SYNC)
			c->result.alone_kind_ns[kind] += take * ns;
	}
}

static void add_absent(struct counting *c, const struct moment *m, uint64_t ns)
{
	size_t active = c->result.nr - m->absent;
	enum stack_part part = STACK_SYNC;

	if (!active)
		part = c->met ? STACK_TEARDOWN : STACK_SPAWN;
	else if (m->busy > 1)
		part = c->met < c->result.nr ? STACK_SPAWN : STACK_IMBALANCE;
	c->result.part_ns[part] += (int64_t)(m->absent * ns);
}

static void add_alone(struct counting *c, uint64_t ns)
{
	struct lane_thread *t = serial_map_find(&c->threads, (uint32_t)c->serials);

	c->result.alone_ns += ns;
	if (!t)
		return;
	t->alone_ns += ns;
	if (t->alone_ns > c->result.alone_most_ns) {
		c->result.alone_most_ns = t->alone_ns;
		c->result.alone_most_serial = (uint32_t)c->serials;
	}
}

/* Adds the time since the last change, as far as it lies in the run. */
static void advance(struct counting *c, uint64_t time_ns)
{
	struct lanes *r = &c->result;
	size_t oncpu = c->in[CLASS_ONCPU],
	       ready = c->in[CLASS_RUNQ_PREEMPTED] + c->in[CLASS_RUNQ_WAKEUP];
	struct moment m = { 0 };
	uint64_t ns;
	bool alone;

	if (time_ns > r->end_ns)
		time_ns = r->end_ns;
	if (time_ns <= c->since_ns)
		return;
	ns = time_ns - c->since_ns;
	c->since_ns = time_ns;
	fill(c, &m);
	for (int class = 0; class < CLASS_NR; class ++)
		r->part_ns[stack_part_of((enum ledger_class) class)] +=
			(int64_t)(m.lanes[class] * ns);
	alone = oncpu == 1 && !ready && !c->in[CLASS_THROTTLED] && m.following;
	add_kinds(c, &m, ns, alone);
	add_absent(c, &m, ns);
	if (alone)
		add_alone(c, ns);
	r->exclusive_ns += (m.waiting + (m.busy == 1 ? m.following : 0)) * ns;
	r->oncpu_ns += oncpu * ns;
	r->beyond_ns += (oncpu - m.lanes[CLASS_ONCPU]) * ns;
	r->wanted_ns += oncpu + ready > r->nr ? ns : 0;
	r->crowded_ns += oncpu + ready > c->cpus ? ns : 0;
	r->at_once_ns[m.lanes[CLASS_ONCPU]] += ns;
}

/* Puts a thread into the counts, or (by -1) takes it out. */
static void count(struct counting *c, const struct lane_thread *lt, uint32_t serial, int by)
{
	size_t n = (size_t)by;

	if (!lt->counted)
		return;
	c->in[lt->class] += n;
	if (lt->class == CLASS_ONCPU)
		c->serials += (uint64_t)(int64_t)by * serial;
	if (lt->class == CLASS_SYNC || lt->class == CLASS_LOCK || lt->class == CLASS_GIL ||
	    lt->class == CLASS_KLOCK)
		c->in_kind[lt->kind] += n;
}

static enum ledger_class class_now(enum thread_state state, enum ledger_class class)
{
	switch (state) {
	case ST_ONCPU:
		return CLASS_ONCPU;
	case ST_NEW:
		return CLASS_RUNQ_WAKEUP;
	case ST_RUNQ:
		return class == CLASS_RUNQ_PREEMPTED || class == CLASS_THROTTLED ?
			       class :
			       CLASS_RUNQ_WAKEUP;
	case ST_BLOCKED:
		return class;
	default:
		return CLASS_UNTRACKED;
	}
}

static void on_state(void *arg, const struct thread *t, uint64_t time_ns, enum thread_state state,
		     enum ledger_class class)
{
	struct counting *c = arg;
	struct lane_thread *lt = serial_map_make(&c->threads, t->serial);
	const struct lock *lock = t->waits_on;

	if (!lt) {
		c->failed = -ENOMEM;
		return;
	}
	advance(c, time_ns);
	count(c, lt, t->serial, -1);
	lt->class = (uint8_t)class_now(state, class);
	if (state != ST_BLOCKED || (lock && lock_kind_class(lock->kind) != class))
		lock = NULL;
	lt->kind = lock ? (uint8_t)lock->kind : WAIT_OTHER;
	/* waiting for a thread's end, or a child's (no futex): it coordinates */
	lt->counted = state != ST_DEAD && !(lt->class == CLASS_SYNC &&
					    (lt->kind == WAIT_OTHER || lt->kind == LOCK_JOIN));
	c->met += lt->counted && !lt->met;
	lt->met |= lt->counted;
	count(c, lt, t->serial, 1);
}

int lanes_new(struct ledger *l, size_t nr, unsigned int cpus, uint64_t begin_ns, uint64_t end_ns,
	      struct lanes **ret_lanes, struct err *err)
{
	struct counting *c = calloc(1, sizeof(*c));

	if (c)
		c->result.at_once_ns = calloc(nr + 1, sizeof(uint64_t));
	if (!c || !c->result.at_once_ns) {
		lanes_free(c ? &c->result : NULL);
		return err_set(err, -ENOMEM, "not enough memory for %zu workers", nr);
	}
	c->threads.bytes = sizeof(struct lane_thread);
	c->result.nr = nr;
	c->result.begin_ns = begin_ns;
	c->result.end_ns = end_ns > begin_ns ? end_ns : begin_ns;
	c->since_ns = begin_ns;
	c->cpus = cpus;
	ledger_on_state(l, on_state, c);
	*ret_lanes = &c->result;
	return 0;
}

int lanes_finish(struct lanes *l)
{
	struct counting *c = (struct counting *)l;

	advance(c, l->end_ns);
	return c->failed;
}

void lanes_free(struct lanes *l)
{
	struct counting *c = (struct counting *)l;

	if (!c)
		return;
	serial_map_free(&c->threads);
	free(c->result.at_once_ns);
	free(c);
}
