// SPDX-License-Identifier: GPL-2.0-only
/* Runs offcpu.bpf.c until a signal ends it. */
#include <stdio.h>
#include <unistd.h>

#include "offcpu.skel.h"

int main(void)
{
	struct offcpu_bpf *skel = offcpu_bpf__open_and_load();

	if (!skel || offcpu_bpf__attach(skel)) {
		fprintf(stderr, "offcpu: needs root\n");
		return 1;
	}
	pause();
	return 0;
}
