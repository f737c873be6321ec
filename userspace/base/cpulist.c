// SPDX-License-Identifier: GPL-2.0-only
/* CPU lists: see cpulist.h. */
#include "base/cpulist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* Without /sys: a line "cpuN ..." of /proc/stat for each that is online. */
static int from_proc(unsigned int *ret_possible, bool **ret_online, struct err *err)
{
	_cleanup_(free_p) bool *cpus = calloc(CPULIST_MAX, sizeof(*cpus));
	_cleanup_(free_p) char *stat = NULL;
	unsigned long nr = 0;
	int r = file_read_text("/proc/stat", &stat, err);

	if (r || !cpus)
		return r ? r : err_sys(err, -ENOMEM, "cannot list the CPUs");
	for (const char *at = stat; (at = strstr(at, "\ncpu")); at++) {
		unsigned long cpu = strtoul(at + strlen("\ncpu"), NULL, 10);

		if (cpu >= CPULIST_MAX)
			continue;
		cpus[cpu] = true;
		nr = cpu + 1 > nr ? cpu + 1 : nr;
	}
	if (!nr)
		return err_set(err, -EINVAL, "/proc/stat names no CPU");
	*ret_possible = (unsigned int)nr;
	*ret_online = take_ptr(cpus);
	return 0;
}

int cpulist_machine(unsigned int *ret_possible, bool **ret_online, struct err *err)
{
	_cleanup_(free_p) char *possible = NULL, *online = NULL;
	_cleanup_(free_p) bool *cpus = NULL;
	int nr, r;

	r = file_read_text("/sys/devices/system/cpu/possible", &possible, err);
	if (!r)
		r = file_read_text("/sys/devices/system/cpu/online", &online, err);
	if (r == -ENOENT)
		return from_proc(ret_possible, ret_online, err);
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

void cpulist_add_present(bool *ret_cpus, unsigned int nr)
{
	_cleanup_(free_p) char *present = NULL;
	struct err none;

	if (!file_read_text("/sys/devices/system/cpu/present", &present, &none))
		cpulist_parse(present, ret_cpus, nr);
}
