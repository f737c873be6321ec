// SPDX-License-Identifier: GPL-2.0-only
/*
 * The controller: see record.h.
 *
 *   fork the command, held -> create the file -> open the probes -> snapshot -> let it run
 *     -> drain on a timer until it ends -> the kernel's books -> detach -> last drain -> close the file
 */
#include "record/record.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confined.h"
#include "base/cpulist.h"
#include "base/file.h"
#include "record/drain.h"
#include "record/keep.h"
#include "record/meta.h"
#include "record/recording.h"

#define DEFAULT_BUFFER (4u << 20)
#define DEFAULT_STACK_BYTES 8192
#define STACK_RATE (8u << 20) /* bytes a second and CPU: some 1000 deep stacks */
#define DEFAULT_HZ 99
#define RECORDER_NICE (-20)
#define MANY_FILES 65536
#define FEW_FILES 24 /* without BPF */

static void json_p(json_t **json)
{
	json_decref(*json);
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

/* Where probes leave what they learn of address spaces. The writer keeps an error for all that follows. */
static int store_mapping(void *arg, const struct mapping *m)
{
	struct recording *rec = arg;
	struct err late = {};

	return trace_writer_mapping(rec->writer, m, &late);
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
		.max_threads = opts->max_threads,
		.stacks = opts->stacks,
		.stack_bytes = opts->stack_bytes ? opts->stack_bytes : DEFAULT_STACK_BYTES,
		.stack_rate = STACK_RATE,
		.sample_hz = opts->sample_hz ? opts->sample_hz : DEFAULT_HZ,
		.mapping = store_mapping,
		.mapping_arg = rec,
		.keep = opts->keep_ns,
		.python = opts->python,
		.counters = opts->counters ? opts->events ?: "" : NULL,
		.bufs_fd = -1,
		.locals_fd = -1,
		.addresses_fd = -1,
		.counts_fd = -1,
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
	if (rec->opts->keep_ns)
		sigaddset(&mask, SIGUSR2);
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
			 opts->nice ?: rec->old_nice, &rec->old_files, err);
	if (r)
		return r;
	rec->env.command = rec->target.pid;
	if (opts->cpus && sched_setaffinity(rec->target.pid, opts->cpus_bytes, opts->cpus))
		return err_sys(err, -errno, "cannot limit the command to some of the CPUs");
	return opts->held ? opts->held(opts->held_arg, rec->target.pid, err) : 0;
}

static int open_trace(struct recording *rec, struct err *err)
{
	int fd, r;

	if (rec->opts->keep_ns) {
		r = keep_open(rec, err);
	} else {
		r = output_create(&rec->output, rec->opts->output, &fd, err);
		if (!r)
			r = trace_writer_open(fd, rec->env.nr_cpus, &rec->writer, err);
	}
	if (r)
		return r;
	rec->first_meta = meta_start(rec->opts->argv, rec->target.pid, rec->env.nr_cpus,
				     rec->env.online, rec->env.epoch_ns);
	if (!rec->first_meta)
		return err_sys(err, -ENOMEM, "cannot describe the machine");
	return rec->keep ? 0 : trace_writer_meta(rec->writer, rec->first_meta, err);
}

static int begin(struct recording *rec, struct err *err)
{
	int r = probe_set_start(rec, err);

	if (r)
		return r;
	rec->begin_ns = rec->last_round_ns = monotonic_ns();
	rec->tick_ns = rec->watch ? TICK_WATCH_NS : TICK_MIN_NS;
	probe_set_tick(rec);
	if (rec->target.pid)
		r = target_go(&rec->target, rec->opts->argv[0], err);
	if (r == -ENOENT || r == -EACCES || r == -ENOEXEC)
		rec->result->exit_status = r == -ENOENT ? 127 : 126;
	/* of the command's own time: on a busy machine it takes a while to begin */
	rec->until_ns = rec->opts->duration_ns ? monotonic_ns() + rec->opts->duration_ns : 0;
	return r;
}

/* ---- after ---- */

json_t *recording_meta_end(struct recording *rec)
{
	uint64_t cpu_ns =
		clock_ns(CLOCK_PROCESS_CPUTIME_ID) + rec->parent_cpu_ns - rec->cpu_begin_ns;
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
	if (meta)
		probe_set_meta(rec, meta);
	if (meta && rec->watch)
		json_object_set_new(meta, "threads", proc_watch_threads(rec->watch));
	if (meta && rec->keep)
		keep_meta(rec, meta);
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

/* "cycles, instructions: why not", those with the same reason together; the first reason comes first. */
static void list_missing(const json_t *counters, char *text, size_t size)
{
	const char *name, *last = NULL, *why;
	const json_t *one;
	size_t len = 0;

	json_object_foreach((json_t *)counters, name, one) {
		why = json_string_value(json_object_get(one, "unavailable"));
		if (!why || len >= size)
			continue;
		if (last && strcmp(why, last) != 0)
			len += (size_t)snprintf(text + len, size - len, ": %s; ", last);
		else if (last)
			len += (size_t)snprintf(text + len, size - len, ", ");
		if (len < size)
			len += (size_t)snprintf(text + len, size - len, "%s", name);
		last = why;
	}
	if (last && len < size)
		snprintf(text + len, size - len, ": %s", last);
}

static void note_kept(struct recording *rec)
{
	const struct keep_key *first = rec->keep ? trace_keep_first(rec->keep) : NULL;

	if (!first)
		return;
	rec->result->kept_ns = rec->end_ns - rec->env.epoch_ns - first->from_ns;
	rec->result->kept_short = trace_keep_short(rec->keep) &&
				  rec->result->kept_ns < rec->opts->keep_ns;
}

static int finish(struct recording *rec, struct err *err)
{
	_cleanup_(json_p) json_t *meta = NULL;
	const char *note;
	unsigned int fill;
	int r = probe_set_stop(rec, err);

	if (rec->result->bpf) {
		if (!r)
			r = drain_buffers(&rec->env, rec->writer, &rec->safe_ns, &fill,
					  &rec->result->events, err);
		if (!r)
			r = drain_last_losses(&rec->env, rec->writer, err);
		if (!r)
			r = trace_writer_round(rec->writer, rec->safe_ns, err);
	}
	meta = recording_meta_end(rec);
	if (!r && !meta)
		r = err_sys(err, -ENOMEM, "cannot describe the recording");
	if (!r)
		r = rec->keep ? keep_save(rec, meta, err) :
				trace_writer_meta(rec->writer, meta, err);
	rec->result->lost = dropped(meta);
	rec->result->lost_on_new = (uint64_t)json_integer_value(
		json_object_get(json_object_get(meta, "drops"), "no_buffer"));
	note = json_string_value(json_object_get(json_object_get(meta, "maps"), "unavailable"));
	if (rec->result->bpf)
		snprintf(rec->result->no_maps, sizeof(rec->result->no_maps), "%.250s",
			 note ? note : "");
	snprintf(rec->result->no_samples, sizeof(rec->result->no_samples), "%s",
		 rec->env.no_samples);
	snprintf(rec->result->no_stacks, sizeof(rec->result->no_stacks), "%s", rec->env.no_stacks);
	note = json_string_value(json_object_get(json_object_get(meta, "python"), "note"));
	snprintf(rec->result->python, sizeof(rec->result->python), "%.300s", note ? note : "");
	if (rec->opts->counters)
		list_missing(json_object_get(meta, "counters"), rec->result->no_counters,
			     sizeof(rec->result->no_counters));
	if (!rec->keep)
		rec->result->bytes = trace_writer_size(rec->writer);
	note_kept(rec);
	rec->result->wall_ns = rec->end_ns - rec->begin_ns;
	return r;
}

/* The probes and the trace are closed before the command is waited for: what is not recorded is not slowed, what was is safe. */
static void release(struct recording *rec)
{
	if (rec->target.pid && !rec->target.reaped) {
		if (rec->result->interrupted || rec->target.go_fd >= 0)
			target_end(&rec->target);
		else
			follow_command(rec);
	}
	if (rec->target.pid && !rec->result->exit_status)
		rec->result->exit_status = target_exit_status(&rec->target);
	json_decref(rec->first_meta);
	proc_watch_free(rec->watch);
	free(rec->online);
	if (rec->signal_fd >= 0) {
		close(rec->signal_fd);
		sigprocmask(SIG_SETMASK, &rec->old_mask, NULL);
	}
	setpriority(PRIO_PROCESS, 0, rec->old_nice);
	setrlimit(RLIMIT_NOFILE, &rec->old_files);
}

static int record_into(struct recording *rec, struct err *err)
{
	struct err late = {};
	int r;

	r = open_trace(rec, err);
	if (r)
		return r;
	r = probe_set_open(rec, err);
	if (r)
		return r;
	if (rec->keep && !rec->result->bpf)
		return err_set(err, -EPERM, "--keep needs BPF, which does not work here: %.250s",
			       rec->result->why_not);
	setpriority(PRIO_PROCESS, 0, RECORDER_NICE); /* without the privilege it stays as it is */
	r = begin(rec, err);
	if (!r && !rec->keep)
		r = output_commit(&rec->output, err);
	if (r)
		return r;
	r = follow(rec, err);
	keep_wait(rec);
	if (r && rec->keep)
		finish(rec, &late); /* what is still in memory */
	if (!r)
		r = finish(rec, err);
	return r ? r : output_check(&rec->output, err);
}

static int prepare(struct recording *rec, struct err *err)
{
	int r = confined_proc(err);

	if (r) /* else other processes would be taken for those that are meant */
		return r;
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

/* A shell's limit may be lower than need be. */
static int allow_files(struct recording *rec, struct err *err)
{
	struct rlimit more;

	if (getrlimit(RLIMIT_NOFILE, &rec->old_files))
		return err_sys(err, -errno, "cannot read the limit of open files");
	more = rec->old_files;
	if (more.rlim_cur < MANY_FILES)
		more.rlim_cur = more.rlim_max < MANY_FILES ? more.rlim_max : MANY_FILES;
	if (more.rlim_cur < FEW_FILES)
		return err_set(
			err, -EMFILE,
			"a recording needs more open files than the %llu that are allowed here; raise the limit "
			"(ulimit -n 1024)",
			(unsigned long long)more.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &more);
	return 0;
}

int record_run(const struct record_options *opts, struct record_result *ret, struct err *err)
{
	struct recording rec = {
		.opts = opts,
		.result = ret,
		.target = TARGET_NONE,
		.signal_fd = -1,
		.snapshot_fd = -1,
		.old_nice = getpriority(PRIO_PROCESS, 0),
		.cpu_begin_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	};
	void (*old_pipe)(int);
	int r;

	*ret = (struct record_result){};
	r = allow_files(&rec, err);
	if (r)
		return r;
	old_pipe = signal(SIGPIPE, SIG_IGN); /* a command that a signal ended while it was held */
	r = prepare(&rec, err);
	if (!r)
		r = record_into(&rec, err);
	probe_set_close(&rec);
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
