/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For test_counter*.c: programs that count what they do, and the probe recording them.
 *
 * The programs are the test itself, run again with a role as its argument, and a pipe through which it tells what it counted:
 *
 *   nothing, sleep (SLEEPS times), touch (PAGES), spin (SPIN_MS), family (sleep, in a child process and THREADS threads)
 */
#ifndef WHYSCALE_TESTS_BPF_COUNTER_ROLE_H
#define WHYSCALE_TESTS_BPF_COUNTER_ROLE_H

#include "probes/probe.h"

#define SLEEPS 500
/* A timer may fire before the thread is off its CPU, on a virtual one: then there is no switch. */
#define SLEEPS_LEAST (SLEEPS - SLEEPS / 20)
#define PAGES 2000
#define SPIN_MS 150
#define THREADS 3

/* What a role saw of itself, from main() to its end. */
struct told {
	uint64_t switches, faults, cpu_ns;
	pid_t tids[THREADS];
};

/* main() of a test that was run with a role and a file descriptor. */
int counter_play(const char *role, int out);

void counter_sleep_often(int times);

/* The META of a recording of `env` that lasts as long as `meanwhile`; the caller's. */
json_t *counter_record(struct probe_env *env, void (*meanwhile)(void *), void *arg);

/* The same of a role, which burns CPU time before its exec. */
json_t *counter_record_role(const char *role, uint64_t spin_before_ms, struct told *ret_told);

/* What META says of a counter; its value, which fails the test where there is none; why there is none. */
const json_t *counter_of(const json_t *meta, const char *name);
uint64_t counter_value(const json_t *meta, const char *name);
const char *counter_unavailable(const json_t *meta, const char *name);

#endif
