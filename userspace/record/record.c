// SPDX-License-Identifier: GPL-2.0-only
/*
 * The controller: see record.h.
 *
 *   fork the command, held -> create the file -> open the probes -> snapshot -> let it run
 *     -> drain on a timer until it ends -> the kernel's books -> detach -> last drain -> close the file
 */
#include "record/record.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpulist.h"
#include "base/file.h"
#include "probes/probe.h"
#include "record/drain.h"
#include "record/meta.h"
#include "record/output.h"
#include "record/proc_watch.h"
#include "record/target.h"
#include "trace/writer.h"

#define DEFAULT_BUFFER (4u << 20)
#define MAX_PROBES 16
#define RECORDER_NICE (-20)

/* The timer: short while buffers fill fast, long while nothing happens (a wake-up costs the target some 20 us). */
#define TICK_MIN_NS (4 * NSEC_PER_MSEC)
#define TICK_MAX_NS (100 * NSEC_PER_MSEC)
#define TICK_WATCH_NS (10 * NSEC_PER_MSEC)
/* A round is written at the latest after this time, or with this much in memory. */
#define ROUND_NS (500 * NSEC_PER_MSEC)
#define ROUND_BYTES (2u << 20)
/* After a signal the command has this long to end by itself. */
#define PATIENCE_NS NSEC_PER_SEC

static void json_p(json_t **json)
{
	json_decref(*json);
}

struct recording {
	const struct record_options *opts;
	struct record_result *result;
	struct probe_env env;
	void *state[MAX_PROBES];
	bool opened[MAX_PROBES];
	bool *online;
	struct target target;
	struct trace_writer *writer;
	struct proc_watch *watch; /* without BPF */
	sigset_t old_mask;
	int signal_fd;
	struct output output;
	int old_nice;
	uint64_t cpu_begin_ns;     /* our own CPU time */
	uint64_t begin_ns, end_ns; /* the target ran from, to */
	uint64_t safe_ns, last_round_ns, tick_ns;
	uint64_t stop_by_ns; /* a signal came: stop at this time at the latest */
};

/* ---- probes ---- */

/*
 * Per-task counters make every switch of the task dearer (perf's context is switched too: about 0.2 us), and the scheduler probe reads
 * the same numbers from the kernel's books for nothing. So they are opened when asked for, or in its stead.
 */
static bool wanted(const struct recording *rec, const struct probe *probe)
{
	return strcmp(probe->name, "counter") || rec->opts->counters || !rec->result->bpf;
}

/* Opens what works here. Without the scheduler probe /proc is watched instead. */
static int open_probes(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++) {
		struct err why = {};
		bool sched = !strcmp(probes[i]->name, "sched");
		int r;

		if (!wanted(rec, probes[i]))
			continue;
		if (sched && rec->opts->no_bpf)
			r = err_set(&why, -EPERM, "it was asked to do without BPF");
		else
			r = probes[i]->open(&rec->env, &rec->state[i], &why);
		rec->opened[i] = !r;
		if (r && rec->state[i]) {
			probes[i]->close(rec->state[i]);
			rec->state[i] = NULL;
		}
		if (sched) {
			rec->result->bpf = !r;
			snprintf(rec->result->why_not, sizeof(rec->result->why_not), "%.250s",
				 r ? why.msg : "");
		}
	}
	if (rec->result->bpf)
		return 0;
	if (rec->opts->what == RECORD_ALL)
		return err_set(err, -EPERM, "cannot record the whole machine: %s",
			       rec->result->why_not);
	return rec->target.pid ?
		       proc_watch_new(&rec->target.pid, 1, false, rec->env.epoch_ns, &rec->watch,
				      err) :
		       proc_watch_new(rec->env.ids, rec->env.nr_ids, rec->opts->what == RECORD_TIDS,
				      rec->env.epoch_ns, &rec->watch, err);
}

static int start_probes(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->start && probes[i]->start(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

static void tick_probes(struct recording *rec)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->tick && probes[i]->tick(rec->state[i]))
			rec->tick_ns = TICK_MIN_NS;
}

static int stop_probes(struct recording *rec, struct err *err)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->stop && probes[i]->stop(rec->state[i], err))
			return err_context(err, "probe %s", probes[i]->name);
	return 0;
}

static void close_probes(struct recording *rec)
{
	for (int i = 0; i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i])
			probes[i]->close(rec->state[i]);
	memset(rec->opened, 0, sizeof(rec->opened));
}

/* ---- before ---- */

/* -p takes processes: a thread that is not its process's first one is another thing. */
static int check_leaders(const struct record_options *opts, struct err *err)
{
	for (size_t i = 0; i < opts->nr_ids; i++) {
		_cleanup_(free_p) char *status = NULL;
		struct err ignored = {};
		const char *tgid;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/status", opts->ids[i]);
		if (file_read_text(path, &status, &ignored))
			continue;
		tgid = strstr(status, "\nTgid:");
		if (tgid && atoi(tgid + 6) != opts->ids[i])
			return err_set(
				err, -ESRCH,
				"%d is a thread of process %d: record the thread with -t, or the process",
				opts->ids[i], atoi(tgid + 6));
	}
	return 0;
}

static int describe_target(struct recording *rec, struct err *err)
{
	static const enum probe_mode modes[] = {
		[RECORD_COMMAND] = PROBE_COMMAND,
		[RECORD_PIDS] = PROBE_PIDS,
		[RECORD_TIDS] = PROBE_TIDS,
		[RECORD_ALL] = PROBE_ALL,
	};
	const struct record_options *opts = rec->opts;

	for (size_t i = 0; i < opts->nr_ids; i++)
		if (kill(opts->ids[i], 0) && errno == ESRCH)
			return err_set(
				err, -ESRCH,
				"there is no process or thread %d: it may have ended; see `ps -eL`",
				opts->ids[i]);
	if (opts->what == RECORD_PIDS && check_leaders(opts, err))
		return err->code;
	rec->env = (struct probe_env){
		.mode = modes[opts->what],
		.ids = opts->ids,
		.nr_ids = opts->nr_ids,
		.epoch_ns = monotonic_ns(),
		.buffer_bytes = opts->buffer_bytes ? opts->buffer_bytes : DEFAULT_BUFFER,
		.bufs_fd = -1,
	};
	return cpulist_machine(&rec->env.nr_cpus, &rec->online, err);
}

static int block_signals(struct recording *rec, struct err *err)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		struct sigaction now;

		/* blocked, an ignored signal would reach signalfd: nohup means it */
		if (sigaction(ending[i], NULL, &now) || now.sa_handler != SIG_IGN)
			sigaddset(&mask, ending[i]);
	}
	sigprocmask(SIG_BLOCK, &mask, &rec->old_mask);
	rec->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return rec->signal_fd < 0 ? err_sys(err, -errno, "cannot wait for signals") : 0;
}

static int hold_command(struct recording *rec, struct err *err)
{
	const struct record_options *opts = rec->opts;
	int r;

	if (!opts->argv)
		return 0;
	r = target_spawn(&rec->target, opts->argv, opts->user, opts->stdout_fd, &rec->old_mask,
			 rec->old_nice, err);
	if (r)
		return r;
	rec->env.command = rec->target.pid;
	return 0;
}

static int open_trace(struct recording *rec, struct err *err)
{
	_cleanup_(json_p) json_t *meta = NULL;
	int fd, r;

	r = output_create(&rec->output, rec->opts->output, &fd, err);
	if (r)
		return r;
	r = trace_writer_open(fd, rec->env.nr_cpus, &rec->writer, err);
	if (r)
		return r;
	meta = meta_start(rec->opts->argv, rec->target.pid, rec->env.nr_cpus, rec->env.online,
			  rec->env.epoch_ns);
	if (!meta)
		return err_sys(err, -ENOMEM, "cannot describe the machine");
	return trace_writer_meta(rec->writer, meta, err);
}

static int begin(struct recording *rec, struct err *err)
{
	int r = start_probes(rec, err);

	if (r)
		return r;
	tick_probes(rec);
	rec->begin_ns = rec->last_round_ns = monotonic_ns();
	rec->tick_ns = rec->watch ? TICK_WATCH_NS : TICK_MIN_NS;
	if (!rec->target.pid)
		return 0;
	r = target_go(&rec->target, rec->opts->argv[0], err);
	if (r == -ENOENT || r == -EACCES)
		rec->result->exit_status = r == -ENOENT ? 127 : 126;
	return r;
}

/* ---- while it runs ---- */

static int drain(struct recording *rec, struct err *err)
{
	unsigned int fill = 0;
	uint64_t now;
	int r = drain_buffers(&rec->env, rec->writer, &rec->safe_ns, &fill, &rec->result->events,
			      err);

	if (r)
		return r;
	if (fill > 256)
		rec->tick_ns = TICK_MIN_NS;
	else if (fill < 32)
		rec->tick_ns = rec->tick_ns * 2 < TICK_MAX_NS ? rec->tick_ns * 2 : TICK_MAX_NS;
	now = monotonic_ns();
	if (now - rec->last_round_ns < ROUND_NS && trace_writer_pending(rec->writer) < ROUND_BYTES)
		return 0;
	rec->last_round_ns = now;
	return trace_writer_round(rec->writer, rec->safe_ns, err);
}

/* Ctrl-C reaches the command through the terminal; a signal sent to us alone is passed on. The second one ends all. */
static void take_signals(struct recording *rec)
{
	struct signalfd_siginfo info;

	while (read(rec->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
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

	if ((opts->duration_ns && now - rec->begin_ns >= opts->duration_ns) ||
	    (rec->stop_by_ns && now >= rec->stop_by_ns))
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

	if (rec->opts->duration_ns) {
		left = rec->begin_ns + rec->opts->duration_ns - monotonic_ns();
		ns = (int64_t)left < 0 ? 0 : left < ns ? left : ns;
	}
	ts = (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
	ppoll(&fd, 1, &ts, NULL);
}

static int follow(struct recording *rec, struct err *err)
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
		tick_probes(rec);
	}
	rec->end_ns = monotonic_ns();
	return r;
}

/* ---- after ---- */

static json_t *meta_end(struct recording *rec)
{
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - rec->cpu_begin_ns;
	json_t *meta = json_pack("{s:I,s:b,s:s,s:{s:I,s:I,s:I},s:{s:i,s:b},s:{},s:o}", "ended_ns",
				 (json_int_t)(rec->end_ns - rec->env.epoch_ns), "bpf",
				 rec->result->bpf, "why_not", rec->result->why_not, "cost",
				 "recorder_cpu_ns", (json_int_t)cpu_ns, "recorded_bytes",
				 (json_int_t)trace_writer_raw(rec->writer), "file_bytes",
				 (json_int_t)trace_writer_size(rec->writer), "exit", "status",
				 target_exit_status(&rec->target), "interrupted",
				 rec->result->interrupted, "counters", "cgroups", meta_cgroups());

	if (meta)
		json_object_set_new(meta, "began_ns",
				    json_integer(rec->begin_ns - rec->env.epoch_ns));
	for (int i = 0; meta && i < MAX_PROBES && probes[i]; i++)
		if (rec->opened[i] && probes[i]->meta)
			probes[i]->meta(rec->state[i], meta);
	if (meta && rec->watch)
		json_object_set_new(meta, "threads", proc_watch_threads(rec->watch));
	return meta;
}

static uint64_t dropped(const json_t *meta)
{
	const json_t *drops = json_object_get(meta, "drops"), *value;
	uint64_t sum = 0;
	const char *key;

	json_object_foreach((json_t *)drops, key, value)
		sum += json_integer_value(value);
	return sum;
}

static int finish(struct recording *rec, struct err *err)
{
	_cleanup_(json_p) json_t *meta = NULL;
	unsigned int fill;
	int r = stop_probes(rec, err);

	if (rec->result->bpf) {
		if (!r)
			r = drain_buffers(&rec->env, rec->writer, &rec->safe_ns, &fill,
					  &rec->result->events, err);
		if (!r)
			r = drain_last_losses(&rec->env, rec->writer, err);
		if (!r)
			r = trace_writer_round(rec->writer, rec->safe_ns, err);
	}
	meta = meta_end(rec);
	if (!r && !meta)
		r = err_sys(err, -ENOMEM, "cannot describe the recording");
	if (!r)
		r = trace_writer_meta(rec->writer, meta, err);
	rec->result->lost = dropped(meta);
	rec->result->bytes = trace_writer_size(rec->writer);
	rec->result->wall_ns = rec->end_ns - rec->begin_ns;
	return r;
}

/* Signals that come now go to the command, as before; two end it. */
static void wait_command(struct recording *rec)
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

/* The probes and the trace are closed before the command is waited for: what is not recorded is not slowed, what was is safe. */
static void release(struct recording *rec)
{
	if (rec->target.pid && !rec->target.reaped) {
		if (rec->result->interrupted || rec->target.go_fd >= 0)
			target_end(&rec->target);
		else
			wait_command(rec);
	}
	if (rec->target.pid && !rec->result->exit_status)
		rec->result->exit_status = target_exit_status(&rec->target);
	proc_watch_free(rec->watch);
	free(rec->online);
	if (rec->signal_fd >= 0) {
		close(rec->signal_fd);
		sigprocmask(SIG_SETMASK, &rec->old_mask, NULL);
	}
	setpriority(PRIO_PROCESS, 0, rec->old_nice);
}

static int record_into(struct recording *rec, struct err *err)
{
	int r;

	r = open_trace(rec, err);
	if (r)
		return r;
	r = open_probes(rec, err);
	if (r)
		return r;
	setpriority(PRIO_PROCESS, 0, RECORDER_NICE); /* without the privilege it stays as it is */
	r = begin(rec, err);
	if (!r)
		r = output_commit(&rec->output, err);
	if (r)
		return r;
	r = follow(rec, err);
	return r ? r : finish(rec, err);
}

static int prepare(struct recording *rec, struct err *err)
{
	int r;

	if (rec->opts->argv) {
		r = target_find(rec->opts->argv[0], err);
		if (r) {
			rec->result->exit_status = r == -EACCES ? 126 : 127;
			return r;
		}
	}
	r = describe_target(rec, err);
	if (r)
		return r;
	rec->env.online = rec->online;
	r = block_signals(rec, err);
	return r ? r : hold_command(rec, err);
}

int record_run(const struct record_options *opts, struct record_result *ret, struct err *err)
{
	struct recording rec = {
		.opts = opts,
		.result = ret,
		.target = TARGET_NONE,
		.signal_fd = -1,
		.old_nice = getpriority(PRIO_PROCESS, 0),
		.cpu_begin_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	};
	void (*old_pipe)(int);
	int r;

	*ret = (struct record_result){};
	old_pipe = signal(SIGPIPE, SIG_IGN); /* a command that a signal ended while it was held */
	r = prepare(&rec, err);
	if (!r)
		r = record_into(&rec, err);
	close_probes(&rec);
	if (rec.writer) {
		struct err late = {};
		int closed = trace_writer_close(rec.writer, &late);

		if (!r && closed)
			r = err_set(err, closed, "%s", late.msg);
	}
	output_end(&rec.output);
	release(&rec);
	signal(SIGPIPE, old_pipe);
	return r;
}
