// SPDX-License-Identifier: GPL-2.0-only
/* See symbol_source.h. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "symbol_help.h"
#include "symbol_source.h"

/* A chain of inlined functions whose lines are known: level3 is called twice from level2, that from level1, that from outer. */
const char source_chain[] = "#define IN static inline __attribute__((always_inline))\n"
			    "IN int level3(volatile int *p) { return *p * 3; }\n"
			    "IN int level2(volatile int *p) {\n"
			    "	return level3(p) + 1 +\n"
			    "		level3(p + 1);\n"
			    "}\n"
			    "IN int level1(volatile int *p)\n"
			    "{\n"
			    "	return level2(p) ^ 5;\n"
			    "}\n"
			    "__attribute__((noinline)) int outer(volatile int *p)\n"
			    "{\n"
			    "	return level1(p) - 7;\n"
			    "}\n"
			    "int main(int argc, char **argv)\n"
			    "{\n"
			    "	volatile int a[2] = { argc, argv[0][0] };\n"
			    "	return outer(a);\n"
			    "}\n";

static const char cpp_source[] =
	"#include <algorithm>\n#include <functional>\n#include <map>\n#include <numeric>\n"
	"#include <string>\n#include <vector>\n"
	"namespace shop { template <typename T> struct Cart { std::vector<T> items;\n"
	" __attribute__((noinline)) T total() const\n"
	" { return std::accumulate(items.begin(), items.end(), T()); } };\n"
	"namespace { __attribute__((noinline)) int hidden(int x) {\n"
	" auto f = [&](int y) { return y * x + 1; };\n"
	" int s = 0; for (int i = 0; i < x; i++) s += f(i) ^ s; return s; } } }\n"
	"int main(int argc, char **argv) {\n"
	" shop::Cart<double> c; for (int i = 0; i < argc * 100; i++) c.items.push_back(i);\n"
	" std::map<std::string, int> m; for (int i = 0; i < argc; i++) m[argv[i]]++;\n"
	" std::vector<std::string> v; for (auto &p : m) v.push_back(p.first);\n"
	" std::sort(v.begin(), v.end(), [](const std::string &a, const std::string &b)\n"
	"  { return a.size() < b.size(); });\n"
	" std::function<int(int)> fn = [&](int z) { return z + argc; };\n"
	" return int(c.total()) + shop::hidden(argc) + fn(3) + v[0].size(); }\n";

void source_write(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

bool source_have(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", program);
	return !system(command); /* NOLINT(cert-env33-c) */
}

/* The executable bytes of a file: its widest executable segment. */
const struct elf_segment *source_code(const struct elf_symbols *s)
{
	const struct elf_segment *segs, *widest = NULL;
	size_t nr;

	segs = elf_symbols_segments(s, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (segs[i].flags & 1 && (!widest || segs[i].file_bytes > widest->file_bytes))
			widest = &segs[i];
	}
	assert_non_null(widest);
	return widest;
}

void source_build_cpp(const char *d, const char *flags, const char *name)
{
	source_write(d, "shop.cc", cpp_source);
	help_run("g++ %s -o %s/%s %s/shop.cc", flags, d, name, d);
}
