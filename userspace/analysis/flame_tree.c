// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks merged into a tree of runs: see flame_tree.h.
 *
 *   frames   |main|work|a|      |b|                 one array; a frame is its name << KIND_BITS | kind
 *   nodes     [main work] [a]    [b]                 a run is a slice of it
 *   slots     (parent, first frame of the run) -> node: how a stack finds its way
 *
 * A stack that leaves a run in its middle divides it: the upper part becomes a new node, and the lower part keeps the old one's
 * number, so that the children's entries in the slots stay as they are. No frame is moved. Children are linked only at the end.
 */
#include "analysis/flame_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "analysis/flame_names.h"
#include "base/cleanup.h"
#include "base/vec.h"

#define KIND_BITS 3
_Static_assert(FLAME_KIND_NR <= 1 << KIND_BITS, "a kind needs more bits");
_Static_assert((uint64_t)FLAME_NAMES_MAX << KIND_BITS <= 1ull << 32, "a name needs more bits");

struct slot {
	uint32_t node; /* 0: free */
	uint32_t hash; /* most others differ in it: the node is not looked at */
};

struct flame_tree {
	struct flame_names own;
	struct flame_names *names; /* its own, or those of the tree that it is a form of */
	uint32_t *frames;
	size_t nr_frames, frames_room;
	struct flame_node *nodes;
	size_t nr_nodes, nodes_room;
	struct slot *slots; /* at most two thirds full */
	size_t size;        /* a power of two */
	uint64_t seed;
	uint64_t sum[2]; /* of all values, and of those before */
};

static uint32_t slot_hash(const struct flame_tree *t, uint32_t parent, uint32_t frame)
{
	uint64_t key = ((uint64_t)parent << 32 | frame) ^ t->seed;

	/* the finalizer of MurmurHash3 (Appleby, public domain) */
	key = (key ^ key >> 33) * 0xff51afd7ed558ccdull;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ull;
	return (uint32_t)(key ^ key >> 33);
}

/* The slot of the child of `parent` that begins with that frame, or the free one where it belongs, with the hash in it. */
static struct slot *slot_of(const struct flame_tree *t, uint32_t parent, uint32_t frame)
{
	uint32_t hash = slot_hash(t, parent, frame);

	for (size_t at = hash;; at++) {
		struct slot *slot = &t->slots[at & (t->size - 1)];
		const struct flame_node *n = &t->nodes[slot->node];

		if (!slot->node)
			slot->hash = hash;
		if (!slot->node ||
		    (slot->hash == hash && n->parent == parent && t->frames[n->first] == frame))
			return slot;
	}
}

static int grow_slots(struct flame_tree *t, size_t size)
{
	struct slot *slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++) {
		size_t at = t->slots[i].hash;

		if (!t->slots[i].node)
			continue;
		while (slots[at & (size - 1)].node)
			at++;
		slots[at & (size - 1)] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->size = size;
	return 0;
}

int flame_tree_new(struct flame_tree **ret_tree)
{
	struct flame_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
		t->seed = (uintptr_t)t;
	t->own.seed = ~t->seed;
	t->names = &t->own;
	if (vec_room(&t->nodes, &t->nodes_room, 1) || grow_slots(t, 1024)) {
		flame_tree_free(t);
		return -ENOMEM;
	}
	t->nodes[t->nr_nodes++] = (struct flame_node){};
	*ret_tree = t;
	return 0;
}

int flame_tree_new_like(struct flame_tree *source, struct flame_tree **ret_tree)
{
	int r = flame_tree_new(ret_tree);

	if (!r)
		(*ret_tree)->names = source->names;
	return r;
}

void flame_tree_free(struct flame_tree *t)
{
	if (!t)
		return;
	flame_names_free(&t->own);
	free(t->frames);
	free(t->nodes);
	free(t->slots);
	free(t);
}

int flame_tree_name(struct flame_tree *t, const char *name, size_t len, uint32_t *ret_name)
{
	return flame_names_number(t->names, name, len < FLAME_NAME_MAX ? len : FLAME_NAME_MAX,
				  ret_name);
}

const char *flame_tree_string(const struct flame_tree *t, uint32_t name, size_t *ret_len)
{
	*ret_len = t->names->start[name + 1] - t->names->start[name] - 1;
	return t->names->bytes + t->names->start[name];
}

uint32_t flame_tree_nr_names(const struct flame_tree *t)
{
	return t->names->nr;
}

static uint32_t pack(const struct flame_frame *f)
{
	return f->name << KIND_BITS | f->kind;
}

struct flame_frame flame_tree_frame(const struct flame_tree *t, uint64_t frame)
{
	return (struct flame_frame){ t->frames[frame] >> KIND_BITS,
				     t->frames[frame] & ((1u << KIND_BITS) - 1) };
}

/* A new node below `parent` with the rest of a stack as its run; *slot is where it belongs. There is room. */
static uint32_t append_run(struct flame_tree *t, struct slot *slot, uint32_t parent,
			   const struct flame_frame *frames, size_t nr)
{
	uint32_t node = (uint32_t)t->nr_nodes++;

	t->nodes[node] =
		(struct flame_node){ .parent = parent, .first = t->nr_frames, .nr = (uint32_t)nr };
	for (size_t i = 0; i < nr; i++)
		t->frames[t->nr_frames++] = pack(&frames[i]);
	slot->node = node;
	return node;
}

/* Divides a node's run behind its first `nr` frames; the upper part is a new node, which is returned. There is room. */
static uint32_t divide(struct flame_tree *t, struct slot *slot, uint32_t lower, uint32_t nr)
{
	uint32_t upper = (uint32_t)t->nr_nodes++;
	struct flame_node *n = &t->nodes[lower];

	t->nodes[upper] = (struct flame_node){ .parent = n->parent, .first = n->first, .nr = nr };
	slot->node = upper;
	n->parent = upper;
	n->first += nr;
	n->nr -= nr;
	slot_of(t, upper, t->frames[n->first])->node = lower;
	return upper;
}

/* How many frames of the stack are those of the node's run. */
static uint32_t common(const struct flame_tree *t, const struct flame_node *n,
		       const struct flame_frame *frames, size_t nr)
{
	uint32_t i = 1; /* the first is: it was found by it */

	while (i < n->nr && i < nr && t->frames[n->first + i] == pack(&frames[i]))
		i++;
	return i;
}

/* The node whose run's last frame is the stack's last. There is room for two nodes and the stack's frames. */
static uint32_t node_of(struct flame_tree *t, const struct flame_frame *frames, size_t nr)
{
	uint32_t node = 0;

	while (nr) {
		struct slot *slot = slot_of(t, node, pack(frames));
		uint32_t same;

		if (!slot->node)
			return append_run(t, slot, node, frames, nr);
		node = slot->node;
		same = common(t, &t->nodes[node], frames, nr);
		if (same < t->nodes[node].nr)
			node = divide(t, slot, node, same);
		frames += same;
		nr -= same;
	}
	return node;
}

static int make_room(struct flame_tree *t, size_t nr)
{
	if (t->nr_nodes + 2 >= UINT32_MAX ||
	    vec_room(&t->frames, &t->frames_room, t->nr_frames + nr) ||
	    vec_room(&t->nodes, &t->nodes_room, t->nr_nodes + 2))
		return -ENOMEM;
	return 3 * (t->nr_nodes + 2) > 2 * t->size ? grow_slots(t, 2 * t->size) : 0;
}

static void add_to(struct flame_value *sum, const struct flame_value *value)
{
	sum->value += value->value;
	sum->before += value->before;
	if (__builtin_add_overflow(sum->count, value->count, &sum->count))
		sum->count = UINT64_MAX;
}

/* A stack that is too deep: its outermost frames and a note. */
static int add_cut(struct flame_tree *t, const struct flame_frame *frames,
		   const struct flame_value *value)
{
	_cleanup_(free_p) struct flame_frame *kept = malloc(FLAME_DEPTH_MAX * sizeof(*kept));
	struct flame_frame *note;

	if (!kept)
		return -ENOMEM;
	memcpy(kept, frames, FLAME_DEPTH_MAX * sizeof(*kept));
	note = &kept[FLAME_DEPTH_MAX - 1];
	note->kind = FLAME_NOTE;
	if (flame_tree_name(t, FLAME_CUT, strlen(FLAME_CUT), &note->name))
		return -ENOMEM;
	return flame_tree_add_value(t, kept, FLAME_DEPTH_MAX, value);
}

int flame_tree_add_value(struct flame_tree *t, const struct flame_frame *frames, size_t nr,
			 const struct flame_value *value)
{
	if (nr > FLAME_DEPTH_MAX)
		return add_cut(t, frames, value);
	if (value->value > INT64_MAX - t->sum[0] || value->before > INT64_MAX - t->sum[1])
		return -EOVERFLOW;
	if (!value->value && !value->before)
		return 0;
	if (make_room(t, nr))
		return -ENOMEM;
	t->sum[0] += value->value;
	t->sum[1] += value->before;
	add_to(&t->nodes[node_of(t, frames, nr)].self, value);
	return 0;
}

int flame_tree_add(struct flame_tree *t, const struct flame_frame *frames, size_t nr,
		   uint64_t value, uint64_t count)
{
	return flame_tree_add_value(t, frames, nr,
				    &(struct flame_value){ .value = value, .count = count });
}

/* The node after n in a walk that comes to children before their parents; the first is that after the root's. 0 ends. */
static uint32_t innermost(const struct flame_node *nodes, uint32_t n)
{
	while (nodes[n].child)
		n = nodes[n].child;
	return n;
}

static void sum_up(struct flame_tree *t)
{
	struct flame_node *nodes = t->nodes;
	uint32_t n = innermost(nodes, 0);

	while (n) {
		add_to(&nodes[nodes[n].parent].total, &nodes[n].total);
		n = nodes[n].next ? innermost(nodes, nodes[n].next) : nodes[n].parent;
	}
}

/* How children are compared: by the rank of their first frames' names, or by value. */
struct order {
	const struct flame_tree *t;
	const uint32_t *rank; /* NULL (out of memory): the order in which the names came */
	bool by_value;
};

static bool comes_before(const struct order *o, uint32_t a, uint32_t b)
{
	const struct flame_node *x = &o->t->nodes[a], *y = &o->t->nodes[b];
	struct flame_frame f = flame_tree_frame(o->t, x->first);
	struct flame_frame g = flame_tree_frame(o->t, y->first);

	if (o->by_value && x->total.value != y->total.value)
		return x->total.value > y->total.value;
	if (f.name != g.name)
		return o->rank ? o->rank[f.name] < o->rank[g.name] : f.name < g.name;
	return f.kind < g.kind;
}

/* Two sorted lists, neither empty, into one. */
static uint32_t merge(const struct order *o, uint32_t a, uint32_t b)
{
	struct flame_node *nodes = o->t->nodes;
	uint32_t head = 0, *end = &head;

	while (a && b) {
		uint32_t *least = comes_before(o, a, b) ? &a : &b;

		*end = *least;
		end = &nodes[*least].next;
		*least = *end;
	}
	*end = a ? a : b;
	return head;
}

/* Sorts a list by merging: bins[i] holds a sorted list of 2^i nodes, or none. */
static uint32_t sort_list(const struct order *o, uint32_t list)
{
	uint32_t bins[32] = {}, sorted = 0;

	while (list) {
		uint32_t one = list;
		size_t i = 0;

		list = o->t->nodes[one].next;
		o->t->nodes[one].next = 0;
		for (; bins[i]; bins[i++] = 0)
			one = merge(o, bins[i], one);
		bins[i] = one;
	}
	for (size_t i = 0; i < 32; i++)
		if (bins[i])
			sorted = sorted ? merge(o, bins[i], sorted) : bins[i];
	return sorted;
}

void flame_tree_finish(struct flame_tree *t, bool by_value)
{
	_cleanup_(free_p) uint32_t *rank = flame_names_rank(t->names);
	const struct order order = { t, rank, by_value };

	for (size_t i = 0; i < t->nr_nodes; i++) {
		t->nodes[i].child = t->nodes[i].next = 0;
		t->nodes[i].total = t->nodes[i].self;
	}
	for (size_t i = 1; i < t->nr_nodes; i++) {
		struct flame_node *parent = &t->nodes[t->nodes[i].parent];

		t->nodes[i].next = parent->child;
		parent->child = (uint32_t)i;
	}
	sum_up(t);
	for (size_t i = 0; i < t->nr_nodes; i++)
		t->nodes[i].child = sort_list(&order, t->nodes[i].child);
}

const struct flame_node *flame_tree_nodes(const struct flame_tree *t, size_t *ret_nr)
{
	*ret_nr = t->nr_nodes;
	return t->nodes;
}

/* Puts a node's run at the end of the stack of its parent. */
static size_t put_run(const struct flame_tree *t, uint32_t node, struct flame_frame *frames,
		      size_t at)
{
	const struct flame_node *n = &t->nodes[node];

	for (uint32_t i = 0; i < n->nr; i++)
		frames[at++] = flame_tree_frame(t, n->first + i);
	return at;
}

int flame_tree_each(const struct flame_tree *t, flame_stack_fn fn, void *arg)
{
	struct flame_frame frames[FLAME_DEPTH_MAX];
	uint32_t n = 0;
	size_t nr = 0;

	do {
		const struct flame_value *self = &t->nodes[n].self;
		int r = self->value || self->before ? fn(frames, nr, self, arg) : 0;

		if (r)
			return r;
		if (t->nodes[n].child) {
			n = t->nodes[n].child;
		} else {
			for (; n && !t->nodes[n].next; n = t->nodes[n].parent)
				nr -= t->nodes[n].nr;
			nr -= t->nodes[n].nr;
			n = t->nodes[n].next;
		}
		nr = put_run(t, n, frames, nr);
	} while (n);
	return 0;
}
