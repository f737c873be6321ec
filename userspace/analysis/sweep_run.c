// SPDX-License-Identifier: GPL-2.0-only
/* One run of a sweep, from its trace: see sweep.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/lanes.h"
#include "analysis/sweep.h"
#include "base/cleanup.h"

/* What listens in the second reading: the lanes, and the locks that threads waited for. */
struct listeners {
	struct ledger_window *windows; /* of every thread, its whole life */
	size_t nr;
	struct lanes *lanes;
	struct worker_pass *waits;
};

static void listeners_free(struct listeners *s)
{
	lanes_free(s->lanes);
	worker_pass_free(s->waits);
	free(s->windows);
}

/* The first reading: who was there, and how long it took. */
static int take_threads(const char *path, struct listeners *s, struct sweep_run *ret,
			uint64_t *ret_begin_ns, uint64_t *ret_end_ns, struct err *err)
{
	_cleanup_(load_free_p) struct loaded *l = NULL;
	int r = load_trace(path, &l, err);
	json_int_t began;

	if (r)
		return r;
	s->windows = calloc(l->nr_threads + 1, sizeof(*s->windows));
	if (!s->windows)
		return err_sys(err, -ENOMEM, "cannot analyse the run");
	for (size_t i = 0; i < l->nr_threads; i++)
		s->windows[s->nr++] = (struct ledger_window){ .tid = l->threads[i]->tid,
							      .begin_ns = l->threads[i]->start_ns,
							      .end_ns = l->threads[i]->end_ns };
	/* the command is held until the probes are in place: its time begins when it is let go */
	began = json_integer_value(json_object_get(l->raw_meta, "began_ns"));
	*ret_begin_ns = began > 0 && (uint64_t)began < l->end_ns ? (uint64_t)began : l->begin_ns;
	*ret_end_ns = l->end_ns;
	ret->wall_ns = *ret_end_ns - *ret_begin_ns;
	ret->run.t0_ns = (int64_t)(l->meta.epoch_ns + *ret_begin_ns);
	ret->run.t1_ns = (int64_t)(l->meta.epoch_ns + *ret_end_ns);
	return 0;
}

/* The lanes are nobody's: the first one stands for what all threads did that the split of inflation asks for. */
static void take_counts(struct sweep_run *ret, const struct loaded *l)
{
	struct experiment *e = &ret->run;
	struct experiment_worker *all = &e->worker[0];

	experiment_take_totals(e, l);
	all->switches = e->voluntary + e->involuntary;
	all->migrations = e->migrations;
	all->ledger_ns[CLASS_ONCPU] = e->ledger_ns[CLASS_ONCPU];
	all->steal_known = true;
	for (size_t i = 0; i < l->nr_threads; i++) {
		const struct thread *t = l->threads[i];
		struct audit audit;

		audit_thread(t, &audit);
		all->steal_ns += audit.steal_ns;
		all->steal_known &= t->has_first && t->has_last && EV_FLAGS(t->last.w0) & BK_STEAL;
	}
	for (size_t i = 1; i < e->nr; i++)
		e->worker[i].steal_known = all->steal_known;
}

static void take_alone(const struct loaded *l, const struct lanes *lanes, struct worker_waits *w)
{
	const struct thread *most = ledger_find(l->ledger, lanes->alone_most_serial);

	memcpy(w->kind_ns, lanes->kind_ns, sizeof(w->kind_ns));
	memcpy(w->alone_kind_ns, lanes->alone_kind_ns, sizeof(w->alone_kind_ns));
	w->alone_ns = lanes->alone_ns;
	w->alone_most_ns = most ? lanes->alone_most_ns : 0;
	w->alone_most_tid = most ? most->tid : 0;
	memset(w->alone_most_comm, 0, sizeof(w->alone_most_comm));
	for (size_t i = 0; most && i < sizeof(w->alone_most_comm) - 1 && most->comm[i]; i++)
		w->alone_most_comm[i] =
			most->comm[i] >= ' ' && most->comm[i] < 0x7f ? most->comm[i] : '?';
}

static int take_lanes(const struct loaded *l, struct listeners *s, struct sweep_run *ret)
{
	int r = lanes_finish(s->lanes);

	if (!r)
		r = worker_pass_finish(s->waits, &ret->run.waits);
	if (r)
		return r;
	take_alone(l, s->lanes, &ret->run.waits);
	memcpy(ret->stack.part_ns, s->lanes->part_ns, sizeof(ret->stack.part_ns));
	ret->exclusive_ns = (int64_t)s->lanes->exclusive_ns;
	ret->oncpu_ns = (int64_t)s->lanes->oncpu_ns;
	ret->wanted_ns = s->lanes->wanted_ns;
	ret->crowded_ns = s->lanes->crowded_ns;
	ret->run.oncpu_ns = take_ptr(s->lanes->at_once_ns);
	return 0;
}

/* Without events: the books of each thread. What exceeds the lanes is left out, what is missing is untracked. */
static void take_books(const struct loaded *l, struct sweep_run *ret)
{
	int64_t whole = (int64_t)(ret->run.nr * ret->wall_ns);
	int64_t oncpu = (int64_t)l->ledger_ns[CLASS_ONCPU],
		runq = (int64_t)l->ledger_ns[CLASS_RUNQ_WAKEUP];

	ret->oncpu_ns = oncpu;
	oncpu = oncpu < whole ? oncpu : whole;
	runq = runq < whole - oncpu ? runq : whole - oncpu;
	ret->exclusive_ns = -1;
	ret->stack.part_ns[STACK_USEFUL] = oncpu;
	ret->stack.part_ns[STACK_RUNQ_WAKEUP] = runq;
	ret->stack.part_ns[STACK_UNTRACKED] = whole - oncpu - runq;
}

static int make_workers(struct experiment *e, size_t n)
{
	e->nr = n;
	e->worker = calloc(n, sizeof(*e->worker));
	for (size_t i = 0; e->worker && i < n; i++)
		e->worker[i] = (struct experiment_worker){
			.begin_ns = e->t0_ns, .end_ns = e->t1_ns, .exec_ns = -1, .delay_ns = -1
		};
	return e->worker ? 0 : -ENOMEM;
}

static int read_again(const char *path, size_t n, unsigned int cpus, uint64_t begin_ns,
		      uint64_t end_ns, struct listeners *s, struct sweep_run *ret, struct err *err)
{
	_cleanup_(load_free_p) struct loaded *l = NULL;
	int r = load_open(path, &l, err);

	for (size_t i = 0; !r && i < s->nr; i++)
		ledger_add_window(l->ledger, &s->windows[i]);
	if (!r)
		r = lanes_new(l->ledger, n, cpus, begin_ns, end_ns, &s->lanes, err);
	if (!r)
		r = worker_pass_new(l->ledger, s->windows, s->nr, begin_ns, end_ns, &s->waits, err);
	if (!r)
		r = load_passes(l, PASS_LOCKS, err);
	if (!r)
		r = load_run(l, NULL, NULL, err);
	if (r)
		return r;
	take_counts(ret, l);
	if (ret->run.bpf)
		r = take_lanes(l, s, ret);
	else
		take_books(l, ret);
	return r ? err_sys(err, r, "cannot analyse the run") : 0;
}

int sweep_run_load(const char *trace_path, size_t n, unsigned int cpus, struct sweep_run *ret,
		   struct err *err)
{
	_cleanup_(listeners_free) struct listeners s = {};
	uint64_t begin_ns = 0, end_ns = 0;
	int r;

	*ret = (struct sweep_run){};
	r = take_threads(trace_path, &s, ret, &begin_ns, &end_ns, err);
	if (!r && make_workers(&ret->run, n))
		r = err_sys(err, -ENOMEM, "cannot analyse the run");
	if (!r)
		r = read_again(trace_path, n, cpus, begin_ns, end_ns, &s, ret, err);
	ret->stack.workers = n;
	ret->stack.wall_ns = (int64_t)ret->wall_ns;
	if (r)
		sweep_run_free(ret);
	return r;
}

void sweep_run_free(struct sweep_run *r)
{
	experiment_free(&r->run);
}
