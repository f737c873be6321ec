// SPDX-License-Identifier: GPL-2.0-only
/* The least limit of a cgroup and of those above it, in trees of both versions that are made of files here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"

static char top[] = "/tmp/whyscale-memory.XXXXXX";

static const struct {
	const char *dir, *file, *text;
} files[] = {
	{ "/v2", NULL, NULL },
	{ "/v2/a", "memory.max", "300\n" },
	{ "/v2/a/b", "memory.max", "max\n" },
	{ "/v2/a/c", "memory.max", "200\n" },
	{ "/v2/a/c/d", "memory.max", "500\n" },
	{ "/v1", NULL, NULL },
	{ "/v1/e", "memory.stat", "cache 7\nhierarchical_memory_limit 77\nx 1\n" },
	{ "/in", "memory.max", "42\n" },
};

static int make(void **state)
{
	char path[256];
	FILE *f;

	(void)state;
	if (!mkdtemp(top))
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", top, files[i].dir);
		if (mkdir(path, 0700))
			return -1;
		if (!files[i].file)
			continue;
		snprintf(path, sizeof(path), "%s%s/%s", top, files[i].dir, files[i].file);
		f = fopen(path, "we");
		if (!f || fputs(files[i].text, f) == EOF || fclose(f))
			return -1;
	}
	return 0;
}

static int take_away(void **state)
{
	char path[256];

	(void)state;
	for (size_t i = sizeof(files) / sizeof(files[0]); i--;) {
		if (files[i].file) {
			snprintf(path, sizeof(path), "%s%s/%s", top, files[i].dir, files[i].file);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s%s", top, files[i].dir);
		rmdir(path);
	}
	return rmdir(top);
}

#define V2 "30 1 0:1 / /TOP/v2 rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
#define V1                                                \
	"31 1 0:2 / /TOP/cpu rw - cgroup cgroup rw,cpu\n" \
	"32 1 0:3 / /TOP/v1 rw,nosuid - cgroup cgroup rw,memory\n"
#define OTHER "20 1 8:1 / / rw,memory - ext4 /dev/memory rw,memory\n"

static const struct {
	const char *name, *cgroups, *mounts;
	uint64_t limit;
} cases[] = {
	{ "nothing is known", "", "", UINT64_MAX },
	{ "no mount shows it", "0::/a\n", OTHER, UINT64_MAX },
	{ "the root has no limit", "0::/\n", OTHER V2, UINT64_MAX },
	{ "its own", "0::/a\n", OTHER V2, 300 },
	{ "of the one above", "0::/a/b\n", V2, 300 },
	{ "the least is in the middle", "0::/a/c/d\n", V2, 200 },
	{ "one that is not there: those above", "0::/a/gone/x\n", V2, 300 },
	{ "version 1", "9:name=systemd:/\n4:memory:/e\n1:cpu:/\n", OTHER V1, 77 },
	{ "version 1, several controllers", "4:cpu,memory,pids:/e\n", V1, 77 },
	{ "another controller's path is not memory's", "4:cpu,memoryx:/e\n", V1, UINT64_MAX },
	{ "both: the lesser", "4:memory:/e\n0::/a\n", V1 V2, 77 },
	{ "a container: its part is mounted", "0::/a/b\n",
	  "30 1 0:1 /a /TOP/in rw - cgroup2 x rw\n", 42 },
	{ "a cgroup namespace", "0::/../x\n", "30 1 0:1 /.. /TOP/in rw - cgroup2 x rw\n", 42 },
	{ "cut lines", "0::\n4:memory\n:\n", "30 1\n31 1 0:2 / /x - \n", UINT64_MAX },
};

static void is_the_least(void **state)
{
	char mounts[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *from = cases[i].mounts, *at;
		size_t len = 0;

		for (; (at = strstr(from, "/TOP")); from = at + 4)
			len += (size_t)snprintf(mounts + len, sizeof(mounts) - len, "%.*s%s",
						(int)(at - from), from, top);
		snprintf(mounts + len, sizeof(mounts) - len, "%s", from);
		if (memory_cgroup_limit(cases[i].cgroups, mounts) != cases[i].limit)
			fail_msg("%s: %llu", cases[i].name,
				 (unsigned long long)memory_cgroup_limit(cases[i].cgroups, mounts));
	}
}

/* No more than the machine has, and not nothing. */
static void of_this_process(void **state)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	(void)state;
	assert_in_range(memory_limit(), 1 << 20, all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_the_least),
		cmocka_unit_test(of_this_process),
	};

	return cmocka_run_group_tests(tests, make, take_away);
}
