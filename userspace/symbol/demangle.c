// SPDX-License-Identifier: GPL-2.0-only
/* Demangling, bounded: see demangle.h. */
#include "symbol/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARTS 20000 /* nodes of the tree, each counted as often as it is shown */
#define MAX_DEPTH 512
#define MAX_SCOPES \
	50000 /* templates times references to their parameters: what libiberty reserves on the stack, 16 bytes each */
#define MAX_CONVERSIONS \
	12 /* operators that convert to a template's parameter: each is parsed twice, and what is in it too */

/* The name is printed in pieces; when there is no more room, printing is left by the jump: it holds no memory. */
struct out {
	char *text;
	size_t len;
	jmp_buf full;
};

static void put(const char *piece, size_t len, void *arg)
{
	struct out *out = arg;
	size_t room = DEMANGLE_MAX - 1 - out->len;

	if (len)
		memcpy(out->text + out->len, piece, len < room ? len : room);
	out->len += len < room ? len : room;
	if (len > room)
		longjmp(out->full, 1);
}

/* What a tree costs; parts that stand at several places are counted at each, which a made-up name has without end. */
struct size {
	size_t parts, templates, references;
	int depth;
};

typedef const struct demangle_component part;

static bool is_leaf(part *p)
{
	switch (p->type) {
	case DEMANGLE_COMPONENT_NAME:
	case DEMANGLE_COMPONENT_TEMPLATE_PARAM:
	case DEMANGLE_COMPONENT_FUNCTION_PARAM:
	case DEMANGLE_COMPONENT_SUB_STD:
	case DEMANGLE_COMPONENT_BUILTIN_TYPE:
	case DEMANGLE_COMPONENT_EXTENDED_BUILTIN_TYPE:
	case DEMANGLE_COMPONENT_OPERATOR:
	case DEMANGLE_COMPONENT_CHARACTER:
	case DEMANGLE_COMPONENT_NUMBER:
	case DEMANGLE_COMPONENT_UNNAMED_TYPE:
	case DEMANGLE_COMPONENT_TEMPLATE_TYPE_PARM:
		return true;
	default:
		return false;
	}
}

static part *left_of(part *p)
{
	switch (p->type) {
	case DEMANGLE_COMPONENT_CTOR:
		return p->u.s_ctor.name;
	case DEMANGLE_COMPONENT_DTOR:
		return p->u.s_dtor.name;
	case DEMANGLE_COMPONENT_EXTENDED_OPERATOR:
		return p->u.s_extended_operator.name;
	case DEMANGLE_COMPONENT_FIXED_TYPE:
		return p->u.s_fixed.length;
	case DEMANGLE_COMPONENT_LAMBDA:
	case DEMANGLE_COMPONENT_DEFAULT_ARG:
		return p->u.s_unary_num.sub;
	default:
		return p->u.s_binary.left;
	}
}

static part *right_of(part *p)
{
	switch (p->type) {
	case DEMANGLE_COMPONENT_CTOR:
	case DEMANGLE_COMPONENT_DTOR:
	case DEMANGLE_COMPONENT_EXTENDED_OPERATOR:
	case DEMANGLE_COMPONENT_FIXED_TYPE:
	case DEMANGLE_COMPONENT_LAMBDA:
	case DEMANGLE_COMPONENT_DEFAULT_ARG:
		return NULL;
	default:
		return p->u.s_binary.right;
	}
}

static bool measure(part *p, struct size *s)
{
	bool fits = true;

	if (!p)
		return true;
	if (++s->parts > MAX_PARTS || s->depth >= MAX_DEPTH)
		return false;
	if (is_leaf(p))
		return true;
	s->templates += p->type == DEMANGLE_COMPONENT_TEMPLATE;
	s->references += p->type == DEMANGLE_COMPONENT_REFERENCE ||
			 p->type == DEMANGLE_COMPONENT_RVALUE_REFERENCE;
	s->depth++;
	fits = measure(left_of(p), s) && measure(right_of(p), s);
	s->depth--;
	return fits;
}

static bool bounded(part *tree)
{
	struct size s = { 0 };

	return measure(tree, &s) && s.templates * s.references <= MAX_SCOPES;
}

static bool print_cpp(struct demangle_component *tree, struct out *out)
{
	if (setjmp(out->full))
		return true;
	return cplus_demangle_print_callback(DMGL_ANSI, tree, put, out);
}

/*
 * cplus_demangle_v3() tries two grammars for "sr" (what is looked up within a template's parameter): that of today's compilers, 1, and
 * an older one, 0. cplus_demangle_v3_components() leaves the variable that says which unset (binutils 2.40), so that it understands
 * a name or not by what was on the stack. This leaves the number there.
 */
enum { GRAMMAR_OLD, GRAMMAR_NEW };
#define STACK_INTS 512

static __attribute__((noinline)) void leave_on_stack(int number)
{
	volatile int left[STACK_INTS];

	for (int i = 0; i < STACK_INTS; i++)
		left[i] = number;
	(void)left[0];
}

static __attribute__((noinline)) struct demangle_component *
components(const char *name, int options, int grammar, void **ret_memory)
{
	leave_on_stack(grammar);
	return cplus_demangle_v3_components(name, options, ret_memory);
}

/* With parameters libiberty demands that the whole name is understood; without, whatever follows would do. */
static bool whole_is_cpp(const char *name, int grammar)
{
	void *memory = NULL;
	bool is = components(name, DMGL_ANSI | DMGL_PARAMS, grammar, &memory) != NULL;

	free(memory);
	return is;
}

static bool demangle_cpp(const char *name, struct out *out)
{
	int grammar = whole_is_cpp(name, GRAMMAR_NEW) ? GRAMMAR_NEW : GRAMMAR_OLD;
	struct demangle_component *tree;
	void *memory = NULL;
	bool done;

	if (grammar == GRAMMAR_OLD && !whole_is_cpp(name, grammar))
		return false;
	tree = components(name, DMGL_ANSI, grammar, &memory);
	done = tree && bounded(tree) && print_cpp(tree, out);
	free(memory);
	return done;
}

static bool demangle_rust(const char *name, struct out *out)
{
	if (setjmp(out->full))
		return true;
	return rust_demangle_callback(name, 0, put, out);
}

static bool many_conversions(const char *name)
{
	int nr = 0;

	while ((name = strstr(name, "cvT"))) {
		name += 3;
		nr++;
	}
	return nr > MAX_CONVERSIONS;
}

/* What compilers append: "foo.part.0.cold", "bar.llvm.1234". Most of it has a number; Go has dots in names of its own. */
static size_t without_suffixes(const char *name, size_t len)
{
	static const struct {
		const char *text;
		bool bare; /* also without a number */
	} suffixes[] = {
		{ ".cold", true },  { ".localalias", true }, { ".part", false },
		{ ".isra", false }, { ".constprop", false }, { ".lto_priv", false },
		{ ".llvm", false },
	};
	size_t end = len;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t own = strlen(suffixes[i].text), at = end;
		bool numbered;

		while (at && name[at - 1] >= '0' && name[at - 1] <= '9')
			at--;
		numbered = at && at < end && name[at - 1] == '.';
		at = numbered ? at - 1 : end;
		if ((numbered || suffixes[i].bare) && at > own &&
		    !memcmp(name + at - own, suffixes[i].text, own)) {
			end = at - own;
			i = SIZE_MAX; /* from the first one again */
		}
	}
	return end;
}

static bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

/* Only C++ has no dots within its names. */
static bool demangle_plain(char *plain, struct out *out)
{
	if (!is_mangled(plain) || many_conversions(plain))
		return false;
	if (demangle_rust(plain, out))
		return true;
	out->len = 0;
	plain[strcspn(plain, ".")] = '\0';
	return demangle_cpp(plain, out);
}

bool demangle(const char *name, char ret[DEMANGLE_MAX])
{
	char plain[DEMANGLE_MAX], text[DEMANGLE_MAX];
	struct out out = { .text = text };
	size_t len = strnlen(name, DEMANGLE_MAX), cut;

	if (len >= DEMANGLE_MAX)
		return false;
	cut = without_suffixes(name, len);
	memcpy(plain, name, cut);
	plain[cut] = '\0';
	if (demangle_plain(plain, &out) && out.len) {
		memcpy(ret, text, out.len);
		ret[out.len] = '\0';
		return true;
	}
	if (cut == len || is_mangled(name))
		return false;
	memcpy(ret, name, cut);
	ret[cut] = '\0';
	return true;
}
