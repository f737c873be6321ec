/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs that take call stacks keep: scratch, counts, what has been written already; and the hashes. See stack.bpf.h. */
#ifndef WHYSCALE_STACK_TABLES_BPF_H
#define WHYSCALE_STACK_TABLES_BPF_H

#include "common.bpf.h"

#define STACK_WORDS_MAX (STACK_LIMIT / 8)
#define USTACK_PARTS \
	((STACK_REGS + STACK_WORDS_MAX + CHAIN_WORDS + USTACK_WORDS - 1) / USTACK_WORDS)
#define CHAIN_ROUND 512 /* a power of two above 2 * CHAIN_FRAMES + 1 */
#define STACK_FP 2      /* of the registers: the frame pointer */
#define KSTACK_PARTS 4
#define KSTACK_FRAMES (KSTACK_PARTS * FRAMES_WORDS)
#define FRAMES_ROUND 128 /* a power of two above that */
#define SEARCH_BLOCK 64  /* words of a kernel stack that one call looks through */
#define KNOWN_ROUND 32   /* likewise, above KNOWN_FRAMES */
#define PAGE 4096

/* Of one object's programs, which do not nest. */
struct stack_scratch {
	u64 words[USTACK_PARTS * USTACK_WORDS + PAGE / 8 + 8]; /* registers, stack */
	u64 frames[FRAMES_ROUND + FRAMES_WORDS];               /* and zeros up to a whole record */
	u64 sp, end;         /* the user stack that may be copied */
	u64 low;             /* no code lies below */
	u64 data, data_size; /* none here */
	u64 heap, heap_size; /* nor here */
	u64 space, owner;    /* whose stack it is: the address space, the process */
	u64 now;
	s64 budget; /* bytes of new user stacks that may still be written */
	u64 budget_time;
	u32 tgid;
	u32 flags, more; /* CL_*, CL2_* */
	u32 nr_frames;   /* of the last walk */
	u32 found;
	u64 fp, rest;     /* of chain_step(): the next frame; what lies above the last; or 0 */
	u32 chain;        /* words of frames above the copy, of the first frame's address on */
	u32 bytes, parts; /* of the user stack that is written */
	u64 id;           /* likewise */
	s32 moved;        /* of draw_together() */
	bool first, open, crossed;
	u64 here, top; /* the kernel stack in use */
	u64 thought; /* its id, as far as known before it was walked once more; 0: it was not known */
	u16 at[KNOWN_ROUND], last[KNOWN_ROUND]; /* where its frames were found, bytes from `here` */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* or one for each buffer */
	__type(key, u32);
	__type(value, struct stack_scratch);
} stack_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STACK_COUNTS);
	__type(key, u32);
	__type(value, u64);
} stack_counts SEC(".maps");

/* The addresses in kernel stacks that were written: ADDRESS_*. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* or KERNEL_ADDRESSES */
	__type(key, u64);
	__type(value, u32);
} kernel_addresses SEC(".maps");

/* The ids that were written. Each has four places: hot ones do not drive each other out. */
#define SEEN_WAYS 4
struct seen_ids {
	u64 id[SEEN_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* or STACK_TABLE */
	__type(key, u32);
	__type(value, struct seen_ids);
} seen_ids SEC(".maps");
u32 seen_turn;

/* Keys of what was seen, and its id. Two CPUs may write one at a time: then the two words do not fit together. */
struct known_key {
	u64 id, check; /* check: key exclusive-or id */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* or STACK_TABLE */
	__type(key, u32);
	__type(value, struct known_key);
} known_stacks SEC(".maps");

/* Words that a user stack has at most in this recording: no more is to be looked at, by the verifier either. */
static __always_inline u32 words_max(void)
{
	return STACK_REGS + config.stack_bytes / 8 + CHAIN_WORDS;
}

static __always_inline void stack_count(u32 what, u64 by)
{
	u64 *count = bpf_map_lookup_elem(&stack_counts, &what);

	if (count)
		*count += by;
}

static __always_inline struct stack_scratch *stack_here(void)
{
	u32 cpu = bpf_get_smp_processor_id(), slot;

	barrier_var(cpu);
	slot = config.every_cpu ? cpu : config.cpu_slot[cpu & (MAX_CPUS - 1)];
	return bpf_map_lookup_elem(&stack_scratch, &slot);
}

/* ---- the record ---- */

static __always_inline void write_calls(struct buf *b, const struct stack_scratch *s, u32 who,
					u32 seq, u64 kernel, u64 user, u64 python)
{
	struct ev_calls *rec = RESERVE(b, ev_calls);

	if (!rec)
		return;
	rec->who = who;
	rec->seq = seq;
	rec->more = s->more;
	rec->kernel = kernel;
	rec->user = user;
	rec->python = python;
	COMMIT(rec, s->now, EV_CALLS, s->flags);
	stack_count(STACK_CALLS, 1);
}

/* ---- what was seen ---- */

static __always_inline struct seen_ids *seen_of(u64 id)
{
	u32 at = id >> 16 & (STACK_TABLE - 1);

	return bpf_map_lookup_elem(&seen_ids, &at);
}

static __always_inline bool id_is_seen(u64 id)
{
	const struct seen_ids *seen = seen_of(id);

	id ^= written_key;
	for (u32 i = 0; seen && i < SEEN_WAYS; i++)
		if (seen->id[i] == id)
			return true;
	return false;
}

/* An id that is known by other means: itself where its stack is in the part that is kept, else 0. A function, so that the verifier follows it once. */
__noinline u64 id_if_written(u64 id)
{
	return !written_key || id_is_seen(id) ? id : 0;
}

static __always_inline void id_set_seen(u64 id)
{
	struct seen_ids *seen = seen_of(id);
	u32 way = seen_turn++ & (SEEN_WAYS - 1);

	if (!seen)
		return;
	for (u32 i = 0; i < SEEN_WAYS; i++)
		if (!seen->id[i]) {
			way = i;
			break;
		}
	seen->id[way] = id ^ written_key;
}

static __always_inline struct known_key *known_of(u64 key)
{
	u32 at = key >> 16 & (STACK_TABLE - 1);

	return bpf_map_lookup_elem(&known_stacks, &at);
}

static __always_inline u64 known_get(u64 key)
{
	const struct known_key *k = known_of(key);
	u64 id = k ? READ_ONCE(k->id) : 0;

	return k && (READ_ONCE(k->check) ^ id) == key ? id : 0;
}

static __always_inline void known_set(u64 key, u64 id)
{
	struct known_key *k = known_of(key);

	if (!k)
		return;
	k->id = id;
	k->check = key ^ id;
}

/* ---- hashes ---- */

#define MIX_BY 0x9e3779b97f4a7c15ull
#define MIX(h, w)                       \
	do {                            \
		h = (h ^ (w)) * MIX_BY; \
		h ^= h >> 32;           \
	} while (0)

/* Of words[0] to words[nr - 1], and of whose they are. In four lanes, since a multiplication takes three cycles. */
__noinline u64 stack_hash(struct stack_scratch *s, u32 nr)
{
	u64 a, b, c = nr, d = MIX_BY;

	if (!s)
		return 0;
	a = s->space;
	b = s->owner;
	for (u32 i = 0; i < USTACK_PARTS * USTACK_WORDS / 8; i++) {
		const u64 *w = s->words + i * 8;

		if (i * 8 >= nr || i * 8 >= words_max())
			break;
		MIX(a, w[0]);
		MIX(b, w[1]);
		MIX(c, w[2]);
		MIX(d, w[3]);
		MIX(a, w[4]);
		MIX(b, w[5]);
		MIX(c, w[6]);
		MIX(d, w[7]);
	}
	MIX(a, b);
	MIX(a, c);
	MIX(a, d);
	return a ? a : 1;
}

/*
 * All ones where begin <= word < begin + size, else 0; both below 2^63, or all three above. Without a jump: the verifier would follow
 * each of thousands, the processor mispredict them.
 */
static __always_inline u64 within(u64 word, u64 begin, u64 size)
{
	u64 at = word - begin, out = (s64)(at | (size - 1 - at)) >> 63;

	barrier_var(out);
	return ~out;
}

static __always_inline void clear_words(struct stack_scratch *s, u32 from, u32 nr)
{
	if (from > USTACK_PARTS * USTACK_WORDS)
		from = USTACK_PARTS * USTACK_WORDS;
	for (u32 i = 0; i < nr; i++)
		s->words[from + i] = 0;
}

#endif
