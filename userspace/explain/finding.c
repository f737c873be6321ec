// SPDX-License-Identifier: GPL-2.0-only
/* Collecting the findings of all causes: see finding.h. */
#include "explain/finding.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CAUSE(name) extern const struct cause cause_##name;
#include "explain/causes.def"
#undef CAUSE
extern const struct cause cause_none;

#define CAUSE(name) &cause_##name,
static const struct cause *const causes[] = {
#include "explain/causes.def"
};
#undef CAUSE
#define NR_CAUSES (sizeof(causes) / sizeof(causes[0]))

static int by_loss(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->lost_ns != y->lost_ns)
		return x->lost_ns > y->lost_ns ? -1 : 1;
	/* of those that cost nothing known: first that nothing was lost */
	return (strcmp(x->cause, "none") != 0) - (strcmp(y->cause, "none") != 0);
}

static bool any_loss(const struct findings *all)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->finding[i].lost_ns > 0)
			return true;
	return false;
}

int findings_make(const struct facts *f, struct findings *ret_findings)
{
	struct findings all = { .finding = calloc(NR_CAUSES + 2, sizeof(struct finding)) };
	int r = all.finding ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < NR_CAUSES; i++) {
		r = causes[i]->find(f, &all.finding[all.nr]);
		all.nr += r > 0;
	}
	if (r >= 0 && !any_loss(&all)) {
		r = cause_none.find(f, &all.finding[all.nr]);
		all.nr += r > 0;
	}
	if (r < 0) {
		findings_free(&all);
		return r;
	}
	qsort(all.finding, all.nr, sizeof(*all.finding), by_loss);
	*ret_findings = all;
	return 0;
}

static void finding_free(struct finding *f)
{
	free(f->sentence);
	free(f->remedy);
	json_decref(f->evidence);
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->nr; i++)
		finding_free(&f->finding[i]);
	free(f->finding);
	*f = (struct findings){};
}

json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s,s:I,s:f,s:s,s:O,s:s,s:f}", "cause", f->cause, "lost_ns",
			 (json_int_t)f->lost_ns, "lost_speedup", f->lost_speedup, "sentence",
			 f->sentence, "evidence", f->evidence, "remedy", f->remedy, "bound",
			 f->bound);
}

const char finding_marks_mean[] =
	"The bounds marked (replay) come from playing the recorded timelines again without the cause: who "
	"waits for whom stays as recorded, and each thread keeps its time on a CPU unless the work itself "
	"is what changes (serial, imbalance, spawn, inflation). The others are what is left when the lost "
	"time is divided evenly among the workers.";

const char *finding_mark(const struct finding *f)
{
	const char *by = json_string_value(json_object_get(f->evidence, "bound_by"));

	return by && !strcmp(by, "replay") ? " (replay)" : "";
}

double facts_speedup(const struct facts *f)
{
	return f->baseline_ns && f->stack->wall_ns > 0 ?
		       (double)f->baseline_ns / (double)f->stack->wall_ns :
		       1;
}

double facts_share(const struct facts *f, int64_t ns)
{
	double whole = (double)f->stack->wall_ns * (double)f->stack->workers;

	return whole > 0 ? (double)ns / whole : 0;
}

double finding_percent(double share)
{
	return finding_tenths(share * 100);
}

double finding_tenths(double value)
{
	return round(value * 10) / 10;
}

double finding_hundredths(double value)
{
	return round(value * 100) / 100;
}

double finding_ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

/* No more than `most` times one worker that does nothing but run; a speedup that is already beyond stays. */
static double bounded(const struct facts *f, double bound, double most)
{
	double now = facts_speedup(f);

	if (f->reference_waited > 0 && f->reference_waited < 1)
		most /= 1 - f->reference_waited;
	if (!f->single && bound > most)
		bound = most;
	return bound > now ? bound : now;
}

double finding_bound(const struct facts *f, int64_t lost_ns)
{
	double left = 1 - facts_share(f, lost_ns), now = facts_speedup(f);
	double workers = (double)f->stack->workers;

	/* no more at once than there are CPUs for */
	return bounded(f, left > 0 ? now / left : now,
		       f->cpus && workers > f->cpus ? f->cpus : workers);
}

double finding_bound_replayed(const struct facts *f, const struct replay_time *without)
{
	uint64_t wall_ns = (uint64_t)f->stack->wall_ns;

	if (!f->replay || !f->replay->good || !without->made || f->stack->wall_ns <= 0)
		return 0;
	/* a reference that happened to be slow makes no more workers of them */
	return bounded(f,
		       facts_speedup(f) * (double)wall_ns /
			       (double)replay_of_run(f->replay, wall_ns, without->least_ns),
		       f->baseline_ns ? (double)f->stack->workers : INFINITY);
}

/* The replay without this cause; NULL: it cannot be left out. */
static const struct replay_time *without(const struct facts *f, const char *cause,
					 const json_t *evidence)
{
	static const char *const causes_of[REPLAY_NR] = {
		[REPLAY_GIL] = "gil",
		[REPLAY_LOCK] = "lock",
		[REPLAY_KLOCK] = "klock",
		[REPLAY_RUNQUEUE] = "runqueue",
		[REPLAY_THROTTLED] = "throttled",
		[REPLAY_IO] = "io",
		[REPLAY_SYNC] = "sync",
		[REPLAY_MOVES] = "migration",
		[REPLAY_SERIAL] = "serial",
		[REPLAY_EVEN] = "imbalance",
		[REPLAY_SPAWN] = "spawn",
	};

	const char *part = json_string_value(json_object_get(evidence, "part"));

	/* of what no cause speaks of */
	if (f->replay && part && !strcmp(part, stack_part_name(STACK_SLEEP)))
		return &f->replay->without[REPLAY_SLEEP];
	for (int what = 0; f->replay && what < REPLAY_NR; what++)
		if (causes_of[what] && !strcmp(causes_of[what], cause))
			return &f->replay->without[what];
	return NULL;
}

static const char *assumed(const char *cause)
{
	if (!strcmp(cause, "serial") || !strcmp(cause, "imbalance"))
		return "who waits for whom stays as recorded; to divide the work costs nothing; other "
		       "waits take as long as they took";
	if (!strcmp(cause, "spawn"))
		return "who waits for whom stays as recorded; the workers are there at once; other waits "
		       "take as long as they took";
	if (!strcmp(cause, "inflation"))
		return "who waits for whom stays as recorded; the workers' time on a CPU is that of the "
		       "reference; other waits take as long as they took";
	return "who waits for whom stays as recorded; each thread keeps its time on a CPU; other waits take "
	       "as long as they took";
}

/* What the bound rests on, into the evidence. */
static void tell_replay(const struct facts *f, const char *cause, const struct replay_time *t,
			json_t *evidence)
{
	const struct replay *r = f->replay;
	uint64_t wall_ns = (uint64_t)f->stack->wall_ns;

	if (!r->good) {
		json_object_set_new(evidence, "replay_withheld",
				    json_string(*r->why ? r->why :
							  "there are no scheduler events"));
		return;
	}
	json_object_set_new(evidence, "replay",
			    json_pack("{s:I,s:I,s:I,s:I,s:f,s:i,s:I,s:s}", "measured_ns",
				      (json_int_t)r->measured_ns, "as_it_was_ns",
				      (json_int_t)r->as_is_ns, "expected_ns",
				      (json_int_t)t->expected_ns, "least_ns",
				      (json_int_t)t->least_ns, "expected_speedup",
				      facts_speedup(f) * (double)wall_ns /
					      (double)replay_of_run(r, wall_ns, t->expected_ns),
				      "cpus", (int)r->cpus, "wake_ups", (json_int_t)r->edges,
				      "assumes", assumed(cause)));
}

/*
 * Played again without the workers' waits for work: no lane without a thread was among the loss, which no replay fills. And it is without
 * those that `serial` tells, too: then the share alone may be the lower limit.
 */
static bool waits_only(const struct facts *f, double bound, double shares)
{
	return bound <= shares && !f->run->waits.kind_ns[WAIT_ABSENT];
}

/*
 * By the windows of the trace: so where the workers are what was found there, and not what the program itself says; and without all that
 * `serial` tells, which may be what workers waited for, too.
 */
static bool as_in_trace(const struct facts *f, const struct replay_time *t, int64_t lost_ns)
{
	const struct replay_time *without = f->replay->without;

	if (t == &without[REPLAY_SERIAL])
		return (uint64_t)lost_ns == f->coordinator_alone_ns;
	return (t != &without[REPLAY_EVEN] && t != &without[REPLAY_SPAWN]) ||
	       f->replay->lanes == f->stack->workers;
}

/* What the work took more than in the reference is no wait: it is played with as much less of it. NULL: that cannot be. */
static const struct replay_time *without_inflation(const struct facts *f, const char *cause,
						   int64_t lost_ns, struct replay_time *buf)
{
	if (strcmp(cause, "inflation") != 0 || !f->replay || !f->reference_ns ||
	    f->replay->lanes != f->stack->workers ||
	    replay_shorter(f->replay, 1 + (double)lost_ns / (double)f->reference_ns, buf))
		return NULL;
	return buf->made ? buf : NULL;
}

/* The bound, and by what it was found. */
static double bound_of(const struct facts *f, const char *cause, int64_t lost_ns, json_t *evidence)
{
	struct replay_time shorter;
	const struct replay_time *t = without(f, cause, evidence) ?:
					      without_inflation(f, cause, lost_ns, &shorter);
	double bound = t ? finding_bound_replayed(f, t) : 0, shares = finding_bound(f, lost_ns);
	bool told = lost_ns > 0 || bound > 0; /* what only counts may have a bound, too */

	if (t && t == &f->replay->without[REPLAY_SYNC] && !waits_only(f, bound, shares))
		bound = 0;
	if (t && !as_in_trace(f, t, lost_ns))
		bound = 0;
	if (evidence && t && told && (bound > 0 || !f->replay->good))
		tell_replay(f, cause, t, evidence);
	if (evidence && told)
		json_object_set_new(evidence, "bound_by",
				    json_string(bound > 0 ? "replay" : "shares"));
	return bound > 0 ? bound : shares;
}

static int give_up(struct finding *f)
{
	finding_free(f);
	*f = (struct finding){};
	return -ENOMEM;
}

int finding_add(struct finding *f, const char *fmt, ...)
{
	_cleanup_(free_p) char *more = NULL;
	size_t len = strlen(f->sentence);
	va_list ap;
	char *all;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&more, fmt, ap);
	va_end(ap);
	if (n < 0)
		more = NULL;
	if (len && f->sentence[len - 1] == '.')
		len--;
	if (!more || asprintf(&all, "%.*s%s.", (int)len, f->sentence, more) < 0)
		return give_up(f);
	free(f->sentence);
	f->sentence = all;
	return 1;
}

/* Where there is no reference, all that can be said is how it would compare with this run. */
static int add_bound(struct finding *ret, const struct facts *f)
{
	double bound = finding_hundredths(ret->bound);
	char *sentence;

	if (json_object_set_new(ret->evidence, "bound", json_real(bound)) ||
	    asprintf(&sentence, "%s Without it at most %.2fx%s.", ret->sentence, bound,
		     f->baseline_ns ? "" : " as fast as this run") < 0)
		return give_up(ret);
	free(ret->sentence);
	ret->sentence = sentence;
	return 1;
}

int finding_make(struct finding *ret, const struct facts *f, const char *cause, int64_t lost_ns,
		 json_t *evidence, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	int n;

	*ret = (struct finding){ .cause = cause, .lost_ns = lost_ns, .evidence = evidence };
	ret->bound = bound_of(f, cause, lost_ns, evidence);
	ret->lost_speedup = ret->bound - facts_speedup(f);
	va_start(ap, fmt);
	n = vasprintf(&ret->sentence, fmt, ap);
	va_end(ap);
	if (n < 0)
		ret->sentence = NULL;
	if (asprintf(&ret->remedy, "%s", remedy) < 0)
		ret->remedy = NULL;
	if (!evidence || !ret->sentence || !ret->remedy)
		return give_up(ret);
	return lost_ns > 0 ? add_bound(ret, f) : 1;
}
