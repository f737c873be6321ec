/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of runq_who share; nobody else includes it.
 *
 *   runq_who.c  marks, waits, events        runq_occ.c  who it is that has a CPU, and the result by name
 *   runq_cpu.c  a CPU's pieces              runq_idle.c for how long other CPUs were idle
 *   runq_irq.c  interrupts
 *
 * A CPU's time is cut into pieces, at each switch and wherever a wait begins or ends on it. The last pieces are kept in a ring:
 * a wait over pieces first..last-1 adds 1 to the number of waiters at `first` and takes it back at `last`. When a piece leaves the
 * ring, the number of waits over it is the sum of all changes so far, and its occupant gets its length that many times.
 *
 *        tail                                              head
 *   ... | piece | piece | piece | piece | piece | piece | piece | (now)
 *                 +1                       -1                          a wait
 */
#ifndef WHYSCALE_ANALYSIS_RUNQ_IMPL_H
#define WHYSCALE_ANALYSIS_RUNQ_IMPL_H

#include "analysis/keymap.h"
#include "analysis/runq_idle.h"
#include "analysis/runq_who.h"
#include "analysis/serial_map.h"

/* How often one wait may be moved with its names kept. */
#define MOVES_KEPT 4

/* Occupants by number; these are always there. */
enum { OCC_NONE, OCC_UNKNOWN, OCC_IDLE, OCC_OTHERS, OCC_FIRST };

struct occupant {
	enum runq_part part;
	uint32_t pid;
	const struct thread *lead; /* RUNQ_TRACKED: whose name the process bears */
	char comm[EV_COMM_LEN];    /* RUNQ_FOREIGN */
	uint64_t ns;     /* times the waits over it; in the end those of its own threads too */
	uint64_t own_ns; /* of these, waits of its own threads */
};

struct piece {
	uint64_t ns, irq_ns; /* its length; how much of it were interrupts */
	uint32_t occ;
	int32_t change; /* of the number of waits */
};

struct runq_cpu {
	bool known, lost; /* who has it; records were dropped since its last switch */
	uint32_t who, occ;
	uint32_t own; /* of occ: see runq_own */
	uint64_t since_ns;
	uint64_t irq_ns;          /* interrupts in the open piece */
	uint64_t irq_from_ns;     /* the next one begins here at the earliest */
	struct waiter *last_mark; /* the marks on this CPU, newest first */
	struct waiter *last_left; /* the waits that have left it, newest first */
	uint32_t missed; /* serial: this thread got it at arrival_ns, and no probe saw that (EV_MISSED) */
	uint64_t arrival_ns;
	uint64_t told_ns;            /* when it last told that it had dropped records */
	uint64_t sum_ns[RUNQ_PARTS]; /* [RUNQ_TRACKED]: all recorded threads, [RUNQ_OWN] is not used */
	struct piece *ring;
	size_t cap;          /* a power of two */
	uint64_t head, tail; /* pieces, numbered from the beginning */
	int64_t waits;       /* over the piece before tail */
	int32_t next_change; /* of the piece to come */
};

struct span {
	uint32_t cpu;
	uint64_t first, last; /* pieces */
};

/* A wait, as far as it is behind the mark: on other CPUs, or not yet on one; in the end all of it. */
struct wait {
	uint64_t begin_ns;
	uint64_t done_ns[RUNQ_PARTS], nobody_ns;
	uint64_t made_ns; /* of done_ns: what passed before its first queue */
	uint32_t maker;   /* occupant */
	unsigned int nr_spans;
	struct span span[MOVES_KEPT];
};

/* The part of a wait on the CPU that it left last: an interrupt that was being served there is told later. */
struct left {
	struct waiter *older, *newer;
	bool listed, closed; /* closed: the wait is over, and in the thread's split */
	uint32_t cpu, own, occ;
	uint64_t from_ns, to_ns;
};

struct waiter {
	const struct thread *t;
	uint32_t tgid, occ; /* of its process */
	unsigned int idle_set;
	uint32_t last_cpu, last_own; /* runq_own_of() of the one; 0: not asked yet */
	struct wait wait;

	/* the mark; it is in its CPU's list until it is set anew or the wait has ended */
	struct waiter *older, *newer;
	bool listed;
	bool marked, bad; /* bad: it cannot have been on that CPU all the time */
	uint32_t cpu, own;
	uint64_t at_ns, first, sum_ns[RUNQ_PARTS], own_ns, elsewhere_ns;

	struct left left;

	/* a wait that ended before now (EV_MISSED), until the ledger says so; NULL: none */
	struct wait *ended;
	uint64_t ended_ns;

	struct runq_split split;
};

struct runq_who {
	struct ledger *ledger;
	struct foreigners *foreign;
	unsigned int nr_cpus;
	struct runq_cpu *cpu;
	struct idle_cpus *idle;
	struct serial_map waiters;
	struct keymap occ_by_pid; /* KEY_FOREIGN or KEY_TRACKED | tgid */
	struct occupant *occ;
	size_t nr_occ, cap_occ;
	size_t nr_foreign;
	struct keymap own_of; /* cpu << 32 | occ -> index */
	uint64_t *own_ns;     /* how long it had that CPU; [0]: whom nobody asks for */
	size_t nr_own, cap_own;
	struct runq_split all;
	uint64_t now_ns;
	int failed;
};

/*
 * runq_occ.c. What is kept of a recorded thread (NULL: it is none, or not known); the occupant that a who is; where it is counted
 * how long a process had a CPU. When out of memory they set w->failed.
 */
struct waiter *runq_waiter_make(struct runq_who *w, uint32_t who);
uint32_t runq_occ_of(struct runq_who *w, uint32_t who);
uint32_t runq_own_of(struct runq_who *w, uint32_t cpu, uint32_t occ);
int runq_occ_init(struct runq_who *w);

static inline struct waiter *runq_waiter_of(struct runq_who *w, uint32_t who)
{
	struct waiter *x;

	if (who == WHO_IDLE || who & WHO_UNTRACKED)
		return NULL;
	x = serial_map_find(&w->waiters, who);
	return x && x->t && x->tgid == x->t->tgid ? x : runq_waiter_make(w, who);
}

/* As runq_own_of() of its process, and quicker. */
static inline uint32_t runq_own_of_waiter(struct runq_who *w, struct waiter *x, uint32_t cpu)
{
	if (!x->last_own || x->last_cpu != cpu) {
		x->last_own = runq_own_of(w, cpu, x->occ);
		x->last_cpu = cpu;
	}
	return x->last_own;
}

/* runq_cpu.c */

/* Ends the piece that is open: occ had the CPU until to_ns. 0 or -ENOMEM. */
int runq_cpu_piece(struct runq_cpu *c, struct occupant *occupants, uint64_t *own_ns, uint32_t occ,
		   uint64_t to_ns);

/* A wait over the pieces from `first` up to, not with, `last`. */
void runq_cpu_wait(struct runq_cpu *c, uint64_t first, uint64_t last);

/*
 * runq_irq.c. An interrupt was served on the CPU from from_ns (or from when its slice, or the interrupt before, allows) until now; x has
 * been marked on its CPU, or its mark is done with; its wait leaves that CPU, or what it left is not asked for any more.
 */
void runq_irq(struct runq_who *w, struct runq_cpu *c, uint64_t from_ns);
/* When the first of those came who wait on the CPU: that is all of an interrupt which began while nobody did. */
uint64_t runq_irq_first(const struct runq_cpu *c, uint64_t now_ns);
void runq_irq_mark(struct runq_who *w, struct waiter *x);
void runq_irq_unmark(struct runq_who *w, struct waiter *x);
void runq_irq_leave(struct runq_who *w, struct waiter *x);
void runq_irq_forget(struct runq_who *w, struct waiter *x);

/* Gives all pieces to their occupants. */
void runq_cpu_finish(struct runq_cpu *c, struct occupant *occupants);

#endif
