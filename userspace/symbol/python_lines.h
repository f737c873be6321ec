/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The line of an instruction of CPython's, from the table beside its code:
 *
 *   3.8, 3.9   co_lnotab     pairs (bytes of code, signed lines); Objects/lnotab_notes.txt
 *   3.10       co_linetable  pairs (bytes of code, signed lines), -128: no line; PEP 626
 *   3.11 on    co_linetable  entries of 1 to 11 bytes, for 1 to 8 code units; Objects/locations.md, PEP 657
 *
 * The table comes from a trace: whatever it holds, the answer is a number.
 */
#ifndef WHYSCALE_SYMBOL_PYTHON_LINES_H
#define WHYSCALE_SYMBOL_PYTHON_LINES_H

#include <stddef.h>
#include <stdint.h>

/*
 * minor: of version 3.x; first_line: co_firstlineno; at: bytes into the code. 0: the instruction has no line, the table ends before it,
 * or the version is another one. O(bytes).
 */
int python_line(unsigned int minor, const uint8_t *table, size_t bytes, uint32_t first_line,
		uint32_t at);

#endif
