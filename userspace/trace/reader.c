// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a trace file: see reader.h, and format.h for the layout. The file is untrusted, and may shrink under us: it is read by pread
 * into memory of ours (a mapping would end in SIGBUS), each length is checked before it is used, and no length in the
 * file makes us allocate more than CHUNK_MAX_RAW for a chunk or HELD_MAX for a merge.
 *
 *   open:  hop from chunk header to chunk header, read the META ones
 *   each:  chunk -> checksum -> zstd -> columns -> merge, which gives events out at every ROUND and at the end
 *   each mapping:  from header to header again, and MAPS chunk -> checksum -> zstd -> records
 */
#include "trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "trace/chunk.h"
#include "trace/columns.h"
#include "trace/format.h"
#include "trace/kinds.h"
#include "trace/maps.h"
#include "trace/merge.h"

/* Without a ROUND for that long, what is held is given out as it is, and what comes too late is counted. */
#define HELD_MAX_WORDS ((512u << 20) / 8)

struct trace_reader {
	int fd;
	struct file_header header;
	json_t *meta;
	struct trace_state state;
	bool maps_damaged; /* kept apart, as each trace_each() begins the state anew */
	uint64_t maps_damaged_at;
	struct columns columns;
	struct merge merge;
	ZSTD_DCtx *zstd;
	uint8_t *chunk; /* header and stored bytes */
	size_t chunk_cap;
	uint8_t *raw;
	size_t raw_cap;
};

/* 0 when all of it was there; -ENODATA when the file ends before; another -errno. */
static int pread_all(int fd, void *data, size_t len, uint64_t at)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		p += n;
		len -= (size_t)n;
		at += (size_t)n;
	}
	return 0;
}

static int room(uint8_t **buf, size_t *cap, size_t len)
{
	uint8_t *grown;

	if (len <= *cap)
		return 0;
	grown = realloc(*buf, len);
	if (!grown)
		return -ENOMEM;
	*buf = grown;
	*cap = len;
	return 0;
}

/* A chunk's header. -EBADMSG: there is no whole chunk at `at`. */
static int chunk_header_at(const struct trace_reader *r, uint64_t at, struct chunk_header *ret_h)
{
	uint64_t left = r->state.bytes - at;
	int rc;

	if (left < sizeof(*ret_h))
		return -EBADMSG;
	rc = pread_all(r->fd, ret_h, sizeof(*ret_h), at);
	if (rc)
		return rc == -ENODATA ? -EBADMSG : rc;
	return chunk_header_ok(ret_h, left - sizeof(*ret_h)) ? 0 : -EBADMSG;
}

/* Reads a chunk into r->chunk and checks it. -EBADMSG: cut or corrupt. */
static int chunk_load(struct trace_reader *r, uint64_t at, const struct chunk_header *h)
{
	size_t len = sizeof(*h) + h->stored_bytes;
	int rc;

	if (room(&r->chunk, &r->chunk_cap, len))
		return -ENOMEM;
	memcpy(r->chunk, h, sizeof(*h));
	rc = pread_all(r->fd, r->chunk + sizeof(*h), h->stored_bytes, at + sizeof(*h));
	if (rc)
		return rc == -ENODATA ? -EBADMSG : rc;
	return chunk_sound(r->chunk) ? 0 : -EBADMSG;
}

/* Unpacks r->chunk into r->raw. */
static int chunk_unzip(struct trace_reader *r, const struct chunk_header *h)
{
	size_t n;

	if (room(&r->raw, &r->raw_cap, h->raw_bytes))
		return -ENOMEM;
	n = ZSTD_decompressDCtx(r->zstd, r->raw, h->raw_bytes, r->chunk + sizeof(*h),
				h->stored_bytes);
	return n == h->raw_bytes ? 0 : -EBADMSG;
}

/* The first place where there is damage. */
static void note_damage(struct trace_reader *r, uint64_t at)
{
	if (r->state.damaged && r->state.damaged_at <= at)
		return;
	r->state.damaged = true;
	r->state.damaged_at = at;
}

static int read_error(int code, struct err *err)
{
	if (code == -ENOMEM)
		return err_set(err, code, "out of memory while reading the trace");
	return err_sys(err, code, "reading the trace failed");
}

static int meta_add(struct trace_reader *r, uint64_t at, const struct chunk_header *h)
{
	json_t *meta;
	int rc = chunk_load(r, at, h);

	if (!rc)
		rc = chunk_unzip(r, h);
	if (rc)
		return rc;
	meta = json_loadb((const char *)r->raw, h->raw_bytes, 0, NULL);
	if (!json_is_object(meta))
		rc = -EBADMSG;
	else if (!r->meta)
		r->meta = json_incref(meta);
	else if (json_object_update(r->meta, meta))
		rc = -ENOMEM;
	json_decref(meta);
	return rc;
}

/* The first pass: up to the end of the file, or to the first chunk that is damaged, which the second will report. */
static int meta_collect(struct trace_reader *r, const char *path, struct err *err)
{
	struct chunk_header h;
	int rc = 0;

	for (uint64_t at = sizeof(struct file_header); at < r->state.bytes;
	     at += sizeof(h) + h.stored_bytes) {
		rc = chunk_header_at(r, at, &h);
		if (!rc && h.type == CHUNK_META)
			rc = meta_add(r, at, &h);
		if (rc)
			break;
	}
	if (rc && rc != -EBADMSG) {
		read_error(rc, err);
		return err_context(err, "%s", path);
	}
	if (r->meta)
		return 0;
	return err_set(
		err, -EINVAL,
		"%.200s does not say what was recorded (its first chunk is missing or damaged): record again with "
		"`whyscale record -- CMD`",
		path);
}

static int header_check(struct trace_reader *r, const char *path, struct err *err)
{
	struct file_header *h = &r->header;
	int rc;

	if (!r->state.bytes)
		return err_set(
			err, -ENODATA,
			"%.200s is empty: nothing was recorded; record again with `whyscale record -- CMD`",
			path);
	rc = pread_all(r->fd, h, sizeof(*h), 0);
	if (rc && rc != -ENODATA)
		return err_sys(err, rc, "cannot read %.200s", path);
	if (rc || memcmp(h->magic, FILE_MAGIC, sizeof(h->magic)) != 0 || !h->version)
		return err_set(
			err, -EINVAL,
			"%.200s is not a whyscale trace: make one with `whyscale record -o FILE -- CMD`",
			path);
	if (h->version > FILE_VERSION)
		return err_set(
			err, -EPROTONOSUPPORT,
			"%.200s was written by a newer whyscale (format %u, this one reads up to %u): upgrade",
			path, h->version, FILE_VERSION);
	if (!h->nr_cpus || h->nr_cpus > FILE_MAX_CPUS)
		return err_set(err, -EINVAL,
			       "%.200s is damaged: its header claims %u CPUs; record again", path,
			       h->nr_cpus);
	r->state.incomplete = h->flags & FILE_INCOMPLETE;
	return 0;
}

static int file_open(struct trace_reader *r, const char *path, struct err *err)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO without a writer would hold us here. */
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0 && errno == ENOENT)
		return err_set(
			err, -ENOENT,
			"there is no %.200s: record first with `whyscale record -- CMD`, or name the file with -i",
			path);
	if (r->fd < 0)
		return err_sys(err, -errno, "cannot open %.200s", path);
	if (fstat(r->fd, &st) < 0)
		return err_sys(err, -errno, "cannot read %.200s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "%.200s is a directory: name the trace file in it",
			       path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL,
			       "%.200s is not a regular file: a trace cannot be read from it",
			       path);
	r->state.bytes = (uint64_t)st.st_size;
	return 0;
}

static void trace_close_p(struct trace_reader **r)
{
	trace_close(*r);
}

int trace_open(const char *path, struct trace_reader **ret_reader, struct err *err)
{
	_cleanup_(trace_close_p) struct trace_reader *r = NULL;
	int rc;

	*ret_reader = NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return read_error(-ENOMEM, err);
	r->fd = -1;
	r->zstd = ZSTD_createDCtx();
	if (!r->zstd)
		return read_error(-ENOMEM, err);
	rc = file_open(r, path, err);
	if (!rc)
		rc = header_check(r, path, err);
	if (!rc)
		rc = meta_collect(r, path, err);
	if (rc)
		return rc;
	*ret_reader = take_ptr(r);
	return 0;
}

const json_t *trace_meta(const struct trace_reader *r)
{
	return r->meta;
}

unsigned int trace_nr_cpus(const struct trace_reader *r)
{
	return r->header.nr_cpus;
}

/* One chunk of events into the merge. -EBADMSG when it ends the reading. */
static int events_add(struct trace_reader *r, uint64_t at, const struct chunk_header *h)
{
	int rc = h->cpu < r->header.nr_cpus ? chunk_unzip(r, h) : -EBADMSG;

	if (rc)
		return rc;
	rc = columns_unpack(&r->columns, r->raw, h->raw_bytes);
	if (!rc)
		rc = merge_add(&r->merge, h->cpu, &r->columns, h->time, trace_kind_words);
	if (rc != -EBADMSG)
		return rc;
	note_damage(r, at);
	return 0;
}

/* What a trace_each() is doing. fn's own result is told apart from an error of ours. */
struct each {
	trace_event_fn fn;
	void *arg;
	bool stopped;
};

static int each_event(void *arg, const struct trace_event *ev)
{
	struct each *each = arg;
	int rc = each->fn(each->arg, ev);

	each->stopped = rc != 0;
	return rc;
}

/* One chunk, of whatever type. */
static int chunk_take(struct trace_reader *r, uint64_t at, const struct chunk_header *h,
		      struct each *each)
{
	int rc = 0;

	if (h->type == CHUNK_EVENTS)
		rc = events_add(r, at, h);
	if (rc)
		return rc;
	if (h->type == CHUNK_ROUND)
		return merge_release(&r->merge, h->time, each_event, each);
	if (r->merge.held_words > HELD_MAX_WORDS)
		return merge_release(&r->merge, UINT64_MAX, each_event, each);
	return 0;
}

/* Chunk by chunk to the end, or to the damage. */
static int chunks_each(struct trace_reader *r, struct each *each)
{
	uint64_t at = sizeof(struct file_header);

	while (at < r->state.bytes) {
		struct chunk_header h;
		int rc = chunk_header_at(r, at, &h);

		if (!rc)
			rc = chunk_load(r, at, &h);
		if (!rc)
			rc = chunk_take(r, at, &h, each);
		if (rc == -EBADMSG && !each->stopped) {
			note_damage(r, at);
			break;
		}
		if (rc)
			return rc;
		at += sizeof(h) + h.stored_bytes;
	}
	return merge_release(&r->merge, UINT64_MAX, each_event, each);
}

int trace_each(struct trace_reader *r, trace_event_fn fn, void *arg, struct err *err)
{
	struct each each = { .fn = fn, .arg = arg };
	int rc;

	merge_reset(&r->merge);
	r->state.damaged = r->maps_damaged;
	r->state.damaged_at = r->maps_damaged_at;
	rc = chunks_each(r, &each);
	r->state.events = r->merge.events;
	r->state.late = r->merge.late;
	if (rc && !each.stopped)
		return read_error(rc, err);
	return rc;
}

static void note_maps_damage(struct trace_reader *r, uint64_t at)
{
	if (!r->maps_damaged)
		r->maps_damaged_at = at;
	r->maps_damaged = true;
	note_damage(r, at);
}

/* One MAPS chunk. ret_stopped: the result is fn's. -EBADMSG of ours: there is no chunk. */
static int maps_each(struct trace_reader *r, uint64_t at, const struct chunk_header *h,
		     trace_mapping_fn fn, void *arg, bool *ret_stopped)
{
	struct maps_read read;
	size_t pos = 0;
	int rc = chunk_load(r, at, h);

	if (!rc)
		rc = chunk_unzip(r, h);
	while (!rc && pos < h->raw_bytes) {
		int found = maps_unpack(r->raw, h->raw_bytes, &pos, &read);

		if (found < 0) {
			note_maps_damage(r, at);
			break;
		}
		if (found)
			rc = fn(arg, &read.m);
		*ret_stopped = rc != 0;
	}
	return rc;
}

int trace_each_mapping(struct trace_reader *r, trace_mapping_fn fn, void *arg, struct err *err)
{
	uint64_t at = sizeof(struct file_header);

	while (at < r->state.bytes) {
		struct chunk_header h;
		bool stopped = false;
		int rc = chunk_header_at(r, at, &h);

		if (!rc && h.type == CHUNK_MAPS)
			rc = maps_each(r, at, &h, fn, arg, &stopped);
		if (stopped)
			return rc;
		if (rc == -EBADMSG) {
			note_maps_damage(r, at);
			break;
		}
		if (rc)
			return read_error(rc, err);
		at += sizeof(h) + h.stored_bytes;
	}
	return 0;
}

const struct trace_state *trace_state(const struct trace_reader *r)
{
	return &r->state;
}

void trace_close(struct trace_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	json_decref(r->meta);
	columns_release(&r->columns);
	merge_free(&r->merge);
	ZSTD_freeDCtx(r->zstd);
	free(r->chunk);
	free(r->raw);
	free(r);
}
