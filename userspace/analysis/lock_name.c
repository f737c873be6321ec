// SPDX-License-Identifier: GPL-2.0-only
/* What to call a lock: by its symbol, by where it lies, or by what it is. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/locks_impl.h"
#include "symbol/demangle.h"

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path ? path : "?";
}

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...)
{
	va_list ap;
	char *out;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&out, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : out;
}

static char *gil_name(const struct lock *lock)
{
	char version[24] = "";

	if (lock->gil_major)
		snprintf(version, sizeof(version), " %d.%d", lock->gil_major, lock->gil_minor);
	if (lock->main_gil)
		return text("CPython%s's GIL", version);
	return text("a CPython interpreter's own GIL (0x%" PRIx64 ")", lock->address);
}

static char *kernel_name(const struct locks *k, const struct lock *lock)
{
	const char *caller = lock->kernel_caller ? lock->kernel_name : NULL;
	char which[24];

	if (lock->kernel_name && !caller)
		return text("kernel lock %s", lock->kernel_name);
	snprintf(which, sizeof(which), k->kernel_addresses ? "0x%" PRIx64 : "%" PRIu64,
		 locks_address(k, lock));
	return caller ? text("kernel lock %s (%s)", which, caller) : text("kernel lock %s", which);
}

static char *join_name(const struct locks *k, const struct lock *lock)
{
	const struct thread *t = locks_thread(k, lock->joined);

	return t ? text("end of thread %.15s/%" PRIu32, t->comm, t->tid) : text("end of a thread");
}

static char *place_name(const struct lock *lock)
{
	const struct place *p = &lock->place;
	const char *file = base_name(p->path), *name = p->name;
	char written[DEMANGLE_MAX];

	if (name && demangle(name, written))
		name = written;

	switch (p->kind) {
	case PLACE_OBJECT:
		if (name && p->offset)
			return text("%s+0x%" PRIx64 " in %s", name, p->offset, file);
		if (name)
			return text("%s in %s", name, file);
		return text("%s+0x%" PRIx64, file, p->offset);
	case PLACE_FILE:
		return text("%s+0x%" PRIx64, file, p->offset);
	case PLACE_HEAP:
		return text("heap 0x%" PRIx64, lock->address);
	case PLACE_STACK:
		return text("stack 0x%" PRIx64, lock->address);
	case PLACE_SHARED:
		return text("shared memory %s+0x%" PRIx64, *p->path ? file : "", p->offset);
	case PLACE_ANON:
		return text("memory 0x%" PRIx64, lock->address);
	default:
		return text("0x%" PRIx64, lock->address);
	}
}

char *lock_make_name(const struct locks *k, const struct lock *lock)
{
	char *place, *name;

	if (lock->overflow)
		return text("all further ones");
	if (lock->kind == LOCK_GIL)
		return gil_name(lock);
	if (lock->kind == LOCK_KERNEL)
		return kernel_name(k, lock);
	if (lock->kind == LOCK_JOIN && lock->joined && !lock->joined_several)
		return join_name(k, lock);
	place = place_name(lock);
	if (!place || (!lock->malloc_lock && !lock->runtime))
		return place;
	name = lock->malloc_lock ? text("malloc's arena (%s)", place) :
				   text("%s runtime (%s)", lock->runtime, place);
	free(place);
	return name;
}
