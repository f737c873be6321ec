// SPDX-License-Identifier: GPL-2.0-only
/* Burns in methods of a class template within a namespace: names that are mangled. "oven SECONDS"; tests/e2e/flame.sh builds it. */
#include <cstdlib>

#include "../work.h"

namespace kitchen
{
template <typename T> struct Oven {
	T heat = 0;

	KEPT void seventy_percent(uint64_t times)
	{
		heat += static_cast<T>(turn(7 * times));
		AND_DONE;
	}

	KEPT void thirty_percent(uint64_t times)
	{
		heat += static_cast<T>(turn(3 * times));
		AND_DONE;
	}
};
} // namespace kitchen

int main(int argc, char **argv)
{
	const uint64_t end = burn_cpu_ns(CLOCK_MONOTONIC) +
			     static_cast<uint64_t>((argc > 1 ? atof(argv[1]) : 1) * 1e9);
	uint64_t ns[2] = { 0, 0 };
	kitchen::Oven<int> oven;

	while (burn_cpu_ns(CLOCK_MONOTONIC) < end) {
		const uint64_t times = turns();
		const uint64_t t0 = burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID);

		oven.seventy_percent(times);
		const uint64_t t1 = burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID);

		oven.thirty_percent(times);
		ns[0] += t1 - t0;
		ns[1] += burn_cpu_ns(CLOCK_THREAD_CPUTIME_ID) - t1;
	}
	printf("kitchen::Oven<int>::seventy_percent %llu\nkitchen::Oven<int>::thirty_percent %llu\n",
	       static_cast<unsigned long long>(ns[0]), static_cast<unsigned long long>(ns[1]));
	return oven.heat == 1;
}
