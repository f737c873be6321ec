/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a trace file, however damaged, and gives its events in the order of time, all CPUs merged. Memory is bounded by what lies
 * between two ROUND chunks, not by the file. Equal times: the lower CPU first, and within a CPU the order of the buffer.
 */
#ifndef WHYSCALE_TRACE_READER_H
#define WHYSCALE_TRACE_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mapping.h"

struct trace_reader;

struct trace_event {
	uint64_t time_ns; /* since the epoch, full */
	unsigned int cpu;
	const uint64_t *
		rec; /* the record (bpf/events.h); its word 0 is as in the buffer. Valid until the next call */
};

/* What the file says about its own end. */
struct trace_state {
	bool incomplete;     /* the recorder never closed it */
	bool damaged;        /* a chunk was cut or corrupt; what lay before it was read */
	uint64_t damaged_at; /* offset of that chunk */
	uint64_t events;     /* records given out so far */
	uint64_t late; /* of these, older than one given before: its time_ns is that one's, its word 0 its own */
	uint64_t bytes; /* of the file */
};

/*
 * Opens a trace. Errors (one sentence with a remedy): no such file, empty, not a trace, newer version, no META chunk. Reads every META
 * chunk there is, also those at the end, before it returns.
 */
int trace_open(const char *path, struct trace_reader **ret_reader, struct err *err);

/* All META chunks merged, later keys over earlier ones; owned by the reader. */
const json_t *trace_meta(const struct trace_reader *r);

/* Every event's cpu is below it. */
unsigned int trace_nr_cpus(const struct trace_reader *r);

/*
 * Calls fn for every event in order of time; a result of fn other than 0 ends it and is returned. A record that is malformed
 * (its kind's size is wrong, it runs over the chunk) ends its chunk and counts as damage. Records of kinds that this
 * reader does not know are left out. May be called again: it begins anew.
 */
typedef int (*trace_event_fn)(void *arg, const struct trace_event *ev);
int trace_each(struct trace_reader *r, trace_event_fn fn, void *arg, struct err *err);

/*
 * Calls fn for every mapping (base/mapping.h), in the order of the file: that of time, unless the file is damaged. What the pointer and
 * its path point to is valid until fn returns. A result of fn other than 0 ends it and is returned. A malformed one ends its
 * chunk and counts as damage, in the state that trace_state() shows from then on. Reads no events, only the chunks' headers and the
 * mappings; may be called again, before trace_each() and after it, but not from within a fn.
 */
typedef int (*trace_mapping_fn)(void *arg, const struct mapping *m);
int trace_each_mapping(struct trace_reader *r, trace_mapping_fn fn, void *arg, struct err *err);

/* The state so far; call it after trace_each(). */
const struct trace_state *trace_state(const struct trace_reader *r);

void trace_close(struct trace_reader *r);

#endif
