// SPDX-License-Identifier: GPL-2.0-only
/* A sweep's result: see sweep_show.h. */
#include "cli/sweep_show.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "report/sweep_report.h"

int sweep_picture_begin(struct sweep_picture *p, const char *path, struct err *err)
{
	*p = (struct sweep_picture){ .fd = -1 };
	return path ? output_create(&p->output, path, &p->fd, err) : 0;
}

void sweep_picture_end(struct sweep_picture *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	output_end(&p->output);
}

static int draw(struct sweep_picture *p, const struct sweep_report *report, struct err *err)
{
	_cleanup_(fclose_p) FILE *out = fdopen(p->fd, "w");
	int r;

	if (!out)
		return err_set(err, -ENOMEM, "cannot write '%s'", p->output.path);
	p->fd = -1;
	r = sweep_report_svg(report, out, err);
	if (!r && (fflush(out) || ferror(out)))
		r = err_sys(err, -errno, "cannot write '%s'", p->output.path);
	return r ? r : output_commit(&p->output, err);
}

static int show(const struct sweep_report *report, struct sweep_picture *picture, json_t **ret_json,
		struct err *err)
{
	struct report_options options = { .width = cli_width(stdout),
					  .colour = cli_colour(stdout) };
	int r = 0;

	if (!ret_json)
		r = sweep_report_table(report, &options, stdout, err);
	else if (!(*ret_json = sweep_report_object(report)))
		r = err_sys(err, -ENOMEM, "cannot keep the result");
	if (!r && picture->fd >= 0 && report->sweep->base)
		r = draw(picture, report, err);
	return r;
}

int sweep_show(const struct sweep_options *o, const struct sweep_result *result, const char *how,
	       struct sweep_picture *picture, json_t **ret_json, struct err *err)
{
	struct sweep_findings findings;
	struct sweep_report report = {
		.sweep = &result->sweep,
		.findings = &findings,
		.argv = o->argv,
		.how = how,
		.repeats = o->repeats,
		.why_not = result->why_not,
	};
	int r = sweep_findings_make(&result->sweep, &findings);

	if (r)
		err_sys(err, r, "cannot explain the curve");
	else
		r = show(&report, picture, ret_json, err);
	sweep_findings_free(&findings);
	return r;
}
