// SPDX-License-Identifier: GPL-2.0-only
/* While the recording goes on: the timer, the signals, the drain, and when it is over. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "record/drain.h"
#include "record/keep.h"
#include "record/recording.h"

/* A round is written at the latest after this time, or with this much in memory. */
#define ROUND_NS (500 * NSEC_PER_MSEC)
#define ROUND_BYTES (2u << 20)
/* After a signal the command has this long to end by itself. */
#define PATIENCE_NS NSEC_PER_SEC

static int drain(struct recording *rec, struct err *err)
{
	unsigned int fill = 0;
	uint64_t most = rec->opts->python ? TICK_PYTHON_NS : TICK_MAX_NS, now;
	int r = drain_buffers(&rec->env, rec->writer, &rec->safe_ns, &fill, &rec->result->events,
			      err);

	if (r)
		return r;
	if (fill > 256)
		rec->tick_ns = TICK_MIN_NS;
	else if (fill < 32)
		rec->tick_ns = rec->tick_ns * 2 < most ? rec->tick_ns * 2 : most;
	now = monotonic_ns();
	if (now - rec->last_round_ns < ROUND_NS && trace_writer_pending(rec->writer) < ROUND_BYTES)
		return 0;
	rec->last_round_ns = now;
	r = trace_writer_round(rec->writer, rec->safe_ns, err);
	return r ? r : output_check(&rec->output, err);
}

/* Ctrl-C reaches the command through the terminal; a signal sent to us alone is passed on. The second one ends all. */
static void take_signals(struct recording *rec)
{
	struct signalfd_siginfo info;

	while (read(rec->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (info.ssi_signo == SIGUSR2) {
			rec->snapshot_asked = true;
			continue;
		}
		if (rec->target.pid > 0 && !rec->target.reaped && info.ssi_code <= 0)
			kill(rec->target.pid, (int)info.ssi_signo);
		rec->stop_by_ns = rec->result->interrupted || !rec->target.pid ?
					  1 :
					  monotonic_ns() + PATIENCE_NS;
		rec->result->interrupted = true;
	}
	target_reap(&rec->target, false);
}

/* Field 20 of /proc/PID/stat, num_threads; `state` points before field 3. */
static long threads_of(const char *state)
{
	for (int field = 3; field <= 20 && state; field++)
		state = strchr(state + 1, ' ');
	return state ? atol(state) : 0;
}

/* A process or thread that has not ended. A zombie has, unless it is only the first thread of a process that goes on. */
static bool alive(pid_t id)
{
	char path[64], line[512];
	_cleanup_(fclose_p) FILE *f = NULL;
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", id);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return false;
	state = strrchr(line, ')');
	if (!state || !state[1] || state[2] == 'X')
		return false;
	return state[2] != 'Z' || threads_of(state) > 1;
}

static bool over(const struct recording *rec)
{
	const struct record_options *opts = rec->opts;
	uint64_t now = monotonic_ns();

	if ((rec->until_ns && now >= rec->until_ns) || (rec->stop_by_ns && now >= rec->stop_by_ns))
		return true;
	if (rec->target.pid)
		return rec->target.reaped;
	for (size_t i = 0; i < opts->nr_ids; i++)
		if (alive(opts->ids[i]))
			return false;
	return opts->nr_ids > 0;
}

static void wait_tick(const struct recording *rec)
{
	struct pollfd fd = { .fd = rec->signal_fd, .events = POLLIN };
	uint64_t ns = rec->tick_ns, left;
	struct timespec ts;

	if (rec->until_ns) {
		left = rec->until_ns - monotonic_ns();
		ns = (int64_t)left < 0 ? 0 : left < ns ? left : ns;
	}
	ts = (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
	ppoll(&fd, 1, &ts, NULL);
}

int follow(struct recording *rec, struct err *err)
{
	int r = 0;

	while (!r && !over(rec)) {
		wait_tick(rec);
		if (rec->watch)
			proc_watch_look(
				rec->watch); /* before an ended command is reaped: its last numbers are still there */
		take_signals(rec);
		if (rec->result->bpf)
			r = drain(rec, err);
		if (!r && rec->keep)
			r = keep_tick(rec, err);
		probe_set_tick(rec);
	}
	rec->end_ns = monotonic_ns();
	return r;
}

void follow_command(struct recording *rec)
{
	struct pollfd fd = { .fd = rec->signal_fd, .events = POLLIN };

	while (!rec->target.reaped && !rec->stop_by_ns) {
		take_signals(rec);
		if (!rec->target.reaped && !rec->stop_by_ns)
			poll(&fd, 1, -1);
	}
	if (!rec->target.reaped)
		target_end(&rec->target);
}
