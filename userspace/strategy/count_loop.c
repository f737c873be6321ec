// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one loop that every C strategy counts with: a difference between strategies is then the
 * strategy's, not the compiler's (the article's two C programs ran unlike loops: one compared with
 * a constant, one with memory).
 */
#include "strategy/count_loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "strategy/strategy_result.h"

#define SLICE ((uint64_t)1 << 25) /* turns between two looks at the stop flag: 4 to 25 ms */

/*
 * This really counts at any optimisation level: the empty asm claims, in every turn, to have
 * changed `i` in its register, so the compiler can neither replace the loop by `i = n` nor join two
 * turns into one. `register` keeps the counter out of memory at -O0 too, where a turn would
 * otherwise cost a store and a load that waits for it.
 */
__attribute__((noinline)) uint64_t count_to(uint64_t n)
{
	register uint64_t i = 0;

	while (i < n) {
		i++;
		__asm__ volatile("" : "+r"(i));
	}
	return i;
}

static uint64_t count_slices(uint64_t share, const atomic_bool *stop)
{
	uint64_t counted = 0;

	while (counted < share && !(stop && atomic_load_explicit(stop, memory_order_relaxed))) {
		uint64_t left = share - counted;

		counted += count_to(left < SLICE ? left : SLICE);
	}
	return counted;
}

/*
 * The thread's time on a CPU and in the run queue, by the kernel's own books; needs no privilege.
 * -1 if there is no CONFIG_SCHED_INFO. The kernel brings the first number up to date at ticks and
 * switches only (4 ms at HZ=250).
 */
static void schedstat_read(int64_t *ret_exec_ns, int64_t *ret_delay_ns)
{
	_cleanup_(close_p) int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	unsigned long long exec_ns, delay_ns;
	char text[96];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	*ret_exec_ns = *ret_delay_ns = -1;
	if (len <= 0)
		return;
	text[len] = '\0';
	if (sscanf(text, "%llu %llu", &exec_ns, &delay_ns) != 2)
		return;
	*ret_exec_ns = (int64_t)exec_ns;
	*ret_delay_ns = (int64_t)delay_ns;
}

static int64_t since(int64_t before, int64_t after)
{
	return before < 0 || after < 0 ? -1 : after - before;
}

void count_worker_run(uint64_t share, const atomic_bool *stop, struct strategy_worker *ret)
{
	int64_t exec_ns, delay_ns, exec_end_ns, delay_end_ns, cpu_ns;

	ret->pid = getpid();
	ret->tid = (pid_t)syscall(SYS_gettid);
	schedstat_read(&exec_ns, &delay_ns);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	ret->begin_ns = monotonic_ns();

	ret->counted = count_slices(share, stop);

	ret->end_ns = monotonic_ns();
	ret->cpu_ns = since(cpu_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID));
	schedstat_read(&exec_end_ns, &delay_end_ns);
	ret->exec_ns = since(exec_ns, exec_end_ns);
	ret->delay_ns = since(delay_ns, delay_end_ns);
}
