/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which lock a thread waits for, and who held it meanwhile.
 *
 *   EV_STACK, EV_FUTEX, EV_KLOCK -> which lock, of which kind (lock_find.c) -> the wait's class, for the ledger
 *   each wait when it ends       -> who held the lock, and what that thread did then (lock_waits.c, lock_spans.c)
 *
 * The holder is the owner that stands in a mutex (LOCK_OWNER), where the protocol says that an owner stands there; otherwise
 * it is whoever gives the lock away: the thread that wakes a waiter (LOCK_WAKER), since the last hand-over, or since it last waited for
 * the lock itself. A hand-over to another waiter cuts the wait: before it the lock was held by who gave it, behind it by somebody else.
 * What nobody is shown to have held, or what lost records may have changed, is unknown.
 */
#ifndef WHYSCALE_ANALYSIS_LOCKS_H
#define WHYSCALE_ANALYSIS_LOCKS_H

#include <jansson.h>

#include "analysis/history.h"
#include "analysis/ledger.h"
#include "analysis/lock_kind.h"
#include "analysis/sums.h"
#include "symbol/resolve.h"

enum lock_ended { LOCK_WOKEN, LOCK_TIMED_OUT, LOCK_SIGNAL, LOCK_ENDED_UNKNOWN, LOCK_ENDED_NR };
enum lock_doing {
	LOCK_RUNNING,   /* the holder was on a CPU */
	LOCK_PREEMPTED, /* it could have run, and had no CPU */
	LOCK_BLOCKED,   /* it waited for something else */
	LOCK_ASLEEP,    /* it slept on purpose */
	LOCK_FREE,      /* nobody held it: it was let go of, and not taken yet */
	LOCK_DOING_UNKNOWN,
	LOCK_DOING_NR
};
enum lock_how { LOCK_OWNER, LOCK_WAKER };

struct lock {
	uint32_t index;
	enum lock_kind kind;
	bool overflow;            /* all that were met after the 65,536th */
	uint32_t program;         /* which of the programs that ran; private locks are of one */
	uint32_t tgid;            /* of the process that was met first; 0: the kernel's */
	uint64_t address;         /* there, of the futex word that was met first */
	struct place place;       /* what is at the address; strings belong to the resolver */
	const char *runtime;      /* LOCK_RUNTIME: its name */
	int gil_major, gil_minor; /* LOCK_GIL: the version, 0: not known */
	bool main_gil;            /* LOCK_GIL: in _PyRuntime; else an interpreter's own */
	bool malloc_lock;
	bool unowned;        /* LOCK_MUTEX, LOCK_RWLOCK: no owner stands beside the word */
	uint32_t joined;     /* LOCK_JOIN: serial of the thread that was waited for, 0: not known */
	bool joined_several; /* one after the other */
	const char *
		kernel_name; /* LOCK_KERNEL: the lock's, or of the function that called for it; belongs to META */
	bool kernel_caller; /* the latter */
	uint32_t kernel_nr; /* LOCK_KERNEL: from 1, in the order in which they were met */
	char *name;         /* for people, made by locks_finish() */

	uint64_t waits, wait_ns, longest_ns;
	uint64_t ended[LOCK_ENDED_NR]; /* waits */
	uint64_t doing_ns[LOCK_DOING_NR];
	uint64_t convoys; /* given to a waiter while others waited on */
	uint64_t handed_ns; /* of LOCK_PREEMPTED: the holder had just been given the lock, and waited for a CPU */
	uint64_t gil_handovers,
		gil_timeouts; /* LOCK_GIL: waits on its condition variable, by how they ended */
	uint64_t gil_work_handovers,
		gil_work_timeouts; /* of these, of threads that were at work: in a window of theirs (ledger.h) */
	uint64_t gil_mutex_waits; /* on the mutex inside */
	uint64_t spins,
		spin_ns; /* LOCK_KERNEL: times it was found taken; time on a CPU from then on until it was got, spinning mostly */
	struct sums waiter_ns, waiter_nr; /* by serial: time, and number of waits */
	struct sums holder_ns;            /* by serial << 1 | enum lock_how */
	struct sums
		cause_ns; /* what was waited for in the end: by serial << 8 | class; serial 0: unknown */
};

struct locks;

/*
 * Listens to the ledger, before its first event. meta: the trace's, must outlive it. history: NULL when only the classes are wanted, and no
 * account of each lock. 0 or -ENOMEM.
 */
int locks_new(struct ledger *l, enum syscall_arch arch, const json_t *meta, struct history *history,
	      struct locks **ret_locks);

/*
 * Called for each part of a wait once it is known who held the lock in it (holder 0: nobody is shown to have), in any order: when the wait
 * ends, or as late as in locks_finish(). The parts of a wait do not overlap; what there is no account of has none. One at most.
 */
typedef void (*lock_part_fn)(void *arg, const struct lock *lock, uint32_t waiter, uint32_t holder,
			     uint64_t from_ns, uint64_t to_ns);
void locks_on_part(struct locks *k, lock_part_fn fn, void *arg);

/* Feeds a mapping; all of them before the first event. 0 or -ENOMEM. */
int locks_mapping(struct locks *k, const struct mapping *m);

/* It is at least that time, without an event. */
void locks_moment(struct locks *k, uint64_t time_ns);

/* Each event, before the ledger takes it, and after. 0 or -ENOMEM. Malformed records are ignored (the ledger counts them). */
int locks_before(struct locks *k, const struct trace_event *ev);
int locks_after(struct locks *k, const struct trace_event *ev);

/* After ledger_finish(). */
int locks_finish(struct locks *k);

/* Results: those with waits, the longest first. */
const struct lock *const *locks_list(const struct locks *k, size_t *ret_nr);

/*
 * Whether outputs have the addresses of kernel locks: they tell where the kernel's memory is, and outputs are handed on. By default they
 * do not, and locks_address() of a kernel lock is its number; of any other lock it is the address. Before locks_finish().
 */
void locks_show_kernel_addresses(struct locks *k);
uint64_t locks_address(const struct locks *k, const struct lock *lock);

/* What the sums' keys mean. NULL: not known. */
const struct thread *locks_thread(const struct locks *k, uint32_t serial);

void locks_free(struct locks *k);

#endif
