// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the trace file: bytes an event on disk, and what an event costs to write and to read, one core, page cache warm.
 *
 *   pipe       two threads of `perf bench sched pipe` on one CPU: wake, switch, wake, switch, 1 to 4 us apart
 *   pipe2      the same on two CPUs at once, so that the merge changes sides at almost every event
 *   nested     as pipe2, one event in a thousand out of order, so that every round is sorted
 *   messaging  800 threads, wakers and wakees at random
 *
 * Usage: bench_trace [EVENTS]. Rounds of 8 MiB. Prints a line for each stream; the time is the best of five.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "bpf/events.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define ROUND_BYTES (8u << 20)
#define BATCH 1024
#define TIMES 5

struct stream {
	const char *name;
	unsigned int cpus, threads, disorder; /* disorder: one event in so many, 0 for none */
	uint64_t now[2];
	unsigned int running[2], next[2];
	uint16_t seq[1024];
};

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* mean_ns with a bell-shaped jitter of about a tenth, and a tail of 3 us once in 50. */
static uint64_t gap_ns(uint64_t mean_ns)
{
	uint64_t ns = mean_ns * 7 / 10;

	for (int i = 0; i < 4; i++)
		ns += random_u64() % (mean_ns * 3 / 20);
	return random_u64() % 50 ? ns : ns + random_u64() % 3000;
}

/* Thread numbers of a CPU do not meet those of the other one. */
static unsigned int other_thread(const struct stream *s, unsigned int cpu)
{
	if (s->threads == 2)
		return 1 + cpu * 2 + (s->running[cpu] == 1 + cpu * 2);
	return 1 + (unsigned int)(random_u64() % s->threads);
}

static void make_event(struct stream *s, unsigned int cpu, bool wake, uint64_t rec[3])
{
	unsigned int me = s->running[cpu];
	uint64_t when;

	s->now[cpu] += gap_ns(wake ? 1500 : 2300);
	when = s->now[cpu];
	if (s->disorder && !(random_u64() % s->disorder))
		when -= 5000;
	if (wake) {
		struct ev_wake w = { .w0 = EV_WORD0(when, 3, EV_WAKE, WK_CONTEXT),
				     .waker = me,
				     .cpu = (ev_u16)cpu };

		s->next[cpu] = w.wakee = other_thread(s, cpu);
		w.seq = s->seq[w.wakee];
		memcpy(rec, &w, sizeof(w));
	} else {
		struct ev_switch w = { .w0 = EV_WORD0(when, 3, EV_SWITCH, 0),
				       .prev = me,
				       .next = s->next[cpu],
				       .state = EV_STATE_INTERRUPTIBLE,
				       .how = { 0, me & 1 ? 12 : 20, 0 } };

		w.prev_seq = ++s->seq[me];
		w.next_seq = s->seq[w.next];
		s->running[cpu] = w.next;
		memcpy(rec, &w, sizeof(w));
	}
}

static int die(const struct err *err)
{
	fprintf(stderr, "bench_trace: %s\n", err->msg);
	exit(1);
}

/* A round: the CPUs' clocks are together to some us, and disorder takes back 5 us. */
static void end_round(struct stream *s, struct trace_writer *w, struct err *err)
{
	uint64_t safe = s->cpus == 2 && s->now[1] < s->now[0] ? s->now[1] : s->now[0];

	if (trace_writer_round(w, safe > 10000 ? safe - 10000 : 0, err))
		die(err);
}

static double write_stream(struct stream *s, const char *path, size_t events, struct err *err)
{
	struct trace_writer *w;
	json_t *meta = json_pack("{s:{s:i}}", "machine", "cpus", (int)s->cpus);
	uint64_t batch[BATCH * 3];
	double spent = 0;

	if (trace_writer_open(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), s->cpus, &w,
			      err) ||
	    trace_writer_meta(w, meta, err))
		die(err);
	json_decref(meta);
	for (size_t i = 0; i < events; i += BATCH) {
		unsigned int cpu = s->cpus == 2 && s->now[1] < s->now[0];
		double begin;

		for (size_t k = 0; k < BATCH; k++)
			make_event(s, cpu, !(k & 1), batch + 3 * k);
		begin = seconds();
		if (trace_writer_records(w, cpu, batch, sizeof(batch), err))
			die(err);
		if (trace_writer_pending(w) >= ROUND_BYTES)
			end_round(s, w, err);
		spent += seconds() - begin;
	}
	if (trace_writer_close(w, err))
		die(err);
	return spent;
}

struct sum {
	uint64_t events, last_ns, check;
};

static int count_event(void *arg, const struct trace_event *ev)
{
	struct sum *sum = arg;

	sum->events++;
	sum->check += ev->rec[1] ^ ev->time_ns ^ (ev->time_ns < sum->last_ns);
	sum->last_ns = ev->time_ns;
	return 0;
}

static double read_stream(const char *path, struct sum *ret_sum, struct trace_state *ret_state,
			  struct err *err)
{
	struct trace_reader *r;
	double begin = seconds();

	*ret_sum = (struct sum){ 0 };
	if (trace_open(path, &r, err) || trace_each(r, count_event, ret_sum, err))
		die(err);
	*ret_state = *trace_state(r);
	trace_close(r);
	return seconds() - begin;
}

static void bench(struct stream *s, const char *path, size_t events)
{
	struct trace_state state = { 0 };
	struct sum sum = { 0 };
	struct err err = { 0 };
	double best = 1e9, wrote;

	s->now[0] = s->now[1] = 1000000;
	s->running[0] = 1;
	s->running[1] = 3;
	wrote = write_stream(s, path, events, &err);
	for (int i = 0; i < TIMES; i++) {
		double took = read_stream(path, &sum, &state, &err);

		best = took < best ? took : best;
	}
	printf("%-10s %8" PRIu64
	       " events  %5.2f bytes/event  write %5.1f ns/event  read %5.1f ns/event  %5.1f M events/s  "
	       "late %" PRIu64 "\n",
	       s->name, sum.events, (double)state.bytes / (double)sum.events,
	       wrote / (double)sum.events * 1e9, best / (double)sum.events * 1e9,
	       (double)sum.events / best / 1e6, state.late);
}

int main(int argc, char **argv)
{
	size_t events = argc > 1 ? strtoull(argv[1], NULL, 0) : 4u << 20;
	struct stream streams[] = {
		{ .name = "pipe", .cpus = 1, .threads = 2 },
		{ .name = "pipe2", .cpus = 2, .threads = 2 },
		{ .name = "nested", .cpus = 2, .threads = 2, .disorder = 1000 },
		{ .name = "messaging", .cpus = 2, .threads = 800 },
	};
	char path[] = "/tmp/bench_trace.XXXXXX";
	_cleanup_(close_p) int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
		bench(&streams[i], path, events);
	unlink(path);
	return 0;
}
