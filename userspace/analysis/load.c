// SPDX-License-Identifier: GPL-2.0-only
/* A trace, loaded: see load.h. */
#include "analysis/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct pass {
	struct loaded *loaded;
	trace_event_fn also;
	void *arg;
	bool cut; /* the events up to meta.kept.from_ns are not over yet */
};

static int out_of_memory(const struct loaded *l, struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory while reading %.200s", l->path);
}

int load_open(const char *path, struct loaded **ret_loaded, struct err *err)
{
	struct loaded *l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		err_set(err, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	l->path = path;
	r = trace_open(path, &l->reader, err);
	if (r)
		goto fail;
	l->raw_meta = trace_meta(l->reader);
	r = load_meta_decode(l->raw_meta, &l->meta);
	if (r) {
		out_of_memory(l, err);
		goto fail;
	}
	r = ledger_new(syscall_arch_by_name(l->meta.arch), l->meta.nr_cpus, &l->ledger, err);
	if (r)
		goto fail;
	ledger_epoch(l->ledger, l->meta.epoch_ns);
	if (l->meta.kept.cut)
		ledger_cut(l->ledger, l->meta.kept.from_ns, l->meta.kept.serials);
	r = counts_new(l->ledger, l->raw_meta, &l->counts);
	if (r) {
		out_of_memory(l, err);
		goto fail;
	}
	*ret_loaded = l;
	return 0;
fail:
	load_free(l);
	return r;
}

int load_passes(struct loaded *l, unsigned int which, struct err *err)
{
	l->account_locks = which & PASS_LOCKS;
	if (l->account_locks)
		which |= PASS_HISTORY;
	return which ? passes_new(l->ledger, l->meta.nr_cpus, which, &l->passes, err) : 0;
}

void load_before(struct loaded *l, trace_event_fn fn, void *arg)
{
	l->before = fn;
	l->before_arg = arg;
}

static int take_mapping(void *arg, const struct mapping *m)
{
	return locks_mapping(arg, m);
}

/* The classes of waits need to know which lock it is, whatever was asked for. */
static int open_locks(struct loaded *l, struct err *err)
{
	int r = locks_new(l->ledger, syscall_arch_by_name(l->meta.arch), l->raw_meta,
			  l->account_locks ? l->passes->history : NULL, &l->locks);

	if (!r && l->kernel_addresses)
		locks_show_kernel_addresses(l->locks);
	return r ? r : trace_each_mapping(l->reader, take_mapping, l->locks, err);
}

/* All threads of a trace that begins in the middle have been told of. */
static void begin_cut(struct loaded *l)
{
	locks_moment(l->locks, l->meta.kept.from_ns);
	ledger_name_waits(l->ledger);
}

static int take_event(void *arg, const struct trace_event *ev)
{
	struct pass *pass = arg;
	struct loaded *l = pass->loaded;
	int r;

	if (pass->cut && ev->time_ns >= l->meta.kept.from_ns) {
		pass->cut = false;
		begin_cut(l);
	}
	r = l->before ? l->before(l->before_arg, ev) : 0;

	if (!r)
		r = locks_before(l->locks, ev);
	if (!r && l->passes)
		r = passes_event(l->passes, ev);
	if (!r && l->counts)
		r = counts_event(l->counts, ev);
	if (!r)
		r = ledger_event(l->ledger, ev);
	if (!r)
		r = locks_after(l->locks, ev);
	l->events++;
	return r || !pass->also ? r : pass->also(pass->arg, ev);
}

/* The threads of the ledger that have lived. */
static int collect_threads(struct loaded *l)
{
	size_t nr = ledger_nr_threads(l->ledger);

	l->threads = calloc(nr + 1, sizeof(const struct thread *));
	if (!l->threads)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const struct thread *t = ledger_thread(l->ledger, i);

		if (t && t->started)
			l->threads[l->nr_threads++] = t;
	}
	return 0;
}

static void sum_up(struct loaded *l)
{
	l->begin_ns = l->nr_threads ? UINT64_MAX : 0;
	for (const struct thread *const *at = l->threads; *at; at++) {
		const struct thread *t = *at;

		if (t->start_ns < l->begin_ns)
			l->begin_ns = t->start_ns;
		if (t->end_ns > l->end_ns)
			l->end_ns = t->end_ns;
		for (int c = 0; c < CLASS_NR; c++)
			l->ledger_ns[c] += t->ledger_ns[c];
		l->missed_switches += t->audit.missed_switch_ins + t->audit.missed_switch_outs;
		l->missed_migrations += t->audit.missed_migrations;
		l->missed_wakeups += t->audit.missed_wakeups;
	}
	if (!l->nr_threads)
		l->end_ns = l->meta.ended_ns;
	if (l->end_ns < l->begin_ns)
		l->end_ns = l->begin_ns;
}

/* The file's end tells the whole; without it there is what the events say. */
static void count_lost(struct loaded *l)
{
	uint64_t spans = 0, closing;
	size_t nr;
	const struct lost_span *lost = ledger_lost(l->ledger, &nr);

	for (size_t i = 0; i < nr; i++)
		for (int d = 0; d < DROP_NR; d++)
			spans += lost[i].count[d];
	closing = l->meta.dropped_full + l->meta.dropped_storage + l->meta.dropped_no_buffer;
	l->lost_events = closing > spans ? closing : spans;
}

int load_run(struct loaded *l, trace_event_fn also, void *arg, struct err *err)
{
	struct pass pass = { .loaded = l, .also = also, .arg = arg, .cut = l->meta.kept.cut };
	int r = open_locks(l, err);

	if (!r)
		r = trace_each(l->reader, take_event, &pass, err);
	if (r == -ENOMEM && !err->code)
		return out_of_memory(l, err);
	if (r)
		return r;
	if (pass.cut)
		begin_cut(l);
	l->state = *trace_state(l->reader);
	if (l->passes && passes_end(l->passes, l->meta.ended_ns))
		return out_of_memory(l, err);
	if (l->counts && counts_end(l->counts, l->meta.ended_ns))
		return out_of_memory(l, err);
	ledger_finish(l->ledger, l->meta.ended_ns);
	if (l->counts)
		counts_finish(l->counts);
	if (l->passes && passes_finish(l->passes))
		return out_of_memory(l, err);
	if (locks_finish(l->locks))
		return out_of_memory(l, err);
	r = l->events || l->meta.bpf ? collect_threads(l) : load_book_threads(l);
	if (r)
		return out_of_memory(l, err);
	sum_up(l);
	if (!l->from_books)
		audit_all(l->ledger, &l->audit);
	count_lost(l);
	return 0;
}

int load_trace(const char *path, struct loaded **ret_loaded, struct err *err)
{
	struct loaded *l = NULL;
	int r = load_open(path, &l, err);

	if (r)
		return r;
	r = load_run(l, NULL, NULL, err);
	if (r)
		load_free(l);
	else
		*ret_loaded = l;
	return r;
}

void load_free(struct loaded *l)
{
	if (!l)
		return;
	free(l->threads);
	free(l->book_threads);
	free(l->meta.command);
	passes_free(l->passes);
	locks_free(l->locks);
	counts_free(l->counts);
	ledger_free(l->ledger);
	trace_close(l->reader);
	free(l);
}

void load_free_p(struct loaded **l)
{
	load_free(*l);
}

int load_check(const char *path, const json_t *meta, const struct trace_state *state,
	       struct err *err)
{
	if (state->incomplete)
		return 0;
	if (state->damaged)
		return err_set(
			err, -EINVAL,
			"'%.200s' is damaged at byte %" PRIu64
			": only what lies before it was read; copy the file again, or record again",
			path, state->damaged_at);
	if (!json_is_integer(json_object_get(meta, "ended_ns")))
		return err_set(
			err, -EINVAL,
			"'%.200s' was cut off: only what is left was read; copy the file again, "
			"or record again",
			path);
	return 0;
}

const char *load_cgroup(const struct loaded *l, uint64_t id)
{
	char key[24];

	snprintf(key, sizeof(key), "%" PRIu64, id);
	return json_string_value(json_object_get(json_object_get(l->raw_meta, "cgroups"), key));
}
