/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why the same work took more time on a CPU: the stack's inflation (stack.h) split by what is known about it.
 *
 *   inflation = shared + switches + migrations + steal + instructions + ipc + unexplained     (ns, exactly)
 *
 * All are differences, this run less the reference. Unexplained is what remains, printed and never spread over the others. What is not
 * known is 0 and says so; what is an estimate carries an interval, and so does what remains.
 *
 *   shared        CPUs that run at once slow each other down. The run's own capacity measurement gives i(n), the CPU time of a turn on n CPUs
 *                 at once over one alone; with k workers running at once, i(k) = 1 + (i(n) - 1) (k - 1) / (n - 1), and of their k
 *                 ns on CPUs in each ns, 1 - 1 / i(k) is what the others cost. Summed over the time with k = 1, 2 ... running.
 *   switches      number of the workers' switches x the cost of one, as calibrated
 *   migrations    number of the workers' migrations x the cost of one, as calibrated, over all working sets
 *   steal         what the hypervisor took while a worker was on a CPU, by the kernel's own count
 *   instructions  more instructions, at the reference's time for each: (I - I0) t0 / I0
 *   ipc           fewer instructions per cycle: I (C / I - C0 / I0) t0 / C0, less shared and migrations, which are seen as such
 *
 * The additive split of time lost after Eyerman, Du Bois and Eeckhout, "Speedup Stacks: Identifying Scaling Bottlenecks in
 * Multi-Threaded Applications" (ISPASS 2012), where simulated hardware counts what is estimated here; instructions and IPC as the POP
 * project's instruction scaling and IPC scaling, whose product with the frequency's is computation scaling.
 */
#ifndef WHYSCALE_ANALYSIS_INFLATION_H
#define WHYSCALE_ANALYSIS_INFLATION_H

#include <stdbool.h>
#include <stdint.h>

#include "analysis/cost.h"
#include "analysis/experiment.h"
#include "analysis/stack.h"

enum inflation_part {
	INFLATION_SHARED,
	INFLATION_SWITCHES,
	INFLATION_MIGRATIONS,
	INFLATION_STEAL,
	INFLATION_INSTRUCTIONS,
	INFLATION_IPC,
	INFLATION_UNEXPLAINED,
	INFLATION_NR
};

/* The name in every output: "shared" ... */
const char *inflation_part_name(enum inflation_part part);

/* i(n), as capacity.h measures it; times 0: not measured. */
struct shared_capacity {
	unsigned int cpus;
	double times, times_min, times_max;
};

struct inflation_piece {
	bool known, estimate;
	int64_t ns, low_ns, high_ns; /* the three are the same where it is no estimate */
};

struct inflation_split {
	bool known; /* false without a reference: then all are 0 */
	int64_t total_ns;
	struct shared_capacity capacity;            /* that `shared` comes from */
	struct inflation_piece piece[INFLATION_NR]; /* they sum to total_ns */
};

/* `reference` may be NULL: not known. `costs` too: not calibrated. */
void inflation_make(const struct experiment *run, const struct experiment *reference,
		    const struct stack *stack, const struct shared_capacity *capacity,
		    const struct machine_costs *costs, struct inflation_split *ret_split);

#endif
