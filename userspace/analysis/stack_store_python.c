// SPDX-License-Identifier: GPL-2.0-only
/*
 * Python frames into native stacks, in the place of the interpreter's loop:
 *
 *   native   main  Py_RunMain  eval  vectorcall  eval  list_sort  vectorcall  eval  dict_lookup
 *   Python                     <module>, f       |     |                      key                    f: PY_ENTRY is <module>'s only
 *                                                g
 *   shown    main  Py_RunMain  <module>  f       g     list_sort              key   dict_lookup
 *
 * A native frame of the loop (eval) serves the Python frames up to the one that entered it (PY_ENTRY): a group. Loops and groups are
 * matched from the outermost, so that a loop that has no Python frame yet, or none any more, is the innermost one; when the outermost
 * loops or groups may be cut off, from the innermost. What is left over of the groups stands outermost (innermost, if nothing is cut), of the loops as
 * native frames. Between loops, and beside them, functions that do nothing but lead from one to the next are left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/calls.h"
#include "analysis/stack_store_impl.h"
#include "base/vec.h"
#include "symbol/python_lines.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- native frames ---- */

static bool is_one_of(const char *name, size_t len, const char *const *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strlen(list[i]) == len && !memcmp(list[i], name, len))
			return true;
	return false;
}

static bool begins_with_one_of(const char *name, const char *const *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(name, list[i], strlen(list[i])))
			return true;
	return false;
}

/* A function of the interpreter, as the versions from 3.8 to 3.13 call them; parts that a compiler split off are its own ("f.cold"). */
static enum py_role role_by_name(const char *name)
{
	static const char *const dispatch[] = {
		"_PyEval_EvalFrame",
		"PyEval_EvalFrame",
		"PyEval_EvalFrameEx",
		"_PyEval_Vector",
		"_PyEval_EvalCodeWithName",
		"_PyEval_EvalCode",
		"function_code_fastcall",
		"call_function",
		"do_call_core",

		"method_call",
		"vectorcall_method",
		"vectorcall_unbound",
		"vectorcall_maybe",
		"slot_tp_call",
		"slot_tp_init",
		"type_call",
		"object_vacall",
		"trace_call_function",
		"partial_vectorcall",
		"_PyFunction_Vectorcall",
		"_PyFunction_FastCallDict",
	};
	static const char *const beginnings[] = {
		"PyObject_Call",        "_PyObject_Call",     "PyObject_Vectorcall",
		"_PyObject_Vectorcall", "_PyObject_FastCall", "_PyObject_MakeTpCall",
		"cfunction_vectorcall", "cfunction_call",     "method_vectorcall",
		"PyVectorcall_",        "_PyVectorcall_",     "[python",
		"[libpython",
	};
	static const char *const starts[] = { "Py_RunMain",      "Py_BytesMain", "Py_Main",
					      "pymain_main",     "thread_run",   "t_bootstrap",
					      "pythread_wrapper" };
	size_t len = strcspn(name, ". ");

	if (is_one_of(name, len, starts, LEN(starts)))
		return PY_START;
	if (is_one_of(name, len, (const char *const[]){ "_PyEval_EvalFrameDefault" }, 1))
		return PY_LOOP;
	if (is_one_of(name, len, dispatch, LEN(dispatch)) ||
	    begins_with_one_of(name, beginnings, LEN(beginnings)))
		return PY_DISPATCH;
	return PY_NATIVE;
}

static int grow_roles(struct stack_store *s, uint32_t name)
{
	if (vec_room(&s->role, &s->cap_roles, (size_t)name + 1))
		return -ENOMEM;
	memset(s->role + s->nr_roles, PY_UNKNOWN, s->cap_roles - s->nr_roles);
	s->nr_roles = s->cap_roles;
	return 0;
}

static enum py_role role_of(struct stack_store *s, const struct flame_frame *f)
{
	if (f->name >= s->nr_roles && grow_roles(s, f->name)) {
		s->failed = -ENOMEM;
		return PY_NATIVE;
	}
	if (s->role[f->name] == PY_UNKNOWN)
		s->role[f->name] =
			role_by_name(flame_tree_string(s->names, f->name, &(size_t){ 0 }));
	/* what the compiler inlined is not called by anybody */
	if (s->role[f->name] == PY_LOOP && f->kind != FLAME_USER)
		return PY_NATIVE;
	return s->role[f->name];
}

/* ---- Python frames ---- */

/* Name and file of a code object, within its bytes; false: they are not there. */
static bool code_parts(const struct stored *code, const char **ret_name, const char **ret_file,
		       const uint8_t **ret_table, size_t *ret_bytes)
{
	const char *text = code->data, *end = text + code->nr, *file, *table;

	file = code->nr ? memchr(text, 0, code->nr) : NULL;
	if (!file || ++file >= end)
		return false;
	table = memchr(file, 0, (size_t)(end - file));
	if (!table)
		return false;
	*ret_name = text;
	*ret_file = file;
	*ret_table = (const uint8_t *)table + 1;
	*ret_bytes = (size_t)(end - table - 1);
	return true;
}

static int name_code(struct stack_store *s, const struct stored *code, uint32_t at,
		     uint32_t *ret_number)
{
	char text[FLAME_NAME_MAX];
	const char *name, *file;
	const uint8_t *table;
	size_t bytes;
	int line;

	if (!code || !code_parts(code, &name, &file, &table, &bytes))
		return stack_store_number(s, CALLS_NO_CODE, ret_number);
	line = s->o.lines ? python_line(code->version, table, bytes, code->first_line, at) : 0;
	snprintf(text, sizeof(text), "%.1500s (%.2500s:%" PRIu32 ")", name, file,
		 line > 0 ? (uint32_t)line : code->first_line);
	return stack_store_number(s, text, ret_number);
}

static int put_python(struct stack_store *s, const struct ev_pyframe *f)
{
	const struct stored *code = stored_find(s, SHELF_CODE, f->code);
	uint32_t at = s->o.lines ? f->at : 0, number, known;
	uint64_t key;
	int r;

	if (!code)
		return stack_store_put_text(s, CALLS_NO_CODE, FLAME_PYTHON);
	key = (uint64_t)(code - s->shelf[SHELF_CODE].at) << 32 | at;
	known = keymap_get(&s->python_name, key);
	if (known)
		return stack_store_put(s, known - 1, FLAME_PYTHON);
	r = name_code(s, code, at, &number);
	if (!r)
		r = keymap_set(&s->python_name, key, number + 1);
	return r ?: stack_store_put(s, number, FLAME_PYTHON);
}

/* ---- both ---- */

struct merge {
	struct stack_store *s;
	const struct flame_frame *native; /* outermost first */
	uint32_t nr, nr_loops;
	const struct ev_pyframe *frame; /* innermost first */
	uint32_t nr_frames, nr_groups;
	uint32_t at;          /* frames that are not shown yet: frame[0..at) */
	int32_t skipped;      /* loop i has group i + skipped, if there is one */
	uint32_t first, last; /* the loops that have a group: native[first..last] */
	bool any;
};

static bool has_group(const struct merge *m, uint32_t loop)
{
	int64_t group = (int64_t)loop + m->skipped;

	return group >= 0 && group < m->nr_groups;
}

static void count_both(struct merge *m, bool native_cut, bool python_cut)
{
	bool start = false;
	uint32_t loop = 0;

	for (uint32_t i = 0; i < m->nr; i++) {
		m->nr_loops += role_of(m->s, &m->native[i]) == PY_LOOP;
		start |= role_of(m->s, &m->native[i]) == PY_START;
	}
	for (uint32_t i = 0; i < m->nr_frames; i++)
		m->nr_groups += m->frame[i].flags & PY_ENTRY || i + 1 == m->nr_frames;
	/* where the interpreter's start is to be seen, or there are more loops than groups, none of the loops was cut off */
	if (python_cut || (native_cut && !start && m->nr_loops <= m->nr_groups))
		m->skipped = (int32_t)(m->nr_groups - m->nr_loops);
	for (uint32_t i = 0; i < m->nr; i++) {
		if (role_of(m->s, &m->native[i]) != PY_LOOP || !has_group(m, loop++))
			continue;
		m->first = m->any ? m->first : i;
		m->last = i;
		m->any = true;
	}
}

/* The next group, from the outermost on. */
static int put_group(struct merge *m)
{
	bool entry = true;
	int r = 0;

	while (m->at && !r) {
		const struct ev_pyframe *f = &m->frame[m->at - 1];

		if (f->flags & PY_ENTRY && !entry)
			break;
		entry = false;
		m->at--;
		r = put_python(m->s, f);
	}
	return r;
}

/* Does nothing but dispatch, and not much of it, lie between native[i] and the loop at `to`? */
#define LEADS_MAX 16
static bool leads_to(struct merge *m, uint32_t i, uint32_t to)
{
	uint32_t low = i < to ? i : to, high = i < to ? to : i;

	if (high - low > LEADS_MAX)
		return false;
	while (++low < high)
		if (role_of(m->s, &m->native[low]) != PY_DISPATCH)
			return false;
	return true;
}

static bool is_shown(struct merge *m, uint32_t i)
{
	if (!m->any || role_of(m->s, &m->native[i]) != PY_DISPATCH)
		return true;
	if (i > m->first && i < m->last)
		return false;
	return !leads_to(m, i, i < m->first ? m->first : m->last);
}

static int put_both(struct merge *m)
{
	uint32_t loop = 0;
	int r = 0;

	for (int32_t g = 0; g < m->skipped && !r; g++)
		r = put_group(m);
	for (uint32_t i = 0; i < m->nr && !r; i++) {
		if (role_of(m->s, &m->native[i]) == PY_LOOP && has_group(m, loop++))
			r = put_group(m);
		else if (is_shown(m, i))
			r = stack_store_put(m->s, m->native[i].name, m->native[i].kind);
	}
	while (m->at && !r)
		r = put_group(m);
	return r;
}

int stack_store_merge(struct stack_store *s, const struct stored *user, const struct stored *python)
{
	struct merge m = {
		.s = s,
		.native = user ? user->data : NULL,
		.nr = user ? user->nr : 0,
		.frame = python->data,
		.nr_frames = python->nr,
		.at = python->nr,
	};

	count_both(&m, user && (user->cut || user->in_part), python->cut);
	return put_both(&m);
}
