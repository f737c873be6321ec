/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of the small scheduler (sched_sim.h), for sched_sim*.c only:
 *
 *   sched_sim.c          which step comes next: forks, wake-ups, moves, exits
 *   sched_sim_switch.c   a switch, and all that can come just before and after it
 *   sched_sim_put.c      the records, some of which are dropped, and the truth
 */
#ifndef WHYSCALE_TESTS_SCHED_SIM_IMPL_H
#define WHYSCALE_TESTS_SCHED_SIM_IMPL_H

#include "sched_sim.h"

enum doing { FREE, NEW, QUEUED, RUNNING, ASLEEP };

struct task {
	enum doing doing;
	uint32_t serial;
	uint32_t tid, tgid;
	uint16_t seq;
	unsigned int cpu; /* where it ran last or was put */
	bool wakeup_due;  /* woken, not yet enqueued: EV_WAKEUP is to come */
	bool wake_seen;   /* a probe saw the wake-up (else EV_MISSED) */
	bool in_seen;     /* a probe saw the switch-in */
	bool exiting;
	uint64_t enqueued_ns, in_ns, since_ns;
	uint64_t hole_ns; /* of the last event that no probe saw */
	enum ledger_class class;
	uint64_t exec_ns, delay_ns;
	uint64_t moved_ns; /* of its wait on the run queue, what no book has */
};

struct cpu {
	struct task *running; /* NULL: idle */
	unsigned int full;    /* records that it will still drop */
	uint64_t lost_first, lost_last, lost;
	uint64_t order;
};

struct sim {
	const struct sim_options *opt;
	struct sim_result *out;
	uint64_t random, now;
	bool tied; /* the last step had the time of the one before it */
	struct task task[SIM_SLOTS];
	struct cpu cpu[SIM_CPUS];
};

/* ---- sched_sim_put.c ---- */

uint32_t sim_rnd(struct sim *s, uint32_t below);
/* What is told of the records that a CPU has dropped. */
void sim_tell_lost(struct sim *s, unsigned int cpu);
/* A record; its word 0 is set here. */
void sim_put(struct sim *s, unsigned int cpu, void *rec, unsigned int kind, unsigned int flags,
	     size_t bytes);
void sim_put_wake(struct sim *s, struct task *t, unsigned int cpu, unsigned int kind,
		  unsigned int flags);
void sim_put_books(struct sim *s, struct task *t, unsigned int cpu, unsigned int flags);
void sim_put_migrate(struct sim *s, struct task *t, unsigned int cpu, unsigned int to);
/* Up to `most` ns that the kernel's books leave out; not where the record may be missing. */
uint64_t sim_put_unbooked(struct sim *s, const struct task *t, unsigned int cpu, unsigned int flags,
			  uint64_t most);

/* The truth, which is that from now on the task is in `class`. */
struct sim_thread *sim_truth(struct sim *s, const struct task *t);
void sim_become(struct sim *s, struct task *t, enum ledger_class class);

/* ---- sched_sim_switch.c ---- */

/* On the run queue of t->cpu from now on. */
void sim_enqueue(struct sim *s, struct task *t);
/* On a CPU from now on; `seen`: a probe saw it. */
void sim_arrive(struct sim *s, struct task *t, unsigned int cpu, bool seen);
void sim_switch(struct sim *s, unsigned int cpu);

#endif
