/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the Python probe shares with the probes whose programs include bpf/python.bpf.h: the maps, which are one set for all of them.
 * The first to load (sched) makes them, the others use the same.
 */
#ifndef WHYSCALE_PROBES_PYTHON_H
#define WHYSCALE_PROBES_PYTHON_H

struct bpf_object;
struct probe_env;

/* Before the first object is loaded, with env->nr_bufs: where Python is not asked for its maps are small. 0 or a negative errno. */
int python_size_maps(const struct probe_env *env, struct bpf_object *obj);

/* After that: the others will use its maps. */
void python_offer_maps(struct probe_env *env, const struct bpf_object *obj);

/* Before another object is loaded: it uses them. 0 or a negative errno. */
int python_use_maps(const struct probe_env *env, struct bpf_object *obj);

#endif
