/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes a trace file: records in, checksummed chunks out (format.h). Knows word 0 of a record and nothing else. */
#ifndef WHYSCALE_TRACE_WRITER_H
#define WHYSCALE_TRACE_WRITER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mapping.h"
#include "trace/keep.h"

struct trace_writer;

/*
 * Begins a trace in the open, empty, seekable file `fd`, which the writer owns from here on, also on failure. nr_cpus: CPU
 * numbers are below it.
 */
int trace_writer_open(int fd, unsigned int nr_cpus, struct trace_writer **ret_writer,
		      struct err *err);

/*
 * One that writes no file, but keeps the last chunks in memory (keep.h) for trace_writer_save(). `keep` is the writer's from here on,
 * also on failure.
 */
int trace_writer_open_kept(struct trace_keep *keep, unsigned int nr_cpus,
			   struct trace_writer **ret_writer, struct err *err);

/*
 * With such a one: a new group begins at now_ns, and what is given up to trace_writer_key_end() is its key. What was given before belongs
 * to the group before; the caller has just made a round.
 */
int trace_writer_key(struct trace_writer *w, uint64_t now_ns, struct err *err);
int trace_writer_key_end(struct trace_writer *w, const struct keep_key *key, struct err *err);

/*
 * Writes a whole trace into `fd`, as for trace_writer_open(), of what such a one holds, between two META objects. On an error what
 * was written is left as by trace_writer_close().
 */
int trace_writer_save(struct trace_writer *kept, int fd, const json_t *first, const json_t *last,
		      uint64_t *ret_bytes, struct err *err);

/* Appends whole records of one CPU, as they stood in its buffer. Kept in memory until the CPU's chunk is worth writing. */
int trace_writer_records(struct trace_writer *w, unsigned int cpu, const void *records,
			 size_t len_bytes, struct err *err);

/*
 * Appends a mapping; the caller gives them in order of time. Kept in memory until the next round, the end, or until they are worth
 * a chunk. -EINVAL: it is none (no such kind, empty, a path of more than 4095 bytes).
 */
int trace_writer_mapping(struct trace_writer *w, const struct mapping *m, struct err *err);

/* Writes what is kept of every CPU and of mappings, then a ROUND chunk: no record older than safe_ns (since the epoch) will follow. */
int trace_writer_round(struct trace_writer *w, uint64_t safe_ns, struct err *err);

/*
 * Bytes of records since the last round, of all CPUs, written or not: what a reader has to hold. The caller decides when a
 * round is due; it is overdue at 256 MiB.
 */
size_t trace_writer_pending(const struct trace_writer *w);

/* Appends a META chunk; does not take over `meta`. */
int trace_writer_meta(struct trace_writer *w, const json_t *meta, struct err *err);

/* Bytes in the file (or kept) so far, and bytes of records before compression. */
uint64_t trace_writer_size(const struct trace_writer *w);
uint64_t trace_writer_raw(const struct trace_writer *w);

/*
 * Marks the file complete and closes it. After an error of an earlier call (a full disk, say) only the whole chunks remain: the
 * file is cut behind the last of them and stays INCOMPLETE. Frees w in any case.
 */
int trace_writer_close(struct trace_writer *w, struct err *err);

#endif
