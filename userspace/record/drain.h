/* SPDX-License-Identifier: GPL-2.0-only */
/* Empties the CPUs' buffers into the trace, without looking into the records: only word 0's length and whether it is there. */
#ifndef WHYSCALE_RECORD_DRAIN_H
#define WHYSCALE_RECORD_DRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "probes/probe.h"
#include "trace/writer.h"

/*
 * Takes what every buffer holds now. ret_fill: the fullest buffer's share, in 1/1024. Adds to *records what was taken. Updates *safe_ns to a moment such that
 * every older record has been taken, where no buffer ends in a record that is still being written.
 */
int drain_buffers(const struct probe_env *env, struct trace_writer *w, uint64_t *safe_ns,
		  unsigned int *ret_fill, uint64_t *records, struct err *err);

/* After the last drain: writes EV_LOST for drops that no later record announced. */
int drain_last_losses(const struct probe_env *env, struct trace_writer *w, struct err *err);

#endif
