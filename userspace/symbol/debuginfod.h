/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files by their build-id from debuginfod servers, through libdebuginfod, if that is installed: it is loaded when it is first needed.
 * Only where the environment names servers (DEBUGINFOD_URLS); else nothing is loaded, and no connection is made. What was
 * fetched is kept by libdebuginfod in its own cache, and how long it waits is DEBUGINFOD_TIMEOUT's (90 s).
 */
#ifndef WHYSCALE_SYMBOL_DEBUGINFOD_H
#define WHYSCALE_SYMBOL_DEBUGINFOD_H

#include <limits.h>
#include <stdint.h>

enum debuginfod_what {
	DEBUGINFOD_DEBUG,   /* the separate debug file */
	DEBUGINFOD_PROGRAM, /* the executable or library itself */
};

/* 0 and the path of a local copy; -ENOENT: there is none, or no server was named. */
int debuginfod_fetch(enum debuginfod_what what, const uint8_t *build_id, uint32_t len,
		     char ret_path[PATH_MAX]);

#endif
