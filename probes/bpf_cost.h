/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What our BPF programs cost while they run. The kernel times a program only when statistics are on, and that alone costs about as much
 * as a small program (30-80 ns a run). So they are on only in short windows, and the mean of the timed runs is taken for
 * all of them:
 *
 *   cost = time in the windows / runs counted by ourselves in the windows * all runs counted by ourselves
 *
 * A window closes when enough runs were timed, or after a while, and the next one opens after four hundred times its length.
 */
#ifndef WHYSCALE_PROBES_BPF_COST_H
#define WHYSCALE_PROBES_BPF_COST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct bpf_object;

#define BPF_COST_OBJECTS 4
struct bpf_cost {
	struct bpf_object *object[BPF_COST_OBJECTS];
	unsigned int nr_objects;
	int stats_fd;                /* statistics are on while it is open; -1 */
	uint64_t opened_ns, next_ns; /* this window's beginning; when to open or close the next */
	uint64_t window_runs;        /* `runs` when the window opened */
	uint64_t window_time_ns;
	uint64_t timed_runs, timed_ns; /* in closed windows */
};

void bpf_cost_init(struct bpf_cost *c, struct bpf_object *object);
/* Another object whose programs are counted; before the first tick. It must outlive the last call of the others. */
void bpf_cost_add(struct bpf_cost *c, struct bpf_object *object);

/*
 * Opens or closes a window when that is due; runs: our own count of runs so far. Without the privilege it does nothing. True while one is
 * open: it should be closed as soon as it has told enough, as each run costs a third more meanwhile.
 */
bool bpf_cost_tick(struct bpf_cost *c, uint64_t runs);

/* Closes the window and adds bpf_ns, bpf_runs, bpf_sampled_runs, bpf_estimated and recursion_misses to `into`. */
int bpf_cost_report(struct bpf_cost *c, uint64_t runs, json_t *into);

#endif
