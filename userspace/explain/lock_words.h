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

/* What somebody waits for, by its kind (or WAIT_OTHER): "at a barrier". */
const char *wait_words(unsigned int kind);

/* The word for it in evidence: "barrier". */
const char *wait_name(unsigned int kind);

/* A number as it is printed, into the evidence. */
void evidence_number(json_t *evidence, const char *key, double value);

/* The part of the sync waits that `serial` tells, ns: 0 when it is too little to be told. At most the part sync of the stack. */
int64_t serial_ns(const struct facts *f);

#endif
