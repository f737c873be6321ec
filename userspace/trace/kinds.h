/* SPDX-License-Identifier: GPL-2.0-only */
/* How long a record of each kind is at least. */
#ifndef WHYSCALE_TRACE_KINDS_H
#define WHYSCALE_TRACE_KINDS_H

#include <stdint.h>

#include "bpf/events.h"

/* Words of each kind's struct; a record may be longer (a later version), not shorter. 0: a kind not known. */
extern const uint8_t trace_kind_words[1u << EV_KIND_BITS];

#endif
