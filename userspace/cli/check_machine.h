/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts about this kernel, machine and user that decide what can be measured. */
#ifndef WHYSCALE_CLI_CHECK_MACHINE_H
#define WHYSCALE_CLI_CHECK_MACHINE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/utsname.h>

#include "base/confined.h"
#include "base/err.h"

#define NR_CAPABILITIES 3

struct machine {
	struct utsname uts;
	unsigned int cpus_online, cpus_possible;
	bool btf;               /* the kernel's type information, readable */
	char tracefs[PATH_MAX]; /* where it is mounted, or "" */
	bool tracefs_readable;
	char cgroup_v1[PATH_MAX]; /* the cpu controller's mount point, or "" */
	char cgroup_v2[PATH_MAX]; /* the same, if the controller is on at its root */
	char user[64];
	bool capable[NR_CAPABILITIES]; /* effective, as in machine_capabilities */
	struct confined confined;
	struct err proc; /* code 0: /proc is there and this pid namespace's */
};

extern const char *const machine_capabilities[NR_CAPABILITIES];

/* What cannot be found out is as if it were not there. */
void machine_look(struct machine *ret_machine);

#endif
