/* SPDX-License-Identifier: GPL-2.0-only */
/* The records of call stacks, and what is told to the programs that write them: a part of events.h, which includes it. */
#ifndef WHYSCALE_EVENT_STACKS_H
#define WHYSCALE_EVENT_STACKS_H

/*
 * Call stacks. A stack is written once under an id (a hash of what makes it that stack; never 0) and named by that from then on:
 *
 *    EV_KSTACK id, EV_USTACK id ... id   <---  EV_CALLS kernel, user  <---  the EV_SWITCH, EV_WAKE or moment that it is about
 *
 * It may have been written by another CPU than the one that names it, and then even a little later in time than that; now and then
 * a stack is written again, with the same content. One of which a part is missing is to be ignored: it will be written again, or
 * the buffer had no room for it.
 *
 * EV_CALLS, 5 words. The flags say what it is about, and what could not be had though it was asked for.
 */
#define CL_ABOUT 0x03  /* mask of the next four */
#define CL_SAMPLE 0x00 /* `who` is on this CPU now */
#define CL_OFF 0x01    /* `who` is prev of the EV_SWITCH that follows, whose prev_seq is seq */
#define CL_WAKE \
	0x02 /* `who` is the current task of this CPU at the EV_WAKE that follows: its waker */
#define CL_NO_KERNEL 0x04 /* the kernel stack was asked for and not captured */
#define CL_NO_USER 0x08   /* so the user stack */
#define CL_NO_PYTHON 0x10 /* so the Python one, of a thread that runs Python */
#define CL_USER_MODE 0x20 /* CL_SAMPLE: it was in user space: there is no kernel stack */
#define CL2_KERNEL_AGAIN \
	0x01 /* in `more`: the kernel stack was not walked, but known again by where its return addresses lie */
#define CL2_EXEC \
	0x02 /* likewise: it is within execve(), in which its program and the stack of that vanish */
struct ev_calls {
	ev_u64 w0;
	ev_u32 who;                  /* may be WHO_UNTRACKED for CL_WAKE */
	ev_u16 seq;                  /* of who; CL_OFF: of the switch-out that follows */
	ev_u16 more;                 /* CL2_* */
	ev_u64 kernel, user, python; /* ids; 0: none */
};

/* Which stacks a recording asks for. */
#define STACKS_ON 0x1   /* samples on the CPU */
#define STACKS_OFF 0x2  /* every switch-out */
#define STACKS_WAKE 0x4 /* who wakes a thread */
#define STACKS_LOCK 0x8 /* the switch-outs of futex waits: a part of STACKS_OFF */

#define STACK_LIMIT 32768u /* bytes that are copied of a user stack at most */
#define CHAIN_FRAMES 128u  /* found by frame pointers above a copy at most */
#define CHAIN_NO_FRAME 1 /* in the place of a caller's frame: that register has another use there */
#define CHAIN_REST 64u   /* words above the last of them */
#define CHAIN_WORDS (1 + 2 * CHAIN_FRAMES + CHAIN_REST)
#define STACK_TABLE 8192u /* places for what was seen; a power of two */
#define KERNEL_SETS \
	64u /* of four kernel stacks that are known again, on each CPU; a power of two */
#define KERNEL_ADDRESSES 16384u /* addresses in kernel stacks that get a name */
enum {
	ADDRESS_RETURN = 1,
	ADDRESS_EXACT
}; /* it is where a call returns to; it is the instruction itself */

/* What is counted of them, on each CPU. */
enum stack_count {
	STACK_CALLS,        /* EV_CALLS written */
	STACK_KERNEL_NEW,   /* EV_KSTACK stacks written */
	STACK_USER_NEW,     /* EV_USTACK stacks written */
	STACK_USER_BYTES,   /* bytes copied in them */
	STACK_NO_ROOM,      /* a new stack was given up: the buffer was too full */
	STACK_NO_BUDGET,    /* a new user stack was given up: too many of them lately */
	STACK_NO_NAME,      /* kernel addresses that were too many to be named */
	STACK_KERNEL_WALKS, /* kernel stacks that were walked */
	STACK_KERNEL_AGAIN, /* that were known again: CL2_KERNEL_AGAIN */
	STACK_KERNEL_CHECKS, /* of the walks: of a stack that would have been known again, to see whether it is that one */
	STACK_KERNEL_CHANGED, /* of the checks: it was another one */
	STACK_COUNTS
};

/* EV_KSTACK and EV_UFRAMES, 31 words: return addresses, innermost first, 0 after the last. Parts of one id follow each other on one CPU. */
#define FRAMES_WORDS 28
struct ev_frames {
	ev_u64 w0;
	ev_u64 id;
	ev_u8 part, parts;
	ev_u8 cut; /* there were more frames */
	ev_u8 pad;
	ev_u32 tgid; /* EV_UFRAMES: whose addresses these are */
	ev_u64 address[FRAMES_WORDS];
};

/*
 * EV_USTACK, 31 words: as EV_STACK, beginning with the registers in part 0; `bytes` of stack were copied in all parts together, from the
 * stack pointer on. Where the limit has cut it, what frame pointers find above follows: the address of a frame, and from there outwards two
 * words for each frame, as it has them: the caller's frame, the return address. With 0 or CHAIN_NO_FRAME in the place of the caller's frame it is the last; the CHAIN_REST words above it follow,
 * if they could be read. Then zeros. Words and registers (but pc and sp) that can be neither a code address nor point into the
 * copy are 0.
 */
#define USTACK_WORDS 28
struct ev_ustack {
	ev_u64 w0;
	ev_u64 id;
	ev_u8 part, parts;
	ev_u16 bytes; /* what lies above was not copied, or could not be read */
	ev_u32 tgid;
	ev_u64 words[USTACK_WORDS];
};

/* EV_PYSTACK, 31 words: innermost frame first, `code` is 0 after the last. */
struct ev_pyframe {
	ev_u64 code;  /* id of its EV_PYCODE: a hash of what that says */
	ev_u32 at;    /* bytes into the code: the instruction */
	ev_u32 flags; /* PY_* */
};
#define PY_ENTRY \
	0x01 /* the interpreter loop was entered anew for this frame: it ends a native frame of the loop */
#define PYSTACK_FRAMES 14
struct ev_pystack {
	ev_u64 w0;
	ev_u64 id;
	ev_u8 part, parts;
	ev_u8 cut;     /* there were more frames */
	ev_u8 version; /* the interpreter's minor version: 8 to 13 */
	ev_u32 tgid;
	struct ev_pyframe frame[PYSTACK_FRAMES];
};

/*
 * EV_PYCODE, 31 words: bytes that are, all parts put together: name, 0, file name, 0, line table (co_lnotab or co_linetable).
 */
#define PYCODE_BYTES (27 * 8)
struct ev_pycode {
	ev_u64 w0;
	ev_u64 id;
	ev_u8 part, parts;
	ev_u8 version;
	ev_u8 cut;         /* the line table is not whole */
	ev_u32 first_line; /* co_firstlineno */
	ev_u32 tgid;
	ev_u32 bytes; /* in all parts together */
	ev_u8 byte[PYCODE_BYTES];
};

/*
 * What user space tells the programs of a CPython: where its structures have what, in bytes; PYL_NONE: this version has no such field.
 *
 *   _PyRuntime -> interpreter -> thread state -> (3.11, 3.12: cframe ->) frame -> frame ...
 *                                                                          `-> code object -> name, file name, line table
 */
#define PYL_NONE 0xffff
#define PYL_THREAD_BYTES \
	192 /* so much of each structure is read at once: every field of it lies within */
#define PYL_FRAME_BYTES 112
#define PYL_CODE_BYTES 160
struct py_layout {
	ev_u16 version; /* the minor one, 8 to 13 */
	ev_u16 runtime_interpreters;
	ev_u16 interp_next, interp_threads;
	ev_u16 thread_prev, thread_next, thread_interp, thread_id;
	ev_u16 thread_frame; /* its innermost frame; with cframe_frame: its cframe, which has that */
	ev_u16 cframe_frame;
	ev_u16 frame_bytes; /* what is read of it, up to PYL_FRAME_BYTES */
	ev_u16 frame_back, frame_code;
	ev_u16 frame_at; /* with code_start: address of the instruction; else its index, of at_unit bytes each */
	ev_u16 frame_entry; /* a byte that is not 0 when the loop was entered for this frame */
	ev_u16 frame_owner; /* a byte that is PYL_OWNER_C for what the loop's C function put behind its first frame */
	ev_u16 at_unit;
	ev_u16 code_first_line, code_name, code_file, code_table, code_start;
	ev_u16 code_serial;               /* 32 bits that differ from one code object to the next */
	ev_u16 text_ascii, text_wide;     /* size of the header of a str, in ASCII or not */
	ev_u16 text_length, text_state;   /* and in it */
	ev_u16 bytes_length, bytes_begin; /* of bytes */
	ev_u16 pad[3];
};
#define PYL_OWNER_C 3

#define PY_LAYOUTS 64
struct py_process {
	ev_u64 runtime; /* address of _PyRuntime */
	ev_u32 layout;  /* which of PY_LAYOUTS */
	ev_u32 pad;
};

#endif
