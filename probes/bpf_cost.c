// SPDX-License-Identifier: GPL-2.0-only
/* Sampling the run time of our BPF programs: see bpf_cost.h. */
#include "probes/bpf_cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"

/* A window's length at most, the runs that end it earlier, and the pause behind it in lengths of the window. */
#define ENOUGH_NS (100 * NSEC_PER_MSEC)
#define ENOUGH_RUNS 1000
#define PAUSE 400

void bpf_cost_init(struct bpf_cost *c, struct bpf_object *object)
{
	*c = (struct bpf_cost){ .stats_fd = -1 };
	bpf_cost_add(c, object);
}

void bpf_cost_add(struct bpf_cost *c, struct bpf_object *object)
{
	if (c->nr_objects < BPF_COST_OBJECTS)
		c->object[c->nr_objects++] = object;
}

static void add_info(struct bpf_object *object, uint64_t *time_ns, uint64_t *misses)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object) {
		struct bpf_prog_info info = {};
		unsigned int len = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
			continue;
		*time_ns += info.run_time_ns;
		*misses += info.recursion_misses;
	}
}

/* Over all programs, since they were loaded. */
static void sum_info(const struct bpf_cost *c, uint64_t *ret_time_ns, uint64_t *ret_misses)
{
	*ret_time_ns = *ret_misses = 0;
	for (unsigned int i = 0; i < c->nr_objects; i++)
		add_info(c->object[i], ret_time_ns, ret_misses);
}

static void open_window(struct bpf_cost *c, uint64_t runs, uint64_t now)
{
	uint64_t misses;

	sum_info(c, &c->window_time_ns, &misses);
	c->window_runs = runs;
	c->opened_ns = now;
	c->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
}

static void close_window(struct bpf_cost *c, uint64_t runs, uint64_t now)
{
	uint64_t time_ns, misses;

	if (c->stats_fd < 0)
		return;
	close(c->stats_fd);
	c->stats_fd = -1;
	sum_info(c, &time_ns, &misses);
	c->timed_ns += time_ns - c->window_time_ns;
	c->timed_runs += runs - c->window_runs;
	c->next_ns = now + PAUSE * (now - c->opened_ns);
}

bool bpf_cost_tick(struct bpf_cost *c, uint64_t runs)
{
	uint64_t now = monotonic_ns();

	if (c->stats_fd < 0 && now >= c->next_ns)
		open_window(c, runs, now);
	else if (c->stats_fd >= 0 &&
		 (runs - c->window_runs >= ENOUGH_RUNS || now - c->opened_ns >= ENOUGH_NS))
		close_window(c, runs, now);
	return c->stats_fd >= 0;
}

int bpf_cost_report(struct bpf_cost *c, uint64_t runs, json_t *into)
{
	uint64_t time_ns, misses, cost_ns = 0;
	json_t *more;
	int r;

	close_window(c, runs, monotonic_ns());
	sum_info(c, &time_ns, &misses);
	if (c->timed_runs)
		cost_ns = (uint64_t)((double)c->timed_ns / (double)c->timed_runs * (double)runs);
	more = json_pack("{s:o*,s:I,s:I,s:b,s:I}", "bpf_ns",
			 c->timed_runs ? json_integer((json_int_t)cost_ns) : NULL, "bpf_runs",
			 (json_int_t)runs, "bpf_sampled_runs", (json_int_t)c->timed_runs,
			 "bpf_estimated", 1, "recursion_misses", (json_int_t)misses);
	if (!more)
		return -ENOMEM;
	r = json_object_update(into, more);
	json_decref(more);
	return r ? -ENOMEM : 0;
}
