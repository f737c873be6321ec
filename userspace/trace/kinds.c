// SPDX-License-Identifier: GPL-2.0-only
/* The sizes of records: see kinds.h. */
#include "trace/kinds.h"

const uint8_t trace_kind_words[1u << EV_KIND_BITS] = {
	[EV_SWITCH] = EV_WORDS_OF(struct ev_switch),
	[EV_WAKE] = EV_WORDS_OF(struct ev_wake),
	[EV_WAKEUP] = EV_WORDS_OF(struct ev_wake),
	[EV_MIGRATE] = EV_WORDS_OF(struct ev_migrate),
	[EV_FORK] = EV_WORDS_OF(struct ev_thread),
	[EV_SNAP] = EV_WORDS_OF(struct ev_thread),
	[EV_EXEC] = EV_WORDS_OF(struct ev_exec),
	[EV_EXIT] = EV_WORDS_OF(struct ev_exit),
	[EV_NAME] = EV_WORDS_OF(struct ev_name),
	[EV_BOOKS] = EV_WORDS_OF(struct ev_books),
	[EV_TASK] = EV_WORDS_OF(struct ev_task),
	[EV_MISSED] = EV_WORDS_OF(struct ev_missed),
	[EV_LOST] = EV_WORDS_OF(struct ev_lost),
	[EV_FUTEX] = EV_WORDS_OF(struct ev_futex),
	[EV_STACK] = EV_WORDS_OF(struct ev_stack),
	[EV_KLOCK] = EV_WORDS_OF(struct ev_klock),
	[EV_KLOCK_END] = EV_WORDS_OF(struct ev_klock),
	[EV_IRQ] = EV_WORDS_OF(struct ev_irq),
	[EV_CALLS] = EV_WORDS_OF(struct ev_calls),
	[EV_KSTACK] = EV_WORDS_OF(struct ev_frames),
	[EV_USTACK] = EV_WORDS_OF(struct ev_ustack),
	[EV_UFRAMES] = EV_WORDS_OF(struct ev_frames),
	[EV_PYSTACK] = EV_WORDS_OF(struct ev_pystack),
	[EV_PYCODE] = EV_WORDS_OF(struct ev_pycode),
	[EV_COUNTS] = COUNTS_WORDS(1, 0),
	[EV_UNBOOKED] = EV_WORDS_OF(struct ev_unbooked),
};

_Static_assert(EV_UNBOOKED + 1 == EV_KIND_NR, "a new kind needs its line in trace_kind_words");
