/* SPDX-License-Identifier: GPL-2.0-only */
/* The user's stack: copied, known again, written. See stack.bpf.h. */
#ifndef WHYSCALE_STACK_USER_BPF_H
#define WHYSCALE_STACK_USER_BPF_H

#include "stack_tables.bpf.h"

/*
 * All ones if the unwinding may depend on this word, else 0. It goes by return addresses and by pointers into the copied stack. Code
 * lies neither in the heap nor in the variables of the program's own file.
 */
static __always_inline u64 matters(const struct stack_scratch *s, u64 word, u64 bytes)
{
	u64 low = s->low;

#if defined(__TARGET_ARCH_arm64)
	word &= (1ull << 48) - 1; /* a return address may be signed */
#endif
	return within(word, s->sp, bytes + 8) |
	       (within(word, low, (1ull << 48) - low) & ~within(word, s->data, s->data_size) &
		~within(word, s->heap, s->heap_size));
}

/* Copies what can be read of the stack from s->sp to s->end; returns how many bytes, in whole words. */
__noinline u32 user_copy(struct stack_scratch *s)
{
	u64 want, done = 0;
	u8 *to;

	if (!s)
		return 0;
	want = (s->end - s->sp) & ~7ull;
	to = (u8 *)(s->words + STACK_REGS);
	if (want > STACK_LIMIT)
		want = STACK_LIMIT;
	if (!bpf_probe_read_user(to, want, (void *)s->sp)) {
		clear_words(s, STACK_REGS + want / 8, 8); /* the hash goes by eights */
		return want;
	}
	/* a page is not there: up to it */
	for (u32 i = 0; i <= STACK_LIMIT / PAGE; i++) {
		u64 bytes = PAGE - ((s->sp + done) & (PAGE - 1));

		if (done >= want || done > STACK_LIMIT)
			break;
		if (bytes > want - done)
			bytes = want - done;
		barrier_var(
			bytes); /* before 6.8 the verifier learns nothing from a comparison of two variables */
		if (bytes > PAGE || bpf_probe_read_user(to + done, bytes, (void *)(s->sp + done)))
			break;
		done += bytes;
	}
	done &= ~7ull;
	clear_words(s, STACK_REGS + done / 8, 8); /* the hash goes by eights */
	return done;
}

/* Of so many copied words from `at` on, clears what does not matter. A function, so that the verifier follows it once. */
#define CLEAR_BLOCK CHAIN_REST
__noinline int user_clear_block(struct stack_scratch *s, u32 at, u32 bytes)
{
	if (!s || at > STACK_WORDS_MAX + CHAIN_WORDS - CLEAR_BLOCK)
		return 0;
	for (u32 i = 0; i < CLEAR_BLOCK; i++) {
		u64 *word = s->words + STACK_REGS + at + i;

		*word &= matters(s, *word, bytes);
	}
	return 0;
}

/* Of all of them. */
static __always_inline void user_clear(struct stack_scratch *s, u32 bytes)
{
	for (u32 at = 0; at < STACK_WORDS_MAX; at += CLEAR_BLOCK) {
		if (at * 8 >= bytes)
			break;
		user_clear_block(s, at, bytes);
	}
}

/*
 * Where frame pointers hold, they lead on from where the limit has cut the copy. Whether they hold is not asked here: what they point to is
 * noted, and the unwinder takes of it what the call frame information of the code says to be there (userspace/symbol/unwind.c). A word
 * that is no frame above this one ends it: there the C library's functions have begun, which have no frame pointers, so what lies above is
 * copied too.
 *
 *      sp          fp             limit       fp0                  fp1                  CHAIN_REST
 *       |  copied   |--> ... -------|----------> saved fp, return --> saved fp, return | copied |
 */
#define CHAIN_REACH (8ull << 20) /* bytes from sp */
#define CHAIN_STEPS 384

/* A frame further out, from s->fp. 0, or 1: it is the last. */
__noinline int chain_step(struct stack_scratch *s, u32 bytes)
{
	u64 at, fp, code;
	u32 to, chain;

	if (!s || bytes > STACK_LIMIT)
		return 1;
	fp = s->fp;
	at = fp - s->sp;
	if (fp & 7 || at > CHAIN_REACH)
		return 1;
	if (at + 16 <= bytes) {
		s->fp = s->words[STACK_REGS + (at / 8 & (STACK_WORDS_MAX - 1))];
		return s->fp <= fp;
	}
	chain = s->chain;
	if (!chain)
		chain = 1;
	to = STACK_REGS + bytes / 8;
	barrier_var(chain);
	if (chain > 2 * CHAIN_FRAMES - 1 ||
	    bpf_probe_read_user(&s->words[to + chain], 16, (void *)fp))
		return 1;
	s->words[to] = chain == 1 ? fp : s->words[to];
	s->fp = s->words[to + chain];
	code = s->words[to + chain + 1];
	if (!matters(s, code, 0))
		return 1;
	s->chain = chain + 2;
	at = s->fp - s->sp;
	if (s->fp > fp && at <= CHAIN_REACH)
		return 0;
	if (s->fp)
		s->words[to + chain] = CHAIN_NO_FRAME;
	s->rest = fp + 16;
	return 1;
}

/* What lies above the outermost of the frames. */
__noinline int chain_rest(struct stack_scratch *s, u32 bytes)
{
	u32 at;

	if (!s || !s->rest || bytes > STACK_LIMIT)
		return 0;
	at = bytes / 8 + (s->chain & (CHAIN_ROUND - 1));
	if (bpf_probe_read_user(&s->words[STACK_REGS + at], CHAIN_REST * 8, (void *)s->rest)) {
		clear_words(s, STACK_REGS + at, CHAIN_REST);
		return 0;
	}
	user_clear_block(s, at, bytes);
	s->chain += CHAIN_REST;
	return 0;
}

/* Of a copy of so many bytes: sets s->chain. The words behind it are 0. */
static __always_inline void user_chain(struct stack_scratch *s, u32 bytes)
{
	s->chain = s->rest = 0;
	if (bytes != config.stack_bytes || bytes > STACK_LIMIT)
		return;
	s->fp = s->words[STACK_FP];
	for (u32 i = 0; i < CHAIN_STEPS; i++)
		if (chain_step(s, bytes))
			break;
	chain_rest(s, bytes);
	clear_words(s, STACK_REGS + bytes / 8 + READ_ONCE(s->chain),
		    8); /* the hash goes by eights */
}

/* The registers, the copy and what follows it. */
static __always_inline u32 user_words(const struct stack_scratch *s, u32 bytes)
{
	return STACK_REGS + bytes / 8 + READ_ONCE(s->chain);
}

static __always_inline bool within_budget(struct stack_scratch *s, u32 bytes)
{
	u64 passed = s->now - s->budget_time;

	/* in steps, so that nothing is lost by rounding */
	if ((s64)passed > 1 << 20) {
		s->budget_time = s->now;
		if (passed > 1 << 30)
			passed = 1 << 30;
		s->budget += (passed >> 10) * config.stack_rate >> 20;
		if (s->budget > (s64)config.stack_rate)
			s->budget = config.stack_rate;
	}
	if (s->budget < (s64)bytes)
		return false;
	s->budget -= bytes;
	return true;
}

/* Part `part` of the stack s->id. 0, or 1: there is no room. */
__noinline int user_write_part(struct stack_scratch *s, u32 part)
{
	struct buf *b = buf_of(bpf_get_smp_processor_id());
	struct ev_ustack *rec;

	if (!s || !b || part >= USTACK_PARTS)
		return 1;
	rec = RESERVE(b, ev_ustack);
	if (!rec)
		return 1;
	rec->id = s->id;
	rec->part = part;
	rec->parts = s->parts;
	rec->bytes = s->bytes;
	rec->tgid = s->tgid;
	__builtin_memcpy(rec->words, s->words + part * USTACK_WORDS, sizeof(rec->words));
	COMMIT(rec, s->now, EV_USTACK, 0);
	return 0;
}

/* 0, or 1: it is over the budget, or there is no room. */
__noinline int user_write(struct stack_scratch *s, u64 id, u32 bytes)
{
	struct buf *b = buf_of(bpf_get_smp_processor_id());
	u32 parts;

	if (!s || !b)
		return 1;
	parts = (user_words(s, bytes) + USTACK_WORDS - 1) / USTACK_WORDS;
	if (!room_to_spare(b, parts * sizeof(struct ev_ustack))) {
		stack_count(STACK_NO_ROOM, 1);
		return 1;
	}
	if (!within_budget(s, parts * sizeof(struct ev_ustack))) {
		stack_count(STACK_NO_BUDGET, 1);
		return 1;
	}
	clear_words(s, user_words(s, bytes), USTACK_WORDS);
	s->id = id;
	s->bytes = bytes;
	s->parts = parts;
	for (u32 part = 0; part < USTACK_PARTS; part++) {
		if (part >= parts || part * USTACK_WORDS >= words_max())
			break;
		if (user_write_part(s, part))
			return 1;
	}
	stack_count(STACK_USER_NEW, 1);
	stack_count(STACK_USER_BYTES, bytes);
	return 0;
}

/* Of the registers, clears what does not matter: counters of loops are there. */
static __always_inline void clear_registers(struct stack_scratch *s, u32 bytes)
{
#if defined(__TARGET_ARCH_x86)
	u32 nr = 9;
#else
	u32 nr = STACK_REGS;
#endif

	/* all but pc and sp */
	for (u32 i = 2; i < nr; i++)
		s->words[i] &= matters(s, s->words[i], bytes);
}

/* The id of what is in s->words, without what does not matter; written if it is new. 0: it could not be. */
static __always_inline u64 user_stack_written(struct stack_scratch *s, u32 bytes)
{
	u64 id;

	user_clear(s, bytes);
	id = stack_hash(s, user_words(s, bytes));
	if (!id_is_seen(id)) {
		if (user_write(s, id, bytes))
			return 0;
		id_set_seen(id);
	}
	return id;
}

/*
 * The registers are in s->words. The id of the user stack, written if it is new; 0: it could not be. Not static: so the verifier
 * looks at it once, and not for each way to it, of which 6.1's finds more than it allows.
 */
__noinline u64 user_stack_id(struct stack_scratch *s)
{
	u32 bytes;
	u64 key, id;

	if (!s)
		return 0;
	bytes = user_copy(s);
	user_chain(s, bytes);
	clear_registers(s, bytes);
	key = stack_hash(s, user_words(s, bytes));
	id = known_get(key);
	if (config.keep)
		id = id_if_written(id);
	if (id)
		return id;
	id = user_stack_written(s, bytes);
	if (id)
		known_set(key, id);
	return id;
}

/* Where p's user stack ends, from sp upwards: what is above was not pushed by its functions. */
static __always_inline u64 user_stack_end(struct task_struct *p, struct mm_struct *mm, u64 sp)
{
	u64 first = mm->start_stack, own, end = sp + config.stack_bytes;

#if defined(__TARGET_ARCH_x86)
	own = p->thread.fsbase; /* the descriptor of a glibc thread, above its stack */
#else
	own = 0; /* its thread pointer may be anywhere */
#endif
	if (first > sp && first < end)
		end = first;
	if (own > sp && own < end)
		end = own;
	return end;
}

static __always_inline void user_limits(struct stack_scratch *s, const struct local *l,
					struct mm_struct *mm)
{
	u64 code = mm->start_code;

	/* A program whose own code is high up has none below 1 GiB: what maps there is asked for by address. */
	s->low = code < 1ull << 32 ? 1 << 16 : 1 << 30;
	s->data = mm->start_data;
	s->data_size = mm->end_data - s->data;
	s->heap = mm->start_brk;
	s->heap_size = mm->brk - s->heap;
	s->tgid = l->tgid;
	s->space = (u64)mm;
	s->owner = s->tgid;
}

/*
 * The user stack of p, the current task, whose user registers are in s->words. 0: it has none, or it could not be had (CL_NO_USER in
 * s->flags).
 */
static __always_inline u64 user_stack(struct stack_scratch *s, struct task_struct *p,
				      const struct local *l)
{
	struct mm_struct *mm = p->mm;
	u64 id;

	if (!mm || !s->words[0])
		return 0;
	if (task_compat(p)) {
		s->flags |= CL_NO_USER;
		return 0;
	}
	s->sp = s->words[1];
	s->end = user_stack_end(p, mm, s->sp);
	user_limits(s, l, mm);
	id = user_stack_id(s);
	if (!id)
		s->flags |= CL_NO_USER;
	return id;
}

#endif
