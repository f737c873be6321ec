// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emptying the buffers: see drain.h, and events.h for the drawing.
 *
 * What was taken is overwritten with zeros before the tail moves on, so that a record whose word 0 is not yet written
 * cannot be taken for one of an earlier lap.
 */
#include "record/drain.h"

#include <string.h>

#include "base/clock.h"

/*
 * How much older than now a record may be that is not seen here yet: its time is that of the scheduler's clock, read when the switch
 * began (bpf/clock.bpf.h), and a CPU's store of its head takes a while. A hypervisor that takes the CPU away between makes it
 * longer: the reader puts such a record where it comes and counts it.
 */
#define UNSEEN_NS 1000000

struct span {
	uint64_t begin, end; /* positions */
	uint64_t records;
	bool unfinished; /* a record at `end` was reserved and is still being written */
};

static struct buf_header *header_of(const struct probe_env *env, unsigned int i)
{
	return (struct buf_header *)(env->bufs + i * env->buf_stride);
}

static char *data_at(const struct probe_env *env, unsigned int i, uint64_t pos)
{
	return env->bufs + i * env->buf_stride + BUF_HEADER + (pos & (env->buffer_bytes - 1));
}

/* Whole records from `pos` that begin in this lap. */
static struct span whole_records(const struct probe_env *env, unsigned int i, uint64_t pos,
				 uint64_t head)
{
	uint64_t lap_end = (pos | (env->buffer_bytes - 1)) + 1;
	struct span s = { pos, pos, 0, false };

	while (s.end < head && s.end < lap_end) {
		const uint64_t *word0 = (const uint64_t *)data_at(env, i, s.end);
		uint64_t w0 = __atomic_load_n(word0, __ATOMIC_ACQUIRE);

		if (!EV_WORDS(w0)) {
			s.unfinished = true;
			break;
		}
		s.end += EV_WORDS(w0) * 8;
		s.records++;
	}
	return s;
}

static int drain_one(const struct probe_env *env, unsigned int i, struct trace_writer *w,
		     unsigned int *fill, uint64_t *records, bool *unfinished, struct err *err)
{
	struct buf_header *h = header_of(env, i);
	uint64_t head = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE), pos = h->tail;
	unsigned int share = (head - pos) * 1024 / env->buffer_bytes;

	if (share > *fill)
		*fill = share;
	while (pos < head) {
		struct span s = whole_records(env, i, pos, head);
		char *from = data_at(env, i, s.begin);
		int r;

		if (s.end == s.begin) {
			*unfinished = true;
			break;
		}
		r = trace_writer_records(w, env->buf_cpu[i], from, s.end - s.begin, err);
		if (r)
			return r;
		memset(from, 0, s.end - s.begin);
		__atomic_store_n(&h->tail, s.end, __ATOMIC_RELEASE);
		pos = s.end;
		*records += s.records;
	}
	return 0;
}

int drain_buffers(const struct probe_env *env, struct trace_writer *w, uint64_t *safe_ns,
		  unsigned int *ret_fill, uint64_t *records, struct err *err)
{
	uint64_t now = monotonic_ns() - env->epoch_ns - UNSEEN_NS;
	bool unfinished = false;
	int r;

	*ret_fill = 0;
	for (unsigned int i = 0; i < env->nr_bufs; i++) {
		r = drain_one(env, i, w, ret_fill, records, &unfinished, err);
		if (r)
			return r;
	}
	if (!unfinished)
		*safe_ns = now;
	return 0;
}

int drain_last_losses(const struct probe_env *env, struct trace_writer *w, struct err *err)
{
	uint64_t now = monotonic_ns() - env->epoch_ns;

	for (unsigned int i = 0; i < env->nr_bufs; i++) {
		const struct buf_header *h = header_of(env, i);
		struct ev_lost rec = {
			.w0 = EV_WORD0(now, EV_WORDS_OF(struct ev_lost), EV_LOST, 0),
			.first_time = h->lost_first ? h->lost_first : h->lost_last,
			.last_time = h->lost_last,
		};
		int r;

		if (!h->lost[DROP_FULL] && !h->lost[DROP_STORAGE])
			continue;
		memcpy(rec.count, h->lost, sizeof(rec.count));
		r = trace_writer_records(w, env->buf_cpu[i], &rec, sizeof(rec), err);
		if (r)
			return r;
	}
	return 0;
}
