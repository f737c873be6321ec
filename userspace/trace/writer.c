// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a trace file: see writer.h, and format.h for the layout.
 *
 *   records of a CPU -> its stage (256 KiB) -> columns -> zstd -> checksum -> pwrite behind the last whole chunk
 *
 * `size` only ever counts whole chunks. The first error cuts the file there, is kept, and is the answer to every later call.
 */
#include "trace/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "trace/chunk.h"
#include "trace/columns.h"
#include "trace/format.h"
#include "trace/maps.h"

#define STAGE_BYTES (256u << 10)
#define STAGE_WORDS (STAGE_BYTES / 8)
#define MAPS_BYTES (64u << 10)
#define ZSTD_LEVEL 1 /* columns.h has the measurement */

struct stage {
	uint64_t *words; /* STAGE_WORDS; allocated with the CPU's first record */
	size_t nr_words;
};

struct trace_writer {
	int fd;                  /* -1: `keep` instead */
	struct trace_keep *keep; /* owned */
	unsigned int nr_cpus;
	struct stage *stages;
	uint8_t *maps; /* MAPS_BYTES; allocated with the first mapping */
	size_t maps_len;
	uint64_t maps_ns; /* the first one's time */
	struct columns columns;
	ZSTD_CCtx *zstd;
	uint8_t *raw; /* a chunk's columns */
	uint8_t *out; /* a chunk as it is in the file */
	size_t out_cap;
	uint64_t now_ns; /* the newest full time known: near it lie the next records */
	uint64_t size, raw_bytes;
	size_t pending;
	struct err failed;
};

static int write_error(uint64_t at, int code, struct err *err)
{
	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		return err_set(err, code,
			       "no space left for the trace after %" PRIu64
			       " bytes; these are kept: free some "
			       "space, or write elsewhere with -o FILE",
			       at);
	case -EFBIG:
		return err_set(err, code,
			       "the trace may not grow beyond %" PRIu64
			       " bytes; these are kept: raise the file "
			       "size limit (ulimit -f), or record for a shorter time",
			       at);
	case -ESPIPE:
		return err_set(err, code,
			       "a trace cannot be written into a pipe: name a file with -o FILE");
	default:
		return err_sys(err, code, "writing the trace failed after %" PRIu64 " bytes", at);
	}
}

static int pwrite_all(int fd, const void *data, size_t len, uint64_t at)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		p += n;
		len -= (size_t)n;
		at += (size_t)n;
	}
	return 0;
}

/* Keeps the error and leaves only whole chunks behind. */
static int writer_fail(struct trace_writer *w, const struct err *err)
{
	int cut = w->keep ? 0 : ftruncate(w->fd, (off_t)w->size);

	(void)cut; /* when even this fails, a reader finds the cut chunk by its checksum */
	w->failed = *err;
	return err->code;
}

static int failed_before(const struct trace_writer *w, struct err *err)
{
	*err = w->failed;
	return err->code;
}

static int writer_no_memory(struct trace_writer *w, struct err *err)
{
	err_set(err, -ENOMEM, "out of memory while writing the trace; what was written is kept");
	return writer_fail(w, err);
}

/* Appends bytes that make a whole. */
static int writer_append(struct trace_writer *w, const void *data, size_t len, struct err *err)
{
	int rc;

	if (w->keep)
		return trace_keep_append(w->keep, data, len) ? writer_no_memory(w, err) : 0;
	rc = pwrite_all(w->fd, data, len, w->size);
	if (rc) {
		write_error(w->size, rc, err);
		return writer_fail(w, err);
	}
	w->size += len;
	return 0;
}

static int writer_out_room(struct trace_writer *w, size_t len)
{
	uint8_t *out;

	if (len <= w->out_cap)
		return 0;
	out = realloc(w->out, len);
	if (!out)
		return -ENOMEM;
	w->out = out;
	w->out_cap = len;
	return 0;
}

/* Packs `raw` into a chunk and appends it. */
static int writer_chunk(struct trace_writer *w, struct chunk_header h, const void *raw, size_t len,
			struct err *err)
{
	size_t bound = len ? ZSTD_compressBound(len) : 0, stored = 0;

	if (writer_out_room(w, sizeof(h) + bound))
		return writer_no_memory(w, err);
	if (len)
		stored =
			ZSTD_compressCCtx(w->zstd, w->out + sizeof(h), bound, raw, len, ZSTD_LEVEL);
	if (ZSTD_isError(stored))
		return writer_no_memory(w, err);
	h.magic = CHUNK_MAGIC;
	h.stored_bytes = (uint32_t)stored;
	h.raw_bytes = (uint32_t)len;
	memcpy(w->out, &h, sizeof(h));
	chunk_seal(w->out);
	return writer_append(w, w->out, sizeof(h) + stored, err);
}

/* Writes what a CPU's stage holds. */
static int writer_flush(struct trace_writer *w, unsigned int cpu, struct err *err)
{
	struct chunk_header h = { .type = CHUNK_EVENTS, .cpu = (uint16_t)cpu };
	struct stage *s = &w->stages[cpu];
	size_t nr_words = s->nr_words;

	if (!nr_words)
		return 0;
	s->nr_words = 0;
	if (columns_pack(&w->columns, s->words, nr_words, &w->now_ns, &h.time, w->raw))
		return writer_no_memory(w, err);
	return writer_chunk(w, h, w->raw, COLUMNS_HEADER + nr_words * 8, err);
}

static int writer_flush_maps(struct trace_writer *w, struct err *err)
{
	struct chunk_header h = { .type = CHUNK_MAPS, .time = w->maps_ns };
	size_t len = w->maps_len;

	w->maps_len = 0;
	return len ? writer_chunk(w, h, w->maps, len, err) : 0;
}

static int writer_flush_all(struct trace_writer *w, struct err *err)
{
	if (writer_flush_maps(w, err))
		return err->code;
	for (unsigned int cpu = 0; cpu < w->nr_cpus; cpu++) {
		int rc = writer_flush(w, cpu, err);

		if (rc)
			return rc;
	}
	return 0;
}

static void writer_free(struct trace_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	for (unsigned int cpu = 0; w->stages && cpu < w->nr_cpus; cpu++)
		free(w->stages[cpu].words);
	columns_release(&w->columns);
	trace_keep_free(w->keep);
	ZSTD_freeCCtx(w->zstd);
	free(w->stages);
	free(w->maps);
	free(w->raw);
	free(w->out);
	free(w);
}

static struct file_header file_header_of(const struct trace_writer *w, uint32_t flags)
{
	struct file_header h = { .version = FILE_VERSION, .flags = flags, .nr_cpus = w->nr_cpus };

	memcpy(h.magic, FILE_MAGIC, sizeof(h.magic));
	return h;
}

static struct trace_writer *writer_new(int fd, unsigned int nr_cpus)
{
	struct trace_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = fd;
	w->nr_cpus = nr_cpus;
	w->stages = calloc(nr_cpus, sizeof(*w->stages));
	w->raw = malloc(COLUMNS_HEADER + STAGE_BYTES);
	w->zstd = ZSTD_createCCtx();
	if (w->stages && w->raw && w->zstd)
		return w;
	w->fd = -1;
	writer_free(w);
	return NULL;
}

int trace_writer_open(int fd, unsigned int nr_cpus, struct trace_writer **ret_writer,
		      struct err *err)
{
	struct file_header h;
	struct trace_writer *w;
	int rc;

	*ret_writer = NULL;
	if (!nr_cpus || nr_cpus > FILE_MAX_CPUS) {
		close(fd);
		return err_set(err, -EINVAL, "a trace holds 1 to %u CPUs, not %u", FILE_MAX_CPUS,
			       nr_cpus);
	}
	w = writer_new(fd, nr_cpus);
	if (!w) {
		close(fd);
		return err_set(err, -ENOMEM, "out of memory while beginning the trace");
	}
	h = file_header_of(w, FILE_INCOMPLETE);
	rc = writer_append(w, &h, sizeof(h), err);
	if (rc) {
		writer_free(w);
		return rc;
	}
	*ret_writer = w;
	return 0;
}

int trace_writer_open_kept(struct trace_keep *keep, unsigned int nr_cpus,
			   struct trace_writer **ret_writer, struct err *err)
{
	*ret_writer = writer_new(-1, nr_cpus);
	if (!*ret_writer) {
		trace_keep_free(keep);
		return err_set(err, -ENOMEM, "out of memory while beginning the trace");
	}
	(*ret_writer)->keep = keep;
	return 0;
}

/* How many of the words, up to `room`, are whole records; 0 with ret_bad when the first is malformed. */
static size_t whole_records(const uint64_t *words, size_t nr_words, size_t room, bool *ret_bad)
{
	size_t at = 0;

	*ret_bad = false;
	while (at < nr_words) {
		size_t len = EV_WORDS(words[at]);

		*ret_bad = !len || len > nr_words - at;
		if (*ret_bad || len > room - at)
			break;
		at += len;
	}
	return at;
}

int trace_writer_records(struct trace_writer *w, unsigned int cpu, const void *records,
			 size_t len_bytes, struct err *err)
{
	const uint64_t *words = records;
	size_t left = len_bytes / 8;

	if (w->failed.code)
		return failed_before(w, err);
	if (cpu >= w->nr_cpus)
		return err_set(err, -EINVAL, "records of CPU %u in a trace of %u CPUs", cpu,
			       w->nr_cpus);
	while (left) {
		struct stage *s = &w->stages[cpu];
		size_t n;
		bool bad;

		if (!s->words)
			s->words = malloc(STAGE_BYTES);
		if (!s->words)
			return writer_no_memory(w, err);
		n = whole_records(words, left, STAGE_WORDS - s->nr_words, &bad);
		memcpy(s->words + s->nr_words, words, n * 8);
		s->nr_words += n;
		w->raw_bytes += n * 8;
		w->pending += n * 8;
		words += n;
		left -= n;
		if (bad)
			return err_set(
				err, -EBADMSG,
				"CPU %u's buffer holds a record of %u words where %zu are left",
				cpu, EV_WORDS(*words), left);
		if (left && writer_flush(w, cpu, err))
			return err->code;
	}
	return 0;
}

int trace_writer_mapping(struct trace_writer *w, const struct mapping *m, struct err *err)
{
	size_t len;

	if (w->failed.code)
		return failed_before(w, err);
	if (!w->maps)
		w->maps = malloc(MAPS_BYTES);
	if (!w->maps)
		return writer_no_memory(w, err);
	if (MAPS_BYTES - w->maps_len < MAP_MAX_BYTES && writer_flush_maps(w, err))
		return err->code;
	len = maps_pack(m, w->maps + w->maps_len);
	if (!len)
		return err_set(err, -EINVAL, "process %u: this is no mapping", m->tgid);
	if (!w->maps_len)
		w->maps_ns = m->time_ns;
	w->maps_len += len;
	return 0;
}

int trace_writer_round(struct trace_writer *w, uint64_t safe_ns, struct err *err)
{
	struct chunk_header h = { .type = CHUNK_ROUND, .time = safe_ns };
	int rc;

	if (w->failed.code)
		return failed_before(w, err);
	rc = writer_flush_all(w, err);
	if (rc)
		return rc;
	w->pending = 0;
	if (safe_ns > w->now_ns)
		w->now_ns = safe_ns;
	return writer_chunk(w, h, NULL, 0, err);
}

size_t trace_writer_pending(const struct trace_writer *w)
{
	return w->pending;
}

int trace_writer_meta(struct trace_writer *w, const json_t *meta, struct err *err)
{
	struct chunk_header h = { .type = CHUNK_META };
	_cleanup_(free_p) char *text = NULL;
	size_t len;

	if (w->failed.code)
		return failed_before(w, err);
	text = json_dumps(meta, JSON_COMPACT);
	if (!text)
		return err_set(err, -EINVAL,
			       "the trace's description is no JSON object, or memory ran out");
	len = strlen(text);
	if (len > CHUNK_MAX_RAW)
		return err_set(err, -E2BIG,
			       "the trace's description of %zu bytes is too long: at most %u fit",
			       len, CHUNK_MAX_RAW);
	return writer_chunk(w, h, text, len, err);
}

uint64_t trace_writer_size(const struct trace_writer *w)
{
	return w->keep ? trace_keep_bytes(w->keep) : w->size;
}

uint64_t trace_writer_raw(const struct trace_writer *w)
{
	return w->raw_bytes;
}

/* The last thing: the header without FILE_INCOMPLETE. */
static int writer_complete(struct trace_writer *w, struct err *err)
{
	struct file_header h = file_header_of(w, 0);
	int rc = writer_flush_all(w, err);

	if (rc || w->keep)
		return rc;
	rc = pwrite_all(w->fd, &h, sizeof(h), 0);
	if (!rc && close(take_fd(w->fd)) < 0 && errno != EINTR)
		rc = -errno;
	return rc ? write_error(w->size, rc, err) : 0;
}

int trace_writer_close(struct trace_writer *w, struct err *err)
{
	int rc = w->failed.code ? failed_before(w, err) : writer_complete(w, err);

	writer_free(w);
	return rc;
}

/* ---- of a trace that is kept in memory ---- */

int trace_writer_key(struct trace_writer *w, uint64_t now_ns, struct err *err)
{
	if (w->failed.code)
		return failed_before(w, err);
	if (writer_flush_all(w, err))
		return err->code;
	return trace_keep_group(w->keep, now_ns) ? writer_no_memory(w, err) : 0;
}

int trace_writer_key_end(struct trace_writer *w, const struct keep_key *key, struct err *err)
{
	if (w->failed.code)
		return failed_before(w, err);
	if (writer_flush_all(w, err))
		return err->code;
	trace_keep_key_end(w->keep, key);
	return 0;
}

struct saving {
	struct trace_writer *to;
	struct err *err;
};

static int save_piece(void *arg, const void *bytes, size_t len)
{
	struct saving *s = arg;

	return writer_append(s->to, bytes, len, s->err);
}

int trace_writer_save(struct trace_writer *kept, int fd, const json_t *first, const json_t *last,
		      uint64_t *ret_bytes, struct err *err)
{
	struct saving saving = { .err = err };
	struct err late = {};
	int rc, closed;

	*ret_bytes = 0;
	rc = trace_writer_open(fd, kept->nr_cpus, &saving.to, err);
	if (rc)
		return rc;
	if (!kept->failed.code)
		rc = writer_flush_all(kept, err);
	if (!rc)
		rc = trace_writer_meta(saving.to, first, err);
	if (!rc)
		rc = trace_keep_each(kept->keep, save_piece, &saving);
	if (!rc)
		rc = trace_writer_meta(saving.to, last, err);
	*ret_bytes = saving.to->size;
	closed = trace_writer_close(saving.to, &late);
	return rc || !closed ? rc : err_set(err, closed, "%s", late.msg);
}
