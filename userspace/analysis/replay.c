// SPDX-License-Identifier: GPL-2.0-only
/* What is left out of the run, and what comes out: see replay.h. */
#include "analysis/replay.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/replay_impl.h"
#include "base/cleanup.h"

static const struct replay_cut cuts[REPLAY_NR] = {
	[REPLAY_GIL] = { .classes = 1u << CLASS_GIL },
	[REPLAY_LOCK] = { .classes = 1u << CLASS_LOCK },
	[REPLAY_KLOCK] = { .classes = 1u << CLASS_KLOCK },
	[REPLAY_RUNQUEUE] = { .no_queue = true },
	[REPLAY_THROTTLED] = { .classes = 1u << CLASS_THROTTLED },
	[REPLAY_IO] = { .classes = 1u << CLASS_IO },
	[REPLAY_ONE_MORE] = { .more = 1 },
	[REPLAY_ONE_LESS] = { .more = -1 },
	[REPLAY_MOVES] = { .no_moves = true },
	[REPLAY_PINNED] = { .no_moves = true, .pinned = true },
	[REPLAY_FIRST] = { .first = true },
	[REPLAY_SYNC] = { .classes = 1u << CLASS_SYNC },
	[REPLAY_SLEEP] = { .classes = 1u << CLASS_SLEEP },
	[REPLAY_APART] = { .classes = 1u << CLASS_LOCK | 1u << CLASS_GIL },
	[REPLAY_SERIAL] = { .alone_by = 1, .no_spawn = true },
	[REPLAY_EVEN] = { .even = true },
	[REPLAY_SPAWN] = { .no_spawn = true },
};

/* The work of each group, divided by its CPUs; where each thread is on one CPU, the work of each CPU. */
static int least_by_work(const struct replay_model *m, const struct replay_cut *cut,
			 uint64_t *ret_ns)
{
	_cleanup_(free_p)
		uint64_t *work_ns = calloc(m->nr_groups + m->nr_pins + 1, sizeof(*work_ns));

	*ret_ns = 0;
	if (!work_ns)
		return -ENOMEM;
	for (size_t n = 0; n < m->nr_threads && !cut->no_queue; n++) {
		const struct replay_thread *t = &m->thread[n];
		uint64_t *mine = &work_ns[cut->pinned ? t->pin : t->group];
		int cpus = cut->pinned ? 1 : (int)m->group[t->group].cpus + cut->more;
		uint64_t ns;

		for (size_t i = t->first; i < t->end; i++)
			*mine += m->op[i].kind == OP_RUN ? replay_run_ns(cut, t, &m->op[i]) : 0;
		ns = *mine / (uint64_t)(cpus > 0 ? cpus : 1);
		*ret_ns = ns > *ret_ns ? ns : *ret_ns;
	}
	return 0;
}

/* Fewer CPUs, or each thread on one, may take longer; without anything else, the run as it was remains possible. */
static bool may_take_longer(const struct replay_cut *cut)
{
	return cut->more < 0 || cut->pinned;
}

static int run_without(const struct replay_model *m, const struct replay_cut *cut,
		       const struct replay *r, struct replay_time *ret)
{
	struct replay_cut likely = *cut, unlimited = *cut;
	uint64_t chain_ns, expected_ns, work_ns, as_is_ns = r->as_is_ns - m->tail_ns;
	int failed;

	likely.move_ns = (uint64_t)fmax(0, r->move_cost.ns);
	unlimited.move_ns = (uint64_t)fmax(0, r->move_cost.high_ns);
	unlimited.alone_by = 0; /* divided it is as much */
	failed = least_by_work(m, &unlimited, &work_ns);
	unlimited.unlimited = true;
	likely.alone_by = unlimited.alone_by = cut->alone_by ? m->lanes : 0;
	unlimited.pinned = false;
	/* on a CPU more what others took of the ones there were may be no wait at all */
	unlimited.no_queue |= cut->more > 0;
	failed = failed                                      ?:
			 model_run(m, &likely, &expected_ns) ?:
							       model_run(m, &unlimited, &chain_ns);
	if (failed)
		return failed;
	if (!may_take_longer(cut) && expected_ns > as_is_ns)
		expected_ns = as_is_ns;
	*ret = (struct replay_time){ .made = true,
				     .expected_ns = expected_ns + m->tail_ns,
				     .least_ns = chain_ns > work_ns ? chain_ns : work_ns };
	if (ret->least_ns > expected_ns)
		ret->least_ns = expected_ns;
	ret->least_ns += m->tail_ns;
	return 0;
}

static unsigned int nr_cpus_of(const struct replay_model *m)
{
	unsigned int nr = 0;

	for (size_t i = 0; i < m->nr_groups; i++)
		nr += m->group[i].merged ? 0 : m->group[i].cpus;
	return nr;
}

/* ---- one lock at a time ---- */

static void copy_name(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; i < size - 1 && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	to[i] = '\0';
}

static int run_locks(const struct replay_model *m, const struct locks *locks, struct replay *ret)
{
	size_t nr = 0;
	const struct lock *const *list = locks ? locks_list(locks, &nr) : NULL;
	int r = 0;

	for (size_t i = 0; i < nr && !r && ret->nr_locks < REPLAY_LOCKS; i++) {
		struct replay_cut cut = { .lock = list[i]->index + 1 };
		struct replay_lock *lock = &ret->lock[ret->nr_locks];
		enum ledger_class class = lock_kind_class(list[i]->kind);

		if ((class != CLASS_LOCK && class != CLASS_GIL) || list[i]->overflow)
			continue;
		lock->kind = list[i]->kind;
		lock->wait_ns = list[i]->wait_ns;
		copy_name(lock->name, sizeof(lock->name), list[i]->name ?: "");
		r = run_without(m, &cut, ret, &lock->without);
		ret->nr_locks += !r;
	}
	return r;
}

/* ---- whether it is to be believed ---- */

/* A trace may claim any time: the steps of one run are bounded, and no sum of its times overflows. */
static bool too_long(const struct replay_model *m)
{
	uint64_t steps = m->nr_ops, sum_ns = 0;

	for (size_t i = 0; i < m->nr_ops && steps <= REPLAY_STEPS_MAX; i++) {
		if (m->op[i].kind == OP_RUN)
			steps += m->op[i].ns / REPLAY_SLICE_NS;
		if (__builtin_add_overflow(sum_ns, m->op[i].ns, &sum_ns))
			return true;
	}
	return steps > REPLAY_STEPS_MAX || sum_ns > INT64_MAX;
}

static int check(const struct replay_model *m, struct replay *ret)
{
	const struct replay_cut nothing = {};
	uint64_t ns;
	int r;

	ret->measured_ns = m->end_ns - m->begin_ns + m->tail_ns;
	ret->cpus = nr_cpus_of(m);
	ret->threads = m->nr_threads;
	ret->waits = m->waits;
	ret->edges = m->edges;
	ret->moves = m->moves;
	ret->lanes = m->lanes;
	if ((double)m->untracked_ns > REPLAY_UNTRACKED_MAX * (double)m->total_ns) {
		snprintf(ret->why, sizeof(ret->why),
			 "%.1f %% of the threads' time is untracked, more than %.0f %%",
			 100.0 * (double)m->untracked_ns / (double)m->total_ns,
			 REPLAY_UNTRACKED_MAX * 100);
		return -ENODATA;
	}
	if (too_long(m)) {
		snprintf(ret->why, sizeof(ret->why), "it is too long to be played again");
		return -ENODATA;
	}
	r = model_run(m, &nothing, &ns);
	if (r == -ENODATA)
		snprintf(ret->why, sizeof(ret->why), "its waits wait for one another");
	if (r)
		return r;
	ret->as_is_ns = ns + m->tail_ns;
	if (fabs((double)ret->as_is_ns - (double)ret->measured_ns) <=
	    REPLAY_OFF_MAX * (double)ret->measured_ns)
		return 0;
	snprintf(
		ret->why, sizeof(ret->why),
		"played again as it was it takes %.1f ms, and %.1f ms were measured, more than %.0f %% apart",
		(double)ret->as_is_ns / 1e6, (double)ret->measured_ns / 1e6, REPLAY_OFF_MAX * 100);
	return -ENODATA;
}

static bool worth_it(const struct replay_model *m, const struct replay *r, enum replay_what what)
{
	switch (what) {
	case REPLAY_MOVES:
		return r->move_cost.known;
	case REPLAY_ONE_LESS:
		return nr_cpus_of(m) > 1;
	case REPLAY_SERIAL:
		return m->lanes > 1 && !m->births_in_work && m->parts[PART_ALONE];
	case REPLAY_EVEN:
		return m->even;
	case REPLAY_SPAWN:
		return m->lanes > 1 && !m->births_in_work && (m->births || m->parts[PART_SPAWN]);
	default:
		return true;
	}
}

int replay_make(struct replay_source *source, const struct history *history,
		const struct locks *locks, const struct work *work, unsigned int nr_cpus,
		const struct machine_costs *costs, struct replay *ret_replay)
{
	struct replay_model *m = calloc(1, sizeof(*m));
	int r;

	*ret_replay = (struct replay){};
	if (!m)
		return -ENOMEM;
	if (costs && costs->migration.known)
		ret_replay->move_cost = costs->migration;
	r = model_make(source, history, work, nr_cpus, m, ret_replay->why);
	r = r ?: check(m, ret_replay);
	for (int what = 0; what < REPLAY_NR && !r; what++)
		if (worth_it(m, ret_replay, what))
			r = run_without(m, &cuts[what], ret_replay, &ret_replay->without[what]);
	r = r ?: run_locks(m, locks, ret_replay);
	ret_replay->good = !r;
	ret_replay->model = m;
	if (r || m->nr_ops > REPLAY_KEPT_OPS)
		replay_free(ret_replay);
	return r == -ENODATA ? 0 : r;
}

void replay_free(struct replay *r)
{
	if (r->model)
		model_free(r->model);
	free(r->model);
	r->model = NULL;
}

int replay_shorter(const struct replay *r, double times, struct replay_time *ret)
{
	const struct replay_cut cut = { .times = times };
	int failed;

	*ret = (struct replay_time){};
	if (!r->good || !r->model || !r->model->parts[PART_WORK] || !(times >= 1))
		return 0;
	failed = run_without(r->model, &cut, r, ret);
	if (failed)
		*ret = (struct replay_time){};
	return failed == -ENODATA ? 0 : failed;
}

uint64_t replay_of_run(const struct replay *r, uint64_t run_ns, uint64_t time_ns)
{
	uint64_t saved;

	if (time_ns >= r->as_is_ns)
		return run_ns + (time_ns - r->as_is_ns);
	saved = r->as_is_ns - time_ns;
	if (saved < run_ns)
		return run_ns - saved;
	/* most of it was saved outside of the run: then its share */
	run_ns = (uint64_t)((double)run_ns * (double)time_ns / (double)r->as_is_ns);
	return run_ns ? run_ns : 1;
}
