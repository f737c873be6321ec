/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every program shares: the per-CPU buffer (reserve, write, commit; events.h draws it), the tracked thread's own
 * storage, and the counting of drops.
 *
 * A record is reserved first and its time read afterwards, or is the scheduler's own, read a little before (clock.bpf.h). So a reader
 * that sees the head at time T sees every record that is clearly older than T (drain.c says how much), and the records of
 * programs that cannot be interrupted are in order of time.
 */
#ifndef WHYSCALE_COMMON_BPF_H
#define WHYSCALE_COMMON_BPF_H

#include "compat.bpf.h"

#include <bpf/bpf_tracing.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(volatile __typeof__(x) *)&(x))

#define MAX_CPUS 4096
#define NO_SLOT 0xffff
#define SEEN_NR 256

/* Set before loading; constants to the verifier. In one struct, so that they share a cache line. */
const volatile struct {
	__u64 epoch_ns;
	__u64 data_mask;           /* size of a buffer's data - 1; the size is a power of two */
	__s64 preempt_count_delta; /* x86: from a CPU's runqueue to its preempt_count */
	__u32 self_tgid;           /* the recorder, in the initial pid namespace: never a target */
	__u8 mode;                 /* MODE_* */
	bool preempt_count_known;
	bool every_cpu; /* all CPUs up to the last online one are: the number of a CPU is its slot */
	bool many_cpus;     /* more than 64: the first word of the allowed ones does not tell all */
	bool wakeups_alone; /* csd_queue_cpu tells the wake-ups sent to other CPUs: no sched_waking */
	bool nmi_writers;   /* some program writes records from an NMI */
	bool python;        /* stacks of Python frames are wanted: python.bpf.h */
	bool keep;          /* record --keep: key_frame.bpf.h */
	__u8 stacks;        /* STACKS_*: stack.bpf.h */
	__u8 counters; /* how many are read at each switch, up to COUNTERS_MAX: counter.bpf.h */
	__u32 counter_cpus; /* the counter_events of a counter are so many, by CPU */
	__u32 stack_bytes; /* of a user stack, copied at most; a multiple of 8, up to STACK_LIMIT */
	__u32 stack_rate;  /* bytes a second of new user stacks on a CPU */
	__u32 moves_size; /* stack_kernel.bpf.h: the code that moves the kernel's stack; 0: not known */
	__u64 moves_low;
	__u32 pid_level; /* of the recorder's pid namespace; 0: the initial one */
	__u32 pid_ns;    /* its inode */
	__u32 cpus_bytes; /* of a set of CPUs: of the possible ones; the kernel keeps no order in the bits above */
	__u8 locals_shift;        /* local.bpf.h: there are 2^(32 - this) of them */
	__u16 cpu_slot[MAX_CPUS]; /* a CPU's buffer, or NO_SLOT for one that was not online */
} config;

/* Records that no buffer could take: the CPU came online later. */
__u64 dropped_no_buffer;
/* Threads that could not be given storage. */
__u64 dropped_no_storage;

/*
 * Not 0 where `record --keep` lets records go: another number each time. What was written before is to be written again when it is
 * met again: the tables of what has been written hold their ids exclusive-or this.
 */
__u64 written_key;

/* A buffer as BPF sees it; data has data_mask + 1 + BUF_SLACK bytes. */
struct buf {
	struct buf_header h;
	u32 seen[SEEN_NR]; /* untracked threads whose names were written: their whos, by the lower bits */
	char pad[BUF_HEADER - sizeof(struct buf_header) - SEEN_NR * 4];
	char data[BUF_SLACK];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct buf);
} bufs SEC(".maps");

#include "local.bpf.h"

static __always_inline struct buf *buf_of(u32 cpu)
{
	u32 slot;

	barrier_var(cpu); /* or the mask is dropped for a bound that the verifier cannot follow */
	slot = config.every_cpu ? cpu : config.cpu_slot[cpu & (MAX_CPUS - 1)];
	return bpf_map_lookup_elem(&bufs, &slot);
}

/* For the running program, on this CPU. */
static __always_inline struct buf *buf_at(u32 cpu)
{
	struct buf *b = buf_of(cpu);

	if (unlikely(!b))
		__sync_fetch_and_add(&dropped_no_buffer, 1);
	else
		b->h.runs++;
	return b;
}

static __always_inline struct buf *buf_here(void)
{
	return buf_at(bpf_get_smp_processor_id());
}

/* Whether a tracked thread waits on its CPU's run queue. */
static __always_inline bool someone_waits(const struct buf *b)
{
	return b->h.waiting_here + b->h.waiting_remote;
}

static __always_inline u64 now_ns(void)
{
	return bpf_ktime_get_ns() - config.epoch_ns;
}

/* The time of a record here: not before the last switch or wake-up, whose time may be some 0.1 us off (clock.bpf.h). */
static __always_inline u64 record_time(const struct buf *b)
{
	u64 now = now_ns();

	return now < b->h.last ? b->h.last : now;
}

static __always_inline void drop(struct buf *b, u32 cause)
{
	u64 now = now_ns();

	if (!b->h.lost_first)
		b->h.lost_first = now;
	b->h.lost_last = now;
	__sync_fetch_and_add(&b->h.lost[cause], 1);
	__sync_fetch_and_add(&b->h.dropped[cause], 1);
	b->h.limit = 0;
}

static __always_inline void commit(void *rec, u64 time, u32 words, u32 kind, u32 flags)
{
	commit_word(rec, EV_WORD0(time, words, kind, flags));
}
#define COMMIT(rec, time, kind, flags) commit(rec, time, sizeof(*(rec)) / 8, kind, flags)

static __always_inline void *take(struct buf *b, u32 words)
{
	u64 pos = __sync_fetch_and_add(&b->h.head, words * 8);

	return b->data + (pos & config.data_mask & RECORD_ALIGN);
}

/* Drops wait to be told, and there is room: they come before any other record. */
static __always_inline void write_lost(struct buf *b)
{
	struct ev_lost *rec = take(b, sizeof(*rec) / 8);

	/* One that nests between finds the counts gone, or adds to what is announced next. */
	rec->first_time = b->h.lost_first;
	rec->last_time = b->h.lost_last;
	b->h.lost_first = 0;
	rec->count[DROP_FULL] = __sync_lock_test_and_set(&b->h.lost[DROP_FULL], 0);
	rec->count[DROP_STORAGE] = __sync_lock_test_and_set(&b->h.lost[DROP_STORAGE], 0);
	COMMIT(rec, now_ns(), EV_LOST, 0);
}

/* The head has reached the limit: has user space made room? Otherwise what was to be written is a drop. */
static __noinline int make_room(struct buf *b)
{
	u64 limit;

	if (!b)
		return 0;
	limit = *(volatile u64 *)&b->h.tail + config.data_mask + 1 - BUF_NEST;
	if (b->h.head + sizeof(struct ev_lost) >= limit) {
		drop(b, DROP_FULL);
		return 0;
	}
	if (b->h.lost[DROP_FULL] + b->h.lost[DROP_STORAGE])
		write_lost(b);
	b->h.limit = limit;
	return 1;
}

/*
 * Room for `words`, or NULL with the drop counted. irqs_off: no program but one in an NMI can come between, so that without such a
 * program the head needs no atomic (5 ns a record). The others' fetch-add is one instruction: an interrupt comes before or after.
 */
static __always_inline void *reserve(struct buf *b, u32 words, bool irqs_off)
{
	u64 pos = b->h.head;

	if (unlikely(pos >= b->h.limit)) {
		if (!make_room(b))
			return NULL;
		pos = b->h.head;
	}
	if (!irqs_off || config.nmi_writers)
		return take(b, words);
	*(volatile u64 *)&b->h.head = pos + words * 8;
	return b->data + (pos & config.data_mask & RECORD_ALIGN);
}
#define RESERVE(b, type) ((struct type *)reserve(b, sizeof(struct type) / 8, false))
/* In the hooks that the scheduler calls with interrupts off: switch, waking, wakeup, migrate. */
#define RESERVE_IRQS_OFF(b, type) ((struct type *)reserve(b, sizeof(struct type) / 8, true))

/* A stack may be written only where three quarters of the buffer are not full: the rest is for events. */
static __always_inline bool room_to_spare(struct buf *b, u32 bytes)
{
	u64 used = b->h.head - *(volatile u64 *)&b->h.tail;

	return used + bytes <= (config.data_mask + 1) / 4 * 3;
}

/* The interrupt level of the running program's context, as WK_* flags. cur: the current task, here as in what follows. */
static __always_inline u32 waker_context(struct buf *b, struct task_struct *cur)
{
	u32 count = 0;

	if (!config.preempt_count_known)
		return 0;
#if defined(__TARGET_ARCH_arm64)
	count = cur->thread_info.preempt_count;
#else
	if (unlikely(!b->h.preempt_count))
		b->h.preempt_count = (u64)cur->se.cfs_rq->rq + config.preempt_count_delta;
	count = read_u32(b->h.preempt_count);
#endif
	/* bits 8-15 soft interrupts (odd: being served), 16-19 hard ones, 20-23 NMI: include/linux/preempt.h */
	return WK_CONTEXT | (count & 0x00ff0000 ? WK_HARDIRQ : 0) |
	       (count & 0x100 ? WK_SOFTIRQ : 0);
}

/* ---- thread ids ---- */

/* The number that a struct pid is in the recorder's namespace; 0: it has none there. A thread that is gone has no struct pid. */
static __noinline u32 number_inside(struct pid *pid)
{
	struct upid *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			  config.pid_level * bpf_core_type_size(struct upid);

	if (!pid || BPF_CORE_READ(pid, level) < config.pid_level ||
	    BPF_CORE_READ(at, ns, ns.inum) != config.pid_ns)
		return 0;
	return BPF_CORE_READ(at, nr);
}

static __always_inline u32 tid_of(struct task_struct *p)
{
	return config.pid_level ? number_inside(BPF_CORE_READ(p, thread_pid)) : p->pid;
}

static __always_inline u32 tgid_of(struct task_struct *p)
{
	return config.pid_level ? number_inside(BPF_CORE_READ(p, group_leader, thread_pid)) :
				  p->tgid;
}

static __always_inline u32 who_of(struct task_struct *p, const struct local *l)
{
	u32 pid, tid;

	if (l)
		return l->serial;
	pid = p->pid;
	if (!pid)
		return WHO_IDLE;
	tid = tid_of(p);
	return WHO_UNTRACKED | (tid ? tid : WHO_OUTSIDE | pid);
}

/* The current task's who: as the last switch on this CPU told, or looked up where that was not seen. */
static __always_inline u32 current_who(struct buf *b, struct task_struct *cur)
{
	return likely(b->h.cur_task == (u64)cur) ? b->h.cur_who : who_of(cur, local_of(cur));
}

/* A function, so that what it keeps on our stack is soon gone. */
static __noinline int write_untracked(struct buf *b, struct task_struct *p, u32 who, u64 now)
{
	struct ev_name *rec;
	u32 tgid;

	if (!b || !p)
		return 0;
	tgid = tgid_of(p);
	rec = RESERVE(b, ev_name);
	if (!rec)
		return 0;
	b->seen[who & (SEEN_NR - 1)] = who;
	rec->who = who;
	rec->tgid = tgid ? tgid : WHO_OUTSIDE | p->tgid;
	bpf_probe_read_kernel(rec->comm, sizeof(rec->comm), p->comm);
	COMMIT(rec, now, EV_NAME, 0);
	return 0;
}

/* Writes the name of an untracked thread when this CPU meets it (again). */
static __always_inline void name_untracked(struct buf *b, struct task_struct *p, u32 who, u64 now)
{
	if (who && b->seen[who & (SEEN_NR - 1)] != who)
		write_untracked(b, p, who, now);
}

#endif
