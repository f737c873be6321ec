/* SPDX-License-Identifier: GPL-2.0-only */
/* For python.bpf.h only: its maps, how memory is read, and how a thread finds its thread state. */
#ifndef WHYSCALE_PYTHON_THREAD_BPF_H
#define WHYSCALE_PYTHON_THREAD_BPF_H

#include "common.bpf.h"

/*
 * Whose memory is read: that of the current thread; or, where PY_ANOTHER is defined, that of a task `of`, which sleeps, by a program that
 * may sleep itself (asleep.bpf.c). A task is passed on from function to function, which no global function takes before 6.8 (nor an
 * argument that the compiler finds unused); and as the verifier follows static functions anew at each call, loops of such calls are
 * bpf_loop()'s then, whose turn it follows once.
 */
#ifdef PY_ANOTHER
#define PY_OF struct task_struct *of
#define PY_OF_AND PY_OF,
#define OF of
#define OF_AND of,
#define OF_TURN t->of
#define OF_BEGIN .of = of,
#define OF_TASK(p) (p)
#define PY_READER static __noinline
#define py_loop(turns, turn, state) bpf_loop(turns, turn, state, 0)
#else
#define PY_OF void
#define PY_OF_AND
#define OF
#define OF_AND
#define OF_TURN
#define OF_BEGIN
#define OF_TASK(p)
#define PY_READER __noinline
#define py_loop(turns, turn, state)               \
	do {                                      \
		for (u32 i = 0; i < (turns); i++) \
			if (turn(i, state))       \
				break;            \
	} while (0)
#endif

/* What a loop's turns share. */
struct py_turns {
#ifdef PY_ANOTHER
	struct task_struct *of;
#endif
	int r;
};

#define CLONE_THREAD 0x00010000

#define PY_FRAMES 126       /* nine records */
#define PY_STEPS 256        /* with those that the loop puts between */
#define PY_THREAD_SIZE 1024 /* more than a thread state has */
#define PY_THREADS 1024     /* thread states that are looked through */
#define PY_NAME_MAX 255     /* bytes */
#define PY_FILE_MAX 1023    /* bytes */
#define PY_WIDE_MAX 512     /* characters of a str that is not ASCII */
#define PY_PARTS 250
#define PY_TEXT (PY_PARTS * PYCODE_BYTES)
#define PY_TABLE_WORDS 8 /* of a line table: length, hash and 48 bytes */
#define PY_HEAD 2048     /* more than the two names take */
#define PY_TABLE_MAX (PY_TEXT - PY_HEAD - 8)
#define PY_SEEN 16384
#define PY_NOBODY_SHIFT 27 /* 134 ms: for so long a thread is believed to have no thread state */

#define PY_NESTED \
	4 /* interpreters that a thread is in, one called from the other; a power of two */

enum { PY_NONE, PY_FOUND, PY_FAILED };

/* By process. Forks are copied here at once, the rest is user space's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct py_process);
} py_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PY_LAYOUTS);
	__type(key, u32);
	__type(value, struct py_layout);
} py_layouts SEC(".maps");

/* The ids of codes and stacks that have been written, each at its own place: one that loses it is written again. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PY_SEEN);
	__type(key, u32);
	__type(value, u64);
} py_seen SEC(".maps");

/* The ids of code objects. Two CPUs may write one at a time: then the two words do not fit together. */
struct py_known {
	u64 id, check; /* check: what it was found by, exclusive-or id */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PY_SEEN);
	__type(key, u32);
	__type(value, struct py_known);
} py_codes SEC(".maps");

/* Of one object's programs, which do not nest. A field may be read at an offset up to the mask, whatever the layout says. */
#define PY_FRAME_MASK 127
#define PY_MASK 255
struct py_scratch {
	u64 runtime, tls, now;
	u64 thread;     /* in and out: what is kept in the thread's `struct local` */
	u64 frame;      /* the next one */
	u64 interp, at; /* of py_step(), and whether some thread state has no frames */
	u64 unborn;
	u64 tops[PY_NESTED]; /* innermost frames of the thread's states, in the order of the interpreters */
	u64 out, out_end; /* of py_text() */
	u64 check;        /* what the code object in of_code will be found by */
	u64 table;        /* bytes of its line table */
	u64 id;           /* and what py_write_part() writes */
	u64 hash;         /* of py_hash_block() */
	u64 length,
		from; /* of py_text(), and `state`, `kind`, `put`: a program and all that it calls have 512 bytes of stack */
	u64 words[PY_TABLE_WORDS]; /* of py_check_of(), likewise */
	u32 state, kind, put;
	u32 layout, tgid;
	u32 nr, cut;
	u32 first_line;
	u32 parts, bytes;
	u32 nr_tops, top; /* how many, and whose frames are taken */
	u32 several;      /* there are more interpreters than one */
	u8 of_frame[PY_FRAME_MASK + 1 + 8];
	u8 of_thread[PY_MASK + 1 + 8];
	u8 of_code[PY_MASK + 1 + 8];
	struct ev_pyframe frames[PY_FRAMES + 2];
	u8 wide[PY_WIDE_MAX * 4];
	u8 text[PY_TEXT + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* or one for each buffer */
	__type(key, u32);
	__type(value, struct py_scratch);
} py_scratch SEC(".maps");

/* ---- small ones ---- */

static __always_inline struct py_scratch *py_here(void)
{
	u32 cpu = bpf_get_smp_processor_id(), slot;

	barrier_var(cpu);
	slot = config.every_cpu ? cpu : config.cpu_slot[cpu & (MAX_CPUS - 1)];
#ifdef PY_ANOTHER
	slot = 0; /* one walk at a time, and others run on this CPU while it sleeps */
#endif
	return bpf_map_lookup_elem(&py_scratch, &slot);
}

static __always_inline const struct py_layout *py_layout_of(const struct py_scratch *s)
{
	u32 layout = s->layout;

	return bpf_map_lookup_elem(&py_layouts, &layout);
}

static __always_inline bool py_read(PY_OF_AND void *to, u32 bytes, u64 from)
{
#ifdef PY_ANOTHER
	return !bpf_copy_from_user_task(to, bytes, (void *)from, of, 0);
#else
	return !bpf_probe_read_user(to, bytes, (void *)from);
#endif
}

#define PY_WORD(raw, offset, mask) (*(u64 *)((raw) + ((offset) & (mask))))
#define PY_BYTE(raw, offset, mask) (*(u8 *)((raw) + ((offset) & (mask))))

static __always_inline u64 py_mix(u64 hash, u64 with)
{
	hash = (hash ^ with) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static __always_inline bool py_is_seen(u64 id)
{
	u32 i = id & (PY_SEEN - 1);
	u64 *seen = bpf_map_lookup_elem(&py_seen, &i);

	return seen && *seen == (id ^ written_key);
}

/* Likewise for what is known by other means. A function, so that the verifier follows it once. */
__noinline u32 py_is_written(u64 id)
{
	return !written_key || py_is_seen(id);
}

static __always_inline void py_set_seen(u64 id)
{
	u32 i = id & (PY_SEEN - 1);
	u64 *seen = bpf_map_lookup_elem(&py_seen, &i);

	if (seen)
		*seen = id ^ written_key;
}

#if defined(__TARGET_ARCH_x86)
/* pthread_self() is where fs points to. */
static __always_inline u64 py_tls(struct task_struct *p)
{
	return p->thread.fsbase;
}
static __always_inline bool py_is_self(u64 id, u64 tls)
{
	return id == tls;
}
#elif defined(__TARGET_ARCH_arm64)
/* pthread_self() is right below what tpidr_el0 points to, by a size that depends on the C library; stacks are further apart. */
static __always_inline u64 py_tls(struct task_struct *p)
{
	return p->thread.uw.tp_value;
}
static __always_inline bool py_is_self(u64 id, u64 tls)
{
	return id < tls && tls - id <= 4096;
}
#endif

/* ---- the thread state ---- */

/* The innermost frame of the thread state that is in s->of_thread; 0: none. False: it could not be read. */
static __always_inline bool py_top(PY_OF_AND struct py_scratch *s, const struct py_layout *layout)
{
	s->frame = PY_WORD(s->of_thread, layout->thread_frame, PY_MASK);
	if (layout->cframe_frame == PYL_NONE || !s->frame)
		return true;
	return py_read(OF_AND & s->frame, 8, s->frame + layout->cframe_frame);
}

static __always_inline bool py_is_mine(const struct py_scratch *s, const struct py_layout *layout)
{
	return py_is_self(PY_WORD(s->of_thread, layout->thread_id, PY_MASK), s->tls);
}

/* The one that was found before: it is still this thread's, and in the list, if that runs through it. */
static __always_inline bool py_thread_holds(PY_OF_AND struct py_scratch *s,
					    const struct py_layout *layout)
{
	u64 link, back = 0;

	if (!py_read(OF_AND s->of_thread, PYL_THREAD_BYTES, s->thread) || !py_is_mine(s, layout))
		return false;
	link = PY_WORD(s->of_thread, layout->thread_prev, PY_MASK);
	if (link)
		link += layout->thread_next;
	else
		link = PY_WORD(s->of_thread, layout->thread_interp, PY_MASK) +
		       layout->interp_threads;
	return py_read(OF_AND & back, 8, link) && back == s->thread && py_top(OF_AND s, layout) &&
	       s->frame;
}

/*
 * Whether there are subinterpreters. Then a thread may have several thread states with frames: the interpreter that was called is newer
 * than its caller, which goes on to have the frames of the call. s->of_thread is the thread's state in one of them.
 */
static __always_inline bool py_several(PY_OF_AND const struct py_scratch *s,
				       const struct py_layout *layout)
{
	u64 newest = 0, next = 0;

	if (!py_read(OF_AND & newest, 8, s->runtime + layout->runtime_interpreters))
		return true;
	return newest != PY_WORD(s->of_thread, layout->thread_interp, PY_MASK) ||
	       !py_read(OF_AND & next, 8, newest + layout->interp_next) || next;
}

/* The thread state that was just read is this thread's and has frames. Is it the last one? */
static __always_inline bool py_take(struct py_scratch *s)
{
	u32 nr = s->nr_tops;

	s->tops[nr & (PY_NESTED - 1)] = s->frame;
	if (!nr)
		s->thread = s->at;
	s->nr_tops = nr + 1;
	return !s->several || nr + 1 >= PY_NESTED;
}

/*
 * A step through the thread states of all interpreters, newest first, from s->at of s->interp. What is found is in s->tops; s->thread is
 * the first one, or one that has no frames, or 0. -1: not at the end yet.
 */
PY_READER int py_step(PY_OF)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	u64 frame;

	if (!s)
		return PY_FAILED;
	layout = py_layout_of(s);
	if (!layout)
		return PY_FAILED;
	if (!s->at) {
		if (!py_read(OF_AND & s->interp, 8, s->interp + layout->interp_next))
			return PY_FAILED;
		if (!s->interp)
			return s->thread ? PY_FOUND : PY_NONE;
		return py_read(OF_AND & s->at, 8, s->interp + layout->interp_threads) ? -1 :
											PY_FAILED;
	}
	if (!py_read(OF_AND s->of_thread, PYL_THREAD_BYTES, s->at))
		return PY_FAILED;
	if (py_is_mine(s, layout)) {
		if (!s->nr_tops)
			s->thread = s->at;
		if (!py_top(OF_AND s, layout))
			return PY_FAILED;
		if (s->frame && py_take(s))
			return PY_FOUND;
	}
	/*
	 * Without frames it may be that of a thread which has yet to put its id there. 3.11 and 3.12: a cframe in the thread state
	 * itself is the one without.
	 */
	frame = PY_WORD(s->of_thread, layout->thread_frame, PY_MASK);
	if (!frame || frame - s->at < PY_THREAD_SIZE)
		s->unborn = 1;
	s->at = PY_WORD(s->of_thread, layout->thread_next, PY_MASK);
	return -1;
}

static long py_search_turn(u32 i, struct py_turns *t)
{
	int r = py_step(OF_TURN);

	if (r < 0)
		return 0;
	t->r = r;
	return 1;
}

static __always_inline int py_search(PY_OF)
{
	struct py_turns t = { OF_BEGIN.r = PY_FAILED };

	py_loop(PY_THREADS, py_search_turn, &t);
	return t.r;
}

/* The thread was not Python's some time ago, and nothing has changed: the newest thread state is the same, and not its own. */
static __always_inline bool py_is_nobody(PY_OF_AND struct py_scratch *s,
					 const struct py_layout *layout, u64 head, u64 nobody)
{
	return s->thread == nobody && py_read(OF_AND s->of_thread, PYL_THREAD_BYTES, head) &&
	       !py_is_mine(s, layout);
}

/* Sets s->thread, and s->tops. */
PY_READER int py_thread(PY_OF)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	u64 interp = 0, head = 0, next = 0, nobody;
	int r;

	if (!s)
		return PY_FAILED;
	layout = py_layout_of(s);
	if (!layout)
		return PY_FAILED;
	s->nr_tops = s->top = s->several = 0;
	if (s->thread && !(s->thread & 1) && py_thread_holds(OF_AND s, layout) &&
	    !py_several(OF_AND s, layout)) {
		s->tops[0] = s->frame;
		s->nr_tops = 1;
		return PY_FOUND;
	}
	if (!py_read(OF_AND & interp, 8, s->runtime + layout->runtime_interpreters))
		return PY_FAILED;
	if (!interp)
		return PY_NONE;
	if (!py_read(OF_AND & head, 8, interp + layout->interp_threads))
		return PY_FAILED;
	nobody = py_mix(py_mix(interp, head), s->now >> PY_NOBODY_SHIFT) | 1;
	if (py_is_nobody(OF_AND s, layout, head, nobody))
		return PY_NONE;
	if (py_read(OF_AND & next, 8, interp + layout->interp_next) && next)
		s->several = 1;
	s->thread = s->unborn = 0;
	s->interp = interp;
	s->at = head;
	r = py_search(OF);
	if (r == PY_NONE && !s->unborn)
		s->thread = nobody;
	return r;
}

#endif
