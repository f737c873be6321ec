// SPDX-License-Identifier: GPL-2.0-only
/* The last chunks of a recording, in memory: see keep.h. */
#include "trace/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define PIECE_BYTES (32u << 10)
/* A group is at least so long: each begins with a look at all threads. Shorter only where the bytes are too many. */
#define GROUP_MIN_NS 100000000ull
#define GROUP_RUSH_NS 20000000ull

/* Bytes are kept in pieces of one size: what is let go of is what is needed next. */
struct piece {
	struct piece *next;
	char bytes[PIECE_BYTES - sizeof(struct piece *)];
};
#define PIECE_ROOM sizeof(((struct piece *)NULL)->bytes)

struct stream {
	struct piece *first, *last;
	size_t used; /* of the last */
	uint64_t bytes;
};

struct group {
	struct keep_key info;
	struct stream key, chunks;
};

struct trace_keep {
	uint64_t keep_ns, limit_bytes;
	struct group *groups; /* oldest first */
	size_t nr, cap;
	bool in_key;     /* of the newest */
	bool begins_cut; /* a group was let go of */
	bool was_short;
	struct piece *spare;
	uint64_t bytes;
};

/* ---- bytes ---- */

static struct piece *take_piece(struct trace_keep *k)
{
	struct piece *p = k->spare;

	if (p)
		k->spare = p->next;
	else
		p = malloc(sizeof(*p));
	if (p)
		p->next = NULL;
	return p;
}

static int stream_grow(struct trace_keep *k, struct stream *s)
{
	struct piece *p = take_piece(k);

	if (!p)
		return -ENOMEM;
	if (s->last)
		s->last->next = p;
	else
		s->first = p;
	s->last = p;
	s->used = 0;
	return 0;
}

/* Takes back what was appended behind a place: half a chunk would hide all that follows it. */
static void stream_cut(struct trace_keep *k, struct stream *s, const struct stream *at)
{
	struct piece *more = at->last ? at->last->next : s->first;

	if (more) {
		s->last->next = k->spare;
		k->spare = more;
	}
	k->bytes -= s->bytes - at->bytes;
	*s = *at;
	if (s->last)
		s->last->next = NULL;
}

static int stream_append(struct trace_keep *k, struct stream *s, const char *bytes, size_t len)
{
	const struct stream before = *s;

	while (len) {
		size_t n;

		if ((!s->last || s->used == PIECE_ROOM) && stream_grow(k, s)) {
			stream_cut(k, s, &before);
			return -ENOMEM;
		}
		n = len < PIECE_ROOM - s->used ? len : PIECE_ROOM - s->used;
		memcpy(s->last->bytes + s->used, bytes, n);
		s->used += n;
		s->bytes += n;
		k->bytes += n;
		bytes += n;
		len -= n;
	}
	return 0;
}

static void stream_release(struct trace_keep *k, struct stream *s)
{
	k->bytes -= s->bytes;
	if (s->last) {
		s->last->next = k->spare;
		k->spare = s->first;
	}
	*s = (struct stream){};
}

static int stream_each(const struct stream *s, trace_keep_fn fn, void *arg)
{
	int r = 0;

	for (const struct piece *p = s->first; p && !r; p = p->next)
		r = fn(arg, p->bytes, p == s->last ? s->used : PIECE_ROOM);
	return r;
}

/* ---- groups ---- */

struct trace_keep *trace_keep_new(uint64_t keep_ns, uint64_t limit_bytes)
{
	struct trace_keep *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->keep_ns = keep_ns;
	k->limit_bytes = limit_bytes;
	if (!vec_room(&k->groups, &k->cap, 1)) {
		k->groups[k->nr++] = (struct group){};
		return k;
	}
	free(k);
	return NULL;
}

static void let_go(struct trace_keep *k)
{
	stream_release(k, &k->groups[0].key);
	stream_release(k, &k->groups[0].chunks);
	memmove(k->groups, k->groups + 1, --k->nr * sizeof(*k->groups));
	k->begins_cut = true;
}

void trace_keep_free(struct trace_keep *k)
{
	struct piece *p;

	if (!k)
		return;
	while (k->nr)
		let_go(k);
	while ((p = k->spare)) {
		k->spare = p->next;
		free(p);
	}
	free(k->groups);
	free(k);
}

/* The newest one stays, and one whose key is not whole is no beginning. */
static bool can_let_go(const struct trace_keep *k)
{
	return k->nr > (k->in_key ? 2 : 1);
}

static void keep_within(struct trace_keep *k)
{
	while (k->bytes > k->limit_bytes && can_let_go(k)) {
		k->was_short = true;
		let_go(k);
	}
}

int trace_keep_append(struct trace_keep *k, const void *chunk, size_t len)
{
	struct group *g = &k->groups[k->nr - 1];
	int r = stream_append(k, k->in_key ? &g->key : &g->chunks, chunk, len);

	keep_within(k);
	return r;
}

bool trace_keep_due(const struct trace_keep *k, uint64_t now_ns)
{
	const struct group *g = &k->groups[k->nr - 1];
	uint64_t age_ns = now_ns - g->info.begin_ns, length_ns = k->keep_ns / KEEP_GROUPS;

	if (length_ns < GROUP_MIN_NS)
		length_ns = GROUP_MIN_NS;
	return now_ns > g->info.begin_ns &&
	       (age_ns >= length_ns ||
		(age_ns >= GROUP_RUSH_NS && g->chunks.bytes >= k->limit_bytes / KEEP_GROUPS));
}

int trace_keep_group(struct trace_keep *k, uint64_t now_ns)
{
	if (vec_room(&k->groups, &k->cap, k->nr + 1))
		return -ENOMEM;
	k->groups[k->nr++] = (struct group){ .info = { .begin_ns = now_ns } };
	k->in_key = true;
	return 0;
}

void trace_keep_key_end(struct trace_keep *k, const struct keep_key *key)
{
	struct group *newest = &k->groups[k->nr - 1];
	uint64_t begin_ns = newest->info.begin_ns;

	newest->info = *key;
	newest->info.begin_ns = begin_ns;
	k->in_key = false;
	while (k->nr > 1 && k->groups[1].info.from_ns + k->keep_ns <= begin_ns)
		let_go(k);
	keep_within(k);
}

const struct keep_key *trace_keep_first(const struct trace_keep *k)
{
	return k->begins_cut ? &k->groups[0].info : NULL;
}

bool trace_keep_short(const struct trace_keep *k)
{
	return k->was_short;
}

uint64_t trace_keep_bytes(const struct trace_keep *k)
{
	return k->bytes;
}

int trace_keep_each(const struct trace_keep *k, trace_keep_fn fn, void *arg)
{
	int r = k->begins_cut ? stream_each(&k->groups[0].key, fn, arg) : 0;

	for (size_t i = 0; i < k->nr && !r; i++)
		r = stream_each(&k->groups[i].chunks, fn, arg);
	return r;
}
