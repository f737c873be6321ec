// SPDX-License-Identifier: GPL-2.0-only
/* The outputs of `whyscale check`: see check.h. */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/check.h"
#include "cli/cli.h"

static void json_p(json_t **json)
{
	json_decref(*json);
}

/* ---- the hardware counters ---- */

static const char *const hardware[] = { "cycles", "instructions", "cache-misses", "branch-misses" };
#define NR_HARDWARE (sizeof(hardware) / sizeof(hardware[0]))

/* Lists those that count; if there is none, `text` is the reason. */
static bool list_hardware(const struct check *c, char *text, size_t size)
{
	const char *why = "the counters cannot be tried";
	size_t len = 0;

	*text = '\0';
	for (size_t i = NR_HARDWARE; i-- > 0;) {
		const json_t *one = json_object_get(c->counters, hardware[i]);
		const char *unavailable = json_string_value(json_object_get(one, "unavailable"));

		if (unavailable)
			why = unavailable;
		else if (one)
			len += snprintf(text + len, size - len, "%s%s", len ? ", " : "",
					hardware[i]);
	}
	if (!len)
		snprintf(text, size, "%s", why);
	return len;
}

/* ---- JSON ---- */

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *machine_json(const struct machine *m)
{
	json_t *capabilities = json_object(), *paranoid = json_null();
	const struct confined *c = &m->confined;

	for (size_t i = 0; i < NR_CAPABILITIES; i++)
		json_object_set_new(capabilities, machine_capabilities[i],
				    json_boolean(m->capable[i]));
	if (c->perf_event_paranoid != INT_MIN)
		paranoid = json_integer(c->perf_event_paranoid);
	return json_pack("{s:s,s:s,s:{s:i,s:i},s:b,s:{s:o,s:b},s:o,s:{s:o,s:o},s:{s:I,s:o,s:o},"
			 "s:b,s:b,s:b,s:o,s:o}",
			 "kernel", m->uts.release, "arch", m->uts.machine, "cpus", "online",
			 (int)m->cpus_online, "possible", (int)m->cpus_possible, "btf", m->btf,
			 "tracefs", "mounted_at", text_or_null(m->tracefs), "readable",
			 m->tracefs_readable, "perf_event_paranoid", paranoid, "cgroup", "v1_cpu",
			 text_or_null(m->cgroup_v1), "v2_cpu", text_or_null(m->cgroup_v2), "user",
			 "uid", (json_int_t)c->uid, "name", text_or_null(m->user), "capabilities",
			 capabilities, "pid_namespace", c->pid_ns, "user_namespace", c->user_ns,
			 "seccomp", c->seccomp, "lockdown", text_or_null(c->lockdown),
			 "proc_unusable", text_or_null(m->proc.msg));
}

static json_t *source_json(const struct source *s)
{
	return json_pack("{s:s,s:b,s:o,s:o,s:s,s:s,s:s}", "name", s->name, "works", s->works,
			 "why_not", s->works ? json_null() : text_or_null(s->why), "partly",
			 s->works ? text_or_null(s->why) : json_null(), "gives", s->gives,
			 "without", s->without, "cost", s->cost);
}

int check_show_json(const struct check *c, struct err *err)
{
	json_t *list = json_array(),
	       *counters = c->counters ? json_incref(c->counters) : json_null();
	_cleanup_(json_p) json_t *all = NULL;
	char text[256];
	bool has_hardware = list_hardware(c, text, sizeof(text));

	for (size_t i = 0; list && i + 1 < c->nr; i++)
		json_array_append_new(list, source_json(&c->sources[i]));
	all = json_pack("{s:s,s:b,s:o,s:b,s:o,s:o,s:o}", "schema", "whyscale.check/1", "can_record",
			c->can_record, "machine", machine_json(&c->machine), "hardware_counters",
			has_hardware, "counters", counters, "probes", list, "fallback",
			source_json(&c->sources[c->nr - 1]));
	if (!all)
		return err_sys(err, -ENOMEM, "cannot describe the machine");
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	return 0;
}

/* ---- tables ---- */

/* Breaks lines between words, in place. */
static void wrap(char *text, size_t width)
{
	size_t begin = 0, blank = 0;

	for (size_t i = 0; text[i]; i++) {
		if (text[i] == '\n')
			begin = i + 1;
		if (text[i] == ' ')
			blank = i;
		if (i - begin >= width && blank > begin) {
			text[blank] = '\n';
			begin = blank + 1;
		}
	}
}

/* Two columns of words and one of text, which takes the width that is left. */
struct table {
	struct libscols_table *table;
	size_t text_width;
	bool failed;
};

static void table_begin(struct table *t, const char *first, const char *second, const char *text,
			size_t first_width, size_t second_width)
{
	size_t width = (size_t)cli_width(stdout), used = first_width + second_width + 3;
	struct libscols_column *column;

	*t = (struct table){ .table = scols_new_table(),
			     .text_width = width > used + 20 ? width - used : 20 };
	if (!t->table) {
		t->failed = true;
		return;
	}
	scols_table_set_termforce(t->table, SCOLS_TERMFORCE_ALWAYS);
	scols_table_set_termwidth(t->table, used + t->text_width);
	scols_table_enable_noheadings(t->table, !*first);
	scols_table_enable_colors(t->table, cli_colour(stdout));
	t->failed = !scols_table_new_column(t->table, first, (double)first_width,
					    SCOLS_FL_STRICTWIDTH) ||
		    !scols_table_new_column(t->table, second, (double)second_width,
					    second_width ? SCOLS_FL_STRICTWIDTH : SCOLS_FL_HIDDEN);
	column = scols_table_new_column(t->table, text, 1, SCOLS_FL_WRAP);
	t->failed |= !column || scols_column_set_safechars(column, "\n") ||
		     scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
					       scols_wrapnl_nextchunk, NULL);
}

static void table_row(struct table *t, const char *first, const char *second, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void table_row(struct table *t, const char *first, const char *second, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	struct libscols_line *line = t->failed ? NULL : scols_table_new_line(t->table, NULL);
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		wrap(text, t->text_width);
	t->failed |= !line || !text || scols_line_set_data(line, 0, first) ||
		     scols_line_set_data(line, 1, second) || scols_line_set_data(line, 2, text);
}

static int table_end(struct table *t, struct err *err)
{
	int r = t->failed || scols_print_table(t->table) ? -ENOMEM : 0;

	scols_unref_table(t->table);
	return r ? err_sys(err, r, "cannot print a table") : 0;
}

/* What kernel.perf_event_paranoid leaves to those without privileges (Documentation/admin-guide/sysctl/kernel.rst). */
static void paranoid_row(struct table *t, int level)
{
	static const char *const without[] = {
		"everything", "everything but raw tracepoints",
		"one's own processes, kernel included", "one's own processes, user space only",
		"as 2, or nothing at all (Debian's, Ubuntu's kernels)"
	};
	const char *meaning = without[level < 0 ? 0 : level > 2 ? 4 : level + 1];

	if (level == INT_MIN)
		table_row(t, "perf_event_paranoid", "", "cannot be read");
	else
		table_row(t, "perf_event_paranoid", "", "%d: without privileges: %s", level,
			  meaning);
}

static void user_row(struct table *t, const struct machine *m)
{
	char caps[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < NR_CAPABILITIES; i++)
		len += snprintf(caps + len, sizeof(caps) - len, "%s%s %s", len ? ", " : "",
				m->capable[i] ? "has" : "lacks", machine_capabilities[i]);
	table_row(t, "user", "", "%s (uid %u): %s", *m->user ? m->user : "?", m->confined.uid,
		  caps);
}

/* What takes away from that; and, in a container, what is seen of the rest of the machine. */
static void confined_rows(struct table *t, const struct machine *m)
{
	const struct confined *c = &m->confined;

	if (c->user_ns)
		table_row(
			t, "user namespace", "",
			"of its own: these privileges end at it, and give no power over the kernel");
	if (c->pid_ns)
		table_row(
			t, "pid namespace", "",
			"of its own (a container): ids of threads are those seen in here; programs "
			"outside have none, are seen by name where they had a CPU that a thread waited "
			"for, and -a leaves them out");
	if (m->proc.code)
		table_row(t, "/proc", "", "%s; until then nothing is recorded", m->proc.msg);
	if (c->seccomp)
		table_row(
			t, "seccomp", "",
			"a filter looks at system calls: it may forbid bpf(2) and perf_event_open(2)");
	if (*c->lockdown && strcmp(c->lockdown, "none") != 0)
		table_row(t, "lockdown", "", "%s%s", c->lockdown,
			  strcmp(c->lockdown, "confidentiality") ?
				  ": nothing that whyscale needs" :
				  ": BPF programs may not read the kernel's memory");
}

static void cgroup_row(struct table *t, const struct machine *m)
{
	if (*m->cgroup_v1 || *m->cgroup_v2)
		table_row(t, "CPU quotas", "", "cgroup %s%s%s%s%s", *m->cgroup_v1 ? "v1 at " : "",
			  m->cgroup_v1, *m->cgroup_v1 && *m->cgroup_v2 ? ", " : "",
			  *m->cgroup_v2 ? "v2 at " : "", m->cgroup_v2);
	else
		table_row(
			t, "CPU quotas", "",
			"no cgroup with the cpu controller is mounted: cgroups have no names; what a "
			"quota takes is seen as `throttled` all the same");
}

static int show_machine(const struct check *c, struct err *err)
{
	const struct machine *m = &c->machine;
	char text[256];
	bool has_hardware = list_hardware(c, text, sizeof(text));
	struct table t;

	table_begin(&t, "", "", "", 20, 0);
	table_row(&t, "kernel", "", "Linux %s %s", m->uts.release, m->uts.machine);
	table_row(&t, "CPUs", "", "%u online, %u possible", m->cpus_online, m->cpus_possible);
	table_row(&t, "type information", "", "%s",
		  m->btf ? "yes (/sys/kernel/btf/vmlinux)" :
			   "no: /sys/kernel/btf/vmlinux cannot be read, and BPF programs need it");
	table_row(&t, "tracefs", "", "%s%s%s",
		  *m->tracefs ? "mounted at " :
				"not mounted; nothing is lost: whyscale does without it",
		  m->tracefs, *m->tracefs && !m->tracefs_readable ? ", readable by root only" : "");
	paranoid_row(&t, m->confined.perf_event_paranoid);
	table_row(&t, "hardware counters", "", "%s: %s", has_hardware ? "yes" : "no", text);
	cgroup_row(&t, m);
	user_row(&t, m);
	confined_rows(&t, m);
	return table_end(&t, err);
}

static void source_row(struct table *t, const struct source *s)
{
	const char *state = !s->works ? "no" : *s->why ? "partly" : "works";

	if (s->works)
		table_row(t, s->name, state, "%s%s%s\ncosts: %s\nlost without it: %s", s->gives,
			  *s->why ? "\n" : "", s->why, s->cost, s->without);
	else
		table_row(t, s->name, state, "%s\nwhy not: %s\nlost: %s\nwould cost: %s", s->gives,
			  s->why, s->without, s->cost);
}

static int show_sources(const struct check *c, struct err *err)
{
	struct table t;

	table_begin(&t, "PROBE", "STATE", "WHAT IT SEES", 8, 6);
	for (size_t i = 0; i < c->nr; i++)
		source_row(&t, &c->sources[i]);
	return table_end(&t, err);
}

int check_show_table(const struct check *c, struct err *err)
{
	int r = show_machine(c, err);

	putchar('\n');
	return r ? r : show_sources(c, err);
}
