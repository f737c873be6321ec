/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fits scaling laws to measured times: how long a fixed amount of work takes n workers.
 *
 * Amdahl (G. M. Amdahl, "Validity of the single processor approach", AFIPS 1967): a share s of the work is done by one at a time.
 *
 *     T(n) = T(1) (s + (1 - s) / n)                        = T(1) (1 + s (n - 1)) / n
 *
 * USL, the Universal Scalability Law (N. J. Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4): sigma is contention
 * (queueing for what only one can have), kappa coherency (each pair of workers costs something). Amdahl's law is its case kappa = 0.
 *
 *     T(n) = T(1) (1 + sigma (n - 1) + kappa n (n - 1)) / n
 *
 * Karp and Flatt ("Measuring Parallel Processor Performance", CACM 33(5), 1990): the serial fraction that a single speedup S would mean.
 *
 *     e(n) = (1 / S - 1 / n) / (1 - 1 / n)                  = (n T(n) - T(1)) / ((n - 1) T(1))
 *
 * The fit minimises the squares of the differences of the logarithms, ln T - ln T(n): times err by a share of themselves, so a long one
 * counts no more than a short one. Levenberg's and Marquardt's method (Marquardt, SIAM J. 11, 1963), each step projected onto the bounds
 * 0 <= s, sigma <= 1 and kappa >= 0, and parameters at a bound that the sum would like to leave are held there.
 */
#ifndef WHYSCALE_ANALYSIS_FIT_H
#define WHYSCALE_ANALYSIS_FIT_H

#include <stdbool.h>
#include <stddef.h>

enum fit_model { FIT_AMDAHL, FIT_USL };

/* Parameters: of either law. FIT_KAPPA only of the USL. */
enum fit_parameter { FIT_ONE, FIT_SIGMA, FIT_KAPPA, FIT_PARAMETERS };

struct fit_sample {
	double n;    /* workers, at least 1; need not be whole (what CPUs were worth) */
	double time; /* above 0, in any unit */
};

struct fit {
	enum fit_model model;
	bool ok;                  /* else `why` says what was missing, and nothing below holds */
	char why[160];            /* also when ok: why there are no standard errors, or "" */
	size_t samples, distinct; /* how many times; of how many different n */
	/*
	 * FIT_ONE: T(1), in the samples' unit. se: standard errors, sqrt(RSS / (samples - parameters) * inverse(J'J)), J the derivatives
	 * at the solution; NAN where there are as many samples as parameters. `bound`: the parameter is held at 0 or 1 (its se is then
	 * what it would be without the bound, that of the others is theirs with it held).
	 */
	double value[FIT_PARAMETERS], se[FIT_PARAMETERS];
	bool bound[FIT_PARAMETERS];
	double residual; /* sqrt(RSS / (samples - parameters)): relative; NAN as se */
};

/* Fits; n are told apart when they differ by more than a hundredth. Fewer different n than parameters, or a bad sample: !ok. */
void fit_make(enum fit_model model, const struct fit_sample *sample, size_t nr, struct fit *ret);

/* Parameters of a model: 2 or 3. */
size_t fit_parameters(enum fit_model model);

/* T(n) of a fit that is ok. */
double fit_time(const struct fit *f, double n);

/* Where the USL's curve is highest: sqrt((1 - sigma) / kappa) (Gunther 2007); INFINITY when it never falls. */
double fit_peak(const struct fit *f);

/* Karp and Flatt's e for a speedup over one worker; NAN for n <= 1 or a speedup of 0. */
double fit_karp_flatt(double speedup, double n);

#endif
