// SPDX-License-Identifier: GPL-2.0-only
/*
 * whyscale check: what this kernel, this machine and this user can measure, and why not more.
 *
 * The honest check of a probe is to use it: the scheduler's programs are loaded, the counters opened on this process, its
 * own /proc files read. The exit status is 0 when something can be recorded: at least what /proc tells.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "probes/probe.h"
#include "record/proc_watch.h"

static void json_p(json_t **json)
{
	json_decref(*json);
}

/* ---- trying ---- */

static const char no_proc[] = "it needs this pid namespace's /proc, which is not mounted here";

/* Nothing is recorded where /proc shows other processes than ours, whatever could be loaded. */
static void try_probe(struct check *c, const struct probe *probe)
{
	struct source *s = &c->sources[c->nr++];
	struct err err = {};

	*s = (struct source){ probe->name, probe->gives, probe->without, probe->cost, false, "" };
	if (c->machine.proc.code)
		err_set(&err, c->machine.proc.code, "%s", no_proc);
	s->works = !err.code && (!probe->check || !probe->check(&err));
	if (s->works && probe->with_sched && !c->sched_works)
		s->works = err_set(&err, 0, "it needs the probe sched, which does not work here");
	snprintf(s->why, sizeof(s->why), "%s", err.msg);
	if (!strcmp(probe->name, "sched"))
		c->sched_works = c->can_record = s->works;
}

static void try_proc(struct check *c)
{
	struct source *s = &c->sources[c->nr++];
	struct proc_watch *watch = NULL;
	struct err err = {};
	pid_t self = getpid();

	*s = (struct source){
		.name = "/proc",
		.gives =
			"CPU time, run-queue time and switches of every thread; used where sched does not work",
		.without = "nothing, as long as sched works",
		.cost = "at most 5 % of one CPU; no cost to the program beyond that",
	};
	if (c->machine.proc.code)
		err_set(&err, c->machine.proc.code, "%s", no_proc);
	s->works = !err.code && !proc_watch_new(&self, 1, false, monotonic_ns(), &watch, &err);
	snprintf(s->why, sizeof(s->why), "%s", err.msg);
	proc_watch_free(watch);
	c->can_record |= s->works;
}

/* What each counter says of this process: {"cycles": {"unavailable": "..."}, ...}; NULL without the probe. */
static json_t *try_counters(void)
{
	const struct probe *probe = probe_by_name("counter_task");
	_cleanup_(json_p) json_t *meta = json_object();
	pid_t self = getpid();
	struct probe_env env = { .mode = PROBE_TIDS, .ids = &self, .nr_ids = 1, .bufs_fd = -1 };
	void *state = NULL;
	struct err none;

	if (!meta || !probe)
		return NULL;
	if (!probe->open(&env, &state, &none) && !probe->start(state, &none) &&
	    !probe->stop(state, &none))
		probe->meta(state, meta);
	probe->close(state);
	return json_incref(json_object_get(meta, "counters"));
}

static void try_all(struct check *c)
{
	machine_look(&c->machine);
	for (size_t i = 0; i < MAX_SOURCES - 1 && probes[i]; i++)
		try_probe(c, probes[i]);
	try_proc(c);
	c->counters = try_counters();
}

/* ---- the command ---- */

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "print JSON, schema whyscale.check/1", 0 },
	{},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	switch (key) {
	case 'j':
		*json = true;
		return 0;
	case ARGP_KEY_ARG:
		return cli_refuse(state, "'%.64s' is more than check takes: it has no arguments",
				  arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_options usage = {
	.command = "check",
	.options = option_table,
	.parser = parse_option,
	.args_doc = "",
	.doc = "Lists what this kernel, machine and user can measure, and why not more. The exit status is 0 "
	       "when something can be recorded.",
};

static int check_main(int argc, char **argv)
{
	struct check c = {};
	struct err err = {};
	bool json = false;
	int status;

	if (!cli_parse(&usage, argc, argv, &json, &status))
		return status;
	try_all(&c);
	if (json ? check_show_json(&c, &err) : check_show_table(&c, &err))
		status = cli_fail(&err);
	else
		status = c.can_record ? 0 : CLI_SYSTEM_FAULT;
	json_decref(c.counters);
	return status;
}

const struct cmd cmd_check = {
	.name = "check",
	.summary = "show what can be measured here, and why not more",
	.run = check_main,
};
