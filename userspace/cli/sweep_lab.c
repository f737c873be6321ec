// SPDX-License-Identifier: GPL-2.0-only
/* The sweep's lab: see sweep_lab.h. */
#include "cli/sweep_lab.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "analysis/lanes.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/costs.h"
#include "cli/lab.h"
#include "record/record.h"
#include "strategy/strategy_args.h"

#define CAPACITY_BUDGET_NS (160 * NSEC_PER_MSEC)
#define MAX_CPUS 8192
#define PLACEHOLDER "{n}"

/* One run, and what the CPUs were worth around it. */
struct repetition {
	struct sweep_run run;
	struct capacity capacity; /* cpus 0: not measured */
};

/* One point through all rounds. */
struct series {
	struct repetition *run; /* [repeats] */
	uint64_t *wall_ns;
	unsigned int nr;
	char *failed;
};

struct state {
	const struct sweep_options *o;
	struct sweep_result *result;
	struct series series[SWEEP_POINTS_MAX];
	char dir[LAB_DIR]; /* ours, removed at the end */
	unsigned int cpus;
	cpu_set_t *allowed;
};

bool sweep_has_placeholder(char *const *argv)
{
	for (; *argv; argv++)
		if (strstr(*argv, PLACEHOLDER))
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

int sweep_parse_numbers(const char *list, unsigned int ret_n[SWEEP_POINTS_MAX], size_t *ret_nr,
			struct err *err)
{
	size_t nr = 0;

	while (true) {
		size_t len = strcspn(list, ",");
		char word[16];
		uint64_t n;

		snprintf(word, sizeof(word), "%.*s", (int)(len < 15 ? len : 15), list);
		if (!cli_number(word, 1, LANES_MAX, &n))
			return err_set(
				err, -EINVAL,
				"'%.*s' is no number of workers: give numbers from 1 to %d such as 1,2,4,8",
				(int)(len < 40 ? len : 40), list, LANES_MAX);
		if (nr == SWEEP_POINTS_MAX)
			return err_set(err, -EINVAL, "more than %d points at once",
				       SWEEP_POINTS_MAX);
		for (size_t i = 0; i < nr; i++)
			if (ret_n[i] == n)
				return err_set(err, -EINVAL,
					       "%u is named twice: name it once, and use --repeat",
					       ret_n[i]);
		ret_n[nr++] = (unsigned int)n;
		if (!list[len])
			break;
		list += len + 1;
	}
	qsort(ret_n, nr, sizeof(*ret_n), by_number);
	*ret_nr = nr;
	return 0;
}

/* ---- the command of one point ---- */

/* The word with every "{n}" replaced; the caller's. NULL when out of memory. */
static char *with_number(const char *word, unsigned int n)
{
	size_t len = 0;
	char *to, *text = malloc(strlen(word) * 4 + 16); /* 10 digits for 3 letters */
	const char *at;

	if (!text)
		return NULL;
	to = text;
	for (; (at = strstr(word, PLACEHOLDER)); word = at + strlen(PLACEHOLDER)) {
		len = (size_t)(at - word);
		memcpy(to, word, len);
		to += len;
		to += sprintf(to, "%u", n);
	}
	strcpy(to, word);
	return text;
}

static void free_words(char ***words)
{
	for (char **w = *words; w && *w; w++)
		free(*w);
	free(*words);
}

static char **command_of(char *const *argv, unsigned int n)
{
	size_t nr = 0;
	char **words;

	while (argv[nr])
		nr++;
	words = calloc(nr + 1, sizeof(*words));
	for (size_t i = 0; words && i < nr; i++) {
		words[i] = with_number(argv[i], n);
		if (!words[i]) {
			free_words(&words);
			return NULL;
		}
	}
	return words;
}

/* The first n of the CPUs that we may use; the caller's, by CPU_FREE. */
static cpu_set_t *first_cpus(const struct state *s, unsigned int n)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	cpu_set_t *set = CPU_ALLOC(MAX_CPUS);

	if (!set)
		return NULL;
	CPU_ZERO_S(size, set);
	for (int cpu = 0; cpu < MAX_CPUS && n; cpu++)
		if (CPU_ISSET_S(cpu, size, s->allowed)) {
			CPU_SET_S(cpu, size, set);
			n--;
		}
	return set;
}

static int record_one(const struct state *s, unsigned int n, const char *trace,
		      struct record_result *ret, struct err *err)
{
	_cleanup_(free_words) char **words = command_of(s->o->argv, n);
	cpu_set_t *cpus = s->o->cpus ? first_cpus(s, n) : NULL;
	struct record_options options = { .what = RECORD_COMMAND,
					  .argv = words,
					  .user = s->o->user,
					  .output = trace,
					  .no_bpf = s->o->no_bpf,
					  .counters = true,
					  .stdout_fd = STDERR_FILENO,
					  .cpus = cpus,
					  .cpus_bytes = CPU_ALLOC_SIZE(MAX_CPUS) };
	char number[16];
	int r;

	snprintf(number, sizeof(number), "%u", n);
	if (!words || (s->o->cpus && !cpus) || (s->o->env && setenv(s->o->env, number, 1)))
		r = err_sys(err, -ENOMEM, "cannot prepare the run");
	else
		r = record_run(&options, ret, err);
	if (cpus)
		CPU_FREE(cpus);
	return r;
}

/* ---- one run ---- */

static int fail(struct state *s, struct series *one, int status, struct err *err)
{
	if (!s->result->exit_status)
		s->result->exit_status = status;
	if (status > 128 &&
	    asprintf(&one->failed, "the command was ended by signal %d", status - 128) < 0)
		one->failed = NULL;
	else if (status <= 128 &&
		 asprintf(&one->failed, "the command ended with status %d", status) < 0)
		one->failed = NULL;
	return one->failed ? 0 : err_sys(err, -ENOMEM, "cannot keep the result");
}

static int run_file(struct state *s, size_t i, const char *trace, struct err *err)
{
	struct series *one = &s->series[i];
	struct record_result recorded = {};
	struct machine_costs costs;
	unsigned int n = s->o->n[i];
	struct repetition *now = &one->run[one->nr];
	int r;

	*now = (struct repetition){};
	lab_capacity(n, CAPACITY_BUDGET_NS / 2, &now->capacity);
	r = record_one(s, n, trace, &recorded, err);
	if (r) {
		if (recorded.exit_status == 126 || recorded.exit_status == 127)
			s->result->exit_status = recorded.exit_status;
		return r;
	}
	s->result->sweep.bpf = recorded.bpf;
	snprintf(s->result->why_not, sizeof(s->result->why_not), "%s", recorded.why_not);
	if (recorded.interrupted) {
		s->result->interrupted = true;
		return 0;
	}
	if (recorded.exit_status)
		return fail(s, one, recorded.exit_status, err);
	lab_capacity(n, CAPACITY_BUDGET_NS / 2, &now->capacity);
	r = sweep_run_load(trace, n, s->cpus, &now->run, err);
	r = r ?: replay_trace(trace, costs_here(&costs) ? &costs : NULL, &now->run.run.replay, err);
	if (r) {
		sweep_run_free(&now->run);
		return r;
	}
	one->wall_ns[one->nr] = now->run.wall_ns;
	one->nr++;
	return 0;
}

static int run_one(struct state *s, size_t i, unsigned int round, struct err *err)
{
	_cleanup_(free_p) char *trace = NULL;
	int r;

	if (asprintf(&trace, "%s/n%u-%u.data", s->o->keep ? s->o->keep : s->dir, s->o->n[i],
		     round + 1) < 0) {
		trace = NULL;
		return err_sys(err, -ENOMEM, "cannot name the trace");
	}
	r = run_file(s, i, trace, err);
	if (!s->o->keep)
		unlink(trace);
	return r;
}

static int run_rounds(struct state *s, struct err *err)
{
	for (unsigned int round = 0; round < s->o->repeats; round++)
		for (size_t i = 0; i < s->o->nr; i++) {
			int r;

			if (s->series[i].failed)
				continue;
			if (lab_signalled() || s->result->interrupted) {
				s->result->interrupted = true;
				return 0;
			}
			if (s->o->progress)
				s->o->progress(s->o->n[i], round + 1, s->o->repeats);
			r = run_one(s, i, round, err);
			if (r)
				return r;
		}
	return 0;
}

/* ---- the result ---- */

static int by_wall(const void *a, const void *b)
{
	const struct repetition *x = a, *y = b;

	return x->run.wall_ns < y->run.wall_ns ? -1 : x->run.wall_ns > y->run.wall_ns;
}

static void fill_point(struct series *one, unsigned int n, struct sweep_point *p)
{
	struct repetition *median = one->nr ? &one->run[(one->nr - 1) / 2] : NULL;

	*p = (struct sweep_point){ .n = n, .runs = one->nr };
	p->wall_ns = take_ptr(one->wall_ns);
	p->failed = take_ptr(one->failed);
	if (!p->failed && !one->nr)
		p->failed = strdup("the sweep was interrupted before it");
	if (p->failed || !one->nr)
		return;
	qsort(one->run, one->nr, sizeof(*one->run), by_wall);
	p->median = median->run;
	median->run = (struct sweep_run){};
	p->capacity = median->capacity.worth;
	p->capacity_min = median->capacity.worth_min;
	p->capacity_max = median->capacity.worth_max;
	p->capacity_cpus = median->capacity.cpus;
	p->shared = lab_shared(&median->capacity);
}

static int conclude(struct state *s, struct err *err)
{
	struct sweep *sweep = &s->result->sweep;

	sweep->point = calloc(s->o->nr, sizeof(*sweep->point));
	if (!sweep->point)
		return err_sys(err, -ENOMEM, "cannot keep the result");
	sweep->nr = s->o->nr;
	sweep->cpus = s->cpus;
	sweep->limits_cpus = s->o->cpus;
	sweep->calibrated = costs_here(&sweep->costs);
	for (size_t i = 0; i < s->o->nr; i++)
		fill_point(&s->series[i], s->o->n[i], &sweep->point[i]);
	sweep_conclude(sweep);
	return 0;
}

static int prepare(struct state *s, struct err *err)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);

	s->cpus = strategy_default_workers();
	s->allowed = CPU_ALLOC(MAX_CPUS);
	if (!s->allowed || sched_getaffinity(0, size, s->allowed) < 0)
		return err_sys(err, s->allowed ? -errno : -ENOMEM,
			       "cannot read which CPUs this process may use");
	for (size_t i = 0; i < s->o->nr; i++) {
		s->series[i].run = calloc(s->o->repeats, sizeof(*s->series[i].run));
		s->series[i].wall_ns = calloc(s->o->repeats, sizeof(*s->series[i].wall_ns));
		if (!s->series[i].run || !s->series[i].wall_ns)
			return err_sys(err, -ENOMEM, "cannot prepare the runs");
	}
	return lab_directory(s->o->keep, s->dir, err);
}

static void release(struct state *s)
{
	for (size_t i = 0; i < s->o->nr; i++) {
		struct series *one = &s->series[i];

		for (unsigned int k = 0; one->run && k < one->nr; k++)
			sweep_run_free(&one->run[k].run);
		free(one->run);
		free(one->wall_ns);
		free(one->failed);
	}
	if (s->allowed)
		CPU_FREE(s->allowed);
	if (*s->dir)
		rmdir(s->dir);
}

int sweep_lab_run(const struct sweep_options *o, struct sweep_result *ret, struct err *err)
{
	_cleanup_(free_p) struct state *s = calloc(1, sizeof(*s));
	struct lab_signals signals;
	int r;

	*ret = (struct sweep_result){};
	if (!s)
		return err_sys(err, -ENOMEM, "cannot prepare the runs");
	s->o = o;
	s->result = ret;
	lab_signals_note(&signals);
	r = prepare(s, err);
	if (!r)
		r = run_rounds(s, err);
	if (!r)
		r = conclude(s, err);
	release(s);
	lab_signals_restore(&signals);
	return r;
}
