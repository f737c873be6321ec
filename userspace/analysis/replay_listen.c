// SPDX-License-Identifier: GPL-2.0-only
/* What a replay notes while events come, as nobody keeps it: which lock a wait was for, and the migrations in front of a time on a CPU. */
#include <errno.h>
#include <stdlib.h>

#include "analysis/replay_impl.h"
#include "analysis/serial_map.h"
#include "base/vec.h"

/* It ran: was it moved since it ran last? Where it is put when it is made is no move: it has nothing in a cache. */
static void on_ran(struct replay_source *s, const struct thread *t, uint64_t to_ns)
{
	struct replay_moves *m = serial_map_make(s->moves, t->serial);
	uint64_t nr = m && m->ran ? t->migrations - m->seen : 0;

	if (!m || (nr && vec_room(&m->at, &m->cap, m->nr + 1))) {
		s->failed = -ENOMEM;
		return;
	}
	m->ran = true;
	m->seen = t->migrations;
	if (nr)
		m->at[m->nr++] =
			(struct replay_move){ .to_ns = to_ns,
					      .nr = nr < UINT16_MAX ? (uint16_t)nr : UINT16_MAX };
}

static void on_interval(void *arg, const struct thread *t, uint64_t from_ns, uint64_t to_ns,
			enum ledger_class class)
{
	struct replay_source *s = arg;
	struct replay_waits *w;

	if (class == CLASS_ONCPU && to_ns > from_ns)
		on_ran(s, t, to_ns);
	if (!t->waits_on || (class != CLASS_LOCK && class != CLASS_GIL))
		return;
	w = serial_map_make(s->waits, t->serial);
	if (!w || vec_room(&w->at, &w->cap, w->nr + 1)) {
		s->failed = -ENOMEM;
		return;
	}
	w->at[w->nr++] = (struct replay_wait){ .to_ns = to_ns,
					       .lock = t->waits_on,
					       .none = to_ns == from_ns };
}

int replay_listen(struct ledger *l, struct replay_source **ret_source)
{
	struct replay_source *s = calloc(1, sizeof(*s));

	if (s) {
		s->waits = calloc(1, sizeof(*s->waits));
		s->moves = calloc(1, sizeof(*s->moves));
	}
	if (!s || !s->waits || !s->moves) {
		if (s) {
			free(s->waits);
			free(s->moves);
		}
		free(s);
		return -ENOMEM;
	}
	s->ledger = l;
	s->waits->bytes = sizeof(struct replay_waits);
	s->moves->bytes = sizeof(struct replay_moves);
	ledger_watch(l, on_interval, s);
	*ret_source = s;
	return 0;
}

void replay_source_free(struct replay_source *s)
{
	struct replay_waits *w;
	struct replay_moves *m;
	uint32_t serial = 0;

	if (!s)
		return;
	while ((w = serial_map_next(s->waits, &serial)))
		free(w->at);
	serial = 0;
	while ((m = serial_map_next(s->moves, &serial)))
		free(m->at);
	serial_map_free(s->waits);
	serial_map_free(s->moves);
	free(s->waits);
	free(s->moves);
	free(s);
}
