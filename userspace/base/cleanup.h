/* SPDX-License-Identifier: GPL-2.0-only */
/* Scope-bound release of what a function holds: _cleanup_(free_p), _cleanup_(close_p), _cleanup_(fclose_p). */
#ifndef WHYSCALE_BASE_CLEANUP_H
#define WHYSCALE_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands the value over to the caller and leaves nothing behind to be released. */
#define take_ptr(p)                       \
	({                                \
		__typeof__(p) taken_ = p; \
		(p) = NULL;               \
		taken_;                   \
	})
#define take_fd(fd)           \
	({                    \
		int fd_ = fd; \
		(fd) = -1;    \
		fd_;          \
	})

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}

#endif
