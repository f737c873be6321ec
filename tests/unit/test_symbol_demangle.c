// SPDX-License-Identifier: GPL-2.0-only
/* Demangled names: by rule, against c++filt, and names made up to be costly. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "symbol/demangle.h"
#include "symbol/names.h"
#include "symbol_help.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void test_rules(void **state)
{
	static const struct {
		const char *mangled, *expected; /* NULL: is left as it is */
	} cases[] = {
		{ "main", NULL },
		{ "", NULL },
		{ "_", NULL },
		{ "_Z", NULL },
		{ "_ZZZZ", NULL },
		{ "_Z3foov", "foo" },
		{ "_ZN2ns1AIiE1fEv", "ns::A<int>::f" },
		{ "_ZNK2ns1AIiE1fERKS1_", "ns::A<int>::f" },
		{ "_ZNKSs4sizeEv", "std::string::size" },
		{ "_ZN12_GLOBAL__N_11fEi", "(anonymous namespace)::f" },
		{ "_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()" },
		{ "_Z3foov.cold", "foo" },
		{ "_Z3foov.part.0.isra.1", "foo" },
		{ "_Z3foov.llvm.12345", "foo" },
		{ "_Z3foov_and_more", NULL },
		{ "foo.cold", "foo" },
		{ "foo.constprop.0", "foo" },
		{ "foo.part.0.cold", "foo" },
		{ "foo.cold.1", "foo" },
		{ ".cold", NULL },
		{ "main.main", NULL },
		{ "runtime.mcall", NULL },
		{ "net/http.(*part).isra", NULL },
		{ "main.part", NULL },
		{ "foo.cold1", NULL },
		{ "foo.1", NULL },
		{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
		{ "_ZN54_$LT$i32$u20$as$u20$core..iter..traits..accum..Sum$GT$3sum17hf1dedc8fcd91c357E",
		  "<i32 as core::iter::traits::accum::Sum>::sum" },
		{ "_RNvCskwGfYPst2Cb_3foo4main", "foo::main" },
		{ "_RNvCskwGfYPst2Cb_3foo4main.llvm.99", "foo::main" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[DEMANGLE_MAX] = "untouched";
		bool done = demangle(cases[i].mangled, got);

		if (done != (cases[i].expected != NULL))
			fail_msg("%s: %s", cases[i].mangled, got);
		if (cases[i].expected)
			assert_string_equal(got, cases[i].expected);
		else if (!done)
			assert_string_equal(got, "untouched");
	}
}

/* Every mangled name of a C++ library, as c++filt says it. */
static void test_as_cxxfilt(void **state)
{
	char command[PATH_MAX + 128], mangled[8192], expected[65536], got[DEMANGLE_MAX], buf[64];
	char *d = help_dir_new(buf), path[128], library[PATH_MAX];
	size_t nr = 0;
	FILE *names, *filt;

	(void)state;
	if (system("c++filt --version >/dev/null 2>&1"))
		skip();
	snprintf(library, sizeof(library), "/usr/lib/%s-linux-gnu/libstdc++.so.6",
#ifdef __x86_64__
		 "x86_64"
#else
		 "aarch64"
#endif
	);
	if (access(library, R_OK))
		skip();
	snprintf(path, sizeof(path), "%s/names", d);
	help_run("nm -D %s | sed 's/.* //; s/@.*//' | grep '^_Z' | sort -u >%s", library, path);
	snprintf(command, sizeof(command), "c++filt -p -i <%s", path);
	names = fopen(path, "re");
	filt = popen(command, "re");
	assert_true(names && filt);
	while (fgets(mangled, sizeof(mangled), names) && fgets(expected, sizeof(expected), filt)) {
		mangled[strcspn(mangled, "\n")] = expected[strcspn(expected, "\n")] = '\0';
		if (strlen(expected) >= DEMANGLE_MAX)
			continue;
		if (!demangle(mangled, got))
			strcpy(got, mangled);
		if (strcmp(got, expected))
			fail_msg("%s: %s, not %s", mangled, got, expected);
		nr++;
	}
	pclose(filt);
	fclose(names);
	assert_true(nr > 3000);
	help_dir_remove(d);
}

/* A substitution, S_ S0_ ... S9_ SA_ ... */
static void append_seq(char *name, unsigned int n)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char text[16] = "S_";

	if (n > 36)
		snprintf(text, sizeof(text), "S%c%c_", digits[(n - 1) / 36], digits[(n - 1) % 36]);
	else if (n)
		snprintf(text, sizeof(text), "S%c_", digits[n - 1]);
	strcat(name, text);
}

/* f<P<A,A>, P<that,that>, P<that,that>, ...>: each level twice as long as the one before. */
static void doubling(char *name, unsigned int levels)
{
	strcpy(name, "_Z1fI1PI1AS1_E");
	for (unsigned int i = 0; i < levels; i++) {
		strcat(name, "S0_I");
		append_seq(name, 2 + i);
		append_seq(name, 2 + i);
		strcat(name, "E");
	}
	strcat(name, "Evv");
}

static void repeat(char *name, const char *begin, const char *middle, size_t times, const char *end)
{
	strcpy(name, begin);
	name += strlen(name);
	for (size_t i = 0; i < times; i++)
		name = stpcpy(name, middle);
	strcpy(name, end);
}

static void test_costly_names(void **state)
{
	static char name[16384], got[DEMANGLE_MAX];
	uint64_t begin = monotonic_ns();
	size_t done = 0;

	(void)state;
	for (unsigned int levels = 1; levels < 100; levels++) {
		doubling(name, levels);
		done += demangle(name, got);
		assert_true(strlen(got) < DEMANGLE_MAX);
	}
	/* the small ones are demangled, the large ones are not */
	assert_true(done >= 5 && done < 30);
	for (size_t times = 1; times < 2000; times = times * 3 / 2 + 1) {
		static const char *const middles[] = { "cvT_I",   "N",   "P",    "DpT_",
						       "1PIiS0_", "B0_", "TB1_", "NvC1a1b",
						       "IJ",      "F",   "A_",   "X" };

		for (size_t i = 0; i < ARRAY_SIZE(middles); i++) {
			repeat(name, "_Z1fI", middles[i], times, "iEvv");
			demangle(name, got);
			repeat(name, "_R", middles[i], times, "E");
			demangle(name, got);
			repeat(name, "_ZN", middles[i], times, "1aEv");
			demangle(name, got);
		}
	}
	assert_true(monotonic_ns() - begin < 5 * NSEC_PER_SEC);
}

/* Changed at random: whatever comes out fits, and soon. */
static void test_mangled_names(void **state)
{
	static const char *const seeds[] = {
		"_ZNSt6vectorISt4pairISsiESaIS1_EE17_M_realloc_insertIJRKS1_EEEvN9__gnu_cxx17__normal_iteratorIPS1_S3_EEDpOT_",
		"_ZZN4llvm12function_refIFvNS_9StringRefEEE11callback_fnIZNS_2cl6Option3addEvEUlS1_E_EEvlS1_ENKUlT_E_clIiEEDaS9_",
		"_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
		"_ZN54_$LT$i32$u20$as$u20$core..iter..traits..accum..Sum$GT$3sum17hf1dedc8fcd91c357E",
	};
	uint64_t random = 88172645463325252u, begin = monotonic_ns();
	char name[512], got[DEMANGLE_MAX];
	size_t done = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int changes;

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		strcpy(name, seeds[random % ARRAY_SIZE(seeds)]);
		changes = (int)(random >> 8) % 6;
		for (int j = 0; j < changes; j++) {
			size_t to, from;

			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			to = 2 + random % (strlen(name) - 2);
			from = (random >> 20) % strlen(name);
			name[to] = random >> 40 & 1 ? name[from] : (char)(33 + (random >> 44) % 90);
		}
		done += demangle(name, got);
	}
	assert_true(done > 20000);
	assert_true(monotonic_ns() - begin < 10 * NSEC_PER_SEC);
}

static void test_kept_names(void **state)
{
	struct names n = { 0 };
	const char *first = names_demangled(&n, "_Z3foov"), *plain = names_keep(&n, "plain");
	char text[32];

	(void)state;
	assert_string_equal(first, "foo");
	assert_ptr_equal(names_demangled(&n, "_Z3foov"), first);
	assert_ptr_equal(names_keep(&n, "foo"), first);
	assert_ptr_equal(names_demangled(&n, "plain"), plain);
	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "name %d", i);
		assert_string_equal(names_keep(&n, text), text);
	}
	assert_ptr_equal(names_keep(&n, "plain"), plain);
	assert_ptr_equal(names_demangled(&n, "_Z3foov"), first);
	assert_string_equal(first, "foo");
	names_free(&n);
}

/* So many words of the stack below are this number. */
static __attribute__((noinline)) void fill_stack(int number)
{
	volatile int area[1 << 14];

	for (size_t i = 0; i < ARRAY_SIZE(area); i++)
		area[i] = number;
}

/* Names that libiberty understands or not by what is on the stack; by c++filt -p they are these. */
static void test_whatever_was_there(void **state)
{
	static const struct {
		const char *mangled, *expected;
	} cases[] = {
		{ "_ZN4llvm7hashing6detail23hash_combine_range_implIKPKNS_4SCEVEEENSt9enable_ifIXsr16is_hashable_dataIT_EE"
		  "5valueENS_9hash_codeEE4typeEPS8_SC_",
		  "llvm::hashing::detail::hash_combine_range_impl<llvm::SCEV const* const>" },
		{ "_ZSt4swapIN4llvm15FunctionSummary11ParamAccess4CallEENSt9enable_ifIXsr6__and_ISt6__not_ISt15__is_tuple_"
		  "likeIT_EESt21is_move_constructibleIS7_ESt18is_move_assignableIS7_EEE5valueEvE4typeERS7_SG_",
		  "std::swap<llvm::FunctionSummary::ParamAccess::Call>" },
		{ "_Z1fIiENSt9enable_ifIXsr3std11is_integralIT_EE5valueEvE4typeES1_", "f<int>" },
		{ "_Z1fIiEDTcl1gsrT_1xEES0_", "f<int>" },
	};
	static const int left[] = { 0, 1, -1, 2, INT_MAX, INT_MIN };
	char got[DEMANGLE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < ARRAY_SIZE(left); j++) {
			fill_stack(left[j]);
			assert_true(demangle(cases[i].mangled, got));
			assert_string_equal(got, cases[i].expected);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),        cmocka_unit_test(test_as_cxxfilt),
		cmocka_unit_test(test_costly_names), cmocka_unit_test(test_mangled_names),
		cmocka_unit_test(test_kept_names),   cmocka_unit_test(test_whatever_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
