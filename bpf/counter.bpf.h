/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of threads and of their slices, from counters of CPUs (EV_COUNTS). User space opens each counter once for each CPU, so a
 * switch has no perf context to exchange; the switch program reads those of its CPU where it writes EV_SWITCH:
 *
 *   counter_events[i * counter_cpus + cpu] --- now - mark ---> the slice's record, and the thread's sums (`counted`)
 *                                                |
 *                                    counter_marks of this CPU: as read when `task` got it
 *
 * Part of the switch program, not a program of its own beside it, which would look at both threads' storage a second time: with one
 * counter a switch takes 141 ns that way, 188 ns with two programs, 79 ns without counters (perf bench sched pipe, medians of five
 * interleaved rounds); and its records keep their order among the others. Where no counter is asked for, the verifier sees
 * config.counters as 0, removes all of it, and the maps are not made.
 */
#ifndef WHYSCALE_COUNTER_BPF_H
#define WHYSCALE_COUNTER_BPF_H

#include "common.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
} counter_events SEC(".maps");

struct counter_mark {
	u64 task; /* address of the thread whose slice has begun here; 0: none of ours, or not read */
	struct bpf_perf_event_value at[COUNTERS_MAX], now[COUNTERS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counter_mark);
} counter_marks SEC(".maps");

/* The sums over a thread's slices. Written at its switch-outs, with interrupts off. */
struct counted {
	struct bpf_perf_event_value sum[COUNTERS_MAX];
	u64 unknown; /* slices that are not in them */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct counted);
} counted SEC(".maps");

static __always_inline void counters_track(struct task_struct *p)
{
	if (config.counters)
		bpf_task_storage_get(&counted, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline struct counter_mark *mark_here(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&counter_marks, &zero);
}

/* What this CPU's counters say now; false: one of them cannot be read. */
static __always_inline bool read_counters(struct bpf_perf_event_value *now)
{
	u32 key = bpf_get_smp_processor_id();

	for (u32 i = 0; i < COUNTERS_MAX && i < config.counters; i++) {
		if (bpf_perf_event_read_value(&counter_events, key, &now[i], sizeof(now[i])))
			return false;
		key += config.counter_cpus;
	}
	return true;
}

/* Makes `at` what was counted from there to `now`. True: a counter did not count all the time. */
static __always_inline bool make_difference(struct bpf_perf_event_value *at,
					    const struct bpf_perf_event_value *now)
{
	u64 lacking = 0;

	for (u32 i = 0; i < COUNTERS_MAX && i < config.counters; i++) {
		at[i].counter = now[i].counter - at[i].counter;
		at[i].enabled = now[i].enabled - at[i].enabled;
		at[i].running = now[i].running - at[i].running;
		lacking |= at[i].enabled - at[i].running;
	}
	return lacking;
}

/* v: NULL for CT_UNKNOWN. False: the thread has left a CPU since `seq`, so v may have changed under our hands, and nothing is told. */
static __always_inline bool write_counts(struct buf *b, const struct local *l, u32 flags, u32 seq,
					 const struct bpf_perf_event_value *v, u64 unknown, u64 now)
{
	u32 n = config.counters, words = COUNTS_WORDS(n, flags & CT_SHARED);
	struct ev_counts *rec = reserve(b, words, !(flags & CT_TOTAL));

	if (!rec)
		return true;
	*(u64 *)&rec->who = l->serial | (u64)(u16)seq << 32 |
			    (unknown > 0xffff ? 0xffffull : unknown) << 48;
	for (u32 i = 0; i < COUNTERS_MAX && i < config.counters; i++)
		rec->value[i] = v ? v[i].counter : 0;
	if (flags & CT_SHARED && v) {
		for (u32 i = 0; i < COUNTERS_MAX && i < config.counters; i++) {
			rec->value[i + config.counters] = v[i].enabled;
			rec->value[i + 2 * config.counters] = v[i].running;
		}
	}
	if (unlikely(READ_ONCE(l->seq) != seq))
		flags |= CT_UNKNOWN;
	commit(rec, now, words, EV_COUNTS, flags);
	return !(flags & CT_UNKNOWN);
}

static __noinline int end_slice(struct buf *b, struct task_struct *prev, struct local *from,
				struct counter_mark *m, u64 now)
{
	struct counted *c;
	bool shared;

	if (!b || !prev || !from || !m)
		return 0;
	c = bpf_task_storage_get(&counted, prev, NULL, 0);
	if (m->task != (u64)prev) {
		if (c)
			c->unknown++;
		write_counts(b, from, CT_UNKNOWN, from->seq, NULL, 0, now);
		return 0;
	}
	shared = make_difference(m->at, m->now);
	for (u32 i = 0; c && i < COUNTERS_MAX && i < config.counters; i++) {
		c->sum[i].counter += m->at[i].counter;
		c->sum[i].enabled += m->at[i].enabled;
		c->sum[i].running += m->at[i].running;
	}
	if (shared)
		write_counts(b, from, CT_SHARED, from->seq, m->at, 0, now);
	else
		write_counts(b, from, 0, from->seq, m->at, 0, now);
	return 0;
}

/* prev's slice ends, next's begins; from, next: NULL where that one is not ours. */
static __always_inline void counters_at_switch(struct buf *b, struct task_struct *prev,
					       struct local *from, struct task_struct *next,
					       u64 now)
{
	struct counter_mark *m;
	bool known;

	if (!config.counters)
		return;
	m = mark_here();
	if (!m)
		return;
	known = read_counters(m->now);
	if (!known)
		m->task = 0;
	if (from)
		end_slice(b, prev, from, m, now);
	m->task = known ? (u64)next : 0;
	if (next)
		__builtin_memcpy(m->at, m->now, sizeof(m->at));
}

/* The thread's sums so far. For a thread that is off the CPU, or just leaving: all of its slices are in them. */
static __noinline int write_total(struct buf *b, struct task_struct *p, struct local *l, u64 now)
{
	struct counted *c;
	u32 seq;

	if (!b || !p || !l)
		return 0;
	seq = READ_ONCE(l->seq);
	c = bpf_task_storage_get(&counted, p, NULL, 0);
	if (!c)
		return 0;
	/* its next switch-out tells then */
	if (!write_counts(b, l, CT_TOTAL | CT_SHARED, seq, c->sum, c->unknown, now))
		l->books |= BK_END;
	return 0;
}

static __always_inline void counters_total(struct buf *b, struct task_struct *p, struct local *l,
					   u64 now)
{
	if (config.counters)
		write_total(b, p, l, now);
}

/* The current thread begins a program: what it has counted up to here, in former slices and in this one. */
static __noinline int exec_total(struct buf *b, struct task_struct *p, struct local *l)
{
	struct counter_mark *m = mark_here();
	struct counted *c;
	u32 seq;

	if (!b || !p || !l || !m)
		return 0;
	seq = READ_ONCE(l->seq);
	c = bpf_task_storage_get(&counted, p, NULL, 0);
	if (!c || m->task != (u64)p || !read_counters(m->now))
		return 0;
	for (u32 i = 0; i < COUNTERS_MAX && i < config.counters; i++) {
		m->now[i].counter += c->sum[i].counter - m->at[i].counter;
		m->now[i].enabled += c->sum[i].enabled - m->at[i].enabled;
		m->now[i].running += c->sum[i].running - m->at[i].running;
	}
	write_counts(b, l, CT_TOTAL | CT_EXEC | CT_SHARED, seq, m->now, c->unknown, record_time(b));
	return 0;
}

static __always_inline void counters_exec(struct buf *b, struct task_struct *p, struct local *l)
{
	if (config.counters)
		exec_total(b, p, l);
}

#endif
