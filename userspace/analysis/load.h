/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace, loaded: opened, its META understood, all of its events put into the ledger, audited. What every output form starts
 * from.
 *
 *    load_open()  --->  windows, watchers, other passes are added  --->  load_run()  --->  results  --->  load_free()
 *
 * META is untrusted: a key that is missing or has the wrong type reads as 0, NULL or an empty string, never as an error.
 *
 * A trace that was recorded without BPF has no events: its threads come from META's `threads`, with what the kernel's own books
 * say (`from_books`): on-CPU and run queue, and the rest of their lives is untracked. There runq_wakeup holds the
 * whole run-queue time, since the books do not tell how it began.
 */
#ifndef WHYSCALE_ANALYSIS_LOAD_H
#define WHYSCALE_ANALYSIS_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/audit.h"
#include "analysis/counts.h"
#include "analysis/ledger.h"
#include "analysis/locks.h"
#include "analysis/passes.h"
#include "base/err.h"
#include "trace/reader.h"

/* What the recording itself cost. */
struct load_cost {
	bool known;
	bool bpf_known;     /* bpf_ns is there */
	bool bpf_estimated; /* from a sample of the runs */
	uint64_t bpf_ns, bpf_runs, bpf_sampled_runs;
	uint64_t recorder_cpu_ns, recorder_events, recursion_misses;
};

/* `record --keep`: the trace is the last part of a recording. Times since the epoch. */
struct load_kept {
	bool known;
	bool cut;             /* what was before from_ns was let go of */
	uint64_t began_ns;    /* the recording */
	uint64_t from_ns;     /* the trace; all threads are known from then on */
	uint64_t asked_ns;    /* how much was to be kept */
	uint64_t limit_bytes; /* at most so much */
	bool is_short;        /* that was too little, now and then */
	uint32_t serials;     /* of threads: so many were given out before */
};

/* META, decoded. Strings belong to the trace's META, except `command`. */
struct load_meta {
	char *command; /* the words of the command line, quoted as a shell needs it; "" when there was none */
	const char *version, *kernel, *arch, *hostname, *started; /* "" when unknown */
	unsigned int nr_cpus;                                     /* CPU numbers are below it */
	unsigned int nr_online;                                   /* CPUs that worked */
	uint64_t epoch_ns;    /* CLOCK_MONOTONIC at time 0 of the trace */
	uint64_t realtime_ns; /* CLOCK_REALTIME then */
	bool has_end;         /* the closing META is there */
	uint64_t ended_ns;    /* end of the recording, since the epoch */
	uint64_t dropped_full, dropped_storage, dropped_no_buffer;
	bool bpf;            /* scheduler events were recorded */
	const char *why_not; /* or why not */
	bool irqs;           /* so were interrupts, while threads waited for their CPU */
	bool has_exit;
	int64_t exit_status; /* of the command */
	struct load_cost cost;
	struct load_kept kept;
};

struct loaded {
	const char *path;
	struct load_meta meta;
	const json_t *raw_meta; /* the whole META, owned by the reader */
	struct trace_reader *reader;
	struct ledger *ledger;
	struct passes *passes; /* NULL: none was asked for */
	struct locks *
		locks; /* set by load_run(), NULL where there are no events; an account of each lock only with PASS_LOCKS */
	struct counts *counts; /* counters of the threads; NULL: the trace has none */
	bool account_locks;
	bool kernel_addresses; /* set before load_run(): locks_show_kernel_addresses() */
	trace_event_fn before; /* see load_before() */
	void *before_arg;

	/* after load_run() */
	struct trace_state state; /* of the file */
	uint64_t events;
	bool from_books;               /* see above */
	size_t nr_threads;             /* that have lived in the recording */
	const struct thread **threads; /* in order of serial, ended by NULL */
	struct thread *book_threads;   /* their storage when from_books */
	uint64_t begin_ns,
		end_ns; /* first and last moment of any thread, since the epoch; wall time is the difference */
	uint64_t ledger_ns[CLASS_NR]; /* sum over the threads */
	struct audit_total audit;
	uint64_t lost_events; /* records dropped by us */
	uint64_t missed_switches, missed_wakeups,
		missed_migrations; /* never reached a probe; inferred */
};

/* Opens `path` (must outlive the result) and decodes META. Errors as trace_open(). */
int load_open(const char *path, struct loaded **ret_loaded, struct err *err);

/* Asks for passes (enum pass_kind, or-ed; 0: none), between load_open() and load_run(). Where there are no events they find nothing. */
int load_passes(struct loaded *l, unsigned int which, struct err *err);

/* `fn` is called with each event before anything else has taken it; l->locks is there. As load_run()'s `also`, otherwise. */
void load_before(struct loaded *l, trace_event_fn fn, void *arg);

/*
 * Reads every event. `also`, when not NULL, is called with each event after the ledger has taken it (a result other than 0 ends the
 * reading and is returned). Damage in the file is no error: see state.
 */
int load_run(struct loaded *l, trace_event_fn also, void *arg, struct err *err);

/* Both, for who has nothing to add. */
int load_trace(const char *path, struct loaded **ret_loaded, struct err *err);

void load_free(struct loaded *l);
void load_free_p(struct loaded **l);

/*
 * Once all was read: 0, or -EINVAL and a sentence when a file that had been whole is cut or corrupt. What lay before the damage was
 * read. A recording that was never closed (INCOMPLETE) is no error.
 */
int load_check(const char *path, const json_t *meta, const struct trace_state *state,
	       struct err *err);

/* The path of a cgroup by its id, or NULL. */
const char *load_cgroup(const struct loaded *l, uint64_t id);

/* Used by load.c: decodes META; the threads of a trace without events. 0 or -ENOMEM. */
int load_meta_decode(const json_t *meta, struct load_meta *ret);
int load_book_threads(struct loaded *l);

#endif
