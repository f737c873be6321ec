// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report for programs, schema whyscale.report/1. Times are integer nanoseconds; moments are of
 * CLOCK_MONOTONIC. Nothing is left out here: all classes, all threads.
 */
#include <errno.h>
#include <jansson.h>

#include "report/escape.h"
#include "report/json.h"
#include "report/json_stream.h"
#include "report/limits.h"
#include "report/passes.h"
#include "report/report.h"

#define SCHEMA "whyscale.report/1"

static json_t *allowed_cpus(const struct thread *t)
{
	json_t *list = json_array();

	for (unsigned int cpu = 0; cpu < EV_CPUS_WORDS * 64; cpu++)
		if (t->allowed[cpu / 64] >> (cpu % 64) & 1 &&
		    json_array_append_new(list, json_integer(cpu))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *scheduling(const struct loaded *l, const struct thread *t)
{
	const char *path = load_cgroup(l, t->cgroup);

	if (!t->has_task)
		return json_null();
	return json_pack("{s:s, s:i, s:i, s:I, s:o, s:o, s:I}", "policy", report_policy(t->policy),
			 "nice", (int)t->nice, "rt_priority", (int)t->rt_priority, "nr_cpus",
			 (json_int_t)t->nr_allowed, "cpus", allowed_cpus(t), "cgroup",
			 path ? escape_json(path, SIZE_MAX) : json_null(), "cgroup_id",
			 (json_int_t)t->cgroup);
}

/* How often the thread was in each class, and the longest time: only where it was. */
static json_t *waits(const struct thread *t)
{
	json_t *object = json_object();

	for (int c = 0; object && c < CLASS_NR; c++) {
		json_t *one;

		if (!t->waits[c])
			continue;
		one = json_pack("{s:I, s:I}", "count", (json_int_t)t->waits[c], "longest_ns",
				(json_int_t)t->longest_ns[c]);
		if (json_object_set_new(object, class_name(c), one)) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *thread_audit(const struct loaded *l, const struct thread *t)
{
	struct audit audit = { .all = AUDIT_NONE };

	if (!l->from_books)
		audit_thread(t, &audit);
	return json_audit(&audit);
}

static json_t *thread(const struct loaded *l, const struct thread *t)
{
	uint64_t epoch = l->meta.epoch_ns;
	json_t *identity = json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:b, s:b}", "tid",
				     (json_int_t)t->tid, "tgid", (json_int_t)t->tgid, "comm",
				     escape_json(t->comm, EV_COMM_LEN), "serial",
				     (json_int_t)t->serial, "start_ns",
				     (json_int_t)epoch + (json_int_t)t->start_ns, "end_ns",
				     (json_int_t)epoch + (json_int_t)t->end_ns, "ended",
				     (int)t->ended, "kthread", (int)t->kthread);
	json_t *rest = json_pack(
		"{s:o, s:{s:I, s:I, s:I, s:I}, s:o, s:I, s:o, s:o, s:o}", "ledger",
		json_ledger(t->ledger_ns), "switches", "voluntary", (json_int_t)t->voluntary,
		"involuntary", (json_int_t)t->involuntary, "yields", (json_int_t)t->yields, "kept",
		(json_int_t)t->kept, "migrations",
		l->from_books ? json_null() : json_integer((json_int_t)t->migrations), "yielded_ns",
		(json_int_t)t->yielded_ns, "waits", waits(t), "audit", thread_audit(l, t),
		"scheduling", scheduling(l, t));

	if (!identity || !rest || json_object_update(identity, rest) ||
	    json_add_counted(l, counts_of(l->counts, t->serial), identity)) {
		json_decref(identity);
		identity = NULL;
	}
	json_decref(rest);
	return identity;
}

static json_t *nth_thread(const void *arg, size_t i)
{
	const struct loaded *l = arg;

	return thread(l, l->threads[i]);
}

static json_t *per_cpu(const struct loaded *l)
{
	unsigned int nr;
	const struct cpu_time *cpus = ledger_cpus(l->ledger, &nr);
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < nr; i++) {
		const struct cpu_time *c = &cpus[i];

		if (!c->seen)
			continue;
		if (json_array_append_new(list, json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "cpu",
							  (int)i, "idle_ns", (json_int_t)c->idle_ns,
							  "tracked_ns", (json_int_t)c->tracked_ns,
							  "other_ns", (json_int_t)c->other_ns,
							  "unknown_ns", (json_int_t)c->unknown_ns,
							  "switches", (json_int_t)c->switches))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_int_t percentile(const struct latency *lat, double p)
{
	return lat->count ? (json_int_t)latency_percentile(lat, p) : 0;
}

static json_t *latency(const struct latency *lat)
{
	json_t *buckets = json_array();
	int nr = LATENCY_BUCKETS;

	while (nr && !lat->bucket[nr - 1])
		nr--;
	for (int i = 0; buckets && i < nr; i++)
		if (json_array_append_new(buckets, json_integer((json_int_t)lat->bucket[i]))) {
			json_decref(buckets);
			return NULL;
		}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "count",
			 (json_int_t)lat->count, "total_ns", (json_int_t)lat->total_ns, "max_ns",
			 (json_int_t)lat->max_ns, "p50_ns", percentile(lat, 0.5), "p90_ns",
			 percentile(lat, 0.9), "p99_ns", percentile(lat, 0.99), "p99_9_ns",
			 percentile(lat, 0.999), "log2_ns", buckets);
}

static json_t *file_state(const struct loaded *l)
{
	return json_pack("{s:o, s:b, s:o, s:I, s:I}", "path", escape_json(l->path, SIZE_MAX),
			 "incomplete", (int)l->state.incomplete, "damaged_at",
			 l->state.damaged ? json_integer((json_int_t)l->state.damaged_at) :
					    json_null(),
			 "events", (json_int_t)l->events, "bytes", (json_int_t)l->state.bytes);
}

/* `record --keep`; null where nothing was let go of. Times in ns since the recording began. */
static json_t *kept(const struct loaded *l)
{
	const struct load_kept *k = &l->meta.kept;

	if (!k->cut)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:b}", "from_ns",
			 (json_int_t)k->from_ns - (json_int_t)k->began_ns, "to_ns",
			 (json_int_t)l->meta.ended_ns - (json_int_t)k->began_ns, "asked_ns",
			 (json_int_t)k->asked_ns, "limit_bytes", (json_int_t)k->limit_bytes,
			 "limit_reached", (int)k->is_short);
}

/* What was recorded, where and how. */
static json_t *recording(const struct loaded *l)
{
	const struct load_meta *m = &l->meta;

	return json_pack("{s:s, s:s, s:I, s:I, s:i, s:s, s:s, s:o, s:b, s:o, s:o, s:o}", "schema",
			 SCHEMA, "command", m->command, "wall_ns",
			 (json_int_t)l->end_ns - (json_int_t)l->begin_ns, "begin_ns",
			 (json_int_t)m->epoch_ns + (json_int_t)l->begin_ns, "cpus",
			 (int)m->nr_online, "kernel", m->kernel, "arch", m->arch, "exit_status",
			 m->has_exit ? json_integer(m->exit_status) : json_null(), "bpf",
			 (int)!l->from_books, "why_not",
			 *m->why_not ? json_string(m->why_not) : json_null(), "file", file_state(l),
			 "kept", kept(l));
}

/* What the passes found, when they were made. */
static int add_passes(const struct loaded *l, json_t *whole)
{
	if (!whole || !l->passes)
		return 0;
	return json_object_set_new(whole, "wakeups", json_wakeups(l)) ||
	       json_object_set_new(whole, "runq_by", json_runq_by(l)) ||
	       json_object_set_new(whole, "critical_path", json_critical_path(l)) ||
	       json_object_set_new(whole, "parallelism", json_parallelism(l));
}

/* All but the threads. */
static json_t *report(const struct loaded *l)
{
	json_t *whole = recording(l);
	json_t *rest = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}}",
				 "ledger", json_ledger(l->ledger_ns), "threads", json_null(),
				 "locks", json_locks(l), "klock_spins", json_spins(l), "lost",
				 json_lost(l), "limits", limits_json(l), "audit",
				 json_audit_total(l), "cost", json_cost(l), "counters",
				 json_counters(l), "per_cpu", per_cpu(l), "latency", "wakeup",
				 latency(ledger_latency(l->ledger, true)), "preempted",
				 latency(ledger_latency(l->ledger, false)));

	if (!whole || !rest || json_object_update(whole, rest) || add_passes(l, whole)) {
		json_decref(whole);
		whole = NULL;
	}
	json_decref(rest);
	return whole;
}

static int print_json(const struct loaded *l, const struct report_options *o, FILE *out,
		      struct err *err)
{
	const struct json_list threads = {
		.key = "threads", .nr = l->nr_threads, .make = nth_thread, .arg = l
	};
	json_t *whole = report(l);
	int r;

	(void)o;
	if (!whole)
		return err_set(err, -ENOMEM, "out of memory while making the JSON report");
	r = json_stream(whole, &threads, out, err);
	json_decref(whole);
	return r;
}

const struct report_form form_json = {
	.name = "json",
	.help = "everything, for programs (schema " SCHEMA ")",
	.passes = PASS_WAKEUPS | PASS_RUNQ_WHO | PASS_HISTORY | PASS_LOCKS | PASS_PARALLELISM,
	.alone = true,
	.print = print_json,
};
