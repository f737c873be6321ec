// SPDX-License-Identifier: GPL-2.0-only
/* `whyscale sweep --json`: schema whyscale.sweep/1. New keys may be added; these keep their meaning. No number is ever NaN: null. */
#include <errno.h>
#include <math.h>

#include "report/inflation_table.h"
#include "report/escape.h"
#include "report/json.h"
#include "report/sweep_report.h"

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *stack_json(const struct stack *s)
{
	json_t *o = json_object();

	for (int part = 0; part < STACK_NR; part++)
		json_object_set_new(o, stack_part_name((enum stack_part)part),
				    json_real(stack_share(s, (enum stack_part)part)));
	return o;
}

static json_t *findings_json(const struct findings *all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->nr; i++)
		json_array_append_new(list, finding_json(&all->finding[i]));
	return list;
}

static json_t *shares_json(const struct sweep_point *p)
{
	json_t *o;

	if (isnan(p->share[0]))
		return json_null();
	o = json_object();
	for (int i = 0; i < SHARE_NR; i++)
		json_object_set_new(o, sweep_share_name((enum sweep_share)i), number(p->share[i]));
	return o;
}

static json_t *capacity_json(const struct sweep_point *p)
{
	if (!(p->capacity > 0))
		return json_null();
	return json_pack("{s:i,s:f,s:f,s:f}", "measured_on", (int)p->capacity_cpus, "cpus",
			 p->capacity, "min", p->capacity_min, "max", p->capacity_max);
}

static json_t *walls_json(const struct sweep_point *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->runs; i++)
		json_array_append_new(list, json_integer((json_int_t)p->wall_ns[i]));
	return list;
}

static json_t *measured_json(const struct sweep_point *p)
{
	const struct experiment *run = &p->median.run;

	return json_pack(
		"{s:I,s:I,s:I,s:o,s:f,s:f,s:o,s:o,s:o,s:{s:I,s:I},s:I,s:o,s:o,s:o,s:b,s:f,s:o,s:I,s:I}",
		"wall_ns", (json_int_t)p->median.wall_ns, "wall_min_ns", (json_int_t)p->min_ns,
		"wall_max_ns", (json_int_t)p->max_ns, "walls_ns", walls_json(p), "speedup",
		p->speedup, "efficiency", p->efficiency, "karp_flatt", number(p->karp_flatt),
		"stack", stack_json(&p->median.stack), "ledger", json_ledger(run->ledger_ns),
		"switches", "voluntary", (json_int_t)run->voluntary, "involuntary",
		(json_int_t)run->involuntary, "migrations", (json_int_t)run->migrations, "audit",
		json_audit(&run->audit.sum), "lost_shares", shares_json(p), "capacity",
		capacity_json(p), "fitted", sweep_fitted(p), "worth", p->worth, "exclusive_ns",
		p->median.exclusive_ns < 0 ? json_null() :
					     json_integer((json_int_t)p->median.exclusive_ns),
		"oncpu_ns", (json_int_t)p->median.oncpu_ns, "lost_events",
		(json_int_t)run->lost_events);
}

static json_t *point_json(const struct sweep_report *r, size_t i)
{
	const struct sweep_point *p = &r->sweep->point[i];
	json_t *o = json_pack("{s:I,s:o}", "n", (json_int_t)p->n, "findings",
			      findings_json(&r->findings->point[i]));
	json_t *measured;

	if (o && p->failed) {
		json_object_set_new(o, "failed", escape_json(p->failed, SIZE_MAX));
		return o;
	}
	measured = measured_json(p);
	json_object_update(o, measured);
	json_object_set_new(o, "inflation_split", inflation_json(&p->inflation));
	json_decref(measured);
	return o;
}

/* {serial, se} or {sigma, kappa, gamma, se:{...}}, with what stands beside both; null and a `why` where it was refused. */
static json_t *fit_json(const struct sweep *s, const struct fit *f)
{
	bool usl = f->model == FIT_USL;
	double gamma = f->ok ? sweep_curve(s, f, 1) : NAN;
	double gamma_se = f->ok ? gamma * f->se[FIT_ONE] / f->value[FIT_ONE] : NAN;
	json_t *o = json_object(), *se = json_object();

	if (usl) {
		json_object_set_new(se, "sigma", number(f->se[FIT_SIGMA]));
		json_object_set_new(se, "kappa", number(f->se[FIT_KAPPA]));
		json_object_set_new(se, "gamma", number(gamma_se));
		json_object_set_new(o, "sigma", f->ok ? number(f->value[FIT_SIGMA]) : json_null());
		json_object_set_new(o, "kappa", f->ok ? number(f->value[FIT_KAPPA]) : json_null());
		json_object_set_new(o, "gamma", number(gamma));
		json_object_set_new(o, "peak_n", f->ok ? number(fit_peak(f)) : json_null());
		json_object_set_new(o, "se", se);
	} else {
		json_decref(se);
		json_object_set_new(o, "serial", f->ok ? number(f->value[FIT_SIGMA]) : json_null());
		json_object_set_new(o, "se", number(f->se[FIT_SIGMA]));
		json_object_set_new(o, "gamma", number(gamma));
		json_object_set_new(o, "gamma_se", number(gamma_se));
	}
	json_object_set_new(o, "at_bound",
			    json_boolean(f->bound[FIT_SIGMA] || f->bound[FIT_KAPPA]));
	json_object_set_new(o, "points", json_integer((json_int_t)f->distinct));
	json_object_set_new(o, "runs", json_integer((json_int_t)f->samples));
	json_object_set_new(o, "residual", number(f->residual));
	json_object_set_new(o, "why", *f->why ? json_string(f->why) : json_null());
	return o;
}

static json_t *karp_flatt_json(const struct sweep *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->nr; i++)
		json_array_append_new(list, s->point[i].failed ? json_null() :
								 number(s->point[i].karp_flatt));
	return list;
}

static json_t *fits_json(const struct sweep *s)
{
	return json_pack("{s:o,s:o,s:o,s:{s:o,s:o}}", "amdahl", fit_json(s, &s->fit[LAW_AMDAHL]),
			 "usl", fit_json(s, &s->fit[LAW_USL]), "karp_flatt", karp_flatt_json(s),
			 "capacity_divided", "amdahl", fit_json(s, &s->divided[LAW_AMDAHL]), "usl",
			 fit_json(s, &s->divided[LAW_USL]));
}

/* What of each check is a number. */
static json_t *checks_json(const struct sweep *s)
{
	static const char *const names[CHECK_NR] = { "serial", "sigma", "kappa" };
	json_t *o = json_object();

	for (int i = 0; i < CHECK_NR; i++) {
		const struct sweep_check *c = &s->check[i];
		json_t *one =
			!c->known ? json_pack("{s:n,s:s}", "agrees", "why", c->why) :
				    json_pack("{s:o,s:f,s:o,s:f,s:f,s:f,s:f}", "agrees",
					      isnan(c->se) ? json_null() : json_boolean(c->agrees),
					      "fitted", c->fitted, "se", number(c->se), "measured",
					      c->measured, "low", c->low, "high", c->high,
					      "tolerance", c->tolerance);

		json_object_set_new(o, names[i], one);
	}
	return o;
}

json_t *sweep_report_object(const struct sweep_report *r)
{
	json_t *points = json_array(), *command = json_array();

	for (size_t i = 0; i < r->sweep->nr; i++)
		json_array_append_new(points, point_json(r, i));
	for (char *const *word = r->argv; *word; word++)
		json_array_append_new(command, escape_json(*word, SIZE_MAX));
	return json_pack("{s:s,s:o,s:s,s:{s:i},s:i,s:b,s:s?,s:o,s:o,s:o,s:o}", "schema",
			 "whyscale.sweep/1", "command", command, "how", r->how, "machine", "cpus",
			 (int)r->sweep->cpus, "repeats", (int)r->repeats, "bpf", r->sweep->bpf,
			 "why_not", r->sweep->bpf ? NULL : r->why_not, "points", points, "fit",
			 fits_json(r->sweep), "checks", checks_json(r->sweep), "findings",
			 findings_json(&r->findings->curve));
}
