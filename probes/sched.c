// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler probe: loads bpf/sched.bpf.c, gives the recorder its buffers, takes the snapshot of what already runs
 * and, at the end, the kernel's books of what still does.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "probes/bpf_cost.h"
#include "probes/fewer.h"
#include "probes/probe.h"
#include "probes/python.h"
#include "probes/refusal.h"
#include "probes/sched.h"
#include "probes/sched_config.h"
#include "sched.skel.h"

/* As in sched.bpf.c. */
enum { TARGET_TGID = 1, TARGET_TID = 2, TARGET_COMMAND = 4 };
#define OLD_MAX_BUFFER (2u << 20)
#define SCHED_TRY_STACK 8192 /* what a recording copies unless told otherwise */

struct sched {
	struct sched_bpf *skel;
	struct probe_env *env;
	struct bpf_cost cost;
	uint64_t runs;       /* of all CPUs, see total_runs() */
	uint32_t *seen_runs; /* [nr_bufs] */
	char *bufs;          /* the mapped array */
	size_t bufs_len;
	uint64_t keys; /* how often sched_key() was called */
};

/* ---- loading ---- */

static int fill_counters(const struct probe_env *env, const struct sched_bpf *skel, struct err *err)
{
	for (uint32_t i = 0; i < env->nr_counters * env->nr_cpus; i++)
		if (env->counter_fds[i] >= 0 &&
		    bpf_map__update_elem(skel->maps.counter_events, &i, sizeof(i),
					 &env->counter_fds[i], sizeof(env->counter_fds[i]),
					 BPF_ANY))
			return err_sys(err, -errno, "cannot give the counters to the programs");
	return 0;
}

static int load_error(struct err *err, int code)
{
	if (code == -E2BIG && refusal_is_map("bufs"))
		return err_set(err, code,
			       "buffers of that size are too large for this kernel: choose "
			       "smaller ones with -m");
	return refusal_error(err, code, "the scheduler programs");
}

static int map_buffers(struct sched *s, struct err *err)
{
	struct probe_env *env = s->env;
	long page = sysconf(_SC_PAGESIZE);

	env->bufs_fd = bpf_map__fd(s->skel->maps.bufs);
	env->locals_fd = bpf_map__fd(s->skel->maps.locals);
	env->displaced_fd = bpf_map__fd(s->skel->maps.displaced);
	env->addresses_fd = bpf_map__fd(s->skel->maps.kernel_addresses);
	env->counts_fd = bpf_map__fd(s->skel->maps.stack_counts);
	env->seen_fd = bpf_map__fd(s->skel->maps.seen_ids);
	env->bpf_config = &s->skel->rodata->config;
	env->bpf_config_bytes = sizeof(s->skel->rodata->config);
	env->bpf_cost = &s->cost;
	python_offer_maps(env, s->skel->obj);
	probe_add_written_key(env, &s->skel->bss->written_key);
	s->bufs_len = (env->buf_stride * env->nr_bufs + page - 1) / page * page;
	s->bufs = mmap(NULL, s->bufs_len, PROT_READ | PROT_WRITE, MAP_SHARED, env->bufs_fd, 0);
	if (s->bufs == MAP_FAILED) {
		s->bufs = NULL;
		return err_sys(err, -errno,
			       "cannot map the event buffers of %zu bytes for each of %u CPUs",
			       env->buffer_bytes, env->nr_bufs);
	}
	env->bufs = s->bufs;
	s->seen_runs = calloc(env->nr_bufs, sizeof(*s->seen_runs));
	return s->seen_runs ? 0 : err_sys(err, -ENOMEM, "cannot map the event buffers");
}

static void release(struct sched *s)
{
	if (s->cost.stats_fd >= 0)
		close(s->cost.stats_fd);
	s->cost.stats_fd = -1;
	if (s->bufs)
		munmap(s->bufs, s->bufs_len);
	s->bufs = NULL;
	sched_bpf__destroy(s->skel);
	s->skel = NULL;
	free(s->seen_runs);
	s->seen_runs = NULL;
	free(s->env->buf_cpu);
	s->env->buf_cpu = NULL;
	s->env->bufs = NULL;
	s->env->nr_bufs = 0;
	s->env->bufs_fd = s->env->locals_fd = -1;
	s->env->addresses_fd = s->env->counts_fd = -1;
	s->env->bpf_config = NULL;
	s->env->nr_written_keys = 0;
}

static void sched_close(void *state)
{
	struct sched *s = state;

	if (!s)
		return;
	release(s);
	free(s);
}

static int load(struct sched *s, struct err *err)
{
	int r;

	s->skel = sched_bpf__open();
	if (!s->skel)
		return err_sys(err, -errno, "cannot open the scheduler programs");
	r = sched_configure(s->skel, s->env, err);
	if (r)
		return r;
	refusal_listen();
	r = sched_bpf__load(s->skel);
	if (r)
		return load_error(err, r);
	bpf_cost_init(&s->cost, s->skel->obj);
	r = fill_counters(s->env, s->skel, err);
	return r ? r : map_buffers(s, err);
}

/* Before 6.0 a map's value was at most 4 MiB (63b8ce77b15e): half of the buffer fits there. */
static int load_what_fits(struct sched *s, struct err *err)
{
	int r = load(s, err);

	if (r != -E2BIG || !refusal_is_map("bufs") || s->env->buffer_bytes <= OLD_MAX_BUFFER)
		return r;
	release(s);
	s->env->buffer_bytes = OLD_MAX_BUFFER;
	return load(s, err);
}

/* A recording without some stacks is better than one without BPF. */
static int load_what_is_taken(struct sched *s, struct err *err)
{
	int r = load_what_fits(s, err);

	while (r && fewer_stacks(s->env, err)) {
		release(s);
		r = load_what_fits(s, err);
	}
	return r;
}

static int sched_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct sched *s = calloc(1, sizeof(*s));
	int r;

	*ret_state = s;
	if (!s)
		return err_sys(err, -ENOMEM, "cannot open the scheduler probe");
	s->env = env;
	s->cost.stats_fd = -1;
	r = load_what_is_taken(s, err);
	if (r)
		return r;
	r = sched_bpf__attach(s->skel);
	if (r)
		return refusal_error(err, r, "to attach the scheduler programs");
	return 0;
}

/* ---- the iterations over all tasks ---- */

#define ITER_BYTES 32768

/* Of held + n bytes the whole records are given away, the rest is moved to the front. */
static int give_records(const struct probe_env *env, uint64_t *records, size_t *held, size_t n)
{
	size_t bytes = *held + n, whole = 0;
	int r = 0;

	while (whole + 8 <= bytes && EV_WORDS(records[whole / 8]) &&
	       whole + EV_WORDS(records[whole / 8]) * 8 <= bytes)
		whole += EV_WORDS(records[whole / 8]) * 8;
	if (env && whole)
		r = env->key_records(env->key_arg, records, whole);
	*held = env ? bytes - whole : 0;
	memmove(records, (char *)records + whole, *held);
	return r;
}

/* The records that a program gives to who iterates go to the recorder. */
static int iterate_to(struct bpf_program *prog, const char *what, const struct probe_env *env,
		      struct err *err)
{
	struct bpf_link *link = bpf_program__attach_iter(prog, NULL);
	_cleanup_(close_p) int fd = -1;
	uint64_t records[ITER_BYTES / 8];
	size_t held = 0;
	ssize_t n;
	int r = 0;

	if (!link)
		return err_sys(err, -errno, "cannot iterate over the tasks for %s", what);
	fd = bpf_iter_create(bpf_link__fd(link));
	bpf_link__destroy(link);
	if (fd < 0)
		return err_sys(err, fd, "cannot iterate over the tasks for %s", what);
	do {
		n = read(fd, (char *)records + held, sizeof(records) - held);
		if (n > 0)
			r = give_records(env, records, &held, (size_t)n);
	} while (!r && (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN))));
	if (r)
		return err_sys(err, r, "cannot take what the tasks are for %s", what);
	return n < 0 ? err_sys(err, -errno, "cannot iterate over the tasks for %s", what) : 0;
}

static int iterate(struct bpf_program *prog, const char *what, struct err *err)
{
	return iterate_to(prog, what, NULL, err);
}

static int add_target(struct sched *s, pid_t id, uint32_t how, struct err *err)
{
	uint32_t key = id;

	if (bpf_map__update_elem(s->skel->maps.targets, &key, sizeof(key), &how, sizeof(how),
				 BPF_ANY))
		return err_sys(err, -errno, "cannot add process %d to the targets", id);
	return 0;
}

/*
 * Being run on a CPU switches out what ran there: at the start the slices that counters are read for begin with that, at the end it writes
 * the books.
 */
static void visit_cpus(const struct probe_env *env)
{
	cpu_set_t *all = CPU_ALLOC(env->nr_cpus), *one = CPU_ALLOC(env->nr_cpus);
	size_t size = CPU_ALLOC_SIZE(env->nr_cpus);

	if (all && one && !sched_getaffinity(0, size, all)) {
		for (unsigned int cpu = 0; cpu < env->nr_cpus; cpu++) {
			CPU_ZERO_S(size, one);
			CPU_SET_S(cpu, size, one);
			if (CPU_ISSET_S(cpu, size, all))
				sched_setaffinity(0, size, one);
		}
		sched_setaffinity(0, size, all);
	}
	CPU_FREE(all);
	CPU_FREE(one);
}

static struct buf_header *buf_header(const struct sched *s, unsigned int i)
{
	return (struct buf_header *)(s->bufs + i * s->env->buf_stride);
}

static void sum_dropped(const struct sched *s, uint64_t ret[DROP_NR + 1])
{
	memset(ret, 0, (DROP_NR + 1) * sizeof(*ret));
	for (unsigned int i = 0; i < s->env->nr_bufs; i++)
		for (int cause = 0; cause < DROP_NR; cause++)
			ret[cause] += buf_header(s, i)->dropped[cause];
	ret[DROP_NR] = s->skel->bss->dropped_no_buffer;
}

static int sched_start(void *state, struct err *err)
{
	struct sched *s = state;
	uint32_t how = s->env->mode == PROBE_TIDS ? TARGET_TID : TARGET_TGID;
	int r = 0;

	for (size_t i = 0; i < s->env->nr_ids && !r; i++)
		r = add_target(s, s->env->ids[i], how, err);
	if (!r && s->env->command)
		r = add_target(s, s->env->command, TARGET_COMMAND, err);
	if (!r)
		r = iterate(s->skel->progs.snapshot, "the snapshot", err);
	if (!r && s->env->nr_counters)
		visit_cpus(s->env);
	return r;
}

/* Names of others, and stacks, are told again; then the threads. Those that run are made to tell their books soon. */
static int sched_key(void *state, struct err *err)
{
	struct sched *s = state;
	struct probe_env *env = s->env;
	uint64_t key = ++s->keys * 0x9e3779b97f4a7c15ull;
	int r;

	for (unsigned int i = 0; i < env->nr_written_keys; i++)
		__atomic_store_n(env->written_key[i], key, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < env->nr_bufs; i++)
		memset(buf_header(s, i) + 1, 0, BUF_HEADER - sizeof(struct buf_header));
	r = iterate_to(s->skel->progs.key_frame, "a new beginning", env, err);
	env->key_ns = monotonic_ns();
	if (!r)
		visit_cpus(env);
	env->key_serials = s->skel->bss->last_serial;
	sum_dropped(s, env->key_drops);
	return r;
}

static int sched_stop(void *state, struct err *err)
{
	struct sched *s = state;
	int r = iterate(s->skel->progs.final_books, "the kernel's books", err);

	if (!r)
		visit_cpus(s->env);
	return r;
}

/* ---- what it counted ---- */

/* The CPUs count modulo 2^32: called at least every tick, this makes a whole of it. */
static uint64_t total_runs(struct sched *s)
{
	for (unsigned int i = 0; i < s->env->nr_bufs; i++) {
		uint32_t now = __atomic_load_n(&buf_header(s, i)->runs, __ATOMIC_RELAXED);

		s->runs += (uint32_t)(now - s->seen_runs[i]);
		s->seen_runs[i] = now;
	}
	return s->runs;
}

static bool sched_tick(void *state)
{
	struct sched *s = state;

	return bpf_cost_tick(&s->cost, total_runs(s));
}

/* -a means all that our pid namespace has. */
static int tell_outside(const struct sched *s, json_t *into)
{
	if (s->env->mode != PROBE_ALL || !s->skel->rodata->config.pid_level)
		return 0;
	return json_object_set_new(
		into, "outside",
		json_pack("{s:s}", "unavailable",
			  "whyscale ran in a pid namespace of its own (a container)"));
}

static int sched_meta(void *state, json_t *into)
{
	struct sched *s = state;
	json_t *cost = json_object_get(into, "cost"), *drops;
	uint64_t dropped[DROP_NR + 1];

	sum_dropped(s, dropped);
	drops = json_pack("{s:I,s:I,s:I}", "full", (json_int_t)dropped[DROP_FULL], "storage",
			  (json_int_t)dropped[DROP_STORAGE], "no_buffer",
			  (json_int_t)dropped[DROP_NR]);
	if (!drops || json_object_set_new(into, "drops", drops) || tell_outside(s, into))
		return -ENOMEM;
	return bpf_cost_report(&s->cost, total_runs(s), cost);
}

/* The honest check is to load them. */
int sched_try(unsigned int stacks, bool python, struct err *why)
{
	bool online[1] = { true };
	struct probe_env env = {
		.nr_cpus = 1,
		.online = online,
		.buffer_bytes = 1 << 16,
		.bufs_fd = -1,
		.stacks = stacks,
		.stack_bytes = SCHED_TRY_STACK,
		.sample_hz = 99,
		.python = python,
	};
	struct sched *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(why, -ENOMEM, "cannot load the scheduler programs");
	s->env = &env;
	s->cost.stats_fd = -1;
	r = load(s, why);
	sched_close(s);
	return r;
}

static int sched_check(struct err *why)
{
	return sched_try(0, false, why);
}

const struct probe probe_sched = {
	.name = "sched",
	.gives = "every switch, wake-up and migration of every thread, and the kernel's own books",
	.without = "run-queue wait, blocked time by cause, migrations and who had the CPU; "
		   "only CPU time and total run-queue time from /proc remain",
	.cost = "about 0.15 us a scheduler event of the program, nothing else",
	.check = sched_check,
	.open = sched_open,
	.start = sched_start,
	.tick = sched_tick,
	.key = sched_key,
	.books = sched_stop,
	.stop = sched_stop,
	.meta = sched_meta,
	.close = sched_close,
};
