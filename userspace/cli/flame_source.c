// SPDX-License-Identifier: GPL-2.0-only
/* Stacks of a trace or of a folded file: see flame_source.h. */
#include "cli/flame_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/folded.h"
#include "analysis/load.h"
#include "base/cleanup.h"
#include "report/units.h"
#include "trace/format.h"

#define PROBLEMS_SHOWN 3

static const struct {
	const char *title, *counted, *what;
} modes[] = {
	[CALLS_ON] = { "On-CPU time", "sample", "on" },
	[CALLS_OFF] = { "Off-CPU time: waiting, and for what", "wait", "off" },
	[CALLS_WAKE] = { "Waiting, and who ended it", "wait", "wake" },
	[CALLS_LOCK] = { "Waiting for locks, and who held them", "wait", "lock" },
};

bool flame_source_is_trace(const char *path)
{
	char magic[sizeof(FILE_MAGIC) - 1];
	_cleanup_(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	/* pread: nothing is taken away from a pipe */
	return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       !memcmp(magic, FILE_MAGIC, sizeof(magic));
}

void flame_source_note(struct flame_source *s, const char *fmt, ...)
{
	va_list ap;

	if (s->nr_notes == FLAME_NOTES_MAX)
		return;
	va_start(ap, fmt);
	if (vasprintf(&s->notes[s->nr_notes], fmt, ap) >= 0)
		s->nr_notes++;
	va_end(ap);
}

void flame_source_free(struct flame_source *s)
{
	flame_tree_free(s->tree);
	free(s->title);
	free(s->subtitle);
	for (size_t i = 0; i < s->nr_notes; i++)
		free(s->notes[i]);
	*s = (struct flame_source){};
}

/* "1 stack was SAYING", "2 stacks were SAYING", of a number that is not nothing. */
static void note_count(struct flame_source *s, uint64_t nr, const char *one, const char *is,
		       const char *are, const char *saying)
{
	char count[64];

	if (nr)
		flame_source_note(s, "%s %s %s", units_count(count, sizeof(count), nr, one),
				  nr == 1 ? is : are, saying);
}

int flame_source_folded(const char *path, const struct flame_source_options *o,
			struct flame_source *ret, struct err *err)
{
	struct folded_summary sum;
	char lines[64];
	int r;

	*ret = (struct flame_source){ .counted = "sample" };
	if (flame_tree_new(&ret->tree))
		return err_set(err, -ENOMEM, "out of memory");
	r = folded_read(path, o->unit ? o->unit : 1, ret->tree, &sum, err);
	if (r)
		return r;
	flame_tree_finish(ret->tree, false);
	ret->title = strdup(o->unit ? "Flame graph, by time" : "Flame graph");
	if (asprintf(&ret->subtitle, "folded stacks of %s",
		     strcmp(path, "-") ? path : "standard input") < 0)
		ret->subtitle = NULL;
	if (sum.bad)
		flame_source_note(ret,
				  "%" PRIu64 " of %s %s no folded stack and %s left out; the first "
				  "is line %" PRIu64,
				  sum.bad, units_count(lines, sizeof(lines), sum.lines, "line"),
				  sum.bad == 1 ? "is" : "are", sum.bad == 1 ? "was" : "were",
				  sum.bad_at);
	note_count(ret, sum.rounded, "number", "was", "were", "rounded");
	return 0;
}

/* "3.1 % of the time (12 ms) SAYING", of a part that is not nothing. */
static void note_part(struct flame_source *s, uint64_t part, uint64_t whole, const char *saying)
{
	char percent[UNITS_SIZE], time[UNITS_SIZE];

	if (part)
		flame_source_note(s, "%s of the time (%s) %s", units_percent(percent, part, whole),
				  units_time(time, part), saying);
}

static void note_calls(struct flame_source *s, const struct calls_summary *sum)
{
	char time[UNITS_SIZE], nr[64];

	note_part(s, sum->missing_ns, sum->total_ns,
		  "has no stack: it is shown as " CALLS_NOT_CAPTURED);
	note_part(s, sum->cut_ns, sum->total_ns,
		  "has stacks that are not whole: they begin with " CALLS_CUT);
	note_part(
		s, sum->in_part_ns, sum->total_ns,
		"has stacks that nothing told how to unwind to the end: they begin with " CALLS_IN_PART);
	if (sum->untracked_ns)
		flame_source_note(s, "%s of the threads' lives is untracked and not in the graph",
				  units_time(time, sum->untracked_ns));
	if (sum->no_python)
		flame_source_note(s,
				  "Python's frames could not be read for %" PRIu64
				  " of %s: native frames are shown there",
				  sum->no_python, units_count(nr, sizeof(nr), sum->count, "stack"));
	if (sum->kernel_changed)
		flame_source_note(
			s,
			"kernel stacks that are known again without a walk are walked now and then to "
			"check that: %" PRIu64 " of %s had changed",
			sum->kernel_changed,
			units_count(nr, sizeof(nr), sum->kernel_checks, "check"));
	note_count(s, sum->absent, "stack", "is", "are", "not in the trace, or not whole");
	note_count(s, sum->refused, "stack record", "was", "were",
		   "left out: there are too many to keep");
	note_count(s, sum->lost_events, "event", "was", "were", "lost while recording");
	for (size_t i = 0; i < sum->nr_problems && i < PROBLEMS_SHOWN; i++)
		flame_source_note(s, "%s: %s", sum->problem[i].path ? sum->problem[i].path : "",
				  sum->problem[i].reason ? sum->problem[i].reason : "");
	if (sum->nr_problems > PROBLEMS_SHOWN)
		flame_source_note(s, "... and %s with something to be said",
				  units_count(nr, sizeof(nr), sum->nr_problems - PROBLEMS_SHOWN,
					      "more file"));
}

static int read_mode(const char *path, const struct calls_options *o, struct flame_source *s,
		     struct calls_summary *sum, struct err *err)
{
	flame_tree_free(s->tree);
	s->tree = NULL;
	calls_summary_free(sum);
	*sum = (struct calls_summary){};
	return calls_tree(path, o, &s->tree, sum, err);
}

/* Whether stacks of this kind were asked for: record --stacks. */
static bool was_asked(const json_t *meta, enum calls_mode mode)
{
	const json_t *kinds = json_object_get(json_object_get(meta, "stacks"), "kinds");

	for (size_t i = 0; i < json_array_size(kinds); i++) {
		const char *kind = json_string_value(json_array_get(kinds, i));

		if (kind && (!strcmp(kind, modes[mode].what) ||
			     (mode == CALLS_LOCK && !strcmp(kind, modes[CALLS_OFF].what))))
			return true;
	}
	return false;
}

/* What the kernel refused, as `record` said it; NULL: nothing. */
static const char *no_stacks(const json_t *meta)
{
	return json_string_value(json_object_get(json_object_get(meta, "stacks"), "no_stacks"));
}

/* A trace without stacks of this kind: 0 if they were asked for, there just was none; else why there are none. */
static int explain_none(const char *path, const struct flame_source_options *o,
			const struct calls_summary *sum, struct err *err)
{
	const char *what = modes[o->calls.mode].what;
	struct loaded *l = NULL;
	int r = load_open(path, &l, err);

	if (r)
		return r;
	if (was_asked(l->raw_meta, o->calls.mode))
		r = 0;
	else if (no_stacks(l->raw_meta))
		r = err_set(err, -ENODATA, "'%.200s' was recorded without %.640s", path,
			    no_stacks(l->raw_meta));
	else if (!l->meta.bpf)
		r = err_set(err, -ENODATA,
			    "'%.200s' was recorded without BPF, so without stacks; record as root, "
			    "with -g",
			    path);
	else if (sum->nr_problems && sum->problem[0].path && !strcmp(sum->problem[0].path, path))
		r = err_set(err, -ENODATA, "there are no stacks in what is left of it: %.300s",
			    sum->problem[0].reason);
	else if (o->any_mode)
		r = err_set(err, -ENODATA, "'%.200s' has no stacks; record them with -g", path);
	else
		r = err_set(err, -ENODATA, "'%.200s' has no stacks for --%s; record them with -g",
			    path, what);
	load_free(l);
	return r;
}

/* What the recorder says of stacks that it could not take; and what was not asked of it. */
static void note_recording(struct flame_source *s, const char *path, const struct calls_options *o)
{
	const char *no_samples, *no_python, *no_sleepers;
	const json_t *python;
	struct loaded *l = NULL;
	struct err err;

	if (load_open(path, &l, &err))
		return;
	python = json_object_get(l->raw_meta, "python");
	no_samples = json_string_value(
		json_object_get(json_object_get(l->raw_meta, "stacks"), "no_samples"));
	no_python = json_string_value(json_object_get(python, "note"));
	no_sleepers = json_string_value(
		json_object_get(json_object_get(l->raw_meta, "asleep"), "unavailable"));
	if (o->mode != CALLS_ON && no_sleepers)
		flame_source_note(s, "threads that slept before the recording lack stacks: %.250s",
				  no_sleepers);
	if (o->mode == CALLS_ON && no_samples)
		flame_source_note(s, "there are no samples: %.300s", no_samples);
	if (no_stacks(l->raw_meta))
		flame_source_note(s, "recorded without %.640s", no_stacks(l->raw_meta));
	else if (o->python && !python)
		flame_source_note(s, "Python's functions were not recorded: record with --python");
	else if (o->python && no_python && *no_python)
		flame_source_note(s, "%.320s", no_python);
	load_free(l);
}

/* The kinds that were asked for, 1 << mode; of a recording that does not say so, as one that was killed, the two most usual. */
static unsigned int asked_kinds(const char *path)
{
	struct loaded *l = NULL;
	unsigned int kinds = 0;
	struct err err;

	if (!load_open(path, &l, &err))
		for (enum calls_mode mode = CALLS_ON; mode <= CALLS_LOCK; mode++)
			kinds |= (unsigned int)was_asked(l->raw_meta, mode) << mode;
	load_free(l);
	return kinds ? kinds : 1u << CALLS_ON | 1u << CALLS_OFF;
}

/* The first of these kinds that there are stacks of; none: the first kind. */
static int read_first(const char *path, struct flame_source_options *o, struct flame_source *s,
		      struct calls_summary *sum, struct err *err)
{
	static const enum calls_mode order[] = { CALLS_ON, CALLS_OFF, CALLS_LOCK, CALLS_WAKE };
	unsigned int kinds = asked_kinds(path), left = kinds;
	int r = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && left; i++) {
		if (!(left & 1u << order[i]))
			continue;
		left &= ~(1u << order[i]);
		o->calls.mode = order[i];
		r = read_mode(path, &o->calls, s, sum, err);
		if (r || sum->has_stacks)
			return r;
	}
	for (size_t i = sizeof(order) / sizeof(order[0]); i-- > 0;)
		if (kinds & 1u << order[i])
			o->calls.mode = order[i];
	return read_mode(path, &o->calls, s, sum, err);
}

/* The kind that was chosen, or the first one that there are stacks of. */
static int read_calls(const char *path, struct flame_source_options *o, struct flame_source *s,
		      struct calls_summary *sum, struct err *err)
{
	int r = o->any_mode ? read_first(path, o, s, sum, err) :
			      read_mode(path, &o->calls, s, sum, err);

	return r || sum->has_stacks ? r : explain_none(path, o, sum, err);
}

int flame_source_trace(const char *path, struct flame_source_options *o, struct flame_source *ret,
		       struct err *err)
{
	struct calls_summary sum = {};
	char time[UNITS_SIZE];
	int r;

	*ret = (struct flame_source){ .is_trace = true };
	r = read_calls(path, o, ret, &sum, err);
	if (r && !access(path, R_OK) && !flame_source_is_trace(path))
		err_set(err, -EINVAL,
			"'%.200s' is not a whyscale trace; if it has folded stacks, use --from-folded",
			path);
	if (!r) {
		ret->counted = modes[o->calls.mode].counted;
		ret->title = strdup(modes[o->calls.mode].title);
		if (asprintf(&ret->subtitle, "%s, %s on the clock",
			     sum.command && *sum.command ? sum.command : path,
			     units_time(time, sum.wall_ns)) < 0)
			ret->subtitle = NULL;
		note_calls(ret, &sum);
		note_recording(ret, path, &o->calls);
	}
	calls_summary_free(&sum);
	return r ? err->code : 0;
}
