// SPDX-License-Identifier: GPL-2.0-only
/* Collecting the findings of all causes: see finding.h. */
#include "explain/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

	return x->lost_ns > y->lost_ns ? -1 : x->lost_ns < y->lost_ns;
}

int findings_make(const struct facts *f, struct findings *ret_findings)
{
	struct findings all = { .finding = calloc(NR_CAUSES + 1, sizeof(struct finding)) };
	int r = all.finding ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < NR_CAUSES; i++) {
		r = causes[i]->find(f, &all.finding[all.nr]);
		all.nr += r > 0;
	}
	if (r >= 0 && !all.nr) {
		r = cause_none.find(f, &all.finding[0]);
		all.nr = r > 0;
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

double finding_bound(const struct facts *f, int64_t lost_ns)
{
	double left = 1 - facts_share(f, lost_ns), now = facts_speedup(f);
	double bound = left > 0 ? now / left : now;
	double most = f->cpus && f->stack->workers > f->cpus ? f->cpus : (double)f->stack->workers;

	/* No more at once than there are CPUs for; a speedup that is already beyond stays. */
	if (!f->single && bound > most)
		bound = most;
	return bound > now ? bound : now;
}

int finding_make(struct finding *ret, const struct facts *f, const char *cause, int64_t lost_ns,
		 json_t *evidence, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	int n;

	*ret = (struct finding){ .cause = cause, .lost_ns = lost_ns, .evidence = evidence };
	ret->bound = finding_bound(f, lost_ns);
	ret->lost_speedup = ret->bound - facts_speedup(f);
	va_start(ap, fmt);
	n = vasprintf(&ret->sentence, fmt, ap);
	va_end(ap);
	if (n < 0)
		ret->sentence = NULL;
	if (asprintf(&ret->remedy, "%s", remedy) < 0)
		ret->remedy = NULL;
	if (evidence && ret->sentence && ret->remedy)
		return 1;
	finding_free(ret);
	*ret = (struct finding){};
	return -ENOMEM;
}
