/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger: puts every nanosecond of every tracked thread into exactly one class.
 *
 * Each thread has a state and the time since when it holds; an event closes the interval since..time into the state's
 * class and opens the next one. So the classes sum to (last event - first event) exactly, by construction.
 *
 *            wakeup_new          switch in              switch out, not runnable
 *    NEW ----------------> RUNQ -----------> ONCPU ------------------------------> BLOCKED(class)
 *                           ^  ^               |                                     |
 *                           |  +---------------+ switch out, runnable                |
 *                           +--------------------------------------------------------+ wake-up
 *
 * An event that cannot follow from the state means that events are missing between: the time that they could have
 * changed becomes `untracked` - from the beginning of the lost span, or all of it - unless the sequence numbers or an EV_MISSED
 * record prove what happened.
 */
#ifndef WHYSCALE_ANALYSIS_LEDGER_H
#define WHYSCALE_ANALYSIS_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/class.h"
#include "base/err.h"
#include "trace/reader.h"

enum thread_state { ST_UNKNOWN, ST_NEW, ST_ONCPU, ST_RUNQ, ST_BLOCKED, ST_DEAD };

struct thread_name {
	uint64_t time_ns; /* from when on */
	char comm[EV_COMM_LEN];
};

/* Our count of what the kernel counts too, since the moment that `base` was read; see audit.h. */
struct thread_counts {
	uint64_t voluntary,
		involuntary; /* switches; involuntary includes sched_yield, as in nivcsw */
	/* of the involuntary ones, those in sched_yield; a call may have two: schedule() looks again before it returns */
	uint64_t yields;
	uint64_t migrations;
	uint64_t switch_ins;
	uint64_t missed_switch_ins; /* from EV_MISSED */
	uint64_t missed_switch_outs; /* it got a CPU that it had not left: at least one no probe saw */
	uint64_t missed_wakeups;
	uint64_t missed_migrations; /* it was seen on a CPU to which nothing had moved it */
	uint64_t lost_switches;     /* switch-outs that we dropped, from the gaps in its seq */
	uint64_t oncpu_ns;
	uint64_t runq_ns; /* from sched_wakeup, as run_delay counts; throttled included */
	uint64_t moved_ns,
		left_ns; /* parts of runq_ns and oncpu_ns that no book of the kernel has: EV_UNBOOKED */
	uint64_t before_ns; /* part of the books' run_delay since the first ones that was before these: UB_BEFORE */
	uint64_t asleep_ns; /* part of runq_ns, though the thread slept: see queued_asleep_ns */
};

/*
 * A window asks for the ledger of one thread within [begin_ns, end_ns): what a worker did between the two moments that it reported.
 * Its thread is the first one with this tid that lives within it (tids are reused). Result: ledger_ns sums to the
 * overlap of the window and the thread's life, from the moment that the thread had the tid.
 */
struct ledger_window {
	uint32_t tid;
	uint64_t begin_ns, end_ns;    /* since the epoch */
	uint64_t ledger_ns[CLASS_NR]; /* filled in */
	const struct thread *owner;   /* filled in: whose it is; NULL: no such thread was met */
	struct ledger_window *next,
		*chain; /* used by the ledger: the owner's next; the next in the tid's bucket */
};

struct thread {
	uint32_t serial;
	uint32_t tid, tgid;
	uint32_t parent; /* serial of the maker, 0: unknown */
	bool kthread;
	bool started; /* its life has begun: start_ns is set */
	bool ended;   /* TASK_DEAD was seen */
	bool exec;    /* ran another program since its start */
	bool exited;  /* EV_EXIT was seen: exit_code holds, as wait(2) gives it */
	bool unannounced; /* its EV_FORK or EV_SNAP was lost: tid and tgid are unknown, and what it did first */
	bool lost_near; /* records were dropped on some CPU during its life (set by ledger_finish) */
	uint32_t exit_code;
	uint64_t clone_flags;
	uint64_t start_ns,
		end_ns;  /* since the epoch; end: last event, or the end of the recording */
	uint64_t met_ns; /* its first record, where its life began before that: untracked up to then, of which no watcher is told; or 0 */
	char comm[EV_COMM_LEN];   /* the last name */
	char file[EV_FILE_LEN];   /* of the program that it began last, empty: of none */
	struct thread_name *name; /* every name with its time, in order */
	size_t nr_names;

	uint64_t ledger_ns[CLASS_NR];
	uint64_t kept; /* voluntary ones after which it stayed runnable: a signal or wake-up was first */
	uint64_t voluntary, involuntary, yields, migrations; /* all that was seen, for the report */
	struct thread_counts audit;                          /* since books.first, to the end */
	struct thread_counts audited; /* as of the moment at which `last` was read */
	struct ev_books first,
		last; /* BK_FIRST (zeros for a thread that we saw being made) and BK_DEAD or BK_END */
	bool has_first, has_last;
	uint64_t untracked_losses; /* intervals that a lost or missed event turned into untracked */

	uint8_t policy;
	int8_t nice;
	uint8_t rt_priority;
	bool has_task;
	uint32_t nr_allowed;
	uint64_t allowed[EV_CPUS_WORDS];
	uint64_t cgroup;

	uint64_t yielded_ns;           /* of runq_preempted, what followed a sched_yield */
	uint64_t waits[CLASS_NR];      /* number of intervals in the class */
	uint64_t longest_ns[CLASS_NR]; /* the longest one */

	/* the machine */
	enum thread_state state;
	enum ledger_class class; /* of the open interval */
	uint64_t since_ns;
	uint64_t enqueued_ns; /* ST_RUNQ: since when it is on a run queue, by its record */
	uint64_t booked_ns;   /* since when run_delay counts; 0: the same */
	/*
	 * Since 6.12 a sleeping thread may stay on its queue (delayed dequeue) and be moved with it to another CPU: from there on
	 * the kernel's run_delay counts its sleep. 0: that did not happen in this wait.
	 */
	uint64_t queued_asleep_ns;
	/* Preempted while its state was not TASK_RUNNING: run_delay leaves this wait out, until it is moved (then the above). */
	bool uncounted;
	uint64_t wake_ns; /* woken_early: when */
	uint64_t runq_pending_ns; /* for audit.runq_ns at the next switch-out: BK_END is as of the last one */
	uint64_t moved_pending_ns, left_pending_ns; /* likewise for audit.moved_ns, left_ns */
	uint64_t first_ns;                          /* when `first` was read */
	uint64_t audit_from_ns;                     /* when audit began to count */
	uint16_t cpu;                               /* where it ran last or was put */
	uint16_t seq;      /* switch-outs so far, by the last record that tells */
	uint16_t wake_seq; /* woken_early: the seq in that EV_WAKE */
	bool seq_known, cpu_known;
	bool yielding;        /* ST_RUNQ after a sched_yield */
	bool awaiting_wakeup; /* ST_RUNQ by EV_WAKE: an EV_WAKEUP may say when it was enqueued */
	bool woken_early;     /* an EV_WAKE came that may belong to a switch-out still to come */
	struct missed {       /* the EV_MISSED in front of its next switch */
		uint64_t time_ns, arrival_ns, queue_ns;
		uint64_t mark; /* what had happened on its CPU by then */
		uint32_t arrivals;
		uint16_t cpu;
		uint16_t flags; /* MI_*; 0: none */
	} missed;
	struct ledger_window *windows;
	uint64_t announced[EV_WORDS_OF(
		struct ev_futex)]; /* an EV_FUTEX or EV_KLOCK whose switch-out is still to come; word 0 is 0: none */
	const void *
		waits_on; /* ledger_on_wait's: what it has waited for since its last switch-out, or NULL */
};

/* One span in which a CPU dropped records. Beyond LEDGER_MAX_LOST spans the last one is widened, so that memory is bounded. */
#define LEDGER_MAX_LOST 4096
struct lost_span {
	uint16_t cpu;
	uint64_t first_ns, last_ns;
	uint64_t written_ns; /* when the CPU could write again and said so */
	uint64_t count[DROP_NR];
};

/* One CPU over the whole recording: the four sum to the time from the first event of the trace to its end. */
struct cpu_time {
	bool seen; /* it wrote at least one record */
	uint64_t idle_ns, tracked_ns, other_ns,
		unknown_ns; /* unknown: before its first switch, around lost events, or while nothing
							      that is recorded happened there */
	uint64_t switches;
};

/*
 * Called for each interval, when its end is known and it was put into its class; a thread's intervals come in order and without
 * gaps, those of different threads do not come in order. For passes that need what really was (timelines, locks).
 */
typedef void (*ledger_watch_fn)(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
				enum ledger_class class);

/*
 * Called before each change of a thread's state, in the order of the events of all threads: t->state and t->class are still the old
 * ones. It tells what was known at that moment: an interval that later turns out to be `untracked`, or was recovered from
 * EV_MISSED, is not corrected. For passes that look across threads with little memory (concurrency).
 */
typedef void (*ledger_state_fn)(void *arg, const struct thread *t, uint64_t time_ns,
				enum thread_state state, enum ledger_class class);

/*
 * Called when a thread blocks and an EV_FUTEX or EV_KLOCK has said for what: rec. `class` is what the system call says. Returns the
 * class that it is, and may set t->waits_on.
 */
typedef enum ledger_class (*ledger_wait_fn)(void *arg, struct thread *t, const uint64_t *rec,
					    enum ledger_class class);

struct ledger;

/* arch: of the machine that recorded. nr_cpus: CPU numbers are below it. */
int ledger_new(enum syscall_arch arch, unsigned int nr_cpus, struct ledger **ret_ledger,
	       struct err *err);
void ledger_free(struct ledger *l);

/*
 * The trace is the last part of a recording (`record --keep`): every thread that lives then has an EV_SNAP, its first record here, by
 * from_ns; records of it that stand before that are left out. Serials up to `serials` were given out before. To be called
 * before the first event.
 */
void ledger_cut(struct ledger *l, uint64_t from_ns, uint32_t serials);

/*
 * CLOCK_MONOTONIC at time 0 of the trace: of a thread whose beginning was lost the books tell when it was made. Then its life begins there,
 * untracked up to its first record; without the epoch, with that record. To be called before the first event.
 */
void ledger_epoch(struct ledger *l, uint64_t epoch_ns);

/*
 * To be called between the events before from_ns and the others: all threads are known now, and so what those wait for that do, for
 * which the locks' owners and their processes are needed.
 */
void ledger_name_waits(struct ledger *l);

/* Before the first event: asks for a window (owned by the caller, must outlive the ledger). */
void ledger_add_window(struct ledger *l, struct ledger_window *w);

/* Before the first event: other passes, called in the order in which they were added, at most LEDGER_MAX_WATCH of each kind. */
#define LEDGER_MAX_WATCH 8
void ledger_watch(struct ledger *l, ledger_watch_fn fn, void *arg);
void ledger_on_state(struct ledger *l, ledger_state_fn fn, void *arg);
void ledger_on_wait(struct ledger *l, ledger_wait_fn fn, void *arg); /* one at most */

/*
 * Feeds one event; a time before the last one's counts as the last one's. 0 or -ENOMEM. Malformed records are ignored and counted.
 */
int ledger_event(struct ledger *l, const struct trace_event *ev);

/* Closes every open interval at end_ns (or at the last event, if that is later). Once, before results are asked for. */
void ledger_finish(struct ledger *l, uint64_t end_ns);

/* Results, owned by the ledger. Threads in order of serial. */
/* Threads of which every record was lost: serials below one that was met are given out to others, too. A cut trace has no such number: 0. */
uint64_t ledger_unseen(const struct ledger *l);
uint64_t ledger_malformed(
	const struct ledger *l); /* records ignored: no such CPU, a serial or kind that cannot be */
size_t ledger_nr_threads(const struct ledger *l);
const struct thread *ledger_thread(const struct ledger *l, size_t i);
/* The thread of a serial, NULL: not met. Also while the events come; it stays where it is. */
const struct thread *ledger_find(const struct ledger *l, uint32_t serial);
const struct lost_span *ledger_lost(const struct ledger *l, size_t *ret_nr);
const struct cpu_time *ledger_cpus(const struct ledger *l, unsigned int *ret_nr);
uint64_t ledger_end_ns(const struct ledger *l);

/* Run-queue latency, all tracked threads: bucket i counts waits of [2^i, 2^(i+1)) ns; bucket 0 also 0. */
#define LATENCY_BUCKETS 40
struct latency {
	uint64_t count, total_ns, max_ns;
	uint64_t bucket[LATENCY_BUCKETS];
	uint64_t fine[LATENCY_BUCKETS *
		      16]; /* each bucket in 16 equal parts: percentiles within 1/16 of the value */
};
const struct latency *ledger_latency(const struct ledger *l, bool after_wakeup);
/* The value that the share p (0..1) of the waits does not exceed, ns; the upper edge of its part. */
uint64_t latency_percentile(const struct latency *lat, double p);

#endif
