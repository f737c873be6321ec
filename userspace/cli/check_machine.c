// SPDX-License-Identifier: GPL-2.0-only
/* Facts about the machine: see check_machine.h. */
#include "cli/check_machine.h"

#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/file.h"

const char *const machine_capabilities[NR_CAPABILITIES] = { "CAP_BPF", "CAP_PERFMON",
							    "CAP_SYS_ADMIN" };
static const int capability_bits[NR_CAPABILITIES] = { CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN };

static void look_at_cpus(struct machine *m)
{
	_cleanup_(free_p) bool *online = NULL;
	struct err none;

	if (cpulist_machine(&m->cpus_possible, &online, &none))
		return;
	for (unsigned int cpu = 0; cpu < m->cpus_possible; cpu++)
		m->cpus_online += online[cpu];
}

/* Whether a list of words separated by blanks holds the word. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; *list; list += strspn(list, " \n")) {
		size_t n = strcspn(list, " \n");

		if (n == len && !memcmp(list, word, n))
			return true;
		list += n;
	}
	return false;
}

static bool controls_cpu(const char *cgroup2)
{
	_cleanup_(free_p) char *controllers = NULL;
	char path[PATH_MAX];
	struct err none;

	snprintf(path, sizeof(path), "%.4000s/cgroup.controllers", cgroup2);
	return !file_read_text(path, &controllers, &none) && has_word(controllers, "cpu");
}

static void look_at_mount(struct machine *m, const struct mntent *mount)
{
	if (access(mount->mnt_dir, F_OK)) /* something else was mounted above it */
		return;
	if (!strcmp(mount->mnt_type, "tracefs") && !*m->tracefs) {
		snprintf(m->tracefs, sizeof(m->tracefs), "%s", mount->mnt_dir);
		m->tracefs_readable = !access(mount->mnt_dir, R_OK | X_OK);
	} else if (!strcmp(mount->mnt_type, "cgroup") && hasmntopt(mount, "cpu")) {
		snprintf(m->cgroup_v1, sizeof(m->cgroup_v1), "%s", mount->mnt_dir);
	} else if (!strcmp(mount->mnt_type, "cgroup2") && controls_cpu(mount->mnt_dir)) {
		snprintf(m->cgroup_v2, sizeof(m->cgroup_v2), "%s", mount->mnt_dir);
	}
}

static void look_at_mounts(struct machine *m)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *mount;

	if (!f)
		return;
	while ((mount = getmntent(f)))
		look_at_mount(m, mount);
	endmntent(f);
}

static void look_at_user(struct machine *m)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (pw)
		snprintf(m->user, sizeof(m->user), "%s", pw->pw_name);
	for (size_t i = 0; i < NR_CAPABILITIES; i++)
		m->capable[i] = confined_has(&m->confined, capability_bits[i]);
}

void machine_look(struct machine *ret_machine)
{
	struct machine *m = ret_machine;

	*m = (struct machine){};
	confined_look(&m->confined);
	confined_proc(&m->proc);
	uname(&m->uts);
	look_at_cpus(m);
	m->btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	look_at_mounts(m);
	look_at_user(m);
}
