/* SPDX-License-Identifier: GPL-2.0-only */
/* One recording under way: what the files of the controller share, and nobody else sees. record.c sets it up and ends it. */
#ifndef WHYSCALE_RECORD_RECORDING_H
#define WHYSCALE_RECORD_RECORDING_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "probes/probe.h"
#include "record/output.h"
#include "record/proc_watch.h"
#include "record/record.h"
#include "record/target.h"
#include "trace/writer.h"

#define MAX_PROBES 16

/* The timer: short while buffers fill fast, long while nothing happens (a wake-up costs the target some 20 us). */
#define TICK_MIN_NS (4 * NSEC_PER_MSEC)
#define TICK_SOON_NS (1 * NSEC_PER_MSEC) /* a probe asks for it */
#define TICK_MAX_NS (100 * NSEC_PER_MSEC)
#define TICK_PYTHON_NS (20 * NSEC_PER_MSEC) /* a Python that begins is to be known soon */
#define TICK_WATCH_NS (10 * NSEC_PER_MSEC)

struct recording {
	const struct record_options *opts;
	struct record_result *result;
	struct probe_env env;
	void *state[MAX_PROBES];
	bool opened[MAX_PROBES];
	bool *online;
	struct target target;
	struct trace_writer *writer;
	struct proc_watch *watch; /* without BPF */
	sigset_t old_mask;
	int signal_fd;
	struct output output;
	int old_nice;
	struct rlimit old_files;
	uint64_t cpu_begin_ns;  /* our own CPU time */
	uint64_t parent_cpu_ns; /* in the child that writes a snapshot: what its parent had used */
	uint64_t begin_ns, end_ns; /* the target ran from, to */
	uint64_t safe_ns, last_round_ns, tick_ns;
	uint64_t until_ns;   /* the duration asked for ends then; 0: none was */
	uint64_t stop_by_ns; /* a signal came: stop at this time at the latest */

	json_t *first_meta;      /* the trace's first META */
	struct trace_keep *keep; /* record --keep: the writer's */
	bool snapshot_asked;
	pid_t snapshot_pid; /* the child that writes one; 0: none does */
	char *snapshot_path;
	int snapshot_fd; /* what it has to say */
};

/* ---- probe_set.c ---- */

/* Opens what works here. Without the scheduler probe /proc is watched instead. */
int probe_set_open(struct recording *rec, struct err *err);
int probe_set_start(struct recording *rec, struct err *err);
void probe_set_tick(struct recording *rec);
int probe_set_key(struct recording *rec, struct err *err);
/* The kernel's books of every thread, while the recording goes on. */
int probe_set_books(struct recording *rec, struct err *err);
int probe_set_stop(struct recording *rec, struct err *err);
void probe_set_meta(struct recording *rec, json_t *into);
void probe_set_close(struct recording *rec);

/* ---- record.c ---- */

/* The trace's last META, as of end_ns. NULL: out of memory. */
json_t *recording_meta_end(struct recording *rec);

/* ---- follow.c ---- */

/* Drains and writes until the recording is over; sets end_ns. */
int follow(struct recording *rec, struct err *err);

/* Waits for the command after the recording. Signals that come now go to it, as before; two end it. */
void follow_command(struct recording *rec);

#endif
