/* SPDX-License-Identifier: GPL-2.0-only */
/* What locks.c and lock_*.c share; nobody else includes it. */
#ifndef WHYSCALE_ANALYSIS_LOCKS_IMPL_H
#define WHYSCALE_ANALYSIS_LOCKS_IMPL_H

#include "analysis/locks.h"
#include "analysis/serial_map.h"
#include "symbol/space.h"
#include "symbol/unwind.h"

/* Beyond these, what more there is goes into one lock of its kind. */
#define LOCKS_MAX 65536
#define SITES_MAX 262144

/* A place in a program where a futex is waited for. */
struct site {
	uint32_t process; /* index */
	uint64_t uaddr, pc;
	uint32_t op; /* the operation tells more than the rest: another one, another site */
	enum lock_kind kind;
	uint32_t lock; /* index + 1; 0: not looked up for this kind yet */
	const char *runtime;
	bool malloc_lock;
	bool unowned;  /* see struct lock */
	bool own_call; /* by libc's syscall() */
};

/* A span of time in which a lock had one holder. */
struct held {
	uint64_t from_ns, to_ns;
	uint32_t holder; /* serial, 0: not known */
	enum lock_how how;
	bool given;  /* at from_ns it was given to the holder, who had waited for it */
	bool free;   /* no holder: it is known that nobody had it */
	bool summed; /* doing_ns is there */
	uint64_t doing_ns[LOCK_DOING_NR];
};

/*
 * Bounds, so that no trace takes long or much memory: spans kept of a lock, and of all; keys in the sums of holders and causes, of all
 * locks; intervals looked at for each wait in any case, and how many more each event allows.
 */
#define HELD_MAX 2048
#define HELD_ALL_MAX (1u << 20)
#define SUMS_MAX (4u << 20)
#define STEPS_MIN 512
#define STEPS_PER_EVENT 8

struct stack_copy {
	uint16_t seq;
	uint8_t parts; /* that have come, in order */
	uint64_t words[STACK_PARTS * STACK_WORDS];
};

enum gil_wait {
	GIL_NOT,    /* another lock */
	GIL_COND,   /* take_gil(): until it is free, with the switch interval as limit */
	GIL_SWITCH, /* drop_gil(): until another thread has taken it */
	GIL_MUTEX,  /* the mutexes around the two */
};

/* Of a thread. */
struct waiter {
	uint32_t ns_tid, pid_ns;
	struct stack_copy *stack; /* NULL: none was seen */
	uint32_t serial;
	struct lock *lock;         /* of the open wait, NULL: none */
	uint64_t from_ns;          /* when it began */
	enum gil_wait gil;         /* which of the GIL's words */
	const struct lock *gil_of; /* its last wait in take_gil() was for this one */
	uint64_t gil_until_ns;     /* and ended then */
	bool turn;                 /* it waits for its turn at an exclusive lock */
	bool waiting;              /* nobody has woken it yet */
	const struct lock *left;   /* the last one that it has waited for, and until when */
	uint64_t left_ns;
	struct {
		uint64_t time_ns;
		uint32_t waker; /* serial, 0: not a recorded thread */
		uint32_t why;
	} wake;
};

/* A part of a wait that has ended, whose holder may still be shown. */
struct pending {
	uint32_t waiter;
	uint64_t from_ns, to_ns;
};
#define MAX_PENDING 64

struct lock_state {              /* beside struct lock, same index */
	unsigned int nr_open;    /* waits that the ledger has not closed */
	unsigned int nr_waiting; /* of these, nobody has woken yet */
	struct held *past;       /* for the open waits: spans that are over, in order */
	size_t nr_past, cap_past;
	struct held now;         /* the span that is open; no to_ns */
	uint64_t begun_ns;       /* the first wait that began in the open span, 0: none */
	uint64_t handed_at_ns;   /* the last hand-over */
	uint32_t giver;          /* by whom */
	uint32_t given_to;       /* to whom, 0: not known */
	bool late;               /* who then waited anew: somebody else had it, or it has let go */
	uint32_t taker;          /* of a GIL: who was seen to have taken it since */
	struct pending *pending; /* MAX_PENDING at most */
	size_t nr_pending, cap_pending;
};

#define LOCK_NAMESPACES 16 /* of pids, that are told apart */

struct locks {
	struct ledger *ledger;
	struct history *history;
	enum syscall_arch arch;
	const json_t *meta;
	struct space *space;
	struct resolve *resolve;
	struct unwind *unwind;
	lock_part_fn on_part; /* locks_on_part(), or NULL */
	void *on_part_arg;
	bool kernel_addresses; /* locks_show_kernel_addresses() */
	uint32_t nr_kernel;
	int failed;
	bool in_event; /* the ledger takes one */
	uint64_t now_ns;
	uint64_t lost_ns;                /* until then records were lost */
	size_t credit, nr_held, nr_sums; /* what the bounds above are about */
	uint64_t seed;                   /* of the keys of sites and locks */

	struct keymap process_of; /* tgid: index of its program */
	uint32_t nr_processes;
	struct keymap thread_of; /* pid_ns << 32 | ns_tid: serial */
	uint32_t pid_ns[LOCK_NAMESPACES];
	size_t nr_pid_ns;        /* with LOCK_NAMESPACES there may be more */
	struct keymap leader_of; /* tgid: serial of the thread with that tid */
	struct serial_map waiters;

	struct keymap site_of;
	struct site *site;
	size_t nr_sites, cap_sites;

	struct keymap lock_of;
	struct lock **lock; /* [nr] */
	struct lock_state **state;
	size_t nr_locks, cap_locks, cap_states;
	struct lock *overflow[LOCK_KIND_NR];
	const struct lock **list;
	size_t nr_list;
};

/* lock_find.c: the lock of a futex wait, or NULL when out of memory; of a kernel lock. */
struct lock *lock_find_futex(struct locks *k, const struct thread *t, struct waiter *w,
			     const struct ev_futex *rec, bool futex_call);
struct lock *lock_find_kernel(struct locks *k, uint64_t address);
/* Where the thread is looked for that a word calls by its tid. */
enum lock_scope {
	LOCK_OF_PROCESS,
	LOCK_OF_NAMESPACE, /* the kernel itself looks there (priority inheritance) */
	LOCK_OF_ANY, /* the tid is what its own namespace calls it: several may be called so */
};
#define LOCK_SEVERAL UINT32_MAX

/* The living thread that is meant by this tid, for `waiter`; 0: none; LOCK_SEVERAL: it may be one or another. */
uint32_t lock_thread_of(const struct locks *k, const struct thread *t, const struct waiter *w,
			uint32_t tid, enum lock_scope scope);
struct lock_state *lock_state(struct locks *k, const struct lock *lock);

/*
 * lock_spans.c: who held a lock.
 *
 * lock_given: `giver` (0: one that is not recorded) has just let go of it, and woke `to` (0: nobody).
 * lock_found: whoever begins to wait finds `owner` (0: it cannot be known) there, another one than the open span's holder.
 * lock_unseen: a wait for it ended at at_ns, and it is not known by what; perhaps it was given to the waiter.
 * lock_had_since: since when a thread that lets go of it now, without being known as the owner, has had it for sure.
 * lock_end_span: the open span ends now; it consists of these parts, in order, and what is between them is nobody's. `owner` has it from now on.
 * lock_account: from..to of a wait lies within this span.
 * lock_keep_pending: in from..to, a part of a wait within the open span, the holder is what the span's end will tell.
 * lock_settle: after the last event.
 */
void lock_given(struct locks *k, struct lock *lock, uint32_t giver, uint32_t to);
void lock_found(struct locks *k, struct lock *lock, uint32_t owner);
void lock_unseen(struct locks *k, struct lock *lock, uint64_t at_ns);
uint64_t lock_had_since(struct locks *k, const struct lock *lock, uint32_t giver);
void lock_end_span(struct locks *k, struct lock *lock, struct held *part, size_t nr,
		   uint32_t owner);
void lock_account(struct locks *k, struct lock *lock, uint32_t waiter, struct held *span,
		  uint64_t from_ns, uint64_t to_ns);
void lock_keep_pending(struct locks *k, struct lock *lock, uint32_t waiter, uint64_t from_ns,
		       uint64_t to_ns);
void lock_settle(struct locks *k, struct lock *lock);
/* How many intervals may be looked at now; and so many were. To a sum where there is room, else to the key `otherwise`, 0 being nowhere. */
size_t lock_credit(const struct locks *k);
void lock_spend(struct locks *k, size_t steps);
void lock_add_sum(struct locks *k, struct sums *s, uint64_t key, uint64_t otherwise, uint64_t ns);

/*
 * lock_gil.c. dropped: it has just let go, nobody is known to have been woken. let_go: likewise, but perhaps some time ago. had: it begins to
 * wait for it; has it had it before?
 * taken: `from` dropped it and is woken by `taker`. count: a wait has ended, at to_ns.
 */
void lock_gil_dropped(struct locks *k, struct lock *lock, const struct waiter *w);
void lock_gil_let_go(struct locks *k, struct lock *lock, const struct waiter *w);
bool lock_had_gil(struct locks *k, const struct lock *lock, const struct waiter *w);
void lock_gil_taken(struct locks *k, struct lock *lock, uint32_t from, uint32_t taker);
void lock_gil_count(const struct locks *k, struct lock *lock, const struct waiter *w,
		    uint64_t to_ns, enum lock_ended ended);

/* lock_waits.c */
void lock_wait_begin(struct locks *k, struct waiter *w, struct lock *lock, uint32_t owner);
void lock_wait_end(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
		   enum ledger_class class);
void lock_woken(struct locks *k, struct waiter *w);
void lock_waits_finish(struct locks *k);

/* lock_name.c. Allocated; NULL when out of memory. */
char *lock_make_name(const struct locks *k, const struct lock *lock);

/* A process begins, or another program in it: its addresses mean something else from here on. Returns its number. */
uint32_t lock_new_program(struct locks *k, uint32_t tgid);

/* history_sum.c. Until when, at most to_ns, the thread that was woken at from_ns waited for a CPU; from_ns: not at all. */
uint64_t history_queued(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns);
/*
 * Until when, from from_ns on and at most to_ns, it is certain that the thread was on no CPU; and since when, at most to_ns, it is until to_ns.
 * Return how many intervals they looked at, `max` at most: what is beyond them is not certain.
 */
size_t history_first_run(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
			 size_t max, uint64_t *ret_ns);
size_t history_off_since(const struct history *h, uint32_t serial, uint64_t from_ns, uint64_t to_ns,
			 size_t max, uint64_t *ret_ns);
/* Since when, at least from_ns and at most to_ns, it has had a CPU, or has lost it without waiting for anything, until to_ns. As above. */
size_t history_awake_since(const struct history *h, uint32_t serial, uint64_t from_ns,
			   uint64_t to_ns, size_t max, uint64_t *ret_ns);

#endif
