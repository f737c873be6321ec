// SPDX-License-Identifier: GPL-2.0-only
/* The trace's META objects: see meta.h. */
#include "record/meta.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"

static json_t *command_words(char *const *argv)
{
	json_t *words = json_array();

	for (size_t i = 0; words && argv && argv[i]; i++) {
		json_t *word = json_string(argv[i]);

		/* an argument that is no UTF-8 */
		if (!word)
			word = json_string("?");
		json_array_append_new(words, word);
	}
	return words;
}

static json_t *online_list(unsigned int nr_cpus, const bool *online)
{
	json_t *list = json_array();

	for (unsigned int cpu = 0; list && cpu < nr_cpus; cpu++)
		if (online[cpu])
			json_array_append_new(list, json_integer(cpu));
	return list;
}

json_t *meta_start(char *const *argv, pid_t target, unsigned int nr_cpus, const bool *online,
		   uint64_t epoch_ns)
{
	uint64_t mono = monotonic_ns(), real = clock_ns(CLOCK_REALTIME);
	time_t seconds = real / NSEC_PER_SEC;
	struct utsname uts;
	char started[32];
	struct tm tm;

	uname(&uts);
	strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
	return json_pack("{s:s,s:s,s:o,s:s,s:s,s:{s:i,s:o},s:{s:I,s:I},s:{s:i},s:s}", "program",
			 "whyscale", "version", WHYSCALE_VERSION, "command", command_words(argv),
			 "kernel", uts.release, "arch", uts.machine, "machine", "cpus",
			 (int)nr_cpus, "online", online_list(nr_cpus, online), "clock", "epoch_ns",
			 (json_int_t)epoch_ns, "realtime_ns",
			 (json_int_t)(real - (mono - epoch_ns)), "target", "pid", (int)target,
			 "started", started);
}

/* ---- cgroups: nftw() has no argument for its callback ---- */

#define MAX_CGROUPS 20000

static json_t *found;
static size_t root_len;

static int add_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char id[24];

	(void)ftw;
	if (type != FTW_D)
		return 0;
	if (json_object_size(found) >= MAX_CGROUPS)
		return 1;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)st->st_ino);
	json_object_set_new(found, id, json_string(path[root_len] ? path + root_len : "/"));
	return 0;
}

json_t *meta_cgroups(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
					     "/sys/fs/cgroup" };

	found = json_object();
	for (size_t i = 0; found && i < sizeof(roots) / sizeof(roots[0]); i++) {
		root_len = strlen(roots[i]);
		if (!access(roots[i], R_OK) &&
		    !nftw(roots[i], add_cgroup, 32, FTW_PHYS | FTW_MOUNT))
			break;
	}
	return found;
}
