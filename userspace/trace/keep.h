/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last chunks of a recording, in memory: what `record --keep` holds until somebody asks for a file of it.
 *
 * Chunks stand in groups, and each group begins with a key: chunks that say all that a reader must know to begin there (who the
 * threads are, what each does, what is mapped). The oldest group is let go as a whole:
 *
 *        let go        |  the oldest held                |              |  the newest: chunks are appended here
 *   ~~~~~~~~~~~~~~~~~~~+---------------------------------+--------------+----------------
 *                      | key | chunk chunk chunk chunk ..| key | ch. .. | key | chunk ..
 *                         ^                                 ^              ^
 *                         in a file that begins here        not in it
 *
 * A file is the key of the oldest group, then the chunks of all. A group is let go of once the one behind it reaches back far enough,
 * or when the bytes are too many; a group is as long as an eighth of what is to be kept, or of the bytes. So what is held
 * reaches back for at least keep_ns and at most 9/8 of it, where the bytes allow it. The memory for bytes is used again and again.
 */
#ifndef WHYSCALE_TRACE_KEEP_H
#define WHYSCALE_TRACE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define KEEP_GROUPS 8
#define KEEP_DROPS 3

/* What is known of a group's beginning. Times in ns since the trace's epoch. */
struct keep_key {
	uint64_t begin_ns; /* no chunk of the group was written before */
	uint64_t from_ns; /* every thread is told of by then: a file that begins here begins there */
	uint32_t serials;           /* of threads: up to this one were given out */
	uint64_t drops[KEEP_DROPS]; /* records lost before, by cause */
};

struct trace_keep;

/* keep_ns: how far it shall reach back. limit_bytes: at most so many, as far as groups can be let go of. NULL: out of memory. */
struct trace_keep *trace_keep_new(uint64_t keep_ns, uint64_t limit_bytes);
void trace_keep_free(struct trace_keep *k);

/* Appends a whole chunk to the newest group. 0, or -ENOMEM: nothing of it was. */
int trace_keep_append(struct trace_keep *k, const void *chunk, size_t len);

/* Whether a new group is due at now_ns. */
bool trace_keep_due(const struct trace_keep *k, uint64_t now_ns);

/* Begins a group: what is appended now belongs to its key, up to trace_keep_key_end(). 0 or -ENOMEM. */
int trace_keep_group(struct trace_keep *k, uint64_t now_ns);

/* The key is whole; lets go of what is too old or too much. */
void trace_keep_key_end(struct trace_keep *k, const struct keep_key *key);

/* The key with which a file would begin now; NULL: nothing was let go of, it would begin with the recording. */
const struct keep_key *trace_keep_first(const struct trace_keep *k);

/* True: the bytes were too many, at some time, for keep_ns. */
bool trace_keep_short(const struct trace_keep *k);

uint64_t trace_keep_bytes(const struct trace_keep *k);

/* What a file has behind its header and its first META, piece by piece, up to one for which fn does not return 0: that is returned. */
typedef int (*trace_keep_fn)(void *arg, const void *bytes, size_t len);
int trace_keep_each(const struct trace_keep *k, trace_keep_fn fn, void *arg);

#endif
