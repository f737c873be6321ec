/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time of a scheduler event, from the clock that the scheduler has just read itself: reading one anew is a third of what a
 * switch costs.
 *
 * rq->clock is read when __schedule() begins and when a wake-up takes the run queue's lock, so some 0.1 us before the tracepoint,
 * and is what the kernel's own books go by (sum_exec_runtime, run_delay). It has another zero than CLOCK_MONOTONIC, and runs
 * faster or slower by what NTP steers. So each CPU keeps how far CLOCK_MONOTONIC is ahead, by comparing every CLOCK_SYNC_NS:
 *
 *      now - rq->clock  =  ahead + (the time since the kernel read it)        the least of these is nearest to ahead
 *
 * A lower one counts at once, a higher one when it was the least for CLOCK_WINDOW_NS, in which NTP at its fastest (500 ppm, and as much
 * for adjtime) steers by 4 us, and two clocks left alone differ by less than 0.2 us. More than NTP can have steered is not believed:
 * where little happens, the few that were compared may all be late by tens of microseconds.
 *
 * The clock is read anew where rq->clock may be old: a thread that is preempted (the kernel leaves out the update when a wake-up has
 * asked for the switch), a CPU that goes idle (it has looked for work elsewhere meanwhile), and wherever the result would not be
 * later than the record before. All records of one run of a program carry one time, so that they stay in their order.
 */
#ifndef WHYSCALE_CLOCK_BPF_H
#define WHYSCALE_CLOCK_BPF_H

#include "common.bpf.h"

#define CLOCK_SYNC_NS (1 << 16)
#define CLOCK_WINDOW_NS (1 << 22)
#define CLOCK_STEER 10 /* of 2^10 ns at most one by NTP */
#define CLOCK_JUMP_NS \
	(1            \
	 << 25) /* nothing is late by so much: one of the clocks was set, as when a machine was moved */

/* The run queue's lock is held. */
static __always_inline u64 rq_clock(struct task_struct *p)
{
	return p->se.cfs_rq->rq->clock;
}

/* What a switch wants of its run queue: each look behind a pointer of the kernel's costs the verifier's check of the address. */
struct rq_read {
	u64 clock, steal;
	u64 behind; /* clock_task, which leaves out what was stolen, is so much less */
};

static __always_inline struct rq_read read_rq(struct task_struct *p)
{
	struct rq *rq = p->se.cfs_rq->rq;

	return (struct rq_read){ rq->clock, rq_steal(rq), rq->clock - rq->clock_task };
}

static __always_inline void clock_compare(struct buf *b, u64 rq_ns, s64 ahead)
{
	u64 window = rq_ns - b->h.clock_window;

	if (unlikely(window >= CLOCK_WINDOW_NS)) {
		/* else nothing was compared for long: what was least is of no use */
		s64 least = window < 2 * CLOCK_WINDOW_NS ? b->h.clock_least : ahead;
		s64 most = b->h.clock_ahead + (s64)(window >> CLOCK_STEER);

		b->h.clock_ahead = least < most || least > most + CLOCK_JUMP_NS ? least : most;
		b->h.clock_least = ahead;
		b->h.clock_window = rq_ns;
	}
	if (ahead < b->h.clock_least)
		b->h.clock_least = ahead;
	if (ahead < b->h.clock_ahead)
		b->h.clock_ahead = ahead;
}

static __always_inline u64 clock_exact(struct buf *b, u64 rq_ns)
{
	u64 now = now_ns();

	clock_compare(b, rq_ns, now - rq_ns);
	if (now < b->h.last)
		now = b->h.last;
	b->h.last = now;
	return now;
}

static __always_inline u64 clock_of(struct buf *b, u64 rq_ns)
{
	u64 now = rq_ns + b->h.clock_ahead;

	if (unlikely(rq_ns - b->h.clock_rq >= CLOCK_SYNC_NS || now <= b->h.last)) {
		b->h.clock_rq = rq_ns;
		return clock_exact(b, rq_ns);
	}
	b->h.last = now;
	return now;
}

/*
 * A CPU that looks for work elsewhere lets go of its run queue meanwhile: another one may put p there, read that clock, and tell of it
 * a little later. What is told of p stays in its order.
 */
static __always_inline u64 not_before(struct buf *b, const struct local *l, u64 rq_ns, u64 now)
{
	if (likely(now > l->told_ns))
		return now;
	now = clock_exact(b, rq_ns);
	if (now <= l->told_ns)
		b->h.last = now = l->told_ns + 1;
	return now;
}

#endif
