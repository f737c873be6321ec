// SPDX-License-Identifier: GPL-2.0-only
/* What the counters counted, for programs: of a thread, and of all of them together. */
#include "report/json.h"

/* value is null where the counter never had the hardware. before_exec: part of it, or NULL. */
static json_t *value_json(const struct counted_value *v, const uint64_t *before_exec)
{
	json_t *one = json_pack("{s:o, s:b}", "value",
				v->none ? json_null() : json_integer((json_int_t)v->value),
				"scaled", (int)v->scaled);

	if (one && (v->scaled || v->none) &&
	    (json_object_set_new(one, "counted", json_integer((json_int_t)v->raw)) ||
	     json_object_set_new(one, "enabled_ns", json_integer((json_int_t)v->enabled_ns)) ||
	     json_object_set_new(one, "running_ns", json_integer((json_int_t)v->running_ns)))) {
		json_decref(one);
		return NULL;
	}
	if (one && before_exec &&
	    json_object_set_new(one, "before_exec", json_integer((json_int_t)*before_exec))) {
		json_decref(one);
		return NULL;
	}
	return one;
}

/* How much of it is known: "partial" says that the values are at least those. */
static json_t *known_json(const struct counted *of)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "slices", (json_int_t)of->slices,
			 "unknown_slices", (json_int_t)of->unknown, "unknown_ns",
			 (json_int_t)of->unknown_ns, "open_ns", (json_int_t)of->open_ns,
			 "lost_slices", (json_int_t)of->lost, "partial", (int)of->partial);
}

int json_add_counted(const struct loaded *l, const struct counted *of, json_t *into)
{
	json_t *values = json_object();
	double ipc;
	int r = values ? 0 : -1;

	if (!counts_nr(l->counts)) {
		json_decref(values);
		return r;
	}
	for (unsigned int i = 0; !r && i < counts_nr(l->counts); i++)
		r = json_object_set_new(values, counts_info(l->counts, i)->name,
					value_json(&of->counter[i],
						   of->exec ? &of->before_exec[i] : NULL));
	if (r) {
		json_decref(values);
		return r;
	}
	r = json_object_set_new(into, "counters", values);
	if (!r)
		r = json_object_set_new(into, "counted", known_json(of));
	if (!r && counted_ipc(l->counts, of, &ipc))
		r = json_object_set_new(into, "instructions_per_cycle", json_real(ipc));
	return r;
}

json_t *json_counters(const struct loaded *l)
{
	json_t *all = json_deep_copy(json_object_get(l->raw_meta, "counters"));
	struct counted sum = {};

	if (!all || !l->counts)
		return all ?: json_null();
	for (size_t i = 0; i < l->nr_threads; i++)
		counted_add(&sum, counts_of(l->counts, l->threads[i]->serial));
	for (unsigned int i = 0; i < counts_nr(l->counts); i++) {
		json_t *one = json_object_get(all, counts_info(l->counts, i)->name);
		json_t *value = value_json(&sum.counter[i], NULL);
		int r;

		/* the recorder's are of the CPUs, idle time included */
		json_object_del(one, "enabled_ns");
		json_object_del(one, "running_ns");
		r = value ? json_object_update(one, value) : -1;
		if (!r)
			r = json_object_set_new(one, "partial",
						json_boolean(sum.partial || sum.counter[i].lacks));
		json_decref(value);
		if (r) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}
