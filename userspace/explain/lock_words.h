/* SPDX-License-Identifier: GPL-2.0-only */
/* What the causes that speak of locks and waits have in common: which one it was, who held it, what the holder did. */
#ifndef WHYSCALE_EXPLAIN_LOCK_WORDS_H
#define WHYSCALE_EXPLAIN_LOCK_WORDS_H

#include "explain/finding.h"

/*
 * When a half sentence is worth it, as shares of all waiting for the lock: what the holder did other than run (a preempted holder, a
 * convoy, a holder that is itself blocked or asleep), and that one thread is the holder.
 */
#define LOCK_TELL_DOING 0.10
#define LOCK_TELL_HOLDER 0.60

/* The lock of a class that the workers waited for longest; NULL: no event names one. */
const struct worker_lock *lock_longest(const struct facts *f, enum ledger_class class);

/* The same among the waits of one kind, if at least half of the workers' waiting of that kind was for it. */
const struct worker_lock *lock_of_kind(const struct facts *f, unsigned int kind);

/*
 * What a lock's name, its waits, its holder and what that one did are, into the evidence; and the half sentences that matter, each
 * begun by "; ", to buf, which is returned. An evidence that cannot be filled for want of memory stays as it is.
 */
#define LOCK_STORY_SIZE 640
const char *lock_story(char buf[LOCK_STORY_SIZE], const struct worker_lock *lock, json_t *evidence);

/* "comm/tid", into buf, which is returned. */
#define LOCK_WHO_SIZE (EV_COMM_LEN + 12)
const char *lock_who(char buf[LOCK_WHO_SIZE], const char *comm, uint32_t tid);

/* "9 times, 11.3 ms each", or "once, for 11.3 ms": the workers' waits for it, into buf, which is returned, and into the evidence. */
#define LOCK_WAITS_SIZE 64
const char *lock_waits(char buf[LOCK_WAITS_SIZE], const struct worker_lock *lock, json_t *evidence);

/*
 * What the workers wait for, by its kind (or WAIT_OTHER), into buf, which is returned: "at a barrier (b in prog)", with the name where
 * lock_of_kind() has one, which goes into the evidence too, under the key `key`.
 */
#define WAIT_WORDS_SIZE (WORKER_LOCK_NAME + 80)
const char *wait_words(char buf[WAIT_WORDS_SIZE], const struct facts *f, unsigned int kind,
		       json_t *evidence, const char *key);

/* The word for it in evidence: "barrier". */
const char *wait_name(unsigned int kind);

/* A number as it is printed, into the evidence. */
void evidence_number(json_t *evidence, const char *key, double value);

/* The part of the sync waits that `serial` tells, ns: 0 when it is too little to be told. At most the part sync of the stack. */
int64_t serial_ns(const struct facts *f);

#endif
