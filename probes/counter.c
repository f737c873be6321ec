// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counter probe: opens the counters that were asked for on every CPU, through libperf. The scheduler's programs read them at each
 * switch of a tracked thread (bpf/counter.bpf.h), so that each thread and each of its slices on a CPU has its own values.
 *
 * Every counter is opened, and fails, alone: a machine that lacks one still has the others, and the trace says which are missing, and
 * why. Into META go
 *
 *   "counters": {"page-faults": {"index": 0, "unit": "faults", "enabled_ns": N, "running_ns": N},
 *                "cycles": {"unavailable": "why not"}}
 *
 * index is a counter's place in EV_COUNTS; enabled and running are sums over the CPUs: where they differ it had to share the hardware.
 */
#include <errno.h>
#include <perf/cpumap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probes/counter_names.h"
#include "probes/probe.h"

#define WHY_SIZE 200 /* room for a reason */

struct counter {
	struct probe_env *env;
	struct counter_list list;
	struct event events[COUNTERS_MAX];
	bool have_hardware; /* one of the processor's opened */
	bool was_read;
};

/* One CPU after the other, so that the i-th subject of the event is the i-th CPU that is online. */
static void open_event(struct counter *c, size_t i)
{
	struct event *e = &c->events[i];

	for (unsigned int cpu = 0; cpu < c->env->nr_cpus && !e->code; cpu++) {
		struct subject on = {};
		char number[16];

		if (!c->env->online[cpu])
			continue;
		snprintf(number, sizeof(number), "%u", cpu);
		on.cpus = perf_cpu_map__new(number);
		e->code = on.cpus ? event_add(e, &c->list.kind[i], &on) : -ENOMEM;
		perf_cpu_map__put(on.cpus);
	}
	if (e->code)
		event_close(e);
	else
		c->have_hardware |= event_is_hardware(&c->list.kind[i]);
}

/* Gives the descriptors to the scheduler's probe: those of the counters that opened, one behind the other. */
static int offer(struct counter *c)
{
	struct probe_env *env = c->env;
	int *fds = calloc((size_t)COUNTERS_MAX * env->nr_cpus, sizeof(*fds)), *at = fds;

	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < c->list.nr; i++) {
		size_t nth = 0;

		if (c->events[i].code)
			continue;
		for (unsigned int cpu = 0; cpu < env->nr_cpus; cpu++)
			*at++ = env->online[cpu] ? event_fd(&c->events[i], nth++) : -1;
		env->nr_counters++;
	}
	env->counter_fds = fds;
	return 0;
}

static int counter_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct counter *c = calloc(1, sizeof(*c));
	int r;

	*ret_state = c;
	if (!c)
		return err_sys(err, -ENOMEM, "cannot open the counters");
	c->env = env;
	r = counter_list_parse(&c->list, env->counters ? env->counters : "", err);
	if (r)
		return r;
	for (size_t i = 0; i < c->list.nr; i++)
		open_event(c, i);
	return offer(c) ? err_sys(err, -ENOMEM, "cannot open the counters") : 0;
}

static int counter_stop(void *state, struct err *err)
{
	struct counter *c = state;

	(void)err;
	c->was_read = true;
	for (size_t i = 0; i < c->list.nr; i++)
		if (!c->events[i].code)
			event_read(&c->events[i]);
	return 0;
}

static void counter_close(void *state)
{
	struct counter *c = state;

	if (!c)
		return;
	for (size_t i = 0; i < c->list.nr; i++)
		event_close(&c->events[i]);
	free(c->env->counter_fds);
	c->env->counter_fds = NULL;
	c->env->nr_counters = 0;
	free(c);
}

/* ---- what it says ---- */

static json_t *event_json(const struct counter *c, size_t i, int index)
{
	const struct event *e = &c->events[i];
	char why[WHY_SIZE];
	json_t *into;

	if (e->code) {
		event_why_not(&c->list.kind[i], e->code, c->have_hardware, why, sizeof(why));
		return json_pack("{s:s}", "unavailable", why);
	}
	into = json_pack("{s:i,s:s,s:I,s:I}", "index", index, "unit", c->list.kind[i].unit,
			 "enabled_ns", (json_int_t)e->enabled_ns, "running_ns",
			 (json_int_t)e->running_ns);
	if (into && e->no_kernel && c->list.kind[i].view == USER_PART)
		json_object_set_new(into, "user_only", json_true());
	return into;
}

static int counter_meta(void *state, json_t *into)
{
	struct counter *c = state;
	json_t *counters = json_object_get(into, "counters");
	int index = 0;

	/* without the scheduler's programs nobody reads them: counter_task.c counts then */
	if (c->env->locals_fd < 0)
		return 0;
	if (!c->was_read)
		counter_stop(c, NULL);
	if (!counters) {
		counters = json_object();
		if (json_object_set_new(into, "counters", counters))
			return -ENOMEM;
	}
	for (size_t i = 0; i < c->list.nr; i++) {
		if (json_object_set_new(counters, c->list.name[i], event_json(c, i, index)))
			return -ENOMEM;
		index += !c->events[i].code;
	}
	return 0;
}

/* "cycles, instructions: why not; page-faults only in user space" */
static size_t describe(const struct counter *c, char *text, size_t size)
{
	char why[WHY_SIZE], last[WHY_SIZE] = "";
	size_t opened = 0, len = 0;

	*text = '\0';
	for (size_t i = 0; i < c->list.nr; i++) {
		opened += !c->events[i].code;
		if (!c->events[i].code || len >= size)
			continue;
		event_why_not(&c->list.kind[i], c->events[i].code, c->have_hardware, why,
			      sizeof(why));
		if (len && strcmp(why, last) != 0)
			len += (size_t)snprintf(text + len, size - len, ": %s; ", last);
		else if (len)
			len += (size_t)snprintf(text + len, size - len, ", ");
		if (len < size)
			len += (size_t)snprintf(text + len, size - len, "%s%s",
						!*last ? "without " : "", c->list.name[i]);
		snprintf(last, sizeof(last), "%s", why);
	}
	if (*last && len < size)
		snprintf(text + len, size - len, ": %s", last);
	return opened;
}

/* Opens the default ones on CPU 0. Where only some open, `why` names the others, and its code is 0. */
static int counter_check(struct err *why)
{
	const bool online[1] = { true };
	struct probe_env env = { .nr_cpus = 1, .online = online, .locals_fd = -1 };
	char text[sizeof(why->msg)];
	void *state = NULL;
	int r = counter_open(&env, &state, why);

	if (!r) {
		const struct counter *c = state;

		if (!describe(c, text, sizeof(text)))
			r = c->events[0].code;
		err_set(why, r, "%s", text);
	}
	counter_close(state);
	return r;
}

const struct probe probe_counter = {
	.name = "counter",
	.gives = "cycles, instructions, cache and branch misses, page faults ... of each thread, "
		 "and of each time that it had a CPU (record -e, --counters)",
	.without = "whether the same work took more instructions or more cycles; nothing of the "
		   "ledger",
	.cost = "about 0.06 us a switch for each counter, only when asked for",
	.check = counter_check,
	.open = counter_open,
	.stop = counter_stop,
	.meta = counter_meta,
	.close = counter_close,
};
