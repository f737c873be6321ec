// SPDX-License-Identifier: GPL-2.0-only
/*
 * The audit as a sentence: equal to the kernel's own books, or exactly what is not and why that may be.
 *
 * The two parts of the time, on-CPU and run queue, differ each for itself, for reasons that are known; their sum does not
 * So the sum is judged, and the parts are shown with the reasons.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/report.h"
#include "report/units.h"

#define NAMED_MAX 5

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static void write_time(FILE *out, const struct audit *sum)
{
	uint64_t ours = sum->oncpu_ns[0] + sum->runq_ns[0],
		 not_booked = sum->steal_ns + sum->moved_ns + sum->left_ns;
	uint64_t kernels = sum->oncpu_ns[1] + sum->runq_ns[1];

	char a[UNITS_SIZE], b[UNITS_SIZE], c[UNITS_SIZE];

	ours -= not_booked < ours ? not_booked : ours;
	fprintf(out, "on-CPU + run queue %s against %s (%s)", units_time(a, ours),
		units_time(b, kernels), units_percent(c, magnitude(sum->difference_ns), kernels));
	fprintf(out, "%s",
		sum->time == AUDIT_OK     ? ", within tolerance" :
		sum->time == AUDIT_MISSED ? ", beyond the tolerance only where events are missing" :
					    ", beyond the tolerance in some");
}

static void write_parts(FILE *out, const struct audit *sum)
{
	char a[UNITS_SIZE], b[UNITS_SIZE];

	fprintf(out, " [on-CPU %s against %s", units_time(a, sum->oncpu_ns[0]),
		units_time(b, sum->oncpu_ns[1]));
	fprintf(out,
		", run queue %s against %s: the kernel charges a thread that was woken on an idle "
		"CPU from its enqueue",
		units_time(a, sum->runq_ns[0]), units_time(b, sum->runq_ns[1]));
	if (sum->steal_ns)
		fprintf(out, ", and does not charge the %s that the hypervisor took",
			units_time(a, sum->steal_ns));
	if (sum->moved_ns)
		fprintf(out,
			", no book has the %s in which threads that were ready were moved from one CPU's "
			"run queue to another's",
			units_time(a, sum->moved_ns));
	if (sum->left_ns)
		fprintf(out,
			"%s the %s from the kernel's last look at its clock until threads that blocked "
			"had left their CPU",
			sum->moved_ns ? ", nor" : ", no book has", units_time(a, sum->left_ns));
	if (sum->asleep_ns)
		fprintf(out,
			", and counts %s of sleep, in both figures, as waiting: threads that were moved "
			"to another CPU in their sleep",
			units_time(a, sum->asleep_ns));
	fprintf(out, "]");
}

static void write_counts(FILE *out, const struct audit *a)
{
	char difference[UNITS_SIZE], tolerance[UNITS_SIZE];
	const char *gap = "";

	if (a->switches == AUDIT_DIFFERS) {
		fprintf(out,
			"switches %" PRIu64 " voluntary, %" PRIu64 " involuntary against %" PRIu64
			", %" PRIu64,
			a->voluntary[0], a->involuntary[0], a->voluntary[1], a->involuntary[1]);
		gap = "; ";
	}
	if (a->migrations == AUDIT_DIFFERS) {
		fprintf(out, "%smigrations %" PRIu64 " against %" PRIu64, gap, a->migrated[0],
			a->migrated[1]);
		gap = "; ";
	}
	if (a->time == AUDIT_DIFFERS)
		fprintf(out, "%stime by %s%s, tolerance %s", gap, a->difference_ns < 0 ? "-" : "+",
			units_time(difference, magnitude(a->difference_ns)),
			units_time(tolerance, a->tolerance_ns));
}

/* Which threads differ, and in what. */
static void write_differing(FILE *out, const struct loaded *l, unsigned int nr)
{
	unsigned int named = 0;

	for (size_t i = 0; i < l->nr_threads && named < NAMED_MAX; i++) {
		char name[ESCAPE_SIZE(EV_COMM_LEN)];
		const struct thread *t = l->threads[i];
		struct audit audit;

		audit_thread(t, &audit);
		if (audit.all != AUDIT_DIFFERS)
			continue;
		fprintf(out, "%s%s/%" PRIu32 " (", named++ ? ", " : ": ",
			escape_terminal(name, sizeof(name), t->comm, EV_COMM_LEN, true), t->tid);
		write_counts(out, &audit);
		fprintf(out, ")");
	}
	if (nr > named)
		fprintf(out, " and %u more", nr - named);
	if (l->lost_events || l->state.damaged || l->state.incomplete)
		fprintf(out, "; events are missing from this trace, which is the likely reason");
}

static void write_missed(FILE *out, const struct audit_total *total)
{
	int64_t missed = total->sum.missed_switches;

	fprintf(out, "%u differ%s by exactly the events that are known to be missed or lost",
		total->threads[AUDIT_MISSED], total->threads[AUDIT_MISSED] == 1 ? "s" : "");
	if (missed)
		fprintf(out, " (%" PRId64 " switch%s)", missed, missed == 1 ? "" : "es");
}

static void write_audit(FILE *out, const struct loaded *l)
{
	const struct audit_total *total = &l->audit;
	const unsigned int *nr = total->threads;
	unsigned int all = nr[AUDIT_OK] + nr[AUDIT_MISSED] + nr[AUDIT_DIFFERS];
	char text[UNITS_SIZE];

	if (!all) {
		fprintf(out,
			"nothing to compare: the trace holds no kernel's own counts of a thread");
		return;
	}
	fprintf(out, "%s: ", units_count(text, sizeof(text), all, "thread"));
	if (nr[AUDIT_OK] == all)
		fprintf(out,
			"voluntary and involuntary switches and migrations equal the kernel's; ");
	else if (nr[AUDIT_OK])
		fprintf(out, "in %u, switches and migrations equal the kernel's; ", nr[AUDIT_OK]);
	if (nr[AUDIT_MISSED]) {
		write_missed(out, total);
		fprintf(out, "; ");
	}
	write_time(out, &total->sum);
	write_parts(out, &total->sum);
	if (nr[AUDIT_DIFFERS]) {
		fprintf(out, "; DIFFERS in %u", nr[AUDIT_DIFFERS]);
		write_differing(out, l, nr[AUDIT_DIFFERS]);
	}
	if (nr[AUDIT_NONE])
		fprintf(out, "; no kernel's counts to compare for %u more", nr[AUDIT_NONE]);
}

char *report_audit(const struct loaded *l)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (l->from_books)
		fprintf(out,
			"none: the times below are the kernel's own counts, there are no events "
			"to compare them with");
	else
		write_audit(out, l);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
