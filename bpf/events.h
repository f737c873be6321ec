/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The wire structs: what a probe writes into its CPU's buffer, byte for byte what the trace file holds.
 *
 * A record is 2 to 31 words of 64 bits. Word 0 is the same in all of them:
 *
 *    63                              16 15    11 10     6 5     0
 *   +----------------------------------+--------+--------+-------+
 *   | time, ns since the trace's epoch | words  | kind   | flags |
 *   +----------------------------------+--------+--------+-------+
 *
 * Its words are never 0, and the reader of a buffer leaves zeros behind, so a word 0 that is not 0 says that
 * the record is whole. The time is the lower 48 bits (78 hours) of CLOCK_MONOTONIC minus the epoch; a chunk of the
 * file carries the full time of its first record.
 *
 * A *who* names a thread in 32 bits: 0 is the idle task; with WHO_UNTRACKED set, the low 31 bits are the tid of
 * a thread that is not ours; otherwise it is the serial number that we gave to a tracked thread (tids are reused, and two
 * tasks may carry one tid for a moment).
 *
 * Tids and pids are those of the recorder's pid namespace. A thread or process that has none there (it runs outside of the recorder's
 * container) has WHO_OUTSIDE set; the bits below tell such threads apart and mean nothing else.
 *
 * seq is the lower 16 bits of the number of switch-outs of the thread that the probe has seen, dropped records
 * included: it tells a reader whether a switch of this very thread is missing between two of its records.
 */
#ifndef WHYSCALE_EVENTS_H
#define WHYSCALE_EVENTS_H

#ifndef __BPF__
#include <stdint.h>
typedef uint64_t ev_u64;
typedef uint32_t ev_u32;
typedef uint16_t ev_u16;
typedef uint8_t ev_u8;
#else
typedef unsigned long long ev_u64;
typedef unsigned int ev_u32;
typedef unsigned short ev_u16;
typedef unsigned char ev_u8;
#endif

#define EV_FLAGS_BITS 6
#define EV_KIND_BITS 5
#define EV_WORDS_BITS 5
#define EV_KIND_SHIFT EV_FLAGS_BITS
#define EV_WORDS_SHIFT (EV_KIND_SHIFT + EV_KIND_BITS)
#define EV_TIME_SHIFT (EV_WORDS_SHIFT + EV_WORDS_BITS)
#define EV_TIME_BITS (64 - EV_TIME_SHIFT)
#define EV_MAX_WORDS ((1 << EV_WORDS_BITS) - 1)

#define EV_WORD0(time, words, kind, flags)                                     \
	((ev_u64)(time) << EV_TIME_SHIFT | (ev_u64)(words) << EV_WORDS_SHIFT | \
	 (ev_u64)(kind) << EV_KIND_SHIFT | (ev_u64)(flags))
#define EV_FLAGS(w0) ((unsigned int)((w0) & ((1u << EV_FLAGS_BITS) - 1)))
#define EV_KIND(w0) ((unsigned int)((w0) >> EV_KIND_SHIFT & ((1u << EV_KIND_BITS) - 1)))
#define EV_WORDS(w0) ((unsigned int)((w0) >> EV_WORDS_SHIFT & ((1u << EV_WORDS_BITS) - 1)))
#define EV_TIME(w0) ((w0) >> EV_TIME_SHIFT)

#define WHO_IDLE 0u
#define WHO_UNTRACKED 0x80000000u
#define WHO_OUTSIDE 0x40000000u /* numbers go up to 2^22 */

enum ev_kind {
	EV_KIND_NONE,
	EV_SWITCH, /* this CPU left `prev` for `next` */
	EV_WAKE, /* sched_waking: a thread that does not run is being woken, here is who does it */
	EV_WAKEUP, /* sched_wakeup(_new): it is on a run queue now; left out where EV_WAKE just said so */
	EV_MIGRATE, /* set to another CPU */
	EV_FORK,    /* a tracked thread made a new one, which is tracked from here on */
	EV_SNAP,    /* a thread that was there when the recording began */
	EV_EXEC,    /* another program (and perhaps another tid) in a tracked thread */
	EV_EXIT, /* a tracked thread has begun to exit; its life ends at the switch with TASK_DEAD */
	EV_NAME, /* the name of a tracked thread from here on, or of an untracked one that was met */
	EV_BOOKS, /* the kernel's own counts for a thread */
	EV_TASK,  /* scheduling policy, priority, allowed CPUs and cgroup from here on */
	EV_MISSED, /* an event of this thread never reached a probe; what the kernel's books say about it */
	EV_LOST,  /* records that this CPU dropped */
	EV_FUTEX, /* the futex for which the thread of the next EV_SWITCH waits */
	EV_STACK, /* a part of a thread's user stack, in front of the EV_FUTEX that asked for it */
	EV_KLOCK, /* the kernel lock for which the thread of the next EV_SWITCH waits */
	EV_KLOCK_END, /* it has got, or given up, a kernel lock that somebody else held */
	EV_IRQ,       /* this CPU has served an interrupt while a tracked thread waited for it */
	EV_CALLS, /* which call stacks a thread had, when it was sampled, left the CPU or woke another one */
	EV_KSTACK,  /* a kernel stack, in front of the first EV_CALLS that names it */
	EV_USTACK,  /* a part of a user stack, to be unwound, likewise */
	EV_UFRAMES, /* a user stack found by frame pointers, likewise */
	EV_PYSTACK, /* the frames of a Python thread, likewise */
	EV_PYCODE, /* a part of what a Python code object says, in front of the first EV_PYSTACK that names it */
	EV_COUNTS, /* what the counters counted while a thread had the CPU, in front of the EV_SWITCH that ends it */
	EV_UNBOOKED, /* time of a thread that is in none of the kernel's books */
	EV_KIND_NR
};

/*
 * EV_SWITCH, 3 words. The flags are about prev. With SW_RUNNABLE, state holds SWR_* instead of the task's state. nr and the arguments are those of the system call that prev is in,
 * from its saved registers; EV_NO_SYSCALL when it was interrupted, is leaving sched_yield, or has no user registers (kernel thread).
 */
#define SW_PREEMPT 0x01   /* the kernel's `preempt` argument: involuntary whatever the state */
#define SW_RUNNABLE 0x02  /* prev is still on the run queue (on_rq && !sched_delayed) */
#define SW_IOWAIT 0x04    /* prev->in_iowait */
#define SW_THROTTLED 0x08 /* prev's cgroup has used up its CPU quota */
#define SW_COMPAT 0x10    /* prev is in a 32-bit system call: nr is of the other table */
#define SW_FROZEN 0x20    /* TASK_FROZEN */

#define SWR_VOLUNTARY \
	0x01 /* the kernel counted it as voluntary: prev was about to sleep, and a signal kept it */
#define SWR_NOT_RUNNING \
	0x02 /* its state was not TASK_RUNNING: sched_info does not count the wait that begins */

#define EV_NO_SYSCALL 0x3ff
#define EV_ARG2_MAX 0x3ff /* saturated */
#define EV_ARG1_MAX 0xf   /* saturated */

struct ev_switch {
	ev_u64 w0;
	ev_u32 prev, next; /* whos */
	ev_u8 state;       /* low 8 bits of prev's task state */
	ev_u8 how[3];      /* 24 bits, little end first: nr:10, arg2:10, arg1:4 */
	ev_u16 prev_seq;   /* this switch-out counted */
	ev_u16 next_seq;
};

#define EV_HOW(nr, arg2, arg1) ((ev_u32)(nr) | (ev_u32)(arg2) << 10 | (ev_u32)(arg1) << 20)
#define EV_HOW_NR(how) ((how)&0x3ffu)
#define EV_HOW_ARG2(how) ((how) >> 10 & 0x3ffu)
#define EV_HOW_ARG1(how) ((how) >> 20 & 0xfu)

/* Low 8 bits of a task's state, the same since 4.14 (TASK_* in include/linux/sched.h). */
#define EV_STATE_INTERRUPTIBLE 0x01
#define EV_STATE_UNINTERRUPTIBLE 0x02
#define EV_STATE_STOPPED 0x04
#define EV_STATE_TRACED 0x08
#define EV_STATE_ANNOUNCED \
	0x20 /* no task has this one (it is EXIT_ZOMBIE's): an EV_FUTEX or EV_KLOCK was in front of this record */
#define EV_STATE_PARKED 0x40
#define EV_STATE_DEAD 0x80

/* EV_WAKE, 3 words: written only when the wakee is off the run queue, so that the wake-up has an effect. */
#define WK_ON_CPU \
	0x01 /* the wakee is still being switched out: this record may come before its switch */
#define WK_DELAYED 0x02 /* EEVDF's delayed dequeue: asleep, yet on the queue */
#define WK_CONTEXT 0x04 /* the next two are known */
#define WK_HARDIRQ 0x08 /* in a hard interrupt (or NMI): `waker` is only whom it interrupted */
#define WK_SOFTIRQ 0x10 /* in a soft interrupt */

/* EV_WAKEUP, 3 words. */
#define WU_NEW 0x01       /* the first one of a new thread */
#define WU_THROTTLED 0x02 /* enqueued into a cgroup that has used up its CPU quota */
#define WU_NO_WAKE 0x04   /* no EV_WAKE came before; `waker` is the current task, else it is 0 */

struct ev_wake {
	ev_u64 w0;
	ev_u32 wakee, waker; /* whos */
	ev_u16 seq;          /* of the wakee */
	ev_u16 cpu;      /* EV_WAKE: where the wakee ran last; EV_WAKEUP: whose queue it is on */
	ev_u8 why;       /* EV_WAKE: enum wake_why */
	ev_u8 queued[3]; /* ns before this record at which the kernel's books have it enqueued, little end first; saturated; EV_WAKE
			    of who is not enqueued yet: 0 */
};

#define EV_QUEUED_MAX 0xffffffu
#define EV_QUEUED_NS(wake)                                            \
	((ev_u32)(wake)->queued[0] | (ev_u32)(wake)->queued[1] << 8 | \
	 (ev_u32)(wake)->queued[2] << 16)

/* How a futex wait ended. WHY_NONE: the wakee was not in one. */
enum wake_why {
	WHY_NONE,
	WHY_WOKEN,   /* by a thread: FUTEX_WAKE, an unlock, an exit */
	WHY_TIMEOUT, /* by a timer's interrupt */
	WHY_SIGNAL,  /* a signal is pending */
};

#define MG_QUEUED \
	0x01 /* it was on a run queue, ready or in EEVDF's delayed sleep; else it is being woken, or is new */
struct ev_migrate {
	ev_u64 w0;
	ev_u32 who;
	ev_u16 from, to; /* CPUs */
};

#define EV_COMM_LEN 16
#define EV_FILE_LEN 64

/*
 * EV_FORK and EV_SNAP, 8 words. Times of day never: the thread's first record is its start.
 *
 * EV_SNAP also tells of a thread that was recorded before: where `record --keep` lets the earlier records go. Its state, and seq as of
 * that moment, then come from those; it may be ready to run, too (SM_QUEUED), and what it waits for stands in front of it (EV_FUTEX,
 * EV_KLOCK).
 */
#define SN_TARGET \
	0x01 /* EV_SNAP: the command to be started; its life begins with its next record */
#define SN_ON_CPU 0x02  /* EV_SNAP: it was on a CPU */
#define SN_BLOCKED 0x04 /* EV_SNAP: it was blocked, and state, iowait and how are as in EV_SWITCH */
#define SN_IOWAIT 0x08
#define SN_FROZEN 0x10
#define SN_KTHREAD 0x20 /* a kernel thread */
#define SM_QUEUED 0x01  /* in `more`: EV_SNAP: it was ready to run, and how that began is known */
#define SM_PREEMPTED \
	0x02 /* with that: since its last switch-out, in which it stayed ready; else since a wake-up */
#define SM_THROTTLED 0x04 /* with SM_QUEUED: its cgroup had used up its CPU quota */
#define SM_KNOWN 0x08     /* EV_SNAP: the state is known, and so is seq */
struct ev_thread {
	ev_u64 w0;
	ev_u32 who, parent; /* parent: who made it, 0 when unknown */
	ev_u32 tid, tgid;
	ev_u64 clone_flags; /* EV_FORK only */
	char comm[EV_COMM_LEN];
	ev_u32 how; /* EV_SNAP, see SN_BLOCKED */
	ev_u8 state;
	ev_u8 more; /* SM_* */
	ev_u16 seq; /* EV_SNAP: of its last switch-out; 0 when the recording begins */
	ev_u32 ns_tid,
		pid_ns; /* its tid as it and its process see it; the inode of that pid namespace */
};

/* EV_EXEC, 13 words. */
struct ev_exec {
	ev_u64 w0;
	ev_u32 who, old_tid;
	ev_u32 tid, tgid;
	char comm[EV_COMM_LEN];
	char file[EV_FILE_LEN]; /* cut, always ended by a 0 */
};

struct ev_exit {
	ev_u64 w0;
	ev_u32 who, code; /* code as wait(2) gives it */
};

/* EV_NAME, 4 words. */
struct ev_name {
	ev_u64 w0;
	ev_u32 who; /* may be WHO_UNTRACKED */
	ev_u32 tgid;
	char comm[EV_COMM_LEN];
};

/*
 * EV_BOOKS, 12 words: fields of task_struct at one moment that agrees exactly with the switches written so far.
 * Times in ns. BK_FIRST is what to subtract: what the thread did before its first record.
 */
#define BK_FIRST 0x01
#define BK_DEAD 0x02 /* read at the switch with TASK_DEAD */
#define BK_END \
	0x04 /* read when the recording ended, off the CPU: as of the thread's last switch-out */
#define BK_STEAL 0x08 /* steal_ns is known */
struct ev_books {
	ev_u64 w0;
	ev_u32 who, pad;
	ev_u64 nvcsw, nivcsw; /* voluntary, involuntary switches */
	ev_u64 nr_migrations;
	ev_u64 exec_ns;  /* se.sum_exec_runtime */
	ev_u64 delay_ns; /* sched_info.run_delay */
	ev_u64 pcount;   /* sched_info.pcount: times it was given a CPU */
	ev_u64 steal_ns; /* what the hypervisor took while it was on a CPU; not in exec_ns */
	ev_u64 utime_ns,
		stime_ns; /* user and kernel time as the kernel estimates them (by ticks) */
	ev_u64 start_ns;  /* start_time: CLOCK_MONOTONIC, absolute */
};

#define EV_CPUS_WORDS 4 /* allowed CPUs 0 to 255; nr_cpus tells whether there are more */
/* EV_TASK, 8 words. */
struct ev_task {
	ev_u64 w0;
	ev_u32 who;
	ev_u8 policy; /* SCHED_* */
	signed char nice;
	ev_u8 rt_priority;
	ev_u8 pad;
	ev_u32 nr_cpus; /* how many CPUs it may use */
	ev_u32 pad2;
	ev_u64 cgroup; /* kernfs id of the cgroup that governs its CPU time; 0 is unknown */
	ev_u64 cpus[EV_CPUS_WORDS];
};

/*
 * EV_MISSED, 4 words, just before the EV_SWITCH that showed it, on the same CPU. No BPF program runs while some
 * tasks are current, so a switch or wake-up there is not seen; sched_info tells the rest. All in ns before this record.
 */
#define MI_SWITCH_IN \
	0x01 /* prev was not known to run: it got its CPU `arrival_ns` ago, after `queue_ns` of waiting */
#define MI_WAKEUP 0x02 /* next was not known to be woken: on the run queue since `queue_ns` */
struct ev_missed {
	ev_u64 w0;
	ev_u32 who;
	ev_u32 arrivals; /* MI_SWITCH_IN: how often it got a CPU since its last switch-out: 1 or the times are unknown */
	ev_u64 arrival_ns;
	ev_u64 queue_ns;
};

/*
 * EV_UNBOOKED, 2 words (UB_BEFORE: 3), just before the EV_SWITCH with which `who` gets a CPU (UB_MOVED), or blocks or is preempted on its
 * way there (UB_LEFT; run_delay does not have the wait that begins), on the same CPU. The kernel's books go by its run queues' clocks,
 * and these readings leave time between them:
 *
 *   UB_MOVED   a ready thread was moved: from the clock when it was taken off one run queue to that when it was put on the other
 *   UB_LEFT    from the clock at which its last time on a CPU ended, to the switch: where a wake-up has asked for a switch the kernel does
 *              not read the clock again, and a CPU that goes idle looks for work elsewhere before it switches. Of 4 us or more. A thread
 *              that is enqueued on that CPU meanwhile moves the leaving one's exec_start without charging it (Linux 6.12 to 6.18,
 *              dl_server_update_idle_time() in enqueue_task_fair()): that is part of it
 */
#define UB_MOVED 0x01
#define UB_LEFT 0x02
#define UB_BEFORE \
	0x04 /* it was moved in its sleep before its first books: run_delay grows by that sleep, and this was before the books */
#define UNBOOKED_LEFT_NS 4096
struct ev_unbooked {
	ev_u64 w0;
	ev_u32 who;
	ev_u32 ns; /* UB_MOVED: all moves of this wait together. Saturated */
};
/* UB_BEFORE: run_delay grows by charged_ns in all. With several BK_FIRST (`record --keep`) `ns` is as of the last one before it. */
struct ev_unbooked_before {
	struct ev_unbooked it;
	ev_u64 charged_ns;
};

/*
 * EV_LOST, 5 words: written in front of the first record that had room again. Its span begins with the first drop.
 */
enum ev_drop {
	DROP_FULL,    /* the buffer was full */
	DROP_STORAGE, /* no memory for a new thread's storage: the thread is not tracked */
	DROP_NR
};
struct ev_lost {
	ev_u64 w0;
	ev_u64 first_time, last_time; /* ns since the epoch */
	ev_u64 count[DROP_NR];
};

/*
 * EV_FUTEX, 7 words, right before the EV_SWITCH with which the wait begins: the call's arguments, and what stood at the address.
 * The call itself is in that EV_SWITCH.
 */
#define FX_READ 0x01    /* `word` holds */
#define FX_NEAR 0x02    /* `near` holds */
#define FX_TIMEOUT 0x04 /* the call has a time limit */
#define FX_VECTOR 0x08  /* futex_waitv: uaddr, val and op are of the first of several */
#define FX_FUTEX2 0x10  /* op is FUTEX2_* flags: of futex_waitv or futex_wait */
struct ev_futex {
	ev_u64 w0;
	ev_u32 who;
	ev_u16 seq; /* of the switch-out that follows */
	ev_u16 pad;
	ev_u64 uaddr;
	ev_u64 pc;      /* where the thread is in user space */
	ev_u32 op, val; /* futex_waitv and futex_wait: op is their flags */
	ev_u32 word;
	ev_u32 near[3]; /* the words at uaddr + 8, + 12, + 16: in a pthread_mutex_t the first is the owner */
};

/*
 * EV_STACK, 31 words. A stack sample is all parts of one thread with one seq, in order, the first beginning with the registers.
 * x86-64: ip sp bp bx r12 r13 r14 r15 di, the last only within vfork(), else 0; arm64: pc sp x29 x30 x19 ... x28. Zeros fill what is missing.
 */
#define STACK_PARTS 4
#define STACK_REGS 14
#define STACK_WORDS 29
struct ev_stack {
	ev_u64 w0;
	ev_u32 who;
	ev_u16 seq;
	ev_u8 part, parts;
	ev_u64 words[STACK_WORDS]; /* the stack from sp upwards, in part 0 after the registers */
};

/* EV_KLOCK, 4 words, right before the EV_SWITCH with which the wait begins. flags are the kernel's LCB_F_*. */
#define KL_SPIN 0x01
#define KL_READ 0x02
#define KL_WRITE 0x04
#define KL_RT 0x08
#define KL_PERCPU 0x10
#define KL_MUTEX 0x20
#define KLOCK_CALLERS 16 /* frames that are kept of who called for a lock */
struct ev_klock {
	ev_u64 w0;
	ev_u32 who;
	ev_u16 seq;
	ev_u16 pad;
	ev_u64 lock;   /* its kernel address */
	ev_u64 for_ns; /* EV_KLOCK_END: time since it was found taken; EV_KLOCK: 0 */
};

/*
 * EV_IRQ, 2 words, when it has been served: the outermost one, with those that came meanwhile. Hard and soft interrupts, the latter
 * wherever they are served; on the way out of a hard one they are a record of their own.
 */
#define IQ_BEFORE \
	0x01 /* nobody waited for this CPU when it began: who waits now came later, ns is 0 */
struct ev_irq {
	ev_u64 w0;
	ev_u64 ns; /* its length */
};

#include "event_stacks.h"

/*
 * EV_COUNTS, 3 words or more: what each of the recording's n counters (META's `counters`, by their index) has counted. A counter counts
 * for its CPU; it is read at the thread's own switches, and the difference is the thread's:
 *
 *   switch to A      switch to B                        without CT_SHARED     with it
 *   ---|-----------------|-----------> CPU              w0                    w0
 *      ^ values here     ^ and here: EV_COUNTS of A     who seq missed        who seq missed
 *                                                       value[n]              value[n] enabled_ns[n] running_ns[n]
 *
 * With CT_SHARED a counter had to share the hardware with others: it counted in running_ns out of enabled_ns. What happens between
 * the tracepoint and the switch itself belongs to the thread that gets the CPU.
 */
#define CT_TOTAL 0x01  /* of all of the thread's slices so far, lost records included */
#define CT_EXEC 0x02   /* with CT_TOTAL: a program begins, in the middle of a slice */
#define CT_SHARED 0x04 /* see above */
#define CT_UNKNOWN \
	0x08 /* it was not seen to get the CPU: what this slice counted is not known, values are 0; with CT_TOTAL: nothing is known */
#define COUNTERS_MAX 8
struct ev_counts {
	ev_u64 w0;
	ev_u32 who;
	ev_u16 seq;     /* of the switch-out that follows; CT_TOTAL: of the last one */
	ev_u16 unknown; /* CT_TOTAL: slices with CT_UNKNOWN so far, saturated */
	ev_u64 value[]; /* at least one */
};
#define COUNTS_WORDS(n, shared) (2 + (n) * ((shared) ? 3 : 1))

#define EV_WORDS_OF(type) (sizeof(type) / 8)

/*
 * A CPU's buffer: one value of an mmapable array.
 *
 *   struct buf_header (a page)            data[data_size + BUF_SLACK]
 *
 * head (BPF reserves) and tail (user space frees) only grow; position & (data_size - 1) is the offset. A record that
 * begins before data_size runs on into the slack. Up to `limit` there is room, with BUF_NEST bytes to spare for programs that
 * nest; beyond it the slow path looks at the tail and moves the limit. While drops wait to be told (EV_LOST) the limit is 0.
 *
 * What a scheduler event touches is the first cache line: a line that has gone cold costs more than the instructions.
 */
#define BUF_HEADER 4096
#define BUF_SLACK 4096
#define BUF_NEST 2048

struct buf_header {
	ev_u64 head, limit;
	ev_u64 waiting_here; /* tracked threads waiting on this CPU's queue: the sum of this, and waiting_remote */
	ev_u64 cur_task; /* address of the task that got this CPU at the last switch seen */
	ev_u64 last;     /* time of the last switch or wake-up written */
	ev_u64 clock_rq; /* clock.bpf.h, and so the next */
	long long clock_ahead;
	ev_u32 cur_who; /* of cur_task */
	ev_u32 runs;    /* BPF programs run on this CPU that found work to do, modulo 2^32 */

	ev_u64 tail; /* a cache line that user space writes */
	ev_u64 pad1[7];

	ev_u64 woken_task; /* with sched_waking: address of the task whose wake-up that told in full */
	ev_u64 preempt_count; /* kernel address of this CPU's preempt_count, 0: not found yet */
	ev_u64 clock_window;
	long long clock_least;
	ev_u64 pad5[4];

	ev_u64 waiting_remote; /* a cache line that other CPUs write */
	ev_u64 pad2[7];

	ev_u64 lost_first, lost_last;
	ev_u64 lost[DROP_NR];    /* not yet written as EV_LOST */
	ev_u64 dropped[DROP_NR]; /* all */
	ev_u64 pad3[2];

	ev_u64 irq_task; /* a cache line of the interrupts: the task that the outermost one came upon */
	ev_u64 irq_since; /* when, 0: nobody waited then */
	ev_u64 irq_depth;
	ev_u64 pad4[5];
};

#endif
