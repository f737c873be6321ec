/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sweep says in sentences: of each point the findings that a run has (finding.h), and of the curve whether the laws that were fitted to
 * it say the same as what was measured.
 *
 * A finding about the curve has lost_ns 0, and "about" in its evidence: "serial" (Amdahl's s), "contention" (sigma), "coherency" (kappa),
 * "points" (what was left out of the fits, and why), "threads" (more of them than n).
 */
#ifndef WHYSCALE_EXPLAIN_SWEEP_FINDINGS_H
#define WHYSCALE_EXPLAIN_SWEEP_FINDINGS_H

#include "analysis/sweep.h"
#include "explain/finding.h"

struct sweep_findings {
	struct findings *point; /* [sweep->nr]; of a point that failed: none */
	size_t nr;
	struct findings curve;
};

/* After sweep_conclude(). Release with sweep_findings_free(), also after an error: -ENOMEM. */
int sweep_findings_make(const struct sweep *s, struct sweep_findings *ret);
void sweep_findings_free(struct sweep_findings *f);

/* A share in words: "waiting for what only one can have". */
const char *sweep_share_words(enum sweep_share share);

#endif
