// SPDX-License-Identifier: GPL-2.0-only
/* Workers on a CPU at the same time, integrated while the events come: see concurrency.h. */
#include "analysis/concurrency.h"

#include <errno.h>
#include <stdlib.h>

/* What a worker does. A runnable one waits on a run queue. */
enum doing { DOING_OTHER, DOING_RUNNABLE, DOING_ONCPU };

struct counting {
	struct concurrency result; /* what the caller sees */
	const struct ledger_window *windows;
	uint8_t *doing; /* [window] */
	uint64_t since_ns;
	size_t oncpu, runnable;
};

/* Adds the time since the last change, as far as it lies in the range, to the present numbers. */
static void advance(struct counting *c, uint64_t time_ns)
{
	if (time_ns > c->result.end_ns)
		time_ns = c->result.end_ns;
	if (time_ns <= c->since_ns)
		return;
	c->result.oncpu_ns[c->oncpu] += time_ns - c->since_ns;
	c->result.runnable_ns[c->oncpu + c->runnable] += time_ns - c->since_ns;
	c->since_ns = time_ns;
}

/* The oldest of a thread's windows that is ours (new ones go to the front), by its number, or -1. */
static ptrdiff_t worker_of(const struct counting *c, const struct thread *t)
{
	ptrdiff_t i = -1;

	for (const struct ledger_window *w = t->windows; w; w = w->next) {
		if (w >= c->windows && w < c->windows + c->result.nr_workers)
			i = w - c->windows;
	}
	return i;
}

static enum doing doing_of(enum thread_state state, enum ledger_class class)
{
	if (state == ST_ONCPU)
		return DOING_ONCPU;
	if ((state == ST_RUNQ && class != CLASS_THROTTLED) || state == ST_NEW)
		return DOING_RUNNABLE;
	return DOING_OTHER;
}

static void on_state(void *arg, const struct thread *t, uint64_t time_ns, enum thread_state state,
		     enum ledger_class class)
{
	enum doing now = doing_of(state, class);
	struct counting *c = arg;
	ptrdiff_t i;

	if (!t->windows)
		return;
	i = worker_of(c, t);
	if (i < 0 || c->doing[i] == now)
		return;
	advance(c, time_ns);
	c->oncpu -= c->doing[i] == DOING_ONCPU;
	c->runnable -= c->doing[i] == DOING_RUNNABLE;
	c->oncpu += now == DOING_ONCPU;
	c->runnable += now == DOING_RUNNABLE;
	c->doing[i] = (uint8_t)now;
}

int concurrency_new(struct ledger *l, const struct ledger_window *windows, size_t nr,
		    uint64_t begin_ns, uint64_t end_ns, struct concurrency **ret_concurrency,
		    struct err *err)
{
	struct counting *c = calloc(1, sizeof(*c));

	if (c) {
		c->result.oncpu_ns = calloc(nr + 1, sizeof(uint64_t));
		c->result.runnable_ns = calloc(nr + 1, sizeof(uint64_t));
		c->doing = calloc(nr + 1, 1);
	}
	if (!c || !c->result.oncpu_ns || !c->result.runnable_ns || !c->doing) {
		concurrency_free(c ? &c->result : NULL);
		return err_set(err, -ENOMEM, "not enough memory for %zu workers", nr);
	}
	c->windows = windows;
	c->result.nr_workers = nr;
	c->result.begin_ns = begin_ns;
	c->result.end_ns = end_ns > begin_ns ? end_ns : begin_ns;
	c->since_ns = begin_ns;
	ledger_on_state(l, on_state, c);
	*ret_concurrency = &c->result;
	return 0;
}

void concurrency_finish(struct concurrency *c)
{
	advance((struct counting *)c, c->end_ns);
}

void concurrency_free(struct concurrency *c)
{
	struct counting *counting = (struct counting *)c;

	if (!c)
		return;
	free(c->oncpu_ns);
	free(c->runnable_ns);
	free(counting->doing);
	free(counting);
}
