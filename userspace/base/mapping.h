/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened to a process's address space: the recorder learns it from the kernel (perf_event's MMAP2, COMM-exec and FORK
 * records) or from /proc/PID/maps, the trace file carries it, and userspace/symbol turns addresses into names with it.
 * Unmapping is not told: a later mapping over the same addresses replaces the earlier one.
 */
#ifndef WHYSCALE_BASE_MAPPING_H
#define WHYSCALE_BASE_MAPPING_H

#include <stdint.h>

#define MAPPING_BUILD_ID_MAX 20

enum mapping_kind {
	MAPPING_ADD = 1,  /* start..end is mapped */
	MAPPING_EXEC = 2, /* all that was mapped is gone: another program begins */
	MAPPING_FORK = 3, /* a new process, with a copy of what parent_tgid has mapped */
};

struct mapping {
	uint64_t time_ns; /* since the trace's epoch; 0: before the recording */
	uint32_t kind;    /* enum mapping_kind */
	uint32_t tgid;
	uint32_t parent_tgid; /* MAPPING_FORK */
	uint32_t prot, flags; /* as for mmap(2): PROT_*, MAP_SHARED or MAP_PRIVATE */
	uint64_t start, end;  /* addresses, end exclusive */
	uint64_t offset;      /* in the file, bytes */
	uint32_t dev_major, dev_minor;
	uint64_t inode;        /* dev and inode 0: unknown, or no file */
	uint64_t generation;   /* of the inode, which is used again; 0: unknown. Not in a trace */
	uint32_t build_id_len; /* 0: unknown */
	uint8_t build_id[MAPPING_BUILD_ID_MAX];
	const char *
		path; /* as the kernel names it: "/usr/lib/...", "[heap]", "[stack]", "[vdso]", "//anon", "" */
};

#endif
