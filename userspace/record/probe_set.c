// SPDX-License-Identifier: GPL-2.0-only
/* The probes of a recording, all at once: see probes/probe.h for what each step is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bpf/events.h"
#include "record/recording.h"

/* Counters cost time at every switch: they are read when asked for. Without the scheduler's programs the threads have theirs. */
static bool wanted(const struct recording *rec, const struct probe *probe)
{
	if (!strcmp(probe->name, "python"))
		return rec->opts->python;
	if (!strcmp(probe->name, "sample"))
		return rec->opts->stacks;
	if (!strcmp(probe->name, "counter"))
		return rec->opts->counters && !rec->opts->no_bpf;
	return strcmp(probe->name, "counter_task") || !rec->result->bpf;
}

/*
 * Programs, links and maps are some 120 descriptors, and a few more for each CPU. With too few some probes would open and others not:
 * rather none does.
 */
static int enough_files(const struct recording *rec, struct err *why)
{
	unsigned int each_cpu = 2 + (rec->opts->counters ? COUNTERS_MAX : 0);
	unsigned long long need = 150 + (unsigned long long)each_cpu * rec->env.nr_cpus;
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= need)
		return 0;
	return err_set(
		why, -EMFILE,
		"it takes up to %llu open files, and here are %llu allowed; raise the limit (ulimit -n %llu)",
		need, (unsigned long long)now.rlim_cur, need);
}

int probe_set_open(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++) {
		struct err why = {};
		bool sched = !strcmp(probes[i]->name, "sched");
		int r;

		if (!wanted(rec, probes[i]))
			continue;
		if (sched && rec->opts->no_bpf)
			r = err_set(&why, -EPERM, "it was asked to do without BPF");
		else if (sched && enough_files(rec, &why))
			r = why.code;
		else
			r = probes[i]->open(&rec->env, &rec->state[i], &why);
		rec->opened[i] = !r;
		if (r && rec->state[i]) {
			probes[i]->close(rec->state[i]);
			rec->state[i] = NULL;
		}
		if (sched) {
			rec->result->bpf = !r;
			snprintf(rec->result->why_not, sizeof(rec->result->why_not), "%.250s",
				 r ? why.msg : "");
		}
	}
	if (rec->result->bpf)
		return 0;
	if (rec->opts->what == RECORD_ALL)
		return err_set(err, -EPERM, "cannot record the whole machine: %s",
			       rec->result->why_not);
	return rec->target.pid ?
		       proc_watch_new(&rec->target.pid, 1, false, rec->env.epoch_ns, &rec->watch,
				      err) :
		       proc_watch_new(rec->env.ids, rec->env.nr_ids, rec->opts->what == RECORD_TIDS,
				      rec->env.epoch_ns, &rec->watch, err);
}

int probe_set_start(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->start && probes[i]->start(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

void probe_set_tick(struct recording *rec)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->tick && probes[i]->tick(rec->state[i]))
			rec->tick_ns = TICK_SOON_NS;
}

int probe_set_key(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->key && probes[i]->key(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

int probe_set_books(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->books && probes[i]->books(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

int probe_set_stop(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->stop && probes[i]->stop(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

void probe_set_close(struct recording *rec)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i])
			probes[i]->close(rec->state[i]);
	memset(rec->opened, 0, sizeof(rec->opened));
}

void probe_set_meta(struct recording *rec, json_t *into)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->meta)
			probes[i]->meta(rec->state[i], into);
}
