// SPDX-License-Identifier: GPL-2.0-only
/* For how long some CPU of a set stood idle: against counting each nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>

#include "analysis/runq_idle.h"
#include "random.h"

#define CPUS 70 /* more than a word */

static uint32_t rnd(uint32_t below)
{
	return (uint32_t)(random_number() >> 33) % below;
}

static void test_idle(void **state)
{
	struct idle_cpus *idle = idle_new(CPUS);
	uint64_t masks[3][EV_CPUS_WORDS] = { { 0x3 }, { 0xf5 }, { ~0ull, 0x3f } };
	unsigned int set[3], nr[3] = { 2, 6, CPUS }, cpu;
	bool is_idle[CPUS] = { false };
	uint64_t truth[3][CPUS] = { { 0 } };

	(void)state;
	assert_non_null(idle);
	for (int i = 0; i < 3; i++)
		set[i] = idle_set(idle, masks[i], nr[i], 0);
	assert_int_equal(idle_set(idle, masks[1], 6, 0), set[1]);
	assert_int_equal(idle_set(idle, (uint64_t[EV_CPUS_WORDS]){ 4 }, 1, 0), IDLE_NO_SET);
	for (uint64_t now = 1; now < 3000; now++) {
		for (int i = 0; i < 3; i++)
			for (unsigned int c = 0; c < CPUS; c++) {
				bool some = false;

				for (unsigned int d = 0; d < CPUS; d++)
					some |= d != c && is_idle[d] &&
						masks[i][d / 64] >> (d % 64) & 1;
				truth[i][c] += some;
			}
		cpu = rnd(3) ? rnd(8) : rnd(CPUS);
		is_idle[cpu] = !rnd(4);
		idle_change(idle, cpu, is_idle[cpu], now);
		for (int i = 0; i < 3; i++) {
			cpu = rnd(CPUS);
			if (idle_elsewhere(idle, set[i], cpu, now) != truth[i][cpu])
				fail_msg("at %" PRIu64 ", set %d, CPU %u: %" PRIu64
					 ", truly %" PRIu64,
					 now, i, cpu, idle_elsewhere(idle, set[i], cpu, now),
					 truth[i][cpu]);
		}
	}
	idle_free(idle);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
