// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a CPython's structures have what, by its own headers: "name offset" lines, for tests/unit/test_python_layout.c, which compiles
 * this with -I of each version that is installed. With a FILE as argument, into it what _PyRuntime begins with, if it is 3.13's.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <frameobject.h>
#include <internal/pycore_pystate.h>
#include <stddef.h>
#include <stdio.h>
#if PY_VERSION_HEX >= 0x03090000
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#endif
#if PY_VERSION_HEX >= 0x030b0000
#include <internal/pycore_frame.h>
typedef struct _PyInterpreterFrame Frame;
#else
typedef PyFrameObject Frame;
#define previous f_back
#endif
#if PY_VERSION_HEX >= 0x030d0000
#define f_code f_executable
#endif

#if PY_VERSION_HEX >= 0x030d0000
#include <internal/pycore_ceval.h>
#include <internal/pycore_runtime_init.h>

/* Whatever else it points to is left undefined: the linker is told so. */
static _PyRuntimeState runtime = _PyRuntimeState_INIT(runtime, _Py_Debug_Cookie);

static int write_debug(const char *path)
{
	FILE *file = fopen(path, "w");
	size_t nr = file ? fwrite(&runtime.debug_offsets, sizeof(runtime.debug_offsets), 1, file) :
			   0;

	return !file || fclose(file) || nr != 1;
}
#else
static int write_debug(const char *path)
{
	(void)path;
	return 1;
}
#endif

#define SHOW(name, type, member) printf(#name " %zu\n", offsetof(type, member))

static void show_code(void)
{
	SHOW(code_first_line, PyCodeObject, co_firstlineno);
	SHOW(code_file, PyCodeObject, co_filename);
#if PY_VERSION_HEX >= 0x030b0000
	SHOW(code_name, PyCodeObject, co_qualname);
	SHOW(code_start, PyCodeObject, co_code_adaptive);
#else
	SHOW(code_name, PyCodeObject, co_name);
#endif
#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000
	SHOW(code_serial, PyCodeObject, co_version);
#endif
#if PY_VERSION_HEX >= 0x030a0000
	SHOW(code_table, PyCodeObject, co_linetable);
#else
	SHOW(code_table, PyCodeObject, co_lnotab);
#endif
	SHOW(text_length, PyASCIIObject, length);
	SHOW(text_state, PyASCIIObject, state);
	printf("text_ascii %zu\ntext_wide %zu\n", sizeof(PyASCIIObject),
	       sizeof(PyCompactUnicodeObject));
	SHOW(bytes_length, PyVarObject, ob_size);
	SHOW(bytes_begin, PyBytesObject, ob_sval);
}

static void show_frame(void)
{
	SHOW(frame_back, Frame, previous);
	SHOW(frame_code, Frame, f_code);
#if PY_VERSION_HEX >= 0x030d0000
	SHOW(frame_at, Frame, instr_ptr);
#elif PY_VERSION_HEX >= 0x030b0000
	SHOW(frame_at, Frame, prev_instr);
#else
	SHOW(frame_at, Frame, f_lasti);
#endif
#if PY_VERSION_HEX >= 0x030c0000
	SHOW(frame_owner, Frame, owner);
#elif PY_VERSION_HEX >= 0x030b0000
	SHOW(frame_entry, Frame, is_entry);
#endif
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return write_debug(argv[1]);
	SHOW(runtime_interpreters, _PyRuntimeState, interpreters.head);
	SHOW(interp_next, PyInterpreterState, next);
#if PY_VERSION_HEX >= 0x030b0000
	SHOW(interp_threads, PyInterpreterState, threads.head);
#else
	SHOW(interp_threads, PyInterpreterState, tstate_head);
#endif
	SHOW(thread_prev, PyThreadState, prev);
	SHOW(thread_next, PyThreadState, next);
	SHOW(thread_interp, PyThreadState, interp);
	SHOW(thread_id, PyThreadState, thread_id);
#if PY_VERSION_HEX >= 0x030d0000
	SHOW(thread_frame, PyThreadState, current_frame);
#elif PY_VERSION_HEX >= 0x030b0000
	SHOW(thread_frame, PyThreadState, cframe);
	SHOW(cframe_frame, _PyCFrame, current_frame);
#else
	SHOW(thread_frame, PyThreadState, frame);
#endif
	show_frame();
	show_code();
	return 0;
}
