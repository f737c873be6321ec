/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a pass keeps of each thread, by the thread's serial: pages of a few records, made as they are met, all zeros at first.
 * Records stay where they are. Only for serials of threads that the ledger knows: those cannot be made large by a hostile trace.
 */
#ifndef WHYSCALE_ANALYSIS_SERIAL_MAP_H
#define WHYSCALE_ANALYSIS_SERIAL_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SERIAL_MAP_PAGE 16u

struct serial_map {
	size_t bytes; /* of a record: set by the owner */
	char **page;
	size_t nr_pages;
};

/* NULL: none was made. */
static inline void *serial_map_find(const struct serial_map *m, uint32_t serial)
{
	size_t page = serial / SERIAL_MAP_PAGE;

	if (page >= m->nr_pages || !m->page[page])
		return NULL;
	return m->page[page] + serial % SERIAL_MAP_PAGE * m->bytes;
}

/* Finds or makes it; NULL when out of memory. */
static inline void *serial_map_make(struct serial_map *m, uint32_t serial)
{
	size_t page = serial / SERIAL_MAP_PAGE;

	if (page >= m->nr_pages) {
		size_t nr = 2 * page + 16;
		char **more = realloc(m->page, nr * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + m->nr_pages, 0, (nr - m->nr_pages) * sizeof(*more));
		m->page = more;
		m->nr_pages = nr;
	}
	if (!m->page[page])
		m->page[page] = calloc(SERIAL_MAP_PAGE, m->bytes);
	return m->page[page] ? m->page[page] + serial % SERIAL_MAP_PAGE * m->bytes : NULL;
}

/* The first record (of a page that was made) with a serial of at least *serial, which moves on behind it; NULL: no more. */
static inline void *serial_map_next(const struct serial_map *m, uint32_t *serial)
{
	for (; *serial / SERIAL_MAP_PAGE < m->nr_pages; ++*serial) {
		if (!m->page[*serial / SERIAL_MAP_PAGE])
			*serial |= SERIAL_MAP_PAGE - 1;
		else
			return serial_map_find(m, (*serial)++);
	}
	return NULL;
}

static inline void serial_map_free(struct serial_map *m)
{
	for (size_t i = 0; i < m->nr_pages; i++)
		free(m->page[i]);
	free(m->page);
	m->page = NULL;
	m->nr_pages = 0;
}

#endif
