// SPDX-License-Identifier: GPL-2.0-only
/* The names of whos: see who.h. Open addressing, linear probing, at most half full; who 0 is no key, so it marks a free slot. */
#include "report/who.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

struct slot {
	uint32_t who, tid;
	char comm[EV_COMM_LEN];
};

struct who_table {
	struct slot *slots;
	size_t size, used; /* size is a power of two */
};

#define SIZE_FIRST 256

struct who_table *who_new(void)
{
	struct who_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->size = SIZE_FIRST;
	table->slots = calloc(table->size, sizeof(*table->slots));
	if (!table->slots) {
		free(table);
		return NULL;
	}
	return table;
}

void who_free(struct who_table *table)
{
	if (!table)
		return;
	free(table->slots);
	free(table);
}

/* Its slot, or the free one where it belongs. */
static struct slot *find(const struct who_table *table, uint32_t who)
{
	size_t i = (who * 2654435761u) >> 7;

	while (table->slots[i & (table->size - 1)].who &&
	       table->slots[i & (table->size - 1)].who != who)
		i++;
	return &table->slots[i & (table->size - 1)];
}

static int grow(struct who_table *table)
{
	struct who_table larger = { .size = 2 * table->size, .used = table->used };

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i].who)
			*find(&larger, table->slots[i].who) = table->slots[i];
	free(table->slots);
	*table = larger;
	return 0;
}

int who_set(struct who_table *table, uint32_t who, uint32_t tid, const char *comm)
{
	struct slot *slot;

	if (who == WHO_IDLE)
		return 0;
	if (2 * (table->used + 1) > table->size && grow(table))
		return -ENOMEM;
	slot = find(table, who);
	if (!slot->who)
		table->used++;
	slot->who = who;
	if (tid)
		slot->tid = tid;
	memcpy(slot->comm, comm, sizeof(slot->comm));
	return 0;
}

const char *who_text(const struct who_table *table, uint32_t who, char *buf)
{
	char name[ESCAPE_SIZE(EV_COMM_LEN)];
	const struct slot *slot = who ? find(table, who) : NULL;

	if (!slot) {
		snprintf(buf, WHO_TEXT_SIZE, "idle/0");
		return buf;
	}
	if (slot->who)
		escape_terminal(name, sizeof(name), slot->comm, EV_COMM_LEN, true);
	else
		snprintf(name, sizeof(name), "?");
	if (who & WHO_UNTRACKED && who & WHO_OUTSIDE)
		snprintf(buf, WHO_TEXT_SIZE, "%s/outside", name);
	else if (who & WHO_UNTRACKED)
		snprintf(buf, WHO_TEXT_SIZE, "%s/%" PRIu32, name, who & ~WHO_UNTRACKED);
	else if (slot->tid)
		snprintf(buf, WHO_TEXT_SIZE, "%s/%" PRIu32, name, slot->tid);
	else
		snprintf(buf, WHO_TEXT_SIZE, "%s/#%" PRIu32, name, who);
	return buf;
}
