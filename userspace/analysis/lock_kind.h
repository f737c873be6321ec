/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a futex is used for: mutual exclusion (the ledger's `lock`), or waiting for somebody's work (`sync`). Decided by evidence, the
 * strongest first, and never guessed:
 *
 *   1. the operation: FUTEX_LOCK_PI is a mutex by the kernel's own protocol, FUTEX_WAIT_REQUEUE_PI a condition variable;
 *   2. the function that called: pthread_mutex_lock, pthread_cond_wait, sem_wait, ... (lock_functions.def);
 *   3. the word: glibc's mutex protocol (2: taken, and somebody waits) with a living owner beside it; the tid of a living thread of
 *      the process, waited for as pthread_join does (the kernel clears it with a wake-up that is not private).
 *
 * What none of these decides is LOCK_FUTEX: sync, unclassified.
 */
#ifndef WHYSCALE_ANALYSIS_LOCK_KIND_H
#define WHYSCALE_ANALYSIS_LOCK_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/class.h"

enum lock_kind {
	LOCK_FUTEX, /* not decided */
	LOCK_MUTEX,
	LOCK_PI_MUTEX,
	LOCK_RWLOCK,
	LOCK_GIL,
	LOCK_KERNEL,
	LOCK_COND,
	LOCK_JOIN,
	LOCK_SEMAPHORE,
	LOCK_BARRIER,
	LOCK_ONCE,
	LOCK_FUTURE,
	LOCK_PARK,    /* a thread that sleeps until another unparks it */
	LOCK_RUNTIME, /* of a language's runtime: Go, Java */
	LOCK_KIND_NR
};

/* The name that every output uses: "mutex", "pi_mutex" ... */
const char *lock_kind_name(enum lock_kind kind);
enum ledger_class lock_kind_class(enum lock_kind kind);

/* A frame of the waiter's stack. */
struct lock_frame {
	const char *function; /* NULL: no name */
	const char *object;   /* path of the file it is in, NULL: none */
};

/*
 * The kind that the stack (innermost first) tells, LOCK_FUTEX when it does not. `ret_runtime`, when not NULL: the name of the runtime
 * for LOCK_RUNTIME; `ret_malloc`: a lock of malloc's. LOCK_GIL: an interpreter of CPython waits for a lock of its own.
 */
enum lock_kind lock_kind_by_stack(const struct lock_frame *frames, size_t nr,
				  const char **ret_runtime, bool *ret_malloc);

/*
 * Does the stack show that the word is in a pthread_mutex_t or pthread_rwlock_t of the C library, beside which the owner stands? The locks
 * within the C library have none, and beside those of other languages (Rust) stands what they protect: any number.
 */
bool lock_stack_keeps_owner(const struct lock_frame *frames, size_t nr);

/* The futex call, as EV_FUTEX has it. */
struct lock_call {
	bool futex; /* futex(2); else futex_waitv or futex_wait, whose flags tell nothing of this */
	uint32_t op, val;
	bool read; /* `word` holds */
	uint32_t word;
};

#define LOCK_OP_WAIT 0
#define LOCK_OP_LOCK_PI 6
#define LOCK_OP_WAIT_BITSET 9
#define LOCK_OP_WAIT_REQUEUE_PI 11
#define LOCK_OP_LOCK_PI2 13
#define LOCK_OP_PRIVATE 128
#define LOCK_OP(op) ((op)&0x7fu)
#define LOCK_TID_MASK 0x3fffffffu
#define LOCK_WAITERS 0x80000000u

/* The kind that the operation tells, or LOCK_FUTEX. */
enum lock_kind lock_kind_by_call(const struct lock_call *c);

/* Is it glibc's mutex protocol: is the word beside it an owner, if that is a living thread? */
bool lock_is_mutex_word(const struct lock_call *c);

/* Is it that of a robust one, whose word is the tid that stands beside it, too, and a mark that somebody waits? */
bool lock_is_robust_word(const struct lock_call *c, uint32_t owner);

/*
 * The tid in __owner, given the words at +8, +12 and +16 of what may be a pthread_mutex_t: __owner, __nusers and __kind of 64-bit
 * glibc. 0: nobody's, or it is something else.
 */
uint32_t lock_mutex_owner(const uint32_t near[3]);

#endif
