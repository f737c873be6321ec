// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stacks probe: samples on every CPU (bpf/sample.bpf.c, through libperf), and what a trace needs to know of all stacks, also
 * those that sched's programs write.
 *
 * Each CPU has its own event with a fixed period, and they begin one after the other, so that not all CPUs are interrupted at once:
 *
 *   cpu 0   |         |         |         |        cycles where the processor counts them (in an NMI: code with interrupts
 *   cpu 1      |         |         |         |     off is seen too), else the CPU's clock (in a timer's interrupt)
 *   cpu 2         |         |         |         |
 *
 * Into the trace go
 *
 *   "stacks": {"kinds": ["on", "off", ...], "event": "cpu-clock", "unit": "ns", "period": N, "hz": N, "stack_bytes": N,
 *              "calls": N, "kernel_stacks": N, "user_stacks": N, "user_bytes": N, "no_room": N, "no_budget": N, "no_name": N,
 *              "kernel_walks": N, "kernel_again": N, "kernel_checks": N, "kernel_changed": N, "no_samples": "why", "no_stacks": "which (why)"}
 *   "kernel_symbols": {"0xADDRESS": "function", ...}, of every address in the kernel stacks; looked up here, since only root may
 */
#include "probes/sample.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <internal/evsel.h>
#include <internal/xyarray.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <perf/cpumap.h>
#include <perf/evsel.h>
#include <perf/threadmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/confined.h"
#include "base/kallsyms.h"
#include "probes/bpf_cost.h"
#include "probes/fewer.h"
#include "probes/probe.h"
#include "probes/refusal.h"
#include "probes/python.h"
#include "probes/sched.h"
#include "sample.skel.h"

#define SPREAD_NS (20 * NSEC_PER_MSEC) /* the CPUs' first samples lie within this at most */
#define CALIBRATE_NS (3 * NSEC_PER_MSEC)

struct sample {
	struct probe_env *env;
	struct sample_bpf *skel;
	struct perf_evsel *evsel;
	struct bpf_link **links; /* of each CPU of the evsel */
	unsigned int nr_links;
	bool cycles;
	uint64_t period;
};

static void evsel_p(struct perf_evsel **evsel)
{
	if (!*evsel)
		return;
	perf_evsel__close(*evsel);
	perf_evsel__delete(*evsel);
}

static void cpu_map_p(struct perf_cpu_map **cpus)
{
	perf_cpu_map__put(*cpus);
}

static void kallsyms_p(struct kallsyms **k)
{
	kallsyms_free(*k);
}

/* ---- which event ---- */

/* Cycles that this thread's CPU makes in CALIBRATE_NS of work; 0: it does not count them. */
static uint64_t count_cycles(void)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_HARDWARE,
		.config = PERF_COUNT_HW_CPU_CYCLES,
	};
	_cleanup_(evsel_p) struct perf_evsel *evsel = perf_evsel__new(&attr);
	struct perf_thread_map *self = perf_thread_map__new_dummy();
	struct perf_counts_values begin = {}, end = {};
	uint64_t until;

	if (self)
		perf_thread_map__set_pid(self, 0, 0);
	if (!evsel || !self || perf_evsel__open(evsel, NULL, self) ||
	    perf_evsel__read(evsel, 0, 0, &begin)) {
		perf_thread_map__put(self);
		return 0;
	}
	until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + CALIBRATE_NS;
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
		;
	perf_evsel__read(evsel, 0, 0, &end);
	perf_thread_map__put(self);
	return end.val - begin.val;
}

bool sample_by_cycles(void)
{
	return count_cycles() > 0;
}

/* A number of cycles, not a frequency: the kernel would change the period all the time, and begin with far too short ones. */
static void choose_event(struct sample *s, struct perf_event_attr *attr)
{
	uint64_t cycles = count_cycles();

	s->cycles = cycles > 0;
	s->period = s->cycles ? cycles * (NSEC_PER_SEC / CALIBRATE_NS) / s->env->sample_hz :
				NSEC_PER_SEC / s->env->sample_hz;
	*attr = (struct perf_event_attr){
		.size = sizeof(*attr),
		.type = s->cycles ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE,
		.config = s->cycles ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = s->period ? s->period : 1,
		.disabled = 1,
		.exclude_hv = s->cycles,
		.exclude_idle = s->cycles,
	};
}

/* ---- opening ---- */

static int open_event(struct sample *s, struct err *err)
{
	_cleanup_(cpu_map_p) struct perf_cpu_map *cpus = perf_cpu_map__new(NULL); /* online */
	struct perf_event_attr attr;
	int r;

	choose_event(s, &attr);
	for (;;) {
		s->evsel = perf_evsel__new(&attr);
		if (!s->evsel || !cpus)
			return err_sys(err, -ENOMEM, "cannot open the samples");
		r = perf_evsel__open(s->evsel, cpus, NULL);
		if (!r || !attr.exclude_idle)
			break;
		/* arm64's counters cannot leave out the idle task (EOPNOTSUPP); the program does so anyway */
		attr.exclude_idle = 0;
		perf_evsel__close(s->evsel);
		perf_evsel__delete(s->evsel);
	}
	if (r == -EACCES || r == -EPERM || r == -ENOSYS)
		return confined_from_perf(err, r, "sampling every CPU");
	if (r)
		return err_sys(err, r, "the kernel does not open %s for samples",
			       s->cycles ? "cycles" : "cpu-clock");
	s->nr_links = perf_cpu_map__nr(cpus);
	s->links = calloc(s->nr_links, sizeof(*s->links)); /* NOLINT(bugprone-sizeof-expression) */
	return s->links ? 0 : err_sys(err, -ENOMEM, "cannot open the samples");
}

/* Attaching lets the event run, so one CPU after the other. The link owns its copy of the descriptor. */
static int attach(struct sample *s, struct err *err)
{
	uint64_t period_ns = NSEC_PER_SEC / s->env->sample_hz, pause_ns;

	pause_ns = (period_ns < SPREAD_NS ? period_ns : SPREAD_NS) / s->nr_links;
	for (unsigned int i = 0; i < s->nr_links; i++) {
		struct timespec pause = { .tv_nsec = (long)pause_ns };
		int fd = fcntl(*(int *)xyarray__entry(s->evsel->fd, i, 0), F_DUPFD_CLOEXEC, 0);

		if (i)
			nanosleep(&pause, NULL);
		s->links[i] = fd < 0 ? NULL :
				       bpf_program__attach_perf_event(s->skel->progs.sample, fd);
		if (!s->links[i]) {
			int r = -errno;

			if (fd >= 0)
				close(fd);
			return err_sys(err, r, "cannot attach the sampling program");
		}
	}
	return 0;
}

/* The maps of the scheduler's programs that these write into. */
static int share_maps(struct sample *s)
{
	const struct probe_env *env = s->env;
	int r = sample_size_maps(env, s->skel->obj);

	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.bufs, env->bufs_fd);
	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.locals, env->locals_fd);
	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.displaced, env->displaced_fd);
	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.kernel_addresses, env->addresses_fd);
	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.stack_counts, env->counts_fd);
	if (!r)
		r = bpf_map__reuse_fd(s->skel->maps.seen_ids, env->seen_fd);
	return r ? r : python_use_maps(env, s->skel->obj);
}

static int load(struct sample *s, bool python, struct err *err)
{
	const struct probe_env *env = s->env;
	int r;

	refusal_listen();
	s->skel = sample_bpf__open();
	if (!s->skel)
		return err_sys(err, -errno, "cannot open the sampling program");
	if (env->bpf_config_bytes != sizeof(s->skel->rodata->config))
		return err_set(err, -EINVAL,
			       "the sampling program is of another build: "
			       "build whyscale anew with `make clean all`");
	memcpy((void *)&s->skel->rodata->config, env->bpf_config, env->bpf_config_bytes);
	s->skel->rodata->config.python = python;
	r = share_maps(s);
	if (!r)
		r = sample_bpf__load(s->skel);
	if (r)
		return refusal_error(err, r, "the sampling program");
	bpf_cost_add(env->bpf_cost, s->skel->obj);
	return 0;
}

/* Samples without Python's functions are better than none. */
static int load_what_is_taken(struct sample *s, struct err *err)
{
	int r = load(s, s->env->python, err);

	if (!r || !s->env->python || !refusal_is_program(""))
		return r;
	fewer_note(s->env, "Python's functions in samples", err);
	sample_bpf__destroy(s->skel);
	s->skel = NULL;
	return load(s, false, err);
}

static void stop_samples(struct sample *s)
{
	for (unsigned int i = 0; s->links && i < s->nr_links; i++) {
		bpf_link__destroy(s->links[i]);
		s->links[i] = NULL;
	}
}

/*
 * Without the scheduler's programs there is nobody to sample, which is no failure; nor is it when there can be no samples: the other
 * stacks are still to be told of.
 */
static int sample_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct sample *s = calloc(1, sizeof(*s));
	struct err why;
	int r;

	*ret_state = s;
	if (!s)
		return err_sys(err, -ENOMEM, "cannot open the samples");
	s->env = env;
	if (env->locals_fd < 0 || !(env->stacks & STACKS_ON))
		return 0;
	r = open_event(s, &why);
	if (!r)
		r = load_what_is_taken(s, &why);
	if (!r) {
		probe_add_written_key(env, &s->skel->bss->written_key);
		r = attach(s, &why);
	}
	if (r) {
		stop_samples(s);
		snprintf(env->no_samples, sizeof(env->no_samples), "%.250s", why.msg);
	}
	return 0;
}

static void sample_close(void *state)
{
	struct sample *s = state;

	if (!s)
		return;
	stop_samples(s);
	free(s->links);
	evsel_p(&s->evsel);
	sample_bpf__destroy(s->skel);
	free(s);
}

/* ---- what it says ---- */

static json_t *kinds_asked(unsigned int stacks)
{
	static const char *const names[] = { "on", "off", "wake", "lock" };
	json_t *list = json_array();

	for (unsigned int i = 0; list && i < sizeof(names) / sizeof(names[0]); i++)
		if (stacks >> i & 1)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

/* The sums over all CPUs of bpf/stack.bpf.h's stack_counts. */
static void read_counts(const struct sample *s, uint64_t sum[STACK_COUNTS])
{
	int nr_cpus = libbpf_num_possible_cpus();
	_cleanup_(free_p) uint64_t *each = calloc(nr_cpus > 0 ? nr_cpus : 1, sizeof(*each));

	for (uint32_t what = 0; what < STACK_COUNTS; what++) {
		sum[what] = 0;
		if (!each || nr_cpus <= 0 || bpf_map_lookup_elem(s->env->counts_fd, &what, each))
			continue;
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			sum[what] += each[cpu];
	}
}

static json_t *describe(const struct sample *s)
{
	uint64_t n[STACK_COUNTS];
	json_t *about;

	read_counts(s, n);
	about = json_pack("{s:o,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "kinds",
			  kinds_asked(s->env->stacks), "stack_bytes", (int)s->env->stack_bytes,
			  "calls", (json_int_t)n[STACK_CALLS], "kernel_stacks",
			  (json_int_t)n[STACK_KERNEL_NEW], "user_stacks",
			  (json_int_t)n[STACK_USER_NEW], "user_bytes",
			  (json_int_t)n[STACK_USER_BYTES], "no_room", (json_int_t)n[STACK_NO_ROOM],
			  "no_budget", (json_int_t)n[STACK_NO_BUDGET], "no_name",
			  (json_int_t)n[STACK_NO_NAME], "kernel_walks",
			  (json_int_t)n[STACK_KERNEL_WALKS], "kernel_again",
			  (json_int_t)n[STACK_KERNEL_AGAIN], "kernel_checks",
			  (json_int_t)n[STACK_KERNEL_CHECKS], "kernel_changed",
			  (json_int_t)n[STACK_KERNEL_CHANGED]);
	if (about && *s->env->no_stacks)
		json_object_set_new(about, "no_stacks", json_string(s->env->no_stacks));
	if (about && *s->env->no_samples)
		json_object_set_new(about, "no_samples", json_string(s->env->no_samples));
	if (!about || !s->evsel || *s->env->no_samples)
		return about;
	json_object_set_new(about, "event", json_string(s->cycles ? "cycles" : "cpu-clock"));
	json_object_set_new(about, "unit", json_string(s->cycles ? "cycles" : "ns"));
	json_object_set_new(about, "period", json_integer((json_int_t)s->period));
	json_object_set_new(about, "hz", json_integer(s->env->sample_hz));
	return about;
}

static json_t *name_of(const struct kallsyms *k, uint64_t address)
{
	struct kallsym sym;
	char name[256];

	if (!kallsyms_find(k, address, KALLSYMS_FUNCTION, &sym))
		return NULL;
	if (!sym.module || !strcmp(sym.module, "bpf"))
		return json_string(sym.name);
	snprintf(name, sizeof(name), "%s [%s]", sym.name, sym.module);
	return json_string(name);
}

/* Nobody adds to the table any more. Where names are hidden there are none: the addresses alone say nothing. */
static json_t *name_addresses(const struct sample *s)
{
	_cleanup_(kallsyms_p) struct kallsyms *k = NULL;
	uint64_t address, *previous = NULL, next;
	json_t *names = json_object();
	struct err hidden;

	if (!names || kallsyms_open(NULL, &k, &hidden))
		return names;
	while (!bpf_map_get_next_key(s->env->addresses_fd, previous, &next)) {
		uint32_t how = 0;
		char key[24];
		json_t *name;

		address = next;
		previous = &address;
		bpf_map_lookup_elem(s->env->addresses_fd, &address, &how);
		name = name_of(k, how == ADDRESS_EXACT ? address : address - 1);
		snprintf(key, sizeof(key), "0x%" PRIx64, address);
		if (name)
			json_object_set_new(names, key, name);
	}
	return names;
}

static int sample_stop(void *state, struct err *err)
{
	(void)err;
	stop_samples(state);
	return 0;
}

static int sample_meta(void *state, json_t *into)
{
	struct sample *s = state;

	if (s->env->counts_fd < 0)
		return 0;
	if (json_object_set_new(into, "stacks", describe(s)) ||
	    json_object_set_new(into, "kernel_symbols", name_addresses(s)))
		return -ENOMEM;
	return 0;
}

/* ---- the check ---- */

/* The other stacks are taken by the scheduler's programs: those as `record -g` has them. */
static void try_other_stacks(struct err *why)
{
	struct err refused = {};

	if (sched_try(STACKS_ON | STACKS_OFF | STACKS_WAKE | STACKS_LOCK, false, &refused))
		err_set(why, 0,
			"samples work, the stacks of waits, locks and wake-ups do not (%.300s)",
			refused.msg);
}

/* The honest check is to open the event and to load the program, with a buffer of its own into which nothing is written. */
static int sample_check(struct err *why)
{
	struct probe_env env = { .stacks = STACKS_ON, .sample_hz = 99 };
	struct sample *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sys(why, -ENOMEM, "cannot open the samples");
	s->env = &env;
	r = open_event(s, why);
	if (!r) {
		refusal_listen();
		s->skel = sample_bpf__open_and_load();
		if (!s->skel)
			r = refusal_error(why, -errno, "the sampling program");
	}
	if (!r && !s->cycles)
		err_set(why, 0,
			"samples come from a timer: this machine has no counter of cycles, so code "
			"that runs with interrupts off is not seen where it is");
	sample_close(s);
	if (!r)
		try_other_stacks(why);
	return r;
}

const struct probe probe_sample = {
	.name = "sample",
	.gives = "call stacks: samples of what runs, and who waits, wakes and locks (record -g)",
	.without = "flame graphs",
	.cost = "0.4 us a sample and its interrupt; 0.3 us a switch or wake-up that is to have its stacks, 1.3 where the kernel's is new",
	.with_sched = true,
	.check = sample_check,
	.open = sample_open,
	.stop = sample_stop,
	.meta = sample_meta,
	.close = sample_close,
};
