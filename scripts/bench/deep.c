// SPDX-License-Identifier: GPL-2.0-only
/*
 * deep FRAMES: below so many frames, a function that does nothing but call a short one. Prints where both lie: "caller LOW HIGH leaf LOW
 * HIGH".
 */
#include <stdio.h>
#include <stdlib.h>

#define IN(name) __attribute__((noinline, noclone, section(#name)))

extern const char __start_callers[], __stop_callers[], __start_leaves[], __stop_leaves[];
static volatile unsigned int sink;

/* A local array, or gcc gives a function that calls nothing no frame at all, whatever it was told. */
IN(leaves) static void leaf(unsigned int n)
{
	volatile unsigned int sum[8];

	for (unsigned int i = 0; i < 8; i++)
		sum[i] = n * i;
	sink = sum[n % 8];
}

IN(callers) static void caller(void)
{
	for (unsigned int n = 0;; n++)
		leaf(n);
}

/* Frames of some 100 bytes. */
__attribute__((noinline, noclone)) static int down(int frames)
{
	volatile char room[64];

	room[0] = (char)frames;
	if (frames > 0)
		return down(frames - 1) + room[0];
	caller();
	return 0;
}

int main(int argc, char **argv)
{
	printf("caller %p %p leaf %p %p\n", (void *)__start_callers, (void *)__stop_callers,
	       (void *)__start_leaves, (void *)__stop_leaves);
	fflush(stdout);
	return down(argc > 1 ? atoi(argv[1]) : 0);
}
