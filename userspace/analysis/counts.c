// SPDX-License-Identifier: GPL-2.0-only
/* Counters of threads: see counts.h. */
#include "analysis/counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/serial_map.h"
#include "trace/kinds.h"

struct sum {
	struct counted out;
	uint16_t seq;   /* of the last slice that was told or is in a total */
	bool has_total; /* the last record of all was a total, or slices followed it without a gap */
	uint64_t missing; /* gaps in seq since the last total */
};

struct counts {
	const struct ledger *ledger;
	struct counter_info info[COUNTERS_MAX];
	unsigned int nr;
	struct serial_map sums;
	uint64_t now_ns; /* of the last event */
};

unsigned int counts_describe(const json_t *meta, struct counter_info *ret_info)
{
	const json_t *counters = json_object_get(meta, "counters"), *one;
	unsigned int nr = 0;
	const char *name;

	memset(ret_info, 0, COUNTERS_MAX * sizeof(*ret_info));
	json_object_foreach((json_t *)counters, name, one) {
		const json_t *index = json_object_get(one, "index");
		const char *unit = json_string_value(json_object_get(one, "unit"));
		json_int_t i = json_integer_value(index);

		if (!json_is_integer(index) || i < 0 || i >= COUNTERS_MAX)
			continue;
		ret_info[i] = (struct counter_info){
			.name = name,
			.unit = unit ?: "",
			.user_only = json_is_true(json_object_get(one, "user_only")),
		};
	}
	/* a gap would give values to the wrong names */
	while (nr < COUNTERS_MAX && ret_info[nr].name)
		nr++;
	return nr;
}

int counts_new(const struct ledger *l, const json_t *meta, struct counts **ret_counts)
{
	struct counter_info info[COUNTERS_MAX];
	unsigned int nr = counts_describe(meta, info);
	struct counts *c;

	*ret_counts = NULL;
	if (!nr)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->ledger = l;
	c->nr = nr;
	memcpy(c->info, info, sizeof(info));
	c->sums.bytes = sizeof(struct sum);
	*ret_counts = c;
	return 0;
}

void counts_free(struct counts *c)
{
	if (!c)
		return;
	serial_map_free(&c->sums);
	free(c);
}

/* ---- events ---- */

/* A record's values, enabled and running times; without CT_SHARED it counted all the time, which was slice_ns. False: it is too short. */
static bool read_values(const struct counts *c, const struct ev_counts *rec, uint64_t slice_ns,
			struct counted_value *ret)
{
	bool shared = EV_FLAGS(rec->w0) & CT_SHARED;

	if (EV_WORDS(rec->w0) < COUNTS_WORDS(c->nr, shared))
		return false;
	for (unsigned int i = 0; i < c->nr; i++)
		ret[i] = (struct counted_value){
			.raw = rec->value[i],
			.enabled_ns = shared ? rec->value[c->nr + i] : slice_ns,
			.running_ns = shared ? rec->value[2 * c->nr + i] : slice_ns,
		};
	return true;
}

static void take_total(const struct counts *c, struct sum *s, const struct ev_counts *rec)
{
	struct counted_value v[COUNTERS_MAX];
	unsigned int flags = EV_FLAGS(rec->w0);

	if (flags & CT_UNKNOWN || !read_values(c, rec, 0, v))
		return;
	if (flags & CT_EXEC) {
		for (unsigned int i = 0; i < c->nr && !s->out.exec; i++)
			s->out.before_exec[i] = v[i].raw;
		s->out.exec = true;
		return;
	}
	s->has_total = true;
	/* Ours is whole. Before 6.2 the kernel side's may lack a slice: it could not get at the thread's storage (bpf_task_storage_get) */
	if (!s->missing && rec->seq == s->seq)
		return;
	memcpy(s->out.counter, v, c->nr * sizeof(*v));
	if (rec->unknown > s->out.unknown)
		s->out.unknown = rec->unknown;
	s->seq = rec->seq;
	s->missing = 0;
}

static void take_slice(const struct counts *c, struct sum *s, const struct ev_counts *rec,
		       uint64_t slice_ns)
{
	struct counted_value v[COUNTERS_MAX];
	uint16_t gap = (uint16_t)(rec->seq - s->seq - 1);

	/* one that is in a total already, or comes twice */
	if (gap >= 0x8000)
		return;
	s->missing += gap;
	s->seq = rec->seq;
	if (EV_FLAGS(rec->w0) & CT_UNKNOWN || !read_values(c, rec, slice_ns, v)) {
		s->out.unknown++;
		s->out.unknown_ns += slice_ns;
		return;
	}
	s->out.slices++;
	for (unsigned int i = 0; i < c->nr; i++) {
		s->out.counter[i].raw += v[i].raw;
		s->out.counter[i].enabled_ns += v[i].enabled_ns;
		s->out.counter[i].running_ns += v[i].running_ns;
	}
}

/* How long the slice was that this record ends: as the ledger has it, or as an EV_MISSED in front of it says. */
static uint64_t slice_ns(const struct thread *t, uint64_t now_ns)
{
	if (t->state == ST_ONCPU)
		return now_ns > t->since_ns ? now_ns - t->since_ns : 0;
	if (t->missed.flags & MI_SWITCH_IN && t->missed.arrivals == 1)
		return t->missed.arrival_ns;
	return 0;
}

int counts_event(struct counts *c, const struct trace_event *ev)
{
	const struct ev_counts *rec = (const void *)ev->rec;
	unsigned int kind = EV_KIND(rec->w0), flags = EV_FLAGS(rec->w0);
	const struct thread *t;
	struct sum *s;

	if (ev->time_ns > c->now_ns)
		c->now_ns = ev->time_ns;
	if (kind != EV_COUNTS || EV_WORDS(rec->w0) < trace_kind_words[kind])
		return 0;
	t = ledger_find(c->ledger, rec->who);
	if (!t)
		return 0;
	s = serial_map_make(&c->sums, t->serial);
	if (!s)
		return -ENOMEM;
	if (flags & CT_TOTAL)
		take_total(c, s, rec);
	else
		take_slice(c, s, rec, slice_ns(t, ev->time_ns));
	return 0;
}

/* ---- results ---- */

static void scale(struct counted_value *v)
{
	v->value = v->raw;
	v->none = v->enabled_ns && !v->running_ns;
	if (v->none || v->running_ns >= v->enabled_ns)
		return;
	v->scaled = true;
	v->value = (uint64_t)((long double)v->raw * (long double)v->enabled_ns /
			      (long double)v->running_ns);
}

int counts_end(struct counts *c, uint64_t end_ns)
{
	if (end_ns < c->now_ns)
		end_ns = c->now_ns;
	for (size_t i = 0; i < ledger_nr_threads(c->ledger); i++) {
		const struct thread *t = ledger_thread(c->ledger, i);
		struct sum *s;

		if (!t || t->state != ST_ONCPU || end_ns <= t->since_ns)
			continue;
		s = serial_map_make(&c->sums, t->serial);
		if (!s)
			return -ENOMEM;
		s->out.open_ns = end_ns - t->since_ns;
	}
	return 0;
}

void counts_finish(struct counts *c)
{
	struct sum *s;

	for (size_t i = 0; i < ledger_nr_threads(c->ledger); i++) {
		const struct thread *t = ledger_thread(c->ledger, i);

		s = t ? serial_map_find(&c->sums, t->serial) : NULL;
		if (!s)
			continue;
		for (unsigned int k = 0; k < c->nr; k++)
			scale(&s->out.counter[k]);
		s->out.unknown += t->audit.missed_switch_outs;
		s->out.lost = s->missing;
		s->out.partial = s->out.unknown || s->out.lost || (!s->has_total && t->lost_near);
	}
}

unsigned int counts_nr(const struct counts *c)
{
	return c ? c->nr : 0;
}

const struct counter_info *counts_info(const struct counts *c, unsigned int i)
{
	return &c->info[i];
}

const struct counted *counts_of(const struct counts *c, uint32_t serial)
{
	static const struct counted none;
	const struct sum *s = c ? serial_map_find(&c->sums, serial) : NULL;

	return s ? &s->out : &none;
}

void counted_add(struct counted *sum, const struct counted *one)
{
	for (int i = 0; i < COUNTERS_MAX; i++) {
		struct counted_value *to = &sum->counter[i];
		const struct counted_value *v = &one->counter[i];

		to->value += v->value;
		to->raw += v->raw;
		to->enabled_ns += v->enabled_ns;
		to->running_ns += v->running_ns;
		to->scaled |= v->scaled;
		to->lacks |= v->none || v->lacks;
		to->none = to->enabled_ns && !to->running_ns;
	}
	sum->slices += one->slices;
	sum->unknown += one->unknown;
	sum->unknown_ns += one->unknown_ns;
	sum->open_ns += one->open_ns;
	sum->lost += one->lost;
	sum->partial |= one->partial;
}

/* The counter of that name, modifiers included; NULL: none. */
static const struct counted_value *find(const struct counts *c, const struct counted *of,
					const char *name)
{
	for (unsigned int i = 0; i < counts_nr(c); i++)
		if (!strcmp(c->info[i].name, name))
			return &of->counter[i];
	return NULL;
}

bool counted_ipc(const struct counts *c, const struct counted *of, double *ret_ipc)
{
	static const char *const pairs[][2] = { { "instructions", "cycles" },
						{ "instructions", "cpu-cycles" },
						{ "instructions:u", "cycles:u" },
						{ "instructions:k", "cycles:k" } };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct counted_value *instructions = find(c, of, pairs[i][0]);
		const struct counted_value *cycles = find(c, of, pairs[i][1]);

		if (!instructions || !cycles || instructions->none || cycles->none ||
		    instructions->lacks || cycles->lacks || !cycles->value)
			continue;
		*ret_ipc = (double)instructions->value / (double)cycles->value;
		return true;
	}
	return false;
}
