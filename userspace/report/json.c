// SPDX-License-Identifier: GPL-2.0-only
/* Parts of the JSON report: see json.h. */
#include "report/json.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "report/report.h"

json_t *json_ledger(const uint64_t *ledger_ns)
{
	json_t *ledger = json_object();

	for (int c = 0; ledger && c < CLASS_NR; c++)
		if (json_object_set_new(ledger, class_name(c),
					json_integer((json_int_t)ledger_ns[c]))) {
			json_decref(ledger);
			return NULL;
		}
	return ledger;
}

static json_t *both(const uint64_t *value)
{
	return json_pack("{s:I, s:I}", "ours", (json_int_t)value[0], "kernel",
			 (json_int_t)value[1]);
}

json_t *json_audit(const struct audit *a)
{
	json_t *switches = json_pack("{s:s, s:o, s:o, s:I}", "result",
				     report_audit_name(a->switches), "voluntary",
				     both(a->voluntary), "involuntary", both(a->involuntary),
				     "missed", (json_int_t)a->missed_switches);
	json_t *migrations =
		json_pack("{s:s, s:I, s:I}", "result", report_audit_name(a->migrations), "ours",
			  (json_int_t)a->migrated[0], "kernel", (json_int_t)a->migrated[1]);
	json_t *time = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "result",
				 report_audit_name(a->time), "oncpu_ns", both(a->oncpu_ns),
				 "runq_ns", both(a->runq_ns), "steal_ns", (json_int_t)a->steal_ns,
				 "moved_ns", (json_int_t)a->moved_ns, "left_ns",
				 (json_int_t)a->left_ns, "asleep_ns", (json_int_t)a->asleep_ns,
				 "difference_ns", (json_int_t)a->difference_ns, "tolerance_ns",
				 (json_int_t)a->tolerance_ns);

	return json_pack("{s:s, s:o, s:o, s:o}", "result", report_audit_name(a->all), "switches",
			 switches, "migrations", migrations, "time", time);
}

json_t *json_audit_total(const struct loaded *l)
{
	_cleanup_(free_p) char *sentence = report_audit(l);
	json_t *audit = json_audit(&l->audit.sum);
	json_t *threads = json_object();

	for (int r = AUDIT_NONE; threads && r <= AUDIT_DIFFERS; r++)
		json_object_set_new(threads, report_audit_name(r),
				    json_integer(l->audit.threads[r]));
	if (json_object_set_new(audit, "threads", threads) ||
	    json_object_set_new(audit, "sentence", json_string(sentence))) {
		json_decref(audit);
		return NULL;
	}
	return audit;
}

static json_t *spans(const struct loaded *l)
{
	size_t nr;
	const struct lost_span *lost = ledger_lost(l->ledger, &nr);
	json_t *list = json_array();
	uint64_t epoch = l->meta.epoch_ns;

	for (size_t i = 0; list && i < nr; i++) {
		uint64_t full = lost[i].count[DROP_FULL], storage = lost[i].count[DROP_STORAGE];
		json_t *span = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "cpu", (int)lost[i].cpu,
					 "first_ns",
					 (json_int_t)epoch + (json_int_t)lost[i].first_ns,
					 "last_ns", (json_int_t)epoch + (json_int_t)lost[i].last_ns,
					 "events", (json_int_t)full + (json_int_t)storage, "full",
					 (json_int_t)full, "storage", (json_int_t)storage);

		if (json_array_append_new(list, span)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *json_lost(const struct loaded *l)
{
	const struct load_meta *m = &l->meta;
	uint64_t missed = l->missed_switches + l->missed_wakeups + l->missed_migrations;

	return json_pack("{s:I, s:I, s:I, s:o, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "events",
			 (json_int_t)l->lost_events, "missed", (json_int_t)missed, "threads",
			 (json_int_t)ledger_unseen(l->ledger), "spans", spans(l), "causes", "full",
			 (json_int_t)m->dropped_full, "storage", (json_int_t)m->dropped_storage,
			 "no_buffer", (json_int_t)m->dropped_no_buffer, "missed_kinds", "switches",
			 (json_int_t)l->missed_switches, "wakeups", (json_int_t)l->missed_wakeups,
			 "migrations", (json_int_t)l->missed_migrations);
}

json_t *json_cost(const struct loaded *l)
{
	const struct load_cost *c = &l->meta.cost;

	if (!c->known)
		return json_null();
	return json_pack("{s:o, s:I, s:I, s:b, s:I, s:I, s:I}", "bpf_ns",
			 c->bpf_known ? json_integer((json_int_t)c->bpf_ns) : json_null(),
			 "bpf_runs", (json_int_t)c->bpf_runs, "bpf_sampled_runs",
			 (json_int_t)c->bpf_sampled_runs, "bpf_estimated", (int)c->bpf_estimated,
			 "recorder_cpu_ns", (json_int_t)c->recorder_cpu_ns, "recorder_events",
			 (json_int_t)c->recorder_events, "recursion_misses",
			 (json_int_t)c->recursion_misses);
}
