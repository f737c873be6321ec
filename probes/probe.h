/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe is one source of events or counts: one file with one const struct probe, and one line in probes.def.
 *
 *   check   can it work here, and if not, why; 0 with a sentence: partly
 *   open    load and attach; events may flow into the buffers from here on
 *   start   the recording begins: the target exists and is stopped, or runs already
 *   tick    now and then while it goes on, with the recorder's timer; true: again soon
 *   key     all that was written up to now may be let go of (record --keep): tells what a trace needs to begin here
 *   books   a trace of what was written up to now will be made: tells what the kernel counted up to now
 *   stop    the recording ends: last reads while everything is still attached
 *   meta    what it counted, for the trace's last META chunk
 *   close   detach and free; also right after a failed open
 */
#ifndef WHYSCALE_PROBES_PROBE_H
#define WHYSCALE_PROBES_PROBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mapping.h"
#include "bpf/events.h"

enum probe_mode { PROBE_COMMAND, PROBE_PIDS, PROBE_TIDS, PROBE_ALL };

struct bpf_cost;

#define MAX_WRITTEN_KEYS 4

/* Maps that programs with bpf/python.bpf.h share: python.h. */
enum { PYTHON_PROCESSES, PYTHON_LAYOUTS, PYTHON_SEEN, PYTHON_CODES, PYTHON_MAPS };

/* What the probes of one recording share. The recorder fills the first part; the scheduler probe the second. */
struct probe_env {
	enum probe_mode mode;
	const pid_t *ids; /* PROBE_PIDS, PROBE_TIDS */
	size_t nr_ids;
	pid_t command;            /* the stopped child, beside any mode; 0: none */
	unsigned int nr_cpus;     /* possible CPUs */
	const bool *online;       /* [nr_cpus] */
	uint64_t epoch_ns;        /* CLOCK_MONOTONIC: time 0 of the trace */
	size_t buffer_bytes;      /* data of a CPU's buffer, a power of two */
	unsigned int max_threads; /* followed at one time, a power of two; 0: as many as are likely */
	unsigned int stacks;      /* STACKS_*; 0: none, and the next three mean nothing */
	unsigned int stack_bytes; /* of a user stack, copied at most */
	unsigned int stack_rate;  /* bytes a second of new user stacks, for each CPU */
	unsigned int sample_hz;   /* samples a second on each CPU */
	/* Takes a mapping for the trace; they come in order of time. 0 or a negative errno. NULL: nobody does. */
	int (*mapping)(void *arg, const struct mapping *m);
	void *mapping_arg;
	/* Takes whole records, of no particular CPU, during `key`. As `mapping` otherwise. */
	int (*key_records)(void *arg, const void *records, size_t len_bytes);
	void *key_arg;
	bool keep;   /* `key` will be called */
	bool python; /* stacks of Python frames are wanted */
	const char *
		counters; /* perf's names of the counters wanted, "a,b"; "": this machine's; NULL: none */

	unsigned int nr_counters; /* the counter probe, for sched: opened for each CPU */
	int *counter_fds;         /* [nr_counters * nr_cpus]; -1: an offline CPU */
	int bufs_fd;              /* the mmapable array; -1: there is none */
	unsigned int nr_bufs;     /* its entries */
	size_t buf_stride;        /* bytes from one entry to the next */
	uint16_t *buf_cpu;        /* [nr_bufs]: whose buffer an entry is */
	char *bufs;               /* the array, mapped */
	int locals_fd;            /* what is kept of the tracked threads; -1: there is none */
	int displaced_fd;         /* bpf/local.bpf.h */
	char no_samples[256];     /* why STACKS_ON could not be had; "" */
	char no_stacks
		[640]; /* what the kernel refused of stacks and python, which then lack it: fewer.h; "" */
	int addresses_fd,
		counts_fd, /* with stacks: kernel_addresses and stack_counts of bpf/stack.bpf.h */
		seen_fd;   /* and its seen_ids */
	const void *bpf_config; /* `config` of bpf/common.bpf.h, filled in */
	size_t bpf_config_bytes;
	struct bpf_cost *bpf_cost; /* further programs are added to it */
	unsigned long long *written_key
		[MAX_WRITTEN_KEYS]; /* `written_key` of bpf/common.bpf.h, of each object that takes stacks */
	unsigned int nr_written_keys;
	uint64_t key_ns;      /* of the last `key`: all threads were told of; CLOCK_MONOTONIC */
	uint32_t key_serials; /* as of the last `key`: serials up to this were given out */
	uint64_t key_drops[DROP_NR +
			   1]; /* likewise: records dropped, and those no buffer could take */
	int python_fds[PYTHON_MAPS];
};

struct probe {
	const char *name;
	const char *gives;   /* what it sees, one line */
	const char *without; /* what is lost without it, one line */
	const char *cost;    /* measured, one line */
	bool with_sched; /* it writes into sched's buffers: without that one there is nothing of it */
	int (*check)(struct err *why);
	int (*open)(struct probe_env *env, void **ret_state, struct err *err);
	int (*start)(void *state, struct err *err);
	bool (*tick)(void *state);
	int (*key)(void *state, struct err *err);
	int (*books)(void *state, struct err *err);
	int (*stop)(void *state, struct err *err);
	int (*meta)(void *state, json_t *into);
	void (*close)(void *state);
};

/* The table of probes.def, ended by NULL. */
extern const struct probe *const probes[];

const struct probe *probe_by_name(const char *name);

/* For open: this object's `written_key` is to be set with the others. */
void probe_add_written_key(struct probe_env *env, unsigned long long *written_key);

#endif
