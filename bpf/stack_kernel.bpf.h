/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's stack: walked, written, and known again without a walk, which takes 1 us for a dozen frames.
 *
 * A function's frame is as large at each call as it was at the last: the compiler has fixed that for each place in the code. So where
 * one return address lies, relative to the one further in, follows from the latter. A stack that was walked before is known again,
 * exactly, if at those places the same return addresses stand, innermost first: each shows that the next is to be found where it is
 * looked for. What else lies on the stack, old return addresses too, is not looked at.
 *
 *      here                                     split                                        top
 *       |  our own  |  __schedule  |  schedule ...  |  random gap  |  do_syscall_64's caller  | user registers
 *       +-----------+--------------+----------------+--------------+--------------------------+---------------
 *         at[0] ----^    at[1] ----^         at[2] -^                                   at[3] ^ from the top
 *
 * One function has no fixed frame: the one that moves the stack at random in each system call (config.moves_low). Only one function
 * calls it, in one way, so what is outside of it lies at a fixed distance from the top.
 *
 * Where the addresses lie, the walk does not say. They are searched in a copy of the stack, first to last and last to first: the one
 * gives the innermost place possible for each, the other the outermost. An old address may be found in either, so these bounds
 * are drawn together, walk by walk, until there is one place for each; or they cross: then some frame was not of a fixed size after
 * all, and this stack is walked always.
 *
 * All of this is put to the test: each is walked again after KERNEL_CHECK_NS, and what comes out other than thought is counted
 * (STACK_KERNEL_CHANGED).
 */
#ifndef WHYSCALE_STACK_KERNEL_BPF_H
#define WHYSCALE_STACK_KERNEL_BPF_H

#include "stack_tables.bpf.h"

#define KERNEL_CHECK_NS 10000000
#define KNOWN_FRAMES 28
#define KNOWN_WORDS 512 /* of a kernel stack in use; more is walked */
#define KNOWN_WAYS 4

enum { KNOWN_SEARCHED, KNOWN_FOUND, KNOWN_VARIES };

/* One CPU's, as stack_scratch is. */
struct known_kernel {
	u64 key, id, walked_ns;
	u32 bytes; /* from `here` to the top */
	u16 nr;
	u8 state, split; /* split: the first frame that is counted from the top */
	u16 at[KNOWN_FRAMES],
		last[KNOWN_FRAMES]; /* bytes from `here`: the places, or their bounds */
	u64 address[KNOWN_FRAMES];
};

struct known_set {
	u64 turn;
	struct known_kernel way[KNOWN_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* or KERNEL_SETS for each buffer */
	__type(key, u32);
	__type(value, struct known_set);
} known_kernels SEC(".maps");

/* ---- walked and written ---- */

/* The hash of the nr addresses in s->frames. */
__noinline u64 kernel_hash(struct stack_scratch *s, u32 nr)
{
	u64 a = nr, b = MIX_BY;

	if (!s)
		return 0;
	for (u32 i = 0; i < KSTACK_FRAMES; i += 2) {
		if (i >= nr)
			break;
		MIX(a, s->frames[i]);
		MIX(b, s->frames[i + 1]);
	}
	MIX(a, b);
	return a ? a : 1;
}

/* 0, or 1: there is no room. */
__noinline int kernel_write(struct stack_scratch *s, u64 id, u32 nr)
{
	struct buf *b = buf_of(bpf_get_smp_processor_id());
	u32 parts = (nr + FRAMES_WORDS - 1) / FRAMES_WORDS;
	struct ev_frames *rec;

	if (!s || !b)
		return 1;
	if (!room_to_spare(b, parts * sizeof(*rec))) {
		stack_count(STACK_NO_ROOM, 1);
		return 1;
	}
	for (u32 i = 0; i < FRAMES_WORDS; i++)
		s->frames[(nr & (FRAMES_ROUND - 1)) + i] = 0;
	for (u32 part = 0; part < KSTACK_PARTS; part++) {
		if (part >= parts)
			break;
		rec = RESERVE(b, ev_frames);
		if (!rec)
			return 1;
		rec->id = id;
		rec->part = part;
		rec->parts = parts;
		rec->cut = nr >= KSTACK_FRAMES;
		rec->pad = 0;
		rec->tgid = 0;
		__builtin_memcpy(rec->address, s->frames + part * FRAMES_WORDS,
				 sizeof(rec->address));
		COMMIT(rec, s->now, EV_KSTACK, 0);
	}
	stack_count(STACK_KERNEL_NEW, 1);
	return 0;
}

/* 0, or 1: there are no more. */
__noinline int kernel_note_address(struct stack_scratch *s, u32 i, u32 how)
{
	u64 address;

	if (!s || i >= KSTACK_FRAMES)
		return 1;
	address = s->frames[i]; /* 6.1 takes no key from an argument's memory */
	if (!address)
		return 1;
	if (bpf_map_update_elem(&kernel_addresses, &address, &how, BPF_ANY))
		stack_count(STACK_NO_NAME, 1);
	return 0;
}

/* exact: the innermost address is the instruction itself. */
static __always_inline void kernel_note_addresses(struct stack_scratch *s, bool exact)
{
	for (u32 i = 0; i < KSTACK_FRAMES; i++)
		if (kernel_note_address(s, i, !i && exact ? ADDRESS_EXACT : ADDRESS_RETURN))
			break;
}

/* The id of the nr addresses in s->frames, written if they are new; 0: there is no room. */
__noinline u64 kernel_stack_id(struct stack_scratch *s, u32 nr, u32 exact)
{
	u64 id;

	if (!s)
		return 0;
	s->frames[nr & (FRAMES_ROUND - 1)] = 0; /* the hash goes by twos */
	id = kernel_hash(s, nr);
	if (id_is_seen(id))
		return id;
	if (kernel_write(s, id, nr))
		return 0;
	kernel_note_addresses(s, exact);
	id_set_seen(id);
	return id;
}

/* Walks the kernel stack of `ctx`; the innermost `skip` frames are our own. Its id, or 0. */
static __always_inline u64 kernel_walk(void *ctx, struct stack_scratch *s, u32 skip, bool exact)
{
	long bytes = bpf_get_stack(ctx, s->frames, KSTACK_FRAMES * 8, skip);

	stack_count(STACK_KERNEL_WALKS, 1);
	if (bytes <= 0)
		return 0;
	s->nr_frames = (u32)bytes / 8;
	return kernel_stack_id(s, (u32)bytes / 8, exact);
}

/* ---- known again ---- */

static __always_inline struct known_set *known_set_of(u64 key)
{
	u32 cpu = bpf_get_smp_processor_id(), slot;

	barrier_var(cpu);
	slot = config.every_cpu ? cpu : config.cpu_slot[cpu & (MAX_CPUS - 1)];
	slot = slot * KERNEL_SETS + (key >> 32 & (KERNEL_SETS - 1));
	return bpf_map_lookup_elem(&known_kernels, &slot);
}

/* A function of its own, which has no variables: only then its frame pointer points into the kernel's stack, on whatever kernel. */
static __noinline int note_here(struct stack_scratch *s)
{
	u64 here;

	asm volatile("%0 = r10" : "=r"(here));
	s->here = here;
	return 0;
}

__noinline int stands_there(const struct known_kernel *k, u64 here, u64 moved)
{
	u32 nr, split;

	if (!k)
		return false;
	nr = k->nr;
	split = k->split;
	if (moved && split >= nr)
		return false;
	for (u32 i = 0; i < KNOWN_FRAMES; i++) {
		if (i >= nr)
			break;
		/* all ones from the split on; without a jump, as each would double what the verifier follows */
		if (read_u64(here + k->at[i] + (moved & ~((s64)((u64)i - split) >> 63))) !=
		    k->address[i])
			return false;
	}
	return true;
}

/* The id of the stack from s->here to s->top, if it is known and need not be walked again yet; else 0. */
__noinline u64 kernel_again(struct stack_scratch *s, u64 key)
{
	struct known_set *set = known_set_of(key);

	if (!s || !set)
		return 0;
	for (u32 i = 0; i < KNOWN_WAYS; i++) {
		struct known_kernel *k = &set->way[i];

		if (k->key != key || k->state != KNOWN_FOUND ||
		    !stands_there(k, s->here, s->top - s->here - k->bytes))
			continue;
		if (s->now - k->walked_ns < KERNEL_CHECK_NS)
			return k->id;
		s->thought = k->id;
		return 0;
	}
	return 0;
}

static __always_inline bool moves_stack(u64 address)
{
	return address - config.moves_low < config.moves_size;
}

static __always_inline struct known_kernel *known_way(struct known_set *set, u64 key, u64 id)
{
	for (u32 i = 0; i < KNOWN_WAYS; i++)
		if (set->way[i].key == key && set->way[i].id == id)
			return &set->way[i];
	return NULL;
}

/* Begins with a stack that was walked for the first time. */
static __always_inline void known_begin(struct known_set *set, const struct stack_scratch *s,
					u64 key, u64 id)
{
	struct known_kernel *k = &set->way[set->turn++ & (KNOWN_WAYS - 1)];
	u32 nr = s->nr_frames;

	k->key = key;
	k->id = id;
	k->walked_ns = s->now;
	k->nr = nr;
	k->split = nr;
	k->state = nr > KNOWN_FRAMES ? KNOWN_VARIES : KNOWN_SEARCHED;
	k->bytes = 0;
	for (u32 i = 0; i < KNOWN_FRAMES; i++) {
		k->address[i] = s->frames[i];
		if (i < nr && moves_stack(k->address[i]))
			k->split = i + 1;
	}
}

/* Ends a search; as good as never found. */
#define NO_ADDRESS MIX_BY

/*
 * Searches on for the frames in the copied words, from the `from`th of so many on. Here and below a loop's turns are a function's, which
 * the verifier follows once, where it would follow each turn with all ways that led to it.
 */
__noinline int search_block_outwards(struct stack_scratch *s, u32 from, u32 words)
{
	if (!s || from > KNOWN_WORDS - SEARCH_BLOCK)
		return 0;
	for (u32 n = 0; n < SEARCH_BLOCK; n++) {
		u32 w = from + n, i = READ_ONCE(s->found) & (KNOWN_ROUND - 1);

		if (w >= words)
			break;
		if (s->words[w] != s->frames[i])
			continue;
		s->at[i] = w * 8;
		s->found = i + 1;
	}
	return 0;
}

/* The nr frames in the copied words, innermost first; returns how many it found. Their places are in s->at. */
static __always_inline u32 search_outwards(struct stack_scratch *s, u32 nr, u32 words)
{
	s->found = 0;
	s->frames[nr & (KNOWN_ROUND - 1)] = NO_ADDRESS;
	for (u32 w = 0; w < KNOWN_WORDS; w += SEARCH_BLOCK) {
		if (w >= words)
			break;
		search_block_outwards(s, w, words);
	}
	return READ_ONCE(s->found);
}

__noinline int search_block_inwards(struct stack_scratch *s, u32 from, u32 words)
{
	if (!s)
		return 0;
	for (u32 n = 0; n < SEARCH_BLOCK; n++) {
		u32 i = (READ_ONCE(s->found) - 1) & (KNOWN_ROUND - 1);
		u32 w = (words - 1 - from - n) & (KNOWN_WORDS - 1);

		if (from + n >= words)
			break;
		if (s->words[w] != s->frames[i])
			continue;
		s->last[i] = w * 8;
		s->found = i;
	}
	return 0;
}

/* Outermost first; returns how many it did not find. Their places are in s->last. */
static __always_inline u32 search_inwards(struct stack_scratch *s, u32 nr, u32 words)
{
	s->found = nr;
	s->frames[KNOWN_ROUND - 1] = NO_ADDRESS;
	for (u32 n = 0; n < KNOWN_WORDS; n += SEARCH_BLOCK) {
		if (n >= words)
			break;
		search_block_inwards(s, n, words);
	}
	return READ_ONCE(s->found);
}

/* Draws the bounds of one place together. */
__noinline int draw_one(struct known_kernel *k, struct stack_scratch *s, u32 i)
{
	s32 at, last;

	if (!k || !s || i >= KNOWN_FRAMES)
		return 0;
	at = s->at[i] + s->moved;
	last = s->last[i] + s->moved;
	if (s->first || at > k->at[i])
		k->at[i] = at;
	if (s->first || last < k->last[i])
		k->last[i] = last;
	s->open |= k->at[i] < k->last[i];
	s->crossed |= k->at[i] > k->last[i];
	return 0;
}

/* Of all places, by what was found in a stack of this many bytes. */
static __always_inline void draw_together(struct known_kernel *k, struct stack_scratch *s,
					  u32 bytes)
{
	s->first = !k->bytes;
	s->open = s->crossed = false;
	s->moved = 0;
	if (s->first)
		k->bytes = bytes;
	for (u32 i = 0; i < KNOWN_FRAMES; i++) {
		if (i >= k->nr)
			break;
		if (i == k->split)
			s->moved = k->bytes - bytes;
		draw_one(k, s, i);
	}
	if (READ_ONCE(s->crossed) || (k->bytes != bytes && k->split >= k->nr))
		k->state = KNOWN_VARIES;
	else if (!READ_ONCE(s->open))
		k->state = KNOWN_FOUND;
}

/* After a walk that gave `id`: what is to be known of it. */
__noinline int kernel_learn(struct stack_scratch *s, u64 key, u64 id)
{
	struct known_set *set = known_set_of(key);
	struct known_kernel *k;
	u64 bytes;

	if (!s || !set)
		return 0;
	if (s->thought)
		stack_count(STACK_KERNEL_CHECKS, 1);
	if (s->thought && s->thought != id) {
		stack_count(STACK_KERNEL_CHANGED, 1);
		k = known_way(set, key, s->thought);
		if (k)
			k->state = KNOWN_VARIES;
	}
	k = known_way(set, key, id);
	if (!k) {
		known_begin(set, s, key, id);
		return 0;
	}
	k->walked_ns = s->now;
	if (k->state != KNOWN_SEARCHED)
		return 0;
	bytes = (s->top - s->here) & ~7ull;
	if (bytes > KNOWN_WORDS * 8 || k->nr > KNOWN_FRAMES ||
	    bpf_probe_read_kernel(s->words, bytes, (void *)s->here) ||
	    search_outwards(s, k->nr, bytes / 8) != k->nr || search_inwards(s, k->nr, bytes / 8)) {
		k->state = KNOWN_VARIES;
		return 0;
	}
	draw_together(k, s, bytes);
	return 0;
}

/* What, apart from the stack itself, tells one wait from another: so that not too many stacks are tried. */
static __always_inline u64 wait_key(struct task_struct *p, u32 how)
{
	u64 key = (u64)p->__state << 32 | how << 16, who = p->tgid;

	if (p->flags & PF_KTHREAD)
		who = p->pid;
	else
		key ^= regs_syscall((struct pt_regs *)bpf_task_pt_regs(p)) & 0xffff;
	key = (key ^ who << 40 ^ who) * MIX_BY;
	return (key ^ key >> 29) * MIX_BY | 1;
}

/* The kernel stack of p, the current task, on which this program runs, too. Its id, or 0. */
static __always_inline u64 kernel_stack(void *ctx, struct stack_scratch *s, struct task_struct *p,
					u32 skip, u32 how)
{
	u64 key = wait_key(p, how), id;

	note_here(s);
	s->top = (u64)bpf_task_pt_regs(p);
	s->thought = 0;
	id = kernel_again(s, key);
	if (config.keep)
		id = id_if_written(id);
	if (id) {
		s->more |= CL2_KERNEL_AGAIN;
		stack_count(STACK_KERNEL_AGAIN, 1);
		return id;
	}
	id = kernel_walk(ctx, s, skip, false);
	if (id)
		kernel_learn(s, key, id);
	return id;
}

#endif
