/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace files in memory, and numbered records for them: an oracle knows all that was written. Files are memfds, read by their /proc
 * path. What goes wrong fails the test.
 */
#ifndef WHYSCALE_TESTS_TRACE_FILE_H
#define WHYSCALE_TESTS_TRACE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"
#include "trace/reader.h"
#include "trace/writer.h"

/* A path of the file, up to the next call. */
const char *fd_path(int fd);

int new_file(void);
int file_of(const void *bytes, size_t len);

/* With a META: {"kernel": "first", "at_start": 1}. `fd` stays the caller's. */
struct trace_writer *new_writer(int fd, unsigned int cpus);
void write_record(struct trace_writer *w, unsigned int cpu, const uint64_t *rec);
void write_round(struct trace_writer *w, uint64_t safe);
void close_writer(struct trace_writer *w);

struct trace_reader *open_fd(int fd);

/* What was written: records in the order of their numbers, which within a CPU is the order of its buffer. */
struct written {
	uint64_t time;
	unsigned int cpu;
	uint64_t rec[EV_MAX_WORDS];
};

struct oracle {
	struct written *all;
	size_t nr;
	size_t next; /* of those in order, when reading */
	uint8_t *seen;
	size_t given;
	uint64_t last_time;
};

void free_oracle(struct oracle *o);

/* A switch or a wake-up, or anything of any length, with its number in word 1. */
void make_record(struct written *e, uint64_t number, unsigned int cpu, uint64_t time);

/* A trace_event_fn, of a struct oracle whose `all` is in the order of time: this is the next one. */
int expect_next(void *arg, const struct trace_event *ev);

/* Likewise, for damaged files: only what was written, each once, time never going back. `all` is in the order of numbers. */
int expect_written(void *arg, const struct trace_event *ev);

/* Likewise, of a size_t: counts. */
int count_event(void *arg, const struct trace_event *ev);

/* The same, where event number n has the time n. */
int count_in_order(void *arg, const struct trace_event *ev);

/* Any mapping, of tgid number + 1, its path of at most `longest` bytes. `path` has room for MAP_MAX_PATH + 1. */
struct mapping make_mapping(uint32_t number, size_t longest, char *path);

#endif
