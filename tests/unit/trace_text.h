/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces as text, so that a test case can be read. One event a line, "TIME cpuN EVENT":
 *
 *   100 cpu0 snap A tid=7 oncpu | blocked S:read | target S:read | queued
 *   100 cpu0 snap A known oncpu | known blocked S:read | ready [preempted] [throttled]	in a cut trace, with the seq as of now
 *   100 cpu0 fork A > B tid=8
 *   100 cpu0 switch A/S:nanosleep B	prev/state next
 *   100 cpu0 wake A by B [oncpu] [delayed] [seq=N] [task|hardirq|softirq] [on=CPU]
 *   100 cpu0 wakeup A [by B] [new] [throttled] [nowake] [seq=N] [on=CPU] [queued=NS]	so long before
 *   100 cpu0 task A cpus=MASK			the CPUs that it may use
 *   100 cpu0 migrate A 0 1 [queued]		from, to
 *   100 cpu0 exec A tid=7 | exit A | name A worker
 *   100 cpu0 missed A in arrival=50 queue=20 n=1 | missed A wakeup queue=5
 *   100 cpu0 unbooked A moved 30 | left 30 | before 30	of the next switch
 *   100 cpu0 books A first|dead|end v=1 i=2 m=3 exec=400 delay=50 [born=20]
 *   100 cpu0 lost 20 80 5			first, last, records
 *   100 cpu0 futex A addr=4096 op=128 val=2 word=2 owner=7,1,0 [pc=N] [timeout] [vector]	of the next switch-out, or ("now") the last
 *   100 cpu0 klock A addr=4096			of the next switch-out
 *   100 cpu0 klockend A addr=4096 for=30 [spin]
 *   100 cpu0 counts A v=12,34 [enabled=9,9 running=9,3] [unknown] | counts A total|exec v=12,34 [slices=1]	of the next switch-out
 *   100 cpu0 irq 30 | irq before		it ends here
 *   100 cpu0 calls A sample|off|wake k=1 u=2 py=3 [nokernel] [nouser] [nopython]	off: of the next switch-out
 *   100 cpu0 kstack 1 0x10 0x20 ... [cut] [part=0 parts=2] | uframes 2 tgid=1 ...	addresses, innermost first
 *   100 cpu0 pystack 3 tgid=1 version=11 7@12! 8@0 ...			code@instruction, "!" for PY_ENTRY
 *   100 cpu0 pycode 7 NAME FILE line=1 version=11 [table=HEX]		table: the last word
 *   100 cpu0 map 0x1000 0x2000 PATH [tgid=1]				trace_text_write() only
 *
 * Threads may have ns=TID,NAMESPACE (snap, fork; else their tid in namespace 1); a wake-up has why=1 (woken), 2 (time limit), 3 (signal).
 *
 * Threads are A to Z (serials 1 to 26), `idle`, or u77 (a foreign tid). States of prev: S and D (interruptible or not) with
 * :call,arg1,arg2; T stopped; F frozen; I iowait; X dead; and, still runnable, P preempted, R at a tick, Y sched_yield, Q throttled.
 * The seqs are counted here. "!" in front of a line: it happened, but its record was dropped. "#": a comment.
 */
#ifndef WHYSCALE_TESTS_TRACE_TEXT_H
#define WHYSCALE_TESTS_TRACE_TEXT_H

#include "analysis/ledger.h"
#include "analysis/locks.h"
#include "analysis/passes.h"

#define TRACE_TEXT_CPUS 4
#define TRACE_TEXT_EPOCH 1000000ull /* for ledger_epoch() */

/* An empty ledger of so many CPUs (x86-64); the caller's. */
struct ledger *trace_text_ledger(void);

/* Feeds a text to a ledger (x86-64). A line that cannot be read fails the test. */
void trace_text_feed(struct ledger *l, const char *text);
void trace_text_feed_passes(struct ledger *l, struct passes *passes, const char *text);
void trace_text_feed_locks(struct ledger *l, struct passes *passes, struct locks *locks,
			   const char *text);

/* A ledger_wait_fn; arg: an array of struct lock. Who waits for the word at address n waits for the nth of them. */
enum ledger_class trace_text_on_wait(void *arg, struct thread *t, const uint64_t *rec,
				     enum ledger_class class);

/* Writes a text into a trace file instead, with that META; see trace/writer.h. */
void trace_text_write(const char *path, const json_t *meta, const char *text);

/*
 * What a ledger says, one thread a line, in order of serial: "A 100-900 oncpu=300 sleep=500 v=1 i=0", classes of 0 ns
 * left out. The caller frees it.
 */
char *trace_text_show(const struct ledger *l);

#endif
