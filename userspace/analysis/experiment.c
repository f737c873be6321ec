// SPDX-License-Identifier: GPL-2.0-only
/* A recorded run with its workers' reports: see experiment.h. */
#include "analysis/experiment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/concurrency.h"
#include "analysis/runq_who.h"
#include "base/cleanup.h"

static uint64_t since_epoch(const struct loaded *l, int64_t ns)
{
	return ns > (int64_t)l->meta.epoch_ns ? (uint64_t)ns - l->meta.epoch_ns : 0;
}

static void set_windows(const struct experiment *e, struct loaded *l, struct ledger_window *windows)
{
	for (size_t i = 0; i < e->nr; i++) {
		windows[i].tid = e->worker[i].tid;
		windows[i].begin_ns = since_epoch(l, e->worker[i].begin_ns);
		windows[i].end_ns = since_epoch(l, e->worker[i].end_ns);
		ledger_add_window(l->ledger, &windows[i]);
	}
}

/* What the worker read of itself, where the trace has nothing of it. The kind of its run-queue wait is not known then. */
static void use_proc(struct experiment_worker *w)
{
	int64_t length = w->end_ns - w->begin_ns, rest;

	if (w->exec_ns < 0 || w->delay_ns < 0)
		return;
	w->from_proc = true;
	memset(w->ledger_ns, 0, sizeof(w->ledger_ns));
	w->ledger_ns[CLASS_ONCPU] = (uint64_t)(w->exec_ns < length ? w->exec_ns : length);
	rest = length - (int64_t)w->ledger_ns[CLASS_ONCPU];
	w->ledger_ns[CLASS_RUNQ_WAKEUP] = (uint64_t)(w->delay_ns < rest ? w->delay_ns : rest);
}

static void take_workers(struct experiment *e, const struct ledger_window *windows)
{
	for (size_t i = 0; i < e->nr; i++) {
		uint64_t sum = 0;

		memcpy(e->worker[i].ledger_ns, windows[i].ledger_ns, sizeof(windows[i].ledger_ns));
		for (int class = 0; class < CLASS_NR; class ++)
			sum += windows[i].ledger_ns[class];
		if (!sum)
			use_proc(&e->worker[i]);
	}
}

/* Another one of its owner's windows, which are one array's, came before. */
static bool met_before(const struct ledger_window *window)
{
	for (const struct ledger_window *w = window->owner->windows; w; w = w->next)
		if (w < window)
			return true;
	return false;
}

/* What the kernel's books and the events say of each worker's thread. */
static void take_counts(struct experiment *e, const struct ledger_window *windows)
{
	for (size_t i = 0; i < e->nr; i++) {
		const struct thread *t = windows[i].owner;
		struct audit audit;

		if (!t)
			continue;
		e->worker[i].steal_known = t->has_first && t->has_last &&
					   EV_FLAGS(t->last.w0) & BK_STEAL;
		if (met_before(&windows[i]))
			continue;
		audit_thread(t, &audit);
		e->worker[i].switches = t->voluntary + t->involuntary;
		e->worker[i].migrations = t->migrations;
		e->worker[i].steal_ns = audit.steal_ns;
	}
}

/*
 * A counter of all threads; 0 where there is none, or where it is not known of all that they ran. Without BPF it stands in META, which is
 * untrusted.
 */
static uint64_t counter_of(const struct loaded *l, const struct counted *sum, const char *name)
{
	const json_t *one = json_object_get(json_object_get(l->raw_meta, "counters"), name);
	json_int_t value = json_integer_value(json_object_get(one, "value"));

	for (unsigned int i = 0; i < counts_nr(l->counts); i++) {
		const struct counted_value *v = &sum->counter[i];

		if (!strcmp(counts_info(l->counts, i)->name, name))
			return sum->partial || v->none || v->lacks ? 0 : v->value;
	}
	return value > 0 ? (uint64_t)value : 0;
}

void experiment_take_totals(struct experiment *e, const struct loaded *l)
{
	struct counted counted = {};

	memcpy(e->ledger_ns, l->ledger_ns, sizeof(e->ledger_ns));
	e->nr_threads = l->nr_threads;
	for (size_t i = 0; i < l->nr_threads; i++) {
		e->voluntary += l->threads[i]->voluntary;
		e->involuntary += l->threads[i]->involuntary;
		e->migrations += l->threads[i]->migrations;
		counted_add(&counted, counts_of(l->counts, l->threads[i]->serial));
	}
	e->audit = l->audit;
	e->lost_events = l->lost_events;
	e->cost = l->meta.cost;
	e->bpf = l->meta.bpf;
	e->instructions = counter_of(l, &counted, "instructions");
	e->cycles = counter_of(l, &counted, "cycles");
}

static int take_concurrency(struct experiment *e, const struct concurrency *c)
{
	if (!e->bpf)
		return 0;
	e->oncpu_ns = calloc(e->nr + 1, sizeof(*e->oncpu_ns));
	if (!e->oncpu_ns)
		return -ENOMEM;
	for (size_t k = 0; k <= e->nr && k <= c->nr_workers; k++)
		e->oncpu_ns[k] = c->oncpu_ns[k];
	return 0;
}

/* Who had the CPU while they waited for one. */
static void take_runq(struct experiment *e, const struct loaded *l,
		      const struct ledger_window *windows)
{
	for (size_t i = 0; l->passes && l->passes->runq_who && i < e->nr; i++) {
		const struct thread *t = windows[i].owner;
		const struct runq_split *s;

		if (!t || met_before(&windows[i]))
			continue;
		s = runq_who_thread(l->passes->runq_who, t->serial);
		e->runq_wait_ns += s ? s->wait_ns : 0;
		e->runq_foreign_ns += s ? s->part_ns[RUNQ_FOREIGN] : 0;
	}
}

/* What listens while the events come. */
struct listeners {
	struct concurrency *concurrency;
	struct worker_pass *workers;
};

static void listeners_free(struct listeners *s)
{
	concurrency_free(s->concurrency);
	worker_pass_free(s->workers);
}

static int listen_to(const struct experiment *e, struct loaded *l,
		     const struct ledger_window *windows, struct listeners *s, struct err *err)
{
	uint64_t t0 = since_epoch(l, e->t0_ns), t1 = since_epoch(l, e->t1_ns);
	int r = concurrency_new(l->ledger, windows, e->nr, t0, t1, &s->concurrency, err);

	if (!r)
		r = worker_pass_new(l->ledger, windows, e->nr, t0, t1, &s->workers, err);
	return r ? r : load_passes(l, PASS_LOCKS | PASS_RUNQ_WHO, err);
}

int experiment_load(struct experiment *e, const char *trace_path, struct err *err)
{
	_cleanup_(free_p) struct ledger_window *windows = calloc(e->nr + 1, sizeof(*windows));
	_cleanup_(load_free_p) struct loaded *l = NULL;
	_cleanup_(listeners_free) struct listeners s = {};
	int r;

	if (!windows)
		return err_sys(err, -ENOMEM, "cannot analyse the run");
	r = load_open(trace_path, &l, err);
	if (r)
		return r;
	set_windows(e, l, windows);
	r = listen_to(e, l, windows, &s, err);
	if (!r)
		r = load_run(l, NULL, NULL, err);
	if (r)
		return r;
	concurrency_finish(s.concurrency);
	take_workers(e, windows);
	take_counts(e, windows);
	experiment_take_totals(e, l);
	take_runq(e, l, windows);
	r = worker_pass_finish(s.workers, &e->waits);
	if (!r)
		r = take_concurrency(e, s.concurrency);
	return r ? err_sys(err, r, "cannot analyse the run") : 0;
}

uint64_t experiment_work_ns(const struct experiment *e)
{
	uint64_t sum = 0;

	for (size_t i = 0; e->worker && i < e->nr; i++)
		sum += e->worker[i].ledger_ns[CLASS_ONCPU];
	return sum;
}

int experiment_stack(const struct experiment *e, uint64_t reference_ns, struct stack *ret_stack)
{
	_cleanup_(free_p) struct stack_worker *workers = calloc(e->nr + 1, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	for (size_t i = 0; i < e->nr; i++) {
		workers[i].begin_ns = e->worker[i].begin_ns;
		workers[i].end_ns = e->worker[i].end_ns;
		memcpy(workers[i].ledger_ns, e->worker[i].ledger_ns, sizeof(workers[i].ledger_ns));
	}
	stack_make(workers, e->nr, e->t0_ns, e->t1_ns, reference_ns, ret_stack);
	return 0;
}

void experiment_free(struct experiment *e)
{
	free(e->worker);
	free(e->oncpu_ns);
	replay_free(&e->replay);
	*e = (struct experiment){};
}
