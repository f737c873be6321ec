/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the ledger's files share; nobody else includes it.
 *
 *   ledger.c        the object: made, asked, finished        ledger_event.c  a record to its handler
 *   thread_state.c  the machine: switches                    thread_wake.c   the machine: wake-ups
 *   thread_close.c  what the interval before a switch was
 *   interval.c      an interval into its class, and losses   thread_table.c  serial to thread, names, windows
 *   cpu.c           idle, tracked and other time of a CPU    latency.c       run-queue latency
 */
#ifndef WHYSCALE_ANALYSIS_LEDGER_IMPL_H
#define WHYSCALE_ANALYSIS_LEDGER_IMPL_H

#include "analysis/ledger.h"

/*
 * Serials are given out one after the other, so two levels hold them densely; pages are made as they are met. A serial
 * far beyond the threads met so far cannot be (see thread_find), so a hostile trace cannot make the table large.
 */
#define SERIAL_PAGE_BITS 7 /* a cut trace has old threads whose serials lie far apart */
#define SERIAL_PAGE (1u << SERIAL_PAGE_BITS)
#define SERIAL_MAX (1u << 26)
#define SERIAL_SLACK (1u << 16)

#define WINDOW_BUCKETS 4096

struct thread_table {
	struct thread **page[SERIAL_MAX / SERIAL_PAGE];
	size_t nr_pages;      /* up to the last one that was made */
	struct thread **list; /* all, as they came; sorted by serial at the end */
	size_t nr, cap;
	struct ledger_window *window[WINDOW_BUCKETS]; /* by tid, chained */
};

/* What a CPU does now, and when it last wrote a record. */
struct cpu_state {
	uint32_t who; /* since since_ns, if who_known */
	bool who_known;
	uint64_t since_ns;
	uint64_t record_ns;
	uint64_t losses;
	uint64_t lost_ns; /* when it dropped a record last, by its last EV_LOST */
};

struct watcher {
	ledger_watch_fn fn;
	void *arg;
};

struct state_watcher {
	ledger_state_fn fn;
	void *arg;
};

struct wait_watcher {
	ledger_wait_fn fn;
	void *arg;
};

struct ledger {
	enum syscall_arch arch;
	unsigned int yield_nr; /* of sched_yield */
	bool begun;
	bool holes; /* EV_MISSED was met: some events never reach a probe here */
	uint64_t first_ns, now_ns;
	uint64_t malformed;
	uint64_t epoch_ns; /* ledger_epoch(); 0: not known */
	uint64_t cut_ns;   /* ledger_cut(); 0: it was not */
	uint32_t cut_serials;

	struct thread_table table;
	unsigned int nr_cpus;
	struct cpu_time *cpu_time;
	struct cpu_state *cpu;

	struct lost_span lost[LEDGER_MAX_LOST];
	size_t nr_lost;
	uint64_t lost_records;

	struct latency latency[2]; /* [1]: after a wake-up */
	struct watcher watch[LEDGER_MAX_WATCH];
	unsigned int nr_watch;
	struct state_watcher on_state[LEDGER_MAX_WATCH];
	unsigned int nr_on_state;
	struct wait_watcher on_wait;
};

/* A record of a thread that stands before the thread's EV_SNAP in a cut trace. */
static inline bool before_cut(const struct ledger *l, const struct thread *t)
{
	return t->unannounced && l->now_ns < l->cut_ns;
}

/* Changes with every switch and every loss on a CPU. */
static inline uint64_t cpu_mark(const struct ledger *l, unsigned int cpu)
{
	return l->cpu_time[cpu].switches + l->cpu[cpu].losses;
}

/*
 * thread_table.c. thread_find() returns the thread of a serial, making it (ST_UNKNOWN, unannounced) where it is new; NULL and no
 * error for a serial that cannot be.
 */
int thread_find(struct ledger *l, uint32_t serial, struct thread **ret_thread);
struct thread *thread_peek(const struct ledger *l, uint32_t serial);
int thread_set_name(struct thread *t, uint64_t time_ns, const char comm[EV_COMM_LEN]);
void thread_set_tid(struct ledger *l, struct thread *t, uint32_t tid, uint32_t tgid);
void thread_table_sort(struct ledger *l);
void thread_table_free(struct ledger *l);

/* interval.c. Each closes the thread's open interval at to_ns, where the next one begins. */
void interval_close(struct ledger *l, struct thread *t, uint64_t to_ns, enum ledger_class class);
/* Nothing that we dropped can explain it: all of it is untracked. */
void interval_untracked(struct ledger *l, struct thread *t, uint64_t to_ns);
/* Records of this thread are missing in it: untracked from the first moment at which one can have been dropped. */
void interval_lost(struct ledger *l, struct thread *t, uint64_t to_ns);
/* Closes it where no further event comes: at the end of the recording. */
void interval_finish(struct ledger *l, struct thread *t, uint64_t end_ns);
void lost_add(struct ledger *l, unsigned int cpu, const struct ev_lost *rec);
bool lost_within(const struct ledger *l, uint64_t from_ns, uint64_t to_ns);

/* thread_state.c */
void thread_begin(struct thread *t, uint64_t time_ns);
void thread_set_state(struct ledger *l, struct thread *t, uint64_t time_ns, enum thread_state state,
		      enum ledger_class class);
/* Into ST_RUNQ from time_ns on. */
void thread_enqueue(struct ledger *l, struct thread *t, uint64_t time_ns, enum ledger_class class);
void thread_die(struct ledger *l, struct thread *t, uint64_t time_ns);
void thread_switch_out(struct ledger *l, struct thread *t, const struct ev_switch *sw,
		       unsigned int cpu);
void thread_switch_in(struct ledger *l, struct thread *t, const struct ev_switch *sw,
		      unsigned int cpu);
/* How many switch-outs the thread has had beyond those that we know; 0 when its seq is not known yet. */
static inline uint16_t thread_ahead(const struct thread *t, uint16_t seq)
{
	return t->seq_known ? (uint16_t)(seq - t->seq) : 0;
}
/* Takes over the seq of a record; `lost` switch-outs lay between. */
void thread_set_seq(struct thread *t, uint16_t seq, uint16_t lost);

/* thread_close.c. Closes the open interval of a thread that leaves, or gets, this CPU now, `ahead` as in thread_state.c. */
void thread_close_out(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead);
void thread_close_in(struct ledger *l, struct thread *t, unsigned int cpu, uint16_t ahead);

/* thread_wake.c */
void thread_wake(struct ledger *l, struct thread *t, const struct ev_wake *rec);
void thread_wakeup(struct ledger *l, struct thread *t, const struct ev_wake *rec);

/* ledger_event.c */
int ledger_dispatch(struct ledger *l, const struct trace_event *ev);

/* cpu.c */
void cpu_switch(struct ledger *l, unsigned int cpu, const struct ev_switch *sw);
void cpu_lost(struct ledger *l, unsigned int cpu, uint64_t first_ns);
void cpu_finish(struct ledger *l, uint64_t end_ns);

/* latency.c */
void latency_add(struct latency *lat, uint64_t ns);

#endif
