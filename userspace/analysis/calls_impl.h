/* SPDX-License-Identifier: GPL-2.0-only */
/* What calls.c, calls_collect.c (events to times by stack), calls_ran.c, calls_wait.c and calls_make.c (the tree) share; nobody else includes it. */
#ifndef WHYSCALE_ANALYSIS_CALLS_IMPL_H
#define WHYSCALE_ANALYSIS_CALLS_IMPL_H

#include "analysis/calls.h"
#include "analysis/foreign.h"
#include "analysis/keymap.h"
#include "analysis/load.h"
#include "analysis/serial_map.h"
#include "analysis/stack_store.h"
#include "analysis/wakeups.h"

/* Numbers of stacks that are none; others are 1 + the index in `stack`. */
#define STACK_NONE 0u        /* not captured */
#define STACK_NEW UINT32_MAX /* a new thread's */

/* What time is added up by. Compared as bytes: no holes. */
struct row_key {
	uint32_t serial; /* whose; 0: does not matter */
	uint32_t stack;
	uint32_t waker_stack, waker; /* CALLS_WAKE; waker: who */
	uint32_t lock;               /* CALLS_LOCK: 1 + index; 0: not known */
	uint32_t holder;             /* serial, 0: not known */
	uint8_t class;
	uint8_t woken; /* enum woken */
	uint8_t zero[6];
};

struct row {
	struct row_key key;
	uint64_t ns, count;
};

/* CALLS_WAKE: by what. */
enum woken {
	WOKEN_NOT_ASKED, /* no wake-up belongs to this interval */
	WOKEN_BY_THREAD,
	WOKEN_BY_INTERRUPT,
	WOKEN_UNKNOWN, /* its wake-up was not seen */
	WOKEN_NEVER,   /* there was none until the end */
};

struct waker {
	uint32_t stack, who;
	enum woken woken;
};

struct sample {
	uint64_t time_ns;
	uint64_t gap_ns; /* not 0: no sample, but the end of a span in which samples may have been dropped */
	uint32_t stack;
};

/* A wait for a lock, whose holders are told in parts. */
struct lock_wait {
	uint64_t from_ns, to_ns;
	uint64_t left_ns; /* of it, not told yet */
	uint32_t stack, lock;
};

/* What is known of a thread. */
struct called {
	struct {
		bool known;
		uint16_t seq; /* of the switch-out */
		uint32_t stack;
	} off[2]; /* the last two, by seq & 1: the next one may come before the ledger has closed the wait */

	struct sample *sample; /* in the interval that is open */
	size_t nr_samples, cap_samples;
	uint64_t carry_ns;   /* on-CPU time since the last sample */
	uint32_t last_stack; /* of the last sample */
	bool sampled;

	uint64_t wake_ns; /* the last wake-up, and who did it */
	struct waker wake;
	struct waker woken; /* for the run-queue time behind the last wait */

	struct lock_wait *wait; /* those with time left, the last one at the end */
	size_t nr_waits, cap_waits;

	uint64_t given_ns; /* into rows */
};

/* EV_CALLS of wakers, on their CPU, until their EV_WAKE comes: programs nest. */
#define WAKERS_NEST 4
struct calls_cpu {
	uint32_t current; /* who runs there, by the last EV_SWITCH; 0: idle, or not known */
	unsigned int nr;
	struct {
		uint32_t who, stack;
	} at[WAKERS_NEST];
};

struct calls {
	const struct calls_options *o;
	struct loaded *loaded;
	struct stack_store *store;
	int failed;
	uint64_t now_ns;
	bool listening; /* to the locks */
	bool has_stacks;

	struct serial_map called; /* struct called */
	struct foreigners foreign;
	struct calls_cpu *cpu;
	unsigned int nr_cpus;

	uint64_t seed;          /* of the keys of the next two */
	struct keymap stack_of; /* 1 + index */
	struct stack_ids *stack;
	size_t nr_stacks, cap_stacks;

	const struct lock **lock; /* by index, CALLS_LOCK: those with a name */
	size_t nr_locks;

	struct keymap row_of; /* 1 + index */
	struct row *row;
	size_t nr_rows, cap_rows;
};

/* calls_collect.c */

/* Listens to the trace, between load_open() and load_run(). 0 or -ENOMEM. */
int calls_listen(struct calls *c);
/* After load_run(): gives out what is left, so that the rows' sum is the ledger's. 0 or -ENOMEM. */
int calls_settle(struct calls *c);
/* What is known of a thread that the ledger knows; NULL when out of memory. */
struct called *calls_of(struct calls *c, uint32_t serial);
/* Adds to a row. */
void calls_add(struct calls *c, const struct row_key *key, uint64_t ns, uint64_t count);
/* A wait: neither on a CPU nor untracked. */
bool calls_is_wait(enum ledger_class class);
/* Is this class part of the total? */
bool calls_wanted(const struct calls *c, enum ledger_class class);

/* calls_ran.c: samples; what the ledger tells of time on a CPU; records that a CPU dropped; and the end of a thread. */
void calls_sample(struct calls *c, struct called *d, uint32_t stack);
void calls_ran(struct calls *c, struct called *d, const struct thread *t, uint64_t from_ns,
	       uint64_t to_ns, enum ledger_class class);
void calls_lost(struct calls *c, const struct ev_lost *rec, unsigned int cpu);
void calls_ran_settle(struct calls *c, struct called *d, const struct thread *t);

/* calls_wait.c: what the ledger and the locks tell of waits. */
void calls_wake(struct calls *c, const struct ev_wake *rec, unsigned int cpu);
void calls_waited(struct calls *c, struct called *d, const struct thread *t, uint64_t from_ns,
		  uint64_t to_ns, enum ledger_class class);
void calls_lock_part(void *arg, const struct lock *lock, uint32_t waiter, uint32_t holder,
		     uint64_t from_ns, uint64_t to_ns);
void calls_lock_settle(struct calls *c, struct called *d, uint32_t serial);

/* calls_make.c. 0, -ENOMEM, -EOVERFLOW. */
int calls_make_tree(struct calls *c, struct flame_tree *tree, struct calls_summary *summary);

#endif
