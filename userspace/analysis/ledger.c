// SPDX-License-Identifier: GPL-2.0-only
/* The ledger as an object: made, fed, finished, asked. */
#include "analysis/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "analysis/ledger_impl.h"

int ledger_new(enum syscall_arch arch, unsigned int nr_cpus, struct ledger **ret_ledger,
	       struct err *err)
{
	struct ledger *l = calloc(1, sizeof(*l));
	int yield_nr = syscall_number(arch, "sched_yield");

	if (l) {
		l->cpu_time = calloc(nr_cpus ? nr_cpus : 1, sizeof(*l->cpu_time));
		l->cpu = calloc(nr_cpus ? nr_cpus : 1, sizeof(*l->cpu));
	}
	if (!l || !l->cpu_time || !l->cpu) {
		ledger_free(l);
		return err_set(err, -ENOMEM, "not enough memory for a trace of %u CPUs", nr_cpus);
	}
	l->arch = arch;
	l->nr_cpus = nr_cpus;
	l->yield_nr = yield_nr < 0 ? EV_NO_SYSCALL + 1 : (unsigned int)yield_nr;
	*ret_ledger = l;
	return 0;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	thread_table_free(l);
	free(l->cpu_time);
	free(l->cpu);
	free(l);
}

void ledger_cut(struct ledger *l, uint64_t from_ns, uint32_t serials)
{
	l->cut_ns = from_ns;
	l->cut_serials = serials < SERIAL_MAX ? serials : SERIAL_MAX;
}

void ledger_epoch(struct ledger *l, uint64_t epoch_ns)
{
	l->epoch_ns = epoch_ns;
}

void ledger_watch(struct ledger *l, ledger_watch_fn fn, void *arg)
{
	assert(l->nr_watch < LEDGER_MAX_WATCH);
	l->watch[l->nr_watch++] = (struct watcher){ fn, arg };
}

void ledger_on_wait(struct ledger *l, ledger_wait_fn fn, void *arg)
{
	l->on_wait.fn = fn;
	l->on_wait.arg = arg;
}

void ledger_on_state(struct ledger *l, ledger_state_fn fn, void *arg)
{
	assert(l->nr_on_state < LEDGER_MAX_WATCH);
	l->on_state[l->nr_on_state++] = (struct state_watcher){ fn, arg };
}

static void ledger_begin(struct ledger *l, uint64_t time_ns)
{
	l->begun = true;
	l->first_ns = time_ns;
	l->now_ns = time_ns;
	for (unsigned int i = 0; i < l->nr_cpus; i++)
		l->cpu[i].since_ns = time_ns;
}

int ledger_event(struct ledger *l, const struct trace_event *ev)
{
	int r;

	if (!l->begun)
		ledger_begin(l, ev->time_ns);
	if (ev->time_ns > l->now_ns)
		l->now_ns = ev->time_ns;
	if (ev->cpu >= l->nr_cpus) {
		l->malformed++;
		return 0;
	}
	r = ledger_dispatch(l, ev);
	l->cpu_time[ev->cpu].seen = true;
	l->cpu[ev->cpu].record_ns = l->now_ns;
	return r;
}

static void finish_thread(struct ledger *l, struct thread *t)
{
	if (t->started && !t->ended) {
		t->end_ns = l->now_ns;
		interval_finish(l, t, l->now_ns);
	}
	if (t->started)
		t->lost_near = lost_within(l, t->start_ns, t->end_ns);
}

void ledger_finish(struct ledger *l, uint64_t end_ns)
{
	if (!l->begun)
		ledger_begin(l, end_ns);
	if (end_ns > l->now_ns)
		l->now_ns = end_ns;
	for (size_t i = 0; i < l->table.nr; i++)
		finish_thread(l, l->table.list[i]);
	cpu_finish(l, l->now_ns);
	thread_table_sort(l);
}

size_t ledger_nr_threads(const struct ledger *l)
{
	return l->table.nr;
}

const struct thread *ledger_thread(const struct ledger *l, size_t i)
{
	return l->table.list[i];
}

const struct thread *ledger_find(const struct ledger *l, uint32_t serial)
{
	return thread_peek(l, serial);
}

uint64_t ledger_end_ns(const struct ledger *l)
{
	return l->now_ns;
}

uint64_t ledger_malformed(const struct ledger *l)
{
	return l->malformed;
}

uint64_t ledger_unseen(const struct ledger *l)
{
	uint64_t seen = 0, last = 0;

	for (size_t i = 0; i < l->table.nr && !l->cut_ns; i++) {
		last = l->table.list[i]->serial;
		seen += l->table.list[i]->started;
	}
	return last - seen;
}
