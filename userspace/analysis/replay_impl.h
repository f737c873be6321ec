/* SPDX-License-Identifier: GPL-2.0-only */
/* What replay_take.c (the lists), replay_run.c (playing them) and replay.c (what is asked) share; nobody else includes it. */
#ifndef WHYSCALE_ANALYSIS_REPLAY_IMPL_H
#define WHYSCALE_ANALYSIS_REPLAY_IMPL_H

#include "analysis/replay.h"

enum op_kind {
	OP_RUN,    /* ns on a CPU */
	OP_SIGNAL, /* sets the token, which counts ns later */
	OP_WAIT,   /* until the token counts */
	OP_FIXED,  /* ns, whatever happens */
	OP_QUEUE,  /* for a CPU: ns of it while one was free */
};

struct op {
	uint64_t ns;
	uint64_t at_ns; /* OP_QUEUE: when it got the CPU in the recording */
	uint32_t token;
	uint32_t lock;  /* OP_WAIT, OP_FIXED: its index + 1, 0: none */
	uint16_t moves; /* OP_RUN: so many migrations in front of it */
	uint8_t kind, class;
	uint8_t part; /* OP_RUN, OP_QUEUE: enum op_part */
	bool idle;    /* a wait of a thread that does not work then */
	bool birth;   /* OP_SIGNAL: a thread is made */
};

/* What a time on a CPU is for, by the windows of work.h. */
enum op_part {
	PART_UNKNOWN,
	PART_WORK,  /* a worker's */
	PART_ALONE, /* a coordinator's, while none of its workers lives */
	PART_SPAWN, /* of who does not work then */
};

struct replay_thread {
	size_t first, end; /* its ops */
	uint32_t serial, group;
	uint32_t pin; /* its CPU, counted through all groups, where each has only one */
	uint64_t work_ns, even_ns; /* its PART_WORK; what that is for REPLAY_EVEN */
};

/* Threads that may use the same CPUs. */
struct replay_group {
	uint64_t allowed[EV_CPUS_WORDS];
	bool any;    /* all CPUs */
	bool merged; /* into another one: no thread is left in it */
	unsigned int cpus;
	/* while recorded threads left one of its CPUs free: moments, and how much of that was before */
	struct replay_free {
		uint64_t time_ns, free_ns;
		bool free;
	} * free;
	size_t nr_free, cap_free;
};

#define REPLAY_GROUPS 64 /* what does not fit is put together with the last one */

struct replay_model {
	struct op *op;
	size_t nr_ops, cap_ops;
	struct replay_thread *thread;
	size_t nr_threads;
	uint32_t nr_tokens;
	uint64_t begin_ns, end_ns; /* the first moment; the last one at which anything was done */
	uint64_t tail_ns;          /* and to the end of the recording */
	uint64_t total_ns, untracked_ns;
	size_t waits, edges;
	uint64_t moves;
	struct replay_group group[REPLAY_GROUPS];
	size_t nr_groups;
	uint32_t nr_pins;
	size_t lanes;
	bool parts[PART_SPAWN + 1];  /* there is any */
	bool births, births_in_work; /* of threads; by one that works then */
	bool even;                   /* even_ns holds */
};

/* What is left out. */
struct replay_cut {
	uint32_t classes; /* 1 << class: waits that take no time */
	uint32_t lock;    /* index + 1: so do those for this lock; 0: none */
	bool no_queue;    /* a CPU at once, and as many as wanted */
	bool unlimited;   /* as many as wanted */
	int more;         /* CPUs, added to each group's */
	bool no_moves;    /* they cost nothing ... */
	uint64_t move_ns; /* ... of this much each */
	bool pinned;      /* each thread to one CPU */
	bool first; /* no wait behind others' threads after a preemption; with unlimited: none at all while a CPU was free */
	bool even, no_spawn;
	size_t alone_by; /* PART_ALONE is divided by that; 0: it is not */
	double times;    /* so is PART_WORK */
};

/* Of a share of this thread's work: what it is when that is divided evenly. */
static inline uint64_t replay_even_ns(const struct replay_cut *cut, const struct replay_thread *t,
				      const struct op *op)
{
	if (!cut->even || op->part != PART_WORK || !t->work_ns)
		return op->ns;
	return (uint64_t)((unsigned __int128)op->ns * t->even_ns / t->work_ns);
}

/* What is left of the time on a CPU of one of this thread's ops. */
static inline uint64_t replay_run_ns(const struct replay_cut *cut, const struct replay_thread *t,
				     const struct op *op)
{
	uint64_t less_ns = cut->no_moves ? op->moves * cut->move_ns : 0;

	if (cut->no_spawn && op->part == PART_SPAWN)
		return 0;
	if (cut->alone_by && op->part == PART_ALONE)
		return op->ns / cut->alone_by;
	if (cut->even)
		return replay_even_ns(cut, t, op);
	if (cut->times > 0 && op->part == PART_WORK)
		return (uint64_t)((double)op->ns / cut->times);
	return op->ns > less_ns ? op->ns - less_ns : 0;
}

struct replay_wait {
	uint64_t to_ns;
	const struct lock *lock;
	bool none; /* it was woken before it slept: a wait of no time */
};

struct replay_waits {
	struct replay_wait *at;
	size_t nr, cap;
};

/* A time on a CPU behind migrations. */
struct replay_move {
	uint64_t to_ns; /* when it ended */
	uint16_t nr;
};

struct replay_moves {
	struct replay_move *at;
	size_t nr, cap;
	bool ran;
	uint64_t seen; /* migrations until the last time on a CPU */
};

struct replay_source {
	struct ledger *ledger;
	struct serial_map *waits; /* struct replay_waits */
	struct serial_map *moves; /* struct replay_moves */
	int failed;
};

/* replay_take.c. 0, -ENOMEM, or -ENODATA with why (a half sentence). model_free() in any case. */
int model_make(struct replay_source *source, const struct history *history, const struct work *work,
	       unsigned int nr_cpus, struct replay_model *ret_model, char why[160]);
void model_free(struct replay_model *m);

/* replay_cpus.c. Puts the threads into groups; CPU masks that overlap are one. */
void groups_make(struct replay_model *m, const struct ledger *l, unsigned int nr_cpus);
/* When each group had a CPU free; then each OP_QUEUE's ns, which was the whole wait, becomes what of it was then. 0 or -ENOMEM. */
int groups_take_out(struct replay_model *m);

/* replay_even.c. even and even_ns, where the work can be divided. */
void model_divide(struct replay_model *m, const struct work *w);

/* replay_run.c. From begin_ns to the last op's end. 0, -ENOMEM, or -ENODATA: the waits wait for one another. */
int model_run(const struct replay_model *m, const struct replay_cut *cut, uint64_t *ret_ns);

#endif
