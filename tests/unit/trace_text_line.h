/* SPDX-License-Identifier: GPL-2.0-only */
/* A line of a trace as text (trace_text.h) on its way to a record. For trace_text*.c only. */
#ifndef WHYSCALE_TESTS_TRACE_TEXT_LINE_H
#define WHYSCALE_TESTS_TRACE_TEXT_LINE_H

#include "trace/writer.h"
#include "trace_text.h"

#define MAX_ARGS 48

/* A line, split. seq: switch-outs so far of each thread. */
struct line {
	uint64_t time;
	unsigned int cpu;
	bool dropped;
	char *arg[MAX_ARGS];
	unsigned int nr;
	uint16_t *seq;
	struct ledger *ledger;
	struct passes *passes;
	struct locks *locks;
	struct trace_writer *writer; /* instead of all these */
};

/* "A" is the thread with the serial 1, "u7" the untracked thread 7, "idle". */
uint32_t who_of(const char *name);

/* How many switch-outs it has had. */
uint16_t *seq_of(const struct line *line, uint32_t who);

/* Is it one of the line's words? */
bool has(const struct line *line, const char *word);

/* The value of "key=value", or `otherwise`. */
uint64_t value(const struct line *line, const char *key, uint64_t otherwise);

/* The numbers of "key=1,2,3"; those that are missing stay. */
void values(const struct line *line, const char *key, uint32_t *ret, unsigned int nr);

/* Word i as a number; 0: there is none. */
uint64_t number(const struct line *line, unsigned int i);

/* Gives the record, whose word 0 is set here, to whom the line is for. */
void put(const struct line *line, void *rec, unsigned int kind, unsigned int flags, size_t bytes);

/* trace_text_calls.c: the records of call stacks, and mappings. False: the event is none of these. */
bool put_stack(const struct line *line, const char *event);

#endif
