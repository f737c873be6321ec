// SPDX-License-Identifier: GPL-2.0-only
/* The findings of a trace, for people and for programs: see explain_report.h. */
#include "report/explain_report.h"

#include <errno.h>
#include <string.h>

#include "report/escape.h"
#include "report/text.h"
#include "report/units.h"

static void head(const struct explain_report *r, const struct report_options *o, FILE *out)
{
	const struct replay *p = r->facts->replay;
	char wall[UNITS_SIZE], again[UNITS_SIZE], file[ESCAPE_SIZE(200)], command[ESCAPE_SIZE(300)];
	const struct work *w = r->work;

	text_field(out, o->width, "trace", "%s: %s",
		   escape_terminal(file, sizeof(file), r->path, 200, false),
		   *r->command ? escape_terminal(command, sizeof(command), r->command, 300, false) :
				 "a recording of what was running");
	text_field(
		out, o->width, "run",
		"%s; at most %zu of %zu thread%s that work at once, on %u CPU%s (%zu that only wait "
		"for those that they started, %zu that hardly did anything)",
		units_time(wall, (uint64_t)r->facts->stack->wall_ns), w->lanes, w->workers,
		w->workers == 1 ? "" : "s", r->facts->cpus, r->facts->cpus == 1 ? "" : "s",
		w->coordinators, w->bystanders);
	if (p->good)
		text_field(
			out, o->width, "replay",
			"played again as it was, the run takes %s of %s measured; %zu of %zu waits were "
			"ended by a recorded thread",
			units_time(again, p->as_is_ns), units_time(wall, p->measured_ns),
			p->edges < p->waits ? p->edges : p->waits, p->waits);
	else if (*p->why)
		text_field(out, o->width, "replay", "none: %s", p->why);
	else
		text_field(out, o->width, "replay", "none: it has no scheduler events");
}

static void show(const struct finding *f, const struct report_options *o, FILE *out)
{
	bool help = f->lost_ns > 0 || strcmp(f->cause, "none") != 0;
	char lost[UNITS_SIZE];

	fputc('\n', out);
	text_field(out, o->width, f->cause, "%s%s", f->sentence, finding_mark(f));
	if (f->lost_ns > 0)
		text_field(out, o->width, "", "Lost: %s of the workers' time.",
			   units_time(lost, (uint64_t)f->lost_ns));
	if (help)
		text_field(out, o->width, "", "What would help: %s.", f->remedy);
}

int explain_report_text(const struct explain_report *r, const struct report_options *o, FILE *out,
			struct err *err)
{
	size_t nr = r->findings->nr < r->top ? r->findings->nr : r->top;
	bool any = false;

	(void)err;
	head(r, o, out);
	for (size_t i = 0; i < nr; i++) {
		show(&r->findings->finding[i], o, out);
		any |= *finding_mark(&r->findings->finding[i]);
	}
	if (nr < r->findings->nr)
		text_line(out, o->width, "\n%zu smaller ones are not shown (--top).",
			  r->findings->nr - nr);
	if (any && !o->no_legend)
		text_line(out, o->width, "\n%s", finding_marks_mean);
	return 0;
}

static json_t *replay_json(const struct replay *p)
{
	if (!p->good)
		return json_pack("{s:b,s:s}", "good", 0, "why",
				 *p->why ? p->why : "it has no scheduler events");
	return json_pack("{s:b,s:I,s:I,s:i,s:I,s:I,s:I}", "good", 1, "measured_ns",
			 (json_int_t)p->measured_ns, "as_it_was_ns", (json_int_t)p->as_is_ns,
			 "cpus", (int)p->cpus, "threads", (json_int_t)p->threads, "waits",
			 (json_int_t)p->waits, "waits_ended_by_a_recorded_thread",
			 (json_int_t)p->edges);
}

static json_t *stack_json(const struct stack *s)
{
	json_t *o = json_object();

	for (int part = 0; o && part < STACK_NR; part++)
		json_object_set_new(o, stack_part_name(part), json_real(stack_share(s, part)));
	return o;
}

int explain_report_json(const struct explain_report *r, json_t *verified, FILE *out,
			struct err *err)
{
	const struct work *w = r->work;
	json_t *list = json_array(), *all;
	int failed;

	for (size_t i = 0; i < r->findings->nr && i < r->top; i++)
		json_array_append_new(list, finding_json(&r->findings->finding[i]));
	all = json_pack("{s:s,s:o,s:o,s:I,s:I,s:{s:I,s:I,s:I},s:i,s:o,s:o,s:o}", "schema",
			"whyscale.explain/1", "findings", list, "command",
			escape_json(r->command, SIZE_MAX), "wall_ns",
			(json_int_t)r->facts->stack->wall_ns, "workers", (json_int_t)w->lanes,
			"threads", "workers", (json_int_t)w->workers, "coordinators",
			(json_int_t)w->coordinators, "bystanders", (json_int_t)w->bystanders,
			"cpus", (int)r->facts->cpus, "stack", stack_json(r->facts->stack), "replay",
			replay_json(r->facts->replay), "verified",
			verified ? verified : json_null());
	failed = !all || json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) ||
		 fputc('\n', out) == EOF;
	json_decref(all);
	return failed ? err_set(err, -EIO, "cannot write the result") : 0;
}
