/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is kept of each tracked thread, and how it is found from its task_struct: a hash of the address says which entry of an array
 * is its own, and the entry says whose it is. Where two want the same one, the later takes another one, and task storage has its
 * number (1, 3, 6 ... entries further: no clusters). Task storage for all costs some 12 ns more at each look-up, of which a switch has two.
 */
#ifndef WHYSCALE_LOCAL_BPF_H
#define WHYSCALE_LOCAL_BPF_H

#define LOCAL_PROBES 64 /* entries that are looked at for a free one */

enum local_state { LOCAL_UNKNOWN, LOCAL_ON_CPU, LOCAL_BLOCKED, LOCAL_QUEUED };

/*
 * What we keep in each tracked thread. Its switches write it under the run queue's lock, wake-ups under that or pi_lock. What every
 * switch touches comes first, in 64 bytes.
 */
struct local {
	u32 serial;
	u32 seq;
	u8 state;
	u8 books;        /* BK_FIRST or BK_END: to be written at its next switch-out */
	bool no_inherit; /* -t: its children are not ours */
	bool kthread;
	bool futex;     /* blocked in a futex call: EV_FUTEX was written */
	bool moved;     /* to another CPU, while it was on a run queue: the next three hold */
	u16 wait_cpu;   /* 1 + the CPU whose `waiting` it is counted in */
	u16 waking_cpu; /* 1 + the CPU that wrote EV_WAKE for the wake-up under way */
	bool preempted; /* LOCAL_QUEUED since its last switch-out; else since a wake-up */
	u32 parent;     /* the serial of who made it; 0: unknown */
	u64 delay_ns; /* sched_info's run_delay and pcount as of the last switch-out, for a switch-in that is missed */
	u32 pcount;
	u32 nivcsw;
	u64 steal_ns, steal_mark;
	u64 regs;    /* address of its user registers, where they lie as long as it lives */
	u64 told_ns; /* of its last wake-up or migration written: it was not given a CPU before that */
	u64 uncharged_mark; /* thread.bpf.h, as of its switch-in; 0: that was not seen */
	u64 cpus;           /* this and the rest: as EV_TASK said last */
	u32 prio_key;
	u32 nr_cpus;
	u64 klock; /* the kernel lock, of a kind that sleeps, that it found taken and has not got yet; 0: none */
	u64 klock_ns; /* when that was */
	u64 spin,
		spin_ns; /* the same for a lock that never sleeps; it may be taken inside of the other */
	u64 left_ns,
		left_delay_ns; /* when it left the run queue, by that one's clock; its run_delay then */
	u64 first_ns,
		first_delay_ns; /* its first books, until it gets a CPU: when, and run_delay; 0: that is over */
	u64 off_queue_ns; /* moves before that, in the same wait: how long it was on no run queue */
	u64 py_thread;    /* python.bpf.h: address of its thread state, or odd: that it has none */
	u32 tid, tgid;    /* in the recorder's pid namespace */
	u32 klock_flags;  /* KL_* */
	u16 waits_seq;    /* `keep`: the last EV_FUTEX that was written, as the next lines */
	u16 waits_flags;
	u64 waits_uaddr, waits_pc;
	u32 waits_op, waits_val, waits_word, waits_near[3];
};

/* An entry of the array; 256 bytes, so that its address is a shift away and what each switch touches is in two cache lines. */
struct local_entry {
	u64 task; /* whose: the address of its task_struct; 0: nobody's, 1: being filled in */
	struct local local;
	u64 born;      /* the task's start_time: another task may get that address */
	u32 displaced; /* live threads whose hash says this entry, and who are in another */
} __attribute__((aligned(256)));

_Static_assert(sizeof(struct local_entry) == 256, "the index is a shift");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags,
	       BPF_F_MMAPABLE); /* begins on a page, so that entries begin on a cache line */
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct local_entry);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} displaced SEC(".maps");

/* Fibonacci hashing of the address's low half: Knuth, The Art of Computer Programming, volume 3, section 6.4. */
static __always_inline u32 local_home(struct task_struct *p)
{
	u32 low;

	/* A move of 32 bits is the one operation on an address from which the verifier lets a number come. */
	asm volatile("%0 = %1" : "=w"(low) : "w"((u32)(u64)p));
	return low * 2654435769u >> config.locals_shift;
}

static __always_inline struct local_entry *local_entry_of(struct task_struct *p)
{
	u32 home = local_home(p), *at;
	struct local_entry *e = bpf_map_lookup_elem(&locals, &home);

	if (!e || likely(e->task == (u64)p))
		return e;
	if (likely(!e->displaced))
		return NULL;
	at = bpf_task_storage_get(&displaced, p, NULL, 0);
	e = at ? bpf_map_lookup_elem(&locals, at) : NULL;
	return e && e->task == (u64)p ? e : NULL;
}

/* NULL: not a tracked one. */
static __always_inline struct local *local_of(struct task_struct *p)
{
	struct local_entry *e = local_entry_of(p);

	return e ? &e->local : NULL;
}

/* An entry that was nobody's, still being filled in; *ret_home: whether it is the one that p's hash says. */
static __always_inline struct local_entry *local_claim(struct task_struct *p)
{
	u32 home = local_home(p), i;
	struct local_entry *e, *first;

	for (u32 n = 0; n < LOCAL_PROBES; n++) {
		i = (home + n * (n + 1) / 2) & (0xffffffff >> config.locals_shift);
		e = bpf_map_lookup_elem(&locals, &i);
		if (!e)
			return NULL;
		if (e->task || __sync_val_compare_and_swap(&e->task, 0, 1))
			continue;
		if (!n)
			return e;
		first = bpf_map_lookup_elem(&locals, &home);
		if (first &&
		    bpf_task_storage_get(&displaced, p, &i, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
			__sync_fetch_and_add(&first->displaced, 1);
			return e;
		}
		e->task = 0;
		return NULL;
	}
	return NULL;
}

/* NULL: there is no room. Storage is made here, so never in a scheduler hook. */
static __always_inline struct local *local_make(struct task_struct *p)
{
	struct local_entry *e = local_claim(p);

	if (!e)
		return NULL;
	__builtin_memset(&e->local, 0, sizeof(e->local));
	e->local.regs = (u64)bpf_task_pt_regs(p);
	e->born = p->start_time;
	__sync_lock_test_and_set(&e->task, (u64)p); /* all of it before this, for other CPUs */
	return &e->local;
}

/* It has been seen to end: nothing of it may be used any more. */
static __always_inline void local_release(struct task_struct *p)
{
	struct local_entry *e = local_entry_of(p), *first;
	u32 home = local_home(p);

	if (!e)
		return;
	first = bpf_map_lookup_elem(&locals, &home);
	if (first && first->task != (u64)p)
		__sync_fetch_and_add(&first->displaced, -1);
	__sync_lock_test_and_set(&e->task, 0); /* after what was written to it, for other CPUs */
}

/* For a new task: whatever had its address before has ended, perhaps when no program was there to see it. */
static __always_inline bool local_known(struct task_struct *p)
{
	struct local_entry *e = local_entry_of(p);

	if (!e || e->born == p->start_time)
		return e;
	local_release(p);
	return false;
}

#endif
