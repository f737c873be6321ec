/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frames of a thread that runs Python, read from CPython's own structures while the thread is current: nothing moves meanwhile
 * that is its own. Where what lies comes from user space (struct py_layout of events.h), for each process that has a _PyRuntime.
 *
 *   py_thread()      the thread state whose thread_id is this thread's: kept in its `struct local`, and looked at again each time,
 *                    that it is still in the interpreter's list. Where there are subinterpreters: all of them, innermost first
 *   py_frame()       one frame: which code object, which instruction. The id of a code object is kept for (process, address) and
 *                    what is there, as the memory of one that is gone is soon another's
 *   py_new_code()    writes what a code object says, EV_PYCODE
 *   py_frames()      all frames; py_stack(): the id of all of them together, EV_PYSTACK if it is new
 *
 * What cannot be read (a page that is not there) is no stack at all, never half of one: CL_NO_PYTHON.
 *
 * These are global functions: the kernel verifies them once, whoever calls them, so what they share is in py_scratch. And loops call
 * them, so that the kernel need not follow all turns: together 0.1 million instructions of the million that it follows.
 */
#ifndef WHYSCALE_PYTHON_BPF_H
#define WHYSCALE_PYTHON_BPF_H

#include "python_code.bpf.h"

/* ---- frames ---- */

/* Bytes into the code. A frame that has not begun stands right before it. */
static __always_inline bool py_at(const struct py_scratch *s, const struct py_layout *layout,
				  u64 code, u32 *ret_at)
{
	s64 at;

	if (layout->code_start == PYL_NONE)
		at = (s64)(s32)PY_WORD(s->of_frame, layout->frame_at, PY_FRAME_MASK) *
		     layout->at_unit;
	else
		at = PY_WORD(s->of_frame, layout->frame_at, PY_FRAME_MASK) -
		     (code + layout->code_start);
	*ret_at = at < 0 ? 0 : at;
	return at >= -16 && at < 1 << 28;
}

/*
 * Since 3.12 a call of a class puts a frame of the interpreter's own below __init__(), with a code object whose name and file are one
 * and the same str and whose line is 0; Python does not show it either.
 */
static __always_inline bool py_is_cleanup(const struct py_scratch *s,
					  const struct py_layout *layout)
{
	return !s->first_line && PY_WORD(s->of_code, layout->code_name, PY_MASK) ==
					 PY_WORD(s->of_code, layout->code_file, PY_MASK);
}

enum { PY_MORE, PY_END, PY_UNREADABLE, PY_NEW_CODE };

/* The next thread state's frames. False: there is none. */
static __always_inline bool py_outwards(struct py_scratch *s)
{
	u32 top = s->top;

	if (top >= s->nr_tops || top >= PY_NESTED)
		return false;
	s->frame = s->tops[top & (PY_NESTED - 1)];
	s->top = top + 1;
	return s->frame;
}

/* Takes the frame at s->frame; with PY_NEW_CODE not yet. */
PY_READER int py_frame(PY_OF)
{
	const struct py_layout *layout;
	struct py_scratch *s = py_here();
	u32 bytes, nr, at = 0, flags = 0;
	struct py_known *known;
	u64 code, back, id;

	if (!s || (!s->frame && !py_outwards(s)))
		return PY_END;
	layout = py_layout_of(s);
	if (!layout)
		return PY_UNREADABLE;
	bytes = layout->frame_bytes;
	if (bytes > PYL_FRAME_BYTES)
		bytes = PYL_FRAME_BYTES;
	if (!py_read(OF_AND s->of_frame, bytes, s->frame))
		return PY_UNREADABLE;
	nr = s->nr;
	back = PY_WORD(s->of_frame, layout->frame_back, PY_FRAME_MASK);
	if (layout->frame_owner != PYL_NONE) {
		if (PY_BYTE(s->of_frame, layout->frame_owner, PY_FRAME_MASK) == PYL_OWNER_C) {
			if (nr && nr <= PY_FRAMES)
				s->frames[nr - 1].flags |= PY_ENTRY;
			s->frame = back;
			return PY_MORE;
		}
	} else if (layout->frame_entry == PYL_NONE ||
		   PY_BYTE(s->of_frame, layout->frame_entry, PY_FRAME_MASK)) {
		flags = PY_ENTRY; /* until 3.10 every call of a function is a loop of its own */
	}
	if (nr >= PY_FRAMES) {
		s->cut = 1;
		return PY_END;
	}
	code = PY_WORD(s->of_frame, layout->frame_code, PY_FRAME_MASK);
	if (!py_at(s, layout, code, &at))
		return PY_UNREADABLE;
	s->check = py_check_of(OF_AND s, layout, code);
	if (s->check && py_is_cleanup(s, layout)) {
		s->frame = back;
		return PY_MORE;
	}
	known = s->check ? py_known_at(s->check) : NULL;
	if (!known)
		return PY_UNREADABLE;
	id = READ_ONCE(known->id);
	if (!id || (READ_ONCE(known->check) ^ id) != s->check ||
	    (config.keep && !py_is_written(id)))
		return PY_NEW_CODE;
	s->frames[nr].code = id;
	s->frames[nr].at = at;
	s->frames[nr].flags = flags;
	s->nr = nr + 1;
	s->frame = back;
	return PY_MORE;
}

/* Part `part` of the stack s->id. 0, or 1: there was no room. */
__noinline int py_write_frames(u32 part)
{
	struct buf *b = buf_of(bpf_get_smp_processor_id());
	struct py_scratch *s = py_here();
	const struct py_layout *layout;
	struct ev_pystack *rec;

	if (!s || !b || part >= PY_FRAMES / PYSTACK_FRAMES)
		return 1;
	layout = py_layout_of(s);
	rec = layout ? RESERVE(b, ev_pystack) : NULL;
	if (!rec)
		return 1;
	rec->id = s->id;
	rec->part = part;
	rec->parts = s->parts;
	rec->cut = s->cut;
	rec->version = layout->version;
	rec->tgid = s->tgid;
	for (u32 i = 0; i < PYSTACK_FRAMES; i++) {
		u32 from = part * PYSTACK_FRAMES + i;

		if (from < s->nr && from < PY_FRAMES)
			rec->frame[i] = s->frames[from];
		else
			rec->frame[i] = (struct ev_pyframe){};
	}
	COMMIT(rec, s->now, EV_PYSTACK, 0);
	return 0;
}

/* The id of what is in s->frames; 0: there was no room for it. */
__noinline u64 py_stack(void)
{
	struct py_scratch *s = py_here();
	u32 nr, parts;
	struct buf *b;
	u64 id;

	if (!s)
		return 0;
	b = buf_of(bpf_get_smp_processor_id());
	if (!b)
		return 0;
	nr = s->nr;
	id = py_mix(nr, s->cut);
	for (u32 i = 0; i < PY_FRAMES; i++) {
		if (i >= nr)
			break;
		id = py_mix(id, s->frames[i].code);
		id = py_mix(id, s->frames[i].at | (u64)s->frames[i].flags << 32);
	}
	id = id ? id : 1;
	if (py_is_seen(id))
		return id;
	parts = (nr + PYSTACK_FRAMES - 1) / PYSTACK_FRAMES;
	if (!room_to_spare(b, parts * sizeof(struct ev_pystack)))
		return 0;
	s->id = id;
	s->parts = parts;
	for (u32 part = 0; part < PY_FRAMES / PYSTACK_FRAMES; part++) {
		if (part >= parts)
			break;
		if (py_write_frames(part))
			return 0;
	}
	py_set_seen(id);
	return id;
}

static long py_frames_turn(u32 i, struct py_turns *t)
{
	int what = py_frame(OF_TURN);

	if (what == PY_UNREADABLE || (what == PY_NEW_CODE && py_new_code(OF_TURN)))
		t->r = PY_FAILED;
	return what == PY_END || t->r == PY_FAILED;
}

/* The frames of this thread, into s->frames. What is known of it so far, and whose it is, is in the scratch. */
PY_READER int py_frames(PY_OF)
{
	struct py_turns t = { OF_BEGIN };
	struct py_scratch *s = py_here();

	t.r = py_thread(OF);
	if (!s)
		return PY_FAILED;
	if (t.r == PY_FOUND && !s->nr_tops)
		return PY_NONE;
	s->frame = 0;
	s->nr = s->cut = 0;
	if (t.r == PY_FOUND)
		py_loop(PY_STEPS, py_frames_turn, &t);
	return t.r == PY_FOUND && !READ_ONCE(s->nr) ? PY_NONE : t.r;
}

/* ---- what the other programs call ---- */

/*
 * The Python stack of p, the current thread (or another: PY_ANOTHER), whose storage is l: its id, or 0 when it runs no Python now. What is new is written
 * into this CPU's buffer with time `now`. Sets CL_NO_PYTHON in *ret_flags when it could not be had. Not for an interrupt's wake-up.
 */
static __always_inline u64 python_stack(struct task_struct *p, struct local *l, u64 now,
					u32 *ret_flags)
{
	const struct py_process *process;
	struct py_scratch *s;
	u32 tgid;
	u64 id;
	int r;

	if (!config.python || !p || !l || !ret_flags || l->kthread || !p->mm)
		return 0;
	tgid = l->tgid;
	process = bpf_map_lookup_elem(&py_processes, &tgid);
	s = py_here();
	if (!process || !s)
		return 0;
	s->runtime = process->runtime;
	s->layout = process->layout;
	s->tgid = tgid;
	s->tls = py_tls(p);
	s->now = now;
	s->thread = l->py_thread;
	r = py_frames(OF_TASK(p));
	l->py_thread = s->thread;
	if (r == PY_NONE)
		return 0;
	id = r == PY_FOUND ? py_stack() : 0;
	if (!id)
		*ret_flags |= CL_NO_PYTHON;
	return id;
}

/* ---- processes that begin and end ---- */

/* A new process has its parent's memory: _PyRuntime is where it was. */
static __always_inline void python_fork(struct task_struct *parent, struct task_struct *p,
					u64 clone_flags)
{
	u32 from, to;
	const struct py_process *process;
	struct py_process copy;

	if (!config.python || clone_flags & CLONE_THREAD)
		return;
	from = tgid_of(parent);
	to = tgid_of(p);
	process = bpf_map_lookup_elem(&py_processes, &from);
	if (!process)
		return;
	copy = *process;
	bpf_map_update_elem(&py_processes, &to, &copy, BPF_ANY);
}

static __always_inline void python_forget(struct local *l)
{
	u32 tgid = l->tgid;

	if (!config.python)
		return;
	l->py_thread = 0;
	bpf_map_delete_elem(&py_processes, &tgid);
}

#endif
