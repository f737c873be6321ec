/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The run once more, without one of its causes of delay: how long it would have taken at least.
 *
 *   recorded   A |== run ==|- wait for L, held by B -|q|== run ==|        A |== run ==|== run ==|
 *              B |====== run ======= lets go of L ===|==|          --->   B |====== run =======|==|
 *                                                                         without the waits for L
 *
 * Each thread becomes a list of what it does: so much time on a CPU, wake-ups that it gives at known points of that, waits. A wait that
 * another recorded thread ended lasts until that thread has got as far; every other wait (timers, disks, threads that are not
 * recorded) takes as long as it took. Then the lists are played again, on as many CPUs as the threads may use:
 *
 *   as it was     must come out at the time measured; where it is off by more than REPLAY_OFF_MAX, nothing is predicted
 *   without X     the waits of X take no time, and neither do the waits for a CPU after them; each keeps its time on a CPU
 *
 *   no moves      the time on a CPU behind each move to another CPU is shorter by what a move costs here (cost.h): by its middle value in
 *                 `expected`, by the most in `least`; not made where nobody measured that cost
 *   pinned        each thread may use one CPU only, the k-th one the k-th CPU and so on in turns; no moves, as above (if the cost is known)
 *   apart         no wait for any lock of the program or its interpreter, as if each thread were a process with its own
 *   serial        as no spawn; and what only coordinators do (work.h) is divided among the lanes: it takes 1/lanes of its time on a CPU
 *   even          each worker's time on a CPU is such a share of all that work that they end at once: less, where it begins later; and
 *                 so is its waiting for a CPU behind others. Made where all workers live at one time
 *   no spawn      all threads that a coordinator makes before it waits for something are there with the first of them; and who does
 *                 not work takes no time on a CPU. Neither is made where a worker makes threads: how much of its work that is, is not known
 *   shorter       the workers' time on a CPU is shorter by a factor: what the same work took elsewhere
 *   first         none waits for a CPU behind programs that are not recorded: after another thread was given its CPU (`expected`), ever (`least`)
 *
 * What is assumed: who waits for whom stays as recorded, and no new waits come; time on a CPU stays the same; what a wait for a CPU
 * took while a CPU was free (waking an idle one, programs that are not recorded) stays. Ready threads get a free CPU in the
 * recorded order as long as the replay follows the recording, and in turns of REPLAY_SLICE_NS from then on (a list scheduler).
 *
 * A list scheduler need not find the shortest schedule, and less waiting may even make it longer (R. Graham, "Bounds on Multiprocessing
 * Timing Anomalies", SIAM J. Appl. Math. 17, 1969). So there are two answers: `expected`, what it found, never above the run as it
 * was (the recorded order remains possible); and `least`, below which no scheduler gets: the larger of the time with CPUs without
 * limit (the longest chain of what waits for what) and of the work divided by the CPUs.
 *
 * After the ideas of causal profiling (Curtsinger and Berger, "Coz", SOSP 2015: what a change would bring, not where the time is), and
 * of wPerf (Zhou et al., OSDI 2018: waits followed to who ended them).
 */
#ifndef WHYSCALE_ANALYSIS_REPLAY_H
#define WHYSCALE_ANALYSIS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "analysis/cost.h"
#include "analysis/history.h"
#include "analysis/ledger.h"
#include "analysis/locks.h"

#define REPLAY_OFF_MAX 0.01       /* of the measured time */
#define REPLAY_UNTRACKED_MAX 0.01 /* of the threads' time: with more nothing is predicted */
#define REPLAY_SLICE_NS 4000000ull
/*
 * What threads do, and slices of what they run: 4.6 hours on CPUs. With more nothing is predicted. tests/fuzz/run gives another
 * number, as steps take long there.
 */
#ifndef REPLAY_STEPS_MAX
#define REPLAY_STEPS_MAX (4u << 20)
#endif

enum replay_what {
	REPLAY_GIL,       /* no wait for an interpreter's lock */
	REPLAY_LOCK,      /* no wait for any lock of the program */
	REPLAY_KLOCK,     /* no blocking on a lock of the kernel */
	REPLAY_RUNQUEUE,  /* a CPU at once whenever one is wanted */
	REPLAY_THROTTLED, /* no CPU quota */
	REPLAY_IO,        /* no wait for pipes, sockets, files, the disk */
	REPLAY_ONE_MORE,  /* one CPU more */
	REPLAY_ONE_LESS,  /* one CPU less; not made where there was one only */
	REPLAY_MOVES,     /* no migrations: nothing of what they cost */
	REPLAY_PINNED,    /* each thread on one CPU, in turns; may take longer */
	REPLAY_FIRST,     /* before all programs that are not recorded */
	REPLAY_SYNC,      /* no wait of a worker for another one's work; see replay_make() */
	REPLAY_SLEEP,     /* no worker sleeps until a time of its own */
	REPLAY_APART,     /* no wait for any lock of the program, nor for an interpreter's */
	REPLAY_SERIAL,    /* what coordinators do alone, divided among the lanes */
	REPLAY_EVEN,      /* the workers' work, divided so that all end at once */
	REPLAY_SPAWN,     /* starting the workers and collecting them takes no time */
	REPLAY_NR
};

struct replay_time {
	bool made;
	uint64_t expected_ns, least_ns; /* of the whole recording, as measured_ns */
};

#define REPLAY_KEPT_OPS (1u << 18) /* some 10 MB */
#define REPLAY_LOCKS 4
#define REPLAY_NAME 96

struct replay_lock {
	char name[REPLAY_NAME]; /* printable ASCII only */
	enum lock_kind kind;
	uint64_t wait_ns; /* of all threads */
	struct replay_time without;
};

struct replay {
	bool good;     /* else nothing of what follows `why` holds */
	char why[160]; /* why not: a half sentence without an end; "" when it was not tried */
	uint64_t measured_ns, as_is_ns;
	unsigned int cpus;            /* that the recorded threads could use */
	size_t threads, waits, edges; /* edges: waits that another recorded thread ended */
	size_t lanes;                 /* work.h; 0: not known */
	uint64_t moves;               /* migrations in front of a time on a CPU */
	struct cost_range move_cost;  /* of each */
	struct replay_time without[REPLAY_NR];
	struct replay_lock lock[REPLAY_LOCKS]; /* waited for longest; without that one alone */
	size_t nr_locks;
	struct replay_model *
		model; /* for replay_shorter(); NULL: there is none, or it has more than REPLAY_KEPT_OPS */
};

struct replay_source;
struct work; /* work.h */

/* Listens to the ledger for which lock each wait was for; before its first event, after passes_new(). 0 or -ENOMEM. */
int replay_listen(struct ledger *l, struct replay_source **ret_source);

/*
 * After ledger_finish(), while history and locks (NULL: no names) live. nr_cpus and costs (NULL: not known): of the machine that worked. work
 * says when each thread works: what it waits for at other times, as one that only starts others and waits for their end, is no loss, and
 * without REPLAY_SYNC's and REPLAY_SLEEP's waits these stay (NULL: all work all the time, and REPLAY_SERIAL, _EVEN and _SPAWN are not
 * made). Where a replay cannot be trusted ret_replay says why. 0 or -ENOMEM; replay_free() in any case.
 */
int replay_make(struct replay_source *source, const struct history *history,
		const struct locks *locks, const struct work *work, unsigned int nr_cpus,
		const struct machine_costs *costs, struct replay *ret_replay);

void replay_source_free(struct replay_source *source);
void replay_free(struct replay *r);

/* The workers' time on a CPU divided by `times` (1 or more). Not made where it is not known who works, or no model was kept. 0 or -ENOMEM. */
int replay_shorter(const struct replay *r, double times, struct replay_time *ret);

/* All of that for a file. 0, -ENOMEM, or as load_open(). */
int replay_trace(const char *path, const struct machine_costs *costs, struct replay *ret_replay,
		 struct err *err);

/* A share of a run of run_ns that lies within the recording: what it would take, when the recording took time_ns instead. */
uint64_t replay_of_run(const struct replay *r, uint64_t run_ns, uint64_t time_ns);

#endif
