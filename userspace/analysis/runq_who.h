/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who had the CPU while recorded threads waited for one: every interval of the classes runq_preempted and runq_wakeup, split exactly.
 *
 *   the thread's wait      |---------- on CPU 0 ----------|-- moved to CPU 1 --|
 *   who had that CPU       | own | other process | own    | idle |  foreign    |
 *
 * The parts sum to the wait in nanoseconds. While a recorded thread waits on a CPU every switch there is recorded, so who leaves
 * the CPU had it since the switch before. `unknown` is the whole of a wait in which records of its CPU were dropped, or whose beginning
 * no probe saw. Until a new thread is on its first queue, its maker is what it waits for.
 *
 * The interrupts that a CPU serves meanwhile (EV_IRQ) are taken out of the part of whom they came upon, as far as they lie in the wait. They
 * stay in it where no probe recorded them, and where a thread is moved to other CPUs' queues twice in the middle of one.
 *
 * Apart from that, nobody_ns: the part of the wait during which some other CPU that the thread was allowed to use stood idle, as was
 * known at that moment (a CPU whose records were dropped is not idle from when it tells that on).
 *
 * A wait costs the same however many threads had the CPU meanwhile: each CPU keeps sums, and a wait takes their differences. The names
 * come from the last RUNQ_PIECES_MAX slices of each CPU: a wait over more than that is split exactly too, but the oldest
 * part of the others' share has no names.
 */
#ifndef WHYSCALE_ANALYSIS_RUNQ_WHO_H
#define WHYSCALE_ANALYSIS_RUNQ_WHO_H

#include "analysis/foreign.h"
#include "analysis/ledger.h"

#define RUNQ_PIECES_MAX 16384
#define RUNQ_FOREIGN_MAX 4096 /* processes with a name of their own; the others are one */

enum runq_part {
	RUNQ_OWN,     /* threads of its own process */
	RUNQ_TRACKED, /* other recorded processes */
	RUNQ_FOREIGN, /* processes that are not recorded */
	RUNQ_IDLE,    /* nobody: the CPU was being given to it */
	RUNQ_IRQ,     /* interrupts, whoever had the CPU */
	RUNQ_UNKNOWN,
	RUNQ_PARTS
};

/* "own", "tracked", "foreign", "idle", "interrupts", "unknown". */
const char *runq_part_name(enum runq_part part);

struct runq_split {
	uint64_t waits, wait_ns;
	uint64_t part_ns[RUNQ_PARTS]; /* sum to wait_ns */
	uint64_t nobody_ns;           /* see above; <= wait_ns */
};

/* A process that had the CPU while threads of others waited. */
struct runq_occupant {
	bool tracked;
	uint32_t pid; /* 0: unnamed, several */
	const char *comm;
	uint64_t ns;
};

struct runq_who;

/* foreign: the names, kept up to date by the caller. 0 or -ENOMEM. */
int runq_who_new(struct ledger *l, unsigned int nr_cpus, struct foreigners *foreign,
		 struct runq_who **ret_who);

/* A well-formed event, before the ledger takes it; now_ns: as the ledger's, it never goes back. 0 or -ENOMEM. */
int runq_who_event(struct runq_who *w, const struct trace_event *ev, uint64_t now_ns);

/* The recording ends, before ledger_finish(). */
int runq_who_end(struct runq_who *w, uint64_t end_ns);

/* After ledger_finish(), before the results are asked for. */
void runq_who_finish(struct runq_who *w);

void runq_who_free(struct runq_who *w);

/* The sum of all threads; that of one thread (NULL: it never waited). */
const struct runq_split *runq_who_all(const struct runq_who *w);
const struct runq_split *runq_who_thread(const struct runq_who *w, uint32_t serial);

/*
 * The other processes, the largest first; their sum is part_ns[RUNQ_TRACKED] + part_ns[RUNQ_FOREIGN] of all. The caller frees the
 * array; the names belong to the ledger and to w. 0 or -ENOMEM.
 */
int runq_who_others(const struct runq_who *w, struct runq_occupant **ret_list, size_t *ret_nr);

#endif
