/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which mappings are worth their place in the trace: those of traced processes that give addresses a name which they do not have
 * there already. For probes/maps.c only.
 *
 * Stored: code; what is shared, where locks between processes live (its device and inode say which memory it is); a file's writable
 * pages and the anonymous memory right behind them, where its variables live; the heap and the first stack.
 * Not stored, since an address without a mapping means just that: other private memory (heaps, stacks, guards), files mapped
 * only to be read, devices. But where such a one takes the place of something stored it is, without a name, so that the earlier one
 * does not keep its addresses.
 *
 * A program may map and unmap the same a hundred thousand times: what is stored already is not stored again, growing
 * anonymous memory again only when it has grown by an eighth, and a process has KEEP_MAX of them from exec to exec.
 */
#ifndef WHYSCALE_PROBES_MAPS_KEEP_H
#define WHYSCALE_PROBES_MAPS_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mapping.h"

#define KEEP_MAX 20000

struct maps_keep;

/* everyone: all processes are traced, except those that maps_keep_except() names. NULL when out of memory. */
struct maps_keep *maps_keep_new(bool everyone);
void maps_keep_free(struct maps_keep *k);

/* This process is traced, and with `forks` what it forks, too. 0 or -ENOMEM. */
int maps_keep_process(struct maps_keep *k, uint32_t tgid, bool forks);
int maps_keep_except(struct maps_keep *k, uint32_t tgid);

bool maps_keep_traced(const struct maps_keep *k, uint32_t tgid);

/* What the kernel told: 1 when it is to be stored, 0 when not, -ENOMEM. A mapping loses its name if that is how to store it. */
int maps_keep_fork(struct maps_keep *k, uint32_t parent, uint32_t child);
int maps_keep_exec(struct maps_keep *k, uint32_t tgid);
int maps_keep_mapped(struct maps_keep *k, struct mapping *m);

/*
 * For `record --keep`, where what was told is let go of. From now on what is told can be told again; each of that, as it is now, with a
 * time of 0, up to one for which fn does not return 0: that is returned. And: forgets processes that live no longer, and begins anew
 * to count towards KEEP_MAX.
 */
void maps_keep_words(struct maps_keep *k);
/* After maps_keep_mapped() gave 1: m is stored, with all that is known of it by now (its build-id, our path of it). That is told again. */
void maps_keep_stored(struct maps_keep *k, const struct mapping *m);
int maps_keep_each(const struct maps_keep *k, int (*fn)(void *arg, const struct mapping *m),
		   void *arg);
void maps_keep_tidy(struct maps_keep *k);

/* The process has ended, or at least its first thread: frees memory. */
void maps_keep_exit(struct maps_keep *k, uint32_t tgid);

/* For how many processes there is room: with those that live it grows, not with those that have ended. */
size_t maps_keep_room(const struct maps_keep *k);

/* How many were not stored because of KEEP_MAX. */
uint64_t maps_keep_skipped(const struct maps_keep *k);

#endif
