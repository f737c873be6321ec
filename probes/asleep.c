// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stacks of threads that sleep already when the recording begins (bpf/asleep.bpf.c), or where a trace may begin (record --keep),
 * into the scheduler probe's buffers.
 *
 * Into the trace's META goes "asleep": {"unavailable": why}, where there are none because the kernel cannot.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asleep.skel.h"
#include "probes/bpf_cost.h"
#include "probes/fewer.h"
#include "probes/probe.h"
#include "probes/refusal.h"

#define PATIENCE_S 2 /* for a walk of some milliseconds */

struct asleep {
	struct asleep_bpf *skel;
	struct err why; /* there is none */
};

static void asleep_close(void *state)
{
	struct asleep *a = state;

	if (!a)
		return;
	asleep_bpf__destroy(a->skel);
	free(a);
}

/* The maps of the scheduler's programs that this writes into. */
static int share_maps(struct asleep *a, const struct probe_env *env)
{
	const struct {
		struct bpf_map *map;
		int fd;
	} shared[] = {
		{ a->skel->maps.bufs, env->bufs_fd },
		{ a->skel->maps.locals, env->locals_fd },
		{ a->skel->maps.displaced, env->displaced_fd },
		{ a->skel->maps.kernel_addresses, env->addresses_fd },
		{ a->skel->maps.stack_counts, env->counts_fd },
		{ a->skel->maps.seen_ids, env->seen_fd },
		{ a->skel->maps.py_processes, env->python_fds[PYTHON_PROCESSES] },
		{ a->skel->maps.py_layouts, env->python_fds[PYTHON_LAYOUTS] },
		{ a->skel->maps.py_seen, env->python_fds[PYTHON_SEEN] },
		{ a->skel->maps.py_codes, env->python_fds[PYTHON_CODES] },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]) && !r; i++)
		r = bpf_map__reuse_fd(shared[i].map, shared[i].fd);
	return r;
}

/* env NULL: with maps of its own, to see whether the kernel takes it. a->skel is to be destroyed afterwards, whatever comes out. */
static int load(struct asleep *a, const struct probe_env *env, bool python, struct err *err)
{
	int r = 0;

	refusal_listen();
	a->skel = asleep_bpf__open();
	if (!a->skel)
		return err_sys(err, -errno, "cannot open the program for threads that sleep");
	if (env && env->bpf_config_bytes != sizeof(a->skel->rodata->config))
		return err_set(err, -EINVAL,
			       "the program for threads that sleep is of another build: "
			       "build whyscale anew with `make clean all`");
	if (env) {
		memcpy((void *)&a->skel->rodata->config, env->bpf_config, env->bpf_config_bytes);
		a->skel->rodata->config.python = python;
		a->skel->rodata->python_refused = env->python && !python;
		r = share_maps(a, env);
	}
	if (!r)
		r = asleep_bpf__load(a->skel);
	return r ? refusal_error(err, r,
				 "the program for threads that sleep (it needs Linux 5.18)") :
		   0;
}

/* Waits without Python's functions are better than none. */
static int load_what_is_taken(struct asleep *a, struct probe_env *env)
{
	int r = load(a, env, env->python, &a->why);

	if (r && env->python && refusal_is_program("")) {
		fewer_note(env, "Python's functions of threads that slept before the recording",
			   &a->why);
		asleep_bpf__destroy(a->skel);
		a->why = (struct err){};
		r = load(a, env, false, &a->why);
	}
	return r;
}

/* A command's threads begin later. Not an error where the kernel refuses: those waits have no stack, then. */
static int asleep_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct asleep *a = calloc(1, sizeof(*a));

	*ret_state = a;
	if (!a)
		return err_sys(err, -ENOMEM, "cannot look at the threads that sleep");
	if (env->locals_fd < 0 || !(env->stacks & STACKS_OFF) ||
	    (env->mode == PROBE_COMMAND && !env->keep))
		return 0;
	if (load_what_is_taken(a, env)) {
		asleep_bpf__destroy(a->skel);
		a->skel = NULL;
		return 0;
	}
	bpf_cost_add(env->bpf_cost, a->skel->obj);
	probe_add_written_key(env, &a->skel->bss->written_key);
	return 0;
}

/* Goes through all threads; the descriptor is its own. Returns the errno. */
static void *walk(void *arg)
{
	int fd = (int)(intptr_t)arg, failed;
	char none[64];
	ssize_t n;

	do
		n = read(fd, none, sizeof(none));
	while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	failed = n < 0 ? errno : 0;
	close(fd);
	return (void *)(intptr_t)failed;
}

/* Without signals: those are for the recorder. */
static int start_walk(pthread_t *ret_thread, int fd)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret_thread, NULL, walk, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

/*
 * After the scheduler probe's snapshot, which says who sleeps. Memory that is read here may be a file's on a server that never answers:
 * then the walk is left alone, and what it has come by by then is there.
 */
static int asleep_start(void *state, struct err *err)
{
	struct asleep *a = state;
	struct bpf_link *link;
	struct timespec until;
	pthread_t thread;
	void *failed = NULL;
	int fd, r;

	(void)err;
	if (!a->skel)
		return 0;
	link = bpf_program__attach_iter(a->skel->progs.asleep, NULL);
	fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	bpf_link__destroy(link);
	r = fd < 0 ? EIO : start_walk(&thread, fd);
	if (fd >= 0 && r)
		close(fd);
	if (!r) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE_S;
		r = pthread_timedjoin_np(thread, &failed, &until);
		if (r)
			pthread_detach(thread);
		else
			r = (int)(intptr_t)failed;
	}
	if (r)
		err_sys(&a->why, -r, "cannot look at all threads that sleep");
	return 0;
}

static int asleep_key(void *state, struct err *err)
{
	struct asleep *a = state;

	return a->why.code ? 0 : asleep_start(state, err);
}

static int asleep_meta(void *state, json_t *into)
{
	struct asleep *a = state;

	if (!a->why.code)
		return 0;
	return json_object_set_new(into, "asleep", json_pack("{s:s}", "unavailable", a->why.msg)) ?
		       -ENOMEM :
		       0;
}

/* The honest check is to load it. */
static int asleep_check(struct err *why)
{
	struct asleep *a = calloc(1, sizeof(*a));
	int r = a ? load(a, NULL, false, why) : err_sys(why, -ENOMEM, "cannot load it");

	asleep_close(a);
	return r;
}

const struct probe probe_asleep = {
	.name = "asleep",
	.gives = "call stacks of threads that sleep when the recording begins (record -g -a, -p)",
	.without = "waits that began before the recording have no stack",
	.cost = "once, some 5 us a thread, more with --python; nothing while the recording goes on",
	.with_sched = true,
	.check = asleep_check,
	.open = asleep_open,
	.start = asleep_start,
	.key = asleep_key,
	.meta = asleep_meta,
	.close = asleep_close,
};
