/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `record --keep`: a flight recorder. The last seconds are held in memory (trace/keep.h) and become a file when the recording ends,
 * or, while it goes on, at each SIGUSR2: NAME.YYYYMMDD-hhmmss.mmm beside NAME.
 */
#ifndef WHYSCALE_RECORD_KEEP_H
#define WHYSCALE_RECORD_KEEP_H

#include "record/recording.h"

/* Opens rec->writer, without a file; finds out whether the file at the end can be made. Fails as output_create(). */
int keep_open(struct recording *rec, struct err *err);

/* After each drain: begins a new group where one is due, writes a snapshot where one was asked for. */
int keep_tick(struct recording *rec, struct err *err);

/* Adds what was let go of to the last META, and takes the losses of before out of it. */
void keep_meta(struct recording *rec, json_t *meta);

/* Writes the file at the end. `meta`: the last one. */
int keep_save(struct recording *rec, const json_t *meta, struct err *err);

/* Waits for a snapshot that is still being written. */
void keep_wait(struct recording *rec);

#endif
