// SPDX-License-Identifier: GPL-2.0-only
/* The counting lab: see run_lab.h. */
#include "cli/run_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/lab.h"
#include "cli/costs.h"
#include "record/record.h"
#include "strategy/strategy_args.h"
#include "strategy/strategy_result.h"

#define CAPACITY_BUDGET_NS (240 * NSEC_PER_MSEC)

/* One strategy, once, and what the CPUs were worth around it. */
struct repetition {
	struct experiment e;
	struct capacity capacity; /* cpus 0: not measured */
};

/* One strategy through all rounds. */
struct series {
	struct strategy_job job;
	struct repetition *run; /* [repeats] */
	unsigned int nr;
	char *interpreter;
	int gil;
	char *skipped;
	struct capacity capacity; /* of the repetition that is shown */
};

struct state {
	const struct lab_options *o;
	struct lab *lab;
	struct series series[LAB_MAX];
	size_t nr;
	struct machine_costs costs; /* where `calibrated` */
	bool calibrated;
	char self[4096];
	char dir[LAB_DIR]; /* ours, removed at the end: results, and traces that are not kept */
};

/* ---- preparation ---- */

static int make_directory(struct state *s, struct err *err)
{
	if (readlink("/proc/self/exe", s->self, sizeof(s->self) - 1) <= 0)
		return err_sys(err, -errno, "cannot find the program file of whyscale");
	return lab_directory(s->o->keep, s->dir, err);
}

static char *path_of(const char *dir, const struct series *one, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s.%s", dir, one->job.strategy->name, suffix) < 0 ? NULL : path;
}

static int add_series(struct state *s, const struct strategy *strategy, struct err *err)
{
	struct series *one = &s->series[s->nr];
	struct err why = {};
	int r;

	one->job = (struct strategy_job){ .strategy = strategy,
					  .count = s->o->count,
					  .workers = s->o->workers,
					  .python = s->o->python,
					  .full = s->o->full,
					  .result_fd = -1 };
	one->run = calloc(s->o->repeats, sizeof(*one->run));
	if (!one->run)
		return err_sys(err, -ENOMEM, "cannot prepare the run");
	s->nr++;
	r = strategy_args_check(&one->job, &why);
	if (r == -ENOENT || r == -EACCES) {
		one->skipped = strdup(why.msg);
		return one->skipped ? 0 : err_sys(err, -ENOMEM, "cannot prepare the run");
	}
	return r ? err_set(err, r, "%s", why.msg) : 0;
}

static const struct series *series_of(const struct state *s, const struct strategy *strategy)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->series[i].job.strategy == strategy)
			return &s->series[i];
	return NULL;
}

static int add_all(struct state *s, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < s->o->nr && !r; i++)
		r = add_series(s, s->o->strategy[i], err);
	s->lab->nr_asked = s->nr;
	for (size_t i = 0; i < s->o->nr && !r; i++) {
		const struct strategy *base = strategy_baseline(s->o->strategy[i]);

		if (!series_of(s, base))
			r = add_series(s, base, err);
	}
	return r;
}

/* ---- one run ---- */

static int record_one(const struct state *s, struct series *one, const char *trace,
		      const char *result, struct record_result *ret, struct err *err)
{
	char count[24], workers[16];
	char *argv[] = { (char *)s->self, "count",        (char *)one->job.strategy->name,
			 "--count",       count,          "--workers",
			 workers,         "--python",     (char *)one->job.python,
			 "--result",      (char *)result, NULL };
	struct record_options options = { .what = RECORD_COMMAND,
					  .argv = argv,
					  .output = trace,
					  .no_bpf = s->o->no_bpf,
					  .counters = true,
					  .stdout_fd = STDERR_FILENO };

	if (!one->job.python)
		argv[8] = STRATEGY_PYTHON_DEFAULT;
	snprintf(count, sizeof(count), "%" PRIu64, one->job.count);
	snprintf(workers, sizeof(workers), "%u", one->job.workers);
	return record_run(&options, ret, err);
}

static int take_result(struct series *one, const char *path, struct experiment *run,
		       struct err *err)
{
	_cleanup_(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct strategy_result result;
	int r;

	if (fd < 0)
		return err_set(err, -EPROTO, "it reported no result");
	r = strategy_result_read(fd, &result, err);
	if (r)
		return r;
	run->t0_ns = result.t0_ns;
	run->t1_ns = result.t1_ns;
	run->nr = result.nr;
	run->worker = calloc(result.nr, sizeof(*run->worker));
	run->one_process = true;
	for (size_t i = 0; run->worker && i < result.nr; i++) {
		const struct strategy_worker *from = &result.worker[i];

		run->one_process &= from->pid == result.worker[0].pid;
		run->worker[i] = (struct experiment_worker){
			.tid = from->tid > 0 ? (uint32_t)from->tid : 0,
			.counted = from->counted,
			.begin_ns = from->begin_ns,
			.end_ns = from->end_ns,
			.exec_ns = from->exec_ns,
			.delay_ns = from->delay_ns,
		};
	}
	free(one->interpreter);
	one->interpreter = take_ptr(result.interpreter);
	one->gil = result.gil;
	strategy_result_free(&result);
	return run->worker ? 0 : err_sys(err, -ENOMEM, "cannot keep the result");
}

static int skip(struct state *s, struct series *one, const struct err *why, struct err *err)
{
	s->lab->failed = true;
	one->skipped = strdup(why->msg);
	return one->skipped ? 0 : err_sys(err, -ENOMEM, "cannot keep the result");
}

static int run_files(struct state *s, struct series *one, const char *trace, const char *result,
		     struct err *err)
{
	struct repetition *repetition = &one->run[one->nr];
	struct experiment *run = &repetition->e;
	struct record_result recorded;
	struct err why = {};
	int r;

	*repetition = (struct repetition){};
	lab_capacity(one->job.workers, CAPACITY_BUDGET_NS / 2, &repetition->capacity);
	r = lab_signalled() ? -ECANCELED : record_one(s, one, trace, result, &recorded, err);
	if (r && r != -ECANCELED)
		return err_context(err, "%s", one->job.strategy->name);
	if (!r) {
		s->lab->bpf = recorded.bpf;
		snprintf(s->lab->why_not, sizeof(s->lab->why_not), "%s", recorded.why_not);
	}
	if (r || recorded.interrupted) { /* Ctrl-C also ends a command that was not yet let run */
		s->lab->interrupted = true;
		return 0;
	}
	if (recorded.exit_status)
		r = err_set(&why, -EPROTO, "it ended with status %d", recorded.exit_status);
	else
		r = take_result(one, result, run, &why);
	if (r)
		return skip(s, one, &why, err);
	lab_capacity(one->job.workers, CAPACITY_BUDGET_NS / 2, &repetition->capacity);
	r = experiment_load(run, trace, err);
	r = r ?: replay_trace(trace, s->calibrated ? &s->costs : NULL, &run->replay, err);
	if (r)
		experiment_free(run);
	one->nr += !r;
	return r;
}

static int run_one(struct state *s, struct series *one, struct err *err)
{
	_cleanup_(free_p) char *trace = path_of(s->o->keep ? s->o->keep : s->dir, one, "data");
	_cleanup_(free_p) char *result = path_of(s->dir, one, "json");
	int r;

	if (!trace || !result)
		return err_sys(err, -ENOMEM, "cannot name the trace");
	r = run_files(s, one, trace, result, err);
	unlink(result);
	if (!s->o->keep)
		unlink(trace);
	return r;
}

static int run_rounds(struct state *s, struct err *err)
{
	int r = 0;

	for (unsigned int round = 0; round < s->o->repeats; round++) {
		for (size_t i = 0; i < s->nr && !r && !s->lab->interrupted; i++) {
			struct series *one = &s->series[i];

			if (one->skipped)
				continue;
			if (lab_signalled()) {
				s->lab->interrupted = true;
				break;
			}
			if (s->o->progress)
				s->o->progress(one->job.strategy->name, round + 1, s->o->repeats);
			r = run_one(s, one, err);
		}
	}
	return r;
}

/* ---- the result ---- */

static int64_t wall_of(const struct experiment *run)
{
	return run->t1_ns - run->t0_ns;
}

static int by_wall(const void *a, const void *b)
{
	const struct repetition *one = a, *other = b;
	int64_t x = wall_of(&one->e), y = wall_of(&other->e);

	return x < y ? -1 : x > y;
}

/* Takes the median repetition out of the series. */
static void take_median(struct series *one, struct run_entry *e)
{
	size_t middle = (one->nr - 1) / 2;

	qsort(one->run, one->nr, sizeof(*one->run), by_wall);
	e->wall_min_ns = (uint64_t)wall_of(&one->run[0].e);
	e->wall_max_ns = (uint64_t)wall_of(&one->run[one->nr - 1].e);
	e->run = one->run[middle].e;
	one->run[middle].e = (struct experiment){};
	one->capacity = one->run[middle].capacity;
	e->wall_ns = (uint64_t)wall_of(&e->run);
	for (size_t i = 0; i < e->run.nr; i++)
		e->counted += e->run.worker[i].counted;
}

static void fill_entry(struct series *one, struct run_entry *e)
{
	*e = (struct run_entry){
		.name = one->job.strategy->name,
		.single = one->job.strategy->single,
		.workers = one->job.workers,
		.count = one->job.count,
	};
	e->interpreter = take_ptr(one->interpreter);
	e->skipped = take_ptr(one->skipped);
	if (!e->skipped && !one->nr)
		e->skipped = strdup("the run was interrupted before it");
	if (!e->skipped)
		take_median(one, e);
	if (one->capacity.cpus) {
		e->capacity_cpus = one->capacity.cpus;
		e->capacity = one->capacity.worth;
		e->capacity_min = one->capacity.worth_min;
		e->capacity_max = one->capacity.worth_max;
	}
}

/* The baseline, if it ran and counted as far. */
static const struct run_entry *reference_of(const struct lab *lab, const struct run_entry *e,
					    const struct strategy *base)
{
	for (size_t i = 0; i < lab->nr; i++)
		if (!strcmp(lab->entry[i].name, base->name) && !lab->entry[i].skipped &&
		    lab->entry[i].count == e->count)
			return &lab->entry[i];
	return NULL;
}

static bool is_pool(const struct run_entry *e)
{
	return strstr(e->name, "pool") != NULL;
}

/* The same work, by as many workers against the same baseline, in processes: a pool's peer is a pool, if there is one. */
static const struct run_entry *peer_of(const struct lab *lab, const struct run_entry *e)
{
	const struct run_entry *peer = NULL;

	for (size_t i = 0; i < lab->nr && e->baseline_ns; i++) {
		const struct run_entry *other = &lab->entry[i];

		if (other->skipped || other->run.one_process || other->run.nr < 2 ||
		    other->workers != e->workers || other->baseline_ns != e->baseline_ns)
			continue;
		if (!peer || is_pool(other) == is_pool(e))
			peer = other;
	}
	return peer;
}

/* The share of its time in which the workers of the reference were on no CPU. */
static double waited(const struct run_entry *reference, uint64_t oncpu_ns)
{
	double whole = reference ? (double)reference->wall_ns * (double)reference->run.nr : 0;

	return whole > 0 && oncpu_ns ? fmax(0, 1 - (double)oncpu_ns / whole) : 0;
}

static int explain(const struct lab *lab, const struct series *one, struct run_entry *e,
		   const struct run_entry *reference)
{
	bool gil_shared = one->gil == 1 && e->run.nr > 1 && e->run.one_process;
	const struct run_entry *peer = gil_shared ? peer_of(lab, e) : NULL;
	uint64_t reference_ns = reference ? experiment_work_ns(&reference->run) : 0;
	struct facts facts;
	int r = experiment_stack(&e->run, reference_ns, &e->stack);

	if (r)
		return r;
	facts = (struct facts){
		.name = e->name,
		.single = e->single,
		.run = &e->run,
		.stack = &e->stack,
		.baseline_ns = e->baseline_ns,
		.baseline_name = e->baseline_name,
		.reference_ns = reference_ns,
		.reference_waited = waited(reference, reference_ns),
		.interpreter_lock = gil_shared,
		.peer = peer ? peer->name : NULL,
		.peer_speedup = peer ? run_entry_speedup(peer) : 0,
		.cpus = strategy_default_workers(),
		.capacity_cpus = e->capacity_cpus,
		.capacity = e->capacity,
		.capacity_min = e->capacity_min,
		.capacity_max = e->capacity_max,
		.shared = lab_shared(&one->capacity),
		.replay = &e->run.replay,
	};
	return findings_make(&facts, &e->findings);
}

static int conclude(struct state *s, struct err *err)
{
	const struct run_entry *reference[LAB_MAX] = { NULL };
	struct lab *lab = s->lab;

	for (size_t i = 0; i < s->nr; i++)
		fill_entry(&s->series[i], &lab->entry[i]);
	lab->nr = s->nr;
	/* all speedups before the first sentence: one strategy's may name another's */
	for (size_t i = 0; i < lab->nr; i++) {
		struct run_entry *e = &lab->entry[i];

		if (!e->skipped)
			reference[i] =
				reference_of(lab, e, strategy_baseline(s->series[i].job.strategy));
		e->baseline_ns = reference[i] ? reference[i]->wall_ns : 0;
		e->baseline_name = reference[i] ? reference[i]->name : NULL;
	}
	lab->calibrated = s->calibrated;
	for (size_t i = 0; i < lab->nr; i++) {
		const struct series *one = &s->series[i];
		const struct shared_capacity shared = lab_shared(&one->capacity);
		struct run_entry *e = &lab->entry[i];

		if (e->skipped)
			continue;
		if (explain(lab, one, e, reference[i]))
			return err_sys(err, -ENOMEM, "cannot explain the run");
		inflation_make(&e->run, reference[i] ? &reference[i]->run : NULL, &e->stack,
			       &shared, lab->calibrated ? &s->costs : NULL, &e->inflation);
	}
	return 0;
}

static void release(struct state *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		struct series *one = &s->series[i];

		for (unsigned int k = 0; k < one->nr; k++)
			experiment_free(&one->run[k].e);
		free(one->run);
		free(one->interpreter);
		free(one->skipped);
	}
	if (*s->dir)
		rmdir(s->dir);
}

int lab_run(const struct lab_options *o, struct lab *ret_lab, struct err *err)
{
	_cleanup_(free_p) struct state *s = calloc(1, sizeof(*s));
	struct lab_signals signals;
	int r;

	*ret_lab = (struct lab){};
	if (!s)
		return err_sys(err, -ENOMEM, "cannot prepare the run");
	s->o = o;
	s->lab = ret_lab;
	s->calibrated = costs_here(&s->costs);
	lab_signals_note(&signals);
	r = add_all(s, err);
	if (!r)
		r = make_directory(s, err);
	if (!r)
		r = run_rounds(s, err);
	if (!r)
		r = conclude(s, err);
	release(s);
	lab_signals_restore(&signals);
	return r;
}

void lab_free(struct lab *lab)
{
	for (size_t i = 0; i < lab->nr; i++) {
		struct run_entry *e = &lab->entry[i];

		experiment_free(&e->run);
		findings_free(&e->findings);
		free((char *)e->interpreter);
		free(e->skipped);
	}
	lab->nr = 0;
}
