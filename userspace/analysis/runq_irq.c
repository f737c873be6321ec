// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts in the waits for a CPU: see runq_impl.h.
 *
 *   the CPU's pieces   | slice of A                                  |
 *                      |--------------|---------|--------------------|
 *                                     mark 1    mark 2
 *   an interrupt                 |===================|
 *                                from      since     now
 *
 * An interrupt lies in one slice, since no switch happens in it. What of it is in the open piece is kept until that ends. The pieces that
 * marks have cut off meanwhile (it woke threads) are taken out of A's sums again; what of it lay before a mark, that mark must not see.
 */
#include "analysis/runq_impl.h"

static struct piece *at(const struct runq_cpu *c, uint64_t number)
{
	return &c->ring[number & (c->cap - 1)];
}

static void pieces_take(struct runq_cpu *c, uint64_t from_ns)
{
	uint64_t end_ns = c->since_ns;

	for (uint64_t n = c->head; n > c->tail && end_ns > from_ns; n--) {
		struct piece *p = at(c, n - 1);
		uint64_t ns = end_ns - from_ns, room_ns = p->ns - p->irq_ns;

		p->irq_ns += ns < room_ns ? ns : room_ns;
		end_ns -= p->ns < ns ? p->ns : ns;
	}
}

/* Out of the waits that have left the CPU since from_ns. */
static void leavers_take(struct runq_who *w, struct runq_cpu *c, uint64_t from_ns,
			 enum runq_part part, uint32_t own)
{
	for (struct waiter *x = c->last_left; x && x->left.to_ns > from_ns; x = x->left.older) {
		const struct left *left = &x->left;
		uint64_t ns = left->to_ns - (left->from_ns > from_ns ? left->from_ns : from_ns);
		uint64_t *part_ns = left->closed ? x->split.part_ns : x->wait.done_ns;
		bool mine = own && left->own == own;

		part_ns[mine ? RUNQ_OWN : part] -= ns;
		part_ns[RUNQ_IRQ] += ns;
		if (mine && left->closed)
			w->occ[left->occ].own_ns -= ns;
	}
}

/* From from_ns to the beginning of the open piece, where the CPU's occupant was the same. */
static void take_back(struct runq_who *w, struct runq_cpu *c, uint64_t from_ns)
{
	bool sure = c->known && !c->lost;
	enum runq_part part = w->occ[sure ? c->occ : OCC_UNKNOWN].part;
	uint32_t own = sure ? c->own : 0;
	uint64_t ns = c->since_ns - from_ns;

	pieces_take(c, from_ns);
	c->sum_ns[part] -= ns;
	c->sum_ns[RUNQ_IRQ] += ns;
	w->own_ns[own] -= ns;
	leavers_take(w, c, from_ns, part, own);
	for (struct waiter *x = c->last_mark; x && x->at_ns > from_ns; x = x->older) {
		ns = x->at_ns - from_ns;
		x->sum_ns[part] -= ns;
		x->sum_ns[RUNQ_IRQ] += ns;
		x->own_ns -= x->own == own ? ns : 0;
	}
}

uint64_t runq_irq_first(const struct runq_cpu *c, uint64_t now_ns)
{
	uint64_t first_ns = now_ns;

	for (const struct waiter *x = c->last_mark; x && x->at_ns >= c->irq_from_ns; x = x->older)
		if (x->marked)
			first_ns = x->at_ns;
	return first_ns;
}

void runq_irq(struct runq_who *w, struct runq_cpu *c, uint64_t from_ns)
{
	if (from_ns < c->irq_from_ns)
		from_ns = c->irq_from_ns;
	if (from_ns < c->since_ns) {
		take_back(w, c, from_ns);
		from_ns = c->since_ns;
	}
	c->irq_ns += w->now_ns - from_ns;
	c->irq_from_ns = w->now_ns;
}

void runq_irq_mark(struct runq_who *w, struct waiter *x)
{
	struct runq_cpu *c = &w->cpu[x->cpu];

	x->older = c->last_mark;
	x->newer = NULL;
	if (x->older)
		x->older->newer = x;
	c->last_mark = x;
	x->listed = true;
}

void runq_irq_unmark(struct runq_who *w, struct waiter *x)
{
	if (!x->listed)
		return;
	if (x->older)
		x->older->newer = x->newer;
	if (x->newer)
		x->newer->older = x->older;
	else
		w->cpu[x->cpu].last_mark = x->older;
	x->listed = false;
}

void runq_irq_leave(struct runq_who *w, struct waiter *x)
{
	struct runq_cpu *c = &w->cpu[x->cpu];

	if (c->irq_from_ns == w->now_ns) /* no interrupt that is still to be told lies before */
		return;
	runq_irq_forget(w, x);
	x->left = (struct left){ .older = c->last_left,
				 .listed = true,
				 .cpu = x->cpu,
				 .own = x->own,
				 .occ = x->occ,
				 .from_ns = x->at_ns,
				 .to_ns = w->now_ns };
	if (c->last_left)
		c->last_left->left.newer = x;
	c->last_left = x;
}

void runq_irq_forget(struct runq_who *w, struct waiter *x)
{
	struct left *left = &x->left;

	if (!left->listed)
		return;
	if (left->older)
		left->older->left.newer = left->newer;
	if (left->newer)
		left->newer->left.older = left->older;
	else
		w->cpu[left->cpu].last_left = left->older;
	left->listed = false;
}
