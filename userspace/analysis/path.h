/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk back in time: what a moment had to wait for.
 *
 *   A   oncpu |======= sync, ended by B =======|   oncpu ...
 *   B    |== io, ended by a disk ==| oncpu     |
 *                                              ^ B wakes A: before this moment, the path is B's
 *
 * From a thread at a moment, back to an earlier one: what the thread did is on the path, until a wait of it that a recorded thread
 * ended by waking it, of its own doing: there the path goes on with what that thread did before. A wait that an interrupt ended
 * (timer, disk, network) is on the path itself; so is one that was ended by nobody known, or by a thread that is not recorded ("waiting
 * for NAME outside"). A new thread's path goes on with its maker. Each slice ends where the one before it begins, so they sum to the
 * time walked, exactly, and cycles cannot be: time only goes back. After wPerf (Zhou et al., OSDI 2018), with each wait followed by
 * slices of time.
 */
#ifndef WHYSCALE_ANALYSIS_PATH_H
#define WHYSCALE_ANALYSIS_PATH_H

#include "analysis/history.h"

struct path_slice {
	const struct thread *
		thread; /* NULL: not known, or older than what is kept; the class is then untracked */
	enum ledger_class class;
	uint64_t from_ns, to_ns;
	uint32_t outside; /* who ended it (WHO_UNTRACKED set), where that was a thread that is not recorded; or 0 */
	bool jumped; /* the slice before it (later in time) was another thread's */
};

typedef void (*path_fn)(void *arg, const struct path_slice *slice);

/*
 * Walks from `t` at end_ns back to begin_ns, which is not later. fn is called for each slice, the latest first; none is empty, and
 * they sum to end_ns - begin_ns. May be called while events are read, in a ledger's watcher too, for an end_ns that is
 * not later than now; what a thread does now counts as what the ledger takes it to be. In a watcher, `t` itself must not be the thread
 * that it is called for: its wait is being closed there; begin with its waker.
 */
void path_walk(const struct history *h, const struct thread *t, uint64_t end_ns, uint64_t begin_ns,
	       path_fn fn, void *arg);

/* The same, of at most `max` slices: what is older than these is one more, not known. */
void path_walk_some(const struct history *h, const struct thread *t, uint64_t end_ns,
		    uint64_t begin_ns, size_t max, path_fn fn, void *arg);

/* A sum of slices. */
struct path_part {
	const struct thread *thread; /* NULL: not known */
	enum ledger_class class;
	uint32_t outside;
	uint64_t ns;
};

/* The path from the end of the run to its beginning. */
struct critical_path {
	uint64_t begin_ns, end_ns;
	const struct thread *last; /* where it ends */
	struct path_part *
		part; /* sum to end_ns - begin_ns; in the order of the threads' serials, unknown first */
	size_t nr;
	uint64_t slices, jumps; /* pieces of it; how often it goes over to another thread */
};

/*
 * After ledger_finish(). begin_ns and end_ns: of the run (its first thread's start, its last one's end). The path begins with the
 * thread that ended last; of several, with the one that did something last. Release it with critical_path_free(). 0 or -ENOMEM.
 */
int critical_path_make(const struct history *h, uint64_t begin_ns, uint64_t end_ns,
		       struct critical_path *ret_path);
void critical_path_free(struct critical_path *path);

#endif
