// SPDX-License-Identifier: GPL-2.0-only
/* CPU lists: see cpulist.h. */
#include "base/cpulist.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"

int cpulist_parse(const char *list, bool *ret_cpus, unsigned int max)
{
	unsigned long top = 0;
	char *end;

	while (*list && *list != '\n') {
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return -EINVAL;
		if (*end == '-') {
			list = end + 1;
			last = strtoul(list, &end, 10);
			if (end == list || last < first)
				return -EINVAL;
		}
		if (last >= CPULIST_MAX || (*end && *end != ',' && *end != '\n'))
			return -EINVAL;
		for (unsigned long cpu = first; cpu <= last && cpu < max; cpu++)
			ret_cpus[cpu] = true;
		if (last + 1 > top)
			top = last + 1;
		list = *end == ',' ? end + 1 : end;
	}
	return (int)top;
}

int cpulist_machine(unsigned int *ret_possible, bool **ret_online, struct err *err)
{
	_cleanup_(free_p) char *possible = NULL, *online = NULL;
	_cleanup_(free_p) bool *cpus = NULL;
	int nr, r;

	r = file_read_text("/sys/devices/system/cpu/possible", &possible, err);
	if (!r)
		r = file_read_text("/sys/devices/system/cpu/online", &online, err);
	if (r)
		return r;
	nr = cpulist_parse(possible, NULL, 0);
	if (nr <= 0)
		return err_set(err, -EINVAL, "cannot understand the list of possible CPUs '%s'",
			       possible);
	cpus = calloc(nr, sizeof(*cpus));
	if (!cpus)
		return err_sys(err, -ENOMEM, "cannot list the CPUs");
	if (cpulist_parse(online, cpus, nr) <= 0)
		return err_set(err, -EINVAL, "cannot understand the list of online CPUs '%s'",
			       online);
	*ret_possible = nr;
	*ret_online = take_ptr(cpus);
	return 0;
}
