// SPDX-License-Identifier: GPL-2.0-only
/*
 * A curve from traces: programs that follow Gunther's law by construction, on one to four CPUs, written as traces and read back.
 *
 *   A  |= sigma W alone =|= (1 - sigma) W / n + kappa W (n - 1) =|        T(n) = W / n (1 + sigma (n - 1) + kappa n (n - 1))
 *   B                    |= the same ============================|
 *   ...                                                                    n workers, each on a CPU of its own
 *
 * So the work of one grows with n: real inflation. The fits must find sigma and kappa, the measurement too, each by itself, and they must be
 * said to agree; where only one of the two is there, the other one is nothing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/sweep.h"
#include "trace_text.h"

#define WORK 1000000000.0 /* ns of one worker */
#define BEGIN 1000u
#define MOST TRACE_TEXT_CPUS

struct law {
	double sigma, kappa;
};

static uint64_t alone_ns(const struct law *law)
{
	return (uint64_t)(law->sigma * WORK);
}

static uint64_t each_ns(const struct law *law, unsigned int n)
{
	return (uint64_t)((1 - law->sigma) * WORK / n + law->kappa * WORK * (n - 1));
}

/* Times of the text are in ns. */
static void write_trace(const char *path, const struct law *law, unsigned int n)
{
	uint64_t at = BEGIN + alone_ns(law), end = at + each_ns(law, n);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	json_t *meta = json_pack("{s:s,s:{s:i},s:{s:I},s:I}", "arch", "x86_64", "machine", "cpus",
				 TRACE_TEXT_CPUS, "clock", "epoch_ns", (json_int_t)5000, "ended_ns",
				 (json_int_t)end);

	assert_non_null(f);
	fprintf(f, "%u cpu0 snap A tid=1 oncpu\n", BEGIN);
	for (unsigned int i = 1; i < n; i++)
		fprintf(f,
			"%" PRIu64 " cpu0 fork A > %c tid=%u\n%" PRIu64
			" cpu%u wakeup %c new\n%" PRIu64 " cpu%u switch idle %c\n",
			at, 'A' + i, i + 1, at, i, 'A' + i, at, i, 'A' + i);
	for (unsigned int i = 0; i < n; i++)
		fprintf(f, "%" PRIu64 " cpu%u switch %c/X idle\n", end, i, 'A' + i);
	fclose(f);
	trace_text_write(path, meta, text);
	json_decref(meta);
	free(text);
}

static void make_point(struct sweep_point *p, const struct law *law, unsigned int n)
{
	char path[] = "/tmp/test_sweep_traces.XXXXXX";
	struct err err = {};

	close(mkstemp(path));
	write_trace(path, law, n);
	*p = (struct sweep_point){ .n = n, .runs = 1, .wall_ns = calloc(1, sizeof(uint64_t)) };
	if (sweep_run_load(path, n, MOST, &p->median, &err))
		fail_msg("%s", err.msg);
	unlink(path);
	p->wall_ns[0] = p->median.wall_ns;
}

static void make_sweep(struct sweep *s, const struct law *law)
{
	*s = (struct sweep){
		.point = calloc(MOST, sizeof(*s->point)), .nr = MOST, .cpus = MOST, .bpf = true
	};
	for (unsigned int n = 1; n <= MOST; n++)
		make_point(&s->point[n - 1], law, n);
	sweep_conclude(s);
}

static void near(const struct law *law, const char *what, double got, double wanted,
		 double tolerance)
{
	if (!(fabs(got - wanted) <= tolerance))
		fail_msg("sigma %g, kappa %g: %s is %g, not %g", law->sigma, law->kappa, what, got,
			 wanted);
}

static void check_point(const struct law *law, const struct sweep_point *p)
{
	const struct stack *s = &p->median.stack;
	double wall = (double)alone_ns(law) + (double)each_ns(law, p->n), sum = 0;

	near(law, "the wall time", (double)p->median.wall_ns, wall, 0);
	for (int part = 0; part < STACK_NR; part++)
		sum += (double)s->part_ns[part];
	near(law, "the stack's sum", sum, wall * p->n, 0);
	assert_int_equal(p->median.run.lost_events, 0);
	if (p->n == 1)
		return;
	near(law, "exclusive", p->share[SHARE_EXCLUSIVE], law->sigma, 1e-6);
	near(law, "inflation", p->share[SHARE_INFLATION], law->kappa * p->n, 1e-6);
	near(law, "Karp and Flatt's", p->karp_flatt, law->sigma + law->kappa * p->n, 1e-6);
	/* and of the inflation nothing is known but how large it is */
	assert_true(p->inflation.known);
	near(law, "unexplained", (double)p->inflation.piece[INFLATION_UNEXPLAINED].ns,
	     law->kappa * WORK * p->n * (p->n - 1), 10);
}

static void check_law(const struct law *law)
{
	const struct fit *usl, *amdahl;
	struct sweep s;

	make_sweep(&s, law);
	for (size_t i = 0; i < s.nr; i++)
		check_point(law, &s.point[i]);
	usl = &s.fit[LAW_USL];
	amdahl = &s.fit[LAW_AMDAHL];
	assert_true(usl->ok && amdahl->ok);
	near(law, "sigma", usl->value[FIT_SIGMA], law->sigma, 1e-4);
	near(law, "kappa", usl->value[FIT_KAPPA], law->kappa, 1e-5);
	/* the curve that was fitted gives the time of n that were not measured, too */
	near(law, "the speedup of 8", sweep_curve(&s, usl, 8),
	     8 / (1 + law->sigma * 7 + law->kappa * 56), 0.01);
	near(law, "measured sigma", s.check[CHECK_SIGMA].measured, law->sigma, 1e-6);
	near(law, "measured kappa", s.check[CHECK_KAPPA].measured, law->kappa, 1e-6);
	assert_true(s.check[CHECK_SIGMA].known && s.check[CHECK_KAPPA].known);
	assert_true(s.check[CHECK_SIGMA].agrees && s.check[CHECK_KAPPA].agrees);
	/* Amdahl's law has one parameter for both, and the measurement says that it is not serial */
	if (law->kappa == 0)
		near(law, "the serial share", amdahl->value[FIT_SIGMA], law->sigma, 1e-4);
	else
		assert_true(amdahl->value[FIT_SIGMA] > law->sigma + law->kappa);
	sweep_free(&s);
}

static void test_grid(void **state)
{
	static const double sigmas[] = { 0, 0.05, 0.25, 0.5 }, kappas[] = { 0, 0.001, 0.02, 0.1 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++)
			check_law(&(struct law){ sigmas[i], kappas[k] });
}

static void test_random(void **state)
{
	uint64_t random = 20;

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct law law;

		random = random * 6364136223846793005u + 1442695040888963407u;
		law.sigma = (double)(random >> 40 & 0xffff) / 0x10000 * 0.6;
		law.kappa = (double)(random >> 20 & 0xffff) / 0x10000 * 0.12;
		check_law(&law);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grid),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
