// SPDX-License-Identifier: GPL-2.0-only
/* Who had a CPU: see runq_impl.h. */
#include "analysis/runq_impl.h"

#include <errno.h>
#include <stdlib.h>

#define PIECES_FIRST 256

static struct piece *at(const struct runq_cpu *c, uint64_t number)
{
	return &c->ring[number & (c->cap - 1)];
}

/* The oldest piece leaves the ring. */
static void drop_oldest(struct runq_cpu *c, struct occupant *occupants)
{
	const struct piece *p = at(c, c->tail++);

	c->waits += p->change;
	if (c->waits > 0)
		occupants[p->occ].ns += (uint64_t)c->waits * (p->ns - p->irq_ns);
}

static int make_room(struct runq_cpu *c, struct occupant *occupants)
{
	size_t cap = c->cap ? 2 * c->cap : PIECES_FIRST;
	struct piece *more;

	if (c->head - c->tail < c->cap)
		return 0;
	if (cap > RUNQ_PIECES_MAX) {
		drop_oldest(c, occupants);
		return 0;
	}
	more = malloc(cap * sizeof(*more));
	if (!more)
		return -ENOMEM;
	for (uint64_t n = c->tail; n < c->head; n++)
		more[n & (cap - 1)] = *at(c, n);
	free(c->ring);
	c->ring = more;
	c->cap = cap;
	return 0;
}

int runq_cpu_piece(struct runq_cpu *c, struct occupant *occupants, uint64_t *own_ns, uint32_t occ,
		   uint64_t to_ns)
{
	uint64_t ns = to_ns > c->since_ns ? to_ns - c->since_ns : 0;
	uint64_t irq_ns = c->irq_ns < ns ? c->irq_ns : ns;

	if (!ns)
		return 0;
	if (make_room(c, occupants))
		return -ENOMEM;
	*at(c, c->head++) =
		(struct piece){ .ns = ns, .irq_ns = irq_ns, .occ = occ, .change = c->next_change };
	c->next_change = 0;
	c->irq_ns -= irq_ns;
	c->sum_ns[occupants[occ].part] += ns - irq_ns;
	c->sum_ns[RUNQ_IRQ] += irq_ns;
	*own_ns += ns - irq_ns;
	c->since_ns = to_ns;
	return 0;
}

static void change(struct runq_cpu *c, uint64_t number, int by)
{
	if (number >= c->head)
		c->next_change += by;
	else
		at(c, number)->change += by;
}

void runq_cpu_wait(struct runq_cpu *c, uint64_t first, uint64_t last)
{
	if (first < c->tail)
		first = c->tail;
	if (first >= last)
		return;
	change(c, first, 1);
	change(c, last, -1);
}

void runq_cpu_finish(struct runq_cpu *c, struct occupant *occupants)
{
	while (c->tail < c->head)
		drop_oldest(c, occupants);
}
