/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small scheduler that knows the truth: random threads on random CPUs, recorded as bpf/sched.bpf.c would, with
 * records dropped as a full buffer would drop them. For property tests of whoever reads events.
 */
#ifndef WHYSCALE_TESTS_SCHED_SIM_H
#define WHYSCALE_TESTS_SCHED_SIM_H

#include "analysis/ledger.h"

#define SIM_CPUS 4
#define SIM_SLOTS 10
#define SIM_SERIALS 64

#define SIM_EPOCH 1000000000ull /* what EV_BOOKS' start_ns goes by */
#define SIM_OLD 3               /* serials up to this one were there when the recording began */

/* The process of a thread: there are three, none of them with a leader. */
static inline uint32_t sim_tgid(uint32_t serial)
{
	return 1000 + serial % 3;
}

struct sim_options {
	uint64_t seed;
	unsigned int steps;
	bool drops; /* buffers run full */
	bool ties;  /* equal times on different CPUs */
	bool holes; /* switch-ins and wake-ups that no probe sees, told by EV_MISSED */
	bool locks; /* futexes and kernel locks are waited for */
};

struct sim_interval {
	uint64_t from_ns, to_ns;
	enum ledger_class class;
};

struct sim_thread {
	uint64_t start_ns, end_ns;
	struct sim_interval *interval; /* in order, without gaps */
	size_t nr, cap;
	uint64_t ledger_ns[CLASS_NR];
	uint64_t voluntary, involuntary, yields, migrations;
	uint64_t hole_ns; /* since when nobody can know what it does: not told before the end; or 0 */
};

struct sim_event {
	uint64_t time_ns;
	unsigned int cpu;
	uint64_t order;
	uint64_t rec[16];
};

struct sim_result {
	struct sim_event *event; /* in the order in which a reader gives them */
	size_t nr, cap;
	struct sim_thread thread[SIM_SERIALS]; /* by serial, from 1 */
	unsigned int nr_serials;
	uint64_t end_ns;
	uint64_t dropped;
};

void sim_run(const struct sim_options *options, struct sim_result *ret_result);
void sim_free(struct sim_result *result);

#endif
