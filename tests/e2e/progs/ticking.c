// SPDX-License-Identifier: GPL-2.0-only
/*
 * ticking MS [US]: uses a CPU for MS milliseconds of wall time, and is interrupted every US microseconds by a timer of its own (0: by none).
 * Prints how often its timer's signal came.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static volatile unsigned long ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	double end_ms = now_ms() + (argc > 1 ? atof(argv[1]) : 0);
	long us = argc > 2 ? atol(argv[2]) : 0;
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, us }, { 0, us } };

	sigaction(SIGALRM, &sa, NULL);
	if (us && setitimer(ITIMER_REAL, &every, NULL))
		return 1;
	while (now_ms() < end_ms)
		;
	printf("%lu\n", ticks);
	return 0;
}
