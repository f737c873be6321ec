/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contest of ../contest.h for the locks of another language: its program hands over a table of functions, and the threads, their
 * rounds and the facts are the same as for the C programs. For C++ and, by the same layout (#[repr(C)]), for Rust.
 */
#ifndef PROGS_SCENE_H
#define PROGS_SCENE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int (*scene_fn)(void *lock); /* 0, or an errno */

struct scene {
	const char *workload; /* first argument of the program */
	const char *name;     /* of the lock, in the facts: as `nm -C` has it */
	void *lock;           /* what the functions are called with */
	const void *address;  /* the futex words lie in these bytes; NULL: lock */
	size_t size;
	scene_fn take;  /* the holder's, NULL: none */
	scene_fn leave; /* NULL: none */
	scene_fn wait;  /* the waiters' */
	scene_fn pass;  /* NULL: none */
	/* When not NULL: the holder's whole part is to happen inside, by body(arg); what it does after that lets the waiters go. */
	int (*around)(void *lock, void *(*body)(void *), void *arg);
	int waiters, rounds;
	int hold_ms;
	int sleeps; /* the holder sleeps in the meantime; else it runs */
};

int scene_main(int argc, char **argv, const struct scene *scenes, size_t nr);

#ifdef __cplusplus
}
#endif

#endif
