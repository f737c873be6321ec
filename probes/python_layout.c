// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where CPython's structures have what, version by version. The numbers are offsetof() of Include/ and Include/internal/ of each
 * version on a 64-bit machine, the same for x86-64 and arm64 and for all patch releases (tests/unit/test_python_layout.c asks the headers
 * that are installed). 3.13 tells them itself, at the beginning of _PyRuntime (struct _Py_DebugOffsets in pycore_runtime.h).
 */
#include <string.h>

#include "probes/python_file.h"

#define FIRST_MINOR 8

/* clang-format off */
/* PyFrameObject with f_lasti; the same in all three but for f_lasti itself. */
#define WITH_FRAME_OBJECTS(minor, lasti, unit) {                                            \
		.version = (minor),                                                         \
		.runtime_interpreters = 32, .interp_next = 0, .interp_threads = 8,          \
		.thread_prev = 0, .thread_next = 8, .thread_interp = 16, .thread_id = 176,  \
		.thread_frame = 24, .cframe_frame = PYL_NONE,                               \
		.frame_bytes = 112, .frame_back = 24, .frame_code = 32,                     \
		.frame_at = (lasti), .at_unit = (unit),                                     \
		.frame_entry = PYL_NONE, .frame_owner = PYL_NONE,                           \
		.code_first_line = 40, .code_name = 112, .code_file = 104,                  \
		.code_table = 120, .code_start = PYL_NONE, .code_serial = PYL_NONE,         \
		.text_ascii = 48, .text_wide = 72,                                          \
	}

static const struct py_layout old_ones[] = {
	WITH_FRAME_OBJECTS(8, 104, 1),
	WITH_FRAME_OBJECTS(9, 104, 1),
	WITH_FRAME_OBJECTS(10, 96, 2),
	/* _PyInterpreterFrame, prev_instr in the code object's co_code_adaptive, co_qualname */
	{
		.version = 11,
		.runtime_interpreters = 40, .interp_next = 0, .interp_threads = 16,
		.thread_prev = 0, .thread_next = 8, .thread_interp = 16, .thread_id = 152,
		.thread_frame = 56, .cframe_frame = 8,
		.frame_bytes = 72, .frame_back = 48, .frame_code = 32, .frame_at = 56,
		.frame_entry = 68, .frame_owner = PYL_NONE,
		.code_first_line = 72, .code_name = 128, .code_file = 112,
		.code_table = 136, .code_start = 184, .code_serial = PYL_NONE,
		.text_ascii = 48, .text_wide = 72,
	},
	/* a frame of the loop's own marks where it was entered */
	{
		.version = 12,
		.runtime_interpreters = 40, .interp_next = 0, .interp_threads = 72,
		.thread_prev = 0, .thread_next = 8, .thread_interp = 16, .thread_id = 136,
		.thread_frame = 56, .cframe_frame = 0,
		.frame_bytes = 72, .frame_back = 8, .frame_code = 0, .frame_at = 56,
		.frame_entry = PYL_NONE, .frame_owner = 70,
		.code_first_line = 68, .code_name = 128, .code_file = 112,
		.code_table = 136, .code_start = 192, .code_serial = 92,
		.text_ascii = 40, .text_wide = 56,
	},
};
/* clang-format on */

/* struct _Py_DebugOffsets of 3.13, all words of 64 bits: these are its indices. */
enum debug_word {
	DEBUG_COOKIE = 0,
	DEBUG_VERSION = 1,
	DEBUG_RUNTIME_INTERPRETERS = 5,
	DEBUG_INTERP_NEXT = 8,
	DEBUG_INTERP_THREADS = 9,
	DEBUG_THREAD_PREV = 20,
	DEBUG_THREAD_NEXT = 21,
	DEBUG_THREAD_INTERP = 22,
	DEBUG_THREAD_FRAME = 23,
	DEBUG_THREAD_ID = 24,
	DEBUG_FRAME_PREVIOUS = 29,
	DEBUG_FRAME_CODE = 30,
	DEBUG_FRAME_INSTR = 31,
	DEBUG_FRAME_OWNER = 33,
	DEBUG_CODE_FILE = 35,
	DEBUG_CODE_QUALNAME = 37,
	DEBUG_CODE_TABLE = 38,
	DEBUG_CODE_FIRST_LINE = 39,
	DEBUG_CODE_START = 43,
	DEBUG_BYTES_LENGTH = 65,
	DEBUG_BYTES_BEGIN = 66,
	DEBUG_TEXT_STATE = 68,
	DEBUG_TEXT_LENGTH = 69,
	DEBUG_TEXT_ASCII = 70,
	DEBUG_WORDS = 73,
};
_Static_assert(DEBUG_WORDS * 8 <= PYTHON_DEBUG_BYTES, "all of it is read");

/* What BPF reads at once of each structure holds every field of it. */
static bool is_sound(const struct py_layout *l)
{
	uint16_t frame[] = { l->frame_back, l->frame_code, l->frame_at, l->frame_owner };
	uint16_t thread[] = { l->thread_prev, l->thread_next, l->thread_interp, l->thread_id,
			      l->thread_frame };
	uint16_t code[] = { l->code_first_line, l->code_name, l->code_file, l->code_table };
	bool sound = l->frame_bytes <= PYL_FRAME_BYTES;

	for (size_t i = 0; i < sizeof(frame) / sizeof(*frame); i++)
		sound &= frame[i] == PYL_NONE || frame[i] < l->frame_bytes;
	for (size_t i = 0; i < sizeof(thread) / sizeof(*thread); i++)
		sound &= thread[i] <= PYL_THREAD_BYTES - 8;
	for (size_t i = 0; i < sizeof(code) / sizeof(*code); i++)
		sound &= code[i] <= PYL_CODE_BYTES - 8;
	return sound;
}

static uint16_t word(const struct python_file *f, enum debug_word index)
{
	uint64_t value;

	memcpy(&value, f->debug + index * 8, sizeof(value));
	return value < PYL_NONE ? (uint16_t)value : PYL_NONE - 1;
}

static bool told_by_itself(const struct python_file *f, struct py_layout *ret)
{
	uint32_t hex;

	memcpy(&hex, f->debug + DEBUG_VERSION * 8, sizeof(hex));
	if (!f->has_debug || memcmp(f->debug, "xdebugpy", 8) || hex >> 16 != 0x030d)
		return false;
	*ret = (struct py_layout){
		.version = 13,
		.runtime_interpreters = word(f, DEBUG_RUNTIME_INTERPRETERS),
		.interp_next = word(f, DEBUG_INTERP_NEXT),
		.interp_threads = word(f, DEBUG_INTERP_THREADS),
		.thread_prev = word(f, DEBUG_THREAD_PREV),
		.thread_next = word(f, DEBUG_THREAD_NEXT),
		.thread_interp = word(f, DEBUG_THREAD_INTERP),
		.thread_id = word(f, DEBUG_THREAD_ID),
		.thread_frame = word(f, DEBUG_THREAD_FRAME),
		.cframe_frame = PYL_NONE,
		.frame_back = word(f, DEBUG_FRAME_PREVIOUS),
		.frame_code = word(f, DEBUG_FRAME_CODE),
		.frame_at = word(f, DEBUG_FRAME_INSTR),
		.frame_entry = PYL_NONE,
		.frame_owner = word(f, DEBUG_FRAME_OWNER),
		.frame_bytes = word(f, DEBUG_FRAME_OWNER) + 1,
		.code_first_line = word(f, DEBUG_CODE_FIRST_LINE),
		.code_name = word(f, DEBUG_CODE_QUALNAME),
		.code_file = word(f, DEBUG_CODE_FILE),
		.code_table = word(f, DEBUG_CODE_TABLE),
		.code_start = word(f, DEBUG_CODE_START),
		.code_serial = PYL_NONE,
		.text_ascii = word(f, DEBUG_TEXT_ASCII),
		.text_wide = word(f, DEBUG_TEXT_ASCII) + 16, /* utf8_length, utf8 */
		.text_length = word(f, DEBUG_TEXT_LENGTH),
		.text_state = word(f, DEBUG_TEXT_STATE),
		.bytes_length = word(f, DEBUG_BYTES_LENGTH),
		.bytes_begin = word(f, DEBUG_BYTES_BEGIN),
	};
	return is_sound(ret);
}

bool python_layout(const struct python_file *f, struct py_layout *ret)
{
	size_t i = (size_t)(f->minor - FIRST_MINOR);

	if (f->before_37 || f->major != 3 || f->minor < FIRST_MINOR)
		return false;
	if (i >= sizeof(old_ones) / sizeof(*old_ones))
		return told_by_itself(f, ret);
	*ret = old_ones[i];
	ret->text_length = ret->bytes_length = 16;
	ret->text_state = ret->bytes_begin = 32;
	return is_sound(ret);
}
