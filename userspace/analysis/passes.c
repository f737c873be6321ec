// SPDX-License-Identifier: GPL-2.0-only
/* The passes beside the ledger: see passes.h. */
#include "analysis/passes.h"

#include <errno.h>
#include <stdlib.h>

#include "analysis/history.h"
#include "analysis/parallelism.h"
#include "analysis/runq_who.h"
#include "analysis/wakeups.h"
#include "trace/kinds.h"

int passes_new(struct ledger *l, unsigned int nr_cpus, unsigned int which,
	       struct passes **ret_passes, struct err *err)
{
	struct passes *p = calloc(1, sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	if (p) {
		p->ledger = l;
		p->nr_cpus = nr_cpus;
	}
	if (!r && which & PASS_WAKEUPS)
		r = wakeups_new(l, &p->wakeups);
	if (!r && which & PASS_RUNQ_WHO)
		r = runq_who_new(l, nr_cpus, &p->foreign, &p->runq_who);
	if (!r && which & PASS_HISTORY)
		r = history_new(l, HISTORY_DEFAULT, &p->history);
	if (!r && which & PASS_PARALLELISM)
		r = parallelism_new(l, &p->parallelism);
	if (r) {
		passes_free(p);
		return err_set(err, r, "not enough memory to analyse the events");
	}
	*ret_passes = p;
	return 0;
}

/* As the ledger does. */
static bool well_formed(const struct passes *p, const struct trace_event *ev)
{
	unsigned int kind = EV_KIND(ev->rec[0]);

	return ev->cpu < p->nr_cpus && kind < EV_KIND_NR && trace_kind_words[kind] &&
	       EV_WORDS(ev->rec[0]) >= trace_kind_words[kind];
}

int passes_event(struct passes *p, const struct trace_event *ev)
{
	int r = 0;

	if (ev->time_ns > p->now_ns)
		p->now_ns = ev->time_ns;
	if (!well_formed(p, ev))
		return 0;
	if (EV_KIND(ev->rec[0]) == EV_NAME)
		r = foreign_name(&p->foreign, (const struct ev_name *)ev->rec);
	if (!r && p->wakeups)
		r = wakeups_event(p->wakeups, ev);
	if (!r && p->runq_who)
		r = runq_who_event(p->runq_who, ev, p->now_ns);
	if (!r && p->history)
		r = history_event(p->history, ev, p->now_ns);
	return r;
}

int passes_end(struct passes *p, uint64_t end_ns)
{
	if (end_ns > p->now_ns)
		p->now_ns = end_ns;
	return p->runq_who ? runq_who_end(p->runq_who, p->now_ns) : 0;
}

int passes_finish(struct passes *p)
{
	if (p->runq_who)
		runq_who_finish(p->runq_who);
	return p->parallelism ? parallelism_finish(p->parallelism) : 0;
}

void passes_free(struct passes *p)
{
	if (!p)
		return;
	wakeups_free(p->wakeups);
	runq_who_free(p->runq_who);
	history_free(p->history);
	parallelism_free(p->parallelism);
	foreign_free(&p->foreign);
	free(p);
}
