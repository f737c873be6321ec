/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a trace with call stacks to a flame tree, in nanoseconds, whose total is the ledger's, exactly:
 *
 *   CALLS_ON    sum of `oncpu`         CALLS_OFF, CALLS_WAKE   sum of all waits: every class but oncpu and untracked
 *                                      CALLS_LOCK              sum of lock, gil and klock
 *
 * Stacks, outermost frame first (what is in brackets only if it applies):
 *
 *   ON    (thread) (cut) user ... kernel ...
 *   OFF   (thread) (cut) user ... kernel ... class                                        class: of the ledger, FLAME_WAITING
 *   WAKE  (thread) (cut) user ... kernel ... class "--" waker's innermost ... outermost (cut) its "comm/tid"     or "[interrupt]"
 *   LOCK  lock's name, "held by comm/tid", (thread) (cut) user ... kernel ...
 *
 * On-CPU: a sample stands for the on-CPU time of its thread since the thread's sample before (or the beginning of its life) up to
 * itself; what follows the last one belongs to the last one. Samples come at a fixed rate of on-CPU time, whatever the code does, so
 * a function's share converges to the truth, and the sum is exact from the first sample on. A thread without a sample is
 * CALLS_NOT_CAPTURED, and so is the time in which its CPU dropped records, samples perhaps among them.
 *
 * Off-CPU: all that the ledger tells between a switch-out and the next switch-in gets the stack of that switch-out, in the classes into
 * which the ledger split it. Locks: by the spans of their holders, see locks.h.
 *
 * A stack that was not captured, was lost, or cannot be read keeps its time, as CALLS_NOT_CAPTURED. That stands outermost, too, where only the
 * Python part of a stack could be had.
 */
#ifndef WHYSCALE_ANALYSIS_CALLS_H
#define WHYSCALE_ANALYSIS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/class.h"
#include "analysis/flame_tree.h"
#include "base/err.h"

/* Frames of kind FLAME_NOTE. */
#define CALLS_NOT_CAPTURED "[stack not captured]"
#define CALLS_CUT "[cut]" /* at the root: there were more frames outside */
#define CALLS_IN_PART \
	"[unwound in part]" /* likewise; what leads from the frame above to its caller is not known */
#define CALLS_EXEC \
	"[exec]" /* at the root: in execve(), where the old program is gone and the new one has not begun */
#define CALLS_NEW "[new thread]" /* it waits for its first turn on a CPU: it has no stack yet */
#define CALLS_INTERRUPT "[interrupt]" /* as a waker */
#define CALLS_NO_WAKER "[waker not known]"
#define CALLS_NO_HOLDER "[holder not known]"
#define CALLS_NO_LOCK "[lock not known]"
#define CALLS_NOT_WOKEN "[not woken]"       /* it still waited when the recording ended */
#define CALLS_NO_CODE "[code not captured]" /* FLAME_PYTHON: a function of unknown name */
#define CALLS_WAKER_BELOW "--"

enum calls_mode { CALLS_ON, CALLS_OFF, CALLS_WAKE, CALLS_LOCK };

struct calls_options {
	enum calls_mode mode;
	bool inlined; /* inlined functions are frames, FLAME_INLINED */
	bool python; /* frames of CPython's interpreter loop become Python functions, FLAME_PYTHON */
	bool lines;  /* "function (file:line)", the line that was executed */
	bool per_thread; /* the outermost frame (LOCK: behind the holder) is "comm/tid", FLAME_THREAD */
	bool no_kernel;           /* leave kernel frames out */
	bool no_jit;              /* leave /tmp/perf-PID.map alone */
	const char *root, *debug; /* as in struct elf_where; NULL: the defaults */
};

/*
 * A name is a function's bare name, demangled. FLAME_PYTHON: "function (file:line)", where the line is that of its definition, or with
 * o->lines the one that was executed. What follows the last " (" can be left out.
 */

struct calls_problem {
	char *path, *reason; /* a file that could not be read or used, and why: one sentence */
};

/* Times in ns, counts in samples (ON) or waits; a wait that the ledger split counts once for each class. */
struct calls_summary {
	enum calls_mode mode;
	char *command; /* that was recorded, quoted as a shell needs it; "" when there was none */
	uint64_t wall_ns;
	bool has_stacks;       /* the trace has any stack of this kind at all */
	uint64_t total_ns;     /* the tree's total, the ledger's */
	uint64_t missing_ns;   /* of it, CALLS_NOT_CAPTURED */
	uint64_t cut_ns;       /* of it, CALLS_CUT: stacks that are not whole */
	uint64_t in_part_ns;   /* of it, CALLS_IN_PART */
	uint64_t untracked_ns; /* not in the total: the ledger's `untracked` */
	uint64_t count, missing, cut, in_part;
	uint64_t stacks;      /* different ones */
	uint64_t absent;      /* ids that no record explained, or not whole */
	uint64_t refused;     /* records of stacks for which there was no room */
	uint64_t no_python;   /* of count: Python was asked for and could not be read at the time */
	uint64_t lost_events; /* records dropped by the recorder */
	uint64_t kernel_checks,
		kernel_changed; /* known kernel stacks walked anew; that were others */
	struct calls_problem *problem;
	size_t nr_problems;
};

/*
 * Reads the trace and makes the tree (finished, in order of names). The caller frees both with flame_tree_free() and
 * calls_summary_free(). Errors as load_open(); a trace without stacks is none: see has_stacks. Damage in the file is none either,
 * and its sentence is among the problems.
 */
int calls_tree(const char *trace_path, const struct calls_options *o, struct flame_tree **ret_tree,
	       struct calls_summary *ret_summary, struct err *err);

/* All zeros is fine. */
void calls_summary_free(struct calls_summary *s);

#endif
