// SPDX-License-Identifier: GPL-2.0-only
/*
 * The head of every report for people: what was recorded, whether the file is whole, what is missing, the audit, the
 * cost of recording.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/limits.h"
#include "report/report.h"
#include "report/text.h"
#include "report/units.h"

#define COMMAND_MAX 400
#define SPANS_MAX 6

static void show_command(const struct loaded *l, const struct report_options *o, FILE *out)
{
	char command[COMMAND_MAX], status[48] = "";
	const struct load_meta *m = &l->meta;

	if (m->has_exit && m->exit_status)
		snprintf(status, sizeof(status), " (exit status %" PRId64 ")", m->exit_status);
	if (*m->command)
		text_field(out, o->width, "command", "%s%s",
			   escape_terminal(command, sizeof(command), m->command, SIZE_MAX, false),
			   status);
	else
		text_field(out, o->width, "command", "none: what ran already was recorded");
}

static void show_machine(const struct loaded *l, const struct report_options *o, FILE *out)
{
	char wall[UNITS_SIZE], cpus[UNITS_SIZE], kernel[128], arch[64], started[64];
	const struct load_meta *m = &l->meta;

	units_count(cpus, sizeof(cpus), m->nr_online, "CPU");
	text_field(out, o->width, "measured", "%s on %s; Linux %s %s%s%s",
		   units_time(wall, l->end_ns - l->begin_ns), m->nr_online ? cpus : "? CPUs",
		   escape_terminal(kernel, sizeof(kernel), m->kernel, 80, true),
		   escape_terminal(arch, sizeof(arch), m->arch, 30, true),
		   *m->started ? "; started " : "",
		   *m->started ? escape_terminal(started, sizeof(started), m->started, 40, true) :
				 "");
}

/* The trace is the last part of a recording, from when to when, in seconds since that began. */
static void show_kept(const struct loaded *l, const struct report_options *o, FILE *out)
{
	const struct load_kept *k = &l->meta.kept;
	char asked[UNITS_SIZE], limit[UNITS_SIZE], reached[160] = "";
	uint64_t to_ns = l->meta.has_end ? l->meta.ended_ns : l->end_ns;

	if (!k->cut)
		return;
	if (k->is_short && to_ns - k->from_ns < k->asked_ns)
		snprintf(reached, sizeof(reached), ", of which no more fitted into %s",
			 units_bytes(limit, k->limit_bytes));
	text_field(
		out, o->width, "kept",
		"the last part of a longer recording, from %.3f s to %.3f s of it: record --keep "
		"kept %s%s",
		(double)(k->from_ns - k->began_ns) / 1e9, (double)(to_ns - k->began_ns) / 1e9,
		units_time(asked, k->asked_ns), reached);
}

static void show_file(const struct loaded *l, const struct report_options *o, FILE *out)
{
	char path[COMMAND_MAX], bytes[UNITS_SIZE], events[UNITS_SIZE], damage[160] = "";
	const struct trace_state *s = &l->state;

	if (s->damaged)
		snprintf(damage, sizeof(damage),
			 "; DAMAGED at byte %" PRIu64 ": only what lay before it was read",
			 s->damaged_at);
	text_field(out, o->width, "file", "%s, %s, %s%s%s",
		   escape_terminal(path, sizeof(path), l->path, SIZE_MAX, false),
		   units_bytes(bytes, s->bytes),
		   units_count(events, sizeof(events), l->events, "event"),
		   s->incomplete ? "; INCOMPLETE: the recorder was killed, or its disk was full" :
				   "",
		   damage);
}

/* "CPU 0 from 0.100000 to 0.200000 s (12)", the first few. */
static void show_spans(const struct loaded *l, char *buf, size_t size)
{
	char more[UNITS_SIZE + 16];
	size_t nr, len = 0;
	const struct lost_span *span = ledger_lost(l->ledger, &nr);

	buf[0] = '\0';
	for (size_t i = 0; i < nr && i < SPANS_MAX && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len,
					"%sCPU %u from %.6f to %.6f s (%" PRIu64 ")",
					i ? ", " : ": ", span[i].cpu,
					(double)span[i].first_ns / 1e9,
					(double)span[i].last_ns / 1e9,
					span[i].count[DROP_FULL] + span[i].count[DROP_STORAGE]);
	if (nr > SPANS_MAX && len < size)
		snprintf(buf + len, size - len, " and %s",
			 units_count(more, sizeof(more), nr - SPANS_MAX, "more span"));
}

static void show_lost(const struct loaded *l, const struct report_options *o, FILE *out)
{
	const struct load_meta *m = &l->meta;
	char spans[640], causes[200] = "", unseen[UNITS_SIZE + 64] = "", nr[2][UNITS_SIZE + 16];
	uint64_t threads = ledger_unseen(l->ledger);

	if (threads)
		snprintf(unseen, sizeof(unseen),
			 "; %s of which no event is left %s not in this report",
			 units_count(nr[0], sizeof(nr[0]), threads, "thread"),
			 threads == 1 ? "is" : "are");
	if (!l->lost_events) {
		text_field(
			out, o->width, "lost", "%s",
			m->has_end ?
				"no events" :
				"not known: the end of the file, where it is written, is missing");
	} else {
		if (m->dropped_full + m->dropped_storage + m->dropped_no_buffer)
			snprintf(causes, sizeof(causes),
				 " (buffer full %" PRIu64 ", no memory for a thread %" PRIu64
				 ", a CPU without buffer %" PRIu64 ")",
				 m->dropped_full, m->dropped_storage, m->dropped_no_buffer);
		show_spans(l, spans, sizeof(spans));
		text_field(out, o->width, "lost",
			   "%s%s%s; what %s would have told is `untracked`%s",
			   units_count(nr[0], sizeof(nr[0]), l->lost_events, "event"), causes,
			   spans, l->lost_events == 1 ? "it" : "they", unseen);
	}
	if (l->missed_switches || l->missed_wakeups || l->missed_migrations)
		text_field(out, o->width, "missed",
			   "%" PRIu64 " switch%s, %s and %s never reached a probe; found from the "
			   "kernel's books and from what followed",
			   l->missed_switches, l->missed_switches == 1 ? "" : "es",
			   units_count(nr[0], sizeof(nr[0]), l->missed_wakeups, "wake-up"),
			   units_count(nr[1], sizeof(nr[1]), l->missed_migrations, "migration"));
}

static void show_audit(const struct loaded *l, const struct report_options *o, FILE *out)
{
	_cleanup_(free_p) char *audit = report_audit(l);

	text_field(out, o->width, "audit", "%s", audit ? audit : "out of memory");
}

static void show_cost(const struct loaded *l, const struct report_options *o, FILE *out)
{
	const struct load_cost *c = &l->meta.cost;
	char bpf[UNITS_SIZE], each[UNITS_SIZE], cpu[UNITS_SIZE], share[UNITS_SIZE];
	char misses[64] = "", programs[160] = "", whole[80] = "";
	uint64_t wall_ns = l->end_ns - l->begin_ns, room;

	if (!c->known) {
		text_field(out, o->width, "cost", "not known: the recording was not closed");
		return;
	}
	if (l->meta.kept.cut)
		wall_ns = l->meta.ended_ns - l->meta.kept.began_ns;
	room = wall_ns * l->meta.nr_online;
	if (c->recursion_misses)
		snprintf(misses, sizeof(misses), "; %" PRIu64 " run%s skipped (nested)",
			 c->recursion_misses, c->recursion_misses == 1 ? "" : "s");
	if (c->bpf_known)
		snprintf(programs, sizeof(programs),
			 "BPF programs %s in %" PRIu64 " run%s (%s each%s); ",
			 units_time(bpf, c->bpf_ns), c->bpf_runs, c->bpf_runs == 1 ? "" : "s",
			 units_time(each, c->bpf_runs ? c->bpf_ns / c->bpf_runs : 0),
			 c->bpf_estimated ? ", estimated from a sample" : "");
	else if (l->meta.bpf)
		snprintf(programs, sizeof(programs),
			 "BPF programs: too short a time to time them; ");
	if (room && c->bpf_ns + c->recorder_cpu_ns < room)
		snprintf(whole, sizeof(whole), "; together %s of the CPUs' time",
			 units_percent(share, c->bpf_ns + c->recorder_cpu_ns, room));
	text_field(out, o->width, "cost",
		   "%srecorder %s of CPU time, its start and end included%s%s%s", programs,
		   units_time(cpu, c->recorder_cpu_ns), whole, misses,
		   l->meta.kept.cut ? "; all of it over the whole recording" : "");
}

/* One counter of all threads: "page-faults 12", "~cycles 1234" when scaled, "cycles unavailable". */
static void show_counter(const char *name, const json_t *one, FILE *f)
{
	const json_t *value = json_object_get(one, "value");
	const char *unit = json_string_value(json_object_get(one, "unit"));
	char clean[64], number[UNITS_SIZE];
	bool partial = json_is_true(json_object_get(one, "partial"));

	fprintf(f, "%s%s ", ftell(f) ? ", " : "",
		escape_terminal(clean, sizeof(clean), name, 48, true));
	if (json_is_integer(value))
		fprintf(f, "%s%s%s%s", json_is_true(json_object_get(one, "scaled")) ? "~" : "",
			units_grouped(number, (uint64_t)json_integer_value(value)),
			partial ? "+" : "", unit && !strcmp(unit, "ns") ? " ns" : "");
	else
		fputs(json_object_get(one, "index") ? "never had the hardware" : "unavailable", f);
}

static void json_p(json_t **json)
{
	json_decref(*json);
}

static void show_counters(const struct loaded *l, const struct report_options *o, FILE *out)
{
	_cleanup_(json_p) json_t *counters = json_counters(l);
	_cleanup_(free_p) char *text = NULL;
	const char *name;
	json_t *one;
	size_t len;
	FILE *f;

	if (!json_object_size(counters))
		return;
	f = open_memstream(&text, &len);
	if (!f)
		return;
	json_object_foreach(counters, name, one)
		show_counter(name, one, f);
	fclose(f);
	text_field(out, o->width, "counters", "%s%s", text,
		   l->counts ? "; of each thread: --counters" : "");
}

/* What `record --python` could not have. */
static void show_python(const struct loaded *l, const struct report_options *o, FILE *out)
{
	const json_t *python = json_object_get(l->raw_meta, "python");
	const char *note = json_string_value(json_object_get(python, "note"));
	char clean[400];

	if (note && *note)
		text_field(out, o->width, "python", "%s",
			   escape_terminal(clean, sizeof(clean), note, strnlen(note, 320), false));
}

void report_header(const struct loaded *l, const struct report_options *o, FILE *out)
{
	char why[300];

	show_command(l, o, out);
	show_machine(l, o, out);
	show_kept(l, o, out);
	show_file(l, o, out);
	if (l->from_books)
		text_field(
			out, o->width, "limits",
			"recorded without BPF%s%s: only on-CPU and run-queue time are known "
			"(runq_wakeup holds all of the latter); no other class can be seen, the rest "
			"is `untracked`",
			*l->meta.why_not ? ", because " : "",
			escape_terminal(why, sizeof(why), l->meta.why_not, 280, false));
	else
		show_lost(l, o, out);
	limits_print(l, o, out);
	show_audit(l, o, out);
	show_counters(l, o, out);
	show_python(l, o, out);
	show_cost(l, o, out);
}
