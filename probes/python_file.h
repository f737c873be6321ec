/* SPDX-License-Identifier: GPL-2.0-only */
/* What an ELF file says of a CPython that is in it. For probes/python.c only. */
#ifndef WHYSCALE_PROBES_PYTHON_FILE_H
#define WHYSCALE_PROBES_PYTHON_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mapping.h"
#include "bpf/events.h"

#define PYTHON_DEBUG_BYTES 584 /* of struct _Py_DebugOffsets in 3.13: see python_layout.c */
#define PYTHON_SEGMENTS 4

/* A piece of the file that is mapped to be executed. */
struct python_segment {
	uint64_t offset, address, bytes;
};

struct python_file {
	bool is_python;
	bool before_37;   /* a CPython without a _PyRuntime, which 3.7 was the first to have */
	uint64_t runtime; /* the address of that, as the file has it */
	int major, minor; /* 0, 0: it could not be told */
	struct python_segment segment[PYTHON_SEGMENTS];
	unsigned int nr_segments;
	bool has_debug; /* the beginning of _PyRuntime is in the file */
	uint8_t debug[PYTHON_DEBUG_BYTES];
};

/* Reads it from an open file; `path` may tell the version ("libpython3.8.so.1.0"). A file that is no good is no Python. */
void python_file_read(int fd, const char *path, struct python_file *ret);

/* Where _PyRuntime is in a process that has the file mapped like this. False: it is not of that file's code. */
bool python_file_runtime(const struct python_file *f, const struct mapping *m,
			 uint64_t *ret_address);

/* Where its structures have what. False: it is a version that we do not know (or cannot tell). */
bool python_layout(const struct python_file *f, struct py_layout *ret);

#endif
