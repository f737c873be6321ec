// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters without BPF: the kernel's software counters and, where the machine has them, the processor's, each opened on the threads. With
 * BPF, counter.c has them for less (a switch has no perf context to exchange) and for each thread.
 *
 * Every event is opened, and fails, alone: no groups, so that one missing counter does not take the others with it. What a thread
 * starts later inherits its events. A held command's events begin at its exec. A child's counts join its parent's when it exits, so
 * processes that outlive the recording are missing from the sums.
 * Into the trace go
 *
 *   "counters": {"cycles": {"value": N, "unit": "cycles", "user_only": true, "scaled": true, "enabled_ns": N, "running_ns": N},
 *                "instructions": {"unavailable": "why not"}}
 */
#include <dirent.h>
#include <errno.h>
#include <perf/cpumap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "probes/counter_names.h"
#include "probes/probe.h"

#define DEFAULT_NAMES                                                                              \
	"task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,cache-misses," \
	"branch-misses"
#define WHY_SIZE 200 /* room for a reason */

struct counter {
	const struct probe_env *env;
	struct counter_list list;
	struct event events[COUNTERS_MAX];
	bool have_hardware; /* one hardware event opened */
	bool was_read;
};

/* ---- opening ---- */

static void events_add(struct counter *c, const struct subject *on)
{
	for (size_t i = 0; i < c->list.nr; i++) {
		struct event *e = &c->events[i];

		if (e->code)
			continue;
		/* on a CPU it counts the idle time too: no information */
		if (on->cpus && c->list.kind[i].view == USER_ALL)
			e->code = -EDOM;
		else
			e->code = event_add(e, &c->list.kind[i], on);
		if (e->code)
			event_close(e);
	}
}

/* The threads are listed first: one that is started by a thread already opened is inherited, and must not be opened again. */
static void add_process(struct counter *c, pid_t pid)
{
	_cleanup_(closedir_p) DIR *dir = NULL;
	_cleanup_(free_p) pid_t *tids = NULL;
	const struct dirent *entry;
	size_t nr = 0, cap = 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) && !vec_room(&tids, &cap, nr + 1)) {
		tids[nr] = (pid_t)strtol(entry->d_name, NULL, 10);
		nr += tids[nr] > 0;
	}
	for (size_t i = 0; i < nr; i++) {
		struct subject thread = { .tid = tids[i], .inherit = true };

		events_add(c, &thread);
	}
}

static void add_everything(struct counter *c)
{
	const struct probe_env *env = c->env;
	struct subject command = { .tid = env->command, .from_exec = true, .inherit = true };

	if (env->mode == PROBE_ALL) {
		struct subject machine = { .cpus = perf_cpu_map__default_new() };

		if (machine.cpus)
			events_add(c, &machine);
		perf_cpu_map__put(machine.cpus);
		return;
	}
	for (size_t i = 0; i < env->nr_ids && env->mode != PROBE_COMMAND; i++) {
		struct subject thread = { .tid = env->ids[i] };

		if (env->mode == PROBE_PIDS)
			add_process(c, env->ids[i]);
		else
			events_add(c, &thread);
	}
	if (command.tid)
		events_add(c, &command);
}

static int counter_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct counter *c = calloc(1, sizeof(*c));

	*ret_state = c;
	if (!c)
		return err_sys(err, -ENOMEM, "cannot open the counters");
	c->env = env;
	return counter_list_parse(
		&c->list, env->counters && *env->counters ? env->counters : DEFAULT_NAMES, err);
}

/* Never an error: what cannot be counted says so in the trace. Each thread takes a file descriptor an event. */
static int counter_start(void *state, struct err *err)
{
	struct counter *c = state;
	struct rlimit old, more;
	bool limited = !getrlimit(RLIMIT_NOFILE, &old);

	(void)err;
	if (limited) {
		more = (struct rlimit){ .rlim_cur = old.rlim_max, .rlim_max = old.rlim_max };
		limited = !setrlimit(RLIMIT_NOFILE, &more);
	}
	add_everything(c);
	if (limited)
		setrlimit(RLIMIT_NOFILE, &old);
	for (size_t i = 0; i < c->list.nr; i++) {
		struct event *e = &c->events[i];

		if (!e->code && !e->nr)
			e->code = -ESRCH;
		c->have_hardware |= !e->code && event_is_hardware(&c->list.kind[i]);
	}
	return 0;
}

/* ---- reading ---- */

static int counter_stop(void *state, struct err *err)
{
	struct counter *c = state;

	(void)err;
	c->was_read = true;
	for (size_t i = 0; i < c->list.nr; i++) {
		struct event *e = &c->events[i];

		if (!e->code)
			e->code = event_read(e);
	}
	return 0;
}

static void counter_close(void *state)
{
	struct counter *c = state;

	for (size_t i = 0; c && i < c->list.nr; i++)
		event_close(&c->events[i]);
	free(c);
}

/* ---- what it says ---- */

static void say_why_not(const struct counter *c, size_t i, char *text, size_t size)
{
	event_why_not(&c->list.kind[i], c->events[i].code, c->have_hardware, text, size);
}

static json_t *event_json(const struct counter *c, size_t i)
{
	const struct event *e = &c->events[i];
	json_t *into;
	char why[WHY_SIZE];

	if (e->code) {
		say_why_not(c, i, why, sizeof(why));
		return json_pack("{s:s}", "unavailable", why);
	}
	into = json_pack("{s:I,s:s,s:I,s:I}", "value", (json_int_t)e->value, "unit",
			 c->list.kind[i].unit, "enabled_ns", (json_int_t)e->enabled_ns,
			 "running_ns", (json_int_t)e->running_ns);
	if (into && e->no_kernel && c->list.kind[i].view == USER_PART)
		json_object_set_new(into, "user_only", json_true());
	if (into && e->scaled)
		json_object_set_new(into, "scaled", json_true());
	return into;
}

static int counter_meta(void *state, json_t *into)
{
	struct counter *c = state;
	json_t *counters = json_object_get(into, "counters");
	struct err none;

	if (!c->was_read)
		counter_stop(c, &none);
	if (!counters) {
		counters = json_object();
		if (json_object_set_new(into, "counters", counters))
			return -ENOMEM;
	}
	for (size_t i = 0; i < c->list.nr; i++)
		if (json_object_set_new(counters, c->list.kind[i].name, event_json(c, i)))
			return -ENOMEM;
	return 0;
}

/* ---- the check ---- */

/* Lists the events that `like` cannot be opened with, for the same reason. */
static size_t list_like(const struct counter *c, size_t like, char *text, size_t size)
{
	char why[WHY_SIZE], other[WHY_SIZE];
	size_t len = 0;

	say_why_not(c, like, why, sizeof(why));
	for (size_t i = 0; i < c->list.nr; i++) {
		if (!c->events[i].code)
			continue;
		say_why_not(c, i, other, sizeof(other));
		if (strcmp(why, other) != 0)
			continue;
		if (i < like)
			return 0; /* listed with that one */
		len += snprintf(text + len, size - len, "%s%s", len ? ", " : "",
				c->list.kind[i].name);
	}
	return len + snprintf(text + len, size - len, ": %s", why);
}

/* "without A, B: a reason; C only in user space"; returns how many events do open. */
static size_t describe(const struct counter *c, char *text, size_t size)
{
	size_t opened = 0, len = 0;
	char part[300];

	*text = '\0';
	for (size_t i = 0; i < c->list.nr; i++) {
		const struct event *e = &c->events[i];

		opened += !e->code;
		if (!e->code && e->no_kernel && c->list.kind[i].view == USER_PART)
			snprintf(part, sizeof(part), "%s only in user space", c->list.kind[i].name);
		else if (!e->code || !list_like(c, i, part, sizeof(part)))
			continue;
		if (len < size)
			len += snprintf(text + len, size - len, "%s%s%s", len ? "; " : "",
					e->code ? "without " : "", part);
	}
	return opened;
}

/* Opens all of them on this process. Where only some open, `why` names the others, and its code is 0. */
static int counter_check(struct err *why)
{
	pid_t self = getpid();
	struct probe_env env = { .mode = PROBE_TIDS, .ids = &self, .nr_ids = 1 };
	struct counter *c;
	char text[sizeof(why->msg)];
	void *state;
	int r;

	r = counter_open(&env, &state, why);
	if (r)
		return r;
	c = state;
	counter_start(c, why);
	if (!describe(c, text, sizeof(text))) {
		r = c->events[0].code;
		say_why_not(c, 0, text, sizeof(text));
	}
	err_set(why, r, "%s", text);
	counter_close(c);
	return r;
}

const struct probe probe_counter_task = {
	.name = "counter_task",
	.gives = "CPU time, context switches, migrations and page faults; cycles, instructions and "
		 "misses where the machine counts them",
	.without = "page faults and whether the same work took more cycles; nothing of the ledger",
	.cost = "about 0.2 us a context switch of the program",
	.check = counter_check,
	.open = counter_open,
	.start = counter_start,
	.stop = counter_stop,
	.meta = counter_meta,
	.close = counter_close,
};
