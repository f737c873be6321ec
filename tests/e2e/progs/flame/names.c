// SPDX-License-Identifier: GPL-2.0-only
/* Threads that burn 40 ms each, with names that a graph must not trip over; tests/e2e/flame_truth.sh builds it. */
#include <pthread.h>
#include <sys/prctl.h>

#include "../work.h"

static const char *const names[] = {
	"a b;c 5", "<script>alert(", "\x01\x1b[2Jx\n\ty", "\xc3\xa9\xe6\xbc\xa2", "\xff\xfe!", "",
	"x_[k]",   "50% 99",
};
#define NR (sizeof(names) / sizeof(names[0]))

static void *burn(void *name)
{
	prctl(PR_SET_NAME, name);
	while (burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID) < 40000000)
		turn(10000);
	return NULL;
}

int main(void)
{
	pthread_t thread[NR];

	for (unsigned int i = 0; i < NR; i++)
		if (pthread_create(&thread[i], NULL, burn, (void *)names[i]))
			return 1;
	for (unsigned int i = 0; i < NR; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
