/* SPDX-License-Identifier: GPL-2.0-only */
/* What holds for every finding, whatever it says; and runs made up for findings. */
#ifndef WHYSCALE_TESTS_EXPLAIN_HELP_H
#define WHYSCALE_TESTS_EXPLAIN_HELP_H

#include "explain/finding.h"

/* Each number in the sentence stands in the evidence: as that number when printed alike, or in one of its words. */
void explain_check_numbers(const struct facts *f, const struct finding *finding);

/* All of that, the order, the form; and the losses sum to no more than the workers lost. */
void explain_check_all(const struct facts *f, const struct findings *all);

/* ---- runs made up for a test ---- */

#define T 1000000000ll /* wall time of every made run, ns */
#define MS 1000000ll
#define WORKERS 4

/* A run of four workers on four CPUs, twice as fast as its reference, that lost nothing. The tests change what they need. */
struct made {
	uint64_t oncpu_ns[WORKERS + 1];
	struct experiment_worker worker[WORKERS];
	struct experiment run;
	struct stack stack;
	struct facts facts;
};

void explain_make(struct made *m); /* points into itself: it stays where it is */

/* So many ms of the workers' 4000 were lost to a part. */
void explain_lose(struct made *m, enum stack_part part, int64_t ms);

/* The waits of a class, so many ms in all, were for this lock. */
struct worker_lock *explain_wait_for(struct made *m, enum lock_kind kind, const char *name,
				     uint64_t waits, int64_t ms);

/* Of that waiting, so many ms the holder did something other than run. */
void explain_holder_did(struct worker_lock *lock, enum lock_doing what, int64_t ms);

/* Asks every cause, and checks what they say with explain_check_all(). findings_free() is the caller's. */
void explain_find(const struct made *m, struct findings *all);

/* The finding of that cause, NULL: there is none. */
const struct finding *explain_the(const struct findings *all, const char *cause);

/* Both. */
const struct finding *explain_find_the(const struct made *m, struct findings *all,
				       const char *cause);

/* Its sentence has, or has not, this text. */
void explain_says(const struct finding *f, const char *text);
void explain_silent(const struct finding *f, const char *text);

/* A number of its evidence. */
double explain_evidence(const struct finding *f, const char *key);

#endif
