// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Python probe: tells bpf/python.bpf.h which processes are CPythons, and where their structures lie.
 *
 *   maps probe -> a mapping of code -> is a _PyRuntime in that file? -> its address in this process -> py_processes
 *                      `-> the trace, as without us
 *
 * So it knows a program a few milliseconds after it has mapped the interpreter, which takes ten times as long to begin; a forked
 * child is known at once, as BPF copies its parent's entry. A file is read once.
 *
 * Into the trace's META go "python": {"interpreters": [{"path": ..., "version": "3.11" or null, "frames": true}],
 * "note": a sentence about what could not be had, or ""}.
 */
#include "probes/python.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "probes/maps_proc.h"
#include "probes/probe.h"
#include "probes/python_file.h"
#include "probes/sched.h"

#define MAX_FILES 100000

/* A file with code that some process has mapped. */
struct known {
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint32_t build_id_len;
	uint8_t build_id[MAPPING_BUILD_ID_MAX];
	struct python_file *python; /* owned; NULL: it is none */
	char *path;                 /* owned; of a Python */
	bool frames;                /* its layout is known */
	uint32_t layout;
};

struct python {
	struct probe_env *env;
	int (*next)(void *arg, const struct mapping *m); /* who takes the mappings after us */
	void *next_arg;
	struct known *files;
	size_t nr, cap;
	uint32_t nr_layouts;
	bool full; /* no memory, or no room for one: something was left out */
};

/* ---- the maps that several objects share ---- */

static const char *const map_names[PYTHON_MAPS] = { "py_processes", "py_layouts", "py_seen",
						    "py_codes" };

int python_size_maps(const struct probe_env *env, struct bpf_object *obj)
{
	struct bpf_map *scratch = bpf_object__find_map_by_name(obj, "py_scratch");
	int r = 0;

	if (env->python)
		return bpf_map__set_max_entries(scratch, env->nr_bufs);
	for (int i = 0; i < PYTHON_MAPS && !r; i++)
		r = bpf_map__set_max_entries(bpf_object__find_map_by_name(obj, map_names[i]), 1);
	return r;
}

void python_offer_maps(struct probe_env *env, const struct bpf_object *obj)
{
	for (int i = 0; i < PYTHON_MAPS; i++)
		env->python_fds[i] = bpf_object__find_map_fd_by_name(obj, map_names[i]);
}

int python_use_maps(const struct probe_env *env, struct bpf_object *obj)
{
	int r = python_size_maps(env, obj);

	for (int i = 0; i < PYTHON_MAPS && !r; i++)
		r = bpf_map__reuse_fd(bpf_object__find_map_by_name(obj, map_names[i]),
				      env->python_fds[i]);
	return r;
}

/* ---- files ---- */

/* Before its build id is known a file may be mapped too: then inode and device must do. */
static bool is_file(const struct known *k, const struct mapping *m)
{
	return k->inode == m->inode && k->dev_major == m->dev_major &&
	       k->dev_minor == m->dev_minor && k->build_id_len == m->build_id_len &&
	       !memcmp(k->build_id, m->build_id, m->build_id_len);
}

/* Its layout gets a number that BPF knows; equal ones share it. */
static void add_layout(struct python *s, struct known *k)
{
	struct py_layout layout, old;

	if (!python_layout(k->python, &layout))
		return;
	for (uint32_t i = 0; i < s->nr_layouts && !k->frames; i++)
		if (!bpf_map_lookup_elem(s->env->python_fds[PYTHON_LAYOUTS], &i, &old) &&
		    !memcmp(&old, &layout, sizeof(old))) {
			k->layout = i;
			k->frames = true;
		}
	if (k->frames || s->nr_layouts >= PY_LAYOUTS)
		return;
	k->layout = s->nr_layouts;
	k->frames = !bpf_map_update_elem(s->env->python_fds[PYTHON_LAYOUTS], &k->layout, &layout,
					 BPF_ANY);
	s->nr_layouts += k->frames;
}

static void look_into(struct python *s, struct known *k, const struct mapping *m)
{
	struct python_file file;
	_cleanup_(close_p) int fd = -1;
	struct stat st;

	fd = maps_proc_open(m, &st);
	if (fd < 0)
		return;
	python_file_read(fd, m->path, &file);
	if (!file.is_python)
		return;
	k->python = malloc(sizeof(*k->python));
	k->path = strdup(m->path);
	if (!k->python || !k->path) {
		free(take_ptr(k->python));
		s->full = true;
		return;
	}
	*k->python = file;
	add_layout(s, k);
}

/* NULL: there is no memory for it. */
static const struct known *know(struct python *s, const struct mapping *m)
{
	struct known *k;

	for (size_t i = 0; i < s->nr; i++)
		if (is_file(&s->files[i], m))
			return &s->files[i];
	if (s->nr >= MAX_FILES || vec_room(&s->files, &s->cap, s->nr + 1)) {
		s->full = true;
		return NULL;
	}
	k = &s->files[s->nr++];
	*k = (struct known){ .dev_major = m->dev_major,
			     .dev_minor = m->dev_minor,
			     .inode = m->inode,
			     .build_id_len = m->build_id_len };
	memcpy(k->build_id, m->build_id, sizeof(k->build_id));
	look_into(s, k, m);
	return k;
}

/* ---- processes ---- */

static void mapped(struct python *s, const struct mapping *m)
{
	struct py_process process = {};
	const struct known *k;

	if (!(m->prot & PROT_EXEC) || !m->inode || m->path[0] != '/')
		return;
	k = know(s, m);
	if (!k || !k->frames || !python_file_runtime(k->python, m, &process.runtime))
		return;
	process.layout = k->layout;
	s->full |= bpf_map_update_elem(s->env->python_fds[PYTHON_PROCESSES], &m->tgid, &process,
				       BPF_ANY);
}

/* BPF copies what it knows when a process forks; what we learned only afterwards goes to the child here. */
static void forked(struct python *s, const struct mapping *m)
{
	int fd = s->env->python_fds[PYTHON_PROCESSES];
	struct py_process process;

	if (!bpf_map_lookup_elem(fd, &m->parent_tgid, &process))
		bpf_map_update_elem(fd, &m->tgid, &process, BPF_NOEXIST);
}

static int take_mapping(void *arg, const struct mapping *m)
{
	struct python *s = arg;

	if (m->kind == MAPPING_ADD)
		mapped(s, m);
	else if (m->kind == MAPPING_FORK)
		forked(s, m);
	else if (m->kind == MAPPING_EXEC)
		bpf_map_delete_elem(s->env->python_fds[PYTHON_PROCESSES], &m->tgid);
	return s->next(s->next_arg, m);
}

/* ---- the probe ---- */

static void python_close(void *state)
{
	struct python *s = state;

	if (!s)
		return;
	if (s->next) {
		s->env->mapping = s->next;
		s->env->mapping_arg = s->next_arg;
	}
	for (size_t i = 0; i < s->nr; i++) {
		free(s->files[i].python);
		free(s->files[i].path);
	}
	free(s->files);
	free(s);
}

/* Without the scheduler's programs there are no stacks, which is told by then. */
static int python_open(struct probe_env *env, void **ret_state, struct err *err)
{
	struct python *s = calloc(1, sizeof(*s));

	*ret_state = s;
	if (!s)
		return err_sys(err, -ENOMEM, "cannot look for Python");
	s->env = env;
	if (!env->python || env->locals_fd < 0 || !env->mapping)
		return 0;
	s->next = env->mapping;
	s->next_arg = env->mapping_arg;
	env->mapping = take_mapping;
	env->mapping_arg = s;
	return 0;
}

static json_t *describe(const struct known *k)
{
	char version[24];

	snprintf(version, sizeof(version), "%d.%d", k->python->major, k->python->minor);
	return json_pack("{s:s*,s:s?,s:b}", "path", k->path, "version",
			 k->python->major ? version : NULL, "frames", k->frames);
}

static const char *why_no_frames(const struct python_file *f)
{
	if (f->before_37 || (f->major && (f->major < 3 || f->minor < 8)))
		return "older than 3.8";
	return f->major ? "that whyscale does not know (3.8 to 3.13)" :
			  "whose version could not be told";
}

/* Which interpreters' frames could not be had, in a sentence; "" when all could. */
static void sentence(const struct python *s, char *ret, size_t size)
{
	size_t missing = 0, len;

	*ret = '\0';
	for (size_t i = 0; i < s->nr; i++) {
		const struct known *k = &s->files[i];

		if (!k->python || k->frames || missing++)
			continue;
		snprintf(ret, size, "'%.200s' is a CPython %s: its functions are native frames",
			 k->path, why_no_frames(k->python));
	}
	len = strlen(ret);
	if (missing > 1)
		snprintf(ret + len, size - len, "; and %zu more", missing - 1);
	if (!missing && s->full)
		snprintf(ret, size, "memory was short: some processes' Python is native frames");
}

static int python_meta(void *state, json_t *into)
{
	struct python *s = state;
	json_t *list;
	char note[320];

	if (!s->next)
		return 0;
	list = json_array();
	for (size_t i = 0; list && i < s->nr; i++)
		if (s->files[i].python)
			json_array_append_new(list, describe(&s->files[i]));
	sentence(s, note, sizeof(note));
	return json_object_set_new(into, "python",
				   json_pack("{s:o,s:s}", "interpreters", list, "note", note)) ?
		       -ENOMEM :
		       0;
}

/* The honest check is to load the programs that read them. */
static int python_check(struct err *why)
{
	return sched_try(STACKS_OFF, true, why);
}

const struct probe probe_python = {
	.name = "python",
	.gives = "with --python: the frames of CPython 3.8 to 3.13 in call stacks",
	.without = "the functions of Python programs: stacks show the interpreter's own",
	.cost = "some 0.1 us a frame of each stack that is taken, nothing without --python",
	.with_sched = true,
	.check = python_check,
	.open = python_open,
	.meta = python_meta,
	.close = python_close,
};
