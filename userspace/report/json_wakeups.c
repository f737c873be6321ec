// SPDX-License-Identifier: GPL-2.0-only
/* Who woke whom, as JSON. */
#include "analysis/wakeups.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/passes.h"

static json_t *recorded(const struct thread *t)
{
	return json_pack("{s:I, s:I, s:o, s:b, s:I}", "tid", (json_int_t)t->tid, "pid",
			 (json_int_t)t->tgid, "comm", escape_json(t->comm, EV_COMM_LEN), "recorded",
			 1, "serial", (json_int_t)t->serial);
}

json_t *json_foreign_id(uint32_t id)
{
	return foreign_id(id) ? json_integer((json_int_t)foreign_id(id)) : json_null();
}

/* A who of a record: null for none. */
static json_t *person(const struct loaded *l, uint32_t who)
{
	const struct foreign *f;
	const struct thread *t;

	if (who & WHO_UNTRACKED) {
		f = foreign_find(&l->passes->foreign, who);
		return json_pack("{s:o, s:o, s:o, s:b}", "tid", json_foreign_id(who), "pid",
				 f ? json_foreign_id(f->tgid) : json_null(), "comm",
				 f ? escape_json(f->comm, EV_COMM_LEN) : json_null(), "recorded",
				 0);
	}
	t = ledger_find(l->ledger, who);
	return t ? recorded(t) : json_null();
}

static json_t *counts(const struct wake_counts *c)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)c->count, "delays",
			 (json_int_t)c->delays, "delay_ns", (json_int_t)c->delay_ns, "longest_ns",
			 (json_int_t)c->longest_ns);
}

/* The members of both objects in the first one, which is returned. */
static json_t *joined(json_t *object, json_t *more)
{
	if (!object || !more || json_object_update(object, more)) {
		json_decref(object);
		object = NULL;
	}
	json_decref(more);
	return object;
}

static json_t *pair(const struct loaded *l, const struct wake_pair *p)
{
	return joined(json_pack("{s:o, s:s, s:o}", "waker", person(l, p->waker), "context",
				wake_context_name(p->context), "wakee", person(l, p->wakee)),
		      counts(&p->counts));
}

json_t *json_wakeups(const struct loaded *l)
{
	const struct wakeups *w = l->passes ? l->passes->wakeups : NULL;
	json_t *pairs;

	if (!w || l->from_books)
		return json_null();
	pairs = json_array();
	for (size_t i = 0; pairs && i < w->nr; i++)
		if (json_array_append_new(pairs, pair(l, &w->pair[i]))) {
			json_decref(pairs);
			return NULL;
		}
	return joined(counts(&w->all),
		      json_pack("{s:o, s:o}", "pairs", pairs, "others", counts(&w->others)));
}
