/* SPDX-License-Identifier: GPL-2.0-only */
/* A test's one trace, written anew by each recording, in a directory of its own. Include it behind cmocka.h. */
#ifndef WHYSCALE_TESTS_BPF_ONE_TRACE_H
#define WHYSCALE_TESTS_BPF_ONE_TRACE_H

#include "analysis/load.h"
#include "record/record.h"

/* Where the trace is, and where a program under test writes what it did (KNOWN_FACTS is that path). */
extern char one_trace[], one_facts[];

/* For cmocka_run_group_tests. */
int one_trace_setup(void **state);
int one_trace_teardown(void **state);

/* The path of tests/e2e/progs/NAME; a static string, of the last call. */
char *one_prog(const char *name);

/* Skips the test, with the reason, where the scheduler programs cannot be loaded. */
void need_bpf(void);

/* Records into one_trace; fails the test where that fails. */
struct record_result one_record(struct record_options opts);

/* Records a command, which must end with 0. */
struct record_result one_command(char *const *argv);

/* The same, again while records are lost, as they may be where the machine is busy; skips the test after the third time. */
void one_whole_command(char *const *argv);

/* An integer of a line of one_facts. */
int64_t one_number(const json_t *fact, const char *key);

/* The trace, whole, with all its records well-formed; the caller's. */
struct loaded *one_load(void);

/* The thread with that tid; fails the test where there is none. */
const struct thread *one_thread(const struct loaded *l, uint32_t tid);

/* A process that burns CPU time until it is killed, or for 20 s. */
pid_t one_burner(void);

#endif
