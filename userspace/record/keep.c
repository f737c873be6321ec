// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flight recorder: see keep.h.
 *
 * A new group of chunks (trace/keep.h) begins between two drains:
 *
 *   drain -> round -> the group begins -> every probe's `key` -> its key is whole -> drain ...
 *
 * A snapshot is written by a child process, with the memory as it is at the fork: however slow the disk is, the buffers are emptied
 * meanwhile. The child looks up the kernel's symbols, too, which takes some 0.1 s. One at a time: a SIGUSR2 that comes before
 * the last snapshot is written asks for one when it is.
 */
#include "record/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "record/drain.h"

static void json_p(json_t **json)
{
	json_decref(*json);
}

/* ---- the beginning ---- */

static int key_records(void *arg, const void *records, size_t len_bytes)
{
	struct recording *rec = arg;
	struct err late = {};

	return trace_writer_records(rec->writer, rec->env.buf_cpu[0], records, len_bytes, &late);
}

/* The file is made and taken away: at the end it would be too late to learn that it cannot be. */
static int try_output(struct recording *rec, struct err *err)
{
	int fd, r = output_create(&rec->output, rec->opts->output, &fd, err);

	if (r)
		return r;
	close(fd);
	output_end(&rec->output);
	return 0;
}

int keep_open(struct recording *rec, struct err *err)
{
	struct trace_keep *keep;
	int r = try_output(rec, err);

	if (r)
		return r;
	keep = trace_keep_new(rec->opts->keep_ns, rec->opts->keep_bytes);
	if (!keep)
		return err_sys(err, -ENOMEM, "cannot keep the last %.1f s",
			       (double)rec->opts->keep_ns / 1e9);
	rec->keep = keep;
	rec->env.key_records = key_records;
	rec->env.key_arg = rec;
	return trace_writer_open_kept(keep, rec->env.nr_cpus, &rec->writer, err);
}

/* ---- groups ---- */

static int begin_group(struct recording *rec, struct err *err)
{
	struct keep_key key = {};
	int r = trace_writer_round(rec->writer, rec->safe_ns, err);

	if (!r)
		r = trace_writer_key(rec->writer, monotonic_ns() - rec->env.epoch_ns, err);
	if (!r)
		r = probe_set_key(rec, err);
	if (r)
		return r;
	rec->last_round_ns = monotonic_ns();
	key.from_ns = rec->env.key_ns - rec->env.epoch_ns;
	key.serials = rec->env.key_serials;
	_Static_assert(sizeof(key.drops) == sizeof(rec->env.key_drops), "the same causes");
	memcpy(key.drops, rec->env.key_drops, sizeof(key.drops));
	return trace_writer_key_end(rec->writer, &key, err);
}

/* ---- what a file says of it ---- */

static void take_drops(json_t *meta, const uint64_t before[KEEP_DROPS])
{
	static const char *const names[KEEP_DROPS] = { "full", "storage", "no_buffer" };
	json_t *drops = json_object_get(meta, "drops");

	for (int i = 0; i < KEEP_DROPS; i++) {
		json_int_t all = json_integer_value(json_object_get(drops, names[i]));

		json_object_set_new(drops, names[i], json_integer(all - (json_int_t)before[i]));
	}
}

void keep_meta(struct recording *rec, json_t *meta)
{
	const struct keep_key *first = trace_keep_first(rec->keep);
	uint64_t began_ns = rec->begin_ns - rec->env.epoch_ns;
	json_t *kept = json_pack("{s:I,s:I,s:I,s:b}", "asked_ns", (json_int_t)rec->opts->keep_ns,
				 "limit_bytes", (json_int_t)rec->opts->keep_bytes, "began_ns",
				 (json_int_t)began_ns, "short", (int)trace_keep_short(rec->keep));

	if (!kept)
		return;
	if (first) {
		json_object_set_new(kept, "from_ns", json_integer((json_int_t)first->from_ns));
		json_object_set_new(kept, "serials", json_integer(first->serials));
		json_object_set_new(meta, "began_ns", json_integer((json_int_t)first->from_ns));
		take_drops(meta, first->drops);
	}
	json_object_set_new(meta, "kept", kept);
}

/* ---- files ---- */

static int save(struct recording *rec, const char *path, const json_t *meta, uint64_t *ret_bytes,
		struct err *err)
{
	int fd, r = output_create(&rec->output, path, &fd, err), late;
	struct err why = {}, told;

	if (r)
		return r;
	/* at the front, too: a file that a full disk cuts off is known for what it is */
	json_object_set(rec->first_meta, "kept", json_object_get(meta, "kept"));
	r = trace_writer_save(rec->writer, fd, rec->first_meta, meta, ret_bytes, err);
	/* what could be written is kept */
	late = output_commit(&rec->output, &why);
	if (late)
		late = output_leave(&rec->output, &why, r ? &told : err);
	output_end(&rec->output);
	return r ? r : late;
}

int keep_save(struct recording *rec, const json_t *meta, struct err *err)
{
	return save(rec, rec->opts->output, meta, &rec->result->bytes, err);
}

/* ---- snapshots ---- */

static char *snapshot_path(const struct recording *rec)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);
	time_t seconds = (time_t)(now / NSEC_PER_SEC);
	struct tm tm;
	char stamp[32], *path;

	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", localtime_r(&seconds, &tm));
	if (asprintf(&path, "%s.%s.%03u", rec->opts->output, stamp,
		     (unsigned int)(now % NSEC_PER_SEC / NSEC_PER_MSEC)) < 0)
		return NULL;
	return path;
}

/* In the child, which has the parent's memory and nothing else to do. Its last words go through the pipe. */
static _Noreturn void write_snapshot(struct recording *rec, int to_fd)
{
	_cleanup_(json_p) json_t *meta = NULL;
	uint64_t bytes = 0;
	struct err err = {};
	ssize_t n;
	int r;

	r = trace_writer_round(rec->writer, rec->safe_ns, &err);
	rec->end_ns = monotonic_ns();
	meta = recording_meta_end(rec);
	if (!meta)
		r = err_sys(&err, -ENOMEM, "cannot describe the recording");
	else
		json_object_del(meta, "exit"); /* it goes on */
	if (!r)
		r = save(rec, rec->snapshot_path, meta, &bytes, &err);
	n = r ? write(to_fd, err.msg, strlen(err.msg)) : 0;
	_exit(r || n < 0 ? 1 : 0);
}

/* The books of all threads, and what is in the buffers: up to here a snapshot reaches. */
static int complete_snapshot(struct recording *rec, struct err *err)
{
	unsigned int fill;
	int r = probe_set_books(rec, err);

	return r ? r :
		   drain_buffers(&rec->env, rec->writer, &rec->safe_ns, &fill, &rec->result->events,
				 err);
}

static void say(struct recording *rec, const struct err *why)
{
	if (rec->opts->on_snapshot)
		rec->opts->on_snapshot(rec->snapshot_path, why);
	free(take_ptr(rec->snapshot_path));
}

static int start_snapshot(struct recording *rec, struct err *err)
{
	int fds[2] = { -1, -1 }, r = complete_snapshot(rec, err);
	struct err why = {};
	uint64_t cpu_ns;

	if (r)
		return r;
	rec->snapshot_asked = false;
	rec->snapshot_path = snapshot_path(rec);
	if (!rec->snapshot_path || pipe2(fds, O_CLOEXEC)) {
		err_sys(&why, -errno, "cannot write a snapshot");
		say(rec, &why);
		return 0;
	}
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	rec->snapshot_pid = fork();
	rec->parent_cpu_ns = rec->snapshot_pid ? 0 : cpu_ns;
	if (!rec->snapshot_pid) {
		close(fds[0]);
		write_snapshot(rec, fds[1]);
	}
	close(fds[1]);
	rec->snapshot_fd = fds[0];
	if (rec->snapshot_pid > 0)
		return 0;
	err_sys(&why, -errno, "cannot write a snapshot");
	close(take_fd(rec->snapshot_fd));
	rec->snapshot_pid = 0;
	say(rec, &why);
	return 0;
}

static void reap_snapshot(struct recording *rec, bool block)
{
	struct err why = {};
	ssize_t n;
	pid_t pid;
	int status;

	if (!rec->snapshot_pid)
		return;
	do
		pid = waitpid(rec->snapshot_pid, &status, block ? 0 : WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (!pid)
		return;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
		n = read(rec->snapshot_fd, why.msg, sizeof(why.msg) - 1);
		if (n <= 0)
			err_set(&why, -EIO, "writing the snapshot '%.200s' was ended by a signal",
				rec->snapshot_path ?: "");
		why.code = -EIO;
	}
	close(take_fd(rec->snapshot_fd));
	rec->snapshot_pid = 0;
	rec->result->snapshots += !why.code;
	say(rec, why.code ? &why : NULL);
}

void keep_wait(struct recording *rec)
{
	reap_snapshot(rec, true);
}

int keep_tick(struct recording *rec, struct err *err)
{
	int r = 0;

	reap_snapshot(rec, false);
	if (trace_keep_due(rec->keep, monotonic_ns() - rec->env.epoch_ns))
		r = begin_group(rec, err);
	if (!r && rec->snapshot_asked && !rec->snapshot_pid)
		r = start_snapshot(rec, err);
	return r;
}
